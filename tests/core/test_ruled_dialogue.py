"""What rules have played and stopped."""

from __future__ import annotations

from wsrecorder.core.dialogue import Play, Stop, Turn
from wsrecorder.core.ruled_dialogue import Rule, RuledDialogue
from wsrecorder.core.saying import Said


def said(word: int) -> Said:
    return Said(f" {word}".encode())


def ruled(*rules: Rule) -> RuledDialogue:
    return RuledDialogue(rules, lambda number: Turn(None, None, 0, 0, None, number))


def is_word(word: int) -> Rule:
    return Rule(str(word), lambda found: found.payload.strip() == str(word).encode())


def test_every_rule_that_is_about_it_is_played_and_none_twice_at_a_time() -> None:
    both = Rule("any", lambda found: True)
    dialogue = ruled(is_word(1), both)
    assert dialogue.begin() == ()
    assert [action.turn.rule for action in dialogue.hear(said(1)) if isinstance(action, Play)] == [0, 1]
    assert not dialogue.hear(said(1))
    dialogue.played(Turn(None, None, 0, 0, None, 0))
    assert dialogue.hear(said(1)) == [Play(Turn(None, None, 0, 0, None, 0))]
    assert (dialogue.tally.heard, dialogue.tally.matched) == (3, 3)
    assert not dialogue.is_over
    assert dialogue.expected is None
    assert dialogue.remaining == 0


def test_what_no_rule_is_about_is_counted() -> None:
    dialogue = ruled(is_word(1))
    assert dialogue.hear(said(2)) == ()
    assert [*dialogue.tally.strays] == [said(2)]


def test_a_rule_stops_others_and_they_can_begin_again() -> None:
    stop = Rule("stop", lambda found: found.payload == b" 2", plays=False, stops=(0,))
    dialogue = ruled(is_word(1), stop)
    assert dialogue.hear(said(2)) == []
    begun = dialogue.hear(said(1))
    assert dialogue.hear(said(2)) == [Stop(0)]
    assert dialogue.hear(said(1)) == begun
