"""Overruns: what was in hand when a shift had ended or a break had begun; and the guard on the wall clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_calendar import END, at, table, tables

from omniroute import Agent, Plan, Queue, Router
from omniroute.calendar import Calendar, Overruns, Shift, Timetable, commands_between, overruns
from omniroute.errors import MisuseError
from omniroute.events import Connected, Released, Requeued, TakenOver, Transferred
from omniroute.strategies.schedule import Schedule


def test_overruns_of_a_day() -> None:
    """A call over the break by 3, one over the end of the shift by 5, one in time, one of another agent."""
    day = table((10, 20, "shift"), (20, 30, "break"), (30, 40, "shift"), start_ms=0)
    told = [
        Connected(1, 12, "c1", "ana", 1, 0),
        Released(2, 15, "c1", "ana"),
        Connected(3, 18, "c2", "ana", 2, 0),
        Connected(4, 19, "c3", "ben", 3, 0),
        Released(5, 23, "c2", "ana"),
        Connected(6, 35, "c4", "ana", 4, 0),
        TakenOver(7, 36, "c3", "ana", "ben"),
        Transferred(8, 42, "c4", "ana", "sales", 0),
        Requeued(9, 45, "c3", "ana", "sales", 0),
    ]
    found = overruns(told, [day], 0, END)
    assert found == {"ana": Overruns(obligations=2, overrun=2, overtime_ms=8, begun=4, late=3)}
    assert found["ana"].late_share == 0.75
    assert overruns(told, [day], 0, END, grace_ms=3)["ana"].late == 1
    assert overruns(told, [day], 0, END, grace_ms=5)["ana"].overtime_ms == 0
    assert overruns(told[:6], [day], 0, END)["ana"].overtime_ms == 3 + END - 40
    assert overruns([], [day], 0, END)["ana"].late_share is None
    with pytest.raises(MisuseError, match="not in order"):
        overruns(told[::-1], [day], 0, END)
    with pytest.raises(MisuseError, match="is known for"):
        overruns(told, [day], 0, END + 1)


@given(
    tables(),
    st.lists(st.tuples(st.integers(0, END - 1), st.integers(0, 30)), max_size=8),
    st.integers(0, 3),
)
def test_overruns_by_every_obligation(day: Timetable, held: list[tuple[int, int]], grace: int) -> None:
    """The numbers are those of a look at each obligation and each interaction.

    Planted: what begins at the obligation counted as begun before; a grace that is exceeded by being met.
    """
    rows = [(began, 1, Connected(0, began, f"c{n}", "ana", n, 0)) for n, (began, _) in enumerate(held)]
    rows += [(began + lasts, 2, Released(0, began + lasts, f"c{n}", "ana")) for n, (began, lasts) in enumerate(held)]
    told = [event for _, _, event in sorted(rows, key=lambda row: row[:2])]
    dues = [span.end_ms for span in day.spans if span.kind == "shift" and span.end_ms < END]
    over = [
        max((began + lasts - due for began, lasts in held if began < due < began + lasts - grace), default=0)
        for due in dues
    ]
    late = sum(any(began < due < began + lasts - grace for due in dues) for began, lasts in held)
    found = overruns(told, [day], 0, END, grace_ms=grace).get("ana")
    assert found == Overruns(
        obligations=len(dues),
        overrun=sum(map(bool, over)),
        overtime_ms=sum(over),
        begun=len(held),
        late=late,
    )


def test_the_guard_knows_when_clocks_change() -> None:
    """A night from 22:00 to 06:00 in Berlin has seven hours in March: the guard closes ten minutes before its real end.

    Planted: an end that is told as eight hours after the beginning.
    """
    rule = Shift(agents="ana", zone="Europe/Berlin", from_ms="22:00", to_ms="06:00")
    (ana,) = Calendar(shifts=[rule]).timetables(at("03-28 12:00"), at("03-30 12:00"))
    router = Router(Plan(queues=[Queue("sales", strategy=Schedule(longest="10m"))], agents=[Agent("ana")]))
    edge = at("03-29 03:50")
    for now, command in commands_between([ana], at("03-28 12:00"), edge):
        router.apply(now, command)
    assert router.agent("ana").obligation == at("03-29 04:00") == at("03-28 21:00") + 7 * 3_600_000
    assert router.next_deadline() == edge
    router.enqueue(edge, "c1", "sales")
    assert router.agent("ana").offers == ()
