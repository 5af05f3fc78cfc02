"""What one side of a dialogue says, and when two sayings are the same.

A recorded message of a client is *expected*; what a client sends now is *found*. They are compared by their bytes,
by what their JSON says, by their type alone, or by a condition that somebody wrote (which is asked outside, as it
takes a database).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from wsrecorder.core.event import Opcode
from wsrecorder.core.likeness import Change, Likeness, changes_between

__all__ = ["BY_EXACT", "BY_JSON", "BY_TYPE", "Likewise", "Matching", "Said", "by_json", "changes", "matching_named"]


@dataclass(frozen=True, slots=True)
class Said:
    """A message of one side.

    Attributes:
        payload: Its bytes.
        opcode: Text or binary.
        type: Its type by the feed's dialect, or None.
        seq: Which event of the session it is; None if it was not recorded.
    """

    payload: bytes
    opcode: Opcode = Opcode.TEXT
    type: str | None = None
    seq: int | None = None


class Matching(Protocol):
    """Decides whether what was found is what was expected."""

    def key(self, said: Said) -> Hashable:
        """Return what is the same for all that match one another; None where no such thing can be told."""
        ...

    def first(self, found: Said, expected: Sequence[Said]) -> int | None:
        """Return which of those expected comes first that what was found matches; None if none does."""
        ...


class Likewise(StrEnum):
    """The ways to match that need no condition."""

    EXACT = "exact"
    JSON = "json"
    TYPE = "type"


class _Keyed:
    """Matches what has the same key."""

    def __init__(self, how: Likewise, likeness: Likeness | None = None) -> None:
        self._how = how
        self._likeness = likeness or Likeness()

    def key(self, said: Said) -> Hashable:
        if self._how is Likewise.EXACT:
            return said.opcode, said.payload
        if self._how is Likewise.TYPE:
            return (said.type,)  # messages without a type are alike
        return self._likeness.read(said.payload).identity

    def first(self, found: Said, expected: Sequence[Said]) -> int | None:
        key = self.key(found)
        return next((place for place, said in enumerate(expected) if self.key(said) == key), None)


BY_EXACT: Final[Matching] = _Keyed(Likewise.EXACT)
"""The same opcode and the same bytes."""

BY_JSON: Final[Matching] = _Keyed(Likewise.JSON)
"""The same JSON value, whatever the order of its keys; the same bytes where either is no JSON."""

BY_TYPE: Final[Matching] = _Keyed(Likewise.TYPE)
"""The same type by the feed's dialect."""


def matching_named(name: str) -> Matching | None:
    """Return the matching of that name; None if it is none, and so a condition."""
    return {Likewise.EXACT: BY_EXACT, Likewise.JSON: BY_JSON, Likewise.TYPE: BY_TYPE}.get(name)  # type: ignore[call-overload,no-any-return]  # a StrEnum is its word


def by_json(likeness: Likeness) -> Matching:
    """Return a matching like `BY_JSON` that leaves out what is not compared."""
    return _Keyed(Likewise.JSON, likeness)


def changes(expected: Said, found: Said, likeness: Likeness | None = None) -> tuple[Change, ...]:
    """Return where what was found differs from what was expected, by JSON path; empty where it says the same."""
    likeness = likeness or Likeness()
    try:
        return tuple(changes_between(likeness.read(expected.payload).value, likeness.read(found.payload).value))
    except RecursionError:  # nested without end: to be looked at as a whole
        return (Change("", expected.payload, found.payload),)
