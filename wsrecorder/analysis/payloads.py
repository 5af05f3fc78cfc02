"""What each frame of a session holds: JSON of a type, JSON without one, other text, other bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from wsrecorder.core.asyncapi import Frame
from wsrecorder.core.event import Direction, Kind
from wsrecorder.core.json_value import UNREADABLE, read_value
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["Payload", "payloads"]

_COLUMNS: Final = ("seq", "direction", "type", "text", "binary")
_DIRECTIONS: Final = {str(direction): direction for direction in Direction}


class Payload(NamedTuple):
    """What one frame holds.

    Attributes:
        seq: The event.
        direction: ``in`` is server to client.
        frame: What it is; never `Frame.OTHER`.
        type: Its type; None unless it is typed.
        value: What it says as JSON; the text where it is no JSON; None where it is bytes.
        is_strict: Whether it is strict JSON, without ``NaN`` and the like; True where it is no JSON.
        size_bytes: Its length, that of a text in letters.
    """

    seq: int
    direction: Direction
    frame: Frame
    type: str | None
    value: Any
    is_strict: bool
    size_bytes: int


def payloads(store: Store, *, types: Iterable[str] | None = None, exclude: Iterable[str] = ()) -> Iterator[Payload]:
    """Yield what the frames of a session hold, both directions, in sequence, in bounded memory.

    Args:
        store: The session.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
    """
    selection = Selection(
        columns=_COLUMNS,
        types=None if types is None else frozenset(types),
        exclude=frozenset(exclude),
        kinds=frozenset({Kind.MESSAGE}),
    )
    for batch in store.batches(selection):
        columns: list[list[Any]] = [batch.column(name).to_pylist() for name in _COLUMNS]
        for seq, direction, type_, text, binary in zip(*columns, strict=True):
            raw = binary if text is None else text
            value, is_strict = read_value(raw)
            frame = Frame.UNTYPED if type_ is None else Frame.TYPED
            if value is UNREADABLE:
                frame, value, is_strict = (Frame.BINARY, None, True) if text is None else (Frame.TEXT, text, True)
                type_ = None
            yield Payload(seq, _DIRECTIONS[direction], frame, type_, value, is_strict, len(raw))
