"""Agents' days, as far as services show them: occupancy, pauses between services, services at the same time.

Logs of services do not say when an agent was signed in. From the first start to the last end of a day the agent was
there; so busy time over that window is the most that the occupancy can have been.
"""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from omniroute.insight.columns import NONE, Flags, Integers, InteractionColumns

DAY_MS: Final = 86_400_000


@attrs.frozen(kw_only=True, slots=True)
class Occupancy:
    """One agent's busy time and the time the agent was certainly there, in milliseconds, over ``days`` days.

    Services at the same time count once. ``at_most`` = busy / there: the true occupancy is lower or equal.
    """

    days: int
    busy_ms: int
    there_ms: int

    @property
    def at_most(self) -> float | None:
        """Upper bound of the occupancy, in [0, 1]; None when all services had zero length."""
        return self.busy_ms / self.there_ms if self.there_ms else None


@attrs.frozen(kw_only=True, slots=True, eq=False)
class _Services:
    """Services with both clocks of named agents, ordered by (agent, day of the start, start, end)."""

    agent: Integers
    day: Integers
    start_ms: Integers
    end_ms: Integers
    first: Flags
    """Whether a service is its agent's first of the day."""


def _services(interactions: InteractionColumns) -> _Services:
    whole = interactions.served & (interactions.agent != NONE)
    whole &= (interactions.started_ms != NONE) & (interactions.ended_ms >= interactions.started_ms)
    agent = interactions.agent[whole].astype(np.int64)
    start, end = interactions.started_ms[whole], interactions.ended_ms[whole]
    day = start // DAY_MS
    order = np.lexsort((end, start, day, agent))
    agent, day, start, end = agent[order], day[order], start[order], end[order]
    first = np.ones(len(agent), dtype=np.bool_)
    first[1:] = (agent[1:] != agent[:-1]) | (day[1:] != day[:-1])
    return _Services(agent=agent, day=day, start_ms=start, end_ms=end, first=first)


def occupancy_by_agent(interactions: InteractionColumns) -> dict[str, Occupancy]:
    """Return for each agent with a service on both clocks what can be said about the occupancy. O(n log n)."""
    services = _services(interactions)
    n = len(services.agent)
    if n == 0:
        return {}
    # Shifting each agent-day behind all earlier ones makes one running maximum serve all of them.
    stretch = int(services.end_ms.max() - services.start_ms.min()) + 1
    shift = (np.cumsum(services.first) - 1) * stretch
    start, end = services.start_ms + shift, services.end_ms + shift
    reached = np.maximum.accumulate(end)
    before = np.concatenate((start[:1], reached[:-1]))
    busy = np.maximum(end - np.where(services.first, start, np.maximum(start, before)), 0)
    begins = np.flatnonzero(services.first)
    there = reached[np.append(begins[1:], n) - 1] - start[begins]
    agents = len(interactions.agent_names)
    days = np.bincount(services.agent[begins], minlength=agents)
    busy_ms = _sums(services.agent, busy, agents)
    there_ms = _sums(services.agent[begins], there, agents)
    return {
        interactions.agent_names[agent]: Occupancy(
            days=int(days[agent]), busy_ms=int(busy_ms[agent]), there_ms=int(there_ms[agent])
        )
        for agent in np.flatnonzero(days).tolist()
    }


def _sums(owner: Integers, amounts: Integers, owners: int) -> Integers:
    """Add up amounts by owner in integers; ``bincount`` with weights would go through floats."""
    totals = np.zeros(owners, dtype=np.int64)
    np.add.at(totals, owner, amounts)
    return totals


def gaps_between_services_ms(interactions: InteractionColumns) -> Integers:
    """Return, for each service but the first of an agent's day, its start minus the end of the one before, in ms.

    Shape (m,), in order of (agent, day, start); below zero where two services overlap. O(n log n).
    """
    services = _services(interactions)
    gaps: Integers = services.start_ms[1:] - services.end_ms[:-1]
    return gaps[~services.first[1:]]


def peak_services_by_day(interactions: InteractionColumns) -> dict[int, int]:
    """Return the most services at one time for each day (days since 1970) on which a service started. O(n log n).

    A service that ends when another starts is over by then; one that began the day before is counted.
    """
    clocked = interactions.served & (interactions.started_ms != NONE) & (interactions.ended_ms != NONE)
    starts, ends = interactions.started_ms[clocked], interactions.ended_ms[clocked]
    times = np.concatenate((ends, starts))
    steps = np.repeat(np.array((-1, 1), dtype=np.int64), len(starts))
    order = np.lexsort((steps, times))
    running = np.cumsum(steps[order])
    days = times[order] // DAY_MS
    starting = steps[order] > 0
    present, place = np.unique(days[starting], return_inverse=True)
    peaks = np.zeros(len(present), dtype=np.int64)
    np.maximum.at(peaks, place, running[starting])
    return dict(zip(present.tolist(), peaks.tolist(), strict=True))
