"""Hostile inputs by name, in a table; how cost grows with them; and every regular expression of the package."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import deadline, kept, nested
from test_hostile_logs import CSV, MAPPING
from test_importers import condition

from omniroute import Plan, Queue, Router
from omniroute.calendar import Calendar, events_of_text
from omniroute.checks import milliseconds
from omniroute.errors import InputError, MisuseError
from omniroute.formats.csv_mapped import CsvMapping, read_csv
from omniroute.formats.detect import _BANK_LINE, _QUEUE_LOG_LINE
from omniroute.formats.jsonl import read_jsonl
from omniroute.formats.queue_log import read_queue_log
from omniroute.formats.records import ReadSummary
from omniroute.model import Agent, nearest
from omniroute.records import decode
from omniroute.replay.importers import amazon_connect, asterisk, freeswitch, genesys
from omniroute.requirements import parse

ROOT = Path(__file__).resolve().parents[1]
Reader = Callable[[str], object]


def plan(text: str) -> object:
    """A plan from TOML."""
    return Plan.from_toml_text(text)


def named(name: str) -> object:
    """A queue, an agent and an interaction of that name."""
    router = Router(Plan(queues=[Queue(name)], agents=[Agent(name)]))
    return router.enqueue(0, name, name)


def calendar(text: str) -> object:
    """A calendar from TOML."""
    return Calendar.from_toml_text(text)


def icalendar(text: str) -> object:
    """The entries of an iCalendar text in one day."""
    kinds = {"*": "shift"}
    return events_of_text(text, subject="ana", kinds=kinds, zone="UTC", start_ms=0, end_ms=86_400_000)


def queue_log(text: str) -> object:
    """The records of a queue_log, read strictly."""
    return list(read_queue_log(iter([(1, text)]), ReadSummary(format="queue_log", source="x.log", strict=True)))


def jsonl(text: str) -> object:
    """The records of a log of ours, read strictly."""
    lines = [(1, '{"format":"omniroute-log","version":1}'), (2, text)]
    return list(read_jsonl(iter(lines), ReadSummary(format="jsonl", source="x.log", strict=True)))


def rows(text: str) -> object:
    """The records of a CSV, read strictly."""
    return list(read_csv(iter([(1, CSV.split(b"\n")[0].decode()), (2, text)]), ReadSummary(**STRICT), MAPPING))


STRICT: dict[str, Any] = {"format": "csv", "source": "x.csv", "strict": True}
QUEUE = '[[queues]]\nname = "q"\n'
REFUSED: dict[str, tuple[Reader, str, str]] = {
    # nesting
    "parentheses": (parse, "(" * 1_000 + "a" + ")" * 1_000, "at most 32 nested"),
    "not not": (parse, "not " * 1_000 + "a", "at most 32 nested"),
    "lists in a plan": (plan, "a = " + "[" * 50_000, "nested too deeply"),
    "tables in a plan": (plan, "a = " + "{a = " * 50_000, "nested too deeply"),
    "a key with many parts": (plan, "[[queues]]\n" + "a." * 20_000 + "a = 1", "plan:2: a key has at most 16 parts"),
    "a header with many parts": (plan, f"[{'a . ' * 20_000}a]", "plan:1: a key has at most 16 parts"),
    "quoted parts": (plan, "'='." * 20 + '"\\"."' + ".b" * 20 + " = 1", "plan:1: a key has at most 16 parts"),
    "dotted keys inside a table": (plan, QUEUE + "[csv]\nx = {" + "a." * 20_000 + "a = 1}", "at most 8 tables"),
    "lists in a log": (jsonl, "[" * 60_000, "x.log:2: not "),
    "events in events": (icalendar, "BEGIN:VCALENDAR\n" + "BEGIN:VEVENT\n" * 20_000, "iCalendar|DTSTART"),
    # numbers
    "an integer of a requirement": (parse, "a >= " + "9" * 4_000, "integers are in"),
    "an integer of a plan": (plan, QUEUE + "limit = " + "9" * 5_000, "."),
    "a hexadecimal one": (plan, QUEUE + "limit = 0x" + "f" * 50_000, "queues.0..limit: must be in"),
    "a float": (plan, QUEUE + "limit = 1e999", "expected an integer, got inf"),
    "no number": (plan, QUEUE + 'target = {within = "1s", share = nan}', "expected a share"),
    "a duration": (plan, QUEUE + 'wrap_up = "999999999999999d"', "must be in"),
    "a duration of many parts": (plan, QUEUE + f'wrap_up = "{"1s" * 3_000_000}"', "expected a duration such as"),
    "an epoch": (queue_log, "9" * 40 + "|1|q|NONE|ABANDON|", "time: out of range"),
    "a foreign digit": (queue_log, "٩١٥١٤٨٨٠٠٠|1|q|NONE|ABANDON|", "time: not a whole number"),
    "an exponent": (jsonl, '{"kind":"presence","at_ms":1e400,"agent":"a","change":"ready"}', "x.log:2"),
    "an integer of a log": (
        jsonl,
        '{"kind":"presence","at_ms":%s,"agent":"a","change":"ready"}' % ("9" * 9_000),
        "x.log:2",
    ),
    # characters
    "a zero in a requirement": (parse, "a\0b", r"column 2: the character U\+0000"),
    "a zero in a name": (named, "a\0b", r"may not contain U\+0000"),
    "an escape sequence": (named, "\x1b[2J", r"may not contain U\+001B"),
    "reversed text": (named, "gpj\u202egnp", r"may not contain U\+202E, got 'gpj\\u202egnp'"),
    "an isolate": (named, "a\u2066b", r"may not contain U\+2066"),
    "a mark": (named, "a\u200fb", r"may not contain U\+200F"),
    "half a character": (named, "a\ud800b", r"may not contain U\+D800"),
    "half a character in a requirement": (parse, '"\udc80" in a', r"column 2: the character U\+DC80"),
    "reversed text in a plan": (plan, '[[queues]]\nname = "\u202e"', r"plan:2: queues\[0\].name: .*U\+202E"),
    "half a character in a plan": (plan, '[[queues]]\nname = "\\ud800"', "plan:2: .*(scalar|surrogate|Escaped)"),
    "half a character in a log": (jsonl, '{"kind":"presence","at_ms":1,"agent":"\\ud800","change":"ready"}', "x.log:2"),
    "a zero in a plan": (plan, "a = 1\0", r"plan:1: "),
    "a zero in a calendar": (calendar, '[[shifts]]\nzone = "a\\u0000"\nagents = ["a"]', "zone: no time zone"),
    "a key with a bracket": (plan, '"a[" = 1', r"plan:1: a\[: unknown key 'a\['"),
    "a key with brackets": (plan, QUEUE + '"[x.[].]" = 1', "unknown key"),
    "a key that drives a terminal": (plan, '"\\u001b[2J" = 1', r"unknown key '\\x1b\[2J'"),
    # length
    "a requirement": (parse, "a or " * 2_000, "at most 4096 characters"),
    "a name": (named, "a" * 2_000, "at most 1024 characters"),
    "a key": (plan, "a" * 100_000 + " = 1", "unknown key 'aaa"),
    "a member of a set": (parse, "a in {" + ", ".join(map(str, range(300))) + "}", "at most 256 members"),
    "a name in a log": (queue_log, f"915148800|1|{'q' * 500}|NONE|ABANDON|", "x.log:1: name too long"),
    "an event in a log": (queue_log, f"915148800|1|q|NONE|{'E' * 500}|", "not an event name"),
    "a field of a CSV": (rows, '"' + "a" * 140_000 + '";b;c;d;1;1;e;f;1', "x.csv:2: not CSV"),
    "an iCalendar": (icalendar, "X" * (2**22 + 1), "at most 4194304 characters"),
    # many
    "a million keys": (plan, "\n".join(f"k{number} = 1" for number in range(1_000_000)), "unknown key 'k0'"),
    "a million tables": (plan, "[[x]]\n" * 1_000_000, "unknown key 'x'"),
    "names": (
        plan,
        QUEUE + "[[agents]]\nid = 'a'\nskills = {" + ", ".join(f"k{n} = 1" for n in range(2_000)) + "}",
        "at most",
    ),
    "a long zone of an iCalendar": (  # planted: the OSError let through
        icalendar,
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;TZID="
        + "a" * 5_000
        + ":20260328T080000\nEND:VEVENT\nEND:VCALENDAR",
        "icalendar|zone",
    ),
    "a path as a zone": (
        calendar,
        '[[shifts]]\nagents = ["a"]\nzone = "../../../../etc/passwd"',
        "no time zone of the IANA",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    """Each is refused within seconds by an error of ours that says what and where.

    Planted: keys of any number of parts; durations of any length; a search for the line of an error that goes on for
    ever at a bracket; values in messages as they came.
    """
    read, text, said = REFUSED[name]
    with deadline(15), pytest.raises((InputError, MisuseError)) as caught:
        read(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 3_000
    assert re.search(said, str(caught.value)), str(caught.value)


def aliased(value: object, key: str, times: int) -> object:
    """Tables in which one table stands many times, level over level: a few objects, and endless paths."""
    for _ in range(times):
        value = {key: [value] * 1_000}
    return value


CONFIGURATIONS: dict[str, Callable[[], object]] = {
    "aliases": lambda: amazon_connect({"q": _steps(aliased(condition(), "AndExpression", 7))}, {}, {}),
    "a strategy in lists": lambda: freeswitch(
        {"q": {"strategy": nested(9_000)}}, {"a": {}}, [{"queue": "q", "agent": "a"}]
    ),
    "a strategy of digits": lambda: asterisk({"q": {"strategy": 10**6_000}}),
    "ratings": lambda: genesys({}, {"a": {"skills": {"s": "9" * 9_000}}}),
    "a pattern of times": lambda: _mapping(time_format="%Y %Y"),
    "a long pattern": lambda: _mapping(time_format="%Y" + "x" * 90_000),
    "a delimiter": lambda: _mapping(delimiter="\n"),
    "a huge instant": lambda: Router(Plan(queues=[Queue("q")])).advance(10**6_000),
    "a huge priority": lambda: Router(Plan(queues=[Queue("q")])).enqueue(0, "a", "q", priority=10**6_000),
    "a list in lists": lambda: decode(b"\x91" * 100_000),
}


def _steps(expression: object) -> dict[str, object]:
    return {"routing_criteria": [{"Expression": expression}]}


def _mapping(**other: Any) -> CsvMapping:
    return CsvMapping.from_table({"columns": {"id": "a", "queue": "b", "arrived": "c"}, **other}, source="x.toml")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_values_that_are_refused(name: str) -> None:
    """Values that a program hands over are refused likewise.

    Planted: conditions that are not counted, so that aliases are followed on every path; anything written out in a
    message, however deep or large; the error of regular expressions let through.
    """
    with deadline(), pytest.raises((InputError, MisuseError)):
        CONFIGURATIONS[name]()


def test_recurrences_that_take_long_are_refused_before_they_are_followed() -> None:
    """Four hundred rules of every day since 1970 are refused at once for a horizon of 2100, naming the rule.

    Planted: no limit of days.
    """
    rule = (
        '[[shifts]]\nagents = ["a%d"]\nzone = "UTC"\nto = "08:00"\nstart = 1970-01-05\nrrule = "FREQ=DAILY;BYMONTH=2"\n'
    )
    pytest.importorskip("dateutil")
    found = Calendar.from_toml_text("".join(rule % number for number in range(400)))
    start_ms = 4_102_444_800_000
    with deadline(5), pytest.raises(InputError, match=r"shifts\[3[0-9]+\].rrule: .* more than 16777216"):
        found.timetables(start_ms, start_ms + 86_400_000)


# -- how cost grows

BIG = 20_000


def line_of_error(text: str) -> object:
    """The error of a plan, with its line."""
    return kept(lambda: Plan.from_toml_text(text))


GROWTH: dict[str, tuple[Reader, Callable[[int], str]]] = {
    "blanks in a header": (line_of_error, lambda n: "x = 1\ny = '''\n[" + " " * n + "x\n'''\n"),
    "a long bare word": (line_of_error, lambda n: "a" * 20 * n + " = 1"),
    "a long word with dots in it": (line_of_error, lambda n: "x = '" + "a." * 10 * n + "'"),
    "brackets": (line_of_error, lambda n: "x = 1\ny = '''\n" + "[" * 10 * n + "\n'''"),
    "headers": (line_of_error, lambda n: "[[x]]\n" * n),
    "keys": (line_of_error, lambda n: "\n".join(f"k{k} = 1" for k in range(n))),
    "escapes": (line_of_error, lambda n: 'x = "' + "\\u0041" * n + '"'),
    "quotes": (line_of_error, lambda n: "x = 1\ny = '''\n" + '"' * 10 * n + "\n'''"),
    "agents": (plan, lambda n: QUEUE + "".join(f"[[agents]]\nid = 'a{k}'\n" for k in range(n // 20))),
    "skills": (plan, lambda n: f"skills = [{', '.join(repr(f's{k}') for k in range(n // 10))}]\n{QUEUE}"),
    "durations": (lambda text: kept(lambda: milliseconds(text)), lambda n: "1s" * 100 * n),
    "a line of a queue_log": (lambda text: kept(lambda: queue_log(text)), lambda n: "915148800" + "|x" * n),
    "blanks in a queue_log": (_QUEUE_LOG_LINE.match, lambda n: " " * 10 * n + "9"),
    "bars": (_QUEUE_LOG_LINE.match, lambda n: "915148800" + "|" * 3 + "|" + "A" * 10 * n + " " * 10 * n + "x"),
    "tabs": (_BANK_LINE.match, lambda n: "\t" * 10 * n),
    "colons of an iCalendar": (lambda text: kept(lambda: icalendar(text)), lambda n: "BEGIN:" + ": " * 5 * n),
    "blanks of an iCalendar": (lambda text: kept(lambda: icalendar(text)), lambda n: "BEGIN:" + " " * 5 * n),
    "folds of an iCalendar": (lambda text: kept(lambda: icalendar(text)), lambda n: "X:1" + "\r\n " * n),
    "known names": (lambda text: nearest("a" * 64, text.split()), lambda n: ("ab" * 32 + " ") * n),
    "words of a requirement": (lambda text: kept(lambda: parse(text)), lambda n: "a" * (n // 10) + " or b"),
    "quotes of a CSV": (lambda text: kept(lambda: rows(text)), lambda n: '"' * n),
}


@pytest.mark.parametrize("name", GROWTH)
def test_cost_grows_with_size(name: str) -> None:
    """Twice as much input costs about twice as much: a quadratic way would cost four times, measured at its best.

    Planted: headers read by an expression that goes back and forth over blanks.
    """
    read, made = GROWTH[name]

    def cost(size: int) -> float:
        text, best = made(size), float("inf")
        with deadline(30):
            for _ in range(3):
                began = time.process_time()
                read(text)
                best = min(best, time.process_time() - began)
        return best

    size = BIG
    while cost(2 * size) > 3.2 * cost(size) + 0.01:  # a busy machine measures badly: it must be so three times
        size = 3 * size // 2
        assert size < 3 * BIG, name


# -- every regular expression

PUMPS = (
    "a",
    " ",
    "\t",
    "0",
    "9",
    "1s",
    "_",
    ".",
    ":",
    "-",
    "|",
    "\n",
    "[",
    "{",
    '"',
    "'",
    "\\",
    "=",
    "aA1",
    "+1,",
    "MO,",
    "A.",
)
TAILS = ("", "!", "]", "x")


def expressions() -> dict[str, re.Pattern[str]]:
    """Every pattern that the package writes, by the place where it does; names in it are looked up in its module."""
    import importlib

    found = {}
    for path in sorted((ROOT / "omniroute").rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
                continue
            if node.func.attr == "escape":
                continue
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            module = importlib.import_module(name)
            for number, text in enumerate(patterns(node.args[0], module)):
                found[f"{name}:{node.lineno}:{number}"] = re.compile(text)
    return found


def patterns(node: ast.expr, module: Any) -> list[str]:
    """The texts that an argument can be."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        return list(getattr(module, node.value.id).values())
    if isinstance(node, ast.JoinedStr):
        parts = [
            part.value
            if isinstance(part, ast.Constant)
            else str(getattr(module, part.value.id))
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name)
            else "key"  # what re.escape gives
            for part in node.values
        ]
        return ["".join(map(str, parts))]
    raise AssertionError(f"a pattern that cannot be looked at: {ast.unparse(node)}")


EXPRESSIONS = expressions()


@pytest.mark.parametrize("where", sorted(EXPRESSIONS))
def test_no_expression_goes_back_for_long(where: str) -> None:
    """No pattern takes long for a text of many like parts with something wrong behind them.

    Planted: ``([a-z]+)*!`` in a module; an expression for the header of a table, with blanks.
    """
    pattern = EXPRESSIONS[where]
    with deadline(20):
        for pump in PUMPS:
            for tail in TAILS:
                for head in ("", "1", "[", "BEGIN:"):
                    text = head + pump * (1_500 // len(pump)) + tail
                    for look in (pattern.match, pattern.fullmatch, pattern.search):
                        began = time.process_time()
                        look(text)
                        assert time.process_time() - began < 0.5, (pump, tail, head)


def test_patterns_are_all_looked_at() -> None:
    """The audit sees the patterns: there are as many as there are calls."""
    assert len(EXPRESSIONS) > 20
    assert re.fullmatch("(a+)+b", "aab")


# -- memory

CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]) * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from omniroute import Plan
from omniroute.errors import InputError
unit = sys.argv[2].encode().decode("unicode_escape")
text = sys.argv[3].encode().decode("unicode_escape") + unit * (2**24 // len(unit) - 50)
try:
    Plan.from_toml_text(text)
except InputError as error:
    print("refused", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are a matter of Linux")
@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("", "[[a]]\\n"),
        ("a = [", "[],"),
        ("a = [", "{},"),
        ("", "#\\n"),
        ('a = "', "\\\\u0041"),
        ("", "a.b.c.d.e=1\\n"),
    ],
)
def test_the_largest_plan_file_takes_bounded_memory(head: str, unit: str) -> None:
    """A plan file of 16 MB, whatever is in it, is read or refused in 3 GB and a minute."""
    command = [sys.executable, "-c", CHILD, "3000", unit, head]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    assert done.stdout.startswith("refused"), done.stderr[-2_000:]
