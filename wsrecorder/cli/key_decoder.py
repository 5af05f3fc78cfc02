"""Which keys the bytes of a terminal stand for.

An arrow key comes as a control sequence, ``ESC [ A`` (ECMA-48, section 5.4), or as ``ESC O A`` while the terminal is in
application mode (xterm's control sequences); any other key that matters here is the one byte of its character. A
sequence may be cut anywhere between two reads, so the decoder keeps what it has of one. `KeyDecoder.flush` tells it
that no more came for a while: what looked like a beginning was keys by themselves.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DOWN", "LEFT", "RIGHT", "UP", "KeyDecoder"]

UP: Final = "up"
DOWN: Final = "down"
RIGHT: Final = "right"
LEFT: Final = "left"

_ARROWS: Final = {"A": UP, "B": DOWN, "C": RIGHT, "D": LEFT}
_ESCAPE: Final = "\x1b"
_CONTROL_SEQUENCE: Final = "\x1b["
_SINGLE_SHIFT: Final = "\x1bO"
_LONGEST: Final = 32
"""No key's sequence is as long; noise that looks like one must not be kept for ever."""


class KeyDecoder:
    """Turns bytes into keys: `UP`, `DOWN`, `RIGHT`, `LEFT`, or a printable ASCII character."""

    def __init__(self) -> None:
        self._begun = ""

    @property
    def has_begun(self) -> bool:
        """Whether a sequence has begun that more bytes could complete."""
        return bool(self._begun)

    def feed(self, received: bytes) -> list[str]:
        """Return the keys that these bytes complete; what is no key of ours is left out."""
        return [key for byte in received if (key := self._take(chr(byte))) is not None]

    def flush(self) -> list[str]:
        """Return the key that a sequence which was not completed in time was: ``[`` pressed after ESC."""
        begun, self._begun = self._begun, ""
        return [begun[1]] if begun in (_CONTROL_SEQUENCE, _SINGLE_SHIFT) else []

    def _take(self, character: str) -> str | None:
        begun = self._begun
        if character == _ESCAPE:  # also in the midst of another, which is then given up
            self._begun = _ESCAPE
            return None
        if begun == _ESCAPE and character in "[O":
            self._begun += character
            return None
        if begun == _SINGLE_SHIFT:
            self._begun = ""
            return _ARROWS.get(character)
        if begun.startswith(_CONTROL_SEQUENCE) and " " <= character <= "~":
            return self._take_of_sequence(character)
        self._begun = ""  # ESC and a character is that character with Alt held
        return character if " " <= character <= "~" else None

    def _take_of_sequence(self, character: str) -> str | None:
        if character >= "@":  # the final byte; parameters before it tell of Shift and the like
            self._begun = ""
            return _ARROWS.get(character)
        self._begun = self._begun + character if len(self._begun) < _LONGEST else ""
        return None
