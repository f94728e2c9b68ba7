"""By step: another strategy for each number of steps that an interaction has taken."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import attrs

from omniroute.core.codes import AgentKey
from omniroute.errors import PlanError
from omniroute.model import checked_integer, shown
from omniroute.strategies import catalogue
from omniroute.strategies.knobs import joined, joined_to
from omniroute.strategies.protocol import CLASS_COLUMNS, COLUMN_DEFAULTS, ClassView, GroupView, Place, Strategy, Tables

__all__ = ["ByStep"]

STEPS_TAKEN_MAX: Final = 64


def _stages(value: object) -> dict[str, Strategy]:
    """Read strategies by number of steps, sorted, with the numbers as text, as a file has them. Raises PlanError."""
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from numbers of steps to strategies, got {shown(value)}", field="stages")
    found: dict[int, Strategy] = {}
    for key, item in value.items():
        field = f"stages.{shown(key)}" if not isinstance(key, str) else f"stages.{key}"
        number = int(key) if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 4 else key
        at = checked_integer(number, field, 0, STEPS_TAKEN_MAX)
        if at in found:
            raise PlanError(f"{at} is given twice", field=field)
        strategy = catalogue.read(item, field)
        if getattr(strategy, "interval_ms", None) is not None:
            raise PlanError(f"{strategy.name!r} has an interval, and a stage is never asked again", field=field)
        found[at] = strategy
    if 0 not in found:
        raise PlanError("expected a strategy for 0 steps", field="stages")
    return {str(at): found[at] for at in sorted(found)}


@attrs.frozen(kw_only=True)
class ByStep:
    """Another strategy for each stage of waiting: ``stages`` maps a number of steps taken to a strategy.

    A stage holds from so many steps on until the next that is named; there is one for 0. When a stage begins is what
    the steps of the queue say; one that should change nothing else repeats its tier. Ranks and costs of different
    stages are compared with each other. Place and agent key are those of stage 0, and nobody is asked again at an
    interval. Raises PlanError.

    This is the stage model (from which wait on who may be asked, and in which order) of the overflow and priority
    router in ContactCenters, the Java library of Buist and L'Ecuyer, Winter Simulation Conference 2005.

    >>> ByStep(stages={0: "skills_first", 2: "priority"}).stage(1).name
    'skills_first'
    """

    name: ClassVar[str] = "by_step"
    __or__, __ror__ = joined, joined_to

    stages: Mapping[str, Strategy] = attrs.field(converter=_stages, hash=False)

    @property
    def version(self) -> int:
        """Another number whenever a stage has a later one. O(stages)."""
        return 1 + sum(stage.version - 1 for stage in self.stages.values())

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal: as at stage 0."""
        return self.stages["0"].agent_key

    @property
    def edges_ms(self) -> tuple[int, ...]:
        """The times left to an agent's obligation at which the answers of a stage change, ascending. O(stages)."""
        return tuple(sorted({edge for stage in self.stages.values() for edge in getattr(stage, "edges_ms", ())}))

    def stage(self, steps: int) -> Strategy:
        """The strategy after so many steps. O(stages)."""
        return self.stages[self._stage(steps)]

    def _stage(self, steps: int) -> str:
        return str(max(int(at) for at in self.stages if int(at) <= steps))

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with what the stage of each class says. O(cells), and each stage is asked once."""
        rows: dict[str, list[int]] = {}
        for k, view in enumerate(classes):
            rows.setdefault(self._stage(view.step), []).append(k)
        asked = rows or {"0": []}
        said = {at: self.stages[at].tables([classes[k] for k in asked[at]], groups) for at in asked}
        return Tables(**{name: _spread(name, asked, said, len(classes), len(groups)) for name in COLUMN_DEFAULTS})

    def place(self, priority: int) -> Place:
        """Where stage 0 puts a priority."""
        return self.stages["0"].place(priority)


def _spread(
    name: str, asked: Mapping[str, Sequence[int]], said: Mapping[str, Tables], classes: int, groups: int
) -> array[int] | None:
    """One column over all classes of the answers of their stages; None where none has it. O(cells)."""
    columns = {at: getattr(tables, name) for at, tables in said.items()}
    if all(found is None for found in columns.values()):
        return None
    width = 1 if name in CLASS_COLUMNS else groups
    whole = array("q", [COLUMN_DEFAULTS[name]]) * (classes * width)
    for at, found in columns.items():
        if found is not None:
            for row, k in enumerate(asked[at]):
                whole[k * width : (k + 1) * width] = found[row * width : (row + 1) * width]
    return whole
