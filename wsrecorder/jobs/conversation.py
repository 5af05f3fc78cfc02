"""The recorded dialogue of a session: its turns, and what is played of each.

A session that is not large is held, so that a turn of it is a slice; of a larger one each is read when it is played.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from wsrecorder.core.dialogue import Turn, turns_of
from wsrecorder.core.event import Direction, Kind, Opcode
from wsrecorder.core.saying import Said
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.programme import Programme
from wsrecorder.store.place import label
from wsrecorder.store.schema import RecordBatch, text_opcodes
from wsrecorder.store.selection import Selection

if TYPE_CHECKING:
    from wsrecorder.analysis.where import Where

__all__ = ["Conversation", "said_in"]

_HELD_BYTES: Final = 256 << 20
_COLUMNS: Final = ("seq", "elapsed_ns", "received_ns", "type", "text", "binary", "detail")


def said_in(rows: RecordBatch) -> Iterator[tuple[int, int, int, Said]]:
    """Yield connection, sequence number, time in ns and content of each row; a mark says nothing.

    Args:
        rows: With the columns conn, seq, elapsed_ns, type, text, binary and detail.
    """
    columns = [rows.column(name).to_pylist() for name in ("conn", "seq", "elapsed_ns", "type", "text", "binary")]
    for (conn, seq, elapsed_ns, type_, text, binary), is_text in zip(
        zip(*columns, strict=True), text_opcodes(rows).to_pylist(), strict=True
    ):
        payload = binary or b"" if text is None else text.encode()
        yield conn, seq, elapsed_ns, Said(payload, Opcode.TEXT if is_text else Opcode.BINARY, type_, seq)


class Conversation:
    """The dialogue of one session, as far as a programme plays it.

    Attributes:
        turns: Turns of each connection on which a client said something, in order; known after `read`.

    Args:
        programme: Of the session.
        types: Only answers of these types; None is all.
        held_bytes: Up to which size a session is held.

    Raises:
        UsageError: They are several sessions.
    """

    def __init__(self, programme: Programme, types: frozenset[str] | None, *, held_bytes: int = _HELD_BYTES) -> None:
        parts = programme.parts()
        if len(parts) != 1:
            raise UsageError(
                f"a dialogue is that of one session, {len(parts)} were named", hint="replay them one at a time"
            )
        self.turns: dict[int, list[Turn]] = {}
        self._programme = programme
        self._part = parts[0]
        self._types = types
        self._is_small = self._part.store.manifest().size_bytes <= held_bytes
        self._held: list[RecordBatch] = []
        self._first_seqs: list[int] = []

    @property
    def is_held(self) -> bool:
        """Whether `answers` need not read anything."""
        return bool(self._held)

    def read(self) -> None:
        """Learn what clients said; blocks.

        Raises:
            SessionError: The session cannot be read.
        """
        if self._is_small:
            self._held = list(self._part.store.batches(Selection()))
            self._first_seqs = [batch.column("seq")[0].as_py() for batch in self._held]
        programme = self._programme
        selection = Selection(
            columns=("conn", *_COLUMNS),
            start_ns=programme.start_ns if programme.start_ns > 0 else None,
            end_ns=programme.stop_ns,
            exclude=self._part.exclude,
            kinds=frozenset({Kind.MESSAGE}),
            direction=Direction.OUT,
        )
        heads: dict[int, list[tuple[int, int, Said]]] = {}
        for rows in self._rows(selection):
            for conn, seq, elapsed_ns, said in said_in(rows):
                heads.setdefault(conn, []).append((seq, elapsed_ns, said))
        self.turns = {conn: turns_of(heads[conn], conn=conn, start_ns=programme.start_ns) for conn in sorted(heads)}

    def turns_on(self, conn: int | None) -> list[Turn]:
        """Return the turns of a connection, None being the first on which a client said something.

        Raises:
            SessionError: There is no such connection, or none at all.
        """
        name = label(self._part.store.path)
        if not self.turns:
            raise SessionError(
                f"{name} holds nothing that a client said (direction out), so there is no dialogue to replay",
                hint='"wsrec tap" records both directions; "--two-way timed" replays what the server sent',
            )
        if conn is None:
            return next(iter(self.turns.values()))
        if conn not in self.turns:
            raise SessionError(
                f"a client said nothing on connection {conn} of {name}",
                hint=f"it did on connection {', '.join(map(str, self.turns))}",
            )
        return self.turns[conn]

    def turns_since(self, conn: int, start_ns: int, *, heads: bool) -> list[Turn]:
        """Return the turns of a connection, also where a client said nothing on it.

        Args:
            conn: Which.
            start_ns: When it was opened, session time, ns.
            heads: Whether what the client said counts; else it is all one turn.
        """
        turns = self.turns.get(conn, []) if heads else []
        first, *later = turns or turns_of((), conn=conn)
        return [replace(first, start_ns=max(start_ns, self._programme.start_ns)), *later]

    def all_turns(self, conn: int | None) -> list[Turn]:
        """Return what a client may ask for in any order: one connection's turns, or all, but one without a head.

        Raises:
            SessionError: There is no such connection, or none at all.
        """
        turns = self.turns_on(conn)
        others = [] if conn is not None else [each for each in self.turns.values() if each is not turns]
        return [*turns, *(turn for each in others for turn in each if turn.head is not None)]

    def answers(self, turn: Turn, where: Where | None = None) -> Iterator[PlayBatch]:
        """Yield what is played of a turn; blocks where the session is not held.

        Args:
            turn: Which.
            where: Only of this; None is all.

        Raises:
            SessionError: The session cannot be read any further.
        """
        programme, name = self._programme, self._part.store.manifest().identity.id
        conditions = [each for each in (programme.where, where) if each is not None]
        columns: tuple[str, ...] = _COLUMNS
        for condition in conditions:
            columns = condition.columns_read(columns)
        selection = Selection(
            columns=columns,
            from_seq=turn.first_seq,
            to_seq=turn.stop_seq,
            start_ns=turn.start_ns if turn.start_ns > 0 else None,
            end_ns=programme.stop_ns,
            types=self._types,
            exclude=self._part.exclude,
            kinds=frozenset({Kind.MESSAGE}),
            direction=Direction.IN,
            conn=turn.conn,
        )
        found: Iterable[RecordBatch | None] = self._rows(selection)
        for condition in conditions:
            found = condition.apply(found, columns, name)
        for rows in found:
            if rows is not None:
                yield from programme.joined([[rows]])

    def _rows(self, selection: Selection) -> Iterator[RecordBatch]:
        if not self._held:
            yield from self._part.store.batches(selection)
            return
        first = max(0, bisect_left(self._first_seqs, selection.from_seq + 1) - 1)
        for place in range(first, len(self._held)):
            batch, first_seq = self._held[place], self._first_seqs[place]
            if selection.to_seq is not None and first_seq >= selection.to_seq:
                return
            start = max(0, selection.from_seq - first_seq)
            stop = len(batch) if selection.to_seq is None else min(len(batch), selection.to_seq - first_seq)
            rows = selection.apply(batch.slice(start, max(0, stop - start)))
            if len(rows):
                yield rows
