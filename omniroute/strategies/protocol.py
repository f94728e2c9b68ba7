"""What a strategy is: a value that answers with integers, asked when the plan, a class or a group changes.

A strategy is never asked for a single decision. Its answers fill the tables of the core, so a few lines of Python
route at the speed of the kernel, and a replay reads the answers instead of asking again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from attrs import field, frozen

from omniroute.core.codes import AgentKey
from omniroute.core.limits import NEVER
from omniroute.errors import MisuseError
from omniroute.model import Label
from omniroute.requirements import Requirement

if TYPE_CHECKING:
    from omniroute.commands import Revise

__all__ = [
    "CLASS_COLUMNS",
    "COLUMN_DEFAULTS",
    "NEVER",
    "PAIR_COLUMNS",
    "Absent",
    "AgentKey",
    "ClassView",
    "GroupView",
    "Observed",
    "Place",
    "Question",
    "Revision",
    "Strategy",
    "Tables",
    "column",
]


@frozen(kw_only=True)
class ClassView:
    """What a strategy sees of a class: everything that makes its entries alike."""

    queue: str
    channel: str
    requirement: Requirement
    step: int
    """How many of the queue's steps have been taken."""
    lane: int = 0
    """:attr:`value` and :attr:`held_out` as one integer."""

    @property
    def value(self) -> int:
        """The value that its band begins with, in minor units; 0 below the first. O(1)."""
        return self.lane >> 1

    @property
    def held_out(self) -> bool:
        """Whether its interactions are held out of what is done for value, to be compared with. O(1)."""
        return bool(self.lane & 1)


@frozen(kw_only=True)
class GroupView:
    """What a strategy sees of a group: everything that makes its agents alike."""

    skills: Mapping[str, int]
    labels: Mapping[str, Label]
    queues: Mapping[str, int] | None
    """Memberships with their penalties; None: every queue whose needs the group meets."""
    units: int
    delays: Mapping[str, int] = field(factory=dict)
    """By queue, the ordering age in ms from which the group may take an interaction; a strategy answers with opens."""
    time_left_ms: int | None = None
    """The least time that its agents still have until their shift ends or a break begins; None: more than any edge."""

    def member_of(self, queue: str) -> bool:
        """Whether its agents are members of a queue. O(1)."""
        return self.queues is None or queue in self.queues

    def may_serve(self, queue: str, requirement: Requirement) -> bool:
        """Whether its agents are members of a queue and meet a requirement. O(requirement).

        >>> from omniroute.requirements import parse
        >>> group = GroupView(skills={"spanish": 2}, labels={}, queues={"sales": 0}, units=1)
        >>> group.may_serve("sales", parse("spanish")), group.may_serve("help", parse("spanish"))
        (True, False)
        """
        return self.member_of(queue) and requirement.matches(self.skills, self.labels)


@frozen(kw_only=True)
class Place:
    """Where an interaction of some priority is put: strict precedence, and milliseconds of waiting credited."""

    tier: int = 0
    head_start_ms: int = 0


def _as_column(values: Iterable[int] | None) -> array[int] | None:
    return values if values is None or isinstance(values, array) else array("q", values)


def column(value: int, length: int) -> array[int]:
    """An int64 column of ``length`` equal values. O(length)."""
    return array("q", [value]) * length


PAIR_COLUMNS: Final = ("opens", "rank_out", "cost_out", "rank_in", "cost_in")
CLASS_COLUMNS: Final = ("age_rate", "length_rate", "offset", "age_cap")
COLUMN_DEFAULTS: Final = MappingProxyType(
    dict.fromkeys((*PAIR_COLUMNS, *CLASS_COLUMNS), 0) | {"age_rate": 1, "age_cap": -1}
)
"""What each column of :class:`Tables` stands for where it is None."""


@frozen(kw_only=True)
class Tables:
    """A strategy's answer for some classes and groups; every column is of int64.

    The first five have ``len(classes) * len(groups)`` cells, row by row of a class; None stands for 0 everywhere
    (``opens`` 0 opens at once, :data:`NEVER` is not allowed; delays are milliseconds of ordering age). A pair whose
    requirement does not hold stays closed whatever ``opens`` says. ``age_rate`` (None: 1 per ms), ``length_rate`` and
    ``offset`` have a cell for each class and are weighed against ``cost_in``. So has ``age_cap``, the age in ms from
    which an interaction weighs no more (None or -1: none).
    """

    opens: array[int] | None = field(default=None, converter=_as_column)
    rank_out: array[int] | None = field(default=None, converter=_as_column)
    cost_out: array[int] | None = field(default=None, converter=_as_column)
    rank_in: array[int] | None = field(default=None, converter=_as_column)
    cost_in: array[int] | None = field(default=None, converter=_as_column)
    age_rate: array[int] | None = field(default=None, converter=_as_column)
    length_rate: array[int] | None = field(default=None, converter=_as_column)
    offset: array[int] | None = field(default=None, converter=_as_column)
    age_cap: array[int] | None = field(default=None, converter=_as_column)


@frozen(kw_only=True)
class Observed:
    """What happened in a queue since its present version of tables: integers, counted by the core."""

    queue: str
    version: int
    entered: int
    connected: int
    in_target: int
    abandoned: int
    handle_ms: int | None = None
    """The handle time that so many of a thousand end within as the strategy wants to know; None: not known."""
    pair_handle_ms: tuple[tuple[int, int, int], ...] = ()
    """The same by class and group, ascending and only where enough is known: their places in :meth:`revise`, and it."""


@frozen(kw_only=True)
class Revision:
    """An answer to :class:`Observed`: new tables for ``version``, over the classes and groups of :meth:`revise`."""

    version: int
    tables: Tables


@frozen
class Question:
    """What there is to think about for a queue whose control interval has ended: ``answer`` may take long.

    It may be called on any thread, for one question of an answerer at a time, in the order of the questions; a question
    that is left out does no harm to later ones.
    """

    queue: str
    answer: Callable[[], Revise]


@frozen(kw_only=True)
class Absent:
    """Stands in a plan for a strategy whose code is not here: its record can be replayed, a question makes it fail.

    ``interval_ms`` None is a strategy that is not asked again.
    """

    name: str
    version: int
    agent_key: AgentKey = field(default=AgentKey.LONGEST_IDLE, converter=AgentKey)
    interval_ms: int | None = None
    edges_ms: tuple[int, ...] = ()
    handle_permille: int | None = None

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:  # noqa: ARG002
        """Raise MisuseError."""
        raise self._error()

    def place(self, priority: int) -> Place:  # noqa: ARG002
        """Raise MisuseError."""
        raise self._error()

    def revise(self, observed: Observed, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Revision:  # noqa: ARG002
        """Raise MisuseError."""
        raise self._error()

    def _error(self) -> MisuseError:
        return MisuseError(f"the code of the strategy {self.name!r} is not here: give a plan that has it")


class Strategy(Protocol):
    """The protocol. ``name`` and ``version`` are stored with the parameters; a snapshot holds no code.

    An optional attribute ``interval_ms: int`` makes a strategy that is asked again when its control interval ends:
    by a method ``revise(observed, classes, groups) -> Revision``, or by whoever answers for several queues together.
    An optional attribute ``edges_ms: tuple[int, ...]`` names the times left to an agent's obligation at which its
    answers change: there, agents go over into groups that differ by ``time_left_ms``. With an attribute
    ``handle_permille: int`` the router measures the queue's handle times, from connected to released, and
    :attr:`Observed.handle_ms` is the time within which so many of a thousand of the last thousands ended. It is
    ``Observed.pair_handle_ms`` for those of one class whom agents of one group had, where that was often enough: so
    that ten of them at least lasted longer.
    """

    @property
    def name(self) -> str:
        """What the catalogue and error messages call it."""
        ...

    @property
    def version(self) -> int:
        """Another number whenever the same parameters get other answers."""
        ...

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that its tables leave equal."""
        ...

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer for some classes of one queue and some groups; the same question always gets the same answer."""
        ...

    def place(self, priority: int) -> Place:
        """Where an interaction of this priority is put; asked once for each priority."""
        ...
