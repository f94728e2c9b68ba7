"""How much work each measurement does: the full and the quick size, each of which may be set by name."""

from __future__ import annotations

import json
import os

VARIABLE = "OMNIROUTE_BENCHMARK_SIZES"

FULL = {
    "columns": 3_000_000,
    "heapq": 400_000,
    "simpy": 100_000,
    "ciw": 60_000,
    "plain": 200_000,
    "skills": 2_000_000,
    "large": 1_000_000,
    "day": 5_000_000,
    "threads": 1_000_000,
    "agents": 10_000,
    "classes": 1_000,
    "waiting": 100_000,
    "few_waiting": 1_000,
    "few_agents": 100,
    "new": 40,
    "curve": 1_000_000,
    "decisions": 20_000,
    "lives": 100_000,
    "recover": 200_000,
    "memory": 300_000,
    "forks": 20,
    "starts": 11,
    "routers": 2_000,
    "rounds": 5,
    "window": 1_000,
    "windows": 21,
}
QUICK = FULL | {
    "columns": 500_000,
    "heapq": 60_000,
    "simpy": 10_000,
    "ciw": 6_000,
    "plain": 30_000,
    "skills": 300_000,
    "large": 150_000,
    "day": 200_000,
    "threads": 100_000,
    "new": 12,
    "curve": 1_000,
    "decisions": 4_000,
    "lives": 20_000,
    "recover": 20_000,
    "memory": 100_000,
    "forks": 7,
    "starts": 5,
    "routers": 300,
    "rounds": 3,
    "window": 300,
    "windows": 7,
}


def size(name: str) -> int:
    """The size that this run asked for; the quick one where nothing was said."""
    return int(json.loads(os.environ.get(VARIABLE, "{}")).get(name, QUICK[name]))
