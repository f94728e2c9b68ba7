"""What :meth:`omniroute.Router.room` knows of the next moments: who is free, who will be, and who else wants them.

What is computed here is read by a host and comes back into no state, so chances may be floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from omniroute.checks import Duration, milliseconds, share
from omniroute.core import limits
from omniroute.core.estimate import memory
from omniroute.core.estimate.waits import bits
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.estimates import HALF_LIFE_MS, Estimates
from omniroute.model import Agent, checked_integer
from omniroute.requirements import conjunction
from omniroute.views import number_of

if TYPE_CHECKING:
    from omniroute.capacity import Capacity
    from omniroute.door import Door
    from omniroute.strategies.pacing import Prospect, Room

__all__ = ["POOLS_MAX", "room"]

_RESERVES = {InteractionState.CONNECTED: "", InteractionState.WRAP_UP: "wrap_up", InteractionState.ON_HOLD: "hold"}
"""What is in hand and will be over, and when its channel may say that it takes no capacity."""
_MILLION = 1_000_000

POOLS_MAX: Final = 64
"""Most pools of agents that are looked at by themselves: the one asked about, and those of others who want them."""

Demand: TypeAlias = tuple[int, str]
"""The groups that may serve an interaction, as a bitmap, and its channel."""


@attrs.frozen
class _Question:
    """Which interaction a customer who is approached would be, and by when it is to be taken."""

    queue: str
    channel: str
    needs: str
    within_ms: int


@attrs.frozen
class _Hand:
    """A ready agent with what he holds: his group, units in use, and interactions by channel."""

    agent: Agent
    group: int
    used: int
    held: Mapping[str, int]


@attrs.define
class _Moment:
    """What is so at one instant, and what is expected of the horizon."""

    capacity: Capacity
    hands: dict[int, _Hand]
    ends: list[tuple[int, str, float]]
    """What is in hand: agent, channel, and the chance that it ends within the horizon."""
    units: dict[int, float]
    """By group, the units that are free or expected to be."""
    waiting: dict[Demand, int]
    arrived: dict[Demand, float]
    names: dict[Demand, str]
    """By demand, the first queue that it is of."""
    watched_ms: int
    within_ms: int

    def share(self, groups: int, some: int) -> float:
        """The part of what some groups offer that is offered by those who are also in ``some``. O(groups)."""
        if not groups & some:
            return 0.0
        every = sum(self.units.get(g, 0.0) for g in bits(groups))
        return sum(self.units.get(g, 0.0) for g in bits(groups & some)) / every if every else 1.0

    def load(self, channel: str) -> int:
        """What one interaction of a channel takes. O(1)."""
        return self.capacity.values[channel].load

    def prospect(self, queue: str, pool: int, channel: str, asked: Demand) -> Prospect:
        """What is known of a pool of groups, in places of a channel. O(agents + in hand + demands * groups)."""
        from omniroute.strategies.pacing import Prospect

        load = self.load(channel)
        free = {
            j: _places(self.capacity, hand.agent, channel, hand.used, hand.held)
            for j, hand in self.hands.items()
            if pool >> hand.group & 1
        }
        releases = []
        for j, kind, chance in self.ends:
            if j in free and chance:
                hand = self.hands[j]
                fewer = {**hand.held, kind: hand.held[kind] - 1}
                after = _places(self.capacity, hand.agent, channel, hand.used - self.load(kind), fewer)
                if after > free[j]:
                    releases.append((chance, after - free[j]))
        waiting, arrived = list[tuple[float, int]](), dict[int, float]()
        for demand in self.names:
            size, chance = -(-self.load(demand[1]) // load), self.share(demand[0], pool)
            waiting += [(chance, size)] * self.waiting.get(demand, 0)
            arrived[size] = arrived.get(size, 0.0) + chance * self.arrived.get(demand, 0.0)
        return Prospect(
            queue=queue,
            available=sum(free.values()),
            releases=tuple(releases),
            waiting=tuple((chance, size) for chance, size in waiting if chance),
            arrived={size: seen for size, seen in arrived.items() if seen},
            watched_ms=self.watched_ms,
            within_ms=self.within_ms,
            share=self.share(asked[0], pool),
            size=-(-self.load(asked[1]) // load),
        )


def room(
    door: Door, asked: tuple[str, str, str, Duration], *, sure: float | str, take: float | str, invited: int
) -> Room | None:
    """Answer :meth:`omniroute.Router.room`: ``asked`` is queue, channel, needs and horizon."""
    from omniroute.strategies import pacing  # a router that is never asked does not pay for it

    queue, channel, needs, within = asked
    number_of("queue", queue, door.naming.queues)
    number_of("channel", channel, door.naming.channels)
    within_ms = checked_integer(milliseconds(within, "within"), "within", 1, limits.TIME_MAX)
    question = _Question(queue, channel, needs, within_ms)
    chances = share(sure, "sure"), share(take, "take")
    pacing.check(*chances, invited)
    estimates = door.ledger.estimates
    if estimates is None or not 0 <= estimates.first_arrival < door.now:
        return None
    mine = _eligible(door, estimates, question)
    moment = _moment(door, estimates, within_ms)
    pools = [(queue, mine, channel)]
    for (groups, kind), name in moment.names.items():
        if groups & mine and (groups & mine, kind) not in [pool[1:] for pool in pools] and len(pools) < POOLS_MAX:
            pools.append((name, groups & mine, kind))
    prospects = (moment.prospect(*pool, (mine, channel)) for pool in pools)
    short = _short(door, estimates, mine)
    return pacing.room(prospects, sure=chances[0], take=chances[1], invited=invited, short=short)


def _moment(door: Door, estimates: Estimates, within_ms: int) -> _Moment:
    """Look at agents, at what they hold, at who waits and at who has come. O(agents + live + classes * groups)."""
    naming = door.naming
    hands = {}
    for j, agent in enumerate(naming.agent_values):
        presence, group, used, _, _, rest, *counts = door.core.agent(j)
        if presence == Presence.READY and rest < 0:
            hands[j] = _Hand(agent, group, used, naming.capacity.held(counts))
    watched = max(1, memory(door.now - estimates.first_arrival, HALF_LIFE_MS))
    found = _Moment(naming.capacity, hands, [], {}, {}, {}, {}, watched, within_ms)
    for hand in hands.values():
        found.units[hand.group] = found.units.get(hand.group, 0.0) + hand.agent.units - hand.used
    for i in door.ledger.numbers.values():
        state, j, channel, _, connected_at, due, *_ = (*door.core.interaction(i), -1, -1, -1, -1, -1)
        if j not in hands or not _holds(naming.capacity, state, channel):
            continue
        if state == InteractionState.WRAP_UP and due >= 0:
            chance = float(due <= door.now + within_ms)
        else:
            chance = _ends(estimates, i, door.now, connected_at, within_ms)
        kind = naming.capacity.kinds[channel][0]
        found.ends.append((j, kind, chance))
        found.units[hands[j].group] += chance * found.load(kind)
    _wanted(door, estimates, found)
    return found


def _wanted(door: Door, estimates: Estimates, moment: _Moment) -> None:
    """Who waits, and who has come lately, by the groups that may serve them and their channel. O(classes * groups)."""
    naming, core = door.naming, door.core
    apart = {q: estimates.apart(q) for q in naming.queues.values()}

    def demand(classes: tuple[int, ...]) -> Demand:
        groups = 0
        for k in classes:
            groups |= core.serving(k) & ~apart.get(naming.class_names[k].queue, 0)
        first = naming.class_names[classes[0]]
        found = groups, naming.capacity.kinds[first.channel][0]
        moment.names.setdefault(found, first.view.queue)
        return found

    counts, several, _ = core.census()
    waits = {(k,): count for k, count in enumerate(counts) if count}
    for classes, count in (*waits.items(), *((classes, 1) for classes in several)):
        key = demand(classes)
        moment.waiting[key] = moment.waiting.get(key, 0) + count
    for k, arrivals in estimates.arrivals.items():
        if naming.class_names[k].view.queue in naming.queues:
            key = demand((k,))
            moment.arrived[key] = moment.arrived.get(key, 0.0) + arrivals.count(door.now) / 1_000


def _eligible(door: Door, estimates: Estimates, asked: _Question) -> int:
    """The groups that may take it within the horizon, by the tables where its class is known. O(groups)."""
    naming, q = door.naming, door.naming.queues[asked.queue]
    if asked.queue in door.ledger.closed:
        return 0
    part = naming.requirement(asked.needs)
    k = naming.classes.get((q, naming.channels[asked.channel], part.text, 0, 0))
    if k is None:
        whole = conjunction(naming.queue_values[q].requirement, part)
        found = sum(1 << g for g, view in enumerate(naming.group_views) if view.may_serve(asked.queue, whole))
    else:
        serving = door.core.serving(k)
        found = sum(1 << g for g in bits(serving) if door.core.pair(k, g)[0] <= asked.within_ms)
    return found & ~estimates.apart(q)


def _places(capacity: Capacity, agent: Agent, channel: str, used: int, held: Mapping[str, int]) -> int:
    """How many more interactions of a channel an agent has room for who holds this. O(channels)."""
    for name, count in held.items():
        allows = capacity.values[name].allows
        if count and name != channel and allows is not None and channel not in allows:
            return 0
    room = agent.at_most.get(channel, agent.units) - held[channel]
    return max(0, min((agent.units - used) // capacity.values[channel].load, room))


def _holds(capacity: Capacity, state: int, channel: int) -> bool:
    """Whether what is in this state takes its agent's capacity until it is over. O(1)."""
    word = _RESERVES.get(InteractionState(state))
    return word is not None and (not word or word in capacity.values[capacity.kinds[channel][0]].reserves)


def _ends(estimates: Estimates, i: int, now: int, connected_at: int, within_ms: int) -> float:
    """The chance that what is in hand ends within a horizon: of its queue's handle times that lasted as long as it."""
    q, began, _, _ = estimates.in_hand.get(i, (-1, -1, -1, -1))
    began = connected_at if began < 0 else began
    times = estimates.handled.get(q)
    if times is None or began < 0:
        return 0.0
    longer = times.beyond(now - began)
    ended = longer - times.beyond(now - began + within_ms)
    return ended * times.total / (longer * times.total + _MILLION)


def _short(door: Door, estimates: Estimates, mine: int) -> tuple[str, ...]:
    """The queues that these agents serve and that are below their targets. O(classes)."""
    naming, found = door.naming, []
    for name, q in naming.queues.items():
        target, level = naming.queue_values[q].target, estimates.levels.get(q)
        good = None if level is None else level.share(door.now)
        if target is None or good is None or good >= round(1_000 * target.share):
            continue
        if any(door.core.serving(k) & mine for k in naming.queue_classes[q]):
            found.append(name)
    return tuple(found)
