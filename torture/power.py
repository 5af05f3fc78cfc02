"""Power lost at every step of a recording: what was synced before is there, in whatever state the rest is.

A session is recorded, rotated, sealed and closed for real, and every step that its disk took is recorded (`tape`). For
each beginning of these steps the disks that a power loss may leave are made (`disk_after`): the extremes always, others
by the seed. Each of them is recovered and verified.

Segments are sealed on a thread of their own. Its steps are put where the seed says, not before their journal was closed
and in their order: that is what another day's scheduling would have done.

DuckDB syncs from inside. Its log grows by appending, and a transaction is over when the log is synced, so a sync is
put there. The steps inside of a checkpoint, which writes the file and removes the log, cannot be seen from outside: the
disk is tried before it, after it, and after it with the log still there.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torture.disk_after import DiskAfter, Files, lay_out
from torture.finding import Finding
from torture.forked_recorder import warm_context
from torture.recorded import LIBRARY, Recorded, payload, recorded
from torture.removed import removed
from torture.tape import Mark
from wsrecorder.errors import SessionError
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.removal import sweep
from wsrecorder.store.selection import Selection

__all__ = ["findings"]

_BATCHES: Final = 24
_DRAWN: Final = 6
"""States drawn for each beginning, beside the extremes."""

_TRIALS: Final = {"parquet": 3, "duckdb": 1, "removed parquet": 1, "removed duckdb": 1}
"""How many recordings and removals are tried."""

_LANES: Final = 2
_MEMORY: Final = Path("/dev/shm")


@dataclass(slots=True)
class _Tried:
    """What came out of one recording or removal.

    Attributes:
        prefixes: Beginnings of its steps.
        states: Disks that were judged.
        events: Events read back, all disks together.
        faults: How many beginnings and states were wrong.
        broken: The first of them, or nothing.
    """

    prefixes: int = 0
    states: int = 0
    events: int = 0
    faults: int = 0
    broken: str = ""


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Try all recordings and removals; with little effort one of each, tiny, and the extremes alone."""
    batches, drawn = max(6, round(_BATCHES * effort)), round(_DRAWN * effort)
    # Thousands of little folders made and removed: in memory where there is a disk of it.
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else folder
    with tempfile.TemporaryDirectory(prefix="wsrec-power-", dir=memory) as place:
        trials = [
            (seed, kind, number, batches, drawn, Path(place))
            for kind, times in _TRIALS.items()
            for number in range(max(1, round(times * effort)))
        ]
        if effort < 0.5:
            tried = [_trial(*trial) for trial in trials]
        else:
            with ProcessPoolExecutor(_LANES, mp_context=warm_context()) as pool:
                tried = list(pool.map(_trial, *zip(*trials, strict=True)))
    by_kind: dict[str, list[_Tried]] = {}
    for trial, outcome in zip(trials, tried, strict=True):
        by_kind.setdefault(trial[1].partition(" ")[0], []).append(outcome)
    return [_finding(kind, outcomes) for kind, outcomes in by_kind.items()]


def _trial(seed: int, kind: str, number: int, batches: int, drawn: int, folder: Path) -> _Tried:
    place = folder / f"{kind}{number}"
    place.mkdir()
    chance = random.Random(f"{seed}:{kind}:{number}")
    if kind.startswith("removed"):
        return _tried(removed(kind.split()[1], place / "real"), place / "after", drawn, chance, _fault_of_removal)
    recording = recorded(kind, place / "real", batches, chance)
    return _tried(recording, place / "after", drawn, chance, _fault_of_recording)


def _finding(kind: str, tried: list[_Tried]) -> Finding:
    promise, trial = {
        "parquet": ("a power loss takes nothing that was synced into a session's folder", _OF_RECORDINGS),
        "duckdb": ("a power loss takes nothing that was synced into a DuckDB file", _OF_RECORDINGS),
        "removed": ("after a power loss a session that was being removed is there whole or not at all", _OF_REMOVALS),
    }[kind]
    states, prefixes, events, faults = (
        sum(getattr(entry, name) for entry in tried) for name in ("states", "prefixes", "events", "faults")
    )
    figure = f"{states:,} states of the disk after {prefixes:,} steps, {events:,} events read back, {faults} at fault"
    return Finding(promise, trial, figure, not faults, next((entry.broken for entry in tried if entry.broken), ""))


_OF_RECORDINGS: Final = (
    "power cut after every step (write, sync, rename, remove) of a recording that rotates, seals and ends; what was "
    "not synced is there, or not, or torn by sectors, in any order; then `recover` and `verify`"
)
_OF_REMOVALS: Final = "power cut after every step of what `wsrec prune` does, in the same way; then `verify`"


def _tried(
    recording: Recorded,
    place: Path,
    drawn: int,
    chance: random.Random,
    fault_of: Callable[[Path], tuple[int, str]],
) -> _Tried:
    """Judge the disks that each beginning of a recording's steps may leave."""
    tried = _Tried()
    disk = DiskAfter(recording.before)
    promised = 0
    known: dict[int, tuple[int, str]] = {}
    for number, step in enumerate((None, *recording.steps)):
        if isinstance(step, Mark):
            promised = step.events
        elif step is not None:
            disk.take(step)
        tried.prefixes += 1
        for state, files in enumerate([*disk.extremes(), *(disk.drawn(chance) for _ in range(drawn))]):
            key = hash(frozenset(files.items()))
            if key not in known:
                known[key] = _judged(files, place, fault_of)
                tried.states += 1
                tried.events += known[key][0]
            events, fault = known[key]
            if not fault and events < promised:
                fault = f"{promised} events were safe, {events} are left"
            if fault:
                tried.faults += 1
                where = f"step {number} of {len(recording.steps)} ({str(step)[:120]}), state {state}"
                tried.broken = tried.broken or f"{where}, {_listed(files)}: {fault}"
    return tried


def _judged(files: Files, place: Path, fault_of: Callable[[Path], tuple[int, str]]) -> tuple[int, str]:
    lay_out(files, place)
    try:
        with _without_syncs():
            return fault_of(place / LIBRARY)
    except Exception as exc:  # whatever it is, a user would see a traceback
        return 0, f"{type(exc).__name__}: {exc}"
    finally:
        shutil.rmtree(place)


@contextmanager
def _without_syncs() -> Iterator[None]:
    """Leave out the syncs of what is only judged and thrown away."""
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync")}
    for name in real:
        setattr(os, name, lambda descriptor: None)
    try:
        yield
    finally:
        for name, call in real.items():
            setattr(os, name, call)


def _fault_of_recording(library: Path) -> tuple[int, str]:
    """Recover and verify what a library holds; return the events that are left, and what is wrong."""
    paths = Library(library).paths()
    if not paths:
        return 0, ""
    try:
        recovery = recover(open_store(paths[0]))
    except SessionError as exc:
        return 0, "" if exc.exit_code == SessionError.exit_code else f"exit code {exc.exit_code}: {exc.message}"
    report = verify(open_store(paths[0]))
    events, wrong = _compared(paths[0])
    again = recover(open_store(paths[0]))
    faults = [
        wrong,
        f"{len(paths)} sessions" if len(paths) > 1 else "",
        f"recovery tells of {recovery.events} events, {events} are left" if recovery.events != events else "",
        f"recovery lost {recovery.lost}" if recovery.lost else "",
        f"exit code {recovery.exit_code}, cut {recovery.cut}" if recovery.exit_code != 6 * bool(recovery.cut) else "",
        f"verify found {report.findings}" if not report.is_sound else "",
        f"a second recovery did {again.sealed} {again.removed}" if again.sealed or again.removed or again.cut else "",
    ]
    return events, "; ".join(filter(None, faults))


def _fault_of_removal(library: Path) -> tuple[int, str]:
    """Look for a session that was being removed; return its events, and what is wrong."""
    paths = Library(library).paths()
    events, fault = 0, ""
    for path in paths:
        report = verify(open_store(path))
        events, fault = _compared(path)
        if not report.is_sound or events != open_store(path).manifest().events:
            fault = f"half a session is left: {events} events, {report.findings}"
    sweep(library)
    left = sorted(entry.name for entry in library.iterdir() if entry not in paths)
    if left and not paths:
        fault = fault or f"left over: {left}"
    return events, fault


def _compared(path: Path) -> tuple[int, str]:
    """Return the events of a session, and how they differ from what was recorded."""
    events = 0
    for batch in open_store(path).batches(Selection(columns=("seq", "text"))):
        seqs, texts = batch.column("seq").to_pylist(), batch.column("text").to_pylist()
        if seqs != list(range(events, events + len(seqs))):
            return events, f"sequence numbers do not go on from {events}"
        if texts != [payload(seq).decode() for seq in seqs]:
            return events, f"events from {events} on are not those that were recorded"
        events += len(seqs)
    return events, ""


def _listed(files: Files) -> str:
    return ", ".join(f"{path}={len(content)}" for path, content in sorted(files.items()) if content is not None)
