"""The turns of an interaction through the door: set-ups, holds, consultations, call-backs, parking.

A consultation and an assistance are interactions of their own that belong to another one; they end with it. Whatever
the door does by itself it does at the instant of the event that asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from omniroute import commands as c
from omniroute import forms
from omniroute.core import limits
from omniroute.core.codes import Reason, TieKind
from omniroute.core.lifecycle import INTERACTION, REFUSALS, InteractionMove, InteractionState, Presence
from omniroute.door import HANDLERS, REACTIONS, WISHES, Door
from omniroute.errors import MisuseError
from omniroute.events import CallBackDue, CallBackFailed, Event, Rejected
from omniroute.ledger import CallingBack
from omniroute.model import INTEGER_MAX, INTEGER_MIN, shown
from omniroute.naming import Wish

__all__ = ["ASIDE", "CALL_BACK_LOOK_MS", "take_out"]

CALL_BACK_LOOK_MS: Final = 5_000
"""How often the router looks whether the customer of a call-back is to be called."""
TRIES_MAX: Final = 1_000
_IN_QUEUE: Final = (InteractionState.WAITING, InteractionState.OFFERED)
ASIDE: Final = (*_IN_QUEUE, InteractionState.PARKED)
"""The states in which no agent has it."""
_CANCEL: Final = 1


def _simple(call: Callable[..., int]) -> Callable[[Door, int, c.Command], list[Event]]:
    """A handler of a command that names an interaction and is one call of the core."""

    def handle(door: Door, now: int, command: c.Command) -> list[Event]:
        name = command.interaction  # type: ignore[union-attr]
        forms.text("interaction", name)
        events = door.begin(now)
        i = door.ledger.numbers.get(name)
        if i is None:
            return door.unknown(events, command, name)
        reason = call(door, now, i)
        return door.refuse(events, command, reason, name) if reason else door.ledger.tell(events)

    return handle


def _find(door: Door, events: list[Event], command: c.Command, name: str) -> int | None:
    """The number of what a command is about; None where it is refused, which has been told."""
    i = door.ledger.numbers.get(name)
    if i is None:
        door.unknown(events, command, name)
    return i


def _fail_setup(door: Door, now: int, command: c.FailSetup) -> list[Event]:
    """A call-back that failed is tried again, as often as it allows; anything else waits in its old place."""
    forms.text("interaction", command.interaction)
    forms.instant("at", command.at)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    ledger = door.ledger
    calling = ledger.call_backs.get(i)
    state = InteractionState(door.core.interaction(i)[0])
    if calling is not None and calling.first == "customer" and calling.called and state == InteractionState.PARKED:
        door.core.advance(now)
        return _missed(door, i, events, door.later(command.at))
    reason = door.core.setup_failed(now, i, door.later(command.at))
    return door.refuse(events, command, reason, command.interaction) if reason else ledger.tell(events)


def _missed(door: Door, i: int, events: list[Event], at: int = -1) -> list[Event]:
    """A call-back has failed once: cancelled after the last try, else due again after the gap, or ``at``.

    Where the agent goes first the core has parked it for that long.
    """
    ledger = door.ledger
    calling = ledger.call_backs[i]
    if calling.tries <= 1:
        return take_out(door, i, "unreached", events)
    next_at = min(door.now + calling.gap_ms, limits.TIME_MAX) if at < 0 else at
    ledger.call_backs[i] = msgspec.structs.replace(calling, tries=calling.tries - 1, next_at=next_at, called=False)
    if calling.first == "customer":
        (queue, *_) = door.ledger.standing(door.core.interaction(i))
        facts = (ledger.ids[i], queue, calling.tries - 1, next_at, ledger.refs[i])
        events.append(CallBackFailed(ledger.next_seq(), door.now, *facts))
    return ledger.tell(events)


def take_out(door: Door, i: int, how: str, events: list[Event]) -> list[Event]:
    """Cancel what waits, is set up or is parked, and say how. O(its live offers)."""
    door.ledger.ending[i] = how
    door.core.leave(door.now, i, _CANCEL)
    return door.ledger.tell(events)


def _cancel(door: Door, now: int, command: c.Cancel) -> list[Event]:
    forms.text("interaction", command.interaction)
    forms.text("how", command.how, 64)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    state = InteractionState(door.core.interaction(i)[0])
    if (state, InteractionMove.LEAVE) not in INTERACTION:
        reason = REFUSALS[state, InteractionMove.LEAVE]
        return door.refuse(events, command, reason, command.interaction)
    return take_out(door, i, command.how, events)


def _park(door: Door, now: int, command: c.Park) -> list[Event]:
    forms.text("interaction", command.interaction)
    forms.instant("until", command.until)
    if command.until is not None and type(now) is int and command.until <= now:
        raise MisuseError(f"until is {command.until}, which is not after now ({now})")
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    reason = door.core.park(now, i, -1 if command.until is None else command.until)
    return door.refuse(events, command, reason, command.interaction) if reason else door.ledger.tell(events)


def _activate(door: Door, now: int, command: c.Activate) -> list[Event]:
    """A call-back whose customer has answered is one no longer."""
    forms.text("interaction", command.interaction)
    forms.flag("anew", command.anew)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    reason = door.core.activate(now, i, int(command.anew))
    if reason:
        return door.refuse(events, command, reason, command.interaction)
    calling = door.ledger.call_backs.get(i)
    if calling is not None and calling.first == "customer":
        del door.ledger.call_backs[i]
    return door.ledger.tell(events)


def _update(door: Door, now: int, command: c.Update) -> list[Event]:
    """Other classes where it needs something else; only another place, at logarithmic cost, where it does not."""
    wish = _checked_update(door, command)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    return events if i is None else _updated(door, events, command, i, wish, command.head_start_ms)


def _checked_update(door: Door, command: c.Update) -> Wish:
    """Look at the form of an update; what it does not say is that of the interaction."""
    forms.text("interaction", command.interaction)
    forms.integer("head_start_ms", command.head_start_ms, 0, limits.TIME_MAX)
    if command.priority is not None:
        forms.integer("priority", command.priority, INTEGER_MIN, INTEGER_MAX)
    return _changed(door, command.interaction, command.queue, command.channel, command.needs, command.priority)


def _changed(
    door: Door,
    name: str,
    queue: object = None,
    channel: object = None,
    needs: object = None,
    priority: int | None = None,
) -> Wish:
    """What an interaction asks for, with what is given instead; nobody's where it does not live."""
    number = door.ledger.numbers.get(name)
    old = None if number is None else door.ledger.asks[number]
    was = ("", "", "", 0) if old is None else (old.queues, old.channel, old.needs, old.priority)
    labels = () if old is None else old.labels
    return door.naming.wish(
        was[0] if queue is None else queue,
        was[1] if channel is None else channel,
        was[2] if needs is None else needs,
        was[3] if priority is None else priority,
        labels,
        0 if old is None else old.lane,
    )


def _updated(
    door: Door, events: list[Event], command: c.Command, i: int, wish: Wish, head_start_ms: int = 0
) -> list[Event]:
    """Judge and move one update; a call-back with another channel is one as well."""
    now, name, old = door.now, door.ledger.ids[i], door.ledger.asks[i]
    assert old is not None
    numbers = door.core.interaction(i)
    state = InteractionState(numbers[0])
    if (state, InteractionMove.UPDATE) not in INTERACTION:
        return door.refuse(events, command, REFUSALS[state, InteractionMove.UPDATE], name)
    same = (wish.queues, wish.key[1], wish.key[2]) == (old.queues, old.channel, old.needs)
    ask = door.grant_turn(events, wish, i, room=not same, stays=door.ledger.standing(numbers))
    if isinstance(ask, tuple):
        return door.refuse(events, command, ask[0], name, ask[1])
    since = max(numbers[8] + old.head_start - ask.head_start - head_start_ms, -limits.TIME_MAX)
    reason = door.core.update(now, i, () if same else ask.classes, ask.tier, since)
    if reason:
        return door.refuse(events, command, reason, name, door.full_queue(ask.queues, i))
    door.ledger.asks[i] = ask
    return door.ledger.tell(events)


def _assign(door: Door, now: int, command: c.Assign) -> list[Event]:
    forms.text("interaction", command.interaction)
    forms.text("agent", command.agent)
    forms.flag("force", command.force)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    j = door.naming.agents.get(command.agent)
    if j is None:
        return door.refuse(events, command, Reason.UNKNOWN_AGENT, command.agent)
    reason = door.core.assign(now, i, j, int(command.force))
    return door.refuse(events, command, reason, command.interaction) if reason else door.ledger.tell(events)


def _occupy(door: Door, now: int, command: c.Occupy) -> list[Event]:
    """Work that was not routed stands in a class of its queue, so that it can be transferred or given back."""
    forms.text("agent", command.agent)
    forms.flag("force", command.force)
    door.checked_name(command.interaction, command.ref)
    wish = door.naming.wish(command.queue, command.channel, "", 0)
    events = door.begin(now)
    name, ledger = command.interaction, door.ledger
    problem = door.name_problem(name)
    if problem is not None:
        return door.refuse(events, command, problem[0], name, problem[1], command.ref)
    j = door.naming.agents.get(command.agent)
    if j is None:
        return door.refuse(events, command, Reason.UNKNOWN_AGENT, command.agent, "", command.ref)
    if door.core.agent(j)[0] == Presence.SIGNED_OUT:
        return door.refuse(events, command, Reason.SIGNED_OUT, name, "", command.ref)
    known = wish.queues[0] in door.naming.queues and door.is_open(command.channel)
    if known and not command.force and door.core.room_for(j, door.naming.channels[command.channel]):
        return door.refuse(events, command, Reason.NO_ROOM, name, "", command.ref)
    ask = door.grant_turn(events, wish, -1, room=False)
    if isinstance(ask, tuple):
        return door.refuse(events, command, ask[0], name, ask[1], command.ref)
    i = door.core.occupy(now, ask.classes[0], j, int(command.force))
    if i < 0:
        return door.refuse(events, command, -i, name, "", command.ref)
    ledger.enter(i, name, ask, command.ref, now)
    return ledger.tell(events)


def _belong(
    door: Door, events: list[Event], command: c.Consult | c.Assist, parent: int, kind: str, wanted: c.Enqueue
) -> int:
    """Enqueue what belongs to an interaction; its number, -1 where it is refused, which has been told."""
    ledger = door.ledger
    ties = list(wanted.binds)
    own = door.core.interaction(parent)[1]
    if own >= 0:
        ties = [bind for bind in ties if bind.agent != door.naming.agent_ids[own]]
    numbers = door.ties(ties)
    problem = door.name_problem(wanted.interaction)
    if problem is None and isinstance(numbers, str):
        problem = (int(Reason.UNKNOWN_AGENT), numbers)
    ask = None
    if problem is None:
        wish = door.naming.wish(wanted.queue, wanted.channel, wanted.needs, wanted.priority, wanted.labels)
        granted = door.grant_turn(events, wish, -1)
        problem, ask = (granted, None) if isinstance(granted, tuple) else (None, granted)
    if problem is not None or ask is None or isinstance(numbers, str):
        assert problem is not None
        door.refuse(events, command, problem[0], wanted.interaction, problem[1], wanted.ref)
        return -1
    if own >= 0:
        numbers.append((own, TieKind.FORBID, limits.UNTIL_GONE))
    child = door.core.enqueue(door.now, ask.classes, ask.tier, door.now - ask.head_start, numbers)
    if child < 0:
        detail = door.full_queue(ask.queues, -1)
        door.refuse(events, command, -child, wanted.interaction, detail, wanted.ref)
        return -1
    ledger.enter(child, wanted.interaction, ask, wanted.ref, door.now)
    ledger.link(child, parent, kind)
    ledger.tell(events)
    return child


def _consult(door: Door, now: int, command: c.Consult) -> list[Event]:
    """The consultation has the channel of its interaction, and is not offered to the one who asks."""
    forms.text("interaction", command.interaction)
    forms.flag("hold", command.hold)
    forms.binds(command.binds)
    if len(command.binds) == limits.TIES_MAX:
        raise limits.out_of_range("binds of a consultation", len(command.binds), 0, limits.TIES_MAX - 1)
    forms.integer("priority", command.priority, INTEGER_MIN, INTEGER_MAX)
    door.checked_name(command.consultation, command.ref)
    door.naming.wish(command.queue, "", command.needs, command.priority)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    state = InteractionState(door.core.interaction(i)[0])
    if state not in (InteractionState.CONNECTED, InteractionState.ON_HOLD):
        reason = REFUSALS.get((state, InteractionMove.HOLD), Reason.NOT_CONNECTED)
        return door.refuse(events, command, reason, command.interaction)
    ask = door.ledger.asks[i]
    assert ask is not None
    wanted = c.Enqueue(
        command.consultation,
        command.queue,
        ask.channel,
        command.needs,
        command.priority,
        0,
        command.ref,
        binds=command.binds,
    )
    child = _belong(door, events, command, i, "consultation", wanted)
    if child >= 0 and command.hold and state == InteractionState.CONNECTED:
        door.core.hold(now, i)
        door.ledger.tell(events)
    return events


def _assist(door: Door, now: int, command: c.Assist) -> list[Event]:
    """The customer keeps the place; the bot has the assistance in hand meanwhile."""
    forms.text("interaction", command.interaction)
    door.checked_name(command.assistance, command.ref)
    door.naming.wish(command.queue, command.channel or "", command.needs, 0)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    state = InteractionState(door.core.interaction(i)[0])
    if state not in ASIDE:
        return door.refuse(events, command, REFUSALS[state, InteractionMove.PARK], command.interaction)
    ask = door.ledger.asks[i]
    assert ask is not None
    channel = ask.channel if command.channel is None else command.channel
    wanted = c.Enqueue(command.assistance, command.queue, channel, command.needs, 0, 0, command.ref)
    _belong(door, events, command, i, "assistance", wanted)
    return events


def _take_over(door: Door, now: int, command: c.TakeOver) -> list[Event]:
    forms.text("consultation", command.consultation)
    events = door.begin(now)
    child = _find(door, events, command, command.consultation)
    if child is None:
        return events
    link = door.ledger.links.get(child)
    if link is None or link[1] != "consultation":
        return door.refuse(events, command, Reason.UNKNOWN_INTERACTION, command.consultation, "no consultation")
    mine, theirs = door.core.interaction(link[0]), door.core.interaction(child)
    if mine[1] == theirs[1] and mine[1] >= 0:
        return door.refuse(events, command, Reason.ALREADY_CONNECTED, command.consultation)
    reason = door.core.take_over(now, link[0], child)
    return door.refuse(events, command, reason, command.consultation) if reason else door.ledger.tell(events)


def _call_back(door: Door, now: int, command: c.CallBack) -> list[Event]:
    """Agent first it waits on, customer first it is parked and the door looks when its turn is near.

    What is parked until an instant is not called before.
    """
    forms.text("interaction", command.interaction)
    first = command.first
    if first not in ("agent", "customer"):
        raise MisuseError(f"first is {shown(first)}, allowed is agent, customer")
    forms.integer("ahead", command.ahead, 0, INTEGER_MAX)
    forms.integer("tries", command.tries, 1, TRIES_MAX)
    forms.integer("gap_ms", command.gap_ms, 1, limits.OPENS_MAX)
    wish = None if command.channel is None else _changed(door, command.interaction, channel=command.channel)
    events = door.begin(now)
    i = _find(door, events, command, command.interaction)
    if i is None:
        return events
    state = InteractionState(door.core.interaction(i)[0])
    if state not in ASIDE:
        return door.refuse(events, command, REFUSALS[state, InteractionMove.PARK], command.interaction)
    if wish is not None:
        _updated(door, events, command, i, wish)
        if isinstance(events[-1], Rejected) or door.ledger.ids[i] != command.interaction:
            return events
        state = InteractionState(door.core.interaction(i)[0])
        if state not in ASIDE:
            return events
    next_at = max(0, door.core.interaction(i)[5]) if state == InteractionState.PARKED else 0
    door.ledger.call_backs[i] = CallingBack(first, command.ahead, command.tries, command.gap_ms, next_at)
    door.core.call_back(now, i, command.gap_ms if first == "agent" else limits.CUSTOMER_FIRST)
    if first == "customer":
        door.need_looks(CALL_BACK_LOOK_MS)
        if state in _IN_QUEUE:
            door.core.park(now, i, -1)
        door.ledger.tell(events)
        _look_at(door, i, events)
    return events


def _look_at(door: Door, i: int, events: list[Event]) -> None:
    """Say so when the customer of a call-back is to be called. O(classes * log(waiting))."""
    calling = door.ledger.call_backs[i]
    if calling.first != "customer" or calling.called or door.now < calling.next_at:
        return
    numbers = door.core.interaction(i)
    position = door.core.position(i)
    if numbers[0] != InteractionState.PARKED or position - 1 > calling.ahead:
        return
    ledger = door.ledger
    ledger.call_backs[i] = msgspec.structs.replace(calling, called=True)
    queue = door.naming.class_names[numbers[6]].view.queue
    events.append(CallBackDue(ledger.next_seq(), door.now, ledger.ids[i], queue, position, ledger.refs[i]))


# What the door does by itself -----------------------------------------------------------------------------------------


def _end(door: Door, child: int, events: list[Event]) -> None:
    """What belongs to an interaction ends with it; a wrap-up goes on."""
    if child not in door.ledger.links:
        return
    state = InteractionState(door.core.interaction(child)[0])
    door.ledger.unlink(child)
    if (state, InteractionMove.LEAVE) in INTERACTION:
        take_out(door, child, "ended", events)
    elif state != InteractionState.WRAP_UP:
        door.core.release(door.now, child)
        door.ledger.tell(events)


def _missed_by_itself(door: Door, i: int, events: list[Event]) -> None:
    """The set-up of a call-back has failed, by command or by its deadline."""
    state = InteractionState(door.core.interaction(i)[0]) if door.ledger.ids[i] else InteractionState.GONE
    if i in door.ledger.call_backs and (state in ASIDE or state == InteractionState.ACCEPTING):
        _missed(door, i, events)


def _look(door: Door, i: int, events: list[Event]) -> None:
    """What is parked is a call-back that rings the customer first: his turn may be near."""
    if i in door.ledger.call_backs:
        _look_at(door, i, events)


def _estimates(door: Door, _: int, events: list[Event]) -> None:
    """The estimates' interval is over: estimate, and look at call-backs."""
    door.estimate(events)
    for i in list(door.ledger.call_backs):
        _look_at(door, i, events)


def _may_consult(door: Door, command: c.Consult) -> list[Wish]:
    """What a consultation may ask for, in the channel of its interaction."""
    number = door.ledger.numbers.get(command.interaction)
    ask = None if number is None else door.ledger.asks[number]
    return [] if ask is None else [door.naming.wish(command.queue, ask.channel, command.needs, command.priority)]


def _may_assist(door: Door, command: c.Assist) -> list[Wish]:
    """What an assistance may ask for, in its own channel or that of its interaction."""
    number = door.ledger.numbers.get(command.interaction)
    ask = None if number is None else door.ledger.asks[number]
    channel = command.channel or ("" if ask is None else ask.channel)
    return [door.naming.wish(command.queue, channel, command.needs, 0)]


WISHES.update(
    {
        c.Update: lambda door, command: [_checked_update(door, command)],
        c.Occupy: lambda door, command: [door.naming.wish(command.queue, command.channel, "", 0)],
        c.Consult: _may_consult,
        c.Assist: _may_assist,
        c.CallBack: lambda door, command: [_changed(door, command.interaction, channel=command.channel)],
    }
)
REACTIONS.update(end=_end, missed=_missed_by_itself, look=_look, estimates=_estimates)
HANDLERS.update(
    {
        c.Cancel: _cancel,
        c.Connect: _simple(lambda door, now, i: door.core.established(now, i)),
        c.FailSetup: _fail_setup,
        c.Hold: _simple(lambda door, now, i: door.core.hold(now, i)),
        c.Resume: _simple(lambda door, now, i: door.core.resume(now, i)),
        c.Park: _park,
        c.Activate: _activate,
        c.Update: _update,
        c.Assign: _assign,
        c.Occupy: _occupy,
        c.Consult: _consult,
        c.TakeOver: _take_over,
        c.Assist: _assist,
        c.CallBack: _call_back,
    }
)
