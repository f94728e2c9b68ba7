"""The conformance kit: the strategies of the catalogue keep every rule, and each wicked one is caught by name."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import wicked
from cores import CORES

from omniroute import (
    BestMatch,
    ByMembership,
    FirstComeFirstServed,
    Plan,
    Priority,
    Queue,
    ServiceObjective,
    SkillsFirst,
    events,
)
from omniroute.core.reference import Core as Reference
from omniroute.core.reference import selection
from omniroute.core.reference.state import IN_QUEUE
from omniroute.strategies import catalogue
from omniroute.strategies.by_step import ByStep
from omniroute.strategies.preferences import Preferences
from omniroute.strategies.revenue import Revenue
from omniroute.strategies.schedule import Schedule
from omniroute.testing import RULES, BrokenRuleError, check_strategy
from omniroute.testing.laws import check_play
from omniroute.testing.moves import Scene, drawn_moves
from omniroute.testing.verdict import shortest
from omniroute.testing.worlds import another, default_plans, with_strategy

ROOT = Path(__file__).resolve().parents[1]
INTERACTION_FOR = selection.interaction_for
CATALOGUE = (
    FirstComeFirstServed(),
    FirstComeFirstServed(agent_key="round_robin"),
    Priority(),
    Priority(tiers={1: -1, 2: 4}, head_start={2: "9s", 3: "4s"}),
    SkillsFirst(),
    SkillsFirst(fit="most_qualified", specialist_first=True, takes="best_fit"),
    BestMatch(),
    BestMatch(scoring="average", agent_key="fewest_handled"),
    ByMembership(opens={1: "4s", 3: "9s"}, raised={1: 5}, point="5s"),
    ByMembership(prefers="agent_key", takes="longest_waiting", tier=3),
    ServiceObjective(objective="20s"),
    ServiceObjective(objective="45s", metric="pwt", next_agent="1m", interval="5s"),
    ByStep(stages={0: SkillsFirst(), 1: BestMatch()}),
    BestMatch() | Priority(head_start={2: "9s"}),
    ServiceObjective(objective="20s", metric="pwt", interval="5s") | ByMembership(opens={1: "5s"}),
    Preferences(group_label="region", prefers={"sales": {"north": 1, "*": 3}}, takes={"care": {"south": 2, "*": 0}}),
    Schedule(),
    Schedule(learn="5s", edges=("5m", "10m")),
    Revenue(values={"sale": {"sales": {"north": 900, "*": 500}}}, group_label="region", loss={"care": 70}),
)
"""Every strategy of the catalogue at least once, with its defaults and with its knobs."""


@pytest.mark.parametrize("strategy", CATALOGUE, ids=str)
def test_the_catalogue_keeps_the_rules(strategy: Any) -> None:
    """Whatever the library offers keeps every rule that it asks of others.

    Seen to fail, not planted: points of priority made a head start that is out of range.
    """
    report = check_strategy(strategy, plays=6)
    assert report.checked == tuple(RULES) if len(CORES) > 1 else set(report.skipped) == {"cores"}
    assert report.events["Offered"] > 50


def test_every_strategy_is_tried() -> None:
    """A strategy that is added to the catalogue is added here."""
    assert {strategy.name for strategy in CATALOGUE} == set(catalogue.names())


@pytest.mark.parametrize("name", wicked.WICKED)
def test_the_wicked_are_caught_by_name(name: str) -> None:
    """Each planted bug is caught as the rule that it breaks, with a question."""
    strategy, rule = wicked.WICKED[name]
    with pytest.raises(AssertionError, match=f"breaks the rule '{rule}'") as caught:
        check_strategy(strategy, plays=3)
    assert isinstance(caught.value, BrokenRuleError)
    assert caught.value.rule == rule
    assert caught.value.question


@pytest.mark.parametrize("strategy", [wicked.Good(), wicked.Dataclass(), wicked.Refusing(), wicked.Learning()])
def test_the_good_pass(strategy: Any) -> None:
    """Their good relatives keep every rule, so it is the one bug that is caught."""
    report = check_strategy(strategy, plays=4)
    assert "not checked" not in str(report).replace("cores", "" if len(CORES) > 1 else "not checked")
    assert (report.refusals > 0) is isinstance(strategy, wicked.Refusing)


def test_an_example_is_small() -> None:
    """Of two dozen classes and groups the message names the two that show it, and the figures."""
    with pytest.raises(BrokenRuleError) as caught:
        check_strategy(wicked.Indexed())
    assert caught.value.question.startswith("tables(1 class, 2 groups)")
    assert "rank_out is 0 as asked, and 1 backwards" in caught.value.example
    with pytest.raises(BrokenRuleError) as caught:
        check_strategy(wicked.Relative())
    assert caught.value.question.startswith("tables(1 class, 2 groups)")
    assert "alone" in caught.value.example


def test_what_cannot_be_built_again_is_told() -> None:
    """Without declared parameters the author says how it is built; what cannot be imported is not tried elsewhere."""
    report = check_strategy(wicked.Plain(3), plays=1)
    assert {"equality", "rebuilt", "process"} <= set(report.skipped)
    assert "neither an attrs class nor a dataclass" in str(report)
    report = check_strategy(wicked.Plain(3), plays=1, rebuild=lambda: wicked.Plain(3))
    assert {"equality", "rebuilt"} <= set(report.checked)
    with pytest.raises(BrokenRuleError, match="equality"):
        check_strategy(wicked.Plain(3), plays=1, rebuild=lambda: wicked.Plain(4))

    class Local(wicked.Good):
        """It stands inside a function."""

    report = check_strategy(Local(), plays=1)
    assert "outside of functions" in report.skipped["process"]


def test_beside_a_profiler_nothing_is_trapped() -> None:
    """Whoever measures a test keeps his profiler; the report says that clocks and dice were not looked for."""
    seen: list[str] = []

    def profiler(frame: Any, event: str, arg: Any) -> None:
        seen.append(event)

    sys.setprofile(profiler)
    try:
        report = check_strategy(wicked.Watching(), plays=0)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert report.skipped["outside"] == "a profiler is running"
    assert "outside" not in report.checked
    assert seen


def test_whoever_measures_the_collection_of_garbage_is_not_the_strategy() -> None:
    """A clock that is read whenever garbage is collected is nobody's question. Seen to fail beside hypothesis."""
    seen, before = [], gc.get_threshold()

    def measure(phase: str, info: object) -> None:
        seen.append(time.perf_counter())

    gc.callbacks.append(measure)
    gc.set_threshold(1)
    try:
        assert "outside" in check_strategy(wicked.Good(), plays=0).checked
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(measure)
    assert seen


def test_the_kit_needs_nothing_else() -> None:
    """Who checks a strategy needs no test library and no arrays. Seen to fail with the dice of numpy."""
    code = (
        "import sys; from omniroute import Priority; from omniroute.testing import check_strategy\n"
        "assert check_strategy(Priority(), plays=1).events\n"
        "print([name for name in ('hypothesis', 'pytest', 'numpy', 'random') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_plans_of_ones_own() -> None:
    """The strategy stands where a plan names none, and is asked about what is in the plan."""
    plan = Plan(queues=[Queue("north", strategy=Priority()), Queue("south")])
    strategy = wicked.Good()
    assert [queue.strategy for queue in with_strategy(plan, strategy).queues] == [Priority(), strategy]
    full = attrs.evolve(plan, queues=[Queue("north", strategy=Priority())])
    assert with_strategy(full, strategy).queues[0].strategy == strategy
    report = check_strategy(strategy, plans=[plan], needs=["region == 7"], plays=2)
    assert report.questions > 20


def test_the_same_seed_tries_the_same() -> None:
    """A report is a function of the strategy and the seed."""
    one, two, other = (check_strategy(Priority(), seed=seed, plays=2) for seed in (5, 5, 6))
    assert one == two != other


def test_plays_see_what_a_strategy_decides() -> None:
    """Together the plays tell every kind of event that a host without turns, intake and journeys sees."""
    report = check_strategy(wicked.Learning(), plays=30)
    kinds = {"Queued", "Offered", "Connected", "Finished", "Released", "OfferDeclined", "OfferExpired", "StepTaken"}
    kinds |= {
        "Requeued",
        "Transferred",
        "Updated",
        "Abandoned",
        "PlanChanged",
        "AgentUpdated",
        "RevisionDue",
        "Revised",
    }
    assert {kind.__name__ for kind in events.Event.__args__} > kinds
    assert all(report.events.get(kind, 0) > 2 for kind in kinds), report.events


# Bugs planted below the door: what the laws have to see -------------------------------------------------------------


class Sleeping(Reference):
    """Nobody looks for work for an agent who has become free."""

    def _free(self, j: int) -> None:
        """Forget him."""


class Leaking(Reference):
    """Capacity that was taken is never given back."""

    def _hold(self, j: int, channel: int, sign: int) -> None:
        """Only take."""
        if sign > 0:
            super()._hold(j, channel, sign)


class Noticing(Reference):
    """Whoever looks whether a deadline is due leaves a trace."""

    def advance(self, now: int) -> None:
        """Fire them, and count that somebody asked."""
        super().advance(now)
        self._next_seq()


class Restless(Reference):
    """Idle time is not restarted."""

    def _restart_idle(self, j: int) -> None:
        """Leave it."""


class Forgetting(Reference):
    """A snapshot loses how many each agent has handled."""

    @classmethod
    def load(cls, data: Any) -> Reference:
        """Read it, and lose them."""
        found = super().load(data)
        for agent in found.agents:
            agent.handled = 0
        return found


class Youngest(Reference):
    """Whoever becomes free gets the youngest of a class."""

    def _serve(self, j: int) -> None:
        """Turn the line round."""

        def youngest(core: Any, agent: int, *, window: int = -1) -> tuple[int, int] | None:
            found = INTERACTION_FOR(core, agent, window=window)
            if found is None:
                return None
            k = core.interactions[found[0]].entries[found[1]].class_
            mine = [
                (entry.since, i, at)
                for i, interaction in enumerate(core.interactions)
                if interaction is not None and interaction.state in IN_QUEUE
                for at, entry in enumerate(interaction.entries)
                if entry.class_ == k and selection.why_not(core, i, entry, agent) is None
            ]
            return max(mine, default=(0, *found))[1:]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection, "interaction_for", youngest)
            super()._serve(j)


PLANTED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"planted": Sleeping}, "waiting"),
    ({"planted": Leaking}, "invariants"),
    ({"planted": Youngest}, "places"),
    ({"planted": Noticing}, "ticks"),
    ({"reference": Reference, "planted": Restless}, "cores"),
    ({"planted": Forgetting}, "replay"),
)


def scene() -> Scene:
    """The first default plan under a strategy that breaks nothing."""
    plan = with_strategy(default_plans()[0], wicked.Good())
    return Scene.of(plan, another(plan, wicked.Good()))


def plays(cores: dict[str, Any], count: int) -> None:
    """So many plays on some cores."""
    for seed in range(count):
        assert check_play(wicked.Good(), scene(), drawn_moves(seed, 40), cores, (), seed)["Offered"]


@pytest.mark.parametrize(("cores", "rule"), PLANTED, ids=[rule for _, rule in PLANTED])
def test_planted_bugs_of_the_core_are_seen(cores: dict[str, Any], rule: str) -> None:
    """Each law of a play sees a core that breaks it, by name, and tells the few commands that lead to it."""
    with pytest.raises(BrokenRuleError) as caught:
        plays(cores, 20)
    assert caught.value.rule == rule
    assert 1 <= len(caught.value.example.splitlines()) < 20
    plays({"reference": Reference}, 2)


def test_shortest() -> None:
    """Nothing that is left over can be left out, and the tries are bounded."""
    calls: list[int] = []

    def fails(part: Any) -> bool:
        calls.append(1)
        return 3 in part and 11 in part and part.index(3) < part.index(11)

    assert shortest(range(40), fails) == [3, 11]
    assert len(calls) < 60
    calls.clear()
    assert 3 in shortest(range(40), fails, tries=5)
    assert len(calls) == 5
