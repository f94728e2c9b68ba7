"""Strategies that each break one rule: what the conformance kit has to catch by name.

They stand in a module of their own, so that another process can build them.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from omniroute import Plan, Queue, Router
from omniroute.errors import PlanError
from omniroute.strategies.protocol import AgentKey, ClassView, GroupView, Observed, Place, Revision, Tables, column

Classes = Sequence[ClassView]
Groups = Sequence[GroupView]


@attrs.frozen
class Good:
    """It breaks nothing: few skills first. The others do one thing differently."""

    name: ClassVar[str] = "good"
    version: ClassVar[int] = 1
    agent_key: ClassVar[AgentKey] = AgentKey.LONGEST_IDLE

    most: int = 7

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """A rank by the number of skills."""
        return Tables(rank_out=[min(self.most, self.rank(view, group)) for view in classes for group in groups])

    def rank(self, view: ClassView, group: GroupView) -> int:
        """The rank of a pair."""
        return len(group.skills)

    def place(self, priority: int) -> Place:
        """The greatest of a few priorities first."""
        return Place(tier=-max(-9, min(9, priority)))


@dataclasses.dataclass(frozen=True)
class Dataclass:
    """It breaks nothing either, and is a dataclass."""

    name = "dataclass"
    version = 1
    agent_key = AgentKey.ROUND_ROBIN
    delays: tuple[int, ...] = (0, 5_000)

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """Later for those with skills."""
        return Tables(opens=[self.delays[bool(group.skills)] for _ in classes for group in groups])

    def place(self, priority: int) -> Place:
        """One line."""
        return Place()


@attrs.frozen
class Counting(Good):
    """It writes down in itself what it was asked."""

    calls: list[str] = attrs.field(factory=list, init=False, eq=False)

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Nobody sees the list."""
        self.calls.append(view.queue)
        return 0


class Shared(Good):
    """It counts on its class how often it was asked."""

    calls = 0

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Nobody sees the count."""
        type(self).calls += 1
        return 0


_MEMORY: list[str] = []


class Remembering(Good):
    """It keeps a state between calls in a variable of its module."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Another rank the second time."""
        _MEMORY.append(view.queue)
        return len(_MEMORY) % 5


class Indexed(Good):
    """A rank by the place of the group in the question."""

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """The first first."""
        return Tables(rank_out=[at for _ in classes for at in range(len(groups))])


class Relative(Good):
    """A rank relative to the best of those who are asked about."""

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """The best is always 0."""
        best = max((len(group.skills) for group in groups), default=0)
        return Tables(rank_out=[best - len(group.skills) for _ in classes for group in groups])


class Summing(Good):
    """A rate of a class that depends on which groups are asked about."""

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """More groups, more weight."""
        return Tables(age_rate=column(1 + len(groups), len(classes)))


class Rolling(Good):
    """It rolls dice."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Always the same number, from a generator all the same."""
        return random.Random(7).randrange(5)


class Watching(Good):
    """It reads a clock."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Another rank in another century."""
        return 1 if time.time() > 4e9 else 0


_ROUTER = Router(Plan(queues=[Queue("q")]))


class Reading(Good):
    """It looks into a router."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """By how many wait there, which is nobody."""
        return _ROUTER.queue("q").waiting


class TooFar(Good):
    """A rank below 0 where the penalty is high."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Minus the penalty."""
        return -(group.queues or {}).get(view.queue, 0)


class TooShort(Good):
    """A column for each class where one for each pair is wanted."""

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """Too few cells as soon as there are two groups."""
        return Tables(cost_in=column(0, len(classes)))


class Fraction(Good):
    """A head start that is no integer."""

    def place(self, priority: int) -> Place:
        """Half a millisecond."""
        return Place(head_start_ms=0.5)  # type: ignore[arg-type]


class NoPlace(Good):
    """A tier where a place is wanted."""

    def place(self, priority: int) -> Place:
        """Only the tier."""
        return 0  # type: ignore[return-value]


class Raising(Good):
    """It raises for groups that lack a label."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Whoever has no region has no rank."""
        return len(str(group.labels["region"]))


class Refusing(Good):
    """It refuses negative priorities by PlanError, which is allowed."""

    def place(self, priority: int) -> Place:
        """A tier for each priority."""
        if priority < 0:
            raise PlanError("below 0")
        return Place(tier=-min(priority, 9))


class Sometimes(Good):
    """It refuses every other time."""

    def place(self, priority: int) -> Place:
        """Not in the mood."""
        _MEMORY.append("asked")
        if len(_MEMORY) % 2:
            raise PlanError("not in the mood")
        return Place()


class Mutating(Good):
    """It takes penalties out of what it is shown."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """The penalty, once."""
        return (group.queues or {}).pop(view.queue, 0) and 0  # type: ignore[attr-defined]


class Sorting(Good):
    """It sorts the groups in place."""

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """Few skills first."""
        groups.sort(key=lambda group: group.units)  # type: ignore[attr-defined]
        return Tables()


class Hashing(Good):
    """A rank by Python's own hash."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Another one in each process."""
        return hash(view.queue) % 5


class Unequal(Good):
    """It equals only itself."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


@attrs.frozen
class Addressed(Good):
    """A rank by where in memory it stands."""

    own: int = attrs.field(init=False, eq=False)

    @own.default
    def _own(self) -> int:
        return len(_MEMORY) + next(_NUMBERS)

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Each value has another one."""
        return self.own % 97


_NUMBERS = iter(range(10**9))


class Nameless(Good):
    """It has no name."""

    name: ClassVar[Any] = None


class Turning(Good):
    """Its agent key is another one each time."""

    @property
    def agent_key(self) -> AgentKey:  # type: ignore[override]
        """One or the other."""
        _MEMORY.append("key")
        return (AgentKey.LONGEST_IDLE, AgentKey.FEWEST_HANDLED)[len(_MEMORY) // 3 % 2]


class Stale(Good):
    """It answers a revision for another version."""

    interval_ms = 5_000

    def revise(self, observed: Observed, classes: Classes, groups: Groups) -> Revision:
        """Always the first."""
        return Revision(version=0, tables=Tables())


class Learning(Good):
    """It answers revisions, and breaks nothing."""

    interval_ms = 5_000

    def revise(self, observed: Observed, classes: Classes, groups: Groups) -> Revision:
        """Costs by how many left."""
        tables = Tables(cost_in=column(observed.abandoned, len(classes) * len(groups)))
        return Revision(version=observed.version, tables=tables)


class Crossed(Learning):
    """It takes the places of a pair for each other, and looks where there is no class."""

    handle_permille = 900

    def revise(self, observed: Observed, classes: Classes, groups: Groups) -> Revision:
        """Costs by what is known of the pair."""
        costs = [0] * (len(classes) * len(groups))
        for k, g, handle_ms in observed.pair_handle_ms:
            costs[g * len(classes) + k] = handle_ms if classes[g].queue else 0
        return Revision(version=observed.version, tables=Tables(cost_in=costs))  # type: ignore[arg-type]


class Late(Good):
    """It raises for a skill that agents only have under another plan, late in a play."""

    def rank(self, view: ClassView, group: GroupView) -> int:
        """Nobody has learnt anything so far."""
        if "learnt" in group.skills:
            raise KeyError("learnt")
        return 0


class Plain:
    """It breaks nothing, takes a parameter and declares none."""

    name, version, agent_key = "plain", 1, AgentKey.LONGEST_IDLE

    def __init__(self, tier: int) -> None:
        self.tier = tier

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.tier == self.tier

    def __hash__(self) -> int:
        return self.tier

    def tables(self, classes: Classes, groups: Groups) -> Tables:
        """Nothing."""
        return Tables()

    def place(self, priority: int) -> Place:
        """One tier for all."""
        return Place(tier=self.tier)


WICKED: dict[str, tuple[Good, str]] = {
    type(strategy).__name__: (strategy, rule)
    for strategy, rule in (
        (Nameless(), "protocol"),
        (Turning(), "protocol"),
        (Raising(), "raises"),
        (Late(), "raises"),
        (Crossed(), "raises"),
        (TooFar(), "range"),
        (TooShort(), "range"),
        (Fraction(), "range"),
        (NoPlace(), "range"),
        (Stale(), "range"),
        (Counting(), "parameters"),
        (Shared(), "parameters"),
        (Mutating(), "views"),
        (Sorting(), "views"),
        (Rolling(), "outside"),
        (Watching(), "outside"),
        (Reading(), "outside"),
        (Remembering(), "same answer"),
        (Sometimes(), "same answer"),
        (Indexed(), "order"),
        (Relative(), "rows"),
        (Summing(), "rows"),
        (Unequal(), "equality"),
        (Addressed(), "rebuilt"),
        (Hashing(), "process"),
    )
}
"""Each with the rule that it breaks."""
