"""After the process was killed: one call brings a router in a service to what its host knows."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from live_time import PLAN
from test_journal_kill import ENVIRONMENT

from omniroute import Router, events
from omniroute.journal import SqliteStore
from omniroute.live import AsyncRouter, ThreadRouter

AGENTS = {"ana": "ready", "zoe": "ready"}
ALIVE = ["call-3", "call-2", "call-9"]


def in_loop(store: SqliteStore) -> tuple[list[Any], list[Any], Router]:
    """Reconcile in an event loop: the answer, all that was heard, and the router to be looked at."""

    async def main() -> tuple[list[Any], list[Any], Router]:
        async with await AsyncRouter.open(store, PLAN, clock=lambda: 61_000) as router:
            heard = router.events()
            told = await router.reconcile(AGENTS, ALIVE)
            found = router.router.fork()
        return told, [event async for event in heard], found

    return asyncio.run(main())


def in_threads(store: SqliteStore) -> tuple[list[Any], list[Any], Router]:
    """The same for threads."""
    heard: list[Any] = []
    with ThreadRouter(store, PLAN, listen=heard.extend, clock=lambda: 61_000) as router:
        told = router.reconcile(AGENTS, ALIVE)
        found = router.read(lambda inner: inner.fork())
    return told, heard, found


@pytest.mark.parametrize("back", [in_loop, in_threads])
def test_one_call_after_the_process_was_killed(back: Any, tmp_path: Path) -> None:
    """Who went while the host was away is signed out, whose customer went is released, the rest keep their places.

    What the host knows and the router does not is named, nobody is taken for absent because the process was away, and
    nobody is offered what is gone. Planted: an agent who is not named stays; offers expire before the call.
    """
    path = tmp_path / "a.journal"
    child = [sys.executable, str(Path(__file__).parent / "live_child.py"), str(path)]
    killed = subprocess.run(child, env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    told, heard, router = back(SqliteStore(path))
    router.check()
    assert {name: router.agent(name).presence for name in ("ana", "ben")} == {"ana": "ready", "ben": "signed_out"}
    for gone in ("call-1", "call-4"):
        with pytest.raises(LookupError):
            router.interaction(gone)
    ends = {event.interaction: type(event) for event in told if isinstance(event, events.Released | events.Abandoned)}
    assert ends == {"call-1": events.Released, "call-4": events.Abandoned}
    offers = [(event.interaction, event.agent) for event in told if isinstance(event, events.Offered)]
    assert offers == [("call-2", "ana")]
    assert router.queue("sales").waiting == 2
    assert (told[-1].unknown_agents, told[-1].unknown_interactions) == (("zoe",), ("call-9",))
    assert not [event for event in heard if isinstance(event, events.OfferExpired)]
    assert [event for event in heard if isinstance(event, events.Extended)]
    assert [event.seq for event in heard] == list(range(heard[0].seq, heard[0].seq + len(heard)))
