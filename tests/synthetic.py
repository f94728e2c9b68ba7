"""Logs that were never real: written by hand, or by routing a drawn day under a plan that the tests know."""

from __future__ import annotations

from pathlib import Path

import attrs

from omniroute.formats.records import LoggedInteraction, Outcome
from omniroute.model import Agent
from omniroute.plan import Plan, Queue
from omniroute.replay.history import History
from omniroute.strategies.priority import Priority
from omniroute.world.simulate import OutcomeCode, simulate
from omniroute.world.streams import HOUR_MS, Draw, Stream, poisson

DAY_MS = 86_400_000
MONDAY_MS = 10_000 * DAY_MS
WRAP_UP_MS = 9_000
HEAD_START_MS = 60_000


def call(
    queued_s: int,
    wait_s: int = 0,
    handle_s: int = 60,
    *,
    queue: str = "sales",
    agent: str | None = "ana",
    outcome: Outcome = Outcome.SERVED,
    priority: int = 0,
    customer: str | None = None,
) -> LoggedInteraction:
    """Return an interaction of Monday, told in seconds after midnight; served ones start when they leave the queue."""
    at_ms = MONDAY_MS + 1000 * queued_s
    left_ms = at_ms + 1000 * wait_s
    served = outcome is Outcome.SERVED
    return LoggedInteraction(
        id=f"{queue}-{queued_s}-{wait_s}-{priority}",
        queue=queue,
        channel="voice",
        priority=priority,
        customer=customer,
        arrived_ms=at_ms,
        queued_ms=at_ms if wait_s or not served else None,
        left_queue_ms=left_ms if wait_s or not served else None,
        wait_ms=1000 * wait_s,
        outcome=outcome,
        agent=agent if served else None,
        started_ms=left_ms if served else None,
        ended_ms=left_ms + 1000 * handle_s if served else None,
        handle_ms=1000 * handle_s if served else None,
    )


def known_plan() -> Plan:
    """Return the plan behind :func:`known_day`: ten agents, two queues, a head start, nine seconds of wrap-up."""
    window = ((MONDAY_MS + 8 * HOUR_MS, MONDAY_MS + 20 * HOUR_MS),)
    skills = [{"sales": 1}] * 3 + [{"support": 1}] * 3 + [{"sales": 1, "support": 1}] * 4
    agents = [Agent(f"agent {n}", skills=own, windows=window) for n, own in enumerate(skills)]
    strategy = Priority(head_start={0: 0, 2: HEAD_START_MS})
    return Plan(
        queues=[Queue(name, needs=name, strategy=strategy, wrap_up_ms=WRAP_UP_MS) for name in ("sales", "support")],
        agents=agents,
    )


def known_day(seed: int = 1, per_hour: float = 52.0) -> History:
    """Return a busy day routed under :func:`known_plan`, as a log would tell it."""
    talk, patience = Draw("lognormal", 180_000, 0.8), Draw("exponential", 180_000)
    streams = [
        Stream(queue=queue, per_hour=per_hour, handle=talk, priority=priority, patience=patience)
        for queue in ("sales", "support")
        for priority in (0, 2)
    ]
    work = poisson(streams, seed=seed, periods=12, start_ms=MONDAY_MS + 8 * HOUR_MS)
    # The wrap-up is the plan's, as in a log that does not tell it.
    done = simulate(known_plan(), attrs.evolve(work, wrap_up_ms=None))
    records = []
    for row in range(len(done)):
        served = done.outcome[row] == OutcomeCode.SERVED
        at_ms, wait_ms = int(done.arrival_ms[row]), int(done.wait_ms[row])
        queued = wait_ms > 0 or not served
        records.append(
            LoggedInteraction(
                id=str(row),
                queue=done.queues[int(done.queue[row])],
                channel="voice",
                priority=int(done.priority[row]),
                arrived_ms=at_ms,
                queued_ms=at_ms if queued else None,
                left_queue_ms=at_ms + wait_ms if queued else None,
                wait_ms=wait_ms,
                outcome=Outcome.SERVED if served else Outcome.ABANDONED,
                agent=done.agents[int(done.agent[row])] if served else None,
                started_ms=int(done.start_ms[row]) if served else None,
                ended_ms=int(done.end_ms[row]) if served else None,
                handle_ms=int(done.end_ms[row] - done.start_ms[row]) if served else None,
            )
        )
    return History.of(records)


QUEUE_LOG = """\
1000000000|c1|sales|NONE|ENTERQUEUE||5550001|1
1000000010|c1|sales|Agent/ANA|CONNECT|10|c1|2
1000000015|c2|sales|NONE|ENTERQUEUE||5550002|1
1000000040|c3|sales|NONE|ENTERQUEUE||5550003|2
1000000070|c1|sales|Agent/ANA|COMPLETECALLER|10|60|1
1000000075|c2|sales|Agent/ANA|CONNECT|60|c2|2
1000000100|c3|sales|NONE|ABANDON|1|2|60
1000000135|c2|sales|Agent/ANA|COMPLETEAGENT|60|60|1
1000000200|c4|support|NONE|ENTERQUEUE||5550004|1
1000000200|c4|support|Agent/BEN|CONNECT|0|c4|0
1000000320|c4|support|Agent/BEN|COMPLETEAGENT|0|120|1
"""
"""Four calls of three minutes; the numbers 555000x are customers."""


def write_queue_log(folder: Path, text: str = QUEUE_LOG) -> Path:
    """Write a small queue_log and return its path."""
    path = folder / "day.queue_log"
    path.write_text(text)
    return path
