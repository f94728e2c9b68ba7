"""Columns in, columns out, by the naive meaning: the commands in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import MutableSequence, Sequence
from typing import TYPE_CHECKING, TypeAlias

from omniroute.core import limits
from omniroute.core.codes import Cause, EventKind, PresenceReason, Reason
from omniroute.core.lifecycle import InteractionState, Presence, PresenceMove
from omniroute.core.reference.keys import mixed
from omniroute.errors import MisuseError

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

FINISH, LEAVE, ESTABLISH, ACCEPT, DECLINE, RETURN = range(6)
"""What comes, in this order at one instant."""
OPEN, SERVED, LEFT, FULL, DROPPED = range(5)
"""How a row has ended; DROPPED by a step that cancels."""
BLOCKED = -2
"""The agent of a row that found its queue full; the transfer of a row whose second queue was full."""

Given: TypeAlias = tuple[Sequence[int], ...]
Told: TypeAlias = tuple[MutableSequence[int], ...]


def chance(seed: int, number: int, attempt: int) -> int:
    """0..999, by nothing but the seed, the number of a row and the attempt (1, 2...) to offer it."""
    return mixed(mixed(mixed(seed) ^ number) ^ attempt) % 1000


class Driver:
    """Drives a core through columns, in one call or in several.

    Agents accept at once, or answer as the columns ``answers`` say, each by his own of three columns ``habits`` (answer
    in ms, decline and ignore in 1/1000) where it is not -1. Who has turned not ready by himself comes back ``back`` ms
    later (-1: never) unless a presence came between. Where agents accept at once nothing is set up: an offer connects
    in the same move, before anything else of its instant. Where they answer, a set-up comes about within its instant.
    """

    def __init__(self, core: Core, seed: int = 0, back: int = -1, habits: Given = ()) -> None:
        self.core = core
        self.seed = seed
        self.back = back
        self.habits = habits
        self.rows: dict[int, int] = {}
        self.future: list[tuple[int, int, int, int]] = []  # when, kind, number, subject
        self.away: dict[int, int] = {}
        self.first = 0
        self.due: list[int] = []
        self.driving = False

    def keep(self, kept: Sequence[int]) -> None:
        """The rows ``kept``, ascending, are the first of the next call; the others are over and forgotten."""
        new = {old: number for number, old in enumerate(kept)}
        self.rows = {i: new[row] for i, row in self.rows.items() if row in new}
        self.future = [
            (when, kind, number if kind > LEAVE else new[number], subject)
            for when, kind, number, subject in self.future
            if kind > LEAVE or number in new
        ]
        heapq.heapify(self.future)
        self.first = len(new)
        self.driving = False

    def feed(
        self,
        arrivals: Given,
        presences: Given,
        results: Told,
        until: int = -1,
        more: bool = False,
        answers: Given = (),
        transfers: Given = (),
        details: Told = (),
        wraps: Given = (),
    ) -> int:
        """Go on, stopping before ``until`` (-1: when nothing is left), or with ``more`` behind the last arrival.

        With ``details`` it also stops behind the deadlines of an instant at which a control interval was over: whoever
        answers for the queues of :meth:`asked` does so, and :meth:`go_on` goes on.

        Returns how many presences are done. ``arrivals``: at, class, tier, head start, handling time, wrap-up (-1: what
        the one column of ``wraps`` says of the class that it came to its agent by), patience (-1: endless), the kept
        rows first. ``presences``: at, agent, presence move, perhaps an obligation that is told first (-1: none).
        ``answers``: number of the row for :func:`chance`, answer in ms, decline, ignore in 1/1000. ``transfers``: class
        (-1: none), tier, head start, handling time, wrap-up, whether it keeps its age. ``results``: agent, start, end,
        written where known. ``details``: how it ended, real wait, offers, last class, instant of the transfer, agent
        and start behind it. Ties of time: deadlines, ends of handling, abandonments, set-ups, accepts, declines,
        returns, presences, arrivals. Raises MisuseError for ``answers`` or ``transfers`` without ``details``.
        """
        if (answers or transfers) and not details:
            raise MisuseError("answers and transfers need details")
        self.arrivals, self.answers, self.transfers = arrivals, answers, transfers
        self.results, self.details, self.wraps = results, details, wraps
        self.presences, self.until, self.more = presences, until, more
        self.done, self.driving = 0, True
        self.core.auto_accept = not answers
        self.core.take()
        return self.go_on()

    def asked(self) -> list[int]:
        """The queues that want new tables before anything else happens; none where it went to its end."""
        return self.due.copy()

    def go_on(self) -> int:
        """Go on with the columns of the last call; how many of their presences are done. Raises MisuseError."""
        if not self.driving:
            raise MisuseError("no columns are being driven")
        a, p, core, presences, until = self.first, self.done, self.core, self.presences, self.until
        at, p_at = self.arrivals[0], presences[0]
        self.due.clear()
        self._hear()
        while not self.due and not (self.more and a == len(at)):
            due = core.next_deadline()
            ahead = [due] * (due >= 0) + [future[0] for future in self.future[:1]]
            now = min(ahead + list(p_at[p : p + 1]) + list(at[a : a + 1]), default=-1)
            if now < 0 or 0 <= until <= now:
                break
            if 0 <= due <= now:
                core.advance(now)
            elif self.future and self.future[0][0] == now:
                self._happen(*heapq.heappop(self.future))
            elif p < len(p_at) and p_at[p] == now:
                self.away.pop(presences[1][p], None)
                if len(presences) > 3:
                    core.oblige(now, presences[1][p], presences[3][p])
                core.set_presence(now, presences[1][p], presences[2][p])
                p += 1
            else:
                self._arrive(now, a)
                a += 1
            self._hear()
        self.first, self.done = a, p
        return p

    def _happen(self, now: int, kind: int, number: int, subject: int) -> None:
        if kind == FINISH:
            self._finish(now, number, subject)
        elif kind == LEAVE:
            if self._waits(subject) and self.rows[subject] == number and self._leaves_at(number) == now:
                self.core.leave(now, subject)
        elif kind == RETURN:
            if self.away.get(subject) == now and self.core.agent(subject)[0] == Presence.NOT_READY:
                self.core.set_presence(now, subject, PresenceMove.SET_READY)
        elif kind == ESTABLISH:
            self.core.established(now, subject)
        elif kind == DECLINE:
            self.core.decline(now, subject)
        elif self.core.accept(now, subject) == Reason.NO_ROOM:
            self.core.decline(now, subject, Cause.BUSY)

    def _waits(self, i: int) -> bool:
        return self.core.interaction(i)[0] in (InteractionState.WAITING, InteractionState.OFFERED)

    def _leaves_at(self, row: int) -> int:
        """When the customer leaves: the patience counts from the arrival, and anew from the transfer."""
        moved = self.details[4][row] if self.details else -1
        return (moved if moved >= 0 else self.arrivals[0][row]) + self.arrivals[6][row]

    def _be_patient(self, row: int, i: int) -> None:
        if self.arrivals[6][row] >= 0 and self._waits(i):
            heapq.heappush(self.future, (self._leaves_at(row), LEAVE, row, i))

    def _arrive(self, now: int, row: int) -> None:
        _, class_, tier, head_start, _, _, _ = self.arrivals
        i = self.core.enqueue(now, (class_[row],), tier[row], now - head_start[row])
        if i < 0:
            self.results[0][row], self.results[2][row] = BLOCKED, now
            if self.details:
                self.details[0][row], self.details[1][row], self.details[3][row] = FULL, 0, class_[row]
            return
        self.rows[i] = row
        if self.details:
            self.details[3][row] = class_[row]
        self._be_patient(row, i)

    def _finish(self, now: int, row: int, i: int) -> None:
        wrap_up = self.arrivals[5][row]
        if self.transfers and self.transfers[0][row] >= 0:
            if self.details[4][row] == -1 and self._transfer(now, row, i):
                return
            if self.details[4][row] >= 0:
                wrap_up = self.transfers[4][row]
        if wrap_up < 0:
            wrap_up = self.wraps[0][self.core.interaction(i)[6]]
        self.results[2][row] = now
        self.core.finish(now, i, wrap_up)

    def _transfer(self, now: int, row: int, i: int) -> bool:
        """Transfer it; False where the second queue is full."""
        class_, tier, head_start, _, _, keeps = (column[row] for column in self.transfers)
        since = self.core.interaction(i)[8] if keeps else now - head_start
        if self.core.transfer(now, i, (class_,), tier, since) == Reason.QUEUE_FULL:
            self.details[4][row] = BLOCKED
            return False
        self.details[0][row], self.details[3][row], self.details[4][row] = OPEN, class_, now
        self._be_patient(row, i)
        return True

    def _hear(self) -> None:
        """Write down what has happened, and what is to come of it."""
        for kind, now, i, j, x, y in self.core.take():
            if kind == EventKind.OFFERED:
                self._offered(now, self.rows[i], j, x)
            elif kind == EventKind.ACCEPTED:
                heapq.heappush(self.future, (now, ESTABLISH, i, i))
            elif kind == EventKind.CONNECTED:
                self._connected(now, self.rows[i], i, j, y)
            elif kind == EventKind.STEPPED and self.details:
                self.details[3][self.rows[i]] = x
            elif kind in (EventKind.ABANDONED, EventKind.CANCELLED):
                self.results[2][self.rows[i]] = now
                if self.details:
                    self.details[0][self.rows[i]] = LEFT if kind == EventKind.ABANDONED else DROPPED
                    self.details[1][self.rows[i]] = y
            elif kind == EventKind.PRESENCE and x == Presence.NOT_READY and y != PresenceReason.ASKED:
                self._turned(now, j)
            elif kind == EventKind.REVISION_DUE and self.details:
                self.due.append(x)

    def _turned(self, now: int, j: int) -> None:
        """An agent has turned not ready by himself."""
        if self.back >= 0:
            self.away[j] = now + self.back
            heapq.heappush(self.future, (now + self.back, RETURN, j, j))

    def _offered(self, now: int, row: int, j: int, offer: int) -> None:
        if self.details:
            self.details[2][row] += 1
            if self.details[2][row] >= limits.ATTEMPTS_MAX:
                raise limits.never_accepted(row)
        if not self.answers:
            return
        number, *habits = (column[row] for column in self.answers)
        if self.habits:
            habits = [
                own if own >= 0 else habit for own, habit in zip((c[j] for c in self.habits), habits, strict=True)
            ]
        answer, decline, ignore = habits
        drawn = chance(self.seed, number, self.details[2][row])
        if not decline <= drawn < decline + ignore:
            kind = DECLINE if drawn < decline else ACCEPT
            heapq.heappush(self.future, (now + answer, kind, offer, offer))

    def _connected(self, now: int, row: int, i: int, j: int, wait: int) -> None:
        if self.details and self.details[4][row] >= 0:
            self.details[5][row], self.details[6][row] = j, now
            lasts = self.transfers[3][row]
        else:
            self.results[0][row], self.results[1][row] = j, now
            lasts = self.arrivals[4][row]
        if self.details:
            self.details[0][row], self.details[1][row] = SERVED, wait
            self.details[3][row] = self.core.interaction(i)[6]
        heapq.heappush(self.future, (now + lasts, FINISH, row, i))
