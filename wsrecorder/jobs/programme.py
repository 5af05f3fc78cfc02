"""What is played: one or several sessions as one stream, filtered, and their window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from wsrecorder.core.dialect import Restamper
from wsrecorder.core.event import Direction, Kind
from wsrecorder.core.heartbeat import HeartbeatMaker
from wsrecorder.core.moment import Moment, resolve_window
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.store.manifest import OTHER_TYPES, Identity, Manifest
from wsrecorder.store.merge import Source, merge_batches
from wsrecorder.store.place import label
from wsrecorder.store.schema import RecordBatch
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

if TYPE_CHECKING:
    from wsrecorder.analysis.where import Where

__all__ = ["Part", "Programme"]


@dataclass(frozen=True, slots=True)
class Part:
    """A session of a programme.

    Attributes:
        store: Where it is kept.
        shift_ns: When it began, counted from the beginning of the earliest one, ns.
        exclude: Types that are not played.
        events: How many it held when it was opened.
    """

    store: Store
    shift_ns: int
    exclude: frozenset[str]
    events: int


class Programme:
    """One or several sessions as one stream, and the part of it that is played.

    Times are counted from the beginning of the earliest session.

    Attributes:
        start_ns: Where the window begins, session time, ns.
        stop_ns: Where it ends, not included; None is as far as the sessions go.
        end_ns: How far the sessions have come.
        path: Path of the feed's URL.
        subprotocol: The subprotocol that was recorded, or None.

    Args:
        stores: The sessions.
        options: How to replay.

    Raises:
        UsageError: The window lies outside of the sessions, or what was asked for cannot be, such as a wrong
            ``where``.
        SessionError: A session cannot be read, or none of them holds a message.
    """

    def __init__(self, stores: Sequence[Store], options: ReplayOptions) -> None:
        self._stores = stores
        self._options = options
        self._manifests = [store.manifest() for store in stores]
        _check_holds_messages(stores, self._manifests)
        self.check_types(options.types)
        identities = [manifest.identity for manifest in self._manifests]
        self._began_ns = min(identity.started_ns for identity in identities)
        self._ended_ns = max(manifest.identity.started_ns + manifest.last_elapsed_ns for manifest in self._manifests)
        self.end_ns = self._ended_ns - self._began_ns
        self.path = options.path or identities[0].path
        self.subprotocol = identities[0].subprotocol
        self.start_ns, self.stop_ns = self.window(options.start, options.end)
        self._restamper = _restamper_for(identities) if options.restamp else None
        self._where = _condition(options.where)

    def check_types(self, types: frozenset[str] | None) -> None:
        """Refuse types of which there is no message: nothing would ever be played.

        Raises:
            UsageError: No session holds a message of any of these types, and none of them still grows.
        """
        known = set[str]().union(*(manifest.types for manifest in self._manifests))
        grows = any(not manifest.sealed for manifest in self._manifests)
        if types is None or grows or OTHER_TYPES in known or not known.isdisjoint(types):
            return
        shown = ", ".join(sorted(known)[:20]) or "none: no message has a type"
        raise UsageError(f"there is no message of type {' or '.join(sorted(types))}", hint=f"types are {shown}")

    def window(self, start: Moment | None, end: Moment | None) -> tuple[int, int | None]:
        """Return where a window begins and ends, session time, ns.

        Raises:
            UsageError: It lies outside of the sessions.
        """
        return resolve_window(start, end, start_ns=self._began_ns, end_ns=self._ended_ns)

    def heartbeat(self) -> HeartbeatMaker | None:
        """Return what makes heartbeats of the endpoint's own; None where the feed has none."""
        if self._options.verbatim:
            return None
        for store, manifest in zip(self._stores, self._manifests, strict=True):
            beat = manifest.identity.dialect.heartbeat_type
            if beat is None or beat not in manifest.types or beat in self._options.exclude:
                continue
            for rows in store.batches(Selection(columns=("text",), types=frozenset({beat}))):
                for text in rows.column("text").to_pylist():
                    if text is not None:
                        return HeartbeatMaker(text.encode(), manifest.identity.dialect)
        return None

    @property
    def grows(self) -> bool:
        """Whether it is one session that was still being recorded when it was opened."""
        return len(self._manifests) == 1 and not self._manifests[0].sealed

    @property
    def follows(self) -> bool:
        """Whether it is a session of a stream to which more may come, so that its end is waited for."""
        return self.grows and bool(getattr(self._stores[0], "follows", False))

    def events(self) -> int | None:
        """Return how many events the session holds as of now; None where there are several."""
        if len(self._stores) > 1:
            return None
        return (self._stores[0].manifest() if self.grows else self._manifests[0]).events

    def ends_ns(self) -> int:
        """Return how far the sessions have come as of now, session time, ns."""
        now = (m if m.sealed else store.manifest() for store, m in zip(self._stores, self._manifests, strict=True))
        return max(manifest.identity.started_ns + manifest.last_elapsed_ns for manifest in now) - self._began_ns

    def batches(
        self, from_ns: int, stop_ns: int | None, types: frozenset[str] | None, skip: int = 0
    ) -> Iterator[PlayBatch | None]:
        """Yield the frames of a window in order, batch by batch.

        If it `grows` this never ends: None says that there are no more for now, and whoever asks again looks again.

        Args:
            from_ns: Where to begin, session time, ns.
            stop_ns: Where to end, not included; None is as far as the sessions go.
            types: Only messages of these types; None is all.
            skip: How many frames to leave out at first.
        """
        wants_sent = self._options.axis is Axis.SENT
        columns = ["seq", "elapsed_ns", "type", "text", "binary", "detail"]
        columns += ["received_ns"] * (self._restamper is not None) + ["sent_at"] * wants_sent
        for rows in self._stream(columns, from_ns, stop_ns, types):
            if rows is not None and skip:
                rows, skip = rows.slice(skip), max(0, skip - len(rows))
                if not len(rows):
                    continue
            yield None if rows is None else PlayBatch(rows, wants_sent=wants_sent, restamper=self._restamper)

    def rows(
        self, from_ns: int, stop_ns: int | None, types: frozenset[str] | None,
        *, from_seq: int = 0, mark: Where | None = None,
    ) -> Iterator[RecordBatch]:  # fmt: skip
        """Yield ``elapsed_ns`` and ``seq`` of what `batches` yields, as far as the sessions have come.

        Args:
            from_ns: Where to begin, session time, ns.
            stop_ns: Where to end, not included; None is as far as the sessions go.
            types: Only messages of these types; None is all.
            from_seq: First sequence number.
            mark: A condition; a column ``mark`` tells for which it is true.
        """
        columns = ["seq", "elapsed_ns"]
        return self._stream(columns, from_ns, stop_ns, types, from_seq=from_seq, mark=mark, follows=False)

    def _stream(
        self, columns: list[str], from_ns: int, stop_ns: int | None, types: frozenset[str] | None,
        *, from_seq: int = 0, mark: Where | None = None, follows: bool = True,
    ) -> Iterator[Any]:  # fmt: skip
        """Yield rows of all sessions by time; None says that there are no more for now, if one `grows`."""
        streams = []
        for store, manifest in zip(self._stores, self._manifests, strict=True):
            shift_ns = manifest.identity.started_ns - self._began_ns
            where, name = self._where, manifest.identity.id
            kept = columns if mark is None else mark.columns_read(columns)
            read = tuple(kept) if where is None else where.columns_read(kept)
            selection = self._selection(manifest, read, types, from_ns - shift_ns, stop_ns, shift_ns)
            selection = replace(selection, from_seq=from_seq)
            found = store.batches(selection) if manifest.sealed or not follows else _as_it_grows(store, selection)
            # Before they are merged: which row is of which session is not known afterwards.
            if where is not None:
                found = where.apply(found, kept, name)
            if mark is not None:
                found = mark.marked(found, columns, name)
            streams.append((found, shift_ns))
        stream = streams[0][0]
        if len(streams) > 1:
            # Of several, each goes as far as it has come when it is read to there.
            stream = merge_batches(
                Source(takewhile(_is_there, rows), shift_ns, number) for number, (rows, shift_ns) in enumerate(streams)
            )
        return stream

    def parts(self) -> list[Part]:
        """Return its sessions, each with what is played of it, whatever window and types."""
        return [
            Part(store, manifest.identity.started_ns - self._began_ns, self._excluded(manifest), manifest.events)
            for store, manifest in zip(self._stores, self._manifests, strict=True)
        ]

    @property
    def where(self) -> Where | None:
        """What is true of all that is played, or None."""
        return self._where

    def joined(self, picked: Sequence[Iterable[RecordBatch]]) -> list[PlayBatch]:
        """Return events of each session as frames, by time."""
        sources = [Source(rows, part.shift_ns) for rows, part in zip(picked, self.parts(), strict=True)]
        return [PlayBatch(rows, wants_sent=False, restamper=self._restamper) for rows in merge_batches(sources)]

    def _selection(
        self, manifest: Manifest, columns: tuple[str, ...], types: frozenset[str] | None,
        from_ns: int, stop_ns: int | None, shift_ns: int,
    ) -> Selection:  # fmt: skip
        return Selection(
            columns=columns,
            start_ns=from_ns if from_ns > 0 else None,
            end_ns=None if stop_ns is None else stop_ns - shift_ns,
            types=types,
            exclude=self._excluded(manifest),
            kinds=frozenset({Kind.MESSAGE}),
            direction=Direction.IN,
        )

    def _excluded(self, manifest: Manifest) -> frozenset[str]:
        beat = manifest.identity.dialect.heartbeat_type
        own_heartbeats = not self._options.verbatim and beat is not None and beat in manifest.types
        return self._options.exclude | {beat} if own_heartbeats and beat else self._options.exclude


def _check_holds_messages(stores: Sequence[Store], manifests: Sequence[Manifest]) -> None:
    if not stores:
        raise UsageError("no session was named", hint='name one or more, such as "latest"')
    if not any(manifest.messages for manifest in manifests):
        raise SessionError(
            f"there is nothing to replay: {' and '.join(label(store.path) for store in stores)} holds no message",
            hint='"wsrec info" tells what a session holds; of one that is being recorded, wait for the first message',
        )


def _condition(expression: str | None) -> Where | None:
    if expression is None:
        return None
    from wsrecorder.analysis.where import Where  # DuckDB: a tenth of a second that only its users should pay

    return Where(expression)


def _as_it_grows(store: Store, selection: Selection) -> Iterator[RecordBatch | None]:
    """Yield what a session that is being recorded holds, then what has come meanwhile; None when nothing has."""
    next_seq = selection.from_seq
    while True:
        from_seq = next_seq
        for rows in store.batches(replace(selection, from_seq=from_seq)):
            next_seq = rows.column("seq")[-1].as_py() + 1
            yield rows
        if next_seq == from_seq:
            yield None


def _is_there(rows: RecordBatch | None) -> bool:
    return rows is not None


def _restamper_for(identities: Sequence[Identity]) -> Restamper:
    """Return what rewrites the time stamps of all sessions; which row is of which is not known once they are merged."""
    dialects = [identity.dialect for identity in identities]
    where = {(dialect.ts_path, dialect.ts_unit) for dialect in dialects}
    if len(where) > 1:
        shown = " and ".join(f"{path} in {unit}" for path, unit in sorted(where))
        raise UsageError(
            f"cannot restamp sessions whose time stamps differ: {shown}",
            hint="replay them one at a time, or without --restamp",
        )
    return Restamper(dialects[0])
