"""The bound of a spool, with files that only look large."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wsrecorder.errors import StorageError
from wsrecorder.store.spool_bound import SpoolBound

GB = 1_000_000_000
MAX_BYTES = 10 * GB
S = 1_000_000_000

Fill = Callable[[int], None]
Warned = Callable[[], list[str]]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Set how much waits in the spool, bytes."""
    session = tmp_path / "session" / "events"
    session.mkdir(parents=True)
    waits = session / "000000.parquet"
    waits.touch()
    return lambda size_bytes: os.truncate(waits, size_bytes)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    """Return what was warned of since the last time."""
    caplog.set_level(logging.WARNING, "wsrecorder.record")

    def new() -> list[str]:
        said = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return said

    return new


def bound(spool: Path, *, refuses: bool = True) -> SpoolBound:
    return SpoolBound(spool, MAX_BYTES, destination="the stream", hint="wait", refuses=refuses)


def test_half_full_is_warned_of_and_less_is_not(tmp_path: Path, fill: Fill, warned: Warned) -> None:
    looking = bound(tmp_path)
    fill(5 * GB - 1)
    looking.check(0)
    assert warned() == []
    fill(5 * GB)
    looking.check(1 * S)
    assert warned() == [
        f"the spool {tmp_path} holds 5.00 GB that are not in the stream yet; at 10.00 GB nothing more is taken"
    ]


def test_each_tenth_more_is_warned_of_again(tmp_path: Path, fill: Fill, warned: Warned) -> None:
    looking = bound(tmp_path)
    told = []
    for second, tenths_gb in enumerate([50, 59, 60, 60, 69, 75, 84, 85]):
        fill(tenths_gb * GB // 10)
        looking.check(second * S)
        told.append(len(warned()))
    assert told == [1, 0, 1, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(("emptied_bytes", "again"), [(MAX_BYTES // 4, 0), (MAX_BYTES // 4 - 1, 1)])
def test_below_a_quarter_it_begins_anew(
    tmp_path: Path, fill: Fill, warned: Warned, emptied_bytes: int, again: int
) -> None:
    looking = bound(tmp_path)
    fill(9 * GB)
    looking.check(0)
    fill(emptied_bytes)
    looking.check(1 * S)
    assert len(warned()) == 1
    fill(6 * GB)
    looking.check(2 * S)
    assert len(warned()) == again


def test_a_full_spool_is_refused_at_each_call_until_something_has_left(tmp_path: Path, fill: Fill) -> None:
    looking = bound(tmp_path)
    fill(MAX_BYTES)
    for _ in range(3):
        with pytest.raises(StorageError) as told:
            looking.check(0)
        assert told.value.message == f"the spool {tmp_path} holds 10.00 GB, and --spool-max allows 10.00"
        assert told.value.hint == "wait"
    fill(MAX_BYTES - 1)
    looking.check(0)


def test_one_that_fills_up_later_is_looked_at_each_time_too(tmp_path: Path, fill: Fill) -> None:
    looking = bound(tmp_path)
    looking.check(0)
    fill(MAX_BYTES)
    for elapsed_ns in (1 * S, 1 * S + 1, 1 * S + 2):
        with pytest.raises(StorageError):
            looking.check(elapsed_ns)
    fill(0)
    looking.check(1 * S + 3)


def test_it_looks_once_a_second(tmp_path: Path, fill: Fill) -> None:
    looking = bound(tmp_path)
    looking.check(7 * S)
    fill(MAX_BYTES)
    looking.check(8 * S - 1)
    with pytest.raises(StorageError):
        looking.check(8 * S)


def test_a_spool_that_is_kept_refuses_nothing(tmp_path: Path, fill: Fill, warned: Warned) -> None:
    looking = bound(tmp_path, refuses=False)
    fill(2 * MAX_BYTES)
    looking.check(0)
    assert len(warned()) == 1
    fill(2 * MAX_BYTES + 1)
    looking.check(1 * S)
    assert warned() == []
