"""What a strategy must keep to when it is asked: each answer by itself, and answers against each other."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Final, Self, cast

import attrs

from omniroute.answers import HEAD_START_MAX, TIER_BASE, check_tables
from omniroute.core.codes import AgentKey
from omniroute.core.limits import TIME_MAX, out_of_range
from omniroute.errors import MisuseError
from omniroute.strategies.protocol import (
    CLASS_COLUMNS,
    PAIR_COLUMNS,
    ClassView,
    GroupView,
    Place,
    Revision,
    Strategy,
    Tables,
)
from omniroute.testing.questions import Answered, Question, told_class, told_group
from omniroute.testing.values import state_of
from omniroute.testing.verdict import BrokenRuleError, shortest

__all__ = ["Asker", "Trap", "check_answers", "check_parts", "check_same", "protocol_of"]

Refuses = tuple[type[Exception], ...]


def protocol_of(strategy: object) -> tuple[object, ...]:
    """Name, version, agent key and interval. Raises BrokenRuleError where one of them is of another kind."""
    name, version = getattr(strategy, "name", None), getattr(strategy, "version", None)
    key, interval = getattr(strategy, "agent_key", None), getattr(strategy, "interval_ms", None)
    told = type(strategy).__name__ if not isinstance(name, str) else name
    wrong = (
        ("name", name, "text", isinstance(name, str) and bool(name)),
        ("version", version, "an integer", type(version) is int),
        ("agent_key", key, "an AgentKey", isinstance(key, AgentKey)),
        ("interval_ms", interval, "None or 1 and more", interval is None or _is_interval(interval)),
        ("tables", None, "a method", callable(getattr(strategy, "tables", None))),
        ("place", None, "a method", callable(getattr(strategy, "place", None))),
    )
    for field, value, expected, is_right in wrong:
        if not is_right:
            raise BrokenRuleError(told, "protocol", field, f"expected {expected}, got {value!r}")
    return name, version, key, interval


def _is_interval(value: object) -> bool:
    return type(value) is int and 1 <= value <= TIME_MAX


class Asker:
    """Puts questions to one strategy and refuses what is no answer, or what moved something."""

    def __init__(self, strategy: Strategy, refuses: Refuses) -> None:
        self.strategy, self.refuses = strategy, refuses
        self.terms = protocol_of(strategy)
        self.name = str(strategy.name)
        self.alone: dict[tuple[int, int], Answered] = {}
        """Answers for one class, by its identity and that of one group, 0 for none."""

    def broken(self, rule: str, question: object, example: str) -> BrokenRuleError:
        """The error of a rule."""
        return BrokenRuleError(self.name, rule, str(question), example)

    def ask(self, question: Question) -> Answered:
        """The answer to a question. The cost of the strategy, and O(size). Raises BrokenRuleError."""
        before = state_of(self.strategy)
        classes, groups = list(question.classes), [_own(group) for group in question.groups]
        try:
            answered = self._answer(question, classes, groups)
        except BrokenRuleError:
            raise
        except self.refuses as error:
            answered = Answered(refused=type(error).__name__)
        except Exception as error:
            raise self.broken("raises", question, f"it raised {type(error).__name__}: {error}") from error
        if state_of(self.strategy) != before:
            raise self.broken("parameters", question, "the strategy is not what it was before it was asked")
        if (classes, groups) != (list(question.classes), [_own(group) for group in question.groups]):
            raise self.broken("views", question, "the classes and groups are not what they were before it was asked")
        if protocol_of(self.strategy) != self.terms:
            raise self.broken("protocol", question, f"{self.terms} became {protocol_of(self.strategy)}")
        return answered

    def ask_alone(self, class_: ClassView, group: GroupView | None = None) -> Answered:
        """What is said of one class and one group; asked once. The views live as long as the questions."""
        key = id(class_), 0 if group is None else id(group)
        if key not in self.alone:
            groups = () if group is None else (group,)
            self.alone[key] = self.ask(Question(classes=(class_,), groups=groups))
        return self.alone[key]

    def _answer(self, question: Question, classes: list[ClassView], groups: list[GroupView]) -> Answered:
        said: object
        if question.priority is not None:
            said = self.strategy.place(question.priority)
        elif question.observed is None:
            said = self.strategy.tables(classes, groups)
        else:
            said = cast("Any", self.strategy).revise(question.observed, classes, groups)
        try:
            return _read(question, said)
        except (TypeError, OverflowError, MisuseError) as error:
            raise self.broken("range", question, str(error)) from error


def _own(view: GroupView) -> GroupView:
    """A copy of what is shown, down to what could be changed in it."""
    queues = None if view.queues is None else dict(view.queues)
    return attrs.evolve(
        view, skills=dict(view.skills), labels=dict(view.labels), queues=queues, delays=dict(view.delays)
    )


def _read(question: Question, said: object) -> Answered:
    """An answer. O(cells). Raises MisuseError, TypeError or OverflowError for what is none."""
    if question.priority is not None:
        if not isinstance(said, Place):
            raise MisuseError(f"place answered {type(said).__name__}, expected Place")
        for what, value, low, high in (
            ("tier", said.tier, 1 - TIER_BASE, TIER_BASE - 1),
            ("head_start_ms", said.head_start_ms, 0, HEAD_START_MAX),
        ):
            if type(value) is not int:
                raise MisuseError(f"{what} is {value!r}, expected an integer")
            if not low <= value <= high:
                raise out_of_range(what, value, low, high)
        return Answered(place=(said.tier, said.head_start_ms))
    if question.observed is not None:
        if not isinstance(said, Revision):
            raise MisuseError(f"revise answered {type(said).__name__}, expected Revision")
        if said.version != question.observed.version:
            raise MisuseError(f"revise answered version {said.version}, asked was {question.observed.version}")
        said = said.tables
    if not isinstance(said, Tables):
        raise MisuseError(f"tables answered {type(said).__name__}, expected Tables")
    check_tables(said, len(question.classes), len(question.groups))
    for name in (*PAIR_COLUMNS, *CLASS_COLUMNS):
        array("q", getattr(said, name) or ())
    return Answered.of(said, len(question.classes), len(question.groups))


class Trap:
    """Sees whoever looks outside while it is set: clocks, dice, files, other processes, routers.

    It is not set where a profiler runs already, which would not survive it. No garbage is collected meanwhile, because
    others may measure that.
    """

    MODULES: Final = frozenset({"omniroute.router", "omniroute.door", "random", "secrets", "socket", "subprocess"})
    CLOCKS: Final = frozenset({"now", "today", "utcnow"})
    EXEMPT: Final = frozenset({"logging", "warnings", "linecache", "importlib", "traceback"})

    def __init__(self) -> None:
        self.seen = ""
        self.is_free, self.collects = sys.getprofile() is None, gc.isenabled()

    def __enter__(self) -> Self:
        if self.is_free:
            gc.disable()
            sys.setprofile(self._see)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.is_free:
            sys.setprofile(None)
        if self.collects:
            gc.enable()

    def _see(self, frame: FrameType, event: str, called: Any) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if self.seen or module.partition(".")[0] in self.EXEMPT:
            return
        if event == "call" and module in self.MODULES:
            self.seen = f"{module}.{frame.f_code.co_qualname}"
        elif event == "c_call" and _is_outside(called):
            self.seen = f"{_module_of(called)}.{called.__name__}"


def _module_of(called: Any) -> str:
    owner = getattr(called, "__self__", None)
    kind = owner if isinstance(owner, type) else type(owner)
    return str(getattr(called, "__module__", None) or kind.__module__).removeprefix("_")


def _is_outside(called: Any) -> bool:
    module, name = _module_of(called), called.__name__
    if module == "datetime":
        return name in Trap.CLOCKS
    return module in ("time", "random") or (module, name) in (("io", "open"), ("posix", "urandom"), ("nt", "urandom"))


def check_same(asker: Asker, rule: str, question: Question, one: Answered, two: Answered, when: str) -> None:
    """Refuse two different answers to one question. O(cells). Raises BrokenRuleError."""
    if one != two:
        raise asker.broken(rule, question, f"first: {one}\n{when}: {two}")


def check_answers(asker: Asker, questions: Sequence[Question]) -> list[Answered]:
    """Ask everything twice, the second time backwards and with a trap set. Raises BrokenRuleError."""
    first = [asker.ask(question) for question in questions]
    for question, answered in zip(reversed(questions), reversed(first), strict=True):
        with Trap() as trap:
            again = asker.ask(question)
        if trap.seen:
            raise asker.broken("outside", question, f"it called {trap.seen}")
        check_same(asker, "same answer", question, answered, again, "asked again")
    return first


def check_parts(asker: Asker, questions: Sequence[Question]) -> None:
    """Refuse answers that depend on the order of what is asked, or on what else is asked. Raises BrokenRuleError."""
    whole = [q for q in questions if q.observed is None and len(q.classes) + len(q.groups) > 1]
    for rule, differs in (("order", _differs_by_order), ("rows", _differs_alone)):
        for question in whole:
            if differs(asker, question):
                small = _smaller(question, lambda part, differs=differs: differs(asker, part) != "")  # type: ignore[misc]
                raise asker.broken(rule, small, differs(asker, small))


def _smaller(question: Question, fails: Callable[[Question], bool]) -> Question:
    """The least part of a question that still shows it."""
    views: list[ClassView | GroupView] = [*question.classes, *question.groups]
    return _of_views(shortest(views, lambda part: fails(_of_views(part))))


def _of_views(views: Sequence[ClassView | GroupView]) -> Question:
    return Question(
        classes=tuple(view for view in views if isinstance(view, ClassView)),
        groups=tuple(view for view in views if isinstance(view, GroupView)),
    )


def _differs_by_order(asker: Asker, question: Question) -> str:
    """How the answer to a question backwards differs; empty if it does not."""
    turned = attrs.evolve(question, classes=question.classes[::-1], groups=question.groups[::-1])
    one, two = asker.ask(question), asker.ask(turned)
    if one.refused or two.refused:
        return "" if one.refused == two.refused else f"in this order: {one}\nbackwards: {two}"
    last, end = len(question.groups) - 1, len(question.classes) - 1
    for c, class_ in enumerate(question.classes):
        if one.class_(c) != two.class_(end - c):
            return (
                f"{told_class(class_)}:\n{_told_cells(CLASS_COLUMNS, one.class_(c), two.class_(end - c), 'backwards')}"
            )
        for g, group in enumerate(question.groups):
            if one.pair(c, g) != two.pair(end - c, last - g):
                cells = _told_cells(PAIR_COLUMNS, one.pair(c, g), two.pair(end - c, last - g), "backwards")
                return f"{told_class(class_)}\n{told_group(group)}:\n{cells}"
    return ""


def _differs_alone(asker: Asker, question: Question) -> str:
    """How the answer for one pair alone, or one class alone, differs from that within a question; empty if not."""
    whole = asker.ask(question)
    if whole.refused:
        return ""
    for c, class_ in enumerate(question.classes):
        alone = asker.ask_alone(class_)
        if not alone.refused and alone.class_(0) != whole.class_(c):
            return f"{told_class(class_)}:\n{_told_cells(CLASS_COLUMNS, whole.class_(c), alone.class_(0), 'alone')}"
        for g, group in enumerate(question.groups):
            alone = asker.ask_alone(class_, group)
            if not alone.refused and alone.pair(0, 0) != whole.pair(c, g):
                cells = _told_cells(PAIR_COLUMNS, whole.pair(c, g), alone.pair(0, 0), "alone")
                return f"{told_class(class_)}\n{told_group(group)}:\n{cells}"
    return ""


def _told_cells(names: Sequence[str], one: Sequence[int], two: Sequence[int], when: str) -> str:
    different = [(name, a, b) for name, a, b in zip(names, one, two, strict=True) if a != b]
    return "\n".join(f"{name} is {a} as asked, and {b} {when}" for name, a, b in different)
