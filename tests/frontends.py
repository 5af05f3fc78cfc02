"""The example frontend in a real browser, what its sockets were given, and what that comes to."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.projection import projections
from wsrecorder.jobs.replay import Replay

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, WebSocket

CHROMIUM = Path("/usr/bin/chromium")
HAS_CHROMIUM = CHROMIUM.exists()
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
FRONTEND = Path(__file__).parents[1] / "examples/frontend"
SOCKETS_FAIL = "WebSocket connection to "
"""How Chromium begins what it says on the console of a socket that was refused; a page cannot keep it from that."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as ``python -m http.server`` does, and return where."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """Start a browser; skip the test where there is none."""
    if not HAS_CHROMIUM:
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    async with playwright.async_playwright() as running:
        browser = await running.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        await browser.close()


class Frontend:
    """The page in a browser.

    Attributes:
        page: Of Playwright.
        complaints: Errors of the page, and what it said on the console.
        given: What its sockets were given, in order.
        sockets: Those it has opened.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.given: list[str | bytes] = []
        self.sockets: list[WebSocket] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note_said)
        page.on("websocket", self._note_socket)

    def _note_said(self, said: Any) -> None:
        if not said.text.startswith(SOCKETS_FAIL):
            self.complaints.append(said.text)

    def _note_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        socket.on("framereceived", lambda payload: self.given.append(payload))

    async def shows(self, name: str, pattern: str) -> str:
        """Return the text of an element, once all of it matches a pattern of JavaScript."""
        await self.page.wait_for_function(
            "([name, pattern]) => new RegExp(`^(${pattern})$`).test("
            "document.querySelector(`[data-testid='${name}']`).textContent)",
            arg=[name, pattern],
            timeout=30_000,
        )
        return await self.text(name)

    async def text(self, name: str) -> str:
        return (await self.page.get_by_test_id(name).text_content()) or ""

    async def number(self, name: str) -> int:
        return int(await self.text(name))

    async def rows(self, name: str) -> list[dict[str, str]]:
        """Return the cells of a table's rows, by column."""
        found: list[dict[str, str]] = await self.page.get_by_test_id(name).evaluate_all(
            "rows => rows.map(row => Object.fromEntries([...row.cells].map(c => [c.dataset.column, c.textContent])))"
        )
        return found

    async def state(self) -> dict[str, Any]:
        """Return what it shows of the engine, the open orders and the open positions, as `shown_of` names it."""
        engine = await self.text("engine-state")
        return rows_of(None if engine == "unknown" else engine, await self.rows("order"), await self.rows("position"))

    async def settled(self, replay: Replay, before: int = 0) -> None:
        """Return when all that a replay has sent is on the page, after so many messages of another one."""
        sent = sum(client.frames_sent + client.primed + client.heartbeats_sent for client in replay.endpoint.stats())
        await self.shows("received", str(before + sent))
        # Counts and tables are drawn together, but what comes meanwhile only at the next frame of the screen.
        await self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def open_frontend(browser: Browser, site: str, url: str, **settings: str | float) -> Frontend:
    """Open the page, told where the feed is."""
    page = await browser.new_page(viewport={"width": 1280, "height": 720})
    frontend = Frontend(page)
    await page.goto(f"{site}/?{urlencode({'ws': url, 'delay': 0.05, **settings})}")
    return frontend


_ORDER = ("id", "symbol", "side", "qty", "price", "status")
_POSITION = ("id", "symbol", "side", "qty", "entry", "stop")


def shown_of(states: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a frontend shows of projections' states."""
    orders, positions = states["orders"].orders, states["positions"].positions
    return rows_of(
        states["engine"].state,
        [{column: getattr(each, column) for column in _ORDER} for each in orders],
        [{column: getattr(each, column) for column in _POSITION} for each in positions],
    )


def rows_of(
    engine: str | None, orders: Sequence[Mapping[str, Any]], positions: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what a frontend knows in the form in which `shown_of` returns it."""
    return {"engine": engine, "orders": sorted(map(_facts, orders)), "positions": sorted(map(_facts, positions))}


def _facts(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a row's cells as text; numbers as Python writes them."""
    return tuple(_text(value) for value in row.values())


def _text(value: Any) -> str:
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return "" if value is None else str(value)


def parsed(given: Sequence[str | bytes]) -> list[dict[str, Any]]:
    """Return the envelopes that a browser can read: text, JSON without a bare ``NaN``, with a type."""
    found = []
    for payload in given:
        try:
            envelope = json.loads(payload, parse_constant=_refuse) if isinstance(payload, str) else None
        except ValueError:
            continue
        if isinstance(envelope, dict) and isinstance(envelope.get("type"), str):
            found.append(envelope)
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON knows no {constant}")


def folded(given: Sequence[str | bytes]) -> dict[str, Any]:
    """Return what a frontend must show after what it was given, by the project's own folds."""
    states = {name: projection.initial for name, projection in projections().items()}
    for seq, envelope in enumerate(parsed(given)):
        event = Event(
            seq, kind=Kind.MESSAGE, conn=0, direction=Direction.IN, elapsed_ns=0, received_ns=0,
            type=envelope["type"], text=json.dumps(envelope),
        )  # fmt: skip
        for name, projection in projections().items():
            if event.type in projection.types:
                states[name] = projection.fold(states[name], event)
    return shown_of(states)
