"""AsyncAPI documents: held to the official JSON Schema, keyed as it allows, the right way round."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.asyncapi import Feed, Frame, MessageShape, asyncapi_document
from wsrecorder.core.event import Direction

OFFICIAL = jsonschema_rs.Draft7Validator(
    json.loads((Path(__file__).parents[1] / "schemas/asyncapi-3.0.0.json").read_text(encoding="utf-8")),
    validate_formats=True,
    offline=True,
)
FEED = Feed(
    title="engine", version="1", description="Of a test.", url="wss://***@feed:9/ws/?token=***", path="/x/", about={}
)


def shape(type: str | None, frame: Frame = Frame.TYPED, direction: Direction = Direction.IN) -> MessageShape:
    return MessageShape(
        direction=direction, frame=frame, type=type, count=1, schema={"type": "object"}, examples=({"a": [1]},)
    )


def document(*messages: MessageShape, feed: Feed = FEED) -> dict[str, Any]:
    found = asyncapi_document(feed, messages)
    OFFICIAL.validate(found)
    return found


def test_the_server_sends_what_comes_in_and_receives_what_goes_out() -> None:
    found = document(shape("TICK"), shape("subscribe", direction=Direction.OUT))
    sent, received = found["operations"]["send"], found["operations"]["receive"]
    assert (sent["action"], received["action"]) == ("send", "receive")
    assert sent["messages"] == [{"$ref": "#/channels/feed/messages/TICK"}]
    assert received["messages"] == [{"$ref": "#/channels/feed/messages/subscribe"}]
    assert "receive" not in document(shape("TICK"))["operations"]


def test_the_server_is_the_feed_s_without_credentials_and_the_address_its_path() -> None:
    found = document(shape("A"))
    assert found["servers"]["feed"]["host"] == "feed:9"
    assert found["servers"]["feed"]["protocol"] == "wss"
    assert found["channels"]["feed"]["address"] == "/ws/"
    assert document(feed=replace(FEED, url="ws://feed"))["channels"]["feed"]["address"] == "/"


@pytest.mark.parametrize("url", ["", "capture.jsonl", "https://feed/", "ws:///nowhere"])
def test_what_is_no_websocket_url_makes_no_server(url: str) -> None:
    found = document(shape("A"), feed=replace(FEED, url=url))
    assert "servers" not in found
    assert found["channels"]["feed"]["address"] == "/x/"


def test_each_kind_of_frame_is_a_message_of_its_own() -> None:
    kinds = [frame for frame in Frame if frame is not Frame.TYPED]
    messages = document(*(shape(None, frame) for frame in kinds))["components"]["messages"]
    assert list(messages) == ["untyped", "text", "binary", "other"]
    assert [message["name"] for message in messages.values()] == ["(untyped)", "(text)", "(binary)", "(other)"]
    assert messages["text"]["contentType"] == "text/plain"
    assert messages["binary"]["contentType"] == "application/octet-stream"


def test_types_of_the_same_key_are_kept_apart() -> None:
    messages = document(shape("a b"), shape("a/b"), shape("a_b"), shape("é"), shape(""))["components"]["messages"]
    assert {key: message["name"] for key, message in messages.items()} == {
        "a_b": "a b", "a_b-2": "a/b", "a_b-3": "a_b", "_": "é", "_-2": ""
    }  # fmt: skip


def test_without_examples_there_are_none() -> None:
    message = replace(shape("A"), examples=())
    assert "examples" not in document(message)["components"]["messages"]["A"]


@given(st.lists(st.text(max_size=5), max_size=6, unique=True), st.sampled_from(Direction))
def test_every_document_is_as_the_official_schema_says(types: list[str], direction: Direction) -> None:
    messages = document(*(shape(type, direction=direction) for type in types))["components"]["messages"]
    assert sorted(message["name"] for message in messages.values()) == sorted(types)
