"""The state as integers, back again, and the invariants. The kernel writes the very same integers."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.reference import selection
from omniroute.core.reference.state import (
    HELD,
    IN_QUEUE,
    Agent,
    Class,
    Entry,
    Exclusion,
    Group,
    Interaction,
    Offer,
    Pair,
    Queue,
)
from omniroute.core.reference.tables import index, within
from omniroute.errors import MisuseError

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

FORMAT = 1
"""The number of this layout; another layout gets another number."""


def dump(core: Core) -> array[int]:
    """The whole state, canonical: the same for both cores after the same commands. O(state)."""
    out = array("q", [FORMAT, core.now, core.seq])
    _dump_tables(core, out)
    out.append(len(core.agents))
    for agent in core.agents:
        out.extend((agent.group, agent.order, agent.presence, agent.used, agent.idle_since, agent.stamp))
        out.extend((agent.handled, agent.offered, *agent.counts))
    out.append(len(core.interactions))
    for interaction in core.interactions:
        if interaction is None:
            out.append(InteractionState.GONE)
        else:
            _dump_interaction(interaction, out)
    out.extend((len(core.free_interactions), *core.free_interactions, len(core.offers)))
    for offer in core.offers:
        if offer is None:
            out.append(-1)
        else:
            out.extend((offer.interaction, offer.entry, offer.agent, offer.due, offer.seq))
    out.extend((len(core.free_offers), *core.free_offers))
    return out


def _dump_tables(core: Core, out: array[int]) -> None:
    tables = core.tables
    out.extend((len(tables.loads), *tables.loads, len(tables.queues)))
    for q in tables.queues:
        out.extend((q.offers, q.offer_timeout, q.limit, q.retry_after, q.target, q.control_every, q.control_due))
        out.extend((q.version, q.entered, q.connected, q.in_target, q.abandoned))
    out.extend((tables.atoms, len(tables.groups)))
    for g in tables.groups:
        out.extend((g.units, *g.at_most, g.idle_rate, g.term, len(g.atoms), *sorted(g.atoms)))
    out.append(len(tables.classes))
    for k in tables.classes:
        out.extend((k.queue, k.channel, k.age_rate, k.length_rate, k.offset, k.step_at, k.step_next, k.step_tier))
        out.extend((k.agent_key, len(k.program), *k.program))
        for pair in k.pairs:
            out.extend((pair.opens, pair.rank_out, pair.cost_out, pair.rank_in, pair.cost_in))


def _dump_interaction(it: Interaction, out: array[int]) -> None:
    out.extend((it.state, it.seq, it.wait_from, it.step_from, it.agent, it.channel, it.connected_at, it.wrap_due))
    out.append(len(it.entries))
    for entry in it.entries:
        out.extend((entry.class_, entry.tier, entry.since, entry.seq))
    out.append(len(it.exclusions))
    for exclusion in it.exclusions:
        out.extend((exclusion.agent, exclusion.until, exclusion.seq))


def load(core: Core, data: array[int]) -> None:
    """Fill an empty core from what :func:`dump` wrote. Raises MisuseError for what no core can have written."""
    try:
        _load(core, data)
    except (StopIteration, ValueError, IndexError, AttributeError) as error:
        raise error if isinstance(error, MisuseError) else MisuseError(f"not the dump of a core: {error!r}") from None
    broken = [*_check_capacity(core), *_check_states(core), *_check_time(core)]
    if broken:
        raise MisuseError(f"the dump is of a broken core: {broken[0]}")


def _load(core: Core, data: array[int]) -> None:
    it = iter(data)

    def take(n: int) -> list[int]:
        return [next(it) for _ in range(n)]

    layout, core.now, core.seq = take(3)
    if layout != FORMAT:
        raise limits.out_of_range("layout of the dump", layout, FORMAT, FORMAT)
    within("now", core.now, 0, limits.TIME_MAX)
    _load_tables(core, take)
    channels = len(core.tables.loads)
    for _ in range(next(it)):
        group, order, presence, used, idle, stamp, handled, offered = take(8)
        core.agents.append(Agent(group, order, Presence(presence), used, take(channels), idle, stamp, handled, offered))
    for _ in range(next(it)):
        state = InteractionState(next(it))
        core.interactions.append(None if state == InteractionState.GONE else _load_interaction(state, take))
    core.free_interactions = take(next(it))
    for _ in range(next(it)):
        number = next(it)
        core.offers.append(None if number < 0 else Offer(number, *take(4)))
    core.free_offers = take(next(it))
    for i, interaction in enumerate(core.interactions):
        if interaction is not None:
            _check_numbers(core, interaction)
            core.arm(i)
    for k, class_ in enumerate(core.tables.classes):
        core.tables.check_class(k, class_)
    for agent in core.agents:
        index("group", agent.group, len(core.tables.groups))
    for offer in core.offers:
        if offer is not None:
            index("agent", offer.agent, len(core.agents))
            index("interaction", offer.interaction, len(core.interactions))
            index("entry", offer.entry, len(core.live(offer.interaction).entries))
    if next(it, None) is not None:
        raise MisuseError("the dump goes on after its end")


def _check_numbers(core: Core, interaction: Interaction) -> None:
    """Every number of a loaded interaction names something."""
    within("entries", len(interaction.entries), 1, limits.ENTRIES_MAX)
    index("channel", interaction.channel, len(core.tables.loads))
    within("agent", interaction.agent, -1, len(core.agents) - 1)
    for entry in interaction.entries:
        index("class", entry.class_, len(core.tables.classes))
        index("queue", core.queue_of(entry), len(core.tables.queues))
    for exclusion in interaction.exclusions:
        index("agent", exclusion.agent, len(core.agents))


def _load_tables(core: Core, take: Callable[[int], list[int]]) -> None:
    tables = core.tables
    tables.loads = take(take(1)[0])
    tables.queues = [Queue(*take(12)) for _ in range(take(1)[0])]
    tables.atoms = take(1)[0]
    for _ in range(take(1)[0]):
        units, *at_most = take(1 + len(tables.loads))
        idle_rate, term, atoms = take(3)
        tables.groups.append(Group(set(take(atoms)), units, tuple(at_most), idle_rate, term))
    for _ in range(take(1)[0]):
        queue, channel, age_rate, length_rate, offset, step_at, step_next, step_tier, agent_key, length = take(10)
        class_ = Class(queue, channel, tuple(take(length)), agent_key, age_rate, length_rate, offset)
        class_.step_at, class_.step_next, class_.step_tier = step_at, step_next, step_tier
        class_.pairs = [Pair(*take(5)) for _ in tables.groups]
        tables.classes.append(class_)


def _load_interaction(state: InteractionState, take: Callable[[int], list[int]]) -> Interaction:
    seq, wait_from, step_from, agent, channel, connected_at, wrap_due = take(7)
    entries = [Entry(*take(4)) for _ in range(take(1)[0])]
    exclusions = [Exclusion(*take(3)) for _ in range(take(1)[0])]
    return Interaction(state, entries, seq, wait_from, step_from, agent, channel, connected_at, wrap_due, exclusions)


def check(core: Core) -> list[str]:
    """Every invariant that does not hold, by name; empty when all do. Naive: O(interactions x agents)."""
    return [*_check_capacity(core), *_check_states(core), *_check_idle(core), *_check_time(core)]


def _check_capacity(core: Core) -> Iterator[str]:
    """capacity: what an agent has in use is what live offers and connected interactions hold."""
    loads = core.tables.loads
    for j, agent in enumerate(core.agents):
        counts = [0] * len(loads)
        for offer in core.offers_to(j):
            owner = core.interactions[offer.interaction]
            if owner is not None:
                counts[owner.channel] += 1
        for interaction in core.interactions:
            if interaction is not None and interaction.agent == j:
                counts[interaction.channel] += 1
        if counts != agent.counts or agent.used != sum(n * load for n, load in zip(counts, loads, strict=True)):
            yield f"capacity: agent {j} has {agent.used} units, {agent.counts} in use, but holds {counts}"


def _check_states(core: Core) -> Iterator[str]:
    """states: offered = has a live offer; held = has an agent; free numbers are the empty slots, each once."""
    for i, interaction in enumerate(core.interactions):
        if interaction is None:
            continue
        live, state = len(core.offers_of(i)), interaction.state
        if (state == InteractionState.OFFERED) != (live > 0):
            yield f"states: interaction {i} is {state.name} with {live} live offers"
        if (state in HELD) != (interaction.agent >= 0):
            yield f"states: interaction {i} is {state.name} with agent {interaction.agent}"
        offers = core.tables.queues[core.queue_of(interaction.entries[0])].offers
        if offers != limits.OFFERS_ALL and live > offers:
            yield f"offers: interaction {i} has {live} live offers, its queue makes {offers}"
    for what, slots, free in (
        ("interaction", core.interactions, core.free_interactions),
        ("offer", core.offers, core.free_offers),
    ):
        if sorted(free) != [number for number, value in enumerate(slots) if value is None]:
            yield f"numbers: the free {what} numbers are {free}"
    for j, agent in enumerate(core.agents):
        if agent.presence != Presence.READY and core.offers_to(j):
            yield f"presence: agent {j} is {agent.presence.name} and has a live offer"


def _check_idle(core: Core) -> Iterator[str]:
    """idle: no waiting entry beside an agent who may take it now."""
    for i, interaction in enumerate(core.interactions):
        if interaction is None or interaction.state not in IN_QUEUE:
            continue
        for entry in interaction.entries:
            for j in range(len(core.agents)):
                if selection.why_not(core, i, entry, j) is None:
                    yield f"idle: interaction {i} waits in class {entry.class_} beside agent {j}"


def _check_time(core: Core) -> Iterator[str]:
    """time: no deadline lies in the past; sequences grow."""
    due = core.next_deadline()
    if 0 <= due <= core.now:
        yield f"time: a deadline was due at {due}, now is {core.now}"
    for interaction in core.interactions:
        if interaction is not None and any(a.seq >= b.seq for a, b in pairwise(interaction.exclusions)):
            yield "order: the exclusions of an interaction are not in sequence"
