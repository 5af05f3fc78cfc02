"""HAR files of a real browser: Playwright's recordHar in Chromium, and our own export opened by its HAR reader."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

import wsrecorder
from tests.cli.programs import wsrec
from tests.test_report_page import ARGUMENTS, CHROMIUM
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.jobs.convert import ExportOptions, ImportOptions, export_session, import_file

if TYPE_CHECKING:
    from playwright.async_api import Browser

PAGE = """async ([feed, echo]) => {
    const seen = []
    const first = new WebSocket(feed)
    const done = new Promise(resolve => first.onmessage = event => {
        if (seen.push(event.data) == 20) { first.close(); resolve() }
    })
    const second = new WebSocket(echo, ["chat"])
    second.binaryType = "arraybuffer"
    await new Promise(resolve => second.onopen = resolve)
    for (const what of ["été \\u0000", new Uint8Array([0, 255, 10]), "x".repeat(100000)]) {
        second.send(what)
        await new Promise(resolve => second.onmessage = resolve)
    }
    await done
    const closed = new Promise(resolve => second.onclose = resolve)
    second.close()
    await closed
    return seen
}"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    playwright: Any = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    async with playwright.async_playwright() as started:
        found = await started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        await found.close()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def recorded(browser: Browser, file: Path) -> list[str]:
    """Record a page that listens to the simulated feed and talks to an echo; return what the page saw of the feed."""
    async with wsrec("simulate", "--port", "0", "--rate", "500", cwd=file.parent) as feed, serve(
        echo, "127.0.0.1", 0, subprotocols=["chat"]  # type: ignore[list-item]
    ) as server:  # fmt: skip
        address = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/echo?token=secret"
        context = await browser.new_context(record_har_path=file)
        page = await context.new_page()
        seen: list[str] = await page.evaluate(PAGE, [await feed.url(), address])
        await context.close()
    return seen


async def test_what_playwright_recorded_becomes_a_session(browser: Browser, tmp_path: Path) -> None:
    seen = await recorded(browser, tmp_path / "page.har")
    result = import_file(ImportOptions(file=tmp_path / "page.har", library=tmp_path / "lib"))
    assert (result.format, result.notes) == ("har", ())
    events = list(wsrecorder.open(result.path).events())
    opened = [json.loads(event.detail or "")["url"] for event in events if event.kind is Kind.OPEN]
    feed = next(conn for conn, url in enumerate(opened) if "echo" not in url)
    assert opened[1 - feed].endswith("/echo?token=***")
    assert [event.text for event in said(events, feed, Direction.IN)][: len(seen)] == seen
    frames = ["été \0".encode(), b"\x00\xff\n", b"x" * 100_000]
    for direction in Direction:
        assert [event.payload for event in said(events, 1 - feed, direction)] == frames
    assert all(event.sent_at_us for event in said(events, feed, Direction.IN))
    assert max(abs(event.received_ns / 1e3 - event.sent_at_us) for event in events if event.sent_at_us) < 60e6


def said(events: list[Event], conn: int, direction: Direction) -> list[Event]:
    return [
        event for event in events
        if event.kind is Kind.MESSAGE and event.conn == conn and event.direction is direction
    ]  # fmt: skip


async def test_what_was_exported_opens_in_a_har_reader(browser: Browser, tmp_path: Path) -> None:
    await recorded(browser, tmp_path / "page.har")
    first = import_file(ImportOptions(file=tmp_path / "page.har", library=tmp_path / "lib"))
    session = wsrecorder.open(first.path)
    export_session(session, ExportOptions(out=tmp_path / "again.har"))
    second = import_file(ImportOptions(file=tmp_path / "again.har", library=tmp_path / "lib"))
    assert list(wsrecorder.open(second.path).events()) == list(session.events())
    # The reader answers requests out of the file, so the entry is made one that a page can ask for.
    content = (tmp_path / "again.har").read_text()
    answered = content.replace('"url":"ws://', '"url":"http://').replace('"status":101', '"status":200')
    (tmp_path / "answers.har").write_text(answered)
    url = json.loads(answered)["log"]["entries"][0]["request"]["url"]
    context = await browser.new_context(offline=True)
    await context.route_from_har(tmp_path / "answers.har", not_found="abort")
    page = await context.new_page()
    response = await page.goto(url)
    assert response is not None
    assert (response.status, response.headers["upgrade"]) == (200, "websocket")
    await context.close()
