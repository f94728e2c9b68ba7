"""Preferences: whom an interaction asks first, what a free agent takes first, and from when on, by name."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias, TypeVar, cast

import attrs

from omniroute.core.codes import AgentKey
from omniroute.core.limits import AGE_RATE_MAX, OPENS_MAX, RANK_MAX
from omniroute.model import checked_integer
from omniroute.plan import Duration, milliseconds
from omniroute.strategies.knobs import ANY, by_name, joined, joined_to, key_text, one_of, row_key, strict_tier
from omniroute.strategies.protocol import NEVER, ClassView, GroupView, Place, Tables, column

__all__ = ["Preferences"]

First: TypeAlias = Literal["longest_waiting", "longest_queue"]
Ranks: TypeAlias = Mapping[str, Mapping[str, int]]
Delays: TypeAlias = Mapping[str, Mapping[str, Duration]]
_T = TypeVar("_T")


def _rows(value: object, field: str) -> list[tuple[str, dict[str, object]]]:
    rows = by_name(value, field)
    return [(key, by_name(row, f"{field}.{key}")) for key, row in rows.items()]


def _ranks(value: object, name: str) -> dict[str, dict[str, int]]:
    return {
        key: {group: checked_integer(rank, f"{name}.{key}.{group}", 0, RANK_MAX) for group, rank in row.items()}
        for key, row in _rows(value, name)
    }


def _prefers(value: object) -> dict[str, dict[str, int]]:
    return _ranks(value, "prefers")


def _takes(value: object) -> dict[str, dict[str, int]]:
    return _ranks(value, "takes")


def _delays(value: object) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for key, row in _rows(value, "delays"):
        found[key] = {}
        for group, delay in row.items():
            field = f"delays.{key}.{group}"
            found[key][group] = checked_integer(milliseconds(cast("Duration", delay), field), field, 0, OPENS_MAX)
    return found


def _weights(value: object) -> dict[str, int]:
    rows = by_name(value, "weights")
    return {key: checked_integer(item, f"weights.{key}", 0, AGE_RATE_MAX) for key, item in rows.items()}


def _first(value: object) -> str:
    return one_of(value, ("longest_waiting", "longest_queue"), "first")


@attrs.frozen(kw_only=True)
class Preferences:
    """Lists of preference: of interactions among groups of agents, and of agents among classes of interactions.

    ``prefers`` has ranks by class, then group: an interaction goes to a free agent of the least rank. ``takes`` has
    ranks in the same form: a free agent takes from the class with the least rank. Whom a row leaves out is not asked at
    all; where a table has no row for a class, everybody may and all are equal. A class is named by what it needs in
    all, else by its queue, a group by its label ``group_label``; "*" is any other. ``delays``, in the same form, are
    how long an interaction has waited before a group may have it; a longer delay of an agent's own counts.

    Among equal ranks a free agent takes, by ``first``, the greatest ``weight * waiting`` ("longest_waiting") or
    ``weight * length of its queue`` ("longest_queue", and in it the longest waiting); ``weights`` are by class, 1 where
    there is none. The greatest priority goes strictly first, and penalties of memberships are not looked at. Waiting of
    a greater weight passes as :class:`omniroute.strategies.service_objective.ServiceObjective` lets it; a least rank, a
    priority and a longest queue have no bound. Raises PlanError.

    >>> strategy = Preferences(prefers={"sales": {"senior": 0, "junior": 1}}, delays={"sales": {"junior": "20s"}})
    >>> strategy.delays
    {'sales': {'junior': 20000}}
    """

    name: ClassVar[str] = "preferences"
    version: ClassVar[int] = 1
    __or__, __ror__ = joined, joined_to

    prefers: Ranks = attrs.field(factory=dict, converter=_prefers, hash=False)
    takes: Ranks = attrs.field(factory=dict, converter=_takes, hash=False)
    delays: Delays = attrs.field(factory=dict, converter=_delays, hash=False)
    weights: Mapping[str, int] = attrs.field(factory=dict, converter=_weights, hash=False)
    first: First = attrs.field(default="longest_waiting", converter=_first)
    group_label: str = attrs.field(default="segment", validator=attrs.validators.instance_of(str))
    _agent_key: str | AgentKey = attrs.field(default=AgentKey.LONGEST_IDLE, converter=key_text)

    @property
    def agent_key(self) -> AgentKey:
        """What orders agents that are otherwise equal."""
        return AgentKey[str(self._agent_key).upper()]

    def tables(self, classes: Sequence[ClassView], groups: Sequence[GroupView]) -> Tables:
        """Answer with openings, ranks, and rates by class. O(classes * groups)."""
        names = [str(group.labels.get(self.group_label, ANY)) for group in groups]
        opens, rank_out, rank_in, weights = array("q"), array("q"), array("q"), array("q")
        for view in classes:
            out, in_, delays = _row(self.prefers, view), _row(self.takes, view), _row(self.delays, view) or {}
            for name, group in zip(names, groups, strict=True):
                preferred, taken = _cell(out, name), _cell(in_, name)
                known = preferred is not None and taken is not None
                rank_out.append(preferred or 0)
                rank_in.append(taken or 0)
                delay = cast("int", delays.get(name, delays.get(ANY, 0)))
                opens.append(max(delay, group.delays.get(view.queue, 0)) if known else NEVER)
            weight = _row(self.weights, view)
            weights.append(1 if weight is None else weight)
        none, by_length = column(0, len(classes)), self.first == "longest_queue"
        return Tables(
            opens=opens,
            rank_out=rank_out,
            rank_in=rank_in,
            age_rate=none if by_length else weights,
            length_rate=weights if by_length else none,
        )

    def place(self, priority: int) -> Place:
        """Put the greatest priority strictly first. O(1)."""
        return Place(tier=strict_tier(priority))


def _row(table: Mapping[str, _T], view: ClassView) -> _T | None:
    """What a table says of a class: by what it needs, by its queue, or of any; None where it says nothing."""
    return table.get(row_key(table, view))


def _cell(row: Mapping[str, int] | None, group: str) -> int | None:
    """A rank of a row, None for who is left out; without a row all are equal."""
    return 0 if row is None else row.get(group, row.get(ANY))
