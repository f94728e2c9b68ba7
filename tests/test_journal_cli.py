"""``omniroute journal``: what it prints, how it ends, and that it changes nothing and names nobody unless asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_cli import Ran, rows_of, run  # noqa: F401 - run is a fixture

from omniroute import Agent, Plan, Queue, commands
from omniroute.cli.exits import FINDING, INPUT, OK, OUTPUT, USAGE
from omniroute.journal import Journaled, SqliteStore

Run = Callable[..., Ran]
PLAN = Plan(queues=[Queue("sales", offer_timeout_ms="15s")], agents=[Agent("ana secret"), Agent("ben")])


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of nine records, closed."""
    path = tmp_path / "centre.journal"
    with Journaled(SqliteStore(path, durability="os"), PLAN) as journaled:
        journaled.apply(0, commands.SignIn("ana secret"))
        journaled.apply(1_000, commands.Enqueue("call secret", "sales", ref="line secret"), key="key secret")
        journaled.advance(16_000)
        for number in range(4):
            journaled.apply(20_000 + number, commands.Enqueue(f"call-{number}", "sales"))
    return path


def flip(path: Path, what: bytes) -> None:
    """Change the first byte of something in a file."""
    data = path.read_bytes()
    assert data.count(what) == 1
    path.write_bytes(data.replace(what, bytes([what[0] ^ 1]) + what[1:]))


def test_verify(run: Run, journal: Path) -> None:  # noqa: F811
    """A good journal is said to be good, with what is in it, and is left as it was."""
    before = journal.read_bytes()
    ran = run("journal", "verify", journal)
    assert ran.code == OK
    rows = rows_of(ran.out)
    assert rows["records"] == ["1 to 9"]
    assert rows["events made again"] == ["9"]
    assert "Everything is as it was told." in ran.out
    document = run("journal", "verify", "--json", journal).document
    assert (document["first"], document["last"], document["findings"]) == (1, 9, [])
    assert journal.read_bytes() == before
    assert list(journal.parent.iterdir()) == [journal]


def test_an_empty_journal_is_not_a_good_one(run: Run, tmp_path: Path) -> None:  # noqa: F811
    """A file without a byte, as a lost journal may be, is not told to be as it was; every action ends in 3.

    Planted: nothing read, so nothing wrong.
    """
    path = tmp_path / "lost.journal"
    path.write_bytes(b"")
    for action in (("verify",), ("verify", "--json"), ("show",), ("compact",)):
        ran = run("journal", *action, path)
        assert (ran.code, ran.out) == (INPUT, "")
        assert "is empty" in ran.err or "has no record" in ran.err


def test_verify_finds(run: Run, journal: Path) -> None:  # noqa: F811
    """A damaged record is a finding with its number and the command that goes on; the command does go on.

    Seen to fail: what verify reads was not compared.
    """
    flip(journal, b"call-1")
    ran = run("journal", "verify", journal)
    assert ran.code == FINDING
    (said,) = run("journal", "verify", "--json", journal).document["findings"]
    assert said.startswith(f"{journal}: record 7: its bytes are not those that were written. To go on with what is")
    assert said.endswith(f"good: omniroute journal cut {journal} NEW --after 6")
    assert "It cannot be trusted." in ran.out
    shown = run("journal", "show", journal)
    assert shown.code == FINDING
    assert rows_of(shown.out)["7"][1] == "damaged"
    new = journal.parent / "new.journal"
    ran = run("journal", "cut", journal, new)
    assert ran.code == OK
    assert "6 records, the last one is 6" in " ".join(ran.out.split())
    assert "3 records behind it" in " ".join(ran.out.split())
    assert run("journal", "verify", new).code == OK
    assert run("journal", "cut", journal, new).code == OUTPUT
    with Journaled(SqliteStore(new), PLAN) as journaled:
        assert journaled.router.queue("sales").waiting == 2


def test_a_snapshot_is_compared_with_the_records(run: Run, tmp_path: Path) -> None:  # noqa: F811
    """A snapshot that is of another state than the records before it give is a finding.

    Seen to fail: snapshots were only restored.
    """
    path = tmp_path / "centre.journal"
    store = SqliteStore(path, durability="os")
    journaled = Journaled(store, PLAN)
    journaled.apply(0, commands.SignIn("ben"))
    right = journaled._ready().kept()
    journaled.apply(0, commands.SignIn("ana secret"))
    journaled._ready().sequence -= 1
    wrong = journaled._ready().kept()
    journaled._ready().sequence += 1
    assert wrong != right
    store.keep(journaled._held.epoch, 3, lambda: wrong).result()
    journaled.close()
    ran = run("journal", "verify", path)
    assert ran.code == FINDING
    assert "the snapshot after record 3 is of another state" in " ".join(ran.out.split())


def test_show_and_export_name_nobody(run: Run, journal: Path) -> None:  # noqa: F811
    """What commands hold is printed with --values only; without it there are times, kinds, counts and sizes."""
    for action in ("show", "export", "verify"):
        assert "secret" not in run("journal", action, journal).out
    rows = rows_of(run("journal", "show", journal).out)
    assert rows["4"][:3] == ["1000", "Enqueue", "2"]
    assert rows["5"][:3] == ["16000", "advance", "2"]
    assert list(rows_of(run("journal", "show", journal, "--limit", 2).out)) == ["record", "8", "9"]
    assert list(rows_of(run("journal", "show", journal, "--limit", 2, "--from", 3).out)) == ["record", "3", "4"]
    lines = [json.loads(line) for line in run("journal", "export", journal, "--values").out.splitlines()]
    assert [line["what"] for line in lines[2:5]] == ["SignIn", "Enqueue", "advance"]
    assert lines[3]["values"]["interaction"] == "call secret"
    assert lines[3]["values"]["key"] == "key secret"
    assert "ana secret" in lines[0]["values"]["plan"]
    assert len(run("journal", "export", journal, "--from", 9).out.splitlines()) == 1
    shown = run("journal", "show", journal, "--values").out
    assert "secret" in shown
    assert " " * 60 not in shown, "values stand beside their record"


@pytest.mark.parametrize("action", ["verify", "show", "export", "cut"])
def test_what_cannot_be_read(run: Run, journal: Path, tmp_path: Path, action: str) -> None:  # noqa: F811
    """A file that is not there, is none, is no journal or is in use is an input that cannot be read: exit 3, or 1."""
    more = [tmp_path / "new"] if action == "cut" else []
    other = tmp_path / "other"
    other.write_bytes(b"something else" * 100)
    for path, said in ((tmp_path / "none", "is not there"), (tmp_path, "is no file")):
        ran = run("journal", action, path, *more)
        assert (ran.code, ran.err) == (INPUT, f"omniroute: {path}: {said}\n")
    ran = run("journal", action, other, *more)
    assert ran.code == (FINDING if action == "verify" else INPUT)
    held = SqliteStore(journal)
    held.acquire()
    ran = run("journal", action, journal, *more)
    assert (ran.code, ran.out) == (INPUT, "")
    assert "is open in a process" in ran.err
    held.close()
    assert not (tmp_path / "new").exists()
    assert run("journal", action, journal, "--after" if action == "cut" else "--limit", "0", *more).code == USAGE


def test_a_killed_journal_is_looked_at_and_left(run: Run, journal: Path) -> None:  # noqa: F811
    """The log that a killed process leaves belongs to the journal: it is read with it, and nothing is changed."""
    code = (
        "import os, sys; from omniroute import *; from omniroute.journal import *\n"
        "j = Journaled(SqliteStore(sys.argv[1], durability='os'), Plan(queues=[Queue('sales')]))\n"
        "j.apply(30_000, commands.Enqueue('late', 'sales')); os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, journal], check=True, cwd=Path(__file__).parents[1])
    before = {path.name: path.read_bytes() for path in journal.parent.iterdir()}
    assert set(before) == {"centre.journal", "centre.journal-wal"}
    ran = run("journal", "verify", journal)
    assert ran.code == OK
    assert rows_of(ran.out)["records"] == ["1 to 11"]
    assert {path.name: path.read_bytes() for path in journal.parent.iterdir()} == before


def test_cut_after(run: Run, journal: Path, tmp_path: Path) -> None:  # noqa: F811
    """A journal can be cut behind any record that is kept, and goes on from there."""
    ran = run("journal", "cut", journal, tmp_path / "new", "--after", 4)
    assert ran.code == OK
    assert "as asked" in ran.out
    with Journaled(SqliteStore(tmp_path / "new"), PLAN) as journaled:
        assert journaled.router.now == 1_000
        assert journaled.sequence == 5
    assert run("journal", "cut", journal, tmp_path / "no folder" / "new").code == OUTPUT
