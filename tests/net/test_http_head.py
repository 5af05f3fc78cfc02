"""Heads are read, and written again with nothing changed but what is to change."""

from __future__ import annotations

import pytest

from wsrecorder.net.http_head import HttpHead

REQUEST = b"GET /ws/?a=b HTTP/1.1\r\nHost: x\r\nX-ODD-case:  1 \r\nCookie: a\r\ncookie: b\r\n\r\n"


def test_a_head_is_read() -> None:
    head = HttpHead.parse(REQUEST)
    assert head.target == "/ws/?a=b"
    assert head.get("COOKIE") == "a, b"
    assert head.get("Upgrade") is None
    assert not head.is_upgrade
    assert HttpHead.parse(b"HTTP/1.1 404 Not Found\r\n\r\n").status == 404
    assert HttpHead.parse(b"HTTP/1.1 200\r\n\r\n").status == 200
    assert HttpHead.parse(b"HTTP/1.1 odd\r\n\r\n").status == 0


def test_what_is_not_changed_keeps_its_order_and_its_case() -> None:
    head = HttpHead.parse(REQUEST).with_headers({"host": "y", "X-New": "2", "X-Absent": None})
    assert head.encode() == (
        b"GET /ws/?a=b HTTP/1.1\r\nHost: y\r\nX-ODD-case: 1\r\nCookie: a\r\ncookie: b\r\nX-New: 2\r\n\r\n"
    )


def test_a_header_that_is_there_twice_is_replaced_by_one() -> None:
    assert HttpHead.parse(REQUEST).with_headers({"Cookie": "c"}).get("Cookie") == "c"
    assert HttpHead.parse(REQUEST).with_headers({"Cookie": None}).get("Cookie") is None


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / SPDY\r\n\r\n", b"GET / HTTP/1.1\r\nno\r\n\r\n"])
def test_what_is_no_head_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"begins no HTTP|is no header"):
        HttpHead.parse(data)


def test_a_status_of_digits_that_are_not_ascii_is_none() -> None:
    assert HttpHead.parse(b"HTTP/1.1 \xb2\xb2\xb2 No\r\n\r\n").status == 0
