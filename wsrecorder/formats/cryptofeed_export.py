"""Sessions as raw captures of cryptofeed, which `wsrecorder.formats.cryptofeed` describes and reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Direction, Kind
from wsrecorder.formats.seconds import all_seconds, seconds
from wsrecorder.formats.session_metadata import feed_of

__all__ = ["write_cryptofeed"]


def write_cryptofeed(batches: Iterable[pa.RecordBatch], out: BinaryIO, schema: pa.Schema) -> list[str]:
    """Write record batches of a session's columns as a capture.

    Args:
        batches: Of ``schema``.
        out: Stays open; need not be seekable.
        schema: Its metadata names the session's feed.

    Returns:
        What the file does not hold.
    """
    writer = _Writer(out, feed_of(schema))
    for batch in batches:
        writer.add(batch)
    return writer.notes()


class _Writer:
    def __init__(self, out: BinaryIO, feed: str) -> None:
        self._out = out
        self._url = _word(feed or "ws://unknown/")
        self._conn: int | None = None
        self._marks: dict[str, int] = {}
        self._literal = 0
        self._elsewhere = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Write a batch, line by line."""
        is_mark = pc.not_equal(batch.column("kind").dictionary_decode(), str(Kind.MESSAGE))
        places = pc.indices_nonzero(is_mark).to_pylist()
        for place, following in pairwise([-1, *places, len(batch)]):
            if place >= 0:
                self._mark(batch.slice(place, 1).to_pylist()[0])
            if following > place + 1:
                self._frames(batch.slice(place + 1, following - place - 1))

    def notes(self) -> list[str]:
        """Return what was left out or written as something else."""
        notes = [f"{count:,} events {kind} were left out" for kind, count in self._marks.items()]
        if self._literal:
            notes.append(f"{self._literal:,} text frames that a line cannot hold were written as binary ones")
        if self._elsewhere:
            notes.append(
                f"{self._elsewhere:,} frames are not of the connection that was opened last: a capture cannot tell"
            )
        return notes

    def _mark(self, row: dict[str, object]) -> None:
        if row["kind"] != Kind.OPEN:
            kind = str(row["kind"])
            self._marks[kind] = self._marks.get(kind, 0) + 1
            return
        detail = json.loads(str(row["detail"])) if row["detail"] else {}
        self._url = _word(str(detail.get("url") or self._url))
        self._conn = int(str(row["conn"]))
        self._out.write(f"{self._url} <-> {seconds(int(str(row['received_ns'])))}\n".encode())

    def _frames(self, rows: pa.RecordBatch) -> None:
        heads = all_seconds(rows.column("received_ns"))
        is_out = pc.equal(rows.column("direction").dictionary_decode(), str(Direction.OUT))
        if pc.any(is_out).as_py():
            heads = pc.if_else(is_out, pc.binary_join_element_wise(self._url, heads, " <- "), heads)
        conn = rows.column("conn")
        if self._conn is None:
            self._conn = conn[0].as_py()
        self._elsewhere += pc.sum(pc.not_equal(conn, self._conn)).as_py()
        lines = pc.binary_join_element_wise(heads, self._payloads(rows), ": ")
        self._out.write("\n".join([*lines.to_pylist(), ""]).encode())

    def _payloads(self, rows: pa.RecordBatch) -> pa.Array:
        text, binary, detail = (rows.column(name) for name in ("text", "binary", "detail"))
        # What would end the line, or be taken for a literal.
        is_odd = pc.fill_null(pc.match_substring_regex(text, r"\n|\r$|^b['\"]"), True)
        if not pc.any(is_odd).as_py():
            return text
        is_text = pc.or_(pc.is_valid(text), pc.is_valid(detail))
        self._literal += pc.sum(pc.and_(is_odd, is_text)).as_py()
        payloads = pc.coalesce(text.cast(pa.binary()), binary).filter(is_odd).to_pylist()
        return pc.replace_with_mask(text, is_odd, pa.array(map(repr, payloads), pa.string()))


def _word(url: str) -> str:
    return re.sub(r"\s", "%20", url)
