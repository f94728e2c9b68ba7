"""Values as TOML tables: read strictly, with the line of whatever is wrong, and written for a person to edit."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from omniroute.errors import PlanError
from omniroute.model import nearest, shown

__all__ = [
    "FILE_BYTES_MAX",
    "block",
    "checked_keys",
    "inside",
    "keys_of",
    "parsed",
    "read_bytes",
    "read_document",
    "read_table",
    "rows_of",
    "text_of_file",
    "toml_text",
    "without",
]

FILE_BYTES_MAX: Final = 16 * 2**20
KEY_PARTS_MAX: Final = 16
"""Parts of a key with dots, and of a header; the parser holds every beginning of each of them."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')[ \t]*\.[ \t]*"""
_LONG_KEY: Final = re.compile(rf"[ \t]*(?:\[\[?[ \t]*)?(?:{_KEY}){{{KEY_PARTS_MAX}}}")
_T = TypeVar("_T")


def read_bytes(path: str | os.PathLike[str], most: int = FILE_BYTES_MAX) -> bytes:
    """Read a file of at most ``most`` bytes. Raises PlanError naming the file."""
    source = os.fspath(path)
    try:
        with Path(source).open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise PlanError(f"cannot be read: {error.strerror or error}", source=source) from error
    except ValueError as error:
        raise PlanError(f"cannot be read: {error}", source=source) from error
    if len(data) > most:
        raise PlanError(f"is larger than {most} bytes", source=source)
    return data


def text_of_file(path: str | os.PathLike[str]) -> str:
    """Read the text of a UTF-8 file of at most FILE_BYTES_MAX bytes. Raises PlanError naming the file."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(f"is not UTF-8 at byte {error.start}", source=os.fspath(path)) from error


def read_document(text: str, source: str, build: Callable[[dict[str, Any]], _T]) -> _T:
    """Build a value from TOML; ``source`` is its name in errors. Raises PlanError with line and field."""
    document = parsed(text, source)
    try:
        return build(document)
    except PlanError as error:
        line = line_of(text, error.field or "")
        raise PlanError(error.message, source=source, line=line, field=error.field) from error
    except RecursionError as error:  # dotted keys nest without nesting the parser
        raise PlanError("tables or lists are nested too deeply", source=source) from error


def parsed(text: str, source: str) -> dict[str, Any]:
    """Return what a TOML text says. Raises PlanError with the line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") >= KEY_PARTS_MAX and _LONG_KEY.match(line):
            raise PlanError(f"a key has at most {KEY_PARTS_MAX} parts", source=source, line=number)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = re.search(r"\(at line ([0-9]+)", str(error))
        message = "tables or lists are nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise PlanError(message, source=source, line=int(found[1]) if found else None) from error


def keys_of(kind: type) -> dict[str, str]:
    """Return the attribute behind each key of a table: the same name, without the unit."""
    return {field.name.removesuffix("_ms"): field.name for field in attrs.fields(kind) if field.init}


def rows_of(table: dict[str, Any], key: str, prefix: str) -> list[tuple[str, object]]:
    """Return the tables of an array with the field of each."""
    rows = table.get(key, [])
    if not isinstance(rows, list):
        raise PlanError(f"expected a list of tables, [[{key}]], got {shown(rows)}", field=f"{prefix}{key}")
    return [(f"{prefix}{key}[{position}]", row) for position, row in enumerate(rows)]


def checked_keys(table: object, known: Mapping[str, str], required: Sequence[str], field: str) -> dict[str, Any]:
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


def read_table(kind: type[_T], table: object, known: Mapping[str, str], field: str) -> _T:
    """Build one attrs value from a table; its errors get the table's field in front."""
    attributes = {attribute.name: attribute for attribute in attrs.fields(kind)}  # type: ignore[arg-type]
    required = [key for key, name in known.items() if attributes[name].default is attrs.NOTHING]
    values = checked_keys(table, known, required, field)
    try:
        return kind(**values)
    except PlanError as error:
        raise inside(error, field) from error


def inside(error: PlanError, field: str) -> PlanError:
    """Return the error with the field of the table that it happened in."""
    return PlanError(error.message, field=f"{field}.{error.field}" if error.field else field)


def line_of(text: str, field: str) -> int | None:
    """Return the line (from 1) of a field, or of the nearest table around it, by its headers and keys.

    Good enough for a message: it does not know of keys in inline tables or in texts over several lines.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        header, many = _header(line)
        if header:
            *parents, last = (part.strip() for part in header.split("."))
            name = ""
            for parent in parents:
                name = f"{name}{parent}"
                name += f"[{counts[name] - 1}]." if name in counts else "."
            name += last
            if many:
                lines.setdefault(name, number)
                counts[name] = counts.get(name, 0) + 1
                name = f"{name}[{counts[name] - 1}]"
            table = f"{name}."
            lines.setdefault(name, number)
            continue
        key = re.match(r"\s*[\"']?([^\"'=#\s]+)[\"']?\s*=", line)
        if key:
            lines.setdefault(f"{table}{key[1]}", number)
    while field and field not in lines:
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    return lines.get(field)


def _header(line: str) -> tuple[str, bool]:
    """Return the name in a header and whether it is one of many; no name where there is none. O(length)."""
    text = line.lstrip()
    many = text.startswith("[[")
    inner, closed, _ = text[1 + many :].partition("]")
    good = text.startswith("[") and closed and "[" not in inner and "#" not in inner
    return (inner.strip() if good else ""), many


def without(table: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """Return a table without None and without values that are the default."""
    return {
        key: item for key, item in table.items() if item is not None and (key not in defaults or item != defaults[key])
    }


def block(header: str, table: Mapping[str, object]) -> str:
    """Return one table: a header and a line for every key."""
    lines = [header] if header else []
    lines += [f"{key_text(key)} = {toml_text(value, outer=True)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def key_text(name: str) -> str:
    """Return the name of a key, in quotes where TOML wants them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def quoted(text: str) -> str:
    """Return a basic TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def toml_text(value: object, *, outer: bool = False) -> str:
    """Return a value as TOML; ``outer`` lists of lists take a line for every row."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(key)} = {toml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        items = [toml_text(item) for item in value]
        if outer and any(isinstance(item, list) for item in value):
            return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
        return "[" + ", ".join(items) + "]"
    raise PlanError(f"cannot be written as TOML: {shown(value)}")
