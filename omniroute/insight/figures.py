"""What a running router is measured by: names, units and labels, once for everybody who shows or exports them.

Names have dots here, as OpenTelemetry writes them below ``omniroute.``; :func:`exposed` makes those of Prometheus. A
label is a queue, a channel, a state, an outcome, or a word of omniroute: never an agent, a customer or an interaction,
so there are as many series as a plan has names, however long a service runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import attrs

from omniroute.board import STATES
from omniroute.errors import OmnirouteError
from omniroute.estimates import ENDLESS
from omniroute.insight.tally import Tally
from omniroute.views import Board, QueueBoard

__all__ = ["CATALOGUE", "Figure", "Reading", "Series", "exposed", "gauges", "of_kind", "readings"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


@attrs.frozen
class Figure:
    """One thing that is measured. ``unit`` is empty for what is counted, else "seconds" or "ratio"."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    unit: str = ""


Reading: TypeAlias = tuple[str, tuple[str, ...], float]
"""The name of a figure, the values of its labels, and its value."""
Series: TypeAlias = list[tuple[tuple[str, ...], float]]
"""The values of one figure, each with those of its labels."""

CATALOGUE: Final[Mapping[str, Figure]] = {
    figure.name: figure
    for figure in (
        Figure("interactions.entered", "counter", ("queue", "how"), "Interactions that began to wait in a queue"),
        Figure("interactions.left", "counter", ("queue", "outcome"), "Interactions that ended to wait in a queue"),
        Figure(
            "interactions.in_target",
            "counter",
            ("queue", "outcome"),
            "Interactions that left within the target of their queue, served or abandoned",
        ),
        Figure("offers", "counter", ("queue",), "Offers made to agents"),
        Figure("offers.ended", "counter", ("queue", "outcome"), "Offers by how they ended"),
        Figure("rejections", "counter", ("command", "reason"), "Commands that were refused"),
        Figure("strategy.failures", "counter", ("queue",), "Strategies that raised or answered out of range"),
        Figure("events", "counter", ("event",), "Events by kind"),
        Figure("events.missed", "counter", (), "Events that were not heard, so that counters lack them"),
        Figure("wait", "histogram", ("queue", "outcome"), "Wait in queues until served or abandoned", "seconds"),
        Figure("answer", "histogram", ("queue",), "Time from an offer until it is accepted", "seconds"),
        Figure(
            "handle",
            "histogram",
            ("queue",),
            "Time that an agent has one: together, on hold, in wrap-up",
            "seconds",
        ),
        Figure("up", "gauge", (), "Whether the router could be read: 1, or 0 while it is made again"),
        Figure("interactions.waiting", "gauge", ("queue", "channel"), "Interactions that wait, also those on offer"),
        Figure("interactions.live", "gauge", ("queue", "state"), "Live interactions by state"),
        Figure("longest_wait", "gauge", ("queue",), "Longest wait of those who wait, 0 for nobody", "seconds"),
        Figure("expected_wait", "gauge", ("queue",), "Wait as last estimated; +Inf where nobody may serve", "seconds"),
        Figure(
            "service_level",
            "gauge",
            ("queue",),
            "Served within the target of all who left a queue, of the window: served_within_of_offered",
            "ratio",
        ),
        Figure("queue.open", "gauge", ("queue",), "Whether the queue takes interactions"),
        Figure("queue.agents", "gauge", ("queue", "state"), "Agents who serve a queue, by what they do"),
        Figure("agents", "gauge", ("state",), "Agents by what they do"),
        Figure("offers.live", "gauge", (), "Offers that nobody has answered yet"),
        Figure("capacity.units", "gauge", (), "Units of agents who are signed in"),
        Figure("capacity.units_in_use", "gauge", (), "Units that interactions take"),
    )
}
"""Every figure by its name."""


def of_kind(kind: Kind) -> Iterator[Figure]:
    """Figures of a kind, in the order of the catalogue."""
    return (figure for figure in CATALOGUE.values() if figure.kind == kind)


def exposed(figure: Figure) -> str:
    """The name of a figure for Prometheus, without the ``_total`` of a counter.

    >>> exposed(CATALOGUE["wait"]), exposed(CATALOGUE["interactions.waiting"])
    ('omniroute_wait_seconds', 'omniroute_interactions_waiting')
    """
    return "_".join(("omniroute", *figure.name.split("."), *filter(None, [figure.unit])))


def gauges(board: Board, levels: Mapping[str, float | None]) -> Iterator[Reading]:
    """The gauges of a router at one instant; ``levels`` are service levels by queue. O(queues * channels)."""
    yield "up", (), 1
    for queue in board.queues:
        yield from _of_queue(queue)
        level = levels.get(queue.name)
        if level is not None:
            yield "service_level", (queue.name,), level
    for state, count in board.agents.items():
        yield "agents", (state,), count
    yield "offers.live", (), board.live_offers
    yield "capacity.units", (), board.units
    yield "capacity.units_in_use", (), board.units_in_use


def readings(board: Callable[[], Board], tally: Tally) -> dict[str, Series]:
    """Gauges and counters as they are now, by figure, counters in the order of their labels. O(series), and the board.

    While ``board`` raises an OmnirouteError there are no gauges but ``up`` 0.
    """
    found: dict[str, Series] = {}
    try:
        looked = board()
    except OmnirouteError:
        found["up"] = [((), 0)]
    else:
        for name, labels, value in gauges(looked, tally.levels(looked.now)):
            found.setdefault(name, []).append((labels, value))
    for (name, *rest), count in sorted(tally.counters().items()):
        found.setdefault(name, []).append((tuple(rest), count))
    return found


def _of_queue(queue: QueueBoard) -> Iterator[Reading]:
    name = queue.name
    for channel, count in queue.waiting.items():
        yield "interactions.waiting", (name, channel), count
    for state in STATES:
        yield "interactions.live", (name, state), queue.interactions.get(state, 0)
    yield "longest_wait", (name,), (queue.longest_wait_ms or 0) / 1_000
    if queue.expected_wait_ms is not None:
        endless = queue.expected_wait_ms >= ENDLESS
        yield "expected_wait", (name,), float("inf") if endless else queue.expected_wait_ms / 1_000
    yield "queue.open", (name,), int(queue.open)
    for state, count in queue.agents.items():
        yield "queue.agents", (name, state), count
