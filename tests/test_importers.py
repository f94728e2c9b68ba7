"""Importers: what is refused, with the name of the field, and that nothing else gets through.

What imported plans decide is in ``test_golden``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniroute import Plan, Router, Step
from omniroute.errors import InputError, PlanError
from omniroute.plan import Rona
from omniroute.replay.importers import amazon_connect, asterisk, freeswitch, genesys

ASTERISK: tuple[Any, ...] = (
    {
        "general": {"persistentmembers": "yes"},
        "q": {
            "strategy": "ringall",
            "timeout": "15",
            "retry": "5",
            "wrapuptime": 10,
            "maxlen": "20",
            "musicclass": "default",
            "member": ["SIP/10,0,Ana", "SIP/11,1", "SIP/12"],
            "defaultrule": "wide",
        },
        "r": {"strategy": "linear", "member": "SIP/10,2,Ana"},
    },
    {"wide": ["0,0", "30,1", "60,+5,,1"]},
)
FREESWITCH: tuple[Any, ...] = (
    {
        "q": {"strategy": "top-down", "moh-sound": "x", "tier-rules-apply": "true", "tier-rule-wait-second": "15"},
        "r": {"strategy": "longest-idle-agent"},
    },
    {
        "ana": {"type": "callback", "wrap-up-time": "10", "max-no-answer": 1, "reject-delay-time": 0},
        "ben": {"wrap-up-time": 10, "max-no-answer": "1"},
    },
    [
        {"queue": "q", "agent": "ana", "level": "1", "position": "2"},
        {"queue": "q", "agent": "ben", "level": 2, "position": 1},
        {"queue": "r", "agent": "ben", "state": "Ready", "position": 3},
    ],
)
GENESYS: tuple[Any, ...] = (
    {
        "q": {
            "evaluation": "ALL",
            "scoring": "TimestampAndPriority",
            "skills": ["es", "fr"],
            "rings": [{"timeout": 30, "skills_to_remove": ["fr"]}, {"timeout": 10}, {}],
            "members": {"ana": 1, "ben": 3},
            "alerting_timeout": 8,
            "wrap_up": 15,
        },
        "plain": {"evaluation": "NONE", "members": {"ben": 1}},
    },
    {"ana": {"skills": {"es": 5, "fr": 2}}, "ben": {}},
)


def condition(**other: Any) -> dict[str, Any]:
    """A condition on a proficiency."""
    given = {"Name": "Language", "Value": "es", "ProficiencyLevel": 3.0, "ComparisonOperator": "NumberGreaterOrEqualTo"}
    return {"AttributeCondition": given | other}


CONNECT: tuple[Any, ...] = (
    {
        "q": {
            "routing_criteria": [
                {"Expression": condition(), "Expiry": {"DurationInSeconds": 20}},
                {"Expression": {"OrExpression": [condition(Value="fr"), {"AndExpression": [condition()]}]}},
            ]
        },
        "r": {},
    },
    {
        'the "first"': {
            "queues": [{"queue": "q", "priority": 1, "delay": 30}, {"queue": "r", "priority": 2}],
            "concurrency": {"VOICE": 1, "CHAT": 4},
        },
        "second": {"queues": [{"queue": "q"}], "concurrency": {"CHAT": 2, "TASK": 1}, "cross_channel": True},
    },
    {"ana": {"profile": 'the "first"', "proficiencies": {"Language:es": 4}}, "ben": {"profile": "second"}},
)

IMPORTS: dict[str, tuple[Callable[..., Plan], tuple[Any, ...]]] = {
    "asterisk": (asterisk, ASTERISK),
    "freeswitch": (freeswitch, FREESWITCH),
    "genesys": (genesys, GENESYS),
    "amazon_connect": (amazon_connect, CONNECT),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_an_imported_plan_is_a_plan(name: str) -> None:
    """What is imported can be written to a file, read back, and routed; the configuration is not touched."""
    build, given = IMPORTS[name]
    before = copy.deepcopy(given)
    plan = build(*given)
    assert given == before
    assert Plan.from_toml_text(plan.to_toml()) == plan
    router = Router(plan)
    router.sign_in_many(0, [agent.id for agent in plan.agents])
    for queue in plan.queues:
        router.enqueue(1, queue.name, queue.name)
    router.advance(3_600_000)
    router.check()
    assert Router.restore(router.snapshot()).digest() == router.digest()


def put(config: Any, path: str, value: Any) -> None:
    """Set the value at a path such as ``0.q.member``."""
    *inner, last = (int(key) if key.isdigit() else key for key in path.split("/"))
    for key in inner:
        config = config[key]
    config[last] = value


REFUSED = [
    # Asterisk: what cannot be expressed
    ("asterisk", "0/q/strategy", "wrandom", "queues.q.strategy: cannot be expressed"),
    ("asterisk", "0/q/autofill", "no", "queues.q.autofill: cannot be expressed"),
    ("asterisk", "0/q/ringinuse", "yes", "queues.q.ringinuse: cannot be expressed"),
    ("asterisk", "0/q/timeoutpriority", "conf", "queues.q.timeoutpriority: cannot be expressed"),
    ("asterisk", "0/q/joinempty", "no", "queues.q.joinempty: cannot be expressed"),
    ("asterisk", "0/q/shared_lastcall", "no", "queues.q.shared_lastcall: cannot be expressed"),
    ("asterisk", "0/q/member", ["SIP/1,0,Ana,hint:1"], r"queues.q.member\[0\]: cannot be expressed"),
    ("asterisk", "0/s", {"strategy": "linear", "member": ["SIP/9", "x,0,Ana"]}, r"queues.s.member\[1\]: cannot"),
    # Asterisk: what is wrong
    ("asterisk", "0/q/strategy", "ringal", "queues.q.strategy: .*did you mean 'ringall'"),
    ("asterisk", "0/q/wrapuptim", 1, "queues.q: unknown key 'wrapuptim'; did you mean 'wrapuptime'"),
    ("asterisk", "0/q/timeout", "soon", "queues.q.timeout: expected an integer"),
    ("asterisk", "0/q/timeout", -1, "queues.q.timeout"),
    ("asterisk", "0/q/member", [7], r"queues.q.member\[0\]"),
    ("asterisk", "0/q/member", ["SIP/1,x"], r"queues.q.member\[0\]: expected an integer"),
    ("asterisk", "0/q/member", ["SIP/1", "SIP/1"], r"queues.q.member\[1\]: 'SIP/1' is a member already"),
    ("asterisk", "0/q/defaultrule", "wid", "queues.q.defaultrule: unknown rule 'wid'; did you mean 'wide'"),
    ("asterisk", "1/wide", ["30"], r"rules.wide\[0\]: expected seconds"),
    ("asterisk", "1/wide", ["30,+5"], r"rules.wide\[0\]: a relative maximum"),
    ("asterisk", "1/wide", ["0,5", "30,,9"], r"rules.wide\[1\]: the minimum 9 is above the maximum 5"),
    ("asterisk", "0/q", 7, "queues.q: expected a table"),
    ("asterisk", "1/wide", [f"{n},{n}" for n in range(18)], "queues.q: at most 16 instants"),
    # FreeSWITCH
    ("freeswitch", "0/q/strategy", "ring-all", "queues.q.strategy: cannot be expressed"),
    ("freeswitch", "0/q/time-base-score", "system", "queues.q.time-base-score: cannot be expressed"),
    ("freeswitch", "0/q/abandoned-resume-allowed", "true", "queues.q.abandoned-resume-allowed: cannot be expressed"),
    ("freeswitch", "0/q/max-wait-time-with-no-agent", "60", "queues.q.max-wait-time-with-no-agent: cannot be expr"),
    ("freeswitch", "1/ana/wrap-up-time", "20", r"tiers\[1\].agent: cannot be expressed"),
    ("freeswitch", "1/ana/max-no-answer", "3", r"tiers\[1\].agent: cannot be expressed"),
    ("freeswitch", "1/ana/reject-delay-time", "10", r"tiers\[1\].agent: cannot be expressed"),
    ("freeswitch", "1/ana/reject-delay-time", "-1", "agents.ana.reject-delay-time: must be in"),
    ("freeswitch", "2/2/queue", "x", r"tiers\[2\].queue: unknown queue"),
    ("freeswitch", "2/2/queue", "q", r"tiers\[2\]: 'ben' is in 'q' already"),
    ("freeswitch", "2/2/agent", "be", r"tiers\[2\].agent: unknown agent 'be'; did you mean 'ben'"),
    ("freeswitch", "0/r/strategy", "top-down", r"tiers\[2\].position: .*has one place in a fixed order, and it is 1"),
    ("freeswitch", "2/0/level", "low", r"tiers\[0\].level"),
    # Genesys
    ("genesys", "0/q/evaluation", "BEST", "queues.q.evaluation: cannot be expressed"),
    ("genesys", "0/q/scoring", "PriorityOnly", "queues.q.scoring: cannot be expressed"),
    ("genesys", "0/q/preferred_agents", [], "queues.q.preferred_agents: cannot be expressed"),
    ("genesys", "0/q/predictive", True, "queues.q.predictive: cannot be expressed"),
    ("genesys", "0/q/conditional_groups", [], "queues.q.conditional_groups: cannot be expressed"),
    ("genesys", "0/q/evaluation", "NONE", "queues.q.skills: skills are not looked at"),
    ("genesys", "0/q/rings", [{}] * 7, "queues.q.rings: expected 1 to 6 rings, got 7"),
    ("genesys", "0/q/rings", [{}, {}, {}], r"queues.q.rings\[0\].timeout: is needed"),
    ("genesys", "0/q/rings/2", {"timeout": 5}, r"queues.q.rings\[2\].timeout: nothing follows"),
    ("genesys", "0/q/rings/2", {"skills_to_remove": ["es"]}, r"queues.q.rings\[2\].skills_to_remove: nothing follows"),
    ("genesys", "0/q/members", {"ana": 4}, "queues.q.members.ana: must be in 1..3"),
    ("genesys", "0/q/members", {"an": 1}, "queues.q.members.an: unknown agent 'an'; did you mean 'ana'"),
    ("genesys", "0/q/alerting_timeout", 0, "queues.q.alerting_timeout"),
    ("genesys", "1/ana/skills", {"es": 6}, "agents.ana.skills.es"),
    ("genesys", "1/ana/skills", {"ring:q": 2}, "agents.ana.labels: 'ring:q' is a skill"),
    ("genesys", "0/q/rings/0/timeout", 315_360_000, "queues.q.after"),
    ("genesys", "0/q/skills", ["x" * 1000 + str(n) for n in range(5)], "queues.q"),
    # Amazon Connect
    ("amazon_connect", "1/second/cross_channel", "maybe", "profiles.second.cross_channel: expected yes or no"),
    ("amazon_connect", "1/second/concurrency", {}, "profiles.second.concurrency: expected at least one"),
    ("amazon_connect", "1/second/concurrency", {"FAX": 1}, "profiles.second.concurrency: unknown key 'FAX'"),
    ("amazon_connect", "1/second/queues", [{"queue": "p"}], r"profiles.second.queues\[0\].queue: unknown queue"),
    ("amazon_connect", "1/second/queues", [{"queue": "q", "channel": "CHAT"}], r"queues\[0\].channel: cannot be"),
    ("amazon_connect", "1/second/queues", [{"queue": "q", "priority": 0}], r"profiles.second.queues\[0\].priority"),
    ("amazon_connect", "2/ben/profile", "secnd", "agents.ben.profile: .*did you mean 'second'"),
    ("amazon_connect", "2/ana/proficiencies", {"Language:es": 6}, "agents.ana.proficiencies.Language:es"),
    (
        "amazon_connect",
        "0/q/routing_criteria/0",
        {"Expression": condition()},
        r"routing_criteria\[1\]: is never reached",
    ),
    ("amazon_connect", "0/q/routing_criteria/0/Expression", {}, r"routing_criteria\[0\].Expression: expected one of"),
    (
        "amazon_connect",
        "0/q/routing_criteria/0/Expression",
        condition(ComparisonOperator="Match"),
        r"Expression.AttributeCondition.ComparisonOperator: cannot be expressed",
    ),
    (
        "amazon_connect",
        "0/q/routing_criteria/0/Expression",
        condition(MatchCriteria={}),
        r"Expression.AttributeCondition.MatchCriteria: cannot be expressed",
    ),
]


@pytest.mark.parametrize(("name", "path", "value", "message"), REFUSED)
def test_what_a_plan_cannot_say_is_refused(name: str, path: str, value: Any, message: str) -> None:
    """One value is changed; the error names the field, and nothing is dropped in silence."""
    build, given = IMPORTS[name]
    config = copy.deepcopy(given)
    put(config, path, value)
    with pytest.raises(PlanError, match=message):
        build(*config)


def test_profiles_that_differ_in_what_a_channel_allows() -> None:
    """What a channel allows is one thing for all; where profiles differ it is capacity, as far as that goes."""
    apart = {"queues": [], "concurrency": {"CHAT": 3, "TASK": 2}}
    mixed = apart | {"cross_channel": True}
    with pytest.raises(PlanError, match=r"profiles.p.concurrency: cannot be expressed in a plan: CHAT and TASK"):
        amazon_connect({"q": {}}, {"p": apart, "o": mixed}, {})
    with pytest.raises(PlanError, match=r"profiles.o.cross_channel: cannot be expressed in a plan: other profiles"):
        amazon_connect({"q": {}}, {"p": apart, "o": apart | {"cross_channel": {"CHAT": True}}}, {})
    for profile, allows in ((apart, ()), (mixed, None)):
        plan = amazon_connect({"q": {}}, {"p": profile}, {"ana": {"profile": "p"}})
        assert [(channel.load, channel.allows) for channel in plan.channels] == [(1, allows), (1, allows)]
        assert (plan.agents[0].units, dict(plan.agents[0].at_most)) == (5, {"chat": 3, "task": 2})
    one: dict[str, Any] = {"queues": [], "concurrency": {"VOICE": 1, "CHAT": 3}}
    crew = {"ana": {"profile": "p"}, "ben": {"profile": "o"}}
    plan = amazon_connect({"q": {}}, {"p": one, "o": one | {"cross_channel": True}}, crew)
    assert [(channel.load, channel.allows) for channel in plan.channels] == [(3, None), (1, None)]
    assert [agent.units for agent in plan.agents] == [3, 6]


LIFTED: list[tuple[str, str, Any, Callable[[Any], object], object]] = [
    ("asterisk", "0/q/weight", 5, lambda plan: plan.queues[0].strategy.tier, -5),
    ("asterisk", "0/q/autopause", "no", lambda plan: plan.queues[0].rona, {"no_answer": Rona(0)}),
    ("asterisk", "0/q/autopause", "all", lambda plan: plan.queues[0].rona, {}),
    ("asterisk", "0/q/autopausebusy", "yes", lambda plan: plan.queues[0].rona["busy"], Rona(1)),
    ("freeswitch", "0/q/max-wait-time", 60, lambda plan: plan.queues[0].steps[-1], Step("60s", cancel=True)),
    ("freeswitch", "0/q/max-wait-time", 5, lambda plan: plan.queues[0].steps, (Step("5s", cancel=True),)),
    ("freeswitch", "2", [], lambda plan: plan.queues[0].rona, {"no_answer": Rona(0)}),
    ("genesys", "0/q/wrap_up", "until released", lambda plan: plan.queues[0].wrap_up_ms, None),
    ("genesys", "1/ana/acd_auto_answer", True, lambda plan: [a.auto_accept for a in plan.agents], [True, False]),
    ("genesys", "0/q/rings/0/skills_to_remove", ["it"], lambda p: p.queues[0].steps[0].without, ("it", "ring:q")),
    ("amazon_connect", "2/ana/auto_accept", "yes", lambda p: [a.auto_accept for a in p.agents], [True, False]),
    ("amazon_connect", "2/ana/after_contact_work", 0, lambda plan: plan.queues[0].wrap_up_ms, None),
    ("amazon_connect", "2/ana/after_contact_work", 30, lambda plan: plan.queues[0].wrap_up_ms, 30_000),
    ("amazon_connect", "0/q", {}, lambda plan: dict(plan.agents[0].delays), {"q": 30_000}),
]


@pytest.mark.parametrize(("name", "path", "value", "found", "expected"), LIFTED)
def test_what_a_plan_can_say(
    name: str, path: str, value: Any, found: Callable[[Any], object], expected: object
) -> None:
    """One value is changed, and its part of the plan with it."""
    build, given = IMPORTS[name]
    config = list(copy.deepcopy(given))
    put(config, path, value)
    assert found(build(*config)) == expected


def test_after_contact_work_is_that_of_the_queue() -> None:
    """Agents with different after contact work are refused, because a queue has one wrap-up."""
    agents = {"ana": {"profile": "p", "after_contact_work": 10}, "ben": {"profile": "p", "after_contact_work": 20}}
    profile = {"queues": [], "concurrency": {"VOICE": 1}}
    with pytest.raises(PlanError, match=r"agents.ben.after_contact_work: cannot be expressed"):
        amazon_connect({"q": {}}, {"p": profile}, agents)


def test_expressions_have_a_depth() -> None:
    """Expressions inside one another end somewhere, long before Python does."""
    expression: Any = condition()
    for _ in range(5_000):
        expression = {"AndExpression": [expression]}
    with pytest.raises(PlanError, match="at most 8 expressions"):
        amazon_connect({"q": {"routing_criteria": [{"Expression": expression}]}}, {}, {})


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(("q", "ana", "0,0")),
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.one_of(st.text(max_size=4), st.integers(0, 2)), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = {
    "asterisk": (
        "0",
        "1",
        "0/q",
        "0/q/member",
        "0/q/timeout",
        "1/wide",
        "0/q/strategy",
        "0/r/member",
        "0/q/defaultrule",
    ),
    "freeswitch": ("0", "1", "2", "0/q", "1/ana", "2/0", "2/0/level", "2/0/queue", "0/q/tier-rule-wait-second"),
    "genesys": (
        "0",
        "1",
        "0/q",
        "0/q/rings",
        "0/q/rings/0",
        "0/q/skills",
        "0/q/members",
        "1/ana/skills",
        "0/q/wrap_up",
    ),
    "amazon_connect": ("0", "1", "2", "0/q/routing_criteria", "0/q/routing_criteria/0/Expression", "1/second", "2/ana"),
}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in PATHS.items() for path in paths])
@settings(max_examples=40)
@given(value=anything)
def test_hostile_configuration(name: str, path: str, value: Any) -> None:
    """Whatever stands in a place of the configuration: a plan, or an error of ours; never another exception.

    Seen to fail: the text of an integer was converted before it was looked at.
    """
    build, given_ = IMPORTS[name]
    config = list(copy.deepcopy(given_))
    put(config, path, value)
    try:
        plan = build(*config)
    except InputError:
        return
    assert isinstance(plan, Plan)
