"""``omniroute journal``: verify, show, export, cut or compact the journal of a host that is not running."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from omniroute import records
from omniroute.cli import options
from omniroute.cli.exits import FINDING, INPUT, OK, OUTPUT, Failure
from omniroute.cli.screen import Progress, Screen
from omniroute.errors import InputError, JournalError, MisuseError
from omniroute.insight.tables import Table, many
from omniroute.journal.compacted import compact
from omniroute.journal.entry import Kind, entry_of, writer_of
from omniroute.journal.inspect import copied, cut, remains, verify
from omniroute.journal.sqlite import SqliteStore
from omniroute.plan import Plan

_SHOWN: Final = 20


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand with its own."""
    parser = options.subcommand(
        commands,
        "journal",
        "verify, show, export, cut or compact a journal, or forget a customer in it",
        "Looks at the journal of a host that is not running, on a copy; compact and forget change the file itself.\n"
        "What customers and agents are called, and what else commands hold, is only printed with --values.",
    )
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")
    one = options.subcommand(
        actions,
        "verify",
        "read and replay everything",
        "Reads every record, replays them, and compares the events with those that were told.",
    )
    one.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    one.set_defaults(run=run_verify)
    two = options.subcommand(actions, "show", "print records as a table", "Prints the last records, damaged or not.")
    two.add_argument("--limit", type=options.count, default=_SHOWN, metavar="N", help=f"so many records ({_SHOWN})")
    two.set_defaults(run=run_show)
    three = options.subcommand(
        actions,
        "export",
        "print records as lines of JSON",
        "Prints every record as one line of JSON, damaged or not.",
    )
    three.set_defaults(run=run_export)
    four = options.subcommand(
        actions,
        "cut",
        "write a new journal of what is good",
        "Writes a new journal with every record that recovery can trust. The damaged one is left as it is.",
    )
    four.add_argument("--after", type=options.count, metavar="N", help="leave out what is behind record N, good or not")
    four.set_defaults(run=run_cut)
    five = options.subcommand(
        actions,
        "compact",
        "keep what lives, and nothing that was",
        "Writes the file anew: a snapshot of what lives, no record, no other snapshot. Another release can go on from\n"
        "there. Consumers who have not taken everything and keys that were used before are no longer served.",
    )
    six = options.subcommand(
        actions,
        "forget",
        "erase a customer, and compact",
        "Erases a customer's journey, then compacts: no byte of the file has what records and older snapshots had.",
    )
    for action in (five, six):
        action.set_defaults(run=run_compact, customer="")
    for action in (one, two, three, four, five, six):
        action.add_argument("file", metavar="FILE", help="a journal; its -wal file belongs to it")
    six.add_argument("customer", type=options.some, metavar="CUSTOMER", help="as the host's commands name him")
    four.add_argument("new", metavar="NEW", help="the file to write, which must not be there")
    for action in (two, three):
        action.add_argument("--from", type=options.count, dest="begin", metavar="N", help="begin with record N")
        action.add_argument("--values", action="store_true", help="print what commands hold, names of people included")


def run_verify(given: argparse.Namespace) -> int:
    """Verify and return the exit code: a finding where the journal cannot be trusted."""
    progress, screen = Progress(), Screen()
    with _copy(given.file) as store:
        found = verify(store, said=lambda sequence: progress.say(f"replaying {given.file}: record {sequence:,}"))
    progress.done()
    if not found.last and not found.findings:
        raise Failure(INPUT, f"{given.file}: has no record")
    if given.json:
        screen.document(
            {
                "journal": given.file,
                "first": found.first,
                "last": found.last,
                "snapshots": list(found.snapshots),
                "replayed_from": found.replayed_from,
                "events": found.events,
                "writers": found.writers,
                "notes": found.notes,
                "findings": found.findings,
            }
        )
    else:
        screen.heading(f"Journal {given.file}")
        rows = [
            ("records", f"{found.first:,} to {found.last:,}"),
            ("snapshots after records", ", ".join(f"{at:,}" for at in found.snapshots) or "-"),
            ("replayed from record", f"{found.replayed_from:,}"),
            ("events made again", f"{found.events:,}"),
            ("written by", "; ".join(found.writers) or "-"),
        ]
        if found.last:
            screen.table(Table(title="", headings=("what", "found"), rows=tuple(rows), left=2))
            screen.say("")
        screen.items([*found.notes, *found.findings])
        screen.say("It cannot be trusted." if found.findings else "Everything is as it was told.")
    return FINDING if found.findings else OK


def run_show(given: argparse.Namespace) -> int:
    """Print records as a table and return the exit code."""
    with _copy(given.file) as store:
        rows = _rows(store, given.begin, values=given.values)
        shown = list(deque(rows, given.limit)) if given.begin is None else _some(rows, given.limit)
    headings = ("record", "at ms", "what", "events", "bytes", *(("values",) if given.values else ()))
    cells = tuple(
        (
            str(row["record"]),
            str(row.get("at", "-")),
            str(row["what"]),
            str(row.get("events", "-")),
            str(row["bytes"]),
            *((json.dumps(row.get("values"), ensure_ascii=False),) if given.values else ()),
        )
        for row in shown
    )
    Screen().table(Table(title="", headings=headings, rows=cells, left=6 if given.values else 3))
    return FINDING if any("damage" in row for row in shown) else OK


def run_export(given: argparse.Namespace) -> int:
    """Print records as lines of JSON and return the exit code."""
    code = OK
    with _copy(given.file) as store:
        for row in _rows(store, given.begin, values=given.values):
            sys.stdout.write(json.dumps(row, allow_nan=False) + "\n")
            if "damage" in row:
                code = FINDING
    return code


def run_cut(given: argparse.Namespace) -> int:
    """Write a new journal and return the exit code."""
    screen = Screen()
    try:
        found = cut(given.file, given.new, after=given.after)
    except JournalError as error:
        raise Failure(INPUT if error.source == given.file else OUTPUT, str(error)) from error
    screen.say(f"{given.new}: {many(found.last - found.base, 'record')}, the last one is {found.last:,}.")
    if found.why:
        screen.say(f"What ends it: {found.why}")
    if found.lost:
        screen.say(f"{many(found.lost, 'record')} behind it that {given.file} still has are left out.")
    return OK


def run_compact(given: argparse.Namespace) -> int:
    """Compact a journal, without a customer where one is named, and return the exit code."""
    screen = Screen()
    try:
        found = compact(given.file, customer=given.customer)
    except (JournalError, MisuseError) as error:
        raise Failure(INPUT, str(error)) from error
    screen.items(list(found.notes))
    screen.say(
        f"{given.file}: {many(found.records, 'record')} forgotten, {found.before:,} bytes are now {found.after:,}."
    )
    return OK


@contextmanager
def _copy(path: str) -> Iterator[SqliteStore]:
    """A store over a copy of a journal; what cannot be read is a failure of the input."""
    try:
        with copied(path) as store:
            yield store
    except JournalError as error:
        raise Failure(INPUT, str(error)) from error


def _some(rows: Iterator[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    return [row for row, _ in zip(rows, range(limit), strict=False)]


def _rows(store: SqliteStore, begin: int | None, *, values: bool) -> Iterator[dict[str, Any]]:
    """What can be said of each record that is left."""
    seen = 0
    for sequence, data in remains(store, 0 if begin is None else begin - 1):
        if seen and sequence != seen + 1:
            missing = f"{seen + 1} to {sequence - 1}"
            yield {"record": missing, "what": "missing", "bytes": 0, "damage": "not there"}
        seen = sequence
        yield _row(sequence, data, values=values)
    if not seen and begin is None:
        raise Failure(INPUT, f"{store.source}: has no record that can be read")


def _row(sequence: int, data: bytes, *, values: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"record": sequence, "bytes": len(data)}
    try:
        entry = entry_of(sequence, data)
        row |= {"at": entry.now, "events": entry.events, "digest": f"{entry.digest:016x}"}
        if entry.kind == Kind.TICK:
            row["what"] = "advance"
        elif entry.kind == Kind.OPENED:
            row["what"] = f"opened by {writer_of(sequence, entry.body)}"
        else:
            record = records.decode(entry.body)
            row["what"] = "start" if entry.kind == Kind.START else type(record.command).__name__
            row["answers"] = len(record.answers)
            if values:
                row["values"] = _values(entry.key, record)
    except (JournalError, InputError) as error:
        row |= {"what": "damaged", "damage": getattr(error, "message", str(error))}
    return row


def _values(key: str, record: records.Record) -> dict[str, Any]:
    """The fields of a command, by name, and its key."""
    command = record.command
    found = {name: getattr(command, name) for name in command.__struct_fields__}
    plan = found.get("plan")
    if isinstance(plan, Plan):
        found["plan"] = f"a plan with strategies of the host in queues {', '.join(queue.name for queue in plan.queues)}"
    made: dict[str, Any] = msgspec.to_builtins(found)
    return made | ({"key": key} if key else {})
