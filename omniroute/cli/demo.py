"""``omniroute demo``: a day drawn from a seed, under two plans; needs no data."""

from __future__ import annotations

import argparse

import attrs
import numpy as np

from omniroute.cli import options, pages
from omniroute.cli.exits import OK
from omniroute.cli.screen import Screen
from omniroute.core import IMPLEMENTATION
from omniroute.plan import Plan
from omniroute.replay.report import comparison, run_of
from omniroute.replay.what_if import columns_of
from omniroute.world.demo import demo_day
from omniroute.world.simulate import simulate
from omniroute.world.workload import Workload

SEPARATE, TOGETHER = "a team for each queue", "everybody, skills first"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = options.subcommand(
        commands,
        "demo",
        "route a demonstration day under two plans",
        "Draws a day of a contact centre (voice and chat, several queues, two languages) from a seed and\n"
        "routes it under two plans: a separate team for each queue, first come first served; and everybody together,\n"
        "by skills and priority. Same day, same people, same hours.",
    )
    options.add_run_options(parser)
    parser.set_defaults(run=run)


def separate(plan: Plan, workload: Workload) -> Plan:
    """Return the plan with every agent in one queue only, first come first served.

    Teams are as large as their share of the work: one by one, each agent joins the team that lacks most of its share
    among the queues whose needs he meets. O(agents * queues).
    """
    loads = {channel.name: channel.load for channel in plan.channels}
    load = np.array([loads[name] for name in workload.channels])[workload.channel]
    work = np.bincount(workload.queue, weights=workload.handle_ms * load, minlength=len(workload.queues))
    share = dict(zip(workload.queues, (work / work.sum()).tolist(), strict=True))
    size = dict.fromkeys(share, 0)
    teams = []
    for agent in plan.agents:
        fitting = [queue.name for queue in plan.queues if queue.requirement.matches(agent.skills, agent.labels)]
        team = max(fitting, key=lambda name: share[name] * len(plan.agents) - size[name])
        size[team] += 1
        teams.append(attrs.evolve(agent, queues=[team]))
    return attrs.evolve(plan, queues=[attrs.evolve(queue, strategy=None) for queue in plan.queues], agents=teams)


def run(given: argparse.Namespace) -> int:
    """Run the subcommand and return its exit code."""
    plan, workload = demo_day(given.seed)
    runs = [
        run_of(name, columns_of(simulate(routed, workload)))
        for name, routed in ((SEPARATE, separate(plan, workload)), (TOGETHER, plan))
    ]
    screen = Screen()
    if given.json:
        screen.document(comparison(runs, kind="demo", seed=given.seed))
        return OK
    screen.heading("A demonstration day")
    screen.say(
        f"{len(workload):,} interactions (seed {given.seed}), voice and chat, in {len(plan.queues)} queues; "
        f"{len(plan.agents)} agents. Routed twice by omniroute's {IMPLEMENTATION} core: once with a separate team for "
        "each queue, first come first served; once with everybody together, by skills and priority. Arrivals, "
        "handle times, patience, people and hours are the same."
    )
    pages.show_runs(screen, runs)
    return OK
