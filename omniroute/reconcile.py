"""After a pause: bringing together what the host knows and what the router does, and time for who was not heard."""

from __future__ import annotations

from omniroute import commands as c
from omniroute import forms
from omniroute.core.lifecycle import INTERACTION, InteractionMove, InteractionState, Presence, PresenceMove
from omniroute.core.limits import OPENS_MAX
from omniroute.door import HANDLERS, Door
from omniroute.events import Event, Extended, Reconciled

__all__: list[str] = []


def _reconcile(door: Door, now: int, command: c.Reconcile) -> list[Event]:
    wanted, alive = forms.reconcile(command)
    events = door.begin(now)
    door.core.advance(now)
    naming, ledger = door.naming, door.ledger
    ledger.said = ""
    ready: list[int] = []
    for j, name in enumerate(naming.agent_ids):
        if _follow(door, j, wanted.get(name, "signed_out")):
            ready.append(j)
        ledger.tell(events)
    for i, name in enumerate(ledger.ids.copy()):
        if name and name not in alive and name in ledger.numbers:
            waits = (InteractionState(door.core.interaction(i)[0]), InteractionMove.LEAVE) in INTERACTION
            (door.core.leave if waits else door.core.release)(now, i)
            ledger.tell(events)
    for j in ready:
        door.core.set_presence(now, j, PresenceMove.SET_READY)
        ledger.tell(events)
    agents = tuple(sorted(name for name in wanted if name not in naming.agents))
    unknown = tuple(name for name in command.interactions if name not in ledger.numbers)
    events.append(Reconciled(ledger.next_seq(), now, agents, unknown))
    return events


def _follow(door: Door, j: int, wanted: str) -> bool:
    """Bring an agent to what the host says; ready comes last of all, and is only said here."""
    presence = door.core.agent(j)[0]
    if wanted == "signed_out":
        if presence not in (Presence.SIGNED_OUT, Presence.DRAINING):
            door.core.set_presence(door.now, j, PresenceMove.SIGN_OUT)
        return False
    if presence == Presence.SIGNED_OUT:
        door.core.set_presence(door.now, j, PresenceMove.SIGN_IN_NOT_READY)
        presence = Presence.NOT_READY
    if wanted != "ready" and Presence[wanted.upper()] != presence:
        door.core.set_presence(door.now, j, forms.MOVES[wanted])
    return wanted == "ready" and presence != Presence.READY


def _extend(door: Door, now: int, command: c.Extend) -> list[Event]:
    forms.integer("by_ms", command.by_ms, 1, OPENS_MAX)
    events = door.begin(now)
    door.core.advance(now)
    count = door.core.extend(now, command.by_ms)
    ledger = door.ledger
    for offer, (i, j, due) in ledger.offers.items():
        if due >= 0:
            ledger.offers[offer] = (i, j, due + command.by_ms)
    events.append(Extended(ledger.next_seq(), now, command.by_ms, count))
    return events


HANDLERS.update({c.Reconcile: _reconcile, c.Extend: _extend})
