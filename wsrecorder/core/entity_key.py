"""Whose event it is: the order, position or symbol that a payload speaks of.

Of each type and entity the last event tells how that entity stands. A list of all orders or positions stands for its
type as a whole: the last one lists all there are, so it has no key.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wsrecorder.core.lenient import read_json

__all__ = ["KEY_PATHS", "entity_key"]

KEY_PATHS: Final[tuple[tuple[str | int, ...], ...]] = (
    ("data", "order", "id"),
    ("data", "position", "id"),
    ("data", "position_id"),
    ("data", "signals", 0, "symbol"),
    ("data", "symbol"),
    ("symbol",),
    ("product_id",),
)
"""Where a payload may name its entity, outermost key first; the first place where it does counts."""


def entity_key(payload: bytes) -> str:
    """Return which entity a payload names: its id or symbol, as JSON spells it if that is no text; empty if none."""
    envelope = read_json(payload)
    for path in KEY_PATHS:
        value = envelope
        for step in path:
            value = _inside(value, step)
        key = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
        if key:
            return key
    return ""


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and len(value) > step else None
    return value.get(step) if isinstance(value, dict) else None
