"""The page of a report in a real browser: without a network, without an error, with every plot, and safe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs.example import add_session
from tests.store.sessions import STARTED_NS, parquet_sink
from wsrecorder.analysis.report import make_report
from wsrecorder.analysis.report_page import render_page
from wsrecorder.analysis.session import open_session
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
ALL_PLOTS = ["density", "latency", "spread", "connections", "engine", "orders", "positions"]
HOSTILE = (
    "<b>bold</b><a href='https://bite'>x</a></script><script>window.bitten = 1</script>"
    "<img src=x onerror='window.bitten = 2'>%{x}"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def engine_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a session of the simulated engine, with a gap of 5 s."""
    folder = tmp_path_factory.mktemp("engine")
    return written(open_session(add_session(folder / "library", messages=2_000, lose_at=900)).path, folder)


def written(session: Path, folder: Path) -> Path:
    page = folder / "report.html"
    page.write_text(render_page(make_report(open_session(session))), encoding="utf-8")
    return page


class Shown:
    """A page that a browser shows, and what it said meanwhile."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.context.set_offline(True)
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url[:60]))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached", timeout=20_000)

    def drawn(self, plot: str) -> int:
        """Count the marks of a plot that are really there: bars, lines, cells."""
        marks = ".barlayer .point path, .scatterlayer .js-line, .heatmaplayer image"
        return self.page.locator(f"#{plot} svg").locator(marks).count()


def show(browser: Browser, file: Path, *, scheme: str = "light") -> Iterator[Shown]:
    page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=scheme)  # type: ignore[arg-type]
    yield Shown(page, file)
    page.close()


@pytest.fixture(params=["light", "dark"])
def shown(request: pytest.FixtureRequest, browser: Browser, engine_page: Path) -> Iterator[Shown]:
    yield from show(browser, engine_page, scheme=request.param)


def test_every_plot_is_drawn_without_a_complaint(shown: Shown) -> None:
    assert shown.complaints == []
    assert {plot: shown.drawn(plot) > 0 for plot in ALL_PLOTS} == dict.fromkeys(ALL_PLOTS, True)
    assert shown.page.locator(".empty").count() == 0


def test_page_asks_for_nothing(shown: Shown) -> None:
    assert [url for url in shown.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in shown.requests if url.startswith("file:")]) == 1


def test_page_fits_its_window(shown: Shown) -> None:
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_gap_is_marked_in_every_plot_over_time(shown: Shown) -> None:
    for plot in ALL_PLOTS:
        marks = shown.page.locator(f"#{plot} .shapelayer path").count()
        assert marks == (2 if plot == "spread" else 1), plot  # the lines of the distribution are its percentiles


def test_colours_follow_the_system(browser: Browser, engine_page: Path) -> None:
    page = "getComputedStyle(document.body).backgroundColor"
    bar = "getComputedStyle(document.querySelector('#density .barlayer .point path')).fill"
    for shown in show(browser, engine_page):
        light = shown.page.evaluate(f"[{page}, {bar}]")
        shown.page.emulate_media(color_scheme="dark")
        shown.page.wait_for_function(f"light => {page} !== light[0] && {bar} !== light[1]", arg=light, timeout=10_000)
        assert shown.complaints == []


def test_looking_closer_at_one_plot_moves_all_over_time(shown: Shown) -> None:
    ranges = "ids => ids.map(id => document.getElementById(id).layout.xaxis.range.map(String).join())"
    over_time = [plot for plot in ALL_PLOTS if plot != "spread"]
    before = shown.page.evaluate(ranges, over_time)
    assert len(set(before)) == 1
    box = shown.page.locator("#density .nsewdrag").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x + 200, y, steps=5)
    shown.page.mouse.up()
    shown.page.wait_for_function(
        "([id, before]) => document.getElementById(id).layout.xaxis.range.map(String).join() !== before",
        arg=["positions", before[0]],
    )
    after = shown.page.evaluate(ranges, over_time)
    assert len(set(after)) == 1
    assert shown.complaints == []


def test_capture_shows_what_it_has_and_says_what_it_has_not(browser: Browser, captures: Path, tmp_path: Path) -> None:
    file = captures / "COINBASE.ws.28.0"
    if not file.exists():
        pytest.skip(f"there is no {file}: set WSREC_CAPTURES to a folder that holds it")
    imported = import_file(ImportOptions(file=file, library=tmp_path / "library"))
    for shown in show(browser, written(imported.path, tmp_path)):
        assert shown.complaints == []
        assert {plot for plot in ALL_PLOTS if shown.page.locator(f"#{plot}").count()} == {"density", "connections"}
        assert shown.drawn("density") > 100
        said = " ".join(shown.page.locator(".empty").all_inner_texts())
        for words in ("no states of an engine", "no orders", "no positions", "no latency to tell"):
            assert words in said


def test_text_of_the_recording_is_only_ever_text(browser: Browser, tmp_path: Path) -> None:
    for shown in show(browser, written(hostile_session(tmp_path), tmp_path)):
        assert shown.complaints == []
        assert shown.page.evaluate("window.bitten") is None
        assert shown.page.locator("main img, main a, main :is(b, tspan):text-is('bold')").count() == 0
        assert {plot for plot in ALL_PLOTS if shown.drawn(plot)} == set(ALL_PLOTS)
        # It is there, as it was sent: in the table whole, in the plots' texts up to a length.
        assert HOSTILE in shown.page.locator("tbody th").all_inner_texts()
        legend = shown.page.locator("#density .legendtext").all_text_contents()
        assert any(text.startswith(HOSTILE[:50]) for text in legend)


def test_page_holds_no_tag_of_a_recording(tmp_path: Path) -> None:
    page = written(hostile_session(tmp_path), tmp_path).read_text(encoding="utf-8")
    assert "<script>window" not in page
    found = re.search(r'<script type="application/json" id="plots">(.*?)</script>', page)
    assert found is not None
    assert not set("<>&") & set(found[1])
    assert json.loads(found[1]).keys() == set(ALL_PLOTS)
    assert "<img" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def hostile_session(library: Path) -> Path:
    """A session that says tags wherever a session can say anything."""
    orders: list[tuple[str, Any]] = [
        (HOSTILE, {}),
        ("ENGINE_UPDATE", {"state": HOSTILE, "running": True}),
        ("ORDER_PLACED", {"order": {"id": HOSTILE, "symbol": HOSTILE, "side": HOSTILE, "status": HOSTILE}}),
        ("POSITION_OPEN", {"position": {"id": HOSTILE, "symbol": HOSTILE, "side": HOSTILE}}),
        ("ORDER_UPDATED", {"order": {"id": HOSTILE, "symbol": HOSTILE, "status": "open"}}),
    ]
    told = [
        Event(
            seq=seq, kind=Kind.MESSAGE, conn=0, direction=Direction.IN, elapsed_ns=seq * 10**9, type=name,
            received_ns=STARTED_NS + seq * 10**9, sent_at_us=STARTED_NS // 1_000 + seq * 10**6 - seq,
            text=json.dumps({"type": name, "ts": STARTED_NS // 10**6 + seq * 1_000, "data": data}),
        )
        for seq, (name, data) in enumerate(orders)
    ]  # fmt: skip
    end = len(told)
    marks = [
        Event(
            seq=end + number, kind=kind, conn=0, direction=Direction.IN, elapsed_ns=(end + number) * 10**9,
            received_ns=STARTED_NS + (end + number) * 10**9, detail=json.dumps(detail),
        )
        for number, (kind, detail) in enumerate([
            (Kind.CLOSE, {"code": 1000, "reason": HOSTILE, "cause": HOSTILE}),
            (Kind.GAP, {"cause": HOSTILE, "from_ns": end * 10**9, "to_ns": (end + 1) * 10**9}),
        ])
    ]  # fmt: skip
    target = parquet_sink(library)
    target.append(from_rows([*told, *marks]))
    target.close(Health())
    return target.path
