"""A place tells exactly between which two events of a stream it lies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.target import Place

times = st.lists(st.integers(0, 8), min_size=1, max_size=40).map(sorted)


def test_events_of_one_time_are_told_apart() -> None:
    assert Place(0).before([3, 5, 5, 5, 9], 2) == Place(5, 1)
    assert Place(0).behind([3, 5, 5, 5, 9], 2) == Place(5, 2)
    assert Place(5, 2).row_in([3, 5, 5, 5, 9]) == 3
    assert Place(4).row_in([3, 5, 5, 5, 9]) == 1


def test_rows_that_follow_on_a_place_of_their_time_are_counted_on() -> None:
    assert Place(5, 2).before([5, 5, 6], 1) == Place(5, 3)
    assert Place(5, 2).behind([5, 5, 6], 2) == Place(6, 1)


def test_so_many_back_and_none_where_there_are_less() -> None:
    assert Place(5, 2).back([3, 5, 5, 5], 1) == Place(5, 1)
    assert Place(5, 2).back([3, 5, 5, 5], 3) == Place(3)
    assert Place(5, 2).back([3, 5, 5, 5], 4) is None
    assert Place(0).back([], 1) is None


@given(times, st.data())
def test_every_row_has_a_place_of_its_own_whatever_batches_they_come_in(
    times_ns: list[int], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(times_ns)))
    places = [Place(-1).before(times_ns, row) for row in range(len(times_ns))]
    assert [place.row_in(times_ns) for place in places] == list(range(len(times_ns)))
    for first, after in ((0, cut), (cut, len(times_ns))):
        begun = Place(-1) if first == 0 else Place(-1).behind(times_ns, first - 1)
        part = times_ns[first:after]
        assert [begun.before(part, row) for row in range(len(part))] == places[first:after]


@given(times, st.data())
def test_back_and_forth_leads_to_the_same_place(times_ns: list[int], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(times_ns) - 1))
    events = data.draw(st.integers(1, 50))
    behind = Place(-1).behind(times_ns, row)
    back = behind.back(times_ns, events)
    if events > row + 1:
        assert back is None
    else:
        assert back is not None
        assert back.row_in(times_ns) == row + 1 - events
