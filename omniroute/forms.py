"""The forms of commands: wrong types, values out of range and text that cannot be written down raise here.

Nothing here knows the state, so nothing has moved when it raises.
"""

from __future__ import annotations

from typing import Any, Final

from omniroute import commands as c
from omniroute.core import limits
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import MisuseError
from omniroute.model import Agent, shown
from omniroute.naming import check_order

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
        if presence != "signed_out" and presence not in MOVES:
            raise MisuseError(f"presence is {shown(presence)}, allowed is {', '.join(MOVES)}, signed_out")
    for name in command.interactions:
        text("interaction", name)
    return {**command.agents}, dict.fromkeys(command.interactions)
