"""The parts of a replay's report, as headings, tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from omniroute.cli.screen import Screen
from omniroute.formats.records import Outcome, ReadSummary
from omniroute.insight.columns import NONE, InteractionColumns
from omniroute.insight.metrics import THRESHOLDS_MS, AgentMeasures, Measures, Observed
from omniroute.insight.tables import (
    Line,
    Table,
    by_part,
    counted,
    level_line,
    lines,
    many,
    percent,
    seconds,
    side_by_side,
    signed,
    spread_row,
)
from omniroute.plan import duration_text
from omniroute.replay.agreement import Agreement
from omniroute.replay.history import History
from omniroute.replay.report import PlanAgreement, Replay, Run, reasons_of
from omniroute.replay.what_if import LEAST_INTERACTIONS, Calibration

BROKEN_SHOWN: Final = 5
NAMES_SHOWN: Final = 12
LEVEL_MS: Final = THRESHOLDS_MS[0]

_ABANDONMENTS: Final = (
    ("of all", "(abandoned + left before the queue) / (offered + left before the queue)"),
    ("of offered", "abandoned / offered"),
    ("of queued", "abandoned / queued, both having really entered the queue"),
)
_LEVELS: Final = {
    "served_within_of_offered": ("SL1", "served within T / offered"),
    "served_within_of_served": ("SL2", "served within T / served"),
    "served_within_without_short_abandons": ("SL3", "served within T / (offered - abandoned within T)"),
    "served_or_abandoned_within_of_offered": ("SL4", "(served + abandoned within T) / offered"),
    "removed_within_of_queued": ("removed", "left the queue in any way within T / queued"),
}


def show_read(screen: Screen, summary: ReadSummary) -> None:
    """What became of the lines."""
    screen.heading(f"Read: {summary.source} ({summary.format})")
    aside, broken = sum(summary.set_aside.values()), sum(summary.broken.values())
    screen.say(
        f"{many(summary.lines, 'line')}: {counted(summary.kept)} kept, {counted(aside)} set aside"
        f"{_by_reason(summary.set_aside)}, {counted(broken)} broken{_by_reason(summary.broken)}."
    )
    if summary.broken_lines:
        screen.items(f"line {line}: {reason}" for line, reason in summary.broken_lines[:BROKEN_SHOWN])
        if broken > BROKEN_SHOWN:
            screen.say(f"    and {counted(broken - min(BROKEN_SHOWN, len(summary.broken_lines)))} more")
    if summary.presence_changes:
        screen.say(f"{many(summary.presence_changes, 'presence change')} of agents.")
    if summary.notes:
        screen.say("Noted in lines that were kept:")
        screen.items(f"{counted(times)} x {what}" for what, times in _largest(summary.notes))


def _by_reason(reasons: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{reason} {counted(times)}' for reason, times in _largest(reasons))})" if reasons else ""


def _largest(table: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(table.items(), key=lambda item: (-item[1], item[0]))[:NAMES_SHOWN]


def show_observed(screen: Screen, history: History, observed: Observed, *, by_agent: bool) -> None:
    """What happened, in total, by queue, priority and agent."""
    screen.heading("Observed")
    columns, total = history.columns, observed.total
    if not total.logged:
        screen.say("There are no interactions in this log.")
        return
    screen.say(f"{_period(columns)} Times are the log's own clocks; durations are in seconds.")
    screen.table(_counts(total, history))
    screen.table(_waits(total))
    screen.table(_abandonment(total))
    screen.table(_levels(total))
    screen.table(_parts("By queue", "queue", observed.by_queue))
    if len(observed.by_priority) > 1:
        parts = {str(priority): found for priority, found in observed.by_priority.items()}
        screen.table(_parts("By priority", "priority", parts))
    if by_agent:
        screen.table(_agents(observed.by_agent))


def _period(columns: InteractionColumns) -> str:
    import numpy as np

    first, last = (np.datetime64(int(at), "ms").astype("datetime64[s]") for at in columns.arrived_ms[[0, -1]])
    named = len(np.unique(columns.agent[columns.agent != NONE]))
    days = len(np.unique(columns.arrived_ms // 86_400_000))
    return f"Arrivals from {first} to {last}, {many(days, 'day')} with arrivals, {many(named, 'agent')} named.".replace(
        "T", " "
    )


def _counts(total: Measures, history: History) -> Table:
    labels = {
        Outcome.LEFT_BEFORE_QUEUE: "left before the queue",
        Outcome.SET_ASIDE: "set aside by the log (phantom)",
    }
    queued = "  queued: entry logged, even if served at once" if history.entry_always_logged else "  queued: waited"
    shown = [
        ("offered", total.offered),
        ("  served", total.served),
        ("  abandoned", total.abandoned),
        (queued, total.queued),
    ]
    others = [outcome for outcome in Outcome if outcome not in (Outcome.SERVED, Outcome.ABANDONED)]
    for outcome in others:
        count = total.by_outcome.get(outcome.label, 0)
        if count:
            shown.append((labels.get(outcome, outcome.label.replace("_", " ")), count))
    return Table(title="", headings=("interactions", "n"), rows=tuple((label, counted(n)) for label, n in shown))


def _waits(total: Measures) -> Table:
    rows = (
        spread_row("waits of the queued", total.waits_of_queued),
        spread_row("waits of the queued and served", total.waits_of_queued_served),
        spread_row("waits of the abandoned", total.waits_of_abandoned),
        ("ASA: waits of the served, zeros included", counted(total.served), seconds(total.asa_ms), "", "", ""),
        spread_row("AHT: handle times over 0 s, up to 1 h", total.handle_times),
    )
    return Table(title="", headings=("seconds", "n", "mean", "median", "p90", "max"), rows=rows)


def _abandonment(total: Measures) -> Table:
    rates = (total.abandonment_of_all, total.abandonment_of_offered, total.abandonment_of_queued)
    rows = tuple((*texts, percent(share)) for texts, share in zip(_ABANDONMENTS, rates, strict=True))
    return Table(title="", headings=("abandonment", "formula", "%"), rows=rows, left=2)


def _levels(total: Measures) -> Table:
    headings = ("service level", "formula, T =", *(f"{duration_text(ms)} %" for ms in THRESHOLDS_MS))
    rows = tuple(
        (*_LEVELS[name], *(percent(levels[within_ms]) for within_ms in THRESHOLDS_MS))
        for name, levels in total.service_levels.items()
    )
    return Table(title="", headings=headings, rows=rows, left=2)


def _parts(title: str, word: str, parts: Mapping[str, Measures]) -> Table:
    headings = (word, "offered", "served", "abandoned", "of offered %", "queued", "wait mean s", "median s", "p90 s")
    rows = []
    for name, found in parts.items():
        if not found.offered:
            continue
        waits = found.waits_of_queued
        rows.append(
            (
                name,
                counted(found.offered),
                counted(found.served),
                counted(found.abandoned),
                percent(found.abandonment_of_offered),
                counted(found.queued),
                seconds(waits.mean_ms),
                seconds(waits.median_ms),
                seconds(waits.p90_ms),
                seconds(found.asa_ms),
                seconds(found.handle_times.mean_ms),
                percent(found.service_levels["served_within_of_offered"][LEVEL_MS]),
            )
        )
    return Table(
        title=f"{title} (waits of the queued)",
        headings=(*headings, "ASA s", "AHT s", f"SL1 {duration_text(LEVEL_MS)} %"),
        rows=tuple(rows),
    )


def _agents(agents: Mapping[str, AgentMeasures]) -> Table:
    rows = []
    for name, found in sorted(agents.items(), key=lambda item: (-item[1].served, item[0])):
        busy = found.occupancy
        queues = sorted(found.served_by_queue.items(), key=lambda item: (-item[1], item[0]))
        rows.append(
            (
                name,
                ", ".join(f"{queue} {count}" for queue, count in queues),
                counted(found.served),
                counted(busy.days if busy else None),
                seconds(found.handle_times.mean_ms),
                seconds(found.handle_times.median_ms),
                percent(busy.at_most if busy else None),
            )
        )
    headings = ("agent", "served by queue", "served", "days", "AHT s", "median s", "occupancy at most %")
    return Table(title="By agent", headings=headings, rows=tuple(rows), left=2)


def show_plan(screen: Screen, found: Replay) -> None:
    """The plan, and what was assumed to read it from the log."""
    if found.plan is None:
        screen.heading("Plan")
        screen.say(f"No plan was given and none can be read from this log: {found.problem}. Nothing is routed again.")
        return
    plan = found.plan
    windows = sum(len(agent.windows) for agent in plan.agents)
    size = (
        f"{many(len(plan.queues), 'queue')}, {many(len(plan.agents), 'agent')}, {many(windows, 'window')} of presence."
    )
    if found.reconstruction is None:
        screen.heading(f"Plan: {found.plan_name}")
        screen.say(size)
        return
    screen.heading("Plan: reconstructed from this log")
    screen.say(f"{size} --out writes it as plan.toml, to be edited. What the log does not say was assumed:")
    screen.items(found.reconstruction.assumptions)


def show_what_if(screen: Screen, found: Replay) -> None:
    """The same interactions routed again, beside the observed."""
    if found.work is None:
        return
    screen.heading("What if: the same interactions routed by omniroute's core under this plan")
    screen.items(found.work.assumptions)
    if found.calibration is not None:
        screen.items([about_calibration(found.calibration)])
    show_runs(screen, found.runs)
    last = found.runs[-1]
    if found.spread:
        screen.say("")
        screen.say(_about_seeds(found.spread, last.total))
    if found.reconstruction is not None and last.total.offered < LEAST_INTERACTIONS:
        screen.say("")
        screen.say(f"{many(last.total.offered, 'interaction')} are too few to calibrate a plan or to judge it by.")
    elif found.reconstruction is not None:
        screen.say("")
        screen.say(_how_near(found.runs[0].total, last.total))
        screen.say("What remains cannot be settled from the log:")
        screen.items(reasons_of(found))


def about_calibration(found: Calibration) -> str:
    """Say what was fitted, or that it could not be."""
    observed, measured = seconds(found.observed_wait_ms), seconds(found.measured_ms)
    if not found.reached:
        return (
            f"Calibration failed: no time between services brings the mean wait of all offered to the observed "
            f"{observed} s; the nearest is {seconds(found.simulated_wait_ms)} s at {seconds(found.between_ms)} s."
        )
    return (
        f"“Calibrated” fits one number: the time between services is {seconds(found.between_ms)} s instead of the "
        f"measured {measured} s, so that the mean wait of all offered is the observed {observed} s. It stands for all "
        "that keeps agents from the next interaction and is not in the log. Every other figure is a result, not a fit."
    )


def _about_seeds(spread: Sequence[Measures], last: Measures) -> str:
    runs = [last, *spread]
    waits = [run.waits_of_queued.mean_ms for run in runs if run.waits_of_queued.mean_ms is not None]
    rates = [run.abandonment_of_offered for run in runs if run.abandonment_of_offered is not None]
    if not waits or not rates:
        return "Nobody waits under this plan, whatever the seed."
    return (
        f"Over {len(runs)} seeds the mean wait of the queued is {seconds(min(waits))} to {seconds(max(waits))} s and "
        f"abandonment {percent(min(rates))} to {percent(max(rates))} % of offered: smaller differences say nothing."
    )


def _how_near(observed: Measures, routed: Measures) -> str:
    chosen = [*lines(THRESHOLDS_MS)[4:5], *lines(THRESHOLDS_MS)[6:9], lines(THRESHOLDS_MS)[10], level_line(LEVEL_MS)]
    parts = [f"{line.label} {line.difference(routed, observed)}{_relative(line, routed, observed)}" for line in chosen]
    return f"How near it lands: {'; '.join(parts)}."


def _relative(line: Line, routed: Measures, observed: Measures) -> str:
    value, base = line.value(routed), line.value(observed)
    if value is None or not base or "%" in line.label:
        return ""
    return f" ({signed(100 * (value - base) / base, 0)} %)"


def show_runs(screen: Screen, runs: Sequence[Run], *, differences: bool = True) -> None:
    """Runs beside one another, in total and by queue."""
    named = [(run.name, run.total) for run in runs]
    screen.table(side_by_side("In total", named, THRESHOLDS_MS, differences=differences))
    if len(runs[0].by_queue) > 1:
        every = lines(THRESHOLDS_MS)
        chosen = (every[4], every[6], every[10], level_line(LEVEL_MS))
        parts = [(run.name, run.by_queue) for run in runs]
        screen.table(by_part("By queue", "queue", parts, chosen, differences=differences))


def show_agreement(screen: Screen, found: PlanAgreement | None, *, curve: bool) -> None:
    """How often the plan's order is the observed one."""
    if found is None:
        return
    screen.heading("Agreement of order")
    if not found.none.cases:
        screen.say("Nobody was ever served while somebody else of the same queue waited, so there is nothing to judge.")
        return
    screen.say(
        "Of those served while others of the same queue were waiting, how often did somebody waiting have the better "
        "claim (entry minus head start, clocks 3 s off at most)?"
    )
    rows = [_agreement_row("first come, first served", found.none), _agreement_row("the plan", found.plan)]
    search = found.search
    if search is not None:
        best = duration_text(search.best_ms) if search.best_ms else "none"
        label = f"best head start of priority {search.priority} on the 15 s grid: {best}"
        rows.append(_agreement_row(label, search.best))
    screen.table(Table(title="", headings=("supposed order", "cases", "disagree", "%"), rows=tuple(rows)))
    if curve and search is not None:
        points = tuple(_agreement_row(duration_text(head_ms), point) for head_ms, point in search.curve)
        heading = f"head start of priority {search.priority}"
        screen.table(Table(title="", headings=(heading, "cases", "disagree", "%"), rows=points))


def _agreement_row(label: str, found: Agreement) -> tuple[str, ...]:
    return (label, counted(found.cases), counted(found.violations), percent(found.rate))
