"""Black box and retention of ``wsrec record``: their options, and what asks a black box for a snapshot."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsrecorder.cli.options import parse_size
from wsrecorder.cli.output import say, show_bytes, show_number
from wsrecorder.cli.snapshot_signal import ignoring_signal, on_signal
from wsrecorder.core.black_box import BoxLimits, Cause
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.core.moment import format_duration, parse_duration
from wsrecorder.core.retention import Limit
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.jobs.feed_recorder import FeedRecorder
    from wsrecorder.jobs.new_session import Made
    from wsrecorder.jobs.record_options import BlackBoxOptions, Outcome
    from wsrecorder.net.probes import Finding
    from wsrecorder.store.manifest import BlackBoxTrigger

__all__ = [
    "Keep",
    "KeepSize",
    "Post",
    "Pre",
    "Snapshot",
    "SnapshotRequests",
    "Trigger",
    "asked_again",
    "black_box_of",
    "keeping_of",
    "say_snapshots",
    "snapshots_facts",
    "why_written",
]

Snapshot = Annotated[
    str | None,
    typer.Option(
        metavar="TIME|SIZE",
        help="Keep only the last 10m, 200MB, or '10m,200MB', and write a session when triggered: by SIGUSR1, by POST"
        " /snapshot on the port of --metrics, or by --trigger.",
    ),
]  # fmt: skip
Trigger = Annotated[
    str | None,
    typer.Option(
        metavar="SQL",
        help="Write a session when this holds of an event, such as \"type = 'KILL_SWITCH'\".",
    ),
]  # fmt: skip
Pre = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="What it holds from before; by default all there is."),
]
Post = Annotated[str | None, typer.Option(metavar="TIME", help="What it holds from after; by default 30s.")]
Keep = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Remove sealed sessions of this name that ended longer ago, such as 30d."),
]
KeepSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Remove the oldest of them until the rest takes no more than this."),
]

_LOG: Final = logging.getLogger("wsrecorder.record")
_POST_NS: Final = 30_000_000_000


def black_box_of(
    snapshot: str | None, trigger: str | None, pre: str | None, post: str | None
) -> BlackBoxOptions | None:
    """Return what the options of the black box say; None is that there is none.

    Raises:
        UsageError: One of them is wrong, or senseless without ``--snapshot``.
    """
    from wsrecorder.jobs.record_options import BlackBoxOptions

    if snapshot is None:
        for name, value in (("--trigger", trigger), ("--pre", pre), ("--post", post)):
            if value is not None:
                raise UsageError(
                    f"{name} without --snapshot: everything is recorded anyway",
                    hint="add --snapshot 10m to keep only the last ten minutes until there is a trigger",
                )
        return None
    age_ns = size_bytes = None
    for part in snapshot.split(","):
        is_size = part.strip().lower().endswith("b")
        if (size_bytes if is_size else age_ns) is not None:
            raise UsageError(
                f"--snapshot {snapshot} names two {'sizes' if is_size else 'times'}",
                hint="write it as 10m, 200MB or 10m,200MB",
            )
        if is_size:
            size_bytes = parse_size(part)
        else:
            age_ns = _age_ns(part)
    limits = BoxLimits(
        age_ns=age_ns,
        size_bytes=size_bytes,
        pre_ns=None if pre is None else parse_duration(pre),
        post_ns=_POST_NS if post is None else parse_duration(post),
    )
    if trigger is not None:
        from wsrecorder.analysis.trigger import TriggerCondition  # DuckDB: only its users should pay for it

        TriggerCondition(trigger)  # said now rather than after the feed was connected
    return BlackBoxOptions(limits, trigger)


def keeping_of(keep: str | None, keep_size: str | None, into: Path | None = None) -> Limit | None:
    """Return what ``--keep`` and ``--keep-size`` say; None is that everything stays.

    Raises:
        UsageError: One of them is wrong, or ``into`` names a file beside them.
    """
    if keep is None and keep_size is None:
        return None
    if into is not None:
        raise UsageError("--keep and --keep-size are for a library, and --into names a file", hint="leave them out")
    if keep is not None and keep.strip().isdecimal() and int(keep):
        raise UsageError(f"--keep {keep} has no unit", hint="write it as 30d, 12h or 90s")
    return Limit(
        age_ns=None if keep is None else parse_duration(keep),
        size_bytes=None if keep_size is None else parse_size(keep_size),
    )


class SnapshotRequests:
    """What asks the black boxes of a process for snapshots: SIGUSR1, and requests on the port of ``--metrics``.

    Args:
        is_wanted: Whether there are black boxes; without them nothing is asked.
    """

    def __init__(self, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._recorders: list[FeedRecorder] = []

    def watch(self, recorders: list[FeedRecorder]) -> None:
        """Ask these from now on."""
        self._recorders = recorders

    @property
    def actions(self) -> Mapping[str, Callable[[str], Finding]]:
        """What answers a POST of each path."""
        return {"/snapshot": self._requested}

    def on_signal(self) -> AbstractAsyncContextManager[None]:
        """Listen to the signal while the block runs, on an event loop; without black boxes it is ignored."""
        if not self._is_wanted:
            return ignoring_signal("everything is recorded anyway; with --snapshot 10m it writes the last ten minutes")
        return on_signal(partial(self._ask, Cause.SIGNAL, "SIGUSR1"))

    def _requested(self, reason: str) -> Finding:
        from wsrecorder.net.probes import Finding

        if not self._is_wanted:
            return Finding(
                b"everything is recorded anyway; with --snapshot 10m this writes the last ten minutes\n", 404
            )
        asked = self._ask(Cause.HTTP, reason)
        status = 202 if asked else 503
        return Finding(json.dumps({"feeds": asked}).encode() + b"\n", status, "application/json")

    def _ask(self, cause: Cause, reason: str) -> int:
        """Return how many black boxes were asked; one whose feed was not reached yet has nothing."""
        asked = sum(recorder.snapshot(cause, reason) for recorder in self._recorders)
        if not asked:
            _LOG.warning("triggered by %s, but nothing is recorded yet", reason or cause)
        return asked


def say_snapshots(outcome: Outcome, snapshots: tuple[Made, ...]) -> None:
    """Print what a black box did."""
    facts = outcome.manifest
    if facts is None:
        return
    came = f"{show_number(facts.messages, 'message')} ({show_bytes(facts.size_bytes)})"
    seen = f"{came} in {_seconds(facts.last_elapsed_ns)}"
    if not snapshots:
        say(f"watched {seen}, {show_number(facts.gaps, 'gap')}; nothing triggered a snapshot, and none was written")
        return
    say(f"watched {seen}, {show_number(facts.gaps, 'gap')}; wrote {show_number(len(snapshots), 'snapshot')}:")
    for made in snapshots:
        why = made.manifest.identity.black_box
        missing_ns = why.missing_ns if why else 0
        short = f", {_seconds(missing_ns)} short of its --post" if missing_ns else ""
        say(f"  {made.path}: {show_number(made.manifest.messages, 'message')}{short}")


def why_written(why: BlackBoxTrigger) -> str:
    """Return why a black box wrote a session, in words."""
    at = from_epoch_ns(why.at_ns).isoformat()
    if why.cause == Cause.CRASH:
        return f"its recorder was killed at or after {at}"
    words = [f"{why.cause} {why.reason}".strip(), f"at {at}"]
    if why.triggers > 1:
        words.append(f"and {why.triggers - 1} more")  # see `asked_again`
    pre = "all" if why.pre_ns is None else format_duration(why.pre_ns)
    words.append(f"(--pre {pre} --post {format_duration(why.post_ns)}")
    words[-1] += f", {_seconds(why.missing_ns)} of it missing)" if why.missing_ns else ")"
    return " ".join([*words, f"part {why.part}"] if why.part > 1 else words)


def asked_again(why: BlackBoxTrigger) -> list[str]:
    """Return what triggered after the first trigger and before the end of ``--post``, a line each."""
    lines = [
        f"{each.cause} {each.reason}".strip() + f" at {from_epoch_ns(each.at_ns).isoformat()}" for each in why.further
    ]
    unnamed = why.triggers - 1 - len(lines)
    return [*lines, f"and {unnamed} more"] if lines and unnamed > 0 else lines


def snapshots_facts(snapshots: tuple[Made, ...]) -> list[dict[str, Any]]:
    """Return what a black box wrote as plain values, ready for JSON."""
    facts = []
    for made in snapshots:
        identity, why = made.manifest.identity, made.manifest.identity.black_box
        assert why
        facts.append(
            {
                "id": identity.id,
                "path": str(made.path),
                "cause": why.cause,
                "reason": why.reason,
                "at": from_epoch_ns(why.at_ns).isoformat(),
                "triggers": why.triggers,
                "further": [
                    {"cause": each.cause, "reason": each.reason, "at": from_epoch_ns(each.at_ns).isoformat()}
                    for each in why.further
                ],
                "part": why.part,
                "missing_s": why.missing_ns / 1e9,
                "messages": made.manifest.messages,
                "duration_s": made.manifest.last_elapsed_ns / 1e9,
            }
        )
    return facts


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e9:.1f} s"


def _age_ns(part: str) -> int:
    try:
        return parse_duration(part)
    except UsageError as exc:
        raise UsageError(
            f"--snapshot {part!r} is neither a time nor a size", hint="write it as 10m, 200MB, or both: 10m,200MB"
        ) from exc
