"""What people get wrong on the command line: nothing is lost by it, and the message says what to do."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import QUEUE_LOG, write_queue_log

from omniroute.cli import main as cli
from omniroute.cli.exits import FINDING, INPUT, INTERRUPTED, OK, OUTPUT, PIPE, USAGE
from omniroute.formats.detect import open_log

ROOT = Path(__file__).resolve().parents[1]
PLAN = '[[queues]]\nname = "sales"\n[[queues]]\nname = "support"\n[[agents]]\nid = "ana"\n'
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command in this process: exit code, stdout, stderr."""

    def command(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_a_reader_that_goes_away_costs_no_file(tmp_path: Path) -> None:
    """``omniroute replay LOG --out DIR | head`` writes what it was asked to, whatever becomes of the report.

    Planted: the files written behind the report.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "omniroute",
            "replay",
            str(write_queue_log(tmp_path)),
            "--out",
            str(tmp_path / "out"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == PIPE
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"plan.toml", "report.json", "interactions.csv"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can make a file")
def test_a_folder_that_takes_nothing_is_said_before_the_work(run: Run, tmp_path: Path) -> None:
    """Where --out is there but no file can be made in it, nothing is reported first.

    Planted: the folder only made, not tried.
    """
    code, said, complaint = run("replay", write_queue_log(tmp_path), "--out", "/proc")
    assert (code, said) == (OUTPUT, "")
    assert complaint.startswith("omniroute: /proc: ")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("",), INPUT, "LOG is empty"),
        (("log", "--plan", ""), INPUT, "PLAN is empty"),
        (("log", "--out", ""), OUTPUT, "--out is empty"),
    ],
)
def test_an_empty_name_is_not_no_name(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """A name from a variable that is not set is refused, and not taken for an option that was left out.

    Planted: an empty --plan read as none, so that a plan read from the log was routed instead.
    """
    log = write_queue_log(tmp_path)
    found = run("replay", *(log if word == "log" else word for word in arguments))
    assert found[:2] == (code, "")
    assert says in found[2]


def test_a_log_that_was_cut_off_is_read_up_to_there(run: Run, tmp_path: Path) -> None:
    """A gzip file without its end, or damaged inside, keeps the lines before: the format is told, one line is broken.

    Planted: the decompressed bytes read 256 KiB at a time, so that the last 256 KiB went with the damage.
    """
    lines = "".join(f"{1_000_000_000 + n}|c{n}|sales|NONE|ENTERQUEUE||{n * n}|1\n" for n in range(3_000))
    packed = gzip.compress(lines.encode())
    for name, data in (("cut", packed[: len(packed) // 2]), ("flipped", packed[:-400] + b"\xff" * 400)):
        (tmp_path / name).write_bytes(data)
        log = open_log(tmp_path / name)
        found = len(list(log))
        assert log.format == "queue_log"
        assert found > 1_000
        assert log.summary.broken["compressed data are cut off or damaged"] == 1
        assert run("replay", tmp_path / name)[0] == FINDING


@pytest.mark.parametrize(
    "data",
    [b"\n\n \n", gzip.compress(b""), gzip.compress(QUEUE_LOG.encode())[:12]],
    ids=["blank", "nothing compressed", "cut"],
)
def test_a_log_without_a_line_is_said_to_have_none(run: Run, tmp_path: Path, data: bytes) -> None:
    """Blank lines, a compressed nothing, a beginning of a compressed file: not taken for a format that is not known."""
    (tmp_path / "log").write_bytes(data)
    code, said, complaint = run("replay", tmp_path / "log")
    assert (code, said) == (INPUT, "")
    assert "has no line" in complaint


def test_a_duration_is_explained_once(run: Run) -> None:
    """The option is named by the parser, so the message does not begin with another name for it."""
    code, _, complaint = run("replay", "log", "--away", "1")
    assert code == USAGE
    assert complaint.endswith('argument --away: expected a duration such as "30s", "5m", "1h", "250ms", got \'1\'\n')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PLAN.replace("[[agents]]", "[[agent]]"), "plan.toml:5: agent: unknown key 'agent'; did you mean 'agents'?"),
        (PLAN.replace('"sales"', '"sales"\nstrategy = "fifo"'), "unknown strategy 'fifo'; known are best_match, "),
    ],
    ids=["array of tables", "strategy"],
)
def test_plans_with_typos(run: Run, tmp_path: Path, text: str, says: str) -> None:
    """A misspelt array of tables has its line, and an unknown strategy that is like none the names of all."""
    (tmp_path / "plan.toml").write_text(text)
    code, _, complaint = run("replay", write_queue_log(tmp_path), "--plan", tmp_path / "plan.toml")
    assert code == INPUT
    assert says in complaint


def test_an_interrupt_while_it_starts_is_no_traceback() -> None:
    """Control-C as soon as the command is given, while libraries are still being imported, ends as it does later.

    Planted: everything imported before there is anybody to catch it.
    """
    program = """
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "numpy":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from omniroute.cli.main import main
sys.exit(main(["demo"]))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (INTERRUPTED, "", "omniroute: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_report_that_does_not_fit_the_disk(tmp_path: Path, more: tuple[str, ...]) -> None:
    """``omniroute replay LOG > FILE`` on a full disk is exit code 4 and one line, not a traceback and 1."""
    command = [sys.executable, "-m", "omniroute", "replay", str(write_queue_log(tmp_path)), *more]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (OUTPUT, "omniroute: stdout: No space left on device\n")


def test_a_report_without_a_stdout(tmp_path: Path) -> None:
    """A closed stdout is said as well."""
    command = f'"{sys.executable}" -m omniroute replay "{write_queue_log(tmp_path)}" >&-'
    ran = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (OUTPUT, "omniroute: stdout is closed\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_that_the_encoding_of_stdout_does_not_have(tmp_path: Path, encoding: str) -> None:
    """A report in another encoding, as some systems have it, writes such names as escapes, and ends in no traceback."""
    log = write_queue_log(tmp_path, QUEUE_LOG.replace("sales", "販売"))
    ran = subprocess.run(
        [sys.executable, "-m", "omniroute", "replay", str(log)],
        cwd=ROOT,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (OK, b"")
    assert rb"\u8ca9\u58f2" in ran.stdout
