"""What the library never does, shown at run time; what its errors may say; what an install of it needs."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from synthetic import write_queue_log

from omniroute import errors
from omniroute.errors import FIELD_MAX, MESSAGE_MAX, OmnirouteError, legible

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "omniroute"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

# -- what it never does

USED = """
import json, os, sys
told = []
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.")
FORBIDDEN += ("pickle.", "urllib.", "ftplib.", "smtplib.", "http.", "webbrowser.", "winreg.", "sys.settrace", "code.")
def look(event, given):
    if event.startswith(FORBIDDEN):
        told.append([event, repr(given)[:200]])
    elif event == "open" and isinstance(given[0], str) and given[2] and given[2] & (os.O_WRONLY | os.O_RDWR):
        told.append(["write", os.path.abspath(given[0])])
    elif event == "compile" and "canary" in repr(given[0]):  # a word of the data
        told.append([event, repr(given)[:200]])
sys.addaudithook(look)
from omniroute import Agent, Plan, Queue, Router, commands
from omniroute.cli.main import main
from omniroute.journal import Journaled, SqliteStore
from omniroute.records import Record, decode, encode
text = '[[queues]]\\nname = "q"\\nneeds = "canary >= 2"\\n[[agents]]\\nid = "ana"\\nskills = {canary = 3}'
plan = Plan.from_toml_text(text)
router = Router(plan)
router.sign_in(0, "ana")
router.enqueue(1, "c1", "q", needs="canary and not __import__")
decode(encode(Record(1, commands.Enqueue("c2", "q"))))
Router.restore(router.snapshot()).check()
journaled = Journaled(SqliteStore("centre.journal"), plan)
journaled.apply(1, commands.SignIn("ana"))
journaled.close()
codes = [main(["replay", sys.argv[1], "--out", "out"]), main(["replay", sys.argv[1], "--json"]),
         main(["journal", "verify", "centre.journal"])]
print("\\n" + json.dumps([codes, told]))
"""


def test_no_network_no_process_no_pickle_no_code_from_data(tmp_path: Path) -> None:
    """Routing, restoring, a journal and the command line open no socket, start nothing, unpickle and compile nothing.

    What they write lies in the folder that was named, or in the machine's folder for what is temporary. Python itself
    says what happens (its audit events). Planted: a connection to a host, an ``eval`` of a requirement.
    """
    log = write_queue_log(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", USED, str(log)]
    environment = {**ENVIRONMENT, "TMPDIR": str(scratch)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    codes, told = json.loads(done.stdout.splitlines()[-1])
    assert codes == [0, 0, 0]
    assert [row for row in told if row[0] != "write"] == []
    assert [row for row in told if not row[1].startswith((str(tmp_path.resolve()), str(tmp_path), os.devnull))] == []


def test_no_name_of_code_comes_from_data() -> None:
    """Modules are imported by name in few places, and each takes the name from a table of the package.

    Planted: the class of a strategy named by its path in a plan.
    """
    asked = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("import_module", "find_spec", "getattr_static")
            ):
                asked.setdefault(path.relative_to(PACKAGE).as_posix(), set()).add(ast.unparse(node.args[0]))
    assert asked == IMPORTED_BY_NAME
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "library":
                assert isinstance(node.args[0], ast.Constant), path


IMPORTED_BY_NAME = {
    "__init__.py": {"f'omniroute.{name}'", "f'omniroute.{where}'"},  # names of this package that it lists itself
    "cli/screen.py": {"'rich'"},
    "extras.py": {"module"},  # called with words only, which the second half of the test sees
    "strategies/catalogue.py": {"module"},  # from its table
    "testing/values.py": {"module"},  # a strategy of the host, built again in another process
}


# -- what errors say

HOSTILE = "\x1b[2J\u202e\ud800\n" + "x" * 100_000


def kinds(base: type[OmnirouteError]) -> list[type[OmnirouteError]]:
    """Every error that hosts are told of, but that of a broken core: its message is a page about numbers."""
    found = [base]
    for kind in base.__subclasses__():
        found += kinds(kind)
    return [kind for kind in found if kind not in (OmnirouteError, errors.InvariantError, errors.MissingExtraError)]


@pytest.mark.parametrize("kind", [kind for kind in kinds(OmnirouteError) if kind.__module__ == "omniroute.errors"])
def test_errors_are_legible(kind: type[OmnirouteError]) -> None:
    """Whatever text gets into an error, it is one bounded line that no terminal obeys. Planted: fields as they came."""
    named: dict[str, Any] = {}
    if issubclass(kind, errors.InputError):
        named = {"source": HOSTILE, "line": 3, "field": HOSTILE}
    elif issubclass(kind, errors.JournalError):
        named = {"source": HOSTILE}
    error = kind(HOSTILE, **named)
    if isinstance(error, errors.DamagedError):
        error.advice = HOSTILE
    assert str(error).isprintable()
    assert len(str(error)) <= 3 * MESSAGE_MAX + FIELD_MAX + 40
    assert "\\x1b[2J\\u202e\\ud800\\n" in str(error)
    for text in (getattr(error, "message", ""), getattr(error, "field", "") or ""):
        assert text.isprintable()


def test_legible_text_stays_as_it_is() -> None:
    """What can be printed is not touched, in any script; a cut is marked."""
    for text in ("", "Zoë's queue — 東京 ✓", "a" * MESSAGE_MAX):
        assert legible(text) == text
    assert legible("a" * (MESSAGE_MAX + 1)) == "a" * MESSAGE_MAX + "…"


OTHERS = {
    "ArgumentTypeError",  # argparse says it, legibly
    "AttributeError",  # a name that is not in this package
    "BrokenLine",  # inside the readers only, without text of the log
    "BrokenRuleError",  # of the kit that tests strategies
    "ImportError",  # which core the environment asks for
    "NotImplementedError",  # what an encoder does not know
    "Failure",  # the command line says it, legibly
    "ReplayedError",  # inside, to tell a failed strategy again
    "StopIteration",
}
"""Errors that are none of ours by descent, and why none of them shows outside text to anybody."""


def test_everything_raised_is_ours() -> None:
    """Every ``raise`` in the package names an error of ``omniroute.errors``, one that descends from it, or one of few.

    So every text with a name in it goes through the place that makes it legible. Planted: a ValueError.
    """
    ours = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"FellBehindError"}
    strange = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                name = node.exc.func.id
                if name[0].isupper() and name not in ours | OTHERS:
                    strange.add(f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}")
    assert not strange


# -- what it needs

ALONE = """
import importlib.abc, sys
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ALLOWED:
            return None
        raise ModuleNotFoundError(f"not installed: {name}", name=name)
ALLOWED = set(sys.argv[2].split(",")) | {"omniroute"}
sys.meta_path.insert(0, Only())
"""


def requirements() -> list[str]:
    """The names of the packages that every install brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.split(r"[\[<>=~! ]", need)[0].lower() for need in project["dependencies"]]


def test_an_install_needs_what_is_documented(tmp_path: Path) -> None:
    """The table of what is needed to run is exactly what an install brings, and with nothing else everything runs.

    Everything: routing, a journal, the report on a log. Planted: an import of scipy.
    """
    page = (ROOT / "docs/explanation/dependencies.md").read_text()
    table = page.partition("## To run")[2].partition("\n## ")[0]
    assert re.findall(r"^\| ([a-z][\w-]*) \|", table, re.MULTILINE)[1:] == sorted(requirements())
    log = write_queue_log(tmp_path)
    modules = {"attrs": "attr,attrs"}
    allowed = ",".join(modules.get(name, name) for name in requirements())
    command = [sys.executable, "-c", ALONE + USED, str(log), allowed]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads(done.stdout.splitlines()[-1])[0] == [0, 0, 0]


# -- the audit of dependencies


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The audit of the build, as a module."""
    loader = importlib.machinery.SourceFileLoader("audit", str(ROOT / ".ci" / "audit"))
    spec = importlib.util.spec_from_loader("audit", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def package(name: str, *flaws: str) -> dict[str, Any]:
    """A package of a report, with what was found in it."""
    vulns = [{"id": flaw, "fix_versions": ["2.0"], "aliases": [], "description": ""} for flaw in flaws]
    return {"name": name, "version": "1.0", "vulns": vulns}


UNKNOWN = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy (1.0)"}


@pytest.mark.parametrize(
    ("code", "report", "expected", "said"),
    [
        (None, "", 0, "could not be asked: no answer in 25 s"),
        (1, "", 0, "could not be asked: pip-audit ended with 1 and gave no report"),
        (1, "[]", 0, "could not be asked"),
        (0, [UNKNOWN], 0, "could not be asked: none of 1 packages was looked up"),
        (0, [package("attrs"), UNKNOWN], 0, "no known vulnerability in 1 packages, 1 could not be asked about"),
        (
            1,
            [package("attrs"), package("rich", "PYSEC-1", "PYSEC-2")],
            1,
            "rich 1.0: PYSEC-1, mended in 2.0\nrich 1.0: P",
        ),
        (1, [UNKNOWN, package("rich", "PYSEC-1")], 1, "known vulnerabilities:\nrich"),
    ],
)
def test_the_audit_fails_for_what_is_found_only(
    audit: ModuleType, code: int | None, report: object, expected: int, said: str
) -> None:
    """A vulnerability fails the build; what could not be asked is said and does not.

    Planted: silence as all is well.
    """
    text = report if isinstance(report, str) else json.dumps({"dependencies": report, "fixes": []})
    ended, line = audit.verdict(code, text)
    assert ended == expected
    assert said in line


def test_the_audit_looks_at_what_users_install(audit: ModuleType) -> None:
    """Installed packages that an install or an extra for users brings are asked about, each with its version."""
    wanted = audit.pinned()
    assert {name.partition("==")[0] for name in wanted} >= set(requirements())
    assert all(re.fullmatch(r"[a-z0-9._-]+==[\w.+!-]+", line) for line in wanted)
    assert not any(line.startswith(("pytest==", "ruff==", "omniroute==")) for line in wanted)
