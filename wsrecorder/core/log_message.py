"""Events as messages of a durable log, and back: subjects, headers, and several events in one message.

The events of a few moments (a *batch*) are published together: one message for each kind of event among them, which
holds the frames of that type one behind the other and the columns of all of them in its headers. A consumer that
filters by subject reads the messages of its type and needs nothing else; who wants all events in order waits for the
whole batch and sorts by sequence number (`wsrecorder.core.log_batches`)::

    wsrec.engine.ORDER_UPDATE     Wsrec-Seq: 17,2,5     events 17, 19 and 24
                                  Wsrec-Sizes: 310,312,308

A list of whole numbers has its first as it is, then each one's difference from the one before. A name may hold
anything, a subject's token not: all but letters, digits, ``_`` and ``-`` is percent-encoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final
from urllib.parse import quote, unquote

from wsrecorder.core.event import NOT_UTF8, Direction, Event, Kind
from wsrecorder.errors import SessionError

__all__ = [
    "END_TOKEN",
    "MESSAGE_ID",
    "SESSION_TOKEN",
    "BatchSpan",
    "LogMessage",
    "batch_of",
    "cut",
    "events_of",
    "feed_subjects",
    "lease_subject",
    "matches",
    "messages_of",
    "part_of",
    "presence_subject",
    "session_headers",
    "session_of",
    "subject_of",
    "token",
]

MESSAGE_ID: Final = "Nats-Msg-Id"
"""By which JetStream knows a message again: session and sequence number, and the batch it belongs to."""

SESSION_TOKEN: Final = "@session"
"""In place of a type: the message that says what a session is; JSON."""

END_TOKEN: Final = "@end"
"""In place of a type: the message that ends a session, its manifest; JSON."""

_ROOT: Final = "wsrec"
_UNTYPED: Final = "@untyped"
_EMPTY: Final = "@empty"
_LONGEST_TOKEN: Final = 200

_SESSION: Final = "Wsrec-Session"
_BATCH: Final = "Wsrec-Batch"
_SEQ: Final = "Wsrec-Seq"
_KIND: Final = "Wsrec-Kind"
_CONN: Final = "Wsrec-Conn"
_DIRECTION: Final = "Wsrec-Direction"
_ELAPSED: Final = "Wsrec-Elapsed-Ns"
_RECEIVED: Final = "Wsrec-Received-Ns"
_TYPE: Final = "Wsrec-Type"
_SENT: Final = "Wsrec-Sent-At-Us"
_OPCODE: Final = "Wsrec-Opcode"
_DETAIL: Final = "Wsrec-Detail"
_SIZES: Final = "Wsrec-Sizes"
_PART: Final = "Wsrec-Part"

_PLAIN: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What stands in a header as it is, beside letters and digits."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A message as it is published, or as it came.

    Attributes:
        subject: Where: ``wsrec.<feed>.<type>``.
        headers: The columns.
        payload: The frames, one behind the other.
    """

    subject: str
    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True, order=True)
class BatchSpan:
    """Events that were published together.

    Attributes:
        first_seq: Sequence number of the first of them.
        count: How many, without a hole.
        last_elapsed_ns: When the last of them came, ns since the session began.
    """

    first_seq: int
    count: int
    last_elapsed_ns: int

    @property
    def next_seq(self) -> int:
        """Sequence number of the event after the last of them."""
        return self.first_seq + self.count


def token(name: str) -> str:
    """Return a name as one token of a subject, from which `unquote` gives it back."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E") if name else _EMPTY


def feed_subjects(feed: str) -> str:
    """Return the filter that all subjects of a feed match."""
    return f"{_ROOT}.{token(feed)}.>"


def subject_of(feed: str, last: str) -> str:
    """Return a subject of a feed.

    Args:
        feed: The session's name.
        last: A token: of a type, or one of those that begin with ``@``.
    """
    return f"{_ROOT}.{token(feed)}.{last[:_LONGEST_TOKEN]}"


def lease_subject(name: str) -> str:
    """Return the subject whose last message says who holds the lease of a name."""
    return f"{_ROOT}.@lease.{token(name)}"


def presence_subject(name: str, role: str) -> str:
    """Return the subject on which those answer who hold the lease of a name (``holder``), or wait for it."""
    return f"wsrec-pair.{token(name)}.{role}"


def matches(pattern: str, subject: str) -> bool:
    """Return whether a subject matches a filter: ``*`` is any one token, ``>`` at the end any number of them.

    Both are as of https://docs.nats.io/nats-concepts/subjects.
    """
    wanted, found = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(found) <= len(wanted):
            return False
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(want in ("*", token_) for want, token_ in zip(wanted, found, strict=True))


def session_of(headers: Mapping[str, str]) -> str:
    """Return the id of a message's session; empty where it has none."""
    return unquote(headers.get(_SESSION, ""))


def session_headers(session: str, message_id: str) -> dict[str, str]:
    """Return the headers of a message that is about a session and holds no event."""
    return {MESSAGE_ID: f"{quote(session, safe='')}-{message_id}", _SESSION: quote(session, safe="")}


def part_of(headers: Mapping[str, str]) -> tuple[int, int]:
    """Return which part of a frame a message holds, from 1 on, and of how many."""
    number, _, parts = headers.get(_PART, "1/1").partition("/")
    return int(number), int(parts)


def batch_of(headers: Mapping[str, str]) -> BatchSpan | None:
    """Return the batch that a message is of; None where it holds no event."""
    found = headers.get(_BATCH)
    return None if found is None else BatchSpan(*map(int, found.split(",")))


def messages_of(session: str, feed: str, events: Sequence[Event], most_bytes: int) -> list[LogMessage]:
    """Return a batch of events as messages: one for each kind of event among them.

    Args:
        session: The session's id.
        feed: The session's name.
        events: Consecutive ones, at least one.
        most_bytes: Largest payload; a larger frame becomes several messages.
    """
    alike: dict[tuple[object, ...], list[Event]] = {}
    for event in events:
        is_text, has_time = event.text is not None, event.sent_at_us is None
        # Marks stay apart, each with its own detail.
        apart = event.detail if event.kind is Kind.MESSAGE else event.seq
        alike.setdefault((event.kind, event.conn, event.direction, event.type, is_text, has_time, apart), []).append(
            event
        )
    last = events[-1]
    span = BatchSpan(events[0].seq, last.seq - events[0].seq + 1, last.elapsed_ns)
    return [
        message
        for group in alike.values()
        for message in _messages(quote(session, safe=""), feed, group, span, most_bytes)
    ]


def _messages(session: str, feed: str, events: list[Event], span: BatchSpan, most_bytes: int) -> Iterator[LogMessage]:
    first = events[0]
    payloads = [event.payload or b"" for event in events]
    last = (
        (token(first.type) if first.type is not None else _UNTYPED) if first.kind is Kind.MESSAGE else f"@{first.kind}"
    )
    message_id = f"{session}-{first.seq}@{span.first_seq}+{span.count}"
    headers = {
        MESSAGE_ID: message_id,
        _SESSION: session,
        _BATCH: f"{span.first_seq},{span.count},{span.last_elapsed_ns}",
        _SEQ: _differences([event.seq for event in events]),
        _KIND: first.kind.value,
        _CONN: str(first.conn),
        _DIRECTION: first.direction.value,
        _ELAPSED: _differences([event.elapsed_ns for event in events]),
        _RECEIVED: _differences([event.received_ns for event in events]),
    }
    if first.type is not None:
        headers[_TYPE] = token(first.type)
    if first.sent_at_us is not None:
        headers[_SENT] = _differences([event.sent_at_us or 0 for event in events])
    if first.kind is Kind.MESSAGE:
        headers[_OPCODE] = "text" if first.text is not None or first.detail == NOT_UTF8 else "binary"
    if first.detail is not None:
        headers[_DETAIL] = quote(first.detail, safe=_PLAIN)
    if len(events) > 1:
        headers[_SIZES] = ",".join(map(str, map(len, payloads)))
    payload, subject = b"".join(payloads), subject_of(feed, last)
    if len(payload) <= most_bytes:
        yield LogMessage(subject, headers, payload)
        return
    if len(events) > 1:  # whoever made the batch took care that this is rare
        for event in events:
            yield from _messages(session, feed, [event], span, most_bytes)
        return
    parts = -(-len(payload) // most_bytes)
    for number in range(parts):
        apart = {MESSAGE_ID: f"{message_id}.{number + 1}", _PART: f"{number + 1}/{parts}"}
        yield LogMessage(subject, headers | apart, payload[number * most_bytes : (number + 1) * most_bytes])


def events_of(headers: Mapping[str, str], payload: bytes) -> list[Event]:
    """Return the events of a message, whose payload is whole.

    Raises:
        SessionError: It is no message of wsrec's.
    """
    try:
        return _events_of(headers, payload)
    except (KeyError, ValueError) as exc:
        raise SessionError(
            f"message {headers.get(MESSAGE_ID, 'without an id')} is none that wsrec wrote: {exc!r}",
            hint="docs/jetstream.md says what its headers are; keep the subjects wsrec.> to wsrec",
        ) from exc


def _events_of(headers: Mapping[str, str], payload: bytes) -> list[Event]:
    kind, direction, conn = Kind(headers[_KIND]), Direction(headers[_DIRECTION]), int(headers[_CONN])
    is_message, detail = kind is Kind.MESSAGE, headers.get(_DETAIL)
    detail = None if detail is None else unquote(detail)
    is_text = is_message and headers[_OPCODE] == "text" and detail != NOT_UTF8
    name = headers.get(_TYPE)
    kind_of = None if name is None else "" if name == _EMPTY else unquote(name)
    seqs = _numbers(headers[_SEQ])
    sent = _numbers(headers[_SENT]) if _SENT in headers else [None] * len(seqs)
    sizes = list(map(int, headers[_SIZES].split(","))) if _SIZES in headers else [len(payload)]
    ends = list(accumulate(sizes, initial=0))
    if ends[-1] != len(payload):
        raise ValueError(f"{len(payload)} bytes, expected {ends[-1]}")
    events = []
    columns = zip(seqs, _numbers(headers[_ELAPSED]), _numbers(headers[_RECEIVED]), sent, pairwise(ends), strict=True)
    for seq, elapsed_ns, received_ns, sent_at_us, (start, stop) in columns:
        frame = payload[start:stop]
        text = frame.decode() if is_text else None
        binary = frame if is_message and not is_text else None
        events.append(
            Event(seq, kind, conn, direction, elapsed_ns, received_ns, kind_of, sent_at_us, text, binary, detail)
        )
    return events


def _differences(numbers: list[int]) -> str:
    return ",".join(map(str, [numbers[0], *(after - before for before, after in pairwise(numbers))]))


def _numbers(text: str) -> list[int]:
    return list(accumulate(map(int, text.split(","))))


def cut(events: Iterable[Event], most_bytes: int, most_events: int) -> Iterator[list[Event]]:
    """Yield events as batches whose payloads fit one message together; a frame too large for that is one by itself."""
    held: list[Event] = []
    size_bytes = 0
    for event in events:
        payload = event.binary if event.text is None else event.text
        # A character of text may take four bytes; to count what it does take would cost as much as encoding it.
        weight = (
            0
            if payload is None
            else len(payload)
            if isinstance(payload, bytes) or payload.isascii()
            else 4 * len(payload)
        )
        if held and (size_bytes + weight > most_bytes or len(held) >= most_events):
            yield held
            held, size_bytes = [], 0
        held.append(event)
        size_bytes += weight
    if held:
        yield held
