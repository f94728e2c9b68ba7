"""Where an interaction goes: rules over its context decide queue, needs, priority, value, head start and treatment.

::

    [intake]
    default = {queue = "service"}

    [[intake.rules]]
    name = "gold billing"
    when = 'intent == "billing" and "gold" in tiers and waiting:billing < 20'
    queue = "billing"
    head_start = "90s"

A rule's ``when`` is written like a requirement (``omniroute.requirements``) and asks about the fields of the context.
One rule set serves every channel. Besides the host's fields there are those that the router knows:

====================  =======================================================================================
``channel``           the name of the interaction's channel
``waiting:QUEUE``     interactions that wait in the queue now, those on offer included
``available:QUEUE``   agents who are available now for the interaction's channel and meet what the queue needs
``ratio:QUEUE``       the line that it would make, itself included, over the queue's agents signed in, per mille
``delay:QUEUE``       the expected delay of who comes now, in ms
``spare:QUEUE``       ms between when who comes now is done and when the queue closes; below 0: too late
``weekday``           1 (Monday) to 7, by the intake's offset from UTC unless the host says it; so too
``hour``, ``minute``  0 to 23 and 0 to 59
====================  =======================================================================================

Ratios and delays are rounded up. The delay is 0 while an agent is available, else that line times the mean handle time
of the queue over its agents signed in, the expected wait of M/M/s without abandonment; a queue that has not handled
anything has the mean of those that have, and before any has, five minutes. Where nobody is signed in both are
INTEGER_MAX. Done is that delay and a long handle time later: one that nine of ten do not exceed (or as many as the
queue's strategy asks about), five minutes before anything was handled. A queue of which nobody has said when it closes
has INTEGER_MAX to spare. A rule that names several queues can leave it to one of the ratios or delays which of them it
is, by ``least``; and to chance, in proportion to weight over number, by ``random``.

A queue whose name is no plain name stands in backticks with its prefix: ```waiting:tier 2` > 5``.

**first**: the first rule that matches decides. **merge**: all that match do; the first of them that names a queue or
a treatment has it, needs are joined with ``and``, of priorities, values and head starts the greatest counts. In both,
the default says what no matching rule says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import attrs

from omniroute.checks import Duration, milliseconds, parsed, unique, values
from omniroute.errors import MisuseError, PlanError
from omniroute.model import (
    INTEGER_MAX,
    INTEGER_MIN,
    Label,
    checked_integer,
    checked_labels,
    checked_name,
    checked_term,
    nearest,
    shown,
    typed_labels,
)
from omniroute.requirements import Requirement, conjunction

if TYPE_CHECKING:
    from omniroute.satisfy import Domain, Space

__all__ = ["FIELDS_MAX", "RULES_MAX", "Context", "Decision", "Intake", "Problem", "Rule", "Treatment"]

FIELDS_MAX: Final = 64
"""Fields of a context, and names that are private."""
WEIGHT_MAX: Final = 1_000
RULES_MAX: Final = 1_024
OFFSET_MAX_MS: Final = 86_340_000
"""The greatest offset from UTC, 23:59, either way."""

Treatment: TypeAlias = Literal["person", "bot", "self_service"]
Mode: TypeAlias = Literal["first", "merge"]
Least: TypeAlias = Literal["ratio", "delay"]

_MINUTE_MS = 60_000
_CLOCK = {"weekday": range(1, 8), "hour": range(24), "minute": range(60)}
_COUNTS = ("waiting", "available", "ratio", "delay", "spare")
_SETTINGS = ("queue", "needs", "priority", "value", "head_start_ms", "treatment")


def _counted(field: str) -> tuple[str, str] | None:
    """Return what is counted and in which queue, if the field is one of the router's counts."""
    kind, colon, queue = field.partition(":")
    return (kind, queue) if colon and kind in _COUNTS else None


def _name(value: str) -> str:
    return checked_name(value, "name")


def _queue(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return names of queues, each once; a single name is one queue, None is none."""
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else values(value, str, "queue")
    unique(names, "", "queue")
    return tuple(checked_name(name, "queue") for name in names)


def _priority(value: int | None) -> int | None:
    return None if value is None else checked_integer(value, "priority", INTEGER_MIN, INTEGER_MAX)


def _value(value: int | None) -> int | None:
    return None if value is None else checked_integer(value, "value", 0, INTEGER_MAX)


def _head_start(value: Duration | None) -> int | None:
    return None if value is None else milliseconds(value, "head_start")


def _check_word(value: object, allowed: tuple[str, ...], field: str) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise PlanError(f"expected one of {', '.join(allowed)}, got {shown(value)}", field=field)


def _treatment(value: Treatment | None) -> Treatment | None:
    if value is not None:
        _check_word(value, get_args(Treatment), "treatment")
    return value


def _least(value: Least | None) -> Least | None:
    if value is not None:
        _check_word(value, get_args(Least), "least")
    return value


def _weights(value: Mapping[str, int]) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise PlanError(f"expected a table from queues to weights, got {shown(value)}", field="weights")
    return {
        checked_name(name, "weights"): checked_integer(weight, f"weights.{name}", 1, WEIGHT_MAX)
        for name, weight in value.items()
    }


def _fields(value: Mapping[str, Label]) -> Mapping[str, Label]:
    """Return a context's fields; what the router knows better is refused, and the clock has its ranges."""
    found = checked_labels(value, "context", FIELDS_MAX)
    for name, label in found.items():
        if name == "channel" or _counted(name):
            raise PlanError("the router says this field itself", field=f"context.{name}")
        if name in _CLOCK:
            checked_integer(label, f"context.{name}", _CLOCK[name][0], _CLOCK[name][-1])
    return found


@attrs.frozen
class Context:
    """What a host knows about an interaction: at most FIELDS_MAX fields, of the kinds that agents' labels have.

    Raises PlanError naming the field.

    >>> Context({"intent": "billing", "tiers": ["gold"]}).fields["tiers"]
    frozenset({'gold'})
    """

    fields: Mapping[str, Label] = attrs.field(factory=dict, converter=_fields, eq=typed_labels)


@attrs.frozen
class Rule:
    """What is decided where ``when`` holds; the empty text always does.

    ``queue`` is one name or several, in all of which the interaction then waits. ``needs`` is asked of agents besides
    what each queue asks; None says nothing, the empty text says that nothing is needed. ``value`` is in minor units,
    0..INTEGER_MAX.

    With ``least`` it waits in one of the queues: that of the least ``ratio:QUEUE`` or ``delay:QUEUE``, over its weight
    in ``weights`` (1 where it has none), the first of equals. With ``random`` each queue has a chance in proportion to
    weight over number; one whose number is 0 has it for sure. Raises PlanError.

    >>> Rule("gold", 'tier == "gold"', queue="vip", head_start_ms="90s").head_start_ms
    90000
    """

    name: str = attrs.field(converter=_name)
    when: str = ""
    queue: tuple[str, ...] = attrs.field(default=(), converter=_queue, kw_only=True)
    needs: str | None = attrs.field(default=None, kw_only=True)
    priority: int | None = attrs.field(default=None, converter=_priority, kw_only=True)
    value: int | None = attrs.field(default=None, converter=_value, kw_only=True)
    head_start_ms: int | None = attrs.field(default=None, converter=_head_start, kw_only=True)
    treatment: Treatment | None = attrs.field(default=None, converter=_treatment, kw_only=True)
    least: Least | None = attrs.field(default=None, converter=_least, kw_only=True)
    weights: Mapping[str, int] = attrs.field(factory=dict, converter=_weights, kw_only=True, hash=False)
    random: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool), kw_only=True)
    condition: Requirement = attrs.field(init=False, eq=False, repr=False)
    requirement: Requirement | None = attrs.field(init=False, eq=False, repr=False)

    @condition.default
    def _condition(self) -> Requirement:
        return parsed(self.when, "when")

    @requirement.default
    def _requirement(self) -> Requirement | None:
        return None if self.needs is None else parsed(self.needs, "needs")

    def __attrs_post_init__(self) -> None:
        if not any(self.says(setting) for setting in _SETTINGS):
            raise PlanError(
                "decides nothing; give queue, needs, priority, value, head_start or treatment", field="name"
            )
        if self.least is not None and len(self.queue) < 2:
            raise PlanError("compares several queues, and the rule does not name them", field="least")
        for name in self.weights:
            if name not in self.queue:
                raise PlanError(f"{name!r} is no queue of this rule{nearest(name, self.queue)}", field="weights")
        if self.least is None and (self.weights or self.random):
            raise PlanError("wants a number to compare", field="least")

    def asked(self) -> Iterable[str]:
        """Yield the fields of the router that choose among its queues. O(queues)."""
        for name in self.queue if self.least else ():
            yield f"{self.least}:{name}"
            if self.random:
                yield f"lot:{name}"

    def chosen(self, live: Mapping[str, int | str]) -> tuple[str, ...]:
        """Return the queues in which the interaction waits, by the fields of :meth:`asked`. O(queues).

        By chance it is the queue whose exponential time of rate weight over number is over first.
        """
        if self.least is None:
            return self.queue
        numbers = {name: int(live[f"{self.least}:{name}"]) for name in self.queue}
        whole = math.lcm(*self.weights.values())
        manned = [name for name in self.queue if numbers[name] < INTEGER_MAX] or self.queue
        measure = {name: numbers[name] * (whole // self.weights.get(name, 1)) for name in manned}
        if self.random:
            measure = {name: value * int(live[f"lot:{name}"]) for name, value in measure.items()}
        return (min(manned, key=lambda name: measure[name]),)

    def says(self, setting: str) -> bool:
        """Tell whether the rule says something about one of its settings. O(1)."""
        return getattr(self, setting) not in (None, ())

    def unknown_queues(self, queues: Collection[str]) -> Iterable[tuple[str, str]]:
        """Yield ``queue`` or ``when``, and a queue that is named there and is none of these. O(names)."""
        for name in self.queue:
            if name not in queues:
                yield "queue", name
        for atom in self.condition.atoms:
            counted = _counted(atom.name)
            if counted and counted[1] not in queues:
                yield "when", counted[1]


@attrs.frozen(kw_only=True)
class Decision:
    """Where an interaction goes. ``rules`` names the rules that matched, and the default where it had to say something.

    ``needs`` is canonical; 0 and the empty text stand for what nobody says, and the treatment is then ``person``.
    """

    queue: tuple[str, ...]
    needs: str
    priority: int
    value: int
    head_start_ms: int
    treatment: Treatment
    rules: tuple[str, ...]


@attrs.frozen
class Problem:
    """What lint found about a rule.

    ``kind`` is ``never`` (no context meets its ``when``), ``covered`` (rules ahead of it take all that it would match),
    ``unknown_queue``, or ``not_decided``.
    """

    rule: str
    kind: Literal["never", "covered", "unknown_queue", "not_decided"]
    detail: str


def _rules(value: Iterable[Rule]) -> tuple[Rule, ...]:
    rules = values(value, Rule, "rules")
    if len(rules) > RULES_MAX:
        raise PlanError(f"at most {RULES_MAX}, got {len(rules)}", field="rules")
    return rules


def _mode(value: Mode) -> Mode:
    _check_word(value, get_args(Mode), "mode")
    return value


def _private(value: Iterable[str]) -> frozenset[str]:
    names = values(sorted(value) if isinstance(value, frozenset | set) else value, str, "private")
    if len(names) > FIELDS_MAX:
        raise PlanError(f"at most {FIELDS_MAX} names, got {len(names)}", field="private")
    return frozenset(checked_term(name, f"private[{position}]") for position, name in enumerate(names))


def _utc_offset(value: int | str | timedelta) -> int:
    """Return an offset in milliseconds, from milliseconds, a timedelta or a text such as ``"+02:00"``."""
    field = "utc_offset"
    number: object = value
    if isinstance(value, str):
        found = re.fullmatch(r"([+-])([0-9]{2}):([0-5][0-9])", value)
        if not found:
            raise PlanError(f'expected an offset such as "+02:00", got {shown(value)}', field=field)
        number = int(f"{found[1]}1") * (int(found[2]) * 60 + int(found[3])) * _MINUTE_MS
    elif isinstance(value, timedelta):
        number = value // timedelta(milliseconds=1)
    offset_ms = checked_integer(number, field, -OFFSET_MAX_MS, OFFSET_MAX_MS)
    if offset_ms % _MINUTE_MS or (isinstance(value, timedelta) and value % timedelta(minutes=1)):
        raise PlanError(f"not a whole number of minutes: {value}", field=field)
    return offset_ms


@attrs.frozen
class Intake:
    """Rules in order, and what is decided where they say nothing; the module says how the two modes decide.

    ``default`` has no ``when`` and names a queue. Fields that are ``private`` decide like others and are left out of
    :meth:`shown`. ``utc_offset_ms`` (also ``"+02:00"``) is what clocks on the wall are ahead of UTC, whole minutes.
    Cost of the checks: O(size). Raises PlanError.

    >>> gold = Rule("gold", '"gold" in tiers', queue="vip")
    >>> intake = Intake([gold, Rule("night", "hour < 8", treatment="bot")], default=Rule("else", queue="service"))
    >>> intake.asks()
    ('hour',)
    >>> intake.classify(Context({"tiers": ["silver"]}), {"hour": 7}).queue
    ('service',)
    """

    rules: tuple[Rule, ...] = attrs.field(converter=_rules)
    default: Rule = attrs.field(kw_only=True)
    mode: Mode = attrs.field(default="first", converter=_mode, kw_only=True)
    private: frozenset[str] = attrs.field(default=frozenset(), converter=_private, kw_only=True)
    utc_offset_ms: int = attrs.field(default=0, converter=_utc_offset, kw_only=True)
    _asks: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)

    @_asks.default
    def _live(self) -> tuple[str, ...]:
        names = {atom.name for rule in self.rules for atom in rule.condition.atoms}
        live = {name for name in names if name == "channel" or name in _CLOCK or _counted(name)}
        rules = [rule for rule in (*self.rules, self.default) if isinstance(rule, Rule)]
        return tuple(sorted(live.union(*(rule.asked() for rule in rules))))

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.default, Rule):
            raise PlanError(f"expected Rule, got {shown(self.default)}", field="default")
        if self.default.condition.text:
            raise PlanError("the default has no condition", field="default.when")
        if not self.default.queue:
            raise PlanError("the default names a queue", field="default.queue")
        unique([rule.name for rule in self.rules], ".name", "rules")
        if any(rule.name == self.default.name for rule in self.rules):
            raise PlanError(f"{self.default.name!r} is the name of a rule already", field="default.name")

    def places(self) -> Iterable[tuple[str, Rule]]:
        """Yield every rule and the default, with its field. O(rules)."""
        for position, rule in enumerate(self.rules):
            yield f"rules[{position}]", rule
        yield "default", self.default

    def asks(self) -> tuple[str, ...]:
        """Return the fields that rules ask of the router, sorted; :meth:`classify` wants these, no others. O(1)."""
        return self._asks

    def live(self, now: int, channel: str, count: Callable[[str, str], int]) -> dict[str, int | str]:
        """Return the fields of :meth:`asks` at ``now`` (ms since 1970). Cost: O(fields) and the counts.

        ``count`` is called with the kind of a number and the name of a queue: those above, and ``lot`` for an
        exponential time that has been drawn.

        >>> asking = Rule("late", "weekday == 4 and hour >= 1 and waiting:a > 5", queue="b")
        >>> intake = Intake([asking], default=Rule("else", queue="a"), utc_offset_ms="+01:30")
        >>> intake.live(0, "voice", lambda kind, queue: 7)
        {'hour': 1, 'waiting:a': 7, 'weekday': 4}
        """
        minutes = (now + self.utc_offset_ms) // _MINUTE_MS
        clock = {"minute": minutes % 60, "hour": minutes // 60 % 24, "weekday": (minutes // 1_440 + 3) % 7 + 1}
        found: dict[str, int | str] = {}
        for name in self._asks:
            kind, colon, queue = name.partition(":")
            found[name] = count(kind, queue) if colon else channel if name == "channel" else clock[name]
        return found

    def classify(self, context: Context, live: Mapping[str, int | str]) -> Decision:
        """Decide where an interaction goes. Cost: O(atoms of the rules); with merge O(n log n) in joined needs.

        A clock field of the context is taken before that of ``live``. Raises MisuseError if ``live`` misses a field
        of :meth:`asks`, and RequirementError if joined needs are over the limits of expressions.
        """
        missing = next((name for name in self._asks if name not in live), None)
        if missing is not None:
            raise MisuseError(f"live has no {missing!r}, which a rule asks about")
        fields: dict[str, Label] = {name: live[name] for name in self._asks}
        fields.update(context.fields)
        matched: list[Rule] = []
        for rule in self.rules:
            if rule.condition.matches({}, fields):
                matched.append(rule)
                if self.mode == "first":
                    break
        return self._decided(matched, self._who(matched).chosen(live))

    def _who(self, matched: list[Rule]) -> Rule:
        """The rule that says the queue."""
        return next((rule for rule in matched if rule.queue), self.default)

    def _decided(self, matched: list[Rule], queues: tuple[str, ...]) -> Decision:
        """Join what rules that matched say, and what the default says besides; where it waits is chosen."""
        default = self.default
        said = {setting: [rule for rule in matched if rule.says(setting)] for setting in _SETTINGS}
        lacking = [setting for setting, rules in said.items() if not rules and default.says(setting)]
        said.update({setting: [default] for setting in lacking})
        needs = [rule.requirement for rule in said["needs"] if rule.requirement is not None]
        return Decision(
            queue=queues,
            needs=conjunction(*needs).text,
            priority=max([rule.priority for rule in said["priority"] if rule.priority is not None], default=0),
            value=max([rule.value for rule in said["value"] if rule.value is not None], default=0),
            head_start_ms=max(
                [r.head_start_ms for r in said["head_start_ms"] if r.head_start_ms is not None], default=0
            ),
            treatment=next((rule.treatment for rule in said["treatment"] if rule.treatment), "person"),
            rules=tuple(rule.name for rule in (*matched, *([default] if lacking else []))),
        )

    def possible(self) -> tuple[Decision, ...] | None:
        """Return every decision that :meth:`classify` can take; None with merge, where they are too many. O(rules)."""
        if self.mode == "merge":
            return None
        found = []
        for matched in ([], *([rule] for rule in self.rules)):
            who = self._who(matched)
            choices = [(name,) for name in who.queue] if who.least else [who.queue]
            found += [self._decided(matched, choice) for choice in choices]
        return tuple(found)

    def shown(self, context: Context) -> Context:
        """Return the context without private fields, as events and reports may have it. O(fields)."""
        return Context({name: label for name, label in context.fields.items() if name not in self.private})

    def lint(
        self, *, queues: Collection[str] | None = None, channels: Collection[str] | None = None
    ) -> tuple[Problem, ...]:
        """Find rules that never decide anything, and those that name other queues than ``queues``, in order.

        Exact, or ``not_decided``: what is called dead is so for every context. ``channels`` are all that there are.
        Cost: O(atoms) per question in ordinary cases and bounded by ``satisfy.LOOKS_MAX``; O(rules) questions, and as
        many again for each rule that is covered.

        >>> rules = [Rule("vip", "value > 100", queue="vip"), Rule("gold", "value > 200 and gold", queue="gold")]
        >>> for problem in Intake(rules, default=Rule("else", queue="service")).lint():
        ...     print(problem.rule, problem.kind, problem.detail)
        gold covered whatever it matches, 'vip' takes before
        """
        from omniroute.satisfy import Space  # a router does not pay for it

        domains: dict[str, Domain] = {**_CLOCK}
        whole, positive = range(INTEGER_MIN, INTEGER_MAX + 1), range(INTEGER_MAX + 1)
        counted = {name: pair[0] for name in self._asks if (pair := _counted(name))}
        domains.update({name: whole if kind == "spare" else positive for name, kind in counted.items()})
        if channels is not None:
            domains["channel"] = tuple(sorted(channels))
        space = Space([rule.condition for rule in self.rules], domains)
        found: list[Problem] = []
        for position, rule in enumerate(self.rules):
            ahead = range(position) if self.mode == "first" else range(0)
            found.extend(self._dead(space, position, ahead))
            found.extend(_lost(rule, queues))
        return (*found, *_lost(self.default, queues))

    def _dead(self, space: Space, position: int, ahead: range) -> Iterable[Problem]:
        """Yield the problem of a rule that never decides, or of which that could not be found out."""
        rule = self.rules[position]
        alive = space.satisfiable([position], [])
        if alive is False:
            yield Problem(rule.name, "never", f"nothing meets {rule.condition.text}")
            return
        left = space.satisfiable([position], ahead)
        if left is False:
            takes = next((other for other in ahead if space.satisfiable([position], [other]) is False), None)
            by = "the rules ahead of it" if takes is None else repr(self.rules[takes].name)
            verb = "take" if takes is None else "takes"
            yield Problem(rule.name, "covered", f"whatever it matches, {by} {verb} before")
        elif left is None:
            yield Problem(rule.name, "not_decided", "too much to look through; ask less in one rule")


def _lost(rule: Rule, queues: Collection[str] | None) -> Iterable[Problem]:
    """Yield a problem for each queue that is not known."""
    for field, name in () if queues is None else rule.unknown_queues(queues):
        yield Problem(
            rule.name, "unknown_queue", f"{field}: unknown queue {name!r}{nearest(name, sorted(queues or ()))}"
        )
