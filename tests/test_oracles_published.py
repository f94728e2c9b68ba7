"""Published simulations of contact centres, through plans: what other people's programs found, found again.

Sources: the example SimpleMSK of the ContactCenters library (Buist and L'Ecuyer, 2005), and Wallace and Whitt,
"A staffing algorithm for call centers with skill-based routing" (2005), for centres whose agents have a few skills.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from cores import kernel_only
from oracles import assert_mean, judge

from omniroute import Agent, Plan, Queue, Router
from omniroute.events import Connected
from omniroute.strategies.membership import ByMembership
from omniroute.strategies.skills import SkillsFirst
from omniroute.world.outcome import OutcomeCode
from omniroute.world.simulate import simulate
from omniroute.world.workload import Workload

MINUTE = 60_000


def within(what: str, days: np.ndarray, published: float, margin: float) -> None:
    """The mean over days is the published one within its margin and four standard errors of ours."""
    error = days.std(ddof=1) / len(days) ** 0.5
    judge(what, published, float(days.mean()), float(error + margin / 4), len(days))


# SimpleMSK: three types, two groups, a day that is busy or not, staffing by period ------------------------------------

PERIOD = 120 * MINUTE
ARRIVALS = np.array([[4.2, 5.3, 3.2], [5.1, 4.3, 4.8], [6.3, 5.2, 4.8]]) / MINUTE
HANDLE = MINUTE / np.array([0.5, 0.6, 0.4])
PATIENCE = MINUTE / np.array([0.3, 0.4, 0.2])
STAFF = ((12, 18, 9), (15, 20, 11))
THRESHOLD = MINUTE // 3
STAFFING, FINISH, LEAVE, ARRIVE = range(4)


class Day:
    """One day through the door. Where more are on duty than a period wants, the idle go, then whoever is done first."""

    def __init__(self, random: np.random.Generator) -> None:
        strategy = ByMembership(takes="longest_waiting")
        self.off = [[f"{g}-{n}" for n in range(max(STAFF[g]))] for g in (0, 1)]
        agents = [Agent(name, queues=({"0": 0, "1": 0}, {"1": 1, "2": 0})[g]) for g in (0, 1) for name in self.off[g]]
        queues = [Queue(str(k), strategy=strategy, auto_accept=True) for k in range(3)]
        self.router, self.random = Router(Plan(queues=queues, agents=agents)), random
        self.idle: list[list[str]] = [[], []]
        self.busy = [0, 0]
        self.wanted = [0, 0]
        self.handle: dict[str, float] = {}
        self.with_agent: dict[str, str] = {}
        self.future: list[tuple[float, int, str, float]] = [(p * PERIOD, STAFFING, str(p), 0.0) for p in range(3)]
        counts = random.poisson(ARRIVALS * PERIOD * random.gamma(28.7, 1 / 28.7))
        for (k, p), count in np.ndenumerate(counts):
            self.future += [(at, ARRIVE, str(k), 0.0) for at in p * PERIOD + random.uniform(0, PERIOD, count)]
        heapq.heapify(self.future)
        self.served = self.abandoned = self.in_time = self.late = 0
        self.worked = self.there = 0.0

    def live(self) -> tuple[float, ...]:
        """Served, abandoned, served in time, those and the late ones, time worked and there of group 0."""
        before, calls = 0.0, 0
        while self.future:
            now, kind, name, left = heapq.heappop(self.future)
            if kind == LEAVE and (name not in self.handle or name in self.with_agent):
                continue
            self.worked += self.busy[0] * (now - before)
            self.there += max(self.busy[0], self.wanted[0]) * (now - before)
            before, at = now, round(now)
            if kind == STAFFING:
                for g in (0, 1):
                    self._staff(at, g, STAFF[g][int(name)])
            elif kind == FINISH:
                self._finish(at, name)
            elif kind == LEAVE:
                self._leave(at, name, left)
            else:
                self._arrive(at, name, str(calls), min(int(now // PERIOD), 2))
                calls += 1
        return self.served, self.abandoned, self.in_time, self.late, self.worked, self.there

    def _arrive(self, at: int, queue: str, call: str, period: int) -> None:
        lasts, waits = self.random.exponential((HANDLE[period], PATIENCE[period]))
        self.handle[call] = lasts
        self._hear(at, self.router.enqueue(at, call, queue))
        if call not in self.with_agent:
            heapq.heappush(self.future, (at + waits, LEAVE, call, waits))

    def _leave(self, at: int, call: str, waited: float) -> None:
        self.router.leave(at, call)
        del self.handle[call]
        self.abandoned += 1
        self.late += waited >= THRESHOLD

    def _hear(self, at: int, heard: Sequence[Any]) -> None:
        for event in heard:
            if isinstance(event, Connected):
                g = int(event.agent[0])
                self.idle[g].remove(event.agent)
                self.busy[g] += 1
                self.with_agent[event.interaction] = event.agent
                self.served += 1
                self.in_time += event.wait_ms < THRESHOLD
                self.late += 1
                heapq.heappush(self.future, (at + self.handle[event.interaction], FINISH, event.interaction, 0.0))

    def _finish(self, at: int, call: str) -> None:
        agent = self.with_agent.pop(call)
        g = int(agent[0])
        self.busy[g] -= 1
        del self.handle[call]
        if self.busy[g] + len(self.idle[g]) < self.wanted[g]:
            self.idle[g].append(agent)
        else:
            self.router.sign_out(at, agent)
            self.off[g].append(agent)
        self._hear(at, self.router.finish(at, call))

    def _staff(self, at: int, g: int, wanted: int) -> None:
        self.wanted[g] = wanted
        while self.busy[g] + len(self.idle[g]) < wanted:
            self.idle[g].append(self.off[g].pop())
            self._hear(at, self.router.sign_in(at, self.idle[g][-1]))
        while self.idle[g] and self.busy[g] + len(self.idle[g]) > wanted:
            self.off[g].append(self.idle[g].pop(0))
            self.router.sign_out(at, self.off[g][-1])


@kernel_only
@pytest.mark.parametrize(
    "days", [pytest.param(25, id="25 days"), pytest.param(1_000, id="1000 days", marks=pytest.mark.slow)]
)
def test_three_types_and_two_groups(days: int) -> None:
    """SimpleMSK: served, abandoned, service level and occupancy of group 0 are those of its 20,000 published days.

    Planted: type 1 asks the second group first; the second group takes type 1 before its own.
    """
    random = np.random.default_rng(22)
    served, abandoned, in_time, counted, worked, there = np.array([Day(random).live() for _ in range(days)]).T
    within("served", served, 4_289.7, 3.1)
    within("abandoned", abandoned, 905.3, 4.0)
    within("service level less the published, weighted", (in_time - 0.5045 * counted) / counted.mean(), 0, 0.0009)
    within("occupancy of group 0 less the published, weighted", (worked - 0.8796 * there) / there.mean(), 0, 0.0004)


# Two skills are nearly as good as all ---------------------------------------------------------------------------------

TYPES, EACH, ROOM = 6, 15, 30


def few_skills(skills: int) -> Plan:
    """Ninety agents, fifteen for each type of call; the others of the first so many skills follow in a circle."""
    agents = []
    for first in range(TYPES):
        for n in range(EACH):
            others = [(first + 1 + (n % (TYPES - 1) + k) % (TYPES - 1)) % TYPES for k in range(TYPES - 1)]
            levels = {f"t{first}": skills} | {f"t{t}": skills - 1 - k for k, t in enumerate(others[: skills - 1])}
            agents.append(Agent(f"{first}-{n}", skills=levels))
    strategy = SkillsFirst(fit="most_qualified")
    return Plan(queues=[Queue("calls", strategy=strategy, limit=ROOM, auto_accept=True)], agents=agents)


def waits_of_accepted(skills: int, rows: int) -> np.ndarray:
    """The waits in mean handling times, blocked calls left out, the first hundredth of the run as well."""
    random = np.random.default_rng(31)
    arrival = np.cumsum(random.exponential(MINUTE / (14 * TYPES), rows))
    work = Workload(
        arrival_ms=np.rint(arrival).astype(np.int64),
        handle_ms=np.rint(random.exponential(MINUTE, rows)).astype(np.int64),
        queues=["calls"],
        needs=random.integers(TYPES, size=rows),
        requirements=[f"t{t} >= 1" for t in range(TYPES)],
    )
    done = simulate(few_skills(skills), work)
    kept = slice(rows // 100, None)
    accepted = done.outcome[kept] == OutcomeCode.SERVED
    return np.asarray(done.wait_ms[kept][accepted] / MINUTE)


@kernel_only
@pytest.mark.parametrize(
    ("rows", "margin"),
    [pytest.param(300_000, 0.12, id="suite"), pytest.param(10_000_000, 0.03, id="long", marks=pytest.mark.slow)],
)
def test_two_skills_are_nearly_as_good_as_all(rows: int, margin: float) -> None:
    """W is .246 with one skill, .0575 with two, and that of M/M/90/120 with all, to a share of it that the run allows.

    Planted: room for 30 of each type, and not in all.
    """
    waits = [waits_of_accepted(skills, rows) for skills in (1, 2, TYPES)]
    one, two, every = (float(each.mean()) for each in waits)
    assert_mean("W, all skills", waits[2], 0.045002276)
    judge("W, one skill, to 3 % at length", 0.246, one, margin * 0.246 / 4, rows)
    judge("W, two skills, to 3 % at length", 0.0575, two, margin * 0.0575 / 4, rows)
    assert two <= 1.35 * every
    assert one >= 4 * two
