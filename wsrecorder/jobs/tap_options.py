"""What a tap is asked to do, how it stands, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsrecorder.core.credentials import redact_url
from wsrecorder.core.distribution import Distribution
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.store.place import Place

__all__ = ["TapClient", "TapJobOptions", "TapOptions", "TapState", "TapSummary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TapJobOptions:
    """What a tap is asked to do.

    Attributes:
        tap: How it listens and reaches the server.
        record: How what goes by is recorded; of its feed only the URL counts.
    """

    tap: TapOptions
    record: RecordOptions


@dataclass(frozen=True, slots=True)
class TapClient:
    """One client that is connected now.

    Attributes:
        conn: Its connection's number in the session.
        address: Host and port it came from.
        target: Path and query it asked for.
        messages_in: Frames from the server so far.
        messages_out: Frames to the server so far.
        waiting_bytes: Bytes that it has not taken yet.
    """

    conn: int
    address: str
    target: str
    messages_in: int
    messages_out: int
    waiting_bytes: int


@dataclass(frozen=True, slots=True)
class TapState:
    """How a tap stands, for a panel.

    Attributes:
        url: Where clients connect; it has the query of the server's URL, and so may hold credentials: see `shown_url`.
        clients: Those that are connected now, in the order in which they came.
        clients_served: Clients so far.
        refused: Clients that were not let in, by reason: by the tap itself, or by a server that refused or was away.
        messages_in: Frames from the server so far.
        messages_out: Frames to the server so far.
        size_bytes: Payload bytes written so far.
        disk_bytes: Bytes on disk.
        added: From the arrival of each message to its write.
        gaps: Messages whose content could not be kept.
        types: Frames by type so far.
        path: Where the session is, or None.
    """

    url: str
    clients: Sequence[TapClient]
    clients_served: int
    refused: Mapping[str, int]
    messages_in: int
    messages_out: int
    size_bytes: int
    disk_bytes: int
    added: Distribution
    gaps: int
    types: dict[str, int]
    path: Place | None

    @property
    def shown_url(self) -> str:
        """Where clients connect, without credentials."""
        return redact_url(self.url)


@dataclass(frozen=True, slots=True)
class TapSummary:
    """How a tap ended.

    Attributes:
        outcome: Of the recording; without a manifest where no client came.
        state: How it stood at the end.
    """

    outcome: Outcome
    state: TapState
