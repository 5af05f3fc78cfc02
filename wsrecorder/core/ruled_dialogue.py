"""A dialogue by rules: what is played when a client says something, whatever was recorded of clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wsrecorder.core.dialogue import Action, Play, Stop, Tally, Turn
from wsrecorder.core.saying import Said

__all__ = ["Rule", "RuledDialogue"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens when a client says something.

    Attributes:
        name: A word for people, and for other rules.
        holds: Whether it is about what was said.
        plays: Whether it plays anything.
        stops: Numbers of the rules whose playing it stops.
    """

    name: str
    holds: Callable[[Said], bool]
    plays: bool = True
    stops: tuple[int, ...] = ()


class RuledDialogue:
    """Plays what rules say: all that are about what was said, in their order.

    A rule that is playing is not begun once more.

    Args:
        rules: The rules.
        turn: What each of them plays; its number is put in.

    Attributes:
        tally: What the client has said.
    """

    def __init__(self, rules: Sequence[Rule], turn: Callable[[int], Turn]) -> None:
        self.tally = Tally()
        self._rules = rules
        self._turn = turn
        self._playing: set[int] = set()

    def begin(self) -> Sequence[Action]:
        """Nothing is played unasked."""
        return ()

    def hear(self, said: Said) -> Sequence[Action]:
        """Do what the rules say."""
        self.tally.heard += 1
        about = [number for number, rule in enumerate(self._rules) if rule.holds(said)]
        if not about:
            self.tally.strays.append(said)
            return ()
        self.tally.matched += 1
        actions: list[Action] = []
        for number in about:
            rule = self._rules[number]
            for stopped in rule.stops:
                if stopped in self._playing:
                    self._playing.discard(stopped)
                    actions.append(Stop(stopped))
            if rule.plays and number not in self._playing:
                self._playing.add(number)
                actions.append(Play(self._turn(number)))
        return actions

    def played(self, turn: Turn) -> Sequence[Action]:
        """Take note that what a rule plays has come to its end."""
        assert turn.rule is not None, "a rule played it"
        self._playing.discard(turn.rule)
        return ()

    @property
    def expected(self) -> Said | None:
        """None: nothing is waited for."""
        return None

    @property
    def remaining(self) -> int:
        """0: what was recorded of the client does not matter."""
        return 0

    @property
    def is_over(self) -> bool:
        """False: a client can always ask for more."""
        return False
