"""Channels and capacity against queueing theory: chats that share an agent's attention, units, channels kept apart.

Agents who share their attention do what no column can say, so the core is driven by single commands: it decides who
gets what, and :func:`worlds.by_attention` when that ends. Seeds are fixed, tolerances those of :mod:`test_oracles`.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
import oracles
import pytest
from attrs import evolve
from cores import CORES
from oracles import CHAT, NEVER_TOGETHER, VOICE, assert_mean
from worlds import UNIT, by_attention, drawn, warm

from omniroute.core import IMPLEMENTATION
from omniroute.core.codes import AgentKey
from omniroute.world.bare import Arrivals, BareClass, BareGroup, BareWorld, Results, drive_columns, sign_in_all

RATES = (10, 7, 5)
"""Progress of each of 1, 2 or 3 chats of an agent, in tenths."""
CHATS = BareWorld(
    groups=(BareGroup(agents=5, units=100, at_most=(3,)),), classes=(BareClass(agent_key=AgentKey.LEAST_LOADED),)
)
OFFERED, LOADS = (Fraction(3, 10), Fraction(1), Fraction(1, 2)), (12, 4, 3)
UNITS = BareWorld(
    groups=(BareGroup(units=12),), classes=tuple(BareClass(channel=channel) for channel in range(3)), loads=LOADS
)
APART = BareWorld(
    groups=(BareGroup(agents=2, units=2, at_most=(1, 2)),),
    classes=tuple(BareClass(channel=channel, agent_key=AgentKey.LEAST_LOADED) for channel in (VOICE, CHAT)),
    loads=(2, 1),
)
"""A call fills an agent, two chats fill him: units that say that no call goes with a chat."""
MIXED = evolve(APART, groups=(BareGroup(agents=2, units=6, at_most=(1, 2)),), loads=(1, 1))
"""Units for everything: only a rule keeps a call and a chat apart."""
SUITE = pytest.param(200_000 if IMPLEMENTATION == "kernel" else 10_000, id="suite")


def samples(suite: int, long: int) -> pytest.MarkDecorator:
    """Each core with a sample that it manages in seconds, and the kernel with a long one: (name, rows)."""
    sized = [pytest.param(name, suite if name == "kernel" else suite // 25, id=name) for name in CORES]
    if "kernel" in CORES:
        sized.append(pytest.param("kernel", long, id="long", marks=pytest.mark.slow))
    return pytest.mark.parametrize(("name", "rows"), sized)


# The tables -----------------------------------------------------------------------------------------------------------


def test_shared_attention_table():
    """The chain of chats that share attention gives the printed digits; with equal rates it is Erlang C."""
    found = oracles.shared_attention(5.5, (1, 0.7, 0.5), 5)
    assert found["p_wait"] == pytest.approx(0.0653120571, abs=1e-10)
    assert found["wait"] == pytest.approx(0.0326560285, abs=1e-10)
    assert found["handle"] == pytest.approx(1.4018019051, abs=1e-10)
    assert found["shares"] == pytest.approx((0.11517153, 0.38664126, 0.33922081, 0.15896641), abs=1e-8)
    one = oracles.shared_attention(4.2, (1,), 5, room=2_000)
    assert one["p_wait"] == pytest.approx(oracles.erlang_c(4.2, 1, 5), rel=1e-10)
    many = oracles.shared_attention(4.2, (1, 1, 1), 2)
    assert many["wait"] == pytest.approx(oracles.erlang_c_wait(4.2, 1, 6), rel=1e-10)


def test_capacity_table():
    """The product form of shared units gives the printed fractions."""
    found = oracles.capacity_blocking(OFFERED, LOADS, 12)
    assert found == [Fraction(6701, 8621), Fraction(1661, 8621), Fraction(1621, 8621)]


def test_compatible_table():
    """What two channels that never go together lose; as much of each starts as ends, and all states add up to one."""
    p = oracles.compatible()
    assert len(p) == 16
    assert sum(p.values()) == pytest.approx(1, abs=1e-12)
    assert min(p.values()) > 0
    lost = oracles.compatible_loss()
    assert lost == pytest.approx((0.423227412433, 0.106084373185), abs=1e-12)
    for channel, l in ((VOICE, 0.6), (CHAT, 1.2)):  # noqa: E741
        held = sum((s[channel] + s[2 + channel]) * x for s, x in p.items())
        assert l * (1 - lost[channel]) == pytest.approx(held, rel=1e-12)


def test_compatible_special_cases():
    """Without the rule each channel is Erlang B; barred on one side only, the other; one agent is a product form.

    Seen to fail with the pairs of ``barred`` read as (new, held), and with an agent who takes one chat more.
    """
    voice, chat = oracles.erlang_b(0.6, 2), oracles.erlang_b(1.2, 4)
    assert len(oracles.compatible(barred=frozenset())) == 36
    assert oracles.compatible_loss(barred=frozenset()) == pytest.approx((voice, chat), rel=1e-12)
    no_call_beside_chats = oracles.compatible_loss(barred=frozenset({(CHAT, VOICE)}))
    assert no_call_beside_chats[CHAT] == pytest.approx(chat, rel=1e-12)
    assert no_call_beside_chats == pytest.approx((0.440428566042, 0.026226323458), abs=1e-12)
    no_chat_beside_calls = oracles.compatible_loss(barred=frozenset({(VOICE, CHAT)}))
    assert no_chat_beside_calls[VOICE] == pytest.approx(voice, rel=1e-12)
    assert no_chat_beside_calls == pytest.approx((0.101123595506, 0.172887159309), abs=1e-12)
    chats = [1.2**k / factorial(k) for k in range(3)]
    total = 0.6 + sum(chats)  # one agent holds a call, or nothing, or chats
    assert oracles.compatible_loss(agents=1) == pytest.approx((1 - 1 / total, (0.6 + chats[2]) / total), rel=1e-12)


# Through the core -----------------------------------------------------------------------------------------------------


@samples(1_000_000, 10_000_000)
def test_shared_attention_through_the_core(name, rows):
    """Five agents of at most three chats, lightest load first: P(wait), W, mean handle, how many agents hold 0..3.

    Seen to fail with the most loaded or the longest idle agent for the least loaded, with a bound of two chats for
    three and with no bound, and with the youngest of the queue first.
    """
    arrivals = drawn(rows, 42, (5.5,), 1)
    results, seen = by_attention(CHATS.build(CORES[name]), arrivals, 5, RATES)
    check_shared_attention(arrivals, results, seen)


@pytest.mark.parametrize(
    ("group", "key", "rates"),
    [
        pytest.param({}, AgentKey.LONGEST_IDLE, RATES, id="longest idle first"),
        pytest.param({"at_most": (2,)}, AgentKey.LEAST_LOADED, RATES, id="at most two"),
        pytest.param({"units": 2}, AgentKey.LEAST_LOADED, RATES, id="units for two"),
        pytest.param({}, AgentKey.LEAST_LOADED, (10, 7, 4), id="a slower third"),
    ],
)
def test_wrong_agents_are_told_from_right_ones(group, key, rates):
    """A tenth of the sample is enough to see a wrong key, a wrong bound or a wrong rate: the check can fail."""
    world = evolve(CHATS, groups=(evolve(CHATS.groups[0], **group),), classes=(BareClass(agent_key=key),))
    arrivals = drawn(100_000 if IMPLEMENTATION == "kernel" else 40_000, 42, (5.5,), 1)
    results, seen = by_attention(world.build(), arrivals, 5, rates)
    with pytest.raises(AssertionError, match=" is not "):
        check_shared_attention(arrivals, results, seen)


@pytest.mark.skipif(len(CORES) < 2, reason="only one core is here")
@pytest.mark.parametrize(
    ("world", "ls", "rates", "waits"),
    [
        pytest.param(CHATS, (5.5,), RATES, True, id="chats"),
        pytest.param(UNITS, OFFERED, (1,) * 4, False, id="units"),
        pytest.param(APART, (0.6, 1.2), (1, 1), False, id="apart"),
    ],
)
def test_cores_agree(world, ls, rates, waits):
    """The reference gives every interaction to the same agent at the same instant as the kernel, without tolerance.

    Seen to fail with another agent key in one of them.
    """
    arrivals = drawn(10_000, 44, ls, 1)
    found = [by_attention(world.build(core), arrivals, world.agents, rates, waits=waits) for core in CORES.values()]
    (left, left_seen), (right, right_seen) = found
    for name in ("agent", "start", "end"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
    assert np.array_equal(left_seen, right_seen)


def check_shared_attention(arrivals: Arrivals, results: Results, seen: np.ndarray) -> None:
    """The means of the rows after the warm-up; arrivals see what holds at any time."""
    assert np.all(np.diff(results.start) >= 0), "not first come first served"
    exact = oracles.shared_attention(5.5, [rate / RATES[0] for rate in RATES], 5)
    kept = warm(arrivals, 200)
    waits = results.waits(arrivals)[kept] / UNIT
    assert_mean("P(wait)", waits > 0, exact["p_wait"])
    assert_mean("W", waits, exact["wait"], 1.37)
    assert_mean("mean handle", (results.end - results.start)[kept] / UNIT, exact["handle"])
    for held, share in enumerate(exact["shares"]):
        assert_mean(f"share of agents holding {held}", seen[kept, held] / 5, share)


@samples(400_000, 10_000_000)
def test_capacity_units_without_waiting(name, rows):
    """One agent of 12 units, loads 12, 4 and 3; who is not connected at once leaves at once: the product form.

    Seen to fail with room only for loads that leave a unit over.
    """
    arrivals = drawn(rows, 41, OFFERED, 1)
    results, _ = by_attention(UNITS.build(CORES[name]), arrivals, 1, (1,) * 4, waits=False)
    check_losses(arrivals, results, [float(x) for x in oracles.capacity_blocking(OFFERED, LOADS, 12)])


@pytest.mark.parametrize("rows", [SUITE, pytest.param(10_000_000, id="long", marks=pytest.mark.slow)])
def test_capacity_units_by_columns(rows):
    """The same by columns, where a patience of 0 says that nobody waits."""
    arrivals = drawn(rows, 41, OFFERED, 1)
    arrivals = Arrivals(at=arrivals.at, class_=arrivals.class_, handle=arrivals.handle, patience=np.zeros(rows))
    results = drive_columns(UNITS.build(), arrivals, sign_in_all(1))
    check_losses(arrivals, results, [float(x) for x in oracles.capacity_blocking(OFFERED, LOADS, 12)])


@samples(400_000, 10_000_000)
def test_channels_kept_apart_by_units(name, rows):
    """Two agents, one call or two chats each, never both: what each channel loses is the chain's.

    Seen to fail with the most loaded agent for the least loaded, and with room only for loads that leave a unit over.
    """
    arrivals = drawn(rows, 43, (0.6, 1.2), 1)
    results, _ = by_attention(APART.build(CORES[name]), arrivals, 2, (1, 1), waits=False)
    check_losses(arrivals, results, oracles.compatible_loss())


SIDES = {
    "both sides": NEVER_TOGETHER,
    "no call beside chats": frozenset({(CHAT, VOICE)}),
    "no chat beside calls": frozenset({(VOICE, CHAT)}),
    "no rule": frozenset(),
}


def mixed(core: Any, barred: frozenset[tuple[int, int]]) -> Any:
    """The core whose agents may hold everything beside a channel but what is barred: pairs (held, new)."""
    for new in (VOICE, CHAT):
        core.set_mix(0, new, sum(1 << held for held in (VOICE, CHAT) if (held, new) not in barred), 0)
    return core


@pytest.mark.parametrize("barred", SIDES.values(), ids=SIDES)
@samples(200_000, 10_000_000)
def test_channels_kept_apart_by_mix(name, rows, barred):
    """Units enough for everything, and a rule for each channel about what may be held beside it: the chain's losses.

    Seen to fail with the rule of the channel that is held read for that of the channel that comes, and with no rule.
    """
    arrivals = drawn(rows, 43, (0.6, 1.2), 1)
    results, _ = by_attention(mixed(MIXED.build(CORES[name]), barred), arrivals, 2, (1, 1, 1), waits=False)
    check_losses(arrivals, results, oracles.compatible_loss(barred=barred))


@pytest.mark.parametrize("barred", list(SIDES.values())[1:], ids=list(SIDES)[1:])
def test_wrong_sides_are_told_from_right_ones(barred):
    """A tenth of the sample is enough to see a rule that bars the other side, or none."""
    wrong = frozenset((new, held) for held, new in barred) or NEVER_TOGETHER
    arrivals = drawn(20_000, 43, (0.6, 1.2), 1)
    results, _ = by_attention(mixed(MIXED.build(), wrong), arrivals, 2, (1, 1, 1), waits=False)
    with pytest.raises(AssertionError, match=" is not "):
        check_losses(arrivals, results, oracles.compatible_loss(barred=barred))


def check_losses(arrivals: Arrivals, results: Results, exact) -> None:
    """The share of each class that left after the warm-up."""
    kept = warm(arrivals, 20)
    for k, lost in enumerate(exact):
        assert_mean(f"loss of channel {k}", results.abandoned[kept & (arrivals.class_ == k)], lost)
