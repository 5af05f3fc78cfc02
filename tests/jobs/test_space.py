"""A recording ends in order before its disk is full, after a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsrecorder.clock import VirtualClock
from wsrecorder.errors import StorageError
from wsrecorder.jobs.space import FreeSpace, refuse_full_disk, until_low


class Disk:
    """A disk that has less left each time it is asked."""

    def __init__(self, *free_bytes: int | StorageError) -> None:
        self.left = list(free_bytes)

    def free_bytes(self, path: Path) -> int:
        found = self.left.pop(0)
        if isinstance(found, StorageError):
            raise found
        return found


async def test_it_warns_once_at_twice_the_limit_and_ends_below_it(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(3 << 20, 2 << 20, (2 << 20) - 1, 1 << 20, (1 << 20) - 1, 0)
    space = FreeSpace(1 << 20)
    error = await until_low(Path("/d"), space, VirtualClock(), disk.free_bytes)
    assert space.free_bytes == (1 << 20) - 1
    assert disk.left == [0], "exactly the limit is still enough"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage() == "the disk of /d has 2.0 MiB free; at 1.0 MiB the recording ends"
    assert error.exit_code == 4
    assert "sealed" in error.hint


async def test_it_warns_again_after_there_was_room(caplog: pytest.LogCaptureFixture) -> None:
    await until_low(Path("/d"), FreeSpace(10), VirtualClock(), Disk(15, 30, 15, 9).free_bytes)
    assert len(caplog.records) == 2


async def test_a_disk_that_does_not_say_ends_nothing() -> None:
    disk, space, seen = Disk(20, StorageError("away", hint=""), 5), FreeSpace(10), []

    def free_bytes(path: Path) -> int:
        seen.append(space.free_bytes)
        return disk.free_bytes(path)

    await until_low(Path("/d"), space, VirtualClock(), free_bytes)
    assert disk.left == []
    assert seen == [None, 20, None], "what was free a while ago is not what is"
    assert space.free_bytes == 5


def test_a_disk_with_too_little_left_is_not_begun_on(tmp_path: Path) -> None:
    refuse_full_disk(tmp_path / "not" / "there", 1)
    refuse_full_disk(tmp_path, 0)
    with pytest.raises(
        StorageError, match=r"^the disk of \S+ has [\d.]+ \S+ free, where --min-free asks for 1048576\.0 T"
    ):
        refuse_full_disk(tmp_path, 1 << 60)
    missing = tmp_path / "not" / "there"
    with pytest.raises(StorageError) as caught:
        refuse_full_disk(missing, 1 << 60)
    assert caught.value.message.startswith(f"there is no {missing} yet, and the disk of {tmp_path} has ")
    assert "nothing was recorded" in caught.value.hint
