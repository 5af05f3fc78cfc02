"""The page's transport bar, timeline and keys, against a real replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.console.served import Served
    from tests.console.shown import Shown

SECOND_NS = 1_000_000_000

# Texts whose contrast with what lies behind them is below 4.5 (WCAG 2.2, 1.4.3); what is disabled does not count.
FAINT = """() => {
    const parse = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const light = ([r, g, b]) => [[r, .2126], [g, .7152], [b, .0722]].reduce((sum, [part, weight]) => {
        const share = part / 255;
        return sum + weight * (share <= .04045 ? share / 12.92 : ((share + .055) / 1.055) ** 2.4);
    }, 0);
    const ground = element => {
        const own = parse(getComputedStyle(element).backgroundColor);
        const { parentElement } = element;
        return own[3] === 1 ? own : over(own, parentElement ? ground(parentElement) : [255, 255, 255, 1]);
    };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        const texts = [...element.childNodes].filter(node => node.nodeType === 3);
        const text = texts.map(node => node.data.trim()).join('');
        if (!text || !element.checkVisibility()) continue;
        if (element.matches(':disabled, :disabled *, .sr, svg *, option')) continue;
        const back = ground(element), front = over(parse(getComputedStyle(element).color), back);
        const [high, low] = [light(front), light(back)].sort((one, other) => other - one);
        const ratio = (high + .05) / (low + .05);
        if (ratio < 4.5) faint.push(`${element.className || element.tagName} ${text.slice(0, 20)} ${ratio.toFixed(2)}`);
    }
    return faint;
}"""


def test_play_button_plays_and_pauses(shown: Shown, served: Served) -> None:
    shown.press_play()
    shown.expect("#status").to_have_text("playing")
    shown.expect("#play").to_have_attribute("aria-label", "Pause")
    shown.wait_for(lambda: served.playback.position_ns > 0)
    shown.press_play()
    shown.expect("#status").to_have_text("paused")
    assert served.playback.status == "paused"


def test_drag_on_the_timeline_seeks_where_it_ends(shown: Shown, served: Served) -> None:
    shown.drag(0.2, 0.5)
    shown.wait_for(lambda: served.playback.position_ns > 0)
    length_ns = served.length_ns
    assert served.playback.position_ns == pytest.approx(0.5 * length_ns, abs=0.01 * length_ns)
    shown.wait_until("document.getElementById('elapsed').textContent.startsWith('1:')")


def test_shift_drag_marks_a_loop_and_its_button_takes_it_off(shown: Shown, served: Served) -> None:
    shown.drag(0.25, 0.75, key="Shift")
    shown.expect("#loop").to_have_attribute("aria-pressed", "true")
    loop = served.playback.loop
    assert loop is not None
    assert loop[0] == pytest.approx(0.25 * served.length_ns, abs=0.01 * served.length_ns)
    assert loop[1] == pytest.approx(0.75 * served.length_ns, abs=0.01 * served.length_ns)
    shown.page.click("#loop")
    shown.expect("#loop").to_have_attribute("aria-pressed", "false")
    assert served.playback.loop is None


def test_steps_go_one_event_each_way(shown: Shown, served: Served) -> None:
    shown.drag(0.1, 0.3)
    shown.wait_for(lambda: served.playback.position_ns > 0)
    before_ns = served.playback.position_ns
    shown.page.click("#forward")
    shown.wait_for(lambda: served.playback.position_ns > before_ns)
    first = served.playback.seq
    shown.expect(f"#row-{first}.playhead").to_have_count(1)
    shown.page.click("#forward")
    shown.wait_for(lambda: served.playback.seq == first + 1)
    shown.expect(f"#row-{first + 1}.playhead").to_have_count(1)
    shown.page.click("#back")  # before the last one: it would be the next
    shown.expect(f"#row-{first}.playhead").to_have_count(1)
    shown.page.click("#forward")
    shown.wait_for(lambda: served.playback.seq == first + 1)


def test_speed_is_set_by_buttons_field_and_max(shown: Shown, served: Served) -> None:
    shown.page.click("#faster")
    shown.expect("#speed").to_have_value("2×")
    shown.page.fill("#speed", "2.5")
    shown.page.press("#speed", "Enter")
    shown.wait_for(lambda: served.playback.speed == 2.5)
    shown.expect("#speed").to_have_value("2.5×")
    shown.page.click("#max")
    shown.expect("#max").to_have_attribute("aria-pressed", "true")
    shown.page.click("#slower")
    shown.expect("#speed").to_have_value("1000×")


def test_speed_that_is_none_is_told_with_what_would_be(shown: Shown, served: Served) -> None:
    shown.page.fill("#speed", "fast")
    shown.page.press("#speed", "Enter")
    shown.expect(".toast").to_contain_text("fast is no speed")
    shown.expect(".toast").to_contain_text("0.1 to 1000")
    shown.page.click(".toast button")
    shown.expect(".toast").to_have_count(0)
    assert served.playback.speed == 1.0


def test_keys_are_those_of_the_terminal(shown: Shown, served: Served) -> None:
    press = shown.page.keyboard.press
    press("Space")
    shown.expect("#status").to_have_text("playing")
    press("Space")
    shown.expect("#status").to_have_text("paused")
    before_ns = served.playback.position_ns
    press("]")
    shown.wait_for(lambda: served.playback.position_ns == before_ns + 10 * SECOND_NS)
    press("[")
    shown.wait_for(lambda: served.playback.position_ns == before_ns)
    press("ArrowUp")
    shown.expect("#speed").to_have_value("2×")
    press("ArrowDown")
    shown.expect("#speed").to_have_value("1×")
    press("ArrowRight")
    shown.wait_for(lambda: served.playback.seq is not None)
    press("?")
    shown.expect("#help").to_be_visible()
    press("Escape")
    shown.expect("#help").to_be_hidden()
    press("r")
    shown.wait_for(lambda: served.playback.passes > 1 or served.playback.position_ns < before_ns)


def test_button_that_was_clicked_leaves_the_space_to_the_playback(shown: Shown, served: Served) -> None:
    shown.page.click("#follow")
    shown.page.keyboard.press("Space")
    shown.expect("#status").to_have_text("playing")
    shown.expect("#follow").to_have_attribute("aria-pressed", "false")


def test_keys_typed_into_a_field_control_nothing(shown: Shown, served: Served) -> None:
    shown.page.click("#text")
    shown.page.keyboard.type("r n [ ] ?")
    shown.page.keyboard.press("ArrowUp")
    shown.expect("#text").to_have_value("r n [ ] ?")
    shown.expect("#help").to_be_hidden()
    assert (served.playback.status, served.playback.speed, served.playback.position_ns) == ("paused", 1.0, 0)


def test_timeline_is_a_slider_for_the_keyboard(shown: Shown, served: Served) -> None:
    shown.page.focus("#track")
    shown.page.keyboard.press("End")
    shown.wait_for(lambda: served.playback.position_ns > 0.99 * served.length_ns)
    shown.wait_until("Number(document.getElementById('track').getAttribute('aria-valuenow')) > 100")
    shown.page.keyboard.press("ArrowLeft")
    shown.wait_for(lambda: served.playback.position_ns < 0.995 * served.length_ns)
    assert "UTC" in (shown.page.get_attribute("#track", "aria-valuetext") or "")


def test_wheel_looks_closer_and_double_click_shows_everything(shown: Shown, served: Served) -> None:
    box = shown.box("#track")
    shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    with shown.page.expect_response(lambda answer: "/api/density" in answer.url) as closer:
        shown.page.mouse.wheel(0, -600)
    assert closer.value.json()["from_ns"] > 0
    with shown.page.expect_response(lambda answer: "/api/density" in answer.url) as whole:
        shown.page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 50)
    assert whole.value.json()["from_ns"] == 0
    assert served.playback.position_ns == 0  # a double click seeks nowhere


def test_page_fits_a_small_screen(shown: Shown) -> None:
    assert shown.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        1280,
        720,
    ]
    for part in ("#transport", ".timeline", ".events", ".side"):
        box = shown.box(part)
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1280
        assert box["y"] + box["height"] <= 720


def test_everything_that_can_be_pressed_has_a_name(shown: Shown) -> None:
    nameless = shown.page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, [role=slider], [role=grid], [role=separator]')]
        .filter(each => !(each.getAttribute('aria-label') || each.textContent.trim() || each.labels?.length))
        .map(each => each.id)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["state", "notes", "clients", "faults", "latency", "export"])
def test_text_stands_out_from_its_ground(shown: Shown, scheme: str, tab: str) -> None:
    shown.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    shown.page.click(f"#tab-{tab}")
    assert shown.page.evaluate(FAINT) == []
