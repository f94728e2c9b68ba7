"""What a router costs, in ways that no machine changes: modules, bytes, instructions, never seconds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omniroute import Agent, Plan, Queue, Router
from omniroute.core import IMPLEMENTATION

ROOT = Path(__file__).resolve().parents[1]
UNASKED = (
    "numpy",
    "omniroute.cli",
    "omniroute.formats",
    "omniroute.insight",
    "omniroute.journal",
    "omniroute.journey",
    "omniroute.journey_facts",
    "omniroute.plan_toml",
    "omniroute.replay",
    "omniroute.testing",
    "omniroute.world",
    "sqlite3",
    "tomllib",
)


def test_a_router_loads_only_what_it_needs() -> None:
    """Who makes a router and routes with it loads no columns, files, worlds or journeys. Seen to fail with journeys."""
    code = (
        "import sys; from omniroute import Plan, Queue, Router\n"
        "Router(Plan(queues=[Queue('sales')])).enqueue(0, 'call-1', 'sales')\n"
        f"print([name for name in {UNASKED!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_missing_kernel_is_said_with_its_place() -> None:
    """Who has installed the package and starts Python in the sources is told which folder has no compiled kernel."""
    code = (
        "import sys; sys.modules['omniroute.core.kernel'] = None\n"
        "from omniroute.core import IMPLEMENTATION; print(IMPLEMENTATION)"
    )
    free = {name: value for name, value in os.environ.items() if name != "OMNIROUTE_CORE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=free)
    assert done.stdout == "reference\n"
    assert f"no compiled kernel is in {ROOT / 'omniroute' / 'core'}" in done.stderr


@pytest.mark.skipif(IMPLEMENTATION != "kernel", reason="the reference core keeps no arrays")
def test_a_small_router_is_small() -> None:
    """Ten agents in three queues, twenty waiting: 17 KB in the core, so thousands live in one process.

    Seen to fail with tables of pairs that begin with 64 classes and 64 groups: 190 KB.
    """
    agents = [Agent(f"agent-{k}", skills={"spanish": 1 + k % 3}) for k in range(10)]
    router = Router(Plan(queues=[Queue("sales"), Queue("support", needs="spanish"), Queue("bills")], agents=agents))
    for number in range(10):
        router.sign_in(0, f"agent-{number}")
    for number in range(20):
        router.enqueue(1, f"call-{number}", ("sales", "support", "bills")[number % 3])
    reserved = sum(router._core.memory().values())
    assert reserved < 24_000


COUNTED = """
import sys
import numpy as np
from omniroute.world.bare import Arrivals, BareClass, BareGroup, BareWorld, drive_columns, sign_in_all
rows, agents = int(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(1)
class_ = random.integers(0, 2, rows)
arrivals = Arrivals(
    at=np.rint(np.cumsum(random.exponential(300_000 / (0.9 * agents), rows))),
    class_=class_, tier=class_, handle=np.rint(random.exponential(300_000, rows)),
)
world = BareWorld(groups=(BareGroup(agents=agents),), classes=(BareClass(),) * 2)
drive_columns(world.build(), arrivals, sign_in_all(agents))
"""


def instructions(tmp_path: Path, rows: int, agents: int) -> int:
    """Instructions of the compiled driver, as valgrind counts them: the same on every run."""
    command = [
        "valgrind",
        "--tool=callgrind",
        f"--callgrind-out-file={tmp_path / 'out'}",
        "--toggle-collect=*Driver*feed*",
    ]
    command += [sys.executable, "-c", COUNTED, str(rows), str(agents)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        pytest.skip("valgrind cannot run this Python")
    assert int(found[1]) > 100 * rows, "the driver has another name now"
    return int(found[1])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="there is no valgrind")
@pytest.mark.skipif(IMPLEMENTATION != "kernel", reason="the reference core is not compiled")
def test_a_row_costs_the_same_however_many_there_are(tmp_path: Path) -> None:
    """Ten times the rows are ten times the instructions; ten times the agents are less than half as many again."""
    few, many = instructions(tmp_path, 3_000, 100), instructions(tmp_path, 30_000, 100)
    assert many < 11 * few
    assert instructions(tmp_path, 30_000, 1_000) < 1.5 * many
