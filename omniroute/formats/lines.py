r"""From a file to numbered lines: compression, encoding, line ends and hostile bytes are settled here, once.

Text is UTF-8. Bytes that are not are kept readable as ``\xNN``: names that differ in such a byte stay different, and
any terminal or file can take the result. Lines end with LF or CR LF; a byte order mark before the first line is
dropped. A line with a NUL byte (a file system leaves such blocks behind after a power cut) or longer than
MAX_LINE_BYTES is broken.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeAlias, cast

from omniroute.errors import LogError
from omniroute.formats.limits import MAX_LINE_BYTES, MAX_UNPACKED_BYTES
from omniroute.formats.records import ReadSummary

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

NumberedLines: TypeAlias = Iterator[tuple[int, str]]

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BUFFER_BYTES: Final = 1 << 18
_MARK: Final = "\ufeff"
_DAMAGE: Final = (EOFError, zlib.error, gzip.BadGzipFile)


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open a log and close it afterwards; gzip is recognised by its first two bytes, not by the name.

    Gives the stream and the most bytes that may be read from it. Raises LogError when the file cannot be opened.
    """
    with ExitStack() as stack:
        try:
            if not path.is_file() and path.exists():  # to open a pipe is to wait, and a device may never end
                raise LogError("is not a file that can be read again from its start", source=str(path))
            file = stack.enter_context(path.open("rb"))
            packed = file.peek(2)[:2] == _GZIP_MAGIC
        except OSError as error:
            raise LogError(error.strerror or "cannot be opened", source=str(path)) from error
        except ValueError as error:
            raise LogError(f"is no name of a file: {error}", source=str(path)) from error
        if not packed:
            yield file, sys.maxsize
            return
        unpacked = stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb"))
        yield stack.enter_context(io.BufferedReader(_Unpacked(unpacked), _BUFFER_BYTES)), MAX_UNPACKED_BYTES


class _Unpacked(io.RawIOBase):
    """Gives what is decompressed as it comes, so that damage costs no line before it."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        data = self._packed.read1(len(room))
        room[: len(data)] = data
        return len(data)


def head_of(path: Path, size: int) -> bytes:
    """Return up to ``size`` bytes from the start of a log, decompressed; less when the compression is damaged.

    Raises LogError when the file cannot be opened.
    """
    found = b""
    with opened(path) as (stream, _), suppress(*_DAMAGE):
        while len(found) < size and (more := cast("io.BufferedReader", stream).read1(size - len(found))):
            found += more  # one read would lose what comes before the damage
    return found


def numbered_lines(stream: IO[bytes], summary: ReadSummary, limit_bytes: int = sys.maxsize) -> NumberedLines:
    """Yield (line number from 1, text without its line end) of the lines fit to be read; count the others.

    Time O(bytes), memory O(MAX_LINE_BYTES). Damaged compression ends the log as one broken line.
    Raises LogError after ``limit_bytes`` bytes, and for the first broken line when the summary is strict.
    """
    read = stream.readline
    number = taken = 0
    inside = False  # of a line that is too long and being skipped
    while True:
        try:
            raw = read(MAX_LINE_BYTES)
        except _DAMAGE:
            summary.lines = number + 1
            summary.refuse(number + 1, "compressed data are cut off or damaged")
            return
        if not raw:
            return
        taken += len(raw)
        if taken > limit_bytes:
            raise LogError(f"more than {limit_bytes} bytes after decompression", source=summary.source, line=number)
        ended = raw.endswith(b"\n")
        if inside:
            inside = not ended
            continue
        number += 1
        summary.lines = number
        if not ended and len(raw) == MAX_LINE_BYTES:
            inside = True
            summary.refuse(number, "line too long")
        elif b"\0" in raw:
            summary.refuse(number, "NUL byte")
        else:
            text = _decoded(raw, summary)
            if number == 1:
                text = text.removeprefix(_MARK)
            if not text or text.isspace():
                summary.put_aside("blank")
            else:
                yield number, text


def _decoded(raw: bytes, summary: ReadSummary) -> str:
    """Decode one line and drop its line end."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        summary.note("bytes that are not UTF-8")
        text = raw.decode("utf-8", "backslashreplace")
    return text.rstrip("\r\n")
