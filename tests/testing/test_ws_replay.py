"""The fixtures ``ws_replay`` and ``ws_replay_factory``, in projects of their own."""

from __future__ import annotations

import json

import pytest

from tests.testing.projects import Project

pytestmark = pytest.mark.timeout(240)  # each runs other tests, in processes of their own

SYNC = """
    import pytest
    from websockets.sync.client import connect

    pytestmark = pytest.mark.wsrec("fixtures/feed")

    def types(messages):
        import json
        return [json.loads(message)["type"] for message in messages]
"""


def test_a_sync_test_is_served_its_session(project: Project) -> None:
    project.write(
        test_sync=SYNC
        + """
    @pytest.mark.wsrec(types=["SIGNAL"], verbatim=True)
    def test_plays(ws_replay):
        with connect(ws_replay.url, max_queue=None) as client:
            client.send('{"op": "subscribe"}')
            client.send(b"binary")
            signals = [client.recv(timeout=30)]
            ws_replay.wait_finished()
            first, second = ws_replay.wait_received(2)
            assert (first.json, first.text, second.text) == ({"op": "subscribe"}, '{"op": "subscribe"}', None)
            assert ws_replay.wait_received(lambda frame: frame.text is None).payload == b"binary"
            assert len(ws_replay.received) == 2
            while len(signals) < ws_replay.state.frames_sent:
                signals.append(client.recv(timeout=30))
        assert set(types(signals)) == {"SIGNAL"}
        assert ws_replay.report.speed is None  # max
        ws_replay.wait_clients(0)

    @pytest.mark.wsrec(speed=10, from_="2s", to="3s")
    def test_has_options_of_its_own(ws_replay):
        assert ws_replay.state.speed == 10
        assert ws_replay.state.position_ns == 2_000_000_000

    def test_controls(ws_replay):
        ws_replay.pause()
        with connect(ws_replay.url, max_queue=None):
            ws_replay.step(3)
            ws_replay.wait_sent(3)
            assert ws_replay.seek(seq=100) > 0
            ws_replay.resume()
            ws_replay.wait_finished()
            assert ws_replay.disconnect(1012) == 1
            ws_replay.wait_clients(0)

    def test_leaves_nothing_behind():
        import threading
        for thread in threading.enumerate():
            if "wsrec" in thread.name:
                thread.join(20)  # what reads ahead ends with what it is at
        assert [thread.name for thread in threading.enumerate() if "wsrec" in thread.name] == []
    """
    )
    project.passes(4)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_an_async_test_has_the_same(project: Project, mode: str) -> None:
    project.write(
        test_async="""
        import asyncio, pytest, pytest_asyncio
        from websockets import connect

        pytestmark = [pytest.mark.wsrec("fixtures/feed", speed="max"), pytest.mark.asyncio]

        @pytest_asyncio.fixture
        async def client(ws_replay):
            async with connect(ws_replay.url, max_queue=None) as client:
                yield client

        async def test_through_a_fixture(ws_replay, client):
            await client.send("hello")
            assert (await ws_replay.aio.wait_received())[0].text == "hello"
            await ws_replay.aio.wait_finished()

        async def test_controls_block_for_a_moment_only(ws_replay, client):
            ws_replay.pause()
            ws_replay.seek("1s")
            ws_replay.step(2)
            ws_replay.disconnect()
            await ws_replay.aio.wait_clients(0)

        async def test_several(ws_replay_factory):
            servers = [ws_replay_factory("fixtures/feed", types=["SIGNAL"]) for _ in range(3)]
            assert len({server.url for server in servers}) == 3
            for server in servers:
                async with connect(server.url, max_queue=None):
                    await server.aio.wait_finished()
        """
    )
    project.passes(3, "-o", f"asyncio_mode={mode}")


def test_workers_do_not_meet(project: Project) -> None:
    project.write(
        test_many=SYNC
        + """
    @pytest.mark.parametrize("number", range(8))
    def test_one(ws_replay, number):
        with connect(ws_replay.url, max_queue=None) as client:
            client.send(str(number))
            assert [frame.text for frame in ws_replay.wait_received()] == [str(number)]
            ws_replay.wait_finished()
    """
    )
    project.passes(8, "-n", "2")


def test_paths_are_those_of_the_file_or_of_the_root(project: Project) -> None:
    (project.folder / "deep").mkdir()
    (project.folder / "deep" / "near.jsonl").write_text(
        "\n".join(json.dumps({"text": text, "received_ns": 1_000_000_000 + at}) for at, text in enumerate("abc"))
    )
    (project.folder / "deep" / "test_paths.py").write_text(
        "import pytest\n"
        "from websockets.sync.client import connect\n"
        "def heard(url, count):\n"
        "    with connect(url, max_queue=None) as client:\n"
        "        return [client.recv(timeout=30) for _ in range(count)]\n"
        "@pytest.mark.wsrec('near.jsonl')\n"
        "def test_near(ws_replay):\n"
        "    assert heard(ws_replay.url, 3) == ['a', 'b', 'c']\n"
        "@pytest.mark.wsrec('fixtures/feed')\n"
        "def test_far(ws_replay):\n"
        "    assert heard(ws_replay.url, 1)\n"
        "def test_it_is_imported_once(ws_replay_factory):\n"
        "    first, second = ws_replay_factory('near.jsonl'), ws_replay_factory('near.jsonl')\n"
        "    assert first.stores[0].path == second.stores[0].path\n"
        "    assert heard(second.url, 3) == ['a', 'b', 'c']\n"
    )
    project.passes(3)


def test_what_cannot_be_is_said(project: Project) -> None:
    project.write(
        test_wrong="""
        import pytest

        def test_unmarked(ws_replay):
            pass

        @pytest.mark.wsrec("fixtures/nothing")
        def test_missing(ws_replay):
            pass

        @pytest.mark.wsrec("fixtures/feed", sped=10)
        def test_misspelt(ws_replay):
            pass

        @pytest.mark.wsrec("fixtures/feed", types=["NOTHING"])
        def test_empty(ws_replay):
            pass

        @pytest.mark.wsrec("fixtures/feed", two_way="strict")
        def test_no_dialogue(ws_replay):
            pass

        @pytest.mark.wsrec("test_wrong.py")
        def test_no_session(ws_replay):
            pass

        @pytest.mark.wsrec("fixtures/feed")
        def test_waits(ws_replay):
            ws_replay.wait_received(timeout_s=0.01)
        """
    )
    result = project.run()
    result.assert_outcomes(errors=6, failed=1)
    project.says(
        result,
        '@pytest.mark.wsrec("fixtures/x")',
        f"there is no {project.folder}/fixtures/nothing",
        "'sped'",
        "there is no message of type NOTHING",
        "holds nothing that a client said",
        "cannot tell the format of",
        "waited 0.01 s for 1 message of a client; found none",
    )
    assert "wsrecorder/jobs" not in "\n".join(result.outlines), "a traceback through the insides helps nobody"


def test_a_dialogue_that_is_not_kept_fails_the_test(project: Project) -> None:
    lines = [
        {"kind": "open", "detail": "{}"},
        {"direction": "out", "text": '{"op": "subscribe", "channel": "ticker"}'},
        {"text": '{"ticker": 1}'},
    ]
    (project.folder / "dialogue.jsonl").write_text(
        "\n".join(json.dumps({**line, "received_ns": 1_000_000_000 + at}) for at, line in enumerate(lines))
    )
    project.write(
        test_dialogue="""
        import pytest
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        pytestmark = pytest.mark.wsrec("dialogue.jsonl", two_way="strict")

        def says(url, text):
            with connect(url) as client:
                client.send(text)
                return client.recv(timeout=30)

        def test_right(ws_replay):
            assert says(ws_replay.url, '{"channel": "ticker", "op": "subscribe"}') == '{"ticker": 1}'
            ws_replay.wait_finished()
            with pytest.raises(Exception, match="no playhead"):
                ws_replay.pause()

        @pytest.mark.wsrec(match_timeout="50ms")
        def test_wrong(ws_replay):
            with pytest.raises(ConnectionClosed):
                says(ws_replay.url, '{"channel": "trades", "op": "subscribe"}')

        @pytest.mark.wsrec(check=False, match_timeout=0.05)
        def test_wrong_on_purpose(ws_replay):
            with pytest.raises(ConnectionClosed):
                says(ws_replay.url, '{"channel": "trades", "op": "subscribe"}')
            assert "channel" in ws_replay.mismatches[0]

        @pytest.mark.wsrec(two_way="loose")
        def test_loose(ws_replay):
            assert says(ws_replay.url, '{"channel": "ticker", "op": "subscribe"}') == '{"ticker": 1}'
        """
    )
    result = project.run()
    result.assert_outcomes(passed=4, errors=1)  # test_wrong passes, and is an error at its end
    project.says(result, "client 1 did not say what was expected", "channel: expected 'ticker', found 'trades'")


def test_it_costs_nothing_where_it_is_not_used(project: Project) -> None:
    project.write(
        test_other="""
        import sys

        def test_nothing_is_loaded(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("wsrecorder.testing")
            ours = ("wsrecorder", "pyarrow", "duckdb")
            loaded = sorted(name for name in sys.modules if name.partition(".")[0] in ours)
            assert loaded == [
                "wsrecorder", "wsrecorder.errors", "wsrecorder.testing", "wsrecorder.testing.plugin"
            ]
        """
    )
    result = project.passes(1)
    result.stdout.no_fnmatch_line("*PytestAssertRewriteWarning*")
    markers = project.run("--markers")
    project.says(markers, "@pytest.mark.wsrec(*sessions, **options)")
