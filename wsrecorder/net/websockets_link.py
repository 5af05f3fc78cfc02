"""A link over ``websockets``: its protocol and keepalive, with messages taken before they are queued."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import PayloadTooBig, WebSocketException
from websockets.frames import CloseCode, Frame
from websockets.frames import Opcode as WireOpcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from wsrecorder.core.event import Opcode
from wsrecorder.errors import FeedError
from wsrecorder.net.refusal import refusal
from wsrecorder.net.transport import PING_INTERVAL_S, PING_TIMEOUT_S, Closed, FeedOptions, Receiver

__all__ = ["WebsocketsLink", "open_link"]

_CLOSE_TIMEOUT_S: Final = 2.0

_DATA: Final = (WireOpcode.TEXT, WireOpcode.BINARY, WireOpcode.CONT)


class _Connection(ClientConnection):
    """A client connection that hands messages on where they leave the protocol.

    The library's own way (a queue of frames, a coroutine woken for each) costs several times as much
    and stamps a message when the coroutine runs, not when it came.
    """

    def __init__(self, *args: Any, receiver: Receiver, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._receiver = receiver
        self._on_frame = receiver.on_frame
        self._parts: list[bytes] = []
        self._first_opcode = 0
        self._is_ending = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The server is to end the TCP connection now (RFC 6455, section 7.1.1), after a close frame of its own and
        # after one of ours that says what it did wrong; not all do.
        if not self._is_ending and self.protocol.close_expected():
            self._is_ending = True
            self.loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)

    def process_event(self, event: Any) -> None:
        if not isinstance(event, Frame):
            super().process_event(event)
            # Not the protocol's state: it may be past a close frame that came together with the handshake.
            if isinstance(event, Response) and self.protocol.handshake_exc is None:
                self._receiver.on_open(self.subprotocol, bool(self.protocol.extensions))
        elif event.opcode not in _DATA:
            super().process_event(event)
        elif event.fin and event.opcode is not WireOpcode.CONT:
            self._on_frame(bytes(event.data), int(event.opcode))
        else:
            self._assemble(event)

    def _assemble(self, frame: Frame) -> None:
        if frame.opcode is not WireOpcode.CONT:
            self._first_opcode = int(frame.opcode)
        self._parts.append(bytes(frame.data))
        if frame.fin:
            payload, self._parts = b"".join(self._parts), []
            self._on_frame(payload, self._first_opcode)


class WebsocketsLink:
    """An open connection to a feed, over ``websockets``."""

    def __init__(self, connection: _Connection, options: FeedOptions) -> None:
        self._connection = connection
        self._options = options

    def pause(self) -> None:
        """Read no further, so that TCP holds the server back."""
        if not self._connection.transport.is_closing():
            self._connection.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._connection.transport.is_closing():
            self._connection.transport.resume_reading()

    def send(self, payload: bytes, opcode: Opcode) -> None:
        """Send a message; one that comes after the server has begun to close goes nowhere."""
        protocol = self._connection.protocol
        if protocol.state is not State.OPEN:
            return
        (protocol.send_text if opcode is Opcode.TEXT else protocol.send_binary)(payload)
        self._connection.send_data()

    async def wait_closed(self) -> Closed:
        """Return how the connection ended, once it has."""
        await self._connection.wait_closed()
        protocol = self._connection.protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        if isinstance(protocol.parser_exc, PayloadTooBig):
            cause = f"a message over the limit of {self._options.max_frame_bytes:,} bytes"
            return Closed(CloseCode.MESSAGE_TOO_BIG, "", cause)
        if received is not None:
            return Closed(received.code, self._options.shown_text(received.reason), "closed by the feed")
        if sent is not None and sent.code != CloseCode.NORMAL_CLOSURE:
            return Closed(sent.code, sent.reason, sent.reason or "protocol error")
        return Closed(CloseCode.ABNORMAL_CLOSURE, "", "connection lost")

    async def close(self) -> None:
        """End the connection with code 1000; it is gone when the call returns."""
        await self._connection.close()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._connection.transport.abort()


class _Connect(connect):
    """Connects, and takes no credentials to another server.

    The library strips the best known headers where a redirect leads elsewhere; others, such as X-Api-Key, it does not.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        before, found = self.ws_uri, super().process_redirect(exc)
        if isinstance(found, str) and self.additional_headers:
            after = parse_uri(found)
            if (before.secure, before.host, before.port) != (after.secure, after.host, after.port):
                return exc
        return found


async def open_link(options: FeedOptions, receiver: Receiver) -> WebsocketsLink:
    """Connect to a feed.

    Args:
        options: How to reach it.
        receiver: Told what comes.

    Raises:
        FeedError: It cannot be reached or refuses.
    """
    checked: dict[str, Any] = {"ssl": options.tls} if options.is_secure and options.tls is not None else {}
    try:
        connection = await _Connect(
            options.url,
            origin=None if options.origin is None else Origin(options.origin),
            subprotocols=[Subprotocol(name) for name in options.subprotocols] or None,
            compression="deflate" if options.deflate else None,
            additional_headers=options.headers,
            open_timeout=options.open_timeout_s,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_size=options.max_frame_bytes,
            **checked,
            create_connection=partial(_Connection, receiver=receiver),  # type: ignore[arg-type]
        )
    except (TimeoutError, OSError, WebSocketException, ValueError) as exc:
        response = getattr(exc, "response", None)
        raise refusal(options, exc, None if response is None else response.status_code) from exc
    if not isinstance(connection, _Connection):
        raise FeedError("the connection is of a foreign kind", hint="report this with the version of websockets")
    return WebsocketsLink(connection, options)
