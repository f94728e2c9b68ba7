"""The forms of commands: wrong types, values out of range and text that cannot be written down raise here.

Nothing here knows the state, so nothing has moved when it raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from omniroute import commands as c
from omniroute.core import limits
from omniroute.core.codes import TieKind
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import MisuseError
from omniroute.model import Agent, shown
from omniroute.plan_numbers import check_order

REF_LENGTH_MAX: Final = 4_096
"""Characters of a reference, and of the reason that a host gives for a presence."""
MANY_MAX: Final = 100_000
"""Items of a bulk command."""
MOVES = {
    "ready": PresenceMove.SET_READY,
    "not_ready": PresenceMove.SET_NOT_READY,
    "draining": PresenceMove.DRAIN,
}
"""What an agent can say of himself once he has come."""
CAUSES: Final = {name: number for number, name in enumerate(("no_answer", "declined", "busy", "unreachable"))}
"""Why an offer came to nothing on the agent's side, as the core counts it."""
TIES: Final = {
    ("forbid", False): TieKind.FORBID,
    ("forbid", True): TieKind.FORBID,
    ("prefer", False): TieKind.PREFER,
    ("prefer", True): TieKind.PREFER_ANY,
    ("only", False): TieKind.ONLY,
    ("only", True): TieKind.ONLY_ANY,
}
"""Ties by what a Bind says: its kind, and whether it ignores what the agent should be able to do."""
INT64: Final = 2**63


def text(what: str, value: object, most: int = 1_024, *, empty: bool = False) -> None:
    """Refuse what is not text of a bearable length that can be written down. Raises MisuseError."""
    if type(value) is not str:
        raise MisuseError(f"{what} is {shown(value)}, expected text")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise MisuseError(f"{what} is {shown(value)}, which has half a character (a surrogate)")
    if len(value) > most or not (value or empty):
        raise MisuseError(f"{what} has {len(value)} characters, allowed is {int(not empty)}..{most}")


def integer(what: str, value: object, low: int, high: int) -> None:
    """Refuse what is not an integer in range; booleans are none. Raises MisuseError."""
    if type(value) is not int:
        raise MisuseError(f"{what} is {shown(value)}, expected an integer")
    if not low <= value <= high:
        raise limits.out_of_range(what, value, low, high)


def reference(value: object) -> None:
    """Refuse what is neither bounded text nor a 64-bit integer. Raises MisuseError."""
    if type(value) is int:
        integer("ref", value, -INT64, INT64 - 1)
    else:
        text("ref", value, REF_LENGTH_MAX, empty=True)


def instant(what: str, value: object) -> None:
    """Refuse what is neither None nor an instant. Raises MisuseError."""
    if value is not None:
        integer(what, value, 0, limits.TIME_MAX)


def flag(what: str, value: object) -> None:
    """Refuse what is neither true nor false. Raises MisuseError."""
    if type(value) is not bool:
        raise MisuseError(f"{what} is {shown(value)}, expected true or false")


def one_of(what: str, value: object, allowed: Mapping[str, int]) -> int:
    """The number of a word. Raises MisuseError."""
    if not isinstance(value, str) or value not in allowed:
        raise MisuseError(f"{what} is {shown(value)}, allowed is {', '.join(allowed)}")
    return allowed[value]


def binds(values: object) -> None:
    """Refuse ties that are not to different agents, by name, in one of the kinds. Raises MisuseError."""
    if not isinstance(values, tuple | list) or not all(isinstance(value, c.Bind) for value in values):
        raise MisuseError(f"expected a tuple of Bind, got {shown(values)}")
    if len(values) > limits.TIES_MAX:
        raise limits.out_of_range("binds", len(values), 0, limits.TIES_MAX)
    for value in values:
        text("agent", value.agent)
        flag("anyhow", value.anyhow)
        if not isinstance(value.kind, str) or (value.kind, False) not in TIES:
            raise MisuseError(f"kind is {shown(value.kind)}, allowed is prefer, only, forbid")
        if value.for_ms is not None:
            integer("for_ms", value.for_ms, 1, limits.TIME_MAX)
    if len({value.agent for value in values}) < len(values):
        raise MisuseError("the binds of an interaction are to different agents")


def place(command: c.Enqueue) -> None:
    """Refuse a wrong time, due date, resume key or tie of an arrival. Raises MisuseError."""
    instant("at", command.at)
    instant("due", command.due)
    text("resume_key", command.resume_key, REF_LENGTH_MAX, empty=True)
    binds(command.binds)


def card(value: object) -> Agent:
    """The agent of a card. Raises PlanError or MisuseError."""
    if not isinstance(value, c.AgentCard):
        raise MisuseError(f"agent is {shown(value)}, expected an AgentCard")
    agent = value.agent()
    check_order(agent)
    return agent


def sign_in(command: c.SignIn) -> Agent | None:
    """The agent of a sign-in with a card, None for one by id."""
    if type(command.ready) is not bool:
        raise MisuseError(f"ready is {shown(command.ready)}, expected true or false")
    if isinstance(command.agent, c.AgentCard):
        return card(command.agent)
    text("agent", command.agent)
    return None


def many(items: Any, kind: type) -> tuple[Any, ...]:
    """The items of a bulk command, if all are of one kind and not too many. O(items). Raises MisuseError."""
    if not isinstance(items, tuple | list) or not all(type(item) is kind for item in items):
        raise MisuseError(f"expected a tuple of {kind.__name__}, got {shown(items)}")
    if len(items) > MANY_MAX:
        raise limits.out_of_range("items", len(items), 0, MANY_MAX)
    return tuple(items)


def reconcile(command: c.Reconcile) -> tuple[dict[str, str], dict[str, None]]:
    """Presence by agent, and the ids that live."""
    if not isinstance(command.agents, dict) or not isinstance(command.interactions, tuple | list):
        raise MisuseError("reconcile wants presences by agent, and a tuple of interactions")
    for name, presence in command.agents.items():
        text("agent", name)
        if not isinstance(presence, str) or (presence != "signed_out" and presence not in MOVES):
            raise MisuseError(f"presence is {shown(presence)}, allowed is {', '.join(MOVES)}, signed_out")
    for name in command.interactions:
        text("interaction", name)
    return {**command.agents}, dict.fromkeys(command.interactions)
