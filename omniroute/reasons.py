"""An interaction in the words of a plan: where it stands, why an agent does not get it, and what it would earn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from omniroute.core.codes import Clause
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.limits import NEVER
from omniroute.errors import UnknownNameError
from omniroute.model import shown
from omniroute.naming import TIER_BASE
from omniroute.views import InteractionView, OfferView, Price, Why

if TYPE_CHECKING:
    from omniroute.door import Door
    from omniroute.strategies.revenue import Revenue

__all__ = ["offered", "prices", "seen", "why"]


def why(door: Door, i: int, j: int) -> tuple[Why, ...]:
    """Answer :meth:`omniroute.Router.why` of an interaction and an agent by number."""
    naming, core = door.naming, door.core
    clauses = core.why_not(i, j)
    found = []
    for clause, k in zip(clauses, core.interaction(i)[6::3] if clauses else (), strict=True):
        view, who = naming.class_names[k].view, naming.group_views[core.agent(j)[1]]
        detail = None
        if clause == Clause.NOT_ALLOWED:
            detail = view.requirement.why_not(who.skills, who.labels)
            if detail is None and not who.member_of(view.queue):
                detail = f"is not a member of {view.queue}"
            elif detail is None and who.time_left_ms is not None:
                detail = "has too little time left"
        if clause == Clause.IN_WINDOW:
            window = naming.queue_values[naming.class_names[k].queue].window
            assert window is not None
            detail = f"until {core.window(naming.windows[window.name])[1]} at the latest"
        name = Clause(clause).name.lower() if clause else None
        found.append(Why(queue=view.queue, clause=name, detail=detail))
    return tuple(found)


def prices(door: Door, i: int, j: int, weights: Mapping[str, float]) -> tuple[Price, ...]:
    """Answer :meth:`omniroute.Router.price` of an interaction and an agent by number."""
    from omniroute.strategies.composed import Composed  # a router that does not route for value does not pay for it
    from omniroute.strategies.revenue import Revenue

    naming, numbers = door.naming, door.core.interaction(i)
    found = []
    for k, since in zip(numbers[6::3], numbers[8::3], strict=True):
        name = naming.class_names[k]
        strategy: object = naming.queue_values[name.queue].strategy
        strategy = strategy.part(Revenue) if isinstance(strategy, Composed) else strategy
        if isinstance(strategy, Revenue) and name.view.queue in naming.queues:
            found.append(_price(door, strategy, weights, k, j, door.now - since))
    return tuple(found)


def _price(door: Door, strategy: Revenue, weights: Mapping[str, float], k: int, j: int, age_ms: int) -> Price:
    """The price of a pair in one class. O(agents), and O(metrics) for each group with a ready agent."""
    naming, core = door.naming, door.core
    view, first = naming.class_names[k].view, dict[int, int]()
    for agent in range(len(naming.agent_ids)):
        presence, group = core.agent(agent)[:2]
        if presence == Presence.READY:
            first.setdefault(group, agent)
    able = [
        (core.pair(k, group)[2], -strategy.total(view, naming.group_views[group], weights), group)
        for group in first
        if core.pair(k, group)[0] != NEVER
    ]
    best_cost, less, best = min(able, default=(0, 0, -1))
    mine = core.agent(j)[1]
    opens, _, cost, *_ = core.pair(k, mine)
    return Price(
        queue=view.queue,
        worth=strategy.worth(view, naming.group_views[mine]),
        value=strategy.total(view, naming.group_views[mine], weights),
        opens_ms=None if opens == NEVER else opens,
        age_ms=age_ms,
        cost_ms=cost,
        best_agent=naming.agent_ids[first[best]] if able else None,
        best_segment=strategy.segment(naming.group_views[best]) if able else None,
        best_value=-less if able else None,
        best_cost_ms=best_cost if able else None,
    )


def offered(door: Door, offer: int) -> OfferView:
    """Answer :meth:`omniroute.Router.offer` of a number."""
    found = door.ledger.offers.get(offer) if type(offer) is int else None
    if found is None:
        raise UnknownNameError(f"no live offer {shown(offer)}", "offer")
    i, j, due = found
    return OfferView(
        offer=offer,
        interaction=door.ledger.ids[i],
        agent=door.naming.agent_ids[j],
        due=due if due >= 0 else None,
        ref=door.ledger.refs[i],
    )


def seen(door: Door, name: str, i: int) -> InteractionView:
    """Answer :meth:`omniroute.Router.interaction` of an interaction by name and number."""
    numbers = door.core.interaction(i)
    state, agent, _, wait_from, connected_at, due, _, tier, since, *_ = numbers
    ask = door.ledger.asks[i]
    assert ask is not None
    return InteractionView(
        id=name,
        state=InteractionState(state).name.lower(),
        queues=door.ledger.standing(numbers),
        channel=ask.channel,
        needs=ask.needs,
        priority=ask.priority,
        value=ask.lane >> 1,
        held_out=bool(ask.lane & 1),
        agent=door.naming.agent_ids[agent] if agent >= 0 else None,
        wait_from=wait_from,
        since=since,
        tier=tier - TIER_BASE,
        connected_at=connected_at if connected_at >= 0 else None,
        due=due if due >= 0 else None,
        offers=tuple(sorted(offer for offer, (owner, _, _) in door.ledger.offers.items() if owner == i)),
        ref=door.ledger.refs[i],
    )
