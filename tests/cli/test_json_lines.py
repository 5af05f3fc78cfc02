"""``--log-format json``: one JSON object a line, whatever happens, and never a payload."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from tests.cli.programs import wsrec
from tests.jobs.dialogues import dialogue, talker
from tests.numbered_feed import NumberedFeed
from wsrecorder.cli.json_lines import JsonLines


def lines(errors: str) -> list[dict[str, Any]]:
    """Every line that was printed, each of which must be an object of the documented keys."""
    found = [json.loads(line) for line in errors.splitlines()]
    for entry in found:
        assert set(entry) >= {"time", "level", "logger", "message", "fields"}
    return found


def record_of(**more: Any) -> logging.LogRecord:
    entry = {"name": "wsrecorder.x", "levelname": "WARNING", "msg": "said %s", "args": ("hello",), "created": 1.25}
    return logging.makeLogRecord(entry | more)


def test_a_record_is_one_object_on_one_line() -> None:
    text = JsonLines().format(record_of(feed="ws://a/\nb", path=Path("/x")))
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "1970-01-01T00:00:01.250Z",
        "level": "warning",
        "logger": "wsrecorder.x",
        "message": "said hello",
        "fields": {"feed": "ws://a/\nb", "path": "/x"},
    }


def test_a_message_that_quotes_a_payload_gives_way_to_the_one_without() -> None:
    found = json.loads(JsonLines().format(record_of(without_payload="said something")))
    assert (found["message"], found["fields"]) == ("said something", {})


def test_of_an_exception_type_and_place_are_told_and_not_its_words() -> None:
    try:
        raise ValueError("the payload: 4711")
    except ValueError:
        text = JsonLines().format(record_of(exc_info=sys.exc_info()))
    found = json.loads(text)
    assert found["exception"] == "ValueError"
    assert "test_json_lines.py" in found["traceback"]
    assert "4711" not in text.replace('raise ValueError(\\"the payload: 4711\\")', "")  # the source of this test


async def test_every_line_of_a_recorder_is_json_to_the_end(tmp_path: Path) -> None:
    with NumberedFeed(100, first=[b'{"type": "SECRET", "word": "xyzzy"}']) as feed:
        url = feed.url
        async with wsrec("record", url, "--metrics", "0", "--log-format", "json", cwd=tmp_path) as program:
            await program.says("recording into")
            feed.__exit__(None, None, None)
            await program.says("reconnecting")
            program.signal(signal.SIGTERM)
            code, _, errors = await program.ended()
    found = lines(errors)
    assert code == 0
    assert "xyzzy" not in errors
    (lost,) = [entry for entry in found if entry["level"] == "warning"]
    assert lost["fields"]["feed"] == url
    assert found[0]["message"].startswith("metrics at")
    assert found[-1]["message"].startswith("recorded 101 messages")


async def test_an_error_is_json_too_with_its_hint(tmp_path: Path) -> None:
    async with wsrec("record", "ws://127.0.0.1:1/", "--log-format", "json", cwd=tmp_path) as program:
        code, _, errors = await program.ended()
    found = lines(errors)
    assert code == 3
    assert found[-1]["level"] == "error"
    assert found[-1]["fields"]["hint"]


async def test_what_a_client_said_is_not_in_the_log(tmp_path: Path) -> None:
    dialogue(tmp_path / "recordings", ("<", 0, "welcome"), (">", 1, "hello-secret"), ("<", 2, "hi"))
    async with wsrec(
        "replay", "latest", "--port", "0", "--speed", "max", "--at-end", "exit",
        "--two-way", "strict", "--match-timeout", "100ms", "--log-format", "json", cwd=tmp_path,
    ) as program:  # fmt: skip
        async with talker((await program.url()).strip('",')) as client:
            await client.say("hullo-secret")
            await client.rest()
        code, _, errors = await program.ended()
    found = lines(errors)
    assert code == 1
    assert "secret" not in errors
    assert any(entry["message"].endswith("did not say what was expected") for entry in found)
