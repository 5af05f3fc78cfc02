"""The page when its server goes away, and where a session is only looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.console.served import Served
    from tests.console.shown import Shown


def test_lost_server_is_told_and_its_return_needs_no_hand(shown: Shown, served: Served) -> None:
    served.stop_console()
    shown.expect("#banner").to_be_visible()
    shown.expect("#banner").to_contain_text("wsrec does not answer")
    shown.expect("#play").to_be_disabled()
    shown.page.click("#tab-notes")
    shown.expect("#note-text").to_be_disabled()
    served.start_console()
    shown.expect("#banner").to_be_hidden(timeout=20_000)
    shown.expect("#play").to_be_enabled()
    shown.expect("#note-text").to_be_enabled()
    shown.press_play()
    shown.expect("#status").to_have_text("playing")
    shown.forgive(
        "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"
    )


def test_looking_only_has_no_transport_and_moves_the_table(looking: Shown) -> None:
    looking.expect("#play").to_be_hidden()
    looking.expect("#tab-faults").to_be_hidden()
    looking.expect("#feed").to_have_text("ws://localhost:8000/ws/")
    looking.drag(0.2, 0.5)
    looking.wait_until("document.getElementById('elapsed').textContent.startsWith('1:')")
    looking.wait_until("Number(document.querySelector('.row:not([hidden]) .c-seq').textContent) > 500")
