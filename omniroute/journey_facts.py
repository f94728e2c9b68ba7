"""Facts about journeys as values: what a contact is told, what a journey comes to, what a report adds up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs

from omniroute.errors import MisuseError
from omniroute.journey_rules import Effort
from omniroute.model import shown

__all__ = [
    "ClosedJourney",
    "Contact",
    "ContextValue",
    "End",
    "JourneyReport",
    "JourneyView",
    "LiveInteraction",
    "Preference",
    "Tally",
]

ContextValue: TypeAlias = bool | int | str
"""What a field of the context holds: true or false, a 64-bit integer, or text."""
End: TypeAlias = Literal["finished", "abandoned", "self_served", "cancelled"]
"""How an interaction ended: with an agent, the customer left waiting, without an agent, or none of these."""

KEY_LENGTH_MAX: Final = 1_024
"""Characters of a customer's key, and of the name of an interaction, a channel, an agent, a topic or a field."""
VALUE_LENGTH_MAX: Final = 4_096
"""Characters of a context field's text."""
FIELDS_MAX: Final = 64
"""Fields of a context; a further one drops the field that was set longest ago."""
_INT64: Final = 2**63


def checked_text(what: str, value: object, *, most: int = KEY_LENGTH_MAX, empty: bool = False) -> str:
    """Return bounded text that can be written down. O(length). Raises MisuseError, which never shows the value."""
    if type(value) is not str:
        raise MisuseError(f"{what} is a value of type {type(value).__name__}, expected text")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise MisuseError(f"{what} has half a character (a surrogate)")
    if len(value) > most or not (value or empty):
        raise MisuseError(f"{what} has {len(value)} characters, allowed is {int(not empty)}..{most}")
    return value


def checked_changes(context: object) -> dict[str, ContextValue | None]:
    """Return what a contact brings: fields with values, None for one to forget. O(size). Raises MisuseError.

    >>> checked_changes({"order": 4711, "pin": None})
    {'order': 4711, 'pin': None}
    """
    if context is None:
        return {}
    if not isinstance(context, Mapping):
        raise MisuseError(f"context is a value of type {type(context).__name__}, expected names with values")
    if len(context) > FIELDS_MAX:
        raise MisuseError(f"context has {len(context)} fields, allowed is 0..{FIELDS_MAX}")
    found: dict[str, ContextValue | None] = {}
    for name, value in context.items():
        field = f"context[{shown(checked_text('a field of context', name))}]"
        if type(value) is str:
            checked_text(field, value, most=VALUE_LENGTH_MAX, empty=True)
        elif type(value) is int:
            if not -_INT64 <= value < _INT64:
                raise MisuseError(f"{field} is not an integer of 64 bits")
        elif value is not None and type(value) is not bool:
            raise MisuseError(f"{field} is a value of type {type(value).__name__}, expected text, integer or bool")
        found[name] = value
    return found


def _read_only(value: Mapping[str, ContextValue]) -> Mapping[str, ContextValue]:
    return MappingProxyType(dict(value))


def _names(value: Mapping[str, ContextValue]) -> str:
    """The repr of a context: which fields there are, never what is in them."""
    return f"<{', '.join(value)}>"


@attrs.frozen
class Tally:
    """What a journey counted, or a sum over journeys. All are integers >= 0.

    - ``contacts``: interactions that arrived.
    - ``repeats``: contacts on a topic on which an interaction lived, arrived or ended at most ``repeat_within_ms`` ago.
    - ``hops``: contacts on another channel than the contact ahead of them.
    - ``transfers``: times a connected interaction was handed on; one that still waited moved unnoticed.
    - ``explanations``: repeated ones: contacts, the first excepted, that are a repeat or have no context to travel with
      them, and transfers with none.
    - ``abandonments``: interactions that ended as ``abandoned``; ``self_served``: as ``self_served``.
    - ``reopenings``: contacts after the host had said that the journey was resolved.
    - ``wait_ms``: waiting of all interactions, up to each connection or end.

    >>> Tally(contacts=2, transfers=1).effort(Effort(contact=2, transfer=3))
    5
    """

    contacts: int = 0
    repeats: int = 0
    hops: int = 0
    transfers: int = 0
    explanations: int = 0
    abandonments: int = 0
    self_served: int = 0
    reopenings: int = 0
    wait_ms: int = 0

    def effort(self, weights: Effort) -> int:
        """Return the effort score: what the customer had to do besides one contact. O(1).

        ``contact * (contacts - 1) + hop * hops + transfer * transfers + explanation * explanations
        + abandonment * abandonments + waited_minute * (wait_ms // 60000)``, the first term at least 0.
        """
        return (
            weights.contact * max(self.contacts - 1, 0)
            + weights.hop * self.hops
            + weights.transfer * self.transfers
            + weights.explanation * self.explanations
            + weights.abandonment * self.abandonments
            + weights.waited_minute * (self.wait_ms // 60_000)
        )


COUNTS: Final = len(attrs.fields(Tally))


@attrs.frozen
class Preference:
    """Whom a waiting interaction should meet: ``agent``; nobody else before ``until``, or where None, as a score.

    ``why`` is ``"connected"`` (he talks with this customer now), ``"last_agent"`` or ``"owner"``.
    """

    agent: str
    until: int | None
    why: Literal["connected", "last_agent", "owner"]


@attrs.frozen(kw_only=True)
class Contact:
    """What is known when an interaction arrives; ``journey`` 0 means that there was no room for a journey.

    ``number`` counts the contacts of the journey from 1, ``repeat`` how often this one repeats the topic (0: it does
    not). ``hopped``: on another channel than the contact ahead of it; ``hops`` counts such contacts so far.
    ``last_agent`` was connected last, ``owner`` is whom the host named. ``head_start_ms`` is earned. ``context`` is
    everything known, private fields included: it is for the agent; ``repr`` shows names of fields only.
    """

    journey: int
    number: int = 1
    repeat: int = 0
    hopped: bool = False
    hops: int = 0
    last_agent: str | None = None
    owner: str | None = None
    head_start_ms: int = 0
    preference: Preference | None = None
    context: Mapping[str, ContextValue] = attrs.field(factory=dict, converter=_read_only, repr=_names, hash=False)


@attrs.frozen
class LiveInteraction:
    """An interaction that lives: since when it waits or is connected, and with whom."""

    interaction: str
    channel: str
    topic: str
    since: int
    agent: str | None


@attrs.frozen(kw_only=True)
class JourneyView:
    """A journey as it stands; ``due`` is when it closes, None while something of it lives. Context as in Contact."""

    journey: int
    opened_at: int
    due: int | None
    resolved_at: int | None
    last_agent: str | None
    owner: str | None
    tally: Tally
    effort: int
    live: tuple[LiveInteraction, ...]
    context: Mapping[str, ContextValue] = attrs.field(converter=_read_only, repr=_names, hash=False)


@attrs.frozen(kw_only=True)
class ClosedJourney:
    """What is told of a journey when it closes: no private field, and the customer as a hash or (None) not at all.

    ``why`` is ``"expired"``, or ``"room"`` if it made room for another. ``resolution`` is ``"said"`` by the host,
    ``"quiet"`` (the last interaction to end was finished or self-served and none followed until expiry), ``"none"``
    (it was abandoned or cancelled) or ``"unknown"`` (closed early). ``resolution_ms`` is the time to resolution: from
    the first arrival to the host's word, or to the end of the last interaction where it is quiet; None without one.
    """

    journey: int
    customer: str | None
    opened_at: int
    closed_at: int
    why: Literal["expired", "room"]
    resolution: Literal["said", "quiet", "none", "unknown"]
    resolution_ms: int | None
    tally: Tally
    effort: int
    context: Mapping[str, ContextValue] = attrs.field(converter=_read_only, hash=False)


@attrs.frozen(kw_only=True)
class JourneyReport:
    """Sums over all journeys that have closed, and how many there are now.

    - ``closed`` = ``expired`` + ``early`` (made room for others); ``erased`` and ``outside`` (contacts for which there
      was no room) are in no other figure.
    - ``judged``: closed and not of unknown resolution. ``resolved``: by the host's word or by quiet.
    - ``first_contact``: resolved with one contact.
    - ``resolution_ms``: sum of the times to resolution of the resolved. ``tally`` and ``effort``: sums over the closed.
    """

    opened: int = 0
    live: int = 0
    resting: int = 0
    expired: int = 0
    early: int = 0
    erased: int = 0
    outside: int = 0
    judged: int = 0
    resolved: int = 0
    first_contact: int = 0
    resolution_ms: int = 0
    effort: int = 0
    tally: Tally = attrs.field(factory=Tally)

    @property
    def closed(self) -> int:
        """Journeys that have closed."""
        return self.expired + self.early

    @property
    def first_contact_permille(self) -> int | None:
        """First-contact resolution: ``1000 * first_contact // judged``; None where none was judged."""
        return 1_000 * self.first_contact // self.judged if self.judged else None

    @property
    def mean_resolution_ms(self) -> int | None:
        """Mean time to resolution: ``resolution_ms // resolved``; None where none was resolved."""
        return self.resolution_ms // self.resolved if self.resolved else None
