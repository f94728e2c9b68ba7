"""Events: what has happened, in the past tense.

Each begins with ``seq``, which counts from 1 without a gap, and ``at``, the instant in milliseconds at which it
happened, not at which somebody noticed. ``ref`` is what the host attached to the interaction. Instants and durations
are integer milliseconds. Fields are only ever appended.
"""

from typing import Final, TypeAlias

import msgspec

from omniroute.core.codes import Cause, PresenceReason, Reason
from omniroute.core.lifecycle import Presence

__all__ = [
    "CAUSES",
    "CLOSED",
    "IN_USE",
    "OPEN",
    "PRESENCES",
    "REASONS",
    "REST_CAUSES",
    "UNKNOWN_LABEL",
    "Abandoned",
    "Accepted",
    "AgentUpdated",
    "AllDeclined",
    "CallBackDue",
    "CallBackFailed",
    "Cancelled",
    "Classified",
    "Connected",
    "Event",
    "Extended",
    "Finished",
    "Held",
    "Interrupted",
    "JourneyClosed",
    "ObligationSet",
    "OfferDeclined",
    "OfferExpired",
    "OfferWithdrawn",
    "Offered",
    "Parked",
    "PlanChanged",
    "PresenceChanged",
    "QueueClosed",
    "QueueOpened",
    "Queued",
    "Reconciled",
    "Rejected",
    "Released",
    "Requeued",
    "Resting",
    "Resumed",
    "Revised",
    "RevisionDue",
    "SetupFailed",
    "StepTaken",
    "StrategyFailed",
    "TakenOver",
    "Transferred",
    "Unmatched",
    "Updated",
    "decode",
    "encode",
]

Ref: TypeAlias = str | int | None

PRESENCES: Final = tuple(presence.name.lower() for presence in Presence)
"""Presences by the number of the core."""

CAUSES: Final = tuple(cause.name.lower() for cause in PresenceReason)
"""Why a presence changed, by the number of the core: somebody asked, an offer was not answered, he ran empty."""

REST_CAUSES: Final = tuple(cause.name.lower() for cause in Cause)
"""Why an offer came to nothing, or an agent rests, by the number of the core."""

IN_USE: Final = "in_use"
"""The reason of a plan that would take away what live interactions stand on."""

CLOSED: Final = "queue_closed"
"""The reason of an arrival at a queue that is closed."""

OPEN: Final = "queue_open"
"""The reason of the opening of a queue that is open."""

UNKNOWN_LABEL: Final = "unknown_label"
"""The reason of an agent's card with a limit for a label that no plan ever had."""

REASONS: Final = ("", *(reason.name.lower() for reason in Reason), IN_USE, CLOSED, OPEN, UNKNOWN_LABEL)
"""Why a command was refused, by the number of the core; the last four are the door's own."""


class Queued(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An interaction waits; ``queue`` is the first of its queues, ``kept_ms`` the wait of a place that was kept."""

    seq: int
    at: int
    interaction: str
    queue: str
    tier: int
    ref: Ref = None
    kept_ms: int = 0


class Offered(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An interaction is offered to an agent, until ``due`` (None: until it is answered)."""

    seq: int
    at: int
    interaction: str
    agent: str
    offer: int
    due: int | None
    ref: Ref = None


class OfferDeclined(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """It came to nothing on the agent's side, for ``cause``, one of REST_CAUSES; he is not asked again for a while."""

    seq: int
    at: int
    interaction: str
    agent: str
    offer: int
    ref: Ref = None
    cause: str = "declined"


class OfferExpired(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent did not answer; he rests or turns not ready, the interaction keeps its place."""

    seq: int
    at: int
    interaction: str
    agent: str
    offer: int
    ref: Ref = None


class OfferWithdrawn(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The offer is void: another agent accepted, the customer left, or the agent is no longer ready."""

    seq: int
    at: int
    interaction: str
    agent: str
    offer: int
    ref: Ref = None


class Connected(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Together; ``wait_ms`` is what the customer lived through in queues, ``gross_ms`` the time since he came.

    ``offer`` -1: it was assigned, not offered.
    """

    seq: int
    at: int
    interaction: str
    agent: str
    offer: int
    wait_ms: int
    ref: Ref = None
    gross_ms: int = 0


class StepTaken(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A step (from 1) was taken; ``say`` is an announcement, ``offer`` what the host may offer the customer."""

    seq: int
    at: int
    interaction: str
    queue: str
    step: int
    wait_ms: int
    ref: Ref = None
    say: str = ""
    offer: str = ""


class Abandoned(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The customer left while waiting."""

    seq: int
    at: int
    interaction: str
    queue: str
    wait_ms: int
    ref: Ref = None


class Finished(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The conversation is over; wrap-up holds the capacity until ``wrap_up_due`` (None: until Release)."""

    seq: int
    at: int
    interaction: str
    agent: str
    handle_ms: int
    wrap_up_due: int | None
    ref: Ref = None


class Released(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent's capacity is free again; the interaction is over."""

    seq: int
    at: int
    interaction: str
    agent: str
    ref: Ref = None


class Requeued(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent gave it back; it waits in its old place."""

    seq: int
    at: int
    interaction: str
    agent: str
    queue: str
    wait_ms: int
    ref: Ref = None


class Transferred(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """It waits in another queue; ``agent`` had it (None: it was waiting)."""

    seq: int
    at: int
    interaction: str
    agent: str | None
    queue: str
    wait_ms: int
    ref: Ref = None


class Unmatched(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """No agent known could ever take it, now or after its steps, signed in or not."""

    seq: int
    at: int
    interaction: str
    queue: str
    requirement: str
    ref: Ref = None


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent took it and the set-up has begun, until ``due``; Connected follows, or SetupFailed."""

    seq: int
    at: int
    interaction: str
    agent: str
    offer: int
    due: int
    ref: Ref = None


class SetupFailed(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Customer and agent were not brought together, which is not the agent's fault; it is back in its place."""

    seq: int
    at: int
    interaction: str
    agent: str
    queue: str
    wait_ms: int
    ref: Ref = None


class Held(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent put the customer on hold; the handling time goes on."""

    seq: int
    at: int
    interaction: str
    agent: str
    ref: Ref = None


class Interrupted(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent was connected to ``by``, to which this one gives way; its handling time stands still."""

    seq: int
    at: int
    interaction: str
    agent: str
    by: str
    ref: Ref = None


class Resumed(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Agent and customer go on, after a hold or an interruption."""

    seq: int
    at: int
    interaction: str
    agent: str
    ref: Ref = None


class Parked(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Put aside with its place in the order, until ``due`` (None: until a command activates it); Queued follows."""

    seq: int
    at: int
    interaction: str
    queue: str
    due: int | None
    ref: Ref = None


class Updated(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What it needs, or its place, is another one."""

    seq: int
    at: int
    interaction: str
    queue: str
    tier: int
    ref: Ref = None


class TakenOver(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """``agent`` has it now, without a new offer; ``previous`` had it."""

    seq: int
    at: int
    interaction: str
    agent: str
    previous: str
    ref: Ref = None


class Cancelled(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """It was taken out while waiting: by a step, by a command, or because the customer helped himself (``how``)."""

    seq: int
    at: int
    interaction: str
    queue: str
    wait_ms: int
    how: str
    ref: Ref = None


class Resting(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent gets no offers until ``until``; ``cause`` is one of REST_CAUSES."""

    seq: int
    at: int
    agent: str
    cause: str
    until: int


class AllDeclined(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Everybody signed in who could take it has declined; what they said is forgotten soon, and it begins anew."""

    seq: int
    at: int
    interaction: str
    queue: str
    wait_ms: int
    ref: Ref = None


class CallBackDue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """It is time to call the customer of a call-back: ``position`` is the place that it keeps."""

    seq: int
    at: int
    interaction: str
    queue: str
    position: int
    ref: Ref = None


class CallBackFailed(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A call-back that rings the customer first was not answered: ``tries`` are left, due again from ``next_at`` on."""

    seq: int
    at: int
    interaction: str
    queue: str
    tries: int
    next_at: int
    ref: Ref = None


class QueueClosed(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Nothing more enters this queue."""

    seq: int
    at: int
    queue: str


class QueueOpened(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A closed queue takes interactions again, or an open one heard when it will close: ``until``."""

    seq: int
    at: int
    queue: str
    until: int | None = None


class Classified(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The intake decided: ``rules`` are those that said something. Queued follows, or Parked for self-service.

    ``journey`` 0: none is kept. ``repeat`` counts how often this contact repeats its topic, ``hops`` changes of channel
    so far; ``preferred`` is the agent whom the journey prefers.
    """

    seq: int
    at: int
    interaction: str
    rules: tuple[str, ...]
    queues: tuple[str, ...]
    needs: str
    priority: int
    value: int
    head_start_ms: int
    treatment: str
    journey: int = 0
    repeat: int = 0
    hops: int = 0
    preferred: str | None = None
    ref: Ref = None


class JourneyClosed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A journey is over. ``customer`` is a hash, or None; ``tally`` counts by name, ``context`` is without privates."""

    seq: int
    at: int
    journey: int
    customer: str | None
    opened_at: int
    why: str
    resolution: str
    resolution_ms: int | None
    effort: int
    tally: dict[str, int]
    context: dict[str, bool | int | str]


class PresenceChanged(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """``presence`` is one of PRESENCES, ``cause`` one of CAUSES, ``reason`` the host's own text."""

    seq: int
    at: int
    agent: str
    presence: str
    cause: str
    reason: str = ""


class AgentUpdated(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An agent has other skills, labels, memberships, capacity or order."""

    seq: int
    at: int
    agent: str


class ObligationSet(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """By when an agent has to be free, None: nothing is ahead."""

    seq: int
    at: int
    agent: str
    due: int | None


class RevisionDue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A control interval ended: whoever drives the strategy solves at leisure and answers with Revise.

    ``handle_ms`` is the handle time within which as many end as the strategy asks for; None: it asks for none, or none
    is known. ``pair_handle_ms`` has it by class and group, where enough is known to tell: tuples of the place of the
    class and that of the group in :meth:`omniroute.router.Router.revision_views`, and the time, in this order.
    """

    seq: int
    at: int
    queue: str
    version: int
    entered: int
    connected: int
    in_target: int
    abandoned: int
    handle_ms: int | None = None
    pair_handle_ms: tuple[tuple[int, int, int], ...] = ()


class Revised(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A queue has new tables; ``version`` is theirs."""

    seq: int
    at: int
    queue: str
    version: int


class PlanChanged(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Another plan holds; ``queues`` are those whose needs, steps or strategy changed, or that are new."""

    seq: int
    at: int
    queues: tuple[str, ...]


class StrategyFailed(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A strategy raised or answered out of range; old tables stay, new rows stay not allowed.

    ``error`` names the kind only, because a message may differ from run to run; ``router.failures`` has the exception.
    """

    seq: int
    at: int
    queue: str
    strategy: str
    error: str


class Reconciled(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What the host knows and the router does not: to be signed in, to be enqueued."""

    seq: int
    at: int
    unknown_agents: tuple[str, ...]
    unknown_interactions: tuple[str, ...]


class Extended(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """``count`` live offers and set-ups end ``by_ms`` later than they said."""

    seq: int
    at: int
    by_ms: int
    count: int


class Rejected(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A command was refused: ``reason`` is one of REASONS, ``subject`` names what it was about. Nothing changed."""

    seq: int
    at: int
    command: str
    reason: str
    subject: str
    detail: str = ""
    ref: Ref = None


Event: TypeAlias = (
    Queued
    | Offered
    | OfferDeclined
    | OfferExpired
    | OfferWithdrawn
    | Connected
    | StepTaken
    | Abandoned
    | Finished
    | Released
    | Requeued
    | Transferred
    | Unmatched
    | Accepted
    | SetupFailed
    | Held
    | Interrupted
    | Resumed
    | Parked
    | Updated
    | TakenOver
    | Cancelled
    | Resting
    | AllDeclined
    | Classified
    | JourneyClosed
    | CallBackDue
    | CallBackFailed
    | QueueClosed
    | QueueOpened
    | PresenceChanged
    | AgentUpdated
    | ObligationSet
    | RevisionDue
    | Revised
    | PlanChanged
    | StrategyFailed
    | Reconciled
    | Extended
    | Rejected
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[list[Event]] = msgspec.msgpack.Decoder(list[Event])


def encode(events: list[Event]) -> bytes:
    """Return events as one record; equal events give equal bytes. O(size)."""
    return _ENCODER.encode(events)


def decode(data: bytes) -> list[Event]:
    """Return the events of a record. O(size). Raises msgspec.MsgspecError.

    >>> decode(encode([Released(1, 500, "c1", "ana")]))
    [Released(seq=1, at=500, interaction='c1', agent='ana', ref=None)]
    """
    return _DECODER.decode(data)
