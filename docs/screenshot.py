"""Take the pictures of the pages: the report of the example's session, as a browser shows it.

    python -m docs.screenshot [--chromium /usr/bin/chromium]

It needs playwright and a Chromium; `docs/images/` is written anew.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from docs.example import make_library
from wsrecorder.analysis.report import make_report
from wsrecorder.analysis.report_page import render_page
from wsrecorder.analysis.session import open_session

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


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description="Take the pictures of the pages.")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    take_report(parser.parse_args().chromium)


if __name__ == "__main__":
    main()
