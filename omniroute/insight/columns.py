"""Interactions as columns: what logs and simulations have in common, so that the same metrics read both."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import numpy as np

from omniroute.formats.records import LoggedInteraction, LogRecord, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE: Final = -1
"""What an integer column holds where there is no value: times and durations are never below zero."""

Integers: TypeAlias = "NDArray[np.int64]"
Codes: TypeAlias = "NDArray[np.int32]"
Flags: TypeAlias = "NDArray[np.bool_]"


@attrs.frozen(kw_only=True, slots=True, eq=False)
class InteractionColumns:
    """n interactions, one array per field, each of shape (n,); NONE (-1) stands for no value.

    ``queue`` and ``agent`` hold positions in ``queue_names`` and ``agent_names``; ``outcome`` holds the numbers of
    :class:`Outcome`. Times are milliseconds since 1970 (or since the start of a simulation), durations milliseconds.
    ``queued_ms`` is NONE for an interaction that never waited in a queue, and ``wait_ms`` is then usually 0.
    """

    queue_names: tuple[str, ...]
    agent_names: tuple[str, ...]
    arrived_ms: Integers
    queue: Codes
    priority: Codes
    outcome: Codes
    queued_ms: Integers
    left_queue_ms: Integers
    wait_ms: Integers
    agent: Codes
    started_ms: Integers
    ended_ms: Integers
    handle_ms: Integers

    def __len__(self) -> int:
        return len(self.arrived_ms)

    def where(self, chosen: Flags) -> InteractionColumns:
        """Return the interactions for which ``chosen`` (shape (n,), bool) holds; the names stay as they are. O(n)."""
        return attrs.evolve(self, **{name: getattr(self, name)[chosen] for name in _ARRAYS})

    def outcome_is(self, *outcomes: Outcome) -> Flags:
        """Return which interactions ended in one of ``outcomes``, shape (n,). O(n)."""
        return np.isin(self.outcome, [int(outcome) for outcome in outcomes])

    def split(self, key: Codes) -> Iterator[tuple[int, InteractionColumns]]:
        """Yield (value, interactions with that value) in ascending order of the values of ``key``, shape (n,).

        Order inside a part is kept. O(n log n) however many values there are.
        """
        order = np.argsort(key, kind="stable")
        values, starts = np.unique(key[order], return_index=True)
        ends = np.append(starts, len(order))[1:]
        for value, start, end in zip(values.tolist(), starts.tolist(), ends.tolist(), strict=True):
            part = order[start:end]
            yield value, attrs.evolve(self, **{name: getattr(self, name)[part] for name in _ARRAYS})

    @property
    def queued(self) -> Flags:
        """Which interactions entered a queue, shape (n,)."""
        return np.not_equal(self.queued_ms, NONE)

    @property
    def served(self) -> Flags:
        """Which interactions an agent took, shape (n,)."""
        return np.equal(self.outcome, int(Outcome.SERVED))

    @property
    def abandoned(self) -> Flags:
        """Which customers left while waiting, shape (n,)."""
        return np.equal(self.outcome, int(Outcome.ABANDONED))

    @property
    def offered(self) -> Flags:
        """Which interactions came to a queue and left it in a way that the log tells, shape (n,).

        Not offered: left before the queue, refused at its door, set aside, still waiting when the log ended.
        """
        return ~self.outcome_is(Outcome.LEFT_BEFORE_QUEUE, Outcome.REFUSED, Outcome.SET_ASIDE, Outcome.OPEN)


_ARRAYS: Final = tuple(
    field.name for field in attrs.fields(InteractionColumns) if field.name not in ("queue_names", "agent_names")
)


def columns(records: Iterable[LogRecord]) -> InteractionColumns:
    """Turn interactions into columns, in the order given; presence changes are passed over.

    Time O(n log queues); memory 84 bytes per interaction. Names are sorted, so that equal logs give equal columns.
    """
    wide = {name: array("q") for name in _WIDE}
    queue, agent, priority, outcome = array("i"), array("i"), array("i"), array("i")
    queues: dict[str, int] = {}
    agents: dict[str, int] = {}
    add = [(wide[name].append, name) for name in _WIDE]
    for record in records:
        if not isinstance(record, LoggedInteraction):
            continue
        queue.append(queues.setdefault(record.queue, len(queues)))
        agent.append(NONE if record.agent is None else agents.setdefault(record.agent, len(agents)))
        priority.append(record.priority)
        outcome.append(record.outcome)
        for append, name in add:
            value = getattr(record, name)
            append(NONE if value is None else value)
    queue_names, queue_place = _sorted_names(queues)
    agent_names, agent_place = _sorted_names(agents)
    return InteractionColumns(
        queue_names=queue_names,
        agent_names=agent_names,
        queue=queue_place[np.array(queue, dtype=np.int32)],
        agent=agent_place[np.array(agent, dtype=np.int32)],
        priority=np.array(priority, dtype=np.int32),
        outcome=np.array(outcome, dtype=np.int32),
        **{name: np.array(values, dtype=np.int64) for name, values in wide.items()},
    )


_WIDE: Final = ("arrived_ms", "queued_ms", "left_queue_ms", "wait_ms", "started_ms", "ended_ms", "handle_ms")


def _sorted_names(seen: dict[str, int]) -> tuple[tuple[str, ...], Codes]:
    """Return the names in order and, for each number given out when first seen, its place; the last place is NONE."""
    names = sorted(seen)
    place = np.full(len(names) + 1, NONE, dtype=np.int32)
    for position, name in enumerate(names):
        place[seen[name]] = position
    return tuple(names), place
