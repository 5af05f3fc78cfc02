"""What ten feeds at once take: recorded by one process, or by one process each."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import time
from array import array
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.many_endpoints import cpu_s
from benchmarks.processes import Memory, result_of, started, wsrec

__all__ = ["figures"]

FEEDS = 10
RATE = 2_500
WARM_UP_S = 3
MEASURED_S = 10


@dataclass(frozen=True, slots=True)
class _Run:
    """How a recording of all feeds went.

    Attributes:
        cpu_us: Processor time of all processes a frame, µs.
        cores: Of that, processors in use in the mean.
        memory_mb: Resident memory of all processes at most, MB.
        messages: How many were recorded.
    """

    cpu_us: float
    cores: float
    memory_mb: float
    messages: int


def figures(folder: Path) -> list[Figure]:
    """Measure ten feeds at an even pace."""
    together = _recorded(folder / "together", processes=1)
    apart = _recorded(folder / "apart", processes=FEEDS)
    count = FEEDS * RATE * (WARM_UP_S + MEASURED_S)
    return [
        Figure(
            f"record {FEEDS} feeds of {RATE:,} messages/s at once, one process, a message",
            f"{together.cpu_us:.2f} µs of processor, {together.cores:.2f} cores",
            f"{FEEDS} processes {apart.cpu_us:.2f} µs, {apart.cores:.2f} cores",
            f"{together.cpu_us / apart.cpu_us:.2f}×",
            "none missing",
            together.messages == apart.messages == count,
        ),
        Figure(
            "resident memory of that run",
            f"{together.memory_mb:.0f} MB at most",
            f"{FEEDS} processes {apart.memory_mb:.0f} MB",
            f"{together.memory_mb / apart.memory_mb:.2f}×",
            "–",
            True,
        ),
    ]


def _recorded(folder: Path, processes: int) -> _Run:
    """Record all feeds from one server that sends each frame to all of them at its moment."""
    folder.mkdir()
    feeds_each = FEEDS // processes
    count = RATE * (WARM_UP_S + MEASURED_S)
    pace = ("benchmarks.load", "pace", str(count), str(RATE), str(FEEDS), str(folder / "pace.times"))
    with ExitStack() as stack:
        urls = [f"ws://127.0.0.1:{result_of(stack.enter_context(started(*pace)))}/ws/"] * feeds_each
        transport = "picows" if importlib.util.find_spec("picows") else "websockets"
        options = ("--transport", transport, "--max-events", str(count), "--json", "--quiet")
        recorders = [
            stack.enter_context(
                wsrec("record", *urls, "--library", str(folder / f"{n}"), *options, log=folder / f"{n}.log")
            )
            for n in range(processes)
        ]
        memories = [Memory(recorder.pid) for recorder in recorders]
        _wait_until_kept(folder)
        time.sleep(WARM_UP_S / 2)
        began, before = time.monotonic(), sum(cpu_s(recorder.pid) for recorder in recorders)
        time.sleep(MEASURED_S - WARM_UP_S / 2)
        took_s, used_s = time.monotonic() - began, sum(cpu_s(recorder.pid) for recorder in recorders) - before
        messages = sum(_messages(recorder) for recorder in recorders)
        for memory in memories:
            memory.stop()
    return _Run(
        cpu_us=1e6 * used_s / (_sent(folder / "pace.times", began, took_s) * FEEDS),
        cores=used_s / took_s,
        memory_mb=sum(memory.peak_mb for memory in memories),
        messages=messages,
    )


def _messages(recorder: subprocess.Popen[str]) -> int:
    """Return how many messages a recorder says at its end that it kept, of all its feeds."""
    assert recorder.stdout is not None
    return sum(json.loads(line)["messages"] for line in recorder.stdout if line.startswith("{"))


def _sent(path: Path, began: float, took_s: float) -> int:
    """Return how many frames the server sent to each feed in a time, by its own record."""
    times = array("q")
    times.frombytes(path.read_bytes())
    return sum(began <= at_ns / 1e9 < began + took_s for at_ns in times)


def _wait_until_kept(folder: Path) -> None:
    """Return once something is kept of each feed."""
    while sum(1 for _ in folder.glob("*/*/events/*")) < FEEDS:
        time.sleep(0.05)
