"""The port: what a store of journals does. Everything above it is the same for every store.

A store holds sealed entries, numbered from 1 without a gap, and sealed snapshots, each after one of them. Whoever wants
to write acquires it first and gets an *epoch*; whoever acquires it later gets a higher one, and the one before is then
*fenced*: nothing of his is written any more. An append says where it goes, so one that comes twice is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

from attrs import frozen

from omniroute.errors import DamagedError

__all__ = ["SNAPSHOTS_KEPT", "Durability", "Held", "Made", "Readable", "Result", "Store", "advised"]

SNAPSHOTS_KEPT: Final = 2
"""Snapshots that a store keeps; entries up to the oldest of them are forgotten."""

Result = TypeVar("Result")
"""What waits for an append: nobody gets it before the entries are durable."""

Made: TypeAlias = Callable[[], bytes]
"""What makes the bytes of a snapshot: called once, by a thread of the store where it has one."""

Durability: TypeAlias = Literal["full", "os", "memory"]
"""What an entry that is told to be durable survives: the loss of power, the end of the process, or neither."""


@frozen(kw_only=True)
class Held:
    """A journal as it is when it has been acquired.

    ``head`` is the last entry, 0 where there is none, ``first`` the first that is still there (``head + 1`` for none).
    ``notes`` say what was found and mended, in sentences.
    """

    epoch: int
    head: int
    first: int
    notes: tuple[str, ...] = ()


class Readable(Protocol):
    """The half of the port that recovery needs."""

    @property
    def source(self) -> str:
        """What messages call it."""
        ...

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The entries behind a sequence, in order. Raises DamagedError where one of them is not there."""
        ...

    def snapshots(self) -> Iterator[tuple[int, bytes]]:
        """The snapshots, the last one first, each read when it is asked for."""
        ...


class Store(Readable, Protocol):
    """The port. One conformance suite runs over every store.

    A store that has failed to write refuses everything until it is acquired again: what was being written then is *in
    doubt*, it may be there or not.
    """

    @property
    def durability(self) -> Durability:
        """What it survives."""
        ...

    def acquire(self) -> Held:
        """Hold the journal from now on; the store is opened again where it has failed or was closed.

        Raises JournalError where somebody else holds it who cannot be fenced, DamagedError where it cannot be trusted.
        """
        ...

    def append(self, epoch: int, first: int, entries: Sequence[bytes], result: Result) -> Future[Result]:
        """Write entries from the sequence ``first`` on, all or none; the future ends with ``result`` once durable.

        It ends with FencedError where ``epoch`` is over, JournalError where ``first`` is not the next or writing fails.
        Futures end in the order of the calls.
        """
        ...

    def keep(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Keep a snapshot of the state after an entry, and forget what is older than SNAPSHOTS_KEPT of them.

        Ends as an append does, or with what ``snapshot`` raises. Appends go on while it is made.
        """
        ...

    def forget(self, epoch: int, sequence: int, snapshot: Made) -> Future[None]:
        """Keep a snapshot alone: others and the entries up to ``sequence`` go, and none of their bytes is left.

        Ends as :meth:`keep` does.
        """
        ...

    def close(self) -> None:
        """Write what is waiting, and let go of the journal. Closing twice does nothing."""
        ...


def advised(error: DamagedError, source: str) -> DamagedError:
    """An error that also says how to go on with what is good. O(1)."""
    behind = "" if error.sequence is None else f" --after {error.sequence - 1}"
    error.advice = f"To go on with what is good: omniroute journal cut {source} NEW{behind}"
    return error
