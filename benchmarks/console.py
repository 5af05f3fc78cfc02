"""How smoothly the control page's table scrolls, in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.processes import free_port, wsrec
from docs.example import add_session

__all__ = ["figures"]

_EVENTS = 100_000
_SECONDS = 10
_TARGET = 50
_CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

# From the first row to the last in so many seconds, a piece at every frame that the browser asks for. Beside it,
# once more, nothing but the scrolling of an element of that height: what the machine can do at all.
_SCROLL = """async ([selector, seconds]) => {
    const scroller = document.querySelector(selector);
    const distance = scroller.scrollHeight - scroller.clientHeight;
    const times = [];
    await new Promise(done => {
        const begin = performance.now();
        const step = now => {
            times.push(now);
            scroller.scrollTop = distance * Math.min(1, (now - begin) / 1000 / seconds);
            if (now - begin < seconds * 1000) requestAnimationFrame(step); else done();
        };
        requestAnimationFrame(step);
    });
    const gaps = times.slice(1).map((time, index) => time - times[index]).sort((one, other) => one - other);
    return { fps: 1000 * gaps.length / (times.at(-1) - times[0]), p99_ms: gaps[Math.floor(gaps.length * 0.99)] };
}"""
_EMPTY = """height => {
    const outer = document.createElement('div');
    outer.id = 'empty-scroller';
    outer.style.cssText = 'position: fixed; inset: 0; overflow: auto; z-index: 99';
    outer.append(document.createElement('div'));
    outer.firstChild.style.height = `${height}px`;
    document.body.append(outer);
}"""


def figures(folder: Path) -> list[Figure]:
    """Measure the page of a session that is made in ``folder``; nothing where Chromium or playwright is missing."""
    try:
        from playwright.sync_api import sync_playwright  # a tool of development, which not everybody has
    except ImportError:
        return []
    if not _CHROMIUM.exists():
        return []
    session = add_session(folder / "page", messages=_EVENTS)
    port = free_port()
    with (
        wsrec("open", str(session), "--console-port", str(port), log=folder / "open.log"),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        _visit(page, f"http://127.0.0.1:{port}/")
        ours = page.evaluate(_SCROLL, ["#scroller", _SECONDS])
        page.evaluate(_EMPTY, page.evaluate("document.getElementById('scroller').scrollHeight"))
        plain = page.evaluate(_SCROLL, ["#empty-scroller", _SECONDS])
        browser.close()
    return [
        Figure(
            f"control page: scroll {_EVENTS:,} rows in {_SECONDS} s",
            f"{ours['fps']:.0f} frames/s, p99 {ours['p99_ms']:.0f} ms a frame",
            f"an empty element {plain['fps']:.0f} frames/s",
            f"{ours['fps'] / plain['fps']:.2f}×",
            f"{_TARGET} frames/s",
            ours["fps"] >= _TARGET,
        )
    ]


def _visit(page: Any, url: str) -> None:
    """Open the page as soon as its server answers, and wait for its rows."""
    from playwright.sync_api import Error

    for attempt in range(40):
        try:
            page.goto(url)
            break
        except Error:
            if attempt == 39:
                raise
            page.wait_for_timeout(250)
    page.wait_for_selector(".row:not(.pending)")
    if page.get_attribute("#follow", "aria-pressed") == "true":
        page.click("#follow")
