"""The records of the naive twin. Every number is a position in a list; times are milliseconds."""

from __future__ import annotations

from attrs import Factory, define

from omniroute.core.codes import Cause, EventKind, PresenceReason, TieKind
from omniroute.core.lifecycle import InteractionState, OfferState, Presence
from omniroute.core.limits import NEVER, SHARES_MAX

ALL_POOLS = 2**32 - 1
RESERVES_OFFERED, RESERVES_WRAP_UP, RESERVES_HOLD, KEPT = 1, 2, 4, 8
"""Flags of a channel: what holds capacity besides a conversation, and whether a sign-out leaves it where it is."""

_S = InteractionState
IN_QUEUE = (_S.WAITING, _S.OFFERED)
HELD = (_S.CONNECTED, _S.WRAP_UP, _S.ACCEPTING, _S.ON_HOLD, _S.INTERRUPTED)
TOGETHER = (_S.CONNECTED, _S.ON_HOLD, _S.INTERRUPTED)
STILL = (_S.INTERRUPTED, _S.PARKED)
"""The clocks of these stand still: their instants hold what has passed, as numbers below 0."""

BOUND = (TieKind.ONLY, TieKind.ONLY_ANY)
ANY = (TieKind.PREFER_ANY, TieKind.ONLY_ANY)


@define(slots=True)
class Channel:
    """What one interaction of a kind takes: ``load`` units, and a place in each pool; the first is its own."""

    load: int
    pools: tuple[int, ...]
    flags: int


@define(slots=True)
class Queue:
    """A waiting line's numbers; -1 where there is none. ``entered`` and the rest are counted since ``version``.

    ``rona`` has for each cause of a declined offer after how many in a row the agent turns not ready (0: never), and
    how long he rests after the first.
    """

    offers: int
    offer_timeout: int
    limit: int
    retry_after: int
    target: int
    setup_timeout: int = -1
    auto: int = 0
    every: int = -1
    window: int = -1
    control_every: int = -1
    control_due: int = -1
    version: int = 0
    entered: int = 0
    connected: int = 0
    in_target: int = 0
    abandoned: int = 0
    rona: list[tuple[int, int]] = Factory(lambda: [(1 if cause == Cause.NO_ANSWER else 0, 0) for cause in range(4)])


@define(slots=True)
class Pair:
    """One cell of the tables, (class, group); ``condition`` -1: none."""

    opens: int = NEVER
    rank_out: int = 0
    cost_out: int = 0
    rank_in: int = 0
    cost_in: int = 0
    condition: int = -1


@define(slots=True)
class Class:
    """Entries that no table can tell apart; ``pairs`` has one cell for each group.

    ``step_next`` is the class behind the step, or CANCEL. The step waits for the condition ``step_when``; the
    condition ``skip_if`` takes it at once; ``step_copy`` is a class for a second entry. A ``patient`` class
    waits for its step even when only later classes could find anybody.
    """

    queue: int
    channel: int
    program: tuple[int, ...]
    agent_key: int
    age_rate: int = 1
    length_rate: int = 0
    offset: int = 0
    age_cap: int = -1
    step_at: int = -1
    step_next: int = -1
    step_tier: int = -1
    step_when: int = -1
    skip_if: int = -1
    step_copy: int = -1
    patient: int = 0
    pairs: list[Pair] = Factory(list)


@define(slots=True)
class Fading:
    """A number that counts half after each half-life: what it was at an instant."""

    value: int = 0
    at: int = 0


@define(slots=True)
class Here:
    """What an agent did for one queue: handled of late, the end of the last conversation, the last offer."""

    handled: Fading = Factory(Fading)
    talked: int = 0
    offered: int = 0


@define(slots=True)
class Past:
    """What agent keys look back at: instants, and what is fading; ``busy`` whether he had something in hand then.

    ``rested`` is the end of his last break, ``away`` whether he is on one. ``own`` is the share of his time with
    something in hand, as ``occupied`` is, but nobody else's: it is kept where some group has a cap.

    ``spent`` is the ms of conversation for each of his group's shares, fading since ``spent_at``. ``here`` is what he
    did for each queue that is watched.
    """

    ready: int = 0
    accepted: int = 0
    talked: int = 0
    released: int = 0
    handled: Fading = Factory(Fading)
    talk: Fading = Factory(Fading)
    occupied: Fading = Factory(Fading)
    busy: int = 0
    spent: list[int] = Factory(lambda: [0] * SHARES_MAX)
    spent_at: int = 0
    rested: int = 0
    away: int = 0
    own: Fading = Factory(Fading)
    here: dict[int, Here] = Factory(dict)


@define(slots=True)
class Group:
    """Agents that no table can tell apart; ``atoms`` are the atoms that hold for them.

    ``at_most`` counts by pool. ``allow`` and ``interrupts`` are bitmaps of pools for each channel: what may be held
    beside it, and what gives way to it. ``burst`` offers in ``burst_per`` ms make an agent rest (0: never), and so does
    more than ``busiest`` thousandths of his time of late with something in hand (1000: nothing does). ``ladder``
    has (ms, group), most ms first: with so little time left its agents are in that group. ``levels`` is what the agent
    of the group who was connected last had fading: handled, talk, occupied; ``here`` is the same of each watched queue,
    handled only. ``shares`` are queues with the parts of each agent's time, in thousandths, that are to go to them.
    """

    atoms: set[int]
    units: int
    at_most: list[int]
    allow: list[int]
    interrupts: list[int]
    idle_rate: int = 0
    term: int = 0
    auto: int = 0
    burst: int = 0
    burst_per: int = 0
    busiest: int = 1000
    ladder: list[tuple[int, int]] = Factory(list)
    weight: int = 1
    levels: list[Fading] = Factory(lambda: [Fading(), Fading(), Fading()])
    shares: list[tuple[int, int]] = Factory(list)
    here: dict[int, Fading] = Factory(dict)


@define(slots=True)
class Agent:
    """One person or bot. ``stamp`` is the sequence of the last change of his idleness, ``counts`` are by pool.

    ``home`` is his group with time enough left until his obligation at ``until`` (-1: none), ``group`` the one that he
    is in; ``edge`` is when that changes next (-1: not).
    """

    group: int
    order: int
    presence: Presence = Presence.SIGNED_OUT
    used: int = 0
    counts: list[int] = Factory(list)
    idle_since: int = 0
    stamp: int = 0
    handled: int = 0
    offered: int = 0
    rest: int = -1
    burst_from: int = -1
    burst_count: int = 0
    misses: list[int] = Factory(lambda: [0, 0, 0, 0])
    home: int = Factory(lambda agent: agent.group, takes_self=True)
    until: int = -1
    edge: int = -1
    past: Past = Factory(Past)


@define(slots=True)
class Entry:
    """An interaction waiting in a class; it is ordered by (tier, since, seq).

    ``opening`` is when its next pair opens, as known when it was last asked for; -1: none, or it is not asked for.
    """

    class_: int
    tier: int
    since: int
    seq: int
    opening: int = -1


@define(slots=True)
class Tie:
    """What binds an interaction to an agent until ``until`` (-1: no deadline; UNTIL_GONE: as long as it lives)."""

    agent: int
    kind: TieKind
    until: int
    seq: int


@define(slots=True)
class Interaction:
    """One customer need.

    ``wait_from`` and ``step_from`` are the instants from which the real wait, in all and in this queue, is counted;
    both move forward over time spent connected. ``due`` ends a wrap-up or a set-up, activates what is parked, or lets
    what is on offer be offered to one more.
    ``gap`` is that of a call-back: how long it is parked after a set-up that failed, or CUSTOMER_FIRST; else 0.
    """

    state: InteractionState
    entries: list[Entry]
    seq: int
    wait_from: int
    step_from: int
    agent: int = -1
    channel: int = 0
    connected_at: int = -1
    due: int = -1
    gap: int = 0
    ties: list[Tie] = Factory(list)


@define(slots=True)
class Offer:
    """A live offer; ``seq`` orders offers, ``due`` is -1 where nothing expires."""

    interaction: int
    entry: int
    agent: int
    due: int
    seq: int


@define(slots=True)
class Gauge:
    """A number that conditions look at; ``given`` is that of the kind GIVEN."""

    kind: int
    subject: int
    program: tuple[int, ...]
    given: int = 0


@define(slots=True)
class Condition:
    """True from ``on``, false beyond ``off``: at or above the thresholds, or (``below``) at or below them."""

    gauge: int
    on: int
    off: int
    below: int
    holds: bool = False


@define(slots=True)
class Window:
    """A decision window of ``length`` ms, for the queues that name it; ``closes_at`` -1: it is not open."""

    length: int
    closes_at: int = -1


TieTo = tuple[int, int, int]
"""An agent, a kind of tie, and until when (-1: no deadline; UNTIL_GONE: as long as the interaction lives)."""

ENDED_BY = {
    OfferState.DECLINED: EventKind.DECLINED,
    OfferState.EXPIRED: EventKind.EXPIRED,
    OfferState.WITHDRAWN: EventKind.WITHDRAWN,
}
TOO_OFTEN = {
    Cause.NO_ANSWER: PresenceReason.NO_ANSWER,
    Cause.DECLINED: PresenceReason.DECLINED,
    Cause.BUSY: PresenceReason.BUSY,
    Cause.UNREACHABLE: PresenceReason.UNREACHABLE,
}
ABANDONED, CANCELLED = 0, 1
"""How an interaction leaves."""
