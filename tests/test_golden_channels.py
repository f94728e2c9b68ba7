"""Golden tests of capacity: what other products document about channels that stand beside one another, as traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cores import CORES, using
from traces import trace

from omniroute import Agent, Channel, FirstComeFirstServed, Plan, Queue, events
from omniroute.replay.importers import amazon_connect


@pytest.fixture(params=CORES, autouse=True)
def core(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every router of these tests stands on this core."""
    with using(request.param):
        yield request.param


# Amazon Connect -------------------------------------------------------------------------------------------------------


def connect(**cross_channel: bool) -> Plan:
    """One agent with a call, two chats and a task at most, and what may come beside what."""
    concurrency = {"VOICE": 1, "CHAT": 2, "TASK": 1}
    profile = {"queues": [{"queue": "q"}], "concurrency": concurrency, "cross_channel": cross_channel}
    return amazon_connect({"q": {}}, {"p": profile}, {"ana": {"profile": "p"}})


def test_connect_every_channel_in_hand_has_to_allow_what_comes() -> None:
    """A task allows calls and a chat does not: with both in hand no call comes, and after the chat one does.

    Seen to fail with a core that looks at numbers only.
    """
    trace(
        connect(TASK=True),
        """
        0s  sign_in ana
        1s  come t q channel=task     -> t:ana
        1s  accept t:ana
        2s  come c1 q channel=chat    -> c1:ana
        2s  accept c1:ana
        3s  come v q
        4s  come c2 q channel=chat    -> c2:ana
        4s  accept c2:ana
        5s  come c3 q channel=chat
        6s  leave c3
        6s  release c1
        7s  release c2                -> v:ana
        """,
    )


def test_connect_a_channel_has_its_own_maximum_besides() -> None:
    """Where all allow all, a channel is full by its own number, however little else is in hand."""
    trace(
        connect(VOICE=True, CHAT=True, TASK=True),
        """
        0s  sign_in ana
        1s  come v q                  -> v:ana
        1s  accept v:ana
        2s  come c1 q channel=chat    -> c1:ana
        2s  accept c1:ana
        3s  come v2 q
        4s  come t q channel=task     -> t:ana
        5s  release v                 -> v2:ana
        """,
    )


# Genesys Cloud --------------------------------------------------------------------------------------------------------

UTILISATION = [
    Channel("voice", allows=()),
    Channel("chat", allows=(), interrupted_by=["voice"]),
    Channel("email", allows=(), interrupted_by=["voice", "chat"]),
]


def utilisation(**at_most: int) -> Plan:
    """Media that come below their number, beside their own kind or interrupting; an agent of enough units for all."""
    return Plan(channels=UTILISATION, queues=[Queue("q")], agents=[Agent("ana", units=9, at_most=at_most)])


def test_genesys_utilisation() -> None:
    """Something comes if there are fewer of its kind than the number, and whatever is in hand is of it or gives way.

    Seen to fail with what gives way counted as standing in the way, and with no maximum for a channel.
    """
    trace(
        utilisation(voice=1, chat=2, email=2),
        """
        0s   sign_in ana
        1s   come e1 q channel=email   -> e1:ana
        1s   accept e1:ana
        2s   come e2 q channel=email   -> e2:ana
        2s   accept e2:ana
        3s   come e3 q channel=email
        4s   come c1 q channel=chat    -> c1:ana
        4s   accept c1:ana             -> Interrupted!e1 Interrupted!e2
        5s   come v1 q                 -> v1:ana
        5s   accept v1:ana             -> Interrupted!c1
        6s   come v2 q
        7s   come c2 q channel=chat
        8s   leave v2
        9s   release v1                -> Resumed!c1 c2:ana
        9s   accept c2:ana
        10s  release c2
        11s  release c1                -> Resumed!e1 Resumed!e2
        12s  release e1                -> e3:ana
        """,
    )


def test_genesys_interrupted_work_keeps_its_place_and_is_not_handled() -> None:
    """What is interrupted stays one of its kind, goes on after the interruption, and is not being handled meanwhile.

    Seen to fail with the clock going on.
    """
    router = trace(
        utilisation(voice=1, chat=1, email=1),
        """
        0s    sign_in ana
        0s    come e q channel=email   -> e:ana
        0s    accept e:ana
        10s   come v q                 -> v:ana
        10s   accept v:ana             -> Interrupted!e
        11s   come other q channel=email
        40s   release v                -> Resumed!e
        """,
    )
    finished = router.finish(45_000, "e")[0]
    assert isinstance(finished, events.Finished)
    assert finished.handle_ms == 15_000


@pytest.mark.parametrize(("most", "offered"), [(1, ""), (2, "-> v:ana")])
def test_genesys_calls_that_were_not_routed(most: int, offered: str) -> None:
    """An agent's own call keeps routed ones away only where he may have no second call."""
    trace(
        utilisation(voice=most),
        f"""
        0s  sign_in ana
        1s  occupy own ana q
        2s  come v q          {offered}
        """,
    )


# Salesforce -----------------------------------------------------------------------------------------------------------


def cases(channel: Channel, **manners: int) -> Plan:
    """An agent who can bear two cases."""
    return Plan(channels=[channel], queues=[Queue("q")], agents=[Agent("ana", units=2, **manners)])


TWO_CASES = """
    0s   sign_in ana
    1s   come a q channel=case   -> a:ana
    1s   accept a:ana
    1s   come b q channel=case   -> b:ana
    1s   accept b:ana
    2s   come c q channel=case
    2s   come d q channel=case
"""


def test_salesforce_capacity_by_tabs() -> None:
    """Closing tabs at log-out gives capacity back though the cases are still owned, and a full load comes on top."""
    trace(
        cases(Channel("case")),
        TWO_CASES
        + """
        3s   not_ready ana
        3s   release a
        3s   release b
        3s   sign_out ana
        60s  sign_in ana             -> c:ana d:ana
        """,
    )


def test_salesforce_capacity_by_status() -> None:
    """Cases in progress keep capacity while their agent is away; a paused one gives it back until it is taken up.

    Seen to fail with capacity held by what is on hold.
    """
    trace(
        cases(Channel("case", reserves=("offered", "wrap_up"), survives_sign_out=True)),
        TWO_CASES
        + """
        3s   sign_out ana
        60s  sign_in ana
        61s  hold a                  -> c:ana
        61s  accept c:ana
        62s  resume a
        63s  release b
        64s  release c               -> d:ana
        """,
    )


def test_salesforce_guard_after_a_leave() -> None:
    """Whose cases are all paused comes back to room for everything, and gets so much of it a minute and no more.

    Seen to fail without the rest.
    """
    plan = Plan(
        channels=[Channel("case", reserves=("offered",), survives_sign_out=True)],
        queues=[Queue("q", offer_timeout_ms=None)],
        agents=[Agent("ana", units=100, burst=2)],
    )
    waiting = "\n".join(f"0s come w{n} q channel=case" for n in range(5))
    trace(
        plan,
        f"""
        {waiting}
        1s    sign_in ana            -> w0:ana w1:ana Resting!ana
        2s    accept w0:ana
        3s    release w0
        61s                          -> w2:ana w3:ana Resting!ana
        121s                         -> w4:ana
        """,
    )


def test_salesforce_primary_work_beside_interruptible() -> None:
    """Primary work is routed though interruptible work fills the agent; more interruptible work is not.

    Seen to fail with the units of what gives way counted.
    """
    channels = [Channel("call", load=2), Channel("case", interrupted_by=["call"])]
    trace(
        Plan(channels=channels, queues=[Queue("q")], agents=[Agent("ana", units=2)]),
        TWO_CASES
        + """
        3s   come v q channel=call   -> v:ana
        4s   accept v:ana            -> Interrupted!a Interrupted!b
        5s   come w q channel=call
        6s   leave w
        7s   release v               -> Resumed!a Resumed!b
        8s   release b               -> c:ana
        """,
    )


def test_salesforce_remembers_who_declined() -> None:
    """Work does not come back to an agent who declined it while somebody else could take it; then all begin anew."""
    plan = Plan(queues=[Queue("q")], agents=[Agent("ana"), Agent("ben"), Agent("cy")])
    trace(
        plan,
        """
        0s   sign_in ana
        1s   sign_in ben
        2s   come x q          -> x:ana
        3s   decline x:ana     -> x:ben
        9s   sign_in cy
        10s  decline x:ben     -> x:cy
        11s  decline x:cy      -> AllDeclined!x
        16s                    -> x:ana
        """,
    )


def test_salesforce_one_agent_is_no_dead_end() -> None:
    """Where the only agent declines, the work comes back to him after a short while, not when he signs in again.

    Seen to fail with declines that are never forgotten.
    """
    trace(
        Plan(queues=[Queue("q")], agents=[Agent("ana")]),
        """
        0s   sign_in ana
        1s   come x q          -> x:ana
        2s   decline x:ana     -> AllDeclined!x
        6s
        7s                     -> x:ana
        """,
    )


# Intercom -------------------------------------------------------------------------------------------------------------


def test_intercom_balanced_assignment() -> None:
    """Fewest open first, up to the limit: A has 3 open, B has 1 and the limit is 3, so B gets two, and nobody a third.

    When A closes one, the third goes to A; of equals whoever was given something longest ago goes first.
    """
    agents = [Agent(name, units=3, labels={"me": name}) for name in "AB"]
    queues = [Queue("inbox", strategy=FirstComeFirstServed(agent_key="least_loaded"))]
    queues += [Queue(name, needs=f'me == "{name}"') for name in "AB"]
    open_ = "\n".join(f"0s come {name} {name[0]} -> {name}:{name[0]}\n0s accept {name}:{name[0]}" for name in HELD)
    trace(
        Plan(queues=queues, agents=agents),
        f"""
        0s   sign_in A B
        {open_}
        1s   come one inbox      -> one:B
        1s   accept one:B
        2s   come two inbox      -> two:B
        2s   accept two:B
        3s   come three inbox
        4s   release A1          -> three:A
        4s   accept three:A
        5s   release two
        6s   release three
        7s   come four inbox     -> four:B
        """,
    )


HELD = ("A1", "A2", "A3", "B1")
