"""The router: commands in, events out, deadlines in between.

A router is a function of its commands. It reads no clock and rolls no dice, holds no lock and starts no thread: the
host brings the time with each command, and asks :meth:`Router.next_deadline` when to come back at the latest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from omniroute import audit, board, closing, contacts, reasons, reconcile, replan, room, snapshot, staffing, turns
from omniroute import commands as c
from omniroute.answers import Answer
from omniroute.core import Core
from omniroute.core.limits import TIME_MAX
from omniroute.door import Door
from omniroute.errors import InvariantError, MisuseError
from omniroute.events import PRESENCES, Event
from omniroute.forms import integer
from omniroute.ledger import Ledger
from omniroute.model import INTEGER_MAX, Agent, shown
from omniroute.naming import Naming
from omniroute.plan import Plan
from omniroute.preview import previewed
from omniroute.strategies.protocol import ClassView, GroupView, Tables
from omniroute.views import (
    AgentView,
    Audit,
    Board,
    InteractionView,
    OfferView,
    Preview,
    Price,
    QueueView,
    Why,
    number_of,
)

if TYPE_CHECKING:
    from omniroute.checks import Duration
    from omniroute.journey_facts import JourneyReport, JourneyView
    from omniroute.strategies.pacing import Room

__all__ = ["Router"]

assert all((closing, contacts, reconcile, replan, staffing, turns))  # each adds its handlers to those of the door


def _begun(core: type[Core], plan: Plan, answers: Sequence[Answer] | None) -> Door:
    naming = Naming.of_plan(core(), plan, answers)
    ledger = Ledger(naming.core, naming)
    ledger.keep_journeys(0)
    ledger.keep_estimates()
    return Door(naming.core, naming, ledger)


class Router:
    """Answer who should handle which interaction, and when.

    Every command takes ``now`` (integer ms, never before the last) and returns events, those of deadlines that were
    due first. What the world knew better comes back as a ``Rejected`` event. What breaks a rule of the door (a wrong
    type, a value out of range, time running backwards, a command from inside a strategy) raises MisuseError,
    TimeError or InputError, and nothing has moved. Cost: the core's, and about 2 us.

    >>> from omniroute import Agent, Plan, Queue
    >>> router = Router(Plan(queues=[Queue("sales")], agents=[Agent("ana")]))
    >>> [type(event).__name__ for event in router.sign_in(0, "ana")]
    ['PresenceChanged']
    >>> offered = router.enqueue(1_000, "call-1", "sales")[-1]
    >>> router.accept(4_000, offered.offer)[0].wait_ms
    3000
    """

    def __init__(self, plan: Plan, answers: Sequence[Answer] | None = None) -> None:
        """Take a plan; with ``answers`` those of a record are read and no strategy is asked, as in :meth:`apply`."""
        if not isinstance(plan, Plan):
            raise MisuseError(f"plan is {shown(plan)}, expected a Plan")
        self._take(_begun(Core, plan, answers))

    def _take(self, door: Door) -> None:
        self._door = door
        self._apply = door.apply
        self._core, self._naming, self._ledger = door.core, door.naming, door.ledger

    @classmethod
    def _on(cls, core: type[Core], plan: Plan, answers: Sequence[Answer] | None = None) -> Router:
        """A router on this core, whichever was chosen for the others."""
        return cls._of(_begun(core, plan, answers))

    @classmethod
    def _of(cls, door: Door) -> Router:
        router = cls.__new__(cls)
        router._take(door)
        return router

    # Time and commands -----------------------------------------------------------------------------------------------

    def apply(
        self, now: int, command: c.Command, answers: Sequence[Answer] | None = None, *, check: bool = False
    ) -> list[Event]:
        """Fire deadlines up to ``now``, judge the command, move, and return what happened, in order.

        With ``answers``, those that :attr:`answers` had after the same command, no strategy is asked. An answer that is
        missing, that nobody asked for, or to another question raises MisuseError; with ``check`` the strategies are
        asked as well, and one that answers otherwise raises InvariantError. Both name the question, nothing has moved,
        and the router goes on. O(state) more where something may be asked, because it is tried on a copy.
        """
        if answers is None:
            if check:
                raise MisuseError("check compares with answers, and none are given")
            return self._apply(now, command)
        door, events = self._door.replay(now, command, answers, check=check)
        if door is not self._door:
            self._take(door)
        return events

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What strategies answered during the last command (or at the start), in order: for its record. O(answers)."""
        return tuple(self._naming.questions.asked)

    def advance(self, now: int) -> list[Event]:
        """Fire deadlines up to ``now``, each at its own time. When this is called changes nothing but how soon."""
        return self._door.advance(now)

    def next_deadline(self) -> int | None:
        """When the next deadline is due, in ms, or None. O(1)."""
        due = self._door.next_due()
        return due if due >= 0 else None

    @property
    def now(self) -> int:
        """The instant of the last command, in ms."""
        return self._door.now

    @property
    def plan(self) -> Plan:
        """The plan that holds now."""
        return self._naming.plan

    @property
    def failures(self) -> Mapping[str, BaseException]:
        """The last exception of each queue's strategy in this process; for people, no part of the state."""
        return self._door.failures

    def sign_in(self, now: int, agent: str | Agent | c.AgentCard, *, ready: bool = True) -> list[Event]:
        """An agent comes: by id where he is known, else with a description. See :class:`commands.SignIn`."""
        return self._apply(now, c.SignIn(c.AgentCard.of(agent) if isinstance(agent, Agent) else agent, ready))

    def sign_in_many(self, now: int, agents: Sequence[str | Agent | c.AgentCard]) -> list[Event]:
        """Several agents come, ready, in this order."""
        cards = (c.AgentCard.of(agent) if isinstance(agent, Agent) else agent for agent in agents)
        return self._apply(now, c.SignInMany(tuple(c.SignIn(card) for card in cards)))

    def sign_out(self, now: int, agent: str) -> list[Event]:
        """An agent goes; with work in hand he drains first."""
        return self._apply(now, c.SignOut(agent))

    def set_presence(
        self, now: int, agent: str, presence: Literal["ready", "not_ready", "draining"], reason: str = ""
    ) -> list[Event]:
        """An agent turns ready, not ready or draining."""
        return self._apply(now, c.SetPresence(agent, presence, reason))

    def set_obligation(self, now: int, agent: str, due: int | None = None) -> list[Event]:
        """By when an agent has to be free. See :class:`commands.SetObligation`."""
        return self._apply(now, c.SetObligation(agent, due))

    def update_agent(self, now: int, agent: Agent | c.AgentCard) -> list[Event]:
        """A known agent gets other skills, memberships, capacity or order."""
        return self._apply(now, c.UpdateAgent(c.AgentCard.of(agent) if isinstance(agent, Agent) else agent))

    def enqueue(
        self,
        now: int,
        interaction: str,
        queue: str | tuple[str, ...],
        *,
        channel: str = "voice",
        needs: str = "",
        priority: int = 0,
        head_start_ms: int = 0,
        ref: c.Ref = None,
        at: int | None = None,
        due: int | None = None,
        resume_key: str = "",
        binds: Sequence[c.Bind] = (),
        value: int = 0,
        held_out: bool = False,
    ) -> list[Event]:
        """An interaction begins to wait. See :class:`commands.Enqueue`."""
        place = (head_start_ms, ref, at, due, resume_key, tuple(binds), (), value, held_out)
        return self._apply(now, c.Enqueue(interaction, queue, channel, needs, priority, *place))

    def arrive(
        self,
        now: int,
        interaction: str,
        *,
        channel: str = "voice",
        context: Mapping[str, bool | int | str | list[str]] | None = None,
        customer: str = "",
        topic: str = "",
        owner: str = "",
        resume_key: str = "",
        ref: c.Ref = None,
        value: int = 0,
        held_out: bool = False,
    ) -> list[Event]:
        """An interaction comes, and the intake of the plan decides where it goes. See :class:`commands.Arrive`."""
        who = (customer, topic, owner, resume_key, ref, value, held_out)
        return self._apply(now, c.Arrive(interaction, channel, dict(context or {}), *who))

    def note(self, now: int, interaction: str, context: Mapping[str, bool | int | str | None]) -> list[Event]:
        """Something was learnt about a customer; it travels with the journey."""
        return self._apply(now, c.Note(interaction, dict(context)))

    def resolve(self, now: int, *, customer: str = "", interaction: str = "") -> list[Event]:
        """What a customer came for is solved."""
        return self._apply(now, c.Resolve(customer, interaction))

    def erase(self, now: int, customer: str) -> list[Event]:
        """Forget a customer's journey at once."""
        return self._apply(now, c.Erase(customer))

    def journey(self, customer: str) -> JourneyView | None:
        """What is kept of a customer, None if nothing. O(fields)."""
        journeys = self._ledger.journeys
        return None if journeys is None else journeys.of(customer)

    def journeys(self) -> JourneyReport | None:
        """What the journeys so far add up to; None where the plan keeps none. O(journeys that live)."""
        journeys = self._ledger.journeys
        return None if journeys is None else journeys.report()

    def enqueue_many(self, now: int, interactions: Sequence[c.Enqueue]) -> list[Event]:
        """Several interactions begin to wait, in this order."""
        return self._apply(now, c.EnqueueMany(tuple(interactions)))

    def leave(self, now: int, interaction: str, *, grace_ms: int = 0) -> list[Event]:
        """The customer left while waiting; his place is kept for so long for who comes with its resume key."""
        return self._apply(now, c.Leave(interaction, grace_ms))

    def cancel(self, now: int, interaction: str, how: str = "cancelled") -> list[Event]:
        """What waits is taken out, which is no abandonment."""
        return self._apply(now, c.Cancel(interaction, how))

    def accept(self, now: int, offer: int) -> list[Event]:
        """The agent takes an offer."""
        return self._apply(now, c.Accept(offer))

    def decline(
        self, now: int, offer: int, cause: Literal["declined", "no_answer", "busy", "unreachable"] = "declined"
    ) -> list[Event]:
        """An offer comes to nothing on the agent's side."""
        return self._apply(now, c.Decline(offer, cause))

    def connect(self, now: int, interaction: str) -> list[Event]:
        """The set-up has come about."""
        return self._apply(now, c.Connect(interaction))

    def fail_setup(self, now: int, interaction: str, *, at: int | None = None) -> list[Event]:
        """The set-up has failed. See :class:`commands.FailSetup`."""
        return self._apply(now, c.FailSetup(interaction, at))

    def hold(self, now: int, interaction: str) -> list[Event]:
        """The agent puts the customer on hold."""
        return self._apply(now, c.Hold(interaction))

    def resume(self, now: int, interaction: str) -> list[Event]:
        """The agent takes up what is on hold."""
        return self._apply(now, c.Resume(interaction))

    def finish(self, now: int, interaction: str, wrap_up_ms: int | None = None) -> list[Event]:
        """The conversation is over; wrap-up follows. See :class:`commands.Finish`."""
        return self._apply(now, c.Finish(interaction, wrap_up_ms))

    def release(self, now: int, interaction: str) -> list[Event]:
        """The agent is done with it, wrap-up included."""
        return self._apply(now, c.Release(interaction))

    def requeue(self, now: int, interaction: str, *, at: int | None = None) -> list[Event]:
        """The agent gives a connected interaction back to its old place."""
        return self._apply(now, c.Requeue(interaction, at))

    def park(self, now: int, interaction: str, until: int | None = None) -> list[Event]:
        """What waits is put aside with its place."""
        return self._apply(now, c.Park(interaction, until))

    def activate(self, now: int, interaction: str, *, anew: bool = False) -> list[Event]:
        """What is parked waits again."""
        return self._apply(now, c.Activate(interaction, anew))

    def update(
        self,
        now: int,
        interaction: str,
        *,
        queue: str | tuple[str, ...] | None = None,
        channel: str | None = None,
        needs: str | None = None,
        priority: int | None = None,
        head_start_ms: int = 0,
    ) -> list[Event]:
        """What waits needs something else, or has another priority. See :class:`commands.Update`."""
        return self._apply(now, c.Update(interaction, queue, channel, needs, priority, head_start_ms))

    def assign(self, now: int, interaction: str, agent: str, *, force: bool = False) -> list[Event]:
        """An agent picks what waits, or is given it."""
        return self._apply(now, c.Assign(interaction, agent, force))

    def occupy(
        self,
        now: int,
        interaction: str,
        agent: str,
        queue: str,
        *,
        channel: str = "voice",
        force: bool = False,
        ref: c.Ref = None,
    ) -> list[Event]:
        """An agent has work that was not routed."""
        return self._apply(now, c.Occupy(interaction, agent, queue, channel, force, ref))

    def consult(
        self,
        now: int,
        interaction: str,
        consultation: str,
        queue: str | tuple[str, ...],
        *,
        needs: str = "",
        priority: int = 0,
        hold: bool = True,
        binds: Sequence[c.Bind] = (),
        ref: c.Ref = None,
    ) -> list[Event]:
        """The agent of an interaction asks for another one. See :class:`commands.Consult`."""
        command = c.Consult(interaction, consultation, queue, needs, priority, hold, tuple(binds), ref)
        return self._apply(now, command)

    def take_over(self, now: int, consultation: str) -> list[Event]:
        """The agent of a consultation takes the interaction."""
        return self._apply(now, c.TakeOver(consultation))

    def assist(
        self,
        now: int,
        interaction: str,
        assistance: str,
        queue: str,
        *,
        channel: str | None = None,
        needs: str = "",
        ref: c.Ref = None,
    ) -> list[Event]:
        """A bot helps while the customer keeps the place. See :class:`commands.Assist`."""
        return self._apply(now, c.Assist(interaction, assistance, queue, channel, needs, ref))

    def call_back(
        self,
        now: int,
        interaction: str,
        *,
        first: Literal["agent", "customer"] = "agent",
        channel: str | None = None,
        ahead: int = 0,
        tries: int = 3,
        gap_ms: int = 300_000,
    ) -> list[Event]:
        """What waits becomes a call-back that keeps its place. See :class:`commands.CallBack`."""
        return self._apply(now, c.CallBack(interaction, first, channel, ahead, tries, gap_ms))

    def close_queue(
        self, now: int, queue: str, *, waiting: Literal["keep", "cancel", "move"] = "keep", to: str = ""
    ) -> list[Event]:
        """Nothing more enters a queue. See :class:`commands.CloseQueue`."""
        return self._apply(now, c.CloseQueue(queue, waiting, to))

    def open_queue(self, now: int, queue: str, *, until: int | None = None) -> list[Event]:
        """A closed queue takes interactions again. See :class:`commands.OpenQueue`."""
        return self._apply(now, c.OpenQueue(queue, until))

    def transfer(
        self,
        now: int,
        interaction: str,
        queue: str | tuple[str, ...],
        *,
        needs: str | None = None,
        priority: int | None = None,
        age: Literal["keep", "reset"] = "keep",
        binds: Sequence[c.Bind] = (),
        channel: str | None = None,
    ) -> list[Event]:
        """An interaction moves to other queues. See :class:`commands.Transfer`."""
        return self._apply(now, c.Transfer(interaction, queue, needs, priority, age, tuple(binds), channel))

    def change_plan(self, now: int, plan: Plan | str) -> list[Event]:
        """Another plan from now on. O(size of the plan + live + cells of the tables that change)."""
        return self._apply(now, c.ChangePlan(plan))

    def revise(self, now: int, queue: str, version: int, tables: Tables) -> list[Event]:
        """Answer a RevisionDue with tables over all of :meth:`revision_views`."""
        classes, groups = self.revision_views(queue)
        return self._apply(now, c.Revise.of(queue, version, len(classes), len(groups), tables))

    def reconcile(self, now: int, agents: Mapping[str, str], interactions: Sequence[str]) -> list[Event]:
        """After a restart: bring the router to what the host knows. See :class:`commands.Reconcile`."""
        return self._apply(now, c.Reconcile(dict(agents), tuple(interactions)))  # type: ignore[arg-type]

    def extend(self, now: int, by_ms: int) -> list[Event]:
        """Nobody could be heard for a while: live offers and set-ups get so much more time."""
        return self._apply(now, c.Extend(by_ms))

    # Copies and checks -----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state as bytes; a plan with a strategy outside the catalogue is left out. O(state)."""
        return snapshot.write(self.now, self._naming, self._ledger)

    @classmethod
    def restore(cls, data: bytes, plan: Plan | None = None) -> Router:
        """The router of a snapshot; ``plan`` is needed where the snapshot has none. O(state). Raises InputError."""
        now, naming, ledger = snapshot.read(Core, data, plan)
        return cls._of(Door(naming.core, naming, ledger, now))

    def digest(self) -> str:
        """A hash of the state: equal for equal commands, on any machine and either core. O(state)."""
        return snapshot.digest(self.now, self._naming, self._ledger)

    def fork(self) -> Router:
        """A copy that lives on by itself. O(state)."""
        return self._of(self._door.fork())

    def check(self) -> None:
        """Prove every invariant. O(state), and more on the reference core.

        Raises InvariantError naming those that do not hold; the router then refuses every command.
        """
        broken = [*self._core.check(), *audit.misnamed(self._ledger)]
        if broken:
            self._door.shut("; ".join(broken))
            raise InvariantError("\n".join(broken))

    def audit(self) -> Audit:
        """Count everything that lives, and name what holds capacity without a deadline. O(state)."""
        return audit.counted(self._ledger)

    # Reading ---------------------------------------------------------------------------------------------------------

    def queue(self, name: str) -> QueueView:
        """A queue of the plan. O(1), or O(conditions) where it is estimated. Raises UnknownNameError."""
        q, estimates = number_of("queue", name, self._naming.queues), self._ledger.estimates
        numbers = self._core.queue(q)
        waiting, version, entered, connected, in_target, abandoned = numbers
        return QueueView(
            name=name,
            waiting=waiting,
            version=version,
            entered=entered,
            connected=connected,
            in_target=in_target,
            abandoned=abandoned,
            expected_wait_ms=None if estimates is None else estimates.value("wait", q),
            service_level=None if estimates is None else estimates.value("service_level", q),
        )

    def agent(self, name: str) -> AgentView:
        """An agent that the plan or a card made known. O(channels + live offers). Raises UnknownNameError."""
        j = number_of("agent", name, self._naming.agents)
        presence, group, used, idle_since, handled, rest, *counts = self._core.agent(j)
        return AgentView(
            id=name,
            presence=PRESENCES[presence],
            reason=self._ledger.reasons[j],
            units_in_use=used,
            units=self._naming.group_views[group].units,
            idle_since=idle_since,
            handled=handled,
            rests_until=rest if rest >= 0 else None,
            holds=self._naming.capacity.held(counts),
            offers=tuple(sorted(offer for offer, (_, to, _) in self._ledger.offers.items() if to == j)),
            obligation=None if (due := self._core.obligation(j)[1]) < 0 else due,
        )

    def interaction(self, name: str) -> InteractionView:
        """A live interaction. O(entries + live offers). Raises UnknownNameError, also for one that has gone."""
        return reasons.seen(self._door, name, number_of("interaction", name, self._ledger.numbers))

    def board(self, now: int | None = None) -> Board:
        """Who waits and who works, counted, as a wallboard shows it; waits are those at ``now``, if that is later.

        O(interactions + agents + queues * groups).
        """
        return board.looked(self._door, self.now if now is None else max(now, self.now))

    def live(self) -> dict[str, tuple[str, str]]:
        """Every live interaction: its state, and the first of its queues. O(interactions)."""
        return board.live(self._door)

    def in_hand(self, agent: str) -> tuple[str, ...]:
        """What an agent has, from set-up to wrap-up, by name. O(live), 1 ns of each. Raises UnknownNameError."""
        numbers = self._core.in_hand(number_of("agent", agent, self._naming.agents))
        return tuple(sorted(self._ledger.ids[i] for i in numbers))

    def offer(self, offer: int) -> OfferView:
        """A live offer, as it was told. O(1). Raises UnknownNameError, also for one that has ended."""
        return reasons.offered(self._door, offer)

    def waiting(self, queue: str, limit: int = 100) -> list[str]:
        """Who waits in a queue without all its offers made, in order. O(limit * classes). Raises UnknownNameError."""
        if type(limit) is not int or limit < 0:
            raise MisuseError(f"limit is {shown(limit)}, expected an integer >= 0")
        q = number_of("queue", queue, self._naming.queues)
        return [self._ledger.ids[i] for i in self._core.waiting(q, limit)]

    def position(self, interaction: str) -> int:
        """1 + who is ahead in its first queue, 0 when it does not wait. O(classes * log). Raises UnknownNameError."""
        return self._core.position(number_of("interaction", interaction, self._ledger.numbers))

    def room(
        self,
        queue: str,
        *,
        within: Duration = "20s",
        sure: float | str = "90%",
        take: float | str = "100%",
        invited: int = 0,
        channel: str = "voice",
        needs: str = "",
    ) -> Room | None:
        """How many customers may be approached now; None where ``Plan.paced`` has not let anything be known.

        With the chance ``sure`` or more, nobody waits ``within`` from now of those who wait, who arrive by then and who
        come because they were approached, each with the chance ``take``, as far as they want the same agents.
        ``invited`` were approached before and may still come. Nothing while a queue with these agents is below its
        target. How it is counted: :mod:`omniroute.strategies.pacing`. O(agents + live + classes * groups), and O(in
        hand * standard deviation). Raises UnknownNameError, MisuseError, PlanError for no duration or share.
        """
        return room.room(self._door, (queue, channel, needs, within), sure=sure, take=take, invited=invited)

    def why(self, interaction: str, agent: str) -> tuple[Why, ...]:
        """Why the agent does not get the interaction, for each of its queues; empty when it does not wait.

        O(entries * (exclusions + live offers) + atoms). Raises UnknownNameError.
        """
        i = number_of("interaction", interaction, self._ledger.numbers)
        return reasons.why(self._door, i, number_of("agent", agent, self._naming.agents))

    def price(self, interaction: str, agent: str, *, weights: Mapping[str, float] | None = None) -> tuple[Price, ...]:
        """What the match would earn and concede, for each queue of the interaction that has the revenue strategy.

        ``weights`` are those that a desk has moved, ``desk.weights``; else the strategy's own count. O(agents), and
        O(metrics) for each group with a ready agent. Raises UnknownNameError, MisuseError for a rule that answers ill.
        """
        i = number_of("interaction", interaction, self._ledger.numbers)
        return reasons.prices(self._door, i, number_of("agent", agent, self._naming.agents), weights or {})

    def timeline(self, interaction: str, *, within_ms: int = 3_600_000, limit: int = 100) -> list[Event]:
        """What will happen to an interaction if nobody does anything more: its next events, in order.

        Steps, openings, offers and their ends, retries, activations: a copy of the router goes on by itself, for at
        most ``within_ms`` and ``limit`` events. O(state + what happens). Raises UnknownNameError, MisuseError.
        """
        number_of("interaction", interaction, self._ledger.numbers)
        for what, value in (("within_ms", within_ms), ("limit", limit)):
            integer(what, value, 0, INTEGER_MAX)
        copied, found = self.fork(), list[Event]()
        until = min(self.now + within_ms, TIME_MAX)
        while (due := copied.next_deadline()) is not None and due <= until and len(found) < limit:
            found += [event for event in copied.advance(due) if getattr(event, "interaction", None) == interaction]
        return found[:limit]

    def preview(self, plan: Plan | str, *, limit: int = 100) -> Preview:
        """What :meth:`change_plan` would do now to those who wait, tried on a copy: nothing moves.

        Able is whom the plan's tables ever let take an interaction where it stands then, signed in, whatever else keeps
        him: room, presence, openings, conditions, ties. O(state + size of the plan + events). Raises as change_plan.
        """
        integer("limit", limit, 0, INTEGER_MAX)
        return previewed(self._door, plan, limit)

    def revision_views(self, queue: str) -> tuple[list[ClassView], list[GroupView]]:
        """The classes and groups that a revision of a queue answers for. O(both). Raises UnknownNameError."""
        q = number_of("queue", queue, self._naming.queues)
        views = [self._naming.class_names[k].view for k in self._naming.queue_classes[q]]
        return views, self._naming.group_views.copy()

    def staff(self) -> dict[str, tuple[int, bool]]:
        """By agent: the place of the group in :meth:`revision_views`, and whether the agent is ready. O(agents)."""
        rows = ((name, self._core.agent(j)) for name, j in self._naming.agents.items())
        return {name: (row[1], PRESENCES[row[0]] == "ready") for name, row in rows}

    def home(self, agent: str) -> int:
        """The place of an agent's group in :meth:`revision_views` when time enough is left. Raises UnknownNameError."""
        return self._core.obligation(number_of("agent", agent, self._naming.agents))[0]
