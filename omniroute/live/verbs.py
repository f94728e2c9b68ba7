"""The commands of a router as methods without an instant, written once: whoever owns the clock brings it."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from omniroute import commands as c
from omniroute.events import Event
from omniroute.router import Router

__all__ = ["Verb", "Verbs", "command_of"]

P = ParamSpec("P")
Told = TypeVar("Told")


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


class Verb(Protocol, Generic[P]):
    """What a type checker sees of a command; in fact it is a plain function.

    As a method it has the parameters of the router's without the instant, and gives what ``apply`` of its class gives.
    """

    @overload
    def __get__(self, live: None, owner: type) -> Callable[Concatenate[Verbs[Told], P], Told]: ...

    @overload
    def __get__(self, live: Verbs[Told], owner: type | None = None) -> Callable[P, Told]: ...


def _verb(method: Callable[Concatenate[Router, int, P], list[Event]]) -> Verb[P]:
    """A method of a router without its instant."""

    def call(self: Verbs[Told], /, *args: P.args, **kwargs: P.kwargs) -> Told:
        return self.apply(command_of(method, *args, **kwargs))

    call.__doc__, call.__name__, call.__qualname__ = method.__doc__, method.__name__, f"Verbs.{method.__name__}"
    shape = inspect.signature(method)
    left = [given for name, given in shape.parameters.items() if name != "now"]
    call.__signature__ = shape.replace(parameters=left, return_annotation=shape.empty)  # type: ignore[attr-defined]
    return cast("Verb[P]", call)


class Verbs(ABC, Generic[Told]):
    """Every command of :class:`omniroute.Router` without ``now``, by way of :meth:`apply`.

    ``Told`` is what a command gives: events, or something to be awaited that ends with them.
    """

    @abstractmethod
    def apply(self, command: c.Command, key: str | None = None) -> Told:
        """Apply a command now."""

    sign_in = _verb(Router.sign_in)
    sign_in_many = _verb(Router.sign_in_many)
    sign_out = _verb(Router.sign_out)
    set_presence = _verb(Router.set_presence)
    set_obligation = _verb(Router.set_obligation)
    update_agent = _verb(Router.update_agent)
    enqueue = _verb(Router.enqueue)
    enqueue_many = _verb(Router.enqueue_many)
    arrive = _verb(Router.arrive)
    note = _verb(Router.note)
    resolve = _verb(Router.resolve)
    erase = _verb(Router.erase)
    leave = _verb(Router.leave)
    cancel = _verb(Router.cancel)
    accept = _verb(Router.accept)
    decline = _verb(Router.decline)
    connect = _verb(Router.connect)
    fail_setup = _verb(Router.fail_setup)
    hold = _verb(Router.hold)
    resume = _verb(Router.resume)
    finish = _verb(Router.finish)
    release = _verb(Router.release)
    requeue = _verb(Router.requeue)
    park = _verb(Router.park)
    activate = _verb(Router.activate)
    update = _verb(Router.update)
    assign = _verb(Router.assign)
    occupy = _verb(Router.occupy)
    consult = _verb(Router.consult)
    take_over = _verb(Router.take_over)
    assist = _verb(Router.assist)
    call_back = _verb(Router.call_back)
    close_queue = _verb(Router.close_queue)
    open_queue = _verb(Router.open_queue)
    transfer = _verb(Router.transfer)
    change_plan = _verb(Router.change_plan)
    reconcile = _verb(Router.reconcile)
    extend = _verb(Router.extend)
