"""Several replays behind a load balancer, beside one, and beside none in between."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.balancer import Balancer, haproxy_program
from benchmarks.figure import Figure
from benchmarks.processes import free_port, result_of, started, wsrec
from benchmarks.replaying import make_session, wire_bytes

__all__ = ["cpu_s", "figures"]

PROCESSES = 4
CLIENTS = 40
FRAMES = 65_536
PASSES = 3
DRAINS = 4
_STARTS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class _Run:
    """One way to serve the clients.

    Attributes:
        rate: Frames delivered, a second, all clients together.
        replay_us: Processor time of the replays a delivery, µs.
        balancer_us: That of the balancer, µs.
        client_us: That of the clients, µs.
    """

    rate: float
    replay_us: float
    balancer_us: float
    client_us: float


def figures(folder: Path) -> list[Figure]:
    """Measure 1 and 4 processes, behind HAProxy and without it; none where HAProxy is missing."""
    program = haproxy_program()
    if program is None:
        print("HAProxy is not installed: its figures are left out")
        return []
    session = make_session(folder, "many", FRAMES, interval_ns=0)
    one, four = (_served(session, folder, count, None) for count in (1, PROCESSES))
    one_behind, four_behind = (_served(session, folder, count, program) for count in (1, PROCESSES))
    cores, share = os.cpu_count() or 1, four_behind.replay_us / max(four_behind.balancer_us, 1e-3)
    return [
        Figure(
            f"replay to {CLIENTS} clients, each from the start, `--speed max`: {PROCESSES} processes on {cores} cores",
            f"{four.rate:,.0f} deliveries/s, {four.replay_us:.2f} µs of processor each",
            f"1 process {one.rate:,.0f}/s, {one.replay_us:.2f} µs; the clients {four.client_us:.2f} µs",
            f"{four.rate / one.rate:.2f}×",
            "–",
            True,
        ),
        Figure(
            f"the same behind HAProxy, {PROCESSES} processes",
            f"{four_behind.rate:,.0f} deliveries/s, {four_behind.replay_us:.2f} µs of processor each",
            f"1 process {one_behind.rate:,.0f}/s, {one_behind.replay_us:.2f} µs",
            f"{four_behind.rate / one_behind.rate:.2f}×",
            "–",
            True,
        ),
        Figure(
            "what HAProxy takes of that, a delivery",
            f"{four_behind.balancer_us:.2f} µs of processor: a core of it for {share:.1f} of replays",
            f"{PROCESSES} processes without it {four.rate:,.0f}/s",
            f"{four_behind.rate / four.rate:.2f}×",
            "–",
            True,
        ),
    ]


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _served(session: Path, folder: Path, processes: int, program: str | None) -> _Run:
    """Let all clients take the session a few times, and tell how it went."""
    frames, size = wire_bytes(session)
    with ExitStack() as stack:
        replays = [stack.enter_context(_replay(session, folder / f"many-{n}.log")) for n in range(processes)]
        pids = [pid for pid, _, _ in replays]
        ports, balancer = [port for _, port, _ in replays], None
        if program is not None:
            balancer = stack.enter_context(Balancer(program, [(port, metrics) for _, port, metrics in replays]))
            ports = [balancer.port]
        before = [cpu_s(pid) for pid in pids]
        balanced_before = cpu_s(balancer.process.pid) if balancer else 0.0
        took_s, client_s = _drained(ports, PASSES * size)
        deliveries = CLIENTS * PASSES * frames
        return _Run(
            rate=deliveries / took_s,
            replay_us=1e6 * sum(cpu_s(pid) - begun for pid, begun in zip(pids, before, strict=True)) / deliveries,
            balancer_us=1e6 * (cpu_s(balancer.process.pid) - balanced_before) / deliveries if balancer else 0.0,
            client_us=1e6 * client_s / deliveries,
        )


def _drained(ports: Sequence[int], size: int) -> tuple[float, float]:
    """Return how long the clients took, spread evenly over ports, and the processor time of theirs, s."""
    before = os.times()
    with ExitStack() as stack:
        drains = [
            stack.enter_context(
                started("benchmarks.load", "drain", str(ports[n % len(ports)]), str(CLIENTS // DRAINS), str(size))
            )
            for n in range(DRAINS)
        ]
        took_s = max(float(result_of(drain)) for drain in drains)
    after = os.times()  # of children that have ended: the clients
    return took_s, after.children_user + after.children_system - before.children_user - before.children_system


@contextmanager
def _replay(session: Path, log: Path) -> Iterator[tuple[int, int, int]]:
    """Run a replay that plays to each client over and over; yield its pid, its port and that of its metrics."""
    port, metrics = free_port(), free_port()
    options = ("--per-client", "--speed", "max", "--verbatim", "--quiet", "--loop", "--no-console")
    with wsrec("replay", str(session), "--port", str(port), "--metrics", str(metrics), *options, log=log) as process:
        _wait_until_ready(metrics)
        yield process.pid, port, metrics


def _wait_until_ready(metrics: int) -> None:
    from urllib.error import URLError
    from urllib.request import urlopen

    until = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{metrics}/readyz", timeout=2):
                return
        except URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
