"""How an interaction comes to an agent: arrivals, assignments, answers to offers; methods of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import Cause, EventKind, Reason, TieKind
from omniroute.core.lifecycle import (
    InteractionMove,
    InteractionState,
    OfferMove,
    Presence,
    PresenceMove,
)
from omniroute.core.reference import keys, selection
from omniroute.core.reference.state import (
    IN_QUEUE,
    RESERVES_OFFERED,
    TOO_OFTEN,
    Entry,
    Interaction,
    Offer,
    TieTo,
)
from omniroute.core.reference.tables import index, within
from omniroute.errors import MisuseError

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

# Arriving --------------------------------------------------------------------------------------------------------


def enqueue(
    self: Core,
    now: int,
    classes: Sequence[int],
    tier: int,
    since: int,
    ties: Sequence[TieTo] = (),
    waited: int = 0,
    due: int = -1,
) -> int:
    """Put a new interaction into its classes: its number, or minus the reason of a refusal.

    ``waited`` is real waiting that counts from the start. With a ``due`` it is parked until then, with UNTIL_ACTIVATED
    until a command.
    """
    self._check_time(now)
    self._check_entries(classes, tier, since)
    self._check_ties(now, ties)
    within("waited", waited, 0, limits.TIME_MAX)
    if due >= 0:
        within("due", due, now + 1, limits.TIME_MAX)
    within("due", due, limits.UNTIL_ACTIVATED, limits.TIME_MAX)
    parked = due != -1
    if not parked and self._full(classes, None):
        return -Reason.QUEUE_FULL
    self.now = now
    interaction = Interaction(InteractionState.WAITING, [], self._next_seq(), now - waited, now - waited)
    i = self._number(interaction)
    if parked:
        interaction.state, interaction.due = InteractionState.PARKED, max(due, -1)
        interaction.wait_from = interaction.step_from = -waited
    self._enter(i, classes, tier, since)
    self._bind(i, ties)
    if parked:
        self._tell(EventKind.PARKED, i, x=self.queue_of(interaction.entries[0]), y=interaction.due)
    else:
        self._tell(EventKind.QUEUED, i, x=self.queue_of(interaction.entries[0]), y=tier)
        self._arrive(i)
    self._wind_up()
    return i


def _number(self: Core, interaction: Interaction) -> int:
    i = self.free_interactions.pop() if self.free_interactions else len(self.interactions)
    self.interactions[i : i + 1] = [interaction]
    return i


def _check_entries(self: Core, classes: Sequence[int], tier: int, since: int) -> None:
    within("entries", len(classes), 1, limits.ENTRIES_MAX)
    for k in classes:
        index("class", k, len(self.tables.classes))
    if len(set(classes)) < len(classes) or len({self.tables.classes[k].channel for k in classes}) > 1:
        raise MisuseError("the entries of an interaction are in different classes of one channel")
    within("tier", tier, 0, limits.TIER_MAX)
    within("since", since, -limits.TIME_MAX, limits.TIME_MAX)


def _check_ties(self: Core, now: int, ties: Sequence[TieTo]) -> None:
    within("ties", len(ties), 0, limits.TIES_MAX)
    for agent, kind, until in ties:
        index("agent", agent, len(self.agents))
        within("kind of tie", kind, 0, len(TieKind) - 1)
        if until == limits.UNTIL_GONE:
            within("kind of a tie for good", kind, TieKind.FORBID, TieKind.FORBID)
        elif until != -1:
            within("end of a tie", until, now + 1, limits.TIME_MAX)
    if len({agent for agent, *_ in ties}) < len(ties):
        raise MisuseError("the ties of an interaction are to different agents")


def _bind(self: Core, i: int, ties: Sequence[TieTo]) -> None:
    """Tie an interaction to agents, but not to one who has signed out; what tied it to them before ends."""
    for agent, kind, until in ties:
        if kind == TieKind.FORBID or self.agents[agent].presence != Presence.SIGNED_OUT:
            self._part(i, agent, TieKind.FORBID)
            self._tie(i, agent, TieKind(kind), until)


def _full(self: Core, classes: Sequence[int], own: Interaction | None) -> bool:
    """Whether one of the queues has no place left; where the interaction waits already, it has its own."""
    mine = {self.queue_of(entry) for entry in own.entries} if own is not None and own.state in IN_QUEUE else set()
    wanted = {self.tables.classes[k].queue for k in classes} - mine
    return any(0 <= self.tables.queues[q].limit <= self.length(q) for q in wanted)


def _enter(self: Core, i: int, classes: Sequence[int], tier: int, since: int) -> None:
    """Write the entries, and count the arrival in each queue."""
    interaction = self.live(i)
    interaction.channel = self.tables.classes[classes[0]].channel
    interaction.entries = [Entry(k, tier, since, self._next_seq()) for k in classes]
    for q in sorted({self.tables.classes[k].queue for k in classes}):
        self.tables.queues[q].entered += 1
        self._arm_control(q)
    self._arm_estimates()
    self._look()


def _arm_control(self: Core, q: int) -> None:
    queue = self.tables.queues[q]
    if queue.control_every > 0 and queue.control_due < 0:
        queue.control_due = self.now + queue.control_every


def _arrive(self: Core, i: int) -> None:
    """Take the steps that are due at once, say so if nobody could ever serve it, and ask for an agent."""
    if self._settle(i):
        return
    interaction = self.live(i)
    if not any(self._reachable(entry.class_) for entry in interaction.entries):
        self._tell(EventKind.UNMATCHED, i, x=interaction.entries[0].class_)
    self._place(i)


def occupy(self: Core, now: int, k: int, j: int, force: int) -> int:
    """A new interaction that was not routed, in an agent's hands at once: its number, or minus a reason."""
    self._check_time(now)
    self._check_entries((k,), 0, 0)
    index("agent", j, len(self.agents))
    refused = self._cannot_take(j, self.tables.classes[k].channel, force)
    if refused is not None:
        return -refused
    self.now = now
    interaction = Interaction(InteractionState.CONNECTED, [], self._next_seq(), now, now, j)
    i = self._number(interaction)
    interaction.channel = self.tables.classes[k].channel
    interaction.entries = [Entry(k, 0, now, self._next_seq())]
    self._hold(j, interaction.channel, +1)
    self._take_up(i)
    self._together(i, -1, routed=False)
    self._wind_up()
    return i


def room_for(self: Core, j: int, channel: int) -> int:
    """0, or why an agent cannot be given one more of a channel: it moves nothing. O(pools)."""
    index("agent", j, len(self.agents))
    return self._cannot_take(j, index("channel", channel, len(self.tables.channels)), 0) or 0


def _cannot_take(self: Core, j: int, channel: int, force: int) -> Reason | None:
    within("force", force, 0, 1)
    if self.agents[j].presence == Presence.SIGNED_OUT:
        return Reason.SIGNED_OUT
    return None if force or selection.fits(self, self.agents[j], channel) else Reason.NO_ROOM


def assign(self: Core, now: int, i: int, j: int, force: int) -> int:
    """Give a waiting or parked interaction to an agent, whatever the plan says; only ``force`` goes beyond room."""
    self._check_time(now)
    refused = self._judge(i, InteractionMove.ASSIGN)
    index("agent", j, len(self.agents))
    interaction = self.interactions[i]
    if refused is not None or interaction is None:
        return refused or 0
    mine = next((offer for offer in self.offers_of(i) if offer.agent == j), None)
    reserved = mine is not None and self.tables.channels[interaction.channel].flags & RESERVES_OFFERED
    refused = self._cannot_take(j, interaction.channel, 1 if reserved else force)
    if refused is not None:
        return refused
    self.now = now
    if mine is not None:
        self._accept(mine, 0)
    else:
        self._withdraw(i)
        self._move(i, InteractionMove.ASSIGN)
        interaction.agent, interaction.due = j, -1
        self._hold(j, interaction.channel, +1)
        self._part_for_now(i)
        self._take_up(i)
        self._together(i, -1)
    return self._done()


# Answers ---------------------------------------------------------------------------------------------------------


def _find_offer(self: Core, number: int) -> Offer | None:
    within("offer", number, 0, 2**63 - 1)
    slot = number & ((1 << limits.OFFER_SLOT_BITS) - 1)
    offer = self.offers[slot] if slot < len(self.offers) else None
    return offer if offer is not None and offer.seq == number >> limits.OFFER_SLOT_BITS else None


def accept(self: Core, now: int, number: int) -> int:
    """The agent takes the offer; its siblings are withdrawn. The queue may want a set-up before they talk."""
    self._check_time(now)
    offer = self._find_offer(number)
    if offer is None:
        return Reason.OFFER_ENDED
    channel = self.live(offer.interaction).channel
    reserved = self.tables.channels[channel].flags & RESERVES_OFFERED
    if not reserved and not selection.fits(self, self.agents[offer.agent], channel):
        return Reason.NO_ROOM
    self.now = now
    won = self.queue_of(self.live(offer.interaction).entries[offer.entry])
    self._accept(offer, max(self.tables.queues[won].setup_timeout, 0))
    return self._done()


def _accept(self: Core, offer: Offer, setup: int) -> None:
    """The entry that won becomes the first; after a set-up, or at once, they are together."""
    i, j = offer.interaction, offer.agent
    interaction = self.live(i)
    number = self._offer_number(offer)
    self._withdraw(i, keep=offer)
    self._end_offer(offer, OfferMove.ACCEPT)
    interaction.entries.insert(0, interaction.entries.pop(offer.entry))
    if not self.tables.channels[interaction.channel].flags & RESERVES_OFFERED:
        self._hold(j, interaction.channel, +1)
        self._free(j)  # he may be offered the next one now
    self._move(i, InteractionMove.ACCEPT if setup else InteractionMove.CONNECT)
    interaction.agent = j
    self._part_for_now(i)
    self.agents[j].misses = [0] * len(self.agents[j].misses)
    self._take_up(i)
    if setup:
        interaction.due = self.now + setup
        self._tell(EventKind.ACCEPTED, i, j, number, interaction.due)
    else:
        self._together(i, number)


def _take_up(self: Core, i: int) -> None:
    """An agent has it in hand, his capacity is taken."""
    self._restart_idle(self.live(i).agent)
    keys.has_taken(self, self.live(i).agent)
    self._look()


def _together(self: Core, i: int, number: int, *, routed: bool = True) -> None:
    """Customer and agent are connected."""
    interaction = self.live(i)
    interaction.connected_at, interaction.due, interaction.gap = self.now, -1, 0
    self.agents[interaction.agent].handled += 1
    keys.connected(self, interaction.agent, self.queue_of(interaction.entries[0]))
    self._look()
    if routed:
        queue = self.tables.queues[self.queue_of(interaction.entries[0])]
        queue.connected += 1
        queue.in_target += queue.target >= 0 and self._wait(interaction) <= queue.target
        self._arm_control(self.queue_of(interaction.entries[0]))
    self._tell(EventKind.CONNECTED, i, interaction.agent, number, self._wait(interaction))
    self._interrupt(i)


def established(self: Core, now: int, i: int) -> int:
    """The set-up has come about: customer and agent are connected."""
    self._check_time(now)
    refused = self._judge(i, InteractionMove.CONNECT)
    if refused is None and self.live(i).state == InteractionState.OFFERED:
        refused = Reason.NOT_ACCEPTING
    if refused is not None:
        return refused
    self.now = now
    self._move(i, InteractionMove.CONNECT)
    self._together(i, -1)
    return self._done()


def setup_failed(self: Core, now: int, i: int, due: int = -1) -> int:
    """The set-up has failed, which is not the agent's fault: back to its place (parked until ``due``).

    Without ``due`` a call-back is parked for its gap. Others are asked first for a moment.
    """
    self._check_time(now)
    if due >= 0:
        within("due", due, now + 1, limits.TIME_MAX)
    refused = self._judge(i, InteractionMove.FAIL)
    if refused is not None:
        return refused
    self.now = now
    self._fail(i, due)
    return self._done()


def _fail(self: Core, i: int, due: int = -1) -> None:
    interaction = self.live(i)
    j, interaction.agent, interaction.due = interaction.agent, -1, -1
    if due < 0 and interaction.gap > 0 and self.now < limits.TIME_MAX:
        due = min(self.now + interaction.gap, limits.TIME_MAX)
    self._move(i, InteractionMove.FAIL)
    queue = self.queue_of(interaction.entries[0])
    self._tell(EventKind.SETUP_FAILED, i, j, queue, self._wait(interaction))
    self._tie(i, j, TieKind.FORBID, self.now + limits.FORGIVE_MS)
    if due >= 0:
        self._move(i, InteractionMove.PARK)
        interaction.due = due
        self._tell(EventKind.PARKED, i, x=queue, y=due)
    self._let_go(j, interaction.channel)
    if due < 0:
        self._back(i)
    self._free(j)


def _back(self: Core, i: int) -> None:
    """It waits in its old place, again or still."""
    self._look()
    if self.live(i).state in IN_QUEUE and not self._settle(i):
        self._withdraw_excess(i)
        self._place(i)


def decline(self: Core, now: int, number: int, cause: int = Cause.DECLINED) -> int:
    """The offer came to nothing on the agent's side: he is excluded for a while, the interaction keeps its place."""
    self._check_time(now)
    within("cause", cause, 0, Cause.UNREACHABLE)
    offer = self._find_offer(number)
    if offer is None:
        return Reason.OFFER_ENDED
    self.now = now
    self._unaccepted(offer, OfferMove.DECLINE, Cause(cause))
    return self._done()


def _unaccepted(self: Core, offer: Offer, move: OfferMove, cause: Cause) -> None:
    """Redirection on no answer: after so many of a cause in a row the agent turns not ready, before he rests.

    Whatever it is, he is not preferred any more, nor is it for him only.
    """
    i, j = offer.interaction, offer.agent
    agent, q = self.agents[j], self.queue_of(self.live(i).entries[offer.entry])
    after, rest = self.tables.queues[q].rona[cause]
    self._end_offer(offer, move, cause)
    self._part(i, j, TieKind.PREFER)
    agent.misses[cause] += 1
    turns = after and agent.misses[cause] >= after
    if move == OfferMove.DECLINE or not turns:
        self._exclude(i, j, q)
    if turns:
        self._set_presence(j, PresenceMove.NO_ANSWER, TOO_OFTEN[cause], first=i)
        return
    if rest:
        self._rest(j, cause, self.now + (rest << min(agent.misses[cause] - 1, limits.BACK_OFF_MAX)))
        self._look()
    self._back(i)
    self._serve(j)
