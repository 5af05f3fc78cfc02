"""How fast and how exactly a session is replayed."""

from __future__ import annotations

import time
from array import array
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.figure import Figure
from benchmarks.load import payloads
from benchmarks.processes import Memory, free_port, result_of, started, wsrec

__all__ = ["figures", "late", "make_session", "percentile", "wire_bytes"]

CLIENTS = 100
PASSES = 5
TOGETHER = 65_536
PEER_BROADCASTS = 5_000
RATE = 1_000
LATENESS_S = 60


def figures(folder: Path) -> list[Figure]:
    """Measure replaying of the long session in ``folder``, and of one made for the purpose."""
    session = max(folder.glob("*-picows*"), default=None) or max(folder.glob("*-websockets*"))
    return [*_throughput(session, folder), *_fan_out(folder), *_lateness(folder), *_first_frame(session, folder)]


def wire_bytes(session: Path) -> tuple[int, int]:
    """Return frames of a session and their bytes on the wire."""
    count = size = 0
    for segment in sorted((session / "events").glob("*.parquet")):
        for batch in pq.ParquetFile(segment).iter_batches(columns=["text", "kind", "type"]):
            lengths = pc.binary_length(batch.column("text")).drop_null()
            count += len(lengths)
            size += pc.sum(lengths).as_py() + sum(2 if length < 126 else 4 for length in lengths.to_pylist())
    return count, size


def _drained(session: Path, folder: Path, clients: int, size: int) -> tuple[float, Memory]:
    """Replay at full speed, over and over, until each client has taken ``size`` bytes."""
    port = free_port()
    command = ("replay", str(session), "--port", str(port), "--speed", "max", "--verbatim", "--quiet", "--loop")
    with wsrec(*command, "--wait-for", str(clients), log=folder / "replay.log") as process:
        memory = Memory(process.pid)
        with started("benchmarks.load", "drain", str(port), str(clients), str(size)) as client:
            took_s = float(result_of(client))
        memory.stop()
    return took_s, memory


def _throughput(session: Path, folder: Path) -> list[Figure]:
    frames, size = wire_bytes(session)
    took_s, memory = _drained(session, folder, 1, PASSES * size)
    rate = PASSES * frames / took_s
    plain = _broadcast(1, 100_000)
    return [
        Figure(
            f"replay {frames / 1e6:.1f} M frames, {PASSES} times, at `--speed max` to one client that only drains",
            f"{rate:,.0f} frames/s",
            f"`websockets.broadcast` {plain:,.0f}/s",
            f"{rate / plain:.1f}×",
            "600,000/s",
            rate >= 600_000,
        ),
        Figure(
            "resident memory of that run",
            f"{memory.peak_mb:.0f} MB at most",
            f"{len(memory.samples_mb)} samples",
            f"last third {memory.growth:.2f}× the middle",
            "under 300 MB, flat",
            memory.peak_mb < 300 and memory.growth < 1.15,
        ),
    ]


def _broadcast(clients: int, count: int) -> float:
    """Return deliveries per second of `websockets.broadcast`."""
    from benchmarks.load import frame

    cycle = [len(frame(payload)) for payload in payloads(4_096)]
    size = sum(cycle) * (count // len(cycle)) + sum(cycle[: count % len(cycle)])
    with started("benchmarks.peers", "broadcast", str(clients), str(count)) as server:
        port = result_of(server)
        with started("benchmarks.load", "drain", port, str(clients), str(size)) as client:
            took_s = float(result_of(client))
    return clients * count / took_s


def _fan_out(folder: Path) -> list[Figure]:
    session = make_session(folder, "together", TOGETHER, interval_ns=0)
    frames, size = wire_bytes(session)
    took_s, _ = _drained(session, folder, CLIENTS, PASSES * size)
    rate = CLIENTS * PASSES * frames / took_s
    plain = _broadcast(CLIENTS, PEER_BROADCASTS)
    return [
        Figure(
            f"replay {frames:,} frames due together to {CLIENTS} clients",
            f"{rate:,.0f} deliveries/s",
            f"`websockets.broadcast` {plain:,.0f}/s",
            f"{rate / plain:.0f}×",
            "2,000,000/s and 20×",
            rate >= 2_000_000 and rate >= 20 * plain,
        )
    ]


def make_session(folder: Path, name: str, count: int, interval_ns: int) -> Path:
    """Write a session of simulated payloads at an even pace, through the recorder's own core and store."""
    from wsrecorder.core.dialect import ENGINE, EnvelopeReader
    from wsrecorder.core.event import Opcode
    from wsrecorder.core.recorder import Limits, Recorder
    from wsrecorder.store.library import Library
    from wsrecorder.store.manifest import Health, Identity
    from wsrecorder.store.schema import encode
    from wsrecorder.store.sink import ParquetSink

    limits = Limits()
    session_id, path = Library(folder).create(name, time.time_ns())
    sink = ParquetSink(path, Identity(id=session_id, name=name, started_ns=time.time_ns()), limits, sync=False)
    recorder, reader, found = Recorder(limits, 0), EnvelopeReader(ENGINE), payloads()
    recorder.opened(0, {})
    for number in range(count):
        if recorder.frame(found[number % len(found)], Opcode.TEXT, number * interval_ns):
            batch = recorder.take(0)
            assert batch is not None
            sink.append(encode(batch, reader))
    recorder.ended(count * interval_ns)
    batch = recorder.take(0)
    assert batch is not None
    sink.append(encode(batch, reader))
    sink.close(Health())
    return path


def _lateness(folder: Path) -> list[Figure]:
    interval_ns = 10**9 // RATE
    count = RATE * LATENESS_S
    session = make_session(folder, "even", count, interval_ns)
    port = free_port()
    ours, plain = folder / "ours.times", folder / "plain.times"
    with (
        wsrec("replay", str(session), "--port", str(port), "--verbatim", "--quiet", log=folder / "late.log"),
        started("benchmarks.load", "arrivals", str(port), str(count), str(ours)) as client,
    ):
        client.wait()
    with (
        started("benchmarks.peers", "call_at", str(count), str(interval_ns / 1e9)) as server,
        started("benchmarks.load", "arrivals", result_of(server), str(count), str(plain)) as client,
    ):
        client.wait()
    own, bare = late(ours, interval_ns), late(plain, interval_ns)
    drift_ms = (_mean(own[-count // 10 :]) - _mean(own[: count // 10])) / 1e6
    return [
        Figure(
            f"lateness at a client, {RATE:,} frames/s at `--speed 1`, p50 / p99",
            f"{percentile(own, 50):.2f} / {percentile(own, 99):.2f} ms",
            f"bare `loop.call_at` {percentile(bare, 50):.2f} / {percentile(bare, 99):.2f} ms",
            f"p99 {percentile(own, 99) / percentile(bare, 99):.2f}×",
            "p99 at most 1.5×",
            percentile(own, 99) <= 1.5 * percentile(bare, 99),
        ),
        Figure(
            f"drift over {LATENESS_S} s: mean lateness of the last tenth less that of the first",
            f"{drift_ms:+.3f} ms",
            f"{len(own):,} of {count:,} frames",
            "–",
            "within 1 ms",
            abs(drift_ms) <= 1 and len(own) == count,
        ),
    ]


def late(path: Path, interval_ns: int) -> list[int]:
    """Return how late each frame was against an even pace; the most punctual one sets it."""
    times = array("q")
    times.frombytes(path.read_bytes())
    offsets = [at_ns - number * interval_ns for number, at_ns in enumerate(times)]
    least = min(offsets)
    return [offset - least for offset in offsets]


def percentile(values: list[int], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(len(ordered) * percent / 100))] / 1e6


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)


def _first_frame(session: Path, folder: Path) -> list[Figure]:
    found = []
    length_s = _length_s(session)
    for what, extra in (("", ()), (", from its middle", ("--from", f"{length_s / 2:.3f}s"))):
        port = free_port()
        began = time.monotonic()
        command = ("replay", str(session), "--port", str(port), "--verbatim", "--quiet", *extra)
        with (
            wsrec(*command, log=folder / "first.log"),
            started("benchmarks.load", "first", str(port)) as client,
        ):
            took_s = float(result_of(client)) - began
        found.append(
            Figure(
                f"first frame after `wsrec replay` on the long session{what}, imports included",
                f"{took_s:.2f} s",
                "–",
                "–",
                "under 1 s",
                took_s < 1,
            )
        )
    return found


def _length_s(session: Path) -> float:
    last = sorted((session / "events").glob("*.parquet"))[-1]
    elapsed = pq.read_table(last, columns=["elapsed_ns"]).column("elapsed_ns")
    return pc.max(elapsed).as_py() / 1e9
