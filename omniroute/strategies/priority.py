"""Priority: strict precedence, or waiting credited in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import attrs

from omniroute.core.codes import AgentKey
from omniroute.errors import PlanError
from omniroute.model import shown
from omniroute.plan import DURATION_MAX_MS, Duration, milliseconds
from omniroute.strategies.knobs import (
    TIER_SPAN,
    by_priority,
    delays,
    joined,
    joined_to,
    key_text,
    membership_ranks,
    strict_tier,
)
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

__all__ = ["TIER_SPAN", "Priority"]


def _tiers(value: Mapping[int, int] | Mapping[str, int] | None) -> dict[str, int] | None:
    return None if value is None else by_priority(value, "tiers", -TIER_SPAN, TIER_SPAN)


def _head_start(value: Mapping[int, Duration] | Mapping[str, Duration] | None) -> dict[str, int] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from priorities to durations, got {shown(value)}", field="head_start")
    credited = {key: milliseconds(item, f"head_start.{shown(key)}") for key, item in value.items()}
    return by_priority(credited, "head_start", 0, DURATION_MAX_MS)


@attrs.frozen(kw_only=True)
class Priority:
    """Higher priority first: strictly, by tiers of your own, or by head starts that waiting can catch up with.

    ``tiers`` maps a priority to a tier: a lower tier goes strictly first, a priority that is not named has tier 0.
    ``head_start`` maps a priority to waiting credited in advance, as ``"90s"`` or milliseconds: an interaction with
    90 s is overtaken by one that came 90 s earlier; a priority that is not named has none. Both may be given. With
    neither, the tier is minus the priority: the greatest number goes strictly first.

    How long somebody can be overtaken: strict tiers have no bound, any number of a lower tier pass for as long as they
    come (a step with a tier bounds it at the step's instant). With equal tiers, head starts of ``h`` ms let only those
    pass who came less than ``their h - own h`` ms later. Raises PlanError.

    >>> Priority(head_start={2: "90s"}).place(2)
    Place(tier=0, head_start_ms=90000)
    >>> Priority().place(3)
    Place(tier=-3, head_start_ms=0)
    """

    name: ClassVar[str] = "priority"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    tiers: Mapping[int, int] | Mapping[str, int] | None = attrs.field(default=None, converter=_tiers, hash=False)
    head_start: Mapping[int, Duration] | Mapping[str, Duration] | None = attrs.field(
        default=None, converter=_head_start, hash=False
    )
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with the penalties of memberships as ranks, in both directions. O(classes * groups)."""
        ranks = membership_ranks(classes, groups)
        return Tables(opens=delays(classes, groups), rank_out=ranks, rank_in=ranks)

    def place(self, priority: int) -> Place:
        """Return the tier and the head start of a priority. O(1)."""
        if self.tiers is None and self.head_start is None:
            return Place(tier=strict_tier(priority))
        tiers = cast("Mapping[str, int]", self.tiers or {})
        credited = cast("Mapping[str, int]", self.head_start or {})
        return Place(tier=tiers.get(str(priority), 0), head_start_ms=credited.get(str(priority), 0))
