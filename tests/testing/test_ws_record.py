"""The fixture ``ws_record``, in projects of their own: recorded once from a real server, replayed without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.testing.projects import Project
from tests.testing.servers import RealServer
from wsrecorder.formats.jsonl import encode_lines
from wsrecorder.store.selection import Selection
from wsrecorder.testing.cassette_file import read_cassette
from wsrecorder.testing.cassettes import cassette_name

pytestmark = pytest.mark.timeout(240)  # each runs other tests several times, in processes of their own

HEAD = """
    import json, os
    import pytest
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    URL = os.environ["REAL_URL"]

    def ask(url, *questions, **options):
        with connect(url, **options) as client:
            heard = [client.recv(timeout=20)]
            for question in questions:
                client.send(question)
                heard.append(client.recv(timeout=20))
        return heard
"""

TALK = (
    HEAD
    + """
    def test_talk(ws_record):
        url = ws_record(URL)
        heard = ask(url, "one", '{"b": 1, "a": "x"}', bytes([0, 255, 10]))
        assert json.loads(heard[0])["type"] == "welcome"
        assert json.loads(heard[1]) == {"type": "answer", "to": "one"}
        assert heard[3] == bytes([10, 255, 0])
"""
)


def cassette(project: Project, name: str = "test_talk", module: str = "test_real") -> Path:
    return project.folder / "cassettes" / module / f"{name}.jsonl"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_recorded_once_and_replayed_without_the_server(project: Project, real: RealServer) -> None:
    project.write(test_real=TALK)
    project.passes(1)
    assert real.clients == 1
    recorded = cassette(project).read_bytes()
    assert [(line["direction"], line["text"]) for line in lines(cassette(project)) if line["kind"] == "message"][
        1:3
    ] == [
        ("out", "one"),
        ("in", '{"type": "answer", "to": "one"}'),
    ]
    project.passes(1)
    assert real.clients == 1, "the second run asks nobody"
    real.close()
    project.passes(1, "--wsrec-mode", "none")
    assert cassette(project).read_bytes() == recorded


def test_a_cassette_is_a_session_byte_for_byte(project: Project, real: RealServer, tmp_path: Path) -> None:
    project.write(test_real=TALK)
    project.passes(1)
    store = read_cassette(cassette(project), tmp_path)
    assert b"".join(map(encode_lines, store.batches(Selection()))) == cassette(project).read_bytes()
    identity = store.identity()
    assert (identity.feed, identity.path) == (real.url, "/feed")


def test_a_failing_test_leaves_no_cassette(project: Project, real: RealServer) -> None:
    failing = "{}\n        {}\n".format(TALK.rstrip(), "assert False")
    project.write(test_real=failing)
    project.run().assert_outcomes(failed=1)
    assert real.clients == 1
    assert not (project.folder / "cassettes").exists()
    project.write(test_real=TALK)
    project.passes(1)
    kept = cassette(project).read_bytes()
    project.write(test_real=failing)
    project.run("--wsrec-mode", "all").assert_outcomes(failed=1)
    assert cassette(project).read_bytes() == kept
    project.run("--wsrec-mode", "rewrite").assert_outcomes(failed=1)
    assert not cassette(project).exists()


def test_each_mode_asks_the_server_when_it_says(project: Project, real: RealServer) -> None:
    project.write(test_real=TALK)
    result = project.run("--wsrec-mode", "none")
    result.assert_outcomes(failed=1)
    project.says(
        result,
        f"there is no cassette {cassette(project)}, and mode none asks no server",
        "record it: pytest test_real.py::test_talk --wsrec-mode once",
    )
    assert real.clients == 0
    for mode, asked in (("once", 1), ("once", 1), ("all", 2), ("rewrite", 3), ("none", 3)):
        project.passes(1, "--wsrec-mode", mode)
        assert real.clients == asked, mode
    (project.folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\nwsrec_mode = all\nwsrec_cassettes = tapes\n"
    )
    project.passes(1)
    assert real.clients == 4
    assert cassette(project).parent.parent.with_name("tapes").joinpath("test_real/test_talk.jsonl").exists()
    project.write(
        test_real=TALK.replace("    def test_talk", "    @pytest.mark.wsrec_record(mode='none')\n    def test_talk")
    )
    project.passes(1)
    project.passes(1, "--wsrec-mode", "all")
    assert real.clients == 5, "the command line goes before the marker, the marker before the ini file"
    (project.folder / "pytest.ini").write_text("[pytest]\nwsrec_mode = never\n")
    project.write(test_real=TALK)
    project.says(project.run("-p", "no:asyncio"), "the mode of ws_record cannot be 'never'", "once, none, all, rewrite")


def test_each_client_is_answered_as_it_was(project: Project, real: RealServer) -> None:
    project.write(
        test_real=HEAD
        + """
    def number(message):
        return json.loads(message)["number"]

    def test_reconnects(ws_record):
        url = ws_record(URL)
        first = number(ask(url)[0])
        second = number(ask(url, "x")[0])
        assert second == first + 1
        with connect(url, subprotocols=["prices.v1"]) as third:
            assert third.subprotocol == "prices.v1"
            assert number(third.recv(timeout=20)) == second + 1
            third.send("goodbye")
            with pytest.raises(ConnectionClosed) as closed:
                third.recv(timeout=20)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you say")

    @pytest.mark.parametrize("word", ["a/b", "a b"])
    def test_two_servers(ws_record, word):
        one, other = ws_record(URL), ws_record(URL, name="other " + word)
        assert json.loads(ask(other, word)[1])["to"] == word
        assert json.loads(ask(one, word)[1])["to"] == word
    """
    )
    project.passes(3)
    asked = real.clients
    assert asked == 7
    real.close()
    project.passes(3, "-n", "2")
    assert len(list((project.folder / "cassettes" / "test_real").iterdir())) == 5


def test_what_is_said_has_to_be_what_was_recorded(project: Project, real: RealServer) -> None:
    project.write(test_real=TALK)
    project.passes(1)
    other = TALK.replace('"a": "x"', '"a": "y"')
    project.write(test_real=other.replace("ws_record(URL)", "ws_record(URL, match_timeout=0.1)"))
    result = project.run()
    result.assert_outcomes(failed=1, errors=1)
    project.says(result, "a: expected 'x', found 'y'", "record it anew if that is meant: --wsrec-mode rewrite")
    project.write(test_real=TALK.replace('"b": 1, "a": "x"', '"a":"x","b":1'))
    project.passes(1)
    project.write(test_real=TALK.replace('"one", \'{"b": 1, "a": "x"}\'', '\'{"b": 1, "a": "x"}\', "one"'))
    assert project.run("-o", "wsrec_mode=none").parseoutcomes() != {"passed": 1}


def test_secrets_stay_out(project: Project, real: RealServer) -> None:
    project.write(
        conftest="""
        import msgspec, pytest

        def without_noise(event):
            return None if event.text == "noise" else event

        @pytest.fixture
        def ws_record_options():
            return {"redact": ["token", "auth.*", "?key"], "before_record": without_noise}
        """,
        test_real=HEAD
        + """
    def test_talk(ws_record):
        secret = os.environ["SECRET"]
        url = ws_record(URL + "?key=" + secret)
        with connect(url) as client:
            assert json.loads(client.recv(timeout=20))["type"] == "welcome"
            client.send(json.dumps({"op": "login", "auth": {"key": secret, "pin": 987654321987}}))
            assert client.recv(timeout=20)
            client.send("noise")
            client.send(bytes([1, 2]))
    """,
    )
    for secret in ("first-secret", "second-secret"):
        project.setenv("SECRET", secret)
        project.passes(1)
    assert real.paths == ["/feed?key=first-secret"]
    kept = cassette(project).read_text()
    assert [word for word in ("first-secret", "server-secret", "987654321987", "noise") if word in kept] == []
    texts = [line["text"] for line in lines(cassette(project)) if line["text"]]
    assert texts[1] == '{"op": "login", "auth": {"key": "redacted", "pin": 0}}'
    assert [line["seq"] for line in lines(cassette(project))] == list(range(len(lines(cassette(project)))))
    assert "client" not in json.loads(str(lines(cassette(project))[0]["detail"]))


def test_async_tests_record_too(project: Project, real: RealServer) -> None:
    project.write(
        test_real="""
        import os
        import pytest
        from websockets import connect

        @pytest.mark.asyncio
        async def test_talk(ws_record):
            async with connect(ws_record(os.environ["REAL_URL"])) as client:
                await client.recv()
                await client.send("x")
                assert "x" in await client.recv()
            assert [tape.is_recording for tape in ws_record.used] == [os.environ["RECORDS"] == "yes"]

        def test_leaves_nothing_behind():
            import threading
            for thread in threading.enumerate():
                if "wsrec" in thread.name:
                    thread.join(20)  # what reads ahead ends with what it is at
            assert [thread.name for thread in threading.enumerate() if "wsrec" in thread.name] == []
        """
    )
    for records in ("yes", "no"):
        project.setenv("RECORDS", records)
        project.passes(2)
    assert real.clients == 1


def test_a_broken_cassette_is_said_by_its_line(project: Project, real: RealServer) -> None:
    project.write(test_real=TALK)
    project.passes(1)
    whole = cassette(project).read_text()
    for broken, said in (
        (whole.replace("\n", "\n<<<<<<< ours\n", 1), "test_talk.jsonl, line 2"),
        (whole[:-20], "line 9 is cut short"),
        ("", "is empty"),
    ):
        cassette(project).write_text(broken)
        result = project.run()
        result.assert_outcomes(failed=1)
        project.says(result, said)
    assert real.clients == 1


def test_names_of_cassettes_stay_apart() -> None:
    tests = ["test_a", "test_a[1-x]", "test_a[1/x]", "test_a[1 x]", "test_a[ä]", "test_a[ö]", f"test_a[{'x' * 300}]"]
    names = [cassette_name(test) for test in tests]
    assert names[:2] == ["test_a", "test_a-1-x"]
    assert len(set(names)) == len(names)
    assert all(len(name) < 140 and name.isascii() for name in names)


@pytest.mark.parametrize("option", ["mod='none'", "two_way='sometimes'"])
def test_options_that_are_none_are_refused(project: Project, real: RealServer, option: str) -> None:
    project.write(test_real=TALK)
    project.passes(1)
    project.write(test_real=TALK.replace("ws_record(URL)", f"ws_record(URL, {option})"))
    result = project.run()
    result.assert_outcomes(failed=1)
    project.says(result, option.partition("=")[0])
