"""The command line: what it prints, how it ends, and that customers never leave it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import LoggedMonth
from cores import DEBUG, kernel_only
from synthetic import QUEUE_LOG, call, write_queue_log

from omniroute import __version__
from omniroute.cli import main as cli
from omniroute.cli.demo import separate
from omniroute.cli.exits import FINDING, INPUT, INTERRUPTED, OK, OUTPUT, PIPE, USAGE, Failure
from omniroute.cli.files import Folder
from omniroute.cli.screen import Progress, Screen
from omniroute.core import IMPLEMENTATION
from omniroute.formats.jsonl import write_jsonl
from omniroute.insight.tables import Table, plain
from omniroute.world.demo import demo_day

ROOT = Path(__file__).resolve().parents[1]
PLAN = '[[queues]]\nname = "sales"\n[[queues]]\nname = "support"\n[[agents]]\nid = "ana"\n'


class Ran:
    """What a run of the command left: exit code, stdout, stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> dict[str, Any]:
        """Return stdout as one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return a function that runs the command in this process."""

    def command(*arguments: object) -> Ran:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return command


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a small queue_log."""
    return write_queue_log(tmp_path)


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.write_text(text)
    return path


def rows_of(text: str) -> dict[str, list[str]]:
    """Return table rows by their first cell: cells are two blanks apart."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        if len(cells) > 1:
            found.setdefault(cells[0], cells[1:])
    return found


# -- replay


def test_replay_prints_what_happened(run: Callable[..., Ran], log: Path) -> None:
    """Counts and waits of a day that can be added up by hand."""
    ran = run("replay", log)
    rows = rows_of(ran.out)
    assert ran.code == OK
    assert ran.err == ""
    assert rows["offered"][0] == "4"
    assert rows["served"][0] == "3"
    assert rows["abandoned"][0] == "1"
    assert rows["waits of the queued"] == ["4", "32.5", "35.0", "60.0", "60.0"]
    assert rows["ASA: waits of the served, zeros included"] == ["3", "23.3"]
    assert rows["of offered"] == ["abandoned / offered", "25.0"]
    assert rows["SL1"][1:] == ["50.0", "50.0", "75.0", "75.0"]
    assert rows["sales"][:4] == ["3", "2", "1", "33.3"]


def test_customers_are_never_printed(run: Callable[..., Ran], log: Path, tmp_path: Path) -> None:
    """Neither the report, nor the JSON, nor any file holds a customer."""
    text = run("replay", log, "--by-agent", "--curve", "--out", tmp_path / "out").out
    text += run("replay", log, "--by-agent", "--json").out
    text += "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "555000" not in text


def test_agents_are_named_only_when_asked(run: Callable[..., Ran], log: Path) -> None:
    """The table of agents, and their part of the JSON, come with --by-agent."""
    assert "ANA" not in run("replay", log).out
    assert rows_of(run("replay", log, "--by-agent").out)["Agent/ANA"][:2] == ["sales 2", "2"]
    assert "by_agent" not in run("replay", log, "--json").document["observed"]
    assert set(run("replay", log, "--json", "--by-agent").document["observed"]["by_agent"]) == {
        "Agent/ANA",
        "Agent/BEN",
    }


def test_json_is_one_document_with_stable_keys(run: Callable[..., Ran], log: Path) -> None:
    """The keys of schema 1; a change here is a change of the schema's number."""
    found = run("replay", log, "--json").document
    assert list(found) == [
        "document", "schema", "omniroute", "core", "read", "observed", "plan", "what_if", "agreement",
    ]  # fmt: skip
    assert (found["document"], found["schema"], found["core"]) == ("replay", 1, IMPLEMENTATION)
    assert list(found["read"]) == [
        "source", "format", "lines", "kept", "set_aside", "broken", "broken_lines", "interactions",
        "presence_changes", "events", "notes",
    ]  # fmt: skip
    assert list(found["observed"]) == ["total", "by_queue", "by_priority", "arrivals_by_hour"]
    assert list(found["observed"]["total"]) == [
        "logged", "by_outcome", "offered", "queued", "served", "abandoned", "abandonment_of_all",
        "abandonment_of_offered", "abandonment_of_queued", "asa_ms", "waits_of_queued", "waits_of_queued_served",
        "waits_of_abandoned", "handle_times", "service_levels",
    ]  # fmt: skip
    assert set(found["observed"]["total"]["service_levels"]) == {
        "served_within_of_offered", "served_within_of_served", "served_within_without_short_abandons",
        "served_or_abandoned_within_of_offered", "removed_within_of_queued",
    }  # fmt: skip
    assert list(found["observed"]["total"]["service_levels"]["removed_within_of_queued"]) == [
        "within_20000_ms", "within_30000_ms", "within_60000_ms", "within_120000_ms",
    ]  # fmt: skip
    assert list(found["what_if"]) == [
        "seed", "assumptions", "handle_times_drawn", "patience", "calibration", "runs", "other_seeds",
        "reasons_for_the_difference",
    ]  # fmt: skip
    assert [part["name"] for part in found["what_if"]["runs"]] == ["observed", "as measured"]
    assert list(found["agreement"]) == ["plan", "no_head_start", "search"]


def test_out_writes_a_plan_that_works(run: Callable[..., Ran], log: Path, tmp_path: Path) -> None:
    """The plan written is accepted as --plan and gives the same figures; the CSV has a row for everyone routed."""
    out = tmp_path / "deep" / "out"
    assert run("replay", log, "--out", out).code == OK
    report = json.loads((out / "report.json").read_text())
    again = run("replay", log, "--plan", out / "plan.toml", "--json").document
    assert again["what_if"]["runs"][-1]["total"] == report["what_if"]["runs"][-1]["total"]
    rows = list(csv.DictReader(io.StringIO((out / "interactions.csv").read_text())))
    assert [row["observed_outcome"] for row in rows] == ["served", "served", "abandoned", "served"]
    assert [row["observed_wait_ms"] for row in rows] == ["10000", "60000", "60000", "0"]
    assert rows[0]["arrived"] == "2001-09-09 01:46:40.000"


def test_out_never_overwrites_in_silence(run: Callable[..., Ran], log: Path, tmp_path: Path) -> None:
    """What is there stays unless --force is given, and a link is replaced, not written through."""
    out = tmp_path / "out"
    out.mkdir()
    precious = write(tmp_path / "precious", "mine")
    (out / "plan.toml").symlink_to(precious)
    refused = run("replay", log, "--out", out)
    assert refused.code == OUTPUT
    assert "--force" in refused.err
    assert not (out / "report.json").exists()
    assert run("replay", log, "--out", out, "--force").code == OK
    assert precious.read_text() == "mine"
    assert (out / "plan.toml").read_text().startswith("# A plan read from")


def test_out_is_all_or_nothing(run: Callable[..., Ran], log: Path, tmp_path: Path) -> None:
    """If any of the files is there, none is written; one that appears meanwhile is not overwritten either."""
    out = tmp_path / "out"
    out.mkdir()
    write(out / "interactions.csv", "mine")
    assert run("replay", log, "--out", out).code == OUTPUT
    assert [path.name for path in out.iterdir()] == ["interactions.csv"]
    folder = Folder(str(out), ["plan.toml"], force=False)
    write(out / "plan.toml", "mine")
    with pytest.raises(Failure, match="exists already"):
        folder.write("plan.toml", "other")
    assert (out / "plan.toml").read_text() == "mine"
    assert len(list(out.iterdir())) == 2


def test_out_must_be_a_folder(run: Callable[..., Ran], log: Path, tmp_path: Path) -> None:
    """A file at its place, or on the way to it, is an error before any work."""
    file = write(tmp_path / "file", "")
    for place in (file, file / "below"):
        assert run("replay", log, "--out", place).code == OUTPUT
    assert file.read_text() == ""


def test_head_start_can_be_given(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A head start from the command line is in the plan that is written."""
    log = tmp_path / "log.jsonl"
    with log.open("wb") as stream:
        write_jsonl([call(100 * number, wait_s=5, priority=number % 2) for number in range(6)], stream)
    assert run("replay", log, "--head-start", "1=45s", "--out", tmp_path / "out").code == OK
    assert "1 = 45000" in (tmp_path / "out" / "plan.toml").read_text()


def test_broken_lines_are_named(run: Callable[..., Ran], tmp_path: Path) -> None:
    """Broken lines are counted, the first five named with number and reason, and nothing fails."""
    log = write_queue_log(tmp_path, QUEUE_LOG + "x|\n" * 7)
    ran = run("replay", log)
    assert ran.code == OK
    assert "7 broken" in ran.out
    assert "line 12: " in ran.out
    assert "line 17: " not in ran.out
    assert "and 2 more" in ran.out


def test_strict_fails_at_the_first_broken_line(run: Callable[..., Ran], tmp_path: Path) -> None:
    """With --strict a broken line is a finding: exit 1, the line named, nothing printed."""
    ran = run("replay", write_queue_log(tmp_path, QUEUE_LOG + "x|\n"), "--strict")
    assert ran.code == FINDING
    assert ran.out == ""
    assert ":12: " in ran.err


def test_names_cannot_drive_the_terminal(run: Callable[..., Ran], tmp_path: Path) -> None:
    """Escape sequences in names of a log reach neither stdout nor stderr."""
    ran = run("replay", write_queue_log(tmp_path, QUEUE_LOG.replace("sales", "sa\x1b[2Jles")), "--by-agent")
    assert "\x1b" not in ran.out + ran.err
    assert "No plan was given and none can be read" in ran.out
    assert ran.code == FINDING


def test_nothing_served_is_a_finding(run: Callable[..., Ran], tmp_path: Path) -> None:
    """What there is gets reported, and the exit code says that nothing could be routed again."""
    one = "1000000000|c1|sales|NONE|ENTERQUEUE||5550001|1\n1000000009|c1|sales|NONE|ABANDON|1|1|9\n"
    ran = run("replay", write_queue_log(tmp_path, one))
    assert ran.code == FINDING
    assert rows_of(ran.out)["waits of the abandoned"][:2] == ["1", "9.0"]
    assert "Nothing is routed again" in ran.out
    assert run("replay", write_queue_log(tmp_path, "1000000000|NONE|NONE|NONE|QUEUESTART|\n")).code == FINDING


def test_csv_needs_a_mapping(run: Callable[..., Ran], tmp_path: Path) -> None:
    """A CSV log is read with the [csv] table of a file or of the plan, and the message without one says so."""
    log = write(tmp_path / "log.csv", "Ticket,Team,Created,Wait,Who\n1,sales,2024-03-05T09:00:00,12,ana\n")
    table = '[csv.columns]\nid = "Ticket"\nqueue = "Team"\narrived = "Created"\nwait = "Wait"\nagent = "Who"\n'
    refused = run("replay", log)
    assert (refused.code, "[csv]" in refused.err) == (INPUT, True)
    mapped = run("replay", log, "--mapping", write(tmp_path / "map.toml", table), "--json")
    assert mapped.document["observed"]["total"]["asa_ms"] == 12_000
    planned = run("replay", log, "--plan", write(tmp_path / "plan.toml", table + PLAN), "--json")
    assert planned.document["what_if"]["runs"][0]["total"]["served"] == 1
    broken = run("replay", log, "--mapping", write(tmp_path / "bad.toml", '[csv.columns]\nid = "Ticket"\n'))
    assert (broken.code, "csv.columns.queue" in broken.err) == (INPUT, True)


# -- wrong input


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "absent", "No such file"),
        (lambda folder: folder, "is a folder"),
        (lambda folder: write(folder / "empty", ""), "is empty"),
        (lambda folder: write(folder / "letter", "Dear Sir,\n"), "cannot tell the format"),
    ],
    ids=["absent", "folder", "empty", "unknown"],
)
def test_logs_that_cannot_be_read(
    run: Callable[..., Ran], tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    """Each names the file and what is the matter, on stderr, with exit code 3."""
    path = make(tmp_path)
    ran = run("replay", path)
    assert (ran.code, ran.out) == (INPUT, "")
    assert str(path) in ran.err
    assert says in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[queues]]\nname = "sales"\n[[agents]]\nid = "ana"\nskils = {a = 1}\n', "plan.toml:5: agents[0].skils"),
        ("queues = [\n", "plan.toml:"),
        ('[[queues]]\nname = "sales"\n[[agents]]\nid = "ana"\n', "'support', which the log has"),
        (PLAN.replace('"support"', '"support"\nwrap_up = "until released"'), "wrap_up"),
    ],
    ids=["unknown key", "no TOML", "queue missing", "wrap-up until released"],
)
@pytest.mark.parametrize("command", ["replay", "compare"])
def test_plans_that_do_not_fit(run: Callable[..., Ran], log: Path, command: str, text: str, says: str) -> None:
    """File, line and field of a broken plan; the queues that it lacks; exit code 3 and one line."""
    plan = write(log.with_name("plan.toml"), text)
    ran = run("replay", log, "--plan", plan) if command == "replay" else run("compare", log, plan)
    assert (ran.code, ran.out) == (INPUT, "")
    assert str(plan) in ran.err
    assert says in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("replay",),
        ("dance",),
        ("replay", "log", "--seed", "-1"),
        ("replay", "log", "--head-start", "90s"),
        ("replay", "log", "--head-start", "2=soon"),
        ("replay", "log", "--away", "soon"),
        ("replay", "log", "--format", "excel"),
        ("replay", "log", "--plan", "plan", "--head-start", "2=90s"),
        ("compare", "log"),
    ],
)
def test_wrong_usage(run: Callable[..., Ran], arguments: tuple[str, ...]) -> None:
    """A usage error is exit code 2 and says something on stderr."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (USAGE, "")
    assert ran.err


def test_plans_that_look_unlike_the_log_are_said(run: Callable[..., Ran], log: Path) -> None:
    """No agents, windows of another year, needs that nobody meets: routed all the same, but said."""
    plan = log.with_name("plan.toml")
    write(plan, '[[queues]]\nname = "sales"\nneeds = "french"\n[[queues]]\nname = "support"\n')
    assert "has no agents" in " ".join(run("replay", log, "--plan", plan).out.split())
    write(
        plan,
        plan.read_text() + '[[agents]]\nid = "ana"\nwindows = [["1999-01-01T00:00:00Z", "1999-01-02T00:00:00Z"]]\n',
    )
    said = " ".join(run("replay", log, "--plan", plan).out.split())
    assert "no agent has a window in the time of this log" in said
    assert "no agent has what these queues need: sales" in said


# -- compare and demo


def test_compare_shows_plans_beside_the_observed(run: Callable[..., Ran], log: Path) -> None:
    """Two plans, their differences to the observed; the plan without enough people serves fewer."""
    one = write(log.with_name("one.toml"), PLAN)
    two = write(log.with_name("two.toml"), PLAN + '[[agents]]\nid = "ben"\n')
    ran = run("compare", log, one, two)
    assert ran.code == OK
    assert rows_of(ran.out)["measure"] == ["observed", "one", "difference", "two", "difference"]
    served = rows_of(ran.out)["served"]
    assert served[0] == "3"
    assert served[3:] == ["4", "+1"]
    found = run("compare", log, one, two, "--json").document
    assert [part["name"] for part in found["runs"]] == ["observed", "one", "two"]
    assert list(found["runs"][0]["by_queue"]) == ["sales", "support"]


def test_plans_with_one_name_are_told_apart(run: Callable[..., Ran], log: Path) -> None:
    """Two files with the same stem are shown by their paths."""
    other = log.with_name("other")
    other.mkdir()
    plans = [write(log.with_name("plan.toml"), PLAN), write(other / "plan.toml", PLAN)]
    found = run("compare", log, *plans, "--json").document
    assert [part["name"] for part in found["runs"]] == ["observed", *map(str, plans)]


def test_demo_tells_its_story(run: Callable[..., Ran]) -> None:
    """Everybody together by skills serves more people, sooner, than a team for each queue; for any seed tried."""
    for seed in (1, 2, 3):
        found = run("demo", "--seed", seed, "--json").document
        apart, together = (part["total"] for part in found["runs"])
        assert apart["offered"] == together["offered"] > 4_000
        assert together["abandoned"] < apart["abandoned"]
        assert together["asa_ms"] < apart["asa_ms"]
    text = run("demo").out
    assert text == run("demo").out
    assert text != run("demo", "--seed", 2).out
    assert rows_of(text)["measure"] == ["a team for each queue", "everybody, skills first", "difference"]


def test_teams_of_the_demo_are_fair() -> None:
    """The plan that the demo improves on is no straw man: teams are as large as their share of the work."""
    plan, workload = demo_day(1)
    teams = Counter(name for agent in separate(plan, workload).agents for name in agent.queues or ())
    loads = {channel.name: channel.load for channel in plan.channels}
    work: Counter[str] = Counter()
    for queue, channel, handle in zip(
        workload.queue.tolist(), workload.channel.tolist(), workload.handle_ms.tolist(), strict=True
    ):
        work[workload.queues[queue]] += handle * loads[workload.channels[channel]]
    for name, amount in work.items():
        assert abs(teams[name] - len(plan.agents) * amount / work.total()) < 2


# -- how it ends, and where it writes


def test_version_names_the_core(run: Callable[..., Ran]) -> None:
    """One line: version and active core."""
    assert run("--version").out == f"omniroute {__version__} (core: {IMPLEMENTATION})\n"


@pytest.mark.parametrize("arguments", [(), ("replay",), ("compare",), ("demo",), ("journal",), ("journal", "cut")])
def test_help_documents_exit_codes(run: Callable[..., Ran], arguments: tuple[str, ...]) -> None:
    """Every help page ends with the exit codes."""
    ran = run(*arguments, "--help")
    assert ran.code == OK
    assert "exit codes:" in ran.out


def command(*arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    """Start the command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "omniroute", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **more,
    )


def test_a_reader_that_goes_away_is_no_traceback(log: Path) -> None:
    """``omniroute replay LOG | head -1`` ends without a word on stderr."""
    process = command("replay", str(log))
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (PIPE, b"")


def test_interrupting_is_no_traceback(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Ran], log: Path) -> None:
    """Control-C ends with one word and the usual code."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("omniroute.cli.files.open_log", interrupt)
    ran = run("replay", log)
    assert (ran.code, ran.err) == (INTERRUPTED, "omniroute: interrupted\n")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


TABLE = Table(
    title="Waits", headings=("queue [bold]", "mean s"), rows=(("sales [red]x[/red]", "9.5"), ("b\x07", "10.0"))
)


def test_plain_tables_are_aligned() -> None:
    """Words to the left, numbers to the right, two blanks apart, no trailing blanks, no control characters."""
    assert plain(TABLE).splitlines() == [
        "Waits",
        "  queue [bold]        mean s",
        "  sales [red]x[/red]     9.5",
        "  b\ufffd                    10.0",
    ]


def test_rich_shows_the_same_cells() -> None:
    """On a terminal the cells are the same, and names are text, never markup."""
    pytest.importorskip("rich")
    terminal = Terminal()
    screen = Screen(terminal)
    assert screen.rich
    screen.heading("A [bold]heading[/bold]")
    screen.table(TABLE)
    text = terminal.getvalue()
    for cell in ("queue [bold]", "sales [red]x[/red]", "9.5", "10.0", "A [bold]heading[/bold]"):
        assert cell in text


def test_no_figure_is_lost_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table wider than the terminal is written plain rather than cut; one whose words fit is drawn."""
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "40")
    wide = Table(title="", headings=("what", *("123456789",) * 6), rows=(("row", *("987654321",) * 6),))
    for table, drawn in ((wide, False), (TABLE, True)):
        terminal = Terminal()
        Screen(terminal).table(table)
        assert ("\u2500" in terminal.getvalue()) == drawn
        assert "\u2026" not in terminal.getvalue()


def test_plain_where_rich_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rich a terminal gets the plain tables."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    terminal = Terminal()
    Screen(terminal).table(TABLE)
    assert terminal.getvalue() == f"\n{plain(TABLE)}\n"


def test_progress_is_for_terminals_only() -> None:
    """A stderr that nobody looks at stays empty; on a terminal the line is cleared at the end."""
    quiet, seen = io.StringIO(), Terminal()
    for stream in (quiet, seen):
        progress = Progress(stream)
        progress.say("reading")
        progress.done()
    assert quiet.getvalue() == ""
    assert seen.getvalue().endswith("\r\x1b[K")


# -- real logs (Technion: Ilan Guedj, Avi Mandelbaum)


@pytest.mark.data
@kernel_only
def test_january_is_reported_as_its_facts(run: Callable[..., Ran], bank_month: Callable[[str], LoggedMonth]) -> None:
    """The report's figures are the facts', counted exactly, averaged to rounding; and all of it takes seconds."""
    month = bank_month("january")
    facts = month.facts
    began = time.perf_counter()
    found = run("replay", month.path, "--json").document
    assert time.perf_counter() - began < 15 or DEBUG
    total = found["observed"]["total"]
    assert found["read"]["interactions"] == facts["rows_ok"]
    assert total["by_outcome"]["set_aside"] == facts["count_by_outcome"]["PHANTOM"]
    assert total["served"] == facts["count_by_outcome"]["AGENT"]
    assert total["offered"] == facts["offered_nonphantom"]
    assert total["waits_of_queued"]["n"] == facts["wait_q_time_queued_nonphantom"]["n"]
    for name, known in (
        ("waits_of_queued", "wait_q_time_queued_nonphantom"),
        ("waits_of_queued_served", "wait_queued_served"),
        ("waits_of_abandoned", "wait_queued_hang"),
    ):
        for figure in ("mean", "median", "p90"):
            assert total[name][f"{figure}_ms"] / 1000 == pytest.approx(facts[known][figure], abs=0.0051)
    assert total["asa_ms"] / 1000 == pytest.approx(facts["asa_mean_q_time_of_served_incl_zero_wait"], abs=0.00051)
    assert total["abandonment_of_all"] == pytest.approx(facts["abandon_rate_all_nonphantom"], abs=5.1e-5)
    assert total["abandonment_of_queued"] == pytest.approx(facts["abandon_rate_queued_nonphantom"], abs=5.1e-5)
    for name, known in (
        ("served_within_of_offered", "service_level_served_within_X_of_offered"),
        ("removed_within_of_queued", "service_level_amazon_style_removed_within_X_of_queued"),
    ):
        for seconds, share in facts[known].items():
            assert total["service_levels"][name][f"within_{seconds}000_ms"] == pytest.approx(share, abs=5.1e-5)
    for queue, known_queue in facts["by_type_queued"].items():
        part = found["observed"]["by_queue"][queue]
        assert part["waits_of_queued"]["mean_ms"] / 1000 == pytest.approx(known_queue["wait"]["mean"], abs=0.0051)
        assert part["abandonment_of_queued"] == pytest.approx(known_queue["abandon_rate"], abs=5.1e-5)


@pytest.mark.data
@kernel_only
def test_january_prints_its_figures(run: Callable[..., Ran], bank_month: Callable[[str], LoggedMonth]) -> None:
    """What a person reads, in the words and units of the report; no customer among it."""
    month = bank_month("january")
    out = run("replay", month.path, "--by-agent").out
    rows = rows_of(out)
    assert rows["offered"][0] == "30,161"
    assert rows["waits of the queued"] == ["16,686", "68.1", "46.0", "153.0", "1,500.0"]
    assert rows["SL1"] == ["served within T / offered", "54.4", "59.6", "71.1", "81.9"]
    assert rows["removed"][1:] == ["23.6", "35.2", "60.3", "83.6"]
    assert rows["KAZAV"][1] == "2,015"
    assert rows["first come, first served"] == ["6,483", "944", "14.6"]
    assert max(len(line) for line in out.splitlines()) <= 130
    customers = {record.customer for record in month.interactions if record.customer}
    assert not customers & {word.strip(",.;()") for word in out.replace(",", "").split() if len(word) > 6}


@pytest.mark.data
@kernel_only
def test_the_week_is_reported_as_its_facts(run: Callable[..., Ran], queue_log_week: LoggedMonth) -> None:
    """The same figures through the queue_log reader."""
    facts = queue_log_week.facts
    found = run("replay", queue_log_week.path, "--json").document
    total = found["observed"]["total"]
    assert (total["offered"], total["served"]) == (facts["calls"], facts["connected"])
    assert total["asa_ms"] / 1000 == pytest.approx(facts["asa_s"], abs=0.0051)
    level = total["service_levels"]["served_within_of_offered"]["within_20000_ms"]
    assert level == pytest.approx(facts["sl20_answered_of_offered"], abs=5.1e-5)
    assert len(found["observed"]["by_queue"]) == len(facts["by_queue"])


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["docs_asterisk_org", "freepbx_2010_fragments", "reformatted_spaces_2010", "tutorial_2020_tail"]
)
def test_fragments_are_reported(run: Callable[..., Ran], data_dir: Path, name: str) -> None:
    """Genuine scraps of logs end in a report, never in a traceback."""
    ran = run("replay", data_dir / "queue_log" / f"{name}.queue_log")
    assert ran.code in (OK, FINDING)
    assert "Observed" in ran.out
    assert ran.err == ""
