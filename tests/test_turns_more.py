"""Turns of an interaction that went wrong once: what each command and each deadline does instead."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest
from cores import CORES, using
from telling import refusal, take, the, words

from omniroute import Agent, Channel, Plan, Priority, Queue, Router, Step
from omniroute.commands import AgentCard, Bind
from omniroute.core import limits
from omniroute.core.codes import Reason, TieKind
from omniroute.journey_rules import JourneyRules

S = 1_000


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def built(*agents: str, queues: list[Queue] | None = None, units: int = 1) -> Router:
    """A router with these agents, who have come ready at 0."""
    plan = Plan(
        channels=[Channel("voice"), Channel("chat")],
        queues=queues or [Queue("q", offer_timeout_ms=None), Queue("r", offer_timeout_ms=None)],
        agents=[Agent(agent, units=units) for agent in agents],
    )
    router = Router(plan)
    router.sign_in_many(0, list(agents))
    return router


RINGING = Queue("q", setup_timeout_ms=30 * S, offer_timeout_ms=None)


# What can be read ----------------------------------------------------------------------------------------------------


def test_an_agent_can_be_read_where_a_plan_has_labels() -> None:
    """What is held is told by channel. Seen to fail: there were more counts than channels, and that raised."""
    plan = Plan(queues=[Queue("q")], labels=["german"], agents=[Agent("ana", label_at_most={"german": 1})])
    router = Router(plan)
    router.sign_in(0, "ana")
    assert router.agent("ana").holds == {"voice": 0}


def test_a_label_that_no_plan_had_is_refused_as_one() -> None:
    """Seen to fail: it was told as an unknown channel."""
    told = built("ana").update_agent(0, AgentCard("ana", label_at_most={"gold": 1}))
    assert refusal(told) == "unknown_label gold"


def test_queues_are_those_where_it_stands_and_wrap_up_is_of_the_queue_by_which_it_came() -> None:
    """A step has moved it to the other queue: it stands there, is connected by it and has its wrap-up.

    Seen to fail: the first queue that it had entered was told, and its wrap-up held.
    """
    first = Queue("q", steps=[Step("10s", queue="r")], wrap_up_ms=1 * S)
    router = built(queues=[first, Queue("r", wrap_up_ms=7 * S)])
    router.enqueue(0, "x", "q")
    assert router.interaction("x").queues == ("q",)
    router.advance(10 * S)
    assert router.interaction("x").queues == ("r",)
    router.sign_in(11 * S, Agent("ana"))
    take(router, 11 * S, "ana")
    assert the(router.finish(20 * S, "x"), "Finished").wrap_up_due == 27 * S  # type: ignore[union-attr]


def test_the_queue_that_won_says_how_long_the_wrap_up_is() -> None:
    """It waits in two queues, and the agent serves the second. Seen to fail: the first one's wrap-up held."""
    agents = [Agent("ana", queues=["r"])]
    router = Router(Plan(queues=[Queue("q", wrap_up_ms=1), Queue("r", wrap_up_ms=None)], agents=agents))
    router.sign_in(0, "ana")
    router.enqueue(0, "x", ("q", "r"))
    take(router, 0, "ana")
    assert router.interaction("x").queues == ("r", "q")
    assert the(router.finish(9, "x"), "Finished").wrap_up_due is None  # type: ignore[union-attr]


# Ties ----------------------------------------------------------------------------------------------------------------


def test_a_forbidden_agent_stays_so() -> None:
    """Without an end it holds as long as the interaction lives: over declines, connections, transfers and sign-ins.

    Seen to fail: it was forgiven with the declines of the others, 5 s after the last of them.
    """
    router = built("ana", "ben")
    assert words(router.enqueue(0, "x", "q", binds=[Bind("ana", "forbid")]))[-1] == "Offered x ben"
    assert router.next_deadline() is None
    assert words(router.decline(1 * S, router.agent("ben").offers[0])) == ["OfferDeclined x ben", "AllDeclined x"]
    assert words(router.advance(60 * S)) == ["Offered x ben"]
    take(router, 60 * S, "ben")
    router.transfer(61 * S, "x", "r")
    router.sign_out(62 * S, "ana")
    assert words(router.sign_in(63 * S, "ana")) == ["PresenceChanged ana"]
    assert [why.clause for why in router.why("x", "ana")] == ["excluded"]
    again = Router.restore(router.snapshot())
    assert [why.clause for why in again.why("x", "ana")] == ["excluded"]
    assert words(router.transfer(64 * S, "x", "r", binds=[Bind("ana")])) == ["Transferred x None", "Offered x ana"]
    router.check()


def test_a_consultation_has_no_deadline_at_the_end_of_time() -> None:
    """The one who asks is kept from it for good. Seen to fail: the next deadline was in the year 2109."""
    router = built("ana")
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    router.consult(1 * S, "x", "k", "r")
    assert router.next_deadline() is None
    assert router._core.ties(1) == [(0, TieKind.FORBID, limits.UNTIL_GONE)]


@pytest.mark.parametrize("kind", ["only", "prefer"])
@pytest.mark.parametrize("cause", ["declined", "busy", "no_answer"])
def test_a_decline_ends_what_was_wanted_of_the_agent(kind: str, cause: str) -> None:
    """It is for everybody at once. Seen to fail: the same telephone was rung again every five seconds, for ever."""
    router = built("ana", "ben", "cy")
    bind = Bind("ben", kind)  # type: ignore[arg-type]
    assert words(router.enqueue(0, "x", "q", binds=[bind]))[-1] == "Offered x ben"
    told = words(router.decline(2 * S, router.agent("ben").offers[0], cause))  # type: ignore[arg-type]
    assert "Offered x ana" in told
    assert "AllDeclined x" not in told
    told = words(router.decline(3 * S, router.agent("ana").offers[0]))
    assert told[:2] == ["OfferDeclined x ana", "Offered x cy"]
    router.check()


def test_what_is_for_two_is_for_the_other_when_one_declines() -> None:
    """Only behind the last of them it is for everybody; also where the offer just expires."""
    queues = [Queue("q", offer_timeout_ms=10 * S)]
    router = built("ana", "ben", "cy", queues=queues)
    router.set_presence(0, "cy", "not_ready")
    router.enqueue(0, "x", "q", binds=[Bind("ben", "only"), Bind("cy", "only")])
    assert words(router.decline(2 * S, router.agent("ben").offers[0])) == ["OfferDeclined x ben"]
    assert [why.clause for why in router.why("x", "ana")] == ["reserved"]
    assert words(router.set_presence(3 * S, "cy", "ready"))[-1] == "Offered x cy"
    told = words(router.advance(13 * S))
    assert told == ["OfferExpired x cy", "PresenceChanged cy", "Offered x ana"]
    router.check()


# Call-backs ----------------------------------------------------------------------------------------------------------


def test_a_set_up_that_runs_out_offers_a_call_back_to_nobody_else() -> None:
    """It is parked for its gap at that instant.

    Seen to fail: it was offered to the next agent and withdrawn again, all at one instant.
    """
    router = built("ana", "ben", queues=[RINGING])
    router.enqueue(0, "x", "q")
    router.call_back(0, "x", tries=2, gap_ms=60 * S)
    take(router, 0, "ana")
    told = router.advance(40 * S)
    assert words(told, "due") == ["SetupFailed x ana", "Parked x 90000"]
    again = Router.restore(router.snapshot())
    for one in (router, again):
        assert words(one.advance(90 * S))[0] == "Queued x"
        take(one, 90 * S, "ana" if one.agent("ana").offers else "ben")
        assert words(one.advance(200 * S), "how")[-1] == "Cancelled x unreached"
        one.check()


def test_a_call_back_of_a_customer_who_does_not_answer_is_counted_and_told() -> None:
    """The tries that are left, and from when on it is due again: after the gap, or when the host says so.

    Seen to fail: nothing was told, and the host's own instant was ignored.
    """
    router = built()
    router.enqueue(0, "x", "q", ref="r")
    router.call_back(0, "x", first="customer", tries=3, gap_ms=20 * S)
    assert words(router.fail_setup(1 * S, "x"), "tries", "next_at", "ref") == ["CallBackFailed x 2 21000 r"]
    assert words(router.advance(30 * S), "at") == ["CallBackDue x 25000"]
    assert words(router.fail_setup(31 * S, "x", at=90 * S), "tries", "next_at") == ["CallBackFailed x 1 90000"]
    assert words(router.advance(95 * S), "at") == ["CallBackDue x 90000"]
    assert words(router.fail_setup(96 * S, "x"), "how") == ["Cancelled x unreached"]


def test_a_scheduled_call_back_rings_its_customer_first() -> None:
    """At its instant it stays parked and its customer is to be called, at that very millisecond and not before.

    Seen to fail: it was due at once, and at its instant it was offered to an agent though nobody had called.
    """
    router = built("ana")
    router.enqueue(0, "x", "q", at=60_500)
    assert words(router.call_back(1, "x", first="customer")) == []
    again = Router.restore(router.snapshot())
    for one in (router, again):
        assert words(one.advance(70 * S), "at", "due") == ["Parked x 60500 None", "CallBackDue x 60500"]
        assert one.agent("ana").offers == ()
        assert words(one.activate(71 * S, "x")) == ["Queued x", "Offered x ana"]
        one.check()


def test_a_call_back_whose_customer_waits_for_a_call_is_not_transferred() -> None:
    """It is updated instead, and stays parked. Seen to fail: it was offered though nobody had called."""
    router = built("ana")
    router.enqueue(0, "x", "q")
    router.set_presence(0, "ana", "not_ready")
    router.call_back(0, "x", first="customer", ahead=0)
    router.set_presence(1, "ana", "ready")
    assert refusal(router.transfer(1 * S, "x", "r")) == "parked its customer has not answered: update it"
    assert words(router.update(1 * S, "x", queue="r")) == ["Updated x"]
    assert (router.interaction("x").state, router.interaction("x").queues) == ("parked", ("r",))


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_what_is_connected_is_no_call_back(first: str) -> None:
    """Once they have talked, a requeue or a transfer is of an ordinary interaction.

    Seen to fail: a set-up that failed hours later counted as a try, and cancelled it.
    """
    router = built("ana", queues=[RINGING])
    router.enqueue(0, "x", "q")
    router.call_back(0, "x", first=first, tries=1)  # type: ignore[arg-type]
    if first == "customer":
        router.activate(1 * S, "x")
    take(router, 2 * S, "ana")
    router.connect(3 * S, "x")
    assert words(router.requeue(4 * S, "x", at=10 * S))[:2] == ["Requeued x ana", "Parked x"]
    router.set_presence(4 * S, "ana", "not_ready")
    router.sign_out(4 * S, "ana")
    router.sign_in(4 * S, "ana")
    assert words(router.advance(10 * S)) == ["Queued x", "Offered x ana"]
    take(router, 10 * S, "ana")
    assert words(router.fail_setup(11 * S, "x")) == ["SetupFailed x ana"]
    router.check()


def test_a_call_back_in_a_queue_without_set_up_is_connected_by_its_accept() -> None:
    """Nobody is there who could fail: the host gives it back with an instant when the customer does not answer."""
    router = built("ana")
    router.enqueue(0, "x", "q")
    router.call_back(0, "x", tries=1)
    assert words(take(router, 0, "ana")) == ["Connected x ana"]
    assert refusal(router.fail_setup(1 * S, "x")) == "not_accepting"
    assert words(router.requeue(1 * S, "x", at=60 * S), "due") == ["Requeued x ana", "Parked x 60000"]


# Queues that close ---------------------------------------------------------------------------------------------------


def test_what_waits_in_a_closed_queue_may_change_its_place_and_its_needs() -> None:
    """It enters nothing anew; another closed queue it does not enter. Seen to fail: all updates were refused."""
    router = built("ana", queues=[Queue("q", strategy=Priority()), Queue("r")])
    router.sign_out(0, "ana")
    router.enqueue(0, "x", "q")
    router.enqueue(1, "y", "q")
    router.close_queue(2, "q")
    assert words(router.update(3, "y", priority=5)) == ["Updated y"]
    assert router.waiting("q") == ["y", "x"]
    assert words(router.update(3, "y", needs="es")) == ["Updated y", "Unmatched y"]
    assert words(router.call_back(3, "x", channel="chat")) == ["Updated x"]
    router.close_queue(4, "r")
    assert refusal(router.update(4, "x", queue="r")) == "queue_closed r"
    assert refusal(router.update(4, "x", queue=("q", "r"))) == "queue_closed r"


def test_only_the_entry_in_the_closed_queue_moves() -> None:
    """What waits in several queues keeps the others, in its order, where steps have led it, with its age.

    Seen to fail: all of its entries went.
    """
    queues = [Queue("q", steps=[Step("1s", say="hello")]), Queue("r"), Queue("s"), Queue("t", limit=1)]
    router = built("ana", queues=queues)
    router.sign_out(0, "ana")
    router.enqueue(0, "x", ("q", "r"))
    router.enqueue(1, "y", ("r", "s"))
    router.enqueue(1, "p", ("q", "r"), at=99 * S)
    router.enqueue(2, "z", "t")
    router.advance(2 * S)
    told = router.close_queue(3 * S, "r", waiting="move", to="s")
    assert words(told) == ["QueueClosed", "Updated x", "Updated y", "Updated p"]
    assert [router.interaction(name).queues for name in "xyp"] == [("q", "s"), ("s",), ("q", "s")]
    assert (router.waiting("s"), router.waiting("r"), router.interaction("p").state) == (["x", "y"], [], "parked")
    assert (router.interaction("x").since, router.interaction("x").wait_from) == (0, 0)
    told = router.close_queue(4 * S, "q", waiting="move", to="t")
    assert words(told) == ["QueueClosed", "Rejected x queue_full", "Rejected p queue_full"]
    assert router.interaction("x").queues == ("q", "s")
    told = router.close_queue(5 * S, "s", waiting="cancel")
    assert words(told, "how") == ["QueueClosed", "Updated x", "Cancelled y closed", "Updated p"]
    again = Router.restore(router.snapshot())
    for one in (router, again):
        assert one.interaction("x").queues == ("q",)
        assert words(one.update(6 * S, "x", priority=3)) == ["Updated x"]
        one.check()


# Plans ---------------------------------------------------------------------------------------------------------------

BOTH = Plan(queues=[Queue("q", setup_timeout_ms=30 * S), Queue("r")], agents=[Agent("ana")])
ONE = attrs.evolve(BOTH, queues=[BOTH.queues[1]])


@pytest.mark.parametrize("state", ["parked", "accepting", "on_hold"])
def test_a_queue_stays_while_something_may_come_back_to_it(state: str) -> None:
    """What is parked, set up or on hold returns to its queue. Seen to fail: only what waited there kept it."""
    router = Router(BOTH)
    router.sign_in(0, "ana")
    router.enqueue(0, "x", "q", at=60 * S if state == "parked" else None)
    if state != "parked":
        take(router, 0, "ana")
    if state == "on_hold":
        router.connect(0, "x")
        router.hold(0, "x")
    assert router.interaction("x").state == state
    digest = router.digest()
    assert refusal(router.change_plan(0, ONE)) == "in_use queue 'q' is not in the plan, but 1 may come back to it"
    assert router.digest() == digest
    if state == "on_hold":
        router.resume(1, "x")
        assert words(router.change_plan(1, ONE)) == ["PlanChanged"]
        assert words(router.finish(2, "x")) == ["Finished x ana", "Released x ana"]
        router.check()


def test_a_plan_begins_changes_and_ends_journeys() -> None:
    """Its rules hold from the change on; other keys are refused before anything has moved.

    Seen to fail: a changed plan left the journeys as they had been.
    """
    router = Router(Plan(queues=[Queue("q")]))
    rules = JourneyRules(hash_keys=True, salt="one " * 8)
    keeping = Plan(queues=[Queue("q")], journey=rules)
    assert router.journeys() is None
    assert words(router.change_plan(0, keeping)) == ["PlanChanged"]
    assert router.journeys() is not None
    digest = router.digest()
    for other in (JourneyRules(hash_keys=True, salt="two " * 8), JourneyRules()):
        told = router.change_plan(0, Plan(queues=[Queue("q"), Queue("r")], journey=other))
        assert refusal(told) == "in_use hash_keys and salt of the journey cannot change while journeys are kept"
        assert router.digest() == digest
    assert words(router.change_plan(1, Plan(queues=[Queue("q")]))) == ["PlanChanged"]
    assert router.journeys() is None
    router.check()


# Occupying -----------------------------------------------------------------------------------------------------------


def test_the_question_whether_there_is_room_moves_nothing_and_is_answered_as_the_command_would() -> None:
    """A refusal numbers nothing. Seen to fail: the whole state was copied, and the copy given something to do."""
    plan = Plan(
        channels=[Channel("voice", load=2), Channel("chat")],
        queues=[Queue("q"), Queue("r")],
        agents=[Agent("ana", units=3, at_most={"chat": 1}), Agent("ben")],
    )
    router = Router(plan)
    router.sign_in(0, "ana")
    for name, channel, room in (("x", "chat", True), ("y", "chat", False), ("y", "voice", True), ("z", "voice", False)):
        core, number, digest = router._core, router._naming.channels[channel], router.digest()
        assert core.room_for(0, number) == (0 if room else Reason.NO_ROOM)
        assert core.room_for(1, number) == Reason.SIGNED_OUT
        assert router.digest() == digest
        told = router.occupy(0, name, "ana", "r", channel=channel)
        assert words(told)[-1] == (f"Connected {name} ana" if room else f"Rejected {name} no_room")
        assert room or router.digest() == digest
    assert refusal(router.occupy(0, "z", "ben", "q", force=True)) == "signed_out"
    assert refusal(router.occupy(0, "z", "ana", "nowhere")) == "unknown_queue nowhere"
    assert refusal(router.occupy(0, "z", "ana", "q", channel="fax")) == "unknown_channel fax"
