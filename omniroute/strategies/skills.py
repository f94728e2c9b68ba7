"""Skills first: among those who may, who fits how well."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias

import attrs

from omniroute.core.codes import AgentKey
from omniroute.strategies.knobs import delays, fit_text, joined, joined_to, key_text, one_of, penalty
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

__all__ = ["SkillsFirst"]

Fit: TypeAlias = Literal["best", "most_qualified", "any"]
Takes: TypeAlias = Literal["longest_waiting", "best_fit"]

_PENALTY_MAX, _BREADTH_MAX, _FIT_MAX = 2**10 - 1, 2**10 - 1, 2**11 - 1
"""Three figures of 10, 10 and 11 bits make one rank below 2**31; each is cut off at its end, never carried over."""


def _packed(penalty_: int, breadth: int, fit: int) -> int:
    """One rank that compares as the tuple of the three does. O(1)."""
    first = min(penalty_, _PENALTY_MAX) * (_BREADTH_MAX + 1) + min(breadth, _BREADTH_MAX)
    return first * (_FIT_MAX + 1) + min(fit, _FIT_MAX)


def _takes(value: object) -> str:
    return one_of(value, ("longest_waiting", "best_fit"), "takes")


@attrs.frozen(kw_only=True)
class SkillsFirst:
    """An interaction goes to the agents who fit it; a free agent takes what has waited longest, or what fits him.

    Agents are compared by the penalty of their membership, then (``specialist_first``) by how few skills they have,
    then by ``fit``: "best" is least over-qualified (the sum, over the skills required, of level minus level required),
    "most_qualified" the opposite, "any" does not look; then by ``agent_key``. A free agent compares classes by penalty,
    then (``takes`` "best_fit") by the same fit, then by waiting. Penalties and numbers of skills from 1,023 on and
    fits from 2,047 on are alike. Raises PlanError.

    >>> SkillsFirst(fit="any", specialist_first=True).fit
    'any'
    """

    name: ClassVar[str] = "skills_first"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    fit: Fit = attrs.field(default="best", converter=fit_text)
    specialist_first: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))
    takes: Takes = attrs.field(default="longest_waiting", converter=_takes)
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with packed ranks in both directions. O(classes * groups * skills required)."""
        rank_out, rank_in = array("q"), array("q")
        for view in classes:
            required = view.requirement.levels()
            for group in groups:
                cost, fit = penalty(view, group), self._over(required, group)
                rank_out.append(_packed(cost, len(group.skills) if self.specialist_first else 0, fit))
                rank_in.append(_packed(cost, 0, fit if self.takes == "best_fit" else 0))
        return Tables(opens=delays(classes, groups), rank_out=rank_out, rank_in=rank_in)

    def _over(self, required: Mapping[str, int], group: GroupView) -> int:
        """How far from the wished fit a group is; 0 is best."""
        if self.fit == "any":
            return 0
        over = sum(max(0, group.skills.get(skill, 0) - level) for skill, level in required.items())
        return min(over, _FIT_MAX) if self.fit == "best" else _FIT_MAX - min(over, _FIT_MAX)

    def place(self, priority: int) -> Place:  # noqa: ARG002
        """Put every priority into one line. O(1)."""
        return Place()
