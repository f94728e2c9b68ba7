"""What a host tells a router by the calendar: commands with their times, and presences as columns for a simulation.

A router reads no calendar. Whoever holds the clock asks here for the commands of a stretch of time and feeds each of
them at its instant, as he feeds everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

from omniroute.calendar.timetable import OPEN, SHIFT, Span, Timetable
from omniroute.commands import CloseQueue, Command, OpenQueue, SetObligation, SetPresence, SignIn, SignOut
from omniroute.core.lifecycle import PresenceMove
from omniroute.errors import MisuseError
from omniroute.model import shown

if TYPE_CHECKING:
    from omniroute.world.workload import Presences

__all__ = ["State", "agent_states", "commands_at", "commands_between", "presences_between"]

State: TypeAlias = tuple[str, str]
"""A presence ("signed_out", "ready", "not_ready", "draining") and its reason, the kind of a pause."""

OUT: Final[State] = ("signed_out", "")
READY: Final[State] = ("ready", "")
DRAINING: Final[State] = ("draining", "")

_COMES: Final = 3
_RANKS: Final = {OpenQueue: 0, CloseQueue: 1, SetObligation: 2, SignIn: _COMES, SignOut: 7}
_PRESENCE_RANKS: Final = {"ready": 4, "not_ready": 5, "draining": 6}
_MOVES: Final = {
    "ready": PresenceMove.SET_READY,
    "not_ready": PresenceMove.SET_NOT_READY,
    "draining": PresenceMove.DRAIN,
}


def _blocks(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """Return runs of spans without time between them."""
    block: list[Span] = []
    for span in spans:
        if block and block[-1].end_ms != span.start_ms:
            yield block
            block = []
        block.append(span)
    if block:
        yield block


def agent_states(table: Timetable) -> list[tuple[int, State]]:
    """Return what an agent should be, from each instant at which that changes; before the first he is signed out.

    ``drain_ms`` before a pause he is not ready already, with its reason; so long before the end he drains. O(spans).

    >>> day = [Span(0, 40, "shift"), Span(40, 50, "break"), Span(50, 90, "shift")]
    >>> table = Timetable(subject="ana", start_ms=0, end_ms=100, spans=day, drain_ms=5)
    >>> for at, state in agent_states(table):
    ...     print(at, *filter(None, state))
    0 ready
    35 not_ready break
    50 ready
    85 draining
    90 signed_out
    """
    found: list[tuple[int, State]] = []
    for block in _blocks(table.spans):
        for span, after in pairwise([*block, None]):
            assert span is not None
            if span.kind != SHIFT:
                found.append((span.start_ms, ("not_ready", span.kind)))
                continue
            found.append((span.start_ms, READY))
            if table.drain_ms:
                state = DRAINING if after is None else ("not_ready", after.kind)
                found.append((max(span.start_ms, span.end_ms - table.drain_ms), state))
        found.append((block[-1].end_ms, OUT))
    last_at_an_instant = dict(found)  # what comes later at one instant is right, at the place of the first
    changes: list[tuple[int, State]] = []
    for at, state in last_at_an_instant.items():
        if not changes or changes[-1][1] != state:
            changes.append((at, state))
    return changes


def _agent_commands(agent: str, before: State, state: State) -> list[Command]:
    """Return the commands that lead an agent from one state to the next.

    Who comes may still be at work of an earlier shift, signing out: of the two commands one is always refused.
    """
    presence, reason = state
    if before == OUT:
        if presence == "draining":
            return []
        change = SetPresence(agent, "ready") if presence == "ready" else SetPresence(agent, "not_ready", reason)
        return [SignIn(agent, ready=presence == "ready"), change]
    if before == DRAINING:
        return []  # the router signs him out when his hands are empty
    if presence == "ready":
        return [SetPresence(agent, "ready")]
    if presence == "not_ready":
        return [SetPresence(agent, "not_ready", reason)] if before == READY else []
    return [SetPresence(agent, "draining")] if presence == "draining" else [SignOut(agent)]


def _of_agent(table: Timetable) -> Iterator[tuple[int, Command]]:
    """What an agent is to be, and before he turns ready by when he has to be free again."""
    before, ends = OUT, {span.start_ms: span.end_ms for span in table.spans if span.kind == SHIFT}
    for at, state in agent_states(table):
        if state == READY:
            yield at, SetObligation(table.subject, ends[at])
        for command in _agent_commands(table.subject, before, state):
            yield at, command
        before = state


def _of_queue(table: Timetable) -> Iterator[tuple[int, Command]]:
    """Open and close; with a last call, what waits is dealt with at closing, for which the queue opens for no time."""
    queue, waiting, to = table.subject, table.waiting, table.move_to
    for span in table.spans:
        if span.kind != OPEN or span.end_ms - table.last_call_ms <= span.start_ms:
            continue
        yield span.start_ms, OpenQueue(queue, span.end_ms)
        if not table.last_call_ms or waiting == "keep":
            yield span.end_ms - table.last_call_ms, CloseQueue(queue, waiting, to)
            continue
        yield span.end_ms - table.last_call_ms, CloseQueue(queue)
        yield span.end_ms, OpenQueue(queue)
        yield span.end_ms, CloseQueue(queue, waiting, to)


def _rank(command: Command, closes: bool) -> int:
    if isinstance(command, SetPresence):
        return _PRESENCE_RANKS[command.presence]
    return _RANKS[CloseQueue if closes else type(command)]


def _ordered(tables: Iterable[Timetable], start_ms: int, end_ms: int) -> list[tuple[int, Command]]:
    """Return the commands of all timetables in a stretch of time, in the order in which they are fed."""
    rows = []
    seen = set()
    for table in tables:
        if (table.role, table.subject) in seen:
            raise MisuseError(f"two timetables of the {table.role} {shown(table.subject)}")
        seen.add((table.role, table.subject))
        near = table.near(start_ms, end_ms)
        fed = list(_of_agent(near) if table.role == "agent" else _of_queue(near))
        for number, (at, command) in enumerate(fed):
            if start_ms <= at < end_ms:
                again = isinstance(command, OpenQueue) and number + 1 < len(fed) and fed[number + 1][0] == at
                comes = isinstance(command, SetPresence) and number and isinstance(fed[number - 1][1], SignIn)
                rank = _COMES if comes and fed[number - 1][0] == at else _rank(command, again)
                rows.append((at, rank, table.subject, number, command))
    rows.sort(key=lambda row: row[:4])
    return [(at, command) for at, *_, command in rows]


def commands_between(tables: Iterable[Timetable], start_ms: int, end_ms: int) -> list[tuple[int, Command]]:
    """Return the commands of ``start_ms <= at < end_ms`` with their instants, in order; stretches can be joined.

    At one instant: queues open, queues close, agents hear when their shift or their next pause is, come, turn ready,
    turn not ready, drain, sign out; equals by name. O(commands log commands). Raises MisuseError for a stretch beyond a
    horizon, or two timetables of one subject.

    >>> day = Timetable(subject="ana", start_ms=0, end_ms=100, spans=[Span(10, 60, "shift")])
    >>> for at, command in commands_between([day], 0, 100):
    ...     print(at, command)
    10 SetObligation(agent='ana', due=60)
    10 SignIn(agent='ana', ready=True)
    10 SetPresence(agent='ana', presence='ready', reason='')
    60 SignOut(agent='ana')
    """
    listed = list(tables)
    for table in listed:
        if not table.start_ms <= start_ms <= end_ms <= table.end_ms:
            horizon = f"{table.start_ms}..{table.end_ms}"
            raise MisuseError(f"not from {start_ms} to {end_ms}: {table.subject!r} is known for {horizon}")
    return _ordered(listed, start_ms, end_ms)


def commands_at(tables: Iterable[Timetable], now: int) -> list[tuple[int, Command]]:
    """Return the commands that bring a new router, all signed out and all open, to where it should be before ``now``.

    What changes at ``now`` itself is not part of it: that is the beginning of ``commands_between(tables, now, …)``.
    O(subjects). Raises MisuseError outside a horizon.
    """
    found: list[tuple[int, Command]] = []
    for table in sorted(tables, key=lambda table: (table.role != "queue", table.subject)):
        table.covers(now)
        table = table.near(now, now)
        if table.role == "queue":
            before = [command for at, command in _of_queue(table) if at < now]
            if not before or isinstance(before[-1], CloseQueue):
                found.append((now, CloseQueue(table.subject)))
            else:
                found.append((now, before[-1]))
            continue
        state = OUT
        for at, later in agent_states(table):
            state = later if at < now else state
        if state[0] in ("ready", "not_ready"):
            told = [command for at, command in _of_agent(table) if at < now and isinstance(command, SetObligation)]
            found += [(now, command) for command in told[-1:]]
            found.append((now, SignIn(table.subject, ready=state == READY)))
    return found


def presences_between(tables: Iterable[Timetable], start_ms: int, end_ms: int) -> Presences:
    """Return the presences of the agents in a stretch of time, for ``simulate``: those at its start, then all changes.

    The same as :func:`commands_at` and :func:`commands_between`; queues' hours are no part of it. O(commands log
    commands). Raises MisuseError as they do.
    """
    from omniroute.world.workload import Presences  # numpy is for who wants columns

    agents = sorted((table for table in tables if table.role == "agent"), key=lambda table: table.subject)
    numbers = {table.subject: number for number, table in enumerate(agents)}
    at_ms, agent, move, until_ms = [], [], [], []
    until = dict.fromkeys(numbers, -1)
    for at, command in commands_at(agents, start_ms) + commands_between(agents, start_ms, end_ms):
        if isinstance(command, SetObligation):
            until[command.agent] = -1 if command.due is None else command.due
            continue
        if isinstance(command, SignIn):
            step = PresenceMove.SIGN_IN if command.ready else PresenceMove.SIGN_IN_NOT_READY
        else:
            step = _MOVES[command.presence] if isinstance(command, SetPresence) else PresenceMove.SIGN_OUT
        assert isinstance(command, SignIn | SignOut | SetPresence)
        assert isinstance(command.agent, str)
        at_ms.append(at)
        agent.append(numbers[command.agent])
        move.append(int(step))
        until_ms.append(until[command.agent])
    return Presences(at_ms=at_ms, agent=agent, move=move, until_ms=until_ms, agents=list(numbers))
