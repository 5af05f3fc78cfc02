"""The durable consumers of a stream: what each remembers to be dealt with."""

from __future__ import annotations

import nats.js.errors
from nats.js import api

from wsrecorder.net.jetstream import EventLog

__all__ = ["acknowledged", "consumers", "drop_consumer"]


def acknowledged(info: api.ConsumerInfo) -> int:
    """Return the position up to which a consumer has nothing to deliver any more."""
    floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
    # Of one that has acknowledged nothing yet its beginning tells.
    return max(floor, (info.config.opt_start_seq or 1) - 1)


async def consumers(log: EventLog) -> dict[str, int]:
    """Return the names of the consumers of a stream, each with the position up to which it has acknowledged.

    Raises:
        LogAway: The stream does not answer.
    """
    found: dict[str, int] = {}
    while True:
        with log.answers():
            page = await log.context._jsm.consumers_info(log.address.stream, offset=len(found))
        before = len(found)
        found |= {info.name: acknowledged(info) for info in page}
        if len(found) == before:
            return found


async def drop_consumer(log: EventLog, name: str) -> None:
    """Remove a consumer; one that is not there counts as removed.

    Raises:
        LogAway: The stream does not answer.
    """
    try:
        with log.answers():
            await log.context._jsm.delete_consumer(log.address.stream, name)
    except nats.js.errors.NotFoundError:
        return
