"""What it costs to control a replay, and how soon a seek is answered."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figure import Figure
from benchmarks.load import connect
from benchmarks.long_session import RATE as LONG_RATE
from benchmarks.long_session import make_long_session
from benchmarks.processes import free_port, result_of, started, wsrec
from benchmarks.replaying import late, make_session, percentile, wire_bytes

__all__ = ["figures"]

_LONG = 3_000_000
_PLACES = (0.99, 0.9, 0.1, 0.55, 0.31, 0.72, 0.05, 0.97, 0.43, 0.2, 0.66)  # the first one has it all gone through
_QUIET_S = 0.3
_KINDS = ("none", "ours", "elsewhere")
_ROUNDS = 5
_WINDOW_S = 6
_CALLS = 200  # in a window
_EDGE = 250  # frames at either end of a window, which its neighbour may have touched
_RATE = 1_000
_TURNS = 2
_PASSES = 3


def figures(folder: Path) -> list[Figure]:
    """Measure controls on sessions that are made in ``folder``."""
    return [*_seek(folder), *_calls(folder), *_attached(folder)]


def _ask(port: int, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/{path}", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def _ask_patiently(port: int, path: str) -> Any:
    for _ in range(100):
        try:
            return _ask(port, path)
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the console on port {port} does not answer")


def _seek(folder: Path) -> list[Figure]:
    session = make_long_session(folder / "seek", _LONG)
    length_ns = _LONG * 10**9 // LONG_RATE
    port, console_port = free_port(), free_port()
    command = ("replay", str(session), "--port", str(port), "--console-port", str(console_port), "--quiet")
    with wsrec(*command, log=folder / "seek.log"):
        connection, _ = connect(port)
        _ask_patiently(console_port, "state")
        _ask(console_port, "pause", {})
        _let_quiet(connection)
        times_s = [_seek_once(connection, console_port, round(place * length_ns)) for place in _PLACES]
        connection.close()
    cold_s, warm_s = times_s[0], sorted(times_s[1:])
    return [
        Figure(
            f"seek in {_LONG / 1e6:.0f} M events until the first frame at the client, state told first: "
            f"median and longest of {len(warm_s)}",
            f"{warm_s[len(warm_s) // 2] * 1e3:.0f} / {warm_s[-1] * 1e3:.0f} ms",
            f"the very first, to the end of a session not yet gone through: {cold_s:.1f} s",
            "–",
            "under 300 ms",
            warm_s[-1] < 0.3,
        )
    ]


def _let_quiet(connection: socket.socket) -> None:
    while select.select([connection], [], [], _QUIET_S)[0]:
        if not connection.recv(1 << 20):
            raise RuntimeError("the replay has closed the connection")


def _seek_once(connection: socket.socket, console_port: int, place_ns: int) -> float:
    began = time.perf_counter()
    asking = threading.Thread(target=_ask, args=(console_port, "seek", {"ns": place_ns}))
    asking.start()
    if not select.select([connection], [], [], 60)[0]:
        raise RuntimeError("nothing came after a seek")
    took_s = time.perf_counter() - began
    asking.join()
    _let_quiet(connection)
    return took_s


def _calls(folder: Path) -> list[Figure]:
    """Measure in one run of a replay, window after window: no call, calls to us, the same to somebody else, again."""
    frames = len(_KINDS) * _ROUNDS * _WINDOW_S * _RATE
    session = make_session(folder, "called", frames, interval_ns=10**9 // _RATE)
    port, console_port, times = free_port(), free_port(), folder / "called.times"
    command = ("replay", str(session), "--port", str(port), "--console-port", str(console_port), "--verbatim")
    with (
        started("benchmarks.peers", "answer") as elsewhere,
        wsrec(*command, "--quiet", "--wait-for", "1", log=folder / "called.log"),
    ):
        ports = {"none": None, "ours": console_port, "elsewhere": int(result_of(elsewhere))}
        _ask_patiently(console_port, "state")
        with started("benchmarks.load", "arrivals", str(port), str(frames), str(times)) as client:
            _await_frames(console_port)
            _call_in_turns([ports[kind] for _ in range(_ROUNDS) for kind in _KINDS])
            client.wait()
    offsets = late(times, 10**9 // _RATE)
    each = _WINDOW_S * _RATE
    found: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for number in range(len(_KINDS) * _ROUNDS):
        window = offsets[number * each + _EDGE : (number + 1) * each - _EDGE]
        least = min(window)
        found[_KINDS[number % len(_KINDS)]].append(percentile([offset - least for offset in window], 99))
    plain, ours, other = (median(found[kind]) for kind in _KINDS)
    return [
        Figure(
            f"lateness p99 at a client, {_RATE:,} frames/s, during {_ROUNDS * _CALLS:,} control calls in "
            f"{_ROUNDS * _WINDOW_S} s: median of {_ROUNDS} windows, in turns with those compared",
            f"{ours:.2f} ms",
            f"without a call {plain:.2f} ms; the same calls to an unrelated server, which only load the machine, "
            f"{other:.2f} ms",
            f"{ours / plain:.2f}×; {ours / other:.2f}× of the unrelated",
            "at most 1.2× of that without a call",
            ours <= 1.2 * plain,
        )
    ]


def _await_frames(console_port: int) -> None:
    while not _ask(console_port, "state")["playbacks"][0]["frames_sent"]:
        time.sleep(0.01)


def _call_in_turns(ports: list[int | None]) -> None:
    """Call the controls at an even pace: in each window those of one port, or none."""
    began = time.monotonic()
    for window, port in enumerate(ports):
        for number in range(_CALLS):
            due = began + (window + number / _CALLS) * _WINDOW_S
            time.sleep(max(0.0, due - time.monotonic()))
            if port is not None:
                _ask(port, *(("speed", {"speed": 1}) if number % 2 else ("resume", {})))


def _attached(folder: Path) -> list[Figure]:
    session = max(folder.glob("*-picows*"), default=None) or max(folder.glob("*-websockets*"))
    frames, size = wire_bytes(session)
    alone_s = attached_s = 0.0
    for _ in range(_TURNS):
        alone_s += _drained(session, folder, _PASSES * size, is_attached=False)
        attached_s += _drained(session, folder, _PASSES * size, is_attached=True)
    rate, plain = (_TURNS * _PASSES * frames / seconds for seconds in (attached_s, alone_s))
    return [
        Figure(
            "replay at `--speed max` with the console attached and its stream of states read",
            f"{rate:,.0f} frames/s",
            f"without a console {plain:,.0f}/s",
            f"{rate / plain:.2f}×",
            "at least 0.9×",
            rate >= 0.9 * plain,
        )
    ]


def _drained(session: Path, folder: Path, size: int, *, is_attached: bool) -> float:
    """Return how long one client takes for so many bytes at full speed, s."""
    port, console_port = free_port(), free_port()
    console = ("--console-port", str(console_port)) if is_attached else ("--no-console",)
    command = ("replay", str(session), "--port", str(port), "--speed", "max", "--verbatim", "--loop", "--quiet")
    with wsrec(*command, *console, log=folder / "attached.log"), ExitStack() as stack:
        if is_attached:
            _ask_patiently(console_port, "state")  # it is loaded when it is first asked
            stack.enter_context(_listening(console_port))
        with started("benchmarks.load", "drain", str(port), "1", str(size)) as client:
            return float(result_of(client))


@contextmanager
def _listening(console_port: int) -> Iterator[None]:
    """Read the stream of states, as soon as there is one and until the block is left."""
    is_over = threading.Event()

    def read() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{console_port}/api/stream", timeout=30) as stream:
            while not is_over.is_set() and stream.readline():
                pass

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield
    is_over.set()
    thread.join(timeout=10)
