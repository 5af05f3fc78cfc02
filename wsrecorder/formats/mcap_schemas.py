"""JSON Schemas of the documented messages, for formats that keep a schema beside what they hold."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wsrecorder.core.messages import DATA_TYPES

__all__ = ["ANY_OBJECT", "envelope_schema"]

ANY_OBJECT = b'{"type":"object"}'
"""Of messages that are JSON objects and documented nowhere."""


def envelope_schema(type_: str) -> bytes | None:
    """Return the JSON Schema (draft 2020-12) of a documented type's whole message; None if it is not documented.

    Args:
        type_: Such as ``SIGNAL``.
    """
    data = DATA_TYPES.get(type_)
    if data is None:
        return None
    (schema,), definitions = msgspec.json.schema_components([data], ref_template="#/$defs/{name}")
    envelope: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": type_,
        "type": "object",
        "properties": {"type": {"const": type_}, "ts": {"type": "integer"}, "data": schema},
        "required": ["type", "data"],
        "$defs": definitions,
    }
    return json.dumps(envelope).encode()
