"""Live panels on a terminal: how a recording stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from wsrecorder.cli.output import show_bytes, show_count, show_number
from wsrecorder.cli.printable import printable

if TYPE_CHECKING:
    from wsrecorder.jobs.feed_recorder import FeedRecorder
    from wsrecorder.jobs.mishaps import Mishaps
    from wsrecorder.jobs.record_options import FeedState, RecordOptions

__all__ = ["LiveView", "RecordPanel", "facts_table", "record_panel", "show_live"]

_REFRESH_S: Final = 0.25
_SMOOTH: Final = 0.3
"""Weight of the newest rate: the number is readable, and still follows within a second."""

_STATUS_STYLES: Final = {"open": "green", "waiting": "yellow", "connecting": "yellow", "ended": "dim"}


class RecordPanel:
    """Shows how recordings stand, one block each.

    Args:
        options: Of the recordings, in order.
    """

    def __init__(self, options: Sequence[RecordOptions]) -> None:
        self._options = options
        self._recorders: Sequence[FeedRecorder] = ()
        self._rates = [0.0] * len(options)
        self._counts = [0] * len(options)

    def watch(self, recorders: Sequence[FeedRecorder]) -> None:
        """Show these from now on."""
        self._recorders = recorders

    def render(self, interval_s: float) -> RenderableType:
        """Return the panel as of now.

        Args:
            interval_s: Time since it was last rendered, seconds.
        """
        blocks: list[RenderableType] = []
        for index, recorder in enumerate(self._recorders):
            state = recorder.state
            rate = (state.messages - self._counts[index]) / interval_s
            self._counts[index] = state.messages
            self._rates[index] += _SMOOTH * (rate - self._rates[index])
            title = Text(f" {printable(self._options[index].feed.shown_url)} ", style="bold")
            blocks.append(Panel(_record_block(state, self._rates[index]), title=title, title_align="left"))
        is_box = any(options.black_box is not None for options in self._options)
        end = "Ctrl-C ends; SIGUSR1 writes a snapshot" if is_box else "Ctrl-C seals the recording and ends"
        return Group(*blocks, Text(end, style="dim"))


def _record_block(state: FeedState, rate: float) -> RenderableType:
    latency = "–" if state.latency_ms is None else f"p50 {state.latency_ms[0]:.1f} ms  p99 {state.latency_ms[1]:.1f} ms"
    top = sorted(state.types.items(), key=lambda entry: -entry[1])[:5]
    rows: list[tuple[str, str | Text]] = [
        ("state", Text(state.status, style=_STATUS_STYLES.get(state.status, ""))),
        ("rate", f"{rate:,.0f} messages/s"),
        ("total", f"{show_count(state.messages)} messages, {show_bytes(state.size_bytes)}"),
        ("on disk", show_bytes(state.disk_bytes)),
        ("last frame", f"{state.silence_ns / 1e9:.1f} s ago"),
        ("latency", latency),
        ("reconnects", f"{state.reconnects}, {show_number(state.gaps, 'gap')}"),
        ("types", ", ".join(f"{name} {show_count(count)}" for name, count in top) or "–"),
        ("session", str(state.path or "–")),
    ]
    if state.ring is not None:
        ring = f"{show_bytes(state.ring.size_bytes)}, the last {state.ring.span_ns / 1e9:,.0f} s"
        rows[-1:] = [("ring", ring), ("snapshots", show_count(state.snapshots))]
    return facts_table(rows)


def facts_table(rows: Sequence[tuple[str, str | Text]]) -> Table:
    """Return names and values in two columns without lines; what of a text cannot be printed is escaped."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        # Not as markup: what others sent may hold brackets.
        table.add_row(name, Text(printable(value)) if isinstance(value, str) else value)
    return table


@asynccontextmanager
async def record_panel(options: Sequence[RecordOptions], mishaps: Mishaps) -> AsyncIterator[RecordPanel]:
    """Show a panel of recordings on the terminal while the block runs."""
    panel = RecordPanel(options)
    async with show_live(panel.render, mishaps):
        yield panel


class LiveView:
    """Something shown on the terminal that changes; log lines appear above it.

    Args:
        render: Returns what to show now; told the time since it was last asked, seconds.
    """

    def __init__(self, render: Callable[[float], RenderableType]) -> None:
        self._render = render
        self._live: Live | None = None

    def show(self) -> None:
        """Begin to show it, below what is on the terminal; does nothing if it is shown."""
        if self._live is not None:
            return
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=False)
        self._live.start()

    def hide(self) -> None:
        """Leave it as it stands, and the terminal to others."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def refresh(self) -> None:
        """Show how it is now."""
        if self._live is not None:
            self._live.update(self._render(_REFRESH_S), refresh=True)


@asynccontextmanager
async def show_live(render: Callable[[float], RenderableType], mishaps: Mishaps) -> AsyncIterator[LiveView]:
    """Show what is rendered on the terminal while the block runs.

    Args:
        render: Returns what to show now; told the time since it was last asked, seconds.
        mishaps: Takes our mistakes in showing it.
    """
    view = LiveView(render)

    async def refresh() -> None:
        with suppress(OSError):  # the terminal has hung up: the job goes on without it
            while True:
                await asyncio.sleep(_REFRESH_S)
                with mishaps.contain("panel", "it is shown again"):
                    view.refresh()

    view.show()
    task = asyncio.create_task(refresh())
    try:
        yield view
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(OSError), mishaps.contain("panel"):
            view.refresh()
        with suppress(OSError):
            view.hide()
