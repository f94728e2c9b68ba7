"""Requirement expressions: canonical, bounded, hostile until parsed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omniroute.errors import RequirementError
from omniroute.model import INTEGER_MAX, INTEGER_MIN, Agent, Label
from omniroute.requirements import (
    AND,
    ATOMS_MAX,
    DEPTH_MAX,
    FALSE,
    NOT,
    OR,
    SET_MEMBERS_MAX,
    TEXT_LENGTH_MAX,
    TRUE,
    conjunction,
    parse,
)

Who: TypeAlias = tuple[Mapping[str, int], Mapping[str, Label]]
Meant: TypeAlias = tuple[str, Callable[[Who], bool]]
"""An expression, and what it means, written down while it is generated: an oracle that does not parse."""

NAMES = {"spanish": "spanish", "vip": "vip", "tier-2": "tier-2", "a.b:c": "a.b:c", "ñandú": "ñandú", "`x y`": "x y"}
NAMES["`and`"] = "and"
NAMES["n\u0303"] = "\u00f1"
VALUES: dict[str, int | str] = {"0": 0, "1": 1, "002": 2, "-1": -1, '"gold"': "gold", "'north'": "north", '""': ""}
VALUES['"a\\"b"'] = 'a"b'
VALUES["'\\\\'"] = "\\"
VALUES[str(INTEGER_MAX)] = INTEGER_MAX
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}


def found(who: Who, name: str) -> Label:
    """Return what stands under a name: label, level, or level 0."""
    skills, labels = who
    return labels.get(name, skills.get(name, 0))


def compared(name: str, symbol: str, value: str) -> Meant:
    """Compare values of one type; of two types only != holds."""

    def holds(who: Who) -> bool:
        actual, asked = found(who, NAMES[name]), VALUES[value]
        if symbol == "!=":
            return type(actual) is not type(asked) or actual != asked
        return type(actual) is type(asked) and OPERATORS[symbol](actual, asked)

    return f"{name}{symbol}{value}", holds


def among(name: str, negated: bool, members: list[str]) -> Meant:
    """Ask for one of the members, by equality."""
    questions = [compared(name, "==", member)[1] for member in members]
    text = f"{name} {'not ' * negated}in {{{','.join(members)}}}"
    return text, lambda who: any(question(who) for question in questions) is not negated


def containing(value: str, negated: bool, name: str) -> Meant:
    """Ask whether a set label has the text."""

    def holds(who: Who) -> bool:
        actual = found(who, NAMES[name])
        return (isinstance(actual, frozenset) and VALUES[value] in actual) is not negated

    return f"{value} {'not ' * negated}in {name}", holds


def negation(inner: Meant) -> Meant:
    """Turn it round."""
    return f"not ({inner[0]})", lambda who: not inner[1](who)


def both(left: Meant, right: Meant) -> Meant:
    """Ask for both."""
    return f"({left[0]}) and ({right[0]})", lambda who: left[1](who) and right[1](who)


def either(left: Meant, right: Meant) -> Meant:
    """Ask for one."""
    return f"({left[0]})\n or ({right[0]})", lambda who: left[1](who) or right[1](who)


names = st.sampled_from(sorted(NAMES))
values = st.sampled_from(sorted(VALUES))
texts = st.sampled_from(sorted(value for value in VALUES if isinstance(VALUES[value], str)))
questions: st.SearchStrategy[Meant] = st.one_of(
    names.map(lambda name: (name, lambda who: bool(found(who, NAMES[name])))),
    st.builds(compared, names, st.sampled_from([*OPERATORS, "!="]), values),
    st.builds(among, names, st.booleans(), st.lists(values, min_size=1, max_size=4)),
    st.builds(containing, texts, st.booleans(), names),
    st.booleans().map(lambda truth: (str(truth).lower(), lambda _: truth)),
)
expressions: st.SearchStrategy[Meant] = st.recursive(
    questions,
    lambda inner: st.one_of(st.builds(negation, inner), st.builds(both, inner, inner), st.builds(either, inner, inner)),
    max_leaves=10,
)
labels: st.SearchStrategy[Label] = st.one_of(
    st.booleans(),
    st.integers(-2, 4),
    st.sampled_from(["gold", "north", 'a"b', "", "\\"]),
    st.frozensets(st.sampled_from(["gold", "north"])),
)
people: st.SearchStrategy[Who] = st.tuples(
    st.dictionaries(st.sampled_from(sorted(NAMES.values())), st.integers(1, 4)),
    st.dictionaries(st.sampled_from(sorted(NAMES.values())), labels),
)


@given(expressions, people)
def test_an_expression_means_what_it_says(meant: Meant, who: Who) -> None:
    """matches() gives what the expression means, for every kind of value under every name."""
    text, holds = meant
    assert parse(text).matches(*who) is holds(who)


@given(expressions)
def test_canonical_text_is_a_fixed_point(meant: Meant) -> None:
    """The canonical text reads back as the same requirement, atoms and program included."""
    requirement = parse(meant[0])
    again = parse(requirement.text)
    assert (again, again.text, again.atoms, again.program) == (
        requirement,
        requirement.text,
        requirement.atoms,
        requirement.program,
    )


@given(expressions, people)
def test_the_program_over_atoms_is_the_requirement(meant: Meant, who: Who) -> None:
    """Whoever runs the postfix program over the truth of the atoms gets matches(); the core does just that."""
    requirement = parse(meant[0])
    truths = [atom.holds(*who) for atom in requirement.atoms]
    stack: list[bool] = []
    for word in requirement.program:
        if word == NOT:
            stack.append(not stack.pop())
        elif word in (AND, OR):
            right, left = stack.pop(), stack.pop()
            stack.append((left and right) if word == AND else (left or right))
        else:
            stack.append(truths[word] if word >= 0 else word == TRUE)
    assert stack == [requirement.matches(*who)]
    assert sorted(set(requirement.program) & set(range(ATOMS_MAX))) == list(range(len(requirement.atoms)))


@given(expressions, expressions)
def test_operand_order_and_repetition_do_not_matter(left: Meant, right: Meant) -> None:
    """Operands joined by and, in any order and any number of times, are one requirement; so with or."""
    for word in ("and", "or"):
        one = parse(f"({left[0]}) {word} ({right[0]})")
        assert one == parse(f" ((({right[0]}) {word} ({left[0]}))) ")
        assert one == parse(f"({left[0]}) {word} (({right[0]}) {word} ({left[0]}))")


@given(st.lists(expressions, max_size=4), people)
def test_a_conjunction_asks_for_all(several: list[Meant], who: Who) -> None:
    """conjunction() matches when all match, whatever the order, and is what the joined text parses to."""
    requirements = [parse(text) for text, _ in several]
    joined = conjunction(*requirements)
    assert joined.matches(*who) is all(requirement.matches(*who) for requirement in requirements)
    assert joined == conjunction(*reversed(requirements))
    assert joined == parse(" and ".join(f"({text})" for text, _ in several))


@given(expressions, people)
def test_there_is_a_reason_exactly_when_it_does_not_match(meant: Meant, who: Who) -> None:
    """why_not() is None if and only if the requirement is met."""
    requirement = parse(meant[0])
    assert (requirement.why_not(*who) is None) is requirement.matches(*who)


@given(expressions, people)
def test_levels_are_necessary(meant: Meant, who: Who) -> None:
    """An agent without labels who matches has every level that levels() names."""
    requirement = parse(meant[0])
    skills = who[0]
    if requirement.matches(skills, {}):
        assert all(skills.get(name, 0) >= level for name, level in requirement.levels().items())


@given(st.one_of(st.text(), st.text("ab ()<>=!-\"'`{},\\12\n\u202eandortif")))
@example("\ud800")
@example("a" * (TEXT_LENGTH_MAX + 1))
@example("9" * TEXT_LENGTH_MAX)
@example("(" * TEXT_LENGTH_MAX)
@example("not " * 1_000)
def test_garbage_is_refused_with_one_error(text: str) -> None:
    """Whatever text comes, parse() returns a requirement that reads back or raises RequirementError."""
    try:
        requirement = parse(text)
    except RequirementError:
        return
    assert parse(requirement.text) == requirement


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (" \n", ""),
        ("true", ""),
        ("a or not a", ""),
        ("a and not a", "false"),
        ("not not a", "a"),
        ("b or a and c", "a and c or b"),
        ("(b or a) and c", "(a or b) and c"),
        ("x > 2", "x >= 3"),
        ("x <= 2", "x < 3"),
        (f"x > {INTEGER_MAX}", f"x > {INTEGER_MAX}"),
        ("not x == 2", "x != 2"),
        ("not x >= 2", "not x >= 2"),
        ('region in {"south", "north", "south", 2, 10}', 'region in {2, 10, "north", "south"}'),
        ("region not in {'north'}", 'region != "north"'),
        ("not 'gold' in tiers", '"gold" not in tiers'),
        ("`plain` and `not plain`", "`not plain` and plain"),
        ("tier-2.x:y>=-1", "tier-2.x:y >= -1"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    """One meaning has one text, the shortest usual way to write it."""
    assert parse(text).text == canonical


@pytest.mark.parametrize("text", ["x >= 1", "x == 1", "x in {1, 2}", 'x == "true"', 'x in {"a"}', '"a" in x', "x < 2"])
def test_true_is_no_integer_and_no_text(text: str) -> None:
    """A label that is true answers to its name alone; every comparison is false and every negation true."""
    labels: dict[str, Label] = {"x": True}
    assert parse("x").matches({}, labels)
    assert not parse(text).matches({}, labels)
    assert parse(f"not {text}").matches({}, labels)


def test_texts_that_look_the_same_are_the_same() -> None:
    """Texts and names are compared in normal form C, as labels are stored."""
    decomposed = 'n\u0303 == "n\u0303"'
    assert parse(decomposed) == parse('\u00f1 == "\u00f1"')
    agent = Agent("ana", labels={"n\u0303": "n\u0303"})
    assert parse(decomposed).matches(agent.skills, agent.labels)


def test_missing_names() -> None:
    """A name found nowhere is a skill at level 0: equal to no text, unequal to all, less than 1."""
    held = ["x < 1", "x == 0", 'x != "a"', 'x not in {"a", "b"}', "not x", '"a" not in x', "x in {0, 1}"]
    broken = ["x >= 1", 'x == "a"', 'x < "a"', 'x >= ""', 'x in {"a", "b"}', "x", '"a" in x']
    assert [parse(text).matches({}, {}) for text in held] == [True] * len(held)
    assert [parse(text).matches({}, {}) for text in broken] == [False] * len(broken)


def test_programs() -> None:
    """Programs are postfix, constants stand alone, and no requirement is the constant true."""
    assert parse("").program == (TRUE,)
    assert parse("false").program == (FALSE,)
    assert parse("c and b and a").program == (0, 1, AND, 2, AND)
    assert parse("not (a or b) and a").program == (0, 0, 1, OR, NOT, AND)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spanish >=", "column 11: expected an integer or a text in quotes, found the end"),
        ("spanish = 3", "column 9: unexpected character '='; write '=='"),
        ("a && b", "column 3: unexpected character '&'; write 'and'"),
        ("a AND b", "column 3: expected 'and', 'or' or the end, found name 'AND'; write 'and' in lower case"),
        ("a b", "column 3: expected 'and', 'or' or the end, found name 'b'"),
        ("(a or b", "column 8: expected 'and', 'or' or ')', found the end"),
        ("a and", "column 6: expected a name, a text in quotes, 'not' or '(', found the end"),
        ("3 <= a", "column 1: expected a name, a text in quotes, 'not' or '(', found '3'"),
        ("a >= 3 >= b", "column 8: expected 'and', 'or' or the end (comparisons do not chain), found '>='"),
        ("a >= 2.5", "column 6: expected an integer; a name that begins with a digit stands in backticks"),
        ("a >= 2147483648", f"column 6: integers are in {INTEGER_MIN}..{INTEGER_MAX}"),
        (
            "a == true",
            "column 6: expected an integer or a text in quotes (a name alone asks whether it is true), found 'true'",
        ),
        ("a in 3", "column 6: expected '{', found '3'"),
        ("a in {}", "column 7: expected an integer or a text in quotes, found '}'"),
        ("a in {1 2}", "column 9: expected ',' or '}', found '2'"),
        ("a not b", "column 7: expected 'in' after 'not', found name 'b'"),
        ('"gold" == a', "column 8: expected 'in' or 'not in' after a text (comparisons begin with a name), found '=='"),
        ('a == "x', "column 6: a text in quotes does not end"),
        ("`a", "column 1: a name in backticks does not end"),
        ("``", "column 1: a name is not empty and has no space around it, got ''"),
        ("a-", "column 2: unexpected character '-'; it stands inside a name or before a digit"),
        ("a\u202e", "column 2: the character U+202E is not allowed"),
        ("a == '\0'", "column 7: the character U+0000 is not allowed"),
    ],
)
def test_messages(text: str, message: str) -> None:
    """An error says where, what was expected and what stands there."""
    with pytest.raises(RequirementError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_limits() -> None:
    """Length, depth, atoms and set members are bounded, and the bound itself is allowed."""
    parse(" " * TEXT_LENGTH_MAX)
    parse("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX)
    parse(" and ".join(f"a{number}" for number in range(ATOMS_MAX)))
    parse("a in {" + ",".join(map(str, range(SET_MEMBERS_MAX))) + "}")
    for text in (
        " " * (TEXT_LENGTH_MAX + 1),
        "(" * (DEPTH_MAX + 1) + "a" + ")" * (DEPTH_MAX + 1),
        "not " * (DEPTH_MAX + 1) + "a",
        " and ".join(f"a{number}" for number in range(ATOMS_MAX + 1)),
        " or ".join(["false"] * (ATOMS_MAX + 1)),
        "a in {" + ",".join(map(str, range(SET_MEMBERS_MAX + 1))) + "}",
    ):
        with pytest.raises(RequirementError, match="at most"):
            parse(text)


def test_what_is_written_out_is_bounded_too() -> None:
    """A conjunction, or a text that grows when it is written canonically, keeps the limits, so it reads back."""
    many = [parse(" or ".join(f"a{base}.{number}" for number in range(20))) for base in range(4)]
    with pytest.raises(RequirementError, match="at most 64 names"):
        conjunction(*many)
    dense = " or ".join(
        f"a in {{{','.join(str(n) for n in range(start, start + 250))}}}" for start in (1, 251, 501, 751)
    )
    with pytest.raises(RequirementError, match="at most 4096 characters"):
        parse(dense)
    deep = "b and a"
    for number in range(DEPTH_MAX - 1):
        deep = f"{'ab'[number % 2]}{number} {('or', 'and')[number % 2]} ({deep})"
    parse(deep)
    nested = parse("not (" * 15 + "a and (x or b and (c or d))" + ")" * 15)
    assert parse(nested.text) == nested


def test_levels() -> None:
    """levels() reads the outermost and: the highest >= of each skill, a bare name as 1, nothing else."""
    text = "spanish > 2 and spanish >= 1 and billing and (a >= 5 or b >= 5) and not c >= 2 and d == 3 and e >= 0"
    assert dict(parse(text).levels()) == {"spanish": 3, "billing": 1}
    assert dict(parse("a >= 2 or b").levels()) == {}
    assert dict(parse("").levels()) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("spanish >= 3", "spanish is 2, needs >= 3"),
        ("french", "french is missing"),
        ("french < 0", "french is missing, needs < 0"),
        ("spanish < 2", "spanish is 2, needs < 2"),
        ("not trainee", "trainee is true, needs not trainee"),
        ('region == "north"', 'region is "south", needs == "north"'),
        ('region != "south"', 'region is "south", needs != "south"'),
        ('region in {"east", "north"}', 'region is "south", needs one of "east", "north"'),
        ('region not in {"east", "south"}', 'region is "south", needs none of "east", "south"'),
        ('"gold" in tiers', 'tiers does not contain "gold"'),
        ('"iron" not in tiers', 'tiers contains "iron", must not'),
        ("not spanish >= 2", "spanish is 2, needs not >= 2"),
        ("billing or refunds", "needs billing or refunds"),
        ("not (spanish and trainee)", "needs not (spanish and trainee)"),
        ("false", "it is never met"),
        ("spanish >= 3 and billing", "billing is missing; spanish is 2, needs >= 3"),
        ("a and b and c and d and e", "a is missing; b is missing; c is missing; 2 more"),
        ("spanish", None),
    ],
)
def test_reasons(text: str, reason: str | None) -> None:
    """why_not() says what the agent has and what is needed, first clauses first."""
    labels: dict[str, Label] = {"region": "south", "trainee": True, "tiers": frozenset({"iron"})}
    assert parse(text).why_not({"spanish": 2}, labels) == reason
