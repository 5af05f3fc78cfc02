"""Alignment of two streams: nothing is lost or told twice, order is kept, and what is simple comes out simple."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core import alignment
from wsrecorder.core.alignment import Match, Message, Outcome, align

A = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def stream(words: Sequence[str]) -> list[Message[int]]:
    """Return a message a word; ``t:e:x`` has a type and an entity beside what it says."""
    found = []
    for place, word in enumerate(words):
        type_, _, rest = word.partition(":")
        entity = rest.partition(":")[0] or None
        found.append(Message(word, type_, entity, place))
    return found


def outcomes(before: Sequence[str], after: Sequence[str], **options: Any) -> list[tuple[str, str | None, str | None]]:
    return [
        (
            str(match.outcome),
            None if match.before is None else str(match.before.identity),
            None if match.after is None else str(match.after.identity),
        )
        for match in align(stream(before), stream(after), **options)
    ]


def differences(before: Sequence[str], after: Sequence[str], **options: Any) -> list[Any]:
    return [each for each in outcomes(before, after, **options) if each[0] != "same"]


def test_equal_streams_are_the_same() -> None:
    assert differences(A, A) == []
    assert len(outcomes(A, A, window=4)) == 26
    assert outcomes("", "") == []


def test_a_missing_message_is_missing_and_nothing_else() -> None:
    assert differences("ABCDE", "ABDE") == [("missing", "C", None)]
    assert differences("ABDE", "ABCDE") == [("added", None, "C")]


def test_a_repeated_message_is_missed_where_it_was() -> None:
    found = outcomes("XaXbXcX", "aXbXcX")
    assert [each for each in found if each[0] != "same"] == [("missing", "X", None)]
    assert differences(["I", "S"] * 20, ["S", "I"] * 19 + ["S"]) == [("missing", "I", None)]


def test_repeated_messages_between_landmarks_are_paired_from_both_ends() -> None:
    assert differences("uAXXbX", "vAXXcbX") == [("missing", "u", None), ("added", None, "v"), ("added", None, "c")]


def test_a_moved_message_is_moved() -> None:
    assert differences("ABCDEF", "ACDEBF") == [("moved", "B", "B")]


def test_a_message_of_the_same_entity_is_changed() -> None:
    assert differences(["t:1:a", "t:2:a", "X"], ["t:1:b", "t:2:a", "X"]) == [("changed", "t:1:a", "t:1:b")]
    # Anywhere in the window, if they name their entity.
    assert differences(["t:1:a", "X", "Y"], ["X", "Y", "t:1:b"]) == [("changed", "t:1:a", "t:1:b")]


def test_a_message_without_entity_is_changed_where_it_stands() -> None:
    assert differences(["X", "t::a", "Y"], ["X", "t::b", "Y"]) == [("changed", "t::a", "t::b")]
    assert sorted(differences(["X", "t::a", "Y"], ["X", "Y", "t::b"])) == [
        ("added", None, "t::b"), ("missing", "t::a", None),
    ]  # fmt: skip


def test_messages_of_different_types_or_entities_are_no_change_of_each_other() -> None:
    assert [each[0] for each in differences(["t:1:a"], ["u:1:a"])] == ["missing", "added"]
    assert [each[0] for each in differences(["t:1:a"], ["t:2:a"])] == ["missing", "added"]


def test_additions_stand_where_they_came() -> None:
    assert outcomes("AB", "AxyB") == [
        ("same", "A", "A"), ("added", None, "x"), ("added", None, "y"), ("same", "B", "B"),
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [0, 40, 150])
def test_a_long_gap_is_missing_and_the_rest_is_the_same(cut: int) -> None:
    words = [str(n) for n in range(400)]
    found = differences(words, words[:cut] + words[cut + 90 :], window=8)
    assert found == [("missing", word, None) for word in words[cut : cut + 90]]


def test_what_is_further_out_than_the_largest_window_is_not_found_again() -> None:
    words = [str(n) for n in range(64)]
    after = [*words[40:], *(f"b{n}" for n in range(100))]
    assert {each[0] for each in outcomes(words, after, window=4, most=8)} == {"missing", "added"}
    assert "same" in {each[0] for each in outcomes(words, after, window=4, most=128)}


def test_many_repeated_messages_are_paired_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "_SMALL", 4)
    assert [each[0] for each in differences("xABABABy", "uABABAv")].count("missing") == 3
    assert differences("ABAB", "BABA") != []


class Endless:
    """A stream that counts what was taken of it."""

    def __init__(self, words: list[str]) -> None:
        self.taken = 0
        self._words = words

    def __iter__(self) -> Any:
        for message in stream(self._words):
            self.taken += 1
            yield message


def test_no_more_is_held_than_may_be() -> None:
    left, right = Endless([f"a{n}" for n in range(1_000)]), Endless([f"b{n}" for n in range(1_000)])
    given_out = [0, 0]
    for match in align(left, right, window=8, most=64):
        given_out[0] += match.before is not None
        given_out[1] += match.after is not None
        assert left.taken - given_out[0] <= 64
        assert right.taken - given_out[1] <= 64
    assert given_out == [1_000, 1_000]


_WORDS = st.lists(
    st.sampled_from(["a", "b", "c", "t:1:x", "t:1:y", "t:2:x", "t::x", "t::y"]) | st.integers(0, 30).map(str),
    max_size=30,
)
_SIZES = st.sampled_from([(2, 2), (2, 8), (4, 64), (2_048, 131_072)])


def places(matches: list[Match[int]], side: str) -> list[int]:
    return [message.content for match in matches if (message := getattr(match, side)) is not None]


@given(_WORDS, _WORDS, _SIZES)
def test_every_message_is_told_once(before: list[str], after: list[str], sizes: tuple[int, int]) -> None:
    matches = list(align(stream(before), stream(after), window=sizes[0], most=sizes[1]))
    assert sorted(places(matches, "before")) == list(range(len(before)))
    assert sorted(places(matches, "after")) == list(range(len(after)))


@given(_WORDS, _WORDS, _SIZES)
def test_outcomes_are_what_they_say(before: list[str], after: list[str], sizes: tuple[int, int]) -> None:
    last = -1, -1
    for match in align(stream(before), stream(after), window=sizes[0], most=sizes[1]):
        one, other = match.before, match.after
        assert (one is None) == (match.outcome is Outcome.ADDED)
        assert (other is None) == (match.outcome is Outcome.MISSING)
        if one is None or other is None:
            continue
        assert (one.identity == other.identity) == (match.outcome is not Outcome.CHANGED)
        assert (one.type, one.entity) == (other.type, other.entity)
        if match.outcome is Outcome.SAME:
            assert (one.content, other.content) > last
            assert one.content > last[0]
            assert other.content > last[1]
            last = one.content, other.content


@given(st.lists(st.integers(0, 1_000), unique=True, max_size=40), st.sets(st.integers(0, 39)))
def test_what_was_taken_out_is_what_is_missing(numbers: list[int], gone: set[int]) -> None:
    words = [f"w{n}" for n in numbers]
    kept = [word for place, word in enumerate(words) if place not in gone]
    taken_out = [word for place, word in enumerate(words) if place in gone]
    # Each of its own type: else one beside it of the same type would pass for its change.
    assert differences(words, kept) == [("missing", word, None) for word in taken_out]
    assert differences(kept, words) == [("added", None, word) for word in taken_out]
