"""The ``/ws/`` server of a replay: stands in for the live one, and sends at full speed.

It answers as the live server does: exactly the recorded path (a query string is allowed), 403 for
an upgrade elsewhere, 404 for a plain request; ping every 20 s; permessage-deflate for those who
offer it. What clients send is read, counted and ignored, unless `Endpoint.on_inbound` is set.

What is due goes out as one write a client, in slices of at most 256 KiB; between slices the event
loop gets its turn and slow clients are looked after. A client that lags more than its buffer
holds is closed with 1013 and the others do not notice (``SlowClient.CLOSE``); or all wait for it
(``SlowClient.WAIT``), in which case less is buffered, as nothing has to be gained from more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import CloseCode

from wsrecorder.core.rate import RateLimit
from wsrecorder.net.admission import Admission
from wsrecorder.net.arrivals import Arrivals
from wsrecorder.net.client import Client, ClientConnection, Inbound
from wsrecorder.net.client_stats import ClientStats, Departed
from wsrecorder.net.endpoint_options import EndpointOptions, Heartbeat, SlowClient
from wsrecorder.net.framing import Frames, frame_one
from wsrecorder.net.serving import begin_serving, log_mishap
from wsrecorder.net.turned_away import TurnedAway

__all__ = ["Endpoint", "EndpointOptions", "Heartbeat", "Inbound", "SlowClient"]

_LOG = logging.getLogger(__name__)

_SLICE_BYTES = 256 << 10
_KEPT_STATS = 1_000


class Endpoint:
    """The server, serving while its context is open.

    ::

        async with Endpoint(options, now_ns=clock.now_ns, wall_ns=clock.wall_ns) as endpoint:
            await endpoint.wait_for_clients(1)
            await endpoint.broadcast(frames, 0, len(frames))

    Args:
        options: How it serves.
        now_ns: Monotonic time, ns.
        wall_ns: UTC, ns since the epoch.
        heartbeat: Makes the heartbeats; None sends none.

    Attributes:
        options: How it serves.
        on_join: Called with each client that has come, before anything but a heartbeat is sent to it.
        on_leave: Called with each client that has gone.
        on_inbound: Called with each message that a client sends, after ``on_join`` with that client; None drops them.
            Set it before clients come: who is here already is heard or not as it was then.
        on_mishap: Told of an error of our own making and what became of it, at most the end of one connection.
        clients_served: How many clients have come so far.
        slow_closed: How many were closed because they lagged too far behind.
        admission: Answers handshakes, and can refuse them.
        turned_away: Those that were not let in.
        is_silent: Whether no heartbeats are sent for now.
        departed: Of the clients that have gone, the last thousand.

    Raises:
        EndpointError: The address or port cannot be had (on entering the context).
        UsageError: The certificate cannot be used (likewise).
    """

    def __init__(
        self,
        options: EndpointOptions,
        *,
        now_ns: Callable[[], int],
        wall_ns: Callable[[], int],
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.options = options
        self.turned_away = TurnedAway(_LOG)
        self.admission = Admission(options.path, options.subprotocol, now_ns, options.access, self.turned_away)
        self._arrivals = Arrivals(options.access, self.turned_away)
        self.on_join: Callable[[Client], None] | None = None
        self.on_leave: Callable[[Client], None] | None = None
        self.on_inbound: Inbound | None = None
        self.on_mishap: Callable[[Exception, str], None] = log_mishap
        self.clients_served = 0
        self.slow_closed = 0
        self.is_silent = False
        self.departed = Departed(_KEPT_STATS)
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self._heartbeat = heartbeat
        self._server: Server | None = None
        self._clients: dict[int, Client] = {}
        self._has_news = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        create = self._open_connection
        self._server = await begin_serving(self.options, self._attend, self.admission, create, self.on_mishap)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, code: int = CloseCode.SERVICE_RESTART, reason: str = "") -> None:
        """Stop listening and close all clients, within the time allowed; does nothing the second time.

        Args:
            code: Close code: 1012 when we go, as the live server does, 1000 when the replay has come to its end.
            reason: Reason beside the code.
        """
        assert self._server is not None, "the endpoint's context is not open"
        self._arrivals.close()
        self._server.close(code=code, reason=reason)
        try:
            async with asyncio.timeout(self.options.close_timeout_s):
                await self._server.wait_closed()
        except TimeoutError:
            # Who does not read does not see the close frame either; who never sent a handshake cannot be told.
            for connection in self._arrivals:
                connection.transport.abort()
            await self._server.wait_closed()
        if self._closing:
            await asyncio.wait(self._closing)
        self.turned_away.close()

    async def close_clients(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "", to: Sequence[Client] | None = None
    ) -> None:
        """Close these clients, or all that are here, within the time allowed, and go on serving."""
        timeout_s = self.options.close_timeout_s
        await asyncio.gather(
            *(client.close(code, reason, timeout_s) for client in (self.clients if to is None else to))
        )

    def dismiss(self, clients: Sequence[Client], code: int, reason: str = "") -> int:
        """Close clients, without waiting for it; nothing more is sent to them.

        Args:
            clients: Which; those that are closing already are left alone.
            code: Close code; 1006 cuts the connections without a close frame (RFC 6455, section 7.1.5).
            reason: Reason beside the code.

        Returns:
            How many were closed.
        """
        leaving = [client for client in clients if client.is_open]
        for client in leaving:
            self._dismiss(client, code, reason)
        return len(leaving)

    # What there is to see.

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None, "the endpoint's context is not open"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where to connect, such as ``ws://127.0.0.1:8000/ws/``."""
        host = self.options.host
        scheme = "ws" if self.options.access.certificate is None else "wss"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.options.path}"

    @property
    def clients(self) -> Sequence[Client]:
        """The clients that are here now, in the order in which they came."""
        return tuple(self._clients.values())

    @property
    def audience(self) -> Sequence[Client]:
        """Those of them that hear what is sent to all."""
        return tuple(client for client in self.clients if not client.is_apart)

    def stats(self) -> list[ClientStats]:
        """Return what there is to report of each client, those that have gone first."""
        return [*self.departed, *(client.stats() for client in self._clients.values())]

    async def wait_for_clients(self, count: int) -> None:
        """Return when so many clients are here."""
        while len(self._clients) < count:
            await self._has_news.wait()

    async def wait_for_audience(self, count: int) -> None:
        """Return when so many clients are here that hear what is sent to all."""
        while len(self.audience) < count:
            await self._has_news.wait()

    # Sending.

    async def broadcast(self, frames: Frames, start: int, stop: int, to: Sequence[Client] | None = None) -> int:
        """Send the rows ``[start, stop)`` to each client that is here, in order.

        A client that comes meanwhile gets what is left, unless it `Client.joins_between`. Returns when all is handed
        to the clients' transports; others run meanwhile, at least once.

        Args:
            frames: The batch.
            start: First row.
            stop: First row after it that is not sent.
            to: Send to these only, apart or not, rather than to the `audience`.

        Returns:
            For how long slow clients were waited for, ns.
        """
        waited_ns = 0
        present = set(self.audience if to is None else to)
        for first, after in frames.slices(start, stop, _SLICE_BYTES):
            everybody = self.audience if to is None else to
            receivers = [client for client in everybody if client in present or not client.joins_between]
            for client in receivers:
                try:
                    if client.is_open and not self._lags(client):
                        client.write(frames.wire(first, after, client.window_bits), after - first)
                except Exception as exc:
                    self._drop(client, exc)
            if self.options.slow_client is SlowClient.WAIT and not all(client.has_room for client in receivers):
                since_ns = self._now_ns()
                await self._wait_for_room(receivers)
                waited_ns += self._now_ns() - since_ns
            # The write above may only have been queued; and pings, controls and newcomers want their turn.
            await asyncio.sleep(0)
        return waited_ns

    def prime(self, frames: Frames, start: int, stop: int, to: Sequence[Client] | None = None) -> None:
        """Send rows that tell how things stand, at once; the arguments are those of `broadcast`."""
        for client in self.audience if to is None else to:
            try:
                if client.is_open:
                    client.prime(frames.wire(start, stop, client.window_bits), stop - start)
            except Exception as exc:
                self._drop(client, exc)

    def _lags(self, client: Client) -> bool:
        """Close a client that has more to take than its buffer may hold."""
        if self.options.slow_client is SlowClient.WAIT or client.buffered_bytes <= self.options.client_buffer_bytes:
            return False
        self.slow_closed += 1
        _LOG.warning("%s lagged %d bytes behind and was closed (1013)", client, client.buffered_bytes)
        self._dismiss(client, CloseCode.TRY_AGAIN_LATER, "too slow")
        return True

    async def _wait_for_room(self, receivers: Sequence[Client]) -> None:
        for client in filter(lambda client: client.is_open, receivers):
            # As long as the keepalive takes to notice that nobody is there; it cannot here, for its pings
            # wait behind what the client does not take.
            if not await client.wait_for_room(2 * self.options.ping_s):
                _LOG.warning("%s took nothing for %g s and was closed (1011)", client, 2 * self.options.ping_s)
                self._dismiss(client, CloseCode.INTERNAL_ERROR, "keepalive ping timeout")

    def _dismiss(self, client: Client, code: int, reason: str) -> None:
        client.leave()  # at once: the task below runs later
        if code == CloseCode.ABNORMAL_CLOSURE:
            client.abort()
            return
        self._closing.add(task := asyncio.create_task(client.close(code, reason, self.options.close_timeout_s)))
        task.add_done_callback(self._closing.discard)

    # Coming and going.

    def _open_connection(self, *args: object, **options: object) -> ClientConnection:
        connection = ClientConnection(self._now_ns, *args, **options)
        if self.on_inbound is not None:
            connection.on_message = connection.keep_early
        if (per_s := self.options.access.inbound_per_s) is not None:
            connection.limit = RateLimit(per_s, self._now_ns())
        # Not before: of one that fails over TLS we would never hear again.
        connection.on_connected = self._arrivals.take_in
        return connection

    async def _attend(self, connection: ServerConnection) -> None:
        """See to one client from its accept to its end."""
        assert isinstance(connection, ClientConnection)
        self.clients_served += 1
        client = Client(self.clients_served, connection, self._now_ns())
        self._clients[client.number] = client
        try:
            self._send_heartbeat(client)  # before it can be sent anything else
            _LOG.info("%s joined", client)
            if self.on_join is not None:
                self.on_join(client)
            if self.on_inbound is not None:
                client.hear(partial(self._hear, client))
            self._tell()
            await self._beat_until_gone(client)
        except Exception as exc:
            self._drop(client, exc)
            await client.wait_closed()
        finally:
            del self._clients[client.number]
            try:
                if self.on_leave is not None:
                    self.on_leave(client)
                self.departed.append(client.stats())
                _LOG.info("%s left (%s)", client, client.farewell)
            except Exception as exc:
                self.on_mishap(exc, f"{client} has left")
            self._tell()

    def _hear(self, client: Client, payload: bytes, opcode: int) -> None:
        try:
            if self.on_inbound is not None and client.is_open:
                self.on_inbound(client, payload, opcode)
        except Exception as exc:
            self._drop(client, exc)

    def _drop(self, client: Client, error: Exception) -> None:
        """End one client by a mistake of ours; the others do not notice."""
        self.on_mishap(error, f"{client} is closed (1011), others go on")
        if client.is_open:
            self._dismiss(client, CloseCode.INTERNAL_ERROR, "unexpected error")

    async def _beat_until_gone(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s += self.options.heartbeat_s  # absolute: heartbeats do not drift
            try:
                async with asyncio.timeout_at(due_s):
                    await client.wait_closed()
                return
            except TimeoutError:
                if not client.is_open:  # it has long begun to close, but does not read its way to the end
                    client.abort()
                self._send_heartbeat(client)

    def _send_heartbeat(self, client: Client) -> None:
        if self._heartbeat is None or self.is_silent or not client.is_open:
            return
        if (payload := self._heartbeat(client.latency_ms, self._wall_ns())) is not None:
            client.write_heartbeat(frame_one(payload))

    def _tell(self) -> None:
        self._has_news.set()
        self._has_news = asyncio.Event()
