"""The recorded sessions in ``fixtures/`` are read as their README says, by this version as by that which made them."""

from __future__ import annotations

import json
import platform
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.round_trip import Trip, record_again, stream_of
from fixtures import make as fixtures
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.event import Event, Kind
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.schema import FORMAT_VERSION, NOT_UTF8

PATHS = Library(fixtures.FOLDER).paths()
NAMES = [path.name for path in PATHS]
SEALED = [fixtures.PARQUET_NAME, fixtures.DUCKDB_NAME]

README = (fixtures.FOLDER / "README.md").read_text()


def session(name: str) -> Session:
    return open_session(fixtures.FOLDER / name)


def events(name: str) -> list[Event]:
    return list(session(name).events())


def copied(name: str, folder: Path) -> Path:
    """Return a copy of a fixture: what is committed is never written to."""
    source = fixtures.FOLDER / name
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / name)
    return folder / name


def told_in_readme() -> dict[str, list[str]]:
    """Return the rows of the README's table, by the session's name."""
    rows = re.findall(r"^\| `([^`]+)` \|(.+)\|$", README, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def test_each_fixture_is_explained_and_each_form_of_each_version_has_one() -> None:
    told = told_in_readme()
    assert sorted(told) == sorted(NAMES)
    for version in range(1, FORMAT_VERSION + 1):
        forms = {cells[0] for cells in told.values() if cells[1] == str(version) and cells[-1] == "sealed"}
        assert forms == {"Parquet", "DuckDB"}


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_the_readme(name: str) -> None:
    info = session(name).info
    form = "Parquet" if (fixtures.FOLDER / name).is_dir() else "DuckDB"
    counts = [form, str(info.format_version), str(info.events), str(info.messages), str(info.segments)]
    assert counts == told_in_readme()[name][:5]
    assert info.sealed == (told_in_readme()[name][5] == "sealed")
    assert (info.start, info.feed, info.tool) == (
        "2026-11-24T06:00:00+00:00", "ws://localhost:8000/ws/", "wsrecorder 0.1.0",
    )  # fmt: skip
    assert (info.connections, info.gaps) == (2, 1)
    assert len(info.types) == 16


@pytest.mark.parametrize("name", SEALED)
def test_sealed_ones_break_no_rule(name: str) -> None:
    report = verify(open_store(fixtures.FOLDER / name))
    assert (report.findings, report.exit_code) == ([], 0)
    assert report.events == session(name).info.events


def test_both_forms_hold_the_same_events() -> None:
    parquet, duckdb = (events(name) for name in SEALED)
    assert parquet == duckdb


@pytest.mark.parametrize("name", NAMES)
def test_numbers_have_no_holes_and_time_never_goes_back(name: str) -> None:
    found = events(name)
    assert [event.seq for event in found] == list(range(len(found)))
    times = [event.elapsed_ns for event in found]
    assert times == sorted(times)


def test_stream_holds_what_the_readme_says() -> None:
    found = events(fixtures.PARQUET_NAME)
    kinds = [event.kind for event in found if event.kind is not Kind.MESSAGE]
    assert kinds == [Kind.OPEN, Kind.CLOSE, Kind.GAP, Kind.OPEN, Kind.CLOSE]
    gap = json.loads(next(event.detail or "" for event in found if event.kind is Kind.GAP))
    assert gap["duration_s"] == pytest.approx(5.2, abs=0.01)
    assert sum("NaN" in (event.text or "") or "Infinity" in (event.text or "") for event in found) == 9
    assert [event.binary for event in found if event.binary is not None and event.detail is None] == [
        b"\x1f\x8b\x08\x00binary\x00\xff"
    ]
    assert sum(event.detail == NOT_UTF8 for event in found) == 1
    assert {"no JSON", ""} <= {event.text for event in found}
    untyped = [event for event in found if event.kind is Kind.MESSAGE and event.type is None]
    assert len(untyped) == 4


def test_cut_one_is_readable_to_its_last_whole_batch() -> None:
    whole, cut = events(fixtures.PARQUET_NAME), events(fixtures.CUT_NAME)
    assert 0 < len(cut) < len(whole)
    assert cut == whole[: len(cut)]


def test_cut_one_is_recovered_as_the_readme_says(tmp_path: Path) -> None:
    path = copied(fixtures.CUT_NAME, tmp_path)
    before = events(fixtures.CUT_NAME)
    report = verify(open_store(path))
    assert report.exit_code == 4
    assert "wsrec recover" in report.findings[0].message
    recovery = recover(open_store(path))
    assert recovery.exit_code == 6
    assert (recovery.sealed, recovery.lost, recovery.events) == (["000002.parquet"], [], len(before))
    assert [(cut.file, cut.kept_as) for cut in recovery.cut] == [("000002.journal", "000002.journal.cut")]
    assert recovery.cut_bytes > 0
    last_us = before[-1].received_ns // 1_000
    assert recovery.whole_until == f"2026-11-24T06:00:{last_us % 60_000_000 / 1e6:09.6f}+00:00"
    assert list(open_session(path).events()) == before
    assert open_session(path).info.sealed
    assert verify(open_store(path)).exit_code == 0
    lost = len(events(fixtures.PARQUET_NAME)) - len(before)
    assert f"{lost} events' worth of bytes cannot be read" in README


def test_made_anew_they_are_the_same_to_the_last_event(tmp_path: Path) -> None:
    # Of another version they would be others; those that are committed stay.
    for path in fixtures.make(tmp_path):
        assert list(open_session(path).events()) == events(path.name)
        assert open_session(path).info.health == session(path.name).info.health


@pytest.mark.parametrize("name", NAMES)
async def test_replayed_and_recorded_again_the_frames_are_the_same(name: str, tmp_path: Path) -> None:
    again = await record_again([open_store(fixtures.FOLDER / name)], tmp_path, Trip())
    assert stream_of(again).frames == stream_of(fixtures.FOLDER / name).frames


def test_nothing_in_them_tells_of_the_machine_that_made_them() -> None:
    files = [path for path in fixtures.FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 300_000
    names = {str(Path.home()).encode() + b"/", str(fixtures.FOLDER.parent).encode(), platform.node().encode()}
    for path in files:
        content = path.read_bytes()
        assert not [name for name in names if len(name) > 4 and name in content], path
    assert {session(name).info.host for name in NAMES} == {"fixture"}
