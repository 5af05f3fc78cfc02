"""A lease in a stream: who may publish a session that several record, and whether the holder is there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from wsrecorder.net.jetstream import EXPECTED, WRONG_LAST, EventLog, LogAway

__all__ = ["ASK_S", "SILENT_S", "Holder", "Lease"]

SILENT_S: Final = 5.0
"""For so long nobody may answer before a lease is taken: longer than a holder takes to change servers."""

ASK_S: Final = 0.5
"""For how long an answer is waited for, and how long until the next question."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who took a lease last.

    Attributes:
        name: By which he took it; empty once he has given it back.
        position: Of the message by which he did.
    """

    name: str
    position: int


class Lease:
    """A lease, as seen over one connection: it belongs to whoever published the last message of its subject.

    Args:
        log: The connection.
        subject: Of the lease.
    """

    def __init__(self, log: EventLog, subject: str) -> None:
        self.subject = subject
        self._log = log
        self._answering: Subscription | None = None

    async def holder(self) -> Holder | None:
        """Return who took it last, None where nobody has yet.

        Raises:
            LogAway: The stream does not answer.
        """
        last = await self._log.last(self.subject)
        return None if last is None else Holder(last.payload.decode(errors="replace"), last.position)

    async def claim(self, holder: str, after: int) -> int | None:
        """Take it; return its position, None where somebody was faster.

        Args:
            holder: Who takes it.
            after: Position of the last message of the subject as we know it, 0 where there is none.

        Raises:
            LogAway: The stream does not answer.
        """
        try:
            with self._log.answers():
                taken = await self._log.context.publish(
                    self.subject, holder.encode(), headers={EXPECTED: str(after)}, stream=self._log.address.stream
                )
        except LogAway as exc:
            cause = exc.__cause__
            if isinstance(cause, nats.js.errors.APIError) and cause.err_code in WRONG_LAST:
                return None
            raise
        return taken.seq

    async def answer(self, subject: str) -> None:
        """Answer who asks whether we are there, until `fall_silent` or the end of the connection."""

        async def respond(message: Msg) -> None:
            await message.respond(b"")

        with self._log.answers():
            self._answering = await self._log.client.subscribe(subject, cb=respond)

    async def fall_silent(self) -> None:
        """Answer nobody any more."""
        answering, self._answering = self._answering, None
        if answering is not None:
            with contextlib.suppress(nats.errors.Error):
                await answering.unsubscribe()

    async def asks(self, subject: str, timeout_s: float) -> bool:
        """Return whether somebody answers.

        Raises:
            LogAway: The server does not.
        """
        try:
            await self._log.client.request(subject, b"", timeout=timeout_s)
        except (nats.errors.NoRespondersError, TimeoutError):
            return False
        except (nats.errors.Error, OSError) as exc:
            raise LogAway(
                f"{self._log.address} does not answer: {exc}", hint="check the server; it is asked again"
            ) from exc
        return True
