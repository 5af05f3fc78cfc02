"""`wsrec publish`: the library as one Iceberg table, read back by pyiceberg."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wsrecorder.cli import main
from wsrecorder.store.library import Library
from wsrecorder.store.schema import COLUMNS, to_plain_table
from wsrecorder.store.selection import Selection

pytest.importorskip("pyiceberg", reason="pip install 'wsrecorder[iceberg]'")
# What pyiceberg itself does: SQLite connections that are left to the garbage collector, its own deprecations.
pytestmark = pytest.mark.filterwarnings("default")

FIXTURES = Path(__file__).parents[2] / "fixtures"
WHOLE, CUT = "20261124T060000Z-parquet-v1", "20261124T060000Z-cut-v1"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    shutil.copytree(FIXTURES, folder, ignore=shutil.ignore_patterns("*.md", "*.py", "__pycache__"))
    return folder


@pytest.fixture
def table(library: Path) -> Iterator[Any]:
    """Returns the table as another program sees it, read anew."""
    from pyiceberg.catalog.sql import SqlCatalog

    catalogs = []

    def load() -> Any:
        catalogs.append(SqlCatalog("wsrec", uri=f"sqlite:///{library}/.iceberg/catalog.db"))
        return catalogs[-1].load_table("wsrec.events")

    yield load
    for catalog in catalogs:
        catalog.engine.dispose()


def recorded(library: Path, session: str) -> list[dict[str, Any]]:
    rows = to_plain_table(Library(library).find(session).batches(Selection())).to_pylist()
    return [{"session": session, **row} for row in rows]


def rows_of(scan: Any) -> list[dict[str, Any]]:
    return scan.to_arrow().sort_by([("session", "ascending"), ("seq", "ascending")]).to_pylist()


def test_another_engine_reads_each_event_as_it_was_recorded(library: Path, table: Any) -> None:
    assert main(["publish", WHOLE, "--library", str(library)]) == 0
    found = rows_of(table().scan())
    assert list(found[0]) == ["session", *COLUMNS]
    assert found == recorded(library, WHOLE)


def test_what_is_known_is_not_registered_again(library: Path, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "--all", "--library", str(library), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["publish", "--all", "--library", str(library), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (first["segments"], first["known"]) == (5, 0)
    assert (again["segments"], again["known"], again["snapshot"]) == (0, 5, first["snapshot"])
    assert len(table().snapshots()) == 1


def test_what_is_in_a_journal_waits_until_it_is_sealed(library: Path, table: Any) -> None:
    main(["publish", CUT, "--library", str(library)])
    before = table()
    sealed = before.scan().count()
    assert 0 < sealed < len(recorded(library, CUT))
    assert main(["recover", CUT, "--library", str(library)]) in (0, 6)
    main(["publish", CUT, "--library", str(library)])
    assert rows_of(table().scan()) == recorded(library, CUT)
    then = table().scan(snapshot_id=before.current_snapshot().snapshot_id)
    assert then.count() == sealed, "the table can be asked as it was"


def test_a_session_is_found_without_opening_the_others(library: Path, table: Any) -> None:
    main(["publish", "--all", "--library", str(library)])
    scan = table().scan(row_filter=f"session == '{WHOLE}' and seq >= 300", selected_fields=("session", "seq"))
    assert [Path(task.file.file_path).name for task in scan.plan_files()] == ["000002.parquet"]
    assert rows_of(scan)[0] == {"session": WHOLE, "seq": 300}


def test_who_publishes_at_the_same_time_loses_nothing(library: Path, table: Any, tmp_path: Path) -> None:
    # Twelve sessions, each of two processes publishes all, one by one, from either end.
    for number in range(12):
        shutil.copytree(library / WHOLE, tmp_path / "many" / f"{WHOLE}-{number:02d}")
    program = (
        "import sys; from wsrecorder.cli import main\n"
        "for session in sys.argv[3:]:\n"
        "    assert main(['publish', session, '--library', sys.argv[1], '--catalog', sys.argv[2],"
        " '--warehouse', sys.argv[1] + '/.iceberg']) == 0\n"
    )
    (library / ".iceberg").mkdir()
    catalog = f"sqlite:///{library}/.iceberg/catalog.db"
    paths = sorted(str(path) for path in (tmp_path / "many").iterdir())
    together = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "many"), catalog, *order])
        for order in (paths, paths[::-1])
    ]
    assert [process.wait(timeout=120) for process in together] == [0, 0]
    names = table().inspect.data_files().column("file_path").to_pylist()
    assert len(names) == len(set(names)) == 36
    assert table().scan().count() == 12 * len(recorded(library, WHOLE))


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name sessions, or --all"),
        (["duckdb-v1.duckdb"], "is a DuckDB file"),
        (["--all", "--table", "events"], "expected NAMESPACE.NAME"),
        (["--all", "--property", "s3.region"], "expected NAME=VALUE"),
        (["--all", "--catalog", "nowhere"], "cannot use the catalogue nowhere"),
    ],
)
def test_what_is_wrong_is_told(
    arguments: list[str], said: str, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", *arguments, "--library", str(library)]) in (2, 4)
    told = capsys.readouterr().err.splitlines()
    assert said in told[0]
    assert told[1].startswith("hint: ")


def test_a_library_in_object_storage_needs_a_catalogue_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("obstore", reason="object storage is the extra s3")
    assert main(["publish", "--all", "--library", "memory://published"]) == 2
    assert "name one with --catalog" in capsys.readouterr().err
