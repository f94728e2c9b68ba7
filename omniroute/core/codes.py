"""The integers that the core and the door exchange, by name."""

from __future__ import annotations

from enum import IntEnum


class EventKind(IntEnum):
    """The integer events of the core: ``(kind, at, interaction, agent, x, y)``; -1 where a field has no meaning."""

    QUEUED = 0  # x queue, y tier
    OFFERED = 1  # x offer, y due (-1: no expiry)
    DECLINED = 2  # x offer, y cause
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
    ACCEPTED = 15  # x offer, y end of the set-up; connected follows, or failed
    SETUP_FAILED = 16  # x queue, y real wait
    HELD = 17
    RESUMED = 18  # from hold, or from an interruption
    INTERRUPTED = 19  # x the interaction that interrupts
    PARKED = 20  # x queue, y when it activates (-1: by command)
    CANCELLED = 21  # x queue, y real wait
    UPDATED = 22  # x queue, y tier
    TAKEN_OVER = 23  # agent who has it now; x agent who had it
    RESTING = 24  # x cause, y until
    ALL_DECLINED = 25  # x queue, y real wait
    ESTIMATES_DUE = 26


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
    NO_ROOM = 18
    ACCEPTING = 19
    NOT_ACCEPTING = 20
    ON_HOLD = 21
    NOT_ON_HOLD = 22
    INTERRUPTED = 23
    PARKED = 24
    NOT_PARKED = 25


class PresenceReason(IntEnum):
    """Why a presence changed: somebody said so, a draining agent ran empty, or a cause came too often in a row."""

    ASKED = 0
    NO_ANSWER = 1
    EMPTY = 2
    DECLINED = 3
    BUSY = 4
    UNREACHABLE = 5


class Cause(IntEnum):
    """Why an offer came to nothing, and what an agent rests for."""

    NO_ANSWER = 0
    DECLINED = 1
    BUSY = 2
    UNREACHABLE = 3
    BURST = 4  # a rest only: so many offers in so short a time
    OCCUPIED = 5  # a rest only: a greater share of his time with something in hand than his group's cap


class TieKind(IntEnum):
    """What binds one interaction and one agent; ``ANY`` ignores the requirement and the opening delay."""

    FORBID = 0
    PREFER = 1
    PREFER_ANY = 2
    ONLY = 3
    ONLY_ANY = 4


class GaugeKind(IntEnum):
    """What a condition compares with its threshold."""

    LENGTH = 0  # entries that wait in a queue
    STAFFED = 1  # agents signed in, of those for whom a program holds
    IDLE = 2  # ready agents with nothing in hand
    AVAILABLE = 3  # agents with room for one more of a channel
    GIVEN = 4  # a number that is set from outside: an estimate


class AgentKey(IntEnum):
    """What orders agents that are otherwise equal; least first, ties by the instant of the last change."""

    LONGEST_IDLE = 0  # since the last accept, release or turning ready
    FEWEST_HANDLED = 1  # of late
    LEAST_LOADED = 2  # units in use
    FIXED_ORDER = 3
    ROUND_ROBIN = 4  # since the last offer
    LOAD_RATIO = 5  # units in use of those that there are
    MOST_SPARE = 6  # units not in use
    FEWEST_IN_HAND = 7  # interactions, those on offer included
    LONGEST_READY = 8
    LONGEST_SINCE_ACCEPT = 9
    LONGEST_SINCE_CONVERSATION = 10  # since it ended
    LONGEST_SINCE_HANDLED = 11  # since the last accept or end of a conversation
    LONGEST_SINCE_RELEASE = 12
    LEAST_TALK_TIME = 13  # of late
    LEAST_OCCUPIED = 14  # of late
    WEIGHTED_RANDOM = 15
    LATEST_BREAK = 16  # of those who are free, whose last break ended latest
    BEHIND_SHARE = 17  # whose time in conversation through the queue is farthest below his share for it
    FEWEST_HANDLED_IN_QUEUE = 18  # of late
    ROUND_ROBIN_IN_QUEUE = 19  # since the last offer through the queue
    LONGEST_SINCE_CONVERSATION_IN_QUEUE = 20  # since the last one through the queue ended


WATCHED = frozenset(
    {
        AgentKey.FEWEST_HANDLED_IN_QUEUE,
        AgentKey.ROUND_ROBIN_IN_QUEUE,
        AgentKey.LONGEST_SINCE_CONVERSATION_IN_QUEUE,
    }
)
"""The keys for which a core keeps what its agents did for the queue of a class."""
OF_A_QUEUE = WATCHED | {AgentKey.BEHIND_SHARE}
"""The keys that stand for another number in each queue."""


LOOKS_BACK = frozenset(
    {
        AgentKey.FEWEST_HANDLED,
        AgentKey.LONGEST_READY,
        AgentKey.LONGEST_SINCE_ACCEPT,
        AgentKey.LONGEST_SINCE_CONVERSATION,
        AgentKey.LONGEST_SINCE_HANDLED,
        AgentKey.LONGEST_SINCE_RELEASE,
        AgentKey.LEAST_TALK_TIME,
        AgentKey.LEAST_OCCUPIED,
        AgentKey.LATEST_BREAK,
        *WATCHED,
    }
)
"""The keys for which a core keeps what its agents did; it begins with the first class that has one of them."""


class DeadlineKind(IntEnum):
    """Ties of due times fire in this order."""

    EDGE = 0  # so little time is left to an agent's obligation; first, so that from then on he gets nothing else
    WRAP_UP_END = 1
    SETUP_END = 2
    OFFER_EXPIRY = 3
    TIE_END = 4
    REST_END = 5
    ACTIVATION = 6
    WINDOW = 7
    STEP = 8
    OPENING = 9
    CONTROL = 10
    ESTIMATES = 11
    FURTHER_OFFER = 12


class Clause(IntEnum):
    """The clauses of *eligible*; each names what makes it false. The reference core says in which order it looks."""

    NOT_READY = 1  # ends with the agent's presence
    NO_ROOM = 2  # ends when the agent releases something
    NOT_ALLOWED = 3  # ends with a step, another plan, other skills
    NOT_YET_OPEN = 4  # ends at the opening deadline
    EXCLUDED = 5  # ends with the exclusion's deadline, a sign-in or a requeue
    ALREADY_OFFERED = 6  # ends with that offer
    OFFERS_FULL = 7  # ends with one of the interaction's live offers
    RESTING = 8  # ends at the rest's deadline
    RESERVED = 9  # it is for other agents only: ends with that tie's deadline, or when they sign out
    CONDITION = 10  # ends when the condition of the pair flips
    IN_WINDOW = 11  # a decision window holds the pair: ends at the window's deadline
