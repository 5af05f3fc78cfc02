"""What commands print: what others sent stays within a line of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from copy import copy

import pytest

from wsrecorder.cli.output import escape_last_resort, log_to_stderr, print_error, print_json, print_lines, say

FORGED = "bye\n2026-01-01T00:00:00.000Z ERROR   all is lost\r\x1b[2J\x9b1m\u2028\u202e"
SHOWN = "bye\\n2026-01-01T00:00:00.000Z ERROR   all is lost\\r\\x1b[2J\\x9b1m\\u2028\\u202e"


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The log of the program, as it was when the test is over."""
    logger, loop = logging.getLogger("wsrecorder"), logging.getLogger("asyncio")
    before = (logger.handlers[:], logger.level, logger.propagate, loop.handlers[:])
    yield logger
    logger.handlers[:], loop.handlers[:] = before[0], before[3]
    logger.setLevel(before[1])
    logger.propagate = before[2]


def test_a_line_of_the_log_cannot_be_forged(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    logging.getLogger("wsrecorder.any").warning("closed: %s", FORGED)
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(f"Z WARNING closed: {SHOWN}")
    assert line.isprintable()


def test_a_line_of_a_log_in_json_cannot_steer_a_terminal(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr(as_json=True)
    logging.getLogger("wsrecorder.any").warning("closed: %s", FORGED, extra={"reason": FORGED})
    [line] = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    found = json.loads(line)
    assert (found["message"], found["fields"]) == (f"closed: {FORGED}", {"reason": FORGED})


def test_a_log_that_nobody_set_up_cannot_be_forged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = copy(logging.lastResort)
    assert last is not None
    monkeypatch.setattr(logging, "lastResort", last)
    escape_last_resort()
    last.handle(logging.makeLogRecord({"levelno": logging.WARNING, "msg": "closed: %s", "args": (FORGED,)}))
    assert capsys.readouterr().err == f"closed: {SHOWN}\n"


def test_what_is_printed_for_people_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    say(FORGED)
    print_lines([FORGED, "next"])
    assert capsys.readouterr() == (f"{SHOWN}\nnext\n", f"{SHOWN}\n")


def test_further_lines_of_an_error_are_set_in(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("wrong:\nLINE 1\nhint: \x1b[2J", "a\nb")
    assert capsys.readouterr().err == "error: wrong:\n  LINE 1\n  hint: \\x1b[2J\nhint: a\\nb\n"


def test_json_is_on_one_line_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"reason": FORGED, "late": float("nan")})
    [line] = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert json.loads(line) == {"reason": FORGED, "late": None}
