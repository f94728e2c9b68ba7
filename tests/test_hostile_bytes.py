"""Bytes that a disk or a stranger hands over: records, snapshots, journals; and commands with hostile values."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from cores import CORES
from hostile import INTEGERS, VALUES, WORDS, Fuzz, kept, mutated, mutations
from hypothesis import strategies as st
from play import PLAN, TEXTS, command, fixed_moves, instant

from omniroute import Router, commands
from omniroute.errors import DamagedError, InputError, InvariantError, MisuseError, OmnirouteError
from omniroute.events import Rejected
from omniroute.intake import Intake, Rule
from omniroute.journal import MemoryStore
from omniroute.journal.entry import (
    Entry,
    Kept,
    Kind,
    bytes_of,
    entry_of,
    kept_of,
    opened,
    sealed,
    this_writer,
    writer_of,
)
from omniroute.journal.port import Held
from omniroute.journal.recover import Replay, bases, start_entry
from omniroute.journey_rules import JourneyRules
from omniroute.records import Record, decode, encode
from omniroute.snapshot import FORMAT, Snapshot
from omniroute.upgrades import OLDEST

ROOT = Path(__file__).resolve().parents[1]


RICH = attrs.evolve(
    PLAN,
    journey=JourneyRules(private=("card",)),
    intake=Intake(default=Rule("rest", queue=("care",)), rules=[Rule("es", when='"es" in tongues', queue=("sales",))]),
)


def played(count: int = 60) -> tuple[Router, list[bytes]]:
    """A router that knows customers after some moves, and the records of its commands."""
    router, written = Router(RICH), []
    first: list[commands.Command] = [
        commands.Arrive("j1", "voice", {"card": "x", "age": 5, "tongues": ["es"]}, "customer-1", "billing"),
        commands.Note("j1", {"age": None, "name": "y"}),
        commands.Resolve(customer="customer-1"),
        commands.Arrive("j2", "chat", {}, "customer-2", owner="ana"),
        commands.Erase("customer-2"),
        commands.CallBack("j1", "customer"),
    ]
    for made in first:
        router.apply(router.now, made)
        written.append(encode(Record(router.now, made, router.answers)))
    for kind, a, b, gap in fixed_moves(count):
        now = instant(router, gap)
        made = command(router, kind, a, b, TEXTS, now)
        router.apply(now, made)
        written.append(encode(Record(now, made, router.answers)))
    return router, written


ROUTER, WRITTEN = played()
SNAPSHOT = ROUTER.snapshot()


def resealed(body: bytes) -> bytes:
    """A snapshot with the checksum that its bytes ask for: whoever writes one can write this."""
    return hashlib.blake2b(body, digest_size=16).digest() + body


def far(now: object) -> bool:
    """Whether an instant is so far ahead that the regular looks until then, of 2 us each, would take long."""
    return isinstance(now, int) and 2**32 < now <= 2**42


def instants(found: object) -> set[int]:
    """When to apply what was read: at its own instant, which is often gone by, and at the first that is not."""
    if not isinstance(found, Record) or far(found.now):
        return set()
    return {found.now, max(found.now, ROUTER.now)}


def judged(router: Router, now: int, found: Any) -> object:
    """The events of a record, None where it was refused."""
    return kept(lambda: router.apply(now, found.command, found.answers))


def test_records(fuzz: Fuzz) -> None:
    """Any bytes are a record or an error; what is read can be applied, and is then done, rejected or misuse.

    Every number of one record of each kind is also made too large or too small. Planted: numbers of commands whose
    range is not looked at.
    """

    def check(data: bytes) -> None:
        found = kept(lambda: decode(data))
        for now in instants(found):
            router = ROUTER.fork()
            judged(router, now, found)
            router.check()

    one_of_each = {type(decode(data).command): data for data in WRITTEN}
    for data in one_of_each.values():
        for at, (container, key) in enumerate(field_values(msgspec.msgpack.decode(data))):
            if type(container[key]) is int:
                for value in (2**63, 2**64 - 1, -(2**63), 2**62):
                    check(edited(data, [(at, value)]))
    fuzz(mutations(*WRITTEN) | st.binary(max_size=60), check, examples=300)


def field_values(data: Any) -> list[Any]:
    """The tree of a message as a list of places: each as (container, key)."""
    found: list[Any] = []
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, list | dict):
            keys = range(len(item)) if isinstance(item, list) else list(item)
            found += [(item, key) for key in keys]
            pending += [item[key] for key in keys]
    return found


def edited(data: bytes, edits: list[tuple[int, Any]]) -> bytes:
    """A message with other values at some places of its tree: its types are as often right as wrong."""
    tree = msgspec.msgpack.decode(data)
    for at, value in edits:
        found = field_values(tree)
        if found:
            container, key = found[at % len(found)]
            old = container[key]
            if isinstance(value, str) and value == "drop" and isinstance(container, list):
                container.pop(key)
            elif isinstance(value, str) and value == "twice" and isinstance(container, list):
                container.insert(key, old)
            elif isinstance(value, int) and isinstance(old, int) and not isinstance(old, bool) and abs(value) < 3:
                container[key] = max(-(2**63), min(2**64 - 1, old + value))
            else:
                container[key] = value
    return msgspec.msgpack.encode(tree)


SMALL = INTEGERS.filter(lambda number: -(2**63) <= number < 2**64)
EDITS = st.lists(
    st.tuples(
        st.integers(0, 100_000),
        st.sampled_from(("drop", "twice", -1, 1, 0, None, "", "sales", "ana", "c1", [], {}, True, 1.5, b"")) | SMALL,
    ),
    min_size=1,
    max_size=3,
)


def test_records_with_other_values(fuzz: Fuzz) -> None:
    """A record with any value at any place of it is refused, or applied and judged; the router stays whole."""

    def check(drawn: tuple[bytes, list[tuple[int, Any]]]) -> None:
        found = kept(lambda: decode(edited(*drawn)))
        for now in instants(found):
            router = ROUTER.fork()
            before = router.digest()
            done = judged(router, now, found)
            if done is None:
                assert router.digest() == before
            router.check()

    fuzz(st.tuples(st.sampled_from(WRITTEN), EDITS), check, examples=200)


KINDS = sorted((kind for kind in commands.Command.__args__), key=lambda kind: kind.__name__)
SOME = st.sampled_from(("c1", "c2", "ana", "ben", "sales", "care", "mail", "voice", "chat", "ready", "keep", "es >= 2"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_commands(fuzz: Fuzz, kind: Any) -> None:
    """A command with any values in its fields is done, rejected or misuse, and then nothing has moved.

    Each field also gets values of each wrong type in a command that is good otherwise. Planted: a context and a
    presence whose types are not looked at.
    """

    def check(values: dict[str, Any]) -> None:
        router = ROUTER.fork()
        before = router.digest()
        now = values.pop("now")
        if far(now):
            return
        done = kept(lambda: router.apply(now, kind(**values)))
        if done is None or (now == ROUTER.now and done and all(isinstance(event, Rejected) for event in done)):
            assert router.digest() == before
        router.check()

    needed = dict.fromkeys(kind.__struct_fields__, VALUES | SOME)
    cards = st.builds(commands.AgentCard, WORDS | SOME, st.dictionaries(WORDS, SMALL, max_size=2))
    binds = st.lists(st.builds(commands.Bind, SOME | VALUES, st.sampled_from(("only", "x", [])), VALUES), max_size=2)
    needed = {name: value | cards | binds.map(tuple) for name, value in needed.items()}
    lived = next((found.command for found in map(decode, WRITTEN) if type(found.command) is kind), None)
    good = {name: getattr(lived, name, "ana") for name in kind.__struct_fields__}
    for name in good:
        for value in (None, [], {"a": []}, 2**64, "\ud800", 1.5, b""):
            check({"now": ROUTER.now, **good, name: value})
    now = st.sampled_from((ROUTER.now, ROUTER.now, ROUTER.now + 1, 2**42)) | VALUES
    fuzz(st.fixed_dictionaries({"now": now, **needed}), check, examples=15)


# -- snapshots


def test_snapshots(fuzz: Fuzz) -> None:
    """Any bytes, with the right checksum or not, are a router or an InputError naming the snapshot."""

    def check(drawn: tuple[bytes, bool]) -> None:
        data, right = drawn
        found = kept(lambda: Router.restore(resealed(data[16:]) if right else data), allowed=(InputError,))
        if isinstance(found, Router):
            found.snapshot()

    assert kept(lambda: Router.restore(SNAPSHOT))
    fuzz(st.tuples(mutations(SNAPSHOT), st.booleans()), check, examples=100)


def test_snapshots_with_other_values(fuzz: Fuzz) -> None:
    """A snapshot with any value at any place is refused, or a router that can be used, or refuses all once it cannot.

    Planted: what does not fit together, let through as Python says it.
    """

    def check(drawn: tuple[list[tuple[int, Any]], int]) -> None:
        edits, layout = drawn
        body = edited(SNAPSHOT[16:], edits)
        if layout:
            tree = msgspec.msgpack.decode(body)
            body = msgspec.msgpack.encode([layout, *tree[1:]] if isinstance(tree, list) else tree)
        data = resealed(body)
        found = kept(lambda: Router.restore(data), allowed=(InputError,))
        if isinstance(found, Router) and not far(found.now):
            try:
                kept(lambda: found.advance(found.now + 1))
            except (LookupError, TypeError, ValueError):
                with pytest.raises(OmnirouteError):
                    found.advance(found.now + 2)

    fuzz(st.tuples(EDITS, st.sampled_from((0, 0, 0, FORMAT - 1, OLDEST, -1, FORMAT + 1))), check, examples=150)


def test_a_snapshot_without_its_offers() -> None:
    """The move that meets an offer without a name raises, and the router refuses everything from then on.

    Planted: a router that goes on.
    """
    tree = msgspec.msgpack.decode(SNAPSHOT[16:])
    tree[Snapshot.__struct_fields__.index("offers")] = []
    found = Router.restore(resealed(msgspec.msgpack.encode(tree)))
    with pytest.raises(LookupError):
        found.advance(found.now + 1_000_000)
    with pytest.raises(InvariantError, match="refuses all commands"):
        found.advance(found.now + 2_000_000)


def test_a_snapshot_nested_without_end() -> None:
    """Lists in lists, where anything may stand, are refused. Planted: the RecursionError let through."""
    tree = msgspec.msgpack.decode(SNAPSHOT[16:])
    place = next(number for number, value in enumerate(tree) if isinstance(value, dict) and "figures" in value)
    tree[place] = {"x": "deep"}
    deep = msgspec.msgpack.encode(tree).replace(b"\xa4deep", b"\x91" * 50_000 + b"\x90")
    assert kept(lambda: Router.restore(resealed(deep)), allowed=(InputError,)) is None


@pytest.mark.parametrize("core", CORES)
def test_dumps_of_the_core(fuzz: Fuzz, core: str) -> None:
    """Any integers are a core whose invariants hold, or MisuseError; never a crash, whatever is counted in them."""
    kind, good = CORES[core], ROUTER._core.dump()

    def check(edits: list[tuple[int, int]]) -> None:
        numbers = array("q", good)
        for at, value in edits:
            at %= len(numbers)
            numbers[at] = max(-(2**63), min(2**63 - 1, numbers[at] + value if abs(value) < 9 else value))
        found: Any = kept(lambda: kind.load(numbers), allowed=(MisuseError,))
        if found is not None:
            assert not found.check()
            found.dump()

    assert not kind.load(good).check()
    sixty_three = INTEGERS.filter(lambda number: -(2**63) <= number < 2**63)
    fuzz(st.lists(st.tuples(st.integers(0, 10**6), sixty_three), min_size=1, max_size=3), check, examples=300)


CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20,) * 2)
from array import array
sys.path.insert(0, "tests")
from play import PLAN
from omniroute import Router
from omniroute.errors import MisuseError
from omniroute.core import Core
good = Router(PLAN)._core.dump()
for at in range(len(good)):
    for value in (2**26, 2**25, 2**20, 2**62):
        numbers = array("q", good)
        numbers[at] = value
        try:
            Core.load(numbers)
        except MisuseError:
            pass
print("whole")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are a matter of Linux")
def test_counts_in_a_dump_ask_for_no_memory() -> None:
    """A count in a dump is believed as far as there are numbers behind it: 700 MB are enough for any."""
    command = [sys.executable, "-c", CHILD]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    assert done.stdout.strip() == "whole", done.stderr[-2_000:]


# -- journals


def journal() -> list[bytes]:
    """The entries of a journal: its start, who opened it, commands, a tick."""
    router, start = start_entry(PLAN)
    entries = [start, Entry(Kind.OPENED, 0, bytes_of(this_writer()))]
    for kind, a, b, gap in fixed_moves(25):
        now = instant(router, gap)
        made = command(router, kind, a, b, TEXTS, now)
        events = router.apply(now, made)
        body = encode(Record(now, made, router.answers))
        from omniroute.journal.entry import digest_of

        entries.append(Entry(Kind.COMMAND, now, body, len(events), digest_of(events), key=f"k{len(entries)}"))
    return [bytes_of(entry) for entry in entries]


ENTRIES = journal()


@pytest.mark.parametrize("read", [entry_of, writer_of, kept_of, opened], ids=lambda read: read.__name__)
def test_entries(fuzz: Fuzz, read: Any) -> None:
    """Any bytes are an entry, a writer, a snapshot of a journal, or DamagedError naming the record."""
    kept_bytes = bytes_of(Kept(this_writer(), 3, SNAPSHOT, b"", [("k", 1, 2, b"x")]))

    def check(drawn: tuple[bytes, bool]) -> None:
        data, right = drawn
        whole = sealed(7, data) if right and read is not writer_of else data
        kept(lambda: read(7, whole, "x.journal"), allowed=(DamagedError,))

    samples = mutations(*ENTRIES, bytes_of(this_writer()), kept_bytes) | st.binary(max_size=40)
    fuzz(st.tuples(samples, st.booleans()), check, examples=150)


def _goes_far(data: bytes) -> bool:
    """Whether an entry, or the record in it, is about an instant far ahead."""
    try:
        entry = entry_of(0, sealed(0, data[4:]))
        return far(entry.now) or far(decode(entry.body).now)
    except (DamagedError, InputError):
        return False


def test_journals(fuzz: Fuzz) -> None:
    """A journal with any entry changed, its seal included, is replayed to a whole router or is DamagedError.

    So is one whose events have another digest. Planted: digests that are not compared.
    """

    def replay(entries: list[bytes]) -> Replay | None:
        store = MemoryStore()
        epoch = store.acquire().epoch
        store.append(epoch, 1, [sealed(number, data) for number, data in enumerate(entries, 1)], None).result()
        held = Held(epoch=epoch, head=len(entries), first=1)
        for base in bases(store, held):
            if isinstance(base, Replay):
                for sequence, data in store.read(base.sequence):
                    if not _goes_far(data):
                        base.feed(sequence, data)
                base.router.check()
                return base
        return None

    def check(drawn: tuple[int, bool, int, int, list[tuple[int, Any]]]) -> None:
        at, inside, seed, changes, edits = drawn
        entries, at = list(ENTRIES), at % len(ENTRIES)
        if inside:
            entry = msgspec.msgpack.decode(entries[at])
            entry[2] = edited(entry[2], edits) if entry[2] else entry[2]
            entries[at] = msgspec.msgpack.encode(entry)
        else:
            entries[at] = mutated(entries[at], seed, changes) if changes % 2 else edited(entries[at], edits)
        kept(lambda: replay(entries), allowed=(DamagedError,))

    assert isinstance(kept(lambda: replay(list(ENTRIES))), Replay)
    told = msgspec.structs.replace(entry_of(0, sealed(0, ENTRIES[-1])), digest=1)
    with pytest.raises(DamagedError, match="were told"):
        replay([*ENTRIES[:-1], bytes_of(told)])
    where = st.tuples(st.integers(0, 99), st.booleans(), st.integers(0, 2**32), st.integers(1, 9), EDITS)
    fuzz(where, check, examples=120)


def test_snapshots_in_journals(fuzz: Fuzz) -> None:
    """A snapshot of a journal with any value at any place is left out with a sentence, or a router."""
    plan = encode(Record(0, commands.ChangePlan(RICH)))
    good = bytes_of(Kept(this_writer(), 3, SNAPSHOT, plan, [("k", 1, 2, b"x")]))

    def restore(data: bytes) -> list[Any]:
        store = MemoryStore()
        epoch = store.acquire().epoch
        store.append(epoch, 1, [sealed(1, ENTRIES[0])], None).result()
        store.keep(epoch, 1, lambda: sealed(1, data)).result()
        return list(bases(store, Held(epoch=epoch, head=1, first=1)))

    def check(drawn: tuple[list[tuple[int, Any]], int]) -> None:
        edits, seed = drawn
        data = mutated(good, seed, 2) if seed % 3 == 0 else edited(good, edits)
        assert kept(lambda: restore(data), allowed=(DamagedError,)) is not None

    assert isinstance(restore(good)[0], Replay)
    fuzz(st.tuples(EDITS, st.integers(0, 2**32)), check, examples=100)
