"""How often the order in which interactions were served agrees with an order we suppose.

Take every served interaction i that waited, at the moment t when it left the queue. Its *competitors* are the
interactions of the same queue that had been waiting for longer than the tolerance and stayed for longer than the
tolerance after t. If there is one, i is a *case*. Each interaction's score is its entry minus the head start of its
priority; if some competitor's score is lower than i's by more than the tolerance, the order was another one: a
*violation*. The rate of violations is what ``discipline_check`` in the facts of the Technion bank's months (Ilan
Guedj, Avi Mandelbaum) measures; the tolerance, three seconds there, absorbs clocks written in whole seconds.

Waits are counted from the logged clocks (``queued_ms``, ``left_queue_ms``). What the log set aside competes with
nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from omniroute.errors import MisuseError
from omniroute.formats.records import LoggedInteraction, LogRecord, Outcome

TOLERANCE_MS: Final = 3000
GRID_STEP_MS: Final = 15_000
GRID_END_MS: Final = 300_000


@attrs.frozen(kw_only=True, slots=True)
class Tolerance:
    """Milliseconds that clocks may be off: for entering before, for staying after, and for the order of scores."""

    entered_ms: int = TOLERANCE_MS
    stayed_ms: int = TOLERANCE_MS
    order_ms: int = TOLERANCE_MS


@attrs.frozen(kw_only=True, slots=True)
class Agreement:
    """``violations`` of the supposed order in ``cases`` where there was somebody to prefer."""

    cases: int
    violations: int

    @property
    def rate(self) -> float | None:
        """Violations per case, in [0, 1]; None without a case."""
        return self.violations / self.cases if self.cases else None


@attrs.frozen(kw_only=True, slots=True)
class HeadStartSearch:
    """The agreement for every head start tried for one priority, ascending, and the best of them."""

    priority: int
    curve: tuple[tuple[int, Agreement], ...]
    best_ms: int

    @property
    def best(self) -> Agreement:
        """The agreement at ``best_ms``."""
        return dict(self.curve)[self.best_ms]


@attrs.frozen(slots=True)
class _Case:
    """One served interaction, and the earliest entry among its competitors of each priority."""

    priority: int
    entered_ms: int
    earliest_ms: tuple[tuple[int, int], ...]


_Waits: TypeAlias = list[tuple[int, int, int]]
"""(entered, left, priority), milliseconds, ordered by entry."""


def agreement(
    interactions: Iterable[LogRecord],
    *,
    head_start_ms: Mapping[int, int] | None = None,
    tolerance_ms: int | Tolerance = TOLERANCE_MS,
    same_queue: bool = True,
) -> Agreement:
    """Compare the order of service with first come first served under head starts by priority (0 where not given).

    ``same_queue=False`` lets the interactions of all queues compete. O(n (log n + priorities)).

    >>> def call(entered_ms, left_ms, priority):
    ...     return LoggedInteraction(
    ...         id="", queue="q", channel="voice", priority=priority, arrived_ms=entered_ms, queued_ms=entered_ms,
    ...         left_queue_ms=left_ms, wait_ms=left_ms - entered_ms, outcome=Outcome.SERVED)
    >>> passed_over = [call(0, 200_000, priority=0), call(60_000, 100_000, priority=2)]
    >>> agreement(passed_over)
    Agreement(cases=1, violations=1)
    >>> agreement(passed_over, head_start_ms={2: 90_000})
    Agreement(cases=1, violations=0)
    """
    tolerance = _tolerance(tolerance_ms)
    return _judge(_cases(interactions, tolerance, same_queue=same_queue), head_start_ms or {}, tolerance.order_ms)


def search_head_start(
    interactions: Iterable[LogRecord],
    *,
    priority: int | None = None,
    step_ms: int = GRID_STEP_MS,
    end_ms: int = GRID_END_MS,
    tolerance_ms: int | Tolerance = TOLERANCE_MS,
    same_queue: bool = True,
) -> HeadStartSearch:
    """Find the head start of one priority (the highest in the log when None) that agrees best; the least of equals.

    Tries 0, ``step_ms``, ... up to ``end_ms``. O(n log n + tries * cases * priorities).
    Raises MisuseError for a step or an end out of range.
    """
    if step_ms <= 0 or end_ms < 0:
        raise MisuseError(f"step_ms must be above 0 and end_ms not below 0, not {step_ms} and {end_ms}")
    tolerance = _tolerance(tolerance_ms)
    records = list(interactions)
    if priority is None:
        priority = max((record.priority for record in records if isinstance(record, LoggedInteraction)), default=0)
    cases = _cases(records, tolerance, same_queue=same_queue)
    curve = tuple(
        (head_ms, _judge(cases, {priority: head_ms}, tolerance.order_ms)) for head_ms in range(0, end_ms + 1, step_ms)
    )
    best_ms = min(curve, key=lambda point: (point[1].violations, point[0]))[0]
    return HeadStartSearch(priority=priority, curve=curve, best_ms=best_ms)


def _tolerance(given: int | Tolerance) -> Tolerance:
    return Tolerance(entered_ms=given, stayed_ms=given, order_ms=given) if isinstance(given, int) else given


def _judge(cases: Sequence[_Case], head_start_ms: Mapping[int, int], order_ms: int) -> Agreement:
    """Count the cases in which some competitor's score is lower by more than ``order_ms``."""
    violations = 0
    heads = head_start_ms.get
    for case in cases:
        limit_ms = case.entered_ms - heads(case.priority, 0) - order_ms
        for priority, entered_ms in case.earliest_ms:
            if entered_ms - heads(priority, 0) < limit_ms:
                violations += 1
                break
    return Agreement(cases=len(cases), violations=violations)


def _cases(interactions: Iterable[LogRecord], tolerance: Tolerance, *, same_queue: bool) -> list[_Case]:
    waits: dict[str, _Waits] = {}
    served: dict[str, _Waits] = {}
    for record in interactions:
        if not isinstance(record, LoggedInteraction) or record.outcome is Outcome.SET_ASIDE:
            continue
        if record.queued_ms is None or record.left_queue_ms is None:
            continue
        queue = record.queue if same_queue else ""
        wait = (record.queued_ms, record.left_queue_ms, record.priority)
        waits.setdefault(queue, []).append(wait)
        if record.outcome is Outcome.SERVED:
            served.setdefault(queue, []).append(wait)
    cases: list[_Case] = []
    for queue, left in served.items():
        cases.extend(_cases_of_queue(waits[queue], left, tolerance))
    return cases


def _cases_of_queue(waits: _Waits, served: _Waits, tolerance: Tolerance) -> list[_Case]:
    """Sweep one queue by the time of leaving.

    Of each priority only the earliest entry among the competitors matters. Those who have left by t + tolerance never
    compete again as t grows, so the head of each priority's line only moves forward.
    """
    lines: dict[int, _Waits] = {}
    for wait in sorted(waits):
        lines.setdefault(wait[2], []).append(wait)
    heads = dict.fromkeys(lines, 0)
    cases: list[_Case] = []
    for entered_ms, left_ms, priority in sorted(served, key=lambda wait: wait[1]):
        earliest: list[tuple[int, int]] = []
        for other, line in lines.items():
            head = heads[other]
            while head < len(line) and line[head][1] <= left_ms + tolerance.stayed_ms:
                head += 1
            heads[other] = head
            if head < len(line) and line[head][0] < left_ms - tolerance.entered_ms:
                earliest.append((other, line[head][0]))
        if earliest:
            cases.append(_Case(priority, entered_ms, tuple(earliest)))
    return cases
