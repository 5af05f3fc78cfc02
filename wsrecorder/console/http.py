"""The fast parser of HTTP, kept from taking in more than it should.

uvicorn reads with httptools (llhttp, in C) in a fraction of the time that h11 takes, but unlike with h11 nobody limits
what a head may hold, and it is read before the guard sees a request: whoever reaches the port could fill the memory.
"""

from __future__ import annotations

from asyncio import Protocol
from importlib.util import find_spec
from typing import Final, Literal

__all__ = ["MOST_HEAD_BYTES", "http_protocol"]

MOST_HEAD_BYTES: Final = 64 << 10
"""As much as h11 takes."""


def http_protocol() -> type[Protocol] | Literal["h11"]:
    """Return what reads HTTP, as uvicorn wants it: httptools with a limit, or h11 where there is none for a machine."""
    if find_spec("httptools") is None:
        return "h11"
    # It cannot be imported without httptools.
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Bounded(HttpToolsProtocol):
        """Refuses a request that goes on and on without a body: in its head, its trailers, the sizes of its chunks."""

        _unfinished_bytes = 0

        def data_received(self, data: bytes) -> None:
            self._unfinished_bytes += len(data)
            super().data_received(data)
            if self._unfinished_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

        def on_headers_complete(self) -> None:
            self._unfinished_bytes = 0
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._unfinished_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._unfinished_bytes = 0
            super().on_message_complete()

    return Bounded
