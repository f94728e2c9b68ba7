"""Asterisk: ``queues.conf`` and ``queuerules.conf``, read into mappings, as a plan.

What the settings mean: app_queue of Asterisk and its sample files, configs/samples/queues.conf.sample and
queuerules.conf.sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import attrs

from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, Agent, checked_name, nearest, shown
from omniroute.plan import Plan, Queue, Rona, Step
from omniroute.replay.importers.table import Table, few, inside, integer, named, rows, same
from omniroute.strategies.membership import ByMembership

__all__ = ["asterisk"]

_KEYS: Final = {
    "ringall": "longest_idle",
    "leastrecent": "longest_since_conversation",
    "fewestcalls": "fewest_handled",
    "rrmemory": "round_robin_in_queue",
    "rrordered": "round_robin_in_queue",
    "linear": "fixed_order",
    "random": "weighted_random",
}
"""Which agent key a strategy becomes."""
_OWN_KEYS: Final = {
    "leastrecent": "longest_since_conversation_in_queue",
    "fewestcalls": "fewest_handled_in_queue",
}
"""Which it becomes where queues do not share what they know of their members."""

_KNOWN: Final = (
    "strategy",
    "timeout",
    "retry",
    "wrapuptime",
    "maxlen",
    "weight",
    "penaltymemberslimit",
    "defaultrule",
    "autofill",
    "autopause",
    "autopausebusy",
    "autopauseunavail",
    "ringinuse",
    "timeoutpriority",
    "member",
)
_SILENT: Final = (
    *("musicclass", "announce", "announce-frequency", "announce-holdtime", "announce-position"),
    *("announce-round-seconds", "announce-to-first-user", "min-announce-frequency", "periodic-announce"),
    *("periodic-announce-frequency", "random-periodic-announce", "monitor-type", "monitor-format", "mixmonitor"),
    *("reportholdtime", "servicelevel", "setinterfacevar", "setqueuevar", "setqueueentryvar", "memberdelay"),
    *("eventwhencalled", "eventmemberstatus", "log_membername_as_agent", "persistentmembers", "updatecdr"),
)
_REFUSED: Final = {
    "joinempty": "who may join an empty queue is for the host to say before it enqueues",
    "leavewhenempty": "who has to leave an empty queue is for the host to say",
    "context": "leaving by a digit is for the host",
    "autopausedelay": "an agent whose offer expired is not ready until the host says otherwise",
    "shared_lastcall": "it is a setting of the section general",
}
_PAUSES: Final = {"no_answer": "autopause", "busy": "autopausebusy", "unreachable": "autopauseunavail"}
"""Which setting makes a member not ready, by what his telephone did."""


@attrs.frozen
class _Window:
    """Which penalties may be asked, and up to which they are equal."""

    least: int = 0
    most: int | None = None
    raised: int = 0

    def needs(self, label: str) -> str:
        """The window as a requirement on the label that holds the penalty. O(1).

        A penalty below ``raised`` counts as ``raised`` here too.
        """
        if self.most is not None and self.raised > self.most:
            return "false"
        parts = [f"`{label}` >= {self.least}"] if self.least > self.raised else []
        if self.most is not None:
            parts.append(f"`{label}` <= {self.most}")
        return " and ".join(parts)


def asterisk(queues: Mapping[str, Mapping[str, object]], rules: Mapping[str, list[str]] | None = None) -> Plan:
    """Return the plan of the queues of ``queues.conf``, by name, with the rules of ``queuerules.conf``, by name.

    ``member`` is a text as in the file (``interface[,penalty[,name]]``) or a list of these; agents are called by their
    name, else by their interface. Of a rule each text is ``seconds,maximum[,minimum[,raise]]``, with a sign where it is
    relative. Of a section ``general`` only ``shared_lastcall`` is read. Members ring by the least penalty; a rule
    becomes steps over a label ``penalty:QUEUE``. Who declines or does not answer may ring again after ``retry``;
    the settings of ``autopause`` say when he turns not ready. ``weight`` is a tier: a member who is free serves the
    queue of the greatest weight as long as anybody waits there. Raises PlanError. O(members + rules).

    >>> plan = asterisk({"support": {"strategy": "rrmemory", "member": ["PJSIP/10,0,Ana", "PJSIP/11,1,Ben"]}})
    >>> [(agent.id, dict(agent.queues)) for agent in plan.agents]
    [('Ana', {'support': 0}), ('Ben', {'support': 1})]
    """
    windows = {name: _windows(value, field) for field, name, value in named(rules or {}, "rules")}
    keys = _KEYS if _is_shared(queues) else _KEYS | _OWN_KEYS
    found: list[Queue] = []
    memberships: dict[str, dict[str, int]] = {}
    orders: dict[str, int] = {}
    for field, name, value in named(queues, "queues"):
        if name == "general":
            continue
        table = Table(value, field, _KNOWN, silent=_SILENT, refused=_REFUSED)
        members = _members(table)
        with inside(field):
            found.append(_queue(name, table, members, windows, keys))
        for position, (agent, penalty, place) in enumerate(members):
            if name in memberships.setdefault(agent, {}):
                raise PlanError(f"{agent!r} is a member already", field=place)
            memberships[agent][name] = penalty
            if table.get("strategy") == "linear":
                same(orders, agent, position, place, "place in a fixed order")
    labelled = {queue.name for queue in found if queue.needs or queue.steps}
    agents = [
        Agent(
            agent,
            queues=penalties,
            labels={_label(queue): penalty for queue, penalty in penalties.items() if queue in labelled},
            order=orders.get(agent, 0),
        )
        for agent, penalties in memberships.items()
    ]
    return Plan(queues=found, agents=agents)


def _is_shared(queues: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether queues share when a member's last call was, and how many he had."""
    general = next((value for _, name, value in named(queues, "queues") if name == "general"), None)
    key = "shared_lastcall"
    known = {key: general[key]} if isinstance(general, Mapping) and key in general else {}
    return Table(known, "queues.general", (key,)).flag(key, True)


def _label(queue: str) -> str:
    return f"penalty:{queue}"


def _queue(
    name: str,
    table: Table,
    members: list[tuple[str, int, str]],
    windows: Mapping[str, list[tuple[int, _Window]]],
    keys: Mapping[str, str],
) -> Queue:
    """Build one queue."""
    strategy = table.choice("strategy", (*_KEYS, "wrandom"), "ringall")
    if strategy not in _KEYS:
        why = "its chances are in proportion to nothing; give agents a weight and the queue random"
        raise PlanError(f"cannot be expressed in a plan: {why}", field=table.at("strategy"))
    table.only("autofill", True, table.flag("autofill", True), "every free agent is asked at once")
    table.only("ringinuse", False, table.flag("ringinuse", False), "an agent in use has no room")
    table.only("timeoutpriority", "app", table.choice("timeoutpriority", ("app", "conf"), "app"), "the host counts it")
    by_penalty = len(members) > table.integer("penaltymemberslimit", 0, INTEGER_MAX, 0)
    rule = _rule(table, windows) if by_penalty else []
    start = rule.pop(0)[1] if rule and not rule[0][0] else _Window()
    raises = [start.raised, *(window.raised for _, window in rule)]
    raised = {number: new for number, (old, new) in enumerate(pairwise([0, *raises])) if new != old}
    timeout = table.seconds("timeout", 15)
    limit = table.integer("maxlen", 0, INTEGER_MAX, 0)
    return Queue(
        name,
        patient=True,
        needs=start.needs(_label(name)),
        strategy=ByMembership(
            prefers="penalty" if by_penalty else "agent_key",
            takes="longest_waiting",
            raised=raised or None,
            tier=-table.integer("weight", 0, INTEGER_MAX, 0),
            agent_key=keys[strategy],
        ),
        steps=few([Step(after_ms, needs=window.needs(_label(name))) for after_ms, window in rule]),
        offers="all" if strategy == "ringall" else 1,
        offer_timeout_ms=timeout or None,
        wrap_up_ms=table.seconds("wrapuptime", 0),
        retry_after_ms=table.seconds("retry", 5),
        rona={cause: Rona(int(_pauses(table, key))) for cause, key in _PAUSES.items()},
        limit=limit or None,
    )


def _pauses(table: Table, key: str) -> bool:
    """Whether a setting pauses a member: "all" means in all his queues, which not ready always does here."""
    return table.get(key) == "all" or table.flag(key, False)


def _rule(table: Table, windows: Mapping[str, list[tuple[int, _Window]]]) -> list[tuple[int, _Window]]:
    """The windows of the queue's default rule."""
    if not table.has("defaultrule"):
        return []
    name = table.name("defaultrule")
    if name not in windows:
        raise PlanError(f"unknown rule {shown(name)}{nearest(name, windows)}", field=table.at("defaultrule"))
    return list(windows[name])


def _members(table: Table) -> list[tuple[str, int, str]]:
    """Who is a member: agent, penalty, and the place in the file."""
    value = table.get("member")
    lines = [] if value is None else [value] if isinstance(value, str) else value
    found = []
    for field, line in rows(lines, table.at("member")):
        if not isinstance(line, str):
            raise PlanError(f"expected interface[,penalty[,name]], got {shown(line)}", field=field)
        interface, penalty, name, *rest = [*(part.strip() for part in line.split(",")), "", ""]
        if any(rest):
            raise PlanError("cannot be expressed in a plan: settings of one member behind his name", field=field)
        agent = checked_name(name or interface, field)
        found.append((agent, integer(penalty or 0, field, 0, INTEGER_MAX), field))
    return found


def _windows(value: object, field: str) -> list[tuple[int, _Window]]:
    """The windows of one rule by time in milliseconds, each time once."""
    changes = []
    for place, line in rows(value, field):
        if not isinstance(line, str):
            raise PlanError(f"expected seconds,maximum[,minimum[,raise]], got {shown(line)}", field=place)
        parts = [part.strip() for part in line.split(",")]
        if not 2 <= len(parts) <= 4:
            raise PlanError(f"expected seconds,maximum[,minimum[,raise]], got {shown(line)}", field=place)
        changes.append((integer(parts[0], place, 0, 315_360_000), [*parts[1:], "", ""][:3], place))
    found: dict[int, _Window] = {}
    window = _Window()
    for seconds, (most, least, raised), place in sorted(changes, key=lambda change: change[0]):
        window = _Window(
            _moved(window.least, least, place), _most(window.most, most, place), _moved(window.raised, raised, place)
        )
        if window.most is not None and window.least > window.most:
            raise PlanError(f"the minimum {window.least} is above the maximum {window.most}", field=place)
        found[seconds * 1_000] = window
    return list(found.items())


def _moved(before: int, text: str, field: str) -> int:
    """A penalty after a change: absolute, relative with a sign, or as it was; never below 0."""
    if not text:
        return before
    change = integer(text, field, -INTEGER_MAX, INTEGER_MAX)
    return min(INTEGER_MAX, max(0, before + change)) if text[0] in "+-" else change


def _most(before: int | None, text: str, field: str) -> int | None:
    """The greatest penalty after a change; none was set at first, and then a change cannot be relative."""
    if before is None and text[:1] in ("+", "-"):
        raise PlanError("a relative maximum needs one before it, set at 0 seconds for instance", field=field)
    return before if not text else _moved(before or 0, text, field)
