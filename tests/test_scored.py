"""The slow door: a function scores agents, its answer is in the command, and a replay does not ask it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from omniroute import Agent, Plan, Queue, Router, Scored, commands, events
from omniroute.core.limits import TIES_MAX
from omniroute.errors import MisuseError, PlanError
from omniroute.strategies.scored import Candidate

AGENTS = [
    Agent("ana", labels={"knows": 7}),
    Agent("ben", labels={"knows": 9}),
    Agent("cy", labels={"knows": 8}, queues=["care"]),
    Agent("dee", labels={"knows": 5, "trainee": True}),
    Agent("eve", labels={"knows": 8}),
]


def world() -> Router:
    """Five agents, all but Eve ready, in a queue that Cy is not a member of."""
    router = Router(Plan(queues=[Queue("sales", needs="not trainee"), Queue("care")], agents=AGENTS))
    router.sign_in_many(0, [agent.id for agent in AGENTS])
    router.set_presence(1, "eve", "not_ready")
    return router


def knows(context: Mapping[str, object], candidates: Sequence[Candidate]) -> list[float | None]:
    """How near an agent's number is to that of the customer."""
    wanted: Any = context["number"]
    return [-abs(wanted - int(str(who.group.labels["knows"]))) for who in candidates]


def test_the_best_scored_is_offered_first_then_the_next(core: str) -> None:
    """Preferred agents in the order of their scores, then everybody else; who is not able or ready is not shown.

    Seen to fail: the least score first.
    """
    router = world()
    for number, wanted in ((9, ["ben", "ana"]), (6, ["ana", "ben"])):
        command = Scored(knows).bound(router, commands.Enqueue(f"call-{number}", "sales"), {"number": number})
        assert [bind.agent for bind in command.binds] == wanted
        fork, found = router.fork(), []
        told = fork.apply(2, command)
        for now in range(3, 5):
            found += [event for event in told if isinstance(event, events.Offered)]
            told = fork.decline(now, found[-1].offer)
        assert [event.agent for event in found] == wanted


def test_what_it_is_shown(core: str) -> None:
    """At most so many, those with nothing in hand first, then the longest idle; ties of the command stay.

    Seen to fail: the busy ones first.
    """
    router = Router(Plan(queues=[Queue("q", auto_accept=True)], agents=[Agent(f"a{n}", units=2) for n in range(5)]))
    router.sign_in_many(0, [f"a{n}" for n in range(5)])
    router.enqueue(1, "held", "q")
    router.enqueue(2, "done", "q")
    router.finish(3, "done")
    seen: list[list[str]] = []

    def score(context: Mapping[str, object], candidates: Sequence[Candidate]) -> list[float | None]:
        seen.append([who.id for who in candidates])
        return [None if who.id == "a3" else 0 for who in candidates]

    binds = (commands.Bind("a4", "forbid"),)
    command = Scored(score, most=3, hold="5s").bound(router, commands.Enqueue("x", "q", binds=binds))
    assert seen == [["a2", "a3", "a1"]]
    assert command.binds == (*binds, commands.Bind("a2", "prefer", 5_000), commands.Bind("a1", "prefer", 5_000))
    assert [who.id for who in Scored(score).candidates(router, ("q", "no such"))] == ["a2", "a3", "a4", "a1", "a0"]
    assert Scored(score).candidates(router, "no such") == []


def test_a_replay_never_asks() -> None:
    """The journal has the answers as ties; the same records on another router give the same digest.

    Seen to fail: the command without its ties applied.
    """
    asked = []

    def once(context: Mapping[str, object], candidates: Sequence[Candidate]) -> list[float | None]:
        asked.append(context)
        return knows(context, candidates)

    router, journal = world(), []
    for n, number in enumerate((9, 6, 5)):
        command = Scored(once).bound(router, commands.Enqueue(f"call-{n}", "sales"), {"number": number})
        journal.append(commands.encode(command))
        router.apply(10 + n, command)
    again = world()
    for n, record in enumerate(journal):
        again.apply(10 + n, commands.decode(record))
    assert again.digest() == router.digest()
    assert len(asked) == 3
    assert again.interaction("call-0").offers
    assert [router.agent(name).offers != () for name in ("ana", "ben")] == [True, True]


def test_transfers_and_consultations_are_asked_alike(core: str) -> None:
    """Every command with ties and queues can be bound."""
    router = world()
    offer = router.enqueue(1, "call", "sales")[-1]
    router.accept(2, offer.offer)  # type: ignore[union-attr]
    for command in (commands.Transfer("call", "care"), commands.Consult("call", "asked", "care")):
        bound = Scored(knows).bound(router, command, {"number": 8})
        assert [bind.agent for bind in bound.binds] == ["cy", "ben", "ana", "dee"]
        told = router.fork().apply(3, bound)
        assert [event.agent for event in told if isinstance(event, events.Offered)] == ["cy"]


@pytest.mark.parametrize("answer", [[1], [1, 2, 3], [1, "2"], [True, 1], [1, float("nan")]])
def test_an_answer_that_is_none(answer: list[Any]) -> None:
    """As many numbers as candidates, or nothing is applied."""
    router = world()
    with pytest.raises(MisuseError):
        Scored(lambda _context, _candidates: answer).bound(router, commands.Enqueue("x", "sales"))


def test_wrong_parameters() -> None:
    """Between one candidate and as many as an interaction has ties."""
    for most in (0, TIES_MAX + 1, True):
        with pytest.raises(PlanError, match="most"):
            Scored(knows, most=most)
    with pytest.raises(PlanError, match="hold"):
        Scored(knows, hold="soon")
