"""The door: every command is judged here, moved by the core, and told as events.

Each handler has the same shape. Its form and its text are looked at first and may raise: nothing has moved, not even
time. Then :meth:`Door.begin` fires the deadlines up to ``now``. Then it is judged, accepted or refused with a
``Rejected`` event, and nothing may raise any more: an error behind that point shuts the door for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from omniroute import commands as c
from omniroute import forms
from omniroute.answers import HEAD_START_MAX, Answer, ReplayedError
from omniroute.core import limits
from omniroute.core.codes import Reason
from omniroute.core.lifecycle import INTERACTION, REFUSALS, InteractionMove, InteractionState
from omniroute.errors import InvariantError, MisuseError, TimeError
from omniroute.events import CLOSED, REASONS, Event, Rejected, StrategyFailed
from omniroute.ledger import Ledger
from omniroute.model import INTEGER_MAX, INTEGER_MIN, Agent, shown
from omniroute.naming import Ask, Naming, Wish
from omniroute.obligations import is_obliged, new_groups
from omniroute.plan_numbers import lane_of

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["HANDLERS", "REACTIONS", "WISHES", "Door"]

_TIME_MAX: Final = limits.TIME_MAX
_BUSY: Final = "a command is being handled: no command from inside a strategy or from another thread"
_MOVING: Final = _BUSY + ", it has begun to move"


class Door:
    """The core, the names, and the one function through which every command goes."""

    def __init__(self, core: Core, naming: Naming, ledger: Ledger, now: int = 0) -> None:
        self.core = core
        self.naming = naming
        self.ledger = ledger
        self.now = now
        self.failures: dict[str, BaseException] = {}
        self._shut: str | None = None
        self._numbers = ledger.numbers
        self._asks = naming.asks
        self._asked = naming.questions.asked
        self._gone = ledger.gone
        self._next_deadline = core.next_deadline

    def apply(self, now: int, command: c.Command) -> list[Event]:
        """Handle one command; see :meth:`omniroute.Router.apply`."""
        if self._shut is not None:
            self._refuse_all()
        if self._asked:
            self._asked.clear()
        handler = HANDLERS.get(type(command))
        if handler is None:
            raise MisuseError(f"expected a command, got {shown(command)}")
        self._shut = _BUSY
        try:
            events = handler(self, now, command)
            if self.ledger.due_reactions:
                self.react(events)
            if self.ledger.closings:
                self.ledger.tell_closings(events)
            return events
        except BaseException as error:
            if self._shut is _MOVING:
                self.shut(f"{type(command).__name__} at {now} failed half way: {error!r}")
            raise
        finally:
            shut = self._shut
            if shut is _MOVING or shut is _BUSY:
                self._shut = None

    def replay(
        self, now: int, command: c.Command, answers: Sequence[Answer], *, check: bool
    ) -> tuple[Door, list[Event]]:
        """Handle a command whose questions are answered by its record; the door that holds now, and what happened.

        Where something may be asked, that is a copy of this one: what raises has moved nothing. O(state) then.
        """
        if self._shut is not None:
            self._refuse_all()
        copied = bool(answers) or self._may_ask(command)
        self._shut = _BUSY
        try:
            door = self.fork() if copied else self
            self._shut = None if door is self else _BUSY
            questions = door.naming.questions
            questions.read(answers, check=check)
            try:
                events = door.apply(now, command)
                questions.all_read()
            finally:
                questions.live()
        finally:
            if self._shut is _BUSY:
                self._shut = None
        return door, events

    def fork(self) -> Door:
        """A copy that lives on by itself. O(state)."""
        core = self.core.fork()
        naming = self.naming.fork(core)
        door = Door(core, naming, self.ledger.fork(core, naming), self.now)
        door.failures.update(self.failures)
        return door

    def _may_ask(self, command: c.Command) -> bool:
        """Whether a command could ask a strategy, whatever deadlines before it bring. Its form may raise."""
        if isinstance(command, c.Enqueue):
            return self._would_ask(self._checked_enqueue(command))
        if isinstance(command, c.EnqueueMany):
            return any(
                self._would_ask(self._checked_enqueue(item)) for item in forms.many(command.interactions, c.Enqueue)
            )
        if isinstance(command, c.Transfer):
            return self._would_ask(self._checked_transfer(command))
        if isinstance(command, c.SignIn):
            return self._is_new(forms.sign_in(command))
        if isinstance(command, c.SignInMany):
            return any(self._is_new(forms.sign_in(item)) for item in forms.many(command.agents, c.SignIn))
        if isinstance(command, c.UpdateAgent):
            return self._is_new(forms.card(command.agent))
        if isinstance(command, c.SetObligation):
            j = self.naming.agents.get(command.agent) if isinstance(command.agent, str) else None
            return j is not None and new_groups(self.naming, self.naming.agent_values[j], obliged=True) > 0
        if type(command) in WISHES:
            wishes = WISHES[type(command)](self, command)
            return wishes is None or any(self._would_ask(wish) for wish in wishes)
        return isinstance(command, c.ChangePlan)

    def _would_ask(self, ask: Ask | Wish) -> bool:
        return isinstance(ask, Wish) and self.naming.would_ask(ask)

    def _is_new(self, card: Agent | None) -> bool:
        return card is not None and new_groups(self.naming, card, obliged=is_obliged(self.naming, card.id)) > 0

    def _refuse_all(self) -> NoReturn:
        if self._shut in (_BUSY, _MOVING):
            raise MisuseError(_BUSY)
        raise InvariantError(f"this router refuses all commands: {self._shut}")

    def shut(self, why: str) -> None:
        """Refuse every command from now on. O(1)."""
        self._shut = why

    def begin(self, now: int) -> list[Event]:
        """Let time pass: fire deadlines, tell them, forget who went long ago. Raises TimeError, then nothing moved."""
        if type(now) is not int or not self.now <= now <= _TIME_MAX:
            raise TimeError(f"now is {shown(now)}, allowed is an integer in {self.now}..{limits.TIME_MAX}")
        events: list[Event] = []
        self._shut = _MOVING
        if 0 <= self._next_deadline() <= now or self.ledger.journeys is not None:
            self._pass(now, events)
        self.now = now
        gone = self._gone
        if gone and gone[0][0] <= now - self.naming.plan.retention_ms:
            self.ledger.purge(now - self.naming.plan.retention_ms)
        return events

    def next_due(self) -> int:
        """The next deadline of the core or of a journey, -1 for none. O(1)."""
        due = self._next_deadline()
        journeys = self.ledger.journeys
        closing = None if journeys is None else journeys.next_due
        return due if closing is None or 0 <= due <= closing else closing

    def _pass(self, now: int, events: list[Event]) -> None:
        """Fire the deadlines up to ``now``; what the door has to answer, it answers at the instant of each."""
        ledger = self.ledger
        while 0 <= (due := self.next_due()) <= now:
            self.now = max(self.now, due)
            if ledger.journeys is not None:
                ledger.journeys.purge(self.now)
                ledger.tell_closings(events)
            self.core.advance(self.now)
            ledger.tell(events)
            if ledger.due_reactions:
                self.react(events)

    def react(self, events: list[Event]) -> None:
        """Answer what the last events ask of the door, and what the answers ask. O(reactions)."""
        reactions = self.ledger.due_reactions
        while reactions:
            what, i = reactions.pop(0)
            REACTIONS[what](self, i, events)

    def advance(self, now: int) -> list[Event]:
        """Let time pass and nothing else; see :meth:`omniroute.Router.advance`."""
        if self._shut is not None:
            self._refuse_all()
        self._asked.clear()
        try:
            events = self.begin(now)
            self.core.advance(now)
        except BaseException as error:
            if self._shut is _MOVING:
                self.shut(f"advance to {now} failed half way: {error!r}")
            raise
        self._shut = None
        return events

    def refuse(
        self, events: list[Event], command: c.Command, reason: int, subject: str, detail: str = "", ref: c.Ref = None
    ) -> list[Event]:
        """Tell a refusal: time passes, nothing else moved. O(1)."""
        self.core.advance(self.now)
        name = type(command).__name__
        seq = self.ledger.next_seq()
        events.append(Rejected(seq, self.now, name, REASONS[reason], subject[:128], detail, ref))
        return events

    def tell_failures(self, events: list[Event]) -> None:
        """Tell which strategies failed since the last time. O(failures)."""
        for queue, strategy, error in self.naming.failures:
            self.failures[queue] = error
            seq, kind = self.ledger.next_seq(), type(error).__name__
            kind = error.kind if isinstance(error, ReplayedError) else kind
            events.append(StrategyFailed(seq, self.now, queue, strategy, kind))
        self.naming.failures.clear()

    # Interactions ----------------------------------------------------------------------------------------------------

    def is_open(self, channel: str) -> bool:
        """Whether the plan has this channel. O(channels)."""
        return any(channel == known.name for known in self.naming.plan.channels)

    def _enqueue(self, now: int, command: c.Enqueue) -> list[Event]:
        ask = self._checked_enqueue(command)
        return self._enqueued(self.begin(now), command, ask)

    def _checked_enqueue(self, command: c.Enqueue) -> Ask | Wish:
        """Look at the form of an enqueue; what has been asked before is known at once."""
        name, priority, head_start, ref = command.interaction, command.priority, command.head_start_ms, command.ref
        self.checked_name(name, ref)
        if type(priority) is not int or not INTEGER_MIN <= priority <= INTEGER_MAX:
            forms.integer("priority", priority, INTEGER_MIN, INTEGER_MAX)
        if type(head_start) is not int or not 0 <= head_start <= HEAD_START_MAX:
            forms.integer("head_start_ms", head_start, 0, HEAD_START_MAX)
        if command.at is not None or command.due is not None or command.resume_key or command.binds:
            forms.place(command)
        plain = type(command.value) is int and command.value == 0 and command.held_out is False
        lane = 0 if plain else self.lane(command.value, command.held_out)
        try:
            ask = self._asks.get((command.queue, command.channel, command.needs, priority, command.labels, lane))
        except TypeError:
            ask = None
        return ask or self.naming.wish(command.queue, command.channel, command.needs, priority, command.labels, lane)

    def lane(self, value: int, held_out: bool) -> int:
        """What a class tells apart of the value of an interaction. O(log bands). Raises MisuseError."""
        forms.integer("value", value, 0, INTEGER_MAX)
        forms.flag("held_out", held_out)
        return lane_of(self.naming.plan.value_bands, value) + held_out

    def checked_name(self, name: object, ref: c.Ref) -> None:
        """Look at the form of a new interaction's name and reference. O(length). Raises MisuseError."""
        if type(name) is not str or not 0 < len(name) <= self.naming.plan.limits.name_length or not name.isascii():
            forms.text("interaction", name, self.naming.plan.limits.name_length)
        if ref is not None:
            forms.reference(ref)

    def name_problem(self, name: str) -> tuple[int, str] | None:
        """Why a new interaction cannot have this name now, if anything. O(1)."""
        if name in self._numbers:
            return Reason.DUPLICATE_INTERACTION, "it lives"
        if name in self.ledger.recent:
            return Reason.DUPLICATE_INTERACTION, f"it went at {self.ledger.recent[name]}"
        if len(self._numbers) >= self.naming.plan.limits.interactions:
            return Reason.LIMIT_REACHED, "limits.interactions"
        return None

    def _enqueue_many(self, now: int, command: c.EnqueueMany) -> list[Event]:
        items = forms.many(command.interactions, c.Enqueue)
        asks = [self._checked_enqueue(item) for item in items]
        events = self.begin(now)
        self.core.advance(now)
        for item, ask in zip(items, asks, strict=True):
            self._enqueued(events, item, ask)
        return events

    def _enqueued(self, events: list[Event], command: c.Enqueue, ask: Ask | Wish) -> list[Event]:
        """Judge and move one enqueue."""
        name, ledger = command.interaction, self.ledger
        problem = self.name_problem(name)
        if problem is not None:
            return self.refuse(events, command, problem[0], name, problem[1], command.ref)
        if isinstance(ask, Wish):
            channel = ask.key[1]
            if not self.is_open(channel):
                return self.refuse(events, command, Reason.UNKNOWN_CHANNEL, name, channel, command.ref)
        if ledger.closed and (closed := self.closed_queue(ask.queues)):
            return self.refuse(events, command, REASONS.index(CLOSED), name, closed, command.ref)
        ties: list[tuple[int, int, int]] | str = self.ties(command.binds) if command.binds else []
        if isinstance(ties, str):
            return self.refuse(events, command, Reason.UNKNOWN_AGENT, name, ties, command.ref)
        if isinstance(ask, Wish):
            later = command.at is not None and command.at > self.now
            granted = self.grant(events, ask, -1, room=not later)
            if isinstance(granted, tuple):
                return self.refuse(events, command, granted[0], name, granted[1], command.ref)
            ask = granted
        now, head_start = self.now, ask.head_start + command.head_start_ms
        if command.at is not None or command.due is not None or command.resume_key or command.binds:
            return self._enqueue_placed(events, command, ask, head_start, ties)
        i = self.core.enqueue(now, ask.classes, ask.tier, now - head_start)
        if i < 0:
            return self.refuse(events, command, -i, name, self.full_queue(ask.queues, -1), command.ref)
        ledger.enter(i, name, ask, command.ref, now)
        return ledger.tell(events)

    def _enqueue_placed(
        self, events: list[Event], command: c.Enqueue, ask: Ask, head_start: int, ties: list[tuple[int, int, int]]
    ) -> list[Event]:
        """An arrival with a time, a due date, a place that was kept for it, or ties."""
        ledger, name, now = self.ledger, command.interaction, self.now
        at = command.at if command.at is not None and command.at > now else -1
        since, waited, arrived = max(now, at) - head_start, 0, max(now, at)
        if command.due is not None:
            target = self.naming.queue_values[self.naming.queues[ask.queues[0]]].target
            since = max(command.due - (0 if target is None else target.within_ms) - head_start, -limits.TIME_MAX)
        kept = ledger.kept.get(command.resume_key)
        if kept is not None and kept[0] >= now:
            _, since, waited, arrived = kept
        i = self.core.enqueue(now, ask.classes, ask.tier, since, ties, waited, at)
        if i < 0:
            return self.refuse(events, command, -i, name, self.full_queue(ask.queues, -1), command.ref)
        ledger.kept.pop(command.resume_key, None)
        ledger.kept_ms = waited if at < 0 else 0
        ledger.enter(i, name, ask, command.ref, arrived)
        if command.resume_key:
            ledger.resume_keys[i] = command.resume_key
        return ledger.tell(events)

    def ties(self, binds: Sequence[c.Bind]) -> list[tuple[int, int, int]] | str:
        """Ties as the core wants them, from now on; or the first agent who is not known. O(binds)."""
        found = []
        for bind in binds:
            j = self.naming.agents.get(bind.agent)
            if j is None:
                return bind.agent
            until = limits.UNTIL_GONE if bind.kind == "forbid" else -1
            if bind.for_ms is not None:
                until = self.later(min(self.now + bind.for_ms, limits.TIME_MAX))
            found.append((j, int(forms.TIES[bind.kind, bind.anyhow]), until))
        return found

    def closed_queue(self, queues: Sequence[str]) -> str:
        """The first of some queues that is closed, or nothing. O(queues)."""
        return next((queue for queue in queues if queue in self.ledger.closed), "")

    def grant_turn(
        self, events: list[Event], wish: Wish, own: int, *, room: bool = True, stays: Sequence[str] = ()
    ) -> Ask | tuple[int, str]:
        """As :meth:`grant`, for what lives already: its channel and queues, but those where it ``stays``, are open."""
        if not self.is_open(wish.key[1]):
            return Reason.UNKNOWN_CHANNEL, wish.key[1]
        closed = self.closed_queue([queue for queue in wish.queues if queue not in stays])
        return (REASONS.index(CLOSED), closed) if closed else self.grant(events, wish, own, room=room)

    def grant(self, events: list[Event], wish: Wish, own: int, *, room: bool = True) -> Ask | tuple[Reason, str]:
        """Number what a wish needs, or say why not before anything is numbered; ``own`` is who is transferred.

        Without ``room`` it does not matter whether a queue is full.
        """
        known = self._asks.get(wish.key)
        if known is not None:
            return known
        naming = self.naming
        for queue in wish.queues:
            if queue not in naming.queues:
                return Reason.UNKNOWN_QUEUE, queue
        if len(naming.class_names) + naming.new_classes(wish) > naming.plan.limits.classes:
            return Reason.LIMIT_REACHED, "limits.classes"
        if naming.no_channel(wish):
            return Reason.LIMIT_REACHED, "channels"
        full = self.full_queue(wish.queues, own) if room else ""
        if full:
            return Reason.QUEUE_FULL, full
        ask = naming.grant(wish)
        self.tell_failures(events)
        return ask

    def full_queue(self, queues: tuple[str, ...], own: int) -> str:
        """The first queue that has no place left, but for those where ``own`` waits already; empty when all have."""
        naming = self.naming
        waits = self.core.interaction(own)[6::3] if own >= 0 and self._state(own) <= InteractionState.OFFERED else ()
        mine = {naming.class_names[k].queue for k in waits}
        for queue in queues:
            q = naming.queues[queue]
            limit = naming.queue_values[q].limit
            if q not in mine and limit is not None and self.core.queue(q)[0] >= limit:
                return queue
        return ""

    def _state(self, i: int) -> int:
        return self.core.interaction(i)[0]

    def later(self, at: int | None) -> int:
        """An instant behind the present as the core wants it; -1 for none, or one that has come."""
        return at if at is not None and at > self.now else -1

    def unknown(self, events: list[Event], command: c.Command, name: str) -> list[Event]:
        """Refuse what is about an interaction that does not live. O(1)."""
        went = self.ledger.recent.get(name)
        detail = "" if went is None else f"it went at {went}"
        return self.refuse(events, command, Reason.UNKNOWN_INTERACTION, name, detail)

    def _leave(self, now: int, command: c.Leave) -> list[Event]:
        if type(command.interaction) is not str:
            forms.text("interaction", command.interaction)
        if command.grace_ms:
            forms.integer("grace_ms", command.grace_ms, 0, limits.TIME_MAX)
        events = self.begin(now)
        i = self._numbers.get(command.interaction)
        if i is None:
            return self.unknown(events, command, command.interaction)
        key = self.ledger.resume_keys.get(i) if command.grace_ms else None
        place = None
        if key:
            numbers, arrived = self.core.interaction(i), self.ledger.arrivals[i]
            place = (now + command.grace_ms, numbers[8], now - numbers[3], arrived)
        reason = self.core.leave(now, i)
        if reason:
            return self.refuse(events, command, reason, command.interaction)
        if key and place:
            self.ledger.keep_place(key, now, place)
        return self.ledger.tell(events)

    def _accept(self, now: int, command: c.Accept) -> list[Event]:
        offer = command.offer
        if type(offer) is not int or not 0 <= offer < forms.INT64:
            forms.integer("offer", offer, 0, forms.INT64 - 1)
        events = self.begin(now)
        reason = self.core.accept(now, offer)
        if reason == Reason.NO_ROOM:
            return self.refuse(events, command, reason, str(offer))
        return self._offer_ended(events, command, offer) if reason else self.ledger.tell(events)

    def _decline(self, now: int, command: c.Decline) -> list[Event]:
        offer = command.offer
        if type(offer) is not int or not 0 <= offer < forms.INT64:
            forms.integer("offer", offer, 0, forms.INT64 - 1)
        cause = forms.one_of("cause", command.cause, forms.CAUSES)
        events = self.begin(now)
        reason = self.core.decline(now, offer, cause)
        return self._offer_ended(events, command, offer) if reason else self.ledger.tell(events)

    def _offer_ended(self, events: list[Event], command: c.Command, offer: int) -> list[Event]:
        end = self.ledger.ended.get(offer)
        reason = Reason.UNKNOWN_OFFER if end is None else Reason.OFFER_ENDED
        return self.refuse(events, command, reason, str(offer), end or "")

    def _finish(self, now: int, command: c.Finish) -> list[Event]:
        wrap_up = command.wrap_up_ms
        if type(command.interaction) is not str:
            forms.text("interaction", command.interaction)
        if wrap_up is not None and (type(wrap_up) is not int or not -1 <= wrap_up <= limits.TIME_MAX):
            forms.integer("wrap_up_ms", wrap_up, -1, limits.TIME_MAX)
        events = self.begin(now)
        i = self._numbers.get(command.interaction)
        if i is None:
            return self.unknown(events, command, command.interaction)
        if wrap_up is None:
            wrap_up = self._wrap_up(i)
        reason = self.core.finish(now, i, wrap_up)
        return self.refuse(events, command, reason, command.interaction) if reason else self.ledger.tell(events)

    def _wrap_up(self, i: int) -> int:
        """The wrap-up of the queue by which it came to its agent; of its first one where that has left the plan."""
        naming, ask = self.naming, self.ledger.asks[i]
        q = self.core.interaction(i)[6]
        name = naming.class_names[q].view.queue
        if name not in naming.queues:
            return 0 if ask is None else ask.wrap_up
        wrap_up = naming.queue_values[naming.queues[name]].wrap_up_ms
        return -1 if wrap_up is None else wrap_up

    def _release(self, now: int, command: c.Release) -> list[Event]:
        if type(command.interaction) is not str:
            forms.text("interaction", command.interaction)
        events = self.begin(now)
        i = self._numbers.get(command.interaction)
        if i is None:
            return self.unknown(events, command, command.interaction)
        reason = self.core.release(now, i)
        return self.refuse(events, command, reason, command.interaction) if reason else self.ledger.tell(events)

    def _requeue(self, now: int, command: c.Requeue) -> list[Event]:
        forms.text("interaction", command.interaction)
        forms.instant("at", command.at)
        events = self.begin(now)
        i = self._numbers.get(command.interaction)
        if i is None:
            return self.unknown(events, command, command.interaction)
        reason = self.core.requeue(now, i, self.later(command.at))
        return self.refuse(events, command, reason, command.interaction) if reason else self.ledger.tell(events)

    def _checked_transfer(self, command: c.Transfer) -> Wish:
        """Look at the form of a transfer; what it does not say is that of the interaction."""
        name = command.interaction
        forms.text("interaction", name)
        if command.priority is not None:
            forms.integer("priority", command.priority, INTEGER_MIN, INTEGER_MAX)
        if command.age not in ("keep", "reset"):
            raise MisuseError(f"age is {shown(command.age)}, allowed is keep, reset")
        forms.binds(command.binds)
        number = self._numbers.get(name)
        old = None if number is None else self.ledger.asks[number]
        channel, needs, priority = ("", "", 0) if old is None else (old.channel, old.needs, old.priority)
        channel = channel if command.channel is None else command.channel
        labels = () if old is None else old.labels
        needs = needs if command.needs is None else command.needs
        priority = priority if command.priority is None else command.priority
        return self.naming.wish(command.queue, channel, needs, priority, labels, 0 if old is None else old.lane)

    def _transfer(self, now: int, command: c.Transfer) -> list[Event]:
        wish, name = self._checked_transfer(command), command.interaction
        events = self.begin(now)
        i = self._numbers.get(name)
        if i is None:
            return self.unknown(events, command, name)
        numbers = self.core.interaction(i)
        state = InteractionState(numbers[0])
        if (state, InteractionMove.TRANSFER) not in INTERACTION:
            return self.refuse(events, command, REFUSALS[state, InteractionMove.TRANSFER], name)
        calling = self.ledger.call_backs.get(i)
        if calling is not None and calling.first == "customer":
            return self.refuse(events, command, Reason.PARKED, name, "its customer has not answered: update it")
        ties = self.ties(command.binds)
        if isinstance(ties, str):
            return self.refuse(events, command, Reason.UNKNOWN_AGENT, name, ties)
        ask = self.grant_turn(events, wish, i)
        if isinstance(ask, tuple):
            return self.refuse(events, command, ask[0], name, ask[1])
        since = numbers[8] if command.age == "keep" else now - ask.head_start
        reason = self.core.transfer(now, i, ask.classes, ask.tier, since, ties)
        if reason:
            return self.refuse(events, command, reason, name, self.full_queue(ask.queues, i))
        self.ledger.asks[i] = ask
        return self.ledger.tell(events)

    def need_looks(self, every_ms: int) -> None:
        """Let call-backs be looked at, with the estimates where the plan wants some, else so often. O(1)."""
        if self.naming.gauges.every < 0 and self.ledger.look_every < 0:
            self.core.set_estimates(self.now, every_ms)
        self.ledger.look_every = every_ms

    def estimate(self, events: list[Event]) -> None:
        """Give the gauges what is estimated now, and go on only if it is wanted. Cost: see ``Estimates.look``."""
        ledger = self.ledger
        if ledger.estimates is not None:
            self._give(ledger.estimates.look(self.now), events)
        if ledger.look_every >= 0 and all(calling.first != "customer" for calling in ledger.call_backs.values()):
            ledger.look_every = -1
            if self.naming.gauges.every < 0:
                self.core.set_estimates(self.now, -1)

    def keep_estimates(self, events: list[Event], before_ms: int) -> None:
        """Follow a plan that has been written; ``before_ms`` is how often the one before wanted estimates."""
        self._give(self.ledger.keep_estimates(), events)
        if self.naming.gauges.every < 0 <= min(before_ms, self.ledger.look_every):
            self.core.set_estimates(self.now, self.ledger.look_every)

    def _give(self, values: list[tuple[int, int]], events: list[Event]) -> None:
        for gauge, value in values:
            self.core.set_gauge(self.now, gauge, value)
            self.ledger.tell(events)


REACTIONS: dict[str, Callable[[Door, int, list[Event]], None]] = {}
"""What the door does by itself when an event asks for it; ``turns`` fills it."""

WISHES: dict[type, Callable[..., Sequence[Wish] | None]] = {}
"""What a command of a module above may ask for, which adds it; None where that cannot be said; its form may raise."""

HANDLERS: dict[type, Callable[..., list[Event]]] = {
    c.Enqueue: Door._enqueue,
    c.EnqueueMany: Door._enqueue_many,
    c.Leave: Door._leave,
    c.Accept: Door._accept,
    c.Decline: Door._decline,
    c.Finish: Door._finish,
    c.Release: Door._release,
    c.Requeue: Door._requeue,
    c.Transfer: Door._transfer,
}
"""The handler of each command; the modules above add those of theirs."""
