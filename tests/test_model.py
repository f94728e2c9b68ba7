"""Agents as values: checked once, canonical, equal when they are the same."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniroute.errors import PlanError
from omniroute.model import INTEGER_MAX, Agent, instant, nearest, refused_character

anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.datetimes()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3), st.tuples(inner, inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from([field.name for field in attrs.fields(Agent)]), anything)
def test_garbage_is_refused_with_one_error(field: str, value: object) -> None:
    """Whatever is given for a field, Agent is built and hashable or raises PlanError naming that field."""
    arguments: dict[str, Any] = {"id": "ana", field: value}
    named: str | None = field
    try:
        agent = Agent(**arguments)
    except PlanError as error:
        named = error.field
    else:
        assert hash(agent) == hash(copy.deepcopy(agent))
    assert (named or "").startswith(field.removesuffix("_ms"))


def test_an_agent_survives_pickle_and_copy() -> None:
    """An agent can be sent to another process and comes back equal, with the same key."""
    agent = Agent(
        "ana",
        skills={"spanish": 3},
        labels={"tiers": frozenset({"gold", "iron"}), "vip": True},
        queues={"sales": 2},
        units=4,
        at_most={"chat": 3},
        order=5,
        windows=((1, 2), (3, 4)),
    )
    sent = pickle.loads(pickle.dumps(agent))  # noqa: S301
    for twin in (sent, copy.deepcopy(agent), attrs.evolve(agent)):
        assert (twin, hash(twin), twin.key()) == (agent, hash(agent), agent.key())


def test_equal_keys_make_one_group() -> None:
    """Order of writing, level 0, id, fixed order and windows do not make another group; everything else does."""
    one = Agent("ana", skills={"a": 1, "b": 2, "c": 0}, labels={"x": "y"}, queues=["q", "p"])
    same = Agent("ben", skills={"b": 2, "a": 1}, labels={"x": "y"}, queues={"p": 0, "q": 0}, order=3, windows=[(1, 2)])
    assert one.key() == same.key()
    changes: list[dict[str, Any]] = [
        {"skills": {"a": 1}},
        {"labels": {}},
        {"queues": None},
        {"queues": []},
        {"queues": {"p": 0, "q": 1}},
        {"units": 2},
        {"at_most": {"chat": 1}},
    ]
    keys = [attrs.evolve(one, **change).key() for change in changes]
    assert len({one.key(), *keys}) == len(changes) + 1


def test_true_and_one_are_different_labels() -> None:
    """Python holds True equal to 1; agents and groups do not, because requirements tell them apart."""
    assert Agent("a", labels={"x": True}) != Agent("a", labels={"x": 1})
    assert Agent("a", labels={"x": True}).key() != Agent("a", labels={"x": 1}).key()


def test_names_that_look_the_same_are_the_same() -> None:
    """Skills and labels are compared in normal form C; ids stay as the host wrote them."""
    agent = Agent("n\u0303", skills={"n\u0303": 1})
    assert dict(agent.skills) == {"\u00f1": 1}
    assert agent.id == "n\u0303"


def test_values_cannot_be_changed() -> None:
    """A frozen agent has no mutable inside, and does not see later changes of what it was built from."""
    skills = {"a": 1}
    agent = Agent("ana", skills=skills)
    skills["a"] = 2
    assert agent.skills["a"] == 1
    with pytest.raises(TypeError):
        agent.skills["a"] = 3  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": ""}, "id: a name is not empty and has no space around it, got ''"),
        ({"id": "a\u202eb"}, "id: a name may not contain U+202E, got 'a\\u202eb'"),
        ({"id": 7}, "id: expected a name (text), got 7"),
        ({"id": "a", "units": 0}, "units: must be in 1..1000000, got 0"),
        ({"id": "a", "units": True}, "units: expected an integer, got True"),
        ({"id": "a", "skills": {"s": -1}}, f"skills.s: must be in 0..{INTEGER_MAX}, got -1"),
        ({"id": "a", "skills": ["s"]}, "skills: expected a table from names to values, got a value of type list"),
        (
            {"id": "a", "skills": {"n\u0303": 1, "\u00f1": 2}},
            "skills: '\u00f1' is written in two ways that look the same",
        ),
        (
            {"id": "a", "skills": {"s": 1}, "labels": {"s": 1}},
            "labels: 's' is a skill of this agent already; a name is one or the other",
        ),
        (
            {"id": "a", "labels": {"x": 1.5}},
            "labels.x: a label is true or false, an integer, text or a set of texts, got 1.5",
        ),
        ({"id": "a", "queues": "sales"}, "queues: expected a table of penalties or a list of names, got 'sales'"),
        ({"id": "a", "windows": [(1, 1)]}, "windows[0]: must start before it ends, got 1 to 1"),
        (
            {"id": "a", "windows": [(1, 5), (4, 6)]},
            "windows[1]: must not start before the one ahead of it ends, got 4, that ends 5",
        ),
        ({"id": "a", "windows": [("soon", 6)]}, "windows[0]: expected an ISO 8601 date and time, got 'soon'"),
    ],
)
def test_messages(arguments: dict[str, Any], message: str) -> None:
    """An error names the field, what is allowed and what was given."""
    with pytest.raises(PlanError) as caught:
        Agent(**arguments)
    assert str(caught.value) == message


def test_windows_may_touch() -> None:
    """Windows are half open: one may begin where the one ahead of it ends."""
    assert Agent("ana", windows=[(1, 5), [5, 6]]).windows == ((1, 5), (5, 6))


def test_instants() -> None:
    """Milliseconds, ISO text and datetimes say the same instant; without an offset they mean UTC."""
    expected = 915_433_200_250
    for value in (expected, "1999-01-04T07:00:00.250Z", "1999-01-04T08:00:00.250999+01:00", "1999-01-04 07:00:00.250"):
        assert instant(value) == expected
    assert instant(datetime(1999, 1, 4, 7, 0, 0, 250_000)) == expected
    with pytest.raises(PlanError):
        instant("1969-12-31T23:59:59Z")


def test_refused_characters_and_suggestions() -> None:
    """Controls and bidirectional controls are found; a far-off name gets no suggestion."""
    assert refused_character("\u2066") == 0
    assert refused_character("é \u00a0中") is None
    assert nearest("zzz", ["sales"]) == ""
