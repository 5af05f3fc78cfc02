"""A library in object storage as tables of other engines: Spark's views, an Iceberg table."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wsrecorder.spark
from tests.scale.incompressible import rows
from tests.scale.proxy import Proxy
from tests.scale.spark_rows import equal, hold_to_same_rows
from tests.scale.weed import Weed
from tests.store.buckets import bring
from tests.store.sessions import IDENTITY
from wsrecorder.analysis.read_only import words
from wsrecorder.analysis.spark import make_views
from wsrecorder.analysis.spark_dialect import to_spark
from wsrecorder.analysis.sql import Queries, connect
from wsrecorder.analysis.views import VIEWS, view
from wsrecorder.jobs.new_session import Target, make_session
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.place import ObjectPath, place_of

pytestmark = [pytest.mark.scale, pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]

FIXTURE = Path(__file__).parents[2] / "fixtures" / "20261124T060000Z-parquet-v1"


@pytest.fixture(scope="module")
def filled(weed: Weed) -> Iterator[str]:
    library = weed.new_library()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in weed.environment().items():
            patch.setenv(name, value)
        place = place_of(library)
        assert isinstance(place, ObjectPath)
        bring(FIXTURE, place)
        yield library


@pytest.fixture(scope="module")
def views(spark: Any, filled: str) -> tuple[Any, dict[str, Any]]:
    """A Spark session of its own, and its views of the library."""
    apart = spark.newSession()
    return apart, wsrecorder.spark.views(apart, filled)


@pytest.fixture(scope="module")
def queries(filled: str) -> Iterator[Queries]:
    with connect(list(Library(place_of(filled)).stores())) as answering:
        yield answering


@pytest.mark.parametrize("name", VIEWS)
def test_spark_reads_from_it_what_duckdb_reads(name: str, views: tuple[Any, dict[str, Any]], queries: Queries) -> None:
    spark, found = views
    assert found[name].columns == [column.name for column in view(name).columns]
    hold_to_same_rows(name, spark, queries)


@pytest.mark.parametrize(
    "query",
    [
        view("events").example,
        view("latency").example,
        view("orders").example,
        "select seq, payload ->> '$.type' as told from events where kind = 'message' order by session, seq limit 9",
        "select e.conn, max(e.sent_at) as last from events as e join gaps using (session) group by e.conn order by 1",
        "select * exclude (payload) from events order by session, seq limit 5",
    ],
)
def test_a_query_says_the_same_over_the_columns_that_it_names(
    query: str, spark: Any, filled: str, queries: Queries
) -> None:
    apart = spark.newSession()
    make_views(apart, list(Library(place_of(filled)).stores()), words(query), query)
    ours, theirs = apart.sql(to_spark(query)).toArrow().to_pylist(), queries.query(query).table().to_pylist()
    assert [list(row) for row in ours] == [list(row) for row in theirs]
    for row, wanted in zip(ours, theirs, strict=True):
        assert all(equal(found, expected) for found, expected in zip(row.values(), wanted.values(), strict=True))


def test_a_query_fetches_the_columns_that_it_names(
    weed: Weed, spark: Any, executors_proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**weed.environment(), "WSREC_SPOOL": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    made = make_session(Target(library=place_of(weed.new_library()), name="large"), IDENTITY, rows(131_072))
    store = open_store(made.path)

    def fetched(query: str) -> tuple[list[dict[str, Any]], int]:
        apart, before = spark.newSession(), executors_proxy.bytes_down
        make_views(apart, [store], words(query), query)
        return apart.sql(to_spark(query)).toArrow().to_pylist(), executors_proxy.bytes_down - before

    by_type, narrow_bytes = fetched("select type, count(*) as n from events group by type")
    latency, latency_bytes = fetched("select count(latency_ms) as n from latency")
    [whole], whole_bytes = fetched("select count(*) as n from (select distinct * from events)")

    assert sum(row["n"] for row in by_type) == whole["n"] == 131_072
    assert latency[0]["n"] <= 131_072
    assert whole_bytes > 131_072 * 100
    assert narrow_bytes < whole_bytes / 20
    assert latency_bytes < whole_bytes / 2


def test_one_query_does_not_narrow_the_next(views: tuple[Any, dict[str, Any]]) -> None:
    apart, found = views
    every = found["events"].count()
    assert 0 < apart.sql("select * from events where type = 'SIGNAL'").count() < every
    assert found["events"].count() == every


def test_an_iceberg_table_points_at_its_segments(filled: str, tmp_path: Path, weed: Weed) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = f"sqlite:///{tmp_path}/catalog.db"
    command = [sys.executable, "-m", "wsrecorder", "publish", "--all", "--library", filled, "--json"]
    done = subprocess.run([*command, "--catalog", catalog], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["segments"] == 3
    table = SqlCatalog("wsrec", uri=catalog, **{"s3.endpoint": weed.url}).load_table("wsrec.events")
    assert table.location().startswith(filled)
    with connect(list(Library(place_of(filled)).stores())) as queries:
        [wanted] = queries.query("select count(*) as n from events where type = 'SIGNAL'").table().to_pylist()
    assert table.scan(row_filter="type = 'SIGNAL'").count() == wanted["n"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--catalog" in refused.stderr
