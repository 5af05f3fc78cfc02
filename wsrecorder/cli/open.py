"""``wsrec open``: look at a session on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli import access_options
from wsrecorder.cli.app import app
from wsrecorder.cli.console_options import (
    ConsoleHost,
    ConsolePort,
    ConsoleToken,
    ConsoleTokenFile,
    check_installed,
    console_options,
)
from wsrecorder.cli.operating import tell_mishaps
from wsrecorder.cli.options import LibraryOption
from wsrecorder.cli.output import log_to_stderr, say
from wsrecorder.cli.selecting import SessionArgument, find_session

if TYPE_CHECKING:
    from wsrecorder.console.server import Console

__all__ = ["open_session_page"]

_AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin", metavar="ORIGIN", rich_help_panel="Who may connect",
        help="Web page that may ask the HTTP interface beside our own, as in https://desk.example.com. Repeatable.",
    ),
]  # fmt: skip
_Browser = Annotated[bool, typer.Option("--browser", help="Have the browser show it, too.")]


@app.command(name="open", epilog="Example: wsrec open latest --browser")
def open_session_page(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    console_host: ConsoleHost = "127.0.0.1",
    console_port: ConsolePort = None,
    console_token: ConsoleToken = None,
    console_token_file: ConsoleTokenFile = None,
    allow_origin: _AllowOrigin = None,
    auth_token: access_options.AuthToken = None,
    auth_token_env: access_options.AuthTokenEnv = None,
    auth_token_file: access_options.AuthTokenFile = None,
    jwt_secret_env: access_options.JwtSecretEnv = None,
    jwt_secret_file: access_options.JwtSecretFile = None,
    jwt_key: access_options.JwtKeyFile = None,
    jwt_audience: access_options.JwtAudience = None,
    jwt_issuer: access_options.JwtIssuer = None,
    cert: access_options.Cert = None,
    key: access_options.Key = None,
    browser: _Browser = False,
) -> int:
    """Look at a session on a page in the browser, without playing it; one that is still recording is followed.

    It serves the page until Ctrl-C. On the page: a timeline of the whole session, its events by type, text and
    SQL expression, payloads, state, latency, notes, export.
    """
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.console.scene import Scene
    from wsrecorder.console.server import Console
    from wsrecorder.net.access import Access

    check_installed()
    access = Access(
        allow_origins=tuple(allow_origin or ()),
        tokens=access_options.tokens_of(auth_token, auth_token_env, auth_token_file),
        jwt=access_options.jwt_rules_of(jwt_secret_env, jwt_secret_file, jwt_key, jwt_audience, jwt_issuer),
        certificate=access_options.certificate_of(cert, key),
    )
    options = console_options(console_host, console_port, console_token, console_token_file, access)
    scene = Scene([find_session(session, library).store], replay=None, library=library, clock=SystemClock()).load()
    log_to_stderr(quiet=True)
    serving = _serving(lambda: Console(scene, options, is_awaited=True), scene.facts[0].id, browser=browser)
    run_until_stopped(serving, scene.mishaps)
    return tell_mishaps(scene.mishaps, 0)


def _serving(make: Callable[[], Console], shown: str, *, browser: bool) -> Callable[[asyncio.Event], Awaitable[None]]:
    async def serve(stop: asyncio.Event) -> None:
        async with make() as console:
            say(f"{shown} is shown at {console.shown_url}")
            say("Ctrl-C ends it")
            if browser:
                import webbrowser  # not for those who do not ask for it

                await asyncio.to_thread(webbrowser.open, console.entry_url)
            await stop.wait()

    return serve
