"""A short form of setting the clock during a recording."""

from pathlib import Path

from torture import clock


def test_setting_the_clock_moves_nothing_but_the_wall_time(tmp_path: Path) -> None:
    for finding in clock.findings(seed=1, effort=0.1, folder=tmp_path):
        assert finding.is_kept, f"{finding.promise}: {finding.figure}: {finding.detail}"
