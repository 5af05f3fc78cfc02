"""When two sayings are the same."""

from __future__ import annotations

import pytest

from wsrecorder.core.event import Opcode
from wsrecorder.core.likeness import ABSENT, Change
from wsrecorder.core.saying import BY_EXACT, BY_JSON, BY_TYPE, Matching, Said, changes, matching_named

SUBSCRIBE = Said(b'{"type": "subscribe", "channels": ["a", "b"]}', type="subscribe")


@pytest.mark.parametrize(
    ("matching", "found", "does"),
    [
        (BY_EXACT, Said(SUBSCRIBE.payload), True),
        (BY_EXACT, Said(SUBSCRIBE.payload, Opcode.BINARY), False),
        (BY_EXACT, Said(b'{"channels": ["a", "b"], "type": "subscribe"}'), False),
        (BY_JSON, Said(b'{"channels":["a","b"],"type":"subscribe"}'), True),
        (BY_JSON, Said(b'{"channels":["b","a"],"type":"subscribe"}'), False),
        (BY_JSON, Said(b"subscribe"), False),
        (BY_TYPE, Said(b"", type="subscribe"), True),
        (BY_TYPE, Said(SUBSCRIBE.payload, type="unsubscribe"), False),
        (BY_TYPE, Said(SUBSCRIBE.payload), False),
    ],
)
def test_what_matches(matching: Matching, found: Said, does: bool) -> None:
    assert (matching.first(found, [SUBSCRIBE]) is not None) is does
    assert (matching.key(found) == matching.key(SUBSCRIBE)) is does


def test_of_several_that_match_the_first_is_told() -> None:
    assert BY_JSON.first(Said(b"[1]"), [Said(b"[2]"), Said(b"[ 1 ]"), Said(b"[1]")]) == 1
    assert BY_JSON.first(Said(b"[1]"), []) is None


def test_messages_without_a_type_are_alike() -> None:
    assert BY_TYPE.first(Said(b"a"), [Said(b"b", type="x"), Said(b"c")]) == 1


def test_a_matching_is_known_by_its_name_and_all_else_is_a_condition() -> None:
    assert [matching_named(name) for name in ("exact", "json", "type")] == [BY_EXACT, BY_JSON, BY_TYPE]
    assert matching_named("type = 'x'") is None


def test_differences_are_told_by_path() -> None:
    found = Said(b'{"type": "subscribe", "channels": ["a", "c"], "id": 1}')
    assert changes(SUBSCRIBE, found) == (Change("channels[1]", "b", "c"), Change("id", ABSENT, 1))
    assert changes(SUBSCRIBE, Said(SUBSCRIBE.payload.replace(b" ", b""))) == ()


def test_what_is_nested_without_end_differs_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(before: object, after: object) -> None:
        raise RecursionError

    monkeypatch.setattr("wsrecorder.core.saying.changes_between", too_deep)
    assert changes(Said(b"[1]"), Said(b"[2]")) == (Change("", b"[1]", b"[2]"),)
