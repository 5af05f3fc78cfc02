"""As many connections over real sockets as a day has: of a recorder, of a tap, of a console."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.load import payloads
from torture.listening import Listener, listen
from torture.sessions import even_session
from torture.vitals import Soaked, Vitals
from wsrecorder.clock import SystemClock
from wsrecorder.console.beside import ReplayWithConsole
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.core.recorder import Retry
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions
from wsrecorder.jobs.tap import TapJob
from wsrecorder.jobs.tap_options import TapJobOptions
from wsrecorder.net.feed import loop_factory
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.session import ParquetStore

__all__ = ["look_at_console", "record_over_sockets", "tap_over_sockets"]

_LOOKS: Final = 60
_SOON: Final = Retry(first_s=0.01, most_s=0.02)
_RATE: Final = 500.0
_TRANSPORTS: Final = tuple(name for name in ("websockets", "picows") if importlib.util.find_spec(name) is not None)
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST
_ASKED: Final = ("/api/state", "/api/clients", "/api/events?first=0&rows=50", "/api/density?bins=50", "/api/latency")


def _run(part: Callable[[Random, int, Path], Awaitable[Soaked]], seed: int, size: float, folder: Path) -> Soaked:
    async def whole() -> Soaked:
        return await part(Random(seed), max(3, round(size)), folder)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(whole())


def _due(number: int, count: int) -> bool:
    return number % max(1, count // _LOOKS) == 0


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.002)


# A recorder


def record_over_sockets(seed: int, losses: float, folder: Path) -> Soaked:
    """Record a feed that loses its clients so many times, with each transport at once."""
    return _run(_record, seed, losses, folder)


async def _record(chance: Random, losses: int, folder: Path) -> Soaked:
    clock, vitals, stop = SystemClock(), Vitals(), asyncio.Event()
    simulator = Simulator(SimulatorOptions(port=0, rate=_RATE, wait_for=len(_TRANSPORTS), seed=7), clock)
    async with simulator:
        recorders = [
            FeedRecorder(
                RecordOptions(
                    feed=FeedOptions(simulator.url), library=folder, name=name, transport=name, retry=_SOON, sync=False
                ),
                clock,
            )
            for name in _TRANSPORTS
        ]
        recordings = [asyncio.create_task(recorder.run(stop)) for recorder in recorders]
        for number in range(losses):
            await _until(lambda: all(recorder.vitals.recording is not None for recorder in recorders))
            await _until(lambda: simulator.clients == len(_TRANSPORTS))
            before = [recorder.state.messages for recorder in recorders]
            await _until(
                lambda before=before: all(  # type: ignore[misc]
                    recorder.state.messages > messages + 5 for recorder, messages in zip(recorders, before, strict=True)
                )
            )
            if _due(number, losses):
                vitals.look()
            await simulator.drop_clients(chance.choice((None, 1011, 1012)))
        stop.set()
        outcomes = await asyncio.gather(*recordings)
    messages = sum(outcome.manifest.messages for outcome in outcomes if outcome.manifest is not None)
    work = f"{losses} losses with each of {', '.join(_TRANSPORTS)}, {messages:,} events"
    return vitals.soaked(work, _lacks(outcomes, losses))


def _lacks(outcomes: list[Outcome], losses: int) -> str:
    for outcome in outcomes:
        if outcome.error is not None or outcome.manifest is None:
            return f"a recording ended with {outcome.error}"
        if not losses <= outcome.manifest.connections <= losses + 1:
            return f"{losses} losses, {outcome.manifest.connections} connections"
    return ""


# A tap


def tap_over_sockets(seed: int, visits: float, folder: Path) -> Soaked:
    """Visit a feed through a tap so many times."""
    return _run(_tap, seed, visits, folder)


async def _tap(chance: Random, visits: int, folder: Path) -> Soaked:
    clock, vitals, stop = SystemClock(), Vitals(), asyncio.Event()
    async with Simulator(SimulatorOptions(port=0, rate=_RATE, wait_for=0, seed=7), clock) as simulator:
        job = TapJob(
            TapJobOptions(
                tap=TapOptions(simulator.url, port=0),
                record=RecordOptions(feed=FeedOptions(simulator.url), library=folder, name="tap", sync=False),
            ),
            clock,
        )
        started: asyncio.Future[TapJob] = asyncio.get_running_loop().create_future()
        tapping = asyncio.create_task(job.run(stop, started.set_result))
        await started
        url = job.state.url
        for number in range(visits):
            guests = [await listen(url, Listener()) for _ in range(3)]
            await _hang_up_early(url, chance)
            for guest in guests:
                await guest.hear(5)
                await guest.leave(chance)
            await _until(lambda: not job.state.clients and not simulator.clients)
            if _due(number, visits):
                vitals.look()
        stop.set()
        summary = await tapping
    outcome = summary.outcome
    wrong = "" if outcome.error is None and outcome.manifest is not None else f"the tap ended with {outcome.error}"
    if outcome.manifest is not None and outcome.manifest.connections != 3 * visits:
        wrong = wrong or f"{3 * visits} clients came, {outcome.manifest.connections} connections were recorded"
    work = f"{3 * visits} clients, {visits} more that hung up early, {summary.state.messages_in:,} events"
    return vitals.soaked(work, wrong)


async def _hang_up_early(url: str, chance: Random) -> None:
    """Begin a handshake and vanish, by FIN or by RST."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /ws/ HTTP/1.1\r\nHost: x\r\n"[: chance.randint(0, 27)])
    await _vanish(writer, chance)


async def _vanish(writer: asyncio.StreamWriter, chance: Random) -> None:
    if chance.random() < 0.5:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


# A console


def look_at_console(seed: int, visits: float, folder: Path) -> Soaked:
    """Look at the console beside a replay so many times."""
    return _run(_console, seed, visits, folder)


async def _console(chance: Random, visits: int, folder: Path) -> Soaked:
    session = even_session(folder, "shown", payloads(3_000), 10_000_000)
    vitals, wrong = Vitals(), ""
    replay = ReplayWithConsole(
        [ParquetStore(session)],
        ReplayOptions(port=0, at_end=AtEnd.LOOP),
        SystemClock(),
        console=ConsoleOptions(port=0),
        library=folder,
    )
    async with replay:
        assert replay.console_url is not None
        port = int(replay.console_url.rpartition(":")[2].strip("/"))
        staying = await listen(replay.url, Listener())
        for number in range(visits):
            streams = [await _open_stream(port) for _ in range(3)]
            for path in _ASKED:
                status = await _ask(port, path)
                if status != b"200":
                    wrong = wrong or f"{path} was answered {status.decode()}"
            for reader, writer in streams:
                async with asyncio.timeout(120):
                    await reader.readuntil(b"event: state\n")
                await _vanish(writer, chance)
            if _due(number, visits):
                vitals.look()
        await staying.leave(chance)
    work = f"{3 * visits} streams, {len(_ASKED) * visits:,} questions, {staying.heard:,} frames meanwhile"
    return vitals.soaked(work, wrong)


async def _open_stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return reader, writer


async def _ask(port: int, path: str) -> bytes:
    """Return the status of an answer, once all of it is here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(120):
        answer = await reader.read()
    writer.close()
    return answer[9:12]
