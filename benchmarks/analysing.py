"""How fast a long recording answers, each figure beside a plain query over the same Parquet files."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq

import wsrecorder
from benchmarks.figure import Figure
from benchmarks.long_session import make_long_session
from benchmarks.processes import WSREC, Memory, result_of, started
from wsrecorder.analysis.sql import connect

MESSAGES = 10_000_000

_PEER_ROWS = 500_000
_ORDER_TYPES = "('ORDER_PLACED', 'ORDER_UPDATED', 'ORDER_CANCELED', 'ORDER_UPDATE')"


def figures(folder: Path, messages: int = MESSAGES) -> list[Figure]:
    """Measure questions to a session of so many messages, made in ``folder``."""
    session = make_long_session(folder, messages)
    size = f"{messages / 1e6:g} M events"
    return [*_sql(session, size), _state(session, size), *_events(session, size), _start()]


def _sql(session: Path, size: str) -> list[Figure]:
    files = str(session / "events" / "*.parquet")
    rows = sum(pq.read_metadata(path).num_rows for path in (session / "events").glob("*.parquet"))
    with connect([wsrecorder.open(session).store]) as queries, duckdb.connect() as plain:

        def ours(sql: str) -> Callable[[], object]:
            return lambda: queries.query(sql).table()

        def theirs(sql: str) -> Callable[[], object]:
            return lambda: plain.sql(sql.replace("FILES", f"read_parquet('{files}')")).fetchall()

        counted_s = _best(ours("select type, count(*) from events group by type"), 5)
        plain_counted_s = _best(theirs("select type, count(*) from FILES group by type"), 5)
        percentiles = "quantile_cont({0}, [0.5, 0.9, 0.99, 0.999]), max({0})"
        latency_s = _best(ours(f"select type, {percentiles.format('latency_ms')} from latency group by type"), 2)
        polars_s = _best(lambda: _percentiles_by_polars(files), 2)
        orders_s = _best(ours("select count(*), count(filled_at), avg(time_to_fill_ms), max(reason) from orders"), 2)
        plain_orders_s = _best(
            theirs(
                "select count(distinct text->>'$.data.order.id'), max(text->>'$.data.order.filledAt'), "
                f"max(text->>'$.data.order.reason') from FILES where type in {_ORDER_TYPES}"
            ),
            2,
        )
    rate = rows / counted_s
    return [
        Figure(
            f"count by type over {size}",
            f"{rate / 1e6:,.0f} M rows/s",
            f"plain DuckDB {rows / plain_counted_s / 1e6:,.0f} M rows/s",
            f"{plain_counted_s / counted_s:.2f}×",
            "80 M rows/s",
            rate >= 80e6,
        ),
        _timed_figure("latency percentiles by type, clock-corrected", latency_s, "Polars, uncorrected", polars_s, 1.5),
        _timed_figure(
            "`orders`, folded and aggregated", orders_s, "plain DuckDB, ids and two fields", plain_orders_s, 5
        ),
    ]


def _percentiles_by_polars(files: str) -> object:
    delay = pl.col("received_at") - pl.col("sent_at")
    quantiles = [delay.quantile(share).alias(str(share)) for share in (0.5, 0.9, 0.99, 0.999)]
    return pl.scan_parquet(files).group_by("type").agg(*quantiles, delay.max().alias("max")).collect()


def _state(session: Path, size: str) -> Figure:
    ours_s = _best(lambda: _run(*WSREC, "state", str(session), "--at", "-0s", "--json"), 2)
    files = session / "events" / "*.parquet"
    query = f"select type, max_by(text, seq) from read_parquet('{files}') group by type"
    plain_s = _best(lambda: _run(sys.executable, "-c", f'import duckdb; duckdb.sql("{query}").fetchall()'), 1)
    return _timed_figure(
        f"`wsrec state --at` the end of {size}, from start to exit", ours_s, "DuckDB, last payload by type", plain_s, 3
    )


def _events(session: Path, size: str) -> list[Figure]:
    found = {}
    for way in ("raw", "decoded", "play", "dicts"):
        with started("benchmarks.analysing", way, str(session)) as process:
            memory = Memory(process.pid)
            found[way] = float(result_of(process)), memory
            memory.stop()
    peer = found["dicts"][0]
    figures = [
        Figure(
            f"{what} over {size}",
            f"{rate:,.0f} events/s, {memory.peak_mb:.0f} MB at most, last third {memory.growth:.2f}× the middle",
            f"pyarrow `to_pylist` {peer:,.0f} rows/s",
            f"{rate / peer:.1f}×",
            f"{target:,} events/s, flat" if target else "flat",
            rate >= target and memory.growth < 1.1,
        )
        for what, (rate, memory), target in (
            ("`session.events()`, raw", found["raw"], 800_000),
            ("`session.events()`, `event.data` of each", found["decoded"], 300_000),
            ("`wsrecorder.play` in virtual time", found["play"], 0),
        )
    ]
    return figures


def _start() -> Figure:
    ours_s = _best(lambda: _run(*WSREC, "sql", "select 1", "--library", "fixtures"), 3)
    plain_s = _best(lambda: _run(sys.executable, "-c", "import duckdb; duckdb.sql('select 1').fetchall()"), 3)
    return _timed_figure('`wsrec sql "select 1"`, from start to exit', ours_s, "Python and DuckDB alone", plain_s, 0.6)


def _timed_figure(what: str, ours_s: float, peer: str, peer_s: float, target_s: float) -> Figure:
    return Figure(
        what, f"{ours_s:.2f} s", f"{peer} {peer_s:.2f} s", f"{peer_s / ours_s:.2f}×", f"under {target_s:g} s",
        ours_s < target_s,
    )  # fmt: skip


def _best(ask: Callable[[], object], times: int) -> float:
    """Return the least time of several, seconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return min(took)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _iterate(way: str, path: str) -> int:
    """Go through a session in one way, and return how many events it has."""
    session = wsrecorder.open(path)
    match way:
        case "raw":
            return sum(1 for _ in session.events())
        case "decoded":
            return sum(1 for event in session.events() if event.data is not event)
        case "play":
            return asyncio.run(_play(session))
        case _:
            rows = chain.from_iterable(batch.to_pylist() for batch in session.batches())
            return sum(1 for _ in islice(rows, _PEER_ROWS))


async def _play(session: wsrecorder.Session) -> int:
    count = 0
    async for _ in wsrecorder.play(session):
        count += 1
    return count


if __name__ == "__main__":
    asked_way, asked_path = sys.argv[1:]
    start_s = time.perf_counter()
    print(_iterate(asked_way, asked_path) / (time.perf_counter() - start_s), flush=True)
