"""One client that goes through a tap, from its request to its end; its stages are those of `Stage`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from wsrecorder.core.credentials import redact_url
from wsrecorder.core.distribution import Distribution
from wsrecorder.net.auth import Gate, Refusal
from wsrecorder.net.http_head import END, HttpHead
from wsrecorder.net.tap_call import call
from wsrecorder.net.tap_handshake import (
    MOST_HEAD_BYTES,
    BearerAnswer,
    answer,
    forwarded,
    opened_by,
    refused,
    without_tokens,
)
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.tap_receiver import TapReceiver
from wsrecorder.net.tap_side import Hold, Side
from wsrecorder.net.tap_stage import Stage
from wsrecorder.net.tap_tunnel import TapTunnel
from wsrecorder.net.tls_trouble import why_away
from wsrecorder.net.turned_away import Cause, TurnedAway

__all__ = ["TapConnection"]

_LINGER_S: Final = 10.0
"""How long a side may stay half open: WebSockets have no use for it beyond a last answer."""


class TapConnection:
    """One client and its connection to the server.

    Args:
        options: How the server is reached.
        receiver: Told what goes by.
        added: Takes the time from arrival to write of each message.
        now_ns: Monotonic time, ns.
        tls: How a server behind TLS is checked; None for a plain one.
        gate: Judges its origin and its token.
        turned_away: Takes note of it if its client does not get in.
        is_full: Tells whether another client would be one too many.
        on_connected: Told when its client is there.
        on_gone: Told when nothing is left of it.
        on_mishap: Told of an error of our own making, which ends it.

    Attributes:
        client: The socket to the client.
        server: The socket to the server.
        tunnel: What goes by, once frames do.
        is_admitted: Whether it has passed the gate.
    """

    def __init__(
        self,
        options: TapOptions,
        receiver: TapReceiver,
        added: Distribution,
        *,
        now_ns: Callable[[], int],
        tls: ssl.SSLContext | None,
        gate: Gate,
        turned_away: TurnedAway,
        is_full: Callable[[], bool],
        on_connected: Callable[[TapConnection], None],
        on_gone: Callable[[TapConnection], None],
        on_mishap: Callable[[Exception], None],
    ) -> None:
        self._options = options
        self._receiver = receiver
        self._added = added
        self._now_ns = now_ns
        self._tls = tls
        self._on_connected = on_connected
        self._on_gone = on_gone
        self._on_mishap = on_mishap
        self._gate = gate
        self._turned_away = turned_away
        self._is_full = is_full
        self._pass_answer: Callable[[bytes], None] = lambda data: self.client.write(data)
        self.is_admitted = False
        self._state = Stage.ASKED
        self._head, self._early = bytearray(), b""  # early is what the client sent beyond its request
        self._request: HttpHead | None = None
        self._is_half_open = False
        self._waits: dict[str, asyncio.TimerHandle | asyncio.Task[None]] = {}  # ended with the connection
        self.tunnel: TapTunnel | None = None
        self._is_told = False
        self.client = self._side(self._client_connected, self._take_request)
        self.server = self._side(self._server_connected, self._take_answer)
        self.client.other, self.server.other = self.server, self.client

    def _side(self, on_connected: Callable[[], None], on_data: Callable[[bytes], None]) -> Side:
        side = Side(
            self._options.buffer_bytes,
            on_connected=on_connected, on_data=on_data, on_eof=lambda: self._pass_eof_on(side),
            on_lost=lambda exc: self._lost(side, exc), on_mistake=self._break_off,
        )  # fmt: skip
        return side

    @property
    def is_pending(self) -> bool:
        """Whether its client has not said yet what it wants."""
        return self._state is Stage.ASKED

    @property
    def is_open(self) -> bool:
        """Whether frames go by."""
        return self._state is Stage.OPEN

    # The handshake.

    def _client_connected(self) -> None:
        limit_s = self._options.access.handshake_timeout_s
        self._waits["request"] = asyncio.get_running_loop().call_later(limit_s, self._give_up_on_request)
        self._on_connected(self)

    def _give_up_on_request(self) -> None:
        if self._state is Stage.ASKED:
            self.turn_away(Cause.LATE, "was cut: its handshake took too long")
            self.client.end()

    def turn_away(self, cause: Cause, words: str) -> None:
        """Note that its client does not get in, once."""
        if not self._is_told:
            self._is_told = True
            self._turned_away.note(cause, self.client.transport.get_extra_info("peername"), words)

    def _take_request(self, data: bytes) -> None:
        if self._state is Stage.CALLING:  # TCP had it before reading was held back
            self._early += data
            return
        self._head += data
        end = self._head.find(END)
        if end < 0 and len(self._head) <= MOST_HEAD_BYTES:
            return
        head, self._early = bytes(self._head[: end + len(END)]), bytes(self._head[end + len(END) :])
        self._head.clear()
        try:
            if end < 0:
                raise ValueError(f"no end within {MOST_HEAD_BYTES:,} bytes")
            self._request = HttpHead.parse(head)
        except ValueError as exc:
            self.turn_away(Cause.INVALID, "was refused with 400: this is no HTTP request")
            self._say(answer(400, "Bad Request", f"this is no HTTP request: {exc}"))
            return
        if not self._admit(self._request):
            return
        self._state = Stage.CALLING
        self.client.hold(Hold.OTHER_IS_AWAY)
        self._waits["call"] = asyncio.get_running_loop().create_task(self._call_server())

    def _admit(self, request: HttpHead) -> bool:
        """Return whether a request may go on to the server; one that may not is answered."""
        verdict = self._gate.judge(request, request.target)
        if not isinstance(verdict, Refusal) and self._is_full():
            verdict = Refusal(503, "as many clients as may be are here already")
        if isinstance(verdict, Refusal):
            self.turn_away(Cause.of(verdict.status), f"was refused with {verdict.status}: {verdict.reason}")
            self._say(refused(verdict))
            return False
        self.is_admitted = True
        if "protocol" in verdict.places:
            self._pass_answer = BearerAnswer(self.client.write).take
        self._request = without_tokens(request, verdict.places)
        return True

    async def _call_server(self) -> None:
        """Connect to the server, or tell the client why not."""
        try:
            await call(self._options, self._tls, self.server)
        except OSError as exc:
            self._away(exc)
        except Exception as exc:
            self._break_off(exc)
        finally:
            if not self.server.is_there and not self.client.is_there:
                self._on_gone(self)

    def _away(self, exc: OSError) -> None:
        is_late = isinstance(exc, TimeoutError)
        what = f"did not answer within {self._options.open_timeout_s:g} s" if is_late else why_away(exc)
        where = f"{self._options.upstream_host}:{self._options.upstream_port}"
        status, phrase = (504, "Gateway Timeout") if is_late else (502, "Bad Gateway")
        self.turn_away(Cause.UPSTREAM, f"was refused with {status}: {where} {what}")
        self._say(answer(status, phrase, f"wsrec tap: {where} {what}"))

    def _say(self, whole_answer: bytes) -> None:
        self.client.write(whole_answer)
        self._state = Stage.ENDED
        self.client.on_data = _ignore
        self.client.end()

    def _server_connected(self) -> None:
        assert self._request is not None
        if self._state is not Stage.CALLING or not self.client.is_writable:
            self.server.end()
            return
        self._state = Stage.ANSWERED
        limit_s = self._options.open_timeout_s
        self._waits["answer"] = asyncio.get_running_loop().call_later(limit_s, self._give_up_on_answer)
        self.server.transport.write(forwarded(self._request, self._options).encode())
        if not self._request.is_upgrade:
            self._go_plain()

    def _give_up_on_answer(self) -> None:
        """End what the server has not answered: nothing is read from the client, so it would not be noticed to go."""
        if self._state is Stage.ANSWERED:
            if not self._head:
                self._away(TimeoutError())
            self.client.end()
            self.server.end()

    def _take_answer(self, data: bytes) -> None:
        """Pass the server's answer on, and see what it is."""
        arrival_ns = self._now_ns()
        self._pass_answer(data)
        self._head += data
        while (end := self._head.find(END)) >= 0:
            head, rest = bytes(self._head[: end + len(END)]), bytes(self._head[end + len(END) :])
            try:
                response = HttpHead.parse(head)
            except ValueError:
                break
            if response.status == 101:
                self._open(response, rest, arrival_ns)
                return
            if not 100 <= response.status < 200:
                self._refuse(response.status)
                return
            self._head = bytearray(rest)  # an interim answer: the one that counts follows it
        if end >= 0 or len(self._head) > MOST_HEAD_BYTES:
            self._refuse(0)

    def _refuse(self, status: int) -> None:
        assert self._request is not None
        path = redact_url(self._request.target).partition("?")[0]
        self.turn_away(Cause.UPSTREAM, f"was refused by the server with HTTP {status}: {path}")
        self._go_plain()

    def _go_plain(self) -> None:
        self._state = Stage.PLAIN
        self._head.clear()
        self.server.on_data = self.client.write
        self.client.on_data = self.server.write
        self._send_early()

    def _send_early(self) -> None:
        """Send on what the client sent together with its request, and read on."""
        early, self._early = self._early, b""
        if early:
            self.client.on_data(early)
        self.client.release(Hold.OTHER_IS_AWAY)

    def _open(self, response: HttpHead, rest: bytes, arrival_ns: int) -> None:
        assert self._request is not None
        self._state = Stage.OPEN
        self._head.clear()
        opened = opened_by(self._request, response, self.client.transport.get_extra_info("peername"))
        self.tunnel = TapTunnel(
            self.client,
            self.server,
            opened,
            response,
            self._receiver,
            self._added,
            now_ns=self._now_ns,
            max_bytes=self._options.max_frame_bytes,
            arrival_ns=arrival_ns,
        )
        self.server.on_data, self.client.on_data = self.tunnel.from_server.forward, self.tunnel.to_server.forward
        if rest:
            self.tunnel.from_server.take(rest, arrival_ns)  # it was passed on together with the answer
        self._send_early()

    # The end.

    def _pass_eof_on(self, side: Side) -> bool:
        """Tell the other side that this one sends no more; return whether this one can still be written to."""
        other = side.other
        assert other is not None
        if self.tunnel is not None:
            self.tunnel.ebbs(side)
        # TLS knows no half-open connection, and neither side has more to say once both have said so.
        if self._tls is not None or self._is_half_open or not other.send_eof():
            return False
        self._is_half_open = True
        self._linger()
        return True

    def _linger(self) -> None:
        """Close both sides when one has been half open for long, but not while anything still waits to be taken."""
        self._waits["linger"] = asyncio.get_running_loop().call_later(_LINGER_S, self._end_lingering)

    def _end_lingering(self) -> None:
        if self.client.waiting_bytes or self.server.waiting_bytes:
            self._linger()
        else:
            self.client.end()
            self.server.end()

    def _lost(self, side: Side, exc: Exception | None) -> None:
        """End the other side as this one ended."""
        for wait in self._waits.values():
            wait.cancel()
        other = side.other
        assert other is not None
        if self.tunnel is not None:
            self.tunnel.lost(side)
        if self._state is Stage.ASKED:
            self.turn_away(Cause.GONE, "was gone before its handshake was done")
        self._state = Stage.ENDED
        other.on_data = _ignore
        if isinstance(exc, ConnectionResetError):
            other.reset()
        else:
            other.end()
        if not other.is_there:
            self._on_gone(self)

    def end(self, code: int, reason: str) -> None:
        """Close the connection from the middle; what is no open WebSocket is cut."""
        if self.is_open and self.tunnel is not None:
            self.tunnel.end(code, reason)
        else:
            self.abort()

    def _break_off(self, error: Exception) -> None:
        """End it by a mistake of ours."""
        self._on_mishap(error)
        self.abort()
        if not (self.client.is_there or self.server.is_there):
            self._on_gone(self)

    def abort(self) -> None:
        """Cut both sides at once; why is known by then."""
        self._is_told = True
        self.client.abort()
        self.server.abort()


def _ignore(data: bytes) -> None:
    """Take what nobody is there for any more."""
