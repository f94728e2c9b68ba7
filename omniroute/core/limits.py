"""The ranges of every integer that enters the core, in one place.

They make overflow impossible: with ``age <= 2**43``, ``age_rate <= 2**17`` and the other terms at most ``2**58``,
the weight of an entry stays below ``2**62``.
"""

from __future__ import annotations

from typing import Final

from omniroute.errors import MisuseError, TimeError

NEVER: Final = -1
"""The opening delay of a pair that is not allowed."""

NOT_ELIGIBLE: Final = 2**63 - 1
"""The cost of a pair that cannot be matched in a decision window."""

TIME_MAX: Final = 2**42
"""Milliseconds since 1970: the year 2109. ``now`` is in ``0..TIME_MAX``; an ordering instant may be as far below 0."""

OPENS_MAX: Final = 2**31 - 1
"""Longest opening delay: 24.8 days."""

RANK_MAX: Final = 2**31 - 1
COST_MAX: Final = 2**58
AGE_RATE_MAX: Final = 2**17
LENGTH_RATE_MAX: Final = 2**30
TIER_MAX: Final = 2**31 - 1
ORDER_MAX: Final = 2**31 - 1
UNITS_MAX: Final = 2**30
CHANNELS_MAX: Final = 32
ENTRIES_MAX: Final = 8
POOLS_MAX: Final = 32
"""What can be counted per agent: each channel, and each label that plans bound."""

RUNGS_MAX: Final = 16
"""Groups that an agent goes through as the time to his obligation runs out."""

WEIGHT_MAX: Final = 1_000
"""Greatest weight of an agent in a random choice; the least is 1."""

SHARES_MAX: Final = 8
"""Queues between which an agent's time can be shared out."""

SEED_MAX: Final = 2**62

HALF_LIFE: Final = 3_600_000
"""Milliseconds after which what agents did counts half, where nobody says otherwise."""

TIES_MAX: Final = 64
"""Ties of one interaction to agents; one more drops the oldest that is not for as long as it lives, if there is one."""

FORGIVE_MS: Final = 5_000
"""How long those who declined are still left alone, once everybody who could take an interaction has declined."""

ATTEMPTS_MAX: Final = 100_000
"""Offers of one row of columns; one that is never accepted and never leaves would be offered for ever."""

BACK_OFF_MAX: Final = 6
"""A rest doubles with each further cause in a row, this many times at most."""

CONDITIONS_MAX: Final = 256
GAUGES_MAX: Final = 256
GAUGE_MAX: Final = 2**42
"""A gauge is in ``0..GAUGE_MAX``; thresholds as well."""

WINDOWS_MAX: Final = 64
WINDOW_MS_MAX: Final = 60_000
"""Longest decision window: what waits longer than a minute for its match waits for something else."""

WINDOW_CELLS_MAX: Final = 2**16
"""Most rows times columns that a window matches together; beyond, it decides as without a window, in order."""

MATCH_WEIGHT_MAX: Final = 2**60
"""Greatest weight of an entry in a match, either sign."""

MATCH_REACH_MAX: Final = 2**58
"""Greatest cost in a match times the square of the least power of two from ``2 * min(classes, groups) + 3`` on."""

PROGRAM_DEPTH_MAX: Final = 256
"""Deepest stack of a requirement program."""

CANCEL: Final = -2
"""The class behind a step that ends the interaction."""

UNTIL_ACTIVATED: Final = -2
"""The ``due`` of an arrival that is parked until a command activates it."""

UNTIL_GONE: Final = -2
"""The end of a prohibition that holds as long as its interaction lives: it has no deadline and is not forgiven."""

CUSTOMER_FIRST: Final = -1
"""The gap of a call-back whose customer is called first: no deadline wakes it."""

STEPS_MAX: Final = 64
"""Longest chain of steps, so a cascade of zero-wait steps ends."""

OFFERS_ALL: Final = -1
"""``offers`` of a queue that offers to every available agent of the least rank at once."""

OFFER_SLOT_BITS: Final = 20
"""An offer's number is ``sequence << OFFER_SLOT_BITS | slot``: it is checked without a table and never used twice."""


def out_of_range(what: str, value: int, low: int, high: int) -> MisuseError:
    """The error that both cores raise for an integer outside its range. O(1)."""
    return MisuseError(f"{what} is {_written(value)}, allowed is {low}..{high}")


def _written(value: int) -> str:
    """An integer for a message: Python writes none of thousands of digits. O(1)."""
    return str(value) if value.bit_length() <= 128 else f"an integer of {value.bit_length()} bits"


def too_early(now: int, last: int, due: int) -> TimeError:
    """The error that both cores raise for a command before the present or past an unfired deadline. O(1)."""
    if now < last or now > TIME_MAX:
        return TimeError(f"now is {_written(now)}, allowed is {last}..{TIME_MAX}")
    return TimeError(f"now is {now}, but a deadline at {due} has not fired: advance first")


def never_accepted(row: int) -> MisuseError:
    """The error that both cores raise for a row of columns that is offered for ever. O(1)."""
    return MisuseError(f"row {row} was offered {ATTEMPTS_MAX} times: nobody accepts it in time, nor does it leave")
