"""Revenue: what a match concedes against the best use of the agent decides when it opens and what comes first."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

import attrs

from omniroute.core.codes import AgentKey
from omniroute.core.limits import COST_MAX, OPENS_MAX
from omniroute.errors import MisuseError, PlanError
from omniroute.model import INTEGER_MAX, checked_integer, shown
from omniroute.plan import Duration, milliseconds
from omniroute.strategies.knobs import ANY, by_name, fit_text, joined, joined_to, key_text, one_of, row_key
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables
from omniroute.strategies.skills import Fit, SkillsFirst

if TYPE_CHECKING:
    from omniroute.strategies.prices import Reals

__all__ = ["BY_RULE", "BY_VALUE", "Revenue", "Rule", "held_out"]

ValueTable: TypeAlias = Mapping[str, Mapping[str, int]]
Rule: TypeAlias = Callable[[ClassView, GroupView], int]
"""What a match is worth, in minor units; asked once for each class and group, never for a decision."""
Solver: TypeAlias = Literal["highs", "steps"]

_WEIGHT_MAX: Final = 1e6
BY_VALUE: Final = "value"
"""The metric of what ``propensity`` makes of the value of an interaction."""
BY_RULE: Final = "rule"
"""The metric of what the function says."""


def _duration(value: Duration, field: str, low: int) -> int:
    return checked_integer(milliseconds(value, field), field, low, OPENS_MAX)


def _handle(value: Duration) -> int:
    return _duration(value, "handle", 1)


def _interval(value: Duration) -> int:
    return _duration(value, "interval", 1)


def _memory(value: Duration) -> int:
    return _duration(value, "memory", 1)


def _max_wait(value: Duration | None) -> int | None:
    return None if value is None else _duration(value, "max_wait", 0)


def _amounts(value: object, field: str, low: int = -INTEGER_MAX) -> dict[str, int]:
    return {
        key: checked_integer(item, f"{field}.{key}", low, INTEGER_MAX) for key, item in by_name(value, field).items()
    }


def _values(value: object) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for metric, rows in by_name(value, "values").items():
        field = f"values.{metric}"
        found[metric] = {key: _amounts(row, f"{field}.{key}") for key, row in by_name(rows, field).items()}
    return found


def _propensity(value: object) -> dict[str, dict[str, int]]:
    rows = by_name(value, "propensity")
    return {key: _amounts(row, f"propensity.{key}", 0) for key, row in rows.items()}


def _loss(value: object) -> dict[str, int]:
    return _amounts(value, "loss", 0)


def _number(value: object, field: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise PlanError(f"expected a number in {low:g}..{high:g}, got {shown(value)}", field=field)
    return float(value)


def _within(low: float, high: float) -> Callable[[object, attrs.Attribute[float], object], None]:
    def check(_: object, field: attrs.Attribute[float], value: object) -> None:
        _number(value, field.name, low, high)

    return check


def _weights(value: object) -> dict[str, float]:
    return {key: _number(item, f"weights.{key}", 0, _WEIGHT_MAX) for key, item in by_name(value, "weights").items()}


def _solver(value: object) -> str:
    return one_of(value, ("highs", "steps"), "solver")


def _rule(value: Rule | None) -> Rule | None:
    if value is not None and not callable(value):
        raise PlanError(f"expected a function of a class and a group, got {shown(value)}", field="rule")
    return value


@attrs.frozen(kw_only=True)
class Revenue:
    """A match waits while it concedes much, and the match that concedes least comes first.

    ``regret = agent's price * handle time + interaction's price - value``; the pair opens after ``regret / beta`` of
    waiting, and among what is open the greatest ``gamma * age - regret`` is served. By itself the strategy routes by
    skills; prices and ``beta`` come from :class:`omniroute.strategies.desk.Desk`, which answers every ``interval``.

    ``values`` has minor units by metric, then class, then group: a class is named by what it needs in all, else by its
    queue; a group by its label ``group_label``; "*" is any other, and what is not named is worth 0. ``propensity``, in
    thousandths, by class and group, times the value from which an interaction's band begins, is the metric "value";
    what the function ``rule`` says is "rule". ``weights`` are what a unit of a metric counts (1 where not named).
    ``loss`` is what a lost customer costs, by class. ``handle`` is the handle time that is expected of every pair.

    ``beta`` starts at ``start``, is moved by ``gain`` for each interaction that misses the queue's target and stays in
    ``least..most``; ``gamma`` and ``beta`` are in mean values per handle time. No gate holds longer than ``max_wait``.
    ``occupancy`` bounds the share of an agent's time that the prices plan for, ``busy`` is the share that they keep at
    least, as far as there is work. ``solver`` "highs" needs scipy, "steps" nothing. ``memory`` is how far back arrivals
    count. Raises PlanError.

    >>> Revenue(values={"sales": {"*": {"senior": 900, "*": 500}}}).interval_ms
    60000
    """

    name: ClassVar[str] = "revenue"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    values: Mapping[str, ValueTable] = attrs.field(factory=dict, converter=_values, hash=False)
    weights: Mapping[str, float] = attrs.field(factory=dict, converter=_weights, hash=False)
    propensity: ValueTable = attrs.field(factory=dict, converter=_propensity, hash=False)
    rule: Rule | None = attrs.field(default=None, converter=_rule)
    loss: Mapping[str, int] = attrs.field(factory=dict, converter=_loss, hash=False)
    group_label: str = attrs.field(default="segment", validator=attrs.validators.instance_of(str))
    handle: Duration = attrs.field(default=300_000, converter=_handle)
    interval: Duration = attrs.field(default=60_000, converter=_interval)
    memory: Duration = attrs.field(default=3_600_000, converter=_memory)
    max_wait: Duration | None = attrs.field(default=None, converter=_max_wait)
    gamma: float = attrs.field(default=1.0, validator=_within(1e-6, 1e6))
    start: float = attrs.field(default=10.0, validator=_within(1e-6, 1e6))
    least: float = attrs.field(default=math.exp(-2), validator=_within(1e-6, 1e6))
    most: float = attrs.field(default=math.exp(7), validator=_within(1e-6, 1e6))
    gain: float = attrs.field(default=0.01, validator=_within(0, 1))
    occupancy: float = attrs.field(default=1.0, validator=_within(0.01, 1))
    busy: float = attrs.field(default=0.0, validator=_within(0, 1))
    solver: Solver = attrs.field(default="highs", converter=_solver)
    fit: Fit = attrs.field(default="any", converter=fit_text)
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    def __attrs_post_init__(self) -> None:
        if not self.least <= self.start <= self.most:
            raise PlanError(f"must be in least..most, {self.least:g}..{self.most:g}, got {self.start:g}", field="start")
        if self.busy > self.occupancy:
            raise PlanError(f"must be at most occupancy, {self.occupancy:g}, got {self.busy:g}", field="busy")
        for metric in self.weights:
            if metric not in (*self.values, BY_VALUE, BY_RULE):
                raise PlanError(f"there are no values of {shown(metric)}", field="weights")

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    @property
    def interval_ms(self) -> int:
        """How often it wants to be asked again, in ms."""
        return milliseconds(self.interval)

    @property
    def handle_ms(self) -> int:
        """The handle time that is expected of every pair."""
        return milliseconds(self.handle)

    @property
    def memory_ms(self) -> int:
        """How far back arrivals and outcomes count."""
        return milliseconds(self.memory)

    def worth(self, view: ClassView, group: GroupView) -> dict[str, int]:
        """What a match is worth in each metric, in minor units. O(metrics).

        Raises MisuseError where the rule answers something else than an integer.
        """
        found = {metric: _cell(_row(table, view), self.segment(group)) for metric, table in self.values.items()}
        if self.propensity:
            found[BY_VALUE] = view.value * _cell(_row(self.propensity, view), self.segment(group)) // 1_000
        if self.rule is not None:
            said = self.rule(view, group)
            if type(said) is not int:
                raise MisuseError(f"the rule answered {shown(said)}, expected an integer")
            found[BY_RULE] = said
        return found

    def metrics(self) -> tuple[str, ...]:
        """The names that :meth:`worth` answers with, in its order. O(metrics)."""
        return (*self.values, *((BY_VALUE,) if self.propensity else ()), *((BY_RULE,) if self.rule else ()))

    def lost(self, view: ClassView) -> int:
        """What a lost customer of a class costs, in minor units. O(1)."""
        return _cell(self.loss, row_key(self.loss, view))

    def total(self, view: ClassView, group: GroupView, weights: Mapping[str, float] | None = None) -> int:
        """What a match is worth in all, rounded: by ``weights``, else by the strategy's own. O(metrics).

        Raises as :meth:`worth`.
        """
        known = {**self.weights, **(weights or {})}
        return round(sum(known.get(metric, 1.0) * amount for metric, amount in self.worth(view, group).items()))

    def segment(self, group: GroupView) -> str:
        """The label by which the values of a group are found. O(1)."""
        return str(group.labels.get(self.group_label, ANY))

    def _skills(self) -> SkillsFirst:
        return SkillsFirst(fit=self.fit)

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer as the skills strategy does, which is what holds until there are prices. O(cells)."""
        return self._skills().tables(classes, groups)

    def priced(self, plain: Tables, regrets: Sequence[float] | Reals, beta: float, gamma: float) -> Tables:
        """The tables ``plain`` of the same strategy with regrets, row by row of a class, in minor units.

        ``beta`` and ``gamma`` are minor units per ms of waiting. Openings are rounded to the millisecond, at most
        ``max_wait``, and never before a delay of the agent's own; a cost is the milliseconds of waiting that outweigh
        the regret. A regret of NaN (a pair that is closed anyway) counts as 0. O(cells).
        """
        import numpy as np  # only who has prices has it

        longest = OPENS_MAX if self.max_wait is None else milliseconds(self.max_wait)
        known = np.nan_to_num(np.asarray(regrets, np.float64), posinf=np.inf)
        opens = np.rint(np.minimum(known / beta, longest)).astype(np.int64)
        if plain.opens is not None:
            opens = np.maximum(opens, np.frombuffer(plain.opens, np.int64))
        costs = array("q", np.rint(np.minimum(known / gamma, COST_MAX)).astype(np.int64).tobytes())
        return attrs.evolve(plain, opens=array("q", opens.tobytes()), cost_out=costs, cost_in=costs)

    def place(self, priority: int) -> Place:
        """Put every priority into one line. O(1)."""
        return self._skills().place(priority)


def _row(table: ValueTable, view: ClassView) -> Mapping[str, int]:
    return table.get(row_key(table, view), {})


def held_out(key: str, interaction: str, share: float) -> bool:
    """Whether an interaction is held out of routing for value: a keyed hash, so nobody can choose, and all can check.

    The host says so when it enqueues it. O(length).

    >>> sum(held_out("spring", f"call-{n}", 0.1) for n in range(10_000))
    1000
    """
    digest = hashlib.blake2b(interaction.encode(), digest_size=8, key=key.encode()[:64]).digest()
    return int.from_bytes(digest, "little") < share * 2**64


def _cell(row: Mapping[str, int], key: str) -> int:
    return row.get(key, row.get(ANY, 0))
