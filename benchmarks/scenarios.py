"""The named scenarios: what each one measures, in which unit, from which seed, and the target that the project set.

A line of the table, of the JSON and of a comparison is one (scenario, engine). Titles are filled with the sizes of the
run, so a line says how large its world was.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Scenario(NamedTuple):
    """One thing that is measured; ``bound`` is (relation, value in ``unit``), None where there is no target.

    ``needs`` says what the row waits for where nothing measures it by default.
    """

    title: str
    unit: str
    bound: tuple[str, float] | None = None
    seed: int | None = None
    needs: str = ""

    def met(self, figure: float) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.bound is None:
            return None
        relation, value = self.bound
        return figure >= value if relation == ">=" else figure < value

    @property
    def more_is_better(self) -> bool:
        """Whether a greater figure is the better one."""
        return self.unit in ("1/s", "times")

    def target(self) -> str:
        """The target as text, "" for none."""
        return f"{self.bound[0]} {shown(self.bound[1], self.unit)}" if self.bound else ""

    def named(self, chosen: dict[str, int]) -> str:
        """The title with the sizes of a run."""
        return self.title.format(**chosen)


def shown(figure: float, unit: str) -> str:
    """A figure for people.

    >>> shown(5_230_000, "1/s"), shown(833, "1/s"), shown(0.0123, "ms"), shown(1234.5, "us")
    ('5.23 M/s', '833 /s', '0.0123 ms', '1,234 us')
    """
    if math.isnan(figure):
        return "none"
    if unit == "1/s":
        scale, letter = next((pair for pair in ((1e6, "M"), (1e3, "k")) if figure >= pair[0]), (1.0, ""))
        return f"{figure / scale:.3g} {letter}/s"
    return f"{figure:,.0f} {unit}" if figure >= 1_000 else f"{figure:.3g} {unit}"


DAY = 100_000_000
"""Interactions of the day that the largest vendor says that it carries."""

CROWD = "{agents:,} agents, {waiting:,} waiting"

SCENARIOS: dict[str, Scenario] = {
    "two-classes": Scenario("M/M/100, two priority classes, interactions", "1/s", (">=", 5e6), 1),
    "two-classes-share": Scenario("M/M/100, as a share of the bare compiled loop", "times", (">=", 1 / 3), 1),
    "answers": Scenario(
        "M/M/100, two priority classes, answers after 3 s, 3 % declined or missed, interactions", "1/s", None, 1
    ),
    "three-groups": Scenario("3 groups, skills, abandonment, interactions", "1/s", (">=", 2e6), 2),
    "large": Scenario("{agents:,} agents, 50 groups, 500 classes, interactions", "1/s", (">=", 1e6), 3),
    "day": Scenario("a day of 2,000 centres, two processes, columns drawn and routed", "1/s", (">=", DAY / 120), 4),
    "day-full": Scenario("that day with all 100,000,000 interactions", "s", ("<", 120), 4, "--full-day (some minutes)"),
    "day-memory": Scenario("that day, memory of the larger process at its peak", "MB", None, 4),
    "threads": Scenario("two simulations in two threads, against one after the other", "times", None, 6),
    "lives": Scenario("door, whole lives of interactions, every event read", "1/s", (">=", 1e5)),
    "door-p50": Scenario(f"door, one command, p50 ({CROWD})", "us"),
    "door-p99": Scenario(f"door, one command, p99 ({CROWD})", "us", ("<", 20)),
    "door-selects": Scenario(f"door, a freed agent selects, p99 ({CROWD})", "us", ("<", 20)),
    "enqueue-p50": Scenario(f"core, enqueue that waits, p50 ({CROWD})", "us"),
    "enqueue-p99": Scenario(f"core, enqueue that waits, p99 ({CROWD})", "us", ("<", 2)),
    "narrow-p50": Scenario(f"core, a freed agent selects among 100 classes, p50 ({CROWD})", "us"),
    "narrow-p99": Scenario(f"core, a freed agent selects among 100 classes, p99 ({CROWD})", "us", ("<", 2)),
    "wide-p50": Scenario(f"core, a freed agent selects among {{classes:,}} classes, p50 ({CROWD})", "us"),
    "wide-p99": Scenario(f"core, a freed agent selects among {{classes:,}} classes, p99 ({CROWD})", "us", ("<", 10)),
    "growth-waiting": Scenario(
        "time of a decision, {waiting:,} waiting against {few_waiting:,}, in 100 classes", "x", ("<", 2)
    ),
    "growth-waiting-sparse": Scenario(
        "time of a decision, {waiting:,} waiting against {few_waiting:,}, in {classes:,} classes: more candidates",
        "x",
        ("<", 2),
    ),
    "growth-agents": Scenario(
        "time of a decision, {agents:,} agents against {few_agents:,}, same groups", "x", ("<", 2)
    ),
    "queue-keys-10": Scenario(
        "a life in the core by a key of its queue, of 10 that every agent serves, against one key", "x"
    ),
    "queue-keys-100": Scenario("the same, one of 100 that all serve", "x"),
    "new-class-50": Scenario("door, first enqueue of a new requirement ({agents:,} agents in 50 groups)", "us"),
    "new-class-1000": Scenario("door, first enqueue of a new requirement ({agents:,} agents in 1,000 groups)", "us"),
    "memory-core": Scenario("memory of a waiting interaction, core", "bytes", ("<", 128)),
    "memory-door": Scenario("memory of a waiting interaction, door", "bytes", ("<", 1024)),
    "fork-first": Scenario(f"fork ({CROWD}), first", "ms", ("<", 15)),
    "fork-warm": Scenario(f"fork ({CROWD}), warm", "ms", ("<", 3)),
    "fork-router": Scenario(f"fork of a router ({CROWD})", "ms"),
    "memory-router": Scenario("memory of each of {routers:,} routers of 10 agents, 20 waiting", "KB"),
    "recover": Scenario("decode and apply journalled commands, per 1,000,000; no store is read", "s", ("<", 10)),
    "import": Scenario("import omniroute (numpy not imported)", "ms", ("<", 100)),
    "import-router": Scenario("import omniroute and its Router (numpy not imported)", "ms"),
    "router-small": Scenario("a router of 10 agents is made", "us"),
    "router-large": Scenario("a router of {agents:,} agents is made", "ms"),
    "window": Scenario("optimal window, 1,000 x 1,000 in 50 classes and 50 groups", "ms", ("<", 5), 1),
    "window-100": Scenario("optimal window, 100 x 100 in 50 classes and 50 groups", "ms", None, 1),
    "window-300": Scenario("optimal window, 300 x 300 in 50 classes and 50 groups", "ms", None, 1),
    "window-overload": Scenario("optimal window, twice {window:,} x {window:,} in 50 and 50", "ms", None, 1),
    "window-agents": Scenario("optimal window, {window:,} x {window:,}, every agent unique", "ms", None, 1),
    "window-entries": Scenario("optimal window, {window:,} x {window:,}, every entry unique", "ms", None, 1),
    "window-both": Scenario("optimal window, {window:,} x {window:,}, everybody unique", "ms", None, 1),
    "curve-agents": Scenario("time of a decision against agents", "us", seed=5, needs="--plots"),
    "curve-waiting": Scenario("time of a decision against waiting interactions", "us", seed=5, needs="--plots"),
    "curve-classes": Scenario(
        "time of a selection against the classes that could answer", "us", seed=5, needs="--plots"
    ),
    "curve-groups": Scenario("time of an arrival against the groups that could answer", "us", seed=5, needs="--plots"),
}
