"""``python -m benchmarks.revenue_goal``: what the revenue strategy earns of the fluid bound, beside other routings.

The world is that of ``tests/revenue_world.py``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from omniroute.plan import StrategyValue
from omniroute.strategies.fifo import FirstComeFirstServed
from omniroute.strategies.protocol import ClassView, GroupView, Tables
from omniroute.strategies.revenue import Revenue
from omniroute.strategies.skills import SkillsFirst

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from revenue_world import Instance, instance, run, strategy


@attrs.frozen(kw_only=True)
class Greedy(SkillsFirst):
    """The match of greatest value first, in both directions, whoever waits how long."""

    values: Revenue

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Costs that fall with value, out of proportion to any age."""
        cost = [-10_000 * self.values.worth(view, group)["sale"] for view in classes for group in groups]
        return Tables(cost_out=cost, cost_in=cost)  # type: ignore[arg-type]


ROUTINGS: Mapping[str, Callable[[Instance], StrategyValue]] = {
    "first come, longest idle": lambda _: FirstComeFirstServed(),
    "greedy by value": lambda world: Greedy(values=strategy(world)),
    "bid price, never idle": lambda world: strategy(world, start=1e6, least=1e6, most=1e6, gamma=1e-6),
    "revenue": strategy,
}


def main() -> None:
    """Print a line for every load, routing and target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.revenue_goal", description=__doc__)
    parser.add_argument("--loads", type=float, nargs="+", default=[0.7, 0.8, 0.85, 0.9])
    parser.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.8])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--only", default="", help="routings whose name contains this")
    parser.add_argument("--busy", type=float, default=0.0, help="the share of their time that agents work at least")
    parser.add_argument("--cap", type=float, default=1.0, help="the share above which they rest, and prices plan for")
    given = parser.parse_args()
    for load in given.loads:
        world = instance(load)
        for name, routing in ROUTINGS.items():
            for target in given.targets if name == "revenue" else given.targets[:1]:
                if given.only not in name:
                    continue
                begun = time.perf_counter()
                routed = routing(world)
                if isinstance(routed, Revenue):
                    routed = attrs.evolve(routed, busy=given.busy, occupancy=given.cap)
                found, desk = run(world, routed, target, given.rows, cap=given.cap)
                wish = f"{name}, target {target:g}" if name == "revenue" else name
                levels = " ".join(f"{level:.4f}" for level in found.levels)
                alarms = f"  alarms {', '.join(desk.alarms)}" if desk.alarms else ""
                print(
                    f"{load:.2f}  {wish:26}  share {found.share:.4f}  in time {found.level:.4f} ({levels})  "
                    f"busy {found.least:.2f}..{found.most:.2f}  {time.perf_counter() - begun:.0f} s{alarms}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
