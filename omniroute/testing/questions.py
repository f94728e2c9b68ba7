"""The questions that a router can put to a strategy under some plans, and answers in a form that can be compared."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import attrs
from attrs import field, frozen

from omniroute.core import Core
from omniroute.model import INTEGER_MAX, INTEGER_MIN, Agent
from omniroute.naming import Naming
from omniroute.plan import Plan
from omniroute.plan_numbers import view_of
from omniroute.strategies.protocol import (
    CLASS_COLUMNS,
    COLUMN_DEFAULTS,
    PAIR_COLUMNS,
    ClassView,
    GroupView,
    Observed,
    Tables,
)
from omniroute.testing.dice import Dice

__all__ = ["Answered", "Cell", "Question", "needs_of", "questions_of", "views_of", "without_strategies"]

Cell: TypeAlias = tuple[int, ...]

PRIORITIES: Final = (0, 1, 2, 3, 5, 10, 100, -1, -7, INTEGER_MAX, INTEGER_MIN)
TIMES_LEFT_MS: Final = (0, 1, 60_000, 600_000, 7_200_000)
HANDLE_TIMES_MS: Final = (128, 60_000, 600_000, 16_777_216)
_CELLS, _PARTS = 24, 4
"""Pairs of a queue that are asked alone; parts of a queue that are asked."""
_CLASSES, _GROUPS = 16, 16
"""Classes and groups of a queue at most."""


@frozen(kw_only=True)
class Question:
    """Tables for some classes of a queue and some groups, also ``observed`` anew; or the place of a priority."""

    classes: tuple[ClassView, ...] = ()
    groups: tuple[GroupView, ...] = ()
    observed: Observed | None = None
    priority: int | None = None

    def __str__(self) -> str:
        if self.priority is not None:
            return f"place({self.priority})"
        name = "tables" if self.observed is None else "revise"
        sizes = _counted(len(self.classes), "class", "classes"), _counted(len(self.groups), "group", "groups")
        rows = [f"{name}({', '.join(sizes)})"]
        if len(self.classes) * len(self.groups) <= 9:
            rows += [f"  class {at}: {told_class(view)}" for at, view in enumerate(self.classes)]
            rows += [f"  group {at}: {told_group(view)}" for at, view in enumerate(self.groups)]
        return "\n".join(rows)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def told_class(view: ClassView) -> str:
    """A class in a line. O(size)."""
    parts = [f"queue {view.queue!r}, channel {view.channel!r}, needs {view.requirement.text!r}"]
    parts += [f"step {view.step}"] * (view.step > 0) + [f"value {view.value}"] * (view.value > 0)
    return ", ".join([*parts, *["held out"] * view.held_out])


def told_group(view: GroupView) -> str:
    """A group in a line. O(size)."""
    parts = [f"skills {dict(view.skills)}"]
    parts += [f"labels {dict(view.labels)}"] * bool(view.labels)
    parts += [f"queues {None if view.queues is None else dict(view.queues)}"] * (view.queues is not None)
    parts += [f"time left {view.time_left_ms} ms"] * (view.time_left_ms is not None)
    return ", ".join([*parts, f"units {view.units}", *[f"delays {dict(view.delays)}"] * bool(view.delays)])


@frozen(kw_only=True)
class Answered:
    """An answer without its different spellings: no column is None. Or ``refused``, the kind of the error."""

    columns: Mapping[str, array[int]] = field(factory=dict)
    width: int = 0
    place: tuple[int, int] | None = None
    refused: str | None = None

    @classmethod
    def of(cls, tables: Tables, classes: int, groups: int) -> Answered:
        """The answer that tables are. O(cells)."""
        found = {}
        for name, default in COLUMN_DEFAULTS.items():
            column, cells = getattr(tables, name), classes * groups if name in PAIR_COLUMNS else classes
            found[name] = array("q", [default]) * cells if column is None else array("q", column)
        return cls(columns=found, width=groups)

    def pair(self, c: int, g: int) -> Cell:
        """What is said of a pair, in the order of the columns. O(1)."""
        return tuple(self.columns[name][c * self.width + g] for name in PAIR_COLUMNS)

    def class_(self, c: int) -> Cell:
        """What is said of a class, in the order of the columns. O(1)."""
        return tuple(self.columns[name][c] for name in CLASS_COLUMNS)

    def digest(self) -> str:
        """A hash, the same in every process. O(cells)."""
        said = (self.refused, self.place, self.width, [(name, list(column)) for name, column in self.columns.items()])
        return hashlib.blake2b(repr(said).encode(), digest_size=12).hexdigest()

    def __str__(self) -> str:
        if self.refused is not None:
            return f"raised {self.refused}"
        if self.place is not None:
            return f"Place(tier={self.place[0]}, head_start_ms={self.place[1]})"
        shown = {
            name: list(column)
            for name, column in self.columns.items()
            if any(v != COLUMN_DEFAULTS[name] for v in column)
        }
        return ", ".join(f"{name} {values[:12]}" for name, values in shown.items()) or "nothing but defaults"


def needs_of(plan: Plan, more: Sequence[str] = ()) -> tuple[str, ...]:
    """What interactions may ask of the agents of a plan, and a little that nobody can do. O(agents * skills)."""
    found = [*more, ""]
    skills = dict.fromkeys(skill for agent in plan.agents for skill in agent.skills)
    labels = {name: label for agent in plan.agents for name, label in agent.labels.items()}
    for skill in list(skills)[:3]:
        found += [f"`{skill}`", f"`{skill}` >= 2"]
    for name, label in list(labels.items())[:2]:
        found.append(f"not `{name}`" if isinstance(label, bool | frozenset) else f"`{name}` == {_literal(label)}")
    if len(skills) > 1:
        one, two = list(skills)[:2]
        found.append(f"`{one}` or `{two}` >= 3")
    return tuple(dict.fromkeys(found))


def _literal(label: object) -> str:
    text = str(label).replace("\\", "\\\\").replace('"', '\\"')
    return str(label) if isinstance(label, int) else f'"{text}"'


def without_strategies(plan: Plan) -> Plan:
    """A plan as any process can read it. O(queues)."""
    return attrs.evolve(plan, queues=[attrs.evolve(queue, strategy=None) for queue in plan.queues])


def views_of(plan: Plan, needs: Sequence[str]) -> list[tuple[list[ClassView], list[GroupView]]]:
    """For each queue of a plan its classes, steps and values included, and the groups of its agents and of others.

    O(classes + groups).
    """
    naming = Naming.of_plan(Core(), without_strategies(plan))
    lanes = [0, *(lane for edge in plan.value_bands[:2] for lane in (edge << 1, edge << 1 | 1))]
    for queue in plan.queues:
        for channel in plan.channels[:2]:
            for text in needs_of(plan, needs):
                for lane in lanes:
                    naming.grant(naming.wish(queue.name, channel.name, text, 0, (), lane))
    groups = [*naming.group_views, *(view_of(agent) for agent in invented(plan))]
    groups += [attrs.evolve(view, time_left_ms=left) for view, left in zip(groups, TIMES_LEFT_MS, strict=False)]
    return [([naming.class_names[k].view for k in ks], groups) for ks in naming.queue_classes]


def invented(plan: Plan) -> list[Agent]:
    """Agents that the plan does not have and a host may bring, at the ends of what is allowed among them. O(agents)."""
    found = [Agent("nobody", queues={}), Agent("newcomer")]
    for at, agent in enumerate(plan.agents[:4]):
        queue, last = plan.queues[at % len(plan.queues)].name, plan.queues[-1].name
        higher = {skill: level + 1 for skill, level in agent.skills.items()}
        found += [
            attrs.evolve(agent, id=f"higher {at}", skills=higher, labels={}),
            attrs.evolve(agent, id=f"member {at}", queues={queue: at}, delays={queue: 5_000 * at}),
            attrs.evolve(agent, id=f"last {at}", queues={last: INTEGER_MAX} if at % 2 else None, units=7),
            attrs.evolve(agent, id=f"most {at}", skills=dict.fromkeys(agent.skills, INTEGER_MAX)),
        ]
    return found


def questions_of(plans: Sequence[Plan], needs: Sequence[str], seed: int, *, revises: bool) -> list[Question]:
    """Questions under some plans, the small ones first; the same for the same seed, in every process. O(questions)."""
    dice, found = Dice(seed), [Question(priority=priority) for priority in PRIORITIES]
    for plan in plans:
        for all_classes, all_groups in views_of(plan, needs):
            classes, groups = dice.some(all_classes, _CLASSES), dice.some(all_groups, _GROUPS)
            pairs = [(c, g) for c in classes for g in groups]
            asked = [Question(classes=(c,), groups=(g,)) for c, g in dice.some(pairs, _CELLS)]
            asked += [Question(classes=tuple(classes)), Question(groups=tuple(groups))]
            for _ in range(_PARTS):
                some = dice.some(classes, 1 + dice.below(5)), dice.some(groups, 1 + dice.below(5))
                asked.append(Question(classes=tuple(some[0]), groups=tuple(some[1])))
            asked.append(Question(classes=tuple(classes), groups=tuple(groups)))
            if revises and classes:
                asked += _revisions(asked, dice)
            found += asked
    return found


def _revisions(asked: Sequence[Question], dice: Dice) -> list[Question]:
    """The last questions once more, with counts of what happened and handle times of some pairs."""
    found = []
    for question in asked[-_PARTS - 1 :]:
        counts = sorted((dice.below(dice.one((1, 5, 200))) for _ in range(4)), reverse=True)
        names = ("entered", "connected", "in_target", "abandoned")
        queue = question.classes[0].queue
        cells = [(c, g) for c in range(len(question.classes)) for g in range(len(question.groups))]
        known = sorted(dice.some(cells, dice.below(_CELLS)))
        observed = Observed(
            queue=queue,
            version=dice.below(1_000),
            **dict(zip(names, counts, strict=True)),
            handle_ms=dice.one((None, *HANDLE_TIMES_MS)),
            pair_handle_ms=tuple((c, g, dice.one(HANDLE_TIMES_MS)) for c, g in known),
        )
        found.append(attrs.evolve(question, observed=observed))
    return found
