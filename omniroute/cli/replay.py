"""``omniroute replay``: what happened, a plan that explains it, and the same day under omniroute's core."""

from __future__ import annotations

import argparse
import csv
import io
import json
from datetime import UTC, datetime
from typing import Final

from omniroute.cli import files, options, pages
from omniroute.cli.exits import FINDING, INPUT, OK, USAGE, Failure
from omniroute.cli.screen import Progress, Screen
from omniroute.errors import InputError
from omniroute.formats.records import Outcome
from omniroute.insight.columns import NONE, InteractionColumns
from omniroute.plan import Plan, duration_text
from omniroute.replay.history import History
from omniroute.replay.presence import AWAY_MS
from omniroute.replay.reconstruct import plan_text
from omniroute.replay.report import Options, Replay, document, replay

PLAN, REPORT, INTERACTIONS = "plan.toml", "report.json", "interactions.csv"
_FORMULAS: Final = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a formula begins with; the last four are the wide forms of the first."""
_SEPARATORS: Final = ",;|\t\r\n"
_COLUMNS: Final = (
    "line",
    "queue",
    "priority",
    "arrived",
    "observed_outcome",
    "observed_wait_ms",
    "observed_agent",
    "what_if_outcome",
    "what_if_wait_ms",
    "what_if_agent",
    "handle_ms",
    "patience_ms",
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = options.subcommand(
        commands,
        "replay",
        "report on a log, read a plan from it, route it again",
        "Reports what happened in a routing log; reads a plan from it (or takes yours); routes the same interactions\n"
        "through omniroute's core under that plan, beside the observed; and says how far the plan's order agrees with\n"
        "the observed one. Customers are never printed.",
    )
    options.add_log_options(parser)
    parser.add_argument("--plan", metavar="PLAN", help="a plan in TOML instead of one read from the log")
    options.add_run_options(parser)
    parser.add_argument("--out", metavar="DIR", help=f"also write {PLAN}, {REPORT} and {INTERACTIONS} there")
    parser.add_argument("--force", action="store_true", help="let --out overwrite files that are there")
    parser.add_argument(
        "--head-start",
        type=options.head_start,
        action="append",
        metavar="PRIORITY=TIME",
        help="waiting credited to a priority in the plan read from the log, such as 2=90s; searched when not given",
    )
    parser.add_argument(
        "--away",
        type=options.duration,
        default=AWAY_MS,
        metavar="TIME",
        help=f"an agent who lets people wait for longer between two services was away ({duration_text(AWAY_MS)})",
    )
    parser.add_argument("--no-calibration", action="store_true", help="leave the time between services as measured")
    parser.add_argument("--by-agent", action="store_true", help="also report on every agent by name")
    parser.add_argument("--curve", action="store_true", help="also print the agreement for every head start tried")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the subcommand and return its exit code."""
    if given.plan is not None and given.head_start:
        raise Failure(USAGE, "--head-start is for a plan read from the log; in --plan, write it into the strategy")
    names = (PLAN, REPORT, INTERACTIONS)
    out = files.Folder(given.out, names, force=given.force) if given.out is not None else None
    progress, screen = Progress(), Screen()
    plan = files.read_plan(given.plan) if given.plan is not None else None
    mapping = files.mapping_from(given.mapping, [(given.plan, plan)] if plan is not None else [])
    history = files.read_history(
        given.log, log_format=given.format, mapping=mapping, strict=given.strict, progress=progress
    )
    progress.say("routing")
    try:
        found = replay(
            history,
            plan=plan,
            plan_name=given.plan or "",
            options=Options(
                seed=given.seed,
                away_ms=given.away,
                head_start_ms=dict(given.head_start) if given.head_start else None,
                calibrate=not given.no_calibration,
            ),
        )
    except InputError as error:
        raise Failure(INPUT, _about(error, given.plan)) from error
    finally:
        progress.done()
    if out is not None:  # before a word is said: whoever reads the words may go away
        _write(out, found, by_agent=given.by_agent)
    if given.json:
        screen.document(document(found, by_agent=given.by_agent))
    else:
        _show(screen, found, given)
        if out is not None:
            screen.heading("Written")
            screen.items(_written(given.out, found))
    return OK if found.work is not None else FINDING


def _about(error: InputError, plan: str | None) -> str:
    """Return the message of a plan that does not fit the log, with the plan's file."""
    if plan is None:
        return str(error)
    return f"{plan}: {f'{error.field}: ' if error.field else ''}{error.message}"


def _show(screen: Screen, found: Replay, given: argparse.Namespace) -> None:
    pages.show_read(screen, found.history.summary)
    pages.show_observed(screen, found.history, found.observed, by_agent=given.by_agent)
    if not found.observed.total.logged:
        return
    pages.show_plan(screen, found)
    if given.plan is not None and found.plan is not None:
        screen.items(plan_warnings(found.plan, given.plan, found.history))
    pages.show_what_if(screen, found)
    pages.show_agreement(screen, found.agreement, curve=given.curve)


def plan_warnings(plan: Plan, name: str, history: History) -> list[str]:
    """Return what makes a plan look unlike the log."""
    arrived_ms = history.columns.arrived_ms
    if not len(arrived_ms):
        return []
    return options.warnings_about(plan, name, int(arrived_ms[0]), int(arrived_ms[-1]))


def _written(folder: str, found: Replay) -> list[str]:
    said = [f"{folder}/{REPORT}: this report as JSON"]
    if found.plan is not None and found.reconstruction is not None:
        said.insert(0, f"{folder}/{PLAN}: the plan, to be edited and given to --plan or to compare")
    if found.work is not None:
        said.append(f"{folder}/{INTERACTIONS}: every interaction, observed and routed again")
    return said


def _write(out: files.Folder, found: Replay, *, by_agent: bool) -> None:
    if found.reconstruction is not None and found.plan is not None:
        notes = [pages.about_calibration(found.calibration)] if found.calibration is not None else []
        summary = found.history.summary
        out.write(PLAN, plan_text(found.reconstruction, found.plan, source=summary.source, notes=notes))
    out.write(REPORT, json.dumps(document(found, by_agent=by_agent), indent=2, allow_nan=False) + "\n")
    if found.work is not None:
        out.write(INTERACTIONS, _interactions(found))


def _interactions(found: Replay) -> str:
    """Return a CSV row for every interaction that was routed again, by arrival; no customers."""
    assert found.work is not None
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    observed, routed = found.runs[0].columns, found.runs[-1].columns
    work, records = found.work.workload, found.history.interactions
    sides = [_side(observed), _side(routed)]
    drawn = zip(work.handle_ms.tolist(), work.patience_ms.tolist(), strict=True)
    for row, (place, numbers) in enumerate(zip(found.work.rows.tolist(), drawn, strict=True)):
        record = records[place]
        arrived = datetime.fromtimestamp(record.arrived_ms / 1000, UTC).isoformat(sep=" ", timespec="milliseconds")[:23]
        rows.writerow(
            (record.line, _safe(record.queue), record.priority, arrived, *sides[0][row], *sides[1][row], *numbers)
        )
    return text.getvalue()


def _side(columns: InteractionColumns) -> list[tuple[str, int, str]]:
    """Return outcome, wait and agent of each row."""
    agents = [_safe(name) for name in columns.agent_names]
    labels = {int(outcome): outcome.label for outcome in Outcome}
    return [
        (labels[outcome], wait, "" if agent == NONE else agents[agent])
        for outcome, wait, agent in zip(
            columns.outcome.tolist(), columns.wait_ms.tolist(), columns.agent.tolist(), strict=True
        )
    ]


def _safe(name: str) -> str:
    """Return a name that a spreadsheet will not take for a formula, nor what stands behind a separator in it.

    Where a country writes decimals with a comma, a spreadsheet cuts lines at semicolons, in quotes or not.
    """
    safe, cell = [], True
    for character in name:
        if cell and character in _FORMULAS:
            safe.append("'")
        cell = character in _SEPARATORS or (cell and character in " \"'")
        safe.append(character)
    return "".join(safe)
