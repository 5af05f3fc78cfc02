"""Errors of our own making: counted each, logged once each, and one exit code."""

from __future__ import annotations

import asyncio
import logging

import pytest

from wsrecorder.errors import OwnMistake, UsageError
from wsrecorder.jobs.mishaps import Mishaps


def fail(error: Exception) -> None:
    raise error


def test_nothing_is_said_of_what_did_not_happen() -> None:
    assert (Mishaps().count, Mishaps().counts, Mishaps().exit_code(), Mishaps().exit_code(6)) == (0, {}, 0, 6)


def test_it_is_logged_once_from_each_place_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    mishaps = Mishaps()
    for _ in range(3):
        with mishaps.contain("client", "others go on"):
            fail(KeyError("secret"))
        with mishaps.contain("feed"):
            fail(KeyError("secret"))
        with mishaps.contain("client"):
            fail(ValueError("secret"))
    assert mishaps.counts == {"client": 6, "feed": 3}
    assert mishaps.summary() == "9 unexpected errors (client 6, feed 3), held to where they arose"
    assert mishaps.exit_code(6) == 1
    assert [record.getMessage().partition(" at ")[0] for record in caplog.records] == [
        "client: unexpected KeyError", "feed: unexpected KeyError", "client: unexpected ValueError",
    ]  # fmt: skip
    assert all(record.levelno == logging.ERROR and record.exc_info is not None for record in caplog.records)
    assert caplog.records[0].getMessage().endswith("; others go on")
    assert "secret" not in "".join(record.getMessage() for record in caplog.records)


def test_what_is_raised_on_purpose_goes_on_its_way() -> None:
    mishaps = Mishaps()
    with pytest.raises(UsageError), mishaps.contain("client"):
        raise UsageError("no", hint="yes")
    assert mishaps.count == 0


def test_an_error_that_several_see_counts_once() -> None:
    mishaps = Mishaps()
    cause = KeyError()
    mishaps.note("writer", cause)
    mishaps.note("feed", OwnMistake("it was ended", cause, hint=""))
    assert mishaps.counts == {"writer": 1}


def test_no_more_places_are_logged_than_anybody_reads(caplog: pytest.LogCaptureFixture) -> None:
    mishaps = Mishaps()
    for number in range(300):
        mishaps.note(f"place {number}", KeyError())
    assert (mishaps.count, len(caplog.records)) == (300, 100)


async def test_the_end_of_a_task_that_nobody_waits_for_is_heard_of() -> None:
    mishaps = Mishaps()

    async def work(error: Exception | None) -> None:
        if error is not None:
            raise error

    broken, fine = asyncio.create_task(work(KeyError())), asyncio.create_task(work(None))
    cancelled = asyncio.create_task(asyncio.sleep(60))
    for task in (broken, fine, cancelled):
        mishaps.watch(task, "client")
    cancelled.cancel()
    await asyncio.wait((broken, fine, cancelled))
    await asyncio.sleep(0)
    assert mishaps.counts == {"client": 1}


async def test_the_loop_tells_of_callbacks_and_keeps_to_itself_what_the_system_refuses() -> None:
    mishaps = Mishaps()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(mishaps.on_loop_error)
    loop.call_soon(fail, KeyError())
    loop.call_soon(fail, OSError(24, "Too many open files"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert mishaps.counts == {"loop": 1}
