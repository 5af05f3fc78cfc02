"""A live panel on a terminal: how a tap stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from wsrecorder.cli.output import show_bytes, show_count, show_number
from wsrecorder.cli.panel import facts_table, show_live

if TYPE_CHECKING:
    from wsrecorder.core.distribution import Distribution
    from wsrecorder.jobs.mishaps import Mishaps
    from wsrecorder.jobs.tap import TapJob
    from wsrecorder.jobs.tap_options import TapClient, TapState

__all__ = ["TapPanel", "tap_panel"]

_MOST_CLIENTS: Final = 8
_SMOOTH: Final = 0.3
"""Weight of the newest rate: the number is readable, and still follows within a second."""


class TapPanel:
    """Shows how a tap stands."""

    def __init__(self) -> None:
        self._job: TapJob | None = None
        self._count = 0
        self._rate = 0.0

    def watch(self, job: TapJob) -> None:
        """Show this from now on."""
        self._job = job

    def render(self, interval_s: float) -> RenderableType:
        """Return the panel as of now.

        Args:
            interval_s: Time since it was last rendered, seconds.
        """
        if self._job is None:
            return Text("starting", style="dim")
        state = self._job.state
        count = state.messages_in + state.messages_out
        self._rate += _SMOOTH * ((count - self._count) / interval_s - self._rate)
        self._count = count
        title = Text(f" {state.shown_url} → {self._job.shown_upstream} ", style="bold")
        return Panel(
            facts_table(_rows(state, self._rate)),
            title=title,
            title_align="left",
            subtitle="Ctrl-C closes the clients (1012), seals the recording and ends",
            subtitle_align="left",
        )


def _rows(state: TapState, rate: float) -> list[tuple[str, str | Text]]:
    top = sorted(state.types.items(), key=lambda entry: -entry[1])[:5]
    rows: list[tuple[str, str | Text]] = [
        ("connections", _connections(state)),
        ("rate", f"{rate:,.0f} messages/s"),
        ("total", f"{show_count(state.messages_in)} in, {show_count(state.messages_out)} out"),
        ("added", _added(state.added)),
        ("payload", f"{show_bytes(state.size_bytes)}, {show_bytes(state.disk_bytes)} on disk"),
        ("gaps", show_number(state.gaps, "gap")),
        ("types", ", ".join(f"{name} {show_count(number)}" for name, number in top) or "–"),
        ("session", str(state.path or "– (begins with the first client)")),
    ]
    rows += [(f"conn {client.conn}", _client(client)) for client in state.clients[:_MOST_CLIENTS]]
    if len(state.clients) > _MOST_CLIENTS:
        rows.append(("", f"and {len(state.clients) - _MOST_CLIENTS:,} more"))
    return rows


def _connections(state: TapState) -> Text:
    words = f"{len(state.clients):,} open of {show_count(state.clients_served)}"
    if state.refused:
        words += f", {show_count(sum(state.refused.values()))} refused"
    return Text(words, style="green" if state.clients else "yellow")


def _added(added: Distribution) -> str:
    p50, p99, longest = added.percentile_ns(50), added.percentile_ns(99), added.max_ns
    if p50 is None or p99 is None:
        return "–"
    return f"latency p50 {p50 / 1e6:.3f} ms  p99 {p99 / 1e6:.3f} ms  max {longest / 1e6:.1f} ms"


def _client(client: TapClient) -> str:
    words = f"{client.address} {client.target}  {client.messages_in:,} in, {client.messages_out:,} out"
    return f"{words}, {show_bytes(client.waiting_bytes)} waiting" if client.waiting_bytes else words


@asynccontextmanager
async def tap_panel(mishaps: Mishaps) -> AsyncIterator[TapPanel]:
    """Show a panel of a tap on the terminal while the block runs."""
    panel = TapPanel()
    async with show_live(panel.render, mishaps):
        yield panel
