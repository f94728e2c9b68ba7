"""The two questions, and *eligible*, by their slow meaning: look at everybody, sort, take the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import AgentKey, Clause
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.limits import NEVER
from omniroute.core.reference.state import Agent, Entry

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core


def fits(core: Core, agent: Agent, channel: int) -> bool:
    """Whether the agent's capacity has room for one more interaction of a channel."""
    group = core.tables.groups[agent.group]
    return agent.used + core.tables.loads[channel] <= group.units and agent.counts[channel] < group.at_most[channel]


def is_open(core: Core, entry: Entry, opens: int) -> bool:
    """Whether a pair that opens at this ordering age is open; 0 opens at once, whatever the age."""
    return opens == 0 or (opens != NEVER and core.now - entry.since >= opens)


def offers_full(core: Core, i: int) -> bool:
    """Whether the interaction has all the live offers that its queue makes at a time."""
    interaction = core.live(i)
    offers = core.tables.queues[core.queue_of(interaction.entries[0])].offers
    live = len(core.offers_of(i))
    return live > 0 if offers == limits.OFFERS_ALL else live >= offers


def why_not(core: Core, i: int, entry: Entry, j: int) -> Clause | None:
    """The first clause of *eligible* that is false for a waiting entry and an agent, or None when all are true."""
    class_, agent = core.tables.classes[entry.class_], core.agents[j]
    pair = class_.pairs[agent.group]
    if agent.presence != Presence.READY:
        return Clause.NOT_READY
    if not fits(core, agent, class_.channel):
        return Clause.NO_ROOM
    if pair.opens == NEVER:
        return Clause.NOT_ALLOWED
    if not is_open(core, entry, pair.opens):
        return Clause.NOT_YET_OPEN
    if any(exclusion.agent == j for exclusion in core.live(i).exclusions):
        return Clause.EXCLUDED
    if any(offer.agent == j for offer in core.offers_of(i)):
        return Clause.ALREADY_OFFERED
    if offers_full(core, i):
        return Clause.OFFERS_FULL
    return None


def key_value(agent: Agent, key: int) -> int:
    """The named column that orders equal agents."""
    columns = {
        AgentKey.LONGEST_IDLE: agent.idle_since,
        AgentKey.FEWEST_HANDLED: agent.handled,
        AgentKey.LEAST_LOADED: agent.used,
        AgentKey.FIXED_ORDER: agent.order,
        AgentKey.ROUND_ROBIN: agent.offered,
    }
    return columns[AgentKey(key)]


def agents_for(core: Core, i: int) -> list[tuple[int, int]]:
    """Who should get interaction ``i``: (entry position, agent), best first, one place for each agent.

    Least rank, then least ``cost + term - idle_rate * idle``, then longest idle where idling counts, then the
    agent key, then the stamp of his last change.
    """
    found = []
    for e, entry in enumerate(core.live(i).entries):
        class_ = core.tables.classes[entry.class_]
        for j, agent in enumerate(core.agents):
            if why_not(core, i, entry, j) is not None:
                continue
            group, pair = core.tables.groups[agent.group], class_.pairs[agent.group]
            cost = pair.cost_out + group.term - group.idle_rate * (core.now - agent.idle_since)
            idle = agent.idle_since if group.idle_rate else 0
            found.append((pair.rank_out, cost, idle, key_value(agent, class_.agent_key), agent.stamp, e, j))
    best, seen = [], set()
    for *_, e, j in sorted(found):
        if j not in seen:
            seen.add(j)
            best.append((e, j))
    return best


def rank_of(core: Core, i: int, e: int, j: int) -> int:
    """The rank of a pair in agent selection."""
    return core.tables.classes[core.live(i).entries[e].class_].pairs[core.agents[j].group].rank_out


def interaction_for(core: Core, j: int) -> tuple[int, int] | None:
    """Which interaction agent ``j`` should get next: (interaction, entry position), or None.

    Inside a class the first that he may take, by (tier, since, seq); among classes least rank, then least tier, then
    most ``age_rate * age + length_rate * length + offset - cost``, then since, then seq.
    """
    group = core.agents[j].group
    first: dict[int, tuple[tuple[int, int, int], int, int]] = {}
    for i, interaction in enumerate(core.interactions):
        if interaction is None or interaction.state not in (InteractionState.WAITING, InteractionState.OFFERED):
            continue
        for e, entry in enumerate(interaction.entries):
            if why_not(core, i, entry, j) is None:
                place = ((entry.tier, entry.since, entry.seq), i, e)
                first[entry.class_] = min(first.get(entry.class_, place), place)
    found = []
    for k, ((tier, since, seq), i, e) in first.items():
        class_ = core.tables.classes[k]
        weight = (
            class_.age_rate * (core.now - since)
            + class_.length_rate * core.length(class_.queue)
            + class_.offset
            - class_.pairs[group].cost_in
        )
        found.append((class_.pairs[group].rank_in, tier, -weight, since, seq, i, e))
    return min(found)[-2:] if found else None
