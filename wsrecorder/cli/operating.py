"""Metrics, health and logs of commands that run for long: their options, and what serves them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.output import log_to_stderr, print_error, say
from wsrecorder.errors import WsrecError

if TYPE_CHECKING:
    from wsrecorder.jobs.mishaps import Mishaps
    from wsrecorder.jobs.vitals import Vitals
    from wsrecorder.net.probes import Finding

__all__ = [
    "LogFormat",
    "LogFormatOption",
    "MetricsHost",
    "MetricsOptions",
    "MetricsPort",
    "begin_log",
    "metrics_beside",
    "metrics_options",
    "tell_mishaps",
]

MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics", metavar="PORT", min=0, max=65535,
        help="Serve /metrics for Prometheus, /healthz and /readyz on this port; 0 takes a free one.",
    ),
]  # fmt: skip
MetricsHost = Annotated[str, typer.Option("--metrics-host", metavar="HOST", help="Address to serve them on.")]


class LogFormat(StrEnum):
    """How the lines on stderr are written."""

    TEXT = "text"
    JSON = "json"


LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", help="Log lines as text, or a JSON object each and no panel.")
]

_STARTING: Final = "starting"


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """Where metrics are served.

    Attributes:
        command: Whose: ``record``, ``tap`` or ``replay``.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        quiet: Whether to keep to oneself where that is.
    """

    command: str
    host: str
    port: int
    quiet: bool


def metrics_options(command: str, port: int | None, host: str, *, quiet: bool) -> MetricsOptions | None:
    """Return where metrics are served, None is nowhere; warn of an address that others can reach.

    Raises:
        WsrecError: What they need is not installed.
    """
    if port is None:
        return None
    from wsrecorder.net.access import is_loopback  # what it imports would cost every command some time

    if find_spec("prometheus_client") is None:
        raise WsrecError(
            "--metrics needs what the extra 'metrics' brings", hint="pip install 'wsrecorder[metrics]', or leave it out"
        )
    if not is_loopback(host):
        say(f"warning: {host} can be reached from other machines, and metrics are shown to all, unencrypted")
    return MetricsOptions(command, host, port, quiet)


def begin_log(log_format: LogFormat, *, quiet: bool) -> bool:
    """Send the log to stderr, unless a panel is to show there instead; return whether one is."""
    as_json = log_format is LogFormat.JSON
    on_terminal = sys.stderr.isatty() and not quiet and not as_json
    if not on_terminal:
        log_to_stderr(quiet=quiet, as_json=as_json)
    return on_terminal


@asynccontextmanager
async def metrics_beside(
    options: MetricsOptions | None,
    mishaps: Mishaps,
    actions: Mapping[str, Callable[[str], Finding]] | None = None,
) -> AsyncIterator[Callable[[Callable[[], Vitals]], None]]:
    """Serve metrics and health until the block ends.

    Args:
        options: Where; None is nowhere.
        mishaps: Is counted there, and takes the errors of what answers.
        actions: What else programs on this machine can have done: what answers a POST of each path.

    Yields:
        What is to be told, once, how to reach what there is to tell of the job.

    Raises:
        EndpointError: The address or port cannot be had.
    """
    if options is None:
        yield lambda reach: None
        return
    from wsrecorder.net.probes import Probes

    watched: list[Vitals] = []
    page = _Pages(options, watched, mishaps)
    answers = {"/metrics": page.metrics, "/healthz": page.health, "/readyz": page.readiness}
    on_mishap = partial(mishaps.note, "metrics")
    async with Probes(options.host, options.port, answers, actions, on_mishap=on_mishap) as probes:
        if not options.quiet:
            say(f"metrics at {probes.url}/metrics")
        yield lambda reach: watched.append(reach())


class _Pages:
    """What is answered; all of it on the event loop."""

    def __init__(self, options: MetricsOptions, watched: list[Vitals], mishaps: Mishaps) -> None:
        self._options = options
        self._mishaps = mishaps
        self._watched = watched
        self._version = version("wsrecorder")

    def metrics(self) -> Finding:
        from wsrecorder.jobs.metrics import Measurement
        from wsrecorder.jobs.metrics_page import METRICS_TYPE, metrics_page
        from wsrecorder.net.probes import Finding

        measured = [each for vitals in self._watched for each in vitals.measurements()]
        measured += [
            Measurement("wsrec_mishaps_total", count, (place,)) for place, count in self._mishaps.counts.items()
        ]
        page = metrics_page(measured, self._options.command, self._version)
        return Finding(page, content_type=METRICS_TYPE)

    def health(self) -> Finding:
        return _verdict(next(filter(None, (vitals.trouble() for vitals in self._watched)), None))

    def readiness(self) -> Finding:
        if not self._watched:
            return _verdict(_STARTING)
        reasons = (vitals.trouble() or vitals.unready() for vitals in self._watched)
        return _verdict(next(filter(None, reasons), None))


def _verdict(reason: str | None) -> Finding:
    from wsrecorder.net.probes import Finding

    return Finding(b"ok\n") if reason is None else Finding(f"{reason}\n".encode(), 503)


def tell_mishaps(mishaps: Mishaps, exit_code: int) -> int:
    """Print how many errors of our own making there were, if any; return the exit code, which is then 1."""
    if mishaps.count:
        print_error(mishaps.summary(), "the log has each once, with its traceback; please report it")
    return mishaps.exit_code(exit_code)
