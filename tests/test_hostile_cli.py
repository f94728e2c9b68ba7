"""The command line: any arguments, any files; what it writes and where."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import WORDS, Fuzz, deadline, mutations
from hypothesis import strategies as st
from synthetic import write_queue_log
from test_hostile_logs import BANK, CSV, JSONL, QUEUE_LOG
from test_hostile_text import PLAN

from omniroute import commands
from omniroute.cli import main as cli
from omniroute.cli.exits import FINDING, INPUT, OK, OUTPUT, USAGE
from omniroute.cli.replay import _safe
from omniroute.formats.jsonl import FORMAT
from omniroute.journal import Journaled, SqliteStore
from omniroute.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
CODES = {OK, FINDING, USAGE, INPUT, OUTPUT}
NASTY = "\x1b]0;gone\x07\x1b[2J\u202e=cmd|' /C calc'!A0"
Run = Callable[..., "Ran"]


class Ran:
    """Exit code, stdout and stderr of a run."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def harmless(text: str) -> bool:
    """Whether no terminal would obey a text: it is lines of what can be printed."""
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; it ends with a documented code, and says nothing that a terminal obeys."""

    def command(*arguments: object) -> Ran:
        with deadline(30):
            try:
                code = cli.main([str(argument) for argument in arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
        said = capsys.readouterr()
        assert code in CODES
        assert harmless(said.out), ascii(said.out)
        assert harmless(said.err), ascii(said.err)
        assert "Traceback" not in said.err
        return Ran(code, said.out, said.err)

    return command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a file of every kind."""
    monkeypatch.chdir(tmp_path)
    write_queue_log(tmp_path)
    files = {"bank": BANK, "log.csv": CSV, "log.jsonl": JSONL, "queue": QUEUE_LOG, "plan.toml": PLAN.encode()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder").mkdir()
    journaled = Journaled(SqliteStore(tmp_path / "x.journal", durability="os"), Plan.from_toml_text(PLAN))
    journaled.apply(5, commands.SignIn("ana"))
    journaled.close()
    return tmp_path


ARGUMENTS = st.lists(
    st.sampled_from(("replay", "compare", "demo", "journal", "verify", "show", "export", "cut", "--json", "--strict"))
    | st.sampled_from(("--plan", "--mapping", "--format", "--seed", "--head-start", "--away", "--by-agent", "--curve"))
    | st.sampled_from(("bank", "log.csv", "log.jsonl", "queue", "plan.toml", "folder", "x.journal", "nowhere", "--"))
    | st.sampled_from(("csv", "jsonl", "1", "2=90s", "-1", "9" * 30, "1s", "--limit", "--from", "--values", "--after"))
    | WORDS.filter(lambda word: "\0" not in word and "/" not in word),
    max_size=7,
)


def test_arguments(fuzz: Fuzz, run: Run, here: Path) -> None:
    """Any arguments end in a documented exit code, without a traceback.

    Planted: the ValueError of a name with a zero let through.
    """

    def check(arguments: list[str]) -> None:
        if "demo" not in arguments[:1]:  # its day is large
            run(*arguments)

    fuzz(ARGUMENTS, check, examples=80)
    run("replay", "a\0b")
    run("compare", "queue", "a\0b")
    run("journal", "verify", "a\0b")


SAMPLES = {"queue_log": QUEUE_LOG * 3, "bank": BANK, "jsonl": JSONL, "csv": CSV}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_logs(fuzz: Fuzz, run: Run, here: Path, name: str) -> None:
    """Any log is reported, routed again and written down, or refused; with times of any year and names of any kind."""
    (here / "map.toml").write_text(
        '[csv]\ndelimiter=";"\n[csv.columns]\nid="Ticket"\nqueue="Team"\narrived="Created"\nwait="Wait"\nhandle="Handle"\n'
        'agent="Agent"\noutcome="Result"\n[csv.outcomes]\nhandled="served"\n"hung up"="abandoned"\n'
    )

    def check(drawn: tuple[bytes, bool]) -> None:
        data, strict = drawn
        (here / "log").write_bytes(data)
        extra = ["--strict"] * strict
        run("replay", "log", "--format", name, "--mapping", "map.toml", "--out", "out", "--force", "--by-agent", *extra)

    fuzz(st.tuples(mutations(SAMPLES[name]), st.booleans()), check, examples=25)


FILES = {"plan.toml": PLAN.encode(), "map.toml": PLAN.encode()}


def test_plan_and_mapping_files(fuzz: Fuzz, run: Run, here: Path) -> None:
    """Any file as a plan or a mapping is used or refused.

    Planted: the ValueError of an integer of five thousand digits let through.
    """

    def check(data: bytes) -> None:
        (here / "hostile.toml").write_bytes(data)
        assert run("compare", "queue", "hostile.toml").code in (OK, INPUT)
        assert run("replay", "queue", "--format", "csv", "--mapping", "hostile.toml").code in (OK, FINDING, INPUT)

    check(b"[csv]\nx = " + b"9" * 5_000)
    check(b"[csv]\nx = [" + b"[" * 5_000)
    check(b"\xff[csv]")
    fuzz(mutations(PLAN.encode()), check, examples=25)


def test_journal_files(fuzz: Fuzz, run: Run, here: Path) -> None:
    """Any file as a journal is verified, shown, exported and cut, or refused, and is left as it was."""
    good = (here / "x.journal").read_bytes()
    place = here / "y.journal"

    def check(data: bytes) -> None:
        place.write_bytes(data)
        for action in ("verify", "show", "export"):
            run("journal", action, "y.journal", *(["--values"] if action != "verify" else []))
        run("journal", "cut", "y.journal", "new.journal")
        (here / "new.journal").unlink(missing_ok=True)
        assert place.read_bytes() == data

    fuzz(mutations(good) | st.binary(max_size=100), check, examples=15)


def test_where_memory_runs_out_there_is_a_message(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that does not fit ends with a message and a code. To run out in earnest is no test: Python may spin then.

    Planted: the error of Python let through.
    """

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("omniroute.replay.history.History.of", full)
    (here / "flood").write_bytes(b"915148800|1|q|NONE|JOINEMPTY|\n")
    assert cli.main(["replay", "flood"]) == INPUT
    assert capsys.readouterr().err == "omniroute: not enough memory\n"


# -- what it says


def test_names_in_arguments_and_files_drive_no_terminal(run: Run, here: Path) -> None:
    """Names of files, plans, queues and agents are shown so that no terminal obeys them: the fixture looks at all.

    Planted: a heading, an unknown argument and a key of a plan, each printed as it came.
    """
    nasty = NASTY.replace("/", "").replace("|", "")
    line = f"915148801|1.2|{nasty}|NONE|ENTERQUEUE||5551234|1\n915148805|1.2|{nasty}|{nasty}|CONNECT|4|1.3|2\n"
    line += f"915148865|1.2|{nasty}|{nasty}|COMPLETEAGENT|4|60|1\n"
    (here / nasty).write_text(line)
    assert run("replay", nasty, "--by-agent", "--out", nasty + "out").code == FINDING  # no plan has such names
    assert run("replay", nasty, "--json").code == FINDING
    assert run("replay", nasty, "--plan", "nowhere" + nasty).code == INPUT
    (here / "key.toml").write_text('"a\\u001b[2J\\u202e' + "b" * 9_000 + '" = 1')
    said = run("compare", "queue", "key.toml")
    assert said.code == INPUT
    assert len(said.err) < 1_000
    for arguments in (("--" + nasty,), (nasty,), ("replay", "queue", "--seed", nasty), ("replay", "queue", nasty)):
        assert run(*arguments).code == USAGE
    (here / "x.journal").rename(here / f"{nasty}.journal")
    for action in ("verify", "show", "export"):
        assert run("journal", action, f"{nasty}.journal").code == OK
    assert run("journal", "cut", f"{nasty}.journal", f"{nasty}.new").code == OK


# -- where it writes


def test_out_goes_nowhere_else(run: Run, here: Path) -> None:
    """Three files with fixed names in the folder that was named, and never through a link; no name comes from the log.

    Planted: a file written through the link that stands at its place.
    """
    victim = here / "victim"
    victim.write_text("mine")
    row = '{{"kind":"interaction","id":"../../x{0}","queue":"../../etc/x","channel":"/abs","arrived_ms":{0},'
    row += '"outcome":"served","agent":"../../../tmp/y","started_ms":{0},"ended_ms":{1},"handle_ms":60000}}\n'
    rows = "".join(row.format(t, t + 60_000) for t in range(10**12, 10**12 + 10**6, 10**5))
    (here / "log").write_text(f'{{"format":"{FORMAT}","version":1}}\n' + rows)
    before = {path for path in here.rglob("*") if path.is_file()}
    assert run("replay", "log", "--out", "folder/../made/deep").code == OK
    made = {path for path in here.rglob("*") if path.is_file()} - before
    assert {path.relative_to(here.resolve()).as_posix() for path in made} == {
        f"made/deep/{name}" for name in ("plan.toml", "report.json", "interactions.csv")
    }
    linked = here / "linked"
    linked.mkdir()
    for name in ("plan.toml", "report.json", "interactions.csv"):
        (linked / name).symlink_to(victim)
    assert run("replay", "log", "--out", "linked").code == OUTPUT
    assert run("replay", "log", "--out", "linked", "--force").code == OK
    assert victim.read_text() == "mine"
    assert not (linked / "plan.toml").is_symlink()


@pytest.mark.parametrize("kind", ["file", "under a file", "dangling", "loop", "closed", "long", "zero"])
def test_out_that_cannot_be(run: Run, here: Path, kind: str) -> None:
    """A place that is no folder, a link to nothing or to itself, a folder that is closed: refused before any work.

    Planted: the ValueError of a name with a zero let through.
    """
    (here / "file").write_text("mine")
    (here / "dangling").symlink_to(here / "nowhere" / "deep")
    (here / "loop").symlink_to(here / "loop")
    (here / "closed").mkdir(mode=0o500)
    places = {"under a file": "file/x", "long": "a" * 5_000, "zero": "a\0b", "closed": "closed/new"}
    if kind == "closed" and (sys.platform == "win32" or os.geteuid() == 0):
        pytest.skip("nothing is closed here")
    assert run("replay", "queue", "--out", places.get(kind, kind)).code in (
        OUTPUT,
        OK if kind == "dangling" else OUTPUT,
    )
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("＝1", "'＝1"),
        (" =1", " '=1"),
        ('"=1', "\"'=1"),
        ("a;=1+1", "a;'=1+1"),
        ('a,"=1', "a,\"'=1"),
        ("a\n=1", "a\n'=1"),
        ("a;;@x", "a;;'@x"),
        ("PJSIP/10", "PJSIP/10"),
        ("night-shift", "night-shift"),
        ("a=b", "a=b"),
    ],
)
def test_cells_are_no_formulas(name: str, written: str) -> None:
    """No cell begins with what a spreadsheet computes, wherever its country cuts the line.

    Planted: only the first character looked at; wide signs forgotten.
    """
    assert _safe(name) == written


def test_formulas_in_logs_are_text_in_what_is_written(run: Run, here: Path) -> None:
    """Queues and agents that look like formulas stand in the CSV as text."""
    lines = [
        f"91514880{n}|1.{n}|=1+1|NONE|ENTERQUEUE||5|1\n91514881{n}|1.{n}|=1+1|@x;=2|CONNECT|4|1|2\n" for n in range(9)
    ]
    lines += [f"91514886{n}|1.{n}|=1+1|@x;=2|COMPLETEAGENT|4|60|1\n" for n in range(9)]
    (here / "log").write_text("".join(lines))
    assert run("replay", "log", "--out", "out").code == OK
    rows = list(csv.DictReader(io.StringIO((here / "out/interactions.csv").read_text())))
    assert {row["queue"] for row in rows} == {"'=1+1"}
    assert {row["observed_agent"] for row in rows} == {"'@x;'=2"}
    report: dict[str, Any] = json.loads((here / "out/report.json").read_text())
    assert report
    assert isinstance(Plan.from_toml(here / "out/plan.toml"), Plan)
