"""Classification: which rule decides, how rules are joined, and what lint says of rules that never decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omniroute.errors import MisuseError, PlanError, RequirementError
from omniroute.intake import FIELDS_MAX, OFFSET_MAX_MS, RULES_MAX, Context, Intake, Problem, Rule
from omniroute.model import INTEGER_MAX, INTEGER_MIN, SET_MEMBERS_MAX, TEXT_LENGTH_MAX, Agent, Label
from omniroute.plan import Limits, Plan, Queue
from omniroute.requirements import parse
from omniroute.satisfy import Space

ELSE = Rule("else", queue="service")
Meant = tuple[str, Callable[[Mapping[str, Label]], bool]]
"""A condition as text, and its meaning, written down while it is drawn: an oracle that does not parse."""

VALUES: list[Label] = [False, True, INTEGER_MIN, -1, 0, 1, 2, 3, 4, INTEGER_MAX]
VALUES += ["", " ", "a", "a ", "a b", "a c", "b", "b ", "c", frozenset[str]()]
VALUES += [frozenset(found) for found in (["g"], ["s"], ["g", "s"], ["o"], ["g", "o"], ["g", "s", "o"])]
"""A value of every class that the questions below can tell apart; a missing one answers like 0."""


def number_question(name: str, symbol: str, number: int) -> Meant:
    """Compare with an integer; what is none answers no."""
    meant: dict[str, Callable[[int], bool]] = {
        ">=": lambda actual: actual >= number,
        "<": lambda actual: actual < number,
        "==": lambda actual: actual == number,
        "!=": lambda actual: actual != number,
    }

    def holds(fields: Mapping[str, Label]) -> bool:
        actual = fields.get(name, 0)
        return meant[symbol](actual) if type(actual) is int else symbol == "!="

    return f"{name} {symbol} {number}", holds


def text_question(name: str, symbol: str, text: str) -> Meant:
    """Compare with a text; what is none answers no."""
    meant: dict[str, Callable[[str], bool]] = {
        "==": lambda actual: actual == text,
        ">": lambda actual: actual > text,
        "<=": lambda actual: actual <= text,
    }

    def holds(fields: Mapping[str, Label]) -> bool:
        actual = fields.get(name, 0)
        return isinstance(actual, str) and meant[symbol](actual)

    return f'{name} {symbol} "{text}"', holds


def member_question(name: str, text: str) -> Meant:
    """Ask for a member of a set."""

    def holds(fields: Mapping[str, Label]) -> bool:
        actual = fields.get(name, 0)
        return isinstance(actual, frozenset) and text in actual

    return f'"{text}" in {name}', holds


def any_of(name: str, members: list[int | str]) -> Meant:
    """Ask for one of several."""
    said = ", ".join(f'"{member}"' if isinstance(member, str) else str(member) for member in members)

    def holds(fields: Mapping[str, Label]) -> bool:
        actual = fields.get(name, 0)
        return type(actual) in (int, str) and actual in members

    return f"{name} in {{{said}}}", holds


fields = st.sampled_from(["x", "y"])
texts = st.sampled_from(["a", "a b", "b", ""])
questions: st.SearchStrategy[Meant] = st.one_of(
    fields.map(lambda name: (name, lambda found: bool(found.get(name, 0)))),
    st.builds(number_question, fields, st.sampled_from([">=", "<", "==", "!="]), st.integers(0, 3)),
    st.builds(text_question, fields, st.sampled_from(["==", ">", "<="]), texts),
    st.builds(member_question, fields, st.sampled_from(["g", "s"])),
    st.builds(any_of, fields, st.lists(st.integers(0, 3) | texts, min_size=1, max_size=3)),
)
conditions: st.SearchStrategy[Meant] = st.recursive(
    questions,
    lambda inner: st.one_of(
        inner.map(lambda one: (f"not ({one[0]})", lambda found: not one[1](found))),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) and ({two[1][0]})", lambda found: two[0][1](found) and two[1][1](found))
        ),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) or ({two[1][0]})", lambda found: two[0][1](found) or two[1][1](found))
        ),
    ),
    max_leaves=6,
)


SETS = ['"g" in x', '"s" in x']


def in_set(*members: str) -> Callable[[Mapping[str, Label]], bool]:
    """Tell whether x is a set with one of these."""
    return lambda found: any(isinstance(x := found.get("x", 0), frozenset) and member in x for member in members)


def intake_of(conditions: Iterable[str], mode: Any = "first") -> Intake:
    """Return an intake whose rules have these conditions and names r0, r1..."""
    rules = [Rule(f"r{number}", when, queue="q") for number, when in enumerate(conditions)]
    return Intake(rules, default=ELSE, mode=mode)


def dead(problems: Iterable[Problem]) -> set[str]:
    """Return the rules that lint calls dead."""
    return {problem.rule for problem in problems if problem.kind in ("never", "covered")}


# Deciding


@given(st.lists(conditions, max_size=6), st.dictionaries(fields, st.sampled_from(VALUES)))
def test_the_first_that_matches_or_all(drawn: list[Meant], found: dict[str, Label]) -> None:
    """First names the first rule that holds, merge all of them in order, and the default where none does.

    Planted: the loop goes on after the first match; seen red.
    """
    holds = [f"r{number}" for number, (_, meaning) in enumerate(drawn) if meaning(found)]
    whens = [when for when, _ in drawn]
    context = Context(found)
    assert intake_of(whens).classify(context, {}).rules == (*holds[:1],) or not holds
    assert intake_of(whens, "merge").classify(context, {}).rules == (tuple(holds) or ("else",))
    if not holds:
        assert intake_of(whens).classify(context, {}).rules == ("else",)


MERGED = Intake(
    [
        Rule("gold", '"gold" in tiers', queue=["vip", "service"], priority=3, head_start_ms="90s", needs="senior"),
        Rule("billing", 'intent == "billing"', queue="billing", needs="billing >= 2", value=500, priority=-1),
        Rule("night", "hour < 8", treatment="bot", head_start_ms="2m", priority=1),
    ],
    default=Rule("else", queue="service", needs="anybody", treatment="person", value=7, priority=9),
    mode="merge",
)


def test_what_merged_rules_say_together() -> None:
    """Merge: the first queue and treatment said, needs joined, the greatest number; the default only for the unsaid.

    Planted: the default's priority of 9 taken into the greatest; seen red.
    """
    found = MERGED.classify(Context({"tiers": ["gold"], "intent": "billing"}), {"hour": 7})
    assert found.queue == ("vip", "service")
    assert found.needs == parse("senior and billing >= 2").text
    assert (found.priority, found.value, found.head_start_ms, found.treatment) == (3, 500, 120_000, "bot")
    assert found.rules == ("gold", "billing", "night")
    later = MERGED.classify(Context({"intent": "billing"}), {"hour": 8})
    assert (later.queue, later.priority, later.value, later.head_start_ms) == (("billing",), -1, 500, 0)
    assert (later.treatment, later.rules) == ("person", ("billing", "else"))
    nobody = MERGED.classify(Context(), {"hour": 12})
    assert (nobody.queue, nobody.needs, nobody.priority, nobody.value) == (("service",), "anybody", 9, 7)
    assert nobody.rules == ("else",)


def test_what_the_first_rule_leaves_unsaid() -> None:
    """First: the default says what the rule that matched does not; empty needs say that nothing is needed."""
    default = Rule("else", queue="service", needs="anybody", priority=2)
    intake = Intake([Rule("a", "a", treatment="bot", needs=""), Rule("b", "b", queue="q")], default=default)
    found = intake.classify(Context({"a": True, "b": True}), {})
    assert (found.queue, found.needs, found.priority, found.treatment) == (("service",), "", 2, "bot")
    assert found.rules == ("a", "else")
    assert intake.classify(Context({"b": True}), {}).needs == "anybody"


def test_one_rule_set_for_every_channel() -> None:
    """A rule that does not ask for the channel decides alike on all; one that does is found by the channel."""
    intake = Intake([Rule("mail", 'channel == "email"', queue="mail"), Rule("vip", "vip", queue="q")], default=ELSE)
    for channel, queue in (("voice", "q"), ("chat", "q"), ("email", "mail")):
        live = intake.live(0, channel, lambda kind, queue: 0)
        assert intake.classify(Context({"vip": True}), live).queue == (queue,)


def test_one_of_several_queues_by_a_number() -> None:
    """The least number over the weight, the first of equals; nobody signed in comes last, whatever its weight.

    Seen to fail: a queue without anybody in the draw, where its weight makes it the least.
    """
    rule = Rule("r", queue=["a", "b", "c"], least="delay", weights={"b": 3, "c": 1_000})
    assert tuple(rule.asked()) == ("delay:a", "delay:b", "delay:c")
    for numbers, wanted in (((10, 31, INTEGER_MAX), "a"), ((10, 30, 9_999), "c"), ((10, 30, 10_000), "a")):
        live = {f"delay:{name}": number for name, number in zip("abc", numbers, strict=True)}
        assert rule.chosen(live) == (wanted,)
    assert rule.chosen(dict.fromkeys(rule.asked(), INTEGER_MAX)) == ("c",)
    chance = Rule("r", queue=["a", "b"], least="ratio", weights={"b": 2}, random=True)
    live = {"ratio:a": 500, "lot:a": 70_000, "ratio:b": 1_000, "lot:b": 70_001}
    assert chance.chosen(live) == ("a",)
    assert chance.chosen({**live, "lot:b": 69_999}) == ("b",)
    assert chance.chosen({**live, "ratio:a": INTEGER_MAX, "lot:a": 0}) == ("b",)
    intake = Intake([Rule("some", "x", queue="a")], default=rule)
    assert [decision.queue for decision in intake.possible() or ()] == [("a",), ("b",), ("c",), ("a",)]


def test_joined_needs_that_are_too_long() -> None:
    """Needs that are over the limits of expressions once they are joined raise RequirementError."""
    rules = [Rule(f"r{n}", needs=" and ".join(f"s{n}x{k}" for k in range(40))) for n in range(2)]
    with pytest.raises(RequirementError, match="at most 64 names"):
        Intake(rules, default=ELSE, mode="merge").classify(Context(), {})


# What the router knows


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.integers(-1439, 1439))
@example(datetime(1972, 2, 29, 23, 59, 59, 999_999), 1)
def test_the_clock_on_the_wall(moment: datetime, offset: int) -> None:
    """Weekday, hour and minute are those of the calendar at the offset.

    Planted: the week begins with the day of 1970-01-01; seen red.
    """
    intake = Intake(
        [Rule("late", "weekday == 1 and hour == 2 and minute == 3", queue="q")],
        default=ELSE,
        utc_offset_ms=timedelta(minutes=offset),
    )
    now = int(moment.replace(tzinfo=UTC).timestamp() * 1_000)
    wall = moment + timedelta(minutes=offset)
    expected = {"weekday": wall.isoweekday(), "hour": wall.hour, "minute": wall.minute}
    assert intake.live(now, "voice", lambda kind, queue: 0) == expected


def test_only_what_rules_ask_about_is_computed() -> None:
    """asks() names what rules mention, once and sorted; live() counts these and nothing else."""
    whens = ["waiting:sales > 3 and channel", "`available:tier 2` == 0 or waiting:sales < 9", "hour > 8 and value > 3"]
    intake = intake_of(whens)
    assert intake.asks() == ("available:tier 2", "channel", "hour", "waiting:sales")
    counted: list[tuple[str, str]] = []

    def count(kind: str, queue: str) -> int:
        counted.append((kind, queue))
        return len(counted)

    live = intake.live(0, "chat", count)
    assert live == {"available:tier 2": 1, "channel": "chat", "hour": 0, "waiting:sales": 2}
    assert counted == [("available", "tier 2"), ("waiting", "sales")]
    assert intake_of(["intent"]).asks() == ()


def test_live_fields_must_be_there_and_a_host_may_have_its_own_clock() -> None:
    """A missing live field is misuse; more than was asked is not looked at; the host's own hour goes before."""
    intake = intake_of(["hour == 5 and not secret"])
    with pytest.raises(MisuseError, match="'hour'"):
        intake.classify(Context(), {})
    assert intake.classify(Context(), {"hour": 5, "secret": 1}).rules == ("r0",)
    assert intake.classify(Context({"hour": 6}), {"hour": 5}).rules == ("else",)


def test_private_fields_decide_and_are_not_shown() -> None:
    """A private field takes part in decisions; shown() leaves it out, whichever way its name is spelt."""
    intake = Intake([Rule("known", "espa\u00f1ol", queue="q")], default=ELSE, private=["espan\u0303ol", "phone"])
    context = Context({"espan\u0303ol": True, "phone": "555", "intent": "x"})
    assert intake.classify(context, {}).rules == ("known",)
    assert intake.shown(context) == Context({"intent": "x"})


# Lint


@given(st.lists(conditions, min_size=1, max_size=4), st.sampled_from(["first", "merge"]))
@example([("not x and x < 3", lambda found: type(found.get("x", 0)) is int and found.get("x", 0) == 0)], "first")
@example([('x > "a" and x < "a b"', lambda found: found.get("x", 0) == "a ")], "first")
@example([(SETS[0], in_set("g")), (SETS[1], in_set("s")), (" or ".join(SETS), in_set("g", "s"))], "first")
def test_lint_is_exact(drawn: list[Meant], mode: str) -> None:
    """Lint calls dead exactly the rules that no context reaches, of all the contexts that there are classes of.

    Planted, each seen red: no text between two texts; the integer 0 left out; no sets; texts that are known to be in a
    set, or not to be, forgotten; a set that answers otherwise kept.
    """
    intake = intake_of([when for when, _ in drawn], mode)
    names = sorted({atom.name for rule in intake.rules for atom in rule.condition.atoms})
    reached: set[str] = set()
    for row in product(VALUES, repeat=len(names)):
        found = dict(zip(names, row, strict=True))
        holds = [f"r{number}" for number, (_, meaning) in enumerate(drawn) if meaning(found)]
        reached.update(holds[:1] if mode == "first" else holds)
    problems = intake.lint()
    assert dead(problems) == {rule.name for rule in intake.rules} - reached
    assert not [problem for problem in problems if problem.kind == "not_decided"]


HOUR_MS, DAY_MS = 3_600_000, 86_400_000
times = st.integers(0, 10**12)
wild_texts = st.sampled_from(["", " ", "a", "a ", "a!", "b", "ab", "é", "z", "\U0010ffff"])
wild_numbers = st.sampled_from([INTEGER_MIN, INTEGER_MIN + 1, -1, 0, 1, 5, 7, 23, INTEGER_MAX - 1, INTEGER_MAX])
wild_values = st.one_of(st.booleans(), wild_numbers, wild_texts, st.frozensets(wild_texts, max_size=4))
wild_contexts = st.dictionaries(st.sampled_from(["x", "y", "z"]), wild_values).map(Context)


@st.composite
def wild_conditions(draw: st.DrawFn) -> str:
    """Draw a condition over three fields, and live ones, with constants from the ends of their ranges."""
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["x", "y", "z", "hour", "weekday", "waiting:q", "channel"]))
        symbol = draw(st.sampled_from([">=", ">", "<", "<=", "==", "!="]))
        text = draw(wild_texts)
        part = draw(st.sampled_from([name, f"{name} {symbol} {draw(wild_numbers)}", f'{name} {symbol} "{text}"']))
        part = draw(st.sampled_from([part, part, f'"{text}" in {name}']))
        parts.append(draw(st.sampled_from(["", "not "])) + f"({part})")
    return draw(st.sampled_from([" and ", " or "])).join(parts)


@given(
    st.lists(wild_conditions(), min_size=1, max_size=6),
    st.lists(wild_contexts, min_size=1, max_size=12),
    st.sampled_from(["first", "merge"]),
    st.sampled_from([3 * DAY_MS, 4 * DAY_MS]).flatmap(lambda late: st.sampled_from([late - 1, late])) | times,
    st.sampled_from(["voice", "a"]),
    st.sampled_from([0, 1, 5, INTEGER_MAX]),
)
@example(["hour == 23", "weekday == 7"], [Context(), Context()], "merge", 4 * DAY_MS - 1, "a", 0)
def test_lint_never_calls_dead_what_a_context_reaches(
    whens: list[str], contexts: list[Context], mode: str, now: int, channel: str, waiting: int
) -> None:
    """Whatever rules a classification names, lint has not called dead: also at the ends of ranges, and live fields.

    Planted: an hour of 23 left out of the hours that there are; seen red.
    """
    intake = intake_of(whens, mode)
    called = dead(intake.lint(channels=["voice", "a"]))
    for number, context in enumerate(contexts):
        live = intake.live(now + number * HOUR_MS, channel, lambda kind, queue: waiting)
        assert not called & set(intake.classify(context, live).rules)


@given(st.data(), st.lists(conditions, min_size=2, max_size=5))
def test_lint_finds_every_dead_rule_that_is_planted(data: st.DataObject, drawn: list[Meant]) -> None:
    """A contradiction is never met; what one rule or several rules ahead take, alone or together, is covered.

    Planted: only single rules ahead are asked whether they cover; seen red.
    """
    whens = [when for when, _ in drawn]
    one, other = whens[0], whens[-1]
    plants = {
        "contradiction": f"({one}) and ({other}) and not ({one})",
        "range": "z > 5 and z < 6",
        "kinds": 'z == 5 and "g" in z',
        "narrower": f"({one}) and ({other})",
        "both": f"({one}) or ({other})",
        "split": f"z and (({one}) or not ({one}))",
    }
    ahead = [*whens, f"z and ({one})", f"z and not ({one})"]
    planted = data.draw(st.sampled_from(sorted(plants)))
    problems = {problem.rule: problem for problem in intake_of([*ahead, plants[planted]]).lint()}
    found = problems[f"r{len(ahead)}"]
    assert found.kind in ("never", "covered")
    if planted in ("contradiction", "range", "kinds"):
        assert found.kind == "never"


def test_lint_says_who_covers() -> None:
    """A covered rule names the first rule that takes all of it, or the rules ahead together; merge covers nothing."""
    whens = ["hour > 10", "hour <= 10 and vip", "hour > 20 and a", "vip", "value < 5 and value > 7"]
    assert intake_of(whens).lint() == (
        Problem("r2", "covered", "whatever it matches, 'r0' takes before"),
        Problem("r3", "covered", "whatever it matches, the rules ahead of it take before"),
        Problem("r4", "never", "nothing meets value < 5 and value >= 8"),
    )
    assert [problem.rule for problem in intake_of(whens, "merge").lint()] == ["r4"]
    assert [problem.rule for problem in intake_of(["", "a", ""]).lint()] == ["r1", "r2"]


def test_lint_knows_what_live_fields_can_be() -> None:
    """No hour is 24, no weekday 0, no count below 0 or a text, no channel but those that there are.

    Planted: the ranges of the clock given to no field; seen red.
    """
    alive = ["hour == 23", "weekday == 7", "minute == 59", "waiting:q > 2147483646", 'channel == "chat"', "x == 24"]
    gone = ["hour == 24", "weekday == 0", "minute > 59", "waiting:q < 0", 'waiting:q == "a"', "not weekday"]
    assert intake_of(alive, "merge").lint(channels=["chat", "voice"]) == ()
    assert [problem.kind for problem in intake_of(gone, "merge").lint()] == ["never"] * len(gone)
    typo = intake_of(['channel == "voise"'])
    assert typo.lint() == ()
    assert dead(typo.lint(channels=["chat", "voice"])) == {"r0"}


def test_lint_knows_that_a_queue_can_be_past_its_closing() -> None:
    """Time to spare can be below 0, counts cannot."""
    rules = [Rule("late", "spare:a < 0", queue="b"), Rule("never", "delay:a < 0", queue="b")]
    found = Intake(rules, default=Rule("else", queue="a")).lint()
    assert [(problem.rule, problem.kind) for problem in found] == [("never", "never")]


def test_lint_names_queues_that_are_not_there() -> None:
    """Unknown queues are found in queue and in when, of the default too, with the nearest name."""
    intake = Intake([Rule("a", "waiting:sails > 3", queue=["sales", "vpi"])], default=Rule("else", queue="servce"))
    assert intake.lint(queues=["sales", "service", "vip"]) == (
        Problem("a", "unknown_queue", "queue: unknown queue 'vpi'; did you mean 'vip'?"),
        Problem("a", "unknown_queue", "when: unknown queue 'sails'; did you mean 'sales'?"),
        Problem("else", "unknown_queue", "queue: unknown queue 'servce'; did you mean 'service'?"),
    )


def test_lint_does_not_guess() -> None:
    """What is too hard or too long is not decided, unless what is left of it is dead already.

    Eight pigeons have no place in seven holes, two in a hole being refused by rules ahead: true, and too long to find.
    """
    holes, pigeons = range(7), range(8)
    whens = [
        f'"{one} in {hole}" in places and "{other} in {hole}" in places'
        for hole in holes
        for one in pigeons
        for other in range(one)
    ]
    everybody = (" or ".join(f'"{pigeon} in {hole}" in places' for hole in holes) for pigeon in pigeons)
    last = " and ".join(f"({somewhere})" for somewhere in everybody)
    assert [(p.rule, p.kind) for p in intake_of([*whens, last]).lint()] == [(f"r{len(whens)}", "not_decided")]
    long = "x" * TEXT_LENGTH_MAX
    kinds = [p.kind for p in intake_of([f'intent == "{long}"', f'intent < "{long}" and vip and not vip']).lint()]
    assert kinds == ["not_decided", "never"]


def test_what_a_name_can_be() -> None:
    """A name with a domain is one of its values and nothing else; a set has no more members than a label may have.

    Planted: the first integer of a domain left out; a set without an end; seen red.
    """
    ranged = Space([parse("x"), parse("not x"), parse('"a" in x')], {"x": range(5, 8)})
    assert [ranged.satisfiable([number], []) for number in range(3)] == [True, False, False]
    named = Space([parse("x"), parse("not x"), parse('x == "b"')], {"x": ("a", "b")})
    assert [named.satisfiable([number], []) for number in range(3)] == [True, False, True]
    members = Space([parse(f'"{number}" in x') for number in range(SET_MEMBERS_MAX + 1)], {})
    assert members.satisfiable(range(SET_MEMBERS_MAX), [SET_MEMBERS_MAX]) is True
    assert members.satisfiable(range(SET_MEMBERS_MAX + 1), []) is False


def test_lint_of_a_thousand_rules() -> None:
    """A whole rule set of the greatest size is decided, and the repeated rule in it is found."""
    whens = [f'intent == "i{number}"' for number in range(RULES_MAX - 1)]
    problems = intake_of([*whens, whens[700]]).lint()
    assert [(problem.rule, problem.kind) for problem in problems] == [(f"r{RULES_MAX - 1}", "covered")]
    assert "'r700'" in problems[0].detail


# Values that are refused

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Context({"channel": "voice"}), "context.channel"),
    (lambda: Context({"waiting:sales": 3}), "context.waiting:sales"),
    (lambda: Context({"hour": 24}), "context.hour"),
    (lambda: Context({"weekday": "Monday"}), "context.weekday"),
    (lambda: Context({"x": 1.5}), "context.x"),  # type: ignore[dict-item]
    (lambda: Context({"x": INTEGER_MAX + 1}), "context.x"),
    (lambda: Context({f"f{number}": 1 for number in range(FIELDS_MAX + 1)}), "context"),
    (lambda: Context("x"), "context"),  # type: ignore[arg-type]
    (lambda: Rule("r"), "name"),
    (lambda: Rule("r", "a ="), "when"),
    (lambda: Rule("r", None, queue="q"), "when"),  # type: ignore[arg-type]
    (lambda: Rule("", queue="q"), "name"),
    (lambda: Rule("r", queue=["q", "q"]), "queue[1]"),
    (lambda: Rule("r", queue=[3]), "queue[0]"),
    (lambda: Rule("r", queue=["q", " "]), "queue"),
    (lambda: Rule("r", needs="a ="), "needs"),
    (lambda: Rule("r", priority=True), "priority"),
    (lambda: Rule("r", priority=INTEGER_MAX + 1), "priority"),
    (lambda: Rule("r", value=-1), "value"),
    (lambda: Rule("r", head_start_ms="soon"), "head_start"),
    (lambda: Rule("r", treatment="robot"), "treatment"),  # type: ignore[arg-type]
    (lambda: Rule("r", queue="q", least="ratio"), "least"),
    (lambda: Rule("r", queue=["p", "q"], least="wait"), "least"),  # type: ignore[arg-type]
    (lambda: Rule("r", queue=["p", "q"], random=True), "least"),
    (lambda: Rule("r", queue=["p", "q"], least="delay", weights={"s": 1}), "weights"),
    (lambda: Rule("r", queue=["p", "q"], least="delay", weights={"q": 0}), "weights.q"),
    (lambda: Rule("r", queue=["p", "q"], least="delay", weights=["q"]), "weights"),  # type: ignore[arg-type]
    (lambda: Context({"ratio:sales": 3}), "context.ratio:sales"),
    (lambda: Context({"spare:sales": 3}), "context.spare:sales"),
    (lambda: Intake([], default=Rule("d", priority=1)), "default.queue"),
    (lambda: Intake([], default=Rule("d", "a", queue="q")), "default.when"),
    (lambda: Intake([], default="q"), "default"),  # type: ignore[arg-type]
    (lambda: Intake([ELSE], default=ELSE), "default.name"),
    (lambda: Intake([Rule("r", queue="q"), Rule("r", queue="p")], default=ELSE), "rules[1].name"),
    (lambda: Intake(["r"], default=ELSE), "rules[0]"),  # type: ignore[list-item]
    (lambda: intake_of(["a"] * (RULES_MAX + 1)), "rules"),
    (lambda: Intake([], default=ELSE, mode="last"), "mode"),  # type: ignore[arg-type]
    (lambda: Intake([], default=ELSE, private="phone"), "private"),
    (lambda: Intake([], default=ELSE, private=["a", ""]), "private[1]"),
    (lambda: Intake([], default=ELSE, private=[f"f{n}" for n in range(FIELDS_MAX + 1)]), "private"),
    (lambda: Intake([], default=ELSE, utc_offset_ms="2:00"), "utc_offset"),
    (lambda: Intake([], default=ELSE, utc_offset_ms="+24:00"), "utc_offset"),
    (lambda: Intake([], default=ELSE, utc_offset_ms=90_500), "utc_offset"),
    (lambda: Intake([], default=ELSE, utc_offset_ms=timedelta(microseconds=1)), "utc_offset"),
    (lambda: Intake([], default=ELSE, utc_offset_ms=OFFSET_MAX_MS + 60_000), "utc_offset"),
]


@pytest.mark.parametrize(("build", "field"), REFUSED)
def test_refused(build: Callable[[], object], field: str) -> None:
    """What is no context, rule or intake raises PlanError with the field."""
    with pytest.raises(PlanError) as caught:
        build()
    assert caught.value.field == field


# In a plan

FILE = """\
skills = ["spanish"]

[[queues]]
name = "vip"

[[queues]]
name = "service"

[intake]
mode = "merge"
utc_offset = "-03:30"
private = ["phone"]
default = {queue = "service", needs = "spanish"}

[[intake.rules]]
name = "gold"
when = '"gold" in tiers and waiting:vip < 20'
queue = ["vip", "service"]
head_start = "90s"

[[intake.rules]]
name = "night"
when = "hour < 8"
treatment = "bot"
needs = "spanish >= 2"
priority = -1
value = 5_000
"""


def test_a_file_reads_as_written() -> None:
    """Every key of [intake] and its rules arrives in the value of its name."""
    rules = [
        Rule("gold", '"gold" in tiers and waiting:vip < 20', queue=["vip", "service"], head_start_ms=90_000),
        Rule("night", "hour < 8", treatment="bot", needs="spanish >= 2", priority=-1, value=5_000),
    ]
    default = Rule("default", queue="service", needs="spanish")
    intake = Intake(rules, mode="merge", default=default, private=["phone"], utc_offset_ms=-12_600_000)
    plan = Plan.from_toml_text(FILE)
    assert plan == Plan(queues=[Queue("vip"), Queue("service")], skills=["spanish"], intake=intake)
    assert hash(plan) == hash(Plan.from_toml_text(plan.to_toml()))


WRONG = {
    ('queue = ["vip", ', 'queue = ["vpi", '): "intake.rules[0].queue: unknown queue 'vpi'; did you mean 'vip'?",
    ("waiting:vip", "waiting:vpi"): "intake.rules[0].when: unknown queue 'vpi'; did you mean 'vip'?",
    ('{queue = "service"', '{queue = "servce"'): "intake.default.queue: "
    "unknown queue 'servce'; did you mean 'service'?",
    ('"spanish >= 2"', '"spansh >= 2"'): "intake.rules[1].needs: "
    "'spansh' is neither declared in skills nor a label of an agent; did you mean 'spanish'?",
    ('needs = "spanish"}', 'needs = "spansh"}'): "intake.default.needs: "
    "'spansh' is neither declared in skills nor a label of an agent; did you mean 'spanish'?",
    (
        '"hour < 8"',
        '"hour <"',
    ): "intake.rules[1].when: column 7: expected an integer or a text in quotes, found the end",
    ("treatment", "treatmnt"): "intake.rules[1].treatmnt: unknown key 'treatmnt'; did you mean 'treatment'?",
    ('"bot"', '"robot"'): "intake.rules[1].treatment: expected one of person, bot, self_service, got 'robot'",
    ('"night"', '"gold"'): "intake.rules[1].name: 'gold' is rules[0] already",
    ('"90s"', '"90"'): "intake.rules[0].head_start: "
    """expected a duration such as "30s", "5m", "1h", "250ms", got '90'""",
    ('"merge"', '"last"'): "intake.mode: expected one of first, merge, got 'last'",
    ('"-03:30"', "-3"): "intake.utc_offset: not a whole number of minutes: -3",
    ("private", "privat"): "intake.privat: unknown key 'privat'; did you mean 'private'?",
    ('default = {queue = "service", needs = "spanish"}', "default = 3"): "intake.default: expected a table, got 3",
}


@pytest.mark.parametrize(("change", "message"), WRONG.items())
def test_messages_from_a_file(change: tuple[str, str], message: str) -> None:
    """An error in an intake names file, line, table and field, and suggests the nearest name."""
    line = FILE[: FILE.index(change[0])].count("\n") + 1
    with pytest.raises(PlanError) as caught:
        Plan.from_toml_text(FILE.replace(*change, 1), source="x.toml")
    assert str(caught.value) == f"x.toml:{line}: {message}"


def test_what_is_missing_or_no_table() -> None:
    """A missing default is missed at the intake's header; an intake that is no table is refused."""
    queue = "[[queues]]\nname = 'q'\n"
    with pytest.raises(PlanError, match="plan:3: intake: the key 'default' is missing"):
        Plan.from_toml_text(queue + "[intake]\nmode = 'first'")
    with pytest.raises(PlanError, match="plan:1: intake: expected a table, got 3"):
        Plan.from_toml_text("intake = 3\n" + queue)
    with pytest.raises(PlanError, match=r"intake\.rules: expected a list of tables"):
        Plan.from_toml_text(queue + "[intake]\nrules = 3\ndefault = {queue = 'q'}")
    with pytest.raises(PlanError, match="intake: expected Intake, got 3"):
        Plan(queues=[Queue("q")], intake=3)  # type: ignore[arg-type]


def test_limits_of_the_plan() -> None:
    """The limits of the plan on names and on queues of an interaction hold for rules; the limit itself is allowed."""
    queues = [Queue("q"), Queue("p")]
    intake = Intake([Rule("longer", queue=["q", "p"])], default=Rule("d", queue="q"))
    Plan(queues=queues, intake=intake, limits=Limits(name_length=6, entries=2))
    for limits, field in (
        (Limits(name_length=5), "intake.rules[0].name"),
        (Limits(entries=1), "intake.rules[0].queue"),
    ):
        with pytest.raises(PlanError) as caught:
            Plan(queues=queues, intake=intake, limits=limits)
        assert caught.value.field == field
    labelled = Agent("ana", labels={"site": "north"})
    needs = Intake([], default=Rule("d", queue="q", needs='site == "north"'))
    Plan(queues=queues, skills=["spanish"], agents=[labelled], intake=needs)


names = st.sampled_from(["q", "tier 2", 'say "x"', "é"])


@st.composite
def rules(draw: st.DrawFn, name: str, default: bool = False) -> Rule:
    """Draw any rule that says something."""
    counted = draw(st.sampled_from(["`waiting:tier 2` > 3", "delay:q > 9", 'intent == "a\\"b"', "x and not y", ""]))
    queue = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    least = draw(st.sampled_from([None, "ratio", "delay"])) if len(queue) > 1 else None
    return Rule(
        name,
        "" if default else counted,
        queue=queue,
        least=least,
        weights=draw(st.dictionaries(st.sampled_from(queue), st.integers(1, 1_000))) if least else {},
        random=draw(st.booleans()) if least else False,
        needs=draw(st.none() | st.sampled_from(["", "spanish >= 3", '"gold" in tiers'])),
        priority=draw(st.none() | wild_numbers),
        value=draw(st.none() | st.integers(0, INTEGER_MAX)),
        head_start_ms=draw(st.none() | st.integers(0, 10**9)),
        treatment=draw(st.sampled_from([None, "person", "bot", "self_service"])),
    )


@st.composite
def intakes(draw: st.DrawFn) -> Intake:
    """Draw any valid intake over four queues."""
    called = draw(st.lists(st.sampled_from(["a", "b c", "default", '"']), unique=True, max_size=4))
    default = "default" if "default" not in called and draw(st.booleans()) else "else"
    return Intake(
        [draw(rules(name)) for name in called],
        default=draw(rules(default, default=True)),
        mode=draw(st.sampled_from(["first", "merge"])),
        private=draw(st.frozensets(st.sampled_from(["phone", "home address"]))),
        utc_offset_ms=60_000 * draw(st.integers(-1439, 1439)),
    )


@given(intakes())
def test_toml_round_trip(intake: Intake) -> None:
    """What to_toml() writes of an intake reads back as an equal one, written the same again.

    Planted: negative offsets written with the hours rounded down; seen red.
    """
    plan = Plan(queues=[Queue(name) for name in ("q", "tier 2", 'say "x"', "é")], intake=intake)
    text = plan.to_toml()
    again = Plan.from_toml_text(text)
    assert again == plan
    assert again.to_toml() == text
