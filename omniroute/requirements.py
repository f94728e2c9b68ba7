"""Requirements: what an interaction needs, as an expression over skills and labels.

::

    spanish >= 3 and (billing or refunds) and not trainee
    region in {"north", "south"} and "gold" in tiers

========================  ==========================================================================
``name``                  the skill at level 1 or more, or a label that is true, not 0, not empty
``name >= 3``             also ``> <= < == !=``, with an integer or a text (texts compare by code point)
``name in {1, "a"}``      the level or label is one of these; also ``not in``
``"gold" in name``        a set label contains the text; also ``not in``
``not``, ``and``, ``or``  in this order of binding; parentheses; ``true`` and ``false``
========================  ==========================================================================

The empty text asks for nothing. A name is an identifier in any script, with ``-``, ``.`` and ``:`` inside; other names
stand in backticks. A name is looked up among the agent's labels, then among the skills; a name found in neither is a
skill at level 0. So for a missing label ``==``, ``in`` and every comparison with a text are false, ``!=`` and
``not in`` are true, and a comparison with an integer is one with 0. A value of another kind than the one asked for
(text against integer; true and false are no integers) compares like that: only ``!=`` and ``not in`` are true.

Two spellings of one thing (spaces, parentheses, order of operands, repetition) parse to equal values, so equal
requirements share a class. Nothing is evaluated but the postfix program that the parser wrote.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import attrs

from omniroute.errors import PlanError, RequirementError
from omniroute.model import INTEGER_MAX, INTEGER_MIN, Label, checked_term, refused_character

TEXT_LENGTH_MAX: Final = 4_096
"""Characters of an expression, as written and in its canonical form."""
DEPTH_MAX: Final = 32
"""Open parentheses and ``not`` around one another."""
ATOMS_MAX: Final = 64
"""Names and constants in one expression."""
SET_MEMBERS_MAX: Final = 256

AND: Final = -1
OR: Final = -2
NOT: Final = -3
TRUE: Final = -4
FALSE: Final = -5

_REASONS_MAX = 3
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {">=": ge, ">": gt, "<": lt, "<=": le}
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})
_SYMBOLS = (">=", "<=", "==", "!=", ">", "<", "(", ")", "{", "}", ",")
_MEANT = {"=": "==", "&": "and", "|": "or", "!": "not"}

Op: TypeAlias = Literal[">=", ">", "<", "<=", "==", "in", "contains", "truthy"]
Value: TypeAlias = int | str | tuple[int | str, ...] | None


def _plain(name: str) -> bool:
    """Tell whether a name needs no backticks."""
    parts = name.translate({ord(c): "\0" for c in "-.:"}).split("\0")
    return name not in _WORDS and name[0].isidentifier() and name[-1] not in "-.:" and _inside("".join(parts))


def _inside(text: str) -> bool:
    return f"a{text}".isidentifier()


def _name_text(name: str) -> str:
    return name if _plain(name) else f"`{name}`"


def _value_text(value: int | str) -> str:
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _set_text(members: Iterable[int | str]) -> str:
    return ", ".join(map(_value_text, members))


@attrs.frozen
class Atom:
    """One question about one name: the smallest part of a requirement, compiled to one bitmap over agent groups.

    ``op`` is a comparison, ``in`` (``value`` holds sorted members), ``contains`` or ``truthy`` (``value`` is None).
    There is no ``!=`` and no ``not in``: these are NOT in the program. Of integers, only ``>=`` and ``<`` remain.

    >>> parse("spanish > 2").atoms
    (Atom(name='spanish', op='>=', value=3),)
    """

    name: str
    op: Op
    value: Value = None

    @property
    def text(self) -> str:
        """The question as it is written in a requirement."""
        return self._written(negated=False)

    def _written(self, *, negated: bool) -> str:
        """Return the text of this atom or of its negation."""
        name = _name_text(self.name)
        if isinstance(self.value, tuple):
            return f"{name} {'not in' if negated else 'in'} {{{_set_text(self.value)}}}"
        if self.value is None:
            return f"not {name}" if negated else name
        value = _value_text(self.value)
        if self.op == "contains":
            return f"{value} {'not in' if negated else 'in'} {name}"
        if self.op == "==":
            return f"{name} {'!=' if negated else '=='} {value}"
        return f"{'not ' if negated else ''}{name} {self.op} {value}"

    def holds(self, skills: Mapping[str, int], labels: Mapping[str, Label]) -> bool:
        """Tell whether an agent with these skills and labels answers yes; the module says what missing names mean.

        Cost: O(1); O(members) for ``in``.

        >>> Atom("spanish", ">=", 3).holds({"spanish": 4}, {})
        True
        """
        actual: Label = labels[self.name] if self.name in labels else skills.get(self.name, 0)
        if self.op == "truthy":
            return bool(actual)
        if self.op == "contains":
            return isinstance(actual, frozenset) and self.value in actual
        if isinstance(actual, bool | frozenset):
            return False
        if isinstance(self.value, tuple):
            return actual in self.value
        if isinstance(actual, str) is not isinstance(self.value, str):
            return False
        return actual == self.value if self.op == "==" else _COMPARISONS[self.op](actual, self.value)

    def _reason(self, skills: Mapping[str, int], labels: Mapping[str, Label], *, negated: bool) -> str:
        """Say what the agent has and what it should be."""
        name = _name_text(self.name)
        label = labels.get(self.name, skills.get(self.name))
        if isinstance(label, frozenset):
            has = f"{name} is {{{_set_text(sorted(label))}}}"
        elif label is None:
            has = f"{name} is missing"
        else:
            has = f"{name} is {str(label).lower() if isinstance(label, bool) else _value_text(label)}"
        if isinstance(self.value, tuple):
            return f"{has}, needs {'none' if negated else 'one'} of {_set_text(self.value)}"
        if self.value is None:
            return f"{has}, needs not {name}" if negated else has
        value = _value_text(self.value)
        if self.op == "contains":
            return f"{name} contains {value}, must not" if negated else f"{name} does not contain {value}"
        if negated:
            return f"{has}, needs {'!= ' if self.op == '==' else f'not {self.op} '}{value}"
        return f"{has}, needs {self.op} {value}"


@attrs.frozen
class _Node:
    """A canonical part of an expression: an atom (``op`` 0), a constant, NOT of one part, AND or OR of sorted parts."""

    op: int
    text: str
    depth: int
    parts: tuple[_Node, ...] = ()
    atom: Atom | None = None


_ALL = _Node(TRUE, "true", 0)
_NONE = _Node(FALSE, "false", 0)


def _atom_node(atom: Atom) -> _Node:
    return _Node(0, atom.text, 0, atom=atom)


def _negation(node: _Node) -> _Node:
    """Return NOT of a node; NOT NOT and NOT of a constant fold."""
    if node.op == NOT:
        return node.parts[0]
    if node.op in (TRUE, FALSE):
        return _NONE if node.op == TRUE else _ALL
    if node.atom is None:
        return _Node(NOT, f"not ({node.text})", node.depth + 2, (node,))
    text = node.atom._written(negated=True)
    return _Node(NOT, text, int(text.startswith("not ")), (node,))


def _joined(op: int, nodes: Iterable[_Node]) -> _Node:
    """Return AND or OR of nodes: flattened, sorted, without repetition, constants and contradictions folded."""
    unit, zero = (_ALL, _NONE) if op == AND else (_NONE, _ALL)
    parts: dict[str, _Node] = {}
    for node in nodes:
        for part in node.parts if node.op == op else (node,):
            if part.op == zero.op:
                return zero
            if part.op != unit.op:
                parts[part.text] = part
    if any(part.op == NOT and part.parts[0].text in parts for part in parts.values()):
        return zero
    ordered = tuple(parts[text] for text in sorted(parts))
    if len(ordered) < 2:
        return ordered[0] if ordered else unit
    wrapped = [op == AND and part.op == OR for part in ordered]
    texts = [f"({part.text})" if wrap else part.text for part, wrap in zip(ordered, wrapped, strict=True)]
    depth = max(part.depth + wrap for part, wrap in zip(ordered, wrapped, strict=True))
    return _Node(op, (" and " if op == AND else " or ").join(texts), depth, ordered)


@attrs.frozen
class Requirement:
    """What an interaction needs, ready to be compiled: made by :func:`parse` and :func:`conjunction`.

    ``text`` is canonical and decides equality. ``program`` is postfix over positions in ``atoms``: n >= 0 pushes atom
    n, AND and OR join the two on top, NOT turns the one on top, TRUE and FALSE push themselves. No requirement is
    ``(TRUE,)`` with the empty text.

    >>> parse("b and a") == parse("(a) and b and a"), parse("a and not b").program
    (True, (0, 1, -3, -1))
    """

    text: str
    atoms: tuple[Atom, ...] = attrs.field(eq=False, repr=False)
    program: tuple[int, ...] = attrs.field(eq=False, repr=False)

    def matches(self, skills: Mapping[str, int], labels: Mapping[str, Label]) -> bool:
        """Tell whether an agent with these skills and labels meets the requirement. Cost: O(atoms).

        >>> parse("spanish >= 3 and not trainee").matches({"spanish": 3}, {})
        True
        """
        stack: list[bool] = []
        for word in self.program:
            if word >= 0:
                stack.append(self.atoms[word].holds(skills, labels))
            elif word == NOT:
                stack.append(not stack.pop())
            elif word in (AND, OR):
                right, left = stack.pop(), stack.pop()
                stack.append((left and right) if word == AND else (left or right))
            else:
                stack.append(word == TRUE)
        return stack.pop()

    def levels(self) -> Mapping[str, int]:
        """Return the levels that every matching agent must have: the ``>=`` of the outermost ``and``, a bare name as 1.

        A bare name may turn out to be a label; then the agent has no skill of that name. Cost: O(atoms).

        >>> dict(parse("spanish >= 3 and billing and (a >= 2 or b)").levels())
        {'billing': 1, 'spanish': 3}
        """
        found: dict[str, int] = {}
        for clause in self._clauses():
            atom = clause.atom
            if atom is not None and atom.op in (">=", "truthy"):
                level = atom.value if isinstance(atom.value, int) else 1 if atom.op == "truthy" else 0
                if level > found.get(atom.name, 0):
                    found[atom.name] = level
        return MappingProxyType(found)

    def why_not(self, skills: Mapping[str, int], labels: Mapping[str, Label]) -> str | None:
        """Return the first clauses that do not hold, in words, or None if the requirement is met. Cost: O(atoms).

        >>> parse("spanish >= 3 and billing").why_not({"spanish": 2, "billing": 1}, {})
        'spanish is 2, needs >= 3'
        """
        reasons: list[str] = []
        for clause in self._clauses():
            if _requirement(clause).matches(skills, labels):
                continue
            negated = clause.op == NOT
            atom = clause.parts[0].atom if negated else clause.atom
            if atom is not None:
                reasons.append(atom._reason(skills, labels, negated=negated))
            else:
                reasons.append("it is never met" if clause.op == FALSE else f"needs {clause.text}")
        if len(reasons) > _REASONS_MAX:
            reasons[_REASONS_MAX:] = [f"{len(reasons) - _REASONS_MAX} more"]
        return "; ".join(reasons) or None

    def without(self, names: Iterable[str]) -> Requirement:
        """Return the requirement without the operands of its outermost ``and`` that ask about nothing but these names.

        An operand that asks about another name as well stays as it is. Cost: O(atoms log atoms).

        >>> parse("spanish >= 3 and (spanish or french) and not trainee").without(["spanish", "trainee"]).text
        'french or spanish'
        """
        dropped = set(names)
        parts = (_requirement(clause) for clause in self._clauses())
        kept = [part for part in parts if not part.atoms or any(atom.name not in dropped for atom in part.atoms)]
        return conjunction(*kept)

    def _clauses(self) -> tuple[_Node, ...]:
        """Return what must hold all at once: the operands of the outermost ``and``, or the whole."""
        node = self._node()
        return node.parts if node.op == AND else (node,)

    def _node(self) -> _Node:
        """Return the tree that the program was written from."""
        stack: list[_Node] = []
        for word in self.program:
            if word >= 0:
                stack.append(_atom_node(self.atoms[word]))
            elif word == NOT:
                stack.append(_negation(stack.pop()))
            elif word in (AND, OR):
                right, left = stack.pop(), stack.pop()
                stack.append(_joined(word, (left, right)))
            else:
                stack.append(_ALL if word == TRUE else _NONE)
        return stack.pop()


def parse(text: str) -> Requirement:
    """Read an expression; equal meanings written differently give equal requirements (see the module).

    Cost: O(length log length). Raises RequirementError with ``field`` as ``column N`` (from 1).

    >>> parse('trainee == 0 and spanish>=3').text
    'spanish >= 3 and trainee == 0'
    """
    if not isinstance(text, str):
        raise RequirementError(f"expected text, got {type(text).__name__}")
    if len(text) > TEXT_LENGTH_MAX:
        raise _error(f"at most {TEXT_LENGTH_MAX} characters, got {len(text)}", TEXT_LENGTH_MAX)
    at = refused_character(text, allowed="\t\n\r")
    if at is not None:
        raise _error(f"the character U+{ord(text[at]):04X} is not allowed", at)
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        return _requirement(_ALL)
    parser = _Parser(tokens)
    node = parser.expression(0, 0)
    parser.expect_end()
    return _checked(node)


def conjunction(*requirements: Requirement) -> Requirement:
    """Return the requirement that asks for all of these. Cost: O(atoms log atoms). Raises RequirementError.

    >>> conjunction(parse("b"), parse(""), parse("a and b")).text
    'a and b'
    """
    return _checked(_joined(AND, (requirement._node() for requirement in requirements)))


def _requirement(node: _Node) -> Requirement:
    """Write the program of a node."""
    leaves: dict[str, Atom] = {}
    pending = [node]
    while pending:
        part = pending.pop()
        pending.extend(part.parts)
        if part.atom is not None:
            leaves[part.text] = part.atom
    texts = sorted(leaves)
    positions = {text: position for position, text in enumerate(texts)}
    program: list[int] = []

    def write(part: _Node) -> None:
        if part.atom is not None:
            program.append(positions[part.text])
            return
        for number, operand in enumerate(part.parts):
            write(operand)
            if number:
                program.append(part.op)
        if len(part.parts) < 2:
            program.append(part.op)

    write(node)
    return Requirement("" if node.op == TRUE else node.text, tuple(leaves[text] for text in texts), tuple(program))


def _checked(node: _Node) -> Requirement:
    """Return the requirement of a node whose canonical text can be read again."""
    if len(node.text) > TEXT_LENGTH_MAX:
        raise RequirementError(f"at most {TEXT_LENGTH_MAX} characters, written out it has {len(node.text)}")
    if node.depth > DEPTH_MAX:
        raise RequirementError(f"at most {DEPTH_MAX} nested parentheses and 'not', written out it has {node.depth}")
    requirement = _requirement(node)
    count = sum(word >= 0 for word in requirement.program)
    if count > ATOMS_MAX:
        raise RequirementError(f"at most {ATOMS_MAX} names, written out it has {count}")
    return requirement


def _error(message: str, position: int) -> RequirementError:
    return RequirementError(message, field=f"column {position + 1}")


@attrs.frozen
class _Token:
    """A word, symbol, name, text, integer or the end, with its position from 0."""

    kind: Literal["word", "symbol", "name", "text", "integer", "end"]
    value: str
    position: int

    def shown(self) -> str:
        """Return the token as a message names it."""
        if self.kind == "end":
            return "the end"
        value = self.value if len(self.value) <= 40 else self.value[:40] + "…"
        return f"{self.kind} {value!r}" if self.kind in ("name", "text") else repr(value)

    def error(self, expected: str) -> RequirementError:
        """Return the error that says what should stand here, with a hint where one is likely."""
        hint = ""
        if self.kind == "name" and self.value.lower() in _WORDS:
            hint = f"; write {self.value.lower()!r} in lower case"
        return _error(f"expected {expected}, found {self.shown()}{hint}", self.position)


def _tokens(text: str) -> list[_Token]:
    """Cut an expression into tokens; the last one is the end."""
    found: list[_Token] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace():
            position += 1
            continue
        token, position = _token(text, position)
        found.append(token)
    found.append(_Token("end", "", len(text)))
    return found


def _token(text: str, start: int) -> tuple[_Token, int]:
    """Return the token that begins at ``start`` and the position behind it."""
    character = text[start]
    if character in "\"'":
        return _quoted_text(text, start)
    if character == "`":
        return _quoted_name(text, start)
    if character in "0123456789-":
        return _integer(text, start)
    if character.isidentifier():
        end = start + 1
        while end < len(text) and (text[end] in "-.:" or _inside(text[end])):
            end += 1
        word = text[start:end].rstrip("-.:")
        if word in _WORDS:
            return _Token("word", word, start), start + len(word)
        return _Token("name", _term(word, start), start), start + len(word)
    for symbol in _SYMBOLS:
        if text.startswith(symbol, start):
            return _Token("symbol", symbol, start), start + len(symbol)
    meant = f"; write {_MEANT[character]!r}" if character in _MEANT else ""
    raise _error(f"unexpected character {character!r}{meant}", start)


def _term(name: str, start: int) -> str:
    """Return the name in its normal form, or say why it cannot be the name of a skill or label."""
    try:
        return checked_term(name, "name")
    except PlanError as error:
        raise _error(error.message, start) from None


def _quoted_name(text: str, start: int) -> tuple[_Token, int]:
    end = text.find("`", start + 1)
    if end < 0:
        raise _error("a name in backticks does not end", start)
    return _Token("name", _term(text[start + 1 : end], start), start), end + 1


def _quoted_text(text: str, start: int) -> tuple[_Token, int]:
    """Read a text in single or double quotes; a backslash stands before a quote or a backslash."""
    quote = text[start]
    characters: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return _Token("text", unicodedata.normalize("NFC", "".join(characters)), start), position + 1
        if character in "\t\n\r":
            raise _error("a text in quotes has no tabs or line ends", position)
        if character == "\\":
            position += 1
            character = text[position : position + 1]
            if not character or character not in "\\\"'":
                raise _error("expected a quote or a backslash after a backslash", position)
        characters.append(character)
        position += 1
    raise _error("a text in quotes does not end", start)


def _integer(text: str, start: int) -> tuple[_Token, int]:
    end = start + 1
    while end < len(text) and text[end] in "0123456789":
        end += 1
    digits = text[start:end]
    if digits == "-":
        raise _error("unexpected character '-'; it stands inside a name or before a digit", start)
    if end < len(text) and (text[end] == "." or _inside(text[end])):
        raise _error("expected an integer; a name that begins with a digit stands in backticks", start)
    if len(digits.lstrip("-0")) > 10 or not INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        raise _error(f"integers are in {INTEGER_MIN}..{INTEGER_MAX}", start)
    return _Token("integer", str(int(digits)), start), end


class _Parser:
    """Precedence climbing over tokens: ``or`` binds least, then ``and``, ``not``, comparisons."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._leaves = 0

    def expression(self, least: int, depth: int) -> _Node:
        """Read operands joined by operators that bind at least as tightly as ``least``."""
        binding = {"or": 1, "and": 2}
        left = self._operand(depth)
        while self._peek().kind == "word" and binding.get(self._peek().value, 0) > least:
            word = self._take().value
            right = self.expression(binding[word], depth)
            left = _joined(AND if word == "and" else OR, (left, right))
        return left

    def expect_end(self) -> None:
        """Refuse anything behind a whole expression."""
        token = self._peek()
        if token.kind == "symbol" and token.value in (">=", "<=", "==", "!=", ">", "<"):
            raise token.error("'and', 'or' or the end (comparisons do not chain)")
        if token.kind != "end":
            raise token.error("'and', 'or' or the end")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _accept(self, value: str) -> bool:
        """Take the next token if it is this word or symbol."""
        token = self._peek()
        if token.kind not in ("word", "symbol") or token.value != value:
            return False
        self._next += 1
        return True

    def _operand(self, depth: int) -> _Node:
        """Read ``not``, parentheses, a constant or a question."""
        token = self._take()
        if depth >= DEPTH_MAX and token.value in ("not", "(") and token.kind in ("word", "symbol"):
            raise _error(f"at most {DEPTH_MAX} nested parentheses and 'not'", token.position)
        if token.kind == "word" and token.value == "not":
            return _negation(self._operand(depth + 1))
        if token.kind == "symbol" and token.value == "(":
            node = self.expression(0, depth + 1)
            if not self._accept(")"):
                raise self._peek().error("'and', 'or' or ')'")
            return node
        self._leaves += 1
        if self._leaves > ATOMS_MAX:
            raise _error(f"at most {ATOMS_MAX} names and constants", token.position)
        if token.kind == "word" and token.value in ("true", "false"):
            return _ALL if token.value == "true" else _NONE
        if token.kind == "name":
            return self._about(token)
        if token.kind == "text":
            return self._contained(token)
        raise token.error("a name, a text in quotes, 'not' or '('")

    def _about(self, name: _Token) -> _Node:
        """Read what follows a name: a comparison, ``in`` a set, or nothing."""
        operator = self._peek()
        if operator.kind == "symbol" and operator.value in (">=", "<=", "==", "!=", ">", "<"):
            self._next += 1
            return _compared(name.value, operator.value, self._value("an integer or a text in quotes"))
        negated = self._negated_in()
        if negated is None:
            return _atom_node(Atom(name.value, "truthy"))
        members = self._members()
        if len(members) == 1:
            node = _atom_node(Atom(name.value, "==", members[0]))
        else:
            node = _atom_node(Atom(name.value, "in", members))
        return _negation(node) if negated else node

    def _contained(self, text: _Token) -> _Node:
        """Read ``in`` and a name behind a text."""
        negated = self._negated_in()
        if negated is None:
            raise self._peek().error("'in' or 'not in' after a text (comparisons begin with a name)")
        name = self._take()
        if name.kind != "name":
            raise name.error("a name")
        node = _atom_node(Atom(name.value, "contains", text.value))
        return _negation(node) if negated else node

    def _negated_in(self) -> bool | None:
        """Take ``in`` (False) or ``not in`` (True), or nothing (None)."""
        if self._accept("in"):
            return False
        if not self._accept("not"):
            return None
        if not self._accept("in"):
            raise self._peek().error("'in' after 'not'")
        return True

    def _value(self, expected: str) -> int | str:
        token = self._take()
        if token.kind == "text":
            return token.value
        if token.kind == "integer":
            return int(token.value)
        if token.kind == "word" and token.value in ("true", "false"):
            raise token.error(f"{expected} (a name alone asks whether it is true)")
        raise token.error(expected)

    def _members(self) -> tuple[int | str, ...]:
        """Read a set in braces: sorted, integers first, each once."""
        if not self._accept("{"):
            raise self._peek().error("'{'")
        found: set[int | str] = set()
        while True:
            position = self._peek().position
            found.add(self._value("an integer or a text in quotes"))
            if len(found) > SET_MEMBERS_MAX:
                raise _error(f"a set has at most {SET_MEMBERS_MAX} members", position)
            if self._accept("}"):
                return tuple(sorted(found, key=lambda member: (isinstance(member, str), member)))
            if not self._accept(","):
                raise self._peek().error("',' or '}'")


def _compared(name: str, symbol: str, value: int | str) -> _Node:
    """Return the canonical node of a comparison: ``!=`` is NOT ``==``; of integers only ``>=`` and ``<`` remain."""
    if symbol == "==":
        return _atom_node(Atom(name, "==", value))
    if symbol == "!=":
        return _negation(_atom_node(Atom(name, "==", value)))
    if symbol in (">", "<=") and isinstance(value, int) and value < INTEGER_MAX:
        return _atom_node(Atom(name, ">=" if symbol == ">" else "<", value + 1))
    ops: dict[str, Op] = {">=": ">=", ">": ">", "<": "<", "<=": "<="}
    return _atom_node(Atom(name, ops[symbol], value))
