"""Why a black box wrote a session, as the session's manifest says it."""

from __future__ import annotations

import msgspec

__all__ = ["BlackBoxTrigger", "FurtherTrigger"]


class FurtherTrigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What asked a black box again for a session that it was about to write.

    Attributes:
        cause: As of the first trigger.
        reason: Likewise.
        at_ns: When it came, UTC ns since the epoch.
    """

    cause: str
    reason: str = ""
    at_ns: int


class BlackBoxTrigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a black box wrote a session, and which part of what came it holds.

    Attributes:
        cause: ``signal``, ``http``, ``condition``, ``disk``: too little was free, or ``crash``: its recorder was
            killed, and its ring held this.
        reason: The condition, the signal's name, or what was said with the request.
        at_ns: When the first trigger came, UTC ns since the epoch; of a crash when the last event did.
        triggers: How many triggers the session is for.
        further: Those after the first, at most 50.
        pre_ns: How much from before the trigger was wanted, ns; None is all there was.
        post_ns: How much from after it, ns.
        missing_ns: By how much the recording ended before that was over, ns.
        part: From 1 on: triggers that did not cease made one session after the other.
    """

    cause: str
    reason: str = ""
    at_ns: int
    triggers: int = 1
    further: tuple[FurtherTrigger, ...] = ()
    pre_ns: int | None = None
    post_ns: int = 0
    missing_ns: int = 0
    part: int = 1
