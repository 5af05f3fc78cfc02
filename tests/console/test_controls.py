from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.console.asked import Asker, Reply, console_of, following
from tests.jobs.replays import ats, listen, message, session, until
from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions

SECOND_NS = 1_000_000_000


@asynccontextmanager
async def replayed(tmp_path: Path, count: int = 100, **options: Any) -> AsyncIterator[tuple[Asker, Replay]]:
    """Serve a replay, paused at its beginning, of a message every 10 s, with its console."""
    stores = [session(tmp_path, [message(10.0 * n, "AB"[n % 2]) for n in range(count)])]
    asked = ReplayOptions(**{"port": 0, "wait_for": 0, "speed": 1.0, **options})
    async with Replay(stores, asked, SystemClock()) as replay:
        for playback in replay.playbacks:
            playback.pause()
        async with console_of(stores, replay=replay) as asker:
            yield asker, replay


async def state_of(asker: Asker) -> dict[str, Any]:
    state: dict[str, Any] = (await asker.get("/api/state")).json
    return state


async def test_the_state_tells_of_the_replay(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        state = await state_of(asker)
    [shared] = state["playbacks"]
    assert state["mode"] == "replay"
    assert state["url"].startswith("ws://127.0.0.1:")
    assert (state["start_ns"], state["end_ns"]) == (0, 990 * SECOND_NS)
    assert (shared["name"], shared["speed"], shared["loop"], shared["error"]) == ("shared", 1.0, None, None)


async def test_the_state_tells_of_the_window_that_is_played(tmp_path: Path) -> None:
    from wsrecorder.core.moment import parse_moment

    window = {"start": parse_moment("90s"), "end": parse_moment("-90s")}
    async with replayed(tmp_path, **window) as (asker, _):
        state = await state_of(asker)
    assert (state["start_ns"], state["end_ns"]) == (90 * SECOND_NS, 900 * SECOND_NS)


async def test_a_control_is_answered_with_the_playback(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, replay):
        client = await listen(replay.url)
        assert (await asker.post("/api/seek", {"ns": 200 * SECOND_NS})).json["position_ns"] == 200 * SECOND_NS
        stepped = (await asker.post("/api/step", {"events": 3})).json
        assert (stepped["status"], stepped["seq"]) == ("paused", 22)
        await client.has(3)
        assert ats(client.payloads)[-3:] == [200.0, 210.0, 220.0]
        assert (await asker.post("/api/step", {"events": -2})).json["position_ns"] == 210 * SECOND_NS
        assert (await asker.post("/api/speed", {"speed": 2.5})).json["speed"] == 2.5
        assert (await asker.post("/api/speed", {"speed": 4})).json["speed"] == 4.0
        assert (await asker.post("/api/speed", {"speed": "max"})).json["speed"] == "max"
        assert (await asker.post("/api/speed", {"speed": 1})).json["speed"] == 1.0
        looped = await asker.post("/api/loop", {"from_ns": 100 * SECOND_NS, "to_ns": 300 * SECOND_NS})
        assert looped.json["loop"] == [100 * SECOND_NS, 300 * SECOND_NS]
        assert (await asker.post("/api/loop", {"off": True})).json["loop"] is None
        assert (await asker.post("/api/restart")).json["position_ns"] == 0
        assert (await asker.post("/api/resume")).json["status"] == "playing"
        assert (await asker.post("/api/pause")).json["status"] == "paused"


@pytest.mark.parametrize(
    ("asked", "reached_s"),
    [
        ({"to": "90s"}, 90),
        ({"to": "-90s"}, 900),
        ({"to": "2025-11-24T16:01:30Z"}, 90),
        ({"by": "-20s"}, 480),
        ({"by": "+20s"}, 520),
        ({"by": "20s"}, 520),
        ({"by_ns": -500_000_000_000}, 0),
        ({"ns": 0}, 0),
        ({"seq": 7}, 70),
        ({"match": "seq % 60 = 0"}, 600),
        ({"note": "here"}, 333),
        ({"note": "next"}, 333),
    ],
)
async def test_a_seek_leads_to_each_kind_of_place(asked: dict[str, Any], reached_s: int, tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        await asker.post("/api/notes", {"text": "look HERE", "at_ns": 333 * SECOND_NS})
        await asker.post("/api/seek", {"ns": (0 if "note" in asked else 500) * SECOND_NS})
        reply = await asker.post("/api/seek", asked)
        assert reply.status == 200, reply.body
        assert reply.json["position_ns"] == reached_s * SECOND_NS


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("seek", {}),
        ("seek", {"ns": 1, "seq": 1}),
        ("seek", {"ns": -1}),
        ("seek", {"ns": 1.5}),
        ("seek", {"to": "soon"}),
        ("seek", {"by": "--5s"}),
        ("seek", {"seq": 1_000}),
        ("seek", {"match": "nonsense"}),
        ("seek", {"match": "false"}),
        ("seek", {"match": "seq in (select 1 from read_csv('/etc/passwd'))"}),
        ("seek", {"note": "nowhere"}),
        ("step", {"events": 0}),
        ("step", {"events": "1"}),
        ("step", {"events": True}),
        ("burst", {"events": 0}),
        ("burst", {"events": -1}),
        ("speed", {"speed": 0}),
        ("speed", {"speed": -1}),
        ("speed", {"speed": "fast"}),
        ("speed", {}),
        ("loop", {"from_ns": 5}),
        ("loop", {"from_ns": 5, "to_ns": 5}),
        ("pause", {"playback": "nobody"}),
        ("pause", {"colour": 1}),
        ("faults", {"faults": ["drop=200%"]}),
        ("faults", {"faults": "drop=1%"}),
        ("faults", {"faults": ["\ud800"]}),
        ("faults", {}),
        ("clients/1/disconnect", {"code": 1006}),
        ("clients/1/disconnect", {"reason": "x" * 200}),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(path: str, asked: dict[str, Any], tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, replay):
        client = await listen(replay.url)
        await until(lambda: bool(replay.endpoint.clients))
        before = (await state_of(asker))["playbacks"]
        reply = await asker.post(f"/api/{path}", asked)
        assert reply.status == 400, reply.body
        assert reply.json["message"]
        assert reply.json["hint"]
        assert (await state_of(asker))["playbacks"] == before
        assert replay.faults.active == []
        assert client.link is not None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"speed": "fast"}', "speed: Input should be a valid number, or: Input should be 'max'"),
        (b"{", "the request: JSON decode error"),
        (b"{}", "speed: Field required"),
        (
            b'{"speed": 1, "playback": "\\ud800"}',
            "playback: Input should be text, found half of a surrogate pair",
        ),
    ],
)
async def test_what_is_wrong_is_said_in_words_of_the_request(body: bytes, said: str, tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        reply = await asker.ask("POST", "/api/speed", body, {"Content-Type": "application/json"})
    assert reply.json["message"] == said


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff", b"[" * 5_000])
async def test_a_body_that_is_no_object_is_refused(body: bytes, tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        reply = await asker.ask("POST", "/api/speed", body, {"Content-Type": "application/json"})
    assert reply.status == 400
    assert set(reply.json) == {"message", "hint"}


async def test_open_refuses_every_control(tmp_path: Path) -> None:
    async with console_of([session(tmp_path, [message(1)])]) as asker:
        replies: list[Reply] = [
            await asker.post(f"/api/{verb}", body)
            for verb, body in (
                ("pause", {}),
                ("resume", {}),
                ("restart", {}),
                ("seek", {"ns": 1}),
                ("step", {}),
                ("burst", {"events": 1}),
                ("speed", {"speed": 1}),
                ("loop", {"off": True}),
                ("faults", {"faults": []}),
                ("clients/1/disconnect", {}),
            )
        ]
        replies += [await asker.get("/api/clients"), await asker.get("/api/faults")]
    assert {reply.status for reply in replies} == {409}
    assert "only looked at" in replies[0].json["message"]


async def test_a_burst_goes_out_while_paused_or_playing(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, replay):
        client = await listen(replay.url)
        await until(lambda: bool(replay.endpoint.clients))
        assert (await asker.post("/api/resume")).status == 200
        assert (await asker.post("/api/burst", {"events": 50})).status == 200
        await client.has(51)
        assert ats(client.payloads)[:51] == [10.0 * n for n in range(51)]


async def test_a_burst_while_paused_is_answered_once_it_is_out(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, replay):
        client = await listen(replay.url)
        await until(lambda: bool(replay.endpoint.clients))
        await asker.post("/api/step")
        done = (await asker.post("/api/burst", {"events": 20})).json
        await client.has(21)
        assert (done["status"], done["frames_sent"]) == ("paused", 21)


async def test_clients_are_listed_and_can_be_sent_away(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, replay):
        client = await listen(f"{replay.url}?who=me")
        await until(lambda: bool(replay.endpoint.clients))
        [shown] = (await asker.get("/api/clients")).json["clients"]
        assert (shown["number"], shown["query"], shown["playback"], shown["deflate"]) == (1, "who=me", "shared", True)
        assert shown["connected_s"] >= 0
        assert (shown["frames_sent"], shown["primed"]) == (0, 0)
        assert (await asker.post("/api/clients/1/disconnect", {"code": 4000, "reason": "bye"})).json == {"number": 1}
        closed = await client.closed()
        assert (closed.code, closed.reason) == (4000, "bye")
        assert (await asker.post("/api/clients/1/disconnect")).status == 404
        assert (await asker.get("/api/clients")).json == {"clients": []}


async def test_each_client_has_a_playback_by_name(tmp_path: Path) -> None:
    async with replayed(tmp_path, per_client=True) as (asker, replay):
        assert (await asker.post("/api/pause")).status == 400, "nobody is here"
        for query in ("", "", "?session=ours"):
            await listen(f"{replay.url}{query}")
        await until(lambda: len(replay.playbacks) == 3)
        state = await state_of(asker)
        assert [each["name"] for each in state["playbacks"]] == ["client 1", "client 2", "session ours"]
        listed = (await asker.get("/api/clients")).json["clients"]
        assert [each["playback"] for each in listed] == ["client 1", "client 2", "session ours"]
        paused = (await asker.post("/api/pause", {"playback": "session ours"})).json
        assert (paused["name"], paused["status"]) == ("session ours", "paused")
        unclear = await asker.post("/api/pause")
        assert unclear.status == 400
        assert '"client 1"' in unclear.json["hint"]


async def test_faults_are_set_and_counted(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, replay):
        assert (await asker.get("/api/faults")).json == {"faults": [], "counts": {}}
        found = (await asker.post("/api/faults", {"faults": ["drop=100%@A"]})).json
        assert found == {"faults": ["drop=100%@A"], "counts": {"drop": 0}}
        client = await listen(replay.url)
        await until(lambda: bool(replay.endpoint.clients))
        await asker.post("/api/step", {"events": 10})
        await client.has(5)
        assert (await asker.get("/api/faults")).json["counts"] == {"drop": 5}
        state = await state_of(asker)
        assert (state["faults"], state["fault_counts"]) == (["drop=100%@A"], {"drop": 5})
        assert (await asker.post("/api/faults", {"faults": []})).json["faults"] == []


async def test_who_follows_hears_of_a_control_at_once(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(10.0 * n) for n in range(100)])]
    async with Replay(stores, ReplayOptions(port=0, wait_for=0), SystemClock()) as replay:
        replay.playback().pause()
        # For the console no time passes, so no tick of its own can tell.
        async with (
            console_of(stores, replay=replay, clock=VirtualClock(is_jumping=False)) as asker,
            following(asker) as follower,
        ):
            await follower.next()
            await asker.post("/api/seek", {"ns": 400 * SECOND_NS})
            while (await follower.next())["playbacks"][0]["position_ns"] != 400 * SECOND_NS:
                pass


async def test_a_note_is_made_at_the_playhead(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        await asker.post("/api/seek", {"ns": 123 * SECOND_NS})
        assert (await asker.post("/api/notes", {"text": "here"})).json["elapsed_ns"] == 123 * SECOND_NS


async def test_a_replay_that_has_ended_still_tells_how_it_stood(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(1)])]
    replay = Replay(stores, ReplayOptions(port=0, wait_for=0), SystemClock())
    async with replay:
        url = replay.url
        console = console_of(stores, replay=replay)
        asker = await console.__aenter__()
    state = await state_of(asker)
    assert (state["url"], state["clients"]) == (url, 0)
    await console.__aexit__(None, None, None)


async def test_many_controls_at_once_are_all_answered(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        replies = await asyncio.gather(*(asker.post("/api/seek", {"seq": n % 100}) for n in range(60)))
        assert {reply.status for reply in replies} == {200}
