"""What lives, by name: interactions, offers, who went lately; and the core's integers told as events.

A core's number of an interaction is free again the moment the interaction is gone, and only a later enqueue takes it.
So events are told right after each call of the core, in order, and names are dropped as their last event is told.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from omniroute.commands import Ref
from omniroute.core.codes import EventKind, PresenceReason
from omniroute.events import (
    CAUSES,
    PRESENCES,
    REST_CAUSES,
    Abandoned,
    Accepted,
    AllDeclined,
    Cancelled,
    Connected,
    Event,
    Finished,
    Held,
    Interrupted,
    JourneyClosed,
    OfferDeclined,
    Offered,
    OfferExpired,
    OfferWithdrawn,
    Parked,
    PresenceChanged,
    Queued,
    Released,
    Requeued,
    Resting,
    Resumed,
    RevisionDue,
    SetupFailed,
    StepTaken,
    TakenOver,
    Transferred,
    Unmatched,
    Updated,
)
from omniroute.naming import TIER_BASE, Ask, Naming
from omniroute.plan_numbers import wants_estimates

if TYPE_CHECKING:
    from omniroute.core import Core
    from omniroute.estimates import Estimates
    from omniroute.journey import Journeys
    from omniroute.journey_facts import ClosedJourney

__all__ = ["ENDED_MAX", "CallingBack", "Ledger"]

ENDED_MAX: Final = 4_096
"""Ended offers that are remembered with their end."""

KEPT_MAX: Final = 65_536
"""Places that are kept for those who left; one more drops the oldest."""

Raw = tuple[int, int, int, int, int, int]


class CallingBack(msgspec.Struct, array_like=True, frozen=True):
    """What a call-back still allows; it is one until it is connected, or its customer has answered."""

    first: str
    ahead: int
    tries: int
    gap_ms: int
    next_at: int = 0
    """No earlier than this is the customer called again."""
    called: bool = False


class Ledger:
    """The names of what lives in one core."""

    def __init__(self, core: Core, naming: Naming) -> None:
        self.core = core
        self.naming = naming
        self.seq = 0
        """The number of the last event."""
        self.numbers: dict[str, int] = {}
        self.ids: list[str] = []
        """By number; empty where the number is free."""
        self.refs: list[Ref] = []
        self.asks: list[Ask | None] = []
        self.offers: dict[int, tuple[int, int, int]] = {}
        """Live offers: interaction, agent, due."""
        self.ended: OrderedDict[int, str] = OrderedDict()
        self.gone: deque[tuple[int, str]] = deque()
        """Who went when, oldest first; each is in ``recent`` as well."""
        self.recent: dict[str, int] = {}
        self.reasons: list[str] = [""] * len(naming.agent_ids)
        """What each agent's host said of his presence."""
        self.accepting: dict[int, int] = {}
        """The offer of each interaction that is being set up."""
        self.arrivals: list[int] = []
        """When each came, by number."""
        self.resume_keys: dict[int, str] = {}
        self.kept: OrderedDict[str, tuple[int, int, int, int]] = OrderedDict()
        """Places of those who left, by resume key: until when, ordering instant, real wait, arrival."""
        self.kept_ms = 0
        self.links: dict[int, tuple[int, str]] = {}
        """Consultations and assistances: of which interaction, and which of the two."""
        self.linked: dict[int, list[int]] = {}
        """The same from the other end."""
        self.call_backs: dict[int, CallingBack] = {}
        self.closed: dict[str, None] = {}
        """Closed queues, in the order in which they were closed."""
        self.closes: dict[str, int] = {}
        """When queues that are open will close, where somebody has told."""
        self.look_every = -1
        """How often call-backs want to be looked at, in ms; -1 there are none."""
        self.estimates: Estimates | None = None
        self.closings: list[ClosedJourney] = []
        """Journeys that closed and have not been told."""
        self.journeys: Journeys | None = None
        self.due_reactions: list[tuple[str, int]] = []
        """What the door has to answer at this very instant; empty between commands."""
        self.said = ""
        self.ending: dict[int, str] = {}
        """How a command takes out what waits, by number; a step does where no command says."""
        self.finished = 0
        """How many interactions have gone for good."""

    def enter(self, i: int, name: str, ask: Ask, ref: Ref, arrived: int) -> None:
        """Give a number a name, before its first event is told. O(1)."""
        self.numbers[name] = i
        if i == len(self.ids):
            self.ids.append(name)
            self.asks.append(ask)
            self.refs.append(ref)
            self.arrivals.append(arrived)
        else:
            self.ids[i] = name
            self.asks[i] = ask
            self.refs[i] = ref
            self.arrivals[i] = arrived

    def _drop(self, i: int, at: int) -> None:
        name = self.ids[i]
        if self.estimates is not None:
            self.estimates.gone(at, i)
        self.accepting.pop(i, None)
        self.resume_keys.pop(i, None)
        self.call_backs.pop(i, None)
        if self.links:
            self.unlink(i)
            self.due_reactions += [("end", child) for child in self.linked.get(i, ())]
        del self.numbers[name]
        self.ids[i], self.asks[i], self.refs[i] = "", None, None
        self.recent[name] = at
        self.gone.append((at, name))
        self.finished += 1

    def standing(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """The queues in which an interaction stands, of its numbers in the core, each once. O(entries)."""
        return tuple(dict.fromkeys(self.naming.class_names[k].view.queue for k in numbers[6::3]))

    def link(self, child: int, parent: int, kind: str) -> None:
        """Let a consultation or an assistance belong to an interaction. O(1)."""
        self.links[child] = (parent, kind)
        self.linked.setdefault(parent, []).append(child)

    def unlink(self, child: int) -> None:
        """Forget what an interaction belongs to, if anything. O(its siblings)."""
        link = self.links.pop(child, None)
        if link is not None:
            siblings = self.linked[link[0]]
            siblings.remove(child)
            if not siblings:
                del self.linked[link[0]]

    def keep_place(self, key: str, now: int, place: tuple[int, int, int, int]) -> None:
        """Keep the place of somebody who left; the oldest whose time has run out are forgotten. O(forgotten)."""
        kept = self.kept
        kept.pop(key, None)
        while kept and (len(kept) >= KEPT_MAX or next(iter(kept.values()))[0] < now):
            kept.popitem(False)
        kept[key] = place

    def purge(self, until: int) -> None:
        """Forget who went at ``until`` or before. O(forgotten)."""
        gone = self.gone
        while gone and gone[0][0] <= until:
            del self.recent[gone.popleft()[1]]

    def _end(self, offer: int, end: str) -> None:
        del self.offers[offer]
        self.ended[offer] = end
        if len(self.ended) > ENDED_MAX:
            self.ended.popitem(False)

    def tell(self, events: list[Event]) -> list[Event]:
        """Take what the core has to tell and append it as events, which are returned. O(events)."""
        raw: Iterable[Raw] = self.core.take()
        seq, tellers = self.seq, _TELLERS
        for kind, at, i, j, x, y in raw:
            event = tellers[kind](self, seq + 1, at, i, j, x, y)
            if event is not None:
                seq += 1
                events.append(event)
        self.seq = seq
        return events

    def keep_journeys(self, now: int) -> None:
        """Begin, change or end the journeys as the plan says. O(1), or what closes. Raises MisuseError."""
        rules = self.naming.plan.journey
        if rules is None:
            self.journeys = None
        elif self.journeys is None:
            from omniroute.journey import Journeys  # a router without journeys does not pay for them

            self.journeys = Journeys(rules, tell=self.closings.append)
            self.journeys.purge(now)
        elif self.journeys.rules != rules:
            self.journeys.change(now, rules)

    def keep_estimates(self) -> list[tuple[int, int]]:
        """Begin, change or end the estimates as the plan says; what to give the gauges that nobody wants any more.

        O(queues + conditions), O(interactions) where they begin.
        """
        naming, before = self.naming, self.estimates
        wanted = wants_estimates(naming.plan)
        if before is not None and wanted:
            return before.change()
        self.estimates = None
        if wanted:
            from omniroute.estimates import Estimates  # a router without estimates does not pay for them

            self.estimates = Estimates.begin(self.core, naming, self.numbers.values())
        return [] if before is None else before.change()

    def tell_closings(self, events: list[Event]) -> None:
        """Tell which journeys closed. O(closed)."""
        for closed in self.closings:
            tally = {field.name: getattr(closed.tally, field.name) for field in attrs.fields(type(closed.tally))}
            facts = (closed.journey, closed.customer, closed.opened_at, closed.why, closed.resolution)
            rest = (closed.resolution_ms, closed.effort, tally, dict(closed.context))
            events.append(JourneyClosed(self.next_seq(), closed.closed_at, *facts, *rest))
        self.closings.clear()

    def next_seq(self) -> int:
        """The number of an event that the door itself tells. O(1)."""
        self.seq += 1
        return self.seq

    # One for each kind of event of the core --------------------------------------------------------------------------

    def _queued(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        kept, self.kept_ms = self.kept_ms, 0
        if self.estimates is not None:
            self.estimates.arrived(at, i)
        return Queued(seq, at, self.ids[i], self.naming.queue_names[x], y - TIER_BASE, self.refs[i], kept)

    def _offered(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        self.offers[x] = (i, j, y)
        return Offered(seq, at, self.ids[i], self.naming.agent_ids[j], x, y if y >= 0 else None, self.refs[i])

    def _declined(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        self._end(x, "declined")
        return OfferDeclined(seq, at, self.ids[i], self.naming.agent_ids[j], x, self.refs[i], REST_CAUSES[y])

    def _expired(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        self._end(x, "expired")
        return OfferExpired(seq, at, self.ids[i], self.naming.agent_ids[j], x, self.refs[i])

    def _withdrawn(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        self._end(x, "withdrawn")
        return OfferWithdrawn(seq, at, self.ids[i], self.naming.agent_ids[j], x, self.refs[i])

    def _connected(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        x = self._won(i, x)
        self.call_backs.pop(i, None)
        if self.links:
            helping = [child for child in self.linked.get(i, ()) if self.links[child][1] == "assistance"]
            self.due_reactions += [("end", child) for child in helping]
        gross = at - self.arrivals[i]
        if self.estimates is not None:
            self.estimates.connected(at, i, j, y, routed=x >= 0 or gross > 0)
        if self.journeys is not None:
            self.journeys.connected(at, self.ids[i], self.naming.agent_ids[j])
        return Connected(seq, at, self.ids[i], self.naming.agent_ids[j], x, y, self.refs[i], gross)

    def _won(self, i: int, x: int) -> int:
        """The offer by which an interaction was connected: just now, or before its set-up; -1: it was assigned."""
        if x >= 0:
            self._end(x, "accepted")
            return x
        return self.accepting.pop(i, -1)

    def _accepted(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        self._end(x, "accepted")
        self.accepting[i] = x
        return Accepted(seq, at, self.ids[i], self.naming.agent_ids[j], x, y, self.refs[i])

    def _setup_failed(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        self.accepting.pop(i, None)
        naming = self.naming
        if i in self.call_backs:
            self.due_reactions.append(("missed", i))
        return SetupFailed(seq, at, self.ids[i], naming.agent_ids[j], naming.queue_names[x], y, self.refs[i])

    def _held(self, seq: int, at: int, i: int, j: int, _x: int, _y: int) -> Event:
        return Held(seq, at, self.ids[i], self.naming.agent_ids[j], self.refs[i])

    def _resumed(self, seq: int, at: int, i: int, j: int, _x: int, _y: int) -> Event:
        return Resumed(seq, at, self.ids[i], self.naming.agent_ids[j], self.refs[i])

    def _interrupted(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        return Interrupted(seq, at, self.ids[i], self.naming.agent_ids[j], self.ids[x], self.refs[i])

    def _parked(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        if i in self.call_backs and self.call_backs[i].first == "customer":
            self.due_reactions.append(("look", i))
        return Parked(seq, at, self.ids[i], self.naming.queue_names[x], y if y >= 0 else None, self.refs[i])

    def _updated(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        return Updated(seq, at, self.ids[i], self.naming.queue_names[x], y - TIER_BASE, self.refs[i])

    def _taken_over(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        agents = self.naming.agent_ids
        if self.journeys is not None:
            self.journeys.transferred(at, self.ids[i])
            self.journeys.connected(at, self.ids[i], agents[j])
        return TakenOver(seq, at, self.ids[i], agents[j], agents[x], self.refs[i])

    def _cancelled(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        how = self.ending.pop(i, "step")
        if self.journeys is not None:
            self.journeys.ended(at, self.ids[i], "self_served" if how == "self_served" else "cancelled")
        event = Cancelled(seq, at, self.ids[i], self.naming.queue_names[x], y, how, self.refs[i])
        self._drop(i, at)
        return event

    def _resting(self, seq: int, at: int, _i: int, j: int, x: int, y: int) -> Event:
        return Resting(seq, at, self.naming.agent_ids[j], REST_CAUSES[x], y)

    def _all_declined(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        return AllDeclined(seq, at, self.ids[i], self.naming.queue_names[x], y, self.refs[i])

    def _estimates_due(self, _seq: int, _at: int, _i: int, _j: int, _x: int, _y: int) -> Event | None:
        """The door answers this one; nothing happened that a host could see."""
        self.due_reactions.append(("estimates", -1))
        return None

    def _stepped(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event | None:
        """Behind no step are only classes of a changed plan: nothing happened that a host could see."""
        view, step = self.naming.class_names[x].view, self.naming.step_of(x)
        if not view.step:
            return None
        say, offer = ("", "") if step is None else (step.say, step.offer)
        return StepTaken(seq, at, self.ids[i], view.queue, view.step, y, self.refs[i], say, offer)

    def _abandoned(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        if self.journeys is not None:
            self.journeys.ended(at, self.ids[i], "abandoned")
        if self.estimates is not None:
            self.estimates.abandoned(at, x, y)
        event = Abandoned(seq, at, self.ids[i], self.naming.queue_names[x], y, self.refs[i])
        self._drop(i, at)
        return event

    def _finished(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        if self.journeys is not None:
            self.journeys.ended(at, self.ids[i], "finished")
        if self.estimates is not None and (ask := self.asks[i]) is not None:
            self.estimates.finished(at, i, ask.channel, x)
        return Finished(seq, at, self.ids[i], self.naming.agent_ids[j], x, y if y >= 0 else None, self.refs[i])

    def _released(self, seq: int, at: int, i: int, j: int, _x: int, _y: int) -> Event:
        event = Released(seq, at, self.ids[i], self.naming.agent_ids[j], self.refs[i])
        self._drop(i, at)
        return event

    def _requeued(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        naming = self.naming
        if self.journeys is not None:
            self.journeys.transferred(at, self.ids[i])
        return Requeued(seq, at, self.ids[i], naming.agent_ids[j], naming.queue_names[x], y, self.refs[i])

    def _transferred(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        agent = self.naming.agent_ids[j] if j >= 0 else None
        if self.estimates is not None and agent is not None:
            self.estimates.arrived(at, i)
        if self.journeys is not None:
            self.journeys.transferred(at, self.ids[i])
        return Transferred(seq, at, self.ids[i], agent, self.naming.queue_names[x], y, self.refs[i])

    def _presence(self, seq: int, at: int, _i: int, j: int, x: int, y: int) -> Event:
        reason = self.reasons[j] = self.said if y == PresenceReason.ASKED else ""
        return PresenceChanged(seq, at, self.naming.agent_ids[j], PRESENCES[x], CAUSES[y], reason)

    def _unmatched(self, seq: int, at: int, i: int, _j: int, x: int, _y: int) -> Event:
        view = self.naming.class_names[x].view
        return Unmatched(seq, at, self.ids[i], view.queue, view.requirement.text, self.refs[i])

    def _revision_due(self, seq: int, at: int, _i: int, _j: int, x: int, y: int) -> Event:
        """The counts move with commands only, so they are those of the instant whenever they are read."""
        _, _, entered, connected, in_target, abandoned = self.core.queue(x)
        name, estimates = self.naming.queue_names[x], self.estimates
        times = (None, ()) if estimates is None else (estimates.longest_ms(x), estimates.longest_by_pair(x))
        return RevisionDue(seq, at, name, y, entered, connected, in_target, abandoned, *times)

    def fork(self, core: Core, naming: Naming) -> Ledger:
        """The same names over a copy of the core. O(interactions + agents)."""
        other = Ledger(core, naming)
        for name, value in vars(self).items():
            if name not in ("core", "naming", "journeys", "closings", "estimates"):
                setattr(other, name, value if isinstance(value, int | str) else value.copy())
        if self.journeys is not None:
            other.journeys = self.journeys.fork(tell=other.closings.append)
        other.estimates = None if self.estimates is None else self.estimates.fork(core, naming)
        other.linked = {parent: children.copy() for parent, children in self.linked.items()}
        return other


_TELLERS: Final[list[Callable[[Ledger, int, int, int, int, int, int], Event | None]]] = [
    getattr(Ledger, f"_{kind.name.lower()}") for kind in EventKind
]
"""By kind of the core's events. Not bound to a ledger: one that referred to itself would outlive its router."""
