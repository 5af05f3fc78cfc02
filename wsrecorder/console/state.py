"""The state of everything, as ``/api/state`` and the stream tell it."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any, Final

import msgspec

from wsrecorder.clock import Clock
from wsrecorder.console.scene import Scene
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.replay_options import PlaybackState

__all__ = ["StateReader"]

_VERSION: Final = version("wsrecorder")
_SUMMARY_NS: Final = 1_000_000_000
_MOST_PLAYBACKS: Final = 200


class StateReader:
    """Reads the state; no file is read for it, and what is costly only once a second.

    Args:
        scene: What is shown.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._summaries: dict[str, _Summary] = {}

    def read(self) -> dict[str, Any]:
        """Return how everything stands."""
        scene, replay = self._scene, self._scene.replay
        start_ns, end_ns = scene.window
        playbacks = [] if replay is None else [self.playback(each) for each in replay.playbacks[:_MOST_PLAYBACKS]]
        self._forget({playback["name"] for playback in playbacks})
        return {
            "mode": "open" if replay is None else "replay",
            "sessions": [msgspec.structs.asdict(facts) for facts in scene.facts],
            "start_ns": start_ns,
            "end_ns": end_ns,
            "began_at": from_epoch_ns(scene.began_ns).isoformat(),
            "url": scene.endpoint_url,
            "playbacks": playbacks,
            "clients": 0 if replay is None else len(replay.endpoint.clients),
            "faults": [] if replay is None else [fault.text for fault in replay.faults.active],
            "fault_counts": {} if replay is None else replay.faults.counts,
            "last_event": {"elapsed_ns": scene.end_ns},
            "version": _VERSION,
        }

    def playback(self, playback: Playback) -> dict[str, Any]:
        """Return how a playback stands."""
        state: PlaybackState = playback.state
        summary = self._summaries.setdefault(state.name, _Summary(self._scene.clock))
        error = state.error
        return {
            "name": state.name,
            "status": state.status,
            "position_ns": state.position_ns,
            "seq": state.seq,
            "speed": "max" if math.isinf(state.speed) else state.speed,
            "achieved_speed": _rounded(state.achieved_speed),
            "loop": None if state.loop is None else list(state.loop),
            "frames_sent": state.frames_sent,
            "primed": state.primed,
            "lateness_ms": summary.of(state.lateness),
            "passes": state.passes,
            "error": None if error is None else {"message": error.message, "hint": error.hint},
        }

    def _forget(self, here: set[str]) -> None:
        for name in self._summaries.keys() - here:
            del self._summaries[name]


class _Summary:
    """The summary of a distribution, made anew once a second at most: it sorts all that was counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made_ns: int | None = None
        self._made: dict[str, float | None] | None = None

    def of(self, lateness: Distribution) -> dict[str, float | None] | None:
        now_ns = self._clock.now_ns()
        if self._made_ns is None or now_ns - self._made_ns >= _SUMMARY_NS or self._made is None:
            self._made_ns = now_ns
            self._made = {**lateness.summary_ms(), "count": lateness.count} if lateness.count else None
        return self._made


def _rounded(speed: float | None) -> float | None:
    return None if speed is None else round(speed, 4)
