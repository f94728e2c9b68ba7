"""Service objective: whoever is most behind the objective of his queue, measured as waiting over objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal, TypeAlias

import attrs

from omniroute.checks import longer_than_nothing
from omniroute.core.codes import AgentKey
from omniroute.core.limits import AGE_RATE_MAX
from omniroute.errors import PlanError
from omniroute.plan import Duration, duration_text, milliseconds
from omniroute.strategies.knobs import delays, joined, joined_to, key_text, membership_ranks, one_of, strict_tier
from omniroute.strategies.protocol import ClassView, GroupView, Observed, Place, Revision, Tables, column

__all__ = ["OBJECTIVE_MAX_MS", "OBJECTIVE_MIN_MS", "ServiceObjective"]

Metric: TypeAlias = Literal["cwt", "pwt"]

OBJECTIVE_MIN_MS: Final = 10_000
"""The shortest objective; its queue has the greatest age rate that the core bears."""
OBJECTIVE_MAX_MS: Final = 86_400_000
"""The longest objective, a day; its age rate is 15."""
_NEXT_MAX_MS: Final = 2**40
"""Age rate times the wait for the next agent stays within the range of an offset."""


def _objective(value: Duration) -> int:
    found = milliseconds(value, "objective")
    if not OBJECTIVE_MIN_MS <= found <= OBJECTIVE_MAX_MS:
        allowed = f"{duration_text(OBJECTIVE_MIN_MS)}..{duration_text(OBJECTIVE_MAX_MS)}"
        raise PlanError(f"must be in {allowed}, got {duration_text(found)}", field="objective")
    return found


def _metric(value: object) -> str:
    return one_of(value, ("cwt", "pwt"), "metric")


def _next_agent(value: Duration | None) -> int | None:
    return None if value is None else milliseconds(value, "next_agent")


def _interval(value: Duration | None) -> int | None:
    return None if value is None else longer_than_nothing(value, "interval")


@attrs.frozen(kw_only=True)
class ServiceObjective:
    """A free agent takes the interaction with the greatest ratio of waiting to the ``objective`` of its queue.

    ``metric`` "cwt" is the current wait: ``age / objective``. "pwt" is the predicted wait, what it would have waited
    in all if this agent did not take it: ``(age + next_agent) / objective``, with ``next_agent`` the time until the
    queue's next agent after this one. That is a parameter (None is 0); with an ``interval`` the strategy
    also answers :meth:`revise`. Queues that share agents are compared by ratio only if each of them has this strategy.

    The ratio enters the core as an integer: the age rate is ``round(131,072 * 10 s / objective)``, 131,072 for the
    shortest objective, 10 s, and 15 for the longest, a day. Rounding changes the objective by at most the share
    ``objective / 2,621,440 s`` of itself: .14 % at an hour, 3.3 % at a day.

    Memberships with a smaller penalty come first in both directions: with equal penalties this is the greatest need,
    with penalties by level of skill it is the best level first and the greatest need within it. The greatest priority
    goes strictly first. How long somebody can be overtaken: by the time an interaction has waited ``w``, whoever is
    ahead of it (equal priority and penalty, "cwt") has waited at least ``w * objective / its objective``; where all
    objectives are equal, nobody who came later is. Raises PlanError.

    >>> ServiceObjective(objective="20s").age_rate
    65536
    """

    name: ClassVar[str] = "service_objective"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    objective: Duration = attrs.field(converter=_objective)
    metric: Metric = attrs.field(default="cwt", converter=_metric)
    next_agent: Duration | None = attrs.field(default=None, converter=_next_agent)
    interval: Duration | None = attrs.field(default=None, converter=_interval)
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    def __attrs_post_init__(self) -> None:
        for field in ("next_agent", "interval"):
            if self.metric == "cwt" and getattr(self, field) is not None:
                raise PlanError('only metric = "pwt" looks at it', field=field)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    @property
    def age_rate(self) -> int:
        """What a millisecond of waiting adds, in 1/(131,072 * 10 s) of the ratio. O(1)."""
        objective = milliseconds(self.objective)
        return (2 * AGE_RATE_MAX * OBJECTIVE_MIN_MS + objective) // (2 * objective)

    @property
    def interval_ms(self) -> int | None:
        """How often it wants to be asked again, in ms; None: never."""
        return None if self.interval is None else milliseconds(self.interval)

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with the rate of the objective, the expected wait, and penalties as ranks. O(classes * groups)."""
        return self._tables(classes, groups, 0 if self.next_agent is None else milliseconds(self.next_agent))

    def revise(self, observed: Observed, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Revision:
        """Answer with the mean gap between connections in the interval as the time until the next agent.

        That is all that counts of one queue can say: the interval over those connected, and the whole interval where
        nobody was. It is the wait for the next agent only while somebody always waits. In a quiet queue it is the gap
        between arrivals, which is longer; how many agents there are and how soon they will be free is not observed.
        The ``target`` and the parameter ``next_agent`` are not looked at. O(classes * groups).
        """
        gap = (self.interval_ms or 0) // max(1, observed.connected)
        return Revision(version=observed.version, tables=self._tables(classes, groups, gap))

    def _tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView], next_ms: int) -> Tables:
        ranks, rate = membership_ranks(classes, groups), self.age_rate
        return Tables(
            opens=delays(classes, groups),
            rank_out=ranks,
            rank_in=ranks,
            age_rate=column(rate, len(classes)),
            offset=column(rate * min(next_ms, _NEXT_MAX_MS), len(classes)),
        )

    def place(self, priority: int) -> Place:
        """Put the greatest priority strictly first. O(1)."""
        return Place(tier=strict_tier(priority))
