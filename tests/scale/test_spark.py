"""Spark gives the rows that DuckDB gives, for every view and every example of one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wsrecorder.spark
from docs.example import add_session
from tests.scale.spark_rows import equal, hold_to_same_rows
from wsrecorder.analysis.spark_dialect import to_spark
from wsrecorder.analysis.sql import Queries, connect
from wsrecorder.analysis.views import VIEWS, view
from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.library import Library
from wsrecorder.store.notes import NoteBook

pytestmark = [pytest.mark.scale, pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixtures, all three forms of a session, and a note beside one."""
    import shutil

    folder = tmp_path_factory.mktemp("library") / "recordings"
    shutil.copytree(FIXTURES, folder, ignore=shutil.ignore_patterns("*.md", "*.py", "__pycache__"))
    store = Library(folder).find("parquet-v1")
    began_ns = store.identity().started_ns
    NoteBook(store.path).add("it began", elapsed_ns=1_000_000, received_ns=began_ns + 1_000_000, made_at_ns=2_000)
    return folder


@pytest.fixture(scope="module")
def queries(library: Path) -> Any:
    with connect(list(Library(library).stores())) as answering:
        yield answering


@pytest.fixture(scope="module")
def views(spark: Any, library: Path) -> dict[str, Any]:
    return wsrecorder.spark.views(spark, library)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_the_same_rows(name: str, spark: Any, views: dict[str, Any], queries: Queries) -> None:
    assert views[name].columns == [column.name for column in view(name).columns]
    hold_to_same_rows(name, spark, queries)


@pytest.fixture(scope="module")
def one_session(spark: Any, library: Path) -> Any:
    """Both engines over one session, where the order of an example is the order of its rows."""
    apart = spark.newSession()
    wsrecorder.spark.views(apart, library, ["parquet-v1"])
    with connect([Library(library).find("parquet-v1")]) as answering:
        yield apart, answering


@pytest.mark.parametrize("name", VIEWS)
def test_its_example_says_the_same(name: str, one_session: tuple[Any, Queries]) -> None:
    spark, queries = one_session
    theirs = queries.query(view(name).example).table().to_pylist()
    ours = spark.sql(to_spark(view(name).example)).toArrow().to_pylist()
    assert [list(row) for row in ours] == [list(row) for row in theirs]
    for row, wanted in zip(ours, theirs, strict=True):
        assert all(equal(found, expected) for found, expected in zip(row.values(), wanted.values(), strict=True))


def test_a_view_reads_no_column_that_it_does_not_need(spark: Any, views: dict[str, Any]) -> None:
    plan = spark.sql("select count(*) from events where type = 'SIGNAL'")._jdf.queryExecution().toString()
    read = next(line for line in plan.splitlines() if "FileScan" in line)
    assert "ReadSchema: struct<type:string" in read
    assert "text:" not in read
    assert "EqualTo(type,SIGNAL)" in read


@pytest.mark.parametrize("number", [0, 1, -1])
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_a_segment_that_is_not_whole_is_named_before_any_is_read(
    number: int, how: str, spark: Any, tmp_path: Path
) -> None:
    path = add_session(tmp_path, messages=300, segment_bytes=20_000)
    segment = sorted((path / "events").iterdir())[number]
    if how == "missing":
        segment.unlink()
    else:
        segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(SegmentDamaged, match=f"{segment.name} {'is missing' if how == 'missing' else 'has'}"):
        wsrecorder.spark.views(spark.newSession(), tmp_path)


def test_sessions_behind_links_go_by_what_their_manifests_say(spark: Any, tmp_path: Path) -> None:
    kept, library = tmp_path / "kept", tmp_path / "library"
    library.mkdir()
    for name in ("one", "two"):
        path = add_session(kept, name, messages=20)
        (library / path.name).symlink_to(path.rename(kept / name))
    apart = spark.newSession()
    wsrecorder.spark.views(apart, library)
    query = "select session, count(*) as n from events group by all order by all"
    with connect(list(Library(library).stores())) as answering:
        assert apart.sql(query).toArrow().to_pylist() == answering.query(query).table().to_pylist()
    assert apart.sql(query).count() == 2


def test_the_command_answers_by_spark(library: Path) -> None:
    arguments = ["sql", "--engine", "spark", "--master", "local[2]", "--library", library, "-s", "parquet-v1", "--json"]
    query = "select type, count(*) as n from events group by all order by n desc, type limit 3"
    command = [sys.executable, "-m", "wsrecorder", *map(str, arguments)]
    done = subprocess.run([*command, query], capture_output=True, text=True, check=True)
    with connect([Library(library).find("parquet-v1")]) as answering:
        assert json.loads(done.stdout) == answering.query(query).table().to_pylist()
    wrong = subprocess.run([*command, "select nothing from events"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert [line.split(":")[0] for line in wrong.stderr.splitlines()] == ["error", "hint"]
