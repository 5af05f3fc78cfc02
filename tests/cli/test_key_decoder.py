"""Keys out of a terminal's bytes: whatever the cut, whatever the noise."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsrecorder.cli.key_decoder import DOWN, LEFT, RIGHT, UP, KeyDecoder

SEQUENCES = [b"\x1b[A", b"\x1bOB", b"\x1b[1;2C", b"\x1b[15~", b"\x1b", b"\x1b[", b"\x1bq", b" ", b"[", b"O", b"A"]
STREAMS = st.binary(max_size=60) | st.lists(st.sampled_from(SEQUENCES)).map(b"".join)


def keys(*parts: bytes) -> list[str]:
    decoder = KeyDecoder()
    return [key for part in parts for key in decoder.feed(part)]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", [UP, DOWN, RIGHT, LEFT]),
        (b"\x1bOA\x1bOB\x1bOC\x1bOD", [UP, DOWN, RIGHT, LEFT]),  # application mode
        (b"\x1b[1;2A\x1b[1;5D", [UP, LEFT]),  # Shift, Ctrl
        (b" nrq[]", [" ", "n", "r", "q", "[", "]"]),  # pasted, or typed fast
        (b"\x1b\x1b[A", [UP]),  # ESC, then an arrow
        (b"\x1bn", ["n"]),  # ESC, then n; or Alt-n
        (b"\x1b[15~\x1b[H\x1bOPn", ["n"]),  # F5, Home, F1
        (b"\x1b[200~q\x1b[201~", ["q"]),
        (b"\x1b[1\x1b[A", [UP]),  # a sequence that breaks off
        (b"\x1b[1\nn", ["n"]),
        ("ä".encode() + b"\x00\x04\x7f\r\tn", ["n"]),
        (b"\x1b[" + b"1" * 100 + b"An", [*"1" * 69, "A", "n"]),  # noise is not kept for ever
    ],
)
def test_bytes_become_keys(received: bytes, expected: list[str]) -> None:
    assert keys(received) == expected


@given(STREAMS, st.lists(st.integers(0, 60)))
@example(b"\x1b[A", [1, 2])
@example(b"\x1bOA", [1, 2])
def test_any_cutting_of_the_bytes_gives_the_same_keys(received: bytes, cuts: list[int]) -> None:
    parts = [received[start:stop] for start, stop in pairwise([0, *sorted(cuts), len(received)])]
    assert keys(*parts) == keys(received)


@given(STREAMS)
def test_no_noise_spoils_what_comes_after_a_pause(noise: bytes) -> None:
    decoder = KeyDecoder()
    decoder.feed(noise)
    decoder.flush()
    assert not decoder.has_begun
    assert decoder.feed(b"n\x1b[Aq") == ["n", UP, "q"]


@pytest.mark.parametrize(
    ("received", "expected"), [(b"\x1b", []), (b"\x1b[", ["["]), (b"\x1bO", ["O"]), (b"\x1b[1;", []), (b"n", [])]
)
def test_a_beginning_without_an_end_is_keys_by_themselves(received: bytes, expected: list[str]) -> None:
    decoder = KeyDecoder()
    decoder.feed(received)
    assert decoder.has_begun == received.startswith(b"\x1b")
    assert decoder.flush() == expected
    assert not decoder.has_begun
    assert decoder.flush() == []
