"""SIGKILL of ``wsrec record`` at random moments under load: anywhere, while it seals, while it ends, as it begins.

The recorder is stopped first (SIGSTOP), so that what stands on its disk at its death and what the feed had sent by then
are known exactly; then it is killed, recovered and verified. All that stood on the disk whole must be there: that is
all that was synced, and what was on its way to be.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from torture.counted_feed import CountedFeed, payload
from torture.finding import Finding
from torture.forked_recorder import ForkedRecorder, warm_context
from torture.witness import events_on_disk
from torture.yardstick import Yardstick
from wsrecorder.errors import WsrecError
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.selection import Selection

__all__ = ["findings"]

_KILLS: Final = 200
_LANES: Final = 2
_INTERVAL_NS: Final = 100_000_000
"""What is promised: a frame is handed to the disk within this time."""

_WRITE_NS: Final = 20_000_000
"""What the batch that is being written may take until it is synced, on a disk and a processor that are free."""

_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Case:
    """One kill.

    Attributes:
        number: Which of the series.
        transport: Of the recorder.
        form: ``parquet`` or ``duckdb``.
        aim: ``anywhere``, ``sealing``, ``ending`` or ``beginning``.
        rotate: When a segment is sealed.
        block: Frames that the feed sends at once.
        pad_bytes: Length of the longest frame, about.
        before_s: How long it records before it is taken aim at.
        aside_s: How long after the moment aimed at it is killed.
    """

    number: int
    transport: str
    form: str
    aim: str
    rotate: str
    block: int
    pad_bytes: int
    before_s: float
    aside_s: float

    @classmethod
    def drawn(cls, seed: int, number: int) -> Case:
        """Return the case of a number."""
        chance = random.Random(f"{seed}:{number}")
        transports = ["websockets", "picows"] if find_spec("picows") else ["websockets"]
        aim = chance.choice(["anywhere", "anywhere", "sealing", "sealing", "ending", "beginning"])
        form = chance.choice(["parquet", "parquet", "duckdb"])
        # DuckDB seals its log at 16 MiB: only large frames get there in a second.
        pad_bytes = 8_000 if (form, aim) == ("duckdb", "sealing") else chance.choice([0, 100, 1_000])
        asides_s = {"anywhere": 0.0, "sealing": 0.02, "ending": 0.06, "beginning": 0.05}
        return cls(
            number=number,
            transport=chance.choice(transports),
            form=form,
            aim=aim,
            rotate=chance.choice(["40KB,1s", "150KB,1s", "1MB,1s"]),
            block=chance.choice([1, 10, 60]),
            pad_bytes=pad_bytes,
            before_s=chance.uniform(0.05, 0.7),
            aside_s=chance.uniform(0, asides_s[aim]),
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What a kill left.

    Attributes:
        case: The kill.
        events: Events that were recovered.
        lost_frames: Frames that the feed had sent and the session does not hold.
        lost_ms: Age of the oldest of them at the kill, ms.
        delay_ms: By how much the machine may have held up the recorder by then, ms.
        sealing: Whether a seal was under way.
        broken: What is wrong, or nothing.
    """

    case: Case
    events: int = 0
    lost_frames: int = 0
    lost_ms: float = 0.0
    delay_ms: float = 0.0
    sealing: bool = False
    broken: str = ""

    @property
    def own_ms(self) -> float:
        """How old the oldest lost frame was, the machine's delay taken off; ms."""
        return max(0.0, self.lost_ms - self.delay_ms)


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Kill recorders, some side by side, and judge what is left of their sessions."""
    cases = [Case.drawn(seed, number) for number in range(max(1, round(_KILLS * effort)))]
    lanes = min(_LANES, len(cases))
    if lanes == 1:
        kept = [_kill(case, folder) for case in cases]
    else:
        with ProcessPoolExecutor(lanes, mp_context=warm_context()) as pool:
            kept = list(pool.map(_kill, cases, [folder] * len(cases)))
    return list(_judged(kept))


def _judged(kept: list[Kept]) -> Iterator[Finding]:
    broken = next((entry for entry in kept if entry.broken), None)
    sealing = sum(entry.sealing for entry in kept)
    yield Finding(
        "a killed recorder loses nothing that was synced: none doubled, none altered, in order",
        "SIGKILL of `wsrec record` at random moments under load, then `recover` and `verify`, held against the feed",
        f"{len(kept)} kills, {sealing} while sealing; {sum(entry.events for entry in kept):,} events kept, "
        f"{sum(bool(entry.broken) for entry in kept)} sessions at fault",
        broken is None,
        f"{broken.case}: {broken.broken}" if broken else "",
    )
    yield _how_much_is_lost([entry for entry in kept if entry.case.aim in ("anywhere", "sealing") and not entry.broken])


def _how_much_is_lost(under_load: list[Kept]) -> Finding:
    """Judge kills under load, by what is left of the age when the machine's part is taken off."""
    folding = [entry for entry in under_load if (entry.case.form, entry.case.aim) == ("duckdb", "sealing")]
    bounded = [entry for entry in under_load if entry not in folding]
    worst = max(bounded, key=lambda entry: entry.own_ms, default=None)
    is_kept = worst is None or worst.own_ms <= (_INTERVAL_NS + _WRITE_NS) / 1e6
    return Finding(
        "a killed recorder loses no more than one sync interval, 100 ms, and the batch being written",
        "the same kills under load: age of the oldest frame sent and not kept, by the feed's clock, as measured; and "
        "less the machine's part, which must be within the promise: two bare syncs of a page and what its threads "
        "waited for a processor in that time, measured beside",
        f"{_ages(bounded)}; while DuckDB folds 16 MiB of log into its file, {_ages(folding)}",
        is_kept,
        f"{worst.case}: {worst.lost_frames} frames, {worst.lost_ms:.0f} ms, delay {worst.delay_ms:.0f} ms"
        if worst is not None and not is_kept
        else "",
    )


def _ages(kept: list[Kept]) -> str:
    """Return the ages of the oldest lost frames, as measured and adjusted."""
    if not kept:
        return "no kill"
    measured, own = ([entry.lost_ms for entry in kept], [entry.own_ms for entry in kept])
    return (
        f"{len(kept)} kills: as measured oldest {max(measured):.0f} ms, median {_median(measured):.0f} ms, "
        f"less the machine's part oldest {max(own):.0f} ms, median {_median(own):.0f} ms"
    )


def _median(ages_ms: list[float]) -> float:
    return sorted(ages_ms)[len(ages_ms) // 2]


def _kill(case: Case, folder: Path) -> Kept:
    place = folder / f"{case.number:04d}"
    place.mkdir()
    library, log = place / "library", place / "log"
    try:
        with _recording(case, library, log) as (feed, recorder):
            with Yardstick(place / "yardstick", recorder.waited_ns) as yardstick:
                _wait_for_the_moment(case, library, feed, recorder)
                stop_ns = recorder.freeze()
                sent = feed.sent
            path = _session(case, library)
            on_disk = events_on_disk(path, place / "witness") if path else 0
            sealing = _is_sealing(path)
            recorder.kill()
            events, frames, broken = _left(case, path, on_disk)
            lost = max(0, sent - frames)
            since_ns = feed.sent_ns(frames) if lost else stop_ns
            delay_ms = yardstick.delay_ns(since_ns - _INTERVAL_NS, stop_ns) / 1e6
        said = log.read_text()
        if "Traceback" in said:
            broken = broken or f"the recorder said {said[-500:]}"
    except AssertionError as exc:
        return Kept(case, broken=f"{exc}; {log.read_text()[-500:] if log.exists() else ''}")
    return Kept(case, events, lost, (stop_ns - since_ns) / 1e6, delay_ms, sealing, broken)


@contextmanager
def _recording(case: Case, library: Path, log: Path) -> Iterator[tuple[CountedFeed, ForkedRecorder]]:
    into = ["--into", str(library / "k.duckdb")] if case.form == "duckdb" else ["--library", str(library)]
    with CountedFeed(block=case.block, pause_s=0.004, pad_bytes=case.pad_bytes) as feed:
        options = ["--name", "k", "--quiet", "--min-free", "0", "--rotate", case.rotate]
        recorder = ForkedRecorder([feed.url, *into, *options, "--transport", case.transport], log)
        try:
            yield feed, recorder
        finally:
            recorder.kill()


def _wait_for_the_moment(case: Case, library: Path, feed: CountedFeed, recorder: ForkedRecorder) -> None:
    """Return when the recorder is to be killed."""
    assert feed.connected.wait(_PATIENCE_S), "the recorder never connected"
    if case.aim != "beginning":
        _wait_until(lambda: (path := _session(case, library)) is not None and _held_bytes(path) > 4_096, recorder)
        time.sleep(case.before_s)
    if case.aim == "sealing":
        path = _session(case, library)
        assert path is not None
        began = _written_ns(path)
        _wait_until(lambda: _is_sealing(path) or (case.form == "duckdb" and _written_ns(path) != began), recorder)
    elif case.aim == "ending":
        recorder.ask_to_end()
    time.sleep(case.aside_s)


def _wait_until(holds: Any, recorder: ForkedRecorder) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not holds():
        assert recorder.is_running, "the recorder ended by itself"
        assert time.monotonic() < deadline_s, "the moment never came"
        time.sleep(0.0005)


def _session(case: Case, library: Path) -> Path | None:
    if case.form == "duckdb":
        path = library / "k.duckdb"
        return path if path.exists() else None
    return next(iter(Library(library).paths()), None)


def _held_bytes(path: Path) -> int:
    log = path.with_name(path.name + ".wal")
    held = 0
    with suppress(FileNotFoundError):  # not there yet, or sealed meanwhile
        for file in [log] if path.suffix == ".duckdb" else list((path / "events").iterdir()):
            held += file.stat().st_size
    return held


def _written_ns(path: Path) -> int:
    return path.stat().st_mtime_ns


def _is_sealing(path: Path | None) -> bool:
    """Return whether a segment is being made, or its journal has not gone yet."""
    if path is None or path.suffix == ".duckdb":
        return False
    names = [entry.name for entry in (path / "events").iterdir()] if (path / "events").exists() else []
    is_named = {name.partition(".")[0] for name in names if name.endswith(".parquet")}
    return any(name.endswith(".tmp") or (name.endswith(".journal") and name[:6] in is_named) for name in names)


def _left(case: Case, path: Path | None, on_disk: int) -> tuple[int, int, str]:
    """Recover and verify a session; return its events, its frames, and what is wrong with it."""
    if path is None:
        return 0, 0, ""
    try:
        recovery = recover(open_store(path))
        report = verify(open_store(path))
        again = recover(open_store(path))
        events, frames, wrong = _compared(case, path)
    except WsrecError as exc:
        # As it begins there may be a name and nothing behind it yet.
        return 0, 0, f"{type(exc).__name__}: {exc.message}" if on_disk else ""
    faults = [
        wrong,
        f"{on_disk} events were on the disk, {events} are left" if events < on_disk else "",
        f"recovery tells of {recovery.events} events, {events} are left" if recovery.events != events else "",
        f"recovery lost {recovery.lost}" if recovery.lost else "",
        f"verify found {report.findings}" if not report.is_sound else "",
        f"a second recovery did {again.sealed} {again.removed} {again.cut}"
        if again.sealed or again.removed or again.cut else "",
    ]  # fmt: skip
    return events, frames, "; ".join(filter(None, faults))


def _compared(case: Case, path: Path) -> tuple[int, int, str]:
    """Return the events of a session, its frames, and how they differ from what the feed sent."""
    events = frames = 0
    for batch in open_store(path).batches(Selection(columns=("seq", "kind", "text"))):
        seqs, kinds, texts = (batch.column(name).to_pylist() for name in ("seq", "kind", "text"))
        if seqs != list(range(events, events + len(seqs))):
            return events, frames, f"sequence numbers do not go on from {events}"
        events += len(seqs)
        found = [text.encode() for kind, text in zip(kinds, texts, strict=True) if kind == "message"]
        if found != [payload(frames + index, case.pad_bytes) for index in range(len(found))]:
            return events, frames, f"frames from {frames} on are not those that were sent"
        frames += len(found)
    return events, frames, ""
