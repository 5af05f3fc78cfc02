"""When two payloads are the same: what is compared of them, what tells entities apart, where they differ.

Payloads that are JSON are compared by what they say: key order and spaces make no difference, ``1`` and ``1.0``
do. Others are compared byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from wsrecorder.core.lenient import read_json
from wsrecorder.errors import UsageError

__all__ = ["ABSENT", "Change", "Likeness", "Reading", "changes_between", "general_path"]

ABSENT: Final = msgspec.UNSET
"""The value of what is not there, which is not the same as null."""

_ENTITY_PATHS: Final = ("data.order.id", "data.position.id", "data.position_id", "data.signals.correlation_id")
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Change(NamedTuple):
    """Where two payloads differ.

    Attributes:
        path: Such as ``data.orders[0].price``; empty for the payload as a whole.
        before: The value in the first, `ABSENT` if it is not there.
        after: The value in the second.
    """

    path: str
    before: Any
    after: Any


class Reading(NamedTuple):
    """What is compared of a payload.

    Attributes:
        value: What it says as JSON, without what is ignored; its bytes where it is no JSON.
        identity: 16 bytes, the same for values that are the same and for no others.
        entity: The id of what it speaks of; None where it names none.
    """

    value: Any
    identity: bytes
    entity: str | None


class Likeness:
    """Decides what of payloads is compared.

    Args:
        ignore: Keys that are left out wherever they stand, such as ``ts``.
        ignore_paths: Paths that are left out, such as ``data.timestamp``; lists on the way are passed through, and
            ``*`` stands for any key.
        entity_paths: Where the id stands that tells entities apart; the first that is there counts. None is where
            the engine's feed has it.

    Raises:
        UsageError: A path has an empty part.
    """

    def __init__(
        self, ignore: Iterable[str] = (), ignore_paths: Iterable[str] = (), entity_paths: Iterable[str] | None = None
    ) -> None:
        self._ignored = frozenset(ignore)
        self._ignored_paths = [_parts(path) for path in ignore_paths]
        self._entity_paths = [_parts(path) for path in (_ENTITY_PATHS if entity_paths is None else entity_paths)]

    def read(self, payload: bytes) -> Reading:
        """Return what is compared of a payload."""
        try:
            return self._reading(_decode(payload), _encode)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
            pass  # what strict JSON has no word for: NaN, half a surrogate pair, nesting without end
        try:
            value = read_json(payload)
            if value is not None:
                return self._reading(value, _spelled)
        except RecursionError:
            pass
        return Reading(payload, blake2b(payload, digest_size=16, person=b"bytes").digest(), None)

    def _reading(self, value: Any, encode: Callable[[Any], bytes]) -> Reading:
        if self._ignored:
            value = _without_keys(value, self._ignored)
        for parts in self._ignored_paths:
            _drop(value, parts)
        return Reading(value, blake2b(encode(value), digest_size=16).digest(), self._entity(value))

    def _entity(self, value: Any) -> str | None:
        for parts in self._entity_paths:
            found = [leaf for leaf in _leaves(value, parts) if isinstance(leaf, (str, int))]
            if found:
                return " ".join(map(str, found))
        return None


def changes_between(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """Yield where two values differ, in the order of their keys; lists are compared place by place."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            inner = f"{path}.{key}" if path else str(key)
            yield from changes_between(before.get(key, ABSENT), after.get(key, ABSENT), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            one = before[index] if index < len(before) else ABSENT
            other = after[index] if index < len(after) else ABSENT
            yield from changes_between(one, other, f"{path}[{index}]")
    elif type(before) is not type(after) or (before != after and not (before != before and after != after)):
        yield Change(path, before, after)


def general_path(path: str) -> str:
    """Return a path without the places in lists: ``data.orders[].price``."""
    return re.sub(r"\[\d+\]", "[]", path)


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(re.sub(r"\[[\d*]*\]", "", path).split("."))
    if not all(parts):
        raise UsageError(f"path {path!r} has an empty part", hint="write a dotted path such as data.timestamp")
    return parts


def _without_keys(value: Any, ignored: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without_keys(inner, ignored) for key, inner in value.items() if key not in ignored}
    if isinstance(value, list):
        return [_without_keys(inner, ignored) for inner in value]
    return value


def _drop(value: Any, parts: tuple[str, ...]) -> None:
    if isinstance(value, list):
        for inner in value:
            _drop(inner, parts)
    elif isinstance(value, dict):
        for key in list(value) if parts[0] == "*" else parts[:1]:
            if len(parts) == 1:
                value.pop(key, None)
            else:
                _drop(value.get(key), parts[1:])


def _leaves(value: Any, parts: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, parts)
    elif not parts:
        yield value
    elif isinstance(value, dict):
        for key in list(value) if parts[0] == "*" else parts[:1]:
            if key in value:
                yield from _leaves(value[key], parts[1:])


def _spelled(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
