from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.console.asked import Asker, console_of
from tests.jobs.replays import message, session
from wsrecorder.cli import main
from wsrecorder.cli.control_verbs import VERBS, Asked, call_for
from wsrecorder.clock import SystemClock
from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.access import Access

SECOND_NS = 1_000_000_000

STATE = {"began_at": "2025-11-24T16:00:00+00:00", "last_event": {"elapsed_ns": 100 * SECOND_NS}}

Control = Callable[..., Any]


@asynccontextmanager
async def replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str], **console: Any) -> AsyncIterator[Control]:
    """Serve a paused replay with a console, and yield what runs ``wsrec control`` on it."""
    stores = [session(tmp_path, [message(1.0 * n, "AB"[n % 2]) for n in range(100)])]
    async with Replay(stores, ReplayOptions(port=0, wait_for=0), SystemClock()) as replay:
        replay.playback().pause()
        async with console_of(stores, replay=replay, **console) as asker:
            yield runner(asker, capsys)


def runner(asker: Asker, capsys: pytest.CaptureFixture[str]) -> Control:
    async def run(*words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["control", "--url", asker.console.url, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


async def test_every_verb_does_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with replayed(tmp_path, capsys) as control:
        for words, shown in (
            (["seek", "20s"], r"shared: paused at 20.0 s, speed 1×"),
            (["seek", "-10s"], r"paused at 1:29"),
            (["seek", "--by", "-20s"], r"paused at 1:09"),
            (["seek", "--seq", "30"], r"paused at 30.0 s"),
            (["seek", "--match", "type = 'B'"], r"paused at 31.0 s"),
            (["step"], r"paused at 31.0 s after event 31"),
            (["step", "2"], r"after event 33"),
            (["back", "3"], r"paused at 31.0 s, speed"),
            (["burst", "5"], r"shared: paused"),
            (["speed", "2.5"], r"speed 2.5×"),
            (["speed", "max"], r"speed max"),
            (["speed", "1"], r"speed 1×"),
            (["loop", "10s", "-10s"], r"loop 10.0 s to 1:29"),
            (["loop", "off"], r"sent$"),
            (["note", "look here", "--at", "50s"], r"^noted at 50.000 s$"),
            (["seek", "--note", "LOOK"], r"paused at 50.0 s"),
            (["note", "and here"], r"^noted at 50.000 s$"),
            (["faults", "drop=1%", "duplicate=2%"], r"^faults +drop=1%, duplicate=2%\ninjected +drop 0, duplicate 0$"),
            (["faults"], r"drop=1%"),
            (["faults", "none"], r"faults +none"),
            (["clients"], r"^no client is here$"),
            (["restart"], r"paused at 0.0 s"),
            (["resume"], r"shared: playing"),
            (["pause"], r"shared: paused"),
            (["state"], r"^session +20251124T160000Z-test\nlength +1:39\nendpoint +ws://\S+/ws/, 0 clients\nplayback"),
        ):
            code, out, said = await control(*words)
            assert code == 0, (words, said)
            assert re.search(shown, out.rstrip()), (words, out)


async def test_json_is_what_the_console_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with replayed(tmp_path, capsys) as control:
        _, out, _ = await control("seek", "20s", "--json")
        assert json.loads(out)["position_ns"] == 20 * SECOND_NS
        _, out, _ = await control("state", "--json")
        assert json.loads(out)["mode"] == "replay"


async def test_what_the_console_refuses_is_said_as_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with replayed(tmp_path, capsys) as control:
        for words, expected in (
            (["seek", "9h"], "is beyond the end"),
            (["seek", "--match", "nonsense"], 'Referenced column "nonsense" not found'),
            (["pause", "--playback", "nobody"], 'there is no playback "nobody"'),
            (["faults", "drop=200%"], "drop"),
            (["disconnect", "7"], "client 7 is not here"),
        ):
            code, out, said = await control(*words)
            assert (code, out) == (2, "")
            assert expected in said
            assert "\nhint: " in said


async def test_a_token_is_brought_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with replayed(tmp_path, capsys, token="a-token-of-tests") as control:
        code, _, said = await control("state")
        assert code == 2
        assert "--token" in said
        assert (await control("state", "--token", "a-token-of-tests"))[0] == 0


async def test_a_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(tokens=("a-token-of-the-endpoint",))
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-the-endpoint\nanother-token\n")  # as --auth-token-file takes it
    async with replayed(tmp_path, capsys, access=access) as control:
        assert (await control("state", "--token-file", str(tokens)))[0] == 0
        code, _, said = await control("state", "--token-file", str(tokens), "--token", "another-token")
        assert (code, "--token and --token-file were both given" in said) == (2, True)
        for variable in ("WSREC_CONTROL_TOKEN", "WSREC_CONSOLE_TOKEN"):
            with monkeypatch.context() as set:
                set.setenv(variable, "a-token-of-the-endpoint")
                assert (await control("state"))[0] == 0
                set.setenv(variable, "guessed-wrongly")
                code, _, said = await control("state")
                assert (code, "the token was not accepted" in said) == (2, True)
                assert (await control("state", "--token-file", str(tokens)))[0] == 0, "what is given counts more"


@pytest.mark.parametrize("token", ["with space", "with\nline", "grüße"])
async def test_what_cannot_be_a_token_is_not_shown(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with replayed(tmp_path, capsys) as control:
        code, _, said = await control("state", "--token", token)
    assert code == 2
    assert "the token of the console cannot be one" in said
    assert token not in said


async def test_the_address_that_was_printed_will_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [session(tmp_path, [message(1)])]
    async with console_of(stores, token="a-token-of-tests") as asker:
        monkeypatch.setenv("WSREC_CONSOLE_TOKEN", "of-another-console")  # the address counts more
        code = await asyncio.to_thread(main, ["control", "state", "--url", asker.console.entry_url])
        assert (code, capsys.readouterr().out.partition(" ")[0]) == (0, "session")


async def test_where_nothing_is_played_a_control_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with console_of([session(tmp_path, [message(1)])]) as asker:
        code, _, said = await runner(asker, capsys)("pause")
    assert code == 2
    assert "only looked at" in said


def test_where_no_console_answers_it_is_said_where_it_was_sought(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["control", "state", "--url", "http://127.0.0.1:9"]) == 5
    assert "no console answers at http://127.0.0.1:9" in capsys.readouterr().err


async def test_what_is_no_console_is_not_taken_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    for said in (b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.0 404 No\r\n\r\n", b"SSH-2.0-x\r\n", b""):

        async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = said) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            writer.close()

        async with await asyncio.start_server(attend, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            code = await asyncio.to_thread(main, ["control", "state", "--url", f"http://127.0.0.1:{port}"])
        assert code == 5
        assert "not a console" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["ftp://localhost:8001", "http://", "ws://x", "http://x:port", "http://x:0", "http://[x"]
)
def test_an_address_that_cannot_be_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["control", "state", "--url", url]) == 2
    assert "is not the address of a console" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        Asked(verb="fly"),
        Asked(verb="seek"),
        Asked(verb="seek", values=["1s", "2s"]),
        Asked(verb="seek", values=["1s"], places={"seq": 1}),
        Asked(verb="seek", places={"seq": 1, "note": "x"}),
        Asked(verb="step", values=["0x1"]),
        Asked(verb="step", values=["-1"]),
        Asked(verb="back", values=["-1"]),
        Asked(verb="burst"),
        Asked(verb="speed"),
        Asked(verb="speed", values=["fast"]),
        Asked(verb="loop"),
        Asked(verb="loop", values=["1s"]),
        Asked(verb="loop", values=["1s", "9h"]),
        Asked(verb="note"),
        Asked(verb="pause", values=["x"]),
        Asked(verb="pause", places={"seq": 1}),
        Asked(verb="pause", at="1s"),
        Asked(verb="faults", values=["--seed"]),
        Asked(verb="disconnect"),
        Asked(verb="disconnect", values=["../clients"]),
        Asked(verb="note", values=["two", "words"]),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is(asked: Asked) -> None:
    with pytest.raises(UsageError):
        call_for(asked, STATE)


def test_every_verb_is_described_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["control", "--help"]) == 0
    told = capsys.readouterr().out
    assert [verb for verb in VERBS if not re.search(rf"^    {verb} ", told, re.MULTILINE)] == []
