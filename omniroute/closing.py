"""Queues that close and open again while interactions wait in them."""

from __future__ import annotations

from contextlib import suppress

import attrs

from omniroute import commands as c
from omniroute import forms
from omniroute.core import limits
from omniroute.core.codes import Reason
from omniroute.core.lifecycle import InteractionState
from omniroute.door import HANDLERS, WISHES, Door
from omniroute.errors import MisuseError, RequirementError
from omniroute.events import CLOSED, OPEN, REASONS, Event, QueueClosed, QueueOpened
from omniroute.model import shown
from omniroute.naming import Ask, Wish
from omniroute.turns import ASIDE, take_out

__all__: list[str] = []


def _close_queue(door: Door, now: int, command: c.CloseQueue) -> list[Event]:
    """Close, then deal with what waits, in order; what cannot move stays and is told as refused."""
    forms.text("queue", command.queue)
    forms.text("to", command.to, empty=command.waiting != "move")
    if command.waiting not in ("keep", "cancel", "move"):
        raise MisuseError(f"waiting is {shown(command.waiting)}, allowed is keep, cancel, move")
    events = door.begin(now)
    naming, ledger = door.naming, door.ledger
    for queue in (command.queue, command.to) if command.waiting == "move" else (command.queue,):
        if queue not in naming.queues:
            return door.refuse(events, command, Reason.UNKNOWN_QUEUE, queue)
    if command.queue in ledger.closed or command.to in ledger.closed or command.to == command.queue:
        return door.refuse(events, command, REASONS.index(CLOSED), command.queue)
    door.core.advance(now)
    ledger.closed[command.queue] = None
    ledger.closes.pop(command.queue, None)
    events.append(QueueClosed(ledger.next_seq(), now, command.queue))
    for i in [] if command.waiting == "keep" else _waits_in(door, command.queue):
        if not ledger.ids[i] or door.core.interaction(i)[0] not in ASIDE:
            continue
        if any(queue != command.queue for queue in ledger.standing(door.core.interaction(i))):
            _leave_one(door, i, command, events)
        elif command.waiting == "cancel":
            take_out(door, i, "closed", events)
        else:
            _move(door, i, command, events)
    return events


def _waits_in(door: Door, queue: str) -> list[int]:
    """What waits, is on offer or is parked in a queue, in order. O(live)."""
    found = []
    for i, name in enumerate(door.ledger.ids):
        numbers = door.core.interaction(i) if name else (0,)
        if numbers[0] in ASIDE and queue in door.ledger.standing(numbers):
            found.append((numbers[7], numbers[8], i))
    return [i for *_, i in sorted(found)]


def _leave_one(door: Door, i: int, command: c.CloseQueue, events: list[Event]) -> None:
    """It waits elsewhere as well: only its entries in this queue go, or are from now on in the one that they move to.

    It stays where steps have led it in the others, and keeps its age.
    """
    ledger, names, numbers = door.ledger, door.naming.class_names, door.core.interaction(i)
    old = ledger.asks[i]
    assert old is not None
    kept = [k for k in numbers[6::3] if names[k].view.queue != command.queue]
    classes = kept
    if command.waiting == "move" and command.to not in {names[k].view.queue for k in kept}:
        ask = _granted(door, i, command, events)
        if ask is None:
            return
        found = (k if names[k].view.queue != command.queue else ask.classes[0] for k in numbers[6::3])
        classes = list(dict.fromkeys(found))
    tier = numbers[6 + 3 * numbers[6::3].index(kept[0]) + 1]
    reason = door.core.update(door.now, i, classes, tier, numbers[8])
    if reason:
        door.refuse(events, command, reason, ledger.ids[i], door.full_queue((command.to,), i))
        return
    queues = tuple(dict.fromkeys(names[k].view.queue for k in classes))
    ledger.asks[i] = attrs.evolve(old, queues=queues)
    ledger.tell(events)


def _move(door: Door, i: int, command: c.CloseQueue, events: list[Event]) -> None:
    """Move what waits to another queue, its age kept, and what is parked stays so."""
    ask = _granted(door, i, command, events)
    if ask is None:
        return
    numbers = door.core.interaction(i)
    change = door.core.update if numbers[0] == InteractionState.PARKED else door.core.transfer
    reason = change(door.now, i, ask.classes, ask.tier, numbers[8])
    if reason:
        door.refuse(events, command, reason, door.ledger.ids[i], door.full_queue(ask.queues, i))
        return
    door.ledger.asks[i] = ask
    door.ledger.tell(events)


def _granted(door: Door, i: int, command: c.CloseQueue, events: list[Event]) -> Ask | None:
    """What it needs in the queue to which it moves; None where that is refused, which has been told."""
    old, name = door.ledger.asks[i], door.ledger.ids[i]
    assert old is not None
    try:
        wish = door.naming.wish(command.to, old.channel, old.needs, old.priority, old.labels, old.lane)
    except RequirementError:
        door.refuse(events, command, Reason.LIMIT_REACHED, name, "the requirement, with what the queue asks")
        return None
    ask = door.grant_turn(events, wish, i)
    if isinstance(ask, tuple):
        door.refuse(events, command, ask[0], name, ask[1])
        return None
    return ask


def _open_queue(door: Door, now: int, command: c.OpenQueue) -> list[Event]:
    """Open, or hear when it will close: an open queue that hears nothing new has to be closed first."""
    forms.text("queue", command.queue)
    if command.until is not None:
        forms.integer("until", command.until, 0, limits.TIME_MAX)
    events, ledger = door.begin(now), door.ledger
    if command.queue not in door.naming.queues:
        return door.refuse(events, command, Reason.UNKNOWN_QUEUE, command.queue)
    if command.queue not in ledger.closed and command.until in (None, ledger.closes.get(command.queue)):
        return door.refuse(events, command, REASONS.index(OPEN), command.queue)
    door.core.advance(now)
    ledger.closed.pop(command.queue, None)
    if command.until is not None:
        ledger.closes[command.queue] = command.until
    events.append(QueueOpened(ledger.next_seq(), now, command.queue, command.until))
    return events


def _may_move(door: Door, command: c.CloseQueue) -> list[Wish]:
    """What the closing of a queue may ask for: all that live in it, in the queue that they move to."""
    queues = door.naming.queues
    if command.waiting != "move" or command.queue not in queues or command.to not in queues:
        return []
    found = []
    for ask in door.ledger.asks:
        if ask is not None:
            with suppress(RequirementError):
                found.append(door.naming.wish(command.to, ask.channel, ask.needs, ask.priority, ask.labels, ask.lane))
    return found


WISHES[c.CloseQueue] = _may_move
HANDLERS.update({c.CloseQueue: _close_queue, c.OpenQueue: _open_queue})
