"""Small plans on which a strategy is tried where its author gives none."""

from __future__ import annotations

from typing import Any

import attrs

from omniroute.model import Agent
from omniroute.plan import Channel, Plan, Queue, Step, Target
from omniroute.strategies.priority import Priority
from omniroute.strategies.protocol import Strategy
from omniroute.testing.values import build, written

__all__ = ["another", "default_plans", "with_strategy"]


def default_plans() -> tuple[Plan, ...]:
    """A centre of two channels with steps, limits and value bands, and one whose agents are members of queues.

    >>> [len(plan.queues) for plan in default_plans()]
    [3, 2]
    """
    skilled = Plan(
        channels=[Channel("voice", load=2), Channel("chat")],
        queues=[
            Queue("sales", offer_timeout_ms=4_000, wrap_up_ms=3_000, limit=6, target=Target("20s", 0.8)),
            Queue(
                "care",
                needs="not trainee",
                steps=[Step("5s", also="spanish"), Step("9s", needs="", tier=-1)],
                offer_timeout_ms=None,
                wrap_up_ms=None,
                retry_after_ms=6_000,
            ),
            Queue("mail", offers=2, offer_timeout_ms=7_000, retry_after_ms=0, steps=[Step("6s", queue="care")]),
        ],
        agents=[
            Agent("ana", skills={"spanish": 3, "billing": 1}, labels={"region": "north"}, units=2),
            Agent("ben", skills={"spanish": 1}, queues={"sales": 0, "care": 2}, units=3, at_most={"chat": 1}),
            Agent("cy", labels={"trainee": True, "region": "south"}, units=2),
            Agent("dee", skills={"billing": 4}, delays={"sales": "3s"}, units=4),
        ],
        value_bands=(100, 5_000),
        retention_ms=20_000,
    )
    members = Plan(
        queues=[
            Queue("near", offer_timeout_ms=5_000, steps=[Step("8s", needs="")]),
            Queue("far", auto_accept=True, wrap_up_ms=1_000),
        ],
        agents=[
            Agent("eva", skills={"french": 5}, queues={"near": 1, "far": 3}),
            Agent("flo", skills={"french": 2, "sales": 1}, queues={"near": 0}),
            Agent("gus", queues={"far": 1, "near": 2}, order=-3),
        ],
        retention_ms=20_000,
    )
    return skilled, members


def with_strategy(plan: Plan, strategy: Strategy) -> Plan:
    """A plan in which the strategy stands wherever none stands; in all queues if that is nowhere. O(queues)."""
    bare = [queue for queue in plan.queues if queue.strategy is None]
    there = bare or plan.queues
    return attrs.evolve(plan, queues=[attrs.evolve(q, strategy=strategy) if q in there else q for q in plan.queues])


def another(plan: Plan, strategy: Strategy) -> Plan:
    """What a plan is changed to: another strategy in the last queue, one from the same parameters elsewhere.

    The last agent has learnt something. O(size of the plan).
    """
    code: list[object] = []
    queues = [attrs.evolve(q, strategy=_same(q.strategy, strategy, code)) for q in plan.queues[:-1]]
    last = attrs.evolve(plan.queues[-1], strategy=Priority(head_start={2: "9s"}))
    agents = list(plan.agents)
    if agents:
        agents[-1] = (
            attrs.evolve(agents[-1], skills={**agents[-1].skills, "learnt": 1}) if not plan.skills else agents[-1]
        )
    return attrs.evolve(plan, queues=[*queues, last], agents=agents, retention_ms=10_000)


def _same(found: Any, strategy: Any, code: list[object]) -> Any:
    try:
        return build(written(found, code), code) if found is strategy else found
    except (ValueError, TypeError):
        return found
