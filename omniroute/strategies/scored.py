"""Scored: the slow door. A function of the host puts agents into an order for one interaction.

It stands outside the router. What it answers reaches the router as the ``binds`` of a command, so a journal that has
the command replays without it, and no decision waits for it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

import attrs
import msgspec

from omniroute.commands import Bind, Consult, Enqueue, Transfer
from omniroute.core.limits import TIES_MAX
from omniroute.errors import MisuseError
from omniroute.model import checked_integer, shown
from omniroute.plan import Duration, Plan, milliseconds
from omniroute.requirements import conjunction, parse
from omniroute.strategies.protocol import GroupView
from omniroute.views import AgentView

__all__ = ["Candidate", "Score", "Scored"]

MOST: Final = 8
"""How many agents a function is shown unless it says otherwise."""
_Asks = TypeVar("_Asks", Enqueue, Transfer, Consult)


@attrs.frozen
class Candidate:
    """An agent who is ready and could take the interaction: ``group`` is what strategies see, ``now`` what he is at."""

    id: str
    group: GroupView
    now: AgentView


Score: TypeAlias = Callable[[Mapping[str, object], Sequence[Candidate]], Iterable[float | None]]
"""A number for each candidate, in their order, the greatest is the best; None leaves one out."""


class Reading(Protocol):
    """What is read of a router."""

    @property
    def plan(self) -> Plan:
        """The plan that holds."""

    def revision_views(self, queue: str) -> tuple[Sequence[object], list[GroupView]]:
        """Groups, by number."""

    def staff(self) -> dict[str, tuple[int, bool]]:
        """Group, and whether ready, of each agent."""

    def agent(self, name: str) -> AgentView:
        """An agent."""


def _most(value: int) -> int:
    return checked_integer(value, "most", 1, TIES_MAX)


def _hold(value: Duration | None) -> int | None:
    return None if value is None else milliseconds(value, "hold")


@attrs.frozen
class Scored:
    """Prefer, for one interaction, the agents whom a function scores best.

    ``fn(context, candidates)`` gets whatever the host gives as context, and at most ``most`` candidates (1..64): agents
    who are ready, members of one of the queues, and meet what it and the interaction ask; those with nothing in hand
    first, then the longest idle. It answers with a number for each. The interaction then prefers those who got one, the
    greatest first: whoever of them may take it, in this order, comes before everybody else for ``hold`` (None: while it
    waits). Nobody is excluded, gates and conditions hold, and an agent who is freed takes what prefers him before
    anything else. Raises PlanError.

    >>> Scored(lambda context, candidates: [len(who.group.skills) for who in candidates], hold="30s").hold
    30000
    """

    fn: Score
    most: int = attrs.field(default=MOST, converter=_most)
    hold: Duration | None = attrs.field(default=None, converter=_hold)

    def bound(self, router: Reading, command: _Asks, context: Mapping[str, object] | None = None) -> _Asks:
        """The command with what the function prefers behind its own ``binds``; apply that one.

        Of a Transfer, ``needs`` None counts as no needs. O(agents), and what the function costs. Raises what it raises,
        RequirementError, and MisuseError for an answer that is none; nothing has been applied then.
        """
        bound = {bind.agent for bind in command.binds}
        found = self.candidates(router, command.queue, command.needs or "", without=bound)
        ranked = _ranked(found, self.fn(context or {}, found)) if found else []
        hold = None if self.hold is None else milliseconds(self.hold)
        room = max(0, TIES_MAX - len(command.binds))
        binds = command.binds + tuple(Bind(who.id, "prefer", hold) for who in ranked[:room])
        return msgspec.structs.replace(command, binds=binds)

    def candidates(
        self, router: Reading, queue: str | Sequence[str], needs: str = "", *, without: Iterable[str] = ()
    ) -> list[Candidate]:
        """Whom the function would be shown. O(agents * log(most)). Raises RequirementError."""
        names = (queue,) if isinstance(queue, str) else tuple(queue)
        asked = parse(needs)
        wholes = {
            value.name: conjunction(value.requirement, asked) for value in router.plan.queues if value.name in names
        }
        if not wholes:
            return []
        groups = router.revision_views(next(iter(wholes)))[1]
        able = [any(group.may_serve(*whole) for whole in wholes.items()) for group in groups]
        kept, staff = set(without), router.staff()
        ready = [name for name, (g, is_ready) in staff.items() if is_ready and able[g] and name not in kept]
        views = ((at, router.agent(name)) for at, name in enumerate(ready))
        first = heapq.nsmallest(
            self.most, views, key=lambda item: (item[1].units_in_use > 0, item[1].idle_since, item[0])
        )
        return [Candidate(view.id, groups[staff[view.id][0]], view) for _, view in first]


def _ranked(candidates: Sequence[Candidate], scores: Iterable[float | None]) -> list[Candidate]:
    """Candidates who got a number, the greatest first, equal ones as they came. Raises MisuseError."""
    given = list(scores)
    if len(given) != len(candidates):
        raise MisuseError(f"{len(candidates)} candidates got {len(given)} scores")
    for score in given:
        number = isinstance(score, int | float) and not isinstance(score, bool)
        if score is not None and (not number or math.isnan(score)):
            raise MisuseError(f"expected a number or None as a score, got {shown(score)}")
    rows = [(-score, at) for at, score in enumerate(given) if score is not None]
    return [candidates[at] for _, at in sorted(rows)]
