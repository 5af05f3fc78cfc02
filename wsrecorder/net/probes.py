"""A small HTTP server for those who watch a process: on threads of its own, so that it answers whatever else happens.

What it answers is made on the event loop, which alone may read what the job counts. A loop that does not get round
to that within `_PATIENCE_S` is an answer too: 503.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET6
from socketserver import TCPServer
from threading import Thread
from types import TracebackType
from typing import Final, Self

from wsrecorder.errors import EndpointError
from wsrecorder.net.hosts import Hosts
from wsrecorder.net.listening import cannot_listen

__all__ = ["Finding", "Probes"]

_LOG: Final = logging.getLogger("wsrecorder.metrics")

_PATIENCE_S: Final = 5.0
_LONGEST_BODY: Final = 1_000
_TEXT: Final = "text/plain; charset=utf-8"
_OF_A_PAGE: Final = ("Origin", "Referer", "Sec-Fetch-Site")
"""What a browser says of where a request comes from; a program says nothing of the kind."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to a request.

    Attributes:
        content: Its body.
        status: HTTP status.
        content_type: What the body is.
        allow: With 405, the methods that there are.
    """

    content: bytes
    status: int = 200
    content_type: str = _TEXT
    allow: str = ""


class Probes:
    """The server, serving while its context is open.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        answers: What answers a GET of each path; called on the event loop.
        actions: What answers a POST of each path, given its body; called on the event loop. Only programs on this
            machine may ask for them, by a name of it: neither others, nor a page in a browser.
        on_mishap: Told, on whatever thread, of an error of ours by which one could not be answered.

    Raises:
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(
        self,
        host: str,
        port: int,
        answers: Mapping[str, Callable[[], Finding]],
        actions: Mapping[str, Callable[[str], Finding]] | None = None,
        on_mishap: Callable[[Exception], None] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._answers = answers
        self._actions = actions or {}
        self._on_mishap = on_mishap
        self._server: _Server | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Where it serves, without a path; to be asked while it does."""
        assert self._server is not None
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.server_address[1]}"

    async def __aenter__(self) -> Self:
        try:
            self._server = _Server(self._host, self._port, asyncio.get_running_loop(), self)
            self._server.on_mishap = self._on_mishap
        except OSError as exc:
            error = cannot_listen(self._host, self._port, exc)
            hint = error.hint.replace("--port", "--metrics").replace("--host", "--metrics-host")
            raise EndpointError(error.message, hint=hint) from exc
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="wsrec-probes", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._thread is not None
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    on_mishap: Callable[[Exception], None] | None = None
    block_on_close = False  # a request that waits for the loop would wait for us, who hold it

    def __init__(self, host: str, port: int, loop: asyncio.AbstractEventLoop, probes: Probes) -> None:
        self.loop = loop
        self.answers = probes._answers
        self.actions = probes._actions
        if ":" in host:
            self.address_family = AF_INET6
        super().__init__((host, port), _Request)
        self.hosts = Hosts.of(host, self.server_address[1])

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the name server for our name, which can take seconds

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever asked has gone, or sent what is not HTTP."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    server_version = "wsrec"
    sys_version = ""
    default_request_version = "HTTP/1.0"  # of what is no request: by 0.9 it would be answered without a status
    timeout = 10  # who connects and says nothing does not keep a thread

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        self.close_connection = True  # a body that was not read must not pass for the next request
        self._send(self._act(), with_body=True)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request, or by a method that nothing has, in words."""
        self.close_connection = True
        unsupported = code == HTTPStatus.NOT_IMPLEMENTED
        words = f"{message or HTTPStatus(code).phrase}\n"
        self._send(self._unknown() if unsupported else Finding(words.encode(), code), with_body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a probe every few seconds is no news."""

    def _answer(self, *, with_body: bool) -> None:
        self._send(self._find(), with_body=with_body)

    def _send(self, finding: Finding, *, with_body: bool) -> None:
        self.send_response(finding.status)
        self.send_header("Content-Type", finding.content_type)
        self.send_header("Content-Length", str(len(finding.content)))
        self.send_header("Cache-Control", "no-store")
        if finding.allow:
            self.send_header("Allow", finding.allow)
        self.end_headers()
        if with_body:
            self.wfile.write(finding.content)

    def _find(self) -> Finding:
        answer = self.server.answers.get(self.path.partition("?")[0])
        return self._unknown() if answer is None else self._made(answer)

    def _unknown(self) -> Finding:
        """Return what there is, for who asks for something else, or by another method."""
        path, gets, posts = self.path.partition("?")[0], self.server.answers, self.server.actions
        methods = [*(("GET", "HEAD") if path in gets else ()), *(("POST",) if path in posts else ())]
        if methods:
            words = f"{path} takes {methods[0]}, not {self.command}\n"
            return Finding(words.encode(), 405, allow=", ".join(methods))
        known = [*(f"GET {each}" for each in gets), *(f"POST {each}" for each in posts)]
        return Finding(f"there is {', '.join(known)}\n".encode(), 404)

    def _act(self) -> Finding:
        action = self.server.actions.get(self.path.partition("?")[0])
        if action is None:
            return self._unknown()
        if not _is_near(self.client_address[0]) or any(name in self.headers for name in _OF_A_PAGE):
            return Finding(b"only programs on this machine may ask for this\n", 403)
        names = self.headers.get_all("Host", [])
        if len(names) != 1 or not self.server.hosts.include(names[0]):
            return Finding(f"this is not at that Host: use localhost:{self.server.hosts.port}\n".encode(), 403)
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > _LONGEST_BODY:
            return Finding(f"a body may have {_LONGEST_BODY} bytes, and must say how many\n".encode(), 413)
        said = self.rfile.read(int(length)).decode(errors="replace").strip()
        return self._made(lambda: action(said))

    def _made(self, answer: Callable[[], Finding]) -> Finding:
        try:
            return _on_loop(self.server.loop, answer)
        except TimeoutError:
            return Finding(f"the event loop has not turned for {_PATIENCE_S:g} s\n".encode(), 503)
        except Exception as exc:
            if self.server.on_mishap is None:
                _LOG.exception("%s cannot be answered", self.path.partition("?")[0])
            else:
                self.server.on_mishap(exc)
            return Finding(b"our own mistake: the log says more\n", 500)


def _is_near(address: str) -> bool:
    """Return whether a peer is on this machine; IPv6 may carry an IPv4 address, and a zone."""
    found = ip_address(address.partition("%")[0])
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _on_loop(loop: asyncio.AbstractEventLoop, answer: Callable[[], Finding]) -> Finding:
    """Return what ``answer`` returns on the event loop; called on another thread."""
    found: Future[Finding] = Future()

    def make() -> None:
        try:
            found.set_result(answer())
        except Exception as exc:
            found.set_exception(exc)

    loop.call_soon_threadsafe(make)
    return found.result(_PATIENCE_S)
