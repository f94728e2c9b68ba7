"""The plan: one checked value, from Python or TOML, and back again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import omniroute
from omniroute import FirstComeFirstServed, ServiceObjective, SkillsFirst
from omniroute.errors import PlanError
from omniroute.journey_rules import Effort, JourneyRules
from omniroute.model import Agent
from omniroute.plan import (
    DURATION_MAX_MS,
    Channel,
    Limits,
    Plan,
    Queue,
    Step,
    Target,
    duration_text,
    milliseconds,
)
from omniroute.requirements import parse
from omniroute.strategies import catalogue
from omniroute.toml_tables import FILE_BYTES_MAX

EXAMPLE = """\
skills = ["spanish", "billing"]
retention = "2h"

[[channels]]
name = "voice"

[[channels]]
name = "chat"
load = 1

[[queues]]
name = "support"
needs = "spanish >= 3"
offers = "all"
offer_timeout = "never"
wrap_up = "until released"
target = {within = "20s", share = 0.8}

[[queues.steps]]
after = "30s"
needs = "spanish >= 1"

[[queues.steps]]
after = "2m"
needs = ""
tier = -1

[[queues]]
name = "sales"

[[agents]]
id = "ana"
skills = {spanish = 4}
labels = {tiers = ["gold"], "home office" = true}
queues = {support = 0, sales = 5}
units = 3
at_most = {voice = 1}
windows = [["1999-01-04T07:00:00Z", 1999-01-04T15:00:00Z]]
"""


def test_an_example_reads_as_written() -> None:
    """Every table of a plan file arrives in the value of its name."""
    plan = Plan.from_toml_text(EXAMPLE)
    assert plan == Plan(
        channels=[Channel("voice"), Channel("chat")],
        queues=[
            Queue(
                "support",
                needs="spanish >= 3",
                offers="all",
                offer_timeout_ms=None,
                wrap_up_ms=None,
                target=Target(20_000, 0.8),
                steps=[Step(30_000, needs="spanish >= 1"), Step(120_000, needs="", tier=-1)],
            ),
            Queue("sales"),
        ],
        agents=[
            Agent(
                "ana",
                skills={"spanish": 4},
                labels={"tiers": frozenset({"gold"}), "home office": True},
                queues={"support": 0, "sales": 5},
                units=3,
                at_most={"voice": 1},
                windows=[(915_433_200_000, 915_462_000_000)],
            )
        ],
        skills=["spanish", "billing"],
        retention_ms=7_200_000,
    )
    assert hash(plan) == hash(Plan.from_toml_text(plan.to_toml()))


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="`"), min_size=1, max_size=8).filter(
    lambda name: (
        name == name.strip()
        and not set(name) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    )
)
durations = st.one_of(st.integers(0, DURATION_MAX_MS), st.sampled_from([0, 1_000, 60_000, 3_600_000]))
needs = st.sampled_from(["", "spanish >= 3", 'region in {"a", "b"} and not x', '`two words` or "é" in tiers'])
steps = st.lists(st.tuples(durations, needs, needs, st.none() | st.integers(-5, 5)), max_size=3).map(
    lambda rows: [Step(a, needs=n, also=m, tier=t) for a, n, m, t in sorted(rows, key=lambda row: row[0])]
)
queues = st.builds(
    Queue,
    names,
    needs=needs,
    steps=steps.filter(lambda found: len({step.after_ms for step in found}) == len(found)),
    offers=st.integers(1, 9) | st.just("all"),
    offer_timeout_ms=st.none() | st.integers(1, DURATION_MAX_MS),
    wrap_up_ms=st.none() | durations,
    limit=st.none() | st.integers(0, 10),
    retry_after_ms=st.none() | durations,
    target=st.none() | st.builds(Target, durations, st.floats(0.001, 1)),
    short_abandon_ms=durations,
)
journeys = st.none() | st.builds(
    JourneyRules,
    expires_ms=st.integers(1, DURATION_MAX_MS),
    repeat_within_ms=durations,
    limit=st.integers(1, 10),
    prefer=st.sampled_from(["last_agent", "owner"]),
    prefer_for_ms=st.none() | st.integers(1, DURATION_MAX_MS),
    one_agent=st.booleans(),
    private=st.lists(names, max_size=2),
    effort=st.builds(Effort, hop=st.integers(0, 5)),
)
label_texts = names | st.sampled_from(["", 'say "hi"', "back\\slash"])
labels = st.booleans() | st.integers(-9, 9) | label_texts | st.frozensets(label_texts, max_size=3)
free = st.recursive(
    st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.floats(-1e9, 1e9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def agents(draw: st.DrawFn, queue_names: list[str]) -> Agent:
    """Draw an agent who may be a member of these queues."""
    memberships = st.dictionaries(st.sampled_from(queue_names), st.integers(0, 3))
    starts = sorted(draw(st.sets(st.integers(0, 10**13), max_size=4)))
    windows = list(zip(starts[::2], starts[1::2], strict=False))
    skills = draw(st.dictionaries(names.map(lambda name: f"s{name}"), st.integers(0, 9), max_size=3))
    found = draw(st.dictionaries(names.map(lambda name: f"l{name}"), labels, max_size=3))
    return Agent(
        draw(names),
        skills={parse(f"`{name}`").atoms[0].name: level for name, level in skills.items()},
        labels={parse(f"`{name}`").atoms[0].name: label for name, label in found.items()},
        queues=draw(st.none() | memberships),
        units=draw(st.integers(1, 9)),
        at_most=draw(st.sampled_from([{}, {"voice": 2}])),
        order=draw(st.integers(-3, 3)),
        windows=windows,
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw any valid plan."""
    found = draw(st.lists(queues, min_size=1, max_size=3, unique_by=lambda queue: queue.name))
    people = st.lists(agents([queue.name for queue in found]), max_size=3, unique_by=lambda agent: agent.id)
    others = draw(st.lists(names.filter(lambda name: name != "voice"), max_size=2, unique=True))
    return Plan(
        channels=[Channel("voice"), *(Channel(name, 2) for name in others)],
        queues=found,
        agents=draw(people),
        limits=Limits(entries=draw(st.integers(1, 9))),
        retention_ms=draw(durations),
        csv=draw(st.dictionaries(names, free, max_size=2)),
        replay=draw(st.dictionaries(names, free, max_size=2)),
        journey=draw(journeys),
    )


@given(plans())
def test_toml_round_trip(plan: Plan) -> None:
    """What to_toml() writes reads back as an equal plan, written the same again."""
    text = plan.to_toml()
    again = Plan.from_toml_text(text)
    assert again == plan
    assert again.to_toml() == text


@given(st.text() | st.text("[]={}\"'\n.,qa-1 "))
def test_any_text_reads_or_is_refused(text: str) -> None:
    """Whatever text comes, from_toml_text() gives a plan or raises PlanError with the source."""
    source: str | None = "x.toml"
    try:
        Plan.from_toml_text(text, source="x.toml")
    except PlanError as error:
        source = error.source
    assert source == "x.toml"


rubbish = (
    free | st.dates().map(lambda day: day) | st.sampled_from([[[]], {"name": 1}, [{"name": 1}], "never", -1, [None]])
)


@given(st.data())
def test_any_value_anywhere_reads_or_is_refused(data: st.DataObject) -> None:
    """A value of any type under any key of a plan gives a plan or raises PlanError, nothing else."""
    kinds: list[tuple[Any, dict[str, Any]]] = [
        (Queue, {"name": "q"}),
        (Channel, {"name": "c"}),
        (Plan, {"queues": [Queue("q")]}),
    ]
    for kind, required in kinds:
        key = data.draw(st.sampled_from([field.name for field in attrs.fields(kind) if field.init]))
        value = data.draw(rubbish)
        try:
            kind(**{**required, key: value})
        except PlanError as error:
            assert (error.field or "").startswith(key.removesuffix("_ms"))  # noqa: PT017


WRONG = {
    (
        'after = "2m"',
        'after = "30s"',
    ): "queues[0].steps[1].after: must be later than the step ahead of it, got 30s behind 30s",
    ('after = "30s"', "after = 1.5"): "queues[0].steps[0].after: "
    'expected a duration such as "30s" or integer milliseconds, got 1.5',
    ("offers", "ofers"): "queues[0].ofers: unknown key 'ofers'; did you mean 'offers'?",
    ("share = 0.8", "share = 80"): 'queues[0].target.share: expected a share such as 0.8 or "80%", got 80',
    ('needs = "spanish >= 1"', 'needs = "spanish >"'): "queues[0].steps[0].needs: "
    "column 10: expected an integer or a text in quotes, found the end",
    ('needs = "spanish >= 3"', 'needs = "spanihs"'): "queues[0].needs: "
    "'spanihs' is neither declared in skills nor a label of an agent; did you mean 'spanish'?",
    ('name = "sales"', 'name = "support"'): "queues[1].name: 'support' is queues[0] already",
    ("sales = 5", "sails = 5"): "agents[0].queues: unknown queue 'sails'; did you mean 'sales'?",
    ("voice = 1", "voise = 1"): "agents[0].at_most: unknown channel 'voise'; did you mean 'voice'?",
    ("units = 3", "units = 0"): "agents[0].units: must be in 1..1000000, got 0",
    ("spanish = 4", "french = 4"): "agents[0].skills: skill 'french' is not declared in skills",
    ("15:00:00Z", "06:00:00Z"): "agents[0].windows[0]: must start before it ends, "
    "got 1999-01-04T07:00:00Z to 1999-01-04 06:00:00+00:00",
    ("retention", "retentoin"): "retentoin: unknown key 'retentoin'; did you mean 'retention'?",
    ('offers = "all"', 'strategy = "skils_first"'): "queues[0].strategy.name: "
    "unknown strategy 'skils_first'; did you mean 'skills_first'?",
    ('offers = "all"', "strategy = 3"): "queues[0].strategy: expected the name of a strategy, got 3",
    ("load = 1", "load = 0"): "channels[1].load: must be in 1..1000000, got 0",
    ("load = 1", "load = ]"): "Invalid value (at line 9, column 8)",
}


@pytest.mark.parametrize(("change", "message"), WRONG.items())
def test_messages_from_a_file(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    """An error in a file names file, line, table and field, says what is wrong and suggests the nearest name."""
    path = tmp_path / "plan.toml"
    path.write_text(EXAMPLE.replace(*change, 1), encoding="utf-8")
    line = EXAMPLE[: EXAMPLE.index(change[0])].count("\n") + 1
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(path)
    assert str(caught.value) == f"{path}:{line}: {message}"


def test_what_is_missing_is_missed_at_its_table() -> None:
    """A missing key is reported with the line of its table's header; a missing table has no line."""
    with pytest.raises(PlanError, match=r"plan:3: queues\[0\].steps\[0\]: the key 'after' is missing"):
        Plan.from_toml_text("[[queues]]\nname = 'q'\n[[queues.steps]]\nneeds = ''")
    with pytest.raises(PlanError, match="plan: the key 'queues' is missing"):
        Plan.from_toml_text("")
    with pytest.raises(PlanError, match=r"plan:1: queues: expected a list of tables, \[\[queues\]\]"):
        Plan.from_toml_text("[queues]\nname = 'q'")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, too large, not UTF-8, too deep: all are PlanErrors that name the file."""
    large, latin, deep = tmp_path / "large", tmp_path / "latin", tmp_path / "deep"
    large.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    latin.write_bytes(b'name = "\xe9"')
    deep.write_text("a = " + "[" * 100_000, encoding="utf-8")
    for path, words in (
        (tmp_path / "no", "cannot be read"),
        (large, "larger than"),
        (latin, "UTF-8"),
        (deep, "nested"),
    ):
        with pytest.raises(PlanError, match=words) as caught:
            Plan.from_toml(path)
        assert caught.value.source == str(path)


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000), ("1h 30m", 5_400_000)],
)
def test_durations(value: str, expected_ms: int) -> None:
    """People write durations with units; inside there are integer milliseconds."""
    assert milliseconds(value) == milliseconds(expected_ms) == milliseconds(timedelta(milliseconds=expected_ms))
    assert milliseconds(duration_text(expected_ms)) == expected_ms


REFUSED: list[object] = ["", "30", "s", "1.5s", "-1s", "1S", "٣s", "9" * 99 + "s", -1, True, 1.0, None]
REFUSED += [timedelta(microseconds=1), timedelta(-1), DURATION_MAX_MS + 1]


@pytest.mark.parametrize("value", REFUSED)
def test_refused_durations(value: Any) -> None:
    """A duration without a unit, in fractions, negative or beyond ten years is refused."""
    with pytest.raises(PlanError):
        milliseconds(value)


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"queues": 1}, "queues"),
        ({"channels": 1}, "channels"),
        ({"skills": 1}, "skills"),
        ({"agents": 1}, "agents"),
        ({"steps": 1}, "queues[1].steps"),
        ({"name_length": 4}, "channels[0].name"),
        ({"name_length": 5}, "queues[1].name"),
    ],
)
def test_limits_of_the_plan(limits: dict[str, int], field: str) -> None:
    """Every limit that a plan alone can break is refused in the plan; the limit itself is allowed."""
    queues = [Queue("short"), Queue("longer", steps=[Step(1, tier=1), Step(2, tier=2)])]
    agents = [Agent("a"), Agent("b")]
    values: dict[str, Any] = {"queues": queues, "agents": agents, "skills": ["s", "t"]}
    values["channels"] = [Channel("voice"), Channel("chat")]
    Plan(**values, limits=Limits(queues=2, channels=2, skills=2, agents=2, steps=2, name_length=6))
    with pytest.raises(PlanError) as caught:
        Plan(**values, limits=Limits(**limits))
    assert caught.value.field == field


def test_limits_are_limited() -> None:
    """A limit is an integer from 1; zero, truth values and names longer than any name are refused."""
    for wrong in ({"agents": 0}, {"steps": True}, {"name_length": 1_025}):
        with pytest.raises(PlanError) as caught:
            Limits(**wrong)
        assert caught.value.field == next(iter(wrong))


def test_a_step_replaces_then_adds() -> None:
    """A step's needs replace the requirement (the empty text drops it), also is added, None keeps."""
    current = parse("spanish >= 3")
    assert Step(0, needs="").applied(current) == parse("")
    assert Step(0, needs="x", also="y").applied(current) == parse("x and y")
    assert Step(0, also="y").applied(current) == parse("spanish >= 3 and y")
    assert Step(0, tier=1).applied(current) == current
    with pytest.raises(PlanError, match="changes nothing"):
        Step("30s")


def test_a_strategy_is_a_value() -> None:
    """A queue takes a value with a name and a version, not a class or a name; an unlisted one cannot be written."""

    @attrs.frozen
    class Own:
        name: ClassVar[str] = "own"
        version: ClassVar[int] = 1

    queue = Queue("q", strategy=Own())
    with pytest.raises(PlanError, match="not in the catalogue"):
        Plan(queues=[queue]).to_toml()
    for wrong, got in ((Own, "got Own"), ("skills_first", "got 'skills_first'"), (3, "got 3")):
        with pytest.raises(PlanError) as caught:
            Queue("q", strategy=wrong)  # type: ignore[arg-type]
        assert caught.value.field == "strategy"
        assert "such as Priority()" in caught.value.message
        assert caught.value.message.endswith(got)


def test_strategies_of_the_catalogue_are_public() -> None:
    """Whatever a file can name can be imported from ``omniroute``; what ``dir`` says, it says once."""
    for name in catalogue.names():
        assert catalogue._class(name).__name__ in omniroute.__all__
    assert len(dir(omniroute)) == len(set(dir(omniroute)))


STRATEGIES = {
    "best_match": "",
    "by_membership": "",
    "by_step": ', stages = {0 = "skills_first", 2 = {name = "preferences", weights = {q = 2}}}',
    "composed": ', parts = ["skills_first", "priority"]',
    "first_come_first_served": "",
    "preferences": "",
    "priority": "",
    "revenue": "",
    "schedule": "",
    "service_objective": ', objective = "20s"',
    "skills_first": "",
}
"""By name, the parameters that it cannot do without."""


def test_the_catalogue_is_what_the_tests_know() -> None:
    """No strategy joins or leaves the catalogue without a test of how it is written to a file."""
    assert catalogue.names() == tuple(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_of_the_catalogue_survives_toml(name: str) -> None:
    """A strategy of the catalogue, named in a file, is written back with its parameters and reads as an equal one."""
    needed = STRATEGIES[name]
    said = f'{{name = "{name}"{needed}}}' if needed else f'"{name}"'
    plan = Plan.from_toml_text(f'[[queues]]\nname = "q"\nstrategy = {said}')
    strategy = plan.queues[0].strategy
    assert strategy is not None
    assert strategy.name == name
    assert Plan.from_toml_text(plan.to_toml()) == plan
    with pytest.raises(PlanError, match=r"queues\[0\]\.strategy\.nonsense: '.*' has no parameter 'nonsense'"):
        Plan.from_toml_text(f'[[queues]]\nname = "q"\nstrategy = {{name = "{name}", nonsense = 1}}')


def test_a_file_may_name_a_strategy_for_all_queues() -> None:
    """It holds for queues that name none; one that names its own keeps it, and the first come of itself is a name too.

    Seen to fail: the plan's strategy put in place of a queue's own.
    """
    queues = '[[queues]]\nname = "a"\n[[queues]]\nname = "b"\nstrategy = "first_come_first_served"\n'
    queues += '[[queues]]\nname = "c"'
    objective = '[strategy]\nname = "service_objective"\nobjective = "30s"\n'
    plan = Plan.from_toml_text(objective + queues)
    found = ServiceObjective(objective="30s")
    assert [queue.strategy for queue in plan.queues] == [found, FirstComeFirstServed(), found]
    assert Plan.from_toml_text(plan.to_toml()) == plan
    plan = Plan.from_toml_text(f'strategy = "skills_first"\n{queues}')
    assert [queue.strategy for queue in plan.queues] == [SkillsFirst(), FirstComeFirstServed(), SkillsFirst()]
    with pytest.raises(PlanError, match=r"plan:3: strategy\.objective: "):
        Plan.from_toml_text(objective.replace("30s", "3s") + queues)
    with pytest.raises(PlanError, match=r"plan:1: strategy\.name: unknown strategy 'skils_first'"):
        Plan.from_toml_text(f'strategy = "skils_first"\n{queues}')


def test_free_tables_are_copied_and_bounded() -> None:
    """The csv and replay tables hold what TOML can say, copied, not too deep."""
    inner: dict[str, object] = {"wait": "w"}
    plan = Plan(queues=[Queue("q")], csv={"columns": inner})
    inner["wait"] = "changed"
    assert plan.csv == {"columns": {"wait": "w"}}
    deep: dict[str, object] = {}
    for _ in range(20):
        deep = {"a": deep}
    for wrong in (deep, {"a": None}, {"a": {1: 2}}, {"a": float("nan")}):
        with pytest.raises(PlanError) as caught:
            Plan(queues=[Queue("q")], csv=wrong)
        assert (caught.value.field or "").startswith("csv.a")
