"""A thousand clients on the endpoint, a fifth of whom misbehave: are the others served as if there were none?

A real ``wsrec replay`` plays numbered frames at an even pace to the clients that behave. In every second window of time
a tenth of the thousand connect and read nothing, and a tenth come and go: they close, vanish by FIN and by RST, in the
middle of their handshake and before it. The windows between are the measure: same process, same clients, same
minutes. Beside it stands the plain way to do the same, `loop.call_at` and a write to each client, without anybody who
misbehaves.

The law: every client that behaves gets each frame once and in order; whoever froze is closed with 1013, nobody else is;
memory grows by no more than the frozen may lag; and lateness p99 with the fifth is at most 1.5 times that without (the
bench's limit over a bare timer), or 20 ms more where that is more: below that it is the machine's scheduler. Each
is the median over the windows of a kind, so that what else the machine did in one of them does not decide.
"""

from __future__ import annotations

import json
import resource
from array import array
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.processes import Memory, free_port, json_of, result_of, started, wsrec
from torture.crowd import numbered
from torture.finding import Finding
from torture.sessions import even_session

__all__ = ["findings"]

_CLIENTS: Final = 1_000
_RATE: Final = 10
_SIZE_BYTES: Final = 4_000
_WINDOW_S: Final = 8
_WINDOWS: Final = 10
_THAW_S: Final = 3.0
"""How much of a calm window's beginning is left out: those frozen before it are just read to their end."""
_LAG_BYTES: Final = 32 << 10
_RATIO: Final = 1.5
_SLACK_MS: Final = 20.0
_MEMORY_SLACK_MB: Final = 64.0
_INTERVAL_NS: Final = 10**9 // _RATE


@dataclass(frozen=True, slots=True)
class Run:
    """What came of the replay.

    Attributes:
        steady: What those that behave say.
        fickle: What those that do not say.
        report: What the replay says of itself.
        calm: Lateness p50 and p99 without those that misbehave, ms.
        rough: The same with them.
        memory: Of the replay, MB: before any misbehaved, and the most there was.
    """

    steady: dict[str, Any]
    fickle: dict[str, Any]
    report: dict[str, Any]
    calm: tuple[float, float]
    rough: tuple[float, float]
    memory: tuple[float, float]


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Let the crowd in.

    Args:
        seed: Who goes when and how is drawn from it.
        effort: 1 is a thousand clients, and ten windows of eight seconds; less is fewer of both.
        folder: For the session.
    """
    _raise_limit()
    clients = max(60, round(_CLIENTS * min(1.0, effort)))
    windows = max(2, round(_WINDOWS * min(1.0, effort) / 2) * 2)
    steady, plan = clients - 2 * (clients // 10), {"frozen": clients // 10, "goers": clients // 10, "seed": seed}
    plan |= {"windows": windows, "count": windows * _WINDOW_S * _RATE, "size_bytes": _SIZE_BYTES}
    peers = [_peer(steady, _WINDOW_S * _RATE, folder)]
    run = _replayed(steady, plan, folder)
    peers.append(_peer(steady, _WINDOW_S * _RATE, folder))
    return [
        _told(clients, steady, plan, run),
        _dropped(plan, run),
        _punctual(run, _typical(peers)),
        _bounded(plan, run),
    ]


def _told(clients: int, steady: int, plan: dict[str, int], run: Run) -> Finding:
    wrong = [*run.steady["wrong"], *run.fickle["wrong"]]
    return Finding(
        "every client that behaves gets each frame once and in order, whoever else is there",
        f"{clients:,} clients on the endpoint, a tenth frozen, a tenth coming and going: close, FIN, RST, within and "
        "before the handshake",
        f"{run.steady['complete']:,} of {steady:,} got all {plan['count']:,} frames, beside "
        f"{sum(run.fickle['endings'].values()):,} frozen and {sum(run.fickle['goers'].values()):,} that came and went",
        run.steady["complete"] == steady and not wrong and not run.fickle["goers"].get("refused"),
        "; ".join(wrong) or json.dumps(run.fickle["goers"]),
    )


def _dropped(plan: dict[str, int], run: Run) -> Finding:
    frozen = plan["frozen"] * plan["windows"] // 2
    codes = [client["close_code"] for client in run.report["clients"]]
    seen, slow = run.fickle["endings"], run.report["slow_closed"]
    return Finding(
        "who reads nothing is closed with 1013 once it lags too far, and nobody else is",
        f"clients that freeze with a --client-buffer of {_LAG_BYTES >> 10} KiB",
        f"{slow:,} of {frozen:,} frozen ones closed, {seen.get('1013', 0):,} read the 1013 when they thawed, "
        f"{seen.get('cut', 0):,} were cut before",
        slow == frozen and not seen.get("open") and run.steady["complete"] > 0 and len(codes) > 0,
        json.dumps(seen),
    )


def _punctual(run: Run, bare: tuple[float, float]) -> Finding:
    calm, rough = run.calm, run.rough
    return Finding(
        f"nobody else is late for it: p99 at most {_RATIO:g} times that without that fifth, or {_SLACK_MS:g} ms",
        f"{_RATE} frames of {_SIZE_BYTES:,} bytes a second to each, in turns of {_WINDOW_S} s with and without the "
        "fifth that misbehaves",
        f"p50 / p99 {rough[0]:.1f} / {rough[1]:.1f} ms with it, {calm[0]:.1f} / {calm[1]:.1f} ms without; "
        f"`loop.call_at` and a write to each, without it, {bare[0]:.1f} / {bare[1]:.1f} ms",
        rough[1] <= max(_RATIO * calm[1], calm[1] + _SLACK_MS),
        f"{rough[1] / calm[1]:.2f} times",
    )


def _bounded(plan: dict[str, int], run: Run) -> Finding:
    before, peak = run.memory
    allowed = before + _MEMORY_SLACK_MB + 2 * plan["frozen"] * _LAG_BYTES / 1e6
    return Finding(
        "the endpoint holds no more for those that misbehave than they may lag",
        "resident memory of the replay, ten times a second",
        f"{peak:.0f} MB at most, {before:.0f} MB before the first misbehaved; {allowed:.0f} MB allowed",
        peak <= allowed,
    )


def _replayed(steady: int, plan: dict[str, int], folder: Path) -> Run:
    session = even_session(
        folder, "crowd", (numbered(number, _SIZE_BYTES) for number in range(plan["count"])), _INTERVAL_NS
    )
    port, times = free_port(), folder / "crowd.times"
    options = ("--verbatim", "--quiet", "--json", "--no-console", "--slow-client", "close", "--wait-for", str(steady))
    command = ("replay", str(session), "--port", str(port), "--client-buffer", f"{_LAG_BYTES >> 10}KiB", *options)
    with ExitStack() as stack:
        process = stack.enter_context(wsrec(*command, log=folder / "replay.log"))
        memory = Memory(process.pid)
        numbers = map(str, (port, steady, plan["count"], _SIZE_BYTES))
        good = stack.enter_context(started("torture.crowd", "steady", *numbers, str(times)))
        result_of(good)
        began_ns = result_of(good)
        before_mb = memory.peak_mb
        window_ns = str(_WINDOW_S * 10**9)
        bad = stack.enter_context(started("torture.crowd", "fickle", str(port), began_ns, window_ns, json.dumps(plan)))
        said, fickle = json.loads(result_of(good)), json.loads(result_of(bad))
        memory.stop()
        process.terminate()
        report = json_of(process)
    calm, rough = _calm_and_rough(_late(times, steady, plan["count"]))
    return Run(said, fickle, report, calm, rough, (before_mb, memory.peak_mb))


def _calm_and_rough(late_ns: list[tuple[int, int]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return lateness p50 and p99, ms, of the windows without those that misbehave, and of those with them."""
    window, skipped = _WINDOW_S * _RATE, round(_THAW_S * _RATE)
    windows: dict[int, list[int]] = {}
    for number, late in late_ns:
        if number // window % 2 or number % window >= skipped:
            windows.setdefault(number // window, []).append(late)
    return _typical([windows[at] for at in windows if not at % 2]), _typical([windows[at] for at in windows if at % 2])


def _typical(windows: list[list[int]]) -> tuple[float, float]:
    """Return the medians of the windows' p50 and p99, ms."""
    ordered = [sorted(window) for window in windows]
    p50, p99 = ([_percentile_ms(window, percent) for window in ordered] for percent in (50, 99))
    return median(p50), median(p99)


def _peer(steady: int, count: int, folder: Path) -> list[int]:
    """Return how late each frame was that the plain way sent, ns."""
    times = folder / "peer.times"
    arguments = map(str, (steady, count, _SIZE_BYTES, _INTERVAL_NS))
    with started("torture.crowd", "peer", *arguments) as server:
        numbers = map(str, (steady, count, _SIZE_BYTES))
        with started("torture.crowd", "steady", result_of(server), *numbers, str(times)) as client:
            for _ in range(3):
                result_of(client)
    return [late for _, late in _late(times, steady, count)]


def _late(path: Path, clients: int, count: int) -> list[tuple[int, int]]:
    """Return number and lateness of each frame that came to each client; the most punctual one sets the pace."""
    times = array("q")
    times.frombytes(path.read_bytes())
    assert len(times) == clients * count
    offsets = [(at % count, came_ns - at % count * _INTERVAL_NS) for at, came_ns in enumerate(times) if came_ns]
    least = min(offset for _, offset in offsets)
    return [(number, offset - least) for number, offset in offsets]


def _percentile_ms(ordered: list[int], percent: float) -> float:
    return ordered[min(len(ordered) - 1, round(len(ordered) * percent / 100))] / 1e6


def _raise_limit() -> None:
    """Allow as many files as may be: each client is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
