"""The curves as pictures: time of one decision against agents, against what waits, against classes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import CURVE, Line

PAGES = {
    "agents": (("agents", "agents signed in, all busy, in 10 groups", "10,000 waiting in 100 classes"),),
    "waiting": (("waiting", "interactions waiting in 100 classes", "1,000 agents in 10 groups, all busy"),),
    "classes": (
        ("classes", "waiting classes that the freed agent may serve", "a freed agent selects; 20,000 waiting"),
        ("groups", "groups with idle agents who may serve it", "an arrival selects; 10,000 idle agents"),
    ),
}
"""For each picture its panels: the axis, what it says below, and what stays as it is."""
TITLES = {"agents": "agents", "waiting": "what waits", "classes": "the classes or groups that could answer"}
COLOURS = {
    "omniroute core": "#0b6e4f",
    "omniroute door": "#4aa96c",
    "plain Python router": "#c05a1c",
    "SimPy resource, one class": "#6b5b95",
}
MARKS = dict(zip(COLOURS, "osD^", strict=True))


def draw(lines: Sequence[Line], folder: Path) -> list[Path]:
    """Write a picture for each page that has lines; the files written."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page, panels in PAGES.items():
        if not any(line["scenario"] == CURVE + axis for line in lines for axis, _, _ in panels):
            continue
        figure, axes = plt.subplots(
            1, len(panels), figsize=(1.4 + 6.2 * len(panels), 5.2), sharey=True, squeeze=False, layout="constrained"
        )
        for place, (axis, below, kept) in zip(axes[0], panels, strict=True):
            _panel(place, [line for line in lines if line["scenario"] == CURVE + axis], below, kept)
        drawn = [line["figure"] for line in lines if line["scenario"] in {CURVE + axis for axis, _, _ in panels}]
        axes[0][0].set_ylim(min(drawn) / 1.5, max(drawn) * 6)  # room for the names above the lines
        axes[0][0].set_ylabel("time of one decision (microseconds)")
        figure.suptitle(f"Time of one decision against {TITLES[page]}", fontsize=13)
        path = folder / f"time-against-{page}.png"
        figure.savefig(path, dpi=150)
        plt.close(figure)
        written.append(path)
    return written


def _panel(place: Any, lines: Sequence[Line], below: str, kept: str) -> None:
    from matplotlib.ticker import FuncFormatter

    for engine, colour in COLOURS.items():
        points = sorted((line["at"], line["figure"]) for line in lines if line["engine"] == engine)
        if points:
            place.plot(*zip(*points, strict=True), color=colour, marker=MARKS[engine], linewidth=2, label=engine)
    place.set_xscale("log")
    place.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:,.10g}")
    place.xaxis.set_major_formatter(plain)
    place.yaxis.set_major_formatter(plain)
    place.set_xlabel(below)
    place.set_title(kept, fontsize=10, color="#444444")
    place.grid(which="major", color="#d8d8d8", linewidth=0.8)
    place.spines[["top", "right"]].set_visible(False)
    place.legend(frameon=False, loc="upper left")
