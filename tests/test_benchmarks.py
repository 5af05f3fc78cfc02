"""What the benchmarks write, and reckon with."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pyarrow import ipc

from benchmarks.__main__ import with_figures
from benchmarks.figure import Figure
from benchmarks.plan import Measured, Row, Wish, costs, limits, measured, plan, segment_events
from docs.example import MONDAY, engine_batches

PAGE = Path(__file__).parents[1] / "docs/scale.md"
BENCHMARKS = PAGE.with_name("benchmarks.md")
FIGURE = Figure("upload", "3 MB/s", "a copy 4 MB/s", "0.75×", "–", True)


def test_figures_of_scale_replace_those_that_stood_there_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    once = with_figures(page, [FIGURE], "2 × one")
    assert "| upload | 3 MB/s | a copy 4 MB/s | 0.75× | – | yes |" in once
    again = with_figures(once, [], "2 × one")
    assert "upload | 3 MB/s" not in again
    assert again.partition("<!-- figures -->")[0] == page.partition("<!-- figures -->")[0]
    assert again.partition("<!-- end of figures -->")[2] == page.partition("<!-- end of figures -->")[2]


def test_a_page_without_a_place_for_figures_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 places"):
        with_figures("# Beyond one machine\n", [FIGURE], "2 × one")


KNOWN = Measured(
    payload_bytes=300, disk_bytes=30, record_rate=200_000, replay_rate=1e6, count_rate=50e6, fold_rate=5e6,
    upload_rate=150_000, sessions_s=2.0, sessions=3_650,
)  # fmt: skip
WISH = Wish(feeds=2, events=1_000, days=10, load=0.5, rotate_mib=1, journal_bytes=2**20 / 1_000, gb_month=0.1)


def row(what: str, wish: Wish = WISH) -> Row:
    return next(row for row in plan(KNOWN, wish) if row.what == what)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("events", "2,000/s, 0.0 × 10¹²"),
        ("cores that record", "0.0"),  # 2,000 of 200,000 at half a load: 0.02
        ("uploaded", "0.1 MB/s"),
        ("spool", "0 GB"),
        ("partitions", "20"),
        ("objects", "1,728,000"),  # 86.4 M events a day of a feed, 1,000 a segment, 20 feed days
        ("segments of a session", "86,400"),
        ("count by type, a feed's day", "1.7 s"),
        ("replay of a feed's day", "86 s"),
    ],
)
def test_the_plan_multiplies_rightly(what: str, value: str) -> None:
    assert row(what).value == value


def test_what_is_stored_and_recorded_grows_with_feeds_events_and_days() -> None:
    tenfold = Wish(feeds=20, events=10_000, days=100, load=0.5, gb_month=0.1)
    # 20 × 10,000/s × 86,400 s × 100 d × 30 bytes = 51.84 TB; 200,000/s fill one core, at half a load two.
    assert row("stored", tenfold).value == "52 TB"
    assert row("cores that record", tenfold).value == "2.0"


def test_storage_costs_half_of_its_end_in_the_mean() -> None:
    found = costs(Wish(days=365, gb_month=0.1, core_hour=1, million_puts=5), cores=1.2, disk_bytes=2e12, objects=3e6)
    assert [row.value for row in found] == ["1,200", "17,520", "15"]


def test_a_segment_is_sealed_by_size_or_by_age() -> None:
    assert segment_events(Wish(rotate_mib=1, journal_bytes=1_024, events=1_000_000)) == 1_024
    assert segment_events(Wish(rotate_mib=1_024, journal_bytes=1, events=10)) == 3_000


def test_limits_stand_with_what_breaks_first_at_the_top() -> None:
    found = limits(KNOWN, Wish())
    assert [limit.room for limit in found] == sorted(limit.room for limit in found)
    rooms = {limit.what: limit.room for limit in found}
    assert rooms["all feeds recorded by one process"] == pytest.approx(0.4)
    assert rooms["one feed uploaded as it comes"] == pytest.approx(3)
    assert rooms["`wsrec ls` of all partitions in 10 s"] == pytest.approx(5)


def test_the_plan_reads_what_the_benchmarks_wrote() -> None:
    read = measured(BENCHMARKS.read_text(encoding="utf-8"), "")
    assert 100 < read.payload_bytes < 1_000 > read.disk_bytes > 5
    assert min(read.record_rate, read.replay_rate, read.count_rate, read.fold_rate) > 10_000
    assert read.upload_rate is None
    beyond = (
        "| record 3.1 M messages into object storage, until all of it is there | 123,456 messages/s | a | b | c | yes |"
    )
    assert measured(BENCHMARKS.read_text(encoding="utf-8"), beyond).upload_rate == 123_456
    with pytest.raises(KeyError):
        measured("331 bytes on average", "")


def test_a_message_takes_about_as_much_of_a_journal_as_the_plan_says() -> None:
    written = io.BytesIO()
    batch = next(engine_batches(MONDAY, 4_096, flush_ns=10**15))
    with ipc.new_stream(written, batch.schema, options=ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_batch(batch)
    assert len(written.getvalue()) / batch.num_rows == pytest.approx(Wish().journal_bytes, rel=0.1)
