"""What another plan would do to those who wait, looked at on a copy of the router."""

from __future__ import annotations

from collections.abc import Sequence

from omniroute import commands as c
from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.door import Door
from omniroute.events import Event, Offered, Rejected, StrategyFailed
from omniroute.plan import Plan
from omniroute.views import Preview, Previewed

__all__ = ["previewed"]

_WAITS = (InteractionState.WAITING, InteractionState.OFFERED)


class _Able:
    """Which agents could ever take an interaction that stands in certain classes, as bitmaps over agents."""

    def __init__(self, door: Door) -> None:
        self.core = door.core
        self.members: dict[int, int] = {}
        """Agents signed in, by the group that they are in with time enough left."""
        self.known: dict[tuple[int, ...], int] = {}
        for j in range(len(door.naming.agent_ids)):
            presence, group = door.core.agent(j)[0], door.core.obligation(j)[0]
            if presence != Presence.SIGNED_OUT:
                self.members[group] = self.members.get(group, 0) | 1 << j

    def of(self, numbers: Sequence[int]) -> int:
        """Those of an interaction's numbers in the core. O(1) when its classes were met before, else O(groups)."""
        classes = tuple(numbers[6::3])
        found = self.known.get(classes)
        if found is None:
            groups = found = 0
            for k in classes:
                groups |= self.core.serving(k)
            for group, members in self.members.items():
                found |= members if groups >> group & 1 else 0
            self.known[classes] = found
        return found


def previewed(door: Door, plan: Plan | str, limit: int) -> Preview:
    """Put a plan to a copy of a door and compare; see :meth:`omniroute.Router.preview`."""
    copied = door.fork()
    old = _Able(door)
    waiting = {
        i: numbers
        for i, name in enumerate(door.ledger.ids)
        if name and (numbers := door.core.interaction(i))[0] in _WAITS
    }
    before = {i: old.of(numbers) for i, numbers in waiting.items()}
    events = copied.apply(door.now, c.ChangePlan(plan))
    for event in events:
        if isinstance(event, Rejected):
            return Preview(refused=event.reason, detail=event.detail, waiting=len(waiting))
    return _compared(door, copied, waiting, before, events, limit)


def _compared(
    door: Door,
    copied: Door,
    waiting: dict[int, tuple[int, ...]],
    before: dict[int, int],
    events: Sequence[Event],
    limit: int,
) -> Preview:
    """Who is better or worse off. O(waiting + classes * groups + events)."""
    new, told = _Able(copied), {i: name for i, name in enumerate(door.ledger.ids) if i in waiting}
    offered = {event.interaction for event in events if isinstance(event, Offered)}
    found: list[tuple[int, int, Previewed]] = []
    ended = 0
    for i, numbers in waiting.items():
        name = told[i]
        if name not in copied.ledger.numbers:
            ended += 1
            after = 0
        else:
            after = new.of(copied.core.interaction(i))
        row = Previewed(
            interaction=name,
            gained=(after & ~before[i]).bit_count(),
            lost=(before[i] & ~after).bit_count(),
            able=after.bit_count(),
            offered=name in offered,
            stranded=not after and before[i] > 0 and name in copied.ledger.numbers,
        )
        if row.gained or row.lost or row.offered:
            found.append((numbers[3], i, row))
    rows = [row for *_, row in sorted(found, key=lambda item: item[:2])]
    return Preview(
        waiting=len(waiting),
        changing=sum(row.gained + row.lost > 0 for row in rows),
        gaining=sum(row.gained > 0 for row in rows),
        losing=sum(row.lost > 0 for row in rows),
        offered=sum(row.offered for row in rows),
        stranded=sum(row.stranded for row in rows),
        ended=ended,
        failed=tuple(dict.fromkeys(event.queue for event in events if isinstance(event, StrategyFailed))),
        interactions=tuple(rows[:limit]),
    )
