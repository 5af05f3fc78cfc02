"""Two sides talking: which part of a recording may be played, given what a client has said.

Theory of operation. A recorded connection falls into *turns*. The first is what the server said before the client
had said anything; each of the others begins with a message of the client and is what the server said from there
up to the client's next one. A dialogue is told what a client says (`hear`) and which turns were played to their end
(`played`), and answers what to do: `Play` a turn, or `Stop` what a rule plays. It knows no time.

- `StrictDialogue`: turn after turn; the next one is played when the one before it was, and the client has said
  what stands at its head. What it says meanwhile is kept, what does not match is passed over.
- `LooseDialogue`: whatever matches the head of a turn that was not played yet has it played, at once.
- `wsrecorder.core.ruled_dialogue`: rules say what is played, whatever was recorded of the client.

Invariants, held to by tests: a turn is played at most once; a strict dialogue never plays a turn before its head was
said; a client that says what was recorded gets all turns, in order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wsrecorder.core.saying import Matching, Said

__all__ = [
    "Action",
    "Dialogue",
    "LooseDialogue",
    "Play",
    "Stop",
    "StrictDialogue",
    "Tally",
    "Turn",
    "turns_of",
]

_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Turn:
    """A part of a recording that is played as a whole.

    Attributes:
        conn: The connection that it was recorded on; None is all of them.
        head: What the client said; None before it had said anything.
        start_ns: When that was, session time, ns.
        first_seq: Sequence number from which on events belong to it.
        stop_seq: Sequence number from which on they do not; None is the end of the session.
        rule: Number of the rule that plays it; None where none does.
    """

    conn: int | None
    head: Said | None
    start_ns: int
    first_seq: int
    stop_seq: int | None
    rule: int | None = None


@dataclass(frozen=True, slots=True)
class Play:
    """Play a turn, from now on."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop what a rule plays."""

    rule: int


Action = Play | Stop


@dataclass(slots=True)
class Tally:
    """What a client has said so far.

    Attributes:
        heard: Messages.
        matched: Those that were answered.
        strays: The last of the others, at most 20.
    """

    heard: int = 0
    matched: int = 0
    strays: deque[Said] = field(default_factory=lambda: deque(maxlen=_KEPT))

    @property
    def unmatched(self) -> int:
        """How many were not answered."""
        return self.heard - self.matched


class Dialogue(Protocol):
    """Decides what is played to one client; see the top of the module."""

    tally: Tally

    def begin(self) -> Sequence[Action]:
        """The client is here."""
        ...

    def hear(self, said: Said) -> Sequence[Action]:
        """The client has said something."""
        ...

    def played(self, turn: Turn) -> Sequence[Action]:
        """A turn was played to its end."""
        ...

    @property
    def expected(self) -> Said | None:
        """What must be said before anything more is played; None if nothing is waited for."""
        ...

    @property
    def remaining(self) -> int:
        """How many recorded messages of the client it has not said yet."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether all was played, and nothing that a client says can change that."""
        ...


def turns_of(heads: Iterable[tuple[int, int, Said]], *, conn: int, start_ns: int = 0, first_seq: int = 0) -> list[Turn]:
    """Cut a recorded connection into turns.

    Args:
        heads: Sequence number, session time in ns and content of each message of the client, in order.
        conn: The connection.
        start_ns: Where the first turn begins, session time, ns.
        first_seq: Sequence number of the first event.
    """
    opened: list[tuple[Said | None, int, int]] = [(None, start_ns, first_seq)]
    opened += [(said, elapsed_ns, seq + 1) for seq, elapsed_ns, said in heads]
    stops = [first - 1 for _, _, first in opened[1:]]
    return [
        Turn(conn, head, begins_ns, first, stop)
        for (head, begins_ns, first), stop in zip(opened, [*stops, None], strict=True)
    ]


class StrictDialogue:
    """Plays turn after turn, each when the client has said its head.

    Args:
        turns: Of one connection, as `turns_of` returns them.
        matching: When the client has said it.

    Attributes:
        tally: What the client has said; what waits for its turn is not counted yet.
    """

    def __init__(self, turns: Sequence[Turn], matching: Matching) -> None:
        self.tally = Tally()
        self._turns = turns
        self._matching = matching
        self._next = 0
        self._is_playing = False
        self._waiting: deque[Said] = deque()

    def begin(self) -> Sequence[Action]:
        """Play what comes before the first head."""
        return self._play_next()

    def hear(self, said: Said) -> Sequence[Action]:
        """Play the next turn if this is its head and all before it was played."""
        self._waiting.append(said)
        return self._advance()

    def played(self, turn: Turn) -> Sequence[Action]:
        """Play the next turn if its head was said meanwhile."""
        self._is_playing = False
        return self._advance()

    @property
    def expected(self) -> Said | None:
        """The head of the next turn, once all before it was played."""
        return None if self._is_playing or self.is_over else self._turns[self._next].head

    @property
    def remaining(self) -> int:
        """How many heads have not been said."""
        return len(self._turns) - self._next

    @property
    def is_over(self) -> bool:
        """Whether all turns were played."""
        return not self._is_playing and self._next == len(self._turns)

    def _advance(self) -> Sequence[Action]:
        while self._waiting and not self._is_playing:
            said = self._waiting.popleft()
            self.tally.heard += 1
            expected = self.expected
            if expected is not None and self._matching.first(said, (expected,)) is not None:
                self.tally.matched += 1
                self.tally.strays.clear()  # what was passed over on the way here explains nothing any more
                return self._play_next()
            self.tally.strays.append(said)
        return ()

    def _play_next(self) -> Sequence[Action]:
        turn = self._turns[self._next]
        self._next += 1
        self._is_playing = True
        return (Play(turn),)


class LooseDialogue:
    """Plays a turn as soon as the client says its head, whatever the order.

    Args:
        turns: Those without a head are played at once.
        matching: When the client has said a head; of several that match, the first is taken.

    Attributes:
        tally: What the client has said.
    """

    def __init__(self, turns: Iterable[Turn], matching: Matching) -> None:
        self.tally = Tally()
        self._matching = matching
        self._openers: list[Turn] = []
        self._unsaid: dict[int, tuple[Said, Turn]] = {}
        self._by_key: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        self._playing = 0
        for place, turn in enumerate(turns):
            if turn.head is None:
                self._openers.append(turn)
                continue
            self._unsaid[place] = (turn.head, turn)
            self._by_key[matching.key(turn.head)].append(place)

    def begin(self) -> Sequence[Action]:
        """Play what has no head."""
        return self._play(self._openers)

    def hear(self, said: Said) -> Sequence[Action]:
        """Play the first turn with such a head that was not played yet."""
        self.tally.heard += 1
        place = self._find(said)
        if place is None:
            self.tally.strays.append(said)
            return ()
        self.tally.matched += 1
        return self._play([self._unsaid.pop(place)[1]])

    def played(self, turn: Turn) -> Sequence[Action]:
        """Take note that a turn was played."""
        self._playing -= 1
        return ()

    @property
    def expected(self) -> Said | None:
        """None: nothing is waited for."""
        return None

    @property
    def remaining(self) -> int:
        """How many heads have not been said."""
        return len(self._unsaid)

    @property
    def is_over(self) -> bool:
        """Whether all turns were played."""
        return not self._unsaid and not self._playing

    def _find(self, said: Said) -> int | None:
        key = self._matching.key(said)
        if key is not None:
            places = self._by_key.get(key)
            return places.popleft() if places else None
        left = list(self._unsaid)
        found = self._matching.first(said, [self._unsaid[place][0] for place in left])
        return None if found is None else left[found]

    def _play(self, turns: Sequence[Turn]) -> Sequence[Action]:
        self._playing += len(turns)
        return [Play(turn) for turn in turns]
