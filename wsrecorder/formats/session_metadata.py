"""What the metadata of a schema says of the session whose events it is of."""

from __future__ import annotations

import json

import pyarrow as pa

__all__ = ["feed_of"]


def feed_of(schema: pa.Schema) -> str:
    """Return the URL of the feed; empty where it does not say."""
    session = (schema.metadata or {}).get(b"wsrec.session")
    return str(json.loads(session).get("feed", "")) if session else ""
