"""What tests of plans share: routers opened, events by kind, offers, and copies that are the same."""

from __future__ import annotations

from omniroute import Plan, Router, events


def kinds(told: list[events.Event]) -> list[str]:
    """The kinds of events."""
    return [type(event).__name__ for event in told]


def refusal(told: list[events.Event]) -> tuple[str, str]:
    """Reason and detail of the one refusal that was told."""
    (event,) = told
    assert isinstance(event, events.Rejected)
    return event.reason, event.detail


def offers(router: Router, agent: str) -> list[str]:
    """The interactions that an agent is offered, oldest first."""
    j = router._naming.agents[agent]
    return [router._ledger.ids[i] for _, (i, to, _) in sorted(router._ledger.offers.items()) if to == j]


def take(router: Router, now: int, interaction: str) -> list[events.Event]:
    """Accept the one offer of an interaction."""
    (offer,) = router.interaction(interaction).offers
    return router.accept(now, offer)


def places(router: Router, interaction: str) -> list[str]:
    """The queues in which an interaction waits now, by its entries."""
    i = router._ledger.numbers[interaction]
    return [router._naming.class_names[k].view.queue for k in router._core.interaction(i)[6::3]]


def opened(plan: Plan) -> Router:
    """A router whose agents have signed in at 0."""
    router = Router(plan)
    router.sign_in_many(0, [agent.id for agent in plan.agents])
    return router


def same(router: Router) -> None:
    """A restored and a forked router are in the state of the first, with the same names, and prove their invariants."""
    naming = router._naming
    for other in (Router.restore(router.snapshot()), Router.restore(router.snapshot(), router.plan), router.fork()):
        assert other.digest() == router.digest()
        for name in ("mixes", "values", "kinds", "numbers", "pools", "channels"):
            assert getattr(other._naming.capacity, name) == getattr(naming.capacity, name), name
        for name in ("names", "estimated", "every", "gauges", "conditions"):
            assert getattr(other._naming.gauges, name) == getattr(naming.gauges, name), name
        assert other._naming.class_names == naming.class_names
        assert other._naming.group_values == naming.group_values
        other.check()
