"""What there is to measure of a session that is being recorded."""

from __future__ import annotations

from dataclasses import dataclass

from wsrecorder.core.recorder import Recorder
from wsrecorder.store.manifest import Health
from wsrecorder.store.recording import Recording

__all__ = ["RecordingVitals"]


@dataclass(frozen=True, slots=True)
class RecordingVitals:
    """What metrics of a recording are made of; to be read on the event loop, which writes it.

    Attributes:
        feed: URL of the feed or server, without credentials.
        recorder: Counts what came.
        recording: Writes it; None until there is a session.
        health: How it fares.
    """

    feed: str
    recorder: Recorder
    recording: Recording | None
    health: Health
