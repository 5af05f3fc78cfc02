"""A disk that takes nothing for a while: it is said once, asked every second, and a gap tells what is missing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from wsrecorder.clock import VirtualClock
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.errors import StorageError
from wsrecorder.jobs.disk_outage import DiskOutage
from wsrecorder.store.manifest import Health, Identity, Manifest, Tally
from wsrecorder.store.recording import Recording

LOG = logging.getLogger("wsrecorder.record")
FULL = StorageError("the disk is full", hint="free some space")
FULL.__cause__ = OSError(28, "No space left on device")


class TiredSink:
    """A sink whose disk takes nothing until it has been asked so often."""

    def __init__(self, tries: int) -> None:
        self.tally = Tally()
        self.manifest = Manifest(identity=Identity(id="x", name="x"))
        self.path = Path("tired")
        self.size_bytes = 0
        self.trouble: StorageError | None = None
        self.taken: list[pa.RecordBatch] = []
        self.tries = tries

    def append(self, rows: pa.RecordBatch) -> None:
        if self.tries:
            self.tries -= 1
            raise FULL
        self.taken.append(rows)

    def close(self, health: Health) -> Manifest:
        return self.manifest

    def abandon(self) -> None:
        pass

    def details(self) -> list[dict[str, object]]:
        return [json.loads(text) for rows in self.taken for text in rows.column("detail").to_pylist() if text]


class Scene:
    """A recorder with a connection, its recording into a tired sink, and a watch over the disk."""

    def __init__(self, tries: int) -> None:
        self.clock = VirtualClock()
        self.sink = TiredSink(tries)
        self.told = asyncio.Event()
        self.recorder = Recorder(Limits(), self.clock.now_ns())
        loop = asyncio.get_running_loop()
        self.recording = Recording(
            self.sink, EnvelopeReader(ENGINE), lambda: loop.call_soon_threadsafe(self._look) and None
        )
        self.outage = DiskOutage(self.recorder, self.recording, self.clock, "ws://feed/", LOG)

    def _look(self) -> None:
        self.outage.look()
        self.told.set()

    def offer(self) -> None:
        batch = self.recorder.take(0)
        assert batch is not None
        self.recording.offer(batch)

    async def close(self) -> Manifest:
        return await asyncio.to_thread(self.recording.close, Health())


@pytest.fixture
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


async def test_the_disk_is_asked_every_second_until_it_takes_what_waits(
    patience: None, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tries=4)
    with scene.clock.held():
        scene.recorder.frame(b"a", Opcode.TEXT, scene.clock.now_ns())
        scene.offer()
        await scene.told.wait()  # the first try: now time may pass
        for _ in range(3):
            assert scene.recording.refusal is FULL
            scene.told.clear()
            for _ in range(3):
                await asyncio.sleep(0)  # the one who asks goes to sleep
            scene.clock.advance(1_000_000_000)
            await scene.told.wait()
        scene.told.clear()
        for _ in range(3):
            await asyncio.sleep(0)
        scene.clock.advance(1_000_000_000)
        await scene.told.wait()
    assert scene.recording.refusal is None
    scene.recorder.frame(b"b", Opcode.TEXT, scene.clock.now_ns())
    scene.offer()
    await scene.close()
    assert [rows.column("text").to_pylist() for rows in scene.sink.taken] == [["a"], [None, "b"]]
    assert scene.sink.details() == [
        {"cause": "disk full: No space left on device", "refused_s": 4.0, "lost_frames": 0, "lost_bytes": 0}
    ]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("ws://feed/: the disk is full; recording goes on as soon as")
    assert "after 4.0 s; 0 frames" in said[1]


async def test_frames_are_let_go_only_when_it_is_for_the_disk_that_there_is_no_room(patience: None) -> None:
    scene = Scene(tries=2)
    assert not scene.outage.let_go()  # a writer that is slow is waited for
    scene.recorder.frame(b"a", Opcode.TEXT, scene.clock.now_ns())
    with scene.clock.held():
        scene.offer()
        await scene.told.wait()
        assert scene.outage.let_go()
        for _ in range(7):
            scene.recorder.frame(b"lost", Opcode.TEXT, scene.clock.now_ns())
        scene.told.clear()
    while scene.recorder.is_shut:
        await scene.told.wait()
        scene.told.clear()
    scene.recorder.frame(b"b", Opcode.TEXT, scene.clock.now_ns())
    scene.offer()
    await scene.close()
    assert [rows.column("text").to_pylist() for rows in scene.sink.taken] == [["a"], [None, "b"]]
    (gap,) = scene.sink.details()
    assert (gap["lost_frames"], gap["lost_bytes"]) == (7, 28)
    assert gap["to_ns"] > gap["from_ns"]  # type: ignore[operator]


@pytest.mark.parametrize("tries", [1, 99])
async def test_a_recording_that_ends_meanwhile_says_what_is_missing(
    patience: None, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tries)
    scene.recorder.frame(b"a", Opcode.TEXT, scene.clock.now_ns())
    with scene.clock.held():
        scene.offer()
        await scene.told.wait()
        scene.outage.let_go()
        scene.recorder.frame(b"lost", Opcode.TEXT, scene.clock.now_ns())
        scene.outage.finish()
        scene.offer()
        if tries == 1:  # the last try succeeds
            await scene.close()
            assert scene.sink.details()[0]["lost_frames"] == 1
        else:
            with pytest.raises(StorageError, match="2 events that had come could not be written"):
                await scene.close()
    assert "1 frames that came are missing" in caplog.text
    said = len(caplog.records)
    await asyncio.sleep(0)
    scene.outage.look()
    assert len(caplog.records) == said


async def test_what_cannot_be_sealed_is_said_once_and_again_when_it_can(
    patience: None, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tries=0)
    for trouble in (FULL, None):
        scene.sink.trouble = trouble
        scene.recorder.frame(b"a", Opcode.TEXT, scene.clock.now_ns())
        scene.offer()
        await scene.told.wait()
        scene.told.clear()
    await scene.close()
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "ws://feed/: the disk is full",
        "ws://feed/: segments are sealed again",
    ]
