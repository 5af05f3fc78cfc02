"""wsrec sql: where the query comes from, which sessions it is asked of, and the forms of the answer."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import wsrecorder
from docs.example import TUESDAY, add_crashed, add_session
from wsrecorder.analysis.views import VIEWS, view
from wsrecorder.cli import main

BY_KIND = "select kind, count(*) as n from events group by kind order by n desc, kind"
MANY = (
    "select 1 as whole, 0.5::double as part, 'a|b' as word, null as nothing, [1, 2] as list, {'x': 1} as record,"
    " interval 90 minute as span, sum(i) as total, true as truth, 'nan'::double as wrong, 'x'::blob as bytes,"
    " '2026-11-23 19:15:00+00'::timestamptz as moment, '{\"a\": 1}'::json as json from range(3) t(i)"
)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    add_session(tmp_path / "recordings", messages=100)
    return tmp_path / "recordings"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["sql", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["sql", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


def test_a_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, BY_KIND).splitlines() == [
        "kind       n",
        "───────  ───",
        "message  100",
        "close      1",
        "open       1",
    ]


def test_latest_is_asked_unless_others_are_named(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "two", TUESDAY, 30, into="two.duckdb")
    add_crashed(library, "three", TUESDAY.replace(hour=9), 60)
    query = "select distinct session from events order by 1"

    def sessions(*arguments: str) -> list[str]:
        return [row["session"] for row in json.loads(answer(capsys, query, "--json", *arguments))]

    assert sessions() == ["20261124T090000Z-three"]
    assert sessions("-s", "engine") == ["20261123T191500Z-engine"]
    assert sessions("-s", "engine", "--session", "two") == ["20261123T191500Z-engine", "20261124T080000Z-two"]
    assert len(sessions("--all")) == 3


def test_all_of_an_empty_library_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(answer(capsys, "select count(*) as n from events", "--all", "--library", "none", "--json")) == [
        {"n": 0}
    ]


def test_a_query_comes_from_stdin_or_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = answer(capsys, BY_KIND)
    for arguments in ([], ["-"]):
        monkeypatch.setattr("sys.stdin", io.StringIO(BY_KIND))
        assert answer(capsys, *arguments) == expected
    (tmp_path / "by_kind.sql").write_text(f"-- how many of each\n{BY_KIND};\n")
    assert answer(capsys, "--file", "by_kind.sql") == expected


def test_json_is_an_array_with_a_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, BY_KIND, "--format", "json")
    assert len(out.splitlines()) == 3
    assert json.loads(out)[0] == {"kind": "message", "n": 100}
    assert json.loads(answer(capsys, "from events where false", "--json")) == []


def test_json_holds_every_type(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads(answer(capsys, MANY, "--json"))
    assert row == {
        "whole": 1, "part": 0.5, "word": "a|b", "nothing": None, "list": [1, 2], "record": {"x": 1},
        "span": "01:30:00", "total": 3, "truth": True, "wrong": None, "bytes": "eA==",
        "moment": "2026-11-23T19:15:00Z", "json": '{"a": 1}',
    }  # fmt: skip


def test_json_keeps_columns_of_one_name_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(answer(capsys, 'select 1 as a, 2 as a, 3 as "a_2"', "--json")) == [{"a": 1, "a_2": 2, "a_2_2": 3}]


def test_csv_is_read_by_pythons_reader(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = csv.DictReader(io.StringIO(answer(capsys, MANY, "--format", "csv")))
    assert (row["word"], row["list"], row["span"], row["total"]) == ("a|b", "[1, 2]", "01:30:00", "3")
    assert row["moment"] == "2026-11-23T19:15:00.000000Z"
    assert answer(capsys, "select 1 as a where false", "--format", "csv").strip() == '"a"'


def test_markdown_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "select 'a|b' as \"x|y\", 1 as n", "--format", "markdown")
    assert found.splitlines() == ["| x\\|y | n |", "| --- | --: |", "| a\\|b | 1 |"]


def test_parquet_is_read_by_arrow(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, MANY, "--out", "x.parquet") == ""
    (row,) = pq.read_table("x.parquet").to_pylist()
    assert (row["list"], row["span"], row["bytes"]) == ([1, 2], "01:30:00", b"x")
    assert pq.read_schema("x.parquet").field("moment").type == pa.timestamp("us", "UTC")


def test_the_format_of_a_file_is_told_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name, begin in (("x.json", "[{"), ("x.csv", '"kind"'), ("x.md", "| kind"), ("x.txt", "kind ")):
        assert answer(capsys, BY_KIND, "-o", name) == ""
        assert Path(name).read_text().startswith(begin)
    answer(capsys, BY_KIND, "-o", "x.dat", "--format", "csv")
    assert Path("x.dat").read_bytes() == Path("x.csv").read_bytes()


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, "select 'a' || chr(27) || '[2J' || chr(10) || 'b' as x")
    assert out.splitlines()[-1] == "a\\x1b[2J\\nb"


def test_a_table_fits_the_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = answer(capsys, "select seq, type, text from events limit 20").splitlines()
    assert max(map(len, out)) == 60
    monkeypatch.delenv("COLUMNS")
    assert max(map(len, answer(capsys, "select text from events").splitlines())) > 100, "a pipe gets all of it"


def test_a_long_table_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "from range(100000)"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1_002
    assert "only the first 1,000 rows" in captured.err
    assert len(answer(capsys, "from range(100000)", "--format", "csv").splitlines()) == 100_001


def test_a_plan_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\\n" not in answer(capsys, "explain select 1")


# ------------------------------------------------------------------------------------------------ schema and shell


def test_the_schema_lists_every_view_with_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, "--schema")
    for name in VIEWS:
        assert f"\n{name}: One row " in f"\n{out}"
        assert all(f"\n{column.name} " in out for column in view(name).columns)
    one = answer(capsys, "--schema", "Orders").splitlines()
    assert one[0].startswith("orders: One row an order")
    assert one[-1].startswith("Example: ")
    found = json.loads(answer(capsys, "--schema", "--json", "latency"))
    assert [column["name"] for column in found[0]["columns"]][-2:] == ["raw_ms", "latency_ms"]
    assert "there is no view nothing" in refused(capsys, "--schema", "nothing")


def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, *arguments: str) -> Any:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["sql", "--shell", *arguments]) == 0
    return capsys.readouterr()


def test_a_shell_answers_one_query_after_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = typed(capsys, monkeypatch, "select 1 as a;\n\nselect\n2 as b;\nselect count(*) as n from orders", "--json")
    assert [json.loads(line) for line in said.out.splitlines()[:2]] == [[{"a": 1}], [{"b": 2}]]
    assert json.loads(said.out.splitlines()[2])[0]["n"] > 0
    assert said.err == ""


def test_a_wrong_query_does_not_end_the_shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = typed(capsys, monkeypatch, "select x;\n.schema nothing\ndrop view events;\nselect 7 as a;\n.quit\nselect 8;")
    assert said.out.splitlines() == ["a", "─", "7"]
    assert 'Referenced column "x" was not found' in said.err
    assert "there is no view nothing" in said.err
    assert "a query can read" in said.err


def test_a_shell_has_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = typed(capsys, monkeypatch, ".schema gaps\n.help\n.exit\n")
    assert said.out.startswith("gaps: One row ")
    assert ".quit ends" in said.err


def test_ctrl_c_drops_what_was_typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["select", KeyboardInterrupt(), "select 3 as a;"])

    def type_line(prompt: str) -> str:
        match next(lines, None):
            case None:
                raise EOFError
            case str() as line:
                return line
            case stop:
                raise stop

    monkeypatch.setattr("builtins.input", type_line)
    assert json.loads(typed(capsys, monkeypatch, "", "--json").out) == [{"a": 3}]


def test_a_shell_reads_its_queries_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--shell" in refused(capsys, "--shell", "select 1")


def test_a_shell_on_a_terminal_remembers_what_was_typed(library: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="there are no terminals of this kind on Windows")
    ours, theirs = pty.openpty()
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "dumb"}
    command = [sys.executable, "-m", "wsrecorder", "sql", "--shell", "--library", str(library)]
    # The line editor takes part only if both are a terminal.
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment) as shell:
        os.write(ours, b"select 41 + 1 as a;\n.quit\n")
        shell.wait(timeout=30)
        out = os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert b"42" in out
    assert (tmp_path / "state" / "wsrec" / "sql_history").read_text().splitlines()[0] == "select 41 + 1 as a;"


# ------------------------------------------------------------------------------------------------ what goes wrong


def test_a_wrong_query_is_shown_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "select * from events where").splitlines()
    assert said[0].startswith("error: Parser Error: syntax error")
    assert said[1:3] == ["  LINE 1: select * from events where", " " * 31 + "^^^^^"]
    assert said[3].startswith("hint: ")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["drop view events"], "can read"),
        (["select 1; select 2"], "2 SQL statements"),
        (["select nothing from events"], "nothing"),
        (["select 1", "--file", "x.sql"], "give one"),
        (["--file", "x.sql"], "x.sql"),
        (["select 1", "--all", "-s", "engine"], "exclude"),
        (["select 1", "--json", "--format", "csv"], "exclude"),
        (["select 1", "-o", "x.xyz"], "--format"),
        (["select 1", "-o", "nowhere/x.csv"], "no folder"),
        (["select 1", "-o", "recordings", "--format", "csv"], "folder"),
        (["select 1", "--format", "xml"], "format"),
    ],
)
def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], word: str) -> None:
    assert word in refused(capsys, *arguments)


def test_a_file_that_is_there_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.csv").write_text("mine")
    assert "--overwrite" in refused(capsys, "select 1", "-o", "x.csv")
    assert Path("x.csv").read_text() == "mine"
    answer(capsys, "select 1 as a", "-o", "x.csv", "--overwrite")
    assert Path("x.csv").read_text().splitlines() == ['"a"', "1"]


def test_an_answer_never_goes_into_a_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "two", TUESDAY, 30, into="two.duckdb")
    segment = next(library.rglob("*.parquet"))
    before = segment.read_bytes()
    for target in (segment, segment.parent / "new.csv", library / "two.duckdb"):
        said = refused(capsys, "select 1", "--all", "-o", str(target), "--overwrite", "--format", "csv")
        assert "part of a session" in said
    assert segment.read_bytes() == before
    assert wsrecorder.open(library / "two.duckdb").info.messages == 30


def test_a_query_that_fails_leaves_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "select case when i = 99999 then 'x' else '1' end::int from range(100000) t(i)", "-o", "x.csv")
    assert sorted(path.name for path in Path().iterdir()) == ["recordings"]


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "wsrecorder", "sql", "from range(1000000)", "--format", "csv"]
    process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")


def test_it_starts_without_what_it_does_not_need() -> None:
    script = (
        "import sys; from wsrecorder.cli import main; main(['sql', 'select 1']);"
        "print(sorted({'polars', 'websockets', 'picows', 'rich', 'uvloop'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "[]"
