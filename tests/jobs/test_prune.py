"""Pruning a library: what goes is gone whole, what stays is untouched."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from docs.example import MONDAY, TUESDAY, add_crashed, add_note, add_session, sink
from wsrecorder.core.event import to_epoch_ns
from wsrecorder.core.retention import Limit
from wsrecorder.errors import SessionNotFound
from wsrecorder.jobs.prune import plan, prune
from wsrecorder.store import removal
from wsrecorder.store.lock import SessionLock

LATER_NS = to_epoch_ns(TUESDAY + timedelta(days=10))
OLD = Limit(age_ns=86_400_000_000_000)


def reasons(library: Path) -> dict[str, str]:
    return {verdict.holding.name: verdict.reason for verdict in plan(library, OLD, LATER_NS)}


def test_a_sealed_session_goes_with_its_notes_in_either_form(tmp_path: Path) -> None:
    for path in (add_session(tmp_path), add_session(tmp_path, "db", into="db.duckdb")):
        add_note(path, "seen", 1)
    keep = add_session(tmp_path, "new", TUESDAY + timedelta(days=10))
    verdicts = plan(tmp_path, OLD, LATER_NS)
    expected_bytes = sum(
        path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and keep not in path.parents
    )
    done = prune(tmp_path, verdicts)
    assert (done.errors, len(done.removed), done.freed_bytes) == ([], 2, expected_bytes)
    assert list(tmp_path.iterdir()) == [keep], "neither notes nor anything hidden is left"


def test_what_is_not_whole_or_not_ours_stays(tmp_path: Path) -> None:
    library = tmp_path / "library"
    cut = add_crashed(library)
    damaged = add_session(library, "damaged")
    next((damaged / "events").iterdir()).write_bytes(b"no segment")
    (damaged / "session.json").write_bytes(b"{")
    (library / "link").symlink_to(add_session(tmp_path / "elsewhere"))
    recording = sink(library, "live", MONDAY)
    try:
        before = sorted(library.rglob("*"))
        why = reasons(library)
        assert prune(library, plan(library, OLD, LATER_NS)).removed == []
        assert sorted(library.rglob("*")) == before
    finally:
        recording.abandon()
    assert why[cut.name].startswith("never sealed")
    assert why[damaged.name].startswith("damaged: ")
    assert why["link"] == "a link to one kept elsewhere"
    assert why[recording.path.name] == "it is being recorded"


def test_somebody_who_began_to_write_since_the_plan_keeps_the_session(tmp_path: Path) -> None:
    first, second = add_session(tmp_path, "a"), add_session(tmp_path, "b")
    verdicts = plan(tmp_path, OLD, LATER_NS)
    with SessionLock(first):
        done = prune(tmp_path, verdicts)
        assert sorted(path.name for path in tmp_path.iterdir()) == [first.name]
    assert done.removed == [second.name]
    assert "is being written by process" in done.errors[0].message


def test_a_crash_in_between_leaves_no_half_session_and_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_session(tmp_path)
    verdicts = plan(tmp_path, OLD, LATER_NS)
    with monkeypatch.context() as context:
        context.setattr(removal.shutil, "rmtree", lambda path: None)
        prune(tmp_path, verdicts)
    assert plan(tmp_path, OLD, LATER_NS) == [], "nobody finds it any more"
    assert len(list(tmp_path.iterdir())) == 1
    prune(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_is_not_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound, match="there is no library"):
        plan(tmp_path / "none", OLD, LATER_NS)
    assert plan(tmp_path / "none", OLD, LATER_NS, {"engine"}) == []  # it is not made yet by who records
    assert prune(tmp_path / "none", []).removed == []
