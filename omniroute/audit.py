"""What a router proves and counts of itself, beside what its core does."""

from __future__ import annotations

from collections import Counter

from omniroute.core.lifecycle import InteractionState
from omniroute.events import PRESENCES
from omniroute.ledger import Ledger
from omniroute.views import Audit

__all__ = ["counted", "misnamed"]


def misnamed(ledger: Ledger) -> list[str]:
    """What is broken between names and numbers, by name; nothing where all holds. O(state).

    What the ledger calls live is live in the core, and nothing else is; the same for offers.
    """
    naming, core = ledger.naming, ledger.core
    broken = []
    for i, name in enumerate(ledger.ids):
        state = core.interaction(i)[0]
        if (state != InteractionState.GONE) != bool(name):
            broken.append(f"names: interaction {i} is called {name!r}, its state is {state}")
        if name and (ledger.numbers.get(name) != i or name in ledger.recent):
            broken.append(f"names: {name!r} is number {i} and {ledger.numbers.get(name)}")
    if len(ledger.numbers) != sum(map(bool, ledger.ids)):
        broken.append(f"names: {len(ledger.numbers)} names for {sum(map(bool, ledger.ids))} interactions")
    offered = Counter(i for i, _, _ in ledger.offers.values())
    for i, name in enumerate(ledger.ids):
        if name and (core.interaction(i)[0] == InteractionState.OFFERED) != (offered[i] > 0):
            broken.append(f"names: {name!r} has {offered[i]} offers, its state is {core.interaction(i)[0]}")
    for j, agent in enumerate(naming.agent_values):
        if naming.groups[agent.key()] != core.obligation(j)[0]:
            broken.append(f"names: agent {agent.id!r} belongs to group {core.obligation(j)[0]}")
    if [name for _, name in ledger.gone] != list(ledger.recent):
        broken.append("names: who went lately is told in two ways")
    return broken


def counted(ledger: Ledger) -> Audit:
    """Count everything that lives, and name what holds capacity without a deadline. O(state)."""
    core, naming = ledger.core, ledger.naming
    live = [(name, core.interaction(i)) for i, name in enumerate(ledger.ids) if name]
    agents = [core.agent(j) for j in range(len(naming.agent_ids))]
    states = Counter(InteractionState(numbers[0]).name.lower() for _, numbers in live)
    leaks = [f"{name}: wrap-up until released" for name, n in live if n[0] == InteractionState.WRAP_UP and n[5] < 0]
    leaks += [f"{ledger.ids[i]}: offer {o} never expires" for o, (i, _, due) in ledger.offers.items() if due < 0]
    return Audit(
        interactions=dict(states),
        agents=dict(Counter(PRESENCES[numbers[0]] for numbers in agents)),
        live_offers=len(ledger.offers),
        units_in_use=sum(numbers[2] for numbers in agents),
        finished=ledger.finished,
        remembered=len(ledger.recent),
        ended_offers=len(ledger.ended),
        classes=len(naming.class_names),
        groups=len(naming.group_views),
        events=ledger.seq,
        leaks=tuple(leaks),
    )
