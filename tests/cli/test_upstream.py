"""Credentials for servers: where they come from, and what is said when they cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import make_authority
from wsrecorder.cli.upstream_options import Upstream, upstream_of
from wsrecorder.errors import UsageError
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.transport import FeedOptions

SECRET = "hunter2-hunter2"


def upstream(url: str = "wss://feed/ws/", **given: object) -> Upstream:
    nothing = dict.fromkeys(("header", "header_env", "header_file", "ca", "client_cert", "client_key"))
    return upstream_of([url], **(nothing | given))  # type: ignore[arg-type]


def test_values_come_from_the_environment_and_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEED_AUTH", f"Bearer {SECRET}")
    path = tmp_path / "key"
    path.write_text("from-a-file\n")
    path.chmod(0o600)
    found = upstream(
        header=["X-Mode: all"], header_env=["Authorization=FEED_AUTH"], header_file=[f"X-Api-Key={path}"],
        query_env=["u=FEED_AUTH"], subprotocol=["bearer"], subprotocol_env=["FEED_AUTH"],
    )  # fmt: skip
    assert found.headers == {"X-Mode": "all", "Authorization": f"Bearer {SECRET}", "X-Api-Key": "from-a-file"}
    assert found.subprotocols == ("bearer", f"Bearer {SECRET}")
    assert found.url("wss://feed/ws/?x=1#") == f"wss://feed/ws/?x=1&u=Bearer%20{SECRET}"
    assert found.secrets == {f"Bearer {SECRET}", SECRET, "from-a-file"}
    feed = FeedOptions(found.url("wss://feed/ws/"), secrets=found.secrets)
    assert feed.shown_url == "wss://feed/ws/?u=***"
    assert SECRET not in repr(found) + repr(feed) + repr(TapOptions("ws://feed/", headers=found.headers))


def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key"
    path.write_text("from-a-file")
    path.chmod(0o644)
    upstream(header_file=[f"X-Api-Key={path}"])
    assert f'others may read {path}, which holds a secret: "chmod 600 {path}"' in capsys.readouterr().err
    path.chmod(0o600)
    upstream(header_file=[f"X-Api-Key={path}"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"header_env": ["Authorization=NOT_SET_ANYWHERE"]}, "the environment variable NOT_SET_ANYWHERE is not set"),
        ({"query_env": ["token=NOT_SET_ANYWHERE"]}, "the environment variable NOT_SET_ANYWHERE is not set"),
        ({"subprotocol_env": ["NOT_SET_ANYWHERE"]}, "the environment variable NOT_SET_ANYWHERE is not set"),
        ({"header_file": ["Authorization=/nowhere/at/all"]}, "cannot read /nowhere/at/all: No such file"),
        ({"header_env": ["TWO_LINES"]}, "--header-env takes a name and where its value is"),
        ({"header_env": ["X=TWO_LINES"]}, "what TWO_LINES holds does not fit into a handshake"),
        ({"header_env": ["X=NO_ASCII"]}, "what NO_ASCII holds does not fit into a handshake"),
        ({"header_env": ["X Key=FEED_AUTH"]}, "'X Key' cannot be the name of a header"),
        ({"header": [f"X-Api-Key: {SECRET}\r\nX-Other: 1"]}, "the header X-Api-Key is of several lines"),
        ({"header": [f"X-Api-Key: {SECRET}\n"]}, "the header X-Api-Key is of several lines"),
        ({"header": [f"X-Api-Key: \0{SECRET}"]}, "the header X-Api-Key is of several lines, or has other control"),
        ({"header": [f"X-Other: 1\nX Key: {SECRET}"]}, "the header X-Other is of several lines"),
        ({"header": [f"X\r\nKey: {SECRET}"]}, "cannot be the name of a header"),
        ({"header": [f"X Key: {SECRET}"]}, "'X Key' cannot be the name of a header"),
        ({"header": [SECRET]}, "is not a header"),
        ({"client_cert": Path("a.pem")}, "TLS takes a certificate and its private key"),
        ({"url": "ws://feed/", "ca": Path("a.pem")}, "no server is reached over TLS"),
    ],
)
def test_what_cannot_be_had_is_said_and_no_secret_with_it(
    given: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWO_LINES", f"{SECRET}\nX-Other: 1")
    monkeypatch.setenv("FEED_AUTH", SECRET)
    monkeypatch.setenv("NO_ASCII", f"{SECRET}ä")
    with pytest.raises(UsageError, match=says) as refused:
        upstream(**given)  # type: ignore[arg-type]
    assert SECRET not in refused.value.message + refused.value.hint


def test_files_for_tls_that_cannot_be_used_are_said_before_anything_is_recorded(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(UsageError, match="is not the key of"):
        upstream(client_cert=one.cert, client_key=other.key).tls()
    with pytest.raises(UsageError, match=r"cannot read \S+none\.pem: No such file"):
        upstream(client_cert=one.cert, client_key=tmp_path / "none.pem").tls()
    with pytest.raises(UsageError, match="cannot read"):
        upstream(ca=tmp_path / "none.pem").tls()
    with pytest.raises(UsageError, match="holds no certificate"):
        upstream(ca=one.key).tls()
    assert upstream().tls() is None


@pytest.mark.parametrize(
    "url",
    [
        f"me:{SECRET}@feed/ws/", f"http://me:{SECRET}@feed/ws/", f"ws://me:{SECRET}@/ws/", f"ws://feed:x/?token={SECRET}",
        f"ws://me:{SECRET}/{SECRET}@feed/", f"ws://me:{SECRET}@[feed/", f"wss:me:{SECRET}@feed",
        f"ws://me:1{SECRET}@feed:99999/", f"ws://me:{SECRET}@feed/?apiKey={SECRET}#frag", f"ws://feed/?token=a#{SECRET}",
        f"ws://me:a#{SECRET}@feed/", "ws://feed/#",
    ],
)  # fmt: skip
def test_a_url_that_is_refused_is_told_without_its_credentials(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        FeedOptions(url)
    assert SECRET not in refused.value.message + refused.value.hint
