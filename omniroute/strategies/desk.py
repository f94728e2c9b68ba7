"""The desk of the revenue strategy: it hears what happens, keeps prices and service levels, and answers revisions.

It stands outside the door. Whatever it computes in floats reaches the router as the integers of a Revise command, so
a journal that has those commands replays without it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import is_
from typing import Final, Protocol, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from omniroute import events as e
from omniroute.commands import Revise
from omniroute.plan import Plan
from omniroute.requirements import conjunction, parse
from omniroute.strategies.composed import Composed
from omniroute.strategies.earned import Arm, Goal, Lift
from omniroute.strategies.prices import Cells, Fluid, Prices, Reals, able, regrets, solve, unsolved
from omniroute.strategies.protocol import NEVER, ClassView, GroupView, Observed, Question, Tables
from omniroute.strategies.revenue import Revenue

__all__ = ["Alarm", "Desk", "Goal", "Lift", "Reading", "Seen", "observed", "priced_by"]

ALARM_AFTER: Final = 20
"""Intervals in a row with the gate open (within a factor e of ``most``) and the target missed before the alarm.

It ends when the gate has closed by a factor e squared, which takes that many answers in time.
"""


WEIGHT_MAX: Final = 1e3
"""A goal moves its weight between this and its inverse."""
MOVED: Final = 0.02
"""The share of all arrivals by which demand has to move for prices to be computed anew."""


Places: TypeAlias = npt.NDArray[np.intp]


class Ask(Protocol):
    """What the desk reads of a live interaction."""

    @property
    def needs(self) -> str:
        """What it asks besides its queue."""

    @property
    def channel(self) -> str:
        """Its channel."""

    @property
    def value(self) -> int:
        """The value from which its band begins."""

    @property
    def held_out(self) -> bool:
        """Whether it is held out."""


class Reading(Protocol):
    """What the desk reads of a router, or of whoever drives columns."""

    @property
    def plan(self) -> Plan:
        """The plan that holds."""

    def revision_views(self, queue: str) -> tuple[list[ClassView], list[GroupView]]:
        """Classes and groups of a revision."""

    def staff(self) -> dict[str, tuple[int, bool]]:
        """Group, and whether ready, of each agent."""


class Naming(Reading, Protocol):
    """A router, whose events name interactions."""

    def interaction(self, name: str) -> Ask:
        """A live interaction."""

    def home(self, agent: str) -> int:
        """The group of an agent who has time enough left."""


@attrs.frozen(kw_only=True, eq=False)
class Seen:
    """What happened in a queue, as columns instead of events.

    ``arrived``, ``taken`` and ``left`` have a cell for each interaction that began to wait, that its first agent took,
    and whose customer left: the place, in :meth:`Reading.revision_views`, of the class that it had arrived in.
    ``groups`` says who took it: the place of the agent's group when he has time enough left.
    """

    arrived: Places
    taken: Places
    groups: Places
    left: Places


@attrs.frozen
class Alarm:
    """Not feasible at this staffing: the gates of a queue are wide open, and its target is missed all the same."""

    queue: str
    since: int
    service_level: float
    target: float


@attrs.define(eq=False)
class _Line:
    """What the desk keeps of one queue."""

    strategy: Revenue
    log_beta: float
    whole: Composed | None = None
    """What the strategy is a part of."""
    classes: list[ClassView] = attrs.Factory(list)
    groups: list[GroupView] = attrs.Factory(list)
    worth: dict[str, Reals] = attrs.Factory(dict)
    """By metric, classes x groups, in minor units; NaN where a group may not."""
    plain: Tables = attrs.Factory(Tables)
    """What the strategy answers without prices."""
    load: Reals = attrs.field(factory=lambda: np.zeros(0))
    """Units of capacity that an interaction of a class takes."""
    lost: Reals = attrs.field(factory=lambda: np.zeros(0))
    arrived: Reals = attrs.field(factory=lambda: np.zeros(0))
    """Arrivals by class as of the last solution, those long ago counted less."""
    fresh: npt.NDArray[np.int64] = attrs.field(factory=lambda: np.zeros(0, np.int64))
    """Arrivals by class since then."""
    seen: float = 0.0
    """How many outcomes the service level below is made of, those long ago counted less."""
    good: float = 0.0
    open_for: int = 0
    """Intervals in a row with the gate wide open and the target missed."""
    gamma: float = math.nan
    """Minor units per ms of waiting, as of the last answer."""

    def learn(
        self,
        plan: Plan,
        strategy: Revenue,
        whole: Composed | None,
        classes: list[ClassView],
        groups: list[GroupView],
    ) -> None:
        """Ask for the worth of what is new. O(new cells), everything where the plan made classes anew."""
        same = (strategy, whole) == (self.strategy, self.whole)
        same = same and all(map(is_, self.classes, classes)) and all(map(is_, self.groups, groups))
        known = (len(self.classes), len(self.groups)) if same and len(classes) >= len(self.classes) else (0, 0)
        if known == (len(classes), len(groups)):
            return
        old, arrived, fresh = self.worth, self.arrived, self.fresh
        names, closed = strategy.metrics(), _closed(whole, classes, groups)
        self.worth = {name: np.full((len(classes), len(groups)), np.nan) for name in names}
        for name in names if known[0] else ():
            self.worth[name][: known[0], : known[1]] = old[name]
        for k, view in enumerate(classes):
            for g, group in enumerate(groups):
                open_ = (k >= known[0] or g >= known[1]) and not closed[k, g]
                if open_ and group.may_serve(view.queue, view.requirement):
                    for name, amount in strategy.worth(view, group).items():
                        self.worth[name][k, g] = amount
        loads = {channel.name: channel.load for channel in plan.channels}
        self.plain = strategy.tables(classes, groups)
        self.load = np.array([loads.get(view.channel, 1) for view in classes], np.float64)
        self.lost = np.array([strategy.lost(view) for view in classes], np.float64)
        self.arrived, self.fresh = np.zeros(len(classes)), np.zeros(len(classes), np.int64)
        self.arrived[: known[0]], self.fresh[: known[0]] = arrived[: known[0]], fresh[: known[0]]
        self.strategy, self.whole, self.classes, self.groups = strategy, whole, classes, groups

    def value(self, weights: Mapping[str, float]) -> Reals:
        """What each match earns in all, with what it saves of losses. O(metrics * cells)."""
        value = np.zeros((len(self.classes), len(self.groups)))
        for name, amounts in self.worth.items():
            value += self.weight(name, weights) * amounts
        return value + self.lost[:, None]

    def weight(self, metric: str, weights: Mapping[str, float]) -> float:
        """What a unit of a metric counts. O(1)."""
        return weights.get(metric, self.strategy.weights.get(metric, 1.0))

    def fluid(self, weights: Mapping[str, float], span_ms: float, groups: int, *, first: bool) -> Fluid:
        """The fluid problem of this queue, ``first``: of the classes that interactions enter. O(cells)."""
        rows = [k for k, view in enumerate(self.classes) if not first or view.step == 0]
        value = np.full((len(rows), groups), np.nan)
        value[:, : len(self.groups)] = self.value(weights)[rows]
        handle = np.broadcast_to(self.strategy.handle_ms * self.load[rows, None], value.shape)
        demand = self.arrived[rows] / max(span_ms, 1.0)
        return Fluid(value=value, handle=handle, demand=demand, supply=np.zeros(groups))


@attrs.frozen(kw_only=True, eq=False)
class _Asked:
    """All that the answer to one question needs, as it was when it was asked."""

    due: e.RevisionDue
    line: _Line
    strategy: Revenue
    whole: Composed | None
    classes: list[ClassView]
    groups: list[GroupView]
    plain: Tables
    fluid: Fluid
    beta: float
    gamma: float
    alike: bool


def _closed(whole: Composed | None, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Cells:
    """The pairs that a part of a composition never opens. O(parts * cells)."""
    opens = None if whole is None else whole.tables(classes, groups).opens
    shape = len(classes), len(groups)
    return np.zeros(shape, np.bool_) if opens is None else np.array(opens, np.int64).reshape(shape) == NEVER


class Desk:
    """Answers the revisions of all queues of a router that have the revenue strategy, or a composition with it.

    Give it every list of events, and apply what it answers at the same instant or later::

        for command in desk.hear(router, events):
            router.apply(now, command)

    It counts arrivals by class, solves the fluid problem once an interval over all these queues and all ready agents,
    and moves each queue's ``beta`` towards its target (``Queue.target``; a queue without one keeps its ``beta``). A
    desk that is made anew learns anew; until its first answer a queue routes by skills, or by the last tables.

    What takes long can be done elsewhere: :meth:`questions` hears the same and only asks, so that a service goes on.
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        goals: Sequence[Goal] = (),
        staffed: Callable[[int], Iterable[str]] | None = None,
    ) -> None:
        self.weights: dict[str, float] = dict(weights or {})
        """Weights that differ from those of the strategies; change them whenever you like."""
        self.alarms: dict[str, Alarm] = {}
        """By queue, what cannot be met now."""
        self.prices: Prices | None = None
        """The last prices; of agents by group, per ms."""
        self.staffed = staffed
        """Who is expected to take interactions when prices are made at an instant; None: who is ready then."""
        self.goals = tuple(goals)
        """Metrics that follow a plan; their weights in :attr:`weights` are moved."""
        self.earned: dict[str, int] = {}
        """What has been earned by metric since the desk was made, in minor units."""
        self._lines: dict[str, _Line] = {}
        self._places: dict[tuple[str, str, str, int], int] = {}
        self._waiting: dict[str, tuple[str, int]] = {}
        """Queue and class of what waits."""
        self._arms = (Arm(), Arm())
        self._solved_at: int | None = None
        self._span = 0.0
        self._fluid: Fluid | None = None
        """The last problem that was given to be solved."""
        self._unsolved: deque[tuple[Fluid, bool]] = deque(maxlen=1)
        """A problem that waits for whoever answers next, and whether by steps."""
        self._scale, self._alike = 1.0, False

    def beta(self, queue: str) -> float:
        """The regret conceded per unit of waiting, in mean values per handle time. Raises KeyError."""
        return math.exp(self._lines[queue].log_beta)

    def gamma(self, queue: str) -> float:
        """What a ms of waiting weighs against regret, in minor units: a cost of the tables times this is a regret.

        NaN before the queue's first answer. Raises KeyError.
        """
        return self._lines[queue].gamma

    def service_level(self, queue: str) -> float:
        """The share answered in time over the strategy's memory; NaN before the first outcome. Raises KeyError."""
        line = self._lines[queue]
        return line.good / line.seen if line.seen else math.nan

    def hear(self, router: Naming, events: Iterable[e.Event]) -> list[Revise]:
        """Take note of what happened, and answer what is asked. O(events); O(LP) once an interval."""
        return [question.answer() for question in self.questions(router, events)]

    def questions(self, router: Naming, events: Iterable[e.Event]) -> list[Question]:
        """Take note of what happened, and return what is asked. O(events); O(cells) once an interval.

        A question holds all that its answer needs: it reads no router, and it may be answered on another thread while
        this one goes on hearing.
        """
        found: list[Question] = []
        for event in events:
            kind = type(event)
            if kind is e.Queued:
                self._count(router, event)  # type: ignore[arg-type]
            elif kind is e.Connected:
                self._earn(router, event)  # type: ignore[arg-type]
            elif kind is e.Abandoned:
                self._end(event.interaction, 0.0)  # type: ignore[union-attr]
            elif kind is e.Cancelled:
                self._waiting.pop(event.interaction, None)  # type: ignore[union-attr]
            elif kind is e.RevisionDue:
                asked = self._ask(router, event)  # type: ignore[arg-type]
                if asked is not None:
                    found.append(Question(asked.due.queue, partial(self._revise, asked)))
        return found

    def observe(self, router: Reading, queue: str, seen: Seen) -> None:
        """Take note of what happened in a queue, as columns. O(cells), O(metrics) for each who was taken."""
        line = self._line(router, queue)
        if line is None:
            return
        line.fresh += np.bincount(seen.arrived, minlength=len(line.classes))
        held = np.array([view.held_out for view in line.classes])
        for kind, arm in enumerate(self._arms):
            arm.add(int((held[seen.left] == kind).sum()), 0.0, 0.0)
        if not len(seen.taken):
            return
        total = np.zeros(len(seen.groups))
        for name, worth in line.worth.items():
            amounts = np.nan_to_num(worth[seen.taken, seen.groups], copy=False)
            self.earned[name] = self.earned.get(name, 0) + int(amounts.sum())
            total += line.weight(name, self.weights) * amounts
        for kind, arm in enumerate(self._arms):
            own = total[held[seen.taken] == kind]
            arm.add(len(own), float(own.sum()), float((own * own).sum()))

    def _line(self, router: Reading, queue: str) -> _Line | None:
        """What is known of a queue, brought up to date; None where it has another strategy."""
        line = self._lines.get(queue)
        plan = router.plan
        given = next((value.strategy for value in plan.queues if value.name == queue), None)
        whole, strategy = given if isinstance(given, Composed) else None, priced_by(given)
        if strategy is None:
            self._lines.pop(queue, None)
            return None
        if line is None:
            line = self._lines[queue] = _Line(strategy, math.log(strategy.start))
        classes, groups = router.revision_views(queue)
        if line.classes and not all(map(is_, line.classes, classes)):
            self._places.clear()
            self._waiting.clear()
        line.learn(plan, strategy, whole, classes, groups)
        return line

    def _count(self, router: Naming, event: e.Queued) -> None:
        """One more arrival of a class."""
        try:
            ask = router.interaction(event.interaction)
        except LookupError:
            return
        key = event.queue, ask.channel, ask.needs, 2 * ask.value + ask.held_out
        place = self._places.get(key)
        if place is None:
            line = self._line(router, event.queue)
            place = -1 if line is None else _place(router.plan, line, *key)
            self._places[key] = place
        if place >= 0:
            self._lines[event.queue].fresh[place] += 1
            self._waiting[event.interaction] = event.queue, place

    def _earn(self, router: Naming, event: e.Connected) -> None:
        """An agent has it: what the match is worth counts, however little time he has left. O(metrics)."""
        found = self._waiting.get(event.interaction)
        line = None if found is None else self._lines.get(found[0])
        if found is None or line is None:
            return
        place, group, total = found[1], router.home(event.agent), 0.0
        if group >= len(line.groups):
            self._line(router, found[0])
        for name, amounts in line.worth.items() if place < len(line.classes) else ():
            amount = 0 if np.isnan(amounts[place, group]) else int(amounts[place, group])
            self.earned[name] = self.earned.get(name, 0) + amount
            total += line.weight(name, self.weights) * amount
        self._end(event.interaction, total)

    def _end(self, interaction: str, earned: float) -> None:
        """What waited has its end. O(1)."""
        found = self._waiting.pop(interaction, None)
        line = None if found is None else self._lines.get(found[0])
        if found is not None and line is not None and found[1] < len(line.classes):
            self._arms[line.classes[found[1]].held_out].add(1, earned, earned * earned)

    def lift(self) -> Lift:
        """What routing for value earns more than on those held out; NaN until both have two. O(1)."""
        priced, held = self._arms
        more, error = priced.mean() - held.mean(), 1.96 * math.sqrt(priced.error() + held.error())
        return Lift(more, more - error, more + error, priced.count, held.count)

    def _pace(self, at: int) -> None:
        """Move the weights of goals by how far each is behind its plan. O(goals * points)."""
        for goal in self.goals:
            behind = goal.planned(at) - self.earned.get(goal.metric, 0)
            strategies = [line.strategy for line in self._lines.values()]
            usual = next((value.weights[goal.metric] for value in strategies if goal.metric in value.weights), 1.0)
            weight = self.weights.get(goal.metric, usual)
            factor = math.exp(min(1.0, max(-1.0, goal.rate * behind / goal.points[-1][1])))
            self.weights[goal.metric] = min(WEIGHT_MAX, max(1 / WEIGHT_MAX, weight * factor))

    def question(self, router: Reading, due: e.RevisionDue) -> Callable[[], Tables] | None:
        """Ask, and return what answers with the tables that a queue gets; None where it has another strategy. O(cells).

        The answer is O(cells), and O(LP) once an interval. As in :meth:`hear`, all ask before the first is answered.
        """
        asked = self._ask(router, due)
        return None if asked is None else partial(self._tables, asked)

    def _ask(self, router: Reading, due: e.RevisionDue) -> _Asked | None:
        """Look at what an answer needs, and give out the problem of new prices where they are due. O(cells)."""
        line = self._line(router, due.queue)
        if line is None:
            return None
        self._learn_service(router.plan, line, due)
        if self.solves(line.strategy, due.at):
            self._pose(router, due.at)
        strategy = line.strategy
        unit = self._scale / strategy.handle_ms
        return _Asked(
            due=due,
            line=line,
            strategy=strategy,
            whole=line.whole,
            classes=line.classes,
            groups=line.groups,
            plain=line.plain,
            fluid=line.fluid(self.weights, 1.0, len(line.groups), first=False),
            beta=math.exp(line.log_beta) * unit,
            gamma=strategy.gamma * unit,
            alike=self._alike,
        )

    def _revise(self, asked: _Asked) -> Revise:
        due, sizes = asked.due, (len(asked.classes), len(asked.groups))
        return Revise.of(due.queue, due.version, *sizes, self._tables(asked))

    def _tables(self, asked: _Asked) -> Tables:
        """What is answered, by prices that are computed first where that is due. O(cells), O(LP)."""
        self._solve()
        assert self.prices is not None, "there are no prices"
        agent, groups = self.prices.agent, len(asked.groups)
        agent = np.concatenate([agent, np.zeros(max(0, groups - len(agent)))])[:groups]
        conceded = np.zeros(asked.fluid.value.shape) if asked.alike else regrets(asked.fluid, agent)
        conceded[[k for k, view in enumerate(asked.classes) if view.held_out]] = 0.0
        asked.line.gamma = asked.gamma
        tables = asked.strategy.priced(asked.plain, conceded.ravel(), asked.beta, asked.gamma)
        if asked.whole is not None:
            known = {asked.strategy.name: tables}
            tables = asked.whole.revise(observed(asked.due), asked.classes, asked.groups, known).tables
        return tables

    def _solve(self) -> None:
        """Solve the problem that waits, if one does; where that fails, the next interval asks again. O(LP)."""
        try:
            fluid, steps = self._unsolved.pop()
        except IndexError:
            return
        try:
            self.prices = unsolved(fluid) if steps else solve(fluid)
        except BaseException:
            self._fluid = None
            raise

    def solves(self, strategy: Revenue, at: int) -> bool:
        """Whether an answer for a queue with this strategy begins with new prices. O(1)."""
        return self._solved_at is None or at - self._solved_at >= strategy.interval_ms

    def _learn_service(self, plan: Plan, line: _Line, due: e.RevisionDue) -> None:
        """Move ``beta`` by what the interval's outcomes missed, and raise or clear the alarm. O(queues)."""
        target = next(queue.target for queue in plan.queues if queue.name == due.queue)
        if target is None:
            return
        outcomes, strategy = due.connected + due.abandoned, line.strategy
        kept = math.exp(-strategy.interval_ms / strategy.memory_ms)
        line.seen, line.good = line.seen * kept + outcomes, line.good * kept + due.in_target
        low, high = math.log(strategy.least), math.log(strategy.most)
        moved = line.log_beta + strategy.gain * (target.share * outcomes - due.in_target)
        line.log_beta = min(high, max(low, moved))
        missed = line.log_beta > high - 1 and line.good < target.share * line.seen
        line.open_for = line.open_for + 1 if missed else 0
        if line.open_for >= ALARM_AFTER:
            known = self.alarms.get(due.queue)
            since = due.at if known is None else known.since
            self.alarms[due.queue] = Alarm(due.queue, since, line.good / line.seen, target.share)
        elif line.log_beta < high - 2:
            self.alarms.pop(due.queue, None)

    def _pose(self, router: Reading, at: int) -> None:
        """The problem of new prices, from the arrivals that were counted and the agents who are ready. O(cells)."""
        lines = [line for name in sorted(self._lines) if (line := self._line(router, name)) is not None]
        passed = 0 if self._solved_at is None else at - self._solved_at
        memory = max(line.strategy.memory_ms for line in lines)
        if self._solved_at is None:
            passed = max(line.strategy.interval_ms for line in lines)
        self._pace(at)
        for line in lines:
            line.arrived += line.fresh
            line.fresh[:] = 0
        span, groups = self._span + passed, lines[0].groups
        parts = [line.fluid(self.weights, span, len(groups), first=True) for line in lines]
        staff = np.zeros(len(groups))
        expected = None if self.staffed is None else frozenset(self.staffed(at))
        for name, (group, ready) in router.staff().items():
            staff[group] += (ready if expected is None else name in expected) and groups[group].units
        most = min(line.strategy.occupancy for line in lines)
        fluid = Fluid(
            value=np.vstack([part.value for part in parts]),
            handle=np.vstack([part.handle for part in parts]),
            demand=np.concatenate([part.demand for part in parts]),
            supply=staff * most,
            least=staff * min(most, max(line.strategy.busy for line in lines)),
        )
        pairs = able(fluid)
        values, handles = fluid.value[pairs], fluid.handle[pairs]
        self._scale = float(np.abs(values).mean()) if values.size and values.any() else 1.0
        self._alike = not values.size or bool((values == values[0]).all() and (handles == handles[0]).all())
        if self._fluid is None or moved(self._fluid, fluid):
            steps = all(line.strategy.solver == "steps" for line in lines)
            self._unsolved.append((fluid, steps))
            self._fluid = fluid
        kept = math.exp(-passed / memory)
        for line in lines:
            line.arrived *= kept
        self._span, self._solved_at = span * kept, at


def priced_by(strategy: object) -> Revenue | None:
    """The strategy, or its part, for which a desk answers; None where there is none. O(parts)."""
    found = strategy.part(Revenue) if isinstance(strategy, Composed) else strategy
    return found if isinstance(found, Revenue) else None


def observed(due: e.RevisionDue) -> Observed:
    """The counts of an event as a strategy is given them. O(1)."""
    return Observed(**{field.name: getattr(due, field.name) for field in attrs.fields(Observed)})


def _place(plan: Plan, line: _Line, queue: str, channel: str, needs: str, lane: int) -> int:
    """The class that an interaction entered, -1 where none is known. O(classes)."""
    own = next(value.requirement for value in plan.queues if value.name == queue)
    whole = conjunction(own, parse(needs)).text
    for k, view in enumerate(line.classes):
        if (view.step, view.lane, view.channel, view.requirement.text) == (0, lane, channel, whole):
            return k
    return -1


def moved(old: Fluid, new: Fluid) -> bool:
    """Whether a fluid problem is so far from one whose prices are known that it has to be solved. O(cells)."""
    if old.value.shape != new.value.shape or np.abs(new.demand - old.demand).sum() > MOVED * old.demand.sum():
        return True
    parts = ("supply", "least", "handle", "value")
    return not all(np.array_equal(getattr(old, of), getattr(new, of), equal_nan=of == "value") for of in parts)
