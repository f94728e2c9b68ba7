"""Names to numbers: queues, channels, requirements, classes, groups and agents, as the core counts them.

Everything here changes with the plan and with what has been asked for the first time, never with traffic. A
requirement becomes a program over *atoms* (questions about a group), a membership is one more atom for each queue. A
*class* is (queue, channel, what the interaction asks, step) and is built with its whole chain of steps. Strategies are
asked through :meth:`Naming.answer` and :meth:`Naming.place` only; whether they ask is a function of the state.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from omniroute.answers import (
    CLASS_COLUMNS,
    HEAD_START_MAX,
    PAIR_COLUMNS,
    TIER_BASE,
    Answer,
    Failure,
    Kind,
    Questions,
    mark,
)
from omniroute.core import limits
from omniroute.core.codes import AgentKey
from omniroute.errors import MisuseError, PlanError
from omniroute.model import Agent
from omniroute.plan import Channel, Plan, Queue
from omniroute.requirements import AND, TRUE, Atom, Requirement, conjunction, parse
from omniroute.strategies.protocol import ClassView, GroupView, Place, Tables

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["HEAD_START_MAX", "ORDER_BASE", "TIER_BASE", "Ask", "ClassName", "Naming", "Wish"]

ORDER_BASE: Final = 2**30
"""An agent's place in the fixed order may be negative, that of the core may not: this is added."""
CACHE_MAX: Final = 65_536
"""Spellings remembered; beyond that the cache begins anew, which costs time and changes nothing."""

Key: TypeAlias = tuple[str | tuple[str, ...], str, str, int]


@attrs.frozen
class Ask:
    """What the core needs to put an interaction into its classes; shared by all that ask the same."""

    classes: tuple[int, ...]
    tier: int
    head_start: int
    wrap_up: int
    queues: tuple[str, ...]
    channel: str
    needs: str
    priority: int


@attrs.frozen
class Wish:
    """An ask whose text has been read and whose classes may not exist yet."""

    key: Key
    queues: tuple[str, ...]
    requirement: Requirement


@attrs.frozen
class ClassName:
    """What a class of the core is: queue, channel, the interaction's own part of the requirement, and the whole."""

    queue: int
    channel: int
    part: Requirement
    view: ClassView
    following: int
    """The class behind its step, -1 where there is none."""
    agent_key: int

    def definition(self) -> tuple[int, int, str, int, str, int]:
        """What the core cannot change about a class; equal definitions share a number for good. O(1)."""
        view = self.view
        return self.queue, self.channel, self.part.text, view.step, view.requirement.text, self.agent_key


class Naming:
    """The numbers of one core, and the names behind them."""

    def __init__(self, core: Core, plan: Plan) -> None:
        self.core = core
        self.plan = plan
        self.channels: dict[str, int] = {}
        """All channels that ever were, in the order of their numbers; the plan says which are open."""
        self.loads: dict[str, int] = {}
        self.queues: dict[str, int] = {}
        """Those of the plan; a queue that left the plan keeps its number in :attr:`queue_names`."""
        self.queue_names: list[str] = []
        self.queue_values: list[Queue] = []
        self.queue_classes: list[list[int]] = []
        """The classes that new interactions may enter, by queue."""
        self.atoms: dict[Atom | str, int] = {}
        """Questions, and names of queues for the membership in them."""
        self.groups: dict[tuple[object, ...], int] = {}
        self.group_views: list[GroupView] = []
        self.classes: dict[tuple[int, int, str, int], int] = {}
        self.class_names: list[ClassName] = []
        self.definitions: dict[tuple[int, int, str, int, str, int], int] = {}
        """Every class that ever was: a plan that comes back finds its classes again."""
        self.agents: dict[str, int] = {}
        self.agent_ids: list[str] = []
        self.agent_values: list[Agent] = []
        self.questions = Questions()
        self.marks = (0, 0)
        """Fingerprints of all groups and of all classes, in the order of their numbers."""
        self.asks: dict[Key, Ask] = {}
        self._requirements: dict[str, Requirement] = {}
        self.places: dict[tuple[int, int], Place] = {}
        """What strategies said of priorities, by queue. Whatever is in :attr:`asks` has its place in here."""

    # The plan --------------------------------------------------------------------------------------------------------

    @classmethod
    def of_plan(cls, core: Core, plan: Plan, answers: Sequence[Answer] | None = None) -> Naming:
        """Write a plan into an empty core. O(size of the plan). Raises PlanError; the core is then of no use.

        With ``answers`` no strategy is asked. Raises MisuseError where they are not those to the questions of this.
        """
        check_plan(plan)
        naming = cls(core, plan)
        naming.questions.read(answers)
        for channel in plan.channels:
            naming.add_channel(channel)
        for queue in plan.queues:
            naming.add_queue(queue)
        for agent in plan.agents:
            if naming.too_many_groups(agent):
                raise PlanError(f"more than {plan.limits.groups} kinds of agents (limits.groups)", field="agents")
            naming.add_agent(agent)
        naming.questions.all_read()
        naming.questions.live()
        return naming

    def add_channel(self, channel: Channel) -> None:
        """Give a channel a number; its load is fixed for good. O(groups)."""
        self.channels[channel.name] = self.core.add_channel(channel.load)
        self.loads[channel.name] = channel.load

    def add_queue(self, queue: Queue) -> int:
        """Give a queue a number, and an atom for the membership in it. O(groups)."""
        q = len(self.queue_values)
        self.queues[queue.name] = q
        self.queue_names.append(queue.name)
        self.queue_values.append(queue)
        self.queue_classes.append([])
        self.core.set_queue(q, *queue_numbers(queue))
        self.core.set_control(q, control_interval(queue))
        self._atom(queue.name)
        return q

    def _atom(self, question: Atom | str) -> int:
        """The number of a question, or of the membership in a queue. O(1) when known, else O(groups)."""
        found = self.atoms.get(question)
        if found is None:
            holds = [g for g, group in enumerate(self.group_views) if _holds(question, group)]
            found = self.atoms[question] = self.core.add_atom(holds)
        return found

    # Agents ----------------------------------------------------------------------------------------------------------

    def add_agent(self, agent: Agent) -> int:
        """Give a new agent a number, signed out. Cost: that of :meth:`group`."""
        j = self.core.add_agent(self.group(agent), agent.order + ORDER_BASE)
        self.agents[agent.id] = j
        self.agent_ids.append(agent.id)
        self.agent_values.append(agent)
        return j

    def too_many_groups(self, agent: Agent) -> bool:
        """Whether the agent would need one more group than the plan allows. O(size of the agent)."""
        return len(self.groups) >= self.plan.limits.groups and agent.key() not in self.groups

    def group(self, agent: Agent) -> int:
        """The group of an agent; a new one is put to the strategy of every queue.

        O(size of the agent) when known, else O(atoms + classes) and what the strategies cost.
        """
        key = agent.key()
        found = self.groups.get(key)
        if found is not None:
            return found
        view = GroupView(skills=agent.skills, labels=agent.labels, queues=agent.queues, units=agent.units)
        atoms = [number for question, number in self.atoms.items() if _holds(question, view)]
        g = self.groups[key] = self.core.add_group(atoms, agent.units, self.at_most(agent))
        self.group_views.append(view)
        self.marks = mark(self.marks[0], key), self.marks[1]
        for q, classes in enumerate(self.queue_classes):
            if classes:
                self.write(classes, [g], self.answer(q, Kind.GROUP, classes, [g]))
        return g

    def at_most(self, agent: Agent) -> list[int]:
        """The most interactions of each channel at one time, by number of channel. O(channels)."""
        return [agent.at_most.get(name, limits.UNITS_MAX) for name in self.channels]

    # Requirements and classes ----------------------------------------------------------------------------------------

    def requirement(self, text: str) -> Requirement:
        """Parse a requirement, once for each spelling. Raises RequirementError."""
        found = self._requirements.get(text)
        if found is None:
            if len(self._requirements) >= CACHE_MAX:
                self._requirements.clear()
            found = self._requirements[text] = parse(text)
        return found

    def wish(self, queue: object, channel: object, needs: object, priority: int) -> Wish:
        """Read what an interaction asks for; nothing is numbered yet. O(steps * atoms log atoms).

        Raises MisuseError for a wrong shape and RequirementError for a requirement that cannot be read, or that is
        over the limits of expressions together with what a queue asks.
        """
        names = tuple(queue) if isinstance(queue, tuple | list) else (queue,)
        if not all(isinstance(name, str) for name in (*names, channel, needs)):
            raise MisuseError("queue (or each of a tuple of queues), channel and needs are text")
        most = min(limits.ENTRIES_MAX, self.plan.limits.entries)
        if not 1 <= len(names) <= most or len(dict.fromkeys(names)) < len(names):
            raise MisuseError(f"an interaction waits in 1 to {most} different queues, got {len(names)}")
        queues = tuple(map(str.__str__, names))
        requirement = self.requirement(str.__str__(needs))
        for name in queues:
            if name in self.queues:
                chain_of(self.queue_values[self.queues[name]], requirement)
        key = queues if isinstance(queue, tuple | list) else queues[0]
        return Wish((key, str.__str__(channel), str.__str__(needs), priority), queues, requirement)

    def new_classes(self, wish: Wish) -> int:
        """How many classes the core would get by :meth:`grant`. O(queues * steps)."""
        c = self.channels[wish.key[1]]
        return sum(self.missing(self.queues[name], c, wish.requirement) for name in wish.queues)

    def would_ask(self, wish: Wish) -> bool:
        """Whether :meth:`grant` would ask a strategy, if the wish is granted at all. O(queues)."""
        _, channel, _, priority = wish.key
        c, numbers = self.channels.get(channel), [self.queues.get(name) for name in wish.queues]
        if c is None or any(q is None for q in numbers):
            return False
        text = wish.requirement.text
        known = all((q, c, text, 0) in self.classes for q in numbers)
        return not known or (numbers[0], priority) not in self.places

    def missing(self, q: int, c: int, part: Requirement, queue: Queue | None = None) -> int:
        """How many classes :meth:`class_` would add for a queue, as it is or as ``queue`` says. O(steps)."""
        queue = queue or self.queue_values[q]
        key = agent_key_of(queue)
        steps = enumerate(chain_of(queue, part))
        return sum((q, c, asks.text, step, whole.text, key) not in self.definitions for step, (asks, whole) in steps)

    def grant(self, wish: Wish) -> Ask:
        """Number what a wish needs and remember it. Queues and channel are known. Strategies may be asked."""
        _, channel, needs, priority = wish.key
        c = self.channels[channel]
        classes = tuple(self.class_(self.queues[name], c, wish.requirement) for name in wish.queues)
        first = self.queues[wish.queues[0]]
        place = self._place(first, priority)
        wrap_up = self.queue_values[first].wrap_up_ms
        ask = Ask(
            classes,
            (place or Place()).tier + TIER_BASE,
            (place or Place()).head_start_ms,
            -1 if wrap_up is None else wrap_up,
            wish.queues,
            channel,
            needs,
            priority,
        )
        if place is not None:
            if len(self.asks) >= CACHE_MAX:
                self.asks.clear()
            self.asks[wish.key] = ask
        return ask

    def _place(self, q: int, priority: int) -> Place | None:
        """Ask a strategy where a priority goes, once; None when it failed."""
        found = self.places.get((q, priority))
        if found is not None:
            return found
        question = self._question(q, Kind.PLACE, (priority,))
        answer = self.questions.place(question, strategy_of(self.queue_values[q]), priority)
        if answer.place is None:
            return None
        place = Place(tier=answer.place[0], head_start_ms=answer.place[1])
        if len(self.places) >= CACHE_MAX:
            self.forget()
        self.places[q, priority] = place
        return place

    def class_(self, q: int, c: int, part: Requirement) -> int:
        """The class that an interaction asking ``part`` enters; new ones are built with their chain of steps."""
        found = self.classes.get((q, c, part.text, 0))
        if found is not None:
            return found
        queue, new = self.queue_values[q], []
        following = -1
        parts = chain_of(queue, part)
        for step in range(len(parts) - 1, -1, -1):
            part, whole = parts[step]
            key = (q, c, part.text, step)
            number = self.classes.get(key)
            if number is None:
                number = self._add_class(key, part, whole, following)
                new.append(number)
            following = number
        self._fill(q, new)
        return following

    def _add_class(self, key: tuple[int, int, str, int], part: Requirement, whole: Requirement, following: int) -> int:
        q, c, _, step = key
        queue = self.queue_values[q]
        channel = next(name for name, known in self.channels.items() if known == c)
        view = ClassView(queue=queue.name, channel=channel, requirement=whole, step=step)
        name = ClassName(q, c, part, view, following, agent_key_of(queue))
        number = self.definitions.get(name.definition())
        if number is None:
            number = self.core.add_class(q, c, self._program(queue, whole), name.agent_key)
            self.definitions[name.definition()] = number
            self.class_names.append(name)
            self.marks = self.marks[0], mark(self.marks[1], name.definition())
        self.class_names[number] = name
        self.classes[key] = number
        self.queue_classes[q].append(number)
        return number

    def _program(self, queue: Queue, whole: Requirement) -> list[int]:
        """A requirement and the membership in its queue, over the atoms of the core."""
        positions = [self._atom(atom) for atom in whole.atoms]
        program = [positions[word] if word >= 0 else word for word in whole.program]
        member = self._atom(queue.name)
        return [member] if program == [TRUE] else [*program, member, AND]

    def _fill(self, q: int, new: Sequence[int]) -> None:
        """Chain new classes, last step first, and ask the strategy for them."""
        for number in new:
            self.set_class(number, 1, 0, 0)
        groups = range(len(self.group_views))
        self.write(new, groups, self.answer(q, Kind.CLASSES, new, groups))

    # Strategies ------------------------------------------------------------------------------------------------------

    def answer(self, q: int, kind: Kind, classes: Sequence[int], groups: Sequence[int]) -> Tables | None:
        """Ask the strategy of a queue; None when it raised or answered out of range, which is remembered."""
        question = self._question(q, kind, (len(classes), len(groups)), classes)
        views = [self.class_names[k].view for k in classes], [self.group_views[g] for g in groups]
        answer = self.questions.tables(question, strategy_of(self.queue_values[q]), *views)
        return answer.tables() if answer.failed is None else None

    def same_strategy(self, q: int, old: Queue) -> bool:
        """Whether the strategy of a queue equals the one that ``old`` had. The cost of their comparison."""
        strategies = strategy_of(old), strategy_of(self.queue_values[q])
        return self.questions.same(self._question(q, Kind.SAME, ()), *strategies)

    def _question(self, q: int, kind: Kind, asked: tuple[int, ...], classes: Sequence[int] = ()) -> Answer:
        """A question without an answer, marked with everything that the one who answers may depend on. O(classes)."""
        queue = self.queue_values[q]
        terms = agent_key_of(queue), control_interval(queue)
        return Answer(queue.name, kind, asked, mark(queue.name, kind, asked, terms, tuple(classes), self.marks))

    @property
    def failures(self) -> list[Failure]:
        """What strategies raised since somebody looked."""
        return self.questions.failures

    def write(self, classes: Sequence[int], groups: Sequence[int], tables: Tables | None) -> None:
        """Write a checked answer into the core; None leaves what is there. O(cells)."""
        if tables is None:
            return
        zeros = array("q", [0]) * (len(classes) * len(groups))
        columns = (getattr(tables, name) for name in PAIR_COLUMNS)
        self.core.set_pairs(list(classes), list(groups), *(zeros if column is None else column for column in columns))
        rates = [getattr(tables, name) for name in CLASS_COLUMNS]
        if all(column is None for column in rates):
            return
        age_rate, length_rate, offset = rates
        for at, k in enumerate(classes):
            self.set_class(
                k,
                1 if age_rate is None else age_rate[at],
                0 if length_rate is None else length_rate[at],
                0 if offset is None else offset[at],
            )

    def set_class(self, k: int, age_rate: int, length_rate: int, offset: int) -> None:
        """Write a class's rates and the step that leads out of it. O(steps)."""
        name = self.class_names[k]
        after, tier = -1, -1
        if name.following >= 0:
            step = self.queue_values[name.queue].steps[name.view.step]
            after, tier = step.after_ms, -1 if step.tier is None else step.tier + TIER_BASE
        self.core.set_class(k, age_rate, length_rate, offset, after, name.following, tier)

    def forget(self) -> None:
        """Forget every spelling; what is asked next is numbered under the plan of that moment."""
        self.asks.clear()
        self.places.clear()

    def fork(self, core: Core) -> Naming:
        """The same names over a copy of the core. O(classes + groups + agents)."""
        other = Naming(core, self.plan)
        for name, value in vars(self).items():
            if isinstance(value, dict | list):
                setattr(other, name, value.copy())
        other.marks = self.marks
        other.queue_classes = [classes.copy() for classes in self.queue_classes]
        return other


def _holds(question: Atom | str, group: GroupView) -> bool:
    """Whether a group answers yes, or is a member of the queue that is named."""
    if isinstance(question, str):
        return group.queues is None or question in group.queues
    return question.holds(group.skills, group.labels)


def chain_of(queue: Queue, part: Requirement) -> list[tuple[Requirement, Requirement]]:
    """What an interaction asks, and what it needs in all, before and behind each step.

    Before the first step that is what its queue needs and what it asks. O(steps * atoms log atoms). Raises
    RequirementError.
    """
    whole = conjunction(queue.requirement, part)
    found = [(part, whole)]
    for step in queue.steps:
        whole = step.applied(whole)
        found.append((part, whole))
    return found


def strategy_of(queue: Queue) -> Any:
    """The strategy of a queue; None in the plan means first come, first served. O(1)."""
    if queue.strategy is not None:
        return queue.strategy
    from omniroute.strategies.fifo import FirstComeFirstServed

    return FirstComeFirstServed()


def agent_key_of(queue: Queue) -> int:
    """What orders equal agents in a queue, as a number. Raises PlanError."""
    key = getattr(strategy_of(queue), "agent_key", AgentKey.LONGEST_IDLE)
    if not isinstance(key, int) or not 0 <= key < len(AgentKey):
        raise PlanError(f"the strategy of {queue.name!r} has no AgentKey as its agent_key", field="strategy")
    return int(key)


def control_interval(queue: Queue) -> int:
    """How often a queue's strategy wants to be asked again, in ms; -1 never. Raises PlanError."""
    strategy = strategy_of(queue)
    interval = getattr(strategy, "interval_ms", None)
    if interval is None or not hasattr(strategy, "revise"):
        return -1
    if not isinstance(interval, int) or not 1 <= interval <= limits.TIME_MAX:
        raise PlanError(f"the strategy of {queue.name!r} has an interval_ms below 1", field="strategy")
    return interval


def queue_numbers(queue: Queue) -> tuple[int, int, int, int, int]:
    """Offers, offer timeout, limit, retry and target of a queue as the core wants them, -1 for none. O(1).

    An exclusion lasts at least a millisecond, so that the one who declined is not asked again in the same instant.
    """
    offers = limits.OFFERS_ALL if isinstance(queue.offers, str) else queue.offers
    target = None if queue.target is None else queue.target.within_ms
    optional = (queue.offer_timeout_ms, queue.limit, queue.retry_after_ms, target)
    timeout, limit, retry, within = (-1 if value is None else value for value in optional)
    return offers, timeout, limit, max(retry, 1) if queue.retry_after_ms is not None else -1, within


def check_plan(plan: Plan) -> None:
    """Refuse what a plan may say and this core cannot do. O(size of the plan). Raises PlanError naming the field."""
    if len(plan.channels) > limits.CHANNELS_MAX:
        raise PlanError(f"at most {limits.CHANNELS_MAX} channels, got {len(plan.channels)}", field="channels")
    for q, queue in enumerate(plan.queues):
        agent_key_of(queue)
        control_interval(queue)
        for s, step in enumerate(queue.steps):
            if step.tier is not None and not -TIER_BASE < step.tier < TIER_BASE:
                raise PlanError(f"must be in {1 - TIER_BASE}..{TIER_BASE - 1}", field=f"queues[{q}].steps[{s}].tier")
    for a, agent in enumerate(plan.agents):
        check_order(agent, f"agents[{a}].order")


def check_order(agent: Agent, field: str = "order") -> None:
    """Refuse a place in the fixed order that the core cannot hold. O(1). Raises PlanError."""
    if not -ORDER_BASE < agent.order < ORDER_BASE:
        raise PlanError(f"must be in {1 - ORDER_BASE}..{ORDER_BASE - 1}, got {agent.order}", field=field)
