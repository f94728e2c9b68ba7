"""The examples of the documentation as their users run them: processes on loopback, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from omniroute.errors import WORDS
from omniroute.journal import Journaled, SqliteStore
from omniroute.plan import Plan, Queue

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"
PATIENCE_S = 60
"""A machine may be slow; what takes longer has failed."""


class Service:
    """An example as a process of its own."""

    def __init__(self, name: str, *given: object) -> None:
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(EXAMPLES / name), *map(str, given), "0"]
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=EXAMPLES
        )
        self.watchdog = threading.Timer(PATIENCE_S, self.process.kill)
        self.watchdog.start()
        self.said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if "listening on" in line or "running on" in line:
                self.port = int(line.split(" (")[0].rsplit(":", 1)[-1].split()[-1])
                return
        raise AssertionError("".join(self.said))

    def end(self, number: int) -> int:
        """Send a signal and wait; how it ended. What it has said meanwhile goes into ``said``."""
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        self.watchdog.cancel()
        self.said.append(said)
        return self.process.returncode

    def http(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """A request with JSON, or with bytes as they are; its status and what was answered."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")


def told(word: str) -> dict[str, str]:
    """What a service answers where something did not go: a word, and the sentence that omniroute has for it."""
    return {"error": word, "message": WORDS.get(word, "")}


@contextmanager
def running(name: str, *given: object) -> Iterator[Service]:
    """A service that is killed, as by a loss of power, when the block ends."""
    service = Service(name, *given)
    try:
        yield service
    finally:
        if service.process.returncode is None:
            service.end(signal.SIGKILL)


def closed_well(path: Path) -> bool:
    """Whether a journal was closed by its owner, so that nothing is found and mended when it is opened."""
    ended = not Path(f"{path}-wal").exists()
    with Journaled(SqliteStore(path), Plan(queues=[Queue("any")])) as journaled:
        journaled.router.check()
        return ended and journaled.notes == ()


# Chats over HTTP and WebSockets ---------------------------------------------------------------------------------------


class Desk:
    """An agent at a WebSocket."""

    def __init__(self, stack: ExitStack, service: Service, agent: str) -> None:
        from websockets.sync.client import connect

        self.socket = stack.enter_context(connect(f"ws://127.0.0.1:{service.port}/agents/{agent}"))
        self.state = self.heard("State")

    def say(self, **what: object) -> None:
        """Send a message."""
        self.socket.send(json.dumps(what))

    def heard(self, name: str) -> dict[str, Any]:
        """The next event of this name, or the next answer to a message that has this key."""
        while True:
            found: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE_S))
            if found.get("event") == name or name in found:
                return found

    def ended(self) -> int:
        """The code with which the service closes the connection; what comes before is passed over."""
        from websockets.exceptions import ConnectionClosed

        with pytest.raises(ConnectionClosed) as caught:
            self.heard("the end")
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code


@pytest.fixture
def desks() -> Iterator[ExitStack]:
    """Agents at WebSockets, who go when the test ends."""
    for module in ("fastapi", "uvicorn", "websockets"):
        pytest.importorskip(module, reason="needs the extra examples")
    with ExitStack() as stack:
        yield stack


def test_chats_live_through_kills(tmp_path: Path, desks: ExitStack) -> None:
    """Killed while a chat is on offer and again while it is answered: it waits still, is in the same hands still.

    After the first kill nobody is ready, because nobody is connected. Planted: the presence of the journal is believed.
    """
    journal = tmp_path / "chats.journal"
    with running("chat_service.py", journal) as service:
        assert service.http("POST", "/chats", {"chat": "c1", "queue": "sales"}) == (202, {"chat": "c1"})
        ana = Desk(desks, service, "ana")
        ana.say(do="ready")
        assert ana.heard("Offered")["interaction"] == "c1"
    with running("chat_service.py", journal) as service:
        assert service.http("GET", "/chats/c1") == (200, {"state": "waiting", "agent": None, "position": 1})
        ana = Desk(desks, service, "ana")
        assert ana.state == {"event": "State", "presence": "not_ready", "chats": {}, "offers": {}}
        ana.say(do="ready")
        ana.say(do="accept", offer=ana.heard("Offered")["offer"])
        assert ana.heard("Connected")["interaction"] == "c1"
    with running("chat_service.py", journal) as service:
        ana = Desk(desks, service, "ana")
        assert ana.state["chats"] == {"c1": "connected"}
        ana.say(do="finish", chat="c1")
        assert ana.heard("Finished")["interaction"] == "c1"
        assert service.http("POST", "/chats", {"chat": "c1", "queue": "sales"})[1] == told("duplicate_interaction")


def test_an_agent_who_vanishes_in_the_middle_of_an_offer(tmp_path: Path, desks: ExitStack) -> None:
    """The offer goes to the next agent at once, his conversation stays his, and is there when he comes back.

    Planted: nothing is done when a connection is lost, and the offer stands until it expires.
    """
    with running("chat_service.py", tmp_path / "chats.journal") as service:
        ana = Desk(desks, service, "ana")
        ana.say(do="ready")
        service.http("POST", "/chats", {"chat": "c1", "queue": "sales"})
        ana.say(do="accept", offer=ana.heard("Offered")["offer"])
        ana.heard("Connected")
        service.http("POST", "/chats", {"chat": "c2", "queue": "sales"})
        offered = ana.heard("Offered")
        ben = Desk(desks, service, "ben")
        ben.say(do="ready")
        ben.heard("done")
        ana.socket.socket.shutdown(socket.SHUT_RDWR)
        found = ben.heard("Offered")
        assert found["interaction"] == "c2"
        assert found["at"] < offered["due"]
        ana = Desk(desks, service, "ana")
        assert (ana.state["presence"], ana.state["chats"], ana.state["offers"]) == (
            "not_ready",
            {"c1": "connected"},
            {},
        )
        assert service.http("DELETE", "/chats/c1") == (200, None)
        assert ana.heard("Finished")["interaction"] == "c1"


def test_the_last_connection_of_an_agent_holds(tmp_path: Path, desks: ExitStack) -> None:
    """Another window closes the first one, shows the offer that lives, and leaves him ready.

    Planted: the first connection, when it ends, takes him for gone.
    """
    with running("chat_service.py", tmp_path / "chats.journal") as service:
        first = Desk(desks, service, "ana")
        first.say(do="ready")
        service.http("POST", "/chats", {"chat": "c1", "queue": "sales"})
        offer = first.heard("Offered")["offer"]
        second = Desk(desks, service, "ana")
        assert first.ended() == 1012
        assert second.state["offers"] == {str(offer): "c1"}
        second.say(do="accept", offer=offer)
        assert second.heard("Connected")["interaction"] == "c1"
        assert second.state["presence"] == "ready"


def test_a_chat_service_ends_in_order(tmp_path: Path, desks: ExitStack) -> None:
    """Asked to end it closes its connections, tells its journal that nobody is there, and closes it."""
    journal = tmp_path / "chats.journal"
    with running("chat_service.py", journal) as service:
        ana = Desk(desks, service, "ana")
        ana.say(do="ready")
        ana.heard("done")
        service.process.send_signal(signal.SIGTERM)
        assert ana.ended() == 1012
        assert service.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        assert "Traceback" not in "".join(service.said)
    assert closed_well(journal)


HOSTILE = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 4_000,
    b'{"chat": "c2", "queue": "sales", "priority": 9}',
    b'{"chat": "c2\\n", "queue": "sales"}',
    b'{"chat": "' + b"c" * 65 + b'", "queue": "sales"}',
    b'{"chat": 7, "queue": "sales"}',
    b'{"chat": "c2", "queue": null}',
]


def test_customers_may_send_anything(tmp_path: Path, desks: ExitStack) -> None:
    """What is not understood is refused with a word out of a list, and nothing of an error is told."""
    with running("chat_service.py", tmp_path / "chats.journal") as service:
        for body in HOSTILE:
            assert service.http("POST", "/chats", body) == (422, told("not_understood")), body
        assert service.http("POST", "/chats", b" " * 5_000) == (413, told("too_long"))
        assert service.http("POST", "/chats", {"chat": "c2", "queue": "sails"}) == (409, told("unknown_queue"))
        for path in ("/chats/c2", "/chats/" + "%F0%9F%A6%80" * 300, "/chats/c%00"):
            assert service.http("GET", path) == (404, told("unknown_interaction"))
        assert service.http("POST", "/chats", {"chat": "c2", "queue": "sales"})[0] == 202


def test_agents_may_send_anything(tmp_path: Path, desks: ExitStack) -> None:
    """Nobody answers for another agent; what is too long ends the connection, and what is not understood does not.

    Planted: whose offer it is, is not looked at.
    """
    from websockets.exceptions import InvalidStatus

    with running("chat_service.py", tmp_path / "chats.journal") as service:
        with pytest.raises(InvalidStatus):
            Desk(desks, service, "zoe")
        ana, ben = Desk(desks, service, "ana"), Desk(desks, service, "ben")
        ana.say(do="ready")
        service.http("POST", "/chats", {"chat": "c1", "queue": "sales"})
        offer = ana.heard("Offered")["offer"]
        for message in ("", "{", "[" * 4_000, '{"do": "leave"}', '{"do": "accept", "offer": -1}', b"\xff"):
            ben.socket.send(message)
            assert ben.heard("error")["error"] == "not_understood", message
        for what in ({"do": "accept"}, {"do": "accept", "offer": offer}, {"do": "decline", "offer": offer}):
            ben.say(**what)
            assert ben.heard("error")["error"] == "unknown_offer"
        ana.say(do="accept", offer=offer)
        ana.heard("done")
        ben.say(do="finish", chat="c1")
        assert ben.heard("error")["error"] == "unknown_interaction"
        ana.say(do="accept", offer=offer)
        assert ana.heard("error")["error"] == "unknown_offer"
        ben.socket.send("x" * 5_000)
        assert ben.ended() == 1009
        assert service.http("GET", "/chats/c1")[1]["agent"] == "ana"


# Lines of JSON --------------------------------------------------------------------------------------------------------


class Peer:
    """A connection of lines."""

    def __init__(self, stack: ExitStack, service: Service) -> None:
        self.socket = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), PATIENCE_S))
        self.lines = stack.enter_context(self.socket.makefile("rb"))
        self.number = 0

    def heard(self) -> dict[str, Any]:
        """The next line; nothing where the service has ended the connection."""
        return json.loads(self.lines.readline() or b"{}")

    def ask(self, do: str, **what: object) -> dict[str, Any]:
        """Send a line; what is answered to it, without its number."""
        self.number += 1
        self.socket.sendall(json.dumps({"do": do, "id": self.number, **what}).encode() + b"\n")
        while (found := self.heard()).get("id") != self.number:
            assert found
        return {name: value for name, value in found.items() if name != "id"}

    def event(self, name: str) -> dict[str, Any]:
        """The next event of this name that is told beside answers."""
        while (found := self.heard()).get("event") != name:
            assert found
        return found


@pytest.fixture
def peers() -> Iterator[ExitStack]:
    """Connections, which end when the test does."""
    with ExitStack() as stack:
        yield stack


def test_lines_live_through_kills(tmp_path: Path, peers: ExitStack) -> None:
    """A command that is sent again with its key, because no answer came before the kill, has happened once.

    Planted: keys are left out.
    """
    journal = tmp_path / "lines.journal"
    with running("line_service.py", journal) as service:
        peer = Peer(peers, service)
        peer.ask("sign_in", agent="ana")
        assert peer.ask("set_presence", agent="ana", presence="ready")["events"]
        first = peer.ask("enqueue", interaction="call-1", queue="sales", key="k1")
        offer = first["events"][-1]["offer"]
    with running("line_service.py", journal) as service:
        peer = Peer(peers, service)
        assert peer.ask("enqueue", interaction="call-1", queue="sales", key="k1") == first
        assert peer.ask("look", agent="ana") == {"presence": "ready", "offers": {str(offer): "call-1"}, "in_hand": []}
        assert peer.ask("enqueue", interaction="call-1", queue="sales") == told("duplicate_interaction")
        assert peer.ask("answer", offer=offer, accept=True)["events"][-1]["event"] == "Connected"
    with running("line_service.py", journal) as service:
        peer = Peer(peers, service)
        assert peer.ask("watch", agent="ana")["in_hand"] == ["call-1"]
        assert [event["event"] for event in peer.ask("finish", interaction="call-1")["events"]] == [
            "Finished",
            "Released",
        ]
        assert peer.ask("look", agent="ana")["in_hand"] == []


def test_lines_are_pushed_to_who_watches(tmp_path: Path, peers: ExitStack) -> None:
    """What one connection does to an agent is told on another one, and to nobody who watches somebody else."""
    with running("line_service.py", tmp_path / "lines.journal") as service:
        anas, bens, peer = (Peer(peers, service) for _ in range(3))
        for agent, watcher in (("ana", anas), ("ben", bens)):
            peer.ask("sign_in", agent=agent)
            assert watcher.ask("watch", agent=agent)["presence"] == "not_ready"
        peer.ask("set_presence", agent="ana", presence="ready")
        peer.ask("enqueue", interaction="call-1", queue="sales")
        assert anas.event("Offered")["interaction"] == "call-1"
        peer.ask("set_presence", agent="ben", presence="ready")
        assert bens.heard()["event"] == "PresenceChanged"
        peer.ask("set_presence", agent="ana", presence="not_ready")
        assert anas.event("OfferWithdrawn")["interaction"] == "call-1"
        assert bens.heard()["event"] == "Offered"


def test_lines_may_say_anything(tmp_path: Path, peers: ExitStack) -> None:
    """One line that is not understood is answered with a word, and one that is too long is the last of its connection.

    Planted: a line is as long as it likes.
    """
    with running("line_service.py", tmp_path / "lines.journal") as service:
        peer, other = Peer(peers, service), Peer(peers, service)
        for line in (b"", b"{", b"\xff", b"[" * 4_000, b'{"do":"look"}', b'{"do":"look","id":1,"agent":"\\u0000"}'):
            peer.socket.sendall(line + b"\n")
            assert peer.heard() == {"error": "not_understood"}, line
        assert peer.ask("watch", agent="zoe") == told("unknown_agent")
        assert peer.ask("answer", offer=1, accept=True) == told("unknown_offer")
        peer.socket.sendall(b"x" * 6_000)
        assert [peer.heard(), peer.heard()] == [{"error": "line_too_long"}, {}]
        other.socket.sendall(b'{"do":"enqueue","id":1,"interaction":"call-1","queue":"sales"}')
        other.socket.shutdown(socket.SHUT_WR)
        assert other.heard() == {}
        assert Peer(peers, service).ask("enqueue", interaction="call-1", queue="sales")["events"]


def test_a_line_service_ends_in_order(tmp_path: Path, peers: ExitStack) -> None:
    """Asked to end it closes its connections and its journal, and says nothing of it."""
    journal = tmp_path / "lines.journal"
    with running("line_service.py", journal) as service:
        peer = Peer(peers, service)
        peer.ask("watch", agent="ana")
        assert service.end(signal.SIGTERM) == 0
        assert peer.heard() == {}
        assert service.said[1:] == [""]
    assert closed_well(journal)


# Threads, and a database that follows ---------------------------------------------------------------------------------


def life(service: Service, number: int) -> None:
    """An interaction from its beginning to its end, at whichever agent it comes to."""
    name = f"call-{number}"
    told = service.http("POST", "/", {"do": "enqueue", "interaction": name, "queue": "sales"})[1]["events"]
    offers = [event["offer"] for event in told if event["event"] == "Offered"]
    for offer in offers:
        service.http("POST", "/", {"do": "accept", "offer": offer})
        service.http("POST", "/", {"do": "finish", "interaction": name})


def handled(database: Path) -> list[str]:
    """What the consumer has written, in order."""
    db = sqlite3.connect(database)
    rows = db.execute("SELECT interaction FROM handled ORDER BY rowid").fetchall()
    db.close()
    return [name for (name,) in rows]


def test_a_database_takes_each_event_once(tmp_path: Path) -> None:
    """Killed, and with a database that is older than the journal: what it missed comes first, and nothing twice.

    It comes though nothing happens any more. Planted: listening begins with what happens after the start.
    """
    journal, database = tmp_path / "calls.journal", tmp_path / "calls.db"
    with running("thread_service.py", journal, database) as service:
        service.http("POST", "/", {"do": "sign_in", "agent": "ana"})
        for number in range(3):
            life(service, number)
        assert service.end(signal.SIGTERM) == 0
    old = database.read_bytes()
    assert handled(database) == ["call-0", "call-1", "call-2"]
    with running("thread_service.py", journal, database) as service:
        for number in range(3, 6):
            life(service, number)
    database.write_bytes(old)
    Path(f"{database}-journal").unlink(missing_ok=True)  # of a transaction that the kill cut short
    with running("thread_service.py", journal, database) as service:
        assert service.http("GET", "/agents/ana") == (200, {"presence": "ready", "offers": {}, "in_hand": []})
        assert service.end(signal.SIGTERM) == 0
    assert handled(database) == [f"call-{number}" for number in range(6)]
    assert closed_well(journal)


def test_a_database_that_fails_catches_up(tmp_path: Path) -> None:
    """What it could not take comes with what it takes next. Planted: it goes on with the next."""
    journal, database = tmp_path / "calls.journal", tmp_path / "calls.db"
    with running("thread_service.py", journal, database) as service:
        service.http("POST", "/", {"do": "sign_in", "agent": "ana"})
        with sqlite3.connect(database) as db:
            db.execute("ALTER TABLE handled RENAME TO away")
        life(service, 0)
        with sqlite3.connect(database) as db:
            db.execute("ALTER TABLE away RENAME TO handled")
        db.close()
        life(service, 1)
        assert service.end(signal.SIGTERM) == 0
        assert "a listener failed" in "".join(service.said)
    assert handled(database) == ["call-0", "call-1"]


def test_threads_may_come_at_once(tmp_path: Path) -> None:
    """Of forty customers at once, each is told that he waits, and both agents are offered one."""
    with running("thread_service.py", tmp_path / "calls.journal", tmp_path / "calls.db") as service:
        for agent in ("ana", "ben"):
            service.http("POST", "/", {"do": "sign_in", "agent": agent})

        def come(number: int) -> int:
            return service.http("POST", "/", {"do": "enqueue", "interaction": f"c{number}", "queue": "sales"})[0]

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(come, range(40))) == {200}
        assert all(len(service.http("GET", f"/agents/{agent}")[1]["offers"]) == 1 for agent in ("ana", "ben"))


def test_threads_may_be_told_anything(tmp_path: Path) -> None:
    """What is not understood is answered with a word, and nothing of an error is told."""
    with running("thread_service.py", tmp_path / "calls.journal", tmp_path / "calls.db") as service:
        for body in (b"", b"{", b"\xff", b"[" * 4_000, b'{"do": "eat"}', b'{"do": "sign_in", "agent": "\\u0000"}'):
            assert service.http("POST", "/", body) == (422, told("not_understood")), body
        assert service.http("POST", "/", b" " * 5_000) == (413, told("too_long"))
        assert service.http("POST", "/", {"do": "sign_in", "agent": "zoe"}) == (409, told("unknown_agent"))
        for path in ("/agents/zoe", "/agents/", "/agents/%00"):
            assert service.http("GET", path) == (404, told("unknown_agent"))
        assert service.http("GET", "/agents") == (404, told("unknown"))
