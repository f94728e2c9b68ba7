"""Events in words, for tests that people read."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute import Router, events


def words(told: Sequence[events.Event], *fields: str) -> list[str]:
    """Each event as its kind, what it is about, and the fields that the test looks at."""
    return [" ".join([type(event).__name__, *_parts(event, fields)]) for event in told]


def _parts(event: events.Event, fields: Sequence[str]) -> list[str]:
    named = [name for name in ("interaction", "agent", "subject", "reason", *fields) if hasattr(event, name)]
    found = dict.fromkeys(named)
    return [str(getattr(event, name)) for name in found if getattr(event, name) != ""]


def the(told: Sequence[events.Event], kind: str) -> events.Event:
    """The one event of a kind."""
    (event,) = (event for event in told if type(event).__name__ == kind)
    return event


def refusal(told: Sequence[events.Event]) -> str:
    """Reason and detail of the last event, which is a refusal."""
    event = told[-1]
    assert isinstance(event, events.Rejected), event
    return f"{event.reason} {event.detail}".strip()


def take(router: Router, now: int, agent: str) -> list[events.Event]:
    """An agent accepts what he was offered last."""
    return router.accept(now, router.agent(agent).offers[-1])
