"""A strategy as a value: what it is made of, and another one made of the same."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from types import BuiltinFunctionType, FunctionType
from typing import TypeAlias, cast

import attrs

from omniroute.errors import MisuseError

__all__ = ["Written", "build", "reference", "resolve", "state_of", "written"]

Written: TypeAlias = "bool | int | float | str | list[Written] | dict[str, Written] | None"
"""What JSON can say."""

_PLAIN = (type(None), bool, int, float, str)
_DEEPEST = 6


def written(value: object, code: list[object]) -> Written:
    """How a value is built: plain values as they are, classes and functions as their place in ``code``. O(size).

    Raises MisuseError for what has no declared parameters: neither attrs nor a dataclass, and not empty either.
    """
    if type(value) in _PLAIN:
        return value  # type: ignore[return-value]
    if isinstance(value, Enum):
        return {"is": "member", "code": _place(type(value), code), "name": value.name}
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return {"is": "code", "code": _place(value, code)}
    if isinstance(value, list | tuple | set | frozenset) and type(value).__name__ in _COLLECTIONS:
        items = value if isinstance(value, list | tuple) else sorted(value, key=repr)
        return {"is": type(value).__name__, "items": [written(item, code) for item in items]}
    if isinstance(value, Mapping):
        return {"is": "dict", "items": [[written(key, code), written(item, code)] for key, item in value.items()]}
    given = {name: written(item, code) for name, item in _parameters(value).items()}
    return {"is": "value", "code": _place(type(value), code), "given": given}


def build(made: Written, code: Sequence[object]) -> object:
    """The value that :func:`written` wrote. O(size), and what its class takes."""
    if not isinstance(made, dict):
        return made
    kind, items, at = made["is"], made.get("items"), made.get("code")
    if kind == "dict":
        assert isinstance(items, list)
        pairs = cast("list[list[Written]]", items)
        return {build(pair[0], code): build(pair[1], code) for pair in pairs}
    if kind in _COLLECTIONS:
        assert isinstance(items, list)
        return _COLLECTIONS[str(kind)](build(item, code) for item in items)
    assert isinstance(at, int)
    if kind == "member":
        return code[at][made["name"]]  # type: ignore[index]
    if kind == "code":
        return code[at]
    given = made["given"]
    assert isinstance(given, dict)
    return code[at](**{name: build(item, code) for name, item in given.items()})  # type: ignore[operator]


_COLLECTIONS = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}


def _place(thing: object, code: list[object]) -> int:
    at = next((at for at, known in enumerate(code) if known is thing), len(code))
    if at == len(code):
        code.append(thing)
    return at


def _parameters(value: object) -> dict[str, object]:
    """The parameters of a value, by the names that its class takes."""
    kind = type(value)
    if attrs.has(kind):
        return {field.alias: getattr(value, field.name) for field in attrs.fields(kind) if field.init}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    if getattr(value, "__dict__", None) or getattr(kind, "__slots__", None):
        raise MisuseError(
            f"{kind.__qualname__} is neither an attrs class nor a dataclass, so its parameters are unknown"
        )
    return {}


def reference(thing: object) -> tuple[str, str]:
    """Module and name under which another process finds a class or a function. O(1). Raises MisuseError."""
    module, name = str(getattr(thing, "__module__", "")), str(getattr(thing, "__qualname__", ""))
    if module in ("", "__main__") or "<" in name:
        raise MisuseError(
            f"{name or repr(thing)} cannot be imported: it has to stand in a module, outside of functions"
        )
    if resolve(module, name) is not thing:
        raise MisuseError(f"{module}.{name} is something else")
    return module, name


def resolve(module: str, name: str) -> object:
    """What stands in a module under a name with dots. Raises MisuseError where there is none."""
    try:
        found: object = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise MisuseError(f"{module}.{name} cannot be imported: {error}") from error
    return found


def state_of(strategy: object) -> object:
    """Everything that a strategy and its classes hold, for a comparison: equal if nothing in it has changed. O(size).

    Of attrs classes and dataclasses only the fields count, so what is computed and kept beside them is no state.
    """
    kinds = type(strategy).__mro__
    return _state(strategy, 0), [_state(vars(kind).get(name), 0) for kind in kinds for name in _values_of(kind)]


@functools.lru_cache(maxsize=256)
def _values_of(kind: type) -> tuple[str, ...]:
    """The names of what a class holds that is neither a method nor Python's own."""
    items = vars(kind).items()
    return tuple(n for n, v in items if not (n.startswith("__") or callable(v) or hasattr(type(v), "__get__")))


def _state(value: object, depth: int) -> object:
    kind = type(value)
    if kind in _PLAIN or isinstance(value, Enum | bytes):
        return value
    if depth > _DEEPEST or isinstance(value, type) or callable(value):
        return id(value)
    if isinstance(value, Mapping):
        return kind, [(_state(key, depth + 1), _state(item, depth + 1)) for key, item in value.items()]
    if isinstance(value, AbstractSet):
        return kind, frozenset(value)
    if isinstance(value, Sequence):
        return kind, [_state(item, depth + 1) for item in value]
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
    elif dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    else:
        slots = [name for base in kind.__mro__ for name in _slots(base) if hasattr(value, name)]
        names = [*getattr(value, "__dict__", {}), *slots]
    return kind, id(value) if not names else 0, [(name, _state(getattr(value, name), depth + 1)) for name in names]


def _slots(kind: type) -> Sequence[str]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
