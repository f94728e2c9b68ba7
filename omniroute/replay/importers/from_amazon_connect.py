"""Amazon Connect: routing profiles, proficiencies and routing criteria, as a plan.

What the settings mean: the administrator guide of Amazon Connect, "How routing works", "Queues: priority and delay",
and the flow action UpdateRoutingCriteria.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from omniroute.errors import PlanError
from omniroute.model import Agent, checked_term, nearest, shown
from omniroute.plan import Channel, Plan, Queue, Step
from omniroute.replay.importers.table import Table, few, inside, integer, named, rows, same
from omniroute.requirements import ATOMS_MAX
from omniroute.strategies.membership import ByMembership

__all__ = ["amazon_connect"]

_CHANNELS: Final = {"VOICE": "voice", "CHAT": "chat", "TASK": "task", "EMAIL": "email"}
_MOST: Final = 10
"""Interactions of one channel at one time."""
_DEPTH_MAX: Final = 8
_OPERATORS: Final = ("NumberGreaterOrEqualTo", "Range", "Match")
_CONDITION: Final = ("Name", "Value", "ProficiencyLevel", "Range", "ComparisonOperator")
_AGENT: Final = ("profile", "proficiencies", "auto_accept", "after_contact_work")
_NO_AGENTS: Final = {"MatchCriteria": "bind each interaction to its agents"}


@attrs.frozen
class _Profile:
    """A routing profile: (priority, delay in ms) by queue, the most of each channel, and which allow any other."""

    queues: dict[str, tuple[int, int]]
    most: dict[str, int]
    open: frozenset[str]
    field: str

    def allows(self, key: str) -> bool | None:
        """Whether other channels may come beside one; None where the profile has none, so that it does not matter."""
        return key in self.open if key in self.most and len(self.most) > 1 else None

    def mixed(self) -> bool:
        """Whether all channels mix; none must, if not. Raises PlanError."""
        if self.open and self.open < set(self.most):
            message = "cannot be expressed in a plan: other profiles say otherwise of the same channel"
            raise PlanError(message, field=f"{self.field}.cross_channel")
        return bool(self.open)


def amazon_connect(
    queues: Mapping[str, Mapping[str, object]],
    profiles: Mapping[str, Mapping[str, object]],
    agents: Mapping[str, Mapping[str, object]],
) -> Plan:
    """Return the plan of queues, routing profiles and agents, each by name.

    Of a queue: ``routing_criteria``, the ``Steps`` of UpdateRoutingCriteria that its contacts get. Of a profile:
    ``queues``, rows of ``queue``, ``priority`` (1 is best) and ``delay`` in seconds; ``concurrency``, the most of
    VOICE, CHAT, TASK and EMAIL; ``cross_channel``, whether other channels may come beside one that is in hand, for all
    of them or by channel. Of an agent: ``profile``, ``proficiencies``, levels by ``Name:Value``, ``auto_accept`` and
    ``after_contact_work``, the same seconds for all (0: until released). The priority becomes the penalty of the
    membership, looked at when an agent chooses; contacts choose the longest idle. Delays are delays of the agents, on
    the ordering age; expiries become steps that replace what is needed, so give these contacts no needs of their own.
    What a channel allows is said by the channel; profiles that differ in it need channels that all mix or none, and
    then it is capacity. Raises PlanError. O(size of the configuration).

    >>> rows = [{"queue": "sales", "priority": 1, "delay": 0}]
    >>> profile = {"queues": rows, "concurrency": {"VOICE": 1, "CHAT": 3}}
    >>> plan = amazon_connect({"sales": {}}, {"p": profile}, {"ana": {"profile": "p"}})
    >>> [(channel.name, channel.allows) for channel in plan.channels], plan.agents[0].units
    ([('voice', ()), ('chat', ())], 4)
    """
    names = {name: Table(value, field, ("routing_criteria",)) for field, name, value in named(queues, "queues")}
    found = {name: _profile(value, field, names) for field, name, value in named(profiles, "profiles")}
    channels, units = _capacity(found)
    crew = []
    work: dict[str, int] = {}
    for field, name, value in named(agents, "agents"):
        table = Table(value, field, _AGENT)
        profile = table.name("profile")
        if profile not in found:
            raise PlanError(f"unknown profile {shown(profile)}{nearest(profile, found)}", field=table.at("profile"))
        if table.has("after_contact_work"):
            seconds = table.seconds("after_contact_work")
            same(work, "everybody", seconds, table.at("after_contact_work"), "after contact work in ms")
        with inside(field):
            crew.append(_agent(name, table, found[profile], units[profile], [channel.name for channel in channels]))
    wrap_up = work.get("everybody", 0) or (None if work else 0)
    return Plan(
        channels=channels,
        queues=[_queue(name, table, wrap_up) for name, table in names.items()],
        agents=crew,
    )


def _agent(name: str, table: Table, profile: _Profile, units: int, channels: Sequence[str]) -> Agent:
    """Build an agent; of a channel that his profile does not have he gets nothing."""
    most = {_CHANNELS[key]: count for key, count in profile.most.items()}
    levels = named(table.get("proficiencies") or {}, table.at("proficiencies"))
    return Agent(
        name,
        skills={skill: integer(level, at, 1, 5) for at, skill, level in levels},
        queues={queue: priority - 1 for queue, (priority, _) in profile.queues.items()},
        units=units,
        at_most={channel: most.get(channel, 0) for channel in channels},
        auto_accept=table.flag("auto_accept", False),
        delays={queue: delay for queue, (_, delay) in profile.queues.items()},
    )


def _profile(value: object, field: str, queues: Mapping[str, object]) -> _Profile:
    """Read a routing profile."""
    table = Table(value, field, ("queues", "concurrency", "cross_channel"))
    listed: dict[str, tuple[int, int]] = {}
    for at, row in rows(table.get("queues") or (), table.at("queues")):
        entry = Table(row, at, ("queue", "priority", "delay"), refused={"channel": "a queue is for all channels"})
        name = entry.name("queue")
        if name not in queues:
            raise PlanError(f"unknown queue {shown(name)}{nearest(name, queues)}", field=entry.at("queue"))
        if name in listed:
            raise PlanError(f"{name!r} is in this profile already", field=entry.at("queue"))
        listed[name] = entry.integer("priority", 1, 99, 1), 1_000 * entry.integer("delay", 0, 9_999, 0)
    limits = Table(table.get("concurrency"), table.at("concurrency"), tuple(_CHANNELS))
    most = {key: limits.integer(key, 1, _MOST) for key in _CHANNELS if limits.has(key)}
    if not most:
        raise PlanError("expected at least one channel", field=table.at("concurrency"))
    return _Profile(listed, most, _open(table, most), field)


def _open(table: Table, most: Mapping[str, int]) -> frozenset[str]:
    """The channels beside which any other may come."""
    if not isinstance(table.get("cross_channel"), Mapping):
        return frozenset(most) if table.flag("cross_channel", False) else frozenset()
    each = Table(table.get("cross_channel"), table.at("cross_channel"), tuple(most))
    return frozenset(key for key in most if each.flag(key, False))


def _capacity(profiles: Mapping[str, _Profile]) -> tuple[list[Channel], dict[str, int]]:
    """The channels, and what the agents of each profile can bear."""
    used = [key for key in _CHANNELS if any(key in profile.most for profile in profiles.values())] or ["VOICE"]
    said = {key: {profile.allows(key) for profile in profiles.values()} - {None} for key in used}
    if all(len(answers) < 2 for answers in said.values()):
        channels = [Channel(_CHANNELS[key], allows=() if False in said[key] else None) for key in used]
        return channels, {name: sum(profile.most.values()) for name, profile in profiles.items()}
    loads = _loads(profiles, used)
    units = {name: _units(profile, loads) for name, profile in profiles.items()}
    return [Channel(_CHANNELS[key], load) for key, load in loads.items()], units


def _loads(profiles: Mapping[str, _Profile], used: Sequence[str]) -> dict[str, int]:
    """The load of each channel where profiles differ: 1 where somebody who may not mix handles several.

    Else it is so much that one fills him: two channels exclude one another by capacity alone only if one of them does.
    """
    apart = [profile for profile in profiles.values() if not profile.mixed() and len(profile.most) > 1]
    wide = {key for profile in apart for key, most in profile.most.items() if most > 1}
    for profile in apart:
        several = [key for key in profile.most if key in wide]
        if len(several) > 1:
            message = f"cannot be expressed in a plan: {' and '.join(several)} exclude one another, several of each"
            raise PlanError(message, field=f"{profile.field}.concurrency")
    full = max((most for profile in apart for most in profile.most.values()), default=1)
    return {key: 1 if key in wide else full for key in used}


def _units(profile: _Profile, loads: Mapping[str, int]) -> int:
    """What an agent can bear: everything together, or one channel at a time."""
    each = [loads[key] * most for key, most in profile.most.items()]
    return sum(each) if profile.mixed() else max(each)


def _queue(name: str, table: Table, wrap_up_ms: int | None) -> Queue:
    """Build a queue: at each instant the criteria that have not expired."""
    criteria = _criteria(table)
    instants = [until for until, _ in criteria if until is not None]
    texts = [*(text for _, text in criteria), ""]
    with inside(table.field):
        return Queue(
            name,
            patient=True,
            needs=texts[0],
            steps=few([Step(at, needs=text) for at, text in zip(instants, texts[1:], strict=False)]),
            strategy=ByMembership(prefers="agent_key", takes="penalty"),
            wrap_up_ms=wrap_up_ms,
        )


def _criteria(table: Table) -> list[tuple[int | None, str]]:
    """The steps of the routing criteria: until which wait in ms (None: for good), and the expression."""
    found: list[tuple[int | None, str]] = []
    until: int | None = 0
    for field, row in rows(table.get("routing_criteria") or (), table.at("routing_criteria")):
        if until is None:
            raise PlanError("is never reached: the step ahead of it does not expire", field=field)
        step = Table(row, field, ("Expression", "Expiry"))
        text = _expression(step.get("Expression"), step.at("Expression"), 0, iter(range(ATOMS_MAX)))
        if step.has("Expiry"):
            expiry = Table(step.get("Expiry"), step.at("Expiry"), ("DurationInSeconds",))
            until += 1_000 * expiry.integer("DurationInSeconds", 1, 315_360_000)
        else:
            until = None
        found.append((until, text))
    return found


def _expression(value: object, field: str, depth: int, room: Iterator[int]) -> str:
    """An expression over proficiencies as a requirement; ``room`` has an item for each condition that it may have."""
    if depth > _DEPTH_MAX:
        raise PlanError(f"at most {_DEPTH_MAX} expressions inside one another", field=field)
    kinds = ("AttributeCondition", "NotAttributeCondition", "AndExpression", "OrExpression")
    table = Table(value, field, kinds)
    given = [kind for kind in kinds if table.has(kind)]
    if len(given) != 1:
        raise PlanError(f"expected one of {', '.join(kinds)}", field=field)
    kind = given[0]
    if kind.endswith("Condition") and next(room, None) is None:
        raise PlanError(f"at most {ATOMS_MAX} conditions in one step", field=field)
    if kind == "AttributeCondition":
        return _condition(table.get(kind), table.at(kind))
    if kind == "NotAttributeCondition":
        return f"not ({_condition(table.get(kind), table.at(kind))})"
    parts = [_expression(item, at, depth + 1, room) for at, item in rows(table.get(kind), table.at(kind))]
    if not parts:
        raise PlanError("expected at least one expression", field=table.at(kind))
    return f"({(' and ' if kind == 'AndExpression' else ' or ').join(parts)})"


def _condition(value: object, field: str) -> str:
    """One proficiency: at least a level, or between two."""
    table = Table(value, field, _CONDITION, refused=_NO_AGENTS)
    skill = checked_term(f"{table.name('Name')}:{table.name('Value')}", field)
    operator = table.choice("ComparisonOperator", _OPERATORS)
    if operator == "Range":
        span = Table(table.get("Range"), table.at("Range"), ("MinProficiencyLevel", "MaxProficiencyLevel"))
        low, high = (_level(span, key) for key in ("MinProficiencyLevel", "MaxProficiencyLevel"))
        return f"(`{skill}` >= {low} and `{skill}` <= {high})"
    table.only("ComparisonOperator", "NumberGreaterOrEqualTo", operator, "agents cannot be named")
    return f"`{skill}` >= {_level(table, 'ProficiencyLevel')}"


def _level(table: Table, key: str) -> int:
    """A level from 1 to 5; a whole float is read as an integer."""
    value = table.get(key)
    if isinstance(value, float) and value in (1.0, 2.0, 3.0, 4.0, 5.0):
        value = int(value)
    return integer(value, table.at(key), 1, 5)
