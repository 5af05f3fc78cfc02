"""A library in object storage as tables of other engines: Spark's views, an Iceberg table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wsrecorder.spark
from tests.scale.weed import Weed
from tests.store.buckets import bring
from wsrecorder.analysis.sql import connect
from wsrecorder.store.library import Library
from wsrecorder.store.place import ObjectPath, place_of

pytestmark = [pytest.mark.scale, pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]

FIXTURE = Path(__file__).parents[2] / "fixtures" / "20261124T060000Z-parquet-v1"


@pytest.fixture
def filled(library: str, weed: Weed, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in weed.environment().items():
        monkeypatch.setenv(name, value)
    place = place_of(library)
    assert isinstance(place, ObjectPath)
    bring(FIXTURE, place)
    return library


@pytest.mark.parametrize("name", ["events", "orders", "positions", "latency", "rates", "sessions"])
def test_spark_reads_from_it_what_duckdb_reads(name: str, spark: Any, filled: str) -> None:
    apart = spark.newSession()
    wsrecorder.spark.views(apart, filled)
    query = f"select count(*) as n, min(session) as session from {name}"
    with connect(list(Library(place_of(filled)).stores())) as queries:
        assert apart.sql(query).toArrow().to_pylist() == queries.query(query).table().to_pylist()


def test_one_query_does_not_narrow_the_next(spark: Any, filled: str) -> None:
    apart = spark.newSession()
    views = wsrecorder.spark.views(apart, filled)
    every = views["events"].count()
    assert 0 < apart.sql("select * from events where type = 'SIGNAL'").count() < every
    assert views["events"].count() == every


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
