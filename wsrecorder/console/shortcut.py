"""A short way to what is asked most while a replay plays: the controls and the state.

The loop that answers also sends the frames, and whatever it does for a request may make one late. Of what a request
cost, the larger part went into finding the route and filling in its arguments. So a few exact paths are answered
straight from here, by the same functions and with the same kinds of requests and answers. All else goes the long way,
and so does a body in which something is wrong: what is said of it is said in one place only.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, get_type_hints

from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

from wsrecorder.console.answers import explained, mistaken
from wsrecorder.errors import WsrecError

__all__ = ["Shortcut"]

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
_Control = Callable[[Any], Awaitable[Response]]
_Question = Callable[[], Awaitable[Response]]


class Shortcut:
    """Wraps an ASGI application, some of whose routes are answered without it.

    Args:
        app: The application, which knows these routes too.
        on_mishap: Takes an error of our own making.
    """

    def __init__(self, app: _App, on_mishap: Callable[[Exception], None]) -> None:
        self._app = app
        self._on_mishap = on_mishap
        self._controls: dict[str, tuple[type[BaseModel], _Control]] = {}
        self._questions: dict[str, _Question] = {}

    @property
    def paths(self) -> set[str]:
        """The paths of the controls."""
        return set(self._controls)

    def control(self, path: str, route: _Control) -> None:
        """Answer a POST by what ``route`` returns for its body, which is of the kind that its ``control`` is of."""
        self._controls[path] = (get_type_hints(route)["control"], route)

    def question(self, path: str, route: _Question) -> None:
        """Answer a GET by what ``route`` returns."""
        self._questions[path] = route

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        path, method = scope["path"], scope["method"]
        if method == "GET" and path in self._questions:
            await self._answer(self._questions[path], scope, receive, send)
        elif method == "POST" and path in self._controls:
            await self._answer_control(path, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_control(self, path: str, scope: _Scope, receive: _Receive, send: _Send) -> None:
        kind, route = self._controls[path]
        message = await receive()
        try:
            # A body in pieces is incomplete here; as JSON and then as a model, since that is the long way, too.
            asked = kind.model_validate(json.loads(message.get("body", b"")))
        except (ValueError, RecursionError, ValidationError):
            await self._app(scope, _again(message, receive), send)
        else:
            await self._answer(partial(route, asked), scope, receive, send)

    async def _answer(self, route: _Question, scope: _Scope, receive: _Receive, send: _Send) -> None:
        try:
            response = await route()
        except WsrecError as exc:
            response = explained(exc)
        except Exception as exc:
            self._on_mishap(exc)
            await mistaken()(scope, receive, send)
            raise  # as the long way does: the guard logs it
        await response(scope, receive, send)


def _again(first: _Message, receive: _Receive) -> _Receive:
    """Return what gives a message that was taken already, and then those after it."""
    messages = [first]

    async def again() -> _Message:
        return messages.pop() if messages else await receive()

    return again
