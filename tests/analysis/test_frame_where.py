"""SQL conditions on frames of clients."""

from __future__ import annotations

import pytest

from wsrecorder.analysis.frame_where import FrameWhere
from wsrecorder.core.event import Opcode
from wsrecorder.core.saying import Said
from wsrecorder.errors import UsageError

FOUND = Said(b'{"op": "sub", "id": 2}', type="sub")


@pytest.mark.parametrize(
    ("expression", "does"),
    [
        ("type = 'sub'", True),
        ("payload->>'$.op' = 'sub' AND text LIKE '%id%'", True),
        ('"binary" IS NULL', True),
        ("expected IS NULL OR expected.type IS NULL", True),
        ("expected.type = 'sub'", False),
        ("NULL", False),
        ("type = 'x' OR type = 'sub' -- either", True),
        ("cast(text AS INTEGER) = 1", False),
    ],
)
def test_it_holds_where_it_is_true(expression: str, does: bool) -> None:
    assert FrameWhere(expression).holds(FOUND) is does


def test_of_those_expected_the_first_for_which_it_is_true_is_told() -> None:
    condition = FrameWhere("payload->>'$.op' = expected.payload->>'$.op'")
    expected = [Said(b"x"), Said(b'{"op": "unsub"}'), Said(b'{"op": "sub", "id": 1}'), Said(b'{"op": "sub"}')]
    assert condition.first(FOUND, expected) == 2
    assert condition.first(FOUND, expected[:2]) is None
    assert condition.first(FOUND, []) is None
    assert condition.key(FOUND) is None


def test_binary_frames_and_text_that_is_not_utf_8_are_seen_as_binary() -> None:
    condition = FrameWhere('text IS NULL AND "binary" = expected."binary"')
    for opcode in Opcode:
        assert condition.first(Said(b"\xff", opcode), [Said(b"\xff", opcode)]) == 0
    assert not condition.holds(Said(b"\xff"))


@pytest.mark.parametrize(
    "expression", ["nobody = 1", "count(*) > 1", "1; SELECT 2", "1) OR (1", "", "(SELECT", "read_csv('/etc/passwd')"]
)
def test_what_is_no_condition_is_refused_at_once(expression: str) -> None:
    with pytest.raises(UsageError):
        FrameWhere(expression)
