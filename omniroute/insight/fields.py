"""What an event may say to a log or a trace: which of its fields are about work, and which about somebody.

Ids of interactions and agents lead to people, ``ref`` is the host's own, and free text may hold anything. They are left
out unless a host asks for ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from omniroute.events import Event

__all__ = ["IDS", "PLAIN", "PRIVATE", "told"]

PLAIN: Final = frozenset(
    {
        *("seq", "at", "queue", "queues", "tier", "kept_ms", "offer", "due", "cause", "wait_ms", "gross_ms", "step"),
        *("handle_ms", "wrap_up_due", "until", "position", "tries", "next_at", "rules", "priority", "head_start_ms"),
        *("treatment", "repeat", "hops", "opened_at", "why", "resolution_ms", "effort", "tally", "presence"),
        *("version", "entered", "connected", "in_target", "abandoned", "strategy", "error", "by_ms", "count"),
        *("command", "pair_handle_ms"),
    }
)
"""Fields that say what the work is."""

IDS: Final = frozenset({"interaction", "agent", "by", "previous", "preferred", "journey"})
"""Fields that name an interaction, a journey or an agent."""

PRIVATE: Final = frozenset(
    {
        *("ref", "customer", "context", "subject", "detail", "reason", "say", "how", "resolution", "requirement"),
        *("needs", "value", "unknown_agents", "unknown_interactions"),
    }
)
"""Fields with what a host or a customer wrote, or what a customer is worth."""

_TOLD_HERE: Final = {("Rejected", "reason")}
"""The reason of a refusal is a word of omniroute."""
_NOT_HERE: Final = {("StepTaken", "offer"), ("RevisionDue", "pair_handle_ms")}
"""There it is a text for a customer, and no number; or a table that may be too long for a line."""


@cache
def _fields(kind: type, ids: bool) -> tuple[str, ...]:
    name = kind.__name__
    return tuple(
        field
        for field in kind.__struct_fields__  # type: ignore[attr-defined]
        if (field in PLAIN or (ids and field in IDS) or (name, field) in _TOLD_HERE) and (name, field) not in _NOT_HERE
    )


def told(event: Event, *, ids: bool = False) -> Iterator[tuple[str, object]]:
    """The fields of an event that may be told, with their values; with ``ids`` those that name somebody. O(fields).

    >>> from omniroute.events import Released
    >>> dict(told(Released(7, 500, "call-1", "ana", ref="line 3")))
    {'seq': 7, 'at': 500}
    """
    return ((field, getattr(event, field)) for field in _fields(type(event), ids))
