"""Take the pictures of the pages: report and control page of the example's session, as a browser shows them.

    python -m docs.screenshot [--chromium /usr/bin/chromium]

It needs playwright and a Chromium; `docs/images/` is written anew.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docs.example import make_library
from wsrecorder.analysis.report import make_report
from wsrecorder.analysis.report_page import render_page
from wsrecorder.analysis.session import open_session

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parent / "images"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def take_report(chromium: str) -> Path:
    """Take the top of a report, 1280 × 720, and return where it is."""
    from playwright.sync_api import sync_playwright  # only here: the rest of the project does without it

    picture = IMAGES / "report.png"
    with tempfile.TemporaryDirectory(prefix="wsrec-docs-") as folder, sync_playwright() as playwright:
        make_library(Path(folder) / "recordings")
        file = Path(folder) / "report.html"
        report = make_report(open_session("engine", library=Path(folder) / "recordings"))
        file.write_text(render_page(report), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme="light")
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached")
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=picture)
        browser.close()
    return picture


def take_console(chromium: str) -> list[Path]:
    """Take the control page, 1280 × 720: playing, in light; with an event, in dark. Return where they are."""
    from playwright.sync_api import sync_playwright  # only here: the rest of the project does without it
    from websockets.sync.client import connect

    pictures = [IMAGES / "console.png", IMAGES / "console-event.png"]
    with tempfile.TemporaryDirectory(prefix="wsrec-docs-") as folder, sync_playwright() as playwright:
        make_library(Path(folder) / "recordings")
        with _replay(Path(folder) / "recordings") as (endpoint, console), connect(endpoint, compression=None):
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            for picture, scheme, prepare in zip(pictures, ("light", "dark"), (_playing, _event), strict=True):
                page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(console)
                page.wait_for_selector(".row:not(.pending)")
                page.wait_for_selector("#legend button")
                prepare(page)
                page.mouse.move(0, 0)
                page.screenshot(path=picture)
                page.close()
            browser.close()
    return pictures


@contextmanager
def _replay(library: Path) -> Iterator[tuple[str, str]]:
    """Replay the example's session; yield the addresses of its endpoint and of its console."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    endpoint, console = f"ws://127.0.0.1:{ports[0]}/ws/", f"http://127.0.0.1:{ports[1]}/"
    command = ["replay", "engine", "--library", str(library), "--port", str(ports[0]), "--console-port", str(ports[1])]
    process = subprocess.Popen([sys.executable, "-m", "wsrecorder", *command, "--quiet", "--speed", "5"])
    try:
        for attempt in range(50):
            try:
                urllib.request.urlopen(console + "api/state").close()
                break
            except OSError:
                if attempt == 49:
                    raise
                time.sleep(0.2)
        yield endpoint, console
    finally:
        process.terminate()
        process.wait(timeout=30)


def _drag(page: Page, start: float, end: float) -> None:
    box = page.locator("#track").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 50, steps=4)
    page.mouse.up()


def _playing(page: Page) -> None:
    """Mark a loop behind the gap and play in it, until positions are open."""
    page.keyboard.down("Shift")
    _drag(page, 0.62, 0.85)
    page.keyboard.up("Shift")
    _drag(page, 0.5, 0.64)
    page.wait_for_selector("#panel-state .first >> nth=2", timeout=60_000)
    page.wait_for_selector(".row.playhead")


def _event(page: Page) -> None:
    """Pause at the gap and choose an order behind it."""
    page.click("#play")
    page.click("#loop")
    page.focus("#track")
    page.keyboard.press("Escape")
    _drag(page, 0.5, 0.583)
    page.locator(".row.after-gap + .row").click()
    page.get_by_role("button", name="Seek here").click()
    page.click("#follow")
    page.wait_for_selector(".row.playhead")


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description="Take the pictures of the pages.")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    chromium = parser.parse_args().chromium
    take_report(chromium)
    take_console(chromium)


if __name__ == "__main__":
    main()
