"""Another process: it builds a strategy from its parameters and prints what it answers.

``python -m omniroute.testing.child`` reads from standard input what :func:`asked_elsewhere` wrote. It never runs code
from its input: classes are named by module, and values are those of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import cast

from omniroute.errors import MisuseError
from omniroute.plan import Plan
from omniroute.strategies.protocol import Strategy
from omniroute.testing.asking import Asker, Refuses
from omniroute.testing.questions import Question, questions_of, without_strategies
from omniroute.testing.values import build, reference, resolve, written
from omniroute.testing.verdict import BrokenRuleError

__all__ = ["answers_of", "asked_elsewhere"]


def answers_of(asker: Asker, questions: Sequence[Question]) -> list[str]:
    """A hash of the answer to each question, or the name of the rule that it breaks. The cost of the strategy."""
    found = []
    for question in questions:
        try:
            found.append(asker.ask(question).digest())
        except BrokenRuleError as error:
            found.append(error.rule)
    return found


def asked_elsewhere(
    strategy: Strategy, plans: Sequence[Plan], needs: Sequence[str], seed: int, refuses: Refuses
) -> list[str]:
    """What :func:`answers_of` says in another process whose hashes are others. About .3 s.

    Raises MisuseError where the strategy cannot be built there.
    """
    code: list[object] = []
    made = written(strategy, code)
    asked = {
        "strategy": made,
        "code": [reference(thing) for thing in code],
        "refuses": [reference(kind) for kind in refuses],
        "plans": [without_strategies(plan).to_toml() for plan in plans],
        "needs": list(needs),
        "seed": seed,
    }
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # noqa: PTH109
    hashes = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-m", "omniroute.testing.child"],
        input=json.dumps(asked),
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise MisuseError(f"the other process could not ask: {last[0]}")
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Ask, and print the hashes as one line of JSON, the last."""
    asked = json.load(sys.stdin)
    code = [resolve(module, name) for module, name in asked["code"]]
    refuses = [resolve(module, name) for module, name in asked["refuses"]]
    asker = Asker(cast("Strategy", build(asked["strategy"], code)), tuple(refuses))  # type: ignore[arg-type]
    plans = [Plan.from_toml_text(text) for text in asked["plans"]]
    revises = hasattr(asker.strategy, "revise")
    questions = questions_of(plans, asked["needs"], asked["seed"], revises=revises)
    sys.stdout.write(f"\n{json.dumps(answers_of(asker, questions))}\n")


if __name__ == "__main__":
    main()
