"""The HTTP interface of a console, asked."""

from __future__ import annotations

import json
import re
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from wsrecorder.errors import EndpointError, SessionError, SessionNotFound, UsageError, WsrecError

__all__ = ["ConsoleClient"]

_WITH_TOKEN: Final = (
    "give it with --token-file, --token or WSREC_CONTROL_TOKEN: the one in the address that wsrec printed, "
    "or one of the endpoint's"
)
_TIMEOUT_S: Final = 300.0  # a search through a long recording takes its time


class ConsoleClient:
    """Asks a console.

    Args:
        url: Where it is, such as ``http://127.0.0.1:8001``; a ``?token=`` in it counts as the token.
        token: What it wants to be brought, or None.
        usual_token: What to bring if there is none in either.

    Raises:
        UsageError: That is no URL of HTTP, or no token.
    """

    def __init__(self, url: str, token: str | None = None, usual_token: str | None = None) -> None:
        parts = _split(url if "://" in url else f"http://{url}")
        if parts is None:
            raise UsageError(f"{url} is not the address of a console", hint="write it as http://127.0.0.1:8001")
        self._url = f"{parts.scheme}://{parts.netloc}"
        if token is None and parts.query.startswith("token="):
            token = parts.query.removeprefix("token=")
        token = usual_token if token is None else token
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise UsageError("the token of the console cannot be one", hint="it has no spaces, and ASCII alone")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._opener = build_opener(ProxyHandler({}))  # what is on this machine is not asked by way of another

    def get(self, path: str) -> Any:
        """Return what is answered to a question; the errors are those of `post`."""
        return self._ask(Request(f"{self._url}{path}", headers=self._headers))

    def post(self, path: str, content: dict[str, Any]) -> Any:
        """Return what is answered to a control.

        Raises:
            UsageError: The console refuses it.
            SessionError: What it plays cannot be read.
            EndpointError: It does not answer.
        """
        headers = {"Content-Type": "application/json", **self._headers}
        return self._ask(Request(f"{self._url}{path}", json.dumps(content).encode(), headers))

    def _ask(self, request: Request) -> Any:
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as exc:
            with exc:
                raise _refused(exc.code, exc.read()) from exc
        except URLError as exc:
            raise EndpointError(
                f"no console answers at {self._url}: {exc.reason}",
                hint='start "wsrec replay", which says where its console is; name it with --url',
            ) from exc
        except (OSError, HTTPException, ValueError) as exc:
            raise EndpointError(
                f"what answers at {self._url} is not a console: {exc}",
                hint='"wsrec replay" says where its console is; name it with --url',
            ) from exc


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        is_port = parts.port != 0  # reading it raises where it is no number
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname and is_port else None


def _refused(status: int, body: bytes) -> WsrecError:
    try:
        said = json.loads(body)
        message, hint = str(said["message"]), str(said["hint"])
    except (ValueError, KeyError, TypeError):
        return EndpointError(f"what answers is not a console: HTTP status {status}", hint="name the console with --url")
    match status:
        case 401:
            return UsageError(message, hint=_WITH_TOKEN)
        case 404 if "not here" not in message:
            return SessionNotFound(message, hint=hint)
        case 503:
            return EndpointError(message, hint=hint)
        case 500:
            return SessionError(message, hint=hint)
    return UsageError(message, hint=hint)
