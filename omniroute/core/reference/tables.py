"""What the plan and the strategies said: channels, queues, classes, groups, pairs, gauges and conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import Factory, define

from omniroute.core import limits
from omniroute.core.codes import WATCHED, AgentKey, Cause, GaugeKind
from omniroute.core.limits import CANCEL, NEVER, out_of_range
from omniroute.core.reference.state import ALL_POOLS, Channel, Class, Condition, Gauge, Group, Pair, Queue, Window
from omniroute.errors import MisuseError

AND, OR, NOT, TRUE, FALSE = -1, -2, -3, -4, -5
"""Operators of a requirement program; a number >= 0 pushes that atom."""


def within(what: str, value: int, low: int, high: int) -> int:
    """Return ``value``, or raise when it is outside ``low..high``."""
    if not low <= value <= high:
        raise out_of_range(what, value, low, high)
    return value


def index(what: str, number: int, count: int) -> int:
    """Return ``number``, or raise when it is not one of ``count``."""
    return within(what, number, 0, count - 1)


@define(slots=True)
class Tables:
    """Everything that changes with the plan and not with the traffic."""

    pools: int = 0
    channels: list[Channel] = Factory(list)
    queues: list[Queue] = Factory(list)
    atoms: int = 0
    classes: list[Class] = Factory(list)
    groups: list[Group] = Factory(list)
    gauges: list[Gauge] = Factory(list)
    capped: bool = False
    """Whether a group ever had a cap on the share of time with something in hand."""
    conditions: list[Condition] = Factory(list)
    windows: list[Window] = Factory(list)
    watched: list[int] = Factory(list)
    """Queues for which it is kept what agents do, in the order in which that began."""

    def add_pool(self) -> int:
        """A new pool; existing groups allow any number in it."""
        within("pools", self.pools + 1, 1, limits.POOLS_MAX)
        self.pools += 1
        for group in self.groups:
            group.at_most.append(limits.UNITS_MAX)
        return self.pools - 1

    def add_channel(self, load: int, pools: Sequence[int] | None = None, flags: int = 7) -> int:
        """A new channel, in pools that are there or (None) in one of its own; channels of one first pool load alike."""
        within("channels", len(self.channels) + 1, 1, limits.CHANNELS_MAX)
        within("load", load, 0, limits.UNITS_MAX)
        within("flags", flags, 0, 15)
        if pools is not None:
            within("pools of a channel", len(pools), 1, limits.POOLS_MAX)
            for pool in pools:
                index("pool", pool, self.pools)
            if len(set(pools)) < len(pools):
                raise MisuseError("the pools of a channel are different ones")
            if any(other.pools[0] == pools[0] and other.load != load for other in self.channels):
                raise MisuseError("channels of one first pool have one load")
        own = (self.add_pool(),) if pools is None else (pools[0], *sorted(pools[1:]))
        self.channels.append(Channel(load, own, flags))
        for group in self.groups:
            group.allow.append(ALL_POOLS)
            group.interrupts.append(0)
        return len(self.channels) - 1

    def set_queue(
        self,
        queue: int,
        offers: int,
        offer_timeout: int,
        limit: int,
        retry_after: int,
        target: int,
        setup_timeout: int = -1,
        auto: int = 0,
        every: int = -1,
        window: int = -1,
    ) -> int:
        """Write queue ``queue`` (or append it, when it is the next one)."""
        index("queue", queue, len(self.queues) + 1)
        within("offers", offers, limits.OFFERS_ALL, limits.UNITS_MAX)
        if offers == 0:
            raise out_of_range("offers", offers, limits.OFFERS_ALL, limits.UNITS_MAX)
        for what, value in (("limit", limit), ("target", target)):
            within(what, value, -1, limits.TIME_MAX)
        timeouts = (("offer timeout", offer_timeout), ("retry", retry_after), ("set-up timeout", setup_timeout))
        for what, value in (*timeouts, ("every", every)):
            if value != -1:
                within(what, value, 1, limits.TIME_MAX)
        within("auto", auto, 0, 1)
        within("window", window, -1, len(self.windows) - 1)
        if queue == len(self.queues):
            numbers = (offers, offer_timeout, limit, retry_after, target, setup_timeout, auto, every, window)
            self.queues.append(Queue(*numbers))
        else:
            old = self.queues[queue]
            old.offers, old.offer_timeout, old.limit = offers, offer_timeout, limit
            old.retry_after, old.target, old.setup_timeout, old.auto = retry_after, target, setup_timeout, auto
            old.every, old.window = every, window
        return queue

    def set_window(self, window: int, length: int) -> int:
        """Say how long a decision window is, in ms (or append it, when it is the next one); an open one goes on."""
        index("window", window, len(self.windows) + 1)
        within("windows", window + 1, 1, limits.WINDOWS_MAX)
        within("length of a window", length, 1, limits.WINDOW_MS_MAX)
        if window == len(self.windows):
            self.windows.append(Window(length))
        self.windows[window].length = length
        return window

    def set_rona(self, queue: int, cause: int, after: int, rest: int) -> None:
        """After how many of a cause in a row an agent turns not ready (0: never), and his rest before that, in ms."""
        index("queue", queue, len(self.queues))
        within("cause", cause, 0, Cause.UNREACHABLE)
        within("after", after, 0, limits.UNITS_MAX)
        within("rest", rest, 0, limits.OPENS_MAX)
        self.queues[queue].rona[cause] = (after, rest)

    def add_atom(self, groups: Iterable[int]) -> int:
        """A new atom that holds for ``groups``."""
        for g in groups:
            self.groups[index("group", g, len(self.groups))].atoms.add(self.atoms)
        self.atoms += 1
        return self.atoms - 1

    def add_group(self, atoms: Iterable[int], units: int, at_most: Sequence[int]) -> int:
        """A new group for which ``atoms`` hold; its pairs are not allowed until they are set."""
        held = {index("atom", a, self.atoms) for a in atoms}
        within("units", units, 0, limits.UNITS_MAX)
        if len(at_most) != self.pools:
            raise out_of_range("length of at_most", len(at_most), self.pools, self.pools)
        for value in at_most:
            within("at most", value, 0, limits.UNITS_MAX)
        channels = len(self.channels)
        self.groups.append(Group(held, units, list(at_most), [ALL_POOLS] * channels, [0] * channels))
        for class_ in self.classes:
            class_.pairs.append(Pair())
        return len(self.groups) - 1

    def set_group(self, group: int, idle_rate: int, term: int) -> None:
        """Set what a group's agents gain by idling (per ms) and cost in themselves."""
        cell = self.groups[index("group", group, len(self.groups))]
        within("idle rate", idle_rate, 0, limits.AGE_RATE_MAX)
        within("term", term, -limits.COST_MAX, limits.COST_MAX)
        cell.idle_rate, cell.term = idle_rate, term

    def set_mix(self, group: int, channel: int, allow: int, interrupts: int) -> None:
        """What a group's agents may hold beside a channel, and what gives way to it: bitmaps of pools."""
        cell = self.groups[index("group", group, len(self.groups))]
        index("channel", channel, len(self.channels))
        within("allow", allow, 0, ALL_POOLS)
        within("interrupts", interrupts, 0, ALL_POOLS)
        cell.allow[channel], cell.interrupts[channel] = allow, interrupts

    def set_manners(self, group: int, auto: int, burst: int, burst_per: int, busiest: int = 1000) -> None:
        """Whether a group's agents accept by themselves; after how many offers in how many ms they rest (0: never).

        They rest as well while they had something in hand for more than ``busiest`` thousandths of their time of late.
        """
        cell = self.groups[index("group", group, len(self.groups))]
        within("auto", auto, 0, 1)
        within("burst", burst, 0, limits.UNITS_MAX)
        within("burst window", burst_per, 0, limits.OPENS_MAX)
        within("busiest", busiest, 1, 1000)
        cell.auto, cell.burst, cell.burst_per, cell.busiest = auto, burst, burst_per, busiest
        self.capped = self.capped or busiest < 1000

    def add_class(self, queue: int, channel: int, program: Sequence[int], agent_key: int) -> int:
        """A new class; its pairs are not allowed until they are set."""
        index("queue", queue, len(self.queues))
        index("channel", channel, len(self.channels))
        within("agent key", agent_key, 0, len(AgentKey) - 1)
        self._check_program(program)
        pairs = [Pair() for _ in self.groups]
        self.classes.append(Class(queue, channel, tuple(program), agent_key, pairs=pairs))
        if agent_key in WATCHED:
            self.watch(queue)
        return len(self.classes) - 1

    def watch(self, queue: int) -> None:
        """Keep what agents do for a queue, if that is not so yet."""
        if queue not in self.watched:
            self.watched.append(queue)

    def _check_program(self, program: Sequence[int]) -> None:
        """A program leaves exactly one value and never takes from an empty stack."""
        depth = 0
        for op in program:
            within("program operator", op, FALSE, self.atoms - 1)
            if op in (AND, OR):
                within("program depth", depth, 2, len(program))
                depth -= 1
            elif op == NOT:
                within("program depth", depth, 1, len(program))
            else:
                depth = within("program depth", depth + 1, 1, limits.PROGRAM_DEPTH_MAX)
        within("program result", depth, 1, 1)

    def matches(self, class_: int) -> list[int]:
        """The groups for which the class's program is true."""
        index("class", class_, len(self.classes))
        program = self.classes[class_].program
        return [g for g, group in enumerate(self.groups) if true(program, group.atoms)]

    def set_class(
        self,
        class_: int,
        age_rate: int,
        length_rate: int,
        offset: int,
        step_at: int,
        step_next: int,
        step_tier: int,
        step_when: int = -1,
        skip_if: int = -1,
        step_copy: int = -1,
        age_cap: int = -1,
        patient: int = 0,
    ) -> None:
        """Set a class's rates, and the step that ends it: when, into which class, with which tier (-1 keeps)."""
        cell = self.classes[index("class", class_, len(self.classes))]
        within("age rate", age_rate, 0, limits.AGE_RATE_MAX)
        within("length rate", length_rate, 0, limits.LENGTH_RATE_MAX)
        within("offset", offset, -limits.COST_MAX, limits.COST_MAX)
        within("age cap", age_cap, -1, limits.TIME_MAX)
        within("step instant", step_at, -1, limits.TIME_MAX)
        within("step class", step_next, CANCEL, len(self.classes) - 1)
        within("step tier", step_tier, -1, limits.TIER_MAX)
        within("step condition", step_when, -1, len(self.conditions) - 1)
        within("skip condition", skip_if, -1, len(self.conditions) - 1)
        within("step copy", step_copy, -1, len(self.classes) - 1)
        within("patient", patient, 0, 1)
        if step_at >= 0:
            self._check_step(class_, step_next, step_copy)
        cell.age_rate, cell.length_rate, cell.offset, cell.age_cap = age_rate, length_rate, offset, age_cap
        cell.step_at, cell.step_next, cell.step_tier = step_at, step_next, step_tier
        cell.step_when, cell.skip_if, cell.step_copy = step_when, skip_if, step_copy
        cell.patient = patient

    def check_class(self, class_: int, cell: Class) -> None:
        """Every number of a class that comes from a dump names something."""
        index("queue", cell.queue, len(self.queues))
        index("channel", cell.channel, len(self.channels))
        within("agent key", cell.agent_key, 0, len(AgentKey) - 1)
        if cell.agent_key in WATCHED and cell.queue not in self.watched:
            raise MisuseError("what agents do for a queue is not kept, and a class asks for it")
        self._check_program(cell.program)
        for condition in (cell.step_when, cell.skip_if, *(pair.condition for pair in cell.pairs)):
            within("condition", condition, -1, len(self.conditions) - 1)
        if cell.step_at >= 0:
            within("step class", cell.step_next, CANCEL, len(self.classes) - 1)
            within("step copy", cell.step_copy, -1, len(self.classes) - 1)
            self._check_step(class_, cell.step_next, cell.step_copy)

    def _check_step(self, class_: int, step_next: int, step_copy: int) -> None:
        """A chain of steps ends: it never comes back to where it started and is short. A step keeps the channel."""
        if step_next == -1:
            raise out_of_range("step class", step_next, 0, len(self.classes) - 1)
        ahead, seen = [step_next, step_copy], {-1, CANCEL}
        while ahead:
            at = ahead.pop()
            if at == class_:
                raise MisuseError(f"the steps of class {class_} come back to it")
            if at not in seen:
                seen.add(at)
                cell = self.classes[at]
                ahead += [cell.step_next, cell.step_copy] if cell.step_at >= 0 else []
        if any(at >= 0 and self.classes[at].channel != self.classes[class_].channel for at in (step_next, step_copy)):
            raise MisuseError("a step keeps the channel")
        at, length = step_next, 1
        while at >= 0 and self.classes[at].step_at >= 0:
            at, length = self.classes[at].step_next, within("steps", length + 1, 1, limits.STEPS_MAX)

    # Conditions ------------------------------------------------------------------------------------------------------

    def add_gauge(self, kind: int, subject: int, program: Sequence[int]) -> int:
        """A new gauge over a queue (LENGTH), a channel (AVAILABLE) or nothing (-1), and the agents of a program."""
        within("gauges", len(self.gauges) + 1, 1, limits.GAUGES_MAX)
        self.check_gauge(kind, subject, program)
        self.gauges.append(Gauge(kind, subject, tuple(program)))
        return len(self.gauges) - 1

    def check_gauge(self, kind: int, subject: int, program: Sequence[int]) -> None:
        """A gauge's numbers name something."""
        within("kind of gauge", kind, 0, len(GaugeKind) - 1)
        if kind == GaugeKind.LENGTH:
            index("queue", subject, len(self.queues))
        elif kind == GaugeKind.AVAILABLE:
            index("channel", subject, len(self.channels))
        else:
            within("subject", subject, -1, -1)
        self._check_program(program)

    def set_condition(self, classes: Sequence[int], groups: Sequence[int], condition: int) -> None:
        """Let the pairs of ``classes`` x ``groups`` hold only while a condition does (-1: always)."""
        within("condition", condition, -1, len(self.conditions) - 1)
        for k in classes:
            index("class", k, len(self.classes))
        for g in groups:
            index("group", g, len(self.groups))
        for k in classes:
            for g in groups:
                self.classes[k].pairs[g].condition = condition

    def set_pairs(  # the arguments are the columns of the table
        self,
        classes: Sequence[int],
        groups: Sequence[int],
        opens: Sequence[int],
        rank_out: Sequence[int],
        cost_out: Sequence[int],
        rank_in: Sequence[int],
        cost_in: Sequence[int],
    ) -> None:
        """Write the cells of ``classes`` x ``groups``, row by row; a pair that does not match stays not allowed."""
        cells = len(classes) * len(groups)
        for k in classes:
            index("class", k, len(self.classes))
        for g in groups:
            index("group", g, len(self.groups))
        columns = (
            ("opens", opens, NEVER, limits.OPENS_MAX),
            ("rank out", rank_out, 0, limits.RANK_MAX),
            ("cost out", cost_out, -limits.COST_MAX, limits.COST_MAX),
            ("rank in", rank_in, 0, limits.RANK_MAX),
            ("cost in", cost_in, -limits.COST_MAX, limits.COST_MAX),
        )
        for what, column, low, high in columns:
            within(f"length of {what}", len(column), cells, cells)
            for value in column:
                within(what, value, low, high)
        at = 0
        for k in classes:
            row = self.classes[k]
            for g in groups:
                allowed = true(row.program, self.groups[g].atoms)
                cell = (opens[at] if allowed else NEVER, rank_out[at], cost_out[at], rank_in[at], cost_in[at])
                row.pairs[g] = Pair(*cell, row.pairs[g].condition)
                at += 1


def true(program: Sequence[int], atoms: set[int]) -> bool:
    """Whether a program holds for a group with these atoms."""
    stack: list[bool] = []
    for op in program:
        if op == NOT:
            stack.append(not stack.pop())
        elif op in (AND, OR):
            right, left = stack.pop(), stack.pop()
            stack.append((left and right) if op == AND else (left or right))
        else:
            stack.append(op == TRUE or op in atoms)
    return stack.pop()
