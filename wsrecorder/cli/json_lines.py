"""The program's log as one JSON object a line, for machines that collect it; no payload ever stands there."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from wsrecorder.cli.printable import printable_json

__all__ = ["JsonLines", "trace_of"]

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "without_payload"}
"""What every record has; what stands beside it was handed over with the message."""


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object on one line: ``time`` (UTC), ``level``, ``logger``, ``message``, ``fields``.

    A message that quotes a payload must bring its words without it along, as ``extra={"without_payload": …}``.
    Of an exception its type and where it was raised are told, as ``exception`` and ``traceback``, and not its words,
    which may quote anything.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": getattr(record, "without_payload", None) or record.getMessage(),
            "fields": fields,
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["traceback"] = trace_of(record.exc_info[1])
        return printable_json(json.dumps(line, ensure_ascii=False, default=str))


def trace_of(error: BaseException | None) -> str:
    """Return the traceback of an error and of what led to it, without their words, which may quote a payload."""
    parts: list[str] = []
    while error is not None:
        parts.insert(0, "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich led to\n".join(parts)
