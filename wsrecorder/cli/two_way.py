"""``wsrec replay --two-way``: what its options say, and what is printed of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.operating import LogFormat, MetricsOptions, metrics_beside, tell_mishaps
from wsrecorder.cli.output import log_to_stderr, print_json, say, show_number
from wsrecorder.cli.refused import say_refused
from wsrecorder.core.moment import parse_duration
from wsrecorder.errors import UsageError
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.two_way_options import TwoWay, TwoWayOptions, read_rules

if TYPE_CHECKING:
    from wsrecorder.jobs.dialogue_playback import Mismatch
    from wsrecorder.jobs.replay import Replay
    from wsrecorder.jobs.replay_options import ReplayOptions
    from wsrecorder.jobs.two_way import TwoWayReplay
    from wsrecorder.jobs.two_way_options import TwoWayReport
    from wsrecorder.jobs.vitals import Vitals
    from wsrecorder.store.session import Store

__all__ = [
    "Conn",
    "MatchTimeout",
    "Rules",
    "TwoWayOption",
    "on_connection",
    "replay_two_way",
    "replay_vitals",
    "two_way_options",
]

_MISMATCH: Final = 1
_CLIENTS_SHOWN: Final = 20

TwoWayOption = Annotated[
    TwoWay | None,
    typer.Option("--two-way", help="Wait for recorded client messages, answer them in any order, or ignore clients."),
]
MatchTimeout = Annotated[
    str | None, typer.Option(metavar="TIME", help="How long to wait for the client's message.  [default: 10s]")
]
Conn = Annotated[
    int | None, typer.Option(min=0, help="Which recorded connection.  [default: the first with a client message]")
]
Rules = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Rules of what is played when a client says something, TOML.")
]


def two_way_options(
    mode: TwoWay | None, match: str | None, timeout: str | None, conn: int | None, rules: Path | None
) -> TwoWayOptions | None:
    """Return how to talk with clients; None where what they say does not matter.

    Raises:
        UsageError: Options exclude each other, or one of them cannot be read.
    """
    if mode is None and rules is None:
        for name, value in (("--match-timeout", timeout), ("--conn", conn)):
            if value is not None:
                raise UsageError(f"{name} was given without --two-way", hint="add --two-way strict or --two-way loose")
        return None
    if mode is TwoWay.TIMED:
        if rules is not None:
            raise UsageError("--two-way timed ignores clients, --rules was given", hint="leave out one of them")
        return None
    if mode is not None and rules is not None:
        raise UsageError(f"--two-way {mode} and --rules exclude each other", hint="give one of them")
    return TwoWayOptions(
        mode=mode or TwoWay.LOOSE,
        match=match or "json",
        match_timeout_s=parse_duration(timeout or "10s") / 1e9,
        conn=conn,
        rules=None if rules is None else read_rules(rules),
    )


def on_connection(where: str | None, mode: TwoWay | None, conn: int | None) -> str | None:
    """Return the condition for the events of one connection, if ``timed`` is to play only that."""
    if mode is not TwoWay.TIMED or conn is None:
        return where
    return f"conn = {conn}" if where is None else f"({where}\n) AND conn = {conn}"


def replay_two_way(
    stores: Sequence[Store],
    options: ReplayOptions,
    two_way: TwoWayOptions,
    metrics: MetricsOptions | None,
    log_format: LogFormat,
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Replay a session as a dialogue, and print how it went.

    Returns:
        1 if a client did not say what was expected, else 0.
    """
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.two_way import two_way_replay

    if len(stores) != 1:
        raise UsageError(
            f"a dialogue is that of one session, {len(stores)} were named", hint="replay them one at a time"
        )
    log_to_stderr(quiet=quiet, as_json=log_format is LogFormat.JSON)
    started: list[tuple[TwoWayReplay, str]] = []
    mishaps = Mishaps()

    async def run(stop: asyncio.Event) -> None:
        async with metrics_beside(metrics, mishaps) as measure:

            def on_started(running: TwoWayReplay) -> None:
                started.append((running, running.url))
                measure(lambda: replay_vitals(running))

            await two_way_replay(stores[0], options, two_way, SystemClock(), stop, on_started, mishaps)

    try:
        run_until_stopped(run, mishaps)
    finally:
        for running, url in started:
            report = running.report()
            _print(report, in_full=quiet, with_payloads=log_format is LogFormat.TEXT)
            if as_json:
                print_json({"url": url, "session": str(stores[0].path)} | report.to_dict())
    return tell_mishaps(mishaps, _MISMATCH if started and started[0][0].report().mismatches else 0)


def replay_vitals(running: Replay | TwoWayReplay) -> Vitals:
    """Return what there is to tell of a replay."""
    from wsrecorder.jobs.vitals import ReplayVitals

    return ReplayVitals(running)


def _print(report: TwoWayReport, *, in_full: bool, with_payloads: bool) -> None:
    say(f"{report.mode}: {show_number(report.frames_sent, 'frame')} to {show_number(len(report.dialogues), 'client')}")
    for each in report.dialogues[:_CLIENTS_SHOWN]:
        left = f", {show_number(each.remaining, 'recorded message')} not sent" if each.remaining else ""
        say(
            f"client {each.client}: {each.matched} of {show_number(each.heard, 'message')} answered"
            f"{left}{_closed(each.mismatch, with_payloads=with_payloads)}"
        )
        if each.mismatch is not None and in_full and with_payloads:  # else the log has said it
            for line in each.mismatch.lines():
                say(f"  {line}")
    if len(report.dialogues) > _CLIENTS_SHOWN:
        say(f"and {len(report.dialogues) - _CLIENTS_SHOWN} more clients")
    say_refused(report.refused)


def _closed(mismatch: Mismatch | None, *, with_payloads: bool) -> str:
    if mismatch is None:
        return ""
    return f", closed: {mismatch.reason}" if with_payloads else ", closed: it did not say what was expected"
