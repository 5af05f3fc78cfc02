"""Options of commands that listen: where secrets come from, and what is said of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from wsrecorder.cli.access_options import certificate_of, jwt_rules_of, read_secret_file, tokens_of
from wsrecorder.errors import UsageError

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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "there is no token in {}"),
        (f"{TOKEN}\nsecret!", "token 2 of {} cannot be one"),
        ("short", "token 1 of {} cannot be one"),
    ],
)
def test_what_is_wrong_with_tokens_names_where_they_are_and_shows_none(
    content: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens"
    path.write_text(content)
    with pytest.raises(UsageError) as refused:
        tokens_of([TOKEN], None, path)
    assert refused.value.message.startswith(says.format(path))
    if content:
        monkeypatch.setenv("TOKENS", content)
        with pytest.raises(UsageError) as refused:
            tokens_of([TOKEN], "TOKENS", None)
        assert refused.value.message.startswith(says.format("TOKENS"))
        with pytest.raises(UsageError) as refused:
            tokens_of(content.split(), None, None)
        assert refused.value.message.startswith(says.format("--auth-token"))
    assert not any(token in refused.value.message + refused.value.hint for token in content.split())


def test_what_is_wrong_with_a_key_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text("rubbish")
    monkeypatch.setenv("SECRET", "rubbish")
    for given, says in (
        ((None, path, None), f"{path} has 7 bytes, too short for HS256"),
        (("SECRET", None, None), "SECRET has 7 bytes, too short for HS256"),
        ((None, None, path), f"{path} is neither a public RSA key in PEM form nor a JWKS"),
    ):
        with pytest.raises(UsageError) as refused:
            jwt_rules_of(*given, None, None)
        assert refused.value.message.startswith(says)
