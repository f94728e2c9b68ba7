"""A router for the metrics of OpenTelemetry: the same figures as for Prometheus, through the interface alone.

The names are those of :data:`omniroute.insight.figures.CATALOGUE` below ``omniroute.``, and so are those of attributes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from omniroute import __version__
from omniroute.extras import library
from omniroute.insight.figures import CATALOGUE, Figure, Series, of_kind, readings
from omniroute.insight.tally import Tally
from omniroute.views import Board

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["Meters"]

_UNITS: Final = {"": "1", "seconds": "s", "ratio": "1"}


class Meters:
    """Gives a meter every figure of a router: gauges and counters when it asks, durations as they happen.

    ``board`` answers with :meth:`omniroute.Router.board` on whatever thread the meter asks; see
    :func:`omniroute.live.board_of`. It is read once for each collection. While it raises an OmnirouteError there are no
    gauges but ``omniroute.up`` 0. Raises MissingExtraError.
    """

    def __init__(self, board: Callable[[], Board], tally: Tally, meter_provider: MeterProvider | None = None) -> None:
        metrics = library("opentelemetry.metrics", "opentelemetry")
        self._observation = metrics.Observation
        self._board, self._tally = board, tally
        self._lock = threading.Lock()
        self._readings: dict[str, Series] = {}
        self._fresh: set[str] = set()
        meter = metrics.get_meter("omniroute", __version__, meter_provider)
        for figure in of_kind("gauge"):
            meter.create_observable_gauge(*self._asked(figure))
        for figure in of_kind("counter"):
            meter.create_observable_counter(*self._asked(figure))
        bounds = tally.bounds_ms
        self._histograms = {
            figure.name: meter.create_histogram(
                f"omniroute.{figure.name}",
                _UNITS[figure.unit],
                figure.help,
                explicit_bucket_boundaries_advisory=[bound / 1_000 for bound in bounds[figure.name]],
            )
            for figure in of_kind("histogram")
        }
        tally.observers.append(self._observe)

    def _asked(self, figure: Figure) -> tuple[str, list[Callable[[Any], Iterable[Any]]], str, str]:
        """Name, callbacks, unit and description of an instrument that is asked."""

        def ask(_options: object) -> Iterable[Any]:
            return [self._observation(value, _named(figure, labels)) for labels, value in self._read(figure.name)]

        return f"omniroute.{figure.name}", [ask], _UNITS[figure.unit], figure.help

    def _read(self, name: str) -> Series:
        """A figure of the present reading; whoever asks for one a second time begins a new reading."""
        with self._lock:
            if name not in self._fresh:
                self._readings, self._fresh = readings(self._board, self._tally), set(CATALOGUE)
            self._fresh.discard(name)
            return self._readings.get(name, [])

    def _observe(self, name: str, labels: tuple[str, ...], duration_ms: int) -> None:
        self._histograms[name].record(duration_ms / 1_000, _named(CATALOGUE[name], labels))


def _named(figure: Figure, labels: tuple[str, ...]) -> dict[str, str]:
    return {f"omniroute.{name}": value for name, value in zip(figure.labels, labels, strict=True)}
