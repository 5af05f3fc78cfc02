"""The dialogue with one client: what it says is told to the core, what the core answers is played."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wsrecorder.clock import Clock
from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.dialogue import Action, Dialogue, Play, Stop, Turn
from wsrecorder.core.event import Opcode
from wsrecorder.core.likeness import ABSENT, Change
from wsrecorder.core.saying import Said, changes
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.turn_player import TurnPlayer
from wsrecorder.net.client import Client

__all__ = ["ClientDialogue", "DialoguePlayback", "Mismatch"]

_LOG: Final = logging.getLogger("wsrecorder.replay")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What a client should have said and did not.

    Attributes:
        expected: The recorded message that was waited for.
        found: What the client said instead, the most like it; None if it said nothing.
        changes: Where the two differ.
        waited_s: How long it was waited for, s.
    """

    expected: Said
    found: Said | None
    changes: tuple[Change, ...]
    waited_s: float

    @property
    def reason(self) -> str:
        """It in a few words, for a close frame."""
        if self.found is None:
            return f"expected message {self.expected.seq}, nothing came within {self.waited_s:g} s"
        return f"expected message {self.expected.seq}, found another: {_shown_change(self.changes[0])}"

    def lines(self) -> Iterator[str]:
        """Yield it in full, for people."""
        yield f"expected (event {self.expected.seq}): {_shown(self.expected.payload)}"
        if self.found is None:
            yield f"found: nothing within {self.waited_s:g} s"
            return
        yield f"found: {_shown(self.found.payload)}"
        yield from (f"  {_shown_change(change)}" for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON; what is absent has no value."""
        return {
            "expected_seq": self.expected.seq,
            "expected": _text(self.expected.payload),
            "found": None if self.found is None else _text(self.found.payload),
            "waited_s": self.waited_s,
            "changes": [
                {"path": each.path}
                | {name: _plain(value) for name, value in (("expected", each.before), ("found", each.after))
                   if value is not ABSENT}
                for each in self.changes
            ],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClientDialogue:
    """How the dialogue with one client went.

    Attributes:
        client: Number of the client.
        heard: Messages that it sent.
        matched: Those that were answered.
        remaining: Recorded messages that it has not sent.
        strays: The last of its messages that were not answered.
        mismatch: Why it was closed, or None.
    """

    client: int
    heard: int
    matched: int
    remaining: int
    strays: tuple[str, ...]
    mismatch: Mismatch | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "client": self.client,
            "heard": self.heard,
            "matched": self.matched,
            "unmatched": self.heard - self.matched,
            "remaining": self.remaining,
            "strays": list(self.strays),
            "mismatch": None if self.mismatch is None else self.mismatch.to_dict(),
        }


class DialoguePlayback:
    """Talks with one client.

    Attributes:
        turns: Plays.
        mismatch: Why it ended early, or None.
        is_done: Whether it has come to an end, good or bad.

    Args:
        client: Whom with.
        dialogue: Decides.
        turns: Plays.
        answers: Gives the frames of a turn.
        is_ready: Whether it does so at once; else on a thread.
        reader: Reads the types of what the client says.
        clock: Where the time comes from.
        match_timeout_s: How long to wait for what is expected, s.
    """

    def __init__(
        self, client: Client, dialogue: Dialogue, turns: TurnPlayer, answers: Callable[[Turn], Iterator[PlayBatch]],
        *, is_ready: bool, reader: EnvelopeReader, clock: Clock, match_timeout_s: float,
    ) -> None:  # fmt: skip
        self.client = client
        self.turns = turns
        self.mismatch: Mismatch | None = None
        self._dialogue = dialogue
        self._answers = answers
        self._is_ready = is_ready
        self._reader = reader
        self._clock = clock
        self._match_timeout_s = match_timeout_s
        self._heard: deque[Said] = deque()
        self.is_done = False
        self._changed = asyncio.Event()
        self._playing: dict[Turn, asyncio.Task[None]] = {}

    @property
    def is_over(self) -> bool:
        """Whether all was played, and nothing that the client says can change that."""
        return self._dialogue.is_over

    def hear(self, payload: bytes, opcode: int) -> None:
        """Take what the client says."""
        said = Said(payload, Opcode(opcode), self._reader.read(payload)[0])
        if self.is_done:
            self._dialogue.tally.heard += 1  # nothing follows from it any more
            self._dialogue.tally.strays.append(said)
        else:
            self._heard.append(said)
            self._changed.set()

    async def run(self) -> None:
        """Talk until all was played, or the client did not say what was expected in time.

        Raises:
            SessionError: The session cannot be read any further.
        """
        try:
            self._do(self._dialogue.begin())
            while not self._dialogue.is_over and self.mismatch is None:
                expected = self._dialogue.expected
                since_ns = self._clock.now_ns()
                deadline_ns = since_ns + round(self._match_timeout_s * 1e9)
                while self._dialogue.expected is expected and not self._dialogue.is_over:
                    if not await self._step(None if expected is None else deadline_ns):
                        assert expected is not None
                        self.mismatch = self._mismatch(expected)
                        break
            await self.turns.drain()
        finally:
            self.is_done = True
            for task in self._playing.values():
                task.cancel()
            await asyncio.gather(*self._playing.values(), return_exceptions=True)

    async def _step(self, deadline_ns: int | None) -> bool:
        """Wait for something to happen, and do what follows from it; return False if the time is over."""
        if not self._heard and not any(task.done() for task in self._playing.values()):
            self._changed.clear()
            if deadline_ns is None:
                await self._changed.wait()
            elif self._clock.now_ns() >= deadline_ns:
                return False
            else:
                await self._clock.sleep_until(deadline_ns, wake=self._changed)
        tally = self._dialogue.tally
        strays = tally.unmatched
        for turn in [turn for turn, task in self._playing.items() if task.done()]:
            self._playing.pop(turn).result()
            self._do(self._dialogue.played(turn))
        while self._heard:
            self._do(self._dialogue.hear(self._heard.popleft()))
        if tally.unmatched > strays and tally.strays:
            _LOG.warning(
                "%s sent what is not expected: %s", self.client, _shown(tally.strays[-1].payload),
                extra={"without_payload": f"{self.client} sent what is not expected"},
            )  # fmt: skip
        return True

    def _do(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Play(turn):
                    task = asyncio.create_task(
                        self.turns.play(self._answers(turn), turn.start_ns, is_ready=self._is_ready)
                    )
                    task.add_done_callback(lambda _: self._changed.set())
                    self._playing[turn] = task
                case Stop(rule):
                    for turn in [turn for turn in self._playing if turn.rule == rule]:
                        self._playing.pop(turn).cancel()

    def _mismatch(self, expected: Said) -> Mismatch:
        strays = [(stray, changes(expected, stray)) for stray in self._dialogue.tally.strays]
        found, differs = min(strays, key=lambda each: len(each[1]), default=(None, ()))
        if found is not None and not differs:  # the same as JSON: its bytes were wanted, or a condition did not hold
            differs = (Change("", expected.payload, found.payload),)
        return Mismatch(expected, found, differs, self._match_timeout_s)

    def report(self) -> ClientDialogue:
        """Return how it went so far."""
        tally = self._dialogue.tally
        return ClientDialogue(
            self.client.number,
            tally.heard,
            tally.matched,
            self._dialogue.remaining,
            tuple(_text(said.payload) for said in tally.strays),
            self.mismatch,
        )


def _text(payload: bytes) -> str:
    return payload.decode(errors="backslashreplace")


def _shown(payload: bytes) -> str:
    text = _text(payload)
    return text if len(text) <= 300 else f"{text[:299]}…"


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, bytes) else value


def _shown_change(change: Change) -> str:
    before, after = ("nothing" if value is ABSENT else repr(_plain(value)) for value in (change.before, change.after))
    return f"{change.path or 'the payload'}: expected {before}, found {after}"
