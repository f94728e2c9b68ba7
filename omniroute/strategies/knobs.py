"""What the strategies of the catalogue share: how a knob is written in a plan, rows by class, memberships as ranks."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from omniroute.core.codes import AgentKey
from omniroute.core.limits import RANK_MAX
from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, INTEGER_MIN, checked_integer, nearest, shown
from omniroute.strategies.protocol import ClassView, GroupView, Strategy

if TYPE_CHECKING:
    from omniroute.strategies.composed import Composed

AGENT_KEYS = tuple(key.name.lower() for key in AgentKey)

ANY: Final = "*"
"""The row or the cell that holds where no other does."""

TIER_SPAN = 2**30 - 1
"""Tiers are in ``-TIER_SPAN..TIER_SPAN``; the least goes first."""


def one_of(value: object, allowed: Sequence[str], field: str) -> str:
    """Return ``value`` if it is one of the words allowed. Raises PlanError with the nearest word.

    >>> one_of("best", ("any", "best"), "fit")
    'best'
    """
    if not isinstance(value, str) or value not in allowed:
        message = f"expected one of {', '.join(allowed)}, got {shown(value)}{nearest(value, allowed)}"
        raise PlanError(message, field=field)
    return value


def key_text(value: object) -> str:
    """Return the name of an agent key, from the name or the key itself; text is what a file holds. Raises PlanError.

    >>> key_text(AgentKey.FEWEST_HANDLED), key_text("round_robin")
    ('fewest_handled', 'round_robin')
    """
    return value.name.lower() if isinstance(value, AgentKey) else one_of(value, AGENT_KEYS, "agent_key")


def fit_text(value: object) -> str:
    """Return how well an agent is to fit, as the skills strategy knows it. Raises PlanError."""
    return one_of(value, ("best", "most_qualified", "any"), "fit")


def by_name(value: object, field: str) -> dict[str, object]:
    """Return a table with names as a dict. O(names). Raises PlanError."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise PlanError(f"expected a table with names, got {shown(value)}", field=field)
    return dict(value)


def row_key(table: Mapping[str, object], view: ClassView) -> str:
    """Return the key of a class in a table: what it needs in all, else its queue, else :data:`ANY`. O(1)."""
    return next((key for key in (view.requirement.text, view.queue) if key in table), ANY)


def by_number(value: object, field: str, keys: tuple[int, int], values: tuple[int, int]) -> dict[str, int]:
    """Return integers by integer, sorted, with the keys as text, as a file has them. Raises PlanError.

    >>> by_number({2: 90_000, "-1": 0}, "head_start", (-9, 9), (0, 100_000))
    {'-1': 0, '2': 90000}
    """
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from integers to values, got {shown(value)}", field=field)
    found: dict[int, int] = {}
    for key, item in value.items():
        try:
            number = int(key) if isinstance(key, str) and len(key) < 12 else key
        except ValueError:
            number = key
        checked = checked_integer(number, f"{field}.{shown(key)}", *keys)
        if checked in found:
            raise PlanError(f"{checked} is given twice", field=field)
        found[checked] = checked_integer(item, f"{field}.{checked}", *values)
    return {str(number): found[number] for number in sorted(found)}


def by_priority(value: object, field: str, low: int, high: int) -> dict[str, int]:
    """Return integers by priority; see :func:`by_number`. Raises PlanError.

    >>> by_priority({2: 90_000}, "head_start", 0, 100_000)
    {'2': 90000}
    """
    return by_number(value, field, (INTEGER_MIN, INTEGER_MAX), (low, high))


def strict_tier(priority: int) -> int:
    """Return the tier that puts the greatest priority strictly first. O(1).

    >>> strict_tier(3), strict_tier(2**31 - 1)
    (-3, -1073741823)
    """
    return max(-TIER_SPAN, min(TIER_SPAN, -priority))


def penalty(view: ClassView, group: GroupView) -> int:
    """Return what a group's membership in the queue of a class costs, 0 where it has none. O(1)."""
    return 0 if group.queues is None else min(group.queues.get(view.queue, 0), RANK_MAX)


def membership_ranks(classes: Sequence[ClassView], groups: Sequence[GroupView]) -> array[int]:
    """Return the penalties of memberships as ranks, a row for each class. O(classes * groups)."""
    return array("q", [penalty(view, group) for view in classes for group in groups])


def delays(classes: Sequence[ClassView], groups: Sequence[GroupView]) -> array[int] | None:
    """Return the delays of agents as opening delays, a row for each class, None where there are none.

    O(classes * groups).
    """
    if not any(group.delays for group in groups):
        return None
    return array("q", [group.delays.get(view.queue, 0) for view in classes for group in groups])


def joined(first: Strategy, second: Strategy) -> Composed:
    """``first | second``; what it means is in :mod:`omniroute.strategies.composed`. Raises PlanError."""
    from omniroute.strategies.composed import Composed  # a router with plain strategies does not pay for it

    return Composed(parts=[first, second])


def joined_to(second: Strategy, first: Strategy) -> Composed:
    """``first | second`` where only the second knows how. Raises PlanError."""
    return joined(first, second)
