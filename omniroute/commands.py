"""Commands: what a host tells a router to do, in the imperative. They are values, and the records of a journal.

A command does nothing by itself: ``router.apply(now, command)`` judges it. Fields are only ever appended, so that old
records can be read. Building one checks nothing; the router does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from omniroute.errors import InputError
from omniroute.model import Agent, shown

if TYPE_CHECKING:
    from omniroute.strategies.protocol import Tables

__all__ = [
    "Accept",
    "AgentCard",
    "ChangePlan",
    "Command",
    "Decline",
    "Enqueue",
    "EnqueueMany",
    "Finish",
    "Leave",
    "Reconcile",
    "Release",
    "Requeue",
    "Revise",
    "SetPresence",
    "SignIn",
    "SignInMany",
    "SignOut",
    "Transfer",
    "UpdateAgent",
    "decode",
    "encode",
]

Ref: TypeAlias = str | int | None
"""What the host attaches to an interaction; it comes back in every event about it and means nothing here."""

Presence: TypeAlias = Literal["ready", "not_ready", "draining"]


class AgentCard(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """An agent as a record: the fields of :class:`omniroute.Agent` that routing can see.

    >>> AgentCard.of(Agent("ana", skills={"spanish": 3})).skills
    {'spanish': 3}
    """

    id: str
    skills: dict[str, int] = {}
    labels: dict[str, bool | int | str | list[str]] = {}
    queues: dict[str, int] | None = None
    units: int = 1
    at_most: dict[str, int] = {}
    order: int = 0

    @classmethod
    def of(cls, agent: Agent) -> AgentCard:
        """Return the card of an agent; presence windows are not part of it. O(skills + labels + memberships)."""
        labels = {name: sorted(v) if isinstance(v, frozenset) else v for name, v in agent.labels.items()}
        queues = None if agent.queues is None else dict(agent.queues)
        return cls(agent.id, dict(agent.skills), labels, queues, agent.units, dict(agent.at_most), agent.order)

    def agent(self) -> Agent:
        """Return the agent, with every field checked. Raises PlanError naming the field."""
        labels = {n: frozenset(v) if isinstance(v, list) else v for n, v in self.labels.items()}
        return Agent(
            self.id,
            skills=self.skills,
            labels=labels,
            queues=self.queues,
            units=self.units,
            at_most=self.at_most,
            order=self.order,
        )


class SignIn(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """An agent comes to work: by id where the plan or an earlier card knows the agent, else with a card."""

    agent: str | AgentCard
    ready: bool = True


class SignOut(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An agent goes; with work in hand he drains first."""

    agent: str


class SetPresence(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A signed-in agent says what he is; ``reason`` is the host's own text."""

    agent: str
    presence: Presence
    reason: str = ""


class UpdateAgent(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A known agent gets other skills, labels, memberships, capacity or order; the card replaces what was."""

    agent: AgentCard


class Enqueue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An interaction begins to wait in one queue or in up to eight; the strategy of the first one places it.

    ``needs`` is asked besides what each queue asks. ``head_start_ms`` is waiting credited on top of what the strategy
    gives for ``priority``.
    """

    interaction: str
    queue: str | tuple[str, ...]
    channel: str = "voice"
    needs: str = ""
    priority: int = 0
    head_start_ms: int = 0
    ref: Ref = None


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The customer left while waiting."""

    interaction: str


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent takes an offer."""

    offer: int


class Decline(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent refuses an offer; the interaction keeps its place."""

    offer: int


class Finish(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The conversation is over. ``wrap_up_ms`` None takes that of the interaction's first queue, -1 ends by Release."""

    interaction: str
    wrap_up_ms: int | None = None


class Release(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent is done with it, wrap-up included."""

    interaction: str


class Requeue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent gives a connected interaction back to its old place."""

    interaction: str


class Transfer(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An interaction moves to other queues; None keeps its needs and its priority.

    ``age`` "keep" orders it by the waiting credited so far, "reset" as if it came now.
    """

    interaction: str
    queue: str | tuple[str, ...]
    needs: str | None = None
    priority: int | None = None
    age: Literal["keep", "reset"] = "keep"


class ChangePlan(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Another plan from now on: a :class:`omniroute.Plan`, or its TOML text."""

    plan: Any


class Revise(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Answer a RevisionDue: new tables over the first ``classes`` of the queue times the first ``groups``.

    Columns are row by row of a class, as in :class:`omniroute.strategies.protocol.Tables`; None is 0 everywhere.
    """

    queue: str
    version: int
    classes: int
    groups: int
    opens: tuple[int, ...] | None = None
    rank_out: tuple[int, ...] | None = None
    cost_out: tuple[int, ...] | None = None
    rank_in: tuple[int, ...] | None = None
    cost_in: tuple[int, ...] | None = None
    age_rate: tuple[int, ...] | None = None
    length_rate: tuple[int, ...] | None = None
    offset: tuple[int, ...] | None = None

    @classmethod
    def of(cls, queue: str, version: int, classes: int, groups: int, tables: Tables) -> Revise:
        """Return the command of a strategy's answer. O(cells)."""
        columns = (getattr(tables, name) for name in cls.__struct_fields__[4:])
        return cls(queue, version, classes, groups, *(None if c is None else tuple(c) for c in columns))


class Reconcile(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """After a restart the host says what it knows: presence by agent, and the ids of interactions that live.

    An agent who is not named, or as ``"signed_out"``, is signed out; an interaction that is not named leaves or is
    released.
    """

    agents: dict[str, Literal["ready", "not_ready", "draining", "signed_out"]]
    interactions: tuple[str, ...]


class SignInMany(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Several agents come, in this order; each may be refused by itself."""

    agents: tuple[SignIn, ...]


class EnqueueMany(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Several interactions begin to wait, in this order; each may be refused by itself."""

    interactions: tuple[Enqueue, ...]


Command: TypeAlias = (
    SignIn
    | SignOut
    | SetPresence
    | UpdateAgent
    | Enqueue
    | Leave
    | Accept
    | Decline
    | Finish
    | Release
    | Requeue
    | Transfer
    | ChangePlan
    | Revise
    | Reconcile
    | SignInMany
    | EnqueueMany
)


def _written(value: object) -> object:
    """Write a plan as its TOML text."""
    to_toml = getattr(value, "to_toml", None)
    if to_toml is None:
        raise NotImplementedError(f"a command cannot hold {shown(value)}")
    return to_toml()


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_written)
_DECODER: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


def encode(command: Command) -> bytes:
    """Return a command as a record. O(size). Raises PlanError for a plan with a strategy outside the catalogue.

    >>> decode(encode(Enqueue("c1", "sales")))
    Enqueue(interaction='c1', queue='sales', channel='voice', needs='', priority=0, head_start_ms=0, ref=None)
    """
    return _ENCODER.encode(command)


def decode(data: bytes) -> Command:
    """Return the command of a record, its types checked. O(size). Raises InputError."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"not a command: {error}") from error
