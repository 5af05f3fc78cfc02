"""A disk that is full or fails: at each of its operations in turn, and a real small one that fills up.

What was recorded stays readable, the error says so, recording resumes when the disk takes events again, and a gap tells
which frames are missing.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from torture.counted_feed import CountedFeed, payload
from torture.disk_rehearsal import Case, Result, rehearse, walk
from torture.finding import Finding
from torture.forked_recorder import ForkedRecorder, warm_context
from wsrecorder.errors import WsrecError
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection

__all__ = ["findings"]

_LANES: Final = 2
_NEVER: Final = 1 << 60
_OUTAGES: Final = 12
_PATIENCE_S: Final = 30.0
_DISK: Final = "12m"
_ROOMY_DISK: Final = "400m"
_BALLAST_BYTES: Final = 11 << 20


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Refuse each operation of a disk in turn; then fill small ones."""
    return [_each_operation(seed, effort, folder), _small_disks(seed, effort, folder)]


# Each operation in turn.


def _each_operation(seed: int, effort: float, folder: Path) -> Finding:
    undisturbed = rehearse(Case(seed, _NEVER, 0, 0), folder / "undisturbed")
    cases = [Case.drawn(seed, number) for number in _chosen(undisturbed.operations, effort)]
    places = [folder / str(case.begins) for case in cases]
    if len(cases) < 50:
        results = [_rehearsed(case, place) for case, place in zip(cases, places, strict=True)]
    else:
        with ProcessPoolExecutor(_LANES, mp_context=warm_context()) as pool:
            results = list(pool.map(_rehearsed, cases, places, chunksize=8))
    results.insert(0, undisturbed)
    broken = next((result for result in results if result.broken), None)
    resumed = [result for result in results if result.gaps and result.is_sealed]
    kinds = Counter(result.kind for result in results if result.kind)
    where = ", ".join(f"{count} at a {kind}" for kind, count in kinds.most_common())
    ended = sum(not result.is_sealed for result in results)
    events, lost = sum(result.events for result in results), sum(result.lost_frames for result in results)
    return Finding(
        "a disk that refuses costs nothing that was synced; recording resumes with a gap that tells what is missing",
        "each operation of the disk in turn is the first to be refused, ENOSPC or EIO, once, for a while or to the "
        "end, writes cut short, failed syncs losing what they were to keep; read and verified meanwhile and after",
        f"{len(cases)} outages ({where}), {len(resumed)} resumed with a gap, {ended} ended by it and recovered; "
        f"{events:,} events, {lost:,} frames missing as the gaps say, "
        f"{sum(bool(result.broken) for result in results)} at fault",
        broken is None,
        f"{broken.case}: {broken.broken}" if broken else "",
    )


def _chosen(operations: tuple[str, ...], effort: float) -> list[int]:
    """Return numbers of operations, from 1 on: of each kind its share, and one at least."""
    chosen: list[int] = []
    for kind in sorted(set(operations)):
        numbers = [number for number, found in enumerate(operations, 1) if found == kind]
        count = max(1, round(len(numbers) * min(effort, 1.0)))
        chosen += [numbers[index * len(numbers) // count] for index in range(count)]
    return sorted(chosen)


def _rehearsed(case: Case, place: Path) -> Result:
    logging.getLogger("wsrecorder").setLevel(logging.CRITICAL)
    try:
        return rehearse(case, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


# Small disks that fill up.


@dataclass(frozen=True, slots=True)
class Filling:
    """How a small disk is filled.

    Attributes:
        form: ``parquet`` or ``duckdb``.
        transport: Of the recorder.
        ends: Whether the recording is ended while the disk is full, instead of being given space.
        rests_s: How long the disk is full.
    """

    form: str
    transport: str
    ends: bool
    rests_s: float

    @classmethod
    def drawn(cls, seed: int, number: int, transports: list[str]) -> Filling:
        """Return the case of a number: both forms in turn, a third of each ended."""
        chance = random.Random(f"{seed}:{number}")
        return cls(
            ("parquet", "duckdb")[number % 2], chance.choice(transports), number % 6 >= 4, chance.uniform(0.5, 3)
        )


@dataclass(frozen=True, slots=True)
class Outage:
    """A small disk that was filled.

    Attributes:
        filling: How.
        events: Events in the session in the end.
        lost_frames: Frames missing, as the gaps say.
        unwritten: Frames after the last event, of a recording that was ended while the disk was full.
        broken: What is wrong, or nothing.
    """

    filling: Filling
    events: int = 0
    lost_frames: int = 0
    unwritten: int = 0
    broken: str = ""


def _small_disks(seed: int, effort: float, folder: Path) -> Finding:
    promise = "a recorder whose disk is full goes on when there is space again, and else ends with exit code 4"
    trial = (
        f"`wsrec record --min-free 0` onto a tmpfs of {_DISK} that the session fills; space is given back after some "
        "seconds, or SIGTERM comes meanwhile; held against the feed"
    )
    transports = ["websockets", "picows"] if find_spec("picows") else ["websockets"]
    outages: list[Outage] = []
    for number in range(max(1, round(_OUTAGES * effort))):
        with _small_disk(folder / f"disk{number}") as disk:
            if disk is None:
                why = "not tried: only root can mount a small disk, where mounting is allowed"
                return Finding(promise, trial, why, is_kept=True)
            outages.append(_fill(Filling.drawn(seed, number, transports), disk))
    broken = next((outage for outage in outages if outage.broken), None)
    return Finding(
        promise,
        trial,
        f"{len(outages)} disks filled; {sum(outage.events for outage in outages):,} events kept, "
        f"{sum(outage.lost_frames for outage in outages):,} frames missing as the gaps say, "
        f"{sum(bool(outage.broken) for outage in outages)} at fault",
        broken is None,
        f"{broken.filling}: {broken.broken}" if broken else "",
    )


@contextmanager
def _small_disk(path: Path) -> Iterator[Path | None]:
    """Mount a small disk; give None where that is not possible."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(path)]
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None
    if not is_root or subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _fill(filling: Filling, disk: Path) -> Outage:
    is_duckdb, ends, rests_s = filling.form == "duckdb", filling.ends, filling.rests_s
    into = ["--into", str(disk / "d.duckdb")] if is_duckdb else ["--library", str(disk), "--rotate", "2MB"]
    options = ["--name", "d", "--min-free", "0", "--transport", filling.transport]
    log = disk.with_suffix(".log")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    pad_bytes = 1_500
    with CountedFeed(block=40, pause_s=0.004, pad_bytes=pad_bytes) as feed:
        recorder = ForkedRecorder([feed.url, *into, *options], log)
        try:
            _wait(lambda: "recording goes on as soon as" in log.read_text() if log.exists() else False, recorder)
            time.sleep(rests_s)
            if not ends:
                _give_space(disk, ballast)
                _wait(lambda: "takes events again, after" in log.read_text(), recorder)
                time.sleep(rests_s / 2)
            recorder.ask_to_end()
            _wait(lambda: not recorder.is_running, recorder)
            code = recorder.exit_code
            sent = [payload(number, pad_bytes) for number in range(feed.sent + 40)]
        except AssertionError as exc:
            return Outage(filling, broken=f"{exc}: {log.read_text()[-500:]}")
        finally:
            recorder.kill()
    _give_space(disk, ballast)
    said = log.read_text()
    if "Traceback" in said or code != (4 if ends else 0) or (ends and "could not be written" not in said):
        return Outage(filling, broken=f"it ended with {code}: {said[-500:]}")
    return _judged(filling, disk, sent, is_sealed=not ends)


def _give_space(disk: Path, ballast: Path) -> None:
    ballast.unlink(missing_ok=True)
    subprocess.run(["mount", "-o", f"remount,size={_ROOMY_DISK}", str(disk)], check=True)


def _judged(filling: str, disk: Path, sent: list[bytes], *, is_sealed: bool) -> Outage:
    (path,) = Library(disk).paths()
    store = open_store(path)
    try:
        before = [event for rows in store.batches(Selection()) for event in iter_events(rows)]
        if not is_sealed:
            recover(store)
        report = verify(store)
        assert report.is_sound, json.dumps(report.to_dict())
        assert store.manifest().sealed
        assert store.manifest().events == len(before), "a recovery changed what was read"
        _, lost, unwritten = walk(before, sent, is_whole=False)
    except (AssertionError, WsrecError) as exc:
        return Outage(filling, broken=str(exc))
    return Outage(filling, len(before), lost, unwritten)


def _wait(is_so: Callable[[], bool], recorder: ForkedRecorder) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert recorder.is_running or is_so(), f"it ended with {recorder.exit_code}"
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.02)
