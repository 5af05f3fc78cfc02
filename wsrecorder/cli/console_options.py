"""Options of commands that have a console, and what is said of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.errors import UsageError, WsrecError

if TYPE_CHECKING:
    from wsrecorder.console.options import ConsoleOptions
    from wsrecorder.net.tls import Certificate

__all__ = [
    "DEFAULT_HOST",
    "ConsoleHost",
    "ConsolePort",
    "ConsoleToken",
    "check_installed",
    "console_options",
    "refuse_console",
]

DEFAULT_HOST: Final = "127.0.0.1"
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
    typer.Option("--console-token", metavar="TOKEN", help="What who looks must bring; beyond loopback one is made."),
]


def refuse_console(host: str, port: int | None, token: str | None) -> None:
    """Refuse options of a console where there is none.

    Raises:
        UsageError: One was given.
    """
    for name, is_given in (
        ("--console-host", host != DEFAULT_HOST),
        ("--console-port", port is not None),
        ("--console-token", token is not None),
    ):
        if is_given:
            raise UsageError(
                f"{name} was given, and there is no console",
                hint="leave it out; --no-console, --two-way and --rules go without one (--two-way timed has it)",
            )


def console_options(
    host: str, port: int | None, token: str | None, certificate: Certificate | None = None
) -> ConsoleOptions:
    """Return how a console serves.

    Raises:
        UsageError: The token cannot be one.
    """
    from wsrecorder.console.options import ConsoleOptions

    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{8,200}", token):
        raise UsageError(
            "that cannot be a token: it goes into addresses and cookies, and must not be guessed",
            hint="use 8 to 200 letters, digits, dots, dashes and underscores",
        )
    return ConsoleOptions(
        host=host,
        port=_DEFAULT_PORT if port is None else port,
        is_port_free_to_choose=port is None,
        token=token,
        certificate=certificate,
    )


def check_installed() -> None:
    """Refuse to go on without what the extra ``console`` brings.

    Raises:
        WsrecError: It is not there.
    """
    from wsrecorder.console.options import INSTALL_HINT, is_installed

    if not is_installed():
        raise WsrecError("the console needs what the extra 'console' brings", hint=INSTALL_HINT)
