"""omniroute: the routing-and-queue core of an omnichannel contact centre.

>>> from omniroute import Agent, Plan, Queue, Router
>>> router = Router(Plan(queues=[Queue("support", needs="spanish >= 3")]))
>>> for event in router.enqueue(0, "call-1", "support"):
...     print(type(event).__name__)
Queued
Unmatched
>>> for event in router.sign_in(5_000, Agent("ana", skills={"spanish": 4})):
...     print(type(event).__name__)
PresenceChanged
Offered
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from omniroute import commands, errors, events
    from omniroute.conditions import Condition, OnlyWhile
    from omniroute.intake import Context, Intake, Rule
    from omniroute.journey_rules import Effort, JourneyRules
    from omniroute.model import Agent
    from omniroute.plan import Channel, Limits, Plan, Queue, Rona, Step, Target
    from omniroute.router import Router
    from omniroute.strategies.best_match import BestMatch
    from omniroute.strategies.by_step import ByStep
    from omniroute.strategies.composed import Composed
    from omniroute.strategies.fifo import FirstComeFirstServed
    from omniroute.strategies.membership import ByMembership
    from omniroute.strategies.preferences import Preferences
    from omniroute.strategies.priority import Priority
    from omniroute.strategies.revenue import Revenue
    from omniroute.strategies.schedule import Schedule
    from omniroute.strategies.scored import Scored
    from omniroute.strategies.service_objective import ServiceObjective
    from omniroute.strategies.skills import SkillsFirst
    from omniroute.windows import Window
    from omniroute.world.simulate import simulate

_WHERE = {
    "Agent": "model",
    "BestMatch": "strategies.best_match",
    "ByStep": "strategies.by_step",
    "ByMembership": "strategies.membership",
    "Channel": "plan",
    "Composed": "strategies.composed",
    "Context": "intake",
    "Condition": "conditions",
    "Effort": "journey_rules",
    "FirstComeFirstServed": "strategies.fifo",
    "Intake": "intake",
    "JourneyRules": "journey_rules",
    "Limits": "plan",
    "OnlyWhile": "conditions",
    "Plan": "plan",
    "Preferences": "strategies.preferences",
    "Priority": "strategies.priority",
    "Queue": "plan",
    "Revenue": "strategies.revenue",
    "Rona": "plan",
    "Router": "router",
    "Schedule": "strategies.schedule",
    "Scored": "strategies.scored",
    "ServiceObjective": "strategies.service_objective",
    "Rule": "intake",
    "SkillsFirst": "strategies.skills",
    "Step": "plan",
    "Target": "plan",
    "Window": "windows",
    "commands": "",
    "errors": "",
    "events": "",
    "simulate": "world.simulate",
}
"""Where each public name lives; it is imported when it is first asked for."""

__all__ = [
    "Agent",
    "BestMatch",
    "ByMembership",
    "ByStep",
    "Channel",
    "Composed",
    "Condition",
    "Context",
    "Effort",
    "FirstComeFirstServed",
    "Intake",
    "JourneyRules",
    "Limits",
    "OnlyWhile",
    "Plan",
    "Preferences",
    "Priority",
    "Queue",
    "Revenue",
    "Rona",
    "Router",
    "Rule",
    "Schedule",
    "Scored",
    "ServiceObjective",
    "SkillsFirst",
    "Step",
    "Target",
    "Window",
    "commands",
    "errors",
    "events",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'omniroute' has no attribute {name!r}")
    where = _WHERE[name]
    if not where:
        return importlib.import_module(f"omniroute.{name}")
    value = globals()[name] = getattr(importlib.import_module(f"omniroute.{where}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
