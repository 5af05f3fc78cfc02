"""Where several connections go by, each event says which it went over and which way."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.event import Batch, Direction, Kind, Opcode
from wsrecorder.core.recorder import Limits
from wsrecorder.core.tap_recorder import TapRecorder

IN, OUT = Direction.IN, Direction.OUT

Row = tuple[int, Direction, bytes]


def recording(**limits: Any) -> TapRecorder:
    return TapRecorder(Limits(**limits), 1_000)


def rows(batch: Batch) -> list[Row]:
    """Connection, direction and payload, row by row; of a mark its kind."""
    kinds = {mark.index: str(mark.kind).encode() for mark in batch.marks}
    stops = [*(run.index for run in batch.runs[1:]), len(batch)]
    return [
        (run.conn, run.direction, kinds.get(row, batch.payloads[row]))
        for run, stop in zip(batch.runs, stops, strict=True)
        for row in range(run.index, stop)
    ]


def taken(recorder: TapRecorder) -> list[Row]:
    batch = recorder.take(0)
    return [] if batch is None else rows(batch)


def test_connections_are_numbered_as_they_come_and_keep_their_number() -> None:
    recorder = recording()
    assert [recorder.joined(1_000, {}), recorder.joined(1_001, {})] == [0, 1]
    recorder.message(0, IN, b"a", Opcode.TEXT, 1_002)
    recorder.message(1, OUT, b"b", Opcode.BINARY, 1_003)
    recorder.message(0, OUT, b"c", Opcode.TEXT, 1_004)
    recorder.left(0, 1_005, code=1000, reason="", cause="closed by the client")
    assert recorder.joined(1_006, {}) == 2
    assert taken(recorder) == [
        (0, IN, b"open"),
        (1, IN, b"open"),
        (0, IN, b"a"),
        (1, OUT, b"b"),
        (0, OUT, b"c"),
        (0, IN, b"close"),
        (2, IN, b"open"),
    ]


def test_a_connection_that_ends_leaves_no_gap() -> None:
    recorder = recording()
    recorder.joined(1_000, {})
    recorder.left(0, 1_001, code=1006, reason="", cause="the client cut the connection")
    recorder.joined(2_000, {})
    recorder.ended(3_000)
    batch = recorder.take(0)
    assert batch is not None
    assert [mark.kind for mark in batch.marks] == [Kind.OPEN, Kind.CLOSE, Kind.OPEN, Kind.CLOSE]
    assert json.loads(batch.marks[1].detail) == {"code": 1006, "reason": "", "cause": "the client cut the connection"}
    assert recorder.gaps == 0


def test_the_end_closes_who_is_still_here() -> None:
    recorder = recording()
    for _ in range(3):
        recorder.joined(1_000, {})
    recorder.left(1, 1_001, code=1000, reason="", cause="")
    taken(recorder)
    recorder.ended(1_002)
    assert taken(recorder) == [(0, IN, b"close"), (2, IN, b"close")]


def test_a_message_that_is_not_known_is_a_gap_where_it_was() -> None:
    recorder = recording()
    recorder.joined(1_000, {})
    recorder.message(0, IN, b"a", Opcode.TEXT, 1_001)
    recorder.dropped(0, OUT, 1_002, {"cause": "too large"})
    assert taken(recorder) == [(0, IN, b"open"), (0, IN, b"a"), (0, OUT, b"gap")]
    assert recorder.gaps == 1


def test_frames_of_both_directions_count_towards_the_limit() -> None:
    recorder = recording(max_events=2)
    recorder.joined(1_000, {})
    assert not recorder.message(0, IN, b"a", Opcode.TEXT, 1_001)
    assert recorder.message(0, OUT, b"b", Opcode.TEXT, 1_002)
    assert recorder.complete
    recorder.message(0, OUT, b"c", Opcode.TEXT, 1_003)
    assert [payload for _, _, payload in taken(recorder)] == [b"open", b"a", b"b"]


moves = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([IN, OUT]), st.binary(max_size=3), st.booleans()), max_size=60
)


@given(moves)
def test_where_batches_are_cut_makes_no_difference(moves: list[tuple[int, Direction, bytes, bool]]) -> None:
    recorder = recording()
    for _ in range(4):
        recorder.joined(1_000, {})
    found = taken(recorder)[4:]
    for conn, direction, payload, is_cut in moves:
        recorder.message(conn, direction, payload, Opcode.BINARY, 1_001)
        if is_cut:
            found += taken(recorder)
    assert found + taken(recorder) == [move[:3] for move in moves]
