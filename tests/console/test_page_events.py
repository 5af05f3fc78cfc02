"""The page's table of events and the payload of one, against a real replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.console.scenes import BIG, HOSTILE

if TYPE_CHECKING:
    from tests.console.served import Served
    from tests.console.shown import Shown


def test_table_holds_as_many_rows_as_fit_of_all_there_are(shown: Shown, served: Served) -> None:
    shown.expect("#grid").to_have_attribute("aria-rowcount", str(served.events + 1))
    assert shown.page.locator(".row").count() < 30
    shown.page.focus("#grid")
    shown.page.keyboard.press("End")
    shown.expect(".row.selected .c-seq").to_have_text(str(served.events - 1))


def test_types_are_chosen_in_the_menu_and_in_the_legend(shown: Shown, served: Served) -> None:
    shown.page.click("#types-button")
    every = {event.type for event in served.known if event.type}
    shown.expect("#types-menu label").to_have_count(len(every))  # the rare ones too, whatever rows were seen
    shown.page.get_by_role("checkbox", name="SIGNAL").check()
    shown.expect_rows(served.count(type="SIGNAL"))
    shown.expect("#types-button").to_have_text("SIGNAL")
    shown.page.keyboard.press("Escape")
    shown.expect("#types-menu").to_be_hidden()
    shown.page.click("#legend button[data-type='ENGINE_UPDATE']")
    shown.expect_rows(served.count(type="SIGNAL") + served.count(type="ENGINE_UPDATE"))
    shown.page.click("#clear")
    shown.expect_rows(served.events)


def test_text_and_expression_narrow_what_is_shown(shown: Shown, served: Served) -> None:
    shown.page.fill("#text", "BTC/USDT")
    shown.expect_rows(served.count(text="BTC/USDT"))
    shown.page.fill("#where", "type = 'SIGNAL'")
    shown.page.press("#where", "Enter")
    shown.expect_rows(served.count(type="SIGNAL", text="BTC/USDT"))


def test_error_of_an_expression_stands_at_its_field(shown: Shown, served: Served) -> None:
    shown.page.fill("#where", "nonsense = 1")
    shown.page.press("#where", "Enter")
    shown.expect("#where-error").to_be_visible()
    shown.expect("#where-error").to_contain_text("nonsense")
    shown.expect("#where").to_have_attribute("aria-invalid", "true")
    assert shown.page.inner_text("#where-error small")  # what to do about it
    shown.page.fill("#where", "type = 'SIGNAL'")
    shown.page.press("#where", "Enter")
    shown.expect("#where-error").to_be_hidden()
    shown.expect_rows(served.count(type="SIGNAL"))
    shown.forgive("400 (Bad Request)", "422 (Unprocessable")  # the browser itself logs the refusal


def test_filter_that_lets_nothing_through_says_so(shown: Shown) -> None:
    shown.page.fill("#text", "there is no such word")
    shown.expect("#grid-empty").to_have_text("No event passes the filter")


def test_next_match_goes_to_the_next_event_that_passes(shown: Shown, served: Served) -> None:
    shown.page.fill("#where", "type = 'SIGNAL'")
    shown.page.press("#where", "Enter")
    shown.expect_rows(served.count(type="SIGNAL"))
    shown.page.press("#where", "Escape")
    shown.page.keyboard.press("n")
    first = served.first(type="SIGNAL")
    shown.wait_for(lambda: served.playback.position_ns == first.elapsed_ns)
    shown.expect(".row.selected .c-seq").to_have_text(str(first.seq))


def test_payload_of_a_row_is_shown_as_tree_and_raw(shown: Shown, served: Served) -> None:
    event = served.first(type="ORDER_PLACED")
    shown.show_event(event.seq)
    shown.expect(".facts h2").to_contain_text("ORDER_PLACED")
    shown.expect(".tree").to_contain_text('"symbol"')
    shown.page.get_by_role("button", name="Raw").click()
    assert shown.page.inner_text("pre.raw") == event.text
    shown.page.get_by_role("button", name="Tree").click()
    shown.page.focus(".tree li")
    shown.page.keyboard.press("ArrowLeft")
    shown.expect(".tree > li").to_have_attribute("aria-expanded", "false")
    shown.page.keyboard.press("ArrowRight")
    shown.expect(".tree > li").to_have_attribute("aria-expanded", "true")


def test_seek_here_goes_to_the_event(shown: Shown, served: Served) -> None:
    event = served.first(type="ORDER_PLACED")
    shown.show_event(event.seq)
    shown.page.get_by_role("button", name="Seek here").click()
    shown.wait_for(lambda: served.playback.position_ns == event.elapsed_ns)


def test_text_of_a_payload_is_only_ever_text(shown: Shown, served: Served) -> None:
    event = served.first(type=HOSTILE)
    shown.show_event(event.seq)
    shown.expect(".facts h2").to_contain_text(HOSTILE)
    shown.expect(".tree").to_contain_text("<img src=x onerror=")
    shown.page.get_by_role("button", name="Raw").click()
    assert shown.page.inner_text("pre.raw") == event.text
    assert shown.page.evaluate("window.bitten") is None
    assert shown.page.locator("main :is(img, script, b), .side :is(img, script)").count() == 0


def test_large_integers_and_nan_stand_as_they_were_sent(shown: Shown, served: Served) -> None:
    shown.show_event(served.first(type=BIG).seq)
    shown.expect(".tree").to_contain_text("12345678901234567890")
    shown.expect(".tree").to_contain_text("NaN")
    shown.expect(".tree").to_contain_text("1.10")


def test_gap_is_marked_by_colour_and_by_sign(shown: Shown, served: Served) -> None:
    gap = served.first(kind="gap")
    shown.show_event(gap.seq)
    shown.expect(f"{shown.row(gap.seq)}.gap").to_have_count(1)
    after = shown.row(gap.seq + 2)  # the connection is open again, and the first event
    shown.expect(f"{after}.after-gap .c-mark").to_have_text("⚠")


def test_table_follows_the_playhead_until_somebody_scrolls(shown: Shown, served: Served) -> None:
    shown.expect("#follow").to_have_attribute("aria-pressed", "true")
    shown.drag(0.2, 0.6)
    shown.wait_until("Number(document.querySelector('.row .c-seq').textContent) > 1000")
    shown.expect(".row.playhead").to_have_count(1)
    top = int(shown.page.evaluate("document.getElementById('scroller').scrollTop"))
    shown.scroll(-500)
    shown.wait_until(f"document.getElementById('scroller').scrollTop <= {top - 499}")  # it rolls out
    shown.expect("#follow").to_have_attribute("aria-pressed", "false")
    before = shown.page.inner_text(".row:not([hidden]) .c-seq >> nth=5")
    shown.drag(0.6, 0.1)
    shown.wait_for(lambda: 0 < served.playback.position_ns < 0.2 * served.length_ns)
    assert shown.page.inner_text(".row:not([hidden]) .c-seq >> nth=5") == before
    shown.page.keyboard.press("f")
    shown.expect(".row.playhead").to_have_count(1)
