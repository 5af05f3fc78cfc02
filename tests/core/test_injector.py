"""What happens to frames: laws of the injector, and what each fault does by itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.fault import FaultKind, parse_faults
from wsrecorder.core.injector import Due, Frame, Injector, corrupt

MS = 1_000_000


def frames(count: int, first_seq: int = 0) -> list[Frame]:
    """Return frames of types A and B by turns, each with a payload of its own."""
    return [Frame(seq, "AB"[seq % 2], b'{"n": %d}' % seq, True) for seq in range(first_seq, first_seq + count)]


def injected(faults: Sequence[str], taken: Sequence[Frame], seed: int = 0) -> tuple[list[bytes], Counter[FaultKind]]:
    """Return what goes out of all that went in, and what was counted."""
    injector = Injector(parse_faults(faults), seed)
    out = injector.take(taken, 0) + injector.flush(0)
    return [due.payload for due in out], injector.counts


shares = st.sampled_from(["1%", "20%", "50%", "100%"])
types = st.sampled_from(["", "@A", "@A,B", "@C"])
frame_faults = st.lists(
    st.one_of(
        st.builds("{}={}{}".format, st.sampled_from(["drop", "duplicate", "reorder", "corrupt"]), shares, types),
        st.builds("delay={}{}".format, st.sampled_from(["1ms", "50ms±20ms", "1s±1s"]), types),
    ),
    max_size=5,
)
seeds = st.integers(-(2**70), 2**70)
streams = st.lists(st.tuples(st.sampled_from(["A", "B", None]), st.binary(max_size=8), st.booleans()), max_size=40).map(
    lambda rows: [Frame(seq, *row) for seq, row in enumerate(rows)]
)
cuts = st.lists(st.integers(1, 10), min_size=40, max_size=40)


# Laws


@given(faults=frame_faults, seed=seeds, stream=streams, cuts=cuts)
def test_the_same_seed_makes_the_same_plan_however_the_stream_is_cut(
    faults: list[str], seed: int, stream: list[Frame], cuts: list[int]
) -> None:
    whole, counts = injected(faults, stream, seed)
    injector = Injector(parse_faults(faults), seed)
    pieces: list[Due] = []
    first = 0
    for length in cuts:
        pieces += injector.take(iter(stream[first : first + length]), first)
        first += length
    pieces += injector.flush(0)
    assert [due.payload for due in pieces] == whole
    assert injector.counts == counts
    assert [due.at_ns for due in pieces] == sorted(due.at_ns for due in pieces)


@given(faults=frame_faults, seed=seeds, stream=streams)
def test_no_frame_is_lost_or_altered_that_is_not_counted(faults: list[str], seed: int, stream: list[Frame]) -> None:
    out, counts = injected(faults, stream, seed)
    assert len(out) == len(stream) - counts[FaultKind.DROP] + counts[FaultKind.DUPLICATE]
    before, after = Counter(frame.payload for frame in stream), Counter(out)
    # An altered frame is missing as it was, once or, if it was doubled as well, its copy is new besides.
    assert (before - after).total() <= counts[FaultKind.DROP] + counts[FaultKind.CORRUPT]
    assert (after - before).total() <= 2 * counts[FaultKind.CORRUPT] + counts[FaultKind.DUPLICATE]


@given(
    delays=st.lists(st.sampled_from(["delay=1ms@A", "delay=50ms±20ms", "delay=1s±1s@B"])), stream=streams, seed=seeds
)
def test_with_only_delay_order_and_bytes_are_unchanged(delays: list[str], stream: list[Frame], seed: int) -> None:
    injector = Injector(parse_faults(delays), seed)
    out = [due for frame in stream for due in injector.take([frame], frame.seq * MS)]
    assert [(due.payload, due.is_text) for due in out] == [(frame.payload, frame.is_text) for frame in stream]
    assert all(due.at_ns >= frame.seq * MS for due, frame in zip(out, stream, strict=True))
    assert [due.at_ns for due in out] == sorted(due.at_ns for due in out)


@given(seed=seeds, low=st.integers(1, 100), high=st.integers(1, 100))
def test_a_larger_share_hits_the_same_frames_and_others(seed: int, low: int, high: int) -> None:
    low, high = sorted((low, high))
    left_low, _ = injected([f"drop={low}%"], frames(50), seed)
    left_high, _ = injected([f"drop={high}%"], frames(50), seed)
    assert set(left_high) <= set(left_low)


@given(seed=seeds, payload=st.binary(min_size=1), dice=st.integers(0, 2**64 - 1))
def test_a_binary_frame_is_altered_in_one_byte(seed: int, payload: bytes, dice: int) -> None:
    altered = corrupt(payload, False, dice)
    assert len(altered) == len(payload)
    assert sum(one != other for one, other in zip(altered, payload, strict=True)) == 1


@given(text=st.text(min_size=1), dice=st.integers(0, 2**64 - 1))
def test_altered_text_is_another_text_that_is_still_utf8(text: str, dice: int) -> None:
    altered = corrupt(text.encode(), True, dice)
    assert altered.decode() != text


# Each fault by itself


def test_without_a_fault_everything_goes_out_at_once() -> None:
    injector = Injector(parse_faults(["recorded", "disconnect=30s"]), 0)
    assert injector.is_idle
    assert injector.take(frames(3), 5) == [Due(5, frame.payload, True) for frame in frames(3)]
    assert not injector.counts.total()


def test_a_share_is_about_that_many_frames() -> None:
    out, counts = injected(["drop=10%"], frames(10_000), seed=7)
    assert 900 < counts[FaultKind.DROP] < 1_100
    assert len(out) == 10_000 - counts[FaultKind.DROP]


def test_another_seed_hits_other_frames() -> None:
    assert injected(["drop=50%"], frames(100), seed=1) != injected(["drop=50%"], frames(100), seed=2)


def test_a_fault_hits_the_same_frames_whatever_else_is_active() -> None:
    alone, _ = injected(["drop=20%"], frames(200))
    among, _ = injected(["delay=5ms", "duplicate=100%@C", "drop=20%", "reorder=50%@C"], frames(200))
    assert alone == among


def test_the_same_part_of_the_stream_gets_the_same_faults() -> None:
    whole, _ = injected(["drop=20%"], frames(200))
    part, _ = injected(["drop=20%"], frames(50, first_seq=100))
    assert part == [payload for payload in whole if payload in {frame.payload for frame in frames(50, 100)}]


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DUPLICATE, FaultKind.CORRUPT])
def test_only_frames_of_the_types_named_are_hit(kind: FaultKind) -> None:
    out, counts = injected([f"{kind}=100%@B"], frames(10))
    assert counts == Counter({kind: 5})
    assert [frame.payload for frame in frames(10) if frame.type == "A"] == [
        payload for payload in out if json_n(payload) in range(0, 10, 2)
    ]


def json_n(payload: bytes) -> int | None:
    try:
        content = json.loads(payload)
    except ValueError:
        return None
    n: int = content["n"]
    return n


def test_a_doubled_frame_comes_twice_in_a_row() -> None:
    one, two = (frame.payload for frame in frames(2))
    assert injected(["duplicate=100%"], frames(2)) == ([one, one, two, two], Counter({FaultKind.DUPLICATE: 2}))


def test_a_frame_is_swapped_with_the_next_one() -> None:
    out, counts = injected(["reorder=100%"], frames(5))
    assert [json_n(payload) for payload in out] == [1, 0, 3, 2, 4]
    assert counts[FaultKind.REORDER] == 2  # the last one had none to be swapped with
    out, counts = injected(["reorder=100%@B"], frames(5))
    assert [json_n(payload) for payload in out] == [0, 2, 1, 4, 3]


def test_whether_a_frame_waits_can_be_seen() -> None:
    injector = Injector(parse_faults(["reorder=100%"]), 0)
    injector.take(frames(1), 0)
    assert injector.is_holding
    injector.take(frames(1, first_seq=1), 0)
    assert not injector.is_holding


def test_a_frame_waits_for_one_that_is_not_dropped() -> None:
    out, counts = injected(["reorder=100%@A", "drop=100%@B"], frames(4))
    assert [json_n(payload) for payload in out] == [2, 0]
    assert counts == Counter({FaultKind.DROP: 2, FaultKind.REORDER: 1})


def test_an_altered_frame_that_is_doubled_is_altered_alike() -> None:
    out, _ = injected(["corrupt=100%", "duplicate=100%"], frames(1))
    assert out[0] == out[1] != frames(1)[0].payload


def test_an_empty_frame_cannot_be_altered() -> None:
    assert injected(["corrupt=100%"], [Frame(0, None, b"", True)]) == ([b""], Counter())


def test_delays_add_up_and_later_frames_queue_behind() -> None:
    injector = Injector(parse_faults(["delay=50ms@A", "delay=10ms@A,B"]), 0)
    first, second, third = (frame._replace(type=type) for frame, type in zip(frames(3), "ABC", strict=True))
    assert [due.at_ns for due in injector.take([first, second], 0)] == [60 * MS, 60 * MS]
    assert [due.at_ns for due in injector.take([third], 70 * MS)] == [70 * MS]
    assert injector.counts[FaultKind.DELAY] == 2


def test_a_delay_varies_within_its_bounds() -> None:
    delays = {Injector(parse_faults(["delay=50ms±20ms"]), seed).take(frames(1), 0)[0].at_ns for seed in range(200)}
    assert 30 * MS <= min(delays) < 35 * MS
    assert 65 * MS < max(delays) <= 70 * MS


@pytest.mark.parametrize(
    ("payload", "altered"),
    [
        (b'{"type": "A", "data": [1]}', None),
        (b"123", b"1#3"),
        (b"###", b"#!#"),
        ("éé".encode(), b"#"),
        (b"\xff\xfe", b"#"),
    ],
)
def test_altered_text_is_broken_json_where_it_has_structure(payload: bytes, altered: bytes | None) -> None:
    if altered is not None:
        assert corrupt(payload, True, 1) == altered
        return
    for dice in range(13):
        broken = corrupt(payload, True, dice)
        with pytest.raises(ValueError, match=r"Expecting|Extra|Invalid|Unterminated"):
            json.loads(broken)
