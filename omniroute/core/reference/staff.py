"""Agents: presence, what they have in hand, what gives way; methods of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import EventKind, PresenceReason
from omniroute.core.lifecycle import (
    PRESENCE,
    InteractionMove,
    InteractionState,
    OfferMove,
    Presence,
    PresenceMove,
    presence_refusal,
)
from omniroute.core.reference import keys, selection
from omniroute.core.reference.state import (
    KEPT,
    Agent,
)
from omniroute.core.reference.tables import index, within

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

# Agents ----------------------------------------------------------------------------------------------------------


def add_pool(self: Core) -> int:
    """See :meth:`Tables.add_pool`."""
    number = self.tables.add_pool()
    for agent in self.agents:
        agent.counts.append(0)
    return number


def add_channel(self: Core, load: int, pools: Sequence[int] | None = None, flags: int = 7) -> int:
    """See :meth:`Tables.add_channel`."""
    number = self.tables.add_channel(load, pools, flags)
    for agent in self.agents:
        agent.counts += [0] * (self.tables.pools - len(agent.counts))
    return number


def add_agent(self: Core, group: int, order: int) -> int:
    """A new agent, signed out."""
    index("group", group, len(self.tables.groups))
    within("order", order, 0, limits.ORDER_MAX)
    self.agents.append(Agent(group, order, counts=[0] * self.tables.pools))
    return len(self.agents) - 1


def move_agent(self: Core, now: int, j: int, group: int, order: int) -> int:
    """Give an agent other skills: he changes group, keeps what he holds and asks again."""
    self._check_time(now)
    agent = self.agents[index("agent", j, len(self.agents))]
    index("group", group, len(self.tables.groups))
    within("order", order, 0, limits.ORDER_MAX)
    self.now = now
    if agent.home != group:
        agent.past.spent, agent.past.spent_at = [0] * limits.SHARES_MAX, 0
    agent.home, agent.order = group, order
    self._climb(j)
    keys.rise(self, j)
    self._moved(j)
    return self._done()


def _moved(self: Core, j: int) -> None:
    """An agent is in another group, and asks again."""
    self.forgiving = True
    self._look()
    self._continue(j)
    self._serve(j)


def set_ladder(self: Core, group: int, rungs: Sequence[tuple[int, int]]) -> None:
    """In which groups the agents of ``group`` are with so little time left: (ms, group), most ms first."""
    index("group", group, len(self.tables.groups))
    within("rungs", len(rungs), 0, limits.RUNGS_MAX)
    for at, (left, lower) in enumerate(rungs):
        within("time left", left, 1, rungs[at - 1][0] - 1 if at else limits.OPENS_MAX)
        index("group", lower, len(self.tables.groups))
    self.tables.groups[group].ladder = [(left, lower) for left, lower in rungs]
    for j, agent in enumerate(self.agents):
        if agent.home == group:
            self._climb(j)
    self._look()


def oblige(self: Core, now: int, j: int, until: int) -> int:
    """Tell an agent's next obligation: the end of the shift, a break, a meeting; -1 for none."""
    self._check_time(now)
    agent = self.agents[index("agent", j, len(self.agents))]
    within("obligation", until, -1, limits.TIME_MAX)
    self.now = now
    agent.until = until
    self._climb(j)
    self._moved(j)
    return self._done()


def _climb(self: Core, j: int) -> None:
    """Put an agent into the group of the time that he has left, and look up when that changes."""
    self.agents[j].group, self.agents[j].edge = rung(self, self.agents[j])


def rung(self: Core, agent: Agent) -> tuple[int, int]:
    """The group of the time that an agent has left, and when the next one follows (-1: not)."""
    group = agent.home
    for left, lower in self.tables.groups[agent.home].ladder if agent.until >= 0 else ():
        if agent.until - left > self.now:
            return group, agent.until - left
        group = lower
    return group, -1


def set_presence(self: Core, now: int, j: int, move: int) -> int:
    """Sign in or out, turn ready, not ready or draining. Signing out with work in hand drains first."""
    self._check_time(now)
    agent = self.agents[index("agent", j, len(self.agents))]
    move = PresenceMove(within("presence move", move, PresenceMove.SIGN_IN, PresenceMove.SIGN_OUT))
    if move == PresenceMove.SIGN_OUT and self._anchored(j):
        move = PresenceMove.DRAIN
    if (agent.presence, move) not in PRESENCE:
        return presence_refusal(agent.presence, move)
    self.now = now
    if agent.presence == Presence.SIGNED_OUT:
        for interaction in self.interactions:
            if interaction is not None:
                kept = (tie for tie in interaction.ties if tie.agent != j or tie.until == limits.UNTIL_GONE)
                interaction.ties = list(kept)
    self._set_presence(j, move, PresenceReason.ASKED)
    return self._done()


def holds(self: Core, j: int) -> list[int]:
    """What the agent has in hand, the oldest first."""
    return [i for i in self._by_seq() if self.live(i).agent == j]


def _anchored(self: Core, j: int) -> bool:
    """Whether the agent has something in hand that does not survive a sign-out."""
    channels = [self.tables.channels[self.live(i).channel] for i in self.holds(j)]
    return any(not channel.flags & KEPT for channel in channels)


def _set_presence(self: Core, j: int, move: PresenceMove, reason: PresenceReason, first: int = -1) -> None:
    """Move, withdraw what he was offered, and ask for those who lost it, and for ``first``."""
    agent = self.agents[j]
    signs_in = agent.presence == Presence.SIGNED_OUT
    if first >= 0:
        self._place_later(first)
    if agent.presence == Presence.READY:
        for offer in self.offers_to(j):
            self._place_later(offer.interaction)
            self._end_offer(offer, OfferMove.WITHDRAW)
    agent.presence = PRESENCE[agent.presence, move]
    self._tell(EventKind.PRESENCE, -1, j, agent.presence, reason)
    if agent.presence == Presence.READY:
        agent.misses = [0] * len(agent.misses)
        self._restart_idle(j)
        keys.came(self, j, signed_in=signs_in)
    elif agent.presence == Presence.NOT_READY and reason == PresenceReason.ASKED:
        keys.goes(self, j)
    self._look()
    if agent.presence == Presence.READY:
        self._serve(j)
    if agent.presence == Presence.SIGNED_OUT:
        self._went(j)
    self._empty(j)


def _empty(self: Core, j: int) -> None:
    """A draining agent with nothing in hand that binds him is signed out."""
    if self.agents[j].presence == Presence.DRAINING and not self._anchored(j):
        self.agents[j].presence = PRESENCE[Presence.DRAINING, PresenceMove.EMPTY]
        self._tell(EventKind.PRESENCE, -1, j, self.agents[j].presence, PresenceReason.EMPTY)
        self._look()
        self._went(j)


def _went(self: Core, j: int) -> None:
    """An obligation ends with the sign-out."""
    self.agents[j].until = -1
    self._climb(j)
    self.left.append(j)
    self.forgiving = True


def _interrupt(self: Core, i: int) -> None:
    """What gives way to an interaction that has just been connected is interrupted, the oldest first."""
    it = self.live(i)
    giving_way = selection.yields(self, self.agents[it.agent], it.channel)
    for other in self.holds(it.agent):
        cell = self.live(other)
        pool = self.tables.channels[cell.channel].pools[0]
        if other != i and cell.state == InteractionState.CONNECTED and giving_way >> pool & 1:
            self._tell(EventKind.INTERRUPTED, other, it.agent, i)
            self._move(other, InteractionMove.INTERRUPT)


def _continue(self: Core, j: int) -> None:
    """What is interrupted goes on where nothing that the agent has in hand makes it give way any more."""
    interrupts = self.tables.groups[self.agents[j].group].interrupts
    for i in self.holds(j):
        it = self.live(i)
        pool = self.tables.channels[it.channel].pools[0]
        others = [self.live(other) for other in self.holds(j) if other != i]
        kept_down = any(interrupts[other.channel] >> pool & 1 for other in others if self.takes(other))
        if it.state == InteractionState.INTERRUPTED and not kept_down:
            self._move(i, InteractionMove.CONTINUE)
            self._tell(EventKind.RESUMED, i, j)
