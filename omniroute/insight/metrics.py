"""Metrics with their formulas, over columns: the same function judges a logged month and a simulated one.

A *rate* is None where its denominator is zero. Three populations occur in the formulas:

- *offered*: came to a queue and left it in a way that the log tells (see ``InteractionColumns.offered``);
- *queued*: offered and really waited, that is with an entry into the queue;
- *all*: offered, plus those who left before the queue, in the voice menu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import attrs
import numpy as np

from omniroute.formats.records import Outcome
from omniroute.insight.columns import NONE, Flags, Integers, InteractionColumns
from omniroute.insight.occupancy import Occupancy, occupancy_by_agent

THRESHOLDS_MS: Final = (20_000, 30_000, 60_000, 120_000)
HOUR_MS: Final = 3_600_000
LONGEST_PLAUSIBLE_HANDLE_MS: Final = HOUR_MS


@attrs.frozen(kw_only=True, slots=True)
class Spread:
    """How n durations spread, in milliseconds; None where n is too small to say.

    ``sd_ms`` is the sample standard deviation (n - 1 below); ``p90_ms`` interpolates linearly between the two nearest.
    """

    n: int
    mean_ms: float | None
    sd_ms: float | None
    median_ms: float | None
    p90_ms: float | None
    max_ms: float | None


def spread(durations_ms: Integers) -> Spread:
    """Summarise durations, shape (n,), milliseconds. O(n).

    >>> spread(np.array([1000, 2000, 6000])).median_ms
    2000.0
    """
    n = len(durations_ms)
    if n == 0:
        return Spread(n=0, mean_ms=None, sd_ms=None, median_ms=None, p90_ms=None, max_ms=None)
    median, p90 = np.percentile(durations_ms, (50, 90))
    return Spread(
        n=n,
        mean_ms=float(durations_ms.mean()),
        sd_ms=float(durations_ms.std(ddof=1)) if n > 1 else None,
        median_ms=float(median),
        p90_ms=float(p90),
        max_ms=float(durations_ms.max()),
    )


def rate(part: int, whole: int) -> float | None:
    """Return part / whole, None where the whole is zero.

    >>> rate(1, 4), rate(0, 0)
    (0.25, None)
    """
    return part / whole if whole else None


def _count(chosen: Flags) -> int:
    return int(np.count_nonzero(chosen))


# -- service levels: s = served within T, S = served, Lg = abandoned within T


def served_within_of_offered(interactions: InteractionColumns, within_ms: int) -> float | None:
    """SL1 = s / offered: of all who came, who was served in time. An abandoned interaction counts against it."""
    return rate(_count(_served_within(interactions, within_ms)), _count(interactions.offered))


def served_within_of_served(interactions: InteractionColumns, within_ms: int) -> float | None:
    """SL2 = s / S: of those served, who was served in time. Blind to abandonment."""
    return rate(_count(_served_within(interactions, within_ms)), _count(interactions.served))


def served_within_without_short_abandons(interactions: InteractionColumns, within_ms: int) -> float | None:
    """SL3 = s / (offered - Lg): those who abandoned within T are left out altogether."""
    counted = _count(interactions.offered) - _count(_abandoned_within(interactions, within_ms))
    return rate(_count(_served_within(interactions, within_ms)), counted)


def served_or_abandoned_within_of_offered(interactions: InteractionColumns, within_ms: int) -> float | None:
    """SL4 = (s + Lg) / offered: those who abandoned within T count as if served in time."""
    good = _count(_served_within(interactions, within_ms)) + _count(_abandoned_within(interactions, within_ms))
    return rate(good, _count(interactions.offered))


def removed_within_of_queued(interactions: InteractionColumns, within_ms: int) -> float | None:
    """Of those who really waited, who left the queue within T, in whatever way. Blind to who was served at once."""
    waiting = interactions.offered & interactions.queued
    return rate(_count(waiting & (interactions.wait_ms <= within_ms)), _count(waiting))


ServiceLevel: TypeAlias = Callable[[InteractionColumns, int], float | None]

SERVICE_LEVELS: Final[Mapping[str, ServiceLevel]] = {
    "served_within_of_offered": served_within_of_offered,
    "served_within_of_served": served_within_of_served,
    "served_within_without_short_abandons": served_within_without_short_abandons,
    "served_or_abandoned_within_of_offered": served_or_abandoned_within_of_offered,
    "removed_within_of_queued": removed_within_of_queued,
}
"""Every service level by name. A threshold belongs to the wait: exactly T is still within."""


def _served_within(interactions: InteractionColumns, within_ms: int) -> Flags:
    return interactions.served & (interactions.wait_ms <= within_ms)


def _abandoned_within(interactions: InteractionColumns, within_ms: int) -> Flags:
    return interactions.abandoned & (interactions.wait_ms <= within_ms)


# -- abandonment


def abandonment_of_all(interactions: InteractionColumns) -> float | None:
    """(Abandoned + left before the queue) / (offered + left before the queue)."""
    before = _count(interactions.outcome_is(Outcome.LEFT_BEFORE_QUEUE))
    return rate(_count(interactions.abandoned) + before, _count(interactions.offered) + before)


def abandonment_of_offered(interactions: InteractionColumns) -> float | None:
    """Abandoned / offered."""
    return rate(_count(interactions.abandoned), _count(interactions.offered))


def abandonment_of_queued(interactions: InteractionColumns) -> float | None:
    """Abandoned / queued: only those who really waited."""
    waiting = interactions.offered & interactions.queued
    return rate(_count(interactions.abandoned & waiting), _count(waiting))


# -- waits, handle times, arrivals


def waits_of_queued(interactions: InteractionColumns) -> Spread:
    """Spread of the waits of all who really waited, whether served or not."""
    return spread(interactions.wait_ms[interactions.offered & interactions.queued])


def waits_of_queued_served(interactions: InteractionColumns) -> Spread:
    """Spread of the waits of those who really waited and were served."""
    return spread(interactions.wait_ms[interactions.served & interactions.queued])


def waits_of_abandoned(interactions: InteractionColumns) -> Spread:
    """Spread of the waits of those who abandoned."""
    return spread(interactions.wait_ms[interactions.abandoned & interactions.queued])


def asa_ms(interactions: InteractionColumns) -> float | None:
    """Return the mean wait of the answered, zero waits included, in milliseconds."""
    waits = interactions.wait_ms[interactions.served]
    return float(waits.mean()) if len(waits) else None


def _every_handle(handles_ms: Integers) -> Flags:
    return np.not_equal(handles_ms, NONE)


def _plausible_handle(handles_ms: Integers) -> Flags:
    return (handles_ms > 0) & (handles_ms <= LONGEST_PLAUSIBLE_HANDLE_MS)


HANDLE_FILTERS: Final[Mapping[str, Callable[[Integers], Flags]]] = {
    "all": _every_handle,
    "plausible": _plausible_handle,
}
"""Which handle times count: ``all`` that are logged, or the ``plausible`` ones, over zero and up to one hour."""


def handle_times(interactions: InteractionColumns, keep: str = "plausible") -> Spread:
    """Spread of the handle times of the served (its mean is the AHT); ``keep`` names one of HANDLE_FILTERS."""
    return spread(handle_times_ms(interactions, keep))


def handle_times_ms(interactions: InteractionColumns, keep: str = "plausible") -> Integers:
    """Return the handle times of the served that ``keep`` lets pass, shape (m,), milliseconds."""
    return interactions.handle_ms[interactions.served & HANDLE_FILTERS[keep](interactions.handle_ms)]


def arrivals_by_hour(interactions: InteractionColumns) -> tuple[int, ...]:
    """Count arrivals in each hour of the day, 24 numbers; what the log set aside is left out."""
    came = interactions.arrived_ms[~interactions.outcome_is(Outcome.SET_ASIDE)]
    return tuple(np.bincount(came // HOUR_MS % 24, minlength=24).tolist())


def served_by_agent_and_queue(interactions: InteractionColumns) -> dict[str, dict[str, int]]:
    """Count interactions served by each named agent in each queue; pairs that do not occur are left out. O(n)."""
    done = interactions.where(interactions.served & (interactions.agent != NONE))
    queues = len(interactions.queue_names)
    pairs = np.bincount(done.agent.astype(np.int64) * queues + done.queue)
    table: dict[str, dict[str, int]] = {}
    for pair in np.flatnonzero(pairs).tolist():
        agent, queue = divmod(pair, queues)
        table.setdefault(interactions.agent_names[agent], {})[interactions.queue_names[queue]] = int(pairs[pair])
    return table


# -- all together


@attrs.frozen(kw_only=True, slots=True)
class Measures:
    """Everything measured about one set of interactions. ``service_levels`` is by name, then by threshold in ms."""

    logged: int
    by_outcome: dict[str, int]
    offered: int
    queued: int
    served: int
    abandoned: int
    abandonment_of_all: float | None
    abandonment_of_offered: float | None
    abandonment_of_queued: float | None
    asa_ms: float | None
    waits_of_queued: Spread
    waits_of_queued_served: Spread
    waits_of_abandoned: Spread
    handle_times: Spread
    service_levels: dict[str, dict[int, float | None]]


@attrs.frozen(kw_only=True, slots=True)
class AgentMeasures:
    """What one agent did. ``occupancy`` is None where no service of the agent has both its clocks."""

    served: int
    served_by_queue: dict[str, int]
    handle_times: Spread
    occupancy: Occupancy | None


@attrs.frozen(kw_only=True, slots=True)
class Observed:
    """A log measured: in total, by queue, priority and agent, and its arrivals by hour of the day."""

    total: Measures
    by_queue: dict[str, Measures]
    by_priority: dict[int, Measures]
    by_agent: dict[str, AgentMeasures]
    arrivals_by_hour: tuple[int, ...]


def measure(
    interactions: InteractionColumns, thresholds_ms: Iterable[int] = THRESHOLDS_MS, *, handles: str = "plausible"
) -> Measures:
    """Measure one set of interactions; ``handles`` names one of HANDLE_FILTERS. O(n) for each threshold."""
    codes, counts = np.unique(interactions.outcome, return_counts=True)
    offered = interactions.offered
    thresholds = tuple(thresholds_ms)
    return Measures(
        logged=len(interactions),
        by_outcome={Outcome(code).label: n for code, n in zip(codes.tolist(), counts.tolist(), strict=True)},
        offered=_count(offered),
        queued=_count(offered & interactions.queued),
        served=_count(interactions.served),
        abandoned=_count(interactions.abandoned),
        abandonment_of_all=abandonment_of_all(interactions),
        abandonment_of_offered=abandonment_of_offered(interactions),
        abandonment_of_queued=abandonment_of_queued(interactions),
        asa_ms=asa_ms(interactions),
        waits_of_queued=waits_of_queued(interactions),
        waits_of_queued_served=waits_of_queued_served(interactions),
        waits_of_abandoned=waits_of_abandoned(interactions),
        handle_times=handle_times(interactions, handles),
        service_levels={
            name: {within_ms: level(interactions, within_ms) for within_ms in thresholds}
            for name, level in SERVICE_LEVELS.items()
        },
    )


def observe(
    interactions: InteractionColumns, thresholds_ms: Iterable[int] = THRESHOLDS_MS, *, handles: str = "plausible"
) -> Observed:
    """Measure a log in total and in every part. O(n log n).

    >>> from omniroute.formats.records import LoggedInteraction
    >>> from omniroute.insight.columns import columns
    >>> call = LoggedInteraction(
    ...     id="1", queue="sales", channel="voice", arrived_ms=0, queued_ms=0, wait_ms=25_000, outcome=Outcome.SERVED
    ... )
    >>> observed = observe(columns([call]), [20_000, 30_000])
    >>> observed.by_queue["sales"].service_levels["served_within_of_offered"]
    {20000: 0.0, 30000: 1.0}
    """
    thresholds = tuple(thresholds_ms)
    served_by = served_by_agent_and_queue(interactions)
    busy = occupancy_by_agent(interactions)
    by_agent = {}
    for agent, part in interactions.where(interactions.agent != NONE).split(
        interactions.agent[interactions.agent != NONE]
    ):
        name = interactions.agent_names[agent]
        by_agent[name] = AgentMeasures(
            served=_count(part.served),
            served_by_queue=served_by.get(name, {}),
            handle_times=handle_times(part, handles),
            occupancy=busy.get(name),
        )
    return Observed(
        total=measure(interactions, thresholds, handles=handles),
        by_queue={
            interactions.queue_names[queue]: measure(part, thresholds, handles=handles)
            for queue, part in interactions.split(interactions.queue)
        },
        by_priority={
            priority: measure(part, thresholds, handles=handles)
            for priority, part in interactions.split(interactions.priority)
        },
        by_agent=by_agent,
        arrivals_by_hour=arrivals_by_hour(interactions),
    )
