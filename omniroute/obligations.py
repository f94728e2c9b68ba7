"""Obligations: by when an agent has to be free, and the groups that he goes through as the time until then runs out.

The strategies of a plan say at which times left it matters (``edges_ms``). When an agent of some kind has an obligation
for the first time, a group is made for each of these times, and all strategies are asked for it: at an edge the core
changes nothing but the number of the agent's group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniroute.model import Agent
from omniroute.plan import Plan
from omniroute.plan_numbers import edges_of

if TYPE_CHECKING:
    from omniroute.naming import Naming

__all__ = ["all_groups", "change_edges", "is_obliged", "ladder", "new_groups", "prepare", "rungs"]


def _rungs(edges: tuple[int, ...]) -> zip[tuple[int, int]]:
    """Each edge with the least time that is left between it and the next, which is that one, and 0 behind the last."""
    return zip(edges, (*edges[1:], 0)[: len(edges)], strict=True)


def is_obliged(naming: Naming, name: str) -> bool:
    """Whether an agent has an obligation. O(1)."""
    j = naming.agents.get(name)
    return j is not None and naming.core.obligation(j)[1] >= 0


def new_groups(naming: Naming, agent: Agent, *, obliged: bool) -> int:
    """How many groups the core would get by an agent, with an obligation or without. O(edges)."""
    wanted: list[tuple[object, ...]] = [agent.key()]
    if obliged:
        wanted += [(agent.key(), left) for _, left in _rungs(naming.edges)]
    return sum(key not in naming.groups for key in wanted)


def rungs(naming: Naming, agent: Agent) -> list[int]:
    """The groups that an agent with an obligation goes through, most time left first. O(edges); new ones as there."""
    return [naming.group(agent, left) for _, left in _rungs(naming.edges)]


def ladder(naming: Naming, home: int) -> list[int]:
    """A group and those that its agents go through as their time runs out, as far as there are any. O(edges)."""
    if not naming.edges:
        return [home]
    key = naming.group_values[home].key()
    found = (naming.groups.get((key, left)) for _, left in _rungs(naming.edges))
    return [home, *(g for g in found if g is not None)]


def prepare(naming: Naming, agent: Agent) -> None:
    """Make the groups that an agent with an obligation goes through. O(edges); what is new costs its answers."""
    home = naming.group(agent)
    if naming.ladders.get(home, ()) != naming.edges:
        naming.core.set_ladder(home, list(zip(naming.edges, rungs(naming, agent), strict=True)))
        naming.ladders[home] = naming.edges


def _obliged(naming: Naming) -> list[Agent]:
    return [agent for agent in naming.agent_values if is_obliged(naming, agent.id)]


def all_groups(naming: Naming, plan: Plan) -> int:
    """How many groups there would be under another plan. O(agents * edges)."""
    found = {*naming.groups, *(agent.key() for agent in plan.agents)}
    edges, agents = edges_of(plan), {agent.id: agent for agent in plan.agents}
    for agent in _obliged(naming) if edges else ():
        found.update((agents.get(agent.id, agent).key(), left) for _, left in _rungs(edges))
    return len(found)


def change_edges(naming: Naming) -> None:
    """Lead everybody with an obligation by the edges of the plan, nobody being asked for. O(agents * edges)."""
    naming.edges = edges_of(naming.plan)
    for agent in _obliged(naming):
        prepare(naming, agent)
