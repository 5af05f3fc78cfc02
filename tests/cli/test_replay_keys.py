"""Keys of a replay: what they do to it, and that the terminal is as it was afterwards, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from pathlib import Path

import pytest

from tests.cli.terminals import Terminal, terminal, wsrec
from tests.jobs.replays import ats, listen, message, session, until
from wsrecorder.cli.keyboard import Keyboard, read_keys, terminal_of
from wsrecorder.cli.replay_keys import SPEEDS, faster, slower

UP, DOWN, RIGHT, LEFT = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library of a session of messages a hundred seconds apart: none comes by itself during a test."""
    library = tmp_path / "recordings"
    session(library, [message(100 * n, "AB"[n % 2]) for n in range(6)])
    return library


def replay(*options: str | Path) -> list[str | Path]:
    return wsrec("replay", "test", "--port", "0", "--prime", "none", *options)


async def url_of(shown: Terminal) -> str:
    return (await shown.shows(r"ws://\S+/ws/")).group()


async def test_keys_control_what_a_client_hears(library: Path) -> None:
    match = "--match", "payload->>'$.data.at' = '500'"
    async with terminal(*replay(*match), cwd=library.parent) as shown:
        before = shown.mode
        listener = await listen(await url_of(shown))
        await listener.has(1)
        await until(lambda: shown.is_reading_keys)
        await shown.does(RIGHT, "1 event forward")
        await listener.has(2)
        await shown.shows("paused")
        await shown.does(b" ", "playing on")
        await shown.does(UP, "speed 2×")
        await shown.does(b"\x1bOA", "speed 5×")
        await shown.does(DOWN + DOWN + DOWN, r"speed 0\.5×")
        await shown.does(b" ", "paused")
        await shown.does(b"]", r"at 1:\d\d")
        await shown.does(RIGHT, "1 event forward")
        await listener.has(3)
        await shown.does(b"r", "from the beginning")
        await shown.does(RIGHT, "1 event forward")
        await listener.has(4)
        await shown.does(RIGHT + RIGHT + RIGHT, "3 events forward|1 event forward")
        await listener.has(7)
        await shown.does(LEFT + LEFT, "2 events back|1 event back")
        await shown.does(RIGHT, "1 event forward")
        await listener.has(8)
        await shown.does(b"n", "a match at 8:20")
        await shown.does(RIGHT, "1 event forward")
        await listener.has(9)
        await shown.does(b"n", "none of the 0 events")
        await shown.does(b" ", "everything was played; r plays it again")
        await shown.does(LEFT, "1 event back")
        await shown.does(RIGHT, "1 event forward")
        await listener.has(10)
        assert ats(listener.payloads) == [0, 100, 200, 0, 100, 200, 300, 200, 500, 500]
        assert shown.process.returncode is None
        shown.press(b"xyz\x1b[15~\xc3\xa4q")  # what means nothing does nothing
        assert await shown.ended() == 0
        assert shown.mode == before
        assert (await listener.closed()).code == 1000  # all was played
    assert "replayed 10 frames" in shown.shown
    assert "Traceback" not in shown.shown


@pytest.mark.parametrize(
    "end",
    [b"q", b"\x03", signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
    ids=["q", "Ctrl-C", "SIGTERM", "SIGINT", "SIGHUP"],
)
async def test_however_it_ends_the_terminal_is_as_it_was(library: Path, end: bytes | signal.Signals) -> None:
    async with terminal(*replay("--json"), cwd=library.parent) as shown:
        before = shown.mode
        await url_of(shown)
        await until(lambda: shown.is_reading_keys)
        if isinstance(end, bytes):
            shown.press(end)
        else:
            shown.process.send_signal(end)
        assert await shown.ended() == 0
        assert shown.mode == before
        await shown.shows(r'"frames_sent": 0')
    assert "Traceback" not in shown.shown


async def test_after_an_error_the_terminal_is_as_it_was(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n) for n in range(40)], batch=10, segment_s=9)
    damaged = sorted(store.path.glob("events/*.parquet"))[2]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    async with terminal(*wsrec("replay", store.path, "--port", "0", "--speed", "max"), cwd=tmp_path) as shown:
        before = shown.mode
        url = await url_of(shown)
        await until(lambda: shown.is_reading_keys)
        await (await listen(url)).closed()
        assert await shown.ended() == 4
        assert shown.mode == before
        await shown.shows("error: ")


async def test_a_key_that_cannot_be_obeyed_says_why_and_what_to_do(library: Path) -> None:
    async with terminal(*replay("--per-client"), cwd=library.parent) as shown:
        url = await url_of(shown)
        await until(lambda: shown.is_reading_keys)
        await shown.does(b" ", "no client has come yet")
        first = await listen(url)
        await first.has(1)
        await shown.does(RIGHT, "1 event forward")  # where there is one, it is meant
        await first.has(2)
        second = await listen(url)
        await second.has(1)
        await shown.shows("playbacks +client 1, client 2")
        await shown.does(b" ", "client 1.*client 2")
        shown.press(b"q")
        assert await shown.ended() == 0


async def test_without_something_to_look_for_n_says_how_to_name_it(library: Path) -> None:
    async with terminal(*replay(), cwd=library.parent) as shown:
        await url_of(shown)
        await until(lambda: shown.is_reading_keys)
        await shown.does(b"n", "nothing was named to look for; --match")
        shown.press(b"q")
        assert await shown.ended() == 0


async def test_suspended_it_gives_the_terminal_back_and_takes_it_again(library: Path) -> None:
    shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
    async with terminal(*shell, cwd=library.parent, PS1="ready> ") as shown:
        await shown.shows("ready> ")
        before = shown.mode
        command = " ".join(f"'{word}'" for word in replay())
        await shown.does(f"{command}\n".encode(), r"ws://\S+/ws/")
        await until(lambda: shown.is_reading_keys)
        for _ in range(2):
            await shown.does(b"\x1a", "Stopped")
            await until(lambda: shown.mode == before)
            await shown.does(b"fg\n", r"ws://\S+/ws/")
            await until(lambda: shown.is_reading_keys)
        await shown.does(UP, "speed 2×")
        # In the background the terminal is the shell's: no key is taken from it, and none of its modes changed.
        await shown.does(b"\x1a", "Stopped")
        await shown.does(b"bg\n", "ready> ")
        await shown.does(b"echo nobody else t''akes keys\n", "nobody else takes keys")
        await shown.does(b"jobs\n", "Running")  # who touches the terminal in the background is stopped
        assert shown.mode == before
        await shown.does(b"fg\n", "wsrecorder")
        await until(lambda: shown.is_reading_keys)
        await shown.does(UP, "speed 5×")
        await shown.does(b"q", "ready> ")
        assert shown.mode == before


async def test_without_a_keyboard_no_keys_are_offered(library: Path) -> None:
    command = replay("--wait-for", "0", "--at-end", "exit", "--speed", "max")
    quoted = " ".join(f"'{word}'" for word in command)
    async with terminal("sh", "-c", f"{quoted} < /dev/null", cwd=library.parent) as shown:
        assert await shown.ended() == 0
        await shown.shows("Ctrl-C ends the replay")
        assert "space pause" not in shown.shown


async def test_keys_cut_in_two_are_put_together_and_a_pause_ends_a_sequence() -> None:
    screen, its_end = os.openpty()
    before = termios.tcgetattr(its_end)
    pressed: list[str] = []
    keyboard = Keyboard(its_end, pressed.append)
    keyboard.look()
    assert termios.tcgetattr(its_end) != before
    os.write(screen, b"\x1b")
    await asyncio.sleep(0)
    os.write(screen, b"[A\x1b[")
    await until(lambda: pressed == ["up", "["])
    keyboard.leave()
    assert termios.tcgetattr(its_end) == before
    keyboard.look()
    os.close(screen)  # it hangs up
    await asyncio.sleep(0.01)
    keyboard.close()
    keyboard.look()
    os.close(its_end)


async def test_the_terminal_is_given_back_before_the_program_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, its_end = os.openpty()
    before = termios.tcgetattr(its_end)
    told: list[object] = []
    monkeypatch.setattr(signal, "raise_signal", lambda number: told.append((number, termios.tcgetattr(its_end))))
    stop = asyncio.Event()
    async with read_keys(
        its_end, told.append, stop, on_away=lambda: told.append("away"), on_back=lambda: told.append("back")
    ):
        await until(lambda: told == ["back"])
        reading = termios.tcgetattr(its_end)
        assert reading != before
        os.kill(os.getpid(), signal.SIGTSTP)
        await until(lambda: told == ["back", "away", (signal.SIGTSTP, before), "back"])
        assert termios.tcgetattr(its_end) == reading
        # Somebody else has had the terminal meanwhile, and left it otherwise.
        termios.tcsetattr(its_end, termios.TCSANOW, before)
        os.kill(os.getpid(), signal.SIGCONT)
        await until(lambda: termios.tcgetattr(its_end) == reading)
        # As soon as an end is asked for: what comes next may be a signal that cannot be caught.
        stop.set()
        await until(lambda: termios.tcgetattr(its_end) == before)
        os.kill(os.getpid(), signal.SIGCONT)
        await asyncio.sleep(0.01)
        assert termios.tcgetattr(its_end) == before
    assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
    os.close(screen)
    os.close(its_end)


def test_what_is_no_terminal_has_no_keys(tmp_path: Path) -> None:
    assert terminal_of(None) is None
    with (tmp_path / "file").open("w+") as file:
        assert terminal_of(file) is None
    assert terminal_of(file) is None  # closed


def test_speeds_go_up_and_down_by_steps() -> None:
    assert [faster(0.01), faster(1), faster(3), faster(1000), faster(float("inf"))] == [0.1, 2, 5, *SPEEDS[-1:] * 2]
    assert [slower(float("inf")), slower(3), slower(1), slower(0.1), slower(0.01)] == [1000, 2, 0.5, 0.1, 0.1]
