"""Agents as values, and what plans and requirements share about them: names, labels, ranges.

An :class:`Agent` is what a host says about one person or bot. It is frozen, hashable and checked once, here, so that
nothing below asks again. :meth:`Agent.key` is the part that routing tables can see; agents with equal keys make one
group.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias, TypeVar

import attrs

from omniroute.core.limits import OPENS_MAX, SHARES_MAX, WEIGHT_MAX
from omniroute.errors import PlanError

Label: TypeAlias = bool | int | str | frozenset[str]
"""What an agent can carry under a name besides a skill level. A set label is searched with ``"gold" in tiers``."""

INTEGER_MIN = -(2**31)
INTEGER_MAX = 2**31 - 1
NAME_LENGTH_MAX = 1_024
"""No name is ever longer; a plan's ``limits.name_length`` is tighter."""
TEXT_LENGTH_MAX = 1_024
"""Characters of a label's text."""
SKILLS_MAX = 1_024
LABELS_MAX = 256
SET_MEMBERS_MAX = 256
MEMBERSHIPS_MAX = 4_096
UNITS_MAX = 1_000_000
WINDOWS_MAX = 65_536
INSTANT_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999, since 1970-01-01T00:00:00Z."""

_T = TypeVar("_T")
_LIKE_LENGTH, _LOOKED_AT = 64, 1_000
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def refused_character(text: str, allowed: str = "") -> int | None:
    r"""Return the position of the first control, bidirectional control or surrogate character that is not allowed.

    Cost: O(length).

    >>> refused_character("abc"), refused_character("a\u202eb"), refused_character("a\tb", allowed="\t")
    (None, 1, None)
    """
    return next((found.start() for found in _REFUSED.finditer(text) if found.group() not in allowed), None)


def shown(value: object) -> str:
    """Return a short form of anything for a message; never raises and never grows with the value.

    >>> shown("x" * 100) == repr("x" * 60 + "…"), shown([])
    (True, 'a value of type list')
    """
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if isinstance(value, int | float | None) and not (isinstance(value, int) and value.bit_length() > 128):
        return repr(value)
    return f"a value of type {type(value).__name__}"


def nearest(name: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known name that is most like it, or nothing.

    Looks at the first thousand, and at their beginnings.

    >>> nearest("sails", ["sales", "billing"])
    "; did you mean 'sales'?"
    """
    import difflib  # only errors need it; it would cost every import of omniroute

    if not isinstance(name, str):
        return ""
    near = [other for other in islice(known, _LOOKED_AT) if len(other) <= 2 * _LIKE_LENGTH]
    close = difflib.get_close_matches(name[:_LIKE_LENGTH], near, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def checked_name(value: object, field: str) -> str:
    """Return ``value`` if it can be the name of something: text, not empty, not padded, without control characters.

    Backticks are refused, because requirements quote names with them. Raises PlanError naming ``field``.

    >>> checked_name("tier 2", "name")
    'tier 2'
    """
    if not isinstance(value, str):
        raise PlanError(f"expected a name (text), got {shown(value)}", field=field)
    if not value or value != value.strip():
        raise PlanError(f"a name is not empty and has no space around it, got {shown(value)}", field=field)
    if len(value) > NAME_LENGTH_MAX:
        raise PlanError(f"a name has at most {NAME_LENGTH_MAX} characters, got {len(value)}", field=field)
    at = refused_character(value)
    if at is not None or "`" in value:
        character = "`" if at is None else value[at]
        raise PlanError(f"a name may not contain U+{ord(character):04X}, got {shown(value)}", field=field)
    return str(value)


def checked_term(value: object, field: str) -> str:
    """Return the name of a skill or label in Unicode normal form C, so that equal-looking names are equal.

    Raises PlanError as :func:`checked_name`.

    >>> checked_term("espan\u0303ol", "skills") == "espa\u00f1ol"
    True
    """
    return unicodedata.normalize("NFC", checked_name(value, field))


def checked_integer(value: object, field: str, low: int, high: int) -> int:
    """Return ``value`` if it is an integer in ``low..high``; booleans are not integers here. Raises PlanError.

    >>> checked_integer(3, "units", 1, 10)
    3
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise PlanError(f"expected an integer, got {shown(value)}", field=field)
    if not low <= value <= high:
        raise PlanError(f"must be in {low}..{high}, got {shown(value)}", field=field)
    return int(value)


def instant(value: object, field: str = "instant") -> int:
    """Return an instant in milliseconds since 1970, from milliseconds, a datetime or ISO 8601 text.

    A datetime or text without an offset means UTC; microseconds are cut off. Raises PlanError.

    >>> instant("1999-01-04T07:00:00Z")
    915433200000
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PlanError(f"expected an ISO 8601 date and time, got {shown(value)}", field=field) from None
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
        value = (passed.days * 86_400 + passed.seconds) * 1_000 + passed.microseconds // 1_000
    return checked_integer(value, field, 0, INSTANT_MAX)


def instant_text(at_ms: int) -> str:
    """Return an instant as ISO 8601 in UTC.

    >>> instant_text(1_774_747_800_000)
    '2026-03-29T01:30:00Z'
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds" if at_ms % 1_000 else "seconds").replace("+00:00", "Z")


def checked_bool(value: object, field: str) -> bool:
    """Return true or false as it is. Raises PlanError naming ``field``."""
    if not isinstance(value, bool):
        raise PlanError(f"expected true or false, got {shown(value)}", field=field)
    return value


def _mapping(value: object, field: str, most: int, convert: Callable[[object, str], _T]) -> dict[str, _T]:
    """Return a dict sorted by normalised name with converted values; two spellings of one name are refused."""
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from names to values, got {shown(value)}", field=field)
    if len(value) > most:
        raise PlanError(f"at most {most} names, got {len(value)}", field=field)
    found: dict[str, _T] = {}
    for key, item in value.items():
        name = checked_term(key, field)
        if name in found:
            raise PlanError(f"{name!r} is written in two ways that look the same", field=field)
        found[name] = convert(item, f"{field}.{name}")
    return dict(sorted(found.items()))


def _skills(value: Mapping[str, int]) -> Mapping[str, int]:
    """Return skill levels by name; level 0 is the same as not having the skill and is dropped."""
    levels = _mapping(value, "skills", SKILLS_MAX, lambda item, field: checked_integer(item, field, 0, INTEGER_MAX))
    return MappingProxyType({name: level for name, level in levels.items() if level})


def _label(value: object, field: str) -> Label:
    """Return a label of exactly one of the four kinds; lists, tuples and sets of text become frozen sets."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return checked_integer(value, field, INTEGER_MIN, INTEGER_MAX)
    if isinstance(value, str):
        return _text(value, field)
    if isinstance(value, frozenset | set | list | tuple):
        if len(value) > SET_MEMBERS_MAX:
            raise PlanError(f"a set label has at most {SET_MEMBERS_MAX} members, got {len(value)}", field=field)
        return frozenset(_text(member, field) for member in value)
    raise PlanError(f"a label is true or false, an integer, text or a set of texts, got {shown(value)}", field=field)


def _text(value: object, field: str) -> str:
    """Return a label's text in Unicode normal form C."""
    if not isinstance(value, str):
        raise PlanError(f"expected text, got {shown(value)}", field=field)
    if len(value) > TEXT_LENGTH_MAX:
        raise PlanError(f"a label has at most {TEXT_LENGTH_MAX} characters, got {len(value)}", field=field)
    at = refused_character(value)
    if at is not None:
        raise PlanError(f"a label may not contain U+{ord(value[at]):04X}, got {shown(value)}", field=field)
    return unicodedata.normalize("NFC", value)


def checked_labels(value: Mapping[str, Label], field: str, most: int) -> Mapping[str, Label]:
    """Return at most so many labels, read-only, sorted by normalised name. O(size). Raises PlanError naming ``field``.

    >>> dict(checked_labels({"tiers": ["gold"], "site": "north"}, "labels", 2))
    {'site': 'north', 'tiers': frozenset({'gold'})}
    """
    return MappingProxyType(_mapping(value, field, most, _label))


def _labels(value: Mapping[str, Label]) -> Mapping[str, Label]:
    return checked_labels(value, "labels", LABELS_MAX)


def _integers(value: object, field: str) -> Mapping[str, int]:
    """Return integers >= 0 by name (as written: these are names of queues and channels), sorted by name."""
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from names to integers, got {shown(value)}", field=field)
    if len(value) > MEMBERSHIPS_MAX:
        raise PlanError(f"at most {MEMBERSHIPS_MAX} names, got {len(value)}", field=field)
    found = {
        checked_name(name, field): checked_integer(item, f"{field}.{name}", 0, INTEGER_MAX)
        for name, item in value.items()
    }
    return MappingProxyType(dict(sorted(found.items())))


def _queues(value: Mapping[str, int] | Iterable[str] | None) -> Mapping[str, int] | None:
    """Return penalties by queue; an iterable of names means penalty 0, None means every queue."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _integers(value, "queues")
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise PlanError(f"expected a table of penalties or a list of names, got {shown(value)}", field="queues")
    return _integers({checked_name(name, "queues"): 0 for name in value}, "queues")


def _at_most(value: Mapping[str, int]) -> Mapping[str, int]:
    """Return the most interactions at one time by channel."""
    return _integers(value, "at_most")


def _label_at_most(value: Mapping[str, int]) -> Mapping[str, int]:
    """Return the most interactions at one time by label of the interaction."""
    return _integers(value, "label_at_most")


def _auto_accept(value: object) -> bool:
    return checked_bool(value, "auto_accept")


def _burst(value: int) -> int:
    return checked_integer(value, "burst", 0, UNITS_MAX)


def _delay(value: object, field: str, low: int) -> int:
    """Return a duration that an opening delay of the core can hold."""
    from omniroute.checks import milliseconds  # it stands on this module

    return checked_integer(milliseconds(value, field), field, low, OPENS_MAX)  # type: ignore[arg-type]


def _burst_per(value: object) -> int:
    return _delay(value, "burst_per", 1)


def _delays(value: Mapping[str, object]) -> Mapping[str, int]:
    """Return delays in milliseconds by queue, sorted by name; no delay is the same as not being named."""
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from queues to durations, got {shown(value)}", field="delays")
    found = {checked_name(name, "delays"): _delay(item, f"delays.{name}", 0) for name, item in value.items()}
    return _integers({name: delay for name, delay in found.items() if delay}, "delays")


def _windows(value: Iterable[Sequence[object]]) -> tuple[tuple[int, int], ...]:
    """Return presence windows [start, end) in milliseconds, in order and without overlap."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise PlanError(f"expected a list of [start, end], got {shown(value)}", field="windows")
    found: list[tuple[int, int]] = []
    ahead: object = None
    for position, pair in enumerate(value):
        field = f"windows[{position}]"
        if position >= WINDOWS_MAX:
            raise PlanError(f"at most {WINDOWS_MAX} windows", field="windows")
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise PlanError(f"expected [start, end], got {shown(pair)}", field=field)
        start, end = instant(pair[0], field), instant(pair[1], field)
        if start >= end:
            raise PlanError(f"must start before it ends, got {pair[0]} to {pair[1]}", field=field)
        if found and start < found[-1][1]:
            message = f"must not start before the one ahead of it ends, got {pair[0]}, that ends {ahead}"
            raise PlanError(message, field=field)
        found.append((start, end))
        ahead = pair[1]
    return tuple(found)


def _id(value: str) -> str:
    return checked_name(value, "id")


def _units(value: int) -> int:
    return checked_integer(value, "units", 1, UNITS_MAX)


def _order(value: int) -> int:
    return checked_integer(value, "order", INTEGER_MIN, INTEGER_MAX)


def _shares(value: Mapping[str, object]) -> Mapping[str, float]:
    """Return shares in thousandths by queue, sorted by name; all of the time or none."""
    from omniroute.checks import share  # it stands on this module

    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from queues to shares, got {shown(value)}", field="shares")
    if len(value) > SHARES_MAX:
        raise PlanError(f"at most {SHARES_MAX} queues, got {len(value)}", field="shares")
    found = {checked_name(name, "shares"): share(item, f"shares.{name}") for name, item in value.items()}  # type: ignore[arg-type]
    parts = {name: thousandths(item) for name, item in found.items()}
    if any(abs(1000 * found[name] - part) > 1e-6 for name, part in parts.items()):
        raise PlanError("at most one decimal of a percent", field="shares")
    if parts and sum(parts.values()) != 1000:
        raise PlanError(f"must add up to 100%, got {sum(parts.values()) / 10:g}%", field="shares")
    return MappingProxyType({name: parts[name] / 1000 for name in sorted(parts)})


def thousandths(share: float) -> int:
    """Return a share as the core has it. O(1).

    >>> thousandths(0.333)
    333
    """
    return round(1000 * share)


def _occupancy(value: object) -> float:
    """Return a share of time to a tenth of a percent, above 0."""
    from omniroute.checks import share  # as above

    found = share(value, "occupancy_at_most")  # type: ignore[arg-type]
    if not thousandths(found) or abs(1000 * found - thousandths(found)) > 1e-6:
        raise PlanError("expected 0.1%..100% with at most one decimal", field="occupancy_at_most")
    return thousandths(found) / 1000


def _weight(value: int) -> int:
    return checked_integer(value, "weight", 1, WEIGHT_MAX)


def _items(value: Mapping[str, float] | None) -> tuple[tuple[str, float], ...] | None:
    """Return the comparable form of a table of numbers."""
    return None if value is None else tuple(value.items())


def typed_labels(value: Mapping[str, Label]) -> tuple[tuple[str, str, object], ...]:
    """Return the comparable form of labels: ``True`` and ``1`` are different labels, though Python says equal.

    >>> typed_labels({"vip": True}) == typed_labels({"vip": 1})
    False
    """
    return tuple(
        (name, type(label).__name__, tuple(sorted(label)) if isinstance(label, frozenset) else label)
        for name, label in value.items()
    )


@attrs.frozen
class Agent:
    """One person or bot who handles interactions.

    ``skills`` are levels >= 1 by name, ``labels`` anything else that requirements ask about. ``queues`` are memberships
    with a penalty each (a list of names means penalty 0); None means every queue whose needs the agent meets. ``units``
    is the capacity that the loads of channels are counted against, ``at_most`` bounds single channels,
    ``label_at_most`` interactions that carry a label of the plan. ``auto_accept`` takes each offer at once. After
    ``burst`` offers within ``burst_per_ms`` the agent rests until that time is over (0: never). ``delays`` say by queue
    how old an interaction must be before this agent may take it. ``order`` is the place in a fixed order, ``weight``
    (1..1,000) counts where equals draw lots. ``shares`` are the parts of this agent's time that go to queues. Whoever
    had something in hand for more than ``occupancy_at_most`` of the time of late rests until it is no more than that.
    ``windows`` are presence windows [start, end) in milliseconds (ISO 8601 text is accepted), used when a log is routed
    again.
    Raises PlanError.

    >>> ana = Agent("ana", skills={"spanish": 3}, labels={"region": "north"}, queues=["sales"])
    >>> ana.skills["spanish"], ana.queues["sales"], ana.units
    (3, 0, 1)
    """

    id: str = attrs.field(converter=_id)
    skills: Mapping[str, int] = attrs.field(factory=dict, converter=_skills, eq=_items, kw_only=True)
    labels: Mapping[str, Label] = attrs.field(factory=dict, converter=_labels, eq=typed_labels, kw_only=True)
    queues: Mapping[str, int] | None = attrs.field(default=None, converter=_queues, eq=_items, kw_only=True)
    units: int = attrs.field(default=1, converter=_units, kw_only=True)
    at_most: Mapping[str, int] = attrs.field(factory=dict, converter=_at_most, eq=_items, kw_only=True)
    order: int = attrs.field(default=0, converter=_order, kw_only=True)
    windows: tuple[tuple[int, int], ...] = attrs.field(default=(), converter=_windows, kw_only=True)
    label_at_most: Mapping[str, int] = attrs.field(factory=dict, converter=_label_at_most, eq=_items, kw_only=True)
    auto_accept: bool = attrs.field(default=False, converter=_auto_accept, kw_only=True)
    burst: int = attrs.field(default=0, converter=_burst, kw_only=True)
    burst_per_ms: int = attrs.field(default=60_000, converter=_burst_per, kw_only=True)
    delays: Mapping[str, int] = attrs.field(factory=dict, converter=_delays, eq=_items, kw_only=True)
    weight: int = attrs.field(default=1, converter=_weight, kw_only=True)
    shares: Mapping[str, float] = attrs.field(factory=dict, converter=_shares, eq=_items, kw_only=True)
    occupancy_at_most: float = attrs.field(default=1.0, converter=_occupancy, kw_only=True)

    def __attrs_post_init__(self) -> None:
        both = sorted(self.skills.keys() & self.labels.keys())
        if both:
            raise PlanError(f"{both[0]!r} is a skill of this agent already; a name is one or the other", field="labels")

    def __reduce__(self) -> tuple[Callable[[dict[str, object]], Agent], tuple[dict[str, object]]]:
        values: dict[str, object] = {field.name: getattr(self, field.name) for field in attrs.fields(Agent)}
        return _agent, ({name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()},)

    def key(self) -> tuple[object, ...]:
        """Return what routing tables can see of the agent, hashable and canonical; equal keys make one group.

        ``id``, ``order`` and ``windows`` are not part of it. Cost: O(skills + labels + memberships).

        >>> Agent("ana", skills={"a": 1, "b": 2}).key() == Agent("ben", skills={"b": 2, "a": 1}, order=7).key()
        True
        """
        return (
            _items(self.skills),
            typed_labels(self.labels),
            _items(self.queues),
            self.units,
            _items(self.at_most),
            _items(self.label_at_most),
            self.auto_accept,
            (self.burst, self.burst_per_ms if self.burst else 0),
            _items(self.delays),
            self.weight,
            _items(self.shares),
            self.occupancy_at_most,
        )


def _agent(values: dict[str, object]) -> Agent:
    """Build an agent again from what was pickled; the values are checked like any others."""
    return Agent(**values)  # type: ignore[arg-type]
