"""What others would write for the same columns: a loop over a heap, a compiled loop, SimPy, Ciw.

Each takes the same columns of integers and returns the waits, so answers are compared row by row.
"""

from __future__ import annotations

import ctypes
import heapq
import shutil
import subprocess
import sysconfig
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SOURCE = r"""
#include <stdint.h>
#include <stdlib.h>
/* M/M/n, two priority classes: one heap of ends, two first-in-first-out lines. Ends go before arrivals. */
int run(int64_t rows, int64_t n, const int64_t *at, const int64_t *tier, const int64_t *handle, int64_t *wait) {
    int64_t *heap = malloc((n + 1) * 8), *line[2], head[2] = {0, 0}, tail[2] = {0, 0}, busy = 0, a = 0;
    line[0] = malloc((rows + 1) * 8);
    line[1] = malloc((rows + 1) * 8);
    if (!heap || !line[0] || !line[1]) return 1;
    while (a < rows || busy) {
        int64_t now, row = -1;
        if (busy && (a == rows || heap[0] <= at[a])) {
            now = heap[0];
            int64_t last = heap[--busy], i = 0, c;
            while ((c = 2 * i + 1) < busy) {
                if (c + 1 < busy && heap[c + 1] < heap[c]) c++;
                if (heap[c] >= last) break;
                heap[i] = heap[c];
                i = c;
            }
            heap[i] = last;
            int k = head[0] < tail[0] ? 0 : 1;
            if (head[k] < tail[k]) row = line[k][head[k]++];
        } else {
            now = at[a];
            if (busy < n) row = a;
            else line[tier[a]][tail[tier[a]]++] = a;
            a++;
        }
        if (row >= 0) {
            wait[row] = now - at[row];
            int64_t end = now + handle[row], i = busy++, up;
            while (i && heap[up = (i - 1) / 2] > end) {
                heap[i] = heap[up];
                i = up;
            }
            heap[i] = end;
        }
    }
    free(heap), free(line[0]), free(line[1]);
    return 0;
}
"""


def compiled_loop() -> ctypes._NamedFuncPointer | None:
    """Compile the bare loop into a temporary folder; None where there is no C compiler."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    found = shutil.which(compiler) or shutil.which("cc")
    if found is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "loop.c", Path(folder) / "loop.so"
        source.write_text(SOURCE)
        subprocess.run([found, "-O3", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        return ctypes.CDLL(str(library)).run


def pointer(column: np.ndarray) -> ctypes.c_void_p:
    """A column for C."""
    return ctypes.c_void_p(column.ctypes.data)


def heapq_two_classes(at: Sequence[int], tier: Sequence[int], handle: Sequence[int], n: int) -> list[int]:
    """The best Python for this one model: a heap of bare instants, since nobody asks which agent is free.

    It knows that agents are alike and that nobody leaves, so it does one pop and one push of an integer for each row.
    """
    ends: list[int] = []
    lines: tuple[deque[int], deque[int]] = (deque(), deque())
    wait = [0] * len(at)
    push, pop, replace = heapq.heappush, heapq.heappop, heapq.heapreplace
    for row, now in enumerate(at):
        while ends and ends[0] <= now:
            line = lines[0] or lines[1]
            if line:
                begin, other = ends[0], line.popleft()
                wait[other] = begin - at[other]
                replace(ends, begin + handle[other])
            else:
                pop(ends)
        if len(ends) < n:
            push(ends, now + handle[row])
        else:
            lines[tier[row]].append(row)
    while ends and (lines[0] or lines[1]):
        begin, other = ends[0], (lines[0] or lines[1]).popleft()
        wait[other] = begin - at[other]
        replace(ends, begin + handle[other])
    return wait


def events_two_classes(at: Sequence[int], tier: Sequence[int], handle: Sequence[int], n: int) -> list[int]:
    """The event loop that one writes by hand: one heap of (instant, kind, row), arrivals in it too; ends go first."""
    events = [(at[0], 1, 0)]
    lines: tuple[deque[int], deque[int]] = (deque(), deque())
    wait, busy = [0] * len(at), 0
    while events:
        now, arrives, row = heapq.heappop(events)
        if not arrives:
            line = lines[0] or lines[1]
            if line:
                row = line.popleft()
                wait[row] = now - at[row]
                heapq.heappush(events, (now + handle[row], 0, row))
            else:
                busy -= 1
            continue
        if row + 1 < len(at):
            heapq.heappush(events, (at[row + 1], 1, row + 1))
        if busy < n:
            busy += 1
            heapq.heappush(events, (now + handle[row], 0, row))
        else:
            lines[tier[row]].append(row)
    return wait


def heapq_skills(
    columns: tuple[Sequence[int], ...], serves: Sequence[Sequence[int]], sizes: Sequence[int]
) -> tuple[list[int], list[int]]:
    """First come first served with skills, longest idle and abandonment, by hand: (agent, start) of each row.

    Ends of handling go before abandonments of the same instant; who is gone is skipped when he comes to the head.
    """
    at, class_, handle, patience = columns
    group_of = [g for g, size in enumerate(sizes) for _ in range(size)]
    groups_of = [[g for g, served in enumerate(serves) if c in served] for c in range(3)]
    idle: list[deque[tuple[int, int]]] = [deque() for _ in sizes]
    stamp = 0
    for j, g in enumerate(group_of):
        idle[g].append((stamp, j))
        stamp += 1
    lines: list[deque[int]] = [deque() for _ in range(3)]
    agent, start = [-1] * len(at), [-1] * len(at)
    ends: list[tuple[int, int, int]] = []

    def free(now: int, j: int) -> None:
        nonlocal stamp
        best = -1
        for c in serves[group_of[j]]:
            line = lines[c]
            while line and at[line[0]] + patience[line[0]] < now:
                line.popleft()
            if line and (best < 0 or line[0] < best):
                best = line[0]
        if best < 0:
            idle[group_of[j]].append((stamp, j))
            stamp += 1
            return
        lines[class_[best]].popleft()
        agent[best], start[best] = j, now
        heapq.heappush(ends, (now + handle[best], best, j))

    for row, now in enumerate(at):
        while ends and ends[0][0] <= now:
            when, _, j = heapq.heappop(ends)
            free(when, j)
        able = [idle[g] for g in groups_of[class_[row]] if idle[g]]
        if able:
            _, j = min(able, key=lambda line: line[0]).popleft()
            agent[row], start[row] = j, now
            heapq.heappush(ends, (now + handle[row], row, j))
        else:
            lines[class_[row]].append(row)
    while ends:
        when, _, j = heapq.heappop(ends)
        free(when, j)
    return agent, start


def simpy_two_classes(at: Sequence[int], tier: Sequence[int], handle: Sequence[int], n: int) -> list[int]:
    """SimPy's own priority resource, one process for each interaction."""
    import simpy

    world = simpy.Environment()
    agents = simpy.PriorityResource(world, capacity=n)
    wait = [0] * len(at)

    def interaction(row: int):
        with agents.request(priority=tier[row]) as request:
            yield request
            wait[row] = world.now - at[row]
            yield world.timeout(handle[row])

    def source():
        for row, when in enumerate(at):
            yield world.timeout(when - world.now)
            world.process(interaction(row))

    world.process(source())
    world.run()
    return wait


def ciw_two_classes(at: Sequence[int], tier: Sequence[int], handle: Sequence[int], n: int) -> list[int]:
    """Ciw's priority classes over the given columns; a first-in-first-out line takes its handling times in order."""
    import ciw

    classes = (0, 1)
    rows = [[row for row, of in enumerate(tier) if of == k] for k in classes]
    gaps = [[float(at[b] - (at[a] if a >= 0 else 0)) for a, b in zip([-1, *of], of, strict=False)] for of in rows]
    network = ciw.create_network(
        arrival_distributions={f"Class {k}": [ciw.dists.Sequential([*gaps[k], float("inf")])] for k in classes},
        service_distributions={
            f"Class {k}": [ciw.dists.Sequential([float(handle[row]) for row in rows[k]] or [0.0])] for k in classes
        },
        priority_classes={f"Class {k}": k for k in classes},
        number_of_servers=[n],
    )
    world = ciw.Simulation(network)
    world.simulate_until_max_customers(len(at), method="Finish")
    records = sorted(world.get_all_records(), key=lambda record: record.id_number)
    return [int(record.waiting_time) for record in records]
