"""A plan and a workload in, what happened out: the same core as behind the door, driven by columns.

Agents answer by themselves the moment they are chosen, so there are no offers to miss; how long an interaction lasts
and how long its customer waits are columns of the workload. Strategies are asked before the first arrival and not
again: control intervals belong to the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from omniroute.core import Core
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import InputError, PlanError
from omniroute.model import Agent, nearest
from omniroute.naming import Ask, Naming
from omniroute.plan import Plan
from omniroute.world.bare import BLOCKED, NOBODY, Arrivals, Rows, drive_columns
from omniroute.world.workload import Column, Presences, Workload

__all__ = ["Outcome", "OutcomeCode", "simulate"]

UNTIL_RELEASED: Final = -1


class OutcomeCode(IntEnum):
    """How an interaction ended, as far as the simulation went."""

    OPEN = 0  # still waiting at the end
    SERVED = 1  # an agent took it, whether or not he has finished
    ABANDONED = 2  # the customer left while waiting
    BLOCKED = 3  # the queue was full


@frozen(kw_only=True, eq=False)
class Outcome:
    """What happened to the first ``len(outcome)`` interactions of a workload, one row each; all columns int64.

    ``agent`` indexes ``agents`` (-1: nobody). ``start_ms`` and ``end_ms`` are instants, -1 where there is none: of the
    conversation for the served, of leaving for the abandoned and the blocked. ``wait_ms`` is the real wait, -1 where it
    has not ended. ``outcome`` holds :class:`OutcomeCode`. ``queue`` indexes ``queues``, as in the workload.
    """

    arrival_ms: Column
    queue: Column
    channel: Column
    priority: Column
    agent: Column
    start_ms: Column
    end_ms: Column
    wait_ms: Column
    outcome: Column
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


def simulate(plan: Plan, workload: Workload, *, until_ms: int | None = None) -> Outcome:
    """Route a workload under a plan, from the first instant to ``until_ms`` (not included) or until nothing is left.

    The same plan and workload give the same outcome on every machine and core. About O(log) for each interaction in
    the classes and groups that could answer. Interactions that arrive at ``until_ms`` or later are not in the outcome.
    Raises InputError where the workload names what the plan does not have, PlanError where a strategy fails or a queue
    holds wrap-up until release, which columns cannot do without ``workload.wrap_up_ms``.

    >>> from omniroute.model import Agent
    >>> from omniroute.plan import Plan, Queue
    >>> plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    >>> done = simulate(plan, Workload(arrival_ms=[0, 250], handle_ms=[9_000, 1_000], queues=["sales"]))
    >>> done.served, done.wait_ms.tolist(), done.end_ms.tolist()
    (2, [0, 8750], [9000, 10000])
    """
    rows = len(workload) if until_ms is None else int(np.searchsorted(workload.arrival_ms, until_ms))
    core = Core()
    naming = Naming.of_plan(core, plan)
    arrivals = _arrivals(naming, workload, rows)
    presences = workload.presences or presences_of(plan.agents, _first(workload))
    results = drive_columns(core, arrivals, _moves(naming, presences), until=-1 if until_ms is None else until_ms)
    outcome = np.select(
        [results.served, results.blocked, results.abandoned],
        [int(OutcomeCode.SERVED), int(OutcomeCode.BLOCKED), int(OutcomeCode.ABANDONED)],
        int(OutcomeCode.OPEN),
    )
    return Outcome(
        arrival_ms=workload.arrival_ms[:rows],
        queue=workload.queue[:rows],
        channel=workload.channel[:rows],
        priority=workload.priority[:rows],
        agent=np.where(results.agent == BLOCKED, NOBODY, results.agent),
        start_ms=results.start,
        end_ms=results.end,
        wait_ms=results.waits(arrivals),
        outcome=outcome.astype(np.int64),
        queues=workload.queues,
        channels=workload.channels,
        agents=tuple(naming.agents),
    )


def _first(workload: Workload) -> int:
    return int(workload.arrival_ms[0]) if len(workload) else 0


def presences_of(agents: tuple[Agent, ...], start_ms: int) -> Presences:
    """The presences that a plan's windows say; agents without windows sign in at ``start_ms`` and stay.

    Touching windows are one. An agent who still works when his window ends drains, and turns ready again if the next
    window finds him so. O(windows log windows).
    """
    rows: list[tuple[int, int, int, int]] = []
    for number, agent in enumerate(agents):
        for start, end in _merged(agent.windows):
            rows.append((end, 0, number, PresenceMove.SIGN_OUT))
            rows.append((start, 1, number, PresenceMove.SIGN_IN))
            rows.append((start, 2, number, PresenceMove.SET_READY))
        if not agent.windows:
            rows.append((start_ms, 1, number, PresenceMove.SIGN_IN))
    rows.sort()
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Presences(at_ms=table[:, 0], agent=table[:, 2], move=table[:, 3], agents=tuple(agent.id for agent in agents))


def _merged(windows: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, int]]:
    """Windows in order, those that touch joined."""
    at = 0
    while at < len(windows):
        start, end = windows[at]
        at += 1
        while at < len(windows) and windows[at][0] == end:
            end = windows[at][1]
            at += 1
        yield start, end


def _moves(naming: Naming, presences: Presences) -> tuple[Column, Column, Column]:
    """The presence columns with the agents' numbers in the core."""
    numbers = np.empty(len(presences.agents), np.int64)
    for position, name in enumerate(presences.agents):
        if name not in naming.agents:
            message = f"unknown agent {name!r}{nearest(name, naming.agents)}"
            raise InputError(message, source="workload", field=f"presences.agents[{position}]")
        numbers[position] = naming.agents[name]
    return presences.at_ms, numbers[presences.agent], presences.move


def _arrivals(naming: Naming, workload: Workload, rows: int) -> Arrivals:
    """The columns of the core: every distinct (queue, channel, needs, priority) is asked for once."""
    kinds, kind = _kinds(workload, rows)
    asks = [_ask(naming, workload, *values) for values in kinds]
    table = np.array([(ask.classes[0], ask.tier, ask.head_start, ask.wrap_up) for ask in asks], np.int64)
    class_, tier, head_start, wrap_up = table.reshape(-1, 4)[kind].T if rows else np.empty((4, 0), np.int64)
    if workload.wrap_up_ms is not None:
        wrap_up = workload.wrap_up_ms[:rows]
    elif (table.reshape(-1, 4)[:, 3] == UNTIL_RELEASED).any():
        raise PlanError("a queue holds wrap-up until release, so the workload must have wrap_up_ms", field="wrap_up")
    return Arrivals(
        at=workload.arrival_ms[:rows],
        class_=class_,
        tier=tier,
        head_start=head_start + workload.head_start_ms[:rows],
        handle=workload.handle_ms[:rows],
        wrap_up=wrap_up,
        patience=workload.patience_ms[:rows],
    )


def _kinds(workload: Workload, rows: int) -> tuple[list[tuple[int, int, int, int]], npt.NDArray[np.intp]]:
    """The distinct (queue, channel, needs, priority) in the order of their first arrival, and the kind of each row."""
    priorities, level = np.unique(workload.priority[:rows], return_inverse=True)
    key = workload.queue[:rows]
    for column, size in (
        (workload.channel, len(workload.channels)),
        (workload.needs, len(workload.requirements)),
    ):
        key = key * size + column[:rows]
    key = key * max(len(priorities), 1) + level
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    kinds = [
        (int(workload.queue[r]), int(workload.channel[r]), int(workload.needs[r]), int(workload.priority[r]))
        for r in first[order]
    ]
    return kinds, place[kind]


def _ask(naming: Naming, workload: Workload, queue: int, channel: int, needs: int, priority: int) -> Ask:
    """Number what one kind of interaction asks for. Raises InputError and PlanError."""
    for field, name, known in (
        (f"queues[{queue}]", workload.queues[queue], naming.queues),
        (f"channels[{channel}]", workload.channels[channel], naming.channels),
    ):
        if name not in known:
            word = field.split("s[")[0]
            raise InputError(f"unknown {word} {name!r}{nearest(name, known)}", source="workload", field=field)
    try:
        wish = naming.wish(workload.queues[queue], workload.channels[channel], workload.requirements[needs], priority)
    except InputError as error:
        raise InputError(error.message, source="workload", field=f"requirements[{needs}]: {error.field}") from error
    most = naming.plan.limits.classes
    if len(naming.class_names) + naming.new_classes(wish) > most:
        raise PlanError(f"the workload needs more than {most} classes (limits.classes)", field="limits.classes")
    ask = naming.grant(wish)
    if naming.failures:
        name, strategy, cause = naming.failures[0]
        raise PlanError(f"the strategy {strategy!r} of queue {name!r} failed: {cause}", field="strategy") from cause
    return ask
