"""A JetStream stream as a durable log: making it, publishing into it, looking things up.

What is away comes back: every call that finds the server, its JetStream or the stream's leader missing raises
`LogAway`, after which the same call may be made again. What is wrong for good raises `FeedError` as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api

from wsrecorder.core.log_message import LogMessage, matches
from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.errors import FeedError, SessionNotFound

__all__ = ["ALL_SUBJECTS", "EXPECTED", "WRONG_LAST", "EventLog", "LogAway", "Stored", "connect_log"]

ALL_SUBJECTS: Final = "wsrec.>"
"""What a stream that we make takes."""

_CONNECT_S: Final = 5.0
_REQUEST_S: Final = 5.0
_DUPLICATES_S: Final = 600.0
"""How long the server knows messages again. What was sent before a longer outage is looked up instead."""

EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
"""Header that lets a message in only behind a certain one of its subject."""

_EXPECTED_OF: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
WRONG_LAST: Final = (10071, 10164)
"""What the server says of one that comes behind another."""

_PERMISSION: Final = "give the account the subjects wsrec.>, $JS.API.> and _INBOX.>, or name another user"


class LogAway(FeedError):
    """The server, its JetStream, or the leader of the stream does not answer for now."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of the stream.

    Attributes:
        position: Its sequence number in the stream.
        subject: Where it was published.
        headers: Its columns.
        payload: Its frames.
    """

    position: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes


class EventLog:
    """A connection to a stream.

    Attributes:
        address: Where it is.
        client: The connection.
        context: Its JetStream.
    """

    def __init__(self, address: StreamAddress) -> None:
        self.address = address
        self.client = Client()
        self.context = JetStreamContext(self.client, timeout=_REQUEST_S)
        self._said: Exception | None = None

    async def connect(self) -> None:
        """Connect to any of the servers; lost connections are made again from then on.

        Raises:
            LogAway: None of them answers.
            FeedError: They refuse us.
        """
        who = self.address.credentials
        told: dict[str, Any] = {"user": who.user, "password": who.password, "token": who.token}
        if who.file is not None:
            told["user_credentials"] = who.file
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self.client.connect(
                    list(self.address.servers), name="wsrec", error_cb=self._on_error, connect_timeout=2,
                    max_reconnect_attempts=-1, reconnect_time_wait=1, allow_reconnect=True, **told,
                )  # fmt: skip
        except (TimeoutError, OSError, nats.errors.Error) as exc:
            await self.close()
            said = str(self._said or exc) or "no answer"
            if "uthoriz" in said or "uthentic" in said:
                raise FeedError(
                    f"{self.address} refuses us: {said}",
                    hint="name the user in the address (nats://USER:PASSWORD@HOST), by NATS_USER and NATS_PASSWORD, "
                    "or a file by NATS_CREDS",
                ) from exc
            raise LogAway(
                f"{self.address} does not answer: {said}", hint="start nats-server -js there, or check the address"
            ) from exc
        except ValueError as exc:
            raise FeedError(f"{self.address} cannot be used: {exc}", hint="check the credentials file") from exc

    async def _on_error(self, error: Exception) -> None:
        self._said = error

    async def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.client.close(), 2)

    def _forget_what_was_said(self) -> None:
        self._said = None

    @contextmanager
    def answers(self) -> Iterator[None]:
        """Translate what the library raises within the block."""
        self._forget_what_was_said()
        try:
            yield
        except nats.js.errors.NotFoundError:
            raise
        except nats.js.errors.ServiceUnavailableError as exc:
            raise LogAway(
                f"{self.address} has no JetStream that answers", hint="start nats-server with -js, or wait for a leader"
            ) from exc
        except nats.js.errors.APIError as exc:
            raise self._refused(exc) from exc
        except (TimeoutError, OSError, nats.errors.Error) as exc:
            if isinstance(self._said, nats.js.errors.APIError):
                # nats-py 2.16 raises in its own callback what the server says of a message, and the future never hears.
                raise self._refused(self._said) from self._said
            said = str(self._said or exc) or type(exc).__name__
            if "ermission" in said:
                raise FeedError(f"{self.address} does not permit it: {said}", hint=_PERMISSION) from exc
            raise LogAway(
                f"{self.address} does not answer: {said}", hint="check the server; it is asked again"
            ) from exc

    def _refused(self, exc: nats.js.errors.APIError) -> FeedError:
        if exc.err_code in WRONG_LAST:
            return LogAway(
                f"{self.address}: another recorder of the session has gone on", hint="it publishes; stand by"
            )
        if exc.code == 503:
            return LogAway(f"{self.address} is away: {exc.description}", hint="check the servers of the cluster")
        return FeedError(
            f"{self.address} refuses: {exc.description}",
            hint=f'check the limits of the stream ("nats stream info {self.address.stream}")',
        )

    async def ensure(self, replicas: int) -> None:
        """Have the stream: make it where it is not there, check it where it is.

        Args:
            replicas: Of a new stream.

        Raises:
            LogAway: The server does not answer for now.
            FeedError: The stream is not one that keeps what it is given, or cannot be made.
        """
        name = self.address.stream
        try:
            with self.answers():
                info = await self.context._jsm.stream_info(name)
        except nats.js.errors.NotFoundError:
            with self.answers():
                info = await self.context._jsm.add_stream(
                    api.StreamConfig(
                        name=name, subjects=[ALL_SUBJECTS], retention=api.RetentionPolicy.LIMITS,
                        storage=api.StorageType.FILE, num_replicas=replicas, duplicate_window=_DUPLICATES_S,
                        allow_direct=True, description="events recorded by wsrec",
                    )
                )  # fmt: skip
        self._check(info.config)

    def _check(self, config: api.StreamConfig) -> None:
        """Refuse a stream that would lose what it is given."""
        faults = [
            ("retention", config.retention, api.RetentionPolicy.LIMITS),
            ("storage", config.storage, api.StorageType.FILE),
            ("no_ack", bool(config.no_ack), False),
        ]
        for setting, found, wanted in faults:
            if found != wanted:
                raise FeedError(
                    f"stream {config.name} has {setting} {_word(found)}, expected {_word(wanted)}",
                    hint="name another stream, or make this one anew: wsrec makes the one it needs where there is none",
                )
        if not any(subject.startswith("wsrec.") or subject == ">" for subject in config.subjects or []):
            raise FeedError(
                f"stream {config.name} takes {', '.join(config.subjects or ['nothing'])}, expected {ALL_SUBJECTS}",
                hint="name another stream, or give this one the subjects wsrec.> too",
            )

    @property
    def most_bytes(self) -> int:
        """Largest payload of a message of ours: the server's limit counts the headers too."""
        return max(1_024, self.client.max_payload // 3)

    async def publish(
        self, messages: Sequence[LogMessage], timeout_s: float, lease: tuple[str, int] | None = None
    ) -> None:
        """Publish messages and return once each is acknowledged, which a stream of three does when two have it.

        All are under way at once, but for those of one subject, which go one after the other: what a consumer of
        one type gets is always in order.

        Args:
            messages: Any number.
            timeout_s: For all of them.
            lease: Subject and position of a lease; the server refuses what is published after somebody else took it.

        Raises:
            LogAway: Not all were acknowledged; they may be published again, with the same ids.
            FeedError: The stream refuses.
        """
        fence = {} if lease is None else {EXPECTED: str(lease[1]), _EXPECTED_OF: lease[0]}
        with self.answers():
            waiting: dict[str, asyncio.Future[Any]] = {}
            try:
                async with asyncio.timeout(timeout_s):
                    for message in messages:
                        if message.subject in waiting:
                            await waiting.pop(message.subject)
                        waiting[message.subject] = await self.context.publish_async(
                            message.subject,
                            message.payload,
                            headers={**message.headers, **fence},
                            stream=self.address.stream,
                        )
                        if fence:
                            # A cluster takes one at a time that names a lease: the first one, for all of them.
                            await waiting.pop(message.subject)
                            fence = {}
                    for acknowledged in waiting.values():
                        await acknowledged
            finally:
                for acknowledged in waiting.values():
                    if acknowledged.done() and not acknowledged.cancelled():
                        acknowledged.exception()  # seen: asyncio warns of those that nobody looked at
                    acknowledged.cancel()

    async def last(self, subject: str) -> Stored | None:
        """Return the last message of a subject, which may be a filter; None where there is none."""
        return await self._get(subject=subject)

    async def at(self, position: int, subject: str) -> Stored | None:
        """Return the first message of a subject at a position or behind it; None where there is none."""
        return await self._get(subject=subject, seq=max(1, position), next=True)

    async def _get(self, **wanted: Any) -> Stored | None:
        try:
            with self.answers():
                found = await self.context._jsm.get_msg(self.address.stream, **wanted)
        except nats.js.errors.NotFoundError as exc:
            if exc.err_code == 10059:
                raise self._no_stream() from exc
            return None
        headers = {key: "".join(value.splitlines()) for key, value in (found.headers or {}).items()}
        return Stored(found.seq or 0, found.subject or "", headers, found.data or b"")

    def _no_stream(self) -> SessionNotFound:
        return SessionNotFound(
            f"{self.address} is not there", hint='record into it first: "wsrec record URL --into nats://HOST/STREAM"'
        )

    async def takes(self, subject: str) -> bool:
        """Return whether the stream takes messages of a subject.

        Raises:
            SessionNotFound: There is no such stream.
            LogAway: It does not answer.
        """
        try:
            with self.answers():
                info = await self.context._jsm.stream_info(self.address.stream)
        except nats.js.errors.NotFoundError as exc:
            raise self._no_stream() from exc
        return any(matches(pattern, subject) for pattern in info.config.subjects or [])

    async def subjects(self, matching: str) -> dict[str, int]:
        """Return the subjects that match a filter, each with how many messages it has.

        Raises:
            SessionNotFound: There is no such stream.
        """
        try:
            with self.answers():
                info = await self.context._jsm.stream_info(self.address.stream, subjects_filter=matching)
        except nats.js.errors.NotFoundError as exc:
            raise self._no_stream() from exc
        return dict(info.state.subjects or {})

    async def span(self) -> tuple[int, int]:
        """Return the positions of the first and the last message of the stream."""
        try:
            with self.answers():
                info = await self.context._jsm.stream_info(self.address.stream)
        except nats.js.errors.NotFoundError as exc:
            raise self._no_stream() from exc
        return info.state.first_seq, info.state.last_seq


def _word(value: object) -> str:
    return str(getattr(value, "value", value))


@asynccontextmanager
async def connect_log(address: StreamAddress) -> AsyncIterator[EventLog]:
    """Connect to a stream for as long as the block runs.

    Raises:
        LogAway: The server does not answer.
        FeedError: It refuses us.
    """
    log = EventLog(address)
    await log.connect()
    try:
        yield log
    finally:
        await log.close()
