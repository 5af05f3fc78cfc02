"""``python -m benchmarks.plan``: from what was measured to what a year of many feeds takes.

What was measured is read from the tables of ``docs/benchmarks.md`` and ``docs/scale.md``; everything else is an option.
A core is one of the machine that measured. Prices are assumptions, in any currency.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

__all__ = ["Limit", "Measured", "Row", "Wish", "figure_values", "limits", "main", "measured", "plan"]

_DOCS = Path(__file__).parents[1] / "docs"
_DAY_S = 86_400
_GB, _TB = 1e9, 1e12
_MONTHS = 12
_HOURS_A_MONTH = 730
_STREAM_COPIES = 3
_MANIFEST_BYTES_A_SEGMENT = 230  # of JSON: its name, size, rows, range and SHA-256


@dataclass(frozen=True, slots=True)
class Measured:
    """What the tables say; None is what was not measured.

    Attributes:
        payload_bytes: A message, before compression.
        disk_bytes: A message in a sealed segment, all columns.
        record_rate: Messages a second that one process records, synced.
        replay_rate: Frames a second of one replay, as fast as it can.
        count_rate: Rows a second counted by type, all cores.
        fold_rate: Rows a second folded into orders, payloads read, all cores.
        upload_rate: Messages a second recorded into object storage.
        stream_rate: Events a second that one process publishes into JetStream, three copies.
        sessions_s: Time for ``wsrec ls`` over a library of ``sessions``, s.
        sessions: How many there were.
    """

    payload_bytes: float
    disk_bytes: float
    record_rate: float
    replay_rate: float
    count_rate: float
    fold_rate: float
    upload_rate: float | None = None
    stream_rate: float | None = None
    sessions_s: float | None = None
    sessions: int = 3_650


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted, and what is assumed.

    Attributes:
        feeds: How many feeds.
        events: Events a second of each, all day.
        days: For how many days they are kept.
        load: Share of a core that may be used in the mean, so that bursts have room.
        rotate_mib: Size at which a journal is sealed (``--rotate``), MiB.
        journal_bytes: A message in the journal, in full batches, payloads of the simulated engine.
        outage_h: How long object storage may be away, hours.
        stream_h: For how long JetStream keeps events, hours; by then they are archived.
        answer_s: How long a question may take, s.
        core_hour: Price of a core for an hour.
        gb_month: Price of a GB in object storage for a month.
        million_puts: Price of a million objects written.
    """

    feeds: int = 10
    events: float = 50_000
    days: int = 365
    load: float = 0.5
    rotate_mib: float = 256
    journal_bytes: float = 90
    outage_h: float = 1
    stream_h: float = 24
    answer_s: float = 60
    core_hour: float = 0.05
    gb_month: float = 0.02
    million_puts: float = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the plan: what, how much, and how it comes about."""

    what: str
    value: str
    because: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that breaks: what is measured over what is needed, below 1 is too little."""

    room: float
    what: str
    then: str


def figure_values(page: str) -> dict[str, float]:
    """Return the first number of each figure's value, by what was measured."""
    found = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        number = re.match(r"[+-]?[\d,]*\.?\d+", cells[1]) if len(cells) >= 5 else None
        if number:
            found[cells[0]] = float(number[0].replace(",", ""))
    return found


def measured(benchmarks: str, scale: str) -> Measured:
    """Return what the two pages say.

    Raises:
        KeyError: A figure that everything hangs on is not there.
    """
    values = figure_values(benchmarks)
    beyond = figure_values(scale)
    mean = re.search(r"(\d+) bytes on average", benchmarks)
    if mean is None:
        raise KeyError("bytes on average")
    return Measured(
        payload_bytes=float(mean[1]),
        disk_bytes=_value(values, "bytes on disk a message"),
        record_rate=_value(values, "record "),
        replay_rate=_value(values, "replay ", "one client"),
        count_rate=_value(values, "count by type") * 1e6,
        fold_rate=10e6 / _value(values, "`orders`"),
        upload_rate=_maybe(beyond, "record ", "into object storage"),
        stream_rate=_maybe(beyond, "publish into JetStream"),
        sessions_s=_maybe(beyond, "`wsrec ls`"),
    )


def _value(values: Mapping[str, float], beginning: str, part: str = "") -> float:
    found = _maybe(values, beginning, part)
    if found is None:
        raise KeyError(f"{beginning}… {part}")
    return found


def _maybe(values: Mapping[str, float], beginning: str, part: str = "") -> float | None:
    return next((number for what, number in values.items() if what.startswith(beginning) and part in what), None)


def plan(known: Measured, wish: Wish) -> list[Row]:
    """Return what the wish takes."""
    rate = wish.feeds * wish.events
    cores = rate / known.record_rate / wish.load
    disk_bytes = rate * _DAY_S * wish.days * known.disk_bytes
    objects = segments_a_day(wish) * wish.feeds * wish.days
    return [
        *_recording(known, wish, cores),
        *_keeping(known, wish, disk_bytes, objects),
        *_asking(known, wish),
        *costs(wish, cores=cores, disk_bytes=disk_bytes, objects=objects),
    ]


def _recording(known: Measured, wish: Wish, cores: float) -> list[Row]:
    rate = wish.feeds * wish.events
    events = rate * _DAY_S * wish.days
    sealed = rate * known.disk_bytes
    outage = f"the store away for {wish.outage_h:g} h; --spool-max, all feeds together"
    return [
        Row("events", f"{rate:,.0f}/s, {events / 1e12:,.1f} × 10¹²", f"{wish.feeds} feeds for {wish.days} days"),
        Row(
            "received", f"{rate * known.payload_bytes * 8 / 1e9:,.2f} Gbit/s", f"{known.payload_bytes:.0f} B a payload"
        ),
        Row("cores that record", f"{cores:,.1f}", f"{known.record_rate:,.0f}/s a process, {wish.load:.0%} in use"),
        Row("uploaded", f"{sealed / 1e6:,.1f} MB/s", "sealed segments"),
        Row(
            "JetStream's disks",
            f"{rate * known.payload_bytes * _STREAM_COPIES * wish.stream_h * 3_600 / _TB:,.0f} TB",
            f"if all goes through it: {_STREAM_COPIES} copies of {wish.stream_h:g} h, payloads as they came",
        ),
        Row("spool", f"{sealed * wish.outage_h * 3_600 / _GB:,.0f} GB", outage),
    ]


def _keeping(known: Measured, wish: Wish, disk_bytes: float, objects: float) -> list[Row]:
    payloads = f"{known.disk_bytes:.1f} B a message, payloads like the simulated engine's"
    partitions = f"{wish.feeds} feed= × {wish.days} date=, one session= a day each"
    each = segment_events(wish)
    segment = f"--rotate {wish.rotate_mib:g}MiB: {each:,.0f} events, {each * known.disk_bytes / 1e6:,.1f} MB each"
    manifest = segments_a_day(wish) * _MANIFEST_BYTES_A_SEGMENT / 1e6
    return [
        Row("stored", f"{disk_bytes / _TB:,.0f} TB", payloads),
        Row("partitions", f"{wish.feeds * wish.days:,}", partitions),
        Row("objects", f"{objects:,.0f}", segment),
        Row("segments of a session", f"{segments_a_day(wish):,.0f}", f"its manifest grows to {manifest:,.2f} MB"),
    ]


def _asking(known: Measured, wish: Wish) -> list[Row]:
    a_day = wish.events * _DAY_S
    count_s = a_day * wish.feeds * wish.days / known.count_rate
    counted = f"{known.count_rate / 1e6:,.0f} M rows/s on one machine"
    folded = f"{known.fold_rate / 1e6:,.1f} M rows/s on one machine"
    machines = f"{math.ceil(count_s / wish.answer_s):,} such machines answer in {_span(wish.answer_s)}"
    played = f"--speed max, {known.replay_rate:,.0f} frames/s"
    return [
        Row("count by type, a feed's day", _span(a_day / known.count_rate), counted),
        Row("orders folded, a feed's hour", _span(a_day / 24 / known.fold_rate), folded),
        Row("count by type, all of it", _span(count_s), machines),
        Row("replay of a feed's day", _span(a_day / known.replay_rate), played),
    ]


def costs(wish: Wish, *, cores: float, disk_bytes: float, objects: float) -> list[Row]:
    """Return what it costs, by the prices assumed."""
    months = wish.days / 365 * _MONTHS
    whole = math.ceil(cores)
    # It grows evenly from nothing: half of the end in the mean.
    stored = disk_bytes / _GB / 2 * wish.gb_month * months
    then = f"{wish.gb_month:g} a GB and month, growing; then {disk_bytes / _GB * wish.gb_month:,.0f} a month"
    recording = whole * wish.core_hour * _HOURS_A_MONTH * months
    return [
        Row("cost: storage", f"{stored:,.0f}", then),
        Row("cost: cores that record", f"{recording:,.0f}", f"{whole} at {wish.core_hour:g} an hour"),
        Row("cost: objects written", f"{objects / 1e6 * wish.million_puts:,.0f}", f"{wish.million_puts:g} a million"),
    ]


def segment_events(wish: Wish) -> float:
    """Return how many events a sealed segment holds: the journal is sealed by its size, or after 5 minutes."""
    return min(wish.rotate_mib * 2**20 / wish.journal_bytes, wish.events * 300)


def segments_a_day(wish: Wish) -> float:
    """Return how many segments a feed's session of a day has."""
    return wish.events * _DAY_S / segment_events(wish)


def limits(known: Measured, wish: Wish) -> list[Limit]:
    """Return what breaks, that which breaks first at the top."""
    rate, a_day = wish.feeds * wish.events, wish.events * _DAY_S
    within = f"in {_span(wish.answer_s)}"
    counted, folded = known.count_rate * wish.answer_s, known.fold_rate * wish.answer_s
    # A manifest is written anew at each seal: it had better be smaller than what is sealed.
    manifest = segments_a_day(wish) * _MANIFEST_BYTES_A_SEGMENT
    part = "--engine spark, or a part of the day"
    found = [
        Limit(known.record_rate / rate, "all feeds recorded by one process", "a process a feed"),
        Limit(known.record_rate / wish.events, "one feed recorded by one process", "subscribe to a part of it in each"),
        Limit(counted / a_day, f"a feed's day counted {within}", part),
        Limit(folded / a_day, f"a feed's day folded into orders {within}", part),
        Limit(counted / (rate * _DAY_S * wish.days), f"all of it counted {within}", "a cluster; sums a day, kept"),
        Limit(known.replay_rate / wish.events, "one feed replayed as it came", "a speed below 1, fewer types"),
        Limit(
            known.disk_bytes * segment_events(wish) / manifest,
            "a day's manifest smaller than a segment",
            "a larger --rotate, or a session an hour",
        ),
    ]
    if known.upload_rate is not None:
        found.append(
            Limit(known.upload_rate / wish.events, "one feed uploaded as it comes", "a process a feed, a nearer store")
        )
    if known.stream_rate is not None:
        found.append(
            Limit(known.stream_rate / wish.events, "one feed published into one stream", "streams of a part of it each")
        )
    if known.sessions_s is not None:
        ls_s = known.sessions_s * wish.feeds * wish.days / known.sessions
        found.append(Limit(10 / ls_s, "`wsrec ls` of all partitions in 10 s", "a library a month"))
    return sorted(found, key=lambda limit: limit.room)


def _span(seconds: float) -> str:
    for unit, size in (("days", _DAY_S), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:,.1f} s"


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{what:<{widths[0]}}  {value:>{widths[1]}}  {because}" for what, value, because in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan, and what breaks first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    for field in fields(Wish):
        kind = int if isinstance(field.default, int) and field.name in ("feeds", "days") else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default, metavar="N")
    wish = Wish(**vars(parser.parse_args(arguments)))
    known = measured(*((_DOCS / name).read_text(encoding="utf-8") for name in ("benchmarks.md", "scale.md")))
    print(_table([(row.what, row.value, row.because) for row in plan(known, wish)]))
    print("\nmeasured over needed; below 1 it breaks:")
    rows = [(limit.what, _room(limit.room), f"else: {limit.then}") for limit in limits(known, wish)]
    print(_table(rows))
    return 0


def _room(room: float) -> str:
    return f"{room:,.0f}×" if room >= 10 else f"{room:.2g}×"


if __name__ == "__main__":
    sys.exit(main())
