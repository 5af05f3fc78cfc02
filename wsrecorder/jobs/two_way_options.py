"""What a two-way replay is asked to do, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsrecorder.core.distribution import Distribution
from wsrecorder.core.rules import RuleText, parse_rules
from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay_options import FaultReport

if TYPE_CHECKING:
    from wsrecorder.jobs.dialogue_playback import ClientDialogue
    from wsrecorder.net.client_stats import ClientStats

__all__ = ["TwoWay", "TwoWayOptions", "TwoWayReport", "read_rules"]


class TwoWay(StrEnum):
    """What becomes of what clients send."""

    STRICT = "strict"
    """The playhead waits at each recorded client message until the client sends one that matches."""

    LOOSE = "loose"
    """What matches a recorded client message is answered as that was, whatever the order."""

    TIMED = "timed"
    """Nothing: it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWayOptions:
    """How to talk with clients.

    Attributes:
        mode: Strict or loose; of no account with rules.
        match: ``exact``, ``json``, ``type``, or an SQL expression.
        match_timeout_s: How long strict waits for what is expected, s.
        conn: Which recorded connection is played; None is the first on which a client said something, and in
            loose mode what was said on the others too.
        in_turn: Whether each client plays the connection that was recorded in its place: the first client the first
            one, and so on; who comes after the last one plays that again. It is closed where, and as, the server
            closed that one; and connections on which no client said a word are played too.
        rules: Say what is played, in place of what was recorded of clients; None has no rules.
    """

    mode: TwoWay = TwoWay.STRICT
    match: str = "json"
    match_timeout_s: float = 10.0
    conn: int | None = None
    in_turn: bool = False
    rules: tuple[RuleText, ...] | None = None


@dataclass(frozen=True, slots=True)
class TwoWayReport:
    """What a two-way replay measured of itself.

    Attributes:
        mode: ``strict``, ``loose`` or ``rules``.
        frames_sent: Frames played to all clients together.
        lateness: Of frames that had a deadline.
        dialogues: How it went with each client, the last thousand.
        clients: What each client was sent.
        refused: Clients that were not let in, by reason.
        faults: What went wrong on purpose.
    """

    mode: str
    frames_sent: int
    lateness: Distribution
    dialogues: list[ClientDialogue]
    clients: list[ClientStats]
    refused: dict[str, int]
    faults: FaultReport

    @property
    def mismatches(self) -> int:
        """How many clients were closed because they did not say what was expected."""
        return sum(each.mismatch is not None for each in self.dialogues)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "mode": self.mode,
            "frames_sent": self.frames_sent,
            "lateness_ms": self.lateness.summary_ms(),
            "refused": sum(self.refused.values()),
            "refusals": self.refused,
            "faults": self.faults.to_dict(),
            "mismatches": self.mismatches,
            "dialogues": [each.to_dict() for each in self.dialogues],
        }


def read_rules(path: Path) -> tuple[RuleText, ...]:
    """Read a rule file.

    Raises:
        UsageError: It cannot be read, or holds no rules.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else f"not UTF-8 at byte {exc.start}"
        raise UsageError(f"{path} cannot be read: {reason}", hint="name a rule file; see docs/two-way.md") from exc
    return tuple(parse_rules(text, str(path)))
