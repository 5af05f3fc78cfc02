"""How fast a feed is recorded, in how much memory, into how many bytes."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figure import Figure
from benchmarks.load import payloads
from benchmarks.processes import WSREC, Memory, json_of, result_of, started, timed, wsrec
from wsrecorder.core.redaction import Redactor
from wsrecorder.core.stand_ins import StandIns

LONG = 3_072_000
SHORT = 1_024_000
PEER = 512_000


def record(count: int, transport: str, library: Path) -> tuple[float, Memory]:
    """Record a blast and return frames per second, from the first frame to the last, sealing included."""
    with started("benchmarks.load", "blast", str(count)) as server:
        url = f"ws://127.0.0.1:{result_of(server)}/ws/"
        command = ("record", url, "--library", str(library), "--name", transport, "--reconnect", "0")
        with wsrec(*command, "--transport", transport, "--json", "--quiet", log=library / "record.log") as process:
            memory = Memory(process.pid)
            began = time.perf_counter()
            facts = json_of(process)
            process.wait()
            took_s = time.perf_counter() - began - _start_up_s()
            memory.stop()
    if facts["messages"] != count or facts["error"]:
        raise RuntimeError(f"recorded {facts['messages']} of {count} messages: {facts['error']}")
    return count / took_s, memory


def _start_up_s() -> float:
    """Return what starting the program takes; the peer's is taken off too."""
    import subprocess

    began = time.perf_counter()
    subprocess.run([*WSREC, "record", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def peer(count: int, folder: Path) -> float:
    """Return frames per second of the 15-line recorder."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import websockets.asyncio.client, json"], check=True)
    start_up_s = time.perf_counter() - began
    out = folder / "peer.jsonl"
    with started("benchmarks.load", "blast", str(count)) as server:
        url = f"ws://127.0.0.1:{result_of(server)}/ws/"
        with started("benchmarks.peers", "record", url, str(out)) as process:
            took_s = timed(process) - start_up_s
    with out.open("rb") as file:
        kept = sum(1 for _ in file)
    if kept != count:
        raise RuntimeError(f"the peer kept {kept} of {count} messages")
    out.unlink()
    return count / took_s


def receive(count: int) -> float:
    """Return frames per second of receiving with picows and keeping nothing."""
    with started("benchmarks.load", "blast", str(count)) as server:
        url = f"ws://127.0.0.1:{result_of(server)}/ws/"
        with started("benchmarks.peers", "receive", url) as process:
            return count / float(result_of(process))


def figures(folder: Path) -> list[Figure]:
    """Measure recording; leaves the long session in the library ``folder``."""
    found = []
    plain = peer(PEER, folder)
    if importlib.util.find_spec("picows") is not None:
        rate, memory = record(LONG, "picows", folder)
        found.append(
            Figure(
                f"record {LONG / 1e6:.1f} M messages of 330 bytes, journal synced, `fast` extra",
                f"{rate:,.0f}/s",
                f"15-line script {plain:,.0f}/s",
                f"{rate / plain:.1f}×",
                "200,000/s and 7×",
                rate >= 200_000 and rate >= 7 * plain,
            )
        )
        found.append(_memory_figure("resident memory of that run", memory))
        bound = receive(LONG)
        found.append(
            Figure(
                "receiving alone with picows, nothing kept: what recording cannot be faster than",
                f"{bound:,.0f}/s",
                f"15-line script {plain:,.0f}/s",
                f"{bound / plain:.1f}×",
                "–",
                True,
            )
        )
    rate, _ = record(SHORT, "websockets", folder)
    found.append(
        Figure(
            "the same with websockets + uvloop",
            f"{rate:,.0f}/s",
            f"15-line script {plain:,.0f}/s",
            f"{rate / plain:.1f}×",
            "65,000/s",
            rate >= 65_000,
        )
    )
    found.append(_size_figure(folder))
    found.append(_redaction_figure())
    return found


def _memory_figure(what: str, memory: Memory) -> Figure:
    return Figure(
        what,
        f"{memory.peak_mb:.0f} MB at most",
        f"{len(memory.samples_mb)} samples",
        f"last third {memory.growth:.2f}× the middle",
        "under 300 MB, flat",
        memory.peak_mb < 300 and memory.growth < 1.15,
    )


def _size_figure(folder: Path) -> Figure:
    """Hold the segments of the long session against its payloads as zstd-1 JSON lines."""
    session = max(folder.glob("*-picows*"), default=None) or max(folder.glob("*-websockets*"))
    segments = sorted((session / "events").glob("*.parquet"))
    on_disk = sum(segment.stat().st_size for segment in segments)
    lines = folder / "payloads.jsonl.zst"
    events = 0
    with pa.OSFile(str(lines), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        for segment in segments:
            for batch in pq.ParquetFile(segment).iter_batches(columns=["text"]):
                texts = [text for text in batch.column("text").to_pylist() if text is not None]
                events += len(texts)
                stream.write("".join(text + "\n" for text in texts).encode())
    peer_bytes = lines.stat().st_size
    lines.unlink()
    return Figure(
        "bytes on disk a message",
        f"{on_disk / events:.1f}",
        f"payloads as zstd-1 JSON lines {peer_bytes / events:.1f}",
        f"{on_disk / peer_bytes:.2f}×",
        "1.25×",
        on_disk <= 1.25 * peer_bytes,
    )


def _redaction_figure() -> Figure:
    """Hold replacing a value in the payloads that have it against parsing and writing them."""
    redactor = Redactor(("data.price",), StandIns(b"benchmark"))
    every = payloads()
    having = [payload for payload in every if b'"price"' in payload]
    replaced_us, passed_us = (
        _us_each(redactor.redact, having),
        _us_each(redactor.redact, sorted(set(every) - set(having))),
    )
    plain_us = _us_each(lambda payload: json.dumps(json.loads(payload)), having)
    return Figure(
        "`--redact` of one value in a payload that has it, on the writer thread",
        f"{replaced_us:.0f} µs; {passed_us:.1f} µs in one that has not",
        f"`json.loads` and `json.dumps` {plain_us:.1f} µs",
        f"{replaced_us / plain_us:.1f}× as long",
        "–",
        True,
    )


def _us_each(work: Callable[[bytes], object], items: Sequence[bytes]) -> float:
    """Return what one takes, µs, in the best of five runs."""
    best_s = min(timeit.repeat(lambda: [work(item) for item in items], number=1, repeat=5))
    return best_s / len(items) * 1e6


def mean_payload_bytes() -> float:
    """Return the mean size of the payloads, bytes."""
    found = payloads()
    return sum(map(len, found)) / len(found)
