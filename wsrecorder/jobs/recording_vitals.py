"""What there is to measure of a session that is being recorded."""

from __future__ import annotations

from dataclasses import dataclass

from wsrecorder.core.recorder import Recorder
from wsrecorder.jobs.black_box import black_box_of
from wsrecorder.jobs.record_options import FeedState
from wsrecorder.jobs.space import FreeSpace
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
        space: How much is left where it goes.
    """

    feed: str
    recorder: Recorder
    recording: Recording | None
    health: Health
    space: FreeSpace

    def state(self, status: str, now_ns: int) -> FeedState:
        """Return how the recording of a feed stands, for a panel.

        Args:
            status: Of its connection.
            now_ns: Monotonic time.
        """
        recording = self.recording
        box = black_box_of(recording) if recording else None
        latency = recording.latency if recording else None
        percentiles = [latency.percentile_ns(percent) for percent in (50, 99)] if latency else []
        return FeedState(
            status=status,
            messages=self.recorder.messages,
            size_bytes=recording.sink.tally.size_bytes if recording else 0,
            disk_bytes=recording.sink.size_bytes if recording else 0,
            silence_ns=now_ns - self.recorder.last_frame_ns,
            latency_ms=(percentiles[0] / 1e6, percentiles[1] / 1e6)
            if len(percentiles) == 2 and percentiles[0] is not None and percentiles[1] is not None
            else None,
            reconnects=self.health.reconnects,
            gaps=self.recorder.gaps,
            types=dict(recording.sink.tally.types) if recording else {},
            path=recording.sink.path if recording else None,
            ring=box.fill if box else None,
            snapshots=len(box.snapshots) if box else 0,
            snapshots_failed=len(box.failed) if box else 0,
        )
