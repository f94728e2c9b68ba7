"""Journeys told naively: a list of all facts, and every answer worked out from it anew.

Nothing here is remembered from one question to the next. Topics and fields of context are few in these stories, so
their limits are not part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import attrs

from omniroute.journey_rules import JourneyRules


class Fact(NamedTuple):
    """Something that happened; ``name`` is the interaction, or the customer where a fact is about one."""

    at: int
    kind: str
    name: str
    data: dict[str, Any]


@attrs.define
class Story:
    """The facts of one journey."""

    number: int
    customer: str
    facts: list[Fact]

    def upto(self, index: int) -> Story:
        """The same journey before one of its facts."""
        return Story(self.number, self.customer, self.facts[:index])

    def each(self, kind: str) -> list[tuple[int, Fact]]:
        """Facts of a kind with their places."""
        return [(index, fact) for index, fact in enumerate(self.facts) if fact.kind == kind]

    def agent(self, interaction: str) -> str | None:
        """Who is connected with an interaction now."""
        mine = [f for f in self.facts if f.name == interaction and f.kind in ("arrive", "connected", "transferred")]
        return mine[-1].data["agent"] if mine and mine[-1].kind == "connected" else None

    def live(self) -> list[str]:
        """Interactions that arrived and have not ended since."""
        arrived = {f.name: index for index, f in self.each("arrive")}
        ended = {f.name: index for index, f in self.each("ended")}
        return sorted(name for name, index in arrived.items() if index > ended.get(name, -1))

    def arrival(self, interaction: str) -> Fact:
        """The latest arrival of an interaction."""
        return [f for _, f in self.each("arrive") if f.name == interaction][-1]

    def handed_on(self) -> list[tuple[int, Fact]]:
        """Transfers of interactions that were connected."""
        return [(index, f) for index, f in self.each("transferred") if self.upto(index).agent(f.name) is not None]

    def waits_since(self, interaction: str) -> int:
        """Since when an interaction that waits has done so: its arrival, or the latest hand-over."""
        start, fact = [(index, f) for index, f in self.each("arrive") if f.name == interaction][-1]
        return max([fact.at, *(f.at for index, f in self.handed_on() if f.name == interaction and index > start)])

    def since(self, interaction: str) -> int:
        """Since when an interaction waits or is connected."""
        if self.agent(interaction) is None:
            return self.waits_since(interaction)
        return [f.at for _, f in self.each("connected") if f.name == interaction][-1]

    def again(self, index: int) -> bool:
        """Whether the contact at a place repeats its topic, by this story's rules of touching."""
        before, fact = self.upto(index), self.facts[index]
        topic = fact.data["topic"]
        touched = [f.at for _, f in before.each("arrive") if f.data["topic"] == topic]
        touched += [f.at for i, f in before.each("ended") if before.upto(i).arrival(f.name).data["topic"] == topic]
        lives = any(before.arrival(name).data["topic"] == topic for name in before.live())
        return lives or bool(touched and fact.at - max(touched) <= fact.data["repeat_within"])

    def repeat(self, index: int) -> int:
        """How many contacts in a row, up to this one, repeat the topic."""
        row = 0
        for place, fact in self.each("arrive"):
            if place <= index and fact.data["topic"] == self.facts[index].data["topic"]:
                row = row + 1 if self.again(place) else 0
        return row

    def context(self) -> dict[str, Any]:
        """What is known: later words replace earlier ones."""
        known: dict[str, Any] = {}
        for fact in self.facts:
            if fact.kind in ("arrive", "noted"):
                known |= fact.data["context"]
        return {name: value for name, value in known.items() if value is not None}

    def resolved_at(self) -> int | None:
        """The host's first word since the latest contact."""
        last = self.each("arrive")[-1][0]
        return next((f.at for index, f in self.each("resolved") if index > last), None)

    def hopped(self, index: int) -> bool:
        """Whether a contact came on another channel than the one ahead of it."""
        before = self.upto(index).each("arrive")
        return bool(before) and before[-1][1].data["channel"] != self.facts[index].data["channel"]

    def tally(self) -> tuple[int, ...]:
        """The nine figures, by their definitions."""
        arrivals = [index for index, _ in self.each("arrive")]
        explained = [
            index for index in arrivals[1:] if self.again(index) or not Story(0, "", self.facts[: index + 1]).context()
        ] + [index for index, _ in self.handed_on() if not self.upto(index).context()]
        wait = 0
        for index, fact in enumerate(self.facts):
            if fact.kind in ("connected", "ended") and self.upto(index).agent(fact.name) is None:
                wait += fact.at - self.upto(index).waits_since(fact.name)
        return (
            len(arrivals),
            sum(self.again(index) for index in arrivals),
            sum(self.hopped(index) for index in arrivals),
            len(self.handed_on()),
            len(explained),
            sum(f.data["how"] == "abandoned" for _, f in self.each("ended")),
            sum(f.data["how"] == "self_served" for _, f in self.each("ended")),
            sum(self.upto(index).resolved_at() is not None for index in arrivals[1:]),
            wait,
        )

    def last_agent(self) -> str | None:
        """Who was connected last."""
        found = self.each("connected")
        return found[-1][1].data["agent"] if found else None

    def owner(self) -> str | None:
        """Whom the host named last."""
        named = [f.data["owner"] for _, f in self.each("arrive") if f.data["owner"] is not None]
        return named[-1] if named else None

    def rests_since(self) -> int | None:
        """When the last interaction ended, if nothing lives."""
        return None if self.live() else self.each("ended")[-1][1].at

    def wanted(
        self, rules: JourneyRules, now: int, name: str, may_take: Callable[[str], bool]
    ) -> tuple[str, int | None, str] | None:
        """Whom an interaction should meet, until when and why."""
        if name not in self.live() or self.agent(name) is not None:
            return None
        since = self.waits_since(name)
        until = None if rules.prefer_for_ms is None else since + rules.prefer_for_ms
        start = max(index for index, f in self.each("arrive") if f.name == name)
        gave = [self.upto(index).agent(name) for index, f in self.handed_on() if f.name == name and index > start]
        talking = [f for _, f in self.each("connected") if f.name in self.live() and self.agent(f.name) is not None]
        asked = [
            (rules.one_agent and bool(talking), talking[-1].data["agent"] if talking else None, "connected"),
            (rules.prefer == "owner", self.owner(), "owner"),
            (rules.prefer == "last_agent", self.last_agent(), "last_agent"),
        ]
        for wish, agent, why in asked:
            if wish and agent is not None and agent not in gave[-1:] and may_take(agent):
                return None if until is not None and now >= until else (agent, until, why)
        return None


@attrs.define
class Stories:
    """All journeys, told from the list of all facts."""

    rules: JourneyRules
    facts: list[Fact]

    def told(self, now: int) -> Told:
        """Everything that is so at an instant."""
        told = Told([], [], 0, 0, 0)
        for fact in self.facts:
            told.expire(fact.at, self.rules.expires_ms)
            told.take(fact, self.rules)
        told.expire(now, self.rules.expires_ms)
        return told


@attrs.define
class Told:
    """Open stories in order of opening, closed ones with instant and reason in order of closing."""

    open: list[Story]
    closed: list[tuple[Story, int, str]]
    opened: int
    outside: int
    erased: int

    def resting(self) -> list[Story]:
        """Stories of which nothing lives, the longest resting first."""
        found = [story for story in self.open if not story.live()]
        return sorted(found, key=lambda story: story.each("ended")[-1][1].data["nth"])

    def expire(self, now: int, expires_ms: int) -> None:
        """Close what is due."""
        for story in self.resting():
            rested_at = story.rests_since()
            assert rested_at is not None
            if rested_at + expires_ms <= now:
                self.close(story, rested_at + expires_ms, "expired")

    def close(self, story: Story, at: int, why: str) -> None:
        """Move a story to the closed ones."""
        self.open.remove(story)
        self.closed.append((story, at, why))

    def of(self, customer: str) -> Story | None:
        """The open story of a customer."""
        return next((story for story in self.open if story.customer == customer), None)

    def holding(self, interaction: str) -> Story | None:
        """The open story in which an interaction lives."""
        return next((story for story in self.open if interaction in story.live()), None)

    def take(self, fact: Fact, rules: JourneyRules) -> None:
        """Put a fact into the story where it belongs."""
        if fact.kind == "erase":
            story = self.of(fact.name)
            if story is not None:
                self.open.remove(story)
                self.erased += 1
            return
        if fact.kind == "arrive":
            story = self.of(fact.data["customer"]) or self.begin(fact, rules)
        elif fact.kind == "resolved":
            story = self.of(fact.name)
        else:
            story = self.holding(fact.name)
        if story is not None:
            story.facts.append(fact)

    def begin(self, fact: Fact, rules: JourneyRules) -> Story | None:
        """Open a story, if there is room or room can be made."""
        if len(self.open) >= rules.limit:
            resting = self.resting()
            if not resting:
                self.outside += 1
                return None
            self.close(resting[0], fact.at, "room")
        self.opened += 1
        self.open.append(Story(self.opened, fact.data["customer"], []))
        return self.open[-1]
