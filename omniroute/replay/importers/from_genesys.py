"""Genesys Cloud: queues with bullseye rings and skills to remove, as a plan.

What the settings mean: the Resource Center of Genesys Cloud, "ACD evaluation and routing methods" and "Bullseye
routing".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from omniroute.errors import PlanError
from omniroute.model import Agent, checked_term, nearest, shown
from omniroute.plan import Plan, Queue, Step
from omniroute.replay.importers.table import Table, inside, integer, named, rows
from omniroute.requirements import conjunction, parse
from omniroute.strategies.membership import ByMembership

__all__ = ["genesys"]

_RINGS_MAX: Final = 6
_KNOWN: Final = (
    *("evaluation", "scoring", "skills", "rings", "members", "alerting_timeout", "wrap_up", "include_presence"),
)
_REFUSED: Final = {
    "preferred_agents": "bind each interaction to its agents",
    "predictive": "scores of single agents cannot be given",
    "conditional_groups": "give the queue steps, or only_while, over conditions of the plan by hand",
}


def genesys(queues: Mapping[str, Mapping[str, object]], agents: Mapping[str, Mapping[str, object]]) -> Plan:
    """Return the plan of queues and of agents (``skills``: ratings by name), both by name.

    Of a queue: ``members``, the ring of each agent (1..6); ``rings``, from the first, each with its ``timeout`` in
    seconds (the last one has none) and ``skills_to_remove``; ``skills``, what its conversations ask; ``evaluation``
    ``"ALL"`` skills or ``"NONE"``; ``alerting_timeout`` in seconds; ``wrap_up`` in seconds, or ``"until released"``. Of
    an agent also ``acd_auto_answer``. Agents are idle since their last accept or end of a conversation, and with
    ``include_presence`` of a queue since turning ready. Rings and removals become steps over a label ``ring:QUEUE``:
    ring k joins the rings before it when their timeouts have passed, and skills stay removed from the exit of their
    ring on, those that a conversation asks itself as well. Agents are ordered by idleness in all open rings alike; a
    point of priority is
    60 s of waiting. Raises PlanError. O(members + rings).

    >>> rings = [{"timeout": 30, "skills_to_remove": ["fr"]}, {}]
    >>> plan = genesys({"q": {"skills": ["fr"], "rings": rings, "members": {"ana": 2}}}, {"ana": {}})
    >>> plan.queues[0].needs, plan.queues[0].steps[0].without
    ('fr and ring:q < 2', ('fr', 'ring:q'))
    """
    memberships: dict[str, dict[str, int]] = {}
    skills, answers = {}, {}
    for field, name, value in named(agents, "agents"):
        table = Table(value, field, ("skills", "acd_auto_answer"))
        answers[name] = table.flag("acd_auto_answer", False)
        ratings = table.get("skills")
        skills[name] = [
            (skill, integer(rating, at, 0, 5)) for at, skill, rating in named(ratings or {}, f"{field}.skills")
        ]
        memberships[name] = {}
    found, ringed = [], set()
    for field, name, value in named(queues, "queues"):
        table = Table(value, field, _KNOWN, refused=_REFUSED)
        count = 1
        if table.has("rings"):
            count = len(rows(table.get("rings"), table.at("rings")))
            ringed.add(name)
        if not 1 <= count <= _RINGS_MAX:
            raise PlanError(f"expected 1 to {_RINGS_MAX} rings, got {count}", field=table.at("rings"))
        for at, agent, ring in named(table.get("members") or {}, table.at("members")):
            if agent not in memberships:
                raise PlanError(f"unknown agent {shown(agent)}{nearest(agent, memberships)}", field=at)
            memberships[agent][name] = integer(ring, at, 1, count)
        with inside(field):
            found.append(_queue(name, table))
    crew = []
    for name, rings in memberships.items():
        labels = {f"ring:{queue}": ring for queue, ring in rings.items() if queue in ringed}
        with inside(f"agents.{name}"):
            crew.append(
                Agent(
                    name,
                    skills=dict(skills[name]),
                    queues=dict.fromkeys(rings, 0),
                    labels=labels,
                    auto_accept=answers[name],
                )
            )
    return Plan(queues=found, agents=crew)


def _queue(name: str, table: Table) -> Queue:
    """Build one queue."""
    evaluation = table.choice("evaluation", ("ALL", "BEST", "NONE"), "ALL")
    why = "a step removes skills that all must have; best available skills is the strategy best_match without rings"
    table.only("evaluation", True, evaluation != "BEST", why)
    scoring = table.choice("scoring", ("TimestampAndPriority", "PriorityOnly"), "TimestampAndPriority")
    table.only("scoring", "TimestampAndPriority", scoring, "queues by priority go before those by score")
    asked = [checked_term(value, at) for at, value in rows(table.get("skills") or (), table.at("skills"))]
    if asked and evaluation == "NONE":
        raise PlanError("skills are not looked at where evaluation is NONE", field=table.at("skills"))
    needs, steps = _rings(name, table, asked)
    timeout = table.seconds("alerting_timeout", 8)
    if not timeout:
        raise PlanError("must be longer than nothing", field=table.at("alerting_timeout"))
    idle = "longest_idle" if table.flag("include_presence", False) else "longest_since_handled"
    strategy = ByMembership(prefers="agent_key", takes="longest_waiting", point="60s", agent_key=idle)
    return Queue(
        name,
        patient=True,
        needs=needs,
        steps=steps,
        strategy=strategy,
        offer_timeout_ms=timeout,
        wrap_up_ms=None if table.get("wrap_up") == "until released" else table.seconds("wrap_up", 0),
    )


def _rings(name: str, table: Table, asked: list[str]) -> tuple[str, list[Step]]:
    """What the first ring needs, and a step for the exit of each ring but the last."""
    if not table.has("rings"):
        return _needs(asked, ""), []
    given = [Table(row, at, ("timeout", "skills_to_remove")) for at, row in rows(table.get("rings"), table.at("rings"))]
    label = f"ring:{name}"
    needs = _needs(asked, "" if len(given) == 1 else f"`{label}` <= 1")
    steps, after_ms = [], 0
    for number, ring in enumerate(given, 1):
        if number == len(given):
            for key in ("timeout", "skills_to_remove"):
                if ring.get(key):
                    raise PlanError("nothing follows the last ring", field=ring.at(key))
            break
        removed = rows(ring.get("skills_to_remove") or (), ring.at("skills_to_remove"))
        gone = [checked_term(value, at) for at, value in removed]
        after_ms += 1_000 * ring.integer("timeout", 1, 315_360_000)
        circle = None if number + 1 == len(given) else f"`{label}` <= {number + 1}"
        steps.append(Step(after_ms, without=[*gone, label], also=circle))
    return needs, steps


def _needs(skills: list[str], circle: str) -> str:
    """Skills and a circle as a requirement."""
    return conjunction(*(parse(f"`{skill}`") for skill in skills), parse(circle)).text
