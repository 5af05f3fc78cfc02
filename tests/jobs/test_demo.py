"""The demo: all stages are reached, and a byte that differs is never passed over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from wsrecorder.clock import SystemClock
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.errors import WsrecError
from wsrecorder.jobs import demo as demo_module
from wsrecorder.jobs.demo import QUESTIONS, Answered, DemoOptions, Recorded, Recording, Replayed, Stage, demo
from wsrecorder.store.library import Library


async def shown(library: Path, stop: asyncio.Event | None = None, **options: Any) -> tuple[bool, list[Stage]]:
    stages: list[Stage] = []
    asked = DemoOptions(library=library, duration_s=0.3, rate=1_000, speed=MAX_SPEED, **options)
    async with asyncio.timeout(30):
        return await demo(asked, SystemClock(), stop or asyncio.Event(), stages.append), stages


async def test_every_stage_is_reached(tmp_path: Path) -> None:
    ended, stages = await shown(tmp_path, tool="wsrec test")
    assert ended
    recording, recorded, *answers, replayed = stages
    assert isinstance(recording, Recording)
    assert isinstance(recorded, Recorded)
    assert isinstance(replayed, Replayed)
    assert recorded.info.messages > 100
    assert (recorded.info.sealed, recorded.info.tool) == (True, "wsrec test")
    assert recorded.latency_ms is not None
    assert [path.name for path in Library(tmp_path).paths()] == [recorded.info.id]
    assert replayed.frames == recorded.info.messages == replayed.report.frames_sent
    assert replayed.size_bytes == recorded.info.bytes
    for answer, (question, sql) in zip(answers, QUESTIONS.items(), strict=True):
        assert isinstance(answer, Answered)
        assert (answer.question, answer.sql) == (question, sql)
        assert answer.rows
        assert all(len(row) == len(answer.columns) for row in answer.rows)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frames: frames.pop(10), "the replay differs at frame 11: text "),
        (lambda frames: frames.append((b"x", 1)), "nothing was recorded, text b'x' arrived"),
        (lambda frames: frames.pop(), ", nothing arrived"),
        (lambda frames: frames.insert(4, frames.pop(5)), "the replay differs at frame 5: "),
        (lambda frames: frames.__setitem__(3, (frames[3][0], 2)), "the replay differs at frame 4: text "),
        (lambda frames: frames.__setitem__(0, (frames[0][0] + b" ", 1)), "the replay differs at frame 1: text "),
    ],
)
async def test_whatever_differs_makes_it_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, words: str
) -> None:
    compare = demo_module._compare

    def spoilt(recorded: Any, arrived: Any) -> None:
        spoil(arrived)
        compare(recorded, arrived)

    monkeypatch.setattr(demo_module, "_compare", spoilt)
    with pytest.raises(WsrecError) as raised:
        await shown(tmp_path)
    assert words in raised.value.message
    assert "frames were recorded" in raised.value.message
    assert raised.value.exit_code == 1


async def test_stopped_midway_it_leaves_a_sealed_session(tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    ended, stages = await shown(tmp_path, stop)
    assert not ended
    assert isinstance(stages[-1], Recorded)
    assert stages[-1].info.sealed


async def test_stopped_while_it_replays_it_ends_at_once(tmp_path: Path) -> None:
    stop = asyncio.Event()

    def on_stage(stage: Stage) -> None:
        if isinstance(stage, Answered):
            stop.set()

    options = DemoOptions(library=tmp_path, duration_s=0.3, rate=1_000, speed=0.001)
    async with asyncio.timeout(30):
        assert not await demo(options, SystemClock(), stop, on_stage)
