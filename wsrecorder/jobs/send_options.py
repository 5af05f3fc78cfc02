"""What a recorded client is asked to say again, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from wsrecorder.core.alignment import Outcome
from wsrecorder.core.likeness import ABSENT, Change
from wsrecorder.net.tls import TlsContext

__all__ = ["AnswerDifference", "ConnectionReport", "SendOptions", "SendReport", "WaitFor"]


class WaitFor(StrEnum):
    """What a message of the client waits for."""

    ANSWERS = "answers"
    """All that the server had said before it."""

    TIME = "time"
    """The moment at which it was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How to say it again.

    Attributes:
        url: Of the server.
        wait: What a message waits for.
        speed: With ``time``: session seconds per second; infinity sends all at once.
        match: When an answer is the recorded one: ``json``, ``exact``, ``type``, or an SQL expression.
        timeout_s: How long to wait while nothing comes, and for the handshake, s.
        conn: Which recorded connection; None is all on which a client said something.
        headers: More headers for the handshake.
        origin: Value of the header Origin, or None.
        subprotocols: Offered; None offers the recorded one.
        ignore: Keys that are not compared, wherever they stand.
        ignore_paths: Paths that are not compared.
        limit: How many differences are told one by one for each connection; all are counted.
        transport: ``websockets`` or ``picows``.
        tls: How a server behind ``wss://`` is checked, and what it is shown; None checks by the system's authorities.
        secrets: What is shown nowhere, beside what looks secret in the URL.
    """

    url: str = field(repr=False)
    wait: WaitFor = WaitFor.ANSWERS
    speed: float = 1.0
    match: str = "json"
    timeout_s: float = 10.0
    conn: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    origin: str | None = None
    subprotocols: tuple[str, ...] | None = None
    ignore: frozenset[str] = frozenset()
    ignore_paths: tuple[str, ...] = ()
    limit: int = 20
    transport: str = "websockets"
    tls: TlsContext | None = field(default=None, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class AnswerDifference:
    """An answer that is not the recorded one.

    Attributes:
        outcome: ``missing``, ``added`` (nobody expected it) or ``changed``.
        type: Its type, or None.
        seq: The recorded event, or None.
        payload: What came; what was recorded where nothing came.
        changes: Where the two differ; of a changed one only.
    """

    outcome: Outcome
    type: str | None
    seq: int | None
    payload: bytes
    changes: tuple[Change, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON; what is absent has no value."""
        return {
            "outcome": _word(self.outcome),
            "type": self.type,
            "seq": self.seq,
            "payload": _plain(self.payload),
            "changes": [
                {"path": change.path}
                | {
                    name: _plain(value)
                    for name, value in (("expected", change.before), ("found", change.after))
                    if value is not ABSENT
                }
                for change in self.changes
            ],
        }


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What came of one connection.

    Attributes:
        conn: The recorded connection.
        sent: Messages that were sent.
        unsent: Recorded ones that were not, because something was waited for in vain or the connection had ended.
        expected: Recorded answers.
        received: Answers that came; heartbeats are left out of both.
        counts: What became of them; ``moved`` came in another order, which is no difference.
        differences: The first of them.
        close_code: With which code the server ended it; None if we did.
        close_reason: Its reason.
    """

    conn: int
    sent: int
    unsent: int
    expected: int
    received: int
    counts: Counter[Outcome]
    differences: list[AnswerDifference]
    close_code: int | None = None
    close_reason: str = ""

    @property
    def different(self) -> int:
        """How many answers are not the recorded ones."""
        return sum(self.counts[outcome] for outcome in (Outcome.CHANGED, Outcome.MISSING, Outcome.ADDED))

    @property
    def is_equal(self) -> bool:
        """Whether all was sent and the answers are the recorded ones."""
        return not self.unsent and not self.different

    @property
    def is_lost(self) -> bool:
        """Whether the connection broke before all was said."""
        return self.close_code == 1006 and not self.is_equal

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "conn": self.conn,
            "equal": self.is_equal,
            "sent": self.sent,
            "unsent": self.unsent,
            "expected": self.expected,
            "received": self.received,
            "counts": {_word(outcome): self.counts[outcome] for outcome in Outcome},
            "differences": [each.to_dict() for each in self.differences],
            "close_code": self.close_code,
            "close_reason": self.close_reason,
        }


@dataclass(frozen=True, slots=True)
class SendReport:
    """What came of it.

    Attributes:
        url: Of the server, without credentials.
        session: Id of the session.
        connections: By recorded connection.
    """

    url: str
    session: str
    connections: list[ConnectionReport]

    @property
    def is_equal(self) -> bool:
        """Whether the server answered as recorded."""
        return all(each.is_equal for each in self.connections)

    @property
    def is_lost(self) -> bool:
        """Whether a connection broke before all was said."""
        return any(each.is_lost for each in self.connections)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "url": self.url,
            "session": self.session,
            "equal": self.is_equal,
            "connections": [each.to_dict() for each in self.connections],
        }


def _word(outcome: Outcome) -> str:
    return "unexpected" if outcome is Outcome.ADDED else str(outcome)


def _plain(value: Any) -> Any:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
