"""Reading a stream in order: an ordered pull consumer, made anew where it was lost.

The server numbers what it delivers to a consumer; a number that is left out says that messages were lost on the way,
and the reader begins again: behind the last one that it has, or, in a group, behind the last one that was acknowledged.
A group's consumer must never begin anywhere else: to the server all before its beginning is dealt with.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from wsrecorder.net.jetstream import EventLog, LogAway, Stored
from wsrecorder.net.log_consumers import acknowledged

__all__ = ["LogReader"]

_MOST_MESSAGES: Final = 64
"""A fetch; each message may have half a MiB, and the library keeps 128 MiB."""

_QUIET_S: Final = 5.0
"""After so long without a message the consumer is looked after: its server may be gone."""

_FORGOTTEN_S: Final = 300.0


class LogReader:
    """Reads the messages of a subject from a position on.

    Attributes:
        next_position: Where it goes on.
        pending: How many messages there were behind the last one when it was delivered; None before the first.

    Args:
        log: The connection.
        subject: A subject or a filter.
        from_position: Where to begin; a group's consumer that is there already knows better.
        group: Name of a durable consumer, which remembers what was acknowledged; None is one of our own.
    """

    def __init__(self, log: EventLog, subject: str, from_position: int = 1, group: str | None = None) -> None:
        self.next_position = max(1, from_position)
        self.pending: int | None = None
        self._log = log
        self._subject = subject
        self._group = group
        self._pull: JetStreamContext.PullSubscription | None = None
        self._name = group or f"wsrec-{uuid.uuid4().hex[:16]}"
        self._delivered = 0
        self._quiet_s = 0.0
        self._replies: deque[tuple[int, str]] = deque()
        self._acknowledged = self.next_position - 1

    async def fetch(self, timeout_s: float) -> list[Stored]:
        """Return what has come, in order and without a hole; nothing where nothing has within the time.

        To a group what was not acknowledged may come again, from some position on.

        Raises:
            LogAway: The server does not answer for now; asked again, it goes on where it was.
        """
        if self._pull is None:
            await self._open()
        pull = self._pull
        assert pull is not None
        try:
            # Where nothing is known to be there, one: asked for more, the library would wait for all of them.
            found = await pull.fetch(1 if self.pending == 0 else _MOST_MESSAGES, timeout=timeout_s)
        except TimeoutError:
            self._quiet_s += timeout_s
            if self._quiet_s >= _QUIET_S:
                await self._look_after()
            return []
        except (nats.errors.Error, nats.js.errors.APIError, OSError):
            await self._drop()
            return []
        self._quiet_s = 0.0
        return await self._in_order(found)

    async def _in_order(self, found: list[Msg]) -> list[Stored]:
        taken = []
        for message in found:
            facts = message.metadata
            if facts.sequence.consumer != self._delivered + 1:
                await self._drop()
                break
            self._delivered += 1
            self.pending = facts.num_pending
            self.next_position = facts.sequence.stream + 1
            if self._group is not None:
                self._replies.append((facts.sequence.stream, message.reply))
            taken.append(Stored(facts.sequence.stream, message.subject, message.headers or {}, message.data))
        return taken

    async def begin(self) -> None:
        """Have the consumer now, not with the first fetch.

        Raises:
            LogAway: The server does not answer for now.
        """
        if self._pull is None:
            await self._open()

    async def acknowledge(self, position: int) -> None:
        """Have the group remember that all up to a position is dealt with."""
        reply = None
        while self._replies and self._replies[0][0] <= position:
            self._acknowledged, reply = self._replies.popleft()
        if reply is not None:
            with contextlib.suppress(nats.errors.Error):  # the next one says it too
                await self._log.client.publish(reply, b"+ACK")
                await self._log.client.flush(2)

    async def close(self) -> None:
        """Let go; a consumer of our own goes away."""
        await self._drop()
        if self._group is None and self._log.client.is_connected:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await self._log.context._jsm.delete_consumer(self._log.address.stream, self._name)

    async def _drop(self) -> None:
        pull, self._pull = self._pull, None
        if pull is not None:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, asyncio.TimeoutError):
                await pull.unsubscribe()

    async def _look_after(self) -> None:
        """Begin anew where the consumer is gone."""
        self._quiet_s = 0.0
        try:
            info = await self._log.context._jsm.consumer_info(self._log.address.stream, self._name)
        except (nats.errors.Error, TimeoutError):
            await self._drop()
            return
        if info.num_pending == 0:
            self.pending = 0

    async def _open(self) -> None:
        manager, stream = self._log.context._jsm, self._log.address.stream
        self._delivered = 0
        self._replies.clear()
        try:
            if self._group is None:
                self._name = f"wsrec-{uuid.uuid4().hex[:16]}"
                info = await manager.add_consumer(stream, self._config())
            else:
                info = await self._rejoin()
            self._pull = await self._log.context.pull_subscribe_bind(consumer=self._name, stream=stream)
            if info.num_pending == 0:
                self.pending = 0
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise LogAway(
                f"{self._log.address} gives nobody its messages for now: {str(exc) or type(exc).__name__}",
                hint="check the servers of the cluster; it is asked again",
            ) from exc

    def _config(self) -> api.ConsumerConfig:
        wanted = api.ConsumerConfig(
            filter_subject=self._subject, deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.next_position, ack_policy=api.AckPolicy.NONE,
        )  # fmt: skip
        if self._group is None:
            return wanted.evolve(name=self._name, mem_storage=True, num_replicas=1, inactive_threshold=_FORGOTTEN_S)
        # One acknowledgement is for all before it; what is not acknowledged yet is not sent again by the server, but
        # asked for by whoever begins anew.
        return wanted.evolve(
            durable_name=self._name, ack_policy=api.AckPolicy.ALL, ack_wait=3_600.0, max_ack_pending=-1,
        )  # fmt: skip

    async def _rejoin(self) -> api.ConsumerInfo:
        """Have the group's consumer begin behind what it has acknowledged, whatever it was given since then."""
        manager, stream = self._log.context._jsm, self._log.address.stream
        self.next_position = self._acknowledged + 1
        try:
            known = await manager.consumer_info(stream, self._name)
        except nats.js.errors.NotFoundError:
            return await manager.add_consumer(stream, self._config())
        self.next_position = acknowledged(known) + 1
        # What was delivered and not acknowledged would come again only after an hour, and out of order.
        try:
            return (await manager.reset_consumer(stream, self._name)).info
        except nats.js.errors.APIError:  # nats-server before 2.14 cannot: make it anew
            await manager.delete_consumer(stream, self._name)
            return await manager.add_consumer(stream, self._config())
