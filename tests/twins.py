"""Both cores side by side: a small world, every command on it, every answer compared.

``Twins`` is driven by drawn choices, whoever draws them: hypothesis (which shrinks) or a seeded generator (long walks).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from omniroute.core.codes import AgentKey, EventKind, GaugeKind, TieKind
from omniroute.core.lifecycle import Presence, PresenceMove

T = TypeVar("T")
NEVER = -1
ENDS = (EventKind.CONNECTED, EventKind.DECLINED, EventKind.EXPIRED, EventKind.WITHDRAWN)
GAPS = [0, 0, 0, 0, 1, 1, 1, 2, 3, 7, -3, -2, -1]
"""Milliseconds to the next command; below 0: 1 before, at, and 1 after the next deadline."""


class Draw(Protocol):
    """Who makes the choices."""

    def one(self, options: Sequence[T]) -> T:
        """One of some options."""
        ...


def several(draw: Draw, options: Sequence[T], least: int, most: int) -> list[T]:
    """A list of options, repeated as it comes."""
    return [draw.one(options) for _ in range(draw.one(range(least, most + 1)))]


class Twins:
    """Every method with a ``draw`` calls both cores and compares values, errors, events."""

    def __init__(self, cores: list[Any], draw: Draw, *, busy: bool) -> None:
        self.cores = cores
        self.busy = busy
        self.now = 0
        self.channels = self.queues = self.atoms = self.groups = self.classes = self.agents = 0
        self.pools = self.gauges = self.conditions = self.windows = 0
        self.interactions = 0
        self.live: list[int] = []
        self.ended = [17]
        self.seen: dict[int, int] = {}
        self.build(draw)

    def both(self, name: str, *args: Any) -> Any:
        """Call both cores and compare answers, then events."""
        given = [answer(core, name, args) for core in self.cores]
        assert given[0] == given[1], (name, args, given)
        events = [core.take() for core in self.cores]
        assert events[0] == events[1], (name, args, *events)
        for kind, _, i, _, x, _ in events[0]:
            self.seen[kind] = self.seen.get(kind, 0) + 1
            if kind == EventKind.OFFERED:
                self.live.append(x)
            elif x in self.live and kind in ENDS:
                self.live.remove(x)
                self.ended = [*self.ended[-5:], x]
            self.interactions = max(self.interactions, i + 1)
        return given[0]

    def moment(self, draw: Draw, gaps: Sequence[int] = GAPS) -> int:
        """A time from now on; the deadlines up to it are fired first."""
        gap, due = draw.one(gaps), self.both("next_deadline")
        now = self.now + gap if gap >= 0 or due < 0 else max(self.now, due + gap + 2)
        if 0 <= due <= now:
            self.both("advance", now)
        self.now = max(self.now, now)
        return self.now

    # The plan -------------------------------------------------------------------------------------------------------

    def build(self, draw: Draw) -> None:
        """A small plan with everything in it; a busy one has agents who can do most of what comes."""
        for _ in range(draw.one([1, 2, 3])):
            self.channel(draw)
        if draw.one([False, True]):
            self.both("set_estimates", 0, draw.one([-1, 4, 15]))
        for _ in range(draw.one([0, 0, 1, 1, 2])):
            self.window(draw)
        self.choice(draw)
        for _ in range(draw.one([1, 2, 3])):
            self.queue(draw)
        for _ in range(draw.one([0, 1, 2])):
            self.both("add_atom", ())
            self.atoms += 1
        for _ in range(draw.one([1, 2, 3])):
            self.group(draw)
        for _ in range(draw.one([0, 0, 1, 2])):
            self.gauge(draw)
        for _ in range(draw.one([2, 3, 4])):
            self.class_(draw)
        for _ in range(draw.one([3, 4] if self.busy else [1, 2, 3, 4])):
            self.agent(draw)
        for _ in range(draw.one([0, 0, 1, 2])):
            self.ladder(draw)
        for j in range(self.agents):
            if self.busy or draw.one([True, True, False]):
                self.both("set_presence", 0, j, PresenceMove.SIGN_IN)

    def choice(self, draw: Draw) -> None:
        """How fast what agents did fades, and the seed of random choices."""
        if draw.one([True, True, False]):
            self.both(
                "set_choice",
                draw.one([1, 2, 7, 40, 3_600_000, 2**31 - 1]),
                draw.one([0, 1, 2**62]),
                draw.one([0, 0, 1]),
            )

    def channel(self, draw: Draw) -> None:
        """A new channel, alone in a pool of its own or in others as well, perhaps illegally."""
        flags = draw.one([7, 7, 7, 15, 6, 5, 3, 0])
        if self.pools and draw.one([True, False, False]):
            pools = several(draw, range(self.pools + (draw.one(range(9)) == 0)), 1, 2)
            made = self.both("add_channel", draw.one([1, 1, 0, 2]), pools, flags)
        else:
            made = self.both("add_channel", draw.one([1, 1, 0, 2]), None, flags)
            self.pools += 1
        self.channels += isinstance(made, int)
        if draw.one([False, False, False, True]) and self.pools < 6:
            self.pools += isinstance(self.both("add_pool"), int)

    def gauge(self, draw: Draw) -> None:
        """A new gauge with a condition on it."""
        kind = draw.one(list(GaugeKind))
        subjects = {GaugeKind.LENGTH: self.queues, GaugeKind.AVAILABLE: self.channels}
        subject = draw.one(range(subjects.get(kind, 1))) if kind in subjects else -1
        made = self.both("add_gauge", kind, subject, draw.one([(-4,), (-4,), (0,), (0, -3)]))
        if isinstance(made, int):
            self.gauges += 1
        if self.gauges:
            below, on = draw.one([0, 1]), draw.one([0, 1, 1, 2, 3])
            off = on + draw.one([0, 0, 1]) if below else on - draw.one([0, 0, 1])
            made = self.both("add_condition", draw.one(range(self.gauges)), on, off, below)
            self.conditions += isinstance(made, int)

    def window(self, draw: Draw) -> None:
        """Append or rewrite a decision window."""
        at = draw.one(range(self.windows + 1))
        self.windows = max(self.windows, 1 + self.both("set_window", at, draw.one([1, 2, 4, 4, 9])))

    def queue(self, draw: Draw) -> None:
        """Append or rewrite a queue."""
        at = draw.one(range(self.queues + 1))
        timeout, retry = draw.one([-1, 5, 10]), draw.one([-1, 4, 10])
        limit = draw.one([-1, -1, -1, 2, 5])
        setup, auto, every = draw.one([-1, -1, -1, 4]), draw.one([0, 0, 0, 0, 1]), draw.one([-1, -1, -1, 3])
        offers, target = draw.one([1, 1, 1, 2, 3, -1]), draw.one([7, 7, -1, 2])
        window = draw.one([-1, *range(self.windows), *range(self.windows)])
        self.both("set_queue", at, offers, timeout, limit, retry, target, setup, auto, every, window)
        self.queues = max(self.queues, at + 1)
        if draw.one([False, True]):
            self.both("set_rona", at, draw.one(range(4)), draw.one([0, 1, 2, 3]), draw.one([0, 0, 3, 8]))
        if draw.one([False, True]):
            self.both("set_control", at, draw.one([-1, 6, 20]))

    def group(self, draw: Draw) -> None:
        """A new group."""
        atoms = [a for a in range(self.atoms) if draw.one([True, False])]
        at_most = [draw.one([2, 3, 1, 5] if self.busy else [2, 3, 1, 5, 0]) for _ in range(self.pools)]
        self.both("add_group", atoms, draw.one([2, 1, 4, 3] if self.busy else [2, 1, 4, 3, 0]), at_most)
        self.groups += 1
        self.both("set_group", self.groups - 1, draw.one([0, 0, 1, 3]), draw.one(range(-5, 6)))
        self.both("set_weight", self.groups - 1, draw.one([1, 1, 2, 7, 1_000]))
        self.shares(draw, self.groups - 1)
        self.mix(draw, self.groups - 1)

    def ladder(self, draw: Draw) -> None:
        """The groups that the agents of one go through as their time runs out, perhaps illegally."""
        self.both("advance", self.now)  # tables that change look at edges from this instant on
        lefts = sorted({draw.one([1, 2, 4, 9]) for _ in range(draw.one([0, 1, 2, 3]))}, reverse=draw.one(range(9)) > 0)
        self.both("set_ladder", draw.one(range(self.groups)), [(left, draw.one(range(self.groups))) for left in lefts])

    def shares(self, draw: Draw, group: int) -> None:
        """How the time of a group's agents is shared out, mostly not."""
        if draw.one([True, False, False]):
            queues = several(draw, range(self.queues + (draw.one(range(9)) == 0)), 0, 3)
            self.both("set_shares", group, queues, [draw.one([0, 200, 500, 1_000]) for _ in queues])

    def mix(self, draw: Draw, group: int) -> None:
        """What a group's agents may do side by side, and their manners."""
        if draw.one([True, True, False]):
            every = 2**self.pools - 1
            for c in range(self.channels):
                self.both(
                    "set_mix",
                    group,
                    c,
                    draw.one([2**32 - 1, every, draw.one(range(every + 1))]),
                    draw.one([0, 0, draw.one(range(every + 1))]),
                )
        if draw.one([False, False, True]):
            manners = (draw.one([0, 0, 0, 1]), draw.one([0, 2, 3]), draw.one([5, 12]), draw.one([1000, 1000, 800, 300]))
            self.both("set_manners", group, *manners)

    def class_(self, draw: Draw) -> None:
        """A new class, its cells and perhaps a step into another."""
        always = [(-4,), (-4,), (-5, -3)]
        programs = [*always, (0, -3), (0,), (0, 1, -2), (0, 1, -1, -3), (-5,), (-1,), (0, 0), ()]
        program = draw.one(always if self.busy else programs)
        queue, channel = draw.one(range(self.queues)), draw.one(range(self.channels))
        if draw.one(range(4)) == 0:
            self.both("watch", draw.one(range(self.queues + 1)))
        made = self.both("add_class", queue, channel, program, draw.one(range(len(AgentKey))))
        if isinstance(made, int):
            self.classes += 1
            self.cells(draw, [made])
            self.rates(draw, made)

    def cells(self, draw: Draw, classes: list[int]) -> None:
        """New cells for some classes over all groups."""
        n = len(classes) * self.groups
        columns = [[draw.one([0, 0, 0, 3, 3, 10, NEVER]) for _ in range(n)]]
        columns += [[draw.one([0, 1, 2]) for _ in range(n)] for _ in range(4)]
        self.both("set_pairs", classes, range(self.groups), *[array("q", column) for column in columns])
        if self.conditions and draw.one([True, True, False]):
            groups = [g for g in range(self.groups) if draw.one([True, False])]
            self.both("set_condition", classes, groups, draw.one([-1, *range(self.conditions)]))

    def rates(self, draw: Draw, k: int) -> None:
        """New rates and step of a class."""
        step = draw.one([-1, -1, 0, 5, 12])
        into = draw.one([*range(self.classes), *range(self.classes), -2]) if step >= 0 else -1
        rates = (draw.one([0, 1, 2]), draw.one([0, 1, 2]), draw.one(range(-5, 6)))
        when, skip = (draw.one([-1, -1, *range(self.conditions)]) for _ in range(2))
        copied = draw.one([-1, -1, -1, *range(self.classes)])
        self.both(
            "set_class",
            k,
            *rates,
            step,
            into,
            draw.one([-1, 0, 2]),
            when,
            skip,
            copied,
            draw.one([-1, 6, 0]),
            draw.one([0, 0, 1]),
        )

    def agent(self, draw: Draw) -> None:
        """A new agent."""
        self.both("add_agent", draw.one(range(self.groups)), draw.one(range(4)))
        self.agents += 1

    # The traffic ----------------------------------------------------------------------------------------------------

    def advance(self, draw: Draw) -> None:
        """Let time pass, often to 1 before, at or 1 after a deadline."""
        self.moment(draw)
        self.both("advance", self.now)

    def ties(self, draw: Draw, now: int) -> list[tuple[int, int, int]]:
        """What an interaction is bound to, mostly nothing."""
        if draw.one([True, True, True, False]):
            return []
        agents = {draw.one(range(self.agents)) for _ in range(draw.one([1, 1, 2]))}
        return [(j, draw.one([*TieKind]), draw.one([-1, now + 1, now + 6, -2])) for j in sorted(agents)]

    def enqueue(self, draw: Draw) -> None:
        """Interactions arrive, perhaps in several classes, bound, for later, or illegally."""
        for _ in range(draw.one([1, 3])):
            classes = several(draw, range(self.classes), 1, draw.one([1, 1, 3])) if self.classes else [0]
            now = self.moment(draw)
            since = now - draw.one([0, 0, 3, 20, -4])
            due = draw.one([-1, -1, -1, -1, -1, -2, -3, now, now + 1, now + 5])
            ties, waited = self.ties(draw, now), draw.one([0, 0, 0, 4, -1])
            self.both("enqueue", now, classes, draw.one([0, 1, 2]), since, ties, max(waited, 0), due)

    def occupy(self, draw: Draw) -> None:
        """Work that was not routed."""
        now = self.moment(draw)
        k = draw.one(range(self.classes)) if self.classes else 0
        self.both("occupy", now, k, draw.one(range(self.agents)), draw.one([0, 0, 1]))

    def assign(self, draw: Draw) -> None:
        """Somebody picks, or is given."""
        now = self.moment(draw)
        self.both("assign", now, self.someone(draw, 1, 2, 8), draw.one(range(self.agents)), draw.one([0, 0, 1]))

    def turn(self, draw: Draw) -> None:
        """Hold, resume, set-ups, parking: legal or not."""
        now = self.moment(draw)
        name, states = draw.one(
            [
                ("established", [5]),
                ("established", [5]),
                ("setup_failed", [5]),
                ("hold", [3]),
                ("hold", [3]),
                ("resume", [6]),
                ("resume", [6, 7]),
                ("park", [1, 2]),
                ("activate", [8]),
                ("extend", []),
            ]
        )
        i = self.someone(draw, *states)
        if name == "extend":
            self.both(name, now, draw.one([1, 3, 10, 0]))
        elif name == "park":
            self.both("park", now, i, draw.one([-1, now + 1, now + 6, now]))
        elif name == "setup_failed":
            self.both(name, now, i, draw.one([-1, now + 3]))
        elif name == "activate":
            self.both(name, now, i, draw.one([0, 1]))
        else:
            self.both(name, now, i)

    def call_back(self, draw: Draw) -> None:
        """What waits becomes a call-back, agent first or customer first, or is one no longer."""
        now = self.moment(draw)
        self.both("call_back", now, self.someone(draw, 1, 2, 8, 8), draw.one([4, 4, 12, 2**31 - 1, -1, -1, 0, -2]))

    def update(self, draw: Draw) -> None:
        """Another place, perhaps other classes, for what waits."""
        classes = several(draw, range(self.classes), 0, 2) if self.classes else []
        now = self.moment(draw)
        since = now - draw.one([0, 2, 9])
        self.both("update", now, self.someone(draw, 1, 2, 8), classes, draw.one([0, 1, 2]), since)

    def take_over(self, draw: Draw) -> None:
        """One agent takes over from another."""
        now = self.moment(draw)
        self.both("take_over", now, self.someone(draw, 3, 6, 7), self.someone(draw, 3, 6, 7))

    def set_gauge(self, draw: Draw) -> None:
        """An estimate comes in, or what seems one."""
        if self.gauges:
            self.both("set_gauge", self.moment(draw), draw.one(range(self.gauges)), draw.one([0, 1, 2, 3]))

    def someone(self, draw: Draw, *states: int) -> int:
        """An interaction in one of these states where there is one; now and then any number at all."""
        found = [i for i in range(self.interactions) if self.cores[0].interaction(i)[0] in states]
        return draw.one(found * 9 + [*range(self.interactions + 1)])

    def leave(self, draw: Draw) -> None:
        """A customer leaves, or seems to."""
        now = self.moment(draw)
        self.both("leave", now, self.someone(draw, 1, 2, 5, 8), draw.one([0, 0, 1]))

    def finish(self, draw: Draw) -> None:
        """The end of a conversation, legal or not."""
        now = self.moment(draw)
        self.both("finish", now, self.someone(draw, 3, 3, 6, 7), draw.one([0, 0, 3, 8, -1]))

    def release(self, draw: Draw) -> None:
        """The end of it all, legal or not."""
        now = self.moment(draw)
        self.both("release", now, self.someone(draw, 3, 4, 6, 7))

    def requeue(self, draw: Draw) -> None:
        """An agent gives it back, legally or not."""
        now = self.moment(draw)
        self.both("requeue", now, self.someone(draw, 3, 6, 7), draw.one([-1, -1, now + 3, now]))

    def answer(self, draw: Draw) -> None:
        """An answer to an offer, sometimes late."""
        now = self.moment(draw)
        offer = draw.one([*self.live * 3, *self.ended])
        if draw.one([True, True, False]):
            self.both("accept", now, offer)
        else:
            self.both("decline", now, offer, draw.one([0, 1, 1, 2, 3]))

    def answer_all(self, draw: Draw) -> None:
        """Everybody answers at once, and perhaps some are done at once."""
        for offer in self.live[:]:
            self.both(draw.one(["accept", "accept", "accept", "decline"]), self.moment(draw, [0]), offer)
        if draw.one([False, True]):
            for i in range(self.interactions):
                self.both("finish", self.moment(draw, [0]), i, draw.one([0, 3, 8]))

    def transfer(self, draw: Draw) -> None:
        """A transfer, legal or not."""
        classes = several(draw, range(self.classes), 1, 2) if self.classes else [0]
        now = self.moment(draw)
        since, ties = now - draw.one([0, 1, 5]), self.ties(draw, now)
        self.both("transfer", now, self.someone(draw, 1, 2, 3, 6, 7, 8), classes, draw.one([0, 1, 2]), since, ties)

    def presence(self, draw: Draw) -> None:
        """An agent moves, or tries to."""
        j, now = draw.one(range(self.agents)), self.moment(draw)
        likely = {0: [0, 0, 1], 1: [3, 4, 5], 2: [2, 2, 4, 5], 3: [2, 3, 5]}[self.cores[0].agent(j)[0]]
        self.both("set_presence", now, j, draw.one([*likely * 3, *range(7)]))

    def all_ready(self, draw: Draw) -> None:
        """Everybody comes back."""
        for j in range(self.agents):
            signed_out = self.cores[0].agent(j)[0] == Presence.SIGNED_OUT
            move = PresenceMove.SIGN_IN if signed_out else PresenceMove.SET_READY
            self.both("set_presence", self.moment(draw, [0]), j, move)

    def move_agent(self, draw: Draw) -> None:
        """An agent learns something."""
        j, now = draw.one(range(self.agents)), self.moment(draw)
        self.both("move_agent", now, j, draw.one(range(self.groups)), draw.one([0, 1]))

    def oblige(self, draw: Draw) -> None:
        """An agent has a shift end or a break ahead, or none, or one that has passed."""
        j, now = draw.one(range(self.agents)), self.moment(draw)
        self.both("oblige", now, j, draw.one([now + 3, now + 6, now + 12, now + 5, now, -1, -2]))

    def change(self, draw: Draw) -> None:
        """The plan changes while interactions wait; then everybody is asked again."""
        now = self.moment(draw)
        what = draw.one(
            [
                *("queue", "group", "class", "cells", "rates", "atom", "agent", "mix", "gauge", "channel", "ladder"),
                "window",
            ]
        )
        if what == "queue":
            self.queue(draw)
        elif what == "window" and self.windows < 4:
            self.window(draw)
        elif what == "group" and self.groups < 5:
            self.group(draw)
        elif what == "class" and self.classes < 7:
            self.class_(draw)
        elif what == "cells" and self.classes:
            self.cells(draw, sorted(set(several(draw, range(self.classes), 1, 3))))
        elif what == "rates" and self.classes:
            self.rates(draw, draw.one(range(self.classes)))
        elif what == "atom":
            self.both("add_atom", [draw.one(range(self.groups + 1))])
        elif what == "agent" and self.agents < 6:
            self.agent(draw)
        elif what == "mix":
            self.shares(draw, draw.one(range(self.groups)))
            self.mix(draw, draw.one(range(self.groups)))
        elif what == "gauge" and self.conditions < 5:
            self.gauge(draw)
        elif what == "channel" and self.channels < 5:
            self.channel(draw)
        elif what == "ladder":
            self.ladder(draw)
        self.changed(draw, now)

    def changed(self, draw: Draw, now: int) -> None:
        """Everybody is asked again; now and then there is another choice or interval for the whole core."""
        if draw.one(range(8)) == 0:
            self.choice(draw)
        self.both("refresh", now)
        if draw.one(range(4)) == 0:
            self.both("set_estimates", now, draw.one([-1, 5, 12]))
        self.both("revised", draw.one(range(self.queues + 1)))

    def illegal(self, draw: Draw) -> None:
        """Values out of range, and times that have passed."""
        if draw.one(range(10)):
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
        self.both("oblige", self.now, self.agents, 0)
        self.both("set_ladder", self.groups, [])
        self.both("set_ladder", 0, [(0, 0)])
        self.both("set_ladder", 0, [(5, 0), (5, 0)])
        self.both("set_ladder", 0, [(5, self.groups)])
        self.both("set_ladder", 0, [(17 - x, 0) for x in range(17)])
        self.both("set_mix", 0, self.channels, 0, 0)
        self.both("room_for", self.agents, 0)
        self.both("room_for", 0, self.channels)
        self.both("call_back", self.now, self.interactions, 1)
        self.both("set_rona", 0, 4, 0, 0)
        self.both("set_window", self.windows + 1, 5)
        self.both("set_window", 0, 0)
        self.both("set_window", 0, 60_001)
        self.both("set_queue", 0, 1, -1, -1, -1, -1, -1, 0, -1, self.windows)
        self.both("window", self.windows)
        self.both("set_choice", 0, 0)
        self.both("set_choice", 1, 0, 2)
        self.both("set_choice", 1, 2**62 + 1)
        self.both("set_weight", 0, draw.one([0, 1_001]))
        self.both("set_weight", self.groups, 1)
        self.both("set_shares", self.groups, [], [])
        self.both("set_shares", 0, [0], [1_001])
        self.both("set_shares", 0, [0, 0], [1, 1])
        self.both("set_shares", 0, [0], [])
        self.both("add_gauge", 0, self.queues, (-4,))
        self.both("add_condition", self.gauges, 1, 1, 0)
        self.both("add_condition", 0, 1, 2, 0)
        self.both("enqueue", self.now, [0], 0, 0, [(0, 0, -1), (0, 1, -1)])

    def reload(self, draw: Draw) -> None:
        """Each core takes over the other's state, or goes on as its own fork."""
        fast, naive = self.cores
        if draw.one([False, True]):
            self.cores = [type(fast).load(naive.dump()), type(naive).load(fast.dump())]
        else:
            self.cores = [fast.fork(), naive.fork()]

    def compare(self) -> None:
        """State and reads are the same, and no invariant is broken."""
        assert list(self.cores[0].dump()) == list(self.cores[1].dump())
        assert self.cores[0].check() == []
        assert self.cores[1].check() == []
        for q in range(self.queues):
            self.both("waiting", q, 3)
            self.both("queue", q)
        for i in range(min(self.interactions, 4)):
            self.both("interaction", i)
            self.both("position", i)
            self.both("ties", i)
            for j in range(self.agents):
                self.both("why_not", i, j)
        for j in range(self.agents):
            self.both("agent", j)
            self.both("in_hand", j)
            self.both("obligation", j)
            for key in AgentKey:
                self.both("key", j, key)
                for q in range(self.queues):
                    self.both("key", j, key, q)
            for c in range(self.channels):
                self.both("room_for", j, c)
        self.both("census")
        for k in range(self.classes):
            self.both("serving", k)
            for g in range(self.groups):
                self.both("pair", k, g)
        for x in range(self.windows):
            self.both("window", x)
        for x in range(self.gauges):
            self.both("gauge", x)
        for x in range(self.conditions):
            self.both("condition", x)


MOVES = {
    "advance": 2,
    "enqueue": 4,
    "leave": 1,
    "finish": 3,
    "release": 1,
    "requeue": 2,
    "answer": 4,
    "answer_all": 2,
    "transfer": 2,
    "occupy": 1,
    "assign": 1,
    "turn": 4,
    "call_back": 1,
    "update": 1,
    "take_over": 1,
    "set_gauge": 1,
    "presence": 1,
    "all_ready": 2,
    "move_agent": 1,
    "oblige": 2,
    "change": 1,
    "illegal": 1,
    "reload": 1,
}
"""Every move, and how often a walk makes it."""


def answer(core: Any, name: str, args: tuple[Any, ...]) -> Any:
    """What a call gives: its value, or the name and message of its error."""
    try:
        return getattr(core, name)(*args)
    except (ValueError, IndexError) as error:
        return type(error).__name__, str(error)
