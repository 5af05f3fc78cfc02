"""``wsrec replay --two-way`` as its user has it: exit codes, what it prints, what it refuses."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.programs import wsrec
from tests.jobs.dialogues import dialogue, talker, words
from wsrecorder.cli.app import main
from wsrecorder.cli.two_way import on_connection
from wsrecorder.jobs.two_way_options import TwoWay

CHAT = (("<", 0, "welcome"), (">", 1, "hello"), ("<", 2, "hi"))
TALK = ("replay", "latest", "--port", "0", "--speed", "max", "--at-end", "exit")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dialogue(tmp_path / "recordings", *CHAT)
    return tmp_path


async def test_who_says_what_was_recorded_is_answered_and_it_exits_0(folder: Path) -> None:
    async with wsrec(*TALK, "--two-way", "strict", "--json", cwd=folder) as program:
        async with talker(await program.url()) as client:
            await client.say("hello")
            assert words(await client.rest()) == ["welcome", "hi"]
        code, out, errors = await program.ended()
    assert code == 0, errors
    assert json.loads(out)["mode"] == "strict"
    assert "client 1: 1 of 1 message answered" in errors


async def test_who_does_not_is_told_where_it_differs_and_it_exits_1(folder: Path) -> None:
    async with wsrec(*TALK, "--two-way", "strict", "--match-timeout", "100ms", "--json", cwd=folder) as program:
        async with talker(await program.url()) as client:
            await client.say("hullo")
            await client.rest()
            assert client.connection.close_code == 1008
        code, out, errors = await program.ended()
    assert code == 1, errors
    assert json.loads(out)["mismatches"] == 1
    assert "say: expected 'hello', found 'hullo'" in errors


async def test_rules_come_from_a_file(folder: Path) -> None:
    (folder / "r.toml").write_text("[[rule]]\nmatch = 'type = hello'\nwhere = \"type = 'hi'\"\n")
    async with wsrec(*TALK, "--rules", "r.toml", cwd=folder) as program:
        async with talker(await program.url()) as client:
            await client.say("hello")
            assert await client.hears(1) == ["hi"]
        code, _, errors = await program.ended()
    assert code == 0, errors
    assert "rules: 1 frame to 1 client" in errors


async def test_timed_plays_to_each_client_whatever_it_says(folder: Path) -> None:
    async with wsrec(*TALK[:-1], "close", "--two-way", "timed", cwd=folder) as program:
        url = await program.url()
        for _ in range(2):
            async with talker(url) as client:
                assert words(await client.rest()) == ["welcome", "hi"]
        program.signal(signal.SIGINT)
        assert (await program.ended())[0] == 0


def test_timed_plays_one_connection_if_one_is_named() -> None:
    assert on_connection(None, TwoWay.TIMED, 1) == "conn = 1"
    assert on_connection("a OR b -- not c", TwoWay.TIMED, 1) == "(a OR b -- not c\n) AND conn = 1"
    assert on_connection("a", TwoWay.TIMED, None) == on_connection("a", TwoWay.LOOSE, 1) == "a"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--match-timeout", "1s"), "--match-timeout was given without --two-way"),
        (("--conn", "0"), "--conn was given without --two-way"),
        (("--two-way", "timed", "--rules", "r.toml"), "--rules was given"),
        (("--two-way", "strict", "--rules", "r.toml"), "exclude each other"),
        (("--rules", "r.toml"), "r.toml cannot be read"),
        (("--two-way", "loose", "--loop"), "cannot begin again"),
        (("--two-way", "loose", "--console-port", "8123"), "--console-port was given, and there is no console"),
        (("--two-way", "loose", "--console-host", "::1"), "--console-host was given"),
        (("--no-console", "--console-token", "a-long-token"), "--console-token was given"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(["replay", "latest", "--port", "0", *options]) == 2
    assert says in capsys.readouterr().err
