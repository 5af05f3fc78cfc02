"""A link over ``picows``, whose parser is compiled: a message costs a tenth of what it costs elsewhere.

picows gives frames as they came, so messages are put together, inflated (RFC 7692) and held to the
size limit here.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

import picows
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from wsrecorder.core.event import Opcode
from wsrecorder.net.inflater import Inflater
from wsrecorder.net.refusal import refusal
from wsrecorder.net.transport import PING_INTERVAL_S, PING_TIMEOUT_S, Closed, FeedOptions, Receiver

__all__ = ["PicowsLink", "open_link"]

_CONTINUATION: Final = 0
_CLOSE: Final = 8
_DATA: Final = (_CONTINUATION, Opcode.TEXT, Opcode.BINARY)

_CLOSE_TIMEOUT_S: Final = 2.0

_SWITCHING: Final = 101

_DEFLATE_PARAMETERS: Final = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
}
"""Of RFC 7692, section 7.1."""

# What picows has to say of a broken feed is said by the recorder, in the log and in the recording.
_LOGGER: Final = logging.getLogger("wsrecorder.picows")
for _logger in (_LOGGER, logging.getLogger("aiofastnet")):  # the latter is what picows' sockets are made of
    _logger.addHandler(logging.NullHandler())
    _logger.propagate = False


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return whether what asyncio says is news: that a handshake of TLS failed is in the error that is raised."""
    return not record.getMessage().startswith("SSL handshake failed\n")


logging.getLogger("asyncio").addFilter(_is_worth_a_line)


class _Told(logging.LoggerAdapter[logging.Logger]):
    """What picows logs of one connection: there is no other way to hear at once of an error that it finds by itself.

    Attributes:
        on_error: Called with each.
        is_given_up: Nobody waits for the connection any more.
    """

    def __init__(self) -> None:
        super().__init__(_LOGGER, {})
        self.on_error: Callable[[], None] | None = None
        self.link: PicowsLink | None = None
        self.is_given_up = False

    def give_up(self) -> None:
        """Hear no more of the connection, and cut it."""
        self.is_given_up = True
        if self.link is not None:
            self.link.give_up()

    def error(self, *args: object, **options: object) -> None:
        """Take word of an error."""
        if self.on_error is not None:
            self.on_error()


class PicowsLink(WSListener):
    """An open connection to a feed, over ``picows``."""

    def __init__(
        self, options: FeedOptions, receiver: Receiver, response: picows.WSUpgradeResponse, told: _Told
    ) -> None:
        super().__init__()
        self._receiver = receiver
        self._on_frame: Callable[[bytes, int], None] = receiver.on_frame
        self._max_bytes = options.max_frame_bytes
        self._shown_text = options.shown_text
        extensions = response.headers.get("Sec-WebSocket-Extensions", "")
        self._inflater = (
            Inflater(keeps_context="server_no_context_takeover" not in extensions, max_bytes=options.max_frame_bytes)
            if "permessage-deflate" in extensions
            else None
        )
        self._subprotocol: str | None = response.headers.get("Sec-WebSocket-Protocol")
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._first_opcode = 0
        self._is_compressed = False
        self._is_over = False
        self._is_broken = False
        self._end: asyncio.Future[None] | None = None
        told.on_error = self._stop_reading
        told.link = self

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take the transport; called by picows."""
        self._transport = transport
        self._receiver.on_open(self._subprotocol, self._inflater is not None)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame; called by picows for each."""
        opcode: int = frame.msg_type  # type: ignore[assignment]  # its stubs say Enum, it is an int
        if frame.payload_size > self._max_bytes:
            self._read_no_more()  # picows has closed for it already
            return
        try:
            if frame.rsv2 or frame.rsv3:
                raise self._wrong("reserved bits must be 0")
            if (opcode == Opcode.TEXT or opcode == Opcode.BINARY) and frame.fin and not frame.rsv1 and not self._parts:
                self._on_frame(frame.get_payload_as_bytes(), opcode)
            elif opcode in _DATA:
                self._assemble(frame, opcode)
            elif frame.rsv1:
                raise self._wrong("a control frame that is compressed")
            elif opcode == _CLOSE:
                self._read_no_more()
                transport.send_close(frame.get_close_code())
                transport.disconnect()
        except Exception:
            self._read_no_more()  # picows closes, and hands it to whoever waits for the end
            raise

    def _read_no_more(self) -> None:
        """Take no further message: picows goes on to read for a while after it has closed on account of an error.

        What came next would stand before the gap that the error leaves, as if nothing was missing between.
        """
        self._is_over = True
        self._on_frame = _ignore

    def give_up(self) -> None:
        """Cut a connection that came too late."""
        self._read_no_more()
        if hasattr(self, "_transport"):
            self.abort()

    def _stop_reading(self) -> None:
        """Read nothing more from the socket: picows has found an error, and would go on behind it for 10 ms.

        Not `_read_no_more`: the frame before the one that is wrong is still to be handed out.
        """
        self._is_broken = True
        if not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def _assemble(self, frame: WSFrame, opcode: int) -> None:
        if self._is_over:
            return
        if opcode != _CONTINUATION:
            if self._parts:
                raise self._wrong("a message begins before the last one has ended")
            self._first_opcode, self._is_compressed = opcode, frame.rsv1
        elif not self._parts:
            raise self._wrong("a continuation of no message")
        elif frame.rsv1:
            raise self._wrong("a continuation that says it is compressed")
        self._parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._max_bytes:
            raise self._too_big()
        if frame.fin:
            payload, self._parts, self._parts_bytes = b"".join(self._parts), [], 0
            self._on_frame(self._inflate(payload) if self._is_compressed else payload, self._first_opcode)

    def _inflate(self, payload: bytes) -> bytes:
        if self._inflater is None:
            raise self._wrong("a compressed frame, none was negotiated")
        try:
            return self._inflater.inflate(payload)
        except OverflowError:
            raise self._too_big() from None
        except zlib.error as exc:
            raise self._wrong("a message that cannot be inflated") from exc

    def _wrong(self, what: str) -> picows.WSProtocolError:
        """Return the error for a frame that breaks RFC 6455, which picows leaves to us."""
        self._read_no_more()
        return picows.WSProtocolError(WSCloseCode.PROTOCOL_ERROR, what)

    def _too_big(self) -> picows.WSProtocolError:
        # Raised to picows, which closes with the code and hands the error to whoever waits for the end.
        self._read_no_more()
        return picows.WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, "too big")

    def pause(self) -> None:
        """Read no further, so that TCP holds the server back."""
        if not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_disconnected and not self._is_broken:
            self._transport.underlying_transport.resume_reading()

    def send(self, payload: bytes, opcode: Opcode) -> None:
        """Send a message, never compressed; one that comes after the server has begun to close goes nowhere."""
        if self._transport.is_disconnected or self._transport.is_close_frame_sent:
            return
        self._transport.send(WSMsgType.TEXT if opcode is Opcode.TEXT else WSMsgType.BINARY, payload)

    async def wait_closed(self) -> Closed:
        """Return how the connection ended, once it has."""
        try:
            await asyncio.shield(self._disconnected())
        except picows.WSProtocolError as exc:
            if exc.code == WSCloseCode.MESSAGE_TOO_BIG:
                return Closed(1009, "", f"a message over the limit of {self._max_bytes:,} bytes")
            return Closed(_number(exc.code), "", str(exc))
        except OSError as exc:
            return Closed(1006, "", f"connection lost: {exc.strerror or exc}")
        handshake: picows.picows.WSCloseHandshake | None = self._transport.close_handshake
        if handshake is not None and handshake.recv is not None:
            return Closed(
                _number(handshake.recv.code), self._shown_text(handshake.recv.reason or ""), "closed by the feed"
            )
        return Closed(1006, "", "connection lost")

    def _disconnected(self) -> asyncio.Future[None]:
        """Return the one wait for the end, which goes on when who asked for it has left.

        Its error is then nobody's to take, and asyncio would report it as one that was forgotten.
        """
        if self._end is None:
            self._end = asyncio.ensure_future(self._transport.wait_disconnected())
            self._end.add_done_callback(lambda end: end.cancelled() or end.exception())
        return self._end

    async def close(self) -> None:
        """End the connection with code 1000; it is gone when the call returns."""
        self._transport.send_close(WSCloseCode.OK)
        try:
            await asyncio.wait_for(self.wait_closed(), _CLOSE_TIMEOUT_S)
        except TimeoutError:
            self.abort()
            await self.wait_closed()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._transport.disconnect(graceful=False)


def _ignore(payload: bytes, opcode: int) -> None:
    """Take a message that came after the end."""


def _number(code: object) -> int:
    """Return a close code as a number; 1005 where the close frame carried none (RFC 6455, section 7.1.5)."""
    return int(code) or 1005  # type: ignore[call-overload]  # picows' stubs say Enum, it is an int


async def open_link(options: FeedOptions, receiver: Receiver) -> PicowsLink:
    """Connect to a feed.

    Args:
        options: How to reach it.
        receiver: Told what comes.

    Raises:
        FeedError: It cannot be reached or refuses.
    """
    headers = list(options.headers.items())
    parts = urlsplit(options.url)
    user, at, netloc = parts.netloc.rpartition("@")
    if at and "authorization" not in {name.lower() for name, _ in headers}:  # picows does not look at it
        headers.append(("Authorization", f"Basic {b64encode(unquote_to_bytes(user)).decode()}"))
    headers_of_ours = bool(headers)
    if options.origin is not None:
        headers.append(("Origin", options.origin))
    if options.subprotocols:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(options.subprotocols)))
    if options.deflate:
        headers.append(("Sec-WebSocket-Extensions", "permessage-deflate"))
    told = _Told()

    def link_to(request: picows.WSUpgradeRequest, response: picows.WSUpgradeResponse) -> PicowsLink:
        if told.is_given_up:
            raise picows.WSError("the time for connecting is over")
        _check_agreed(options, response)
        return PicowsLink(options, receiver, response, told)

    try:
        # Its own limit begins once TCP and TLS are there, and begins anew with each redirect.
        async with asyncio.timeout(options.open_timeout_s):
            _, link = await picows.ws_connect(
                link_to,
                urlunsplit(parts._replace(netloc=netloc)),
                ssl_context=options.tls,
                # It would take every header along to wherever it is sent.
                max_redirects=0 if headers_of_ours else 5,
                websocket_handshake_timeout=options.open_timeout_s,
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_INTERVAL_S,
                auto_ping_reply_timeout=PING_TIMEOUT_S,
                max_frame_size=options.max_frame_bytes,
                extra_headers=headers,
                logger_name=told,
            )
    except (TimeoutError, OSError, ValueError, picows.WSError) as exc:
        told.give_up()  # picows leaves the connection open when it is cancelled, and goes on with it
        response = getattr(exc, "response", None)
        status = None if response is None else int(response.status)
        # One that was 101 and no good says for itself what was wrong with it.
        raise refusal(options, exc, None if status == _SWITCHING else status) from exc
    if not isinstance(link, PicowsLink):  # picows 2.3 returns none where the connection ends before its handshake does
        raise refusal(options, picows.WSError("the connection ended before its handshake did"), None)
    return link


def _check_agreed(options: FeedOptions, response: picows.WSUpgradeResponse) -> None:
    """Look whether the server agreed to what was offered (RFC 6455, section 4.1); picows does not.

    Raises:
        picows.WSInvalidHeaderError: It did not.
    """
    extensions = response.headers.getall("Sec-WebSocket-Extensions", [])
    name, *parameters = (word.strip() for word in ", ".join(extensions).split(";"))
    known = {parameter.partition("=")[0].strip() for parameter in parameters} <= _DEFLATE_PARAMETERS
    if extensions and not (options.deflate and name == "permessage-deflate" and known):
        raise _unasked("Sec-WebSocket-Extensions", ", ".join(extensions), response)
    subprotocol = response.headers.get("Sec-WebSocket-Protocol")
    if subprotocol is not None and subprotocol not in options.subprotocols:
        raise _unasked("Sec-WebSocket-Protocol", subprotocol, response)


def _unasked(name: str, value: str, response: picows.WSUpgradeResponse) -> picows.WSInvalidHeaderError:
    what = f"it answered {name}: {value[:100]}, which was not offered"
    return picows.WSInvalidHeaderError(what, name, value, None, None, response)
