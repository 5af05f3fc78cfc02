from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.errors import SessionError
from wsrecorder.formats import lines as lines_module
from wsrecorder.formats.lines import Lines, Tail, excerpt, is_closed_json


def read(content: bytes, **options: int) -> list[tuple[int, bytes, bool]]:
    return list(Lines(io.BytesIO(content), "file", **options).numbered())


def test_lines_are_numbered_from_one() -> None:
    assert read(b"a\n\nb\n") == [(1, b"a", True), (2, b"", True), (3, b"b", True)]


def test_only_a_last_line_can_lack_its_end() -> None:
    assert read(b"a\nb") == [(1, b"a", True), (2, b"b", False)]


def test_nothing_is_no_line() -> None:
    assert read(b"") == []


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.integers(1, 9))
def test_any_lines_survive_any_size_of_chunk(parts: list[bytes], chunk_bytes: int) -> None:
    content = b"x\n" + b"".join(part + b"\n" for part in parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_CHUNK_BYTES", chunk_bytes)
        found = read(content)
    assert [line for _, line, _ in found] == [b"x", *parts]
    assert [number for number, _, _ in found] == list(range(1, len(parts) + 2))


def test_carriage_returns_go_only_where_the_first_line_has_one() -> None:
    assert [line for _, line, _ in read(b"a\r\nb\r\nc\n")] == [b"a", b"b", b"c"]
    assert [line for _, line, _ in read(b"a\nb\r\n")] == [b"a", b"b\r"]


def test_byte_order_mark_of_utf8_is_skipped() -> None:
    assert read(b"\xef\xbb\xbfa\n") == [(1, b"a", True)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding: str) -> None:
    content = ("\ufeff" if encoding.endswith("be") else "") + "a\n"
    with pytest.raises(SessionError, match=f"file, line 1: the file is {encoding[:6].upper()}"):
        read(content.encode(encoding))


def test_line_over_the_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "_CHUNK_BYTES", 8)
    with pytest.raises(SessionError, match="line 3: longer than 32 bytes"):
        read(b"a\nb\n" + b"c" * 100, most_bytes=32)


def test_read_bytes_grow_to_the_size_of_the_file() -> None:
    lines = Lines(io.BytesIO(b"a\nbc"), "file")
    assert list(lines.numbered())
    assert lines.read_bytes == 4


def test_held_error_is_raised_when_a_line_follows() -> None:
    tail = Tail()
    tail.follow()
    tail.hold(SessionError("line 2 is wrong", hint="mend it"), 2, b"wrong")
    assert tail.cut == "line 2 is cut short and was left out (5 bytes: 'wrong')"
    with pytest.raises(SessionError, match="line 2 is wrong"):
        tail.follow()


def test_excerpt_shows_any_bytes_in_one_short_line() -> None:
    assert excerpt(b"ok") == "'ok'"
    assert excerpt(b"\xff\n" * 100).endswith(" …")
    assert "\n" not in excerpt(b"\xff\n" * 100)


@pytest.mark.parametrize(
    ("text", "is_closed"), [('{"a": NaN}', True), ("[1]", True), ("12", False), ('{"a"', False), ("", False)]
)
def test_only_what_is_closed_is_certainly_whole(text: str, is_closed: bool) -> None:
    assert is_closed_json(text) is is_closed
