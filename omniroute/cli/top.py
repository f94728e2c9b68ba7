"""``omniroute top``: the board of a service that runs, again and again, or once; or of a journal as it was left."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

from omniroute.cli import options
from omniroute.cli.exits import FINDING, INPUT, OK, Failure
from omniroute.cli.screen import Screen, drawn
from omniroute.errors import InputError, JournalError
from omniroute.insight.tables import many, printable
from omniroute.insight.top import legend, summary, table, text, wrapped
from omniroute.insight.wallboard import BYTES_MAX, Wallboard, decode, wallboard
from omniroute.journal.inspect import copied
from omniroute.journal.recover import recover

_SQLITE: Final = b"SQLite format 3\0"
_STALE_S: Final = 5.0
"""A board that is older than this is not written any more; services write one each second."""
_AROUND: Final = 11
"""Lines of a page that are neither queues nor the last sentence."""
_WIDTH: Final = 80


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = options.subcommand(
        commands,
        "top",
        "show queues and agents of a running service",
        "Shows the board that a service writes with omniroute.live.publish, again and again until interrupted.\n"
        "Where stdout is no terminal, or a dumb one, it is shown once. Of the journal of a host that is not\n"
        "running it shows once how that was left.",
    )
    parser.add_argument("file", metavar="FILE", help="a board, or the journal of a host that is not running")
    parser.add_argument("--once", action="store_true", help="show it once")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead, once")
    parser.add_argument(
        "--every",
        type=options.duration,
        default=1_000,
        metavar="TIME",
        help="look so often whether it has changed (1s)",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Run the subcommand and return its exit code: a finding for a board that nobody writes any more."""
    found, age_s = _read(given.file)
    if given.json:
        Screen().document(_document(found, age_s))
        return _code(age_s)
    if given.once or age_s is None or not _can_redraw():
        print(text(found, width=_width()))
        if age_s is None:
            print(f"\n  As the journal was left, by its last command at {found.board.now} ms.")
        elif age_s > _STALE_S:
            print(f"\n  {_age(age_s)}")
        return _code(age_s)
    return _again(given.file, max(given.every, 100) / 1_000)


def _code(age_s: float | None) -> int:
    return FINDING if age_s is not None and age_s > _STALE_S else OK


def _can_redraw() -> bool:
    """Whether stdout is a terminal that can be drawn over, and there is something to draw with."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb"):
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        print("omniroute: shown once; the extra cli brings what redraws a screen", file=sys.stderr)
        return False
    return True


def _width() -> int:
    """Columns of the terminal; a pipe has 80, so that what is written there is always the same."""
    return shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH


def _read(path: str) -> tuple[Wallboard, float | None]:
    """A board, and how many seconds ago it was written; None: it is of a journal."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
            written = os.fstat(file.fileno()).st_mtime
    except IsADirectoryError:
        raise Failure(INPUT, f"{path}: is a folder; name one board") from None
    except OSError as error:
        raise Failure(INPUT, f"{path}: {error.strerror or error}") from error
    if data.startswith(_SQLITE):
        return _left(path), None
    try:
        return decode(data, source=path), max(0.0, time.time() - written)
    except InputError as error:
        raise Failure(INPUT, str(error)) from error


def _left(path: str) -> Wallboard:
    """The board of a journal as it was left."""
    try:
        with copied(path) as store:
            held = store.acquire()
            if not held.head:
                raise Failure(INPUT, f"{path}: has no record")
            state, _ = recover(store, held)
            return wallboard(state.router.board())
    except JournalError as error:
        advice = "; a service that runs writes a board with omniroute.live.publish" if "is open" in str(error) else ""
        raise Failure(INPUT, f"{error}{advice}") from error


def _document(found: Wallboard, age_s: float | None) -> dict[str, Any]:
    import msgspec

    made: dict[str, Any] = msgspec.to_builtins(found)
    return made | {"age_s": None if age_s is None else round(age_s, 1)}


def _age(age_s: float) -> str:
    return f"This board is {many(int(age_s), 'second')} old: the service that writes it may have stopped."


# -- a terminal


def _again(path: str, pause_s: float) -> int:
    """Draw the board whenever it has changed, until interrupted."""
    from rich.console import Console
    from rich.live import Live

    console, said = Console(), ""
    found, age_s = _read(path)
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            try:
                found, age_s = _read(path)
                said = "" if age_s is None or age_s <= _STALE_S else _age(age_s)
            except Failure as failure:
                said = str(failure)
            screen.update(page(found, console.width, console.height, path, said), refresh=True)
            time.sleep(pause_s)


def page(found: Wallboard, width: int, height: int, path: str, said: str = "") -> Any:
    """Return what fills a screen of so many columns and lines, for rich."""
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    pairs = RichTable.grid(padding=(0, 2))
    for word, what in summary(found):
        pairs.add_row(Text(f"  {word}", style="dim"), Text(what))
    heading = Text(printable(f"  omniroute top  {path}"), style="bold", no_wrap=True, overflow="ellipsis")
    last = wrapped(printable(said) or legend(found), width)
    below = Text("\n".join(("", *last)), style="bold red" if said else "dim")
    rows = max(1, height - _AROUND - len(last))
    queues = table(found, width=width - 2, rows=rows)  # rich keeps a blank at either edge
    return Group(heading, drawn(queues, breaks=False), pairs, below)
