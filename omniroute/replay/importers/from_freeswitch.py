"""FreeSWITCH: queues, agents and tiers of ``callcenter.conf``, read into mappings, as a plan.

What the settings mean: mod_callcenter of FreeSWITCH and conf/autoload_configs/callcenter.conf.xml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from omniroute.conditions import Condition
from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, UNITS_MAX, Agent, nearest, shown
from omniroute.plan import Plan, Queue, Rona, Step
from omniroute.replay.importers.table import Table, few, inside, named, rows, same
from omniroute.strategies.membership import ByMembership

__all__ = ["freeswitch"]

_KEYS: Final = {
    "longest-idle-agent": "longest_since_conversation",
    "agent-with-fewest-calls": "fewest_handled",
    "agent-with-least-talk-time": "least_talk_time",
    "random": "weighted_random",
    "round-robin": "round_robin",
    "top-down": "fixed_order",
    "sequentially-by-agent-order": "fixed_order",
    "ring-all": "longest_idle",
    "ring-progressively": "fixed_order",
}
_QUEUE_KEYS: Final = (
    "strategy",
    "ring-progressively-delay",
    "time-base-score",
    "tier-rules-apply",
    "tier-rule-wait-second",
    "tier-rule-wait-multiply-level",
    "tier-rule-no-agent-no-wait",
    "abandoned-resume-allowed",
    "max-wait-time",
)
_QUEUE_SILENT: Final = (
    "moh-sound",
    "record-template",
    "announce-sound",
    "announce-frequency",
    "discard-abandoned-after",
)
_QUEUE_REFUSED: Final = {
    "max-wait-time-with-no-agent": "no step counts for how long nobody has been there",
    "max-wait-time-with-no-agent-time-reached": "no step counts for how long nobody has been there",
    "skip-agents-with-external-calls": "the host says who is ready",
}
_DELAY_MAX: Final = 86_400
"""Seconds of wrap-up or delay."""
_AGENT_KEYS: Final = ("max-no-answer", "wrap-up-time", "reject-delay-time", "busy-delay-time", "no-answer-delay-time")
_AGENT_SILENT: Final = ("type", "contact", "status", "uuid")
_RESUME: Final = "give discard-abandoned-after as grace_ms of Leave, and a resume_key with each call"
_ALIKE: Final = "way of wrapping up and of not answering, since these belong to the queue"


def freeswitch(
    queues: Mapping[str, Mapping[str, object]],
    agents: Mapping[str, Mapping[str, object]],
    tiers: Sequence[Mapping[str, object]],
) -> Plan:
    """Return the plan of queues and agents by name, and of tiers (``queue``, ``agent``, ``level``, ``position``).

    A level becomes the penalty of the membership, and a label ``level:QUEUE`` for the steps that open it: interactions
    have no needs of their own, since a step replaces them. With ``tier-rules-apply`` level L opens after ``L *
    tier-rule-wait-second`` (without ``tier-rule-wait-multiply-level``: all after once that time); level 0, and with
    ``tier-rule-no-agent-no-wait`` the lowest level that has agents, opens at once, and each further one for calls that
    come while nobody of those open before it is signed in. What an agent says of delays, wrap-up and ``max-no-answer``
    is said by the queue here, so it is the same for all its agents; a delay doubles with each miss in a row.
    ``max-wait-time`` ends the wait by a step. Raises PlanError. O(queues + agents + tiers).

    >>> plan = freeswitch({"sales": {}}, {"ana": {}}, [{"queue": "sales", "agent": "ana", "level": 2}])
    >>> dict(plan.agents[0].queues)
    {'sales': 2}
    """
    manners = {name: _agent(value, field) for field, name, value in named(agents, "agents")}
    tables = {
        name: Table(value, field, _QUEUE_KEYS, silent=_QUEUE_SILENT, refused=_QUEUE_REFUSED)
        for field, name, value in named(queues, "queues")
    }
    memberships: dict[str, dict[str, int]] = {name: {} for name in manners}
    orders: dict[str, int] = {}
    levels: dict[str, set[int]] = {name: set() for name in tables}
    shared: dict[str, dict[str, int]] = {}
    for field, row in rows(tiers, "tiers"):
        tier = Table(row, field, ("queue", "agent", "level", "position"), silent=("state",))
        queue, agent = _known(tier, "queue", tables), _known(tier, "agent", manners)
        if queue in memberships[agent]:
            raise PlanError(f"{agent!r} is in {queue!r} already", field=field)
        memberships[agent][queue] = tier.integer("level", 0, INTEGER_MAX, 1)
        levels[queue].add(memberships[agent][queue])
        same(shared, queue, manners[agent], tier.at("agent"), _ALIKE)
        strategy = tables[queue].get("strategy")
        if isinstance(strategy, str) and _KEYS.get(strategy) == "fixed_order":
            same(
                orders, agent, tier.integer("position", 0, 2**30 - 1, 1), tier.at("position"), "place in a fixed order"
            )
    built = []
    for name, table in tables.items():
        with inside(table.field):
            built.append(_queue(name, table, sorted(levels[name]), shared.get(name, dict.fromkeys(_AGENT_KEYS, 0))))
    crew = [
        Agent(
            name,
            queues=found,
            labels={_label(queue): level for queue, level in found.items()},
            order=orders.get(name, 0),
        )
        for name, found in memberships.items()
    ]
    return Plan(queues=built, agents=crew, conditions=_absences(built))


def _known(tier: Table, key: str, names: Mapping[str, object]) -> str:
    """The name of a queue or agent that is there."""
    name = tier.name(key)
    if name not in names:
        raise PlanError(f"unknown {key} {shown(name)}{nearest(name, names)}", field=tier.at(key))
    return name


def _agent(value: object, field: str) -> dict[str, int]:
    """Read an agent: seconds, and after how many calls without an answer (0: never) he is not ready."""
    table = Table(value, field, _AGENT_KEYS, silent=_AGENT_SILENT)
    return {key: table.integer(key, 0, UNITS_MAX if key == "max-no-answer" else _DELAY_MAX, 0) for key in _AGENT_KEYS}


def _rona(manners: Mapping[str, int]) -> dict[str, Rona]:
    """What follows an offer that came to nothing, by cause."""
    return {
        "no_answer": Rona(manners["max-no-answer"], 1_000 * manners["no-answer-delay-time"]),
        "declined": Rona(0, 1_000 * manners["reject-delay-time"]),
        "busy": Rona(0, 1_000 * manners["busy-delay-time"]),
    }


def _queue(name: str, table: Table, levels: list[int], manners: Mapping[str, int]) -> Queue:
    """Build one queue; how long an agent's telephone rings is the plan's default of 20 s."""
    strategy = table.choice("strategy", tuple(_KEYS), "longest-idle-agent")
    if strategy == "ring-all" and len(levels) > 1:
        message = "cannot be expressed in a plan: levels that join while others ring"
        raise PlanError(message, field=table.at("strategy"))
    base = table.choice("time-base-score", ("queue", "system"), "queue")
    table.only("time-base-score", "queue", base, "give the time before the queue as head_start_ms")
    resume = table.flag("abandoned-resume-allowed", False)
    table.only("abandoned-resume-allowed", False, resume, _RESUME)
    start, later = _circles(name, table, levels)
    every_ms = table.seconds("ring-progressively-delay", 10)
    most_ms = table.seconds("max-wait-time", 0)
    if most_ms:
        later = [*(step for step in later if step.after_ms < most_ms), Step(most_ms, cancel=True)]
    return Queue(
        name,
        patient=True,
        needs=start,
        steps=few(later),
        strategy=ByMembership(takes="longest_waiting", agent_key=_KEYS[strategy]),
        offers="all" if strategy.startswith("ring-") else 1,
        offer_every_ms=every_ms if strategy == "ring-progressively" else None,
        wrap_up_ms=1_000 * manners["wrap-up-time"],
        retry_after_ms=0,
        rona=_rona(manners),
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
    open_ = [level for at, level in greatest.items() if at == 0]
    steps = []
    for at, text in needs.items():
        absent = _absent(name, open_[-1]) if no_wait and open_ else None
        steps.append(Step(at, needs=text, at_once_if=absent))
        open_.append(greatest[at])
    return start, steps


def _absent(queue: str, level: int) -> str:
    """The name of the condition that nobody up to a level of a queue is signed in."""
    return f"nobody:{queue}:{level}"


def _absences(queues: Sequence[Queue]) -> list[Condition]:
    """The conditions that steps of queues name."""
    found = []
    for queue in queues:
        for step in queue.steps:
            if step.at_once_if is not None:
                level = step.at_once_if.rpartition(":")[2]
                agents = f"`{_label(queue.name)}` <= {level}"
                found.append(Condition(step.at_once_if, "staffed", agents=agents, at_most=0))
    return found
