"""Strategies that are asked again in a running service: what takes long is thought about beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import pytest
from live_time import Asked, opened, run, taken

from omniroute import Agent, Plan, Queue, Router, commands, events
from omniroute.journal import MemoryStore
from omniroute.live import ThreadRouter
from omniroute.live.answers import Answers
from omniroute.strategies.desk import Desk
from omniroute.strategies.protocol import Question, Revision, Tables
from omniroute.strategies.revenue import Revenue


@attrs.frozen
class Thoughtful(Asked):
    """Answers on whatever thread it is asked, and remembers which."""

    threads: list[str] = attrs.field(factory=list, eq=False)
    name = "thoughtful"

    def revise(self, observed: Any, classes: Sequence[Any], groups: Sequence[Any]) -> Revision:
        """Note the thread; know nothing the second time."""
        self.threads.append(threading.current_thread().name)
        if observed.version:
            raise ValueError("no idea")
        return Revision(version=observed.version, tables=Tables())


def test_strategies_think_beside_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    """The answer comes as a command; one that raises is logged, and routing goes on with the old tables.

    Planted: the strategy is asked on the loop.
    """
    strategy = Thoughtful()

    async def main() -> None:
        plan = Plan(queues=[Queue("sales", strategy=strategy)], agents=[Agent("ana")])
        async with await opened(plan=plan) as router:
            heard = router.events()
            await router.enqueue("call-1", "sales")
            found = await taken(heard, 3)
            assert [type(event).__name__ for event in found] == ["Queued", "RevisionDue", "Revised"]
            await router.enqueue("call-2", "sales")
            assert type((await taken(heard, 2))[1]) is events.RevisionDue
            while "no idea" not in caplog.text:
                await asyncio.sleep(0)
            assert await router.sign_in("ana")

    run(main())
    assert strategy.threads
    assert all(name.startswith("omniroute-revise") for name in strategy.threads)


VALUE = Revenue(values={"sale": {"sales": {"*": 150}}}, handle="1m", interval="1m")
PRICED = Plan(queues=[Queue("sales", strategy=VALUE)], agents=[Agent("ana")])


class HeldBack:
    """A desk whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.begun = threading.Event()
        self.go = threading.Event()
        self.threads: list[str] = []

    def questions(self, router: Router, heard: Sequence[Any]) -> list[Question]:
        """Those of the desk."""
        return [Question(asked.queue, partial(self._answer, asked)) for asked in self.desk.questions(router, heard)]

    def _answer(self, asked: Question) -> commands.Revise:
        self.threads.append(threading.current_thread().name)
        self.begun.set()
        if threading.current_thread() is not threading.main_thread():
            assert self.go.wait(20)
        return asked.answer()


async def until(subscription: Any, kind: type) -> Any:
    """The next event of a kind."""
    while type(event := await anext(subscription)) is not kind:
        pass
    return event


def test_a_desk_solves_beside_the_loop() -> None:
    """While it does, commands are answered and its queue is routed; then its answer comes as a command.

    Planted: questions are answered on the loop.
    """
    pytest.importorskip("scipy.optimize")
    held = HeldBack()

    async def main() -> None:
        async with await opened(plan=PRICED, answerer=held) as router:
            heard = router.events()
            await router.sign_in("ana")
            await router.enqueue("call-1", "sales")
            due = await until(heard, events.RevisionDue)
            assert await asyncio.to_thread(held.begun.wait, 20)
            assert [type(event) for event in await router.enqueue("call-2", "sales")] == [events.Queued]
            assert held.desk.prices is None
            held.go.set()
            assert (await until(heard, events.Revised)).queue == due.queue
            assert held.desk.prices is not None

    run(main())
    assert held.threads
    assert all(name.startswith("omniroute-revise") for name in held.threads)


def test_a_desk_solves_beside_the_threads() -> None:
    """While it does, commands and deadlines go on; then its answer is heard as any command.

    Planted: questions are answered where events are told.
    """
    pytest.importorskip("scipy.optimize")
    held, now, heard, revised = HeldBack(), [0], [], threading.Event()

    def listen(told: list[Any]) -> None:
        heard.extend(told)
        if isinstance(told[-1], events.Revised):
            revised.set()

    with ThreadRouter(MemoryStore(), PRICED, listen=listen, clock=lambda: now[0], answerer=held) as router:
        router.sign_in("ana")
        router.enqueue("call-1", "sales")
        now[0] = 60_000
        router.enqueue("call-2", "sales")
        assert held.begun.wait(20)
        assert [type(event) for event in router.enqueue("call-3", "sales")] == [events.Queued]
        assert not revised.is_set()
        held.go.set()
        assert revised.wait(20)
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))
    assert all(name.startswith("omniroute-revise") for name in held.threads)


def test_threads_ask_strategies_too() -> None:
    """A strategy with ``revise`` is asked beside the threads, without any answerer. Planted: only a desk is asked."""
    strategy, now, revised = Thoughtful(), [0], threading.Event()

    def listen(told: list[Any]) -> None:
        if isinstance(told[-1], events.Revised):
            revised.set()

    plan = Plan(queues=[Queue("sales", strategy=strategy)], agents=[Agent("ana")])
    with ThreadRouter(MemoryStore(), plan, listen=listen, clock=lambda: now[0]) as router:
        router.enqueue("call-1", "sales")
        now[0] = 60_000
        router.enqueue("call-2", "sales")
        assert revised.wait(20)
    assert all(name.startswith("omniroute-revise") for name in strategy.threads)


def test_what_is_asked_again_before_its_turn_is_left_out() -> None:
    """Behind a question that takes long there waits one for each queue, the last; the others are not thought about.

    Planted: every question is answered.
    """
    answers, begun, go, answered = Answers(None), threading.Event(), threading.Event(), []

    def asked(queue: str, number: int) -> Question:
        def answer() -> commands.Revise:
            if queue == "slow":
                begun.set()
                assert go.wait(20)
            answered.append((queue, number))
            return commands.Revise(queue, number, 0, 0)

        return Question(queue, answer)

    first = answers.think(asked("slow", 1))
    assert begun.wait(20)
    rest = [answers.think(asked(queue, number)) for number in (2, 3, 4) for queue in ("a", "b")]
    go.set()
    assert [None if found is None else found.version for found in (done.result() for done in (first, *rest))] == [
        1,
        *[None] * 4,
        4,
        4,
    ]
    assert answered == [("slow", 1), ("a", 4), ("b", 4)]
    answers.close()


def test_an_answerer_that_fails_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the queues' own strategies are asked, and events are told.

    Planted: what it raises reaches those who listen.
    """

    class Broken:
        def questions(self, router: Router, heard: Sequence[Any]) -> list[Question]:
            """Have none."""
            raise RuntimeError("no idea at all")

    async def main() -> None:
        plan = Plan(queues=[Queue("sales", strategy=Thoughtful())], agents=[Agent("ana")])
        async with await opened(plan=plan, answerer=Broken()) as router:
            heard = router.events()
            await router.enqueue("call-1", "sales")
            found = await taken(heard, 3)
            assert [type(event).__name__ for event in found] == ["Queued", "RevisionDue", "Revised"]

    run(main())
    assert "no idea at all" in caplog.text
