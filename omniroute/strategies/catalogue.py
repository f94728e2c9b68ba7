"""The catalogue: strategies by name, so that a plan in a file can name them.

A strategy is an attrs frozen class with class attributes ``name`` and ``version``; its fields are its parameters.
Classes are imported when they are first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import attrs

from omniroute.errors import InvariantError, MisuseError, PlanError
from omniroute.model import nearest, shown

_CLASSES: Mapping[str, tuple[str, str]] = {
    "best_match": ("omniroute.strategies.best_match", "BestMatch"),
    "by_membership": ("omniroute.strategies.membership", "ByMembership"),
    "by_step": ("omniroute.strategies.by_step", "ByStep"),
    "composed": ("omniroute.strategies.composed", "Composed"),
    "first_come_first_served": ("omniroute.strategies.fifo", "FirstComeFirstServed"),
    "preferences": ("omniroute.strategies.preferences", "Preferences"),
    "priority": ("omniroute.strategies.priority", "Priority"),
    "revenue": ("omniroute.strategies.revenue", "Revenue"),
    "schedule": ("omniroute.strategies.schedule", "Schedule"),
    "service_objective": ("omniroute.strategies.service_objective", "ServiceObjective"),
    "skills_first": ("omniroute.strategies.skills", "SkillsFirst"),
}


def names() -> tuple[str, ...]:
    """Return the names of all strategies in the catalogue.

    >>> names()[:3]
    ('best_match', 'by_membership', 'by_step')
    """
    return tuple(_CLASSES)


def build(name: str, parameters: Mapping[str, object] | None = None) -> Any:
    """Return the strategy called ``name`` with these parameters; what is not given keeps its default.

    Raises PlanError for an unknown name or parameter (with the nearest known one) and for a value that it refuses.
    """
    cls = _class(name)
    given = dict(parameters or {})
    known = {field.alias: field for field in attrs.fields(cls) if field.init}
    for key in given:
        if key not in known:
            raise PlanError(f"{name!r} has no parameter {shown(key)}{nearest(key, known)}", field=str(key))
    for key, field in known.items():
        if field.default is attrs.NOTHING and key not in given:
            raise PlanError(f"{name!r} needs this parameter", field=key)
    try:
        return cls(**given)
    except PlanError:
        raise
    except (MisuseError, TypeError, ValueError) as error:
        raise PlanError(f"{name!r} refuses its parameters: {error}") from error


def read(value: object, field: str) -> Any:
    """Return a strategy from its name, from a table with a name and parameters, or as it is. Raises PlanError."""
    if _is_strategy(value):
        return value
    parameters = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise PlanError(f"expected the name of a strategy, got {shown(name)}", field=field)
    try:
        return build(name, parameters)
    except PlanError as error:
        inner = f"{field}.{error.field}" if error.field else field
        raise PlanError(error.message, field=inner) from error


def written(strategy: object) -> object:
    """Return what a plan in a file says of a strategy: its name, or a table. Raises PlanError."""
    name, parameters = describe(strategy)
    return {"name": name, **parameters} if parameters else name


def describe(strategy: object) -> tuple[str, dict[str, object]]:
    """Return the name of a strategy and all its parameters that are not None: what :func:`build` takes.

    Strategies inside it are described as well. Raises PlanError for a strategy that is not in the catalogue: a file
    cannot name it.
    """
    name = getattr(strategy, "name", None)
    if not isinstance(name, str) or name not in _CLASSES or type(strategy) is not _class(name):
        message = f"the strategy {type(strategy).__name__} is not in the catalogue and cannot be written to a file"
        raise PlanError(message)
    values = {field.alias: getattr(strategy, field.name) for field in attrs.fields(_class(name)) if field.init}
    return name, {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> object:
    """A parameter as a file has it: a strategy in it, or some in a list or a table, are described as well."""
    if _is_strategy(value):
        return written(value)
    if isinstance(value, Mapping) and any(_is_strategy(item) for item in value.values()):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and any(map(_is_strategy, value)):
        return [written(item) for item in value]
    return value


def _is_strategy(value: object) -> bool:
    whole = isinstance(getattr(value, "name", None), str) and callable(getattr(value, "tables", None))
    return whole and not isinstance(value, type)


def _class(name: str) -> Any:
    """Return the class called ``name``, imported now."""
    if name not in _CLASSES:
        known = nearest(name, _CLASSES) or f"; known are {', '.join(_CLASSES)}"
        raise PlanError(f"unknown strategy {shown(name)}{known}", field="name")
    module, attribute = _CLASSES[name]
    cls = getattr(importlib.import_module(module), attribute)
    if cls.name != name:
        raise InvariantError(f"{attribute} is called {cls.name!r}, but the catalogue has it as {name!r}")
    return cls
