"""Durations and moments as people write them: ``90s``, ``1m30s``, ``-10s``, ``2026-11-23T19:15``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

from wsrecorder.core.event import from_epoch_ns, to_epoch_ns
from wsrecorder.errors import UsageError

__all__ = [
    "Moment",
    "Origin",
    "format_duration",
    "parse_duration",
    "parse_moment",
    "readable_duration",
    "resolve_moment",
    "resolve_window",
]

# Longest first: each unit may appear once, in this order.
_UNITS_NS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
# [0-9], not \d: Python's \d takes digits of every script.
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in _UNITS_NS))
_SECONDS = re.compile(_NUMBER)
_LONGEST_NS = 2**63 - 1  # what an int64 column can hold, about 292 years


def parse_duration(text: str) -> int:
    """Return a duration in ns.

    Args:
        text: ``90s``, ``1m30s``, ``250ms``, ``1.5h``, ``2d``; a plain number is seconds.

    Returns:
        The duration, ns, at least 0; a fraction of a ns is rounded.

    Raises:
        UsageError: ``text`` is not a duration, or is longer than 292 years.
    """
    duration_ns = _duration_ns(text.strip())
    if duration_ns is None:
        raise UsageError(
            f'"{text}" is not a duration',
            hint="write it as 90s, 1m30s, 250ms or 2h; a plain number is seconds",
        )
    return duration_ns


def format_duration(duration_ns: int) -> str:
    """Return a duration as `parse_duration` reads it, exact: ``1m30s``, ``250ms``, ``-10s``."""
    if duration_ns == 0:
        return "0s"
    sign, rest_ns = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    parts = []
    for unit, unit_ns in _UNITS_NS.items():
        count, rest_ns = divmod(rest_ns, unit_ns)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)


def readable_duration(duration_ns: int, *, is_up: bool = False) -> str:
    """Return a duration for a message: as `format_duration`, but from a second on to the ms.

    Args:
        duration_ns: The duration, ns.
        is_up: Rounded up, as what lies beyond a limit has to be; else down, so that the end of a session, as it is
            named, is still within it.
    """
    if abs(duration_ns) < _UNITS_NS["s"]:
        return format_duration(duration_ns)
    whole, rest_ns = divmod(duration_ns, _UNITS_NS["ms"])
    return format_duration((whole + (is_up and rest_ns > 0)) * _UNITS_NS["ms"])


class Origin(Enum):
    """What a moment is counted from."""

    START = "start"
    END = "end"
    EPOCH = "epoch"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of a session as somebody asked for it, not yet tied to one session.

    Attributes:
        origin: Counted from the session's start, back from its end, or since the epoch.
        offset_ns: How far from there, ns; negative is before it.
        text: As it was written, for messages.
    """

    origin: Origin
    offset_ns: int
    text: str

    def resolve(self, start_ns: int, end_ns: int) -> int:
        """Return the session time of this moment; it may lie outside of the session.

        Args:
            start_ns: When the session began, UTC ns since the epoch.
            end_ns: When it ended, or how far it has come, UTC ns since the epoch.

        Returns:
            ns since the session began.
        """
        origin_ns = {Origin.START: 0, Origin.END: end_ns - start_ns, Origin.EPOCH: -start_ns}
        return origin_ns[self.origin] + self.offset_ns


def parse_moment(text: str) -> Moment:
    """Read an offset from the start, an offset back from the end, or a time.

    Args:
        text: ``90s``, ``-10s``, or ISO 8601: ``2026-11-23T19:15:00Z``. A time without a zone is UTC.

    Raises:
        UsageError: ``text`` is none of these.
    """
    stripped = text.strip()
    duration_ns = _duration_ns(stripped.removeprefix("-"))
    if duration_ns is not None:
        if stripped.startswith("-"):
            return Moment(Origin.END, -duration_ns, stripped)
        return Moment(Origin.START, duration_ns, stripped)
    try:
        moment = datetime.fromisoformat(stripped)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return Moment(Origin.EPOCH, to_epoch_ns(aware), stripped)
    except (ValueError, OverflowError):
        raise UsageError(
            f'"{text}" is not a moment',
            hint="write 90s or 1m30s from the start, -10s from the end, or a time such as 2026-11-23T19:15:00Z",
        ) from None


def resolve_moment(text: str, *, start_ns: int, length_ns: int) -> int:
    """Return the place that a text means in a session, ns since it began.

    Args:
        text: As for `parse_moment`.
        start_ns: When the session began, UTC ns since the epoch.
        length_ns: How long it is, or how far it has come, ns.

    Raises:
        UsageError: It is no moment, or lies outside of the session.
    """
    at_ns = parse_moment(text).resolve(start_ns, start_ns + length_ns)
    # Times are printed to the microsecond: what was printed of the last event must lead back to it.
    if length_ns < at_ns < length_ns + 1_000:
        return length_ns
    if not 0 <= at_ns <= length_ns:
        side = "before it began" if at_ns < 0 else "after it ended"
        raise UsageError(
            f"{text} is outside the session, {side}: it lasts {readable_duration(length_ns)}, "
            f"{from_epoch_ns(start_ns).isoformat()} to {from_epoch_ns(start_ns + length_ns).isoformat()}",
            hint=f"name a moment from 0s to {readable_duration(length_ns)}, or count back from the end, as in -10s",
        )
    return at_ns


def resolve_window(start: Moment | None, stop: Moment | None, *, start_ns: int, end_ns: int) -> tuple[int, int | None]:
    """Tie ``--from`` and ``--to`` to a session.

    A stop past the end is allowed: the session may still grow.

    Args:
        start: Where to begin; None is the session's start.
        stop: Where to end, not included; None is its end.
        start_ns: When the session began, UTC ns since the epoch.
        end_ns: When it ended, or how far it has come, UTC ns since the epoch.

    Returns:
        The window ``[from, to)`` in session time, ns since the session began; None is open.

    Raises:
        UsageError: The window begins outside of the session, or ends before it begins.
    """
    length_ns = end_ns - start_ns
    from_ns = 0 if start is None else start.resolve(start_ns, end_ns)
    to_ns = None if stop is None else stop.resolve(start_ns, end_ns)
    if start is not None and not 0 <= from_ns <= length_ns:
        side = "before it began" if from_ns < 0 else "after it ended"
        raise UsageError(
            f"{start.text} is outside the session, {side}: it lasts {readable_duration(length_ns)}, "
            f"{from_epoch_ns(start_ns).isoformat()} to {from_epoch_ns(end_ns).isoformat()}",
            hint=f"begin between 0s and {readable_duration(length_ns)}, or count back from the end, as in -10s",
        )
    if stop is not None and to_ns is not None and to_ns <= from_ns:
        begin = "the session's start" if start is None else f"the beginning at {start.text}"
        raise UsageError(
            f"the end at {stop.text} is not after {begin}",
            hint=f"end after {readable_duration(from_ns, is_up=True)}; "
            f"the session lasts {readable_duration(length_ns)}",
        )
    return from_ns, to_ns


def _duration_ns(text: str) -> int | None:
    """Return ns, or None if this is no duration."""
    # µ is two letters in Unicode: the micro sign and the Greek mu.
    text = text.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    if _SECONDS.fullmatch(text):
        text += "s"
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    pairs = zip(match.groups(), _UNITS_NS.values(), strict=True)
    # Decimal: 0.1s is exactly 100 ms, as it would not be in binary.
    duration_ns = sum((Decimal(number) * unit_ns for number, unit_ns in pairs if number is not None), Decimal(0))
    return round(duration_ns) if duration_ns <= _LONGEST_NS else None
