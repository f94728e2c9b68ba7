"""Expected waits: how long until all who wait before somebody have been served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from omniroute.core.estimate.integers import COUNT_MAX, HANDLE_MAX, checked, rounded
from omniroute.core.limits import TIER_MAX, TIME_MAX
from omniroute.errors import MisuseError

_HOUR_MS: Final = 3_600_000
_RATE_BITS: Final = 64
"""Rates are whole multiples of 2**-64 per ms."""

_LOG_BITS: Final = 48
"""Binary places of a logarithm."""

_LN2: Final = 0xB17217F7D1CF79AB
"""The natural logarithm of 2 in 2**-64."""

_ONE: Final = 1 << 62


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, in ascending order. O(bits set)."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def drain(
    waiting: Sequence[int], serving: Sequence[int], agents: Sequence[int], handle_ms: Sequence[int]
) -> tuple[int | None, ...]:
    """Return for each class how long its last one waits, in ms, if all are served in order of arrival.

    ``waiting[c]`` is how many wait in class ``c``, the one who asks included; ``serving[c]`` a bitmap of the pools
    whose agents may serve it. Pool ``p`` has ``agents[p]`` agents, each of whom takes ``handle_ms[p]`` on average. An
    interaction counts in one class and an agent in one pool. A class for which nobody is on duty gets ``None``; a class
    where nobody waits gets what the others make a newcomer wait, which may be 0.

    The formula is the principal partition of the service system: of all sets of classes, the largest one with the most
    waiting for each unit of what can serve it drains last and together; without it and its pools, the next one
    follows. Found by maximum flows that split the classes until each part is level (the decomposition of Fujishige,
    "Lexicographically optimal base of a polymatroid with respect to a weight vector", 1980): at most ``2 * classes``
    flows of polynomial size.

    The answer is rounded to the nearest ms, off by at most 2**-32 of itself besides (rates are cut to 64 binary
    places), and at most ``TIME_MAX``. Raises :class:`MisuseError` for integers out of range and lengths that differ.

    >>> drain([6], [0b1], [30], [180_000])
    (36000,)
    >>> drain([6, 0, 1], [0b01, 0b11, 0b100], [2, 2, 0], [60_000, 60_000, 60_000])
    (180000, 0, None)
    """
    rates = _rates(agents, handle_ms)
    _check_classes(waiting, serving, len(rates))
    return tuple(_partition(list(range(len(waiting))), waiting, [0] * len(waiting), serving, rates))


def drain_tiers(
    waiting: Sequence[int],
    serving: Sequence[int],
    agents: Sequence[int],
    handle_ms: Sequence[int],
    *,
    tiers: Sequence[int],
    arrivals_per_hour: Sequence[int],
) -> tuple[int | None, ...]:
    """Return what :func:`drain` does where a lesser tier is always served first.

    For the classes of a tier, those of greater tiers do not count; those of lesser tiers count with who waits and with
    who will still arrive: a set A of classes is served at its pools' rate less the arrivals of its lesser tiers. Where
    those alone fill their pools, the wait has no end and is ``None``. With one tier it is :func:`drain`. Costs a drain
    for each tier in use. Rates are cut to 64 binary places; the rest is exact, then rounded to the nearest ms. Raises
    :class:`MisuseError` as there.

    >>> drain_tiers([3, 3], [1, 1], [10], [100_000], tiers=[0, 1], arrivals_per_hour=[180, 360])
    (30000, 120000)
    """
    rates = _rates(agents, handle_ms)
    _check_classes(waiting, serving, len(rates))
    if not len(waiting) == len(tiers) == len(arrivals_per_hour):
        raise MisuseError(f"{len(waiting)} classes, {len(tiers)} tiers, {len(arrivals_per_hour)} arrival rates")
    for tier, arrivals in zip(tiers, arrivals_per_hour, strict=True):
        checked("tier", tier, -TIER_MAX, TIER_MAX)
        checked("arrivals_per_hour", arrivals, 0, COUNT_MAX)
    found: list[int | None] = [None] * len(waiting)
    for tier in sorted(set(tiers)):
        classes = [c for c, other in enumerate(tiers) if other <= tier]
        taken = [
            (arrivals << _RATE_BITS) // _HOUR_MS if other < tier else 0
            for arrivals, other in zip(arrivals_per_hour, tiers, strict=True)
        ]
        waits = _partition(classes, waiting, taken, serving, rates)
        for c in classes:
            if tiers[c] == tier:
                found[c] = waits[c]
    return tuple(found)


def _rates(agents: Sequence[int], handle_ms: Sequence[int]) -> list[int]:
    """Return what each pool serves, in 2**-64 interactions per ms; check the pools. O(pools)."""
    if len(agents) != len(handle_ms):
        raise MisuseError(f"{len(agents)} pools with agents, {len(handle_ms)} with a handle time")
    return [
        (checked("agents", n, 0, COUNT_MAX) << _RATE_BITS) // checked("handle_ms", mean, 1, HANDLE_MAX)
        for n, mean in zip(agents, handle_ms, strict=True)
    ]


def _check_classes(waiting: Sequence[int], serving: Sequence[int], pools: int) -> None:
    """Raise :class:`MisuseError` unless each class has a number waiting and a bitmap of these pools. O(classes)."""
    if len(waiting) != len(serving):
        raise MisuseError(f"{len(waiting)} classes with a number waiting, {len(serving)} with pools")
    for count, mask in zip(waiting, serving, strict=True):
        checked("waiting", count, 0, COUNT_MAX)
        checked("serving", mask, 0, (1 << pools) - 1)


def _partition(
    classes: list[int], waiting: Sequence[int], taken: Sequence[int], serving: Sequence[int], rates: Sequence[int]
) -> list[int | None]:
    """Return the wait of each of these classes in ms; ``taken[c]`` is the rate that arrivals of ``c`` take away.

    Law: a part is level when its pools, given exactly the time T = waiting / (rate - taken), can serve all of it. If
    not, what stays unserved drains later than T and the rest, without the pools of the former, earlier.
    """
    found: list[int | None] = [None] * len(waiting)
    endless = _unserved(classes, serving, {c: taken[c] for c in classes}, dict(enumerate(rates)))
    spent = _pools_of(endless, serving)
    everybody = _pools_of(classes, serving)
    todo = [(_without(classes, endless), everybody & ~spent)]
    while todo:
        part, pools = todo.pop()
        total = sum(waiting[c] for c in part)
        if total == 0:
            for c in part:
                found[c] = 0
            continue
        spare = sum(rates[p] for p in bits(pools)) - sum(taken[c] for c in part)
        needed = {c: waiting[c] * spare + taken[c] * total for c in part}
        later = _unserved(part, serving, needed, {p: rates[p] * total for p in bits(pools)})
        if len(later) == len(part):
            wait_ms = min(rounded(total << _RATE_BITS, spare), TIME_MAX)
            for c in part:
                found[c] = wait_ms
        else:
            theirs = _pools_of(later, serving) & pools
            todo += [(later, theirs), (_without(part, later), pools & ~theirs)]
    return found


def _without(classes: list[int], others: list[int]) -> list[int]:
    """Return the classes that are not among the others, in order. O(classes)."""
    gone = set(others)
    return [c for c in classes if c not in gone]


def _pools_of(classes: list[int], serving: Sequence[int]) -> int:
    """Return the bitmap of the pools that may serve one of the classes. O(classes)."""
    found = 0
    for c in classes:
        found |= serving[c]
    return found


def _unserved(classes: list[int], serving: Sequence[int], needed: dict[int, int], room: dict[int, int]) -> list[int]:
    """Return the largest set of classes with the most ``needed`` beyond the ``room`` of its pools.

    By a maximum flow from classes to pools: it is the classes from which no room can be reached any more. Uses up both
    dicts. Shortest augmenting paths, several in one search: O(classes * edges) paths at worst, few in practice.
    """
    flow = _Flow(classes, serving, needed, room)
    flow.fill()
    while flow.search():
        flow.shift()
    return [c for c in classes if c not in flow.towards]


class _Flow:
    """A flow from classes to pools, and the last search for more, backward from the pools that have room."""

    __slots__ = ("classes", "held", "hungry", "needed", "room", "sent", "serving", "starts", "takers", "towards", "via")

    def __init__(
        self, classes: list[int], serving: Sequence[int], needed: dict[int, int], room: dict[int, int]
    ) -> None:
        pools = sum(1 << p for p in room)
        self.classes = classes
        self.serving = {c: serving[c] & pools for c in classes}
        self.needed = needed
        self.room = room
        self.sent: dict[int, dict[int, int]] = {c: {} for c in classes}
        self.takers: dict[int, list[int]] = {p: [] for p in room}
        for c in classes:
            for p in bits(self.serving[c]):
                self.takers[p].append(c)
        self.towards: dict[int, int] = {}
        """The pool to which a class that was reached would send more."""
        self.via: dict[int, int] = {}
        """The class by whose moving on a full pool that was reached would get room."""
        self.hungry: list[int] = []
        """The nearest classes reached that need more."""

    def fill(self) -> None:
        """Serve greedily, the classes with the least choice first. O(edges)."""
        for c in sorted(self.classes, key=lambda c: self.serving[c].bit_count()):
            for p in bits(self.serving[c]):
                amount = min(self.needed[c], self.room[p])
                if amount:
                    self.sent[c][p] = amount
                    self.needed[c] -= amount
                    self.room[p] -= amount

    def search(self) -> bool:
        """Walk backward from the pools with room to the nearest classes that need more; are there any? O(edges)."""
        self.towards.clear()
        self.via.clear()
        pools = [p for p, left in self.room.items() if left]
        seen = set(pools)
        while pools:
            reached = []
            for p in pools:
                for c in self.takers[p]:
                    if c not in self.towards:
                        self.towards[c] = p
                        reached.append(c)
            self.hungry = [c for c in reached if self.needed[c]]
            if self.hungry:
                return True
            pools = []
            for c in reached:
                for p in self.sent[c]:
                    if p not in seen:
                        seen.add(p)
                        self.via[p] = c
                        pools.append(p)
        return False

    def shift(self) -> None:
        """Send along the paths of the last search as much as still fits. O(classes reached * length of a path)."""
        for c in self.hungry:
            amount = self.needed[c]
            p = self.towards[c]
            while p in self.via:
                mover = self.via[p]
                amount = min(amount, self.sent[mover].get(p, 0))
                p = self.towards[mover]
            amount = min(amount, self.room[p])
            if not amount:
                continue
            self.needed[c] -= amount
            self.room[p] -= amount
            p = self.towards[c]
            self.sent[c][p] = self.sent[c].get(p, 0) + amount
            while p in self.via:
                mover = self.via[p]
                self.sent[mover][p] -= amount
                if not self.sent[mover][p]:
                    del self.sent[mover][p]
                p = self.towards[mover]
                self.sent[mover][p] = self.sent[mover].get(p, 0) + amount


def with_abandonment(wait_ms: int | None, patience_ms: int) -> int | None:
    """Return an expected wait, shortened because those ahead lose patience after ``patience_ms`` on average.

    ``patience * ln(1 + wait / patience)``: with abandonments at rate 1 / patience for each who waits, a queue that
    would take ``wait`` to drain is empty then. Less than 1 ms off, never above ``wait_ms``, never falling as it grows.
    ``wait_ms`` is in ``0..TIME_MAX``, ``patience_ms`` in ``1..TIME_MAX``, otherwise :class:`MisuseError`. O(1).

    >>> with_abandonment(60_000, 120_000)
    48656
    >>> with_abandonment(None, 120_000) is None
    True
    """
    checked("patience_ms", patience_ms, 1, TIME_MAX)
    if wait_ms is None:
        return None
    checked("wait_ms", wait_ms, 0, TIME_MAX)
    ratio = ((patience_ms + wait_ms) * _ONE) // patience_ms
    found = ratio.bit_length() - _ONE.bit_length()
    ratio >>= found
    for _ in range(_LOG_BITS):
        ratio = ratio * ratio // _ONE
        bit = ratio >= 2 * _ONE
        ratio >>= bit
        found = 2 * found + bit
    return min(wait_ms, rounded(patience_ms * found * _LN2, 1 << (_LOG_BITS + 64)))
