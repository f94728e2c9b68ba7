"""First come, first served: interactions by arrival, agents by a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from omniroute.core.codes import AgentKey
from omniroute.strategies.knobs import delays, joined, joined_to, key_text, membership_ranks
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

__all__ = ["FirstComeFirstServed"]


@attrs.frozen(kw_only=True)
class FirstComeFirstServed:
    """Whoever has waited longest is next, whatever the priority: of equal penalty nobody who came later passes.

    Agents with a smaller penalty for the queue come first, and a free agent takes from the queue with his smallest
    penalty; agents who are then equal are ordered by ``agent_key`` (an AgentKey or its name). Raises PlanError.

    >>> FirstComeFirstServed(agent_key="round_robin").agent_key
    <AgentKey.ROUND_ROBIN: 4>
    """

    name: ClassVar[str] = "first_come_first_served"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with the penalties of memberships as ranks, in both directions. O(classes * groups)."""
        ranks = membership_ranks(classes, groups)
        return Tables(opens=delays(classes, groups), rank_out=ranks, rank_in=ranks)

    def place(self, priority: int) -> Place:  # noqa: ARG002
        """Put every priority into one line. O(1)."""
        return Place()
