"""A board with the figures of the last half hour, as bytes for another process.

It holds counts by queue and channel. Nobody can be found in it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from omniroute.errors import InputError
from omniroute.insight.tally import WITHIN_MS, Recent, Tally
from omniroute.views import Board

__all__ = ["BYTES_MAX", "FORMAT", "Wallboard", "decode", "encode", "wallboard"]

FORMAT: Final = 1
"""Of the bytes; a reader refuses what is later."""
BYTES_MAX: Final = 2**24
"""Bytes of a board that are read."""


class Wallboard(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallboard shows. ``recent`` is by queue, of the last ``window_ms``; empty where nobody counts events.

    ``within_ms`` is what counts as in time, by queue.
    """

    format: int
    board: Board
    window_ms: int = 0
    recent: dict[str, Recent] = {}
    within_ms: dict[str, int] = {}


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Wallboard)


def wallboard(board: Board, tally: Tally | None = None) -> Wallboard:
    """Put a board and a tally together. O(queues * window)."""
    names = [queue.name for queue in board.queues]
    if tally is None:
        within = {queue.name: queue.within_ms for queue in board.queues if queue.within_ms is not None}
        return Wallboard(format=FORMAT, board=board, within_ms={name: within.get(name, WITHIN_MS) for name in names})
    recent = tally.recent(board.now)
    return Wallboard(
        format=FORMAT,
        board=board,
        window_ms=tally.window_ms,
        recent={name: recent[name] for name in names if name in recent},
        within_ms={name: tally.within_ms(name) for name in names},
    )


def encode(board: Wallboard) -> bytes:
    """Return a board as one JSON document. O(size)."""
    return _ENCODER.encode(board)


def decode(data: bytes, *, source: str = "") -> Wallboard:
    """Return the board of a document. O(size). Raises InputError for what is none, or is of a later format."""
    if len(data) > BYTES_MAX:
        raise InputError(f"has more than {BYTES_MAX:,} bytes", source=source)
    try:
        found = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"is no board: {error}", source=source) from error
    if found.format != FORMAT:
        raise InputError(f"has format {found.format}, and this release reads format {FORMAT}", source=source)
    return found
