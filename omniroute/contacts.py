"""Contacts of customers: arrivals that the intake of the plan sends where they belong, and their journeys.

A journey is fed with what the core tells, at the instant of each event; it closes at its own time, as a deadline does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from omniroute import commands as c
from omniroute import forms
from omniroute.core import limits
from omniroute.core.codes import Reason, TieKind
from omniroute.core.lifecycle import Presence
from omniroute.door import HANDLERS, WISHES, Door
from omniroute.errors import MisuseError, PlanError, RequirementError
from omniroute.events import CLOSED, REASONS, Classified, Event
from omniroute.intake import Context, Decision
from omniroute.model import INTEGER_MAX, INTEGER_MIN, shown
from omniroute.plan_numbers import handle_permille

if TYPE_CHECKING:
    from omniroute.journey_facts import Contact, ContextValue
    from omniroute.naming import Ask, Wish

__all__: list[str] = []

_TEXT_MAX = 1_024
USUAL_MS = 300_000
"""How long one takes an agent, as long as nobody knows."""
LONG_PERMILLE = 900
"""Of how many of a thousand handle times the longest is a long one."""


def _context(values: Mapping[str, object]) -> Context:
    """The fields of an arrival; lists stand for sets. Raises MisuseError."""
    if not isinstance(values, Mapping):
        raise MisuseError("context is a table from names to values")
    try:
        return Context({name: frozenset(v) if isinstance(v, list) else v for name, v in values.items()})  # type: ignore[misc]
    except (PlanError, TypeError) as error:
        raise MisuseError(f"context: {error}") from error


def _arrive(door: Door, now: int, command: c.Arrive) -> list[Event]:
    """Decide, judge, take into the journey, then enqueue: a refusal leaves no trace in the journey."""
    intake = door.naming.plan.intake
    if intake is None:
        raise MisuseError("the plan has no intake, so that it cannot decide where an arrival goes: use Enqueue")
    door.checked_name(command.interaction, command.ref)
    context = _context(command.context)
    _travelling(command.context)
    for what, value in (("customer", command.customer), ("topic", command.topic), ("owner", command.owner)):
        forms.text(what, value, _TEXT_MAX, empty=True)
    forms.text("resume_key", command.resume_key, empty=True)
    forms.text("channel", command.channel)
    door.lane(command.value, command.held_out)
    events = door.begin(now)
    name = command.interaction
    problem = door.name_problem(name)
    if problem is not None:
        return door.refuse(events, command, problem[0], name, problem[1], command.ref)
    if not door.is_open(command.channel):
        return door.refuse(events, command, Reason.UNKNOWN_CHANNEL, name, command.channel, command.ref)
    try:
        decision = intake.classify(
            context, intake.live(now, command.channel, lambda *what: _count(door, command, *what))
        )
        wish = _wish(door, command, decision)
    except RequirementError as error:
        return door.refuse(events, command, Reason.LIMIT_REACHED, name, error.message, command.ref)
    closed = door.closed_queue(wish.queues)
    ask = (REASONS.index(CLOSED), closed) if closed else door.grant(events, wish, -1)
    if isinstance(ask, tuple):
        return door.refuse(events, command, ask[0], name, ask[1], command.ref)
    full = "" if decision.treatment == "self_service" else door.full_queue(ask.queues, -1)
    if full:
        return door.refuse(events, command, Reason.QUEUE_FULL, name, full, command.ref)
    contact = _contact(door, command)
    return _begin(door, events, command, decision, ask, contact)


def _wish(door: Door, command: c.Arrive, decision: Decision) -> Wish:
    """What an arrival asks for under a decision. Raises RequirementError, MisuseError for a value that is none."""
    lane = door.lane(max(command.value, decision.value), command.held_out)
    return door.naming.wish(decision.queue, command.channel, decision.needs, decision.priority, (), lane)


def _travelling(values: Mapping[str, object]) -> dict[str, ContextValue | None]:
    """What of a context travels with a journey: a set as its members in order. Raises MisuseError."""
    from omniroute.journey_facts import checked_changes  # a router without journeys does not pay for them

    if not isinstance(values, Mapping):
        raise MisuseError(f"context is {shown(values)}, expected a table")
    for name, value in values.items():
        if isinstance(value, list) and not all(isinstance(member, str) for member in value):
            raise MisuseError(f"{shown(name)} of the context is a list, expected one of texts")
    joined = {name: ", ".join(sorted(v)) if isinstance(v, list) else v for name, v in values.items()}
    return checked_changes(joined)


def _contact(door: Door, command: c.Arrive) -> Contact:
    """What is known of the customer, and this contact of his taken in."""
    from omniroute.journey_facts import Contact  # as above

    journeys = door.ledger.journeys
    if journeys is None or not command.customer:
        return Contact(journey=0)
    return journeys.arrive(
        door.now,
        command.customer,
        command.interaction,
        channel=command.channel,
        topic=command.topic,
        context=_travelling(command.context),
        owner=command.owner or None,
        may_take=lambda agent: _may_take(door, agent),
    )


def _may_take(door: Door, agent: str) -> bool:
    """Whether an agent is at work and goes on being so."""
    j = door.naming.agents.get(agent)
    return j is not None and door.core.agent(j)[0] in (Presence.READY, Presence.NOT_READY)


def _begin(
    door: Door, events: list[Event], command: c.Arrive, decision: Decision, ask: Ask, contact: Contact
) -> list[Event]:
    """Put the arrival where the decision says; what the journey prefers becomes a tie."""
    ledger, now, name = door.ledger, door.now, command.interaction
    preferred, ties = contact.preference, []
    if preferred is not None:
        kind, until = TieKind.PREFER, -1
        if preferred.until is not None:
            kind, until = TieKind.ONLY, min(preferred.until, limits.TIME_MAX)
        ties = [(door.naming.agents[preferred.agent], int(kind), until)]
    credit = decision.head_start_ms + contact.head_start_ms
    since, waited, arrived = now - ask.head_start - credit, 0, now
    kept = ledger.kept.get(command.resume_key)
    if kept is not None and kept[0] >= now:
        _, since, waited, arrived = kept
        ledger.kept.pop(command.resume_key)
    due = limits.UNTIL_ACTIVATED if decision.treatment == "self_service" else -1
    value = max(command.value, decision.value)
    events.append(
        Classified(
            ledger.next_seq(), now, name, decision.rules, ask.queues, ask.needs, ask.priority, value, credit,
            decision.treatment, contact.journey, contact.repeat, contact.hops,
            None if preferred is None else preferred.agent, command.ref,
        )
    )  # fmt: skip
    i = door.core.enqueue(now, ask.classes, ask.tier, since, ties, waited, due)
    ledger.kept_ms = waited if due == -1 else 0
    ledger.enter(i, name, ask, command.ref, arrived)
    if command.resume_key:
        ledger.resume_keys[i] = command.resume_key
    return ledger.tell(events)


def _count(door: Door, command: c.Arrive, what: str, queue: str) -> int:
    """A number of a queue that a rule asks for, as :mod:`omniroute.intake` says."""
    naming, core = door.naming, door.core
    q = naming.queues[queue]
    if what == "waiting":
        return core.queue(q)[0]
    if what == "available":
        return core.gauge(naming.available(queue, command.channel))
    if what == "lot":
        return _drawn(naming.plan.agent_seed, door.ledger.seq, q)
    if what == "spare":
        return _spare(door, command, queue)
    line, staffed = core.queue(q)[0] + 1, core.gauge(naming.staffed(queue))
    if what == "ratio":
        return min(-(-1_000 * line // staffed), INTEGER_MAX) if staffed else INTEGER_MAX
    if core.gauge(naming.available(queue, command.channel)):
        return 0
    estimates = door.ledger.estimates
    mean_ms = None if estimates is None else estimates.mean_ms(q)
    whole = line * (USUAL_MS if mean_ms is None else mean_ms)
    return min(-(-whole // staffed), INTEGER_MAX) if staffed else INTEGER_MAX


def _spare(door: Door, command: c.Arrive, queue: str) -> int:
    """How long before its queue closes who comes now is done, in ms; INTEGER_MAX where nobody has said when."""
    closes, estimates = door.ledger.closes.get(queue), door.ledger.estimates
    if closes is None:
        return INTEGER_MAX
    q = door.naming.queues[queue]
    permille = handle_permille(door.naming.queue_values[q]) or LONG_PERMILLE
    longest_ms = None if estimates is None else estimates.quantile(q, permille)
    done = door.now + _count(door, command, "delay", queue) + (USUAL_MS if longest_ms is None else longest_ms)
    return min(max(closes - done, INTEGER_MIN), INTEGER_MAX)


def _drawn(seed: int, attempt: int, q: int) -> int:
    """An exponential time, in 2**-16 of its mean times log 2, from what is known of an arrival and a queue. O(1)."""
    from omniroute.core.reference.keys import binary_log, mixed  # a plan without chance does not pay for it

    number = mixed(mixed(mixed(seed) ^ attempt) ^ q) >> 32
    return (32 << 16) - binary_log(number + 1)


def _note(door: Door, now: int, command: c.Note) -> list[Event]:
    """Learn something that travels with the journey."""
    forms.text("interaction", command.interaction)
    changes = _travelling(command.context)
    events = door.begin(now)
    if command.interaction not in door.ledger.numbers:
        return door.unknown(events, command, command.interaction)
    if door.ledger.journeys is not None:
        door.ledger.journeys.noted(now, command.interaction, changes)
    return events


def _resolve(door: Door, now: int, command: c.Resolve) -> list[Event]:
    """The host's word that a journey is solved."""
    if bool(command.customer) == bool(command.interaction):
        raise MisuseError("resolve wants a customer or an interaction, one of them")
    forms.text("customer", command.customer, _TEXT_MAX, empty=True)
    forms.text("interaction", command.interaction, empty=True)
    events = door.begin(now)
    if command.interaction and command.interaction not in door.ledger.numbers:
        return door.unknown(events, command, command.interaction)
    if door.ledger.journeys is not None:
        named = {"customer": command.customer} if command.customer else {"interaction": command.interaction}
        door.ledger.journeys.resolved(now, **named)
    return events


def _erase(door: Door, now: int, command: c.Erase) -> list[Event]:
    """Forget a customer's journey; what waits or is connected goes on without one."""
    forms.text("customer", command.customer, _TEXT_MAX)
    events = door.begin(now)
    if door.ledger.journeys is not None:
        door.ledger.journeys.erase(now, command.customer)
    return events


def _may_arrive(door: Door, command: c.Arrive) -> list[Wish] | None:
    """What an arrival may ask for, whatever rule decides; None with rules that are merged."""
    intake = door.naming.plan.intake
    possible = () if intake is None else intake.possible()
    if possible is None:
        return None
    found = []
    for decision in possible:
        with suppress(RequirementError):
            found.append(_wish(door, command, decision))
    return found


WISHES[c.Arrive] = _may_arrive
HANDLERS.update({c.Arrive: _arrive, c.Note: _note, c.Resolve: _resolve, c.Erase: _erase})
