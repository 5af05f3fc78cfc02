"""Metrics keep to Prometheus's conventions, to their documentation, and to what was counted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families as families_of

from wsrecorder.core.distribution import Distribution
from wsrecorder.core.event import Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.errors import StorageError
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.metrics import METRICS, Measurement, MetricKind
from wsrecorder.jobs.metrics_page import metrics_page
from wsrecorder.jobs.record_options import FeedState
from wsrecorder.jobs.recording_vitals import RecordingVitals
from wsrecorder.jobs.space import FreeSpace
from wsrecorder.jobs.vitals import RecordVitals
from wsrecorder.store.manifest import Health

PAGE = Path(__file__).parents[2] / "docs/operations.md"
FEED = "ws://feed/ws/"


def recorder(
    status: str = "open", error: StorageError | None = None, url: str = FEED, refusal: StorageError | None = None,
    space: FreeSpace | None = None,
) -> FeedRecorder:  # fmt: skip
    """A recorder that has taken two frames of three bytes and sent one of five, and written one."""
    counts = Recorder(Limits(), 0)
    counts.opened(0, {})
    counts.frame(b"abc", Opcode.TEXT, 1)
    counts.sent(b"hello", Opcode.TEXT, 2)
    counts.take(0)
    counts.frame(b"def", Opcode.TEXT, 3)
    if status != "open":
        counts.closed(4, code=1006, reason="", cause="cut")
    sink = SimpleNamespace(
        tally=SimpleNamespace(size_bytes=3), manifest=SimpleNamespace(segments=[1, 2]), size_bytes=1_000
    )
    recording = SimpleNamespace(
        error=error,
        refusal=refusal,
        disk_errors=7,
        queued=(2, 300),
        sink=sink,
        latency=Distribution([2_000_000]),
        writing=Distribution([400_000] * 3),
    )
    health = Health(paused_ms=1_500, longest_stall_ms=20)
    vitals = RecordingVitals(url, counts, cast(Any, recording), health, space or FreeSpace(500, 2_000))
    state = FeedState(status, 3, 3, 1_000, 5_000_000_000, None, 4, 0, {}, None)
    return cast(
        FeedRecorder, SimpleNamespace(vitals=vitals, state=state, mistake=None, reaching=SimpleNamespace(refusal=None))
    )


def scraped(page: bytes) -> dict[str, float]:
    """Every sample's value, by its name and labels as they stand on the page."""
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in families_of(page.decode())
        for sample in family.samples
    }


def test_the_documented_metrics_are_those_there_are() -> None:
    rows = re.findall(r"^\| `(wsrec_\w+)` \| (\w+) \| (.*?) ?\| ([\w, ]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    documented = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)), of, what) for name, kind, labels, of, what in rows
    ]
    assert documented == [
        (metric.name, str(metric.kind), metric.labels, ", ".join(metric.commands), metric.help) for metric in METRICS
    ]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_say_unit_and_kind_as_prometheus_wants_it(metric: Any) -> None:
    assert re.fullmatch(r"wsrec_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not re.search(r"_(ms|ns|us|minutes|kb|mb|count|sum|bucket)(_|$)", metric.name)
    if metric.kind is MetricKind.HISTOGRAM:
        assert metric.name.endswith("_seconds")


def test_no_two_metrics_share_a_name() -> None:
    families = Counter(metric.name.removesuffix("_total") for metric in METRICS)
    assert families.most_common(1)[0][1] == 1


def test_a_page_holds_what_was_counted() -> None:
    found = scraped(metrics_page(RecordVitals([recorder()]).measurements(), "record", "1.2.3"))
    feed = f",feed={FEED}"
    assert found["wsrec_build_info,version=1.2.3"] == 1
    assert found[f"wsrec_frames_total,direction=in{feed}"] == 2
    assert found[f"wsrec_frames_total,direction=out{feed}"] == 1
    assert found[f"wsrec_received_bytes_total{feed}"] == 6
    assert found[f"wsrec_recorded_bytes_total{feed}"] == 3
    assert found[f"wsrec_reconnects_total{feed}"] == 4
    assert (found[f"wsrec_free_bytes{feed}"], found[f"wsrec_min_free_bytes{feed}"]) == (2_000, 500)
    assert found[f"wsrec_losses_total{feed}"] == 0
    assert found[f"wsrec_silence_seconds{feed}"] == 5
    assert found[f"wsrec_queue_batches{feed}"] == 2
    assert found[f"wsrec_queue_bytes{feed}"] == 300
    assert found[f"wsrec_paused_seconds_total{feed}"] == 1.5
    assert found[f"wsrec_longest_stall_seconds{feed}"] == 0.02
    assert found[f"wsrec_segments_total{feed}"] == 2
    assert found[f"wsrec_disk_errors_total{feed}"] == 7
    assert found[f"wsrec_lost_frames_total{feed}"] == 0
    assert found[f"wsrec_disk_bytes{feed}"] == 1_000
    assert found[f"wsrec_latency_seconds_count{feed}"] == 1
    assert found[f"wsrec_sync_seconds_sum{feed}"] == pytest.approx(0.0012)
    assert [found[f"wsrec_sync_seconds_bucket{feed},le={bound}"] for bound in ("0.00025", "0.0005", "+Inf")] == [
        0,
        3,
        3,
    ]


def test_a_feed_recorded_twice_has_two_series() -> None:
    found = scraped(metrics_page(RecordVitals([recorder(), recorder("waiting")]).measurements(), "record", "1"))
    assert (found[f"wsrec_connected,feed={FEED}"], found[f"wsrec_connected,feed={FEED} (2)"]) == (1, 0)


def test_a_gap_is_seen_while_it_is_open() -> None:
    found = scraped(metrics_page(RecordVitals([recorder("waiting")]).measurements(), "record", "1"))
    feed = f",feed={FEED}"
    assert (found[f"wsrec_connected{feed}"], found[f"wsrec_losses_total{feed}"]) == (0, 1)
    assert found[f"wsrec_gaps_total{feed}"] == 0, "how long it is nobody knows yet"


def test_a_disk_that_does_not_say_what_is_free_has_no_value() -> None:
    found = scraped(metrics_page(RecordVitals([recorder(space=FreeSpace(500))]).measurements(), "record", "1"))
    assert not any(name.startswith("wsrec_free_bytes") for name in found)


def test_a_measurement_of_another_commands_metric_is_refused() -> None:
    with pytest.raises(KeyError):
        metrics_page([Measurement("wsrec_clients", 1)], "record", "1")


def test_ready_is_whoever_is_connected() -> None:
    assert RecordVitals([recorder(), recorder()]).unready() is None
    assert RecordVitals([recorder(), recorder("waiting")]).unready() == f"{FEED}: waiting to reconnect"


def test_a_writer_that_has_ended_is_trouble() -> None:
    assert RecordVitals([recorder(), recorder()]).trouble() is None
    failed = recorder(error=StorageError("the disk is full", hint=""))
    assert RecordVitals([recorder(), failed]).trouble() == f"{FEED}: the writer has ended: the disk is full"


def test_a_disk_that_refuses_is_waited_for_and_no_reason_to_restart() -> None:
    waiting = RecordVitals([recorder(), recorder(refusal=StorageError("the disk is full", hint=""))])
    assert waiting.unready() == f"{FEED}: the disk takes nothing for now: the disk is full"
    assert waiting.trouble() is None
