"""Every strategy has a page whose figures are those that its command prints, and a picture of what it does."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cores import kernel_only

from omniroute.strategies import catalogue

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "strategies"
PICTURE_MAX = 60_000
DRIVEN = ("revenue",)
"""Strategies whose days go through the door, which takes a minute."""


def printed(*names: str) -> str:
    """What the command of the pages prints, without drawing."""
    command = [sys.executable, "-m", "benchmarks.strategy_pictures", "--tables", *names]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_every_strategy_is_described() -> None:
    """A strategy has a page, and a paragraph in the reference."""
    reference = (ROOT / "docs" / "reference" / "plan.md").read_text()
    for name in catalogue.names():
        assert (PAGES / f"{name}.md").exists()
        assert f"`{name}`" in reference


@pytest.mark.parametrize("name", catalogue.names())
def test_every_strategy_has_its_page(name: str) -> None:
    """A page says what it is for, its definition, its effect, its limits and its sources, and shows a small picture."""
    page = (PAGES / f"{name}.md").read_text()
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == ["Definition", "What it does to a day", "Limits", "Sources"]
    assert f"python -m benchmarks.strategy_pictures {name}\n" in page
    assert re.search(rf"!\[[^\]]{{20,}}\]\(pictures/{name}\.png\)", page), "a picture with words for who cannot see it"
    picture = (PAGES / "pictures" / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < PICTURE_MAX
    assert struct.unpack(">I", picture[16:20])[0] <= 1_000, "it fits a page"
    assert f"]({name}.md)" in (PAGES / "choose.md").read_text()


def check_figures(*names: str) -> None:
    """Compare what is printed with what the pages say, line by line."""
    text = printed(*names)
    blocks = re.split(r"^(\w+): .*\n", text, flags=re.MULTILINE)[1:]
    assert tuple(blocks[::2]) == names
    for name, block in zip(blocks[::2], blocks[1::2], strict=True):
        lines = [line for line in block.splitlines() if line]
        assert len(lines) > 8
        page = (PAGES / f"{name}.md").read_text()
        assert [line for line in lines if line not in page] == []
        share = re.search(r"([+-][\d.]+ %)\.$", lines[-1])
        if name != "first_come_first_served":
            assert share is not None
            assert share[1] in (PAGES / "choose.md").read_text()


@kernel_only
def test_the_figures_are_those_of_the_command() -> None:
    """Every figure of a table is printed by the command beside it. Seen to fail with one digit changed."""
    check_figures(*(name for name in catalogue.names() if name not in DRIVEN))


@pytest.mark.slow
@kernel_only
@pytest.mark.parametrize("name", DRIVEN)
def test_the_figures_of_strategies_that_are_asked_again(name: str) -> None:
    """The same for the strategies whose days take seconds."""
    check_figures(name)
