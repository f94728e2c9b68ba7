"""The commands and deadlines of the naive twin: judge, move, tell, ask."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Iterator, Sequence

from omniroute.core import limits
from omniroute.core.codes import DeadlineKind, EventKind, PresenceReason, Reason
from omniroute.core.lifecycle import (
    INTERACTION,
    OFFER,
    PRESENCE,
    REFUSALS,
    InteractionMove,
    InteractionState,
    OfferMove,
    OfferState,
    Presence,
    PresenceMove,
    presence_refusal,
)
from omniroute.core.reference import audit, selection
from omniroute.core.reference.state import HELD, IN_QUEUE, Agent, Entry, Exclusion, Interaction, Offer
from omniroute.core.reference.tables import Tables, index, within
from omniroute.errors import MisuseError

Event = tuple[int, int, int, int, int, int]
Deadline = tuple[int, int, int, tuple[int, int]]

ENDED_BY = {
    OfferState.DECLINED: EventKind.DECLINED,
    OfferState.EXPIRED: EventKind.EXPIRED,
    OfferState.WITHDRAWN: EventKind.WITHDRAWN,
}


class Core:
    """The whole state, and every command on it.

    A command takes ``now`` in milliseconds, returns 0 or a :class:`Reason`, and appends its events to a list that
    ``take()`` hands over. It wants every deadline up to ``now`` to have fired: ``advance(now)`` fires them.
    """

    def __init__(self) -> None:
        self.now = 0
        self.seq = 0
        self.tables = Tables()
        self.agents: list[Agent] = []
        self.interactions: list[Interaction | None] = []
        self.offers: list[Offer | None] = []
        self.free_interactions: list[int] = []
        self.free_offers: list[int] = []
        self.events: list[Event] = []
        self.auto_accept = False
        """Agents take the best offer the moment it is made; the columns are driven like this."""
        self.set_queue, self.set_group = self.tables.set_queue, self.tables.set_group
        self.set_class = self.tables.set_class
        self.add_atom, self.add_group = self.tables.add_atom, self.tables.add_group
        self.add_class, self.matches = self.tables.add_class, self.tables.matches

    # Reading ---------------------------------------------------------------------------------------------------------

    def queue_of(self, entry: Entry) -> int:
        """The queue in which an entry waits."""
        return self.tables.classes[entry.class_].queue

    def offers_of(self, i: int) -> list[Offer]:
        """The live offers of an interaction, oldest first."""
        return sorted((o for o in self.offers if o is not None and o.interaction == i), key=lambda o: o.seq)

    def offers_to(self, j: int) -> list[Offer]:
        """The live offers to an agent, oldest first."""
        return sorted((o for o in self.offers if o is not None and o.agent == j), key=lambda o: o.seq)

    def length(self, queue: int) -> int:
        """How many entries wait in a queue, those on offer included."""
        return sum(
            self.queue_of(entry) == queue
            for interaction in self.interactions
            if interaction is not None and interaction.state in IN_QUEUE
            for entry in interaction.entries
        )

    def interaction(self, i: int) -> tuple[int, ...]:
        """(state, agent, channel, wait from, connected at, wrap-up end, then class, tier, since of each entry).

        O(entries); a number that is free answers ``(0,)``.
        """
        interaction = self.interactions[index("interaction", i, len(self.interactions))]
        if interaction is None:
            return (0,)
        numbers = (interaction.agent, interaction.channel, interaction.wait_from, interaction.connected_at)
        places = [part for entry in interaction.entries for part in (entry.class_, entry.tier, entry.since)]
        return (int(interaction.state), *numbers, interaction.wrap_due, *places)

    def agent(self, j: int) -> tuple[int, ...]:
        """(presence, group, units in use, idle since, connected so far, then how many of each channel). O(channels)."""
        agent = self.agents[index("agent", j, len(self.agents))]
        return (int(agent.presence), agent.group, agent.used, agent.idle_since, agent.handled, *agent.counts)

    def queue(self, q: int) -> tuple[int, ...]:
        """(length, version, entered, connected, in target, abandoned), the counts since that version. O(1)."""
        queue = self.tables.queues[index("queue", q, len(self.tables.queues))]
        counts = (queue.entered, queue.connected, queue.in_target, queue.abandoned)
        return (self.length(q), queue.version, *counts)

    def _seeking(self, q: int) -> list[tuple[int, int, int, int]]:
        """Entries of a queue that may still be offered, in order: (tier, since, seq, interaction)."""
        return sorted(
            (entry.tier, entry.since, entry.seq, i)
            for i, interaction in enumerate(self.interactions)
            if interaction is not None and interaction.state in IN_QUEUE and not selection.offers_full(self, i)
            for entry in interaction.entries
            if self.queue_of(entry) == q
        )

    def waiting(self, q: int, limit: int) -> list[int]:
        """Who waits in a queue without all its offers made, by (tier, since, seq), at most ``limit``.

        O(limit * classes) in the kernel.
        """
        index("queue", q, len(self.tables.queues))
        return [i for *_, i in self._seeking(q)[: max(limit, 0)]]

    def position(self, i: int) -> int:
        """1 + the entries that are before the interaction's first entry in its queue; 0 if it does not wait.

        O(classes * log(waiting)) in the kernel.
        """
        interaction = self.interactions[index("interaction", i, len(self.interactions))]
        if interaction is None or interaction.state not in IN_QUEUE:
            return 0
        entry = interaction.entries[0]
        place = (entry.tier, entry.since, entry.seq)
        return 1 + sum(found[:3] < place for found in self._seeking(self.queue_of(entry)))

    def why_not(self, i: int, j: int) -> list[int]:
        """For each entry of a waiting interaction the first clause of *eligible* that is false, 0 where none is.

        O(entries * (exclusions + live offers)); empty when it does not wait.
        """
        interaction = self.interactions[index("interaction", i, len(self.interactions))]
        index("agent", j, len(self.agents))
        if interaction is None or interaction.state not in IN_QUEUE:
            return []
        return [int(selection.why_not(self, i, entry, j) or 0) for entry in interaction.entries]

    def take(self) -> list[Event]:
        """Hand over the events since the last call, in order."""
        events, self.events = self.events, []
        return events

    def next_deadline(self) -> int:
        """When the next deadline is due, or -1."""
        return min((deadline[0] for deadline in self._deadlines()), default=-1)

    def fork(self) -> Core:
        """A copy that lives on by itself."""
        return copy.deepcopy(self)

    def dump(self) -> array[int]:
        """The whole state as integers, canonical: the same for both cores after the same commands. O(state)."""
        return audit.dump(self)

    @classmethod
    def load(cls, data: array[int]) -> Core:
        """The core that :meth:`dump` wrote, whichever core wrote it. O(state)."""
        core = cls()
        audit.load(core, data)
        return core

    def check(self) -> list[str]:
        """Every invariant that does not hold, by name; empty when all do."""
        return audit.check(self)

    # Deadlines -------------------------------------------------------------------------------------------------------

    def _deadlines(self) -> Iterator[Deadline]:
        """Every deadline as (due, kind, sequence, what)."""
        for i, interaction in enumerate(self.interactions):
            if interaction is None:
                continue
            if interaction.wrap_due >= 0:
                yield interaction.wrap_due, DeadlineKind.WRAP_UP_END, interaction.seq, (i, 0)
            for x, exclusion in enumerate(interaction.exclusions):
                if exclusion.until >= 0:
                    yield exclusion.until, DeadlineKind.EXCLUSION_END, exclusion.seq, (i, x)
            if interaction.state in IN_QUEUE:
                for e in range(len(interaction.entries)):
                    yield from self._entry_deadline(i, e)
        for o, offer in enumerate(self.offers):
            if offer is not None and offer.due >= 0:
                yield offer.due, DeadlineKind.OFFER_EXPIRY, offer.seq, (o, 0)
        for q, queue in enumerate(self.tables.queues):
            if queue.control_due >= 0:
                yield queue.control_due, DeadlineKind.CONTROL, q, (q, 0)

    def _entry_deadline(self, i: int, e: int) -> Iterator[Deadline]:
        """An entry's next step, and its next opening while it may still be offered."""
        interaction = self.interactions[i]
        assert interaction is not None
        entry = interaction.entries[e]
        class_ = self.tables.classes[entry.class_]
        if class_.step_at >= 0:
            yield interaction.step_from + class_.step_at, DeadlineKind.STEP, entry.seq, (i, e)
        if entry.opening >= 0:
            yield entry.opening, DeadlineKind.OPENING, entry.seq, (i, e)

    def arm(self, i: int) -> None:
        """Look up when the next pair of each entry opens, after it has been asked for at this instant."""
        seeking = self.live(i).state in IN_QUEUE and not selection.offers_full(self, i)
        for entry in self.live(i).entries:
            pairs = self.tables.classes[entry.class_].pairs
            openings = [entry.since + pair.opens for pair in pairs if pair.opens > 0]
            later = [opening for opening in openings if opening > self.now]
            entry.opening = min(later) if seeking and later else -1

    def advance(self, now: int) -> None:
        """Fire the deadlines up to ``now``, each at its own time, by (due, kind, sequence)."""
        if not self.now <= now <= limits.TIME_MAX:
            raise limits.too_early(now, self.now, -1)
        while True:
            deadline = min(self._deadlines(), default=None)
            if deadline is None or deadline[0] > now:
                break
            self._fire(*deadline)
        self.now = now

    def _fire(self, due: int, kind: int, _seq: int, what: tuple[int, int]) -> None:
        number, part = what
        self.now = max(self.now, due)
        if kind == DeadlineKind.OPENING:
            self._place(number)
        elif kind == DeadlineKind.WRAP_UP_END:
            self._release(number)
        elif kind == DeadlineKind.OFFER_EXPIRY:
            self._expire(number)
        elif kind == DeadlineKind.EXCLUSION_END:
            self.live(number).exclusions.pop(part)
            self._place(number)
        elif kind == DeadlineKind.STEP:
            self._settle(number)
            freed = self._withdraw_excess(number)
            self._place(number)
            for j in freed:
                self._serve(j)
        else:
            queue = self.tables.queues[number]
            queue.control_due = -1
            self._tell(EventKind.REVISION_DUE, x=number, y=queue.version)

    # Small helpers ---------------------------------------------------------------------------------------------------

    def _check_time(self, now: int) -> None:
        due = self.next_deadline()
        if not self.now <= now <= limits.TIME_MAX or 0 <= due <= now:
            raise limits.too_early(now, self.now, due)

    def _next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def _tell(self, kind: EventKind, i: int = -1, j: int = -1, x: int = -1, y: int = -1) -> None:
        self.events.append((int(kind), self.now, i, j, int(x), int(y)))

    def live(self, i: int) -> Interaction:
        """The record of an interaction that is known to live."""
        interaction = self.interactions[i]
        assert interaction is not None
        return interaction

    def _judge(self, i: int, move: InteractionMove) -> Reason | None:
        """Look a move up in the table: None is legal."""
        index("interaction", i, len(self.interactions))
        interaction = self.interactions[i]
        if interaction is None:
            return Reason.UNKNOWN_INTERACTION
        if (interaction.state, move) in INTERACTION:
            return None
        return REFUSALS[interaction.state, move]

    def _move(self, i: int, move: InteractionMove) -> None:
        interaction = self.live(i)
        interaction.state = INTERACTION[interaction.state, move]

    def _wait(self, interaction: Interaction) -> int:
        """The real wait so far."""
        return self.now - interaction.wait_from

    def _hold(self, j: int, channel: int, sign: int) -> None:
        """Take (+1) or give back (-1) the capacity of one interaction of a channel."""
        self.agents[j].used += sign * self.tables.loads[channel]
        self.agents[j].counts[channel] += sign

    def _restart_idle(self, j: int) -> None:
        self.agents[j].idle_since = self.now
        self.agents[j].stamp = self._next_seq()

    # Asking ----------------------------------------------------------------------------------------------------------

    def _settle(self, i: int) -> None:
        """Move every entry whose step is due into its next class; it keeps its place."""
        interaction = self.live(i)
        for entry in interaction.entries:
            class_ = self.tables.classes[entry.class_]
            while class_.step_at >= 0 and interaction.step_from + class_.step_at <= self.now:
                entry.class_ = class_.step_next
                if class_.step_tier >= 0:
                    entry.tier = class_.step_tier
                class_ = self.tables.classes[entry.class_]
                self._tell(EventKind.STEPPED, i, x=entry.class_, y=self._wait(interaction))

    def _place(self, i: int) -> None:
        """Agent selection: offer a waiting interaction to the best, as far as its queue still makes offers."""
        interaction = self.live(i)
        if interaction.state in IN_QUEUE and not selection.offers_full(self, i):
            self._offer_to_best(i)
        self.arm(i)

    def _offer_to_best(self, i: int) -> None:
        interaction = self.live(i)
        found = selection.agents_for(self, i)
        offers = self.tables.queues[self.queue_of(interaction.entries[0])].offers
        if offers == limits.OFFERS_ALL:
            best = min((selection.rank_of(self, i, e, j) for e, j in found), default=0)
            found = [(e, j) for e, j in found if selection.rank_of(self, i, e, j) == best]
        else:
            found = found[: offers - len(self.offers_of(i))]
        for e, j in found[:1] if self.auto_accept else found:
            self._offer(i, e, j)

    def _serve(self, j: int) -> None:
        """Interaction selection: offer an agent the best that waits, until he is full or nothing fits."""
        while True:
            best = selection.interaction_for(self, j)
            if best is None:
                return
            self._offer(*best, j)
            # While more offers may follow, an opening that is due at this very instant has still to be looked at.
            if selection.offers_full(self, best[0]):
                self.arm(best[0])

    def _offer(self, i: int, e: int, j: int) -> None:
        interaction = self.live(i)
        queue = self.tables.queues[self.queue_of(interaction.entries[e])]
        channel = self.tables.classes[interaction.entries[e].class_].channel
        due = -1 if queue.offer_timeout < 0 else self.now + queue.offer_timeout
        offer = Offer(i, e, j, due, self._next_seq())
        slot = self.free_offers.pop() if self.free_offers else len(self.offers)
        self.offers[slot : slot + 1] = [offer]
        self._hold(j, channel, +1)
        self.agents[j].offered = offer.seq
        self._move(i, InteractionMove.OFFER)
        self._tell(EventKind.OFFERED, i, j, self._offer_number(offer), due)
        if self.auto_accept:
            self._accept(offer)

    def _offer_number(self, offer: Offer) -> int:
        return offer.seq << limits.OFFER_SLOT_BITS | self.offers.index(offer)

    def _end_offer(self, offer: Offer, move: OfferMove) -> None:
        """End a live offer; what an accept holds it keeps, the other ends give the capacity back."""
        end = OFFER[OfferState.LIVE, move]
        number = self._offer_number(offer)
        slot = self.offers.index(offer)
        self.offers[slot] = None
        self.free_offers.append(slot)
        if end == OfferState.ACCEPTED:
            return
        interaction = self.live(offer.interaction)
        self._hold(offer.agent, self.tables.classes[interaction.entries[offer.entry].class_].channel, -1)
        if not self.offers_of(offer.interaction):
            self._move(offer.interaction, InteractionMove.UNOFFER)
        self._tell(ENDED_BY[end], offer.interaction, offer.agent, number)

    def _withdraw(self, i: int, keep: Offer | None = None) -> list[int]:
        """Withdraw the live offers of an interaction but ``keep``; the agents who lose one, in order."""
        offers = [offer for offer in self.offers_of(i) if offer is not keep]
        for offer in offers:
            self._end_offer(offer, OfferMove.WITHDRAW)
        return [offer.agent for offer in offers]

    def _exclude(self, i: int, j: int, queue: int) -> None:
        exclusions = self.live(i).exclusions
        if len(exclusions) == limits.EXCLUSIONS_MAX:
            exclusions.pop(0)
        retry_after = self.tables.queues[queue].retry_after
        exclusions.append(Exclusion(j, -1 if retry_after < 0 else self.now + retry_after, self._next_seq()))

    # Agents ----------------------------------------------------------------------------------------------------------

    def add_channel(self, load: int) -> int:
        """See :meth:`Tables.add_channel`."""
        number = self.tables.add_channel(load)
        for agent in self.agents:
            agent.counts.append(0)
        return number

    def add_agent(self, group: int, order: int) -> int:
        """A new agent, signed out."""
        index("group", group, len(self.tables.groups))
        within("order", order, 0, limits.ORDER_MAX)
        self.agents.append(Agent(group, order, counts=[0] * len(self.tables.loads)))
        return len(self.agents) - 1

    def move_agent(self, now: int, j: int, group: int, order: int) -> int:
        """Give an agent other skills: he changes group, keeps what he holds and asks again."""
        self._check_time(now)
        agent = self.agents[index("agent", j, len(self.agents))]
        index("group", group, len(self.tables.groups))
        within("order", order, 0, limits.ORDER_MAX)
        self.now = now
        agent.group, agent.order = group, order
        self._serve(j)
        return 0

    def set_presence(self, now: int, j: int, move: int) -> int:
        """Sign in or out, turn ready, not ready or draining. Signing out with work in hand drains first."""
        self._check_time(now)
        agent = self.agents[index("agent", j, len(self.agents))]
        move = PresenceMove(within("presence move", move, PresenceMove.SIGN_IN, PresenceMove.SIGN_OUT))
        if move == PresenceMove.SIGN_OUT and self._holds(j):
            move = PresenceMove.DRAIN
        if (agent.presence, move) not in PRESENCE:
            return presence_refusal(agent.presence, move)
        self.now = now
        if agent.presence == Presence.SIGNED_OUT:
            for interaction in self.interactions:
                if interaction is not None:
                    interaction.exclusions = [x for x in interaction.exclusions if x.agent != j]
        self._set_presence(j, move, PresenceReason.ASKED)
        return 0

    def _holds(self, j: int) -> bool:
        """Whether the agent is connected or wrapping up."""
        return any(i is not None and i.agent == j and i.state in HELD for i in self.interactions)

    def _set_presence(self, j: int, move: PresenceMove, reason: PresenceReason, first: int = -1) -> None:
        """Move, withdraw what he was offered, and ask for those who lost it, ``first`` before the others."""
        agent = self.agents[j]
        waiting = [first] if first >= 0 else []
        if agent.presence == Presence.READY:
            for offer in self.offers_to(j):
                waiting.append(offer.interaction)
                self._end_offer(offer, OfferMove.WITHDRAW)
        agent.presence = PRESENCE[agent.presence, move]
        self._tell(EventKind.PRESENCE, -1, j, agent.presence, reason)
        if agent.presence == Presence.READY:
            self._restart_idle(j)
            self._serve(j)
        self._empty(j)
        for i in waiting:
            self._place(i)

    def _empty(self, j: int) -> None:
        """A draining agent with nothing in hand is signed out."""
        if self.agents[j].presence == Presence.DRAINING and not self._holds(j):
            self.agents[j].presence = PRESENCE[Presence.DRAINING, PresenceMove.EMPTY]
            self._tell(EventKind.PRESENCE, -1, j, self.agents[j].presence, PresenceReason.EMPTY)

    # Interactions ----------------------------------------------------------------------------------------------------

    def enqueue(self, now: int, classes: Sequence[int], tier: int, since: int) -> int:
        """Put a new interaction into its classes: its number, or minus the reason of a refusal."""
        self._check_time(now)
        self._check_entries(classes, tier, since)
        if self._full(classes, None):
            return -Reason.QUEUE_FULL
        self.now = now
        interaction = Interaction(InteractionState.WAITING, [], self._next_seq(), now, now)
        i = self.free_interactions.pop() if self.free_interactions else len(self.interactions)
        self.interactions[i : i + 1] = [interaction]
        self._enter(i, classes, tier, since)
        self._tell(EventKind.QUEUED, i, x=self.queue_of(interaction.entries[0]), y=tier)
        self._arrive(i)
        return i

    def _check_entries(self, classes: Sequence[int], tier: int, since: int) -> None:
        within("entries", len(classes), 1, limits.ENTRIES_MAX)
        for k in classes:
            index("class", k, len(self.tables.classes))
        if len(set(classes)) < len(classes) or len({self.tables.classes[k].channel for k in classes}) > 1:
            raise MisuseError("the entries of an interaction are in different classes of one channel")
        within("tier", tier, 0, limits.TIER_MAX)
        within("since", since, -limits.TIME_MAX, limits.TIME_MAX)

    def _full(self, classes: Sequence[int], own: Interaction | None) -> bool:
        """Whether one of the queues has no place left, not counting the interaction's own."""
        for q in sorted({self.tables.classes[k].queue for k in classes}):
            mine = 0
            if own is not None and own.state in IN_QUEUE:
                mine = sum(self.queue_of(entry) == q for entry in own.entries)
            if 0 <= self.tables.queues[q].limit <= self.length(q) - mine:
                return True
        return False

    def _enter(self, i: int, classes: Sequence[int], tier: int, since: int) -> None:
        """Write the entries, and count the arrival in each queue."""
        interaction = self.live(i)
        interaction.channel = self.tables.classes[classes[0]].channel
        interaction.entries = [Entry(k, tier, since, self._next_seq()) for k in classes]
        for q in sorted({self.tables.classes[k].queue for k in classes}):
            self.tables.queues[q].entered += 1
            self._arm_control(q)

    def _arm_control(self, q: int) -> None:
        queue = self.tables.queues[q]
        if queue.control_every > 0 and queue.control_due < 0:
            queue.control_due = self.now + queue.control_every

    def _arrive(self, i: int) -> None:
        """Take the steps that are due at once, say so if nobody could ever serve it, and ask for an agent."""
        self._settle(i)
        interaction = self.live(i)
        if not any(self._reachable(entry.class_) for entry in interaction.entries):
            self._tell(EventKind.UNMATCHED, i, x=interaction.entries[0].class_)
        self._place(i)

    def _reachable(self, k: int) -> bool:
        """Whether a group may serve the class, or one of the steps that follow it."""
        while True:
            class_ = self.tables.classes[k]
            if any(pair.opens != limits.NEVER for pair in class_.pairs):
                return True
            if class_.step_at < 0:
                return False
            k = class_.step_next

    def _gone(self, i: int) -> None:
        self.interactions[i] = None
        self.free_interactions.append(i)

    def leave(self, now: int, i: int) -> int:
        """The customer left while waiting."""
        self._check_time(now)
        refused = self._judge(i, InteractionMove.LEAVE)
        if refused is not None:
            return refused
        self.now = now
        interaction = self.live(i)
        agents = self._withdraw(i)
        queues = sorted({self.queue_of(entry) for entry in interaction.entries})
        for q in queues:
            self.tables.queues[q].abandoned += 1
            self._arm_control(q)
        self._tell(EventKind.ABANDONED, i, x=self.queue_of(interaction.entries[0]), y=self._wait(interaction))
        self._gone(i)
        for j in agents:
            self._serve(j)
        return 0

    def _find_offer(self, number: int) -> Offer | None:
        within("offer", number, 0, 2**63 - 1)
        slot = number & ((1 << limits.OFFER_SLOT_BITS) - 1)
        offer = self.offers[slot] if slot < len(self.offers) else None
        return offer if offer is not None and offer.seq == number >> limits.OFFER_SLOT_BITS else None

    def accept(self, now: int, number: int) -> int:
        """The agent takes the offer; its siblings are withdrawn."""
        self._check_time(now)
        offer = self._find_offer(number)
        if offer is None:
            return Reason.OFFER_ENDED
        self.now = now
        self._accept(offer)
        return 0

    def _accept(self, offer: Offer) -> None:
        i, j = offer.interaction, offer.agent
        interaction = self.live(i)
        number, won = self._offer_number(offer), self.queue_of(interaction.entries[offer.entry])
        others = self._withdraw(i, keep=offer)
        self._end_offer(offer, OfferMove.ACCEPT)
        self._move(i, InteractionMove.CONNECT)
        interaction.agent, interaction.connected_at = j, self.now
        interaction.exclusions = []
        self.agents[j].handled += 1
        self._restart_idle(j)
        queue = self.tables.queues[won]
        queue.connected += 1
        queue.in_target += queue.target >= 0 and self._wait(interaction) <= queue.target
        self._arm_control(won)
        self._tell(EventKind.CONNECTED, i, j, number, self._wait(interaction))
        for other in others:
            self._serve(other)

    def decline(self, now: int, number: int) -> int:
        """The agent refuses the offer: he is excluded for a while, the interaction keeps its place."""
        self._check_time(now)
        offer = self._find_offer(number)
        if offer is None:
            return Reason.OFFER_ENDED
        self.now = now
        queue = self.queue_of(self.live(offer.interaction).entries[offer.entry])
        self._end_offer(offer, OfferMove.DECLINE)
        self._exclude(offer.interaction, offer.agent, queue)
        self._place(offer.interaction)
        self._serve(offer.agent)
        return 0

    def _expire(self, slot: int) -> None:
        """Redirection on no answer: the agent turns not ready, the interaction keeps its place."""
        offer = self.offers[slot]
        assert offer is not None
        self._end_offer(offer, OfferMove.EXPIRE)
        self._set_presence(offer.agent, PresenceMove.NO_ANSWER, PresenceReason.NO_ANSWER, first=offer.interaction)

    def finish(self, now: int, i: int, wrap: int) -> int:
        """The conversation is over: wrap-up for so long (-1: until released; 0: none, the capacity is free at once)."""
        self._check_time(now)
        within("wrap-up", wrap, -1, limits.TIME_MAX)
        refused = self._judge(i, InteractionMove.FINISH)
        if refused is not None:
            return refused
        self.now = now
        self._finish(i, wrap)
        if wrap == 0:
            self._release(i)
        return 0

    def _finish(self, i: int, wrap_up: int) -> None:
        interaction = self.live(i)
        self._move(i, InteractionMove.FINISH)
        interaction.wrap_due = -1 if wrap_up < 0 else self.now + wrap_up
        handled, interaction.connected_at = self.now - interaction.connected_at, -1
        self._tell(EventKind.FINISHED, i, interaction.agent, handled, interaction.wrap_due)

    def release(self, now: int, i: int) -> int:
        """The agent is done with it, wrap-up included: the capacity is free."""
        self._check_time(now)
        refused = self._judge(i, InteractionMove.RELEASE)
        if refused is not None:
            return refused
        self.now = now
        if self.live(i).state == InteractionState.CONNECTED:
            self._finish(i, 0)
        self._release(i)
        return 0

    def _release(self, i: int) -> None:
        interaction = self.live(i)
        self._move(i, InteractionMove.RELEASE)
        self._tell(EventKind.RELEASED, i, interaction.agent)
        j, channel = interaction.agent, interaction.channel
        self._gone(i)
        self._let_go(j, channel)
        self._serve(j)

    def _let_go(self, j: int, channel: int) -> None:
        """Capacity comes back from a connected interaction."""
        self._hold(j, channel, -1)
        self._restart_idle(j)
        self._empty(j)

    def requeue(self, now: int, i: int) -> int:
        """The agent gives it back: it returns to its old place, and he is excluded as after a decline."""
        self._check_time(now)
        refused = self._judge(i, InteractionMove.REQUEUE)
        if refused is not None:
            return refused
        self.now = now
        interaction = self.live(i)
        j = interaction.agent
        away = now - interaction.connected_at
        interaction.wait_from += away
        interaction.step_from += away
        queue = self.queue_of(interaction.entries[0])
        self._move(i, InteractionMove.REQUEUE)
        self._tell(EventKind.REQUEUED, i, j, queue, self._wait(interaction))
        self._leave_agent(i, queue)
        self._settle(i)
        self._place(i)
        self._serve(j)
        return 0

    def _leave_agent(self, i: int, queue: int) -> None:
        interaction = self.live(i)
        j, interaction.agent, interaction.connected_at = interaction.agent, -1, -1
        self._exclude(i, j, queue)
        self._let_go(j, interaction.channel)

    def transfer(self, now: int, i: int, classes: Sequence[int], tier: int, since: int) -> int:
        """Move an interaction into other classes; its steps start anew, its real wait goes on."""
        self._check_time(now)
        self._check_entries(classes, tier, since)
        refused = self._judge(i, InteractionMove.TRANSFER)
        if refused is not None:
            return refused
        interaction = self.live(i)
        if self.tables.classes[classes[0]].channel != interaction.channel:
            raise MisuseError("a transfer keeps the channel")
        if self._full(classes, interaction):
            return Reason.QUEUE_FULL
        self.now = now
        agents = self._withdraw(i)
        j = interaction.agent
        if interaction.state == InteractionState.CONNECTED:
            interaction.wait_from += now - interaction.connected_at
            agents = [j]
        self._move(i, InteractionMove.TRANSFER)
        interaction.step_from = now
        interaction.exclusions = []
        self._enter(i, classes, tier, since)
        queue = self.queue_of(interaction.entries[0])
        self._tell(EventKind.TRANSFERRED, i, j, queue, self._wait(interaction))
        if j >= 0:
            self._leave_agent(i, queue)
        self._arrive(i)
        for agent in agents:
            self._serve(agent)
        return 0

    # Plans and strategies --------------------------------------------------------------------------------------------

    def set_pairs(self, classes: Sequence[int], groups: Sequence[int], *columns: Sequence[int]) -> None:
        """See :meth:`Tables.set_pairs`; who waits in the classes learns the new openings."""
        opens, rank_out, cost_out, rank_in, cost_in = columns
        self.tables.set_pairs(classes, groups, opens, rank_out, cost_out, rank_in, cost_in)
        for i, interaction in enumerate(self.interactions):
            if interaction is not None and any(entry.class_ in classes for entry in interaction.entries):
                self.arm(i)

    def set_control(self, q: int, every: int) -> None:
        """Ask a queue's strategy again this often (-1: never); the next event of the queue starts the interval."""
        queue = self.tables.queues[index("queue", q, len(self.tables.queues))]
        queue.control_every = within("control interval", every, -1, limits.TIME_MAX)
        queue.control_due = -1

    def revised(self, q: int) -> int:
        """Begin a queue's next version of tables: its counts start again. Returns the new version."""
        queue = self.tables.queues[index("queue", q, len(self.tables.queues))]
        queue.version += 1
        queue.entered = queue.connected = queue.in_target = queue.abandoned = 0
        return queue.version

    def refresh(self, now: int) -> int:
        """Ask again for everybody after the tables changed: due steps first, then who waits, in order."""
        self._check_time_only(now)
        self.now = now
        waiting = sorted(
            (interaction.seq, i)
            for i, interaction in enumerate(self.interactions)
            if interaction is not None and interaction.state in IN_QUEUE
        )
        for _, i in waiting:
            self._settle(i)
        freed = [j for _, i in waiting for j in self._withdraw_excess(i)]
        for _, i in waiting:
            self._place(i)
        for j in freed:
            self._serve(j)
        return 0

    def _withdraw_excess(self, i: int) -> list[int]:
        """Withdraw the newest offers of an interaction whose queue makes fewer now; the agents who lose one."""
        offers, live = self.tables.queues[self.queue_of(self.live(i).entries[0])].offers, self.offers_of(i)
        excess = live[offers:][::-1] if offers != limits.OFFERS_ALL else []
        for offer in excess:
            self._end_offer(offer, OfferMove.WITHDRAW)
        return [offer.agent for offer in excess]

    def _check_time_only(self, now: int) -> None:
        if not self.now <= now <= limits.TIME_MAX:
            raise limits.too_early(now, self.now, -1)
