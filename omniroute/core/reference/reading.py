"""The read side of the naive twin: it moves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniroute.core.codes import OF_A_QUEUE, AgentKey, GaugeKind, TieKind
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.limits import NEVER
from omniroute.core.reference import selection
from omniroute.core.reference.keys import key_value
from omniroute.core.reference.state import BOUND, HELD, IN_QUEUE, STILL, TOGETHER
from omniroute.core.reference.tables import index, true, within

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core


def interaction(core: Core, i: int) -> tuple[int, ...]:
    """(state, agent, channel, wait from, connected at, due, then class, tier, since of each entry).

    O(entries); a number that is free answers ``(0,)``. Where clocks stand still, as if they went on from now.
    """
    it = core.interactions[index("interaction", i, len(core.interactions))]
    if it is None:
        return (0,)
    moved = core.now if it.state in STILL else 0
    connected_at = it.connected_at + moved if it.state in TOGETHER else -1
    places = [part for entry in it.entries for part in (entry.class_, entry.tier, entry.since)]
    return (int(it.state), it.agent, it.channel, it.wait_from + moved, connected_at, it.due, *places)


def in_hand(core: Core, j: int) -> list[int]:
    """The interactions that an agent has, from set-up to wrap-up, by number. O(interactions)."""
    index("agent", j, len(core.agents))
    return [i for i, it in enumerate(core.interactions) if it is not None and it.agent == j and it.state in HELD]


def ties(core: Core, i: int) -> list[tuple[int, int, int]]:
    """(agent, kind, until) of each tie of an interaction, oldest first. O(ties)."""
    it = core.interactions[index("interaction", i, len(core.interactions))]
    return [] if it is None else [(tie.agent, int(tie.kind), tie.until) for tie in it.ties]


def agent(core: Core, j: int) -> tuple[int, ...]:
    """(presence, group, units in use, idle since, connected so far, rest until, then the count of each pool)."""
    it = core.agents[index("agent", j, len(core.agents))]
    return (int(it.presence), it.group, it.used, it.idle_since, it.handled, it.rest, *it.counts)


def obligation(core: Core, j: int) -> tuple[int, int]:
    """(the group with time enough left, the instant of the obligation or -1). O(1)."""
    it = core.agents[index("agent", j, len(core.agents))]
    return it.home, it.until


def key(core: Core, j: int, agent_key: int, queue: int) -> int:
    """By what number an agent stands among equals, for any agent key but random choice; the least goes first. O(1).

    ``queue`` is asked for where the key stands for another number in each.
    """
    index("agent", j, len(core.agents))
    most = AgentKey.WEIGHTED_RANDOM if agent_key == AgentKey.WEIGHTED_RANDOM else len(AgentKey)
    within("agent key", agent_key, 0, most - 1)
    within("queue", queue, 0 if agent_key in OF_A_QUEUE else -1, len(core.tables.queues) - 1)
    return key_value(core, -1, j, agent_key, queue)


def queue(core: Core, q: int) -> tuple[int, ...]:
    """(length, version, entered, connected, in target, abandoned), the counts since that version. O(1)."""
    it = core.tables.queues[index("queue", q, len(core.tables.queues))]
    return (core.length(q), it.version, it.entered, it.connected, it.in_target, it.abandoned)


def window(core: Core, w: int) -> tuple[int, int]:
    """(length, when it closes at the latest) of a decision window, -1 while it is not open. O(1)."""
    it = core.tables.windows[index("window", w, len(core.tables.windows))]
    return (it.length, it.closes_at)


def gauge(core: Core, g: int) -> int:
    """What a gauge shows. O(1) in the kernel."""
    it = core.tables.gauges[index("gauge", g, len(core.tables.gauges))]
    if it.kind == GaugeKind.GIVEN:
        return it.given
    if it.kind == GaugeKind.LENGTH:
        return core.length(it.subject)
    return sum(
        _counts(core, it.kind, it.subject, j)
        for j, one in enumerate(core.agents)
        if true(it.program, core.tables.groups[one.group].atoms)
    )


def _counts(core: Core, kind: int, subject: int, j: int) -> bool:
    one = core.agents[j]
    if kind == GaugeKind.STAFFED:
        return one.presence != Presence.SIGNED_OUT
    free = one.presence == Presence.READY and one.rest < 0
    if kind == GaugeKind.IDLE:
        return free and not core.holds(j) and not core.offers_to(j)
    return free and selection.has_room(core, j, subject)


def condition(core: Core, c: int) -> int:
    """Whether a condition holds, as 0 or 1. O(1)."""
    return int(core.tables.conditions[index("condition", c, len(core.tables.conditions))].holds)


def seeking(core: Core, q: int) -> list[tuple[int, int, int, int]]:
    """Entries of a queue that may still be offered, in order: (tier, since, seq, interaction)."""
    return sorted(
        (entry.tier, entry.since, entry.seq, i)
        for i, it in enumerate(core.interactions)
        if it is not None and it.state in IN_QUEUE and not selection.offers_full(core, i)
        for entry in it.entries
        if core.queue_of(entry) == q
    )


def census(core: Core) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
    """Who waits without an offer, and who is ready: by class, by classes where those are several, by group.

    O(interactions + agents).
    """
    counts, ready = [0] * len(core.tables.classes), [0] * len(core.tables.groups)
    several = []
    for it in core.interactions:
        if it is not None and it.state == InteractionState.WAITING:
            if len(it.entries) == 1:
                counts[it.entries[0].class_] += 1
            else:
                several.append(tuple(entry.class_ for entry in it.entries))
    for one in core.agents:
        ready[one.group] += one.presence == Presence.READY
    return counts, several, ready


def serving(core: Core, k: int) -> int:
    """The groups that may ever serve a class, as a bitmap. O(groups)."""
    pairs = core.tables.classes[index("class", k, len(core.tables.classes))].pairs
    return sum(1 << g for g, pair in enumerate(pairs) if pair.opens != NEVER)


def pair(core: Core, k: int, g: int) -> tuple[int, int, int, int, int]:
    """(opens, rank out, cost out, rank in, cost in) of a class and a group, as they hold now. O(1)."""
    row = core.tables.classes[index("class", k, len(core.tables.classes))].pairs
    cell = row[index("group", g, len(core.tables.groups))]
    return (cell.opens, cell.rank_out, cell.cost_out, cell.rank_in, cell.cost_in)


def waiting(core: Core, q: int, limit: int) -> list[int]:
    """Who waits in a queue without all its offers made, by (tier, since, seq), at most ``limit``.

    O(limit * classes) in the kernel.
    """
    index("queue", q, len(core.tables.queues))
    return [i for *_, i in seeking(core, q)[: max(limit, 0)]]


def position(core: Core, i: int) -> int:
    """1 + the entries that are before the interaction's first entry in its queue; 0 if it neither waits nor is parked.

    O(classes * log(waiting)) in the kernel.
    """
    it = core.interactions[index("interaction", i, len(core.interactions))]
    if it is None or it.state not in (*IN_QUEUE, InteractionState.PARKED):
        return 0
    entry = it.entries[0]
    place = (entry.tier, entry.since, entry.seq)
    return 1 + sum(found[:3] < place for found in seeking(core, core.queue_of(entry)))


def why_not(core: Core, i: int, j: int) -> list[int]:
    """For each entry of a waiting interaction the first clause of *eligible* that is false, 0 where none is.

    O(entries * (ties + live offers)); empty when it does not wait.
    """
    it = core.interactions[index("interaction", i, len(core.interactions))]
    index("agent", j, len(core.agents))
    if it is None or it.state not in IN_QUEUE:
        return []
    return [int(selection.why_not(core, i, entry, j) or 0) for entry in it.entries]


def able(core: Core, i: int) -> list[int]:
    """The agents signed in who could take a waiting interaction, if nothing were in the way but what they are."""
    it = core.live(i)
    ones = [j for j, one in enumerate(core.agents) if one.presence != Presence.SIGNED_OUT]
    if selection.bound(core, i):
        return [j for j in ones if (tie := selection.wish(core, i, j)) and tie.kind in BOUND]
    return [
        j
        for j in ones
        if any(core.tables.classes[entry.class_].pairs[core.agents[j].group].opens != -1 for entry in it.entries)
    ]


def all_declined(core: Core, i: int) -> bool:
    """Whether everybody who could take it is kept from it."""
    kept_from = {tie.agent for tie in core.live(i).ties if tie.kind == TieKind.FORBID}
    ones = able(core, i)
    return bool(ones) and all(j in kept_from for j in ones)
