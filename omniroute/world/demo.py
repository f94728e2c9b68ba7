"""A day of a contact centre, drawn from a seed: what the first command of the README routes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from omniroute.model import Agent
from omniroute.plan import Channel, Plan, Queue, Step, Target
from omniroute.strategies.priority import Priority
from omniroute.strategies.skills import SkillsFirst
from omniroute.world.streams import HOUR_MS, Draw, Stream, poisson
from omniroute.world.workload import Workload

__all__ = ["demo_day", "demo_plan"]

DAY_MS: Final = int(datetime(2024, 3, 5, tzinfo=UTC).timestamp()) * 1_000
"""A Tuesday; the centre is open from 8 to 20 hours UTC."""
OPENS, CLOSES = 8, 20
SHIFTS = ((8, 16), (10, 18), (12, 20))
CREW: Final = 45
SPANISH: Final = "spanish >= 2"
PROFILE = (0.6, 1.0, 1.3, 1.35, 1.1, 0.95, 1.05, 1.15, 1.1, 0.9, 0.7, 0.5)
"""Arrivals of each hour against the mean."""


def demo_plan() -> Plan:
    """The plan of the demo: voice takes a whole agent, of chats he holds two; skills in three queues.

    A Spanish call waits for a good Spanish speaker, after two minutes for any. Complaints come before other billing.

    >>> [queue.name for queue in demo_plan().queues]
    ['sales', 'support', 'billing', 'chat']
    """
    queues = (
        Queue("sales", needs="sales", strategy=SkillsFirst(), target=Target("20s", 0.8)),
        Queue(
            "support",
            needs="support",
            strategy=SkillsFirst(),
            steps=(Step("2m", needs="spanish"),),
            target=Target("30s", 0.8),
        ),
        Queue("billing", needs="billing", strategy=Priority(), target=Target("60s", 0.8)),
        Queue("chat", needs="support or sales", limit=25, target=Target("60s", 0.9)),
    )
    return Plan(
        channels=(Channel("voice", 2), Channel("chat", 1)),
        queues=queues,
        agents=tuple(_agent(number) for number in range(CREW)),
    )


def _agent(number: int) -> Agent:
    """Every third agent of each kind has another shift; a third speaks Spanish, some of them well."""
    skills = {("sales", "support", "billing")[number % 3]: 2 + number // 3 % 2}
    if number % 2:
        skills[("support", "billing", "sales")[number % 3]] = 1
    if number % 5 < 2:
        skills["spanish"] = 1 + number // 5 % 3
    start, end = SHIFTS[number // 3 % len(SHIFTS)]
    window = (DAY_MS + start * HOUR_MS, DAY_MS + end * HOUR_MS)
    return Agent(f"agent {number + 1:02}", skills=skills, units=2, windows=(window,))


def demo_day(seed: int = 1) -> tuple[Plan, Workload]:
    """The demo's plan, and a day of about 4,700 interactions in two languages over voice and chat. O(n log n).

    >>> plan, workload = demo_day(seed=1)
    >>> len(plan.agents), sorted(workload.channels)
    (45, ['chat', 'voice'])
    """
    usual = Draw("lognormal", 240_000, 0.9)
    short, long = Draw("lognormal", 180_000, 0.8), Draw("lognormal", 420_000, 0.7)
    calm, hasty, chatting = Draw("exponential", 300_000), Draw("exponential", 150_000), Draw("exponential", 240_000)
    after = Draw("exponential", 30_000)
    streams = [
        Stream(queue="sales", per_hour=_rates(68), handle=short, patience=hasty, wrap_up=after),
        Stream(queue="support", per_hour=_rates(74), handle=usual, patience=calm, wrap_up=after),
        Stream(queue="support", per_hour=_rates(16), handle=usual, needs=SPANISH, patience=calm, wrap_up=after),
        Stream(queue="billing", per_hour=_rates(76), handle=short, patience=calm, wrap_up=after),
        Stream(queue="billing", per_hour=_rates(12), handle=usual, priority=1, patience=hasty, wrap_up=after),
        Stream(queue="chat", channel="chat", per_hour=_rates(150), handle=long, patience=chatting),
    ]
    start = DAY_MS + OPENS * HOUR_MS
    return demo_plan(), poisson(streams, seed=seed, periods=CLOSES - OPENS, start_ms=start)


def _rates(mean: float) -> tuple[float, ...]:
    return tuple(mean * share for share in PROFILE)
