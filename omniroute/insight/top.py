"""A wallboard as tables of text: queues, agents, interactions. The words are those of the read side of a router."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

from omniroute.estimates import ENDLESS
from omniroute.insight.tables import NOTHING, Table, counted, percent, plain, printable
from omniroute.insight.tally import WITHIN_MS, Recent, Tally
from omniroute.insight.wallboard import Wallboard, wallboard
from omniroute.plan import duration_text
from omniroute.router import Router
from omniroute.views import QueueBoard

__all__ = ["clock_text", "legend", "summary", "table", "text", "top", "wrapped"]

NAME_MIN: Final = 8
"""Characters of a queue's name that are shown, however narrow the screen is."""
_ELLIPSIS: Final = "…"
_HEADINGS: Final = ("queue", "waiting", "longest", "EWT", "SL1 %", "served", "abandoned", "idle", "busy", "away")
_LEFT_OUT: Final = ("abandoned", "served", "EWT", "away", "busy", "SL1 %", "idle")
"""Columns for which a narrow screen has no room, the first of them first."""
_AWAY: Final = ("resting", "not_ready", "draining")


def clock_text(duration_ms: int | None) -> str:
    """Return a wait as a clock counts it.

    >>> clock_text(105_900), clock_text(3_723_000), clock_text(None)
    ('1:45', '1:02:03', '-')
    """
    if duration_ms is None:
        return NOTHING
    minutes, seconds = divmod(duration_ms // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def table(found: Wallboard, *, width: int = 80, rows: int | None = None) -> Table:
    """Return a row for each queue; of more than ``rows`` those where somebody has waited longest. O(queues * log).

    Names are cut where the table would be wider than ``width``, and then columns are left out. Without estimates there
    is no column for them.
    """
    queues = list(found.board.queues)
    title = ""
    if rows is not None and len(queues) > rows:
        queues = sorted(queues, key=lambda queue: -(queue.longest_wait_ms or -1))[:rows]
        title = f"{rows} of {len(found.board.queues):,} queues, the longest waits first"
    cells = [_HEADINGS, *(_row(queue, found.recent.get(queue.name)) for queue in queues)]
    wide = {column: 2 + max(len(row[column]) for row in cells) for column in range(1, len(_HEADINGS))}
    if all(queue.expected_wait_ms is None for queue in queues):
        del wide[_HEADINGS.index("EWT")]
    for heading in _LEFT_OUT:
        if sum(wide.values()) > width - NAME_MIN - 2:
            wide.pop(_HEADINGS.index(heading), None)
    columns, room = list(wide), max(NAME_MIN, width - sum(wide.values()) - 2)
    headings, *rest = ((_cut(row[0], room), *(row[column] for column in columns)) for row in cells)
    return Table(title=title, headings=headings, rows=tuple(rest))


def _cut(name: str, room: int) -> str:
    name = printable(name)
    return name if len(name) <= room else name[: room - 1] + _ELLIPSIS


def _row(queue: QueueBoard, recent: Recent | None) -> tuple[str, ...]:
    expected = queue.expected_wait_ms
    return (
        queue.name if queue.open else f"{queue.name} (closed)",
        counted(sum(queue.waiting.values())),
        clock_text(queue.longest_wait_ms),
        "never" if expected is not None and expected >= ENDLESS else clock_text(expected),
        percent(None if recent is None else recent.level),
        counted(None if recent is None else recent.served),
        counted(None if recent is None else recent.abandoned),
        counted(queue.agents["idle"]),
        counted(queue.agents["busy"]),
        counted(sum(queue.agents[state] for state in _AWAY)),
    )


def _listed(counts: Mapping[str, int], always: tuple[str, ...] = ()) -> str:
    shown = (f"{n:,} {state.replace('_', ' ')}" for state, n in counts.items() if n or state in always)
    return ", ".join(shown) or "none"


def summary(found: Wallboard) -> tuple[tuple[str, str], ...]:
    """Return what is counted over all queues: a word, and what there is of it. O(states)."""
    board = found.board
    return (
        ("agents", _listed(board.agents, ("idle", "busy"))),
        ("units in use", f"{board.units_in_use:,} of {board.units:,}"),
        ("interactions", _listed(board.interactions)),
        ("live offers", counted(board.live_offers)),
    )


def legend(found: Wallboard) -> str:
    """Return what the columns mean that could mean several things. O(queues)."""
    if not found.window_ms:
        return "No events were counted, so there is no service level."
    targets = sorted({*found.within_ms.values()}) or [WITHIN_MS]
    within = duration_text(targets[0]) if len(targets) == 1 else "the queue's target"
    return (
        f"SL1, served, abandoned: of the last {duration_text(found.window_ms)}. SL1: served within {within}, % of all "
        "who left the queue. Away: resting, not ready or draining."
    )


def text(found: Wallboard, *, width: int = 80) -> str:
    """Return a whole wallboard as lines of text. O(queues)."""
    pairs = summary(found)
    left = max(len(word) for word, _ in pairs)
    lines: Iterable[str] = (f"  {word.ljust(left)}  {what}" for word, what in pairs)
    return "\n".join((plain(table(found, width=width)), "", *lines, "", *wrapped(legend(found), width)))


def wrapped(sentence: str, width: int) -> list[str]:
    """Return a sentence as lines of so many columns, two blanks before each. O(size)."""
    return textwrap.wrap(sentence, width, initial_indent="  ", subsequent_indent="  ")


def top(router: Router, tally: Tally | None = None, *, now: int | None = None, width: int = 80) -> str:
    """Return the wallboard of a router in this process as text, once. Costs :meth:`omniroute.Router.board`.

    >>> from omniroute import Agent, Plan, Queue
    >>> router = Router(Plan(queues=[Queue("sales")], agents=[Agent("ana"), Agent("ben")]))
    >>> told = router.sign_in(0, "ana"), router.enqueue(0, "call-1", "sales"), router.enqueue(5_000, "call-2", "sales")
    >>> print(top(router, now=65_000))
      queue  waiting  longest  SL1 %  served  abandoned  idle  busy  away
      sales        2     1:05      -       -          -     0     1     0
    <BLANKLINE>
      agents        0 idle, 1 busy, 1 signed out
      units in use  1 of 1
      interactions  1 waiting, 1 offered
      live offers   1
    <BLANKLINE>
      No events were counted, so there is no service level.
    """
    return text(wallboard(router.board(now), tally), width=width)
