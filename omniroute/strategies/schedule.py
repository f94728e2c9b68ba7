"""Schedule: what cannot be finished before the agent's shift ends or a break begins is not started, or costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, TypeAlias, cast

import attrs

from omniroute.core.codes import AgentKey
from omniroute.core.limits import COST_MAX, NEVER, OPENS_MAX
from omniroute.errors import PlanError
from omniroute.model import checked_integer, shown
from omniroute.plan import Duration, milliseconds
from omniroute.strategies.knobs import ANY, delays, joined, joined_to
from omniroute.strategies.overtime import expected_overrun, quantile
from omniroute.strategies.protocol import ClassView, GroupView, Observed, Place, Revision, Tables, column

__all__ = ["Schedule"]

Times: TypeAlias = Duration | Mapping[str, Duration]
"""A duration, or one for each channel; "*" is any other."""


def _duration(value: Duration, field: str, low: int = 1) -> int:
    return checked_integer(milliseconds(value, field), field, low, OPENS_MAX)


def _times(value: Times, field: str) -> dict[str, int]:
    rows = value if isinstance(value, Mapping) else {ANY: value}
    if not all(isinstance(key, str) for key in rows):
        raise PlanError(f"expected a duration, or a table from channels to durations, got {shown(value)}", field=field)
    return {key: _duration(item, f"{field}.{key}" if key != ANY else field) for key, item in rows.items()}


def _handle(value: Times) -> dict[str, int]:
    found = _times(value, "handle")
    if ANY not in found:
        raise PlanError(f"needs a handle time for any other channel, {ANY!r}", field="handle")
    return found


def _longest(value: Times) -> dict[str, int]:
    return _times(value, "longest")


def _grace(value: Duration) -> int:
    return _duration(value, "grace", 0)


def _learn(value: Duration | None) -> int | None:
    return None if value is None else _duration(value, "learn")


def _edges(value: Iterable[Duration]) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise PlanError(f"expected a list of durations, got {shown(value)}", field="edges")
    return tuple(sorted({_duration(item, f"edges[{at}]") for at, item in enumerate(value)}))


def _number(value: object, field: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise PlanError(f"expected a number in {low:g}..{high:g}, got {shown(value)}", field=field)
    return float(value)


def _cv(value: float) -> float:
    return _number(value, "cv", 0.01, 100)


def _risk(value: float) -> float:
    return _number(value, "risk", 0.001, 0.999)


def _overtime(value: float) -> float:
    return _number(value, "overtime", 0, 1e6)


@attrs.frozen(kw_only=True)
class Schedule:
    """An agent begins nothing that he is not likely to finish in time; ``strategy | Schedule()`` says what else counts.

    In time is before the agent's obligation (:class:`omniroute.commands.SetObligation`) and ``grace`` more. With
    ``hard`` a pair is closed as soon as less time is left than ``longest``: the time within which all but a share
    ``risk`` of the handle times end. Not given, it follows from a lognormal handle time of mean ``handle`` with the
    coefficient of variation ``cv``. With a price ``overtime`` pairs cost what they are expected to go on after the
    obligation, times that price: in ms of waiting for each ms of overtime. Both ``handle`` and ``longest`` are a
    duration or a table from channels to durations, "*" for any other.

    Time left counts in steps: ``edges`` are the times left at which it does, besides those that ``longest`` needs.
    Between two of them the lower one counts, and above the greatest there is no guard. With ``learn`` the router
    measures handle times and wants :meth:`revise` so often; then a pair goes by those of its class and group, or by
    those of the queue as long as too few are known. What is longer than the greatest edge and ``grace`` is guarded from
    that edge on only, and what is new in between goes by the parameters, as the price ``overtime`` always does.

    Alone it answers for nothing else: agents may from their own delays on, in order. Raises PlanError.

    >>> Schedule(longest="10m", grace="2m").edges_ms
    (480000,)
    """

    name: ClassVar[str] = "schedule"
    version: ClassVar[int] = 1
    agent_key: ClassVar[AgentKey] = AgentKey.LONGEST_IDLE
    __or__, __ror__ = joined, joined_to

    handle: Times = attrs.field(default=300_000, converter=_handle, hash=False)
    cv: float = attrs.field(default=1.0, converter=_cv)
    longest: Times = attrs.field(factory=dict, converter=_longest, hash=False)
    risk: float = attrs.field(default=0.1, converter=_risk)
    grace: Duration = attrs.field(default=0, converter=_grace)
    hard: bool = attrs.field(default=True, validator=attrs.validators.instance_of(bool))
    overtime: float = attrs.field(default=0.0, converter=_overtime)
    edges: Sequence[Duration] = attrs.field(default=(), converter=_edges)
    learn: Duration | None = attrs.field(default=None, converter=_learn)

    def __attrs_post_init__(self) -> None:
        if not self.edges and not self.hard:
            raise PlanError("needs times left at which costs change", field="edges")
        if self.learn is not None and not self.edges:
            raise PlanError("needs times left at which what is learnt can count", field="edges")

    @property
    def interval_ms(self) -> int | None:
        """How often it wants to be asked again, in ms."""
        return None if self.learn is None else milliseconds(self.learn)

    @property
    def edges_ms(self) -> tuple[int, ...]:
        """The times left, in ms, at which its answers change; ascending. O(channels)."""
        handle, longest = cast("dict[str, int]", self.handle), cast("dict[str, int]", self.longest)
        needed = {self.longest_ms(channel) - self._grace_ms for channel in (*handle, *longest)} if self.hard else set()
        return tuple(sorted({*cast("tuple[int, ...]", self.edges), *(edge for edge in needed if edge > 0)}))

    @property
    def handle_permille(self) -> int | None:
        """Of how many of a thousand handle times it wants the longest, None: of none."""
        return None if self.learn is None else round(1_000 * (1 - self.risk))

    @property
    def _grace_ms(self) -> int:
        return milliseconds(self.grace)

    def longest_ms(self, channel: str) -> int:
        """Return the time within which all but a share ``risk`` of a channel's handle times end, rounded up. O(1)."""
        longest = cast("dict[str, int]", self.longest)
        found = longest.get(channel, longest.get(ANY))
        mean = self._mean_ms(channel)
        return min(-int(-quantile(mean, self.cv, 1 - self.risk) // 1), OPENS_MAX) if found is None else found

    def _mean_ms(self, channel: str) -> int:
        handle = cast("dict[str, int]", self.handle)
        return handle.get(channel, handle[ANY])

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer for agents with little time left, and with agents' own delays. O(classes * groups)."""
        return self._guarded(classes, groups)

    def revise(self, observed: Observed, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Revision:
        """Answer anew with what the router has measured; as before where it has measured nothing. O(cells)."""
        pairs = {(k, g): longest for k, g, longest in observed.pair_handle_ms}
        tables = self._guarded(classes, groups, observed.handle_ms, pairs)
        return Revision(version=observed.version, tables=tables)

    def _guarded(
        self,
        classes: Sequence[ClassView],
        groups: Sequence[GroupView],
        longest_ms: int | None = None,
        pairs: Mapping[tuple[int, int], int] = MappingProxyType({}),
    ) -> Tables:
        opens = delays(classes, groups) or column(0, len(classes) * len(groups))
        costs = column(0, len(opens))
        for k, view in enumerate(classes):
            usual = self.longest_ms(view.channel) if longest_ms is None else longest_ms
            for g, group in enumerate(groups):
                if group.time_left_ms is None:
                    continue
                left, at = group.time_left_ms + self._grace_ms, k * len(groups) + g
                if self.hard and pairs.get((k, g), usual) > left:
                    opens[at] = NEVER
                elif self.overtime:
                    over = self.overtime * expected_overrun(self._mean_ms(view.channel), self.cv, left)
                    costs[at] = round(min(over, COST_MAX))
        priced = costs if self.overtime else None
        return Tables(opens=opens, cost_out=priced, cost_in=priced)

    def place(self, priority: int) -> Place:  # noqa: ARG002
        """Put every priority into one line. O(1)."""
        return Place()
