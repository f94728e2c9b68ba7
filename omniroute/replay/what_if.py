"""What would have been: the same arrivals, handle times and patience, routed by omniroute's core under a plan.

What the log cannot tell is drawn from a seed, and :class:`Work` says what that was: the patience of those who were
served (they would have waited longer, for how long nobody saw) and handle times that are not logged. Two plans that are
compared get the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from omniroute.errors import InputError
from omniroute.formats.records import Outcome
from omniroute.insight.columns import NONE, Flags, Integers, InteractionColumns
from omniroute.insight.metrics import HANDLE_FILTERS
from omniroute.insight.tables import many
from omniroute.model import nearest
from omniroute.plan import Plan
from omniroute.replay.history import History
from omniroute.replay.patience import ENDLESS, Survival, product_limit
from omniroute.world.simulate import Outcome as Simulated
from omniroute.world.simulate import OutcomeCode, simulate
from omniroute.world.workload import Workload

LEAST_EVENTS: Final = 30
"""A queue with fewer abandonments shares the curve of all queues together."""
LEAST_INTERACTIONS: Final = 100
CALIBRATE_TO_MS: Final = 300_000
CALIBRATE_STEP_MS: Final = 250
_END: Final = {
    OutcomeCode.OPEN: Outcome.EMPTIED,
    OutcomeCode.SERVED: Outcome.SERVED,
    OutcomeCode.ABANDONED: Outcome.ABANDONED,
    OutcomeCode.BLOCKED: Outcome.EMPTIED,
    OutcomeCode.CANCELLED: Outcome.EMPTIED,
}
"""How a simulated end reads in the metrics: who never reached an agent counts as offered and not as served."""


@attrs.frozen(kw_only=True, slots=True, eq=False)
class Work:
    """What is routed again: the offered interactions of a log, and what was drawn for them.

    ``rows`` are their places in the history, shape (n,). ``drawn_handles`` handle times are drawn. ``patience`` is the
    curve of each queue, ``pooled`` are the queues that share the one of all.
    """

    history: History
    workload: Workload
    rows: Integers
    drawn_handles: int
    patience: dict[str, Survival]
    pooled: tuple[str, ...]
    assumptions: tuple[str, ...]

    @property
    def observed(self) -> InteractionColumns:
        """Return what the log says of the same interactions, row by row."""
        return self.history.columns.where(self._chosen)

    @property
    def _chosen(self) -> Flags:
        chosen = np.zeros(len(self.history.columns), dtype=np.bool_)
        chosen[self.rows] = True
        return chosen


def work_of(history: History, *, seed: int = 1, needs: bool = True) -> Work:
    """Turn a log into a workload; ``needs`` False leaves out the requirements that the log carries. O(n log n).

    The patience of those who abandoned is their wait, that of the others is drawn above it from the product-limit curve
    of their queue. Handle times that are not logged are drawn from the plausible ones of their queue, else of all.
    """
    interactions = history.columns
    rows = np.flatnonzero(interactions.offered)
    part = interactions.where(interactions.offered)
    random = np.random.default_rng(seed)
    handle_ms, drawn = _handles(part, random)
    patience_ms, curves, pooled = _patience(part, random)
    requirements = history.needs if needs else ("",)
    asked = history.codes(requirements, lambda record: (record.needs or "") if needs else "")
    workload = Workload(
        arrival_ms=part.arrived_ms,
        handle_ms=handle_ms,
        queues=part.queue_names,
        queue=part.queue.astype(np.int64),
        channels=history.channels or ("voice",),
        channel=history.codes(history.channels, lambda record: record.channel)[rows].astype(np.int64),
        requirements=requirements,
        needs=asked[rows].astype(np.int64),
        priority=part.priority.astype(np.int64),
        patience_ms=patience_ms,
    )
    return Work(
        history=history,
        workload=workload,
        rows=rows,
        drawn_handles=drawn,
        patience=curves,
        pooled=pooled,
        assumptions=tuple(_said(part, drawn, curves, pooled, seed, needs or len(history.needs) < 2)),
    )


def _handles(part: InteractionColumns, random: np.random.Generator) -> tuple[Integers, int]:
    """Return the handle time of every interaction, and how many of the served ones are drawn."""
    handle_ms = part.handle_ms.copy()
    known = part.served & (handle_ms != NONE)
    plausible = part.served & HANDLE_FILTERS["plausible"](handle_ms)
    for queue in range(len(part.queue_names)):
        missing = np.flatnonzero(~known & (part.queue == queue))
        pool = handle_ms[plausible & (part.queue == queue)]
        if not len(pool):
            pool = handle_ms[plausible] if plausible.any() else np.zeros(1, np.int64)
        handle_ms[missing] = pool[random.integers(0, len(pool), len(missing))]
    return handle_ms, int(np.count_nonzero(part.served & ~known))


def _patience(
    part: InteractionColumns, random: np.random.Generator
) -> tuple[Integers, dict[str, Survival], tuple[str, ...]]:
    """Return how long every customer would wait, the curve of each queue, and the queues that share one."""
    gave_up = part.outcome_is(Outcome.ABANDONED, Outcome.KEYED_OUT)
    all_together = product_limit(part.wait_ms, gave_up)
    patience_ms = np.where(gave_up, part.wait_ms, ENDLESS)
    curves: dict[str, Survival] = {}
    pooled: list[str] = []
    for queue, name in enumerate(part.queue_names):
        own = part.queue == queue
        if not own.any():
            continue
        if np.count_nonzero(gave_up & own) >= LEAST_EVENTS:
            curves[name] = product_limit(part.wait_ms[own], gave_up[own])
        else:
            curves[name] = all_together
            pooled.append(name)
        stayed = own & ~gave_up
        patience_ms[stayed] = curves[name].draw_beyond(part.wait_ms[stayed], random)
    return patience_ms, curves, tuple(pooled)


def _said(
    part: InteractionColumns, drawn: int, curves: dict[str, Survival], pooled: Sequence[str], seed: int, needs: bool
) -> list[str]:
    stayed = len(part) - int(np.count_nonzero(part.outcome_is(Outcome.ABANDONED, Outcome.KEYED_OUT)))
    said = ["Every interaction arrives when it did and takes as long as it did."]
    if drawn:
        said.append(f"{many(drawn, 'handle time')} not in the log: drawn from the plausible ones of the queue.")
    said += _about_patience(stayed, curves, pooled, seed)
    said += _about_priorities(part)
    if not needs:
        said.append("The requirements that the log carries are left out: who can meet them is not in the log.")
    return said


def _about_patience(stayed: int, curves: dict[str, Survival], pooled: Sequence[str], seed: int) -> list[str]:
    if not any(curve.events for curve in curves.values()):
        return ["Nobody abandoned, so nothing is known of patience: everybody waits until served."]
    said = [
        f"Who abandoned would have abandoned after the same wait. How much longer the other {stayed:,} would have "
        f"waited is drawn (seed {seed}) from the Kaplan-Meier curve of the queue, above the wait that was seen."
    ]
    if pooled:
        said.append(
            f"Fewer than {LEAST_EVENTS} abandoned in {', '.join(pooled)}: there the curve of all queues is used."
        )
    tails = [f"{name} {curve.tail_share:.0%}" for name, curve in curves.items() if curve.tail_share >= 0.005]
    if tails:
        said.append(
            f"Some are more patient than anything that was seen ({', '.join(tails)}): the curve is continued with a "
            "constant hazard."
        )
    return said


def _about_priorities(part: InteractionColumns) -> list[str]:
    """Say where a log seems to write the priority only of those who queue: who is served at once then has the least."""
    queued_share = {priority: float(own.queued.mean()) for priority, own in part.split(part.priority)}
    if len(queued_share) < 2 or len(part) < LEAST_INTERACTIONS:
        return []
    least, most = min(queued_share), max(queued_share)
    if queued_share[most] < 0.9 or queued_share[least] > 0.5:
        return []
    return [
        f"{queued_share[most]:.0%} of priority {most} queued, but {queued_share[least]:.0%} of priority {least}: this "
        f"log seems to write priorities only of those who queue. Who was served at once keeps priority {least} when "
        "routed again."
    ]


def missing_queues(work: Work, plan: Plan) -> list[str]:
    """Return the queues that interactions came to and the plan does not have."""
    known = {queue.name for queue in plan.queues}
    came = np.unique(work.workload.queue).tolist()
    return [work.workload.queues[queue] for queue in came if work.workload.queues[queue] not in known]


def routed(work: Work, plan: Plan) -> InteractionColumns:
    """Route the work under a plan; row i is row i of ``work.rows``. Raises InputError, PlanError.

    Who never reached an agent (nobody was there any more, the queue was full) counts as offered and not as queued.
    """
    missing = missing_queues(work, plan)
    if missing:
        known = [queue.name for queue in plan.queues]
        raise InputError(
            f"the plan has no queue {', '.join(map(repr, missing))}, which the log has{nearest(missing[0], known)}",
            source="plan",
        )
    return columns_of(simulate(plan, work.workload), every_entry=work.history.entry_always_logged)


def columns_of(outcome: Simulated, *, every_entry: bool = False) -> InteractionColumns:
    """Return an outcome as the columns that the metrics read; ``every_entry`` counts all who ended as queued. O(n)."""
    served = outcome.outcome == OutcomeCode.SERVED
    ended = served | (outcome.outcome == OutcomeCode.ABANDONED)
    wait_ms = np.where(ended, outcome.wait_ms, 0)
    queued = ended if every_entry else ended & (wait_ms > 0)
    codes = np.array([int(_END[OutcomeCode(code)]) for code in range(len(OutcomeCode))], dtype=np.int32)
    return InteractionColumns(
        queue_names=outcome.queues,
        agent_names=outcome.agents,
        arrived_ms=outcome.arrival_ms,
        queue=outcome.queue.astype(np.int32),
        priority=outcome.priority.astype(np.int32),
        outcome=codes[outcome.outcome],
        queued_ms=np.where(queued, outcome.arrival_ms, NONE),
        left_queue_ms=np.where(ended, outcome.arrival_ms + wait_ms, NONE),
        wait_ms=wait_ms,
        agent=np.where(served, outcome.agent, NONE).astype(np.int32),
        started_ms=np.where(served, outcome.start_ms, NONE),
        ended_ms=np.where(served, outcome.end_ms, NONE),
        handle_ms=np.where(served, outcome.end_ms - outcome.start_ms, NONE),
    )


@attrs.frozen(kw_only=True, slots=True)
class Calibration:
    """The time between services at which the simulated mean wait of all offered is that of the log.

    ``reached`` is False where no time in 0..CALIBRATE_TO_MS brings it near; then ``between_ms`` is the nearest one.
    """

    plan: Plan
    between_ms: int
    measured_ms: int
    observed_wait_ms: float
    simulated_wait_ms: float
    reached: bool


def calibrated(work: Work, plan: Plan, measured_ms: int) -> Calibration:
    """Fit the one number that the log bounds worst, what agents need between services, by bisection of the mean wait.

    Everything that keeps agents from the next interaction and is not logged goes into it. About ten simulations.
    """
    target = float(work.observed.wait_ms.mean()) if len(work.rows) else 0.0
    tried: dict[int, float] = {}

    def excess(between_ms: int) -> float:
        if between_ms not in tried:
            tried[between_ms] = float(routed(work, _needing(plan, between_ms)).wait_ms.mean()) - target
        return tried[between_ms]

    low, high = 0, CALIBRATE_TO_MS
    reached = len(work.rows) > 0 and excess(low) <= 0 <= excess(high)
    while reached and high - low > CALIBRATE_STEP_MS:
        middle = (low + high) // (2 * CALIBRATE_STEP_MS) * CALIBRATE_STEP_MS
        middle = middle if low < middle < high else (low + high) // 2
        low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
    best = min(tried, key=lambda between_ms: (abs(tried[between_ms]), between_ms), default=measured_ms)
    return Calibration(
        plan=_needing(plan, best),
        between_ms=best,
        measured_ms=measured_ms,
        observed_wait_ms=target,
        simulated_wait_ms=target + tried.get(best, 0.0),
        reached=reached,
    )


def _needing(plan: Plan, between_ms: int) -> Plan:
    return attrs.evolve(plan, queues=[attrs.evolve(queue, wrap_up_ms=between_ms) for queue in plan.queues])


def reasons(*, presence_recorded: bool) -> tuple[str, ...]:
    """Return why a what-if under a reconstructed plan differs from the observed, as far as the log cannot settle it."""
    hours = "Pauses and wrap-up that nobody logged keep agents busy unseen."
    if not presence_recorded:
        hours = "Log-in, pauses and wrap-up are not in the log: presence is only bounded by services."
    return (
        hours,
        "Skills are one set for the whole log; who took which queue on which day may have differed.",
        "People and machines do not keep one order; the agreement below says how far they did.",
        "Patience behind the wait of those served is drawn, not seen.",
        "What agents began themselves (call-backs) cannot be told from what came in, and is queued like it.",
    )
