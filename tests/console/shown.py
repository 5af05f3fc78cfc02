"""The page in a browser, and what the browser said about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, LocatorAssertions, Page


class Shown:
    """A page that a browser shows.

    Attributes:
        page: The page.
        complaints: What the browser's console said, broken rules of the content security policy among it.
        requests: What the page asked for.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        page.wait_for_selector(".row:not(.pending)")
        page.wait_for_selector("#legend button")

    def expect(self, selector: str) -> LocatorAssertions:
        """Return what can be expected, and is waited for, of an element."""
        from playwright.sync_api import expect  # where playwright is missing, no test comes as far as here

        return expect(self.page.locator(selector))

    def expect_rows(self, count: int) -> None:
        """Wait until the table has so many rows."""
        self.expect("#grid").to_have_attribute("aria-rowcount", str(count + 1))

    def wait_until(self, condition: str) -> None:
        """Wait until an expression holds in the page."""
        # Not by the driver's own way of waiting: it evaluates texts in the page, which our policy forbids.
        self.wait_for(lambda: self.page.evaluate(condition))

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Wait until something holds of the replay: looked at once a frame, for 10 s at most."""
        for _ in range(600):
            if condition():
                return
            self.page.evaluate("new Promise(requestAnimationFrame)")
        assert condition()

    def forgive(self, *words: str) -> None:
        """Forget complaints with one of these words: the browser logs what the test itself brought about."""
        self.complaints = [said for said in self.complaints if not any(word in said for word in words)]

    def box(self, selector: str) -> FloatRect:
        """Return where an element is."""
        found = self.page.locator(selector).bounding_box()
        assert found is not None
        return found

    def press_play(self) -> None:
        """Press the button that plays and pauses."""
        self.page.click("#play")

    def drag(self, start: float, end: float, *, key: str | None = None) -> None:
        """Drag on the timeline from one share of its width to another, with a key held."""
        box = self.box("#track")
        x = [box["x"] + 10 + share * (box["width"] - 20) for share in (start, end)]
        y = box["y"] + 50
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.move(x[0], y)
        self.page.mouse.down()
        self.page.mouse.move(x[1], y, steps=5)
        self.page.mouse.up()
        if key:
            self.page.keyboard.up(key)

    def row(self, seq: int) -> str:
        """Return the selector of a row of the unfiltered table."""
        return f"#row-{seq}"

    def first_row(self) -> int:
        """Return the number of the row that lies at the top by the scroll bar."""
        return int(self.page.evaluate("Math.floor(document.getElementById('scroller').scrollTop / 24)"))

    def show_event(self, seq: int) -> None:
        """Scroll an event of the unfiltered table into view and choose it."""
        if self.page.get_attribute("#follow", "aria-pressed") == "true":
            self.page.click("#follow")
        top = max(0, seq - 5) * 24
        self.page.evaluate("top => { document.getElementById('scroller').scrollTop = top; }", top)
        self.wait_until(f"document.querySelector('.row').id === 'row-{self.first_row()}'")
        self.page.locator(f"{self.row(seq)}:not(.pending)").click()
        self.expect(".facts small").to_have_text(f"#{seq}")

    def scroll(self, by_px: int) -> None:
        """Turn the wheel over the table."""
        box = self.box("#scroller")
        self.page.mouse.move(box["x"] + 100, box["y"] + 100)
        self.page.mouse.wheel(0, by_px)
