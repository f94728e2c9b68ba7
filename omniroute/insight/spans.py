"""The journey of each interaction as a trace: a span for the whole, and one below it for each state. OpenTelemetry.

Only the interface is used (extra ``opentelemetry``): where spans go is what the host has configured. They begin and end
at the instants of events, so a trace is the same whenever it is made; instants are to be milliseconds since 1970.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from omniroute import __version__
from omniroute import events as e
from omniroute.extras import library
from omniroute.forms import integer
from omniroute.insight.fields import told
from omniroute.model import INTEGER_MAX
from omniroute.router import Router

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OPEN_MAX", "Spans"]

OPEN_MAX: Final = 100_000
"""Interactions whose spans have not ended; one more ends the oldest."""
_NS: Final = 1_000_000
"""Nanoseconds of a millisecond."""


class _Open:
    """The spans of one interaction that have not ended: the whole, its states by name, its offers by number."""

    __slots__ = ("offers", "states", "whole")

    def __init__(self, whole: Span) -> None:
        self.whole = whole
        self.states: dict[str, Span] = {}
        self.offers: dict[int, Span] = {}


class Spans:
    """Makes a trace of each interaction that begins while it listens.

    The whole is called ``interaction``, what is below it ``waiting``, ``parked``, ``offered`` (one for each offer),
    ``accepting``, ``connected`` and ``wrap_up``; steps, holds and interruptions are events of a span. Attributes are
    the fields of :func:`omniroute.insight.fields.told` under ``omniroute.``; with ``ids`` they name interactions and
    agents. At most ``limit`` traces are open; the oldest is then ended with ``omniroute.unfinished``, and what is to
    come of it left out. O(1) for each event, and the cost of the host's tracer. Raises MissingExtraError.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, *, ids: bool = False, limit: int = OPEN_MAX
    ) -> None:
        self._trace = library("opentelemetry.trace", "opentelemetry")
        self._nowhere = library("opentelemetry.context", "opentelemetry").Context()
        self._tracer = self._trace.get_tracer("omniroute", __version__, tracer_provider)
        integer("limit", limit, 1, INTEGER_MAX)
        self._ids, self._limit = ids, limit
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._at = 0
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            e.Classified: lambda event: self._note(self._begun(event).whole, event),
            e.Queued: lambda event: self._into(self._begun(event), "waiting", event),
            e.Parked: lambda event: self._into(self._begun(event), "parked", event),
            e.Transferred: self._back,
            e.Requeued: self._back,
            e.StepTaken: self._happened,
            e.Offered: self._offered,
            e.OfferDeclined: lambda event: self._answered(event, "declined"),
            e.OfferExpired: lambda event: self._answered(event, "expired"),
            e.OfferWithdrawn: lambda event: self._answered(event, "withdrawn"),
            e.Accepted: self._accepted,
            e.SetupFailed: self._setup_failed,
            e.Connected: self._connected,
            e.Held: self._happened,
            e.Resumed: self._happened,
            e.Interrupted: self._happened,
            e.TakenOver: self._happened,
            e.Finished: self._finished,
            e.Abandoned: lambda event: self._gone(event, "abandoned"),
            e.Cancelled: lambda event: self._gone(event, "cancelled"),
            e.Released: lambda event: self._gone(event, "served"),
        }

    def feed(self, events: Iterable[e.Event]) -> None:
        """Take events, in their order. O(1) for each."""
        for event in events:
            self._at = event.at
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(event)

    def follow(self, router: Router) -> None:
        """End what is open of interactions that live no longer, whose end was not heard. O(live + open)."""
        live = router.live()
        for name in [name for name in self._open if name not in live]:
            self._drop(name)

    def close(self) -> None:
        """End all that is open, at the instant of the last event. O(open)."""
        for name in list(self._open):
            self._drop(name)

    @property
    def open(self) -> int:
        """How many traces have not ended. O(1)."""
        return len(self._open)

    # Beginning and ending --------------------------------------------------------------------------------------------

    def _attributes(self, event: e.Event) -> dict[str, Any]:
        plain = (str, int, tuple)  # a table has no place in an attribute, and None says nothing
        pairs = told(event, ids=self._ids)
        return {f"omniroute.{name}": value for name, value in pairs if isinstance(value, plain) and name != "at"}

    def _begun(self, event: e.Classified | e.Queued | e.Parked) -> _Open:
        found = self._open.get(event.interaction)
        if found is None:
            while len(self._open) >= self._limit:
                self._drop(next(iter(self._open)))
            made = self._tracer.start_span("interaction", self._nowhere, start_time=event.at * _NS)
            found = self._open[event.interaction] = _Open(made)
        return found

    def _child(self, found: _Open, name: str, event: e.Event) -> Span:
        above = self._trace.set_span_in_context(found.whole, self._nowhere)
        made: Span = self._tracer.start_span(name, above, attributes=self._attributes(event), start_time=event.at * _NS)
        return made

    def _into(self, found: _Open, state: str, event: e.Event) -> None:
        """It is in another state, and the one before has ended."""
        for span in found.states.values():
            span.end(event.at * _NS)
        found.states = {state: self._child(found, state, event)}

    def _note(self, span: Span, event: e.Event) -> None:
        span.add_event(type(event).__name__, self._attributes(event), event.at * _NS)

    def _drop(self, name: str) -> None:
        found = self._open.pop(name)
        found.whole.set_attribute("omniroute.unfinished", True)
        for span in (*found.offers.values(), *found.states.values(), found.whole):
            span.end(self._at * _NS)

    # Events ----------------------------------------------------------------------------------------------------------

    def _happened(self, event: Any) -> None:
        """Something to note in the state that it is in."""
        found = self._open.get(event.interaction)
        if found is not None:
            self._note(next(iter(found.states.values()), found.whole), event)

    def _back(self, event: e.Transferred | e.Requeued) -> None:
        found = self._open.get(event.interaction)
        if found is not None:
            self._note(found.whole, event)
            self._into(found, "waiting", event)

    def _offered(self, event: e.Offered) -> None:
        found = self._open.get(event.interaction)
        if found is not None:
            found.offers[event.offer] = self._child(found, "offered", event)

    def _answered(self, event: Any, outcome: str) -> None:
        found = self._open.get(event.interaction)
        if found is not None:
            self._end(found.offers.pop(event.offer, None), event, outcome)

    def _accepted(self, event: e.Accepted) -> None:
        self._answered(event, "accepted")
        found = self._open.get(event.interaction)
        if found is not None:  # it goes on waiting until it is connected
            found.states["accepting"] = self._child(found, "accepting", event)

    def _setup_failed(self, event: e.SetupFailed) -> None:
        found = self._open.get(event.interaction)
        if found is not None:
            self._end(found.states.pop("accepting", None), event, "failed")

    def _end(self, span: Span | None, event: e.Event, outcome: str) -> None:
        if span is not None:
            span.set_attribute("omniroute.outcome", outcome)
            span.end(event.at * _NS)

    def _connected(self, event: e.Connected) -> None:
        self._answered(event, "accepted")
        found = self._open.get(event.interaction)
        if found is not None:
            self._into(found, "connected", event)

    def _finished(self, event: e.Finished) -> None:
        found = self._open.get(event.interaction)
        if found is not None:
            self._into(found, "wrap_up", event)

    def _gone(self, event: Any, outcome: str) -> None:
        found = self._open.pop(event.interaction, None)
        if found is None:
            return
        found.whole.set_attributes(self._attributes(event))
        found.whole.set_attribute("omniroute.outcome", outcome)
        for span in (*found.offers.values(), *found.states.values(), found.whole):
            span.end(event.at * _NS)
