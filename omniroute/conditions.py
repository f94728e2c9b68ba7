"""Conditions: numbers that a router watches, and what a plan lets depend on them.

A condition compares one number with a threshold, with hysteresis where ``until`` says so. Steps wait for conditions or
hurry because of them, and :class:`OnlyWhile` lends or reserves agents.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, cast, get_args

import attrs

from omniroute.checks import Duration, milliseconds, parsed, share
from omniroute.core.limits import GAUGE_MAX
from omniroute.errors import PlanError
from omniroute.model import checked_integer, checked_name, nearest, shown
from omniroute.requirements import Requirement

__all__ = ["Condition", "Of", "OnlyWhile"]

Of: TypeAlias = Literal["waiting", "staffed", "idle", "available", "wait", "service_level"]
Threshold: TypeAlias = int | float | str
"""A count, a duration for ``of="wait"``, a share for ``of="service_level"``."""

OF: Final[tuple[Of, ...]] = get_args(Of)
AGENTS_OF: Final = ("staffed", "idle", "available")
"""Those that count agents."""
ESTIMATED: Final = ("wait", "service_level")
"""Those that somebody has to estimate."""


def _name(value: str) -> str:
    return checked_name(value, "name")


def _of(value: object) -> Of:
    if not isinstance(value, str) or value not in OF:
        raise PlanError(f"expected one of {', '.join(OF)}, got {shown(value)}{nearest(value, OF)}", field="of")
    return value


def _queue(value: str | None) -> str | None:
    return None if value is None else checked_name(value, "queue")


def _channel(value: str | None) -> str | None:
    return None if value is None else checked_name(value, "channel")


def _condition(value: str) -> str:
    return checked_name(value, "condition")


@attrs.frozen
class Condition:
    """A number against a threshold: true from ``at_least`` (or ``at_most``) on, until it has passed ``until``.

    ``of`` says which number: "waiting", interactions that wait in ``queue``; "staffed", agents signed in; "idle", ready
    agents with nothing in hand; "available", agents with room for one more of ``channel``; "wait", the estimated wait
    of ``queue``; "service_level", the share of ``queue`` answered in time lately. Agents are those who are members of
    ``queue`` and meet its needs, and for whom the requirement ``agents`` holds; without both, all. Thresholds are
    counts, durations for "wait", shares such as 0.8 or ``"80%"`` for "service_level" (kept per mille). Exactly one of
    ``at_least`` and ``at_most`` is given; ``until`` is the same number where it is left out. Raises PlanError.

    >>> Condition("busy", "waiting", queue="sales", at_least=10, until=5).on_off
    (10, 5)
    >>> Condition("late", "service_level", queue="sales", at_most="80%").on_off
    (800, 800)
    """

    name: str = attrs.field(converter=_name)
    of: Of = attrs.field(converter=_of)
    queue: str | None = attrs.field(default=None, converter=_queue, kw_only=True)
    agents: str = attrs.field(default="", kw_only=True)
    channel: str | None = attrs.field(default=None, converter=_channel, kw_only=True)
    at_least: Threshold | None = attrs.field(default=None, kw_only=True)
    at_most: Threshold | None = attrs.field(default=None, kw_only=True)
    until: Threshold | None = attrs.field(default=None, kw_only=True)
    requirement: Requirement = attrs.field(init=False, eq=False, repr=False)

    @requirement.default
    def _requirement(self) -> Requirement:
        return parsed(self.agents, "agents")

    def __attrs_post_init__(self) -> None:
        for field in ("at_least", "at_most", "until"):
            object.__setattr__(self, field, self._threshold(getattr(self, field), field))
        if (self.at_least is None) == (self.at_most is None):
            raise PlanError("give exactly one of at_least and at_most", field="at_least")
        on, off = self.on_off
        if (off > on) if self.at_most is None else (off < on):
            way = "below at_least" if self.at_most is None else "above at_most"
            raise PlanError(f"must lie {way} or be the same, got {self.until}", field="until")
        self._check_subject()

    def _threshold(self, value: object, field: str) -> int | float | None:
        """Return a threshold as a number: a count, milliseconds, or a share of whole per mille."""
        if value is None:
            return None
        if self.of == "wait":
            return milliseconds(cast("Duration", value), field)
        if self.of == "service_level":
            return round(share(cast("float | str", value), field), 3)
        return checked_integer(value, field, 0, GAUGE_MAX)

    def _check_subject(self) -> None:
        """A queue where one is counted or estimated, a channel for room, agents where these are counted."""
        counts_agents = self.of in AGENTS_OF
        if not counts_agents and self.queue is None:
            raise PlanError(f"of = {self.of!r} needs a queue", field="queue")
        if not counts_agents and self.agents:
            raise PlanError(f"of = {self.of!r} counts no agents", field="agents")
        if (self.of == "available") != (self.channel is not None):
            what = "needs a channel" if self.channel is None else "has no channel"
            raise PlanError(f"of = {self.of!r} {what}", field="channel")

    @property
    def on_off(self) -> tuple[int, int]:
        """The threshold from which it holds, and the one to which it goes on holding, as integers. O(1)."""
        on = self.at_least if self.at_least is not None else self.at_most
        scale = 1_000 if self.of == "service_level" else 1
        first, last = (round(cast("float", value) * scale) for value in (on, on if self.until is None else self.until))
        return first, last


@attrs.frozen
class OnlyWhile:
    """Agents for whom the requirement ``agents`` holds serve the queue only while a condition of the plan holds.

    With the empty text these are all. The first rule of a queue that fits an agent counts. Raises PlanError.

    >>> OnlyWhile("support is busy", "not support").requirement.text
    'not support'
    """

    condition: str = attrs.field(converter=_condition)
    agents: str = ""
    requirement: Requirement = attrs.field(init=False, eq=False, repr=False)

    @requirement.default
    def _requirement(self) -> Requirement:
        return parsed(self.agents, "agents")
