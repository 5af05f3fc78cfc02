"""Picking: exactly the events asked for, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.sessions import duckdb_sink, event, fill, parquet_sink
from wsrecorder.store import picking
from wsrecorder.store.library import open_store
from wsrecorder.store.picking import pick
from wsrecorder.store.session import Store

COUNT = 300


@pytest.fixture(scope="module", params=["parquet", "duckdb"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    library = tmp_path_factory.mktemp("library")
    sink = parquet_sink(library) if request.param == "parquet" else duckdb_sink(library)
    fill(sink, COUNT)
    return open_store(sink.path)


@pytest.mark.parametrize("far", [0, 10, 1_000])
@given(seqs=st.sets(st.integers(0, COUNT + 20), max_size=20).map(sorted))
@settings(max_examples=20, deadline=None)
def test_exactly_those_asked_for_come(store: Store, far: int, seqs: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(picking, "_FAR", far)
        found = [row for rows in pick(store, seqs, ("seq", "text")) for row in rows.to_pylist()]
    assert [row["seq"] for row in found] == [seq for seq in seqs if seq < COUNT]
    assert [row["text"] for row in found] == [event(row["seq"]).text for row in found]


def test_nothing_comes_where_nothing_is_asked_for(tmp_path: Path, store: Store) -> None:
    assert list(pick(store, [], ("seq",))) == []
