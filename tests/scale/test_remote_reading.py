"""What is fetched from a real server when a session is looked into, counted on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest
from pyarrow.fs import S3FileSystem

pytest.importorskip("obstore", reason="object storage is the extra s3")

from obstore.fsspec import FsspecStore

from tests.scale.incompressible import rows
from tests.scale.proxy import Proxy
from tests.scale.weed import KEY, SECRET, Weed
from tests.store.sessions import IDENTITY, STEP_NS
from wsrecorder.analysis.session import Session
from wsrecorder.analysis.sql import connect
from wsrecorder.jobs.new_session import Target, make_session
from wsrecorder.store.objects import open_objects
from wsrecorder.store.place import place_of
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.selection import Selection

pytestmark = [pytest.mark.scale, pytest.mark.timeout(180)]

EVENTS = 10 * 65_536


@pytest.fixture
def session(
    weed: Weed, proxy: Proxy, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RemoteStore]:
    """A session of ten row groups whose payloads no compression makes small."""
    for name, value in weed.environment(proxy.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WSREC_SPOOL", str(tmp_path / "spool"))
    open_objects.cache_clear()
    made = make_session(Target(library=place_of(library), name="large"), IDENTITY, rows(EVENTS))
    yield RemoteStore(made.path)  # type: ignore[arg-type]  # it is in object storage
    open_objects.cache_clear()


def test_a_narrow_query_moves_a_small_part_of_the_session(session: RemoteStore, proxy: Proxy) -> None:
    before = proxy.bytes_down

    with connect([session]) as queries:
        found = queries.query("select type, count(*) as n from events group by type").table()

    assert sum(found.column("n").to_pylist()) == EVENTS
    assert proxy.bytes_down - before < session.size_bytes / 50


def test_a_query_for_a_moment_moves_the_row_group_that_holds_it(session: RemoteStore, proxy: Proxy) -> None:
    before = proxy.bytes_down

    with connect([session]) as queries:
        found = queries.query(f"select text from events where elapsed_ns = {EVENTS // 2 * STEP_NS}").table()

    assert found.num_rows == 1
    assert proxy.bytes_down - before < session.size_bytes * 1.6 / 10


def test_a_seek_into_the_middle_moves_what_comes_there(session: RemoteStore, proxy: Proxy) -> None:
    before = proxy.bytes_down

    first = next(RemoteStore(session.path).batches(Selection(start_ns=EVENTS // 2 * STEP_NS)))  # type: ignore[arg-type]

    assert first.column("seq")[0].as_py() == EVENTS // 2
    # That row group, and the one after it, which may be on its way.
    assert proxy.bytes_down - before < session.size_bytes * 2.3 / 10


def test_polars_reads_it_lazily(session: RemoteStore, proxy: Proxy) -> None:
    before = proxy.bytes_down

    found = Session(session).lazy().group_by("type").len().collect()

    assert found["len"].sum() == EVENTS
    assert proxy.bytes_down - before < session.size_bytes / 20


def test_a_library_is_one_data_set_whose_folders_are_columns(
    session: RemoteStore, weed: Weed, library: str, proxy: Proxy
) -> None:
    """As other programs see it, without a line of ours."""
    columns = {"feed": "feed", "date": "2025-11-24", "session": session.identity().id}
    frame = pl.scan_parquet(
        f"{library}/**/*.parquet",
        hive_partitioning=True,
        try_parse_hive_dates=False,
        storage_options={**_lower(weed.environment(proxy.url)), "aws_allow_http": "true"},
    )
    assert frame.select("feed", "date", "session").unique().collect().to_dicts() == [columns]

    before = proxy.bytes_down
    assert frame.filter(pl.col("date") == "2025-11-25").select(pl.len()).collect().item() == 0
    assert proxy.bytes_down - before < session.size_bytes / 20

    bucket, _, prefix = library.removeprefix("s3://").partition("/")
    files = S3FileSystem(
        access_key=KEY, secret_key=SECRET, endpoint_override=proxy.url, scheme="http", region="us-east-1"
    )
    dataset = ds.dataset(
        f"{bucket}/{prefix}", filesystem=files, format="parquet", partitioning="hive", exclude_invalid_files=True
    )
    assert dataset.head(1, columns=list(columns)).to_pylist() == [columns]


def _lower(environment: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in environment.items()}


def test_duckdb_sees_the_same_folders(session: RemoteStore, library: str) -> None:
    store = FsspecStore("s3", client_options={"allow_http": True})
    with duckdb.connect(config={"autoload_known_extensions": False, "autoinstall_known_extensions": False}) as queries:
        queries.register_filesystem(store)
        names = [f"s3://{name}" for name in store.glob(f"{library.removeprefix('s3://')}/**/*.parquet")]
        found = queries.execute(
            "select distinct feed, date::varchar, session from read_parquet(?, hive_partitioning = true)", [names]
        ).fetchall()
    assert found == [("feed", "2025-11-24", session.identity().id)]
