from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import new_library
from wsrecorder.store.object_file import TAIL_BYTES, ObjectFile, coalesced
from wsrecorder.store.place import ObjectPath

CONTENT = bytes(range(256)) * 2_000
PLACES = st.tuples(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT))).map(lambda pair: (min(pair), max(pair)))


@pytest.fixture(scope="module")
def path() -> ObjectPath:
    path = new_library() / "object"
    path.objects.put_new(path.key, CONTENT)
    return path


@given(fetched=st.lists(PLACES, max_size=4), read=st.lists(PLACES, max_size=6))
def test_it_reads_as_the_content_does_whatever_was_fetched_before(
    path: ObjectPath, fetched: list[tuple[int, int]], read: list[tuple[int, int]]
) -> None:
    file = ObjectFile(path)
    file.fetch(place for place in fetched if place[0] < place[1])

    for start, end in read:
        assert file.seek(start) == start
        assert file.read(end - start) == CONTENT[start:end]
        assert file.tell() == end
    file.seek(-10, 2)
    assert file.read() == CONTENT[-10:]


def test_its_end_comes_with_the_first_request_and_once(path: ObjectPath) -> None:
    ObjectFile(path)
    before = path.objects.requests

    file = ObjectFile(path)
    file.seek(len(CONTENT) - TAIL_BYTES)
    assert file.read() == CONTENT[-TAIL_BYTES:]
    assert path.objects.requests == before


def test_what_was_fetched_costs_no_request_when_it_is_read(path: ObjectPath) -> None:
    file = ObjectFile(path)
    file.fetch([(0, 1_000), (2_000, 3_000)])
    file.seek(500)
    file.read(500)
    before = path.objects.requests

    file.seek(2_000)
    assert file.read(1_000) == CONTENT[2_000:3_000]
    assert path.objects.requests == before
    file.forget(before=3_000)
    file.seek(0)
    file.read(10)
    assert path.objects.requests == before + 1


@given(st.lists(PLACES, max_size=8), st.integers(0, 1_000))
def test_places_that_are_put_into_one_hold_what_they_held(places: list[tuple[int, int]], hole: int) -> None:
    found = coalesced(places, hole)

    assert all(any(start <= at and to <= end for start, end in found) for at, to in places)
    assert all(before[1] + hole < after[0] for before, after in pairwise(found))
    assert {start for start, _ in found} <= {start for start, _ in places}
    assert {end for _, end in found} <= {end for _, end in places}
