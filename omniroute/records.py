"""Records: a command with its instant and with what strategies answered, as bytes and back.

A plan is written as its text. A strategy outside the catalogue has no text: its name and its terms are written, and
what is read has an :class:`omniroute.strategies.protocol.Absent` in its place, which a replay never asks.
"""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

from omniroute import commands as c
from omniroute.answers import Answer
from omniroute.core.codes import AgentKey
from omniroute.errors import InputError, PlanError
from omniroute.plan import Plan, Queue
from omniroute.plan_numbers import agent_key_of, control_interval, handle_permille
from omniroute.strategies import catalogue
from omniroute.strategies.protocol import Absent

__all__ = ["Record", "decode", "encode"]


class _Terms(msgspec.Struct, frozen=True, array_like=True):
    """What a plan needs to know of a strategy whose code is not here; ``interval`` -1 for none."""

    queue: str
    name: str
    version: int
    key: int
    interval: int
    edges: tuple[int, ...] = ()
    permille: int | None = None


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One line of a journal: ``router.apply(now, command, answers)`` does what was done when it was written."""

    now: int
    command: c.Command
    answers: tuple[Answer, ...] = ()


class _Written(msgspec.Struct, frozen=True, array_like=True):
    """A record as it is stored; ``absent`` are the strategies that the text of a plan cannot name."""

    now: int
    command: c.Command
    answers: tuple[Answer, ...] = ()
    absent: tuple[_Terms, ...] = ()


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Written)


def encode(record: Record) -> bytes:
    """Return a record as bytes; equal records give equal bytes. O(size).

    >>> decode(encode(Record(5, c.Enqueue("c1", "sales")))).command.interaction
    'c1'
    """
    command: c.Command = record.command
    absent: tuple[_Terms, ...] = ()
    if isinstance(command, c.ChangePlan) and isinstance(command.plan, Plan):
        absent = tuple(_terms(queue) for queue in command.plan.queues if _is_foreign(queue.strategy))
        queues = [attrs.evolve(q, strategy=None) if _is_foreign(q.strategy) else q for q in command.plan.queues]
        command = c.ChangePlan(attrs.evolve(command.plan, queues=queues).to_toml())
    return _ENCODER.encode(_Written(record.now, command, record.answers, absent))


def decode(data: bytes) -> Record:
    """Return the record of bytes, its types checked. O(size). Raises InputError.

    The plan of a ChangePlan stays text unless it has a strategy whose code is not here.
    """
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a record: {error}") from error
    command = found.command
    if found.absent:
        if not isinstance(command, c.ChangePlan) or not isinstance(command.plan, str):
            raise InputError("not a record: only a plan has strategies")
        command = c.ChangePlan(_with(Plan.from_toml_text(command.plan), found.absent))
    return Record(found.now, command, found.answers)


def _is_foreign(strategy: Any) -> bool:
    """Whether the text of a plan cannot name a strategy. O(parameters)."""
    if strategy is None:
        return False
    try:
        catalogue.describe(strategy)
    except PlanError:
        return True
    return False


def _terms(queue: Queue) -> _Terms:
    strategy: Any = queue.strategy
    terms = (strategy.version, agent_key_of(queue), control_interval(queue))
    edges = tuple(getattr(strategy, "edges_ms", ()))
    return _Terms(queue.name, strategy.name, *terms, edges, handle_permille(queue))


def _with(plan: Plan, absent: tuple[_Terms, ...]) -> Plan:
    """A plan with stand-ins for its absent strategies. Raises InputError."""
    stands: dict[str, Absent] = {}
    for of in absent:
        if not 0 <= of.key < len(AgentKey):
            raise InputError(f"not a record: {of.queue!r} has no agent key {of.key}")
        stands[of.queue] = Absent(
            name=of.name,
            version=of.version,
            agent_key=AgentKey(of.key),
            interval_ms=None if of.interval < 0 else of.interval,
            edges_ms=of.edges,
            handle_permille=of.permille,
        )
    queues = [attrs.evolve(q, strategy=stands.pop(q.name)) if q.name in stands else q for q in plan.queues]
    if stands:
        raise InputError(f"not a record: {min(stands)!r} has a strategy, and the plan has no such queue")
    return attrs.evolve(plan, queues=queues)
