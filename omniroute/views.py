"""What the read side of a router answers: small frozen values, taken at one instant, that move nothing."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from omniroute.commands import Ref
from omniroute.errors import UnknownNameError
from omniroute.model import nearest, shown

__all__ = [
    "AgentView",
    "Audit",
    "Board",
    "InteractionView",
    "OfferView",
    "Preview",
    "Previewed",
    "Price",
    "QueueBoard",
    "QueueView",
    "Why",
    "number_of",
]


def number_of(what: str, name: str, known: Mapping[str, int]) -> int:
    """The number of a name. O(1). Raises UnknownNameError, with the nearest of a few queues or agents.

    Ids of interactions are never hinted at: they come from customers, and belong to others.
    """
    number = known.get(name) if isinstance(name, str) else None
    if number is None:
        hint = nearest(name, known) if what != "interaction" and len(known) < 100 else ""
        raise UnknownNameError(f"unknown {what} {shown(name)}{hint}", what)
    return number


@frozen(kw_only=True)
class QueueView:
    """A queue: ``waiting`` counts entries, those on offer included; the next four are counted since ``version``.

    ``expected_wait_ms`` and ``service_level``, in per mille, are as last estimated for a condition of the plan; None
    where no condition asks, or nothing is known. A wait is ``estimates.ENDLESS`` where no ready agent may serve.
    """

    name: str
    waiting: int
    version: int
    entered: int
    connected: int
    in_target: int
    abandoned: int
    expected_wait_ms: int | None
    service_level: int | None


@frozen(kw_only=True)
class QueueBoard:
    """A queue as a wallboard shows it.

    ``waiting`` counts interactions that stand in it, those on offer included, each once: by channel, for every channel
    that ever asked for this queue. ``longest_wait_ms`` is the longest that one of them has really waited, None where
    nobody does. ``interactions`` counts by state: who waits in each of its queues, what is in hand in that by which it
    came. ``agents`` counts those who are members and meet its needs by one of ``board.ACTIVITIES``. ``within_ms`` is
    that of its target, if it has one; ``expected_wait_ms`` as in :class:`QueueView`.
    """

    name: str
    open: bool
    waiting: Mapping[str, int]
    longest_wait_ms: int | None
    interactions: Mapping[str, int]
    agents: Mapping[str, int]
    expected_wait_ms: int | None
    within_ms: int | None


@frozen(kw_only=True)
class Board:
    """Who waits and who works at the instant ``now``, counted; it names queues and channels, and nobody.

    ``interactions`` counts by state, ``agents`` by one of ``board.ACTIVITIES``; ``units`` are those of agents who are
    signed in.
    """

    now: int
    queues: tuple[QueueBoard, ...]
    interactions: Mapping[str, int]
    agents: Mapping[str, int]
    live_offers: int
    units: int
    units_in_use: int


@frozen(kw_only=True)
class AgentView:
    """An agent: ``presence`` is one of ``events.PRESENCES``, ``holds`` counts by channel what takes capacity."""

    id: str
    presence: str
    reason: str
    units_in_use: int
    units: int
    idle_since: int
    handled: int
    rests_until: int | None
    holds: Mapping[str, int]
    offers: tuple[int, ...]
    obligation: int | None = None


@frozen(kw_only=True)
class InteractionView:
    """A live interaction: ``state`` as in the life cycle; instants in ms.

    ``queues`` are those in which it stands now, wherever steps led it; in hand, that by which it came is the first.
    ``value`` is that from which its band begins. ``due`` is when its wrap-up or its set-up ends, or when what is parked
    activates.
    """

    id: str
    state: str
    queues: tuple[str, ...]
    channel: str
    needs: str
    priority: int
    value: int
    held_out: bool
    agent: str | None
    wait_from: int
    since: int
    tier: int
    connected_at: int | None
    due: int | None
    offers: tuple[int, ...]
    ref: Ref


@frozen(kw_only=True)
class OfferView:
    """A live offer: what ``Offered`` said of it. ``due`` is when it expires, in ms, None for never."""

    offer: int
    interaction: str
    agent: str
    due: int | None
    ref: Ref


@frozen(kw_only=True)
class Why:
    """Why an agent does not get an interaction from one of its queues: the first clause that is false.

    ``clause`` is a name of ``core.codes.Clause`` in lower case, None where nothing is in the way; ``detail`` says what
    the requirement misses where that is the reason, or until when a decision window holds the pair.
    """

    queue: str
    clause: str | None
    detail: str | None


@frozen(kw_only=True)
class Price:
    """What a match earns and concedes in a queue that routes for value: as its strategy and its tables have it.

    ``worth`` is by metric and ``value`` weighted, in minor units. The pair opens at the ordering age
    ``opens_ms``, None: never; the interaction is ``age_ms`` old. ``cost_ms`` is what the match concedes, as the waiting
    that outweighs it. The other four are those of the pair that concedes least, of agents who are ready and may; of
    such pairs the one that earns most: ``segment`` is the agents' label, ``best_agent`` the first of them; None if
    there is none.
    """

    queue: str
    worth: Mapping[str, int]
    value: int
    opens_ms: int | None
    age_ms: int
    cost_ms: int
    best_agent: str | None
    best_segment: str | None
    best_value: int | None
    best_cost_ms: int | None


@frozen(kw_only=True)
class Audit:
    """Counts of everything that lives: by state, by presence, and what the router remembers."""

    interactions: Mapping[str, int]
    agents: Mapping[str, int]
    live_offers: int
    units_in_use: int
    finished: int
    remembered: int
    ended_offers: int
    classes: int
    groups: int
    events: int
    leaks: tuple[str, ...]
    """What holds capacity without a deadline: wrap-ups that end by Release, and offers that never expire."""


@frozen(kw_only=True)
class Previewed:
    """What another plan would mean for one who waits: how many agents who are signed in would be new to it or lost.

    ``able`` is how many could take it then; ``stranded``: nobody, where somebody could before. ``offered``: to somebody
    at once.
    """

    interaction: str
    gained: int
    lost: int
    able: int
    offered: bool
    stranded: bool


@frozen(kw_only=True)
class Preview:
    """What another plan would do to those who wait: how many, and the first of them, the longest waiting first.

    ``changing`` gain or lose agents, ``gaining`` and ``losing`` do the one or the other, maybe both; ``offered`` at
    once, ``stranded`` without anybody who could, ``ended`` by a step.
    ``failed`` are queues whose strategy would not answer. ``refused`` is why the plan would be refused, if it would.
    """

    waiting: int
    changing: int = 0
    gaining: int = 0
    losing: int = 0
    offered: int = 0
    stranded: int = 0
    ended: int = 0
    failed: tuple[str, ...] = ()
    refused: str | None = None
    detail: str = ""
    interactions: tuple[Previewed, ...] = ()
