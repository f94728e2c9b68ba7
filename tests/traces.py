"""A trace as a text table: what happens line by line, and every offer that is made, to whom, and when.

A line is ``time  what  -> interaction:agent ...``. Before the command everything due fires; an offer that is made at
any other time than that of its line, or that is not on it, fails the trace.
"""

from __future__ import annotations

from omniroute import Plan, Router, events
from omniroute.plan import milliseconds


def trace(plan: Plan, table: str) -> Router:
    """Drive a router through a table; the words of ``what`` are the methods of :class:`_Trace`."""
    running = _Trace(plan)
    for line in table.strip().splitlines():
        if line.strip() and not line.strip().startswith("#"):
            running.line(line)
    running.router.check()
    return running.router


class _Trace:
    """The verbs of a trace; each gets the words behind it."""

    def __init__(self, plan: Plan) -> None:
        self.router = Router(plan)
        self.live: dict[tuple[str, str], int] = {}

    def line(self, line: str) -> None:
        """Do one line, and compare its offers."""
        left, _, right = line.partition("->")
        at, *words = left.split()
        now = milliseconds(at)
        told = [*self.router.advance(now), *(self._do(now, *words) if words else [])]
        refused = [event for event in told if isinstance(event, events.Rejected | events.StrategyFailed)]
        assert not refused, f"{line.strip()}: {refused}"
        offers = [event for event in told if isinstance(event, events.Offered)]
        self.live |= {(event.interaction, event.agent): event.offer for event in offers}
        assert all(event.at == now for event in offers), f"{line.strip()}: {offers}"
        found = [f"{event.interaction}:{event.agent}" for event in offers]
        assert found == right.split(), f"{line.strip()}: found {' '.join(found) or 'nothing'}"

    def _do(self, now: int, verb: str, *words: str) -> list[events.Event]:
        router, name = self.router, words[0]
        if verb == "sign_in":
            return router.sign_in_many(now, words)
        if verb == "ready":
            return router.set_presence(now, name, "ready")
        if verb == "come":
            more = dict(word.split("=") for word in words[2:])
            priority, channel = int(more.get("priority", 0)), more.get("channel", "voice")
            return router.enqueue(now, name, words[1], priority=priority, channel=channel)
        if verb in ("accept", "decline"):
            offer = self.live[tuple(name.split(":"))]  # type: ignore[index]
            return (router.accept if verb == "accept" else router.decline)(now, offer)
        assert verb in ("release", "leave"), verb
        return (router.release if verb == "release" else router.leave)(now, name)
