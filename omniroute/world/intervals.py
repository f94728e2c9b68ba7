"""Strategies that are asked again while columns are driven: what they are told, and what becomes of their answers.

The driver stops behind the deadlines of an instant at which a control interval was over. A desk answers for the queues
with the revenue strategy, any other strategy by its own ``revise``; a queue for which nobody answers keeps its tables.
What is observed has all that the deadlines of the instant did: where agents accept at once, those count as connected
whom such a deadline gave an agent, set-up or none; where agents answer, a set-up of that instant comes about behind it.

Columns number everything before the first instant, a router what comes when it comes. So that both get the same
answers, a class counts here from the first interaction that enters it or a class that leads to it, and a group of
agents with little time left from the first of them who is told an obligation. Handle times of one instant count here in
the order of rows, which a router cannot know: only where their counts are halved, or no more pairs fit, in the midst of
such an instant could it tell a strategy something else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import Factory, define, field

from omniroute.answers import check_tables
from omniroute.core.estimate import HandleTimes
from omniroute.core.estimate.integers import HANDLE_MAX
from omniroute.core.lifecycle import Presence
from omniroute.errors import PlanError
from omniroute.events import RevisionDue
from omniroute.naming import Naming
from omniroute.obligations import rungs
from omniroute.pair_times import PairTimes
from omniroute.plan import Plan
from omniroute.plan_numbers import handle_permille
from omniroute.strategies.desk import Desk, Seen, observed, priced_by
from omniroute.strategies.protocol import ClassView, GroupView, Revision, Tables
from omniroute.world.bare import BLOCKED
from omniroute.world.outcome import OutcomeCode
from omniroute.world.workload import Column

__all__ = ["Intervals", "are_asked"]

Numbers = npt.NDArray[np.intp]
"""Rows of the table that is driven, or other places."""
_NONE = np.empty(0, np.intp)


def are_asked(plan: Plan) -> bool:
    """Whether a strategy of a plan wants to be asked again. O(queues)."""
    return any(getattr(queue.strategy, "interval_ms", None) is not None for queue in plan.queues)


@define(eq=False)
class Intervals:
    """What is known of a world at its control deadlines; ``naming`` is that of its core."""

    naming: Naming
    desk: Desk
    known: int = 0
    """Rows of the table that have been looked at."""
    waiting: Numbers = _NONE
    """Rows that no agent has had."""
    talking: Numbers = _NONE
    """Rows that an agent had, and that were not over."""
    priced: frozenset[int] = field(init=False)
    """The queues for which the desk answers."""
    handled: dict[int, HandleTimes] = field(init=False)
    """By queue that wants to know them."""
    pairs: PairTimes = Factory(PairTimes)
    """By class and group of these queues."""
    releases: list[tuple[int, int, int, int, int, int]] = Factory(list)
    """When capacity comes free: instant, row, queue, class, home of the agent, and how long it was held."""
    queue_of: Numbers = _NONE
    """By class."""
    place_of: Numbers = _NONE
    """By class, the place of the first like it among those of its queue; -1 before it has come."""
    alike: dict[tuple[int, int, int, str, str], int] = Factory(dict)
    """That place by queue, step, lane, channel and requirement: as a desk tells interactions of a router apart."""
    classes: list[list[int]] = field(init=False)
    """By queue, the classes that have come."""
    groups: dict[int, int] = field(init=False)
    """The groups that have come, with their places."""
    homes: Numbers = field(init=False)
    """By agent, the group when he has time enough left."""

    def __attrs_post_init__(self) -> None:
        values = list(enumerate(self.naming.queue_values))
        self.classes = [[] for _ in values]
        agents = self.naming.agents.values()
        self.homes = np.array([self.naming.core.obligation(j)[0] for j in agents], np.intp)
        self.groups = {g: g for g in range(len(self.naming.group_views))}
        self.priced = frozenset(q for q, value in values if priced_by(value.strategy) is not None)
        self.handled = {q: HandleTimes() for q, value in values if handle_permille(value) is not None}

    # What the desk reads ---------------------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The plan that is driven."""
        return self.naming.plan

    def revision_views(self, queue: str) -> tuple[list[ClassView], list[GroupView]]:
        """The classes and groups that a revision of a queue answers for. O(both)."""
        naming = self.naming
        views = [naming.class_names[k].view for k in self.classes[naming.queues[queue]]]
        return views, [naming.group_views[g] for g in self.groups]

    def staff(self) -> dict[str, tuple[int, bool]]:
        """By agent: the place of the group in :meth:`revision_views`, and whether the agent is ready. O(agents)."""
        rows = ((name, self.naming.core.agent(j)) for name, j in self.naming.agents.items())
        return {name: (self.groups[row[1]], row[0] == Presence.READY) for name, row in rows}

    # What happened ---------------------------------------------------------------------------------------------------

    def meet(self, agents: Column) -> None:
        """These agents have been told an obligation: the groups that lie before them have come. O(agents * edges)."""
        naming = self.naming
        for j in agents.tolist() if len(self.groups) < len(naming.group_views) else ():
            for g in rungs(naming, naming.agent_values[j]):
                self.groups.setdefault(g, len(self.groups))

    def look(self, table: dict[str, Column], rows: int, now: int) -> None:
        """Take note of what has become of the first ``rows`` rows by ``now``. O(live + new)."""
        agent, end, how = table["agent"], table["end"], table["how"]
        fresh = np.arange(self.known, rows)
        self.known = rows
        fresh = fresh[agent[fresh] != BLOCKED]
        waiting = np.concatenate((self.waiting, fresh))
        had = agent[waiting] >= 0
        taken, left = waiting[had], waiting[~had & (how[waiting] == OutcomeCode.ABANDONED)]
        self.waiting = waiting[~had & (end[waiting] < 0)]
        talking = np.concatenate((self.talking, taken))
        over = end[talking] >= 0
        self.talking = talking[~over]
        self._come(table, fresh, talking)
        if self.priced:
            # What a step cancelled as it came had gone before anybody could look at it.
            gone = (how[fresh] == OutcomeCode.CANCELLED) & (end[fresh] == table["arrival_ms"][fresh])
            self._tell(table, fresh[~gone], taken, left)
        if self.handled:
            self._measure(table, talking[over], now)

    def _come(self, table: dict[str, Column], fresh: Numbers, talking: Numbers) -> None:
        """Number the classes that were entered for the first time, in order. O(rows)."""
        names = self.naming.class_names
        if len(self.place_of) < len(names):
            new = len(names) - len(self.place_of)
            self.queue_of = np.array([name.queue for name in names], np.intp)
            self.place_of = np.concatenate((self.place_of, np.full(new, -1)))
        if (self.place_of >= 0).all():
            return
        moved = talking[table["moved"][talking] >= 0]
        firsts: list[tuple[int, int, int, int]] = []
        for turn, rows, at, class_ in ((0, moved, "moved", "class2"), (1, fresh, "arrival_ms", "class")):
            rows = rows[self.place_of[table[class_][rows]] < 0]
            rows = rows[np.lexsort((rows, table[at][rows]))]
            for first in np.unique(table[class_][rows], return_index=True)[1].tolist():
                row = rows[first]
                firsts.append((int(table[at][row]), turn, int(row), int(table[class_][row])))
        for _, _, _, k in sorted(firsts):
            for new in sorted(self._led_to(k)):
                view, own = names[new].view, self.classes[names[new].queue]
                key = names[new].queue, view.step, view.lane, view.channel, view.requirement.text
                self.place_of[new] = self.alike.setdefault(key, len(own))
                if not names[new].passing:
                    own.append(new)

    def _led_to(self, k: int) -> set[int]:
        """A class and those that it leads to, as far as they have not come. O(steps)."""
        found, ahead = set[int](), [k]
        while ahead:
            k = ahead.pop()
            if k >= 0 and self.place_of[k] < 0 and k not in found:
                found.add(k)
                ahead += (self.naming.class_names[k].following, self.naming.class_names[k].copy)
        return found

    def _tell(self, table: dict[str, Column], *rows: Numbers) -> None:
        """Tell the desk, queue by queue, of rows that arrived, were taken, left."""
        classes = [table["class"][some] for some in rows]
        queues = [self.queue_of[some] for some in classes]
        for q in self.priced:
            chosen = [some == q for some in queues]
            if not any(some.any() for some in chosen):
                continue
            arrived, taken, left = (self.place_of[k[of]] for k, of in zip(classes, chosen, strict=True))
            groups = self.homes[table["agent"][rows[1][chosen[1]]]]
            seen = Seen(arrived=arrived, taken=taken, groups=groups, left=left)
            self.desk.observe(self, self.naming.queue_names[q], seen)

    def _measure(self, table: dict[str, Column], over: Numbers, now: int) -> None:
        """Note when those who were served give an agent's capacity back, and count what was given back by ``now``."""
        naming, capacity = self.naming, self.naming.capacity
        for row in over[table["how"][over] == OutcomeCode.SERVED].tolist():
            k = int(table["last_class"][row])
            name = naming.class_names[k]
            if name.queue not in self.handled:
                continue
            second = table["start2"][row] >= 0
            began, end = int(table["start2" if second else "start"][row]), int(table["end"][row])
            wrap_up = int(table["wrap_up2" if second else "wrap_up"][row])
            if wrap_up < 0:
                wrap_up = naming.queue_values[name.queue].wrap_up_ms or 0
            if "wrap_up" not in capacity.values[capacity.kinds[name.channel][0]].reserves:
                wrap_up = 0
            home, held_ms = int(self.homes[table["agent2" if second else "agent"][row]]), end + wrap_up - began
            heapq.heappush(self.releases, (end + wrap_up, int(table["row"][row]), name.queue, k, home, held_ms))
        while self.releases and self.releases[0][0] <= now:
            _, _, q, k, home, held_ms = heapq.heappop(self.releases)
            handle_ms = min(held_ms, HANDLE_MAX)
            self.handled[q].add(handle_ms)
            self.pairs.add(naming, (k, home), handle_ms)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Only these rows of the table are left, in their order. O(rows)."""
        number = np.cumsum(kept) - 1
        self.waiting, self.talking = number[self.waiting], number[self.talking]
        self.known = int(np.count_nonzero(kept))

    # Answers ---------------------------------------------------------------------------------------------------------

    def listens(self, queues: list[int], now: int) -> bool:
        """Whether answers for these queues depend on what :meth:`look` takes note of. O(queues)."""
        values = self.naming.queue_values
        if len(self.place_of) < len(self.naming.class_names) or (self.place_of < 0).any():
            return True
        priced = (priced_by(values[q].strategy) for q in queues)
        return any(q in self.handled for q in queues) or any(p is not None and self.desk.solves(p, now) for p in priced)

    def answer(self, queues: list[int], now: int) -> None:
        """Ask for the tables of queues, then write them, in order. O(cells + waiting), O(LP) once an interval.

        Raises PlanError where a strategy fails.
        """
        naming, asked = self.naming, [(q, self._asked(self._due(q, now), q)) for q in queues]
        for q, tables in [(q, None if answer is None else answer()) for q, answer in asked]:
            if tables is not None:
                naming.core.advance(now)
                naming.write(self.classes[q], list(self.groups), tables)
                naming.core.revised(q)
                naming.core.refresh(now)

    def _due(self, q: int, now: int) -> RevisionDue:
        """What a router would tell; the number of the event means nothing here."""
        _, version, entered, connected, in_target, abandoned = self.naming.core.queue(q)
        counts = entered, connected, in_target, abandoned
        return RevisionDue(0, now, self.naming.queue_names[q], version, *counts, *self._times(q))

    def _times(self, q: int) -> tuple[int | None, tuple[tuple[int, int, int], ...]]:
        """The handle times that the strategy of a queue asks for: of the queue, and by class and group."""
        permille = handle_permille(self.naming.queue_values[q])
        if permille is None:
            return None, ()
        pairs = self.pairs.quantiles(self.naming, q, permille, self.classes[q], self.groups.get)
        return self.handled[q].quantile(permille), pairs

    def _asked(self, due: RevisionDue, q: int) -> Callable[[], Tables] | None:
        """What answers with the new tables of a queue, None where nobody answers for it."""
        if q in self.priced:
            return self.desk.question(self, due)
        strategy = self.naming.queue_values[q].strategy
        return partial(self._revised, due, strategy) if hasattr(strategy, "revise") else None

    def _revised(self, due: RevisionDue, strategy: Any) -> Tables:
        """What a strategy answers by itself. Raises PlanError."""
        classes, groups = self.revision_views(due.queue)
        try:
            found: Revision = strategy.revise(observed(due), classes, groups)
            check_tables(found.tables, len(classes), len(groups))
        except Exception as error:
            name = getattr(strategy, "name", type(strategy).__name__)
            message = f"the strategy {name!r} of queue {due.queue!r} failed: {error}"
            raise PlanError(message, field="strategy") from error
        return found.tables
