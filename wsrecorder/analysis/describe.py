"""A session described: its channel, its messages by type, and JSON Schemas of what they carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from wsrecorder.analysis.payloads import Payload, payloads
from wsrecorder.analysis.session import Session
from wsrecorder.core.asyncapi import Feed, Frame, MessageShape, asyncapi_document
from wsrecorder.core.event import Direction
from wsrecorder.core.json_value import finite, is_shallow
from wsrecorder.core.schema_inference import DEEPEST, Budget, Evidence, fold, schema_of

__all__ = ["LONGEST_EXAMPLE", "MOST_MESSAGES", "describe_session"]

MOST_MESSAGES: Final = 200
"""Types that get a message of their own; those that come up later share one."""

LONGEST_EXAMPLE: Final = 4_096
"""Length beyond which a payload is no example."""

_ORDER: Final = tuple(Frame)


@dataclass(slots=True)
class _Seen:
    count: int = 0
    evidence: Evidence = field(default_factory=Evidence)
    examples: list[Any] = field(default_factory=list)


_Key = tuple[Direction, Frame, str | None]


def describe_session(
    session: Session, *, types: Iterable[str] | None = None, exclude: Iterable[str] = (), examples: int = 1
) -> dict[str, Any]:
    """Return an AsyncAPI 3.0 document of a session, ready for JSON.

    One pass; memory and the document's size are bounded, however long the session is.

    Args:
        session: Sealed or still growing.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        examples: How many payloads of each message are kept as examples.

    Raises:
        SessionError: The session cannot be read.
    """
    seen: dict[_Key, _Seen] = {}
    budget = Budget()
    for payload in payloads(session.store, types=types, exclude=exclude):
        _take_in(seen, payload, budget, examples)
    type_keys = session.store.identity().dialect.type_path.split(".")
    ordered = sorted(seen.items(), key=lambda item: (item[0][0], _ORDER.index(item[0][1]), item[0][2] or ""))
    shapes = [_shape(key, each, type_keys) for key, each in ordered]
    return asyncapi_document(_feed(session, sum(each.count for each in seen.values())), shapes)


def _take_in(seen: dict[_Key, _Seen], payload: Payload, budget: Budget, examples: int) -> None:
    key: _Key = (payload.direction, payload.frame, payload.type)
    found = seen.get(key)
    if found is None:
        if len(seen) >= MOST_MESSAGES and payload.frame is Frame.TYPED:
            key = (payload.direction, Frame.OTHER, None)
        found = seen.setdefault(key, _Seen())
    found.count += 1
    if payload.frame is Frame.BINARY:
        return
    fold(found.evidence, payload.value, budget)
    if len(found.examples) < examples and payload.size_bytes <= LONGEST_EXAMPLE:
        value = payload.value if payload.is_strict else finite(payload.value)
        if is_shallow(value, DEEPEST) and value not in found.examples:
            found.examples.append(value)


def _shape(key: _Key, seen: _Seen, type_keys: list[str]) -> MessageShape:
    direction, frame, type_ = key
    schema = {"type": "string", "format": "binary"} if frame is Frame.BINARY else schema_of(seen.evidence)
    if type_ is not None:
        _pin_type(schema, seen.evidence, type_keys, type_)
    return MessageShape(
        direction=direction, frame=frame, type=type_, count=seen.count, schema=schema, examples=tuple(seen.examples)
    )


def _pin_type(schema: dict[str, Any], seen: Evidence, keys: list[str], type_: str) -> None:
    """Say in a schema that the type is always the same, where it stands in every message that has a place for it."""
    inner: Any = schema
    place: Evidence | None = seen
    for key in keys:
        inner = inner.get("properties", {}).get(key, {})
        place = None if place is None or place.fields is None else place.fields.get(key)
    if inner.get("type") == "string" and place is not None and set(place.words or ()) == {type_}:
        inner.pop("enum", None)
        inner.pop("format", None)
        inner["const"] = type_


def _feed(session: Session, count: int) -> Feed:
    info = session.info
    return Feed(
        title=info.name,
        version=info.id,
        description=(
            f"Inferred from {count:,} messages of a recording, from {info.start} to {info.end}. Objects may have more"
            " keys than are listed. The application is the server: it sends what its clients receive."
        ),
        url=info.feed,
        path=info.endpoint_path,
        about={"session": info.id, "messages": count, "type_path": session.store.identity().dialect.type_path},
    )
