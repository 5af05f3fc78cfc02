"""Seals journals one after the other, on a thread of its own.

A disk that refuses is asked again, at most every `_AGAIN_NS` of the session and once more at the end. Whatever
else goes wrong stops the sealer for good: journals are left where they are, and `Sealer.check` raises it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from wsrecorder.errors import OwnMistake, SegmentDamaged, StorageError, WsrecError
from wsrecorder.store import disk
from wsrecorder.store.journal import JournalReader
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.segment_writer import write_segment
from wsrecorder.store.session import SEGMENT_SUFFIX

__all__ = ["Sealer", "Sealing", "seal_journal"]

_MOST_UNSEALED: Final = 64
"""Journals that may wait for the sealer; a recording that outruns it by more waits for the disk."""

_AGAIN_NS: Final = 1_000_000_000
"""Time of the session after which a disk that refused a seal is asked again."""


@dataclass(slots=True)
class Sealing:
    """A journal to be sealed.

    Attributes:
        path: The closed journal.
        rows: Events in it.
        journal_bytes: Its size.
        counted: The session's counts up to its end.
        info: Its segment, once it is made.
    """

    path: Path
    rows: int
    journal_bytes: int
    counted: Manifest
    info: SegmentInfo | None = None


class Sealer:
    """Seals what it is given, in order.

    Attributes:
        segment_bytes: Bytes of the segments made.
        refusal: What the disk says when it will not let the next one be sealed; None while it does.

    Args:
        path: The session's folder.
        manifest: Told of each segment, and written with it.
        metadata: For the segments' footers.
        on_sealed: Told the manifest after each seal, on this thread; nobody changes it any more.
    """

    def __init__(
        self, path: Path, manifest: Manifest, metadata: dict[str, str],
        on_sealed: Callable[[Manifest], None] = lambda manifest: None,
    ) -> None:  # fmt: skip
        self._on_sealed = on_sealed
        self.segment_bytes = 0
        self.refusal: StorageError | None = None
        self._put_bytes = 0  # written by those who put alone, as the next one by the sealer alone
        self._sealed_bytes = 0
        self._path = path
        self._manifest = manifest
        self._metadata = metadata
        self._error: WsrecError | None = None
        self._refused_ns: int | None = None
        self._is_ending = False
        self._again = threading.Event()
        self._moved = threading.Event()
        self._waiting: queue.SimpleQueue[Sealing | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="wsrec-sealer", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the journals that wait."""
        return self._put_bytes - self._sealed_bytes

    def put(self, sealing: Sealing) -> None:
        """Have a journal sealed."""
        self._put_bytes += sealing.journal_bytes
        self._waiting.put(sealing)

    def check(self, now_ns: int) -> None:
        """Wait for room for one more, and have the disk asked again where it refused a while ago.

        Args:
            now_ns: Time of the session, ns.

        Raises:
            StorageError: The disk has refused for so long that no more journals can wait.
            WsrecError: Sealing has ended with this error.
        """
        if self.refusal is None:
            self._refused_ns = None
        elif self._refused_ns is None or now_ns - self._refused_ns >= _AGAIN_NS:
            if self._refused_ns is not None:
                self._again.set()
            self._refused_ns = now_ns
        while True:
            self._moved.clear()
            if self._error is not None:
                raise self._error
            if self._waiting.qsize() < _MOST_UNSEALED:
                return
            if self.refusal is not None:
                self._again.set()
                raise self.refusal
            self._moved.wait()

    def stop(self) -> None:
        """Wait until everything that waits is sealed, or was given up; nothing happens the second time."""
        self._is_ending = True
        self._again.set()
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def finish(self) -> None:
        """Wait as `stop` does.

        Raises:
            WsrecError: Not everything could be sealed.
        """
        self.stop()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (sealing := self._waiting.get()) is not None:
            while self._error is None and not self._try(sealing):
                self._moved.set()
                self._again.wait()
                self._again.clear()
            self._moved.set()

    def _try(self, sealing: Sealing) -> bool:
        """Seal a journal; return False when it is to be tried again."""
        is_last_try = self._is_ending
        try:
            self._seal(sealing)
            self.refusal = None
        except StorageError as exc:
            self.refusal = exc
            if not is_last_try:
                return False
            self._error = exc
        except WsrecError as exc:
            self._error = exc
        except Exception as exc:  # whatever it is, the recorder must hear of it instead of waiting for ever
            hint = 'the journal is intact; try "wsrec recover"'
            self._error = OwnMistake(f"sealing {sealing.path} was ended", exc, hint=hint)
        return True

    def _seal(self, sealing: Sealing) -> None:
        """Do what is left to do for a journal; each step may be done again where it or the next one failed."""
        counted, manifest = sealing.counted, self._manifest
        if sealing.info is None:
            sealing.info = seal_journal(sealing.path, self._metadata, rows=sealing.rows)
            for name in ("events", "messages", "size_bytes", "types", "connections", "gaps", "last_elapsed_ns"):
                setattr(manifest, name, getattr(counted, name))
            manifest.segments.append(sealing.info)
        manifest.write(self._path)
        disk.remove(sealing.path)
        self.segment_bytes += sealing.info.size_bytes
        self._sealed_bytes += sealing.journal_bytes
        self._on_sealed(msgspec.structs.replace(manifest, segments=[*manifest.segments]))


def seal_journal(path: Path, metadata: dict[str, str], *, rows: int) -> SegmentInfo:
    """Write the segment of a journal; the journal stays, to be removed when the manifest knows.

    Args:
        path: The journal.
        metadata: For the segment's footer.
        rows: How many events its whole batches must hold.

    Raises:
        StorageError: The disk refuses.
        SegmentDamaged: The journal does not give back that many, or the segment does not; there is none then.
    """
    try:
        reader = JournalReader(path)
    except FileNotFoundError:
        raise SegmentDamaged(f"{path} is gone before it was sealed", hint="restore it from a copy") from None
    with closing(reader) as journal:
        return write_segment(journal, path.with_suffix(SEGMENT_SUFFIX), metadata, rows=rows)
