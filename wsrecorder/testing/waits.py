"""What a test can wait for, as coroutines: on the server's thread, or handed to a loop that awaits them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, overload

from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.two_way import TwoWayReplay
from wsrecorder.testing.loop_thread import LoopThread
from wsrecorder.testing.received import Inbox, ReceivedFrame
from wsrecorder.testing.waiting import in_time, until

__all__ = ["Waits"]

_Found = TypeVar("_Found")

_TIMEOUT_S: Final = 5.0
_ASYNC_HINT: Final = "in an async test await the same of .aio, so that the test's own clients go on meanwhile"


class Waits:
    """The waits of a `ReplayServer`, for ``await``; ``for_…`` are the same on the server's own thread.

    Args:
        replay: What is waited for.
        inbox: What clients send.
        thread: Where both live.
    """

    def __init__(self, replay: Replay | TwoWayReplay, inbox: Inbox, thread: LoopThread) -> None:
        self._replay = replay
        self._inbox = inbox
        self._thread = thread

    @overload
    async def wait_received(self, wanted: int = 1, timeout_s: float = _TIMEOUT_S) -> list[ReceivedFrame]: ...
    @overload
    async def wait_received(
        self, wanted: Callable[[ReceivedFrame], object], timeout_s: float = _TIMEOUT_S
    ) -> ReceivedFrame: ...
    async def wait_received(
        self, wanted: int | Callable[[ReceivedFrame], object] = 1, timeout_s: float = _TIMEOUT_S
    ) -> list[ReceivedFrame] | ReceivedFrame:
        """Wait as `ReplayServer.wait_received`."""
        return await self._elsewhere(self.for_received(wanted, timeout_s))

    async def wait_finished(self, timeout_s: float = 30.0) -> None:
        """Wait as `ReplayServer.wait_finished`."""
        await self._elsewhere(self.for_finished(timeout_s))

    async def wait_clients(self, count: int = 1, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait as `ReplayServer.wait_clients`."""
        await self._elsewhere(self.for_clients(count, timeout_s))

    async def wait_sent(self, frames: int = 1, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait as `ReplayServer.wait_sent`."""
        await self._elsewhere(self.for_sent(frames, timeout_s))

    async def _elsewhere(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        return await self._thread.run_async(work)

    # On the server's thread.

    async def for_received(
        self, wanted: int | Callable[[ReceivedFrame], object], timeout_s: float
    ) -> list[ReceivedFrame] | ReceivedFrame:
        """Wait for messages of clients."""
        if callable(wanted):
            return await self._in_time(
                self._inbox.wait_for_match(wanted), timeout_s, "a message that is wanted", self._inbox.shown
            )
        return await self._in_time(self._inbox.wait_for_count(wanted), timeout_s, _messages(wanted), self._inbox.shown)

    async def for_finished(self, timeout_s: float) -> None:
        """Wait until everything was played."""
        replay = self._replay
        is_over = replay.finished.wait() if isinstance(replay, Replay) else until(lambda: _has_talked(replay))
        await self._in_time(is_over, timeout_s, "the end of the recording", self._played)
        if replay.error is not None:
            raise replay.error

    async def for_clients(self, count: int, timeout_s: float) -> None:
        """Wait for clients to come or go."""
        endpoint = self._replay.endpoint
        await self._in_time(
            until(lambda: len(endpoint.clients) == count), timeout_s,
            f"{count} clients", lambda: f"{len(endpoint.clients)}, {endpoint.clients_served} came so far",
        )  # fmt: skip

    async def for_sent(self, frames: int, timeout_s: float) -> None:
        """Wait for frames to be played."""
        replay = self._replay
        await self._in_time(
            until(lambda: replay.report().frames_sent >= frames),
            timeout_s,
            f"{frames} frames to be played",
            self._played,
        )

    async def _in_time(
        self, work: Coroutine[Any, Any, _Found], timeout_s: float, expected: str, found: Callable[[], str]
    ) -> _Found:
        return await in_time(work, timeout_s, expected, found, _ASYNC_HINT)

    def _played(self) -> str:
        state = self._replay.state
        return f"{state.frames_sent} frames played, {state.clients} clients connected, {state.status}"


def _messages(count: int) -> str:
    return "1 message of a client" if count == 1 else f"{count} messages of clients"


def _has_talked(replay: TwoWayReplay) -> bool:
    """Return whether each client that came has said, and was answered, all that was recorded, or was closed."""
    if replay.error is not None or replay.state.status == "ended":
        return True
    talks = replay.report().dialogues
    return bool(talks) and not replay.endpoint.clients and all(not each.remaining or each.mismatch for each in talks)
