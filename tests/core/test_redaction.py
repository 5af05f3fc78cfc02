"""Redaction: only the bytes of the values change, the same value gets the same stand-in, and nobody can undo it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsrecorder.core.redaction import Redactor
from wsrecorder.core.stand_ins import StandIns
from wsrecorder.errors import UsageError

STAND_INS = StandIns(b"a secret of the tests")


def redacted(payload: str | bytes, *paths: str, stand_ins: StandIns = STAND_INS, **options: Any) -> bytes:
    return Redactor(paths, stand_ins, **options).redact(payload.encode() if isinstance(payload, str) else payload)


def of(value: str) -> str:
    return STAND_INS.of(value)


def test_the_value_is_replaced_and_every_other_byte_stays() -> None:
    payload = '{ "data" :{"account": {"key":\t"k-1" , "n": 1.0e0,"s":"\\u00e9"}}}\r\n'
    expected = payload.replace('"k-1"', f'"{of("k-1")}"')
    assert redacted(payload, "data.account.key") == expected.encode()
    assert of("k-1").startswith("redacted-")
    assert len(of("k-1")) == len("redacted-") + 12


def test_the_same_value_gets_the_same_stand_in_however_it_is_written() -> None:
    found = redacted('{"a":"k1","b":"\\u006b1","c":["k2"],"d":7,"e":"7"}', "a", "b", "c.*", "d", "e")
    assert json.loads(found) == {"a": of("k1"), "b": of("k1"), "c": [of("k2")], "d": of("7"), "e": of("7")}
    assert of("k1") != of("k2")
    assert StandIns(b"another").of("k1") != of("k1")


@pytest.mark.parametrize(
    ("path", "payload", "expected"),
    [
        ("a", '{"a":"x","b":{"a":"x"}}', '{"a":"R","b":{"a":"x"}}'),
        ("b.a", '{"a":"x","b":{"a":"x"}}', '{"a":"x","b":{"a":"R"}}'),
        ("*.a", '{"a":"x","b":{"a":"x"},"c":[{"a":"x"}]}', '{"a":"x","b":{"a":"R"},"c":[{"a":"R"}]}'),
        ("b.*", '{"b":{"q":"x","p":"x"},"c":"x"}', '{"b":{"q":"R","p":"R"},"c":"x"}'),
        ("b.*", '{"b":["x",["x"]]}', '{"b":["R","S"]}'),
        ("b.*.a", '{"b":[{"a":"x"},{"a":"x"}]}', '{"b":[{"a":"R"},{"a":"R"}]}'),
        ("b.a", '{"b":[{"a":"x"},[{"a":"x"}]]}', '{"b":[{"a":"R"},[{"a":"R"}]]}'),
        ("a", '[{"a":"x"},1,{"a":"x"}]', '[{"a":"R"},1,{"a":"R"}]'),
        ("*", '["x"]', '["R"]'),
        ("a", '{"a":"x","a":"x"}', '{"a":"R","a":"R"}'),
        ("a", '{"\\u0061":"x"}', '{"\\u0061":"R"}'),
        ("a b", '{"a b":"x"}', '{"a b":"R"}'),
        ("é", '{"é":"x","\\u00e9":"x"}', '{"é":"R","\\u00e9":"R"}'),
        ("a", '{"a":null}', '{"a":null}'),
        ("a.b", '{"a":"x"}', '{"a":"x"}'),
        ("a", '{"a":["x"]}', '{"a":"S"}'),
        ("a", '{"A":"x"}', '{"A":"x"}'),
        ("a", '{"b":"a","c":{}, "d":[]}', '{"b":"a","c":{}, "d":[]}'),
        ("a", '{"a":NaN,"b":-Infinity}', '{"a":"N","b":-Infinity}'),
    ],
)
def test_paths(path: str, payload: str, expected: str) -> None:
    for letter, value in (("R", "x"), ("S", '["x"]'), ("N", "NaN")):
        expected = expected.replace(f'"{letter}"', f'"{of(value)}"')
    assert redacted(payload, path).decode() == expected


def test_of_values_within_each_other_the_outermost_is_replaced() -> None:
    redactor = Redactor(["a", "a.b", "c"], STAND_INS)
    assert json.loads(redactor.redact(b'{"a":{"b":"x","d":[{}]},"c":1}')) == {
        "a": of('{"b":"x","d":[{}]}'), "c": of("1"),
    }  # fmt: skip
    assert redactor.hits == {"a": 1, "c": 1}


BROKEN = [
    "", "{", "[1", "]", "}", '{"a"}', '{"a":}', '{"a":"x"', '{"a":"x"]', '["a":1]', "[1,]", '{"a":"x",}', '{"a":1 2}',
    ",", '{"a":"x"} x', '{"a":"x"}{}', "{1:2}", '{"a":tru}', '{"a":"x', "{,}", '{"a":,}', "a", ":", '{"a" "x"}',
    '{"a":0x1}',
    '[1}', '{"a":[}', "1 2", '"a" ,', "[,1]", '{"a":1,:',
]  # fmt: skip


@pytest.mark.parametrize("payload", BROKEN)
def test_what_is_no_json_is_kept_and_counted(payload: str) -> None:
    redactor = Redactor(["*"], STAND_INS)
    assert redactor.redact(payload.encode()) == payload.encode()
    assert redactor.unparsed == 1
    assert redactor.hits == {}


def test_payloads_without_the_key_are_not_looked_at_unless_asked() -> None:
    quick, thorough = Redactor(["a"], STAND_INS), Redactor(["a"], STAND_INS, looks_at_all=True)
    for payload in (b"ping", b"\x1f\x8b\x00", b'{"b":NaN}', b'{"b":1}', b'{"b":"\\u0061"}'):
        assert quick.redact(payload) == thorough.redact(payload) == payload
    assert (quick.unparsed, thorough.unparsed) == (0, 2)
    # A key with a quote may be written in more ways.
    assert redacted('{"a\\"":"x"}', 'a"') == b'{"a\\"":"%s"}' % of("x").encode()
    assert Redactor(['a"'], STAND_INS).redact(b"\\") == b"\\"


def test_bytes_that_are_not_utf8_are_no_obstacle() -> None:
    assert redacted(b'{"a":"x","b":"\xff"}', "a") == b'{"a":"%s","b":"\xff"}' % of("x").encode()
    assert b"\xff" not in redacted(b'{"a":"\xff"}', "a")
    assert json.loads(redacted('{"a":"\\ud800"}', "a"))["a"].startswith("redacted-")
    assert json.loads(redacted(b'{"a":"tab\there"}', "a"))["a"] == of("tab\there")


def test_nesting_without_end_is_walked_over() -> None:
    deep = b"[" * 50_000 + b'{"a":"x"}' + b"]" * 50_000
    assert redacted(deep, "a") == deep.replace(b"x", of("x").encode())
    assert Redactor(["b"], STAND_INS, looks_at_all=True).redact(deep) == deep


def test_an_empty_path_or_secret_is_refused() -> None:
    for path in ("", "a..b", ".a"):
        with pytest.raises(UsageError, match="has an empty part"):
            Redactor([path], STAND_INS)


keys = st.sampled_from(["a", "b", "key", "é", 'q"'])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
paths = st.lists(st.lists(keys | st.just("*"), min_size=1, max_size=3).map(".".join), min_size=1, max_size=3)


def replaced(value: Any, tails: list[tuple[str, ...]]) -> Any:
    """Return what a value says after its redaction: the plain way, by paths."""
    if () in tails:
        return None if value is None else ...
    if isinstance(value, dict):
        return {
            key: replaced(inner, [tail[1:] for tail in tails if tail[0] in (key, "*")]) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [replaced(inner, [*tails, *(tail[1:] for tail in tails if tail[0] == "*")]) for inner in value]
    return value


def hide(value: Any, expected: Any) -> Any:
    """Return a value with what is expected to be a stand-in as one sign, after a look at it."""
    if expected is ...:
        assert isinstance(value, str)
        assert value.startswith("redacted-")
        return ...
    if isinstance(expected, dict):
        return {key: hide(value[key], inner) for key, inner in expected.items()}
    if isinstance(expected, list):
        return [hide(one, other) for one, other in zip(value, expected, strict=True)]
    return value


@settings(max_examples=200)
@given(values, paths, st.booleans(), st.sampled_from([None, 1]))
def test_exactly_what_the_paths_lead_to_is_replaced(
    value: Any, paths: list[str], ascii_: bool, indent: int | None
) -> None:
    payload = json.dumps(value, ensure_ascii=ascii_, indent=indent).encode(errors="surrogatepass")
    redactor = Redactor(paths, STAND_INS)
    found = redactor.redact(payload)
    expected = replaced(value, [tuple(path.split(".")) for path in paths])
    got = json.loads(found.decode(errors="surrogatepass"))
    assert repr(hide(got, expected)) == repr(expected)
    assert redactor.unparsed == 0


@settings(max_examples=200)
@given(values, paths)
def test_outside_of_the_values_bytes_are_equal(value: Any, paths: list[str]) -> None:
    payload = json.dumps(value).encode()
    redactor = Redactor(paths, STAND_INS)
    spans = redactor._spans(payload)
    assert spans is not None
    rest, rest_after, end, shift = b"", b"", 0, 0
    after = redactor.redact(payload)
    for start, stop in spans:
        rest += payload[end:start]
        rest_after += after[end + shift : start + shift]
        shift += len(STAND_INS.of_token(payload[start:stop])) - (stop - start)
        end = stop
    assert rest + payload[end:] == rest_after + after[end + shift :]
    assert redactor.redact(payload) == after


@given(st.binary(max_size=40) | st.text('{}[],:"ab\\ 1', max_size=30).map(str.encode))
def test_any_bytes_are_taken(payload: bytes) -> None:
    redactor = Redactor(["a", "*.b"], STAND_INS, looks_at_all=True)
    found = redactor.redact(payload)
    try:
        json.loads(payload, strict=False)
    except (ValueError, RecursionError):
        return
    assert redactor.unparsed == 0
    json.loads(found, strict=False)
