"""Router policies of the contact-centre literature, each written down naively and played against the catalogue.

The policies are those of ContactCenters, the Java library of Buist and L'Ecuyer. A world has types of contacts and
groups of agents. An arrival looks for a free agent, else it waits; a free agent looks for somebody who waits. No two
things happen in the same millisecond, so that there is nothing to agree on but the policy.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import pytest
from test_strategies import class_view, group_view

from omniroute import (
    Agent,
    ByStep,
    Intake,
    Plan,
    Preferences,
    Priority,
    Queue,
    Router,
    Rule,
    SkillsFirst,
    Step,
    events,
)
from omniroute.core.limits import AGE_RATE_MAX, NEVER
from omniroute.errors import PlanError
from omniroute.strategies.protocol import GroupView

Served: TypeAlias = tuple[int, int, str]
"""When, which contact, and by whom."""


# The world ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class World:
    """Contacts as (arrival, type, handle time) in ms, and how many agents each group has."""

    contacts: tuple[tuple[int, int, int], ...]
    sizes: tuple[int, ...]

    def agents(self) -> list[tuple[str, int]]:
        """Names and groups of all agents, in the order in which they come."""
        return [(f"g{i}/{n}", i) for i, size in enumerate(self.sizes) for n in range(size)]


def drawn(seed: int, types: int = 3, sizes: tuple[int, ...] = (2, 1, 2), count: int = 100) -> World:
    """A busy world. Arrivals end in their own number of ms, everything else takes whole seconds: nothing coincides."""
    dice = random.Random(seed)
    at, contacts = 1_000, []
    for n in range(count):
        at += 1_000 * dice.choice((1, 1, 2, 3, 4))
        contacts.append((at + 2 * n, dice.randrange(types), 1_000 * dice.randint(2, 22)))
    return World(tuple(contacts), sizes)


@attrs.define
class Naive:
    """What a policy sees: who is free, longest idle first, and who waits, longest waiting first."""

    now: int = 0
    free: list[tuple[str, int]] = attrs.Factory(list)
    waiting: list[int] = attrs.Factory(list)
    world: World = World((), ())

    def type(self, n: int) -> int:
        """The type of a contact."""
        return self.world.contacts[n][1]

    def wait(self, n: int) -> int:
        """How long a contact has waited."""
        return self.now - self.world.contacts[n][0]

    def of(self, i: int) -> list[str]:
        """Free agents of a group, longest idle first."""
        return [name for name, group in self.free if group == i]

    def line(self, k: int) -> list[int]:
        """Who waits of a type, longest waiting first."""
        return [n for n in self.waiting if self.type(n) == k]


Agents: TypeAlias = Callable[[Naive, int], str | None]
"""Which free agent a contact gets."""
Contacts: TypeAlias = Callable[[Naive, int], int | None]
"""Which waiting contact an agent of a group gets."""


def naive(world: World, agents: Agents, contacts: Contacts, looks: Sequence[int] = ()) -> list[Served]:
    """Play a policy; contacts who wait look for an agent again after so long."""
    seen, served = Naive(world=world, free=world.agents()), []
    due: list[tuple[int, int, int, str]] = [(at, 0, n, "") for n, (at, _, _) in enumerate(world.contacts)]
    heapq.heapify(due)
    groups = dict(world.agents())

    def serve(n: int, name: str) -> None:
        seen.free.remove((name, groups[name]))
        served.append((seen.now, n, name))
        heapq.heappush(due, (seen.now + world.contacts[n][2], 1, n, name))

    while due:
        seen.now, kind, n, name = heapq.heappop(due)
        if kind == 1:
            seen.free.append((name, groups[name]))
            chosen = contacts(seen, groups[name])
            if chosen is not None:
                seen.waiting.remove(chosen)
                serve(chosen, name)
        elif kind == 0 or n in seen.waiting:
            if kind == 0:
                seen.waiting.append(n)
                for delay in looks:
                    heapq.heappush(due, (seen.now + delay, 2, n, ""))
            agent = agents(seen, n)
            if agent is not None:
                seen.waiting.remove(n)
                serve(n, agent)
    return served


Enter: TypeAlias = Callable[[Router, int, int, int], list[events.Event]]
"""How a contact of a type comes to a router: at which instant, which one, of which type."""


def enqueued(router: Router, now: int, n: int, k: int) -> list[events.Event]:
    """It comes to the queue of its type."""
    return router.enqueue(now, str(n), f"k{k}")


def routed(world: World, plan: Plan, enter: Enter = enqueued) -> list[Served]:
    """Play the same world against a router, deadline by deadline."""
    router, served = Router(plan), []
    router.sign_in_many(0, [name for name, _ in world.agents()])
    due = [(at, 0, n) for n, (at, _, _) in enumerate(world.contacts)]
    heapq.heapify(due)
    while due or router.next_deadline() is not None:
        deadline = router.next_deadline()
        if deadline is not None and (not due or deadline <= due[0][0]):
            told = router.advance(deadline)
        else:
            now, kind, n = heapq.heappop(due)
            told = enter(router, now, n, world.contacts[n][1]) if kind == 0 else router.finish(now, str(n))
        for event in told:
            if isinstance(event, events.Connected):
                n = int(event.interaction)
                served.append((event.at, n, event.agent))
                heapq.heappush(due, (event.at + world.contacts[n][2], 1, n))
    router.check()
    return served


def plan_of(world: World, strategy: Any, *, types: int = 3, **more: Any) -> Plan:
    """A queue for each type, and agents who carry their group as the label ``segment``."""
    queues = [Queue(f"k{k}", strategy=strategy, auto_accept=True, patient=True, **more) for k in range(types)]
    return Plan(queues=queues, agents=[Agent(name, labels={"segment": f"g{i}"}) for name, i in world.agents()])


TO_GROUPS = ((0, 1), (1, 2, 0), (2,))
"""By type, the groups that may serve it, the preferred one first."""
TO_TYPES = ((1, 0), (0, 1), (2, 1))
"""By group, the types that it serves, the preferred one first."""
PREFERS = {f"k{k}": {f"g{i}": rank for rank, i in enumerate(groups)} for k, groups in enumerate(TO_GROUPS)}
TAKES = {f"k{k}": {f"g{i}": types.index(k) for i, types in enumerate(TO_TYPES) if k in types} for k in range(3)}
SEEDS = pytest.mark.parametrize("seed", range(4))


def first_listed(seen: Naive, n: int) -> str | None:
    """The longest idle of the first group of the list that has anybody free."""
    return next((seen.of(i)[0] for i in TO_GROUPS[seen.type(n)] if seen.of(i)), None)


def longest_waiting(seen: Naive, i: int) -> int | None:
    """Who has waited longest of all that the group may serve."""
    return next((n for n in seen.waiting if i in TO_GROUPS[seen.type(n)]), None)


# The policies ---------------------------------------------------------------------------------------------------------


@SEEDS
def test_queue_priority(core: str, seed: int) -> None:
    """A contact goes to the first group of its list with a free agent, an agent to the first type of his that waits.

    Seen to fail: ranks of agents read where those of interactions belong.
    """

    def contacts(seen: Naive, i: int) -> int | None:
        return next((seen.line(k)[0] for k in TO_TYPES[i] if seen.line(k)), None)

    world = drawn(seed)
    strategy = Preferences(prefers=PREFERS, takes=TAKES)
    assert routed(world, plan_of(world, strategy)) == naive(world, first_listed, contacts)


@SEEDS
def test_single_fifo_queue(core: str, seed: int) -> None:
    """The same for contacts; an agent takes whoever has waited longest of all that he may serve, as in one queue."""
    world = drawn(seed)
    assert routed(world, plan_of(world, Preferences(prefers=PREFERS))) == naive(world, first_listed, longest_waiting)


@SEEDS
def test_longest_queue_first(core: str, seed: int) -> None:
    """An agent takes the head of the longest queue that he may serve; of equally long ones, whoever came first.

    Seen to fail: the length weighed as ever beside the age.
    """

    def contacts(seen: Naive, i: int) -> int | None:
        heads = [seen.line(k)[0] for k in range(3) if i in TO_GROUPS[k] and seen.line(k)]
        return min(heads, key=lambda n: (-len(seen.line(seen.type(n))), n), default=None)

    world = drawn(seed)
    strategy = Preferences(prefers=PREFERS, first="longest_queue")
    assert routed(world, plan_of(world, strategy)) == naive(world, first_listed, contacts)


@SEEDS
def test_longest_weighted_wait(core: str, seed: int) -> None:
    """An agent takes the head with the greatest weight times wait. Seen to fail with weights of 1."""
    weights = (1, 7, 3)

    def contacts(seen: Naive, i: int) -> int | None:
        heads = [seen.line(k)[0] for k in range(3) if i in TO_GROUPS[k] and seen.line(k)]
        return min(heads, key=lambda n: (-weights[seen.type(n)] * seen.wait(n), n), default=None)

    world = drawn(seed)
    strategy = Preferences(prefers=PREFERS, weights={f"k{k}": weight for k, weight in enumerate(weights)})
    assert routed(world, plan_of(world, strategy)) == naive(world, first_listed, contacts)


@SEEDS
def test_queue_at_last_group(core: str, seed: int) -> None:
    """Who finds nobody free waits for the last group of the list only, in one line for each group.

    Seen to fail: everybody of the list asked for as long as it waits.
    """

    def contacts(seen: Naive, i: int) -> int | None:
        return next((n for n in seen.waiting if TO_GROUPS[seen.type(n)][-1] == i), None)

    last = {f"k{k}": {f"g{groups[-1]}": 0} for k, groups in enumerate(TO_GROUPS)}
    strategy = ByStep(stages={0: Preferences(prefers=PREFERS), 1: Preferences(prefers=last)})
    world = drawn(seed)
    plan = plan_of(world, strategy, steps=[Step("1ms", tier=0)])
    assert routed(world, plan) == naive(world, first_listed, contacts)


OUT = ((0, 0, 1), (1, 0, None), (0, 1, 1))
IN = ((0, 1, 0), (0, 0, None), (1, 1, 0))
"""Ranks by type, then group; None where they never meet."""


def table(ranks: Sequence[Sequence[int | None]]) -> dict[str, dict[str, int]]:
    """Ranks as the strategy has them."""
    return {f"k{k}": {f"g{i}": rank for i, rank in enumerate(row) if rank is not None} for k, row in enumerate(ranks)}


def least_rank(delays: Sequence[Sequence[int]] | None = None) -> tuple[Agents, Contacts]:
    """Agents of the least rank, the longest idle of them; contacts of the least rank, the longest waiting of them."""

    def open_(seen: Naive, n: int, i: int) -> bool:
        k = seen.type(n)
        return OUT[k][i] is not None and (delays is None or seen.wait(n) >= delays[k][i])

    def agents(seen: Naive, n: int) -> str | None:
        able = [(OUT[seen.type(n)][i], at, name) for at, (name, i) in enumerate(seen.free) if open_(seen, n, i)]
        return min(able)[2] if able else None  # type: ignore[type-var]

    def contacts(seen: Naive, i: int) -> int | None:
        able = [(IN[seen.type(n)][i], n) for n in seen.waiting if open_(seen, n, i)]
        return min(able)[1] if able else None  # type: ignore[type-var]

    return agents, contacts


@SEEDS
def test_agents_preference(core: str, seed: int) -> None:
    """Ranks in both directions, several groups or types of a rank alike. Seen to fail: one table for both."""
    world = drawn(seed)
    strategy = Preferences(prefers=table(OUT), takes=table(IN))
    assert routed(world, plan_of(world, strategy)) == naive(world, *least_rank())


@SEEDS
def test_agents_preference_with_delays(core: str, seed: int) -> None:
    """The same, and each pair only from a wait on; then the contact looks for an agent again.

    Seen to fail: the longest delay of a row for all of it.
    """
    waits = ((0, 9_000, 4_000), (6_000, 0, 0), (0, 12_000, 2_000))
    delays = {f"k{k}": {f"g{i}": f"{wait}ms" for i, wait in enumerate(row)} for k, row in enumerate(waits)}
    world = drawn(seed)
    strategy = Preferences(prefers=table(OUT), takes=table(IN), delays=delays)  # type: ignore[arg-type]
    looks = sorted({wait for row in waits for wait in row if wait})
    assert routed(world, plan_of(world, strategy)) == naive(world, *least_rank(waits), looks)


@pytest.mark.parametrize("delay", [0, 10_000])
@SEEDS
def test_local_specialist(core: str, seed: int, delay: int) -> None:
    """Own region first, others after a delay; among them who has fewest skills; an agent takes his own region first.

    Type ``k`` comes from region ``k``; each agent has his region and a number of skills. Seen to fail: skills compared
    before regions.
    """
    skills = {name: 1 + at % 3 for at, (name, _) in enumerate(drawn(seed).agents())}

    def agents(seen: Naive, n: int) -> str | None:
        k, late = seen.type(n), seen.wait(n) >= delay
        able = [(i != k, skills[name], at, name) for at, (name, i) in enumerate(seen.free) if late or i == k]
        return min(able)[3] if able else None

    def contacts(seen: Naive, i: int) -> int | None:
        able = [(seen.type(n) != i, n) for n in seen.waiting if seen.type(n) == i or seen.wait(n) >= delay]
        return min(able)[1] if able else None

    world = drawn(seed)
    members = [
        Agent(
            name,
            skills={f"s{number}": 1 for number in range(skills[name])},
            queues={f"k{k}": int(k != i) for k in range(3)},
            delays={f"k{k}": delay for k in range(3) if k != i},
        )
        for name, i in world.agents()
    ]
    plan = attrs.evolve(plan_of(world, SkillsFirst(fit="any", specialist_first=True)), agents=members)
    assert routed(world, plan) == naive(world, agents, contacts, [delay] if delay else [])


@SEEDS
def test_queue_ratio_overflow(core: str, seed: int) -> None:
    """On arrival, group by group: a free agent, else its line while (its length + 1) / its agents is at most a target.

    A line of waiting for each group; rules of the intake say when it is short enough for the agents whom the group has
    by plan, and where no line is, they name the last one. Seen to fail: thresholds one too high.
    """
    target, sizes = 1.0, (2, 1, 2)
    world = drawn(seed, types=2, sizes=sizes)
    lists = ((0, 1), (1, 2))
    most = [int(target * size) - 1 for size in sizes]
    lines: dict[int, int] = {}

    def agents(seen: Naive, n: int) -> str | None:
        if n in lines:
            return None
        for i in lists[seen.type(n)]:
            if seen.of(i):
                return seen.of(i)[0]
            if sum(lines.get(other) == i for other in seen.waiting) <= most[i]:
                lines[n] = i
                return None
        lines[n] = lists[seen.type(n)][-1]
        return None

    def contacts(seen: Naive, i: int) -> int | None:
        return next((n for n in seen.waiting if lines[n] == i), None)

    rules = [
        Rule(f"{k}, {i}", when=f"type == {k} and (`available:g{i}` >= 1 or `waiting:g{i}` <= {most[i]})", queue=f"g{i}")
        for k, groups in enumerate(lists)
        for i in groups
    ]
    rules += [Rule(f"{k}, else", when=f"type == {k}", queue=f"g{groups[-1]}") for k, groups in enumerate(lists)]
    plan = Plan(
        queues=[Queue(f"g{i}", auto_accept=True) for i in range(3)],
        agents=[Agent(name, queues=[f"g{i}"]) for name, i in world.agents()],
        intake=Intake(rules=rules, default=Rule("default", queue="g0")),
    )

    def arrive(router: Router, now: int, n: int, k: int) -> list[events.Event]:
        return router.arrive(now, str(n), context={"type": k})

    assert routed(world, plan, arrive) == naive(world, agents, contacts)


SETS: tuple[tuple[tuple[int, ...], ...], ...] = (((0, 1), (2,)), ((1, 2), (0,)))
"""By type, sets of groups of one rank."""


def on_arrival(world: World, intake: Intake) -> Plan:
    """A queue for each group, and an intake that chooses one."""
    queues = [Queue(f"g{i}", auto_accept=True) for i in range(3)]
    return Plan(queues=queues, agents=[Agent(name, queues=[f"g{i}"]) for name, i in world.agents()], intake=intake)


def arrive_as(router: Router, now: int, n: int, k: int) -> list[events.Event]:
    """It comes to the intake, which knows its type."""
    return router.arrive(now, str(n), context={"type": k})


@SEEDS
def test_queue_ratio_overflow_with_all_its_phases(core: str, seed: int) -> None:
    """Set by set: the longest idle of its groups, else the least ratio if it is at most the target; else of them all.

    A ratio is that of the line with the newcomer to the agents of the group. Seen to fail: lines without the newcomer,
    the greatest ratio, and the second phase over the last set only.
    """
    target, sizes = 0.5, (2, 1, 2)
    world = drawn(seed, types=2, sizes=sizes, count=150)
    lines: dict[int, int] = {}

    def ratio(seen: Naive, i: int) -> float:
        return (sum(lines.get(other) == i for other in seen.waiting) + 1) / sizes[i]

    def agents(seen: Naive, n: int) -> str | None:
        groups = SETS[seen.type(n)]
        for set_ in groups:
            idle = [name for name, i in seen.free if i in set_]
            if idle:
                return idle[0]
            best = min(set_, key=lambda i: ratio(seen, i))
            if ratio(seen, best) <= target:
                lines[n] = best
                return None
        lines[n] = min((i for set_ in groups for i in set_), key=lambda i: ratio(seen, i))
        return None

    def contacts(seen: Naive, i: int) -> int | None:
        return next((n for n in seen.waiting if lines[n] == i), None)

    rules = []
    for k, groups in enumerate(SETS):
        for x, set_ in enumerate(groups):
            names = [f"g{i}" for i in set_]
            idle = " or ".join(f"`available:{name}` >= 1" for name in names)
            short = " or ".join(f"`ratio:{name}` <= 500" for name in names)
            least: Any = "ratio" if len(names) > 1 else None
            rules += [Rule(f"{k}, {x}, idle", when=f"type == {k} and ({idle})", queue=names)]
            rules += [Rule(f"{k}, {x}, line", when=f"type == {k} and ({short})", queue=names, least=least)]
        everybody = [f"g{i}" for set_ in groups for i in set_]
        rules += [Rule(f"{k}, any", when=f"type == {k}", queue=everybody, least="ratio")]
    plan = on_arrival(world, Intake(rules, default=Rule("else", queue="g0")))
    assert routed(world, plan, arrive_as) == naive(world, agents, contacts)
    assert len(set(lines.values())) == 3, "every line was the shortest once"


@SEEDS
def test_expected_delay(core: str, seed: int) -> None:
    """On arrival the group with the least expected delay over the weight of the type for it, and no way back.

    Nobody waits who finds a free agent; a line takes its mean handle time so far for each in it and the newcomer,
    shared by its agents. Seen to fail: weights the other way round, and lines without the newcomer.
    """
    sizes, weights = (2, 1, 3), ((4, 1, 2), (1, 3, 1))
    world = drawn(seed, types=2, sizes=sizes, count=150)
    lines: dict[int, int] = {}
    ends: list[tuple[int, int, int]] = []

    def mean(now: int, i: int) -> int:
        done: dict[int, list[int]] = {}
        for end, group, handle in ends:
            if end < now:
                done.setdefault(group, []).append(handle)
        means = {group: (2 * sum(times) + len(times)) // (2 * len(times)) for group, times in done.items()}
        return means.get(i, (2 * sum(means.values()) + len(means)) // (2 * len(means)) if means else 300_000)

    def delay(seen: Naive, i: int) -> int:
        line = sum(lines[other] == i for other in seen.waiting if other in lines) + 1
        return 0 if seen.of(i) else -(-line * mean(seen.now, i) // sizes[i])

    def agents(seen: Naive, n: int) -> str | None:
        own = weights[seen.type(n)]
        i = lines[n] = min(range(3), key=lambda i: delay(seen, i) / own[i])
        return begun(seen, n, i, seen.of(i)[0]) if seen.of(i) else None

    def begun(seen: Naive, n: int, i: int, name: str) -> str:
        ends.append((seen.now + world.contacts[n][2], i, world.contacts[n][2]))
        return name

    def contacts(seen: Naive, i: int) -> int | None:
        n = next((n for n in seen.waiting if lines[n] == i), None)
        if n is not None:
            begun(seen, n, i, "")
        return n

    names = [f"g{i}" for i in range(3)]
    rules = [
        Rule(f"{k}", when=f"type == {k}", queue=names, least="delay", weights=dict(zip(names, own, strict=True)))
        for k, own in enumerate(weights)
    ]
    plan = on_arrival(world, Intake(rules, default=Rule("else", queue="g0")))
    assert routed(world, plan, arrive_as) == naive(world, agents, contacts)
    assert len(set(lines.values())) == 3, "every line was the shortest once"


def test_the_shortest_of_all_lines_by_hand(core: str) -> None:
    """Worked out by hand: two agents near, one far, who takes a call of 60 s once and then is busy.

    ====  ==================  =================  ==========================  ===========================
    call  ratio near (of 2)   ratio far (of 1)   by ratio                    by delay
    ====  ==================  =================  ==========================  ===========================
    1     1/2                 1/1                near, though all are free   near, the first of two at 0
    2     1/2                 1/1                near                        near, one is free still
    3     1/2                 1/1                near, waits                 far, is free
    4     2/2 (1/2 by delay)  1/1                near, the first of equals   near: 30 s against 60 s
    5     3/2 (2/2)           1/1                far                         near: 60 s, and 60 s far
    ====  ==================  =================  ==========================  ===========================

    The call of 60 s is what makes a mean of 60 s for both. Seen to fail: the last of equals.
    """
    found = {}
    for least in ("ratio", "delay"):
        plan = Plan(
            queues=[Queue("near", auto_accept=True), Queue("far", auto_accept=True)],
            agents=[Agent("a", queues=["near"]), Agent("b", queues=["near"]), Agent("c", queues=["far"])],
            intake=Intake([], default=Rule("else", queue=["near", "far"], least=least)),
        )
        router = Router(plan)
        router.sign_in_many(0, ["a", "b", "c"])
        router.enqueue(0, "0", "far")
        router.finish(60_000, "0")
        for n in range(1, 6):
            router.arrive(61_000, str(n))
        found[least] = [router.interaction(str(n)).queues[0] for n in range(1, 6)]
    assert found == {
        "ratio": ["near", "near", "near", "near", "far"],
        "delay": ["near", "near", "far", "near", "near"],
    }


def test_by_chance_in_proportion_to_weight_over_delay(core: str) -> None:
    """Of lines of 1/1 and 1/3 with weights 1 and 2, the second is chosen six times of seven; replayed, the same.

    Two standard errors of a share of 2,000 are .016. Seen to fail: the number of the queue left out of the draw.
    """
    rule = Rule("else", queue=["one", "three"], least="ratio", weights={"three": 2}, random=True)
    plan = Plan(
        queues=[Queue("one"), Queue("three")],
        agents=[Agent("a", queues=["one"]), *(Agent(name, queues=["three"]) for name in "bcd")],
        agent_seed=7,
        intake=Intake([], default=rule),
    )
    seen = []
    for _ in range(2):
        router = Router(plan)
        for name in "abcd":
            router.sign_in(0, name, ready=False)
        chosen = []
        for n in range(2_000):
            router.arrive(n, str(n))
            chosen.append(router.interaction(str(n)).queues[0])
            router.leave(n, str(n))
        seen.append(chosen)
    assert seen[0] == seen[1]
    assert abs(seen[0].count("three") / 2_000 - 6 / 7) < 0.016


def test_last_call_by_hand(core: str) -> None:
    """Who would not be done at closing goes elsewhere, worked out by hand.

    Calls last 10 min, of which a sketch knows 3 % less or more; the queue closes at 60. Somebody free: too late from 50
    on. Ana busy and one waiting before: 2 * 10 + 10 min, too late from 30 on. Another closing moves that, and once it
    is closed and open again nobody knows. Seen to fail: the delay left out; and closings left out of a snapshot.
    """
    minute = 60_000
    rule = Rule("last call", "spare:support < 0", queue="later")
    plan = Plan(
        queues=[Queue("support", auto_accept=True), Queue("later")],
        agents=[Agent("ana", queues=["support"])],
        intake=Intake([rule], default=Rule("else", queue="support")),
    )
    router = Router(plan)
    assert router.open_queue(0, "support", until=60 * minute)[0].until == 60 * minute  # type: ignore[union-attr]
    router.sign_in(0, "ana")
    router.enqueue(0, "first", "support")
    router.finish(10 * minute, "first")

    def goes(at: int) -> str:
        there = Router.restore(router.snapshot())
        assert there.digest() == router.digest()
        there.arrive(at, "x")
        return there.interaction("x").queues[0]

    assert [goes(at * minute) for at in (49, 51)] == ["support", "later"]
    router.enqueue(11 * minute, "in hand", "support")
    router.enqueue(11 * minute, "waits", "support")
    assert [goes(at * minute) for at in (29, 31)] == ["support", "later"]
    router.open_queue(12 * minute, "support", until=70 * minute)
    assert [goes(at * minute) for at in (39, 41)] == ["support", "later"]
    assert isinstance(router.open_queue(12 * minute, "support", until=70 * minute)[0], events.Rejected)
    router.close_queue(13 * minute, "support")
    router.open_queue(14 * minute, "support")
    assert goes(300 * minute) == "support"


STAGES: tuple[tuple[int, Mapping[int, Mapping[int, int]], Mapping[int, Mapping[int, int]]], ...] = (
    (0, {0: {0: 0}, 1: {1: 0, 0: 1}, 2: {2: 0}}, {0: {0: 1}, 1: {1: 0, 0: 2}, 2: {2: 1}}),
    (5_000, {0: {0: 0, 1: 1}, 1: {1: 0}, 2: {2: 0, 1: 0}}, {0: {0: 1, 1: 1}, 1: {1: 0}, 2: {2: 1, 1: 3}}),
    (14_000, {0: {0: 0, 1: 0, 2: 0}, 1: {1: 0, 2: 0}, 2: {2: 0}}, {0: {0: 0, 1: 0, 2: 0}, 1: {1: 0, 2: 2}, 2: {2: 0}}),
)
"""From which wait on, ranks of groups and ranks in the lines of groups, both by type; a group left out is not asked."""


@SEEDS
def test_overflow_and_priority(core: str, seed: int) -> None:
    """Stages of waiting, each with ranks of groups and ranks in the lines of groups; some groups are left again.

    Seen to fail: the stage before, and the tables of the first stage for whoever waits in a later one.
    """

    def stage(seen: Naive, n: int) -> int:
        return max(at for at, (since, _, _) in enumerate(STAGES) if seen.wait(n) >= since)

    def agents(seen: Naive, n: int) -> str | None:
        ranks = STAGES[stage(seen, n)][1][seen.type(n)]
        able = [(ranks[i], at, name) for at, (name, i) in enumerate(seen.free) if i in ranks]
        return min(able)[2] if able else None

    def contacts(seen: Naive, i: int) -> int | None:
        ranks = {n: STAGES[stage(seen, n)][2][seen.type(n)] for n in seen.waiting}
        able = [(ranks[n][i], n) for n in seen.waiting if i in ranks[n]]
        return min(able)[1] if able else None

    def named(ranks: Mapping[int, Mapping[int, int]]) -> dict[str, dict[str, int]]:
        return {f"k{k}": {f"g{i}": rank for i, rank in row.items()} for k, row in ranks.items()}

    stages = {at: Preferences(prefers=named(out), takes=named(in_)) for at, (_, out, in_) in enumerate(STAGES)}
    steps = [Step(since, tier=0) for since, _, _ in STAGES[1:]]
    world = drawn(seed)
    plan = plan_of(world, ByStep(stages=stages), steps=steps)  # type: ignore[arg-type]
    assert Plan.from_toml_text(plan.to_toml()) == plan
    assert routed(world, plan) == naive(world, agents, contacts, [5_000, 14_000])


def test_the_worlds_are_hard_enough() -> None:
    """The policies above decide differently in these worlds: more than half of the contacts wait, and none agree."""
    world = drawn(0)
    found = [
        routed(world, plan_of(world, strategy))
        for strategy in (
            Preferences(prefers=PREFERS, takes=TAKES),
            Preferences(prefers=PREFERS),
            Preferences(prefers=PREFERS, first="longest_queue"),
            Preferences(prefers=PREFERS, weights={"k1": 7, "k2": 3}),
            Preferences(prefers=table(OUT), takes=table(IN)),
        )
    ]
    for served in found:
        assert sum(at > world.contacts[n][0] for at, n, _ in served) > len(world.contacts) / 2
    assert len({tuple(served) for served in found}) == len(found)


# What they answer -----------------------------------------------------------------------------------------------------


def group(segment: str | None = None, **delays: int) -> GroupView:
    """A group of one unit, with or without a segment."""
    labels: dict[str, Any] = {} if segment is None else {"segment": segment}
    return GroupView(skills={}, labels=labels, queues=None, units=1, delays=delays)


def test_rows_and_cells_by_name() -> None:
    """What is needed comes before the queue, the label before any; who is left out is closed; own delays count.

    Seen to fail: a class without a row closed to everybody.
    """
    strategy = Preferences(
        prefers={"es": {"a": 3}, "q": {"a": 1, "*": 2}},
        takes={"q": {"a": 5, "b": 6}},
        delays={"*": {"a": "2s"}},
        weights={"q": 4},
    )
    classes = [class_view("es", "p"), class_view("", "q"), class_view("", "r")]
    found = strategy.tables(classes, [group("a"), group("b", q=9_000), group()])
    assert list(found.rank_out or ()) == [3, 0, 0, 1, 2, 2, 0, 0, 0]
    assert list(found.rank_in or ()) == [0, 0, 0, 5, 6, 0, 0, 0, 0]
    assert list(found.opens or ()) == [2_000, NEVER, NEVER, 2_000, 9_000, NEVER, 2_000, 0, 0]
    assert (list(found.age_rate or ()), list(found.length_rate or ())) == ([1, 4, 1], [0, 0, 0])


def test_stages_answer_for_their_classes() -> None:
    """Each class gets the row of its stage, whatever columns the stages have, and rows do not depend on neighbours.

    Place and agent key are those of stage 0. Seen to fail: rows of a stage the other way round; a later stage's place.
    """
    late = Preferences(weights={"es": 9}, delays={"es": {"*": "1s"}}, prefers={"fr": {"*": 7}})
    strategy = ByStep(stages={0: "skills_first", 2: late})
    asked = ((2, "es"), (0, "es"), (3, "fr"), (1, "es >= 2"))
    views = [attrs.evolve(class_view(needs), step=step) for step, needs in asked]
    groups = [group_view(es=3), group_view(es=2, fr=1)]
    found = strategy.tables(views, groups)
    assert list(found.opens or ()) == [1_000, 1_000, 0, 0, 0, 0, 0, 0]
    assert list(found.age_rate or ()) == [9, 1, 1, 1]
    over = list(SkillsFirst().tables([views[1], views[3]], groups).rank_out or ())
    assert list(found.rank_out or ()) == [0, 0, *over[:2], 7, 7, *over[2:]]
    for k, view in enumerate(views):
        alone = strategy.tables([view], groups)
        assert list(alone.rank_out or ()) == list(found.rank_out or ())[2 * k : 2 * k + 2]
    assert ByStep(stages={"0": "skills_first"}) == ByStep(stages={0: SkillsFirst()})
    key = SkillsFirst(agent_key="fewest_handled")
    for stages in ({0: Priority(), 2: key}, {0: key, 2: Priority()}):
        both = ByStep(stages=stages)
        assert (both.place(3), both.agent_key) == (stages[0].place(3), stages[0].agent_key)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Preferences(prefers=3), "prefers"),  # type: ignore[arg-type]
        (lambda: Preferences(prefers={"q": {"a": -1}}), "prefers.q.a"),
        (lambda: Preferences(takes={"q": 3}), "takes.q"),  # type: ignore[dict-item]
        (lambda: Preferences(delays={"q": {"a": "25d"}}), "delays.q.a"),
        (lambda: Preferences(delays={"q": {"a": None}}), "delays.q.a"),  # type: ignore[dict-item]
        (lambda: Preferences(weights={"q": AGE_RATE_MAX + 1}), "weights.q"),
        (lambda: Preferences(first="oldest"), "first"),  # type: ignore[arg-type]
        (lambda: ByStep(stages={1: "priority"}), "stages"),
        (lambda: ByStep(stages={0: "priority", "00": "priority"}), "stages.00"),
        (lambda: ByStep(stages={"x": "priority"}), "stages.x"),
        (lambda: ByStep(stages={0: "revenue"}), "stages.0"),
        (lambda: ByStep(stages={0: {"name": "priority", "tiers": 3}}), "stages.0.tiers"),
        (lambda: ByStep(stages=[3]), "stages"),
    ],
)
def test_wrong_knobs_are_named(build: Any, field: str) -> None:
    """A knob that cannot be is refused with its name."""
    with pytest.raises(PlanError) as raised:
        build()
    assert raised.value.field == field
