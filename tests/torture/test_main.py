"""``python -m torture``: what it is asked for."""

from __future__ import annotations

import pytest

from torture import __main__ as program


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
