"""What all tests share: the real logs, and the switch for slow tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest
from cores import CORES, using
from hostile import Fuzz

from omniroute.core import IMPLEMENTATION
from omniroute.formats.detect import open_log
from omniroute.formats.records import LoggedInteraction, ReadSummary

# Machines differ in speed and the suite leaves nothing behind: no time limit per example, no store of examples.
# A gate gives the same answer twice: there the examples are drawn from a fixed seed, elsewhere from new ones each time.
hypothesis.settings.register_profile("omniroute", deadline=None, database=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("omniroute")

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


ABOVE = {
    "agreement",
    "calendar",
    "cli",
    "docs",
    "examples",
    "formats",
    "hostile",
    "importers",
    "journal",
    "live",
    "metrics",
    "observe",
    "prices",
    "reconstruct",
    "requirements",
    "security",
    "strategy",
    "telemetry",
    "tidy",
    "top",
    "what",
}
"""First words of the files that are about what stands on a core, and find the same whichever one it is."""


@pytest.fixture(params=CORES)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of the test stands on this core."""
    with using(request.param):
        yield request.param


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--slow``, ``--kills``, ``--fuzz-seconds`` and ``--of-the-core``."""
    parser.addoption("--slow", action="store_true", default=False, help="also run the tests marked slow")
    parser.addoption("--kills", type=int, default=0, metavar="N", help="kill a host with a journal N times, each way")
    parser.addoption(
        "--fuzz-seconds",
        type=float,
        default=0.0,
        metavar="N",
        help="feed each hostile reader for N s of processor time",
    )
    parser.addoption(
        "--of-the-core",
        action="store_true",
        default=False,
        help="leave out the files about what stands on a core: enough for the other core, and for a debug build",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is above the core where only that is asked for."""
    first = collection_path.stem.removeprefix("test_").split("_")[0]
    return True if config.getoption("--of-the-core") and first in ABOVE else None


def pytest_report_header() -> str:
    """Say which core is tested: an unbuilt checkout must not pass for a built one."""
    return f"omniroute core: {IMPLEMENTATION}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests marked slow unless ``--slow`` is given."""
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Fuzz:
    """Return what feeds a reader with hostile examples: a few, or as many as ``--fuzz-seconds`` allows."""
    return Fuzz(request.node.name, request.config.getoption("--fuzz-seconds"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of the real logs; skip where it is absent, but fail where it was asked for by name."""
    named = os.environ.get("OMNIROUTE_DATA")
    place = Path(named) if named else BESIDE_THE_REPOSITORY
    if not place.is_dir():
        if named:
            pytest.fail(f"OMNIROUTE_DATA names {place}, which is not a folder")
        pytest.skip("the real logs are not here; set OMNIROUTE_DATA to their folder")
    return place


class LoggedMonth(NamedTuple):
    """A real log, read once: its interactions, the reader's account, and the facts known about it."""

    path: Path
    interactions: list[LoggedInteraction]
    summary: ReadSummary
    facts: dict[str, Any]


@pytest.fixture(scope="session")
def bank_month(data_dir: Path) -> Callable[[str], LoggedMonth]:
    """Return a function from ``january`` or ``february`` to that month of the Technion bank (Guedj, Mandelbaum)."""

    @cache
    def month(name: str) -> LoggedMonth:
        path = data_dir / "bank1999" / f"{name}1999.txt"
        log = open_log(path)
        interactions = list(log.interactions())
        return LoggedMonth(path, interactions, log.summary, json.loads(path.with_suffix(".facts.json").read_text()))

    return month


@pytest.fixture(scope="session")
def queue_log_week(data_dir: Path) -> LoggedMonth:
    """Return the first week of February 1999 of the Technion bank (Guedj, Mandelbaum) as a ``queue_log``."""
    path = data_dir / "queue_log" / "bank_19990201_07.queue_log"
    log = open_log(path)
    interactions = list(log.interactions())
    facts = json.loads(path.with_name(path.name + ".facts.json").read_text())
    return LoggedMonth(path, interactions, log.summary, facts)
