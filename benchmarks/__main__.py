"""``python -m benchmarks``: every measurement in a process of its own, one table, JSON on request."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import sizes

HERE = Path(__file__).resolve().parent
MEASUREMENTS = (
    "bench_columns.py::test_two_classes_omniroute",
    "bench_columns.py::test_two_classes_compiled",
    "bench_columns.py::test_two_classes_heapq[events]",
    "bench_columns.py::test_two_classes_heapq[instants]",
    "bench_columns.py::test_two_classes_simpy",
    "bench_columns.py::test_two_classes_ciw",
    "bench_columns.py::test_skills_omniroute",
    "bench_columns.py::test_skills_heapq",
    "bench_columns.py::test_large_omniroute",
    "bench_columns.py::test_answers_omniroute",
    "bench_columns.py::test_threads",
    "bench_decisions.py::test_decision_enqueue",
    "bench_decisions.py::test_decision_narrow",
    "bench_decisions.py::test_decision_wide",
    "bench_decisions.py::test_growth[full]",
    "bench_decisions.py::test_growth[sparse]",
    "bench_decisions.py::test_fork",
    "bench_decisions.py::test_memory_core",
    "bench_window.py::test_window[100]",
    "bench_window.py::test_window[300]",
    "bench_window.py::test_window[1000]",
    "bench_window.py::test_window_other[overload]",
    "bench_window.py::test_window_other[agents]",
    "bench_window.py::test_window_other[entries]",
    "bench_window.py::test_window_other[both]",
    "bench_door.py::test_lives",
    "bench_door.py::test_commands",
    "bench_door.py::test_router_creation",
    "bench_door.py::test_many_routers",
    "bench_door.py::test_fork_of_a_router",
    "bench_door.py::test_router_creation_large",
    "bench_door.py::test_import",
)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, less than a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("-k", metavar="NAME", default="", help="only measurements whose name contains this")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", help=f"one of {', '.join(sizes.FULL)}; repeatable"
    )
    found = parser.parse_args(given)
    found.sizes = dict(sizes.QUICK if found.quick else sizes.FULL)
    for text in found.size:
        name, _, number = text.partition("=")
        if name not in found.sizes or not number.isdecimal() or not int(number):
            parser.error(f"--size {text}: expected NAME=N with a name of {', '.join(sizes.FULL)}")
        found.sizes[name] = int(number)
    return found


def measured(name: str, chosen: dict[str, int]) -> tuple[list[dict[str, Any]], str]:
    """Run one measurement in a fresh process; its lines, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "pytest", str(HERE / name), "-q", "-rs", "-o", "filterwarnings="]
        command += ["--benchmark-disable-gc", f"--benchmark-json={out}", f"--rootdir={HERE.parent}"]
        env = os.environ | {sizes.VARIABLE: json.dumps(chosen)}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), env.get("PYTHONPATH", "")]))
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        if done.returncode == 0 and out.exists() and out.read_text():
            found = json.loads(out.read_text())["benchmarks"]
            if found:
                return found[0]["extra_info"]["lines"], ""
        lines = [line for line in done.stdout.splitlines() if line.startswith(("E  ", "SKIPPED", "ERROR"))]
        return [], lines[0] if lines else done.stdout[-300:] + done.stderr[-300:]


def shown(figure: float, unit: str) -> str:
    """A figure for people.

    >>> shown(5_230_000, "1/s"), shown(0.0123, "ms")
    ('5.23 M/s', '0.0123 ms')
    """
    if unit == "1/s":
        scale, letter = (1e6, "M") if figure >= 1e6 else (1e3, "k")
        return f"{figure / scale:.3g} {letter}/s"
    return f"{figure:.3g} {unit}"


def table(lines: Sequence[dict[str, Any]]) -> str:
    """One line for each figure of omniroute, and one for each peer with the ratio to it."""
    rows = [("what", "omniroute", "peer", "ratio", "target")]
    own = {line["what"]: line for line in lines if line["who"].startswith("omniroute")}
    for line in lines:
        here = own.get(line["what"])
        if here is line:
            note = f" [{line['note']}]" if line["note"] else ""
            rows.append((line["what"] + note, shown(line["figure"], line["unit"]), "", "", line["target"]))
        else:
            ratio = f"{here['figure'] / line['figure']:.3g} x" if here else ""
            rows.append(("", "", f"{line['who']} {shown(line['figure'], line['unit'])}", ratio, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, write. Returns 1 when an answer was wrong."""
    chosen = arguments(given)
    lines: list[dict[str, Any]] = []
    failed = []
    begin = time.monotonic()
    for name in MEASUREMENTS:
        if chosen.k not in name:
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        found, wrong = measured(name, chosen.sizes)
        lines += found
        if wrong:
            print(f"  {wrong}", file=sys.stderr)
            failed.append({"name": name, "why": wrong})
    print(table(lines))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"\nWall time on {os.cpu_count()} cores; load at the end {load:.1f}. Above 1, others were measured along.")
    if chosen.json:
        about = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
        about |= {"cores": os.cpu_count(), "core": implementation(), "seconds": round(time.monotonic() - begin, 1)}
        about |= {"sizes": chosen.sizes, "load": load}
        chosen.json.write_text(json.dumps({"about": about, "lines": lines, "failed": failed}, indent=1) + "\n")
    return int(any(not wrong["why"].startswith("SKIPPED") for wrong in failed))


def implementation() -> str:
    """Which core was measured."""
    from omniroute.core import IMPLEMENTATION

    return IMPLEMENTATION


if __name__ == "__main__":
    sys.exit(main())
