"""Bringing two views together: what the host knows after a restart, and what the router does."""

from __future__ import annotations

from omniroute import commands as c
from omniroute import forms
from omniroute.core.lifecycle import INTERACTION, InteractionMove, InteractionState, Presence, PresenceMove
from omniroute.door import HANDLERS, Door
from omniroute.events import Event, Reconciled

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


HANDLERS[c.Reconcile] = _reconcile
