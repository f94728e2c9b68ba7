"""What conditions on waits and service levels compare: estimates of each queue, made anew when the interval is over.

A router whose plan has no such condition, and no strategy that wants to know handle times, has none of this, unless it
is ``paced``: then arrivals are counted as well.
Everything is integers and belongs to the state: what has been handled and answered is kept in the decaying sums of
``core.estimate``, the rest is read from the core at the instant. How it is defined, and why, is in
``docs/explanation/decisions.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import attrs

from omniroute.conditions import ESTIMATED
from omniroute.core import limits
from omniroute.core.estimate import Arrivals, HandleTimes, ServiceLevel, drain
from omniroute.core.estimate.integers import COUNT_MAX, HANDLE_MAX, rounded
from omniroute.core.estimate.waits import bits
from omniroute.core.lifecycle import InteractionState
from omniroute.gauges import ALL_IN_TIME, Estimated, EstimatesState
from omniroute.pair_times import PairTimes, check_pair
from omniroute.plan_numbers import handle_permille

if TYPE_CHECKING:
    from omniroute.core import Core
    from omniroute.naming import Naming

__all__ = ["BLOCKS_MAX", "ENDLESS", "HALF_LIFE_MS", "SETS_MAX", "Estimates"]

HALF_LIFE_MS: Final = 600_000
"""After so long an outcome counts half in a service level, an arrival in a rate."""

SETS_MAX: Final = 256
"""Most different sets of agents that an estimated wait tells apart; beyond that queues are taken as one."""

BLOCKS_MAX: Final = 1_024
"""Most kinds of agents, by the sets they are in, that it tells apart; beyond that as well."""

ENDLESS: Final = limits.GAUGE_MAX
"""The estimated wait of somebody whom no ready agent may serve."""

_TOGETHER: Final = (InteractionState.CONNECTED, InteractionState.ON_HOLD, InteractionState.INTERRUPTED)


@attrs.frozen
class _Line:
    """Interactions that wait alike: groups and channels as bitmaps, and the work in agents' units times ms."""

    queues: tuple[int, ...]
    groups: int
    channels: int
    work: int
    newcomer: bool = False


class Estimates:
    """The estimates of one core's queues, and what they are made of."""

    def __init__(self, core: Core, naming: Naming) -> None:
        self.core = core
        self.naming = naming
        self.handled: dict[int, HandleTimes] = {}
        """How long interactions of a queue take an agent's capacity; of queues that have let one go."""
        self.levels: dict[int, ServiceLevel] = {}
        """Of the queues of which a condition asks it; where the plan is paced, of all that have a target."""
        self.pairs = PairTimes()
        """The same by class and group, of the queues whose strategies want it."""
        self.permilles: dict[int, int] = {}
        """Which handle times they want, by queue."""
        self.in_hand: dict[int, tuple[int, int, int, int]] = {}
        """Queue of each interaction that was connected, and during its wrap-up when it would have begun, else -1.

        And its class, and the home of its agent, as it was connected: -1 where nobody took note of it.
        """
        self.told: dict[int, int] = {}
        """What gauges were given, where there was something to tell."""
        self.wanted: list[Estimated] = naming.estimated
        self._read()
        self.first_arrival = -1
        """Since when arrivals are counted, which is a paced plan's business only; -1 before the first."""
        self.arrivals: dict[int, Arrivals] = {}
        """By class, but for the first."""

    @classmethod
    def begin(cls, core: Core, naming: Naming, live: Iterable[int]) -> Estimates:
        """Begin to estimate; of ``live`` interactions those count that are being talked to. O(live + queues)."""
        found = cls(core, naming)
        for i in live:
            numbers = core.interaction(i)
            if numbers[0] in _TOGETHER:
                found.in_hand[i] = naming.class_names[numbers[6]].queue, -1, -1, -1
        found.change()
        return found

    def _read(self) -> None:
        """Read which queues want handle times. O(queues)."""
        values = self.naming.queue_values
        asked = ((q, handle_permille(values[q])) for q in self.naming.queues.values())
        self.permilles = {q: permille for q, permille in asked if permille is not None}

    def change(self) -> list[tuple[int, int]]:
        """Keep what a changed plan still has; the gauges that it wants no more, with what they showed at first.

        Queues that left are forgotten, also should they return, and pairs whose class left. O(queues + conditions +
        pairs).
        """
        self._read()
        self.pairs.keep(self.naming, tuple(self.permilles))
        before, self.wanted = self.wanted, self.naming.estimated
        kept = dict.fromkeys(self.naming.queues.values())
        gauges = {gauge: of for gauge, of, _ in self.wanted}
        self.handled = {q: times for q, times in self.handled.items() if q in kept}
        asked = [q for _, of, q in self.wanted if of == "service_level"]
        paced = self.naming.plan.paced
        aimed = [q for q in kept if self.naming.queue_values[q].target is not None] if paced else []
        levels = {q: self.levels.get(q) for q in (*asked, *aimed)}
        if not paced:
            self.first_arrival, self.arrivals = -1, {}
        self.levels = {q: level or ServiceLevel(HALF_LIFE_MS) for q, level in levels.items()}
        self.told = {gauge: value for gauge, value in self.told.items() if gauge in gauges}
        self.in_hand = {i: row for i, row in self.in_hand.items() if row[0] in kept}
        return [(gauge, 0 if of == "wait" else ALL_IN_TIME) for gauge, of, _ in before if gauge not in gauges]

    # What happens ----------------------------------------------------------------------------------------------------

    def arrived(self, at: int, i: int) -> None:
        """It begins to wait, or an agent has passed it on: an arrival of its first class. O(1).

        What a step has cancelled by now wanted nobody.
        """
        numbers = self.core.interaction(i) if self.naming.plan.paced else ()
        if len(numbers) < 7:
            return
        if self.first_arrival < 0:
            self.first_arrival = at
            return
        k = numbers[6]
        if k not in self.arrivals:
            self.arrivals[k] = Arrivals(HALF_LIFE_MS)
        self.arrivals[k].add(at)

    def connected(self, at: int, i: int, j: int, wait_ms: int, *, routed: bool) -> None:
        """Agent ``j`` has it: in time or not, if it was routed. O(1)."""
        k = self.core.interaction(i)[6]
        q = self.naming.class_names[k].queue
        self.in_hand[i] = q, -1, k, self.core.obligation(j)[0]
        level, target = self.levels.get(q), self.naming.queue_values[q].target
        if routed and level is not None and target is not None:
            level.add(at, int(wait_ms <= target.within_ms), 1)

    def abandoned(self, at: int, q: int, wait_ms: int) -> None:
        """The customer left: not in time, but for who left before ``short_abandon_ms``. O(1)."""
        level = self.levels.get(q)
        if level is not None and wait_ms >= self.naming.queue_values[q].short_abandon_ms:
            level.add(at, 0, 1)

    def finished(self, at: int, i: int, channel: str, handle_ms: int) -> None:
        """The conversation is over; a wrap-up that holds the agent's capacity is still to come. O(log buckets)."""
        row = self.in_hand.get(i)
        if row is not None:
            self.in_hand[i] = row[0], at - handle_ms, *row[2:]
            if "wrap_up" not in self.naming.capacity.values[channel].reserves:
                self.gone(at, i)

    def gone(self, at: int, i: int) -> None:
        """It is over, and counts if it was finished. O(log buckets)."""
        q, began, k, home = self.in_hand.pop(i, (-1, -1, -1, -1))
        if began < 0:
            return
        if q not in self.handled:
            self.handled[q] = HandleTimes()
        handle_ms = min(at - began, HANDLE_MAX)
        self.handled[q].add(handle_ms)
        if q in self.permilles:
            self.pairs.add(self.naming, (k, home), handle_ms)

    # Looking ---------------------------------------------------------------------------------------------------------

    def look(self, now: int) -> list[tuple[int, int]]:
        """The gauges that show something else by now, each with its number, in the order of the plan.

        O(interactions + agents + classes * groups / 64 + groups * (rules + channels)), and :func:`drain` of at most
        SETS_MAX classes and BLOCKS_MAX pools.
        """
        wanted = [q for _, of, q in self.naming.estimated if of == "wait"]
        waits = self._waits(wanted) if wanted else {}
        found = []
        for gauge, of, q in self.naming.estimated:
            value = waits.get(q) if of == "wait" else self.levels[q].share(now)
            if value is None:
                self.told.pop(gauge, None)
                value = self.core.gauge(gauge) if of == "wait" else ALL_IN_TIME
            else:
                self.told[gauge] = value
            if value != self.core.gauge(gauge):
                found.append((gauge, value))
        return found

    def longest_ms(self, q: int) -> int | None:
        """The handle time that a queue's strategy asks for; None without one, or nothing to tell. O(buckets)."""
        permille = self.permilles.get(q)
        return None if permille is None else self.quantile(q, permille)

    def longest_by_pair(self, q: int) -> tuple[tuple[int, int, int], ...]:
        """The same by class and group, where enough is known: see :meth:`omniroute.pair_times.PairTimes.quantiles`."""
        permille = self.permilles.get(q)
        if permille is None:
            return ()
        return self.pairs.quantiles(self.naming, q, permille, self.naming.queue_classes[q], lambda g: g)

    def quantile(self, q: int, permille: int) -> int | None:
        """The handle time that so many of a thousand of a queue end within, None where nobody knows. O(buckets)."""
        times = self.handled.get(q)
        return None if times is None else times.quantile(permille)

    def mean_ms(self, q: int) -> int | None:
        """How long one of a queue takes an agent, on average; before one has, as long as one of those that have.

        O(queues). None where nobody knows.
        """
        means = {other: times.mean_ms() or 0 for other, times in self.handled.items()}
        return means.get(q, rounded(sum(means.values()), len(means)) if means else None)

    def value(self, of: str, q: int) -> int | None:
        """What was last estimated of a queue; None where nothing is, or there was nothing to tell. O(conditions)."""
        gauges = (gauge for gauge, kind, queue in self.naming.estimated if (kind, queue) == (of, q))
        return self.told.get(next(gauges, -1))

    def _waits(self, wanted: list[int]) -> dict[int, int]:
        """The expected wait of queues; those of which there is nothing to tell are left out."""
        counts, several, ready = self.core.census()
        lines = self._lines(counts, several, sum(1 << g for g, count in enumerate(ready) if count), wanted)
        masks, places, blocks = _partition(lines, wanted)
        work, channels = [0] * len(masks), [0] * len(blocks)
        served = [sum(1 << b for b, block in enumerate(blocks) if block & mask) for mask in masks]
        for line, place in zip(lines, places, strict=True):
            work[place] += line.work
            for b in bits(served[place]):
                channels[b] |= line.channels
        units = [self._units(block, kinds, ready) for block, kinds in zip(blocks, channels, strict=True)]
        quantum = min(max(1, -(-max(work, default=0) // COUNT_MAX)), HANDLE_MAX)
        amounts = [min(rounded(one, quantum), COUNT_MAX) for one in work]
        drained = drain(amounts, served, units, [quantum] * len(units))
        found: dict[int, int] = {}
        for line, place in zip(lines, places, strict=True):
            wait_ms, best = drained[place], min if line.newcomer else max
            wait_ms = ENDLESS if wait_ms is None else wait_ms
            for q in line.queues:
                found[q] = best(found.get(q, wait_ms), wait_ms)
        known = {q: found.get(q, 0) for q in wanted}
        return known if self.handled else {q: wait_ms for q, wait_ms in known.items() if wait_ms == ENDLESS}

    def _lines(self, counts: list[int], several: list[tuple[int, ...]], ready: int, wanted: list[int]) -> list[_Line]:
        """Who waits and for which groups; where nobody waits in a wanted queue, a newcomer to each of its classes."""
        names = self.naming.class_names
        amounts: dict[tuple[int, ...], int] = {(k,): count for k, count in enumerate(counts) if count}
        amounts.update(Counter(several))
        present = {names[k].queue: None for classes in amounts for k in classes}
        newcomers = [
            (k,) for q in wanted if q not in present for k in self.naming.queue_classes[q] if not names[k].view.step
        ]
        means = {q: times.mean_ms() or 0 for q, times in self.handled.items()}
        usual = rounded(sum(means.values()), len(means)) if means else 0
        apart = {q: self.apart(q) for q in {**present, **dict.fromkeys(wanted)}}
        found = []
        for classes in (*amounts, *newcomers):
            first, groups = names[classes[0]], 0
            for k in classes:
                groups |= self.core.serving(k) & ready & ~apart[names[k].queue]
            count = amounts.get(classes, 0)
            work = count * means.get(first.queue, usual) * self._load(first.channel)
            queues = tuple(names[k].queue for k in classes)
            found.append(_Line(queues, groups, 1 << first.channel, work, newcomer=not count))
        return found

    def apart(self, q: int) -> int:
        """The groups that do not serve a queue now, or only because of an estimate. O(rules * groups)."""
        queue, numbers = self.naming.queue_values[q], self.naming.gauges.names
        if not queue.only_while:
            return 0
        shut = {
            condition.name: condition.of in ESTIMATED or not self.core.condition(numbers[condition.name])
            for condition in self.naming.plan.conditions
        }
        found = 0
        for g, view in enumerate(self.naming.group_views):
            rule = queue.rule_for(view.skills, view.labels)
            if rule is not None and shut[rule.condition]:
                found |= 1 << g
        return found

    def _load(self, kind: int) -> int:
        """What one interaction takes of an agent's units, at least one."""
        capacity = self.naming.capacity
        return max(1, capacity.values[capacity.kinds[kind][0]].load)

    def _units(self, groups: int, kinds: int, ready: list[int]) -> int:
        """How many units of ready agents some channels can fill: no more than fit, and than ``at_most`` allows."""
        loads = {self.naming.capacity.kinds[kind][0]: self._load(kind) for kind in bits(kinds)}
        found = 0
        for g in bits(groups):
            agent = self.naming.group_values[g]
            fits = (
                load * min(agent.units // load, agent.at_most.get(channel, agent.units))
                for channel, load in loads.items()
            )
            found += ready[g] * min(agent.units, sum(fits))
        return min(found, COUNT_MAX)

    # Copies ----------------------------------------------------------------------------------------------------------

    def state(self) -> EstimatesState:
        """Everything it knows. O(queues + in hand)."""
        return (
            [(q, times.state()) for q, times in sorted(self.handled.items())],
            [(q, level.state()) for q, level in sorted(self.levels.items())],
            [(i, *row) for i, row in sorted(self.in_hand.items())],
            sorted(self.told.items()),
            self.first_arrival,
            [(k, arrivals.state()) for k, arrivals in sorted(self.arrivals.items())],
            self.pairs.state(),
        )

    @classmethod
    def of_state(cls, core: Core, naming: Naming, state: EstimatesState) -> Estimates:
        """The estimates that had this :meth:`state`. O(state). Raises MisuseError if none can have had it."""
        found = cls(core, naming)
        handled, levels, in_hand, told, found.first_arrival, arrivals, pairs = state
        found.pairs = PairTimes.of_state(naming, pairs)
        found.arrivals = {k: Arrivals.of_state(row) for k, row in arrivals}
        found.handled = {q: HandleTimes.of_state(row) for q, row in handled}
        found.levels = {q: ServiceLevel.of_state(row) for q, row in levels}
        for i, q, began, k, home in in_hand:
            check_pair(naming, k, home, -1)
            found.in_hand[i] = q, began, k, home
        found.told = dict(told)
        return found

    def fork(self, core: Core, naming: Naming) -> Estimates:
        """The same over a copy of the core. O(state)."""
        found = Estimates(core, naming)
        found.handled = {q: times.copy() for q, times in self.handled.items()}
        found.levels = {q: ServiceLevel.of_state(level.state()) for q, level in self.levels.items()}
        found.arrivals = {k: Arrivals.of_state(arrivals.state()) for k, arrivals in self.arrivals.items()}
        found.pairs, found.first_arrival = self.pairs.copy(), self.first_arrival
        found.in_hand, found.told = self.in_hand.copy(), self.told.copy()
        return found


def _partition(lines: list[_Line], wanted: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Sets of groups for which somebody waits, the set of each line, and the groups that no set tells apart.

    At most SETS_MAX and BLOCKS_MAX: where there are more, the lines of a queue are one, then those of all queues that
    are not wanted, then all.
    """
    keys: tuple[Callable[[_Line], int], ...] = (
        lambda line: line.groups,
        lambda line: line.queues[0],
        lambda line: line.queues[0] if line.queues[0] in wanted else -1,
        lambda _: -1,
    )
    for key in keys:
        masks: dict[int, int] = {}
        for line in lines:
            masks[key(line)] = masks.get(key(line), 0) | line.groups
        blocks = _blocks(list(masks.values())) if len(masks) <= SETS_MAX else []
        if len(masks) <= SETS_MAX and len(blocks) <= BLOCKS_MAX:
            break
    number = {name: place for place, name in enumerate(masks)}
    return list(masks.values()), [number[key(line)] for line in lines], blocks


def _blocks(masks: list[int]) -> list[int]:
    """The groups of some sets, together with those that are in the same of them; more than BLOCKS_MAX end it."""
    found = [0]
    for mask in masks:
        found[0] |= mask
    for mask in masks:
        if len(found) <= BLOCKS_MAX:
            found = [part for block in found for part in (block & mask, block & ~mask) if part]
    return found
