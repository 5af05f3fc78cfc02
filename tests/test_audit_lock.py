"""The audit of the locks, against a database that stands in for the real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools.audit_lock import locked, main

PROJECT = Path(__file__).parents[1]
BAD = {
    "id": "OSV-1",
    "summary": "reads too far",
    "affected": [
        {
            "package": {"name": "Bad_Package", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "d00fd00f"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]},
            ],
        }
    ],
}


@pytest.fixture
def service() -> Iterator[tuple[str, dict[str, Any]]]:
    """A database, and its answers by path."""
    answers: dict[str, Any] = {}

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = answers.get("known", {})
            queries = [(each["package"]["name"], each["version"]) for each in asked["queries"]]
            self._say({"results": [{"vulns": [{"id": known[query]}]} if query in known else {} for query in queries]})

        def do_GET(self) -> None:
            self._say(answers[self.path])

        def _say(self, answer: Any) -> None:
            content = answers.get("instead", json.dumps(answer).encode())
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lock(tmp_path: Path) -> str:
    path = tmp_path / "some.lock"
    path.write_text("# made\nbad-package==1.0 \\\n    --hash=sha256:00\ngood==2.0 ; sys_platform == 'win32' \\\n")
    return str(path)


def test_a_known_vulnerability_fails_the_audit(
    service: tuple[str, dict[str, Any]], lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, answers = service
    answers |= {"known": {("bad-package", "1.0"): "OSV-1"}, "/v1/vulns/OSV-1": BAD}
    assert main([lock, "--service", url]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "bad-package 1.0: OSV-1 reads too far (mended in 1.1)",
        "audit: 2 locked packages, 1 known vulnerabilities",
    ]
    assert main([lock, "--service", url, "--ignore", "OSV-1"]) == 0


def test_what_was_withdrawn_or_is_about_another_version_does_not_count(
    service: tuple[str, dict[str, Any]], lock: str
) -> None:
    url, answers = service
    answers |= {"known": {("bad-package", "0.9"): "OSV-1", ("good", "2.0"): "OSV-2"}}
    answers |= {"/v1/vulns/OSV-2": {"id": "OSV-2", "withdrawn": "2026-01-01T00:00:00Z"}}
    assert main([lock, "--service", url]) == 0


def test_an_advisory_that_cannot_be_read_counts(
    service: tuple[str, dict[str, Any]], lock: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url, answers = service
    answers |= {"known": {("bad-package", "1.0"): "OSV-1"}, "/v1/vulns/OSV-1": []}
    assert main([lock, "--service", url]) == 1
    assert "bad-package 1.0: OSV-1 (not mended yet)" in capsys.readouterr().out


@pytest.mark.parametrize("instead", [b"<html>", b"[]", b'{"results": []}', b""])
def test_a_database_that_cannot_be_asked_is_said_in_one_line_and_fails_nothing(
    service: tuple[str, dict[str, Any]], lock: str, capsys: pytest.CaptureFixture[str], instead: bytes
) -> None:
    url, answers = service
    answers["instead"] = instead
    assert main([lock, "--service", url]) == 0
    assert main([lock, "--service", "http://127.0.0.1:1"]) == 0  # nobody is there
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("cannot be asked about 2 locked packages" in line for line in lines)


def test_every_locked_package_is_asked_about() -> None:
    for name in ("requirements.lock", "requirements-mitmproxy.lock"):
        pins = [line for line in (PROJECT / name).read_text().splitlines() if "==" in line.partition(";")[0]]
        assert len(locked([PROJECT / name])) == len(pins)
