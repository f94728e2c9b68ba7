"""The life cycles of presence, offers and interactions, as tables.

A missing cell is a refusal: :data:`REFUSALS` names it. Both cores obey these tables, the documentation's
diagrams are drawn from them, and nothing else in omniroute decides whether a transition is legal.
"""

from __future__ import annotations

from enum import IntEnum

from omniroute.core.codes import Reason

__all__ = [
    "COMMANDED",
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
    ACCEPTING = 5
    ON_HOLD = 6
    INTERRUPTED = 7
    PARKED = 8


class InteractionMove(IntEnum):
    """What can happen to an interaction.

    ``UNOFFER`` is the end of its last live offer, ``ACCEPT`` begins a set-up and ``FAIL`` ends it in vain, ``CONTINUE``
    ends an interruption, ``TAKE_OVER`` gives it to the agent of another one.
    """

    OFFER = 0
    UNOFFER = 1
    CONNECT = 2
    LEAVE = 3
    FINISH = 4
    RELEASE = 5
    REQUEUE = 6
    TRANSFER = 7
    ACCEPT = 8
    FAIL = 9
    HOLD = 10
    RESUME = 11
    INTERRUPT = 12
    CONTINUE = 13
    PARK = 14
    ACTIVATE = 15
    ASSIGN = 16
    UPDATE = 17
    TAKE_OVER = 18


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
    (_I.WAITING, _IM.PARK): _I.PARKED,
    (_I.WAITING, _IM.ASSIGN): _I.CONNECTED,
    (_I.WAITING, _IM.UPDATE): _I.WAITING,
    (_I.OFFERED, _IM.OFFER): _I.OFFERED,
    (_I.OFFERED, _IM.UNOFFER): _I.WAITING,
    (_I.OFFERED, _IM.CONNECT): _I.CONNECTED,
    (_I.OFFERED, _IM.ACCEPT): _I.ACCEPTING,
    (_I.OFFERED, _IM.LEAVE): _I.GONE,
    (_I.OFFERED, _IM.TRANSFER): _I.WAITING,
    (_I.OFFERED, _IM.PARK): _I.PARKED,
    (_I.OFFERED, _IM.ASSIGN): _I.CONNECTED,
    (_I.OFFERED, _IM.UPDATE): _I.OFFERED,
    (_I.ACCEPTING, _IM.CONNECT): _I.CONNECTED,
    (_I.ACCEPTING, _IM.FAIL): _I.WAITING,
    (_I.ACCEPTING, _IM.LEAVE): _I.GONE,
    (_I.CONNECTED, _IM.FINISH): _I.WRAP_UP,
    (_I.CONNECTED, _IM.RELEASE): _I.GONE,
    (_I.CONNECTED, _IM.REQUEUE): _I.WAITING,
    (_I.CONNECTED, _IM.TRANSFER): _I.WAITING,
    (_I.CONNECTED, _IM.HOLD): _I.ON_HOLD,
    (_I.CONNECTED, _IM.INTERRUPT): _I.INTERRUPTED,
    (_I.CONNECTED, _IM.TAKE_OVER): _I.CONNECTED,
    (_I.ON_HOLD, _IM.FINISH): _I.WRAP_UP,
    (_I.ON_HOLD, _IM.RELEASE): _I.GONE,
    (_I.ON_HOLD, _IM.REQUEUE): _I.WAITING,
    (_I.ON_HOLD, _IM.TRANSFER): _I.WAITING,
    (_I.ON_HOLD, _IM.RESUME): _I.CONNECTED,
    (_I.ON_HOLD, _IM.TAKE_OVER): _I.CONNECTED,
    (_I.INTERRUPTED, _IM.FINISH): _I.WRAP_UP,
    (_I.INTERRUPTED, _IM.RELEASE): _I.GONE,
    (_I.INTERRUPTED, _IM.REQUEUE): _I.WAITING,
    (_I.INTERRUPTED, _IM.TRANSFER): _I.WAITING,
    (_I.INTERRUPTED, _IM.CONTINUE): _I.CONNECTED,
    (_I.INTERRUPTED, _IM.TAKE_OVER): _I.CONNECTED,
    (_I.WRAP_UP, _IM.RELEASE): _I.GONE,
    (_I.PARKED, _IM.ACTIVATE): _I.WAITING,
    (_I.PARKED, _IM.LEAVE): _I.GONE,
    (_I.PARKED, _IM.TRANSFER): _I.WAITING,
    (_I.PARKED, _IM.ASSIGN): _I.CONNECTED,
    (_I.PARKED, _IM.UPDATE): _I.PARKED,
}
"""Interaction: (state, move) -> state."""

OFFER: dict[tuple[OfferState, OfferMove], OfferState] = {
    (_O.LIVE, _OM.ACCEPT): _O.ACCEPTED,
    (_O.LIVE, _OM.DECLINE): _O.DECLINED,
    (_O.LIVE, _OM.EXPIRE): _O.EXPIRED,
    (_O.LIVE, _OM.WITHDRAW): _O.WITHDRAWN,
}
"""Offer: (state, move) -> state."""

COMMANDED = (
    _IM.LEAVE,
    _IM.FINISH,
    _IM.RELEASE,
    _IM.REQUEUE,
    _IM.TRANSFER,
    _IM.CONNECT,
    _IM.FAIL,
    _IM.HOLD,
    _IM.RESUME,
    _IM.PARK,
    _IM.ACTIVATE,
    _IM.ASSIGN,
    _IM.UPDATE,
    _IM.TAKE_OVER,
)
"""The moves of an interaction that a command asks for by the interaction's name."""


def _refusal(state: InteractionState, move: InteractionMove) -> Reason:
    """Name the refusal of a missing cell: first what the move needs, then what the state is."""
    if move in (_IM.CONNECT, _IM.FAIL):
        return Reason.NOT_ACCEPTING
    if move == _IM.RESUME:
        return Reason.INTERRUPTED if state == _I.INTERRUPTED else Reason.NOT_ON_HOLD
    if move == _IM.ACTIVATE:
        return Reason.NOT_PARKED
    in_queue = state in (_I.WAITING, _I.OFFERED)
    if move == _IM.REQUEUE and in_queue:
        return Reason.ALREADY_WAITING
    if in_queue:
        return Reason.NOT_CONNECTED
    named = {
        _I.CONNECTED: Reason.ALREADY_CONNECTED,
        _I.WRAP_UP: Reason.IN_WRAP_UP,
        _I.ACCEPTING: Reason.ACCEPTING,
        _I.ON_HOLD: Reason.ON_HOLD,
        _I.INTERRUPTED: Reason.INTERRUPTED,
        _I.PARKED: Reason.PARKED,
    }
    return named[state]


REFUSALS: dict[tuple[InteractionState, InteractionMove], Reason] = {
    (state, move): _refusal(state, move)
    for state in _I
    for move in COMMANDED
    if state != _I.GONE and (state, move) not in INTERACTION
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
