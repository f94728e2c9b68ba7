"""Workloads: what a centre is asked to do, as columns of integers, and a seeded builder of them.

A workload knows names and not a plan, so one workload can be driven under several plans and every plan sees the
same arrivals, handling times and patience.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import Factory, define, field, frozen

from omniroute.core import limits
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import InputError

__all__ = ["ENDLESS", "Column", "Draw", "Presences", "Stream", "Workload", "poisson"]

Column: TypeAlias = npt.NDArray[np.int64]
"""One dimension, int64."""

ENDLESS: Final = -1
"""The patience of a customer who never leaves."""

HOUR_MS: Final = 3_600_000
INTERACTIONS_MAX: Final = 2**31 - 1


def _column(value: npt.ArrayLike) -> Column:
    """A contiguous int64 column; floats are refused rather than cut off."""
    array = np.asarray(value)
    if array.ndim != 1:
        raise InputError(f"expected one dimension, got {array.ndim}", source="workload")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"expected integers, got {array.dtype}", source="workload")
    return np.ascontiguousarray(array, dtype=np.int64)


def _optional(value: npt.ArrayLike | None) -> Column | None:
    return None if value is None else _column(value)


def _names(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InputError("expected a list of texts, got one text", source="workload")
    return tuple(value)


def _check_range(name: str, column: Column, low: int, high: int) -> None:
    """Raise for the first row outside ``low..high``."""
    wrong = np.flatnonzero((column < low) | (column > high))
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"is {int(column[row])}, allowed is {low}..{high}", source="workload", field=f"{name}[{row}]")


def _check_ascending(name: str, column: Column) -> None:
    wrong = np.flatnonzero(np.diff(column) < 0)
    if wrong.size:
        row = int(wrong[0]) + 1
        message = f"is {int(column[row])}, before the row ahead of it ({int(column[row - 1])})"
        raise InputError(message, source="workload", field=f"{name}[{row}]")


def _check_lengths(columns: Mapping[str, Column]) -> None:
    first, rows = next((name, len(column)) for name, column in columns.items())
    for name, column in columns.items():
        if len(column) != rows:
            raise InputError(f"has {len(column)} rows, {first} has {rows}", source="workload", field=name)


def _check_distinct(name: str, texts: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for position, text in enumerate(texts):
        if seen.setdefault(text, position) != position:
            raise InputError(f"{text!r} is at {seen[text]} already", source="workload", field=f"{name}[{position}]")


@frozen(kw_only=True, eq=False)
class Presences:
    """What agents do, in the order of time.

    ``at_ms`` ascends; ``agent`` indexes ``agents``, the names; ``move`` holds :class:`PresenceMove`, up to its
    ``SIGN_OUT``. A move that is not possible (ready while signed out) changes nothing. O(rows). Raises InputError
    naming column and row.

    >>> Presences(at_ms=[0], agent=[0], move=[PresenceMove.SIGN_IN], agents=["ana"]).agents
    ('ana',)
    """

    at_ms: Column = field(converter=_column)
    agent: Column = field(converter=_column)
    move: Column = field(converter=_column)
    agents: tuple[str, ...] = field(converter=_names)

    def __attrs_post_init__(self) -> None:
        _check_lengths({"presences.at_ms": self.at_ms, "presences.agent": self.agent, "presences.move": self.move})
        _check_distinct("presences.agents", self.agents)
        _check_range("presences.at_ms", self.at_ms, 0, limits.TIME_MAX)
        _check_ascending("presences.at_ms", self.at_ms)
        _check_range("presences.agent", self.agent, 0, len(self.agents) - 1)
        _check_range("presences.move", self.move, 0, PresenceMove.SIGN_OUT)


@frozen(kw_only=True, eq=False)
class Workload:
    """Interactions in the order of arrival, one row each.

    ``arrival_ms`` ascends. ``queue``, ``channel`` and ``needs`` index the names in ``queues``, ``channels`` and
    ``requirements`` (texts of what the interaction asks besides its queue). ``head_start_ms`` is waiting credited
    besides what the plan's strategy credits for ``priority``. ``wrap_up_ms`` None leaves it to the plan's queues.
    ``patience_ms`` is how long the customer waits, :data:`ENDLESS` for ever. ``presences`` None leaves it to the plan:
    agents come and go by their windows, and those without windows are there from the beginning. What is not given is
    0, the first name, endless. O(rows). Raises InputError naming column and row.

    >>> work = Workload(arrival_ms=[0, 250], handle_ms=[9_000, 1_000], queues=["sales"])
    >>> len(work), work.patience_ms.tolist()
    (2, [-1, -1])
    """

    arrival_ms: Column = field(converter=_column)
    handle_ms: Column = field(converter=_column)
    queues: tuple[str, ...] = field(converter=_names)
    channels: tuple[str, ...] = field(default=("voice",), converter=_names)
    requirements: tuple[str, ...] = field(default=("",), converter=_names)
    queue: Column = field(converter=_column)
    channel: Column = field(converter=_column)
    needs: Column = field(converter=_column)
    priority: Column = field(converter=_column)
    head_start_ms: Column = field(converter=_column)
    patience_ms: Column = field(converter=_column)
    wrap_up_ms: Column | None = field(default=None, converter=_optional)
    presences: Presences | None = None

    @queue.default
    @channel.default
    @needs.default
    @priority.default
    @head_start_ms.default
    def _zeros(self) -> Column:
        return np.zeros(len(self.arrival_ms), np.int64)

    @patience_ms.default
    def _endless(self) -> Column:
        return np.full(len(self.arrival_ms), ENDLESS, np.int64)

    def __attrs_post_init__(self) -> None:
        columns = {
            name: getattr(self, name)
            for name in ("arrival_ms", "handle_ms", "queue", "channel", "needs", "priority", "head_start_ms")
        }
        columns["patience_ms"] = self.patience_ms
        if self.wrap_up_ms is not None:
            columns["wrap_up_ms"] = self.wrap_up_ms
        _check_lengths(columns)
        for name in ("queues", "channels", "requirements"):
            _check_distinct(name, getattr(self, name))
        _check_range("arrival_ms", self.arrival_ms, 0, limits.TIME_MAX)
        _check_ascending("arrival_ms", self.arrival_ms)
        latest = limits.TIME_MAX - int(self.arrival_ms[-1]) if len(self) else 0
        for name, low, high in (
            ("handle_ms", 0, latest),
            ("queue", 0, len(self.queues) - 1),
            ("channel", 0, len(self.channels) - 1),
            ("needs", 0, len(self.requirements) - 1),
            ("priority", -limits.TIER_MAX, limits.TIER_MAX),
            ("head_start_ms", -limits.TIME_MAX, limits.TIME_MAX),
            ("patience_ms", ENDLESS, latest),
            ("wrap_up_ms", 0, latest),
        ):
            if name in columns:
                _check_range(name, columns[name], low, high)

    def __len__(self) -> int:
        """The number of interactions."""
        return len(self.arrival_ms)


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
