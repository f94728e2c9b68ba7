"""Random plays: integers become commands of a host, and the commands become a journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs
from attrs import field, frozen

from omniroute import commands as c
from omniroute import events as e
from omniroute.model import Agent
from omniroute.plan import Plan
from omniroute.records import Record
from omniroute.router import Router
from omniroute.strategies.protocol import Observed
from omniroute.testing.dice import Dice
from omniroute.testing.questions import invented, needs_of

__all__ = ["Move", "Play", "Scene", "drawn_moves", "instant", "live_offers", "start"]

Move: TypeAlias = tuple[int, int, int, int]
"""What to do, two choices, and how far time goes: see :func:`instant`."""

START_MS: Final = 100_000
IDS: Final = tuple(f"c{n}" for n in range(14))
CAUSES: Final = ("declined", "no_answer", "busy", "unreachable")


@frozen(kw_only=True)
class Scene:
    """Where a play takes place: a plan, what it may be changed to, what may be asked, and who may come."""

    plan: Plan
    other: Plan
    needs: tuple[str, ...]
    newcomers: tuple[Agent, ...]

    @classmethod
    def of(cls, plan: Plan, other: Plan, needs: Sequence[str] = ()) -> Scene:
        """The scene of a plan. O(size of the plan)."""
        return cls(plan=plan, other=other, needs=needs_of(plan, needs), newcomers=tuple(invented(plan)[:6]))

    @property
    def agents(self) -> tuple[str, ...]:
        """Everybody who may be there. O(agents)."""
        return tuple(agent.id for agent in (*self.plan.agents, *self.newcomers))


@frozen
class Play:
    """What was done and what happened: records with the answers of strategies, and events command by command."""

    start: tuple[Any, ...]
    """The answers to what was asked when the plan was read."""
    written: list[Record] = field(factory=list)
    told: list[list[e.Event]] = field(factory=list)

    def kinds(self) -> Counter[str]:
        """How often each kind of event happened. O(events)."""
        return Counter(type(event).__name__ for told in self.told for event in told)


def drawn_moves(seed: int, count: int) -> list[Move]:
    """Moves from a seed. O(count)."""
    dice = Dice(seed)
    return [(dice.below(840), dice.below(840), dice.below(840), dice.below(11)) for _ in range(count)]


def start(router: Router, plan: Plan) -> list[e.Event]:
    """The agents of a plan come. O(agents)."""
    return router.apply(START_MS, c.SignInMany(tuple(c.SignIn(agent.id) for agent in plan.agents)))


def instant(router: Router, gap: int) -> int:
    """When: now, soon, later, or within a millisecond of the next deadline, where most bugs are. O(1)."""
    due = router.next_deadline()
    around = router.now if due is None else due
    now = router.now
    when = (now, now, now, now + 1, now + 1, now + 400, now + 2_500, now + 10_000, around - 1, around, around + 1)
    return max(now, when[gap % 11])


def live_offers(router: Router, agents: Sequence[str]) -> list[int]:
    """The offers that agents are looking at. O(agents)."""
    known = router.staff()
    return [offer for agent in agents if agent in known for offer in router.agent(agent).offers]


def command(router: Router, scene: Scene, move: Move, due: e.RevisionDue | None) -> c.Command:
    """What a move means in the state of a router: mostly what makes sense, now and then what does not. O(live)."""
    kind, a, b, _ = move
    if due is not None and kind % 5 == 0:
        revised = _revise(router, due)
        if revised is not None:
            return revised
    if kind % 7 < 4:
        return _forward(router, scene, kind // 7, a, b)
    agent, queue = scene.agents[a % len(scene.agents)], _queue(scene, b)
    newcomer = c.AgentCard.of(scene.newcomers[a % len(scene.newcomers)])
    offers = live_offers(router, scene.agents) or [7]
    offer, needs = offers[a % len(offers)], scene.needs[b % len(scene.needs)]
    waits, held = _some(router, a, ("waiting", "offered")), _some(router, a, ("connected", "wrap_up"))
    choices: tuple[c.Command, ...] = (
        c.SignIn(newcomer),
        c.UpdateAgent(newcomer),
        c.SignIn(agent, b % 4 != 0),
        c.SignOut(agent),
        c.SetPresence(agent, ("ready", "not_ready", "draining")[b % 3]),
        c.Decline(offer, CAUSES[b % 4]),
        c.Leave(waits),
        c.Requeue(held),
        c.Release(held),
        c.Transfer(_some(router, a, ()), queue, (None, needs)[a % 2], (None, b % 4)[b % 2], ("keep", "reset")[a % 2]),
        c.Update(waits, None, None, (None, needs)[a % 2], b % 4, 1_000 * (a % 3)),
        c.ChangePlan((scene.other, scene.plan)[b % 2]),
    )
    return choices[kind // 7 % len(choices)]


def _forward(router: Router, scene: Scene, kind: int, a: int, b: int) -> c.Command:
    """What brings interactions to agents."""
    offers = live_offers(router, scene.agents)
    held = [name for name in router._ledger.numbers if router.interaction(name).state == "connected"]
    if kind % 5 < 2 and offers:
        return c.Accept(offers[a % len(offers)])
    if kind % 5 == 2 and held:
        return c.Finish(held[a % len(held)], (None, 0, 1_500)[b % 3])
    edges = (0, *scene.plan.value_bands)
    channels, needs = scene.plan.channels, scene.needs[a // 3 % len(scene.needs)]
    place = c.Enqueue(IDS[a % len(IDS)], _queue(scene, b), channels[b // 5 % len(channels)].name, needs, b % 4)
    value = edges[a % len(edges)]
    return c.Enqueue(
        place.interaction, place.queue, place.channel, needs, place.priority, value=value, held_out=b % 7 == 0
    )


def _queue(scene: Scene, b: int) -> str | tuple[str, ...]:
    """A queue, or now and then two."""
    names = [queue.name for queue in scene.plan.queues]
    name = names[b % len(names)]
    return tuple(dict.fromkeys((name, names[0]))) if b % 9 == 0 else name


def _some(router: Router, a: int, states: tuple[str, ...]) -> str:
    live = [name for name in router._ledger.numbers if not states or router.interaction(name).state in states]
    return live[a % len(live)] if live and a % 9 else IDS[a % len(IDS)]


def _revise(router: Router, due: e.RevisionDue) -> c.Command | None:
    """What the strategy of a queue answers to what was counted; None where it does not answer by itself."""
    strategy: Any = router.plan.queues[[queue.name for queue in router.plan.queues].index(due.queue)].strategy
    if not hasattr(strategy, "revise"):
        return None
    classes, groups = router.revision_views(due.queue)
    observed = Observed(**{name: getattr(due, name) for name in attrs.fields_dict(Observed)})
    revision = strategy.revise(observed, classes, groups)
    return c.Revise.of(due.queue, revision.version, len(classes), len(groups), revision.tables)
