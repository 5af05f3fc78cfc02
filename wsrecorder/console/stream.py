"""The state as server-sent events: computed once a tick, however many pages listen; not at all while none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.jobs.mishaps import Mishaps

__all__ = ["StateStream"]

_TICK_NS: Final = 200_000_000
_TICKS_UNCHANGED: Final = 5
"""After so many ticks the state is sent although nothing has changed: whoever listens knows that we are here."""


class StateStream:
    """Sends a state to whoever listens: about 5 times a second while it changes, else once a second.

    A listener that reads too slowly misses states, never the newest.

    Args:
        read: Returns the state now, encoded as JSON.
        clock: The time.
        look_again: Awaited before each state that is read: what takes long is begun there.
        mishaps: Takes our mistakes in reading it.
    """

    def __init__(
        self, read: Callable[[], bytes], clock: Clock, look_again: Callable[[], None], mishaps: Mishaps | None = None
    ) -> None:
        self._read = read
        self._clock = clock
        self._look_again = look_again
        self._mishaps = mishaps or Mishaps()
        self._listeners = 0
        self._number = 0
        self._newest = b""
        self._published = asyncio.Event()
        self._poked = asyncio.Event()
        self._is_closed = False
        self._producer: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._listeners

    def poke(self) -> None:
        """Send the state at once: a control has changed it."""
        self._poked.set()

    def close(self) -> None:
        """Let all listeners go."""
        self._is_closed = True
        self._publish(self._newest)
        if self._producer is not None:
            self._producer.cancel()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the stream for one listener, in the format of server-sent events, until it is closed."""
        self._listeners += 1
        if self._producer is None or self._producer.done():
            self._producer = asyncio.create_task(self._produce())
        seen = 0 if self._listeners == 1 else self._number - 1  # who comes later gets the newest at once
        try:
            yield b"retry: 2000\n\n"
            while True:
                while seen >= self._number and not self._is_closed:
                    await self._published.wait()
                if self._is_closed:
                    return
                seen = self._number
                yield b"event: state\ndata: " + self._newest + b"\n\n"
        finally:
            self._listeners -= 1
            if not self._listeners and self._producer is not None:
                self._producer.cancel()
                self._producer = None
                self._number = 0

    async def _produce(self) -> None:
        unchanged = 0
        while True:
            self._poked.clear()
            with self._mishaps.contain("console", "the state is read again"):
                self._look_again()
                state = self._read()
                unchanged = unchanged + 1 if state == self._newest and self._number else 0
                if unchanged in (0, _TICKS_UNCHANGED):
                    unchanged = 0
                    self._publish(state)
            await self._clock.sleep_until(self._clock.now_ns() + _TICK_NS, self._poked)

    def _publish(self, state: bytes) -> None:
        self._newest = state
        self._number += 1
        self._published.set()
        self._published = asyncio.Event()
