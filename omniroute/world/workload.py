"""Workloads: what a centre is asked to do, as columns of integers; :mod:`omniroute.world.streams` draws them.

A workload knows names and not a plan, so one workload can be driven under several plans and every plan sees the
same arrivals, handling times and patience.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import asdict, evolve, field, frozen

from omniroute.core import limits
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import InputError

__all__ = ["ENDLESS", "INTERACTIONS_MAX", "NOWHERE", "PERMILLE", "Column", "Habits", "Presences", "Workload"]

Column: TypeAlias = npt.NDArray[np.int64]
"""One dimension, int64."""

ENDLESS: Final = -1
"""The patience of a customer who never leaves."""

NOWHERE: Final = -1
"""The second queue of an interaction that is not transferred."""

PERMILLE: Final = 1_000
INTERACTIONS_MAX: Final = 2**31 - 1


def _column(value: npt.ArrayLike) -> Column:
    """A contiguous int64 column; floats are refused rather than cut off."""
    array = np.asarray(value)
    if array.ndim != 1:
        raise InputError(f"expected one dimension, got {array.ndim}", source="workload")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"expected integers, got {array.dtype}", source="workload")
    return np.ascontiguousarray(array, dtype=np.int64)


def _optional(value: npt.ArrayLike | None) -> Column | None:
    return None if value is None else _column(value)


def _names(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InputError("expected a list of texts, got one text", source="workload")
    return tuple(value)


def _check_range(name: str, column: Column, low: int, high: int) -> None:
    """Raise for the first row outside ``low..high``."""
    wrong = np.flatnonzero((column < low) | (column > high))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"is {int(column[row])}, allowed is {low}..{high}", source="workload", field=f"{name}[{row}]")


def _check_ascending(name: str, column: Column) -> None:
    wrong = np.flatnonzero(np.diff(column) < 0)
    if wrong.size:
        row = int(wrong[0]) + 1
        message = f"is {int(column[row])}, before the row ahead of it ({int(column[row - 1])})"
        raise InputError(message, source="workload", field=f"{name}[{row}]")


def _check_lengths(columns: Mapping[str, Column]) -> None:
    first, rows = next((name, len(column)) for name, column in columns.items())
    for name, column in columns.items():
        if len(column) != rows:
            raise InputError(f"has {len(column)} rows, {first} has {rows}", source="workload", field=name)


def _check_distinct(name: str, texts: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for position, text in enumerate(texts):
        if seen.setdefault(text, position) != position:
            raise InputError(f"{text!r} is at {seen[text]} already", source="workload", field=f"{name}[{position}]")


@frozen(kw_only=True, eq=False)
class Presences:
    """What agents do, in the order of time.

    ``at_ms`` ascends; ``agent`` indexes ``agents``, the names; ``move`` holds :class:`PresenceMove`, up to its
    ``SIGN_OUT``. A move that is not possible (ready while signed out) changes nothing. ``until_ms`` is the obligation
    that the agent is told just before, -1 for none. O(rows). Raises InputError naming column and row.

    >>> Presences(at_ms=[0], agent=[0], move=[PresenceMove.SIGN_IN], agents=["ana"]).agents
    ('ana',)
    """

    at_ms: Column = field(converter=_column)
    agent: Column = field(converter=_column)
    move: Column = field(converter=_column)
    agents: tuple[str, ...] = field(converter=_names)
    until_ms: Column = field(converter=_column)

    @until_ms.default
    def _free(self) -> Column:
        return np.full(len(self.at_ms), -1, np.int64)

    def __attrs_post_init__(self) -> None:
        names = ("at_ms", "agent", "move", "until_ms")
        _check_lengths({f"presences.{name}": getattr(self, name) for name in names})
        _check_range("presences.until_ms", self.until_ms, -1, limits.TIME_MAX)
        _check_distinct("presences.agents", self.agents)
        _check_range("presences.at_ms", self.at_ms, 0, limits.TIME_MAX)
        _check_ascending("presences.at_ms", self.at_ms)
        _check_range("presences.agent", self.agent, 0, len(self.agents) - 1)
        _check_range("presences.move", self.move, 0, PresenceMove.SIGN_OUT)


@frozen(kw_only=True, eq=False)
class Habits:
    """How agents answer offers, whatever they are offered; -1 leaves it to the workload's columns.

    ``agents`` names agents of the plan, the columns say for each: an answer comes after ``answer_ms``; so many offers
    in 1000 are declined, so many ignored until they expire. Who turns not ready by that is ready again ``back_ms``
    later (None: not by himself). O(agents). Raises InputError naming column and row.

    >>> Habits(agents=["ana"], decline_permille=[50]).answer_ms.tolist()
    [-1]
    """

    agents: tuple[str, ...] = field(default=(), converter=_names)
    answer_ms: Column = field(converter=_column)
    decline_permille: Column = field(converter=_column)
    ignore_permille: Column = field(converter=_column)
    back_ms: int | None = 60_000

    @answer_ms.default
    @decline_permille.default
    @ignore_permille.default
    def _unsaid(self) -> Column:
        return np.full(len(self.agents), -1, np.int64)

    def __attrs_post_init__(self) -> None:
        _check_distinct("habits.agents", self.agents)
        if self.back_ms is not None and not 0 <= self.back_ms <= limits.TIME_MAX:
            raise InputError(f"is {self.back_ms}, allowed is 0..{limits.TIME_MAX}", source="habits", field="back_ms")
        for name, most in (
            ("answer_ms", limits.TIME_MAX),
            ("decline_permille", PERMILLE),
            ("ignore_permille", PERMILLE),
        ):
            column = getattr(self, name)
            if len(column) != len(self.agents):
                message = f"has {len(column)} rows, agents has {len(self.agents)}"
                raise InputError(message, source="habits", field=name)
            _check_range(f"habits.{name}", column, -1, most)


@frozen(kw_only=True, eq=False)
class Workload:
    """Interactions in the order of arrival, one row each.

    ``arrival_ms`` ascends. ``queue``, ``channel`` and ``needs`` index the names in ``queues``, ``channels`` and
    ``requirements`` (texts of what the interaction asks besides its queue). ``head_start_ms`` is waiting credited
    besides what the plan's strategy credits for ``priority``. ``wrap_up_ms`` None leaves it to the plan's queues.
    ``patience_ms`` is how long the customer waits, :data:`ENDLESS` for ever. ``presences`` None leaves it to the plan:
    agents come and go by their windows, and those without windows are there from the beginning.

    ``answer_ms``, ``decline_permille`` and ``ignore_permille`` say how each offer of a row is answered; without any of
    them (and without :class:`Habits`) agents accept at once. ``transfer`` indexes ``queues``: where the interaction
    goes when its handling ends (:data:`NOWHERE`: it ends), without wrap-up; it is handled for ``handle2_ms`` there, and
    its customer has the whole patience again. ``keeps_age`` 1 orders it by its age, 0 as if it came then. ``value``
    is in minor units, and what a plan with bands of value tells apart; ``customer`` is any number. Both come back in
    the outcome. ``held_out`` 1 is held out of routing for value.

    What is not given is 0, the first name, endless, nowhere; the age is kept. O(rows). Raises InputError naming column
    and row.

    >>> work = Workload(arrival_ms=[0, 250], handle_ms=[9_000, 1_000], queues=["sales"])
    >>> len(work), work.patience_ms.tolist()
    (2, [-1, -1])
    """

    arrival_ms: Column = field(converter=_column)
    handle_ms: Column = field(converter=_column)
    queues: tuple[str, ...] = field(converter=_names)
    channels: tuple[str, ...] = field(default=("voice",), converter=_names)
    requirements: tuple[str, ...] = field(default=("",), converter=_names)
    queue: Column = field(converter=_column)
    channel: Column = field(converter=_column)
    needs: Column = field(converter=_column)
    priority: Column = field(converter=_column)
    head_start_ms: Column = field(converter=_column)
    patience_ms: Column = field(converter=_column)
    wrap_up_ms: Column | None = field(default=None, converter=_optional)
    presences: Presences | None = None
    answer_ms: Column | None = field(default=None, converter=_optional)
    decline_permille: Column | None = field(default=None, converter=_optional)
    ignore_permille: Column | None = field(default=None, converter=_optional)
    transfer: Column | None = field(default=None, converter=_optional)
    handle2_ms: Column = field(converter=_column)
    keeps_age: Column = field(converter=_column)
    value: Column = field(converter=_column)
    customer: Column = field(converter=_column)
    held_out: Column = field(converter=_column)

    @queue.default
    @channel.default
    @needs.default
    @priority.default
    @head_start_ms.default
    @handle2_ms.default
    @value.default
    @customer.default
    @held_out.default
    def _zeros(self) -> Column:
        return np.zeros(len(self.arrival_ms), np.int64)

    @patience_ms.default
    def _endless(self) -> Column:
        return np.full(len(self.arrival_ms), ENDLESS, np.int64)

    @keeps_age.default
    def _ones(self) -> Column:
        return np.ones(len(self.arrival_ms), np.int64)

    def __attrs_post_init__(self) -> None:
        for name in ("queues", "channels", "requirements"):
            _check_distinct(name, getattr(self, name))
        latest = limits.TIME_MAX - int(self.arrival_ms[-1]) if len(self) else 0
        ranges = {
            "arrival_ms": (0, limits.TIME_MAX),
            "handle_ms": (0, latest),
            "queue": (0, len(self.queues) - 1),
            "channel": (0, len(self.channels) - 1),
            "needs": (0, len(self.requirements) - 1),
            "priority": (-limits.TIER_MAX, limits.TIER_MAX),
            "head_start_ms": (-limits.TIME_MAX, limits.TIME_MAX),
            "patience_ms": (ENDLESS, latest),
            "wrap_up_ms": (0, latest),
            "answer_ms": (0, latest),
            "decline_permille": (0, PERMILLE),
            "ignore_permille": (0, PERMILLE),
            "transfer": (NOWHERE, len(self.queues) - 1),
            "handle2_ms": (0, latest),
            "keeps_age": (0, 1),
            "value": (-limits.COST_MAX, limits.COST_MAX),
            "customer": (-(2**63), 2**63 - 1),
            "held_out": (0, 1),
        }
        columns = {name: column for name in ranges if (column := getattr(self, name)) is not None}
        _check_lengths(columns)
        for name, column in columns.items():
            _check_range(name, column, *ranges[name])
        _check_ascending("arrival_ms", self.arrival_ms)
        both = sum(self.share(name) for name in ("decline_permille", "ignore_permille"))
        _check_range("decline_permille + ignore_permille", np.asarray(both), 0, PERMILLE)

    def share(self, name: str) -> Column:
        """One of the columns of answers; 0 where it is not given. O(rows)."""
        column: Column | None = getattr(self, name)
        return np.zeros(len(self), np.int64) if column is None else column

    @property
    def answered(self) -> bool:
        """Whether it says how offers are answered."""
        return not (self.answer_ms is None and self.decline_permille is None and self.ignore_permille is None)

    def chosen(self, rows: npt.ArrayLike, arrival_ms: npt.ArrayLike | None = None) -> Workload:
        """Some rows by number, in this order, at their own arrivals or at others; presences are left out. O(rows)."""
        numbers = _column(rows)
        given = asdict(self, recurse=False)
        columns: dict[str, Any] = {name: c[numbers] for name, c in given.items() if isinstance(c, np.ndarray)}
        if arrival_ms is not None:
            columns["arrival_ms"] = _column(arrival_ms)
        return evolve(self, **columns, presences=None)

    def __len__(self) -> int:
        """The number of interactions."""
        return len(self.arrival_ms)
