"""Real captures are imported, replayed over ``/ws/``, recorded again, and are the same.

Times are held to bounds that a busy machine keeps, and that a replay at another speed, or at none, does not;
``docs/real-input.md`` says what they really are.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.round_trip import Pacing, Trip, quantile, record_again, stream_of
from wsrecorder.analysis.session import open_session
from wsrecorder.core.event import Kind
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.library import open_store

# What its README says of each capture: text and binary frames from the server, frames from the client.
FRAMES = {
    "COINBASE.ws.28.0": (9_946, 0, 3),
    "BINANCE_DELIVERY.ws.1.0": (4_371, 0, 0),
    "HUOBI_SWAP.ws.1.0": (0, 1_296, 16),
}

# Over a second of wall time each.
WINDOWS = {1.0: ("7s", "8300ms"), 10.0: ("5s", "18s")}

GAP_P50_MS = 5.0
PLACE_P50_MS = 50.0
DRIFT_SHARE = 0.03


@pytest.fixture(scope="module", params=sorted(FRAMES))
def capture(request: pytest.FixtureRequest, captures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session made of a capture."""
    file = captures / request.param
    if not file.exists():
        pytest.skip(f"there is no {file}: set WSREC_CAPTURES to a folder that holds it")
    library = tmp_path_factory.mktemp("captures")
    return import_file(ImportOptions(file=file, library=library, name=request.param)).path


@pytest.fixture(params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    return str(request.param)


def test_capture_is_imported_frame_by_frame(capture: Path) -> None:
    texts, binaries, sent = FRAMES[open_session(capture).info.name]
    stream = stream_of(capture)
    assert [is_text for is_text, _ in stream.frames].count(True) == texts
    assert len(stream.frames) == texts + binaries
    messages = [event for event in open_session(capture).events(kinds=[Kind.MESSAGE])]
    assert len(messages) - len(stream.frames) == sent
    assert stream.elapsed_ns == sorted(stream.elapsed_ns)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_frames_of_the_server_survive_replay_and_recording(
    capture: Path, tmp_path: Path, transport: str, deflate: bool
) -> None:
    again = await record_again([open_store(capture)], tmp_path, Trip(transport=transport, deflate=deflate))
    assert stream_of(again).frames == stream_of(capture).frames
    events = list(open_session(again).events())
    assert {str(event.direction) for event in events if event.kind is Kind.MESSAGE} == {"in"}
    assert [event.seq for event in events] == list(range(len(events)))
    assert open_session(again).info.endpoint_path == "/ws/"
    opened = next(event.detail or "" for event in events if event.kind is Kind.OPEN)
    assert f'"deflate": {str(deflate).lower()}' in opened


async def test_types_and_times_of_sending_are_read_alike_again(capture: Path, tmp_path: Path) -> None:
    again = await record_again([open_store(capture)], tmp_path, Trip())
    before, after = (
        [(event.type, event.sent_at_us) for event in open_session(path).events(kinds=[Kind.MESSAGE])
         if event.direction == "in"]
        for path in (capture, again)
    )  # fmt: skip
    assert after == before


@pytest.mark.parametrize("speed", sorted(WINDOWS))
async def test_pace_of_the_capture_is_kept_divided_by_the_speed(
    capture: Path, tmp_path: Path, transport: str, speed: float
) -> None:
    trip = Trip(speed=speed, window=WINDOWS[speed], transport=transport)
    again = stream_of(await record_again([open_store(capture)], tmp_path, trip))
    recorded = stream_of(capture, trip.window)
    assert again.frames == recorded.frames
    pacing = Pacing.between(recorded.elapsed_ns, again.elapsed_ns, speed)
    assert pacing.expected_ns > 1e9
    assert quantile(pacing.gap_errors_ns, 0.5) / 1e6 < GAP_P50_MS
    assert quantile(pacing.place_errors_ns, 0.5) / 1e6 < PLACE_P50_MS
    assert abs(pacing.drift_ns) < DRIFT_SHARE * pacing.expected_ns
