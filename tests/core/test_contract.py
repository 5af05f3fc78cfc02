"""Documents to check against: which schema is for which messages, and what is said of wrong documents."""

from __future__ import annotations

from typing import Any

import pytest

from wsrecorder.core.asyncapi import Feed, Frame, MessageShape, asyncapi_document
from wsrecorder.core.contract import Contract, Form, Rule, read_contract
from wsrecorder.core.event import Direction
from wsrecorder.errors import UsageError

IN, OUT = Direction.IN, Direction.OUT


def asyncapi(version: str = "3.0.0", **parts: Any) -> dict[str, Any]:
    return {"asyncapi": version, "info": {"title": "t", "version": "1"}, **parts}


def channel(**messages: Any) -> dict[str, Any]:
    return {"c": {"address": "/", "messages": messages}}


def places(contract: Contract, direction: Direction, type: str | None, frame: Frame = Frame.TYPED) -> list[Any]:
    return [rule.place for rule in contract.rules_for(direction, frame, type)]


PINNED = {"properties": {"type": {"const": "TICK"}}}


@pytest.mark.parametrize(
    "document",
    [
        True, {}, {"type": "object"}, {"$ref": "#/$defs/a", "$defs": {"a": True}}, {"properties": {"a": {}}},
        {"oneOf": [{}]}, {"$schema": "http://json-schema.org/draft-07/schema#"}, {"const": {}},
    ],
)  # fmt: skip
def test_one_schema_is_for_all_json_of_either_direction(document: Any) -> None:
    contract = read_contract(document)
    assert contract.form is Form.SCHEMA
    assert places(contract, IN, "A") == places(contract, OUT, None, Frame.UNTYPED) == [()]
    assert places(contract, IN, None, Frame.TEXT) == places(contract, IN, None, Frame.BINARY) == []


def test_a_map_has_a_schema_for_each_type() -> None:
    contract = read_contract({"A": {"type": "object"}, "type": {"properties": {}}, "B": True})
    assert contract.form is Form.TYPES
    assert places(contract, IN, "type") == [("type",)]
    assert places(contract, OUT, "B") == [("B",)]
    assert places(contract, IN, "C") == places(contract, IN, None, Frame.UNTYPED) == []


def test_our_own_documents_are_understood() -> None:
    shapes = [
        MessageShape(direction=direction, frame=frame, type=type, count=1, schema={})
        for direction, frame, type in [
            (IN, Frame.TYPED, "A"), (OUT, Frame.TYPED, "A"), (IN, Frame.UNTYPED, None), (IN, Frame.TEXT, None),
            (IN, Frame.BINARY, None), (OUT, Frame.OTHER, None),
        ]
    ]  # fmt: skip
    feed = Feed(title="t", version="1", description="", url="", path="/", about={})
    contract = read_contract(asyncapi_document(feed, shapes))

    def key(direction: Direction, type: str | None, frame: Frame = Frame.TYPED) -> list[str]:
        return [place[2] for place in places(contract, direction, type, frame)]

    assert (key(IN, "A"), key(OUT, "A")) == (["A"], ["A-2"])
    assert (key(IN, "B"), key(OUT, "B")) == (["other"], ["other"])
    assert key(IN, None, Frame.UNTYPED) == key(OUT, None, Frame.UNTYPED) == ["untyped"]
    assert (key(IN, None, Frame.TEXT), key(IN, None, Frame.BINARY)) == (["text"], ["binary"])


def test_asyncapi_3_without_operations_goes_both_ways() -> None:
    contract = read_contract(asyncapi(channels=channel(A={"payload": {}}, B={"name": "b", "messageId": "bee"})))
    assert places(contract, IN, "A") == places(contract, OUT, "A") == [("channels", "c", "messages", "A", "payload")]
    assert places(contract, IN, "b") == places(contract, IN, "bee") == places(contract, IN, "B") == [None]


@pytest.mark.parametrize("listed", [True, False])
def test_asyncapi_3_operations_say_which_way(listed: bool) -> None:
    message = {"$ref": "#/channels/c/messages/A"}
    operations: dict[str, Any] = {
        "o": {"action": "send", "channel": {"$ref": "#/channels/c"}} | ({"messages": [message]} if listed else {})
    }
    channels = {**channel(A={"payload": {}}), "d": {"messages": {"A": {"payload": True}}}}
    document = asyncapi(channels=channels, operations=operations)
    sent, other = ("channels", "c", "messages", "A", "payload"), ("channels", "d", "messages", "A", "payload")
    assert places(read_contract(document), IN, "A") == [sent, other]
    assert places(read_contract(document), OUT, "A") == [other]
    assert places(read_contract(document, is_clients=True), OUT, "A") == [sent, other]


def test_what_is_said_of_the_other_direction_counts_where_nothing_else_is_said() -> None:
    operations = {"o": {"action": "receive", "channel": {"$ref": "#/channels/c"}}}
    contract = read_contract(asyncapi(channels=channel(A={"payload": {}}), operations=operations))
    assert places(contract, IN, "A") == places(contract, OUT, "A")


def test_a_message_that_goes_both_ways_is_one() -> None:
    operations = {action: {"action": action, "channel": {"$ref": "#/channels/c"}} for action in ("send", "receive")}
    contract = read_contract(asyncapi(channels=channel(A={"payload": {}}), operations=operations))
    assert [rule.direction for rule in contract.rules] == [None]


def test_asyncapi_2_clients_subscribe_to_what_comes_in() -> None:
    components = {"messages": {"tick": {"payload": {"allOf": [{}, {"$ref": "#/components/schemas/t"}]}}}}
    document = asyncapi(
        "2.6.0",
        channels={
            "/": {
                "subscribe": {"message": {"oneOf": [{"$ref": "#/components/messages/tick"}, {"name": "x"}]}},
                "publish": {"message": {"messageId": "sub", "payload": {}}},
            },
            "/none": {"description": "nothing", "publish": {}},
        },
        components={**components, "schemas": {"t": PINNED}},
    )
    contract = read_contract(document)
    assert [(rule.direction, sorted(rule.types)) for rule in contract.rules] == [
        (IN, ["TICK"]), (IN, ["x"]), (OUT, ["message", "sub"])
    ]  # fmt: skip
    assert places(contract, IN, "TICK") == [("components", "messages", "tick", "payload")]
    assert places(contract, IN, "tick") == []


@pytest.mark.parametrize(
    ("payload", "types"),
    [
        (PINNED, ["TICK"]),
        ({"properties": {"type": {"enum": ["A", "B", 3]}}}, ["A", "B"]),
        ({"properties": {"type": {"$ref": "#/channels/c/messages/M/payload/x"}}, "x": {"const": "A"}}, ["A"]),
        ({"properties": {"type": {"type": "string"}}}, ["M"]),
        ({"properties": {"type": {"const": 5}}}, ["M"]),
        ({"properties": {"type": True}}, ["M"]),
        ({"properties": {}, "allOf": [{"type": "object"}]}, ["M"]),
        ({"allOf": [{"$ref": "#/channels/c/messages/M/payload"}]}, ["M"]),
        (True, ["M"]),
    ],
)
def test_a_type_that_a_schema_pins_counts_before_the_message_s_names(payload: Any, types: list[str]) -> None:
    [rule] = read_contract(asyncapi(channels=channel(M={"payload": payload}))).rules
    assert sorted(rule.types) == types


def test_the_type_is_looked_for_where_the_session_has_it() -> None:
    payload = {"properties": {"data": {"properties": {"e": {"const": "trade"}}}}}
    [rule] = read_contract(asyncapi(channels=channel(M={"payload": payload})), "data.e").rules
    assert rule.types == {"trade"}


@pytest.mark.parametrize(
    "form", ["application/vnd.aai.asyncapi;version=3.0.0", "application/schema+json;version=draft-07"]
)
def test_json_schema_in_either_place_is_taken(form: str) -> None:
    messages = {"A": {"payload": {"schemaFormat": form, "schema": {}}}, "B": {"schemaFormat": form, "payload": {}}}
    rules = read_contract(asyncapi(channels=channel(**messages))).rules
    assert [rule.place[-1] for rule in rules if rule.place] == ["schema", "payload"]


M = "#/channels/c/messages/M"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "the document is null, expected an object"),
        ([], "the document is an array"),
        ("x", "the document is a text"),
        (1.5, "the document is a number"),
        ({"A": {}, "B": 3}, "#/B is a number, expected a schema for the type"),
        ({"A/B": None}, "#/A~1B is null"),
        (asyncapi(), "describes no messages"),
        (asyncapi("1.2.0"), "#/asyncapi is '1.2.0', expected version 2 or 3"),
        ({"asyncapi": 3}, "#/asyncapi is 3,"),
        (asyncapi(channels=[]), "#/channels is an array, expected an object"),
        (asyncapi(channels={"c": 5}), "#/channels/c is a number, expected an object"),
        (asyncapi(channels={"c": {"messages": {"M": True}}}), f"{M} is a truth value, expected an object"),
        (asyncapi(channels=channel(M={"$ref": "#/nowhere"})), f"{M}: $ref '#/nowhere' leads to nothing"),
        (asyncapi(channels=channel(M={"$ref": "http://127.0.0.1:9/m.json"})), "nothing is fetched"),
        (asyncapi(channels=channel(M={"payload": "x"})), f"{M}/payload is a text, expected a schema"),
        (
            asyncapi(channels=channel(M={"schemaFormat": "application/vnd.apache.avro", "payload": {}})),
            f"{M}/schemaFormat is 'application/vnd.apache.avro', expected a JSON Schema",
        ),
        (
            asyncapi(channels=channel(M={"payload": {"schemaFormat": "x/proto", "schema": ""}})),
            f"{M}/payload/schemaFormat is 'x/proto'",
        ),
        (asyncapi(operations={"o": {"action": "send"}}), "nothing at #/operations/o/channel"),
        (
            asyncapi(channels=channel(), operations={"o": {"action": "x", "channel": {"$ref": "#/channels/c"}}}),
            "#/operations/o/action is 'x', expected send or receive",
        ),
        (
            asyncapi(
                channels=channel(),
                operations={"o": {"action": "send", "channel": {"$ref": "#/channels/c"}, "messages": {}}},
            ),
            "#/operations/o/messages is an object, expected an array",
        ),
        (
            asyncapi("2.0.0", channels={"c": {"publish": {"message": {"oneOf": 3}}}}),
            "#/channels/c/publish/message/oneOf is a number, expected an array",
        ),
    ],
)
def test_wrong_documents_are_refused_and_the_place_is_named(document: Any, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_contract(document)
    assert said in raised.value.message
    assert raised.value.hint


def test_rules_are_plain_values() -> None:
    assert Rule(()) == Rule((), None, Frame.TYPED, frozenset())
