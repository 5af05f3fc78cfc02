"""When a recorded client says what, and how the answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.alignment import Outcome
from wsrecorder.core.likeness import Likeness
from wsrecorder.core.rehearsal import Line, Rehearsal
from wsrecorder.core.saying import BY_JSON, BY_TYPE, Matching, Said, by_json


class ByLooking:
    """Matches as `BY_JSON`, and has no key, as a condition has none."""

    def key(self, said: Said) -> None:
        return None

    def first(self, found: Said, expected: Sequence[Said]) -> int | None:
        return BY_JSON.first(found, expected)


def said(word: str, type: str | None = "T") -> Said:
    return Said(f'"{word}"'.encode(), type=type)


def script(*words: str) -> list[Line]:
    """Return a script; what is ours begins with ``>``."""
    return [Line(said(word.lstrip(">")), word.startswith(">"), n) for n, word in enumerate(words)]


def outcomes(rehearsal: Rehearsal) -> Counter[Outcome]:
    return Counter(match.outcome for match in rehearsal.compare())


MATCHINGS: st.SearchStrategy[Matching] = st.sampled_from([BY_JSON, BY_TYPE, ByLooking()])
SCRIPTS = st.lists(st.sampled_from(["a", "b", ">a", ">c"]), max_size=12)


@given(SCRIPTS, MATCHINGS)
def test_a_server_that_answers_as_recorded_has_all_said_in_order_and_is_equal(
    words: list[str], matching: Matching
) -> None:
    lines = script(*words)
    rehearsal = Rehearsal(lines, matching)
    for line in lines:
        if line.is_ours:
            assert rehearsal.is_answered
            assert rehearsal.next_line == line
            rehearsal.note_sent()
        else:
            assert not rehearsal.is_answered
            rehearsal.hear(line.said)
    assert rehearsal.is_answered
    assert rehearsal.next_line is None
    assert (rehearsal.sent, rehearsal.unsent) == (sum(line.is_ours for line in lines), 0)
    answers = sum(not line.is_ours for line in lines)
    assert outcomes(rehearsal) == Counter({Outcome.SAME: answers} if answers else {})


@given(SCRIPTS, st.lists(st.sampled_from(["a", "b", "x"]), max_size=12), MATCHINGS)
def test_nothing_is_said_before_as_much_has_come_as_was_recorded_before_it(
    words: list[str], heard: list[str], matching: Matching
) -> None:
    lines = script(*words)
    rehearsal = Rehearsal(lines, matching)
    for word in heard:
        while rehearsal.next_line is not None and rehearsal.is_answered:
            before = lines.index(next(line for line in lines if line is rehearsal.next_line))
            assert len(rehearsal.found) >= sum(not line.is_ours for line in lines[:before])
            rehearsal.note_sent()
        rehearsal.hear(said(word))
    assert len(rehearsal.found) == len(heard)


def test_an_answer_whose_content_has_changed_holds_nothing_up() -> None:
    rehearsal = Rehearsal(script(">q", "a", "b", ">r"), BY_JSON)
    rehearsal.note_sent()
    rehearsal.hear(said("changed"))
    assert not rehearsal.is_answered
    rehearsal.hear(said("b"))
    assert rehearsal.is_answered
    assert outcomes(rehearsal) == {Outcome.CHANGED: 1, Outcome.SAME: 1}


def test_what_is_of_another_type_answers_nothing() -> None:
    rehearsal = Rehearsal(script("a", ">q"), BY_JSON)
    rehearsal.hear(said("push", "P"))
    assert not rehearsal.is_answered
    assert outcomes(rehearsal) == {Outcome.MISSING: 1, Outcome.ADDED: 1}


def test_what_comes_early_is_not_waited_for_any_more() -> None:
    rehearsal = Rehearsal(script(">q", "a", ">r", "b"), BY_JSON)
    rehearsal.note_sent()
    rehearsal.hear(said("b"))
    assert not rehearsal.is_answered
    rehearsal.hear(said("a"))
    rehearsal.note_sent()
    assert rehearsal.is_answered


@pytest.mark.parametrize("matching", [BY_JSON, ByLooking()])
def test_an_answer_is_paired_once(matching: Matching) -> None:
    rehearsal = Rehearsal(script("a", "a", ">q"), matching)
    rehearsal.hear(said("a"))
    assert not rehearsal.is_answered
    rehearsal.hear(said("a"))
    assert rehearsal.is_answered
    rehearsal.hear(said("a"))
    assert outcomes(rehearsal) == {Outcome.SAME: 2, Outcome.ADDED: 1}


def test_one_that_was_taken_for_another_is_not_paired_again() -> None:
    rehearsal = Rehearsal(script("a", "b", ">q"), BY_JSON)
    rehearsal.hear(said("x"))  # taken for a
    rehearsal.hear(said("a"))  # so this one is taken for b
    assert rehearsal.is_answered
    assert outcomes(rehearsal)[Outcome.SAME] == 1


def test_what_is_not_compared_makes_no_difference() -> None:
    rehearsal = Rehearsal([Line(Said(b'{"a": 1, "ts": 5}'), False, 0)], by_json(Likeness(ignore=["ts"])))
    rehearsal.hear(Said(b'{"ts": 7, "a": 1}'))
    assert outcomes(rehearsal) == {Outcome.SAME: 1}
