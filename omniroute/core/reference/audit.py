"""The state as integers, back again, and the invariants. The kernel writes the very same integers."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import Clause, TieKind
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.reference import deadlines, keys, reading, selection
from omniroute.core.reference.staff import rung
from omniroute.core.reference.state import (
    HELD,
    IN_QUEUE,
    KEPT,
    RESERVES_OFFERED,
    Agent,
    Channel,
    Class,
    Condition,
    Entry,
    Fading,
    Gauge,
    Group,
    Here,
    Interaction,
    Offer,
    Pair,
    Past,
    Queue,
    Tie,
    Window,
)
from omniroute.core.reference.tables import index, within
from omniroute.errors import MisuseError

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

FORMAT = 9
"""The number of this layout; another layout gets another number."""


def dump(core: Core) -> array[int]:
    """The whole state, canonical: the same for both cores after the same commands. O(state)."""
    out = array("q", [FORMAT, core.now, core.seq, core.estimates_every, core.estimates_due])
    out.extend((core.half_life, core.seed, int(keys.looks_back(core))))
    _dump_tables(core, out)
    out.append(len(core.agents))
    for agent in core.agents:
        out.extend((agent.home, agent.until, agent.order, agent.presence, agent.used, agent.idle_since, agent.stamp))
        out.extend((agent.handled, agent.offered, agent.rest, agent.burst_from, agent.burst_count))
        past = agent.past
        out.extend((*agent.misses, past.ready, past.accepted, past.talked, past.released, past.busy))
        for fading in (past.handled, past.talk, past.occupied):
            out.extend((fading.value, fading.at))
        out.extend((*past.spent, past.spent_at, past.rested, past.away, past.own.value, past.own.at))
        for here in (past.here.get(q, Here()) for q in core.tables.watched):
            out.extend((here.handled.value, here.handled.at, here.talked, here.offered))
        out.extend(agent.counts)
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
    out.extend((tables.pools, len(tables.channels)))
    for c in tables.channels:
        out.extend((c.load, c.flags, len(c.pools), *c.pools))
    out.append(len(tables.windows))
    for window in tables.windows:
        out.extend((window.length, window.closes_at))
    out.append(len(tables.queues))
    for q in tables.queues:
        out.extend((q.offers, q.offer_timeout, q.limit, q.retry_after, q.target, q.setup_timeout, q.auto, q.every))
        out.extend((q.window, q.control_every, q.control_due, q.version, q.entered))
        out.extend((q.connected, q.in_target, q.abandoned))
        out.extend(number for cause in q.rona for number in cause)
    out.extend((len(tables.watched), *tables.watched, tables.atoms, len(tables.groups)))
    for g in tables.groups:
        out.extend((g.units, *g.at_most, *g.allow, *g.interrupts, g.idle_rate, g.term, g.auto, g.burst, g.burst_per))
        out.extend((g.busiest, g.weight))
        for level in (*g.levels, *(g.here.get(q, Fading()) for q in tables.watched)):
            out.extend((level.value, level.at))
        out.append(len(g.shares))
        out.extend(number for share in g.shares for number in share)
        out.extend((len(g.atoms), *sorted(g.atoms)))
    for g in tables.groups:
        out.extend((len(g.ladder), *(number for rung in g.ladder for number in rung)))
    out.append(len(tables.gauges))
    for gauge in tables.gauges:
        out.extend((gauge.kind, gauge.subject, gauge.given, len(gauge.program), *gauge.program))
    out.append(len(tables.conditions))
    for condition in tables.conditions:
        out.extend((condition.gauge, condition.on, condition.off, condition.below, condition.holds))
    out.append(len(tables.classes))
    for k in tables.classes:
        out.extend((k.queue, k.channel, k.age_rate, k.length_rate, k.offset, k.age_cap, k.step_at, k.step_next))
        out.extend(
            (k.step_tier, k.step_when, k.skip_if, k.step_copy, k.patient, k.agent_key, len(k.program), *k.program)
        )
        for pair in k.pairs:
            out.extend((pair.opens, pair.rank_out, pair.cost_out, pair.rank_in, pair.cost_in, pair.condition))


def _dump_interaction(it: Interaction, out: array[int]) -> None:
    out.extend((it.state, it.seq, it.wait_from, it.step_from, it.agent, it.channel, it.connected_at, it.due, it.gap))
    out.append(len(it.entries))
    for entry in it.entries:
        out.extend((entry.class_, entry.tier, entry.since, entry.seq))
    out.append(len(it.ties))
    for tie in it.ties:
        out.extend((tie.agent, tie.kind, tie.until, tie.seq))


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

    layout, core.now, core.seq, core.estimates_every, core.estimates_due = take(5)
    if layout != FORMAT:
        raise limits.out_of_range("layout of the dump", layout, FORMAT, FORMAT)
    within("now", core.now, 0, limits.TIME_MAX)
    core.set_choice(*take(3))
    _load_tables(core, take)
    pools = core.tables.pools
    for _ in range(next(it)):
        home, until, order, presence, *numbers = take(12)
        misses = take(4)
        past = _load_past(core, take)
        core.agents.append(_agent(home, order, Presence(presence), numbers, misses, take(pools)))
        core.agents[-1].until = within("obligation", until, -1, limits.TIME_MAX)
        core.agents[-1].past = past
    for _ in range(next(it)):
        state = InteractionState(next(it))
        core.interactions.append(None if state == InteractionState.GONE else _load_interaction(state, take))
    core.free_interactions = take(next(it))
    for _ in range(next(it)):
        number = next(it)
        core.offers.append(None if number < 0 else Offer(number, *take(4)))
    core.free_offers = take(next(it))
    _check_tables(core)
    for interaction in core.interactions:
        if interaction is not None:
            _check_numbers(core, interaction)
    for offer in core.offers:
        if offer is not None:
            _check_offer(core, offer)
    for j in range(len(core.agents)):
        core._climb(j)
    for i, interaction in enumerate(core.interactions):
        if interaction is not None:
            core.arm(i)
    if next(it, None) is not None:
        raise MisuseError("the dump goes on after its end")


def _agent(
    group: int, order: int, presence: Presence, numbers: list[int], misses: list[int], counts: list[int]
) -> Agent:
    used, idle_since, stamp, handled, offered, rest, burst_from, burst_count = numbers
    for what, value in (("misses", min(misses)), ("offers in a burst", burst_count)):
        within(what, value, 0, 2**26)
    return Agent(
        group, order, presence, used, counts, idle_since, stamp, handled, offered, rest, burst_from, burst_count, misses
    )


def _load_past(core: Core, take: Callable[[int], list[int]]) -> Past:
    """What is kept of an agent for agent keys."""
    ready, accepted, talked, released, busy = instants = take(5)
    for instant in instants[:4]:
        within("instant of an agent", instant, 0, core.now)
    handled, talk, occupied = [_load_fading(core, take, which) for which in range(3)]
    *spent, spent_at = take(limits.SHARES_MAX + 1)
    for value in spent:
        within("what fades", value, 0, keys.VALUE_MAX)
    within("since when it fades", spent_at, 0, core.now)
    within("whether busy", busy, 0, 1)
    rested, away = take(2)
    within("end of a break", rested, 0, core.now)
    within("whether away", away, 0, 1)
    own, here = _load_fading(core, take, 2), {q: _load_here(core, take) for q in core.tables.watched}
    seen = (busy, spent, spent_at, rested, away, own, here)
    return Past(ready, accepted, talked, released, handled, talk, occupied, *seen)


def _load_here(core: Core, take: Callable[[int], list[int]]) -> Here:
    handled, (talked, offered) = _load_fading(core, take, 0), take(2)
    return Here(handled, within("talked until", talked, 0, core.now), within("offered", offered, 0, core.seq))


def _load_fading(core: Core, take: Callable[[int], list[int]], which: int) -> Fading:
    """A number that fades, and its instant; the last of the three is a share."""
    value, at = take(2)
    within("what fades", value, 0, keys.ONE if which == 2 else keys.VALUE_MAX)
    return Fading(value, within("since when it fades", at, 0, core.now))


def _check_tables(core: Core) -> None:
    """Every number of the tables and agents names something."""
    tables = core.tables
    for channel in tables.channels:
        for pool in channel.pools:
            index("pool", pool, tables.pools)
        within("pools of a channel", len(channel.pools), 1, limits.POOLS_MAX)
    for window in tables.windows:
        within("length of a window", window.length, 1, limits.WINDOW_MS_MAX)
        within("end of a window", window.closes_at, -1, limits.TIME_MAX)
    for queue in tables.queues:
        within("window", queue.window, -1, len(tables.windows) - 1)
    for gauge in tables.gauges:
        tables.check_gauge(gauge.kind, gauge.subject, gauge.program)
    for k, class_ in enumerate(tables.classes):
        tables.check_class(k, class_)
    for condition in tables.conditions:
        index("gauge", condition.gauge, len(tables.gauges))
    for agent in core.agents:
        index("group", agent.home, len(tables.groups))


def _check_numbers(core: Core, interaction: Interaction) -> None:
    """Every number of a loaded interaction names something that goes with its state."""
    held, dated = interaction.state in HELD, interaction.state in deadlines.DUE_OF
    within("entries", len(interaction.entries), 1, limits.ENTRIES_MAX)
    index("channel", interaction.channel, len(core.tables.channels))
    within("agent", interaction.agent, 0 if held else -1, len(core.agents) - 1 if held else -1)
    within("due", interaction.due, -1, limits.TIME_MAX if dated else -1)
    within("gap", interaction.gap, limits.CUSTOMER_FIRST, limits.OPENS_MAX)
    for entry in interaction.entries:
        index("class", entry.class_, len(core.tables.classes))
        index("queue", core.queue_of(entry), len(core.tables.queues))
        if core.tables.classes[entry.class_].channel != interaction.channel:
            raise MisuseError("an interaction waits in a class of another channel")
    for tie in interaction.ties:
        index("agent", tie.agent, len(core.agents))
        within("end of a tie", tie.until, limits.UNTIL_GONE, limits.TIME_MAX)


def _check_offer(core: Core, offer: Offer) -> None:
    """A loaded offer is one of an interaction that is on offer."""
    index("agent", offer.agent, len(core.agents))
    index("interaction", offer.interaction, len(core.interactions))
    owner = core.interactions[offer.interaction]
    if owner is None or owner.state != InteractionState.OFFERED:
        raise MisuseError(f"an offer is of interaction {offer.interaction}, which is not on offer")
    index("entry", offer.entry, len(owner.entries))


def _load_tables(core: Core, take: Callable[[int], list[int]]) -> None:
    tables = core.tables
    tables.pools, channels = take(2)
    for _ in range(channels):
        load, flags, pools = take(3)
        tables.channels.append(Channel(load, tuple(take(pools)), flags))
    for _ in range(take(1)[0]):
        tables.windows.append(Window(*take(2)))
    for _ in range(take(1)[0]):
        queue = Queue(*take(16))  # type: ignore[arg-type]
        rona = take(8)
        queue.rona = [(rona[x], rona[x + 1]) for x in range(0, 8, 2)]
        tables.queues.append(queue)
    for _ in range(take(1)[0]):
        tables.watched.append(index("queue", take(1)[0], len(tables.queues)))
    within("different queues", len(set(tables.watched)), len(tables.watched), len(tables.watched))
    tables.atoms = take(1)[0]
    for _ in range(take(1)[0]):
        units = take(1)[0]
        at_most, allow, interrupts = take(tables.pools), take(channels), take(channels)
        *manners, busiest, weight = take(7)
        levels = [_load_fading(core, take, which) for which in range(3)]
        here = {q: _load_fading(core, take, 0) for q in tables.watched}
        shares = take(2 * within("shares", take(1)[0], 0, limits.SHARES_MAX))
        group = Group(set(take(take(1)[0])), units, at_most, allow, interrupts, *manners)  # type: ignore[arg-type]
        group.weight, group.levels, group.here = within("weight", weight, 1, limits.WEIGHT_MAX), levels, here
        tables.groups.append(group)
        tables.set_manners(len(tables.groups) - 1, manners[2], manners[3], manners[4], busiest)
        core.set_shares(len(tables.groups) - 1, shares[::2], shares[1::2])
    for g in range(len(tables.groups)):
        numbers = take(2 * within("rungs", take(1)[0], 0, limits.RUNGS_MAX))
        core.set_ladder(g, list(zip(numbers[::2], numbers[1::2], strict=True)))
    for _ in range(take(1)[0]):
        kind, subject, given, length = take(4)
        tables.gauges.append(Gauge(kind, subject, tuple(take(length)), given))
    for _ in range(take(1)[0]):
        gauge, on, off, below, holds = take(5)
        tables.conditions.append(Condition(gauge, on, off, below, bool(holds)))
    for _ in range(take(1)[0]):
        number, channel, *rates = take(13)
        agent_key, length = take(2)
        class_ = Class(number, channel, tuple(take(length)), agent_key, *rates)  # type: ignore[arg-type]
        class_.pairs = [Pair(*take(6)) for _ in tables.groups]
        tables.classes.append(class_)


def _load_interaction(state: InteractionState, take: Callable[[int], list[int]]) -> Interaction:
    seq, wait_from, step_from, agent, channel, connected_at, due, gap = take(8)
    entries = [Entry(*take(4)) for _ in range(take(1)[0])]
    ties = []
    for _ in range(take(1)[0]):
        j, kind, until, number = take(4)
        ties.append(Tie(j, TieKind(kind), until, number))
    return Interaction(state, entries, seq, wait_from, step_from, agent, channel, connected_at, due, gap, ties)


def check(core: Core) -> list[str]:
    """Every invariant that does not hold, by name; empty when all do. Naive: O(interactions x agents)."""
    return [*_check_capacity(core), *_check_states(core), *_check_idle(core), *_check_time(core)]


def _check_capacity(core: Core) -> Iterator[str]:
    """capacity: what an agent has in use is what live offers and connected interactions hold."""
    for j, agent in enumerate(core.agents):
        counts, used = [0] * core.tables.pools, 0
        owners = [core.live(offer.interaction) for offer in core.offers_to(j)]
        holding = [it for it in owners if core.tables.channels[it.channel].flags & RESERVES_OFFERED]
        holding += [it for it in core.interactions if it is not None and it.agent == j and core.takes(it)]
        for it in holding:
            channel = core.tables.channels[it.channel]
            used += channel.load
            for pool in channel.pools:
                counts[pool] += 1
        if counts != agent.counts or agent.used != used:
            yield f"capacity: agent {j} has {agent.used} units, {agent.counts} in use, but holds {used}, {counts}"


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
        if (agent.group, agent.edge) != rung(core, agent):
            yield f"obligation: agent {j} is in group {agent.group} until {agent.edge}, not {rung(core, agent)}"
        kept = all(core.tables.channels[core.live(i).channel].flags & KEPT for i in core.holds(j))
        if agent.presence == Presence.SIGNED_OUT and not kept:
            yield f"presence: agent {j} is signed out with work in hand that binds him"


def _check_idle(core: Core) -> Iterator[str]:
    """idle: no waiting entry beside an agent who may take it now; nor one that everybody has declined for good."""
    for i, interaction in enumerate(core.interactions):
        if interaction is None or interaction.state not in IN_QUEUE:
            continue
        lasting = any(tie.kind == TieKind.FORBID and tie.until == -1 for tie in interaction.ties)
        if lasting and reading.all_declined(core, i):
            yield f"idle: everybody has declined interaction {i} for good"
        for entry in interaction.entries:
            for j in range(len(core.agents)):
                clause = selection.why_not(core, i, entry, j)
                if clause is None:
                    yield f"idle: interaction {i} waits in class {entry.class_} beside agent {j}"
                if clause == Clause.IN_WINDOW and core.tables.windows[selection.window_of(core, entry)].closes_at < 0:
                    yield f"idle: a window that is not open holds interaction {i} and agent {j}"


def _check_time(core: Core) -> Iterator[str]:
    """time: no deadline lies in the past; sequences grow."""
    due = core.next_deadline()
    if 0 <= due <= core.now:
        yield f"time: a deadline was due at {due}, now is {core.now}"
    for interaction in core.interactions:
        if interaction is not None and any(a.seq >= b.seq for a, b in pairwise(interaction.ties)):
            yield "order: the ties of an interaction are not in sequence"
