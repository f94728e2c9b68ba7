"""Commands: what a host tells a router to do, in the imperative. They are values, and the records of a journal.

A command does nothing by itself: ``router.apply(now, command)`` judges it. Fields are only ever appended, so that old
records can be read. Building one checks nothing; the router does.
"""

from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import msgspec

from omniroute.errors import InputError
from omniroute.model import Agent, shown, thousandths

if TYPE_CHECKING:
    from omniroute.strategies.protocol import Tables

__all__ = [
    "Accept",
    "Activate",
    "AgentCard",
    "Arrive",
    "Assign",
    "Assist",
    "Bind",
    "CallBack",
    "Cancel",
    "ChangePlan",
    "CloseQueue",
    "Command",
    "Connect",
    "Consult",
    "Decline",
    "Enqueue",
    "EnqueueMany",
    "Erase",
    "Extend",
    "FailSetup",
    "Finish",
    "Hold",
    "Leave",
    "Note",
    "Occupy",
    "OpenQueue",
    "Park",
    "Reconcile",
    "Release",
    "Requeue",
    "Resolve",
    "Resume",
    "Revise",
    "SetObligation",
    "SetPresence",
    "SignIn",
    "SignInMany",
    "SignOut",
    "TakeOver",
    "Transfer",
    "Update",
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
    label_at_most: dict[str, int] = {}
    auto_accept: bool = False
    burst: int = 0
    burst_per_ms: int = 60_000
    delays: dict[str, int] = {}
    weight: int = 1
    shares: dict[str, int] = {}
    occupancy_at_most: int = 1_000

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """Return the card of an agent; presence windows are not part of it. O(skills + labels + memberships)."""
        labels = {name: sorted(v) if isinstance(v, frozenset) else v for name, v in agent.labels.items()}
        queues = None if agent.queues is None else dict(agent.queues)
        return cls(
            agent.id,
            dict(agent.skills),
            labels,
            queues,
            agent.units,
            dict(agent.at_most),
            agent.order,
            dict(agent.label_at_most),
            agent.auto_accept,
            agent.burst,
            agent.burst_per_ms,
            dict(agent.delays),
            agent.weight,
            {name: thousandths(share) for name, share in agent.shares.items()},
            thousandths(agent.occupancy_at_most),
        )

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
            label_at_most=self.label_at_most,
            auto_accept=self.auto_accept,
            burst=self.burst,
            burst_per_ms=self.burst_per_ms,
            delays=self.delays,
            weight=self.weight,
            shares={name: f"{share // 10}.{share % 10}%" for name, share in self.shares.items()},
            occupancy_at_most=f"{self.occupancy_at_most // 10}.{self.occupancy_at_most % 10}%",
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


class SetObligation(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """By when an agent has to be free: ``due`` is when the shift ends, a break or a meeting begins, None nothing ahead.

    It holds until another one is told or the agent is signed out. What a strategy makes of it is its own.
    """

    agent: str
    due: int | None = None


class UpdateAgent(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A known agent gets other skills, labels, memberships, capacity or order; the card replaces what was."""

    agent: AgentCard


class Bind(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tie between an interaction and an agent: ``prefer`` him, ``only`` he may have it, or ``forbid``.

    ``for_ms`` is how long it holds (None: while the interaction waits; a ``forbid``: as long as it lives). The others
    end when he declines, does not answer or signs out, and are not made with one who has; what was for him only is for
    everybody then. ``anyhow`` ignores what he should be able to do.
    """

    agent: str
    kind: Literal["prefer", "only", "forbid"] = "prefer"
    for_ms: int | None = None
    anyhow: bool = False


class Enqueue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An interaction begins to wait in one queue or in up to eight; the strategy of the first one places it.

    ``needs`` is asked besides what each queue asks. ``head_start_ms`` is waiting credited on top of what the strategy
    gives for ``priority``. ``at`` is when it begins to wait (None: now); until then it is parked. ``due`` orders it by
    when it should be answered at the latest instead of by its arrival. A new interaction with the ``resume_key`` of one
    that left a short while ago gets its place. ``binds`` tie it to agents. ``labels`` are those of the plan that limits
    of agents may name. ``value`` is what it may be worth in minor units; strategies see the band of the plan that it is
    in, and whether it is ``held_out`` of what they do for value.
    """

    interaction: str
    queue: str | tuple[str, ...]
    channel: str = "voice"
    needs: str = ""
    priority: int = 0
    head_start_ms: int = 0
    ref: Ref = None
    at: int | None = None
    due: int | None = None
    resume_key: str = ""
    binds: tuple[Bind, ...] = ()
    labels: tuple[str, ...] = ()
    value: int = 0
    held_out: bool = False


class Arrive(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """An interaction comes, with what the host knows about it; the intake of the plan decides where it goes.

    ``customer`` and ``topic`` make it a contact of a journey, where the plan keeps journeys; ``owner`` is the agent who
    owns the customer. What the rules leave to self-service is parked in its queue: Activate brings it to a person,
    Cancel says that it was solved. ``value`` and ``held_out`` are those of Enqueue; of ``value`` and what the rules say
    the greatest counts.
    """

    interaction: str
    channel: str = "voice"
    context: dict[str, bool | int | str | list[str]] = {}
    customer: str = ""
    topic: str = ""
    owner: str = ""
    resume_key: str = ""
    ref: Ref = None
    value: int = 0
    held_out: bool = False


class Note(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Something was learnt about the customer of an interaction; it travels with the journey. None forgets a field."""

    interaction: str
    context: dict[str, bool | int | str | list[str] | None]


class Resolve(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What a customer came for is solved, says the host: by the customer, or by a live interaction."""

    customer: str = ""
    interaction: str = ""


class Erase(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Forget a customer's journey at once."""

    customer: str


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The customer left while waiting; his place is kept for ``grace_ms`` for who comes with its resume key."""

    interaction: str
    grace_ms: int = 0


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What waits is taken out, which is no abandonment; ``how`` is the host's word, such as "self_served"."""

    interaction: str
    how: str = "cancelled"


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent takes an offer."""

    offer: int


class Decline(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An offer comes to nothing on the agent's side, and why; the interaction keeps its place."""

    offer: int
    cause: Literal["declined", "no_answer", "busy", "unreachable"] = "declined"


class Connect(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The set-up has come about: customer and agent are together."""

    interaction: str


class FailSetup(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The set-up has failed, which is not the agent's fault; the interaction waits in its old place.

    With ``at`` it is parked until then first. A call-back is tried again after its own gap, as often as it allows.
    """

    interaction: str
    at: int | None = None


class Hold(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent puts the customer on hold."""

    interaction: str


class Resume(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent takes up what is on hold."""

    interaction: str


class Park(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What waits is put aside until ``until`` (None: until Activate); it keeps its place, and its wait stands still."""

    interaction: str
    until: int | None = None


class Activate(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What is parked waits again; ``anew`` its wait and its steps count from now, its place does not."""

    interaction: str
    anew: bool = False


class Update(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What waits needs something else, or has another priority; None keeps. Its waits and steps go on.

    ``head_start_ms`` is credited on top of what the strategy gives for the priority.
    """

    interaction: str
    queue: str | tuple[str, ...] | None = None
    channel: str | None = None
    needs: str | None = None
    priority: int | None = None
    head_start_ms: int = 0


class Assign(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An agent picks what waits, or is given it; ``force`` goes beyond his room."""

    interaction: str
    agent: str
    force: bool = False


class Occupy(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An agent has work that was not routed (an outbound call, a walk-in); it takes his capacity at once."""

    interaction: str
    agent: str
    queue: str
    channel: str = "voice"
    force: bool = False
    ref: Ref = None


class Consult(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent of an interaction asks for another one: ``consultation`` waits in a queue, tied to the interaction.

    ``hold`` puts the customer on hold. It ends with the interaction.
    """

    interaction: str
    consultation: str
    queue: str | tuple[str, ...]
    needs: str = ""
    priority: int = 0
    hold: bool = True
    binds: tuple[Bind, ...] = ()
    ref: Ref = None


class TakeOver(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent of a consultation takes the interaction; the consultation is over."""

    consultation: str


class Assist(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A bot helps while the customer keeps the place: ``assistance`` waits in the bots' queue, tied to what waits.

    It ends when the customer is connected to somebody, or goes.
    """

    interaction: str
    assistance: str
    queue: str
    channel: str | None = None
    needs: str = ""
    ref: Ref = None


class CallBack(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What waits becomes a call-back that keeps its place.

    ``first`` "agent": it is offered in its turn and the agent's set-up is the call. "customer": it is parked, and
    CallBackDue says when no more than ``ahead`` are before it; Activate when he answers, FailSetup when he does not.
    After ``tries`` failures it is cancelled, ``gap_ms`` lie between two. Once connected it is one no longer.
    """

    interaction: str
    first: Literal["agent", "customer"] = "agent"
    channel: str | None = None
    ahead: int = 0
    tries: int = 3
    gap_ms: int = 300_000


class CloseQueue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Nothing more enters a queue. What waits in it stays, is cancelled, or moves to the queue ``to``.

    What waits elsewhere as well leaves only this queue.
    """

    queue: str
    waiting: Literal["keep", "cancel", "move"] = "keep"
    to: str = ""


class OpenQueue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A closed queue takes interactions again; ``until`` is when it will close, where that is known.

    A queue that is open hears another ``until`` in this way. It closes by CloseQueue all the same.
    """

    queue: str
    until: int | None = None


class Finish(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The conversation is over. ``wrap_up_ms`` None takes that of the queue by which it came, -1 ends by Release."""

    interaction: str
    wrap_up_ms: int | None = None


class Release(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent is done with it, wrap-up included."""

    interaction: str


class Requeue(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """The agent gives a connected interaction back to its old place; with ``at`` it is parked until then first."""

    interaction: str
    at: int | None = None


class Transfer(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """An interaction moves to other queues; None keeps its needs and its priority.

    ``age`` "keep" orders it by the waiting credited so far, "reset" as if it came now. A transfer to an agent is one
    that ``binds`` it to him; whose queue it was says what happens when he does not take it.
    """

    interaction: str
    queue: str | tuple[str, ...]
    needs: str | None = None
    priority: int | None = None
    age: Literal["keep", "reset"] = "keep"
    binds: tuple[Bind, ...] = ()
    channel: str | None = None


class ChangePlan(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Another plan from now on: a :class:`omniroute.Plan`, or its TOML text."""

    plan: Any


class Revise(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Answer a RevisionDue: new tables over the first ``classes`` of the queue times the first ``groups``.

    Columns are row by row of a class, as in :class:`omniroute.strategies.protocol.Tables`, which says what None means.
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
    age_cap: tuple[int, ...] | None = None

    @classmethod
    def of(cls, queue: str, version: int, classes: int, groups: int, tables: "Tables") -> Self:
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


class Extend(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Nobody could be heard for a while: live offers and set-ups get ``by_ms`` more, 1 ms to 24.8 days."""

    by_ms: int


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
    | Extend
    | Cancel
    | Connect
    | FailSetup
    | Hold
    | Resume
    | Park
    | Activate
    | Update
    | Assign
    | Occupy
    | Consult
    | TakeOver
    | Assist
    | CallBack
    | CloseQueue
    | OpenQueue
    | Arrive
    | Note
    | Resolve
    | Erase
    | SignInMany
    | EnqueueMany
    | SetObligation
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

    >>> decode(encode(Leave("c1")))
    Leave(interaction='c1', grace_ms=0)
    """
    return _ENCODER.encode(command)


def decode(data: bytes) -> Command:
    """Return the command of a record, its types checked. O(size). Raises InputError."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a command: {error}") from error
