"""The records of the naive twin. Every number is a position in a list; times are milliseconds."""

from __future__ import annotations

from attrs import Factory, define

from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.limits import NEVER

IN_QUEUE = (InteractionState.WAITING, InteractionState.OFFERED)
HELD = (InteractionState.CONNECTED, InteractionState.WRAP_UP)


@define(slots=True)
class Queue:
    """A waiting line's numbers; -1 where there is none. ``entered`` and the rest are counted since ``version``."""

    offers: int
    offer_timeout: int
    limit: int
    retry_after: int
    target: int
    control_every: int = -1
    control_due: int = -1
    version: int = 0
    entered: int = 0
    connected: int = 0
    in_target: int = 0
    abandoned: int = 0


@define(slots=True)
class Pair:
    """One cell of the tables, (class, group)."""

    opens: int = NEVER
    rank_out: int = 0
    cost_out: int = 0
    rank_in: int = 0
    cost_in: int = 0


@define(slots=True)
class Class:
    """Entries that no table can tell apart; ``pairs`` has one cell for each group."""

    queue: int
    channel: int
    program: tuple[int, ...]
    agent_key: int
    age_rate: int = 1
    length_rate: int = 0
    offset: int = 0
    step_at: int = -1
    step_next: int = -1
    step_tier: int = -1
    pairs: list[Pair] = Factory(list)


@define(slots=True)
class Group:
    """Agents that no table can tell apart; ``atoms`` are the atoms that hold for them."""

    atoms: set[int]
    units: int
    at_most: tuple[int, ...]
    idle_rate: int = 0
    term: int = 0


@define(slots=True)
class Agent:
    """One person or bot. ``stamp`` is the sequence of the last change of his idleness."""

    group: int
    order: int
    presence: Presence = Presence.SIGNED_OUT
    used: int = 0
    counts: list[int] = Factory(list)
    idle_since: int = 0
    stamp: int = 0
    handled: int = 0
    offered: int = 0


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
class Exclusion:
    """An agent who does not get this interaction until ``until`` (-1: until he signs in again or it is requeued)."""

    agent: int
    until: int
    seq: int


@define(slots=True)
class Interaction:
    """One customer need.

    ``wait_from`` and ``step_from`` are the instants from which the real wait, in all and in this queue, is counted;
    both move forward over time spent connected.
    """

    state: InteractionState
    entries: list[Entry]
    seq: int
    wait_from: int
    step_from: int
    agent: int = -1
    channel: int = 0
    connected_at: int = -1
    wrap_due: int = -1
    exclusions: list[Exclusion] = Factory(list)


@define(slots=True)
class Offer:
    """A live offer; ``seq`` orders offers, ``due`` is -1 where nothing expires."""

    interaction: int
    entry: int
    agent: int
    due: int
    seq: int
