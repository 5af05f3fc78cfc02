"""Whatever the umask: what wsrec makes is readable for its owner only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.numbered_feed import NumberedFeed
from tests.test_killed import wait_for_session
from wsrecorder.cli import main
from wsrecorder.store import disk

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def too_open(folder: Path) -> list[str]:
    """What below a folder others may use."""
    return [
        f"{stat.filemode(path.lstat().st_mode)} {path.relative_to(folder)}"
        for path in sorted(folder.rglob("*"))
        if path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_recording_is_its_owners_alone_at_every_moment(tmp_path: Path, form: str) -> None:
    library = tmp_path / "deep" / "library"
    into = ["--into", str(library / "n.duckdb")] if form == "duckdb" else ["--rotate", "50KB"]
    seen: set[str] = set()
    with NumberedFeed(pause_s=0.005) as feed:
        command = [sys.executable, "-m", "wsrecorder", "record", feed.url, "--library", str(library), "--quiet", *into]
        recorder = subprocess.Popen(command, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            while not library.exists():
                assert recorder.poll() is None, recorder.communicate()
                time.sleep(0.001)
            path = wait_for_session(library, recorder)
            for _ in range(200):
                seen |= _looked_at(tmp_path)
        finally:
            recorder.kill()
            recorder.communicate()
    assert seen == set()
    assert main(["recover", str(path)]) in (0, 6)
    assert main(["note", str(path), "look here", "--at", "0s"]) == 0
    assert main(["trim", str(path), "--to", "1s", "--library", str(library)]) == 0
    assert main(["trim", str(path), "--to", "1s", "--into", str(library / "t.duckdb")]) == 0
    assert too_open(tmp_path) == []
    assert len(list(tmp_path.rglob("*"))) > 4


def _looked_at(folder: Path) -> set[str]:
    try:
        return set(too_open(folder))
    except FileNotFoundError:  # a journal that was sealed meanwhile
        return set()


def test_an_export_is_made_as_the_umask_has_it(tmp_path: Path) -> None:
    with NumberedFeed(10) as feed:
        assert main(["record", feed.url, "--library", str(tmp_path / "lib"), "--quiet", "--max-events", "10"]) == 0
    out = tmp_path / "out.jsonl"
    assert main(["export", "latest", "--out", str(out), "--library", str(tmp_path / "lib")]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o666


def test_blocks_that_are_private_at_the_same_time_give_the_umask_back_once() -> None:
    os.umask(0o022)
    inside, may_go = threading.Barrier(3), threading.Event()

    def work() -> None:
        with disk.private():
            inside.wait()
            may_go.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    with disk.private():
        assert os.umask(0o077) == 0o077
    assert os.umask(0o077) == 0o077  # two are still inside
    may_go.set()
    for thread in threads:
        thread.join()
    assert os.umask(0) == 0o022
