"""How fast a session gets into object storage, and how it is read from there: SeaweedFS on loopback."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.long_session import make_long_session
from benchmarks.processes import free_port, json_of, result_of, started, wsrec
from benchmarks.replaying import late, make_session, percentile
from tests.scale.weed import Weed, weed_program
from wsrecorder.store.hive import session_place
from wsrecorder.store.place import ObjectPath, place_of
from wsrecorder.store.session import ParquetStore
from wsrecorder.store.upload import bring_session

__all__ = ["figures"]

RECORDED = 3_072_000
WANTED_RATE = 150_000
LONG = 3_000_000
RATE = 1_000
LATENESS_S = 60


def figures(folder: Path, *, scale: float = 1.0) -> list[Figure]:
    """Measure in a folder; nothing where SeaweedFS is not installed.

    Args:
        folder: For all that is made.
        scale: How much of the whole is done.
    """
    program = weed_program()
    if program is None:
        return []
    for name in ("weed", "here", "spool"):
        (folder / name).mkdir()
    with Weed(program, folder / "weed") as weed, _environment(weed, folder / "spool"):
        library = weed.new_library()
        return [
            *_upload(library, folder, round(RECORDED * scale / 1_024) * 1_024),
            _lateness(library, folder, round(LATENESS_S * scale)),
            *_first_frame(library, folder, round(LONG * scale)),
        ]


@contextmanager
def _environment(weed: Weed, spool: Path) -> Iterator[None]:
    """Tell this process and those that it starts where the store is."""
    before = dict(os.environ)
    os.environ.update(weed.environment() | {"WSREC_SPOOL": str(spool)})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _record(library: str, folder: Path, count: int) -> float:
    """Record a blast and return frames a second, until all of it is where it belongs, start-up included."""
    with started("benchmarks.load", "blast", str(count)) as server:
        began_s = time.monotonic()
        return count / (_recorded_at(server, library, folder, count) - began_s)


def _recorded_at(server: subprocess.Popen[str], library: str, folder: Path, count: int) -> float:
    """Record what a server sends; return when all of it was where it belongs and the recorder gone, monotonic s."""
    url = f"ws://127.0.0.1:{result_of(server)}/ws/"
    command = ("record", url, "--library", library, "--reconnect", "0", "--json", "--quiet")
    with wsrec(*command, log=folder / "record.log") as process:
        facts = json_of(process)
        process.wait()
        ended_s = time.monotonic()
    if facts["messages"] != count or facts["error"]:
        raise RuntimeError(f"recorded {facts['messages']} of {count} messages: {facts['error']}")
    return ended_s


def _upload(library: str, folder: Path, count: int) -> Iterator[Figure]:
    here = _record(str(folder / "here"), folder, count)
    there = _record(f"{library}/blast", folder, count)
    yield Figure(
        f"record {count / 1e6:.1f} M messages into object storage as fast as it goes, until all of it is there",
        f"{there:,.0f} messages/s",
        f"onto the disk {here:,.0f}/s",
        f"{there / here:.2f}×",
        "–",
        True,
    )
    with started("benchmarks.load", "blast", str(count), str(WANTED_RATE)) as server:
        ended_s = _recorded_at(server, f"{library}/paced", folder, count)
        last_sent_s, held_back_s = map(float, result_of(server).split())
    yield Figure(
        f"record a feed of {WANTED_RATE:,} messages/s into object storage, {count / WANTED_RATE:.0f} s long",
        f"all of it there {ended_s - last_sent_s:.1f} s after the last frame",
        f"the feed was held back {held_back_s:.2f} s",
        "–",
        "within 5 s, held back by less than 0.5 s",
        ended_s - last_sent_s < 5 and held_back_s < 0.5,
    )


def _bring(session: Path, library: str) -> ObjectPath:
    manifest = ParquetStore(session).manifest()
    root = place_of(library)
    assert isinstance(root, ObjectPath)
    place = session_place(root, manifest.identity)
    bring_session(session, manifest, place)
    return place


def _lateness(library: str, folder: Path, length_s: int) -> Figure:
    interval_ns = 10**9 // RATE
    count = RATE * length_s
    session = make_session(folder / "here", "even", count, interval_ns)
    found = []
    for name, place in (("there", str(_bring(session, library))), ("here", str(session))):
        port, times = free_port(), folder / f"{name}.times"
        with (
            wsrec("replay", place, "--port", str(port), "--verbatim", "--quiet", log=folder / "late.log"),
            started("benchmarks.load", "arrivals", str(port), str(count), str(times)) as client,
        ):
            client.wait()
        found.append(late(times, interval_ns))
    there, here = found
    return Figure(
        f"lateness of a replay from object storage, {RATE:,} frames/s at `--speed 1`, p50 / p99",
        f"{percentile(there, 50):.2f} / {percentile(there, 99):.2f} ms",
        f"from the disk {percentile(here, 50):.2f} / {percentile(here, 99):.2f} ms",
        f"p99 {percentile(there, 99) / percentile(here, 99):.2f}×",
        "p99 at most 1.5×",
        percentile(there, 99) <= 1.5 * percentile(here, 99),
    )


def _first_frame(library: str, folder: Path, messages: int) -> Iterator[Figure]:
    session = make_long_session(folder / "here", messages)
    place = _bring(session, library)
    length_s = ParquetStore(session).manifest().last_elapsed_ns / 1e9
    for what, extra in (("", ()), (", from its middle", ("--from", f"{length_s / 2:.3f}s"))):
        took_s = {}
        for name, where in (("there", str(place)), ("here", str(session))):
            port, began = free_port(), time.monotonic()
            command = ("replay", where, "--port", str(port), "--verbatim", "--quiet", *extra)
            with (
                wsrec(*command, log=folder / "first.log"),
                started("benchmarks.load", "first", str(port)) as client,
            ):
                took_s[name] = float(result_of(client)) - began
        yield Figure(
            f"first frame of {messages / 1e6:.1f} M messages in object storage{what}, imports included",
            f"{took_s['there']:.2f} s",
            f"from the disk {took_s['here']:.2f} s",
            f"{took_s['there'] / took_s['here']:.2f}×",
            "under 2 s",
            took_s["there"] < 2,
        )
