"""The commands of a router as methods without an instant: whoever owns the clock brings it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, cast

from omniroute import commands as c
from omniroute.events import Event
from omniroute.router import Router

__all__ = ["command_of"]

P = ParamSpec("P")


class _Recorder:
    """Stands for a router whose commands are wanted, and not what they do."""

    def _apply(self, now: int, command: c.Command) -> c.Command:  # noqa: ARG002
        return command


_RECORDER = cast("Router", _Recorder())


def command_of(
    method: Callable[Concatenate[Router, int, P], Sequence[Event]], *args: P.args, **kwargs: P.kwargs
) -> c.Command:
    """Return the command that a method of a router would apply.

    >>> command_of(Router.accept, 7)
    Accept(offer=7)
    """
    return cast("c.Command", method(_RECORDER, 0, *args, **kwargs))
