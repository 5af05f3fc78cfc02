"""Values out of payloads, as far as they can be read: None where there is nothing of the kind.

Nothing fails here. A recording holds what others sent: other shapes, ``NaN``, broken JSON, half a surrogate pair.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from wsrecorder.core.event import to_epoch_ns

__all__ = ["entries_of", "moment_ms", "number", "read_data", "read_json", "word"]

_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999  # years 1 to 9999, as far as Python's datetime goes


class _Envelope(msgspec.Struct, gc=False):
    data: Any = None


_decode: Final = msgspec.json.Decoder(_Envelope).decode


def read_data(payload: bytes | None) -> Any:
    """Return what an envelope carries as ``data``; None where it carries nothing or is no envelope."""
    if not payload:
        return None
    try:
        return _decode(payload).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # NaN, or not what the feed sends: Python's own parser takes the former
    envelope = read_json(payload)
    return envelope.get("data") if isinstance(envelope, dict) else None


def read_json(payload: bytes) -> Any:
    """Return what a payload says as JSON, ``NaN`` and ``Infinity`` included; None where it is none."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def number(value: Any) -> float | None:
    """Return a number; None for what is none: text, ``NaN``, infinity, a truth value."""
    if type(value) is not float:
        if type(value) is not int:
            return None
        try:
            value = float(value)
        except OverflowError:
            return None
    return value if math.isfinite(value) else None


def word(value: Any) -> str | None:
    """Return a text, what UTF-8 cannot hold of it escaped; None for what is none or empty."""
    if type(value) is not str or not value:
        return None
    return value if value.isascii() else value.encode(errors="backslashreplace").decode()


def moment_ms(value: Any) -> int | None:
    """Return a time, given in ms or as ISO 8601 text, as UTC ms since the epoch; None for what is none."""
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
            value = to_epoch_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) // 1_000_000
        except (ValueError, OverflowError):
            return None
    found = number(value)
    if found is None or not _FIRST_MS <= found <= _LAST_MS:
        return None
    return value if type(value) is int else int(found)


def entries_of(data: Any, one: str, many: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the objects under either key, and whether they came as a list."""
    if not isinstance(data, dict):
        return [], False
    listed = data.get(many)
    if isinstance(listed, list):
        return [entry for entry in listed if isinstance(entry, dict)], True
    entry = data.get(one)
    return ([entry] if isinstance(entry, dict) else []), False
