"""What lives, by name: interactions, offers, who went lately; and the core's integers told as events.

A core's number of an interaction is free again the moment the interaction is gone, and only a later enqueue takes it.
So events are told right after each call of the core, in order, and names are dropped as their last event is told.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from omniroute.commands import Ref
from omniroute.core.codes import EventKind, PresenceReason
from omniroute.events import (
    CAUSES,
    PRESENCES,
    Abandoned,
    Connected,
    Event,
    Finished,
    OfferDeclined,
    Offered,
    OfferExpired,
    OfferWithdrawn,
    PresenceChanged,
    Queued,
    Released,
    Requeued,
    RevisionDue,
    StepTaken,
    Transferred,
    Unmatched,
)
from omniroute.naming import TIER_BASE, Ask, Naming

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["ENDED_MAX", "Ledger"]

ENDED_MAX: Final = 4_096
"""Ended offers that are remembered with their end."""

Raw = tuple[int, int, int, int, int, int]


class Ledger:
    """The names of what lives in one core."""

    def __init__(self, core: Core, naming: Naming) -> None:
        self.core = core
        self.naming = naming
        self.seq = 0
        """The number of the last event."""
        self.numbers: dict[str, int] = {}
        self.ids: list[str] = []
        """By number; empty where the number is free."""
        self.refs: list[Ref] = []
        self.asks: list[Ask | None] = []
        self.offers: dict[int, tuple[int, int, int]] = {}
        """Live offers: interaction, agent, due."""
        self.ended: OrderedDict[int, str] = OrderedDict()
        self.gone: deque[tuple[int, str]] = deque()
        """Who went when, oldest first; each is in ``recent`` as well."""
        self.recent: dict[str, int] = {}
        self.reasons: list[str] = [""] * len(naming.agent_ids)
        """What each agent's host said of his presence."""
        self.said = ""
        self.finished = 0
        """How many interactions have gone for good."""
        self._tellers: list[Callable[[int, int, int, int, int, int], Event | None]] = [
            getattr(self, f"_{kind.name.lower()}") for kind in EventKind
        ]

    def enter(self, i: int, name: str, ask: Ask, ref: Ref) -> None:
        """Give a number a name, before its first event is told. O(1)."""
        self.numbers[name] = i
        if i == len(self.ids):
            self.ids.append(name)
            self.asks.append(ask)
            self.refs.append(ref)
        else:
            self.ids[i] = name
            self.asks[i] = ask
            self.refs[i] = ref

    def _drop(self, i: int, at: int) -> None:
        name = self.ids[i]
        del self.numbers[name]
        self.ids[i], self.asks[i], self.refs[i] = "", None, None
        self.recent[name] = at
        self.gone.append((at, name))
        self.finished += 1

    def purge(self, until: int) -> None:
        """Forget who went at ``until`` or before. O(forgotten)."""
        gone = self.gone
        while gone and gone[0][0] <= until:
            del self.recent[gone.popleft()[1]]

    def _end(self, offer: int, end: str) -> None:
        del self.offers[offer]
        self.ended[offer] = end
        if len(self.ended) > ENDED_MAX:
            self.ended.popitem(False)

    def tell(self, events: list[Event]) -> list[Event]:
        """Take what the core has to tell and append it as events, which are returned. O(events)."""
        raw: Iterable[Raw] = self.core.take()
        seq, tellers = self.seq, self._tellers
        for kind, at, i, j, x, y in raw:
            event = tellers[kind](seq + 1, at, i, j, x, y)
            if event is not None:
                seq += 1
                events.append(event)
        self.seq = seq
        return events

    def next_seq(self) -> int:
        """The number of an event that the door itself tells. O(1)."""
        self.seq += 1
        return self.seq

    # One for each kind of event of the core --------------------------------------------------------------------------

    def _queued(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        return Queued(seq, at, self.ids[i], self.naming.queue_names[x], y - TIER_BASE, self.refs[i])

    def _offered(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        self.offers[x] = (i, j, y)
        return Offered(seq, at, self.ids[i], self.naming.agent_ids[j], x, y if y >= 0 else None, self.refs[i])

    def _declined(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        self._end(x, "declined")
        return OfferDeclined(seq, at, self.ids[i], self.naming.agent_ids[j], x, self.refs[i])

    def _expired(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        self._end(x, "expired")
        return OfferExpired(seq, at, self.ids[i], self.naming.agent_ids[j], x, self.refs[i])

    def _withdrawn(self, seq: int, at: int, i: int, j: int, x: int, _y: int) -> Event:
        self._end(x, "withdrawn")
        return OfferWithdrawn(seq, at, self.ids[i], self.naming.agent_ids[j], x, self.refs[i])

    def _connected(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        self._end(x, "accepted")
        return Connected(seq, at, self.ids[i], self.naming.agent_ids[j], x, y, self.refs[i])

    def _stepped(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event | None:
        """Behind no step are only classes of a changed plan: nothing happened that a host could see."""
        view = self.naming.class_names[x].view
        return StepTaken(seq, at, self.ids[i], view.queue, view.step, y, self.refs[i]) if view.step else None

    def _abandoned(self, seq: int, at: int, i: int, _j: int, x: int, y: int) -> Event:
        event = Abandoned(seq, at, self.ids[i], self.naming.queue_names[x], y, self.refs[i])
        self._drop(i, at)
        return event

    def _finished(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        return Finished(seq, at, self.ids[i], self.naming.agent_ids[j], x, y if y >= 0 else None, self.refs[i])

    def _released(self, seq: int, at: int, i: int, j: int, _x: int, _y: int) -> Event:
        event = Released(seq, at, self.ids[i], self.naming.agent_ids[j], self.refs[i])
        self._drop(i, at)
        return event

    def _requeued(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        naming = self.naming
        return Requeued(seq, at, self.ids[i], naming.agent_ids[j], naming.queue_names[x], y, self.refs[i])

    def _transferred(self, seq: int, at: int, i: int, j: int, x: int, y: int) -> Event:
        agent = self.naming.agent_ids[j] if j >= 0 else None
        return Transferred(seq, at, self.ids[i], agent, self.naming.queue_names[x], y, self.refs[i])

    def _presence(self, seq: int, at: int, _i: int, j: int, x: int, y: int) -> Event:
        reason = self.reasons[j] = self.said if y == PresenceReason.ASKED else ""
        return PresenceChanged(seq, at, self.naming.agent_ids[j], PRESENCES[x], CAUSES[y], reason)

    def _unmatched(self, seq: int, at: int, i: int, _j: int, x: int, _y: int) -> Event:
        view = self.naming.class_names[x].view
        return Unmatched(seq, at, self.ids[i], view.queue, view.requirement.text, self.refs[i])

    def _revision_due(self, seq: int, at: int, _i: int, _j: int, x: int, y: int) -> Event:
        """The counts move with commands only, so they are those of the instant whenever they are read."""
        _, _, entered, connected, in_target, abandoned = self.core.queue(x)
        return RevisionDue(seq, at, self.naming.queue_names[x], y, entered, connected, in_target, abandoned)

    def fork(self, core: Core, naming: Naming) -> Ledger:
        """The same names over a copy of the core. O(interactions + agents)."""
        other = Ledger(core, naming)
        for name, value in vars(self).items():
            if name not in ("core", "naming", "_tellers"):
                setattr(other, name, value if isinstance(value, int | str) else value.copy())
        return other
