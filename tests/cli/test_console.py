from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import PROJECT, Program, wsrec
from tests.jobs.replays import message, session


@pytest.fixture
def library(tmp_path: Path) -> Path:
    session(tmp_path / "recordings", [message(0.1 * n) for n in range(50)])
    return tmp_path


async def url_of(program: Program) -> str:
    """Return where its console is, as far as it says."""
    return (await program.says(r"https?://\S+")).group()


async def state_at(url: str) -> Any:
    def read() -> Any:
        with urllib.request.urlopen(f"{url}api/state", timeout=20) as answer:
            return json.load(answer)

    return await asyncio.to_thread(read)


async def end(program: Program) -> tuple[int, str, str]:
    program.signal(signal.SIGTERM)
    return await program.ended()


async def test_a_replay_has_a_console_beside_it(library: Path) -> None:
    async with wsrec("replay", "latest", "--port", 0, "--console-port", 0, cwd=library) as program:
        serving = await program.url()
        state = await state_at(await url_of(program))
        assert (state["mode"], state["url"]) == ("replay", serving)
        assert state["playbacks"][0]["status"] == "waiting"
        assert (await end(program))[0] == 0


async def test_without_a_console_nothing_is_said_of_it(library: Path) -> None:
    async with wsrec("replay", "latest", "--port", 0, "--no-console", cwd=library) as program:
        await program.url()
        code, _, said = await end(program)
    assert code == 0
    assert "console" not in said


async def test_a_port_asked_for_must_be_had(library: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in (("replay", "latest", "--port", 0), ("open", "latest")):
            async with wsrec(*command, "--console-port", port, cwd=library) as program:
                code, _, said = await program.ended()
            assert code == 5
            assert f"error: port {port} on 127.0.0.1 is in use" in said
            assert "--console-port" in said


async def test_beyond_loopback_a_token_is_made_and_said_even_to_the_quiet(library: Path) -> None:
    options = ("--port", 0, "--console-host", "0.0.0.0", "--console-port", 0, "--quiet")
    async with wsrec("replay", "latest", *options, cwd=library) as program:
        assert "/?token=" in await url_of(program)
        assert (await end(program))[0] == 0


async def test_a_token_that_can_be_guessed_is_refused(library: Path) -> None:
    async with wsrec("open", "latest", "--console-token", "x;y", cwd=library) as program:
        code, _, said = await program.ended()
    assert code == 2
    assert "x;y" not in said


async def test_open_shows_a_session_until_it_is_ended(library: Path) -> None:
    async with wsrec("open", "test", "--console-port", 0, cwd=library) as program:
        state = await state_at(await url_of(program))
        assert (state["mode"], state["sessions"][0]["name"]) == ("open", "test")
        code, out, _ = await end(program)
    assert (code, out) == (0, "")


@pytest.mark.parametrize("command", ["open", "replay"])
async def test_without_the_extra_it_is_said_what_to_install(command: str, library: Path) -> None:
    # As good as absent: nothing of the machine's Python has to be taken away.
    hidden = (
        "import importlib.util as u, sys; f = u.find_spec; "
        "u.find_spec = lambda n, *a: n != 'fastapi' and f(n, *a) or None; "
        "from wsrecorder.cli import main; sys.exit(main())"
    )
    asked = [command, "latest", *(["--port", "0"] if command == "replay" else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", hidden, *asked, cwd=library,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    program = Program(process)
    try:
        if command == "replay":
            await program.says("no console: it needs the extra 'console'")
            assert (await end(program))[0] == 0
        else:
            code, _, said = await program.ended()
            assert code == 1
            assert "hint: pip install 'wsrecorder[console]'" in said
    finally:
        if process.returncode is None:
            process.kill()
