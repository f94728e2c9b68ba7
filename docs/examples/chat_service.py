"""Chats over HTTP, agents over WebSockets, a journal on disk: ``python chat_service.py JOURNAL PORT``."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Literal

import msgspec
import uvicorn
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from omniroute import Agent, Channel, Plan, Queue, Router, events
from omniroute.errors import WORDS, JournalError, MisuseError, OmnirouteError, UnknownNameError
from omniroute.journal import SqliteStore
from omniroute.live import AsyncRouter, FellBehindError, Subscription

QUEUES, AGENTS = [Queue("sales", offer_timeout_ms="20s")], [Agent("ana", units=2), Agent("ben", units=2)]
PLAN = Plan(channels=[Channel("chat")], queues=QUEUES, agents=AGENTS)
BODY_MAX = 4_096  # bytes of a request, and of a message of an agent
STATUS = {UnknownNameError: 404, MisuseError: 422, JournalError: 503}  # of errors; 500 for others, 409 for refusals


# What may come from outside; nothing else is understood.
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]


class NewChat(msgspec.Struct, forbid_unknown_fields=True):
    chat: Id
    queue: Id


class Say(msgspec.Struct, forbid_unknown_fields=True):
    do: Literal["ready", "not_ready", "accept", "decline", "finish"]
    offer: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    chat: Id = "-"


def understood(data: bytes, kind: type) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise HTTPException(422, "not_understood") from None


def accepted(told: list[events.Event]) -> None:
    """409 where the router has refused a command, which is the last event; its reason is one of WORDS."""
    if told and isinstance(told[-1], events.Rejected):
        raise HTTPException(409, told[-1].reason)


def answer_to(error: HTTPException | OmnirouteError) -> tuple[dict[str, str], int]:
    """A word, a sentence where omniroute has one, and a status; the text of an error stays in the log."""
    if isinstance(error, OmnirouteError):
        logging.warning("%s: %s", error.word, error)
        word, status = error.word, next((STATUS[kind] for kind in STATUS if isinstance(error, kind)), 500)
    else:
        word, status = error.detail, error.status_code
    return {"error": word, "message": WORDS.get(word, "")}, status


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with await AsyncRouter.open(SqliteStore(app.state.journal), PLAN, backlog=1_000) as live:
        app.state.live, app.state.desks = live, {}
        for agent, (_, ready) in live.router.staff().items():
            if ready:  # says the journal, but nobody is connected yet
                await live.set_presence(agent, "not_ready", "the service started again")
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.exception_handler(HTTPException)
@app.exception_handler(OmnirouteError)
async def refuse(_: Request, error: HTTPException | OmnirouteError) -> JSONResponse:
    return JSONResponse(*answer_to(error))


@app.post("/chats", status_code=202)
async def begin(request: Request) -> dict[str, str]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX:
            raise HTTPException(413, "too_long")
    new = understood(bytes(body), NewChat)
    accepted(await app.state.live.enqueue(new.chat, new.queue, channel="chat"))
    return {"chat": new.chat}


@app.get("/chats/{chat}")
async def look(chat: str) -> dict[str, Any]:
    seen = app.state.live.router.interaction(chat)
    return {"state": seen.state, "agent": seen.agent, "position": app.state.live.router.position(chat)}


@app.delete("/chats/{chat}")
async def leave(chat: str) -> None:
    live: AsyncRouter = app.state.live
    accepted(await (live.leave if live.router.interaction(chat).agent is None else live.finish)(chat))


@app.websocket("/agents/{agent}")
async def desk(socket: WebSocket, agent: str) -> None:
    """A connection of an agent; the last one holds. That he is who he says is for what stands before this service."""
    live, desks = app.state.live, app.state.desks
    if agent not in {one.id for one in AGENTS}:
        return await socket.close(1008)
    await socket.accept()
    if agent in desks:
        desks[agent].close()
    with live.events(agent) as heard, suppress(OmnirouteError):  # heard before the state is read: nothing is missed
        desks[agent] = heard
        await live.sign_in(agent, ready=False)  # refused where he is signed in still
        pushing = asyncio.create_task(push(socket, state_of(live.router, agent), heard))
        with suppress(WebSocketDisconnect):
            while (message := await socket.receive())["type"] != "websocket.disconnect":
                await socket.send_json(await obeyed(live, agent, message))
        pushing.cancel()
        if desks[agent] is heard:  # offers go to others now; his conversations stay his
            del desks[agent]
            await live.set_presence(agent, "not_ready", "not connected")


async def push(socket: WebSocket, state: dict[str, Any], heard: Subscription[events.Event]) -> None:
    """Send an agent what names him, until he is too slow, has come by another connection, or the service ends."""
    with suppress(WebSocketDisconnect, RuntimeError):  # he went in the middle of it
        try:
            await socket.send_json(state)
            async for event in heard:
                await socket.send_json({"event": type(event).__name__, **msgspec.structs.asdict(event)})
            await socket.close(1012)
        except FellBehindError:
            await socket.close(1013)


def state_of(router: Router, agent: str) -> dict[str, Any]:
    """What to show an agent who was away. An event that follows may say some of it once more."""
    seen = router.agent(agent)
    chats = {chat: router.interaction(chat).state for chat in router.in_hand(agent)}
    offers = {offer: router.offer(offer).interaction for offer in seen.offers}
    return {"event": "State", "presence": seen.presence, "chats": chats, "offers": offers}


async def obeyed(live: AsyncRouter, agent: str, message: Mapping[str, Any]) -> dict[str, str]:
    """Do what an agent says, where it is his to say. What comes of it he hears as events."""
    try:
        say: Say = understood((message.get("text") or "").encode(), Say)
        if say.do in ("ready", "not_ready"):
            accepted(await live.set_presence(agent, say.do))
        elif say.do == "finish" and live.router.interaction(say.chat).agent == agent:
            accepted(await live.finish(say.chat))
        elif say.do != "finish" and live.router.offer(say.offer).agent == agent:
            accepted(await (live.accept if say.do == "accept" else live.decline)(say.offer))
        else:  # as if it were not there
            raise UnknownNameError(f"not of {agent}", "interaction" if say.do == "finish" else "offer")
        return {"done": say.do}
    except (HTTPException, OmnirouteError) as error:
        return answer_to(error)[0]


if __name__ == "__main__":
    app.state.journal = sys.argv[1]
    server = uvicorn.Config(app, port=int(sys.argv[2]), ws_max_size=BODY_MAX, ws_ping_interval=5, ws_ping_timeout=5)
    server.limit_concurrency, server.timeout_graceful_shutdown = 1_000, 5
    uvicorn.Server(server).run()
