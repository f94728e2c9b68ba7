"""The turns of an interaction through the door, command by command, each with its traps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest
from cores import CORES, using
from telling import refusal, take, the, words

from omniroute import Agent, Channel, Plan, Priority, Queue, Router, Step
from omniroute.commands import Bind
from omniroute.core import limits
from omniroute.core.codes import AgentKey, Cause
from omniroute.errors import MisuseError
from omniroute.plan import Target
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

S = 1_000


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def built(*agents: str, queues: list[Queue] | None = None, units: int = 1, setup_ms: int = -1) -> Router:
    """A router with these agents, who have come ready at 0; the first queue has a set-up where one is wanted."""
    channels = [Channel("voice"), Channel("chat")]
    plan = Plan(
        channels=channels, queues=queues or [Queue("q"), Queue("r")], agents=[Agent(a, units=units) for a in agents]
    )
    router = Router(plan)
    if setup_ms >= 0:
        router._core.set_queue(0, 1, -1, -1, -1, -1, setup_ms)
    if agents:
        router.sign_in_many(0, list(agents))
    return router


# Offers --------------------------------------------------------------------------------------------------------------


def test_a_repeated_or_late_answer_is_refused_by_how_the_offer_ended() -> None:
    """A host may send an answer twice, or too late: nothing happens but a refusal that says how the offer ended."""
    router = built("ana")
    offer = the(router.enqueue(0, "x", "q"), "Offered").offer  # type: ignore[union-attr]
    router.accept(1, offer)
    assert refusal(router.accept(1, offer)) == "offer_ended accepted"
    assert refusal(router.decline(2, offer)) == "offer_ended accepted"
    assert router.interaction("x").state == "connected"
    router.release(3, "x")
    second = the(router.enqueue(3, "y", "q"), "Offered").offer  # type: ignore[union-attr]
    router.leave(4, "y")
    assert refusal(router.accept(4, second)) == "offer_ended withdrawn"


@pytest.mark.parametrize("cause", ["declined", "no_answer", "busy", "unreachable"])
def test_a_decline_says_why(cause: str) -> None:
    """The cause of a decline comes back in the event; only an unanswered offer turns the agent not ready at once."""
    router = built("ana", "ben")
    router.enqueue(0, "x", "q")
    told = router.decline(1, router.agent("ana").offers[0], cause)  # type: ignore[arg-type]
    assert the(told, "OfferDeclined").cause == cause  # type: ignore[union-attr]
    assert router.agent("ana").presence == ("not_ready" if cause == "no_answer" else "ready")
    assert router.interaction("x").agent is None
    assert len(router.agent("ben").offers) == 1


def test_after_so_many_of_a_cause_in_a_row_the_agent_turns_not_ready() -> None:
    """Before that he rests, twice as long each time; an offer that he takes, or turning ready, forgets what was."""
    router = built("ana", queues=[Queue("q", retry_after_ms=1)])
    router._core.set_rona(0, Cause.BUSY, 3, 10 * S)
    router.enqueue(0, "x", "q")

    def busy() -> list[str]:
        told = router.decline(router.now, router.agent("ana").offers[-1], "busy")
        return words(told, "until", "cause")

    assert busy()[-1] == "Resting ana 10000 busy"
    assert router.agent("ana").rests_until == 10 * S
    assert words(router.advance(10 * S)) == ["Offered x ana"]
    assert busy()[-1] == "Resting ana 30000 busy"
    router.advance(30 * S)
    assert busy()[-1] == "PresenceChanged ana busy"
    assert router.agent("ana").presence == "not_ready"
    router.set_presence(31 * S, "ana", "ready")
    assert busy()[-1] == "Resting ana 41000 busy"
    router.advance(41 * S)
    take(router, 41 * S, "ana")
    router.release(42 * S, "x")
    router.enqueue(42 * S, "y", "q")
    assert busy()[-1] == "Resting ana 52000 busy"


def test_everybody_has_declined_is_told_and_forgotten_soon() -> None:
    """Where the only agent has declined for good, AllDeclined is told once and he is asked again 5 seconds later."""
    router = built("ana")
    router.enqueue(0, "x", "q")
    told = router.decline(1 * S, router.agent("ana").offers[0])
    assert words(told) == ["OfferDeclined x ana", "AllDeclined x"]
    assert router.next_deadline() == 6 * S
    assert words(router.advance(6 * S)) == ["Offered x ana"]


# Set-ups -------------------------------------------------------------------------------------------------------------


def test_a_set_up_is_accepted_then_connected() -> None:
    """The agent's capacity is taken from the acceptance on; the wait goes on until they are together."""
    router = built("ana", setup_ms=10 * S)
    router.enqueue(0, "x", "q")
    told = take(router, 2 * S, "ana")
    assert words(told, "due") == ["Accepted x ana 12000"]
    assert (router.interaction("x").state, router.interaction("x").due) == ("accepting", 12 * S)
    assert router.agent("ana").units_in_use == 1
    assert words(router.enqueue(3 * S, "y", "q")) == ["Queued y"]
    connected = the(router.connect(5 * S, "x"), "Connected")
    assert (connected.wait_ms, connected.offer) == (5 * S, told[0].offer)  # type: ignore[union-attr]
    assert refusal(router.connect(5 * S, "x")) == "not_accepting"
    assert router.next_deadline() is None


def test_a_failed_set_up_is_not_the_agents_fault() -> None:
    """It waits in its old place, he stays ready and serves others; it comes back to him a little later."""
    router = built("ana", setup_ms=10 * S)
    router.enqueue(0, "x", "q")
    router.enqueue(1 * S, "y", "q")
    take(router, 2 * S, "ana")
    told = router.fail_setup(4 * S, "x")
    assert words(told) == ["SetupFailed x ana", "Offered y ana"]
    assert (router.agent("ana").presence, router.agent("ana").rests_until) == ("ready", None)
    assert router.interaction("x").wait_from == 0
    assert router.position("x") == 1
    router.leave(5 * S, "y")
    assert words(router.advance(9 * S)) == ["Offered x ana"]


def test_a_set_up_ends_at_its_deadline() -> None:
    """Nobody says that it failed: it fails when its time is up; with ``at`` it is put aside until then."""
    router = built("ana", setup_ms=10 * S)
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    assert words(router.advance(10 * S)) == ["SetupFailed x ana"]
    router.advance(15 * S)
    take(router, 15 * S, "ana")
    assert words(router.fail_setup(16 * S, "x", at=60 * S), "due") == ["SetupFailed x ana", "Parked x 60000"]
    assert words(router.advance(60 * S)) == ["Queued x", "Offered x ana"]
    take(router, 61 * S, "ana")
    assert the(router.connect(61 * S, "x"), "Connected").wait_ms == 17 * S  # type: ignore[union-attr]


def test_the_customer_may_leave_during_a_set_up() -> None:
    """That is an abandonment, and the agent is free at that instant."""
    router = built("ana", setup_ms=10 * S)
    router.enqueue(0, "x", "q")
    router.enqueue(0, "y", "q")
    take(router, 1 * S, "ana")
    assert words(router.leave(3 * S, "x")) == ["Abandoned x", "Offered y ana"]


# Holds and interruptions ---------------------------------------------------------------------------------------------


def test_a_hold_keeps_the_capacity_where_the_channel_says_so() -> None:
    """By default what is on hold takes its room; the handling time goes on."""
    router = built("ana")
    router.enqueue(0, "x", "q")
    router.enqueue(0, "y", "q")
    take(router, 0, "ana")
    assert words(router.hold(10 * S, "x")) == ["Held x ana"]
    assert router.agent("ana").offers == ()
    assert refusal(router.hold(10 * S, "x")) == "on_hold"
    assert words(router.resume(30 * S, "x")) == ["Resumed x ana"]
    assert refusal(router.resume(30 * S, "x")) == "not_on_hold"
    assert the(router.finish(40 * S, "x"), "Finished").handle_ms == 40 * S  # type: ignore[union-attr]


@pytest.mark.skipif("reserves" not in attrs.fields_dict(Channel), reason="a plan cannot say what a hold reserves")
def test_a_hold_without_capacity_makes_room() -> None:
    """Where the channel does not reserve for what is on hold another is offered; taking up goes beyond the room."""
    says: dict[str, Any] = {"reserves": ("offered",)}
    plan = Plan(channels=[Channel("voice"), Channel("chat", **says)], queues=[Queue("q")])
    router = Router(plan)
    router.sign_in(0, Agent("ana"))
    for name in ("x", "y"):
        router.enqueue(0, name, "q", channel="chat")
    take(router, 0, "ana")
    assert words(router.hold(1 * S, "x")) == ["Held x ana", "Offered y ana"]
    take(router, 2 * S, "ana")
    assert words(router.resume(3 * S, "x")) == ["Resumed x ana"]
    assert (router.agent("ana").units_in_use, router.agent("ana").units) == (2, 1)
    router.check()


def test_a_call_interrupts_a_chat() -> None:
    """The chat keeps its agent, its handling time stands still, and it goes on when the call is over."""
    router = built("ana")
    router._core.set_mix(0, 0, 3, 2)
    router.enqueue(0, "chat", "q", channel="chat")
    take(router, 0, "ana")
    assert words(router.enqueue(10 * S, "call", "q")) == ["Queued call", "Offered call ana"]
    told = take(router, 10 * S, "ana")
    assert words(told, "by") == ["Connected call ana", "Interrupted chat ana call"]
    assert router.interaction("chat").state == "interrupted"
    assert refusal(router.resume(11 * S, "chat")) == "interrupted"
    assert words(router.release(40 * S, "call")) == ["Finished call ana", "Released call ana", "Resumed chat ana"]
    assert the(router.finish(50 * S, "chat"), "Finished").handle_ms == 20 * S  # type: ignore[union-attr]


# Transfers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "first"), [("keep", "x"), ("reset", "y")])
def test_a_transfer_keeps_or_resets_the_age(age: str, first: str) -> None:
    """Kept, it is before those who came later; reset, behind them. The real wait goes on in both cases."""
    router = built("ana")
    router.enqueue(0, "x", "q")
    take(router, 5 * S, "ana")
    router.set_presence(5 * S, "ana", "not_ready")
    router.enqueue(7 * S, "y", "r")
    told = router.transfer(20 * S, "x", "r", age=age)  # type: ignore[arg-type]
    assert the(told, "Transferred").wait_ms == 5 * S  # type: ignore[union-attr]
    assert router.waiting("r")[0] == first


def test_a_transfer_to_an_agent_falls_back_when_he_signs_out() -> None:
    """A transfer to an agent binds it to him; when he goes it is for everybody in that queue."""
    router = built("ana", "ben", "cy")
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    router.set_presence(0, "ben", "not_ready")
    told = router.transfer(1 * S, "x", "r", binds=[Bind("ben", "only", anyhow=True)])
    assert words(told) == ["Transferred x ana"]
    assert [why.clause for why in router.why("x", "cy")] == ["reserved"]
    assert words(router.sign_out(9 * S, "ben")) == ["PresenceChanged ben", "Offered x cy"]


def test_a_tie_ends_after_its_time() -> None:
    """``for_ms`` is the fallback: the owner first, everybody after ten seconds."""
    router = built("ana", "ben")
    router.set_presence(0, "ana", "not_ready")
    told = router.enqueue(0, "x", "q", binds=[Bind("ana", "only", for_ms=10 * S)])
    assert words(told) == ["Queued x"]
    assert words(router.advance(10 * S)) == ["Offered x ben"]


def test_ties_prefer_bind_and_forbid() -> None:
    """Whom it prefers is asked first; who is forbidden is not asked; one who is away is not waited for."""
    router = built("ana", "ben")
    assert words(router.enqueue(0, "x", "q", binds=[Bind("ben")]))[-1] == "Offered x ben"
    router = built("ana", "ben")
    assert words(router.enqueue(0, "x", "q", binds=[Bind("ana", "forbid")]))[-1] == "Offered x ben"
    router = built("ana", "ben")
    router.sign_out(0, "ben")
    assert words(router.enqueue(0, "x", "q", binds=[Bind("ben", "only")]))[-1] == "Offered x ana"
    assert refusal(router.enqueue(0, "y", "q", needs="es", binds=[Bind("zoe")])) == "unknown_agent zoe"


# Consultations -------------------------------------------------------------------------------------------------------


def consulting() -> Router:
    """The agent ana has x on hold and consults ben in k."""
    router = built("ana", "ben", units=1)
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    assert words(router.consult(10 * S, "x", "k", "r")) == ["Queued k", "Offered k ben", "Held x ana"]
    take(router, 12 * S, "ben")
    return router


def test_a_consultation_takes_the_capacity_of_both() -> None:
    """The one who asks keeps x, who is asked has k; neither is offered anything else, nor his own question."""
    router = consulting()
    assert [router.agent(agent).units_in_use for agent in ("ana", "ben")] == [1, 1]
    assert words(router.enqueue(13 * S, "z", "q")) == ["Queued z"]
    router.check()
    alone = built("ana", units=2)
    alone.enqueue(0, "x", "q")
    take(alone, 0, "ana")
    assert words(alone.consult(1, "x", "k", "r")) == ["Queued k", "Held x ana"]
    assert words(alone.advance(60 * S)) == []
    assert [why.clause for why in alone.why("k", "ana")] == ["excluded"]


def test_a_take_over_moves_the_customer_without_an_offer() -> None:
    """The agent of the consultation has the customer, the consultation is over, the first agent is free at once."""
    router = consulting()
    router.enqueue(13 * S, "z", "q")
    told = router.take_over(20 * S, "k")
    assert words(told, "previous") == ["TakenOver x ben ana", "Finished k ben", "Released k ben", "Offered z ana"]
    assert (router.interaction("x").agent, router.interaction("x").state) == ("ben", "connected")
    assert router.agent("ben").units_in_use == 1
    assert refusal(router.take_over(21 * S, "k")) == "unknown_interaction it went at 20000"


def test_a_consultation_ends_with_its_interaction() -> None:
    """When x is over k is: cancelled while it waits, released where it is in hand; a wrap-up goes on."""
    router = consulting()
    assert words(router.finish(20 * S, "x", 0)) == [
        "Finished x ana",
        "Released x ana",
        "Finished k ben",
        "Released k ben",
    ]
    router = built("ana")
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    router.consult(1, "x", "k", "r", hold=False)
    assert words(router.release(2, "x"), "how")[-1] == "Cancelled k ended"
    router = consulting()
    router.finish(20 * S, "k", 5 * S)
    router.release(21 * S, "x")
    assert router.interaction("k").state == "wrap_up"
    assert words(router.advance(25 * S)) == ["Released k ben"]


def test_a_consultation_may_be_cancelled_or_refused() -> None:
    """What is cancelled leaves the customer on hold; who has none, or is alone with it, cannot take over."""
    router = built("ana", "ben")
    router.enqueue(0, "x", "q")
    take(router, 0, "ana")
    router.consult(1, "x", "k", "r")
    assert refusal(router.take_over(2, "k")) == "not_connected"
    assert words(router.cancel(2, "k"), "how") == ["OfferWithdrawn k ben", "Cancelled k cancelled"]
    assert router.interaction("x").state == "on_hold"
    assert refusal(router.take_over(3, "x")) == "unknown_interaction no consultation"


# Help by a bot -------------------------------------------------------------------------------------------------------


def helped(setup_ms: int = -1) -> Router:
    """Two customers wait for ana, who is busy; a bot helps the second one meanwhile."""
    agents = [Agent("ana", queues=["q"]), Agent("bot", queues=["bots"], units=9)]
    queues = [Queue("q", offer_timeout_ms=None), Queue("bots")]
    router = Router(Plan(channels=[Channel("voice"), Channel("chat")], queues=queues, agents=agents))
    if setup_ms >= 0:
        router._core.set_queue(0, 1, -1, -1, -1, -1, setup_ms)
    router.sign_in(0, "bot")
    for name in ("x", "y"):
        router.enqueue(0, name, "q")
    assert words(router.assist(1 * S, "y", "h", "bots", channel="chat")) == ["Queued h", "Offered h bot"]
    take(router, 1 * S, "bot")
    return router


def test_help_keeps_the_place() -> None:
    """While the bot helps, the customer's position counts down as it would have."""
    router = helped()
    assert (router.position("y"), router.interaction("h").state) == (2, "connected")
    router.leave(5 * S, "x")
    assert router.position("y") == 1


def test_help_may_be_all_that_was_needed() -> None:
    """The customer helped himself: that is no abandonment, and the bot is free."""
    router = helped()
    told = router.cancel(9 * S, "y", how="self_served")
    assert words(told, "how") == ["Cancelled y self_served", "Finished h bot", "Released h bot"]
    assert (router.queue("q").abandoned, router.agent("bot").units_in_use) == (0, 0)


def test_help_ends_at_the_instant_of_the_connection() -> None:
    """A person has the customer: the bot is released at that very instant, in the same answer."""
    router = helped()
    router.leave(2 * S, "x")
    router.sign_in(3 * S, "ana")
    told = take(router, 4 * S, "ana")
    assert words(told, "at") == ["Connected y ana 4000", "Finished h bot 4000", "Released h bot 4000"]


def test_help_ends_where_a_deadline_connects() -> None:
    """Connection by a deadline (an agent who is given things at once gets room) ends the help at the deadline."""
    router = helped()
    router._core.set_queue(0, 1, -1, -1, -1, -1, -1, 1)
    router.leave(2 * S, "x")
    router.sign_in(3 * S, "ana", ready=False)
    router.occupy(3 * S, "z", "ana", "q")
    router.set_presence(3 * S, "ana", "ready")
    router.finish(4 * S, "z", 5 * S)
    told = router.advance(60 * S)
    assert words(told, "at") == [
        "Released z ana 9000",
        "Offered y ana 9000",
        "Connected y ana 9000",
        "Finished h bot 9000",
        "Released h bot 9000",
    ]
    assert refusal(helped().assist(9 * S, "h", "g", "bots")) == "already_connected"


# Call-backs ----------------------------------------------------------------------------------------------------------


def test_a_call_back_agent_first() -> None:
    """It keeps its place and is offered in its turn; the set-up is the call; after the last try it is cancelled."""
    router = built("ana", setup_ms=30 * S)
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "x", "q")
    router.enqueue(1 * S, "y", "q")
    router.call_back(2 * S, "x", tries=2, gap_ms=60 * S)
    assert router.position("x") == 1
    assert words(router.set_presence(10 * S, "ana", "ready")) == ["PresenceChanged ana", "Offered x ana"]
    take(router, 10 * S, "ana")
    told = router.fail_setup(20 * S, "x")
    assert words(told, "due") == ["SetupFailed x ana", "Parked x 80000", "Offered y ana None"]
    router.leave(21 * S, "y")
    assert words(router.advance(80 * S)) == ["Queued x", "Offered x ana"]
    take(router, 80 * S, "ana")
    told = router.advance(200 * S)
    assert "Cancelled x unreached" in words(told, "how")
    assert refusal(router.fail_setup(200 * S, "x")) == "unknown_interaction it went at 110000"


def test_tries_count_also_where_agents_are_given_things_at_once() -> None:
    """The set-up's deadline gives it to the next agent at that very instant, and still that was a try.

    Seen to fail: it went from agent to agent for ever, because it was not waiting when the try was counted.
    """
    router = built("ana", "ben", setup_ms=30 * S)
    router.set_presence(0, "ana", "not_ready")
    router.set_presence(0, "ben", "not_ready")
    router.enqueue(0, "x", "q")
    router.call_back(0, "x", tries=2)
    router._core.set_queue(0, 1, -1, -1, -1, -1, 30 * S, 1)
    router.set_presence(1 * S, "ana", "ready")
    router.set_presence(1 * S, "ben", "ready")
    told = words(router.advance(600 * S), "how")
    assert told.count("SetupFailed x ana") + told.count("SetupFailed x ben") == 2
    assert "Cancelled x unreached" in told
    router.check()


def test_the_wait_of_a_call_back_is_net_and_gross() -> None:
    """What is parked between two tries is no waiting in the queue, but it is time since the customer came."""
    router = built("ana", setup_ms=30 * S)
    router.enqueue(0, "x", "q")
    router.call_back(0, "x", tries=3, gap_ms=100 * S)
    take(router, 10 * S, "ana")
    router.fail_setup(20 * S, "x")
    router.advance(120 * S)
    take(router, 125 * S, "ana")
    connected = the(router.connect(130 * S, "x"), "Connected")
    assert (connected.wait_ms, connected.gross_ms) == (30 * S, 130 * S)  # type: ignore[union-attr]


def test_a_call_back_customer_first() -> None:
    """It is put aside with its place; told when its turn is near; activated when he answers, tried again if not."""
    router = built("ana")
    router.set_presence(0, "ana", "not_ready")
    for n, name in enumerate(("v", "w", "x")):
        router.enqueue(n, name, "q")
    assert words(router.call_back(1 * S, "x", first="customer", ahead=1, tries=2, gap_ms=20 * S)) == ["Parked x"]
    assert router.position("x") == 3
    assert words(router.advance(10 * S)) == []
    router.leave(11 * S, "v")
    assert words(router.advance(20 * S), "position") == ["CallBackDue x 2"]
    assert words(router.advance(40 * S)) == []
    assert words(router.fail_setup(41 * S, "x"), "tries", "next_at") == ["CallBackFailed x 1 61000"]
    assert words(router.advance(65 * S), "position", "at") == ["CallBackDue x 2 61000"]
    assert words(router.activate(70 * S, "x")) == ["Queued x"]
    assert router.waiting("q") == ["w", "x"]
    assert refusal(router.fail_setup(71 * S, "x")) == "not_accepting"


def test_a_customer_who_does_not_answer_is_unreached() -> None:
    """After the last try the call-back is cancelled, in words that say why."""
    router = built("ana")
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "x", "q")
    assert words(router.call_back(0, "x", first="customer", tries=1)) == ["Parked x", "CallBackDue x"]
    assert words(router.fail_setup(5 * S, "x"), "how") == ["Cancelled x unreached"]
    assert router.queue("q").abandoned == 0


def test_a_call_back_may_change_the_channel_or_be_refused_as_one_command() -> None:
    """A chat becomes a call in its place; what is refused is refused as a call-back and has moved nothing."""
    router = built("ana")
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "x", "q", channel="chat")
    router.enqueue(1, "y", "q", channel="chat")
    assert words(router.call_back(2, "x", channel="voice")) == ["Updated x"]
    assert (router.interaction("x").channel, router.interaction("x").since, router.position("x")) == ("voice", 0, 1)
    digest = router.digest()
    told = router.call_back(2, "y", channel="fax")
    assert (refusal(told), told[-1].command) == ("unknown_channel fax", "CallBack")  # type: ignore[union-attr]
    assert router.digest() == digest


# Places that are kept ------------------------------------------------------------------------------------------------


def left_with_key() -> Router:
    """The customer x has left after ten seconds, his place is kept for thirty; y came five seconds after him."""
    router = built("ana")
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "x", "q", resume_key="tel:1")
    router.enqueue(5 * S, "y", "q")
    assert words(router.leave(10 * S, "x", grace_ms=30 * S)) == ["Abandoned x"]
    return router


def test_a_place_is_kept_for_a_while() -> None:
    """Who comes again in time has his old place and his wait; it works once."""
    router = left_with_key()
    queued = the(router.enqueue(40 * S, "x2", "q", resume_key="tel:1"), "Queued")
    assert queued.kept_ms == 10 * S  # type: ignore[union-attr]
    assert router.waiting("q") == ["x2", "y"]
    router.set_presence(41 * S, "ana", "ready")
    connected = the(take(router, 42 * S, "ana"), "Connected")
    assert (connected.wait_ms, connected.gross_ms) == (12 * S, 42 * S)  # type: ignore[union-attr]
    assert the(router.enqueue(43 * S, "x3", "q", resume_key="tel:1"), "Queued").kept_ms == 0  # type: ignore[union-attr]


def test_a_place_is_not_kept_for_longer() -> None:
    """A millisecond after the grace the place is gone, and it never was kept where no grace was given."""
    router = left_with_key()
    assert the(router.enqueue(40 * S + 1, "x2", "q", resume_key="tel:1"), "Queued").kept_ms == 0  # type: ignore[union-attr]
    assert router.waiting("q") == ["y", "x2"]
    router.leave(41 * S, "x2")
    assert the(router.enqueue(41 * S, "x3", "q", resume_key="tel:1"), "Queued").kept_ms == 0  # type: ignore[union-attr]


def test_a_place_is_kept_across_channels() -> None:
    """Who left a call and comes again as a chat has his place, also after a restart in between."""
    router = Router.restore(left_with_key().snapshot())
    router.enqueue(20 * S, "x2", "q", channel="chat", resume_key="tel:1")
    assert router.waiting("q") == ["x2", "y"]


def test_a_kept_wait_is_told_with_its_own_arrival() -> None:
    """An arrival of later takes the place; the wait that was kept is not told with somebody else's arrival.

    It was seen to be: the scheduled arrival is told as parked, and the next one to be queued had the wait.
    """
    router = left_with_key()
    assert words(router.enqueue(20 * S, "x2", "q", resume_key="tel:1", at=60 * S)) == ["Parked x2"]
    assert the(router.enqueue(21 * S, "z", "q"), "Queued").kept_ms == 0  # type: ignore[union-attr]
    router.advance(60 * S)
    assert router.waiting("q") == ["x2", "y", "z"]


# Times and places ----------------------------------------------------------------------------------------------------


def test_a_scheduled_arrival_begins_to_wait_then() -> None:
    """Until then it is parked and nobody's length or wait; its place counts from when it comes."""
    router = built("ana")
    assert words(router.enqueue(0, "x", "q", at=60 * S), "due") == ["Parked x 60000"]
    assert (router.queue("q").waiting, router.agent("ana").offers) == (0, ())
    assert words(router.advance(60 * S), "at") == ["Queued x 60000", "Offered x ana 60000"]
    connected = the(take(router, 63 * S, "ana"), "Connected")
    assert (connected.wait_ms, connected.gross_ms) == (3 * S, 3 * S)  # type: ignore[union-attr]
    assert words(router.enqueue(70 * S, "late", "q", at=70 * S)) == ["Queued late"]


def test_a_full_queue_refuses_who_comes_not_who_is_scheduled() -> None:
    """Whether the same was asked before or not: it was seen to matter."""
    router = built(queues=[Queue("q", limit=1)])
    router.enqueue(0, "x", "q")
    for needs in ("", "es", "es"):
        assert refusal(router.enqueue(0, "y", "q", needs=needs)) == "queue_full q"
        name = f"later{len(router._ledger.numbers)}"
        assert words(router.enqueue(0, name, "q", needs=needs, at=10 * S)) == [f"Parked {name}"]


def test_a_full_queue_does_not_refuse_who_waits_in_it() -> None:
    """Whoever was given back to a full queue makes it longer than its limit; the others change places as before.

    It was seen to be refused, after a restart only.
    """
    router = built("ana", queues=[Queue("q", limit=1), Queue("r")])
    router.enqueue(0, "x", "q")
    router.accept(0, router.agent("ana").offers[0])
    router.enqueue(1, "y", "q")
    router.set_presence(2, "ana", "not_ready")
    router.requeue(3, "x")
    assert router.queue("q").waiting == 2
    router = Router.restore(router.snapshot())
    assert words(router.update(4, "y", priority=1)) == ["Updated y"]
    assert words(router.update(5, "y", queue=("q", "r"))) == ["Updated y"]
    assert refusal(router.enqueue(6, "z", "q")) == "queue_full q"


def test_what_is_parked_changes_nothing_but_its_place_in_a_full_queue() -> None:
    """It needs no room for what it has already. It was seen to be refused, after a restart only."""
    router = built(queues=[Queue("q", limit=1)])
    router.enqueue(0, "x", "q")
    router.park(1, "x")
    router.enqueue(2, "y", "q")
    router = Router.restore(router.snapshot())
    assert words(router.update(3, "x", priority=1)) == ["Updated x"]
    assert refusal(router.enqueue(4, "z", "q")) == "queue_full q"


def test_parked_keeps_the_place_and_stops_the_clock() -> None:
    """Its wait stands still while it is parked; its place does not change; ``anew`` begins the wait again."""
    for anew, wait_ms in ((False, 30 * S), (True, 10 * S)):
        router = built("ana")
        router.set_presence(0, "ana", "not_ready")
        router.enqueue(0, "x", "q")
        router.enqueue(1 * S, "y", "q")
        assert words(router.park(20 * S, "x"), "due") == ["Parked x None"]
        assert words(router.activate(100 * S, "x", anew=anew)) == ["Queued x"]
        assert router.waiting("q") == ["x", "y"]
        router.set_presence(110 * S, "ana", "ready")
        connected = the(take(router, 110 * S, "ana"), "Connected")
        assert (connected.wait_ms, connected.gross_ms) == (wait_ms, 110 * S)  # type: ignore[union-attr]
    with pytest.raises(MisuseError, match="not after now"):
        router.park(200 * S, "y", 200 * S)


def test_the_order_may_be_by_due_date() -> None:
    """Who is due first is first, whoever came first; the target of the queue is part of it."""
    router = built(queues=[Queue("q", target=Target("20s", "80%"))])
    router.enqueue(0, "x", "q", due=500 * S)
    router.enqueue(1 * S, "y", "q", due=400 * S)
    router.enqueue(390 * S, "z", "q")
    assert router.waiting("q") == ["y", "z", "x"]
    assert [router.interaction(name).since for name in "xyz"] == [480 * S, 380 * S, 390 * S]


def test_an_update_re_ranks_at_once() -> None:
    """Another priority is another position at that instant; live offers stay where only the place changes."""
    queues = [Queue("q", strategy=Priority(tiers={1: -1}, head_start={2: "60s"}), offer_timeout_ms=None)]
    router = built("ana", queues=queues)
    for n, name in enumerate(("w", "x", "y", "z")):
        router.enqueue(n * S, name, "q")
    (offer,) = router.agent("ana").offers
    assert router.position("z") == 3
    assert words(router.update(10 * S, "z", priority=2)) == ["Updated z"]
    assert router.waiting("q") == ["z", "x", "y"]
    assert words(router.update(10 * S, "y", priority=1), "tier") == ["Updated y -1"]
    assert router.waiting("q") == ["y", "z", "x"]
    router.update(11 * S, "w", priority=2)
    assert router.agent("ana").offers == (offer,)
    router.update(12 * S, "z", priority=0)
    assert (router.interaction("z").since, router.waiting("q")) == (3 * S, ["y", "x", "z"])


def test_an_update_takes_back_the_head_start_also_after_a_restart() -> None:
    """What the old priority gave is taken back. Seen to fail: a snapshot forgot what it had been."""
    router = built(queues=[Queue("q", strategy=Priority(head_start={2: "60s"}))])
    router.enqueue(100 * S, "x", "q", priority=2)
    assert router.interaction("x").since == 40 * S
    again = Router.restore(router.snapshot())
    for one in (router, again):
        one.update(110 * S, "x", priority=0)
        assert one.interaction("x").since == 100 * S
    assert again.digest() == router.digest()


def test_an_update_of_the_needs_finds_another_agent() -> None:
    """Another requirement withdraws the offer that does not fit any more and asks at once; waits and steps go on."""
    plan = Plan(
        queues=[Queue("q", steps=[Step("30s", needs="")])], agents=[Agent("ana"), Agent("eva", skills={"es": 1})]
    )
    router = Router(plan)
    router.sign_in_many(0, ["ana", "eva"])
    router.enqueue(0, "x", "q")
    told = router.update(5 * S, "x", needs="es")
    assert words(told) == ["OfferWithdrawn x ana", "Updated x", "Offered x eva"]
    assert router.interaction("x").wait_from == 0
    assert "StepTaken x" in words(router.advance(30 * S))


# By hand -------------------------------------------------------------------------------------------------------------


def test_an_agent_picks_what_waits() -> None:
    """Whatever the plan says; what he had been offered he takes, others lose their offers."""
    router = built("ana", "ben")
    router.enqueue(0, "x", "q", needs="nobody_has_it")
    assert words(router.assign(5 * S, "x", "ben"), "offer", "wait_ms") == ["Connected x ben -1 5000"]
    told = router.enqueue(6 * S, "y", "q")
    assert words(told)[-1] == "Offered y ana"
    assert words(router.assign(7 * S, "y", "ana")) == ["Connected y ana"]
    assert refusal(router.assign(7 * S, "y", "ana")) == "already_connected"
    router.check()


def test_only_force_goes_beyond_the_room() -> None:
    """A supervisor may give an agent more than he has room for; picking does not, and nobody signed out gets it."""
    router = built("ana", "ben")
    router.enqueue(0, "x", "q")
    router.enqueue(0, "y", "q")
    router.enqueue(0, "z", "q")
    take(router, 0, "ana")
    assert refusal(router.assign(1, "z", "ana")) == "no_room"
    assert words(router.assign(1, "z", "ana", force=True)) == ["Connected z ana"]
    assert router.agent("ana").units_in_use == 2
    told = router.assign(2, "y", "ana", force=True)
    assert words(told) == ["OfferWithdrawn y ben", "Connected y ana"]
    router.sign_out(3, "ben")
    router.enqueue(3, "w", "q")
    assert refusal(router.assign(3, "w", "ben", force=True)) == "signed_out"
    router.check()


def test_work_that_was_not_routed_takes_capacity_at_once() -> None:
    """An outbound call is no arrival and no answer in the counts of a queue; it can be given back as any other."""
    router = built("ana")
    assert words(router.occupy(5 * S, "out", "ana", "q", ref="r"), "ref", "wait_ms") == ["Connected out ana r 0"]
    assert (router.queue("q").entered, router.queue("q").connected) == (0, 0)
    assert words(router.enqueue(6 * S, "x", "q")) == ["Queued x"]
    digest = router.digest()
    for queue in ("q", "r"):
        assert refusal(router.occupy(6 * S, "more", "ana", queue)) == "no_room"
        assert router.digest() == digest
    router.occupy(6 * S, "more", "ana", "q", force=True)
    assert words(router.requeue(7 * S, "out")) == ["Requeued out ana", "AllDeclined out"]
    assert words(router.release(8 * S, "more"))[-1] == "Offered x ana"
    assert refusal(router.occupy(9 * S, "x", "ana", "q")) == "duplicate_interaction it lives"
    router.check()


# Queues that close ---------------------------------------------------------------------------------------------------


def closing() -> Router:
    """Two wait in q, one is parked there, one waits in q and r; nobody is there."""
    router = built("ana")
    router.sign_out(0, "ana")
    router.enqueue(0, "x", "q")
    router.enqueue(1, "y", "q", needs="not trainee")
    router.enqueue(2, "p", "q", at=100 * S)
    router.enqueue(3, "z", ("r", "q"))
    return router


def test_a_closed_queue_takes_nothing_until_it_opens() -> None:
    """Those who wait stay; arrivals, transfers and updates are refused by name, before anything is numbered.

    Seen to fail: time did not pass in the core with the command that closed, so a refusal after it moved something.
    """
    router = closing()
    assert words(router.close_queue(5 * S, "q"), "queue") == ["QueueClosed q"]
    digest = router.digest()
    for needs in ("", "fr >= 2"):
        assert refusal(router.enqueue(5 * S, "n", "q", needs=needs)) == "queue_closed q"
        assert refusal(router.enqueue(5 * S, "n", ("r", "q"), needs=needs)) == "queue_closed q"
    assert refusal(router.transfer(5 * S, "z", "q")) == "queue_closed q"
    assert refusal(router.close_queue(5 * S, "q")) == "queue_closed"
    assert router.digest() == digest
    assert router.waiting("q") == ["x", "y", "z"]
    again = Router.restore(router.snapshot())
    for one in (router, again):
        assert words(one.open_queue(6 * S, "q"), "queue") == ["QueueOpened q"]
        assert words(one.enqueue(6 * S, "n", "q")) == ["Queued n"]
        assert refusal(one.open_queue(6 * S, "q")) == "queue_open"


def test_a_queue_closes_and_cancels_what_waits() -> None:
    """It is told as cancelled, also what is parked; what waits elsewhere as well stays there. That is no abandonment.

    Seen to fail: what waited in another queue too was cancelled.
    """
    router = closing()
    told = router.close_queue(5 * S, "q", waiting="cancel")
    assert words(told, "how") == [
        "QueueClosed",
        "Cancelled x closed",
        "Cancelled y closed",
        "Updated z",
        "Cancelled p closed",
    ]
    assert (router.queue("q").abandoned, router.audit().finished) == (0, 3)
    assert (router.waiting("q"), router.waiting("r"), router.interaction("z").queues) == ([], ["z"], ("r",))
    router.check()


def test_a_queue_closes_and_moves_what_waits() -> None:
    """Its age goes with it; what is parked stays parked. Seen to fail: it was woken by the move."""
    router = closing()
    router.enqueue(4, "r1", "r")
    told = router.close_queue(5 * S, "q", waiting="move", to="r")
    assert words(told) == [
        "QueueClosed",
        "Transferred x None",
        "Transferred y None",
        "Updated z",
        "Updated p",
    ]
    assert router.waiting("r") == ["x", "y", "z", "r1"]
    assert (router.interaction("p").state, router.interaction("p").queues) == ("parked", ("r",))
    assert words(router.advance(100 * S)) == ["Queued p"]
    assert router.waiting("q") == []
    router.check()


def test_what_cannot_move_stays() -> None:
    """The target is full: the first moves, the rest stays in its closed queue and is told as refused."""
    router = built("ana", queues=[Queue("q"), Queue("r", limit=1)])
    router.set_presence(0, "ana", "not_ready")
    router.enqueue(0, "x", "q")
    router.enqueue(0, "y", "q")
    told = router.close_queue(1, "q", waiting="move", to="r")
    assert words(told) == ["QueueClosed", "Transferred x None", "Rejected y queue_full"]
    assert (router.waiting("q"), router.waiting("r")) == (["y"], ["x"])


# Several queues at once ----------------------------------------------------------------------------------------------


def test_one_interaction_in_several_queues_is_removed_from_all_at_once() -> None:
    """The queue that won is counted as its answer, and what is told after the connection is told for that queue."""
    agents = [Agent("ana", queues=["b"]), Agent("ben", queues=["a"])]
    router = Router(Plan(queues=[Queue("a"), Queue("b"), Queue("c")], agents=agents))
    router.enqueue(0, "x", ("a", "b", "c"))
    assert [router.waiting(queue) for queue in "abc"] == [["x"]] * 3
    router.sign_in(1 * S, "ana")
    take(router, 2 * S, "ana")
    assert [router.waiting(queue) for queue in "abc"] == [[]] * 3
    assert [router.queue(queue).connected for queue in "abc"] == [0, 1, 0]
    assert [router.queue(queue).waiting for queue in "abc"] == [0, 0, 0]
    assert the(router.requeue(3 * S, "x"), "Requeued").queue == "b"  # type: ignore[union-attr]
    assert [router.waiting(queue) for queue in "abc"] == [["x"]] * 3


def test_reconcile_ends_what_belongs_to_an_interaction() -> None:
    """A host that does not know x any more ends x, and with it the consultation that it still lists."""
    router = consulting()
    told = router.reconcile(20 * S, {"ana": "ready", "ben": "ready"}, ["k"])
    assert "Released x ana" in words(told)
    assert "Released k ben" in words(told)
    assert router.audit().interactions == {}
    router.check()


class Generous:
    """A strategy that credits as much as can be."""

    name, version, agent_key = "generous", 1, AgentKey.LONGEST_IDLE

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """All alike."""
        return Tables()

    def place(self, priority: int) -> Place:
        """The longest head start."""
        return Place(head_start_ms=2**41)


def test_ranges_that_meet_at_the_edge_are_bounded() -> None:
    """A due date at the beginning of time with the longest head start is a place like any other.

    Seen to fail: the instant was below what the core takes, and the router shut itself.
    """
    router = built(queues=[Queue("q", strategy=Generous(), target=Target("20s", "80%"))])
    assert words(router.enqueue(0, "x", "q", priority=1, head_start_ms=2**41, due=0))[0] == "Queued x"
    router.check()


def test_the_end_of_time_is_an_instant_like_any_other() -> None:
    """What would end after it has no end.

    Seen to fail: a tie that ended at once was refused by the core, and the router shut itself.
    """
    router = built("ana", "ben", setup_ms=10 * S)
    last = limits.TIME_MAX
    told = router.enqueue(last, "x", "q", binds=[Bind("ana", for_ms=5)])
    assert words(told) == ["Queued x", "Offered x ana"]
    router.call_back(last, "x", tries=2)
    take(router, last, "ana")
    assert words(router.fail_setup(last, "x"))[0] == "SetupFailed x ana"
    router.occupy(last, "y", "ana", "q", force=True)
    assert words(router.consult(last, "y", "k", "r"))[0] == "Queued k"
    router.check()


def test_a_bound_consultation_has_room_for_the_one_who_asks() -> None:
    """Ties of a consultation are one fewer than the core holds, for the agent who asks is kept from it."""
    router = built("ana")
    router.sign_in_many(0, [Agent(f"a{n}") for n in range(63)])
    router.occupy(0, "x", "ana", "q")
    binds = [Bind(f"a{n}", "forbid") for n in range(63)]
    assert words(router.consult(0, "x", "k", "q", binds=binds))[0] == "Queued k"
    with pytest.raises(MisuseError, match="binds of a consultation is 64"):
        router.consult(1, "x", "l", "q", binds=[*binds, Bind("ana")])
    router.check()
