"""Every cell of the life cycles, walked or refused through the door: interactions, offers, presences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from cores import CORES, using

from omniroute import Agent, Channel, Plan, Queue, Router, commands, events
from omniroute.core.lifecycle import (
    COMMANDED,
    INTERACTION,
    OFFER,
    PRESENCE,
    REFUSALS,
    InteractionMove,
    InteractionState,
    OfferMove,
    OfferState,
    Presence,
    PresenceMove,
    mermaid,
    presence_refusal,
)

Moves, States = InteractionMove, InteractionState
PLAN = Plan(
    channels=[Channel("voice"), Channel("chat")],
    queues=[Queue("q", offer_timeout_ms=60_000, retry_after_ms=1)],
    agents=[Agent("a", units=1), Agent("b", units=9)],
)
SETUP_MS = 5_000


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def world(*, setup: bool = False) -> Router:
    """A router in which voice interrupts chat, with a set-up where one is wanted; x waits."""
    router = Router(PLAN)
    assert router._core.set_mix(0, 0, 3, 2) is None
    if setup:
        router._core.set_queue(0, 1, 60_000, -1, 1, -1, SETUP_MS)
    return router


def waiting() -> Router:
    """The interaction x waits."""
    router = world()
    router.enqueue(0, "x", "q", channel="chat")
    return router


def offered() -> Router:
    """The interaction x is offered to a."""
    router = waiting()
    router.sign_in(0, "a")
    return router


def connected() -> Router:
    """The interaction x is connected to a."""
    router = offered()
    router.accept(0, router.agent("a").offers[0])
    return router


def wrap_up() -> Router:
    """The agent a wraps up x."""
    router = connected()
    router.finish(0, "x", -1)
    return router


def accepting() -> Router:
    """The agent a has accepted x, the set-up is under way."""
    router = world(setup=True)
    router.enqueue(0, "x", "q", channel="chat")
    router.sign_in(0, "a")
    router.accept(0, router.agent("a").offers[0])
    return router


def on_hold() -> Router:
    """The agent a has put x on hold."""
    router = connected()
    router.hold(0, "x")
    return router


def interrupted() -> Router:
    """A call interrupts the chat x."""
    router = connected()
    router.occupy(0, "call", "a", "q", force=True)
    return router


def parked() -> Router:
    """The interaction x is parked."""
    router = waiting()
    router.park(0, "x")
    return router


MAKE: dict[InteractionState, Callable[[], Router]] = {
    States.WAITING: waiting,
    States.OFFERED: offered,
    States.CONNECTED: connected,
    States.WRAP_UP: wrap_up,
    States.ACCEPTING: accepting,
    States.ON_HOLD: on_hold,
    States.INTERRUPTED: interrupted,
    States.PARKED: parked,
}


def verbs(router: Router) -> dict[InteractionMove, commands.Command]:
    """A command for each move that a command asks for by the interaction's name."""
    router.sign_in(0, "b", ready=False)
    if router.interaction("x").agent:
        # A take-over needs a second agent with a consultation.
        router.occupy(0, "k", "b", "q", channel="chat", force=True)
        numbers = router._ledger.numbers
        router._ledger.link(numbers["k"], numbers["x"], "consultation")
    return {
        Moves.LEAVE: commands.Leave("x"),
        Moves.FINISH: commands.Finish("x", -1),
        Moves.RELEASE: commands.Release("x"),
        Moves.REQUEUE: commands.Requeue("x"),
        Moves.TRANSFER: commands.Transfer("x", "q", binds=(commands.Bind("a", "forbid"),)),
        Moves.CONNECT: commands.Connect("x"),
        Moves.FAIL: commands.FailSetup("x"),
        Moves.HOLD: commands.Hold("x"),
        Moves.RESUME: commands.Resume("x"),
        Moves.PARK: commands.Park("x"),
        Moves.ACTIVATE: commands.Activate("x"),
        Moves.ASSIGN: commands.Assign("x", "b", force=True),
        Moves.UPDATE: commands.Update("x", priority=1),
        Moves.TAKE_OVER: commands.TakeOver("k"),
    }


HAND = [(state, move) for state in MAKE for move in COMMANDED]


@pytest.mark.parametrize(("state", "move"), HAND, ids=lambda value: value.name.lower())
def test_every_cell_of_an_interaction(state: InteractionState, move: InteractionMove) -> None:
    """Each state by each move that a command asks for is walked to the state of the table, or refused by its name.

    What another rule refuses first is refused as well: an offered interaction is connected by an offer's own answer,
    and a consultation belongs to something that is in hand.
    """
    router = MAKE[state]()
    assert router.interaction("x").state == state.name.lower()
    command = verbs(router)[move]
    router.check()
    digest = router.digest()
    told = router.apply(0, command)
    router.check()
    reasons = [event.reason for event in told if isinstance(event, events.Rejected)]
    if (state, move) == (States.OFFERED, Moves.CONNECT):
        assert reasons == ["not_accepting"]
    elif move == Moves.TAKE_OVER and state in (States.WAITING, States.OFFERED, States.PARKED):
        assert reasons == ["unknown_interaction"]
    elif (state, move) in INTERACTION:
        assert reasons == []
        after = INTERACTION[state, move]
        lives = "x" in router._ledger.numbers
        assert lives == (after != States.GONE)
        found = router.interaction("x").state if lives else "gone"
        again = {States.WAITING: ("waiting", "offered")}.get(after, (after.name.lower(),))
        assert found in again
    else:
        assert reasons == [REFUSALS[state, move].name.lower()]
    if reasons:
        assert router.digest() == digest


def test_the_moves_that_happen_by_themselves() -> None:
    """The moves that no command names: an offer, its end, an acceptance, an interruption and its end."""
    states = []
    router = accepting()
    states.append((Moves.ACCEPT, router.interaction("x").state))
    router.connect(0, "x")
    router.occupy(1, "call", "a", "q", force=True)
    states.append((Moves.INTERRUPT, router.interaction("x").state))
    router.release(2, "call")
    states.append((Moves.CONTINUE, router.interaction("x").state))
    router = offered()
    states.append((Moves.OFFER, router.interaction("x").state))
    router.set_presence(0, "a", "not_ready")
    states.append((Moves.UNOFFER, router.interaction("x").state))
    assert states == [
        (Moves.ACCEPT, "accepting"),
        (Moves.INTERRUPT, "interrupted"),
        (Moves.CONTINUE, "connected"),
        (Moves.OFFER, "offered"),
        (Moves.UNOFFER, "waiting"),
    ]
    assert {move for move, _ in states} | set(COMMANDED) == set(InteractionMove)


def end_by_accept(router: Router, offer: int) -> list[events.Event]:
    """The agent takes it."""
    return router.accept(1, offer)


def end_by_decline(router: Router, offer: int) -> list[events.Event]:
    """The agent does not want it."""
    return router.decline(1, offer)


def end_by_expiry(router: Router, offer: int) -> list[events.Event]:
    """The agent does not answer."""
    return router.advance(60_000)


def end_by_withdrawal(router: Router, offer: int) -> list[events.Event]:
    """The customer leaves."""
    return router.leave(1, "x")


ENDS = {
    OfferMove.ACCEPT: end_by_accept,
    OfferMove.DECLINE: end_by_decline,
    OfferMove.EXPIRE: end_by_expiry,
    OfferMove.WITHDRAW: end_by_withdrawal,
}


@pytest.mark.parametrize("move", OfferMove, ids=lambda move: move.name.lower())
def test_every_cell_of_an_offer(move: OfferMove) -> None:
    """A live offer meets each of its four ends once; whatever is answered after that is refused and names the end."""
    router = offered()
    (offer,) = router.agent("a").offers
    told = ENDS[move](router, offer)
    assert "Rejected" not in [type(event).__name__ for event in told]
    end = OFFER[OfferState.LIVE, move].name.lower()
    for answer in (router.accept, router.decline, router.accept):
        digest = router.digest()
        (refusal,) = answer(router.now, offer)
        assert isinstance(refusal, events.Rejected)
        assert (refusal.reason, refusal.detail) == ("offer_ended", end)
        assert router.digest() == digest
    router.check()


def say(router: Router, move: PresenceMove) -> list[events.Event]:
    """The command of a presence move."""
    if move in (PresenceMove.SIGN_IN, PresenceMove.SIGN_IN_NOT_READY):
        return router.sign_in(0, "b", ready=move == PresenceMove.SIGN_IN)
    if move == PresenceMove.SIGN_OUT:
        return router.sign_out(0, "b")
    said = {PresenceMove.SET_READY: "ready", PresenceMove.SET_NOT_READY: "not_ready", PresenceMove.DRAIN: "draining"}
    return router.set_presence(0, "b", said[move])  # type: ignore[arg-type]


ASKED = (*(move for move in PresenceMove if move < PresenceMove.NO_ANSWER),)
PRESENCES = [(presence, move) for presence in Presence for move in ASKED]


@pytest.mark.parametrize(("presence", "move"), PRESENCES, ids=lambda value: value.name.lower())
def test_every_cell_of_a_presence(presence: Presence, move: PresenceMove) -> None:
    """Each presence by each move that a command asks for, with work in hand, so that nobody is gone at once.

    Signed out is the one presence without work: whoever drains and has none is signed out. A sign-out with work in
    hand drains, also where the agent drains already.
    """
    router = Router(PLAN)
    if presence != Presence.SIGNED_OUT:
        router.sign_in(0, "b")
        router.occupy(0, "k", "b", "q")
        if presence != Presence.READY:
            router.set_presence(0, "b", presence.name.lower())  # type: ignore[arg-type]
    assert router.agent("b").presence == presence.name.lower()
    told = say(router, move)
    router.check()
    found = router.agent("b").presence
    if (presence, move) in PRESENCE:
        drains = move == PresenceMove.SIGN_OUT
        assert found == ("draining" if drains else PRESENCE[presence, move].name.lower())
    else:
        (refusal,) = told
        assert isinstance(refusal, events.Rejected)
        assert refusal.reason == presence_refusal(presence, move).name.lower()
        assert found == presence.name.lower()


def test_the_presences_that_change_by_themselves() -> None:
    """An offer that expires turns the agent not ready, the last work of one who drains signs him out."""
    router = offered()
    router.advance(60_000)
    assert (router.agent("a").presence, PRESENCE[Presence.READY, PresenceMove.NO_ANSWER]) == ("not_ready", 2)
    router = connected()
    router.sign_out(0, "a")
    assert router.agent("a").presence == "draining"
    router.release(0, "x")
    assert (router.agent("a").presence, PRESENCE[Presence.DRAINING, PresenceMove.EMPTY]) == ("signed_out", 0)


def test_diagrams_have_one_line_for_each_cell() -> None:
    """What the documentation draws is the table: a head and a line for each cell."""
    for table in (INTERACTION, OFFER, PRESENCE):
        assert len(mermaid(table).splitlines()) == 1 + len(table)  # type: ignore[arg-type]
