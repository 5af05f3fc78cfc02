"""No hole goes unnoticed, and what a selection leaves out is no hole."""

from __future__ import annotations

import pytest

from tests.store.sessions import STEP_NS, batch
from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.selection import Selection
from wsrecorder.store.sequence import Sequence


def test_batches_that_go_on_pass() -> None:
    sequence = Sequence("s", Selection())
    sequence.check(batch(20))
    sequence.check(batch(20, 20))
    sequence.check_end(40)


@pytest.mark.parametrize("first_seq", [19, 21, 0, 400])
def test_a_hole_or_a_twin_is_named(first_seq: int) -> None:
    sequence = Sequence("s", Selection())
    sequence.check(batch(20))
    with pytest.raises(SegmentDamaged, match=f"session s has a hole at event 20: event {first_seq} follows"):
        sequence.check(batch(20, first_seq))


def test_what_is_missing_at_the_beginning_is_a_hole() -> None:
    with pytest.raises(SegmentDamaged, match="hole at event 0"):
        Sequence("s", Selection()).check(batch(20, 1))
    with pytest.raises(SegmentDamaged, match="hole at event 30"):
        Sequence("s", Selection(from_seq=30)).check(batch(20, 31))


def test_what_a_selection_leaves_out_at_the_beginning_is_no_hole() -> None:
    Sequence("s", Selection(from_seq=30)).check(batch(20, 20))
    Sequence("s", Selection(start_ns=500 * STEP_NS)).check(batch(20, 500))


def test_a_hole_before_what_is_wanted_does_not_matter() -> None:
    for selection in (Selection(from_seq=70), Selection(start_ns=70 * STEP_NS)):
        sequence = Sequence("s", selection)
        for first_seq in (0, 40, 70, 90):
            sequence.check(batch(20, first_seq))


def test_a_hole_inside_of_a_batch_is_found() -> None:
    rows = batch(20)
    with pytest.raises(SegmentDamaged, match="hole at event 7: event 8 follows"):
        Sequence("s", Selection()).check(rows.filter([seq != 7 for seq in range(20)]))


def test_fewer_events_than_the_manifest_counts_are_a_hole() -> None:
    sequence = Sequence("s", Selection())
    sequence.check(batch(20))
    with pytest.raises(SegmentDamaged, match="nothing follows, the manifest counts 21 events"):
        sequence.check_end(21)


def test_a_selection_that_ends_early_has_no_end_to_check() -> None:
    sequence = Sequence("s", Selection(end_ns=5))
    sequence.check(batch(20))
    sequence.check_end(100)
    Sequence("s", Selection()).check_end(0)
