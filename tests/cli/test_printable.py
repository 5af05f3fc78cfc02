"""What others sent, as it is shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.cli.printable import printable, printable_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 漢 🙂", "plain ü 漢 🙂"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\t\x00", "a\\nb\\r\\t\\x00"),
        ("\x7f", "\\x7f"),
        ("\x85\x9b31m", "\\x85\\x9b31m"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u202eabc\u2066\u200f", "\\u202eabc\\u2066\\u200f"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(st.text())
def test_whatever_is_shown_is_one_line_without_controls(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.splitlines() in ([shown], [])
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x85\u2028\u202e\U000e0001\\")))
def test_json_says_the_same_on_one_line(text: str) -> None:
    shown = printable_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == {text: [text]}
