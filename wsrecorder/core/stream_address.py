"""The address of a stream: ``nats://host:port/STREAM``, of a session in it ``nats://host:port/STREAM/SESSION``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from wsrecorder.core.credentials import HIDDEN
from wsrecorder.errors import UsageError

__all__ = ["StreamAddress", "StreamCredentials", "is_stream_address", "parse_stream_address"]

_FORM: Final = "write it as nats://HOST:PORT/STREAM; several servers as nats://HOST:PORT,HOST:PORT/STREAM"
_ADDRESS: Final = re.compile(r"(?P<scheme>nats|tls)://(?:(?P<user>[^@/]*)@)?(?P<hosts>[^@/]+)/(?P<path>.+)", re.DOTALL)
_STREAM: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_DEFAULT_PORT: Final = 4222


@dataclass(frozen=True, slots=True)
class StreamCredentials:
    """Who we are to the server; whatever is None is left out.

    Attributes:
        user: A name.
        password: Its password.
        token: A token instead.
        file: Path of a credentials file (JWT and seed) instead.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a stream is.

    Attributes:
        servers: URLs of servers of the cluster, without credentials.
        stream: Its name.
        session: Id, prefix of one, or name of a session in it; None is the newest.
        credentials: Who we are.
    """

    servers: tuple[str, ...]
    stream: str
    session: str | None = None
    credentials: StreamCredentials = StreamCredentials()

    def __str__(self) -> str:
        """Return the address as it can be shown."""
        scheme = self.servers[0].partition("://")[0]
        hosts = ",".join(server.partition("://")[2] for server in self.servers)
        user = f"{HIDDEN}@" if self.credentials != StreamCredentials() else ""
        return f"{scheme}://{user}{hosts}/{self.stream}" + (f"/{self.session}" if self.session else "")


def is_stream_address(text: str) -> bool:
    """Return whether a text is meant to be the address of a stream."""
    return text.startswith(("nats:", "tls:"))


def parse_stream_address(text: str, fallback: StreamCredentials | None = None) -> StreamAddress:
    """Read the address of a stream.

    Args:
        text: ``nats://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/STREAM[/SESSION]``; one word for user and password
            is a token.
        fallback: Who we are where the address does not say.

    Raises:
        UsageError: It is none.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        shown = re.sub(r"//[^/]*@", f"//{HIDDEN}@", text)
        raise UsageError(f"{shown} is no address of a stream", hint=_FORM)
    stream, _, session = found["path"].partition("/")
    if not _STREAM.fullmatch(stream):
        raise UsageError(
            f"{stream!r} is no name of a stream", hint="use letters, digits, - and _, no more than 128, such as EVENTS"
        )
    hosts = [host if re.search(r":\d+$", host) else f"{host}:{_DEFAULT_PORT}" for host in found["hosts"].split(",")]
    if any(host.startswith(":") for host in hosts):
        raise UsageError(f"{','.join(hosts)} lacks a host", hint=_FORM)
    servers = tuple(f"{found['scheme']}://{host}" for host in hosts)
    credentials = fallback or StreamCredentials()
    if found["user"]:
        user, colon, password = found["user"].partition(":")
        credentials = (
            StreamCredentials(unquote(user), unquote(password)) if colon else StreamCredentials(token=unquote(user))
        )
    return StreamAddress(servers, stream, session.strip("/") or None, credentials)
