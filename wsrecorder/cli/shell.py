"""``wsrec sql --shell``: one query after the other, with a history."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from wsrecorder.cli.answer import AnswerFormat, write_answer
from wsrecorder.cli.output import print_error, print_lines, say
from wsrecorder.cli.schema import schema_lines
from wsrecorder.cli.table import output_width
from wsrecorder.errors import WsrecError

if TYPE_CHECKING:
    from wsrecorder.analysis.spark_queries import SparkQueries
    from wsrecorder.analysis.sql import Queries

__all__ = ["history_path", "run_shell"]

_HELP: Final = (
    "A query ends with ; and may take several lines. .schema lists the views, .schema NAME one of them, .quit ends."
)
_MOST_LINES: Final = 10_000


def run_shell(queries: Queries | SparkQueries, form: AnswerFormat) -> None:
    """Answer queries until there are no more; a wrong one is told and the next is asked for.

    Args:
        queries: What answers them.
        form: How answers are written to stdout.
    """
    if sys.stdin.isatty():
        _remember(history_path())
        say(_HELP)
    for statement in _statements():
        try:
            if statement.startswith("."):
                _command(statement)
            else:
                write_answer(queries.query(statement), form, sys.stdout.buffer, width=output_width())
                sys.stdout.buffer.flush()
        except WsrecError as exc:
            print_error(exc.message, exc.hint)
        except KeyboardInterrupt:
            say("stopped")


def history_path() -> Path:
    """Return where the history is kept: in the user's folder of state (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "wsrec" / "sql_history"


def _command(statement: str) -> None:
    word, _, rest = statement.partition(" ")
    if word == ".schema":
        print_lines(schema_lines(rest.strip() or None, width=output_width()), flush=True)
    else:
        say(_HELP)


def _statements() -> Iterator[str]:
    """Yield what is typed, a query or a command with a dot at a time, until the end or ``.quit``."""
    lines: list[str] = []
    while True:
        try:
            line = input(("  ...> " if lines else "wsrec> ") if sys.stdin.isatty() else "")
        except EOFError:
            if lines:
                yield "\n".join(lines)
            elif sys.stdin.isatty():
                say("")
            return
        except KeyboardInterrupt:  # what was typed is dropped, as in every shell
            lines = []
            say("")
            continue
        if not lines and line.strip() in (".quit", ".exit"):
            return
        if not lines and line.strip().startswith("."):
            yield line.strip()
        elif lines or line.strip():
            lines.append(line)
            if line.rstrip().endswith(";"):
                yield "\n".join(lines)
                lines = []


def _remember(path: Path) -> None:
    """Let the arrow keys bring back what was typed, now and in sessions to come."""
    try:
        readline: Any = import_module("readline")  # not there on Windows
    except ImportError:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            readline.read_history_file(path)
    except OSError as exc:
        say(f"no history: {path} cannot be used ({exc.strerror or exc})")
        return
    readline.set_history_length(_MOST_LINES)
    atexit.register(_keep, readline, path)


def _keep(readline: Any, path: Path) -> None:
    try:
        readline.write_history_file(path)
    except OSError as exc:
        say(f"the history was not kept: {path}: {exc.strerror or exc}")
