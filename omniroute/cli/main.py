"""The command ``omniroute``: parse, dispatch, and turn every way to fail into a message and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from omniroute.cli.exits import HELP, INPUT, INTERRUPTED, OUTPUT, PIPE, Failure
from omniroute.errors import legible


class _Version(argparse.Action):
    """Prints version and active core; the core is imported only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and the active core")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from omniroute import __version__
        from omniroute.core import IMPLEMENTATION

        print(f"omniroute {__version__} (core: {IMPLEMENTATION})")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments as everything else is said: no file's name drives the terminal."""

    def error(self, message: str) -> NoReturn:
        """Print usage and what is wrong, and end."""
        super().error(legible(message))


def parser() -> argparse.ArgumentParser:
    """Return the parser with all subcommands; what they need is imported now, when an interrupt is no traceback."""
    from omniroute.cli import compare, demo, journal, replay, top

    made = _Parser(
        prog="omniroute",
        description="Route a contact centre's interactions, and yesterday's again under another plan.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action=_Version)
    commands = made.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for module in (replay, compare, demo, journal, top):
        module.add_to(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        options = parser().parse_args(arguments)
        if sys.stdout is None:
            raise Failure(OUTPUT, "stdout is closed")
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name that its encoding does not have is written as an escape
            sys.stdout.reconfigure(errors="backslashreplace")
        code: int = options.run(options)
        sys.stdout.flush()
    except Failure as failure:
        _complain(str(failure))
        return failure.code
    except BrokenPipeError:
        _drop_the_rest()
        return PIPE
    except OSError as error:  # what cannot be read has become a Failure by now
        _drop_the_rest()
        _complain(f"{error.filename or 'stdout'}: {error.strerror or error}")
        return OUTPUT
    except KeyboardInterrupt:
        print("omniroute: interrupted", file=sys.stderr)  # at once: it may come while all else is still being imported
        return INTERRUPTED
    except MemoryError:
        _complain("not enough memory")
        return INPUT
    return code


def _drop_the_rest() -> None:
    """What is still buffered has nowhere to go either; without this Python complains once more at exit."""
    with suppress(OSError, ValueError):  # a stream that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    from omniroute.insight.tables import printable

    print(f"omniroute: {printable(message)}", file=sys.stderr)
