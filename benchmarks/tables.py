"""Lines of figures as tables for people: what was measured beside peers and targets, and now against before."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scenarios import SCENARIOS, shown

Line = dict[str, Any]
CURVE = "curve-"


def completed(line: Line, about: Line, chosen: dict[str, int]) -> Line:
    """A line as it is written: what one measurement reported, with what follows from it and where it comes from."""
    scenario = SCENARIOS[line["scenario"]]
    seconds = line["seconds"]
    full = line | {"title": scenario.named(chosen), "target": scenario.target(), "met": None}
    if is_ours(line):
        full["met"] = scenario.met(line["figure"])
    full["median_s"] = statistics.median(seconds) if seconds else None
    quarters = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else []
    full["spread"] = (quarters[2] - quarters[0]) / 2 / full["median_s"] if quarters else None
    worked = line["processor_seconds"]
    full["share"] = statistics.median(worked) / full["median_s"] if worked and seconds else None
    full["throughput"] = line["n"] / full["median_s"] if seconds and line["n"] else None
    return full | about | {"sizes": chosen}


def is_ours(line: Line) -> bool:
    return line["engine"].startswith("omniroute")


def laid_out(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table with columns as wide as they need to be; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruled = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in ruled
    )


def table(lines: Sequence[Line], chosen: dict[str, int], *, everything: bool) -> str:
    """One row for each figure of omniroute, and one for each peer with how many times as fast omniroute is.

    With ``everything``, a scenario that nobody measured has a row that says so.
    """
    rows = [("what", "omniroute", "spread", "processor", "peer", "as fast", "target", "")]
    for name, scenario in SCENARIOS.items():
        if name.startswith(CURVE):
            continue
        of = [line for line in lines if line["scenario"] == name]
        title = scenario.named(chosen)
        if not of and everything:
            rows.append((title, "not measured", "", "", "", "", scenario.target(), scenario.needs))
        of.sort(key=lambda line: not is_ours(line))
        rows += [_row(line, title, of[0] if is_ours(of[0]) else None) for line in of]
    return laid_out(rows)


def _row(line: Line, title: str, ours: Line | None) -> tuple[str, ...]:
    figure = shown(line["figure"], line["unit"])
    spread = f"± {line['spread']:.0%}" if line["spread"] is not None else ""
    share = f"{line['share']:.0%}" if line["share"] is not None else ""
    if is_ours(line):
        note = f" ({line['note']})" if line["note"] else ""
        met = {True: "met", False: "MISSED", None: ""}[line["met"]]
        return title + note, figure, spread, share, "", "", line["target"], met
    better = SCENARIOS[line["scenario"]].more_is_better
    over, under = (ours, line) if better else (line, ours)
    ratio = f"{over['figure'] / under['figure']:.3g} x" if over and under else ""
    return "", "", spread, share, f"{line['engine']} {figure}", ratio, "", ""


def curves(lines: Sequence[Line]) -> str:
    """A table for each curve: a row for each place on its axis, a column for each engine."""
    parts = []
    for name, scenario in SCENARIOS.items():
        of = [line for line in lines if line["scenario"] == name]
        if not of or not name.startswith(CURVE):
            continue
        engines = list(dict.fromkeys(line["engine"] for line in of))
        figures = {(line["at"], line["engine"]): shown(line["figure"], line["unit"]) for line in of}
        rows = [(name.removeprefix(CURVE), *engines)]
        places = sorted({line["at"] for line in of})
        rows += [(f"{at:,}", *(figures.get((at, engine), "") for engine in engines)) for at in places]
        parts.append(f"{scenario.title}:\n\n{laid_out(rows)}")
    return "\n\n".join(parts)


def read(path: Path) -> list[Line]:
    """The lines of an earlier run."""
    return [json.loads(text) for text in path.read_text().splitlines() if text.strip()]


def key(line: Line) -> tuple[str, str, int | None]:
    return line["scenario"], line["engine"], line["at"]


def compared(before: Iterable[Line], now: Iterable[Line]) -> tuple[str, list[str]]:
    """A table of now against before, and the names of those whose answers changed.

    The ratio says how many times as fast (or as small) it is now. Answers are compared only where both runs did the
    same work: figures of other sizes stand beside each other, their answers do not.
    """
    earlier = {key(line): line for line in before}
    rows = [("what", "engine", "before", "now", "as fast", "answers")]
    changed = []
    for line in now:
        was = earlier.get(key(line))
        if was is None:
            continue
        better = SCENARIOS[line["scenario"]].more_is_better
        ratio = line["figure"] / was["figure"] if better else was["figure"] / max(line["figure"], 1e-12)
        verdict = _verdict(was, line)
        place = f" at {line['at']:,}" if line["at"] is not None else ""
        if verdict == "CHANGED":
            changed.append(f"{line['scenario']}{place} ({line['engine']})")
        figures = (shown(each["figure"], each["unit"]) for each in (was, line))
        rows.append((line["scenario"] + place, line["engine"], *figures, f"{ratio:.3g} x", verdict))
    return laid_out(rows), changed


def _verdict(was: Line, line: Line) -> str:
    if (was["n"], was["title"]) != (line["n"], line["title"]):
        return "other size"
    if not was["digest"] or not line["digest"]:
        return ""
    return "same" if was["digest"] == line["digest"] else "CHANGED"
