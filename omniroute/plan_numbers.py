"""What the values of a plan are as integers of the core, and what this core cannot do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from omniroute.answers import TIER_BASE
from omniroute.conditions import ESTIMATED
from omniroute.core import limits
from omniroute.core.codes import AgentKey
from omniroute.errors import PlanError
from omniroute.model import Agent, thousandths
from omniroute.plan import Plan, Queue
from omniroute.requirements import Atom, Requirement, conjunction
from omniroute.strategies.protocol import GroupView

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = [
    "ORDER_BASE",
    "agent_key_of",
    "chain_of",
    "check_order",
    "check_plan",
    "control_interval",
    "edges_of",
    "handle_permille",
    "holds",
    "lane_of",
    "queue_numbers",
    "strategy_of",
    "tell_manners",
    "view_of",
    "wants_estimates",
]

ORDER_BASE: Final = 2**30
"""An agent's place in the fixed order may be negative, that of the core may not: this is added."""


def chain_of(queue: Queue, part: Requirement) -> list[tuple[Requirement, bool]]:
    """What an interaction that asks ``part`` needs in all, before and behind each step, and whether it only passes.

    Before the first step that is what its queue needs and what it asks. O(steps * atoms log atoms). Raises
    RequirementError.
    """
    whole = conjunction(queue.requirement, part)
    found = [(whole, False)]
    for step in queue.steps:
        whole = step.applied(whole)
        found.append((whole, step.leads_out))
    return found


def lane_of(bands: Sequence[int], value: int) -> int:
    """The value with which the band of a value begins, 0 below the first, doubled. O(log bands)."""
    at = bisect_right(bands, value)
    return 2 * bands[at - 1] if at else 0


def strategy_of(queue: Queue) -> Any:
    """The strategy of a queue; None in the plan means first come, first served. O(1)."""
    if queue.strategy is not None:
        return queue.strategy
    from omniroute.strategies.fifo import FirstComeFirstServed

    return FirstComeFirstServed()


def agent_key_of(queue: Queue) -> int:
    """What orders equal agents in a queue, as a number. Raises PlanError."""
    key = getattr(strategy_of(queue), "agent_key", AgentKey.LONGEST_IDLE)
    if not isinstance(key, int) or not 0 <= key < len(AgentKey):
        raise PlanError(f"the strategy of {queue.name!r} has no AgentKey as its agent_key", field="strategy")
    return int(key)


def control_interval(queue: Queue) -> int:
    """How often a queue's strategy wants to be asked again, in ms; -1 never. Raises PlanError."""
    interval = getattr(strategy_of(queue), "interval_ms", None)
    if interval is None:
        return -1
    if not isinstance(interval, int) or not 1 <= interval <= limits.TIME_MAX:
        raise PlanError(f"the strategy of {queue.name!r} has an interval_ms below 1", field="strategy")
    return interval


def edges_of(plan: Plan) -> tuple[int, ...]:
    """The times left in ms at which agents change groups, most first. O(queues). Raises PlanError."""
    found: set[int] = set()
    for queue in plan.queues:
        edges = getattr(queue.strategy, "edges_ms", ())
        if not isinstance(edges, tuple) or not all(type(e) is int and 1 <= e <= limits.OPENS_MAX for e in edges):
            message = f"the strategy of {queue.name!r} has edges_ms that are not integers in 1..{limits.OPENS_MAX}"
            raise PlanError(message, field="strategy")
        found.update(edges)
    if len(found) > limits.RUNGS_MAX:
        message = f"the strategies have {len(found)} different edges of time left, at most {limits.RUNGS_MAX}"
        raise PlanError(message, field="strategy")
    return tuple(sorted(found, reverse=True))


def handle_permille(queue: Queue) -> int | None:
    """Of how many of a thousand handle times a queue's strategy wants the longest, None: of none. Raises PlanError."""
    permille = getattr(queue.strategy, "handle_permille", None)
    if permille is not None and not (type(permille) is int and 1 <= permille <= 1_000):
        raise PlanError(f"the strategy of {queue.name!r} has a handle_permille outside 1..1000", field="strategy")
    return permille


def _is_estimated(field: str) -> bool:
    return field.startswith(("delay:", "spare:"))


def wants_estimates(plan: Plan) -> bool:
    """Whether a plan is paced, has a condition on an estimate, or something that wants handle times. O(queues).

    That is a strategy, or a rule of the intake that asks for a delay, or for the time left to closing.
    """
    asked = plan.paced or any(condition.of in ESTIMATED for condition in plan.conditions)
    asked = asked or (plan.intake is not None and any(map(_is_estimated, plan.intake.asks())))
    return asked or any(handle_permille(queue) is not None for queue in plan.queues)


def queue_numbers(queue: Queue) -> tuple[int, int, int, int, int, int, int, int]:
    """Offers, offer timeout, limit, retry, target, set-up timeout, auto, every as the core wants them; -1: none. O(1).

    An exclusion lasts at least a millisecond, so that the one who declined is not asked again in the same instant.
    """
    offers = limits.OFFERS_ALL if isinstance(queue.offers, str) else queue.offers
    target = None if queue.target is None else queue.target.within_ms
    setup, every = (-1 if value is None else value for value in (queue.setup_timeout_ms, queue.offer_every_ms))
    optional = (queue.offer_timeout_ms, queue.limit, queue.retry_after_ms, target)
    timeout, limit, retry, within = (-1 if value is None else value for value in optional)
    retry = max(retry, 1) if queue.retry_after_ms is not None else -1
    return offers, timeout, limit, retry, within, setup, int(queue.auto_accept), every


def tell_manners(core: Core, g: int, agent: Agent, queues: Sequence[str]) -> None:
    """Tell the core what a group's agents do besides what they can: accept, rest, draw lots, share their time out.

    O(shares * queues).
    """
    if agent.auto_accept or agent.burst or agent.occupancy_at_most < 1:
        busiest = thousandths(agent.occupancy_at_most)
        core.set_manners(g, int(agent.auto_accept), agent.burst, agent.burst_per_ms, busiest)
    if agent.weight != 1:
        core.set_weight(g, agent.weight)
    if agent.shares:
        found = sorted((queues.index(queue), thousandths(share)) for queue, share in agent.shares.items())
        core.set_shares(g, [queue for queue, _ in found], [share for _, share in found])


def check_plan(plan: Plan) -> None:
    """Refuse what a plan may say and this core cannot do. O(size of the plan). Raises PlanError naming the field."""
    if len(plan.channels) > limits.CHANNELS_MAX:
        raise PlanError(f"at most {limits.CHANNELS_MAX} channels, got {len(plan.channels)}", field="channels")
    if len(plan.channels) + len(plan.labels) > limits.POOLS_MAX:
        message = f"at most {limits.POOLS_MAX} channels and labels, got {len(plan.channels) + len(plan.labels)}"
        raise PlanError(message, field="labels")
    for q, queue in enumerate(plan.queues):
        agent_key_of(queue)
        control_interval(queue)
        handle_permille(queue)
        for s, step in enumerate(queue.steps):
            if step.tier is not None and not -TIER_BASE < step.tier < TIER_BASE:
                raise PlanError(f"must be in {1 - TIER_BASE}..{TIER_BASE - 1}", field=f"queues[{q}].steps[{s}].tier")
    for a, agent in enumerate(plan.agents):
        check_order(agent, f"agents[{a}].order")
    edges_of(plan)


def check_order(agent: Agent, field: str = "order") -> None:
    """Refuse a place in the fixed order that the core cannot hold. O(1). Raises PlanError."""
    if not -ORDER_BASE < agent.order < ORDER_BASE:
        raise PlanError(f"must be in {1 - ORDER_BASE}..{ORDER_BASE - 1}, got {agent.order}", field=field)


def view_of(agent: Agent, left: int | None = None) -> GroupView:
    """What strategies see of the group of an agent who has so much time left. O(1)."""
    return GroupView(
        skills=agent.skills,
        labels=agent.labels,
        queues=agent.queues,
        units=agent.units,
        delays=agent.delays,
        time_left_ms=left,
    )


def holds(question: Atom | str, group: GroupView) -> bool:
    """Whether a group answers yes, or is a member of the queue that is named. O(1)."""
    if isinstance(question, str):
        return group.member_of(question)
    return question.holds(group.skills, group.labels)
