"""A router as bytes, and back: the names beside the core's own integers.

The bytes are a checksum and a record; nothing in them is code. What strategies answered is in the core's tables, so
restoring asks nobody, and what has been asked is not asked again. A snapshot is a state and no decision: one of an
older format is made into this one step by step (:mod:`omniroute.upgrades`), one of older semantics is read as it is.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Any, Final

import msgspec

from omniroute.capacity import Capacity
from omniroute.commands import AgentCard, Ref
from omniroute.core import limits
from omniroute.errors import InputError, OmnirouteError, PlanError
from omniroute.gauges import EstimatesState, GaugeName
from omniroute.ledger import CallingBack, Ledger
from omniroute.naming import Ask, ClassName, Naming
from omniroute.plan import Channel, Plan, Queue
from omniroute.plan_numbers import strategy_of, view_of, wants_estimates
from omniroute.requirements import Atom, parse
from omniroute.strategies.protocol import ClassView, Place

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["FORMAT", "SEMANTICS", "digest", "read", "write"]

FORMAT: Final = 13
"""The number of this layout; another layout gets another number, and a step to it in :mod:`omniroute.upgrades`."""
SEMANTICS: Final = 5
"""The number of what commands mean; it changes when the same commands would give other events."""
_CHECKSUM: Final = 16

_AtomRecord = tuple[str, str, str | int | tuple[str | int, ...] | None]
_AskRecord = tuple[tuple[str, ...], str, str, int, int, tuple[str, ...], int, int]
_ClassRecord = tuple[int, int, str, str, int, int, int, int, bool, int]
_ChannelRecord = tuple[str, int, tuple[str, ...], bool, tuple[str, ...] | None, tuple[str, ...]]


class Snapshot(msgspec.Struct, array_like=True, frozen=True):
    """Everything that a router knows; plan and strategies by name only where ``plan`` is None."""

    format: int
    semantics: int
    now: int
    seq: int
    core: bytes
    plan: str | None
    strategies: list[tuple[str, str, int]]
    channels: list[_ChannelRecord]
    kinds: list[tuple[str, tuple[str, ...]]]
    pools: list[tuple[bool, str]]
    gauges: list[GaugeName]
    conditions: list[tuple[int, int, int, int]]
    windows: list[str]
    queues: list[str]
    atoms: list[str | _AtomRecord]
    groups: list[tuple[AgentCard, int | None]]
    ladders: list[tuple[int, tuple[int, ...]]]
    classes: list[_ClassRecord]
    current: list[list[int]]
    agents: list[AgentCard]
    interactions: list[tuple[str, Ref, _AskRecord] | None]
    offers: list[tuple[int, int, int, int]]
    ended: list[tuple[int, str]]
    gone: list[tuple[int, str]]
    reasons: list[str]
    finished: int
    places: list[tuple[int, int, int, int]]
    marks: tuple[int, int]
    accepting: list[tuple[int, int]]
    arrivals: list[int]
    resume_keys: list[tuple[int, str]]
    kept: list[tuple[str, tuple[int, int, int, int]]]
    links: list[tuple[int, int, str]]
    call_backs: list[tuple[int, CallingBack]]
    closed: list[str]
    look_every: int
    journeys: Any
    """The rows of the journeys, None without; read as builtins, which are checked."""
    estimates: EstimatesState | None
    closes: list[tuple[str, int]]


class _Head(msgspec.Struct, array_like=True, frozen=True):
    """What every layout begins with."""

    format: int
    semantics: int


_MISFITS: Final = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What Python says of values that are of the right types and do not fit together, and of those of an older format."""
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def digest(now: int, naming: Naming, ledger: Ledger) -> str:
    """A hash of everything that decides what happens next, whichever core, process or hash seed. O(state).

    The count of events is not part of it, so a command that was refused leaves it as ``advance`` would have.
    """
    snapshot = _snapshot(now, naming, ledger, plan=None, seq=0)
    return hashlib.blake2b(_ENCODER.encode(snapshot), digest_size=16).hexdigest()


def write(now: int, naming: Naming, ledger: Ledger) -> bytes:
    """The state as bytes; the plan is left out where a strategy is not in the catalogue. O(state)."""
    try:
        plan = naming.plan.to_toml()
    except PlanError:
        plan = None
    data = _ENCODER.encode(_snapshot(now, naming, ledger, plan=plan, seq=ledger.seq))
    return hashlib.blake2b(data, digest_size=_CHECKSUM).digest() + data


def _snapshot(now: int, naming: Naming, ledger: Ledger, *, plan: str | None, seq: int) -> Snapshot:
    interactions = [
        (
            name,
            ref,
            (ask.queues, ask.channel, ask.needs, ask.priority, ask.wrap_up, ask.labels, ask.head_start, ask.lane),
        )
        if ask is not None
        else None
        for name, ref, ask in zip(ledger.ids, ledger.refs, ledger.asks, strict=True)
    ]
    gauges, groups = naming.gauges.gauges, zip(naming.group_values, naming.group_views, strict=True)
    return Snapshot(
        format=FORMAT,
        semantics=SEMANTICS,
        now=now,
        seq=seq,
        core=naming.core.dump().tobytes(),
        plan=plan,
        strategies=_strategies(naming.plan),
        channels=[_channel_record(channel) for channel in naming.capacity.values.values()],
        kinds=naming.capacity.kinds,
        pools=naming.capacity.pools,
        gauges=list(gauges),
        conditions=[(gauges[gauge], on, off, below) for gauge, on, off, below in naming.gauges.conditions],
        windows=list(naming.windows),
        queues=naming.queue_names,
        atoms=[atom if isinstance(atom, str) else (atom.name, atom.op, atom.value) for atom in naming.atoms],
        groups=[(AgentCard.of(who), view.time_left_ms) for who, view in groups],
        ladders=sorted(naming.ladders.items()),
        classes=[_class_record(name) for name in naming.class_names],
        current=naming.queue_classes,
        agents=[AgentCard.of(agent) for agent in naming.agent_values],
        interactions=interactions,
        offers=[(offer, *live) for offer, live in sorted(ledger.offers.items())],
        ended=list(ledger.ended.items()),
        gone=list(ledger.gone),
        reasons=ledger.reasons,
        finished=ledger.finished,
        places=[(*asked, place.tier, place.head_start_ms) for asked, place in naming.places.items()],
        marks=naming.marks,
        accepting=sorted(ledger.accepting.items()),
        arrivals=[at if name else 0 for name, at in zip(ledger.ids, ledger.arrivals, strict=True)],
        resume_keys=sorted(ledger.resume_keys.items()),
        kept=list(ledger.kept.items()),
        links=[(child, *link) for child, link in ledger.links.items()],
        call_backs=list(ledger.call_backs.items()),
        closed=list(ledger.closed),
        look_every=ledger.look_every,
        journeys=None if ledger.journeys is None else ledger.journeys.rows(),
        estimates=None if ledger.estimates is None else ledger.estimates.state(),
        closes=list(ledger.closes.items()),
    )


def _strategies(plan: Plan) -> list[tuple[str, str, int]]:
    """Queue, strategy and version, for each queue of a plan."""
    strategies = [(queue.name, strategy_of(queue)) for queue in plan.queues]
    return [(name, str(strategy.name), int(strategy.version)) for name, strategy in strategies]


def _channel_record(channel: Channel) -> _ChannelRecord:
    """A channel as plain values, in the order of its arguments."""
    return (
        channel.name,
        channel.load,
        channel.reserves,
        channel.survives_sign_out,
        channel.allows,
        channel.interrupted_by,
    )


def _class_record(name: ClassName) -> _ClassRecord:
    """A class as plain values."""
    view, part = name.view, name.part.text
    ways = (view.step, name.following, name.agent_key, name.copy, name.passing, view.lane)
    return name.queue, name.channel, part, view.requirement.text, *ways


def read(kind: type[Core], data: bytes, plan: Plan | None) -> tuple[int, Naming, Ledger]:
    """The instant, the names and the ledger of a snapshot; ``kind`` is the core to use. O(state).

    Raises InputError for anything that is not what :func:`write` wrote, here or in an older release whose format is
    known, and for a plan that is missing or is not that of the snapshot.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError("a snapshot is bytes", source="snapshot")
    body = bytes(data)[_CHECKSUM:]
    if hashlib.blake2b(body, digest_size=_CHECKSUM).digest() != bytes(data)[:_CHECKSUM]:
        raise InputError("is damaged: its checksum does not fit", source="snapshot")
    try:
        found = _decoded(body)
    except InputError:
        raise
    except (msgspec.MsgspecError, *_MISFITS) as error:
        raise InputError(f"cannot be read: {error}", source="snapshot") from error
    if plan is None and found.plan is None:
        raise InputError("holds no plan, because a strategy is not in the catalogue: give the plan", source="snapshot")
    plan = Plan.from_toml_text(found.plan or "", source="snapshot") if plan is None else plan
    if _strategies(plan) != found.strategies:
        raise InputError("the queues and strategies of the plan are not those of the snapshot", source="snapshot")
    try:
        integers = array("q")
        integers.frombytes(found.core)
        naming = _naming(kind.load(integers), plan, found)
        return found.now, naming, _ledger(naming, found)
    except (OmnirouteError, StopIteration, *_MISFITS) as error:
        raise InputError(f"does not fit together: {error}", source="snapshot") from error


def _decoded(body: bytes) -> Snapshot:
    """The record of a snapshot's bytes, in this format. Raises InputError, and what msgspec raises."""
    head = msgspec.msgpack.decode(body, type=_Head)
    if head.format == FORMAT and head.semantics <= SEMANTICS:
        return _DECODER.decode(body)
    message = f"has format {head.format} and semantics {head.semantics}, here are {FORMAT} and {SEMANTICS}"
    if head.format > FORMAT or head.semantics > SEMANTICS:
        raise InputError(f"{message}: a later release wrote it", source="snapshot")
    from omniroute.upgrades import OLDEST, upgraded  # only a snapshot of another release pays for it

    if head.format < OLDEST:
        raise InputError(f"{message}, and the oldest that can be read is {OLDEST}", source="snapshot")
    try:
        record = upgraded(msgspec.msgpack.decode(body), FORMAT)
    except InputError as error:
        raise InputError(f"{message}: {error}", source="snapshot") from error
    return _DECODER.decode(_ENCODER.encode(record))


def _naming(core: Core, plan: Plan, found: Snapshot) -> Naming:
    naming = Naming(core, plan)
    channels = [
        Channel(name, load, reserves=reserves, survives_sign_out=survives, allows=allows, interrupted_by=interrupted_by)
        for name, load, reserves, survives, allows, interrupted_by in found.channels
    ]
    naming.capacity = Capacity.of(core, channels, found.kinds, found.pools)
    naming.channels = naming.capacity.channels
    naming.windows = {name: number for number, name in enumerate(found.windows)}
    naming.queue_names = found.queues
    values = {queue.name: queue for queue in plan.queues}
    naming.queues = {queue.name: found.queues.index(queue.name) for queue in plan.queues}
    naming.queue_values = [values.get(name) or Queue(name) for name in found.queues]
    naming.queue_classes = found.current
    gauges = naming.gauges
    gauges.gauges = {gauge: number for number, gauge in enumerate(found.gauges)}
    gauges.conditions = {(found.gauges[row[0]], *row[1:]): number for number, row in enumerate(found.conditions)}
    gauges.read(plan, naming.queues)
    for number, atom in enumerate(found.atoms):
        naming.atoms[atom if isinstance(atom, str) else Atom(*atom)] = number  # type: ignore[arg-type]
    naming.ladders = dict(found.ladders)
    for number, (card, left) in enumerate(found.groups):
        agent = card.agent()
        naming.groups[agent.key() if left is None else (agent.key(), left)] = number
        naming.group_views.append(view_of(agent, left))
        naming.group_values.append(agent)
    for number, (q, channel, part, whole, step, following, agent_key, copy, passing, lane) in enumerate(found.classes):
        kind, _ = found.kinds[channel]
        view = ClassView(queue=found.queues[q], channel=kind, requirement=parse(whole), step=step, lane=lane)
        name = ClassName(q, channel, parse(part), view, following, agent_key, copy, passing)
        naming.class_names.append(name)
        naming.definitions[name.definition()] = number
    for classes in found.current:
        for k in classes:
            name = naming.class_names[k]
            naming.classes[name.queue, name.channel, name.part.text, name.view.step, name.view.lane] = k
    for number, card in enumerate(found.agents):
        naming.agents[card.id] = number
        naming.agent_ids.append(card.id)
        naming.agent_values.append(card.agent())
    naming.places = {(q, n): Place(tier=tier, head_start_ms=credit) for q, n, tier, credit in found.places}
    naming.marks = found.marks
    return naming


def _ledger(naming: Naming, found: Snapshot) -> Ledger:
    ledger = Ledger(naming.core, naming)
    ledger.seq, ledger.finished, ledger.reasons = found.seq, found.finished, found.reasons
    for number, row in enumerate(found.interactions):
        if row is None:
            ledger.ids.append("")
            ledger.refs.append(None)
            ledger.asks.append(None)
            ledger.arrivals.append(0)
        else:
            name, ref, (queues, channel, needs, priority, wrap_up, labels, head_start, lane) = row
            ask = Ask((), 0, head_start, wrap_up, queues, channel, needs, priority, labels, lane)
            ledger.enter(number, name, ask, ref, found.arrivals[number])
    ledger.offers = {offer: (i, j, due) for offer, i, j, due in found.offers}
    ledger.ended.update(found.ended)
    ledger.accepting = dict(found.accepting)
    ledger.resume_keys = dict(found.resume_keys)
    ledger.kept.update(found.kept)
    for child, parent, kind in found.links:
        ledger.link(child, parent, kind)
    ledger.call_backs = dict(found.call_backs)
    ledger.closed, ledger.closes = dict.fromkeys(found.closed), dict(found.closes)
    ledger.look_every = found.look_every
    if (found.estimates is None) == wants_estimates(naming.plan):
        raise InputError("has estimates where the plan wants none, or none where it does", source="snapshot")
    if found.estimates is not None:
        from omniroute.estimates import Estimates  # only a snapshot with estimates pays for them

        ledger.estimates = Estimates.of_state(naming.core, naming, found.estimates)
    if found.journeys is not None:
        from omniroute.journey import Journeys  # only a snapshot with journeys pays for them

        rules = naming.plan.journey
        if rules is None:
            raise InputError("holds journeys, and its plan keeps none", source="snapshot")
        ledger.journeys = Journeys.of_state(rules, found.journeys, tell=ledger.closings.append)
    ledger.gone.extend(found.gone)
    ledger.recent = {name: at for at, name in found.gone}
    if found.now < 0 or found.now > limits.TIME_MAX or len(ledger.reasons) != len(naming.agent_ids):
        raise InputError("has an instant or a table that does not fit", source="snapshot")
    return ledger
