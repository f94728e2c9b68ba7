"""The turns of an interaction once it is there: its end, holds, transfers, parking; methods of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from omniroute.core import limits
from omniroute.core.codes import EventKind, Reason
from omniroute.core.lifecycle import (
    InteractionMove,
    InteractionState,
    Presence,
)
from omniroute.core.reference import keys
from omniroute.core.reference.state import (
    ABANDONED,
    CANCELLED,
    Interaction,
    TieTo,
)
from omniroute.core.reference.tables import within
from omniroute.errors import MisuseError

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

# Leaving ---------------------------------------------------------------------------------------------------------


def _gone(self: Core, i: int) -> None:
    self.interactions[i] = None
    self.free_interactions.append(i)


def leave(self: Core, now: int, i: int, how: int = ABANDONED) -> int:
    """The customer left while waiting, or (CANCELLED) it is taken out."""
    self._check_time(now)
    within("how", how, ABANDONED, CANCELLED)
    refused = self._judge(i, InteractionMove.LEAVE)
    if refused is not None:
        return refused
    self.now = now
    self._leave(i, how)
    return self._done()


def _leave(self: Core, i: int, how: int) -> None:
    interaction = self.live(i)
    j = interaction.agent
    self._withdraw(i)
    if how == ABANDONED:
        for q in sorted({self.queue_of(entry) for entry in interaction.entries}):
            self.tables.queues[q].abandoned += 1
            self._arm_control(q)
    kind = EventKind.CANCELLED if how else EventKind.ABANDONED
    self._tell(kind, i, j, self.queue_of(interaction.entries[0]), self._wait(interaction))
    self._gone(i)
    self._look()
    if j >= 0:
        self._let_go(j, interaction.channel)
        self._free(j)


def finish(self: Core, now: int, i: int, wrap: int) -> int:
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
    return self._done()


def _finish(self: Core, i: int, wrap_up: int) -> None:
    interaction = self.live(i)
    took = self.takes(interaction)
    self._move(i, InteractionMove.FINISH)
    interaction.due = -1 if wrap_up < 0 else self.now + wrap_up
    handled, interaction.connected_at = self.now - interaction.connected_at, -1
    keys.ended(self, interaction.agent, handled, self.queue_of(interaction.entries[0]))
    self._tell(EventKind.FINISHED, i, interaction.agent, handled, interaction.due)
    self._change_hold(interaction, took)


def _change_hold(self: Core, interaction: Interaction, took: bool) -> None:
    """Take or give back capacity as the new state says; whoever gets room is asked for."""
    takes = self.takes(interaction)
    if takes != took:
        self._hold(interaction.agent, interaction.channel, 1 if takes else -1)
        self._look()
        if took:
            self._continue(interaction.agent)
            self._free(interaction.agent)


def release(self: Core, now: int, i: int) -> int:
    """The agent is done with it, wrap-up included: the capacity is free."""
    self._check_time(now)
    refused = self._judge(i, InteractionMove.RELEASE)
    if refused is not None:
        return refused
    self.now = now
    if self.live(i).state != InteractionState.WRAP_UP:
        self._finish(i, 0)
    self._release(i)
    return self._done()


def _release(self: Core, i: int) -> None:
    interaction = self.live(i)
    took = self.takes(interaction)
    self._move(i, InteractionMove.RELEASE)
    self._tell(EventKind.RELEASED, i, interaction.agent)
    j, channel = interaction.agent, interaction.channel
    self._gone(i)
    self._let_go(j, channel, took=took)
    self._free(j)


def _let_go(self: Core, j: int, channel: int, *, took: bool = True) -> None:
    """Something leaves an agent's hands, with the capacity that it took."""
    if took:
        self._hold(j, channel, -1)
    self._restart_idle(j)
    keys.has_given(self, j)
    self._look()
    self._continue(j)
    self._empty(j)


def extend(self: Core, now: int, by: int) -> int:
    """Give live offers and set-ups so many ms more, because nobody could be heard; how many these are."""
    self._check_time(now)
    within("by", by, 1, limits.OPENS_MAX)
    self.now = now
    offers = [offer for offer in self.offers if offer is not None and offer.due >= 0]
    setups = [it for it in self.interactions if it is not None and it.state == InteractionState.ACCEPTING]
    for offer in offers:
        offer.due += by
    for it in setups:
        it.due += by
    self._done()
    return len(offers) + len(setups)


# Turns -----------------------------------------------------------------------------------------------------------


def hold(self: Core, now: int, i: int) -> int:
    """The agent puts a connected interaction on hold; whether it takes capacity there is the channel's."""
    return self._turn(now, i, InteractionMove.HOLD, EventKind.HELD)


def resume(self: Core, now: int, i: int) -> int:
    """The agent takes up what is on hold, even beyond his room."""
    return self._turn(now, i, InteractionMove.RESUME, EventKind.RESUMED)


def _turn(self: Core, now: int, i: int, move: InteractionMove, event: EventKind) -> int:
    self._check_time(now)
    refused = self._judge(i, move)
    if refused is not None:
        return refused
    self.now = now
    interaction = self.live(i)
    took = self.takes(interaction)
    self._move(i, move)
    self._tell(event, i, interaction.agent)
    self._change_hold(interaction, took)
    if move == InteractionMove.RESUME:
        self._interrupt(i)
    return self._done()


def requeue(self: Core, now: int, i: int, due: int = -1) -> int:
    """The agent gives it back: it returns to its old place (parked until ``due``), as after a decline."""
    self._check_time(now)
    refused = self._judge(i, InteractionMove.REQUEUE)
    if refused is not None:
        return refused
    if due >= 0:
        within("due", due, now + 1, limits.TIME_MAX)
    self.now = now
    interaction = self.live(i)
    j, took = interaction.agent, self.takes(interaction)
    self._move(i, InteractionMove.REQUEUE)
    away = now - interaction.connected_at
    interaction.wait_from += away
    interaction.step_from += away
    queue = self.queue_of(interaction.entries[0])
    self._tell(EventKind.REQUEUED, i, j, queue, self._wait(interaction))
    interaction.agent, interaction.connected_at = -1, -1
    keys.ended(self, j, away, queue)
    if due >= 0:
        self._move(i, InteractionMove.PARK)
        interaction.due = due
        self._tell(EventKind.PARKED, i, x=queue, y=due)
    self._look()
    self._exclude(i, j, queue)
    self._let_go(j, interaction.channel, took=took)
    if due < 0:
        self._back(i)
    self._free(j)
    return self._done()


def transfer(
    self: Core, now: int, i: int, classes: Sequence[int], tier: int, since: int, ties: Sequence[TieTo] = ()
) -> int:
    """Move an interaction into other classes; its steps start anew, its real wait goes on."""
    self._check_time(now)
    self._check_entries(classes, tier, since)
    self._check_ties(now, ties)
    refused = self._judge(i, InteractionMove.TRANSFER)
    if refused is not None:
        return refused
    interaction = self.live(i)
    if self._full(classes, interaction):
        return Reason.QUEUE_FULL
    self.now = now
    j, channel, took = interaction.agent, interaction.channel, self.takes(interaction)
    self._withdraw(i)
    self._move(i, InteractionMove.TRANSFER)
    if j >= 0:
        interaction.wait_from += now - interaction.connected_at
        keys.ended(self, j, now - interaction.connected_at, self.queue_of(interaction.entries[0]))
    interaction.step_from = now
    self._part_for_now(i)
    interaction.agent = interaction.connected_at = interaction.due = -1
    self._enter(i, classes, tier, since)
    self._bind(i, ties)
    queue = self.queue_of(interaction.entries[0])
    self._tell(EventKind.TRANSFERRED, i, j, queue, self._wait(interaction))
    if j >= 0:
        self._exclude(i, j, queue)
        self._let_go(j, channel, took=took)
        self._free(j)
    self._arrive(i)
    return self._done()


def update(self: Core, now: int, i: int, classes: Sequence[int], tier: int, since: int) -> int:
    """Give a waiting or parked interaction another place, and (unless ``classes`` is empty) other classes.

    Its waits and steps go on, its ties hold. Live offers end where its classes change.
    """
    self._check_time(now)
    self._check_entries(classes or (0,), tier, since)
    refused = self._judge(i, InteractionMove.UPDATE)
    if refused is not None:
        return refused
    interaction = self.live(i)
    if classes and self._full(classes, interaction):
        return Reason.QUEUE_FULL
    self.now = now
    if classes:
        self._withdraw(i)
        self._enter(i, classes, tier, since)
    for entry in interaction.entries:
        entry.tier, entry.since = tier, since
    self._tell(EventKind.UPDATED, i, x=self.queue_of(interaction.entries[0]), y=tier)
    if interaction.state == InteractionState.PARKED:
        return self._done()
    if classes:
        self._arrive(i)
    else:
        self._place(i)
    return self._done()


def park(self: Core, now: int, i: int, due: int) -> int:
    """Put a waiting interaction aside until ``due`` (-1: until it is activated); it keeps its place."""
    self._check_time(now)
    refused = self._judge(i, InteractionMove.PARK)
    if due != -1:
        within("due", due, now + 1, limits.TIME_MAX)
    if refused is not None:
        return refused
    self.now = now
    interaction = self.live(i)
    self._withdraw(i)
    self._move(i, InteractionMove.PARK)
    interaction.due = due
    self._tell(EventKind.PARKED, i, x=self.queue_of(interaction.entries[0]), y=due)
    self._arm_estimates()
    self._look()
    self.arm(i)
    return self._done()


def call_back(self: Core, now: int, i: int, gap: int) -> int:
    """What waits or is parked is a call-back until it is connected: see ``gap`` of an interaction."""
    self._check_time(now)
    within("gap", gap, limits.CUSTOMER_FIRST, limits.OPENS_MAX)
    refused = self._judge(i, InteractionMove.UPDATE)
    if refused is not None:
        return refused
    self.now = now
    self.live(i).gap = gap
    return self._done()


def _awaken(self: Core, i: int) -> None:
    """The time of what is parked is over; where its customer is called first it goes on being parked, and says so."""
    interaction = self.live(i)
    if interaction.gap == limits.CUSTOMER_FIRST:
        interaction.due = -1
        self._tell(EventKind.PARKED, i, x=self.queue_of(interaction.entries[0]), y=-1)
    else:
        self._activate(i)


def activate(self: Core, now: int, i: int, anew: int = 0) -> int:
    """A parked interaction waits (again), in its place; ``anew`` its real wait and its steps begin again."""
    self._check_time(now)
    within("anew", anew, 0, 1)
    refused = self._judge(i, InteractionMove.ACTIVATE)
    if refused is not None:
        return refused
    self.now = now
    interaction = self.live(i)
    interaction.gap = max(interaction.gap, 0)
    if anew:
        interaction.wait_from = interaction.step_from = 0
    self._activate(i)
    return self._done()


def _activate(self: Core, i: int) -> None:
    interaction = self.live(i)
    self._move(i, InteractionMove.ACTIVATE)
    interaction.due = -1
    entry = interaction.entries[0]
    self._tell(EventKind.QUEUED, i, x=self.queue_of(entry), y=entry.tier)
    self._arm_estimates()
    self._look()
    self._arrive(i)


def take_over(self: Core, now: int, i: int, c: int) -> int:
    """The agent of a consultation ``c`` takes interaction ``i``; the consultation is over, its first agent free."""
    self._check_time(now)
    refused = self._judge(i, InteractionMove.TAKE_OVER)
    refused = self._judge(c, InteractionMove.TAKE_OVER) if refused is None else refused
    if refused is None and self.agents[self.live(c).agent].presence == Presence.SIGNED_OUT:
        refused = Reason.SIGNED_OUT
    if refused is not None:
        return refused
    if i == c or self.live(i).agent == self.live(c).agent:
        raise MisuseError("an agent takes over from another one")
    self.now = now
    first = self.live(i)
    a, b, took = first.agent, self.live(c).agent, self.takes(first)
    self._move(i, InteractionMove.TAKE_OVER)
    first.agent = b
    self._hold(b, first.channel, +1)
    self._tell(EventKind.TAKEN_OVER, i, b, a)
    keys.ended(self, a, 0, self.queue_of(first.entries[0]))
    self._take_up(i)
    self._finish(c, 0)
    self._release(c)
    self._let_go(a, first.channel, took=took)
    self._interrupt(i)
    self._free(a)
    return self._done()
