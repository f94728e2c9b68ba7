"""A routing service of lines of JSON over TCP, with asyncio alone: ``python line_service.py JOURNAL PORT``."""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from omniroute import Agent, Plan, Queue, commands, events
from omniroute.errors import WORDS, OmnirouteError, UnknownNameError
from omniroute.journal import SqliteStore
from omniroute.live import AsyncRouter, Subscription

PLAN = Plan(queues=[Queue("sales", offer_timeout_ms="20s")], agents=[Agent("ana"), Agent("ben")])
LINE_MAX = 4_096  # bytes
CONNECTIONS_MAX = 100
SEND_S = 10  # a peer who takes nothing for so long is let go

# What a line may say; nothing else is understood.
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]


class Line(msgspec.Struct, tag_field="do", forbid_unknown_fields=True, kw_only=True):
    id: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]  # comes back with the answer
    key: Id | None = None  # of a command that is sent again where no answer came: it happens once


class Watch(Line, tag="watch"):
    agent: Id


class Look(Line, tag="look"):
    agent: Id


class SignIn(Line, tag="sign_in"):
    agent: Id


class SetPresence(Line, tag="set_presence"):
    agent: Id
    presence: Literal["ready", "not_ready", "draining"]


class Enqueue(Line, tag="enqueue"):
    interaction: Id
    queue: Id


class Leave(Line, tag="leave"):
    interaction: Id


class Answer(Line, tag="answer"):
    offer: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    accept: bool


class Finish(Line, tag="finish"):
    interaction: Id


LINES = msgspec.json.Decoder(Watch | Look | SignIn | SetPresence | Enqueue | Leave | Answer | Finish)


def command_of(line: Line) -> commands.Command:
    match line:
        case SignIn(agent=agent):
            return commands.SignIn(agent, ready=False)
        case SetPresence(agent=agent, presence=presence):
            return commands.SetPresence(agent, presence)
        case Enqueue(interaction=interaction, queue=queue):
            return commands.Enqueue(interaction, queue)
        case Leave(interaction=interaction):
            return commands.Leave(interaction)
        case Answer(offer=offer, accept=accept):
            return commands.Accept(offer) if accept else commands.Decline(offer)
        case Finish(interaction=interaction):
            return commands.Finish(interaction, 0)
    raise UnknownNameError


class Peer:
    """One connection. It may watch agents; what it is told comes beside the answers to its lines."""

    def __init__(self, live: AsyncRouter, writer: asyncio.StreamWriter) -> None:
        self.live, self.writer = live, writer
        self.watching: dict[str, asyncio.Task[None]] = {}

    async def say(self, **what: Any) -> None:
        self.writer.write(msgspec.json.encode(what) + b"\n")
        async with asyncio.timeout(SEND_S):
            await self.writer.drain()

    async def hear(self, reader: asyncio.StreamReader) -> None:
        """Answer line by line. A line without an end is none, and one that is too long is the last."""
        while (data := await reader.readline()).endswith(b"\n"):
            try:
                line = LINES.decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                await self.say(error="not_understood")
                continue
            await self.say(id=line.id, **await self.answered(line))

    async def answered(self, line: Line) -> dict[str, Any]:
        """What is answered: a word and a sentence where it went wrong."""
        try:
            if isinstance(line, Look):
                return self.state_of(line.agent)
            if isinstance(line, Watch):
                state = self.state_of(line.agent)  # raises for who is not known
                if line.agent not in self.watching:
                    heard = self.live.events(line.agent)  # from here on: nothing happens between two awaits
                    self.watching[line.agent] = asyncio.create_task(self.watch(line.agent, heard))
                return state
            told = await self.live.apply(command_of(line), line.key)
        except OmnirouteError as error:
            return failed(error)
        if told and isinstance(told[-1], events.Rejected):
            return {"error": told[-1].reason, "message": WORDS[told[-1].reason]}
        return {"events": [named(event) for event in told]}

    def state_of(self, agent: str) -> dict[str, Any]:
        router = self.live.router
        seen = router.agent(agent)
        offers = {offer: router.offer(offer).interaction for offer in seen.offers}
        return {"presence": seen.presence, "offers": offers, "in_hand": router.in_hand(agent)}

    async def watch(self, agent: str, heard: Subscription[events.Event]) -> None:
        with heard, suppress(OSError, TimeoutError):
            try:
                async for event in heard:
                    await self.say(**named(event))
            except OmnirouteError as error:  # where it fell behind: watch again, the answer is the state
                await self.say(**failed(error))
        self.watching.pop(agent, None)


def failed(error: OmnirouteError) -> dict[str, Any]:
    """What to tell of an error; its text stays in the log."""
    logging.warning("%s: %s", error.word, error)
    return {"error": error.word, "message": WORDS[error.word]}


def named(event: events.Event) -> dict[str, Any]:
    return {"event": type(event).__name__, **msgspec.structs.asdict(event)}


async def connected(
    live: AsyncRouter, peers: dict[Peer, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    peer = Peer(live, writer)
    peers[peer] = asyncio.current_task()
    try:
        if len(peers) > CONNECTIONS_MAX:
            return await peer.say(error="too_many")
        await peer.hear(reader)
    except ValueError:
        with suppress(OSError, TimeoutError):
            await peer.say(error="line_too_long")
    except (OSError, TimeoutError):
        pass  # he went in the middle of it
    finally:
        del peers[peer]
        for watching in list(peer.watching.values()):
            watching.cancel()
        writer.close()


async def main(journal: str, port: str) -> None:
    stop, peers = asyncio.Event(), dict[Peer, Any]()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with await AsyncRouter.open(SqliteStore(journal), PLAN, backlog=1_000) as live:
        server = await asyncio.start_server(partial(connected, live, peers), "127.0.0.1", int(port), limit=LINE_MAX)
        print("listening on", server.sockets[0].getsockname()[1], flush=True)
        await stop.wait()
        server.close()
        for peer in peers:
            peer.writer.close()  # nothing more comes from it, so it ends
        await asyncio.gather(*peers.values())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
