"""The application: every route, around one scene."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.metadata import version
from typing import Final

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.responses import Response, StreamingResponse

from wsrecorder.console.answers import answer, explain_errors
from wsrecorder.console.controls import ControlRoutes
from wsrecorder.console.events import EventRoutes
from wsrecorder.console.looking import LookingRoutes
from wsrecorder.console.pages import serve_pages
from wsrecorder.console.scene import Scene
from wsrecorder.console.schemas import Problem, StateFacts
from wsrecorder.console.shortcut import Shortcut
from wsrecorder.console.state import StateReader
from wsrecorder.console.stream import StateStream
from wsrecorder.console.workers import Workers

__all__ = ["Application"]

_LOOK_EVERY_NS: Final = 1_000_000_000
_DESCRIPTION: Final = (
    "Looks at sessions, and drives a replay. Times are ns since the session began, unless their name says otherwise. "
    "Every error is an object with `message` and `hint`."
)


class Application:
    """What answers requests.

    Attributes:
        app: It, as FastAPI has it: every route, and what describes it.
        entry: Where requests come in, as ASGI has it.
        stream: The state, pushed.

    Args:
        scene: What is shown; its files are read.

    Raises:
        SessionError: They cannot be.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene.load()
        self._workers, self._slow_workers = Workers(2), Workers(1)
        self._looked_ns = scene.clock.now_ns()
        self._looking: asyncio.Task[None] | None = None
        self._states = states = StateReader(scene)
        self.stream = StateStream(
            lambda: msgspec.json.encode(states.read()), scene.clock, self._look_again, scene.mishaps
        )
        self.app = FastAPI(
            title="wsrec", version=version("wsrecorder"), description=_DESCRIPTION, docs_url=None, redoc_url=None,
            openapi_url=None,
            responses={400: {"model": Problem}},
        )  # fmt: skip
        self.app.openapi_version = "3.0.3"  # the newest that the bundled page of /docs reads
        on_mishap = partial(scene.mishaps.note, "console", consequence="one request is answered with 500")
        explain_errors(self.app, on_mishap)
        self._events = EventRoutes(scene, self._workers)
        self._looks = LookingRoutes(scene, self._workers, self._slow_workers)
        controls = ControlRoutes(scene, states, self.stream)
        for router in (self._state_routes(), controls.router, self._events.router, self._looks.router):
            self.app.include_router(router)
        serve_pages(self.app)
        self.entry = Shortcut(self.app, on_mishap)
        self.entry.question("/api/state", self.state)
        for path, control in controls.verbs.items():
            self.entry.control(path, control)

    def close(self) -> None:
        """End the streams and what is being looked for."""
        self.stream.close()
        if self._looking is not None:
            self._looking.cancel()
        self._events.close()
        self._workers.close()
        self._slow_workers.close()
        self._looks.close()

    def _state_routes(self) -> APIRouter:
        router = APIRouter(tags=["state"])
        router.add_api_route("/api/state", self.state, responses={200: {"model": StateFacts}})
        router.add_api_route("/api/stream", self.follow, response_class=StreamingResponse)
        router.add_api_route("/openapi.json", self.description, include_in_schema=False)
        return router

    async def state(self) -> Response:
        """Return how everything stands."""
        if self._scene.grows:
            await self._workers.do(self._scene.refresh)
        return answer(self._states.read())

    async def follow(self) -> StreamingResponse:
        """Return a stream of server-sent events `state`: about 5 a second while something changes, else one."""
        return StreamingResponse(self.stream.events(), media_type="text/event-stream")

    async def description(self) -> Response:
        """Return what describes all requests and answers; it takes a while to make, so a thread does."""
        return answer(await self._workers.do(self.app.openapi))

    def _look_again(self) -> None:
        """See now and then how far a recording has come; on a thread, for its journal is read."""
        now_ns = self._scene.clock.now_ns()
        is_due = now_ns - self._looked_ns >= _LOOK_EVERY_NS
        if self._scene.grows and is_due and (self._looking is None or self._looking.done()):
            self._looked_ns = now_ns
            self._looking = asyncio.create_task(self._workers.do(self._scene.refresh))
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())  # next time, perhaps
