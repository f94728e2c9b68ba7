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
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Final, Literal, Protocol

import attrs

from omniroute.checks import (
    DURATION_MAX_MS,
    Duration,
    duration_text,
    longer_than_nothing,
    milliseconds,
    parsed,
    share,
    unique,
    values,
)
from omniroute.conditions import Condition, OnlyWhile
from omniroute.core.limits import HALF_LIFE, OPENS_MAX
from omniroute.errors import PlanError
from omniroute.intake import Intake
from omniroute.journey_rules import JourneyRules
from omniroute.model import (
    INTEGER_MAX,
    NAME_LENGTH_MAX,
    UNITS_MAX,
    Agent,
    Label,
    checked_bool,
    checked_integer,
    checked_name,
    checked_term,
    nearest,
    shown,
)
from omniroute.plan_checks import check_parts
from omniroute.requirements import Requirement
from omniroute.steps import Step, checked_steps
from omniroute.windows import Window, checked_window

__all__ = [
    "DURATION_MAX_MS",
    "Channel",
    "Condition",
    "Duration",
    "Limits",
    "OnlyWhile",
    "Plan",
    "Queue",
    "Rona",
    "Step",
    "StrategyValue",
    "Target",
    "Window",
    "duration_text",
    "milliseconds",
]

OFFERS_MAX: Final = 1_000
RESERVES: Final = ("offered", "wrap_up", "hold")
"""When an interaction can hold capacity besides the conversation itself."""
VALUE_BANDS_MAX: Final = 15
"""Edges between bands of value; each band makes classes of its own."""
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


def _name(value: str) -> str:
    return checked_name(value, "name")


def _load(value: int) -> int:
    return checked_integer(value, "load", 1, UNITS_MAX)


def _after_count(value: int) -> int:
    return checked_integer(value, "after", 0, UNITS_MAX)


def _rest(value: Duration) -> int:
    return checked_integer(milliseconds(value, "rest"), "rest", 0, OPENS_MAX)


def _within(value: Duration) -> int:
    return milliseconds(value, "within")


def _retention(value: Duration) -> int:
    return milliseconds(value, "retention")


def _short_abandon(value: Duration) -> int:
    return milliseconds(value, "short_abandon")


def _offer_timeout(value: Duration | None) -> int | None:
    if value is None or value == _NEVER:
        return None
    return longer_than_nothing(value, "offer_timeout")


def _offer_every(value: Duration | None) -> int | None:
    return None if value is None else longer_than_nothing(value, "offer_every")


def _setup_timeout(value: Duration | None) -> int | None:
    return None if value is None else longer_than_nothing(value, "setup_timeout")


def _estimates(value: Duration | None) -> int | None:
    if value is None or value == _NEVER:
        return None
    return longer_than_nothing(value, "estimates")


def _agent_window(value: Duration) -> int:
    return checked_integer(milliseconds(value, "agent_window"), "agent_window", 1, OPENS_MAX)


def _agent_seed(value: int) -> int:
    return checked_integer(value, "agent_seed", 0, INTEGER_MAX)


def _wrap_up(value: Duration | None) -> int | None:
    return None if value is None or value == _UNTIL_RELEASED else milliseconds(value, "wrap_up")


def _retry_after(value: Duration | None) -> int | None:
    return None if value is None or value == _NEVER else milliseconds(value, "retry_after")


def _limit(value: int | None) -> int | None:
    return None if value is None else checked_integer(value, "limit", 0, INTEGER_MAX)


def _offers(value: int | Literal["all"]) -> int | Literal["all"]:
    if isinstance(value, str):
        if value != "all":
            raise PlanError(f'expected an integer or "all", got {shown(value)}', field="offers")
        return "all"
    return checked_integer(value, "offers", 1, OFFERS_MAX)


def _share(value: float | str) -> float:
    """Return a share in (0, 1] from a number or a text such as ``"80%"``."""
    found = share(value, "share")
    if not found:
        raise PlanError(f'expected a share such as 0.8 or "80%", got {shown(value)}', field="share")
    return found


def _names(value: object, field: str) -> tuple[str, ...]:
    """Return names as they are written, each once."""
    names = values(value, str, field)
    unique(names, "", field)
    return tuple(checked_name(name, f"{field}[{position}]") for position, name in enumerate(names))


def _reserves(value: Iterable[str]) -> tuple[str, ...]:
    names = values(value, str, "reserves")
    for position, name in enumerate(names):
        if name not in RESERVES:
            message = f"expected some of {', '.join(RESERVES)}, got {shown(name)}{nearest(name, RESERVES)}"
            raise PlanError(message, field=f"reserves[{position}]")
    return tuple(name for name in RESERVES if name in names)


def _survives_sign_out(value: object) -> bool:
    return checked_bool(value, "survives_sign_out")


def _auto_accept(value: object) -> bool:
    return checked_bool(value, "auto_accept")


def _paced(value: object) -> bool:
    return checked_bool(value, "paced")


def _patient(value: object) -> bool:
    return checked_bool(value, "patient")


def _allows(value: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if value is None else _names(value, "allows")


def _interrupted_by(value: Iterable[str]) -> tuple[str, ...]:
    return _names(value, "interrupted_by")


@attrs.frozen
class Channel:
    """A kind of interaction; ``load`` is what one interaction takes of an agent's units.

    ``reserves`` says when it takes them besides the conversation itself: "offered", "wrap_up", "hold". What
    ``survives_sign_out`` does not keep an agent from signing out, and stays in hand. ``allows`` names the channels that
    may come while one of this channel is in hand (None: any); its own may always, up to an agent's ``at_most``. To the
    channels of ``interrupted_by`` it gives way: what it holds does not count, and when one of them is connected, this
    one is interrupted until it is over. Raises PlanError.

    >>> Channel("chat", interrupted_by=["voice"]).interrupted_by
    ('voice',)
    """

    name: str = attrs.field(converter=_name)
    load: int = attrs.field(default=1, converter=_load)
    reserves: tuple[str, ...] = attrs.field(default=RESERVES, converter=_reserves, kw_only=True)
    survives_sign_out: bool = attrs.field(default=False, converter=_survives_sign_out, kw_only=True)
    allows: tuple[str, ...] | None = attrs.field(default=None, converter=_allows, kw_only=True)
    interrupted_by: tuple[str, ...] = attrs.field(default=(), converter=_interrupted_by, kw_only=True)


@attrs.frozen
class Target:
    """A service-level target: this share answered within so long. Read by reports and strategies, never by the core.

    >>> Target("20s", "80%")
    Target(within_ms=20000, share=0.8)
    """

    within_ms: int = attrs.field(converter=_within)
    share: float = attrs.field(converter=_share)


@attrs.frozen
class Rona:
    """What happens to an agent whose offers come to nothing for one cause (redirection on no answer).

    After the ``after``-th in a row the agent turns not ready; 0: never. Before that each one leaves the agent alone for
    ``rest_ms``, twice as long each time. An accepted offer, or turning ready, begins the count anew. Raises PlanError.

    >>> Rona(3, "10s")
    Rona(after=3, rest_ms=10000)
    """

    after: int = attrs.field(converter=_after_count)
    rest_ms: int = attrs.field(default=0, converter=_rest)


RONA: Final = {"no_answer": Rona(1), "declined": Rona(0), "busy": Rona(0), "unreachable": Rona(0)}
"""What holds for a queue that does not say otherwise, by cause."""


def _rona(value: Mapping[str, Rona]) -> dict[str, Rona]:
    """Return what differs from RONA, in its order."""
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from causes to Rona, got {shown(value)}", field="rona")
    for cause, item in value.items():
        if cause not in RONA:
            message = f"expected causes of {', '.join(RONA)}, got {shown(cause)}{nearest(cause, RONA)}"
            raise PlanError(message, field=f"rona.{cause}" if isinstance(cause, str) else "rona")
        if not isinstance(item, Rona):
            raise PlanError(f"expected Rona, got {shown(item)}", field=f"rona.{cause}")
    return {cause: value[cause] for cause in RONA if value.get(cause, RONA[cause]) != RONA[cause]}


def _only_while(value: Iterable[OnlyWhile]) -> tuple[OnlyWhile, ...]:
    return values(value, OnlyWhile, "only_while")


@attrs.frozen
class Queue:
    """A named waiting line.

    ``needs`` is what it asks of agents besides what the interaction asks. ``strategy`` None means first come, first
    served. ``offers`` is how many agents are offered one interaction at once (``"all"``: all of least rank);
    ``offer_timeout_ms`` None lets an offer stand until it is answered. With ``offer_every_ms`` offers are progressive:
    the first at once, a further one so long after the last while that is not answered. ``wrap_up_ms`` holds capacity
    after the finish: 0 releases at once, None until the release command. ``limit`` bounds the interactions waiting.
    ``retry_after_ms`` is how long a decline keeps the agent from that interaction; None: until he signs in again or it
    is requeued. An abandonment before ``short_abandon_ms`` is counted apart.

    With a ``setup_timeout_ms`` an accepted offer is not connected yet: the host says when it is, or the attempt fails
    after so long. ``auto_accept`` takes each offer for its agent at once. ``rona`` says by cause ("no_answer",
    "declined", "busy", "unreachable") when an agent turns not ready; what it does not name is as in RONA. By
    ``only_while`` some agents serve this queue under a condition. A step is taken at once where nobody known could ever
    match before it but somebody behind it; a ``patient`` queue waits for it all the same. With a ``window``, or its
    length, offers are held back for so long and matched together; then not to all at once. Raises PlanError.

    >>> Queue("support", needs="spanish >= 3", offer_timeout_ms="15s").offer_timeout_ms
    15000
    """

    name: str = attrs.field(converter=_name)
    needs: str = attrs.field(default="", kw_only=True)
    strategy: StrategyValue | None = attrs.field(default=None, kw_only=True)
    steps: tuple[Step, ...] = attrs.field(default=(), converter=checked_steps, kw_only=True)
    offers: int | Literal["all"] = attrs.field(default=1, converter=_offers, kw_only=True)
    offer_timeout_ms: int | None = attrs.field(default=20_000, converter=_offer_timeout, kw_only=True)
    offer_every_ms: int | None = attrs.field(default=None, converter=_offer_every, kw_only=True)
    wrap_up_ms: int | None = attrs.field(default=0, converter=_wrap_up, kw_only=True)
    limit: int | None = attrs.field(default=None, converter=_limit, kw_only=True)
    retry_after_ms: int | None = attrs.field(default=None, converter=_retry_after, kw_only=True)
    target: Target | None = attrs.field(default=None, kw_only=True)
    short_abandon_ms: int = attrs.field(default=0, converter=_short_abandon, kw_only=True)
    setup_timeout_ms: int | None = attrs.field(default=None, converter=_setup_timeout, kw_only=True)
    auto_accept: bool = attrs.field(default=False, converter=_auto_accept, kw_only=True)
    rona: dict[str, Rona] = attrs.field(factory=dict, converter=_rona, hash=False, kw_only=True)
    patient: bool = attrs.field(default=False, converter=_patient, kw_only=True)
    only_while: tuple[OnlyWhile, ...] = attrs.field(default=(), converter=_only_while, kw_only=True)
    window: Window | None = attrs.field(default=None, converter=checked_window, kw_only=True)
    requirement: Requirement = attrs.field(init=False, eq=False, repr=False)

    @requirement.default
    def _requirement(self) -> Requirement:
        return parsed(self.needs, "needs")

    def __attrs_post_init__(self) -> None:
        if self.offer_every_ms is not None and self.offers == 1:
            raise PlanError("needs more than one of offers", field="offer_every")
        if self.window is not None and self.offers == "all":
            raise PlanError("is not for a queue that offers to all at once", field="window")
        if self.target is not None and not isinstance(self.target, Target):
            raise PlanError(f"expected Target, got {shown(self.target)}", field="target")
        if self.strategy is not None:
            name, version = getattr(self.strategy, "name", None), getattr(self.strategy, "version", None)
            if not isinstance(name, str) or not isinstance(version, int) or isinstance(self.strategy, type):
                given = self.strategy.__name__ if isinstance(self.strategy, type) else shown(self.strategy)
                message = f"expected a strategy, such as Priority(), with a name and a version, got {given}"
                raise PlanError(message, field="strategy")

    def rule_for(self, skills: Mapping[str, int], labels: Mapping[str, Label]) -> OnlyWhile | None:
        """The rule by which such agents serve this queue; None: they always do. O(rules * atoms)."""
        return next((rule for rule in self.only_while if rule.requirement.matches(skills, labels)), None)


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


def _labels(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(checked_name(name, f"labels[{at}]") for at, name in enumerate(values(value, str, "labels")))


def _conditions(value: Iterable[Condition]) -> tuple[Condition, ...]:
    return values(value, Condition, "conditions")


def _value_bands(value: Iterable[int]) -> tuple[int, ...]:
    found = values(value, int, "value_bands")
    if len(found) > VALUE_BANDS_MAX:
        raise PlanError(f"at most {VALUE_BANDS_MAX}, got {len(found)}", field="value_bands")
    for at, edge in enumerate(found):
        checked_integer(edge, f"value_bands[{at}]", found[at - 1] + 1 if at else 1, INTEGER_MAX)
    return found


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
    for the readers of logs; they are dictionaries that nobody may change. ``labels`` are those of interactions that
    limits of agents name. ``value_bands`` are the values, in minor units and ascending, from which on interactions are
    told apart. Where a condition needs estimates, they are made every ``estimates_ms`` while anything waits. What
    agents did counts half after ``agent_window_ms`` for agent keys that look back; random ones take ``agent_seed``.
    ``paced`` has arrivals, handle times and service levels kept for :meth:`omniroute.Router.room`.
    Cost of the checks: O(size of the plan). Raises PlanError.

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
    labels: tuple[str, ...] = attrs.field(default=(), converter=_labels)
    conditions: tuple[Condition, ...] = attrs.field(default=(), converter=_conditions)
    estimates_ms: int | None = attrs.field(default=5_000, converter=_estimates)
    value_bands: tuple[int, ...] = attrs.field(default=(), converter=_value_bands)
    agent_window_ms: int = attrs.field(default=HALF_LIFE, converter=_agent_window)
    agent_seed: int = attrs.field(default=0, converter=_agent_seed)
    paced: bool = attrs.field(default=False, converter=_paced)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise PlanError(f"expected Limits, got {shown(self.limits)}", field="limits")
        if not isinstance(self.journey, JourneyRules | None):
            raise PlanError(f"expected JourneyRules, got {shown(self.journey)}", field="journey")
        if not isinstance(self.intake, Intake | None):
            raise PlanError(f"expected Intake, got {shown(self.intake)}", field="intake")
        check_parts(self)

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
