"""The recorder decides what becomes an event and when a batch is due; it is told the time."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsrecorder.core.event import Batch, Direction, Opcode, Run
from wsrecorder.core.recorder import Limits, Recorder, Retry

START_NS = 1_000
WALL_OFFSET_NS = 1_700_000_000_000_000_000


def recording(**limits: Any) -> Recorder:
    """Return a recorder with one open connection."""
    recorder = Recorder(Limits(**limits), START_NS)
    recorder.opened(START_NS, {"url": "ws://feed"})
    return recorder


def taken(recorder: Recorder) -> Batch:
    batch = recorder.take(WALL_OFFSET_NS)
    assert batch is not None
    return batch


def marks(batch: Batch) -> list[tuple[int, str, dict[str, Any]]]:
    return [(mark.index, str(mark.kind), json.loads(mark.detail)) for mark in batch.marks]


def conns(batch: Batch) -> list[tuple[int, Direction]]:
    """Connection and direction, row by row, as the runs say."""
    stops = [*(run.index for run in batch.runs[1:]), len(batch)]
    return [
        (run.conn, run.direction) for run, stop in zip(batch.runs, stops, strict=True) for _ in range(run.index, stop)
    ]


# Frames


def test_frames_keep_payload_opcode_and_time() -> None:
    recorder = recording()
    assert not recorder.frame(b"one", Opcode.TEXT, START_NS + 5)
    assert not recorder.frame(b"\xff", Opcode.BINARY, START_NS + 9)
    batch = taken(recorder)
    assert batch.payloads == [b"", b"one", b"\xff"]
    assert list(batch.opcodes) == [0, Opcode.TEXT, Opcode.BINARY]
    assert list(batch.elapsed_ns) == [0, 5, 9]
    assert batch.size_bytes == 4
    assert recorder.messages == 2
    assert recorder.last_frame_ns == START_NS + 9


def test_wall_offset_leads_from_elapsed_time_to_utc() -> None:
    recorder = recording()
    batch = taken(recorder)
    # What turns monotonic time into UTC must also turn time since the beginning into UTC.
    assert batch.elapsed_ns[0] + batch.wall_offset_ns == START_NS + WALL_OFFSET_NS


def test_sequence_goes_on_from_batch_to_batch() -> None:
    recorder = recording()
    assert taken(recorder).first_seq == 0
    recorder.frame(b"a", Opcode.TEXT, START_NS)
    recorder.frame(b"b", Opcode.TEXT, START_NS)
    assert taken(recorder).first_seq == 1
    recorder.noted(START_NS, "hello")
    assert taken(recorder).first_seq == 3


def test_nothing_taken_when_there_is_nothing() -> None:
    recorder = Recorder(Limits(), START_NS)
    assert recorder.take(0) is None
    recorder.opened(START_NS, {})
    assert recorder.take(0) is not None
    assert recorder.take(0) is None


def test_a_batch_is_full_by_events() -> None:
    recorder = recording(batch_events=2)
    assert not recorder.frame(b"a", Opcode.TEXT, START_NS)
    assert recorder.frame(b"b", Opcode.TEXT, START_NS)
    taken(recorder)
    assert not recorder.frame(b"c", Opcode.TEXT, START_NS)


def test_a_batch_is_full_by_bytes() -> None:
    recorder = recording(batch_bytes=10)
    assert not recorder.frame(b"123456789", Opcode.TEXT, START_NS)
    assert recorder.frame(b"0", Opcode.TEXT, START_NS)
    assert taken(recorder).size_bytes == 10


def test_a_batch_is_due_when_its_oldest_event_is_old() -> None:
    recorder = Recorder(Limits(flush_ns=100), START_NS)
    assert not recorder.is_due(START_NS + 10_000)
    recorder.opened(START_NS + 50, {})
    assert not recorder.is_due(START_NS + 149)
    assert recorder.is_due(START_NS + 150)
    taken(recorder)
    assert not recorder.is_due(START_NS + 10_000)


# The limit on frames


def test_recording_is_complete_after_as_many_frames_as_wanted() -> None:
    recorder = recording(max_events=2)
    assert not recorder.frame(b"a", Opcode.TEXT, START_NS)
    assert not recorder.complete
    assert recorder.frame(b"b", Opcode.TEXT, START_NS)
    assert recorder.complete


def test_what_comes_after_the_last_frame_wanted_is_not_recorded() -> None:
    recorder = recording(max_events=1)
    recorder.frame(b"a", Opcode.TEXT, START_NS)
    assert recorder.frame(b"b", Opcode.TEXT, START_NS)
    recorder.sent(b"c", Opcode.TEXT, START_NS)
    assert taken(recorder).payloads == [b"", b"a"]


@pytest.mark.parametrize("take_after", [1, 2, 3, 4])
def test_frames_we_sent_do_not_count_wherever_batches_end(take_after: int) -> None:
    recorder = recording(max_events=4)
    recorder.sent(b"subscribe", Opcode.TEXT, START_NS)
    received = 0
    while not recorder.complete:
        assert recorder.frame(b"a", Opcode.TEXT, START_NS) == recorder.complete  # nor do they fill a batch
        received += 1
        if received == take_after:
            taken(recorder)
            recorder.sent(b"subscribe", Opcode.TEXT, START_NS)
    assert received == 4


def test_full_by_bytes_is_not_complete_because_of_what_we_sent() -> None:
    recorder = recording(max_events=3, batch_bytes=5)
    recorder.sent(b"a", Opcode.TEXT, START_NS)
    recorder.sent(b"b", Opcode.TEXT, START_NS)
    assert recorder.frame(b"12345", Opcode.TEXT, START_NS)
    assert not recorder.complete


# Directions and connections


def test_sent_frames_go_out_and_the_next_come_in_again() -> None:
    recorder = recording()
    recorder.sent(b"subscribe", Opcode.TEXT, START_NS + 1)
    recorder.frame(b"a", Opcode.TEXT, START_NS + 2)
    batch = taken(recorder)
    assert batch.payloads == [b"", b"subscribe", b"a"]
    assert [direction for _, direction in conns(batch)] == [Direction.IN, Direction.OUT, Direction.IN]
    assert batch.size_bytes == 10


def test_sending_is_no_sign_of_a_live_feed() -> None:
    recorder = recording()
    recorder.sent(b"ping", Opcode.TEXT, START_NS + 70)
    assert recorder.last_frame_ns == START_NS


def test_each_connection_has_its_number_across_batches() -> None:
    recorder = recording()
    recorder.frame(b"a", Opcode.TEXT, START_NS)
    taken(recorder)
    recorder.frame(b"b", Opcode.TEXT, START_NS)
    recorder.closed(START_NS, code=1006, reason="", cause="lost")
    recorder.opened(START_NS, {})
    recorder.frame(b"c", Opcode.TEXT, START_NS)
    batch = taken(recorder)
    assert [conn for conn, _ in conns(batch)] == [0, 0, 0, 1, 1]  # b, close, gap, open, c
    recorder.frame(b"d", Opcode.TEXT, START_NS)
    assert taken(recorder).runs == [Run(0, 1, Direction.IN)]
    assert recorder.connections == 2


# Marks


def test_a_loss_leaves_close_gap_open() -> None:
    recorder = recording()
    recorder.closed(START_NS + 1_000_000_000, code=1012, reason="restart", cause="closed by the server")
    recorder.opened(START_NS + 6_500_000_000, {"url": "ws://feed"})
    assert marks(taken(recorder))[1:] == [
        (1, "close", {"code": 1012, "reason": "restart", "cause": "closed by the server"}),
        (
            2,
            "gap",
            {"cause": "closed by the server", "from_ns": 10**9, "to_ns": 6_500_000_000, "duration_s": 5.5},
        ),
        (3, "open", {"url": "ws://feed"}),
    ]
    assert recorder.gaps == 1
    assert recorder.last_frame_ns == START_NS + 6_500_000_000


def test_a_gap_that_is_never_over_ends_with_the_session() -> None:
    recorder = recording()
    recorder.closed(START_NS + 10, code=1006, reason="", cause="no frame for 90 s")
    recorder.ended(START_NS + 30)
    assert marks(taken(recorder))[-1][1:] == (
        "gap",
        {"cause": "no frame for 90 s", "from_ns": 10, "to_ns": 30, "duration_s": 0.0},
    )


def test_a_session_that_ends_while_connected_ends_the_connection_without_a_gap() -> None:
    recorder = recording()
    recorder.ended(START_NS + 30)
    recorder.ended(START_NS + 40)
    assert marks(taken(recorder))[1:] == [(1, "close", {"code": 1000, "reason": "", "cause": "the recording ended"})]
    assert recorder.gaps == 0


def test_what_could_not_be_kept_is_a_gap() -> None:
    recorder = recording()
    recorder.overflowed(START_NS + 1, {"cause": "frame of 99 bytes, limit 10"})
    recorder.noted(START_NS + 2, "hello")
    assert marks(taken(recorder))[1:] == [
        (1, "gap", {"cause": "frame of 99 bytes, limit 10"}),
        (2, "note", {"text": "hello"}),
    ]
    assert recorder.gaps == 1


def test_marks_do_not_count_as_messages() -> None:
    recorder = recording()
    recorder.frame(b"a", Opcode.TEXT, START_NS)
    recorder.noted(START_NS, "hello")
    assert recorder.messages == 1
    taken(recorder)
    recorder.noted(START_NS, "hello")
    recorder.frame(b"b", Opcode.TEXT, START_NS)
    assert recorder.messages == 2


class AnyFeed(RuleBasedStateMachine):
    """Whatever a feed does and whenever batches are taken: every row once, in order, no hole."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START_NS
        self.recorder = Recorder(Limits(batch_events=5, batch_bytes=50, max_events=20), START_NS)
        self.connected = False
        self.came: list[bytes] = []
        self.batches: list[Batch] = []

    @rule(by_ns=st.integers(0, 1_000))
    def pass_time(self, by_ns: int) -> None:
        self.now_ns += by_ns

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.recorder.opened(self.now_ns, {})
        self.connected = True

    @precondition(lambda self: self.connected)
    @rule()
    def lose(self) -> None:
        self.recorder.closed(self.now_ns, code=1006, reason="", cause="lost")
        self.connected = False

    @precondition(lambda self: self.connected)
    @rule(payload=st.binary(max_size=30))
    def receive(self, payload: bytes) -> None:
        if not self.recorder.complete:
            self.came.append(payload)
        self.recorder.frame(payload, Opcode.BINARY, self.now_ns)

    @precondition(lambda self: self.connected)
    @rule(payload=st.binary(max_size=30))
    def send(self, payload: bytes) -> None:
        if not self.recorder.complete:
            self.came.append(payload)
        self.recorder.sent(payload, Opcode.BINARY, self.now_ns)

    @rule()
    def take(self) -> None:
        batch = self.recorder.take(0)
        if batch is not None:
            self.batches.append(batch)

    @invariant()
    def sequence_has_no_hole(self) -> None:
        expected = 0
        for batch in self.batches:
            assert batch.first_seq == expected
            expected += len(batch)

    @invariant()
    def columns_are_of_one_length(self) -> None:
        for batch in self.batches:
            assert len(batch.elapsed_ns) == len(batch.opcodes) == len(batch) == len(conns(batch)) > 0
            assert batch.runs[0].index == 0
            assert batch.size_bytes == sum(map(len, batch.payloads))

    @invariant()
    def time_never_goes_back(self) -> None:
        times = [stamp for batch in self.batches for stamp in batch.elapsed_ns]
        assert times == sorted(times)

    def teardown(self) -> None:
        self.take()
        rows = [pair for batch in self.batches for pair in zip(batch.payloads, batch.opcodes, strict=True)]
        assert [payload for payload, opcode in rows if opcode] == self.came
        assert self.recorder.messages == len(self.came)


TestAnyFeed = AnyFeed.TestCase


# When to try again


def test_waits_double_up_to_the_most() -> None:
    retry = Retry(first_s=5, most_s=30)

    class NoJitter(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    assert [retry.wait_s(failures, NoJitter()) for failures in range(5)] == [5, 10, 20, 30, 30]


@given(st.integers(0, 10**6), st.integers())
def test_jitter_takes_off_a_fifth_at_most(failures: int, seed: int) -> None:
    whole_s = min(5 * 2 ** min(failures, 30), 30)
    assert 0.8 * whole_s <= Retry().wait_s(failures, random.Random(seed)) <= whole_s


def test_a_first_wait_longer_than_the_most_is_kept() -> None:
    assert Retry(first_s=60, most_s=30).wait_s(9, random.Random(1)) >= 48


def test_no_first_wait_means_no_retry() -> None:
    assert not Retry(first_s=0).is_wanted
    assert Retry().is_wanted


def test_what_came_in_is_counted_apart_from_what_was_sent() -> None:
    recorder = recording(batch_bytes=100)
    recorder.frame(b"abc", Opcode.TEXT, START_NS)
    recorder.sent(b"subscribe", Opcode.TEXT, START_NS)
    assert (recorder.received, recorder.received_bytes) == (1, 3)
    taken(recorder)
    recorder.frame(b"de", Opcode.BINARY, START_NS)
    recorder.sent(b"x", Opcode.TEXT, START_NS)
    assert (recorder.received, recorder.received_bytes) == (2, 5)


# A store that takes nothing for a while.


def test_a_frame_that_we_failed_at_is_a_gap_and_the_others_are_whole() -> None:
    recorder = recording()
    recorder.frame(b"before", Opcode.TEXT, START_NS + 1)
    recorder.stumbled(START_NS + 2, "a mistake of our own")
    recorder.frame(b"after", Opcode.TEXT, START_NS + 3)
    batch = taken(recorder)
    assert batch.payloads == [b"", b"before", b"", b"after"]
    assert marks(batch)[1] == (2, "gap", {"cause": "a mistake of our own"})
    assert recorder.gaps == 1


def test_who_is_shut_already_goes_on_counting_from_then() -> None:
    recorder = recording()
    recorder.shut(START_NS + 5)
    recorder.frame(b"lost", Opcode.TEXT, START_NS + 6)
    recorder.shut(START_NS + 7)
    assert recorder.outlasted(START_NS + 8, 3, "disk full") == 1


def test_what_nobody_has_room_for_is_counted_and_takes_no_number() -> None:
    recorder = recording(batch_events=3)
    recorder.frame(b"kept", Opcode.TEXT, START_NS + 1)
    recorder.shut(START_NS + 5)
    assert recorder.is_shut
    assert [recorder.frame(b"abc", Opcode.TEXT, START_NS + 6) for _ in range(4)] == [False, False, True, False]
    recorder.sent(b"me", Opcode.TEXT, START_NS + 7)
    assert (recorder.messages, recorder.lost_frames) == (1, 5)
    assert recorder.last_frame_ns == START_NS + 6
    assert recorder.outlasted(START_NS + 9, START_NS + 2, "disk full") == 5
    recorder.frame(b"again", Opcode.TEXT, START_NS + 10)
    batch = taken(recorder)
    assert batch.payloads == [b"", b"kept", b"", b"again"]
    assert marks(batch)[1:] == [
        (2, "gap", {"cause": "disk full", "from_ns": 5, "to_ns": 9, "duration_s": 0.0, "refused_s": 0.0,
                    "lost_frames": 5, "lost_bytes": 14}),
    ]  # fmt: skip
    assert (recorder.gaps, recorder.is_shut) == (1, False)


def test_an_outage_that_cost_nothing_has_a_gap_without_a_span() -> None:
    recorder = recording()
    assert recorder.outlasted(START_NS + 3 * 10**9, START_NS, "disk error: worn out") == 0
    assert marks(taken(recorder))[1][2] == {
        "cause": "disk error: worn out", "refused_s": 3.0, "lost_frames": 0, "lost_bytes": 0,
    }  # fmt: skip


def test_connections_that_come_and_go_while_nothing_is_kept_cost_no_memory_without_end() -> None:
    recorder = recording()
    recorder.shut(START_NS)
    for number in range(5_000):
        recorder.closed(START_NS + number, code=1006, reason="", cause="reset")
        recorder.opened(START_NS + number, {})
    recorder.outlasted(START_NS + 5_000, START_NS, "disk full")
    recorder.frame(b"x", Opcode.TEXT, START_NS + 5_001)
    batch = taken(recorder)
    assert len(batch) == 1 + 1_000 + 1 + 1
    assert len(batch.runs) < 1_000
    assert marks(batch)[-1][2]["lost_marks"] == 3 * 5_000 - 1_000
    assert conns(batch)[-1] == (5_000, Direction.IN)
    assert recorder.gaps == sum(kind == "gap" for _, kind, _ in marks(batch))
