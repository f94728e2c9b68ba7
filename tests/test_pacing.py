"""How many customers may be approached: what is counted, the promise in simulated futures, and what a day earns."""

from __future__ import annotations

import heapq
import math

import attrs
import numpy as np
import pytest
from cores import CORES, kernel_only, using
from hypothesis import given, settings
from hypothesis import strategies as st
from pacing_world import Day, Host

from omniroute import Agent, Channel, Plan, Queue, Router, Step, Target
from omniroute.core.estimate import Arrivals, HandleTimes, memory
from omniroute.errors import MisuseError, PlanError, TimeError, UnknownNameError
from omniroute.strategies.pacing import Prospect, Room, room
from omniroute.world.demo import demo_day
from omniroute.world.streams import HOUR_MS

MEAN_MS = 180_000
AT = 3_600_000


def plan(agents: int = 60, **more: object) -> Plan:
    """One queue, agents who accept at once."""
    settings = {"auto_accept": True, **more}
    queue = Queue("q", **settings)  # type: ignore[arg-type]
    return Plan(queues=[queue], agents=[Agent(f"a{n}") for n in range(agents)], paced=True)


def learnt(asked: Plan, busy: int, waiting: int, *, seed: int = 1, per_hour: int = 120, queue: str = "q") -> Router:
    """A router that has seen an hour of arrivals with exponential handle times; then ``busy`` are busy, some wait."""
    dice, router = np.random.default_rng(seed), Router(asked)
    router.sign_in_many(0, [agent.id for agent in asked.agents])
    steps = [(int(at), 0, n) for n, at in enumerate(np.sort(dice.integers(0, AT - 1, per_hour)))]
    while steps:
        at, kind, n = heapq.heappop(steps)
        if kind:
            router.finish(at, f"h{n}")
            continue
        router.enqueue(at, f"h{n}", queue)
        heapq.heappush(steps, (min(AT, at + 1 + round(float(dice.exponential(MEAN_MS)))), 1, n))
    for n in range(busy):
        router.occupy(AT, f"b{n}", asked.agents[n].id, queue)
    for n in range(waiting):
        router.enqueue(AT, f"w{n}", queue)
    router.advance(AT + 30_000)
    assert router.queue(queue).waiting == waiting
    return router


def kept(router: Router, busy: int, approached: int, dice: np.random.Generator) -> bool:
    """Whether nobody waits at the end of a horizon in one future: memoryless handle times, Poisson arrivals."""
    take, within_ms, per_ms = 0.5, 60_000, 120 / HOUR_MS
    future, start = router.fork(), router.now
    steps: list[tuple[int, int, str]] = []
    for n in range(busy):
        heapq.heappush(steps, (start + 1 + round(float(dice.exponential(MEAN_MS))), 0, f"b{n}"))
    coming = [start] * int(dice.binomial(approached, take))
    coming += [start + int(at) for at in dice.integers(1, within_ms, dice.poisson(per_ms * within_ms))]
    for n, at in enumerate(coming):
        heapq.heappush(steps, (at, 1, f"n{n}"))
    while steps and steps[0][0] <= start + within_ms:
        at, kind, name = heapq.heappop(steps)
        told = future.finish(at, name) if not kind else future.enqueue(at, name, "q")
        for event in told:
            if type(event).__name__ == "Connected":
                length = 1 + round(float(dice.exponential(MEAN_MS)))
                heapq.heappush(steps, (event.at + length, 0, event.interaction))  # type: ignore[union-attr]
    future.advance(start + within_ms)
    return not future.queue("q").waiting


# What is counted -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=40), st.integers(0, 9_000))
def test_arrivals_fade_by_half(gaps: list[int], after: int) -> None:
    """A count is the sum of the weights of what came, and the memory what that sum is at one arrival for each ms.

    Seen to fail: halvings counted from the last addition, not between half-lives.
    """
    half_life, found, at = 1_500, Arrivals(1_500), 0
    times = []
    for gap in gaps:
        at += gap
        found.add(at)
        times.append(at)
    now = at + after
    exact = sum(2.0 ** ((time - now) / half_life) for time in times)
    assert found.count(now) == pytest.approx(1_000 * exact, abs=1, rel=1e-6)
    assert memory(now, half_life) == pytest.approx(half_life / math.log(2) * (1 - 2.0 ** (-now / half_life)), abs=1)
    assert Arrivals.of_state(found.state()) == found
    with pytest.raises(TimeError):
        found.add(at - 1)
    for wrong in ((1_500, 0), (0, 0, 0), (1_500, -1, 0), (1_500, 0, -1)):
        with pytest.raises(MisuseError):
            Arrivals.of_state(wrong)


@given(st.lists(st.integers(0, 2**25), min_size=1, max_size=60), st.integers(0, 2**25))
def test_how_many_last_longer(values: list[int], asked: int) -> None:
    """What lasted longer is told to the width of a bucket, 6 %, and never rises.

    Seen to fail: the bucket of the value itself left out.
    """
    times = HandleTimes()
    assert times.beyond(asked) == 0
    for value in values:
        times.add(value)
    share = times.beyond(asked) / 1_000_000
    assert share <= sum(value >= min(asked / 1.06 - 257, 2**24) for value in values) / len(values) + 1e-6
    assert share >= sum(value > asked * 1.06 + 257 for value in values if value < 2**24) / len(values) - 1e-6
    assert times.beyond(asked + 1_000) <= times.beyond(asked)
    assert times.beyond(0) == 1_000_000


def exact(prospect: Prospect, take: float, sure: float, invited: int) -> int:
    """The same by enumeration of everything that can happen, without arrivals."""
    outcomes = {prospect.available: 1.0}

    def step(before: dict[int, float], amount: int, chance: float) -> dict[int, float]:
        after: dict[int, float] = {}
        for value, weight in before.items():
            after[value] = after.get(value, 0.0) + weight * (1 - chance)
            after[value + amount] = after.get(value + amount, 0.0) + weight * chance
        return after

    for chance, places in prospect.releases:
        outcomes = step(outcomes, places, chance)
    for chance, places in prospect.waiting:
        outcomes = step(outcomes, -places, chance)
    for n in range(invited + 400):
        if n == invited and sum(weight for value, weight in outcomes.items() if value >= prospect.size) < sure:
            return 0
        if sum(weight for value, weight in outcomes.items() if value >= 0) < sure:
            return max(0, n - 1 - invited)
        outcomes = step(outcomes, -prospect.size, take * prospect.share)
    raise AssertionError("there is no end")


CHANCE = st.floats(0.4, 1.0)
PARTS = st.lists(st.tuples(CHANCE, st.integers(1, 3)), max_size=6).map(tuple)


@given(st.integers(0, 4), PARTS, PARTS, CHANCE, CHANCE, st.integers(1, 2), st.floats(0.3, 0.97), st.integers(0, 3))
@settings(max_examples=60)
def test_it_is_the_greatest_number_that_keeps_the_promise(
    available: int,
    releases: tuple[tuple[float, int], ...],
    waiting: tuple[tuple[float, int], ...],
    take: float,
    share: float,
    size: int,
    sure: float,
    invited: int,
) -> None:
    """Against enumeration of everything that may end, come and be taken; nobody where even one would not be taken.

    Seen to fail: one too many where the chance falls from one number to the next, invited ones left out, many
    approached with nobody there because hardly one in a hundred comes.
    """
    more = {"releases": releases, "waiting": waiting, "share": share, "size": size}
    seen = Prospect(available=available, watched_ms=1_000, within_ms=100, **more)  # type: ignore[arg-type]
    found = room([seen], sure=sure, take=take, invited=invited)
    assert found.count in {exact(seen, take, sure * (1 - 1e-9), invited), exact(seen, take, sure * (1 + 1e-9), invited)}
    rest = found.available + found.releasing - found.waiting - found.arriving - found.coming
    assert found.reserve == pytest.approx(rest)
    least = room([seen, attrs.evolve(seen, available=available // 2, queue="half")], sure=sure, take=take)
    assert least.count <= room([seen], sure=sure, take=take).count
    assert room([seen], sure=sure, take=take, short=("q",)).count == 0
    assert room([attrs.evolve(seen, available=0, releases=())], sure=sure, take=0.01).count == 0


def test_arrivals_are_poisson_of_a_rate_that_is_not_known() -> None:
    """Much seen over long is Poisson; the same rate seen for a moment only leaves more in reserve."""
    known = Prospect(available=30, arrived={1: 10_000.0}, watched_ms=1_000_000, within_ms=1_000)
    mass, upto = 0.0, 30
    for n in range(31):
        mass += math.exp(-10 + n * math.log(10) - math.lgamma(n + 1))
        if mass >= 0.9:
            upto = n
            break
    assert room([known], sure=0.9, take=1.0).count == 30 - upto
    guessed = attrs.evolve(known, arrived={1: 10.0}, watched_ms=1_000)
    assert room([guessed], sure=0.9, take=1.0).count < 30 - upto


# Through the router --------------------------------------------------------------------------------------------------


def test_without_data_there_is_no_answer() -> None:
    """Where nothing is kept, or nobody has come yet, the answer is None and not 0; what is asked wrongly is refused."""
    unkept = Router(attrs.evolve(plan(1), paced=False))
    unkept.sign_in(0, "a0")
    unkept.enqueue(1, "x", "q")
    assert unkept.room("q") is None
    router = Router(plan(3))
    router.sign_in_many(0, ["a0", "a1", "a2"])
    assert router.room("q") is None
    router.enqueue(60_000, "x", "q")
    assert router.room("q") is None
    router.advance(600_000)
    found = router.room("q")
    assert found is not None
    assert (found.available, found.releasing, found.count) == (2, 0.0, 2)
    for wrong in ({"sure": 1.0}, {"sure": 0}, {"take": 0.0}, {"take": 1.1}, {"take": math.nan}, {"invited": -1}):
        with pytest.raises((MisuseError, PlanError)):
            router.room("q", **wrong)  # type: ignore[arg-type]
    assert router.room("q", sure="95%", take=0.3) == router.room("q", sure=0.95, take="30%")
    for within in ("0s", "soon", -1):
        with pytest.raises(PlanError):
            router.room("q", within=within)
    with pytest.raises(UnknownNameError):
        router.room("r")
    with pytest.raises(UnknownNameError):
        router.room("q", channel="fax")
    router.close_queue(600_000, "q")
    shut = router.room("q", take=0.01)
    assert shut is not None
    assert (shut.count, shut.available) == (0, 0)
    router.change_plan(600_001, attrs.evolve(plan(3), paced=False))
    assert router.room("q") is None
    with pytest.raises(PlanError):
        plan(1).__class__(queues=[Queue("q")], paced=1)  # type: ignore[arg-type]
    assert Plan.from_toml_text(plan(1).to_toml()).paced


def test_the_first_moment_is_answered_as_soon_as_any_other() -> None:
    """Few arrivals in a millisecond may mean anything for an hour: nobody is approached, and no time is spent on it.

    Seen to fail, by not ending: every number of arrivals looked at that was not impossible (30 million).
    """
    router = Router(plan(30))
    router.sign_in_many(0, [f"a{n}" for n in range(30)])
    for n in range(5):
        router.enqueue(1_000, f"x{n}", "q")
    router.advance(1_001)
    found = router.room("q", within="1h")
    assert found is not None
    assert (found.count, found.available) == (0, 25)
    assert found.arriving > 1_000_000


def test_asking_moves_nothing_and_the_answer_survives() -> None:
    """Both cores answer alike, so do a copy and what is restored, and the state is what it was."""
    answers = []
    for core in CORES:
        with using(core):
            router = learnt(plan(), 30, 0)
            before = router.digest()
            answers.append(router.room("q", within="1m", take=0.5))
            assert router.digest() == before
            assert Router.restore(router.snapshot()).room("q", within="1m", take=0.5) == answers[-1]
            assert router.fork().room("q", within="1m", take=0.5) == answers[-1]
    assert answers[0] == answers[-1]
    assert answers[0] is not None
    assert answers[0].count > 30


def test_who_is_counted() -> None:
    """Only ready agents of this queue with room, who open in time; a call takes both places of a chat agent.

    Seen to fail: an agent who is not ready counted, one counted whose pair opens too late, loads left out.
    """
    queues = [Queue("chat", needs="chat", auto_accept=True), Queue("call", needs="call", auto_accept=True)]
    agents = [
        Agent("both", skills={"chat": 1, "call": 1}, units=2),
        Agent("one", skills={"chat": 1}, units=2, at_most={"chat": 1}),
        Agent("late", skills={"chat": 1}, units=2, delays={"chat": 30_000}),
        Agent("away", skills={"chat": 1}, units=2),
        Agent("other", skills={"call": 1}, units=2),
    ]
    router = Router(Plan(channels=[Channel("voice", 2), Channel("chat", 1)], queues=queues, agents=agents, paced=True))
    router.sign_in_many(0, [agent.id for agent in agents])
    router.set_presence(0, "away", "not_ready")
    router.enqueue(0, "first", "chat", channel="chat")
    router.finish(60_000, "first")
    router.advance(1_000_000)

    def available(within: str) -> int:
        found = router.room("chat", channel="chat", within=within)
        assert found is not None
        return found.available

    assert (available("20s"), available("30s")) == (3, 5)
    calls = router.room("call")
    assert calls is not None
    assert calls.available == 2
    router.enqueue(1_000_000, "call", "call", needs="chat")
    assert router.interaction("call").agent == "both"
    assert (available("20s"), available("30s")) == (1, 3)


def test_what_is_over_as_it_comes_is_no_arrival() -> None:
    """An interaction that a step without a wait cancels wants nobody; one that an agent passes on wants somebody else.

    Seen to fail: the class asked of an interaction that was gone.
    """
    queues = [Queue("q", auto_accept=True), Queue("never", steps=[Step(0, cancel=True)])]
    router = Router(Plan(queues=queues, agents=[Agent("ana"), Agent("ben")], paced=True))
    router.sign_in_many(0, ["ana", "ben"])
    for n in range(3):
        router.enqueue(n, f"gone-{n}", "never")
    assert router.room("q") is None
    router.enqueue(10, "first", "q")
    router.advance(10_000)
    before = router.room("q")
    router.transfer(10_000, "first", "q")
    after = router.room("q")
    assert before is not None
    assert after is not None
    assert (before.arriving, after.arriving) == (0, pytest.approx(1.5 * 20_000 / 9_990, rel=0.01))


def test_what_holds_nothing_frees_nothing() -> None:
    """A wrap-up that takes no capacity is no release; one that does is, when it is over within the horizon.

    Seen to fail: a wrap-up that holds nothing counted as a place to come.
    """
    for reserves, available, releasing in ((("offered",), 3, 0.0), (("offered", "wrap_up"), 2, 1.0)):
        asked = attrs.evolve(plan(3, wrap_up_ms=10_000), channels=[Channel("voice", reserves=reserves)])
        router = Router(asked)
        router.sign_in_many(0, ["a0", "a1", "a2"])
        router.enqueue(0, "x", "q")
        router.finish(60_000, "x")
        router.advance(61_000)
        found = router.room("q")
        assert found is not None
        assert (found.available, found.releasing) == (available, releasing)
        soon = router.room("q", within="5s")
        assert soon is not None
        assert soon.releasing == 0


def test_who_waits_for_the_same_agents_comes_first() -> None:
    """One who waits takes the part of these agents that they are of all who may serve him.

    Seen to fail: those of other queues left out; each counted wholly.
    """
    queues = [Queue("q", needs="q", auto_accept=True), Queue("p", auto_accept=True)]
    agents = [Agent(f"q{n}", skills={"q": 1}) for n in range(10)] + [Agent(f"p{n}") for n in range(30)]
    router = Router(Plan(queues=queues, agents=agents, paced=True))
    router.sign_in_many(0, [agent.id for agent in agents])
    router.enqueue(0, "first", "q")
    router.advance(60_000)
    router.finish(60_000, "first")
    for agent in agents:
        router.occupy(60_000, f"of {agent.id}", agent.id, "q")
    for n in range(4):
        router.enqueue(60_000, f"w{n}", "p")
    router.advance(70_000)
    found = router.room("q", within="2m")
    assert found is not None
    assert found.waiting == pytest.approx(1.0)
    assert found.releasing == pytest.approx(5.0, rel=0.01)


def test_nobody_is_approached_while_a_queue_is_below_its_target() -> None:
    """A queue with a target that these agents serve, and that misses it, is named, and the count is 0.

    Seen to fail: queues of other agents stop it as well.
    """
    queues = [
        Queue("q", needs="q", auto_accept=True),
        Queue("p", needs="q or p", auto_accept=True, target=Target("20s", 0.8)),
        Queue("r", needs="r", auto_accept=True, target=Target("20s", 0.8)),
    ]
    agents = [Agent(f"q{n}", skills={"q": 1}) for n in range(4)]
    router = Router(Plan(queues=queues, agents=agents, paced=True))
    router.enqueue(0, "lost", "r")
    router.leave(60_000, "lost")
    router.sign_in_many(60_000, [agent.id for agent in agents])
    router.enqueue(90_000, "x", "q")
    router.advance(900_000)
    found = router.room("q")
    assert found is not None
    assert found.count
    assert not found.short
    for agent in agents:
        router.set_presence(900_000, agent.id, "not_ready")
    router.enqueue(900_000, "late", "p")
    for agent in agents:
        router.set_presence(950_000, agent.id, "ready")
    router.advance(951_000)
    found = router.room("q")
    assert found is not None
    assert (found.count, found.short) == (0, ("p",))
    assert found.available


# The promise ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("busy", "waiting"), [(60, 8), (60, 0), (50, 0)])
@kernel_only
def test_the_promise_is_kept_in_simulated_futures(busy: int, waiting: int) -> None:
    """After as many have been approached as there is room for, nobody waits at the horizon in the stated share.

    300 futures of one state: binomial, so 3 standard errors below .9 are allowed, .848. With half as many again and
    six it is broken, so the room is not far below what it could be.
    Seen to fail: those who wait left out of the count (.48 of the futures).
    """
    router = learnt(plan(), busy, waiting)
    found = router.room("q", within="60s", sure=0.9, take=0.5)
    assert found is not None
    assert found.count >= 5
    dice = np.random.default_rng(5)
    share = np.mean([kept(router, busy, found.count, dice) for _ in range(300)])
    assert share >= 0.9 - 3 * math.sqrt(0.09 / 300)
    more = found.count * 3 // 2 + 6
    assert np.mean([kept(router, busy, more, dice) for _ in range(300)]) < 0.9


def demo(per_hour: float, invite: bool) -> Day:
    """The demo day with so many visitors of a web page an hour, three in ten of whom take an invitation in 10 s."""
    asked, work = demo_day(seed=1)
    start, end = int(work.arrival_ms[0]), int(work.arrival_ms[-1])
    visitors = np.sort(np.random.default_rng(9).integers(start, end, round(per_hour * (end - start) / HOUR_MS)))

    def allowed(router: Router, out: int) -> Room | None:
        return router.room("chat", channel="chat", take=0.3, invited=out) if invite else None

    host = Host(asked, work, visitors.tolist(), 1, allowed, 20_000, 0.3, "chat", "chat", delay_ms=10_000)
    return host.run()


@kernel_only
def test_invitations_bring_what_they_should_on_the_demo_day() -> None:
    """Whoever was approached and came is served in time, and the rest keeps its service level.

    Expected are .3 of those approached, at a binomial 3 standard errors; of the answers at most a tenth may be
    followed by somebody who waits at the horizon, of any queue. The day itself misses the targets of sales and support
    at its peaks, so nobody may fall by more than 5 points, 3 standard errors of a queue's share of a thousand.
    Seen to fail: the agents of the invited looked at as one pool (somebody waited after 50 of 377 answers).
    """
    plain, paced = demo(100, invite=False), demo(100, invite=True)
    assert plain.approached == 0
    assert paced.asked > 100
    expected, error = 0.3 * paced.approached, math.sqrt(0.21 * paced.approached)
    assert abs(paced.served - expected) <= 3 * error
    assert (paced.came, paced.late) == (paced.served, 0)
    assert paced.broken <= 0.1 * paced.asked
    for queue in demo_day()[0].queues:
        assert queue.target is not None
        within = queue.target.within_ms
        assert paced.in_time(queue.name, within) >= plain.in_time(queue.name, within) - 0.05
