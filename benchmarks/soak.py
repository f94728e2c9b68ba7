"""Whether anything grows in a centre that runs for days on a clock of its own, with a journal on disk.

``python -m benchmarks.soak --days 7``. Customers come at an even rate by chance, agents come and go in shifts, decline,
miss offers and take breaks; customers give up, come back, are transferred and erased; the plan changes every six hours.
Snapshots are kept by themselves, the journal is compacted once a day and read again from the start of a process as
often. Memory, open files and bytes on disk are looked at every hour; at the end everybody goes, and nothing may be
left.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import attrs

from omniroute import Agent, Channel, Intake, JourneyRules, Plan, Queue, Rule, Step, commands
from omniroute import events as e
from omniroute.events import Event
from omniroute.journal import Journaled, SqliteStore
from omniroute.strategies.priority import Priority

HOUR = 3_600_000
DAY = 24 * HOUR
LIFE = 3.35
"""Commands that an interaction brings on average, those of the agents included."""
HANDLE_MS = 40_000
IN_FLIGHT = 64
"""Commands that wait for the disk at a time; all are answered long before anybody could react to them."""
SAMPLES_BEFORE = 0.25
"""The share of a run after which memory is to have come to rest."""
GROWTH_BYTES_MAX = 24 * 2**20
"""What memory may differ by between its two halves: the allocator's, and keys that a short run does not fill."""
WAL_BYTES = 64 * 2**20
"""What snapshots and the log of the database may take besides records."""
RECORD_BYTES = 400
"""What a record may take, SQLite's part included; those behind two snapshots are kept, and a third lot comes."""

Due = tuple[int, int, str, Any]


@attrs.define
class Sample:
    """What a process takes after so much simulated time."""

    at: int
    commands: int
    resident: int
    files: int
    disk: int
    live: int
    remembered: int
    classes: int
    groups: int


def plan_of(agents: int) -> Plan:
    """Six queues on two channels, with steps, limits and priorities; three skills; journeys of a day."""
    names = [f"q{n}" for n in range(6)]
    queues = [
        Queue(
            name,
            needs=("", "es", "es or fr")[n % 3],
            strategy=Priority() if n % 2 else None,
            steps=[Step("40s", needs="")],
            offer_timeout_ms="15s",
            wrap_up_ms=5_000,
            retry_after_ms=10_000,
            limit=400,
        )
        for n, name in enumerate(names)
    ]
    people = [
        Agent(
            f"a{n}",
            skills={skill: 1 + n % 3 for skill in ("es", "fr") if n % (2 + len(skill) % 2) == 0},
            queues={names[n % 6]: 0, names[(n + 1) % 6]: 1, names[(n + 3) % 6]: 2},
            units=2,
        )
        for n in range(agents)
    ]
    return Plan(
        channels=[Channel("voice", load=2), Channel("chat")],
        queues=queues,
        agents=people,
        intake=Intake(
            [Rule("gold", 'tier == "gold"', queue="q1", head_start_ms="30s")], default=Rule("else", queue="q0")
        ),
        journey=JourneyRules(expires_ms="4h", limit=20_000),
        retention_ms=120_000,
    )


class Centre:
    """Customers and agents on a clock of their own, driven by dice, who answer what the router tells them."""

    def __init__(self, path: Path, *, rate: float, days: float, seed: int, snapshot_every: int) -> None:
        self.dice = random.Random(seed)
        self.arrivals = rate / LIFE / 1_000
        self.agents = int(self.arrivals * HANDLE_MS * 3.9) + 10
        first = plan_of(self.agents)
        self.plans = first, attrs.evolve(first, queues=[attrs.evolve(q, wrap_up_ms=4_000) for q in first.queues])
        self.path, self.every = path, snapshot_every
        self.journaled = self._opened()
        self.end = int(days * DAY)
        self.due: list[Due] = []
        self.order = 0
        self.flying: deque[Future[list[Event]]] = deque()
        self.commands = self.came = self.events = self.told = self.plan_number = 0
        self._begin()

    def _opened(self) -> Journaled:
        return Journaled(SqliteStore(self.path, durability="os"), self.plans[0], snapshot_every=self.every)

    # What happens when -----------------------------------------------------------------------------------------------

    def later(self, at: float, what: str, about: Any = None) -> None:
        """Let something happen at an instant."""
        self.order += 1
        heapq.heappush(self.due, (int(at), self.order, what, about))

    def _begin(self) -> None:
        """Three shifts that overlap, customers, and whatever comes by the clock."""
        for n in range(self.agents):
            self.later(n % 3 * 8 * HOUR + self.dice.randrange(60_000), "sign_in", f"a{n}")
        self.later(60_000, "arrive")
        for what, every in (("change_plan", 6 * HOUR), ("restart", DAY), ("compact", DAY), ("erase", HOUR // 6)):
            often = min(every, self.end // 5)
            self.later(often, what, often)

    def do(self, command: commands.Command, now: int) -> None:
        """Give a command, every tenth with a key; look at what was told so long ago."""
        self.commands += 1
        key = f"key-{self.commands}" if self.commands % 10 == 0 else None
        self.flying.append(self.journaled.submit(now, command, key))
        while len(self.flying) > IN_FLIGHT:
            self.hear(self.flying.popleft().result(), now)

    def land(self, now: int) -> None:
        """Hear everything that is on its way."""
        while self.flying:
            self.hear(self.flying.popleft().result(), now)

    def hear(self, told: Sequence[Event], now: int) -> None:
        """Agents and customers react, later than now."""
        for event in told:
            self.events += 1
            assert event.seq == self.told + 1
            self.told = event.seq
            if isinstance(event, e.Offered):
                self._offered(event, now)
            elif isinstance(event, e.Connected):
                talk = max(event.at + self.dice.expovariate(1 / HANDLE_MS), now + 1)
                self.later(talk, "transfer" if self.dice.random() < 0.05 else "finish", event.interaction)
            elif isinstance(event, e.PresenceChanged) and event.presence == "not_ready" and event.cause != "asked":
                self.later(now + 30_000, "ready", event.agent)

    def _offered(self, event: e.Offered, now: int) -> None:
        chance, soon = self.dice.random(), now + self.dice.randrange(1_000, 6_000)
        if chance < 0.93:
            self.later(soon, "accept", event.offer)
        elif chance < 0.97:
            self.later(soon, "decline", event.offer)

    def run(self, *, until: int) -> None:
        """Live until an instant."""
        while self.due and self.due[0][0] <= until:
            now, _, what, about = heapq.heappop(self.due)
            getattr(self, f"_{what}")(max(now, self.journaled.router.now), about)

    # One for each thing that happens ---------------------------------------------------------------------------------

    def _arrive(self, now: int, _: Any) -> None:
        if now < self.end:
            self.later(now + self.dice.expovariate(self.arrivals), "arrive")
        self.came += 1
        name = f"i{self.came}"
        if self.came % 4 == 0:
            customer = f"customer-{self.dice.randrange(200_000)}"
            context: dict[str, Any] = {"tier": self.dice.choice(("gold", "plain")), "phone": f"555 {self.came:08}"}
            self.do(commands.Arrive(name, "chat", context, customer, ref=f"ref-{self.came}"), now)
        else:
            queue, channel = f"q{self.dice.randrange(6)}", self.dice.choice(("voice", "chat"))
            self.do(commands.Enqueue(name, queue, channel, priority=self.dice.randrange(3), ref=self.came), now)
        if self.dice.random() < 0.2:
            self.later(now + self.dice.expovariate(1 / 90_000), "leave", name)

    def _leave(self, now: int, name: str) -> None:
        self.do(commands.Leave(name), now)  # refused where he has been answered

    def _accept(self, now: int, offer: int) -> None:
        self.do(commands.Accept(offer), now)

    def _decline(self, now: int, offer: int) -> None:
        self.do(commands.Decline(offer), now)

    def _finish(self, now: int, name: str) -> None:
        self.do(commands.Finish(name), now)

    def _transfer(self, now: int, name: str) -> None:
        self.do(commands.Transfer(name, f"q{self.dice.randrange(6)}"), now)
        self.later(now + 5 * HANDLE_MS, "finish", name)  # where the queue was full; else it is refused

    def _sign_in(self, now: int, agent: str) -> None:
        if now < self.end:
            self.do(commands.SignIn(agent), now)
            self.later(now + 8.5 * HOUR, "sign_out", agent)
            self.later(now + self.dice.randrange(HOUR, 7 * HOUR), "pause", agent)

    def _sign_out(self, now: int, agent: str) -> None:
        self.do(commands.SignOut(agent), now)
        self.later(now + 15.5 * HOUR, "sign_in", agent)

    def _pause(self, now: int, agent: str) -> None:
        self.do(commands.SetPresence(agent, "not_ready", "lunch"), now)
        self.later(now + HOUR // 2, "ready", agent)

    def _ready(self, now: int, agent: str) -> None:
        if self.journaled.router.agent(agent).presence == "not_ready":
            self.do(commands.SetPresence(agent, "ready"), now)

    def _erase(self, now: int, every: int) -> None:
        self.do(commands.Erase(f"customer-{self.dice.randrange(200_000)}"), now)
        self._again(now, "erase", every)

    def _change_plan(self, now: int, every: int) -> None:
        self.plan_number += 1
        self.do(commands.ChangePlan(self.plans[self.plan_number % 2]), now)
        self._again(now, "change_plan", every)

    def _compact(self, now: int, every: int) -> None:
        self.land(now)
        self.journaled.compact()
        self._again(now, "compact", every)

    def _restart(self, now: int, every: int) -> None:
        """A new process would find what this one knows."""
        self.land(now)
        digest = self.journaled.router.digest()
        self.journaled.close()
        self.journaled = self._opened()
        assert not self.journaled.notes
        assert self.journaled.router.digest() == digest
        self._again(now, "restart", every)

    def _again(self, now: int, what: str, every: int) -> None:
        if now < self.end:
            self.later(now + every, what, every)

    # The end ---------------------------------------------------------------------------------------------------------

    def empty(self) -> None:
        """Nobody comes any more: whoever is there is served or leaves, and the agents go home."""
        self.run(until=self.end)
        self.land(self.end)
        now = self.end
        for _ in range(100):
            self.due = [row for row in self.due if row[2] not in ("arrive", "sign_in", "sign_out", "pause")]
            heapq.heapify(self.due)
            now += 60_000
            self.run(until=now)
            self.land(now)
            self.hear(self.journaled.advance(now), now)
            if not self.journaled.router._ledger.numbers:
                break
        for name in list(self.journaled.router._ledger.numbers):
            self.do(commands.Leave(name), now)
        for n in range(self.agents):
            self.do(commands.SignOut(f"a{n}"), now)
        self.land(now)
        self.hear(self.journaled.advance(now + 5 * HOUR), now)

    def sample(self, at: int) -> Sample:
        """Look at the process, the file and the ledgers."""
        audit = self.journaled.router.audit()
        page = os.sysconf("SC_PAGE_SIZE")
        return Sample(
            at=at,
            commands=self.commands,
            resident=int(Path("/proc/self/statm").read_text().split()[1]) * page,
            files=len(list(Path("/proc/self/fd").iterdir())),
            disk=sum(file.stat().st_size for file in self.path.parent.iterdir()),
            live=sum(audit.interactions.values()),
            remembered=audit.remembered,
            classes=audit.classes,
            groups=audit.groups,
        )


def samples(centre: Centre, days: float) -> Iterator[Sample]:
    """Live through it, looking once an hour, or twenty times where it is shorter than a day."""
    step = min(HOUR, int(days * DAY / 20))
    for at in range(step, centre.end + 1, step):
        centre.run(until=at)
        centre.land(at)
        yield centre.sample(at)


def growing(found: Sequence[Sample], every: int) -> list[str]:
    """What grows over a run with a snapshot every so many records; nothing where all is well."""
    rest = found[int(len(found) * SAMPLES_BEFORE) :]
    half = len(rest) // 2
    earlier, later = rest[:half], rest[half:]
    wrong = []
    grown = max(s.resident for s in later) - max(s.resident for s in earlier)
    if grown > GROWTH_BYTES_MAX:
        wrong.append(f"memory grows: {grown:,} bytes more in the second half")
    if max(s.files for s in later) > max(s.files for s in earlier):
        wrong.append("more files are open than before")
    most = 3 * every * RECORD_BYTES + WAL_BYTES
    if max(s.disk for s in found) > most:
        wrong.append(f"the journal takes {max(s.disk for s in found):,} bytes, allowed are {most:,}")
    wrong += [
        f"there are more {name} than before"
        for name in ("classes", "groups")
        if max(getattr(s, name) for s in later) > max(getattr(s, name) for s in earlier)
    ]
    return wrong


def left(centre: Centre) -> list[str]:
    """What the ledgers still hold when everybody has gone."""
    router = centre.journaled.router
    router.check()
    audit, ledger = router.audit(), router._ledger
    counts = {
        "live interactions": sum(audit.interactions.values()),
        "live offers": audit.live_offers,
        "units in use": audit.units_in_use,
        "signed-in agents": sum(n for presence, n in audit.agents.items() if presence != "signed_out"),
        "remembered interactions": audit.remembered,
        "set-ups": len(ledger.accepting),
        "resume keys": len(ledger.resume_keys),
        "links": len(ledger.links),
        "call-backs": len(ledger.call_backs),
        "journeys": 0 if ledger.journeys is None else len(ledger.journeys.state()["journeys"]),
    }
    return [f"{count} {what} are left" for what, count in counts.items() if count]


def soak(
    path: Path,
    *,
    days: float,
    rate: float,
    seed: int = 1,
    snapshot_every: int = 100_000,
    said: Callable[[Sample], object] = bool,
) -> dict[str, Any]:
    """Live through so many days and say what was found; ``said`` gets each sample. O(days * rate)."""
    began = time.perf_counter()
    centre = Centre(path, rate=rate, days=days, seed=seed, snapshot_every=snapshot_every)
    found = []
    for sample in samples(centre, days):
        found.append(sample)
        said(sample)
    centre.empty()
    wrong = [*growing(found, snapshot_every), *left(centre)]
    digest = centre.journaled.router.digest()
    centre.journaled.close()
    spent = time.perf_counter() - began
    again = centre._opened()
    if again.router.digest() != digest or again.notes:
        wrong.append("what comes back from the journal is another state")
    again.close()
    rest = found[int(len(found) * SAMPLES_BEFORE) :]
    half = len(rest) // 2
    return {
        "simulated_days": days,
        "commands": centre.commands,
        "commands_per_simulated_s": round(centre.commands / (days * 86_400), 1),
        "events": centre.events,
        "spent_s": round(spent, 1),
        "commands_per_s": round(centre.commands / spent),
        "agents": centre.agents,
        "live_max": max(s.live for s in found),
        "resident_mb_first_half": round(max(s.resident for s in rest[:half]) / 2**20, 1),
        "resident_mb_second_half": round(max(s.resident for s in rest[half:]) / 2**20, 1),
        "files_max": max(s.files for s in found),
        "disk_mb_max": round(max(s.disk for s in found) / 2**20, 1),
        "disk_mb_end": round(sum(file.stat().st_size for file in path.parent.iterdir()) / 2**20, 1),
        "findings": wrong,
    }


def main() -> int:
    """Read the arguments, print one line of JSON; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--days", type=float, default=1, help="simulated days (default 1)")
    parser.add_argument("--rate", type=float, default=50, help="commands per simulated second (default 50)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--snapshot-every", type=int, default=100_000, metavar="N", help="records (default 100000)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "soak.journal"
        found = soak(
            place,
            days=asked.days,
            rate=asked.rate,
            seed=asked.seed,
            snapshot_every=asked.snapshot_every,
            said=lambda sample: print(json.dumps(attrs.asdict(sample)), file=sys.stderr, flush=True),
        )
    print(json.dumps(found))
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
