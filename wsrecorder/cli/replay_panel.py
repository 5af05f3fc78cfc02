"""The live panel of a replay on a terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.text import Text

from wsrecorder.cli.keyboard import read_keys, terminal_of
from wsrecorder.cli.output import show_count, show_duration, show_speed
from wsrecorder.cli.panel import facts_table, show_live
from wsrecorder.cli.printable import printable
from wsrecorder.cli.replay_keys import KEYS_LINE, ReplayKeys

if TYPE_CHECKING:
    from wsrecorder.jobs.mishaps import Mishaps
    from wsrecorder.jobs.replay import Replay
    from wsrecorder.jobs.replay_options import ReplayState

__all__ = ["ReplayPanel", "replay_panel"]

_NAMES_SHOWN: Final = 5
_STATUS_STYLES: Final = {"playing": "green", "waiting": "yellow", "paused": "yellow", "ended": "dim"}


class ReplayPanel:
    """Shows how a replay stands.

    Args:
        keys: What the keys do; None where there are none.
    """

    def __init__(self, keys: ReplayKeys | None = None) -> None:
        self._keys = keys
        self._replay: Replay | None = None
        self._url = ""
        self._console_url: str | None = None

    def watch(self, replay: Replay, console_url: str | None = None) -> None:
        """Show this one from now on, and where its console is."""
        self._replay = replay
        self._console_url = console_url
        self._url = replay.url  # gone when it has ended
        if self._keys is not None:
            self._keys.control(replay)

    def render(self, interval_s: float) -> RenderableType:
        """Return the panel as of now.

        Args:
            interval_s: Time since it was last rendered, seconds.
        """
        if self._replay is None:
            return Text("reading the session …", style="dim")
        state = self._replay.state
        shown = Group(_facts(state, self._playbacks()), _bar(state))
        panel = Panel(shown, title=Text(f" {self._url} ", style="bold"), title_align="left")
        if self._keys is None:
            return Group(panel, Text("Ctrl-C ends the replay", style="dim"))
        said = Text(printable(self._keys.said), style="red" if self._keys.is_refused else "cyan")
        return Group(panel, Text(KEYS_LINE, style="dim"), said)

    def _playbacks(self) -> list[tuple[str, str]]:
        """Return rows of what there is not always to say: a loop, several playbacks, faults, a console."""
        found = [] if self._replay is None else self._replay.playbacks
        loops = [playback.state.loop for playback in found]
        rows = [("loop", f"{show_duration(a)} to {show_duration(b)}") for a, b in filter(None, loops[:1])]
        if len(found) > 1:
            names = ", ".join(playback.name for playback in found[:_NAMES_SHOWN])
            more = f" and {len(found) - _NAMES_SHOWN} more" if len(found) > _NAMES_SHOWN else ""
            rows.append(("playbacks", f"{names}{more}"))
        if self._replay is not None and (faults := self._replay.faults.active):
            rows.append(("faults", ", ".join(fault.text for fault in faults)))
        if self._console_url is not None:
            rows.append(("console", self._console_url))
        return rows


def _facts(state: ReplayState, more: Sequence[tuple[str, str]]) -> RenderableType:
    late = state.lateness.summary_ms()
    achieved = "" if state.achieved_speed is None else f", achieved {show_speed(state.achieved_speed)}"
    lateness = (
        f"p50 {late['p50']:.2f} ms  p99 {late['p99']:.2f} ms  max {late['max']:.2f} ms" if state.lateness.count else "–"
    )
    return facts_table(
        [
            ("state", Text(state.status, style=_STATUS_STYLES.get(state.status, ""))),
            ("position", f"{show_duration(state.position_ns)} of {show_duration(state.end_ns)}"),
            ("speed", f"{show_speed(state.speed)}{achieved}"),
            ("frames", show_count(state.frames_sent)),
            ("clients", str(state.clients)),
            ("lateness", lateness),
            *more,
        ]
    )


def _bar(state: ReplayState) -> ProgressBar:
    # A session that still grows is played past the end it had at first.
    length_ns = max(1, state.end_ns - state.start_ns)
    return ProgressBar(total=length_ns, completed=min(length_ns, max(0, state.position_ns - state.start_ns)))


@asynccontextmanager
async def replay_panel(stop: asyncio.Event, match: str | None, mishaps: Mishaps) -> AsyncIterator[ReplayPanel]:
    """Show a panel on the terminal while the block runs, and do what its keys say.

    Args:
        stop: Set by the key that ends the replay; set by others, keys are read no more.
        match: SQL expression that a key looks for; None where there is none.
        mishaps: Takes our mistakes.
    """
    terminal = terminal_of(sys.stdin)
    if terminal is None:
        panel = ReplayPanel()
        async with show_live(panel.render, mishaps):
            yield panel
        return
    keys = ReplayKeys(stop, match, mishaps)
    panel = ReplayPanel(keys)
    async with (
        show_live(panel.render, mishaps) as view,
        keys.at_work(),
        read_keys(terminal, keys.press, stop, on_away=view.hide, on_back=view.show),
    ):
        yield panel
