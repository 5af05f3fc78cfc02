from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.programs import PROJECT, Program, wsrec
from tests.console.test_guarded import SECRET, signed
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


async def test_a_token_that_was_given_is_not_printed(library: Path) -> None:
    (library / "token").write_text("one-of-the-operator-s\n")
    (library / "token").chmod(0o600)
    for command in (("replay", "latest", "--port", 0, "--log-format", "json"), ("open", "latest")):
        options = ("--console-port", 0, "--console-token-file", "token")
        async with wsrec(*command, *options, cwd=library) as program:
            url = (await program.says(r"http://[^\s\"]+/\?token=\*\*\*")).group()
            assert await status_at(url, "/api/state") == 401
            assert await status_at(url, "/api/state", "one-of-the-operator-s") == 200
            code, printed, said = await end(program)
        assert code == 0
        assert "one-of-the-operator-s" not in printed + said


async def test_a_token_that_can_be_guessed_is_refused(library: Path) -> None:
    async with wsrec("open", "latest", "--console-token", "x;y", cwd=library) as program:
        code, _, said = await program.ended()
    assert code == 2
    assert "x;y" not in said


async def status_at(url: str, path: str, token: str | None = None, **headers: str) -> int:
    """Return with which status a console answers a request."""
    place = urlsplit(url)
    brought = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask() -> int:
        connection = HTTPConnection(place.hostname or "", place.port, timeout=20)
        try:
            connection.request("GET", path, headers=brought | headers)
            return connection.getresponse().status
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def test_what_guards_the_endpoint_guards_its_console(library: Path) -> None:
    (library / "tokens").write_text("one-of-the-endpoint-s\n")
    (library / "secret").write_bytes(SECRET)
    options = (
        "--auth-token-file", "tokens", "--jwt-secret-file", "secret", "--allow-origin", "https://desk.example.com",
        "--console-port", 0,
    )  # fmt: skip
    for command in (("replay", "latest", "--port", 0), ("open", "latest")):
        async with wsrec(*command, *options, cwd=library) as program:
            url = (await program.says(r"http://\S+")).group()
            made = urlsplit(url).query.removeprefix("token=")
            assert len(made) >= 32, "what is printed is a token of the console's own"
            assert await status_at(url, "/api/state") == 401
            assert await status_at(url, "/api/state", "guessed-wrongly") == 401
            for token in (made, "one-of-the-endpoint-s", signed()):
                assert await status_at(url, "/api/state", token) == 200
            assert await status_at(url, "/api/state", signed(-1)) == 401
            assert await status_at(url, "/api/state", made, Origin="https://desk.example.com") == 200
            assert await status_at(url, "/api/state", made, Origin="https://evil.example") == 403
            assert (await end(program))[0] == 0


@pytest.mark.parametrize("command", [("replay", "latest", "--port", 0), ("open", "latest")])
async def test_the_token_of_a_console_comes_from_a_file_or_the_environment(
    command: tuple[str | int, ...], library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "token").write_text("token-from-a-file\n")
    monkeypatch.setenv("WSREC_CONSOLE_TOKEN", "token-from-outside")
    for options, token in (
        ((), "token-from-outside"),
        (("--console-token-file", "token"), "token-from-a-file"),
        (("--console-token", "token-from-here"), "token-from-here"),
    ):
        async with wsrec(*map(str, command), "--console-port", "0", *options, cwd=library) as program:
            url = (await program.says(r"http://\S+")).group()
            assert await status_at(url, "/api/state") == 401
            assert await status_at(url, "/api/state", token) == 200
            assert (await end(program))[0] == 0


async def test_a_token_in_the_environment_harms_no_replay_without_a_console(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSREC_CONSOLE_TOKEN", "token-from-outside")
    async with wsrec("replay", "latest", "--port", 0, "--no-console", cwd=library) as program:
        await program.url()
        assert (await end(program))[0] == 0


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("", (), "there is no token in token"),
        ("token-one-of-two\ntoken-two-of-two\n", (), "token holds 2 tokens, a console has one"),
        ("x;y", (), "that cannot be the token of a console"),
        ("token-from-a-file", ("--console-token", "token-from-here"), "were both given"),
        ("token-from-a-file", ("--allow-origin", "desk.example.com"), "'desk.example.com' is no origin of a web page"),
    ],
)
async def test_what_cannot_guard_a_console_is_refused(
    content: str, options: tuple[str, ...], expected: str, library: Path
) -> None:
    (library / "token").write_text(content)
    async with wsrec("open", "latest", "--console-token-file", "token", *options, cwd=library) as program:
        code, _, said = await program.ended()
    assert code == 2
    assert expected in said
    assert all(token not in said for token in content.split())


async def test_a_console_beyond_this_machine_without_encryption_is_warned_of(library: Path) -> None:
    options = ("--console-host", "0.0.0.0", "--console-port", 0)
    for command in (("replay", "latest", "--port", 0), ("open", "latest")):
        async with wsrec(*command, *options, cwd=library) as program:
            await program.says("warning: what the console shows, and its token, go to 0.0.0.0 unencrypted")
            await program.says(r"http://\S+/\?token=")
            assert (await end(program))[0] == 0


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
