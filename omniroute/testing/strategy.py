"""One function that tries a strategy against every rule of the protocol, and a router with it against the laws."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from omniroute.errors import MisuseError, OmnirouteError, PlanError
from omniroute.plan import Plan
from omniroute.strategies.protocol import Strategy
from omniroute.testing.asking import Asker, check_answers, check_parts, check_same
from omniroute.testing.child import answers_of, asked_elsewhere
from omniroute.testing.laws import check_play, cores
from omniroute.testing.moves import Scene, drawn_moves
from omniroute.testing.questions import Answered, Question, questions_of
from omniroute.testing.values import build, written
from omniroute.testing.verdict import RULES, Report
from omniroute.testing.worlds import another, default_plans, with_strategy

__all__ = ["check_strategy"]

MOVES = 40
"""Commands of a play."""


def check_strategy(
    strategy: Strategy,
    *,
    plans: Sequence[Plan] = (),
    needs: Sequence[str] = (),
    seed: int = 0,
    plays: int = 20,
    rebuild: Callable[[], Strategy] | None = None,
    refuses: tuple[type[Exception], ...] = (PlanError,),
) -> Report:
    """Try a strategy against every rule of RULES; return what was tried, or raise BrokenRuleError, an AssertionError.

    ``plans`` are those it is made for (default: two small ones): it stands in their queues that name no strategy, or
    in all. ``needs`` are requirements it knows besides what the agents of the plans suggest. ``rebuild`` makes it anew
    from the same parameters; an attrs class or a dataclass needs none. By ``refuses`` it may refuse a question; any
    other error is a broken rule. The same seed tries the same things. About 2 s.

    >>> from omniroute import Priority
    >>> report = check_strategy(Priority(), plays=1)
    >>> report.strategy, report.plays, "rows" in report.checked
    ('priority', 1, True)
    """
    asker, skipped = Asker(strategy, refuses), dict[str, str]()
    given = tuple(plans) or default_plans()
    for plan in given:
        if not plan.queues:
            raise MisuseError("a plan without queues asks nothing of a strategy")
    questions = questions_of(given, needs, seed, revises=hasattr(strategy, "revise"))
    if sys.getprofile() is not None:
        skipped["outside"] = "a profiler is running"
    answers = check_answers(asker, questions)
    check_parts(asker, questions)
    _check_rebuilt(asker, questions, answers, rebuild, skipped)
    _check_process(asker, questions, given, (needs, seed), skipped)
    found, commands = _check_plays(asker, given, (needs, seed), plays, skipped)
    return Report(
        strategy=asker.name,
        questions=len(questions),
        refusals=sum(answered.refused is not None for answered in answers),
        plays=plays,
        commands=commands,
        events=dict(sorted(found.items())),
        checked=tuple(rule for rule in RULES if rule not in skipped),
        skipped=skipped,
    )


def _check_rebuilt(
    asker: Asker,
    questions: Sequence[Question],
    answers: Sequence[Answered],
    rebuild: Callable[[], Strategy] | None,
    skipped: dict[str, str],
) -> None:
    """A strategy from the same parameters is equal and answers the same."""
    code: list[object] = []
    try:
        other = build(written(asker.strategy, code), code) if rebuild is None else rebuild()
    except (OmnirouteError, TypeError, ValueError) as error:
        skipped["equality"] = skipped["rebuilt"] = f"it cannot be built again: {error}; give rebuild"
        return
    try:
        equal = bool(asker.strategy == other)
    except Exception as error:
        raise asker.broken("equality", "strategy == rebuilt", f"it raised {type(error).__name__}: {error}") from error
    if not equal:
        example = "they are not equal, so each change of a plan would ask everything again"
        raise asker.broken("equality", "strategy == rebuilt", example)
    second = Asker(cast("Strategy", other), asker.refuses)
    for question, answered in zip(questions, answers, strict=True):
        check_same(asker, "rebuilt", question, answered, second.ask(question), "built again")


def _check_process(
    asker: Asker,
    questions: Sequence[Question],
    plans: Sequence[Plan],
    drawn: tuple[Sequence[str], int],
    skipped: dict[str, str],
) -> None:
    """Another process answers the same."""
    try:
        there = asked_elsewhere(asker.strategy, plans, *drawn, asker.refuses)
    except MisuseError as error:
        skipped["process"] = str(error)
        return
    for question, here, said in zip(questions, answers_of(asker, questions), there, strict=True):
        if here != said:
            example = f"here: {asker.ask(question)}\nthere: something else" + f", {said}" * (said in RULES)
            raise asker.broken("process", question, example)


def _check_plays(
    asker: Asker, plans: Sequence[Plan], drawn: tuple[Sequence[str], int], plays: int, skipped: dict[str, str]
) -> tuple[Counter[str], int]:
    """Random plays keep the laws; which events happened, and how many commands were given."""
    installed, (needs, seed) = cores(), drawn
    if len(installed) == 1:
        skipped["cores"] = "only the reference core is installed"
    found, commands = Counter[str](), 0
    stages = [with_strategy(plan, asker.strategy) for plan in plans]
    scenes = [Scene.of(plan, another(plan, asker.strategy), needs) for plan in stages]
    for play in range(plays):
        moves = drawn_moves(seed * 1_000_003 + play, MOVES)
        scene = scenes[play % len(scenes)]
        found += check_play(asker.strategy, scene, moves, installed, asker.refuses, play)
        commands += 1 + len(moves)
    return found, commands
