"""What nobody friendly would send: values, texts and bytes, and the one contract that every reader of them keeps.

A reader returns, or raises an error of ours that fits on a screen and cannot drive a terminal. It does so within a few
seconds of processor time, whatever comes. ``pytest --fuzz-seconds N`` goes on for so long with each kind of input.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniroute.errors import DamagedError, InputError, MisuseError

SECONDS = 8.0
"""Of processor time for one example: what takes longer hangs, as far as whoever waits for it can tell."""
MESSAGE_MAX = 4_000
"""Characters of a message."""

Check = Callable[[Any], object]


class TooLongError(AssertionError):
    """An example took more processor time than anybody would wait for."""


@contextmanager
def deadline(seconds: float = SECONDS) -> Iterator[None]:
    """Stop what takes longer, in processor time of this process; nothing where there is no such clock."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(_: int, frame: FrameType | None) -> None:
        raise TooLongError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def polite(error: Exception) -> None:
    """Fail unless an error fits on a screen and is one line that no terminal obeys."""
    said = str(error)
    assert said, type(error)
    assert len(said) <= MESSAGE_MAX, len(said)
    assert said.isprintable(), ascii(said[:400])


def kept(read: Callable[[], object], *, allowed: tuple[type[Exception], ...] = (InputError, MisuseError)) -> object:
    """Read within the deadline: what came out, None where it was refused as the contract says."""
    with deadline():
        try:
            return read()
        except allowed as error:
            if not isinstance(error, InputError | MisuseError | DamagedError):
                raise AssertionError(f"refused by a {type(error).__name__}") from error
            polite(error)
            return None


class Drawn:
    """An example, which a report of failure can show whatever it is."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        try:
            return repr(self.value)[:6_000]
        except (ValueError, RecursionError) as error:
            return f"what cannot be shown: {error}"


class Fuzz:
    """Runs a check over drawn examples; for longer where the command line asks for it."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds, self.examples = name, seconds, 0

    def __call__(self, drawn: st.SearchStrategy[Any], check: Check, *, examples: int = 60) -> None:
        """Draw ``examples``, or as many as fit into the seconds, in rounds of fresh ones."""
        options: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "max_examples": examples}
        if self.seconds:
            options |= {"max_examples": 2_000, "derandomize": False}

        @settings(**options)
        @given(drawn.map(Drawn))
        def once(example: Drawn) -> None:
            self.examples += 1
            check(example.value)

        began = time.process_time()
        once()
        while time.process_time() - began < self.seconds:
            once()
        if self.seconds:
            print(f"\nfuzzed {self.name}: {self.examples} examples, {time.process_time() - began:.0f} s of processor")


# -- text

CHARACTERS = st.sampled_from(
    "\0\x01\x07\x08\t\n\r\x1b\x7f\x85\x9b\xa0\u0301\u061c\u200b\u200d\u200e\u2028\u202e\u2066\ufeff\ufffd\ud800\udc80"
    "\U0001f469\U000e0041\U0010ffffaAzZ09 -.:'\"`\\/=<>()[]{}|;,#%&$*+?!@^~_ßİſﬀ"
)
"""What moves a cursor, turns text round, is half a character, or means something in one of our languages."""

PHRASES = st.sampled_from(("a", "9", "-9", "e\u0301", "1.")).map(lambda text: text * 2_500) | st.sampled_from(
    (
        "../../../../etc/passwd",
        "1e400",
        "nan",
        "\x1b]0;gone\x07\x1b[2J",
        "=cmd|' /C calc'!A0",
        "{{7*7}}${7*7}",
        "%s%n%d%(x)s",
        "__class__",
        "\u202egnp.exe",
    )
)
WORDS = st.one_of(st.text(CHARACTERS, max_size=12), st.text(max_size=8), PHRASES)
INTEGERS = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([s * 2**p + d for s in (1, -1) for p in (8, 15, 16, 31, 32, 53, 62, 63, 64) for d in (-1, 0, 1)]),
    st.sampled_from((20, 40, 5_000)).map(lambda digits: 10**digits),
    st.integers(),
)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, st.floats(), WORDS, st.binary(max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
"""Values of any type, as an API or a program hands them over."""


def nested(depth: int, inner: object = 1) -> object:
    """A list in lists: whoever walks it by recursion falls."""
    for _ in range(depth):
        inner = [inner]
    return inner


# -- mutation


def mutated(sample: bytes, seed: int, changes: int) -> bytes:
    """Bytes of a good sample after some changes: flips, cuts, repeats, swaps, and what readers stumble over."""
    dice, data = random.Random(seed), bytearray(sample)
    for _ in range(changes):
        at, length = dice.randrange(len(data) + 1), dice.choice((1, 1, 1, 2, 4, 8, 32, 400))
        kind = dice.randrange(8)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * dice.choice((1, 2, 30))
        elif kind == 3:
            other = dice.randrange(len(data) + 1)
            data[at : at + length] = data[other : other + length]
        elif kind == 4:
            data[at:at] = dice.choice(_STUMBLES)
        elif kind == 5:
            data[at : at + length] = dice.choice(_STUMBLES)
        elif kind == 6:
            data[at : at + 1] = bytes([dice.randrange(256)])
        else:
            data[at : at + length] = dice.randbytes(length)
    return bytes(data)


_STUMBLES = (
    *tuple(
        text.encode("utf-8", "surrogatepass")
        for text in (
            *(
                "\x00",
                "\n",
                "\r\n",
                "\r",
                "\t",
                " ",
                '"',
                "'",
                "|",
                ",",
                ";",
                "=",
                "[",
                "]",
                "[[",
                "{",
                "}",
                "(",
                ")",
                "#",
            ),
            *("\x1b[2J", "\u202e", "�", "\ufeff", "-1", "0", "99999999999999999999", "1e999", "nan", "true", "null"),
            *(
                "not ",
                " and ",
                " in ",
                ">=",
                "\\",
                "\\u0000",
                "\\ud800",
                "9999-12-31",
                "24:00",
                "4294967296",
                "a" * 300,
            ),
        )
    ),
    b"\xff",
    b"\xc0\x80",
    b"\x80",
    b"\x7f" * 9,
    b"\xc1",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
)


def mutations(*samples: bytes) -> st.SearchStrategy[bytes]:
    """Good samples with one to twelve changes."""
    return st.builds(mutated, st.sampled_from(samples), st.integers(0, 2**32), st.integers(1, 12))


def mutated_texts(*samples: str) -> st.SearchStrategy[str]:
    """The same for text: bytes that are none any more come out as replacement characters or as surrogates."""
    ways = st.sampled_from(("replace", "surrogateescape"))
    return st.builds(lambda data, way: data.decode("utf-8", way), mutations(*(s.encode() for s in samples)), ways)
