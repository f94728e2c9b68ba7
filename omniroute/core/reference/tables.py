"""What the plan and the strategies said: channels, queues, atoms, classes, groups, and the table of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import Factory, define

from omniroute.core import limits
from omniroute.core.codes import AgentKey
from omniroute.core.limits import NEVER, out_of_range
from omniroute.core.reference.state import Class, Group, Pair, Queue
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

    loads: list[int] = Factory(list)
    queues: list[Queue] = Factory(list)
    atoms: int = 0
    classes: list[Class] = Factory(list)
    groups: list[Group] = Factory(list)

    def add_channel(self, load: int) -> int:
        """A new channel; existing groups allow any number of it."""
        within("channels", len(self.loads) + 1, 1, limits.CHANNELS_MAX)
        self.loads.append(within("load", load, 0, limits.UNITS_MAX))
        for group in self.groups:
            group.at_most = (*group.at_most, limits.UNITS_MAX)
        return len(self.loads) - 1

    def set_queue(self, queue: int, offers: int, offer_timeout: int, limit: int, retry_after: int, target: int) -> int:
        """Write queue ``queue`` (or append it, when it is the next one)."""
        index("queue", queue, len(self.queues) + 1)
        within("offers", offers, limits.OFFERS_ALL, limits.UNITS_MAX)
        if offers == 0:
            raise out_of_range("offers", offers, limits.OFFERS_ALL, limits.UNITS_MAX)
        for what, value in (("limit", limit), ("target", target)):
            within(what, value, -1, limits.TIME_MAX)
        for what, value in (("offer timeout", offer_timeout), ("retry", retry_after)):
            if value != -1:
                within(what, value, 1, limits.TIME_MAX)
        if queue == len(self.queues):
            self.queues.append(Queue(offers, offer_timeout, limit, retry_after, target))
        else:
            old = self.queues[queue]
            old.offers, old.offer_timeout, old.limit = offers, offer_timeout, limit
            old.retry_after, old.target = retry_after, target
        return queue

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
        if len(at_most) != len(self.loads):
            raise out_of_range("length of at_most", len(at_most), len(self.loads), len(self.loads))
        for value in at_most:
            within("at most", value, 0, limits.UNITS_MAX)
        self.groups.append(Group(held, units, tuple(at_most)))
        for class_ in self.classes:
            class_.pairs.append(Pair())
        return len(self.groups) - 1

    def set_group(self, group: int, idle_rate: int, term: int) -> None:
        """Set what a group's agents gain by idling (per ms) and cost in themselves."""
        cell = self.groups[index("group", group, len(self.groups))]
        within("idle rate", idle_rate, 0, limits.AGE_RATE_MAX)
        within("term", term, -limits.COST_MAX, limits.COST_MAX)
        cell.idle_rate, cell.term = idle_rate, term

    def add_class(self, queue: int, channel: int, program: Sequence[int], agent_key: int) -> int:
        """A new class; its pairs are not allowed until they are set."""
        index("queue", queue, len(self.queues))
        index("channel", channel, len(self.loads))
        within("agent key", agent_key, 0, len(AgentKey) - 1)
        self._check_program(program)
        pairs = [Pair() for _ in self.groups]
        self.classes.append(Class(queue, channel, tuple(program), agent_key, pairs=pairs))
        return len(self.classes) - 1

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
        return [g for g, group in enumerate(self.groups) if _true(program, group.atoms)]

    def set_class(
        self,
        class_: int,
        age_rate: int,
        length_rate: int,
        offset: int,
        step_at: int,
        step_next: int,
        step_tier: int,
    ) -> None:
        """Set a class's rates, and the step that ends it: when, into which class, with which tier (-1 keeps)."""
        cell = self.classes[index("class", class_, len(self.classes))]
        within("age rate", age_rate, 0, limits.AGE_RATE_MAX)
        within("length rate", length_rate, 0, limits.LENGTH_RATE_MAX)
        within("offset", offset, -limits.COST_MAX, limits.COST_MAX)
        within("step instant", step_at, -1, limits.TIME_MAX)
        within("step class", step_next, -1 if step_at < 0 else 0, len(self.classes) - 1)
        within("step tier", step_tier, -1, limits.TIER_MAX)
        if step_at >= 0:
            self._check_step(class_, step_next)
        cell.age_rate, cell.length_rate, cell.offset = age_rate, length_rate, offset
        cell.step_at, cell.step_next, cell.step_tier = step_at, step_next, step_tier

    def check_class(self, class_: int, cell: Class) -> None:
        """Every number of a class that comes from a dump names something."""
        index("queue", cell.queue, len(self.queues))
        index("channel", cell.channel, len(self.loads))
        within("agent key", cell.agent_key, 0, len(AgentKey) - 1)
        self._check_program(cell.program)
        if cell.step_at >= 0:
            self._check_step(class_, index("step class", cell.step_next, len(self.classes)))

    def _check_step(self, class_: int, step_next: int) -> None:
        """A chain of steps ends: it never comes back to where it started and is short. A step keeps the channel."""
        at, length = step_next, 1
        while at != class_ and self.classes[at].step_at >= 0:
            at, length = self.classes[at].step_next, within("steps", length + 1, 1, limits.STEPS_MAX)
        if at == class_:
            raise MisuseError(f"the steps of class {class_} come back to it")
        if self.classes[step_next].channel != self.classes[class_].channel:
            raise MisuseError("a step keeps the channel")

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
                allowed = _true(row.program, self.groups[g].atoms)
                row.pairs[g] = Pair(
                    opens[at] if allowed else NEVER, rank_out[at], cost_out[at], rank_in[at], cost_in[at]
                )
                at += 1


def _true(program: Sequence[int], atoms: set[int]) -> bool:
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
