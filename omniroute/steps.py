"""Steps: what a queue changes for an interaction after it has waited so long."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from omniroute.checks import Duration, duration_text, milliseconds, parsed, values
from omniroute.errors import PlanError
from omniroute.model import (
    INTEGER_MAX,
    INTEGER_MIN,
    checked_bool,
    checked_integer,
    checked_name,
    checked_term,
    refused_character,
    shown,
)
from omniroute.requirements import Requirement, conjunction

__all__ = ["SAY_LENGTH_MAX", "Step", "checked_steps"]

SAY_LENGTH_MAX = 1_024
"""Characters of what a step says or offers."""


def _after(value: Duration) -> int:
    return milliseconds(value, "after")


def _tier(value: int | None) -> int | None:
    return None if value is None else checked_integer(value, "tier", INTEGER_MIN, INTEGER_MAX)


def _without(value: Iterable[str]) -> tuple[str, ...]:
    names = values(value, str, "without")
    return tuple(sorted({checked_term(name, f"without[{position}]") for position, name in enumerate(names)}))


def _cancel(value: object) -> bool:
    return checked_bool(value, "cancel")


def _word(value: object, field: str) -> str:
    """Return what a step tells the host: text without control characters, empty where there is nothing to tell."""
    if not isinstance(value, str):
        raise PlanError(f"expected text, got {shown(value)}", field=field)
    if len(value) > SAY_LENGTH_MAX:
        raise PlanError(f"at most {SAY_LENGTH_MAX} characters, got {len(value)}", field=field)
    at = refused_character(value)
    if at is not None:
        raise PlanError(f"may not contain U+{ord(value[at]):04X}, got {shown(value)}", field=field)
    return value


def _say(value: str) -> str:
    return _word(value, "say")


def _offer(value: str) -> str:
    return _word(value, "offer")


def _when(value: str | None) -> str | None:
    return None if value is None else checked_name(value, "when")


def _at_once_if(value: str | None) -> str | None:
    return None if value is None else checked_name(value, "at_once_if")


def _queue(value: str | None) -> str | None:
    return None if value is None else checked_name(value, "queue")


def _copy(value: str | None) -> str | None:
    return None if value is None else checked_name(value, "copy")


@attrs.frozen
class Step:
    """What a queue changes for an interaction after it has waited ``after_ms`` (real wait, not ordering age).

    ``needs`` replaces the whole requirement, that of the queue and that of the interaction (None keeps it, the empty
    text drops it); then what asks about nothing but the skills and labels in ``without`` is dropped (see
    :meth:`omniroute.requirements.Requirement.without`); then ``also`` is added with ``and``. ``tier`` replaces the
    tier.

    ``queue`` moves the interaction to that queue, which asks what it asks itself and what the interaction asked on
    arrival; its steps count the same real wait. With ``copy`` it waits in that queue as well. ``cancel`` ends it.
    ``when`` is a condition of the plan: once due, the step waits until it holds. While ``at_once_if`` holds, it is
    taken at once. ``say`` and ``offer`` change nothing here: they come back in the event, for the host to play or to
    offer. Raises PlanError.

    >>> from omniroute.requirements import parse
    >>> Step("30s", also="senior").applied(parse("spanish")).text
    'senior and spanish'
    >>> Step("60s", without=["spanish"]).applied(parse("spanish >= 3 and billing")).text
    'billing'
    """

    after_ms: int = attrs.field(converter=_after)
    needs: str | None = attrs.field(default=None, kw_only=True)
    also: str | None = attrs.field(default=None, kw_only=True)
    without: tuple[str, ...] = attrs.field(default=(), converter=_without, kw_only=True)
    tier: int | None = attrs.field(default=None, converter=_tier, kw_only=True)
    when: str | None = attrs.field(default=None, converter=_when, kw_only=True)
    at_once_if: str | None = attrs.field(default=None, converter=_at_once_if, kw_only=True)
    queue: str | None = attrs.field(default=None, converter=_queue, kw_only=True)
    copy: str | None = attrs.field(default=None, converter=_copy, kw_only=True)
    cancel: bool = attrs.field(default=False, converter=_cancel, kw_only=True)
    say: str = attrs.field(default="", converter=_say, kw_only=True)
    offer: str = attrs.field(default="", converter=_offer, kw_only=True)
    replacement: Requirement | None = attrs.field(init=False, eq=False, repr=False)
    addition: Requirement | None = attrs.field(init=False, eq=False, repr=False)

    @replacement.default
    def _replacement(self) -> Requirement | None:
        return None if self.needs is None else parsed(self.needs, "needs")

    @addition.default
    def _addition(self) -> Requirement | None:
        return None if self.also is None else parsed(self.also, "also")

    def __attrs_post_init__(self) -> None:
        asks = [name for name in ("needs", "also", "without") if getattr(self, name) not in (None, ())]
        moves = [name for name in ("tier", "queue", "copy") if getattr(self, name) is not None]
        if not (asks or moves or self.cancel or self.say or self.offer):
            message = "changes nothing; give needs, also, without, tier, queue, copy, cancel, say or offer"
            raise PlanError(message, field="after")
        if self.cancel and (asks or moves):
            raise PlanError("the step ends the interaction, so nothing else can change", field=(asks + moves)[0])
        if self.queue is not None and asks:
            raise PlanError("the other queue asks by itself; what is to be asked there is its own", field=asks[0])
        if self.copy is not None and self.copy == self.queue:
            raise PlanError("the interaction moves to that queue already", field="copy")

    @property
    def leads_out(self) -> bool:
        """Whether no further step of this queue can follow. O(1)."""
        return self.cancel or self.queue is not None

    def applied(self, requirement: Requirement) -> Requirement:
        """Return what an interaction needs behind this step. Cost: O(atoms log atoms).

        Raises RequirementError if both together are over the limits of expressions.
        """
        kept = requirement if self.replacement is None else self.replacement
        kept = kept.without(self.without) if self.without else kept
        return kept if self.addition is None else conjunction(kept, self.addition)


def checked_steps(value: Iterable[Step]) -> tuple[Step, ...]:
    """Return steps at strictly later times, so that no cascade happens in one instant; nothing follows a way out."""
    steps = values(value, Step, "steps")
    for position in range(1, len(steps)):
        before, after = steps[position - 1].after_ms, steps[position].after_ms
        if after <= before:
            message = (
                f"must be later than the step ahead of it, got {duration_text(after)} behind {duration_text(before)}"
            )
            raise PlanError(message, field=f"steps[{position}].after")
        if steps[position - 1].leads_out:
            raise PlanError("is never reached: the step ahead of it leads out of the queue", field=f"steps[{position}]")
    return steps
