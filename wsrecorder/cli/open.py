"""``wsrec open``: look at a session on the page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.access_options import Cert, Key, certificate_of
from wsrecorder.cli.app import app
from wsrecorder.cli.console_options import ConsoleHost, ConsolePort, ConsoleToken, check_installed, console_options
from wsrecorder.cli.operating import tell_mishaps
from wsrecorder.cli.options import LibraryOption
from wsrecorder.cli.output import log_to_stderr, say
from wsrecorder.cli.selecting import SessionArgument, find_session

if TYPE_CHECKING:
    from wsrecorder.console.server import Console

__all__ = ["open_session_page"]

_Browser = Annotated[bool, typer.Option("--browser", help="Have the browser show it, too.")]


@app.command(name="open", epilog="Example: wsrec open latest --browser")
def open_session_page(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    console_host: ConsoleHost = "127.0.0.1",
    console_port: ConsolePort = None,
    console_token: ConsoleToken = None,
    cert: Cert = None,
    key: Key = None,
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

    check_installed()
    options = console_options(console_host, console_port, console_token, certificate_of(cert, key))
    scene = Scene([find_session(session, library).store], replay=None, library=library, clock=SystemClock()).load()
    log_to_stderr(quiet=True)
    serving = _serving(lambda: Console(scene, options, is_awaited=True), scene.facts[0].id, browser=browser)
    run_until_stopped(serving, scene.mishaps)
    return tell_mishaps(scene.mishaps, 0)


def _serving(make: Callable[[], Console], shown: str, *, browser: bool) -> Callable[[asyncio.Event], Awaitable[None]]:
    async def serve(stop: asyncio.Event) -> None:
        async with make() as console:
            say(f"{shown} is shown at {console.entry_url}")
            say("Ctrl-C ends it")
            if browser:
                import webbrowser  # not for those who do not ask for it

                await asyncio.to_thread(webbrowser.open, console.entry_url)
            await stop.wait()

    return serve
