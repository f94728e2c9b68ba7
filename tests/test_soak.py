"""Twenty minutes of a busy centre on a clock of its own: nothing grows, and nothing is left. Days: benchmarks.soak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from omniroute.core import IMPLEMENTATION

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(IMPLEMENTATION != "kernel", reason="the reference core is the specification, and slow")
def test_nothing_grows_and_nothing_is_left() -> None:
    """In twenty minutes with snapshots, compactions, restarts and changes of the plan memory, files and disk stay flat.

    At the end everybody has gone: no interaction, offer, unit, journey or name is left, and what comes back from the
    file is the same state. Seen to fail: names of those who had gone were never forgotten; a file was opened for each
    snapshot and never closed.
    """
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.soak",
            "--days",
            str(20 / 1_440),
            "--rate",
            "16",
            "--snapshot-every",
            "3000",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout, ran.stderr
    found = json.loads(ran.stdout)
    assert found["findings"] == []
    assert ran.returncode == 0
    assert found["commands"] > 12_000
    assert found["live_max"] > 100


def test_a_soak_sees_what_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory, open files, bytes on disk, classes and groups that grow over a run are findings, each by its name."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.soak import GROWTH_BYTES_MAX, WAL_BYTES, Sample, growing

    def run(**grows: int) -> list[str]:
        flat = {"at": 1, "commands": 1, "resident": 10**8, "files": 8, "disk": 10**6, "live": 9, "remembered": 9}
        flat |= {"classes": 5, "groups": 5}
        samples = [Sample(**{name: value + grows.get(name, 0) * n for name, value in flat.items()}) for n in range(20)]
        return growing(samples, every=1_000)

    assert run() == []
    assert run(live=50, at=50, commands=50) == []
    for name, step, said in (
        ("resident", GROWTH_BYTES_MAX // 5, "memory grows"),
        ("files", 1, "more files"),
        ("disk", WAL_BYTES, "the journal takes"),
        ("classes", 1, "more classes"),
        ("groups", 1, "more groups"),
    ):
        (finding,) = run(**{name: step})
        assert said in finding
