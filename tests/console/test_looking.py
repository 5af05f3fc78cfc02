from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.console.asked import console_of, following
from tests.jobs.replays import duckdb_session, identity, message, numbered, session, sink_for
from wsrecorder.analysis.latency import measure_latency
from wsrecorder.analysis.session import Session
from wsrecorder.core.event import Kind
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import ParquetStore

SECOND_NS = 1_000_000_000


def events(count: int = 100) -> list[Any]:
    mark = message(0, kind=Kind.OPEN, type=None, text=None, sent_at_us=None, detail="{}")
    return [mark, *(message(0.1 * n, "AB"[n % 2]) for n in range(count))]


async def test_open_shows_a_session_and_plays_nothing(tmp_path: Path) -> None:
    async with console_of([session(tmp_path, events())]) as asker:
        state = (await asker.get("/api/state")).json
    [shown] = state["sessions"]
    assert (state["mode"], state["playbacks"], state["url"]) == ("open", [], None)
    assert (shown["messages"], shown["sealed"], shown["state"]) == (100, True, "sealed")
    assert state["end_ns"] == state["last_event"]["elapsed_ns"] == 9_900_000_000
    assert state["began_at"] == shown["started_at"] == "2025-11-24T16:00:00+00:00"


@pytest.mark.parametrize("make", [session, duckdb_session])
async def test_events_come_by_the_page(make: Any, tmp_path: Path) -> None:
    async with console_of([make(tmp_path, events())]) as asker:
        page = (await asker.get("/api/events", first=99, rows=10)).json
        assert (page["total"], page["first"]) == (101, 99)
        assert [row["seq"] for row in page["rows"]] == [99, 100]
        row = page["rows"][0]
        assert (row["row"], row["kind"], row["type"], row["direction"], row["conn"]) == (99, "message", "A", "in", 0)
        assert row["elapsed_ns"] == 9_800_000_000
        assert row["received_at"] == "2025-11-24T16:00:09.800000+00:00"
        assert row["preview"].startswith('{"type": "A"')
        assert (row["after_gap"], row["out_of_order"]) == (False, False)


async def test_events_are_filtered_by_type_text_and_expression(tmp_path: Path) -> None:
    async with console_of([session(tmp_path, events())]) as asker:
        for query, seqs in (
            ({"types": "B"}, list(range(2, 101, 2))),
            ({"types": "A, B", "text": '"at": 9.9'}, [100]),
            ({"where": "seq % 50 = 0 AND kind = 'message'"}, [50, 100]),
            ({"text": "nowhere"}, []),
        ):
            page = (await asker.get("/api/events", **query)).json
            assert page["complete"]
            assert ([row["seq"] for row in page["rows"]], page["total"]) == (seqs, len(seqs))


async def test_a_page_begins_at_a_moment_or_an_event(tmp_path: Path) -> None:
    async with console_of([session(tmp_path, events())]) as asker:
        assert (await asker.get("/api/events", at_ns=5 * SECOND_NS, rows=1)).json["first"] == 51
        assert (await asker.get("/api/events", at_ns=5 * SECOND_NS, before=20, rows=1)).json["first"] == 31
        assert (await asker.get("/api/events", at_seq=51, before=20, rows=1)).json["first"] == 31
        assert (await asker.get("/api/events", at_seq=51, types="B", rows=1)).json["rows"][0]["seq"] == 52
        assert (await asker.get("/api/events", at_ns=0, before=20, rows=1)).json["first"] == 0
        assert (await asker.get("/api/events", at_ns=99 * SECOND_NS, rows=1)).json["rows"] == []
        both = await asker.get("/api/events", at_ns=1, at_seq=1)
    assert both.status == 400


@pytest.mark.parametrize(
    "query", [{"rows": 5_001}, {"first": -1}, {"at_ns": 2**63}, {"where": "no such"}, {"where": "1, 2"}]
)
async def test_a_page_that_cannot_be_is_refused(query: dict[str, Any], tmp_path: Path) -> None:
    async with console_of([session(tmp_path, events())]) as asker:
        reply = await asker.get("/api/events", **query)
    assert reply.status == 400
    assert reply.json["message"]
    assert reply.json["hint"]


async def test_one_event_is_shown_as_it_was_recorded(tmp_path: Path) -> None:
    payload = bytes(range(256))
    binary = message(11, type=None, text=None, binary=payload, sent_at_us=None)
    async with console_of([session(tmp_path, [*events(), binary])]) as asker:
        text = (await asker.get("/api/events/1")).json
        assert json.loads(text["text"])["data"] == {"at": 0.0}
        assert text["sent_at"] == "2025-11-24T15:59:59.995000+00:00"
        assert text["received_ns"] == "1764000000000000000"
        found = (await asker.get("/api/events/101")).json
        assert base64.b64decode(found["binary_base64"]) == payload
        assert (found["text"], found["size"]) == (None, 256)
        assert (await asker.get("/api/events/0")).json["detail"] == "{}"
        for nowhere in ("102", "-1", str(2**70)):
            assert (await asker.get(f"/api/events/{nowhere}")).status == 404


async def test_density_counts_by_type_and_stretch(tmp_path: Path) -> None:
    async with console_of([session(tmp_path, events())]) as asker:
        whole = (await asker.get("/api/density", bins=1)).json
        assert whole["types"] == [{"type": "A", "counts": [50]}, {"type": "B", "counts": [50]}]
        part = (await asker.get("/api/density", from_ns=0, to_ns=SECOND_NS, bins=2)).json
        assert part["types"] == [{"type": "A", "counts": [3, 2]}, {"type": "B", "counts": [2, 3]}]
        assert whole["names"] == part["names"] == ["A", "B"]
        assert (await asker.get("/api/density", from_ns=5, to_ns=5)).status == 400
        assert (await asker.get("/api/density", bins=0)).status == 400


async def test_projections_latency_and_library(tmp_path: Path) -> None:
    store = session(tmp_path, events())
    async with console_of([store], library=tmp_path) as asker:
        known = (await asker.get("/api/projections", at_ns=10**18)).json
        assert (known["at_ns"], known["orders"], known["positions"]) == (9_900_000_000, [], [])
        assert (await asker.get("/api/latency")).json == json.loads(
            json.dumps(measure_latency(Session(store)).to_dict())
        )
        assert [each["id"] for each in (await asker.get("/api/sessions")).json] == ["20251124T160000Z-test"]


async def test_notes_are_kept_beside_the_session(tmp_path: Path) -> None:
    store = session(tmp_path, events())
    async with console_of([store]) as asker:
        assert (await asker.get("/api/notes")).json == {"notes": []}
        made = (await asker.post("/api/notes", {"text": "<b>wide</b>", "at_ns": 3 * SECOND_NS})).json
        await asker.post("/api/notes", {"text": "at the end"})
        notes = (await asker.get("/api/notes")).json["notes"]
        assert notes[0] == made
        assert [(note["elapsed_ns"], note["text"]) for note in notes] == [
            (3 * SECOND_NS, "<b>wide</b>"),
            (9_900_000_000, "at the end"),
        ]
        assert [note["text"] for note in (await asker.get("/api/density")).json["notes"]] == [
            "<b>wide</b>",
            "at the end",
        ]
        assert (await asker.post("/api/notes", {"text": " "})).status == 400
        assert (await asker.post("/api/notes", {"text": "x", "colour": "red"})).status == 400


async def test_a_part_is_exported_as_a_file(tmp_path: Path) -> None:
    async with console_of([session(tmp_path, events())]) as asker:
        reply = await asker.get("/api/export", from_ns=SECOND_NS, to_ns=2 * SECOND_NS, types="A", format="csv")
        assert reply.headers["content-disposition"] == 'attachment; filename="20251124T160000Z-test.csv"'
        rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
        assert [row["elapsed_ns"] for row in rows] == [str(n * SECOND_NS // 10) for n in range(10, 20, 2)]
        whole = await asker.get("/api/export")
        assert len(whole.body.splitlines()) == 101
        assert (await asker.get("/api/export", format="parquet")).body[:4] == b"PAR1"
        assert (await asker.get("/api/export", format="exe")).status == 400
        assert (await asker.get("/api/export", from_ns=10**15)).status == 400


async def test_a_session_that_is_not_shown_is_not_found(tmp_path: Path) -> None:
    first = session(tmp_path, events(10))
    second = session(tmp_path, events(20), who=identity("later", 1_764_000_005_000_000_000))
    async with console_of([first, second]) as asker:
        state = (await asker.get("/api/state")).json
        assert [each["offset_ns"] for each in state["sessions"]] == [0, 5 * SECOND_NS]
        assert state["end_ns"] == 5 * SECOND_NS + 1_900_000_000
        assert (await asker.get("/api/events", session=state["sessions"][1]["id"], rows=0)).json["total"] == 21
        assert (await asker.get("/api/events", session="nowhere")).status == 404


async def test_a_note_at_the_playhead_goes_to_the_session_that_is_played_there(tmp_path: Path) -> None:
    first = session(tmp_path, events(10))
    second = session(tmp_path, events(20), who=identity("later", 1_764_000_005_000_000_000))
    async with console_of([first, second]) as asker:
        assert (await asker.post("/api/notes", {"text": "here"})).json["elapsed_ns"] == 1_900_000_000
        assert (await asker.get("/api/notes")).json["notes"] == []
        name = (await asker.get("/api/state")).json["sessions"][0]["id"]
        long_past = (await asker.post(f"/api/notes?session={name}", {"text": "at its end"})).json
    assert long_past["elapsed_ns"] == 900_000_000


async def test_a_session_that_is_still_recorded_is_followed(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    sink.append(from_rows(numbered(events(10))))
    async with console_of([ParquetStore(sink.path)]) as asker, following(asker) as follower:
        state = await follower.next()
        assert (state["sessions"][0]["state"], state["sessions"][0]["messages"]) == ("recording", 10)
        sink.append(from_rows(numbered([message(5), message(6)], first_seq=11)))
        while (state := await follower.next())["sessions"][0]["messages"] < 12:
            pass
        assert state["last_event"] == {"elapsed_ns": 6 * SECOND_NS}
        assert (await asker.get("/api/events", first=11)).json["total"] == 13
        sink.close(Health())
        while not (await follower.next())["sessions"][0]["sealed"]:
            pass
