"""Percent allocation: a free agent takes from the queue that is farthest behind its share of his time."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from cores import CORES

from omniroute import Agent, Plan, Queue, Router
from omniroute.commands import AgentCard
from omniroute.core.codes import AgentKey
from omniroute.core.lifecycle import PresenceMove
from omniroute.core.limits import SHARES_MAX
from omniroute.errors import PlanError
from omniroute.events import Connected, PlanChanged
from omniroute.world.bare import BareClass, BareGroup, BareQueue, BareWorld

TOGETHER = pytest.mark.parametrize("core", CORES.values(), ids=CORES)
THREE = BareWorld(
    groups=(BareGroup(),),
    classes=tuple(BareClass(queue=q) for q in range(3)),
    queues=(BareQueue(),) * 3,
    half_life=3_600_000,
)


def spent(core: Any, lasts: tuple[int, int, int], many: int, seed: int = 0) -> list[float]:
    """The share of his conversations that each queue gets of one agent while everybody waits everywhere."""
    dice = random.Random(seed)
    core.auto_accept = True
    waiting: list[int] = []
    for n in range(40):
        waiting += [core.enqueue(n, (k,), 0, n) for k in range(3)]
    core.set_presence(40, 0, PresenceMove.SIGN_IN)
    now, talked = 40, [0, 0, 0]
    for _ in range(many):
        i = next(i for i in waiting if core.interaction(i)[1] == 0)
        k = core.interaction(i)[6]
        length = dice.randint(lasts[k] // 2, 3 * lasts[k] // 2)
        now, talked[k] = now + length, talked[k] + length
        waiting[waiting.index(i)] = core.enqueue(now, (k,), 0, now)
        core.finish(now, i, 0)
        core.take()
    assert core.check() == []
    return [part / sum(talked) for part in talked]


@TOGETHER
@pytest.mark.parametrize(
    ("shares", "lasts"),
    [
        ((600, 300, 100), (60_000, 60_000, 60_000)),
        ((600, 300, 100), (20_000, 300_000, 60_000)),
        ((0, 500, 500), (9,) * 3),
    ],
    ids=["alike", "of other lengths", "one gets nothing"],
)
def test_time_is_shared_out(core: type, shares: tuple[int, ...], lasts: tuple[int, int, int]) -> None:
    """However long conversations last, each queue gets its share of the time, within two points.

    Planted and seen red: conversations counted instead of their time.
    """
    it = THREE.build(core)
    it.set_shares(0, [0, 1, 2], shares)
    for part, share in zip(spent(it, lasts, 300), shares, strict=True):
        assert abs(part - share / 1000) <= 0.02, (part, share)


@TOGETHER
def test_without_shares_the_longest_waiting_is_next(core: type) -> None:
    """The same traffic goes by waiting where nothing is shared out: a third each, as it came."""
    assert spent(THREE.build(core), (1_000,) * 3, 300) == pytest.approx([1 / 3] * 3, abs=0.03)


@TOGETHER
def test_nobody_idles_to_keep_a_share(core: type) -> None:
    """A queue that is far ahead of its share is served all the same where nobody else waits; what is not named last."""
    it = THREE.build(core)
    it.set_shares(0, [0, 1], [900, 100])
    it.auto_accept = True
    it.set_presence(0, 0, PresenceMove.SIGN_IN)
    first = it.enqueue(1, (1,), 0, 1)
    waiting = [it.enqueue(2 + n, (k,), 0, 2 + n) for n, k in enumerate((2, 1, 1, 0))]
    order, now, at_hand = [], 100, first
    for _ in range(5):
        now += 100
        order.append(it.interaction(at_hand)[6])
        it.finish(now, at_hand, 0)
        at_hand = next((i for i in waiting if it.interaction(i)[0] and it.interaction(i)[1] == 0), -1)
    assert order == [1, 0, 1, 1, 2]


@TOGETHER
def test_rank_and_tier_come_first(core: type) -> None:
    """Shares decide between what rank and tier leave equal."""
    it = THREE.build(core)
    it.set_shares(0, [0, 1], [1_000, 0])
    it.enqueue(0, (0,), 1, 0)
    better = it.enqueue(1, (1,), 0, 1)
    it.set_presence(2, 0, PresenceMove.SIGN_IN)
    assert it.interaction(better)[0] == 2


# Who is behind his share ----------------------------------------------------------------------------------------------

PAIR = ({"sales": 800, "help": 200}, {"sales": 200, "help": 800})


def split_of(core: type, key: AgentKey, many: int = 400, seed: int = 1) -> list[float]:
    """The share of sales in the time of each of two agents who could take all that comes, half of it sales."""
    classes = tuple(BareClass(queue=q, agent_key=key) for q in range(2))
    groups = (BareGroup(), BareGroup())
    it = BareWorld(groups=groups, classes=classes, queues=(BareQueue(),) * 2, half_life=3_600_000).build(core)
    it.auto_accept = True
    for j, shares in enumerate(PAIR):
        it.set_shares(j, [0, 1], list(shares.values()))
        it.set_presence(0, j, PresenceMove.SIGN_IN)
    dice, now, talked = random.Random(seed), 0, [[0, 0], [0, 0]]
    for _ in range(many):
        q, length = dice.randrange(2), dice.randint(5_000, 90_000)
        now += 100_000
        i = it.enqueue(now, (q,), 0, now)
        talked[it.interaction(i)[1]][q] += length
        it.finish(now + length, i, 0)
        it.take()
    assert it.check() == []
    return [sales / (sales + other) for sales, other in talked]


@TOGETHER
def test_who_is_farthest_behind_his_share_is_asked(core: type) -> None:
    """Of two who are free, each gets the time that he has a share for, within three points; by idleness, half.

    Seen to fail: the share of all that was ever said in place of the queue's.
    """
    for part, shares in zip(split_of(core, AgentKey.BEHIND_SHARE), PAIR, strict=True):
        assert abs(part - shares["sales"] / 1000) <= 0.03, part
    assert split_of(core, AgentKey.LONGEST_IDLE) == pytest.approx([0.5, 0.5], abs=0.08)


@TOGETHER
def test_what_the_key_says(core: type) -> None:
    """Who has given a quarter of his time where three are due is half behind; before the first, all of it.

    Whose time is not shared out stands at 0, who has no share for the queue behind everybody. Seen to fail: a deficit
    that fades, by which who was asked last is less behind than who was asked long ago.
    """
    key, one = AgentKey.BEHIND_SHARE, 2**20
    it = BareWorld(
        groups=(BareGroup(), BareGroup()),
        classes=tuple(BareClass(queue=q, agent_key=key) for q in range(3)),
        queues=(BareQueue(),) * 3,
        half_life=60_000,
    ).build(core)
    it.set_shares(0, [0, 1], [750, 250])
    it.auto_accept = True
    it.set_presence(0, 0, PresenceMove.SIGN_IN)
    assert [it.key(0, key, q) for q in range(3)] == [-750 * one // 1000, -250 * one // 1000, 2**62]
    now = 0
    for q, length in ((0, 1_000), (1, 3_000)):
        i = it.enqueue(now, (q,), 0, now)
        now += length
        it.finish(now, i, 0)
    before = [it.key(0, key, q) / one for q in range(2)]
    assert before == pytest.approx([-0.5, 0.5], abs=0.02)  # the first second has faded a little
    it.advance(now + 600_000)
    assert [it.key(0, key, q) / one for q in range(2)] == before
    assert it.key(1, key, 0) == 0
    it.set_shares(0, [], [])
    assert it.key(0, key, 1) == 0
    assert it.check() == []


# Through the door -----------------------------------------------------------------------------------------------------


def plan(**other: Any) -> Plan:
    """Two queues, and Ana who gives three quarters of her time to the first."""
    queues = [Queue(name, auto_accept=True) for name in ("sales", "help")]
    agents = [Agent("ana", shares={"sales": "75%", "help": 0.25}), Agent("ben")]
    return Plan(**({"queues": queues, "agents": agents} | other))


def served(router: Router, begins: int, many: int, hand: str = "") -> tuple[Counter[str], str]:
    """Which queues Ana serves when both always have somebody waiting, a minute each; and what she has in hand then."""
    got: Counter[str] = Counter()
    for n in range(begins, begins + many):
        told = []
        for queue in ("sales", "help"):
            told += router.enqueue(60_000 * n, f"{queue}-{n}", queue)
        hand = next((event.interaction for event in told if isinstance(event, Connected)), hand)
        got[hand.split("-")[0]] += 1
        told = router.release(60_000 * n + 59_999, hand)
        hand = next((event.interaction for event in told if isinstance(event, Connected)), "")
    return got, hand


def test_a_plan_says_shares() -> None:
    """They are written to TOML, carried by cards and kept by snapshots, and a router goes by them."""
    it = plan()
    assert Plan.from_toml_text(it.to_toml()) == it
    assert AgentCard.of(it.agents[0]).agent() == it.agents[0]
    router = Router(it)
    router.sign_in(0, "ana")
    got, hand = served(router, 1, 40)
    assert got == {"sales": 30, "help": 10}
    other = Router.restore(router.snapshot(), it)
    assert served(other, 41, 8, hand) == served(router, 41, 8, hand)
    assert other.digest() == router.digest()


def test_a_plan_that_changes_shares_is_followed() -> None:
    """Another plan's shares hold from then on."""
    router = Router(plan())
    router.sign_in(0, "ana")
    _, hand = served(router, 1, 20)
    told = router.change_plan(60_000 * 20 + 59_999, plan(agents=[Agent("ana", shares={"help": "100%"})]))
    assert any(isinstance(event, PlanChanged) for event in told)
    _, hand = served(router, 21, 1, hand)  # what she had in hand already
    assert served(router, 22, 8, hand)[0] == {"help": 8}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"sales": "60%"}, r"must add up to 100%, got 60%"),
        ({"sales": "60.05%", "help": "39.95%"}, "at most one decimal"),
        ({"sales": 60, "help": 40}, "expected a share"),
        ({f"q{n}": 0 for n in range(SHARES_MAX + 1)}, "at most 8 queues"),
        ("sales", "expected a table"),
    ],
)
def test_shares_that_are_none_are_refused(shares: Any, message: str) -> None:
    """They are shares, of few queues, and all of the time."""
    with pytest.raises(PlanError, match=message):
        Agent("ana", shares=shares)


def test_shares_name_queues() -> None:
    """A plan refuses a queue that it does not have, a router a card that names one."""
    with pytest.raises(PlanError, match=r"agents\[0\].shares: unknown queue 'salse'; did you mean 'sales'"):
        plan(agents=[Agent("ana", shares={"salse": "100%"})])
    told = Router(plan()).sign_in(0, Agent("cy", shares={"salse": "100%"}))
    assert told[-1].reason == "unknown_queue"  # type: ignore[union-attr]
