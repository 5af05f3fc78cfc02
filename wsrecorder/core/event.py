"""One row of a recording, and the batch of rows that the recorder hands to the store.

An event is either a frame (what a socket gave: payload bytes and opcode) or a mark: a
connection that opened or closed, a gap, a note. ``docs/format.md`` specifies the columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from wsrecorder.core.envelope import Envelope, plain, read_envelope

__all__ = [
    "NOT_UTF8",
    "Batch",
    "Direction",
    "Event",
    "Kind",
    "Mark",
    "Opcode",
    "Run",
    "from_epoch_ns",
    "to_epoch_ns",
]

NOT_UTF8: Final = '{"opcode": "text", "reason": "not UTF-8"}'
"""The ``detail`` of a text frame that is kept in ``binary`` because it is not UTF-8."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What an event is: a frame, or a mark between frames."""

    MESSAGE = "message"
    OPEN = "open"
    CLOSE = "close"
    GAP = "gap"
    NOTE = "note"


class Direction(StrEnum):
    """Which way a frame went: from the server to the client, or back."""

    IN = "in"
    OUT = "out"


class Opcode(IntEnum):
    """Opcodes of data frames (RFC 6455, section 5.2)."""

    TEXT = 1
    BINARY = 2


class _Once:
    """A property that is computed when it is first asked for and kept in the instance from then on.

    What `functools.cached_property` does, without its lock (Python 3.11): most of the cost of a small payload.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        found = instance.__dict__[self._name] = self._compute(instance)
        return found


class Event(msgspec.Struct, frozen=True, dict=True):
    """One event of a session.

    What its payload says is decoded when it is asked for, and once.

    Attributes:
        seq: Order of arrival in the session: 0, 1, 2 …, no holes.
        kind: A frame (``message``) or a mark.
        conn: Which connection of the session; a reconnect is a new one.
        direction: ``in`` is server to client.
        elapsed_ns: Monotonic time since the session began, ns.
        received_ns: UTC, ns since the epoch.
        type: The envelope's type, or None.
        sent_at_us: The envelope's time stamp, µs since the epoch, or None.
        text: The payload of a text frame, verbatim, or None.
        binary: The payload of a binary frame (or of a text frame that is not UTF-8), or None.
        detail: For marks, and for frames that need a word: JSON text, or None.
        envelope: What the payload says, as an `Envelope`; None for a mark and for what is no JSON object.
        data: The envelope's data, typed (`wsrecorder.core.messages`) where its shape is a documented one.
        json: The payload as plain values, whatever JSON it is; None for a mark and for what is none.
    """

    seq: int
    kind: Kind
    conn: int
    direction: Direction
    elapsed_ns: int
    received_ns: int
    type: str | None = None
    sent_at_us: int | None = None
    text: str | None = None
    binary: bytes | None = None
    detail: str | None = None

    if TYPE_CHECKING:
        envelope: ClassVar[Envelope[Any] | None]  # not fields: a class variable is what msgspec leaves alone
        data: ClassVar[Any]
        json: ClassVar[Any]
    else:

        @_Once
        def envelope(self):
            """What the payload says."""
            payload = self.binary if self.text is None else self.text
            return None if payload is None else read_envelope(payload, self.type)

        @_Once
        def data(self):
            """What the envelope carries."""
            envelope = self.envelope
            return None if envelope is None else envelope.data

        @_Once
        def json(self):
            """The payload as plain values."""
            payload = self.binary if self.text is None else self.text
            return None if payload is None else plain(payload)

    @property
    def payload(self) -> bytes | None:
        """The frame's bytes as they crossed the socket; None for a mark."""
        return self.text.encode() if self.text is not None else self.binary

    @property
    def received_at(self) -> datetime:
        """When the event was received, UTC, to the microsecond."""
        return from_epoch_ns(self.received_ns)

    @property
    def sent_at(self) -> datetime | None:
        """When the sender says it sent the event, UTC, or None."""
        return None if self.sent_at_us is None else _EPOCH + timedelta(microseconds=self.sent_at_us)


@dataclass(frozen=True, slots=True)
class Mark:
    """An event that is not a frame, at its place in a batch.

    Attributes:
        index: Its row in the batch.
        kind: Any kind but ``message``.
        detail: JSON text: close code and reason, a gap's cause and span, a note's text.
    """

    index: int
    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows of a batch that share connection and direction, from ``index`` on."""

    index: int
    conn: int
    direction: Direction


@dataclass(slots=True)
class Batch:
    """Consecutive events as columns; row ``i`` has sequence number ``first_seq + i``.

    Attributes:
        first_seq: Sequence number of the first row.
        wall_offset_ns: What to add to ``elapsed_ns`` for UTC ns since the epoch; taken once a batch.
        elapsed_ns: Monotonic ns since the session began, one a row.
        payloads: The frame's bytes, ``b""`` for a mark, one a row.
        opcodes: `Opcode`, 0 for a mark, one a row.
        marks: The rows that are not frames, in order.
        runs: Where connection or direction changes; the first has index 0.
        size_bytes: Sum of the payload lengths.
    """

    first_seq: int
    wall_offset_ns: int
    elapsed_ns: array[int] = field(default_factory=lambda: array("q"))
    payloads: list[bytes] = field(default_factory=list)
    opcodes: bytearray = field(default_factory=bytearray)
    marks: list[Mark] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    size_bytes: int = 0

    def __len__(self) -> int:
        return len(self.payloads)

    def drop_half_row(self) -> None:
        """Take back a row that came into some of the columns only, for something went wrong between them."""
        whole = min(len(self.elapsed_ns), len(self.payloads), len(self.opcodes))
        for column in (self.elapsed_ns, self.payloads, self.opcodes):
            del column[whole:]
        self.marks[:] = [mark for mark in self.marks if mark.index < whole]


def to_epoch_ns(moment: datetime) -> int:
    """Return an aware time as ns since the epoch, exact to the microsecond."""
    return ((moment - _EPOCH) // timedelta(microseconds=1)) * 1_000


def from_epoch_ns(epoch_ns: int) -> datetime:
    """Return ns since the epoch as an aware UTC time, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=epoch_ns // 1_000)
