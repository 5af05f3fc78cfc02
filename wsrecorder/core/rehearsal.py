"""The client's side of a recorded dialogue, said to a server again: when to say what, and how its answers differ.

Theory of operation. The script is what was recorded on one connection, both sides, in order. Each of our messages is
due once all that the server had said before it has come again (or by time, which is somebody else's to tell). For that,
what comes is paired at once: with the first recorded message that it matches; else with the first one of its type that
is waited for, so that an answer whose content has changed holds nothing up. What is told in the end (`compare`) does
not hang on that: all that came is aligned with all that was recorded.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from wsrecorder.core.alignment import Match, Message, align
from wsrecorder.core.saying import Matching, Said

__all__ = ["Line", "Rehearsal"]


@dataclass(frozen=True, slots=True)
class Line:
    """A message of the script.

    Attributes:
        said: What was said.
        is_ours: Whether the client said it.
        elapsed_ns: When, session time, ns.
    """

    said: Said
    is_ours: bool
    elapsed_ns: int


class Rehearsal:
    """Goes through a script; see the top of the module.

    Args:
        script: What was recorded.
        matching: When an answer is the recorded one.

    Attributes:
        sent: How many of our messages were sent.
        found: What the server has said.
    """

    def __init__(self, script: Sequence[Line], matching: Matching) -> None:
        self.sent = 0
        self.found: list[Said] = []
        self._matching = matching
        self._ours = [place for place, line in enumerate(script) if line.is_ours]
        self._script = script
        self._awaited: dict[int, Said] = {}  # by place, of those before our next message, what has not come
        self._paired: set[int] = set()
        self._pairs: dict[int, int] = {}  # which of those that came matches which place
        self._reached = 0
        self._by_key: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for place, line in enumerate(script):
            if not line.is_ours and (key := matching.key(line.said)) is not None:
                self._by_key[key].append(place)
        self._await_more()

    @property
    def next_line(self) -> Line | None:
        """Our next message; None if all were sent."""
        return self._script[self._ours[self.sent]] if self.sent < len(self._ours) else None

    @property
    def unsent(self) -> int:
        """How many of our messages were not sent."""
        return len(self._ours) - self.sent

    @property
    def is_answered(self) -> bool:
        """Whether all has come that was recorded before our next message, or the end."""
        return not self._awaited

    def note_sent(self) -> None:
        """Take note that our next message was sent."""
        self.sent += 1
        self._await_more()

    def hear(self, said: Said) -> None:
        """Take what the server says."""
        place = self._match(said)
        if place is not None:
            self._pairs[len(self.found)] = place
        else:
            place = next((place for place, awaited in self._awaited.items() if awaited.type == said.type), None)
        if place is not None:
            self._paired.add(place)
            self._awaited.pop(place, None)
        self.found.append(said)

    def compare(self) -> Iterator[Match[Said]]:
        """Yield what became of each recorded message of the server, and what came beside them."""
        before = [
            Message(self._identity(line.said, place), line.said.type, None, line.said)
            for place, line in enumerate(self._script)
            if not line.is_ours
        ]
        after = [
            Message(self._identity(said, self._pairs.get(number, ~number)), said.type, None, said)
            for number, said in enumerate(self.found)
        ]
        return align(before, after)

    def _identity(self, said: Said, place: int) -> Hashable:
        key = self._matching.key(said)
        return place if key is None else (key,)

    def _match(self, said: Said) -> int | None:
        key = self._matching.key(said)
        if key is None:
            awaited = list(self._awaited)
            found = self._matching.first(said, [self._awaited[place] for place in awaited])
            return None if found is None else awaited[found]
        places = self._by_key.get(key)
        while places:
            place = places.popleft()
            if place not in self._paired:
                return place
        return None

    def _await_more(self) -> None:
        stop = self._ours[self.sent] if self.sent < len(self._ours) else len(self._script)
        for place in range(self._reached, stop):
            line = self._script[place]
            if not line.is_ours and place not in self._paired:
                self._awaited[place] = line.said
        self._reached = max(self._reached, stop)
