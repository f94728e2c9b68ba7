"""Style that a machine can keep: floors, bans, sizes."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from enum import IntEnum
from itertools import pairwise
from pathlib import Path

import pytest

from omniroute.core import codes, lifecycle

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "omniroute"
SOURCES = sorted(PACKAGE.rglob("*.py"))

FLOORS = [
    {"errors", "extras"},
    {"core.codes", "core.estimate", "core.limits"},
    {"core.lifecycle", "core.dumped"},
    {"model", "checks", "requirements"},
    {
        "satisfy",
        "journey_rules",
        "journey_facts",
        "journey_state",
        "journey",
        "intake",
        "conditions",
        "steps",
        "windows",
    },
    {"plan", "plan_checks", "commands", "events", "views"},
    {"core", "core.kernel", "core.matching", "core.reference", "core.transport", "strategies"},
    {
        "plan_toml",
        "toml_tables",
        "naming",
        "capacity",
        "gauges",
        "estimates",
        "plan_numbers",
        "obligations",
        "pair_times",
        "ledger",
        "door",
        "turns",
        "closing",
        "contacts",
        "staffing",
        "reconcile",
        "replan",
        "preview",
        "snapshot",
        "upgrades",
        "router",
        "forms",
        "answers",
        "audit",
        "board",
        "room",
        "reasons",
        "records",
    },
    {"testing"},
    {"formats", "world", "calendar", "journal"},
    {"insight"},
    {"replay"},
    {"live"},
    {"cli", "__main__"},
]
"""From the ground up; a file imports its own floor or a lower one."""

UPWARD = {("plan", "plan_toml")}
"""The named exceptions: a value that can read and write itself as text, lazily."""

CLOCKS = {"time", "datetime", "asyncio", "threading", "socket", "random", "secrets", "subprocess"}
MAY_READ_CLOCKS = {
    "model",
    "checks",
    "intake",
    "plan",
    "plan_toml",
    "toml_tables",
    "formats",
    "world",
    "insight",
    "calendar",
    "cli",
    "replay",
    "testing.child",
    "live",
}
"""Dates as text are read at the edge (``datetime``); who asks what time it is are the command line and ``live``.

The kit that tests strategies starts another process, to see whether they answer the same there.
"""

MAY_START_THREADS = {"journal.sqlite"}
"""One thread that writes; it reads no clock."""


def name_of(path: Path) -> str:
    """The dotted name inside the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def floor_of(name: str) -> int:
    """The floor of a module: its longest known prefix."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        for number, names in enumerate(FLOORS):
            if ".".join(parts[:length]) in names:
                return number
    raise AssertionError(f"{name} has no floor: say in FLOORS where it lives")


def imports(tree: ast.Module) -> list[str]:
    """Every module that a file imports at run time, lazily or not; imports for types alone do not count."""
    found = []
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(inner for child in node.body for inner in ast.walk(child))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_downward(path: Path) -> None:
    """A file imports its own floor or a lower one."""
    name = name_of(path)
    if not name:
        return
    for imported in imports(ast.parse(path.read_text())):
        inner = imported.removeprefix("omniroute.")
        if inner == imported or not (PACKAGE / inner.split(".")[0]).with_suffix("").name:
            continue
        if not any((PACKAGE / inner.replace(".", "/")).with_suffix(s).exists() for s in ("", ".py", ".pyx")):
            continue
        if (name, inner.split(".")[0]) in UPWARD:
            continue
        assert floor_of(inner) <= floor_of(name), f"{name} imports {imported}, which is above it"


def test_the_map_shows_every_floor() -> None:
    """The table of the architecture names each module once, and no row stands on one above it.

    Planted: a module left out, a row moved.
    """
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in text.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in row]
    assert sorted(named) == sorted(name for names in FLOORS for name in names if "." not in name and name[0] != "_")
    floors = [{floor_of(name) for name in row} for row in rows]
    for above, below in pairwise(floors):
        assert min(above) >= max(below), (above, below)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_banned(path: Path) -> None:
    """No eval, exec, pickle, shell or network; clocks, threads and dice only where a floor allows them."""
    tree = ast.parse(path.read_text())
    name = name_of(path)
    for imported in imports(tree):
        top = imported.split(".")[0]
        assert top not in {"pickle", "marshal", "shelve", "ctypes", "urllib", "http", "requests"}, imported
        if top == "threading" and name in MAY_START_THREADS:
            continue
        if top in CLOCKS:
            assert any(name == allowed or name.startswith(f"{allowed}.") for allowed in MAY_READ_CLOCKS), imported
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & {"eval", "exec", "compile", "__import__", "input"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_fit_a_screen(path: Path) -> None:
    """A function has at most 70 lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < 70, f"{path.name}: {node.name} is too long"


def test_files_fit_a_head() -> None:
    """A file has about 500 lines; the few longer ones are named here, with how far they may grow."""
    longer = {
        "core/kernel.pyx": 1550,  # one class, which Cython wants in one file
        "core/turns.pxd": 600,
        "core/selection.pxd": 600,  # both questions, on the hot path
        "naming.py": 600,
        "core/engine.pxd": 760,
        "door.py": 600,  # the door itself: judging, handing over, and the commands of every day
        "requirements.py": 650,
        "commands.py": 600,
        "events.py": 650,
        "router.py": 600,  # a thin method for each command
    }
    for path in [*SOURCES, *PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxd")]:
        name = path.relative_to(PACKAGE).as_posix()
        assert len(path.read_text().splitlines()) <= longer.get(name, 560), name


def test_the_numbers_of_the_kernel_are_those_of_the_codes() -> None:
    """Each integer of the kernel with a Python name is the same. Seen to fail: two agent keys in each other's place."""
    enums = {
        enum.__name__: {name: int(value) for name, value in enum.__members__.items()}
        for module in (codes, lifecycle)
        for enum in vars(module).values()
        if isinstance(enum, type) and issubclass(enum, IntEnum) and enum is not IntEnum
    }
    compared = set()
    for text in re.findall(r"cdef enum:.*(?:\n    .+)+", (PACKAGE / "core" / "numbers.pxd").read_text()):
        name = text.splitlines()[0].partition("# ")[2]
        if name in enums:
            found = {key: int(value) for key, value in re.findall(r"    (\w+) = (-?\d+)", text)}
            assert {re.sub("^(EV|C)_", "", key): value for key, value in found.items()} == enums[name], name
            compared.add(name)
    assert compared == {
        *("InteractionState", "TieKind", "GaugeKind", "Cause", "Presence", "DeadlineKind", "EventKind", "AgentKey"),
    }


def test_the_top_level_is_what_was_agreed() -> None:
    """Nothing lies about at the top level but what the layout names, dot files and the licence."""
    agreed = {"pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"}
    agreed |= {"omniroute", "benchmarks", "tests", "docs"}
    made = {"build", "dist", "omniroute.egg-info"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found <= agreed | made


def test_a_source_archive_has_the_sources_only(tmp_path: Path) -> None:
    """What is packed to be built elsewhere: the package with its types; no generated C, no half of the tests.

    Planted: no ``MANIFEST.in``, so that the tests came without what they import.
    """
    pytest.importorskip("setuptools", minversion="77")
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMNIROUTE_REFERENCE_ONLY": "1"}, check=True)
    packed = (tmp_path / "omniroute.egg-info" / "SOURCES.txt").read_text().split()
    assert {
        "LICENSE",
        "README.md",
        "omniroute/py.typed",
        "omniroute/core/kernel.pyx",
        "omniroute/core/kernel.pyi",
    } <= set(packed)
    assert [name for name in packed if name.startswith("tests/") or name.endswith(".c")] == []
