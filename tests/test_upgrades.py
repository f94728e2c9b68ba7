"""A snapshot outlives the release that wrote it: every format is read, field by field, by every release that follows.

Who gives ``snapshot.FORMAT`` or the core's layout another number writes the step in ``omniroute/upgrades.py``, and the
layout in ``omniroute/core/dumped.py``; then ``python tests/make_golden.py`` makes the golden snapshot of the new one.
These tests are red until both are there.
"""

from __future__ import annotations

import hashlib
import json
import random
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from cores import CORES, using
from make_golden import facts, rich, world
from play import OTHER, PLAN, command, fixed_moves, instant

from omniroute import Router, commands
from omniroute.core import dumped, reference
from omniroute.core.reference import audit
from omniroute.errors import DamagedError, InputError
from omniroute.journal import Journaled, MemoryStore
from omniroute.snapshot import FORMAT, SEMANTICS
from omniroute.upgrades import OLDEST, STEPS, core_of, upgraded, with_core

GOLDEN = Path(__file__).parent / "golden"


def golden(number: int) -> bytes:
    """The snapshot of a format."""
    return (GOLDEN / f"snapshot_format_{number}.bin").read_bytes()


def changed(data: bytes, change: Callable[[list[Any]], list[Any]]) -> bytes:
    """A snapshot with other fields, and a checksum that fits."""
    body = msgspec.msgpack.encode(change(msgspec.msgpack.decode(data[16:])))
    return hashlib.blake2b(body, digest_size=16).digest() + body


def test_every_format_has_a_step_and_a_golden_snapshot() -> None:
    """Each number from the oldest on has its file and, but for the last, its step; the core's layout has its names."""
    made = {int(path.stem.rpartition("_")[2]) for path in GOLDEN.glob("snapshot_format_*.bin")}
    assert made == set(range(OLDEST, FORMAT + 1)), "run: python tests/make_golden.py"
    assert set(STEPS) == set(range(OLDEST, FORMAT)), "write the step in omniroute/upgrades.py"
    assert audit.FORMAT in dumped.LAYOUTS, "write the layout in omniroute/core/dumped.py"


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("number", range(OLDEST, FORMAT + 1))
def test_a_golden_snapshot_is_read(number: int, core: str) -> None:
    """A host sees what it saw then, invariants hold, and the router goes on.

    Seen to fail: two fields of a snapshot changed places without another number.
    """
    known = json.loads((GOLDEN / f"snapshot_format_{number}.json").read_text())
    semantics, digest = known.pop("semantics"), known.pop("digest")
    with using(core):
        router = Router.restore(golden(number))
    assert facts(router) == known
    router.check()
    if (number, semantics) == (FORMAT, SEMANTICS):
        assert router.digest() == digest
    texts = rich(PLAN).to_toml(), rich(OTHER).to_toml()
    for kind, a, b, gap in fixed_moves(60):
        now = instant(router, gap)
        router.apply(now, command(router, kind, a, b, texts, now))
    router.check()


def test_what_format_11_did_not_know() -> None:
    """No group has a cap, nobody has had a break, and no queue has said when it closes.

    Seen to fail: caps of a thousandth, with which everybody rests after the first interaction.
    """
    with using("reference"):
        router = Router.restore(golden(11))
    core: Any = router._core
    assert {group.busiest for group in core.tables.groups} == {1_000}
    assert {(agent.past.rested, agent.past.away, agent.past.own.value) for agent in core.agents} == {(0, 0, 0)}
    assert router._ledger.closes == {}


def test_what_format_12_did_not_know() -> None:
    """Handle times of queues are those of then; of pairs none is known, and what is in hand counts for its queue only.

    Seen to fail: counts of buckets read as buckets in use with their counts; what is in hand counted for class 0.
    """
    before = msgspec.msgpack.decode(golden(12)[16:])[37]
    estimates = Router.restore(golden(12))._ledger.estimates
    assert estimates is not None
    assert {q: (times.total, list(times._counts)) for q, times in estimates.handled.items()} == {
        q: (sum(row[2:]), row[2:]) for q, row in before[0]
    }
    assert len(estimates.handled) == 2
    assert len(estimates.pairs) == 0
    assert {i: row[:2] for i, row in estimates.in_hand.items()} == {i: tuple(row) for i, *row in before[2]}
    assert {row[2:] for row in estimates.in_hand.values()} == {(-1, -1)}


@pytest.mark.parametrize(
    "change",
    [
        lambda pairs: [*pairs, pairs[0]],
        lambda pairs: [[10_000, *pairs[0][1:]]],
        lambda pairs: [[pairs[0][0], 10_000, pairs[0][2]]],
        lambda pairs: [[-1, *pairs[0][1:]]],
        lambda pairs: [[*pairs[0][:2], [4096, 0]], [0, 0, [4096]]],
    ],
    ids=["twice", "no class", "no group", "class -1", "no handle times"],
)
def test_pairs_that_cannot_be_are_refused(change: Callable[[list[Any]], list[Any]]) -> None:
    """Handle times of pairs are those of classes and groups that there are, each once.

    Seen to fail: a group that is not there was found when the next interval was over.
    """

    def with_pairs(record: list[Any]) -> list[Any]:
        *estimates, pairs = record[37]
        assert pairs
        return [*record[:37], [*estimates, change(pairs)], *record[38:]]

    with pytest.raises(InputError, match="does not fit together"):
        Router.restore(changed(golden(FORMAT), with_pairs))


def test_a_layout_has_one_number() -> None:
    """What is read is written again as the same bytes, so a field that is new, or has gone, needs another number.

    Seen to fail: a field with a default was appended, the old bytes were read, and a release before could not read the
    new ones.
    """
    again = Router.restore(golden(FORMAT)).snapshot()
    assert changed(again, lambda record: [FORMAT, 0, *record[2:]]) == changed(
        golden(FORMAT), lambda record: [FORMAT, 0, *record[2:]]
    )


def test_every_integer_of_a_core_has_a_name() -> None:
    """The rows of a dump are the dump, in every state of a play. Seen to fail: the layout left out an agent's rest."""
    for moves in range(0, 200, 11):
        router = world(moves)
        numbers = router._core.dump()
        rows = dumped.split(numbers)
        assert dumped.joined(rows) == numbers
        assert dumped.joined(json.loads(json.dumps(rows))) == numbers


def test_names_of_the_core_are_those_of_its_fields() -> None:
    """A row has under each name what the core itself says of it. Seen to fail: two names stood in the other's place."""
    with using("reference"):
        router = world(160)
    core: Any = router._core
    rows: Any = dumped.split(core.dump())
    assert isinstance(core, reference.Core)
    for row, agent in zip(rows["agents"], core.agents, strict=True):
        pairs = (("group", "home"), ("obligation", "until"), *((name, name) for name in ("order", "presence", "used")))
        more = ("idle_since", "stamp", "handled", "offered", "rest", "burst_from", "burst_count", "misses", "counts")
        for name, field in (*pairs, *((name, name) for name in more)):
            assert row[name] == getattr(agent, field), name
        for name in ("ready", "accepted", "talked", "released", "busy", "spent", "spent_at", "rested", "away"):
            assert row[name] == getattr(agent.past, name), name
        assert row["own"] == [{"value": agent.past.own.value, "at": agent.past.own.at}]
    assert [row["busiest"] for row in rows["groups"]] == [group.busiest for group in core.tables.groups]
    for row, queue in zip(rows["queues"], core.tables.queues, strict=True):
        assert all(row[name] == getattr(queue, name) for name in row if name != "rona")
    for row, class_ in zip(rows["classes"], core.tables.classes, strict=True):
        assert all(row[name] == getattr(class_, name) for name in row if name not in ("pairs", "program"))
        for cell, pair in zip(row["pairs"], class_.pairs, strict=True):
            assert cell == {name: getattr(pair, name) for name in cell}
    for row, interaction in zip(rows["interactions"], core.interactions, strict=True):
        assert (row is None) == (interaction is None)
        for name in row or ():
            if name not in ("entries", "ties"):
                assert row[name] == getattr(interaction, name), name
    for row, offer in zip(rows["offers"], core.offers, strict=True):
        assert row is None or row == {name: getattr(offer, name) for name in row}


def test_integers_that_are_no_dump_are_refused() -> None:
    """Whatever is read as rows gives the same integers again; everything else raises InputError."""
    dice, whole = random.Random(5), world(60)._core.dump()
    for _ in range(300):
        numbers = whole[:]
        for _ in range(dice.randrange(1, 4)):
            numbers[dice.randrange(len(numbers))] = dice.choice([-1, 0, 1, 7, 2**20])
        numbers = numbers[: dice.randrange(len(numbers))] if dice.random() < 0.3 else numbers
        try:
            rows = dumped.split(numbers)
        except InputError:
            continue
        assert dumped.joined(rows) == numbers
    for rows in (
        {"format": 7},
        {"format": 6},
        {**dumped.split(whole), "ladders": []},
        {**dumped.split(whole), "seq": ""},
    ):
        with pytest.raises(InputError):
            dumped.joined(rows)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no list of integers"):
        core_of([11, 4, 0, 0, b"123"])


def test_steps_follow_one_another() -> None:
    """From one format to the next until the one that is wanted; a step that is missing or leaps is refused."""
    steps = {3: lambda old: [4, *old[1:], "c"], 4: lambda old: [5, *old[1:], "d"]}
    assert upgraded([3, "a"], 5, steps) == [5, "a", "c", "d"]
    assert upgraded([5, "a"], 5, steps) == [5, "a"]
    with pytest.raises(InputError, match="no way from format 2 to format 5"):
        upgraded([2], 5, steps)
    with pytest.raises(InputError, match="from format 4 gives format 6"):
        upgraded([4], 6, {4: lambda old: [6, *old[1:]]})


def test_a_step_changes_the_core_by_name() -> None:
    """What a step writes into named rows is what the router then is, and everything else is as it was."""

    def more(record: list[Any]) -> list[Any]:
        rows: Any = core_of(record)
        for agent in rows["agents"]:
            agent["handled"] += 1_000
        return with_core([FORMAT + 1, *record[1:]], rows)

    before = Router.restore(golden(FORMAT))
    with patch.dict("omniroute.upgrades.STEPS", {FORMAT: more}), patch("omniroute.snapshot.FORMAT", FORMAT + 1):
        router = Router.restore(golden(FORMAT))
    assert router.agent("ana").handled == before.agent("ana").handled + 1_000
    assert facts(router) == facts(before)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ([FORMAT + 1, SEMANTICS], "a later release wrote it"),
        ([FORMAT, SEMANTICS + 1], "a later release wrote it"),
        ([OLDEST - 1, SEMANTICS], f"the oldest that can be read is {OLDEST}"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_number(head: list[int], why: str) -> None:
    """A snapshot of a later release, or of one before all that are known, is refused and says which it is."""
    with pytest.raises(InputError, match=f"has format {head[0]} and semantics {head[1]}, here are .*: a later|{why}"):
        Router.restore(changed(golden(FORMAT), lambda record: [*head, *record[2:]]))


def test_a_state_of_older_semantics_is_a_state() -> None:
    """What commands do from now on does not change what lives: the snapshot is read as it is."""
    older = Router.restore(changed(golden(FORMAT), lambda record: [FORMAT, SEMANTICS - 1, *record[2:]]))
    assert facts(older) == facts(Router.restore(golden(FORMAT)))


def test_a_compacted_journal_goes_on_under_other_semantics() -> None:
    """Where nothing is behind its snapshot, a journal of another release opens; else it is replayed and compared.

    Seen to fail: with the snapshot of older semantics refused, it said that there was nothing to begin with.
    """
    store = MemoryStore()
    with (
        patch("omniroute.snapshot.SEMANTICS", SEMANTICS - 1),
        patch("omniroute.journal.entry.SEMANTICS", SEMANTICS - 1),
    ):
        journaled = Journaled(store, PLAN)
        journaled.apply(0, commands.SignIn("ana"))
        journaled.apply(5, commands.Enqueue("c1", "sales"))
        journaled.compact()
        journaled.close()
    with Journaled(store, PLAN) as journaled:
        assert journaled.notes == ()
        assert journaled.router.interaction("c1").state == "offered"
        journaled.apply(9, commands.Enqueue("c2", "sales"))


def test_a_record_that_another_release_decided_otherwise_says_how_to_go_on() -> None:
    """The message names the record, both releases, and what the older one has to do first."""
    store = MemoryStore()
    with patch("omniroute.journal.entry.SEMANTICS", SEMANTICS - 1):
        journaled = Journaled(store, PLAN)
        journaled.apply(0, commands.SignIn("ana"))
        with patch("omniroute.journal.journaled.digest_of", lambda events: 17):
            journaled.apply(5, commands.Enqueue("c1", "sales"))
        journaled.close()
    with pytest.raises(DamagedError, match=rf"semantics {SEMANTICS - 1}.*where that release compacts it") as caught:
        Journaled(store, PLAN)
    assert caught.value.sequence == 4


def test_integers_of_another_layout_name_it() -> None:
    """The core's own layout has its own number, and one that is not known is refused with those that are."""
    with pytest.raises(InputError, match="has layout 3, known are 7, 8"):
        dumped.split(array("q", [3, 0]))
