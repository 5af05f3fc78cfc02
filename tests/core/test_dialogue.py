"""What is played, given what a client says: the laws of each kind of dialogue."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.dialogue import (
    Action,
    Dialogue,
    LooseDialogue,
    Play,
    StrictDialogue,
    Turn,
    turns_of,
)
from wsrecorder.core.saying import BY_JSON, Matching, Said


class ByLooking:
    """Matches as `BY_JSON`, and has no key, as a condition has none."""

    def key(self, said: Said) -> None:
        return None

    def first(self, found: Said, expected: Sequence[Said]) -> int | None:
        return BY_JSON.first(found, expected)


def heads(words: Sequence[int]) -> list[tuple[int, int, Said]]:
    """Return messages of a client, ten events apart."""
    return [(10 * n, 100 * n, Said(str(word).encode(), seq=10 * n)) for n, word in enumerate(words, 1)]


def turns(words: Sequence[int]) -> list[Turn]:
    return turns_of(heads(words), conn=3)


def said(word: int) -> Said:
    return Said(f" {word}".encode())


class Run:
    """Drives a dialogue, and notes what happens: a head that was said, a turn that began."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.played: list[Turn] = []
        self.playing: list[Turn] = []
        self._do(dialogue.begin())

    def say(self, word: int) -> None:
        self._do(self.dialogue.hear(said(word)))

    def end_one(self, place: int = 0) -> None:
        if self.playing:
            self._do(self.dialogue.played(self.playing.pop(place % len(self.playing))))

    def end_all(self) -> None:
        while self.playing:
            self.end_one()

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert isinstance(action, Play)
            self.played.append(action.turn)
            self.playing.append(action.turn)


WORDS = st.lists(st.integers(0, 3), max_size=8)
# What a client does: it says a word, or something that is playing comes to its end.
STEPS = st.lists(st.one_of(st.integers(0, 4), st.none()), max_size=30)
MATCHINGS: st.SearchStrategy[Matching] = st.sampled_from([BY_JSON, ByLooking()])


# Turns


def test_a_turn_goes_from_a_message_of_the_client_to_its_next_one() -> None:
    first, second, third = turns([7, 8])
    assert (first.head, first.start_ns, first.first_seq, first.stop_seq) == (None, 0, 0, 10)
    assert (second.head, second.start_ns, second.first_seq, second.stop_seq) == (Said(b"7", seq=10), 100, 11, 20)
    assert (third.head, third.start_ns, third.first_seq, third.stop_seq) == (Said(b"8", seq=20), 200, 21, None)
    assert {first.conn, second.conn, third.conn} == {3}


# Strict


@given(WORDS, MATCHINGS, st.data())
def test_who_says_what_was_recorded_gets_all_in_order_strictly(
    words: list[int], matching: Matching, data: st.DataObject
) -> None:
    run = Run(StrictDialogue(turns(words), matching))
    for word in words:
        run.say(word)
        if data.draw(st.booleans()):
            run.end_one()
    run.end_all()
    assert run.played == turns(words)
    assert run.dialogue.is_over
    assert (run.dialogue.tally.heard, run.dialogue.tally.matched) == (len(words), len(words))
    assert run.dialogue.remaining == 0


@given(WORDS, STEPS)
def test_strict_plays_a_turn_only_after_its_head_was_said_and_all_before_it_were_played(
    words: list[int], steps: list[int | None]
) -> None:
    recorded, spoken = turns(words), list[int]()
    run = Run(StrictDialogue(recorded, BY_JSON))
    for step in steps:
        if step is None:
            run.end_one()
        else:
            spoken.append(step)
            run.say(step)
        assert len(run.playing) <= 1
        assert run.played == recorded[: len(run.played)]
        # The heads of all that was played stand in this order among what was said.
        left = iter(spoken)
        assert all(word in left for word in words[: len(run.played) - 1])
        if run.playing:
            assert run.dialogue.expected is None
        else:
            assert run.dialogue.expected == (
                None if len(run.played) == len(recorded) else recorded[len(run.played)].head
            )


def test_strict_passes_over_what_does_not_match_and_keeps_it_until_something_does() -> None:
    run = Run(StrictDialogue(turns([1, 2]), BY_JSON))
    run.end_all()
    run.say(5)
    run.say(6)
    tally = run.dialogue.tally
    assert (tally.heard, tally.matched, tally.unmatched, [*tally.strays]) == (2, 0, 2, [said(5), said(6)])
    run.say(1)
    assert (tally.matched, tally.unmatched, [*tally.strays]) == (1, 2, [])
    assert run.dialogue.remaining == 1


def test_what_is_said_after_the_end_is_counted() -> None:
    run = Run(StrictDialogue(turns([]), BY_JSON))
    assert not run.dialogue.is_over
    run.end_all()
    run.say(1)
    assert run.dialogue.is_over
    assert run.dialogue.tally.unmatched == 1


# Loose


@given(WORDS, MATCHINGS, st.randoms(use_true_random=False))
def test_who_says_all_that_was_recorded_in_any_order_gets_all_once(
    words: list[int], matching: Matching, random
) -> None:  # type: ignore[no-untyped-def]
    run = Run(LooseDialogue(turns(words), matching))
    mixed = random.sample(words, len(words))
    for word in mixed:
        run.say(word)
    assert sorted(run.played, key=lambda turn: turn.first_seq) == turns(words)
    assert [int(turn.head.payload) for turn in run.played if turn.head] == mixed
    assert not run.dialogue.is_over
    run.end_all()
    assert run.dialogue.is_over


@given(WORDS, STEPS, MATCHINGS)
def test_loose_never_plays_a_turn_twice_and_each_only_when_its_head_is_said(
    words: list[int], steps: list[int | None], matching: Matching
) -> None:
    run = Run(LooseDialogue(turns(words), matching))
    before = list(run.played)
    assert [turn.head for turn in before] == [None]
    for step in steps:
        if step is None:
            run.end_one()
            assert run.played == before
            continue
        run.say(step)
        new = run.played[len(before) :]
        assert len(new) == (words.count(step) > sum(turn.head == Said(str(step).encode(), seq=turn.head.seq)
                                                    for turn in before if turn.head))  # fmt: skip
        assert all(turn.head is not None and int(turn.head.payload) == step for turn in new)
        before = list(run.played)
    assert len(set(run.played)) == len(run.played)
    tally = run.dialogue.tally
    assert tally.heard == sum(step is not None for step in steps)
    assert tally.matched == len(run.played) - 1
    assert run.dialogue.remaining == len(words) - tally.matched
    assert run.dialogue.expected is None


def test_of_equal_messages_the_earliest_is_answered_first() -> None:
    run = Run(LooseDialogue(turns([1, 1]), BY_JSON))
    run.say(1)
    assert run.played[-1].first_seq == 11
    run.say(1)
    assert run.played[-1].first_seq == 21
    run.say(1)
    assert [*run.dialogue.tally.strays] == [said(1)]
