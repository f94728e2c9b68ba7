"""Agents through the door: signing in and out, presence, and what is known of them."""

from __future__ import annotations

from omniroute import commands as c
from omniroute import forms
from omniroute.core.codes import Reason
from omniroute.core.lifecycle import Presence, PresenceMove
from omniroute.door import HANDLERS, Door
from omniroute.errors import MisuseError
from omniroute.events import REASONS, UNKNOWN_LABEL, AgentUpdated, Event, ObligationSet
from omniroute.model import Agent, shown
from omniroute.naming import ORDER_BASE
from omniroute.obligations import is_obliged, new_groups, prepare

__all__ = ["describe"]


def _sign_in(door: Door, now: int, command: c.SignIn) -> list[Event]:
    card = forms.sign_in(command)
    return _signed_in(door, door.begin(now), command, card)


def _sign_in_many(door: Door, now: int, command: c.SignInMany) -> list[Event]:
    items = forms.many(command.agents, c.SignIn)
    cards = [forms.sign_in(item) for item in items]
    events = door.begin(now)
    door.core.advance(now)
    for item, card in zip(items, cards, strict=True):
        _signed_in(door, events, item, card)
    return events


def _signed_in(door: Door, events: list[Event], command: c.SignIn, card: Agent | None) -> list[Event]:
    """Judge and move one sign-in."""
    name = command.agent if card is None else card.id
    assert isinstance(name, str)
    j = door.naming.agents.get(name)
    if j is None and card is None:
        return door.refuse(events, command, Reason.UNKNOWN_AGENT, name)
    if j is not None and door.core.agent(j)[0] != Presence.SIGNED_OUT:
        return door.refuse(events, command, Reason.ALREADY_SIGNED_IN, name)
    if j is None and len(door.naming.agents) >= door.naming.plan.limits.agents:
        return door.refuse(events, command, Reason.LIMIT_REACHED, name, "limits.agents")
    if card is not None:
        problem = _card_problem(door, card)
        if problem is not None:
            return door.refuse(events, command, problem[0], name, problem[1])
        j = describe(door, events, card)
    assert j is not None
    door.ledger.said = ""
    door.core.set_presence(door.now, j, PresenceMove.SIGN_IN if command.ready else PresenceMove.SIGN_IN_NOT_READY)
    return door.ledger.tell(events)


def _card_problem(door: Door, card: Agent) -> tuple[int, str] | None:
    """What the plan has against a card, if anything."""
    naming = door.naming
    for queue in (*(card.queues or ()), *card.delays, *card.shares):
        if queue not in naming.queues:
            return Reason.UNKNOWN_QUEUE, queue
    for label in card.label_at_most:
        if label not in naming.capacity.labels:
            return REASONS.index(UNKNOWN_LABEL), label
    for channel in card.at_most:
        if not door.is_open(channel):
            return Reason.UNKNOWN_CHANNEL, channel
    return _too_many(door, card, obliged=is_obliged(naming, card.id))


def _too_many(door: Door, agent: Agent, *, obliged: bool) -> tuple[int, str] | None:
    """Whether the groups that an agent needs are more than the plan allows."""
    fresh, known = new_groups(door.naming, agent, obliged=obliged), len(door.naming.groups)
    return (Reason.LIMIT_REACHED, "limits.groups") if fresh and known + fresh > door.naming.plan.limits.groups else None


def describe(door: Door, events: list[Event], agent: Agent) -> int:
    """Add an agent, or give a known one what the value says; his number. Cost: that of a new group."""
    naming = door.naming
    door.core.advance(door.now)  # tables that change look at openings from this instant on
    j = naming.agents.get(agent.id)
    if j is None:
        j = naming.add_agent(agent)
        door.ledger.reasons.append("")
        door.tell_failures(events)
        return j
    known = naming.agent_values[j]
    naming.agent_values[j] = agent
    if (known.key(), known.order) != (agent.key(), agent.order):
        group, order = naming.group(agent), agent.order + ORDER_BASE
        if is_obliged(naming, agent.id):
            prepare(naming, agent)
        door.tell_failures(events)
        events.append(AgentUpdated(door.ledger.next_seq(), door.now, agent.id))
        door.core.move_agent(door.now, j, group, order)
        door.ledger.tell(events)
    return j


def _update_agent(door: Door, now: int, command: c.UpdateAgent) -> list[Event]:
    agent = forms.card(command.agent)
    events = door.begin(now)
    door.core.advance(now)
    if agent.id not in door.naming.agents:
        return door.refuse(events, command, Reason.UNKNOWN_AGENT, agent.id)
    problem = _card_problem(door, agent)
    if problem is not None:
        return door.refuse(events, command, problem[0], agent.id, problem[1])
    describe(door, events, agent)
    return events


def _set_obligation(door: Door, now: int, command: c.SetObligation) -> list[Event]:
    forms.text("agent", command.agent)
    forms.instant("due", command.due)
    events, naming = door.begin(now), door.naming
    j = naming.agents.get(command.agent)
    if j is None:
        return door.refuse(events, command, Reason.UNKNOWN_AGENT, command.agent)
    agent = naming.agent_values[j]
    problem = None if command.due is None else _too_many(door, agent, obliged=True)
    if problem is not None:
        return door.refuse(events, command, problem[0], agent.id, problem[1])
    door.core.advance(now)  # tables that change look at openings from this instant on
    if command.due is not None:
        prepare(naming, agent)
        door.tell_failures(events)
    events.append(ObligationSet(door.ledger.next_seq(), now, agent.id, command.due))
    door.core.oblige(now, j, -1 if command.due is None else command.due)
    return door.ledger.tell(events)


def _sign_out(door: Door, now: int, command: c.SignOut) -> list[Event]:
    forms.text("agent", command.agent)
    return _presence(door, door.begin(now), command, command.agent, PresenceMove.SIGN_OUT, "")


def _set_presence(door: Door, now: int, command: c.SetPresence) -> list[Event]:
    forms.text("agent", command.agent)
    forms.text("reason", command.reason, forms.REF_LENGTH_MAX, empty=True)
    move = forms.MOVES.get(command.presence) if isinstance(command.presence, str) else None
    if move is None:
        raise MisuseError(f"presence is {shown(command.presence)}, allowed is {', '.join(forms.MOVES)}")
    return _presence(door, door.begin(now), command, command.agent, move, command.reason)


def _presence(
    door: Door, events: list[Event], command: c.Command, agent: str, move: PresenceMove, said: str
) -> list[Event]:
    j = door.naming.agents.get(agent)
    if j is None:
        return door.refuse(events, command, Reason.UNKNOWN_AGENT, agent)
    door.ledger.said = said
    reason = door.core.set_presence(door.now, j, move)
    if reason:
        return door.refuse(events, command, reason, agent)
    return door.ledger.tell(events)


HANDLERS.update(
    {
        c.SignIn: _sign_in,
        c.SignInMany: _sign_in_many,
        c.SignOut: _sign_out,
        c.SetPresence: _set_presence,
        c.UpdateAgent: _update_agent,
        c.SetObligation: _set_obligation,
    }
)
