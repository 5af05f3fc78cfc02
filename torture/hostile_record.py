"""Holds what was recorded of a hostile feed against what it had sent."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torture.hostile_feed import Attempt
from torture.hostile_frames import Message
from wsrecorder.core.event import Kind
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["Seen", "broken_by"]


@dataclass(slots=True)
class _Connection:
    """One connection as it was recorded."""

    messages: list[Message] = field(default_factory=list)
    closes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Seen:
    """What a session holds.

    Attributes:
        broken: What is wrong with it, in words.
        messages: How many messages there are.
        connections: How many connections there are.
        gaps: How many gaps there are.
        causes: How often a connection ended for what cause.
    """

    broken: list[str] = field(default_factory=list)
    messages: int = 0
    connections: int = 0
    gaps: int = 0
    causes: Counter[str] = field(default_factory=Counter)


def broken_by(store: Store, first: Attempt, cases: Iterable[tuple[Attempt, Attempt]]) -> Seen:
    """Return what a session holds, and what is wrong with it.

    Args:
        store: The session.
        first: What the feed did first.
        cases: What it did then.
    """
    seen = Seen()
    connections = _read(store, seen)
    seen.connections = len(connections)
    left = deque(connections)
    seen.broken += filter(None, [_wrong(left.popleft(), first)])
    for hostile, good in cases:
        is_open = hostile.answer.opens == "yes" or (hostile.answer.opens == "maybe" and not _is_of(left, good))
        for attempt in (hostile, good) if is_open else (good,):
            wrong = _wrong(left.popleft(), attempt) if left else "no connection recorded"
            if wrong:  # and what follows may be out of step on its account alone
                seen.broken.append(f"{attempt}: {wrong}")
                return seen
    if left:
        seen.broken.append(f"{len(left)} connections too many, from {_told(left[0].messages)}")
    return seen


def _is_of(found: deque[_Connection], attempt: Attempt) -> bool:
    assert attempt.script is not None
    return bool(found) and found[0].messages == attempt.script.required


def _wrong(found: _Connection, attempt: Attempt) -> str:
    """Return what is wrong with a connection, or nothing."""
    script = attempt.script
    assert script is not None
    required = script.required
    if attempt.answer.opens == "maybe":  # the time for it may have been over in the middle
        required = required[: len(found.messages)]
    if found.messages[: len(required)] != required:
        return f"{_told(found.messages)} instead of {_told(required)}"
    behind = found.messages[len(required) :]
    if not script.is_loose and behind != script.optional[: len(behind)]:
        return f"{_told(behind)} behind what is good, expected {_told(script.optional)}"
    if script.is_loose and not _in_order(behind, script.optional):
        return f"{_told(behind)} out of the order of {_told(script.optional)}"
    if len(found.closes) != 1 or not found.closes[0].get("cause"):
        return f"closed with {found.closes}"
    return ""


def _in_order(behind: list[Message], optional: list[Message]) -> bool:
    """Whether those of the good messages that are there stand in their order, once each."""
    places = [optional.index(message) for message in behind if message in optional]
    return places == sorted(set(places))


def _told(messages: list[Message]) -> str:
    return str([(payload[:70], len(payload), opcode) for payload, opcode in messages[:6]])


def _read(store: Store, seen: Seen) -> list[_Connection]:
    """Return the connections of a session; each is followed by a gap with its cause, unless it is the last."""
    connections: list[_Connection] = []
    last = Kind.GAP
    for batch in store.batches(Selection()):
        for event in iter_events(batch):
            match event.kind:
                case Kind.OPEN:
                    if last is not Kind.GAP:
                        seen.broken.append(f"connection {event.conn} opens behind a {last}, not a gap")
                    connections.append(_Connection())
                case Kind.CLOSE:
                    detail = json.loads(event.detail or "")
                    connections[-1].closes.append(detail)
                    seen.causes[detail["cause"]] += 1
                case Kind.GAP:
                    seen.gaps += 1
                    if last is not Kind.CLOSE or not json.loads(event.detail or "").get("cause"):
                        seen.broken.append(f"a gap behind a {last}: {event.detail}")
                case Kind.MESSAGE:
                    seen.messages += 1
                    is_text = event.text is not None or bool(event.detail)
                    payload = event.text.encode() if event.text is not None else event.binary or b""
                    connections[event.conn].messages.append((payload, 1 if is_text else 2))
            last = event.kind
    return connections
