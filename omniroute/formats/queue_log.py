"""Asterisk's ``queue_log``: ``epoch|callid|queue|member|EVENT|data1|data2|...``, one event per line.

Old and new forms of every event are read: where a version did not write a wait or a talk time, it is taken from the
clocks. One call may pass several queues, one after the other or (attended transfers) at the same time: each passage is
a record, yielded when it ends. What is left at the end, or when the system starts anew (``QUEUESTART``), is yielded
then: a waiting call as OPEN, a connected one as SERVED without a handle time.

A call that began before the file is rebuilt from the hold and talk times of its later events. Clocks that step back are
noted; waits and handle times are the logged ones, so they do not suffer. The channel is ``voice``; caller ids become
``customer``; the priority is not in the format, so it is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs

from omniroute.formats.limits import MAX_DURATION_MS, MAX_EPOCH_MS, MAX_LEGS, MAX_NAME_CHARS, MAX_OPEN
from omniroute.formats.lines import NumberedLines
from omniroute.formats.records import (
    BrokenLine,
    LoggedInteraction,
    LogRecord,
    Outcome,
    PresenceChange,
    PresenceKind,
    ReadSummary,
    count,
    moment_in,
    name_in,
    whole_number,
)

_NOBODY: Final = ("", "NONE")
_UNKNOWN_CALLERS: Final = frozenset(("", "0", "NONE", "unknown", "anonymous", "<unknown>"))
_COUNTED_ONLY: Final = frozenset(("CONFIGRELOAD", "SYSCOMPAT", "RINGNOANSWER", "RINGCANCELED", "RINGINUSE", "OUTCALL"))
_LONGEST_S: Final = MAX_DURATION_MS // 1000


@attrs.frozen(slots=True)
class _Event:
    """One line, split and checked as far as all events have it in common."""

    at_ms: int
    call: str
    queue: str
    member: str
    data: list[str]
    line: int


@attrs.define(slots=True)
class _Passage:
    """A call on its way through one queue."""

    id: str
    queue: str
    entered_ms: int
    line: int
    customer: str | None = None
    position: int | None = None
    agent: str | None = None
    connected_ms: int | None = None
    wait_ms: int = 0


_Records: TypeAlias = Sequence[LogRecord]
_Handler: TypeAlias = Callable[["_Reader", _Event], _Records]
_NOTHING: Final[_Records] = ()


def read_queue_log(
    lines: NumberedLines, summary: ReadSummary, *, max_open: int = MAX_OPEN, max_legs: int = MAX_LEGS
) -> Iterator[LogRecord]:
    """Yield interactions as they end, and presence changes as they happen, in file order.

    O(1) per line; memory O(open calls), at most ``max_open``: then the one held longest is yielded as it stands.
    Raises LogError for the first broken line when the summary is strict.
    """
    reader = _Reader(summary, max_legs)
    latest_ms = 0
    for number, text in lines:
        try:
            event, name = _split(text, number)
            handler = _HANDLERS.get(name)
            records = handler(reader, event) if handler is not None else _NOTHING
        except BrokenLine as error:
            summary.refuse(number, error.reason, field=error.field)
            continue
        count(summary.events, name)
        if handler is not None or name in _COUNTED_ONLY:
            summary.kept += 1
        else:
            summary.put_aside("unknown event")
        if event.at_ms < latest_ms:
            summary.note("time goes backwards")
        latest_ms = event.at_ms
        if len(reader.open) > max_open:
            summary.note("more calls open than the limit")
            records = [*records, reader.close_as_it_stands(next(iter(reader.open)))]
        for record in records:
            _count_record(record, summary)
            yield record
    for record in reader.close_all("open when the log ended"):
        _count_record(record, summary)
        yield record


def _count_record(record: LogRecord, summary: ReadSummary) -> None:
    if isinstance(record, LoggedInteraction):
        summary.interactions += 1
    else:
        summary.presence_changes += 1


def _split(text: str, number: int) -> tuple[_Event, str]:
    """Split one line; blanks around the bars, which some copies of logs have, are dropped. Raises BrokenLine."""
    fields = text.split("|")
    if len(fields) < 5:
        raise BrokenLine("fewer than five fields")
    if " " in text:
        fields = [field.strip() for field in fields]
    time, call, queue, member, name = fields[:5]
    if len(text) > MAX_NAME_CHARS and max(len(call), len(queue), len(member)) > MAX_NAME_CHARS:
        raise BrokenLine("name too long")
    if not name or len(name) > 64 or not name.isprintable():
        raise BrokenLine("not an event name", field="event")
    return _Event(_epoch_ms(time), call, queue, member, fields[5:], number), name


def _epoch_ms(text: str) -> int:
    """Read seconds since 1970, perhaps with a fraction; ten digits last until the year 2286. Raises BrokenLine."""
    if len(text) == 10 and text.isdigit() and text.isascii():
        return int(text) * 1000
    seconds, dot, fraction = text.partition(".")
    ms = whole_number(seconds, "time", MAX_EPOCH_MS // 1000 - 1) * 1000
    if dot:
        whole_number(fraction, "time", 10**18)
        ms += int(fraction[:3].ljust(3, "0"))
    return ms


def _span_ms(event: _Event, index: int, field: str) -> int | None:
    """Return ``data[index]`` as milliseconds from whole seconds; None where the version did not write it."""
    if index >= len(event.data) or not (text := event.data[index]):
        return None
    return 1000 * whole_number(text, field, _LONGEST_S)


class _Reader:
    """The calls that are open, and what each event does to them."""

    def __init__(self, summary: ReadSummary, max_legs: int) -> None:
        self.summary = summary
        self.open: dict[tuple[str, str], _Passage] = {}
        self._legs: dict[str, int] = {}
        self._max_legs = max_legs

    # -- the calls

    def enter(self, event: _Event) -> _Records:
        """ENTERQUEUE: url, caller id, original position, caller name."""
        data = event.data
        position = data[2] if len(data) > 2 else ""
        place = whole_number(position, "position", 10**9) if position else None
        key = self._key(event)
        records = _NOTHING
        if key in self.open:
            self.summary.note("entered twice")
            records = (self.close_as_it_stands(key),)
        caller = data[1] if len(data) > 1 else ""
        self.open[key] = _Passage(
            id=self._new_id(event.call),
            queue=event.queue,
            entered_ms=event.at_ms,
            line=event.line,
            customer=None if caller in _UNKNOWN_CALLERS else caller[:MAX_NAME_CHARS],
            position=place,
        )
        return records

    def connect(self, event: _Event) -> _Records:
        """CONNECT: hold s, bridged channel, ring s (not in old versions)."""
        hold_ms = _span_ms(event, 0, "hold")
        key = self._key(event)
        passage = self.open.get(key)
        if passage is None:
            passage = self.open[key] = self._rebuilt(event, event.at_ms - (hold_ms or 0))
        elif passage.connected_ms is not None:
            self.summary.note("connected twice")
        passage.agent = None if event.member in _NOBODY else event.member
        passage.connected_ms = event.at_ms
        passage.wait_ms = max(event.at_ms - passage.entered_ms, 0) if hold_ms is None else hold_ms
        return _NOTHING

    def complete(self, event: _Event) -> _Records:
        """COMPLETEAGENT, COMPLETECALLER: hold s, talk s, original position."""
        return self._served(event, 0)

    def transfer(self, event: _Event) -> _Records:
        """TRANSFER, BLINDTRANSFER, ATTENDEDTRANSFER: two fields, then hold s, talk s, original position."""
        return self._served(event, 2)

    def _served(self, event: _Event, index: int) -> _Records:
        hold_ms = _span_ms(event, index, "hold")
        talk_ms = _span_ms(event, index + 1, "talk")
        key = self._key(event)
        passage = self.open.pop(key, None)
        if passage is None:
            passage = self._rebuilt(event, event.at_ms - (talk_ms or 0) - (hold_ms or 0))
        if passage.connected_ms is None:
            passage.connected_ms = max(event.at_ms - (talk_ms or 0), 0)
            passage.wait_ms = max(passage.connected_ms - passage.entered_ms, 0) if hold_ms is None else hold_ms
        if passage.agent is None and event.member not in _NOBODY:
            passage.agent = event.member
        handle_ms = max(event.at_ms - passage.connected_ms, 0) if talk_ms is None else talk_ms
        return (_record(passage, Outcome.SERVED, passage.connected_ms, event.at_ms, handle_ms),)

    def leave(self, event: _Event, outcome: Outcome, wait_index: int) -> _Records:
        """Close a call that leaves without an agent; ``wait_index`` says where its wait is written, if it is."""
        wait_ms = _span_ms(event, wait_index, "wait")
        key = self._key(event)
        passage = self.open.pop(key, None)
        if passage is None:
            passage = self._rebuilt(event, event.at_ms - (wait_ms or 0))
        if passage.connected_ms is not None:
            self.summary.note("left the queue after being connected")
            return (_record(passage, Outcome.SERVED, passage.connected_ms, event.at_ms, None),)
        passage.wait_ms = max(event.at_ms - passage.entered_ms, 0) if wait_ms is None else wait_ms
        return (_record(passage, outcome, event.at_ms, None, None),)

    def refuse(self, event: _Event) -> _Records:
        """FULL, CLOSED, JOINEMPTY: the queue did not let it in; a passage already open ends with it."""
        key = self._key(event)
        passage = self.open.pop(key, None)
        if passage is not None:
            return (_record(passage, Outcome.REFUSED, event.at_ms, None, None),)
        return (
            LoggedInteraction(
                id=self._new_id(event.call),
                queue=event.queue,
                channel="voice",
                arrived_ms=event.at_ms,
                outcome=Outcome.REFUSED,
                line=event.line,
            ),
        )

    def restart(self, _: _Event) -> _Records:
        """QUEUESTART: no call from before can close any more."""
        return self.close_all("open when the system started anew")

    def close_all(self, note: str) -> _Records:
        """Close every open call as it stands, in order of entry."""
        if self.open:
            self.summary.note(note, len(self.open))
        return [self.close_as_it_stands(key) for key in list(self.open)]

    def close_as_it_stands(self, key: tuple[str, str]) -> LoggedInteraction:
        """Close one call without an event: OPEN if it waits, SERVED without an end if it is connected."""
        passage = self.open.pop(key)
        if passage.connected_ms is None:
            return _record(passage, Outcome.OPEN, None, None, None)
        return _record(passage, Outcome.SERVED, passage.connected_ms, None, None)

    def _key(self, event: _Event) -> tuple[str, str]:
        if event.call in _NOBODY:
            raise BrokenLine("missing", field="callid")
        if event.queue in _NOBODY:
            raise BrokenLine("missing", field="queue")
        return event.call, event.queue

    def _rebuilt(self, event: _Event, entered_ms: int) -> _Passage:
        """Make the passage of a call whose entry is not in the log."""
        moment_in(entered_ms, "wait")
        self.summary.note("entry not in the log")
        return _Passage(id=self._new_id(event.call), queue=event.queue, entered_ms=entered_ms, line=event.line)

    def _new_id(self, call: str) -> str:
        """Return the id of a call's next passage: the first keeps its id; ``max_legs`` calls are remembered."""
        leg = self._legs.pop(call, 0) + 1
        self._legs[call] = leg
        if len(self._legs) > self._max_legs:
            del self._legs[next(iter(self._legs))]
        return call if leg == 1 else f"{call}#{leg}"

    # -- the agents

    def add_member(self, event: _Event) -> _Records:
        """ADDMEMBER: signed in to a queue; not ready when added paused."""
        paused = bool(event.data) and event.data[0] == "PAUSED"
        records = self.presence(event, PresenceKind.SIGNED_IN, None)
        return [*records, *self.presence(event, PresenceKind.NOT_READY, 0)] if paused else records

    def penalty(self, event: _Event) -> _Records:
        """PENALTY: an agent's new penalty, in one queue or in all."""
        value = whole_number(event.data[0] if event.data else "", "penalty", 2**31 - 1)
        return [attrs.evolve(change, penalty=value) for change in self.presence(event, PresenceKind.PENALTY, None)]

    def presence(self, event: _Event, kind: PresenceKind, reason_index: int | None) -> list[PresenceChange]:
        """Make the presence change of an event; an event that names no agent is counted only."""
        if event.member in _NOBODY:
            self.summary.note("presence without an agent")
            return []
        has_reason = reason_index is not None and reason_index < len(event.data)
        return [
            PresenceChange(
                at_ms=event.at_ms,
                agent=name_in(event.member, "member"),
                queue=None if event.queue in _NOBODY else event.queue,
                kind=kind,
                reason=(event.data[reason_index] or None) if has_reason and reason_index is not None else None,
                line=event.line,
            )
        ]


def _record(
    passage: _Passage, outcome: Outcome, left_ms: int | None, ended_ms: int | None, handle_ms: int | None
) -> LoggedInteraction:
    return LoggedInteraction(
        id=passage.id,
        queue=passage.queue,
        channel="voice",
        customer=passage.customer,
        arrived_ms=passage.entered_ms,
        queued_ms=passage.entered_ms,
        left_queue_ms=left_ms,
        wait_ms=passage.wait_ms,
        outcome=outcome,
        agent=passage.agent,
        started_ms=passage.connected_ms,
        ended_ms=ended_ms,
        handle_ms=handle_ms,
        position=passage.position,
        line=passage.line,
    )


def _leaving(outcome: Outcome, wait_index: int) -> _Handler:
    return lambda reader, event: reader.leave(event, outcome, wait_index)


def _presence(kind: PresenceKind, reason_index: int | None = None) -> _Handler:
    return lambda reader, event: reader.presence(event, kind, reason_index)


_HANDLERS: Final[dict[str, _Handler]] = {
    "ENTERQUEUE": _Reader.enter,
    "CONNECT": _Reader.connect,
    "COMPLETEAGENT": _Reader.complete,
    "COMPLETECALLER": _Reader.complete,
    "TRANSFER": _Reader.transfer,
    "BLINDTRANSFER": _Reader.transfer,
    "ATTENDEDTRANSFER": _Reader.transfer,
    "ABANDON": _leaving(Outcome.ABANDONED, 2),
    "AGENTDUMP": _leaving(Outcome.ABANDONED, 99),
    "EXITWITHTIMEOUT": _leaving(Outcome.TIMED_OUT, 2),
    "EXITWITHKEY": _leaving(Outcome.KEYED_OUT, 3),
    "EXITEMPTY": _leaving(Outcome.EMPTIED, 2),
    "WITHDRAW": _leaving(Outcome.WITHDRAWN, 2),
    "FULL": _Reader.refuse,
    "CLOSED": _Reader.refuse,
    "JOINEMPTY": _Reader.refuse,
    "QUEUESTART": _Reader.restart,
    "ADDMEMBER": _Reader.add_member,
    "REMOVEMEMBER": _presence(PresenceKind.SIGNED_OUT),
    "AGENTLOGIN": _presence(PresenceKind.SIGNED_IN),
    "AGENTCALLBACKLOGIN": _presence(PresenceKind.SIGNED_IN),
    "AGENTLOGOFF": _presence(PresenceKind.SIGNED_OUT),
    "AGENTCALLBACKLOGOFF": _presence(PresenceKind.SIGNED_OUT, 2),
    "PAUSE": _presence(PresenceKind.NOT_READY, 0),
    "UNPAUSE": _presence(PresenceKind.READY, 0),
    "PAUSEALL": _presence(PresenceKind.NOT_READY, 0),
    "UNPAUSEALL": _presence(PresenceKind.READY, 0),
    "PENALTY": _Reader.penalty,
}
