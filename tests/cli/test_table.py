"""Tables as text."""

from __future__ import annotations

import pytest

from wsrecorder.cli.table import cut, markdown_lines, table_lines


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table_lines(["a", "long"], [["word", "1"], ["", "22"]], right=[1]) == [
        "a     long",
        "────  ────",
        "word     1",
        "        22",
    ]


def test_only_the_widest_give_way() -> None:
    found = table_lines(["a", "b"], [["x" * 50, "short"], ["y", "z" * 30]], width=40)
    assert found[1] == f"{'─' * 19}  {'─' * 19}"
    assert found[2] == f"{'x' * 18}…  short"
    assert max(map(len, found)) <= 40


def test_a_column_kept_whole_is_wider_than_there_is_room() -> None:
    found = table_lines(["a", "b"], [["x" * 50, "y" * 20]], whole=[0], width=40)
    assert found[2] == f"{'x' * 50}  yyy…"


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("漢字", 4, "漢字"),
        ("漢字漢", 4, "漢…"),
        ("", 3, ""),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
    ],
)
def test_a_text_is_cut_by_the_columns_it_takes(text: str, size: int, expected: str) -> None:
    assert cut(text, size) == expected


def test_wide_letters_keep_columns_straight() -> None:
    assert table_lines(["a", "b"], [["漢", "x"], ["ab", "x"]])[2:] == ["漢  x", "ab  x"]


def test_a_cell_stays_in_its_line_and_steers_no_terminal() -> None:
    assert table_lines(["a\x1b[2J"], [["x\ny\u202e"]]) == ["a\\x1b[2J", "─" * 10, "x\\ny\\u202e"]


def test_markdown_escapes_what_would_end_a_cell() -> None:
    assert markdown_lines(["a"], [["x|y\n"]]) == ["| a |", "| --- |", "| x\\|y\\n |"]
