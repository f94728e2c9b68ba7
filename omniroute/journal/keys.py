"""Idempotency keys: a host that asks twice with one key is told once what happened, and told the same again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from omniroute.errors import MisuseError
from omniroute.model import shown

__all__ = ["KEYS_BYTES_MAX", "KEYS_MAX", "KEY_LENGTH_MAX", "KEY_RETENTION_MS", "Keys"]

KEYS_MAX: Final = 2**16
"""Keys remembered; one more forgets the oldest."""
KEYS_BYTES_MAX: Final = 2**24
"""Bytes of events remembered with keys; more forget the oldest, but never the last one."""
KEY_RETENTION_MS: Final = 86_400_000
"""A key is forgotten after so many milliseconds of the router's time, one day."""
KEY_LENGTH_MAX: Final = 256
"""Characters of a key."""

_FADED: Final = b""
"""In the place of events that are forgotten; no events are a byte."""


class _Known(NamedTuple):
    mark: int
    now: int
    events: bytes


def mark_of(command: bytes) -> int:
    """A fingerprint of a command's bytes in 64 bits. O(size)."""
    return int.from_bytes(hashlib.blake2b(command, digest_size=8).digest(), "little")


class Keys:
    """What was told under each key of late. It is a function of the journal, so recovery remembers the same."""

    def __init__(self, known: Iterable[tuple[str, int, int, bytes]] = ()) -> None:
        self._known = {key: _Known(mark, now, events) for key, mark, now, events in known}
        self._bytes = sum(len(known.events) for known in self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: str, mark: int) -> bytes | None:
        """The events told under a key, None where it is not known. O(1).

        Raises MisuseError for another command, and where what was told is forgotten and only the key is known.
        """
        known = self._known.get(key)
        if known is None:
            return None
        if known.mark != mark:
            raise MisuseError(f"key {shown(key)} was used for another command")
        if known.events == _FADED:
            raise MisuseError(f"key {shown(key)} was used, and what was told then has been forgotten")
        return known.events

    def remember(self, key: str, mark: int, now: int, events: bytes) -> None:
        """Remember what was told, and forget what is old or too much. O(1), spread over the calls."""
        if key in self._known:  # forgotten where it was written, and remembered here: the later one holds
            self._forget(key)
        self._known[key] = _Known(mark, now, events)
        self._bytes += len(events)
        while len(self._known) > 1:
            oldest = next(iter(self._known))
            if (
                len(self._known) <= KEYS_MAX
                and self._bytes <= KEYS_BYTES_MAX
                and self._known[oldest].now > now - KEY_RETENTION_MS
            ):
                return
            self._forget(oldest)

    def _forget(self, key: str) -> None:
        self._bytes -= len(self._known.pop(key).events)

    def fork(self) -> Keys:
        """A copy that lives on by itself. O(keys)."""
        other = Keys()
        other._known, other._bytes = self._known.copy(), self._bytes
        return other

    def fade(self) -> None:
        """Forget what was told under every key, and not that it was used. O(keys)."""
        self._known = {key: known._replace(events=_FADED) for key, known in self._known.items()}
        self._bytes = 0

    def state(self) -> list[tuple[str, int, int, bytes]]:
        """Everything remembered, the oldest first. O(keys)."""
        return [(key, *known) for key, known in self._known.items()]


def checked(key: str) -> str:
    """Look at the form of a key. O(length). Raises MisuseError."""
    if type(key) is not str or not 0 < len(key) <= KEY_LENGTH_MAX:
        raise MisuseError(f"key is {shown(key)}, expected a text of 1 to {KEY_LENGTH_MAX} characters")
    return key
