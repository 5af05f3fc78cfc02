"""What requests hold, and how answers are described at ``/docs``."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

__all__ = [
    "MOST_NS",
    "Burst",
    "ClientFacts",
    "ClientNumber",
    "Clients",
    "Control",
    "DensityFacts",
    "Disconnect",
    "EventFacts",
    "EventPage",
    "EventRow",
    "FaultFacts",
    "FaultsWanted",
    "Loop",
    "NoteFacts",
    "NoteWanted",
    "Notes",
    "PlaybackFacts",
    "Problem",
    "Projections",
    "Seek",
    "SessionInShort",
    "Speed",
    "StateFacts",
    "Step",
]

MOST_NS: Final = 2**63 - 1

_Ns = Annotated[int, Field(ge=0, le=MOST_NS, description="ns since the session began")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        """Refuse what JSON can hold and no answer could repeat: half of a surrogate pair."""
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text):
                raise PydanticCustomError("half_pair", "Input should be text, found half of a surrogate pair")
        return value


class Control(_Request):
    """A control of one playback."""

    playback: str | None = Field(None, description="Its name; may be left out where there is one, or a shared one")


class Seek(Control):
    """Where to go: exactly one of these, beside the playback."""

    to: str | None = Field(None, description="A moment: 90s, -10s from the end, or an ISO 8601 time")
    by: str | None = Field(None, description="So far from the playhead: 10s, -10s")
    by_ns: int | None = Field(None, ge=-MOST_NS, le=MOST_NS, description="The same in ns")
    ns: _Ns | None = None
    seq: int | None = Field(None, ge=0, le=MOST_NS, description="An event, by its number")
    match: str | None = Field(None, description="The next event for which this SQL expression is true")
    note: str | None = Field(None, description='The first note that contains this text; "next" is the next one')


class Step(Control):
    """How many events to step; back if it is negative."""

    events: int = Field(1, ge=-10_000, le=10_000)


class Burst(Control):
    """How many events to send as fast as possible."""

    events: int = Field(ge=1, le=10_000_000)


class Speed(Control):
    """Session seconds per second, or ``max``."""

    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["max"]


class Loop(Control):
    """From where to where to play again and again; or ``off``."""

    from_ns: _Ns | None = None
    to_ns: _Ns | None = None
    off: bool = False


class FaultsWanted(_Request):
    """What is to go wrong from now on, and nothing else."""

    faults: list[str] = Field(max_length=100, examples=[["drop=1%", "disconnect=30s"]])


class NoteWanted(_Request):
    """A note on a moment; without one on that of the playhead, or on the end."""

    text: str
    at_ns: _Ns | None = None


class Disconnect(_Request):
    """With which close code, and why."""

    code: int = 1000
    reason: str = ""


class Problem(BaseModel):
    """What happened, and what to do about it."""

    message: str
    hint: str


class PlaybackFacts(BaseModel):
    """How a playback stands."""

    name: str
    status: Literal["waiting", "playing", "paused", "ended"]
    position_ns: int
    seq: int | None = Field(description="Of the last event sent")
    speed: float | Literal["max"]
    achieved_speed: float | None = Field(description="Over the last seconds")
    loop: list[int] | None
    frames_sent: int
    primed: int
    lateness_ms: dict[str, float | None] | None
    passes: int
    error: Problem | None


class SessionInShort(BaseModel):
    """A session in short."""

    id: str
    name: str
    url: str
    state: Literal["sealed", "recording", "cut"]
    sealed: bool
    messages: int
    started_at: str
    offset_ns: int
    length_ns: int


class StateFacts(BaseModel):
    """How everything stands."""

    mode: Literal["replay", "open"]
    sessions: list[SessionInShort]
    start_ns: int
    end_ns: int
    began_at: str
    url: str | None = Field(description="Where clients of the replay connect")
    playbacks: list[PlaybackFacts]
    clients: int
    faults: list[str]
    fault_counts: dict[str, int]
    last_event: dict[str, int] | None
    version: str


class EventRow(BaseModel):
    """An event as a list shows it."""

    seq: int
    row: int
    kind: str
    elapsed_ns: int
    received_at: str
    type: str | None
    direction: str
    conn: int
    size: int
    preview: str
    after_gap: bool
    out_of_order: bool


class EventPage(BaseModel):
    """Some rows of a list; ``complete`` says whether all that a filter keeps was found."""

    total: int
    first: int
    complete: bool
    rows: list[EventRow]


class EventFacts(BaseModel):
    """One event, with its payload."""

    seq: int
    type: str | None
    kind: str
    direction: str
    conn: int
    elapsed_ns: int
    received_at: str
    received_ns: str
    sent_at: str | None
    size: int
    text: str | None = None
    binary_base64: str | None = None
    detail: str | None = None


class DensityFacts(BaseModel):
    """How many messages of each type came when, and what happened beside them."""

    from_ns: int
    to_ns: int
    bins: int
    bin_ns: int
    types: list[dict[str, Any]]
    names: list[str]
    gaps: list[dict[str, Any]]
    connections: list[dict[str, Any]]
    notes: list[dict[str, Any]]


class Projections(BaseModel):
    """What was known at a moment."""

    at_ns: int
    engine: dict[str, Any]
    orders: list[dict[str, Any]]
    positions: list[dict[str, Any]]


class ClientFacts(BaseModel):
    """A client of the endpoint."""

    number: int
    address: str
    query: str
    playback: str | None
    frames_sent: int
    primed: int
    bytes_sent: int
    heartbeats_sent: int
    inbound_frames: int
    stalls: int
    stalled_ms: float
    buffered_bytes: int
    latency_ms: float
    deflate: bool
    connected_s: float


class ClientNumber(BaseModel):
    """Which client."""

    number: int


class Clients(BaseModel):
    """The clients that are here."""

    clients: list[ClientFacts]


class FaultFacts(BaseModel):
    """What goes wrong on purpose, and what was injected so far."""

    faults: list[str]
    counts: dict[str, int]


class NoteFacts(BaseModel):
    """A note."""

    elapsed_ns: int
    at: str
    text: str
    made_at: str


class Notes(BaseModel):
    """The notes of a session, by time."""

    notes: list[NoteFacts]
