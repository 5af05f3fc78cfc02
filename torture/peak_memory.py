"""The most memory that this process holds while something runs."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

__all__ = ["PeakMemory"]

_STATUS: Final = Path("/proc/self/status")
_FORGET: Final = Path("/proc/self/clear_refs")


class PeakMemory:
    """Measures the resident memory of this process, on Linux; elsewhere it grows by nothing.

    Attributes:
        growth_bytes: The peak within the context, less what there was at its beginning.
    """

    def __init__(self) -> None:
        self.growth_bytes = 0
        self._began_bytes = 0

    def __enter__(self) -> PeakMemory:
        with suppress(OSError):
            _FORGET.write_text("5")  # the peak so far, see proc_pid_clear_refs(5)
        self._began_bytes = _resident("VmRSS")
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.growth_bytes = _resident("VmHWM") - self._began_bytes


def _resident(name: str) -> int:
    if not _STATUS.exists():
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0
