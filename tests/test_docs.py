"""The documentation says what is so: its examples run, its links resolve, its lists are complete."""

from __future__ import annotations

import ast
import doctest
import importlib
import operator
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import omniroute
from omniroute import commands, errors, events
from omniroute.core import codes, lifecycle, limits
from omniroute.formats import limits as readers
from omniroute.insight import metrics
from omniroute.model import shown
from omniroute.plan import Limits, Plan

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
REFERENCE = "\n".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.md")))
FENCE = re.compile(r"^```([a-z{}]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INCLUDED = re.compile(r"^```{literalinclude} (\S+)$", re.MULTILINE)
NOT_A_PLAN = "# not a plan"
"""The first line of a TOML fence that is a part of a plan only."""

EXTRAS = {
    "omniroute.calendar.recurrence": "dateutil.rrule",
    "omniroute.calendar.icalendar_file": "recurring_ical_events",
    "docs/how-to/schedules.md": "recurring_ical_events holidays",
    "docs/how-to/watch-it-run.md": "prometheus_client opentelemetry.metrics",
}
"""What needs libraries of an extra; where they are missing its examples are skipped."""

DIAGRAMS = {"Presence": lifecycle.PRESENCE, "Offer": lifecycle.OFFER, "Interaction": lifecycle.INTERACTION}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(omniroute.__path__, "omniroute.")
    if module.name not in ("omniroute.__main__", "omniroute.core.kernel", "omniroute.core.transport")
)


def id_of(page: Path) -> str:
    """The name of a page in the names of tests."""
    return page.relative_to(ROOT).as_posix()


def fences(page: Path) -> list[tuple[str, str]]:
    """Every fence of a page: its language and its text."""
    return FENCE.findall(page.read_text())


def heading_ids(page: Path) -> set[str]:
    """The anchors that the headings of a page get, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def need_extras(name: str) -> None:
    """Skip where a library of an extra is missing."""
    for module in EXTRAS.get(name, "").split():
        pytest.importorskip(module, reason="needs the library of an extra")


def failures_of(test: doctest.DocTest) -> str:
    """Run one doctest; what it printed about failures."""
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=id_of)
def test_python_examples(page: Path) -> None:
    """Every Python example of a page prints what the page says; a page is one session from top to bottom."""
    need_extras(id_of(page))
    text = page.read_text()
    found = [(match[2], text[: match.start()].count("\n") + 1) for match in FENCE.finditer(text) if ">>> " in match[2]]
    parser, examples = doctest.DocTestParser(), []
    for source, line in found:
        for example in parser.get_examples(source):
            example.lineno += line
            examples.append(example)
    module = types.ModuleType("__main__")
    test = doctest.DocTest(examples, vars(module), page.name, str(page), 0, text)
    assert not failures_of(test)


@pytest.mark.parametrize("name", ["omniroute", *MODULES])
def test_docstrings(name: str) -> None:
    """Every example in a docstring prints what the docstring says."""
    need_extras(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        assert not failures_of(test)


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_fences_are_known(page: Path) -> None:
    """A fence is of a language that these tests look at; a command that is only shown never calls omniroute."""
    for path in INCLUDED.findall(page.read_text()):
        compile((page.parent / path).read_text(), path, "exec")
    for language, text in fences(page):
        known = {"pycon", "python", "sh", "console", "toml", "text", "json", "mermaid", "{toctree}", "{literalinclude}"}
        assert language in known, f"{language}: {text[:60]}"
        if language == "console":
            assert not re.search(r"^omniroute ", text, re.MULTILINE), "an omniroute command belongs into an sh fence"
        if language == "python":
            compile(text, page.name, "exec")


@pytest.mark.parametrize("page", [page for page in PAGES if any(f[0] == "toml" for f in fences(page))], ids=id_of)
def test_plans(page: Path) -> None:
    """Every TOML fence is a plan that can be read and written again, unless its first line says otherwise."""
    for language, text in fences(page):
        if language == "toml" and not text.startswith(NOT_A_PLAN):
            plan = Plan.from_toml_text(text, source=page.name)
            assert Plan.from_toml_text(plan.to_toml()) == plan


@pytest.mark.parametrize("page", [page for page in PAGES if any(f[0] == "sh" for f in fences(page))], ids=id_of)
def test_shell_examples(page: Path, tmp_path: Path) -> None:
    """The shell fences of a page, in one folder from top to bottom, exit as stated and print the text shown after them.

    A line may end with ``# exits N``, otherwise it exits 0. Of a text fence behind a shell fence each line is among
    those printed, in this order; a line ``...`` stands for any number.
    """
    python = tmp_path / "omniroute.sh"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m omniroute "$@"\n')
    script, shown_after, before = [f'omniroute() {{ sh "{python}" "$@"; }}'], [], ""
    for language, text in fences(page):
        if language == "sh":
            script += [checked_line(line) for line in text.splitlines()]
            script.append(f"echo '== fence {len(shown_after)}'")
            shown_after.append("")
        elif language == "text" and before in ("sh", "text") and shown_after:
            shown_after[-1] += text
        before = language
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["sh", "-c", "\n".join(script)], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    printed = re.split(r"^== fence \d+\n", done.stdout, flags=re.MULTILINE)
    for number, text in enumerate(shown_after):
        lines = iter((printed[number] + done.stderr).splitlines())
        for line in text.splitlines():
            if line.strip() != "...":
                assert any(line.rstrip() == there.rstrip() for there in lines), f"not printed: {line}"


def checked_line(line: str) -> str:
    """A line that calls omniroute, followed by a look at its exit code."""
    if not line.startswith("omniroute "):
        return line
    stated = re.search(r"# exits (\d+)$", line)
    code = stated[1] if stated else "0"
    return f'{line}\ncode=$?; [ $code = {code} ] || {{ echo "exits $code, not {code}:" {shlex.quote(line)}; exit 9; }}'


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=id_of)
def test_links(page: Path) -> None:
    """Every link to another page leads to a page that is there, and to a heading that it has."""
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in heading_ids(there), target


def test_every_page_is_on_the_map() -> None:
    """The table of contents names every page, once."""
    listed = [
        line for language, text in fences(DOCS / "index.md") if language == "{toctree}" for line in text.split("\n")
    ]
    found = [line for line in listed if line and not line.startswith(":")]
    pages = [page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES]
    assert sorted(found) == sorted(set(pages) - {"index"})


@pytest.mark.parametrize("name", DIAGRAMS)
def test_diagrams(name: str) -> None:
    """The diagram of each life cycle is drawn from the table that both cores obey."""
    section = (DOCS / "explanation/life-cycles.md").read_text().split(f"## {name}\n")[1]
    language, drawn = FENCE.findall(section)[0]
    assert (language, drawn.rstrip("\n")) == ("mermaid", lifecycle.mermaid(DIAGRAMS[name]))


def test_refusals_of_the_table() -> None:
    """The page on life cycles has a row for every missing cell that a command can reach, with its reason."""
    page = (DOCS / "explanation/life-cycles.md").read_text()
    for (state, move), reason in lifecycle.REFUSALS.items():
        row = f"| {state.name.lower()} | {move.name.lower()} | `{reason.name.lower()}` |"
        assert row in page, row


@pytest.mark.parametrize("kind", [*commands.Command.__args__, *events.Event.__args__], ids=lambda kind: kind.__name__)
def test_commands_and_events(kind: type) -> None:
    """Every command and every event has a heading or a row in the reference, and every field of it is named there."""
    page = (DOCS / "reference/commands-and-events.md").read_text()
    assert f"### {kind.__name__}\n" in page or f"| `{kind.__name__}` |" in page
    start = page.find(f"### {kind.__name__}\n")
    start = page.find(f"| `{kind.__name__}` |") if start < 0 else start
    end = page.find("\n", start) if page[start] == "|" else page.find("\n#", start + 1)
    section = page[start:end]
    for field in kind.__struct_fields__:  # type: ignore[attr-defined]
        if field not in ("seq", "at", "ref") or kind in commands.Command.__args__:
            assert f"`{field}`" in section, f"{kind.__name__}.{field}"


@pytest.mark.parametrize(
    "word",
    [
        *omniroute.__all__,
        *(reason for reason in events.REASONS if reason),
        *(name.lower() for name in codes.Clause.__members__),
        *(name.lower() for name in codes.AgentKey.__members__),
        *events.PRESENCES,
        *events.CAUSES,
        *metrics.SERVICE_LEVELS,
        *(name for name in dir(metrics) if name.startswith("abandonment_of")),
        *(field.name for field in metrics.Measures.__attrs_attrs__),
    ],
)
def test_words_of_the_reference(word: str) -> None:
    """Every public name, refusal, clause, presence and metric is in the reference, in code letters."""
    assert f"`{word}`" in REFERENCE


def kinds_of_errors() -> list[type[errors.OmnirouteError]]:
    """Every error of the package, wherever it is defined."""
    for name in MODULES:
        if name not in EXTRAS:
            importlib.import_module(name)
    found = [errors.OmnirouteError]
    for kind in found:
        found += [below for below in kind.__subclasses__() if below.__module__.startswith("omniroute.")]
    return found


def test_words_for_clients() -> None:
    """Each error has a word of its own, no refusal has the same, and the page lists them all as the code has them.

    Planted: an error with the word of its base.
    """
    kinds = {kind.word: kind.__name__ for kind in kinds_of_errors()}
    assert len(kinds) == len(kinds_of_errors())
    assert all("word" in vars(kind) for kind in kinds_of_errors())
    reasons = {reason: "Rejected" for reason in events.REASONS if reason}
    assert not kinds.keys() & reasons.keys()
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", (DOCS / "reference/words.md").read_text(), re.MULTILINE)
    assert [(word, sentence) for word, _, sentence in rows] == list(errors.WORDS.items())
    assert {word: comes_as for word, comes_as, _ in rows} == kinds | reasons


def test_words_for_clients_name_nobody() -> None:
    """A sentence for a client is the same whoever asks, about whomever: one line, and no place for a name in it."""
    for word, sentence in errors.WORDS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", word)
        assert re.fullmatch(r"[A-Z][a-zA-Z ,.]{10,100}\.", sentence), word
    for what in ("agent", "queue", "interaction", "offer", "channel"):
        assert errors.UnknownNameError("zoe", what).word in errors.WORDS


def test_methods_of_the_core() -> None:
    """The page on the core's interface names every public method, as the stub of the kernel has them."""
    page = (DOCS / "reference/core.md").read_text()
    for node in ast.walk(ast.parse((ROOT / "omniroute/core/kernel.pyi").read_text())):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert re.search(rf"`(Core\.)?{node.name}[`(]", page), node.name


def number_of(text: str) -> int:
    """The integer of a small expression such as ``2**31 - 1``, by its syntax tree."""
    actions = {ast.Pow: operator.pow, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Add: operator.add}

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp):
            return actions[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        assert isinstance(node, ast.Constant), text
        return int(node.value)

    return value(ast.parse(text.replace(",", ""), mode="eval").body)


NO_LIMITS = {
    "calendar.recurrence._MOST": "the two limits beside it by the name of their part",
    "contacts._TEXT_MAX": "as journey_facts.KEY_LENGTH_MAX",
    "core.reference.keys.VALUE_MAX": "how the core holds a number that fades",
    "core.reference.windows.PLACES_MAX": "how the core looks for a match",
    "core.reference.windows.MOST": "a number above all weights",
    "door._TIME_MAX": "core.limits.TIME_MAX, at hand",
    "insight.top.NAME_MIN": "how narrow a column of names is drawn",
    "requirements._REASONS_MAX": "how many reasons a sentence has",
    "strategies.best_match._PENALTY_MAX": "how a rank is put together",
    "strategies.membership._STEPS_MAX": "strategies.by_step.STEPS_TAKEN_MAX",
    "strategies.revenue._WEIGHT_MAX": "how far weights go before they are scaled",
    "strategies.service_objective._NEXT_MAX_MS": "how a due date is put together",
    "strategies.skills._PENALTY_MAX": "how a rank is put together",
    "strategies.skills._BREADTH_MAX": "how a rank is put together",
    "strategies.skills._FIT_MAX": "how a rank is put together",
}
"""Constants that are called like limits, and what they are."""


def limits_of_the_package() -> set[str]:
    """Every constant of a module that is called as limits are."""
    called = re.compile(r"_?(?:[A-Z0-9]+_)*(?:MAX|MIN|MOST)(?:_[A-Z]+)*|MAX_[A-Z_]+")
    found = set()
    for path in (ROOT / "omniroute").rglob("*.py"):
        module = ".".join(
            part for part in path.relative_to(ROOT / "omniroute").with_suffix("").parts if part != "__init__"
        )
        for node in ast.parse(path.read_text()).body:
            targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
            for name in (name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)):
                if called.fullmatch(name.id):
                    found.add(f"{module}.{name.id}")
    return found


def test_limits() -> None:
    """Every limit has a row with its value: of the core, of the readers, of plans, and those of single modules.

    Planted: a limit of a module without a row.
    """
    page = (DOCS / "reference/limits.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", page, re.MULTILINE)
    stated = {name: number_of(value.strip()) for name, value in rows}
    for field in Limits.__attrs_attrs__:
        assert stated.pop(f"limits.{field.name}") == field.default, field.name
    for module, prefix in ((limits, "core.limits"), (readers, "formats.limits")):
        for name in vars(module):
            if name.isupper() and name != "NEVER":
                assert f"{prefix}.{name}" in stated, name
    missing = limits_of_the_package() - stated.keys() - NO_LIMITS.keys()
    assert not missing, missing
    for name, value in stated.items():
        module_name, _, constant = name.rpartition(".")
        actual = getattr(importlib.import_module(f"omniroute.{module_name}"), constant)
        assert actual == value, f"{name} is {shown(actual)}"


def test_dependencies() -> None:
    """The page on dependencies names every package of pyproject.toml, with its reason."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = {*project["dependencies"], *(need for extra in extras for need in extra)}
    page = (DOCS / "explanation/dependencies.md").read_text().lower()
    for need in wanted:
        name = re.split(r"[\[<>=~! ]", need)[0].lower()
        assert name == "omniroute" or f"| {name} |" in page, name
