"""A seeded builder of workloads: when interactions come, how long they last, how long customers wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from attrs import Factory, define, field, frozen

from omniroute.errors import InputError
from omniroute.world.workload import ENDLESS, INTERACTIONS_MAX, Column, Presences, Workload

__all__ = ["HOUR_MS", "Draw", "Stream", "poisson"]

HOUR_MS: Final = 3_600_000


@frozen
class Draw:
    """A distribution of durations: its kind, its mean, and for lognormal the deviation as a share of the mean.

    >>> Draw("constant", 5_000).columns(2, np.random.default_rng(1)).tolist()
    [5000, 5000]
    """

    kind: Literal["exponential", "lognormal", "constant"]
    mean_ms: float
    deviation: float = 1.0

    def columns(self, rows: int, random: np.random.Generator) -> Column:
        """Draw ``rows`` durations, rounded to the millisecond. O(rows)."""
        if self.kind == "exponential":
            drawn = random.exponential(self.mean_ms, rows)
        elif self.kind == "lognormal":
            sigma = float(np.sqrt(np.log1p(self.deviation**2)))
            drawn = random.lognormal(np.log(self.mean_ms) - sigma**2 / 2, sigma, rows)
        else:
            drawn = np.full(rows, self.mean_ms)
        return np.rint(drawn).astype(np.int64)


def _rates(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, Sequence) else (float(value),)


@frozen(kw_only=True)
class Stream:
    """A Poisson stream of alike interactions; ``per_hour`` has a rate for each period, or one for all.

    ``patience`` None: they never leave. ``wrap_up`` None: none.
    """

    queue: str
    per_hour: tuple[float, ...] = field(converter=_rates)
    handle: Draw
    channel: str = "voice"
    needs: str = ""
    priority: int = 0
    patience: Draw | None = None
    wrap_up: Draw | None = None


@define
class _Names:
    """Names numbered in the order in which they are first met."""

    numbers: dict[str, int] = Factory(dict)

    def number(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))


def _arrivals(stream: Stream, periods: int, period_ms: int, random: np.random.Generator) -> Column:
    """The stream's arrivals from 0: in each period a Poisson number of uniform instants."""
    rates = stream.per_hour if len(stream.per_hour) > 1 else stream.per_hour * periods
    if len(rates) != periods:
        message = f"{len(rates)} rates for {periods} periods"
        raise InputError(message, source="workload", field=f"per_hour of {stream.queue}")
    drawn = [
        period * period_ms + random.integers(0, period_ms, random.poisson(rate * period_ms / HOUR_MS))
        for period, rate in enumerate(rates)
    ]
    return np.sort(np.concatenate(drawn))


def poisson(
    streams: Sequence[Stream],
    *,
    seed: int,
    periods: int = 1,
    period_ms: int = HOUR_MS,
    start_ms: int = 0,
    presences: Presences | None = None,
) -> Workload:
    """Draw a workload from independent Poisson streams over ``periods`` of ``period_ms`` from ``start_ms``.

    Each stream has its own generator made of ``seed`` and its place, so a stream's rows do not change when another is
    added behind it. O(n log n).

    >>> calls = Stream(queue="sales", per_hour=60, handle=Draw("exponential", 180_000))
    >>> len(poisson([calls], seed=1, periods=2)) == len(poisson([calls], seed=1, periods=2))
    True
    """
    if not streams:
        raise InputError("expected at least one stream", source="workload")
    queues, channels, needs = _Names(), _Names(), _Names()
    blocks: list[npt.NDArray[np.int64]] = []
    for number, stream in enumerate(streams):
        random = np.random.default_rng([seed, number])
        at = start_ms + _arrivals(stream, periods, period_ms, random)
        rows = len(at)
        if sum(block.shape[1] for block in blocks) + rows > INTERACTIONS_MAX:
            raise InputError(f"at most {INTERACTIONS_MAX} interactions", source="workload")
        codes = (queues.number(stream.queue), channels.number(stream.channel), needs.number(stream.needs))
        handle = stream.handle.columns(rows, random)
        patience = np.full(rows, ENDLESS) if stream.patience is None else stream.patience.columns(rows, random)
        wrap_up = np.zeros(rows, np.int64) if stream.wrap_up is None else stream.wrap_up.columns(rows, random)
        same = [np.full(rows, code, np.int64) for code in (*codes, stream.priority)]
        blocks.append(np.vstack([at, *same, handle, patience, wrap_up]))
    table = np.hstack(blocks)
    table = table[:, np.argsort(table[0], kind="stable")]
    return Workload(
        arrival_ms=table[0],
        queue=table[1],
        channel=table[2],
        needs=table[3],
        priority=table[4],
        handle_ms=table[5],
        patience_ms=table[6],
        wrap_up_ms=table[7],
        queues=tuple(queues.numbers),
        channels=tuple(channels.numbers),
        requirements=tuple(needs.numbers),
        presences=presences,
    )
