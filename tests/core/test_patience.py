from __future__ import annotations

from wsrecorder.core.patience import LONGEST_WAIT_S, patience_s


def test_the_waits_double_up_to_a_minute() -> None:
    assert [patience_s(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert patience_s(1_000_000) == LONGEST_WAIT_S
