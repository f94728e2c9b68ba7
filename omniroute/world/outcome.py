"""What happened to the interactions of a workload: a column for each answer, and exact sums over them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from attrs import frozen

from omniroute.errors import InputError
from omniroute.model import nearest
from omniroute.world.bare import Rows
from omniroute.world.workload import Column

__all__ = ["Outcome", "OutcomeCode"]


class OutcomeCode(IntEnum):
    """How an interaction ended, as far as the simulation went."""

    OPEN = 0  # still waiting at the end
    SERVED = 1  # an agent took it, whether or not he has finished
    ABANDONED = 2  # the customer left while waiting
    BLOCKED = 3  # the queue was full
    CANCELLED = 4  # a step of the queue took it out


@frozen(kw_only=True, eq=False)
class Outcome:
    """What happened to interactions, one row each; all columns int64, instants and lengths in ms, -1 where none is.

    ``row`` is the number of the interaction in the workload, or in all chunks of it. ``agent`` indexes ``agents`` (-1:
    nobody). ``start_ms`` is when that agent took it, ``end_ms`` when its last conversation ended, or when it left.
    ``wait_ms`` is the real wait, without the time with an agent, -1 where it has not ended. ``outcome`` holds
    :class:`OutcomeCode`. ``offers`` is how often it was offered. ``step`` is the last step of its queue (the last one)
    that it took, from 1, the one that cancels included, 0 for none. ``transferred_ms`` is when it went to its second
    queue, ``second_agent`` and ``second_start_ms`` who took it there and when; who leaves there has abandoned.
    ``queue`` indexes ``queues`` and ``channel`` ``channels``, as in the workload; ``priority``, ``value`` and
    ``customer`` are its own.
    """

    row: Column
    arrival_ms: Column
    queue: Column
    channel: Column
    priority: Column
    value: Column
    customer: Column
    agent: Column
    start_ms: Column
    end_ms: Column
    wait_ms: Column
    outcome: Column
    offers: Column
    step: Column
    transferred_ms: Column
    second_agent: Column
    second_start_ms: Column
    queues: tuple[str, ...]
    channels: tuple[str, ...]
    agents: tuple[str, ...]

    def __len__(self) -> int:
        """The number of interactions."""
        return len(self.arrival_ms)

    def of_queue(self, name: str) -> Rows:
        """A mask of the rows of one queue. O(rows). Raises InputError for an unknown name."""
        if name not in self.queues:
            raise InputError(f"unknown queue {name!r}{nearest(name, self.queues)}", source="outcome")
        return np.asarray(self.queue == self.queues.index(name))

    def count(self, code: OutcomeCode, rows: Rows | None = None) -> int:
        """How many of ``rows`` (None: all) ended like this; exact. O(rows)."""
        column = self.outcome if rows is None else self.outcome[rows]
        return int(np.count_nonzero(column == code))

    @property
    def served(self) -> int:
        """How many an agent took."""
        return self.count(OutcomeCode.SERVED)

    @property
    def abandoned(self) -> int:
        """How many left while waiting."""
        return self.count(OutcomeCode.ABANDONED)

    @property
    def blocked(self) -> int:
        """How many found their queue full."""
        return self.count(OutcomeCode.BLOCKED)

    @property
    def open(self) -> int:
        """How many still wait."""
        return self.count(OutcomeCode.OPEN)

    @property
    def cancelled(self) -> int:
        """How many a step took out."""
        return self.count(OutcomeCode.CANCELLED)

    @property
    def transferred(self) -> int:
        """How many went to a second queue."""
        return int(np.count_nonzero(self.transferred_ms >= 0))

    def total_offers(self, rows: Rows | None = None) -> int:
        """The offers of ``rows`` (None: all). O(rows)."""
        return int((self.offers if rows is None else self.offers[rows]).sum())

    def total_value(self, rows: Rows | None = None) -> int:
        """The value of the served of ``rows`` (None: all), in cents, summed exactly. O(rows)."""
        served = np.asarray(self.outcome == OutcomeCode.SERVED)
        return sum(self.value[served if rows is None else served & rows].tolist())

    def total_wait_ms(self, rows: Rows | None = None) -> int:
        """The waits that have ended, of ``rows`` (None: all), summed exactly. O(rows)."""
        column = self.wait_ms if rows is None else self.wait_ms[rows]
        return int(column[column >= 0].sum())

    def mean_wait_ms(self, rows: Rows | None = None) -> float:
        """The mean of the waits that have ended in service or abandonment; NaN when there is none. O(rows)."""
        ended = (self.outcome == OutcomeCode.SERVED) | (self.outcome == OutcomeCode.ABANDONED)
        chosen = self.wait_ms[ended if rows is None else ended & rows]
        return float(chosen.sum() / len(chosen)) if len(chosen) else float("nan")

    def mean_answer_ms(self, rows: Rows | None = None) -> float:
        """ASA, the mean wait of the served; NaN when there is none. O(rows)."""
        served = np.asarray(self.outcome == OutcomeCode.SERVED)
        return self.mean_wait_ms(served if rows is None else served & rows)

    def within(self, wait_ms: int, rows: Rows | None = None) -> int:
        """How many were served after at most ``wait_ms``. O(rows)."""
        good = (self.outcome == OutcomeCode.SERVED) & (self.wait_ms <= wait_ms)
        return int(np.count_nonzero(good if rows is None else good & rows))
