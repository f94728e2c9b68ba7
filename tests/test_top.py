"""Looking on at a service: observers of a router that runs, its board as a file, and ``omniroute top``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
from test_cli import Ran, run  # noqa: F401 - run is a fixture
from test_live import PLAN, Held, clock, opened
from test_live import run as run_made_up

from omniroute import Agent, Plan, Queue, Router, Target, commands, events
from omniroute.cli.exits import FINDING, INPUT, OK
from omniroute.cli.top import page
from omniroute.errors import FencedError, InputError, JournalError
from omniroute.insight.tally import Tally
from omniroute.insight.top import table, text, top
from omniroute.insight.wallboard import BYTES_MAX, decode, encode, wallboard
from omniroute.journal import Journaled, MemoryStore, SqliteStore
from omniroute.live import ThreadRouter, board_of, publish, publishing, watch
from omniroute.live.publish import write

Run = Callable[..., Ran]


def busy(now: int = 1_700_000_000_000) -> tuple[Router, Tally]:
    """A router with a name that is long, one that hides, a closed queue, and something in each column."""
    queues = [
        Queue("sales", target=Target("20s", 0.8), offer_timeout_ms=None),
        Queue("customers who speak spanish and wait for a contract", offer_timeout_ms=None),
        Queue("night"),
    ]
    router = Router(Plan(queues=queues, agents=[Agent("ana"), Agent("ben"), Agent("cy")]))
    tally = Tally()
    tally.follow(router)
    tally.feed(router.sign_in_many(now, ["ana", "ben"]))
    for number in range(3):
        tally.feed(found := router.enqueue(now + number, f"call-{number}", "sales"))
        for event in found:
            if isinstance(event, events.Offered) and number == 0:
                tally.feed(router.accept(now + 5_000, event.offer))
                now += 5_000
    tally.feed(router.enqueue(now + 10, "mail-1", queues[1].name))
    tally.feed(router.leave(now + 60_000, "call-2"))
    tally.feed(router.close_queue(now + 60_000, "night"))
    tally.feed(router.set_presence(now + 125_000, "ana", "not_ready", "lunch"))
    return router, tally


# -- observers of a service


def test_observers_hear_every_event_and_fail_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A tally that watches counts what the router did; one observer that raises is logged, and told the next events."""

    class Broken:
        heard = 0

        def feed(self, told: Iterable[events.Event]) -> None:
            self.heard += 1
            raise ValueError("no")

    async def main() -> None:
        tally, broken = Tally(), Broken()
        async with await opened() as router:
            looking = asyncio.create_task(watch(router, broken, tally))
            await asyncio.sleep(0)
            await router.sign_in("ana")
            (_, offered) = await router.enqueue("call-1", "sales")
            await router.accept(offered.offer)  # type: ignore[union-attr]
            await router.finish("call-1", 0)
            await asyncio.sleep(1)
        await looking
        assert tally.counters()["interactions.left", "sales", "served"] == 1
        assert tally.counters()["events", "Released"] == 1
        assert broken.heard > 1

    run_made_up(main())
    assert "an observer failed" in caplog.text


def test_observers_that_fall_behind_begin_again() -> None:
    """More events at once than may wait: those are counted as missed, and what lives is known again.

    Seen to fail: the gap not counted; the queue of those who came in the gap unknown.
    """

    async def main() -> None:
        tally = Tally()
        async with await opened(backlog=3) as router:
            looking = asyncio.create_task(watch(router, tally))
            await asyncio.sleep(0)
            await router.enqueue_many([commands.Enqueue(f"c{number}", "sales") for number in range(9)])
            await asyncio.sleep(1)
            for number in range(8):
                await router.leave(f"c{number}")
            await asyncio.sleep(1)
            await router.sign_in("ana")
            await asyncio.sleep(1)
        await looking
        counters = tally.counters()
        assert counters["events.missed",] + counters["interactions.entered", "sales", "queued"] == 9
        assert counters["events.missed",] > 0
        assert counters["interactions.left", "sales", "abandoned"] == 8
        assert counters["offers", "sales"] == 1

    run_made_up(main())


def test_observers_hear_once_what_came_of_a_failed_write() -> None:
    """A journal that fails and is read again: what did happen is counted, once, and what did not is not."""

    async def main() -> None:
        store, tally = Held(), Tally()
        async with await opened(store) as router:
            looking = asyncio.create_task(watch(router, tally))
            await asyncio.sleep(0)
            await router.sign_in("ana")
            store.failing = True
            with pytest.raises(JournalError, match="no space"):
                await router.enqueue("call-1", "sales")
            store.failing = False
            await router.enqueue("call-2", "sales")
            await asyncio.sleep(0)
        await looking
        counters = tally.counters()
        assert counters["interactions.entered", "sales", "queued"] == counters["offers", "sales"] == 1
        assert counters["events.missed",] == 0

    run_made_up(main())


def test_after_a_restart_counters_begin_and_gauges_are_right() -> None:
    """What a journal brings back is on the board and in no counter; a wait that began before ends as one."""
    store = MemoryStore()
    with Journaled(store, PLAN) as journaled:
        journaled.apply(0, commands.SignIn("ana"))
        told = journaled.apply(1_000, commands.Enqueue("call-1", "sales"))
        journaled.apply(1_500, commands.Enqueue("call-2", "sales"))
    offer = next(event.offer for event in told if isinstance(event, events.Offered))
    with Journaled(store, PLAN) as again:
        tally = Tally()
        tally.follow(again.router)
        assert not any(tally.counters().values())
        assert board_of(again)().queues[0].waiting == {"voice": 2}
        tally.feed(again.apply(9_000, commands.Accept(offer)))
        tally.feed(again.apply(9_500, commands.Leave("call-2")))
    counters, waits = tally.counters(), tally.histograms()
    assert counters["interactions.left", "sales", "served"] == counters["offers.ended", "sales", "accepted"] == 1
    assert (waits["wait", "sales", "served"].sum_ms, waits["wait", "sales", "abandoned"].sum_ms) == (8_000, 8_000)
    assert ("answer", "sales") not in waits


def test_observers_end_with_their_router() -> None:
    """Watching ends quietly when the router is closed, and with the reason when somebody else holds the journal."""

    async def main() -> None:
        store = MemoryStore()
        router = await opened(store)
        looking = asyncio.create_task(watch(router, Tally()))
        await asyncio.sleep(0)
        other = Journaled(store, PLAN)
        with pytest.raises(FencedError):
            await router.sign_in("ana")
        with pytest.raises(FencedError):
            await looking
        other.close()
        await router.aclose()
        behind = await opened(backlog=1)
        looking = asyncio.create_task(watch(behind, Tally()))
        await asyncio.sleep(0)
        behind._publish([events.AgentUpdated(number, 0, "ana") for number in range(1, 5)])
        await behind.aclose()
        await looking

    run_made_up(main())


def test_a_changed_plan_changes_what_is_in_time() -> None:
    """Targets are those of the plan that holds: observers are shown the router again when it changes."""

    async def main() -> None:
        tally = Tally()
        async with await opened() as router:
            looking = asyncio.create_task(watch(router, tally))
            await asyncio.sleep(0)
            assert tally.within_ms("sales") == 20_000
            queue = attrs.evolve(PLAN.queues[0], target=Target("7s", 0.9))
            await router.change_plan(attrs.evolve(PLAN, queues=[queue]))
            await asyncio.sleep(1)
            assert tally.within_ms("sales") == 7_000
            looking.cancel()

    run_made_up(main())


def test_a_board_may_be_read_from_another_thread() -> None:
    """What reads the board of a router on a loop asks that loop, and is refused when there is none any more."""

    async def main() -> Callable[[], Any]:
        async with await opened() as router:
            await router.sign_in("ana")
            board = board_of(router, clock=lambda: 70_000)
            assert board() == await asyncio.to_thread(board)
            assert (board().now, board().agents["idle"]) == (70_000, 1)
            return board

    board = run_made_up(main())
    with pytest.raises(JournalError):
        board()


@pytest.mark.parametrize("kind", ["router", "journaled", "threads"])
def test_every_router_has_a_board(kind: str) -> None:
    """The board of a router is the same, whoever holds it."""
    told: list[events.Event] = []
    if kind == "threads":
        with ThreadRouter(MemoryStore(), PLAN, listen=told.extend, clock=lambda: 5_000) as router:
            router.sign_in("ana")
            found = board_of(router)()
    elif kind == "journaled":
        with Journaled(MemoryStore(), PLAN) as journaled:
            journaled.apply(5_000, commands.SignIn("ana"))
            found = board_of(journaled)()
    else:
        plain = Router(PLAN)
        plain.sign_in(5_000, "ana")
        found = board_of(plain)()
    assert (found.now, found.agents["idle"], found.agents["signed_out"]) == (5_000, 1, 1)


# -- the file


def test_a_board_is_written_again_and_again(tmp_path: Path) -> None:
    """What is in the file is the board of the last second, whole, for its owner only; nothing else is left behind."""
    path = tmp_path / "service.board"

    async def main() -> None:
        tally = Tally()
        async with await opened() as router:
            looking = asyncio.create_task(publish(router, path, tally, clock=clock))
            while not path.exists():
                await asyncio.sleep(0)  # time stands still
            assert decode(path.read_bytes()).board.queues[0].waiting == {}
            await router.enqueue("call-1", "sales")
            await asyncio.sleep(1.5)
            while not (found := decode(path.read_bytes()).board.queues[0]).waiting:
                await asyncio.sleep(0)
            looking.cancel()
        assert (found.waiting, found.longest_wait_ms) == ({"voice": 1}, 1_000)

    run_made_up(main())
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_threads_publish_too_and_a_full_disk_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A board of a router for threads is written at once; where it cannot be, that is logged and the router goes on."""
    with ThreadRouter(MemoryStore(), PLAN, listen=lambda _: None) as router:
        router.enqueue("call-1", "sales")
        with publishing(router, tmp_path / "a.board"):
            pass
        assert decode((tmp_path / "a.board").read_bytes()).board.queues[0].waiting == {"voice": 1}
        with publishing(router, tmp_path / "nowhere" / "a.board"):
            router.enqueue("call-2", "sales")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] != []


def test_a_failed_write_leaves_the_old_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board is replaced whole or not at all, and what was begun is taken away."""
    path = tmp_path / "a.board"
    write(path, b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_board_is_hostile_until_read() -> None:
    """A board comes back as it was; what is none, too large, or of a later release, is refused by name."""
    router, tally = busy()
    found = wallboard(router.board(), tally)
    assert decode(encode(found)) == found
    broken = [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        encode(found)[:-5],
        b"[" * 100_000,
        encode(found).replace(b"busy", b"\xc3\x28"),
    ]
    for data in broken:
        with pytest.raises(InputError, match=r"x\.board: is no board"):
            decode(data, source="x.board")
    with pytest.raises(InputError, match="has format 2"):
        decode(encode(found).replace(b'"format":1', b'"format":2'))
    with pytest.raises(InputError, match="more than"):
        decode(b" " * (BYTES_MAX + 1))


def test_a_board_names_nobody() -> None:
    """Neither agents nor customers nor what was said of a presence are in a board or in what is shown of it."""
    router, tally = busy()
    found = wallboard(router.board(), tally)
    for said in (encode(found).decode(), text(found)):
        assert not any(name in said for name in ("ana", "ben", "cy", "call-", "mail-1", "lunch"))


# -- what is shown


def test_what_top_shows() -> None:
    """In eighty columns: queues with waits and the last half hour, agents by what they do, and what the words mean."""
    router, tally = busy()
    now = router.now
    assert top(router, tally, now=now).splitlines() == [
        "  queue             waiting  longest  SL1 %  served  abandoned  idle  busy  away",
        "  sales                   1     2:04   50.0       1          1     0     1     1",
        "  customers who s…        1     2:04      -       -          -     0     1     1",
        "  night (closed)          0        -      -       -          -     0     1     1",
        "",
        "  agents        0 idle, 1 busy, 1 not ready, 1 signed out",
        "  units in use  2 of 2",
        "  interactions  1 waiting, 1 offered, 1 connected",
        "  live offers   1",
        "",
        "  SL1, served, abandoned: of the last 30m. SL1: served within 20s, % of all who",
        "  left the queue. Away: resting, not ready or draining.",
    ]
    for width in (80, 120, 70):
        assert max(map(len, text(wallboard(router.board(now), tally), width=width).splitlines())) <= width


def test_the_longest_waits_are_shown_where_not_all_fit() -> None:
    """On a low screen those queues are left out where people wait least, and it says so."""
    plan = Plan(queues=[Queue(f"q{number}") for number in range(30)])
    router = Router(plan)
    for number in range(30):
        router.enqueue(number * 1_000, f"c{number}", f"q{(number * 7) % 30}")
    found = table(wallboard(router.board()), rows=3)
    assert [row[0] for row in found.rows] == ["q0", "q7", "q14"]
    assert found.title == "3 of 30 queues, the longest waits first"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 18), (40, 18), (200, 60)])
def test_a_page_fits_its_screen(width: int, height: int) -> None:
    """What is drawn on a terminal is no wider and no higher than it, whatever queues are called, and cuts no figure."""
    console = pytest.importorskip("rich.console", reason="needs the extra cli")
    plan = Plan(queues=[Queue(f"queue number {number} [bold]of[/bold] many") for number in range(40)])
    router = Router(plan)
    for number in range(40):
        router.enqueue(number, f"c{number}", plan.queues[number].name)
    router.advance(3_723_000)
    with (Path(os.devnull)).open("w") as nowhere:
        drawing = console.Console(record=True, width=width, height=height, file=nowhere, color_system=None)
        drawing.print(page(wallboard(router.board()), width, height, "/a/path/that/is/long/" * 9))
        lines = drawing.export_text().rstrip("\n").splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert any("1:02:03" in line for line in lines)
    assert width < 200 or any("queue number 7 [bold]of[/bold] many" in line for line in lines)
    assert all("…" not in line.split("  ", 2)[-1].partition("…")[2] for line in lines)


def test_top_once(run: Run, tmp_path: Path) -> None:  # noqa: F811
    """A board is printed once where stdout is no terminal, or as one JSON document; one that is old is a finding."""
    router, tally = busy()
    path = tmp_path / "service.board"
    write(path, encode(wallboard(router.board(), tally)))
    for arguments in (["--once"], []):
        ran = run("top", path, *arguments)
        assert (ran.code, ran.err) == (OK, "")
        assert ran.out.splitlines() == top(router, tally).splitlines()
    document = run("top", path, "--json").document
    assert document["board"]["live_offers"] == 1
    os.utime(path, (1, 1))
    ran = run("top", path)
    assert ran.code == FINDING
    assert "may have stopped" in ran.out
    assert run("top", path, "--json").code == FINDING


def test_top_of_what_is_no_board(run: Run, tmp_path: Path) -> None:  # noqa: F811
    """What is missing, a folder, or no board, is said by name."""
    for path, what in ((tmp_path / "none", "No such file"), (tmp_path, "is a folder"), (Path(__file__), "is no board")):
        ran = run("top", path)
        assert ran.code == INPUT
        assert what in ran.err
        assert str(path) in ran.err


def test_top_of_a_journal(run: Run, tmp_path: Path) -> None:  # noqa: F811
    """How a journal was left is shown, without changing it; one that a process holds cannot be read, and what to do.

    Its writer holds the lock of the file for as long as it is open, so that nobody else can look at what is in its log.
    """
    path = tmp_path / "centre.journal"
    with Journaled(SqliteStore(path, durability="os"), PLAN) as journaled:
        journaled.apply(0, commands.SignIn("ana"))
        journaled.apply(1_000, commands.Enqueue("call-1", "sales"))
        ran = run("top", path)
        assert ran.code == INPUT
        assert "is open in a process" in ran.err
        assert "omniroute.live.publish" in ran.err
    before = path.read_bytes()
    ran = run("top", path)
    assert ran.code == OK
    assert "1 offered" in ran.out
    assert "As the journal was left, by its last command at 1000 ms." in ran.out
    assert path.read_bytes() == before
    assert run("top", path, "--json").document["age_s"] is None


def on_a_terminal(*arguments: str, term: str) -> tuple[bytes, int]:
    """What a command writes to a terminal until it ends, or has drawn something and is interrupted; its exit code."""
    here, there = pytest.importorskip("pty", reason="terminals of Unix").openpty()
    env = {**os.environ, "TERM": term, "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "omniroute", "top", *arguments]

    def interruptible() -> None:
        """A suite that runs in the background is not, and what it starts would not be either."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command,
        stdout=there,
        stderr=there,
        stdin=there,
        env=env,
        preexec_fn=interruptible,
    ) as process:
        os.close(there)
        said, waiting = b"", True
        while True:
            try:
                more = os.read(here, 65_536)
            except OSError:
                break
            said += more
            if not more:
                break
            if waiting and b"live offers" in said and b"\x1b[" in said:
                process.send_signal(signal.SIGINT)
                waiting = False
        code = process.wait()
    os.close(here)
    return said, code


def test_top_redraws_a_terminal_until_interrupted(tmp_path: Path) -> None:
    """On a terminal the board is drawn over the screen, which is given back; on a dumb one it is printed once."""
    pytest.importorskip("rich", reason="needs the extra cli")
    router, tally = busy()
    path = tmp_path / "service.board"
    write(path, encode(wallboard(router.board(), tally)))
    said, code = on_a_terminal(str(path), term="xterm-256color")
    assert code == 130
    assert said.index(b"\x1b[?1049h") < said.index(b"sales") < said.index(b"\x1b[?1049l")
    write(path, path.read_bytes())  # anew
    said, code = on_a_terminal(str(path), term="dumb")
    assert code == OK, said
    assert b"\x1b" not in said
    assert json.loads(encode(decode(path.read_bytes())))["board"]["units"] == 2
