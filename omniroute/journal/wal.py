"""What the write-ahead log of a database file says about the end of it, read before anything is written.

SQLite believes a log up to its last commit with a right checksum and drops the rest without a word. That is right for a
commit that was cut short, and wrong for a byte that flipped in the middle: what follows was durable. This reads the
frames once more and says which of both it is. Layout: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import sys
from array import array
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["End", "end_of", "mend"]

_HEAD: Final = 32
_FRAME: Final = 24
_MAGIC: Final = (0x377F0682, 0x377F0683)
_SALTS: Final = slice(8, 16)


class End(NamedTuple):
    """How a log ends: pages of whole commits, pages behind them that are dropped, commits that end among those."""

    pages: int
    dropped: int
    commits: int
    readable: bool

    @property
    def lost(self) -> bool:
        """Whether more is dropped than one commit that was cut short."""
        return not self.readable or self.commits > 1


def end_of(path: Path) -> End | None:
    """How the log of a database ends, None where there is none. O(size), some 20 ms for a megabyte."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(data) <= _HEAD:
        return None
    magic, _, page = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
    big = magic == _MAGIC[1]
    if magic not in _MAGIC or not 512 <= page <= 65_536 or page & (page - 1):
        return End(0, 0, 0, readable=False)
    sums = _checksum(data[:24], 0, 0, big=big)
    if sums != _pair(data, 24):
        return End(0, 0, 0, readable=False)
    salts, size = data[16:24], _FRAME + page
    frames = range(_HEAD, len(data), size)
    whole = good = 0
    for number, at in enumerate(frames, 1):
        head = data[at : at + _FRAME]
        if len(data) < at + size or head[_SALTS] != salts:
            break
        sums = _checksum(data[at + _FRAME : at + size], *_checksum(head[:8], *sums, big=big), big=big)
        if sums != _pair(head, 16):
            break
        good = number
        if any(head[4:8]):
            whole = number
    rest = [data[at : at + _FRAME] for at in frames[good:]]
    ours = [number for number, head in enumerate(rest) if head[_SALTS] == salts]
    partial = bool(rest) and len(rest[0]) < 16  # too short to say whose it is
    commits = sum(1 for number in ours if any(rest[number][4:8]))
    last = max(ours, default=-1)
    if ours and not any(rest[last][4:8]) and commits:
        commits += 1  # behind the last commit another one had begun
    dropped = good - whole + max(last + 1, int(partial))
    return End(whole, dropped, commits, readable=True)


def mend(path: Path, page: int) -> bool:
    """Give every page of a damaged log a right checksum, so that SQLite reads on behind the damage. O(size).

    For a copy only: what is wrong in a page is then believed, and the seals of records have to find it. Returns
    whether there was anything to mend.
    """
    data = bytearray(path.read_bytes() if path.exists() else b"")
    size = _FRAME + page
    end = end_of(path)
    if end is None or len(data) < _HEAD + size or not (end.dropped or end.lost):
        return False
    said = [bytes(data[16:24]), *(bytes(data[at + 8 : at + 16]) for at in (_HEAD, _HEAD + size))]
    salts = max(said, key=said.count)
    frames = range(_HEAD, len(data) - size + 1, size)
    ours = [at for at in frames if data[at + 8 : at + 16] == salts]
    if int.from_bytes(data[:4], "big") not in _MAGIC:
        data[:4] = _MAGIC[0].to_bytes(4, "big")
    big = data[3] == _MAGIC[1] & 0xFF
    data[4:12] = (3_007_000).to_bytes(4, "big") + page.to_bytes(4, "big")
    data[16:24] = salts
    sums = _checksum(data[:24], 0, 0, big=big)
    data[24:_HEAD] = b"".join(part.to_bytes(4, "big") for part in sums)
    for at in frames[: frames.index(ours[-1]) + 1] if ours else ():
        data[at + 8 : at + 16] = salts
        sums = _checksum(data[at + _FRAME : at + size], *_checksum(data[at : at + 8], *sums, big=big), big=big)
        data[at + 16 : at + _FRAME] = b"".join(part.to_bytes(4, "big") for part in sums)
    path.write_bytes(data)
    return True


def _pair(data: bytes, at: int) -> tuple[int, int]:
    return int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")


def _checksum(data: bytes | bytearray, one: int, two: int, *, big: bool) -> tuple[int, int]:
    """The checksum of the log over words of 32 bits, going on from the sums before. O(size)."""
    words = array("I", bytes(data))
    if big == (sys.byteorder == "little"):
        words.byteswap()
    values = iter(words)
    for even, odd in zip(values, values, strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
