"""What tests of the page share: a browser, a session, a replay of it with its console, and the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.console.scenes import make_scene
from tests.console.shown import Shown
from wsrecorder.core.event import Event

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.console.served import Served

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # No longer than a module: while it is open, its event loop is the thread's, and no other can be run there.
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Path, list[Event]]:
    """A session, and its events."""
    events = make_scene(tmp_path / "library")
    return next((tmp_path / "library").iterdir()), events


@pytest.fixture
def served(scene: tuple[Path, list[Event]], browser: Browser) -> Iterator[Served]:
    """A replay of the session that is paused at its beginning, and its console."""
    from tests.console.served import Served  # loads the web framework: only where a browser is there

    with Served(*scene) as running:
        yield running


@pytest.fixture
def shown(browser: Browser, served: Served) -> Iterator[Shown]:
    """The page of the replay; at the end, the browser must have had nothing to complain about."""
    yield from show(browser, served)


@pytest.fixture
def looking(browser: Browser, scene: tuple[Path, list[Event]]) -> Iterator[Shown]:
    """The page of a session that is only looked at."""
    from tests.console.served import Served

    with Served(*scene, is_played=False) as running:
        yield from show(browser, running)


def show(browser: Browser, served: Served) -> Iterator[Shown]:
    page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme="light")
    shown = Shown(page, served.url)
    yield shown
    page.close()
    assert shown.complaints == []
