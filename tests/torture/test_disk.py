"""The short form of the disk that refuses, and that its judges find what they are there to find."""

import errno
from pathlib import Path
from unittest.mock import patch

import pytest

from torture.disk import findings
from torture.disk_rehearsal import Case, rehearse, walk
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store import journal


def test_a_disk_that_refuses_costs_nothing_that_was_synced(tmp_path: Path) -> None:
    refused, small = findings(seed=0, effort=0.01, folder=tmp_path)
    assert refused.is_kept, refused.detail
    assert small.is_kept, small.detail
    assert "resumed with a gap" in refused.figure


def test_a_batch_that_was_refused_and_is_left_in_its_journal_is_found(tmp_path: Path) -> None:
    undisturbed = rehearse(Case(0, 1 << 60, 0, 0), tmp_path / "undisturbed")
    syncs = [number for number, kind in enumerate(undisturbed.operations, 1) if kind == "sync"]
    # The sealer is at work meanwhile, so that a number is now a batch's sync and now another's: one of them is.
    cases = [Case(0, number, 1, errno.ENOSPC) for number in syncs[4:12]]
    assert [rehearse(case, tmp_path / f"cut-{case.begins}").broken for case in cases] == [""] * len(cases)
    with patch.object(journal.JournalWriter, "cut_back", journal.JournalWriter.abandon):
        assert any(rehearse(case, tmp_path / f"uncut-{case.begins}").broken for case in cases)


def event(seq: int, kind: Kind, text: str | None = None, detail: str | None = None) -> Event:
    return Event(seq, kind, 0, Direction.IN, seq, seq, text=text, detail=detail)


def test_what_is_missing_is_what_the_gap_says() -> None:
    sent = [b"a", b"b", b"c", b"d"]
    gap = event(1, Kind.GAP, detail='{"cause": "disk full: no room", "lost_frames": 2}')
    assert walk([event(0, Kind.MESSAGE, "a"), gap, event(2, Kind.MESSAGE, "d")], sent, is_whole=True) == (1, 2, 0)
    for wrong in ([event(0, Kind.MESSAGE, "b")], [event(0, Kind.MESSAGE, "a"), event(1, Kind.MESSAGE, "a")]):
        with pytest.raises(AssertionError, match="is not frame"):
            walk(wrong, sent, is_whole=False)
    with pytest.raises(AssertionError, match="3 frames are missing at the end"):
        walk([event(0, Kind.MESSAGE, "a")], sent, is_whole=True)
