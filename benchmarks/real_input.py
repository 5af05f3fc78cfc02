"""``python -m benchmarks.real_input``: replay real captures, record them again, write ``docs/real-input.md``."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

from benchmarks.round_trip import MAX, Pacing, Stream, Trip, quantile, record_again, stream_of
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.net.feed import loop_factory
from wsrecorder.store.library import open_store

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "real-input.md"

# At speed 1 a few seconds have to do: among them the largest burst of any capture, 1,433 frames within a second.
WINDOWS: dict[float, tuple[str, str] | None] = {1.0: ("4s", "10s"), 10.0: None, MAX: None}

_TEXT = """# Real input

Captures of three public exchange feeds, as cryptofeed writes them, are imported, replayed over `/ws/`, and recorded
again by the recorder. What must come out is the same payloads in the same order, binary frames as binary, at the
pace that they were captured with, divided by the speed of the replay. `tests/test_real_input.py` holds it to that;
this page says how close it comes, and `python -m benchmarks.real_input` writes it. The captures are no part of this
project: `WSREC_CAPTURES` names the folder that holds them.

## What goes in

What is in a capture does not depend on the machine. The digest is the SHA-256 of all frames that the server sent:
of each, `t` or `b` for text or binary, its length as 8 bytes, the smallest first, and its payload; 16 digits of it.

{facts}

## What comes out

{results}

- **the same**: payloads, opcodes and order, every frame of the window compared.
- **gap**: how much longer or shorter a frame came after the one before it than it was captured, divided by the speed.
- **place**: how far it was from its place in the whole; lateness that added up would show here.
- **drift**: how much later after its place the last tenth of the frames came than the first tenth; medians.

Where frames come in a burst (1,286 of Binance within 20 ms, before the division by the speed), all of them are
late together, by the time that they take to be sent and received; compressing and inflating each takes longest. What
comes after the burst is on time again: see the drift.

Replay and recorder share one process and one event loop here: one core sends and receives, while two programs
would have a core each. Measured on {machine} with {versions}.
"""


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture, imported.

    Attributes:
        name: Name of its file.
        path: Its session.
    """

    name: str
    path: Path


def captures_folder() -> Path:
    """Return the folder that holds the captures, whether or not it is there."""
    return Path(os.environ.get("WSREC_CAPTURES") or ROOT / "../shared/captures").resolve()


def imported(folder: Path, library: Path) -> list[Capture]:
    """Import every capture of a folder."""
    files = sorted(folder.glob("*.ws.*"))
    return [Capture(file.name, import_file(ImportOptions(file=file, library=library)).path) for file in files]


def digest(stream: Stream) -> str:
    """Return what stands for all frames of a stream and their order."""
    sha256 = hashlib.sha256()
    for is_text, payload in stream.frames:
        sha256.update((b"t" if is_text else b"b") + len(payload).to_bytes(8, "little") + payload)
    return sha256.hexdigest()[:16]


def facts_row(capture: Capture) -> str:
    """Return a row on what is in a capture."""
    stream = stream_of(capture.path)
    texts = sum(is_text for is_text, _ in stream.frames)
    size_bytes = sum(len(payload) for _, payload in stream.frames)
    span_s = (stream.elapsed_ns[-1] - stream.elapsed_ns[0]) / 1e9
    return (
        f"| {capture.name} | {texts:,} | {len(stream.frames) - texts:,} | {size_bytes:,} | {span_s:.3f} s "
        f"| `{digest(stream)}` |"
    )


def trips() -> Iterator[Trip]:
    """Yield every way in which a capture is replayed and recorded again."""
    for (speed, window), transport, deflate in product(WINDOWS.items(), _transports(), (False, True)):
        yield Trip(speed=speed, window=window, transport=transport, deflate=deflate)


def result_row(capture: Capture, trip: Trip) -> tuple[str, bool]:
    """Make a trip; return a row on it, and whether what came out is what went in."""
    with tempfile.TemporaryDirectory(prefix="wsrec-") as name, asyncio.Runner(loop_factory=loop_factory()) as runner:
        again = stream_of(runner.run(record_again([open_store(capture.path)], Path(name), trip)))
    recorded = stream_of(capture.path, trip.window)
    is_same = recorded.frames == again.frames
    speed = "max" if trip.speed == MAX else f"{trip.speed:g}"
    deflate = "yes" if trip.deflate else "no"
    row = f"| {capture.name} | {speed} | {trip.transport} | {deflate} | {len(again.frames):,} | {_said(is_same)} |"
    if not is_same:
        return f"{row} | | | |", False
    if trip.speed == MAX:
        took_s = (again.elapsed_ns[-1] - again.elapsed_ns[0]) / 1e9
        return f"{row} | | | | in {took_s * 1e3:.0f} ms |", True
    pacing = Pacing.between(recorded.elapsed_ns, again.elapsed_ns, trip.speed)
    gap, place = (
        " / ".join(f"{quantile(errors, share) / 1e6:.2f}" for share in (0.5, 0.99))
        for errors in (pacing.gap_errors_ns, pacing.place_errors_ns)
    )
    return (
        f"{row} {gap} ms | {place} ms | {pacing.drift_ns / 1e6:+.2f} ms | of {pacing.expected_ns / 1e9:.2f} s |",
        True,
    )


def _said(is_same: bool) -> str:
    return "yes" if is_same else "**no**"


def _transports() -> tuple[str, ...]:
    try:
        version("picows")
    except PackageNotFoundError:
        print("picows is not installed: its rows are left out")
        return ("websockets",)
    return ("websockets", "picows")


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{len(models) or 'some'} × {models[0] if models else platform.processor()}, {platform.system()}"


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in ("wsrecorder", "websockets", "picows", "uvloop"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> int:
    """Make every trip with every capture and write the page; return 1 if one did not give the same frames."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_input", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print the page and leave the file alone")
    arguments = parser.parse_args()
    logging.getLogger("wsrecorder").setLevel(logging.ERROR)
    folder = captures_folder()
    if not any(folder.glob("*.ws.*")):
        print(f"no captures (*.ws.*) in {folder}: set WSREC_CAPTURES to the folder that holds them")
        return 1
    with tempfile.TemporaryDirectory(prefix="wsrec-") as name:
        captures = imported(folder, Path(name))
        facts = [
            "| capture | text frames | binary frames | payload bytes | span | digest |",
            "|---|--:|--:|--:|--:|---|",
        ]
        facts += map(facts_row, captures)
        head = (
            "| capture | speed | transport | deflate | frames | the same | gap p50 / p99 | place p50 / p99 | drift | |"
        )
        results, all_same = [head, "|---|--:|---|---|--:|---|--:|--:|--:|---|"], True
        for capture, trip in product(captures, trips()):
            row, is_same = result_row(capture, trip)
            print(row, flush=True)
            results.append(row)
            all_same = all_same and is_same
    page = _TEXT.format(facts="\n".join(facts), results="\n".join(results), machine=_machine(), versions=_versions())
    if arguments.dry_run:
        print(page)
    else:
        PAGE.write_text(page)
    return 0 if all_same else 1


if __name__ == "__main__":
    sys.exit(main())
