"""Differences of two sessions: what changed, where, when, and what makes no difference."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from docs.example import MONDAY, TUESDAY, add_session
from tests.jobs.replays import duckdb_session, identity, message, session
from wsrecorder.analysis import diff as module
from wsrecorder.analysis.diff import DiffOptions, SessionDiff, diff_sessions
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.alignment import Outcome
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.likeness import ABSENT, Change

FIXTURES = Path(__file__).parents[2] / "fixtures"


def say(at_s: float, type: str, data: Any, ts: int = 0, **changes: Any) -> Event:
    return message(at_s, type, text=json.dumps({"type": type, "ts": ts, "data": data}), **changes)


def compared(library: Path, before: Iterable[Event], after: Iterable[Event], **options: Any) -> SessionDiff:
    stores = [session(library, list(events), who=identity(name)) for name, events in (("a", before), ("b", after))]
    return diff_sessions(*map(Session, stores), DiffOptions(**options))


def counts(found: SessionDiff) -> dict[str, int]:
    return {name: count for name, count in found.to_dict()["counts"].items() if count}


def order(at_s: float, id: str, price: float) -> Event:
    return say(at_s, "ORDER_UPDATED", {"order": {"id": id, "price": price}})


def test_a_session_equals_itself() -> None:
    one = open_session(FIXTURES / "20261124T060000Z-parquet-v1")
    found = diff_sessions(one, one)
    assert found.is_equal
    assert set(counts(found)) == {"same"}
    assert found.differences == []
    assert found.to_dict()["timing"]["shift_ms"]["max"] == 0


def test_all_forms_of_a_session_are_equal() -> None:
    forms = [open_session(FIXTURES / name) for name in ("20261124T060000Z-parquet-v1", "duckdb-v1.duckdb")]
    assert diff_sessions(forms[0], forms[1]).is_equal


def test_two_runs_that_differ_by_the_clock_are_equal_without_it(tmp_path: Path) -> None:
    runs = [open_session(add_session(tmp_path, "run", start, 400)) for start in (MONDAY, TUESDAY)]
    assert not diff_sessions(runs[0], runs[1]).is_equal
    clock = frozenset({"ts", "timestamp", "timestamps", "createdAt", "updatedAt", "filledAt", "openedAt", "closedAt"})
    found = diff_sessions(runs[0], runs[1], DiffOptions(ignore=clock))
    assert found.is_equal
    assert counts(found) == {"same": 400}


def test_what_the_backend_changed_is_named_by_its_path(tmp_path: Path) -> None:
    before = [order(0, "a", 1.0), order(1, "b", 2.0), say(2, "ENGINE_UPDATE", {"state": "idle"})]
    after = [order(0, "a", 1.0), order(1, "b", 2.5), say(2, "ENGINE_UPDATE", {"state": "idle", "mode": "paper"})]
    found = compared(tmp_path, before, after)
    assert counts(found) == {"same": 1, "changed": 2}
    assert {key: (each.count, *each.example[1:]) for key, each in found.paths.items()} == {
        ("ORDER_UPDATED", "data.order.price"): (1, 2.0, 2.5),
        ("ENGINE_UPDATE", "data.mode"): (1, ABSENT, "paper"),
    }
    [difference, _] = found.differences
    assert (difference.seq_a, difference.seq_b, difference.entity) == (1, 1, "b")


def test_a_path_counts_once_a_message(tmp_path: Path) -> None:
    before, after = ([say(0, "SCAN_RESULT", {"results": [{"score": n} for n in at]})] for at in ((1, 2), (3, 4)))
    found = compared(tmp_path, before, after)
    assert {key: each.count for key, each in found.paths.items()} == {("SCAN_RESULT", "data.results[].score"): 1}


def test_missing_and_added_messages_are_told_with_their_places(tmp_path: Path) -> None:
    before = [say(0, "A", 1), say(1, "B", 1), say(2, "C", 1)]
    after = [say(0, "A", 1), say(1, "C", 1), say(2, "D", 1)]
    found = compared(tmp_path, before, after)
    assert [(str(each.outcome), each.type, each.seq_a, each.seq_b, each.elapsed_ns) for each in found.differences] == [
        ("missing", "B", 1, None, 1_000_000_000),
        ("added", "D", None, 2, 2_000_000_000),
    ]
    assert found.by_type == {"A": {"same": 1}, "B": {"missing": 1}, "C": {"same": 1}, "D": {"added": 1}}


def test_a_moved_message_is_a_difference_unless_order_is_ignored(tmp_path: Path) -> None:
    before = [say(n, name, 0) for n, name in enumerate("ABCD")]
    after = [say(n, name, 0) for n, name in enumerate("ACDB")]
    assert counts(found := compared(tmp_path, before, after)) == {"same": 3, "moved": 1}
    assert not found.is_equal
    one, other = (open_session(path) for path in sorted(tmp_path.iterdir()))
    found = diff_sessions(one, other, DiffOptions(ignore_order=True))
    assert found.is_equal
    assert found.differences == []


def test_only_what_is_asked_for_is_compared(tmp_path: Path) -> None:
    before, after = [say(0, "A", 1), say(1, "B", 1)], [say(0, "A", 1), say(1, "B", 2)]
    assert not compared(tmp_path / "1", before, after).is_equal
    assert compared(tmp_path / "2", before, after, types=frozenset("A")).is_equal
    assert compared(tmp_path / "3", before, after, exclude=frozenset("B")).is_equal
    assert compared(tmp_path / "4", before, after, ignore_paths=("data",)).is_equal


def test_frames_that_we_sent_and_marks_are_not_compared(tmp_path: Path) -> None:
    marks = [message(1, kind=Kind.NOTE, type=None, text=None, detail="{}"), message(2, direction=Direction.OUT)]
    assert compared(tmp_path, [say(0, "A", 1)], [say(0, "A", 1), *marks]).is_equal


def test_timing_is_told_and_makes_no_difference(tmp_path: Path) -> None:
    before = [say(n, "A", n) for n in range(10)]
    after = [say(5 + n + (0.25 if n == 9 else 0), "A", n) for n in range(10)]
    found = compared(tmp_path, before, after)
    assert found.is_equal
    timing = found.to_dict()["timing"]
    assert timing["shift_ms"]["p50"] == 0
    assert timing["shift_ms"]["max"] == timing["pace_ms"]["max"] == 250


@pytest.mark.parametrize("form", [session, duckdb_session])
def test_an_empty_session_differs_from_any_other(tmp_path: Path, form: Any) -> None:
    empty = Session(session(tmp_path / "a", []))
    assert diff_sessions(empty, empty).is_equal
    full = Session(form(tmp_path / "b", [say(0, "A", 1)]))
    assert counts(diff_sessions(empty, full)) == {"added": 1}
    assert counts(diff_sessions(full, empty)) == {"missing": 1}
    assert diff_sessions(empty, empty).to_dict()["timing"]["shift_ms"]["p50"] is None


def test_payloads_of_any_kind_are_compared(tmp_path: Path) -> None:
    texts = ["[1]", "5", "{", "", "null", '{"a": NaN}']
    odd = [message(n, "X", text=text, sent_at_us=None) for n, text in enumerate(texts)]
    odd.append(message(9, None, text=None, binary=b"\xff\x00", sent_at_us=None))
    found = compared(tmp_path, odd, odd)
    assert counts(found) == {"same": 7}
    other = [*odd[:-1], message(9, None, text=None, binary=b"\xff\x01", sent_at_us=None)]
    found = compared(tmp_path / "2", odd, other)
    assert counts(found) == {"same": 6, "changed": 1}
    assert json.dumps(found.to_dict())


def test_payloads_too_deep_to_be_walked_are_looked_at_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(before: Any, after: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(module, "changes_between", endless)
    found = compared(tmp_path, [message(0, text="[[1]]")], [message(0, text="[[2]]")])
    assert found.differences[0].changes == (Change("", b"[[1]]", b"[[2]]"),)
    json.dumps(found.to_dict())


def test_only_so_many_paths_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PATHS", 3)
    before = [say(n, "A", {f"k{n}": 1}) for n in range(6)]
    after = [say(n, "A", {f"k{n}": 2}) for n in range(6)]
    found = compared(tmp_path, before, after)
    assert {path: each.count for (_, path), each in found.paths.items()} == {
        "data.k0": 1, "data.k1": 1, "data.k2": 1, "(other)": 3,
    }  # fmt: skip


def test_all_differences_count_however_few_are_kept(tmp_path: Path) -> None:
    found = compared(tmp_path, [say(n, f"A{n}", n) for n in range(9)], [], limit=2)
    assert (found.total, len(found.differences)) == (9, 2)
    assert found.counts[Outcome.MISSING] == 9
