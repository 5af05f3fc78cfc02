"""A short form of what a hostile feed does to a recorder."""

from pathlib import Path

import pytest

from torture import feed


def test_a_hostile_feed_takes_nothing_away_that_was_good(tmp_path: Path) -> None:
    pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    for finding in feed.findings(seed=1, effort=0.015, folder=tmp_path):
        assert finding.is_kept, f"{finding.promise}: {finding.figure}: {finding.detail}"
