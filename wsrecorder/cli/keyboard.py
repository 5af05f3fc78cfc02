"""Keys of a terminal, read while something else goes on.

Theory of operation. While keys are read the terminal gives each one at once and does not echo it ("cbreak" mode:
Ctrl-C and Ctrl-Z are signals still). That mode belongs to the terminal, not to us, so it must never outlive us, nor
be set while somebody else has the terminal::

    away --enter: in the foreground--> reading --leave: the end, stop asked for, Ctrl-Z--> away

- Ctrl-Z gives the terminal back, then stops the program as if nobody had caught the signal.
- After ``fg`` it is taken again. ``bg`` leaves it with the shell: who sets its mode or reads from it in the background
  is stopped by the system. Nothing tells of coming to the foreground without having been stopped; so it is looked at
  now and then.
- What ends a program without asking (SIGKILL, a second SIGTERM) cannot be caught. So the terminal is given back as soon
  as an end is asked for, not when it is reached.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TextIO

from wsrecorder.cli.key_decoder import KeyDecoder

if sys.platform != "win32":
    import termios

__all__ = ["Keyboard", "read_keys", "terminal_of"]

_LOOK_S: Final = 0.5
_SEQUENCE_S: Final = 0.1
"""How long to wait for the rest of a sequence; over a slow line it may come in two parts."""


def terminal_of(stream: TextIO | None) -> int | None:
    """Return the descriptor of the terminal whose keys a stream gives, or None where it is none."""
    if sys.platform == "win32" or stream is None:
        return None
    try:
        return stream.fileno() if stream.isatty() else None
    except ValueError:  # closed
        return None


@asynccontextmanager
async def read_keys(
    descriptor: int,
    on_key: Callable[[str], None],
    stop: asyncio.Event,
    on_away: Callable[[], None] = lambda: None,
    on_back: Callable[[], None] = lambda: None,
) -> AsyncIterator[None]:
    """Read keys while the block runs, until an end is asked for.

    Args:
        descriptor: A terminal; as `terminal_of` gives it.
        on_key: Told each key, as `KeyDecoder` names it.
        stop: Set when an end is asked for.
        on_away: Told when the terminal is no longer ours, before Ctrl-Z stops the program: show nothing more.
        on_back: Told when it is.
    """
    keyboard = Keyboard(descriptor, on_key, on_away, on_back)
    loop = asyncio.get_running_loop()

    def on_suspend() -> None:
        keyboard.leave()
        on_away()
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)  # stands still here until it is continued
        loop.add_signal_handler(signal.SIGTSTP, on_suspend)
        keyboard.look()

    async def watch() -> None:
        while True:
            keyboard.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await stop.wait()
                break
        keyboard.close()

    for number, handler in ((signal.SIGTSTP, on_suspend), (signal.SIGCONT, keyboard.look_again)):
        loop.add_signal_handler(number, handler)
    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        for number in (signal.SIGTSTP, signal.SIGCONT):
            loop.remove_signal_handler(number)
        keyboard.close()


class Keyboard:
    """A terminal's keys.

    Args:
        descriptor: The terminal.
        on_key: Told each key.
        on_away: Told when the terminal is no longer ours.
        on_back: Told when it is.
    """

    def __init__(
        self,
        descriptor: int,
        on_key: Callable[[str], None],
        on_away: Callable[[], None] = lambda: None,
        on_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._descriptor = descriptor
        self._on_key = on_key
        self._on_away = on_away
        self._on_back = on_back
        self._decoder = KeyDecoder()
        self._before = termios.tcgetattr(descriptor)
        self._loop = asyncio.get_running_loop()
        self._flush: asyncio.TimerHandle | None = None
        self._is_reading = False
        self._is_closed = False

    def look(self) -> None:
        """Read keys if the terminal is ours to read, and leave it alone if not."""
        if self._is_closed or self._is_foreground() == self._is_reading:
            return
        if self._is_reading:
            self._stop_reading()  # its mode is the shell's affair now
            self._on_away()
        else:
            self._enter()

    def look_again(self) -> None:
        """Do so after having been stopped: whoever had the terminal meanwhile may have changed its mode."""
        self._stop_reading()
        self.look()

    def close(self) -> None:
        """Give the terminal back for good."""
        self.leave()
        self._is_closed = True

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if self._is_reading:
            self._stop_reading()
            if self._is_foreground():
                self._set_mode(self._before)

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # not the terminal that controls us: nobody else takes and gives it
            return True

    def _enter(self) -> None:
        mode = [*self._before]
        mode[0] &= ~termios.IXON  # Ctrl-S would make the next line printed wait, and everything with it
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6] = characters = [*self._before[6]]
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        if self._set_mode(mode):
            self._is_reading = True
            self._loop.add_reader(self._descriptor, self._on_readable)
            self._on_back()

    def _set_mode(self, mode: list[int | list[bytes | int]]) -> bool:
        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
        except termios.error:  # it has hung up: nothing is left to set
            self._is_closed = True
            return False
        return True

    def _stop_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._descriptor)
        if self._flush is not None:
            self._flush.cancel()

    def _on_readable(self) -> None:
        if not self._is_foreground():
            self.look()
            return
        try:
            received = os.read(self._descriptor, 1024)
        except OSError:
            received = b""
        if not received:  # hung up
            self._stop_reading()
            self._is_closed = True
            return
        self._press(self._decoder.feed(received))
        if self._flush is not None:
            self._flush.cancel()
        if self._decoder.has_begun:
            self._flush = self._loop.call_later(_SEQUENCE_S, lambda: self._press(self._decoder.flush()))

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            self._on_key(key)
