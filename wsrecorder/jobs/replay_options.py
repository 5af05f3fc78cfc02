"""What a replay is asked to do, how it stands, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from wsrecorder.core.distribution import Distribution
from wsrecorder.core.fault import Fault
from wsrecorder.core.moment import Moment
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import WsrecError
from wsrecorder.net.access import Access
from wsrecorder.net.client_stats import ClientStats
from wsrecorder.net.endpoint_options import SlowClient

__all__ = ["AtEnd", "FaultReport", "PlaybackState", "Prime", "ReplayOptions", "ReplayReport", "ReplayState"]


class Prime(StrEnum):
    """What a client is told first when it joins late, or is carried over a seek."""

    NONE = "none"
    """Nothing."""

    LAST = "last"
    """The last event of each type and order, position or symbol."""

    STATE = "state"
    """The events that carry what is still open: orders, positions, the engine's state, the last scan."""


class AtEnd(StrEnum):
    """What happens when everything was played."""

    STAY = "stay"
    CLOSE = "close"
    EXIT = "exit"
    LOOP = "loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How to replay.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        path: Path to serve; None takes the recorded one.
        speed: Session seconds per wall second, above 0; infinity is as fast as possible.
        axis: Whether times of receiving or of sending are played.
        max_gap_ns: Longest silence, in session time before speed; None keeps all.
        start: Where to begin; None is the beginning.
        end: Where to end, not included; None is the end.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        where: Only messages for which this SQL expression is true; None is all.
        verbatim: Every recorded frame and nothing else: no heartbeats of the endpoint's own.
        restamp: Rewrite time stamps, so that the stream looks live.
        per_client: Each client has a playback of its own, from the start.
        wait_for: Clients to wait for before playing; 0 plays at once.
        slow_client: What to do with a client that lags too far; None decides by speed and mode.
        client_buffer_bytes: How far a client may lag.
        at_end: What happens when everything was played.
        faults: What goes wrong on purpose, from the start.
        seed: Decides which frames the faults hit.
        prime: What a client is told first when it joins late, or is carried over a seek; with ``verbatim`` nothing.
        access: Who may connect, and how much one may do.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    path: str | None = None
    speed: float = 1.0
    axis: Axis = Axis.RECEIVED
    max_gap_ns: int | None = None
    start: Moment | None = None
    end: Moment | None = None
    types: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    where: str | None = None
    verbatim: bool = False
    restamp: bool = False
    per_client: bool = False
    wait_for: int = 1
    slow_client: SlowClient | None = None
    client_buffer_bytes: int = 16 << 20
    at_end: AtEnd = AtEnd.STAY
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    prime: Prime = Prime.LAST
    access: Access = field(default_factory=Access)

    @property
    def slow_client_policy(self) -> SlowClient:
        """What to do with a client that lags too far: as asked, or by speed and mode.

        A client that has a playback of its own, or that is sent everything at once, is waited for.
        """
        if self.slow_client is not None:
            return self.slow_client
        return SlowClient.WAIT if self.per_client or self.speed == float("inf") else SlowClient.CLOSE


@dataclass(frozen=True, slots=True)
class ReplayState:
    """How a replay stands, for a panel.

    Attributes:
        status: ``waiting`` for clients, ``playing``, ``paused`` or ``ended``.
        position_ns: Where the playhead stands, session time, ns.
        start_ns: Where the window begins.
        end_ns: Where it ends, as far as the session has come.
        speed: Speed asked for, as it is set now.
        achieved_speed: Session seconds per wall second so far; None before the first frame.
        frames_sent: Frames played so far.
        clients: Clients that are here.
        lateness: Of frames that had a deadline.
    """

    status: str
    position_ns: int
    start_ns: int
    end_ns: int
    speed: float
    achieved_speed: float | None
    frames_sent: int
    clients: int
    lateness: Distribution


@dataclass(frozen=True, slots=True)
class PlaybackState:
    """How one playback stands.

    Attributes:
        name: ``shared``, ``client 3``, or ``session KEY``.
        status: ``waiting`` for clients, ``playing``, ``paused`` or ``ended``.
        position_ns: Where the playhead stands in the recording, session time, ns.
        seq: Sequence number of the last event sent since playback began there; None before the first.
        speed: Speed asked for, also while paused.
        achieved_speed: Session seconds per wall second over the last 5 s of playing; None before the first frames.
        overall_speed: The same since it began.
        loop: From where to where it loops, session time, ns; None where it does not.
        frames_sent: Frames played so far.
        primed: Frames by which clients were told how things stand; they are not among those played.
        lateness: Of frames that had a deadline.
        passes: How often playback has begun somewhere.
        error: What ended it; None if nothing did.
    """

    name: str
    status: str
    position_ns: int
    seq: int | None
    speed: float
    achieved_speed: float | None
    overall_speed: float | None
    loop: tuple[int, int] | None
    frames_sent: int
    primed: int
    lateness: Distribution
    passes: int
    error: WsrecError | None


@dataclass(frozen=True, slots=True)
class FaultReport:
    """What went wrong on purpose.

    Attributes:
        seed: Decided which frames were hit.
        active: The faults that were active last, as they are written.
        counts: How often each kind that has ever been active was injected; see `Faults.counts`.
    """

    seed: int = 0
    active: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {"seed": self.seed, "active": list(self.active), "counts": self.counts}


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay measured of itself.

    Attributes:
        frames_sent: Frames played, each counted once, however many clients took it.
        primed: Frames by which clients that joined late or were carried over a seek were told how things stand; they
            are not among those played.
        passes: How often the recording was begun.
        playing_s: Wall time from the first frame to the last, pauses left out, seconds.
        session_s: Session time that was played, seconds.
        speed: Speed asked for; None is as fast as possible.
        achieved_speed: Session seconds per wall second; None if it took no time.
        lateness: Of frames that had a deadline.
        clients: What each client was sent.
        slow_closed: Clients closed because they lagged too far.
        refused: Clients that were not let in, by reason.
        faults: What went wrong on purpose.
        mishaps: Errors of our own making, by what each was held to.
    """

    frames_sent: int
    primed: int
    passes: int
    playing_s: float
    session_s: float
    speed: float | None
    achieved_speed: float | None
    lateness: Distribution
    clients: list[ClientStats]
    slow_closed: int
    refused: dict[str, int] = field(default_factory=dict)
    faults: FaultReport = field(default_factory=FaultReport)
    mishaps: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON; durations in ms."""
        return {
            "frames_sent": self.frames_sent,
            "primed": self.primed,
            "passes": self.passes,
            "playing_s": round(self.playing_s, 6),
            "session_s": round(self.session_s, 6),
            "speed": self.speed,
            "achieved_speed": None if self.achieved_speed is None else round(self.achieved_speed, 4),
            "frames_per_s": round(self.frames_sent / self.playing_s, 1) if self.playing_s else None,
            "lateness_ms": self.lateness.summary_ms(),
            "slow_closed": self.slow_closed,
            "refused": sum(self.refused.values()),
            "refusals": self.refused,
            "faults": self.faults.to_dict(),
            "mishaps": self.mishaps,
            "clients": [
                {
                    "number": client.number,
                    "address": client.address,
                    "query": client.query,
                    "frames_sent": client.frames_sent,
                    "bytes_sent": client.bytes_sent,
                    "primed": client.primed,
                    "heartbeats_sent": client.heartbeats_sent,
                    "inbound_frames": client.inbound_frames,
                    "stalls": client.stalls,
                    "stalled_ms": round(client.stalled_ns / 1e6, 3),
                    "latency_ms": round(client.latency_ms, 3),
                    "deflate": client.window_bits is not None,
                    "close_code": client.close_code,
                }
                for client in self.clients
            ],
        }
