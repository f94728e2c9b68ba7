"""Strategies that are asked again while columns are driven: what they are told, and what becomes of their answers.

The driver stops behind the deadlines of an instant at which a control interval was over. A desk answers for the queues
with the revenue strategy, any other strategy by its own ``revise``; a queue for which nobody answers keeps its tables.
"""

from __future__ import annotations

import heapq

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
    releases: list[tuple[int, int, int, int]] = Factory(list)
    """When capacity comes free: instant, row, queue, and how long it was held."""
    queue_of: Numbers = _NONE
    """By class."""
    place_of: Numbers = _NONE
    """By class, its place among those of its queue."""

    def __attrs_post_init__(self) -> None:
        values = list(enumerate(self.naming.queue_values))
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
        views = [naming.class_names[k].view for k in naming.queue_classes[naming.queues[queue]]]
        return views, naming.group_views.copy()

    def staff(self) -> dict[str, tuple[int, bool]]:
        """By agent: the place of the group in :meth:`revision_views`, and whether the agent is ready. O(agents)."""
        rows = ((name, self.naming.core.agent(j)) for name, j in self.naming.agents.items())
        return {name: (row[1], row[0] == Presence.READY) for name, row in rows}

    # What happened ---------------------------------------------------------------------------------------------------

    def look(self, table: dict[str, Column], rows: int, now: int) -> None:
        """Take note of what has become of the first ``rows`` rows by ``now``. O(live + new)."""
        if len(self.queue_of) < len(self.naming.class_names):
            self._number()
        agent, end = table["agent"], table["end"]
        waiting = np.concatenate((self.waiting, np.arange(self.known, rows)))
        fresh = np.arange(self.known, rows)
        self.known = rows
        taken = waiting[agent[waiting] >= 0]
        left = waiting[(agent[waiting] < 0) & (table["how"][waiting] == OutcomeCode.ABANDONED)]
        self.waiting = waiting[(agent[waiting] < 0) & (end[waiting] < 0)]
        if self.priced:
            # What a queue refused, or cancelled as it came, has never waited.
            cancelled = (table["how"][fresh] == OutcomeCode.CANCELLED) & (end[fresh] == table["arrival_ms"][fresh])
            self._tell(table, fresh[(agent[fresh] != BLOCKED) & ~cancelled], taken, left)
        if self.handled:
            talking = np.concatenate((self.talking, taken))
            over = end[talking] >= 0
            self.talking = talking[~over]
            self._measure(table, talking[over], now)

    def _number(self) -> None:
        names = self.naming.class_names
        self.queue_of = np.array([name.queue for name in names], np.intp)
        self.place_of = np.zeros(len(names), np.intp)
        for classes in self.naming.queue_classes:
            self.place_of[classes] = np.arange(len(classes))

    def _tell(self, table: dict[str, Column], *rows: Numbers) -> None:
        """Tell the desk, queue by queue, of rows that arrived, were taken, left."""
        classes = [table["class"][some] for some in rows]
        queues = [self.queue_of[some] for some in classes]
        for q in self.priced:
            chosen = [some == q for some in queues]
            if not any(some.any() for some in chosen):
                continue
            arrived, taken, left = (self.place_of[k[of]] for k, of in zip(classes, chosen, strict=True))
            agents = table["agent"][rows[1][chosen[1]]]
            seen = Seen(arrived=arrived, taken=taken, agents=agents.astype(np.intp), left=left)
            self.desk.observe(self, self.naming.queue_names[q], seen)

    def _measure(self, table: dict[str, Column], over: Numbers, now: int) -> None:
        """Note when those who were served give an agent's capacity back, and count what was given back by ``now``."""
        naming, capacity = self.naming, self.naming.capacity
        for row in over[table["how"][over] == OutcomeCode.SERVED].tolist():
            name = naming.class_names[table["last_class"][row]]
            if name.queue not in self.handled:
                continue
            second = table["start2"][row] >= 0
            began, end = int(table["start2" if second else "start"][row]), int(table["end"][row])
            wrap_up = int(table["wrap_up2" if second else "wrap_up"][row])
            if wrap_up < 0:
                wrap_up = naming.queue_values[name.queue].wrap_up_ms or 0
            if "wrap_up" not in capacity.values[capacity.kinds[name.channel][0]].reserves:
                wrap_up = 0
            heapq.heappush(self.releases, (end + wrap_up, int(table["row"][row]), name.queue, end + wrap_up - began))
        while self.releases and self.releases[0][0] <= now:
            _, _, q, held_ms = heapq.heappop(self.releases)
            self.handled[q].add(min(held_ms, HANDLE_MAX))

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Only these rows of the table are left, in their order. O(rows)."""
        number = np.cumsum(kept) - 1
        self.waiting, self.talking = number[self.waiting], number[self.talking]
        self.known = int(np.count_nonzero(kept))

    # Answers ---------------------------------------------------------------------------------------------------------

    def listens(self, queues: list[int], now: int) -> bool:
        """Whether answers for these queues depend on what :meth:`look` takes note of. O(queues)."""
        values = self.naming.queue_values
        priced = (priced_by(values[q].strategy) for q in queues)
        return any(q in self.handled for q in queues) or any(p is not None and self.desk.solves(p, now) for p in priced)

    def answer(self, queues: list[int], now: int) -> None:
        """Ask for the tables of queues, then write them, in order. O(cells + waiting), O(LP) once an interval.

        Raises PlanError where a strategy fails.
        """
        answers = [(q, self._asked(self._due(q, now), q)) for q in queues]
        naming = self.naming
        for q, tables in answers:
            if tables is not None:
                naming.write(naming.queue_classes[q], range(len(naming.group_views)), tables)
                naming.core.revised(q)
                naming.core.refresh(now)

    def _due(self, q: int, now: int) -> RevisionDue:
        """What a router would tell; the number of the event means nothing here."""
        _, version, entered, connected, in_target, abandoned = self.naming.core.queue(q)
        permille, times = handle_permille(self.naming.queue_values[q]), self.handled.get(q)
        handle_ms = None if permille is None or times is None else times.quantile(permille)
        counts = entered, connected, in_target, abandoned, handle_ms
        return RevisionDue(0, now, self.naming.queue_names[q], version, *counts)

    def _asked(self, due: RevisionDue, q: int) -> Tables | None:
        """The new tables of a queue, None where nobody answers for it."""
        if q in self.priced:
            return self.desk.answer(self, due)
        strategy = self.naming.queue_values[q].strategy
        revise = getattr(strategy, "revise", None)
        if revise is None:
            return None
        classes, groups = self.revision_views(due.queue)
        try:
            found: Revision = revise(observed(due), classes, groups)
            check_tables(found.tables, len(classes), len(groups))
        except Exception as error:
            name = getattr(strategy, "name", type(strategy).__name__)
            message = f"the strategy {name!r} of queue {due.queue!r} failed: {error}"
            raise PlanError(message, field="strategy") from error
        return found.tables
