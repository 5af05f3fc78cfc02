"""How the options of commands that record are read."""

from __future__ import annotations

import re
from typing import Final

from wsrecorder.cli.options import parse_size
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.moment import parse_duration
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import UsageError

__all__ = ["dialect_of", "header_name", "headers_of", "limits_of", "max_frame_of"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def dialect_of(type_path: str, ts_path: str, ts_unit: str, heartbeat_type: str) -> Dialect:
    """Return the dialect that the options describe."""
    is_engine = (type_path, ts_path, ts_unit, heartbeat_type) == ("type", "ts", "ms", "HEARTBEAT")
    return Dialect(
        name="engine" if is_engine else "own",
        type_path=type_path,
        ts_path=ts_path,
        ts_unit=ts_unit,
        heartbeat_type=heartbeat_type or None,
    )


def headers_of(lines: list[str]) -> dict[str, str]:
    """Return headers by name.

    Raises:
        UsageError: One is none.
    """
    headers = {}
    for line in lines:
        key, colon, value = line.partition(":")
        # A value is never shown: it may be a secret.
        if not colon or not key.strip():
            raise UsageError("a --header without a name is not a header", hint='write it as --header "Name: value"')
        name = header_name(key.strip())
        if any(letter < " " or letter == "\x7f" for letter in line):
            raise UsageError(
                f"the header {name} is of several lines, or has other control characters",
                hint='write it as --header "Name: value", on one line',
            )
        headers[name] = value.strip()
    return headers


def header_name(text: str) -> str:
    """Return the name of a header, which must be a token (RFC 9110, section 5.6.2).

    Raises:
        UsageError: It is none.
    """
    if not _TOKEN.fullmatch(text):
        raise UsageError(
            f"{text!r} cannot be the name of a header", hint="use letters, digits and dashes, as in X-Api-Key"
        )
    return text


def max_frame_of(text: str) -> int:
    """Return what ``--max-frame`` says, bytes.

    Raises:
        UsageError: It is no size, or out of range.
    """
    size_bytes = parse_size(text)
    if not 0 < size_bytes <= 1 << 30:
        raise UsageError(f"--max-frame {text} is out of range", hint="use 1 byte to 1GiB, such as 64MiB")
    return size_bytes


def _age_ns(part: str) -> int:
    try:
        return parse_duration(part)
    except UsageError as exc:
        raise UsageError(
            f"--rotate {part!r} is neither a size nor a time", hint="write it as 64MiB, 5m, or both: 64MiB,5m"
        ) from exc


def limits_of(rotate: str, max_events: int | None, duration: str | None) -> Limits:
    """Return what ``--rotate``, ``--max-events`` and ``--duration`` say.

    Raises:
        UsageError: One of them is out of range.
    """
    segment_bytes, segment_ns = Limits().segment_bytes, Limits().segment_ns
    for part in rotate.split(","):
        if part.strip().lower().endswith("b"):
            segment_bytes = parse_size(part)
        else:
            segment_ns = _age_ns(part)
    if segment_bytes < 1 or segment_ns < 1:
        raise UsageError(f"--rotate {rotate} is out of range", hint="use a size or time above 0, such as 64MiB or 5m")
    duration_ns = None if duration is None else parse_duration(duration)
    if duration_ns == 0:
        raise UsageError("--duration 0 records nothing", hint="use a time above 0, such as 10m")
    return Limits(segment_bytes=segment_bytes, segment_ns=segment_ns, max_events=max_events, duration_ns=duration_ns)
