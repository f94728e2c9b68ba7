"""Conditions and interruptions against queueing theory: agents kept in reserve, e-mails that give way to calls.

Seeds are fixed, tolerances those of :mod:`test_oracles`. Worlds that are wrong by one number must fail the same checks.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import oracles
import pytest
from cores import CORES
from oracles import assert_mean
from worlds import UNIT, drawn, warm

from omniroute.core import IMPLEMENTATION, digest, reference
from omniroute.core.codes import EventKind, GaugeKind
from omniroute.core.lifecycle import PresenceMove
from omniroute.world.bare import (
    MATCH_ALL,
    Arrivals,
    BareClass,
    BareGroup,
    BareWorld,
    Results,
    drive_columns,
    sign_in_all,
)

DRIVERS = {"reference": reference.Driver}
if "kernel" in CORES:
    from omniroute.core import kernel

    DRIVERS["kernel"] = kernel.Driver
both_cores = pytest.mark.skipif(len(CORES) < 2, reason="only one core is here")


def samples(kernel: int, reference: int, long: int) -> pytest.MarkDecorator:
    """Each core with a sample that it manages in seconds, and the kernel with a long one: (name, rows)."""
    rows = {"kernel": kernel, "reference": reference}
    sized = [pytest.param(name, rows[name], id=name) for name in CORES]
    if "kernel" in CORES:
        sized.append(pytest.param("kernel", long, id="long", marks=pytest.mark.slow))
    return pytest.mark.parametrize(("name", "rows"), sized)


POOL = BareWorld(groups=(BareGroup(agents=12),), classes=(BareClass(), BareClass()))
GATES = {
    (1, 1): (0.0349604136, 0.1048812409),
    (2, 2): (0.0188331781, 0.1977483698),
    (3, 1): (0.0230861508, 0.2177063351),
}
"""Mean waits by the gate (on, off) of class 2: it may start from ``on`` idle agents until fewer than ``off``."""
MAILS, CALLS = 0, 1
MEETING, SPEEDS = (0.2, 0.5), (1.0, 1.0)
"""Rates of arrival and of service of calls and e-mails."""
ONE_AGENT = BareWorld(
    groups=(BareGroup(units=1, at_most=(1, 1)),),
    classes=(BareClass(channel=MAILS), BareClass(channel=CALLS)),
    loads=(1, 1),
)

# The tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", GATES)
def test_reservation_table(gate):
    """The chain of a reserve gives the printed digits; without a reserve it is strict priority.

    The row of the gate (3, 1) is the chain's own: no other source has thresholds that differ.
    """
    found = oracles.reserved((2, 2), 0.5, 12, *gate)
    assert found == pytest.approx(GATES[gate], abs=1e-10)
    if gate == (1, 1):
        assert found == pytest.approx(oracles.priority_waits((2, 2), 0.5, 12), rel=1e-9)


@pytest.mark.parametrize(("ls", "ms"), [(MEETING, SPEEDS), ((0.3, 0.2), (0.5, 1.5))])
def test_interruption_table(ls, ms):
    """The chain of one agent whose e-mails are interrupted is that of a server who comes and goes, in closed form.

    Up a share ``up`` of the time and without regard to the e-mails; from the generating function of their number,
    L = (l + up f (l / r)^2) / (up m - l) + up f l / r^2 with f calls arriving and ended at r, e-mails at l and m.
    """
    (f, l), (r, m) = ls, ms  # noqa: E741
    up, found = r / (r + f), oracles.interrupted(ls, ms)
    assert found["voice"] == pytest.approx(oracles.erlang_b(f / r, 1), rel=1e-10)
    assert found["email"] == pytest.approx(l / m, rel=1e-10)
    assert found["interrupted"] == pytest.approx(l / m * f / r, rel=1e-10)
    there = (l + up * f * (l / r) ** 2) / (up * m - l) + up * f * l / r**2
    assert found["mails"] == pytest.approx(there, rel=1e-10)


# Agents kept in reserve -----------------------------------------------------------------------------------------------


def gated(core: Any, on: int, off: int) -> Any:
    """The core with a gate for class 1: it holds from ``on`` idle agents until fewer than ``off`` are idle."""
    idle = core.add_gauge(GaugeKind.IDLE, -1, MATCH_ALL)
    core.set_condition([1], [0], core.add_condition(idle, on, off, 0))
    return core


def two_tiers(rows: int) -> Arrivals:
    """Two classes of the same rate, the first strictly first."""
    return drawn(rows, 51, (2, 2), 0.5, tiers=(0, 1))


def check_gate(arrivals: Arrivals, results: Results, exact, s) -> None:
    """The mean waits of both classes after the warm-up, and first come first served inside each."""
    waits = results.waits(arrivals) / UNIT
    kept = warm(arrivals, 40)
    for k in (0, 1):
        mine = arrivals.class_ == k
        assert np.all(np.diff(results.start[mine]) >= 0), "not first come first served"
        assert_mean(f"W{k + 1}", waits[kept & mine], exact[k], s[k])


@pytest.mark.parametrize(
    ("gate", "s"),
    [
        pytest.param((1, 1), (None, 1.76), id="no reserve"),
        pytest.param((2, 2), (0.248, 2.76), id="one in reserve"),
        pytest.param((3, 1), (None, None), id="hysteresis"),
    ],
)
@samples(400_000, 5_000, 10_000_000)
def test_reservation_through_the_core(name, rows, gate, s):
    """Class 2 starts only while more than r agents are idle, one just freed included; class 1 first.

    Seen to fail with a condition that holds only beyond its threshold, with one that is lost below the first
    threshold instead of the second, and with a flip after which nobody but the agent just freed is asked. Of these
    the few rows of the reference show the last alone: the others are for :func:`test_cores_agree_about_a_gate`.
    """
    arrivals = two_tiers(rows)
    core = gated(POOL.build(CORES[name]), *gate)
    check_gate(arrivals, drive_columns(core, arrivals, sign_in_all(12), driver=DRIVERS[name]), GATES[gate], s)
    assert core.check() == []


@both_cores
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param((2, 2), (1, 1), id="one too few"),
        pytest.param((2, 2), (3, 3), id="one too many"),
        pytest.param((3, 1), (3, 3), id="no hysteresis"),
        pytest.param((3, 1), (1, 1), id="holds too soon"),
        pytest.param((3, 1), (3, 2), id="lost too soon"),
    ],
)
def test_wrong_gates_are_told_from_right_ones(right, wrong):
    """Half of the sample is enough to see a threshold that is off by one, or a hysteresis that is ignored."""
    arrivals = two_tiers(200_000)
    core = gated(POOL.build(CORES["kernel"]), *wrong)
    results = drive_columns(core, arrivals, sign_in_all(12), driver=DRIVERS["kernel"])
    with pytest.raises(AssertionError, match=" is not "):
        check_gate(arrivals, results, GATES[right], (None, None))


@both_cores
@pytest.mark.parametrize("gate", GATES)
def test_cores_agree_about_a_gate(gate):
    """Both cores give every row to the same agent at the same instant, and end in the same state, without tolerance.

    Seen to fail with a condition of one core that holds only beyond its threshold, or has no second threshold, and
    with a flip after which one core asks nobody but the agent just freed.
    """
    arrivals, found = two_tiers(2_000), []
    for name, core in CORES.items():
        one = gated(POOL.build(core), *gate)
        results = drive_columns(one, arrivals, sign_in_all(12), driver=DRIVERS[name])
        assert one.check() == []
        found.append([digest(one), *(getattr(results, column).tolist() for column in ("agent", "start", "end"))])
    assert found[0] == found[1]


# Interruptions --------------------------------------------------------------------------------------------------------


class Desk:
    """One agent's event loop: the core decides who is with him, the ends of what he has in hand are kept here.

    While an e-mail is interrupted its end stands still: what was left of it is left when it is resumed.
    """

    def __init__(self, core: Any, handle: list[int]) -> None:
        self.core, self.handle = core, handle
        self.rows: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.left: dict[int, int] = {}
        self.start, self.end = [-1] * len(handle), [-1] * len(handle)
        self.events: deque[tuple[int, ...]] = deque(maxlen=100_000)

    def hear(self, now: int) -> None:
        """Accept what is offered; begin, interrupt and resume as told."""
        while taken := self.core.take():
            for kind, when, i, j, x, y in taken:
                self.events.append((int(kind), when, i, j, x, y))
                if kind == EventKind.OFFERED:
                    assert self.core.accept(now, x) == 0
                elif kind == EventKind.CONNECTED:
                    self.start[self.rows[i]] = when
                    self.ends[i] = when + self.handle[self.rows[i]]
                elif kind == EventKind.INTERRUPTED:
                    self.left[i] = self.ends.pop(i) - when
                elif kind == EventKind.RESUMED:
                    self.ends[i] = when + self.left.pop(i)

    def finish_until(self, now: int) -> None:
        """End what is due up to now, and what is begun or resumed by that and due as well."""
        while self.ends:
            when, i = min((when, i) for i, when in self.ends.items())
            if when > now:
                return
            self.end[self.rows[i]] = when
            del self.ends[i]
            assert self.core.finish(when, i, 0) == 0
            self.hear(when)


def at_the_desk(core: Any, arrivals: Arrivals, interrupts: int = 1 << MAILS) -> tuple[Desk, np.ndarray]:
    """Drive one agent; who calls and is not connected at once leaves. Also what each arrival found.

    (calls held, e-mails in work, e-mails interrupted, e-mails there), read from the core before the arrival.
    """
    at, class_ = arrivals.at.tolist(), arrivals.class_.tolist()
    desk, seen = Desk(core, arrivals.handle.tolist()), np.zeros((len(at), 4))
    core.set_mix(0, CALLS, 1 << CALLS, interrupts)
    core.set_presence(0, 0, PresenceMove.SIGN_IN)
    desk.hear(0)
    for row, now in enumerate(at):
        desk.finish_until(now)
        mails, calls = core.agent(0)[-2:]
        seen[row] = (calls, mails - len(desk.left), len(desk.left), core.queue(0)[0] + mails)
        assert seen[row, 3] <= 200, "the e-mails pile up"
        i = core.enqueue(now, (class_[row],), 0, now)
        desk.rows[i] = row
        desk.hear(now)
        if class_[row] == CALLS and desk.start[row] < 0:
            desk.end[row] = now
            assert core.leave(now, i) == 0
            desk.hear(now)
    assert core.check() == []
    return desk, seen


def with_calls(rows: int) -> Arrivals:
    """E-mails and calls for one desk; both last one time unit."""
    calls, mails = MEETING
    return drawn(rows, 52, (mails, calls), 1)


def check_desk(arrivals: Arrivals, desk: Desk, seen: np.ndarray) -> None:
    """Shares of time and the mean number of e-mails, as arrivals see them; calls lost, and what calls lasted."""
    exact, kept = oracles.interrupted(MEETING, SPEEDS), warm(arrivals, 400)
    for k, name in enumerate(("voice", "email", "interrupted", "mails")):
        assert_mean(name, seen[kept, k], exact[name])
    assert_mean("free", (seen[kept, 0] == 0) & (seen[kept, 1] == 0), 1 - exact["voice"] - exact["email"])
    calls = arrivals.class_ == CALLS
    start, end = np.array(desk.start), np.array(desk.end)
    assert_mean("calls lost", (start < 0)[kept & calls], exact["voice"])
    ended = calls & (start >= 0) & (end >= 0)
    assert np.array_equal((end - start)[ended], arrivals.handle[ended]), "something interrupts a call"


@samples(200_000, 10_000, 10_000_000)
def test_calls_interrupt_e_mails(name, rows):
    """Calls do not see e-mails; e-mails see an agent who comes and goes: shares of his time, and e-mails there.

    Seen to fail with the units of what gives way counted against the call, and with e-mails that are never resumed.
    """
    arrivals = with_calls(rows)
    check_desk(arrivals, *at_the_desk(ONE_AGENT.build(CORES[name]), arrivals))


def test_calls_that_do_not_interrupt_are_told():
    """The check fails where calls that find an e-mail in work are lost."""
    arrivals = with_calls(40_000 if IMPLEMENTATION == "kernel" else 10_000)
    with pytest.raises(AssertionError, match=" is not "):
        check_desk(arrivals, *at_the_desk(ONE_AGENT.build(), arrivals, interrupts=0))


@both_cores
def test_cores_agree_about_interruptions():
    """Both cores tell the same events in the same order, and every row begins and ends at the same instant.

    Seen to fail with either bug of :func:`test_calls_interrupt_e_mails` in one of the cores.
    """
    arrivals, found = with_calls(4_000), []
    for core in CORES.values():
        one = ONE_AGENT.build(core)
        desk, seen = at_the_desk(one, arrivals)
        found.append([digest(one), desk.events, desk.start, desk.end, seen.tolist()])
    assert found[0] == found[1]
    kinds = [kind for kind, *_ in found[0][1]]
    assert kinds.count(EventKind.INTERRUPTED) >= kinds.count(EventKind.RESUMED) > 100
