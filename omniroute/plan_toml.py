"""Plans as TOML: read strictly, with the line of whatever is wrong, and written for a person to edit."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from omniroute.conditions import Condition, OnlyWhile
from omniroute.errors import PlanError
from omniroute.intake import Intake, Rule
from omniroute.journey_rules import Effort, JourneyRules
from omniroute.model import Agent, Label, nearest, shown
from omniroute.plan import RESERVES, Channel, Limits, Plan, Queue, Rona, Step, StrategyValue, Target, duration_text

__all__ = ["read_file", "read_text", "written_plan"]

FILE_BYTES_MAX: Final = 16 * 2**20

_NEVER = "never"
_UNTIL_RELEASED = "until released"
_DEFAULT = "default"
"""The name of an intake's default where the file gives none."""
_T = TypeVar("_T")


def read_file(path: str | os.PathLike[str]) -> Plan:
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
    return read_text(text, source=source)


def read_text(text: str, *, source: str) -> Plan:
    """Read a plan from TOML; ``source`` is its name in errors. Raises PlanError with line and field."""
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


def _keys_of(kind: type) -> dict[str, str]:
    """Return the attribute behind each key of a table: the same name, without the unit."""
    return {field.name.removesuffix("_ms"): field.name for field in attrs.fields(kind) if field.init}


_CHANNEL_KEYS = _keys_of(Channel)
_STEP_KEYS = _keys_of(Step)
_TARGET_KEYS = _keys_of(Target)
_RONA_KEYS = _keys_of(Rona)
_CONDITION_KEYS = _keys_of(Condition)
_ONLY_WHILE_KEYS = _keys_of(OnlyWhile)
_QUEUE_KEYS = _keys_of(Queue)
_AGENT_KEYS = _keys_of(Agent)
_LIMITS_KEYS = _keys_of(Limits)
_PLAN_KEYS = _keys_of(Plan)
_EFFORT_KEYS = _keys_of(Effort)
_JOURNEY_KEYS = _keys_of(JourneyRules)
_RULE_KEYS = {
    **{name: name for name in ("name", "when", "queue", "needs", "priority", "value", "treatment")},
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
    values = _keys(document, _PLAN_KEYS, ("queues",), "")
    if "channels" in values:
        values["channels"] = [_read(Channel, item, _CHANNEL_KEYS, at) for at, item in _rows(values, "channels", "")]
    if "conditions" in values:
        rows = _rows(values, "conditions", "")
        values["conditions"] = [_read(Condition, item, _CONDITION_KEYS, at) for at, item in rows]
    values["queues"] = [_read_queue(item, at) for at, item in _rows(values, "queues", "")]
    values["agents"] = [_read(Agent, item, _AGENT_KEYS, at) for at, item in _rows(values, "agents", "")]
    if "limits" in values:
        values["limits"] = _read(Limits, values["limits"], _LIMITS_KEYS, "limits")
    if "intake" in values:
        values["intake"] = _read_intake(values["intake"])
    if "journey" in values:
        values["journey"] = _read_journey(values["journey"])
    return Plan(**values)


def _read_journey(table: object) -> JourneyRules:
    """Build the rules of journeys with their weights."""
    if isinstance(table, dict) and "effort" in table:
        table = table | {"effort": _read(Effort, table["effort"], _EFFORT_KEYS, "journey.effort")}
    return _read(JourneyRules, table, _JOURNEY_KEYS, "journey")


def _read_intake(table: object) -> Intake:
    """Build an intake with its rules and its default, which needs no name."""
    if isinstance(table, dict):
        rules = [_read(Rule, item, _RULE_KEYS, at) for at, item in _rows(table, "rules", "intake.")]
        table = {**table, "rules": rules}
        if "default" in table:
            default = table["default"]
            named = {"name": _DEFAULT, **default} if isinstance(default, dict) else default
            table["default"] = _read(Rule, named, _RULE_KEYS, "intake.default")
    return _read(Intake, table, _INTAKE_KEYS, "intake")


def _read_queue(table: object, field: str) -> Queue:
    """Build a queue with its steps, target, strategy and rules."""
    if isinstance(table, dict):
        table = dict(table)
        if "steps" in table:
            table["steps"] = [_read(Step, item, _STEP_KEYS, at) for at, item in _rows(table, "steps", f"{field}.")]
        if "only_while" in table:
            rows = _rows(table, "only_while", f"{field}.")
            table["only_while"] = [_read(OnlyWhile, item, _ONLY_WHILE_KEYS, at) for at, item in rows]
        if isinstance(table.get("rona"), dict):
            rona = table["rona"].items()
            table["rona"] = {cause: _read(Rona, item, _RONA_KEYS, f"{field}.rona.{cause}") for cause, item in rona}
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
            *parents, last = (part.strip() for part in header[2].split("."))
            name = ""
            for parent in parents:
                name = f"{name}{parent}"
                name += f"[{counts[name] - 1}]." if name in counts else "."
            name += last
            if header[1] == "[[":
                counts[name] = counts.get(name, 0) + 1
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


def written_plan(plan: Plan) -> str:
    """Write the tables of a plan in the order in which a person reads them."""
    defaults = Limits()
    top: dict[str, object] = {}
    if plan.retention_ms != 3_600_000:
        top["retention"] = duration_text(plan.retention_ms)
    if plan.estimates_ms != 5_000:
        top["estimates"] = _NEVER if plan.estimates_ms is None else duration_text(plan.estimates_ms)
    if plan.skills:
        top["skills"] = plan.skills
    if plan.labels:
        top["labels"] = plan.labels
    blocks = [_block("", top)] if top else []
    changed = {key: getattr(plan.limits, key) for key in _LIMITS_KEYS}
    changed = {key: value for key, value in changed.items() if value != getattr(defaults, key)}
    for header, table in (("[limits]", changed), ("[csv]", plan.csv), ("[replay]", plan.replay)):
        if table:
            blocks.append(_block(header, table))
    if plan.journey is not None:
        blocks.append(_block("[journey]", _journey_table(plan.journey)))
    blocks.extend(_block("[[channels]]", _channel_table(channel)) for channel in plan.channels)
    blocks.extend(_block("[[conditions]]", _condition_table(condition)) for condition in plan.conditions)
    for queue in plan.queues:
        blocks.append(_block("[[queues]]", _queue_table(queue)))
        for cause, rona in queue.rona.items():
            table = {"after": rona.after, "rest": duration_text(rona.rest_ms)}
            blocks.append(_block(f"[queues.rona.{cause}]", _without(table, {"rest": "0s"})))
        for rule in queue.only_while:
            table = _without({"condition": rule.condition, "agents": rule.agents}, {"agents": ""})
            blocks.append(_block("[[queues.only_while]]", table))
        blocks.extend(_block("[[queues.steps]]", _step_table(step)) for step in queue.steps)
    if plan.intake is not None:
        blocks.append(_block("[intake]", _intake_table(plan.intake)))
        blocks.extend(_block("[[intake.rules]]", _rule_table(rule)) for rule in plan.intake.rules)
    blocks.extend(_block("[[agents]]", _agent_table(agent)) for agent in plan.agents)
    return "\n".join(blocks)


def _without(table: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Return a table without None and without values that are the default."""
    return {
        key: item for key, item in table.items() if item is not None and (key not in defaults or item != defaults[key])
    }


def _journey_table(rules: JourneyRules) -> dict[str, object]:
    """Return what TOML says of journeys, where it is not the default."""
    table: dict[str, object] = {}
    for field in attrs.fields(JourneyRules):
        value = getattr(rules, field.name)
        if value == (Effort() if field.name == "effort" else field.default):
            continue
        if isinstance(value, Effort):
            table["effort"] = _without(attrs.asdict(value), attrs.asdict(Effort()))
        elif field.name.endswith("_ms"):
            table[field.name.removesuffix("_ms")] = duration_text(value)
        else:
            table[field.name] = value
    return table


def _channel_table(channel: Channel) -> dict[str, object]:
    """Return what TOML says of a channel."""
    table = {key: getattr(channel, name) for key, name in _CHANNEL_KEYS.items()}
    return _without(table, {"load": 1, "reserves": RESERVES, "survives_sign_out": False, "interrupted_by": ()})


def _condition_table(condition: Condition) -> dict[str, object]:
    """Return what TOML says of a condition."""
    table = {key: getattr(condition, name) for key, name in _CONDITION_KEYS.items()}
    if condition.of == "wait":
        thresholds = ("at_least", "at_most", "until")
        table |= {key: duration_text(table[key]) for key in thresholds if table[key] is not None}
    return _without(table, {"agents": ""})


def _queue_table(queue: Queue) -> dict[str, object]:
    """Return what TOML says of a queue, the tables inside it excepted."""
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
        "offer_every": None if queue.offer_every_ms is None else duration_text(queue.offer_every_ms),
        "wrap_up": _UNTIL_RELEASED if queue.wrap_up_ms is None else duration_text(queue.wrap_up_ms),
        "limit": queue.limit,
        "retry_after": None if queue.retry_after_ms is None else duration_text(queue.retry_after_ms),
        "target": target,
        "short_abandon": duration_text(queue.short_abandon_ms),
        "setup_timeout": None if queue.setup_timeout_ms is None else duration_text(queue.setup_timeout_ms),
        "auto_accept": queue.auto_accept,
        "patient": queue.patient,
    }
    return _without(table, {"needs": "", "offers": 1, "short_abandon": "0s", "auto_accept": False, "patient": False})


def _step_table(step: Step) -> dict[str, object]:
    """Return what TOML says of a step."""
    table = {key: getattr(step, name) for key, name in _STEP_KEYS.items()}
    table["after"] = duration_text(step.after_ms)
    return _without(table, {"without": (), "cancel": False, "say": "", "offer": ""})


def _intake_table(intake: Intake) -> dict[str, object]:
    """Return what TOML says of an intake, rules excepted."""
    hours, minutes = divmod(abs(intake.utc_offset_ms) // 60_000, 60)
    table = {
        "mode": intake.mode,
        "utc_offset": f"{'-' if intake.utc_offset_ms < 0 else '+'}{hours:02}:{minutes:02}",
        "private": sorted(intake.private),
        "default": _without(_rule_table(intake.default), {"name": _DEFAULT}),
    }
    return _without(table, {"mode": "first", "utc_offset": "+00:00", "private": []})


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
    }
    return _without(table, {"when": "", "queue": ()})


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
        "label_at_most": agent.label_at_most or None,
        "auto_accept": agent.auto_accept,
        "burst": agent.burst,
        "burst_per": duration_text(agent.burst_per_ms),
        "delays": {queue: duration_text(delay) for queue, delay in agent.delays.items()} or None,
    }
    return _without(table, {"units": 1, "order": 0, "auto_accept": False, "burst": 0, "burst_per": "1m"})


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
