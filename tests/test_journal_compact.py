"""A journal that is compacted has what lives and no byte of what was, and a customer who is forgotten is in no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from play import PLAN, command, fixed_moves, instant, whimsical
from test_cli import Ran, run  # noqa: F401 - run is a fixture

from omniroute import Agent, Intake, JourneyRules, Plan, Queue, Rule, commands
from omniroute.cli.exits import INPUT, OK, USAGE
from omniroute.errors import JournalError, MisuseError
from omniroute.events import Offered
from omniroute.journal import Journaled, MemoryStore, SqliteStore
from omniroute.journal.compacted import compact
from omniroute.journal.inspect import verify

Run = Callable[..., Ran]
CENTRE = Plan(
    queues=[Queue("sales", wrap_up_ms=0)],
    agents=[Agent("ana"), Agent("ben")],
    intake=Intake([], default=Rule("else", queue="sales")),
    journey=JourneyRules(),
    retention_ms=60_000,
)
SECRETS = (b"mia-4711", b"555 0101 22", b"ticket-mia", b"call-mia")
"""The customer's key, what the host knew about her, its ref, and the id of her call."""


def lived(journaled: Journaled, begin: int, number: int, *, mia: bool) -> int:
    """A customer comes, is served and goes; when that was over."""
    who = ("mia-4711", "555 0101 22", "ticket-mia", "call-mia") if mia else ("tom", "555 7", "ticket", f"call-{number}")
    customer, phone, ref, name = who
    arrive = commands.Arrive(name, "voice", {"phone": phone}, customer, ref=ref)
    told = journaled.apply(begin, arrive, key=f"key-{number}")
    (offer,) = (event.offer for event in told if isinstance(event, Offered))
    journaled.apply(begin + 1_000, commands.Accept(offer), key=f"key-{number}-accept")
    journaled.apply(begin + 60_000, commands.Finish(name))
    return begin + 60_000


def filled(path: Path) -> Journaled:
    """A journal in which Mia is in records, in both snapshots, under keys, and in the log of the database."""
    journaled = Journaled(SqliteStore(path, durability="os"), CENTRE)
    journaled.apply(0, commands.SignInMany((commands.SignIn("ana"), commands.SignIn("ben"))))
    now = lived(journaled, 1_000, 0, mia=True)
    for number in range(1, 4):
        journaled.snapshot()
        now = lived(journaled, now, number, mia=False)
    journaled.apply(now + 1_000, commands.Enqueue("waiting", "sales", needs="nobody", ref="stays"))
    journaled.apply(now + 100_000, commands.Arrive("call-last", "voice", {"phone": "555 9"}, "tom", ref="ticket-last"))
    return journaled


def bytes_of(path: Path) -> bytes:
    """Everything in all files of a folder."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def found(path: Path) -> list[bytes]:
    """What of Mia is in any file."""
    everything = bytes_of(path)
    return [secret for secret in SECRETS if secret in everything]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "centre.journal"


def test_a_customer_who_is_forgotten_is_in_no_file(path: Path) -> None:
    """Neither key nor context nor ref nor id is a byte of any file, at once, after closing, and after a restart.

    Seen to fail: what was told under keys stayed; the file was not written anew while deleting overwrote nothing; the
    log was not cut.
    """
    journaled = filled(path)
    journaled.apply(journaled.router.now, commands.Erase("mia-4711"))
    journaled.snapshot()
    assert set(found(path)) == set(SECRETS)
    told = journaled.forget(journaled.router.now, "mia-4711")
    assert told == []
    assert not found(path)
    assert b"ticket-last" in bytes_of(path)
    digest = journaled.router.digest()
    journaled.apply(journaled.router.now, commands.Enqueue("more", "sales"))
    assert not found(path)
    journaled.close()
    assert not found(path)
    again = Journaled(SqliteStore(path, durability="os"), CENTRE)
    assert again.notes == ()
    assert again.router.interaction("waiting").ref == "stays"
    assert again.router.journey("mia-4711") is None
    assert again.router.journey("tom") is not None
    assert digest != again.router.digest()
    again.close()
    assert not found(path)


def test_what_was_told_is_forgotten_and_the_key_is_not() -> None:
    """A key from before compacting only says that it was used: nothing is done twice, and nothing is told again.

    Also after a restart; keys that come later are as ever, and events of before are refused by their number.
    """
    store = MemoryStore()
    journaled = Journaled(store, PLAN)
    journaled.apply(0, commands.SignIn("ana"))
    before = commands.Enqueue("c1", "sales")
    journaled.apply(5, before, key="before")
    journaled.compact()
    later = journaled.apply(6, commands.Enqueue("c2", "sales"), key="later")
    for _ in range(2):
        with pytest.raises(MisuseError, match="key 'before' was used, and what was told then has been forgotten"):
            journaled.apply(9, before, key="before")
        with pytest.raises(MisuseError, match="was used for another command"):
            journaled.apply(9, commands.Enqueue("c3", "sales"), key="before")
        assert journaled.apply(9, commands.Enqueue("c2", "sales"), key="later") == later
        with pytest.raises(MisuseError, match="no longer in"):
            list(journaled.events(0))
        assert [event.seq for event in journaled.events(later[0].seq - 1)] == [event.seq for event in later]
        journaled.close()
        journaled = Journaled(store, PLAN)


@pytest.mark.parametrize("stop", [0, 7, 60])
def test_a_compacted_journal_is_the_same_router(path: Path, stop: int) -> None:
    """With compacting anywhere in a play, the same happens as without, before and behind a restart."""
    plain, small = Journaled(MemoryStore(), PLAN), Journaled(SqliteStore(path, durability="os"), PLAN)
    for number, (kind, a, b, gap) in enumerate(fixed_moves(120)):
        now = instant(plain.router, gap)
        what = command(plain.router, kind, a, b, now=now)
        assert plain.apply(now, what) == small.apply(now, what)
        if number == stop:
            small.compact()
        if number % 40 == 39:
            small.close()
            small = Journaled(SqliteStore(path, durability="os"), PLAN)
    assert small.router.digest() == plain.router.digest()
    assert verify(small.store).findings == []


def test_a_kill_while_compacting_leaves_a_journal(tmp_path: Path) -> None:
    """Whatever was on disk at any moment of compacting opens without a note, as it was before or as it was to be.

    The files are copied before each statement and after the last. Seen to fail: the file said that it was not closed
    while its log was empty.
    """
    path = tmp_path / "a" / "centre.journal"
    path.parent.mkdir()
    journaled = filled(path)
    digest, copies = journaled.router.digest(), []

    def copied(statement: str) -> None:
        place = tmp_path / f"copy-{len(copies)}"
        place.mkdir()
        for file in path.parent.iterdir():
            (place / file.name).write_bytes(file.read_bytes())
        copies.append((place / path.name, statement))

    connection = journaled.store._connection  # type: ignore[attr-defined]
    connection.set_trace_callback(copied)
    journaled.compact()
    connection.set_trace_callback(None)
    copied("the end")
    journaled.close()
    assert len(copies) > 10
    for place, statement in copies:
        with Journaled(SqliteStore(place, durability="os"), CENTRE) as again:
            assert again.notes == (), statement
            assert again.router.digest() == digest, statement


def test_compacting_needs_no_code_of_a_host(path: Path) -> None:
    """A journal with strategies of its own is compacted without their code, and goes on with it; nobody is asked."""
    plan = whimsical()[0]
    with Journaled(SqliteStore(path, durability="os"), plan) as journaled:
        for kind, a, b, gap in fixed_moves(40):
            now = instant(journaled.router, gap)
            journaled.apply(now, command(journaled.router, kind, a, b, now=now))
        digest, told = journaled.router.digest(), journaled.told
    done = compact(path)
    assert done.records == 42
    assert done.after < done.before
    with Journaled(SqliteStore(path, durability="os"), plan) as journaled:
        assert (journaled.router.digest(), journaled.told) == (digest, told)
    assert compact(path).records == 1


def test_what_is_no_journal_is_not_compacted(path: Path) -> None:
    """A file that is missing, empty or in use is refused and left as it is."""
    with pytest.raises(JournalError, match="is not there"):
        compact(path)
    journaled = filled(path)
    with pytest.raises(JournalError, match="is open in a process"):
        compact(path)
    journaled.close()
    empty = path.parent / "empty.journal"
    empty.write_bytes(b"")
    with pytest.raises(JournalError, match="is empty"):
        compact(empty)


def test_the_command_line_forgets(run: Run, path: Path) -> None:  # noqa: F811
    """``forget`` and ``compact`` change the file itself, say what they did, and end in 3 where there is none."""
    filled(path).close()
    assert set(found(path)) == set(SECRETS)
    before = path.read_bytes()
    nobody = run("journal", "forget", path, "")  # planted: taken for compact, and what was told is gone for nothing
    assert (nobody.code, "CUSTOMER: is empty" in nobody.err, path.read_bytes() == before) == (USAGE, True, True)
    ran = run("journal", "forget", path, "mia-4711")
    assert ran.code == OK
    assert "8 records forgotten" in " ".join(ran.out.split())
    assert not found(path)
    assert "was there to erase" not in ran.out
    unknown = run("journal", "forget", path, "mia-4712")
    assert unknown.code == OK
    assert "no journey of that customer was there to erase" in unknown.out
    again = run("journal", "compact", path)
    assert again.code == OK
    assert "was there to erase" not in again.out
    assert "0 records forgotten" in " ".join(again.out.split())
    assert json.loads(run("journal", "verify", "--json", path).out)["findings"] == []
    assert run("journal", "compact", path.parent / "none").code == INPUT
