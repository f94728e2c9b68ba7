"""A service of threads, and a database that follows it: ``python thread_service.py JOURNAL DATABASE PORT``."""

import logging
import signal
import socketserver
import sqlite3
import sys
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec

from omniroute import Agent, Plan, Queue, Router, commands, events
from omniroute.errors import WORDS, JournalError, MisuseError, OmnirouteError, UnknownNameError
from omniroute.journal import SqliteStore, unseen
from omniroute.live import ThreadRouter

PLAN = Plan(queues=[Queue("sales", offer_timeout_ms="20s")], agents=[Agent("ana"), Agent("ben")])
BODY_MAX = 4_096  # bytes
STATUS = {
    UnknownNameError: HTTPStatus.NOT_FOUND,
    MisuseError: HTTPStatus.UNPROCESSABLE_ENTITY,
    JournalError: HTTPStatus.SERVICE_UNAVAILABLE,
}

# What may come from outside; nothing else is understood.
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]


class Say(msgspec.Struct, forbid_unknown_fields=True):
    do: Literal["enqueue", "leave", "sign_in", "sign_out", "accept", "decline", "finish"]
    interaction: Id = "-"
    queue: Id = "-"
    agent: Id = "-"
    offer: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0

    def command(self) -> commands.Command:
        match self.do:
            case "enqueue":
                return commands.Enqueue(self.interaction, self.queue)
            case "leave":
                return commands.Leave(self.interaction)
            case "sign_in":
                return commands.SignIn(self.agent)
            case "sign_out":
                return commands.SignOut(self.agent)
            case "accept":
                return commands.Accept(self.offer)
            case "decline":
                return commands.Decline(self.offer)
            case "finish":
                return commands.Finish(self.interaction, 0)


class History:
    """Who handled what. With what it takes it keeps, in one transaction, the number of the last event that it took."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, check_same_thread=False)
        with self.db:
            self.db.execute("CREATE TABLE IF NOT EXISTS taken (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER)")
            self.db.execute("CREATE TABLE IF NOT EXISTS handled (interaction TEXT, agent TEXT, at INTEGER)")
            self.db.execute("INSERT OR IGNORE INTO taken VALUES (1, 0)")

    def taken(self) -> int:
        return int(self.db.execute("SELECT seq FROM taken").fetchone()[0])

    def take(self, told: list[events.Event], since: Callable[[int], list[events.Event]]) -> None:
        """Called by the router's thread. What could not be taken before, with the database away, comes first."""
        with self.db:
            taken = self.taken()
            for event in unseen(since(taken) if told[0].seq > taken + 1 else told, taken):
                if isinstance(event, events.Released):
                    row = (event.interaction, event.agent, event.at)
                    self.db.execute("INSERT INTO handled VALUES (?, ?, ?)", row)
                self.db.execute("UPDATE taken SET seq = ?", (event.seq,))


class Refused(Exception):  # noqa: N818 - it is an answer
    """A status and a word."""

    def __init__(self, status: HTTPStatus, word: str) -> None:
        self.status, self.word = status, word


def said(environ: dict[str, Any]) -> Say:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit() or int(length[:9]) > BODY_MAX:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_long")
    try:
        return msgspec.json.decode(environ["wsgi.input"].read(int(length)), type=Say)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "not_understood") from None


def done(live: ThreadRouter, say: Say) -> dict[str, Any]:
    """What happened; it is on the disk."""
    told = live.apply(say.command())
    if told and isinstance(told[-1], events.Rejected):
        raise Refused(HTTPStatus.CONFLICT, told[-1].reason)
    return {"events": [{"event": type(event).__name__, **msgspec.structs.asdict(event)} for event in told]}


def desk(agent: str, router: Router) -> dict[str, Any]:
    seen = router.agent(agent)
    offers = {offer: router.offer(offer).interaction for offer in seen.offers}
    return {"presence": seen.presence, "offers": offers, "in_hand": router.in_hand(agent)}


def answered(live: ThreadRouter, environ: dict[str, Any]) -> dict[str, Any]:
    """``POST /`` does something; ``GET /agents/ana`` is what to show an agent, who asks again every now and then."""
    try:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"].split("/")[1:]:
            case "POST", [""]:
                return done(live, said(environ))
            case "GET", ["agents", agent]:
                return live.read(partial(desk, agent))
        raise Refused(HTTPStatus.NOT_FOUND, "unknown")
    except OmnirouteError as error:  # its text stays in the log
        logging.warning("%s: %s", error.word, error)
        status = next((STATUS[kind] for kind in STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        raise Refused(status, error.word) from None


def application(live: ThreadRouter, environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    status, answer = HTTPStatus.OK, {}
    try:
        answer = answered(live, environ)
    except Refused as refused:
        status, answer = refused.status, {"error": refused.word, "message": WORDS.get(refused.word, "")}
    start(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [msgspec.json.encode(answer)]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each request, as most hosts have them."""


class Handler(WSGIRequestHandler):
    timeout = 10  # seconds for a peer who says nothing

    def log_message(self, *_: object) -> None:
        """A test drives it; a service would keep its log."""


def main(journal: str, database: str, port: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    history = History(database)

    def listen(told: list[events.Event]) -> None:
        history.take(told, lambda number: live.since(number))  # it may be called before there is a name for it

    live = ThreadRouter(SqliteStore(journal), PLAN, listen=listen, after=history.taken())
    with (
        live,
        make_server("127.0.0.1", int(port), partial(application, live), Server, Handler) as server,
    ):
        print("listening on", server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
