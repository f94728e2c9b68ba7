"""Plays of a router with a strategy in it: the laws that hold whatever the strategy answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs
import msgspec

from omniroute import commands as c
from omniroute import events as e
from omniroute import records, snapshot
from omniroute.core import reference
from omniroute.core.lifecycle import InteractionState
from omniroute.door import Door
from omniroute.errors import InvariantError, MisuseError
from omniroute.plan import Plan, Queue
from omniroute.plan_numbers import strategy_of
from omniroute.router import Router
from omniroute.strategies.protocol import Absent, Strategy
from omniroute.testing.asking import Refuses
from omniroute.testing.dice import Dice
from omniroute.testing.moves import Move, Play, Scene, command, instant, start
from omniroute.testing.values import state_of
from omniroute.testing.verdict import BrokenRuleError, shortest

if TYPE_CHECKING:
    from omniroute.core import Core

__all__ = ["all_absent", "check_play", "cores", "places", "reread"]

Place: TypeAlias = tuple[int, int, int]
_TAKEN: Final = (e.Offered, e.Accepted, e.Connected)
ONE_ENTRY: Final = 9
"""How many numbers the core tells of an interaction that waits in one class."""


def cores() -> dict[str, type[Core]]:
    """The cores that are installed, the fastest first."""
    found: dict[str, type[Core]] = {}
    try:
        from omniroute.core import kernel
    except ImportError:
        pass
    else:
        found["kernel"] = cast("type[Core]", kernel.Core)
    return {**found, "reference": reference.Core}


def all_absent(plan: Plan) -> Plan:
    """A plan of which no strategy has code: a question to one of them would be answered with an error. O(queues)."""
    return attrs.evolve(plan, queues=[attrs.evolve(queue, strategy=_absent(queue)) for queue in plan.queues])


def _absent(queue: Queue) -> Absent:
    strategy = strategy_of(queue)
    terms = [term.name for term in attrs.fields(Absent) if hasattr(strategy, term.name)]
    return Absent(**{name: getattr(strategy, name) for name in terms})


def reread(router: Router, written: Sequence[records.Record]) -> list[bytes]:
    """What records do to a router that asks nobody, each read from its bytes; their answers are read to the end.

    O(records). Raises MisuseError where a question is not answered by its record.
    """
    happened = []
    for record in written:
        found = records.decode(records.encode(record))
        given = found.command
        if isinstance(given, c.ChangePlan):
            plan = given.plan if isinstance(given.plan, Plan) else Plan.from_toml_text(given.plan)
            given = c.ChangePlan(all_absent(plan))
        happened.append(e.encode(router.apply(found.now, given, found.answers)))
        if router.answers != record.answers:
            raise MisuseError("the answers of the record were not read to the end")
    return happened


def places(router: Router) -> dict[str, Place]:
    """Class, tier and since of all who wait in one class, untied, offered to nobody, held by no window. O(live)."""
    core, naming, found = router._core, router._naming, {}
    for name, i in router._ledger.numbers.items():
        numbers = core.interaction(i)
        if numbers[0] != InteractionState.WAITING or len(numbers) != ONE_ENTRY or core.ties(i):
            continue
        if naming.queue_values[naming.class_names[numbers[6]].queue].window is None:
            found[name] = (numbers[6], numbers[7], numbers[8])
    return found


class Checker:
    """The laws over one play, on every core."""

    def __init__(self, strategy: Strategy, scene: Scene, installed: Mapping[str, type[Core]], refuses: Refuses) -> None:
        self.strategy, self.scene, self.refuses = strategy, scene, refuses
        self.cores = installed
        self.name = str(strategy.name)

    def broken(self, rule: str, what: str, play: Play, upto: int | None = None) -> BrokenRuleError:
        """The error of a rule, with the commands that lead to it."""
        done = play.written[: len(play.written) if upto is None else upto + 1]
        return BrokenRuleError(self.name, rule, what, "\n".join(_told(record) for record in done))

    def run(self, moves: Sequence[Move], seed: int) -> Play:
        """Play moves and check everything about it. Raises BrokenRuleError."""
        before = state_of(self.strategy)
        first, *others = self.cores.values()
        play, digest = self.live(first, moves)
        if state_of(self.strategy) != before:
            raise self.broken("parameters", "a play changed the strategy", play)
        for core in others:
            self.again("cores", "the other core", play, digest, Router._on(core, self.scene.plan), Dice(0))
        self.again("ticks", "advancing in between", play, digest, Router._on(first, self.scene.plan), Dice(seed))
        self.replayed(first, play, digest, seed)
        return play

    def live(self, core: type[Core], moves: Sequence[Move]) -> tuple[Play, str]:
        """Play moves; invariants, reasons and failures are looked at after each of them."""
        router = Router._on(core, self.scene.plan)
        play, due = Play(router.answers), None
        self.happened(router, play, router.now, None, start(router, self.scene.plan))
        for move in moves:
            now = instant(router, move[3])
            what = command(router, self.scene, move, due)
            before = places(router)
            told = router.apply(now, what)
            self.happened(router, play, now, what, told)
            self.in_order(router, play, before, told)
            found = [event for event in told if isinstance(event, e.RevisionDue)]
            due = found[-1] if found else None if isinstance(what, c.Revise) else due
        return play, router.digest()

    def happened(self, router: Router, play: Play, now: int, what: c.Command | None, told: list[e.Event]) -> None:
        """Write a command down and look at what it left."""
        if what is None:
            what, now = c.SignInMany(tuple(c.SignIn(agent.id) for agent in self.scene.plan.agents)), router.now
        play.written.append(records.Record(now, what, router.answers))
        play.told.append(told)
        for event in told:
            if isinstance(event, e.StrategyFailed) and not isinstance(router.failures[event.queue], self.refuses):
                error = router.failures[event.queue]
                raise self.broken("raises", f"in queue {event.queue!r}: {type(error).__name__}: {error}", play)
        for name in router._ledger.numbers:
            for agent in router.staff():
                if any(why.clause is None for why in router.why(name, agent)):
                    raise self.broken("waiting", f"{name} waits, {agent} is available, and nothing is in the way", play)
        try:
            router.check()
        except InvariantError as error:
            raise self.broken("invariants", str(error), play) from error

    def in_order(self, router: Router, play: Play, before: Mapping[str, Place], told: Sequence[e.Event]) -> None:
        """Look whether somebody was offered to an agent though another had waited in the same class, and was ahead.

        Only whoever waited in one class without ties before and behind the command, and was not touched by it, can have
        been passed over: who is tied may be excluded, and who was moved may have come later.
        """
        behind, moved = places(router), {_about(event) for event in told if not isinstance(event, _TAKEN)}
        touched = moved | {_about(event) for event in told}
        stayed = [(name, at) for name, at in behind.items() if before.get(name) == at and name not in touched]
        for event in told:
            if not isinstance(event, e.Offered) or event.interaction in moved or event.interaction not in before:
                continue
            class_, tier, since = before[event.interaction]
            for name, at in stayed:
                if at[0] == class_ and at[1] <= tier and at[2] < since:
                    what = f"{event.interaction} was offered to {event.agent} before {name}, who was ahead"
                    raise self.broken("places", what, play)

    def again(self, rule: str, how: str, play: Play, digest: str, router: Router, dice: Dice) -> None:
        """Do the same commands on another router, asking the strategy anew, and compare everything."""
        for at, (record, told) in enumerate(zip(play.written, play.told, strict=True)):
            found: list[e.Event] = []
            if rule == "ticks":
                for _ in range(dice.below(3)):
                    found += router.advance(min(record.now, instant(router, dice.below(11))))
            found += router.apply(record.now, record.command)
            if router.answers != record.answers and _asked(router) == _questions(record):
                raise self.broken("same answer", f"asked again in the same play, by {how}", play, at)
            if found != told:
                raise self.broken(rule, f"{how} gives {_names(found)} instead of {_names(told)}", play, at)
        if router.digest() != digest:
            raise self.broken(rule, f"{how} gives the same events and another state", play)

    def replayed(self, core: type[Core], play: Play, digest: str, seed: int) -> None:
        """Replay records without any strategy, from the start and from a snapshot in the middle."""
        wanted, cut = [e.encode(told) for told in play.told], Dice(seed).below(len(play.written) + 1)
        plan = all_absent(self.scene.plan)
        try:
            router = Router._on(core, plan, play.start)
            found = reread(router, play.written[:cut])
            whole = Router._on(core, plan, play.start)
            if (found, reread(whole, play.written)) != (wanted[:cut], wanted) or whole.digest() != digest:
                raise self.broken("replay", "a replay of the records gives something else", play)
            now, naming, ledger = snapshot.read(core, router.snapshot(), router.plan)
            router = Router._of(Door(naming.core, naming, ledger, now))
            if reread(router, play.written[cut:]) != wanted[cut:] or router.digest() != digest:
                raise self.broken(
                    "replay", f"a snapshot after {cut} commands and what follows gives something else", play
                )
        except MisuseError as error:
            raise self.broken("replay", str(error), play) from error


def check_play(
    strategy: Strategy,
    scene: Scene,
    moves: Sequence[Move],
    installed: Mapping[str, type[Core]],
    refuses: Refuses,
    seed: int,
) -> Counter[str]:
    """Check the laws over one play; how often each kind of event happened. O(moves * state).

    Raises BrokenRuleError with as few commands as show it.
    """
    checker = Checker(strategy, scene, installed, refuses)
    try:
        return checker.run(moves, seed).kinds()
    except BrokenRuleError as error:
        first = error

    def fails(part: Sequence[Move]) -> bool:
        try:
            checker.run(part, seed)
        except BrokenRuleError as found:
            return found.rule == first.rule
        return False

    fewest = shortest(moves, fails, tries=150)
    try:
        checker.run(fewest, seed)
    except BrokenRuleError as error:
        raise error from first.__cause__
    raise first


def _about(event: e.Event) -> str | None:
    found: str | None = getattr(event, "interaction", None)
    return found


def _names(told: Sequence[e.Event]) -> str:
    return ", ".join(type(event).__name__ for event in told) or "nothing"


def _asked(router: Router) -> list[object]:
    return [answer.question() for answer in router.answers]


def _questions(record: records.Record) -> list[object]:
    return [answer.question() for answer in record.answers]


def _told(record: records.Record) -> str:
    """A command in a line, without what it leaves to the defaults."""
    return f"at {record.now}: {_short(record.command)}"


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_short, value))
    if isinstance(value, Plan):
        return "another plan"
    if not isinstance(value, msgspec.Struct):
        return repr(value)
    fields = [(field.name, getattr(value, field.name), field.default) for field in msgspec.structs.fields(value)]
    given = [f"{name}={_short(item)}" for name, item, default in fields if item != default and item not in ({}, ())]
    return f"{type(value).__name__}({', '.join(given)})"
