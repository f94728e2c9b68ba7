"""Agent keys: what orders agents who are otherwise equal, and what has to be kept of them for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from omniroute.core import limits
from omniroute.core.codes import LOOKS_BACK, OF_A_QUEUE, AgentKey, Cause
from omniroute.core.limits import NEVER
from omniroute.core.reference.state import Agent, Fading, Here, Past
from omniroute.core.reference.tables import index, within

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

MASK: Final = 2**64 - 1
ONE: Final = 2**31
"""Wholly occupied."""

INTERACTION: Final = 2**12
"""One interaction handled: after twelve half-lives nothing is left of it."""

VALUE_MAX: Final = 2**32 - 1

TRIFLE: Final = 16
"""By how much a share may be over a cap, as a logarithm: more than what is rounded, and less than .02 %."""
NOTHING: Final = -(2**62)
"""The key of who has done nothing of late."""

LAST: Final = 2**62
"""The key of who has no share for the queue, where his time is shared out."""

ROOTS: Final = (
    *(1_518_500_249, 1_805_811_301, 1_969_251_187, 2_056_437_386, 2_101_467_501, 2_124_350_982, 2_135_885_998),
    *(2_141_676_972, 2_144_578_345, 2_146_030_504, 2_146_756_953, 2_147_120_269, 2_147_301_951, 2_147_392_797),
    *(2_147_438_222, 2_147_460_935),
)
"""``2 ** -(1/2)``, ``2 ** -(1/4)`` and so on, in 2**-31, rounded down."""


def mixed(z: int) -> int:
    """One step of splitmix64 (Steele, Lea and Flood 2014)."""
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def binary_log(n: int) -> int:
    """The logarithm to base 2 of ``1..2**33``, in 2**-16, rounded down: a square doubles it."""
    found = n.bit_length() - 1
    mantissa = n << 31 >> found
    for _ in range(16):
        mantissa = mantissa * mantissa >> 31
        carried = mantissa >> 32
        mantissa >>= carried
        found = 2 * found + carried
    return found


def faded(fading: Fading, now: int, half_life: int) -> int:
    """What is left of a fading number, rounded down. O(1)."""
    whole, rest = divmod(now - fading.at, half_life)
    if whole > 31:
        return 0
    part, factor = (rest << 16) // half_life, ONE
    for place, root in enumerate(ROOTS):
        if part >> (15 - place) & 1:
            factor = factor * root >> 31
    return fading.value * factor >> (31 + whole)


def spent(fading: Fading, half_life: int) -> int:
    """The instant at which a fading number will be down to one: who has the sooner one has less, whenever one looks.

    For ``v * 2 ** -((t - at) / h)`` is one at ``at + h * log2(v)``. So nothing has to be looked at while time passes.
    """
    return fading.at + (half_life * binary_log(fading.value) >> 16) if fading.value else NOTHING


# What is kept --------------------------------------------------------------------------------------------------------


def looks_back(core: Core) -> bool:
    """Whether some class has an agent key that looks back, or will have; else nothing is kept."""
    asked = any(class_.agent_key in LOOKS_BACK for class_ in core.tables.classes)
    return core.looks_back or core.tables.capped or asked or bool(core.tables.watched)


def _here(core: Core, j: int, q: int) -> Here:
    """What an agent did for a queue; of no account where that is not watched."""
    return core.agents[j].past.here.setdefault(q, Here()) if q in core.tables.watched else Here()


def _capping(core: Core) -> bool:
    """Whether some group has a cap on the share of time with something in hand; else the own shares are not kept."""
    return any(group.busiest < 1000 for group in core.tables.groups)


def _share(core: Core, past: Past, fading: Fading) -> Fading:
    """A share of time with something in hand, as it is now."""
    if past.busy:
        return Fading(ONE - faded(Fading(ONE - fading.value, fading.at), core.now, core.half_life), core.now)
    return Fading(faded(fading, core.now, core.half_life), core.now)


def _occupied(core: Core, j: int) -> None:
    """Bring the share of time with something in hand up to now. What has not been occupied fades as well."""
    past = core.agents[j].past
    if _capping(core):
        # What was not kept so far begins where the other stands.
        past.own = _share(core, past, past.own if past.own.at >= past.occupied.at else past.occupied)
    past.occupied, past.busy = _share(core, past, past.occupied), int(bool(core.holds(j)))


def spare(core: Core, j: int) -> None:
    """Whoever is over the cap of his group rests until he is not, should he take nothing in hand meanwhile."""
    busiest = core.tables.groups[core.agents[j].group].busiest
    if busiest == 1000:
        return
    _occupied(core, j)
    own = core.agents[j].past.own.value
    over = binary_log(own) - binary_log(ONE * busiest // 1000) if own else 0
    if over > TRIFLE:
        core._rest(j, Cause.OCCUPIED, core.now + (core.half_life * over >> 16) + 1)


def has_taken(core: Core, j: int) -> None:
    """The agent has taken something in hand."""
    if looks_back(core):
        core.agents[j].past.accepted = core.now
        _occupied(core, j)
        spare(core, j)


def has_given(core: Core, j: int) -> None:
    """Something has left the agent's hands."""
    if looks_back(core):
        core.agents[j].past.released = core.now
        _occupied(core, j)
        spare(core, j)


def ended(core: Core, j: int, talk: int, q: int) -> None:
    """A conversation of so many ms, through a queue, is over for the agent."""
    past = core.agents[j].past
    queues = [queue for queue, _ in core.tables.groups[core.agents[j].group].shares]
    if q in queues:
        past.spent = [faded(Fading(spent, past.spent_at), core.now, core.half_life) for spent in past.spent]
        past.spent_at = core.now
        past.spent[queues.index(q)] = min(past.spent[queues.index(q)] + talk, VALUE_MAX)
    if looks_back(core):
        past.talked = _here(core, j, q).talked = core.now
        past.talk = Fading(min(faded(past.talk, core.now, core.half_life) + talk, VALUE_MAX), core.now)


def connected(core: Core, j: int, q: int) -> None:
    """The agent is connected through a queue: one more is handled, and where he stood before is his group's level."""
    if looks_back(core):
        past, group, here = core.agents[j].past, core.tables.groups[core.agents[j].group], _here(core, j, q)
        group.levels, group.here[q] = [past.handled, past.talk, past.occupied], here.handled
        past.handled, here.handled = _one_more(core, past.handled), _one_more(core, here.handled)


def _one_more(core: Core, handled: Fading) -> Fading:
    return Fading(min(faded(handled, core.now, core.half_life) + INTERACTION, VALUE_MAX), core.now)


def offered(core: Core, j: int, q: int, seq: int) -> None:
    """The agent is offered something through a queue."""
    core.agents[j].offered = _here(core, j, q).offered = seq


def came(core: Core, j: int, *, signed_in: bool) -> None:
    """The agent has turned ready. What was before a sign-in does not count."""
    if not looks_back(core):
        return
    past = core.agents[j].past
    past.ready = core.now
    if signed_in:
        past.accepted = past.talked = past.released = core.now
        for q in core.tables.watched:
            _here(core, j, q).talked = core.now
    if signed_in or past.away:
        past.rested, past.away = core.now, 0
    _occupied(core, j)
    rise(core, j)
    spare(core, j)


def goes(core: Core, j: int) -> None:
    """The agent is not ready because somebody said so: a break."""
    if looks_back(core):
        core.agents[j].past.away = 1


def rise(core: Core, j: int) -> None:
    """Whoever comes begins where those stand who are chosen among those he competes with, not below.

    Below, he would get everything until he had caught up with them. The start tags of start-time fair queueing (Goyal,
    Vin and Cheng, 1996) do this for a flow that was silent.
    """
    if not looks_back(core):
        return
    if _capping(core):
        _occupied(core, j)
    past, tables = core.agents[j].past, core.tables
    served = [class_ for class_ in tables.classes if class_.pairs[core.agents[j].group].opens != NEVER]
    for place, name in enumerate(("handled", "talk", "occupied")):
        best: Fading = getattr(past, name)
        for g, group in enumerate(tables.groups):
            level = group.levels[place]
            rival = any(class_.pairs[g].opens != NEVER for class_ in served)
            if rival and spent(level, core.half_life) > spent(best, core.half_life):
                best = level
        if best is not getattr(past, name):
            setattr(past, name, Fading(faded(best, core.now, core.half_life), core.now))
    for q in tables.watched:
        here = _here(core, j, q)
        for g, group in enumerate(tables.groups):
            rival = any(class_.pairs[g].opens != NEVER for class_ in served)
            level = group.here.get(q, Fading())
            if rival and spent(level, core.half_life) > spent(here.handled, core.half_life):
                here.handled = level


def due(core: Core, j: int, q: int) -> int | None:
    """How far a queue is behind its share of the agent's time, in thousandths of ms; None: his time is not shared out.

    As it stood at his last conversation's end, since all of it fades alike. A queue without a share comes last.
    """
    past, shares = core.agents[j].past, core.tables.groups[core.agents[j].group].shares
    if not shares:
        return None
    for (queue, share), spent in zip(shares, past.spent, strict=False):
        if queue == q:
            return share * sum(past.spent) - 1000 * spent
    return NOTHING


def _behind(core: Core, j: int, q: int) -> int:
    """How far the share of his time in conversation that goes to a queue is above its own, in parts of 2**20.

    0 where his time is not shared out. What fades alike keeps its share, so only a conversation's end changes it.
    """
    past, shares = core.agents[j].past, core.tables.groups[core.agents[j].group].shares
    for (queue, share), spent in zip(shares, past.spent, strict=False):
        if queue == q:
            return ((spent << 20) // sum(past.spent) if sum(past.spent) else 0) - (share << 20) // 1000
    return LAST if shares else 0


# What is asked -------------------------------------------------------------------------------------------------------


def key_value(core: Core, i: int, j: int, key: int, q: int) -> int:
    """What orders agent ``j`` among equals for interaction ``i`` in queue ``q``; the least goes first."""
    if key == AgentKey.WEIGHTED_RANDOM:
        return lot(core, i, j)
    if key in OF_A_QUEUE:
        return _COLUMNS_IN_QUEUE[AgentKey(key)](core, j, q)
    return _COLUMNS[AgentKey(key)](core, core.agents[j], j)


def _spent(name: str) -> Callable[[Core, Agent, int], int]:
    return lambda core, agent, _: spent(getattr(agent.past, name), core.half_life)


def _load_ratio(core: Core, agent: Agent, _: int) -> int:
    """In parts of 2**20, rounded down."""
    return (agent.used << 20) // max(core.tables.groups[agent.group].units, 1)


def _spare(core: Core, agent: Agent, _: int) -> int:
    return agent.used - core.tables.groups[agent.group].units


def _in_hand(core: Core, _: Agent, j: int) -> int:
    return len(core.holds(j)) + len(core.offers_to(j))


def _handled_here(core: Core, j: int, q: int) -> int:
    return spent(_here(core, j, q).handled, core.half_life)


_COLUMNS: Final[Mapping[AgentKey, Callable[[Core, Agent, int], int]]] = {
    AgentKey.LONGEST_IDLE: lambda _, agent, __: agent.idle_since,
    AgentKey.FEWEST_HANDLED: _spent("handled"),
    AgentKey.LEAST_LOADED: lambda _, agent, __: agent.used,
    AgentKey.FIXED_ORDER: lambda _, agent, __: agent.order,
    AgentKey.ROUND_ROBIN: lambda _, agent, __: agent.offered,
    AgentKey.LOAD_RATIO: _load_ratio,
    AgentKey.MOST_SPARE: _spare,
    AgentKey.FEWEST_IN_HAND: _in_hand,
    AgentKey.LONGEST_READY: lambda _, agent, __: agent.past.ready,
    AgentKey.LONGEST_SINCE_ACCEPT: lambda _, agent, __: agent.past.accepted,
    AgentKey.LONGEST_SINCE_CONVERSATION: lambda _, agent, __: agent.past.talked,
    AgentKey.LONGEST_SINCE_HANDLED: lambda _, agent, __: max(agent.past.accepted, agent.past.talked),
    AgentKey.LONGEST_SINCE_RELEASE: lambda _, agent, __: agent.past.released,
    AgentKey.LEAST_TALK_TIME: _spent("talk"),
    AgentKey.LEAST_OCCUPIED: _spent("occupied"),
    AgentKey.LATEST_BREAK: lambda _, agent, __: -agent.past.rested,
}
"""The named column of each key but one, and but those of a queue."""
_COLUMNS_IN_QUEUE: Final[Mapping[AgentKey, Callable[[Core, int, int], int]]] = {
    AgentKey.BEHIND_SHARE: _behind,
    AgentKey.FEWEST_HANDLED_IN_QUEUE: _handled_here,
    AgentKey.ROUND_ROBIN_IN_QUEUE: lambda core, j, q: _here(core, j, q).offered,
    AgentKey.LONGEST_SINCE_CONVERSATION_IN_QUEUE: lambda core, j, q: _here(core, j, q).talked,
}


def lot(core: Core, i: int, j: int) -> int:
    """The lot that an agent draws for an interaction; each attempt has the sequence number that was given last.

    It is an exponential time whose rate is the weight of his group: of those who draw, each has the soonest in
    proportion to his weight (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    number = mixed(mixed(mixed(mixed(core.seed) ^ core.live(i).seq) ^ core.seq) ^ j) >> 32
    time = (32 << 16) - binary_log(number + 1)
    return ((time << 9) // core.tables.groups[core.agents[j].group].weight << 32) + VALUE_MAX - number


# What is said --------------------------------------------------------------------------------------------------------


def set_choice(core: Core, half_life: int, seed: int, looks_back: int = 0) -> None:
    """Set after how many ms what agents did counts half, and the seed of random choices.

    ``looks_back``: keep what they do from now on, before a class asks for it.
    """
    within("half-life", half_life, 1, limits.OPENS_MAX)
    within("seed", seed, 0, limits.SEED_MAX)
    core.looks_back = bool(within("looks back", looks_back, 0, 1)) or core.looks_back
    core.half_life, core.seed = half_life, seed


def set_shares(core: Core, group: int, queues: Sequence[int], shares: Sequence[int]) -> None:
    """Share out the time of each of a group's agents between queues, in thousandths; none: it is not shared out."""
    index("group", group, len(core.tables.groups))
    within("shares", len(shares), len(queues), len(queues))
    within("shares", len(shares), 0, limits.SHARES_MAX)
    for queue, share in zip(queues, shares, strict=True):
        index("queue", queue, len(core.tables.queues))
        within("share", share, 0, 1000)
    within("different queues", len(set(queues)), len(queues), len(queues))
    core.tables.groups[group].shares = list(zip(queues, shares, strict=True))


def watch(core: Core, queue: int) -> None:
    """Keep what agents do for a queue from now on, before a class asks for it."""
    core.tables.watch(index("queue", queue, len(core.tables.queues)))


def set_weight(core: Core, group: int, weight: int) -> None:
    """Set the weight of each of a group's agents in a random choice."""
    index("group", group, len(core.tables.groups))
    core.tables.groups[group].weight = within("weight", weight, 1, limits.WEIGHT_MAX)
