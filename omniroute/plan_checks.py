"""What the parts of a plan say of one another: names that must be known, counts, and circles that may not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from omniroute.checks import unique
from omniroute.conditions import ESTIMATED
from omniroute.core.limits import CONDITIONS_MAX, POOLS_MAX, STEPS_MAX, WINDOWS_MAX
from omniroute.errors import PlanError, RequirementError
from omniroute.model import nearest
from omniroute.requirements import Requirement, conjunction

if TYPE_CHECKING:
    from omniroute.intake import Intake
    from omniroute.plan import Limits, Plan

__all__ = ["check_parts"]


def check_parts(plan: Plan) -> None:
    """Check everything that one part of a plan alone cannot know. O(size of the plan). Raises PlanError."""
    _check_sizes(plan)
    _check_channels(plan)
    _check_agents(plan)
    _check_conditions(plan)
    _check_queues(plan)
    _check_ways(plan)
    _check_windows(plan)
    if plan.intake is not None:
        _check_intake(plan, plan.intake)
    if plan.skills:
        _check_declared(plan)


def _check_length(name: str, limits: Limits, field: str) -> None:
    if len(name) > limits.name_length:
        message = f"at most {limits.name_length} characters (limits.name_length), got {len(name)}"
        raise PlanError(message, field=field)


def _check_sizes(plan: Plan) -> None:
    """Check counts, name lengths and that names are not given twice."""
    limits = plan.limits
    for field, names, key, most, limit in (
        ("channels", [channel.name for channel in plan.channels], ".name", limits.channels, "limits.channels"),
        ("queues", [queue.name for queue in plan.queues], ".name", limits.queues, "limits.queues"),
        ("agents", [agent.id for agent in plan.agents], ".id", limits.agents, "limits.agents"),
        ("skills", plan.skills, "", limits.skills, "limits.skills"),
        ("labels", plan.labels, "", POOLS_MAX, "POOLS_MAX"),
        ("conditions", [condition.name for condition in plan.conditions], ".name", CONDITIONS_MAX, "CONDITIONS_MAX"),
    ):
        if len(names) > most:
            raise PlanError(f"at most {most} ({limit}), got {len(names)}", field=field)
        if not names and field in ("channels", "queues"):
            raise PlanError("expected at least one", field=field)
        for position, name in enumerate(names):
            _check_length(name, limits, f"{field}[{position}]{key}")
        unique(names, key, field)
    for position, queue in enumerate(plan.queues):
        if len(queue.steps) > limits.steps:
            message = f"at most {limits.steps} (limits.steps), got {len(queue.steps)}"
            raise PlanError(message, field=f"queues[{position}].steps")


def _known(word: str, names: Iterable[str], known: Iterable[str], field: str) -> None:
    """Refuse a name that the plan does not have."""
    for name in names:
        if name not in known:
            raise PlanError(f"unknown {word} {name!r}{nearest(name, sorted(known))}", field=field)


def _check_channels(plan: Plan) -> None:
    """Check that channels name channels, and that none gives way to itself, however far round."""
    channels = {channel.name for channel in plan.channels}
    for position, channel in enumerate(plan.channels):
        _known("channel", channel.allows or (), channels, f"channels[{position}].allows")
        _known("channel", channel.interrupted_by, channels, f"channels[{position}].interrupted_by")
    ways = {channel.name: channel.interrupted_by for channel in plan.channels}
    for position, channel in enumerate(plan.channels):
        if channel.name in _reached(channel.name, ways):
            message = f"{channel.name!r} would give way to itself in a circle"
            raise PlanError(message, field=f"channels[{position}].interrupted_by")


def _reached(start: str, ways: Mapping[str, Sequence[str]]) -> set[str]:
    """Everything that is reached from a name, itself only where there is a way back."""
    found: set[str] = set()
    pending = list(ways[start])
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(ways[name])
    return found


def _check_agents(plan: Plan) -> None:
    """Check that agents name queues, channels and labels of this plan."""
    queues = {queue.name for queue in plan.queues}
    channels = {channel.name for channel in plan.channels}
    for position, agent in enumerate(plan.agents):
        _known("queue", agent.queues or (), queues, f"agents[{position}].queues")
        _known("channel", agent.at_most, channels, f"agents[{position}].at_most")
        _known("label", agent.label_at_most, plan.labels, f"agents[{position}].label_at_most")
        _known("queue", agent.delays, queues, f"agents[{position}].delays")
        _known("queue", agent.shares, queues, f"agents[{position}].shares")


def _check_conditions(plan: Plan) -> None:
    """Check that conditions name queues and channels of this plan, and that estimates are made where one needs them."""
    queues = {queue.name: queue.requirement for queue in plan.queues}
    targets = {queue.name for queue in plan.queues if queue.target is not None}
    channels = {channel.name for channel in plan.channels}
    for position, condition in enumerate(plan.conditions):
        field = f"conditions[{position}]"
        _known("queue", () if condition.queue is None else [condition.queue], queues, f"{field}.queue")
        _known("channel", () if condition.channel is None else [condition.channel], channels, f"{field}.channel")
        if condition.of in ESTIMATED and plan.estimates_ms is None:
            raise PlanError(f"{field} needs estimates, and none are made", field="estimates")
        if condition.of == "service_level" and condition.queue not in targets:
            raise PlanError(f"queue {condition.queue!r} has no target, so nothing is in time", field=f"{field}.queue")
        try:
            conjunction(condition.requirement, *(() if condition.queue is None else (queues[condition.queue],)))
        except RequirementError as error:
            message = f"with what the queue needs: {error.message}"
            raise PlanError(message, field=f"{field}.agents") from error


def _check_queues(plan: Plan) -> None:
    """Check that queues and their steps name conditions and queues of this plan."""
    queues = {queue.name for queue in plan.queues}
    conditions = {condition.name for condition in plan.conditions}
    for position, queue in enumerate(plan.queues):
        for number, rule in enumerate(queue.only_while):
            field = f"queues[{position}].only_while[{number}].condition"
            _known("condition", [rule.condition], conditions, field)
        for number, step in enumerate(queue.steps):
            for key, word, known in (
                ("when", "condition", conditions),
                ("at_once_if", "condition", conditions),
                ("queue", "queue", queues),
                ("copy", "queue", queues),
            ):
                name = getattr(step, key)
                _known(word, () if name is None else [name], known, f"queues[{position}].steps[{number}].{key}")


def _check_windows(plan: Plan) -> None:
    """Check that queues that share a window say the same of it, and that there are not too many."""
    lengths: dict[str, int] = {}
    for position, queue in enumerate(plan.queues):
        if queue.window is None:
            continue
        name, length, field = queue.window.name, queue.window.length_ms, f"queues[{position}].window"
        _check_length(name, plan.limits, f"{field}.name")
        if lengths.setdefault(name, length) != length:
            raise PlanError(f"an earlier queue of the same window says {lengths[name]} ms", field=field)
    if len(lengths) > WINDOWS_MAX:
        raise PlanError(f"at most {WINDOWS_MAX} windows (WINDOWS_MAX), got {len(lengths)}", field="queues")


def _check_ways(plan: Plan) -> None:
    """Check that steps never lead back to where they started, and that no way is longer than the core's chains."""
    ways = {
        queue.name: [name for step in queue.steps for name in (step.queue, step.copy) if name is not None]
        for queue in plan.queues
    }
    values = {queue.name: queue for queue in plan.queues}
    for position, queue in enumerate(plan.queues):
        if not ways[queue.name]:
            continue
        for number, step in enumerate(queue.steps):
            for key in ("queue", "copy"):
                target = getattr(step, key)
                if target is not None and queue.name in (target, *_reached(target, ways)):
                    message = f"leads from {queue.name!r} back to it in a circle"
                    raise PlanError(message, field=f"queues[{position}].steps[{number}].{key}")
    for position, queue in enumerate(plan.queues):
        length, at = 0, queue
        while True:
            length += len(at.steps) + 1
            if not at.steps or at.steps[-1].queue is None:
                break
            at = values[at.steps[-1].queue]
        if length > STEPS_MAX:
            message = f"at most {STEPS_MAX} steps in a row, those of queues that it leads to included, got {length}"
            raise PlanError(message, field=f"queues[{position}].steps")


def _check_intake(plan: Plan, intake: Intake) -> None:
    """Check that rules name queues of this plan, not too many, and have names that are not too long."""
    queues, limits = {queue.name for queue in plan.queues}, plan.limits
    for field, rule in intake.places():
        _check_length(rule.name, limits, f"intake.{field}.name")
        if len(rule.queue) > limits.entries:
            message = f"at most {limits.entries} (limits.entries), got {len(rule.queue)}"
            raise PlanError(message, field=f"intake.{field}.queue")
        for key, unknown in rule.unknown_queues(queues):
            message = f"unknown queue {unknown!r}{nearest(unknown, sorted(queues))}"
            raise PlanError(message, field=f"intake.{field}.{key}")


def _check_declared(plan: Plan) -> None:
    """Check that agents and requirements use declared names."""
    skills = set(plan.skills)
    labels: set[str] = set()
    for position, agent in enumerate(plan.agents):
        labels |= agent.labels.keys()
        for name in agent.skills:
            if name not in skills:
                message = f"skill {name!r} is not declared in skills{nearest(name, plan.skills)}"
                raise PlanError(message, field=f"agents[{position}].skills")
    known = skills | labels
    for field, requirement in _requirements(plan):
        for atom in requirement.atoms:
            if atom.name not in known:
                message = f"{atom.name!r} is neither declared in skills nor a label of an agent"
                raise PlanError(message + nearest(atom.name, sorted(known)), field=field)


def _requirements(plan: Plan) -> Iterable[tuple[str, Requirement]]:
    """Yield every requirement of the plan with its field."""
    for position, condition in enumerate(plan.conditions):
        yield f"conditions[{position}].agents", condition.requirement
    for position, queue in enumerate(plan.queues):
        yield f"queues[{position}].needs", queue.requirement
        for number, rule in enumerate(queue.only_while):
            yield f"queues[{position}].only_while[{number}].agents", rule.requirement
        for number, step in enumerate(queue.steps):
            for key, requirement in (("needs", step.replacement), ("also", step.addition)):
                if requirement is not None:
                    yield f"queues[{position}].steps[{number}].{key}", requirement
    for field, decided in plan.intake.places() if plan.intake else ():
        if decided.requirement is not None:
            yield f"intake.{field}.needs", decided.requirement
