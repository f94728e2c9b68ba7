"""``python -m benchmarks.how_exact``: what the simulated core shows beside what queueing theory says, as a table.

It runs the tests of the oracles and writes down what they judge: exact value, simulated value, and the difference in
standard errors. ``--long`` runs their long samples, 10 million rows for most, about half an hour; ``--from`` reads what
an earlier run wrote down (``OMNIROUTE_JUDGED=file python -m pytest ...``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[1]
FILES = tuple(f"tests/test_oracles{part}.py" for part in ("", "_conditions", "_channels", "_strategies", "_published"))
TITLES = {
    "test_erlang_c_through_the_core": "Erlang C",
    "test_finite_room_through_the_core": "finite room",
    "test_erlang_a_through_the_core": "Erlang A",
    "test_a_day_from_empty": "a day from empty",
    "test_strict_priority_through_the_core": "strict priority",
    "test_priority_with_patience_through_the_core": "priority with patience",
    "test_accumulating_priority_through_the_core": "accumulating priority",
    "test_c_mu_theta_through_the_core": "c-mu/theta",
    "test_skills_through_the_core": "skills, product form",
    "test_skills_with_speeds_of_agents": "skills, agents of different speed",
    "test_first_come_matching": "first-come matching",
    "test_pooled_n_through_the_core": "pooled N model",
    "test_reservation_through_the_core": "reserve",
    "test_calls_interrupt_e_mails": "calls that interrupt e-mails",
    "test_shared_attention_through_the_core": "chats that share attention",
    "test_capacity_units_without_waiting": "capacity units, by commands",
    "test_capacity_units_by_columns": "capacity units",
    "test_channels_kept_apart_by_units": "channels apart, by units",
    "test_channels_kept_apart_by_mix": "channels apart, by rule",
    "test_weighted_wait_is_accumulating_priority": "Preferences(weights): accumulating priority",
    "test_ranks_are_c_mu_theta": "Preferences(takes): c-mu/theta",
    "test_three_types_and_two_groups": "SimpleMSK, published",
    "test_two_skills_are_nearly_as_good_as_all": "two skills of six, published",
}
"""How a test is called in the table; one that is not here is called by its name."""


@attrs.frozen
class Judged:
    """One line: a test with its parameters, what it judged, and the numbers."""

    test: str
    what: str
    exact: float
    found: float
    error: float
    rows: int

    def title(self) -> str:
        """What was simulated, with its parameters."""
        name, _, given = self.test.partition("::")[2].partition("[")
        parameters = "-".join(part for part in given.rstrip("]").split("-") if part not in ("long", "suite", "kernel"))
        title = TITLES.get(name, name)
        return f"{title}: {parameters}" if parameters else title

    def off(self) -> float:
        """The difference in standard errors."""
        return (self.found - self.exact) / self.error if self.error else 0.0


def read(path: Path) -> list[Judged]:
    """What a run wrote down, in its order."""
    return [Judged(*json.loads(line)) for line in path.read_text().splitlines()]


def table(lines: Iterable[Judged]) -> str:
    """The lines as a table of a page."""
    rows = ["| what | | N | exact | simulated | off, in standard errors |", "|---|---|---|---|---|---|"]
    before = ""
    for line in lines:
        title = line.title()
        numbers = f"{line.rows:,} | {line.exact:.6g} | {line.found:.6g} | {line.off():+.1f}"
        rows.append(f"| {title if title != before else ''} | {line.what} | {numbers} |")
        before = title
    return "\n".join(rows)


def summary(lines: Sequence[Judged]) -> str:
    """How many lines are within one, two, three and four standard errors."""
    counts = [sum(abs(line.off()) <= k for line in lines) for k in (1, 2, 3, 4)]
    shares = ", ".join(f"{count / len(lines):.0%} within {k}" for k, count in enumerate(counts, 1))
    return f"{len(lines)} values: {shares}; the furthest is off by {max(abs(line.off()) for line in lines):.1f}."


def main() -> None:
    """Run the tests, or read what they wrote, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.how_exact", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the long samples")
    parser.add_argument("--only", default="", help="tests whose name contains this (pytest -k)")
    parser.add_argument("--from", type=Path, dest="written", help="a file that a run wrote")
    given = parser.parse_args()
    path, status = given.written, 0
    if path is None:
        path = Path(tempfile.mkdtemp()) / "judged.jsonl"
        chosen = ["--slow", "-m", "slow"] if given.long else []
        command = [sys.executable, "-m", "pytest", "-q", *chosen, "-k", given.only or "not wrong", *FILES]
        ran = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMNIROUTE_JUDGED": str(path)}, check=False)
        status = ran.returncode
    lines = read(path)
    print(f"{table(lines)}\n\n{summary(lines)}")
    sys.exit(status)


if __name__ == "__main__":
    main()
