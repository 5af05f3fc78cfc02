"""How slow disk and processor were lately for anybody: a thread that does nothing but write a page and sync it.

What a recorder is late by is its own doing or the machine's. This tells the machine's part.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["Yardstick"]

_STEP_S: Final = 0.01
_PAGE: Final = bytes(4_096)


class Yardstick:
    """Measures while its context is open.

    Args:
        path: A file to write, on the disk of the recorder.
        waited_ns: Returns how long the recorder's threads waited for a processor so far, ns.
    """

    def __init__(self, path: Path, waited_ns: Callable[[], int]) -> None:
        self._path = path
        self._waited_ns = waited_ns
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=1_000)  # when, time of the sync, waited so far; ns
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()

    def delay_ns(self, from_ns: int, to_ns: int) -> int:
        """Return by how much the machine may have held up the recorder in a time, monotonic ns.

        That is the time that its threads waited for a processor, and the two longest syncs of a page by this thread:
        a frame may wait for the sync of the batch before, and for its own. To be asked when the context is closed,
        after a last sync: of each the part in that time counts.
        """
        waited = [waited_ns for ended_ns, _, waited_ns in self._samples if from_ns <= ended_ns <= to_ns]
        parts_ns = [min(ended_ns, to_ns) - max(ended_ns - sync_ns, from_ns) for ended_ns, sync_ns, _ in self._samples]
        syncs_ns = sorted(max(0, part_ns) for part_ns in parts_ns)[-2:]
        return sum(syncs_ns) + (waited[-1] - waited[0] if waited else 0)

    def _run(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while not self._leaving.is_set():
                self._leaving.wait(_STEP_S)
                began_ns = time.monotonic_ns()
                os.pwrite(file, _PAGE, 0)
                os.fsync(file)
                now_ns = time.monotonic_ns()
                self._samples.append((now_ns, now_ns - began_ns, self._waited_ns()))
        finally:
            os.close(file)
