"""Every deadline that the naive twin holds, looked up anew each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from omniroute.core.codes import DeadlineKind
from omniroute.core.lifecycle import InteractionState
from omniroute.core.reference.state import IN_QUEUE, Interaction

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

Deadline = tuple[int, int, int, tuple[int, int]]
DUE_OF = {
    InteractionState.WRAP_UP: DeadlineKind.WRAP_UP_END,
    InteractionState.ACCEPTING: DeadlineKind.SETUP_END,
    InteractionState.PARKED: DeadlineKind.ACTIVATION,
    InteractionState.OFFERED: DeadlineKind.FURTHER_OFFER,
}


def of(core: Core) -> Iterator[Deadline]:
    """Every deadline as (due, kind, sequence, what); they fire by the first three."""
    for i, it in enumerate(core.interactions):
        if it is not None:
            yield from _of_interaction(core, i, it)
    for o, offer in enumerate(core.offers):
        if offer is not None and offer.due >= 0:
            yield offer.due, DeadlineKind.OFFER_EXPIRY, offer.seq, (o, 0)
    for j, agent in enumerate(core.agents):
        if agent.edge >= 0:
            yield agent.edge, DeadlineKind.EDGE, j, (j, 0)
        if agent.rest >= 0:
            yield agent.rest, DeadlineKind.REST_END, j, (j, 0)
    for w, window in enumerate(core.tables.windows):
        if window.closes_at >= 0:
            yield window.closes_at, DeadlineKind.WINDOW, w, (w, 0)
    for q, queue in enumerate(core.tables.queues):
        if queue.control_due >= 0:
            yield queue.control_due, DeadlineKind.CONTROL, q, (q, 0)
    if core.estimates_due >= 0:
        yield core.estimates_due, DeadlineKind.ESTIMATES, 0, (0, 0)


def _of_interaction(core: Core, i: int, it: Interaction) -> Iterator[Deadline]:
    if it.due >= 0:
        yield it.due, DUE_OF[it.state], it.seq, (i, 0)
    for x, tie in enumerate(it.ties):
        if tie.until >= 0:
            yield tie.until, DeadlineKind.TIE_END, tie.seq, (i, x)
    if it.state in IN_QUEUE:
        for e in range(len(it.entries)):
            yield from _of_entry(core, i, e)


def _of_entry(core: Core, i: int, e: int) -> Iterator[Deadline]:
    """An entry's next step, and its next opening while it may still be offered.

    A step that is due and waits for its condition has no deadline any more: the condition's flip takes it.
    """
    it = core.live(i)
    entry = it.entries[e]
    class_ = core.tables.classes[entry.class_]
    if class_.step_at >= 0:
        due = it.step_from + class_.step_at
        if due > core.now or class_.step_when < 0 or core.tables.conditions[class_.step_when].holds:
            yield due, DeadlineKind.STEP, entry.seq, (i, e)
    if entry.opening >= 0:
        yield entry.opening, DeadlineKind.OPENING, entry.seq, (i, e)
