"""Minutes of what `torture.soak` does for a day; and that growth is seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torture.soak_recorder import record_day
from torture.soak_replay import replay_day
from torture.soak_sockets import look_at_console, record_over_sockets, tap_over_sockets
from torture.vitals import Look, Vitals
from wsrecorder.jobs.reaching import Reaching
from wsrecorder.net.transport import Link

MINUTES = 1 / 60
FLAT = Look(resident_bytes=100 << 20, blocks=400_000, descriptors=20, tasks=7, threads=4)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_twenty_minutes_of_recording_hold_no_more_at_their_end(tmp_path: Path) -> None:
    soaked = record_day(3, 20 * MINUTES, tmp_path, trouble_s=25)
    assert not soaked.trouble
    assert ", 0 reconnects" not in soaked.work  # 30 of them end in the same words


def test_twenty_minutes_of_a_replay_that_loops_hold_no_more_at_their_end(tmp_path: Path) -> None:
    soaked = replay_day(3, 20 * MINUTES, tmp_path)
    assert not soaked.trouble
    assert " in 1 passes" not in soaked.work


@pytest.mark.parametrize(
    ("part", "times"),
    [(record_over_sockets, 12), (tap_over_sockets, 12), (look_at_console, 3)],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_connections_leave_nothing_behind(part: Callable[[int, float, Path], Any], times: int, tmp_path: Path) -> None:
    assert not part(3, times, tmp_path).trouble


def test_a_task_left_behind_by_each_reconnect_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[asyncio.Task[Any]] = []
    again = Reaching.again

    async def leave_a_task(self: Reaching, until_ns: int | None = None) -> Link | None:
        left.append(asyncio.create_task(asyncio.Event().wait()))
        return await again(self, until_ns)

    monkeypatch.setattr(Reaching, "again", leave_a_task)
    assert "tasks" in record_day(3, 20 * MINUTES, tmp_path, trouble_s=25).trouble


@pytest.mark.parametrize(
    ("name", "step"), [("descriptors", 1), ("tasks", 1), ("threads", 1), ("blocks", 500), ("resident_bytes", 2 << 20)]
)
def test_what_grows_with_each_look_is_named(name: str, step: int) -> None:
    vitals = Vitals()
    for number in range(30):
        values = {field: getattr(FLAT, field) for field in Look.__slots__}
        vitals.looks.append(Look(**{**values, name: values[name] + step * number}))
    assert name in vitals.growth()


def test_what_grows_at_first_and_comes_and_goes_is_flat() -> None:
    vitals = Vitals()
    for number in range(30):
        warm = min(number, 9)
        vitals.looks.append(
            Look(
                resident_bytes=FLAT.resident_bytes + warm * (5 << 20) + number % 3 * (4 << 20),
                blocks=FLAT.blocks + warm * 10_000,
                descriptors=FLAT.descriptors + warm + number % 3,
                tasks=FLAT.tasks + number % 2,
                threads=FLAT.threads,
            )
        )
    assert vitals.growth() == ""
