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
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Final, Literal, Protocol

import attrs

from omniroute.checks import DURATION_MAX_MS, Duration, duration_text, milliseconds, parsed, unique, values
from omniroute.errors import PlanError
from omniroute.intake import Intake
from omniroute.journey_rules import JourneyRules
from omniroute.model import (
    INTEGER_MAX,
    INTEGER_MIN,
    NAME_LENGTH_MAX,
    UNITS_MAX,
    Agent,
    checked_integer,
    checked_name,
    checked_term,
    nearest,
    shown,
)
from omniroute.requirements import Requirement, conjunction

__all__ = [
    "DURATION_MAX_MS",
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

OFFERS_MAX: Final = 1_000
DEPTH_MAX: Final = 8
"""Tables inside tables in ``[csv]`` and ``[replay]``."""

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

    ``needs`` replaces the whole requirement, that of the queue and that of the interaction (None keeps it, the empty
    text drops it), ``also`` is added with ``and``, ``tier`` replaces the tier. Raises PlanError.

    >>> from omniroute.requirements import parse
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
        return None if self.needs is None else parsed(self.needs, "needs")

    @addition.default
    def _addition(self) -> Requirement | None:
        return None if self.also is None else parsed(self.also, "also")

    def __attrs_post_init__(self) -> None:
        if self.needs is None and self.also is None and self.tier is None:
            raise PlanError("changes nothing; give needs, also or tier", field="after")

    def applied(self, requirement: Requirement) -> Requirement:
        """Return what an interaction needs behind this step. Cost: O(atoms log atoms).

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
    steps = values(value, Step, "steps")
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
        return parsed(self.needs, "needs")

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
    ``channels`` and ``skills`` of the plan, ``steps`` per queue, ``entries`` per interaction, characters of a
    name (at most NAME_LENGTH_MAX). Raises PlanError.

    >>> Limits(entries=2).entries
    2
    """

    interactions: int = 1_000_000
    agents: int = 100_000
    classes: int = 65_536
    groups: int = 16_384
    queues: int = 4_096
    channels: int = 32
    skills: int = 4_096
    steps: int = 16
    entries: int = 8
    name_length: int = 128

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Limits):
            high = NAME_LENGTH_MAX if field.name == "name_length" else INTEGER_MAX
            checked_integer(getattr(self, field.name), field.name, 1, high)


def _channels(value: Iterable[Channel]) -> tuple[Channel, ...]:
    return values(value, Channel, "channels")


def _queues(value: Iterable[Queue]) -> tuple[Queue, ...]:
    return values(value, Queue, "queues")


def _agents(value: Iterable[Agent]) -> tuple[Agent, ...]:
    return values(value, Agent, "agents")


def _skills(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        checked_term(name, f"skills[{position}]") for position, name in enumerate(values(value, str, "skills"))
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
    these and labels of the plan's agents. Finished interactions are forgotten after ``retention_ms``. ``intake`` says
    where interactions go; without ``journey`` nobody keeps journeys. ``csv`` (a column mapping) and ``replay`` are kept
    for the readers of logs; they are dictionaries that nobody may change. Cost of the checks: O(size of the plan).
    Raises PlanError.

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
    intake: Intake | None = None
    journey: JourneyRules | None = None

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise PlanError(f"expected Limits, got {shown(self.limits)}", field="limits")
        if not isinstance(self.journey, JourneyRules | None):
            raise PlanError(f"expected JourneyRules, got {shown(self.journey)}", field="journey")
        self._check_sizes()
        self._check_agents()
        if self.intake is not None:
            self._check_intake(self.intake)
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
            unique(names, key, field)
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

    def _check_intake(self, intake: Intake) -> None:
        """Check that rules name queues of this plan, not too many, and have names that are not too long."""
        if not isinstance(intake, Intake):
            raise PlanError(f"expected Intake, got {shown(intake)}", field="intake")
        queues = {queue.name for queue in self.queues}
        for field, rule in intake.places():
            if len(rule.name) > self.limits.name_length:
                message = f"at most {self.limits.name_length} characters (limits.name_length), got {len(rule.name)}"
                raise PlanError(message, field=f"intake.{field}.name")
            if len(rule.queue) > self.limits.entries:
                message = f"at most {self.limits.entries} (limits.entries), got {len(rule.queue)}"
                raise PlanError(message, field=f"intake.{field}.queue")
            for key, unknown in rule.unknown_queues(queues):
                message = f"unknown queue {unknown!r}{nearest(unknown, sorted(queues))}"
                raise PlanError(message, field=f"intake.{field}.{key}")

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
        for field, rule in self.intake.places() if self.intake else ():
            if rule.requirement is not None:
                yield f"intake.{field}.needs", rule.requirement

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a file of at most FILE_BYTES_MAX bytes. Raises PlanError with file, line and field."""
        from omniroute.plan_toml import read_file  # a router without files does not pay for it

        return read_file(path)

    @classmethod
    def from_toml_text(cls, text: str, *, source: str = "plan") -> Plan:
        r"""Read a plan from TOML; ``source`` is its name in errors. Raises PlanError with line and field.

        >>> Plan.from_toml_text('[[queues]]\nname = "sales"').queues[0].name
        'sales'
        """
        from omniroute.plan_toml import read_text

        return read_text(text, source=source)

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
        from omniroute.plan_toml import written_plan

        return written_plan(self)
