"""The figures of a report that are read rather than seen: what stands large at its top, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wsrecorder.analysis.report_figures import Report
from wsrecorder.analysis.report_words import show_ms, show_s
from wsrecorder.core.size import show_bytes

__all__ = ["ReportTable", "tables", "tiles"]

_MOST_GAPS: Final = 50
_MOST_TYPES: Final = 50


@dataclass(frozen=True)
class ReportTable:
    """One table of the page; its cells are plain text.

    Attributes:
        title: Its heading.
        says: A sentence on what it shows.
        empty: What stands in its place when it has no rows.
        columns: Names of its columns; none where the first cell of each row is its name.
        rows: Its rows.
        numbers: Which columns are numbers.
    """

    title: str
    says: str
    empty: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[int] = frozenset()


def tiles(report: Report) -> list[tuple[str, str]]:
    """Return the figures that stand large at the top of the page: name and value."""
    session, gaps = report.session, report.gaps
    rate = session.messages / report.span_s if report.span_s else 0.0
    found = [
        ("duration", show_s(report.span_s)),
        ("messages", f"{session.messages:,}"),
        ("messages / s", f"{rate:,.4g}"),
        ("payload", show_bytes(session.bytes)),
        (f"in {gaps.count:,} gap{'' if gaps.count == 1 else 's'}", show_s(gaps.total_s)),
    ]
    if report.latency is not None:
        found += [
            ("latency p50", show_ms(report.latency.p50_ms)),
            ("latency p99", show_ms(report.latency.p99_ms)),
        ]
    return found


def tables(report: Report) -> list[ReportTable]:
    """Return the tables of the page, in its order; empty ones too."""
    return [_types(report), _gaps(report), _facts(report)]


def _types(report: Report) -> ReportTable:
    latencies = {found.type: found for found in report.latency.types} if report.latency else {}
    listed = list(report.session.types.items())
    rows = []
    for name, messages in listed[:_MOST_TYPES]:
        found = latencies.get(name)
        times = (found.p50_ms, found.p90_ms, found.p99_ms, found.max_ms) if found else (None,) * 4
        rows.append((name, f"{messages:,}", *("–" if time is None else f"{time:,.3f}" for time in times)))
    says = "Messages by type, and their latency (time above the fastest message) where they carry a time of the sender."
    if len(listed) > _MOST_TYPES:
        says += f" The {_MOST_TYPES} most frequent of {len(listed):,} types."
    columns = ("type", "messages", "p50 (ms)", "p90 (ms)", "p99 (ms)", "max (ms)")
    return ReportTable("Types", says, "No message has a type.", columns, rows, frozenset(range(1, 6)))


def _gaps(report: Report) -> ReportTable:
    longest = sorted(report.gaps.longest, key=lambda gap: gap.from_s - gap.to_s)[:_MOST_GAPS]
    start = datetime.fromisoformat(report.session.start)
    rows = []
    for gap in sorted(longest, key=lambda gap: gap.from_s):
        began = start + timedelta(seconds=gap.from_s)
        moment = began.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        rows.append((moment, f"{gap.from_s:,.3f}", f"{gap.to_s - gap.from_s:,.3f}", gap.cause))
    says = "Times in which frames may have been missed, and why."
    if report.gaps.count > len(rows):
        says += f" The {len(rows)} longest of {report.gaps.count:,}."
    columns = ("from (UTC)", "in the session (s)", "length (s)", "cause")
    return ReportTable("Gaps", says, "No gap was noted.", columns, rows, frozenset({1, 2}))


def _facts(report: Report) -> ReportTable:
    session = report.session
    health = session.health
    rows = [
        ("session", session.id),
        ("feed", session.feed or "unknown"),
        ("path", session.path),
        ("start (UTC)", session.start),
        ("end (UTC)", session.end),
        ("events", f"{session.events:,}, {session.messages:,} of them messages"),
        ("payload", f"{show_bytes(session.bytes)}, {show_bytes(session.bytes_on_disk)} on disk"),
        ("connections", f"{session.connections:,}"),
        ("state", {"cut": 'cut: "wsrec recover" seals it'}.get(session.state, session.state)),
        ("recorder", f"longest stall {health.longest_stall_ms:.1f} ms, paused {health.paused_ms:.0f} ms"),
        ("made by", f"{session.tool or 'unknown'} on {session.host or 'unknown'}, format {session.format_version}"),
    ]
    if report.latency is not None:
        rows.append(("clocks", f"received less sent, of the fastest message: {report.latency.least_raw_ms:,.3f} ms"))
    return ReportTable("Facts", "What the session is, and how its recording fared.", "", (), rows)
