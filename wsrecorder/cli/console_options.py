"""Options of commands that have a console, and what is said of it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.access_options import read_secret_file
from wsrecorder.cli.output import say
from wsrecorder.errors import UsageError, WsrecError

if TYPE_CHECKING:
    from wsrecorder.console.options import ConsoleOptions
    from wsrecorder.net.access import Access

__all__ = [
    "DEFAULT_HOST",
    "TOKEN_VARIABLE",
    "ConsoleHost",
    "ConsolePort",
    "ConsoleToken",
    "ConsoleTokenFile",
    "check_installed",
    "console_options",
    "refuse_console",
    "tokens_given",
]

DEFAULT_HOST: Final = "127.0.0.1"
TOKEN_VARIABLE: Final = "WSREC_CONSOLE_TOKEN"
_DEFAULT_PORT: Final = 8001

ConsoleHost = Annotated[
    str, typer.Option("--console-host", metavar="HOST", help="Address of the console; beyond loopback with a token.")
]
ConsolePort = Annotated[
    int | None,
    typer.Option(
        "--console-port", metavar="PORT", min=0, max=65535,
        help="Port of the console; 0 takes a free one.  [default: 8001, or a free one if that is taken]",
    ),
]  # fmt: skip
ConsoleToken = Annotated[
    str | None,
    typer.Option(
        "--console-token", metavar="TOKEN",
        help="Token of the console alone, good beside those that clients bring; others on this machine can read it in "
        f"the list of processes. [env var: {TOKEN_VARIABLE}; one is made beyond loopback, and where clients must "
        "bring one]",
    ),
]  # fmt: skip
ConsoleTokenFile = Annotated[
    Path | None, typer.Option("--console-token-file", metavar="FILE", help="File with the token of the console.")
]


def refuse_console(host: str, port: int | None, token: str | None, token_file: Path | None) -> None:
    """Refuse options of a console where there is none.

    Raises:
        UsageError: One was given.
    """
    for name, is_given in (
        ("--console-host", host != DEFAULT_HOST),
        ("--console-port", port is not None),
        ("--console-token", token is not None),
        ("--console-token-file", token_file is not None),
    ):
        if is_given:
            raise UsageError(
                f"{name} was given, and there is no console",
                hint="leave it out; --no-console, --two-way and --rules go without one (--two-way timed has it)",
            )


def console_options(
    host: str, port: int | None, token: str | None, token_file: Path | None, access: Access
) -> ConsoleOptions:
    """Return how a console serves; say what is unsafe about it.

    Args:
        host: Address to listen on.
        port: Port to listen on; None takes a free one where the usual one is taken.
        token: The console's own token.
        token_file: A file that holds it; without either it is what the environment has, if anything.
        access: Who may connect to the endpoint beside it.

    Raises:
        UsageError: The token cannot be one, or cannot be read.
    """
    from wsrecorder.console.options import ConsoleOptions

    tokens = tokens_given(token, token_file, option="--console-token")
    if len(tokens) > 1:
        raise UsageError(f"{token_file} holds {len(tokens)} tokens, a console has one", hint="leave one in it")
    token = tokens[0] if tokens else os.environ.get(TOKEN_VARIABLE) or None
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{8,200}", token):
        raise UsageError(
            "that cannot be the token of a console: it goes into addresses and cookies, and must not be guessed",
            hint="use 8 to 200 letters, digits, dots, dashes and underscores",
        )
    options = ConsoleOptions(
        host=host,
        port=_DEFAULT_PORT if port is None else port,
        is_port_free_to_choose=port is None,
        token=token,
        access=access,
    )
    for warning in options.warnings():
        say(f"warning: {warning}")
    return options


def tokens_given(token: str | None, file: Path | None, *, option: str) -> list[str]:
    """Return the tokens that the command line gives, itself or by a file; none if it gives none.

    Raises:
        UsageError: One is given twice, or cannot be read.
    """
    if file is None:
        return [] if token is None else [token]
    if token is not None:
        raise UsageError(f"{option} and {option}-file were both given", hint="give one of them")
    found = read_secret_file(file).decode(errors="replace").split()
    if not found:
        raise UsageError(f"there is no token in {file}", hint="put one into it")
    return found


def check_installed() -> None:
    """Refuse to go on without what the extra ``console`` brings.

    Raises:
        WsrecError: It is not there.
    """
    from wsrecorder.console.options import INSTALL_HINT, is_installed

    if not is_installed():
        raise WsrecError("the console needs what the extra 'console' brings", hint=INSTALL_HINT)
