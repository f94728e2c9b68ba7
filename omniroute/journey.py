"""The journey of a customer: all contacts across channels and time, as one story that the router knows.

A journey begins with a customer's first contact, is *live* while an interaction of it lives, then *rests*, and closes
``expires_ms`` after its last interaction ended. A customer has at most one journey at a time; a contact while it is
live or rests belongs to it. :class:`Journeys` is told facts in order of time and answers what the router wants to know
of a contact: whether it repeats another, whom it should meet, what is known already.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, cast

import attrs
import msgspec

from omniroute.core.limits import TIME_MAX
from omniroute.errors import MisuseError, TimeError
from omniroute.journey_facts import (
    COUNTS,
    ClosedJourney,
    Contact,
    ContextValue,
    End,
    JourneyReport,
    JourneyView,
    LiveInteraction,
    Preference,
    Tally,
    checked_changes,
    checked_text,
)
from omniroute.journey_rules import Effort, JourneyRules
from omniroute.journey_state import FORMAT, Journey, Live, State, checked_state, journey_of, row_of
from omniroute.model import shown

__all__ = [
    "ClosedJourney",
    "Contact",
    "ContextValue",
    "Effort",
    "End",
    "JourneyReport",
    "JourneyRules",
    "JourneyView",
    "Journeys",
    "LiveInteraction",
    "Preference",
    "Tally",
]

_FIELDS: Final = [field.name for field in attrs.fields(Tally)]
_CONTACTS, _REPEATS, _HOPS, _TRANSFERS, _EXPLANATIONS, _ABANDONMENTS, _SELF_SERVED, _REOPENINGS, _WAIT = range(COUNTS)
_ENDS: Final = frozenset({"finished", "abandoned", "self_served", "cancelled"})
_FIGURES: Final = (
    "expired",
    "early",
    "erased",
    "outside",
    "judged",
    "resolved",
    "first_contact",
    "resolution_ms",
    "effort",
)


class Journeys:
    """All journeys that are not closed, and sums over those that are.

    Every fact has its instant, which never runs backwards (TimeError). Whatever raises has moved nothing, not even
    time. Before a fact is looked at, journeys that are due have closed, stamped with the instant at which they were
    due. A fact about an interaction that belongs to no journey (there was no room, or its customer was erased) moves
    nothing but time. ``tell`` gets each journey that closes; neither it nor ``may_take`` may raise or call back.

    Memory: at most ``rules.limit`` journeys, the live ones of a tightened limit excepted, each with at most TOPICS_MAX
    topics and FIELDS_MAX fields besides its live interactions.

    >>> journeys = Journeys(JourneyRules(prefer="last_agent", repeat_head_start_ms="2m"))
    >>> signed_in = {"ana"}.__contains__
    >>> journeys.arrive(0, "Kim", "chat-1", channel="chat", topic="invoice", may_take=signed_in).repeat
    0
    >>> journeys.connected(5_000, "chat-1", "ana")
    >>> journeys.ended(65_000, "chat-1", "finished")
    >>> contact = journeys.arrive(3_600_000, "Kim", "call-1", channel="voice", topic="invoice", may_take=signed_in)
    >>> contact.repeat, contact.hopped, contact.head_start_ms, contact.preference.agent
    (1, True, 120000, 'ana')
    """

    def __init__(self, rules: JourneyRules, *, tell: Callable[[ClosedJourney], None] | None = None) -> None:
        if not isinstance(rules, JourneyRules):
            raise MisuseError(f"rules are {shown(rules)}, expected JourneyRules")
        self._rules = rules
        self._tell = tell
        self._now = 0
        self._opened = 0
        self._figures = dict.fromkeys(_FIGURES, 0)
        self._sums = [0] * COUNTS
        self._journeys: dict[str, Journey] = {}
        """By key."""
        self._resting: OrderedDict[str, int] = OrderedDict()
        """Since when, by key. Rest is always as long, so the first to come to rest is the first to close."""
        self._interactions: dict[str, Live] = {}
        self._home = object()
        """What the journeys have that this store may write. A fork shares those that rest, and both get another one."""

    def __len__(self) -> int:
        """Journeys that are live or rest."""
        return len(self._journeys)

    @property
    def rules(self) -> JourneyRules:
        """The rules in force."""
        return self._rules

    @property
    def now(self) -> int:
        """The instant of the latest fact."""
        return self._now

    @property
    def next_due(self) -> int | None:
        """When the next journey closes, if nothing happens before; None where none rests. O(1)."""
        return next(iter(self._resting.values())) + self._rules.expires_ms if self._resting else None

    def key(self, customer: str) -> str:
        """Return what a customer is known by here: the key as given, or 32 hexadecimal digits of a keyed BLAKE2b.

        O(length). Raises MisuseError.

        >>> rules = JourneyRules(hash_keys=True, salt="a long secret of this centre")
        >>> len(Journeys(rules).key("+44 20 7946 0000"))
        32
        """
        checked_text("customer", customer)
        if not self._rules.hash_keys:
            return customer
        return hashlib.blake2b(customer.encode(), key=self._rules.salt.encode(), digest_size=16).hexdigest()

    # Facts ------------------------------------------------------------------------------------------------------------

    def purge(self, now: int) -> None:
        """Close every journey that is due at ``now`` or before. Cost: O(closed). Raises TimeError."""
        self._check_time(now)
        before, self._now = self._now, now
        while (due := self.next_due) is not None and due <= now:
            self._close(next(iter(self._resting)), max(due, before), "expired")

    def arrive(
        self,
        now: int,
        customer: str,
        interaction: str,
        *,
        channel: str,
        topic: str = "",
        context: Mapping[str, ContextValue | None] | None = None,
        owner: str | None = None,
        may_take: Callable[[str], bool],
    ) -> Contact:
        """Take a contact in and return what is known of it. O(context) amortised.

        An empty ``topic`` is one topic like any other. ``context`` is merged into what is known, None forgets a field.
        ``owner`` None keeps the owner known. ``may_take`` as in :meth:`preference`. Raises MisuseError, TimeError.
        """
        key = self.key(customer)
        checked_text("interaction", interaction)
        checked_text("channel", channel)
        checked_text("topic", topic, empty=True)
        changes = checked_changes(context)
        if owner is not None:
            checked_text("owner", owner)
        if interaction in self._interactions:
            raise MisuseError(f"interaction {shown(interaction)} lives already")
        self.purge(now)
        journey = self._mine(self._journeys.get(key)) or self._begin(now, key, channel)
        if journey is None:
            self._figures["outside"] += 1
            known = {name: value for name, value in changes.items() if value is not None}
            return Contact(journey=0, owner=owner, context=known)
        self._resting.pop(key, None)
        journey.learn(changes)
        journey.owner = owner or journey.owner
        live = Live(journey, interaction, channel, topic, now)
        repeat, hopped = self._count_contact(journey, live)
        journey.add(live)
        self._interactions[interaction] = live
        return Contact(
            journey=journey.number,
            number=journey.counts[_CONTACTS],
            repeat=repeat,
            hopped=hopped,
            hops=journey.counts[_HOPS],
            last_agent=journey.last_agent,
            owner=journey.owner,
            head_start_ms=self._rules.repeat_head_start_ms if repeat else 0,
            preference=self.preference(now, interaction, may_take),
            context=journey.context,
        )

    def connected(self, now: int, interaction: str, agent: str) -> None:
        """An interaction and an agent are together. O(1) amortised. Raises MisuseError if it is connected already."""
        checked_text("agent", agent)
        live = self._live(interaction)
        if live is not None and live.agent is not None:
            raise MisuseError(f"interaction {shown(interaction)} is connected with {shown(live.agent)} already")
        self.purge(now)
        if live is None:
            return
        journey = live.journey
        journey.counts[_WAIT] += now - live.since
        live.agent, live.left, live.since = agent, None, now
        journey.last_agent = agent
        journey.connected[interaction] = None

    def transferred(self, now: int, interaction: str) -> None:
        """An interaction was handed on or given back, and waits again. O(1) amortised. Raises MisuseError, TimeError.

        One that waited still waits since it began to, and nothing is counted.
        """
        live = self._live(interaction)
        self.purge(now)
        if live is None or live.agent is None:
            return
        journey = live.journey
        journey.counts[_TRANSFERS] += 1
        journey.counts[_EXPLANATIONS] += not journey.context
        live.agent, live.left, live.since = None, live.agent, now
        del journey.connected[interaction]

    def noted(self, now: int, interaction: str, context: Mapping[str, ContextValue | None]) -> None:
        """Something was learnt of the customer; it travels from now on. O(context) amortised. Raises MisuseError."""
        changes = checked_changes(context)
        live = self._live(interaction)
        self.purge(now)
        if live is not None:
            live.journey.learn(changes)

    def ended(self, now: int, interaction: str, how: End) -> None:
        """An interaction is over; its id may come again. O(1) amortised.

        ``"finished"`` needs a connected one, ``"abandoned"`` one that waits. Raises MisuseError, TimeError.
        """
        if type(how) is not str or how not in _ENDS:
            raise MisuseError(f"how is {shown(how)}, expected one of {', '.join(sorted(_ENDS))}")
        live = self._live(interaction)
        if live is not None and (how, live.agent is None) in (("finished", True), ("abandoned", False)):
            state = "waits" if live.agent is None else "is connected"
            raise MisuseError(f"interaction {shown(interaction)} {state} and cannot have {how}")
        self.purge(now)
        if live is None:
            return
        journey = live.journey
        counts = journey.counts
        counts[_WAIT] += now - live.since if live.agent is None else 0
        counts[_ABANDONMENTS] += how == "abandoned"
        counts[_SELF_SERVED] += how == "self_served"
        journey.last_end = how
        journey.touch(live.topic, now, journey.topics.get(live.topic, (0, 0))[1])
        journey.remove(live)
        del self._interactions[interaction]
        if not journey.live:
            self._resting[journey.key] = now

    def resolved(self, now: int, *, customer: str | None = None, interaction: str | None = None) -> None:
        """The host says that a journey is solved, by its customer or by a live interaction. O(1) amortised.

        The first word counts; a further contact takes it back. Without a journey nothing happens. Raises MisuseError,
        TimeError.
        """
        if (customer is None) == (interaction is None):
            raise MisuseError("resolved takes a customer or an interaction, one of them")
        key = None if customer is None else self.key(customer)
        live = None if interaction is None else self._live(interaction)
        self.purge(now)
        journey = live.journey if live is not None else self._mine(self._journeys.get(key or ""))
        if journey is not None and journey.resolved_at is None:
            journey.resolved_at = now

    def erase(self, now: int, customer: str) -> bool:
        """Forget a customer at once, live interactions included; whether there was anything to forget.

        Nothing is told and nothing added up but the count of ``erased``. O(live interactions of the customer)
        amortised. Raises MisuseError, TimeError.
        """
        key = self.key(customer)
        self.purge(now)
        journey = self._journeys.pop(key, None)
        if journey is None:
            return False
        self._resting.pop(key, None)
        for interaction in journey.live:
            del self._interactions[interaction]
        self._figures["erased"] += 1
        return True

    def change(self, now: int, rules: JourneyRules) -> None:
        """Other rules hold from now on; what they make due or leave no room for closes now. O(closed).

        Raises MisuseError if keys would be hashed otherwise, because the keys themselves are not known; TimeError.
        """
        if not isinstance(rules, JourneyRules):
            raise MisuseError(f"rules are {shown(rules)}, expected JourneyRules")
        if (rules.hash_keys, rules.salt) != (self._rules.hash_keys, self._rules.salt):
            raise MisuseError("hash_keys and salt cannot change while journeys are kept")
        self.purge(now)
        self._rules = rules
        self.purge(now)
        while self._resting and len(self._journeys) > rules.limit:
            self._close(next(iter(self._resting)), now, "room")

    # Questions --------------------------------------------------------------------------------------------------------

    def preference(self, now: int, interaction: str, may_take: Callable[[str], bool]) -> Preference | None:
        """Return whom a waiting interaction should meet at ``now``; moves nothing. O(1).

        ``may_take`` says whether an agent is signed in and, where shifts are known, still has time; an agent for whom
        it says no is never named, nor is the one who has just handed this interaction on. With ``one_agent`` the agent
        connected last with this customer comes first, then what ``prefer`` says. ``prefer_for_ms`` counts from the
        arrival or the transfer. None: nobody, or the interaction is connected or unknown. Raises MisuseError,
        TimeError.
        """
        live = self._live(interaction)
        self._check_time(now)
        if live is None or live.agent is not None:
            return None
        until = None if self._rules.prefer_for_ms is None else live.since + self._rules.prefer_for_ms
        if until is not None and now >= until:
            return None
        for agent, why in self._wanted(live.journey):
            if agent is not None and agent != live.left and may_take(agent):
                return Preference(agent, until, why)
        return None

    def _wanted(self, journey: Journey) -> Iterator[tuple[str | None, Literal["connected", "last_agent", "owner"]]]:
        """Yield whom the rules want, the most wanted first."""
        if self._rules.one_agent and journey.connected:
            yield journey.live[next(reversed(journey.connected))].agent, "connected"
        if self._rules.prefer == "owner":
            yield journey.owner, "owner"
        elif self._rules.prefer == "last_agent":
            yield journey.last_agent, "last_agent"

    def of(self, customer: str) -> JourneyView | None:
        """Return the journey of a customer as it stands, None where there is none. O(size). Raises MisuseError."""
        journey = self._journeys.get(self.key(customer))
        return None if journey is None else self._view(journey)

    def of_interaction(self, interaction: str) -> JourneyView | None:
        """Return the journey of a live interaction as it stands, or None. O(size). Raises MisuseError."""
        live = self._live(interaction)
        return None if live is None else self._view(live.journey)

    def report(self) -> JourneyReport:
        """Return the sums over closed journeys, and how many there are now. O(1)."""
        return JourneyReport(
            opened=self._opened,
            live=len(self._journeys) - len(self._resting),
            resting=len(self._resting),
            tally=Tally(*self._sums),
            **self._figures,
        )

    # Snapshots --------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """Return everything but the rules as dicts, lists, texts and integers, for JSON or msgpack. O(size).

        Stores with equal rules and equal states answer alike from then on.
        """
        return cast("dict[str, object]", msgspec.json.decode(msgspec.json.encode(self.rows())))

    def rows(self) -> State:
        """Return what :meth:`state` does as rows, which msgpack writes as the same bytes. O(size)."""
        journeys = sorted(self._journeys.values(), key=lambda journey: journey.number)
        return State(
            format=FORMAT,
            now=self._now,
            opened=self._opened,
            figures=self._figures,
            sums=self._sums,
            journeys=[row_of(journey) for journey in journeys],
            resting=[(self._journeys[key].number, rested_at) for key, rested_at in self._resting.items()],
        )

    @classmethod
    def of_state(
        cls, rules: JourneyRules, state: object, *, tell: Callable[[ClosedJourney], None] | None = None
    ) -> Journeys:
        """Return the store of a state under the rules that held then. O(size). Raises InputError naming what is wrong.

        >>> journeys = Journeys(JourneyRules())
        >>> Journeys.of_state(JourneyRules(), journeys.state()).state() == journeys.state()
        True
        """
        found = checked_state(state, rules, frozenset(_FIGURES))
        journeys = cls(rules, tell=tell)
        journeys._now, journeys._opened, journeys._sums = found.now, found.opened, list(found.sums)
        journeys._figures = {name: found.figures[name] for name in _FIGURES}
        for row in found.journeys:
            journeys._adopt(journey_of(row))
        keys = {journey.number: key for key, journey in journeys._journeys.items()}
        journeys._resting.update((keys[number], rested_at) for number, rested_at in found.resting)
        return journeys

    def fork(self, *, tell: Callable[[ClosedJourney], None] | None = None) -> Journeys:
        """Return a copy that shares nothing that moves; it tells nobody unless ``tell`` is given.

        O(live interactions), and O(journeys) for their index: one that rests is copied when it is written again.
        """
        other = Journeys(self._rules, tell=tell)
        self._home = object()
        other._now, other._opened = self._now, self._opened
        other._figures, other._sums = self._figures.copy(), self._sums.copy()
        other._journeys = self._journeys.copy()
        for live in self._interactions.values():
            if live.interaction not in other._interactions:
                copied = live.journey.copy()
                copied.home = other._home
                other._adopt(copied)
        other._resting = self._resting.copy()
        return other

    # Inside -----------------------------------------------------------------------------------------------------------

    def _check_time(self, now: int) -> None:
        if type(now) is not int:
            raise TimeError(f"now is {shown(now)}, expected an integer")
        if not self._now <= now <= TIME_MAX:
            raise TimeError(f"now is {shown(now)}, allowed is {self._now}..{TIME_MAX}")

    def _live(self, interaction: str) -> Live | None:
        return self._interactions.get(checked_text("interaction", interaction))

    def _mine(self, journey: Journey | None) -> Journey | None:
        """A journey that may be written: a copy where it rests and was made by another store, or before a fork."""
        if journey is None or journey.live or journey.home is self._home:
            return journey
        copied = self._journeys[journey.key] = journey.copy()
        copied.home = self._home
        return copied

    def _adopt(self, journey: Journey) -> None:
        self._journeys[journey.key] = journey
        self._interactions.update(journey.live)

    def _begin(self, now: int, key: str, channel: str) -> Journey | None:
        """Open a journey; the one that rests longest makes room for it, and without one there is no room."""
        if len(self._journeys) >= self._rules.limit:
            if not self._resting:
                return None
            self._close(next(iter(self._resting)), now, "room")
        self._opened += 1
        journey = self._journeys[key] = Journey(self._opened, key, now, channel, home=self._home)
        return journey

    def _count_contact(self, journey: Journey, live: Live) -> tuple[int, bool]:
        """Count a contact that is about to live; how often it repeats its topic, and whether it hopped."""
        counts, now = journey.counts, live.since
        first = not counts[_CONTACTS]
        known = journey.topics.get(live.topic)
        touched, repeats = known or (0, 0)
        lives = live.topic in journey.live_topics
        again = lives or (known is not None and now - touched <= self._rules.repeat_within_ms)
        repeat = repeats + 1 if again else 0
        hopped = live.channel != journey.channel
        counts[_CONTACTS] += 1
        counts[_REPEATS] += again
        counts[_HOPS] += hopped
        counts[_EXPLANATIONS] += not first and (again or not journey.context)
        counts[_REOPENINGS] += journey.resolved_at is not None
        journey.resolved_at = None
        journey.channel = live.channel
        journey.touch(live.topic, now, repeat)
        return repeat, hopped

    def _close(self, key: str, at: int, why: Literal["expired", "room"]) -> None:
        """Close a journey that rests: add it up, forget it, tell it."""
        journey, rested_at = self._journeys.pop(key), self._resting.pop(key)
        resolution, resolved_at = _resolution(journey, rested_at, why)
        resolution_ms = None if resolved_at is None else resolved_at - journey.opened_at
        tally = Tally(*journey.counts)
        effort = tally.effort(self._rules.effort)
        figures = self._figures
        figures["expired" if why == "expired" else "early"] += 1
        figures["judged"] += resolution != "unknown"
        figures["resolved"] += resolution_ms is not None
        figures["first_contact"] += resolution_ms is not None and tally.contacts == 1
        figures["resolution_ms"] += resolution_ms or 0
        figures["effort"] += effort
        self._sums = [total + count for total, count in zip(self._sums, journey.counts, strict=True)]
        if self._tell is None:
            return
        closed = ClosedJourney(
            journey=journey.number,
            customer=key if self._rules.hash_keys else None,
            opened_at=journey.opened_at,
            closed_at=at,
            why=why,
            resolution=resolution,
            resolution_ms=resolution_ms,
            tally=tally,
            effort=effort,
            context={name: value for name, value in journey.context.items() if name not in self._rules.private},
        )
        self._tell(closed)

    def _view(self, journey: Journey) -> JourneyView:
        rested_at = self._resting.get(journey.key)
        tally = Tally(*journey.counts)
        return JourneyView(
            journey=journey.number,
            opened_at=journey.opened_at,
            due=None if rested_at is None else rested_at + self._rules.expires_ms,
            resolved_at=journey.resolved_at,
            last_agent=journey.last_agent,
            owner=journey.owner,
            tally=tally,
            effort=tally.effort(self._rules.effort),
            live=tuple(
                LiveInteraction(live.interaction, live.channel, live.topic, live.since, live.agent)
                for _, live in sorted(journey.live.items())
            ),
            context=journey.context,
        )


def _resolution(
    journey: Journey, rested_at: int, why: Literal["expired", "room"]
) -> tuple[Literal["said", "quiet", "none", "unknown"], int | None]:
    """How a journey that closes was resolved, and when."""
    if journey.resolved_at is not None:
        return "said", journey.resolved_at
    if why == "room":
        return "unknown", None
    if journey.last_end in ("finished", "self_served"):
        return "quiet", rested_at
    return "none", None
