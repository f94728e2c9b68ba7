"""What looking on costs: for each event of a day, and for a board of many agents and interactions.

``python -m benchmarks.observers``. Lives go once through the door and their events are kept; then each observer is
fed with them, several times, and the least is printed: time of this process alone, so that others on the machine
disturb less. Needs prometheus-client and the development kit of OpenTelemetry.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest

from omniroute import Agent, Plan, Queue, Router
from omniroute.events import Event, Offered
from omniroute.insight.logs import EventLog
from omniroute.insight.meters import Meters
from omniroute.insight.prometheus import Collector
from omniroute.insight.spans import Spans
from omniroute.insight.tally import Tally
from omniroute.insight.wallboard import encode, wallboard

Feed = Callable[[Iterable[Event]], object]
REPEATS = 5
LIVES = 5_000
SIZES = ((100, 150), (1_000, 1_500), (10_000, 15_000), (10_000, 105_000))


def day() -> tuple[list[Sequence[Event]], Router]:
    """The events of many lives, command by command, and the router at their end; a tally of them is compared.

    Of a hundred interactions ten wait until they abandon, twenty are declined by the first who is asked.
    """
    router = crowd(100, 0)
    told: list[Sequence[Event]] = []
    served, connected = 0, list[str]()
    for number in range(LIVES):
        now, name = 1_000 * number + 10, f"life-{number}"
        told.append(router.enqueue(now, name, f"q{number % 20}", needs="nobody" if number % 10 == 0 else ""))
        offer = next((event.offer for event in told[-1] if isinstance(event, Offered)), None)
        if number % 10 == 0:
            told.append(router.leave(now + 500, name))
            continue
        if number % 5 == 1 and offer is not None:
            told.append(router.decline(now + 300, offer))
            offer = next((event.offer for event in told[-1] if isinstance(event, Offered)), None)
        if offer is not None:
            told.append(router.accept(now + 600, offer))
            served += 1
            connected.append(name)
        if len(connected) > 40:
            told.append(router.finish(now + 700, connected.pop(0), 0))
    tally = Tally()
    for events in told:
        tally.feed(events)
    counted = tally.counters()
    assert sum(counted.get(("interactions.left", f"q{k}", "served"), 0) for k in range(20)) == served > LIVES // 2
    return told, router


def least_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The least time of several runs, in s of this process."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def metered(router: Router) -> Feed:
    """A tally with meters."""
    tally = Tally()
    Meters(router.board, tally, MeterProvider([InMemoryMetricReader()]))
    return tally.feed


def logger(level: int) -> logging.Logger:
    """A logger of that level whose records go nowhere."""
    found = logging.getLogger(f"omniroute.events.{level}")
    found.setLevel(level)
    found.propagate = False
    found.addHandler(logging.NullHandler())
    return found


def observers(router: Router) -> dict[str, Callable[[], Feed]]:
    """What is fed, by name."""
    quiet, loud = logger(logging.WARNING), logger(logging.DEBUG)
    return {
        "nobody": lambda: lambda _events: None,
        "tally": lambda: Tally().feed,
        "log that wants nothing": lambda: EventLog(quiet).feed,
        "log that makes all records": lambda: EventLog(loud).feed,
        "spans without a provider": lambda: Spans().feed,
        "spans with the SDK, no exporter": lambda: Spans(TracerProvider()).feed,
        "tally and meters with the SDK": lambda: metered(router),
    }


def crowd(agents: int, live: int) -> Router:
    """A router with so many agents, each with two of ten skills, and so many interactions in twenty queues."""
    queues = [Queue(f"q{k}", needs=f"s{k % 10}", offer_timeout_ms=None) for k in range(20)]
    crew = [Agent(f"a{j}", skills={f"s{j % 10}": 1, f"s{j // 10 % 10}": 1}) for j in range(agents)]
    router = Router(Plan(queues=queues, agents=crew))
    router.sign_in_many(0, [agent.id for agent in crew])
    for i in range(live):
        router.enqueue(1, f"c{i}", f"q{i % 20}")
    return router


def main() -> None:
    """Print a line for each observer and each size."""
    told, router = day()
    events = sum(map(len, told))
    for name, make in observers(router).items():

        def feed(make: Callable[[], Feed] = make) -> None:
            fed = make()
            for some in told:
                fed(some)

        print(f"{name}: {least_s(feed) / events * 1e6:.2f} us an event of {events:,}")
    for agents, live in SIZES:
        crowded, tally, registry = crowd(agents, live), Tally(), CollectorRegistry()
        tally.follow(crowded)
        registry.register(Collector(crowded.board, tally))
        looks = {
            "board": crowded.board,
            "scrape": lambda registry=registry: generate_latest(registry),
            "published": lambda crowded=crowded, tally=tally: encode(wallboard(crowded.board(), tally)),
        }
        spent = ", ".join(f"{name} {least_s(look) * 1e3:.1f} ms" for name, look in looks.items())
        print(f"{agents:,} agents, {live:,} interactions: {spent}")


if __name__ == "__main__":
    main()
