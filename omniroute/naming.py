"""Names to numbers: queues, channels, requirements, classes, groups and agents, as the core counts them.

Everything here changes with the plan and with what has been asked for the first time, never with traffic. A
requirement becomes a program over *atoms* (questions about a group), a membership is one more atom for each queue. A
*class* is (queue, channel, what the interaction asks, step) and is built with its whole chain of steps. Strategies are
asked through :meth:`Naming.answer` and :meth:`Naming.place` only; whether they ask is a function of the state.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from omniroute.answers import (
    HEAD_START_MAX,
    TIER_BASE,
    Answer,
    Failure,
    Kind,
    Questions,
    mark,
)
from omniroute.capacity import Capacity
from omniroute.core import limits
from omniroute.core.codes import LOOKS_BACK, WATCHED, Cause
from omniroute.core.limits import CANCEL
from omniroute.errors import MisuseError, PlanError
from omniroute.gauges import Estimated, Gauges
from omniroute.model import Agent, nearest, shown
from omniroute.plan import RONA, Plan, Queue, Step
from omniroute.plan_numbers import (
    ORDER_BASE,
    agent_key_of,
    chain_of,
    check_plan,
    control_interval,
    edges_of,
    holds,
    queue_numbers,
    strategy_of,
    tell_manners,
    view_of,
)
from omniroute.requirements import AND, TRUE, Atom, Requirement, parse
from omniroute.strategies.protocol import CLASS_COLUMNS, PAIR_COLUMNS, ClassView, GroupView, Place, Tables

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["HEAD_START_MAX", "ORDER_BASE", "TIER_BASE", "Ask", "ClassName", "Naming", "Wish"]

CACHE_MAX: Final = 65_536
"""Spellings remembered; beyond that the cache begins anew, which costs time and changes nothing."""

Key: TypeAlias = tuple[str | tuple[str, ...], str, str, int, tuple[str, ...], int]
"""Queues, channel, needs, priority, labels, lane."""
Definition: TypeAlias = tuple[int, int, str, int, str, int, bool, int]


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
    labels: tuple[str, ...] = ()
    lane: int = 0
    """The value that its band begins with, doubled, and one more where it is held out."""


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
    """The class behind its step, -1 where there is none, CANCEL where the interaction ends."""
    agent_key: int
    copy: int = -1
    """The class for a second entry."""
    passing: bool = False
    """Whether nobody stays here: it is what a step leads through on its way out of the queue."""

    def definition(self) -> Definition:
        """What the core cannot change about a class; equal definitions share a number for good. O(1)."""
        view = self.view
        whole = view.requirement.text
        return self.queue, self.channel, self.part.text, view.step, whole, self.agent_key, self.passing, view.lane


class Naming:
    """The numbers of one core, and the names behind them."""

    def __init__(self, core: Core, plan: Plan) -> None:
        self.core = core
        self.plan = plan
        self.capacity = Capacity(core)
        self.channels = self.capacity.channels
        """All channels that ever were, in the order of their numbers; the plan says which are open."""
        self.gauges = Gauges(core)
        self.windows: dict[str, int] = {}
        """All decision windows that ever were."""
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
        self.group_values: list[Agent] = []
        """An agent of each group, without what is his alone."""
        self.edges = edges_of(plan)
        self.ladders: dict[int, tuple[int, ...]] = {}
        """The edges that the core knows for a group; see :mod:`omniroute.obligations`."""
        self.classes: dict[tuple[int, int, str, int, int], int] = {}
        self.class_names: list[ClassName] = []
        self.definitions: dict[Definition, int] = {}
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
        naming.add_kinds()
        for queue in plan.queues:
            naming.add_queue(queue)
        naming.add_conditions()
        for agent in plan.agents:
            if naming.too_many_groups(agent):
                raise PlanError(f"more than {plan.limits.groups} kinds of agents (limits.groups)", field="agents")
            naming.add_agent(agent)
        naming.questions.all_read()
        naming.questions.live()
        return naming

    def add_kinds(self) -> None:
        """Give channels and labels of the plan their numbers, and tell what may be in hand beside what.

        And how agents are chosen. O(groups + agents).
        """
        capacity, known = self.capacity, self.capacity.labels
        looks_back = any(agent_key_of(queue) in LOOKS_BACK for queue in self.plan.queues)
        self.core.set_choice(self.plan.agent_window_ms, self.plan.agent_seed, int(looks_back))
        for channel in self.plan.channels:
            if channel.name in self.channels:
                capacity.values[channel.name] = channel
            else:
                capacity.add_channel(channel)
        for label in self.plan.labels:
            if label not in known:
                capacity.add_label(label)
        capacity.tell(len(self.group_views))

    def add_conditions(self) -> None:
        """Number the conditions of the plan, whose queues are known. O(size + agents)."""
        self.gauges.write(self.plan, self.queues, self.channels, self._program)

    @property
    def estimated(self) -> list[Estimated]:
        """The gauges of the plan that want estimates: number, "wait" or "service_level", number of the queue. O(1)."""
        return self.gauges.estimated

    def add_queue(self, queue: Queue) -> int:
        """Give a queue a number, and an atom for the membership in it. O(groups)."""
        q = len(self.queue_values)
        self.queues[queue.name] = q
        self.queue_names.append(queue.name)
        self.queue_values.append(queue)
        self.queue_classes.append([])
        self.set_queue(q)
        self.core.set_control(q, control_interval(queue))
        self._atom(queue.name)
        return q

    def set_queue(self, q: int) -> None:
        """Write a queue's own numbers. O(1)."""
        queue, window = self.queue_values[q], -1
        if queue.window is not None:
            window = self.windows.setdefault(queue.window.name, len(self.windows))
            self.core.set_window(window, queue.window.length_ms)
        self.core.set_queue(q, *queue_numbers(queue), window)
        for cause in RONA:
            rona = queue.rona.get(cause, RONA[cause])
            self.core.set_rona(q, Cause[cause.upper()], rona.after, rona.rest_ms)
        if agent_key_of(queue) in WATCHED:
            self.core.watch(q)

    def _atom(self, question: Atom | str) -> int:
        """The number of a question, or of the membership in a queue. O(1) when known, else O(groups)."""
        found = self.atoms.get(question)
        if found is None:
            groups = [g for g, group in enumerate(self.group_views) if holds(question, group)]
            found = self.atoms[question] = self.core.add_atom(groups)
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

    def group(self, agent: Agent, left: int | None = None) -> int:
        """The group of an agent (who has so many ms left); a new one is put to the strategy of every queue.

        O(size of the agent) when known, else O(atoms + classes) and what the strategies cost.
        """
        key = agent.key() if left is None else (agent.key(), left)
        found = self.groups.get(key)
        if found is not None:
            return found
        view = view_of(agent, left)
        atoms = [number for question, number in self.atoms.items() if holds(question, view)]
        g = self.groups[key] = self.core.add_group(atoms, agent.units, self.capacity.at_most(agent))
        self.capacity.tell_group(g)
        tell_manners(self.core, g, agent, self.queue_names)
        self.group_views.append(view)
        self.group_values.append(attrs.evolve(agent, id="group", order=0, windows=()))
        self.marks = mark(self.marks[0], key), self.marks[1]
        for q, classes in enumerate(self.queue_classes):
            if classes:
                self.write(classes, [g], self.answer(q, Kind.GROUP, classes, [g]))
                self.bind(q, classes, [g])
        return g

    # Requirements and classes ----------------------------------------------------------------------------------------

    def requirement(self, text: str) -> Requirement:
        """Parse a requirement, once for each spelling. Raises RequirementError."""
        found = self._requirements.get(text)
        if found is None:
            if len(self._requirements) >= CACHE_MAX:
                self._requirements.clear()
            found = self._requirements[text] = parse(text)
        return found

    def wish(
        self, queue: object, channel: object, needs: object, priority: int, labels: object = (), lane: int = 0
    ) -> Wish:
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
        self.missing([name for name in queues if name in self.queues], -1, requirement, lane)
        key = queues if isinstance(queue, tuple | list) else queues[0]
        kind = str.__str__(channel), str.__str__(needs), priority, self._labels(labels), lane
        return Wish((key, *kind), queues, requirement)

    def _labels(self, labels: object) -> tuple[str, ...]:
        """Labels of an interaction, sorted, each once. O(pools). Raises MisuseError for what was never in a plan."""
        if labels == ():
            return ()
        if not isinstance(labels, tuple | list):
            raise MisuseError(f"labels is {shown(labels)}, expected a tuple of text")
        known = self.capacity.labels
        for label in labels:
            if not isinstance(label, str) or label not in known:
                raise MisuseError(f"unknown label {shown(label)}{nearest(label, known)}")
        return tuple(sorted(set(labels)))

    def new_classes(self, wish: Wish) -> int:
        """How many classes the core would get by :meth:`grant`. O(queues * steps)."""
        _, channel, _, _, labels, lane = wish.key
        number = self.capacity.numbers.get((channel, labels), -1)
        return len(self.missing(wish.queues, number, wish.requirement, lane))

    def no_channel(self, wish: Wish) -> bool:
        """Whether :meth:`grant` would want one more channel than the core has room for. O(1)."""
        return self.capacity.is_full(wish.key[1], wish.key[4])

    def would_ask(self, wish: Wish) -> bool:
        """Whether :meth:`grant` would ask a strategy, if the wish is granted at all. O(queues)."""
        _, channel, _, priority, labels, lane = wish.key
        c, numbers = self.capacity.numbers.get((channel, labels)), [self.queues.get(name) for name in wish.queues]
        if channel not in self.channels or any(q is None for q in numbers):
            return False
        text = wish.requirement.text
        known = c is not None and all((q, c, text, 0, lane) in self.classes for q in numbers)
        return not known or (numbers[0], priority) not in self.places

    def missing(
        self,
        queues: Sequence[str],
        c: int,
        part: Requirement,
        lane: int,
        value_of: Callable[[str], Queue] | None = None,
    ) -> set[tuple[object, ...]]:
        """What would be new classes of channel ``c`` (-1: one to come) for what is asked of queues.

        Those that steps lead to are among them; ``value_of`` says what the queues are, if not what they are now.
        O(steps * atoms log atoms). Raises RequirementError.
        """
        found: set[tuple[object, ...]] = set()
        pending, seen = list(queues), set(queues)
        while pending:
            name = pending.pop()
            queue = self.queue_values[self.queues[name]] if value_of is None else value_of(name)
            q = self.queues.get(name, -1)
            if q < 0 and name in self.queue_names:
                q = self.queue_names.index(name)
            key = agent_key_of(queue)
            for step, (whole, passing) in enumerate(chain_of(queue, part)):
                found.add((q if q >= 0 else name, c, part.text, step, whole.text, key, passing, lane))
            ways = [way for step_ in queue.steps for way in (step_.queue, step_.copy) if way is not None]
            pending.extend(way for way in ways if way not in seen)
            seen.update(ways)
        return found - self.definitions.keys()

    def grant(self, wish: Wish) -> Ask:
        """Number what a wish needs and remember it. Queues and channel are known. Strategies may be asked."""
        _, channel, needs, priority, labels, lane = wish.key
        c = self.capacity.number(channel, labels, len(self.group_views))
        classes = tuple(self.class_(self.queues[name], c, wish.requirement, lane) for name in wish.queues)
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
            labels,
            lane,
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

    def class_(self, q: int, c: int, part: Requirement, lane: int) -> int:
        """The class that an interaction asking ``part`` enters; new ones are built with their chain of steps."""
        found = self.classes.get((q, c, part.text, 0, lane))
        if found is not None:
            return found
        queue, new = self.queue_values[q], []
        following = -1
        for at, (whole, passing) in reversed(list(enumerate(chain_of(queue, part)))):
            step = queue.steps[at] if at < len(queue.steps) else None
            copy = -1 if step is None or step.copy is None else self.class_(self.queues[step.copy], c, part, lane)
            if passing:
                following = self._way_out(queue.steps[at - 1], c, part, lane)
            kind = self.capacity.kinds[c][0]
            view = ClassView(queue=queue.name, channel=kind, requirement=whole, step=at, lane=lane)
            name = ClassName(q, c, part, view, following, agent_key_of(queue), copy, passing)
            following = self._add_class(name)
            if passing:
                self.set_class(following, 1, 0, 0)
            else:
                self.classes[q, c, part.text, at, lane] = following
                self.queue_classes[q].append(following)
                new.append(following)
        self._fill(q, new)
        return following

    def _way_out(self, step: Step, c: int, part: Requirement, lane: int) -> int:
        """Where a step leads that leads out of its queue."""
        return CANCEL if step.queue is None else self.class_(self.queues[step.queue], c, part, lane)

    def _add_class(self, name: ClassName) -> int:
        """The number of a class; one that was there before gets its number again."""
        number = self.definitions.get(name.definition())
        if number is None:
            view, queue = name.view, self.queue_values[name.queue]
            program = self._program(view.requirement, queue.name)
            number = self.core.add_class(name.queue, name.channel, program, name.agent_key)
            self.definitions[name.definition()] = number
            self.class_names.append(name)
            self.marks = self.marks[0], mark(self.marks[1], name.definition())
        self.class_names[number] = name
        return number

    def available(self, queue: str, channel: str) -> int:
        """The gauge of a queue's agents with room for one more of a channel. O(1) but for the first time."""
        value = self.queue_values[self.queues[queue]]
        return self.gauges.available(value, channel, self.channels, self._program)

    def staffed(self, queue: str) -> int:
        """The gauge of a queue's agents who are signed in. O(1) but for the first time."""
        return self.gauges.staffed(self.queue_values[self.queues[queue]], self._program)

    def step_of(self, k: int) -> Step | None:
        """The step that leads to a class, of those that its queue has now. O(1)."""
        name = self.class_names[k]
        steps, at = self.queue_values[name.queue].steps, name.view.step
        return steps[at - 1] if 0 < at <= len(steps) else None

    def _program(self, whole: Requirement, queue: str | None) -> list[int]:
        """A requirement and the membership in a queue, over the atoms of the core."""
        positions = [self._atom(atom) for atom in whole.atoms]
        program = [positions[word] if word >= 0 else word for word in whole.program]
        if queue is None:
            return program
        member = self._atom(queue)
        return [member] if program == [TRUE] else [*program, member, AND]

    def _fill(self, q: int, new: Sequence[int]) -> None:
        """Chain new classes, last step first, and ask the strategy for them."""
        for number in new:
            self.set_class(number, 1, 0, 0)
        groups = range(len(self.group_views))
        self.write(new, groups, self.answer(q, Kind.CLASSES, new, groups))
        self.bind(q, new, groups)

    def bind(self, q: int, classes: Sequence[int], groups: Sequence[int]) -> None:
        """Let the pairs of a queue hold only while its rules say so; the first rule that fits counts. O(cells)."""
        if not self.gauges.conditions:
            return
        found: dict[int, list[int]] = {}
        for g in groups:
            view = self.group_views[g]
            rule = self.queue_values[q].rule_for(view.skills, view.labels)
            found.setdefault(-1 if rule is None else self.gauges.names[rule.condition], []).append(g)
        for condition, members in found.items():
            self.core.set_condition(list(classes), members, condition)

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
        age_rate, length_rate, offset, age_cap = rates
        for at, k in enumerate(classes):
            self.set_class(
                k,
                1 if age_rate is None else age_rate[at],
                0 if length_rate is None else length_rate[at],
                0 if offset is None else offset[at],
                -1 if age_cap is None else age_cap[at],
            )

    def set_class(self, k: int, age_rate: int, length_rate: int, offset: int, age_cap: int = -1) -> None:
        """Write a class's rates and the step that leads out of it. O(steps)."""
        name = self.class_names[k]
        after, tier, when, skip = 0 if name.passing else -1, -1, -1, -1
        if not name.passing and name.following >= 0:
            step, conditions = self.queue_values[name.queue].steps[name.view.step], self.gauges.names
            after, tier = step.after_ms, -1 if step.tier is None else step.tier + TIER_BASE
            when = -1 if step.when is None else conditions[step.when]
            skip = -1 if step.at_once_if is None else conditions[step.at_once_if]
        way = (after, name.following, tier, when, skip, name.copy)
        patient = int(self.queue_values[name.queue].patient)
        self.core.set_class(k, age_rate, length_rate, offset, *way, age_cap, patient)

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
        other.capacity, other.gauges = self.capacity.fork(core), self.gauges.fork(core)
        other.channels = other.capacity.channels
        other.marks = self.marks
        other.queue_classes = [classes.copy() for classes in self.queue_classes]
        return other
