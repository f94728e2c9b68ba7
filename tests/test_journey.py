"""Journeys: the store gives the answers of a naive model that works everything out from the list of all facts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stories import Fact, Stories, Story, Told

from omniroute.errors import InputError, MisuseError, OmnirouteError, PlanError, TimeError
from omniroute.journey import ClosedJourney, Effort, JourneyRules, Journeys, JourneyView, Tally
from omniroute.journey_facts import FIELDS_MAX
from omniroute.journey_state import TOPICS_MAX, State
from omniroute.plan import Plan, Queue

SALT = "a secret of sixteen bytes"
EXPIRES, REPEAT, PREFER = 50, 20, 7
GAPS = sorted({0, 1, *(d + e for d in (EXPIRES, REPEAT, PREFER) for e in (-1, 0, 1))})
"""Gaps around every duration of the rules: a random gap never meets a due instant."""

rules_of_journeys = st.builds(
    JourneyRules,
    expires_ms=st.just(EXPIRES),
    repeat_within_ms=st.just(REPEAT),
    limit=st.sampled_from([1, 2, 100, 100]),
    prefer=st.just("last_agent") | st.just("owner"),
    prefer_for_ms=st.none() | st.just(PREFER),
    repeat_head_start_ms=st.just(3),
    one_agent=st.booleans(),
    private=st.just(["pin"]),
    effort=st.builds(Effort, transfer=st.integers(0, 5), waited_minute=st.integers(0, 2)),
)
contexts = st.dictionaries(st.sampled_from(["pin", "order"]), st.sampled_from([None, 1, True, "x"]), max_size=2)
agents = st.sampled_from(["ana", "ben"])
wishes = st.tuples(
    st.sampled_from(GAPS) | st.integers(0, 3),
    st.sampled_from(["arrive"] * 4 + ["connected"] * 5 + ["ended"] * 5 + ["transferred"] * 3 + ["noted", "resolved"])
    | st.sampled_from(["arrive", "ended", "resolved", "erase", "unknown"]),
    st.integers(0, 11),
    st.fixed_dictionaries(
        {
            "channel": st.sampled_from(["chat", "voice"]),
            "topic": st.sampled_from(["", "bill"]),
            "context": st.just({}) | contexts,
            "owner": st.none() | agents,
            "agent": agents,
            "how": st.sampled_from(["self_served", "cancelled", "natural", "natural", "natural"]),
            "free": st.sampled_from([("ana", "ben"), ("ben",), ("ana",)]),
        }
    ),
)
days = st.lists(wishes, min_size=6, max_size=25)


def facts_of(day: list[Any], rules: JourneyRules) -> list[Fact]:
    """Turn wishes into facts that are possible; a wish for which nothing fits becomes an arrival."""
    stories = Stories(rules, [])
    now = 0
    for gap, wish, number, data in day:
        now += gap
        told = stories.told(now)
        agent_of = {name: story.agent(name) for story in told.open for name in story.live()}
        waiting = sorted(name for name, agent in agent_of.items() if agent is None)
        talking = sorted(agent_of.keys() - set(waiting))
        fits = {"connected": waiting, "transferred": talking, "ended": sorted(agent_of), "noted": sorted(agent_of)}
        customer = ("kim", "kim", "lee", "mia")[number % 4]
        names = fits.get(wish, [])
        kind, name = wish, customer
        if wish == "unknown":
            kind, name = ("connected", "ended", "transferred")[number % 3], "nobody"
        elif names:
            name = names[number % len(names)]
        elif wish not in ("resolved", "erase"):
            kind, name = "arrive", next(f"c{n}" for n in range(99) if f"c{n}" not in agent_of)
        how = data["how"] if data["how"] != "natural" else "finished" if agent_of.get(name) else "abandoned"
        data = data | {"customer": customer, "how": how, "repeat_within": REPEAT, "nth": len(stories.facts)}
        stories.facts.append(Fact(now, kind, name, data))
    return stories.facts


def feed(journeys: Journeys, fact: Fact) -> Any:
    """Tell a store one fact."""
    at, kind, name, data = fact
    if kind == "arrive":
        told = {key: data[key] for key in ("channel", "topic", "context", "owner")}
        return journeys.arrive(at, data["customer"], name, **told, may_take=data["free"].__contains__)
    if kind == "resolved":
        return journeys.resolved(at, customer=name)
    extra = {"connected": ["agent"], "ended": ["how"], "noted": ["context"]}.get(kind, [])
    return getattr(journeys, kind)(at, name, *(data[key] for key in extra))


def expected_closed(rules: JourneyRules, story: Story, at: int, why: str) -> ClosedJourney:
    """What the naive model says of a story that closed."""
    last, first = story.each("ended")[-1][1], story.facts[0].at
    said = story.resolved_at()
    if said is not None:
        resolution, resolved_at = "said", said
    elif why == "room":
        resolution, resolved_at = "unknown", None
    elif last.data["how"] in ("finished", "self_served"):
        resolution, resolved_at = "quiet", last.at
    else:
        resolution, resolved_at = "none", None
    tally = Tally(*story.tally())
    return ClosedJourney(
        journey=story.number,
        customer=None,
        opened_at=first,
        closed_at=at,
        why=why,  # type: ignore[arg-type]
        resolution=resolution,  # type: ignore[arg-type]
        resolution_ms=None if resolved_at is None else resolved_at - first,
        tally=tally,
        effort=effort_of(rules.effort, tally),
        context={name: value for name, value in story.context().items() if name != "pin"},
    )


def effort_of(weights: Effort, tally: Tally) -> int:
    """The effort score by its published formula."""
    return (
        weights.contact * (tally.contacts - 1)
        + weights.hop * tally.hops
        + weights.transfer * tally.transfers
        + weights.explanation * tally.explanations
        + weights.abandonment * tally.abandonments
        + weights.waited_minute * (tally.wait_ms // 60_000)
    )


def check_contact(rules: JourneyRules, contact: Any, told: Told, fact: Fact) -> None:
    """Compare what a contact was told with the naive model."""
    story = told.holding(fact.name)
    if story is None:
        assert contact.journey == 0
        return
    place = len(story.facts) - 1
    repeat = story.repeat(place)
    wanted = story.wanted(rules, fact.at, fact.name, fact.data["free"].__contains__)
    found = contact.preference and attrs.astuple(contact.preference)
    assert (contact.journey, contact.number) == (story.number, len(story.each("arrive")))
    assert (contact.repeat, contact.head_start_ms) == (repeat, 3 if repeat else 0)
    assert (contact.hopped, contact.hops) == (story.hopped(place), story.tally()[2])
    assert (contact.last_agent, contact.owner) == (story.last_agent(), story.owner())
    assert dict(contact.context) == story.context()
    assert found == wanted


def check_views(rules: JourneyRules, journeys: Journeys, told: Told) -> None:
    """Compare every open journey, and whom everything that waits should meet, with the naive model."""
    assert len(journeys) == len(told.open)
    for customer in ("kim", "lee", "mia"):
        view, story = journeys.of(customer), told.of(customer)
        if view is None or story is None:
            assert view is story
            continue
        rest = story.rests_since()
        assert view.tally == Tally(*story.tally())
        assert view.effort == effort_of(rules.effort, view.tally)
        assert (view.journey, view.opened_at) == (story.number, story.facts[0].at)
        assert view.due == (None if rest is None else rest + EXPIRES)
        assert view.resolved_at == story.resolved_at()
        assert [live.interaction for live in view.live] == story.live()
        assert [live.agent for live in view.live] == [story.agent(name) for name in story.live()]
        assert [live.since for live in view.live] == [story.since(name) for name in story.live()]
        assert {name: type(value) for name, value in view.context.items()} == {
            name: type(value) for name, value in story.context().items()
        }
        for name in story.live():
            for later in (0, 1, PREFER):
                now = journeys.now + later
                for free in (("ana", "ben"), ("ben",), ()):
                    found = journeys.preference(now, name, free.__contains__)
                    assert (found and attrs.astuple(found)) == story.wanted(rules, now, name, free.__contains__)


def check_report(journeys: Journeys, told: Told, records: list[ClosedJourney]) -> None:
    """Compare the sums with those over the records and the naive model."""
    report = journeys.report()
    judged = [record for record in records if record.resolution != "unknown"]
    resolved = [record for record in judged if record.resolution_ms is not None]
    assert (report.opened, report.closed) == (told.opened, len(told.closed))
    assert (report.expired, report.early) == tuple(
        sum(why == reason for _, _, why in told.closed) for reason in ("expired", "room")
    )
    assert (report.erased, report.outside) == (told.erased, told.outside)
    assert (report.live, report.resting) == (
        sum(bool(story.live()) for story in told.open),
        sum(not story.live() for story in told.open),
    )
    assert (report.judged, report.resolved) == (len(judged), len(resolved))
    assert report.first_contact == sum(record.tally.contacts == 1 for record in resolved)
    assert report.resolution_ms == sum(record.resolution_ms or 0 for record in resolved)
    assert report.effort == sum(record.effort for record in records)
    assert attrs.astuple(report.tally) == tuple(
        sum(column) for column in zip((0,) * 9, *(attrs.astuple(record.tally) for record in records), strict=True)
    )


@settings(deadline=None, max_examples=150)
@given(rules_of_journeys, days)
def test_the_store_answers_as_the_list_of_all_facts(rules: JourneyRules, day: list[Any]) -> None:
    """Every contact, view, preference, record and sum is what the definitions give over the list of all facts.

    Planted: a repeat or a hard preference that ends one millisecond off, an owner forgotten by the next contact, a
    further contact that does not take back the host's word.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(rules, tell=records.append)
    stories = Stories(rules, [])
    for fact in facts_of(day, rules):
        answer = feed(journeys, fact)
        stories.facts.append(fact)
        told = stories.told(fact.at)
        if fact.kind == "arrive":
            check_contact(rules, answer, told, fact)
        check_views(rules, journeys, told)
    journeys.purge(journeys.now + EXPIRES)
    told = stories.told(journeys.now)
    assert records == [expected_closed(rules, *closed) for closed in told.closed]
    check_report(journeys, told, records)


@settings(deadline=None)
@given(rules_of_journeys, days, st.lists(st.sampled_from(GAPS), min_size=1, max_size=10))
def test_when_it_is_purged_does_not_matter(rules: JourneyRules, day: list[Any], ticks: list[int]) -> None:
    """Purging at any instants in between changes no record and no state.

    Planted: a journey that closes one millisecond after it is due.
    """
    facts = facts_of(day, rules)
    told: list[list[ClosedJourney]] = [[], []]
    plain, ticked = (Journeys(rules, tell=records.append) for records in told)
    instants = [fact.at for fact in facts] + [facts[-1].at if facts else 0]
    for number, fact in enumerate(facts):
        feed(plain, fact)
        feed(ticked, fact)
        for tick in sorted(ticks):
            ticked.purge(min(max(fact.at + tick, ticked.now), instants[number + 1]))
    for journeys in (plain, ticked):
        journeys.purge(instants[-1] + EXPIRES)
    assert told[0] == told[1]
    assert plain.state() == ticked.state()


@settings(deadline=None)
@given(rules_of_journeys, days, st.integers(0, 25))
def test_a_state_and_a_fork_have_the_same_future(rules: JourneyRules, day: list[Any], cut: int) -> None:
    """A store read back from JSON or msgpack, or forked, goes on like the first, and a fork moves nothing of it.

    Planted: a fork that shares the live interactions of a journey.
    """
    facts = facts_of(day, rules)
    first = Journeys(rules)
    for fact in facts[:cut]:
        feed(first, fact)
    state = first.state()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state)) == state
    others = [Journeys.of_state(rules, json.loads(json.dumps(state))), first.fork()]
    told: list[list[ClosedJourney]] = [[], []]
    others += [Journeys.of_state(rules, state, tell=told[0].append), first.fork(tell=told[1].append)]
    for fact in facts[cut:]:
        answers = [feed(journeys, fact) for journeys in others]
        assert all(answer == answers[0] for answer in answers)
        assert all(journeys.state() == others[0].state() for journeys in others)
    assert told[0] == told[1]
    assert first.state() == state


@settings(deadline=None)
@given(rules_of_journeys, days)
def test_what_raises_has_moved_nothing(rules: JourneyRules, day: list[Any]) -> None:
    """A fact that is wrong raises MisuseError or TimeError and leaves the state as it was, time included.

    Planted: journeys purged before the fact is looked at.
    """
    journeys = Journeys(rules)
    for fact in facts_of(day, rules):
        feed(journeys, fact)
    now, before = journeys.now + EXPIRES, journeys.state()
    wrong: list[Callable[[], object]] = [
        lambda: journeys.purge(journeys.now - 1),
        lambda: journeys.purge(True),
        lambda: journeys.purge(2**42 + 1),
        lambda: journeys.ended(now, "c1", "lost"),  # type: ignore[arg-type]
        lambda: journeys.ended(now, "c1", ["finished"]),  # type: ignore[arg-type]
        lambda: journeys.connected(now, "c1", ""),
        lambda: journeys.transferred(now, 7),  # type: ignore[arg-type]
        lambda: journeys.noted(now, "c1", {"a": 1.5}),  # type: ignore[dict-item]
        lambda: journeys.noted(now, "c1", {"a": 2**63}),
        lambda: journeys.noted(now, "c1", {str(n): n for n in range(FIELDS_MAX + 1)}),
        lambda: journeys.noted(now, "c1", {"a": "x" * 4097}),
        lambda: journeys.resolved(now),
        lambda: journeys.resolved(now, customer="kim", interaction="c1"),
        lambda: journeys.erase(now, "\ud800"),
        lambda: journeys.arrive(now, "kim", "c9", channel="", may_take=bool),
        lambda: journeys.arrive(now, "kim", "c9", channel="chat", owner="", may_take=bool),
        lambda: journeys.arrive(now, "kim", "c9", channel="chat", context=[1], may_take=bool),  # type: ignore[arg-type]
        lambda: journeys.change(now, attrs.evolve(rules, hash_keys=True, salt=SALT)),
        lambda: journeys.change(now, None),  # type: ignore[arg-type]
    ]
    for customer in ("kim", "lee", "mia"):
        for live in (journeys.of(customer) or no_view()).live:
            name, how = live.interaction, "abandoned" if live.agent else "finished"
            wrong.append(lambda name=name: journeys.arrive(now, "kim", name, channel="chat", may_take=bool))
            wrong.append(lambda name=name, how=how: journeys.ended(now, name, how))
            if live.agent:
                wrong.append(lambda name=name: journeys.connected(now, name, "ben"))
    for fact_that_is_wrong in wrong:
        with pytest.raises((MisuseError, TimeError)):
            fact_that_is_wrong()
        assert journeys.state() == before


def no_view() -> JourneyView:
    """A view of nothing."""
    return JourneyView(
        journey=0,
        opened_at=0,
        due=None,
        resolved_at=None,
        last_agent=None,
        owner=None,
        tally=Tally(),
        effort=0,
        live=(),
        context={},
    )


def everyone(_agent: str) -> bool:
    """Everybody is signed in."""
    return True


def test_the_figures_of_one_story() -> None:
    """A story counted by hand: chat, handed on, given up, then a call that solves it.

    Planted: an effort score that counts the first contact; waiting that goes on while connected.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(effort=Effort(waited_minute=1)), tell=records.append)
    minute = 60_000
    journeys.arrive(0, "kim", "chat", channel="chat", topic="bill", may_take=everyone)
    journeys.connected(minute, "chat", "ana")  # one minute
    journeys.transferred(3 * minute, "chat")  # a transfer, and nothing is known: explained again
    journeys.ended(5 * minute, "chat", "abandoned")  # two minutes
    journeys.arrive(9 * minute, "kim", "call", channel="voice", topic="bill", may_take=everyone)  # repeat, hop
    journeys.noted(10 * minute, "call", {"bill": 12})
    journeys.connected(10 * minute, "call", "ben")  # one minute
    journeys.transferred(11 * minute, "call")  # a transfer that travels with what is known
    journeys.connected(11 * minute, "call", "cid")
    journeys.ended(20 * minute, "call", "finished")
    journeys.purge(20 * minute + 72 * 60 * minute)
    [closed] = records
    assert closed.tally == Tally(
        contacts=2, repeats=1, hops=1, transfers=2, explanations=2, abandonments=1, wait_ms=4 * minute
    )
    assert closed.effort == 2 * 1 + 1 * 1 + 2 * 2 + 3 * 2 + 2 * 1 + 1 * 4
    assert (closed.resolution, closed.resolution_ms) == ("quiet", 20 * minute)
    assert journeys.report().first_contact_permille == 0
    assert journeys.report().mean_resolution_ms == 20 * minute


def test_shares_need_something_to_share() -> None:
    """Without a closed journey a share is None, not 0."""
    report = Journeys(JourneyRules()).report()
    assert (report.first_contact_permille, report.mean_resolution_ms) == (None, None)


@pytest.mark.parametrize(
    ("how", "said", "resolution"),
    [
        ("finished", False, "quiet"),
        ("self_served", False, "quiet"),
        ("abandoned", False, "none"),
        ("cancelled", False, "none"),
        ("abandoned", True, "said"),
    ],
)
def test_who_never_came_back_is_not_always_solved(how: Any, said: bool, resolution: str) -> None:
    """Quiet resolves what was finished; a customer who gave up is not counted as resolved, unless the host says so."""
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10), tell=records.append)
    journeys.arrive(0, "kim", "c1", channel="chat", may_take=everyone)
    if how == "finished":
        journeys.connected(1, "c1", "ana")
    if said:
        journeys.resolved(1, interaction="c1")
    journeys.ended(2, "c1", how)
    journeys.purge(11)
    assert not records
    journeys.purge(12)
    assert [(record.closed_at, record.resolution) for record in records] == [(12, resolution)]
    assert journeys.report().first_contact_permille == (0 if resolution == "none" else 1000)


def test_the_first_word_counts_until_a_further_contact() -> None:
    """A second word of the host does not move the time to resolution; a further contact takes both back.

    Planted: the last word counts.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10), tell=records.append)
    journeys.arrive(0, "kim", "c1", channel="chat", may_take=everyone)
    journeys.resolved(1, interaction="c1")
    journeys.resolved(2, customer="kim")
    assert journeys.of("kim").resolved_at == 1  # type: ignore[union-attr]
    journeys.ended(3, "c1", "cancelled")
    journeys.arrive(4, "kim", "c2", channel="chat", topic="else", may_take=everyone)
    assert journeys.of("kim").resolved_at is None  # type: ignore[union-attr]
    journeys.ended(5, "c2", "cancelled")
    journeys.resolved(6, customer="kim")
    journeys.resolved(7, customer="nobody")
    journeys.purge(15)
    assert (records[0].resolution, records[0].resolution_ms, records[0].tally.reopenings) == ("said", 6, 1)


def test_one_agent_is_the_one_connected_latest() -> None:
    """Where several agents talk with a customer, whoever was connected last is preferred for the next interaction.

    Planted: the first one.
    """
    journeys = Journeys(JourneyRules(one_agent=True, prefer="owner"))
    for name, agent in (("c1", "ana"), ("c2", "ben"), ("c3", "cid")):
        journeys.arrive(0, "kim", name, channel="chat", owner="own", may_take=everyone)
        journeys.connected(0, name, agent)
    journeys.ended(1, "c3", "finished")
    contact = journeys.arrive(1, "kim", "c4", channel="chat", may_take=everyone)
    assert contact.preference is not None
    assert (contact.preference.agent, contact.preference.why) == ("ben", "connected")
    for name in ("c1", "c2"):
        journeys.ended(2, name, "finished")
    found = journeys.preference(2, "c4", everyone)
    assert found is not None
    assert (found.agent, found.why) == ("own", "owner")


def test_nobody_signed_out_is_preferred() -> None:
    """Neither softly, nor hard, nor as the one agent of a customer: whoever may not take it is not named.

    Planted: the agent of a connected interaction named without asking.
    """
    for wanted in (None, "last_agent", "owner"):
        for hard in (None, 5) if wanted else (None,):
            rules = JourneyRules(prefer=wanted, prefer_for_ms=hard, one_agent=True)  # type: ignore[arg-type]
            journeys = Journeys(rules)
            journeys.arrive(0, "kim", "c1", channel="chat", owner="ana", may_take=everyone)
            journeys.connected(0, "c1", "ana")
            contact = journeys.arrive(1, "kim", "c2", channel="voice", may_take={"ben"}.__contains__)
            assert contact.preference is None
            found = journeys.preference(1, "c2", everyone)
            assert found is not None
            assert (found.agent, found.why) == ("ana", "connected")


def test_whoever_hands_an_interaction_on_does_not_get_it_back() -> None:
    """After a transfer the agent who gave it away is not preferred for it, though he was the last one."""
    journeys = Journeys(JourneyRules(prefer="last_agent", prefer_for_ms=10))
    journeys.arrive(0, "kim", "c1", channel="chat", may_take=everyone)
    journeys.connected(1, "c1", "ana")
    journeys.transferred(2, "c1")
    assert journeys.preference(2, "c1", everyone) is None
    contact = journeys.arrive(3, "kim", "c2", channel="voice", may_take=everyone)
    assert contact.preference is not None
    assert (contact.preference.agent, contact.preference.until) == ("ana", 13)
    assert journeys.preference(12, "c2", everyone) == contact.preference
    assert journeys.preference(13, "c2", everyone) is None


def test_hashed_customers_leave_no_trace() -> None:
    """With hash_keys the raw key is in no state, record, view or repr, and the salt in no repr; the hash is keyed.

    Planted: a hash without the salt; rules that show it.
    """
    raw = "+44 20 7946 0000"
    records: list[ClosedJourney] = []
    rules = JourneyRules(hash_keys=True, salt=SALT, expires_ms=10)
    journeys = Journeys(rules, tell=records.append)
    contact = journeys.arrive(0, raw, "c1", channel="voice", may_take=everyone)
    view = journeys.of(raw)
    texts = [json.dumps(journeys.state()), repr(contact), repr(view), repr(rules), str(vars(journeys))]
    journeys.ended(1, "c1", "cancelled")
    journeys.purge(11)
    texts += [repr(records), json.dumps(journeys.state()), repr(journeys.report())]
    for text in texts:
        assert raw not in text
        assert "7946" not in text
        assert SALT not in text
    key = records[0].customer
    assert key == journeys.key(raw)
    assert key is not None
    assert len(key) == 32
    assert key != Journeys(attrs.evolve(rules, salt=SALT + "!")).key(raw)


def test_a_plain_key_is_left_out_of_records() -> None:
    """Without hash_keys a record does not say who it was.

    Planted: a record with the key as it is.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10), tell=records.append)
    journeys.arrive(0, "kim-of-north-street", "c1", channel="voice", may_take=everyone)
    journeys.ended(1, "c1", "cancelled")
    journeys.purge(11)
    assert records[0].customer is None
    assert "kim-of" not in repr(records)


def test_private_fields_reach_the_agent_and_no_report() -> None:
    """A private field travels to the agent; records do not have it and no repr shows what is in it.

    Planted: a record with the whole context.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10, private=["card"]), tell=records.append)
    context = {"card": "4111-1111", "order": "A17"}
    contact = journeys.arrive(0, "kim", "c1", channel="voice", context=context, may_take=everyone)
    view = journeys.of_interaction("c1")
    assert dict(contact.context) == context
    assert "4111" not in repr(contact) + repr(view) + repr(vars(journeys))
    state = msgspec.convert(journeys.state(), State)
    assert "4111" not in repr(state)
    assert "card" in repr(contact)
    with pytest.raises(TypeError):
        contact.context["card"] = "else"  # type: ignore[index]
    journeys.ended(1, "c1", "cancelled")
    journeys.purge(11)
    assert dict(records[0].context) == {"order": "A17"}
    assert "4111" not in repr(records) + repr(journeys.report())


def test_an_erased_customer_is_gone_at_once() -> None:
    """Erasing leaves no key, no context and no record; what still lives belongs to nothing and moves nothing."""
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10), tell=records.append)
    journeys.arrive(0, "kim", "c1", channel="voice", context={"order": "A17"}, may_take=everyone)
    assert journeys.erase(1, "kim")
    assert not journeys.erase(1, "kim")
    text = json.dumps(journeys.state())
    assert "kim" not in text
    assert "A17" not in text
    assert "c1" not in text
    before = journeys.state()
    journeys.connected(1, "c1", "ana")
    journeys.noted(1, "c1", {"order": "A17"})
    journeys.ended(1, "c1", "finished")
    assert journeys.state() == before
    assert (len(journeys), len(records), journeys.report().erased) == (0, 0, 1)
    assert journeys.arrive(2, "kim", "c2", channel="voice", may_take=everyone).number == 1


def test_a_due_journey_is_told_before_it_is_erased() -> None:
    """What was due before the customer asked to be forgotten has closed already."""
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10), tell=records.append)
    journeys.arrive(0, "kim", "c1", channel="voice", may_take=everyone)
    journeys.ended(0, "c1", "cancelled")
    assert not journeys.erase(10, "kim")
    assert len(records) == 1


def test_memory_is_bounded() -> None:
    """The longest resting journey makes room; where all live there is none; topics and fields drop the oldest.

    Planted: room made by the newest; topics or fields that are never dropped; a journey closed early judged.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(limit=2), tell=records.append)
    for now, name in enumerate(("kim", "lee")):
        journeys.arrive(now, name, name, channel="voice", may_take=everyone)
    assert journeys.arrive(2, "mia", "mia", channel="voice", context={"a": 1}, may_take=everyone).journey == 0
    assert journeys.of_interaction("mia") is None
    journeys.ended(3, "lee", "self_served")
    journeys.ended(3, "kim", "self_served")
    assert journeys.arrive(4, "mia", "mia", channel="voice", may_take=everyone).journey == 3
    assert [(record.journey, record.why, record.closed_at) for record in records] == [(2, "room", 4)]
    assert (records[0].resolution, records[0].resolution_ms, journeys.report().judged) == ("unknown", None, 0)
    for number in range(TOPICS_MAX + 5):
        topic, fields = f"t{number}", {f"f{number}-{k}": k for k in range(FIELDS_MAX)}
        journeys.arrive(5, "mia", topic, channel="voice", topic=topic, context=fields, may_take=everyone)
        assert len(journeys.of("mia").context) == FIELDS_MAX  # type: ignore[union-attr]
        journeys.ended(5, topic, "cancelled")
    row = journeys.state()["journeys"][-1]  # type: ignore[index]
    assert len(row[9]) == TOPICS_MAX
    assert [topic for topic, _, _ in row[9]] == [f"t{number}" for number in range(5, TOPICS_MAX + 5)]


def test_what_was_used_last_is_kept_longest() -> None:
    """A field that is set anew and a topic that is touched anew are the youngest, in a state read back too.

    Planted: a field or a topic that keeps its first place; orders lost in a state.
    """
    journeys = Journeys(JourneyRules(one_agent=True))
    fields = {f"f{number}": number for number in range(FIELDS_MAX)}
    journeys.arrive(0, "kim", "c0", channel="voice", topic="t0", context=fields, may_take=everyone)
    for number in (*range(1, TOPICS_MAX), 0):
        journeys.arrive(0, "kim", f"c{number}-", channel="voice", topic=f"t{number}", may_take=everyone)
    journeys.noted(1, "c0", {"f0": "new"})
    journeys.connected(1, "c2-", "ben")
    journeys.connected(1, "c1-", "ana")
    for store in (journeys.fork(), Journeys.of_state(journeys.rules, journeys.state())):
        contact = store.arrive(2, "kim", "more", channel="voice", topic="more", context={"more": 1}, may_take=everyone)
        assert "f0" in contact.context
        assert "f1" not in contact.context
        assert contact.preference is not None
        assert contact.preference.agent == "ana"
        row = store.state()["journeys"][0]  # type: ignore[index]
        assert [topic for topic, _, _ in row[9]] == [*(f"t{number}" for number in range(2, TOPICS_MAX)), "t0", "more"]


def test_a_fork_shares_nothing() -> None:
    """Whatever a fork is told moves nothing of the store that it came from.

    Planted: a fork that shares counts, context, topics, live interactions or who rests.
    """
    journeys = Journeys(JourneyRules(expires_ms=10, limit=2))
    for name in ("c1", "c2"):
        journeys.arrive(0, "kim", name, channel="chat", context={"a": 1}, may_take=everyone)
    journeys.connected(1, "c1", "ana")
    journeys.arrive(1, "lee", "c3", channel="chat", may_take=everyone)
    journeys.ended(1, "c3", "cancelled")
    before = copy.deepcopy(journeys.state())
    fork = journeys.fork()
    fork.noted(2, "c1", {"a": 2, "b": 3})
    fork.transferred(2, "c1")
    fork.connected(2, "c2", "ben")
    fork.arrive(2, "kim", "c4", channel="voice", topic="bill", may_take=everyone)
    fork.ended(2, "c4", "self_served")
    fork.purge(12)
    fork.erase(12, "kim")
    assert journeys.state() == before


def test_whatever_rests_is_shared_until_it_is_written() -> None:
    """Neither side sees what the other is told of a journey that rested when they parted, whoever is told first.

    Seen to fail: the store that was forked wrote into what its fork had; a journey that began to live again was copied
    once more, and its interaction wrote into the one before.
    """
    for first in (0, 1):
        journeys = Journeys(JourneyRules(expires_ms=100))
        for name in ("kim", "lee", "ann"):
            journeys.arrive(1, name, f"c-{name}", channel="chat", context={"a": 1}, may_take=everyone)
            journeys.ended(1, f"c-{name}", "cancelled")
        sides = [journeys, journeys.fork()]
        before = copy.deepcopy(journeys.state())
        told, silent = sides[first], sides[1 - first]
        told.resolved(2, customer="lee")
        told.arrive(2, "kim", "c9", channel="voice", topic="bill", context={"a": 2}, may_take=everyone)
        told.connected(3, "c9", "ana")
        told.arrive(3, "kim", "c8", channel="voice", may_take=everyone)
        told.noted(4, "c9", {"b": 5})
        assert silent.state() == before
        view = told.of("kim")
        assert view is not None
        assert (view.context, view.last_agent, len(view.live)) == ({"a": 2, "b": 5}, "ana", 2)
        told.ended(5, "c9", "finished")
        told.ended(5, "c8", "cancelled")
        again = told.fork()
        state = copy.deepcopy(again.state())
        told.arrive(6, "kim", "c7", channel="voice", context={"a": 7}, may_take=everyone)
        silent.arrive(6, "ann", "c6", channel="voice", context={"a": 8}, may_take=everyone)
        assert again.state() == state


@pytest.mark.parametrize(("gap", "repeat"), [(0, 1), (19, 1), (20, 1), (21, 0)])
def test_a_repeat_ends_with_its_time(gap: int, repeat: int) -> None:
    """A contact exactly repeat_within after the end of the one ahead of it is a repeat, and a later one is none.

    Planted: the last millisecond left out; time counted from the arrival.
    """
    journeys = Journeys(JourneyRules(repeat_within_ms=20))
    journeys.arrive(0, "kim", "c1", channel="voice", topic="bill", may_take=everyone)
    journeys.ended(50, "c1", "cancelled")
    assert journeys.arrive(50 + gap, "kim", "c2", channel="voice", topic="bill", may_take=everyone).repeat == repeat
    assert journeys.arrive(50 + gap, "kim", "c3", channel="voice", topic="else", may_take=everyone).repeat == 0


@pytest.mark.parametrize("noticed", [10, 11, 500])
def test_a_journey_closes_when_it_is_due(noticed: int) -> None:
    """A record has the instant at which the journey was due, whenever somebody looks, and the next contact is a first.

    Planted: a record with the instant at which it was noticed; a contact at the due instant that still belongs to it.
    """
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=10), tell=records.append)
    journeys.arrive(0, "kim", "c1", channel="voice", may_take=everyone)
    journeys.ended(0, "c1", "cancelled")
    assert journeys.next_due == 10
    assert journeys.arrive(noticed, "kim", "c2", channel="voice", may_take=everyone).number == 1
    assert [record.closed_at for record in records] == [10]


def test_a_live_topic_is_repeated_however_old() -> None:
    """A contact while another on the same topic still lives is a repeat, though that one came long ago."""
    journeys = Journeys(JourneyRules(repeat_within_ms=10))
    journeys.arrive(0, "kim", "mail", channel="email", topic="bill", may_take=everyone)
    assert journeys.arrive(1_000, "kim", "call", channel="voice", topic="bill", may_take=everyone).repeat == 1
    journeys.ended(1_000, "mail", "cancelled")
    journeys.ended(1_000, "call", "cancelled")
    assert journeys.arrive(1_011, "kim", "call", channel="voice", topic="bill", may_take=everyone).repeat == 0


def test_other_rules_hold_at_once() -> None:
    """Shorter rest and a smaller limit close what they leave no time or room for, now and not in the past."""
    records: list[ClosedJourney] = []
    journeys = Journeys(JourneyRules(expires_ms=100), tell=records.append)
    for now, name in enumerate(("kim", "lee", "mia", "noa")):
        journeys.arrive(now, name, name, channel="voice", may_take=everyone)
        if name != "noa":
            journeys.ended(now, name, "cancelled")
    journeys.change(50, JourneyRules(expires_ms=50))
    assert [(record.journey, record.closed_at) for record in records] == [(1, 50)]
    journeys.change(50, JourneyRules(expires_ms=100, limit=2))
    assert [(record.journey, record.why) for record in records[1:]] == [(2, "room")]
    journeys.change(50, JourneyRules(expires_ms=40))
    assert [(record.journey, record.why, record.closed_at) for record in records[2:]] == [(3, "expired", 50)]
    assert journeys.next_due is None
    assert journeys.of("noa") is not None


def damaged_state() -> dict[str, Any]:
    """A state with two journeys: one live with two interactions, one at rest."""
    journeys = Journeys(JourneyRules(expires_ms=100))
    journeys.arrive(0, "kim", "c1", channel="voice", topic="bill", context={"a": 1}, may_take=everyone)
    journeys.arrive(1, "kim", "c2", channel="chat", may_take=everyone)
    journeys.connected(2, "c1", "ana")
    journeys.arrive(3, "lee", "c3", channel="chat", may_take=everyone)
    journeys.ended(4, "c3", "self_served")
    return copy.deepcopy(journeys.state())  # type: ignore[return-value]


DAMAGES: list[tuple[list[Any], Any, str]] = [
    (["format"], 2, "format"),
    (["now"], 3, "journeys[1]"),
    (["now"], -1, "now"),
    (["figures", "judged"], -1, "figures"),
    (["figures"], {}, "figures"),
    (["sums"], [0] * 8, "sums"),
    (["opened"], 1, "journeys[1].number"),
    (["journeys", 1, 0], 1, "journeys[1].number"),
    (["journeys", 1, 1], "kim", "journeys[1].key"),
    (["journeys", 0, 4, 0], 1, "journeys[0].counts"),
    (["journeys", 0, 2], 5, "journeys[0]"),
    (["journeys", 0, 7], 9, "journeys[0]"),
    (["journeys", 0, 8], "lost", "journeys[0][8]"),
    (["journeys", 0, 9], [["bill", 0, 0], ["bill", 0, 0]], "journeys[0].topics"),
    (["journeys", 0, 10], [["a", 1], ["a", 2]], "journeys[0].context"),
    (["journeys", 0, 10], [["a", 1.5]], "journeys[0][10]"),
    (["journeys", 0, 12], [], "journeys[0].connected"),
    (["journeys", 0, 12], ["c1", "c2"], "journeys[0].connected"),
    (["journeys", 0, 12], ["c1", "c1"], "journeys[0].connected"),
    (["journeys", 0, 11, 1, 0], "c1", "journeys[0].live"),
    (["journeys", 1, 11], [["c1", "chat", "", 4, None, None]], "journeys[1].live"),
    (["journeys", 1, 11], [["c4", "chat", "", 4, None, None]], "resting"),
    (["resting"], [], "resting"),
    (["resting"], [[1, 4]], "resting"),
    (["resting"], [[2, 4], [2, 4]], "resting"),
    (["resting", 0, 1], 2, "resting[0]"),
    (["resting", 0, 1], 5, "resting[0]"),
    (["journeys", 1, 8], None, "resting[0]"),
]


@pytest.mark.parametrize(("path", "value", "named"), DAMAGES, ids=str)
def test_a_damaged_state_is_refused_by_name(path: list[Any], value: Any, named: str) -> None:
    """A state whose parts do not fit raises InputError naming what is wrong, whatever part it is."""
    state = damaged_state()
    target: Any = state
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(InputError) as caught:
        Journeys.of_state(JourneyRules(expires_ms=100), state)
    assert named in str(caught.value)
    Journeys.of_state(JourneyRules(expires_ms=100), damaged_state())


def test_a_state_of_other_rules_is_refused() -> None:
    """Rules under which a journey should have closed, or whose keys would be hashes, are not those of the state."""
    state = damaged_state()
    state["now"] = 60
    for rules in (JourneyRules(expires_ms=50), JourneyRules(hash_keys=True, salt=SALT)):
        with pytest.raises(InputError):
            Journeys.of_state(rules, state)


leaves = st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["", "c1", "kim", "x"]) | st.just([])


@settings(deadline=None)
@given(st.data())
def test_any_change_to_a_state_is_refused_or_bearable(data: st.DataObject) -> None:
    """Whatever one part of a state is replaced with, it is refused with InputError or read, and lives on."""
    state: Any = damaged_state()
    target, path = state, []
    while True:
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
        path.append(key)
        if not isinstance(target[key], list | dict) or not target[key] or data.draw(st.booleans()):
            break
        target = target[key]
    target[key] = data.draw(leaves)
    try:
        journeys = Journeys.of_state(JourneyRules(expires_ms=100), state)
    except InputError:
        return
    assert journeys.state() == state
    for name in ("c1", "c2"):
        if journeys.of_interaction(name) is not None:
            journeys.ended(9, name, "cancelled")
    journeys.purge(1_000)
    assert journeys.of("kim") is None or path[-1] == 11 or journeys.of("kim").live  # type: ignore[union-attr]


anything: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.text())


@given(st.sampled_from([field.name for field in attrs.fields(JourneyRules)]), anything)
@example("salt", "short")
@example("salt", "\ud800" * 16)
@example("prefer_for_ms", 5)
@example("prefer_for_ms", 0)
@example("expires_ms", "0s")
@example("private", ["a", 1])
def test_garbage_in_the_rules_is_refused_with_one_error(field: str, value: object) -> None:
    """Whatever is given for a field, rules are built and hashable or raise PlanError naming that field."""
    try:
        rules = JourneyRules(**{field: value})  # type: ignore[arg-type]
    except PlanError as error:
        named = error.field or ""
        assert (
            named == "salt" if field == "hash_keys" and value is True else named.startswith(field.removesuffix("_ms"))
        )
    else:
        assert hash(rules) == hash(copy.deepcopy(rules))


@given(rules_of_journeys, st.booleans(), st.integers(0, 10**9))
def test_rules_are_a_part_of_the_plan(rules: JourneyRules, hashed: bool, duration: int) -> None:
    """A plan with journeys can be written as TOML and read back as an equal plan; without, it has none."""
    rules = attrs.evolve(rules, repeat_within_ms=duration, hash_keys=hashed, salt=SALT if hashed else "")
    plan = Plan(queues=[Queue("q")], journey=rules)
    assert Plan.from_toml_text(plan.to_toml()) == plan
    assert Plan.from_toml_text(Plan(queues=[Queue("q")]).to_toml()).journey is None
    assert Plan.from_toml_text(Plan(queues=[Queue("q")], journey=JourneyRules()).to_toml()).journey == JourneyRules()


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ('expire = "1h"', 2, "journey.expire"),
        ('expires = "0s"', 2, "journey.expires"),
        ("limit = 5\neffort = {transfer = -1}", 3, "journey.effort.transfer"),
        ("effort = {transfers = 1}", 2, "journey.effort.transfers"),
        ('salt = "x"', 2, "journey.salt"),
        ('prefer = "anyone"', 2, "journey.prefer"),
        ('prefer_for = "5s"', 2, "journey.prefer_for"),
    ],
)
def test_an_error_in_the_file_names_its_line(text: str, line: int, field: str) -> None:
    """What is wrong with the rules of journeys in a file is told with line and field."""
    with pytest.raises(PlanError) as caught:
        Plan.from_toml_text(f'[journey]\n{text}\n[[queues]]\nname = "q"\n')
    assert caught.value.field == field
    assert caught.value.line == line or "." in field[8:]


def test_a_plan_wants_rules_not_a_table() -> None:
    """In Python the rules of journeys are a value of their own kind."""
    with pytest.raises(PlanError, match="journey"):
        Plan(queues=[Queue("q")], journey={"expires": 5})  # type: ignore[arg-type]
    with pytest.raises(OmnirouteError):
        Journeys({"expires": 5})  # type: ignore[arg-type]
