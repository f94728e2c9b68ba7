"""Everything that omniroute raises.

::

    OmnirouteError
    ├── MisuseError          the caller broke a rule of the door; nothing moved
    │   └── TimeError        time ran backwards or is out of range
    ├── InputError           something from outside is not what it should be; names file, line, field
    │   ├── RequirementError an expression over skills and labels
    │   ├── PlanError        a plan or a calendar, from Python, TOML or iCalendar
    │   └── LogError         a routing log
    ├── JournalError         a journal cannot be opened or written; what was not told to be durable may not be
    │   ├── DamagedError     it holds something else than was written; names file and sequence, and how to go on
    │   └── FencedError      somebody else holds it now
    ├── MissingExtraError    a library of an extra is not installed; names the extra
    └── InvariantError       omniroute is broken; the router refuses all further commands

A *refusal* (the world raced us) is none of these: it is a ``Rejected`` event.
"""

from __future__ import annotations

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
    """The base of all errors of omniroute."""


class MisuseError(OmnirouteError, ValueError):
    """The caller broke a rule of the door: wrong type, value out of range, re-entry. Nothing has moved."""

    def __init__(self, message: str = "") -> None:
        super().__init__(legible(message))


class TimeError(MisuseError):
    """Time ran backwards, or is not an integer number of milliseconds in range."""


class InputError(OmnirouteError, ValueError):
    """Something from outside is not what it should be.

    ``source`` (a file or a name), ``line`` (from 1) and ``field`` say where, as far as it is known. What came from
    outside is made legible in ``message``, in ``field`` and in the text of the error; ``source`` is as it was given.
    """

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


class PlanError(InputError):
    """A plan is not valid; ``source`` is the file, ``field`` the table and key, as ``queues[2].steps[0].after``."""


class LogError(InputError):
    """A routing log cannot be read."""


class JournalError(OmnirouteError):
    """A journal cannot be opened or written; ``source`` names it."""

    def __init__(self, message: str, *, source: str = "") -> None:
        self.message = legible(message)
        self.source = source
        super().__init__(f"{legible(source)}: {self.message}" if source else self.message)


class DamagedError(JournalError):
    """A journal holds something else than was written, or gives other events than were told.

    ``sequence`` is the record concerned, None where it is the file as a whole; ``advice`` says how to go on.
    """

    def __init__(self, message: str, *, source: str = "", sequence: int | None = None) -> None:
        self.sequence = sequence
        self.advice = ""
        super().__init__(message if sequence is None else f"record {sequence}: {message}", source=source)

    def __str__(self) -> str:
        return f"{super().__str__()}. {legible(self.advice)}" if self.advice else super().__str__()


class FencedError(JournalError):
    """Somebody else has acquired the journal since; whoever held it before discards its router."""


class MissingExtraError(OmnirouteError, ImportError):
    """A library that only some hosts need is not installed; the message names the extra that brings it."""


class InvariantError(OmnirouteError):
    """An invariant of the core does not hold; the message names each broken one and prints the state around it."""
