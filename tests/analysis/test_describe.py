"""Sessions described: as the official schema says, true of every message, and bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from docs.example import add_session
from tests.analysis.test_check import say
from tests.jobs.replays import identity, message, session
from wsrecorder.analysis.check import check_session
from wsrecorder.analysis.describe import LONGEST_EXAMPLE, MOST_MESSAGES, describe_session
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event
from wsrecorder.core.messages import DATA_TYPES
from wsrecorder.core.schema_inference import DEEPEST
from wsrecorder.jobs.convert import ImportOptions, import_file

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def official() -> jsonschema_rs.Validator:
    text = (PROJECT / "tests/schemas/asyncapi-3.0.0.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft7Validator(json.loads(text), validate_formats=True, offline=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return open_session(add_session(tmp_path_factory.mktemp("library"), messages=2_000))


def messages_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["messages"]
    return found


def test_the_simulated_engine_is_described_as_the_official_schema_says(
    engine: Session, official: jsonschema_rs.Validator
) -> None:
    document = describe_session(engine)
    official.validate(document)
    assert {name: found["x-wsrec"]["count"] for name, found in messages_of(document).items()} == engine.info.types
    assert set(messages_of(document)) <= set(DATA_TYPES)
    assert document["servers"]["feed"]["host"] == "localhost:8000"
    assert document["channels"]["feed"]["address"] == "/ws/"


def test_nothing_in_a_session_breaks_its_own_description(engine: Session) -> None:
    result = check_session(engine, json.loads(json.dumps(describe_session(engine))))
    assert result.is_kept(strict=True)
    assert (result.valid, result.findings) == (2_000, [])
    assert result.lenient > 0


def test_schemas_say_what_the_engine_is_known_to_send(engine: Session) -> None:
    payload = messages_of(describe_session(engine))["ORDER_PLACED"]["payload"]
    assert payload["required"] == ["type", "ts", "data"]
    assert payload["properties"]["type"] == {"type": "string", "const": "ORDER_PLACED"}
    order = payload["properties"]["data"]["properties"]["order"]
    assert order["properties"]["side"] == {"type": "string", "enum": ["buy", "sell"]}
    assert order["properties"]["qty"] == {"type": "number"}
    assert "enum" not in order["properties"]["id"]


def test_a_place_that_held_nan_is_marked(engine: Session) -> None:
    assert '"x-wsrec-non-finite": true' in json.dumps(describe_session(engine, types=["SCAN_RESULT"]))


@pytest.mark.parametrize("name", ["BINANCE_DELIVERY.ws.1.0", "COINBASE.ws.28.0", "HUOBI_SWAP.ws.1.0"])
def test_real_captures_are_described_truly(
    name: str, captures: Path, tmp_path: Path, official: jsonschema_rs.Validator
) -> None:
    if not (captures / name).exists():
        pytest.skip(f"there is no {captures / name}: set WSREC_CAPTURES to a folder that holds it")
    import_file(ImportOptions(file=captures / name, library=tmp_path, name="real"))
    found = open_session("real", library=tmp_path)
    document = describe_session(found)
    official.validate(document)
    result = check_session(found, document)
    assert result.is_kept(strict=True)
    assert result.messages == found.info.messages > 1_000


def odd_session(tmp_path: Path) -> Session:
    events = [
        say(0, "A", {"type": "A"}),
        say(1, "A", {"type": "A", "token": 1}, Direction.OUT),
        say(2, None, [1, 2]),
        say(3, None, "ping"),
        say(4, None, b"\x1f\x8b\x00"),
        say(5, "B", b'{"type": "B"}'),
        say(6, None, '{"x": "\\ud800", "y": NaN}'),
    ]
    return Session(session(tmp_path, events))


def test_frames_of_each_kind_and_direction_are_messages_of_their_own(
    tmp_path: Path, official: jsonschema_rs.Validator
) -> None:
    found = odd_session(tmp_path)
    document = describe_session(found)
    official.validate(document)
    counts = {key: (each["name"], each["x-wsrec"]["count"]) for key, each in messages_of(document).items()}
    assert counts == {
        "A": ("A", 1), "B": ("B", 1), "untyped": ("(untyped)", 2), "text": ("(text)", 1),
        "binary": ("(binary)", 1), "A-2": ("A", 1),
    }  # fmt: skip
    assert document["operations"]["receive"]["messages"] == [{"$ref": "#/channels/feed/messages/A-2"}]
    assert json.loads(json.dumps(document, allow_nan=False).encode()) == document
    assert check_session(found, document).is_kept(strict=True)


def test_only_wanted_types_are_described(engine: Session) -> None:
    assert list(messages_of(describe_session(engine, types=["SIGNAL"]))) == ["SIGNAL"]
    assert "SIGNAL" not in messages_of(describe_session(engine, exclude=["SIGNAL"]))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_examples_as_asked_for_all_different(engine: Session, count: int) -> None:
    message = messages_of(describe_session(engine, types=["HEARTBEAT"], examples=count))["HEARTBEAT"]
    payloads = [json.dumps(example["payload"]) for example in message.get("examples", [])]
    assert len(payloads) == len(set(payloads)) == count


def test_long_payloads_are_no_examples(tmp_path: Path) -> None:
    events = [message(0, "A", text=json.dumps({"type": "A", "x": "y" * LONGEST_EXAMPLE})), message(1, "A")]
    found = messages_of(describe_session(Session(session(tmp_path, events))))["A"]
    assert [example["payload"]["type"] for example in found["examples"]] == ["A"]
    assert "x" not in found["examples"][0]["payload"]


def test_deeply_nested_payloads_are_no_examples(tmp_path: Path) -> None:
    deep = "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)
    found = Session(
        session(tmp_path, [say(0, "A", {"type": "A", "x": 1}), say(1, "A", f'{{"type": "A", "x": {deep}}}')])
    )
    examples = messages_of(describe_session(found, examples=5))["A"]["examples"]
    assert examples == [{"payload": {"type": "A", "x": 1}}]


def test_a_feed_with_ids_for_types_has_a_bounded_document(tmp_path: Path, official: jsonschema_rs.Validator) -> None:
    events = [message(n, f"T{n:04}") for n in range(MOST_MESSAGES + 50)]
    found = Session(session(tmp_path, events))
    document = describe_session(found)
    official.validate(document)
    assert len(messages_of(document)) == MOST_MESSAGES + 1
    assert messages_of(document)["other"]["x-wsrec"]["count"] == 50
    assert check_session(found, document).is_kept(strict=True)


@pytest.mark.parametrize(
    ("type_path", "text", "place"),
    [
        ("data.e", '{"data": {"e": "tick1"}}', ["data", "e"]),
        ("type", '{"type": "tick1"}', ["type"]),
    ],
)
def test_the_type_is_pinned_where_the_dialect_has_it(
    tmp_path: Path, type_path: str, text: str, place: list[str]
) -> None:
    who = identity(dialect=Dialect(type_path=type_path))
    found = Session(session(tmp_path, [message(0, "tick1", text=text)], who=who))
    schema = messages_of(describe_session(found))["tick1"]["payload"]
    for key in place:
        schema = schema["properties"][key]
    assert schema == {"type": "string", "const": "tick1"}


@pytest.mark.parametrize("texts", [['{"type": 5}'], ['{"type": "A"}', '{"type": "B"}'], ["[]"], ['{"type": null}']])
def test_a_type_that_is_not_there_is_not_pinned(tmp_path: Path, texts: list[str]) -> None:
    found = Session(session(tmp_path, [message(n, "5", text=text) for n, text in enumerate(texts)]))
    document = describe_session(found)
    assert "const" not in json.dumps(document)
    assert check_session(found, document).is_kept(strict=True)


def test_a_session_without_messages_is_described_too(tmp_path: Path, official: jsonschema_rs.Validator) -> None:
    events: list[Event] = []
    document = describe_session(Session(session(tmp_path, events)))
    official.validate(document)
    assert messages_of(document) == {}
