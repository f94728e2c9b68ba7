"""Best match: agents by a score between 0 and 1, the mean over what the requirement asks."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Literal, TypeAlias, cast

import attrs

from omniroute.core.codes import AgentKey
from omniroute.errors import PlanError
from omniroute.model import Label, checked_term, shown
from omniroute.requirements import AND, NOT, OR, Atom, Requirement
from omniroute.strategies.knobs import (
    delays,
    joined,
    joined_to,
    key_text,
    membership_ranks,
    one_of,
    penalty,
    strict_tier,
)
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

__all__ = ["BestMatch", "score"]

Mean: TypeAlias = Literal["labels", "logistic", "average"]
Scoring: TypeAlias = Mean | Literal["lexicographic"]
Scorer: TypeAlias = Callable[[Mapping[str, int], Mapping[str, Label]], int]
Selector: TypeAlias = tuple[Atom, bool]
"""A question of the requirement, and whether it is asked as it stands (False: its negation is)."""

_SCORINGS: Final = ("labels", "logistic", "average", "lexicographic")
_ONE: Final = 1_000_000
"""A score of 1, in millionths."""
_PENALTY_MAX: Final = 2**10 - 1
_RADIX: Final = (1_000_000, 1_000, 100, 31)
"""How many figures a name has in a lexicographic score, by how many names there are; the last is for a missing one."""
_LEVELS: Final = 1_000
"""The mean level that scores 1 when the average counts."""
_FLAT: Final = 40.0
"""Beyond this the logistic function is 0 or 1 in millionths; it is cut off there, so that nothing overflows."""


def score(scoring: Mean, requirement: Requirement, skills: Mapping[str, int], labels: Mapping[str, Label]) -> int:
    """Return how well an agent fits a requirement, in millionths (0..1,000,000); see :class:`BestMatch`. O(atoms).

    Floats are worked with here and rounded once, half to even. Source of the logistic form: the distribution concepts
    of the Azure Communication Services Job Router.

    >>> from omniroute.requirements import parse
    >>> score("logistic", parse("french and sales >= 10"), {"french": 1, "sales": 15}, {})
    811230
    """
    return _scorer(scoring, requirement)(skills, labels)


def _scorer(scoring: Mean, requirement: Requirement) -> Scorer:
    """The score as a function of an agent: what depends on the requirement alone is worked out once. O(atoms)."""
    required = sorted(requirement.levels())
    selectors = _selectors(requirement)
    one = _held if scoring == "labels" else _logistic

    def mean(skills: Mapping[str, int], labels: Mapping[str, Label]) -> int:
        parts = [one(atom, asked, skills, labels) for atom, asked in selectors]
        return round(math.fsum(parts) / len(parts) * _ONE)

    def average(skills: Mapping[str, int], labels: Mapping[str, Label]) -> int:  # noqa: ARG001
        total = sum(skills.get(name, 0) for name in required)
        return min(_ONE, round(total * _ONE / (len(required) * _LEVELS)))

    if not (required if scoring == "average" else selectors):
        return lambda skills, labels: _ONE  # noqa: ARG005
    return average if scoring == "average" else mean


def _selectors(requirement: Requirement) -> list[Selector]:
    """Every question of a requirement, with whether it is negated; those of both sides of an ``or`` count."""
    stack: list[list[Selector]] = []
    for word in requirement.program:
        if word >= 0:
            stack.append([(requirement.atoms[word], True)])
        elif word == NOT:
            stack.append([(atom, not asked) for atom, asked in stack.pop()])
        elif word in (AND, OR):
            right, left = stack.pop(), stack.pop()
            stack.append(left + right)
        else:
            stack.append([])
    return stack.pop()


def _held(atom: Atom, asked: bool, skills: Mapping[str, int], labels: Mapping[str, Label]) -> float:
    """1 where the answer is the one asked for, else 0; a missing label satisfies ``!=``."""
    return float(atom.holds(skills, labels) is asked)


def _logistic(atom: Atom, asked: bool, skills: Mapping[str, int], labels: Mapping[str, Label]) -> float:
    """How far a number lies on the wished side of the bound: .5 at the bound itself; anything else 1 or 0."""
    have: Label = labels[atom.name] if atom.name in labels else skills.get(atom.name, 0)
    want = atom.value
    numbers = isinstance(have, int) and not isinstance(have, bool) and isinstance(want, int)
    if not numbers or atom.op not in (">=", "<"):
        return _held(atom, asked, skills, labels)
    assert isinstance(have, int)
    assert isinstance(want, int)
    upward = (atom.op == ">=") is asked
    # Of integers the requirement keeps only ``>=`` and ``<``; below a number, its neighbour is the last to satisfy.
    bound = want if upward else want - 1
    beyond = (have - bound if upward else bound - have) / max(1, abs(bound))
    return 1 / (1 + math.exp(-max(-_FLAT, min(_FLAT, beyond))))


def _order_by(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > len(_RADIX):
        raise PlanError(f"expected a list of at most {len(_RADIX)} names, got {shown(value)}", field="order_by")
    found = []
    for at, item in enumerate(value):
        name, _, way = item.rpartition(" ") if isinstance(item, str) else ("", "", "")
        if way not in ("asc", "desc") or not name:
            message = f'expected a name with "asc" or "desc" behind it, got {shown(item)}'
            raise PlanError(message, field=f"order_by[{at}]")
        found.append(f"{checked_term(name, f'order_by[{at}]')} {way}")
    return tuple(found)


def _placed(order_by: Sequence[str], group: GroupView) -> int:
    """Where names in their order put an agent, in ``0..999,999``; the least is the best. O(names)."""
    found, radix = 0, _RADIX[len(order_by) - 1]
    for name, _, way in (item.rpartition(" ") for item in order_by):
        have = group.labels.get(name, group.skills.get(name))
        figure = radix - 1
        if isinstance(have, int) and not isinstance(have, bool):
            level = min(max(have, 0), radix - 2)
            figure = level if way == "asc" else radix - 2 - level
        found = found * radix + figure
    return found


def _scoring(value: object) -> str:
    return one_of(value, _SCORINGS, "scoring")


@attrs.frozen(kw_only=True)
class BestMatch:
    """An interaction goes to the agent with the highest score; a free agent takes what has waited longest.

    The score is a mean over the questions of the requirement, that of the queue and the interaction together:

    - "logistic": ``=`` and ``!=``, text, sets and bare names are 1 or 0 (a missing label satisfies ``!=``). A number
      against a bound is ``1 / (1 + e^-x)`` with ``x = (have - want) / want`` for ``>=`` and ``>``, and
      ``x = (want - have) / want`` for ``<=`` and ``<``: .5 at the bound, more beyond it. ``want`` is the last integer
      that still satisfies (``> 9`` wants 10, ``< 11`` wants 10); where it is 0 or less, the divisor is
      ``max(1, |want|)``, so that more on the wished side is always better. A missing name is 0.
    - "labels": every question is 1 or 0, so this tells agents apart only where the requirement has an ``or``.
    - "average": the mean level of the skills that every agent must have, in thousandths; means from 1,000 on are alike.
    - "lexicographic": not a mean. ``order_by`` has one to four names of skills or labels, each with "asc" (the smallest
      goes first) or "desc": agents are compared by the first, then by the second... An agent without the name comes
      after those who have it, in both directions. Numbers below 0 are alike, and so are those from 999,998 on, with two
      names from 998, with three from 98, with four from 29.

    Agents are compared by the penalty of their membership, then by the score in millionths, then by ``agent_key``. The
    rank is ``penalty * 1,000,001 + 1,000,000 - score``; penalties from 1,023 on are alike. A free agent compares
    classes by penalty; the greatest priority goes strictly first, so any number of greater priority pass, without a
    bound, and nobody else who came later. Raises PlanError.

    >>> BestMatch(scoring="labels").scoring
    'labels'
    """

    name: ClassVar[str] = "best_match"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    scoring: Scoring = attrs.field(default="logistic", converter=_scoring)
    order_by: Sequence[str] = attrs.field(default=(), converter=_order_by)
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    def __attrs_post_init__(self) -> None:
        if bool(self.order_by) is not (self.scoring == "lexicographic"):
            raise PlanError('is what scoring = "lexicographic" needs, and no other looks at', field="order_by")

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with scores as ranks of agents, and penalties as ranks of classes. O(classes * groups * atoms)."""
        rank_out = array("q")
        for view in classes:
            scored = None if self.order_by else _scorer(cast("Mean", self.scoring), view.requirement)
            for group in groups:
                if scored is None:
                    conceded = _placed(self.order_by, group)
                else:
                    conceded = _ONE - scored(group.skills, group.labels)
                rank_out.append(min(penalty(view, group), _PENALTY_MAX) * (_ONE + 1) + conceded)
        opens, rank_in = delays(classes, groups), membership_ranks(classes, groups)
        return Tables(opens=opens, rank_out=rank_out, rank_in=rank_in)

    def place(self, priority: int) -> Place:
        """Put the greatest priority strictly first. O(1)."""
        return Place(tier=strict_tier(priority))
