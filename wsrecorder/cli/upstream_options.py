"""Options of commands that connect to a server: how it is checked, and what we show of ourselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote, urlsplit, urlunsplit

import typer

from wsrecorder.cli.access_options import certificate_of, from_variable, read_secret_file
from wsrecorder.cli.recording import header_name, headers_of
from wsrecorder.core.credentials import is_secret_name
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.net.tls import Certificate, TlsContext

__all__ = [
    "Ca",
    "ClientCert",
    "ClientKey",
    "HeaderEnv",
    "HeaderFile",
    "QueryEnv",
    "SendEnv",
    "SubprotocolEnv",
    "Upstream",
    "texts_of",
    "upstream_of",
]

_PANEL: Final = "Credentials and trust"
_SCHEMES: Final = ("basic", "bearer", "token")
_SHORT: Final = 4
"""Anything shorter would be hidden wherever it happens to stand."""

Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", rich_help_panel=_PANEL,
        help="Authorities that wss:// servers are checked by instead of the system's, PEM.",
    ),
]  # fmt: skip
ClientCert = Annotated[
    Path | None,
    typer.Option("--client-cert", metavar="FILE", rich_help_panel=_PANEL, help="Certificate to show the server, PEM."),
]
ClientKey = Annotated[
    Path | None,
    typer.Option("--client-key", metavar="FILE", rich_help_panel=_PANEL, help="Its private key, PEM."),
]
HeaderEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--header-env", metavar="'NAME=VARIABLE'", rich_help_panel=_PANEL,
        help="Header whose value an environment variable holds. Repeatable.",
    ),
]  # fmt: skip
HeaderFile = Annotated[
    list[str] | None,
    typer.Option(
        "--header-file", metavar="'NAME=FILE'", rich_help_panel=_PANEL,
        help="Header whose value a file holds. Repeatable.",
    ),
]  # fmt: skip
QueryEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--query-env", metavar="'NAME=VARIABLE'", rich_help_panel=_PANEL,
        help="Value in the URL's query that an environment variable holds. Repeatable.",
    ),
]  # fmt: skip
SendEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--send-env", metavar="VARIABLE", rich_help_panel=_PANEL,
        help="Send the text that an environment variable holds after each connect, after those of --send. Repeatable.",
    ),
]  # fmt: skip
SubprotocolEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--subprotocol-env", metavar="VARIABLE", rich_help_panel=_PANEL,
        help="Subprotocol to offer, after the others, that an environment variable holds. Repeatable.",
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How a server is reached.

    Attributes:
        headers: Headers for the handshake.
        queries: What is added to the query of its URL, by name.
        subprotocols: Subprotocols to offer.
        authorities: PEM file of those that are believed instead of the system's, or None.
        certificate: What it is shown of ourselves, or None.
        secrets: What must be shown nowhere.
    """

    headers: dict[str, str] = field(repr=False)
    queries: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...] = field(repr=False)
    authorities: Path | None
    certificate: Certificate | None
    secrets: frozenset[str] = field(repr=False)

    def url(self, url: str) -> str:
        """Return a URL with what is added to its query."""
        if not self.queries:
            return url
        parts = urlsplit(url)
        added = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.queries)
        return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))

    def tls(self) -> TlsContext | None:
        """Return how servers are checked; None is by the system's authorities, showing nothing.

        Raises:
            UsageError: A file cannot be used.
        """
        if self.authorities is None and self.certificate is None:
            return None
        from wsrecorder.net.tls import client_context

        return client_context(self.authorities, self.certificate)


def upstream_of(
    urls: Sequence[str],
    *,
    header: Sequence[str] | None,
    header_env: Sequence[str] | None,
    header_file: Sequence[str] | None,
    ca: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    query_env: Sequence[str] | None = None,
    subprotocol: Sequence[str] | None = None,
    subprotocol_env: Sequence[str] | None = None,
) -> Upstream:
    """Return how servers are reached; warn of files with secrets that others may read.

    Raises:
        UsageError: A value is none, or cannot be had; or certificates are named and no URL is ``wss://``.
    """
    if (ca or client_cert or client_key) and not any(url.lower().startswith("wss:") for url in urls):
        raise UsageError("certificates were named, and no server is reached over TLS", hint="write the URL with wss://")
    headers = headers_of(list(header or ()))
    secrets = {value for name, value in headers.items() if is_secret_name(name)}
    given = [
        *_values("--header-env", header_env, lambda variable: _text(from_variable(variable), variable)),
        *_values("--header-file", header_file, lambda path: _text(read_secret_file(Path(path)), path)),
    ]
    for name, value in given:
        headers[header_name(name)] = value
    queries = tuple(_values("--query-env", query_env, lambda variable: _text(from_variable(variable), variable)))
    offered = tuple(_text(from_variable(variable), variable) for variable in subprotocol_env or ())
    secrets.update(value for _, value in (*given, *queries))
    secrets.update(offered)
    words = {word for secret in secrets for word in (secret, *secret.split())}  # the token behind Bearer
    return Upstream(
        headers=headers,
        queries=queries,
        subprotocols=(*(subprotocol or ()), *offered),
        authorities=ca,
        certificate=certificate_of(client_cert, client_key),
        secrets=frozenset(word for word in words if len(word) >= _SHORT and word.lower() not in _SCHEMES),
    )


def texts_of(variables: Sequence[str] | None) -> tuple[str, ...]:
    """Return texts that environment variables hold.

    Raises:
        UsageError: One is not set, or is no text.
    """
    try:
        return tuple(from_variable(variable).decode() for variable in variables or ())
    except UnicodeDecodeError:
        raise UsageError("what was to be sent as text is not UTF-8", hint="check the variables of --send-env") from None


def _values(option: str, pairs: Sequence[str] | None, read: Callable[[str], str]) -> list[tuple[str, str]]:
    found = []
    for pair in pairs or ():
        name, mark, place = pair.partition("=")
        if not (name.strip() and mark and place.strip()):
            # Not shown: it may be a secret that was put in the wrong place.
            raise UsageError(f"{option} takes a name and where its value is", hint=f"write it as {option} 'NAME=…'")
        found.append((name.strip(), read(place.strip())))
    return found


def _text(value: bytes, place: str) -> str:
    """Return a secret as text that fits into a line of a handshake."""
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        text = "\n"
    if not text or not text.isprintable():
        raise UsageError(
            f"what {place} holds does not fit into a handshake: it is empty, of several lines, or not ASCII",
            hint="put nothing there but the value, on one line",
        )
    return text
