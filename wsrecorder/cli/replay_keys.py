"""What the keys of a replay on a terminal do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from wsrecorder.cli.key_decoder import DOWN, LEFT, RIGHT, UP
from wsrecorder.cli.output import show_duration, show_number, show_speed
from wsrecorder.core.target import AtMatch, ByDelta
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.jobs.mishaps import Mishaps

if TYPE_CHECKING:
    from wsrecorder.jobs.playback import Playback
    from wsrecorder.jobs.replay import Replay

__all__ = ["KEYS_LINE", "SPEEDS", "ReplayKeys", "faster", "slower"]

KEYS_LINE: Final = "space pause · ← → step · ↑ ↓ speed · [ ] ∓10 s · n next match · r restart · q quit"

SPEEDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, float("inf"))
"""What the arrows go through, session seconds per wall second."""

_SEEK_NS: Final = 10_000_000_000
_MOST_PENDING: Final = 64
"""A key held down repeats faster than a seek may be: what is pressed beyond this is not kept."""


def faster(speed: float) -> float:
    """Return the next speed above this one."""
    return next((step for step in SPEEDS if step > speed), SPEEDS[-1])


def slower(speed: float) -> float:
    """Return the next speed below this one."""
    return next((step for step in reversed(SPEEDS) if step < speed), SPEEDS[0])


class ReplayKeys:
    """Carries out keys one after the other; the same key pressed again meanwhile is done in one go.

    Attributes:
        said: What the last key came to, for the panel.
        is_refused: Whether that is why it could not be done.

    Args:
        stop: Set by ``q``.
        match: SQL expression that ``n`` looks for; None where there is none.
        mishaps: Takes our mistakes in what a key does.
    """

    def __init__(self, stop: asyncio.Event, match: str | None = None, mishaps: Mishaps | None = None) -> None:
        self.said = ""
        self.is_refused = False
        self._replay: Replay | None = None
        self._stop = stop
        self._match = match
        self._mishaps = mishaps or Mishaps()
        self._pending: deque[str] = deque()
        self._pressed = asyncio.Event()

    def control(self, replay: Replay) -> None:
        """Control this one from now on: the playback that all clients share, or the only one there is."""
        self._replay = replay

    def press(self, key: str) -> None:
        """Take a key, as `KeyDecoder` names it; one that does nothing is passed over."""
        if key == "q":  # not behind a search that goes on
            self._say("ending …")
            self._stop.set()
        elif key in _ACTIONS and self._replay is not None and len(self._pending) < _MOST_PENDING:
            self._pending.append(key)
            self._pressed.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Carry out what is pressed while the block runs."""
        task = asyncio.create_task(self._work())
        task.add_done_callback(lambda _: self._stop.set())  # of its own accord it ends by our mistake alone
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        while True:
            await self._pressed.wait()
            assert self._replay is not None, "no key is taken before there is a replay"
            while self._pending:
                key, times = self._pending.popleft(), 1
                while key in _REPEATABLE and self._pending and self._pending[0] == key:
                    self._pending.popleft()
                    times += 1
                try:
                    await _ACTIONS[key](self, self._replay.playback(None), times)
                except WsrecError as exc:
                    self._say(f"{exc.message}; {exc.hint}", is_refused=True)
                except Exception as exc:
                    self._mishaps.note("keys", exc, "the replay goes on")
                    self._say("that failed by a mistake of wsrec", is_refused=True)
            self._pressed.clear()

    def _say(self, text: str, *, is_refused: bool = False) -> None:
        self.said, self.is_refused = text, is_refused

    async def _pause(self, playback: Playback, times: int) -> None:
        match playback.state.status:
            case "ended":
                raise UsageError("everything was played", hint="r plays it again, ← and [ go back")
            case "paused":
                playback.resume()
                self._say("playing on")
            case _:
                playback.pause()
                self._say("paused")

    async def _step_on(self, playback: Playback, times: int) -> None:
        await playback.step(times)
        self._say(f"{show_number(times, 'event')} forward")

    async def _step_back(self, playback: Playback, times: int) -> None:
        await playback.step(-times)
        self._say(f"{show_number(times, 'event')} back")

    async def _speed_up(self, playback: Playback, times: int) -> None:
        self._set_speed(playback, faster(playback.state.speed))

    async def _slow_down(self, playback: Playback, times: int) -> None:
        self._set_speed(playback, slower(playback.state.speed))

    def _set_speed(self, playback: Playback, speed: float) -> None:
        playback.set_speed(speed)
        self._say(f"speed {show_speed(speed)}")

    async def _seek_on(self, playback: Playback, times: int) -> None:
        self._say_place(await playback.seek(ByDelta(times * _SEEK_NS)))

    async def _seek_back(self, playback: Playback, times: int) -> None:
        self._say_place(await playback.seek(ByDelta(-times * _SEEK_NS)))

    def _say_place(self, session_ns: int) -> None:
        self._say(f"at {show_duration(session_ns)}")

    async def _seek_match(self, playback: Playback, times: int) -> None:
        if self._match is None:
            raise UsageError("nothing was named to look for", hint="--match \"type = 'ERROR'\" says what n finds")
        self._say("looking for the next match …")
        session_ns = await playback.seek(AtMatch(self._match))
        self._say(f"a match at {show_duration(session_ns)}")

    async def _restart(self, playback: Playback, times: int) -> None:
        playback.restart()
        self._say("from the beginning")


_ACTIONS: Final = {
    " ": ReplayKeys._pause,
    RIGHT: ReplayKeys._step_on,
    LEFT: ReplayKeys._step_back,
    UP: ReplayKeys._speed_up,
    DOWN: ReplayKeys._slow_down,
    "]": ReplayKeys._seek_on,
    "[": ReplayKeys._seek_back,
    "n": ReplayKeys._seek_match,
    "r": ReplayKeys._restart,
}
_REPEATABLE: Final = {RIGHT, LEFT, "[", "]", "r"}
