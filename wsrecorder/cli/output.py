"""What commands print: data to stdout, words for people to stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any

from wsrecorder.cli.json_lines import JsonLines, trace_of
from wsrecorder.cli.printable import printable, printable_json
from wsrecorder.core.size import show_bytes

__all__ = [
    "escape_last_resort",
    "log_to_stderr",
    "print_error",
    "print_json",
    "print_lines",
    "say",
    "show_bytes",
    "show_count",
    "show_duration",
    "show_number",
    "show_speed",
]


def print_error(message: str, hint: str) -> None:
    """Print what went wrong and what to do about it, a line each, to stderr; further lines of a message are set in."""
    if _log_as_json(logging.ERROR, message, {"hint": hint} if hint else {}):
        return
    # A message may quote what others sent, which must not pass for lines of ours.
    shown = "\n  ".join(map(printable, message.split("\n")))
    print(f"error: {shown}", file=sys.stderr)
    if hint:
        print(f"hint: {printable(hint)}", file=sys.stderr)


def say(text: str) -> None:
    """Print a line for people, to stderr."""
    if _log_as_json(logging.INFO, text, {}):
        return
    print(printable(text), file=sys.stderr, flush=True)


def print_lines(lines: Iterable[str], *, flush: bool = False) -> None:
    """Print lines for people, to stdout; what others sent stays within its line.

    Args:
        lines: Without line feeds.
        flush: Whether they are to be seen at once.
    """
    print("\n".join(map(printable, lines)), flush=flush)


def print_json(value: Any) -> None:
    """Print a value as JSON on one line, to stdout; NaN becomes null, so that any parser reads it."""
    print(printable_json(json.dumps(_finite(value), ensure_ascii=False, default=str)), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value


def log_to_stderr(*, quiet: bool = False, as_json: bool = False) -> None:
    """Send the program's log to stderr, one line an entry, with the time (UTC).

    Args:
        quiet: Warnings and errors alone.
        as_json: Each line is a JSON object, see `JsonLines`; so is then all that `say` and `print_error` print.
    """
    handler = logging.StreamHandler(sys.stderr)
    formatter = _TextLines("%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = _utc
    handler.setFormatter(JsonLines() if as_json else formatter)
    if as_json:  # what the event loop itself complains of would be plain text
        logging.getLogger("asyncio").handlers[:] = [handler]
    logger = logging.getLogger("wsrecorder")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False


def escape_last_resort() -> None:
    """Have what is logged where nobody set up a log, beside a panel too, keep to a line each."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_TextLines("%(message)s"))


class _TextLines(logging.Formatter):
    """Formats a record as a line; of an exception without its words, which may quote a payload.

    A message quotes what others sent: whatever of it could begin a line or steer a terminal is escaped.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line, without the traceback that may follow."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Return where an exception was raised, and its type."""
        return trace_of(ei[1])


def _log_as_json(level: int, text: str, fields: dict[str, str]) -> bool:
    """Write an entry of a log in JSON; return False where there is no such log."""
    handlers = logging.getLogger("wsrecorder").handlers
    if not handlers or not isinstance(handlers[0].formatter, JsonLines):
        return False
    entry = {"name": "wsrecorder.cli", "levelno": level, "levelname": logging.getLevelName(level), "msg": text}
    handlers[0].handle(logging.makeLogRecord(entry | fields))
    return True


def _utc(seconds: float | None) -> Any:
    from datetime import UTC, datetime

    assert seconds is not None  # a log record always has its time
    return datetime.fromtimestamp(seconds, UTC).timetuple()


def show_count(count: int) -> str:
    """Return a number with its thousands set apart."""
    return f"{count:,}"


def show_number(count: int, thing: str) -> str:
    """Return how many things there are: ``1 client``, ``2,000 clients``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def show_duration(duration_ns: int) -> str:
    """Return a duration for people: ``1.5 s``, ``2:05``, ``1:02:05``."""
    tenths = round(duration_ns / 1e8)
    if abs(tenths) < 600:
        return f"{tenths / 10:.1f} s"
    minutes, seconds = divmod(round(duration_ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def show_speed(speed: float) -> str:
    """Return a speed for people: ``10×``, ``0.998×``, ``max``."""
    if speed == float("inf"):
        return "max"
    return f"{speed:,.0f}×" if speed >= 1_000 else f"{speed:.4g}×"
