"""Why an agent does not get an interaction, in the words of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniroute.core.codes import Clause
from omniroute.views import Why

if TYPE_CHECKING:
    from omniroute.door import Door

__all__ = ["why"]


def why(door: Door, i: int, j: int) -> tuple[Why, ...]:
    """Answer :meth:`omniroute.Router.why` of an interaction and an agent by number."""
    naming, core = door.naming, door.core
    clauses = core.why_not(i, j)
    found = []
    for clause, k in zip(clauses, core.interaction(i)[6::3] if clauses else (), strict=True):
        view, who = naming.class_names[k].view, naming.group_views[core.agent(j)[1]]
        detail = None
        if clause == Clause.NOT_ALLOWED:
            detail = view.requirement.why_not(who.skills, who.labels)
            if detail is None and who.queues is not None and view.queue not in who.queues:
                detail = f"is not a member of {view.queue}"
            elif detail is None and who.time_left_ms is not None:
                detail = "has too little time left"
        if clause == Clause.IN_WINDOW:
            window = naming.queue_values[naming.class_names[k].queue].window
            assert window is not None
            detail = f"until {core.window(naming.windows[window.name])[1]} at the latest"
        name = Clause(clause).name.lower() if clause else None
        found.append(Why(queue=view.queue, clause=name, detail=detail))
    return tuple(found)
