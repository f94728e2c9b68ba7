"""The rules of journeys, which are a part of the plan.

In a file::

    [journey]
    expires = "72h"
    repeat_within = "24h"
    prefer = "last_agent"
    prefer_for = "30s"
    repeat_head_start = "2m"
    private = ["card"]
    effort = {transfer = 3}

What they mean is told with :class:`omniroute.journey.Journeys`, which obeys them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import attrs

from omniroute.checks import Duration, longer_than_nothing, milliseconds
from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, checked_bool, checked_integer, checked_name, shown

__all__ = ["Effort", "JourneyRules"]

WEIGHT_MAX: Final = 1_000_000
PRIVATE_MAX: Final = 256
"""Names of private fields."""
SALT_BYTES_MIN: Final = 16
SALT_BYTES_MAX: Final = 64
"""What BLAKE2b takes as a key."""


@attrs.frozen(kw_only=True)
class Effort:
    """The weights of the effort score, each in 0..WEIGHT_MAX; :meth:`omniroute.journey.Tally.effort` has the formula.

    ``waited_minute`` is 0 unless it is set, because waiting for an e-mail is no effort and waiting on the telephone is.
    Raises PlanError.

    >>> Effort(transfer=3)
    Effort(contact=2, hop=1, transfer=3, explanation=3, abandonment=2, waited_minute=0)
    """

    contact: int = 2
    hop: int = 1
    transfer: int = 2
    explanation: int = 3
    abandonment: int = 2
    waited_minute: int = 0

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Effort):
            checked_integer(getattr(self, field.name), field.name, 0, WEIGHT_MAX)


def _expires(value: Duration) -> int:
    return longer_than_nothing(value, "expires")


def _repeat_within(value: Duration) -> int:
    return milliseconds(value, "repeat_within")


def _prefer_for(value: Duration | None) -> int | None:
    return None if value is None else longer_than_nothing(value, "prefer_for")


def _repeat_head_start(value: Duration) -> int:
    return milliseconds(value, "repeat_head_start")


def _limit(value: int) -> int:
    return checked_integer(value, "limit", 1, INTEGER_MAX)


def _private(value: Iterable[str]) -> tuple[str, ...]:
    """Return names of fields, sorted, each once."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise PlanError(f"expected a list of names, got {shown(value)}", field="private")
    names = sorted({checked_name(name, f"private[{position}]") for position, name in enumerate(value)})
    if len(names) > PRIVATE_MAX:
        raise PlanError(f"at most {PRIVATE_MAX} names, got {len(names)}", field="private")
    return tuple(names)


@attrs.frozen(kw_only=True)
class JourneyRules:
    """What makes one journey of a customer's contacts, what it earns, and what is told of it.

    A journey ends ``expires_ms`` after its last interaction ended. A contact on the same topic ``repeat_within_ms``
    after the one ahead of it, or sooner, is a repeat and earns ``repeat_head_start_ms``. At most ``limit`` journeys are
    remembered. ``prefer`` names whom a contact should meet; ``prefer_for_ms`` None makes that a score, a duration makes
    it hard: nobody else for so long. ``one_agent``: while one interaction of the customer is connected, the others
    should meet the same agent. ``hash_keys`` keeps customers as keyed hashes under ``salt`` (16..64 bytes of UTF-8; it
    is as secret as a password and no ``repr`` shows it). ``private`` fields of the context never reach reports.
    Raises PlanError.

    >>> JourneyRules(expires_ms="48h", prefer="last_agent", prefer_for_ms="30s").prefer_for_ms
    30000
    """

    expires_ms: int = attrs.field(default=259_200_000, converter=_expires)
    repeat_within_ms: int = attrs.field(default=86_400_000, converter=_repeat_within)
    limit: int = attrs.field(default=1_000_000, converter=_limit)
    prefer: Literal["last_agent", "owner"] | None = None
    prefer_for_ms: int | None = attrs.field(default=None, converter=_prefer_for)
    repeat_head_start_ms: int = attrs.field(default=0, converter=_repeat_head_start)
    one_agent: bool = False
    hash_keys: bool = False
    salt: str = attrs.field(default="", repr=False)
    private: tuple[str, ...] = attrs.field(default=(), converter=_private)
    effort: Effort = attrs.field(factory=Effort)

    def __attrs_post_init__(self) -> None:
        if self.prefer not in (None, "last_agent", "owner"):
            raise PlanError(f'expected "last_agent" or "owner", got {shown(self.prefer)}', field="prefer")
        for field in ("one_agent", "hash_keys"):
            checked_bool(getattr(self, field), field)
        if not isinstance(self.effort, Effort):
            raise PlanError(f"expected Effort, got {shown(self.effort)}", field="effort")
        if self.prefer_for_ms is not None and self.prefer is None and not self.one_agent:
            raise PlanError("says how long to prefer, but neither prefer nor one_agent says whom", field="prefer_for")
        self._check_salt()

    def _check_salt(self) -> None:
        """A short salt lets anyone find telephone numbers by trying; a salt that nothing uses is a mistake."""
        if not isinstance(self.salt, str):
            raise PlanError("expected text", field="salt")
        if not self.hash_keys and not self.salt:
            return
        try:
            size = len(self.salt.encode())
        except UnicodeEncodeError:
            raise PlanError("has half a character (a surrogate)", field="salt") from None
        if not self.hash_keys:
            raise PlanError("is given, but hash_keys is not true", field="salt")
        if not SALT_BYTES_MIN <= size <= SALT_BYTES_MAX:
            message = f"must have {SALT_BYTES_MIN}..{SALT_BYTES_MAX} bytes of UTF-8, got {size}"
            raise PlanError(message, field="salt")
