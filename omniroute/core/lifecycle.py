"""The life cycles of presence, offers and interactions, as tables.

A missing cell is a refusal: :data:`REFUSALS` names it. Both cores obey these tables, the documentation's
diagrams are drawn from them, and nothing else in omniroute decides whether a transition is legal.
"""

from __future__ import annotations

from enum import IntEnum

from omniroute.core.codes import Reason

__all__ = [
    "INTERACTION",
    "OFFER",
    "PRESENCE",
    "REFUSALS",
    "InteractionMove",
    "InteractionState",
    "OfferMove",
    "OfferState",
    "Presence",
    "PresenceMove",
    "mermaid",
]


class Presence(IntEnum):
    """What the agent says of himself."""

    SIGNED_OUT = 0
    READY = 1
    NOT_READY = 2
    DRAINING = 3


class PresenceMove(IntEnum):
    """What can change a presence; ``NO_ANSWER`` is an expired offer, ``EMPTY`` the last work of a draining agent."""

    SIGN_IN = 0
    SIGN_IN_NOT_READY = 1
    SET_READY = 2
    SET_NOT_READY = 3
    DRAIN = 4
    SIGN_OUT = 5
    NO_ANSWER = 6
    EMPTY = 7


class InteractionState(IntEnum):
    """Where a live interaction is; ``GONE`` is left the moment it is entered, and its number is free again."""

    GONE = 0
    WAITING = 1
    OFFERED = 2
    CONNECTED = 3
    WRAP_UP = 4


class InteractionMove(IntEnum):
    """What can happen to an interaction; ``UNOFFER`` is the end of its last live offer."""

    OFFER = 0
    UNOFFER = 1
    CONNECT = 2
    LEAVE = 3
    FINISH = 4
    RELEASE = 5
    REQUEUE = 6
    TRANSFER = 7


class OfferState(IntEnum):
    """An offer is live or has met one of its four ends."""

    LIVE = 0
    ACCEPTED = 1
    DECLINED = 2
    EXPIRED = 3
    WITHDRAWN = 4


class OfferMove(IntEnum):
    """The four ways to end an offer."""

    ACCEPT = 0
    DECLINE = 1
    EXPIRE = 2
    WITHDRAW = 3


_P, _PM = Presence, PresenceMove
_I, _IM = InteractionState, InteractionMove
_O, _OM = OfferState, OfferMove

PRESENCE: dict[tuple[Presence, PresenceMove], Presence] = {
    (_P.SIGNED_OUT, _PM.SIGN_IN): _P.READY,
    (_P.SIGNED_OUT, _PM.SIGN_IN_NOT_READY): _P.NOT_READY,
    (_P.READY, _PM.SET_NOT_READY): _P.NOT_READY,
    (_P.READY, _PM.DRAIN): _P.DRAINING,
    (_P.READY, _PM.SIGN_OUT): _P.SIGNED_OUT,
    (_P.READY, _PM.NO_ANSWER): _P.NOT_READY,
    (_P.NOT_READY, _PM.SET_READY): _P.READY,
    (_P.NOT_READY, _PM.DRAIN): _P.DRAINING,
    (_P.NOT_READY, _PM.SIGN_OUT): _P.SIGNED_OUT,
    (_P.DRAINING, _PM.SET_READY): _P.READY,
    (_P.DRAINING, _PM.SET_NOT_READY): _P.NOT_READY,
    (_P.DRAINING, _PM.EMPTY): _P.SIGNED_OUT,
}
"""Presence: (state, move) -> state. An agent who signs out with work in hand drains first."""

INTERACTION: dict[tuple[InteractionState, InteractionMove], InteractionState] = {
    (_I.WAITING, _IM.OFFER): _I.OFFERED,
    (_I.WAITING, _IM.LEAVE): _I.GONE,
    (_I.WAITING, _IM.TRANSFER): _I.WAITING,
    (_I.OFFERED, _IM.OFFER): _I.OFFERED,
    (_I.OFFERED, _IM.UNOFFER): _I.WAITING,
    (_I.OFFERED, _IM.CONNECT): _I.CONNECTED,
    (_I.OFFERED, _IM.LEAVE): _I.GONE,
    (_I.OFFERED, _IM.TRANSFER): _I.WAITING,
    (_I.CONNECTED, _IM.FINISH): _I.WRAP_UP,
    (_I.CONNECTED, _IM.RELEASE): _I.GONE,
    (_I.CONNECTED, _IM.REQUEUE): _I.WAITING,
    (_I.CONNECTED, _IM.TRANSFER): _I.WAITING,
    (_I.WRAP_UP, _IM.RELEASE): _I.GONE,
}
"""Interaction: (state, move) -> state."""

OFFER: dict[tuple[OfferState, OfferMove], OfferState] = {
    (_O.LIVE, _OM.ACCEPT): _O.ACCEPTED,
    (_O.LIVE, _OM.DECLINE): _O.DECLINED,
    (_O.LIVE, _OM.EXPIRE): _O.EXPIRED,
    (_O.LIVE, _OM.WITHDRAW): _O.WITHDRAWN,
}
"""Offer: (state, move) -> state."""

REFUSALS: dict[tuple[InteractionState, InteractionMove], Reason] = {
    (_I.WAITING, _IM.FINISH): Reason.NOT_CONNECTED,
    (_I.WAITING, _IM.RELEASE): Reason.NOT_CONNECTED,
    (_I.WAITING, _IM.REQUEUE): Reason.ALREADY_WAITING,
    (_I.OFFERED, _IM.FINISH): Reason.NOT_CONNECTED,
    (_I.OFFERED, _IM.RELEASE): Reason.NOT_CONNECTED,
    (_I.OFFERED, _IM.REQUEUE): Reason.ALREADY_WAITING,
    (_I.CONNECTED, _IM.LEAVE): Reason.ALREADY_CONNECTED,
    (_I.WRAP_UP, _IM.LEAVE): Reason.IN_WRAP_UP,
    (_I.WRAP_UP, _IM.FINISH): Reason.IN_WRAP_UP,
    (_I.WRAP_UP, _IM.REQUEUE): Reason.IN_WRAP_UP,
    (_I.WRAP_UP, _IM.TRANSFER): Reason.IN_WRAP_UP,
}
"""The missing cells of :data:`INTERACTION` that a command can reach, and what the refusal is called."""


def presence_refusal(presence: Presence, move: PresenceMove) -> Reason:
    """Name the refusal of a missing cell of :data:`PRESENCE`. O(1)."""
    if move in (PresenceMove.SIGN_IN, PresenceMove.SIGN_IN_NOT_READY):
        return Reason.ALREADY_SIGNED_IN
    if presence == Presence.SIGNED_OUT:
        return Reason.SIGNED_OUT
    return Reason.SAME_PRESENCE


def mermaid(table: dict[tuple[IntEnum, IntEnum], IntEnum]) -> str:
    """Draw a life-cycle table as a Mermaid state diagram, one line for each cell. O(cells)."""
    lines = ["stateDiagram-v2"]
    for (state, move), after in table.items():
        lines.append(f"    {state.name.lower()} --> {after.name.lower()}: {move.name.lower().replace('_', ' ')}")
    return "\n".join(lines)
