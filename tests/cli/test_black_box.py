"""``wsrec record --snapshot`` as its user has it: real processes, sockets, signals, requests and crashes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.programs import Program, wsrec
from tests.cli.test_operating import answer, metrics_url, once, positive, samples
from tests.numbered_feed import NumberedFeed, number_of
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.cli.app import main
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Kind
from wsrecorder.jobs.verify import verify
from wsrecorder.net.simulator import Simulator, SimulatorOptions
from wsrecorder.store.library import Library
from wsrecorder.store.manifest import BlackBoxTrigger

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to send")


def numbers(session: Session) -> list[int]:
    return [number_of(event.text.encode()) for event in session.events() if event.text]


def only_session(folder: Path) -> Session:
    [path] = Library(folder / "recordings").paths()
    session = open_session(path)
    assert verify(session.store).is_sound
    return session


def why(session: Session) -> BlackBoxTrigger:
    found = session.info.black_box
    assert found is not None
    return found


ODD = "it looked odd\n2026 ERROR lost\x1b[2J"


def assert_gapless(found: list[int]) -> None:
    assert found
    assert found == list(range(found[0], found[-1] + 1))


async def has_ring(program: Program) -> None:
    await program.says(r"recording into .*\.wsrec-ring-")


async def asks(url: str, body: str = "", path: str = "/snapshot", **headers: str) -> tuple[int, str]:
    def post() -> tuple[int, str]:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            connection.request("POST", path, body, headers)
            found = connection.getresponse()
            return found.status, found.read().decode()
        finally:
            connection.close()

    return await asyncio.to_thread(post)


async def test_a_signal_writes_what_the_ring_has_and_recording_goes_on(tmp_path: Path) -> None:
    with NumberedFeed(pause_s=0.05) as feed:
        async with wsrec(
            "record", feed.url, "--snapshot", "1h", "--post", "200ms", "--name", "engine", cwd=tmp_path
        ) as program:
            await has_ring(program)
            program.signal(signal.SIGUSR1)
            await program.says(r"triggered by SIGUSR1; the snapshot ends in 200ms")
            await program.says(r"snapshot of \d+ events")
            session = only_session(tmp_path)
            found = numbers(session)
            assert found[0] == 0
            assert_gapless(found)
            assert (session.info.name, why(session).cause) == ("engine-snapshot", "signal")
            program.signal(signal.SIGUSR1)
            await program.says(r"snapshot of \d+ events")
            program.signal(signal.SIGINT)
            code, _, errors = await program.ended()
    assert code == 0, errors
    assert "wrote 2 snapshots:" in errors
    longest = max((numbers(open_session(path)) for path in Library(tmp_path / "recordings").paths()), key=len)
    assert_gapless(longest)
    assert len(longest) > len(found)
    assert list((tmp_path / "recordings").glob(".wsrec-*")) == []


async def test_a_recorder_without_a_black_box_ignores_what_asks_for_a_snapshot_and_says_what_to_do(
    tmp_path: Path,
) -> None:
    with NumberedFeed(pause_s=0.05) as feed:
        async with wsrec("record", feed.url, "--metrics", "0", cwd=tmp_path) as program:
            url = await metrics_url(program)
            await program.says("recording into ")
            words = "everything is recorded anyway; with --snapshot 10m this writes the last ten minutes\n"
            assert await asks(url) == (404, words)
            program.signal(signal.SIGUSR1)
            await program.says(r"WARNING SIGUSR1 is ignored: .* with --snapshot 10m it writes the last ten minutes")
            program.signal(signal.SIGINT)
            code, _, errors = await program.ended()
    assert code == 0, errors
    assert_gapless(numbers(only_session(tmp_path)))


async def test_a_tap_ignores_the_signal_and_says_so(tmp_path: Path) -> None:
    async with wsrec("tap", "ws://127.0.0.1:1/ws/", "--port", "0", cwd=tmp_path) as program:
        await program.says("connect to ")
        program.signal(signal.SIGUSR1)
        await program.says("WARNING SIGUSR1 is ignored: a tap records everything")
        program.signal(signal.SIGINT)
        code, _, errors = await program.ended()
    assert code == 0, errors


async def test_a_request_writes_one_and_metrics_count_it(tmp_path: Path) -> None:
    with NumberedFeed(500) as feed:
        label = f",feed={feed.url}"
        async with wsrec(
            "record", feed.url, "--snapshot", "1h,100MB", "--post", "0s", "--metrics", "0", "--json", cwd=tmp_path
        ) as program:
            url = await metrics_url(program)
            await once(url, f"wsrec_frames_total,direction=in{label}", 500)
            assert await asks(url, ODD) == (202, '{"feeds": 1}\n')
            found = await once(url, f"wsrec_snapshots_total{label}", 1)
            assert found[f"wsrec_ring_bytes{label}"] > 0
            assert found[f"wsrec_snapshots_failed_total{label}"] == 0
            assert (await asks(url, Origin="http://evil.example"))[0] == 403
            assert (await asks(url, Referer="http://evil.example/page"))[0] == 403
            assert (await asks(url, "x" * 2_000))[0] == 413
            assert (await asks(url, Host="rebound.example:80"))[0] == 403
            assert await asks(url, path="/metrics") == (405, "/metrics takes GET, not POST\n")
            assert await answer(url, "/snapshot") == (405, "/snapshot takes POST, not GET\n")
            program.signal(signal.SIGTERM)
            code, out, errors = await program.ended()
    assert code == 0, errors
    [snapshot] = json.loads(out)["snapshots"]
    assert (snapshot["cause"], snapshot["reason"], snapshot["messages"]) == ("http", ODD, 500)
    assert "\\n2026 ERROR lost\\x1b[2J" in errors  # in the line of the log that quotes it
    assert numbers(only_session(tmp_path)) == list(range(500))


async def test_a_condition_writes_one_around_its_event(tmp_path: Path) -> None:
    with NumberedFeed(3_000, pause_s=0.02) as feed:
        async with wsrec(
            "record", feed.url, "--snapshot", "50MB", "--trigger", "(payload->>'$.n')::int = 2000", "--post", "0s",
            cwd=tmp_path,
        ) as program:  # fmt: skip
            await program.says(r"triggered by \(payload")
            await program.says(r"snapshot of \d+ events")
            program.signal(signal.SIGINT)
            assert (await program.ended())[0] == 0
    session = only_session(tmp_path)
    found = numbers(session)
    assert_gapless(found)
    assert (found[0], 2_000 in found) == (0, True)
    assert why(session).cause == "condition"
    assert why(session).reason == "(payload->>'$.n')::int = 2000"


async def test_what_triggers_again_is_told_by_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with NumberedFeed(500) as feed:
        async with wsrec(
            "record", feed.url, "--snapshot", "1h", "--post", "1h", "--metrics", "0", cwd=tmp_path
        ) as program:
            url = await metrics_url(program)
            await once(url, f"wsrec_frames_total,direction=in,feed={feed.url}", 500)
            assert (await asks(url, "first"))[0] == 202
            assert (await asks(url, ODD))[0] == 202
            await program.says("triggered again by a request: it looked odd")
            program.signal(signal.SIGINT)
            assert (await program.ended())[0] == 0
    assert main(["info", "latest", "--library", str(tmp_path / "recordings")]) == 0
    rows = capsys.readouterr().out.splitlines()
    [box] = [row for row in rows if row.startswith("black box ")]
    assert "http first at 20" in box
    assert " and 1 more (" in box
    [again] = [row for row in rows if row.startswith("again ")]
    assert again.split(maxsplit=1)[1].startswith("http it looked odd\\n2026 ERROR lost\\x1b[2J at 20")


SHOWN = [
    " ".join(found.split())
    for found in re.findall(r'--trigger\s+"([^"]+)"', (Path(__file__).parents[2] / "docs/black-box.md").read_text())
]


async def fall_silent(simulator: Simulator) -> None:
    simulator.stall()


REFUSED = {"type =", "payload->>'$.data.reason'"}  # on the page with what is said of them
LOSSES: dict[str, Callable[[Simulator], Awaitable[object]]] = {
    "cut": lambda simulator: simulator.drop_clients(),
    "closed": lambda simulator: simulator.drop_clients(1012, "service restart"),
    "stalled": fall_silent,
}


def test_the_page_shows_these_triggers() -> None:
    assert {*SHOWN} - {"SQL"} - REFUSED == {
        "type = 'KILL_SWITCH'",
        "kind = 'close' AND detail->>'$.cause' <> 'the recording ended'",
    }


@pytest.mark.parametrize("loss", LOSSES)
async def test_the_trigger_that_the_page_shows_for_a_loss_keeps_what_preceded_it(loss: str, tmp_path: Path) -> None:
    [expression] = {shown for shown in SHOWN if shown.startswith("kind = 'close'")}
    options = SimulatorOptions(port=0, rate=200, seed=7, heartbeat_s=600)
    async with (
        Simulator(options, SystemClock()) as simulator,
        wsrec(
            "record", simulator.url, "--snapshot", "10m", "--trigger", expression, "--post", "0s", "--metrics", "0",
            "--stall", "3s" if loss == "stalled" else "90s", cwd=tmp_path,
        ) as program,
    ):  # fmt: skip
        url = await metrics_url(program)
        await has_ring(program)
        await positive(url, f"wsrec_frames_total,direction=in,feed={simulator.url}")
        await LOSSES[loss](simulator)
        await program.says(r"triggered by kind = 'close' AND ")
        simulator.resume()  # else it would be lost again
        await program.says(r"snapshot of \d+ events")
        program.signal(signal.SIGINT)
        code, _, errors = await program.ended()
    assert code == 0, errors
    assert "wrote 1 snapshot:" in errors, "the end of the recording is no loss"
    events = [*only_session(tmp_path).events()]
    assert events[-1].kind is Kind.CLOSE
    assert events[0].kind is Kind.OPEN
    assert any(event.kind is Kind.MESSAGE for event in events)


async def test_the_trigger_that_the_page_shows_for_a_type_writes_one(tmp_path: Path) -> None:
    options = SimulatorOptions(port=0, rate=200, seed=7)
    async with (
        Simulator(options, SystemClock()) as simulator,
        wsrec(
            "record", simulator.url, "--snapshot", "10m", "--trigger", "type = 'KILL_SWITCH'", "--post", "0s",
            cwd=tmp_path,
        ) as program,
    ):  # fmt: skip
        await program.says(r"triggered by type = 'KILL_SWITCH'")
        await program.says(r"snapshot of \d+ events")
        program.signal(signal.SIGINT)
        code, _, errors = await program.ended()
    assert code == 0, errors
    for path in Library(tmp_path / "recordings").paths():
        session = open_session(path)
        assert session.info.types["KILL_SWITCH"] >= 1
        assert why(session).reason == "type = 'KILL_SWITCH'"


async def test_without_a_trigger_nothing_is_left(tmp_path: Path) -> None:
    with NumberedFeed(100) as feed:
        async with wsrec("record", feed.url, "--snapshot", "10m", cwd=tmp_path) as program:
            await has_ring(program)
            program.signal(signal.SIGINT)
            code, _, errors = await program.ended()
    assert code == 0
    assert "nothing triggered a snapshot, and none was written" in errors
    assert list((tmp_path / "recordings").iterdir()) == []


async def test_a_pending_snapshot_is_cut_short_at_the_end(tmp_path: Path) -> None:
    with NumberedFeed(100) as feed:
        async with wsrec("record", feed.url, "--snapshot", "10m", "--post", "5m", cwd=tmp_path) as program:
            await has_ring(program)
            program.signal(signal.SIGUSR1)
            await program.says("triggered by SIGUSR1")
            program.signal(signal.SIGINT)
            code, _, errors = await program.ended()
    assert code == 0
    assert "s short of its --post" in errors
    assert why(only_session(tmp_path)).missing_ns > 0
    assert numbers(only_session(tmp_path)) == list(range(100))


@pytest.mark.parametrize("by", ["recover", "record"])
async def test_what_a_killed_black_box_held_is_not_lost(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NumberedFeed(pause_s=0.01) as feed:
        black_box = ("record", feed.url, "--snapshot", "10m", "--name", "engine", "--metrics", "0")
        async with wsrec(*black_box, cwd=tmp_path) as program:
            url = await metrics_url(program)
            async with asyncio.timeout(30):
                while (await samples(url)).get(f"wsrec_ring_bytes,feed={feed.url}", 0) < 100_000:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            program.signal(signal.SIGKILL)
            await program.process.wait()
        monkeypatch.chdir(tmp_path)
        assert Library(tmp_path / "recordings").paths() == []
        if by == "recover":
            assert main(["recover", "--all"]) == 0
        else:
            async with wsrec(*black_box, cwd=tmp_path) as program:
                await program.says("a black box was killed; what it held is in")
                await has_ring(program)
                program.signal(signal.SIGINT)
                assert (await program.ended())[0] == 0
    session = only_session(tmp_path)
    assert why(session).cause == "crash"
    found = numbers(session)
    assert (found[0], len(found) > 1_000) == (0, True)
    assert_gapless(found)
    assert list((tmp_path / "recordings").glob(".wsrec-*")) == []


async def test_ls_tells_of_a_killed_black_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with NumberedFeed(pause_s=0.01) as feed:
        async with wsrec("record", feed.url, "--snapshot", "10m", cwd=tmp_path) as program:
            await has_ring(program)
            program.signal(signal.SIGKILL)
            await program.process.wait()
    assert main(["ls", "--library", str(tmp_path / "recordings")]) == 0
    assert 'a black box was killed here; "wsrec recover --all"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--snapshot", "10x"), "--snapshot '10x' is neither a time nor a size"),
        (("--snapshot", "0s"), "--snapshot 0 would keep nothing"),
        (("--snapshot", "10m", "--pre", "20m"), "--pre 20m is more than --snapshot 10m keeps"),
        (("--snapshot", "10m", "--post", "soon"), '"soon" is not a duration'),
        (("--snapshot", "10m", "--trigger", "type ="), "Parser Error"),
        (("--snapshot", "10m", "--trigger", "no_column = 1"), "no_column"),
        (("--snapshot", "10m", "--trigger", "'abc'"), "expected a condition that is true or false"),
        (("--snapshot", "10m", "--trigger", "true) or (true"), "Parser Error"),
        (("--snapshot", "10m", "--into", "a.duckdb"), "--snapshot and --into exclude each other"),
        (("--trigger", "type = 'A'"), "--trigger without --snapshot"),
        (("--pre", "1s"), "--pre without --snapshot"),
        (("--post", "1s"), "--post without --snapshot"),
        (("--keep", "0s"), "a limit of 0 would keep no session"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_reached(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "ws://127.0.0.1:1/", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--session-id", "fixed"], "--session-id is for streams"),
        (["--snapshot", "1m,2m"], "--snapshot 1m,2m names two times"),
        (["--snapshot", "1m,2KB,3KB"], "names two sizes"),
        (["--into", "a.duckdb", "--keep", "1d"], "--keep and --keep-size are for a library"),
        (["--keep", "1"], "--keep 1 has no unit"),
    ],
)
def test_what_would_be_ignored_or_misread_is_refused(
    capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["record", "ws://127.0.0.1:1/ws/", *options]) == 2
    assert said in capsys.readouterr().err
