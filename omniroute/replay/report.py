"""Everything that replay finds out about a log, together, and as one document of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import numpy as np

from omniroute import __version__
from omniroute.core import IMPLEMENTATION
from omniroute.errors import InputError
from omniroute.formats.records import LoggedInteraction
from omniroute.insight.columns import InteractionColumns
from omniroute.insight.metrics import Measures, Observed, measure, observe
from omniroute.plan import Plan
from omniroute.replay.agreement import Agreement, HeadStartSearch, agreement, search_head_start
from omniroute.replay.history import History
from omniroute.replay.presence import AWAY_MS
from omniroute.replay.reconstruct import Reconstruction, reconstruct
from omniroute.replay.what_if import LEAST_INTERACTIONS, Calibration, Work, calibrated, reasons, routed, work_of
from omniroute.strategies.fifo import FirstComeFirstServed

SCHEMA: Final = 1
"""The number that changes when a key of the document changes its name or meaning."""
SEEDS_BESIDE: Final = 4
_STRICTLY_MS: Final = 10**12
"""A head start that no wait catches up with: one tier."""


@attrs.frozen(kw_only=True, slots=True)
class Run:
    """One plan over the work: what happened to each interaction, measured in total and by queue."""

    name: str
    columns: InteractionColumns
    total: Measures
    by_queue: dict[str, Measures]


@attrs.frozen(kw_only=True, slots=True)
class PlanAgreement:
    """How far the observed order agrees with the plan's, and with no head start at all.

    ``search`` is for the head start of the highest priority alone, None where all have the same priority.
    """

    plan: Agreement
    none: Agreement
    search: HeadStartSearch | None


@attrs.frozen(kw_only=True, slots=True)
class Replay:
    """A log replayed. ``runs`` begins with the observed; the last one is under ``plan``.

    ``problem`` says why there is no plan and no what-if. ``spread`` are the total measures of the last run with other
    seeds.
    """

    history: History
    observed: Observed
    plan_name: str
    plan: Plan | None = None
    problem: str | None = None
    reconstruction: Reconstruction | None = None
    calibration: Calibration | None = None
    work: Work | None = None
    runs: tuple[Run, ...] = ()
    spread: tuple[Measures, ...] = ()
    agreement: PlanAgreement | None = None
    seed: int = 1


@attrs.frozen(kw_only=True, slots=True)
class Options:
    """What a replay can be told: see the command line's help for each."""

    seed: int = 1
    away_ms: int = AWAY_MS
    head_start_ms: Mapping[int, int] | None = None
    calibrate: bool = True


def replay(history: History, *, plan: Plan | None = None, plan_name: str = "plan", options: Options) -> Replay:
    """Observe a log, route it again under ``plan`` or one read from it, and compare the orders. Raises InputError."""
    observed = observe(history.columns)
    if plan is not None:
        return _under(history, observed, plan, plan_name, options)
    try:
        return _reconstructed(history, observed, options)
    except InputError as error:
        return Replay(history=history, observed=observed, plan_name="", problem=error.message, seed=options.seed)


def _reconstructed(history: History, observed: Observed, options: Options) -> Replay:
    found = reconstruct(history, away_ms=options.away_ms, head_start_ms=options.head_start_ms)
    work = work_of(history, seed=options.seed, needs=False)
    runs = [observed_run(work), run_under("as measured", work, found.plan)]
    enough = len(work.rows) >= LEAST_INTERACTIONS
    calibration = calibrated(work, found.plan, found.between_ms) if options.calibrate and enough else None
    last = found.plan
    if calibration is not None:
        last = calibration.plan
        runs.append(run_under("calibrated", work, last))
    return Replay(
        history=history,
        observed=observed,
        plan_name="reconstructed",
        plan=last,
        reconstruction=found,
        calibration=calibration,
        work=work,
        runs=tuple(runs),
        spread=_spread(history, last, options.seed, needs=False),
        agreement=_agreement(history, last, found.head_start),
        seed=options.seed,
    )


def _under(history: History, observed: Observed, plan: Plan, name: str, options: Options) -> Replay:
    work = work_of(history, seed=options.seed)
    return Replay(
        history=history,
        observed=observed,
        plan_name=name,
        plan=plan,
        work=work,
        runs=(observed_run(work), run_under(name, work, plan)),
        spread=_spread(history, plan, options.seed, needs=True),
        agreement=_agreement(history, plan, None),
        seed=options.seed,
    )


def observed_run(work: Work) -> Run:
    """Return what happened to the work in the log, as a run."""
    return run_of("observed", work.observed)


def run_under(name: str, work: Work, plan: Plan) -> Run:
    """Route the work under a plan and measure it. Raises InputError."""
    return run_of(name, routed(work, plan))


def run_of(name: str, columns: InteractionColumns) -> Run:
    """Measure columns in total and by queue."""
    by_queue = {columns.queue_names[queue]: measure(part) for queue, part in columns.split(columns.queue)}
    return Run(name=name, columns=columns, total=measure(columns), by_queue=by_queue)


def _spread(history: History, plan: Plan, seed: int, *, needs: bool) -> tuple[Measures, ...]:
    """Measure the plan with other seeds: how much of a difference is only the draw."""
    if np.count_nonzero(history.columns.offered) < LEAST_INTERACTIONS:
        return ()
    seeds = range(seed + 1, seed + 1 + SEEDS_BESIDE)
    return tuple(measure(routed(work_of(history, seed=other, needs=needs), plan)) for other in seeds)


def _agreement(history: History, plan: Plan, search: HeadStartSearch | None) -> PlanAgreement:
    records: Sequence[LoggedInteraction] = history.interactions
    priorities = sorted({record.priority for record in records})
    by_queue: dict[str, list[LoggedInteraction]] = {}
    for record in records:
        by_queue.setdefault(record.queue, []).append(record)
    cases = violations = 0
    strategies = {queue.name: queue.strategy or FirstComeFirstServed() for queue in plan.queues}
    for name, part in by_queue.items():
        strategy: Any = strategies.get(name, FirstComeFirstServed())
        places = {priority: strategy.place(priority) for priority in priorities}
        heads = {priority: place.head_start_ms - place.tier * _STRICTLY_MS for priority, place in places.items()}
        found = agreement(part, head_start_ms=heads)
        cases, violations = cases + found.cases, violations + found.violations
    if search is None and len(priorities) > 1:
        search = search_head_start(records)
    none = search.curve[0][1] if search is not None else agreement(records)
    return PlanAgreement(plan=Agreement(cases=cases, violations=violations), none=none, search=search)


# -- the document


def document(found: Replay, *, by_agent: bool = False) -> dict[str, Any]:
    """Return a replay as a document of plain values; keys are stable for one SCHEMA, units stand in their names.

    Customers are never in it; agents only with ``by_agent``.
    """
    return {
        **_stamp("replay"),
        "read": read_account(found.history),
        "observed": _observed(found.observed, by_agent=by_agent),
        "plan": _plan(found),
        "what_if": _what_if(found),
        "agreement": _agreements(found.agreement),
    }


def comparison(
    runs: Sequence[Run], *, kind: str, seed: int, assumptions: Sequence[str] = (), history: History | None = None
) -> dict[str, Any]:
    """Return runs of the same work under several plans as a document of plain values."""
    return {
        **_stamp(kind),
        "read": None if history is None else read_account(history),
        "seed": seed,
        "assumptions": list(assumptions),
        "runs": [run_values(run) for run in runs],
    }


def _stamp(kind: str) -> dict[str, Any]:
    return {"document": kind, "schema": SCHEMA, "omniroute": __version__, "core": IMPLEMENTATION}


def read_account(history: History) -> dict[str, Any]:
    """Return what became of the lines of a log."""
    summary = history.summary
    return {
        "source": summary.source,
        "format": summary.format,
        "lines": summary.lines,
        "kept": summary.kept,
        "set_aside": dict(summary.set_aside),
        "broken": dict(summary.broken),
        "broken_lines": [{"line": line, "reason": reason} for line, reason in summary.broken_lines],
        "interactions": summary.interactions,
        "presence_changes": summary.presence_changes,
        "events": dict(summary.events),
        "notes": dict(summary.notes),
    }


def measures_values(found: Measures) -> dict[str, Any]:
    """Return measures as plain values; thresholds become ``within_20000_ms``."""
    values = attrs.asdict(found)
    values["service_levels"] = {
        name: {f"within_{within_ms}_ms": share for within_ms, share in levels.items()}
        for name, levels in found.service_levels.items()
    }
    return values


def _observed(found: Observed, *, by_agent: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "total": measures_values(found.total),
        "by_queue": {name: measures_values(part) for name, part in found.by_queue.items()},
        "by_priority": {str(name): measures_values(part) for name, part in found.by_priority.items()},
        "arrivals_by_hour": list(found.arrivals_by_hour),
    }
    if by_agent:
        values["by_agent"] = {
            name: {
                **attrs.asdict(own),
                "occupancy_at_most": own.occupancy.at_most if own.occupancy else None,
            }
            for name, own in found.by_agent.items()
        }
    return values


def _plan(found: Replay) -> dict[str, Any]:
    values: dict[str, Any] = {"source": found.plan_name, "problem": found.problem}
    if found.plan is not None:
        values["queues"] = [queue.name for queue in found.plan.queues]
        values["agents"] = len(found.plan.agents)
        values["windows"] = sum(len(agent.windows) for agent in found.plan.agents)
    if found.reconstruction is not None:
        read = found.reconstruction
        values["reconstructed"] = {
            "assumptions": list(read.assumptions),
            "head_start_ms": {str(priority): ms for priority, ms in read.head_start_ms.items()},
            "precedence": attrs.asdict(read.precedence),
            "between_services_ms": read.between_ms,
            "between_services_gaps": read.gaps,
            "services_without_agent": read.unnamed,
        }
    return values


def run_values(run: Run) -> dict[str, Any]:
    """Return a run as plain values."""
    return {
        "name": run.name,
        "total": measures_values(run.total),
        "by_queue": {name: measures_values(part) for name, part in run.by_queue.items()},
    }


def _what_if(found: Replay) -> dict[str, Any] | None:
    if found.work is None:
        return None
    fitted = found.calibration
    return {
        "seed": found.seed,
        "assumptions": list(found.work.assumptions),
        "handle_times_drawn": found.work.drawn_handles,
        "patience": {
            name: {
                "abandoned": curve.events,
                "watched": curve.customers,
                "median_ms": curve.median_ms,
                "tail_share": curve.tail_share,
                "pooled": name in found.work.pooled,
            }
            for name, curve in found.work.patience.items()
        },
        "calibration": None if fitted is None else attrs.asdict(fitted, filter=lambda field, _: field.name != "plan"),
        "runs": [run_values(run) for run in found.runs],
        "other_seeds": [measures_values(part) for part in found.spread],
        "reasons_for_the_difference": reasons_of(found),
    }


def reasons_of(found: Replay) -> list[str]:
    """Return why a reconstructed plan does not land on the observed; nothing for a plan that was given."""
    read = found.reconstruction
    return [] if read is None else list(reasons(presence_recorded=read.presence_recorded))


def _agreements(found: PlanAgreement | None) -> dict[str, Any] | None:
    if found is None:
        return None
    values: dict[str, Any] = {"plan": _agreement_values(found.plan), "no_head_start": _agreement_values(found.none)}
    values["search"] = None
    if found.search is not None:
        values["search"] = {
            "priority": found.search.priority,
            "best_ms": found.search.best_ms,
            "best": _agreement_values(found.search.best),
            "curve": [{"head_start_ms": ms, **_agreement_values(point)} for ms, point in found.search.curve],
        }
    return values


def _agreement_values(found: Agreement) -> dict[str, Any]:
    return {"cases": found.cases, "disagreements": found.violations, "disagreement_rate": found.rate}
