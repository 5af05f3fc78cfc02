"""What of payloads is compared: identities, ignored parts, entities, and where two values differ."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given

from tests.core.test_lenient import JSON
from wsrecorder.core import likeness
from wsrecorder.core.likeness import ABSENT, Change, Likeness, changes_between, general_path
from wsrecorder.errors import UsageError


def same(one: bytes, other: bytes) -> bool:
    return Likeness().read(one).identity == Likeness().read(other).identity


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (b'{"a": 1, "b": 2}', b'{"b":2,"a":1}', True),
        (b'{"a": 1}', b'{"a": 1.0}', False),
        (b'{"a": null}', b"{}", False),
        (b'{"a": NaN}', b'{"a":NaN}', True),
        (b'{"a": NaN}', b'{"a": null}', False),
        (b'{"a": "\\ud800"}', b'{"a":"\\ud800"}', True),
        (b"[1, 2]", b"[2, 1]", False),
        (b"not json", b"not json", True),
        (b"not json", b"not  json", False),
        (b"\xff\x00", b"\xff\x01", False),
        (b"null", b"null", True),
        (b"", b"", True),
        (b"[" * 100_000, b"[" * 100_000, True),
        (b"[" * 20_000 + b"]" * 20_000, b"[" * 20_000 + b"]" * 20_000, True),
        (b'{"a": 123456789012345678901234567890}', b'{"a": 123456789012345678901234567890}', True),
    ],
)
def test_payloads_that_say_the_same_are_the_same(one: bytes, other: bytes, is_same: bool) -> None:
    assert same(one, other) is is_same


def test_keys_are_left_out_wherever_they_stand() -> None:
    assert Likeness(ignore=["ts"]).read(b'{"ts": 1, "data": [{"ts": 2, "x": {"ts": 3}}, 4]}').value == {
        "data": [{"x": {}}, 4]
    }


@pytest.mark.parametrize(
    ("path", "top", "inner", "listed", "deep"),
    [
        ("data.timestamp", True, False, True, True),
        ("timestamp", False, True, True, True),
        ("data.orders.timestamp", True, True, False, True),
        ("data.orders[0].timestamp", True, True, False, True),
        ("data.orders[].timestamp", True, True, False, True),
        ("data.*.timestamp", True, True, False, False),
        ("nobody.timestamp", True, True, True, True),
    ],
)
def test_paths_are_left_out_where_they_lead(path: str, top: bool, inner: bool, listed: bool, deep: bool) -> None:
    def stamped(stamp: bool, **more: Any) -> dict[str, Any]:
        return {**({"timestamp": 1} if stamp else {}), **more}

    def whole(top: bool, inner: bool, listed: bool, deep: bool) -> dict[str, Any]:
        return stamped(top, data=stamped(inner, orders=[stamped(listed, id=1), 5], x=stamped(deep)))

    payload = json.dumps(whole(True, True, True, True)).encode()
    assert Likeness(ignore_paths=[path]).read(payload).value == whole(top, inner, listed, deep)


def test_a_value_too_deep_to_be_walked_is_compared_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(value: Any) -> bytes:
        raise RecursionError

    monkeypatch.setattr(likeness, "_spelled", endless)
    assert Likeness().read(b'{"a": NaN}').value == b'{"a": NaN}'


@pytest.mark.parametrize("path", ["", "data.", ".ts", "a..b"])
def test_a_path_with_an_empty_part_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="empty part"):
        Likeness(ignore_paths=[path])
    with pytest.raises(UsageError, match="empty part"):
        Likeness(entity_paths=[path])


@pytest.mark.parametrize(
    ("data", "entity"),
    [
        ({"order": {"id": "o1"}}, "o1"),
        ({"position": {"id": 7}}, "7"),
        ({"position_id": "p1"}, "p1"),
        ({"signals": [{"correlation_id": "s1"}, {"correlation_id": "s2"}]}, "s1 s2"),
        ({"state": "idle"}, None),
        ({"order": {"id": None}}, None),
        ([1, 2], None),
    ],
)
def test_entities_of_the_engine_are_told_apart(data: Any, entity: str | None) -> None:
    assert Likeness().read(json.dumps({"data": data}).encode()).entity == entity


def test_entities_of_other_feeds_are_told_apart_by_a_path() -> None:
    found = Likeness(entity_paths=["product_id", "data.*.id"])
    assert found.read(b'{"product_id": "BTC"}').entity == "BTC"
    assert found.read(b'{"data": {"x": {"id": 5}}}').entity == "5"


def test_an_ignored_id_tells_nothing_apart() -> None:
    assert Likeness(ignore=["id"]).read(b'{"data": {"order": {"id": "o1"}}}').entity is None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, [("a.b[1].c", 2, 3)]),
        ({"a": 1}, {"b": 1}, [("a", 1, ABSENT), ("b", ABSENT, 1)]),
        ([1], [1, 2], [("[1]", ABSENT, 2)]),
        ([1, 2], [1], [("[1]", 2, ABSENT)]),
        (1, 1.0, [("", 1, 1.0)]),
        (True, 1, [("", True, 1)]),
        ({"a": None}, {"a": None}, []),
        (float("nan"), float("nan"), []),
        ({"a": {}}, {"a": []}, [("a", {}, [])]),
        (b"x", b"y", [("", b"x", b"y")]),
    ],
)
def test_changes_are_named_by_their_path(before: Any, after: Any, expected: list[Any]) -> None:
    assert list(changes_between(before, after)) == [Change(*each) for each in expected]


@given(JSON, JSON)
def test_values_have_changes_exactly_when_they_are_not_the_same(one: Any, other: Any) -> None:
    payloads = [json.dumps(value).encode() for value in (one, other)]
    values = [Likeness().read(payload).value for payload in payloads]
    assert same(*payloads) is (list(changes_between(*values)) == [])
    assert list(changes_between(values[0], deepcopy(values[0]))) == []


def test_places_in_lists_can_be_left_out_of_a_path() -> None:
    assert general_path("data.orders[12].x[0]") == "data.orders[].x[]"
