"""The plan: the whole configuration of a router, one frozen value, checked when it is built.

A plan comes from Python or from a TOML file::

    [[queues]]
    name = "support"
    needs = "spanish >= 3"
    strategy = "skills_first"
    target = {within = "20s", share = 0.8}

    [[queues.steps]]
    after = "60s"
    needs = "spanish >= 1"

    [[agents]]
    id = "ana"
    skills = {spanish = 4}

Whatever is wrong raises PlanError, whose ``field`` reads like ``queues[0].steps[0].after``; from a file it also has
the file and, where it can be found, the line. People write durations as ``"30s"``; inside there are only integer
milliseconds.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

import attrs

from omniroute.errors import PlanError, RequirementError
from omniroute.model import (
    INTEGER_MAX,
    INTEGER_MIN,
    NAME_LENGTH_MAX,
    UNITS_MAX,
    Agent,
    Label,
    checked_integer,
    checked_name,
    checked_term,
    nearest,
    shown,
)
from omniroute.requirements import Requirement, conjunction, parse

__all__ = [
    "Channel",
    "Duration",
    "Limits",
    "Plan",
    "Queue",
    "Step",
    "StrategyValue",
    "Target",
    "duration_text",
    "milliseconds",
]

Duration: TypeAlias = int | str | timedelta
"""Milliseconds, text such as ``"30s"`` or ``"1h30m"``, or a timedelta."""

DURATION_MAX_MS: Final = 315_360_000_000
"""Ten years."""
FILE_BYTES_MAX: Final = 16 * 2**20
OFFERS_MAX: Final = 1_000
DEPTH_MAX: Final = 8
"""Tables inside tables in ``[csv]`` and ``[replay]``."""

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:[0-9]{1,15}(?:ms|s|m|h|d))+")
_NEVER = "never"
_UNTIL_RELEASED = "until released"


class StrategyValue(Protocol):
    """What a plan knows of a strategy: its name and version. What it answers is in ``omniroute.strategies``."""

    @property
    def name(self) -> str:
        """The name in the catalogue."""

    @property
    def version(self) -> int:
        """The number that changes when its answers do."""


def milliseconds(value: Duration, field: str = "duration") -> int:
    """Return a duration in milliseconds, in 0..DURATION_MAX_MS. Raises PlanError naming ``field``.

    >>> milliseconds("250ms"), milliseconds("1h30m"), milliseconds(timedelta(seconds=2)), milliseconds(5)
    (250, 5400000, 2000, 5)
    """
    number: object = value
    if isinstance(value, str):
        compact = value.replace(" ", "")
        if not _DURATION.fullmatch(compact):
            raise PlanError(f'expected a duration such as "30s", "5m", "1h", "250ms", got {shown(value)}', field=field)
        number = sum(int(n) * _UNITS_MS[unit] for n, unit in re.findall(r"([0-9]+)([a-z]+)", compact))
    elif isinstance(value, timedelta):
        number, rest = divmod(value, timedelta(milliseconds=1))
        if rest:
            raise PlanError(f"not a whole number of milliseconds: {value}", field=field)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise PlanError(f'expected a duration such as "30s" or integer milliseconds, got {shown(value)}', field=field)
    return checked_integer(number, field, 0, DURATION_MAX_MS)


def duration_text(value_ms: int) -> str:
    """Return the shortest text that :func:`milliseconds` reads back, in one unit.

    >>> duration_text(20_000), duration_text(3_600_000), duration_text(1_500), duration_text(0)
    ('20s', '1h', '1500ms', '0s')
    """
    if not value_ms:
        return "0s"
    unit = next(unit for unit in ("h", "m", "s", "ms") if value_ms % _UNITS_MS[unit] == 0)
    return f"{value_ms // _UNITS_MS[unit]}{unit}"


def _at_least_one(value: int, field: str) -> int:
    if value < 1:
        raise PlanError("must be longer than nothing", field=field)
    return value


def _name(value: str) -> str:
    return checked_name(value, "name")


def _load(value: int) -> int:
    return checked_integer(value, "load", 1, UNITS_MAX)


def _after(value: Duration) -> int:
    return milliseconds(value, "after")


def _within(value: Duration) -> int:
    return milliseconds(value, "within")


def _retention(value: Duration) -> int:
    return milliseconds(value, "retention")


def _short_abandon(value: Duration) -> int:
    return milliseconds(value, "short_abandon")


def _offer_timeout(value: Duration | None) -> int | None:
    if value is None or value == _NEVER:
        return None
    return _at_least_one(milliseconds(value, "offer_timeout"), "offer_timeout")


def _wrap_up(value: Duration | None) -> int | None:
    return None if value is None or value == _UNTIL_RELEASED else milliseconds(value, "wrap_up")


def _retry_after(value: Duration | None) -> int | None:
    return None if value is None or value == _NEVER else milliseconds(value, "retry_after")


def _limit(value: int | None) -> int | None:
    return None if value is None else checked_integer(value, "limit", 0, INTEGER_MAX)


def _tier(value: int | None) -> int | None:
    return None if value is None else checked_integer(value, "tier", INTEGER_MIN, INTEGER_MAX)


def _offers(value: int | Literal["all"]) -> int | Literal["all"]:
    if isinstance(value, str):
        if value != "all":
            raise PlanError(f'expected an integer or "all", got {shown(value)}', field="offers")
        return "all"
    return checked_integer(value, "offers", 1, OFFERS_MAX)


def _share(value: float | str) -> float:
    """Return a share in (0, 1] from a number or a text such as ``"80%"``."""
    share: object = value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?%", value):
        share = float(value[:-1]) / 100
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise PlanError(f'expected a share such as 0.8 or "80%", got {shown(value)}', field="share")
    return float(share)


def _parsed(text: str, field: str) -> Requirement:
    """Parse a requirement of the plan, with the plan's field in the error."""
    try:
        return parse(text)
    except RequirementError as error:
        where = f"{error.field}: " if error.field else ""
        raise PlanError(f"{where}{error.message}", field=field) from error


_T = TypeVar("_T")


def _values(value: object, kind: type[_T], field: str) -> tuple[_T, ...]:
    """Return a tuple of values of one kind."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise PlanError(f"expected a list of {kind.__name__}, got {shown(value)}", field=field)
    found: list[_T] = []
    for item in value:
        if not isinstance(item, kind):
            raise PlanError(f"expected {kind.__name__}, got {shown(item)}", field=f"{field}[{len(found)}]")
        found.append(item)
    return tuple(found)


def _unique(names: Sequence[str], key: str, field: str) -> None:
    """Refuse a name that an earlier one has."""
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        if first.setdefault(name, position) != position:
            raise PlanError(f"{name!r} is {field}[{first[name]}] already", field=f"{field}[{position}]{key}")


@attrs.frozen
class Channel:
    """A kind of interaction; ``load`` is what one interaction takes of an agent's units. Raises PlanError.

    >>> Channel("voice")
    Channel(name='voice', load=1)
    """

    name: str = attrs.field(converter=_name)
    load: int = attrs.field(default=1, converter=_load)


@attrs.frozen
class Step:
    """What a queue changes for an interaction after it has waited ``after_ms`` (real wait, not ordering age).

    ``needs`` replaces the requirement (None keeps it, the empty text drops it), ``also`` is added with ``and``,
    ``tier`` replaces the tier. Raises PlanError.

    >>> Step("30s", also="senior").applied(parse("spanish")).text
    'senior and spanish'
    """

    after_ms: int = attrs.field(converter=_after)
    needs: str | None = attrs.field(default=None, kw_only=True)
    also: str | None = attrs.field(default=None, kw_only=True)
    tier: int | None = attrs.field(default=None, converter=_tier, kw_only=True)
    replacement: Requirement | None = attrs.field(init=False, eq=False, repr=False)
    addition: Requirement | None = attrs.field(init=False, eq=False, repr=False)

    @replacement.default
    def _replacement(self) -> Requirement | None:
        return None if self.needs is None else _parsed(self.needs, "needs")

    @addition.default
    def _addition(self) -> Requirement | None:
        return None if self.also is None else _parsed(self.also, "also")

    def __attrs_post_init__(self) -> None:
        if self.needs is None and self.also is None and self.tier is None:
            raise PlanError("changes nothing; give needs, also or tier", field="after")

    def applied(self, requirement: Requirement) -> Requirement:
        """Return the requirement of an interaction behind this step. Cost: O(atoms log atoms).

        Raises RequirementError if both together are over the limits of expressions.
        """
        kept = requirement if self.replacement is None else self.replacement
        return kept if self.addition is None else conjunction(kept, self.addition)


@attrs.frozen
class Target:
    """A service-level target: this share answered within so long. Read by reports and strategies, never by the core.

    >>> Target("20s", "80%")
    Target(within_ms=20000, share=0.8)
    """

    within_ms: int = attrs.field(converter=_within)
    share: float = attrs.field(converter=_share)


def _steps(value: Iterable[Step]) -> tuple[Step, ...]:
    """Return steps at strictly later times, so that no cascade happens in one instant."""
    steps = _values(value, Step, "steps")
    for position in range(1, len(steps)):
        before, after = steps[position - 1].after_ms, steps[position].after_ms
        if after <= before:
            message = (
                f"must be later than the step ahead of it, got {duration_text(after)} behind {duration_text(before)}"
            )
            raise PlanError(message, field=f"steps[{position}].after")
    return steps


@attrs.frozen
class Queue:
    """A named waiting line.

    ``needs`` is what it asks of agents besides what the interaction asks. ``strategy`` None means first come, first
    served. ``offers`` is how many agents are offered one interaction at once (``"all"``: all of least rank);
    ``offer_timeout_ms`` None lets an offer stand until it is answered. ``wrap_up_ms`` holds capacity after the finish:
    0 releases at once, None until the release command. ``limit`` bounds the interactions waiting. ``retry_after_ms`` is
    how long a decline keeps the agent from that interaction; None: until he signs in again or it is requeued. An
    abandonment before ``short_abandon_ms`` is counted apart. Raises PlanError.

    >>> Queue("support", needs="spanish >= 3", offer_timeout_ms="15s").offer_timeout_ms
    15000
    """

    name: str = attrs.field(converter=_name)
    needs: str = attrs.field(default="", kw_only=True)
    strategy: StrategyValue | None = attrs.field(default=None, kw_only=True)
    steps: tuple[Step, ...] = attrs.field(default=(), converter=_steps, kw_only=True)
    offers: int | Literal["all"] = attrs.field(default=1, converter=_offers, kw_only=True)
    offer_timeout_ms: int | None = attrs.field(default=20_000, converter=_offer_timeout, kw_only=True)
    wrap_up_ms: int | None = attrs.field(default=0, converter=_wrap_up, kw_only=True)
    limit: int | None = attrs.field(default=None, converter=_limit, kw_only=True)
    retry_after_ms: int | None = attrs.field(default=None, converter=_retry_after, kw_only=True)
    target: Target | None = attrs.field(default=None, kw_only=True)
    short_abandon_ms: int = attrs.field(default=0, converter=_short_abandon, kw_only=True)
    requirement: Requirement = attrs.field(init=False, eq=False, repr=False)

    @requirement.default
    def _requirement(self) -> Requirement:
        return _parsed(self.needs, "needs")

    def __attrs_post_init__(self) -> None:
        if self.target is not None and not isinstance(self.target, Target):
            raise PlanError(f"expected Target, got {shown(self.target)}", field="target")
        if self.strategy is not None:
            name, version = getattr(self.strategy, "name", None), getattr(self.strategy, "version", None)
            if not isinstance(name, str) or not isinstance(version, int) or isinstance(self.strategy, type):
                message = f"expected a strategy with a name and a version, got {shown(self.strategy)}"
                raise PlanError(message, field="strategy")


@attrs.frozen(kw_only=True)
class Limits:
    """Every limit of a router, by name; each is checked where it applies and may be set in ``1..INTEGER_MAX``.

    ``interactions`` live at one time, ``agents`` known, ``classes`` and ``groups`` of the core, ``queues``,
    ``channels`` and ``skills`` of the plan, ``steps`` per queue, ``entries`` per interaction, ``exclusions`` (agents
    who declined) per interaction, characters of a name (at most NAME_LENGTH_MAX). Raises PlanError.

    >>> Limits(entries=2).entries
    2
    """

    interactions: int = 1_000_000
    agents: int = 100_000
    classes: int = 65_536
    groups: int = 16_384
    queues: int = 4_096
    channels: int = 64
    skills: int = 4_096
    steps: int = 16
    entries: int = 8
    exclusions: int = 64
    name_length: int = 128

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Limits):
            high = NAME_LENGTH_MAX if field.name == "name_length" else INTEGER_MAX
            checked_integer(getattr(self, field.name), field.name, 1, high)


def _channels(value: Iterable[Channel]) -> tuple[Channel, ...]:
    return _values(value, Channel, "channels")


def _queues(value: Iterable[Queue]) -> tuple[Queue, ...]:
    return _values(value, Queue, "queues")


def _agents(value: Iterable[Agent]) -> tuple[Agent, ...]:
    return _values(value, Agent, "agents")


def _skills(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        checked_term(name, f"skills[{position}]") for position, name in enumerate(_values(value, str, "skills"))
    )


def _csv(value: Mapping[str, object]) -> dict[str, object]:
    return _table(value, "csv")


def _replay(value: Mapping[str, object]) -> dict[str, object]:
    return _table(value, "replay")


def _table(value: object, field: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table, got {shown(value)}", field=field)
    return {key: _copied(item, f"{field}.{key}", 1) for key, item in value.items()}


def _copied(value: object, field: str, depth: int) -> object:
    """Return a copy of what TOML can say; anything else is refused."""
    if depth > DEPTH_MAX:
        raise PlanError(f"at most {DEPTH_MAX} tables and lists inside one another", field=field)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise PlanError("expected names that are text", field=field)
        return {key: _copied(item, f"{field}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item, f"{field}[{position}]", depth + 1) for position, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise PlanError(f"expected a finite number, got {value}", field=field)
    if isinstance(value, str | bool | int | float | date | time):
        return value
    raise PlanError(f"expected what TOML can say, got {shown(value)}", field=field)


@attrs.frozen(kw_only=True)
class Plan:
    """The whole configuration of a router.

    Where ``skills`` is not empty it declares the names: agents have no other skills, and requirements name nothing but
    these and labels of the plan's agents. Finished interactions are forgotten after ``retention_ms``. ``csv`` (a column
    mapping) and ``replay`` are kept for the readers of logs; they are dictionaries that nobody may change. Cost of the
    checks: O(size of the plan). Raises PlanError.

    >>> plan = Plan(queues=[Queue("sales"), Queue("support", needs="spanish")], agents=[Agent("ana")])
    >>> [queue.name for queue in plan.queues], plan.channels[0].name
    (['sales', 'support'], 'voice')
    """

    channels: tuple[Channel, ...] = attrs.field(default=(Channel("voice"),), converter=_channels)
    queues: tuple[Queue, ...] = attrs.field(converter=_queues)
    agents: tuple[Agent, ...] = attrs.field(default=(), converter=_agents)
    skills: tuple[str, ...] = attrs.field(default=(), converter=_skills)
    limits: Limits = attrs.field(factory=Limits)
    retention_ms: int = attrs.field(default=3_600_000, converter=_retention)
    csv: dict[str, object] = attrs.field(factory=dict, converter=_csv, hash=False)
    replay: dict[str, object] = attrs.field(factory=dict, converter=_replay, hash=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise PlanError(f"expected Limits, got {shown(self.limits)}", field="limits")
        self._check_sizes()
        self._check_agents()
        if self.skills:
            self._check_declared()

    def _check_sizes(self) -> None:
        """Check counts, name lengths and that names are not given twice."""
        limits = self.limits
        for field, names, key in (
            ("channels", [channel.name for channel in self.channels], ".name"),
            ("queues", [queue.name for queue in self.queues], ".name"),
            ("agents", [agent.id for agent in self.agents], ".id"),
            ("skills", self.skills, ""),
        ):
            most = getattr(limits, field)
            if len(names) > most:
                raise PlanError(f"at most {most} (limits.{field}), got {len(names)}", field=field)
            if not names and field in ("channels", "queues"):
                raise PlanError("expected at least one", field=field)
            for position, name in enumerate(names):
                if len(name) > limits.name_length:
                    message = f"at most {limits.name_length} characters (limits.name_length), got {len(name)}"
                    raise PlanError(message, field=f"{field}[{position}]{key}")
            _unique(names, key, field)
        for position, queue in enumerate(self.queues):
            if len(queue.steps) > limits.steps:
                message = f"at most {limits.steps} (limits.steps), got {len(queue.steps)}"
                raise PlanError(message, field=f"queues[{position}].steps")

    def _check_agents(self) -> None:
        """Check that agents name queues and channels of this plan."""
        queues = {queue.name for queue in self.queues}
        channels = {channel.name for channel in self.channels}
        for position, agent in enumerate(self.agents):
            for field, named, known in (("queues", agent.queues or (), queues), ("at_most", agent.at_most, channels)):
                unknown = next((name for name in named if name not in known), None)
                if unknown is not None:
                    word = "queue" if field == "queues" else "channel"
                    message = f"unknown {word} {unknown!r}{nearest(unknown, sorted(known))}"
                    raise PlanError(message, field=f"agents[{position}].{field}")

    def _check_declared(self) -> None:
        """Check that agents and requirements use declared names."""
        skills = set(self.skills)
        labels: set[str] = set()
        for position, agent in enumerate(self.agents):
            labels |= agent.labels.keys()
            for name in agent.skills:
                if name not in skills:
                    message = f"skill {name!r} is not declared in skills{nearest(name, self.skills)}"
                    raise PlanError(message, field=f"agents[{position}].skills")
        known = skills | labels
        for field, requirement in self._requirements():
            for atom in requirement.atoms:
                if atom.name not in known:
                    message = f"{atom.name!r} is neither declared in skills nor a label of an agent"
                    raise PlanError(message + nearest(atom.name, sorted(known)), field=field)

    def _requirements(self) -> Iterable[tuple[str, Requirement]]:
        """Yield every requirement of the plan with its field."""
        for position, queue in enumerate(self.queues):
            yield f"queues[{position}].needs", queue.requirement
            for number, step in enumerate(queue.steps):
                for key, requirement in (("needs", step.replacement), ("also", step.addition)):
                    if requirement is not None:
                        yield f"queues[{position}].steps[{number}].{key}", requirement

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a file of at most FILE_BYTES_MAX bytes. Raises PlanError with file, line and field."""
        source = os.fspath(path)
        try:
            with Path(source).open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
            text = data.decode("utf-8-sig")
        except OSError as error:
            raise PlanError(f"cannot be read: {error.strerror or error}", source=source) from error
        except UnicodeDecodeError as error:
            raise PlanError(f"is not UTF-8 at byte {error.start}", source=source) from error
        except ValueError as error:
            raise PlanError(f"cannot be read: {error}", source=source) from error
        if len(data) > FILE_BYTES_MAX:
            raise PlanError(f"is larger than {FILE_BYTES_MAX} bytes", source=source)
        return cls.from_toml_text(text, source=source)

    @classmethod
    def from_toml_text(cls, text: str, *, source: str = "plan") -> Plan:
        r"""Read a plan from TOML; ``source`` is its name in errors. Raises PlanError with line and field.

        >>> Plan.from_toml_text('[[queues]]\nname = "sales"').queues[0].name
        'sales'
        """
        import tomllib  # a router without files does not pay for it

        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            found = re.search(r"\(at line ([0-9]+)", str(error))
            message = "tables or lists are nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise PlanError(message, source=source, line=int(found[1]) if found else None) from error
        try:
            return _read_plan(document)
        except PlanError as error:
            line = _line(text, error.field or "")
            raise PlanError(error.message, source=source, line=line, field=error.field) from error

    def to_toml(self) -> str:
        """Return the plan as TOML for a person to edit; :meth:`from_toml_text` reads it back as an equal plan.

        Defaults are left out where they say little. Raises PlanError if a strategy is not in the catalogue.

        >>> print(Plan(queues=[Queue("sales", steps=[Step("30s", tier=-1)])]).to_toml())
        [[channels]]
        name = "voice"
        <BLANKLINE>
        [[queues]]
        name = "sales"
        offer_timeout = "20s"
        wrap_up = "0s"
        <BLANKLINE>
        [[queues.steps]]
        after = "30s"
        tier = -1
        <BLANKLINE>
        """
        return _written_plan(self)


_CHANNEL_KEYS = {"name": "name", "load": "load"}
_STEP_KEYS = {"after": "after_ms", "needs": "needs", "also": "also", "tier": "tier"}
_TARGET_KEYS = {"within": "within_ms", "share": "share"}
_QUEUE_KEYS = {
    "name": "name",
    "needs": "needs",
    "strategy": "strategy",
    "offers": "offers",
    "offer_timeout": "offer_timeout_ms",
    "wrap_up": "wrap_up_ms",
    "limit": "limit",
    "retry_after": "retry_after_ms",
    "target": "target",
    "short_abandon": "short_abandon_ms",
    "steps": "steps",
}
_AGENT_KEYS = {field.name: field.name for field in attrs.fields(Agent)}
_LIMITS_KEYS = {field.name: field.name for field in attrs.fields(Limits)}
_PLAN_KEYS = {
    "retention": "retention_ms",
    **{name: name for name in ("skills", "limits", "channels", "queues", "agents", "csv", "replay")},
}


def _read_plan(document: dict[str, Any]) -> Plan:
    """Build a plan from what a TOML document says."""
    values = _keys(document, _PLAN_KEYS, ("queues",), "")
    if "channels" in values:
        values["channels"] = [_read(Channel, item, _CHANNEL_KEYS, at) for at, item in _rows(values, "channels", "")]
    values["queues"] = [_read_queue(item, at) for at, item in _rows(values, "queues", "")]
    values["agents"] = [_read(Agent, item, _AGENT_KEYS, at) for at, item in _rows(values, "agents", "")]
    if "limits" in values:
        values["limits"] = _read(Limits, values["limits"], _LIMITS_KEYS, "limits")
    return Plan(**values)


def _read_queue(table: object, field: str) -> Queue:
    """Build a queue with its steps, target and strategy."""
    if isinstance(table, dict):
        table = dict(table)
        if "steps" in table:
            table["steps"] = [_read(Step, item, _STEP_KEYS, at) for at, item in _rows(table, "steps", f"{field}.")]
        if "target" in table:
            table["target"] = _read(Target, table["target"], _TARGET_KEYS, f"{field}.target")
        if "strategy" in table:
            table["strategy"] = _read_strategy(table["strategy"], f"{field}.strategy")
    return _read(Queue, table, _QUEUE_KEYS, field)


def _read_strategy(value: object, field: str) -> StrategyValue:
    """Build a strategy from its name, or from a table with a name and parameters."""
    from omniroute.strategies import catalogue

    parameters = dict(value) if isinstance(value, dict) else {"name": value}
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise PlanError(f"expected the name of a strategy, got {shown(name)}", field=field)
    try:
        strategy: StrategyValue = catalogue.build(name, parameters)
    except PlanError as error:
        raise _inside(error, field) from error
    return strategy


def _rows(table: dict[str, Any], key: str, prefix: str) -> list[tuple[str, object]]:
    """Return the tables of an array with the field of each."""
    rows = table.get(key, [])
    if not isinstance(rows, list):
        raise PlanError(f"expected a list of tables, [[{key}]], got {shown(rows)}", field=f"{prefix}{key}")
    return [(f"{prefix}{key}[{position}]", row) for position, row in enumerate(rows)]


def _keys(table: object, known: Mapping[str, str], required: Sequence[str], field: str) -> dict[str, Any]:
    """Return the values of a table by attribute; unknown and missing keys are refused."""
    if not isinstance(table, dict):
        raise PlanError(f"expected a table, got {shown(table)}", field=field)
    dot = f"{field}." if field else ""
    for key in table:
        if key not in known:
            raise PlanError(f"unknown key {shown(key)}{nearest(key, known)}", field=f"{dot}{key}")
    for key in required:
        if key not in table:
            raise PlanError(f"the key {key!r} is missing", field=field or None)
    return {known[key]: value for key, value in table.items()}


def _read(kind: type[_T], table: object, known: Mapping[str, str], field: str) -> _T:
    """Build one attrs value from a table; its errors get the table's field in front."""
    attributes = {attribute.name: attribute for attribute in attrs.fields(kind)}  # type: ignore[arg-type]
    required = [key for key, name in known.items() if attributes[name].default is attrs.NOTHING]
    values = _keys(table, known, required, field)
    try:
        return kind(**values)
    except PlanError as error:
        raise _inside(error, field) from error


def _inside(error: PlanError, field: str) -> PlanError:
    """Return the error with the field of the table that it happened in."""
    return PlanError(error.message, field=f"{field}.{error.field}" if error.field else field)


def _line(text: str, field: str) -> int | None:
    """Return the line (from 1) of a field, or of the nearest table around it, by its headers and keys.

    Good enough for a message: it does not know of keys in inline tables or in texts over several lines.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        header = re.match(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]", line)
        if header:
            parent, _, last = header[2].rpartition(".")
            around = f"{parent}[{counts[parent] - 1}]." if parent in counts else f"{parent}." if parent else ""
            name = f"{around}{last.strip()}"
            if header[1] == "[[":
                counts[header[2]] = counts.get(name, 0) + 1
                counts[name] = counts[header[2]]
                name = f"{name}[{counts[name] - 1}]"
            table = f"{name}."
            lines.setdefault(name, number)
            continue
        key = re.match(r"\s*[\"']?([^\"'=#\s]+)[\"']?\s*=", line)
        if key:
            lines.setdefault(f"{table}{key[1]}", number)
    while field and field not in lines:
        field = re.sub(r"(\[[0-9]+\]|\.?[^.\[\]]*)$", "", field) if re.search(r"[.\[]", field) else ""
    return lines.get(field)


def _written_plan(plan: Plan) -> str:
    """Write the tables of a plan in the order in which a person reads them."""
    defaults = Limits()
    top: dict[str, object] = {}
    if plan.retention_ms != 3_600_000:
        top["retention"] = duration_text(plan.retention_ms)
    if plan.skills:
        top["skills"] = plan.skills
    blocks = [_block("", top)] if top else []
    changed = {key: getattr(plan.limits, key) for key in _LIMITS_KEYS}
    changed = {key: value for key, value in changed.items() if value != getattr(defaults, key)}
    for header, table in (("[limits]", changed), ("[csv]", plan.csv), ("[replay]", plan.replay)):
        if table:
            blocks.append(_block(header, table))
    channels = [_without({"name": channel.name, "load": channel.load}, {"load": 1}) for channel in plan.channels]
    blocks.extend(_block("[[channels]]", table) for table in channels)
    for queue in plan.queues:
        blocks.append(_block("[[queues]]", _queue_table(queue)))
        blocks.extend(_block("[[queues.steps]]", _step_table(step)) for step in queue.steps)
    blocks.extend(_block("[[agents]]", _agent_table(agent)) for agent in plan.agents)
    return "\n".join(blocks)


def _without(table: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Return a table without None and without values that are the default."""
    return {
        key: item for key, item in table.items() if item is not None and (key not in defaults or item != defaults[key])
    }


def _queue_table(queue: Queue) -> dict[str, object]:
    """Return what TOML says of a queue, steps excepted."""
    strategy: object = None
    if queue.strategy is not None:
        from omniroute.strategies import catalogue

        name, parameters = catalogue.describe(queue.strategy)
        strategy = {"name": name, **parameters} if parameters else name
    target = queue.target and {"within": duration_text(queue.target.within_ms), "share": queue.target.share}
    table = {
        "name": queue.name,
        "needs": queue.needs,
        "strategy": strategy,
        "offers": queue.offers,
        "offer_timeout": _NEVER if queue.offer_timeout_ms is None else duration_text(queue.offer_timeout_ms),
        "wrap_up": _UNTIL_RELEASED if queue.wrap_up_ms is None else duration_text(queue.wrap_up_ms),
        "limit": queue.limit,
        "retry_after": None if queue.retry_after_ms is None else duration_text(queue.retry_after_ms),
        "target": target,
        "short_abandon": duration_text(queue.short_abandon_ms),
    }
    return _without(table, {"needs": "", "offers": 1, "short_abandon": "0s"})


def _step_table(step: Step) -> dict[str, object]:
    """Return what TOML says of a step."""
    table = {"after": duration_text(step.after_ms), "needs": step.needs, "also": step.also, "tier": step.tier}
    return _without(table, {})


def _agent_table(agent: Agent) -> dict[str, object]:
    """Return what TOML says of an agent; memberships without penalties become a list of names."""
    queues: object = agent.queues
    if agent.queues is not None and not any(agent.queues.values()):
        queues = list(agent.queues)
    windows = [[_instant_text(start), _instant_text(end)] for start, end in agent.windows]
    table = {
        "id": agent.id,
        "skills": agent.skills or None,
        "labels": {name: _label_value(label) for name, label in agent.labels.items()} or None,
        "queues": queues,
        "units": agent.units,
        "at_most": agent.at_most or None,
        "order": agent.order,
        "windows": windows or None,
    }
    return _without(table, {"units": 1, "order": 0})


def _label_value(label: Label) -> object:
    return sorted(label) if isinstance(label, frozenset) else label


def _instant_text(instant_ms: int) -> str:
    """Return an instant as ISO 8601 in UTC."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)
    return moment.isoformat(timespec="milliseconds" if instant_ms % 1_000 else "seconds").replace("+00:00", "Z")


def _block(header: str, table: Mapping[str, object]) -> str:
    """Return one table: a header and a line for every key."""
    lines = [header] if header else []
    lines += [f"{_key(key)} = {_toml(value, outer=True)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    """Return a basic TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _toml(value: object, *, outer: bool = False) -> str:
    """Return a value as TOML; ``outer`` lists of lists take a line for every row."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        items = [_toml(item) for item in value]
        if outer and any(isinstance(item, list) for item in value):
            return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
        return "[" + ", ".join(items) + "]"
    raise PlanError(f"cannot be written as TOML: {shown(value)}")
