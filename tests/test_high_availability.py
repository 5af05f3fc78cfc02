"""Two real recorders of one feed, either of them killed while the other goes on: merged they have the whole feed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.cli.programs import wsrec
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.clock import SystemClock
from wsrecorder.errors import SessionError
from wsrecorder.jobs.merge import MergeOptions, merge
from wsrecorder.jobs.new_session import Target
from wsrecorder.jobs.verify import verify
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.store.library import Library

PATIENCE_S = 30


def texts(session: Session) -> list[str]:
    """Return what the feed pushed, heartbeats left out: each connection is greeted by one of its own."""
    return [event.text for event in session.events() if event.text and event.type != "HEARTBEAT"]


async def has_recorded(library: Path, last: str | None = None, *, least: int = 1) -> Session:
    """Return the only session of a library once it holds so many messages, and one in particular."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for path in Library(library).paths():
                try:
                    found = texts(open_session(path))
                except SessionError:
                    continue  # its files are there a moment before there is anything in them
                if len(found) >= least and last in (None, *found[-1:]):
                    return open_session(path)
            await asyncio.sleep(0.05)


async def test_either_recorder_is_killed_and_nothing_is_missing(tmp_path: Path) -> None:
    feed = SimulatorOptions(port=0, rate=500, heartbeat_s=0.3, max_events=3_000, wait_for=2)
    async with Simulator(feed, SystemClock(), keep_sent=True) as simulator:
        url = simulator.url

        def recorder(name: str) -> tuple[str | Path, ...]:
            return "record", url, "--library", tmp_path / name, "--name", name, "--quiet"

        async with wsrec(*recorder("b"), cwd=tmp_path) as second:
            async with wsrec(*recorder("a1"), cwd=tmp_path) as first:
                await has_recorded(tmp_path / "a1", least=200)
                first.signal(signal.SIGKILL)
                await first.process.wait()
            async with wsrec(*recorder("a2"), cwd=tmp_path) as again:
                await has_recorded(tmp_path / "a2", least=200)
                second.signal(signal.SIGKILL)
                await second.process.wait()
                async with asyncio.timeout(PATIENCE_S):
                    await simulator.finished.wait()
                await has_recorded(tmp_path / "a2", simulator.sent[-1].payload)
                again.signal(signal.SIGINT)
                assert (await again.ended())[0] == 0
        sent = [event.payload for event in simulator.sent]
    sessions = [open_session(Library(tmp_path / name).paths()[0]) for name in ("a1", "b", "a2")]
    assert all(len(texts(session)) < len(sent) for session in sessions)
    merged = merge(sessions, MergeOptions(target=Target(library=tmp_path / "merged"), same_feed=True))
    session = open_session(merged.made.path)
    assert texts(session) == sent
    assert session.info.gaps == 0
    assert merged.doubtful == 0
    assert verify(session.store).findings == []
