"""Two-way replay: what a client hears for what it says, over sockets and by the virtual clock."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.jobs.dialogues import dialogue, frame, saying, talker, talking, tapped, words
from tests.jobs.replays import SECOND_NS, FakeEndpoint, session
from tests.net.tapping import until
from wsrecorder.analysis.session import Session
from wsrecorder.clock import VirtualClock
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.dialogue import LooseDialogue, StrictDialogue
from wsrecorder.core.fault import parse_faults
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.rules import parse_rules
from wsrecorder.core.saying import BY_JSON
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.jobs.conversation import Conversation
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.jobs.dialogue_playback import DialoguePlayback
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions
from wsrecorder.jobs.turn_player import TurnPlayer
from wsrecorder.jobs.two_way_options import TwoWay, read_rules
from wsrecorder.store.library import open_store
from wsrecorder.store.session import Store

CHAT = (
    ("<", 0, "welcome"), (">", 5, "hello"), ("<", 6, "hi"), ("<", 8, "news"), (">", 10, "bye"), ("<", 10.5, "so long")
)  # fmt: skip


@pytest.fixture
def chat(tmp_path: Path) -> Store:
    return dialogue(tmp_path, *CHAT)


# Strict


async def test_the_playhead_waits_at_each_message_of_the_client(chat: Store) -> None:
    async with talking(chat) as running, talker(running.url) as client:
        assert await client.hears(1) == ["welcome"]
        await client.say("hello")
        assert await client.hears(2) == ["hi", "news"]
        await client.say("bye")
        assert await client.hears(1) == ["so long"]
        [report] = running.report().dialogues
        assert (report.heard, report.matched, report.remaining, report.mismatch) == (2, 2, 0, None)


async def test_what_the_client_says_early_is_kept_until_its_turn(chat: Store) -> None:
    async with talking(chat, replay={"at_end": AtEnd.CLOSE}) as running, talker(running.url) as client:
        await client.say("hello")
        await client.say("bye")
        assert words(await client.rest()) == ["welcome", "hi", "news", "so long"]
        assert client.connection.close_code == 1000


async def test_who_does_not_say_it_in_time_is_closed_and_told_where_it_differs(chat: Store) -> None:
    async with talking(chat, match_timeout_s=0.05) as running, talker(running.url) as client:
        await client.hears(1)
        await client.say("hello there")
        assert await client.rest() == []
        assert client.connection.close_code == 1008
        assert "expected message 1" in client.connection.close_reason
        assert "say: expected 'hello', found 'hello there'" in client.connection.close_reason
        await until(lambda: not running.endpoint.clients)
        report = running.report()
    assert report.mismatches == 1
    facts = report.to_dict()["dialogues"][0]
    assert facts["unmatched"] == 1
    assert facts["remaining"] == 2
    assert facts["mismatch"]["changes"] == [{"path": "say", "expected": "hello", "found": "hello there"}]
    assert [*report.dialogues[0].mismatch.lines()][1:] == [  # type: ignore[union-attr]
        f"found: {saying('hello there').decode()}",
        "  say: expected 'hello', found 'hello there'",
    ]


async def test_who_says_nothing_is_closed_too(chat: Store) -> None:
    async with talking(chat, match_timeout_s=0.05) as running, talker(running.url) as client:
        await client.rest()
        assert client.connection.close_reason == "expected message 1, nothing came within 0.05 s"


async def test_of_several_that_do_not_match_the_most_alike_is_told(chat: Store) -> None:
    async with talking(chat, match_timeout_s=0.1) as running, talker(running.url) as client:
        for word in ("x y", "hello you", "z"):
            await client.say(word)
        await client.rest()
        assert "'hello you'" in client.connection.close_reason


async def test_each_client_has_a_dialogue_of_its_own(chat: Store) -> None:
    async with talking(chat) as running, talker(running.url) as one, talker(running.url) as other:
        await one.say("hello")
        assert await one.hears(3) == ["welcome", "hi", "news"]
        assert await other.hears(1) == ["welcome"]
        await other.say("hello")
        assert await other.hears(2) == ["hi", "news"]


@pytest.mark.parametrize(
    ("match", "says", "does"),
    [
        ("json", b'{"say":"hello","type":"hello"}', True),
        ("exact", b'{"say":"hello","type":"hello"}', False),
        ("exact", b'{"type": "hello", "say": "hello"}', True),
        ("type", b'{"type": "hello", "id": 7}', True),
        ("payload->>'$.say' = upper(expected.payload->>'$.say')", b'{"say": "HELLO"}', True),
        ("type = expected.type AND payload->>'$.id' > '5'", b'{"type": "hello", "id": 7}', True),
        ("type = expected.type AND payload->>'$.id' > '8'", b'{"type": "hello", "id": 7}', False),
    ],
)
async def test_what_counts_as_the_same_can_be_chosen(chat: Store, match: str, says: bytes, does: bool) -> None:
    async with talking(chat, match=match, match_timeout_s=0.1) as running, talker(running.url) as client:
        await client.hears(1)
        await client.connection.send(says.decode())
        if does:
            assert await client.hears(2) == ["hi", "news"]
        else:
            assert await client.rest() == []


async def test_the_same_json_in_other_bytes_is_a_mismatch_if_bytes_are_wanted(chat: Store) -> None:
    async with talking(chat, match="exact", match_timeout_s=0.05) as running, talker(running.url) as client:
        await client.say("hello")
        await client.rest()
        assert "the payload: expected" in client.connection.close_reason


# By time, on the virtual clock


def virtual(store: Store, mode: TwoWay, **asked: Any) -> tuple[DialoguePlayback, FakeEndpoint, VirtualClock]:
    clock = VirtualClock()
    endpoint: Any = FakeEndpoint(clock)
    conversation = Conversation(Programme([store], ReplayOptions()), None)
    conversation.read()
    client: Any = SimpleNamespace(number=1)
    player = TurnPlayer(client, endpoint, clock, **{"start_ns": 0, "speed": 1.0, **asked})
    turns = conversation.turns_on(None)
    talk = LooseDialogue(turns, BY_JSON) if mode is TwoWay.LOOSE else StrictDialogue(turns, BY_JSON)
    playback = DialoguePlayback(
        client, talk, player, conversation.answers,
        is_ready=True, reader=EnvelopeReader(ENGINE), clock=clock, match_timeout_s=10.0,
    )  # fmt: skip
    return playback, endpoint, clock


async def at(clock: VirtualClock, second: float) -> None:
    await clock.sleep_until(round(second * SECOND_NS))


async def test_an_answer_comes_as_long_after_the_question_as_was_recorded(chat: Store) -> None:
    playback, endpoint, clock = virtual(chat, TwoWay.STRICT)
    running = asyncio.create_task(playback.run())
    await at(clock, 2)
    playback.hear(saying("hello"), 1)
    await at(clock, 7)
    playback.hear(saying("bye"), 1)
    await running
    assert [*zip(endpoint.times_s, words(endpoint.payloads), strict=True)] == [
        (0, "welcome"), (3, "hi"), (5, "news"), (7.5, "so long")
    ]  # fmt: skip
    assert playback.turns.lateness.count == 4
    assert playback.turns.lateness.percentile_ns(100) == 0


async def test_after_the_timeout_and_not_before_it_is_given_up(chat: Store) -> None:
    playback, _, clock = virtual(chat, TwoWay.STRICT)
    await playback.run()
    assert clock.now_ns() == 10 * SECOND_NS
    assert playback.mismatch is not None
    assert playback.mismatch.found is None
    assert [*playback.mismatch.lines()][1] == "found: nothing within 10 s"
    playback.hear(saying("hello"), 1)
    assert (playback.report().heard, playback.report().remaining) == (1, 2)


async def test_speed_and_the_longest_silence_apply_to_answers(chat: Store) -> None:
    playback, endpoint, clock = virtual(chat, TwoWay.STRICT, speed=2.0, max_gap_ns=SECOND_NS)
    running = asyncio.create_task(playback.run())
    playback.hear(saying("hello"), 1)
    playback.hear(saying("bye"), 1)
    await running
    assert endpoint.times_s == [0, 0.5, 1.0, 1.25]
    assert clock.now_ns() == 1.25 * SECOND_NS


async def test_a_pause_stops_all_that_is_played_and_another_speed_is_for_all(chat: Store) -> None:
    playback, endpoint, clock = virtual(chat, TwoWay.LOOSE)
    running = asyncio.create_task(playback.run())
    playback.hear(saying("hello"), 1)
    await at(clock, 0.5)
    playback.turns.pause()
    await at(clock, 10.5)
    assert playback.turns.position_ns() == 5.5 * SECOND_NS
    playback.turns.resume()
    await at(clock, 11.5)
    playback.turns.set_speed(4.0)
    await at(clock, 20)
    playback.hear(saying("bye"), 1)
    await running
    assert playback.turns.speed == 4.0
    assert endpoint.times_s == [0, 11, 11.875, 20.125]


async def test_loose_answers_run_side_by_side(chat: Store) -> None:
    playback, endpoint, _ = virtual(chat, TwoWay.LOOSE)
    running = asyncio.create_task(playback.run())
    playback.hear(saying("bye"), 1)
    playback.hear(saying("hello"), 1)
    await running
    assert [*zip(endpoint.times_s, words(endpoint.payloads), strict=True)] == [
        (0, "welcome"), (0.5, "so long"), (1, "hi"), (3, "news")
    ]  # fmt: skip


async def test_a_slow_client_puts_off_what_comes_after(chat: Store) -> None:
    playback, endpoint, _ = virtual(chat, TwoWay.STRICT)
    endpoint.slowness_ns = 10 * SECOND_NS
    playback.hear(saying("hello"), 1)
    playback.hear(saying("bye"), 1)
    await playback.run()
    assert endpoint.times_s == [0, 11, 23, 33.5]
    assert playback.turns.lateness.percentile_ns(100) == 0


# Loose


async def test_whatever_the_order_each_is_answered_once(chat: Store) -> None:
    async with talking(chat, mode=TwoWay.LOOSE) as running, talker(running.url) as client:
        assert await client.hears(1) == ["welcome"]
        await client.say("bye")
        assert await client.hears(1) == ["so long"]
        await client.say("hello")
        assert await client.hears(2) == ["hi", "news"]
        await client.say("hello")
        await client.say("what")
        await until(lambda: running.report().dialogues[0].heard == 4)
        [report] = running.report().dialogues
        assert (report.matched, report.remaining) == (2, 0)
        assert words(report.strays) == ["hello", "what"]


async def test_loose_takes_all_connections_and_greets_as_on_the_first(tmp_path: Path) -> None:
    store = dialogue(
        tmp_path, ("<", 0, "lonely"), ("<", 1, "hi 1", 1), ("<", 1, "hi 2", 2), (">", 2, "a", 1), (">", 2, "b", 2),
        ("<", 3, "B", 2), ("<", 3, "A", 1),
    )  # fmt: skip
    async with talking(store, mode=TwoWay.LOOSE) as running, talker(running.url) as client:
        assert await client.hears(1) == ["hi 1"]
        await client.say("b")
        assert await client.hears(1) == ["B"]
        await client.say("a")
        assert await client.hears(1) == ["A"]
    async with talking(store, mode=TwoWay.LOOSE, conn=2) as running, talker(running.url) as client:
        assert await client.hears(1) == ["hi 2"]
        await client.say("a")
        await client.say("b")
        assert await client.hears(1) == ["B"]
        assert running.report().dialogues[0].to_dict()["unmatched"] == 1
    async with talking(store) as running, talker(running.url) as client:
        await client.say("a")
        assert await client.hears(2) == ["hi 1", "A"]


# Rules


def rules(text: str) -> dict[str, Any]:
    return {"rules": tuple(parse_rules(text, "r.toml"))}


async def test_rules_say_what_is_played_and_stopped(tmp_path: Path) -> None:
    store = dialogue(tmp_path, *[("<", n, f"{'ab'[n % 2]} {n}") for n in range(10)])
    asked = rules("""
        [[rule]]
        name = "a"
        match = "type = a"
        where = "type = 'a'"
        [[rule]]
        match_where = "payload->>'$.say' = 'b please'"
        where = "type = 'b'"
        from = "start"
    """)
    async with talking(store, **asked) as running, talker(running.url) as client:
        await client.say("a please")
        assert await client.hears(5) == [f"a {n}" for n in range(0, 10, 2)]
        await client.say("b")
        await client.say("b please")
        assert await client.hears(5) == [f"b {n}" for n in range(1, 10, 2)]
        [report] = running.report().dialogues
        assert running.report().mode == "rules"
        assert (report.heard, report.matched) == (3, 2)


async def test_what_a_rule_stops_goes_on_from_where_the_client_is(tmp_path: Path) -> None:
    store = dialogue(tmp_path, *[("<", n / 100, f"a {n}") for n in range(1_000)])
    asked = rules("""
        [[rule]]
        name = "a"
        match = "type = start"
        where = "type = 'a'"
        [[rule]]
        match = "type = stop"
        stop = ["a"]
    """)
    async with talking(store, replay={"speed": 10.0}, **asked) as running, talker(running.url) as client:
        await client.say("start")
        await client.hears(3)
        await client.say("stop")
        await until(lambda: running.report().dialogues[0].matched == 2)
        sent = running.report().frames_sent
        await client.hears(sent - 3)
        assert running.state.status == "playing"
        await client.say("start")
        [next_word] = await client.hears(1)
        assert sent <= int(next_word.split()[1]) < sent + 20
        assert 0 < running.state.position_ns < 10 * SECOND_NS


# What cannot be


def refused(store: Store, **asked: Any) -> Any:
    replay = asked.pop("replay", {})
    return talking(store, replay=replay, **asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"match": "nonsense ="}, "nonsense"),
        ({"match": "1; SELECT 2"}, "more than one"),
        ({"match": "nobody = 1"}, "nobody"),
        ({"conn": 7}, "said nothing on connection 7"),
        ({"mode": TwoWay.TIMED}, "timed"),
        ({"replay": {"axis": Axis.SENT}}, "--clock sent"),
        ({"replay": {"at_end": AtEnd.LOOP}}, "cannot begin again"),
        (rules("[[rule]]\nmatch='a = 1'\nwhere='nobody = 1'"), "rule 'rule 1': .*nobody"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_played(chat: Store, asked: Any, says: str) -> None:
    with pytest.raises((UsageError, SessionError), match=f"(?s){says}"):
        async with refused(chat, **asked):
            pass


async def test_a_session_without_a_word_of_a_client_has_no_dialogue(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="holds nothing that a client said"):
        async with refused(dialogue(tmp_path, ("<", 0, "hi"))):
            pass


def test_two_sessions_have_no_dialogue(tmp_path: Path, chat: Store) -> None:
    other = dialogue(tmp_path / "other", *CHAT)
    with pytest.raises(UsageError, match="one session, 2 were named"):
        Conversation(Programme([chat, other], ReplayOptions()), None)


def test_a_rule_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.toml cannot be read"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "r.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"r.toml cannot be read: not UTF-8 at byte 0"):
        read_rules(tmp_path / "r.toml")


# Reading


@pytest.mark.parametrize("held_bytes", [1 << 20, 0])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_turns_are_the_same_held_or_read(tmp_path: Path, held_bytes: int, batch: int) -> None:
    store = dialogue(tmp_path, *CHAT, ("<", 11, "other", 1), (">", 12, "bye", 1), ("<", 13, "more"), batch=batch)
    conversation = Conversation(
        Programme([store], ReplayOptions(exclude=frozenset({"news"}))), None, held_bytes=held_bytes
    )
    conversation.read()
    assert conversation.is_held is (held_bytes > 0)
    played = {
        conn: [[seq for rows in conversation.answers(turn) for seq in rows.seqs] for turn in turns]
        for conn, turns in conversation.turns.items()
    }
    assert played == {0: [[0], [2], [5, 8]], 1: [[6], []]}


def test_a_window_and_conditions_apply_to_a_dialogue(tmp_path: Path) -> None:
    store = dialogue(tmp_path, *CHAT)
    options = ReplayOptions(start=parse_moment("5.5s"), end=parse_moment("10.2s"), where="payload->>'$.say' <> 'news'")
    conversation = Conversation(Programme([store], options), None)
    conversation.read()
    [turns] = conversation.turns.values()
    assert [turn.head and turn.head.seq for turn in turns] == [None, 4]
    assert [[seq for rows in conversation.answers(turn) for seq in rows.seqs] for turn in turns] == [[2], []]


async def test_a_session_that_is_not_held_is_read_as_it_is_played(chat: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversation.__init__, "__kwdefaults__", {"held_bytes": 0})
    async with talking(chat, replay={"at_end": AtEnd.EXIT}) as running, talker(running.url) as client:
        await client.say("hello")
        await client.say("bye")
        assert words(await client.rest()) == ["welcome", "hi", "news", "so long"]
        await asyncio.wait_for(running.over.wait(), 30)


async def test_binary_messages_of_clients_are_matched_too(tmp_path: Path) -> None:
    store = session(tmp_path, [frame(">", 0, "x", binary=b"\x00\x01"), frame("<", 1, "x", binary=b"\xff")])
    async with talking(store) as running, talker(running.url) as client:
        await client.connection.send(b"\x00\x01")
        assert await client.connection.recv() == b"\xff"


# Faults and the end


async def test_faults_hit_answers(chat: Store) -> None:
    options = {"faults": parse_faults(["drop=100%@news"]), "at_end": AtEnd.CLOSE}
    async with talking(chat, replay=options) as running, talker(running.url) as client:
        await client.say("hello")
        await client.say("bye")
        assert words(await client.rest()) == ["welcome", "hi", "so long"]
        assert running.report().faults.counts == {"drop": 1}


async def test_with_exit_it_is_over_when_the_last_client_has_gone(chat: Store) -> None:
    async with talking(chat, replay={"at_end": AtEnd.EXIT}) as running:
        assert running.state.status == "waiting"
        async with talker(running.url) as client:
            await client.hears(1)
            assert not running.over.is_set()
        await asyncio.wait_for(running.over.wait(), 30)
        assert running.report().dialogues[0].remaining == 2


async def test_who_is_here_at_the_end_is_closed_as_by_a_restart(chat: Store) -> None:
    async with talking(chat) as running:
        context = talker(running.url)
        client = await context.__aenter__()
        await client.hears(1)
    await client.rest()
    assert client.connection.close_code == 1012


# Whole: what a tap recorded


SUBSCRIPTIONS = [{"type": "subscribe", "channel": name, "id": n} for n, name in enumerate("abc")]


async def test_what_a_tap_recorded_is_what_a_client_hears(tmp_path: Path) -> None:
    store = await tapped(tmp_path, [*SUBSCRIPTIONS, {"type": "ping", "say": "ping"}])
    for mode in (TwoWay.STRICT, TwoWay.LOOSE):
        async with talking(store, mode=mode, replay={"at_end": AtEnd.CLOSE}) as running, talker(running.url) as client:
            for message in [*SUBSCRIPTIONS, {"type": "ping", "say": "ping"}]:
                await client.connection.send(json.dumps(message))
            heard = words(await client.rest())
        expected = ["welcome", *[f"{name} {n}" for name in "abc" for n in range(3)], "ping"]
        assert heard == expected if mode is TwoWay.STRICT else sorted(heard) == sorted(expected)


@pytest.mark.parametrize("name", ["COINBASE.ws.28.0", "HUOBI_SWAP.ws.1.0"])
@pytest.mark.parametrize("mode", [TwoWay.STRICT, TwoWay.LOOSE])
async def test_who_subscribes_as_was_captured_gets_all_that_was(
    captures: Path, tmp_path: Path, name: str, mode: TwoWay
) -> None:
    store = captured(captures, tmp_path, name)
    conversation = Conversation(Programme([store], ReplayOptions()), None)
    conversation.read()
    turns = conversation.turns_on(None)
    async with talking(store, mode=mode, replay={"at_end": AtEnd.CLOSE}) as running, talker(running.url) as client:
        for turn in turns:
            if turn.head is not None:
                await client.connection.send(turn.head.payload.decode())
        heard = await client.rest()
        report = running.report()
    recorded = [
        rows.frames(0, len(rows.seqs), 0)[0].payload(row)
        for turn in turns for rows in conversation.answers(turn) for row in range(len(rows.seqs))
    ]  # fmt: skip
    payloads = [each[0] for each in recorded if each is not None]
    found = [each.encode() if isinstance(each, str) else each for each in heard]
    assert found == payloads if mode is TwoWay.STRICT else sorted(found) == sorted(payloads)
    assert len(found) > 1_000
    assert report.dialogues[0].matched == len(turns) - 1


async def test_who_subscribes_to_one_channel_of_a_capture_gets_that_channel(captures: Path, tmp_path: Path) -> None:
    store = captured(captures, tmp_path, "COINBASE.ws.28.0")
    asked = rules("""
        [[rule]]
        name = "ticker"
        match = ["type = subscribe", "channels[] = ticker"]
        where = "type = 'ticker' AND payload->>'$.product_id' = 'SKL-USD'"
        [[rule]]
        name = "matches"
        match = ["type = subscribe", "channels[] = matches"]
        where = "type IN ('match', 'last_match')"
    """)
    events = list(Session(store).events(where="direction = 'in' AND type = 'ticker'"))
    wanted = [event.text for event in events if event.json["product_id"] == "SKL-USD"]
    assert wanted
    async with talking(store, **asked) as running, talker(running.url) as client:
        await client.connection.send('{"type": "subscribe", "channels": ["heartbeat", "ticker"]}')
        for _ in wanted:
            client.heard.append(await asyncio.wait_for(client.connection.recv(), 30))
        await until(lambda: running.report().frames_sent == len(wanted))
    assert client.heard == wanted


async def test_a_feed_of_compressed_frames_is_played_by_a_rule(captures: Path, tmp_path: Path) -> None:
    store = captured(captures, tmp_path, "HUOBI_SWAP.ws.1.0")
    asked = rules("""
        [[rule]]
        match_where = "payload->>'$.sub' LIKE 'market.%.trade.detail'"
        where = "octet_length(\\"binary\\") < 200"
    """)
    async with talking(store, **asked) as running, talker(running.url) as client:
        await client.connection.send('{"sub":"market.BTC-USD.trade.detail","id":"1"}')
        first = await asyncio.wait_for(client.connection.recv(), 30)
        assert isinstance(first, bytes)
        assert len(first) < 200


def captured(captures: Path, library: Path, name: str) -> Store:
    if not (captures / name).exists():
        pytest.skip(f"there is no {name}: set WSREC_CAPTURES to a folder that holds it")
    return open_store(import_file(ImportOptions(file=captures / name, library=library, name=name)).path)
