"""Telling the clients of one playback how things stand, before the stream goes on for them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from wsrecorder.clock import Clock
from wsrecorder.core.timeline import Placement
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.priming import Place, Primer, place_after, place_before
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint

__all__ = ["Usher"]


class Usher:
    """Primes clients: all of them where a pass begins, one that joins late where the stream has come to.

    Attributes:
        primed: Frames sent so; they are not among those played.

    Args:
        primer: Finds what clients are to be told first; None tells them nothing.
        endpoint: Where to.
        clock: Where the time comes from.
        to: The clients it tells; None tells all.
        types: Only messages of these types; None is all.
    """

    def __init__(
        self,
        primer: Primer | None,
        endpoint: Endpoint,
        clock: Clock,
        to: Sequence[Client] | None,
        types: frozenset[str] | None,
    ) -> None:
        self.primed = 0
        self._primer = primer
        self._endpoint = endpoint
        self._clock = clock
        self._to = to
        self._types = types
        self._from_ns = 0
        self._place: Place | None = None  # where the next row stands; while a pass has not been primed, nowhere

    @property
    def is_expecting(self) -> bool:
        """Whether a pass has begun that was not primed yet."""
        return self._place is None

    def begin_pass(self, from_ns: int) -> None:
        """A pass begins at a session time."""
        self._from_ns, self._place = from_ns, None

    async def prime(self, batch: PlayBatch | None, placement: Placement, is_given_up: Callable[[], bool]) -> None:
        """Tell all clients how things stand where a pass begins, before its first row.

        Args:
            batch: The first rows; None where there are none.
            placement: Which of them are played.
            is_given_up: Tells whether a control has meanwhile led elsewhere; that is primed in turn.
        """
        is_empty = batch is None or placement.start == placement.stop
        place = Place(self._from_ns) if batch is None or is_empty else place_before(batch, placement.start)
        if self._primer is not None:
            found = await self._primer.find(place, self._types)
            if is_given_up():
                return
            for primed in found:
                frames, first, after = primed.frames(0, len(primed.elapsed_ns), self._clock.wall_ns())
                self._endpoint.prime(frames, first, after, self._to)
                self.primed += after - first
        self._place = place

    def note_sent(self, batch: PlayBatch, row: int) -> None:
        """The rows up to this one are about to go out: who joins from now on gets what comes after."""
        self._place = place_after(batch, row)

    def welcome(self, client: Client) -> Coroutine[Any, Any, None] | None:
        """Keep the stream back from a client that has just come, until it knows how things stand.

        Returns:
            What tells it and then lets the stream through, to be run; None where nothing has to be told, or
            a pass is about to begin, which tells all clients.
        """
        if self._primer is None or self._place is None:
            return None
        client.hold()
        return self._prime_one(self._primer, client, self._place)

    async def _prime_one(self, primer: Primer, client: Client, place: Place) -> None:
        wires: list[tuple[bytes | memoryview, int]] = []
        try:
            for primed in await primer.find(place, self._types):
                frames, first, after = primed.frames(0, len(primed.elapsed_ns), self._clock.wall_ns())
                wires.append((frames.wire(first, after, client.window_bits), after - first))
                self.primed += after - first
        finally:
            client.release(wires)
