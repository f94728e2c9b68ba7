"""Files in and out: logs, plans, column mappings; and a folder of results that never overwrites in silence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from omniroute.cli.exits import FINDING, INPUT, OUTPUT, Failure
from omniroute.cli.screen import Progress
from omniroute.errors import InputError, LogError, PlanError
from omniroute.formats.csv_mapped import CsvMapping
from omniroute.formats.detect import open_log
from omniroute.plan import Plan
from omniroute.replay.history import History
from omniroute.toml_tables import parsed, text_of_file


def read_plan(path: str) -> Plan:
    """Read a plan. Raises Failure naming file, line and field."""
    if not path:
        raise Failure(INPUT, "PLAN is empty; name a plan in TOML")
    try:
        return Plan.from_toml(path)
    except PlanError as error:
        raise Failure(INPUT, str(error)) from error


def mapping_from(path: str | None, plans: Sequence[tuple[str, Plan]]) -> CsvMapping | None:
    """Return the column mapping of a TOML file with a ``[csv]`` table, else of the first plan that has one."""
    try:
        if path is not None:
            return CsvMapping.from_table(_csv_table(path), source=path)
        for source, plan in plans:
            if plan.csv:
                return CsvMapping.from_table(plan.csv, source=source)
    except InputError as error:
        raise Failure(INPUT, str(error)) from error
    return None


def _csv_table(path: str) -> dict[str, object]:
    table = parsed(text_of_file(path), path).get("csv")
    if not isinstance(table, dict):
        raise PlanError("has no [csv] table", source=path, field="csv")
    return table


def read_history(
    path: str, *, log_format: str | None, mapping: CsvMapping | None, strict: bool, progress: Progress
) -> History:
    """Read a log to its end. Raises Failure: INPUT where it cannot be read, FINDING for a broken line under strict."""
    try:
        if not path:
            raise Failure(INPUT, "LOG is empty; name one log")
        place = Path(path)
        if place.is_dir():
            raise Failure(INPUT, f"{path}: is a folder; name one log")
        if place.is_file() and place.stat().st_size == 0:
            raise Failure(INPUT, f"{path}: is empty")
        log = open_log(path, format=log_format, mapping=mapping, strict=strict)
        return History.read(log, told=lambda records: progress.say(f"reading {path}: {records:,} records"))
    except LogError as error:
        found = strict and error.line is not None
        raise Failure(FINDING if found else INPUT, str(error)) from error
    except OSError as error:
        raise Failure(INPUT, f"{path}: {error.strerror or error}") from error
    finally:
        progress.done()


class Folder:
    """A folder for results, checked before the work begins."""

    def __init__(self, path: str, names: Sequence[str], *, force: bool) -> None:
        self.path = Path(path)
        self.force = force
        if not path:
            raise Failure(OUTPUT, "--out is empty; name a folder")
        try:
            if self.path.exists() and not self.path.is_dir():
                raise Failure(OUTPUT, f"{path}: is not a folder")
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):  # permissions, a read-only disk, a full one
                pass
        except OSError as error:
            raise Failure(OUTPUT, f"{path}: {error.strerror or error}") from error
        except ValueError as error:
            raise Failure(OUTPUT, f"{path}: is no name of a folder: {error}") from error
        there = [name for name in names if os.path.lexists(self.path / name)]
        if there and not force:
            raise Failure(OUTPUT, f"{path}: has {', '.join(there)} already; --force overwrites")

    def write(self, name: str, text: str) -> None:
        """Write a file whole or not at all; a link at its place is replaced, never written through."""
        place = self.path / name
        try:
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self.path)
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
                Path(temporary).chmod(0o644)
                if self.force:
                    Path(temporary).replace(place)
                else:
                    os.link(temporary, place)  # fails where something has appeared meanwhile
            finally:
                Path(temporary).unlink(missing_ok=True)
        except FileExistsError:
            raise Failure(OUTPUT, f"{place}: exists already; --force overwrites") from None
        except OSError as error:
            raise Failure(OUTPUT, f"{place}: {error.strerror or error}") from error
