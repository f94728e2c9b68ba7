"""Options that several subcommands share, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from omniroute.cli.exits import HELP
from omniroute.errors import PlanError
from omniroute.formats.detect import FORMATS
from omniroute.plan import Plan, milliseconds


def subcommand(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """Add a subcommand whose help ends with the exit codes."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Add the log and how to read it."""
    parser.add_argument("log", metavar="LOG", help="a routing log, plain or gzip")
    parser.add_argument("--format", choices=FORMATS, help="what LOG is; told from its first lines when not given")
    parser.add_argument("--mapping", metavar="FILE", help="TOML file with a [csv] table: which column is what")
    parser.add_argument("--strict", action="store_true", help="fail at the first broken line")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what every simulation takes."""
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="seed of what has to be drawn (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")


def _whole(text: str, low: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < low:
        raise argparse.ArgumentTypeError(f"expected a whole number from {low} on, got {text[:40]!r}")
    return int(text)


def seed(text: str) -> int:
    """Read a seed, a whole number that is not negative."""
    return _whole(text, 0)


def some(text: str) -> str:
    """Read a text that is not empty, as one is from a variable that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return text


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    return _whole(text, 1)


def duration(text: str) -> int:
    """Read a duration such as 30s as milliseconds."""
    try:
        return milliseconds(text)
    except PlanError as error:
        raise argparse.ArgumentTypeError(error.message) from error


def head_start(text: str) -> tuple[int, int]:
    """Read PRIORITY=DURATION."""
    name, equals, value = text.partition("=")
    if not equals or not (name.isascii() and name.isdigit()) or len(name) > 9:
        raise argparse.ArgumentTypeError(f"expected PRIORITY=DURATION such as 2=90s, got {text[:40]!r}")
    return int(name), duration(value)


def names_of(paths: Sequence[str]) -> list[str]:
    """Return a short name for each plan: its file's stem, or the path where two stems are alike."""
    stems = [Path(path).stem for path in paths]
    return [path if stems.count(stem) > 1 else stem for path, stem in zip(paths, stems, strict=True)]


def unserved_queues(plan: Plan) -> list[str]:
    """Return the queues of a plan that no agent of it can ever serve. O(queues * agents)."""
    left = []
    for queue in plan.queues:
        members = [agent for agent in plan.agents if agent.queues is None or queue.name in agent.queues]
        stages = [queue.requirement, *(step.applied(queue.requirement) for step in queue.steps)]
        if not any(stage.matches(agent.skills, agent.labels) for stage in stages for agent in members):
            left.append(queue.name)
    return left


def agents_elsewhere(plan: Plan, first_ms: int, last_ms: int) -> bool:
    """Whether the plan has agents with windows, and none of these touches the time of the log. O(windows)."""
    windows = [window for agent in plan.agents for window in agent.windows]
    always = any(not agent.windows for agent in plan.agents)
    return bool(windows) and not always and all(end <= first_ms or start > last_ms for start, end in windows)


def warnings_about(plan: Plan, name: str, first_ms: int, last_ms: int) -> list[str]:
    """Return what makes a plan look unlike the log that it is to route, in sentences."""
    said = []
    if not plan.agents:
        said.append(f"{name}: the plan has no agents, so nobody will be served.")
    elif agents_elsewhere(plan, first_ms, last_ms):
        said.append(f"{name}: no agent has a window in the time of this log, so nobody will be served.")
    unserved = unserved_queues(plan) if plan.agents else []
    if unserved:
        said.append(f"{name}: no agent has what these queues need: {', '.join(unserved)}.")
    return said
