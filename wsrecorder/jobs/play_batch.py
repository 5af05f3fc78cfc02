"""Consecutive frames of what is played, with all that a playback asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsrecorder.core.dialect import Restamper
from wsrecorder.core.timeline import NO_TIME
from wsrecorder.net.framing import Frames, frame_columns, frame_each
from wsrecorder.store.columns import int64_view, times_us
from wsrecorder.store.schema import text_opcodes

__all__ = ["PlayBatch"]


class PlayBatch:
    """Consecutive frames with their times.

    Attributes:
        elapsed_ns: When each was received, session time, ns.
        seqs: The sequence number of each in its session.
        sent_us: When each says it was sent, or `NO_TIME`; empty if nobody asked.

    Args:
        rows: A record batch.
        wants_sent: Whether times of sending are needed.
        restamper: Rewrites time stamps as frames go out, or None.
    """

    def __init__(self, rows: Any, *, wants_sent: bool, restamper: Restamper | None) -> None:
        self.elapsed_ns = int64_view(rows.column("elapsed_ns"))
        self.seqs = int64_view(rows.column("seq"))
        self.sent_us: Sequence[int] = times_us(rows.column("sent_at"), NO_TIME) if wants_sent else ()
        self._sources = int64_view(rows.column("source")) if "source" in rows.schema.names else None
        self._rows = rows
        self._restamper = restamper
        self._is_text = text_opcodes(rows)
        self._frames = None if restamper else frame_columns(rows.column("text"), rows.column("binary"), self._is_text)

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes in memory."""
        return int(self._rows.nbytes)

    def source(self, row: int) -> int:
        """Return of which session a row is, by its number among those that are played."""
        return 0 if self._sources is None else int(self._sources[row])

    def types(self, start: int, stop: int) -> list[str | None]:
        """Return the types of the rows ``[start, stop)``."""
        found: list[str | None] = self._rows.column("type").slice(start, stop - start).to_pylist()
        return found

    def frames(self, start: int, stop: int, wall_ns: int) -> tuple[Frames, int, int]:
        """Return frames that hold the rows ``[start, stop)``, and where they stand in them.

        Args:
            start: First row.
            stop: First row after it.
            wall_ns: UTC at which they go out, for restamping.
        """
        if self._frames is not None:
            return self._frames, start, stop
        assert self._restamper is not None
        rows = self._rows.slice(start, stop - start)
        payloads = []
        columns = (rows.column(name).to_pylist() for name in ("received_ns", "text", "binary"))
        for received_ns, text, binary in zip(*columns, strict=True):
            payload = binary if text is None else text.encode()
            payloads.append(self._restamper.shift(payload, wall_ns - received_ns))
        is_text = self._is_text.slice(start, stop - start).to_pylist()
        return frame_each(payloads, is_text), 0, stop - start
