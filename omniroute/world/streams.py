"""A seeded builder of workloads: when interactions come, how long they last, how long customers wait.

:func:`poisson` draws streams at rates that differ by period and by day; :func:`bootstrap` draws days, or gaps, from
what was logged. Everything is drawn by numpy's PCG64 and rounded to the millisecond, so a seed is a workload.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import Factory, define, field, frozen

from omniroute.core import limits
from omniroute.errors import InputError
from omniroute.world.workload import ENDLESS, INTERACTIONS_MAX, NOWHERE, PERMILLE, Column, Presences, Workload

__all__ = ["DAY_MS", "HOUR_MS", "Draw", "Empirical", "Law", "Stream", "bootstrap", "poisson"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_BUSYNESS: Final = 2**32
"""What tells the generator of busyness from those of streams, which are numbered from 0."""


@frozen
class Draw:
    """A distribution of durations: its kind, its mean, and the standard deviation as a share of the mean.

    exponential: the deviation is always 1. lognormal: ``exp(N(log(mean) - s**2 / 2, s**2))`` with ``s**2 = log(1 +
    deviation**2)``, what handling times of call centres were found to follow (Brown et al. 2005, J. Amer. Statist.
    Assoc. 100). gamma: shape ``1 / deviation**2``, scale ``mean * deviation**2``. constant: the mean, without any
    deviation. Raises InputError.

    >>> Draw("constant", 5_000).columns(2, np.random.default_rng(1)).tolist()
    [5000, 5000]
    >>> drawn = Draw("gamma", 60_000, 0.5).columns(100_000, np.random.default_rng(1))
    >>> round(float(drawn.mean()) / 60_000, 2), round(float(drawn.std() / drawn.mean()), 2)
    (1.0, 0.5)
    """

    kind: Literal["exponential", "lognormal", "gamma", "constant"]
    mean_ms: float
    deviation: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.kind not in ("exponential", "lognormal", "gamma", "constant"):
            message = f"is {self.kind!r}, allowed is exponential, lognormal, gamma, constant"
            raise InputError(message, source="workload", field="kind")
        for name, value in (("mean_ms", self.mean_ms), ("deviation", self.deviation)):
            if not 0 < value <= limits.TIME_MAX and not (name == "mean_ms" and value == 0):
                raise InputError(f"is {value}, expected a positive number", source="workload", field=name)

    def columns(self, rows: int, random: np.random.Generator) -> Column:
        """Draw ``rows`` durations, rounded to the millisecond. O(rows)."""
        if self.kind == "exponential":
            drawn = random.exponential(self.mean_ms, rows)
        elif self.kind == "lognormal" and self.mean_ms:
            sigma = float(np.sqrt(np.log1p(self.deviation**2)))
            drawn = random.lognormal(np.log(self.mean_ms) - sigma**2 / 2, sigma, rows)
        elif self.kind == "gamma":
            drawn = random.gamma(self.deviation**-2, self.mean_ms * self.deviation**2, rows)
        else:
            drawn = np.full(rows, self.mean_ms)
        return np.rint(drawn).astype(np.int64)


def _sample(value: npt.ArrayLike) -> Column:
    return np.ascontiguousarray(value, dtype=np.int64)


@frozen(eq=False)
class Empirical:
    """Durations in ms that were seen, each as likely as the others: resampled with replacement. Raises InputError.

    >>> Empirical([7, 7, 7]).columns(2, np.random.default_rng(1)).tolist()
    [7, 7]
    """

    seen_ms: Column = field(converter=_sample)

    def __attrs_post_init__(self) -> None:
        if self.seen_ms.ndim != 1 or not self.seen_ms.size or self.seen_ms.min() < 0:
            raise InputError("expected at least one duration, none below 0", source="workload", field="seen_ms")

    def columns(self, rows: int, random: np.random.Generator) -> Column:
        """Draw ``rows`` durations. O(rows)."""
        drawn: Column = self.seen_ms[random.integers(0, self.seen_ms.size, rows)]
        return drawn


Law: TypeAlias = Draw | Empirical
"""How long something lasts."""


def _rates(value: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, Sequence) else (float(value),)


@frozen(kw_only=True)
class Stream:
    """A Poisson stream of alike interactions; ``per_hour`` has a rate for each period, or one for all.

    ``patience`` None: they never leave. ``wrap_up`` None: none. ``answer`` None: agents accept at once, unless some
    offers in 1000 are declined or ignored. ``transfer_permille`` in 1000 go to the queue ``transfer`` when their
    handling ends, and are handled for ``handle2`` there. ``value`` is in cents.
    """

    queue: str
    per_hour: tuple[float, ...] = field(converter=_rates)
    handle: Law
    channel: str = "voice"
    needs: str = ""
    priority: int = 0
    patience: Law | None = None
    wrap_up: Law | None = None
    answer: Law | None = None
    decline_permille: int = 0
    ignore_permille: int = 0
    transfer: str = ""
    transfer_permille: int = 0
    handle2: Law | None = None
    value: int = 0

    @property
    def answered(self) -> bool:
        """Whether it says how offers are answered."""
        return self.answer is not None or self.decline_permille > 0 or self.ignore_permille > 0


@define
class _Names:
    """Names numbered in the order in which they are first met."""

    numbers: dict[str, int] = Factory(dict)

    def number(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))


def _generator(*key: int) -> np.random.Generator:
    """The generator of a key: PCG64, whatever numpy's default may become."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _arrivals(
    stream: Stream,
    periods: int,
    period_ms: int,
    day_ms: int,
    busyness: npt.NDArray[np.float64],
    random: np.random.Generator,
) -> Column:
    """The stream's arrivals from 0: in each period a Poisson number of uniform instants."""
    rates = stream.per_hour if len(stream.per_hour) > 1 else stream.per_hour * periods
    if len(rates) != periods:
        message = f"{len(rates)} rates for {periods} periods"
        raise InputError(message, source="workload", field=f"per_hour of {stream.queue}")
    drawn = [
        day * day_ms
        + period * period_ms
        + random.integers(0, period_ms, random.poisson(rate * factor * period_ms / HOUR_MS))
        for day, factor in enumerate(busyness.tolist())
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
    days: int = 1,
    day_ms: int = DAY_MS,
    busyness: float = 0.0,
    presences: Presences | None = None,
) -> Workload:
    """Draw a workload from independent Poisson streams over ``periods`` of ``period_ms`` on each of ``days``.

    Day d begins at ``start_ms + d * day_ms``. With ``busyness`` b > 0 all rates of a day are multiplied by one factor
    of gamma law with mean 1 and standard deviation b: some days are busier than others, in all streams at once
    (Avramidis, Deslauriers and L'Ecuyer 2004, Management Science 50). Then the count of a day with mean m has the
    variance ``m + (b * m)**2``. Each stream has its own generator made of ``seed`` and its place, so a stream's rows do
    not change when another is added behind it. O(n log n). Raises InputError.

    >>> calls = Stream(queue="sales", per_hour=60, handle=Draw("exponential", 180_000))
    >>> len(poisson([calls], seed=1, periods=2)) == len(poisson([calls], seed=1, periods=2))
    True
    """
    if not streams:
        raise InputError("expected at least one stream", source="workload")
    if busyness < 0 or days < 1 or (days > 1 and periods * period_ms > day_ms):
        message = f"busyness is {busyness}, days {days}: expected 0 or more, 1 or more, and periods that fit into a day"
        raise InputError(message, source="workload")
    shape = busyness**-2 if busyness else 1.0
    factors = _generator(seed, _BUSYNESS).gamma(shape, 1 / shape, days) if busyness else np.ones(days)
    queues, channels, needs = _Names(), _Names(), _Names()
    blocks: list[dict[str, Column]] = []
    for number, stream in enumerate(streams):
        random = _generator(seed, number)
        at = start_ms + _arrivals(stream, periods, period_ms, day_ms, factors, random)
        names = {"queue": (queues, stream.queue), "channel": (channels, stream.channel), "needs": (needs, stream.needs)}
        same = {name: numbers.number(text) for name, (numbers, text) in names.items()}
        target = queues.number(stream.transfer) if stream.transfer else NOWHERE
        blocks.append(_block(stream, at, same, target, random))
        if sum(len(block["arrival_ms"]) for block in blocks) > INTERACTIONS_MAX:
            raise InputError(f"at most {INTERACTIONS_MAX} interactions", source="workload")
    table = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    order = np.argsort(table["arrival_ms"], kind="stable")
    columns = {name: column[order] for name, column in table.items()}
    if not any(stream.answered for stream in streams):
        for name in ("answer_ms", "decline_permille", "ignore_permille"):
            del columns[name]
    return Workload(
        **columns,
        queues=tuple(queues.numbers),
        channels=tuple(channels.numbers),
        requirements=tuple(needs.numbers),
        presences=presences,
    )


def _block(
    stream: Stream, at: Column, same: dict[str, int], target: int, random: np.random.Generator
) -> dict[str, Column]:
    """The columns of one stream, each drawn in its turn."""
    rows = len(at)

    def drawn(law: Law | None, otherwise: int) -> Column:
        return np.full(rows, otherwise) if law is None else law.columns(rows, random)

    columns = {"arrival_ms": at}
    columns |= {name: np.full(rows, code) for name, code in same.items()}
    columns |= {"priority": np.full(rows, stream.priority), "value": np.full(rows, stream.value)}
    columns["handle_ms"] = drawn(stream.handle, 0)
    columns["patience_ms"] = drawn(stream.patience, ENDLESS)
    columns["wrap_up_ms"] = drawn(stream.wrap_up, 0)
    columns["answer_ms"] = drawn(stream.answer, 0)
    for name in ("decline_permille", "ignore_permille"):
        columns[name] = np.full(rows, getattr(stream, name))
    columns["transfer"] = np.full(rows, NOWHERE)
    if target != NOWHERE:
        columns["transfer"][random.integers(0, PERMILLE, rows) < stream.transfer_permille] = target
    columns["handle2_ms"] = drawn(stream.handle2, 0)
    return columns


def bootstrap(
    workload: Workload,
    *,
    seed: int,
    days: int = 1,
    by: Literal["day", "gap"] = "day",
    day_ms: int = DAY_MS,
    start_ms: int = 0,
) -> Workload:
    """Draw a workload of ``days`` from one that was logged (``replay`` makes one of a log), with replacement.

    By "day" whole days are drawn: each keeps its course, its order and what belongs together, and days stay as
    different as they were (the bootstrap of Efron 1979, Annals of Statistics 7, with days as its blocks). Days without
    an interaction do not count; a day begins at a multiple of ``day_ms`` and the first one drawn at ``start_ms``. By
    "gap" the times between arrivals are drawn one by one, and what arrives apart from them, until the days are over:
    a steady stream with the mean rate, without days. Presences are left to the plan. O(n log n). Raises InputError
    for a workload of fewer than two rows.

    >>> logged = Workload(arrival_ms=[0, 5, DAY_MS + 7], handle_ms=[1, 2, 3], queues=["sales"])
    >>> sorted({len(bootstrap(logged, seed=seed)) for seed in range(20)})
    [1, 2]
    """
    if len(workload) < 2:
        raise InputError("expected at least two interactions to draw from", source="workload")
    random = _generator(seed)
    if by == "gap":
        rows, at = _gaps(workload, days * day_ms, random)
    else:
        rows, at = _days(workload, days, day_ms, random)
    return workload.chosen(rows, start_ms + at)


def _days(workload: Workload, days: int, day_ms: int, random: np.random.Generator) -> tuple[Column, Column]:
    """The rows of days that are drawn, and their instants from 0."""
    day = workload.arrival_ms // day_ms
    known = np.unique(day)
    first, last = np.searchsorted(day, known), np.searchsorted(day, known, side="right")
    drawn = random.integers(0, len(known), days)
    rows = np.concatenate([np.arange(first[d], last[d]) for d in drawn.tolist()])
    into = workload.arrival_ms % day_ms
    place = np.repeat(np.arange(days), (last - first)[drawn])
    return rows, place * day_ms + into[rows]


def _gaps(workload: Workload, until: int, random: np.random.Generator) -> tuple[Column, Column]:
    """Rows that are drawn one by one, at instants from 0 to ``until`` whose gaps are."""
    gaps = np.diff(workload.arrival_ms)
    if not gaps.any():
        raise InputError("all interactions came at one instant", source="workload", field="arrival_ms")
    at = np.empty(0, np.int64)
    while not len(at) or at[-1] < until:
        more = gaps[random.integers(0, len(gaps), len(workload))]
        at = np.concatenate([at, (at[-1] if len(at) else 0) + np.cumsum(more)])
        if len(at) > INTERACTIONS_MAX:
            raise InputError(f"at most {INTERACTIONS_MAX} interactions", source="workload")
    at = at[at < until]
    return random.integers(0, len(workload), len(at)), at
