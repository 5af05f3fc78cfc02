"""What others sent, as it can be shown: nothing of it begins a line or steers a terminal."""

from __future__ import annotations

__all__ = ["printable", "printable_json"]


def printable(text: str) -> str:
    """Return text on one line: what could steer a terminal or turn writing around is escaped, as in Python.

    That is all that Unicode says cannot be printed: controls (C0, C1, DEL), separators of lines, formats (bidi).
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text
    )


def printable_json(text: str) -> str:
    """Return JSON on one line that says the same, all that `printable` escapes escaped as JSON does (RFC 8259, 7).

    Args:
        text: JSON without white space but spaces: what cannot be printed stands within strings alone.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[index : index + 2].hex()}" for index in range(0, len(units), 2))
