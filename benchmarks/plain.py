"""The best router that we can write in plain Python: grouped by class, ordered with sortedcontainers.

It knows what such a router knows: skills as frozen sets, agents of equal skills in one group, interactions of equal
needs in one class, priorities, longest idle first, first come first served inside a priority, and leaving. It has no
offers, steps, capacity, costs or explanations, so it does less for its time than omniroute does.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

from sortedcontainers import SortedList

Entry = tuple[int, int, int]
"""(tier, row, class): an order that is total, since rows are numbered as they come."""


class PlainRouter:
    """Who takes whom, at once; whoever is chosen has accepted.

    The first entries of all classes in which somebody waits lie in one ordered list, ``heads``. A freed agent walks it
    from the front to the first class that he may serve: few steps where he may serve many, however many wait. One who
    may serve only a few of many classes looks at those few instead. Likewise for an arrival: ``idle`` has everybody who
    is idle, longest first, and ``lines`` has the same by group.
    """

    def __init__(self, skills: Sequence[frozenset[str]], needs: Sequence[frozenset[str]]) -> None:
        """Groups by their skills, classes by their needs. O(groups x classes)."""
        self.serves = [frozenset(c for c, need in enumerate(needs) if need <= held) for held in skills]
        self.waiting: list[SortedList] = [SortedList() for _ in needs]
        self.heads: SortedList = SortedList()
        self.idle: OrderedDict[int, int] = OrderedDict()
        self.lines: list[deque[tuple[int, int]]] = [deque() for _ in skills]
        self.few: list[list[deque[tuple[int, int]]] | None] = []
        for c in range(len(needs)):
            able = [line for line, served in zip(self.lines, self.serves, strict=True) if c in served]
            self.few.append(able if len(able) ** 2 < len(skills) else None)
        self.group: list[int] = []
        self.stamp = 0

    def sign_in(self, group: int, agents: int) -> None:
        """So many agents of a group come and find nobody waiting."""
        for _ in range(agents):
            self.group.append(group)
            self._rest(len(self.group) - 1, group)

    def _rest(self, agent: int, group: int) -> None:
        self.idle[agent] = group
        self.lines[group].append((self.stamp, agent))
        self.stamp += 1

    def enqueue(self, row: int, class_: int, tier: int = 0) -> int:
        """The agent who has been idle longest, or -1: it waits."""
        agent = self._longest_idle(class_) if self.idle else -1
        if agent >= 0:
            self.lines[self.idle.pop(agent)].popleft()
            return agent
        entry = (tier, row, class_)
        line = self.waiting[class_]
        if not line:
            self.heads.add(entry)
        elif entry < line[0]:
            self.heads.remove(line[0])
            self.heads.add(entry)
        line.add(entry)
        return -1

    def _longest_idle(self, class_: int) -> int:
        """The agent who has been idle longest among those who may serve the class, or -1."""
        few = self.few[class_]
        if few is not None:
            return min((line[0] for line in few if line), default=(0, -1))[1]
        serves = self.serves
        for agent, group in self.idle.items():
            if class_ in serves[group]:
                return agent
        return -1

    def free(self, agent: int) -> int:
        """The row that the agent takes next, or -1: he is idle."""
        group = self.group[agent]
        entry = self._first(self.serves[group]) if self.heads else None
        if entry is None:
            self._rest(agent, group)
            return -1
        line = self.waiting[entry[2]]
        del line[0]
        self.heads.remove(entry)
        if line:
            self.heads.add(line[0])
        return entry[1]

    def _first(self, served: frozenset[int]) -> Entry | None:
        """The least head among these classes: by a walk or by a look at each, whichever should be shorter."""
        if len(served) ** 2 < len(self.heads):
            return min((line[0] for line in map(self.waiting.__getitem__, served) if line), default=None)
        for entry in self.heads:
            if entry[2] in served:
                return entry
        return None

    def leave(self, row: int, class_: int, tier: int = 0) -> bool:
        """The customer leaves, if he still waits."""
        line, entry = self.waiting[class_], (tier, row, class_)
        at = line.bisect_left(entry)
        if at == len(line) or line[at] != entry:
            return False
        del line[at]
        if at == 0:
            self.heads.remove(entry)
            if line:
                self.heads.add(line[0])
        return True


FINISH, LEAVE = 0, 1


def route(router: PlainRouter, columns: tuple[Sequence[int], ...]) -> tuple[list[int], list[int]]:
    """Drive it through columns (at, class, tier, handle, patience): agent and start of each row.

    Ends of handling go before abandonments of the same instant, these before arrivals, as they do in omniroute.
    """
    at, classes, tiers, handle, patience = columns
    agents, start = [-1] * len(at), [-1] * len(at)
    future: list[tuple[int, int, int]] = []
    push, pop = heapq.heappush, heapq.heappop
    enqueue, free, leave = router.enqueue, router.free, router.leave

    def settle() -> None:
        """The next end of handling or of patience."""
        now, kind, row = pop(future)
        if kind == FINISH:
            agent = agents[row]
            row = free(agent)
            if row >= 0:
                agents[row], start[row] = agent, now
                push(future, (now + handle[row], FINISH, row))
        elif start[row] < 0:
            leave(row, classes[row], tiers[row])

    for row, now in enumerate(at):
        while future and future[0][0] <= now:
            settle()
        agent = enqueue(row, classes[row], tiers[row])
        if agent >= 0:
            agents[row], start[row] = agent, now
            push(future, (now + handle[row], FINISH, row))
        elif patience[row] >= 0:
            push(future, (now + patience[row], LEAVE, row))
    while future:
        settle()
    return agents, start


def built(sizes: Iterable[int], serves: Sequence[Iterable[int]], classes: int) -> PlainRouter:
    """A router whose group g has ``sizes[g]`` agents with a skill for each class in ``serves[g]``, all signed in."""
    skills = [frozenset(f"skill {c}" for c in served) for served in serves]
    router = PlainRouter(skills, [frozenset({f"skill {c}"}) for c in range(classes)])
    for group, agents in enumerate(sizes):
        router.sign_in(group, agents)
    return router
