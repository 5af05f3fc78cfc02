"""How much a spool may hold: who fills it is warned, and then refused, until something has left."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from wsrecorder.errors import StorageError
from wsrecorder.store.spool import spooled_bytes

__all__ = ["SpoolBound"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_LOOK_EVERY_NS: Final = 1_000_000_000


class SpoolBound:
    """Looks how full a spool is, once a second of a recording; at each call while it is full.

    It warns at half, again whenever the spool has grown by a tenth after that, and anew once less than a quarter was
    left in between.

    Args:
        spool: The folder, all sessions in it together.
        max_bytes: What it may hold.
        destination: Where what waits there belongs, for the warning: "object storage".
        hint: What to do about a spool that is full.
        refuses: Whether one that is full takes nothing more; else it is only warned of.
    """

    def __init__(self, spool: Path, max_bytes: int, *, destination: str, hint: str, refuses: bool = True) -> None:
        self._spool = spool
        self._max_bytes = max_bytes
        self._destination = destination
        self._hint = hint
        self._refuses = refuses
        self._looked_ns: int | None = None
        self._warned_bytes = 0

    def check(self, elapsed_ns: int) -> None:
        """Look, unless that was done within the last second.

        Args:
            elapsed_ns: The time of the recording, ns.

        Raises:
            StorageError: The spool is full.
        """
        if self._looked_ns is None or elapsed_ns - self._looked_ns >= _LOOK_EVERY_NS:
            self._look()
            self._looked_ns = elapsed_ns  # not if it is full: then each call looks

    def _look(self) -> None:
        held, most = spooled_bytes(self._spool), self._max_bytes
        if held >= most and self._refuses:
            raise StorageError(
                f"the spool {self._spool} holds {held / 1e9:.2f} GB, and --spool-max allows {most / 1e9:.2f}",
                hint=self._hint,
            )
        if held < most // 4:
            self._warned_bytes = 0
        elif held >= max(most // 2, self._warned_bytes + most // 10):
            self._warned_bytes = held
            _LOG.warning(
                "the spool %s holds %.2f GB that are not in %s yet; at %.2f GB nothing more is taken",
                self._spool, held / 1e9, self._destination, most / 1e9,
            )  # fmt: skip
