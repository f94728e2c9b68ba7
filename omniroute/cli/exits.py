"""Exit codes, and the one exception that carries them."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FINDING: Final = 1
USAGE: Final = 2
INPUT: Final = 3
OUTPUT: Final = 4
INTERRUPTED: Final = 130
PIPE: Final = 141

HELP: Final = """\
exit codes:
  0    done
  1    done, with a finding: a broken line under --strict, a log in which
       nothing was served, so that there was nothing to route again, a
       journal that cannot be trusted, or a board that is out of date
  2    usage: an unknown option or a value that cannot be
  3    input: a log, plan, journal or board that is missing, in use,
       unreadable or broken, or a plan without a queue that the log has
  4    output: a place that cannot be written, or would be overwritten
  130  interrupted, 141 the reader of the output went away
"""


class Failure(Exception):  # noqa: N818 - it is how a command ends, not an error of its own
    """Ends a command with a message for a person and an exit code."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)
