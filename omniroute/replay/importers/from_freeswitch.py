"""FreeSWITCH: queues, agents and tiers of ``callcenter.conf``, read into mappings, as a plan.

What the settings mean: mod_callcenter of FreeSWITCH and conf/autoload_configs/callcenter.conf.xml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, Agent, nearest, shown
from omniroute.plan import Plan, Queue, Step
from omniroute.replay.importers.table import Table, few, inside, named, rows, same
from omniroute.strategies.membership import ByMembership

__all__ = ["freeswitch"]

_KEYS: Final = {
    "longest-idle-agent": "longest_idle",
    "agent-with-fewest-calls": "fewest_handled",
    "round-robin": "round_robin",
    "top-down": "fixed_order",
    "sequentially-by-agent-order": "fixed_order",
    "ring-all": "longest_idle",
}
_NO_KEY: Final = {
    "agent-with-least-talk-time": "no agent key counts time connected",
    "random": "no dice are rolled",
    "ring-progressively": "offers are made at once, not one after another",
}
_QUEUE_KEYS: Final = (
    "strategy",
    "time-base-score",
    "tier-rules-apply",
    "tier-rule-wait-second",
    "tier-rule-wait-multiply-level",
    "tier-rule-no-agent-no-wait",
    "abandoned-resume-allowed",
)
_QUEUE_SILENT: Final = (
    "moh-sound",
    "record-template",
    "announce-sound",
    "announce-frequency",
    "discard-abandoned-after",
)
_QUEUE_REFUSED: Final = {
    "max-wait-time": "how long a customer may wait is for the host to say",
    "max-wait-time-with-no-agent": "how long a customer may wait is for the host to say",
    "max-wait-time-with-no-agent-time-reached": "how long a customer may wait is for the host to say",
    "skip-agents-with-external-calls": "the host says who is ready",
}
_AGENT_KEYS: Final = ("max-no-answer", "wrap-up-time", "reject-delay-time", "busy-delay-time", "no-answer-delay-time")
_AGENT_SILENT: Final = ("type", "contact", "status", "uuid")
_MIXED: Final = "the wrap-up of a queue is that of all its agents"


def freeswitch(
    queues: Mapping[str, Mapping[str, object]],
    agents: Mapping[str, Mapping[str, object]],
    tiers: Sequence[Mapping[str, object]],
) -> Plan:
    """Return the plan of queues and agents by name, and of tiers (``queue``, ``agent``, ``level``, ``position``).

    A level becomes the penalty of the membership, and a label ``level:QUEUE`` for the steps that open it: interactions
    have no needs of their own, since a step replaces them. With ``tier-rules-apply`` level L opens after ``L *
    tier-rule-wait-second`` (without ``tier-rule-wait-multiply-level``: all after once that time); level 0, and with
    ``tier-rule-no-agent-no-wait`` the lowest level that has agents, opens at once. That a level also opens while
    everybody of the levels below is logged out cannot be expressed: it opens by its time. Raises PlanError. O(queues +
    agents + tiers).

    >>> plan = freeswitch({"sales": {}}, {"ana": {}}, [{"queue": "sales", "agent": "ana", "level": 2}])
    >>> dict(plan.agents[0].queues)
    {'sales': 2}
    """
    wrap_ups = {name: _agent(value, field) for field, name, value in named(agents, "agents")}
    tables = {
        name: Table(value, field, _QUEUE_KEYS, silent=_QUEUE_SILENT, refused=_QUEUE_REFUSED)
        for field, name, value in named(queues, "queues")
    }
    memberships: dict[str, dict[str, int]] = {name: {} for name in wrap_ups}
    orders: dict[str, int] = {}
    levels: dict[str, set[int]] = {name: set() for name in tables}
    held: dict[str, int] = {}
    for field, row in rows(tiers, "tiers"):
        tier = Table(row, field, ("queue", "agent", "level", "position"), silent=("state",))
        queue, agent = _known(tier, "queue", tables), _known(tier, "agent", wrap_ups)
        if queue in memberships[agent]:
            raise PlanError(f"{agent!r} is in {queue!r} already", field=field)
        memberships[agent][queue] = tier.integer("level", 0, INTEGER_MAX, 1)
        levels[queue].add(memberships[agent][queue])
        same(held, queue, wrap_ups[agent], tier.at("agent"), f"wrap-up in ms ({_MIXED})")
        if _KEYS.get(str(tables[queue].get("strategy"))) == "fixed_order":
            same(
                orders, agent, tier.integer("position", 0, 2**30 - 1, 1), tier.at("position"), "place in a fixed order"
            )
    built = []
    for name, table in tables.items():
        with inside(table.field):
            built.append(_queue(name, table, sorted(levels[name]), held.get(name, 0)))
    crew = [
        Agent(
            name,
            queues=found,
            labels={_label(queue): level for queue, level in found.items()},
            order=orders.get(name, 0),
        )
        for name, found in memberships.items()
    ]
    return Plan(queues=built, agents=crew)


def _known(tier: Table, key: str, names: Mapping[str, object]) -> str:
    """The name of a queue or agent that is there."""
    name = tier.name(key)
    if name not in names:
        raise PlanError(f"unknown {key} {shown(name)}{nearest(name, names)}", field=tier.at(key))
    return name


def _agent(value: object, field: str) -> int:
    """Check an agent; return his wrap-up in milliseconds."""
    table = Table(value, field, _AGENT_KEYS, silent=_AGENT_SILENT)
    never = "an agent whose offer expired is not ready until the host says otherwise"
    table.only("max-no-answer", 1, table.integer("max-no-answer", 0, INTEGER_MAX, 1), never)
    for key in ("reject-delay-time", "busy-delay-time", "no-answer-delay-time"):
        table.only(key, 0, table.integer(key, 0, INTEGER_MAX, 0), "the host says when the agent is ready again")
    return table.seconds("wrap-up-time", 0)


def _queue(name: str, table: Table, levels: list[int], wrap_up_ms: int) -> Queue:
    """Build one queue; how long an agent's telephone rings is the plan's default of 20 s."""
    strategy = table.choice("strategy", (*_KEYS, *_NO_KEY), "longest-idle-agent")
    if strategy in _NO_KEY:
        raise PlanError(f"cannot be expressed in a plan: {_NO_KEY[strategy]}", field=table.at("strategy"))
    if strategy == "ring-all" and len(levels) > 1:
        message = "cannot be expressed in a plan: levels that join while others ring"
        raise PlanError(message, field=table.at("strategy"))
    base = table.choice("time-base-score", ("queue", "system"), "queue")
    table.only("time-base-score", "queue", base, "give the time before the queue as head_start_ms")
    resume = table.flag("abandoned-resume-allowed", False)
    table.only("abandoned-resume-allowed", False, resume, "who left has left; give the old wait as head_start_ms")
    start, later = _circles(name, table, levels)
    return Queue(
        name,
        patient=True,
        needs=start,
        steps=later,
        strategy=ByMembership(takes="longest_waiting", agent_key=_KEYS[strategy]),
        offers="all" if strategy == "ring-all" else 1,
        wrap_up_ms=wrap_up_ms,
    )


def _label(queue: str) -> str:
    return f"level:{queue}"


def _circles(name: str, table: Table, levels: list[int]) -> tuple[str, list[Step]]:
    """What is needed at first, and the steps that open further levels: to these the real wait counts."""
    wait_ms = table.seconds("tier-rule-wait-second", 0)
    multiply = table.flag("tier-rule-wait-multiply-level", False)
    no_wait = table.flag("tier-rule-no-agent-no-wait", True)
    if not table.flag("tier-rules-apply", False) or not wait_ms or not levels:
        return "", []
    lowest = levels[0] if no_wait else 0
    greatest: dict[int, int] = {}
    for level in levels:
        greatest[0 if level <= lowest else wait_ms * (level if multiply else 1)] = level
    needs = {at: "" if level == levels[-1] else f"`{_label(name)}` <= {level}" for at, level in greatest.items()}
    start = needs.pop(0, f"`{_label(name)}` < {levels[0]}")
    return start, few([Step(at, needs=text) for at, text in needs.items()])
