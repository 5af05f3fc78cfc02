"""What the benchmarks write, and reckon with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import with_figures
from benchmarks.figure import Figure

PAGE = Path(__file__).parents[1] / "docs/scale.md"
FIGURE = Figure("upload", "3 MB/s", "a copy 4 MB/s", "0.75×", "–", True)


def test_figures_of_scale_replace_those_that_stood_there_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = with_figures(page, [FIGURE], "2 × one")
    assert "| upload | 3 MB/s | a copy 4 MB/s | 0.75× | – | yes |" in once
    again = with_figures(once, [], "2 × one")
    assert "upload | 3 MB/s" not in again
    assert again.partition("<!-- figures -->")[0] == page.partition("<!-- figures -->")[0]
    assert again.partition("<!-- end of figures -->")[2] == page.partition("<!-- end of figures -->")[2]


def test_a_page_without_a_place_for_figures_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 places"):
        with_figures("# Beyond one machine\n", [FIGURE], "2 × one")
