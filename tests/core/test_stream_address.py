"""Addresses of streams, and that nothing shows who we are."""

from __future__ import annotations

import pytest

from wsrecorder.core.stream_address import StreamCredentials, is_stream_address, parse_stream_address
from wsrecorder.errors import UsageError


def test_an_address_names_servers_a_stream_and_perhaps_a_session() -> None:
    address = parse_stream_address("nats://one,two:4333/EVENTS/20260101T000000Z-engine")
    assert address.servers == ("nats://one:4222", "nats://two:4333")
    assert (address.stream, address.session) == ("EVENTS", "20260101T000000Z-engine")
    assert str(address) == "nats://one:4222,two:4333/EVENTS/20260101T000000Z-engine"
    assert str(parse_stream_address("tls://one/EVENTS/")) == "tls://one:4222/EVENTS"


def test_credentials_are_read_and_never_shown() -> None:
    address = parse_stream_address("nats://me:p%40ss@one/EVENTS")
    assert address.credentials == StreamCredentials("me", "p@ss")
    assert str(address) == "nats://***@one:4222/EVENTS"
    assert "p@ss" not in repr(address)
    assert parse_stream_address("nats://word@one/E").credentials == StreamCredentials(token="word")
    assert parse_stream_address("nats://one/E", StreamCredentials("you")).credentials.user == "you"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nats://one", "nats://one is no address"),
        ("nats://me:secret@one", r"nats://\*\*\*@one is no address"),
        ("nats://one/a b", "'a b' is no name of a stream"),
        ("nats://one,:4222/E", "lacks a host"),
    ],
)
def test_what_is_none_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_stream_address(text)


def test_what_is_meant_to_be_one_is_known_by_its_scheme() -> None:
    assert is_stream_address("nats:/mistyped")
    assert is_stream_address("tls://one/E")
    assert not is_stream_address("name.duckdb")
