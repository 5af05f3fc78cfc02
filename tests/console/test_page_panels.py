"""The page's panels, against a real replay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.console.served import Served
    from tests.console.shown import Shown


def test_state_is_that_at_the_playhead(shown: Shown, served: Served) -> None:
    shown.expect("#panel-state .engine b").to_have_text("–")
    shown.drag(0.2, 0.5)
    shown.wait_until("document.querySelector('#panel-state .engine b').textContent.length > 3")
    shown.wait_until("document.querySelector('#panel-state h2 small').textContent.includes('1:')")


def test_note_is_written_at_the_playhead_and_led_back_to(shown: Shown, served: Served) -> None:
    shown.drag(0.2, 0.5)
    shown.wait_for(lambda: served.playback.position_ns > 0)
    at_ns = served.playback.position_ns
    shown.page.click("#tab-notes")
    shown.page.fill("#note-text", "the spread <b>widened</b>")
    shown.page.get_by_role("button", name="Add").click()
    shown.expect("#panel-notes .items .what").to_have_text("the spread <b>widened</b>")
    shown.drag(0.5, 0.1)
    shown.wait_for(lambda: served.playback.position_ns < at_ns)
    shown.page.click("#panel-notes .items .link")
    shown.wait_for(lambda: served.playback.position_ns == at_ns)


def test_fault_is_added_counted_and_taken_away(shown: Shown, served: Served) -> None:
    shown.page.click("#tab-faults")
    shown.expect("#panel-faults .empty").to_be_visible()
    shown.page.select_option("#fault-kind", "drop")
    shown.page.fill("#fault-value", "10%")
    shown.page.fill("#fault-types", "SIGNAL")
    shown.page.get_by_role("button", name="Add").click()
    shown.expect("#panel-faults code").to_have_text("drop=10%@SIGNAL")
    shown.expect("#active-faults").to_contain_text("drop=10%@SIGNAL")
    assert [fault.text for fault in served.replay.faults.active] == ["drop=10%@SIGNAL"]
    shown.page.get_by_role("button", name="Remove drop=10%@SIGNAL").click()
    shown.expect("#panel-faults .empty").to_be_visible()
    shown.expect("#active-faults").to_be_hidden()
    assert list(served.replay.faults.active) == []


def test_to_refuse_goes_with_the_disconnect_that_it_follows(shown: Shown, served: Served) -> None:
    shown.page.click("#tab-faults")
    for kind in ("drop", "disconnect", "refuse"):
        shown.page.select_option("#fault-kind", kind)
        shown.page.get_by_role("button", name="Add").click()
        shown.expect("#panel-faults ul").to_contain_text(kind)
    shown.page.click("button[aria-label^='Remove disconnect']")
    shown.expect("#panel-faults code").to_have_text(["drop=1%"])
    shown.page.click("button[aria-label^='Remove drop']")
    shown.expect("#panel-faults .empty").to_be_visible()


def test_fault_that_is_none_is_told_and_changes_nothing(shown: Shown, served: Served) -> None:
    shown.page.click("#tab-faults")
    shown.page.fill("#fault-value", "much")
    shown.page.get_by_role("button", name="Add").click()
    shown.expect(".toast").to_contain_text("much")
    assert list(served.replay.faults.active) == []
    shown.forgive("400 (Bad Request)", "422 (Unprocessable")


def test_clients_are_listed_and_let_go(shown: Shown, served: Served) -> None:
    shown.page.click("#tab-clients")
    shown.expect("#panel-clients .empty").to_contain_text(served.replay.url)
    client = served.connect()
    shown.expect("#panel-clients .client").to_have_count(1)
    shown.expect("#clients-count").to_have_text("1")
    shown.page.get_by_role("button", name="Disconnect").click()
    shown.expect("#panel-clients .client").to_have_count(0)
    assert client.close_code() == 1000


def test_latency_is_drawn_only_when_it_is_looked_at(shown: Shown) -> None:
    assert not any("plotly" in url for url in shown.requests)
    shown.page.click("#tab-latency")
    shown.expect("#panel-latency .scatterlayer .point").not_to_have_count(0)
    shown.expect("#panel-latency table").to_contain_text("SIGNAL")


def test_selection_is_exported_as_a_file(shown: Shown, served: Served, tmp_path: Path) -> None:
    shown.page.click("#tab-export")
    shown.page.fill("#export-types", "SIGNAL")
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "selection")
    lines = (tmp_path / "selection").read_text().splitlines()
    assert len([line for line in lines if "SIGNAL" in line]) == served.count(type="SIGNAL")


def test_what_cannot_be_exported_is_told(shown: Shown) -> None:
    shown.page.click("#tab-export")
    shown.page.fill("#export-where", "nonsense = 1")
    shown.page.get_by_role("button", name="Download").click()
    shown.expect(".toast").to_contain_text("nonsense")
    shown.page.fill("#export-from", "soon")
    shown.page.get_by_role("button", name="Download").click()
    shown.expect(".toast >> nth=1").to_contain_text("soon is no time")
    shown.forgive("400 (Bad Request)", "422 (Unprocessable")
