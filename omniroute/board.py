"""What a wallboard shows of a router at one instant: who waits and who works, counted, without a name of anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from omniroute.core.lifecycle import InteractionState, Presence
from omniroute.core.limits import TIME_MAX
from omniroute.events import PRESENCES
from omniroute.views import Board, QueueBoard

if TYPE_CHECKING:
    from omniroute.door import Door

__all__ = ["ACTIVITIES", "STATES", "live", "looked"]

ACTIVITIES: Final = ("idle", "busy", "resting", "not_ready", "draining", "signed_out")
"""What agents are counted by: those who are ready by what they do, the others by their presence."""

STATES: Final = ("waiting", "offered", "parked", "accepting", "connected", "on_hold", "interrupted", "wrap_up")
"""The states of live interactions, in the order of a life."""

_WAITING: Final = (InteractionState.WAITING, InteractionState.OFFERED)
_NAMES: Final = tuple(state.name.lower() for state in InteractionState)


class _Count:
    """What is counted of one queue."""

    def __init__(self) -> None:
        self.waiting: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.oldest: int | None = None


def looked(door: Door, now: int) -> Board:
    """Answer :meth:`omniroute.Router.board`."""
    naming, states, by_number = door.naming, Counter[str](), dict[int, _Count]()
    for (state, *classes), (count, oldest) in _alike(door).items():
        states[_NAMES[state]] += count
        names = [naming.class_names[k] for k in classes]
        if state not in _WAITING:
            names = names[:1]  # in hand, it belongs to the queue by which it came
        for name in {name.queue: name for name in reversed(names)}.values():
            found = by_number.setdefault(name.queue, _Count())
            found.states[_NAMES[state]] += count
            if state in _WAITING:
                found.waiting[name.view.channel] += count
                found.oldest = oldest if found.oldest is None else min(found.oldest, oldest)
    activities, units, in_use = _staff(door, now)
    return Board(
        now=now,
        queues=tuple(_queue(door, now, q, by_number.get(q, _Count()), activities) for q in naming.queues.values()),
        interactions=_in_order(states),
        agents=_summed(activities.values()),
        live_offers=len(door.ledger.offers),
        units=units,
        units_in_use=in_use,
    )


def _alike(door: Door) -> dict[tuple[int, ...], tuple[int, int]]:
    """By state and classes: how many interactions, and since when the one has waited that has waited longest."""
    counts: Counter[tuple[int, ...]] = Counter()
    oldest: dict[tuple[int, ...], int] = {}
    for numbers in map(door.core.interaction, door.ledger.numbers.values()):
        key = numbers[:1] + numbers[6::3]
        counts[key] += 1
        if numbers[3] < oldest.get(key, TIME_MAX):
            oldest[key] = numbers[3]
    return {key: (count, oldest.get(key, TIME_MAX)) for key, count in counts.items()}


def _staff(door: Door, now: int) -> tuple[dict[int, Counter[str]], int, int]:
    """By group, how many agents do what; then the units of who is signed in, and how many of them are in use."""
    naming = door.naming
    alike: Counter[tuple[int, int, bool, bool]] = Counter()
    in_use = 0
    for presence, group, used, _, _, rest, *_ in map(door.core.agent, range(len(naming.agent_ids))):
        alike[presence, group, used > 0, rest > now] += 1
        if presence != Presence.SIGNED_OUT:
            in_use += used
    found: dict[int, Counter[str]] = {}
    units = 0
    for (presence, group, busy, rests), count in alike.items():
        found.setdefault(group, Counter())[_activity(presence, busy, rests)] += count
        units += 0 if presence == Presence.SIGNED_OUT else count * naming.group_views[group].units
    return found, units, in_use


def _activity(presence: int, busy: bool, rests: bool) -> str:
    """What an agent is counted as: who holds something is busy, whether or not he rests."""
    if presence != Presence.READY:
        return PRESENCES[presence]
    return "busy" if busy else "resting" if rests else "idle"


def _queue(door: Door, now: int, q: int, found: _Count, activities: dict[int, Counter[str]]) -> QueueBoard:
    naming, estimates = door.naming, door.ledger.estimates
    queue = naming.queue_values[q]
    serving = []
    for group, counts in activities.items():
        if naming.group_views[group].may_serve(queue.name, queue.requirement):
            serving.append(counts)
    channels = dict.fromkeys(naming.class_names[k].view.channel for k in naming.queue_classes[q])
    return QueueBoard(
        name=queue.name,
        open=queue.name not in door.ledger.closed,
        waiting={channel: found.waiting[channel] for channel in (*channels, *found.waiting)},
        longest_wait_ms=None if found.oldest is None else now - found.oldest,
        interactions=_in_order(found.states),
        agents=_summed(serving),
        expected_wait_ms=None if estimates is None else estimates.value("wait", q),
        within_ms=None if queue.target is None else queue.target.within_ms,
    )


def _in_order(states: Counter[str]) -> dict[str, int]:
    """The states that occur, with their counts."""
    return {state: states[state] for state in STATES if states[state]}


def _summed(counts: Iterable[Counter[str]]) -> dict[str, int]:
    """Every activity with how many of some groups it is, none left out."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return {activity: total[activity] for activity in ACTIVITIES}


def live(door: Door) -> dict[str, tuple[str, str]]:
    """Answer :meth:`omniroute.Router.live`."""
    naming, found = door.naming, {}
    for name, i in door.ledger.numbers.items():
        numbers = door.core.interaction(i)
        queue = naming.class_names[numbers[6]].view.queue
        found[name] = _NAMES[numbers[0]], queue
    return found
