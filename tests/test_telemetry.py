"""Traces and metrics of OpenTelemetry, as its own development kit keeps them in memory."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from play import AGENTS, IDS, fixed_moves, opened, play

from omniroute import Agent, Plan, Queue, Router, Step, events
from omniroute.errors import JournalError, MisuseError
from omniroute.insight.figures import CATALOGUE, gauges
from omniroute.insight.meters import Meters
from omniroute.insight.spans import Spans
from omniroute.insight.tally import Tally

pytest.importorskip("opentelemetry.sdk", reason="needs the development kit of OpenTelemetry")

MS = 1_000_000
STATES = {
    "offered": {"waiting"},
    "accepting": {"waiting", "accepting"},
    "on_hold": {"connected"},
    "interrupted": {"connected"},
}
"""The spans that are open in a state, where they are not that of its name alone."""


def traced(**options: Any) -> tuple[Spans, Any]:
    """Spans, and where they are kept once they have ended."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Spans(provider, **options), kept


def told(kept: Any) -> list[tuple[str, int, int, dict[str, Any]]]:
    """Every span that has ended: name, instants in ms, attributes; in order of their beginning."""
    found = [
        (span.name, span.start_time // MS, span.end_time // MS, dict(span.attributes))
        for span in kept.get_finished_spans()
    ]
    return sorted(found, key=lambda row: (row[1], -row[2], row[0]))


def one_life(spans: Spans) -> None:
    """An interaction from 1,000 on: a step, two offers, a talk with a hold, wrap-up."""
    queue = Queue("sales", steps=[Step("2s", say="soon")], offer_timeout_ms="5s", wrap_up_ms="3s")
    router = Router(Plan(queues=[queue], agents=[Agent("ana"), Agent("ben")]))
    spans.feed(router.sign_in(0, "ana"))
    first = router.enqueue(1_000, "call-1", "sales", ref="line 7")
    spans.feed(first)
    spans.feed(router.sign_in(4_000, "ben"))
    spans.feed(second := router.decline(4_500, first[-1].offer))
    spans.feed(router.accept(6_000, second[-1].offer))
    spans.feed(router.hold(7_000, "call-1"))
    spans.feed(router.resume(8_000, "call-1"))
    spans.feed(router.finish(9_000, "call-1"))
    spans.feed(router.advance(20_000))


def test_a_journey_is_a_trace() -> None:
    """One span for the whole, and below it one for each state, at the instants of the events; nobody is named.

    Seen to fail: spans that begin when they are made, children of no parent, offers that stay open.
    """
    spans, kept = traced()
    one_life(spans)
    rows = told(kept)
    assert [row[:3] for row in rows] == [
        ("interaction", 1_000, 12_000),
        ("waiting", 1_000, 6_000),
        ("offered", 1_000, 4_500),
        ("offered", 4_500, 6_000),
        ("connected", 6_000, 9_000),
        ("wrap_up", 9_000, 12_000),
    ]
    assert [row[3].get("omniroute.outcome") for row in rows] == ["served", None, "declined", "accepted", None, None]
    assert rows[4][3]["omniroute.wait_ms"] == 5_000
    ended = kept.get_finished_spans()
    (whole,) = (span for span in ended if span.name == "interaction")
    assert whole.parent is None
    assert {span.parent.span_id for span in ended if span is not whole} == {whole.context.span_id}
    noted = {event.name: (span.name, event.timestamp // MS) for span in ended for event in span.events}
    assert noted == {"StepTaken": ("waiting", 3_000), "Held": ("connected", 7_000), "Resumed": ("connected", 8_000)}
    said = repr([(span.attributes.items(), [event.attributes for event in span.events]) for span in ended])
    assert not any(name in said for name in ("ana", "ben", "call-1", "line 7", "soon"))
    assert spans.open == 0


def test_ids_are_told_to_who_asks_for_them() -> None:
    """With ids a trace names interaction and agent, and still nothing that the host wrote."""
    spans, kept = traced(ids=True)
    one_life(spans)
    said = [row[3] for row in told(kept)]
    assert {attributes["omniroute.interaction"] for attributes in said} == {"call-1"}
    assert {attributes.get("omniroute.agent") for attributes in said} >= {"ana", "ben"}
    assert "line 7" not in repr(said)


def test_whatever_is_played_spans_end_and_fit_into_the_whole() -> None:
    """Every trace that is open belongs to who lives; every child lies within its parent; names are in no attribute.

    Seen to fail: a requeued interaction that stays connected, an abandoned one that stays open.
    """
    router = opened()
    spans, kept = traced()
    begun = set[str]()
    for move in fixed_moves(3_000):
        _, (heard,) = play(router, [move])
        spans.feed(heard)
        for event in heard:
            if isinstance(event, events.Queued | events.Parked | events.Classified):
                begun.add(event.interaction)
            elif isinstance(event, events.Released | events.Abandoned | events.Cancelled):
                begun.discard(event.interaction)
        live = router.live()
        assert set(spans._open) == begun <= set(live)
        for name, found in spans._open.items():
            assert set(found.states) == STATES.get(live[name][0], {live[name][0]})
            assert tuple(sorted(found.offers)) == router.interaction(name).offers
    spans.close()
    ended = kept.get_finished_spans()
    wholes = {span.context.span_id: span for span in ended if span.name == "interaction"}
    names: Counter[str] = Counter()
    for span in ended:
        names[span.name] += 1
        assert not {*AGENTS, *IDS} & {value for value in span.attributes.values() if isinstance(value, str)}
        if span.parent is not None:
            whole = wholes[span.parent.span_id]
            assert whole.start_time <= span.start_time <= span.end_time <= whole.end_time
    assert min(names[n] for n in ("waiting", "parked", "offered", "accepting", "connected", "wrap_up")) > 5


def test_spans_that_do_not_end_are_bounded() -> None:
    """No more traces are open than the limit; the oldest is ended as unfinished, and the rest of it passed over."""
    router = Router(Plan(queues=[Queue("sales")], agents=[]))
    spans, kept = traced(limit=3)
    for number in range(5):
        spans.feed(router.enqueue(1_000 + number, f"c{number}", "sales"))
    assert spans.open == 3
    assert [row[1:3] for row in told(kept) if row[0] == "interaction"] == [(1_000, 1_003), (1_001, 1_004)]
    assert all(row[3].get("omniroute.unfinished") for row in told(kept) if row[0] == "interaction")
    spans.feed(router.leave(2_000, "c0"))
    spans.feed(router.leave(2_000, "c4"))
    assert spans.open == 2
    lost = router.leave(2_500, "c3")
    assert lost
    spans.follow(router)
    assert spans.open == 1
    with pytest.raises(MisuseError, match="limit"):
        traced(limit=0)


# -- metrics


def metered(board: Any, tally: Tally) -> tuple[Any, Any]:
    """A reader of metrics in memory, and what it reads: by name, then by attributes."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    Meters(board, tally, MeterProvider([reader]))

    def read() -> dict[str, dict[tuple[tuple[str, str], ...], Any]]:
        found: dict[str, dict[tuple[tuple[str, str], ...], Any]] = {}
        for resource in reader.get_metrics_data().resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in metric.data.data_points:
                    found.setdefault(metric.name, {})[tuple(sorted(point.attributes.items()))] = point
        return found

    return reader, read


def test_meters_say_what_the_tally_says() -> None:
    """Every counter, gauge and histogram of a play is that of tally and board, under the names of the catalogue.

    Seen to fail: gauges of the reading before, durations in milliseconds.
    """
    router, tally = opened(), Tally()
    tally.follow(router)
    asked: list[int] = []

    def board() -> Any:
        asked.append(1)
        return router.board()

    _, read = metered(board, tally)
    for part in range(2):
        for move in fixed_moves(1_200)[part * 600 : (part + 1) * 600]:
            tally.feed(play(router, [move])[1][0])
        found = read()
        assert len(asked) == part + 1
        wanted = {(name, *labels): count for (name, *labels), count in tally.counters().items()}
        wanted |= {(n, *labels): value for n, labels, value in gauges(router.board(), tally.levels(router.now))}
        for (name, *labels), value in wanted.items():
            keys = (f"omniroute.{label}" for label in CATALOGUE[name].labels)
            assert found[f"omniroute.{name}"][tuple(sorted(zip(keys, labels, strict=True)))].value == value, name
        for (name, *labels), histogram in tally.histograms().items():
            keys = (f"omniroute.{label}" for label in CATALOGUE[name].labels)
            point = found[f"omniroute.{name}"][tuple(sorted(zip(keys, labels, strict=True)))]
            assert list(point.bucket_counts) == histogram.counts
            assert point.sum == pytest.approx(histogram.sum_ms / 1_000)
    assert {name.removeprefix("omniroute.") for name in found} <= CATALOGUE.keys()


def test_durations_are_told_without_the_lock_of_the_tally() -> None:
    """Who hears of a duration may ask the tally at once: a meter has a lock of its own, which a reader may hold.

    Seen to fail: told while the events are counted, the tally waits for itself.
    """
    tally, heard = Tally(), list[int]()

    def ask(_name: str, _labels: tuple[str, ...], duration_ms: int) -> None:
        heard.append(tally.counters()["interactions.left", "sales", "abandoned"] + duration_ms)

    tally.observers.append(ask)
    feeding = threading.Thread(
        target=tally.feed, args=([events.Abandoned(1, 9_000, "c", "sales", 4_000)],), daemon=True
    )
    feeding.start()
    feeding.join(10)
    assert heard == [4_001]


def test_a_router_that_cannot_be_read_is_down() -> None:
    """While a router is made again only up is a gauge, and it is 0."""

    def broken() -> Any:
        raise JournalError("it is made again")

    tally = Tally()
    tally.feed([events.Queued(1, 0, "c", "sales", 0)])
    found = metered(broken, tally)[1]()
    assert found["omniroute.up"][()].value == 0
    assert "omniroute.agents" not in found
    assert found["omniroute.events"][(("omniroute.event", "Queued"),)].value == 1
