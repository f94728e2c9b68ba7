"""What strategies answered during a command: written into its record, and read from there when it is replayed.

A *question* is put to the strategy of one queue, for a reason (:class:`Kind`). Its *answer* says what was asked, with a
fingerprint of everything that the strategy could see, and what came back, also when that was a failure. Live and
replayed, what the core gets is read from the answer, so both get the same. Only :class:`Questions` calls a strategy.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, TypeAlias

import msgspec

from omniroute.core import limits
from omniroute.errors import InvariantError, MisuseError
from omniroute.model import shown
from omniroute.strategies.protocol import CLASS_COLUMNS, PAIR_COLUMNS, ClassView, GroupView, Place, Tables

__all__ = [
    "HEAD_START_MAX",
    "TIER_BASE",
    "Answer",
    "Failure",
    "Kind",
    "Questions",
    "ReplayedError",
    "check_tables",
    "mark",
]

TIER_BASE: Final = 2**30
"""Tiers of plans and strategies may be negative, those of the core may not: this is added."""
HEAD_START_MAX: Final = 2**41
"""Milliseconds credited at most by a strategy, and once more by a command: 69 years."""

_RANGES = {
    "opens": (limits.NEVER, limits.OPENS_MAX),
    "rank_out": (0, limits.RANK_MAX),
    "cost_out": (-limits.COST_MAX, limits.COST_MAX),
    "rank_in": (0, limits.RANK_MAX),
    "cost_in": (-limits.COST_MAX, limits.COST_MAX),
    "age_rate": (0, limits.AGE_RATE_MAX),
    "length_rate": (0, limits.LENGTH_RATE_MAX),
    "offset": (-limits.COST_MAX, limits.COST_MAX),
    "age_cap": (-1, limits.TIME_MAX),
}
_COLUMNS: Final = (*PAIR_COLUMNS, *CLASS_COLUMNS)

_CANONICAL = msgspec.msgpack.Encoder(order="deterministic")


def mark(*values: object) -> int:
    """A fingerprint of plain values in 63 bits, the same in every process. O(size)."""
    digest = hashlib.blake2b(_CANONICAL.encode(values), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Kind(IntEnum):
    """Why a strategy is asked."""

    PLACE = 0
    """Where a priority goes, the first time that it comes."""
    CLASSES = 1
    """Tables for a class asked for the first time, with its chain of steps, over all groups."""
    GROUP = 2
    """Tables for a new group, over all classes of the queue."""
    STRATEGY = 3
    """Tables for everything, because another plan has another strategy."""
    SAME = 4
    """No question: another plan has an equal strategy here, and its tables stay."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """A question and what came back: one of ``place``, ``columns`` and ``failed`` is not None, none for Kind.SAME.

    ``asked`` is the priority, or how many classes and groups. ``columns`` are those of
    :class:`omniroute.strategies.protocol.Tables` in its order, as little-endian int64. ``failed`` names the strategy
    and the kind of its error.
    """

    queue: str
    kind: int
    asked: tuple[int, ...]
    fingerprint: int
    place: tuple[int, int] | None = None
    columns: tuple[bytes | None, ...] | None = None
    failed: tuple[str, str] | None = None

    def question(self) -> tuple[str, int, tuple[int, ...], int]:
        """What was asked; equal questions want equal answers. O(1)."""
        return self.queue, self.kind, self.asked, self.fingerprint

    def __str__(self) -> str:
        what = Kind(self.kind).name.lower() if self.kind in list(Kind) else str(self.kind)
        if self.kind == Kind.PLACE:
            return f"place({', '.join(map(str, self.asked))}) of queue {self.queue!r}"
        if self.kind == Kind.SAME:
            return f"the same strategy of queue {self.queue!r}"
        sizes = " x ".join(map(str, self.asked))
        return f"tables({what}, {sizes} classes and groups) of queue {self.queue!r}"

    def tables(self) -> Tables:
        """The columns as a strategy gives them. O(cells). Raises MisuseError for what no strategy may answer."""
        columns = self.columns or ()
        if len(columns) != len(_COLUMNS) or any(column is not None and len(column) % 8 for column in columns):
            raise MisuseError(f"it has not {len(_COLUMNS)} columns of int64")
        return Tables(**dict(zip(_COLUMNS, map(_integers, columns), strict=True)))


Failure: TypeAlias = tuple[str, str, BaseException]
"""Queue, strategy, what it raised."""


class ReplayedError(Exception):
    """Stands for what a strategy raised when the record was made; ``kind`` is the name of that error."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind}, as it is in the record")
        self.kind = kind


class Questions:
    """Puts questions to strategies, or reads the answers of a record; keeps those of the last command."""

    def __init__(self) -> None:
        self.asked: list[Answer] = []
        """The answers of the last command, in order; one list for good, so that the door sees whether it is empty."""
        self.failures: list[Failure] = []
        """What strategies raised since somebody looked."""
        self._given: Sequence[Answer] | None = None
        self._check = False

    def read(self, answers: Sequence[Answer] | None, *, check: bool = False) -> None:
        """Answer from a record from now on, from strategies where it is None. Raises MisuseError for a wrong type."""
        if answers is not None and not (
            isinstance(answers, tuple | list) and all(type(answer) is Answer for answer in answers)
        ):
            raise MisuseError(f"answers is {shown(answers)}, expected a tuple of Answer")
        self.asked.clear()
        self._given, self._check = answers, check

    def all_read(self) -> None:
        """Refuse a record with answers to questions that nobody asked. Raises MisuseError naming the first."""
        if self._given is not None and len(self._given) > len(self.asked):
            raise MisuseError(f"answer {len(self.asked) + 1} is to {self._given[len(self.asked)]}, which was not asked")

    def live(self) -> None:
        """Answer from strategies again; what was asked is kept until it is cleared. O(1)."""
        self._given, self._check = None, False

    def same(self, question: Answer, old: object, new: object) -> bool:
        """Whether an equal strategy stands in a queue. Comparing is their own code, so a record knows better.

        Strategies that cannot be compared count as different. The cost of the comparison. Raises MisuseError.
        """
        if self._given is not None:
            at = len(self.asked)
            same = at < len(self._given) and self._given[at].question() == question.question()
            if same:
                _checked(self._given[at])
        else:
            try:
                same = bool(old == new)
            except Exception:
                same = False
        if same:
            self.asked.append(question)
        return same

    def place(self, question: Answer, strategy: Any, priority: int) -> Answer:
        """Ask where a priority goes. The cost of the strategy. Raises MisuseError where the record does not answer."""

        def ask() -> Answer:
            place = strategy.place(priority)
            if not isinstance(place, Place):
                raise MisuseError(f"place answered {type(place).__name__}")
            return _check(msgspec.structs.replace(question, place=(place.tier, place.head_start_ms)))

        return self._put(question, strategy, ask)

    def tables(
        self, question: Answer, strategy: Any, classes: Sequence[ClassView], groups: Sequence[GroupView]
    ) -> Answer:
        """Ask for tables. O(cells), and the strategy. Raises MisuseError where the record does not answer."""

        def ask() -> Answer:
            tables = strategy.tables(classes, groups)
            if not isinstance(tables, Tables):
                raise MisuseError(f"tables answered {type(tables).__name__}")
            columns = tuple(_bytes(getattr(tables, name)) for name in _COLUMNS)
            return _check(msgspec.structs.replace(question, columns=columns))

        return self._put(question, strategy, ask)

    def _put(self, question: Answer, strategy: Any, ask: Callable[[], Answer]) -> Answer:
        if self._given is None:
            answer = self._live(question, strategy, ask)
        else:
            at = len(self.asked)
            if at >= len(self._given):
                raise MisuseError(f"{question} was asked, and the record has no answer to it")
            answer = self._given[at]
            if answer.question() != question.question():
                raise MisuseError(f"{question} was asked, but answer {at + 1} is to {answer}, or to other classes")
            _checked(answer)
            if self._check and self._live(question, strategy, ask) != answer:
                raise InvariantError(f"{question} was answered otherwise before: the strategy is not deterministic")
            if answer.failed is not None:
                strategy_name, error = answer.failed
                self.failures.append((answer.queue, strategy_name, ReplayedError(error)))
        self.asked.append(answer)
        return answer

    def _live(self, question: Answer, strategy: Any, ask: Callable[[], Answer]) -> Answer:
        """Ask the strategy; what it raises is its answer as well."""
        try:
            return ask()
        except Exception as error:
            name = str(strategy.name)
            if self._given is None:
                self.failures.append((question.queue, name, error))
            return msgspec.structs.replace(question, failed=(name, type(error).__name__))


def _checked(answer: Answer) -> None:
    """Refuse an answer of a record that no strategy can have given. Raises MisuseError naming the question."""
    try:
        _check(answer)
    except (TypeError, ValueError) as error:
        raise MisuseError(f"the answer to {answer} is none: {error}") from error


def _check(answer: Answer) -> Answer:
    """Refuse an answer that is none, or is of the wrong size or out of range. O(cells). Raises MisuseError."""
    wanted = answer.place if answer.kind == Kind.PLACE else answer.columns
    parts = [part for part in (answer.place, answer.columns, answer.failed) if part is not None]
    if parts not in (([],) if answer.kind == Kind.SAME else ([wanted], [answer.failed])):
        raise MisuseError("it has not the one part that it should have")
    if answer.columns is not None:
        check_tables(answer.tables(), *answer.asked)
    elif answer.place is not None:
        tier, head_start = answer.place
        _in_range("tier", [tier], 1 - TIER_BASE, TIER_BASE - 1)
        _in_range("head start", [head_start], 0, HEAD_START_MAX)
    return answer


def _bytes(values: array[int] | None) -> bytes | None:
    """A column as little-endian int64. Raises TypeError for anything but integers, OverflowError for big ones."""
    if values is None:
        return None
    column = array("q", values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _integers(data: bytes | None) -> array[int] | None:
    """A column as it was before :func:`_bytes`."""
    if data is None:
        return None
    column = array("q", data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _in_range(what: str, column: Iterable[int], low: int, high: int) -> None:
    values = column if isinstance(column, Sequence) else list(column)
    if not isinstance(column, array) and any(type(value) is not int for value in values):
        raise MisuseError(f"{what} holds something else than integers")
    if values and not low <= min(values) <= max(values) <= high:
        raise limits.out_of_range(what, min(values) if min(values) < low else max(values), low, high)


def check_tables(tables: Tables | Mapping[str, Sequence[int] | None], classes: int, groups: int) -> None:
    """Refuse an answer of the wrong size or out of range. O(cells). Raises MisuseError naming the column."""
    for name in _COLUMNS:
        column = tables.get(name) if isinstance(tables, Mapping) else getattr(tables, name)
        if column is None:
            continue
        cells = classes * groups if name in PAIR_COLUMNS else classes
        if len(column) != cells:
            raise limits.out_of_range(f"length of {name}", len(column), cells, cells)
        _in_range(name, column, *_RANGES[name])
