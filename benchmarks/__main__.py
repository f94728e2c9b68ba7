"""``python -m benchmarks``: every measurement in a process of its own; a table, JSON lines, a comparison, pictures."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, sizes, tables
from benchmarks.scenarios import DAY, SCENARIOS
from benchmarks.tables import Line

HERE = Path(__file__).resolve().parent


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asked for. Exits with 2 where it asks for what is not there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--list", action="store_true", help="only say what the scenarios are")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write one line of JSON for each (scenario, engine)")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="beside an earlier --out; 1 if answers changed")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also measure the curves, and draw them there")
    parser.add_argument("--full-day", action="store_true", help=f"the day has {DAY:,} interactions")
    parser.add_argument("-k", metavar="NAME", default="", help="only measurements whose name contains this")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", help=f"one of {', '.join(sizes.FULL)}; repeatable"
    )
    found = parser.parse_args(given)
    if found.plots and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plots draws with matplotlib: pip install '.[bench]'")
    found.sizes = dict(sizes.QUICK if found.quick else sizes.FULL)
    if found.full_day:
        found.sizes["day"] = DAY
    for text in found.size:
        name, _, number = text.partition("=")
        if name not in found.sizes or not number.isdecimal() or not int(number):
            parser.error(f"--size {text}: expected NAME=N with a name of {', '.join(sizes.FULL)}")
        found.sizes[name] = int(number)
    if found.compare and not found.compare.is_file():
        parser.error(f"--compare {found.compare}: there is no such file")
    return found


def pytest(*words: str, chosen: dict[str, int]) -> subprocess.CompletedProcess[str]:
    """Run pytest over measurements in a fresh process."""
    command = [sys.executable, "-m", "pytest", *words, "-q", "-o", "filterwarnings=", f"--rootdir={HERE.parent}"]
    env = os.environ | {sizes.VARIABLE: json.dumps(chosen)}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), env.get("PYTHONPATH", "")]))
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=HERE.parent, check=False)


def measurements(part: str, *, curves: bool) -> list[str]:
    """The names of what is there to be measured, files in alphabetical order."""
    listed = pytest("--collect-only", str(HERE), chosen=sizes.QUICK).stdout.splitlines()
    names = [line for line in listed if "/bench_" in line and "::" in line and part in line]
    return [name for name in names if curves or "::test_curve" not in name]


def measured(name: str, chosen: dict[str, int]) -> tuple[list[Line], str]:
    """Run one measurement in a fresh process; its lines, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        done = pytest(name, "-rs", "--benchmark-disable-gc", f"--benchmark-json={out}", chosen=chosen)
        if done.returncode == 0 and out.exists() and out.read_text():
            found = json.loads(out.read_text())["benchmarks"]
            if found:
                return found[0]["extra_info"]["lines"], ""
        lines = [line for line in done.stdout.splitlines() if line.startswith(("E  ", "SKIPPED", "ERROR"))]
        return [], lines[0] if lines else done.stdout[-300:] + done.stderr[-300:]


def run(chosen: argparse.Namespace) -> tuple[list[Line], list[str]]:
    """Measure; the completed lines, and what went wrong."""
    raw: list[Line] = []
    wrong: list[str] = []
    for name in measurements(chosen.k, curves=chosen.plots is not None):
        print(f"{name} ...", file=sys.stderr, flush=True)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        found, why = measured(name, chosen.sizes)
        raw += [line | {"load": load} for line in found]
        if why:
            print(f"  {why}", file=sys.stderr)
        if why and not why.startswith("SKIPPED"):
            wrong.append(f"{name}: {why}")
    about = machine.about()
    return [tables.completed(line, about, chosen.sizes) for line in raw], wrong


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, write. Returns 1 when an answer was wrong or is not what it was; never for being slow."""
    chosen = arguments(given)
    if chosen.list:
        rows = [("name", "what", "target"), *((n, s.named(chosen.sizes), s.target()) for n, s in SCENARIOS.items())]
        print(tables.laid_out(rows))
        return 0
    lines, wrong = run(chosen)
    print(tables.table(lines, chosen.sizes, everything=not chosen.k))
    print(f"\n{told(lines)}")
    drawn = tables.curves(lines)
    if drawn:
        print(f"\n{drawn}")
    if chosen.out:
        chosen.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    if chosen.plots:
        from benchmarks import plots

        for path in plots.draw(lines, chosen.plots):
            print(f"drew {path}")
    changed = []
    if chosen.compare:
        text, changed = tables.compared(tables.read(chosen.compare), lines)
        print(f"\n{text}")
        print("\nOther answers than before: " + (", ".join(changed) or "none"))
    for text in wrong:
        print(f"FAILED {text}", file=sys.stderr)
    return int(bool(wrong or changed))


def told(lines: Sequence[Line]) -> str:
    """Where the figures come from, in a sentence or two."""
    about = machine.about()
    dirty = ", changed since" if about["dirty"] else ""
    loads = [line["load"] for line in lines if line["load"] is not None]
    alone = (
        f" Load before each measurement up to {max(loads):.1f}; above 1, others were measured along." if loads else ""
    )
    met, bound = (sum(1 for line in lines if line["met"] is not None and line["met"] >= least) for least in (1, 0))
    return (
        f"{met} of {bound} targets met. Wall time, core {about['core']}, Python {about['python']}, "
        f"{about['cores']} cores of {about['processor']}, commit {about['commit'][:12] or 'unknown'}{dirty}.{alone}"
    )


if __name__ == "__main__":
    sys.exit(main())
