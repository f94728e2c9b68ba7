"""Logs of other systems: any bytes are read, every line accounted for, and compression cannot hide a flood."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import PHRASES, WORDS, Fuzz, kept, mutations
from hypothesis import strategies as st

from omniroute.errors import LogError
from omniroute.formats import lines as lines_module
from omniroute.formats.csv_mapped import CsvMapping
from omniroute.formats.detect import FORMATS, open_log
from omniroute.formats.limits import MAX_BROKEN_LINES, MAX_NAMES, MAX_ROW_CHARS
from omniroute.formats.records import LoggedInteraction, Outcome
from omniroute.insight.columns import columns

ROOT = Path(__file__).resolve().parents[1]
QUEUE_LOG = (
    b"915148800|1.1|NONE|NONE|QUEUESTART|\n"
    b"915148801|1.2|sales|NONE|ENTERQUEUE||5551234|1\n"
    b"915148803|1.2|sales|PJSIP/10|RINGNOANSWER|1000\n"
    b"915148805|1.2|sales|PJSIP/10|CONNECT|4|1.3|2\n"
    b"915148865|1.2|sales|PJSIP/10|COMPLETEAGENT|4|60|1\n"
    b"915148870.25 | 1.4 | sales | NONE | ENTERQUEUE | | anonymous | 2\n"
    b"915148875|1.4|sales|NONE|ABANDON|2|2|5\n"
    b"915148880|NONE|NONE|PJSIP/10|PAUSEALL|lunch\n"
    b"915148881|NONE|sales|PJSIP/11|ADDMEMBER|PAUSED\n"
    b"915148882|NONE|sales|PJSIP/11|PENALTY|5\n"
    b"915148890|1.5|sales|PJSIP/11|BLINDTRANSFER|100|default|3|20|1\n"
    b"915148899|1.6|sales|NONE|EXITWITHTIMEOUT|1|1|9\n"
)
BANK = (
    b"vru+line\tcall_id\tcustomer_id\tpriority\ttype\tdate\tvru_entry\tvru_exit\tvru_time\tq_start\tq_exit\tq_time\t"
    b"outcome\tser_start\tser_exit\tser_time\tserver\n"
    b"AA0101\t33116\t9664491.0\t2\tPS\t990101\t0:00:31\t0:00:36\t5\t0:00:36\t0:03:09\t153\tHANG\t0:00:00\t0:00:00\t0\t"
    b"NO_SERVER\n"
    b"AA0101\t33117\t0\t0\tPS\t990101\t0:34:12\t0:34:23\t11\t0:00:00\t0:00:00\t0\tHANG\t0:00:00\t0:00:00\t0\tNO_SERVER\n"
    b"AA0101\t33118\t27997683\t2\tPS\t990101\t6:55:20\t6:55:26\t6\t6:55:26\t6:55:43\t17\tAGENT\t6:55:43\t6:56:37\t54\tMICHAL\n"
    b"AA0101\t33119\t0\t0\tPS\t990101\t23:59:00\t0:00:10\t70\t0:00:10\t0:00:20\t10\tAGENT\t0:00:20\t0:01:20\t60\tBASCH\n"
)
JSONL = (
    b'{"format":"omniroute-log","version":1}\n'
    b'{"kind":"interaction","id":"17","queue":"sales","channel":"voice","arrived_ms":915148800000,"outcome":"served",'
    b'"priority":2,"agent":"ana","started_ms":915148801000,"ended_ms":915148861000,'
    b'"handle_ms":60000,"needs":"es >= 2"}\n'
    b'{"kind":"interaction","id":"18","queue":"sales","channel":"chat","arrived_ms":915148800001,"outcome":"abandoned",'
    b'"queued_ms":915148800001,"left_queue_ms":915148809001,"wait_ms":9000,"customer":"x","position":3}\n'
    b'{"kind":"presence","at_ms":915148800000,"agent":"ana","change":"not_ready","reason":"lunch","penalty":3}\n'
)
CSV = (
    b"Ticket;Team;Created;Queued;Wait;Handle;Agent;Result;Prio\n"
    b'1;sales;1999-01-01T00:00:00Z;;5;60;ana;handled;1\n"2\nx";"sa""les";1999-01-01 00:00:10;;1,5;30;;hung up;\n'
    b"3;support;1999-01-01T00:00:20+01:00;1999-01-01T00:00:21;3.25;61;ben;served;9\n"
)
MAPPING = CsvMapping(
    columns={"id": "Ticket", "queue": "Team", "arrived": "Created", "queued": "Queued", "wait": "Wait"}
    | {"handle": "Handle", "agent": "Agent", "outcome": "Result", "priority": "Prio"},
    delimiter=";",
    outcomes={"handled": Outcome.SERVED, "hung up": Outcome.ABANDONED},
)
SAMPLES = {"queue_log": QUEUE_LOG, "bank": BANK, "jsonl": JSONL, "csv": CSV}
CELLS = st.one_of(
    WORDS,
    PHRASES,
    st.integers().map(str),
    st.sampled_from(
        ("NONE", "0", "-1", "915148801", "9" * 12, "253402300799", "99999999999999999999", "0:00:00", "24:59:59")
    )
    | st.sampled_from(
        ("990101", "690101", "680228", "991332", "AGENT", "HANG", "PHANTOM", "NO_SERVER", "915148801.999999")
    )
    | st.sampled_from(
        ("CONNECT", "ENTERQUEUE", "ABANDON", "QUEUESTART", "PENALTY", "COMPLETEAGENT", "9999-12-31T23:59:59Z")
    ),
)
SHAPES = {"queue_log": ("|", 8), "bank": ("\t", 17), "csv": (";", 9), "jsonl": ("", 1)}


def rows(name: str) -> st.SearchStrategy[bytes]:
    """Lines of the right shape with hostile cells, behind a good head."""
    mark, width = SHAPES[name]
    row = st.lists(CELLS, min_size=width, max_size=width).map(mark.join)
    if name == "jsonl":
        row = st.builds(
            lambda key, cell: (
                f'{{"kind":"interaction","id":"1","queue":"q","channel":"c","arrived_ms":5,"outcome":"open",'
                f'"{key}":{cell}}}'
            ),
            st.sampled_from(("wait_ms", "priority", "needs", "id", "kind", "position", "x")),
            st.sampled_from(
                ('"\\u0000"', '"\\ud800"', "1e400", "-0", "1.0", "[" * 3_000, "9" * 5_000, '{"a":1}', "NaN")
            )
            | WORDS.map(lambda word: f'"{word}"'),
        )
    text = st.lists(row, max_size=8).map("\n".join)
    head = SAMPLES[name].split(b"\n")[0] + b"\n"
    return text.map(lambda said: head + said.encode("utf-8", "surrogatepass"))


def packed(data: bytes, way: int) -> bytes:
    """Bytes as they are, or gzipped: whole, cut off, in several members, inside one another, with rubbish behind."""
    if way < 3:
        return data
    whole, half = gzip.compress(data, mtime=0), len(data) // 2
    ways = (
        whole,
        whole[: 2 * len(whole) // 3],
        gzip.compress(data[:half], mtime=0) + b"\0" * 9 + gzip.compress(data[half:], mtime=0),
        gzip.compress(b"", mtime=0) * 40 + whole,
        gzip.compress(whole, mtime=0),
        whole + data,
        whole[:20] + b"\xff" + whole[21:],
    )
    return ways[way - 3]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_readers(fuzz: Fuzz, tmp_path: Path, name: str) -> None:
    """Any bytes, packed or not, are read to their end with every line accounted for, or refused as LogError.

    What is read fits into columns, and names are bounded. Planted: a line with a zero byte, skipped without a count.
    """
    place = tmp_path / "log"

    def read(strict: bool, told: str | None) -> object:
        log = open_log(place, format=told, mapping=MAPPING if told in (None, "csv") else None, strict=strict)
        found = list(log)
        assert log.summary.balanced(), log.summary
        assert len(log.summary.broken_lines) <= MAX_BROKEN_LINES
        for table in (log.summary.events, log.summary.notes, log.summary.broken, log.summary.set_aside):
            assert len(table) <= MAX_NAMES + 1
        columns(found)
        for record in found:
            if isinstance(record, LoggedInteraction):
                assert len(record.queue) <= 200
                assert len(record.agent or "") <= 200
        return found

    def check(drawn: tuple[bytes, int, bool, str | None]) -> None:
        data, way, strict, told = drawn
        place.write_bytes(packed(data, way))
        kept(lambda: read(strict, told), allowed=(LogError,))

    assert kept(lambda: [place.write_bytes(SAMPLES[name]), read(True, name)][1])
    data = mutations(SAMPLES[name]) | rows(name) | st.binary(max_size=200)
    told = st.sampled_from((name, name, name, None, *FORMATS))
    fuzz(st.tuples(data, st.integers(0, 9), st.booleans(), told), check, examples=120)


# -- what is too much


def test_a_quote_that_is_never_closed_is_one_broken_row(tmp_path: Path) -> None:
    """A row over many lines is bounded, and the rows behind it are read. Planted: rows without a bound."""
    place = tmp_path / "log.csv"
    flood = b'"' + b'x";"y\n' * (MAX_ROW_CHARS // 3)
    place.write_bytes(CSV + flood)
    log = open_log(place, format="csv", mapping=MAPPING)
    assert sum(1 for _ in log) == 3
    assert log.summary.broken["row too long"] >= 1
    assert log.summary.balanced()


CHILD = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]) * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (50, 50))
from omniroute.errors import InputError
from omniroute.formats import detect, lines
from omniroute.formats.csv_mapped import CsvMapping
lines.MAX_UNPACKED_BYTES = 2**26
mapping = CsvMapping(columns={"id": "a", "queue": "b", "arrived": "c"})
log = detect.open_log(Path(sys.argv[1]), format=sys.argv[3], mapping=mapping)
try:
    print("read", sum(1 for _ in log), log.summary.balanced())
except InputError as error:
    print("refused", error)
"""


def in_a_child(place: Path, name: str, megabytes: int = 400) -> str:
    """What a process with so much memory makes of a log; it fails where that is not enough."""
    command = [sys.executable, "-c", CHILD, str(place), str(megabytes), name]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip()


def bomb(unit: bytes, size: int) -> bytes:
    """So many bytes of a repeated unit, gzipped without being held."""
    packer, block = zlib.compressobj(9, zlib.DEFLATED, 31), unit * (2**20 // len(unit))
    return b"".join([*(packer.compress(block) for _ in range(size // len(block) + 1)), packer.flush()])


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are a matter of Linux")
@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [
        ("queue_log", b"x", "read 0 True"),
        ("queue_log", b"\0", "read 0 True"),
        ("csv", b'x","y\n', "read 0 True"),
        ("csv", b'a,b,c\n"\n', "read 0 True"),
        ("jsonl", b'{"format":"omniroute-log","version":1}\n' + b"[" * 60_000 + b"\n", "read 0 True"),
    ],
    ids=("one line", "zeros", "quotes", "a quote", "nesting"),
)
def test_bombs(tmp_path: Path, name: str, unit: bytes, said: str) -> None:
    """A small file that unpacks to 32 MB is read in 400 MB of memory, Python and libraries included.

    Planted: rows without a bound, so that all fields of one that never ends are held.
    """
    place = tmp_path / "log.gz"
    head = b"a,b,c\n" if name == "csv" else b""
    place.write_bytes(gzip.compress(head) + bomb(unit, 2**25))
    assert place.stat().st_size < 2**20
    assert in_a_child(place, name) == said


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are a matter of Linux")
def test_a_bomb_in_members_and_the_bound_of_all(tmp_path: Path) -> None:
    """Members of one file count together: beyond the bound of unpacked bytes it is refused, naming the file.

    The bound is 64 MB here. Planted: a bound for each member.
    """
    place = tmp_path / "log.gz"
    place.write_bytes(bomb(b"915148800|1|q|NONE|CONFIGRELOAD|\n", 2**23) * 9)
    assert in_a_child(place, "queue_log").endswith("more than 67108864 bytes after decompression")
    place.write_bytes(gzip.compress(bomb(b"x", 2**25)))  # one inside another is not looked into
    assert in_a_child(place, "queue_log") == "read 0 True"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nul", "long", "absent"])
def test_what_is_no_file_of_lines_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe, a device that never ends, a folder, a name that is none: LogError, and nobody waits.

    Planted: a pipe opened like a file, which waits; the ValueError of a name with a zero let through.
    """
    places = {"device": "/dev/zero", "folder": str(tmp_path), "nul": "a\0b", "long": "a" * 5_000, "absent": "nowhere"}
    place = places.get(kind) or str(tmp_path / "pipe")
    if kind in ("pipe", "device") and sys.platform == "win32":
        pytest.skip("there are none")
    if kind == "pipe":
        os.mkfifo(place)
        writer = os.open(place, os.O_RDWR)  # somebody could write: a reader would still wait for it
        ending = threading.Timer(5, lambda: (Path(place).unlink(), os.close(writer)))  # else it waits for ever
        ending.start()
    try:
        for told in FORMATS:
            assert (
                kept(lambda told=told: list(open_log(place, format=told, mapping=MAPPING)), allowed=(LogError,)) is None
            )  # type: ignore[misc]
    finally:
        if kind == "pipe":
            waited = ending.finished.is_set()
            ending.cancel()
            assert not waited
            os.close(writer)


def test_rows_that_are_days_apart_cost_no_more_than_others() -> None:
    """A row whose times are ten years apart is read as fast as one whose times are not.

    Planted: days counted one by one, so that such a row takes a hundred times as long.
    """
    import time

    from omniroute.formats.bank import read_bank
    from omniroute.formats.records import ReadSummary

    def cost(menu_s: int) -> float:
        row = BANK.split(b"\n")[3].decode().split("\t")
        row[7], row[8], row[11] = "0:00:00", str(menu_s), str(menu_s)
        text = "\t".join(row)
        began = time.process_time()
        for _ in read_bank(iter([(number, text) for number in range(3_000)]), ReadSummary(format="bank", source="x")):
            pass
        return time.process_time() - began

    assert min(cost(315_000_000) for _ in range(3)) < 8 * min(cost(60) for _ in range(3))


def test_gzip_headers_without_end(tmp_path: Path) -> None:
    """A gzip header whose name never ends is damage, as is one with a comment, extra bytes or an unknown method."""
    heads = (
        b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"n" * 70_000,
        b"\x1f\x8b\x08\x04" + b"\0" * 6 + b"\xff\xff",
        b"\x1f\x8b\x09",
    )
    reads: list[Callable[[Path], Any]] = [lambda p: list(open_log(p, format="queue_log")), lambda p: open_log(p)]
    for head in (*heads, b"\x1f\x8b", b"\x1f\x8b\x08\x1f" + bytes(range(1, 60))):
        (tmp_path / "x").write_bytes(head)
        for read in reads:
            kept(lambda read=read: read(tmp_path / "x"), allowed=(LogError,))  # type: ignore[misc]
    assert lines_module.head_of(tmp_path / "x", 10) == b""
