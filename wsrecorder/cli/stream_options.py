"""Options of commands that write into or read from a JetStream stream."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.core.stream_address import StreamAddress, StreamCredentials, is_stream_address, parse_stream_address
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.jobs.record_options import StreamOptions

__all__ = ["KeepSpool", "Replicas", "SessionId", "destination_of", "need_nats", "stream_address"]

_PANEL = "JetStream"

Replicas = Annotated[
    int,
    typer.Option(
        min=1, max=5, rich_help_panel=_PANEL, help="Copies of a new stream: 3 outlive a server, of a cluster of three."
    ),
]
KeepSpool = Annotated[
    bool, typer.Option("--keep-spool", rich_help_panel=_PANEL, help="Keep what was published on the disk, too.")
]

SessionId = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        rich_help_panel=_PANEL,
        help="Id of the session: several recorders that name the same one stand in for each other.",
    ),
]


def stream_address(text: str) -> StreamAddress:
    """Return the address of a stream, with the credentials of the environment where it names none.

    Raises:
        UsageError: It is none.
    """
    named = os.environ.get
    found = StreamCredentials(
        user=named("NATS_USER"), password=named("NATS_PASSWORD"), token=named("NATS_TOKEN"), file=named("NATS_CREDS")
    )
    return parse_stream_address(text, found)


def need_nats() -> None:
    """Say what is missing where the extra is not installed.

    Raises:
        UsageError: It is not.
    """
    if find_spec("nats") is None:
        raise UsageError("streams of JetStream need nats-py", hint='install it: pip install "wsrecorder[nats]"')


def destination_of(
    into: str | None, urls: int, replicas: int, session_id: str | None, *, keep_spool: bool
) -> tuple[Path | None, StreamOptions | None]:
    """Return what ``--into`` names: a DuckDB file, a stream, or neither.

    Args:
        into: What it says.
        urls: How many feeds are recorded.
        replicas: Copies of a new stream.
        session_id: Id of a session that others record too.
        keep_spool: Whether what was published stays on the disk.

    Raises:
        UsageError: It is meant to name a stream, and does not; or several feeds would go into one file.
    """
    if session_id is not None and not (into is not None and is_stream_address(into)):
        raise UsageError("--session-id is for streams", hint="add --into nats://HOST/STREAM, or use --name")
    if into is None:
        return None, None
    if is_stream_address(into):
        need_nats()
        from wsrecorder.jobs.record_options import StreamOptions

        return None, StreamOptions(stream_address(into), replicas, keep_spool, session_id)
    if urls > 1:
        raise UsageError(f"--into takes one URL, found {urls}", hint="record each URL into a file of its own")
    return Path(into), None
