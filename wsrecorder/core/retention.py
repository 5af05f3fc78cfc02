"""Which sessions of a library have had their time: by their age, and by what all of them together take.

Only a session that is whole may go. One that is still being recorded, one whose recorder was killed before it could
seal it, and one that cannot be read stay whatever their age: nobody has had what they hold yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wsrecorder.core.moment import format_duration
from wsrecorder.errors import UsageError

__all__ = ["Holding", "Limit", "Verdict", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A session of a library, as far as its keeping depends on it.

    Attributes:
        name: As it is found in the library.
        ended_ns: When its last event came, UTC ns since the epoch; None where nobody can tell.
        size_bytes: What it takes on disk.
        spared: Why it must stay whatever its age; None if it may go.
    """

    name: str
    ended_ns: int | None
    size_bytes: int
    spared: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a library may hold.

    Attributes:
        age_ns: Sessions that ended longer ago than this go, ns; None is any age.
        size_bytes: The oldest go until all that stay take no more than this; None is any size.

    Raises:
        UsageError: Neither is given, or one of them would leave nothing.
    """

    age_ns: int | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.age_ns is None and self.size_bytes is None:
            raise UsageError(
                "nothing says which sessions have had their time", hint="give --keep 30d, --keep-size 50GB, or both"
            )
        if self.age_ns == 0 or self.size_bytes == 0:
            raise UsageError("a limit of 0 would keep no session", hint="use a time or size above 0, such as 30d")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a session.

    Attributes:
        holding: Which.
        goes: Whether it has had its time.
        reason: Why it goes, or stays.
    """

    holding: Holding
    goes: bool
    reason: str


def judge(holdings: Iterable[Holding], limit: Limit, now_ns: int) -> list[Verdict]:
    """Say of each session whether it goes and why, the one that ended first coming first.

    Those too old go. Of the others, from the oldest on, go as many as it takes until everything that stays is within
    the limit on size. What must stay counts too, although nothing can be done about it.

    Args:
        holdings: All sessions of a library.
        limit: What it may hold.
        now_ns: UTC ns since the epoch.
    """
    verdicts = [_by_age(holding, limit.age_ns, now_ns) for holding in sorted(holdings, key=_age_order)]
    if limit.size_bytes is None:
        return verdicts
    left_bytes = sum(verdict.holding.size_bytes for verdict in verdicts if not verdict.goes)
    for index, verdict in enumerate(verdicts):
        if left_bytes <= limit.size_bytes:
            break
        if verdict.goes or verdict.holding.spared is not None:
            continue
        verdicts[index] = Verdict(verdict.holding, True, "the oldest, and there is too much")
        left_bytes -= verdict.holding.size_bytes
    return verdicts


def _age_order(holding: Holding) -> tuple[bool, int, str]:
    return holding.ended_ns is None, holding.ended_ns or 0, holding.name


def _by_age(holding: Holding, age_ns: int | None, now_ns: int) -> Verdict:
    if holding.spared is not None or holding.ended_ns is None:
        return Verdict(holding, False, holding.spared or "its end is unknown")
    if age_ns is not None and now_ns - holding.ended_ns > age_ns:
        return Verdict(holding, True, f"older than {format_duration(age_ns)}")
    return Verdict(holding, False, "within the limits")
