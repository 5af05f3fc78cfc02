"""The short form of the kills."""

import sys
from pathlib import Path

import pytest

from torture.counted_feed import payload
from torture.killed import findings

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def test_what_killed_recorders_had_synced_is_there(tmp_path: Path) -> None:
    (kept, _) = findings(seed=0, effort=5 / 200, folder=tmp_path)
    assert kept.is_kept, kept.detail  # how much is lost is a question of time, and this machine may be busy


def test_every_frame_of_the_feed_is_another() -> None:
    frames = [payload(number, 300) for number in range(2_000)]
    assert len(set(frames)) == len(frames)
    assert len({len(frame) for frame in frames}) > 100
