"""What a decision costs is counted in instructions, so neither the machine nor what else runs on it matters.

A question costs the classes or groups that could answer it, never the interactions waiting or the agents signed in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import FrameType

import pytest
from cores import DEBUG

import omniroute
from omniroute.core import IMPLEMENTATION
from omniroute.events import Offered
from omniroute.model import Agent
from omniroute.plan import Plan, Queue
from omniroute.router import Router

HERE = Path(__file__).resolve().parent
PACKAGE = Path(omniroute.__file__).parent
COUNTED = re.compile(r"Collected : (\d+)")


@cache
def instructions(command: str, agents: int, waiting: int, others: int) -> int:
    """Instructions that the kernel spends in all commands of this name of one run of ``growth_child``."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        pytest.skip("valgrind is not installed, which counts the instructions")
    if IMPLEMENTATION != "kernel":
        pytest.skip("the compiled core is counted, and it is not the active one")
    if DEBUG:
        pytest.skip("a debug build walks over everything after a command, to check it")
    done = subprocess.run(
        [
            valgrind,
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            f"--toggle-collect=__pyx_pw_*Core_*{command}",
            sys.executable,
            str(HERE / "growth_child.py"),
            *map(str, (agents, waiting, others)),
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(PACKAGE.parent)},
        check=False,
    )
    found = COUNTED.search(done.stderr)
    assert done.returncode == 0, done.stderr
    assert found is not None
    if not int(found[1]):
        pytest.skip("the kernel's symbols are not there to be counted")
    return int(found[1])


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((50, 20_000, 0), id="100 times more waiting"),
        pytest.param((5_000, 200, 0), id="100 times more agents in the same groups"),
        pytest.param((50, 200, 1_000), id="1,000 classes and groups that could not answer"),
    ],
)
def test_a_selection_does_not_grow(more: tuple[int, int, int]) -> None:
    """A freed agent's selection takes less than twice the instructions among a hundred times more who do not matter.

    Planted in the kernel: a walk over all agents, over all interactions or over all classes before the selection.
    """
    assert instructions("finish", *more) < 2 * instructions("finish", 50, 200, 0)


class Steps:
    """Counts the bytecodes of the package's own Python, the plain core left out, while it is the trace function."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> object:
        """Ask for the bytecodes of a frame of the package, and count them."""
        file = Path(frame.f_code.co_filename)
        if not file.is_relative_to(PACKAGE) or "reference" in file.parts:
            return None
        frame.f_trace_opcodes = True
        self.count += event == "opcode"
        return self


def steps_of(agents: int, waiting: int) -> dict[str, int]:
    """Bytecodes of the door for each command of a life, in a crowd."""
    crew = [Agent(f"agent {n}", skills={f"skill{n % 5}": 1}) for n in range(agents)]
    router = Router(Plan(queues=[Queue("all", wrap_up_ms=None)], agents=crew))
    router.sign_in_many(0, [agent.id for agent in crew])
    offers = {}
    for number in range(agents + waiting):
        for event in router.enqueue(number, f"call {number}", "all", needs=f"skill{number % 5}"):
            if type(event) is Offered:
                offers[event.interaction] = event.offer
                router.accept(number, event.offer)
    now, counted = agents + waiting, {}

    def count(name: str, run, *arguments: object):
        steps, before = Steps(), sys.gettrace()
        sys.settrace(steps)
        try:
            return run(now, *arguments)
        finally:
            sys.settrace(before)
            counted[name] = steps.count

    count("enqueue", router.enqueue, "another", "all")
    count("leave", router.leave, "another")
    count("finish", router.finish, "call 0")
    events = count("release", router.release, "call 0")
    count("accept", router.accept, next(event.offer for event in events if type(event) is Offered))
    return counted


def test_the_door_takes_as_many_steps_in_any_crowd(core: str) -> None:
    """Each command of the door takes exactly as many bytecodes however many agents are there and interactions wait.

    Planted: a loop over the ledger's interactions in ``enqueue``, and one over all agents in ``release``.
    """
    alone = steps_of(5, 5)
    assert all(steps > 50 for steps in alone.values()), "the commands were counted"
    assert steps_of(5, 305) == alone
    assert steps_of(305, 5) == alone
