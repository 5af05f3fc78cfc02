"""Routes that list and show events."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from wsrecorder.analysis.condition import Foreign
from wsrecorder.analysis.listing import MOST_ROWS, Listing, Listings, Row
from wsrecorder.console.answers import Refusal, answer
from wsrecorder.console.scene import Scene
from wsrecorder.console.schemas import MOST_NS, EventFacts, EventPage
from wsrecorder.console.workers import Workers
from wsrecorder.core.event import Event, from_epoch_ns
from wsrecorder.errors import UsageError
from wsrecorder.store.schema import iter_events

__all__ = ["EventRoutes"]

_PATIENCE_S: Final = 0.2
"""How long a page waits for what a filter keeps, before it goes out with less."""

_Place = Annotated[int | None, Query(ge=0, le=MOST_NS)]
_Number = Annotated[int, Query(ge=0, le=MOST_NS)]


class EventRoutes:
    """Lists events by page, filtered or not, and shows one.

    Args:
        scene: Whose events.
        workers: Where they are read.
    """

    def __init__(self, scene: Scene, workers: Workers) -> None:
        self._scene = scene
        self._workers = workers
        self._listings = {session.path: Listings(session) for session in scene.sessions}
        self.router = APIRouter(tags=["events"])
        self.router.add_api_route("/api/events", self.page, responses={200: {"model": EventPage}})
        self.router.add_api_route("/api/events/{seq}", self.event, responses={200: {"model": EventFacts}})

    def close(self) -> None:
        """Look for nothing any more."""
        for listings in self._listings.values():
            listings.close()

    async def page(
        self,
        first: _Number = 0,
        rows: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 200,
        types: str | None = None,
        text: str | None = None,
        where: str | None = None,
        at_ns: _Place = None,
        at_seq: _Place = None,
        before: _Number = 0,
        session: str | None = None,
    ) -> Response:
        """Return rows from one on, or from that of a moment or an event; marks are rows like messages."""
        if at_ns is not None and at_seq is not None:
            raise UsageError("a page begins at one place, found at_ns and at_seq", hint="give one of them")
        names = None if types is None else [name.strip() for name in types.split(",") if name.strip()]

        def read() -> dict[str, Any]:
            shown = self._scene.session(session)
            listing = self._listings[shown.path].listing(names or None, text or None, Foreign(where) if where else None)
            if not listing.complete and listing.count < first + rows:
                listing.wait(_PATIENCE_S)
            found = first
            if at_ns is not None:
                found = max(0, listing.row_at_time(at_ns) - before)
            elif at_seq is not None:
                found = max(0, listing.row_at(at_seq) - before)
            return _page(listing, found, rows)

        return answer(await self._workers.do(read))

    async def event(self, seq: int, session: str | None = None) -> Response:
        """Return one event with its payload: text as it was recorded, binary in base64."""

        def read() -> Event | None:
            batches = self._scene.session(session).batches(from_seq=seq) if 0 <= seq <= MOST_NS else iter(())
            return next((event for batch in batches for event in iter_events(batch.slice(0, 1))), None)

        found = await self._workers.do(read)
        if found is None or found.seq != seq:
            raise Refusal(404, f"there is no event {seq}", hint="events are numbered from 0 in their order of arrival")
        return answer(_facts(found))


def _page(listing: Listing, first: int, rows: int) -> dict[str, Any]:
    complete = listing.complete  # before counting: what is found meanwhile is then there as well
    found = listing.page(first, rows)
    return {"total": listing.count, "first": first, "complete": complete, "rows": [_row(row) for row in found]}


def _row(row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(row)
    fields["received_at"] = from_epoch_ns(fields.pop("received_ns")).isoformat()
    return fields


def _facts(event: Event) -> dict[str, Any]:
    facts = {
        "seq": event.seq,
        "type": event.type,
        "kind": event.kind,
        "direction": event.direction,
        "conn": event.conn,
        "elapsed_ns": event.elapsed_ns,
        "received_at": event.received_at.isoformat(),
        "received_ns": str(event.received_ns),  # more than a number in JavaScript holds
        "sent_at": None if event.sent_at is None else event.sent_at.isoformat(),
        "size": len(event.payload or b""),
        "text": event.text,
        "detail": event.detail,
    }
    if event.binary is not None:
        facts["binary_base64"] = base64.b64encode(event.binary).decode()
    return facts
