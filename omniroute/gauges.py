"""Conditions as the core counts them: a gauge shows a number, a condition compares it with two thresholds.

Both are numbered by what they mean, so a plan that comes back finds its own again, and none is ever taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from omniroute.conditions import AGENTS_OF, Condition
from omniroute.core.codes import GaugeKind
from omniroute.plan import Plan, Queue
from omniroute.requirements import TRUE, Requirement, conjunction, parse

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["ALL_IN_TIME", "Estimated", "EstimatesState", "GaugeName", "Gauges"]

GaugeName: TypeAlias = tuple[str, str, str, str, str]
"""Of what, and then, empty where they mean nothing: queue, channel, requirement of the agents, queue of the agents."""
ConditionName: TypeAlias = tuple[GaugeName, int, int, int]
Estimated: TypeAlias = tuple[int, Literal["wait", "service_level"], int]
"""A gauge that wants estimates, of what, and the number of the queue."""
EstimatesState: TypeAlias = tuple[
    list[tuple[int, tuple[int, ...]]],
    list[tuple[int, tuple[int, ...]]],
    list[tuple[int, int, int, int, int]],
    list[tuple[int, int]],
    int,
    list[tuple[int, tuple[int, ...]]],
    list[tuple[int, int, tuple[int, ...]]],
]
"""Handle times and service levels by queue, who is in hand, the last values by gauge; first arrival, and arrivals.

Then handle times by class and group.
"""

_KINDS: Final = {
    "waiting": GaugeKind.LENGTH,
    "staffed": GaugeKind.STAFFED,
    "idle": GaugeKind.IDLE,
    "available": GaugeKind.AVAILABLE,
    "wait": GaugeKind.GIVEN,
    "service_level": GaugeKind.GIVEN,
}
ALL_IN_TIME: Final = 1_000
"""What a service level shows before anybody was answered, in per mille."""


def gauge_name(condition: Condition, needs: Requirement | None) -> GaugeName:
    """What the gauge of a condition means; ``needs`` are those of its queue. O(atoms). Raises RequirementError."""
    queue, of = condition.queue or "", condition.of
    if of not in AGENTS_OF:
        return of, queue, "", "", ""
    whole = condition.requirement if needs is None else conjunction(needs, condition.requirement)
    return of, "", condition.channel or "", whole.text, queue


class Gauges:
    """The gauges and the conditions of one core, by name."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.gauges: dict[GaugeName, int] = {}
        self.conditions: dict[ConditionName, int] = {}
        self.names: dict[str, int] = {}
        """The conditions of the plan."""
        self.estimated: list[Estimated] = []
        """What the conditions of the plan want estimates of."""
        self.every = -1
        """How often the core asks for estimates, in ms; -1 never."""

    def missing(self, plan: Plan) -> tuple[int, int]:
        """How many gauges and conditions the core would get by :meth:`write`. O(size). Raises RequirementError."""
        wanted = [_condition_name(condition, plan) for condition in plan.conditions]
        gauges = {name[0] for name in wanted} - self.gauges.keys()
        return len(gauges), len(set(wanted) - self.conditions.keys())

    def write(
        self,
        plan: Plan,
        queues: Mapping[str, int],
        channels: Mapping[str, int],
        program: Callable[[Requirement, str | None], list[int]],
    ) -> None:
        """Number the conditions of a plan; ``program`` compiles a requirement and a membership. O(agents + size)."""
        for condition in plan.conditions:
            name = _condition_name(condition, plan)
            gauge = self._gauge(name[0], queues, channels, program)
            if name not in self.conditions:
                self.conditions[name] = self.core.add_condition(gauge, *name[1:])
        before = self.every
        self.read(plan, queues)
        if self.every != before:
            self.core.set_estimates(self.core.now, self.every)

    def available(
        self,
        queue: Queue,
        channel: str,
        channels: Mapping[str, int],
        program: Callable[[Requirement, str | None], list[int]],
    ) -> int:
        """The gauge of a queue's agents with room for one more of a channel; numbered when first asked for."""
        name = ("available", "", channel, queue.requirement.text, queue.name)
        return self._gauge(name, {}, channels, program)

    def staffed(self, queue: Queue, program: Callable[[Requirement, str | None], list[int]]) -> int:
        """The gauge of a queue's agents who are signed in; numbered when first asked for."""
        return self._gauge(("staffed", "", "", queue.requirement.text, queue.name), {}, {}, program)

    def _gauge(
        self,
        name: GaugeName,
        queues: Mapping[str, int],
        channels: Mapping[str, int],
        program: Callable[[Requirement, str | None], list[int]],
    ) -> int:
        number = self.gauges.get(name)
        if number is not None:
            return number
        of, queue, channel, needs, members = name
        subject = queues[queue] if of == "waiting" else channels[channel] if channel else -1
        who = program(parse(needs), members or None) if of in AGENTS_OF else [TRUE]
        number = self.gauges[name] = self.core.add_gauge(_KINDS[of], subject, who)
        if of == "service_level":
            self.core.set_gauge(self.core.now, number, ALL_IN_TIME)
        return number

    def read(self, plan: Plan, queues: Mapping[str, int]) -> None:
        """Name the conditions of a plan that has been written. O(size). Raises LookupError where it has not."""
        self.names = {c.name: self.conditions[_condition_name(c, plan)] for c in plan.conditions}
        found: dict[Estimated, None] = {}
        for condition in plan.conditions:
            if condition.of == "wait" or condition.of == "service_level":
                gauge = self.gauges[_condition_name(condition, plan)[0]]
                found[gauge, condition.of, queues[condition.queue or ""]] = None
        self.estimated = list(found)
        self.every = -1 if plan.estimates_ms is None or not found else plan.estimates_ms

    def fork(self, core: Core) -> Gauges:
        """The same names over a copy of the core. O(conditions)."""
        other = Gauges(core)
        for name, value in vars(self).items():
            if name != "core":
                setattr(other, name, value if isinstance(value, int) else value.copy())
        return other


def _condition_name(condition: Condition, plan: Plan) -> ConditionName:
    """What a condition means, whatever it is called."""
    needs = next((queue.requirement for queue in plan.queues if queue.name == condition.queue), None)
    on, off = condition.on_off
    return gauge_name(condition, needs), on, off, int(condition.at_least is None)
