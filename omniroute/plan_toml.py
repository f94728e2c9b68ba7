"""Plans as TOML: read strictly, with the line of whatever is wrong, and written for a person to edit."""

from __future__ import annotations

import os
from typing import Any

import attrs

from omniroute.conditions import Condition, OnlyWhile
from omniroute.core.limits import HALF_LIFE
from omniroute.intake import Intake, Rule
from omniroute.journey_rules import Effort, JourneyRules
from omniroute.model import Agent, Label, instant_text
from omniroute.plan import (
    RESERVES,
    Channel,
    Limits,
    Plan,
    Queue,
    Rona,
    Step,
    StrategyValue,
    Target,
    Window,
    duration_text,
)
from omniroute.toml_tables import (
    block,
    checked_keys,
    keys_of,
    read_document,
    read_table,
    rows_of,
    text_of_file,
    without,
)

__all__ = ["read_file", "read_text", "written_plan"]

_NEVER = "never"
_UNTIL_RELEASED = "until released"
_DEFAULT = "default"
"""The name of an intake's default where the file gives none."""


def read_file(path: str | os.PathLike[str]) -> Plan:
    """Read a plan from a file of at most FILE_BYTES_MAX bytes. Raises PlanError with file, line and field."""
    return read_text(text_of_file(path), source=os.fspath(path))


def read_text(text: str, *, source: str) -> Plan:
    """Read a plan from TOML; ``source`` is its name in errors. Raises PlanError with line and field."""
    return read_document(text, source, _read_plan)


_CHANNEL_KEYS = keys_of(Channel)
_STEP_KEYS = keys_of(Step)
_TARGET_KEYS = keys_of(Target)
_RONA_KEYS = keys_of(Rona)
_CONDITION_KEYS = keys_of(Condition)
_ONLY_WHILE_KEYS = keys_of(OnlyWhile)
_WINDOW_KEYS = keys_of(Window)
_QUEUE_KEYS = keys_of(Queue)
_AGENT_KEYS = keys_of(Agent)
_LIMITS_KEYS = keys_of(Limits)
_PLAN_KEYS = keys_of(Plan)
_EFFORT_KEYS = keys_of(Effort)
_JOURNEY_KEYS = keys_of(JourneyRules)
_RULE_KEYS = {
    **{
        name: name
        for name in ("name", "when", "queue", "needs", "priority", "value", "treatment", "least", "weights", "random")
    },
    "head_start": "head_start_ms",
}
_INTAKE_KEYS = {
    "mode": "mode",
    "utc_offset": "utc_offset_ms",
    "private": "private",
    "default": "default",
    "rules": "rules",
}


def _read_plan(document: dict[str, Any]) -> Plan:
    """Build a plan from what a TOML document says."""
    values = checked_keys(document, {**_PLAN_KEYS, "strategy": "strategy"}, ("queues",), "")
    default = _read_strategy(values.pop("strategy"), "strategy") if "strategy" in values else None
    if "channels" in values:
        values["channels"] = [
            read_table(Channel, item, _CHANNEL_KEYS, at) for at, item in rows_of(values, "channels", "")
        ]
    if "conditions" in values:
        rows = rows_of(values, "conditions", "")
        values["conditions"] = [read_table(Condition, item, _CONDITION_KEYS, at) for at, item in rows]
    values["queues"] = [_read_queue(item, at, default) for at, item in rows_of(values, "queues", "")]
    values["agents"] = [read_table(Agent, item, _AGENT_KEYS, at) for at, item in rows_of(values, "agents", "")]
    if "limits" in values:
        values["limits"] = read_table(Limits, values["limits"], _LIMITS_KEYS, "limits")
    if "intake" in values:
        values["intake"] = _read_intake(values["intake"])
    if "journey" in values:
        values["journey"] = _read_journey(values["journey"])
    return Plan(**values)


def _read_journey(table: object) -> JourneyRules:
    """Build the rules of journeys with their weights."""
    if isinstance(table, dict) and "effort" in table:
        table = table | {"effort": read_table(Effort, table["effort"], _EFFORT_KEYS, "journey.effort")}
    return read_table(JourneyRules, table, _JOURNEY_KEYS, "journey")


def _read_intake(table: object) -> Intake:
    """Build an intake with its rules and its default, which needs no name."""
    if isinstance(table, dict):
        rules = [read_table(Rule, item, _RULE_KEYS, at) for at, item in rows_of(table, "rules", "intake.")]
        table = {**table, "rules": rules}
        if "default" in table:
            default = table["default"]
            named = {"name": _DEFAULT, **default} if isinstance(default, dict) else default
            table["default"] = read_table(Rule, named, _RULE_KEYS, "intake.default")
    return read_table(Intake, table, _INTAKE_KEYS, "intake")


def _read_queue(table: object, field: str, default: StrategyValue | None) -> Queue:
    """Build a queue with its steps, target, strategy and rules; ``default`` is the strategy of who names none."""
    if isinstance(table, dict):
        table = dict(table)
        if "steps" in table:
            table["steps"] = [
                read_table(Step, item, _STEP_KEYS, at) for at, item in rows_of(table, "steps", f"{field}.")
            ]
        if "only_while" in table:
            rows = rows_of(table, "only_while", f"{field}.")
            table["only_while"] = [read_table(OnlyWhile, item, _ONLY_WHILE_KEYS, at) for at, item in rows]
        if isinstance(table.get("rona"), dict):
            rona = table["rona"].items()
            table["rona"] = {cause: read_table(Rona, item, _RONA_KEYS, f"{field}.rona.{cause}") for cause, item in rona}
        if "target" in table:
            table["target"] = read_table(Target, table["target"], _TARGET_KEYS, f"{field}.target")
        if isinstance(table.get("window"), dict):
            table["window"] = read_table(Window, table["window"], _WINDOW_KEYS, f"{field}.window")
        named = "strategy" in table
        table["strategy"] = _read_strategy(table["strategy"], f"{field}.strategy") if named else default
    return read_table(Queue, table, _QUEUE_KEYS, field)


def _read_strategy(value: object, field: str) -> StrategyValue:
    """Build a strategy from its name, or from a table with a name and parameters."""
    from omniroute.strategies import catalogue

    strategy: StrategyValue = catalogue.read(value, field)
    return strategy


def written_plan(plan: Plan) -> str:
    """Write the tables of a plan in the order in which a person reads them."""
    defaults = Limits()
    top = _top_table(plan)
    blocks = [block("", top)] if top else []
    changed = {key: getattr(plan.limits, key) for key in _LIMITS_KEYS}
    changed = {key: value for key, value in changed.items() if value != getattr(defaults, key)}
    for header, table in (("[limits]", changed), ("[csv]", plan.csv), ("[replay]", plan.replay)):
        if table:
            blocks.append(block(header, table))
    if plan.journey is not None:
        blocks.append(block("[journey]", _journey_table(plan.journey)))
    blocks.extend(block("[[channels]]", _channel_table(channel)) for channel in plan.channels)
    blocks.extend(block("[[conditions]]", _condition_table(condition)) for condition in plan.conditions)
    for queue in plan.queues:
        blocks.append(block("[[queues]]", _queue_table(queue)))
        for cause, rona in queue.rona.items():
            table = {"after": rona.after, "rest": duration_text(rona.rest_ms)}
            blocks.append(block(f"[queues.rona.{cause}]", without(table, {"rest": "0s"})))
        for rule in queue.only_while:
            table = without({"condition": rule.condition, "agents": rule.agents}, {"agents": ""})
            blocks.append(block("[[queues.only_while]]", table))
        blocks.extend(block("[[queues.steps]]", _step_table(step)) for step in queue.steps)
    if plan.intake is not None:
        blocks.append(block("[intake]", _intake_table(plan.intake)))
        blocks.extend(block("[[intake.rules]]", _rule_table(rule)) for rule in plan.intake.rules)
    blocks.extend(block("[[agents]]", _agent_table(agent)) for agent in plan.agents)
    return "\n".join(blocks)


def _top_table(plan: Plan) -> dict[str, object]:
    """Return what TOML says of the plan itself, where it is not the default."""
    top: dict[str, object] = {}
    if plan.retention_ms != 3_600_000:
        top["retention"] = duration_text(plan.retention_ms)
    if plan.estimates_ms != 5_000:
        top["estimates"] = _NEVER if plan.estimates_ms is None else duration_text(plan.estimates_ms)
    if plan.agent_window_ms != HALF_LIFE:
        top["agent_window"] = duration_text(plan.agent_window_ms)
    if plan.agent_seed:
        top["agent_seed"] = plan.agent_seed
    if plan.skills:
        top["skills"] = plan.skills
    if plan.labels:
        top["labels"] = plan.labels
    if plan.value_bands:
        top["value_bands"] = plan.value_bands
    if plan.paced:
        top["paced"] = True
    return top


def _journey_table(rules: JourneyRules) -> dict[str, object]:
    """Return what TOML says of journeys, where it is not the default."""
    table: dict[str, object] = {}
    for field in attrs.fields(JourneyRules):
        value = getattr(rules, field.name)
        if value == (Effort() if field.name == "effort" else field.default):
            continue
        if isinstance(value, Effort):
            table["effort"] = without(attrs.asdict(value), attrs.asdict(Effort()))
        elif field.name.endswith("_ms"):
            table[field.name.removesuffix("_ms")] = duration_text(value)
        else:
            table[field.name] = value
    return table


def _channel_table(channel: Channel) -> dict[str, object]:
    """Return what TOML says of a channel."""
    table = {key: getattr(channel, name) for key, name in _CHANNEL_KEYS.items()}
    return without(table, {"load": 1, "reserves": RESERVES, "survives_sign_out": False, "interrupted_by": ()})


def _condition_table(condition: Condition) -> dict[str, object]:
    """Return what TOML says of a condition."""
    table = {key: getattr(condition, name) for key, name in _CONDITION_KEYS.items()}
    if condition.of == "wait":
        thresholds = ("at_least", "at_most", "until")
        table |= {key: duration_text(table[key]) for key in thresholds if table[key] is not None}
    return without(table, {"agents": ""})


def _queue_table(queue: Queue) -> dict[str, object]:
    """Return what TOML says of a queue, the tables inside it excepted."""
    strategy: object = None
    if queue.strategy is not None:
        from omniroute.strategies import catalogue

        strategy = catalogue.written(queue.strategy)
    target = queue.target and {"within": duration_text(queue.target.within_ms), "share": queue.target.share}
    window: object = queue.window and duration_text(queue.window.length_ms)
    if queue.window and queue.window.name:
        window = {"length": window, "name": queue.window.name}
    table = {
        "name": queue.name,
        "needs": queue.needs,
        "strategy": strategy,
        "offers": queue.offers,
        "offer_timeout": _NEVER if queue.offer_timeout_ms is None else duration_text(queue.offer_timeout_ms),
        "offer_every": None if queue.offer_every_ms is None else duration_text(queue.offer_every_ms),
        "wrap_up": _UNTIL_RELEASED if queue.wrap_up_ms is None else duration_text(queue.wrap_up_ms),
        "limit": queue.limit,
        "retry_after": None if queue.retry_after_ms is None else duration_text(queue.retry_after_ms),
        "target": target,
        "short_abandon": duration_text(queue.short_abandon_ms),
        "setup_timeout": None if queue.setup_timeout_ms is None else duration_text(queue.setup_timeout_ms),
        "auto_accept": queue.auto_accept,
        "patient": queue.patient,
        "window": window,
    }
    return without(table, {"needs": "", "offers": 1, "short_abandon": "0s", "auto_accept": False, "patient": False})


def _step_table(step: Step) -> dict[str, object]:
    """Return what TOML says of a step."""
    table = {key: getattr(step, name) for key, name in _STEP_KEYS.items()}
    table["after"] = duration_text(step.after_ms)
    return without(table, {"without": (), "cancel": False, "say": "", "offer": ""})


def _intake_table(intake: Intake) -> dict[str, object]:
    """Return what TOML says of an intake, rules excepted."""
    hours, minutes = divmod(abs(intake.utc_offset_ms) // 60_000, 60)
    table = {
        "mode": intake.mode,
        "utc_offset": f"{'-' if intake.utc_offset_ms < 0 else '+'}{hours:02}:{minutes:02}",
        "private": sorted(intake.private),
        "default": without(_rule_table(intake.default), {"name": _DEFAULT}),
    }
    return without(table, {"mode": "first", "utc_offset": "+00:00", "private": []})


def _rule_table(rule: Rule) -> dict[str, object]:
    """Return what TOML says of a rule; a single queue is a name."""
    table = {
        "name": rule.name,
        "when": rule.when,
        "queue": rule.queue[0] if len(rule.queue) == 1 else rule.queue,
        "needs": rule.needs,
        "priority": rule.priority,
        "value": rule.value,
        "head_start": None if rule.head_start_ms is None else duration_text(rule.head_start_ms),
        "treatment": rule.treatment,
        "least": rule.least,
        "weights": dict(rule.weights),
        "random": rule.random,
    }
    return without(table, {"when": "", "queue": (), "weights": {}, "random": False})


def _agent_table(agent: Agent) -> dict[str, object]:
    """Return what TOML says of an agent; memberships without penalties become a list of names."""
    queues: object = agent.queues
    if agent.queues is not None and not any(agent.queues.values()):
        queues = list(agent.queues)
    windows = [[instant_text(start), instant_text(end)] for start, end in agent.windows]
    table = {
        "id": agent.id,
        "skills": agent.skills or None,
        "labels": {name: _label_value(label) for name, label in agent.labels.items()} or None,
        "queues": queues,
        "units": agent.units,
        "at_most": agent.at_most or None,
        "order": agent.order,
        "windows": windows or None,
        "label_at_most": agent.label_at_most or None,
        "auto_accept": agent.auto_accept,
        "burst": agent.burst,
        "burst_per": duration_text(agent.burst_per_ms),
        "delays": {queue: duration_text(delay) for queue, delay in agent.delays.items()} or None,
        "weight": agent.weight,
        "shares": {queue: f"{100 * share:g}%" for queue, share in agent.shares.items()} or None,
        "occupancy_at_most": None if agent.occupancy_at_most == 1 else f"{100 * agent.occupancy_at_most:g}%",
    }
    defaults = {"units": 1, "order": 0, "auto_accept": False, "burst": 0, "burst_per": "1m", "weight": 1}
    return without(table, defaults)


def _label_value(label: Label) -> object:
    return sorted(label) if isinstance(label, frozenset) else label
