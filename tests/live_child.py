"""A host with a router in an event loop, killed in the middle of its work. Run as a script, with the journal's path."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from live_time import PLAN

from omniroute import events
from omniroute.journal import SqliteStore
from omniroute.live import AsyncRouter


async def main(path: str) -> None:
    """Ana talks about call-1, Ben is asked about call-2, call-3 and call-4 wait; then nothing more."""
    router = await AsyncRouter.open(SqliteStore(path), PLAN, clock=lambda: 1_000)
    await router.sign_in_many(["ana", "ben"])
    for number in range(1, 5):
        for event in await router.enqueue(f"call-{number}", "sales"):
            if isinstance(event, events.Offered) and event.agent == "ana":
                await router.accept(event.offer)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
