"""A plan from a log: queues, agents with their skills and hours, and the order in which people were taken.

Nothing is guessed silently: whatever the log does not say becomes a sentence in ``Reconstruction.assumptions``, and
:func:`plan_text` writes the plan with those sentences for a person to edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Final

import attrs
import numpy as np

from omniroute.errors import InputError, PlanError
from omniroute.formats.records import LogRecord
from omniroute.insight.columns import NONE, InteractionColumns
from omniroute.insight.metrics import handle_times, served_by_agent_and_queue
from omniroute.insight.tables import many
from omniroute.model import Agent
from omniroute.plan import Channel, Plan, Queue, StrategyValue
from omniroute.replay.agreement import HeadStartSearch, search_head_start
from omniroute.replay.history import History
from omniroute.replay.precedence import Precedence, choices_between_queues, search_precedence
from omniroute.replay.presence import AWAY_MS, AgentDays, agent_days, packed, service_clocks
from omniroute.strategies.fifo import FirstComeFirstServed
from omniroute.strategies.priority import Priority

SKILL_COUNT: Final = 3
SKILL_PART: Final = 0.1
SKILL_SHARE: Final = 0.25
"""An agent has a skill if he served the queue so often (or this part of all its services), and at this share at least
of the rate at which all agents together did."""
LEAST_CASES: Final = 30
LEAST_GAIN: Final = 0.02
"""A head start is taken over if it explains this share more of at least this many cases."""
LEAST_GAPS: Final = 30
UNNAMED: Final = "unnamed"
COMMENT_WIDTH: Final = 98


@attrs.frozen(kw_only=True, slots=True)
class Reconstruction:
    """A plan read from a log, what was assumed, and the findings behind it.

    ``between_ms`` is the time an agent needs between two services (measured over ``gaps``), ``unnamed`` how many
    services have no agent's name, ``presence_recorded`` whether the log records the presence of all named agents.
    """

    plan: Plan
    assumptions: tuple[str, ...]
    head_start: HeadStartSearch | None
    head_start_ms: dict[int, int]
    precedence: Precedence
    between_ms: int
    gaps: int
    unnamed: int
    presence_recorded: bool


def reconstruct(
    history: History, *, away_ms: int = AWAY_MS, head_start_ms: Mapping[int, int] | None = None
) -> Reconstruction:
    """Read a plan from a log. About O(n log n).

    ``away_ms``: an agent who lets somebody wait for longer between two services was away. ``head_start_ms`` by priority
    is searched when None. Raises InputError where the log has no services, or names that a plan cannot hold.
    """
    interactions = history.columns
    if not interactions.served.any():
        raise InputError("no interaction was served, so there are no agents to read a plan from", source="log")
    serves, stray = skills_served(interactions)
    days = agent_days(history, serves, away_ms=away_ms)
    search, heads = _head_start(history, head_start_ms)
    precedence = search_precedence(choices_between_queues(interactions, serves, heads))
    gaps = np.array([gap for day in days.values() for gap in day.between_ms], dtype=np.int64)
    between_ms = int(round(float(gaps.mean()) / 100) * 100) if len(gaps) >= LEAST_GAPS else 0
    unnamed, count = _unnamed(interactions)
    agents = [
        Agent(
            name,
            skills=dict.fromkeys(serves[name], 1),
            units=day.units,
            at_most=dict.fromkeys(history.channels, day.units) if day.units > 1 else {},
            windows=day.windows,
        )
        for name, day in days.items()
    ]
    queues = _queues(interactions, heads, precedence, between_ms)
    try:
        plan = Plan(
            channels=[Channel(channel) for channel in history.channels],
            queues=queues,
            agents=[*agents, *unnamed],
        )
    except PlanError as error:
        raise InputError(f"no plan can be read from it: {error}", source="log") from error
    said = [
        *_about_skills(len(serves), stray),
        *_about_presence(days, away_ms),
        *_about_unnamed(count, len(unnamed)),
        *_about_order(interactions, search, heads, precedence),
        _about_gaps(between_ms, len(gaps)),
    ]
    return Reconstruction(
        plan=plan,
        assumptions=tuple(said),
        head_start=search,
        head_start_ms=dict(heads),
        precedence=precedence,
        between_ms=between_ms,
        gaps=len(gaps),
        unnamed=count,
        presence_recorded=bool(days) and all(day.recorded for day in days.values()),
    )


def skills_served(interactions: InteractionColumns) -> tuple[dict[str, tuple[str, ...]], int]:
    """Return the queues that each agent serves as a rule, and how many services were strays from that.

    A queue is a skill of an agent who served it SKILL_COUNT times or did SKILL_PART of its services, and served it at
    SKILL_SHARE at least of the rate at which all agents together did. Who has none by that rule keeps the queues he
    served most. O(n).

    >>> from omniroute.formats.records import LoggedInteraction, Outcome
    >>> from omniroute.insight.columns import columns
    >>> done = [("ana", "sales")] * 50 + [("ben", "billing")] * 50 + [("ana", "billing")]
    >>> log = [LoggedInteraction(id=str(number), queue=queue, channel="voice", arrived_ms=0, agent=agent,
    ...        outcome=Outcome.SERVED) for number, (agent, queue) in enumerate(done)]
    >>> skills_served(columns(log))
    ({'ana': ('sales',), 'ben': ('billing',)}, 1)
    """
    table = served_by_agent_and_queue(interactions)
    of_queue: dict[str, int] = {}
    for row in table.values():
        for queue, count in row.items():
            of_queue[queue] = of_queue.get(queue, 0) + count
    everything = sum(of_queue.values())
    serves: dict[str, tuple[str, ...]] = {}
    stray = 0
    for agent, row in sorted(table.items()):
        total = sum(row.values())
        kept = [
            queue
            for queue, count in row.items()
            if (count >= SKILL_COUNT or count >= SKILL_PART * of_queue[queue])
            and count * everything >= SKILL_SHARE * of_queue[queue] * total
        ] or [queue for queue, count in row.items() if count == max(row.values())]
        serves[agent] = tuple(sorted(kept))
        stray += total - sum(row[queue] for queue in kept)
    return _nobody_left_out(table, serves), stray


def _nobody_left_out(
    table: Mapping[str, Mapping[str, int]], serves: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Give a queue that would have no agent at all to everybody who ever served it."""
    held = {queue for queues in serves.values() for queue in queues}
    for agent, row in table.items():
        lost = [queue for queue in row if queue not in held]
        serves[agent] = tuple(sorted({*serves[agent], *lost}))
    return serves


def _head_start(history: History, given: Mapping[int, int] | None) -> tuple[HeadStartSearch | None, dict[int, int]]:
    """Return the search for the head start of the highest priority, and the head starts that the plan takes over."""
    if len(np.unique(history.columns.priority)) < 2:
        return None, dict(given or {})
    records: Sequence[LogRecord] = history.interactions
    search = search_head_start(records)
    if given is not None:
        return search, dict(given)
    none, best = search.curve[0][1], search.best
    enough = best.cases >= LEAST_CASES and none.violations - best.violations >= LEAST_GAIN * best.cases
    return search, {search.priority: search.best_ms} if enough and search.best_ms else {}


def _queues(
    interactions: InteractionColumns, heads: Mapping[int, int], precedence: Precedence, between_ms: int
) -> list[Queue]:
    """Return a queue for each of the log, which asks for the skill of its own name."""
    priorities = np.unique(interactions.priority).tolist()
    queues = []
    for name in interactions.queue_names:
        own_ms = precedence.credit_ms[name]
        credit = {priority: own_ms + heads.get(priority, 0) for priority in priorities}
        strategy: StrategyValue = Priority(head_start=credit) if any(credit.values()) else FirstComeFirstServed()
        if "`" in name:
            raise InputError(f"the name of the queue {name!r} has a backtick, which plans cannot write", source="log")
        try:
            queues.append(Queue(name, needs=f"`{name}`", strategy=strategy, wrap_up_ms=between_ms))
        except PlanError as error:
            raise InputError(f"a plan cannot have a queue named {name!r}: {error.message}", source="log") from error
    return queues


def _unnamed(interactions: InteractionColumns) -> tuple[list[Agent], int]:
    """Return as few agents as did the services without a name, there exactly while those lasted.

    A service without a handle time lasts as long as one of its queue does on average.
    """
    rows = np.flatnonzero(interactions.served & (interactions.agent == NONE))
    start_ms, end_ms = service_clocks(interactions)
    overall = handle_times(interactions).mean_ms or 0.0
    mean_ms = [
        handle_times(interactions.where(interactions.queue == queue)).mean_ms or overall
        for queue in range(len(interactions.queue_names))
    ]
    spans = []
    for row in rows.tolist():
        start, end = int(start_ms[row]), int(end_ms[row])
        if interactions.handle_ms[row] == NONE and end <= start:
            end = start + round(mean_ms[int(interactions.queue[row])])
        if end > start:
            spans.append((start, end))
    skills = dict.fromkeys(interactions.queue_names, 1)
    taken = set(interactions.agent_names)
    agents = []
    for number, row_of_spans in enumerate(packed(spans), 1):
        name = f"{UNNAMED} {number}"
        while name in taken:
            name += "'"
        agents.append(Agent(name, skills=skills, windows=row_of_spans))
    return agents, len(rows)


# -- what was assumed, in sentences


def _about_skills(agents: int, stray: int) -> list[str]:
    return [
        f"Skills of {many(agents, 'agent')} are inferred from whom they served: a queue is a skill if the agent served "
        f"it at least {SKILL_COUNT} times (or {SKILL_PART:.0%} of all that it had) and at least {SKILL_SHARE:.0%} as "
        f"often as the mix of all agents would have it; {many(stray, 'service')} fell outside the skills so found."
    ]


def _about_presence(days: Mapping[str, AgentDays], away_ms: int) -> list[str]:
    inferred = [day for day in days.values() if not day.recorded]
    recorded = [day for day in days.values() if day.recorded]
    said = []
    if recorded:
        services = sum(day.widened for day in recorded)
        widened = f"; {many(services, 'service')} outside of it widened it" if services else ""
        said.append(f"Hours of {many(len(recorded), 'agent')} are the presence that the log records{widened}.")
    if inferred:
        breaks = many(sum(day.breaks for day in inferred), "break")
        said.append(
            f"Hours of {many(len(inferred), 'agent')} are not in the log. An agent is taken to be there from the first "
            "start to the last end of each day, except where, between two services, somebody he could have served "
            f"waited for more than {away_ms / 1000:g} s in all: {breaks}."
        )
    several = sum(1 for day in days.values() if day.units > 1)
    if several:
        said.append(
            f"{many(several, 'agent')} handled several interactions at once; capacity is then what an agent did not "
            "exceed at 95 % of the starts."
        )
    return said


def _about_unnamed(services: int, agents: int) -> list[str]:
    if not services:
        return []
    return [
        f"{many(services, 'service')} without an agent's name are real work: {many(agents, 'agent')} called "
        f"“{UNNAMED} …”, with every skill, are there exactly while those services lasted."
    ]


def _about_order(
    interactions: InteractionColumns,
    search: HeadStartSearch | None,
    heads: Mapping[int, int],
    precedence: Precedence,
) -> list[str]:
    said = []
    credited = ", ".join(f"{ms / 1000:g}s for priority {priority}" for priority, ms in sorted(heads.items()) if ms)
    if credited:
        said.append(f"Within a queue the longest waiting goes first, with a head start of {credited}.")
    elif search is not None:
        said.append(
            f"Within a queue the longest waiting goes first; no head start of priority {search.priority} "
            "explains the order better."
        )
    else:
        said.append("Within a queue the longest waiting goes first.")
    offered = {interactions.queue_names[queue] for queue in np.unique(interactions.queue[interactions.offered])}
    credited_ms = {name: ms for name, ms in precedence.credit_ms.items() if name in offered}
    if any(credited_ms.values()) and len(set(credited_ms.values())) > 1:
        by_ms: dict[int, list[str]] = {}
        for name, ms in credited_ms.items():
            by_ms.setdefault(ms, []).append(name)
        groups = "; ".join(
            f"{', '.join(names)} {f'{ms / 1000:g}s' if ms else 'none'}" for ms, names in sorted(by_ms.items())
        )
        said.append(
            f"Between queues some go first, as if they had waited longer: {groups}. Without that, agents with a choice "
            f"between two queues took the later arrival in {_share(precedence.disagreeing_without, precedence)} of "
            f"{precedence.choices:,} cases, with it in {_share(precedence.disagreeing_with, precedence)}."
        )
    return said


def _share(part: int, precedence: Precedence) -> str:
    return f"{part / max(precedence.choices, 1):.1%}"


def _about_gaps(between_ms: int, gaps: int) -> str:
    if not between_ms:
        return "What agents need between two services cannot be measured here and is taken as nothing."
    return (
        f"Wrap-up is not in the log. Between two services an agent needs {between_ms / 1000:.1f} s, the mean of the "
        f"{gaps:,} gaps in which somebody was waiting for him all the time."
    )


# -- the plan as a file


def plan_text(reconstruction: Reconstruction, plan: Plan, *, source: str, notes: Sequence[str] = ()) -> str:
    """Return ``plan`` as TOML with what was assumed as comments. O(size of the plan)."""
    head = [f"A plan read from {source}.", "", "What the log does not say was assumed:"]
    head += [f"- {line}" for line in (*reconstruction.assumptions, *notes)]
    head += ["", "Edit it, and route the same log again with --plan, or several such plans with compare."]
    text = plan.to_toml()
    for header, comment in (
        ("[[queues]]", "needs: the skill that an agent must have. wrap_up: what agents need between two services."),
        ("[[agents]]", "windows: when the agent is there, UTC as the log's clocks are read."),
    ):
        text = text.replace(header, f"# {comment}\n{header}", 1)
    return "".join(_comment(line) for line in head) + "\n" + text


def _comment(line: str) -> str:
    """Return a line, or an item of a list, as lines of comment."""
    indent = "  " if line.startswith("- ") else ""
    parts = wrap(_one_line(line), COMMENT_WIDTH, subsequent_indent=indent, break_on_hyphens=False)
    return "".join(f"# {part}\n" for part in parts) or "#\n"


def _one_line(text: str) -> str:
    """Return text without anything that would end a comment."""
    return "".join(character if character.isprintable() else " " for character in text)
