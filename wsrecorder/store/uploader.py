"""Brings sealed segments of a session that is being recorded into object storage, on a thread of its own.

Whenever a segment is sealed it is handed the manifest as of then. It brings what that names and is not there yet,
publishes the manifest, and only then removes the segments from the disk: readers never see a manifest that names
what is not there, and nothing is in one place alone before it was looked at in the other. While the store is away it
tries again, after a second, then ever more seldom up to once a minute; segments wait on the disk.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wsrecorder.core.patience import LONGEST_WAIT_S, patience_s
from wsrecorder.errors import StorageError
from wsrecorder.store import disk
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.session import EVENTS_FOLDER
from wsrecorder.store.upload import ManifestThere, bring_segment

__all__ = ["Uploader", "Wait"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_SAID_EVERY_S: Final = 600.0

Wait = Callable[[threading.Event, float], bool]
"""Waits until an event is set, at most so many seconds; tells whether it was."""


class Uploader:
    """Brings a session into object storage while it is recorded.

    Args:
        folder: The session's folder in the spool.
        there: Its manifest in object storage.
        place: Where it belongs.
        patience_s: How long it goes on trying after the recording has ended.
        wait: How it waits until it tries again.
    """

    def __init__(
        self,
        folder: Path,
        there: ManifestThere,
        place: ObjectPath,
        *,
        patience_s: float = 60.0,
        wait: Wait = threading.Event.wait,
    ) -> None:
        self._folder = folder
        self._there = there
        self._place = place
        self._patience_s = patience_s
        self._wait = wait
        self._lock = threading.Lock()
        self._wanted: Manifest | None = None
        self._changed = threading.Event()
        self._ending = threading.Event()
        self._brought: set[str] = set()
        self._error: StorageError | None = None
        self._thread = threading.Thread(target=self._run, name="wsrec-uploader", daemon=True)
        self._thread.start()

    def put(self, manifest: Manifest) -> None:
        """Hand over a newer manifest, which nobody changes any more; returns at once."""
        with self._lock:
            self._wanted = manifest
        self._changed.set()

    def finish(self, manifest: Manifest | None = None) -> None:
        """Bring what is left, with the last manifest, and end.

        Args:
            manifest: The last one; None gives up at once what is not there yet.

        Raises:
            StorageError: The store was away for longer than there is patience; what is not there yet waits.
        """
        if manifest is not None:
            self.put(manifest)
        else:
            self._patience_s = 0.0
        self._ending.set()
        self._changed.set()
        self._thread.join()
        if self._error is not None and manifest is not None:
            raise StorageError(
                f"{self._place} is not whole yet: {self._error.message}",
                hint=f'nothing is lost; the next "wsrec record" brings the rest, or "wsrec recover {self._folder}"',
            ) from self._error

    def _run(self) -> None:
        failures, waited_s = 0, 0.0
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, None
                self._changed.clear()
            if wanted is None:
                if self._ending.is_set():
                    return
                self._changed.wait()
                continue
            try:
                self._bring(wanted)
            except StorageError as exc:
                failures += 1
                self._tell(exc, failures, waited_s)
                with self._lock:
                    if self._wanted is None:
                        self._wanted = wanted
                if self._ending.is_set() and waited_s >= self._patience_s:
                    self._error = exc
                    return
                waited_s = self._wait_a_while(failures, waited_s)
            else:
                if failures:
                    _LOG.info("%s is back: all that waited is there", self._place.root)
                failures, waited_s = 0, 0.0

    def _wait_a_while(self, failures: int, waited_s: float) -> float:
        """Wait before trying again; return how long was waited in all, from the end on if that comes meanwhile."""
        wait_s = patience_s(failures)
        if self._ending.is_set():
            wait_s = min(wait_s, 5.0)
            self._wait(threading.Event(), wait_s)
        elif self._wait(self._ending, wait_s):
            return 0.0
        return waited_s + wait_s

    def _tell(self, exc: StorageError, failures: int, waited_s: float) -> None:
        every = max(1, round(_SAID_EVERY_S / LONGEST_WAIT_S))
        if failures == 1 or failures % every == 0:
            _LOG.warning(
                "%s; segments wait in %s until it is back (%.0f s so far)", exc.message, self._folder, waited_s,
                extra={"session": self._folder.name},
            )  # fmt: skip

    def _bring(self, manifest: Manifest) -> None:
        """Bring what a manifest names, publish it, and let go of what it names on the disk."""
        for info in manifest.segments:
            if info.name not in self._brought:
                path = self._folder / EVENTS_FOLDER / info.name
                with disk.storage_errors(path):
                    content = path.read_bytes()
                bring_segment(content, info, self._place)
                self._brought.add(info.name)
        self._there.replace(manifest)
        for name in sorted(self._brought):
            disk.remove(self._folder / EVENTS_FOLDER / name)
