"""The integers that the core and the door exchange, by name."""

from __future__ import annotations

from enum import IntEnum


class EventKind(IntEnum):
    """The integer events of the core: ``(kind, at, interaction, agent, x, y)``; -1 where a field has no meaning."""

    QUEUED = 0  # x queue, y tier
    OFFERED = 1  # x offer, y due (-1: no expiry)
    DECLINED = 2  # x offer
    EXPIRED = 3  # x offer
    WITHDRAWN = 4  # x offer
    CONNECTED = 5  # x offer, y real wait
    STEPPED = 6  # x class, y real wait
    ABANDONED = 7  # x queue, y real wait
    FINISHED = 8  # x handling time so far, y end of the wrap-up (-1: until released)
    RELEASED = 9  # x 0
    REQUEUED = 10  # x queue, y real wait
    TRANSFERRED = 11  # x queue, y real wait
    PRESENCE = 12  # x presence, y reason
    UNMATCHED = 13  # x class
    REVISION_DUE = 14  # x queue, y version


class Reason(IntEnum):
    """Why a command was refused."""

    UNKNOWN_INTERACTION = 1
    DUPLICATE_INTERACTION = 2
    UNKNOWN_AGENT = 3
    UNKNOWN_QUEUE = 4
    UNKNOWN_CHANNEL = 5
    UNKNOWN_OFFER = 6
    OFFER_ENDED = 7
    QUEUE_FULL = 8
    LIMIT_REACHED = 9
    NOT_CONNECTED = 10
    ALREADY_CONNECTED = 11
    ALREADY_WAITING = 12
    IN_WRAP_UP = 13
    SIGNED_OUT = 14
    ALREADY_SIGNED_IN = 15
    SAME_PRESENCE = 16
    STALE_VERSION = 17


class PresenceReason(IntEnum):
    """Why a presence changed: somebody said so, an offer was not answered, or a draining agent ran empty."""

    ASKED = 0
    NO_ANSWER = 1
    EMPTY = 2


class AgentKey(IntEnum):
    """What orders agents that are otherwise equal; least first, ties by the instant of the last change."""

    LONGEST_IDLE = 0
    FEWEST_HANDLED = 1
    LEAST_LOADED = 2
    FIXED_ORDER = 3
    ROUND_ROBIN = 4


class DeadlineKind(IntEnum):
    """Ties of due times fire in this order."""

    WRAP_UP_END = 0
    OFFER_EXPIRY = 1
    EXCLUSION_END = 2
    STEP = 3
    OPENING = 4
    CONTROL = 5


class Clause(IntEnum):
    """The clauses of *eligible*, in the order in which they are looked at; each names what makes it false."""

    NOT_READY = 1  # ends with the agent's presence
    NO_ROOM = 2  # ends when the agent releases something
    NOT_ALLOWED = 3  # ends with a step, another plan, other skills
    NOT_YET_OPEN = 4  # ends at the opening deadline
    EXCLUDED = 5  # ends with the exclusion's deadline, a sign-in or a requeue
    ALREADY_OFFERED = 6  # ends with that offer
    OFFERS_FULL = 7  # ends with one of the interaction's live offers
