"""What a recording is asked to do, how it stands, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from wsrecorder.core.black_box import BoxLimits, RingFill
from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.recorder import Limits, Retry
from wsrecorder.core.redaction_rules import RedactionRules
from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.jobs.new_session import Made
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.library import DUCKDB_SUFFIX, safe_name
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import Place

__all__ = ["BlackBoxOptions", "FeedState", "Outcome", "RecordOptions", "StreamOptions"]


@dataclass(frozen=True, slots=True)
class BlackBoxOptions:
    """What a black box keeps and what makes it write.

    Attributes:
        limits: What it keeps, and what a snapshot holds.
        trigger: SQL condition on events that asks for a snapshot, or None.
    """

    limits: BoxLimits
    trigger: str | None = None


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """A stream to record into.

    Attributes:
        address: Where it is.
        replicas: How many copies a new one has.
        keeps_spool: Whether what was published stays on the disk, too.
        session_id: Id of a session that other recorders of the feed record too; None is a session of its own.

    Raises:
        UsageError: The address names a session, too.
    """

    address: StreamAddress
    replicas: int = 1
    keeps_spool: bool = False
    session_id: str | None = None

    def __post_init__(self) -> None:
        if self.address.session is not None:
            raise UsageError(
                f"{self.address} names a session, and a recording makes a new one",
                hint=f"leave out /{self.address.session}; --name names it",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """What to record and how.

    Attributes:
        feed: How to reach the feed.
        library: Folder of sessions, for Parquet sessions.
        name: A word for people; None takes the host's name.
        into: A new DuckDB file to record into instead, or None.
        stream: A stream to record into instead, or None.
        send: Text frames to send after each connect; nothing else is ever sent.
        retry: When to reconnect.
        stall_s: Silence after which the connection counts as lost, seconds; 0 is never.
        limits: When batches and segments are complete, and when the recording is.
        sync: Whether each batch is synced to the disk.
        spool: Where sessions wait that go to object storage or a stream; None is the usual place.
        spool_max_bytes: How much may wait there, bytes; a spool that holds more is like a full disk.
        min_free_bytes: What must stay free on the disk: before less is, the session is sealed. 0 lets it fill.
        dialect: How envelopes are read.
        transport: ``websockets`` or ``picows``.
        redaction: What is replaced in payloads before they are written, or None.
        tool: Name and version of this program, for the manifest.
        black_box: Keep only the newest events, and write sessions of them when triggered; None keeps all.

    Raises:
        UsageError: The name holds nothing that can stand in a file name, or ``into`` is no name of a DuckDB file, or
            there is a black box beside it.
    """

    feed: FeedOptions
    library: Place = Path("recordings")
    name: str | None = None
    into: Path | None = None
    stream: StreamOptions | None = None
    send: tuple[str, ...] = ()
    retry: Retry = field(default_factory=Retry)
    stall_s: float = 90.0
    limits: Limits = field(default_factory=Limits)
    sync: bool = True
    spool: Path | None = None
    spool_max_bytes: int = 10 * 10**9
    min_free_bytes: int = 0
    dialect: Dialect = ENGINE
    transport: str = "websockets"
    redaction: RedactionRules | None = None
    tool: str = "wsrecorder"
    black_box: BlackBoxOptions | None = None

    def __post_init__(self) -> None:
        _ = self.session_name
        if self.into is not None and self.into.suffix != DUCKDB_SUFFIX:
            raise UsageError(
                f"{self.into} is no name of a DuckDB session", hint=f"name it {self.into.name}{DUCKDB_SUFFIX}"
            )

        if (self.into is not None or self.stream is not None) and self.black_box is not None:
            raise UsageError(
                "--snapshot and --into exclude each other: a black box writes any number of sessions",
                hint="leave out --into; --library says where they go",
            )

    @property
    def session_name(self) -> str:
        """The session's name: as given, or the DuckDB file's, or the feed's host."""
        if self.name is not None:
            return safe_name(self.name)
        if self.into is not None:
            return safe_name(self.into.name.removesuffix(DUCKDB_SUFFIX))
        return safe_name(urlsplit(self.feed.url).hostname or "feed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the recording of one feed ended.

    Attributes:
        manifest: Of the sealed session; None when nothing was recorded.
        path: Where the session is; None when nothing was recorded.
        error: What ended it, or None.
        snapshots: What a black box wrote; None where there was none.
    """

    manifest: Manifest | None
    path: Place | None
    error: WsrecError | None
    snapshots: tuple[Made, ...] | None = None


@dataclass(frozen=True, slots=True)
class FeedState:
    """How the recording of one feed stands, for a panel.

    Attributes:
        status: ``connecting``, ``open``, ``waiting`` to reconnect, or ``ended``.
        messages: Frames so far.
        size_bytes: Payload bytes written so far.
        disk_bytes: Bytes on disk.
        silence_ns: Since the last frame.
        latency_ms: Received minus sent by the two clocks, p50 and p99; None where no time stamp came.
        reconnects: Connections after the first.
        gaps: Times in which frames may have been missed.
        types: Frames by type so far.
        path: Where the session is, or None.
        ring: How much a black box has; None where there is none.
        snapshots: How many it has written.
        snapshots_failed: How many it could not write.
    """

    status: str
    messages: int
    size_bytes: int
    disk_bytes: int
    silence_ns: int
    latency_ms: tuple[float, float] | None
    reconnects: int
    gaps: int
    types: dict[str, int]
    path: Place | None
    ring: RingFill | None = None
    snapshots: int = 0
    snapshots_failed: int = 0
