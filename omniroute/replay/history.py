"""A log held in memory, as replay needs it: records, columns, and the account of the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import attrs
import numpy as np

from omniroute.formats.detect import Log
from omniroute.formats.records import LoggedInteraction, LogRecord, PresenceChange, ReadSummary
from omniroute.insight.columns import Codes, Flags, InteractionColumns, columns


@attrs.frozen(kw_only=True, eq=False, slots=False)
class History:
    """What happened: interactions by arrival (ties in the order of the log), presence changes by time.

    Row i of ``columns`` is ``interactions[i]``.
    """

    interactions: tuple[LoggedInteraction, ...]
    presence: tuple[PresenceChange, ...]
    summary: ReadSummary
    columns: InteractionColumns

    @classmethod
    def of(cls, records: Iterable[LogRecord], summary: ReadSummary | None = None) -> History:
        """Sort and hold records. O(n log n)."""
        interactions: list[LoggedInteraction] = []
        presence: list[PresenceChange] = []
        for record in records:
            if isinstance(record, LoggedInteraction):
                interactions.append(record)
            else:
                presence.append(record)
        interactions.sort(key=lambda record: record.arrived_ms)
        presence.sort(key=lambda record: record.at_ms)
        return cls(
            interactions=tuple(interactions),
            presence=tuple(presence),
            summary=summary or ReadSummary(format="records", source="records"),
            columns=columns(interactions),
        )

    @classmethod
    def read(cls, log: Log, *, told: Callable[[int], None] | None = None) -> History:
        """Read a log to its end; ``told`` hears now and then how many records there are. Raises LogError."""
        return cls.of(_counted(log, told) if told else log, None).with_summary(log)

    def with_summary(self, log: Log) -> History:
        """Return the same with the account that a log has after it was read."""
        return attrs.evolve(self, summary=log.summary)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Return the names of channels, sorted."""
        return tuple(sorted({record.channel for record in self.interactions}))

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Return the different requirements that the log carries, sorted; the empty one is always there."""
        return tuple(sorted({record.needs or "" for record in self.interactions} | {""}))

    def codes(self, names: tuple[str, ...], name_of: Callable[[LoggedInteraction], str]) -> Codes:
        """Return the place of each interaction's name in ``names``, shape (n,). O(n)."""
        place = {name: position for position, name in enumerate(names)}
        return np.array([place[name_of(record)] for record in self.interactions], dtype=np.int32)

    @cached_property
    def entry_always_logged(self) -> bool:
        """Whether the log writes a queue entry even for those who are served at once.

        Then *queued* means everybody, and a simulated interaction counts as queued though it did not wait.
        """
        at_once: Flags = self.columns.served & (self.columns.wait_ms == 0)
        return bool(at_once.any()) and bool(self.columns.queued[at_once].mean() > 0.5)


def _counted(log: Log, told: Callable[[int], None]) -> Iterable[LogRecord]:
    for number, record in enumerate(log, 1):
        if number % 20_000 == 0:
            told(number)
        yield record
