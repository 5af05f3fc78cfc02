"""What there is to tell of a job that runs: its measurements, whether it works, whether it is ready.

It reads counters that the job keeps anyway. Everything here is to be called on the event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from wsrecorder.errors import WsrecError
from wsrecorder.jobs.metrics import Measurement
from wsrecorder.jobs.recording_vitals import RecordingVitals
from wsrecorder.net.turned_away import Cause

if TYPE_CHECKING:  # a recorder has no use for what replays
    from wsrecorder.jobs.feed_recorder import FeedRecorder
    from wsrecorder.jobs.replay import Replay
    from wsrecorder.jobs.tap import TapJob
    from wsrecorder.jobs.two_way import TwoWayReplay

__all__ = ["RecordVitals", "ReplayVitals", "TapVitals", "Vitals"]

_STATUS: Final = {"waiting": "waiting to reconnect"}


class Vitals(Protocol):
    """What there is to tell of a job."""

    def measurements(self) -> Iterator[Measurement]:
        """Yield what is measured."""
        ...

    def trouble(self) -> str | None:
        """Return why it does not do its work any more; None while it does."""
        ...

    def unready(self) -> str | None:
        """Return what it waits for before it can do its work; None when it does it."""
        ...


class RecordVitals:
    """What there is to tell of recordings.

    Args:
        recorders: One for each feed.
    """

    def __init__(self, recorders: Sequence[FeedRecorder]) -> None:
        self._recorders = recorders

    def measurements(self) -> Iterator[Measurement]:
        """Yield what is measured, each with its feed."""
        seen: Counter[str] = Counter()
        for recorder in self._recorders:
            vitals, state = recorder.vitals, recorder.state
            seen[vitals.feed] += 1  # one feed recorded twice: no two series may have the same labels
            feed = vitals.feed if seen[vitals.feed] == 1 else f"{vitals.feed} ({seen[vitals.feed]})"
            received = vitals.recorder.received
            yield Measurement("wsrec_frames_total", received, (feed, "in"))
            yield Measurement("wsrec_frames_total", vitals.recorder.messages - received, (feed, "out"))
            yield Measurement("wsrec_reconnects_total", state.reconnects, (feed,))
            lost = vitals.recorder.connections - int(vitals.recorder.is_open)  # also where it is back by now
            yield Measurement("wsrec_losses_total", lost, (feed,))
            yield Measurement("wsrec_min_free_bytes", vitals.space.least_bytes, (feed,))
            yield Measurement("wsrec_connected", int(state.status == "open"), (feed,))
            yield Measurement("wsrec_silence_seconds", state.silence_ns / 1e9, (feed,))
            yield from _of_recording(vitals, feed)
            if state.ring is not None:
                yield Measurement("wsrec_ring_bytes", state.ring.size_bytes, (feed,))
                yield Measurement("wsrec_ring_seconds", state.ring.span_ns / 1e9, (feed,))
                yield Measurement("wsrec_snapshots_total", state.snapshots, (feed,))
                yield Measurement("wsrec_snapshots_failed_total", state.snapshots_failed, (feed,))

    def trouble(self) -> str | None:
        """Return which recording has failed, and why; None while all go on."""
        for recorder in self._recorders:
            if recorder.mistake is not None:
                return recorder.mistake.message
        return next(filter(None, (_trouble_of(recorder.vitals) for recorder in self._recorders)), None)

    def unready(self) -> str | None:
        """Return which feed is not connected, or which disk takes nothing; None when all is well."""
        for recorder in self._recorders:
            if (refused := _refusal_of(recorder.vitals)) is not None:
                return refused
            if (never := recorder.reaching.refusal) is not None:
                return f"{never.message}; it is tried again"
            if (status := recorder.state.status) != "open":
                return f"{recorder.vitals.feed}: {_STATUS.get(status, status)}"
        return None


class TapVitals:
    """What there is to tell of a tap.

    Args:
        job: A tap that listens.
    """

    def __init__(self, job: TapJob) -> None:
        self._job = job

    def measurements(self) -> Iterator[Measurement]:
        """Yield what is measured."""
        state, vitals = self._job.state, self._job.vitals
        yield Measurement("wsrec_frames_total", state.messages_in, (vitals.feed, "in"))
        yield Measurement("wsrec_frames_total", state.messages_out, (vitals.feed, "out"))
        yield from _of_recording(vitals, vitals.feed)
        yield Measurement("wsrec_clients", len(state.clients))
        yield Measurement("wsrec_clients_served_total", state.clients_served)
        yield from _of_refused(state.refused)
        yield Measurement("wsrec_buffered_bytes", sum(client.waiting_bytes for client in state.clients))
        yield Measurement("wsrec_added_seconds", state.added)

    def trouble(self) -> str | None:
        """Return why its writer has failed; None while it works."""
        return _trouble_of(self._job.vitals)

    def unready(self) -> str | None:
        """Return what the disk says when it takes nothing; there is no word of a tap before it listens."""
        return _refusal_of(self._job.vitals)


class ReplayVitals:
    """What there is to tell of a replay.

    Args:
        running: A replay that serves.
    """

    def __init__(self, running: Replay | TwoWayReplay) -> None:
        self._running = running

    def measurements(self) -> Iterator[Measurement]:
        """Yield what is measured."""
        state, endpoint = self._running.state, self._running.endpoint
        here = [client.stats() for client in endpoint.clients]
        gone = endpoint.departed
        yield Measurement("wsrec_clients", len(here))
        yield Measurement("wsrec_clients_served_total", endpoint.clients_served)
        yield from _of_refused(endpoint.turned_away.by_reason())
        yield Measurement("wsrec_played_frames_total", state.frames_sent)
        yield Measurement("wsrec_sent_frames_total", gone.frames_sent + sum(client.frames_sent for client in here))
        yield Measurement("wsrec_sent_bytes_total", gone.bytes_sent + sum(client.bytes_sent for client in here))
        yield Measurement("wsrec_client_stalls_total", gone.stalls + sum(client.stalls for client in here))
        yield Measurement("wsrec_buffered_bytes", sum(client.buffered_bytes for client in here))
        yield Measurement("wsrec_slow_clients_closed_total", endpoint.slow_closed)
        yield Measurement("wsrec_lateness_seconds", state.lateness)
        yield Measurement("wsrec_playhead_seconds", state.position_ns / 1e9)
        for kind, count in self._running.faults.counts.items():
            yield Measurement("wsrec_faults_injected_total", count, (kind,))

    def trouble(self) -> str | None:
        """Return why it cannot play on; None while it can."""
        return None if self._running.error is None else _words(self._running.error)

    def unready(self) -> str | None:
        """Return None: there is no word of it before it serves."""
        return None


def _of_recording(vitals: RecordingVitals, feed: str) -> Iterator[Measurement]:
    labels = (feed,)
    yield Measurement("wsrec_received_bytes_total", vitals.recorder.received_bytes, labels)
    yield Measurement("wsrec_lost_frames_total", vitals.recorder.lost_frames, labels)
    yield Measurement("wsrec_gaps_total", vitals.recorder.gaps, labels)
    yield Measurement("wsrec_paused_seconds_total", vitals.health.paused_ms / 1e3, labels)
    yield Measurement("wsrec_longest_stall_seconds", round(vitals.health.longest_stall_ms / 1e3, 6), labels)
    if vitals.space.free_bytes is not None:
        yield Measurement("wsrec_free_bytes", vitals.space.free_bytes, labels)
    recording = vitals.recording
    if recording is None:
        return  # there is no session yet
    batches, queued_bytes = recording.queued
    yield Measurement("wsrec_recorded_bytes_total", recording.sink.tally.size_bytes, labels)
    yield Measurement("wsrec_latency_seconds", recording.latency, labels)
    yield Measurement("wsrec_queue_batches", batches, labels)
    yield Measurement("wsrec_queue_bytes", queued_bytes, labels)
    yield Measurement("wsrec_sync_seconds", recording.writing, labels)
    yield Measurement("wsrec_disk_errors_total", recording.disk_errors, labels)
    yield Measurement("wsrec_segments_total", len(recording.sink.manifest.segments), labels)
    yield Measurement("wsrec_disk_bytes", recording.sink.size_bytes, labels)


def _of_refused(refused: Mapping[str, int]) -> Iterator[Measurement]:
    # All of them from the start: what springs from nothing to 5 has not increased, to whoever asks for rates.
    for cause in Cause:
        yield Measurement("wsrec_clients_refused_total", refused.get(cause.value, 0), (cause.value,))


def _trouble_of(vitals: RecordingVitals) -> str | None:
    error = vitals.recording.error if vitals.recording is not None else None
    return None if error is None else f"{vitals.feed}: the writer has ended: {_words(error)}"


def _refusal_of(vitals: RecordingVitals) -> str | None:
    refusal = vitals.recording.refusal if vitals.recording is not None else None
    return None if refusal is None else f"{vitals.feed}: the disk takes nothing for now: {_words(refusal)}"


def _words(error: BaseException) -> str:
    return error.message if isinstance(error, WsrecError) else repr(error)
