"""Sessions checked against documents: what breaks them, where and how often; wrong documents; nothing is fetched."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.jobs.replays import identity, message, session
from wsrecorder.analysis import check
from wsrecorder.analysis.check import CheckResult, check_session, read_document
from wsrecorder.analysis.describe import describe_session
from wsrecorder.analysis.session import Session
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event
from wsrecorder.errors import UsageError
from wsrecorder.store.session import ParquetStore


def say(at_s: float, type: str | None, payload: Any, direction: Direction = Direction.IN) -> Event:
    """Return a frame: of these bytes, of this text, or of this value as JSON."""
    event = message(at_s, direction=direction)
    if isinstance(payload, bytes):
        return structs.replace(event, type=type, text=None, binary=payload)
    return structs.replace(event, type=type, text=payload if isinstance(payload, str) else json.dumps(payload))


def checked(library: Path, document: Any, *events: Event, **wanted: Any) -> CheckResult:
    return check_session(Session(session(library, events)), document, **wanted)


ORDERS = {
    "type": "object",
    "required": ["id"],
    "properties": {"orders": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}}},
}


def test_findings_tell_type_path_count_and_the_first_event(tmp_path: Path) -> None:
    events = [
        say(0, "A", {"id": 1, "orders": [{"price": 1}]}),
        say(1, "A", {"id": 1, "orders": [{"price": "2"}, {"price": "3"}]}),
        say(2, "A", {"orders": [{"price": "4"}]}),
        say(3, "A", {"id": 1, "orders": []}),
    ]
    result = checked(tmp_path, {"A": ORDERS}, *events)
    assert (result.messages, result.valid, result.broken) == (4, 2, 2)
    assert not result.is_kept()
    price, id = result.findings
    assert (price.type, price.path, price.keyword, price.count) == ("A", "orders[].price", "type", 2)
    assert (price.says, price.seq, price.value) == ('is not of type "number"', 1, '"2"')
    assert (id.path, id.keyword, id.says, id.count, id.seq) == ("id", "required", "is missing", 1, 2)
    assert result.to_dict()["findings"][0]["path"] == "orders[].price"


def test_messages_of_which_nothing_is_said_are_counted_and_break_it_only_if_strict(tmp_path: Path) -> None:
    events = [
        say(0, "A", {"id": 1}),
        say(1, "B", {}),
        say(2, "B", {}),
        say(3, None, {}),
        say(4, None, "ping"),
        say(5, None, b"\x00"),
    ]
    result = checked(tmp_path, {"A": ORDERS}, *events)
    assert (result.valid, result.unknown, result.unreadable) == (1, {"B": 2, "(untyped)": 1}, 2)
    assert result.is_kept()
    assert not result.is_kept(strict=True)
    assert result.messages == 6


def test_nan_is_checked_as_null_and_counted(tmp_path: Path) -> None:
    events = [say(0, "A", '{"x": NaN}'), say(1, "A", '{"x": Infinity}'), say(2, "A", '{"x": 1}')]
    nullable = checked(tmp_path / "a", {"properties": {"x": {"type": ["number", "null"]}}}, *events)
    assert (nullable.valid, nullable.lenient) == (3, 2)
    result = checked(tmp_path / "b", {"properties": {"x": {"type": "number"}}}, *events)
    assert (result.valid, result.broken, result.lenient) == (1, 2, 2)
    assert result.findings[0].value == "null"


def test_the_nearest_of_several_schemas_explains(tmp_path: Path) -> None:
    schemas = [{"required": ["a", "b", "c"]}, {"properties": {"a": {"const": 1}}}]
    document = {
        "asyncapi": "3.0.0",
        "channels": {"c": {"messages": {f"m{n}": {"name": "A", "payload": each} for n, each in enumerate(schemas)}}},
    }
    result = checked(tmp_path, document, say(0, "A", {"a": 1}), say(1, "A", {"a": 2, "c": 3}))
    assert (result.valid, [finding.path for finding in result.findings]) == (1, ["b"])


def test_each_direction_has_its_own_schema(tmp_path: Path) -> None:
    document = {
        "asyncapi": "2.6.0",
        "channels": {
            "/": {
                "subscribe": {"message": {"name": "A", "payload": {"required": ["in"]}}},
                "publish": {"message": {"name": "A", "payload": {"required": ["out"]}}},
            }
        },
    }
    events = [say(0, "A", {"in": 1}), say(1, "A", {"out": 1}, direction=Direction.OUT)]
    assert checked(tmp_path, document, *events).valid == 2


def test_references_within_the_document_are_followed(tmp_path: Path) -> None:
    document = {
        "asyncapi": "3.0.0",
        "channels": {"c/~ü": {"messages": {"A": {"payload": {"$ref": "#/components/schemas/outer"}}}}},
        "components": {
            "schemas": {
                "outer": {"properties": {"p": {"$ref": "#/components/schemas/in%20ner"}}},
                "in ner": {"type": "number"},
            }
        },
    }
    result = checked(tmp_path, document, say(0, "A", {"p": 1}), say(1, "A", {"p": "1"}))
    assert (result.valid, result.findings[0].path) == (1, "p")


def test_the_type_is_found_by_the_session_s_dialect(tmp_path: Path) -> None:
    payload = {"properties": {"e": {"const": "trade"}}, "required": ["p"]}
    document = {"asyncapi": "3.0.0", "channels": {"c": {"messages": {"Trade": {"payload": payload}}}}}
    store = session(tmp_path, [say(0, "trade", {"e": "trade"})], who=identity(dialect=Dialect(type_path="e")))
    assert check_session(Session(store), document).broken == 1


def test_only_wanted_types_are_checked(tmp_path: Path) -> None:
    result = checked(tmp_path, {"required": ["x"]}, say(0, "A", {}), say(1, "B", {"x": 1}), types=["B"])
    assert (result.messages, result.broken) == (1, 0)


def test_what_is_kept_of_findings_and_types_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_MOST_FINDINGS", 3)
    monkeypatch.setattr(check, "_MOST_TYPES", 2)
    events = [say(n, "A", {f"k{n}": "x" * 1_000}) for n in range(10)]
    events += [say(20 + n, f"T{n}", {}) for n in range(6)]
    result = checked(tmp_path, {"A": {"additionalProperties": {"type": "integer"}}}, *events)
    assert len(result.findings) == 4
    assert sum(finding.count for finding in result.findings) == 10
    assert result.findings[0].type == "(other)"
    assert all(len(finding.value) <= 200 for finding in result.findings)
    assert result.unknown == {"T0": 1, "T1": 1, "(other)": 4}


@pytest.mark.parametrize("reference", ["{url}/schema.json", "file:///etc/hostname", "other.json"])
@pytest.mark.parametrize("form", ["schema", "types", "payload", "message", "below", "aside"])
def test_remote_references_are_refused_and_never_fetched(tmp_path: Path, reference: str, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        remote = {"$ref": reference.format(url=f"http://127.0.0.1:{server.getsockname()[1]}")}
        messages = {
            "payload": {"A": {"payload": remote}},
            "message": {"A": remote},
            "below": {"A": {"payload": {"properties": {"x": {"$ref": "#/components/schemas/s"}}}}},
            "aside": {"A": {"payload": {}}},
        }
        document: Any = {
            "schema": {"properties": {"x": remote}},
            "types": {"A": {"properties": {"x": remote}}},
        }.get(form) or {
            "asyncapi": "3.0.0",
            "channels": {"c": {"messages": messages[form]}},
            "components": {"schemas": {"s": {"items": remote}}},
            "definitions": {"aside": remote},  # where a registry looks for schemas by itself
        }
        with pytest.raises(UsageError) as raised:
            checked(tmp_path, document, say(0, "A", {"x": [1]}))
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "#/" in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"properties": {"a": {"type": "strng"}}}, '#/properties/a/type: "strng" is not '),
        ({"A": {"required": 3}}, "#/A/required: "),
        ({"properties": {"a": {"pattern": "("}}}, "#/properties/a/pattern: "),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "#/properties/a: $ref '#/$defs/none' leads to nothing"),
        ({"A": {"items": {"$ref": "#/x"}}}, "schema of type A: #/items: $ref '#/x' leads to nothing"),
        ({"$schema": "http://127.0.0.1:9/own"}, "#: "),
        (
            {
                "asyncapi": "3.0.0",
                "channels": {"c": {"messages": {"A": {"payload": {"$ref": "#/components/schemas/s"}}}}},
                "components": {"schemas": {"s": {"properties": {"x": {"type": 5}}}}},
            },
            "#/components/schemas/s/properties/x/type: ",
        ),
    ],
)
def test_a_wrong_schema_is_refused_and_the_place_is_named(tmp_path: Path, document: Any, place: str) -> None:
    with pytest.raises(UsageError) as raised:
        checked(tmp_path, document, say(0, "A", {"x": 1}))
    assert raised.value.message.startswith(place)
    assert raised.value.hint


def test_without_the_extra_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as raised:
        checked(tmp_path, {}, say(0, "A", {}))
    assert "jsonschema-rs is not installed" in raised.value.message
    assert "pip install 'wsrecorder[schema]'" in raised.value.hint


@pytest.mark.parametrize("levels", [100, 300, 480, 900, 5_000])
@pytest.mark.parametrize("kind", ["array", "object"])
def test_payloads_nested_deeply_do_not_fail(tmp_path: Path, levels: int, kind: str) -> None:
    deep = "[" * levels + "]" * levels
    result = checked(tmp_path, {"type": kind}, say(0, None, deep), say(1, None, f"[NaN, {deep}]"))
    assert result.messages == 2
    document = describe_session(Session(ParquetStore(next(tmp_path.iterdir()))))
    json.dumps(document, indent=2)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"asyncapi: 3.0.0", "is no JSON"), (b'{"a": ', "is no JSON"), (b"", "is no JSON"), (b"\xff", "is no JSON")],
)
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "schema.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_document(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_document(tmp_path / "none.json")
