from __future__ import annotations

from pathlib import Path

import pytest

from wsrecorder.errors import StorageError
from wsrecorder.jobs.staging import staging


def test_what_is_renamed_out_stays_and_the_rest_goes(tmp_path: Path) -> None:
    with staging(tmp_path / "place") as folder:
        (folder / "kept").touch()
        (folder / "left").touch()
        (folder / "kept").replace(tmp_path / "place" / "kept")
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["kept"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_not_even_the_folders_it_made(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with staging(tmp_path / "a" / "b") as folder:
            (folder / "half").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ValueError, match="x"), staging(tmp_path):
        raise ValueError("x")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_place_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file, expected a folder"), staging(tmp_path / "file"):
        pass
