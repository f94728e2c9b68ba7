"""Make the golden files of the formats of this release: a snapshot and a journal, and beside each what is true of it.

Run ``python tests/make_golden.py`` once after ``snapshot.FORMAT`` or ``journal.entry.FORMAT`` got another number,
before anything of that format is released. What is there is never written again.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import attrs  # noqa: E402
from play import AGENTS, OTHER, PLAN, command, fixed_moves, instant, opened, whimsical  # noqa: E402

from omniroute import Condition, Intake, JourneyRules, Plan, Router, Rule, commands, snapshot  # noqa: E402
from omniroute.journal import Journaled, SqliteStore, entry  # noqa: E402
from omniroute.strategies.schedule import Schedule  # noqa: E402

GOLDEN = HERE / "golden"
MORE: dict[str, Any] = {
    "intake": Intake([Rule("gold", 'tier == "gold"', queue="sales")], default=Rule("else", queue="care")),
    "journey": JourneyRules(expires_ms="2h", prefer="last_agent"),
    "conditions": [Condition("long", "wait", queue="sales", at_least="30s")],
    "value_bands": (1_000, 50_000),
}
LEARNS = Schedule(longest="2s", learn="1m", edges=["2s"])


def rich(plan: Plan) -> Plan:
    """A plan with whatever puts something of its own into a snapshot."""
    first, *others = plan.queues
    learns = attrs.evolve(first, strategy=first.strategy | LEARNS)  # type: ignore[operator]
    return attrs.evolve(plan, queues=[learns, *others], **MORE)


def world(moves: int = 380) -> Router:
    """A router in the middle of everything: in hand, on hold, on offer, parked, tied, kept, called back, remembered."""
    first, other = rich(PLAN), rich(OTHER)
    router = opened(first)
    texts = first.to_toml(), other.to_toml()
    for number, (kind, a, b, gap) in enumerate(fixed_moves(moves)):
        now = instant(router, gap)
        if number % 9 == 4:
            context: dict[str, Any] = {"tier": ("gold", "plain")[a % 2], "phone": f"555 {b % 1_000}"}
            router.arrive(now, f"x{number}", customer=f"customer {a % 7}", context=context, value=a, ref=f"ref {a}")
        else:
            router.apply(now, command(router, kind, a, b, texts, now))
    return router


def facts(router: Router) -> dict[str, Any]:
    """What a host sees of a router, in words that no format changes."""
    views = {name: router.interaction(name) for name in sorted(router._ledger.numbers)}
    return {
        "now": router.now,
        "agents": {name: router.agent(name).presence for name in AGENTS if name in router.staff()},
        "interactions": {
            name: [view.state, list(view.queues), view.agent, view.ref, view.due] for name, view in views.items()
        },
        "waiting": {queue.name: router.waiting(queue.name) for queue in router.plan.queues},
        "journeys": {
            name: dict(sorted(view.context.items()))
            for name in (f"customer {n}" for n in range(7))
            if (view := router.journey(name)) is not None
        },
        "finished": router.audit().finished,
    }


def make_snapshot(path: Path) -> dict[str, Any]:
    """Write a snapshot of the world."""
    router = world()
    path.write_bytes(router.snapshot())
    return {"semantics": snapshot.SEMANTICS, "digest": router.digest(), **facts(router)}


def make_journal(path: Path) -> dict[str, Any]:
    """Write a journal of thirty moves with strategies whose code nobody else has, ticks, keys and two openings."""
    plan, texts = whimsical()[0], (PLAN.to_toml(), OTHER.to_toml())
    journaled, told = Journaled(SqliteStore(path), plan), []
    for number, (kind, a, b, gap) in enumerate(fixed_moves(30)):
        if number == 14:
            told += journaled.apply(journaled.router.now, commands.SignInMany(tuple(map(commands.SignIn, AGENTS[:3]))))
            journaled.close()
            journaled = Journaled(SqliteStore(path), plan)
        due = journaled.router.next_deadline()
        if number in (11, 21) and due is not None:
            told += journaled.advance(due)
        now = instant(journaled.router, gap)
        key = f"key {number}" if number % 3 == 0 else None
        told += journaled.apply(now, command(journaled.router, kind, a, b, texts, now), key)
    found = {"last": journaled.sequence, "told": journaled.told, "digest": entry.digest_of(told)}
    journaled.close()
    shrunk(path)
    return found


def shrunk(path: Path) -> None:
    """Write a file anew with small pages."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=delete", "PRAGMA page_size=1024", "VACUUM", "PRAGMA journal_mode=wal"):
        db.execute(statement)
    db.close()


def main() -> None:
    """Make what is missing."""
    for name, make in (
        (f"snapshot_format_{snapshot.FORMAT}.bin", make_snapshot),
        (f"journal_format_{entry.FORMAT}.journal", make_journal),
    ):
        path = GOLDEN / name
        if path.exists():
            print(f"{path} is there")
            continue
        path.with_suffix(".json").write_text(json.dumps(make(path), indent=1) + "\n")
        print(f"{path} is made, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
