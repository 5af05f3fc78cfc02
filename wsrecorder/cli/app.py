"""The program ``wsrec``: its commands, its settings, its errors.

Commands import their jobs when they run: what a command does not need (DuckDB, Arrow, a WebSocket
library) would cost every other one a tenth of a second.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from wsrecorder.cli.output import escape_last_resort, print_error
from wsrecorder.errors import StorageError, UsageError, WsrecError
from wsrecorder.settings import SETTINGS_NAME, read_settings

__all__ = ["app", "main"]

_COMMANDS: Final = {
    "archive": ("archive",),
    "check": ("check",),
    "control": ("control",),
    "convert": ("import", "export"),
    "demo": ("demo",),
    "describe": ("describe",),
    "diff": ("diff",),
    "history": ("history",),
    "integrity": ("verify", "recover"),
    "latency": ("latency",),
    "merge": ("merge",),
    "note": ("note",),
    "open": ("open",),
    "prune": ("prune",),
    "publish": ("publish",),
    "record": ("record",),
    "redact": ("redact",),
    "replay": ("replay",),
    "report": ("report",),
    "send": ("send",),
    "sessions": ("ls", "info", "cat", "tail"),
    "simulate": ("simulate",),
    "sql": ("sql",),
    "state": ("state",),
    "tap": ("tap",),
    "trim": ("trim",),
}
"""The modules of the commands, and which they hold."""

app = typer.Typer(
    name="wsrec",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"wsrec {version('wsrecorder')}")
        raise typer.Exit


@app.callback()
def _settings(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Record a live WebSocket feed, replay it over an identical endpoint, ask it questions in SQL.

    Options can also be set in wsrec.toml in the current folder, and by environment variables
    (WSREC_LIBRARY, WSREC_RECORD_STALL …). A flag wins over the environment, the environment over the file.

    Exit codes: 0 done, 1 unexpected (diff, send, replay --two-way: they differ; check: broken), 2 usage, 3 feed,
    4 session, 5 endpoint, 6 done but something was lost.
    """
    gc.enable()
    commands = {
        name: {_long_name(parameter): parameter for parameter in command.params}
        for name, command in getattr(context.command, "commands", {}).items()
    }
    repeatable = {
        name: {option: bool(getattr(parameter, "multiple", False)) for option, parameter in parameters.items()}
        for name, parameters in commands.items()
    }
    settings = read_settings(Path(SETTINGS_NAME), os.environ, repeatable)
    context.default_map = {
        name: {commands[name][option].name: value for option, value in found.items()}
        for name, found in settings.items()
    }


def _long_name(parameter: Any) -> str:
    """Return the name by which settings know a parameter: ``from`` of ``--from``, whatever its variable is called."""
    option = next((option for option in parameter.opts if option.startswith("--")), parameter.name or "")
    return str(option).removeprefix("--").replace("-", "_")


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code.

    Args:
        arguments: What follows the program's name; None takes them from the process.
    """
    # Until a command is chosen everything that is made stays, and looking through it for garbage takes a tenth of
    # the time until then; `_settings` turns it on again.
    gc.disable()
    escape_last_resort()
    try:
        _load_commands(sys.argv[1:] if arguments is None else arguments)
        outcome = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
    except WsrecError as exc:
        print_error(exc.message, exc.hint)
        return exc.exit_code
    except typer.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        return _reader_gone()
    except OSError as exc:
        return _output_refused(exc)
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # click makes this of it
            return _reader_gone()
        raise
    except Exception as exc:
        return _usage_error(exc)
    finally:
        gc.enable()
    return outcome if isinstance(outcome, int) else 0


def _reader_gone() -> int:
    """End quietly when whoever read our output has gone: that is how `wsrec cat | head` ends."""
    _discard_output()
    return 0


def _output_refused(exc: OSError) -> int:
    """Print why standard output takes no more; let any other error of the system through, it is our own mistake."""
    if exc.filename is not None or exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        raise exc  # what a disk says of sessions and exports was made a StorageError where it was said
    _discard_output()
    print_error(f"cannot write to standard output: {exc.strerror}", "free some space, or send the output elsewhere")
    return StorageError.exit_code


def _discard_output() -> None:
    # What is still held back for standard output would fail again at the interpreter's end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)


def _usage_error(exc: Exception) -> int:
    """Print what click says of wrong arguments; let anything else through, it is our own mistake."""
    show = getattr(exc, "format_message", None)
    if show is None:
        if type(exc).__name__ == "Abort":
            return 130
        raise exc
    if type(exc).__name__ == "NoArgsIsHelpError":  # its message is the help
        print(show(), file=sys.stderr)
        return UsageError.exit_code
    context = getattr(exc, "ctx", None)
    name = context.command_path if context is not None else "wsrec"
    said = " ".join(line.strip() for line in show().splitlines())
    print_error(said.replace(": Value error, ", ": "), f'"{name} --help" explains the options')
    return UsageError.exit_code


def _load_commands(arguments: Sequence[str]) -> None:
    """Import the modules of the commands, each of which adds its own to the app; one is enough for one command."""
    wanted = next((argument for argument in arguments if not argument.startswith("-")), "")
    # Settings may name the options of any command, and a shell completes the name of any.
    needs_all = Path(SETTINGS_NAME).exists() or "_WSREC_COMPLETE" in os.environ
    homes = [module for module, commands in _COMMANDS.items() if wanted in commands]
    for module in _COMMANDS if needs_all or not homes else homes:
        import_module(f"wsrecorder.cli.{module}")
