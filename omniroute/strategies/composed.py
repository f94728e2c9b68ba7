"""Composed: several strategies as one; every gate holds, costs add up, and one part says the rest."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from omniroute.core.codes import AgentKey
from omniroute.core.limits import COST_MAX
from omniroute.errors import MisuseError, PlanError
from omniroute.model import shown
from omniroute.strategies import catalogue
from omniroute.strategies.knobs import joined, joined_to
from omniroute.strategies.protocol import (
    NEVER,
    ClassView,
    GroupView,
    Observed,
    Place,
    Revision,
    Strategy,
    Tables,
    column,
)

__all__ = ["PARTS_MAX", "Composed"]

PARTS_MAX: Final = 8
"""So that a sum of costs stays far inside 64 bits before it is cut off."""


def _parts(value: Iterable[object]) -> tuple[Strategy, ...]:
    """Read parts, each as a plan writes a strategy or the value itself; a composition counts as its parts."""
    if not isinstance(value, list | tuple):
        raise PlanError(f"expected a list of strategies, got {shown(value)}", field="parts")
    if len(value) > PARTS_MAX:
        raise PlanError(f"at most {PARTS_MAX} strategies, got {len(value)}", field="parts")
    found: list[Strategy] = []
    for at, item in enumerate(value):
        part = catalogue.read(item, f"parts[{at}]")
        if not isinstance(getattr(part, "version", None), int):
            raise PlanError(f"expected a strategy with a version, got {shown(part)}", field=f"parts[{at}]")
        found += part.parts if isinstance(part, Composed) else [part]
    if not 2 <= len(found) <= PARTS_MAX:
        raise PlanError(f"expected 2..{PARTS_MAX} strategies, got {len(found)}", field="parts")
    names = [part.name for part in found]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise PlanError(f"{name!r} is given twice", field=f"parts[{at}]")
    return tuple(found)


@attrs.frozen(kw_only=True)
class Composed:
    """Several strategies as one, which ``a | b | c`` writes.

    Two of a kind are refused. One part is the *base*: the last that answers with ranks, or the last of all where none
    does. Ranks, rates, offset and age cap, the place of a priority and the agent key are those of the base. The other
    parts add to it:

    - gates: a pair opens at the latest of the parts' openings, and never where one of them says never;
    - costs: they add up, as milliseconds of waiting. A cost of a part is in units of its own age rate, so it is
      multiplied by the base's rate for the class over its own and rounded; a rate of 0 counts as 1. The sum is cut off
      at ``COST_MAX``.

    A part answers a column always or never. Parts that have an interval have the same one; at its end each of them that
    has ``revise`` is asked. Raises PlanError.

    >>> from omniroute import BestMatch, Priority
    >>> (BestMatch() | Priority()).base.name
    'priority'
    """

    name: ClassVar[str] = "composed"
    __or__, __ror__ = joined, joined_to

    parts: Sequence[Strategy] = attrs.field(converter=_parts)
    base: Strategy = attrs.field(init=False, eq=False, repr=False)
    """The part that says ranks, rates, places and the agent key."""

    @base.default
    def _base(self) -> Strategy:
        for at, part in reversed(list(enumerate(self.parts))):
            try:
                empty = part.tables([], [])
            except Exception as error:
                message = f"{part.name!r} raised {type(error).__name__} when it was asked about nothing: {error}"
                raise PlanError(message, field=f"parts[{at}]") from error
            if empty.rank_out is not None or empty.rank_in is not None:
                return part
        return self.parts[-1]

    def __attrs_post_init__(self) -> None:
        asked = {part.name: every for part in self.parts if (every := _interval(part)) is not None}
        if len(set(asked.values())) > 1:
            listed = ", ".join(f"{name} {every} ms" for name, every in asked.items())
            raise PlanError(f"parts want to be asked at the same interval, got {listed}", field="parts")
        shares = {part.name: share for part in self.parts if (share := _share(part)) is not None}
        if len(set(shares.values())) > 1:
            listed = ", ".join(f"{name} {share}" for name, share in shares.items())
            raise PlanError(f"parts want to know the same share of handle times, got {listed} per mille", field="parts")

    @property
    def version(self) -> int:
        """Another number whenever a part has a later one. O(parts)."""
        return 1 + sum(part.version - 1 for part in self.parts)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal: the base's."""
        return self.base.agent_key

    @property
    def interval_ms(self) -> int | None:
        """How often its parts want to be asked again, in ms; None: never."""
        return next((every for part in self.parts if (every := _interval(part)) is not None), None)

    @property
    def edges_ms(self) -> tuple[int, ...]:
        """The times left to an agent's obligation at which the answers of a part change, ascending. O(parts)."""
        return tuple(sorted({edge for part in self.parts for edge in getattr(part, "edges_ms", ())}))

    @property
    def handle_permille(self) -> int | None:
        """Of how many of a thousand handle times a part wants to know the longest; None: none does. O(parts)."""
        return next((share for part in self.parts if (share := _share(part)) is not None), None)

    def part(self, kind: type) -> Any:
        """The part of a class, None where there is none. O(parts)."""
        return next((part for part in self.parts if isinstance(part, kind)), None)

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with what all parts say together. O(parts * cells)."""
        return self._together([part.tables(classes, groups) for part in self.parts], len(classes), len(groups))

    def revise(
        self,
        observed: Observed,
        classes: Sequence[ClassView],
        groups: Sequence[GroupView],
        known: Mapping[str, Tables] | None = None,
    ) -> Revision:
        """Ask every part that has ``revise``; the others say what they always say.

        ``known`` are answers of parts, by name, that somebody else gives. O(parts * cells) and what the parts cost.
        """
        answers = [self._revised(part, observed, classes, groups, known or {}) for part in self.parts]
        tables = self._together(answers, len(classes), len(groups))
        return Revision(version=observed.version, tables=tables)

    def _revised(
        self,
        part: Strategy,
        observed: Observed,
        classes: Sequence[ClassView],
        groups: Sequence[GroupView],
        known: Mapping[str, Tables],
    ) -> Tables:
        revise: Callable[..., Revision] | None = getattr(part, "revise", None)
        if part.name in known:
            return known[part.name]
        if revise is None or _interval(part) is None:
            return part.tables(classes, groups)
        revision = revise(observed, classes, groups)
        if revision.version != observed.version:
            message = f"{part.name!r} answered version {revision.version}, it was asked about {observed.version}"
            raise MisuseError(message)
        return revision.tables

    def place(self, priority: int) -> Place:
        """Where the base puts a priority."""
        return self.base.place(priority)

    def _together(self, answers: Sequence[Tables], classes: int, groups: int) -> Tables:
        """One answer of many: the base's, with the gates and costs of all. O(parts * cells)."""
        base = self.base
        said = next(answer for part, answer in zip(self.parts, answers, strict=True) if part is base)
        gates = [answer.opens for answer in answers if answer.opens is not None]
        return attrs.evolve(
            said,
            opens=None if not gates else array("q", map(_latest, *gates)) if len(gates) > 1 else gates[0],
            cost_out=_added([(answer.cost_out, answer) for answer in answers], said, classes, groups),
            cost_in=_added([(answer.cost_in, answer) for answer in answers], said, classes, groups),
        )


def _interval(part: Strategy) -> int | None:
    found: int | None = getattr(part, "interval_ms", None)
    return found


def _share(part: Strategy) -> int | None:
    found: int | None = getattr(part, "handle_permille", None)
    return found


def _latest(*gates: int) -> int:
    return NEVER if NEVER in gates else max(gates)


def _added(
    parts: Sequence[tuple[array[int] | None, Tables]], base: Tables, classes: int, groups: int
) -> array[int] | None:
    """Costs of all parts in units of the base; None where no part has any. O(parts * cells)."""
    given = [(costs, tables) for costs, tables in parts if costs is not None]
    if not given:
        return None
    rates = base.age_rate or column(1, classes)
    total = [0] * (classes * groups)
    for costs, tables in given:
        own = tables.age_rate or column(1, classes)
        for k in range(classes):
            to, of = rates[k] or 1, own[k] or 1
            row = costs[k * groups : (k + 1) * groups]
            # Rounded half up: what is half a unit counts.
            scaled = row if to == of else [(2 * cost * to + of) // (2 * of) for cost in row]
            for g, cost in enumerate(scaled):
                total[k * groups + g] += cost
    return array("q", [min(COST_MAX, max(-COST_MAX, cost)) for cost in total])
