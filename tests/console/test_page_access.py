"""The page where tokens are asked for, and pages of others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.console.conftest import show
from tests.console.shown import Shown
from tests.console.test_guarded import SECRET, signed
from wsrecorder.core.event import Event
from wsrecorder.net.access import Access
from wsrecorder.net.jwt_keys import JwtRules, hmac_key

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.console.served import Served

TOKEN = "one-of-the-endpoint-s"


@contextmanager
def guarded(scene: tuple[Path, list[Event]], **access: Any) -> Iterator[Served]:
    from tests.console.served import Served  # loads the web framework: only where a browser is there

    with Served(*scene, access=Access(**access)) as running:
        yield running


@contextmanager
def opened(browser: Browser, served: Served) -> Iterator[Shown]:
    yield from show(browser, served)


def test_the_page_of_a_guarded_replay_does_all_it_does(browser: Browser, scene: tuple[Path, list[Event]]) -> None:
    with guarded(scene, tokens=(TOKEN,)) as served, opened(browser, served) as shown:
        assert "token" not in shown.page.url, "the address forgets it"
        shown.expect_rows(served.events)
        shown.press_play()
        shown.expect("#status").to_have_text("playing")
        for asked in shown.requests[1:]:
            assert "token=" not in asked


def test_the_page_says_what_to_do_when_its_token_is_good_no_longer(
    browser: Browser, scene: tuple[Path, list[Event]]
) -> None:
    with guarded(scene, tokens=(TOKEN,)) as served, opened(browser, served) as shown:
        served.stop_console()
        served.start_console()  # which makes another token
        shown.expect("#banner").to_contain_text("the token was not accepted: it is not known", timeout=20_000)
        shown.expect("#banner").to_contain_text("open the address that wsrec printed")
        shown.page.goto(served.url)
        shown.expect("#play").to_be_enabled()
        shown.forgive(
            "401", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE",
            "ERR_CONNECTION_RESET",
        )  # fmt: skip


def test_the_page_is_opened_with_a_json_web_token(browser: Browser, scene: tuple[Path, list[Event]]) -> None:
    with guarded(scene, jwt=JwtRules([hmac_key(SECRET)])) as served:
        served.url = f"{served.url.partition('?')[0]}?token={signed()}"
        with opened(browser, served) as shown:
            shown.expect_rows(served.events)
            shown.press_play()
            shown.expect("#status").to_have_text("playing")


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of a site with an empty page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(timeout=20)
    server.server_close()


ASK = """async ([path, token]) => {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  try {
    const seen = await fetch(`${path}/api/state`, { headers: { Authorization: headers.Authorization } });
    const done = await fetch(`${path}/api/restart`, { method: "POST", headers, body: "{}" });
    return [seen.status, done.status];
  } catch (error) {
    return error.name;
  }
}"""


def test_a_page_of_an_allowed_origin_drives_the_replay_and_another_does_not(
    browser: Browser, scene: tuple[Path, list[Event]], elsewhere: str
) -> None:
    for allowed, token, expected in (
        (elsewhere, TOKEN, [200, 200]),
        (elsewhere, "guessed-wrongly", [401, 401]),
        ("https://desk.example.com", TOKEN, "TypeError"),  # all that the browser tells of what it was refused
    ):
        with guarded(scene, tokens=(TOKEN,), allow_origins=(allowed,)) as served:
            page = browser.new_page()
            page.goto(elsewhere)
            place = urlsplit(served.url)
            assert page.evaluate(ASK, [f"{place.scheme}://{place.netloc}", token]) == expected
            page.close()
