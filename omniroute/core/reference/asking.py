"""What is asked: conditions that flip, steps, agent selection, offers, ties; methods of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import Cause, EventKind, TieKind
from omniroute.core.lifecycle import (
    OFFER,
    InteractionMove,
    InteractionState,
    OfferMove,
    OfferState,
    Presence,
)
from omniroute.core.limits import CANCEL
from omniroute.core.reference import keys, reading, selection, windows
from omniroute.core.reference.state import (
    CANCELLED,
    ENDED_BY,
    IN_QUEUE,
    RESERVES_OFFERED,
    Condition,
    Entry,
    Interaction,
    Offer,
    Tie,
)
from omniroute.core.reference.tables import index, within

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

# Conditions ------------------------------------------------------------------------------------------------------


def add_condition(self: Core, gauge: int, on: int, off: int, below: int) -> int:
    """A new condition: true once its gauge is at ``on`` or beyond, until it has passed ``off``."""
    conditions = self.tables.conditions
    within("conditions", len(conditions) + 1, 1, limits.CONDITIONS_MAX)
    index("gauge", gauge, len(self.tables.gauges))
    within("below", below, 0, 1)
    within("threshold", on, 0, limits.GAUGE_MAX)
    within("threshold", off, on if below else 0, limits.GAUGE_MAX if below else on)
    value = self.gauge(gauge)
    conditions.append(Condition(gauge, on, off, below, value <= on if below else value >= on))
    return len(conditions) - 1


def set_gauge(self: Core, now: int, gauge: int, value: int) -> int:
    """Give a gauge of the kind GIVEN its number."""
    self._check_time(now)
    cell = self.tables.gauges[index("gauge", gauge, len(self.tables.gauges))]
    within("kind of gauge", cell.kind, 4, 4)
    within("value", value, 0, limits.GAUGE_MAX)
    self.now = now
    cell.given = value
    self._look()
    return self._done()


def _look(self: Core) -> None:
    """Look at every gauge again; a condition that has become true asks again before the command ends."""
    for c, cell in enumerate(self.tables.conditions):
        value = self.gauge(cell.gauge)
        if cell.holds:
            cell.holds = value <= cell.off if cell.below else value >= cell.off
        elif value <= cell.on if cell.below else value >= cell.on:
            cell.holds = True
            self.fresh.add(c)


def _flipped(self: Core, c: int) -> None:
    """A condition has become true: steps that waited for it, then the agents concerned, longest unchanged first."""
    classes = self.tables.classes
    for i in self._by_seq():
        it = self.live(i)
        if it.state in IN_QUEUE and any(_steps_by(self, c, it, entry) for entry in it.entries) and not self._settle(i):
            self._withdraw_excess(i)
            self._place_later(i)
    concerned = {
        g
        for k, class_ in enumerate(classes)
        if any(self._seeks(i, k) for i in self._by_seq())
        for g, pair in enumerate(class_.pairs)
        if pair.condition == c and pair.opens != limits.NEVER
    }
    agents = [j for j, agent in enumerate(self.agents) if agent.group in concerned and self._has_room(j)]
    for j in sorted(agents, key=lambda j: (self.agents[j].stamp, j)):
        self._serve(j)


def _steps_by(self: Core, c: int, interaction: Interaction, entry: Entry) -> bool:
    """Whether an entry takes its step now that a condition holds."""
    class_ = self.tables.classes[entry.class_]
    return c in (class_.step_when, class_.skip_if) and self._steps_on(interaction, entry)


def _seeks(self: Core, i: int, k: int) -> bool:
    """Whether an interaction waits in a class for a further offer."""
    it = self.live(i)
    waits = it.state in IN_QUEUE and any(entry.class_ == k for entry in it.entries)
    return waits and not selection.offers_full(self, i)


def _has_room(self: Core, j: int) -> bool:
    """Whether an agent could be offered something now, of whatever channel."""
    agent = self.agents[j]
    ready = agent.presence == Presence.READY and agent.rest < 0
    return ready and any(selection.has_room(self, j, c) for c in range(len(self.tables.channels)))


def _wind_up(self: Core) -> None:
    """What a command left to be asked.

    Ties of who went; agents who got free; conditions that became true; interactions, in order.
    """
    while True:
        if self.left:
            self._untie(self.left.pop(0))
        elif self.forgiving:
            self.forgiving = False
            for i in self._by_seq():
                self._forgive(i, always=False)
        elif self.freed:
            self._serve(self.freed.pop(0))
        elif self.fresh:
            c = min(self.fresh)
            self.fresh.remove(c)
            if self.tables.conditions[c].holds:
                self._flipped(c)
        elif self.late:
            i = min(self.late, key=self._rank_in_queue)
            self.late.remove(i)
            if self.interactions[i] is not None:
                self._back(i)
        else:
            return


def _rank_in_queue(self: Core, i: int) -> tuple[int, int, int]:
    """The first place that an interaction has in a class; what is gone needs none."""
    interaction = self.interactions[i]
    if interaction is None:
        return -1, 0, 0
    return min((entry.tier, entry.since, entry.seq) for entry in interaction.entries)


def _place_later(self: Core, i: int) -> None:
    """Ask for an interaction before the command ends, when nobody before it has still to be asked for."""
    if i not in self.late:
        self.late.append(i)


def _done(self: Core) -> int:
    self._wind_up()
    return 0


# Asking ----------------------------------------------------------------------------------------------------------


def _settle(self: Core, i: int) -> bool:
    """Move every entry whose step is due into its next class; it keeps its place. True: a step ended it."""
    interaction = self.live(i)
    for entry in interaction.entries:  # copies are appended, and looked at as well
        while self._steps_on(interaction, entry):
            class_ = self.tables.classes[entry.class_]
            if class_.step_next == CANCEL:
                self._leave(i, CANCELLED)
                return True
            entry.class_ = class_.step_next
            if class_.step_tier >= 0:
                entry.tier = class_.step_tier
            self._arrived(class_.queue, self.queue_of(entry))
            copied = class_.step_copy
            known = any(other.class_ == copied for other in interaction.entries)
            if copied >= 0 and not known and len(interaction.entries) < limits.ENTRIES_MAX:
                interaction.entries.append(Entry(copied, entry.tier, entry.since, self._next_seq()))
                self._arrived(class_.queue, self.tables.classes[copied].queue)
            self._tell(EventKind.STEPPED, i, x=entry.class_, y=self._wait(interaction))
            self._look()
    return False


def _arrived(self: Core, before: int, queue: int) -> None:
    """Count an entry that came from another queue by a step."""
    if queue != before:
        self.tables.queues[queue].entered += 1
        self._arm_control(queue)


def _steps_on(self: Core, interaction: Interaction, entry: Entry) -> bool:
    """Whether an entry takes its step now: it is due, it is skipped, or only later steps could find anybody.

    What is on offer is not skipped, lest its own offer take away whom it is offered to.
    """
    class_, conditions = self.tables.classes[entry.class_], self.tables.conditions
    if class_.step_at < 0:
        return False
    if interaction.step_from + class_.step_at <= self.now:
        return class_.step_when < 0 or conditions[class_.step_when].holds
    waits = interaction.state == InteractionState.WAITING
    if class_.skip_if >= 0 and conditions[class_.skip_if].holds and waits:
        return True
    return not class_.patient and not self._servable(entry.class_) and self._reachable(entry.class_)


def _servable(self: Core, k: int) -> bool:
    """Whether an agent who is known may ever serve the class, now or with time enough left."""
    pairs = self.tables.classes[k].pairs
    return any(pairs[g].opens != limits.NEVER for agent in self.agents for g in (agent.home, agent.group))


def _reachable(self: Core, k: int) -> bool:
    """Whether an agent who is known may ever serve the class, or one of the steps that follow it."""
    while k >= 0:
        if self._servable(k):
            return True
        class_ = self.tables.classes[k]
        if class_.step_at >= 0 and class_.step_copy >= 0 and self._reachable(class_.step_copy):
            return True
        k = class_.step_next if class_.step_at >= 0 else -1
    return False


def _place(self: Core, i: int) -> None:
    """Agent selection: offer a waiting interaction to the best, as far as its queue still makes offers."""
    self._forgive(i, always=False)
    if self.live(i).state in IN_QUEUE and not selection.offers_full(self, i):
        self._offer_to_best(i)
    self.arm(i)


def _offer_to_best(self: Core, i: int) -> None:
    """Each offer may change who may be asked next: so everybody is looked at again for each.

    Where a condition has become true, those who waited for it longer come first.
    """
    interaction, best = self.live(i), None
    queue = self.tables.queues[self.queue_of(interaction.entries[0])]
    offers = queue.offers if queue.every < 0 else 1 + len(self.offers_of(i))
    left = 2**31 if offers == limits.OFFERS_ALL else offers - len(self.offers_of(i))
    while left and interaction.state in IN_QUEUE:
        if self.fresh and (best is None or offers != limits.OFFERS_ALL):
            self._place_later(i)
            return
        found = selection.agents_for(self, i, further=best is not None)
        if not found:
            windows.hold_back(self, i)
        if not found or (offers == limits.OFFERS_ALL and best not in (None, found[0][0])):
            return
        best, e, j = found[0]
        self._offer(i, e, j)
        left -= 1


def _serve(self: Core, j: int) -> None:
    """Interaction selection: offer an agent the best that waits, until he is full or nothing fits."""
    while True:
        best = selection.interaction_for(self, j)
        if best is None:
            windows.hold_back_from(self, j)
            return
        self._offer(*best, j)
        # While more offers may follow, an opening that is due at this very instant has still to be looked at.
        if self.live(best[0]).state not in IN_QUEUE or selection.offers_full(self, best[0]):
            self.arm(best[0])


def _offer(self: Core, i: int, e: int, j: int) -> None:
    interaction, agent = self.live(i), self.agents[j]
    queue, group = self.tables.queues[self.queue_of(interaction.entries[e])], self.tables.groups[agent.group]
    due = -1 if queue.offer_timeout < 0 else self.now + queue.offer_timeout
    offer = Offer(i, e, j, due, self._next_seq())
    slot = self.free_offers.pop() if self.free_offers else len(self.offers)
    self.offers[slot : slot + 1] = [offer]
    if self.tables.channels[interaction.channel].flags & RESERVES_OFFERED:
        self._hold(j, interaction.channel, +1)
    keys.offered(self, j, self.queue_of(interaction.entries[e]), offer.seq)
    self._move(i, InteractionMove.OFFER)
    every = self.tables.queues[self.queue_of(interaction.entries[0])].every
    interaction.due = self.now + every if every > 0 else -1
    self._tell(EventKind.OFFERED, i, j, self._offer_number(offer), due)
    self._count_burst(j)
    self._look()
    if self.auto_accept or queue.auto or group.auto:
        self._accept(offer, 0 if self.auto_accept else max(queue.setup_timeout, 0))


def _count_burst(self: Core, j: int) -> None:
    agent = self.agents[j]
    group = self.tables.groups[agent.group]
    if group.burst == 0:
        return
    if agent.burst_from < 0 or self.now - agent.burst_from >= group.burst_per:
        agent.burst_from, agent.burst_count = self.now, 0
    agent.burst_count += 1
    if agent.burst_count >= group.burst:
        self._rest(j, Cause.BURST, agent.burst_from + group.burst_per)


def _rest(self: Core, j: int, cause: Cause, until: int) -> None:
    """Leave an agent alone until then; a longer rest stays."""
    if until > max(self.now, self.agents[j].rest):
        self.agents[j].rest = until
        self._tell(EventKind.RESTING, -1, j, cause, until)


def _offer_number(self: Core, offer: Offer) -> int:
    return offer.seq << limits.OFFER_SLOT_BITS | self.offers.index(offer)


def _end_offer(self: Core, offer: Offer, move: OfferMove, cause: int = -1) -> None:
    """End a live offer; what an accept holds it keeps, the other ends give the capacity back."""
    end = OFFER[OfferState.LIVE, move]
    number = self._offer_number(offer)
    slot = self.offers.index(offer)
    self.offers[slot] = None
    self.free_offers.append(slot)
    if end == OfferState.ACCEPTED:
        return
    interaction = self.live(offer.interaction)
    if self.tables.channels[interaction.channel].flags & RESERVES_OFFERED:
        self._hold(offer.agent, interaction.channel, -1)
    if not self.offers_of(offer.interaction):
        self._move(offer.interaction, InteractionMove.UNOFFER)
        interaction.due = -1
    self._look()
    self._tell(ENDED_BY[end], offer.interaction, offer.agent, number, cause)


def _withdraw(self: Core, i: int, keep: Offer | None = None) -> None:
    """Withdraw the live offers of an interaction but ``keep``; the agents who lose one are asked for."""
    for offer in [offer for offer in self.offers_of(i) if offer is not keep]:
        self._end_offer(offer, OfferMove.WITHDRAW)
        self._free(offer.agent)


# Ties ------------------------------------------------------------------------------------------------------------


def _tie(self: Core, i: int, j: int, kind: TieKind, until: int) -> None:
    ties = self.live(i).ties
    if len(ties) == limits.TIES_MAX:
        ties.remove(next((tie for tie in ties if tie.until != limits.UNTIL_GONE), ties[0]))
    ties.append(Tie(j, kind, until, self._next_seq()))


def _part(self: Core, i: int, j: int, least: TieKind) -> None:
    """Forget what ties an interaction to an agent, but for what is less than a kind."""
    it = self.live(i)
    it.ties = [tie for tie in it.ties if tie.agent != j or tie.kind < least]


def _part_for_now(self: Core, i: int) -> None:
    """Forget the ties of the time that an interaction waited."""
    it = self.live(i)
    it.ties = [tie for tie in it.ties if tie.until == limits.UNTIL_GONE]


def _exclude(self: Core, i: int, j: int, queue: int) -> None:
    """Keep an interaction from an agent for the queue's retry time, or until everybody has declined."""
    retry_after = self.tables.queues[queue].retry_after
    self._tie(i, j, TieKind.FORBID, -1 if retry_after < 0 else self.now + retry_after)
    self._forgive(i, always=True)


def _forgive(self: Core, i: int, *, always: bool) -> None:
    """When everybody who could take it is kept from it, end that soon, so that nobody waits for nothing."""
    interaction = self.live(i)
    lasting = [tie for tie in interaction.ties if tie.kind == TieKind.FORBID and tie.until == -1]
    if not (always or lasting) or interaction.state not in IN_QUEUE or not reading.all_declined(self, i):
        return
    for tie in lasting:
        tie.until = self.now + limits.FORGIVE_MS
    queue = self.queue_of(interaction.entries[0])
    self._tell(EventKind.ALL_DECLINED, i, x=queue, y=self._wait(interaction))


def _untie(self: Core, j: int) -> None:
    """Nothing is kept for an agent who has signed out."""
    for i in self._by_seq():
        it = self.live(i)
        if any(tie.agent == j and tie.kind != TieKind.FORBID for tie in it.ties):
            it.ties = [tie for tie in it.ties if tie.agent != j or tie.kind == TieKind.FORBID]
            self._place_later(i)
