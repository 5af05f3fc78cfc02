"""The metrics of commands that run for long: their names, kinds and labels.

Names and units are those of Prometheus's conventions: base units (seconds, bytes), counters end in ``_total``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wsrecorder.core.distribution import Distribution

__all__ = ["BOUNDS_NS", "METRICS", "Measurement", "Metric", "MetricKind"]

BOUNDS_NS: Final = (
    *(round(power * step) for power in (1e5, 1e6, 1e7, 1e8, 1e9) for step in (1, 2.5, 5)),
    10_000_000_000,
)
"""Upper bounds of the buckets of every histogram, ns: 0.1 ms to 10 s."""


class MetricKind(StrEnum):
    """What kind of metric one is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: As it is scraped; a histogram's without ``_bucket``, ``_sum`` and ``_count``.
        kind: Of which kind it is.
        labels: Names of its labels, in order.
        commands: Which commands have it.
        help: What it says.
    """

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    commands: tuple[str, ...]
    help: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of a metric.

    Attributes:
        metric: The metric's name.
        value: Its value; of a histogram the durations.
        labels: Values of its labels, in order.
    """

    metric: str
    value: float | Distribution
    labels: tuple[str, ...] = ()


_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
_RECORD, _TAP, _REPLAY = ("record",), ("tap",), ("replay",)
_ALL, _RECORDING, _SERVING = ("record", "tap", "replay"), ("record", "tap"), ("tap", "replay")
_FEED = ("feed",)

METRICS: Final = tuple(
    Metric(*row)
    for row in (
        ("wsrec_build_info", _GAUGE, ("version",), _ALL, "Always 1; the label names the version that runs."),
        ("wsrec_frames_total", _COUNTER, ("feed", "direction"), _RECORDING, "Frames recorded; in: from the server."),
        ("wsrec_received_bytes_total", _COUNTER, _FEED, _RECORDING, "Payload bytes of frames that came in."),
        ("wsrec_recorded_bytes_total", _COUNTER, _FEED, _RECORDING, "Payload bytes written, both directions."),
        ("wsrec_latency_seconds", _HISTOGRAM, _FEED, _RECORDING, "Received minus sent, by the two clocks; a sample."),
        ("wsrec_gaps_total", _COUNTER, _FEED, _RECORDING, "Times in which frames may have been missed."),
        ("wsrec_lost_frames_total", _COUNTER, _FEED, _RECORDING, "Frames that came while the disk took nothing, lost."),
        ("wsrec_reconnects_total", _COUNTER, _FEED, _RECORD, "Connections to the feed after the first."),
        ("wsrec_losses_total", _COUNTER, _FEED, _RECORD, "Times that the feed was lost, counted at the loss."),
        ("wsrec_connected", _GAUGE, _FEED, _RECORD, "1 while the feed is connected, else 0."),
        ("wsrec_silence_seconds", _GAUGE, _FEED, _RECORD, "Time since the last frame."),
        ("wsrec_queue_batches", _GAUGE, _FEED, _RECORDING, "Batches that wait for the writer."),
        ("wsrec_queue_bytes", _GAUGE, _FEED, _RECORDING, "Memory that waits for the writer; at 16 MiB reading pauses."),
        ("wsrec_sync_seconds", _HISTOGRAM, _FEED, _RECORDING, "Time to write a batch and sync it to the disk."),
        ("wsrec_paused_seconds_total", _COUNTER, _FEED, _RECORDING, "Time for which reading waited for the disk."),
        ("wsrec_longest_stall_seconds", _GAUGE, _FEED, _RECORDING, "Longest time the event loop was held up."),
        ("wsrec_disk_errors_total", _COUNTER, _FEED, _RECORDING, "Times that the disk refused a batch or a segment."),
        ("wsrec_segments_total", _COUNTER, _FEED, _RECORDING, "Segments sealed."),
        ("wsrec_disk_bytes", _GAUGE, _FEED, _RECORDING, "Bytes on disk: segments, and journals not sealed yet."),
        ("wsrec_free_bytes", _GAUGE, _FEED, _RECORDING, "Free on the disk that the recording goes to, or its spool."),
        ("wsrec_min_free_bytes", _GAUGE, _FEED, _RECORD, "What --min-free asks for; 0 is nothing."),
        ("wsrec_ring_bytes", _GAUGE, _FEED, _RECORD, "Bytes on disk of a black box's ring."),
        ("wsrec_ring_seconds", _GAUGE, _FEED, _RECORD, "From its oldest event to its newest."),
        ("wsrec_snapshots_total", _COUNTER, _FEED, _RECORD, "Sessions that a black box wrote."),
        ("wsrec_snapshots_failed_total", _COUNTER, _FEED, _RECORD, "Those that it could not write."),
        ("wsrec_clients", _GAUGE, (), _SERVING, "Clients that are connected."),
        ("wsrec_clients_served_total", _COUNTER, (), _SERVING, "Clients that have come."),
        ("wsrec_clients_refused_total", _COUNTER, ("reason",), _SERVING, "Clients that were not let in, by reason."),
        ("wsrec_added_seconds", _HISTOGRAM, (), _TAP, "From the arrival of a message to its write to the other side."),
        ("wsrec_played_frames_total", _COUNTER, (), _REPLAY, "Frames played, each once however many clients hear it."),
        ("wsrec_sent_frames_total", _COUNTER, (), _REPLAY, "Frames sent to clients, heartbeats left out."),
        ("wsrec_sent_bytes_total", _COUNTER, (), _REPLAY, "Bytes of those on the wire."),
        ("wsrec_buffered_bytes", _GAUGE, (), _SERVING, "Bytes that clients have not taken yet, all together."),
        ("wsrec_client_stalls_total", _COUNTER, (), _REPLAY, "Times that a client's buffer was full."),
        ("wsrec_slow_clients_closed_total", _COUNTER, (), _REPLAY, "Clients closed for lagging too far behind."),
        ("wsrec_lateness_seconds", _HISTOGRAM, (), _REPLAY, "How long after its moment a frame was sent."),
        ("wsrec_faults_injected_total", _COUNTER, ("kind",), _REPLAY, "What was made to go wrong on purpose."),
        ("wsrec_mishaps_total", _COUNTER, ("place",), _ALL, "Errors of our own making, by what each was held to."),
        ("wsrec_playhead_seconds", _GAUGE, (), _REPLAY, "Session time of the playhead that is furthest on."),
    )
)
"""All of them, in the order of the page."""
