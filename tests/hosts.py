"""A host that lives a workload through the door, command by command: what the columns must equal."""

from __future__ import annotations

import heapq
from typing import Any

import attrs
import numpy as np

from omniroute import events as e
from omniroute.commands import Revise
from omniroute.core.lifecycle import PresenceMove
from omniroute.core.reference.columns import chance
from omniroute.errors import UnknownNameError
from omniroute.plan import Plan
from omniroute.router import Router
from omniroute.strategies.desk import Desk, priced_by
from omniroute.world.outcome import OutcomeCode
from omniroute.world.simulate import presences_of
from omniroute.world.workload import Habits, Workload

FINISH, LEAVE, ESTABLISH, ACCEPT, DECLINE, RETURN = range(6)
COLUMNS = (
    "agent",
    "start_ms",
    "end_ms",
    "wait_ms",
    "outcome",
    "offers",
    "transferred_ms",
    "second_agent",
    "second_start_ms",
)


def without_setups(plan: Plan) -> Plan:
    """The plan as columns read it where agents accept at once: who is offered something is connected in the same move.

    With its set-ups a router connects behind the deadlines and the abandonments of the instant, as the columns do it
    where agents answer. O(queues).
    """
    return attrs.evolve(plan, queues=[attrs.evolve(queue, setup_timeout_ms=None) for queue in plan.queues])


class Host:
    """Signs agents in and out by the plan's windows, lets customers arrive and leave, and answers for the agents.

    ``habits`` None: it answers nothing, so the plan must accept every offer at once. Who is asked again answers
    at the same instant: the desk, or the strategy by itself.
    """

    def __init__(self, plan: Plan, work: Workload, seed: int, habits: Habits | None, desk: Desk | None = None) -> None:
        self.plan, self.work, self.seed, self.habits = plan, work, seed, habits
        self.desk = Desk() if desk is None else desk
        self.answered = 0
        self.router = Router(plan if habits is not None else without_setups(plan))
        self.agents = [agent.id for agent in plan.agents]
        self.future: list[tuple[int, int, int, str, int]] = []
        self.away: dict[str, int] = {}
        self.rows = {name: np.full(len(work), -1).tolist() for name in COLUMNS}
        self.rows["outcome"] = [int(OutcomeCode.OPEN)] * len(work)
        self.rows["offers"] = [0] * len(work)

    def live(self, until: int | None = None) -> dict[str, list[int]]:
        """Do everything in its order, ties as in the columns; what happened to each row."""
        work, router = self.work, self.router
        presences = presences_of(self.plan.agents, int(work.arrival_ms[0]))
        columns = (presences.at_ms, presences.agent, presences.move, presences.until_ms)
        moves = list(zip(*(column.tolist() for column in columns), strict=True))
        row = 0
        while True:
            due = router.next_deadline()
            ahead = [due] * (due is not None) + [item[0] for item in self.future[:1]] + [move[0] for move in moves[:1]]
            ahead += work.arrival_ms[row : row + 1].tolist()
            if not ahead or (until is not None and min(ahead) >= until):
                return self.rows
            now = min(ahead)
            if due == now:
                heard = router.advance(now)
            elif self.future and self.future[0][0] == now:
                _, kind, _, name, number = heapq.heappop(self.future)
                heard = self._happen(now, kind, name, number)
            elif moves and moves[0][0] == now:
                heard = self._move(now, *moves.pop(0)[1:])
            else:
                heard = self._arrive(now, row)
                row += 1
            self._hear(heard)

    def _move(self, now: int, agent: int, move: int, until: int) -> list[Any]:
        name = self.agents[agent]
        self.away.pop(name, None)
        heard = self.router.set_obligation(now, name, None if until < 0 else until)
        if move == PresenceMove.SIGN_IN:
            return heard + self.router.sign_in(now, name)
        if move == PresenceMove.SIGN_OUT:
            return heard + self.router.sign_out(now, name)
        assert move == PresenceMove.SET_READY
        return heard + self.router.set_presence(now, name, "ready")

    def _arrive(self, now: int, row: int) -> list[Any]:
        work = self.work
        heard = self.router.enqueue(
            now,
            str(row),
            work.queues[work.queue[row]],
            channel=work.channels[work.channel[row]],
            needs=work.requirements[work.needs[row]],
            priority=int(work.priority[row]),
            head_start_ms=int(work.head_start_ms[row]),
            value=max(0, int(work.value[row])),
            held_out=bool(work.held_out[row]),
        )
        self._be_patient(now, row)
        return heard

    def state(self, row: int) -> str:
        """What the router says of it, empty where it has gone."""
        try:
            return self.router.interaction(str(row)).state
        except UnknownNameError:
            return ""

    def _be_patient(self, now: int, row: int) -> None:
        if self.work.patience_ms[row] >= 0 and self.state(row) in ("waiting", "offered"):
            heapq.heappush(self.future, (now + int(self.work.patience_ms[row]), LEAVE, row, str(row), now))

    def _happen(self, now: int, kind: int, name: str, number: int) -> list[Any]:
        router, rows = self.router, self.rows
        if kind == FINISH:
            return self._finish(now, int(name))
        if kind == LEAVE:
            since = max(int(self.work.arrival_ms[int(name)]), rows["transferred_ms"][int(name)])
            waits = self.state(int(name)) in ("waiting", "offered")
            return router.leave(now, name) if waits and since == number else []
        if kind == ESTABLISH:
            return router.connect(now, name)
        if kind == RETURN:
            back = self.away.get(name) == now and router.agent(name).presence == "not_ready"
            return router.set_presence(now, name, "ready") if back else []
        if kind == DECLINE:
            return router.decline(now, number)
        heard = router.accept(now, number)
        refused = any(isinstance(event, e.Rejected) and event.reason == "no_room" for event in heard)
        return heard + (router.decline(now, number, "busy") if refused else [])

    def _finish(self, now: int, row: int) -> list[Any]:
        work = self.work
        target = -1 if work.transfer is None else int(work.transfer[row])
        if target >= 0 and self.rows["transferred_ms"][row] < 0:
            age = "keep" if work.keeps_age[row] else "reset"
            heard = self.router.transfer(now, str(row), work.queues[target], age=age)
            if not any(isinstance(event, e.Rejected) for event in heard):
                self.rows["transferred_ms"][row], self.rows["outcome"][row] = now, int(OutcomeCode.OPEN)
                self._be_patient(now, row)
                return heard
        self.rows["end_ms"][row] = now
        return self.router.finish(now, str(row), None if work.wrap_up_ms is None else int(work.wrap_up_ms[row]))

    def _hear(self, heard: list[Any]) -> None:
        for event in heard:
            if isinstance(event, e.Offered):
                self._offered(event)
            elif isinstance(event, e.Connected):
                self._connected(event)
            elif isinstance(event, e.Accepted):
                heapq.heappush(self.future, (event.at, ESTABLISH, int(event.interaction), event.interaction, 0))
            elif isinstance(event, e.Abandoned):
                self._ended(event, OutcomeCode.ABANDONED)
            elif isinstance(event, e.Cancelled):
                self._ended(event, OutcomeCode.CANCELLED)
            elif isinstance(event, e.Rejected) and event.reason == "queue_full" and event.command == "Enqueue":
                row = int(event.subject)
                self.rows["outcome"][row], self.rows["end_ms"][row] = int(OutcomeCode.BLOCKED), event.at
                self.rows["wait_ms"][row] = 0
            elif isinstance(event, e.PresenceChanged) and event.presence == "not_ready" and event.cause != "asked":
                self._turned(event)
        for answer in self._answers(heard):
            self.answered += 1
            self._hear(self.router.apply(self.router.now, answer))

    def _answers(self, heard: list[Any]) -> list[Revise]:
        """What strategies answer to what they heard, all before the first answer changes anything."""
        found = self.desk.hear(self.router, heard)
        for event in heard:
            if isinstance(event, e.RevisionDue):
                strategy = next(queue.strategy for queue in self.plan.queues if queue.name == event.queue)
                if hasattr(strategy, "revise") and priced_by(strategy) is None:
                    classes, groups = self.router.revision_views(event.queue)
                    tables = strategy.revise(event, classes, groups).tables
                    found.append(Revise.of(event.queue, event.version, len(classes), len(groups), tables))
        order = [event.queue for event in heard if isinstance(event, e.RevisionDue)]
        return sorted(found, key=lambda answer: order.index(answer.queue))

    def _turned(self, event: Any) -> None:
        back = None if self.habits is None else self.habits.back_ms
        if back is not None:
            self.away[event.agent] = event.at + back
            number = self.agents.index(event.agent)
            heapq.heappush(self.future, (event.at + back, RETURN, number, event.agent, 0))

    def _ended(self, event: Any, code: OutcomeCode) -> None:
        row = int(event.interaction)
        self.rows["outcome"][row], self.rows["end_ms"][row] = int(code), event.at
        self.rows["wait_ms"][row] = event.wait_ms

    def _connected(self, event: Any) -> None:
        row, rows = int(event.interaction), self.rows
        second = rows["transferred_ms"][row] >= 0
        rows["second_agent" if second else "agent"][row] = self.agents.index(event.agent)
        rows["second_start_ms" if second else "start_ms"][row] = event.at
        rows["outcome"][row], rows["wait_ms"][row] = int(OutcomeCode.SERVED), event.wait_ms
        lasts = int((self.work.handle2_ms if second else self.work.handle_ms)[row])
        heapq.heappush(self.future, (event.at + lasts, FINISH, row, event.interaction, 0))

    def _offered(self, event: Any) -> None:
        row = int(event.interaction)
        self.rows["offers"][row] += 1
        if self.habits is None:
            return
        wanted = [int(self.work.share(name)[row]) for name in ("answer_ms", "decline_permille", "ignore_permille")]
        if event.agent in self.habits.agents:
            at = self.habits.agents.index(event.agent)
            own = self.habits.answer_ms[at], self.habits.decline_permille[at], self.habits.ignore_permille[at]
            wanted = [int(mine) if mine >= 0 else other for mine, other in zip(own, wanted, strict=True)]
        answer, decline, ignore = wanted
        drawn = chance(self.seed, row, self.rows["offers"][row])
        if drawn < decline:
            heapq.heappush(self.future, (event.at + answer, DECLINE, event.offer, "", event.offer))
        elif drawn >= decline + ignore:
            heapq.heappush(self.future, (event.at + answer, ACCEPT, event.offer, "", event.offer))
