"""``python -m torture``: what it is asked for, and the page that it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture import __main__ as program
from torture import page
from torture.finding import Finding


@pytest.mark.parametrize("effort", ["0", "-1", "nan", "inf", "some"])
def test_an_effort_that_is_no_share_is_refused(
    effort: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["torture", f"--effort={effort}"])
    monkeypatch.setattr(program, "_findings", lambda *_: pytest.fail("something ran"))
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert "argument --effort" in capsys.readouterr().err


def test_the_page_holds_what_was_found_and_says_what_is_adjusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "_PAGE", tmp_path / "reliability.md")
    page.write_page({7: [Finding("it holds", "by pulling", "3 kills", is_kept=True)]})
    written = (tmp_path / "reliability.md").read_text()
    assert "| it holds | by pulling | 3 kills | yes |" in written
    assert "One figure is adjusted" in written


def test_the_text_around_the_table_is_what_is_written() -> None:
    """A run replaces the figures alone."""
    before, after = page._TEXT.split("{table}")
    written = page._PAGE.read_text()
    assert written.startswith(before)
    assert written.splitlines()[-1].startswith(after.strip().partition("{")[0])
