"""``wsrec record``, the real program, ended from outside: what it had synced is all there, once and in order."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.numbered_feed import NumberedFeed, payload
from wsrecorder.analysis.session import open_session
from wsrecorder.cli import main
from wsrecorder.core.event import Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.store.library import Library

PROJECT = Path(__file__).parents[1]
PATIENCE_S = 20.0

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``wsrec record`` into a library; whatever still runs in the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "wsrecorder", "record", "--library", str(tmp_path), "--name", "n", *arguments]
        process = subprocess.Popen(command, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def events_in(path: Path) -> list[Event]:
    return list(open_session(path).events())


def wait_for_session(library: Path, recorder: subprocess.Popen[str], more_than: int = 0) -> Path:
    """Return the session that is being recorded, once a reader sees more than so many events in it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert recorder.poll() is None, recorder.communicate()
        for path in Library(library).paths():
            # Folder and file are there a moment before there is anything in them.
            with suppress(SessionError):
                if open_session(path).info.events > more_than:
                    return path
        time.sleep(0.01)
    raise AssertionError(f"no events within {PATIENCE_S} s")


def assert_numbered(events: list[Event]) -> None:
    """Assert that frames and sequence numbers go on from 0 without holes or doubles."""
    assert [event.seq for event in events] == list(range(len(events)))
    payloads = [event.payload for event in events if event.kind is Kind.MESSAGE]
    assert payloads == [payload(number) for number in range(len(payloads))]


@pytest.mark.parametrize(
    ("seed", "transport", "form"),
    [
        (1, "picows", "parquet"),
        (2, "picows", "parquet"),
        (3, "websockets", "parquet"),
        (4, "picows", "duckdb"),
        (5, "websockets", "duckdb"),
    ],
)
def test_what_was_synced_outlives_a_kill(
    start: Start, tmp_path: Path, seed: int, transport: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if transport == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    # Small segments, so that a kill often hits a seal under way.
    into = ["--into", str(tmp_path / "n.duckdb")] if form == "duckdb" else ["--rotate", "200KB"]
    with NumberedFeed() as feed:
        recorder = start(feed.url, "--quiet", "--transport", transport, *into)
        path = wait_for_session(tmp_path, recorder)
        time.sleep(random.Random(seed).uniform(0, 0.5))
        synced = open_session(path).info.events
        recorder.send_signal(signal.SIGKILL)
        recorder.wait()
    left = events_in(path)
    assert len(left) >= synced > 0
    assert_numbered(left)
    assert left[0].kind is Kind.OPEN

    assert main(["verify", str(path)]) == 4
    recovered = main(["recover", "--json", str(path)])
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert recovered == (6 if facts["cut"] else 0)
    assert (facts["events"], facts["lost"]) == (len(left), [])
    assert main(["verify", str(path)]) == 0
    assert events_in(path) == left
    assert open_session(path).info.sealed
    assert main(["recover", str(path)]) == 0
    assert events_in(path) == left


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_signal_to_stop_seals_the_session_and_exits_0(
    start: Start, tmp_path: Path, number: signal.Signals, form: str
) -> None:
    into = ["--into", str(tmp_path / "n.duckdb")] if form == "duckdb" else ["--rotate", "100KB"]
    with NumberedFeed(pause_s=0.02) as feed:
        recorder = start(feed.url, "--json", *into)
        wait_for_session(tmp_path, recorder, more_than=5_000)
        recorder.send_signal(number)
        out, err = recorder.communicate(timeout=PATIENCE_S)
    assert (recorder.returncode, "Traceback" in err) == (0, False), err
    facts = json.loads(out)
    assert (facts["sealed"], facts["error"], facts["gaps"]) == (True, None, 0)
    events = events_in(Path(facts["path"]))
    assert (len(events), facts["events"]) == (facts["messages"] + 2,) * 2
    assert events[-1].kind is Kind.CLOSE
    assert json.loads(events[-1].detail or "")["cause"] == "the recording ended"
    assert_numbered(events)
    assert main(["verify", facts["path"]]) == 0


def test_a_signal_while_the_feed_is_away_seals_what_came_before(start: Start, tmp_path: Path) -> None:
    with NumberedFeed(count=100) as feed:
        recorder = start(feed.url, "--json", "--reconnect", "30s")
        wait_for_session(tmp_path, recorder, more_than=100)
    time.sleep(0.2)
    recorder.send_signal(signal.SIGTERM)
    out, err = recorder.communicate(timeout=PATIENCE_S)
    assert (recorder.returncode, "Traceback" in err) == (0, False), err
    facts = json.loads(out)
    assert (facts["messages"], facts["gaps"], facts["sealed"]) == (100, 1, True)
    events = events_in(Path(facts["path"]))
    assert [event.kind for event in events[-2:]] == [Kind.CLOSE, Kind.GAP]
    assert_numbered(events)
