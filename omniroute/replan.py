"""Another plan, or new tables, while interactions wait.

Classes of the core never change what they mean. Where a plan changes what a queue asks, its classes are built anew, and
each old class that a live interaction still stands in gets a step of no waiting into its successor: what the
interaction asks now, before the first of the new steps. Steps of the new plan that are due by then are taken at once.
A class that the new plan has as well is found again, and whoever stands in it stays.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from omniroute import commands as c
from omniroute.answers import Kind, check_tables
from omniroute.capacity import flags_of
from omniroute.core import limits
from omniroute.core.codes import Reason
from omniroute.core.lifecycle import InteractionState
from omniroute.door import HANDLERS, Door
from omniroute.errors import MisuseError, RequirementError
from omniroute.events import IN_USE, REASONS, Event, PlanChanged, Revised
from omniroute.model import shown
from omniroute.obligations import all_groups, change_edges
from omniroute.plan import Plan, Queue
from omniroute.plan_numbers import agent_key_of, check_plan, control_interval
from omniroute.staffing import describe
from omniroute.strategies.protocol import CLASS_COLUMNS, PAIR_COLUMNS, Tables

__all__: list[str] = []

Problem: TypeAlias = tuple[int, str]
Numbers: TypeAlias = Mapping[str, int]
"""Conditions of a plan, by name."""
_IN_USE = REASONS.index(IN_USE)
_COMES_BACK = (InteractionState.PARKED, InteractionState.ACCEPTING, InteractionState.ON_HOLD)
"""What is in these states, and not in a queue, goes back to its queue by a deadline or by the word of somebody."""


def _change_plan(door: Door, now: int, command: c.ChangePlan) -> list[Event]:
    """Judge a plan against everything that lives, then write it. O(size of the plan + live + cells)."""
    plan = Plan.from_toml_text(command.plan) if isinstance(command.plan, str) else command.plan
    if not isinstance(plan, Plan):
        raise MisuseError(f"plan is {shown(plan)}, expected a Plan or its TOML text")
    check_plan(plan)
    events = door.begin(now)
    door.core.advance(now)
    used = _used_classes(door)
    problem = (
        _journey_problem(door, plan)
        or _channel_problem(door, plan)
        or _queue_problem(door, plan)
        or _size_problem(door, plan, used)
    )
    if problem is not None:
        return door.refuse(events, command, problem[0], "plan", problem[1])
    _write(door, plan, used, events)
    return events


def _used_classes(door: Door) -> list[int]:
    """The classes that live interactions stand in, held ones included, in order. O(live)."""
    found: dict[int, None] = {}
    for i, name in enumerate(door.ledger.ids):
        if name:
            found.update(dict.fromkeys(door.core.interaction(i)[6::3]))
    return sorted(found)


def _journey_problem(door: Door, plan: Plan) -> Problem | None:
    """What customers are known by cannot change while journeys are kept, for only its hash is known."""
    old, new = door.naming.plan.journey, plan.journey
    if old is None or new is None or (old.hash_keys, old.salt) == (new.hash_keys, new.salt):
        return None
    return _IN_USE, "hash_keys and salt of the journey cannot change while journeys are kept"


def _channel_problem(door: Door, plan: Plan) -> Problem | None:
    """A channel that was ever known keeps its load and its flags, because capacity in use is counted with them."""
    capacity = door.naming.capacity
    fresh = []
    for channel in plan.channels:
        old = capacity.values.get(channel.name)
        if old is None:
            fresh.append(channel.name)
            continue
        what = "load" if old.load != channel.load else "reserves or survives_sign_out"
        if old.load != channel.load or flags_of(old) != flags_of(channel):
            return _IN_USE, f"the {what} of channel {channel.name!r} cannot change; take another name"
    if len(capacity.kinds) + len(fresh) > limits.CHANNELS_MAX:
        detail = f"at most {limits.CHANNELS_MAX} channels, those of earlier plans and those with labels included"
        return Reason.LIMIT_REACHED, detail
    fresh += [label for label in plan.labels if label not in capacity.labels]
    if len(capacity.pools) + len(fresh) > limits.POOLS_MAX:
        return Reason.LIMIT_REACHED, f"at most {limits.POOLS_MAX} channels and labels, those of earlier plans included"
    return None


def _queue_problem(door: Door, plan: Plan) -> Problem | None:
    """A queue stays while somebody waits in it or would come back to it, and makes no fewer offers than are live."""
    naming, core = door.naming, door.core
    wanted = {queue.name: queue for queue in plan.queues}
    for name, q in naming.queues.items():
        length = core.queue(q)[0]
        if name not in wanted and length:
            return _IN_USE, f"queue {name!r} is not in the plan, but {length} wait in it"
    coming: Counter[str] = Counter()
    for i, name in enumerate(door.ledger.ids):
        numbers = core.interaction(i) if name else (0,)
        if numbers[0] in _COMES_BACK:
            coming.update(door.ledger.standing(numbers))
    for name in naming.queues:
        if name not in wanted and coming[name]:
            return _IN_USE, f"queue {name!r} is not in the plan, but {coming[name]} may come back to it"
    live = Counter(i for i, _, _ in door.ledger.offers.values())
    for i, count in sorted(live.items()):
        queue = wanted.get(naming.class_names[core.interaction(i)[6]].view.queue)
        if queue is not None and isinstance(queue.offers, int) and queue.offers < count:
            return _IN_USE, f"queue {queue.name!r} would make {queue.offers} offers, but {count} are live for one"
    return None


def _size_problem(door: Door, plan: Plan, used: Sequence[int]) -> Problem | None:
    """The limits of the new plan hold for what is known together with what comes."""
    naming, most = door.naming, plan.limits
    agents = {**naming.agents, **{agent.id: 0 for agent in plan.agents}}
    if len(agents) > most.agents:
        return Reason.LIMIT_REACHED, "limits.agents"
    if all_groups(naming, plan) > most.groups:
        return Reason.LIMIT_REACHED, "limits.groups"
    gauges, conditions = naming.gauges.missing(plan)
    if len(naming.gauges.gauges) + gauges > limits.GAUGES_MAX:
        return (
            Reason.LIMIT_REACHED,
            f"at most {limits.GAUGES_MAX} gauges, those of earlier plans included",
        )
    if len(naming.gauges.conditions) + conditions > limits.CONDITIONS_MAX:
        return Reason.LIMIT_REACHED, f"at most {limits.CONDITIONS_MAX} conditions, those of earlier plans included"
    windows = {queue.window.name for queue in plan.queues if queue.window is not None} | naming.windows.keys()
    if len(windows) > limits.WINDOWS_MAX:
        return Reason.LIMIT_REACHED, f"at most {limits.WINDOWS_MAX} windows, those of earlier plans included"
    wanted = {queue.name: queue for queue in plan.queues}
    classes: set[tuple[object, ...]] = set()
    for k in used:
        name = naming.class_names[k]
        if name.view.queue not in wanted:
            continue
        try:
            classes |= naming.missing([name.view.queue], name.channel, name.part, name.view.lane, wanted.__getitem__)
        except RequirementError as error:
            return _IN_USE, f"queue {name.view.queue!r} and {name.part.text!r} together: {error.message}"
    full = len(naming.class_names) + len(classes) > most.classes
    return (Reason.LIMIT_REACHED, "limits.classes") if full else None


def _write(door: Door, plan: Plan, used: Sequence[int], events: list[Event]) -> None:
    """Write an accepted plan: channels, queues, tables, then whoever waits, then agents."""
    naming, core, ledger = door.naming, door.core, door.ledger
    names = {queue.name for queue in plan.queues}
    for name, q in naming.queues.items():
        if name not in names:
            _retire(door, q)
    old, known, estimated_ms = naming.plan, naming.gauges.names, naming.gauges.every
    naming.plan = plan
    ledger.purge(door.now - plan.retention_ms)
    ledger.keep_journeys(door.now)
    naming.add_kinds()
    back = {queue.name for queue in plan.queues if queue.name not in naming.queues}
    fresh = {queue.name: naming.add_queue(queue) for queue in plan.queues if queue.name not in naming.queue_names}
    naming.queues = {queue.name: naming.queue_names.index(queue.name) for queue in plan.queues}
    naming.add_conditions()
    other = _other_classes(old, known, plan, naming.gauges.names)
    changed = [q.name for q in plan.queues if q.name in fresh or _write_queue(door, q, back, other, known)]
    naming.forget()
    _lead_over(door, used)
    change_edges(naming)
    for i, ask in enumerate(ledger.asks):
        if ask is not None and ask.queues[0] in naming.queues:
            wrap_up = naming.queue_values[naming.queues[ask.queues[0]]].wrap_up_ms
            ledger.asks[i] = attrs.evolve(ask, wrap_up=-1 if wrap_up is None else wrap_up)
    door.tell_failures(events)
    events.append(PlanChanged(ledger.next_seq(), door.now, tuple(changed)))
    core.refresh(door.now)
    ledger.tell(events)
    door.keep_estimates(events, estimated_ms)
    for agent in plan.agents:
        describe(door, events, agent)


def _lead_over(door: Door, used: Sequence[int]) -> None:
    """Lead every class that somebody stands in into its successor, all successors being built first."""
    naming = door.naming
    successors: dict[int, int] = {}
    for k in used:
        old = naming.class_names[k]
        if old.view.queue in naming.queues and k not in naming.queue_classes[old.queue]:
            successors[k] = naming.class_(old.queue, old.channel, old.part, old.view.lane)
    for k, successor in successors.items():
        if k not in naming.queue_classes[naming.class_names[k].queue]:
            door.core.set_class(k, 1, 0, 0, 0, successor, -1)


def _retire(door: Door, q: int) -> None:
    """A queue leaves the plan; what agents still hold of it keeps its tables, nothing new enters."""
    naming = door.naming
    naming.queue_values[q] = Queue(naming.queue_names[q])
    _unlink(door, q)
    door.core.set_control(q, -1)


def _unlink(door: Door, q: int) -> None:
    """Nothing new enters the classes of a queue; answers that are under way come too late. O(classes of the queue)."""
    naming = door.naming
    for k in naming.queue_classes[q]:
        name = naming.class_names[k]
        del naming.classes[q, name.channel, name.part.text, name.view.step, name.view.lane]
    naming.queue_classes[q] = []
    door.core.revised(q)


def _other_classes(old: Plan, known: Numbers, new: Plan, numbers: Numbers) -> set[str]:
    """The queues of a plan whose classes are not those of the old plan, or lead to such. O(queues * steps)."""
    before = {queue.name: _asks(queue, known) for queue in old.queues}
    found = {queue.name for queue in new.queues if _asks(queue, numbers) != before.get(queue.name)}
    while True:
        further = {
            queue.name
            for queue in new.queues
            if queue.name not in found and any(step.queue in found or step.copy in found for step in queue.steps)
        }
        if not further:
            return found
        found |= further


def _asks(queue: Queue, numbers: Numbers) -> tuple[object, ...]:
    """Everything that makes the classes of a queue and their steps; conditions by what they mean."""
    conditions = [(numbers.get(step.when or ""), numbers.get(step.at_once_if or "")) for step in queue.steps]
    return queue.requirement, queue.steps, agent_key_of(queue), conditions


def _rules(queue: Queue, numbers: Numbers) -> list[tuple[int, str]]:
    """When agents serve a queue; conditions by what they mean."""
    return [(numbers[rule.condition], rule.requirement.text) for rule in queue.only_while]


def _write_queue(door: Door, queue: Queue, back: set[str], other: set[str], known: Numbers) -> bool:
    """Write one queue of a new plan that was known before; whether needs, steps, rules or strategy changed."""
    naming, core = door.naming, door.core
    q = naming.queues[queue.name]
    old = naming.queue_values[q]
    naming.queue_values[q] = queue
    naming.set_queue(q)
    if queue.name in back or control_interval(queue) != control_interval(old):
        core.set_control(q, control_interval(queue))
    if queue.name in back or queue.name in other:
        _unlink(door, q)
        return True
    classes, groups = naming.queue_classes[q], range(len(naming.group_views))
    other_rules = _rules(queue, naming.gauges.names) != _rules(old, known)
    if other_rules:
        naming.bind(q, classes, groups)
    if naming.same_strategy(q, old):
        return other_rules
    tables = naming.answer(q, Kind.STRATEGY, classes, groups)
    naming.write(classes, groups, tables)
    if tables is not None and all(getattr(tables, name) is None for name in CLASS_COLUMNS):
        for k in classes:
            naming.set_class(k, 1, 0, 0)
    core.revised(q)
    return True


def _revise(door: Door, now: int, command: c.Revise) -> list[Event]:
    """Write a strategy's new answer, and ask again for everybody. O(cells + waiting)."""
    naming, core, ledger = door.naming, door.core, door.ledger
    numbers = (command.version, command.classes, command.groups)
    if not isinstance(command.queue, str) or not all(type(number) is int and number >= 0 for number in numbers):
        raise MisuseError("a revision has a queue, a version and two sizes >= 0")
    columns = {name: getattr(command, name) for name in (*PAIR_COLUMNS, *CLASS_COLUMNS)}
    if not all(column is None or isinstance(column, tuple | list) for column in columns.values()):
        raise MisuseError("the columns of a revision are tuples of integers")
    check_tables(columns, command.classes, command.groups)
    q = naming.queues.get(command.queue)
    if q is not None and command.version == core.queue(q)[1]:
        known = (len(naming.queue_classes[q]), len(naming.group_views))
        if command.classes > known[0] or command.groups > known[1]:
            raise MisuseError(f"the queue has {known[0]} classes and {known[1]} groups, got more")
    events = door.begin(now)
    core.advance(now)
    if q is None:
        return door.refuse(events, command, Reason.UNKNOWN_QUEUE, command.queue)
    if command.version != core.queue(q)[1]:
        return door.refuse(events, command, Reason.STALE_VERSION, command.queue, f"it is at {core.queue(q)[1]}")
    tables = Tables(**{name: column if column is None else array("q", column) for name, column in columns.items()})
    naming.write(naming.queue_classes[q][: command.classes], range(command.groups), tables)
    events.append(Revised(ledger.next_seq(), now, command.queue, core.revised(q)))
    core.refresh(now)
    return ledger.tell(events)


HANDLERS[c.ChangePlan] = _change_plan
HANDLERS[c.Revise] = _revise
