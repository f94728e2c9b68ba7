"""Whether some context can meet requirements and miss others: what lint of rules asks, decided exactly or not at all.

Each name of an expression stands for one value: true or false, an integer, a text, or a set of texts; a missing one
answers like the integer 0. The atoms about one name cut the values of its scalars into classes whose members give the
same answers, and one member stands for each. A set is known by the texts that are asked for; an empty one answers like
false, so sets have a member here. What is left is a search
over these, and the search is bounded: beyond that the answer is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from omniroute.model import INTEGER_MAX, INTEGER_MIN, SET_MEMBERS_MAX, TEXT_LENGTH_MAX, Label
from omniroute.requirements import AND, NOT, OR, TRUE, Atom, Requirement

__all__ = ["CELLS_MAX", "LOOKS_MAX", "Domain", "Space"]

LOOKS_MAX: Final = 200_000
"""Atoms looked at for one question."""
CELLS_MAX: Final = 4_000_000
"""Atoms about one name times classes of its values."""

Domain: TypeAlias = range | tuple[str, ...]
"""The values that a name can have where not every label is possible: integers of step 1, or these texts."""

_DECISIVE: Final = {AND: False, OR: True}
"""The answer of one side that decides the whole."""

_Sets: TypeAlias = tuple[int, int]
"""Sets that are still possible: bits of texts that are in, bits of texts that are not."""
_State: TypeAlias = tuple[int, _Sets | None]
"""What a name can still be: bits of scalars, and sets."""


def _scalars(atoms: Sequence[Atom], domain: Domain | None) -> list[Label]:
    """Return one value of each class of scalars that the atoms can tell apart.

    Between an integer and the next lies nothing. The first text behind ``t`` is ``t`` and a space, because the space
    is the least character that a label may have.
    """
    if isinstance(domain, tuple):
        return list(domain)
    allowed = range(INTEGER_MIN, INTEGER_MAX + 1) if domain is None else domain
    numbers = {allowed[0], -1, 0, 1}
    texts = {"", " "}
    for atom in atoms:
        for constant in atom.value if isinstance(atom.value, tuple) else (atom.value,):
            if isinstance(constant, str):
                texts |= {constant, f"{constant} "}
            elif constant is not None:
                numbers |= {constant - 1, constant, constant + 1}
    found: list[Label] = [number for number in sorted(numbers) if number in allowed]
    return found if domain is not None else [False, True, *found, *sorted(texts)]


def _longest(atoms: Sequence[Atom]) -> int:
    """Return the length of the longest text that the atoms ask about."""
    constants = [c for atom in atoms for c in (atom.value if isinstance(atom.value, tuple) else (atom.value,))]
    return max((len(constant) for constant in constants if isinstance(constant, str)), default=0)


class _Name:
    """The values of one name, as bits, and the answers of the atoms about it."""

    def __init__(self, name: str, atoms: Sequence[Atom], domain: Domain | None) -> None:
        scalars = _scalars(atoms, domain)
        self.decidable = len(atoms) * len(scalars) <= CELLS_MAX and _longest(atoms) < TEXT_LENGTH_MAX
        self.start: _State = ((1 << len(scalars)) - 1, (0, 0) if domain is None else None)
        self._masks: list[int] = []
        self._members: list[int | bool] = []
        """The bit of the text that an atom looks for in a set, or what every set answers."""
        if not self.decidable:
            return
        labels = [{name: value} for value in scalars]
        for number, atom in enumerate(atoms):
            bits = "".join("1" if atom.holds({}, label) else "0" for label in reversed(labels))
            self._masks.append(int(bits, 2))
            self._members.append(1 << number if atom.op == "contains" else atom.op == "truthy")

    def answer(self, state: _State, number: int) -> bool | None:
        """Tell what an atom answers, None where both answers are possible. O(1)."""
        scalars, sets = state
        mask = self._masks[number]
        yes, no = bool(scalars & mask), bool(scalars & ~mask)
        if sets is not None:
            inside, outside = self._of_sets(sets, number)
            yes, no = yes or inside, no or outside
        return None if yes and no else yes

    def narrowed(self, state: _State, number: int, truth: bool) -> _State:
        """Return what is left when an atom answers so; something is, where both answers were possible. O(1)."""
        scalars, sets = state
        mask = self._masks[number]
        scalars &= mask if truth else ~mask
        if sets is None or not self._of_sets(sets, number)[0 if truth else 1]:
            return scalars, None
        inside, outside = sets
        member = self._members[number]
        if isinstance(member, bool):
            return scalars, sets
        return scalars, (inside | member, outside) if truth else (inside, outside | member)

    def _of_sets(self, sets: _Sets, number: int) -> tuple[bool, bool]:
        """Tell whether a set that is still possible answers yes, and whether one answers no."""
        inside, outside = sets
        member = self._members[number]
        if isinstance(member, bool):
            return member, not member
        if inside & member:
            return True, False
        return not outside & member and inside.bit_count() < SET_MEMBERS_MAX, True


@attrs.frozen
class _Clause:
    """A requirement over names by number: which atom of which name stands at each position of the program."""

    program: tuple[int, ...]
    atoms: tuple[tuple[int, int], ...]


class Space:
    """The contexts that some requirements can tell apart. Cost: O(atoms about a name * their constants), summed up.

    ``domains`` has the values of names that cannot be just anything.

    >>> from omniroute.requirements import parse
    >>> space = Space([parse('a == "x"'), parse("a"), parse("b > 3")], {"b": range(3)})
    >>> space.satisfiable([0], []), space.satisfiable([0], [1]), space.satisfiable([2], [])
    (True, False, False)
    """

    def __init__(self, requirements: Sequence[Requirement], domains: Mapping[str, Domain]) -> None:
        atoms: dict[str, dict[Atom, int]] = {}
        for requirement in requirements:
            for atom in requirement.atoms:
                known = atoms.setdefault(atom.name, {})
                known.setdefault(atom, len(known))
        places = {name: place for place, name in enumerate(atoms)}
        self._names = [_Name(name, list(known), domains.get(name)) for name, known in atoms.items()]
        self._clauses = [
            _Clause(
                requirement.program,
                tuple((places[atom.name], atoms[atom.name][atom]) for atom in requirement.atoms),
            )
            for requirement in requirements
        ]

    def satisfiable(self, met: Sequence[int], missed: Sequence[int]) -> bool | None:
        """Tell whether one context meets all of the first and none of the second; None: not decided.

        Requirements are named by their position. Cost: exponential in the atoms at worst, cut off after LOOKS_MAX of
        them; O(atoms) in ordinary cases.
        """
        asked = [(position, True) for position in met] + [(position, False) for position in missed]
        decidable = [clause for clause in asked if self._decidable(clause[0])]
        found = self._search(decidable)
        return None if found and len(decidable) < len(asked) else found

    def _decidable(self, position: int) -> bool:
        return all(self._names[place].decidable for place, _ in self._clauses[position].atoms)

    def _search(self, asked: list[tuple[int, bool]]) -> bool | None:
        """Look for a context depth first, deciding an atom of the clause with the fewest open ones."""
        looks = LOOKS_MAX
        stack = [(asked, [name.start for name in self._names])]
        while stack:
            pending, states = stack.pop()
            left: list[tuple[int, bool]] = []
            chosen: list[tuple[int, int]] = []
            for position, wanted in pending:
                clause = self._clauses[position]
                looks -= len(clause.atoms) + 1
                if looks < 0:
                    return None
                answers = [self._names[place].answer(states[place], number) for place, number in clause.atoms]
                truth = _truth(clause.program, answers)
                if truth is None:
                    left.append((position, wanted))
                    ahead = [atom for atom, answer in zip(clause.atoms, answers, strict=True) if answer is None]
                    if not chosen or len(ahead) < len(chosen):
                        chosen = ahead
                elif truth is not wanted:
                    break
            else:
                if not chosen:
                    return True
                place, number = chosen[0]
                for answer in (False, True):  # yes is looked at first: it says more about the value
                    narrowed = list(states)
                    narrowed[place] = self._names[place].narrowed(states[place], number, answer)
                    stack.append((left, narrowed))
        return False


def _truth(program: Sequence[int], answers: Sequence[bool | None]) -> bool | None:
    """Run a requirement's program over answers, some of which are open."""
    stack: list[bool | None] = []
    for word in program:
        if word >= 0:
            stack.append(answers[word])
        elif word == NOT:
            top = stack.pop()
            stack.append(None if top is None else not top)
        elif word in _DECISIVE:
            decisive = _DECISIVE[word]
            right, left = stack.pop(), stack.pop()
            if decisive in (left, right):
                stack.append(decisive)
            else:
                stack.append(None if left is None or right is None else not decisive)
        else:
            stack.append(word == TRUE)
    return stack.pop()
