"""How a feed's frames become envelopes: where type and time stamp are, and in which unit.

The parsed values are only an index over the payload, which stays as it came. So nothing here
ever fails: what a strict parser refuses but Python's ``json`` reads (``NaN``) still gets its
type and time, and what nobody can parse gets nulls.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

import msgspec

from wsrecorder.core.event import to_epoch_ns
from wsrecorder.errors import UsageError

__all__ = ["ENGINE", "TS_UNITS", "Dialect", "EnvelopeReader", "Restamper", "top_level_digits"]

TS_UNITS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001, "iso": 0}
"""What a time stamp can be counted in, with µs per unit; ``iso`` is ISO 8601 text."""

# Outside of years 1 to 9999 neither Python's datetime nor most readers follow: such a stamp is no time.
_MIN_US: Final = -62_135_596_800_000_000
_MAX_US: Final = 253_402_300_799_999_999


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How to read the envelope of a feed.

    Attributes:
        name: A word for people.
        type_path: Dotted path of the event's type in the JSON object, such as ``type`` or ``data.e``.
        ts_path: Dotted path of the sender's time stamp.
        ts_unit: Unit of the time stamp: ``s``, ``ms``, ``us``, ``ns`` or ``iso``.
        heartbeat_type: Type of the feed's heartbeats, or None if it has none.

    Raises:
        UsageError: The unit is unknown or a path is empty.
    """

    name: str = "engine"
    type_path: str = "type"
    ts_path: str = "ts"
    ts_unit: str = "ms"
    heartbeat_type: str | None = "HEARTBEAT"

    def __post_init__(self) -> None:
        if self.ts_unit not in TS_UNITS:
            raise UsageError(
                f"time stamp unit {self.ts_unit!r} is unknown", hint=f"use one of {', '.join(TS_UNITS)} for --ts-unit"
            )
        for option, path in (("--type-path", self.type_path), ("--ts-path", self.ts_path)):
            if not all(path.split(".")):
                raise UsageError(
                    f"{option} {path!r} has an empty part", hint="write a dotted path such as type or data.e"
                )


ENGINE: Final = Dialect()
"""The dialect of the trading engine's feed: ``{"type": string, "ts": int ms, "data": any}``."""


_REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_TYPE_OR_NOTHING: Final = {str, type(None)}
_WHOLE: Final = {int}


class EnvelopeReader:
    """Reads type and time stamp of many payloads, in one pass each.

    msgspec decodes just the two leaves into a Struct made for the paths and skips the rest, which
    costs a tenth of parsing all. What it refuses is tried with ``json`` (``NaN``, another shape).

    Args:
        dialect: Where to look.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._type_keys = tuple(dialect.type_path.split("."))
        self._ts_keys = tuple(dialect.ts_path.split("."))
        self._decode = _decoder_for(self._type_keys, self._ts_keys)
        self._get_type = _getter(self._type_keys)
        self._get_ts = _getter(self._ts_keys)
        self._us_per_unit = TS_UNITS[dialect.ts_unit]

    def read(self, payload: bytes) -> tuple[str | None, int | None]:
        """Return the envelope's type and its time stamp in µs since the epoch; None where it has none."""
        types, sent_us = self.read_many((payload,))
        return types[0], sent_us[0]

    def read_many(self, payloads: Sequence[bytes]) -> tuple[list[str | None], list[int | None]]:
        """Return types and time stamps (µs since the epoch) of the payloads, row by row."""
        # What every batch of a sound feed takes: no step of it runs in Python once a row.
        try:
            envelopes = list(map(self._decode, payloads))
        except _REFUSALS:
            leaves = [self._read_leaves(payload) for payload in payloads]
            kinds, stamps = [kind for kind, _ in leaves], [stamp for _, stamp in leaves]
        else:
            kinds, stamps = list(map(self._get_type, envelopes)), list(map(self._get_ts, envelopes))
        if not set(map(type, kinds)) <= _TYPE_OR_NOTHING:
            kinds = [kind if type(kind) is str else _type_name(kind) for kind in kinds]
        return kinds, self._stamps_us(stamps)

    def _read_leaves(self, payload: bytes) -> tuple[Any, Any]:
        try:
            envelope = self._decode(payload)
        except _REFUSALS:
            return self._read_leniently(payload)
        return self._get_type(envelope), self._get_ts(envelope)

    def _read_leniently(self, payload: bytes) -> tuple[Any, Any]:
        """Return the raw leaves by Python's own parser, which also takes ``NaN`` and ``Infinity``."""
        if not payload.lstrip(b" \t\r\n").startswith(b"{"):
            return None, None
        try:
            envelope = json.loads(payload.decode())
        except (ValueError, RecursionError):
            return None, None
        kind = _dig(envelope, self._type_keys)
        if isinstance(kind, str) and not _is_encodable(kind):
            kind = None
        return kind, _dig(envelope, self._ts_keys)

    def _stamps_us(self, stamps: list[Any]) -> list[int | None]:
        per_unit = self._us_per_unit
        if type(per_unit) is int and per_unit and set(map(type, stamps)) == _WHOLE:
            within = min(stamps) * per_unit >= _MIN_US and max(stamps) * per_unit <= _MAX_US
            if within:
                return [stamp * per_unit for stamp in stamps]
        return [self._stamp_us(stamp) for stamp in stamps]

    def _stamp_us(self, stamp: Any) -> int | None:
        if type(stamp) is int and self._us_per_unit:
            per_unit = self._us_per_unit
            us = stamp * per_unit if type(per_unit) is int else stamp // 1_000
            return int(us) if _MIN_US <= us <= _MAX_US else None
        return self._odd_stamp_us(stamp)

    def _odd_stamp_us(self, stamp: Any) -> int | None:
        """Return µs for stamps that are floats, numbers in quotes, or ISO 8601 text."""
        if isinstance(stamp, str):
            if not self._us_per_unit:
                return _iso_us(stamp)
            try:
                stamp = float(stamp)
            except ValueError:
                return None
        if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or not math.isfinite(stamp):
            return None
        us = round(stamp * (self._us_per_unit or 1))
        return us if self._us_per_unit and _MIN_US <= us <= _MAX_US else None


class Restamper:
    """Rewrites only the digits of the time stamp, so that an old payload looks live.

    Works on a top-level key with an integer value, in any place of the object; where there is none
    (another shape, another unit, broken JSON) the payload comes back as it was.

    Args:
        dialect: Its ``ts_path`` must be a top-level key.

    Raises:
        UsageError: The time stamp is not at the top level, or is text.
    """

    def __init__(self, dialect: Dialect) -> None:
        if "." in dialect.ts_path or not TS_UNITS[dialect.ts_unit]:
            raise UsageError(
                f"cannot restamp {dialect.ts_path!r} in unit {dialect.ts_unit!r}: only the digits of a top-level"
                " time stamp are rewritten",
                hint="replay without --restamp",
            )
        self._key = json.dumps(dialect.ts_path, ensure_ascii=False).encode()
        self._ns_per_unit = max(1, round(TS_UNITS[dialect.ts_unit] * 1_000))

    def shift(self, payload: bytes, by_ns: int) -> bytes:
        """Return the payload with its time stamp moved by ``by_ns``, cut to the stamp's own unit."""
        span = top_level_digits(payload, self._key)
        if span is None:
            return payload
        start, stop = span
        stamp = int(payload[start:stop]) + by_ns // self._ns_per_unit
        return payload[:start] + str(stamp).encode() + payload[stop:]

    def set(self, payload: bytes, wall_ns: int) -> bytes:
        """Return the payload with its time stamp set to ``wall_ns``, UTC ns since the epoch."""
        span = top_level_digits(payload, self._key)
        if span is None:
            return payload
        start, stop = span
        return payload[:start] + str(wall_ns // self._ns_per_unit).encode() + payload[stop:]


# Strings whole (so that a brace or a key inside one is never seen), and what opens or closes a level.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_INTEGER_VALUE: Final = re.compile(rb"\s*:\s*(-?\d{1,19})(?=\s*[,}])")


def top_level_digits(payload: bytes, quoted_key: bytes) -> tuple[int, int] | None:
    """Return where the digits of a top-level integer stand, or None.

    Args:
        payload: JSON text.
        quoted_key: The key with its quotes, as it stands in the text.
    """
    depth = 0
    found = None
    for token in _TOKEN.finditer(payload):
        text = token.group()
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and text == quoted_key:
            value = _INTEGER_VALUE.match(payload, token.end())
            if value is not None:
                found = value.span(1)  # of twins the last one counts, as for json
    return found if payload.lstrip(b" \t\r\n").startswith(b"{") else None


def _attributes(keys: Iterable[str]) -> tuple[str, ...]:
    # Keys are any text, attributes are not: hex is always an identifier after a letter.
    return tuple(f"f_{key.encode().hex()}" for key in keys)


def _decoder_for(*paths: Sequence[str]) -> Callable[[bytes], Any]:
    """Return a function that decodes the leaves of these paths and nothing else, or refuses all."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):  # one path goes on where the other ends
                return _refuse
        if isinstance(node.setdefault(path[-1], None), dict):
            return _refuse
    try:
        return msgspec.json.Decoder(_struct_of(tree)).decode
    except ValueError:  # msgspec takes no quotes, backslashes or control characters in a key
        return _refuse


def _refuse(payload: bytes) -> Any:
    raise ValueError("no Struct fits these paths: every payload is read leniently")


def _struct_of(tree: dict[str, Any]) -> type[msgspec.Struct]:
    names = dict(zip(tree, _attributes(tree), strict=True))
    fields = [(names[key], Any if child is None else _struct_of(child) | None, None) for key, child in tree.items()]
    return msgspec.defstruct("Envelope", fields, rename={name: key for key, name in names.items()}, gc=False)


def _getter(keys: Sequence[str]) -> Callable[[Any], Any]:
    """Return a function that takes a leaf out of a decoded envelope; None where it has none."""
    attributes = _attributes(keys)
    if len(attributes) == 1:
        return attrgetter(attributes[0])

    def walk(envelope: Any) -> Any:
        for attribute in attributes:
            if envelope is None:
                return None
            envelope = getattr(envelope, attribute)
        return envelope

    return walk


def _dig(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _is_encodable(text: str) -> bool:
    """Return whether text can be written as UTF-8; half a surrogate pair, escaped, passes Python's parser."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _type_name(value: Any) -> str | None:
    """Return a number as its digits (some feeds number their types); anything else is no type."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _iso_us(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    us = to_epoch_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) // 1_000
    return us if _MIN_US <= us <= _MAX_US else None  # its zone may lead out of the years 1 to 9999
