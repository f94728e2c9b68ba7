"""A plan and a workload in, what happened out: the same core as behind the door, driven by columns.

How long an interaction lasts and how long its customer waits are columns of the workload. Agents accept the moment they
are chosen, which connects them in the same move, or answer as the workload and their habits say, and a set-up comes
about within its instant; what is interrupted ends when it would have ended anyway. Strategies are asked before the
first arrival that needs their answer, and those that want it when their interval is over: see
:mod:`omniroute.world.intervals`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import Factory, define

from omniroute.core import Core, Driver
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import InputError, PlanError
from omniroute.model import Agent, nearest
from omniroute.naming import Ask, Naming
from omniroute.obligations import new_groups, prepare
from omniroute.plan import Plan
from omniroute.plan_numbers import lane_of
from omniroute.strategies.desk import Desk
from omniroute.world.bare import BLOCKED, NOBODY, views
from omniroute.world.intervals import Intervals, are_asked
from omniroute.world.outcome import Outcome, OutcomeCode
from omniroute.world.workload import NOWHERE, Column, Habits, Presences, Workload

__all__ = ["Outcome", "OutcomeCode", "simulate", "simulate_chunks"]

OF_QUEUE: Final = -1
"""The wrap-up of a row that leaves it to the queue by which it came to its agent."""
SEED_MAX: Final = 2**63 - 1
Table: TypeAlias = dict[str, Column]

ARRIVALS: Final = ("arrival_ms", "class", "tier", "head_start", "handle_ms", "wrap_up", "patience_ms")
ANSWERS: Final = ("row", "answer_ms", "decline_permille", "ignore_permille")
TRANSFERS: Final = ("class2", "tier2", "head_start2", "handle2_ms", "wrap_up2", "keeps_age")
RESULTS: Final = ("agent", "start", "end")
DETAILS: Final = ("how", "wait", "offers", "last_class", "moved", "agent2", "start2")
COPIED: Final = ("arrival_ms", "handle_ms", "patience_ms", "priority", "value", "customer")


def simulate(
    plan: Plan,
    workload: Workload,
    *,
    seed: int = 0,
    habits: Habits | None = None,
    until_ms: int | None = None,
    desk: Desk | None = None,
) -> Outcome:
    """Route a workload under a plan, from the first instant to ``until_ms`` (not included) or until nothing is left.

    The same plan, workload, seed and habits give the same outcome on every machine and core. ``seed`` (0..2**63-1)
    decides which offers are declined or ignored, where the workload or ``habits`` say how many. About O(log) for each
    interaction in the classes and groups that could answer; other threads run meanwhile. Interactions that arrive at
    ``until_ms`` or later are not in the outcome. ``desk`` answers for the queues with the revenue strategy and can be
    read afterwards; it must be new (None: one without goals). Raises InputError where the workload names what the plan
    does not have, PlanError where a strategy fails or a queue holds wrap-up until release, which columns cannot do
    without ``workload.wrap_up_ms``.

    >>> from omniroute.model import Agent
    >>> from omniroute.plan import Plan, Queue
    >>> plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    >>> done = simulate(plan, Workload(arrival_ms=[0, 250], handle_ms=[9_000, 1_000], queues=["sales"]))
    >>> done.served, done.wait_ms.tolist(), done.end_ms.tolist()
    (2, [0, 8750], [9000, 10000])
    """
    return _Run(plan, seed, habits, until_ms, desk).feed(workload)


def simulate_chunks(
    plan: Plan,
    chunks: Iterable[Workload],
    *,
    seed: int = 0,
    habits: Habits | None = None,
    until_ms: int | None = None,
    desk: Desk | None = None,
) -> Iterator[Outcome]:
    """As :func:`simulate`, for a workload that comes in pieces in the order of time, and may not fit into memory.

    After each chunk, yields the interactions whose end is known by its last arrival; at the end, the others. Together
    they are the outcome of one long workload, whose rows ``row`` numbers. Chunks may have names of their own. If the
    first one has presences, so have all, each behind the last arrival before it; and if the first one says how offers
    are answered, so do all. Memory: what is live and one chunk. Raises as :func:`simulate`, and InputError for a chunk
    out of order.

    >>> from omniroute.model import Agent
    >>> from omniroute.plan import Plan, Queue
    >>> plan = Plan(queues=[Queue("sales")], agents=[Agent("ana")])
    >>> hours = (Workload(arrival_ms=[at], handle_ms=[900], queues=["sales"]) for at in (0, 1_000, 2_000))
    >>> [done.row.tolist() for done in simulate_chunks(plan, hours)]
    [[], [0], [1], [2]]
    """
    run = _Run(plan, seed, habits, until_ms, desk)
    for chunk in chunks:
        if len(chunk):
            yield run.feed(chunk, more=True)
            if until_ms is not None and chunk.arrival_ms[-1] >= until_ms:
                break
    yield run.feed(Workload(arrival_ms=[], handle_ms=[], queues=[]))


_NONE: Final = np.empty(0, np.int64)
Moves: TypeAlias = tuple[Column, Column, Column, Column]
"""When, who, what, and until when then."""


@define
class _Run:
    """A plan's world in the middle of its work, and the rows that are not over."""

    plan: Plan
    seed: int
    habits: Habits | None
    until: int | None
    desk: Desk | None
    core: Core = Factory(Core)
    naming: Naming = Factory(lambda run: Naming.of_plan(run.core, run.plan), takes_self=True)
    driver: Driver | None = None
    intervals: Intervals | None = None
    answering: bool = False
    from_plan: bool = True
    presences: Moves = (_NONE, _NONE, _NONE, _NONE)
    table: Table = Factory(dict)
    rows: int = 0
    latest: int = -1
    queues: dict[str, int] = Factory(dict)
    channels: dict[str, int] = Factory(dict)

    def feed(self, workload: Workload, *, more: bool = False) -> Outcome:
        """Drive what is new, and return the rows that are over; without ``more`` all. O(live + chunk)."""
        rows = len(workload) if self.until is None else int(np.searchsorted(workload.arrival_ms, self.until))
        if self.driver is None:
            self._begin(workload)
        elif len(workload):
            self._check_next(workload)
        asked = _asked(self.naming, workload, rows)
        transfers = workload.transfer is not None and bool((workload.transfer[:rows] != NOWHERE).any())
        steps = any(queue.steps for queue in self.plan.queues)
        detailed = more or self.answering or transfers or steps or self.rows > 0 or self.intervals is not None
        fresh = self._table(workload, asked, rows, detailed=detailed)
        table = fresh
        if self.table:
            table = {name: np.concatenate((column, fresh[name])) for name, column in self.table.items()}
        self._drive(table, more=more, detailed=detailed)
        self.rows += rows
        self.latest = int(workload.arrival_ms[-1]) if len(workload) else self.latest
        if not more:
            return self._outcome(table)
        over = table["end"] >= 0
        assert self.driver is not None
        if self.intervals is not None:
            self.intervals.keep(~over)
        self.driver.keep(np.flatnonzero(~over).astype(np.int64).data)
        self.table = {name: column[~over] for name, column in table.items()}
        return self._outcome({name: column[over] for name, column in table.items()})

    def _begin(self, workload: Workload) -> None:
        """Who is there, and how they answer."""
        if not 0 <= self.seed <= SEED_MAX:
            raise InputError(f"is {self.seed}, allowed is 0..{SEED_MAX}", source="simulate", field="seed")
        self.answering = workload.answered or self.habits is not None
        self.from_plan = workload.presences is None
        presences = workload.presences or presences_of(self.plan.agents, _first(workload))
        self.presences = _moves(self.naming, presences)
        if are_asked(self.plan):
            self.intervals = Intervals(self.naming, Desk() if self.desk is None else self.desk)
        for agent in self.naming.agent_values if self.naming.edges else ():
            if len(self.naming.groups) + new_groups(self.naming, agent, obliged=True) > self.plan.limits.groups:
                raise PlanError("agents with little time left need more groups than that", field="limits.groups")
            prepare(self.naming, agent)
        habits = Habits() if self.habits is None else self.habits
        back = -1 if habits.back_ms is None else habits.back_ms
        self.driver = Driver(self.core, self.seed, back, views(_habits(self.naming, habits)) if habits.agents else ())

    def _check_next(self, workload: Workload) -> None:
        """Whether a chunk can follow, and its presences with it."""
        if workload.arrival_ms[0] < self.latest:
            message = f"is {int(workload.arrival_ms[0])}, before the last of the chunk ahead ({self.latest})"
            raise InputError(message, source="workload", field="arrival_ms[0]")
        if workload.answered and not self.answering:
            raise InputError("the first chunk does not say how offers are answered", source="workload")
        if (workload.presences is None) != self.from_plan:
            raise InputError("all chunks have presences, or none", source="workload", field="presences")
        if workload.presences is not None and len(workload.presences.at_ms):
            moves = _moves(self.naming, workload.presences)
            known = max(self.latest + 1, *self.presences[0][-1:].tolist())
            if moves[0][0] < known:
                message = f"is {int(moves[0][0])}, what comes in a later chunk is at {known} or later"
                raise InputError(message, source="workload", field="presences.at_ms[0]")
            at, agent, move, until = (np.concatenate(pair) for pair in zip(self.presences, moves, strict=True))
            self.presences = at, agent, move, until

    def _table(self, workload: Workload, asked: Table, rows: int, *, detailed: bool) -> Table:
        """All columns of the first ``rows`` rows: what is asked, who asks it, and what has not happened yet."""
        table = {name: getattr(workload, name)[:rows] for name in COPIED}
        table["row"] = np.arange(self.rows, self.rows + rows)
        table["queue"] = _renumbered(workload.queue[:rows], workload.queues, self.queues)
        table["channel"] = _renumbered(workload.channel[:rows], workload.channels, self.channels)
        table |= asked
        table |= {name: np.full(rows, NOBODY, np.int64) for name in RESULTS}
        if detailed:
            table |= {name: workload.share(name)[:rows] for name in ANSWERS[1:]}
            table |= {name: getattr(workload, name)[:rows] for name in ("handle2_ms", "keeps_age")}
            table |= {name: np.full(rows, NOBODY, np.int64) for name in DETAILS}
            table["how"] = np.zeros(rows, np.int64)
            table["offers"] = np.zeros(rows, np.int64)
        return table

    def _drive(self, table: Table, *, more: bool, detailed: bool) -> None:
        assert self.driver is not None

        def chosen(names: tuple[str, ...]) -> list[Column]:
            return [np.ascontiguousarray(table[name]) for name in names]

        done = self.driver.feed(
            views(chosen(ARRIVALS)),
            views(self.presences),
            views([table[name] for name in RESULTS]),
            -1 if self.until is None else self.until,
            more,
            views(chosen(ANSWERS)) if self.answering else (),
            views(chosen(TRANSFERS)) if detailed and bool((table["class2"] != NOWHERE).any()) else (),
            views([table[name] for name in DETAILS]) if detailed else (),
            views([_wrap_ups(self.naming)]) if (table["wrap_up"] == OF_QUEUE).any() else (),
        )
        at, agent, move, until = self.presences
        met = 0
        while self.intervals is not None:
            self.intervals.meet(agent[met:done][until[met:done] >= 0])
            met, now, queues = done, self.core.now, self.driver.asked()
            if not queues:
                self.intervals.look(table, len(table["row"]), now)
                break
            if self.intervals.listens(queues, now):
                self.intervals.look(table, int(np.searchsorted(table["arrival_ms"], now)), now)
            self.intervals.answer(queues, now)
            done = self.driver.go_on()
        self.presences = at[done:], agent[done:], move[done:], until[done:]

    def _outcome(self, table: Table) -> Outcome:
        """What is told of rows; where no details were asked for, they follow from the rest."""
        agent, start, end = (table[name] for name in RESULTS)
        if "how" in table:
            how, wait, offers, last, moved, agent2, start2 = (table[name] for name in DETAILS)
            step = np.array([name.view.step for name in self.naming.class_names], np.int64)[last]
        else:
            how = _how(agent, start, end)
            wait = np.where(end >= 0, np.where(start >= 0, start, end) - table["arrival_ms"], -1)
            wait = np.where(start >= 0, start - table["arrival_ms"], wait)
            offers, step = (how == OutcomeCode.SERVED).astype(np.int64), np.zeros(len(how), np.int64)
            moved = agent2 = start2 = np.full(len(how), NOBODY, np.int64)
        return Outcome(
            row=table["row"],
            arrival_ms=table["arrival_ms"],
            queue=table["queue"],
            channel=table["channel"],
            priority=table["priority"],
            value=table["value"],
            customer=table["customer"],
            agent=np.where(agent == BLOCKED, NOBODY, agent),
            start_ms=start,
            end_ms=end,
            wait_ms=wait,
            outcome=how,
            offers=offers,
            step=step,
            transferred_ms=np.where(moved == BLOCKED, NOBODY, moved),
            second_agent=agent2,
            second_start_ms=start2,
            queues=tuple(self.queues),
            channels=tuple(self.channels),
            agents=tuple(self.naming.agents),
        )


def _how(agent: Column, start: Column, end: Column) -> Column:
    """How rows ended in a world without answers, steps and transfers."""
    codes = np.select(
        [start >= 0, agent == BLOCKED, end >= 0],
        [int(OutcomeCode.SERVED), int(OutcomeCode.BLOCKED), int(OutcomeCode.ABANDONED)],
        int(OutcomeCode.OPEN),
    )
    return codes.astype(np.int64)


def _renumbered(column: Column, names: tuple[str, ...], known: dict[str, int]) -> Column:
    """A column of numbers of names, numbered as the first workload that named them did."""
    numbers = np.array([known.setdefault(name, len(known)) for name in names], np.int64)
    return column if np.array_equal(numbers, np.arange(len(names))) else numbers[column]


def _wrap_ups(naming: Naming) -> Column:
    """The wrap-up of each class: that of its queue."""
    values = (naming.queue_values[name.queue].wrap_up_ms for name in naming.class_names)
    return np.array([0 if value is None else value for value in values], np.int64)


def _habits(naming: Naming, habits: Habits) -> tuple[Column, ...]:
    """The columns over all agents of the core."""
    numbers = _agents(naming, habits.agents, "habits.agents")
    columns = []
    for given in (habits.answer_ms, habits.decline_permille, habits.ignore_permille):
        column = np.full(len(naming.agents), -1, np.int64)
        column[numbers] = given
        columns.append(column)
    return tuple(columns)


def _first(workload: Workload) -> int:
    return int(workload.arrival_ms[0]) if len(workload) else 0


def presences_of(agents: tuple[Agent, ...], start_ms: int) -> Presences:
    """The presences that a plan's windows say; agents without windows sign in at ``start_ms`` and stay.

    Touching windows are one, and their end is the agent's obligation. An agent who still works when his window ends
    drains, and turns ready again if the next window finds him so. O(windows log windows).
    """
    rows: list[tuple[int, int, int, int, int]] = []
    for number, agent in enumerate(agents):
        for start, end in _merged(agent.windows):
            rows.append((end, 0, number, PresenceMove.SIGN_OUT, end))
            rows.append((start, 1, number, PresenceMove.SIGN_IN, end))
            rows.append((start, 2, number, PresenceMove.SET_READY, end))
        if not agent.windows:
            rows.append((start_ms, 1, number, PresenceMove.SIGN_IN, -1))
    rows.sort()
    at, _, agent_, move, until = np.array(rows, np.int64).reshape(-1, 5).T
    names = tuple(agent.id for agent in agents)
    return Presences(at_ms=at, agent=agent_, move=move, until_ms=until, agents=names)


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


def _moves(naming: Naming, presences: Presences) -> Moves:
    """The presence columns with the agents' numbers in the core."""
    numbers = _agents(naming, presences.agents, "presences.agents")
    return presences.at_ms, numbers[presences.agent], presences.move, presences.until_ms


def _agents(naming: Naming, names: tuple[str, ...], field: str) -> Column:
    """The agents' numbers in the core. Raises InputError for one that is not in the plan."""
    for position, name in enumerate(names):
        if name not in naming.agents:
            message = f"unknown agent {name!r}{nearest(name, naming.agents)}"
            raise InputError(message, source="workload", field=f"{field}[{position}]")
    return np.array([naming.agents[name] for name in names], np.int64)


def _asked(naming: Naming, workload: Workload, rows: int) -> Table:
    """The columns of arrivals and of transfers that the plan answers. O(rows log rows). Raises PlanError.

    Every distinct (queue, channel, needs, band of value, priority) is asked for once.
    """
    first = _answered(naming, workload, np.arange(rows), workload.queue)
    names = ("class", "tier", "head_start")
    columns = {name: np.ascontiguousarray(first[:, at]) for at, name in enumerate(names)}
    columns["head_start"] = columns["head_start"] + workload.head_start_ms[:rows]
    second = np.zeros((rows, 3), np.int64)
    second[:, 0] = NOWHERE
    if workload.transfer is not None:
        chosen = np.flatnonzero(workload.transfer[:rows] != NOWHERE)
        second[chosen] = _answered(naming, workload, chosen, workload.transfer)
    columns |= {f"{name}2": np.ascontiguousarray(second[:, at]) for at, name in enumerate(names)}
    if workload.wrap_up_ms is not None:
        columns["wrap_up"] = columns["wrap_up2"] = workload.wrap_up_ms[:rows]
        return columns
    columns["wrap_up"] = columns["wrap_up2"] = np.full(rows, OF_QUEUE, np.int64)
    if rows and any(naming.queue_values[name.queue].wrap_up_ms is None for name in naming.class_names):
        message = "a queue holds wrap-up until release, so the workload must have wrap_up_ms"
        raise PlanError(message, field="wrap_up")
    return columns


def _answered(naming: Naming, workload: Workload, rows: npt.NDArray[np.intp], queue: Column) -> npt.NDArray[np.int64]:
    """Class, tier and head start of rows that go to ``queue``."""
    kinds, kind = _kinds(workload, rows, queue, naming.plan.value_bands)
    asks = [_ask(naming, workload, *values) for values in kinds]
    table = np.array([(ask.classes[0], ask.tier, ask.head_start) for ask in asks], np.int64)
    found: npt.NDArray[np.int64] = table.reshape(-1, 3)[kind]
    return found


def _kinds(
    workload: Workload, rows: npt.NDArray[np.intp], queue: Column, bands: tuple[int, ...]
) -> tuple[list[tuple[int, int, int, int, int]], npt.NDArray[np.intp]]:
    """The distinct (queue, channel, needs, priority, lane) in the order of their first arrival, and each row's kind."""
    priorities, level = np.unique(workload.priority[rows], return_inverse=True)
    key = queue[rows]
    for column, size in (
        (workload.channel, len(workload.channels)),
        (workload.needs, len(workload.requirements)),
    ):
        key = key * size + column[rows]
    key = key * max(len(priorities), 1) + level
    if bands:
        key = key * (len(bands) + 1) + np.searchsorted(bands, workload.value[rows], side="right")
    key = 2 * key + workload.held_out[rows]
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    kinds = [
        (
            int(queue[r]),
            int(workload.channel[r]),
            int(workload.needs[r]),
            int(workload.priority[r]),
            lane_of(bands, int(workload.value[r])) + int(workload.held_out[r]),
        )
        for r in rows[first[order]]
    ]
    return kinds, place[kind]


def _ask(naming: Naming, workload: Workload, queue: int, channel: int, needs: int, priority: int, lane: int) -> Ask:
    """Number what one kind of interaction asks for. Raises InputError and PlanError."""
    for field, name, known in (
        (f"queues[{queue}]", workload.queues[queue], naming.queues),
        (f"channels[{channel}]", workload.channels[channel], naming.channels),
    ):
        if name not in known:
            word = field.split("s[")[0]
            raise InputError(f"unknown {word} {name!r}{nearest(name, known)}", source="workload", field=field)
    try:
        what = workload.queues[queue], workload.channels[channel], workload.requirements[needs]
        wish = naming.wish(*what, priority, (), lane)
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
