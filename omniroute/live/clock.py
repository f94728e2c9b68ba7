"""The wall clock of a service, made fit for a router: it never goes back, and never stands still."""

from __future__ import annotations

import time

__all__ = ["WallClock"]


class WallClock:
    """Milliseconds since 1970, as the machine says; where its clock is set back, time goes on at its pace all the same.

    A clock that is set forward is followed at once. After one that was set back, instants are ahead of the wall by as
    much until the process starts again, because offers and steps have to end after the time that they were promised.
    """

    def __init__(self) -> None:
        self._ahead_ns = 0

    def __call__(self) -> int:
        """The present, in ms."""
        steady = time.monotonic_ns()
        self._ahead_ns = max(self._ahead_ns, time.time_ns() - steady)
        return (steady + self._ahead_ns) // 1_000_000
