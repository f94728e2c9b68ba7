"""The one shape into which every log is read: interactions, presence changes, and the account of the lines.

All times are integer milliseconds since 1970-01-01 00:00 UTC. A log whose clocks carry no zone is read *as if* they
were UTC: differences and hours of the day are those of the local clock, and nothing is guessed about daylight saving.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import attrs

from omniroute.errors import LogError
from omniroute.formats.limits import MAX_BROKEN_LINES, MAX_EPOCH_MS, MAX_NAME_CHARS, MAX_NAMES


class Outcome(enum.IntEnum):
    """How an interaction ended. The numbers are stored in columns and never change their meaning."""

    SERVED = 0
    """An agent took it."""
    ABANDONED = 1
    """The customer left while waiting."""
    LEFT_BEFORE_QUEUE = 2
    """The customer left before joining a queue, in the voice menu."""
    SET_ASIDE = 3
    """The log itself says that this is no interaction to count."""
    TIMED_OUT = 4
    """The queue's longest wait was over."""
    KEYED_OUT = 5
    """The customer left for another way out by pressing a key."""
    EMPTIED = 6
    """It was turned out because the queue had no agents left."""
    REFUSED = 7
    """The queue was full, closed or without agents: it was never let in."""
    WITHDRAWN = 8
    """The host took it out of the queue."""
    OPEN = 9
    """It was still waiting when the log, or the system that wrote it, ended."""

    @property
    def label(self) -> str:
        """The outcome as written in files and reports: lower case with underscores."""
        return self.name.lower()


class PresenceKind(enum.Enum):
    """What a presence change says."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    READY = "ready"
    NOT_READY = "not_ready"
    PENALTY = "penalty"


@attrs.frozen(kw_only=True, slots=True)
class LoggedInteraction:
    """One passage of one interaction through one queue, as logged.

    An interaction that passes several queues gives one record for each; their ids are ``id``, ``id#2``, ``id#3``...

    ``queued_ms`` is None when no entry into the queue is logged (taken at once, or gone before). ``wait_ms`` is the
    logged wait, 0 when it never queued; logs round, so it may differ by a second or two from ``left_queue_ms -
    queued_ms``. ``started_ms``, ``ended_ms`` and ``handle_ms`` belong to the agent who served; ``handle_ms`` is None
    where the log has no handle time, 0 where it says zero. ``wrap_up_ms`` is the part of it after the end of the talk,
    where a log records that. ``needs`` is a requirement expression where a log carries one. ``position`` is the place
    in the queue on entry, from 1. ``line`` is the line that told the entry, else the one that told the end, from 1.
    """

    id: str
    queue: str
    channel: str
    priority: int = 0
    customer: str | None = attrs.field(default=None, repr=False)
    arrived_ms: int
    queued_ms: int | None = None
    left_queue_ms: int | None = None
    wait_ms: int = 0
    outcome: Outcome
    agent: str | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    handle_ms: int | None = None
    wrap_up_ms: int | None = None
    needs: str | None = None
    position: int | None = None
    line: int = 0


@attrs.frozen(kw_only=True, slots=True)
class PresenceChange:
    """What an agent, or somebody for the agent, said about presence; ``queue`` is None when it holds for all queues.

    ``reason`` is the logged reason of a pause or a sign-out; ``penalty`` is set for ``PresenceKind.PENALTY`` only.
    """

    at_ms: int
    agent: str
    queue: str | None = None
    kind: PresenceKind
    reason: str | None = None
    penalty: int | None = None
    line: int = 0


LogRecord: TypeAlias = LoggedInteraction | PresenceChange


class BrokenLine(ValueError):  # noqa: N818 - it is a finding about a line, raised and caught inside the readers only
    """A line cannot be read; ``reason`` is a fixed phrase without text from the log, so that counts stay bounded."""

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        self.reason = reason
        self.field = field
        super().__init__(reason)


@attrs.define(kw_only=True, slots=True)
class ReadSummary:
    """What became of every line: ``lines == kept + set aside + broken`` once reading has ended.

    ``kept`` lines were understood and used; ``set_aside`` lines were understood and left out, by reason (header, blank,
    phantom, unknown event); ``broken`` lines could not be read, by reason, the first ones also listed in
    ``broken_lines`` as (line number, reason). ``interactions`` and ``presence_changes`` count the records yielded;
    ``events`` counts the events of an event log by name; ``notes`` counts oddities in lines that were kept.
    """

    format: str
    source: str
    strict: bool = False
    lines: int = 0
    kept: int = 0
    set_aside: dict[str, int] = attrs.Factory(dict)
    broken: dict[str, int] = attrs.Factory(dict)
    broken_lines: list[tuple[int, str]] = attrs.Factory(list)
    interactions: int = 0
    presence_changes: int = 0
    events: dict[str, int] = attrs.Factory(dict)
    notes: dict[str, int] = attrs.Factory(dict)

    def put_aside(self, reason: str, lines: int = 1) -> None:
        """Count ``lines`` lines as understood and left out."""
        count(self.set_aside, reason, lines)

    def note(self, what: str, times: int = 1) -> None:
        """Count an oddity of a line that is kept."""
        count(self.notes, what, times)

    def refuse(self, line: int, reason: str, *, field: str | None = None, lines: int = 1) -> None:
        """Count ``lines`` lines, ending at ``line``, as broken.

        Raises LogError naming source, line and field when reading strictly.
        """
        said = f"{field}: {reason}" if field else reason
        count(self.broken, said, lines)
        if len(self.broken_lines) < MAX_BROKEN_LINES:
            self.broken_lines.append((line, said))
        if self.strict:
            raise LogError(reason, source=self.source, line=line, field=field)

    def balanced(self) -> bool:
        """Whether every line read is accounted for exactly once."""
        return self.lines == self.kept + sum(self.set_aside.values()) + sum(self.broken.values())


def count(table: dict[str, int], name: str, times: int = 1) -> None:
    """Add ``times`` to ``table[name]``; after MAX_NAMES names, to ``(other)``. O(1).

    >>> table = {"blank": 1}
    >>> count(table, "blank", 2)
    >>> table
    {'blank': 3}
    """
    if name not in table and len(table) >= MAX_NAMES:
        name = "(other)"
    table[name] = table.get(name, 0) + times


def only_interactions(records: Iterable[LogRecord]) -> Iterator[LoggedInteraction]:
    """Leave out the presence changes."""
    return (record for record in records if isinstance(record, LoggedInteraction))


def whole_number(text: str, field: str, limit: int) -> int:
    """Read a number in [0, limit] written with ASCII digits only.

    Python's ``int`` also takes signs, underscores, foreign digits and thousands of digits; a log has none of them.
    Raises BrokenLine.

    >>> whole_number("0042", "priority", 100)
    42
    """
    if not (text.isdigit() and text.isascii()):
        raise BrokenLine("not a whole number", field=field)
    if len(text) > 18 or (number := int(text)) > limit:
        raise BrokenLine("out of range", field=field)
    return number


def name_in(text: str, field: str) -> str:
    """Check a queue, agent or id: not empty, not longer than MAX_NAME_CHARS. Raises BrokenLine."""
    if not text:
        raise BrokenLine("missing", field=field)
    if len(text) > MAX_NAME_CHARS:
        raise BrokenLine("name too long", field=field)
    return text


def moment_in(ms: int, field: str) -> int:
    """Check that a time lies in [0, MAX_EPOCH_MS). Raises BrokenLine."""
    if not 0 <= ms < MAX_EPOCH_MS:
        raise BrokenLine("out of range", field=field)
    return ms
