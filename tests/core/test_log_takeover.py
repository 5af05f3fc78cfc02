"""Where one recorder goes on when the other is gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_log_message import mark, message
from wsrecorder.core.event import Direction
from wsrecorder.core.log_takeover import Shift, behind, is_shared


def test_it_goes_on_behind_the_last_frame_of_the_stream() -> None:
    assert behind([b"a", b"b"], [b"x", b"a", b"b", b"c"]) == 3
    assert behind([b"b"], [b"b"]) == 1


def test_of_equal_frames_the_one_is_meant_before_which_most_agree() -> None:
    assert behind([b"a", b"b", b"z"], [b"a", b"b", b"z", b"c", b"z", b"d"]) == 3
    assert behind([b"z"], [b"z", b"z"]) == 2
    assert behind([b"a", b"z"], [b"z", b"b"]) == 1


def test_a_frame_that_never_came_here_is_behind_nothing() -> None:
    assert behind([b"a"], [b"b"]) is None
    assert behind([b"a"], []) is None


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_what_both_have_is_continued_where_it_ends(frames: list[int], data: st.DataObject) -> None:
    feed = [b"%d-%d" % (index, value) for index, value in enumerate(frames)]
    end = data.draw(st.integers(1, len(feed)))
    begin = data.draw(st.integers(0, end - 1))
    assert feed[begin:][behind(feed[:end], feed[begin:]) :] == feed[end:]


def test_heartbeats_marks_and_what_was_sent_are_of_one_connection() -> None:
    assert is_shared(message(0), "HEARTBEAT")
    assert is_shared(message(0, "HEARTBEAT"), None)
    assert not is_shared(message(0, "HEARTBEAT"), "HEARTBEAT")
    assert not is_shared(message(0, direction=Direction.OUT), None)
    assert not is_shared(mark(0), None)


def test_numbers_and_times_become_those_of_the_session() -> None:
    found = Shift(seq=100, conn=1, elapsed_ns=5, least_ns=30).apply(message(2))
    assert (found.seq, found.conn, found.elapsed_ns, found.text) == (102, 1, 30, message(2).text)
    assert Shift(elapsed_ns=50).apply(message(2)).elapsed_ns == 70
