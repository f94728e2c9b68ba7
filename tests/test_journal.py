"""A router with a journal: the order of things, recovery, keys, snapshots, and delivery to consumers."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import attrs
import msgspec
import pytest
from cores import CORES, using
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_stores import Faulty, Slow
from play import PLAN, TEXTS, Move, Whim, command, fixed_moves, instant, whimsical, with_

from omniroute import Agent, Plan, Queue, Router, commands, events, records
from omniroute.errors import DamagedError, InputError, InvariantError, JournalError, MisuseError, TimeError
from omniroute.events import Event
from omniroute.journal import Journaled, MemoryStore, SqliteStore, Store, unseen
from omniroute.journal import entry as codec
from omniroute.journal.entry import Entry, Kind, Writer, bytes_of, digest_of, entry_of, kept_of, sealed, writer_of
from omniroute.journal.keys import KEY_RETENTION_MS, Keys
from omniroute.snapshot import FORMAT, SEMANTICS

SMALL = Plan(queues=[Queue("sales", offer_timeout_ms="15s")], agents=[Agent("ana"), Agent("ben")])
played = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
moves = st.binary(min_size=40, max_size=240).map(lambda drawn: list(zip(*[iter(drawn)] * 4, strict=False)))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every test runs on every store."""
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "a.journal", durability="os")
    yield made
    made.close()


def lived(journaled: Journaled, played: list[Move], plans: tuple[Plan | str, Plan | str] = TEXTS) -> list[Event]:
    """Play moves against a router with a journal, ticks among them; everything that was released."""
    told = []
    for number, (kind, a, b, gap) in enumerate(played):
        if number % 5 == 0:
            told += journaled.advance(instant(journaled.router, b))
        now = instant(journaled.router, gap)
        told += journaled.apply(now, command(journaled.router, kind, a, b, plans, now))
    return told


def begun(store: Store, **options: int) -> Journaled:
    """A small centre at work: ana is offered call-1."""
    journaled = Journaled(store, SMALL, **options)
    journaled.apply(0, commands.SignIn("ana"))
    journaled.apply(1_000, commands.Enqueue("call-1", "sales"), key="call-1")
    return journaled


# Recovery ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [7, 1_000])
@played
@given(moves=moves, cut=st.integers(0, 60))
def test_a_router_comes_back(every: int, moves: list[Move], cut: int) -> None:
    """Closed and opened again anywhere, also on the other core, the router goes on as one that was never closed.

    Seen to fail: what advance told was not written, so that an offer that had expired could be accepted.
    """
    first, second = MemoryStore(), MemoryStore()
    names = list(CORES)
    with using(names[0]):
        journaled = Journaled(first, PLAN)
        told = lived(journaled, moves)
    with using(names[0]):
        begun = Journaled(second, PLAN, snapshot_every=every)
        again = lived(begun, moves[: cut - cut % 5])
        now = begun.router.now
        begun.close()
    with using(names[-1]):
        reopened = Journaled(second, PLAN, snapshot_every=every)
        assert reopened.told == len(again)
        assert reopened.advance(now) == []  # what advance did not tell is not written, and changes nothing
        again += lived(reopened, moves[cut - cut % 5 :])
        assert events.encode(again) == events.encode(told)
        assert reopened.router.digest() == journaled.router.digest()
        assert list(reopened.events(reopened.told)) == []


@played
@given(moves=moves)
def test_nobody_is_asked_on_recovery(moves: list[Move]) -> None:
    """What strategies answered comes from the journal, and behind it they are asked again, with their code.

    The strategy never answers twice alike. Seen to fail: the stand-ins stayed in the plan of the recovered router.
    """
    plans, store = whimsical(), MemoryStore()
    journaled = Journaled(store, plans[0], snapshot_every=9)
    lived(journaled, moves, plans)
    digest, now = journaled.router.digest(), journaled.router.now
    plan = journaled.router.plan
    journaled.close()
    again = Journaled(store, plan)
    assert again.router.digest() == digest
    again.apply(now, commands.SignIn(commands.AgentCard("new", {"never seen": 2})))
    assert all("Absent" not in type(error).__name__ for error in again.router.failures.values())
    assert not any("is not here" in str(error) for error in again.router.failures.values())


class Hasty(Whim):
    """A whim that wants to be asked more often, under the same name and version."""

    interval_ms = 1_000


def test_the_code_of_a_strategy_has_to_be_given(store: Store) -> None:
    """A plan without the strategy that the journal has is refused with the name of the queue; nothing is lost."""
    plan = whimsical()[0]
    Journaled(store, plan).close()
    with pytest.raises(InputError, match=r"sales.*has not the strategy 'whim' of version 3"):
        Journaled(store, PLAN)
    other = attrs.evolve(plan, queues=[with_(queue, Hasty()) for queue in plan.queues])
    with pytest.raises(InputError, match="sales"):
        Journaled(store, other)
    assert Journaled(store, plan).router.plan.queues[0].strategy is plan.queues[0].strategy


def test_what_advance_told_holds(store: Store) -> None:
    """A deadline that was told to the world is behind it also after recovery, though no command followed it.

    An advance that fires nothing writes nothing. Seen to fail: ticks were not written.
    """
    journaled = begun(store)
    sequence = journaled.sequence
    assert journaled.advance(15_999) == []
    assert journaled.sequence == sequence
    told = journaled.advance(16_000)
    assert isinstance(told[0], events.OfferExpired)
    journaled.close()
    again = Journaled(store, SMALL)
    assert again.router.now == 16_000
    with pytest.raises(TimeError):
        again.apply(15_999, commands.SignIn("ben"))


def test_a_refusal_is_written_and_misuse_is_not(store: Store) -> None:
    """Refusals are part of the journal; what raises has moved nothing and left nothing in it."""
    journaled = begun(store)
    sequence, digest = journaled.sequence, journaled.router.digest()
    wrong: list[tuple[object, object]] = [
        (2_000, commands.Enqueue("x" * 200, "sales")),
        (2_000, commands.Enqueue(7, "sales")),  # type: ignore[arg-type]
        (2_000, commands.Enqueue("call-2", "sales", needs="es >=")),
        (2_000, commands.Enqueue("call-2", "sales", ref="\ud800")),
        (2_000, commands.ChangePlan(7)),
        (2_000, commands.ChangePlan("queues = 7")),
        (2_000, "Leave"),
        (500, commands.SignIn("ben")),
        (1.5, commands.SignIn("ben")),
    ]
    for now, what in wrong:
        with pytest.raises((MisuseError, InputError)):
            journaled.apply(now, what)  # type: ignore[arg-type]
    assert (journaled.sequence, journaled.router.digest()) == (sequence, digest)
    (refused,) = journaled.apply(2_000, commands.Accept(99))
    assert isinstance(refused, events.Rejected)
    assert journaled.sequence == sequence + 1


# The order of things -------------------------------------------------------------------------------------------------


def test_nothing_is_released_before_it_is_durable() -> None:
    """Events come when the store has said that their command is durable, for each of several on their way.

    Seen to fail: the future ended with the append, not with its end.
    """
    store = Slow(MemoryStore())
    journaled = begun(store)
    store.slow = True
    first = journaled.submit(2_000, commands.Enqueue("call-2", "sales"), key="call-2")
    twice = journaled.submit(2_000, commands.Enqueue("call-2", "sales"), key="call-2")
    second = journaled.submit(2_000, commands.SignIn("ben"))
    assert [future.done() for future in (first, twice, second)] == [False] * 3
    store.finish()
    assert isinstance(first.result()[0], events.Queued)
    assert twice.result() == first.result()
    assert isinstance(second.result()[0], events.PresenceChanged)


def test_what_is_taken_goes_together() -> None:
    """Commands are applied as they come, written in one append when they are handed over, and told when that ends.

    Nothing to hand over ends when everything before is durable. Closing writes what nobody handed over. Seen to fail:
    what was taken and not handed over was lost; an empty hand-over ended at once.
    """
    store = Slow(MemoryStore())
    journaled = begun(store)
    written, store.slow = len(list(store.read(0))), True
    for number in range(2, 5):
        journaled.take(2_000, commands.Enqueue(f"call-{number}", "sales"))
    assert journaled.take_tick(2_000) == []
    assert journaled.router.queue("sales").waiting == 4
    assert len(list(store.read(0))) == written
    together = journaled.hand_over("all")
    assert len(store.waiting) == 1
    assert len(list(store.read(0))) == written + 3
    behind = journaled.hand_over("nothing")
    assert (together.done(), behind.done()) == (False, False)
    store.finish()
    assert (together.result(), behind.result(), journaled.hand_over("again").result()) == ("all", "nothing", "again")
    journaled.take(3_000, commands.Enqueue("call-5", "sales"))
    journaled.close()
    assert Journaled(store.store, SMALL).router.queue("sales").waiting == 5


def test_what_was_taken_before_a_defect_can_be_handed_over() -> None:
    """When a command ends in a broken invariant, those before it that were only taken are written all the same.

    Seen to fail: they were thrown away with the router.
    """
    store = MemoryStore()
    journaled = begun(store)
    journaled.take(2_000, commands.Enqueue("call-2", "sales"))
    journaled.router.apply(2_000, commands.Enqueue("from elsewhere", "sales"))
    with pytest.raises(InvariantError, match="moved from elsewhere"):
        journaled.take(2_000, commands.Enqueue("call-3", "sales"))
    assert journaled.hand_over("written").result() == "written"
    journaled.reload()
    assert journaled.router.interaction("call-2").id == "call-2"
    assert journaled.router.queue("sales").waiting == 2


@pytest.mark.parametrize("late", [False, True])
def test_a_failed_append_discards_the_router(store: Store, late: bool) -> None:
    """When it cannot be written nothing is released and nobody sees that state; after reloading it is as written.

    Written or not, who tries again with the same key gets one interaction. Seen to fail: the router went on with a
    command that its journal had not.
    """
    faulty = Faulty(store)
    journaled = begun(faulty)
    digest, told = journaled.router.digest(), journaled.told
    faulty.left, faulty.late = 0, late
    with pytest.raises(JournalError, match="disk full"):
        journaled.apply(2_000, commands.Enqueue("call-2", "sales"), key="call-2")
    for _ in range(2):
        with pytest.raises(JournalError, match=r"reload before the next command: .*disk full"):
            journaled.apply(2_000, commands.SignIn("ben"))
    with pytest.raises(JournalError, match="reload"):
        _ = journaled.router
    journaled.reload()
    assert (journaled.router.digest() == digest) is not late
    again = journaled.apply(3_000, commands.Enqueue("call-2", "sales"), key="call-2")
    assert [type(event) for event in again] == [events.Queued]
    assert again[0].seq == told + 1
    assert journaled.router.queue("sales").waiting == 2


def test_what_is_behind_a_failure_fails_too(store: Store) -> None:
    """Of commands on their way, all behind the one that fails end in its error, and none of them is there later."""
    faulty = Faulty(store)
    journaled = begun(faulty)
    faulty.left = 2
    futures = [journaled.submit(2_000, commands.Enqueue(f"call-{number}", "sales")) for number in range(2, 5)]
    with pytest.raises(JournalError):
        journaled.submit(2_000, commands.SignIn("ben"))
    assert [type(future.exception()) for future in futures] == [type(None), type(None), JournalError]
    journaled.reload()
    assert journaled.router.queue("sales").waiting == 3


def test_a_snapshot_that_fails_stops_the_journal(store: Store) -> None:
    """A snapshot that cannot be kept is a store that cannot write: the next command says so."""
    faulty = Faulty(store)
    journaled = begun(faulty)
    digest = journaled.router.digest()
    faulty.left = 0
    with pytest.raises(JournalError, match="disk full"):
        journaled.snapshot()
    with pytest.raises(JournalError, match="reload"):
        journaled.apply(2_000, commands.SignIn("ben"))
    journaled.reload()
    assert journaled.router.digest() == digest


def test_a_router_is_moved_through_its_journal_only(store: Store) -> None:
    """A command that the router got from elsewhere is found at the next one, before anything else is written."""
    journaled = begun(store)
    journaled.router.sign_in(2_000, "ben")
    sequence = journaled.sequence
    with pytest.raises(InvariantError, match="moved from elsewhere"):
        journaled.apply(3_000, commands.SignIn("ben"))
    journaled.reload()
    assert journaled.sequence == sequence + 1
    assert journaled.router.agent("ben").presence == "signed_out"


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_key_is_answered_once(store: Store, snapshot: bool) -> None:
    """What comes twice with one key is done once and told twice the same, also after recovery and from a snapshot.

    Seen to fail: keys were not read back on recovery; the snapshot forgot them.
    """
    journaled = begun(store)
    told = journaled.apply(5_000, commands.Enqueue("call-2", "sales", ref="line 7"), key="retry")
    if snapshot:
        journaled.snapshot()
    for reopen in (False, True, True):
        if reopen:
            journaled.close()
            journaled = Journaled(store, SMALL)
        sequence, digest = journaled.sequence, journaled.router.digest()
        assert journaled.apply(9_000, commands.Enqueue("call-2", "sales", ref="line 7"), key="retry") == told
        assert (journaled.sequence, journaled.router.digest()) == (sequence, digest)
        with pytest.raises(MisuseError, match="'retry' was used for another command"):
            journaled.apply(9_000, commands.Enqueue("call-3", "sales"), key="retry")
    for key in ("", "x" * 300, 7):
        with pytest.raises(MisuseError, match="expected a text of 1 to 256"):
            journaled.apply(9_000, commands.SignIn("ben"), key=key)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0, 1])
def test_a_plan_is_changed_once(store: Store, number: int) -> None:
    """A plan with a key is known again after recovery, from its text or with strategies that have none."""
    plan = (PLAN, whimsical()[1])[number]
    journaled = Journaled(store, PLAN)
    told = journaled.apply(5, commands.ChangePlan(plan), key="plan")
    assert isinstance(told[-1], events.PlanChanged)
    journaled.close()
    again = Journaled(store, plan)
    assert again.apply(7, commands.ChangePlan(plan), key="plan") == told


def test_keys_are_bounded() -> None:
    """Keys are forgotten by age, number and bytes, the oldest first, and never the last one; the bytes add up."""
    keys = Keys()
    keys.remember("a", 1, 0, b"12345")
    keys.remember("b", 2, 10, b"123")
    assert keys.find("a", 1) == b"12345"
    keys.remember("c", 3, KEY_RETENTION_MS, b"")
    assert (keys.find("a", 1), keys.find("b", 2)) == (None, b"123")
    with patch("omniroute.journal.keys.KEYS_MAX", 2):
        keys.remember("d", 4, KEY_RETENTION_MS, b"1234")
    assert [row[0] for row in keys.state()] == ["c", "d"]
    with patch("omniroute.journal.keys.KEYS_BYTES_MAX", 5):
        keys.remember("e", 5, KEY_RETENTION_MS, b"1" * 50)
    assert [row[0] for row in keys.state()] == ["e"]
    keys.remember("e", 6, KEY_RETENTION_MS + 1, b"12")
    assert keys.find("e", 6) == b"12"
    assert keys._bytes == 2
    assert Keys(keys.state()).state() == keys.state()


# Snapshots -----------------------------------------------------------------------------------------------------------


def test_snapshots_are_taken_and_old_records_forgotten(store: Store) -> None:
    """Every so many records a snapshot is kept, and what is before the last two is gone: a journal does not grow.

    A store may make snapshots beside the commands; then one that is due while another is made comes after it.
    """
    journaled = Journaled(store, PLAN, snapshot_every=50)
    lived(journaled, fixed_moves(400))
    digest, sequence = journaled.router.digest(), journaled.sequence
    journaled.close()
    held = store.acquire()
    kept = [at for at, _ in store.snapshots()]
    assert len(kept) == 2
    assert kept[0] - kept[1] >= 50
    assert held.first == kept[1] + 1
    if isinstance(store, MemoryStore):
        assert sequence - kept[0] < 50
        assert kept[0] - kept[1] <= 51
    store.close()
    again = Journaled(store, PLAN, snapshot_every=50)
    assert again.router.digest() == digest


class Shaken(SqliteStore):
    """Something happens when the third record is read."""

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The records behind a number."""
        for number, found in enumerate(super().read(after)):
            if number == 2:
                self.happen()
            yield found

    def happen(self) -> None:
        """Nothing, unless a test says what."""


def test_what_is_read_while_it_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is overtaken by snapshots is told that what it wants is no longer there, as one who comes later.

    Seen to fail: DamagedError, as if the journal could not be trusted.
    """
    monkeypatch.setattr("omniroute.journal.sqlite.CHUNK_BYTES", 100)
    store = Shaken(tmp_path / "a.journal", durability="os")
    with Journaled(store, PLAN) as journaled:
        lived(journaled, fixed_moves(60))
        journaled.snapshot()
        lived(journaled, fixed_moves(120)[60:])

        def forget() -> None:
            monkeypatch.setattr(store, "happen", lambda: None)
            journaled.snapshot()
            journaled.snapshot()

        monkeypatch.setattr(store, "happen", forget)
        reading = journaled.events(0)
        assert [next(reading).seq for _ in range(3)]
        with pytest.raises(MisuseError, match="no longer in"):
            list(reading)
        with pytest.raises(MisuseError, match="no longer in"):
            list(journaled.events(0))
        assert list(journaled.events(journaled.told)) == []


class Bent(Faulty):
    """Reads snapshots with one byte changed."""

    bent: tuple[int, ...] = ()

    def snapshots(self) -> Iterator[tuple[int, bytes]]:
        """Some of them are damaged."""
        for number, (sequence, data) in enumerate(self.store.snapshots()):
            damaged = bytes([*data[:40], data[40] ^ 4, *data[41:]])
            yield sequence, damaged if number in self.bent else data


def test_a_damaged_snapshot_is_left_out(store: Store) -> None:
    """Recovery takes the last good snapshot and says which it has left out; with none and no start it refuses.

    Seen to fail: the seal of a snapshot was not looked at.
    """
    bent = Bent(store)
    journaled = Journaled(bent, PLAN, snapshot_every=50)
    lived(journaled, fixed_moves(300))
    digest = journaled.router.digest()
    journaled.close()
    bent.bent = (0,)
    again = Journaled(bent, PLAN)
    assert again.router.digest() == digest
    assert len(again.notes) == 1
    assert "is left out" in again.notes[0]
    again.close()
    bent.bent = (0, 1)
    with pytest.raises(DamagedError, match="nothing to begin with; the snapshot after record"):
        Journaled(bent, PLAN)


def test_a_release_with_other_snapshots_begins_at_the_start(store: Store) -> None:
    """A snapshot of another layout is left out and said so; while the start is there the records bring everything.

    Two releases can take turns until two snapshots have been kept; then the one that has none refuses.
    """
    journaled = Journaled(store, PLAN)
    lived(journaled, fixed_moves(60))
    journaled.snapshot()
    told = journaled.told
    for _ in range(2):
        journaled.close()
        with patch("omniroute.snapshot.FORMAT", 99):
            journaled = Journaled(store, PLAN)
            assert journaled.told == told
            assert f"has format {FORMAT} and semantics {SEMANTICS}, here are 99" in journaled.notes[0]
            journaled.close()
        journaled = Journaled(store, PLAN)
        assert (journaled.told, journaled.notes) == (told, ())
    journaled.snapshot()
    journaled.close()
    with patch("omniroute.snapshot.FORMAT", 99), pytest.raises(DamagedError, match="nothing to begin with; the snap"):
        Journaled(store, PLAN)


# What a journal says when it cannot be trusted -----------------------------------------------------------------------


def rewritten(store: MemoryStore, change: Callable[[int, Entry], Entry]) -> MemoryStore:
    """A journal with its entries changed and sealed again, as another release or another truth would have left it."""
    other = MemoryStore("other.journal")
    store.acquire()
    rows = [bytes_of(change(at, entry_of(at, data))) for at, data in store.read(0)]
    other.append(other.acquire().epoch, 1, [sealed(at, data) for at, data in enumerate(rows, 1)], None).result()
    return other


def test_a_mismatch_says_where_and_why() -> None:
    """Events that are not those that were told stop recovery: which record, what came, who wrote it, how to go on.

    Seen to fail: the digests were not compared.
    """
    store = MemoryStore()
    begun(store).close()

    def bent(at: int, found: Entry) -> Entry:
        if at == 2:
            old = Writer("0.0.9", 2, "kernel", dict(codec.SHAPE))
            return msgspec.structs.replace(found, body=bytes_of(old))
        return msgspec.structs.replace(found, digest=found.digest ^ 1) if at == 4 else found

    with pytest.raises(DamagedError) as caught:
        Journaled(rewritten(store, bent), SMALL)
    said = str(caught.value)
    assert caught.value.sequence == 4
    assert said.startswith("other.journal: record 4: Enqueue at 1000 gave 2 events (Queued, Offered), 2 were told")
    assert "written by omniroute 0.0.9 (semantics 2, core kernel)" in said
    assert "omniroute journal cut other.journal NEW --after 3" in said
    assert "call-1" not in said


def test_events_that_have_grown_since_are_the_same() -> None:
    """A release that gave events fewer fields wrote digests over these; they are compared over the same fields."""
    store = MemoryStore()
    begun(store).close()
    shape = {**codec.SHAPE, "Offered": 5, "PresenceChanged": 4}
    told: list[list[Event]] = []
    plain = Router(SMALL)
    told += [plain.sign_in(0, "ana"), plain.enqueue(1_000, "call-1", "sales")]

    def older(at: int, found: Entry) -> Entry:
        if found.kind == Kind.OPENED:
            return msgspec.structs.replace(found, body=bytes_of(Writer("0.0.9", 3, "kernel", shape)))
        return msgspec.structs.replace(found, digest=digest_of(told[at - 3], shape)) if at in (3, 4) else found

    assert digest_of(told[1], shape) != digest_of(told[1])
    assert Journaled(rewritten(store, older), SMALL).told == 3


def test_an_entry_stands_at_its_place() -> None:
    """Bytes that flipped, and whole entries that changed places, are seen; the record is named.

    Seen to fail: the seal was not looked at; it did not begin with the sequence.
    """
    store = MemoryStore()
    journaled = begun(store)
    journaled.apply(2_000, commands.SignIn("ben"))
    journaled.apply(2_000, commands.SignOut("ben"))
    journaled.close()
    good = list(store._entries)
    for at in (4, 5):
        for place in (0, 3, 4, len(good[at - 1]) - 1):
            data = bytearray(good[at - 1])
            data[place] ^= 1
            store._entries[at - 1] = bytes(data)
            with pytest.raises(DamagedError, match=f"record {at}: its bytes are not those that were written"):
                Journaled(store, SMALL)
            store._entries[at - 1] = good[at - 1]
    store._entries[4], store._entries[5] = good[5], good[4]
    with pytest.raises(DamagedError, match="record 5: its bytes are not those that were written"):
        Journaled(store, SMALL)


@settings(max_examples=300)
@given(data=st.binary(max_size=200), sequence=st.integers(0, 2**40))
def test_nothing_but_a_damaged_error(data: bytes, sequence: int) -> None:
    """Whatever bytes a store gives back, sealed or not, decoding them ends in a value or a DamagedError."""
    for decode in (entry_of, kept_of):
        for given_ in (data, sealed(sequence, data)):
            with suppress(DamagedError):
                decode(sequence, given_)
    with suppress(DamagedError):
        writer_of(sequence, data)


def test_bytes_that_are_no_text_are_an_input_error() -> None:
    """A text with a byte that no text has is a broken record like any other. Not planted: it ended in its own error."""
    data = commands.encode(commands.Leave("call-1")).replace(b"call", b"c\xc3ll")
    with pytest.raises(InputError, match="not a command"):
        commands.decode(data)
    record = records.encode(records.Record(1, commands.Leave("call-1"))).replace(b"call", b"c\xc3ll")
    with pytest.raises(InputError, match="not a record"):
        records.decode(record)


@settings(max_examples=150)
@given(at=st.integers(1, 6), place=st.integers(0, 400), flip=st.integers(1, 255), cut=st.integers(0, 400))
def test_hostile_records_do_not_get_in(at: int, place: int, flip: int, cut: int) -> None:
    """A record that somebody changed and sealed again is decoded with its types checked: a value or a DamagedError."""
    store = MemoryStore()
    journaled = begun(store)
    journaled.apply(2_000, commands.EnqueueMany((commands.Enqueue("a", "sales"), commands.Enqueue("b", ("sales",)))))
    journaled.advance(16_000)
    journaled.close()
    data = bytearray(store._entries[at - 1][4:])
    data[place % len(data)] ^= flip
    del data[len(data) - cut % len(data) :]
    store._entries[at - 1] = sealed(at, bytes(data))
    with suppress(DamagedError):
        Journaled(store, SMALL).router.check()


# Consumers -----------------------------------------------------------------------------------------------------------


def test_events_are_made_again_for_whoever_was_away(store: Store) -> None:
    """From any number on that is still kept, the journal gives the events that were told, and says where it cannot."""
    journaled = Journaled(store, PLAN, snapshot_every=60)
    told = lived(journaled, fixed_moves(40))
    assert list(journaled.events(0)) == told
    assert list(journaled.events(len(told) - 3)) == told[-3:]
    told += lived(journaled, fixed_moves(300)[40:])
    with pytest.raises(MisuseError, match="behind number 0 are no longer in"):
        list(journaled.events(0))
    _, oldest = (kept_of(at, data).told for at, data in store.snapshots())
    assert list(journaled.events(oldest)) == told[oldest:]


def test_a_consumer_takes_every_event_once(tmp_path: Path) -> None:
    """A consumer that keeps its cursor in its own transaction counts every event once, however often it breaks off."""
    dice, store = random.Random(5), MemoryStore()
    journaled = Journaled(store, PLAN)
    mine = sqlite3.connect(tmp_path / "mine.db")
    mine.execute("PRAGMA synchronous = OFF")
    mine.execute("CREATE TABLE seen (seq INTEGER PRIMARY KEY, what TEXT)")
    mine.execute("CREATE TABLE cursor AS SELECT 0 AS after")
    mine.commit()

    def take(batch: list[Event]) -> None:
        (after,) = mine.execute("SELECT after FROM cursor").fetchone()
        for event in unseen(batch, after):
            mine.execute("INSERT INTO seen VALUES (?, ?)", (event.seq, type(event).__name__))
            mine.execute("UPDATE cursor SET after = ?", (event.seq,))
            if dice.random() < 0.03:
                mine.rollback()
                raise ConnectionError
            if dice.random() < 0.5:
                mine.commit()
        mine.commit()

    told = []
    for number in range(60):
        batch = lived(journaled, fixed_moves(240)[number * 4 : number * 4 + 4])
        told += batch
        try:
            take(batch)
        except (ConnectionError, MisuseError):
            continue
    while True:
        try:
            (after,) = mine.execute("SELECT after FROM cursor").fetchone()
            take(list(journaled.events(after)))
            break
        except ConnectionError:
            continue
    found = mine.execute("SELECT seq, what FROM seen ORDER BY seq").fetchall()
    mine.close()
    assert found == [(event.seq, type(event).__name__) for event in told]


def test_a_gap_is_not_passed_over() -> None:
    """A consumer that missed events is told which; what it has seen is left out."""
    told = Router(SMALL).sign_in_many(0, ["ana", "ben"])
    assert unseen(told, 0) == told
    assert unseen(told, 1) == told[1:]
    assert unseen(told, 2) == []
    with pytest.raises(MisuseError, match="events 1 to 1 are missing: read them with events"):
        unseen(told[1:], 0)


def test_a_path_is_no_store() -> None:
    """Who gives the name of a file, a class or no plan is told what to give, and no file is made."""
    for store in ("centre.journal", MemoryStore):
        with pytest.raises(MisuseError, match=r"expected one such as SqliteStore\(path\)"):
            Journaled(store, Plan(queues=[Queue("sales")]))  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match="expected a Plan"):
        Journaled(MemoryStore(), {})  # type: ignore[arg-type]
