"""Options of commands that listen: where secrets come from, and what is said of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from wsrecorder.cli.access_options import certificate_of, jwt_rules_of, read_secret_file, tokens_of

TOKEN = "0123456789abcdef0123456789abcdef"


def warning_of(path: Path) -> str:
    return f'warning: others may read {path}, which holds a secret: "chmod 600 {path}" keeps it from them\n'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that others may read."""
    path = tmp_path / "secret"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o640)
    return path


def test_files_of_secrets_that_others_may_read_are_warned_of(secret: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tokens_of(None, None, secret) == (TOKEN,)
    assert capsys.readouterr().err == warning_of(secret)
    assert jwt_rules_of(None, secret, None, None, None) is not None
    assert capsys.readouterr().err == warning_of(secret)
    secret.chmod(0o600)
    assert read_secret_file(secret) == TOKEN.encode()
    assert capsys.readouterr().err == ""


def test_the_key_of_a_certificate_is_a_secret_and_the_certificate_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_certificate(tmp_path)
    made.cert.chmod(0o644)
    made.key.chmod(0o644)
    assert certificate_of(made.cert, made.key) == made
    assert capsys.readouterr().err == warning_of(made.key)
    made.key.chmod(0o600)
    certificate_of(made.cert, made.key)
    assert capsys.readouterr().err == ""


def test_a_pipe_is_not_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, TOKEN.encode())
    os.close(theirs)
    try:
        assert tokens_of(None, None, Path(f"/dev/fd/{ours}")) == (TOKEN,)
    finally:
        os.close(ours)
    assert capsys.readouterr().err == ""
