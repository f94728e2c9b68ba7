"""Closed forms and Markov chains that know what a correct router must show.

Rates are per time unit: ``l`` arrivals, ``m`` service, ``th`` abandonment, ``n`` agents. A wait is that of all
interactions, zero waits and abandonments included, unless the name says otherwise. Nothing here knows omniroute.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, permutations, product
from math import exp, factorial, prod
from pathlib import Path

import numpy as np

State = tuple[int, ...]
Rates = Callable[[State], Iterable[tuple[State, float]]]
BATCHES = 40


def assert_mean(what: str, series: np.ndarray, exact: float, s: float | None = None) -> None:
    """The mean of a series in the order of time is the exact value within four standard errors."""
    series = np.asarray(series, float)
    if s is None:
        batches = series[: len(series) // BATCHES * BATCHES].reshape(BATCHES, -1).mean(axis=1)
        error = batches.std(ddof=1) / BATCHES**0.5
    else:
        error = s / len(series) ** 0.5
    judge(what, exact, float(series.mean()), error, len(series))


def judge(what: str, exact: float, found: float, error: float, rows: int) -> None:
    """What was found is the exact value within four standard errors; also told to the file that is asked for by name.

    ``python -m benchmarks.how_exact`` makes a page of such a file: a line is a test, what it judged, and the numbers.
    """
    path = os.environ.get("OMNIROUTE_JUDGED")
    if path:
        test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        with Path(path).open("a") as file:
            file.write(json.dumps([test, what, float(exact), found, float(error), rows]) + "\n")
    assert abs(found - exact) <= 4 * error, f"{what}: {found:.6g} is not {exact:.6g} within {4 * error:.2g} (N={rows})"


# Erlang ---------------------------------------------------------------------------------------------------------------


def erlang_b(a: float, n: int) -> float:
    """The share of arrivals that find all ``n`` agents busy and are lost; ``a`` is the offered load."""
    blocked = 1.0
    for k in range(1, n + 1):
        blocked = a * blocked / (k + a * blocked)
    return blocked


def erlang_c(l: float, m: float, n: int) -> float:  # noqa: E741
    """The share of arrivals that wait, nobody leaving."""
    rho = l / (n * m)
    b = erlang_b(l / m, n)
    return b / (1 - rho * (1 - b))


def erlang_c_wait(l: float, m: float, n: int) -> float:  # noqa: E741
    """The mean wait, nobody leaving."""
    return erlang_c(l, m, n) / (n * m - l)


def erlang_c_late(l: float, m: float, n: int, t: float) -> float:  # noqa: E741
    """The share that waits longer than ``t``."""
    return erlang_c(l, m, n) * exp(-(n * m - l) * t)


def birth_death(births: Sequence[float], deaths: Sequence[float]) -> np.ndarray:
    """The stationary distribution of a birth-death chain; ``births[k]`` leads to k + 1, ``deaths[k]`` back to k."""
    weights = np.concatenate([[0.0], np.cumsum(np.log(births) - np.log(deaths))])
    weights = np.exp(weights - weights.max())
    return weights / weights.sum()


def finite_room(l: float, m: float, n: int, k: int) -> tuple[float, float, float]:  # noqa: E741
    """(blocked, mean wait of the accepted, share of the accepted that waits) with room for ``k`` in all."""
    p = birth_death([l] * k, [m * min(j, n) for j in range(1, k + 1)])
    queue = sum((j - n) * p[j] for j in range(n, k + 1))
    accepted = 1 - p[k]
    return p[k], queue / (l * accepted), p[n:k].sum() / accepted


def erlang_a(l: float, m: float, n: int, th: float, top: int = 2000) -> dict[str, float]:  # noqa: E741
    """Erlang A: shares that wait and leave, mean waits of all, served and abandoned, utilisation."""
    p = birth_death([l] * top, [m * min(j, n) + th * max(j - n, 0) for j in range(1, top + 1)])
    behind = np.arange(1, top - n + 2)  # arriving to n + k - 1 in the system, k-th in the queue
    found = p[n : n + len(behind)]
    wait = float(sum((j - n) * p[j] for j in range(n, top + 1)) / l)
    served = n * m / (n * m + behind * th)
    hops = [1 / (n * m + k * th) for k in behind]
    served_wait = float((found * served * np.cumsum(hops)).sum())
    abandoned = th * wait
    return {
        "p_wait": float(p[n:].sum()),
        "p_abandon": abandoned,
        "wait": wait,
        "wait_served": served_wait / (1 - abandoned),
        "wait_abandoned": (wait - served_wait) / abandoned,
        "utilisation": float((np.minimum(np.arange(top + 1), n) * p).sum() / n),
    }


def service_levels_with_abandonment(l: float, m: float, n: int, th: float, t: float) -> tuple[float, ...]:  # noqa: E741
    """SL1..SL4 of Erlang A: served within t over offered, over served, over all but early leavers, both over all."""
    a = erlang_a(l, m, n, th)
    top = 400
    p = birth_death([l] * (n + top), [m * min(j, n) + th * max(j - n, 0) for j in range(1, n + top + 1)])
    # The virtual wait of the k-th in the queue: hops at rates n m + (i - 1) th, i = k..1, if he never leaves; then his
    # own patience is independent of it. Solve d/dt of "still waiting in place k" by the matrix exponential.
    rates = np.array([n * m + i * th for i in range(top)])
    generator = np.diag(-rates) + np.diag(rates[1:], -1)
    moved = matrix_exponential(generator.T * t)
    start = p[n : n + top]
    waiting = start @ moved.T  # alive in place k at time t, patience ignored
    late_all = float(waiting.sum()) * exp(-th * t)  # wait > t: offered wait > t and patience > t
    late_served = sum(waiting[k] * exp(-th * t) * _served_from(k + 1, n * m, th) for k in range(top))
    served, left = 1 - a["p_abandon"], a["p_abandon"]
    s = served - late_served
    left_early = left - (late_all - late_served)
    return s, s / served, s / (1 - left_early), s + left_early


def _served_from(k: int, speed: float, th: float) -> float:
    """The chance to be served from place ``k`` of the queue."""
    return speed / (speed + k * th)


def matrix_exponential(a: np.ndarray) -> np.ndarray:
    """The exponential of a matrix, by scaling, a Taylor series and squaring."""
    squarings = max(0, int(np.ceil(np.log2(max(np.abs(a).sum(axis=0).max(), 1e-30)))) + 1)
    scaled = a / 2.0**squarings
    result = term = np.eye(len(a))
    for k in range(1, 24):
        term = term @ scaled / k
        result = result + term
    for _ in range(squarings):
        result = result @ result
    return result


def day_from_empty(l: float, m: float, n: int, end: float, t: float, th: float, top: int = 160) -> dict[str, float]:  # noqa: E741
    """A day that starts empty and takes arrivals until ``end``; sums over arrivals, who see the chain at their time.

    ``in_target`` (offered wait <= t) is the number served in time only where nobody leaves (``th`` 0).
    """
    states = np.arange(top + 1)
    deaths = m * np.minimum(states, n) + th * np.maximum(states - n, 0)
    births = np.where(states < top, l, 0.0)
    generator = np.diag(-births - deaths) + np.diag(births[:-1], 1) + np.diag(deaths[1:], -1)
    places = [max(int(k) - n + 1, 0) for k in states]
    rewards = [[_wait_from(k, n * m, th), _erlang_cdf(k, n * m, t), 1 - _served_from(k, n * m, th)] for k in places]
    big = np.zeros((top + 4, top + 4))
    big[: top + 1, : top + 1], big[: top + 1, top + 1 :] = generator, rewards
    wait, in_target, left = matrix_exponential(big * end)[0, top + 1 :]
    return {"wait": wait / end, "in_target": in_target * l, "abandoned": left * l, "served": l * (end - left)}


def _wait_from(k: int, speed: float, th: float) -> float:
    """The mean wait, served or not, from place ``k`` of the queue."""
    total = 0.0
    for j in range(int(k), 0, -1):
        reach = prod((speed + (i - 1) * th) / (speed + i * th) for i in range(int(k), j, -1))
        total += reach / (speed + j * th)
    return total


def _erlang_cdf(k: int, rate: float, t: float) -> float:
    """P(k exponential stages of ``rate`` end within ``t``)."""
    return 1 - exp(-rate * t) * sum((rate * t) ** i / factorial(i) for i in range(min(k, 150)))


# Priority -------------------------------------------------------------------------------------------------------------


def priority_waits(ls: Sequence[float], m: float, n: int) -> list[float]:
    """Mean waits by class under strict non-preemptive priority, class 0 first, common service rate."""
    work = erlang_c(sum(ls), m, n) / (n * m)
    sums = [sum(ls[:k]) / (n * m) for k in range(len(ls) + 1)]
    return [work / ((1 - sums[k]) * (1 - sums[k + 1])) for k in range(len(ls))]


def priority_late(ls: tuple[float, float], m: float, n: int, t: float, top: int = 400) -> tuple[float, float]:
    """P(wait > t) of both classes: a class-1 wait is a first-come wait; a class-2 wait is a sum of busy periods.

    While all agents are busy the queue of class 1 goes up with l1 and down with n m, from 0 whenever all become busy:
    given all busy it is geometric, so the wait is exponential. Class 2, behind q of both classes in the queue, waits
    q + 1 services and whatever class 1 brings meanwhile.
    """
    speed, (l1, l2) = n * m, ls
    wait = erlang_c(l1 + l2, m, n)
    r = (l1 + l2) / speed
    behind = (1 - r) * r ** np.arange(top)  # of both classes in the queue, given all busy
    rates = np.array([_not_through(k + 1, l1, speed, t) for k in range(top)])
    late2 = wait * float((behind * rates).sum())
    return wait * exp(-(speed - l1) * t), late2


def _not_through(k: int, l1: float, speed: float, t: float) -> float:
    """P(a workload of ``k`` services, fed by class 1, has not run empty by ``t``)."""
    key = (l1, speed, t)
    if key not in _NOT_THROUGH:
        top = 900
        generator = np.diag(np.full(top, -l1 - speed)) + np.diag(np.full(top - 1, speed), -1)
        generator += np.diag(np.full(top - 1, l1), 1)
        _NOT_THROUGH[key] = matrix_exponential(generator * t).sum(axis=1)
    return float(_NOT_THROUGH[key][k - 1])


_NOT_THROUGH: dict[tuple[float, float, float], np.ndarray] = {}


def accumulating_waits(ls: Sequence[float], m: float, n: int, b: Sequence[float]) -> list[float]:
    """Mean waits when class k ages ``b[k]`` times as fast; common service rate."""
    order = sorted(range(len(ls)), key=lambda k: b[k])
    rhos = [l / (n * m) for l in ls]  # noqa: E741
    work = erlang_c(sum(ls), m, n) / (n * m)
    waits = [0.0] * len(ls)
    for place, p in enumerate(order):
        low = sum(rhos[i] * waits[i] * (1 - b[i] / b[p]) for i in order[:place])
        high = sum(rhos[i] * (1 - b[p] / b[i]) for i in order[place + 1 :])
        waits[p] = (work / (1 - sum(rhos)) - low) / (1 - high)
    return waits


# Chains ---------------------------------------------------------------------------------------------------------------


def stationary(levels: Sequence[Sequence[State]], rates: Rates) -> dict[State, float]:
    """The stationary distribution of a chain whose moves lead to the same or a neighbouring level.

    Block elimination from the top; transitions to states that are not listed are left out (a truncation).
    """
    where = {state: (k, p) for k, level in enumerate(levels) for p, state in enumerate(level)}
    local = [np.zeros((len(level), len(level))) for level in levels]
    up = [np.zeros((len(a), len(b))) for a, b in pairwise(levels)]
    down = [np.zeros((len(b), len(a))) for a, b in pairwise(levels)]
    for state, (k, p) in where.items():
        for target, rate in rates(state):
            if target not in where or rate == 0:
                continue
            to, q = where[target]
            local[k][p, p] -= rate
            block = local[k] if to == k else up[k] if to == k + 1 else down[to]
            block[p, q] += rate
    ratio: list[np.ndarray] = [np.empty(0)] * len(levels)
    carry = local[-1]
    for k in range(len(levels) - 1, 0, -1):
        ratio[k] = np.linalg.solve(-carry.T, up[k - 1].T).T
        carry = local[k - 1] + ratio[k] @ down[k - 1]
    system = carry.T.copy()
    system[0] = 1.0
    right = np.zeros(len(levels[0]))
    right[0] = 1.0
    rows = [np.linalg.solve(system, right)]
    for k in range(1, len(levels)):
        rows.append(rows[-1] @ ratio[k])
    total = sum(row.sum() for row in rows)
    return {state: float(rows[k][p] / total) for state, (k, p) in where.items()}


def two_classes(
    ls: tuple[float, float], m: float, n: int, ths: tuple[float, float], tops: tuple[int, int]
) -> dict[State, float]:
    """Chain of two classes with their own patience, class 0 strictly first: states (busy, queue 0, queue 1)."""

    def rates(state: State) -> Iterator[tuple[State, float]]:
        busy, high, low = state
        if busy < n:
            yield (busy + 1, 0, 0), sum(ls)
            if busy:
                yield (busy - 1, 0, 0), m * busy
            return
        yield (n, high + 1, low), ls[0]
        yield (n, high, low + 1), ls[1]
        after = (n, high - 1, low) if high else (n, 0, low - 1) if low else (n - 1, 0, 0)
        yield after, m * n
        if high:
            yield (n, high - 1, low), ths[0] * high
        if low:
            yield (n, high, low - 1), ths[1] * low

    levels = [[(n, high, low) for high in range(tops[0] + 1)] for low in range(tops[1] + 1)]
    levels[0] = [(busy, 0, 0) for busy in range(n)] + levels[0]
    return stationary(levels, rates)


def pooled_n(
    ls: tuple[float, float], agents: tuple[int, int], *, b_first: bool, tops: tuple[int, int]
) -> tuple[float, float]:
    """Mean waits of a and b: dedicated agents for a only, flexible for both, m = 1; states (d, f, queue a, queue b)."""
    dedicated, flexible = agents

    def rates(state: State) -> Iterator[tuple[State, float]]:
        d, f, a, b = state
        if d < dedicated:
            yield (d + 1, f, a, b), ls[0]
        elif f < flexible:
            yield (d, f + 1, a, b), ls[0]
        else:
            yield (d, f, a + 1, b), ls[0]
        yield ((d, f + 1, a, b) if f < flexible else (d, f, a, b + 1)), ls[1]
        if d:
            yield ((d, f, a - 1, b) if a else (d - 1, f, a, b)), float(d)
        if f:
            first = [(d, f, a - 1, b)] * (a > 0)
            other = [(d, f, a, b - 1)] * (b > 0)
            choice = [*other, *first] if b_first else [*first, *other]
            yield (choice or [(d, f - 1, a, b)])[0], float(f)

    full = [(d, flexible, 0, 0) for d in range(dedicated)] + [(dedicated, flexible, a, 0) for a in range(tops[0])]
    levels = [[(*s[:3], b) for s in full] for b in range(tops[1])]
    levels[0] = [(d, f, 0, 0) for f in range(flexible) for d in range(dedicated + 1)] + levels[0]
    p = stationary(levels, rates)
    return sum(s[2] * x for s, x in p.items()) / ls[0], sum(s[3] * x for s, x in p.items()) / ls[1]


def reserved(
    ls: tuple[float, float], m: float, n: int, on: int, off: int, tops: tuple[int, int] = (30, 160)
) -> tuple[float, float]:
    """Mean waits where class 0 is first and class 1 starts only while its gate holds.

    The gate holds from ``on`` idle agents, one just freed included, until fewer than ``off`` are idle. States (busy,
    gate, queue 0, queue 1); only those in which nobody could start.
    """

    def started(state: State) -> State:
        busy, gate, high, low = state
        gate = int(n - busy >= (off if gate else on))
        while busy < n and (high or (low and gate)):
            busy, high, low = (busy + 1, high - 1, low) if high else (busy + 1, high, low - 1)
            gate = int(gate and n - busy >= off)
        return busy, gate, high, low

    def rates(state: State) -> Iterator[tuple[State, float]]:
        busy, gate, high, low = state
        yield started((busy, gate, high + 1, low)), ls[0]
        yield started((busy, gate, high, low + 1)), ls[1]
        if busy:
            yield started((busy - 1, gate, high, low)), m * busy

    step = on - off + 1  # so many of class 1 may start at once
    levels: list[list[State]] = [[] for _ in range(tops[1] // step + 1)]
    for low in range(tops[1]):
        states = [(busy, gate, 0, low) for busy in range(n + 1) for gate in (0, 1)]
        states += [(n, 0, high, low) for high in range(1, tops[0])]
        levels[low // step] += [state for state in states if started(state) == state]
    p = stationary([level for level in levels if level], rates)
    return sum(s[2] * x for s, x in p.items()) / ls[0], sum(s[3] * x for s, x in p.items()) / ls[1]


# Skills, product form -------------------------------------------------------------------------------------------------


def skills_fcfs(
    ls: Sequence[Fraction], ms: Sequence[Fraction], serves: Sequence[frozenset[int]]
) -> dict[str, list[Fraction]]:
    """First come first served, longest idle agent: P(wait), W by class, busy by agent (Adan and Weiss).

    ``serves[j]`` are the classes of agent j. A state is the order of the busy agents, how many wait behind each, and
    the order of the idle; with everybody whom only the first k busy serve between the k-th and the next, counts are
    geometric and are summed in closed form.
    """
    agents, classes = range(len(ms)), range(len(ls))
    total, busy = Fraction(0), [Fraction(0)] * len(ms)
    waits, queues = [Fraction(0)] * len(ls), [Fraction(0)] * len(ls)
    for order in permutations(agents):
        for count in range(len(ms) + 1):
            working = order[:count]
            weight, lengths = _product(order, count, ls, ms, serves)
            total += weight
            for j in working:
                busy[j] += weight
            for c in classes:
                waits[c] += weight * all(j in working for j in agents if c in serves[j])
                queues[c] += weight * lengths[c]
    return {
        "p_wait": [x / total for x in waits],
        "wait": [x / total / rate for x, rate in zip(queues, ls, strict=True)],
        "busy": [x / total for x in busy],
    }


def _product(
    order: tuple[int, ...], count: int, ls: Sequence[Fraction], ms: Sequence[Fraction], serves: Sequence[frozenset[int]]
) -> tuple[Fraction, list[Fraction]]:
    """The weight of an order of agents of whom the first ``count`` are busy, and the mean queues by class there."""
    weight, lengths = Fraction(1), [Fraction(0)] * len(ls)
    for k in range(1, count + 1):
        speed = sum((ms[j] for j in order[:k]), Fraction(0))
        others = frozenset[int]().union(*(serves[j] for j in order[k:]))
        alone = [c for c in range(len(ls)) if c not in others]
        rate = sum((ls[c] for c in alone), Fraction(0))
        ratio = rate / speed
        weight *= 1 / (speed * (1 - ratio))
        for c in alone:
            lengths[c] += ratio / (1 - ratio) * ls[c] / rate
    for k in range(count, len(order)):
        able = frozenset[int]().union(*(serves[j] for j in order[k:]))
        weight /= sum((ls[c] for c in able), Fraction(0))
    return weight, lengths


def capacity_blocking(offered: Sequence[Fraction], units: Sequence[int], capacity: int) -> list[Fraction]:
    """Blocking by class on one pool of units without waiting: the product form of independent Poisson loads."""
    weights = {0: Fraction(1)}
    states: dict[int, Fraction] = {0: Fraction(1)}
    for load, size in zip(offered, units, strict=True):
        states = {}
        for used, weight in weights.items():
            for k in range((capacity - used) // size + 1):
                states[used + k * size] = states.get(used + k * size, Fraction(0)) + weight * load**k / factorial(k)
        weights = states
    total = sum(states.values())
    return [sum(w for used, w in states.items() if used > capacity - size) / total for size in units]


# Channels -------------------------------------------------------------------------------------------------------------


def shared_attention(l: float, rates: Sequence[float], agents: int, room: int = 200) -> dict[str, float | list[float]]:  # noqa: E741
    """Agents who hold up to ``len(rates)`` chats of exp(1) work, each of k chats progressing at ``rates[k - 1]``.

    First come first served, lightest load first. A state is how many agents hold 0, 1... chats, and how many wait; all
    are full while anybody waits. ``handle`` is the mean time from start to end, ``shares`` those of the first numbers.
    """
    most = len(rates)

    def moved(state: State, a: int, b: int) -> State:
        held = list(state)
        held[a] -= 1
        held[b] += 1
        return tuple(held)

    def moves(state: State) -> Iterator[tuple[State, float]]:
        *held, waiting = state
        least = next(k for k in range(most + 1) if held[k])
        yield (*held, waiting + 1) if least == most else moved(state, least, least + 1), l
        for k in range(1, most + 1):
            if held[k]:
                after = (*held, waiting - 1) if waiting else moved(state, k, k - 1)
                yield after, held[k] * k * rates[k - 1]

    levels: list[list[State]] = [[] for _ in range(agents * most + 1)]
    for counts in product(range(agents + 1), repeat=most + 1):
        if sum(counts) == agents:
            levels[sum(k * count for k, count in enumerate(counts))].append((*counts, 0))
    levels += [[(*[0] * most, agents, waiting)] for waiting in range(1, room + 1)]
    p = stationary(levels, moves)
    shares = [sum(s[k] * x for s, x in p.items()) / agents for k in range(most + 1)]
    return {
        "p_wait": sum(x for s, x in p.items() if s[most] == agents),
        "wait": sum(s[-1] * x for s, x in p.items()) / l,
        "handle": agents * sum(k * share for k, share in enumerate(shares)) / l,
        "shares": shares,
    }


VOICE, CHAT = 0, 1
NEVER_TOGETHER = frozenset({(VOICE, CHAT), (CHAT, VOICE)})
"""Pairs (held, new) of channels: while an agent holds the one he is given no interaction of the other."""


def compatible(
    ls: Sequence[float] = (0.6, 1.2),
    at_most: Sequence[int] = (1, 2),
    agents: int = 2,
    barred: frozenset[tuple[int, int]] = NEVER_TOGETHER,
) -> dict[State, float]:
    """The distribution of two channels on alike agents where some pairs of channels do not go together.

    A state is (calls of agent 0, chats of agent 0, calls of agent 1, chats of agent 1...): what each of them holds. An
    interaction ends at rate 1 whatever else is held. A new one goes to :func:`taker` and is lost where there is none.
    Only states that can be reached from empty: with the rule on both sides an agent holds nothing, a call, one chat
    or two, so two agents have 16; without the rule 36.
    """

    def moves(state: State) -> Iterator[tuple[State, float]]:
        for new, rate in enumerate(ls):
            j = taker(state, new, at_most, barred)
            if j >= 0:
                yield _with(state, 2 * j + new, 1), rate
        for place, held in enumerate(state):
            if held:
                yield _with(state, place, -1), float(held)

    seen, fresh = {(0,) * 2 * agents}, [(0,) * 2 * agents]
    while fresh:
        found = {target for target, _ in moves(fresh.pop())} - seen
        seen |= found
        fresh += found
    return stationary([sorted(seen)], moves)


def taker(state: State, new: int, at_most: Sequence[int], barred: frozenset[tuple[int, int]]) -> int:
    """The agent who holds least of those who may take one more of channel ``new``, then the lowest number; -1: none."""

    def may(j: int) -> bool:
        bars = any(state[2 * j + held] for held, other in barred if other == new)
        return not bars and state[2 * j + new] < at_most[new]

    able = [(state[2 * j] + state[2 * j + 1], j) for j in range(len(state) // 2) if may(j)]
    return min(able, default=(0, -1))[1]


def _with(state: State, place: int, more: int) -> State:
    return (*state[:place], state[place] + more, *state[place + 1 :])


def compatible_loss(
    ls: Sequence[float] = (0.6, 1.2),
    at_most: Sequence[int] = (1, 2),
    agents: int = 2,
    barred: frozenset[tuple[int, int]] = NEVER_TOGETHER,
) -> tuple[float, float]:
    """The shares of voice and of chats that are lost in :func:`compatible`, where its states are explained.

    Alike agents: which of two who hold the same is chosen changes who is busy, not what is lost.
    """
    p = compatible(ls, at_most, agents, barred)
    voice, chat = (sum(x for s, x in p.items() if taker(s, new, at_most, barred) < 0) for new in (VOICE, CHAT))
    return voice, chat


def interrupted(ls: tuple[float, float], ms: tuple[float, float], top: int = 600) -> dict[str, float]:
    """One agent: calls that find no other call interrupt his e-mail and are else lost; e-mails wait and are resumed.

    A state is (a call is held, an e-mail is begun, e-mails that are there). Shares of time, and the mean number there.
    """

    def moves(state: State) -> Iterator[tuple[State, float]]:
        call, begun, mails = state
        yield (call, int(begun or not call), mails + 1), ls[1]
        if call:
            yield (0, int(mails > 0), mails), ms[0]
        else:
            yield (1, begun, mails), ls[0]
            if begun:
                yield (0, int(mails > 1), mails - 1), ms[1]

    levels = [[(call, begun, mails) for call in (0, 1) for begun in (0, 1)] for mails in range(top)]
    levels = [[s for s in level if s[1] <= s[2] and (s[0] or s[1] == (s[2] > 0))] for level in levels]
    p = stationary(levels, moves)
    return {
        "voice": sum(x for s, x in p.items() if s[0]),
        "email": sum(x for s, x in p.items() if s[1] and not s[0]),
        "interrupted": sum(x for s, x in p.items() if s[1] and s[0]),
        "mails": sum(s[2] * x for s, x in p.items()),
    }
