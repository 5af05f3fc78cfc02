"""Routes that show a session as a whole: density, projections, latency, notes, and parts of it as files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from wsrecorder.analysis.condition import Foreign
from wsrecorder.analysis.density import Densities
from wsrecorder.analysis.latency import measure_latency
from wsrecorder.analysis.session import Session
from wsrecorder.analysis.state import state_at
from wsrecorder.console.answers import answer
from wsrecorder.console.scene import Scene
from wsrecorder.console.schemas import MOST_NS, DensityFacts, NoteFacts, Notes, NoteWanted, Projections, SessionInShort
from wsrecorder.console.workers import Workers
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.core.moment import format_duration
from wsrecorder.errors import SessionError
from wsrecorder.jobs.export import ExportOptions, export_session
from wsrecorder.store.library import Library
from wsrecorder.store.notes import Note, NoteBook

__all__ = ["LookingRoutes"]

_Place = Annotated[int | None, Query(ge=0, le=MOST_NS)]

_MEDIA_TYPES: Final = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


class LookingRoutes:
    """Shows sessions.

    Args:
        scene: Which.
        workers: Where what is asked often is read.
        slow_workers: Where is done what takes long, so that the rest need not wait for it.
    """

    def __init__(self, scene: Scene, workers: Workers, slow_workers: Workers) -> None:
        self._scene = scene
        self._workers = workers
        self._slow_workers = slow_workers
        self._densities = {session.path: Densities(session) for session in scene.sessions}
        self.router = router = APIRouter(tags=["sessions"])
        router.add_api_route("/api/sessions", self.sessions, responses={200: {"model": list[SessionInShort]}})
        router.add_api_route("/api/density", self.density, responses={200: {"model": DensityFacts}})
        router.add_api_route("/api/projections", self.projections, responses={200: {"model": Projections}})
        router.add_api_route("/api/latency", self.latency)
        router.add_api_route("/api/notes", self.notes, responses={200: {"model": Notes}})
        router.add_api_route("/api/notes", self.add_note, methods=["POST"], responses={200: {"model": NoteFacts}})
        router.add_api_route("/api/export", self.export, response_class=FileResponse)

    def close(self) -> None:
        """Let go of the sessions."""
        for densities in self._densities.values():
            densities.close()

    async def sessions(self) -> Response:
        """Return the sessions of the library, the newest first; those that cannot be read are left out."""

        def read() -> list[dict[str, Any]]:
            library = self._scene.library
            stores = [] if library is None else reversed(list(Library(library).stores()))
            return [short for store in stores if (short := _in_short(Session(store))) is not None]

        return answer(await self._slow_workers.do(read))

    async def density(
        self,
        from_ns: Annotated[int, Query(ge=0, le=MOST_NS)] = 0,
        to_ns: _Place = None,
        bins: int = 300,
        session: str | None = None,
    ) -> Response:
        """Return how many messages of each type came when, and gaps, connections and notes of that time."""

        def count() -> dict[str, Any]:
            shown = self._scene.session(session)
            stop_ns = to_ns
            if stop_ns is None:  # as far as it has come, the last event included
                stop_ns = max(from_ns, shown.store.manifest().last_elapsed_ns) + 1
            return self._densities[shown.path].density(from_ns, stop_ns, bins).to_dict()

        return answer(await self._workers.do(count))

    async def projections(self, at_ns: _Place = None, session: str | None = None) -> Response:
        """Return what was known of engine, orders and positions at a moment; without one, at the end."""

        def fold() -> dict[str, Any]:
            shown = self._scene.session(session)
            length_ns = shown.store.manifest().last_elapsed_ns
            place_ns = length_ns if at_ns is None else min(at_ns, length_ns)
            return {**state_at(shown, format_duration(place_ns)).to_dict(), "at_ns": place_ns}

        return answer(await self._workers.do(fold))

    async def latency(self, session: str | None = None) -> Response:
        """Return how late messages were, as ``wsrec latency --json`` does."""
        return answer(await self._slow_workers.do(lambda: measure_latency(self._scene.session(session)).to_dict()))

    async def notes(self, session: str | None = None) -> Response:
        """Return the notes on a session, by time."""

        def read() -> list[dict[str, Any]]:
            return [_plain(note) for note in NoteBook(self._scene.session(session).path).all()]

        return answer({"notes": await self._workers.do(read)})

    async def add_note(self, wanted: NoteWanted, session: str | None = None) -> Response:
        """Note something at a moment: kept beside the session, never in it."""
        if wanted.at_ns is None:
            shown, at_ns = self._scene.at_playhead(session)
        else:
            shown, at_ns = self._scene.session(session), wanted.at_ns

        def write() -> dict[str, Any]:
            manifest = shown.store.manifest()
            place_ns = min(at_ns, manifest.last_elapsed_ns)
            note = NoteBook(shown.path).add(
                wanted.text,
                elapsed_ns=place_ns,
                received_ns=manifest.identity.started_ns + place_ns,
                made_at_ns=self._scene.clock.wall_ns(),
            )
            return _plain(note)

        return answer(await self._workers.do(write))

    async def export(
        self,
        from_ns: _Place = None,
        to_ns: _Place = None,
        types: str | None = None,
        where: str | None = None,
        format: Literal["jsonl", "csv", "parquet"] = "jsonl",
        session: str | None = None,
    ) -> FileResponse:
        """Return a part of a session as a file; what cannot be is answered before any of it is sent."""
        names = None if types is None else tuple(name.strip() for name in types.split(",") if name.strip())
        folder = tempfile.TemporaryDirectory(prefix="wsrec-")

        def write() -> Path:
            shown = self._scene.session(session)
            out = Path(folder.name) / f"{shown.store.identity().id}.{format}"
            part = ExportOptions(
                out=out,
                format=format,
                start=None if from_ns is None else f"{from_ns}ns",
                end=None if to_ns is None else f"{to_ns}ns",
                types=names or None,
                where=Foreign(where) if where else None,
            )
            export_session(shown, part)
            return out

        try:
            path = await self._slow_workers.do(write)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path, media_type=_MEDIA_TYPES[format], filename=path.name, background=BackgroundTask(folder.cleanup)
        )


def _in_short(session: Session) -> dict[str, Any] | None:
    try:
        manifest, state = session.store.manifest(), session.state
    except SessionError:
        return None
    return {
        "id": manifest.identity.id,
        "name": manifest.identity.name,
        "url": manifest.identity.feed,
        "state": state,
        "sealed": manifest.sealed,
        "messages": manifest.messages,
        "started_at": from_epoch_ns(manifest.identity.started_ns).isoformat(),
        "offset_ns": 0,
        "length_ns": manifest.last_elapsed_ns,
    }


def _plain(note: Note) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(note)
    return {
        "elapsed_ns": fields["elapsed_ns"],
        "at": from_epoch_ns(note.received_ns).isoformat(),
        "text": note.text,
        "made_at": from_epoch_ns(note.made_at_ns).isoformat(),
    }
