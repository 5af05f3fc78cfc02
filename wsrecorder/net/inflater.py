"""Inflating the messages of one direction of a connection (permessage-deflate, RFC 7692)."""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["Inflater"]

_TAIL: Final = b"\x00\x00\xff\xff"
"""What a sender cuts off the end of a deflated message (RFC 7692, section 7.2.1)."""

_PIECE_BYTES: Final = 1 << 20
_MOST_DISCARDED_BYTES: Final = 64 << 20


class Inflater:
    """Inflates messages, one after the other.

    Args:
        keeps_context: Whether a message may refer to those before it (no ``no_context_takeover`` was agreed on).
        max_bytes: Largest message.
    """

    def __init__(self, *, keeps_context: bool, max_bytes: int) -> None:
        self.keeps_context = keeps_context
        self._max_bytes = max_bytes
        self._zlib = zlib.decompressobj(wbits=-15)

    def inflate(self, payload: bytes) -> bytes:
        """Return a message's bytes.

        Raises:
            zlib.error: It is not deflated.
            OverflowError: It is over the limit; call `discard` to go on with the next one.
        """
        message = self._zlib.decompress(payload + _TAIL, self._max_bytes + 1)
        if len(message) > self._max_bytes or self._zlib.unconsumed_tail:
            raise OverflowError
        self._forget()
        return message

    def discard(self) -> bool:
        """Inflate what is left of a message over the limit, for the sake of those that refer to it.

        Returns:
            Whether those can be inflated. Not where too much is left: 1 MiB of it can be 1 GiB and hold up everybody.
        """
        left_bytes = max(self._max_bytes, _MOST_DISCARDED_BYTES)
        while self._zlib.unconsumed_tail and self.keeps_context:
            if left_bytes <= 0:
                return False
            left_bytes -= len(self._zlib.decompress(self._zlib.unconsumed_tail, _PIECE_BYTES))
        self._forget()
        return True

    def _forget(self) -> None:
        if not self.keeps_context:
            self._zlib = zlib.decompressobj(wbits=-15)
