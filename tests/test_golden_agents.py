"""Golden tests of how equal agents are chosen: what products mean by idle, occupied and random, in their own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from cores import CORES, using
from traces import trace

from omniroute import Agent, FirstComeFirstServed, Plan, Queue, Router
from omniroute.replay.importers import asterisk, freeswitch, genesys


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of these tests stands on this core."""
    with using(request.param):
        yield request.param


def pair(key: str) -> Plan:
    """Ana and Ben in one queue, and a queue for each of them alone."""
    queues = [Queue("q", strategy=FirstComeFirstServed(agent_key=key))]
    queues += [Queue(f"to-{name}", needs=f'me == "{name}"') for name in ("ana", "ben")]
    return Plan(queues=queues, agents=[Agent(name, labels={"me": name}) for name in ("ana", "ben")])


@pytest.mark.parametrize(("key", "then"), [("longest_since_release", "ben"), ("least_occupied", "ana")])
def test_avaya_most_idle_and_least_occupied_part(key: str, then: str) -> None:
    """Ana had four calls of 10 s, the last just now; Ben one of five minutes, longer ago.

    Most idle agent rings Ben, least occupied agent Ana.
    """
    short = "".join(
        f"{at}s come a{at} to-ana -> a{at}:ana\n{at}s accept a{at}:ana\n{at + 10}s release a{at}\n"
        for at in (370, 410, 450, 490)
    )
    trace(
        pair(key),
        f"""
        0s   sign_in ana ben
        0s   come warm q     -> warm:ana
        0s   accept warm:ana
        1s   release warm
        60s  come b to-ben   -> b:ben
        60s  accept b:ben
        360s release b
        {short}
        510s come y q        -> y:{then}
        """,
    )


PARTED = """
0s   sign_in ana ben
1s   come x1 q -> x1:{0}
1s   accept x1:{0}
2s   come x2 q -> x2:{1}
2s   accept x2:{1}
10s  release x2
11s  come x3 q -> x3:{1}
11s  accept x3:{1}
19s  release x3
40s  release x1
50s  come y q  -> y:{2}
"""
"""The first has one call of 39 s, which ended last; the second two of 8 s."""


@pytest.mark.parametrize(
    ("strategy", "then"),
    [
        ("longest-idle-agent", 1),  # the second hung up at 19 s, the first at 40 s
        ("agent-with-least-talk-time", 1),  # 16 s against 39 s
        ("agent-with-fewest-calls", 0),  # one against two
    ],
)
def test_freeswitch_keys_part(strategy: str, then: int) -> None:
    """Idle, talked and called are three things, each of which the strategy's own name says."""
    rows = [{"queue": "q", "agent": name, "level": 1, "position": 1} for name in ("ana", "ben")]
    plan = freeswitch({"q": {"strategy": strategy}}, {"ana": {}, "ben": {}}, rows)
    two = ("ana", "ben")
    trace(plan, PARTED.format(*two, two[then]))


@pytest.mark.parametrize(("presence", "then"), [("false", "ana"), ("true", "ben")])
def test_genesys_presence_counts_only_where_it_is_included(presence: str, then: str) -> None:
    """Ana's conversation ended before Ben's, then she had a break: that sends her back only where presence counts."""
    queue = {"members": {"ana": 1, "ben": 1}, "include_presence": presence}
    trace(
        genesys({"q": queue}, {"ana": {}, "ben": {}}),
        f"""
        0s   sign_in ana ben
        1s   come x1 q -> x1:ana
        1s   accept x1:ana
        2s   come x2 q -> x2:ben
        2s   accept x2:ben
        10s  release x1
        20s  release x2
        30s  not_ready ana
        40s  ready ana
        50s  come y q  -> y:{then}
        """,
    )


def test_genesys_an_assignment_counts_before_it_ends() -> None:
    """With room for two, Ana has not ended anything for long, but was assigned something just now: Ben is next."""
    plan = genesys({"q": {"members": {"ana": 1, "ben": 1}}}, {"ana": {}, "ben": {}})
    agents = [Agent(agent.id, queues=agent.queues, units=2) for agent in plan.agents]
    trace(
        Plan(queues=plan.queues, agents=agents),
        """
        0s   sign_in ana ben
        1s   come x1 q -> x1:ana
        1s   accept x1:ana
        2s   come x2 q -> x2:ben
        2s   accept x2:ben
        9s   release x2
        10s  come x3 q -> x3:ana
        10s  accept x3:ana
        11s  come y q  -> y:ben
        """,
    )


def test_asterisk_random_rings_all_alike() -> None:
    """Each of three members gets a third, within four standard errors; a penalty still comes before the lot."""
    members = ["PJSIP/1,0,ana", "PJSIP/2,0,ben", "PJSIP/3,0,cy", "PJSIP/4,1,dan"]
    router = Router(asterisk({"q": {"strategy": "random", "member": members}}))
    router.sign_in_many(0, ["ana", "ben", "cy", "dan"])
    got: Counter[str] = Counter()
    for n in range(450):
        told = router.enqueue(n, f"x{n}", "q")
        got[told[-1].agent] += 1  # type: ignore[union-attr]
        router.leave(n, f"x{n}")
    assert set(got) == {"ana", "ben", "cy"}
    assert all(abs(many - 150) <= 40 for many in got.values()), got
