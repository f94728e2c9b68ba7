"""Which queues go first, read from what agents took while people waited in several of their queues.

Take every served interaction that left a queue at t, and every other queue that its agent also serves and in which
somebody had been waiting for longer than the tolerance and stayed for longer than the tolerance: the agent had a
choice between the two. A *credit* is waiting granted in advance to a whole queue; the choice *disagrees* with credits
when the one passed over had entered earlier, credits counted. Credits are searched on a grid, one queue at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import numpy as np

from omniroute.formats.records import Outcome
from omniroute.insight.columns import NONE, Integers, InteractionColumns
from omniroute.replay.agreement import GRID_END_MS, GRID_STEP_MS, TOLERANCE_MS

LEAST_CHOICES: Final = 30
"""A queue with fewer choices keeps no credit of its own."""
LEAST_GAIN: Final = 0.05
"""A credit is kept only if the choices of the queue that disagree fall by this share of all its choices."""
ROUNDS: Final = 4


@attrs.frozen(kw_only=True, slots=True, eq=False)
class Choices:
    """n choices: an interaction of ``taken`` was served while one of ``passed`` waited; columns of shape (n,).

    ``lead_ms`` is the entry of the one taken minus that of the one passed over, head starts counted; above zero the
    one passed over had waited longer.
    """

    queue_names: tuple[str, ...]
    taken: Integers
    passed: Integers
    lead_ms: Integers

    def __len__(self) -> int:
        return len(self.taken)

    def disagreeing(self, credit_ms: Integers, tolerance_ms: int = TOLERANCE_MS) -> int:
        """Count the choices that credits by queue, shape (queues,), do not explain. O(n)."""
        lead = self.lead_ms - credit_ms[self.taken] + credit_ms[self.passed]
        return int(np.count_nonzero(lead > tolerance_ms))

    def touching(self, queue: int) -> Choices:
        """Return the choices in which ``queue`` was taken or passed over. O(n)."""
        chosen = (self.taken == queue) | (self.passed == queue)
        return attrs.evolve(self, taken=self.taken[chosen], passed=self.passed[chosen], lead_ms=self.lead_ms[chosen])


@attrs.frozen(kw_only=True, slots=True)
class Precedence:
    """Credits found by queue, milliseconds, the least is 0; and how many choices disagree without and with them."""

    credit_ms: dict[str, int]
    choices: int
    disagreeing_without: int
    disagreeing_with: int


def choices_between_queues(
    interactions: InteractionColumns,
    serves: Mapping[str, Sequence[str]],
    head_start_ms: Mapping[int, int] | None = None,
    *,
    tolerance_ms: int = TOLERANCE_MS,
) -> Choices:
    """Find the choices that agents had between two of the queues they serve. O(n (log n + queues)).

    ``serves`` maps an agent to queues, ``head_start_ms`` a priority to waiting credited.
    """
    names = interactions.queue_names
    place = {name: position for position, name in enumerate(names)}
    also = [{place[queue] for queue in serves.get(agent, ())} for agent in interactions.agent_names]
    waited = interactions.queued & (interactions.left_queue_ms != NONE) & (interactions.outcome != Outcome.SET_ASIDE)
    heads = head_start_ms or {}
    credit = np.array([heads.get(priority, 0) for priority in interactions.priority.tolist()], dtype=np.int64)
    score = interactions.queued_ms - credit
    lines: list[list[tuple[int, int, int]]] = [[] for _ in names]
    for row in np.flatnonzero(waited).tolist():
        entered, left = int(interactions.queued_ms[row]), int(interactions.left_queue_ms[row])
        lines[int(interactions.queue[row])].append((int(score[row]), entered, left))
    for line in lines:
        line.sort()
    heads_at = [0] * len(names)
    served = np.flatnonzero(waited & interactions.served & (interactions.agent != NONE))
    found: list[tuple[int, int, int]] = []
    for row in served[np.argsort(interactions.left_queue_ms[served], kind="stable")].tolist():
        mine, left_ms = int(interactions.queue[row]), int(interactions.left_queue_ms[row])
        for other, line in enumerate(lines):
            head = heads_at[other]
            while head < len(line) and line[head][2] <= left_ms + tolerance_ms:
                head += 1
            heads_at[other] = head
            if other == mine or other not in also[int(interactions.agent[row])] or head == len(line):
                continue
            if line[head][1] < left_ms - tolerance_ms:
                found.append((mine, other, int(score[row]) - line[head][0]))
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    return Choices(queue_names=names, taken=table[:, 0], passed=table[:, 1], lead_ms=table[:, 2])


def search_precedence(choices: Choices, *, step_ms: int = GRID_STEP_MS, end_ms: int = GRID_END_MS) -> Precedence:
    """Find the credits that leave the fewest choices unexplained: coordinate descent on a grid. O(queues * grid * n).

    Of credits that explain equally much, the one nearest to 0 is kept.
    """
    queues = len(choices.queue_names)
    credit_ms = np.zeros(queues, dtype=np.int64)
    without = choices.disagreeing(credit_ms)
    grid = sorted(range(-end_ms, end_ms + 1, step_ms), key=lambda value: (abs(value), value))
    parts = [choices.touching(queue) for queue in range(queues)]
    order = sorted(range(queues), key=lambda queue: (len(parts[queue]), queue))
    for _ in range(ROUNDS):
        before = credit_ms.copy()
        for queue in order:
            _improve(parts[queue], queue, credit_ms, grid)
        if np.array_equal(before, credit_ms):
            break
    credit_ms -= credit_ms.min(initial=0)
    return Precedence(
        credit_ms={name: int(credit_ms[queue]) for queue, name in enumerate(choices.queue_names)},
        choices=len(choices),
        disagreeing_without=without,
        disagreeing_with=choices.disagreeing(credit_ms),
    )


def _improve(part: Choices, queue: int, credit_ms: Integers, grid: Sequence[int]) -> None:
    """Move one queue's credit to the best of the grid if that explains enough more than none does."""
    if len(part) < LEAST_CHOICES:
        credit_ms[queue] = 0
        return
    trial = credit_ms.copy()
    counts: list[tuple[int, int]] = []
    for place, value in enumerate(grid):
        trial[queue] = value
        counts.append((part.disagreeing(trial), place))
    fewest, place = min(counts)
    enough = counts[0][0] - fewest >= LEAST_GAIN * len(part)
    credit_ms[queue] = grid[place] if enough else 0
