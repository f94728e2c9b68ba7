"""The two cores mean the same: any commands, legal or not, give the same answers, errors, events and state."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from omniroute.core import reference
from omniroute.core.codes import AgentKey, EventKind
from omniroute.core.lifecycle import Presence, PresenceMove

kernel = pytest.importorskip("omniroute.core.kernel", reason="the kernel is not built")

NEVER = -1
COLUMNS = 5
ENDS = (EventKind.CONNECTED, EventKind.DECLINED, EventKind.EXPIRED, EventKind.WITHDRAWN)


def answer(core: Any, name: str, args: tuple[Any, ...]) -> Any:
    """What a call gives: its value, or the name and message of its error."""
    try:
        return getattr(core, name)(*args)
    except (ValueError, IndexError) as error:
        return type(error).__name__, str(error)


class Twins(RuleBasedStateMachine):
    """Every rule calls both cores; gaps of time are drawn around the next deadline.

    Planted and seen red: expiry stamped with the caller's time; ``>`` for ``>=`` in the opening; a decline that
    forgets its exclusion; a freed number taken from the other end; wrap-up that frees capacity at once; ``due`` compared
    before ``kind``; a step that loses its place; an unsorted list of openings.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cores = [kernel.Core(), reference.Core()]
        self.now = 0
        self.channels = self.queues = self.atoms = self.groups = self.classes = self.agents = 0
        self.interactions = 0
        self.live: list[int] = []
        self.ended = [17]

    def both(self, name: str, *args: Any) -> Any:
        """Call both cores and compare answers, then events."""
        given = [answer(core, name, args) for core in self.cores]
        assert given[0] == given[1], (name, args, given)
        events = [core.take() for core in self.cores]
        assert events[0] == events[1], (name, args, *events)
        for kind, _, i, _, x, _ in events[0]:
            if kind == EventKind.OFFERED:
                self.live.append(x)
            elif x in self.live and kind in ENDS:
                self.live.remove(x)
                self.ended = [*self.ended[-5:], x]
            self.interactions = max(self.interactions, i + 1)
        return given[0]

    def moment(self, gap: int) -> int:
        """A time from now on: a gap of ms, or one around the next deadline; deadlines up to it are fired first."""
        due = self.both("next_deadline")
        now = self.now + gap if gap >= 0 or due < 0 else max(self.now, due + gap + 2)
        if 0 <= due <= now:
            self.both("advance", now)
        self.now = max(self.now, now)
        return self.now

    @initialize(data=st.data())
    def plan(self, data: st.DataObject) -> None:
        """A small plan with everything in it."""
        draw = data.draw
        for _ in range(draw(st.integers(1, 2))):
            self.both("add_channel", draw(st.integers(0, 2)))
            self.channels += 1
        for _ in range(draw(st.integers(1, 3))):
            self.queue(draw)
        for _ in range(draw(st.integers(0, 2))):
            self.both("add_atom", ())
            self.atoms += 1
        for _ in range(draw(st.integers(1, 3))):
            self.group(draw)
        for _ in range(draw(st.integers(2, 4))):
            self.class_(draw)
        for _ in range(draw(st.integers(1, 4))):
            self.both("add_agent", draw(st.integers(0, self.groups - 1)), draw(st.integers(0, 3)))
            self.agents += 1
        for j in range(self.agents):
            if draw(st.sampled_from([True, True, True, False])):
                self.both("set_presence", 0, j, PresenceMove.SIGN_IN)

    def queue(self, draw: Any) -> None:
        """Append or rewrite a queue."""
        at = draw(st.integers(0, self.queues))
        offers = draw(st.sampled_from([1, 1, 1, 2, 3, -1]))
        timeout, retry = draw(st.sampled_from([-1, 5, 10])), draw(st.sampled_from([-1, 4, 10]))
        self.both("set_queue", at, offers, timeout, draw(st.sampled_from([-1, -1, 2, 5])), retry, 7)
        self.queues = max(self.queues, at + 1)
        if draw(st.booleans()):
            self.both("set_control", at, draw(st.sampled_from([-1, 6, 20])))

    def group(self, draw: Any) -> None:
        """A new group."""
        atoms = draw(st.sets(st.integers(0, self.atoms - 1))) if self.atoms else ()
        at_most = [draw(st.sampled_from([2, 3, 1, 5, 0])) for _ in range(self.channels)]
        self.both("add_group", sorted(atoms), draw(st.sampled_from([2, 1, 4, 3, 0])), at_most)
        self.groups += 1
        self.both("set_group", self.groups - 1, draw(st.sampled_from([0, 0, 1, 3])), draw(st.integers(-5, 5)))

    def class_(self, draw: Any) -> None:
        """A new class, its cells and perhaps a step into another."""
        ops = st.integers(-5, self.atoms - 1)
        program = draw(st.sampled_from([(-4,), (-4,), (-5, -3), (0, -3), (0,), (0, 1, -2), (0, 1, -1, -3), (-5,)]))
        if draw(st.integers(0, 20)) == 0:
            program = tuple(draw(st.lists(ops, max_size=5)))
        made = self.both(
            "add_class",
            draw(st.integers(0, self.queues - 1)),
            draw(st.integers(0, self.channels - 1)),
            program,
            draw(st.integers(0, len(AgentKey) - 1)),
        )
        if isinstance(made, int):
            self.classes += 1
            self.cells(draw, [made])
            self.rates(draw, made)

    def cells(self, draw: Any, classes: list[int]) -> None:
        """New cells for some classes over all groups."""
        n = len(classes) * self.groups
        columns = [draw(st.lists(st.sampled_from([0, 0, 0, 3, 3, 10, NEVER]), min_size=n, max_size=n))]
        columns += [draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)) for _ in range(COLUMNS - 1)]
        self.both("set_pairs", classes, range(self.groups), *[array("q", column) for column in columns])

    def rates(self, draw: Any, k: int) -> None:
        """New rates and step of a class."""
        step = draw(st.sampled_from([-1, -1, 0, 5, 12]))
        into = draw(st.integers(0, self.classes - 1)) if step >= 0 else -1
        rates = (draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(st.integers(-5, 5)))
        self.both("set_class", k, *rates, step, into, draw(st.sampled_from([-1, 0, 2])))

    def someone(self, data: st.DataObject, *states: int) -> int:
        """An interaction in one of these states where there is one; now and then any number at all."""
        found = [
            i for i in range(self.interactions) if self.cores[0].interaction(i)[0] in states and self.interactions
        ]
        anyone = data.draw(st.integers(0, 9)) == 0 or not found
        return data.draw(st.integers(0, self.interactions) if anyone else st.sampled_from(found))

    gap = st.sampled_from([0, 0, 0, 0, 1, 1, 1, 2, 3, 7, -3, -2, -1])

    @rule(gap=gap)
    def advance(self, gap: int) -> None:
        """Let time pass, often to 1 before, at or 1 after a deadline."""
        self.moment(gap)
        self.both("advance", self.now)

    @precondition(lambda self: self.classes)
    @rule(gap=gap, data=st.data(), most=st.sampled_from([1, 1, 3]), several=st.booleans())
    def enqueue(self, gap: int, data: st.DataObject, most: int, several: bool) -> None:
        """Interactions arrive, perhaps in several classes, perhaps illegally."""
        for _ in range(3 if several else 1):
            classes = data.draw(st.lists(st.integers(0, self.classes - 1), min_size=1, max_size=most))
            now = self.moment(gap)
            head_start = data.draw(st.sampled_from([0, 0, 3, 20, -4]))
            self.both("enqueue", now, classes, data.draw(st.integers(0, 2)), now - head_start)

    @rule(gap=gap, data=st.data(), name=st.sampled_from(["leave", "release", "requeue"]))
    def by_interaction(self, gap: int, data: st.DataObject, name: str) -> None:
        """A command on an interaction, live or not."""
        now = self.moment(gap)
        states = {"leave": (1, 2), "release": (3, 4), "requeue": (3,)}[name]
        self.both(name, now, self.someone(data, *states))

    @rule(gap=gap, data=st.data(), wrap=st.sampled_from([-1, 0, 0, 3, 8]))
    def finish(self, gap: int, data: st.DataObject, wrap: int) -> None:
        """The end of a conversation, legal or not."""
        now = self.moment(gap)
        self.both("finish", now, self.someone(data, 3), wrap)

    @rule(gap=gap, data=st.data(), name=st.sampled_from(["accept", "accept", "accept", "decline"]))
    def by_offer(self, gap: int, data: st.DataObject, name: str) -> None:
        """An answer to an offer, often late."""
        now = self.moment(gap)
        self.both(name, now, data.draw(st.sampled_from([*self.live, *self.live, *self.live, *self.ended])))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), finish=st.booleans())
    def answer_all(self, data: st.DataObject, finish: bool) -> None:
        """Everybody answers at once, and perhaps some are done at once."""
        for offer in self.live[:]:
            self.both("decline" if data.draw(st.integers(0, 5)) == 5 else "accept", self.moment(0), offer)
        if finish:
            for i in range(self.interactions):
                self.both("finish", self.moment(0), i, data.draw(st.sampled_from([0, 3, 8])))

    @rule()
    def all_ready(self) -> None:
        """Everybody comes back."""
        for j in range(self.agents):
            signed_out = self.cores[0].agent(j)[0] == Presence.SIGNED_OUT
            self.both("set_presence", self.moment(0), j, PresenceMove.SIGN_IN if signed_out else PresenceMove.SET_READY)

    @precondition(lambda self: self.classes)
    @rule(gap=gap, data=st.data())
    def transfer(self, gap: int, data: st.DataObject) -> None:
        """A transfer, legal or not."""
        classes = data.draw(st.lists(st.integers(0, self.classes - 1), min_size=1, max_size=2))
        now = self.moment(gap)
        i = self.someone(data, 1, 2, 3)
        self.both("transfer", now, i, classes, data.draw(st.integers(0, 2)), now - data.draw(st.integers(0, 5)))

    @rule(gap=gap, data=st.data())
    def presence(self, gap: int, data: st.DataObject) -> None:
        """An agent moves, or tries to."""
        j = data.draw(st.integers(0, self.agents - 1))
        now = self.moment(gap)
        likely = {0: [0, 0, 1], 1: [3, 4, 5], 2: [2, 2, 4, 5], 3: [2, 3, 5]}[self.cores[0].agent(j)[0]]
        self.both("set_presence", now, j, data.draw(st.sampled_from([*likely * 3, *range(7)])))

    @rule(gap=gap, data=st.data())
    def move_agent(self, gap: int, data: st.DataObject) -> None:
        """An agent learns something."""
        group = data.draw(st.integers(0, self.groups - 1))
        self.both("move_agent", self.moment(gap), data.draw(st.integers(0, self.agents - 1)), group, 1)

    @rule(gap=gap, data=st.data(), what=st.sampled_from(["queue", "group", "class", "cells", "rates", "atom", "agent"]))
    def change(self, gap: int, data: st.DataObject, what: str) -> None:
        """The plan changes while interactions wait; then everybody is asked again."""
        now = self.moment(gap)
        if what == "queue":
            self.queue(data.draw)
        elif what == "group" and self.groups < 5:
            self.group(data.draw)
        elif what == "class" and self.classes < 7:
            self.class_(data.draw)
        elif what == "cells" and self.classes:
            self.cells(data.draw, sorted(data.draw(st.sets(st.integers(0, self.classes - 1), min_size=1))))
        elif what == "rates" and self.classes:
            self.rates(data.draw, data.draw(st.integers(0, self.classes - 1)))
        elif what == "atom":
            self.both("add_atom", [data.draw(st.integers(0, self.groups))])
        elif what == "agent" and self.agents < 6:
            self.both("add_agent", data.draw(st.integers(0, self.groups - 1)), 0)
            self.agents += 1
        self.both("refresh", now)
        self.both("revised", data.draw(st.integers(0, self.queues)))

    @rule(often=st.integers(0, 9))
    def illegal(self, often: int) -> None:
        """Values out of range, and times that have passed."""
        if often:
            return
        self.both("enqueue", self.now, [0], -1, 0)
        self.both("accept", self.now, -1)
        self.both("leave", self.now - 1, 0)
        self.both("advance", self.now - 1)
        self.both("finish", self.now, 0, -2)
        self.both("add_class", 0, 0, (), 0)
        self.both("set_queue", 0, 0, -1, -1, -1, -1)
        self.both("set_pairs", [0], [0], [0], [0], [0], [0], [])
        self.both("transfer", self.now, self.interactions, [self.classes], 0, 0)
        self.both("move_agent", self.now, self.agents, self.groups, 1)
        self.both("set_presence", self.now, self.agents, 0)

    @rule(swap=st.booleans())
    def reload(self, swap: bool) -> None:
        """Each core takes over the other's state, or goes on as its own fork."""
        if swap:
            self.cores = [kernel.Core.load(self.cores[1].dump()), reference.Core.load(self.cores[0].dump())]
        else:
            self.cores = [core.fork() for core in self.cores]

    @invariant()
    def same(self) -> None:
        """State and reads are the same, and no invariant is broken."""
        assert list(self.cores[0].dump()) == list(self.cores[1].dump())
        assert self.cores[0].check() == []
        assert self.cores[1].check() == []
        for q in range(self.queues):
            assert self.both("waiting", q, 3) is not None
            self.both("queue", q)
        for i in range(min(self.interactions, 4)):
            self.both("interaction", i)
            self.both("position", i)
            for j in range(self.agents):
                self.both("why_not", i, j)
        for j in range(self.agents):
            self.both("agent", j)


Twins.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTwins = Twins.TestCase
