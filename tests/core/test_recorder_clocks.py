"""How recorders' clocks are off each other, told by what they saw together."""

from __future__ import annotations

from random import Random

from wsrecorder.core.recorder_clocks import ClockOffset, Sample, clock_offsets, tolerance_of

MS = 1_000_000


def sample(keys: dict[int, int], size: int = 16_384) -> Sample:
    found = Sample(size)
    for key, at_ns in keys.items():
        found.add(key, at_ns)
    return found


def test_the_offset_is_the_median_and_stalls_are_jitter() -> None:
    one = {key: key * MS for key in range(1_000)}
    other = {key: key * MS + 7 * MS + (500 * MS if key < 5 else key % 3) for key in range(500, 1_000)} | {0: 900 * MS}
    offset = clock_offsets([sample(one), sample(other)])[1]
    assert (offset.ahead_ns, offset.shared, offset.jitter_ns) == (7 * MS + 1, 501, 1)
    assert clock_offsets([sample(one)]) == [ClockOffset()]


def test_what_came_twice_tells_nothing() -> None:
    one, other = sample({1: 0, 2: 5}), sample({1: 9, 2: 6})
    one.add(1, 100)
    assert one.apart_ns(other) == [1]
    one.add(1, 200)
    assert one.apart_ns(other) == [1]


def test_a_clock_is_told_by_way_of_another() -> None:
    first, second, third, alone = ({key: key * MS for key in keys} for keys in ((1, 2), (2, 3, 4), (3, 4), (9,)))
    second = {key: at_ns + 10 for key, at_ns in second.items()}
    third = {key: at_ns + 30 for key, at_ns in third.items()}
    offsets = clock_offsets([sample(first), sample(third), sample(alone), sample(second)])
    assert [offset.ahead_ns for offset in offsets] == [0, 30, 0, 10]
    assert [offset.shared for offset in offsets] == [0, 2, 0, 1]


def test_a_long_recording_is_sampled_and_both_keep_the_same_messages() -> None:
    chance = Random(5)
    keys = [chance.getrandbits(32) for _ in range(20_000)]
    one, other = (sample({key: place + late for place, key in enumerate(keys)}, 500) for late in (0, 3))
    apart = one.apart_ns(other)
    assert set(apart) == {3}
    assert 250 <= len(apart) <= 1_000


def test_clocks_are_trusted_as_far_as_they_agree() -> None:
    assert tolerance_of([ClockOffset(), ClockOffset(5, 10, 1)]).jitter_ns == 20 * MS
    far = tolerance_of([ClockOffset(), ClockOffset(5, 10, 1_000 * MS)])
    assert (far.jitter_ns, far.apart_ns) == (2_000 * MS, 8_000 * MS)
    assert tolerance_of([ClockOffset(5, 10, 1 << 60)]).apart_ns == 60_000 * MS
