"""What a wallboard shows of a router at one instant: who waits and who works, counted, without a name of anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from omniroute.core.lifecycle import InteractionState, Presence
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


class _Count:
    """What is counted of one queue."""

    def __init__(self) -> None:
        self.waiting: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.oldest = -1


def looked(door: Door, now: int) -> Board:
    """Answer :meth:`omniroute.Router.board`."""
    core, naming, ledger = door.core, door.naming, door.ledger
    by_number: dict[int, _Count] = {}
    states: Counter[str] = Counter()
    for i in ledger.numbers.values():
        numbers = core.interaction(i)
        state, wait_from = InteractionState(numbers[0]), numbers[3]
        states[state.name.lower()] += 1
        waits = state in _WAITING
        for q in dict.fromkeys(naming.class_names[k].queue for k in numbers[6::3]):
            found = by_number.setdefault(q, _Count())
            found.states[state.name.lower()] += 1
            if waits:
                found.waiting[_channel(door, i)] += 1
                found.oldest = wait_from if found.oldest < 0 else min(found.oldest, wait_from)
            else:
                break  # in hand, it belongs to the queue by which it came
    activities, units, in_use = _staff(door, now)
    return Board(
        now=now,
        queues=tuple(_queue(door, now, q, by_number.get(q, _Count()), activities) for q in naming.queues.values()),
        interactions=_in_order(states),
        agents=_summed(activities.values()),
        live_offers=len(ledger.offers),
        units=units,
        units_in_use=in_use,
    )


def _channel(door: Door, i: int) -> str:
    ask = door.ledger.asks[i]
    assert ask is not None
    return ask.channel


def _staff(door: Door, now: int) -> tuple[dict[int, Counter[str]], int, int]:
    """By group, how many agents do what; then the units of who is signed in, and how many of them are in use."""
    core, naming = door.core, door.naming
    found: dict[int, Counter[str]] = {}
    units = in_use = 0
    for j in range(len(naming.agent_ids)):
        presence, group, used, _, _, rest, *_ = core.agent(j)
        found.setdefault(group, Counter())[_activity(presence, used, rest > now)] += 1
        if presence != Presence.SIGNED_OUT:
            units += naming.group_views[group].units
            in_use += used
    return found, units, in_use


def _activity(presence: int, used: int, rests: bool) -> str:
    """What an agent is counted as: who holds something is busy, whether or not he rests."""
    if presence != Presence.READY:
        return PRESENCES[presence]
    return "busy" if used else "resting" if rests else "idle"


def _queue(door: Door, now: int, q: int, found: _Count, activities: dict[int, Counter[str]]) -> QueueBoard:
    naming, estimates = door.naming, door.ledger.estimates
    queue = naming.queue_values[q]
    serving = []
    for group, counts in activities.items():
        view = naming.group_views[group]
        if (view.queues is None or queue.name in view.queues) and queue.requirement.matches(view.skills, view.labels):
            serving.append(counts)
    channels = dict.fromkeys(naming.class_names[k].view.channel for k in naming.queue_classes[q])
    return QueueBoard(
        name=queue.name,
        open=queue.name not in door.ledger.closed,
        waiting={channel: found.waiting[channel] for channel in (*channels, *found.waiting)},
        longest_wait_ms=None if found.oldest < 0 else now - found.oldest,
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
        found[name] = InteractionState(numbers[0]).name.lower(), queue
    return found
