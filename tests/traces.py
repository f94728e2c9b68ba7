"""A trace as a text table: what happens line by line, and every offer that is made, to whom, and when.

A line is ``time  what  -> interaction:agent ...``. Before the command everything due fires; an offer that is made at
any other time than that of its line, or that is not on it, fails the trace. ``Kind!subject`` behind the arrow is an
event besides that happens on this line, at its time; ``Rejected!reason`` a refusal, which fails the trace otherwise.
"""

from __future__ import annotations

from omniroute import Plan, Router, commands, events
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
        expected = right.split()
        besides = [word for word in expected if "!" in word]
        happened = [(event.at, f"{type(event).__name__}!{_subject(event)}") for event in told]
        assert not [word for word in besides if (now, word) not in happened], f"{line.strip()}: {told}"
        refused = [word for _, word in happened if word.startswith(("Rejected!", "StrategyFailed!"))]
        assert all(word in besides for word in refused), f"{line.strip()}: {told}"
        offers = [event for event in told if isinstance(event, events.Offered)]
        self.live |= {(event.interaction, event.agent): event.offer for event in offers}
        assert all(event.at == now for event in offers), f"{line.strip()}: {offers}"
        found = [f"{event.interaction}:{event.agent}" for event in offers]
        wanted = [word for word in expected if "!" not in word]
        assert found == wanted, f"{line.strip()}: found {' '.join(found) or 'nothing'}"

    def _do(self, now: int, verb: str, *words: str) -> list[events.Event]:
        router, name = self.router, words[0]
        more = dict(word.split("=") for word in words if "=" in word)
        if verb == "sign_in":
            return router.sign_in_many(now, words)
        if verb in ("ready", "not_ready"):
            return router.set_presence(now, name, verb)  # type: ignore[arg-type]
        if verb == "come":
            return self._come(now, name, words[1], more)
        if verb in ("accept", "decline"):
            offer = self.live[tuple(name.split(":"))]  # type: ignore[index]
            return router.accept(now, offer) if verb == "accept" else router.decline(now, offer, **more)  # type: ignore[arg-type]
        if verb == "leave":
            return router.leave(now, name, grace_ms=milliseconds(more.get("grace", "0s")))
        if verb == "occupy":
            return router.occupy(now, name, words[1], words[2], channel=more.get("channel", "voice"))
        if verb == "call_back":
            ahead, gap = int(more.get("ahead", 0)), milliseconds(more.get("gap", "5m"))
            return router.call_back(now, name, first=more["first"], ahead=ahead, gap_ms=gap)  # type: ignore[arg-type]
        assert verb in ("finish", "release", "connect", "fail_setup", "hold", "resume", "activate", "sign_out"), verb
        return getattr(router, verb)(now, name)  # type: ignore[no-any-return]

    def _come(self, now: int, name: str, queues: str, more: dict[str, str]) -> list[events.Event]:
        """An arrival; several queues are separated by commas, and ``only`` or ``prefer`` is an agent and a time.

        ``prefer_any`` is an agent who need not have what is asked.
        """
        binds = []
        for word, kind in (("only", "only"), ("prefer", "prefer"), ("prefer_any", "prefer")):
            if word in more:
                agent, _, duration = more[word].partition(",")
                for_ms = milliseconds(duration) if duration else None
                binds.append(commands.Bind(agent, kind, for_ms, word == "prefer_any"))  # type: ignore[arg-type]
        return self.router.enqueue(
            now,
            name,
            tuple(queues.split(",")),
            channel=more.get("channel", "voice"),
            needs=more.get("needs", "").replace(",", " and "),
            priority=int(more.get("priority", 0)),
            resume_key=more.get("key", ""),
            binds=binds,
        )


def _subject(event: events.Event) -> str:
    """Whom or what an event is about, the interaction before the agent."""
    if isinstance(event, events.Rejected):
        return event.reason
    found = (getattr(event, name, "") for name in ("interaction", "agent", "queue"))
    return next((str(value) for value in found if value), "")
