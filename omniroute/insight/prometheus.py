"""A router for Prometheus: what lives is read when it is scraped, what happened comes from a tally. Extra `prometheus`.

The names are those of :data:`omniroute.insight.figures.CATALOGUE` with ``omniroute_`` before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from omniroute.extras import library
from omniroute.insight.figures import CATALOGUE, exposed, of_kind, readings
from omniroute.insight.tally import Histogram, Tally
from omniroute.views import Board

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["Collector"]


class Collector:
    """What ``prometheus_client`` collects; register it with a registry of yours.

    ``board`` answers with :meth:`omniroute.Router.board`, on whatever thread the scrape comes;
    :func:`omniroute.live.board_of` makes it for a router in a service. ``labels`` are put before those of every series,
    where several routers share a registry: {"centre": "north"}. While ``board`` raises an OmnirouteError there are no
    gauges but ``omniroute_up`` 0. A scrape costs what ``board`` costs, and O(series). Raises MissingExtraError.
    """

    def __init__(self, board: Callable[[], Board], tally: Tally, *, labels: dict[str, str] | None = None) -> None:
        self._families = library("prometheus_client.core", "prometheus")
        self._board, self._tally = board, tally
        self._names, self._values = tuple(labels or {}), tuple((labels or {}).values())

    def describe(self) -> Iterator[Metric]:
        """The families without a reading, so that a registry need not scrape to know their names. O(figures)."""
        for figure in CATALOGUE.values():
            yield self._family(figure.name, ())

    def collect(self) -> Iterator[Metric]:
        """Every family with its series as they are now."""
        found = readings(self._board, self._tally)
        for kind in ("gauge", "counter"):
            for figure in of_kind(kind):
                yield self._family(figure.name, found.get(figure.name, ()))
        spread: dict[str, list[tuple[tuple[str, ...], Histogram]]] = {}
        for (name, *rest), histogram in self._tally.histograms().items():
            spread.setdefault(name, []).append((tuple(rest), histogram))
        for figure in of_kind("histogram"):
            yield self._spread(figure.name, spread.get(figure.name, ()))

    def _family(self, name: str, series: Iterable[tuple[tuple[str, ...], float]]) -> Any:
        figure = CATALOGUE[name]
        kinds = {"gauge": "GaugeMetricFamily", "counter": "CounterMetricFamily", "histogram": "HistogramMetricFamily"}
        made = getattr(self._families, kinds[figure.kind])
        family = made(exposed(figure), figure.help, labels=(*self._names, *figure.labels))
        for values, value in series:
            family.add_metric((*self._values, *values), value)
        return family

    def _spread(self, name: str, series: Iterable[tuple[tuple[str, ...], Histogram]]) -> Any:
        family = self._family(name, ())
        for values, histogram in series:
            family.add_metric((*self._values, *values), _buckets(histogram), histogram.sum_ms / 1_000)
        return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Every bound in seconds with how many are within it, the last one infinite. O(buckets)."""
    total, found = 0, []
    for bound_ms, count in zip((*histogram.bounds_ms, None), histogram.counts, strict=True):
        total += count
        found.append(("+Inf" if bound_ms is None else repr(bound_ms / 1_000), float(total)))
    return found
