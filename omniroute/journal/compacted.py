"""A journal of a host that is not running, made small in its place: what lives in it, and nothing that was."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from omniroute import commands as c
from omniroute.errors import JournalError
from omniroute.journal.inspect import refuse_in_use
from omniroute.journal.recover import recover
from omniroute.journal.sqlite import SqliteStore, size_of

__all__ = ["Compacted", "compact"]


@frozen(kw_only=True)
class Compacted:
    """What was done: records and bytes that are no longer there, and what recovery found and mended."""

    records: int
    before: int
    after: int
    notes: tuple[str, ...]


def compact(path: str | os.PathLike[str], *, customer: str = "") -> Compacted:
    """Keep what lives at the end of a journal and nothing else; with ``customer`` erase him first. O(records + state).

    What was told is made again and compared on the way; where it cannot be trusted nothing is changed. No strategy is
    asked, so the code of a host's own is not needed. A kill leaves the journal as it was or as it is to be. Raises
    JournalError, DamagedError, MisuseError.
    """
    place = Path(path)
    refuse_in_use(place)
    before = _bytes(place)
    store = SqliteStore(place)
    try:
        held = store.acquire()
        if not held.head:
            raise JournalError("is empty", source=store.source)
        state, notes = recover(store, held)
        if customer:
            if state.router.journey(customer) is None:
                notes.append("no journey of that customer was there to erase; the rest was done")
            state.told += len(state.router.apply(state.router.now, c.Erase(customer)))
        state.keys.fade()
        state.writer = state.here
        store.forget(held.epoch, state.sequence, state.kept).result()
    finally:
        store.close()
    records = held.head + 1 - held.first
    return Compacted(records=records, before=before, after=_bytes(place), notes=(*held.notes, *notes))


def _bytes(path: Path) -> int:
    """Bytes of a file and of its log."""
    return size_of(path) + size_of(Path(f"{path}-wal"))
