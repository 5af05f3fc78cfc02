"""The state of everything, as ``/api/state`` and the stream tell it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from wsrecorder.console.scene import Scene
from wsrecorder.core.event import from_epoch_ns

__all__ = ["state_of"]

_VERSION = version("wsrecorder")


def state_of(scene: Scene) -> dict[str, Any]:
    """Return how everything stands; no file is read."""
    end_ns = scene.end_ns
    return {
        "mode": "open",
        "sessions": [msgspec.structs.asdict(facts) for facts in scene.facts],
        "start_ns": 0,
        "end_ns": end_ns,
        "began_at": from_epoch_ns(scene.began_ns).isoformat(),
        "url": None,
        "playbacks": [],
        "clients": 0,
        "faults": [],
        "fault_counts": {},
        "last_event": {"elapsed_ns": end_ns},
        "version": _VERSION,
    }
