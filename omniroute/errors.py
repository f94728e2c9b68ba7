"""Everything that omniroute raises.

::

    OmnirouteError
    ├── MisuseError          the caller broke a rule of the door; nothing moved
    │   ├── TimeError        time ran backwards or is out of range
    │   └── UnknownNameError a read asked for what the router does not know
    ├── InputError           something from outside is not what it should be; names file, line, field
    │   ├── RequirementError an expression over skills and labels
    │   ├── PlanError        a plan or a calendar, from Python, TOML or iCalendar
    │   └── LogError         a routing log
    ├── JournalError         a journal cannot be opened or written; what was not told to be durable may not be
    │   ├── DamagedError     it holds something else than was written; names file and sequence, and how to go on
    │   └── FencedError      somebody else holds it now
    ├── FellBehindError      in omniroute.live: more events waited for a subscription than may
    ├── MissingExtraError    a library of an extra is not installed; names the extra
    └── InvariantError       omniroute is broken; the router refuses all further commands

A *refusal* (the world raced us) is none of these: it is a ``Rejected`` event.

The text of an error is for whoever runs the host: it may hold names. What a client may be told is the ``word`` of an
error, or the ``reason`` of a ``Rejected``, and what ``WORDS`` says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MESSAGE_MAX: Final = 2_000
"""Characters of a message."""
FIELD_MAX: Final = 400
"""Characters of the place in a file that an error names."""


def legible(text: str, most: int = MESSAGE_MAX) -> str:
    r"""Return text as one line that fits on a screen and that no terminal obeys. O(most).

    What cannot be printed (controls, marks that reverse text, half characters) is written as an escape.

    >>> legible("sales\x1b[2J"), legible("abcdef", 3)
    ('sales\\x1b[2J', 'abc…')
    """
    short = text[: most + 1]
    if not short.isprintable():
        short = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)
    return short if len(short) <= most else short[:most] + "…"


class OmnirouteError(Exception):
    """The base of all errors of omniroute; ``word``, one of ``WORDS``, is what a host may tell its client.

    >>> RequirementError("no such skill: spanish", field="column 3").word
    'wrong_requirement'
    """

    word: str = "failed"


class MisuseError(OmnirouteError, ValueError):
    """The caller broke a rule of the door: wrong type, value out of range, re-entry. Nothing has moved."""

    word = "misuse"

    def __init__(self, message: str = "") -> None:
        super().__init__(legible(message))


class TimeError(MisuseError):
    """Time ran backwards, or is not an integer number of milliseconds in range."""

    word = "wrong_time"


class UnknownNameError(MisuseError, LookupError):
    """A read asked for something that the router does not know (any more): ``what`` is a queue, an agent, an offer...

    >>> UnknownNameError("unknown agent zoe", "agent").word, UnknownNameError().word
    ('unknown_agent', 'unknown')
    """

    word = "unknown"

    def __init__(self, message: str = "", what: str = "") -> None:
        super().__init__(message)
        if what:
            self.word = f"unknown_{what}"


class InputError(OmnirouteError, ValueError):
    """Something from outside is not what it should be.

    ``source`` (a file or a name), ``line`` (from 1) and ``field`` say where, as far as it is known. What came from
    outside is made legible in ``message``, in ``field`` and in the text of the error; ``source`` is as it was given.
    """

    word = "wrong_input"

    def __init__(
        self, message: str, *, source: str | None = None, line: int | None = None, field: str | None = None
    ) -> None:
        self.message = legible(message)
        self.source = source
        self.line = line
        self.field = None if field is None else legible(field, FIELD_MAX)
        where = legible(source or "")
        if line is not None:
            where += f":{line}"
        parts = [part for part in (where, self.field, self.message) if part]
        super().__init__(": ".join(parts))


class RequirementError(InputError):
    """A requirement expression cannot be read; ``field`` holds the column as ``column N``."""

    word = "wrong_requirement"


class PlanError(InputError):
    """A plan is not valid; ``source`` is the file, ``field`` the table and key, as ``queues[2].steps[0].after``."""

    word = "wrong_plan"


class LogError(InputError):
    """A routing log cannot be read."""

    word = "wrong_log"


class JournalError(OmnirouteError):
    """A journal cannot be opened or written; ``source`` names it."""

    word = "in_doubt"

    def __init__(self, message: str, *, source: str = "") -> None:
        self.message = legible(message)
        self.source = source
        super().__init__(f"{legible(source)}: {self.message}" if source else self.message)


class DamagedError(JournalError):
    """A journal holds something else than was written, or gives other events than were told.

    ``sequence`` is the record concerned, None where it is the file as a whole; ``advice`` says how to go on.
    """

    word = "damaged"

    def __init__(self, message: str, *, source: str = "", sequence: int | None = None) -> None:
        self.sequence = sequence
        self.advice = ""
        super().__init__(message if sequence is None else f"record {sequence}: {message}", source=source)

    def __str__(self) -> str:
        return f"{super().__str__()}. {legible(self.advice)}" if self.advice else super().__str__()


class FencedError(JournalError):
    """Somebody else has acquired the journal since; whoever held it before discards its router."""

    word = "fenced"


class MissingExtraError(OmnirouteError, ImportError):
    """A library that only some hosts need is not installed; the message names the extra that brings it."""

    word = "missing_extra"


class InvariantError(OmnirouteError):
    """An invariant of the core does not hold; the message names each broken one and prints the state around it."""

    word = "broken"


WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unknown": "There is no such thing, or it is over.",
        "unknown_interaction": "There is no such interaction, or it is over.",
        "unknown_agent": "There is no such agent.",
        "unknown_queue": "There is no such queue.",
        "unknown_channel": "There is no such channel.",
        "unknown_label": "There is no such label.",
        "unknown_offer": "There is no such offer, or it is over.",
        "duplicate_interaction": "An interaction of this id is known already.",
        "offer_ended": "The offer is over.",
        "queue_closed": "The queue is closed.",
        "queue_open": "The queue is open.",
        "queue_full": "The queue is full.",
        "limit_reached": "There is no room for more.",
        "not_connected": "The interaction is with no agent.",
        "accepting": "The interaction is being connected.",
        "not_accepting": "The interaction is not being connected.",
        "already_connected": "An agent has the interaction already.",
        "already_waiting": "The interaction is waiting already.",
        "on_hold": "The interaction is on hold.",
        "not_on_hold": "The interaction is not on hold.",
        "interrupted": "The interaction has given way to another one.",
        "parked": "The interaction is parked.",
        "not_parked": "The interaction is not parked.",
        "in_wrap_up": "The conversation is over.",
        "signed_out": "The agent is signed out.",
        "no_room": "The agent has no room for one more.",
        "already_signed_in": "The agent is signed in already.",
        "same_presence": "The agent has this presence already.",
        "stale_version": "The queue has newer tables.",
        "in_use": "Something that the plan takes away is in use.",
        "misuse": "This cannot be asked in this way.",
        "wrong_time": "The time is not one that can be.",
        "wrong_input": "Something that was given cannot be read.",
        "wrong_requirement": "What is needed cannot be read.",
        "wrong_plan": "The plan is not valid.",
        "wrong_log": "The log cannot be read.",
        "in_doubt": "It is not certain that this was done. Ask again, with the same key where there is one.",
        "damaged": "The journal is damaged.",
        "fenced": "Another process has taken over. Ask again there, with the same key where there is one.",
        "fell_behind": "Too much has happened meanwhile. Ask for the state, and listen again.",
        "missing_extra": "This is not installed.",
        "broken": "The router is broken and does nothing more.",
        "failed": "This has failed.",
    }
)
"""Each reason of a ``Rejected`` and each ``word`` of an error, with a sentence for a client: it names nobody."""
