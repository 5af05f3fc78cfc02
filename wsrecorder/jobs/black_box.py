"""A black box: a sink that keeps only the newest events, and writes sessions of them when it is asked to.

Everything but the writing of snapshots happens on the thread of its recording; a snapshot is written on another, from
journals that nobody changes any more, while recording goes on. A snapshot that cannot be written ends nothing.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from wsrecorder.core.black_box import BlackBox, BoxLimits, Cause, RingFill, Trigger, Window
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.core.moment import format_duration
from wsrecorder.errors import StorageError, WsrecError
from wsrecorder.jobs.new_session import Made, Target
from wsrecorder.jobs.snapshot import write_snapshot
from wsrecorder.store.manifest import Health, Identity, Manifest, Tally
from wsrecorder.store.place import local
from wsrecorder.store.recording import Recording
from wsrecorder.store.ring import RingFiles
from wsrecorder.store.schema import RecordBatch

if TYPE_CHECKING:  # DuckDB: a tenth of a second that only its users should pay
    from wsrecorder.analysis.trigger import TriggerCondition

__all__ = ["BlackBoxSink", "black_box_of", "tell_time"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_TOLD_AGAIN: Final = 5
"""How many triggers after the first are a line in the log each; how many there were stands in that of the snapshot."""


class BlackBoxSink:
    """Keeps the newest events of a recording.

    Attributes:
        tally: Counts all that came, kept or not.
        manifest: Of the recording as a whole; it is never written.
        fill: How much of the ring there is.
        is_pending: Whether a snapshot waits for its end.
        snapshots: Those that were written.
        failed: What kept others from being written.

    Args:
        target: Where snapshots go.
        identity: What is recorded.
        limits: What is kept.
        condition: Asks for a snapshot whenever it holds of an event; None never does.
        sync: Whether each batch is synced to the disk.

    Raises:
        StorageError: The disk refuses.
    """

    def __init__(
        self, target: Target, identity: Identity, limits: BoxLimits, condition: TriggerCondition | None = None,
        *, sync: bool = True,
    ) -> None:  # fmt: skip
        self.tally = Tally()
        self.manifest = Manifest(identity=identity)
        self.fill = RingFill()
        self.is_pending = False
        self.snapshots: list[Made] = []
        self.failed: list[WsrecError] = []
        self._target = target
        self._condition = condition
        self._box = BlackBox(limits)
        self._files = RingFiles(local(target.library, "a black box"), identity, sync=sync)
        self._threads = ThreadPoolExecutor(1, "wsrec-snapshot")
        self._writing: Future[None] | None = None
        self._last: Made | None = None
        self._has_complained = False
        self._again = 0

    @property
    def path(self) -> Path:
        """The folder of the ring."""
        return self._files.path

    @property
    def on_disk(self) -> Path:
        """The same."""
        return self._files.path

    @property
    def trouble(self) -> StorageError | None:
        """None: nothing is sealed here, and snapshots that fail are in ``failed``."""
        return None

    @property
    def size_bytes(self) -> int:
        """Bytes of the ring on disk."""
        return self.fill.size_bytes

    def append(self, batch: RecordBatch) -> None:
        """Keep a batch; it is safe when the call returns.

        Raises:
            StorageError: The disk refuses; what is kept already is safe, nothing of this batch is, and it may be
                appended again.
        """
        elapsed_ns = batch.column("elapsed_ns")
        last_ns = elapsed_ns[-1].as_py()
        try:
            size_bytes = self._files.append(self._box.open_number, batch)
        except StorageError:
            self._box.rotated()  # what comes next goes into another journal
            raise
        self.tally.add(batch)
        if self._box.grew(elapsed_ns[0].as_py(), last_ns, size_bytes):
            self._rotate()
        if self._condition is not None:
            for moment_ns in self._moments(self._condition, batch):
                self.trigger(Trigger(Cause.CONDITION, moment_ns, self._condition.expression))
        # More may come of the newest event's very moment.
        self.reach(last_ns - 1)

    def trigger(self, trigger: Trigger) -> None:
        """Ask for a snapshot."""
        self._again = 0 if self._box.trigger(trigger) else self._again + 1
        if self._again <= _TOLD_AGAIN:
            _LOG.warning(
                "%s: triggered %sby %s; the snapshot ends in %s", self.manifest.identity.feed,
                "again " if self._again else "", _words(trigger), format_duration(self._box.limits.post_ns),
                extra={"feed": self.manifest.identity.feed, "cause": str(trigger.cause)},
            )  # fmt: skip
        self.is_pending = self._box.is_pending

    def reach(self, reached_ns: int) -> None:
        """Let time pass: write what is complete, remove what is not wanted any more.

        Args:
            reached_ns: Every event that came until then was appended, ns since the recording began.
        """
        self._settle()
        self._begin(self._box.reach(reached_ns))
        if self._box.must_wait:
            # Triggers that do not cease, and a disk that is slower than the feed: so must the feed be.
            self._settle(is_patient=True)
            self._begin(self._box.reach(reached_ns))
        self._files.remove(self._box.evict())
        self.fill = self._box.fill
        self.is_pending = self._box.is_pending

    def close(self, health: Health) -> Manifest:
        """Write the snapshot that is due or cut short, if there is one; then the ring goes.

        Raises:
            StorageError: The disk refuses; the ring stays, for ``wsrec recover``.
        """
        try:
            self._settle(is_patient=True)
            self._begin(self._box.end())
            self._settle(is_patient=True)
            self._rotate()
            if not self.failed:
                self._files.destroy()
            self.manifest.count(self.tally)
            self.manifest.health = health
        finally:
            self.abandon()
        if self.failed:
            raise StorageError(
                f"{len(self.failed)} of {len(self.failed) + len(self.snapshots)} snapshots could not be written: "
                f"{self.failed[-1].message}",
                hint=f'what the ring still held is in {self.path}; "wsrec recover --all" makes it a session',
            )
        return self.manifest

    def abandon(self) -> None:
        """Let go after an error; the ring stays, for ``wsrec recover``."""
        self._threads.shutdown()
        self._files.let_go()

    def _moments(self, condition: TriggerCondition, batch: RecordBatch) -> list[int]:
        """Return when the condition holds; a batch on which DuckDB itself fails was kept and must not end anything."""
        try:
            return condition.moments(batch, self.manifest.identity.id)
        except Exception:
            if not self._has_complained:
                _LOG.exception("%s: --trigger cannot be looked at; recording goes on", self.manifest.identity.feed)
            self._has_complained = True
            return []

    def _begin(self, window: Window | None) -> None:
        """Have a window written, on the thread for that."""
        if window is None:
            return
        self._rotate()
        journals = self._files.paths(window.numbers)
        self._writing = self._threads.submit(self._write, window, journals)

    def _write(self, window: Window, journals: list[Path]) -> None:
        identity, feed = self.manifest.identity, self.manifest.identity.feed
        continues = self._last.manifest.identity.id if window.part > 1 and self._last is not None else msgspec.UNSET
        try:
            try:
                made = write_snapshot(self._target, identity, self._box.limits, window, journals, continues)
            except StorageError:  # another process took the name, or the disk had a bad moment: once more
                made = write_snapshot(self._target, identity, self._box.limits, window, journals, continues)
        except Exception as exc:  # whatever it is: recording goes on, and the end says so
            error = exc if isinstance(exc, WsrecError) else StorageError(repr(exc), hint="this is a mistake of wsrec")
            self.failed.append(error)
            _LOG.error("%s: no snapshot: %s", feed, error.message, extra={"feed": feed})
            return
        if made is None:
            _LOG.warning("%s: no snapshot: no event came in its time", feed, extra={"feed": feed})
            return
        self._last = made
        self.snapshots.append(made)
        end_ns = made.manifest.identity.started_ns + made.manifest.last_elapsed_ns
        _LOG.info(
            "%s: snapshot of %d events until %s%s in %s", feed, made.manifest.events,
            from_epoch_ns(end_ns).isoformat(timespec="seconds"),
            f" for {window.triggers} triggers" if window.triggers > 1 else "", made.path,
            extra={"feed": feed, "session": made.manifest.identity.id},
        )  # fmt: skip

    def _settle(self, *, is_patient: bool = False) -> None:
        """Take note of a window that was written; with patience, wait for it."""
        if self._writing is None:
            return
        if is_patient:
            wait([self._writing])
        if self._writing.done():
            self._writing = None
            self._box.written()

    def _rotate(self) -> None:
        self._files.rotate()
        self._box.rotated()


def black_box_of(recording: Recording) -> BlackBoxSink | None:
    """Return the black box that a recording goes into, if it does."""
    return recording.sink if isinstance(recording.sink, BlackBoxSink) else None


def tell_time(recording: Recording, reached_ns: int) -> None:
    """Let a snapshot end although nothing comes; of use to black boxes alone.

    Args:
        recording: Into a black box, or not.
        reached_ns: Every event that came until then was handed over, ns since the recording began.
    """
    if isinstance(recording.sink, BlackBoxSink) and recording.sink.is_pending:
        recording.run_soon(partial(recording.sink.reach, reached_ns))


def _words(trigger: Trigger) -> str:
    match trigger.cause:
        case Cause.CONDITION:
            return trigger.reason
        case Cause.HTTP:
            return f"a request{f': {trigger.reason}' if trigger.reason else ''}"
        case _:
            return trigger.reason or str(trigger.cause)
