"""What a payload says: its envelope, with the documented messages typed, decoded when somebody asks.

A payload is decoded in one pass by a decoder of its type. What such a decoder refuses is decoded as plain values
(dict, list, text, number): a message of another shape, of an unknown type, of another feed. ``NaN`` and
``Infinity``, which strict JSON does not know, are read by Python's ``json``. Nothing here ever fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from wsrecorder.core.messages import DATA_TYPES

__all__ = ["Envelope", "plain", "read_envelope"]

_Data = TypeVar("_Data")


class Envelope(msgspec.Struct, Generic[_Data], frozen=True):
    """What a frame carries.

    Attributes:
        type: The message's type.
        ts: When its sender says it was sent: UTC ms on the engine's feed.
        data: One of `wsrecorder.core.messages.DATA_TYPES` by its type, or plain values where it has another shape.
    """

    type: Any = None
    ts: Any = None
    data: _Data | None = None


_REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError)


def _decoder(data_type: Any) -> Callable[[str | bytes], Envelope[Any]]:
    decode: Callable[[str | bytes], Envelope[Any]] = msgspec.json.Decoder(Envelope[data_type]).decode
    return decode


_DECODERS: Final = {name: _decoder(data_type) for name, data_type in DATA_TYPES.items()}
_decode_any: Final = _decoder(Any)


def read_envelope(payload: str | bytes, message_type: str | None) -> Envelope[Any] | None:
    """Return what a payload carries; None if it is no JSON object.

    Args:
        payload: A frame's text, or its bytes.
        message_type: Its type, as the session's dialect read it.
    """
    try:
        return _DECODERS.get(message_type or "", _decode_any)(payload)
    except _REFUSALS:
        return _read_leniently(payload, message_type)


def plain(payload: str | bytes) -> Any:
    """Return a payload as plain values, whatever JSON it is, ``NaN`` included; None if it is none."""
    try:
        return msgspec.json.decode(payload)
    except _REFUSALS:
        pass
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _read_leniently(payload: str | bytes, message_type: str | None) -> Envelope[Any] | None:
    found = plain(payload)
    if not isinstance(found, dict):
        return None
    return Envelope(found.get("type"), found.get("ts"), _typed(found.get("data"), message_type))


def _typed(data: Any, message_type: str | None) -> Any:
    data_type = DATA_TYPES.get(message_type or "")
    if data_type is None:
        return data
    try:
        return msgspec.convert(data, data_type)
    except _REFUSALS:
        return data  # another shape: as it is
