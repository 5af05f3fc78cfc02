"""The page's modules by themselves: payloads as they are, times and sizes as people read them, long tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.scenes import make_scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

READ = """async text => {
    const { readJson } = await import('/static/json_read.js');
    const plain = node =>
        node.items ? [node.kind, node.items.map(({key, node}) => [key, plain(node)])] : [node.kind, node.text];
    try { return plain(readJson(text)); } catch (error) { return error.message; }
}"""
TOP = """async ([rows, height, share]) => {
    const { ROW, sizerHeight, tableTop, barTop } = await import('/static/scroll_map.js');
    const top = share * (rows * ROW - height);
    const bar = barTop(top, rows, height);
    const sizer = sizerHeight(rows);
    return { sizer, top, back: tableTop(bar, rows, height), end: tableTop(sizer - height, rows, height) };
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of the console, whose modules are called by hand."""
    from tests.console.served import Served

    library = tmp_path_factory.mktemp("library")
    events = make_scene(library)
    with Served(next(library.iterdir()), events, is_played=False) as served:
        shown = browser.new_page()
        shown.goto(served.url)
        yield shown
        shown.close()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("12345678901234567890", ["number", "12345678901234567890"]),
        ("-0.10e+5", ["number", "-0.10e+5"]),
        ("NaN", ["literal", "NaN"]),
        ("-Infinity", ["number", "-Infinity"]),
        ('"a\\"\\u00e9"', ["string", '"a\\"\\u00e9"']),
        ("[]", ["array", []]),
        (' {"a": [1, {"a": null}], "a": true} ', [
            "object", [
                ['"a"', ["array", [[None, ["number", "1"]], [None, ["object", [['"a"', ["literal", "null"]]]]]]]],
                ['"a"', ["literal", "true"]],
            ],
        ]),
    ],
)  # fmt: skip
def test_literals_stay_as_they_were_sent(page: Page, text: str, read: Any) -> None:
    assert page.evaluate(READ, text) == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at character 0: found the end, expected a value"),
        ("[1,]", 'at character 3: found "]", expected a value'),
        ('{"a" 1}', 'at character 4: found "1}", expected :'),
        ("{1: 2}", 'at character 1: found "1: 2}", expected a key or }'),
        ("[1] 2", 'at character 3: found "2", expected the end'),
        ('"open', 'at character 0: found "\\"open", expected a value'),
        ("[1", "at character 2: found the end, expected , or ]"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(page: Page, text: str, said: str) -> None:
    assert page.evaluate(READ, text) == said


def test_no_depth_is_too_deep(page: Page) -> None:
    depth = "text => import('/static/json_read.js').then(({readJson}) => { let node = readJson(text), deep = 0;"
    depth += " while (node.items?.length) { node = node.items[0].node; deep += 1; } return deep; })"
    assert page.evaluate(depth, "[" * 100_000 + "1" + "]" * 100_000) == 100_000


@pytest.mark.parametrize("rows", [10, 100_000, 3_000_000, 50_000_000])
@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
def test_bar_reaches_every_row_however_long_the_table(page: Page, rows: int, share: float) -> None:
    found = page.evaluate(TOP, [rows, 200, share])
    assert found["sizer"] <= 16_000_000
    assert found["back"] == pytest.approx(found["top"], abs=0.01)
    assert found["end"] == pytest.approx(rows * 24 - 200, abs=0.01)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("clock(83_456_000_000)", "1:23.456"),
        ("clock(3_723_000_000_000, 0)", "1:02:03"),
        ("clock(999_999_999)", "0:00.999"),
        ("utc('2026-11-23T19:15:00+00:00', 1_500_000_000)", "2026-11-23 19:15:01.500"),
        ("timeOfDay('2026-11-23T19:15:00.123456+00:00')", "19:15:00.123"),
        ("count(1234567)", "1\u202f234\u202f567"),
        ("bytes(1536)", "1.5 KiB"),
        ("factor('max')", "max"),
        ("factor(2.5)", "2.5×"),
        ("short(0.012345)", "0.0123"),
        ("milliseconds(null)", "–"),
    ],
)
def test_figures_read_as_people_write_them(page: Page, call: str, text: str) -> None:
    assert page.evaluate(f"import('/static/format.js').then(format => format.{call})") == text


def test_types_keep_their_colours(page: Page) -> None:
    names = "['SIGNAL', 'x', 'y', 'x', 'other', 'SIGNAL']"
    named = page.evaluate(f"import('/static/colours.js').then(({{colourName}}) => {names}.map(colourName))")
    assert named[0] == named[5]
    assert named[1] == named[3] != named[2]
    assert named[4] == "--other"
