"""An AsyncAPI 3.0 document of a feed, made of what was seen of its messages.

The application that it describes is the feed's server, as is the custom for WebSocket APIs: it *sends* what a
recorder receives (``in``), and *receives* what clients send (``out``). Specification:
https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from wsrecorder.core.event import Direction

__all__ = ["EXTENSION", "Feed", "Frame", "MessageShape", "asyncapi_document"]

EXTENSION: Final = "x-wsrec"
"""Under which key a document holds what AsyncAPI has no word for."""


class Frame(StrEnum):
    """What a frame holds."""

    TYPED = "typed"
    """JSON of a type."""

    UNTYPED = "untyped"
    """JSON in which no type was found."""

    TEXT = "text"
    """Text that is no JSON."""

    BINARY = "binary"
    """Bytes that are no JSON."""

    OTHER = "other"
    """JSON of one of the types for which there was no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageShape:
    """What was seen of the messages of one type in one direction.

    Attributes:
        direction: ``in`` is server to client.
        frame: What the frames hold.
        type: Their type; None where they have none.
        count: How many there were.
        schema: JSON Schema of the payload.
        examples: Payloads.
    """

    direction: Direction
    frame: Frame
    type: str | None
    count: int
    schema: dict[str, Any]
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What is described.

    Attributes:
        title: A word for people.
        version: Of the description.
        description: Where it comes from.
        url: Of the feed, without credentials; what is no WebSocket URL is left out.
        path: Its path where there is no such URL.
        about: What else is to be told of the document's origin.
    """

    title: str
    version: str
    description: str
    url: str
    path: str
    about: dict[str, Any]


_CONTENT_TYPES: Final = {Frame.TEXT: "text/plain", Frame.BINARY: "application/octet-stream"}
_CHANNEL: Final = "feed"
_ACTIONS: Final = {
    Direction.IN: ("send", "What the server sends to its clients."),
    Direction.OUT: ("receive", "What clients send to the server."),
}


def asyncapi_document(feed: Feed, messages: Iterable[MessageShape]) -> dict[str, Any]:
    """Return the document as plain values, ready for JSON.

    Args:
        feed: What is described.
        messages: In the order in which they are to be listed.
    """
    keyed = _keyed(messages)
    servers = _servers(feed)
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": feed.title, "version": feed.version, "description": feed.description},
        "defaultContentType": "application/json",
    }
    if servers:
        document["servers"] = servers
    document["channels"] = {
        _CHANNEL: {
            "address": (urlsplit(feed.url).path or "/") if servers else feed.path,
            "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in keyed},
            "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        }
    }
    document["operations"] = {
        action: {
            "action": action,
            "summary": summary,
            "channel": {"$ref": f"#/channels/{_CHANNEL}"},
            "messages": [{"$ref": f"#/channels/{_CHANNEL}/messages/{key}"} for key in keys],
        }
        for direction, (action, summary) in _ACTIONS.items()
        if (keys := [key for key, message in keyed.items() if message.direction is direction])
    }
    document["components"] = {"messages": {key: _message(message) for key, message in keyed.items()}}
    document[EXTENSION] = feed.about
    return document


def _keyed(messages: Iterable[MessageShape]) -> dict[str, MessageShape]:
    """Return messages by keys that AsyncAPI allows: letters, digits, dots, dashes, underscores."""
    keyed: dict[str, MessageShape] = {}
    for message in messages:
        name = message.frame if message.type is None else message.type
        plain = key = re.sub(r"[^A-Za-z0-9._-]+", "_", name) or "_"
        number = 1
        while key in keyed:
            number += 1
            key = f"{plain}-{number}"
        keyed[key] = message
    return keyed


def _servers(feed: Feed) -> dict[str, Any]:
    parts = urlsplit(feed.url)
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("ws", "wss") or not host:
        return {}
    return {"feed": {"host": host, "protocol": parts.scheme, "description": f"As recorded: {feed.url}"}}


def _message(message: MessageShape) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": f"({message.frame})" if message.type is None else message.type,
        "contentType": _CONTENT_TYPES.get(message.frame, "application/json"),
        "payload": message.schema,
    }
    if message.examples:
        described["examples"] = [{"payload": payload} for payload in message.examples]
    described[EXTENSION] = {"frame": str(message.frame), "count": message.count}
    return described
