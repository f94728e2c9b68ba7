"""What a store of journeys is made of, and the same as plain builtins: lists, texts and integers for a snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final

import attrs
import msgspec

from omniroute.core.limits import TIME_MAX
from omniroute.errors import InputError
from omniroute.journey_facts import COUNTS, FIELDS_MAX, KEY_LENGTH_MAX, VALUE_LENGTH_MAX, ContextValue, End
from omniroute.journey_rules import JourneyRules

__all__ = ["FORMAT", "TOPICS_MAX", "Journey", "JourneyRow", "Live", "State", "checked_state", "journey_of", "row_of"]

FORMAT: Final = 1
"""The number of this layout; another layout gets another number."""
TOPICS_MAX: Final = 64
"""Topics remembered in one journey; a further one drops the one that was touched longest ago."""
_HASH: Final = re.compile("[0-9a-f]{32}")


@attrs.define(eq=False)
class Journey:
    """One journey: ``counts`` are the fields of a Tally, ``topics`` hold (touched, repeats), latest touched last."""

    number: int
    key: str
    opened_at: int
    channel: str
    counts: list[int] = attrs.field(factory=lambda: [0] * COUNTS)
    last_agent: str | None = None
    owner: str | None = None
    resolved_at: int | None = None
    last_end: End | None = None
    topics: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    context: dict[str, ContextValue] = attrs.field(factory=dict, repr=False)
    """The field that was set last comes last."""
    live: dict[str, Live] = attrs.field(factory=dict)
    live_topics: dict[str, int] = attrs.field(factory=dict)
    """How many interactions live by topic."""
    connected: dict[str, None] = attrs.field(factory=dict)
    """Interactions that are connected; the latest comes last."""
    home: object = attrs.field(default=None, repr=False)
    """The store that may write; another one that holds this journey, while nothing of it lives, copies it first."""

    def add(self, live: Live) -> None:
        """Take an interaction in. O(1)."""
        self.live[live.interaction] = live
        self.live_topics[live.topic] = self.live_topics.get(live.topic, 0) + 1

    def remove(self, live: Live) -> None:
        """Let an interaction go. O(1)."""
        del self.live[live.interaction]
        self.connected.pop(live.interaction, None)
        left = self.live_topics.pop(live.topic) - 1
        if left:
            self.live_topics[live.topic] = left

    def touch(self, topic: str, now: int, repeats: int) -> None:
        """Remember when a topic was last touched. O(1)."""
        self.topics.pop(topic, None)
        self.topics[topic] = (now, repeats)
        if len(self.topics) > TOPICS_MAX:
            del self.topics[next(iter(self.topics))]

    def learn(self, changes: dict[str, ContextValue | None]) -> None:
        """Merge what a contact brings; None forgets a field. O(changes)."""
        for name, value in changes.items():
            self.context.pop(name, None)
            if value is not None:
                self.context[name] = value
        while len(self.context) > FIELDS_MAX:
            del self.context[next(iter(self.context))]

    def copy(self) -> Journey:
        """A copy that shares nothing that moves. O(size)."""
        other = attrs.evolve(
            self,
            counts=self.counts.copy(),
            topics=self.topics.copy(),
            context=self.context.copy(),
            live={},
            live_topics=self.live_topics.copy(),
            connected=self.connected.copy(),
        )
        other.live = {name: attrs.evolve(live, journey=other) for name, live in self.live.items()}
        return other


@attrs.define(eq=False)
class Live:
    """An interaction that lives, since when it waits or is connected; ``left`` is the agent who last handed it on."""

    journey: Journey = attrs.field(repr=False)
    interaction: str
    channel: str
    topic: str
    since: int
    agent: str | None = None
    left: str | None = None


_Instant = Annotated[int, msgspec.Meta(ge=0, le=TIME_MAX)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_LENGTH_MAX)]
_Topic = Annotated[str, msgspec.Meta(max_length=KEY_LENGTH_MAX)]
_Value = (
    bool
    | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[str, msgspec.Meta(max_length=VALUE_LENGTH_MAX)]
)
_Counts = Annotated[list[_Count], msgspec.Meta(min_length=COUNTS, max_length=COUNTS)]


class LiveRow(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """An interaction that lives."""

    interaction: _Name
    channel: _Name
    topic: _Topic
    since: _Instant
    agent: _Name | None
    left: _Name | None


class JourneyRow(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """One journey; what has an order is a list in this order, live interactions are by name."""

    number: _Number
    key: _Name
    opened_at: _Instant
    channel: _Name
    counts: _Counts
    last_agent: _Name | None
    owner: _Name | None
    resolved_at: _Instant | None
    last_end: End | None
    topics: Annotated[list[tuple[_Topic, _Instant, _Count]], msgspec.Meta(max_length=TOPICS_MAX)]
    context: Annotated[list[tuple[_Name, _Value]], msgspec.Meta(max_length=FIELDS_MAX)]
    live: list[LiveRow]
    connected: list[_Name]

    def __repr__(self) -> str:
        """No context, because it may be private."""
        return f"JourneyRow(number={self.number})"


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a store of journeys knows, its rules excepted."""

    format: int
    now: _Instant
    opened: _Count
    figures: dict[str, _Count]
    sums: _Counts
    journeys: list[JourneyRow]
    """By number."""
    resting: list[tuple[_Number, _Instant]]
    """Number and instant of coming to rest, the first to come to rest first."""


def row_of(journey: Journey) -> JourneyRow:
    """A journey as a row. O(size)."""
    return JourneyRow(
        number=journey.number,
        key=journey.key,
        opened_at=journey.opened_at,
        channel=journey.channel,
        counts=journey.counts,
        last_agent=journey.last_agent,
        owner=journey.owner,
        resolved_at=journey.resolved_at,
        last_end=journey.last_end,
        topics=[(topic, touched, repeats) for topic, (touched, repeats) in journey.topics.items()],
        context=list(journey.context.items()),
        live=[
            LiveRow(live.interaction, live.channel, live.topic, live.since, live.agent, live.left)
            for _, live in sorted(journey.live.items())
        ],
        connected=list(journey.connected),
    )


def journey_of(row: JourneyRow) -> Journey:
    """The journey of a checked row. O(size)."""
    journey = Journey(
        number=row.number,
        key=row.key,
        opened_at=row.opened_at,
        channel=row.channel,
        counts=list(row.counts),
        last_agent=row.last_agent,
        owner=row.owner,
        resolved_at=row.resolved_at,
        last_end=row.last_end,
        topics={topic: (touched, repeats) for topic, touched, repeats in row.topics},
        context=dict(row.context),
        connected=dict.fromkeys(row.connected),
    )
    for live in row.live:
        journey.add(Live(journey, live.interaction, live.channel, live.topic, live.since, live.agent, live.left))
    return journey


def checked_state(value: object, rules: JourneyRules, figures: frozenset[str]) -> State:
    """Return a state whose every part has its type and range and fits the others. O(size). Raises InputError."""
    try:
        state = msgspec.convert(value, State)
    except msgspec.ValidationError as error:
        raise InputError(str(error), source="journeys") from error
    if state.format != FORMAT:
        raise InputError(f"has format {state.format}, here is {FORMAT}", source="journeys", field="format")
    if state.figures.keys() != figures:
        raise InputError(f"must hold {', '.join(sorted(figures))}", source="journeys", field="figures")
    for field, message in (*_wrong_journeys(state, rules), *_wrong_rest(state, rules)):
        raise InputError(message, source="journeys", field=field)
    return state


def _wrong_journeys(state: State, rules: JourneyRules) -> Iterator[tuple[str, str]]:
    """Yield what is wrong inside journeys, or between two, with its field."""
    keys: set[str] = set()
    interactions: set[str] = set()
    last = 0
    for position, row in enumerate(state.journeys):
        field = f"journeys[{position}]"
        if not last < row.number <= state.opened:
            yield f"{field}.number", f"must be in {last + 1}..{state.opened}, got {row.number}"
        last = row.number
        if row.key in keys:
            yield f"{field}.key", "is there twice"
        if rules.hash_keys and not _HASH.fullmatch(row.key):
            yield f"{field}.key", "is not a hash, but the rules say hash_keys"
        keys.add(row.key)
        resolved_at = row.opened_at if row.resolved_at is None else row.resolved_at
        instants = [resolved_at, *(touched for _, touched, _ in row.topics), *(live.since for live in row.live)]
        if not row.opened_at <= min(instants) <= max(instants) <= state.now:
            yield field, f"has an instant outside {row.opened_at}..{state.now}, from its beginning to now"
        if row.counts[0] < max(len(row.live), 1):
            yield f"{field}.counts", "has fewer contacts than live interactions, or none"
        for part, names in (
            ("topics", [topic for topic, _, _ in row.topics]),
            ("context", [name for name, _ in row.context]),
            ("live", [live.interaction for live in row.live]),
            ("connected", row.connected),
        ):
            if len(set(names)) != len(names):
                yield f"{field}.{part}", "has a name twice"
        if {live.interaction for live in row.live if live.agent is not None} != set(row.connected):
            yield f"{field}.connected", "does not name the live interactions that have an agent"
        mine = {live.interaction for live in row.live}
        if not mine.isdisjoint(interactions):
            yield f"{field}.live", "has an interaction of another journey"
        interactions |= mine


def _wrong_rest(state: State, rules: JourneyRules) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the journeys that rest: those of which nothing lives, in order, none overdue."""
    idle = {row.number for row in state.journeys if not row.live}
    if len(state.resting) != len(idle) or {number for number, _ in state.resting} != idle:
        yield "resting", "does not name each journey without a live interaction once"
    journeys = {row.number: row for row in state.journeys}
    last = 0
    for position, (number, rested_at) in enumerate(state.resting):
        field = f"resting[{position}]"
        if not last <= rested_at <= state.now:
            yield field, f"must be in {last}..{state.now}, got {rested_at}"
        if rested_at + rules.expires_ms <= state.now:
            yield field, "is over by the rules"
        row = journeys.get(number)
        if row is None or row.last_end is None or rested_at < row.opened_at:
            yield field, "rests, but nothing of it has ended by then"
        last = rested_at
