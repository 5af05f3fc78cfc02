"""The short form of the power losses, and the laws of the disk that is lost with them."""

import os
import random
from pathlib import Path

import pytest

from torture import power, recorded
from torture.disk_after import DiskAfter, Files
from torture.tape import Mark, Named, Step, Synced, SyncedFolder, Tape, Written

FILE = b"a" * 1_000


def test_nothing_that_was_synced_goes_with_the_power(tmp_path: Path) -> None:
    for finding in power.findings(seed=1, effort=0.02, folder=tmp_path):
        assert finding.is_kept, finding.detail


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_recorder_that_leaves_out_a_sync_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    syncing = Tape._syncing
    monkeypatch.setattr(Tape, "_syncing", lambda tape, real: real if real.__name__ == call else syncing(tape, real))
    found = power._trial(1, "parquet", 0, 6, 0, tmp_path)
    assert "events were safe" in found.broken


def step_by_step(root: Path) -> list[Step]:
    """Return the steps of a file that is written, synced, renamed, and of its folder."""
    tape = Tape(root)
    with tape.recording():
        with (root / "a.tmp").open("wb") as file:
            file.write(FILE)
            file.flush()
            os.fsync(file.fileno())
        (root / "a.tmp").rename(root / "a")
        folder = os.open(root, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return list(tape.steps)


def test_the_tape_tells_each_step_in_order(tmp_path: Path) -> None:
    made, written, synced, renamed, folder = step_by_step(tmp_path)
    assert isinstance(made, Named)
    (node,) = made.made
    assert made.changes == ((Tape.ROOT, "a.tmp", node),)
    assert (written, synced) == (Written(node, 0, FILE, len(FILE)), Synced(node))
    assert renamed == Named(((Tape.ROOT, "a", node), (Tape.ROOT, "a.tmp", None)))
    assert folder == SyncedFolder(Tape.ROOT)


def test_a_name_is_sure_only_when_its_folder_was_synced(tmp_path: Path) -> None:
    disk, seen = DiskAfter(), []
    for step in step_by_step(tmp_path):
        disk.take(step)
        seen.append(sorted({tuple(files) for files in disk.extremes()}))
    assert seen == [[(), ("a.tmp",)]] * 3 + [[(), ("a",)]] + [[("a",)]]


def test_bytes_are_sure_only_when_their_file_was_synced(tmp_path: Path) -> None:
    disk = DiskAfter()
    made, written, synced, *_ = step_by_step(tmp_path)
    for step in (made, SyncedFolder(Tape.ROOT), written):
        disk.take(step)
    chance = random.Random(1)
    torn = [disk.drawn(chance)["a.tmp"] for _ in range(200)]
    assert {b"", FILE, FILE[:512], bytes(1_000)} < set(torn)
    assert FILE[:512] + bytes(488) in torn
    assert bytes(512) + FILE[512:] in torn
    disk.take(synced)
    assert {disk.drawn(chance)["a.tmp"] for _ in range(50)} == {FILE}


def test_what_was_synced_of_a_file_that_grows_is_never_torn() -> None:
    disk = DiskAfter([Named(((Tape.ROOT, "a", 1),), {1: False}), Written(1, 0, FILE, 1_000)])
    disk.take(Written(1, 1_000, b"b" * 2_000, 3_000))
    chance = random.Random(2)
    states: list[Files] = [*disk.extremes(), *(disk.drawn(chance) for _ in range(300))]
    assert all((files["a"] or b"").startswith(FILE) for files in states)
    assert len({files["a"] for files in states}) > 20


def test_steps_of_the_sealer_come_in_order_and_after_their_journal() -> None:
    tape = Tape.__new__(Tape)
    tape.steps = [Mark(number) for number in range(10)]
    tape.aside = [(3, Synced(1)), (3, Synced(2)), (7, Synced(3))]
    for seed in range(50):
        steps = recorded._interleaved(tape, random.Random(seed))
        assert [step for step in steps if isinstance(step, Mark)] == tape.steps
        at = [steps.index(Synced(node)) for node in (1, 2, 3)]
        assert at == sorted(at)
        assert at[0] >= 3
