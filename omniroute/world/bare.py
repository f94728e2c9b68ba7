"""Worlds without names: integer tables in, a core out, and a core driven by columns.

For tests and benchmarks, which want to say exactly what the core sees; :mod:`omniroute.world.simulate` is for plans.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from omniroute import core as active
from omniroute.core.codes import AgentKey
from omniroute.core.lifecycle import PresenceMove
from omniroute.core.limits import HALF_LIFE
from omniroute.world.workload import ENDLESS, Column

if TYPE_CHECKING:
    from omniroute.core import Core, Driver

__all__ = [
    "BLOCKED",
    "MATCH_ALL",
    "NOBODY",
    "Answers",
    "Arrivals",
    "BareClass",
    "BareGroup",
    "BareQueue",
    "BareWorld",
    "Details",
    "PairRow",
    "Results",
    "Rows",
    "Transfers",
    "details_of",
    "drive_columns",
    "driver_for",
    "sign_in_all",
    "views",
]

Rows: TypeAlias = npt.NDArray[np.bool_]
"""A mask over rows."""
NOBODY: Final = -1
"""The agent of an interaction that nobody has handled; also the start or end of what has none."""
BLOCKED: Final = -2
"""The agent of an interaction that found its queue full."""
MATCH_ALL: Final = (-4,)
"""The requirement program that every group meets."""


@frozen(kw_only=True)
class BareQueue:
    """A waiting line's numbers; -1 where there is none."""

    offers: int = 1
    offer_timeout: int = -1
    limit: int = -1
    retry_after: int = -1
    target: int = -1
    setup_timeout: int = -1
    auto: int = 0


@frozen(kw_only=True)
class BareGroup:
    """A group of ``agents`` alike agents; ``orders`` are their places in a fixed order (None: 0, 1, 2...)."""

    agents: int = 1
    atoms: tuple[int, ...] = ()
    units: int = 1
    at_most: tuple[int, ...] | None = None
    idle_rate: int = 0
    term: int = 0
    orders: tuple[int, ...] | None = None
    weight: int = 1


@frozen(kw_only=True)
class PairRow:
    """A class's cells for all groups, one number for each group; None is 0 everywhere."""

    opens: Sequence[int] | None = None
    rank_out: Sequence[int] | None = None
    cost_out: Sequence[int] | None = None
    rank_in: Sequence[int] | None = None
    cost_in: Sequence[int] | None = None


@frozen(kw_only=True)
class BareClass:
    """A class with its row of the tables; ``step`` is (after ms, next class, tier or -1)."""

    queue: int = 0
    channel: int = 0
    program: tuple[int, ...] = MATCH_ALL
    agent_key: int = AgentKey.LONGEST_IDLE
    age_rate: int = 1
    length_rate: int = 0
    offset: int = 0
    step: tuple[int, int, int] | None = None
    pairs: PairRow = PairRow()


@frozen(kw_only=True)
class BareWorld:
    """Everything that a core is told before the first interaction; atoms 0..``atoms``-1 are held by groups."""

    groups: tuple[BareGroup, ...]
    classes: tuple[BareClass, ...]
    queues: tuple[BareQueue, ...] = (BareQueue(),)
    loads: tuple[int, ...] = (1,)
    atoms: int = 0
    half_life: int = HALF_LIFE
    seed: int = 0

    def build(self, core_type: Callable[[], Core] | None = None) -> Core:
        """Make a core (of the active kind, or ``core_type``) with these tables and all agents signed out.

        Agents are numbered group by group. O(classes x groups + agents).
        """
        core: Core = (core_type or active.Core)()
        core.set_choice(self.half_life, self.seed)
        for load in self.loads:
            core.add_channel(load)
        for number, queue in enumerate(self.queues):
            core.set_queue(
                number,
                queue.offers,
                queue.offer_timeout,
                queue.limit,
                queue.retry_after,
                queue.target,
                queue.setup_timeout,
                queue.auto,
            )
        for _ in range(self.atoms):
            core.add_atom([])
        for group in self.groups:
            self._add_group(core, group)
        for class_ in self.classes:
            core.add_class(class_.queue, class_.channel, class_.program, class_.agent_key)
        for number, class_ in enumerate(self.classes):
            self._set_class(core, number, class_)
        return core

    def _add_group(self, core: Core, group: BareGroup) -> None:
        at_most = group.at_most if group.at_most is not None else (2**30,) * len(self.loads)
        number = core.add_group(group.atoms, group.units, at_most)
        core.set_group(number, group.idle_rate, group.term)
        core.set_weight(number, group.weight)
        for place in range(group.agents):
            core.add_agent(number, place if group.orders is None else group.orders[place])

    def _set_class(self, core: Core, number: int, class_: BareClass) -> None:
        step_at, step_next, step_tier = class_.step or (-1, -1, -1)
        core.set_class(number, class_.age_rate, class_.length_rate, class_.offset, step_at, step_next, step_tier)
        zeros = [0] * len(self.groups)
        row = class_.pairs
        columns = [
            list(zeros if column is None else column)
            for column in (row.opens, row.rank_out, row.cost_out, row.rank_in, row.cost_in)
        ]
        core.set_pairs([number], list(range(len(self.groups))), *columns)

    @property
    def agents(self) -> int:
        """The number of agents of all groups."""
        return sum(group.agents for group in self.groups)


def _integers(value: Sequence[int] | Column) -> Column:
    return np.ascontiguousarray(value, dtype=np.int64)


@frozen(kw_only=True, eq=False)
class Answers:
    """How agents answer the offers of each row: after ``answer`` ms, to decline or ignore so many in 1000.

    ``number`` tells rows apart where chance decides. ``habits`` are three columns over agents that go before those of
    the row where they are not -1. Who turned not ready by himself comes back ``back`` ms later (-1: never).
    """

    number: Column = field(converter=_integers)
    answer: Column = field(converter=_integers)
    decline: Column = field(converter=_integers)
    ignore: Column = field(converter=_integers)
    habits: tuple[Column, ...] = ()
    seed: int = 0
    back: int = -1

    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of ``feed``."""
        return self.number, self.answer, self.decline, self.ignore


@frozen(kw_only=True, eq=False)
class Transfers:
    """Where each row goes when its handling ends (class -1: nowhere), and what becomes of it there.

    It is ordered by the age that it has where ``keeps`` is 1, else as if it came then with ``head_start``.
    """

    class_: Column = field(converter=_integers)
    tier: Column = field(converter=_integers)
    head_start: Column = field(converter=_integers)
    handle: Column = field(converter=_integers)
    wrap_up: Column = field(converter=_integers)
    keeps: Column = field(converter=_integers)

    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of ``feed``."""
        return self.class_, self.tier, self.head_start, self.handle, self.wrap_up, self.keeps


@frozen(kw_only=True, eq=False)
class Arrivals:
    """The columns of interactions as the core reads them; times in ms, what is not given is 0, patience endless."""

    at: Column = field(converter=_integers)
    handle: Column = field(converter=_integers)
    class_: Column = field(converter=_integers)
    tier: Column = field(converter=_integers)
    head_start: Column = field(converter=_integers)
    wrap_up: Column = field(converter=_integers)
    patience: Column = field(converter=_integers)
    answers: Answers | None = None
    transfers: Transfers | None = None

    @class_.default
    @tier.default
    @head_start.default
    @wrap_up.default
    def _zeros(self) -> Column:
        return np.zeros(len(self.at), np.int64)

    @patience.default
    def _endless(self) -> Column:
        return np.full(len(self.at), ENDLESS, np.int64)

    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of ``feed``."""
        return self.at, self.class_, self.tier, self.head_start, self.handle, self.wrap_up, self.patience


@frozen(kw_only=True, eq=False)
class Details:
    """More of what happened to each row: how it ended, its real wait in ms (-1: not over), how often it was offered.

    ``how`` holds :class:`omniroute.world.outcome.OutcomeCode`; ``class_`` is the last class; ``moved`` is the instant
    of the transfer, -1 without, :data:`BLOCKED` where the second queue was full; ``agent2`` and ``start2`` are those
    behind it.
    """

    how: Column
    wait: Column
    offers: Column
    class_: Column
    moved: Column
    agent2: Column
    start2: Column

    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of ``feed``."""
        return self.how, self.wait, self.offers, self.class_, self.moved, self.agent2, self.start2


def details_of(rows: int) -> Details:
    """Columns in which nothing has happened yet. O(rows)."""
    none = [np.full(rows, NOBODY, np.int64) for _ in range(5)]
    how, offers = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    return Details(how=how, wait=none[0], offers=offers, class_=none[1], moved=none[2], agent2=none[3], start2=none[4])


@frozen(kw_only=True, eq=False)
class Results:
    """What happened to each row: the agent (or :data:`NOBODY`, :data:`BLOCKED`), start and end in ms (-1: none yet).

    An abandoned row has an end and no start, unless it left behind a transfer; ``details`` tell.
    """

    agent: Column
    start: Column
    end: Column
    details: Details | None = None

    @property
    def served(self) -> Rows:
        """The rows that an agent took."""
        rows: Rows = self.start >= 0
        return rows

    @property
    def abandoned(self) -> Rows:
        """The rows that left while waiting, or that a step cancelled."""
        rows: Rows = (self.agent == NOBODY) & (self.end >= 0)
        return rows

    @property
    def blocked(self) -> Rows:
        """The rows that found their queue full."""
        rows: Rows = self.agent == BLOCKED
        return rows

    def waits(self, arrivals: Arrivals) -> Column:
        """The wait in ms of each row, up to its first service or its end; -1 where it has not ended."""
        over = np.where(self.served, self.start, self.end)
        return np.where(over >= 0, over - arrivals.at, -1)


def views(columns: Sequence[Column]) -> tuple[MutableSequence[int], ...]:
    """Columns as memory views: plain integers for the reference, buffers for the kernel."""
    return tuple(cast("MutableSequence[int]", column.data) for column in columns)


def sign_in_all(agents: int, at: int = 0) -> tuple[Column, Column, Column]:
    """The presence columns of ``agents`` who all sign in at one instant, in the order of their numbers. O(agents)."""
    return (
        np.full(agents, at, np.int64),
        np.arange(agents, dtype=np.int64),
        np.full(agents, int(PresenceMove.SIGN_IN), np.int64),
    )


def driver_for(core: Core, answers: Answers | None, kind: type[Driver] | None = None) -> Driver:
    """A driver of a core (of the active kind, or ``kind``) whose agents answer like this, or at once. O(agents)."""
    kind = kind or active.Driver
    return kind(core) if answers is None else kind(core, answers.seed, answers.back, views(answers.habits))


def drive_columns(
    core: Core,
    arrivals: Arrivals,
    presences: tuple[Column, Column, Column],
    *,
    until: int = -1,
    detailed: bool = False,
    driver: type[Driver] | None = None,
) -> Results:
    """Drive a core through columns and return what happened; ``driver`` is that of the core's own package.

    ``presences`` are the columns (at, agent, move). Stops before ``until`` (-1: when nothing is left). Details cost
    time, and come where they are asked for or where there are answers or transfers.
    """
    rows = len(arrivals.at)
    answers, transfers = arrivals.answers, arrivals.transfers
    details = details_of(rows) if detailed or answers is not None or transfers is not None else None
    agent, start, end = (np.full(rows, NOBODY, np.int64) for _ in range(3))
    driver_for(core, answers, driver).feed(
        views(arrivals.columns()),
        views(presences),
        views((agent, start, end)),
        until,
        answers=() if answers is None else views(answers.columns()),
        transfers=() if transfers is None else views(transfers.columns()),
        details=() if details is None else views(details.columns()),
    )
    return Results(agent=agent, start=start, end=end, details=details)
