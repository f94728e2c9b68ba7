"""Decision windows: what is held back for a while, and then matched together.

A window opens when it holds back the first offer. When it closes, everybody who waits in its queues is matched with
everybody who is available, in rounds until nothing of it is left that could be matched. A round looks at the pairs of
least standing alone: those that interrupt nothing, then least rank of interaction selection, then least tier. Of these,

- *who is served*: as many as can be and, of all ways to do so, those of greatest weight less ``cost_in``;
- *by whom*: those, at the least sum of ranks of agent selection and, of equal ones, of ``cost_out + term``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from attrs import Factory, define, evolve

from omniroute.core import limits
from omniroute.core.codes import AgentKey, Clause
from omniroute.core.lifecycle import Presence
from omniroute.core.reference import keys, selection, transport
from omniroute.core.reference.state import IN_QUEUE, RESERVES_OFFERED, Entry

if TYPE_CHECKING:
    from omniroute.core.reference.engine import Core

PLACES_MAX = 64
"""Most that one agent is matched with in one round."""

MOST = 2 * limits.MATCH_WEIGHT_MAX
"""Every match is worth while."""

Place: TypeAlias = tuple[int, int, int, int, int]
"""Tier, since and sequence of an entry; its interaction and its position there."""

Standing: TypeAlias = tuple[int, int, int]
"""Whether something is interrupted, the rank of interaction selection, the tier."""

Chosen: TypeAlias = tuple[Place, int]
"""A place and an agent who get each other."""


@define
class Row:
    """Entries that can be matched alike, in order; ``own``: all of one interaction that is like no other."""

    places: list[Place]
    own: bool


@define
class Column:
    """Agents who can be matched alike, each with so many places; who has not changed for longest is the first."""

    agents: list[int]
    places: int


@define
class Cell:
    """What a row and a column give: by which entry, how good for the one who chooses whom to serve, and by whom."""

    standing: Standing
    value: int
    place: Place
    rank: int
    cost: int


@define
class Round:
    """Rows against columns; ``cells`` are those of least standing."""

    rows: list[Row]
    columns: list[Column]
    cells: dict[tuple[int, int], Cell] = Factory(dict)

    def reach(self) -> int:
        """The greatest cost that a match of this size bears."""
        span = 1 << (2 * min(len(self.rows), len(self.columns)) + 2).bit_length()
        return limits.MATCH_REACH_MAX // span**2

    def flows(self, weights: Sequence[Sequence[int]], cost: dict[tuple[int, int], int]) -> list[tuple[int, int, int]]:
        """The optimum: row, column and how many."""
        table = [cost.get((r, c), limits.NOT_ELIGIBLE) for r in range(len(self.rows)) for c in range(len(self.columns))]
        available = [len(column.agents) * column.places for column in self.columns]
        first = [0, *accumulate(len(row) for row in weights)]
        return transport.solve([weight for row in weights for weight in row], first, available, table, MOST)


# Opening and closing -------------------------------------------------------------------------------------------------


def hold_back(core: Core, i: int) -> None:
    """Open the windows that hold an interaction from somebody who could take it now."""
    for w in sorted({selection.window_of(core, entry) for entry in core.live(i).entries} - {-1}):
        found = selection.agents_for(core, i, window=w)
        if found:
            _open(core, w, i, found[0][-1])


def hold_back_from(core: Core, j: int) -> None:
    """Open the windows that hold something from an agent who could take it now."""
    for w in range(len(core.tables.windows)):
        best = selection.interaction_for(core, j, window=w)
        if best is not None:
            _open(core, w, best[0], j)


def _open(core: Core, w: int, i: int, j: int) -> None:
    """A window is open: it holds an offer back that would have been made now.

    It closes no later than the target wait of that interaction, and before that agent has too little time left.
    """
    window, it = core.tables.windows[w], core.live(i)
    if window.closes_at < 0:
        window.closes_at = core.now + window.length
    for entry in it.entries:
        target = core.tables.queues[core.queue_of(entry)].target
        if selection.window_of(core, entry) == w and target >= 0 and it.wait_from + target > core.now:
            window.closes_at = min(window.closes_at, it.wait_from + target)
    if core.agents[j].edge - 1 > core.now:
        window.closes_at = min(window.closes_at, core.agents[j].edge - 1)


def close_those_of(core: Core, i: int) -> bool:
    """Close the windows that hold an interaction, before it takes a step; whether there are any."""
    held = [w for w in range(len(core.tables.windows)) if selection.agents_for(core, i, window=w)]
    for w in held:
        close(core, w)
    return bool(held)


def close(core: Core, w: int) -> None:
    """Match what a window holds, round after round, and make the offers in order."""
    core.tables.windows[w].closes_at = -1
    while (found := _round(core, w)) is not None:
        if len(found.rows) * len(found.columns) > limits.WINDOW_CELLS_MAX:
            _one_by_one(core, w)
            return
        for (*_, i, e), j in _matched(core, found):
            it = core.interactions[i]
            if it is None or it.state not in IN_QUEUE or not _held(core, w, i, it.entries[e], j):
                continue
            core._offer(i, e, j)
            if it.state not in IN_QUEUE or selection.offers_full(core, i):
                core.arm(i)


def _one_by_one(core: Core, w: int) -> None:
    """Too many are unlike each other: decide as without a window, in order."""
    waiting = sorted({min(places)[:4] for places in _places_by_interaction(core, w).values()})
    core.loose = w
    for *_, i in waiting:
        core._place(i)
    core.loose = -1


def _held(core: Core, w: int, i: int, entry: Entry, j: int) -> bool:
    return selection.window_of(core, entry) == w and selection.why_not(core, i, entry, j) == Clause.IN_WINDOW


# A round -------------------------------------------------------------------------------------------------------------


def _places_by_interaction(core: Core, w: int) -> dict[int, list[Place]]:
    """Where interactions wait in a window for a further offer."""
    found: dict[int, list[Place]] = {}
    for i, it in enumerate(core.interactions):
        if it is None or it.state not in IN_QUEUE or selection.offers_full(core, i) or selection.bound(core, i):
            continue
        for e, entry in enumerate(it.entries):
            if selection.window_of(core, entry) == w:
                found.setdefault(i, []).append((entry.tier, entry.since, entry.seq, i, e))
    return found


def _round(core: Core, w: int) -> Round | None:
    """Rows, columns, and the cells of least standing; None where nothing can be matched."""
    rows = _rows(core, w)
    found = Round(rows, _columns(core, rows))
    for r, row in enumerate(rows):
        for c, column in enumerate(found.columns):
            cells = [_cell(core, place, column.agents[0]) for place in (row.places if row.own else row.places[:1])]
            good = [cell for cell in cells if _held(core, w, *_entry(core, cell.place), column.agents[0])]
            if good:
                found.cells[r, c] = min(good, key=lambda cell: (cell.standing, -cell.value, cell.place[4]))
    if not found.cells:
        return None
    least = min(cell.standing for cell in found.cells.values())
    return evolve(found, cells={at: cell for at, cell in found.cells.items() if cell.standing == least})


def _entry(core: Core, place: Place) -> tuple[int, Entry]:
    return place[3], core.live(place[3]).entries[place[4]]


def _rows(core: Core, w: int) -> list[Row]:
    """Who waits, by class, tier and how many of the class's openings have passed; in the order of their first.

    What has ties, live offers or several entries is a row of its own.
    """
    rows: dict[tuple[int, ...], Row] = {}
    for i, places in _places_by_interaction(core, w).items():
        it = core.live(i)
        own = bool(it.ties or len(it.entries) > 1 or core.offers_of(i))
        for place in places:
            entry = it.entries[place[4]]
            opens = {pair.opens for pair in core.tables.classes[entry.class_].pairs if pair.opens > 0}
            passed = sum(core.now - entry.since >= delay for delay in opens)
            kind = (-1, i) if own else (entry.class_, entry.tier, passed)
            rows.setdefault(kind, Row([], own)).places.append(place)
    for row in rows.values():
        row.places.sort(key=lambda place: place[4] if row.own else place)
    return sorted(rows.values(), key=lambda row: min(row.places))


def _columns(core: Core, rows: Sequence[Row]) -> list[Column]:
    """Who has room, by group, channels with room, of these the ones that interrupt something, and places.

    Groups that no row is open to, as far as tables and conditions say, are left out. Somebody to whom a row of its own
    has a tie or a live offer is a column of his own.
    """
    unlike = set()
    for row in rows:
        if row.own:
            i = row.places[0][3]
            unlike |= {tie.agent for tie in core.live(i).ties} | {offer.agent for offer in core.offers_of(i)}
    channels = sorted({core.live(place[3]).channel for row in rows for place in row.places})
    classes = {core.live(place[3]).entries[place[4]].class_ for row in rows for place in row.places}
    able = {g for g in range(len(core.tables.groups)) if any(_serves(core, k, g) for k in classes)}
    columns: dict[tuple[int, ...], Column] = {}
    for j in sorted(range(len(core.agents)), key=lambda j: (core.agents[j].stamp, j)):
        agent = core.agents[j]
        rooms = [c for c in range(len(core.tables.channels)) if selection.has_room(core, j, c)]
        if agent.presence != Presence.READY or agent.rest >= 0 or not rooms or agent.group not in able:
            continue
        places = _places(core, j, channels[0]) if len(channels) == 1 else 1
        bands = sum(1 << c for c in rooms if selection.yields(core, agent, c))
        kind = (agent.group, sum(1 << c for c in rooms), bands, places, j if j in unlike else -1)
        columns.setdefault(kind, Column([], places)).agents.append(j)
    return list(columns.values())


def _serves(core: Core, k: int, g: int) -> bool:
    """Whether tables and conditions let a group serve a class at all."""
    pair = core.tables.classes[k].pairs[g]
    return pair.opens != limits.NEVER and (pair.condition < 0 or core.tables.conditions[pair.condition].holds)


def _places(core: Core, j: int, channel: int) -> int:
    """How many more of a channel an agent could be offered at once, at least 1; 1 where more is not safe to say."""
    agent = core.agents[j]
    group = core.tables.groups[agent.group]
    if not core.tables.channels[channel].flags & RESERVES_OFFERED or group.burst or group.interrupts[channel]:
        return 1
    places = 0
    while places < PLACES_MAX and selection.fits(core, agent, channel):
        core._hold(j, channel, +1)
        places += 1
    for _ in range(places):
        core._hold(j, channel, -1)
    return max(places, 1)


def _cell(core: Core, place: Place, j: int) -> Cell:
    """What an entry and an agent give."""
    agent, (_, entry) = core.agents[j], _entry(core, place)
    class_, group = core.tables.classes[entry.class_], core.tables.groups[agent.group]
    pair = class_.pairs[agent.group]
    standing = (int(selection.yields(core, agent, class_.channel) > 0), pair.rank_in, entry.tier)
    value = selection.weigh(core, class_, entry.since, pair.cost_in)
    return Cell(standing, value, place, pair.rank_out, pair.cost_out + group.term)


# Who, and by whom ----------------------------------------------------------------------------------------------------


def _matched(core: Core, found: Round) -> list[Chosen]:
    """The matches of a round, in the order of their places."""
    served = _served(core, found)
    cost = _conceded(found, sum(served))
    left = {(r, c): many for r, c, many in found.flows([[0] * many for many in served], cost)}
    taken = [dict.fromkeys(column.agents, 0) for column in found.columns]
    pairs = []
    chosen = [(place, r) for r, row in enumerate(found.rows) for place in row.places[: served[r]]]
    for place, r in sorted(chosen):
        c = min((cost[at], at[1]) for at, many in left.items() if at[0] == r and many)[1]
        left[r, c] -= 1
        own = found.cells[r, c].place if found.rows[r].own else place
        j = _first(core, own, taken[c], found.columns[c].places)
        taken[c][j] += 1
        pairs.append((own, j))
    return sorted(_in_order(core, found, pairs))


def _served(core: Core, found: Round) -> list[int]:
    """How many of each row are served: the first so many; of a row of its own, one."""
    weights: list[list[int]] = []
    cost: dict[tuple[int, int], int] = {}
    for r, row in enumerate(found.rows):
        cells = {at: cell for at, cell in found.cells.items() if at[0] == r}
        if row.own:
            best = max((cell.value for cell in cells.values()), default=0)
            weights.append([best] * bool(cells))
            cost |= {at: best - cell.value for at, cell in cells.items()}
            continue
        (_, first), weighs = _entry(core, row.places[0]), []
        class_ = core.tables.classes[first.class_]
        for place in row.places if cells else ():
            _, entry = _entry(core, place)
            weighs.append(selection.weigh(core, class_, entry.since, 0))
        weights.append(weighs)
        cost |= {at: class_.pairs[core.agents[found.columns[at[1]].agents[0]].group].cost_in for at in cells}
    heavy, dear = max(abs(w) for row in weights for w in row), max(map(abs, cost.values()))
    shift, reach = 0, found.reach()
    while heavy >> shift >= limits.MATCH_WEIGHT_MAX or dear >> shift >= reach:
        shift += 1
    coarse = [[w >> shift for w in row] for row in weights]
    flows = found.flows(coarse, {at: price >> shift for at, price in cost.items()})
    return [sum(many for row, _, many in flows if row == r) for r in range(len(found.rows))]


def _conceded(found: Round, matches: int) -> dict[tuple[int, int], int]:
    """What each cell concedes when it is chosen by whom: its rank, then its cost, as one number.

    Costs that would not fit beside ranks are compared in coarser units.
    """
    cells = found.cells.values()
    rank, cheapest = min(cell.rank for cell in cells), min(cell.cost for cell in cells)
    ranks, spread = max(cell.rank for cell in cells) - rank, max(cell.cost for cell in cells) - cheapest
    shift, most = 0, ((found.reach() // (ranks + 1)) - 1) // matches
    while spread >> shift and spread >> shift >= most:
        shift += 1
    unit = (spread >> shift) * matches + 1
    return {at: (cell.rank - rank) * unit + ((cell.cost - cheapest) >> shift) for at, cell in found.cells.items()}


def _first(core: Core, place: Place, taken: dict[int, int], places: int) -> int:
    """Whom of a column an entry gets: who was given least so far, then as agent selection orders equals."""
    _, entry = _entry(core, place)
    class_ = core.tables.classes[entry.class_]
    key = class_.agent_key

    def order(j: int) -> tuple[int, ...]:
        agent = core.agents[j]
        idle = agent.idle_since if core.tables.groups[agent.group].idle_rate else 0
        stands = 0 if key == AgentKey.WEIGHTED_RANDOM else keys.key_value(core, -1, j, key, class_.queue)
        return taken[j], idle, stands, agent.stamp, j

    return min((j for j in taken if taken[j] < places), key=order)


def _in_order(core: Core, found: Round, pairs: list[Chosen]) -> Iterator[Chosen]:
    """Nobody passes somebody before him in his class and tier who could have had the same agent.

    Only what is a row of its own can have been passed, where the weights are equal.
    """
    columns = {j: c for c, column in enumerate(found.columns) for j in column.agents}
    rows = {place: r for r, row in enumerate(found.rows) for place in row.places}
    served = {place[3] for place, _ in pairs}
    left = sorted(place for place in rows if place[3] not in served)

    def passed(by: Place, j: int) -> Iterator[Place]:
        class_ = _entry(core, by)[1].class_
        for place in left:
            cell = found.cells.get((rows[place], columns[j]))
            same = _entry(core, place)[1].class_ == class_ and place[0] == by[0] and place < by
            if same and cell is not None and (not found.rows[rows[place]].own or cell.place == place):
                yield place

    for place, j in sorted(pairs, reverse=True):
        first = next(passed(place, j), None)
        if first is not None:
            left = sorted([place, *(other for other in left if other[3] != first[3])])
        yield first or place, j
