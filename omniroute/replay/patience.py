"""How long customers are willing to wait, from a log in which most were served before their patience ended.

Those who abandoned told their patience; those who were served only that it was longer than their wait: it is
*censored*. The product-limit estimate (Kaplan and Meier, 1958) uses both. Behind its last event the log is silent, and
the curve is continued with a constant hazard through its last point, S(t) = S(u) ** (t / u) (Brown, Hollander and
Korwar, 1974).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import numpy as np

from omniroute.insight.columns import Flags, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shares: TypeAlias = "NDArray[np.float64]"

ENDLESS: Final = -1
"""The patience of a customer who never leaves, as workloads write it."""
LONGEST_MS: Final = 7 * 86_400_000
"""No drawn patience is longer than a week."""


@attrs.frozen(kw_only=True, eq=False, slots=True)
class Survival:
    """The share of customers whose patience is longer than t: a step down at each of ``at_ms`` (m,), to ``share`` (m,).

    ``events`` customers abandoned, ``customers`` were watched.
    """

    at_ms: Integers
    share: Shares
    events: int
    customers: int

    def beyond(self, wait_ms: Integers) -> Shares:
        """Return S(t) for each wait, shape (k,): 1 before the first event, the last step behind the last."""
        steps = np.concatenate((np.ones(1), self.share))
        found: Shares = steps[np.searchsorted(self.at_ms, wait_ms, side="right")]
        return found

    @property
    def tail_share(self) -> float:
        """Share of customers more patient than anything that was seen; 1 where nobody abandoned."""
        return float(self.share[-1]) if len(self.share) else 1.0

    @property
    def median_ms(self) -> int | None:
        """Patience that half of the customers have, None where fewer than half were seen to run out of it."""
        below = np.flatnonzero(self.share <= 0.5)
        return int(self.at_ms[below[0]]) if len(below) else None

    def draw_beyond(self, wait_ms: Integers, random: np.random.Generator) -> Integers:
        """Draw a patience for each customer who was still there after ``wait_ms``, shape (k,), milliseconds.

        Always uses k numbers of ``random``. ENDLESS for all where nobody ever abandoned. O(k log m).
        """
        level = self.beyond(wait_ms) * (1.0 - random.random(len(wait_ms)))  # uniform in (0, S(wait)]
        if not len(self.share):
            return np.full(len(wait_ms), ENDLESS, dtype=np.int64)
        step = np.searchsorted(-self.share, -level, side="left")
        drawn = self.at_ms[np.minimum(step, len(self.at_ms) - 1)]
        behind = step == len(self.share)
        if behind.any():
            # The hazard of the tail continues the curve through its last point, and restarts for those who had
            # already waited longer: a constant hazard has no memory.
            last_ms, last = max(int(self.at_ms[-1]), 1), self.tail_share
            hazard = -np.log(last) / last_ms
            from_ms = np.maximum(wait_ms[behind], last_ms)
            tail = from_ms + np.rint(-np.log(level[behind] / last) / hazard).astype(np.int64)
            drawn[behind] = np.minimum(tail, LONGEST_MS)
        # A uniform number of exactly 0 would give the last step at or before the wait.
        return np.maximum(drawn, wait_ms)


def product_limit(wait_ms: Integers, abandoned: Flags) -> Survival:
    """Estimate the survival of patience from waits, shape (n,), of which some ended in abandonment. O(n log n).

    A customer served at the very instant when another abandons still counts as watched at that instant.

    >>> curve = product_limit(np.array([1000, 2000, 2000, 3000]), np.array([True, True, False, False]))
    >>> curve.at_ms.tolist(), curve.share.tolist()
    ([1000, 2000], [0.75, 0.5])
    """
    at_ms, events = np.unique(wait_ms[abandoned], return_counts=True)
    watched = len(wait_ms) - np.searchsorted(np.sort(wait_ms), at_ms, side="left")
    share: Shares = np.cumprod(1.0 - events / watched, dtype=np.float64)
    return Survival(at_ms=at_ms, share=share, events=int(events.sum()), customers=len(wait_ms))
