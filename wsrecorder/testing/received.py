"""What clients have sent, in order, and waiting for more of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wsrecorder.core.envelope import plain
from wsrecorder.core.event import Opcode
from wsrecorder.net.client import Client

__all__ = ["Inbox", "ReceivedFrame"]


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A message that a client has sent.

    Attributes:
        client: Number of the client; 1 is the first that came.
        payload: Its bytes.
        opcode: Text or binary.
    """

    client: int
    payload: bytes
    opcode: Opcode

    @property
    def text(self) -> str | None:
        """The message as text; None for a binary one."""
        return self.payload.decode(errors="replace") if self.opcode is Opcode.TEXT else None

    @property
    def json(self) -> Any:
        """The message as plain values; None if it is no JSON."""
        return plain(self.payload)

    def __str__(self) -> str:
        shown = self.payload[:80].decode(errors="backslashreplace")
        return f"client {self.client}: {shown}{' …' if len(self.payload) > 80 else ''}"


class Inbox:
    """Keeps what clients send.

    Attributes:
        frames: All of it so far, in the order of arrival.
    """

    def __init__(self) -> None:
        self.frames: list[ReceivedFrame] = []
        self._has_news = asyncio.Event()

    def take(self, client: Client, payload: bytes, opcode: int) -> None:
        """Take in a message; it has the signature of `Endpoint.on_inbound`."""
        self.frames.append(ReceivedFrame(client.number, bytes(payload), Opcode(opcode)))
        self._has_news.set()

    async def wait_for_count(self, count: int) -> list[ReceivedFrame]:
        """Return all that came, once there are so many."""
        while len(self.frames) < count:
            await self._news()
        return list(self.frames)

    async def wait_for_match(self, is_wanted: Callable[[ReceivedFrame], object]) -> ReceivedFrame:
        """Return the first message that is wanted, once there is one."""
        looked_at = 0
        while True:
            while looked_at < len(self.frames):
                frame = self.frames[looked_at]
                if is_wanted(frame):
                    return frame
                looked_at += 1
            await self._news()

    async def _news(self) -> None:
        self._has_news.clear()
        await self._has_news.wait()

    def shown(self) -> str:
        """Return what there is, for a message."""
        if not self.frames:
            return "none"
        last = "; ".join(map(str, self.frames[-3:]))
        return f"{len(self.frames)} ({'the last: ' if len(self.frames) > 3 else ''}{last})"
