"""``python -m benchmarks.strategy_pictures``: what each strategy does to waits and earnings on the days of the demo.

It prints the table of each page in ``docs/strategies`` and draws its picture, in ``docs/strategies/pictures``. A
strategy that is added needs a line in ``SHOWN`` and a page. Twenty days are drawn from the seeds 1 to 20; the same days
meet the strategy and first come, first served, so that differences are those of pairs.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from omniroute import (
    BestMatch,
    ByMembership,
    ByStep,
    FirstComeFirstServed,
    Plan,
    Preferences,
    Priority,
    ServiceObjective,
    SkillsFirst,
    Step,
    simulate,
)
from omniroute.strategies.protocol import ClassView, GroupView
from omniroute.strategies.revenue import Revenue
from omniroute.strategies.schedule import Schedule
from omniroute.world.demo import demo_day
from omniroute.world.outcome import Outcome
from omniroute.world.workload import Workload

PICTURES: Final = Path(__file__).resolve().parents[1] / "docs" / "strategies" / "pictures"
DAYS: Final = 20
KINDS: Final = ("sales", "support", "Spanish support", "billing", "complaints", "chat")
BASE: Final = {"sales": 2_000, "support": 300, "billing": 400, "chat": 800}
"""What an interaction of a queue earns, in minor units, with an agent of level 2."""
BY_LEVEL: Final = {1: 60, 2: 100, 3: 130}
"""Per cent of that, by the agent's level in the skill of the queue."""
WAIT_MAX, EARNED, LATE = 120, (28, 40), (0, 240)
"""The ends of the axes, in seconds, in thousands and in minutes: the same in every picture."""
FIRST, OTHER, DARK = "#8a8a8a", "#0b6e9f", "#333333"
"""Grey for what is compared with, blue for the strategy; hollow and filled as well, so that colour is not needed."""

Floats = npt.NDArray[np.float64]
Route = Callable[[Plan, Workload], Outcome]


def worth(queue: str, skills: Mapping[str, int]) -> int:
    """What a match earns: the queue's base, more with a better agent."""
    wanted = ("support", "sales") if queue == "chat" else (queue,)
    return BASE[queue] * BY_LEVEL[max(1, *(skills.get(skill, 1) for skill in wanted))] // 100


def rule(view: ClassView, group: GroupView) -> int:
    return worth(view.queue, group.skills)


def everywhere(plan: Plan, *strategies: Any) -> Plan:
    """A plan with these strategies in its queues, or one in all of them."""
    given = strategies * len(plan.queues) if len(strategies) == 1 else strategies
    queues = [attrs.evolve(queue, strategy=one) for queue, one in zip(plan.queues, given, strict=True)]
    return attrs.evolve(plan, queues=queues)


def members(plan: Plan) -> Plan:
    """A plan whose agents are members of the queues of their skills: penalty 0 at level 2 and more, else 1."""
    agents = []
    for agent in plan.agents:
        levels = {name: agent.skills[name] for name in ("sales", "support", "billing") if name in agent.skills}
        chat = [level for name, level in levels.items() if name != "billing"]
        levels |= {"chat": max(chat)} if chat else {}
        agents.append(attrs.evolve(agent, queues={name: int(level < 2) for name, level in levels.items()}))
    return attrs.evolve(plan, agents=agents)


def by_columns(change: Callable[[Plan], Plan], plan: Plan, work: Workload) -> Outcome:
    return simulate(change(plan), work)


def objectives(plan: Plan) -> Plan:
    seconds = {"sales": "20s", "support": "30s", "billing": "60s", "chat": "60s"}
    return everywhere(plan, *(ServiceObjective(objective=seconds[queue.name]) for queue in plan.queues))


def circles(plan: Plan) -> Plan:
    return everywhere(members(plan), ByMembership(opens={1: "30s"}))


def segments(plan: Plan) -> Plan:
    """A plan whose agents carry the skill that they are best at as their segment; a language is none."""
    agents = []
    for agent in plan.agents:
        levels = {name: level for name, level in agent.skills.items() if name != "spanish"}
        agents.append(attrs.evolve(agent, labels={"segment": max(levels, key=lambda name: levels[name])}))
    return attrs.evolve(plan, agents=agents)


def preferring(plan: Plan) -> Plan:
    return everywhere(segments(plan), Preferences(prefers=OWN_FIRST, weights={"sales": 3}))


def staged(plan: Plan) -> Plan:
    """Own segments only for 20 s, then anybody; the step says something, so that it is one."""
    strategy = ByStep(stages={0: Preferences(prefers=OWN_ONLY), 1: Preferences(prefers=OWN_FIRST)})
    plan = everywhere(segments(plan), strategy)
    queues = [attrs.evolve(queue, steps=(Step("20s", say="one moment"), *queue.steps)) for queue in plan.queues]
    return attrs.evolve(plan, queues=queues)


OWN_ONLY: Final = {
    "sales": {"sales": 0},
    "support": {"support": 0},
    "billing": {"billing": 0},
    "chat": {"sales": 0, "support": 0},
}
"""Who is for whom, by segment."""
OWN_FIRST: Final = {queue: {**row, "*": 1} for queue, row in OWN_ONLY.items()}
GUARD: Final = Schedule(handle={"chat": "7m", "*": "4m"}, cv=0.9)
REVENUE: Final = Revenue(rule=rule, handle="5m", solver="steps", memory="1h", occupancy=0.95)

SHOWN: Final[dict[str, tuple[str, Route]]] = {
    "first_come_first_served": ("the demo's own plan", partial(by_columns, lambda plan: plan)),
    "priority": ("Priority()", partial(by_columns, lambda plan: everywhere(plan, Priority()))),
    "skills_first": (
        'SkillsFirst(fit="most_qualified")',
        partial(by_columns, lambda plan: everywhere(plan, SkillsFirst(fit="most_qualified"))),
    ),
    "best_match": (
        'BestMatch(scoring="average")',
        partial(by_columns, lambda plan: everywhere(plan, BestMatch(scoring="average"))),
    ),
    "by_membership": ('ByMembership(opens={1: "30s"})', partial(by_columns, circles)),
    "service_objective": ("ServiceObjective, 20 s to 60 s", partial(by_columns, objectives)),
    "preferences": ("Preferences, own segment first, sales thrice", partial(by_columns, preferring)),
    "by_step": ("ByStep, own segment only for 20 s", partial(by_columns, staged)),
    "schedule": ("Schedule, means of 4 and 7 minutes", partial(by_columns, lambda plan: everywhere(plan, GUARD))),
    "composed": (
        "Composed, SkillsFirst | Schedule",
        partial(by_columns, lambda plan: everywhere(plan, SkillsFirst(fit="most_qualified") | GUARD)),
    ),
    "revenue": ("Revenue", partial(by_columns, lambda plan: everywhere(plan, REVENUE))),
}
"""By strategy: how it is called in the picture, and a day under it."""
GUARDED: Final = ("schedule", "composed")
"""Those that are about the ends of shifts, so that their pages say what is left of them."""


@attrs.frozen
class Days:
    """Each day's figures: by kind the mean wait in seconds and the share lost, then what was earned, in major units.

    ``late`` is for how many minutes agents were in conversation when their shifts were over.
    """

    wait: Floats
    lost: Floats
    earned: Floats
    late: Floats


@cache
def day(seed: int) -> tuple[Plan, Workload]:
    return demo_day(seed)


def kinds_of(work: Workload) -> npt.NDArray[np.int64]:
    """The place in KINDS of each row."""
    names = np.array([KINDS.index(name) for name in work.queues])[work.queue]
    special = np.array([bool(text) for text in work.requirements])[work.needs]
    return np.where(special, 2, np.where(work.priority == 1, 4, names))


def figures(route: Route, days: int = DAYS) -> Days:
    """What a routing does on so many days."""
    rows = []
    for seed in range(1, days + 1):
        plan, work = day(seed)
        done, kind = route(plan, work), kinds_of(work)
        values = np.array([[worth(queue, agent.skills) for agent in plan.agents] for queue in done.queues])
        served = done.agent >= 0
        earned = values[done.queue[served], done.agent[served]].sum() / 100
        wait = [done.mean_wait_ms(kind == k) / 1_000 for k in range(len(KINDS))]
        lost = [float(1 - served[kind == k].mean()) for k in range(len(KINDS))]
        rows.append((wait, lost, earned, late_minutes(plan, done)))
    return Days(*(np.array(column) for column in zip(*rows, strict=True)))


def late_minutes(plan: Plan, done: Outcome) -> float:
    """For how long agents of a day were in conversation after the ends of their shifts, in all."""
    served = done.agent >= 0
    last = np.zeros(len(plan.agents), np.int64)
    np.maximum.at(last, done.agent[served], done.end_ms[served])
    ends = np.array([agent.windows[-1][1] for agent in plan.agents])
    return float(np.maximum(last - ends, 0).sum() / 60_000)


def first_come(plan: Plan, work: Workload) -> Outcome:
    return simulate(everywhere(plan, FirstComeFirstServed()), work)


def short(called: str) -> str:
    """How a strategy is called, without its parameters."""
    return called.partition("(")[0].partition(",")[0]


def difference(one: Floats, two: Floats) -> tuple[float, float]:
    """The mean of the differences of pairs, and twice its standard error."""
    gaps = two - one
    return float(gaps.mean()), 2 * float(gaps.std(ddof=1)) / math.sqrt(len(gaps))


def table(called: str, base: Days, other: Days, *, guarded: bool = False) -> str:
    """The figures of a page; where shifts are guarded, how long they were overrun as well."""
    lines = [
        "| | wait, first come | wait | difference | lost, first come | lost |",
        "|---|---|---|---|---|---|",
    ]
    for k, kind in enumerate(KINDS):
        gap, error = difference(base.wait[:, k], other.wait[:, k])
        waits = f"{base.wait[:, k].mean():.1f} s | {other.wait[:, k].mean():.1f} s | {gap:+.1f} ± {error:.1f} s"
        losses = f"{base.lost[:, k].mean():.1%} | {other.lost[:, k].mean():.1%}"
        lines.append(f"| {kind} | {waits} | {losses} |".replace("%", " %"))
    if guarded:
        gap, error = difference(base.late, other.late)
        lines += [
            "",
            f"In conversation after the end of a shift, in a day: {base.late.mean():.0f} min by first come, "
            f"{other.late.mean():.0f} min by {short(called)}: {gap:+.0f} ± {error:.0f} min.",
        ]
    gap, error = difference(base.earned, other.earned)
    share = f"{gap / base.earned.mean():+.1%}".replace("%", " %")
    lines += [
        "",
        f"Earned in a day: {base.earned.mean():,.0f} by first come, {other.earned.mean():,.0f} by {short(called)}: "
        f"{gap:+,.0f} ± {error:,.0f}, {share}.",
    ]
    return "\n".join(lines)


def draw(name: str, called: str, base: Days, other: Days, folder: Path) -> Path:
    """The picture of a page: waits by kind on the left, then by day what was earned, and what ran over a shift."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"font.size": 9, "axes.edgecolor": "#999999", "text.color": DARK})
    widths = (1.5, 0.9, 0.7) if name in GUARDED else (1.7, 1)
    figure, (left, right, *last) = plt.subplots(
        1, len(widths), figsize=(8.4, 3.3), width_ratios=widths, layout="constrained", dpi=110
    )
    _waits(left, base, other)
    _by_day(right, base.earned / 1_000, other.earned / 1_000, EARNED, "earned in a day (thousands)")
    right.set_yticks([0, 1], [short(called), "first come"])
    for place in last:
        figure.get_layout_engine().set(wspace=0.08)
        _by_day(place, base.late, other.late, LATE, "after shifts (minutes)")
        place.set_yticks([])
    handles = [
        plt.Line2D([], [], marker="o", linestyle="", color=FIRST, markerfacecolor="white", markersize=7),
        plt.Line2D([], [], marker="o", linestyle="", color=OTHER, markersize=7),
    ]
    figure.legend(handles, ["first come, first served", called], loc="outside upper left", ncols=2, frameon=False)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
    return path


def _waits(place: Any, base: Days, other: Days) -> None:
    rows = np.arange(len(KINDS))[::-1]
    one, two = base.wait.mean(axis=0), other.wait.mean(axis=0)
    place.hlines(rows, one, two, color="#c8c8c8", linewidth=3, zorder=1)
    place.scatter(two, rows, s=46, color=OTHER, zorder=2)
    place.scatter(one, rows, s=70, facecolor="none", edgecolor=FIRST, linewidth=1.6, zorder=3)
    for row, a, b in zip(rows, one, two, strict=True):
        place.annotate(
            f"{b:.0f} s", (max(a, b), row), xytext=(8, 0), textcoords="offset points", va="center", color=OTHER
        )
    place.set_yticks(rows, KINDS)
    place.set_xlim(0, WAIT_MAX)
    place.set_ylim(-0.6, len(KINDS) - 0.4)
    place.set_xlabel("mean wait, those who left included (seconds)")
    _plain(place)


def _by_day(place: Any, base: Floats, other: Floats, ends: tuple[int, int], label: str) -> None:
    for row, (days, colour, face) in enumerate(((other, OTHER, OTHER), (base, FIRST, "white"))):
        mean = days.mean()
        place.scatter(days, np.full(len(days), row), s=16, color=colour, alpha=0.35, linewidth=0)
        place.scatter([mean], [row], s=70, facecolor=face, edgecolor=colour, linewidth=1.8, zorder=3)
        place.annotate(
            f"{mean:.1f}" if ends == EARNED else f"{mean:.0f}",
            (mean, row),
            xytext=(0, 10),
            textcoords="offset points",
            ha="center",
            color=colour if colour == OTHER else DARK,
        )
    place.set_xlim(*ends)
    place.set_xticks(range(ends[0], ends[1] + 1, (ends[1] - ends[0]) // 3))
    place.set_ylim(-0.6, 1.6)
    place.set_xlabel(label)
    _plain(place)


def _plain(place: Any) -> None:
    place.grid(axis="x", color="#e4e4e4", linewidth=0.8)
    place.set_axisbelow(True)
    place.spines[["top", "right", "left"]].set_visible(False)
    place.tick_params(axis="y", length=0)


def main(given: Sequence[str] | None = None) -> None:
    """Print the tables, and draw the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategy_pictures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(SHOWN)}; default all")
    parser.add_argument("--tables", action="store_true", help="print only, draw nothing")
    parser.add_argument("--folder", type=Path, default=PICTURES, help="where pictures go")
    chosen = parser.parse_args(given)
    unknown = [name for name in chosen.names if name not in SHOWN]
    if unknown:
        parser.error(f"{unknown[0]}: expected {', '.join(SHOWN)}")
    base = figures(first_come)
    for name in chosen.names or SHOWN:
        called, route = SHOWN[name]
        other = figures(route)
        print(f"{name}: {called}\n\n{table(called, base, other, guarded=name in GUARDED)}\n")
        if not chosen.tables:
            print(f"drew {draw(name, called, base, other, chosen.folder)}\n")


if __name__ == "__main__":
    main()
