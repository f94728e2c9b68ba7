"""A small world played against a router: drawn integers become commands, and the commands become a journal.

Run as a script it prints a hash of the events and the state after a fixed play; ``test_laws`` runs it in other
processes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

import attrs

from omniroute import Agent, Channel, Plan, Queue, Router, Step, Window, commands, events, records
from omniroute.core.codes import AgentKey
from omniroute.core.limits import NEVER
from omniroute.strategies.priority import Priority
from omniroute.strategies.protocol import ClassView, GroupView, Observed, Place, Revision, Tables
from omniroute.strategies.schedule import Schedule
from omniroute.strategies.skills import SkillsFirst
from omniroute.testing.moves import Move, instant
from omniroute.testing.moves import live_offers as offers_of

IDS = tuple(f"c{n}" for n in range(18))
NEEDS = ("", "", "", "es", "es >= 2 and not trainee", "klingon")

PLAN = Plan(
    channels=[Channel("voice", load=2), Channel("chat")],
    queues=[
        Queue("sales", strategy=Priority(head_start={2: "9s"}), offer_timeout_ms=4_000, wrap_up_ms=3_000, limit=4),
        Queue(
            "care",
            needs="not trainee",
            strategy=SkillsFirst(specialist_first=True, takes="best_fit") | Schedule(longest="6s", edges=["2s"]),
            steps=[Step("5s", needs=""), Step("9s", tier=-1)],
            retry_after_ms=6_000,
            offer_timeout_ms=None,
            wrap_up_ms=None,
            window="2s",
        ),
        Queue(
            "mail",
            offers=2,
            offer_timeout_ms=7_000,
            strategy=Priority(tiers={1: -1}),
            retry_after_ms=0,
            window=Window("400ms", "mail"),
        ),
    ],
    agents=[
        Agent("ana", skills={"es": 3}, units=2),
        Agent("ben", skills={"es": 1, "fr": 1}, queues={"sales": 0, "care": 2}, units=3, at_most={"chat": 1}),
        Agent("cy", labels={"trainee": True}, units=2),
    ],
    retention_ms=20_000,
)
OTHER = Plan(
    channels=PLAN.channels,
    queues=[
        PLAN.queues[0],
        Queue("care", steps=[Step("3s", also="es"), Step("8s", needs="")], wrap_up_ms=1_000),
        PLAN.queues[2],
    ],
    agents=[*PLAN.agents, Agent("dee", skills={"fr": 2}, units=4)],
    retention_ms=10_000,
)


class Whim:
    """A strategy as bad as can be: it never answers twice alike, fails at every fifth question, equals only itself."""

    name, version, agent_key, interval_ms = "whim", 3, AgentKey.FEWEST_HANDLED, 7_000
    edges_ms = (1_000, 5_000)
    handle_permille = 700

    def __init__(self, calls: int = 0) -> None:
        self.calls = calls

    def _drawn(self, count: int, choices: Sequence[int]) -> list[int]:
        self.calls += 1
        if self.calls % 5 == 0:
            raise LookupError(f"not in the mood at call {self.calls}")
        return [choices[(self.calls * 7 + n * (1 + self.calls % 3)) % len(choices)] for n in range(count)]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Anything that is in range."""
        cells = len(classes) * len(groups)
        return Tables(
            opens=self._drawn(cells, (0, 0, 2_000, NEVER)),
            rank_out=self._drawn(cells, (0, 1, 2)),
            cost_in=self._drawn(cells, (-50, 0, 900)) if self.calls % 2 else None,
            age_rate=self._drawn(len(classes), (1, 3)) if self.calls % 3 else None,
        )

    def place(self, priority: int) -> Place:
        """Anywhere near."""
        tier, head_start = self._drawn(2, (priority % 3, -1, 0))
        return Place(tier=tier, head_start_ms=1_000 * abs(head_start))

    def revise(self, observed: Observed, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Revision:
        """Anything again."""
        return Revision(version=observed.version, tables=self.tables(classes, groups))


def whimsical() -> tuple[Plan, Plan]:
    """Both plans with whims in some of their queues; some of these are the same in both."""
    sales, care, mail = (Whim(calls) for calls in range(3))
    return (
        attrs.evolve(PLAN, queues=[with_(q, s) for q, s in zip(PLAN.queues, (sales, care, Whim(4)), strict=True)]),
        attrs.evolve(OTHER, queues=[with_(q, s) for q, s in zip(OTHER.queues, (sales, Whim(3), mail), strict=True)]),
    )


def with_(queue: Queue, strategy: Whim | None) -> Queue:
    """A queue with another strategy, or as it is."""
    return queue if strategy is None else attrs.evolve(queue, strategy=strategy)


TEXTS = PLAN.to_toml(), OTHER.to_toml()
CAUSES = ("declined", "no_answer", "busy", "unreachable")
KINDS = ("prefer", "only", "forbid")
FIRST = ("agent", "customer")
WAITING = ("keep", "cancel", "move")
QUEUES: tuple[str | tuple[str, ...], ...] = ("sales", "care", "mail", ("care", "sales"), "nowhere")
AGENTS = ("ana", "ben", "cy", "dee")


def command(
    router: Router, kind: int, a: int, b: int, plans: tuple[Plan | str, Plan | str] = TEXTS, now: int = 0
) -> commands.Command:
    """What: every command, legal or not as it falls."""
    if kind % 4 == 1:
        return forward(router, kind // 4, a, b)
    if kind % 4:
        return turn(router, kind // 4 * 2 + kind % 2, a, b, now)
    kind //= 4
    agent = AGENTS[a % 4]
    offers = live_offers(router) if a % 7 else [7, *router._ledger.ended][-3:]
    offer = offers[a % len(offers)] if offers else 7
    name, waits, held = (some(router, a, states) for states in ((), ("waiting", "offered"), ("connected", "wrap_up")))
    new = IDS[a % len(IDS)]
    enqueue = commands.Enqueue(new, QUEUES[b % 5], ("voice", "chat")[b % 2], NEEDS[(a + b) % 6], b % 3, ref=a)
    choices: tuple[commands.Command, ...] = (
        enqueue,
        enqueue,
        enqueue,
        commands.SignIn(agent, ready=b % 4 != 0),
        commands.SignIn(agent),
        commands.Accept(offer),
        commands.Accept(offer),
        commands.Decline(offer, CAUSES[b % 4]),  # type: ignore[arg-type]
        commands.Finish(held, (None, 0, 1_500, -1)[b % 4]),
        commands.Release(held),
        commands.Leave(waits),
        commands.Requeue(held),
        commands.Transfer(name, QUEUES[b % 5], (None, "", "es")[a % 3], None, "keep" if b % 2 else "reset"),
        commands.SetPresence(agent, ("ready", "not_ready", "draining")[b % 3], "lunch"),  # type: ignore[arg-type]
        commands.SignOut(agent),
        commands.UpdateAgent(commands.AgentCard(agent, {"es": b % 3}, units=3)),
        commands.SignIn(commands.AgentCard(agent, {"fr": 1 + b % 2}, units=2)),
        commands.ChangePlan(plans[b % 2]),
        commands.Reconcile({"ana": "ready", "ben": "draining"}, (*numbered(router), new)[b % 3 :]),
        commands.Extend(1 + 1_000 * (a % 3)),
        commands.EnqueueMany((enqueue, commands.Enqueue(IDS[b % 12], "mail", "chat"))),
    )
    return choices[kind % len(choices)]


def forward(router: Router, kind: int, a: int, b: int) -> commands.Command:
    """What brings interactions into hands, so that there is something to turn."""
    agent, offers = AGENTS[b % 3], live_offers(router)
    enqueue = commands.Enqueue(IDS[a % len(IDS)], QUEUES[b % 4], ("voice", "chat", "chat")[a % 3], ref=b)
    take = commands.Accept(offers[a % len(offers)]) if offers else enqueue
    presence = router.agent(agent).presence
    come = commands.SignIn(agent) if presence == "signed_out" else commands.SetPresence(agent, "ready")
    return (take, take, take, enqueue, enqueue, come if presence != "ready" else take)[kind % 6]


def turn(router: Router, kind: int, a: int, b: int, now: int) -> commands.Command:
    """One of the turns of an interaction, legal or not as it falls."""
    new, agent, queue, channel = IDS[a % len(IDS)], AGENTS[b % 4], QUEUES[b % 5], ("voice", "chat")[a % 2]
    first = queue if isinstance(queue, str) else queue[0]
    name, waits, held, aside = (
        some(router, a, states) for states in ((), ("waiting", "offered"), ("connected",), ("waiting", "parked"))
    )
    accepting, on_hold, parked = (some(router, a, (state,)) for state in ("accepting", "on_hold", "parked"))
    later = (None, now + 1, now + 2_500, now + 9_000)[b % 4]
    binds = (commands.Bind(agent, KINDS[a % 3], (None, 4_000)[b % 2], a % 5 == 0),)  # type: ignore[arg-type]
    linked = [router._ledger.ids[i] for i, (_, kind) in router._ledger.links.items() if kind == "consultation"]
    in_hand = [child for child in linked if router.interaction(child).agent] or linked
    consultation = in_hand[a % len(in_hand)] if in_hand and a % 9 else name
    choices: tuple[commands.Command, ...] = (
        commands.Connect(accepting),
        commands.Connect(accepting),
        commands.FailSetup((accepting, parked)[a % 2], later if b % 3 == 0 else None),
        commands.Hold(held),
        commands.Resume(on_hold),
        commands.Park(waits, later),
        commands.Activate(parked, b % 2 == 0),
        commands.Update(aside, priority=b % 3),
        commands.Update(aside, (None, queue)[b % 2], (None, channel)[b // 2 % 2], (None, "es")[b // 4 % 2], None, a),
        commands.Assign(aside, agent, b % 2 == 0),
        commands.Occupy(new, agent, first, channel, b % 3 == 0, b),
        commands.Consult(held, new, queue, NEEDS[a % 3], b % 2, a % 2 == 0, binds if a % 4 == 0 else (), "k"),
        commands.TakeOver(consultation),
        commands.TakeOver(consultation),
        commands.Assist(aside, new, first, (None, channel)[b % 2]),
        commands.CallBack(aside, FIRST[a % 2], (None, channel)[b % 4 == 0], b % 2, 1 + b % 3, 4_000),  # type: ignore[arg-type]
        commands.CallBack(aside, FIRST[b % 2], None, b % 3, 1 + a % 3, 2_500),  # type: ignore[arg-type]
        commands.CloseQueue(first, WAITING[a % 3], ("care", "mail", "sales")[b % 3]),  # type: ignore[arg-type]
        commands.OpenQueue(next(iter(router._ledger.closed), first)),
        commands.OpenQueue(next(iter(router._ledger.closed), first)),
        commands.Cancel(waits, "self_served"),
        commands.Leave(waits, 15_000),
        commands.Enqueue(new, queue, channel, NEEDS[(a + b) % 4], b % 3, 0, a, later, None, "key"[: b % 4]),
        commands.Enqueue(new, queue, channel, "", 0, a, a, None, now + 100 * b, "key", binds),
        commands.Enqueue(new, queue, channel, resume_key="key"),
        commands.Requeue(held, later),
        commands.Transfer(name, queue, None, b % 3, "keep", binds, (None, channel)[b % 2]),
        commands.SetPresence(agent, "ready", "back"),
        commands.SetObligation(AGENTS[a % 4], (None, now + 2_500, now + 6_000, now + 9_000, now)[b % 5]),
        commands.SetObligation(AGENTS[b % 4], now + 7_000),
    )
    return choices[kind % len(choices)]


def numbered(router: Router) -> list[str]:
    """Those who live, by number: a router that was restored has met them in another order."""
    return sorted(router._ledger.numbers, key=router._ledger.numbers.__getitem__)


def some(router: Router, a: int, states: tuple[str, ...]) -> str:
    """A live interaction in one of these states where there is one, else any id, mostly."""
    live = [name for name in numbered(router) if not states or router.interaction(name).state in states]
    return live[a % len(live)] if live and a % 9 else IDS[a % len(IDS)]


def live_offers(router: Router) -> list[int]:
    """The offers that agents are looking at."""
    return offers_of(router, AGENTS[:3])


def play(router: Router, moves: list[Move]) -> tuple[list[tuple[int, commands.Command]], list[list[events.Event]]]:
    """Play moves; the journal, and what happened at each command."""
    written, told = recorded(router, moves)
    return [(record.now, record.command) for record in written], told


def recorded(
    router: Router, moves: list[Move], plans: tuple[Plan | str, Plan | str] = TEXTS
) -> tuple[list[records.Record], list[list[events.Event]]]:
    """Play moves; the records with what strategies answered, and what happened at each command."""
    written, told = [], []
    for kind, a, b, gap in moves:
        now = instant(router, gap)
        what = command(router, kind, a, b, plans, now)
        told.append(router.apply(now, what))
        written.append(records.Record(now, what, router.answers))
    return written, told


def opened(plan: Plan = PLAN) -> Router:
    """A router at 100,000 ms whose agents have come: care has set-ups, a call interrupts chats, causes bring rest."""
    router = Router(plan)
    core = router._core
    core.set_queue(1, 1, -1, -1, 6_000, -1, 5_000)
    for group in range(3):
        core.set_mix(group, 0, 3, 2)
    for cause, after, rest in ((0, 2, 2_000), (2, 0, 1_500), (3, 2, 0)):
        core.set_rona(0, cause, after, rest)
    router.sign_in_many(100_000, AGENTS[:3])
    return router


def fixed_moves(count: int) -> list[Move]:
    """Moves by a linear congruence: the same in every process."""
    found, x = [], 12_345
    for _ in range(count):
        row = []
        for _ in range(4):
            x = (x * 1_103_515_245 + 12_345) % 2**31
            row.append(x >> 16)
        found.append((row[0], row[1], row[2], row[3]))
    return found


def main() -> None:
    """Print what a fixed play gives: events, records and state."""
    router = opened()
    written, told = recorded(router, fixed_moves(int(sys.argv[1])))
    happened = hashlib.sha256(b"".join([*map(events.encode, told), *map(records.encode, written)])).hexdigest()
    print(happened, router.digest(), sum(map(len, told)))


if __name__ == "__main__":
    main()
