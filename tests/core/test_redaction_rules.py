"""Batches before they are written: what is replaced in them, and what is counted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.event import Batch, Kind, Mark, Opcode
from wsrecorder.core.redaction_rules import NOT_JSON, BatchRedactor, RedactionRules
from wsrecorder.core.stand_ins import StandIns
from wsrecorder.errors import UsageError

SECRET = "hunter2"


def rules(*paths: str) -> RedactionRules:
    return RedactionRules(paths, StandIns(b"0123456789abcdef"))


def batch_of(*payloads: bytes) -> Batch:
    batch = Batch(0, 0)
    for payload in payloads:
        batch.payloads.append(payload)
        batch.opcodes.append(Opcode.TEXT)
        batch.elapsed_ns.append(0)
    return batch


def test_values_are_replaced_and_counted_by_path() -> None:
    batch = batch_of(b'{"a": {"key": "hunter2"}}', b'{"a": {"key": "hunter2"}, "b": 1}', b'{"b": 1}')
    redactor = BatchRedactor(rules("a.key", "a.none"))
    redactor.redact(batch)
    first, second, third = map(json.loads, batch.payloads)
    assert first["a"]["key"] == second["a"]["key"] != SECRET
    assert (second["b"], third) == (1, {"b": 1})
    assert redactor.counts == {"a.key": 2, "a.none": 0, NOT_JSON: 0}


def test_marks_are_left_alone() -> None:
    batch = batch_of(b'{"key": "hunter2"}')
    batch.payloads.append(b"")
    batch.opcodes.append(0)
    batch.elapsed_ns.append(0)
    batch.marks.append(Mark(1, Kind.CLOSE, "{}"))
    BatchRedactor(rules("*")).redact(batch)
    assert batch.payloads[1] == b""


@pytest.mark.parametrize(
    "payload",
    [
        b'42["login", {"key": "hunter2"}]',  # a prefix, as Socket.IO has it
        b'{"key": "hunter2"',
        b'{"key": "hunter2"}\n{"key": "hunter2"}',
        b'{\'x\': 1, "key": "hunter2"}',
        b'\xff\xfe{"key": "hunter2"}',
        b'{"\\u006bey": "hunter2"',  # the name in other letters
        b"key=hunter2",
        b"key: hunter2\nother: 1",
        b"{'key':'hunter2'}",
        b"\x81\xa3key\xa7hunter2",  # MessagePack
        b"[NaN, key=hunter2]",
        b'{"\\\x00": 1, "key": "hunter2"}',  # no such escape
    ],
)
def test_what_is_no_json_and_mentions_the_name_is_replaced_whole(payload: bytes) -> None:
    batch = batch_of(payload, payload, b"hello", b"\x00\x01")
    redactor = BatchRedactor(rules("key"))
    redactor.redact(batch)
    assert SECRET.encode() not in b"".join(batch.payloads)
    assert batch.payloads[0] == batch.payloads[1]
    assert batch.payloads[0].startswith(b"redacted-")
    assert batch.payloads[2:] == [b"hello", b"\x00\x01"]
    assert redactor.counts == {"key": 0, NOT_JSON: 2}


@pytest.mark.parametrize("payload", [b'{"monkey": "key"}', b'{"keys": [NaN]}', b'"the key"', b"hello"])
def test_json_that_mentions_the_name_elsewhere_stays(payload: bytes) -> None:
    batch = batch_of(payload)
    redactor = BatchRedactor(rules("key"))
    redactor.redact(batch)
    assert batch.payloads == [payload]
    assert redactor.counts[NOT_JSON] == 0


def test_a_name_that_json_escapes_is_found_both_ways() -> None:
    batch = batch_of(b'{"a\\"b": "hunter2"}', b'a"b=hunter2')
    BatchRedactor(rules('a"b')).redact(batch)
    assert SECRET.encode() not in b"".join(batch.payloads)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(values, st.sampled_from([None, 1]), st.booleans(), st.integers(0, 200))
def test_no_secret_is_left_wherever_its_name_stands(
    around: object, indent: int | None, escaped: bool, cut: int
) -> None:
    text = json.dumps({"around": around, "key": SECRET, "more": [{"key": [SECRET]}]}, indent=indent)
    if escaped:
        text = text.replace('"key"', '"\\u006b\\u0065y"')
    batch = batch_of(text.encode(), text.encode()[: max(0, len(text) - cut)])
    BatchRedactor(rules("key", "more.key", "around.*")).redact(batch)
    assert SECRET.encode() not in b"".join(batch.payloads)


def test_a_path_that_is_none_is_said_before_anything_is_recorded() -> None:
    with pytest.raises(UsageError, match="empty part"):
        BatchRedactor(rules("a..b"))
