"""The two questions, and *eligible*, by their slow meaning: look at everybody, sort, take the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import Clause, TieKind
from omniroute.core.lifecycle import Presence
from omniroute.core.limits import NEVER
from omniroute.core.reference import keys
from omniroute.core.reference.keys import key_value
from omniroute.core.reference.state import ANY, BOUND, IN_QUEUE, RESERVES_OFFERED, Agent, Class, Entry, Tie

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core


def yields(core: Core, agent: Agent, channel: int) -> int:
    """The pools of which the agent holds something that gives way to a channel, as a bitmap."""
    held = sum(1 << pool for pool, count in enumerate(agent.counts) if count)
    return core.tables.groups[agent.group].interrupts[channel] & held


def fits(core: Core, agent: Agent, channel: int) -> bool:
    """Whether the agent's capacity has room for one more interaction of a channel.

    What gives way to it takes no room: neither its units nor a prohibition to be held beside it count.
    """
    tables, group = core.tables, core.tables.groups[agent.group]
    cell, giving_way = tables.channels[channel], yields(core, agent, channel)
    held = sum(1 << pool for pool, count in enumerate(agent.counts) if count)
    if held & ~group.allow[channel] & ~giving_way:
        return False
    loads = {other.pools[0]: other.load for other in tables.channels}
    free = sum(agent.counts[pool] * load for pool, load in loads.items() if giving_way >> pool & 1)
    if agent.used - free + cell.load > group.units:
        return False
    return all(agent.counts[pool] < group.at_most[pool] for pool in cell.pools)


def has_room(core: Core, j: int, channel: int) -> bool:
    """Whether an agent could be offered one more of a channel: one offer at a time where offers hold no capacity."""
    if not core.tables.channels[channel].flags & RESERVES_OFFERED:
        ringing = {core.live(offer.interaction).channel for offer in core.offers_to(j)}
        if channel in ringing:
            return False
    return fits(core, core.agents[j], channel)


def is_open(core: Core, entry: Entry, opens: int) -> bool:
    """Whether a pair that opens at this ordering age is open; 0 opens at once, whatever the age."""
    return opens == 0 or (opens != NEVER and core.now - entry.since >= opens)


def offers_full(core: Core, i: int) -> bool:
    """Whether the interaction has all the live offers that its queue makes at this instant."""
    interaction = core.live(i)
    queue = core.tables.queues[core.queue_of(interaction.entries[0])]
    live = len(core.offers_of(i))
    if queue.every > 0 and live > 0 and interaction.due >= 0:
        return True
    if queue.offers == limits.OFFERS_ALL:
        return live > 0 and queue.every < 0
    return live >= queue.offers


def wish(core: Core, i: int, j: int) -> Tie | None:
    """The first tie by which an interaction prefers an agent or is for him only."""
    return next((tie for tie in core.live(i).ties if tie.agent == j and tie.kind != TieKind.FORBID), None)


def bound(core: Core, i: int) -> bool:
    """Whether an interaction is for certain agents only."""
    return any(tie.kind in BOUND for tie in core.live(i).ties)


def window_of(core: Core, entry: Entry) -> int:
    """The decision window by which an entry is matched; -1: none, or it matches one by one now."""
    window = core.tables.queues[core.queue_of(entry)].window
    return -1 if window == core.loose else window


def why_not(core: Core, i: int, entry: Entry, j: int, *, further: bool = False) -> Clause | None:
    """The first clause of *eligible* that is false for a waiting entry and an agent, or None when all are true.

    A window holds nothing that a tie wishes. ``further``: it is a broadcast, which is full only in between.
    """
    class_, agent = core.tables.classes[entry.class_], core.agents[j]
    pair, wished = class_.pairs[agent.group], wish(core, i, j)
    if agent.presence != Presence.READY:
        return Clause.NOT_READY
    if agent.rest >= 0:
        return Clause.RESTING
    if not has_room(core, j, class_.channel):
        return Clause.NO_ROOM
    if bound(core, i) and not any(tie.agent == j and tie.kind in BOUND for tie in core.live(i).ties):
        return Clause.RESERVED
    if wished is None or wished.kind not in ANY:
        if pair.opens == NEVER:
            return Clause.NOT_ALLOWED
        if pair.condition >= 0 and not core.tables.conditions[pair.condition].holds:
            return Clause.CONDITION
        if not is_open(core, entry, pair.opens):
            return Clause.NOT_YET_OPEN
    if any(tie.agent == j and tie.kind == TieKind.FORBID for tie in core.live(i).ties):
        return Clause.EXCLUDED
    if any(offer.agent == j for offer in core.offers_of(i)):
        return Clause.ALREADY_OFFERED
    if offers_full(core, i) and not further:
        return Clause.OFFERS_FULL
    if wished is None and window_of(core, entry) >= 0:
        return Clause.IN_WINDOW
    return None


def agents_for(
    core: Core, i: int, *, further: bool = False, window: int = -1
) -> list[tuple[tuple[int, int], int, int]]:
    """Who should get interaction ``i``: (standing, entry position, agent), best first, one place for each agent.

    With a ``window``: who would get it of those from whom that holds it.

    First those whom it prefers, in that order; then those whom it would not interrupt in anything; then least rank,
    then least ``cost + term - idle_rate * idle``, then longest idle where idling counts, then the agent key, then the
    stamp of his last change. Two of one standing are equal but for what comes behind the rank.
    """
    found = []
    ties = core.live(i).ties
    for e, entry in enumerate(core.live(i).entries):
        class_ = core.tables.classes[entry.class_]
        for j, agent in enumerate(core.agents):
            clause = why_not(core, i, entry, j, further=further)
            held = clause == Clause.IN_WINDOW and window_of(core, entry) == window
            if not (held if window >= 0 else clause is None):
                continue
            wished = wish(core, i, j)
            if wished is not None:
                found.append(((-1, -1), ties.index(wished), 0, 0, 0, e, j))
                continue
            group, pair = core.tables.groups[agent.group], class_.pairs[agent.group]
            cost = pair.cost_out + group.term - group.idle_rate * (core.now - agent.idle_since)
            idle = agent.idle_since if group.idle_rate else 0
            standing = (int(yields(core, agent, class_.channel) > 0), pair.rank_out)
            found.append(
                (standing, cost, idle, key_value(core, i, j, class_.agent_key, class_.queue), agent.stamp, e, j)
            )
    best, seen = [], set()
    for standing, *_, e, j in sorted(found):
        if j not in seen:
            seen.add(j)
            best.append((standing, e, j))
    return best


def weigh(core: Core, class_: Class, since: int, cost: int) -> int:
    """What an entry of a class weighs: rates times age (capped) and length, and what is conceded."""
    age = core.now - since
    if class_.age_cap >= 0:
        age = min(age, class_.age_cap)
    return class_.age_rate * age + class_.length_rate * core.length(class_.queue) + class_.offset - cost


def weight(core: Core, class_: Class, j: int, since: int) -> int:
    """What an entry weighs for an agent; for one whose time is shared out, how far its queue is behind."""
    due = keys.due(core, j, class_.queue)
    return weigh(core, class_, since, class_.pairs[core.agents[j].group].cost_in) if due is None else due


def interaction_for(core: Core, j: int, *, window: int = -1) -> tuple[int, int] | None:
    """Which interaction agent ``j`` should get next: (interaction, entry position), or None.

    With a ``window``: which one he would get of what it holds.

    First what prefers him, by (tier, since, seq). Inside a class the first that he may take, by (tier, since, seq);
    among classes least rank, then least tier, then most ``age_rate * age + length_rate * length + offset - cost``,
    then since, then seq.
    """
    group = core.agents[j].group
    wished = []
    first: dict[int, tuple[tuple[int, int, int], int, int]] = {}
    for i, interaction in enumerate(core.interactions):
        if interaction is None or interaction.state not in IN_QUEUE:
            continue
        for e, entry in enumerate(interaction.entries):
            clause = why_not(core, i, entry, j)
            held = clause == Clause.IN_WINDOW and window_of(core, entry) == window
            if not (held if window >= 0 else clause is None):
                continue
            place = ((entry.tier, entry.since, entry.seq), i, e)
            if wish(core, i, j) is not None:
                wished.append(place)
            else:
                first[entry.class_] = min(first.get(entry.class_, place), place)
    if wished:
        return min(wished)[-2:]
    found = []
    for k, ((tier, since, seq), i, e) in first.items():
        class_ = core.tables.classes[k]
        found.append((class_.pairs[group].rank_in, tier, -weight(core, class_, j, since), since, seq, i, e))
    return min(found)[-2:] if found else None
