"""The log format of omniroute itself: JSON lines, with a version in the first.

::

    {"format":"omniroute-log","version":1}
    {"kind":"interaction","id":"17","queue":"sales","channel":"voice","arrived_ms":915148800000,"outcome":"served",...}
    {"kind":"presence","at_ms":915148800000,"agent":"ana","change":"ready"}

The fields are those of :class:`LoggedInteraction` and :class:`PresenceChange`; what is not given has its default. A
field that the version does not know makes the line broken: a reader that skipped it would misread a later version.
Customers are written only when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import IO, Annotated, Final, Literal, TypeAlias, cast

import msgspec

from omniroute.errors import LogError
from omniroute.formats.limits import MAX_DURATION_MS, MAX_EPOCH_MS, MAX_NAME_CHARS, MAX_PRIORITY
from omniroute.formats.lines import NumberedLines
from omniroute.formats.records import (
    LoggedInteraction,
    LogRecord,
    Outcome,
    PresenceChange,
    PresenceKind,
    ReadSummary,
)

FORMAT: Final = "omniroute-log"
VERSION: Final = 1

_Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=4096)]
_Moment: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=MAX_EPOCH_MS)]
_Span: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_DURATION_MS)]
_Small: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_PRIORITY)]
_OutcomeLabel: TypeAlias = Literal[
    "served",
    "abandoned",
    "left_before_queue",
    "set_aside",
    "timed_out",
    "keyed_out",
    "emptied",
    "refused",
    "withdrawn",
    "open",
]
_OUTCOMES: Final = {outcome.label: outcome for outcome in Outcome}
_PRESENCE: Final = {kind.value: kind for kind in PresenceKind}


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int


class _Interaction(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="interaction",
):
    id: _Name
    queue: _Name
    channel: _Name
    arrived_ms: _Moment
    outcome: _OutcomeLabel
    priority: _Small = 0
    customer: _Text | None = None
    queued_ms: _Moment | None = None
    left_queue_ms: _Moment | None = None
    wait_ms: _Span = 0
    agent: _Name | None = None
    started_ms: _Moment | None = None
    ended_ms: _Moment | None = None
    handle_ms: _Span | None = None
    wrap_up_ms: _Span | None = None
    needs: _Text | None = None
    position: _Small | None = None


class _Presence(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="presence",
):
    at_ms: _Moment
    agent: _Name
    change: Literal["signed_in", "signed_out", "ready", "not_ready", "penalty"]
    queue: _Name | None = None
    reason: _Text | None = None
    penalty: _Small | None = None


_FIELDS: Final = tuple(name for name in _Interaction.__struct_fields__ if name not in ("outcome", "customer"))


def read_jsonl(lines: NumberedLines, summary: ReadSummary) -> Iterator[LogRecord]:
    """Yield the records of an omniroute log, in file order.

    O(1) memory. Raises LogError when the first line is not the header of a version that this reader knows, and for the
    first broken line when the summary is strict.
    """
    decode = msgspec.json.Decoder(_Interaction | _Presence, strict=True).decode
    expecting_header = True
    for number, text in lines:
        if expecting_header:
            _check_header(text, number, summary)
            expecting_header = False
            summary.put_aside("header")
            continue
        try:
            row = decode(text)
        except msgspec.ValidationError as error:
            summary.refuse(number, _complaint(str(error)))
            continue
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            summary.refuse(number, "not JSON")
            continue
        record = _interaction(row, number) if isinstance(row, _Interaction) else _presence(row, number)
        _account(record, summary)
        yield record


def _account(record: LogRecord, summary: ReadSummary) -> None:
    if isinstance(record, PresenceChange):
        summary.presence_changes += 1
    else:
        summary.interactions += 1
        if record.outcome is Outcome.SET_ASIDE:
            summary.put_aside("set aside in the log")
            return
    summary.kept += 1


def _check_header(text: str, number: int, summary: ReadSummary) -> None:
    """Raise LogError unless the line says that this is an omniroute log of a known version."""
    try:
        header = msgspec.json.decode(text, type=_Header)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        header = None
    if header is None or header.format != FORMAT:
        raise LogError(
            f'the first line must be {{"format":"{FORMAT}","version":{VERSION}}}', source=summary.source, line=number
        )
    if header.version != VERSION:
        raise LogError(
            f"version {header.version} is not known; this omniroute reads version {VERSION}",
            source=summary.source,
            line=number,
            field="version",
        )


def _complaint(message: str) -> str:
    """Turn msgspec's message into a phrase without text from the log: paths and missing fields are the format's own."""
    if "unknown field" in message:
        return "unknown field"
    if missing := re.search(r"missing required field `(\w+)`", message):
        return f"{missing[1]}: missing"
    if path := re.search(r"at `\$\.(\w+)`", message):
        return f"{path[1]}: wrong type or out of range"
    return "not an interaction or presence record"


def _interaction(row: _Interaction, number: int) -> LoggedInteraction:
    return LoggedInteraction(
        id=row.id,
        queue=row.queue,
        channel=row.channel,
        priority=row.priority,
        customer=row.customer,
        arrived_ms=row.arrived_ms,
        queued_ms=row.queued_ms,
        left_queue_ms=row.left_queue_ms,
        wait_ms=row.wait_ms,
        outcome=_OUTCOMES[row.outcome],
        agent=row.agent,
        started_ms=row.started_ms,
        ended_ms=row.ended_ms,
        handle_ms=row.handle_ms,
        wrap_up_ms=row.wrap_up_ms,
        needs=row.needs,
        position=row.position,
        line=number,
    )


def _presence(row: _Presence, number: int) -> PresenceChange:
    return PresenceChange(
        at_ms=row.at_ms,
        agent=row.agent,
        queue=row.queue,
        kind=_PRESENCE[row.change],
        reason=row.reason,
        penalty=row.penalty,
        line=number,
    )


def write_jsonl(records: Iterable[LogRecord], stream: IO[bytes], *, customers: bool = False) -> int:
    """Write records as an omniroute log and return how many; ``customers`` also writes who they were.

    O(1) memory. ``line`` is not written: it says where a record stood in the log it came from.
    """
    encode = msgspec.json.Encoder().encode
    stream.write(encode(_Header(format=FORMAT, version=VERSION)) + b"\n")
    written = 0
    for record in records:
        if isinstance(record, LoggedInteraction):
            values = {name: getattr(record, name) for name in _FIELDS}
            customer = record.customer if customers else None
            line = encode(
                _Interaction(**values, outcome=cast("_OutcomeLabel", record.outcome.label), customer=customer)
            )
        else:
            line = encode(
                _Presence(
                    at_ms=record.at_ms,
                    agent=record.agent,
                    queue=record.queue,
                    change=record.kind.value,
                    reason=record.reason,
                    penalty=record.penalty,
                )
            )
        stream.write(line + b"\n")
        written += 1
    return written
