"""Handle times by pair: how long the interactions of a class take the agents of a group.

What a router has in its estimates and who drives columns keeps beside them: both count the same pairs, and tell the
same of them. A pair is a class, in which the interaction stood when it was connected, and the home of the agent: his
group while he has time enough left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from omniroute.core.estimate import HandleTimes
from omniroute.core.estimate.integers import checked
from omniroute.errors import MisuseError
from omniroute.obligations import ladder

if TYPE_CHECKING:
    from omniroute.naming import Naming

__all__ = ["PAIRS_MAX", "PairTimes", "PairTimesState", "check_pair"]

PAIRS_MAX: Final = 4_096
"""Most pairs of a router of which handle times are kept; what comes later counts for its queue only."""

PairTimesState: TypeAlias = list[tuple[int, int, tuple[int, ...]]]
"""Class, home and handle times of each pair, ascending."""


def _is_current(naming: Naming, k: int) -> bool:
    """Whether new interactions may come to stand in a class, under the plan of now. O(1)."""
    if k < 0:
        return False
    name = naming.class_names[k]
    return naming.classes.get((name.queue, name.channel, name.part.text, name.view.step, name.view.lane)) == k


def check_pair(naming: Naming, k: int, home: int, least: int = 0) -> None:
    """Raise MisuseError where there is no such class or group. O(1)."""
    checked("class", k, least, len(naming.class_names) - 1)
    checked("home", home, least, len(naming.group_values) - 1)


class PairTimes:
    """The handle times of the pairs of one router."""

    def __init__(self) -> None:
        self._by_queue: dict[int, dict[tuple[int, int], HandleTimes]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, naming: Naming, pair: tuple[int, int], handle_ms: int) -> None:
        """Count a handle time of a class and a home, unless the class is -1 or has left the plan. O(log buckets)."""
        if not _is_current(naming, pair[0]):
            return
        pairs = self._by_queue.setdefault(naming.class_names[pair[0]].queue, {})
        times = pairs.get(pair)
        if times is None:
            if self._count >= PAIRS_MAX:
                return
            times = pairs[pair] = HandleTimes()
            self._count += 1
        times.add(handle_ms)

    def quantiles(
        self, naming: Naming, q: int, permille: int, classes: Sequence[int], place: Callable[[int], int | None]
    ) -> tuple[tuple[int, int, int], ...]:
        """The handle times that so many of a thousand end within, where enough are known to tell: sparse and sorted.

        Each is (place of the class among ``classes``, ``place`` of the group, ms), for the home and for each group
        that its agents go through as their time runs out; a group without a place is left out. O(pairs of the queue *
        (buckets + edges)).
        """
        pairs, found = self._by_queue.get(q), list[tuple[int, int, int]]()
        if not pairs:
            return ()
        rows, ladders = {k: at for at, k in enumerate(classes)}, dict[int, list[int]]()
        for (k, home), times in pairs.items():
            row = rows.get(k)
            if row is None or not times.tells(permille):
                continue
            handle_ms = times.quantile(permille)
            if home not in ladders:
                places = map(place, ladder(naming, home))
                ladders[home] = [at for at in places if at is not None]
            found += [(row, at, handle_ms) for at in ladders[home] if handle_ms is not None]
        return tuple(sorted(found))

    def keep(self, naming: Naming, queues: Sequence[int]) -> None:
        """Forget what is not of these queues, or of no class that anybody may enter now. O(pairs)."""
        self._by_queue = {
            q: {pair: times for pair, times in pairs.items() if _is_current(naming, pair[0])}
            for q, pairs in self._by_queue.items()
            if q in queues
        }
        self._count = sum(map(len, self._by_queue.values()))

    def state(self) -> PairTimesState:
        """Everything it knows. O(pairs * buckets)."""
        rows = ((*pair, times) for pairs in self._by_queue.values() for pair, times in pairs.items())
        return [(k, home, times.state()) for k, home, times in sorted(rows, key=lambda row: row[:2])]

    @classmethod
    def of_state(cls, naming: Naming, state: PairTimesState) -> PairTimes:
        """The value that had this :meth:`state`. O(state). Raises MisuseError if none can have had it."""
        found = cls()
        if len(state) > PAIRS_MAX or sorted({row[:2] for row in state}) != [row[:2] for row in state]:
            raise MisuseError(f"handle times of more than {PAIRS_MAX} pairs, or pairs out of order")
        for k, home, row in state:
            check_pair(naming, k, home)
            pairs = found._by_queue.setdefault(naming.class_names[k].queue, {})
            pairs[k, home] = HandleTimes.of_state(row)
        found._count = sum(map(len, found._by_queue.values()))
        return found

    def copy(self) -> PairTimes:
        """Another that knows the same. O(pairs)."""
        found = PairTimes()
        found._by_queue = {
            q: {pair: times.copy() for pair, times in pairs.items()} for q, pairs in self._by_queue.items()
        }
        found._count = self._count
        return found
