"""``wsrec demo``."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.operating import tell_mishaps
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, say, show_bytes, show_number, show_speed
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.core.moment import parse_duration
from wsrecorder.core.playhead import parse_speed
from wsrecorder.errors import UsageError
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.jobs.demo import Answered, DemoOptions, Recorded, Replayed, Stage

__all__ = ["demo"]

_DEFAULT_LIBRARY: Final = Path("recordings")


@app.command(epilog="Example: wsrec demo --duration 5s")
def demo(
    library: LibraryOption = _DEFAULT_LIBRARY,
    duration: Annotated[str, typer.Option(metavar="TIME", help="How long to record.")] = "10s",
    rate: Annotated[float, typer.Option(help="Events per second of the simulated feed.")] = 200.0,
    seed: Annotated[int, typer.Option(help="Of the simulated engine.")] = 7,
    speed: Annotated[str, typer.Option(metavar="FACTOR|max", help="Speed of the replay.")] = "10",
    as_json: Json = False,
) -> int:
    """Show the whole job on a simulated feed: record it, query it in SQL, replay it, compare every byte.

    The recording stays in the library. Exits 1 if what was replayed is not what was recorded.
    """
    from importlib.metadata import version

    from wsrecorder.jobs.demo import DemoOptions

    options = DemoOptions(
        library=library,
        duration_s=parse_duration(duration) / 1e9,
        rate=rate,
        seed=seed,
        speed=parse_speed(speed),
        tool=f"wsrecorder {version('wsrecorder')}",
    )
    if not options.duration_s:
        raise UsageError("--duration 0 records nothing", hint="use a time above 0, such as 10s")
    mishaps = Mishaps()
    _demo(options, mishaps, as_json=as_json)
    return tell_mishaps(mishaps, 0)


def _demo(options: DemoOptions, mishaps: Mishaps, *, as_json: bool) -> None:
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.demo import demo as run_demo

    show = _Showing(options, with_tables=not as_json)

    async def run(stop: asyncio.Event) -> bool:
        return await run_demo(options, SystemClock(), stop, show, mishaps)

    if not run_until_stopped(run, mishaps):
        say("stopped; what was recorded is in the library")
    elif not as_json:
        _say_what_next(options.library)
    if as_json:
        print_json(show.facts)


class _Showing:
    """Prints each stage for people, and keeps it for JSON."""

    def __init__(self, options: DemoOptions, *, with_tables: bool) -> None:
        self.facts: dict[str, Any] = {"answers": []}
        self._options = options
        self._with_tables = with_tables

    def __call__(self, stage: Stage) -> None:
        from wsrecorder.jobs.demo import Answered, Recorded, Recording, Replayed

        match stage:
            case Recording(url):
                say(f"1. Recording {self._options.duration_s:g} s of the simulated engine on {url} …")
            case Recorded():
                self._show_recorded(stage)
            case Answered():
                self._show_answered(stage)
            case Replayed():
                self._show_replayed(stage)

    def _show_recorded(self, stage: Recorded) -> None:
        info, latency = stage.info, stage.latency_ms
        self.facts["session"] = info.to_dict()
        self.facts["latency_ms"] = None if latency is None else dict(zip(("p50", "p99"), latency, strict=True))
        say(
            f"   {show_number(info.messages, 'message')} ({show_bytes(info.bytes)}, "
            f"{show_bytes(info.bytes_on_disk)} on disk) in {info.duration_s:.1f} s, into {info.path}"
        )
        if latency is not None:
            say(f"   latency from the sender's clock to ours: p50 {latency[0]:.2f} ms, p99 {latency[1]:.2f} ms")
        if self._with_tables:
            _print_table(["type", "messages"], [(name, count) for name, count in info.types.items()])

    def _show_answered(self, stage: Answered) -> None:
        rows = [dict(zip(stage.columns, row, strict=True)) for row in stage.rows]
        self.facts["answers"].append({"question": stage.question, "sql": stage.sql, "rows": rows})
        if self._with_tables:
            say(f"{len(self.facts['answers']) + 1}. {stage.question}")
            for line in ("", *stage.sql.splitlines()):
                say(f"   {line}".rstrip())
            _print_table(stage.columns, stage.rows)

    def _show_replayed(self, stage: Replayed) -> None:
        report = stage.report.to_dict()
        self.facts["replay"] = {"url": stage.url, "frames_compared": stage.frames} | report
        achieved = stage.report.achieved_speed
        say(f"4. Replayed at {show_speed(self._options.speed)} on {stage.url}")
        say(
            f"   {show_number(stage.frames, 'frame')} ({show_bytes(stage.size_bytes)}) arrived, "
            "byte for byte and in the order in which they were recorded"
        )
        say(f"   achieved speed {'–' if achieved is None else show_speed(achieved)}, {_lateness(report)}")


def _lateness(report: dict[str, Any]) -> str:
    late = report["lateness_ms"]
    if late["p50"] is None:
        return "no frame had a deadline"
    return f"lateness p50 {late['p50']:.2f} ms, p99 {late['p99']:.2f} ms, max {late['max']:.2f} ms"


def _print_table(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Print a table to stdout, set in, with empty lines around it."""
    right = [index for index in range(len(columns)) if any(isinstance(row[index], int | float) for row in rows)]
    cells = [["" if cell is None else f"{cell:,}" if type(cell) is int else str(cell) for cell in row] for row in rows]
    lines = table_lines(columns, cells, right=right, width=output_width())
    print_lines(["", *(f"   {line}" for line in lines), ""], flush=True)


def _say_what_next(library: Place) -> None:
    where = "" if library == _DEFAULT_LIBRARY else f" --library {shlex.quote(str(library))}"
    say("")
    say("Next:")
    for command, what in (
        (f"wsrec replay latest --speed 10{where}", "the same on ws://127.0.0.1:8000/ws/, for your frontend"),
        (f'wsrec sql "from events limit 5"{where}', "questions of your own"),
        (f"wsrec open latest{where}", "the session on a page in the browser"),
        (f"wsrec info latest{where}", "the facts of the session"),
        ("wsrec record ws://HOST:PORT/ws/ --name engine", "your own feed"),
    ):
        say(f"   {command:<46}  {what}")
