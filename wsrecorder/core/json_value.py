"""What a frame says as JSON: every value that strict JSON can say, and what comes of those that it cannot.

A recording holds what others sent. ``NaN`` and ``Infinity`` are read as floats, as Python's own parser does; half a
surrogate pair, which no file in UTF-8 can hold, becomes U+FFFD.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import msgspec

__all__ = ["UNREADABLE", "finite", "is_shallow", "read_value"]

UNREADABLE: Final = msgspec.UNSET
"""What a payload says that is no JSON; not the same as null."""

_decode: Final = msgspec.json.Decoder().decode


def read_value(payload: str | bytes) -> tuple[Any, bool]:
    """Return what a payload says, and whether it is strict JSON.

    Returns:
        The value, `UNREADABLE` where it is no JSON at all. False where it is JSON only for lenient readers: it may
        hold ``NaN`` and ``Infinity`` then, which `finite` takes out.
    """
    try:
        return _decode(payload), True
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return _encodable(json.loads(payload)), False
    except (ValueError, RecursionError):
        return UNREADABLE, False


def finite(value: Any) -> Any:
    """Return a value with null for each ``NaN`` and ``Infinity`` in it: what most writers of strict JSON make of them.

    Args:
        value: As `read_value` gave it; null comes of one that is nested too deeply to be walked.
    """
    try:
        return _finite(value)
    except RecursionError:
        return None


def is_shallow(value: Any, levels: int) -> bool:
    """Return whether a value has no more levels of arrays and objects than so many."""
    inner = value.values() if type(value) is dict else value if type(value) is list else None
    return inner is None or (levels > 0 and all(is_shallow(each, levels - 1) for each in inner))


def _finite(value: Any) -> Any:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is dict:
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if type(value) is list else value


def _encodable(value: Any) -> Any:
    if type(value) is str:
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if type(value) is dict:
        return {_encodable(key): _encodable(inner) for key, inner in value.items()}
    return [_encodable(inner) for inner in value] if type(value) is list else value
