"""``omniroute compare``: one log under several plans, in one table."""

from __future__ import annotations

import argparse

from omniroute.cli import files, options, pages
from omniroute.cli.exits import FINDING, INPUT, OK, Failure
from omniroute.cli.replay import plan_warnings
from omniroute.cli.screen import Progress, Screen
from omniroute.errors import InputError
from omniroute.replay.report import Run, comparison, observed_run, run_under
from omniroute.replay.what_if import work_of


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = options.subcommand(
        commands,
        "compare",
        "route a log under several plans and compare",
        "Routes the interactions of a log under each plan, all with the same draws, and shows the observed and the\n"
        "plans beside one another, in total and by queue; differences are to the observed.\n"
        "'omniroute replay LOG --out DIR' writes a first plan to start from.",
    )
    options.add_log_options(parser)
    parser.add_argument("plans", metavar="PLAN", nargs="+", help="a plan in TOML")
    options.add_run_options(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the subcommand and return its exit code."""
    progress, screen = Progress(), Screen()
    plans = [(path, files.read_plan(path)) for path in given.plans]
    mapping = files.mapping_from(given.mapping, plans)
    history = files.read_history(
        given.log, log_format=given.format, mapping=mapping, strict=given.strict, progress=progress
    )
    if not history.columns.offered.any():
        raise Failure(FINDING, f"{given.log}: no interaction came to a queue, so there is nothing to compare")
    work = work_of(history, seed=given.seed)
    runs: list[Run] = [observed_run(work)]
    for name, (path, plan) in zip(options.names_of(given.plans), plans, strict=True):
        progress.say(f"routing under {path}")
        try:
            runs.append(run_under(name, work, plan))
        except InputError as error:
            where = f"{error.field}: " if error.field else ""
            raise Failure(INPUT, f"{path}: {where}{error.message}") from error
        finally:
            progress.done()
    if given.json:
        screen.document(
            comparison(runs, kind="compare", seed=given.seed, assumptions=work.assumptions, history=history)
        )
        return OK
    pages.show_read(screen, history.summary)
    screen.heading("The same interactions under each plan; differences are to the observed")
    screen.items(work.assumptions)
    screen.items(said for path, plan in plans for said in plan_warnings(plan, path, history))
    pages.show_runs(screen, runs)
    return OK
