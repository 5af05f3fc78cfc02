"""``wsrec latency``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.cells import NOTHING
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, show_count, show_number
from wsrecorder.cli.page_file import check_is_free, write_page
from wsrecorder.cli.selecting import SessionArgument, find_session
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.core.moment import parse_duration
from wsrecorder.errors import UsageError
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.analysis.latency import LatencyFigures, Percentiles, TypeFigures

__all__ = ["latency"]

_MOST_TYPES: Final = 30
_CUTS: Final = ("p50", "p90", "p99", "p99.9", "max")


@app.command(epilog="Example: wsrec latency latest --plot latency.html")
def latency(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Length of a slice of time.  [default: 24 slices at most]")
    ] = None,
    stall: Annotated[str, typer.Option(metavar="DURATION", help="From which length on a silence is a stall.")] = "35s",
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it too, as an HTML page.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace that file if it is there.")] = False,
    as_json: Json = False,
) -> int:
    """Measure how late messages were, in ms: percentiles by type and over time, jitter, heartbeats, stalls.

    Latency is the time above the fastest message, the sender's clock corrected: one way alone cannot tell more.
    docs/latency.md explains the estimate.
    """
    from wsrecorder.analysis.latency import measure_latency

    found = find_session(session, library)
    if plot is not None:
        _check_plot(plot, found.path, overwrite=overwrite)
    figures = measure_latency(found, slice_s=_whole_s(every), stall_s=parse_duration(stall) / 1e9)
    if plot is not None:
        _draw(figures, plot)
    if as_json:
        print_json(figures.to_dict())
    else:
        print_lines(_lines(figures, output_width()))
    return 0


def _whole_s(every: str | None) -> int | None:
    if every is None:
        return None
    seconds, rest = divmod(parse_duration(every), 1_000_000_000)
    if rest or not seconds:
        raise UsageError(f"a slice of {every} is not a number of whole seconds", hint="write --every 1s, 30s, 5m …")
    return seconds


def _check_plot(plot: Path, session: Place, *, overwrite: bool) -> None:
    from wsrecorder.analysis.report_page import check_plotly

    check_is_free(plot, session, option="--plot", overwrite=overwrite)
    check_plotly()


def _draw(figures: LatencyFigures, plot: Path) -> None:
    from wsrecorder.analysis.plots import latency_plots, render_plots

    write_page(plot, render_plots(f"Latency of {figures.session}", latency_plots(figures)))


def _lines(figures: LatencyFigures, width: int | None) -> Iterator[str]:
    yield from _type_lines(figures, width)
    yield from _clock_lines(figures)
    if figures.over_time:
        yield from _slice_lines(figures, width)
    yield from _heartbeat_lines(figures)
    yield from _stall_lines(figures, width)


def _type_lines(figures: LatencyFigures, width: int | None) -> Iterator[str]:
    columns = ("type", "messages", *_CUTS, "raw p50", "raw max", "jitter", "every p50", "every max")
    shown = [(kind.type or "(no type)", kind) for kind in figures.by_type[:_MOST_TYPES]]
    rows = [_type_row(name, kind) for name, kind in [("all", figures.overall), *shown]]
    yield from table_lines(columns, rows, right=range(1, len(columns)), width=width)
    if len(figures.by_type) > _MOST_TYPES:
        yield f"… and {show_number(len(figures.by_type) - _MOST_TYPES, 'more type')}; --json has them all"


def _type_row(name: str, kind: TypeFigures) -> tuple[str, ...]:
    return (
        name, show_count(kind.messages), *_cells(kind.latency_ms), _ms(kind.raw_ms.p50), _ms(kind.raw_ms.max),
        _ms(kind.jitter_ms), _ms(kind.interval_ms.p50), _ms(kind.interval_ms.max),
    )  # fmt: skip


def _clock_lines(figures: LatencyFigures) -> Iterator[str]:
    found, overall = figures.clocks, figures.overall
    yield ""
    if found is None:
        yield "clock: no message has a time stamp, so there is no latency"
        return
    yield (
        f"clock: {found.offset_ms:,.3f} ms taken off (offset and fastest message together),"
        f" skew {found.skew_ppm:.2f} ppm, least delays within {_ms(found.spread_ms)} ms"
    )
    if overall.measured < overall.messages:
        missing = show_number(overall.messages - overall.measured, "message")
        yield f"clock: {missing} without a time stamp, or with one that cannot be right: no latency"
    if found.backwards:
        yield (
            f"clock: {show_number(found.backwards, 'time stamp')} before the one that came before,"
            f" by {_ms(found.most_backwards_ms)} ms at most"
        )
    if found.spread_ms > 1_000:
        yield "clock: the least delays moved by more than 1 s: a clock was set, or all messages were held up"


def _slice_lines(figures: LatencyFigures, width: int | None) -> Iterator[str]:
    columns = ("from", "messages", *_CUTS)
    rows = [(f"{piece.from_s} s", show_count(piece.messages), *_cells(piece.latency_ms)) for piece in figures.over_time]
    yield ""
    yield from table_lines(columns, rows, right=range(len(columns)), width=width)


def _heartbeat_lines(figures: LatencyFigures) -> Iterator[str]:
    found = figures.heartbeats
    yield ""
    if not found.heartbeats:
        yield "heartbeats: none"
        return
    yield (
        f"heartbeats: {show_count(found.heartbeats)}, every {_ms(found.interval_ms.p50)} ms (p50),"
        f" off 30 s by {_ms(found.late_ms.p50)} ms (p50), {_ms(found.late_ms.max)} ms (max), {found.missed} missed"
    )


def _stall_lines(figures: LatencyFigures, width: int | None) -> Iterator[str]:
    yield f"stalls: {figures.stalls or 'none'} of {figures.stall_s:g} s or more"
    if figures.longest_stalls:
        rows = [
            (str(silence.conn), f"{silence.from_s:.3f}", f"{silence.to_s:.3f}", _ms(silence.lasted_ms))
            for silence in figures.longest_stalls
        ]
        yield from table_lines(("conn", "from s", "to s", "lasted ms"), rows, right=range(4), width=width)
    if figures.longest_loop_stall_ms is not None:
        yield f"recorder: held up for {_ms(figures.longest_loop_stall_ms)} ms at most"


def _cells(spread: Percentiles) -> tuple[str, ...]:
    return tuple(_ms(value) for value in (spread.p50, spread.p90, spread.p99, spread.p999, spread.max))


def _ms(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.2f}"
