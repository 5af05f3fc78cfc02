"""The short form of the kills."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from torture.counted_feed import payload
from torture.killed import Case, Kept, _judged, findings

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def test_what_killed_recorders_had_synced_is_there(tmp_path: Path) -> None:
    (kept, _) = findings(seed=0, effort=5 / 200, folder=tmp_path)
    assert kept.is_kept, kept.detail  # how much is lost is a question of time, and this machine may be busy


def left(aim: str, lost_ms: float, delay_ms: float, form: str = "parquet") -> Kept:
    case = replace(Case.drawn(0, 0), aim=aim, form=form)
    return Kept(case, events=10, lost_frames=1, lost_ms=lost_ms, delay_ms=delay_ms)


def test_how_much_is_lost_is_told_as_measured_and_adjusted() -> None:
    kept = [left("anywhere", 150, 60), left("anywhere", 20, 5), left("sealing", 110, 0), left("ending", 900, 0)]
    kept.append(left("sealing", 300, 100, "duckdb"))
    (_, lost) = _judged(kept)
    assert lost.figure == (
        "3 kills: as measured oldest 150 ms, median 110 ms, less the machine's part oldest 110 ms, median 90 ms; "
        "while DuckDB folds 16 MiB of log into its file, "
        "1 kills: as measured oldest 300 ms, median 300 ms, less the machine's part oldest 200 ms, median 200 ms"
    )
    assert lost.is_kept
    (_, lost) = _judged([*kept, left("anywhere", 200, 79)])
    assert not lost.is_kept
    assert "200 ms, delay 79 ms" in lost.detail


def test_where_no_kill_was_under_load_none_is_told() -> None:
    (_, lost) = _judged([left("ending", 900, 0)])
    assert lost.figure == "no kill; while DuckDB folds 16 MiB of log into its file, no kill"


def test_every_frame_of_the_feed_is_another() -> None:
    frames = [payload(number, 300) for number in range(2_000)]
    assert len(set(frames)) == len(frames)
    assert len({len(frame) for frame in frames}) > 100
