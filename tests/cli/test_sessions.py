"""ls, info, cat and tail: what they print, and how they end."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wsrecorder
from docs.example import MONDAY, TUESDAY, add_crashed, add_session, engine_batches, sink
from wsrecorder.cli import main
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import NOT_UTF8, from_rows

PROJECT = Path(__file__).parents[2]
# What info --json holds at least.
FACTS = ("id", "name", "feed", "path", "start", "end", "duration_s", "events", "messages", "bytes", "types")
FACTS += ("connections", "gaps", "segments", "sealed")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where ./recordings is the library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture
def library(here: Path) -> Path:
    return here / "recordings"


@pytest.fixture
def odd(library: Path) -> str:
    """A session of every kind of event, and payloads of every kind."""
    events = [
        Event(0, Kind.OPEN, 0, Direction.IN, 0, 0, detail='{"url": "ws://x/"}'),
        Event(1, Kind.MESSAGE, 0, Direction.IN, 1, 1, type="A", text='{"type": "A", "v": NaN}'),
        Event(2, Kind.MESSAGE, 0, Direction.IN, 2, 2, binary=b"\x00\n\xff"),
        Event(3, Kind.MESSAGE, 0, Direction.OUT, 3, 3, text="hello \x1b[31m wörld"),
        Event(4, Kind.MESSAGE, 0, Direction.IN, 4, 4, binary=b"caf\xe9", detail=NOT_UTF8),
        Event(5, Kind.MESSAGE, 0, Direction.IN, 5, 5, type="B", text=""),
        Event(6, Kind.CLOSE, 0, Direction.IN, 3_600_000_000_000, 6, detail='{"code": 1000}'),
    ]
    target = sink(library, "odd", MONDAY)
    target.append(from_rows(events))
    target.close(Health())
    return "odd"


def lines(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out.splitlines()


# ------------------------------------------------------------------------------------------------ ls


def test_ls_shows_each_session_the_oldest_first(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "night", TUESDAY.replace(hour=1), 50, into="night.duckdb")
    add_crashed(library, messages=60)
    add_session(library, messages=1_200)
    found = lines(capsys, "ls")
    assert found[0].split() == ["session", "start", "(UTC)", "duration", "messages", "payload", "state"]
    assert [line.split()[0] for line in found[2:]] == [
        "20261123T191500Z-engine", "night.duckdb", "20261124T080000Z-crash",
    ]  # fmt: skip
    assert [line.split()[-1] for line in found[2:]] == ["sealed", "sealed", "cut"]
    assert "2026-11-23 19:15 " in found[2]
    assert "1,200" in found[2]


def test_ls_never_cuts_what_a_session_is_called(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a-name-of-quite-some-length"
    add_session(library, name, messages=20)
    monkeypatch.setenv("COLUMNS", "40")
    assert lines(capsys, "ls")[2].split()[0] == f"20261123T191500Z-{name}"


def test_ls_json_is_an_object_a_line(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=30)
    add_session(library, "two", TUESDAY, 30)
    found = [json.loads(line) for line in lines(capsys, "ls", "--json")]
    assert [entry["name"] for entry in found] == ["engine", "two"]
    assert all(set(FACTS) <= set(entry) for entry in found)


def test_a_session_being_recorded_is_listed_as_such(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = sink(library, "live", MONDAY)
    target.append(next(engine_batches(MONDAY, 30)))
    assert lines(capsys, "ls")[2].split()[-1] == "recording"
    target.close(Health())


def test_a_damaged_session_never_breaks_the_list(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=30)
    bad = add_session(library, "bad", TUESDAY, 30)
    (bad / "session.json").write_text("{}")
    (library / "x.duckdb").write_bytes(b"nothing" * 1_000)
    assert main(["ls"]) == 0
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()[2:]] == [
        "20261123T191500Z-engine", "20261124T080000Z-bad", "x.duckdb",
    ]  # fmt: skip
    assert [line.split()[-1] for line in captured.out.splitlines()[2:]] == ["sealed", "damaged", "damaged"]
    assert "session.json is not a manifest" in captured.err
    found = [json.loads(line) for line in lines(capsys, "ls", "--json")]
    assert "recover" in found[1]["error"]["hint"]


def test_an_empty_library_says_how_to_fill_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "wsrec record" in captured.err


def test_a_library_that_is_a_file_is_refused(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library.write_text("")
    assert main(["ls"]) == 4
    assert "--library" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ info


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_info_json_holds_the_facts(library: Path, capsys: pytest.CaptureFixture[str], into: str | None) -> None:
    path = add_session(library, messages=300, lose_at=100, into=into)
    (line,) = lines(capsys, "info", "latest", "--json")
    facts = json.loads(line)
    assert set(FACTS) <= set(facts)
    assert (facts["events"], facts["messages"], facts["connections"], facts["gaps"]) == (305, 300, 2, 1)
    assert (facts["id"], facts["name"], facts["sealed"]) == ("20261123T191500Z-engine", "engine", True)
    assert facts["feed"] == "ws://localhost:8000/ws/"
    assert Path(facts["path"]).resolve() == path.resolve()
    assert facts["start"] == "2026-11-23T19:15:00+00:00"
    assert sum(facts["types"].values()) == 300
    assert facts["bytes"] == sum(len(event.payload or b"") for event in wsrecorder.open(path).events())


def test_info_is_for_people_too(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=300, lose_at=100)
    found = lines(capsys, "info", "engine")
    facts = {line[:13].strip(): line[13:] for line in found}
    assert facts["session"] == "20261123T191500Z-engine"
    assert facts["events"] == "305, 300 of them messages"
    assert (facts["connections"], facts["gaps"], facts["state"]) == ("2", "1", "sealed")
    assert found[-1].split()[0] == "TAKE_PROFIT", "the most frequent type comes first"


def test_info_of_an_empty_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink(library, "empty", MONDAY).close(Health())
    facts = json.loads(lines(capsys, "info", "empty", "--json")[0])
    assert (facts["events"], facts["types"], facts["duration_s"], facts["segments"]) == (0, {}, 0, 0)
    assert lines(capsys, "info", "empty")
    assert lines(capsys, "cat", "empty") == []
    assert lines(capsys, "tail", "empty") == []


def test_a_session_without_manifest_is_readable(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_session(library, messages=100)
    before = json.loads(lines(capsys, "info", "engine", "--json")[0])
    (path / "session.json").unlink()
    after = json.loads(lines(capsys, "info", "engine", "--json")[0])
    assert {key: after[key] for key in FACTS} == {key: before[key] for key in FACTS}
    assert len(lines(capsys, "cat", "engine")) == 102


# ------------------------------------------------------------------------------------------------ cat


def test_cat_is_a_line_an_event(odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, "cat", odd) == [
        '      0  00:00:00.000      0.000s  open             {"url": "ws://x/"}',
        '      1  00:00:00.000      0.000s  A                {"type": "A", "v": NaN}',
        "      2  00:00:00.000      0.000s  binary           3 bytes: 00 0a ff",
        "      3  00:00:00.000      0.000s  text             > hello \\x1b[31m wörld",
        "      4  00:00:00.000      0.000s  binary           4 bytes: 63 61 66 e9",
        "      5  00:00:00.000      0.000s  B",
        '      6  00:00:00.000   3600.000s  close            {"code": 1000}',
    ]


def test_cat_fits_the_width(library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    add_session(library, messages=50)
    monkeypatch.setenv("COLUMNS", "90")
    found = lines(capsys, "cat", "latest")
    assert max(map(len, found)) == 90
    assert found[-2].endswith("…")


def test_cat_payload_is_text_verbatim(odd: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["cat", odd, "--payload"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out == b'{"type": "A", "v": NaN}\nhello \x1b[31m w\xc3\xb6rld\ncaf\xe9\n\n'
    assert captured.err == b"1 binary frame was left out; --json has them, as base64\n"


def test_cat_payload_of_text_alone(library: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = add_session(library, messages=200)
    assert main(["cat", "engine", "--payload"]) == 0
    expected = [event.payload for event in wsrecorder.open(path).events() if event.kind == "message"]
    captured = capfdbinary.readouterr()
    assert captured.out.splitlines() == expected
    assert captured.err == b""


def test_cat_json_is_whole_events(odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = [json.loads(line) for line in lines(capsys, "cat", odd, "--json")]
    assert [entry["seq"] for entry in found] == list(range(7))
    assert base64.b64decode(found[2]["binary"]) == b"\x00\n\xff"
    assert found[3]["direction"] == "out"
    assert json.loads(found[6]["detail"]) == {"code": 1000}


def seqs(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[int]:
    return [json.loads(line)["seq"] for line in lines(capsys, *arguments, "--json")]


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_cat_selects(library: Path, capsys: pytest.CaptureFixture[str], into: str | None) -> None:
    events = list(wsrecorder.open(add_session(library, messages=300, into=into)).events())
    assert seqs(capsys, "cat", "latest", "-n", "7") == list(range(7))
    assert seqs(capsys, "cat", "latest", "--limit", "0") == []
    window = [event.seq for event in events if 2e9 <= event.elapsed_ns < 5e9]
    assert window
    assert seqs(capsys, "cat", "latest", "--from", "2s", "--to", "5s") == window
    assert seqs(capsys, "cat", "latest", "--from", "2026-11-23T19:15:02Z", "--to", "2026-11-23T19:15:05") == window
    last = events[-1].elapsed_ns
    assert seqs(capsys, "cat", "latest", "--from", "-1s") == [
        event.seq for event in events if event.elapsed_ns >= last - 1e9
    ]
    two = [event.seq for event in events if event.type in ("SIGNAL", "SCAN_RESULT")]
    assert seqs(capsys, "cat", "latest", "--types", "SIGNAL,SCAN_RESULT") == two
    assert seqs(capsys, "cat", "latest", "--types", "SIGNAL", "--types", "SCAN_RESULT") == two
    assert seqs(capsys, "cat", "latest", "--exclude", "SIGNAL,SCAN_RESULT") == sorted(
        {event.seq for event in events} - set(two)
    )


def test_cat_and_tail_take_a_condition(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = list(wsrecorder.open(add_session(library, messages=300)).events())
    idle = [event.seq for event in events if event.type == "ENGINE_UPDATE" and '"state": "idle"' in (event.text or "")]
    where = ("--where", "payload->>'$.data.state' = 'idle'")
    assert idle
    assert seqs(capsys, "cat", "latest", "--types", "ENGINE_UPDATE", *where) == idle
    assert seqs(capsys, "cat", "latest", *where, "-n", "2") == idle[:2]
    assert seqs(capsys, "tail", "latest", *where, "-n", "2") == idle[-2:]


@pytest.mark.parametrize("command", [["cat"], ["tail"], ["replay", "--port", "0"], ["export", "-o", "x.csv"]])
def test_a_wrong_condition_is_told_in_duckdbs_words(
    library: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    add_session(library, messages=30)
    assert main([command[0], "latest", *command[1:], "--where", "typ = 'A'"]) == 2
    error = capsys.readouterr().err
    assert 'Referenced column "typ" not found' in error
    assert "Traceback" not in error
    assert not Path("x.csv").exists()


# ------------------------------------------------------------------------------------------------ tail


def test_tail_prints_the_last(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = list(wsrecorder.open(add_session(library, messages=300)).events())
    assert seqs(capsys, "tail", "latest") == [event.seq for event in events][-10:]
    assert seqs(capsys, "tail", "latest", "-n", "3") == [event.seq for event in events][-3:]
    assert seqs(capsys, "tail", "latest", "-n", "0") == []
    assert seqs(capsys, "tail", "latest", "-n", "1000") == [event.seq for event in events]
    signals = [event.seq for event in events if event.type == "SIGNAL"]
    assert seqs(capsys, "tail", "latest", "-n", "4", "--types", "SIGNAL") == signals[-4:]
    assert seqs(capsys, "tail", "latest", "-n", "4", "--types", "NONE") == []


@pytest.mark.parametrize("count", ["0", "2"])
def test_following_a_sealed_session_ends_at_once(library: Path, capsys: pytest.CaptureFixture[str], count: str) -> None:
    add_session(library, messages=30)
    assert len(lines(capsys, "tail", "latest", "-f", "-n", count)) == int(count)


def test_following_a_session_that_was_cut_ends_too(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_crashed(library, messages=60)
    assert len(lines(capsys, "tail", "latest", "-f", "-n", "2")) == 2


@pytest.fixture
def follower(here: Path) -> Iterator[Any]:
    """Starts ``wsrec tail -f`` in a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "wsrecorder", "tail", "latest", "-f", *arguments]
        started.append(subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_following_shows_what_comes_until_it_is_sealed(library: Path, follower: Any) -> None:
    target = sink(library, "live", MONDAY, segment_bytes=20_000)
    batches = list(engine_batches(MONDAY, 300))
    target.append(batches[0])
    process = follower("-n", "1", "--json")
    seen = [json.loads(process.stdout.readline())["seq"]]
    assert seen == [len(batches[0]) - 1]
    for batch in batches[1:]:
        target.append(batch)
    total = sum(map(len, batches))
    seen += [json.loads(process.stdout.readline())["seq"] for _ in range(total - len(batches[0]))]
    assert seen == list(range(len(batches[0]) - 1, total))
    target.close(Health())
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_ctrl_c_ends_following_quietly(library: Path, follower: Any) -> None:
    target = sink(library, "live", MONDAY)
    target.append(next(engine_batches(MONDAY, 100)))
    process = follower()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    target.abandon()


# ------------------------------------------------------------------------------------------------ what goes wrong


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return the exit code and what was said: an error and a hint, a line each, and no traceback."""
    code = main(list(arguments))
    captured = capsys.readouterr()
    error, hint = captured.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    return code, captured.err


COMMANDS = [["info"], ["cat"], ["tail"], ["verify"], ["recover"], ["export", "-o", "x.csv"], ["sql", "select 1", "-s"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_session_is_named(library: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    add_session(library, messages=20)
    code, said = refused(capsys, *command, "nobody")
    assert code == 4
    assert "'nobody'" in said
    assert "wsrec ls" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_ambiguous_prefix_is_told(library: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    add_session(library, messages=20)
    add_session(library, "engine2", messages=20)
    code, said = refused(capsys, *command, "20261123")
    assert code == 4
    assert "2 sessions: 20261123T191500Z-engine, 20261123T191500Z-engine2" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_latest_of_nothing_says_how_to_record(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    code, said = refused(capsys, *command, "latest")
    assert code == 4
    assert "wsrec record" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_that_is_no_session_is_told(
    library: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (library / "empty").mkdir(parents=True)
    assert refused(capsys, *command, str(library / "empty"))[0] == 4
    assert refused(capsys, *command, "./nowhere")[0] == 4


@pytest.mark.parametrize("command", [["info"], ["cat"], ["tail"], ["export", "-o", "x.csv"], ["sql", "select 1", "-s"]])
def test_a_newer_format_asks_for_an_upgrade(
    library: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    manifest = add_session(library, messages=20) / "session.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    code, said = refused(capsys, *command, "latest")
    assert code == 4
    assert "version 99" in said
    assert "upgrade wsrec" in said


@pytest.mark.parametrize("command", [["cat"], ["export", "-o", "x.csv"], ["sql", "from events", "-s"]])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_missing_or_damaged_segment_is_told(
    library: Path, capsys: pytest.CaptureFixture[str], command: list[str], how: str
) -> None:
    segment = add_session(library, messages=200, segment_bytes=20_000) / "events" / "000001.parquet"
    if how == "missing":
        segment.unlink()
    else:
        segment.write_bytes(segment.read_bytes()[:-100])
    code = main([*command, "latest"])
    said = capsys.readouterr().err
    assert code == 4
    assert "000001" in said
    assert len(said.splitlines()) == 2
    assert not Path("x.csv").exists()


@pytest.mark.parametrize("start", ["1h", "-1h", "2020-01-01", "2030-01-01T00:00:00Z"])
@pytest.mark.parametrize("command", [["cat"], ["export", "-o", "x.csv"]])
def test_a_beginning_out_of_range_is_told_with_the_range(
    library: Path, capsys: pytest.CaptureFixture[str], command: list[str], start: str
) -> None:
    add_session(library, messages=100)
    code, said = refused(capsys, *command, "latest", "--from", start)
    assert code == 2
    assert "outside the session" in said
    assert "begin between 0s and" in said
    assert not Path("x.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["cat", "latest", "--from", "yesterday"], "not a moment"),
        (["cat", "latest", "--from", "5s", "--to", "4s"], "not after"),
        (["cat", "latest", "--payload", "--json"], "exclude each other"),
        (["cat", "latest", "--types", "A,B", "--exclude", "B"], "both in"),
        (["cat", "latest", "-n", "-1"], "-n"),
        (["cat"], "SESSION"),
        (["cat", "latest", "--wrong"], "--wrong"),
        (["tail", "latest", "--payload", "--json"], "exclude each other"),
    ],
)
def test_wrong_use_is_told(library: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str) -> None:
    add_session(library, messages=200)
    code, said = refused(capsys, *arguments)
    assert code == 2
    assert word in said


@pytest.mark.parametrize(
    "command", ["cat engine", "cat engine --json", "cat engine --payload", "ls", "tail engine -n 1000"]
)
def test_a_reader_that_goes_away_ends_it_quietly(library: Path, here: Path, command: str) -> None:
    add_session(library, messages=1_000)
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "wsrecorder", *command.split()], cwd=here, stdout=writing, stderr=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")
