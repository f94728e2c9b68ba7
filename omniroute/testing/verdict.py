"""What the kit says: the rules by name, the error that names one, and the account of a check that found nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from attrs import field, frozen

__all__ = ["RULES", "BrokenRuleError", "Report", "shortest"]

T = TypeVar("T")

RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "protocol": "name, version, agent_key and interval_ms are of their kind and never change",
        "raises": "it raises nothing but the errors by which it refuses on purpose",
        "range": "an answer has its kind and its size, and every integer is within the limits",
        "parameters": "an answer changes nothing of the strategy",
        "views": "an answer changes nothing of what the strategy was shown",
        "outside": "an answer comes without clock, dice, files and routers",
        "same answer": "the same question gets the same answer, whatever was asked in between",
        "order": "the answer for a pair does not depend on the order of classes and groups",
        "rows": "the answer for a pair, or for a class, does not depend on what else is asked about",
        "equality": "a strategy equals one that is built from the same parameters",
        "rebuilt": "a strategy that is built from the same parameters gives the same answers",
        "process": "another process, with other hashes, gives the same answers",
        "replay": "law 1: commands with the answers that were recorded give the same events, also from a snapshot on",
        "ticks": "law 2: who calls advance in between changes nothing",
        "invariants": "law 4: every invariant holds after every command",
        "waiting": "law 5: whoever waits and whoever is available have a reason for not being together",
        "places": "law 6: of those who wait in one class an agent is offered nobody before one who is ahead",
        "cores": "the compiled core and the reference core do the same",
    }
)
"""Every rule that is checked, by name."""


class BrokenRuleError(AssertionError):
    """A strategy broke a rule: ``rule`` is a name of RULES, ``question`` what is about, ``example`` how it shows."""

    def __init__(self, strategy: str, rule: str, question: str, example: str) -> None:
        self.strategy, self.rule, self.question, self.example = strategy, rule, question, example
        indented = "\n".join(f"  {line}" for line in example.splitlines())
        super().__init__(f"{strategy} breaks the rule {rule!r}: {RULES[rule]}.\n  {question}\n{indented}")


@frozen(kw_only=True)
class Report:
    """What was checked: how many questions, plays and commands, which events were seen, and what could not be checked.

    ``refusals`` counts questions to which the strategy raised an error on purpose. ``skipped`` has a reason by rule.
    """

    strategy: str
    questions: int
    refusals: int
    plays: int
    commands: int
    events: Mapping[str, int]
    checked: tuple[str, ...]
    skipped: Mapping[str, str] = field(factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{self.strategy}: {len(self.checked)} rules hold over {self.questions} questions and {self.plays} plays "
            f"with {self.commands} commands and {sum(self.events.values())} events"
        ]
        return "\n".join([*lines, *(f"  not checked: {rule}, {why}" for rule, why in self.skipped.items())])


def shortest(items: Sequence[T], fails: Callable[[Sequence[T]], bool], tries: int = 300) -> list[T]:
    """A part of ``items``, in their order, of which none can be left out: it still fails. At most ``tries`` calls.

    >>> shortest([3, 1, 4, 1, 5], lambda part: 4 in part and 5 in part)
    [4, 5]
    """
    kept, size = list(items), max(1, len(items) // 2)
    while size:
        at, less = 0, False
        while at < len(kept) and tries:
            part, tries = kept[:at] + kept[at + size :], tries - 1
            if fails(part):
                kept, less = part, True
            else:
                at += size
        size = size if less and size == 1 and tries else size // 2
    return kept
