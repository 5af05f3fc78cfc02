"""``wsrec replay``: what it prints, where, and with which exit code it ends."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tests.cli.programs import PROJECT, wsrec
from tests.jobs.replays import ats, heartbeat, identity, listen, message, session, types, until
from wsrecorder.cli.app import main
from wsrecorder.cli.replay import position_line, print_report
from wsrecorder.cli.replay_panel import ReplayPanel
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.fault import FaultKind, parse_faults
from wsrecorder.jobs.replay_options import FaultReport, ReplayReport, ReplayState
from wsrecorder.net.client_stats import ClientStats

SECOND_NS = 1_000_000_000


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of a session ``test`` of half a second, and an empty one."""
    library = tmp_path / "recordings"
    session(library, [heartbeat(0), *(message(n / 20, "AB"[n % 2]) for n in range(10))])
    session(library, [], who=identity("empty"))
    return library


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        ([], 2, "no session was named", "wsrec replay latest"),
        (["nobody"], 4, "'nobody'", "wsrec ls"),
        (["2025"], 4, "the beginning of 2 sessions", "write more"),
        (["empty"], 4, "empty holds no message", "wsrec info"),
        (["test", "--speed", "0"], 2, "speed 0 is not possible", "max"),
        (["test", "--speed", "-1"], 2, "speed -1 is not possible", "max"),
        (["test", "--speed", "fast"], 2, '"fast" is not a speed', "max"),
        (["test", "--from", "1h"], 2, "1h is outside the session", "begin between"),
        (["test", "--from", "400ms", "--to", "300ms"], 2, "is not after", "end after"),
        (["test", "--max-gap", "soon"], 2, '"soon" is not a duration', "90s"),
        (["test", "--types", "SIGNALS"], 2, "no message of type SIGNALS", "A, B, HEARTBEAT"),
        (["test", "--client-buffer", "lots"], 2, "'lots' is not a size", "64MiB"),
        (["test", "--port", "70000"], 2, "port 70000", "--port"),
        (["test", "--path", "ws"], 2, 'path "ws" must begin with /', "--path /ws/"),
        (["test", "--wait-for", "-1"], 2, "'--wait-for'", "--help"),
        (["test", "--fault", "lose=1%"], 2, '"lose=1%" is not a fault', "drop=1%"),
        (["test", "--fault", "drop=1"], 2, '"1" is not a percentage', "drop=1%"),
        (["test", "--fault", "drop=1%@SIGNALS"], 2, "no message of type SIGNALS", "A, B, HEARTBEAT"),
        (["test", "--fault", "refuse=5s"], 2, "refuse comes after a disconnect", "disconnect=30s"),
        (["test", "--seed", "x"], 2, "'--seed'", "--help"),
        (["test", "--clock", "wall"], 2, "wall", "--help"),
        (["test", "--loop", "--at-end", "close"], 2, "exclude each other", "one of them"),
    ],
)
def test_the_impossible_is_refused_with_what_to_do(
    library: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, error: str, hint: str
) -> None:
    assert main(["replay", *arguments, "--library", str(library)]) == code
    out, said = capsys.readouterr()
    lines = said.splitlines()
    assert out == ""
    assert lines[-2].startswith("error: ")
    assert error in lines[-2]
    assert lines[-1].startswith("hint: ")
    assert hint in lines[-1]


def test_a_match_that_is_no_expression_is_refused_before_anything_begins(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "test", "--library", str(library), "--match", "typ = 'A'"]) == 2
    assert '"typ" not found' in capsys.readouterr().err


def test_a_port_in_use_ends_with_5(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["replay", "test", "--library", str(library), "--port", str(port)]) == 5
    assert f"error: port {port} on 127.0.0.1 is in use\nhint: " in capsys.readouterr().err


def test_a_session_of_a_newer_format_ends_with_4(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [manifest] = library.glob("*-test/session.json")
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    assert main(["replay", "test", "--library", str(library)]) == 4
    assert "99" in capsys.readouterr().err


def test_settings_know_its_options_by_their_long_names(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wsrec.toml").write_text('[replay]\nfrom = "2h"\nat-end = "exit"\n')
    assert main(["replay", "test"]) == 2
    assert "2h is outside the session" in capsys.readouterr().err
    monkeypatch.setenv("WSREC_REPLAY_FROM", "3h")
    assert main(["replay", "test"]) == 2
    assert "3h is outside the session" in capsys.readouterr().err
    Path("wsrec.toml").write_text('[replay]\nstart = "2h"\n')
    assert main(["replay", "test"]) == 2
    assert "'start', which is not an option of replay" in capsys.readouterr().err


# What it does


async def test_it_replays_to_the_end_and_reports(library: Path) -> None:
    async with wsrec("replay", "test", "--port", 0, "--at-end", "exit", "--json", cwd=library.parent) as program:
        url = await program.url()
        listener = await listen(url)
        await listener.closed()
        code, out, said = await program.ended()
    assert code == 0
    assert types(listener.payloads) == ["HEARTBEAT", *"ABABABABAB"]
    facts = json.loads(out)
    assert (facts["frames_sent"], facts["speed"], facts["slow_closed"]) == (10, 1, 0)
    assert facts["achieved_speed"] == pytest.approx(1, rel=0.5)
    assert facts["url"] == url
    assert [Path(path).name for path in facts["sessions"]] == ["20251124T160000Z-test"]
    assert [client["frames_sent"] for client in facts["clients"]] == [10]
    for words in ("client 1", "joined", "left (1000)", "replayed 10 frames", "lateness p50", "10 frames, "):
        assert words in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_it_is_told_to_stop(library: Path, number: signal.Signals) -> None:
    async with wsrec("replay", "test", "--port", 0, "--speed", "max", cwd=library.parent) as program:
        listener = await listen(await program.url())
        await listener.has(11)
        program.signal(number)
        assert (await listener.closed()).code in (1000, 1012)  # after the last frame, or just before its end
        code, out, said = await program.ended()
    assert (code, out) == (0, "")
    assert "replayed 10 frames" in said
    assert "Traceback" not in said


async def test_it_injects_faults_and_tells_which(library: Path) -> None:
    options = ["--port", 0, "--at-end", "exit", "--json", "--seed", 5]
    faults = ["--fault", "drop=100%@B", "--fault", "duplicate=100%", "--fault", "disconnect=1h"]
    async with wsrec("replay", "test", *options, *faults, cwd=library.parent) as program:
        listener = await listen(await program.url())
        await listener.closed()
        code, out, said = await program.ended()
    assert code == 0
    assert types(listener.payloads) == ["HEARTBEAT", *"AAAAAAAAAA"]
    assert json.loads(out)["faults"] == {
        "seed": 5,
        "active": ["drop=100%@B", "duplicate=100%", "disconnect=1h:1012"],
        "counts": {"drop": 5, "duplicate": 5, "disconnect": 0},
    }
    assert "injected (seed 5): 5 frames dropped, 5 frames doubled, 0 clients disconnected" in said


async def test_all_options_together(library: Path) -> None:
    options = [
        "--host", "127.0.0.1", "--port", 0, "--path", "/other/", "--speed", "2.5x", "--clock", "sent",
        "--max-gap", "10ms", "--from", "50ms", "--to", "-10ms", "--types", "A,C", "--types", "B", "--exclude", "A",
        "--verbatim", "--restamp", "--per-client", "--wait-for", 1, "--slow-client", "close",
        "--client-buffer", "1MiB", "--at-end", "close", "--library", library, "--json",
    ]  # fmt: skip
    async with wsrec("replay", "latest", "test", *options, cwd=library.parent) as program:
        url = await program.url()
        assert url.endswith("/other/")
        listener = await listen(url)
        await listener.closed()
        program.signal(signal.SIGTERM)
        code, _, said = await program.ended()
    assert code == 0, said
    # One of each: it is the latest too, and is not merged with itself.
    assert ats(listener.payloads) == [0.05, 0.15, 0.25, 0.35]


async def test_a_damaged_segment_ends_with_4_after_what_could_be_played(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n) for n in range(40)], batch=10, segment_s=9)
    damaged = sorted(store.path.glob("events/*.parquet"))[2]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    async with wsrec("replay", store.path, "--port", 0, "--speed", "max", "--json", cwd=tmp_path) as program:
        listener = await listen(await program.url())
        assert (await listener.closed()).code == 1011
        code, out, said = await program.ended()
    assert code == 4
    assert ats(listener.payloads) == list(range(20))
    assert json.loads(out)["frames_sent"] == 20
    assert f"error: {damaged}" in said or damaged.name in said
    assert "hint: " in said
    assert "Traceback" not in said


async def test_on_a_terminal_a_panel_is_shown(library: Path) -> None:
    terminal, its_end = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wsrecorder", "replay", "test", "--port", "0", "--wait-for", "0", "--at-end", "exit",
        cwd=library.parent, stdin=asyncio.subprocess.DEVNULL, stderr=its_end,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(its_end)
    shown = await asyncio.to_thread(read_all, terminal)
    assert await process.wait() == 0
    for words in ("position", "speed", "lateness", "Ctrl-C ends the replay", "replayed 10 frames"):
        assert words in shown
    assert " INFO " not in shown


def read_all(terminal: int) -> str:
    """Return what is printed on a terminal until nobody is left to print."""
    printed = b""
    with open(terminal, "rb", buffering=0) as screen:
        try:
            while part := screen.read(65_536):
                printed += part
        except OSError:  # how Linux says it
            pass
    return printed.decode()


async def test_quiet_says_only_what_it_did(library: Path) -> None:
    port = free_port()
    async with wsrec("replay", "test", "--port", port, "--at-end", "exit", "--quiet", cwd=library.parent) as program:
        await until(lambda: answers(port))
        await (await listen(f"ws://127.0.0.1:{port}/ws/")).closed()
        code, _, said = await program.ended()
    assert code == 0
    assert said.strip().splitlines()[0].startswith("replayed 10 frames")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


# What it prints


def a_client(number: int, **facts: Any) -> ClientStats:
    fields = {
        "number": number, "address": f"127.0.0.1:{number}", "query": "", "connected_ns": 0, "frames_sent": 1_234,
        "bytes_sent": 2_048, "primed": 0, "heartbeats_sent": 2, "inbound_frames": 0, "stalls": 0, "stalled_ns": 0,
        "buffered_bytes": 0, "latency_ms": 0.5, "window_bits": None, "close_code": None,
    }  # fmt: skip
    return ClientStats(**{**fields, **facts})  # type: ignore[arg-type]


def a_report(**facts: Any) -> ReplayReport:
    fields = {
        "frames_sent": 1_234, "primed": 0, "passes": 1, "playing_s": 2.0, "session_s": 19.9, "speed": 10.0,
        "achieved_speed": 9.95,
        "lateness": Distribution([100_000] * 99 + [2_000_000]), "clients": [a_client(1)], "slow_closed": 0,
    }  # fmt: skip
    return ReplayReport(**{**fields, **facts})


def printed(report: ReplayReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_report(report)
    return capsys.readouterr().err.splitlines()


def test_the_report_tells_of_every_kind_of_fault(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {kind.value: 1 for kind in FaultKind}
    [line] = printed(a_report(clients=[], faults=FaultReport(7, (), counts)), capsys)[2:]
    assert line == (
        "injected (seed 7): 1 frame dropped, 1 frame altered, 1 frame doubled, 1 pair swapped, 1 frame delayed, "
        "1 client disconnected, 1 silence kept, 1 connection refused, 1 recorded outage re-enacted"
    )


def test_the_report_names_speed_lateness_and_clients(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(a_report(), capsys) == [
        "replayed 1,234 frames in 2.0 s: 9.95× (10× was asked for), 617 frames/s",
        "lateness p50 0.10 ms, p99 0.10 ms, max 2.00 ms",
        "client 1 (127.0.0.1:1): 1,234 frames, 2.0 KiB, 2 heartbeats",
    ]


def test_the_report_of_nothing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = a_report(frames_sent=0, playing_s=0, achieved_speed=None, lateness=Distribution(), clients=[])
    assert printed(nothing, capsys) == ["replayed 0 frames in 0.0 s"]


def test_stalls_and_passes_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    report = a_report(passes=3, speed=None, clients=[a_client(1, stalls=4, stalled_ns=50_000_000)])
    lines = printed(report, capsys)
    assert lines[0] == "replayed 1,234 frames in 2.0 s in 3 passes: 9.95× (as fast as possible), 617 frames/s"
    assert lines[-1].endswith("2 heartbeats, 4 stalls of 50 ms")


def test_clients_that_were_closed_as_too_slow_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    last = printed(a_report(slow_closed=1), capsys)[-1]
    assert last.startswith("1 client closed for lagging too far behind (1013)")
    assert "--slow-client wait" in last


def test_frames_that_told_how_things_stand_are_said_apart(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(a_report(clients=[a_client(1), a_client(2, primed=3)]), capsys)
    assert [" beforehand" in line for line in lines if line.startswith("client")] == [False, True]
    assert "3 frames beforehand" in lines[-1]


def test_of_many_clients_the_first_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(a_report(clients=[a_client(n) for n in range(100)]), capsys)
    assert lines[-1] == "and 80 more clients"
    assert len(lines) == 23


def a_state(**facts: Any) -> ReplayState:
    fields = {
        "status": "playing", "position_ns": 90 * SECOND_NS, "start_ns": 60 * SECOND_NS, "end_ns": 3_725 * SECOND_NS,
        "speed": 10.0, "achieved_speed": 9.991, "frames_sent": 1_234, "clients": 2,
        "lateness": Distribution([250_000]),
    }  # fmt: skip
    return ReplayState(**{**fields, **facts})


def test_the_position_is_a_line() -> None:
    assert position_line(a_state()) == "playing: 1:30 of 1:02:05 at 9.991×, 1,234 frames, 2 clients"
    waiting = a_state(status="waiting", position_ns=0, achieved_speed=None, frames_sent=0, clients=0)
    assert position_line(waiting) == "waiting: 0.0 s of 1:02:05, 0 frames, 0 clients"


def a_playback(name: str, loop: tuple[int, int] | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, state=SimpleNamespace(loop=loop))


def rendered(
    state: ReplayState | None, *playbacks: SimpleNamespace, faults: Sequence[str] = (), console_url: str | None = None
) -> str:
    panel = ReplayPanel()
    if state is not None:
        active = SimpleNamespace(active=parse_faults(faults))
        replay = SimpleNamespace(url="ws://here/ws/", state=state, playbacks=playbacks, faults=active)
        panel.watch(replay, console_url)  # type: ignore[arg-type]
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(panel.render(0.25))
    return console.export_text()


def test_the_panel_shows_position_speed_clients_and_lateness() -> None:
    shown = rendered(a_state(position_ns=1_800 * SECOND_NS))
    for words in ("ws://here/ws/", "30:00 of 1:02:05", "10×, achieved 9.991×", "1,234", "p99 0.25 ms", "━"):
        assert words in shown


def test_the_panel_names_the_console_and_the_faults() -> None:
    shown = rendered(a_state(), faults=["drop=1%", "refuse=5s", "disconnect=30s"], console_url="http://here:8001/")
    for words in ("console   http://here:8001/", "faults    drop=1%, refuse=5s, disconnect=30s:1012"):
        assert words in shown
    assert "console" not in rendered(a_state())
    assert "faults" not in rendered(a_state())


def test_the_panel_of_a_replay_that_has_not_begun() -> None:
    assert "reading" in rendered(None)
    idle = a_state(status="waiting", achieved_speed=None, lateness=Distribution(), speed=float("inf"))
    assert "waiting" in rendered(idle)
    assert "max" in rendered(idle)


def test_the_panel_shows_a_loop_and_who_is_controlled_where_that_is_not_plain() -> None:
    assert "loop" not in rendered(a_state(), a_playback("shared"))
    assert "playbacks" not in rendered(a_state(), a_playback("shared"))
    shown = rendered(a_state(), a_playback("shared", (SECOND_NS, 90 * SECOND_NS)))
    assert "1.0 s to 1:30" in shown
    shown = rendered(a_state(), *(a_playback(f"client {number}") for number in range(1, 8)))
    assert "client 1, client 2, client 3, client 4, client 5 and 2 more" in shown


def test_the_bar_holds_out_where_a_session_has_grown() -> None:
    assert rendered(a_state(position_ns=10**15))
    assert rendered(a_state(position_ns=0, end_ns=0, start_ns=0))
