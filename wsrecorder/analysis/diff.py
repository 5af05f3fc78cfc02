"""How two sessions differ: messages that are missing, added, changed or moved, and how their timing differs.

Both are read side by side, in sequence; what is held of each is bounded by `wsrecorder.core.alignment.MOST_HELD`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from wsrecorder.analysis.messages import messages
from wsrecorder.analysis.session import Session
from wsrecorder.core.alignment import Match, Message, Outcome, align
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.event import Event
from wsrecorder.core.likeness import ABSENT, Change, Likeness, changes_between, general_path

__all__ = ["DiffOptions", "Difference", "PathCount", "SessionDiff", "Timing", "diff_sessions"]

_MOST_PATHS: Final = 1_000
_OTHER: Final = "(other)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """What is compared, and how much is told.

    Attributes:
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        ignore: Keys that are left out wherever they stand.
        ignore_paths: Paths that are left out.
        entity_paths: Where the id stands that tells entities apart; None is where the engine's feed has it.
        ignore_order: Whether a message that only moved is no difference.
        limit: How many differences are kept one by one; all are counted.
    """

    types: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    ignore_paths: tuple[str, ...] = ()
    entity_paths: tuple[str, ...] | None = None
    ignore_order: bool = False
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One message that is not the same in both.

    Attributes:
        outcome: ``missing``, ``added``, ``changed`` or ``moved``.
        type: Its type, or None.
        entity: What it speaks of, or None.
        seq_a: The event in the first session, or None.
        seq_b: The event in the second session, or None.
        elapsed_ns: When it came, ns since its session began; in the first session, if it is there.
        changes: Where the two differ; of a changed message only.
    """

    outcome: Outcome
    type: str | None
    entity: str | None
    seq_a: int | None
    seq_b: int | None
    elapsed_ns: int
    changes: tuple[Change, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON; what is absent has no value."""
        return {
            "outcome": str(self.outcome),
            "type": self.type,
            "entity": self.entity,
            "seq_a": self.seq_a,
            "seq_b": self.seq_b,
            "elapsed_ns": self.elapsed_ns,
            "changes": [_change(change) for change in self.changes],
        }


@dataclass(slots=True)
class PathCount:
    """How often messages of one type differ in one place.

    Attributes:
        count: How often.
        example: The first time.
    """

    count: int
    example: Change


@dataclass(slots=True)
class Timing:
    """How the timing of the second session differs from that of the first, over the messages that both have.

    Attributes:
        shift: By how much later a message came in the second, counted from the first message that both have; ns.
        pace: By how much longer it came after the one before it in both; ns.
    """

    shift: Distribution = field(default_factory=Distribution)
    pace: Distribution = field(default_factory=Distribution)
    _first: tuple[int, int] | None = None
    _last: tuple[int, int] = (0, 0)

    def add(self, before_ns: int, after_ns: int) -> None:
        """Take in when a message came in either."""
        if self._first is None:
            self._first = before_ns, after_ns
        else:
            self.pace.record((after_ns - self._last[1]) - (before_ns - self._last[0]))
        self.shift.record((after_ns - self._first[1]) - (before_ns - self._first[0]))
        self._last = before_ns, after_ns

    def to_dict(self) -> dict[str, Any]:
        """Return the percentiles in ms; None where there is nothing to compare."""
        return {"shift_ms": _percentiles(self.shift), "pace_ms": _percentiles(self.pace)}


@dataclass(slots=True)
class SessionDiff:
    """How two sessions differ.

    Attributes:
        a: Id of the first session.
        b: Id of the second session.
        counts: Messages by outcome.
        by_type: The same by type.
        paths: Where changed messages differ, by type and path.
        timing: How their timing differs.
        differences: The first ones, one by one.
        ignore_order: Whether a message that only moved is no difference.
    """

    a: str
    b: str
    counts: Counter[Outcome] = field(default_factory=Counter)
    by_type: dict[str | None, Counter[Outcome]] = field(default_factory=dict)
    paths: dict[tuple[str | None, str], PathCount] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    differences: list[Difference] = field(default_factory=list)
    ignore_order: bool = False

    @property
    def total(self) -> int:
        """How many messages differ."""
        counted = (Outcome.CHANGED, Outcome.MISSING, Outcome.ADDED, *(() if self.ignore_order else (Outcome.MOVED,)))
        return sum(self.counts[outcome] for outcome in counted)

    @property
    def is_equal(self) -> bool:
        """Whether both say the same; timing makes no difference."""
        return not self.total

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "a": self.a,
            "b": self.b,
            "equal": self.is_equal,
            "counts": _counts(self.counts),
            "types": [{"type": name, **_counts(counts)} for name, counts in self.by_type.items()],
            "paths": [
                {"type": name, "count": found.count, **_change(found.example), "path": path}
                for (name, path), found in self.paths.items()
            ],
            "timing": self.timing.to_dict(),
            "differences": [difference.to_dict() for difference in self.differences],
        }


def diff_sessions(a: Session, b: Session, options: DiffOptions | None = None) -> SessionDiff:
    """Compare what the server sent in two sessions.

    Args:
        a: The first session: what was.
        b: The second session: what is now.
        options: What is compared.

    Raises:
        UsageError: A path has an empty part.
        SessionError: A session cannot be read.
    """
    options = options or DiffOptions()
    likeness = Likeness(options.ignore, options.ignore_paths, options.entity_paths)
    found = SessionDiff(a.store.identity().id, b.store.identity().id, ignore_order=options.ignore_order)
    for match in align(_stream(a, options, likeness), _stream(b, options, likeness)):
        _count(found, match, likeness, options)
    found.by_type = dict(sorted(found.by_type.items(), key=lambda item: (item[0] is None, item[0] or "")))
    found.paths = dict(sorted(found.paths.items(), key=lambda item: -item[1].count))
    return found


def _stream(session: Session, options: DiffOptions, likeness: Likeness) -> Iterator[Message[Event]]:
    for event in messages(session.store, types=options.types, exclude=options.exclude):
        reading = likeness.read(event.payload or b"")
        yield Message((event.type, reading.identity), event.type, reading.entity, event)


def _count(found: SessionDiff, match: Match[Event], likeness: Likeness, options: DiffOptions) -> None:
    message = match.before or match.after
    assert message is not None  # a match is of one or two messages
    found.counts[match.outcome] += 1
    found.by_type.setdefault(message.type, Counter())[match.outcome] += 1
    before, after = (None if each is None else each.content for each in (match.before, match.after))
    if before is not None and after is not None and match.outcome is not Outcome.MOVED:
        found.timing.add(before.elapsed_ns, after.elapsed_ns)
    if match.outcome is Outcome.SAME or (match.outcome is Outcome.MOVED and options.ignore_order):
        return
    changes: tuple[Change, ...] = ()
    if match.outcome is Outcome.CHANGED:
        assert before is not None
        assert after is not None
        changes = _changes(before, after, likeness)
        _count_paths(found, message.type, changes)
    if len(found.differences) < options.limit:
        found.differences.append(
            Difference(
                match.outcome,
                message.type,
                message.entity,
                None if before is None else before.seq,
                None if after is None else after.seq,
                message.content.elapsed_ns,
                changes,
            )
        )


def _changes(before: Event, after: Event, likeness: Likeness) -> tuple[Change, ...]:
    one, other = (likeness.read(event.payload or b"").value for event in (before, after))
    try:
        return tuple(changes_between(one, other))
    except RecursionError:  # nested without end: to be looked at as a whole
        return (Change("", before.payload, after.payload),)


def _count_paths(found: SessionDiff, type_: str | None, changes: Iterable[Change]) -> None:
    for path in dict.fromkeys(general_path(change.path) for change in changes):
        # Feeds that use ids as keys must not fill the memory.
        known = found.paths.get((type_, path)) or (
            found.paths.get((type_, _OTHER)) if len(found.paths) >= _MOST_PATHS else None
        )
        if known is not None:
            known.count += 1
        else:
            example = next(change for change in changes if general_path(change.path) == path)
            key = path if len(found.paths) < _MOST_PATHS else _OTHER
            found.paths[type_, key] = PathCount(1, example)


def _counts(counts: Counter[Outcome]) -> dict[str, int]:
    return {str(outcome): counts[outcome] for outcome in Outcome}


def _change(change: Change) -> dict[str, Any]:
    values = {"before": change.before, "after": change.after}
    return {"path": change.path, **{name: _plain(value) for name, value in values.items() if value is not ABSENT}}


def _plain(value: Any) -> Any:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def _percentiles(distribution: Distribution) -> dict[str, float | None]:
    wanted = {"p1": 1.0, "p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    found = {name: distribution.percentile_ns(percent) for name, percent in wanted.items()}
    low = distribution.min_ns if distribution.count else None
    return {name: None if ns is None else ns / 1e6 for name, ns in {"min": low, **found}.items()}
