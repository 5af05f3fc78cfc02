"""How much goes through a tap, and how much later."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.load import frame, payloads
from benchmarks.processes import free_port, json_of, result_of, started, wsrec

COUNT = 1_024_000
PEER = 20_480
RATE = 1_000
LATENCY_S = 30

Proxy = Callable[[str], AbstractContextManager[int]]
"""Stands before the server at a port, as long as its context is open; gives the port that clients connect to."""


def figures(folder: Path) -> list[Figure]:
    """Measure tapping."""
    return [_throughput(folder), _latency(folder)]


def _throughput(folder: Path) -> Figure:
    has_fast = importlib.util.find_spec("uvloop") is not None
    rate = _through(COUNT, lambda port: _tap(port, folder))
    direct = _through(COUNT, _nothing)
    mitmdump = os.environ.get("WSREC_MITMDUMP") or shutil.which("mitmdump")
    beside, ratio, is_met = f"mitmdump is absent; no proxy {direct:,.0f}/s", f"{rate / direct:.2f}× no proxy", True
    if mitmdump is not None:
        peer = _through(PEER, lambda port: _mitmdump(mitmdump, port, folder))
        beside, ratio = f"`mitmdump --mode reverse:` {peer:,.0f}/s; no proxy {direct:,.0f}/s", f"{rate / peer:.0f}×"
        is_met = rate > peer
    return Figure(
        f"tap {COUNT / 1e6:.1f} M messages of 330 bytes through one connection, recorded and synced"
        + (", `fast` extra" if has_fast else ""),
        f"{rate:,.0f}/s",
        beside,
        ratio,
        "40,000/s",
        is_met and rate >= 40_000,
    )


def _through(count: int, proxy: Proxy) -> float:
    """Return frames per second that a client gets through a proxy."""
    cycle = [len(frame(payload)) for payload in payloads()]
    size = sum(cycle) * (count // len(cycle)) + sum(cycle[: count % len(cycle)])
    with (
        started("benchmarks.load", "blast", str(count)) as server,
        proxy(result_of(server)) as port,
        started("benchmarks.load", "drain", str(port), "1", str(size)) as client,
    ):
        return count / float(result_of(client))


@contextmanager
def _nothing(port: str) -> Iterator[int]:
    yield int(port)


@contextmanager
def _tap(port: str, folder: Path) -> Iterator[int]:
    own = free_port()
    upstream = f"ws://127.0.0.1:{port}/ws/"
    command = ("tap", upstream, "--port", str(own), "--library", str(folder), "--name", "tapped", "--quiet", "--json")
    with wsrec(*command, log=folder / "tap.log") as process:
        _await_listener(folder / "tap.log", "connect to")
        yield own
        process.terminate()
        facts = json_of(process)
        if facts["error"] or facts["gaps"] or not facts["messages_in"]:
            raise RuntimeError(f"the tap recorded {facts}")


@contextmanager
def _mitmdump(program: str, port: str, folder: Path) -> Iterator[int]:
    own = free_port()
    flows = folder / "flows.mitm"
    with (folder / "mitmdump.log").open("w") as log:
        listen = ("--listen-host", "127.0.0.1", "--listen-port", str(own), "--quiet", "--save-stream-file", str(flows))
        # Lazy, for the server takes one connection, and it is not to be that of whoever looks whether it listens.
        lazily = ("--set", "connection_strategy=lazy")
        command = [program, "--mode", f"reverse:http://127.0.0.1:{port}", *lazily, *listen]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await_port(own)
            yield own
        finally:
            process.terminate()
            process.wait(timeout=60)
            flows.unlink(missing_ok=True)


def _await_listener(log: Path, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in log.read_text():
        if time.monotonic() > deadline:
            raise RuntimeError(f"no sign of life in {log}")
        time.sleep(0.02)


def _await_port(port: int) -> None:
    connect_once = (
        "import socket, sys, time\n"
        "for _ in range(600):\n"
        "    try: socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close(); break\n"
        "    except OSError: time.sleep(0.05)\n"
    )
    subprocess.run([sys.executable, "-c", connect_once, str(port)], check=True)


def _latency(folder: Path) -> Figure:
    count = RATE * LATENCY_S
    sent, straight, tapped = (folder / f"{name}.times" for name in ("sent", "straight", "through"))
    with started("benchmarks.load", "pace", str(count), str(RATE), "2", str(sent)) as server:
        port = result_of(server)
        with (
            _tap(port, folder) as own,
            started("benchmarks.load", "arrivals", str(own), str(count), str(tapped)) as through,
            started("benchmarks.load", "arrivals", port, str(count), str(straight)) as direct,
        ):
            through.wait()
            direct.wait()
        server.wait()
    ours, bare = _delays(sent, tapped), _delays(sent, straight)
    added = [ours[round((len(ours) - 1) * share)] - bare[round((len(bare) - 1) * share)] for share in (0.5, 0.99)]
    return Figure(
        f"latency that the tap adds at {RATE:,} frames/s, p50 / p99: to a client through it less to one beside it",
        f"{added[0]:.3f} / {added[1]:.3f} ms",
        f"direct {bare[len(bare) // 2]:.3f} / {bare[round((len(bare) - 1) * 0.99)]:.3f} ms",
        "–",
        "under 0.3 ms / 3 ms",
        added[0] < 0.3 and added[1] < 3 and len(ours) == count,
    )


def _delays(sent: Path, came: Path) -> list[float]:
    """Return how long each frame took, ms, sorted."""
    began, ended = array("q"), array("q")
    began.frombytes(sent.read_bytes())
    ended.frombytes(came.read_bytes())
    return sorted((at - since) / 1e6 for since, at in zip(began, ended, strict=False))
