"""Two recordings of one feed give the whole feed: in order, each message once, gaps only where nobody was there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsrecorder.core.gap_filling import Filled, Tolerance, fill_gaps
from wsrecorder.core.stretches import BEGINNING_NS, Away, Left, Sighting

MS = 1_000_000
S = 1_000 * MS
TIGHT = Tolerance(jitter_ns=9 * MS, apart_ns=2 * S)
"""For feeds whose messages are at least 20 ms apart, and recorders that see them at most 8 ms apart."""


@dataclass(frozen=True)
class Message:
    """A message of a feed: what it says, when it was sent, and which it is."""

    says: str
    at_ns: int
    number: int


def feed(says: Sequence[str], every_ms: Sequence[int] | None = None) -> list[Message]:
    """Return a feed of these messages, a second apart or as told."""
    at_ns, found = 0, []
    for number, word in enumerate(says):
        at_ns += (every_ms[number] if every_ms else 1_000) * MS
        found.append(Message(word, at_ns, number))
    return found


def recording(
    messages: Sequence[Message], away: Sequence[tuple[int, int]] = (), late_ms: Sequence[int] = (0,), *, bit: int = 1,
    own: str = "",
) -> Iterator[Sighting | Left]:  # fmt: skip
    """Yield what a recorder sees that is away from one number to another, not included, ended by its end.

    It is late by so many ms, one after the other, and leaves right after the last message that it sees.
    """
    left_ns, cause = BEGINNING_NS, ""
    for message in messages:
        if any(start <= message.number < stop for start, stop in away):
            cause = "lost"
            continue
        at_ns = message.at_ns + late_ms[message.number % len(late_ms)] * MS
        is_back = left_ns == BEGINNING_NS or cause
        yield Sighting(
            message.says, at_ns, message.number, Away(left_ns, at_ns - MS, cause) if is_back else None,
            message.says in own, bit,
        )  # fmt: skip
        left_ns, cause = at_ns + MS, ""
    yield Left(max(left_ns, 0))


def merged(
    one: Iterator[Sighting | Left], other: Iterator[Sighting | Left], tolerance: Tolerance = TIGHT
) -> tuple[list[Sighting], Filled]:
    """Return what comes of two recordings."""
    filled = Filled()
    found = list(fill_gaps(one, other, tolerance, filled))
    assert isinstance(found[-1], Left)
    sightings = [each for each in found if isinstance(each, Sighting)]
    assert len(sightings) == len(found) - 1
    return sightings, filled


def numbers(sightings: Sequence[Sighting]) -> list[int]:
    return [each.content for each in sightings]


def gaps(sightings: Sequence[Sighting]) -> list[int]:
    """Return the numbers of the messages before which nobody was there."""
    return [each.content for each in sightings[1:] if each.away is not None]


def says(sightings: Sequence[Sighting]) -> str:
    return "".join(str(each.identity) for each in sightings)


def outages(count: int) -> st.SearchStrategy[tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """Outages of two recorders, of which none overlaps another."""

    def dealt(edges: list[int], whose: list[bool]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        edges = sorted(edges)
        spans = [(a, b) for a, b in pairwise(edges) if a < b]
        found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for span, owner in zip(spans, whose, strict=False):
            found[owner].append(span)
        return found

    # Neither's, the first one's, the second one's in turn: half of the spans is nobody's outage.
    return st.builds(
        lambda edges, whose, kept: tuple(
            [span for span, keep in zip(spans, kept, strict=False) if keep] for spans in dealt(edges, whose)
        ),
        st.lists(st.integers(0, count), max_size=10),
        st.lists(st.booleans(), min_size=10, max_size=10),
        st.lists(st.booleans(), min_size=10, max_size=10),
    )


@st.composite
def repeating_feeds(draw: st.DrawFn) -> tuple[list[Message], list[int], list[int]]:
    """A feed of few words that repeat, at least 20 ms apart, and how late two recorders are."""
    words = draw(st.text("HAB", min_size=1, max_size=60))
    every_ms = draw(st.lists(st.integers(20, 3_000), min_size=len(words), max_size=len(words)))
    late = st.lists(st.integers(0, 8), min_size=1, max_size=7)
    return feed(words, every_ms), draw(late), draw(late)


@settings(max_examples=300)
@given(st.data(), repeating_feeds())
def test_outages_that_never_overlap_give_the_whole_feed_however_it_repeats(
    data: st.DataObject, given_: tuple[list[Message], list[int], list[int]]
) -> None:
    messages, late, other_late = given_
    away, other_away = data.draw(outages(len(messages)))
    found, _ = merged(recording(messages, away, late), recording(messages, other_away, other_late, bit=2))
    assert numbers(found) == list(range(len(messages)))


@settings(max_examples=300)
@given(st.data(), st.integers(1, 80), st.integers(-900, 900), st.booleans())
def test_outages_that_never_overlap_give_the_whole_feed_however_wrong_a_clock_is(
    data: st.DataObject, count: int, late_ms: int, swapped: bool
) -> None:
    messages = feed([chr(200 + number) for number in range(count)], [5] * count)
    # Between two outages there is a message that both saw: what shares nothing can only be put in order by clocks.
    away, other_away = data.draw(outages(count))
    spans = [[(start + 1, stop) for start, stop in each if start + 1 < stop] for each in (away, other_away)]
    found, filled = merged(
        recording(messages, spans[swapped]), recording(messages, spans[not swapped], [late_ms]), Tolerance(S, 2 * S)
    )
    assert numbers(found) == list(range(count))
    assert filled.doubtful == 0


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple), max_size=4)


@settings(max_examples=300)
@given(repeating_feeds(), spans, spans)
def test_any_outages_give_the_union_and_a_gap_where_both_were_away(
    given_: tuple[list[Message], list[int], list[int]], away: list[tuple[int, int]], other_away: list[tuple[int, int]]
) -> None:
    messages, late, other_late = given_

    def is_away(number: int, spans: list[tuple[int, int]]) -> bool:
        return any(start <= number < stop for start, stop in spans)

    union = [each.number for each in messages if not (is_away(each.number, away) and is_away(each.number, other_away))]
    found, filled = merged(recording(messages, away, late), recording(messages, other_away, other_late, bit=2))
    assert numbers(found) == union
    lost = [number for before, number in pairwise(union) if number != before + 1]
    # One who leaves before the other is back leaves a gap too, though nothing may have been lost in it.
    assert set(lost) <= set(gaps(found))
    both = sum(not is_away(each.number, away) and not is_away(each.number, other_away) for each in messages)
    assert filled.both == both


def test_own_messages_of_the_second_are_left_out_while_the_first_is_there() -> None:
    one = recording(feed("ahbhcd"), own="h")
    other = recording(
        feed("ahbxcd"), [(3, 4)], bit=2, own="h"
    )  # its own heartbeat is missing; it was away for a moment
    assert says(merged(one, other)[0]) == "ahbhcd"
    found, filled = merged(recording(feed("abcd"), bit=1), recording(feed("aBbHcd"), own="BH", bit=2))
    assert says(found) == "abcd"
    assert filled.left_out == 2
    found, filled = merged(recording(feed("aBbHcd"), own="BH"), recording(feed("abcd"), own="BH", bit=2))
    assert says(found) == "aBbHcd"
    assert [each.seen for each in found] == [3, 1, 3, 1, 3, 3]
    assert filled.doubtful == 0


def test_one_who_is_back_is_greeted_by_itself() -> None:
    messages = feed("abcdefgh")
    other = [each for each in recording(messages, [(2, 5)], bit=2) if isinstance(each, Sighting)]
    back = other[2]
    other.insert(2, Sighting("hello", back.at_ns - 1, 100, back.away, is_own=True, seen=2))
    back.away = None
    found, filled = merged(recording(messages), iter([*other, Left(9 * S)]))
    assert says(found) == "abcdefgh"
    assert filled.left_out == 1
    other[2].is_own = False


def test_a_greeting_that_is_no_own_message_is_kept_and_doubted() -> None:
    messages = feed("abcdefgh")
    other = [each for each in recording(messages, [(2, 5)], bit=2) if isinstance(each, Sighting)]
    back = other[2]
    other.insert(2, Sighting("?", back.at_ns - 1, 100, back.away, seen=2))
    back.away = None
    found, filled = merged(recording(messages), iter([*other, Left(9 * S)]))
    assert says(found) == "abcde?fgh"
    assert filled.doubtful == 1
    assert [each.identity for each in found if each.is_doubtful] == ["?"]


def test_what_only_one_saw_although_both_were_there_is_kept_and_doubted() -> None:
    found, filled = merged(
        recording(feed("abxcdef")), recording(feed("abcdyHef"), own="H", bit=2), Tolerance(2 * S, 9 * S)
    )
    assert says(found) == "abxcdyef"
    assert filled.doubtful == 2
    assert filled.left_out == 1
    # Nothing in common at all.
    found, filled = merged(recording(feed("abc")), recording(feed("ade", [1_000, 1_001, 1_001]), bit=2))
    assert says(found) == "abdce"
    assert filled.doubtful == 4


def test_two_who_share_nothing_are_put_in_order_by_their_clocks() -> None:
    found, filled = merged(
        recording(feed("abc" * 30)), recording(feed("xyH" * 30, [1_001] + [1_000] * 89), own="H", bit=2)
    )
    assert says(found)[:9] == "axbycaxby"
    assert says(found).count("H") == 0
    assert filled.doubtful > 50


@pytest.mark.parametrize("word", ["?", "H"])
def test_own_messages_alone_are_matched_by_time(word: str) -> None:
    found, _ = merged(
        recording(feed("H" * 20), [(5, 9)], [0, 3], own="H"), recording(feed("H" * 20), [(12, 14)], [2], bit=2, own="H")
    )
    assert numbers(found) == list(range(20))


def test_a_place_that_is_one_of_several_is_doubted() -> None:
    messages = feed("HHHHHHHH", [20] * 8)
    _, filled = merged(
        recording(messages), recording(messages, [(0, 3)], bit=2), Tolerance(jitter_ns=100 * MS, apart_ns=2 * S)
    )
    assert filled.doubtful == 1


def test_a_few_messages_that_occur_once_prove_a_place_whatever_the_clocks_say() -> None:
    messages = feed("abcdefghijklmno", [20] * 15)
    found, filled = merged(recording(messages), recording(messages, [(5, 8)], [1_500], bit=2))
    assert says(found) == "abcdefghijklmno"
    assert filled.doubtful == 0


def test_a_clock_that_drifts_is_followed() -> None:
    messages = feed([f"{number % 10}" for number in range(5_000)], [100] * 5_000)
    late = [number // 100 for number in range(5_000)]  # 100 ppm: five times what is tolerated in the end
    found, filled = merged(
        recording(messages, [(2_000, 2_100)]), recording(messages, [(1_000, 1_100), (4_000, 4_100)], late, bit=2)
    )
    assert numbers(found) == list(range(5_000))
    assert filled.doubtful == 0


def test_gaps_tell_when_and_why_nobody_was_there() -> None:
    found, _ = merged(recording(feed("abcdefgh"), [(2, 5)]), recording(feed("abcdefgh"), [(3, 7)], bit=2))
    assert says(found) == "abcfgh"
    assert [(each.identity, each.away) for each in found if each.away] == [
        ("a", Away(BEGINNING_NS, S - MS, "")),
        ("f", Away(3 * S + MS, 6 * S - MS, "lost")),
    ]


def test_one_that_has_ended_is_away_for_good() -> None:
    found, _ = merged(recording(feed("abcdef"), [(3, 6)]), recording(feed("abcdef"), [(0, 4)], bit=2))
    assert says(found) == "abcef"
    assert [each.away for each in found if each.away][1] == Away(3 * S + MS, 5 * S - MS, "the recording ended")


def test_an_empty_recording_adds_nothing() -> None:
    for one, other in (("abc", ""), ("", "abc"), ("", "")):
        assert says(merged(recording(feed(one)), recording(feed(other)))[0]) == one + other


def test_a_result_can_be_filled_again() -> None:
    messages = feed([f"{number}" for number in range(100)])
    filled = Filled()
    stream = fill_gaps(recording(messages, [(10, 90)]), recording(messages, [(5, 30)], bit=2), TIGHT, filled)
    found, _ = merged(stream, recording(messages, [(0, 10), (40, 100)], bit=4))
    assert numbers(found) == list(range(100))
    assert {each.seen for each in found} == {1, 2, 3, 4, 6}


def test_long_outages_are_read_a_piece_at_a_time() -> None:
    read = 0

    def counted() -> Iterator[Sighting | Left]:
        nonlocal read
        for each in recording(feed([f"{number}" for number in range(20_000)])):
            read += 1
            yield each

    out = fill_gaps(recording(feed([f"{n}" for n in range(20_000)]), [(5, 19_000)]), counted(), TIGHT, Filled())
    for place, _ in enumerate(out):
        assert read - place < 1_500


def test_one_who_leaves_after_the_other_is_back_leaves_no_gap() -> None:
    one = [Sighting("a", 1 * S, 0, Away(BEGINNING_NS, 0)), Left(5 * S, "lost")]
    other = [Sighting("b", 9 * S, 1, Away(BEGINNING_NS, 4 * S)), Left(9 * S)]
    found, _ = merged(iter(one), iter(other))
    assert says(found) == "ab"
    assert gaps(found) == []


def test_of_two_who_are_back_the_one_who_saw_what_the_other_begins_with_was_first() -> None:
    messages = feed([chr(200 + number) for number in range(60)], [5] * 60)
    for late_ms in (-900, 900):
        # The second leaves in the moment in which the first is back, and nothing but what comes later tells.
        found, filled = merged(
            recording(messages, [(10, 20)]), recording(messages, [(20, 30)], [late_ms], bit=2), Tolerance(S, 2 * S)
        )
        assert numbers(found) == list(range(60))
        assert filled.doubtful == 0
