"""Every limit of the readers, by name: what a hostile or damaged log can make them hold."""

from __future__ import annotations

from typing import Final

MAX_LINE_BYTES: Final = 65_536
"""A longer line is skipped up to its line feed without being held, and counted as broken."""

MAX_ROW_CHARS: Final = 2**20
"""A row of a CSV log may span lines, but not more characters than these: a quote that is never closed ends here."""

MAX_UNPACKED_BYTES: Final = 16 * 2**30
"""A compressed log is read up to this many bytes after decompression; then ``LogError``."""

MAX_OPEN: Final = 250_000
"""Interactions of a ``queue_log`` held open at once; the one held longest is closed as OPEN when one more comes."""

MAX_LEGS: Final = 250_000
"""Ids remembered to number the second and later passages of one id through queues."""

MAX_NAMES: Final = 256
"""Different names counted in one table of a summary; all further names share ``(other)``."""

MAX_NAME_CHARS: Final = 200
"""Length of a queue, agent or channel name; a longer one makes the line broken."""

MAX_BROKEN_LINES: Final = 100
"""Broken lines listed with their number and reason; all are counted."""

MAX_EPOCH_MS: Final = 253_402_300_800_000
"""Times lie in [0, year 10000)."""

MAX_DURATION_MS: Final = 10 * 366 * 86_400_000
"""Durations lie in [0, ten years]."""

MAX_PRIORITY: Final = 2**31 - 1
"""Priorities lie in [0, 2**31)."""
