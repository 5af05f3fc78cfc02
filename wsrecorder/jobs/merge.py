"""Several sessions as one: by time, or, of the same feed, each filling the gaps of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from wsrecorder.analysis.session import Session
from wsrecorder.core.recorder_clocks import ClockOffset
from wsrecorder.errors import UsageError
from wsrecorder.jobs.new_session import Made, Target, make_session
from wsrecorder.jobs.progress import OnProgress, Progress, unwatched
from wsrecorder.jobs.same_feed import Recordings, Shares
from wsrecorder.store.manifest import Identity, Manifest, Origin
from wsrecorder.store.merge import Source, merge_batches
from wsrecorder.store.moving import moved, numbered, with_conns
from wsrecorder.store.place import label
from wsrecorder.store.schema import conform
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["MergeOptions", "Merged", "merge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """How to merge.

    Attributes:
        target: Where the new session goes.
        same_feed: Whether all are recordings of one feed: what several saw is kept once.
    """

    target: Target
    same_feed: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge made.

    Attributes:
        made: The new session.
        sources: What each session held.
        shares: Who contributed what; None where all was kept.
        offsets: How the clock of each is off the first one's; 0 where that was not looked at.
    """

    made: Made
    sources: tuple[Manifest, ...]
    shares: Shares | None
    offsets: tuple[ClockOffset, ...]

    @property
    def doubtful(self) -> int:
        """Messages that could not be placed with certainty."""
        return 0 if self.shares is None else self.shares.filled.doubtful


def merge(sessions: Sequence[Session], options: MergeOptions, on_progress: OnProgress = unwatched) -> Merged:
    """Make one session of several; if that fails, nothing is left of it.

    Times and types are those of the recorders. Of sessions that are being recorded it is what is there now.

    Raises:
        UsageError: There is nothing to merge, a session is named twice, or their dialects differ.
        SessionError: A session cannot be read.
        StorageError: The disk refuses.
    """
    stores = [session.store for session in sessions]
    sources = tuple(store.manifest() for store in stores)
    _check(stores, sources)
    merging = (_same_feed if options.same_feed else _by_time)(stores, sources, on_progress)
    made = make_session(options.target, merging.identity(sources, options.same_feed), merging.batches)
    return Merged(made, sources, merging.shares, merging.offsets)


def _check(stores: Sequence[Store], sources: Sequence[Manifest]) -> None:
    if len(stores) < 2:
        raise UsageError(
            f"a merge takes two sessions or more, found {len(stores)}", hint="name all that belong together"
        )
    for place, (store, source) in enumerate(zip(stores, sources, strict=True)):
        for other, before in zip(stores[:place], sources, strict=False):
            if store.path.resolve() == other.path.resolve() or source.identity == before.identity:
                raise UsageError(f"{other.path} and {store.path} are the same recording", hint="name each session once")
        dialect, first = source.identity.dialect, sources[0].identity.dialect
        if msgspec.structs.replace(dialect, name=first.name) != first:
            raise UsageError(
                f"{label(stores[0].path)} and {label(store.path)} are of different dialects: type at {first.type_path}"
                f" and {dialect.type_path}, time at {first.ts_path} ({first.ts_unit}) and {dialect.ts_path}"
                f" ({dialect.ts_unit})",
                hint='one session has one dialect; "wsrec replay A B" plays several beside each other',
            )
    if not any(source.messages for source in sources):
        raise UsageError("none of the sessions holds a message", hint='"wsrec ls" tells what each holds')


@dataclass(frozen=True, slots=True)
class _Merging:
    """A merge to be written.

    Attributes:
        batches: Its events.
        began_ns: When it begins, UTC ns.
        offsets: How the clock of each session is off the first one's.
        shares: Is filled while the batches are read; None where all is kept.
    """

    batches: Iterable[Any]
    began_ns: int
    offsets: tuple[ClockOffset, ...]
    shares: Shares | None = None

    def identity(self, sources: Sequence[Manifest], same_feed: bool) -> Identity:
        first = sources[0].identity
        origins = tuple(
            Origin(
                verb="merge",
                session=source.identity.id,
                started_ns=source.identity.started_ns,
                shift_ns=source.identity.started_ns - offset.ahead_ns - self.began_ns,
                clock_ns=offset.ahead_ns,
            )
            for source, offset in zip(sources, self.offsets, strict=True)
        )
        feeds = dict.fromkeys(source.identity.feed for source in sources)
        hosts = dict.fromkeys(source.identity.host for source in sources)
        return msgspec.structs.replace(
            first,
            name=f"{first.name}-merged",
            feed=first.feed if same_feed else ", ".join(filter(None, feeds)),
            host=", ".join(filter(None, hosts)),
            started_ns=self.began_ns,
            derived_from=origins,
        )


def _by_time(stores: Sequence[Store], sources: Sequence[Manifest], on_progress: OnProgress) -> _Merging:
    began_ns = min(source.identity.started_ns for source in sources)
    events, free = sum(source.events for source in sources), count()

    def rows(store: Store, shift_ns: int) -> Iterator[Any]:
        known: dict[int, int] = {}
        for batch in store.batches(Selection()):
            yield with_conns(moved(batch, shift_ns), known, free)

    def batches() -> Iterator[Any]:
        next_seq = 0
        shifts = [source.identity.started_ns - began_ns for source in sources]
        for batch in merge_batches(
            Source(rows(store, shift_ns), 0) for store, shift_ns in zip(stores, shifts, strict=True)
        ):
            yield numbered(conform(batch), next_seq)
            next_seq += len(batch)
            on_progress(Progress(next_seq, min(1.0, next_seq / max(1, events))))

    return _Merging(batches(), began_ns, tuple(ClockOffset() for _ in stores))


def _same_feed(stores: Sequence[Store], sources: Sequence[Manifest], on_progress: OnProgress) -> _Merging:
    # Everything is read twice.
    events = 2 * sum(source.events for source in sources)
    recordings = Recordings(
        stores,
        sources[0].identity.dialect.heartbeat_type,
        lambda done: on_progress(Progress(done, min(1.0, done / max(1, events)))),
    )
    return _Merging(recordings.batches(), recordings.began_ns, tuple(recordings.offsets), recordings.shares)
