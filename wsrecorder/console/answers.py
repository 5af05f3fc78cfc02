"""How answers and errors look: JSON, and of an error always what happened and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from wsrecorder.console.workers import Busy
from wsrecorder.errors import EndpointError, SessionNotFound, UsageError, WsrecError

__all__ = ["Refusal", "answer", "explain_errors", "explained", "mistaken"]

_JSON: Final = "application/json"


def answer(content: Any, status: int = 200) -> Response:
    """Return an answer in JSON; NaN and infinity become null."""
    return Response(msgspec.json.encode(content), status, media_type=_JSON)


class Refusal(WsrecError):
    """An error with a status of HTTP.

    Attributes:
        status: Which.
    """

    def __init__(self, status: int, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def explain_errors(app: FastAPI, on_mishap: Callable[[Exception], None]) -> None:
    """Have every error answered with ``message`` and ``hint``, and one of our own making told."""

    async def on_mistake(request: Request, exc: Exception) -> Response:
        on_mishap(exc)
        return mistaken()

    app.add_exception_handler(WsrecError, _on_own)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, on_mistake)


def explained(exc: WsrecError) -> Response:
    """Return what is answered to whom this error is about."""
    return answer({"message": exc.message, "hint": exc.hint}, _status(exc))


def mistaken() -> Response:
    """Return what is answered after an error of our own making."""
    return answer({"message": "the console failed at this", "hint": "the log says how; please report it"}, 500)


async def _on_own(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, WsrecError)
    return explained(exc)


def _status(exc: WsrecError) -> int:
    match exc:
        case Refusal(status=status):
            return status
        case UsageError():
            return 400
        case SessionNotFound():
            return 404
        case Busy() | EndpointError():
            return 503
    return 500


async def _on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    said = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not for {request.url.path}"}
    return answer(
        {"message": said.get(exc.status_code, exc.detail), "hint": "/docs lists what there is"}, exc.status_code
    )


async def _on_invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = exc.errors()
    where = _field(errors[0])
    said = [error["msg"] for error in errors if _field(error) == where]  # several where a field may be one or another
    return answer({"message": f"{where}: {', or: '.join(said)}", "hint": "/docs describes each request"}, 400)


def _field(error: Any) -> str:
    """Return the name of what was wrong; what the library calls the kinds that a field may be of is no part of it."""
    if error["type"] == "json_invalid":  # located by a byte
        return "the request"
    names = [str(part) for part in error["loc"][1:] if isinstance(part, int) or part.isidentifier()]
    return ".".join(names) or "the request"
