"""wsrec redact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wsrecorder
from docs.example import add_session
from wsrecorder.cli import main


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDACTION_SECRET", "0123456789abcdef")
    add_session(tmp_path / "recordings", messages=300)
    return tmp_path / "recordings"


def test_a_redacted_session_verifies_and_says_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    Path("secret").write_text("0123456789abcdef\n")
    Path("secret").chmod(0o644)
    command = ["redact", "engine", "--path", "data.order.id", "--path", "data.typo", "--json"]
    assert main([*command, "--secret-env", "REDACTION_SECRET"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["replaced"]["data.order.id"] > 0
    assert "data.typo was found nowhere" in captured.err
    assert main(["verify", "engine-redacted"]) == 0
    assert main([*command, "--secret-file", "secret", "--name", "other"]) == 0
    assert "warning: others may read secret, which holds a secret" in capsys.readouterr().err
    one, other = (wsrecorder.open(name) for name in ("engine-redacted", "other"))
    assert [event.text for event in one.events()] == [event.text for event in other.events()], (
        "one secret, one stand-in"
    )


def test_shapes_can_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redact", "engine", "--path", "data.order.*", "--keep-shape", "--secret-env", "REDACTION_SECRET"]) == 0
    assert "data.order.*: " in capsys.readouterr().err
    before, after = (
        next(iter(wsrecorder.open(name).events(types=["ORDER_PLACED"]))).text for name in ("engine", "engine-redacted")
    )
    assert before is not None
    assert after is not None
    assert before != after
    assert abs(len(before) - len(after)) < 40, "only true and false have no shape to keep"


def test_a_secret_is_needed_and_should_be_long(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").write_text("\n")
    Path("short").write_text("abc")
    for place in ([], ["--secret-env", "NO_SUCH"], ["--secret-file", "nothing"], ["--secret-file", "empty"]):
        assert main(["redact", "engine", "--path", "a", *place]) == 2
    assert main(["redact", "engine", "--path", "a", "--secret-env", "X", "--secret-file", "short"]) == 2
    assert main(["redact", "engine", "--secret-env", "REDACTION_SECRET"]) == 2
    assert len(list(library.iterdir())) == 1
    capsys.readouterr()
    assert main(["redact", "engine", "--path", "a", "--secret-file", "short"]) == 0
    assert "a secret of 3 bytes can be guessed" in capsys.readouterr().err


def test_what_is_no_json_is_said_or_refused(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.log").write_text('{"a":1,"ts":1764000000000}\nping\n')
    assert main(["import", "x.log", "--format", "payloads", "--name", "x"]) == 0
    command = ["redact", "x", "--path", "a", "--secret-env", "REDACTION_SECRET"]
    assert main([*command, "--fail-on-unparsed"]) == 4
    assert main(command) == 0
    assert "1 payloads are no JSON" in capsys.readouterr().err
