"""Everything that a plan can say: written as TOML and read back, and played against both cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import play
import pytest
from cores import CORES, using
from hypothesis import given, settings
from hypothesis import strategies as st
from terms import same
from test_plan import plans

from omniroute import Agent, Channel, Plan, Priority, Queue, Router, Step, Target, commands, events
from omniroute.conditions import Condition, OnlyWhile
from omniroute.core.codes import AgentKey
from omniroute.errors import PlanError
from omniroute.plan import RESERVES, RONA, Rona
from omniroute.strategies.protocol import Place, Tables

counts = st.integers(0, 9)
milliseconds = st.integers(1, 10**6)
words = st.sampled_from(["", "hold the line", 'say "hi"', "back\\slash", "é"])


@st.composite
def conditions(draw: st.DrawFn, name: str, queues: list[str], channels: list[str]) -> Condition:
    """Draw a condition of any kind over these queues and channels."""
    of = draw(st.sampled_from(["waiting", "staffed", "idle", "available", "wait", "service_level"]))
    counted = of in ("staffed", "idle", "available")
    share = st.integers(0, 1_000).map(lambda n: n / 1_000)
    threshold: st.SearchStrategy[Any] = share if of == "service_level" else milliseconds if of == "wait" else counts
    first, last = sorted((draw(threshold), draw(threshold)))
    up = draw(st.booleans())
    values: dict[str, Any] = {"at_least": last} if up else {"at_most": first}
    return Condition(
        name,
        of,  # type: ignore[arg-type]
        queue=draw(st.none() | st.sampled_from(queues) if counted else st.sampled_from(queues)),
        agents=draw(st.sampled_from(["", "spanish >= 2"])) if counted else "",
        channel=draw(st.sampled_from(channels)) if of == "available" else None,
        until=draw(st.none() | st.just(first if up else last)),
        **values,
    )


@st.composite
def full_plans(draw: st.DrawFn) -> Plan:
    """Draw a plan that uses what plans can say beyond queues, needs and steps."""
    plan = draw(plans())
    queues, names = list(plan.queues), [queue.name for queue in plan.queues]
    channels = [channel.name for channel in plan.channels]
    labels = draw(st.lists(st.sampled_from(["vip", "two words", "é"]), max_size=2, unique=True))
    made = [draw(conditions(f"c{n}", names, channels)) for n in range(draw(st.integers(0, 3)))]
    known = st.sampled_from([condition.name for condition in made]) if made else st.nothing()
    some = st.none() | known
    for at, queue in enumerate(queues):
        way = st.none() | st.sampled_from(names[at + 1 :]) if names[at + 1 :] else st.none()
        steps = [
            attrs.evolve(
                step,
                without=draw(st.lists(st.sampled_from(["spanish", "é"]), max_size=2)),
                when=draw(some),
                at_once_if=draw(some),
                copy=draw(way),
                say=draw(words),
                offer=draw(words),
            )
            for step in queue.steps
            if step.needs is not None
        ]
        last = steps[-1].after_ms + 1 if steps else 0
        if draw(st.booleans()) and last < 10**9:
            to = draw(way)
            steps.append(Step(last, cancel=True) if to is None else Step(last, queue=to, tier=3, say=draw(words)))
        rona = st.dictionaries(st.sampled_from([*RONA]), st.builds(Rona, counts, counts), max_size=3)
        queues[at] = attrs.evolve(
            queue,
            steps=steps,
            target=queue.target or Target("20s", 0.8),
            setup_timeout_ms=draw(st.none() | milliseconds),
            auto_accept=draw(st.booleans()),
            rona=draw(rona),
            only_while=draw(st.lists(st.builds(OnlyWhile, known, st.sampled_from(["", "x"])), max_size=2)),
        )
    return attrs.evolve(
        plan,
        channels=[
            attrs.evolve(
                channel,
                reserves=draw(st.lists(st.sampled_from(RESERVES), unique=True)),
                survives_sign_out=draw(st.booleans()),
                allows=draw(st.none() | st.lists(st.sampled_from(channels), unique=True)),
                interrupted_by=draw(st.sampled_from([[], channels[at + 1 :]])),
            )
            for at, channel in enumerate(plan.channels)
        ],
        queues=queues,
        agents=[
            attrs.evolve(
                agent,
                label_at_most=draw(st.dictionaries(st.sampled_from(labels), counts)) if labels else {},
                auto_accept=draw(st.booleans()),
                burst=draw(counts),
                burst_per_ms=draw(milliseconds),
                delays=draw(st.dictionaries(st.sampled_from(names), milliseconds)),
                occupancy_at_most=draw(st.sampled_from([1, "85%", 0.333])),
            )
            for agent in plan.agents
        ],
        labels=labels,
        conditions=made,
        estimates_ms=draw(milliseconds),
        paced=draw(st.booleans()),
    )


@given(full_plans())
@settings(max_examples=60)
def test_everything_survives_toml(plan: Plan) -> None:
    """What to_toml() writes of any plan reads back as an equal plan, and a router takes both alike.

    Seen to fail with rests of rona written without their unit.
    """
    text = plan.to_toml()
    again = Plan.from_toml_text(text)
    assert again == plan
    assert again.to_toml() == text
    assert hash(again) == hash(plan)
    assert Router(again).digest() == Router(plan).digest()


FILE = """\
labels = ["vip"]

[[channels]]
name = "voice"
allows = []

[[channels]]
name = "chat"
reserves = ["offered"]
interrupted_by = ["voice"]

[[conditions]]
name = "busy"
of = "wait"
queue = "care"
at_least = "2m"
until = "1m"

[[queues]]
name = "sales"

[[queues]]
name = "care"
setup_timeout = "30s"

[queues.rona.no_answer]
after = 3
rest = "10s"

[[queues.only_while]]
condition = "busy"
agents = "sales"

[[queues.steps]]
after = "20s"
when = "busy"
without = ["spanish"]

[[queues.steps]]
after = "60s"
queue = "sales"

[[agents]]
id = "ana"
label_at_most = {vip = 1}
burst = 3
burst_per = "90s"
delays = {care = "5s"}
"""


def test_a_file_reads_as_written() -> None:
    """Every new table and key arrives in the value of its name, and nothing is lost when it is written again."""
    plan = Plan.from_toml_text(FILE)
    care, (ana,) = plan.queues[1], plan.agents
    assert plan.labels == ("vip",)
    assert plan.channels == (
        Channel("voice", allows=[]),
        Channel("chat", reserves=["offered"], interrupted_by=["voice"]),
    )
    assert plan.conditions == (Condition("busy", "wait", queue="care", at_least=120_000, until=60_000),)
    assert (care.setup_timeout_ms, care.rona) == (30_000, {"no_answer": Rona(3, 10_000)})
    assert care.only_while == (OnlyWhile("busy", "sales"),)
    assert care.steps == (Step(20_000, when="busy", without=["spanish"]), Step(60_000, queue="sales"))
    assert (ana.label_at_most, ana.burst, ana.burst_per_ms, ana.delays) == ({"vip": 1}, 3, 90_000, {"care": 5_000})
    assert plan.to_toml() == Plan.from_toml_text(plan.to_toml()).to_toml()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("allows = []", 'allows = ["fax"]'), "channels[0].allows"),
        (('reserves = ["offered"]', 'reserves = ["offer"]'), "channels[1].reserves[0]"),
        (('until = "1m"', 'until = "3m"'), "conditions[0].until"),
        (('of = "wait"', 'of = "waits"'), "conditions[0].of"),
        (("[queues.rona.no_answer]", "[queues.rona.no_anser]"), "queues[1].rona.no_anser"),
        (("after = 3", "after = -3"), "queues[1].rona.no_answer.after"),
        (('condition = "busy"', 'condition = "bsy"'), "queues[1].only_while[0].condition"),
        (('agents = "sales"', 'agents = "sales >"'), "queues[1].only_while[0].agents"),
        (('when = "busy"', 'when = "bsy"'), "queues[1].steps[0].when"),
        (('queue = "sales"', 'queue = "care"'), "queues[1].steps[1].queue"),
        (("{vip = 1}", "{vup = 1}"), "agents[0].label_at_most"),
        (('burst_per = "90s"', "burst_per = 0"), "agents[0].burst_per"),
        (('{care = "5s"}', '{car = "5s"}'), "agents[0].delays"),
        (('labels = ["vip"]', 'labels = ["vip", "vip"]'), "labels[1]"),
    ],
)
def test_messages_from_a_file(change: tuple[str, str], field: str) -> None:
    """An error in a new table names its line and its field."""
    with pytest.raises(PlanError) as caught:
        Plan.from_toml_text(FILE.replace(*change, 1))
    assert caught.value.field == field
    assert caught.value.line == FILE[: FILE.index(change[0])].count("\n") + 1


class Weighed:
    """A strategy that weighs interactions by their age, that of chats up to a cap."""

    name, version, agent_key = "weighed", 1, AgentKey.LONGEST_IDLE

    def __init__(self, cap: int | None) -> None:
        self.cap = cap

    def tables(self, classes: Any, groups: Any) -> Tables:
        """Ages count once, but double for chats."""
        chats = [view.channel == "chat" for view in classes]
        caps = None if self.cap is None else [self.cap if chat else -1 for chat in chats]
        return Tables(age_rate=[2 if chat else 1 for chat in chats], age_cap=caps)  # type: ignore[arg-type]

    def place(self, priority: int) -> Place:
        """One line."""
        return Place(tier=priority)


@pytest.mark.parametrize("core", CORES)
def test_ages_that_count_up_to_a_cap(core: str) -> None:
    """With a cap an interaction weighs no more from that age on; None and -1 are none; a revision brings another.

    Seen to fail with the cap left out of the core's class.
    """

    def first(cap: int | None, revised: tuple[int, ...] | None = None) -> str:
        plan = Plan(channels=[Channel("voice"), Channel("chat")], queues=[Queue("q", strategy=Weighed(cap))])
        router = Router(plan)
        router.sign_in(0, Agent("ana"))
        router.set_presence(0, "ana", "not_ready")
        router.enqueue(0, "v", "q")
        router.enqueue(1_000, "c", "q", channel="chat")
        if revised is not None:
            router.apply(2_000, commands.Revise("q", 0, 2, 1, age_rate=(1, 2), age_cap=revised))
        told = router.set_presence(60_000, "ana", "ready")[-1]
        assert isinstance(told, events.Offered)
        return told.interaction

    with using(core):
        assert [first(None), first(-1), first(30_000), first(29_000)] == ["c", "c", "v", "v"]
        assert first(None, (-1, 20_000)) == "v"
        assert first(20_000, (-1, -1)) == "c"


RICH = Plan(
    channels=[
        Channel("voice", load=2, allows=["chat"]),
        Channel("chat", interrupted_by=["voice"], reserves=["wrap_up"], survives_sign_out=True),
    ],
    queues=[
        Queue(
            "sales",
            strategy=Priority(head_start={2: "9s"}),
            offer_timeout_ms=4_000,
            wrap_up_ms=3_000,
            limit=6,
            rona={"no_answer": Rona(3, "2s"), "declined": Rona(2, "1s")},
            steps=[Step("3s", tier=-1, when="long"), Step("12s", queue="mail", say="elsewhere")],
        ),
        Queue(
            "care",
            needs="not trainee",
            steps=[
                Step("2s", without=["trainee"], at_once_if="long"),
                Step("5s", copy="sales", needs=""),
                Step("30s", cancel=True),
            ],
            retry_after_ms=6_000,
            setup_timeout_ms=2_000,
            only_while=[OnlyWhile("idle", "es"), OnlyWhile("long", "trainee")],
        ),
        Queue("mail", offers=2, auto_accept=True, only_while=[OnlyWhile("long")]),
    ],
    agents=[
        Agent("ana", skills={"es": 3}, units=2, burst=2, burst_per_ms=9_000),
        Agent("ben", skills={"es": 1, "fr": 1}, queues={"sales": 0, "care": 2}, units=3, delays={"care": "4s"}),
        Agent("cy", labels={"trainee": True}, units=2, auto_accept=True),
    ],
    conditions=[
        Condition("long", "waiting", queue="sales", at_least=2, until=1),
        Condition("idle", "idle", agents="not trainee", at_least=1),
    ],
    retention_ms=20_000,
)
OTHER = attrs.evolve(
    RICH,
    channels=[
        attrs.evolve(RICH.channels[0], allows=None),
        attrs.evolve(RICH.channels[1], interrupted_by=[], allows=[]),
    ],
    queues=[
        attrs.evolve(RICH.queues[0], steps=[Step("4s", copy="care")], rona={}),
        attrs.evolve(RICH.queues[1], steps=[Step("6s", queue="mail", when="idle")], only_while=[]),
        attrs.evolve(RICH.queues[2], only_while=[OnlyWhile("idle", "es")], auto_accept=False),
    ],
    conditions=[Condition("idle", "available", queue="sales", channel="chat", at_most=1, until=2)],
)
numbers = st.integers(0, 2**16)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=60), st.integers(0, 60))
@settings(max_examples=80)
def test_a_rich_plan_is_played_alike_on_both_cores(moves: list[play.Move], cut: int) -> None:
    """Both cores tell the same of any play under plans that use everything, and copies in between go on the same.

    Seen to fail with the conditions left out of a restored router's names, and with the copies of classes.
    """
    told: dict[str, Callable[[], object]] = {}
    for name in CORES:
        with using(name):
            router = play.opened(RICH)
            journal, happened = play.recorded(router, moves[:cut], (RICH.to_toml(), OTHER.to_toml()))
            same(router)
            restored = Router.restore(router.snapshot())
            more = play.recorded(router, moves[cut:], (RICH.to_toml(), OTHER.to_toml()))
            again = [restored.apply(record.now, record.command) for record in more[0]]
            assert again == more[1]
            assert restored.digest() == router.digest()
            router.check()
            found = (happened, more, router.digest(), len(journal))
            told[name] = found  # type: ignore[assignment]
    first, *others = told.values()
    assert all(other == first for other in others)
