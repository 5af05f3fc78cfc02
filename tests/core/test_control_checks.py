"""What cannot be asked of a player is refused with a word on what can."""

from __future__ import annotations

import pytest

from wsrecorder.core.control_checks import check_loop, check_rows
from wsrecorder.errors import UsageError


def test_less_than_one_event_is_refused() -> None:
    check_rows(1, "a burst")
    with pytest.raises(UsageError, match="a burst of 0 events is not possible") as caught:
        check_rows(0, "a burst", "; or none")
    assert caught.value.hint == "take 1 event or more; or none"


def test_a_loop_must_have_a_length() -> None:
    check_loop(1, 2)
    with pytest.raises(UsageError, match="a loop from 2s to 1s has no length") as caught:
        check_loop(2_000_000_000, 1_000_000_000)
    assert caught.value.hint == "end it after 2s"
