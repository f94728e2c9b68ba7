"""The laws of the door, each over every core, each seen to fail with the bug that its docstring names."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from cores import CORES, using
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from play import AGENTS, OTHER, PLAN, Move, fixed_moves, live_offers, opened, play, recorded, whimsical

import omniroute
from omniroute import Plan, Router, commands, events, records
from omniroute.answers import Answer, Kind
from omniroute.errors import InputError, InvariantError, MisuseError
from omniroute.testing.laws import all_absent, reread
from omniroute.testing.moves import instant

HERE = Path(__file__).parent
PACKAGE = Path(omniroute.__file__).parent

number = st.integers(0, 119)
moves = st.binary(min_size=80, max_size=320).map(lambda drawn: list(zip(*[iter(drawn)] * 4, strict=False)))
law = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def replayed(router: Router, journal: list[tuple[int, commands.Command]]) -> list[bytes]:
    """What the journal's records do to a router, command by command."""
    records = [(now, commands.encode(command)) for now, command in journal]
    return [events.encode(router.apply(now, commands.decode(record))) for now, record in records]


@law
@given(moves=moves, cut=st.integers(0, 80))
def test_replay_is_identity(core: str, moves: list[Move], cut: int) -> None:
    """Law 1: the same records give the same bytes and the same state, also from a snapshot in the middle.

    Seen to fail: the snapshot forgot the ended offers, so that a late accept was refused for another reason; and, not
    planted: a full queue was named where the requirement had been asked before, and not where it had not.
    """
    first = opened()
    journal, told = play(first, moves)
    second = opened()
    assert replayed(second, journal) == list(map(events.encode, told))
    assert second.digest() == first.digest()
    third = opened()
    replayed(third, journal[:cut])
    digest = third.digest()
    third = Router.restore(third.snapshot())
    assert third.digest() == digest
    assert replayed(third, journal[cut:]) == list(map(events.encode, told[cut:]))
    assert third.digest() == first.digest()


def test_replay_does_not_depend_on_the_process() -> None:
    """Law 1 over cores and hash seeds: every process prints the same hashes of events, records and state.

    Seen to fail: a reconciliation went through a set of names, in the order of their hashes; a question was marked
    with Python's own hash.
    """
    printed = {}
    for core in CORES:
        for seed in ("0", "1", "77"):
            environment = {**os.environ, "OMNIROUTE_CORE": core, "PYTHONHASHSEED": seed}
            environment["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
            done = subprocess.run(
                [sys.executable, str(HERE / "play.py"), "400"],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            printed[core, seed] = done.stdout
    assert len(set(printed.values())) == 1, printed


@law
@given(moves=moves, ticks=st.lists(st.lists(number, max_size=3), max_size=80))
def test_ticks_do_not_matter(core: str, moves: list[Move], ticks: list[list[int]]) -> None:
    """Law 2: whoever calls advance between commands, at, around or between deadlines, changes nothing.

    Nor does whoever calls it right after a command. Seen to fail: events of deadlines were stamped with the instant of
    the command that noticed them; and: a refused command left the time where it was. Not planted: so did a queue that
    closed or opened, and a call-back; a plan with a shorter retention forgot names only with the next command.
    """
    plain, ticked = opened(), opened()
    for number_, move in enumerate(moves):
        ((now, command),), (told,) = play(plain, [move])
        happened = []
        for gap in ticks[number_] if number_ < len(ticks) else ():
            happened += ticked.advance(min(now, instant(ticked, gap)))
        happened += ticked.apply(now, command)
        assert happened == told
        assert ticked.advance(now) == []
        assert ticked.digest() == plain.digest()


@law
@given(moves=moves)
def test_what_is_refused_moves_nothing(core: str, moves: list[Move]) -> None:
    """Law 3: a refused command leaves what letting the time pass would have left.

    A queue that closes tells what could not move as refused, so that is judged by what it closed. Seen to fail: the
    class of a new requirement was numbered before the queue was found full. Not planted: a new class was numbered
    before a tie was found to be to an unknown agent, before the queue was found closed, and before an agent was found
    without room.
    """
    router = opened()
    for move in moves:
        before = router.fork()
        ((now, command),), (told,) = play(router, [move])
        bulk = isinstance(command, commands.EnqueueMany) or any(isinstance(e, events.QueueClosed) for e in told)
        if told and isinstance(told[-1], events.Rejected) and not bulk:
            assert before.advance(now) == told[:-1]
            assert before.digest() == router.digest()


MISUSES = (
    commands.Enqueue("", "sales"),
    commands.Enqueue("x" * 200, "sales"),
    commands.Enqueue("\ud800", "sales"),
    commands.Enqueue("x", ()),
    commands.Enqueue("x", ("sales", "sales")),
    commands.Enqueue("x", tuple("abcdefghi")),
    commands.Enqueue("x", "sales", needs="es >="),
    commands.Enqueue("x", "nowhere", needs="es >="),
    commands.Enqueue("x", "sales", priority=True),
    commands.Enqueue("x", "sales", priority=2**40),
    commands.Enqueue("x", "sales", head_start_ms=-1),
    commands.Enqueue("x", "sales", ref=1.5),  # type: ignore[arg-type]
    commands.Enqueue("x", 7),  # type: ignore[arg-type]
    commands.Enqueue(7, "sales"),  # type: ignore[arg-type]
    commands.EnqueueMany((commands.Enqueue("x", "sales"), commands.Enqueue("y", "sales", needs="("))),
    commands.Accept(-1),
    commands.Accept("1"),  # type: ignore[arg-type]
    commands.Decline(True),
    commands.Decline(2**63),
    commands.Finish("c1", -2),
    commands.Finish("c1", True),
    commands.Finish(None),  # type: ignore[arg-type]
    commands.Leave(b"c1"),  # type: ignore[arg-type]
    commands.Release(1),  # type: ignore[arg-type]
    commands.Requeue(""),
    commands.Transfer("c1", "sales", age="older"),  # type: ignore[arg-type]
    commands.Transfer("c1", "sales", needs="and"),
    commands.Transfer("c1", "sales", priority=0.5),  # type: ignore[arg-type]
    commands.SignIn("ana", ready=1),  # type: ignore[arg-type]
    commands.SignIn(commands.AgentCard("zoe", {"es": -1})),
    commands.SignIn(commands.AgentCard("zoe", order=2**31 - 1)),
    commands.SignInMany((commands.SignIn("ana"), commands.SignIn(""))),
    commands.SignOut(None),  # type: ignore[arg-type]
    commands.SetPresence("ana", "signed_out"),  # type: ignore[arg-type]
    commands.SetPresence("ana", "ready", "x" * 5_000),
    commands.UpdateAgent("ana"),  # type: ignore[arg-type]
    commands.ChangePlan(7),
    commands.ChangePlan("queues = 7"),
    commands.Revise("sales", 0, 0, 0, opens=(1,)),
    commands.Revise("sales", 0, 99, 0),
    commands.Revise("sales", 0, 0, 0, age_rate=1.5),  # type: ignore[arg-type]
    commands.Enqueue("x", "sales", at=-1),
    commands.Enqueue("x", "sales", due=2**43),
    commands.Enqueue("x", "sales", resume_key=7),  # type: ignore[arg-type]
    commands.Enqueue("x", "sales", binds=(commands.Bind("ana"), commands.Bind("ana"))),
    commands.Enqueue("x", "sales", binds=(commands.Bind("ana", "loves"),)),  # type: ignore[arg-type]
    commands.Enqueue("x", "sales", binds=(commands.Bind("ana", for_ms=0),)),
    commands.Leave("c1", -1),
    commands.Cancel("c1", ""),
    commands.Decline(1, "bored"),  # type: ignore[arg-type]
    commands.Connect(""),
    commands.FailSetup("c1", -5),
    commands.Hold(3),  # type: ignore[arg-type]
    commands.Resume(None),  # type: ignore[arg-type]
    commands.Park("c1", 1_000_000),
    commands.Park("c1", True),
    commands.Activate("c1", anew=1),  # type: ignore[arg-type]
    commands.Update("c1", needs="es >="),
    commands.Update("c1", priority=2**40),
    commands.Update("c1", head_start_ms=-1),
    commands.Update("c1", queue=()),
    commands.Assign("c1", "ana", force=1),  # type: ignore[arg-type]
    commands.Assign("c1", ""),
    commands.Occupy("x" * 200, "ana", "sales"),
    commands.Occupy("x", "ana", ("sales", "sales")),  # type: ignore[arg-type]
    commands.Consult("c1", "x", "sales", needs="("),
    commands.Consult("c1", "x", "sales", hold=None),  # type: ignore[arg-type]
    commands.Consult("c1", "x", "sales", binds=tuple(commands.Bind(f"a{n}") for n in range(64))),
    commands.TakeOver(1),  # type: ignore[arg-type]
    commands.Assist("c1", "", "sales"),
    commands.Assist("c1", "x", "sales", needs="not"),
    commands.CallBack("c1", "somebody"),  # type: ignore[arg-type]
    commands.CallBack("c1", tries=0),
    commands.CallBack("c1", gap_ms=0),
    commands.CallBack("c1", ahead=-1),
    commands.CloseQueue("sales", "wait"),  # type: ignore[arg-type]
    commands.CloseQueue("sales", "move"),
    commands.OpenQueue(""),
    commands.Requeue("c1", -1),
    commands.Transfer("c1", "sales", binds="ana"),  # type: ignore[arg-type]
    commands.Reconcile({"ana": "asleep"}, ()),  # type: ignore[dict-item]
    commands.Reconcile({}, ("c1", 7)),  # type: ignore[arg-type]
    "Leave",
)


@pytest.mark.parametrize("command", MISUSES, ids=lambda command: str(command)[:60])
def test_misuse_moves_nothing(core: str, command: commands.Command) -> None:
    """Law 3: what raises has moved nothing, not even time, though a deadline was due.

    Seen to fail: the deadlines fired before the form of the command was looked at.
    """
    router = opened()
    play(router, [(0, 1, 0, 1), (0, 2, 1, 1)])
    assert router.next_deadline() is not None
    digest = router.digest()
    with pytest.raises((MisuseError, InputError)):
        router.apply(1_000_000, command)
    assert router.digest() == digest
    assert router.advance(1_000_000)[0].at < 1_000_000


@law
@given(moves=moves)
def test_conservation(core: str, moves: list[Move]) -> None:
    """Law 4: every invariant holds after every command; events count without a gap and never run backwards.

    Seen to fail: a released interaction kept its name.
    """
    router, seq, at = opened(), 3, 0
    for move in moves:
        _, (told,) = play(router, [move])
        router.check()
        for event in told:
            assert event.seq == (seq := seq + 1)
            assert event.at >= at
            at = event.at
        audit = router.audit()
        assert audit.live_offers == len(live_offers(router)) + sum(len(router.agent(a).offers) for a in known(router))


def known(router: Router) -> list[str]:
    """Agents that the play's list of offers does not look at."""
    return [agent for agent in AGENTS[3:] if agent in router._naming.agents]


@law
@given(moves=moves)
def test_no_one_waits_for_nothing(core: str, moves: list[Move]) -> None:
    """Law 5: after every command each waiting pair has a clause in its way, read through the door.

    Seen to fail: a changed plan was written and nobody was asked again.
    """
    router = opened()
    for move in moves:
        play(router, [move])
        agents = [agent for agent in AGENTS if agent in router._naming.agents]
        for name in router._ledger.numbers:
            for agent in agents:
                assert all(why.clause is not None for why in router.why(name, agent)), (name, agent)


KEPT_FROM = events.OfferDeclined | events.OfferExpired | events.Requeued | events.Transferred | events.SetupFailed
"""After these the interaction is kept from that agent, for a while."""


@law
@given(moves=moves)
def test_order(core: str, moves: list[Move]) -> None:
    """Law 6: nobody is offered while another of the class is ahead, waits undisturbed and is not excluded.

    Seen to fail: the ordering instant had the wrong sign, so that who came last was first.
    """
    router = opened()
    since: dict[str, int] = {}
    excluded: dict[tuple[str, str | None], None] = {}
    for move in moves:
        free = [view for view in map(router.interaction, router._ledger.numbers) if view.state == "waiting"]
        ((_, command),), (told,) = play(router, [move])
        if isinstance(command, commands.ChangePlan):
            return
        plain = isinstance(command, commands.Enqueue) and not (command.binds or command.resume_key or command.due)
        touched = [getattr(event, "interaction", None) for event in told]
        for event in told:
            if isinstance(event, events.Queued) and (not plain or event.interaction != command.interaction):
                if event.interaction not in since or isinstance(command, commands.Enqueue):
                    since.pop(event.interaction, None)
            elif isinstance(event, events.Queued) and event.interaction in router._ledger.numbers:
                priority = router.interaction(event.interaction).priority
                since[event.interaction] = event.at - (9_000 if (event.queue, priority) == ("sales", 2) else 0)
            elif isinstance(event, KEPT_FROM):
                excluded[event.interaction, event.agent] = None
                if isinstance(event, events.Transferred):
                    since.pop(event.interaction, None)
            elif isinstance(event, events.Updated):
                since.pop(event.interaction, None)
            elif isinstance(event, events.Offered) and event.interaction in router._ledger.numbers:
                for other in free:
                    if other.id not in touched and (other.id, event.agent) not in excluded:
                        assert not overtook(router, since, event.interaction, other.id)


def overtook(router: Router, since: dict[str, int], taken: str, other: str) -> bool:
    """Whether ``other`` stands in the one class of ``taken`` and should have been asked for before it."""
    numbers, (one, two) = router._ledger.numbers, (router.interaction(taken), router.interaction(other))
    if taken not in since or other not in since or (len(one.queues), len(two.queues)) != (1, 1):
        return False
    if router._core.interaction(numbers[taken])[6] != router._core.interaction(numbers[other])[6]:
        return False
    return (two.tier, since[other]) < (one.tier, since[taken])


# What strategies answer ----------------------------------------------------------------------------------------------

answered = settings(law, max_examples=25)


def without_code(plan: Plan) -> Plan:
    """A plan as a record gives it back, where there is no code of strategies."""
    command = records.decode(records.encode(records.Record(0, commands.ChangePlan(plan)))).command
    assert isinstance(command, commands.ChangePlan)
    return command.plan if isinstance(command.plan, Plan) else Plan.from_toml_text(command.plan)


@pytest.mark.parametrize("whims", [False, True])
@answered
@given(moves=moves, cut=st.integers(0, 80))
def test_replay_reads_answers_and_asks_nobody(core: str, whims: bool, moves: list[Move], cut: int) -> None:
    """Laws 1 and 7: records replay without any strategy, on either core, and from a snapshot in the middle.

    Seen to fail: the snapshot forgot the places of priorities, or the fingerprint of classes; a fork forgot that
    fingerprint; a failure of the record was not told, or under the name of another error; whether a strategy is the
    same was compared again; places were asked for again; the answers of an earlier command were not cleared.
    """
    plans = whimsical() if whims else (PLAN, OTHER)
    first = opened(plans[0])
    written, told = recorded(first, moves, plans)
    wanted = list(map(events.encode, told))
    for name in CORES:
        with using(name):
            second = opened(all_absent(plans[0]))
            assert reread(second, written) == wanted
            assert second.digest() == first.digest()
            second.check()
            third = opened(all_absent(plans[0]))
            reread(third, written[:cut])
            third = Router.restore(third.snapshot(), third.plan)
            assert reread(third, written[cut:]) == wanted[cut:]
            assert third.digest() == first.digest()


@answered
@given(moves=moves)
def test_an_answer_is_history(core: str, moves: list[Move]) -> None:
    """Law 7: a strategy that answers otherwise today changes no replay, and the checking mode catches it.

    The checking mode finds nothing where strategies keep their word; what it finds moves nothing, and the replay goes
    on without it. Seen to fail: what was asked again was written, instead of what the record says.
    """
    plans = whimsical()
    first = opened(plans[0])
    written, told = recorded(first, moves, plans)
    second = opened(plans[0])
    for record, happened in zip(written, told, strict=True):
        digest, again = second.digest(), None
        with suppress(InvariantError):
            again = second.apply(record.now, record.command, record.answers, check=True)
        if again is None:
            assert record.answers
            assert second.digest() == digest
            again = second.apply(record.now, record.command, record.answers)
        assert again == happened
    assert second.digest() == first.digest()
    honest, checked = opened(), opened()
    for record, happened in zip(*recorded(honest, moves), strict=True):
        assert checked.apply(record.now, record.command, record.answers, check=True) == happened


def damaged(answers: tuple[Answer, ...]) -> Iterator[tuple[Answer, ...]]:
    """Answers that are not those of a record: too few, too many, or to another question."""
    other = Answer("sales", Kind.PLACE, (77,), 1, place=(0, 0))
    yield (*answers, other)
    if not answers:
        return
    yield ()
    yield answers[:-1]
    yield (other, *answers[1:])
    last = answers[-1]
    for field, value in (
        ("queue", "nowhere"),
        ("kind", 9),
        ("asked", (*last.asked, 1)),
        ("fingerprint", last.fingerprint ^ 1),
        ("failed", None if last.failed else ("x", "Y")),
        ("place", (2**40, 0)),
        ("columns", (b"short",) * 8),
    ):
        yield (*answers[:-1], msgspec.structs.replace(last, **{field: value}))


@answered
@given(moves=moves)
def test_answers_that_do_not_fit_move_nothing(core: str, moves: list[Move]) -> None:
    """Laws 3 and 7: a missing answer, one too many, or one to another question raises; not even time has moved.

    Seen to fail: the command was tried on the router itself, always, or where its priority was new, or its agent of a
    new kind, and the record had no answers; answers that nobody asked for were left over in silence; the fingerprint
    was not compared; columns of a record were not checked; and, not planted: a plan without its answer was taken for
    one with the same strategy.
    """
    plans = whimsical()
    written, _ = recorded(opened(plans[0]), moves, plans)
    router = opened(plans[0])
    for record in written:
        digest, due = router.digest(), router.next_deadline()
        for answers in damaged(record.answers):
            with pytest.raises(MisuseError, match=r"answer.* of queue|of queue .* answer|asks nothing"):
                router.apply(record.now, record.command, answers)
            assert (router.digest(), router.next_deadline()) == (digest, due)
        router.apply(record.now, record.command, record.answers)
    router.check()


INSIDE = (
    *(
        PACKAGE / name
        for name in (
            "router.py",
            "door.py",
            "forms.py",
            "ledger.py",
            "naming.py",
            "replan.py",
            "snapshot.py",
            "answers.py",
        )
    ),
    *(PACKAGE / name for name in ("views.py", "commands.py", "events.py")),
    *sorted(path for path in (PACKAGE / "core").rglob("*.py") if path != PACKAGE / "core" / "__init__.py"),
)
"""Everything inside the door; the chooser of the core reads the environment once, when it is imported."""

OUTSIDE = ("time", "random", "os", "socket", "threading", "asyncio", "datetime", "secrets", "uuid", "numpy", "pickle")
NEVER_CALLED = ("hash", "id", "open", "input", "eval", "exec", "float", "print")


def breaches(source: str) -> list[str]:
    """What a file inside the door does and may not: imports, calls, floats, divisions, loops over sets."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in OUTSIDE]  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NEVER_CALLED:
            found.append(f"{node.lineno}: calls {node.func.id}")
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{node.lineno}: the float {node.value}")
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{node.lineno}: divides")
        if isinstance(node, ast.For | ast.comprehension):
            loop = node.iter
            called = isinstance(loop, ast.Call) and isinstance(loop.func, ast.Name) and loop.func.id
            if isinstance(loop, ast.Set | ast.SetComp) or called in ("set", "frozenset"):
                found.append(f"{loop.lineno}: loops over a set")
    return found


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_from_outside(path: Path) -> None:
    """Law 7: inside the door there is no clock, no dice, no input or output, no float, no order of a hash.

    Seen to fail: ``import time``, ``1.5``, ``a / b``, ``hash(name)`` and ``for q in {…}`` planted in the door.
    """
    assert breaches(path.read_text(encoding="utf-8")) == []


def test_the_test_of_law_seven_sees() -> None:
    """Law 7: each thing that is not allowed is found where it is."""
    source = "import time\nfrom random import choice\nx = 1.5\ny = 1 / 2\nhash('a')\nfor q in {1, 2}: pass\n"
    assert [line.split(":")[0] for line in sorted(breaches(source))] == ["1", "2", "3", "4", "5", "6"]


def test_a_fixed_play_uses_every_event() -> None:
    """Together the plays tell every kind of event but those of strategies, intake and journeys."""
    router = opened()
    _, told = play(router, fixed_moves(8_000))
    kinds = {type(event).__name__ for batch in told for event in batch}
    elsewhere = {"RevisionDue", "Revised", "StrategyFailed", "Classified", "JourneyClosed"}
    assert kinds >= {kind.__name__ for kind in events.Event.__args__} - elsewhere
