"""By membership: the penalty says when an agent is asked, and whether that is also a preference."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias, cast

import attrs

from omniroute.core.codes import AgentKey
from omniroute.core.limits import OPENS_MAX, RANK_MAX
from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, INTEGER_MIN, checked_integer, shown
from omniroute.plan import DURATION_MAX_MS, Duration, milliseconds
from omniroute.strategies.knobs import by_number, joined, joined_to, key_text, one_of, penalty
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

__all__ = ["ByMembership"]

Prefers: TypeAlias = Literal["penalty", "agent_key"]
Takes: TypeAlias = Literal["penalty", "longest_waiting"]
Table: TypeAlias = Mapping[int, int] | Mapping[str, int]

_STEPS_MAX = 64


def _opens(value: Mapping[int, Duration] | Mapping[str, Duration] | None) -> dict[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from penalties to durations, got {shown(value)}", field="opens")
    delays = {key: milliseconds(item, f"opens.{shown(key)}") for key, item in value.items()}
    return by_number(delays, "opens", (0, INTEGER_MAX), (0, OPENS_MAX))


def _raised(value: Table | None) -> dict[str, int] | None:
    return None if value is None else by_number(value, "raised", (0, _STEPS_MAX), (0, RANK_MAX))


def _point(value: Duration | None) -> int | None:
    return None if value is None else milliseconds(value, "point")


def _tier(value: object) -> int:
    return checked_integer(value, "tier", INTEGER_MIN, INTEGER_MAX)


def _prefers(value: object) -> str:
    return one_of(value, ("penalty", "agent_key"), "prefers")


def _takes(value: object) -> str:
    return one_of(value, ("penalty", "longest_waiting"), "takes")


def _last(table: Mapping[str, int], number: int) -> int:
    """What a table says from some number on: the value of the greatest number that is not above, else 0."""
    found = 0
    for key, value in table.items():
        if int(key) > number:
            break
        found = value
    return found


@attrs.frozen(kw_only=True)
class ByMembership:
    """Members of a queue are asked one circle after another; their penalty for the queue says which circle.

    ``opens`` maps a penalty to a duration: members with that penalty or more are not asked before the interaction has
    so much ordering age; below the first entry they are asked at once. A longer delay of a member's own counts.
    ``prefers`` says who comes first among those who may be asked: "penalty" the smallest penalty, "agent_key" whoever
    the agent key says. ``takes`` says what a free agent takes: "penalty" from the queue with his smallest penalty,
    "longest_waiting" from any. ``raised`` maps a number of steps taken to a penalty: from that step on, smaller
    penalties count as that one in ``prefers``, so members who differed become equal; the circle stays. ``point`` is a
    head start for each point of priority; with None priorities are not looked at, and with a point a negative priority
    is an error. With points only those pass who came less than ``point * difference of priorities`` later; between
    queues of different penalty ``takes`` "penalty" has no bound. ``tier`` is that of all interactions of the queue:
    where ``takes`` leaves a choice, a free agent serves the queue of the least tier as long as anybody waits in it, and
    that has no bound either. Raises PlanError.

    >>> ByMembership(opens={2: "30s"}, prefers="agent_key").opens
    {'2': 30000}
    """

    name: ClassVar[str] = "by_membership"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    opens: Mapping[int, Duration] | Mapping[str, Duration] | None = attrs.field(
        default=None, converter=_opens, hash=False
    )
    prefers: Prefers = attrs.field(default="penalty", converter=_prefers)
    takes: Takes = attrs.field(default="penalty", converter=_takes)
    raised: Table | None = attrs.field(default=None, converter=_raised, hash=False)
    point: Duration | None = attrs.field(default=None, converter=_point)
    tier: int = attrs.field(default=0, converter=_tier)
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with openings and ranks by penalty. O(classes * groups * entries of the parameters)."""
        opening = cast("Mapping[str, int]", self.opens or {})
        opens, rank_out, rank_in = array("q"), array("q"), array("q")
        for view in classes:
            least = _last(cast("Mapping[str, int]", self.raised or {}), view.step)
            for group in groups:
                circle = penalty(view, group)
                opens.append(max(_last(opening, circle), group.delays.get(view.queue, 0)))
                rank_out.append(max(circle, least) if self.prefers == "penalty" else 0)
                rank_in.append(circle if self.takes == "penalty" else 0)
        return Tables(opens=opens, rank_out=rank_out, rank_in=rank_in)

    def place(self, priority: int) -> Place:
        """The tier, and waiting for each point of priority, DURATION_MAX_MS at most. O(1).

        Raises PlanError for a negative priority with a point.
        """
        points = 0 if self.point is None else checked_integer(priority, "priority", 0, INTEGER_MAX)
        return Place(tier=self.tier, head_start_ms=min(points * milliseconds(self.point or 0), DURATION_MAX_MS))
