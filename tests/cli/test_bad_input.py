"""Whatever a feed, a disk or a user does to ``wsrec record``: one line says what is wrong, one what to do.

And nothing is lost that was recorded: each session that came out of it is read, queried and replayed.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.round_trip import Trip, record_again, stream_of
from tests.numbered_feed import NumberedFeed, payload
from wsrecorder.analysis.session import open_session
from wsrecorder.cli import main
from wsrecorder.core.event import Kind
from wsrecorder.store.library import open_store

PROJECT = Path(__file__).parents[2]

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail; return its two lines, an error and a hint, after it printed nothing else."""

    def run(code: int, *arguments: str | Path) -> str:
        assert main([str(argument) for argument in arguments]) == code
        shown = capsys.readouterr()
        lines = shown.err.splitlines()
        assert shown.out == ""
        assert "Traceback" not in shown.err
        assert [line.partition(" ")[0] for line in lines[-2:]] == ["error:", "hint:"], shown.err
        assert not [line for line in lines[:-2] if line.startswith(("error:", "hint:"))]
        assert len(lines[-1]) > len("hint: ")
        return "\n".join(lines[-2:])

    return run


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Serve bytes to whoever connects, whatever they ask for; yield the URL."""

    def serve(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/ws/"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def recorded(capsys: pytest.CaptureFixture[str], library: Path, *arguments: str | Path) -> dict[str, Any]:
    """Record with success and return the facts that are printed."""
    assert main(["record", "--library", str(library), "--json", *map(str, arguments)]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert facts["error"] is None
    assert facts["sealed"]
    return facts


# A feed that cannot be had.


@pytest.mark.parametrize("transport", ["websockets", "picows"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", ("HTTP 403", "--origin")),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ("HTTP 404", "/ws/")),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ("HTTP 401", "--header")),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", ("HTTP 503", "later")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ("WebSocket", "URL")),
        (b"", ("", "check")),
    ],
    ids=["403", "404", "401", "503", "not-http", "closed"],
)
def test_refused_handshake_ends_with_3(
    refused: Refused, tmp_path: Path, transport: str, answer: bytes, words: tuple[str, str]
) -> None:
    if transport == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    with answering(answer) as url:
        shown = refused(3, "record", url, "--library", tmp_path, "--transport", transport)
    error, hint = shown.splitlines()
    assert url in error
    assert words[0] in error
    assert words[1] in hint
    assert list(tmp_path.iterdir()) == []


def test_unreachable_feed_ends_with_3(refused: Refused, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shown = refused(3, "record", f"ws://127.0.0.1:{port}/ws/", "--library", tmp_path)
    assert "cannot be reached" in shown
    assert list(tmp_path.iterdir()) == []


def test_one_feed_that_cannot_be_had_leaves_the_other_its_recording(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with answering(b"HTTP/1.1 404 Not Found\r\n\r\n") as bad, NumberedFeed() as good:
        assert main(["record", bad, good.url, "--library", str(tmp_path), "--max-events", "50", "--json"]) == 3
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["path"], "404" in first["error"]["message"]) == (None, True)
    assert (second["messages"], second["error"], second["sealed"]) == (50, None, True)


# What cannot be asked for.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://127.0.0.1/ws/"], ("http", "ws://localhost:8000/ws/")),
        (["127.0.0.1:8000/ws/"], ("ws://", "ws://localhost:8000/ws/")),
        (["ws://"], ("no host", "ws://localhost:8000/ws/")),
        (["ws://x:99999/"], ("port", "65535")),
        (["ws://x/", "ws://y/", "--into", "z.duckdb"], ("--into", "file of its own")),
        (["ws://x/", "--duration", "0"], ("--duration 0", "10m")),
        (["ws://x/", "--duration", "soon"], ("soon", "90s")),
        (["ws://x/", "--max-frame", "0"], ("--max-frame", "64MiB")),
        (["ws://x/", "--max-frame", "2GiB"], ("--max-frame", "1GiB")),
        (["ws://x/", "--max-frame", "big"], ("big", "64MiB")),
        (["ws://x/", "--rotate", "0B"], ("--rotate", "5m")),
        (["ws://x/", "--rotate", "often"], ("neither a size nor a time", "64MiB,5m")),
        (["ws://x/", "--header", "no colon"], ("a --header without a name is not a header", "Name: value")),
        (["ws://x/", "--ts-unit", "weeks"], ("weeks", "ms")),
        (["ws://x/", "--type-path", "a..b"], ("a..b", "data.e")),
        (["ws://x/", "--name", "..."], ("...", "--name")),
        (["ws://x/", "--into", "x.parquet"], ("x.parquet", "x.parquet.duckdb")),
        (["ws://x/", "--transport", "carrier-pigeon"], ("carrier-pigeon", "picows")),
        (["ws://x/", "--max-events", "0"], ("--max-events", "--help")),
        ([], ("URL", "--help")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_impossible_ends_with_2_before_anything_is_made(
    refused: Refused, tmp_path: Path, arguments: list[str], words: tuple[str, str]
) -> None:
    error, hint = refused(2, "record", *arguments, "--library", tmp_path / "new").splitlines()
    assert words[0] in error
    assert words[1] in hint
    assert not (tmp_path / "new").exists()


def test_port_in_use_ends_with_5(refused: Refused, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "fixtures", tmp_path / "lib")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command in (["replay", "parquet-v1", "--library", tmp_path / "lib"], ["simulate", "--duration", "1s"]):
            shown = refused(5, *command, "--port", port)
            assert port in shown
            assert "choose another" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--speed", "0"], ("speed", "max")),
        (["--speed", "-1"], ("speed", "max")),
        (["--speed", "nan"], ("speed", "max")),
        (["--from", "1h"], ("after it ended", "")),
        (["--from", "2020-01-01T00:00:00Z"], ("before it began", "")),
        (["--from", "10s", "--to", "5s"], ("", "")),
        (["--from", "noon"], ("noon", "90s")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("name", ["parquet-v1", "duckdb-v1.duckdb", "cut-v1"])
def test_impossible_replay_ends_with_2(
    refused: Refused, name: str, arguments: list[str], words: tuple[str, str]
) -> None:
    command = ["replay", name, "--library", PROJECT / "fixtures", "--port", "0", *arguments]
    error, hint = refused(2, *command).splitlines()
    assert words[0] in error
    assert words[1] in hint


@pytest.mark.parametrize("command", ["info", "cat", "replay", "verify", "recover", "export", "sql"])
def test_newer_format_ends_with_4_and_asks_for_an_upgrade(tmp_path: Path, command: str) -> None:
    session = tmp_path / "lib" / "20261124T060000Z-parquet-v1"
    shutil.copytree(PROJECT / "fixtures" / session.name, session)
    manifest = session / "session.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    before = {path: path.read_bytes() for path in session.rglob("*") if path.is_file()}
    more = ["select 1 from events", "--session"] if command == "sql" else []
    after = {"export": ["--out", str(tmp_path / "out.jsonl")], "replay": ["--port", "0"]}.get(command, [])
    done = wsrec(command, *more, str(session), *after)
    assert done.returncode == 4
    assert "99" in done.stdout + done.stderr
    if command != "verify":  # which names all that is wrong, and what mends what
        assert "hint: upgrade wsrec" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in session.rglob("*") if path.is_file()} == before


def wsrec(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wsrecorder", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False, **options)


# Frames that nobody can parse, or that are too large.

ODD = (
    b"no JSON",
    b"",
    b'{"type": "SIGNAL", "ts": 1764000000000, "data": NaN}',
    b'{"type": "SIGNAL", "ts": 1764000000001, "data": [Infinity, -Infinity]}',
    b'{"type": 7, "ts": "soon"}',
    b'{"type": "A", "ts": 1e999}',
    b'{"type": "cut',
    b"[1, 2]",
    b"null",
    b"\x00\x01",
    b"[" * 3_000,
)


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
async def test_frames_that_nobody_can_parse_are_kept_queried_and_replayed(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, form: str
) -> None:
    into = ["--into", tmp_path / "x.duckdb"] if form == "duckdb" else []
    with NumberedFeed(first=ODD) as feed:
        count = str(len(ODD) + 3)
        done = wsrec("record", feed.url, "--library", tmp_path, "--max-events", count, "--json", *into)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["types"] == {"SIGNAL": 2, "7": 1, "A": 1, "T0": 1, "T1": 1, "T2": 1}
    path = Path(facts["path"])
    frames = [*ODD, *map(payload, range(3))]
    assert [content for _, content in stream_of(path).frames] == frames

    assert main(["cat", "--payload", str(path)]) == 0
    assert capfdbinary.readouterr().out == b"".join(frame + b"\n" for frame in frames)
    for query in (
        "select count(*) n from events where kind = 'message'",
        "select count(*) n from events where kind = 'message' and (type is null or type is not null)",
    ):
        assert main(["sql", query, "--session", str(path), "--json"]) == 0
        assert json.loads(capfdbinary.readouterr().out) == [{"n": len(frames)}]
    again = await record_again([open_store(path)], tmp_path / "again", Trip())
    assert [content for _, content in stream_of(again).frames] == frames


@pytest.mark.parametrize("transport", ["websockets", "picows"])
def test_frame_over_the_limit_is_a_gap_and_the_feed_is_recorded_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, transport: str
) -> None:
    if transport == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    # Each connection begins with one that fits and one that does not.
    with NumberedFeed(first=(b"fits", b"x" * 2_000)) as feed:
        options = ("--max-frame", "1kB", "--reconnect", "10ms", "--max-events", "3", "--transport", transport)
        facts = recorded(capsys, tmp_path, feed.url, *options)
    events = list(open_session(Path(facts["path"])).events())
    gaps = [json.loads(event.detail or "") for event in events if event.kind is Kind.GAP]
    assert (facts["messages"], facts["connections"], len(gaps)) == (3, 3, facts["gaps"])
    assert {gap["cause"] for gap in gaps} == {"a message over the limit of 1,000 bytes"}
    assert [event.text for event in events if event.kind is Kind.MESSAGE] == ["fits"] * 3


# A session in which nothing came.


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_empty_session_is_a_session(
    capsys: pytest.CaptureFixture[str], refused: Refused, tmp_path: Path, form: str
) -> None:
    into = ["--into", tmp_path / "x.duckdb"] if form == "duckdb" else []
    with NumberedFeed(count=0) as feed:
        facts = recorded(capsys, tmp_path, feed.url, "--duration", "200ms", *into)
    path = facts["path"]
    assert (facts["messages"], facts["events"], facts["types"]) == (0, 2, {})
    assert main(["verify", path]) == 0
    assert main(["recover", path]) == 0
    assert main(["info", path]) == 0
    capsys.readouterr()
    assert main(["cat", "--payload", path]) == 0
    assert capsys.readouterr().out == ""
    assert main(["sql", "select count(*) n, count(type) t from events", "--session", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 2, "t": 0}]
    assert main(["export", path, "--out", str(tmp_path / "out.jsonl")]) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2
    capsys.readouterr()
    assert "nothing to replay" in refused(4, "replay", path, "--port", "0")


# A disk that takes no more.


def assert_nothing_was_lost(done: subprocess.CompletedProcess[str], reason: str) -> Path:
    """Assert that a recording ended with 4 and says so, and that all that it wrote is readable and in order."""
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    error, hint = done.stderr.splitlines()[-2:]
    assert error.startswith("error: cannot ")
    assert reason in error
    assert "could not be written" in error
    assert "intact" in hint
    facts = json.loads(done.stdout)
    assert f'"wsrec recover {facts["path"]}"' in hint
    events = list(open_session(facts["path"]).events())
    assert events
    assert [event.seq for event in events] == list(range(len(events)))
    frames = [event.payload for event in events if event.kind is Kind.MESSAGE]
    assert frames == [payload(number) for number in range(len(frames))]
    # What was written and not synced may be there as well.
    assert 0 < facts["messages"] <= len(frames)
    assert not facts["sealed"]
    return Path(facts["path"])


def assert_recoverable(path: Path) -> None:
    before = list(open_session(path).events())
    assert main(["recover", str(path)]) in (0, 6)
    assert main(["verify", str(path)]) == 0
    assert list(open_session(path).events()) == before


def record_while_it_fails(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    with NumberedFeed() as feed:
        return wsrec(
            "record",
            feed.url,
            "--name",
            "n",
            "--duration",
            "1500ms",
            "--min-free",
            "0",
            "--quiet",
            "--json",
            *arguments,
            **options,
        )


def test_a_file_that_may_not_grow_is_left_for_another(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    with NumberedFeed(pause_s=0.1) as feed:
        done = wsrec("record", feed.url, "--name", "n", "--duration", "4s", "--min-free", "0", "--json",
                     "--library", tmp_path, preexec_fn=limit)  # fmt: skip
    facts = json.loads(done.stdout)
    events = list(open_session(facts["path"]).events())
    frames = [event.payload for event in events if event.kind is Kind.MESSAGE]
    assert frames == [payload(number) for number in range(len(frames))]
    gaps = [json.loads(event.detail or "") for event in events if event.kind is Kind.GAP]
    assert gaps
    assert {(gap["cause"], gap["lost_frames"]) for gap in gaps} == {("disk error: File too large", 0)}
    assert "File too large; recording goes on" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 2 MB; `resize` changes that."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here: run as root, where mounting is allowed")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_disk_that_is_full_to_the_end_ends_with_4_and_keeps_what_was_written(small_disk: Path, form: str) -> None:
    into = ["--into", small_disk / "n.duckdb"] if form == "duckdb" else []
    path = assert_nothing_was_lost(record_while_it_fails("--library", small_disk, *into), "No space left on device")
    if form == "parquet":
        assert main(["recover", str(path)]) == 4  # there is no room for the segment: nothing changes
    remount(small_disk, "size=40m")
    assert_recoverable(path)


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_disk_that_fills_up_is_left_before_it_is_full(small_disk: Path, form: str) -> None:
    remount(small_disk, "size=60m")
    into = ["--into", small_disk / "n.duckdb"] if form == "duckdb" else []
    with NumberedFeed(pause_s=0.01) as feed:
        done = wsrec("record", feed.url, "--name", "n", "--duration", "30s", "--min-free", "56MB", "--json",
                     "--library", small_disk, *into)  # fmt: skip
    assert done.returncode == 4, done.stderr
    found = json.loads(done.stdout)
    assert found["sealed"]
    assert "iB free, where --min-free asks for 53.4 MiB" in found["error"]["message"]
    assert shutil.disk_usage(small_disk).free > 10 << 20, "it had room to seal"
    assert main(["verify", found["path"]]) == 0


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_read_only_disk_ends_with_4(small_disk: Path, refused: Refused, form: str) -> None:
    remount(small_disk, "ro")
    into = ["--into", small_disk / "n.duckdb"] if form == "duckdb" else []
    with NumberedFeed() as feed:
        shown = refused(4, "record", feed.url, "--library", small_disk / "lib", "--min-free", "0", *into)
    assert "read-only" in shown.lower()
    assert "--library" in shown or form == "duckdb"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere: run as another user")
def test_a_folder_that_may_not_be_written_ends_with_4(refused: Refused, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with NumberedFeed() as feed:
        shown = refused(4, "record", feed.url, "--library", tmp_path / "lib")
    assert "Permission denied" in shown
    assert "--library" in shown


def test_a_library_that_is_a_file_ends_with_4(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "lib").write_text("mine")
    with NumberedFeed() as feed:
        assert "--library" in refused(4, "record", feed.url, "--library", tmp_path / "lib")
    assert (tmp_path / "lib").read_text() == "mine"


def test_a_file_that_is_there_is_never_recorded_into(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_text("mine")
    with NumberedFeed() as feed:
        assert "--into" in refused(4, "record", feed.url, "--library", tmp_path, "--into", tmp_path / "x.duckdb")
    assert (tmp_path / "x.duckdb").read_text() == "mine"
