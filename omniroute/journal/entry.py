"""What a journal holds, as bytes and back: entries, one for each command, and snapshots.

Every entry and every snapshot is sealed: a CRC32 of its bytes that begins with its sequence stands before them, so that
a byte that flipped, and an entry at another's place, are seen. A store carries sealed bytes and does not look inside.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeVar

import msgspec

from omniroute import __version__
from omniroute.core import IMPLEMENTATION
from omniroute.errors import DamagedError
from omniroute.events import Event, encode
from omniroute.snapshot import SEMANTICS

__all__ = ["FORMAT", "SHAPE", "Entry", "Kept", "Kind", "Writer", "digest_of", "opened", "sealed", "this_writer"]

FORMAT: Final = 1
"""The number of this layout; another layout gets another number, and the old ones stay readable."""

SHAPE: Final[Mapping[str, int]] = {kind.__name__: len(kind.__struct_fields__) for kind in Event.__args__}
"""How many fields each event has here. Fields are only ever appended, so an older digest covers the first ones."""

_SEAL: Final = 4
_Found = TypeVar("_Found")


class Kind(IntEnum):
    """What an entry is about."""

    START = 0
    """The first one: its body is the record of the plan, as a ChangePlan with the answers of the start."""
    OPENED = 1
    """Somebody holds the journal from here on: its body is a :class:`Writer`."""
    COMMAND = 2
    """A command: its body is its record."""
    TICK = 3
    """Deadlines that fired without a command; it has no body."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry; ``events`` were told, ``digest`` is that of their bytes, ``key`` is the host's own, empty for none."""

    kind: int
    now: int
    body: bytes = b""
    events: int = 0
    digest: int = 0
    key: str = ""


class Writer(msgspec.Struct, frozen=True, array_like=True):
    """Who writes: release, meaning of commands, core, and the fields that its events have."""

    version: str
    semantics: int
    core: str
    shape: dict[str, int]

    def __str__(self) -> str:
        return f"omniroute {self.version} (semantics {self.semantics}, core {self.core})"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot: the router's own, what it cannot hold, and the last event told.

    ``plan`` is the record of its plan where the router's bytes have none, because a strategy is not in the catalogue.
    """

    writer: Writer
    told: int
    router: bytes
    plan: bytes
    keys: list[tuple[str, int, int, bytes]]


_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRIES: Final = msgspec.msgpack.Decoder(Entry)
_WRITERS: Final = msgspec.msgpack.Decoder(Writer)
_KEPT: Final = msgspec.msgpack.Decoder(Kept)


def this_writer() -> Writer:
    """Who writes here and now. O(kinds of events)."""
    return Writer(__version__, SEMANTICS, IMPLEMENTATION, dict(SHAPE))


def bytes_of(value: Entry | Writer | Kept) -> bytes:
    """A value of a journal as bytes; equal values give equal bytes. O(size)."""
    return _ENCODER.encode(value)


def sealed(sequence: int, data: bytes) -> bytes:
    """Bytes with the seal of their place before them. O(size).

    >>> opened(7, sealed(7, b"abc"))
    b'abc'
    """
    return zlib.crc32(data, sequence & 0xFFFFFFFF).to_bytes(_SEAL, "little") + data


def opened(sequence: int, data: bytes, source: str = "") -> bytes:
    """Bytes without their seal. O(size). Raises DamagedError where it does not fit."""
    body = data[_SEAL:]
    if zlib.crc32(body, sequence & 0xFFFFFFFF) != int.from_bytes(data[:_SEAL], "little") or len(data) < _SEAL:
        raise DamagedError("its bytes are not those that were written", source=source, sequence=sequence)
    return body


def _decoded(decode: Callable[[bytes], _Found], data: bytes, sequence: int, source: str) -> _Found:
    try:
        return decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(f"cannot be read: {error}", source=source, sequence=sequence) from error


def entry_of(sequence: int, data: bytes, source: str = "") -> Entry:
    """The entry of sealed bytes. O(size). Raises DamagedError."""
    found = _decoded(_ENTRIES.decode, opened(sequence, data, source), sequence, source)
    if not 0 <= found.kind <= Kind.TICK:
        raise DamagedError(f"is of kind {found.kind}, which is not known here", source=source, sequence=sequence)
    return found


def writer_of(sequence: int, data: bytes, source: str = "") -> Writer:
    """The writer that the body of an entry names. O(size). Raises DamagedError."""
    return _decoded(_WRITERS.decode, data, sequence, source)


def kept_of(sequence: int, data: bytes, source: str = "") -> Kept:
    """The snapshot of sealed bytes. O(size). Raises DamagedError."""
    return _decoded(_KEPT.decode, opened(sequence, data, source), sequence, source)


def digest_of(events: Sequence[Event], shape: Mapping[str, int] = SHAPE) -> int:
    """A hash of events in 64 bits, over the fields that ``shape`` names. O(size)."""
    if shape is SHAPE:
        data = encode(events if type(events) is list else list(events))
    else:
        data = _ENCODER.encode([_trimmed(event, shape) for event in events])
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _trimmed(event: Event, shape: Mapping[str, int]) -> list[object]:
    """An event as a release wrote it that knew fewer fields of it."""
    name = type(event).__name__
    return [name, *msgspec.structs.astuple(event)[: shape.get(name)]]
