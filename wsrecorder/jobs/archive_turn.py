"""Who archives a feed: one at a time, and another one as soon as he is gone.

Into a folder, a lock beside it tells, as archivers of one folder are on one machine. Into object storage they may be
anywhere, and a lease in the stream tells, as of recorders of one session: the last message of
``wsrec.@lease.CONSUMER`` names the holder, and the holder answers who asks for him. When nobody has answered for a
while the lease is there to be taken.

A lease keeps two from doing the same work; it need not keep them from doing harm. Who holds it no more and does not
know yet (his machine stood still for a minute) finds each segment made by another, and what he acknowledges is
committed. But he must not read by the consumer of the next one, who would never see what was given to him: each has a
consumer of his own, named by the lease, which begins behind what those before it have acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final, Protocol

from wsrecorder.clock import Clock
from wsrecorder.core.log_message import lease_subject, presence_subject
from wsrecorder.errors import FeedError
from wsrecorder.net.jetstream import EventLog
from wsrecorder.net.log_consumers import consumers, drop_consumer
from wsrecorder.net.log_lease import ASK_S, SILENT_S, Lease
from wsrecorder.store.lock import SessionLock

__all__ = ["LeasedTurn", "LockedTurn", "Turn"]

_SILENT_NS: Final = round(SILENT_S * 1e9)
_ASK_NS: Final = round(ASK_S * 1e9)
_LOOK_NS: Final = 1_000_000_000


class Turn(Protocol):
    """The right to archive a feed.

    Attributes:
        consumer: Name of the durable consumer by which the feed is read.
        from_position: Where that begins if it is not there yet.
    """

    consumer: str
    from_position: int

    async def began(self) -> None:
        """Be told that the consumer is there."""
        ...

    async def is_ours(self) -> bool:
        """Return whether nobody has taken it since.

        Raises:
            LogAway: The stream does not answer.
        """
        ...

    async def close(self) -> None:
        """Give it back."""
        ...


class LockedTurn:
    """The right to archive a feed into a folder.

    Args:
        consumer: Name of the durable consumer.
        lock: On the folder.
    """

    def __init__(self, consumer: str, lock: SessionLock) -> None:
        self.consumer = consumer
        self.from_position = 1
        self._lock = lock

    async def began(self) -> None:
        """Do nothing."""

    async def is_ours(self) -> bool:
        """Return True: a lock is held until it is released."""
        return True

    async def close(self) -> None:
        """Let go of the lock."""
        self._lock.release()


class LeasedTurn:
    """The right to archive a feed into object storage.

    Args:
        log: The connection.
        consumer: What the names of the durable consumers begin with, one a lease.
        holder: A name of this process that no other has.
        clock: Where the time comes from.
    """

    def __init__(self, log: EventLog, consumer: str, holder: str, clock: Clock) -> None:
        self.consumer = consumer
        self.from_position = 1
        self._log = log
        self._group = consumer
        self._holder = holder
        self._clock = clock
        self._lease = Lease(log, lease_subject(consumer))
        self._asked = presence_subject(consumer, "holder")
        self._position = 0
        self._looked_ns = 0

    async def take(self, stop: asyncio.Event) -> bool:
        """Take it, unless another one holds it and answers, or ``stop`` is set; return whether it is ours.

        Raises:
            LogAway: The stream does not answer.
            FeedError: It takes no lease.
        """
        await self._refuse_other_subjects()
        since_ns = self._clock.now_ns()
        while not stop.is_set():
            last = await self._lease.holder()
            if last is not None and last.name == self._holder:
                await self._hold(last.position)  # the connection was lost, the lease was not
                return True
            if await self._lease.asks(self._asked, ASK_S):
                return False
            if last is None or not last.name or self._clock.now_ns() - since_ns >= _SILENT_NS:
                position = await self._lease.claim(self._holder, 0 if last is None else last.position)
                if position is not None:
                    await self._hold(position)
                return position is not None
            await self._clock.sleep_until(self._clock.now_ns() + _ASK_NS, stop)
        return False

    async def _refuse_other_subjects(self) -> None:
        if not await self._log.takes(self._lease.subject):
            raise FeedError(
                f"{self._log.address} takes no {self._lease.subject}, by which those who archive take turns",
                hint="give the stream the subject wsrec.@lease.* too",
            )

    async def _hold(self, position: int) -> None:
        self._position, self._looked_ns = position, self._clock.now_ns()
        self.consumer = f"{self._group}@{position}"
        await self._lease.answer(self._asked)
        self.from_position = 1 + max((done for _, done in await self._consumers()), default=0)

    async def _consumers(self) -> list[tuple[str, int]]:
        """Return the consumers of all who have held it, each with the position that it has acknowledged."""
        mine = re.compile(re.escape(self._group) + r"@\d+")
        return [(name, done) for name, done in (await consumers(self._log)).items() if mine.fullmatch(name)]

    async def began(self) -> None:
        """Remove the consumers of those before us: ours remembers what they did."""
        for name, _ in await self._consumers():
            if name != self.consumer:
                await drop_consumer(self._log, name)

    async def is_ours(self) -> bool:
        """Return whether nobody has taken it since, as of a second ago."""
        if self._clock.now_ns() - self._looked_ns >= _LOOK_NS:
            last = await self._lease.holder()
            if last is None or last.position != self._position:
                return False
            self._looked_ns = self._clock.now_ns()
        return True

    async def close(self) -> None:
        """Leave it to whoever asks next, who need not wait then."""
        with contextlib.suppress(FeedError):
            await self._lease.fall_silent()
            if self._position:
                await self._lease.claim("", self._position)
