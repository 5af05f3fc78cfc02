"""A recorder killed under load, at random moments: what it had synced is all there, once and unaltered."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.crashing_recorder import payload
from tests.store.sessions import read
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store.session import ParquetStore

PROJECT = Path(__file__).parents[2]


def kill_under_load(folder: Path, chance: random.Random) -> int:
    """Run a recorder, kill it at a random moment after its first report, and return what it reported last."""
    command = [sys.executable, "-m", "tests.store.crashing_recorder", str(folder)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as recorder:
        assert recorder.stdout is not None
        pipe = recorder.stdout.fileno()
        reported = os.read(pipe, 1 << 16)
        assert reported, "the recorder ended by itself"
        until = time.monotonic() + chance.uniform(0, 0.4)
        # Read on, so that it never waits for us; between two lines it can be anywhere in its work.
        while (left := until - time.monotonic()) > 0:
            if select.select([pipe], [], [], left)[0]:
                reported += os.read(pipe, 1 << 16)
        os.kill(recorder.pid, signal.SIGKILL)
        reported += recorder.stdout.read()
    return int(reported.rpartition(b"\n")[0].splitlines()[-1])


@pytest.mark.parametrize("seed", range(20))
def test_a_killed_recorder_loses_nothing_that_was_synced(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "killed"
    synced_seq = kill_under_load(folder, random.Random(seed))
    before = read(ParquetStore(folder))
    recovery = recover(ParquetStore(folder))
    found = read(ParquetStore(folder))
    assert found == before  # what a reader saw of the crashed session is what recovery kept
    assert len(found) > synced_seq
    assert recovery.events == len(found)
    for index, event in enumerate(found):
        assert event.seq == index
        assert event.payload == payload(index)
    report = verify(ParquetStore(folder))
    assert report.is_sound, report.findings
    assert not recovery.lost
    assert recovery.exit_code == (6 if recovery.cut else 0)
    again = recover(ParquetStore(folder))
    assert (again.sealed, again.removed, again.cut, again.events) == ([], [], [], len(found))
