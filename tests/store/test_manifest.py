"""The manifest: counts, identity, redaction; damaged or foreign, it is refused with a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.sessions import IDENTITY, STARTED_NS, batch, events, flip
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import FormatTooNew, SegmentDamaged, SessionError
from wsrecorder.store import manifest as manifest_module
from wsrecorder.store.manifest import MANIFEST_NAME, OTHER_TYPES, Health, Identity, Manifest, Tally
from wsrecorder.store.schema import from_rows
from wsrecorder.store.segment import SegmentInfo

SEGMENT = SegmentInfo(
    name="000000.parquet", rows=60, size_bytes=9, first_seq=0, first_elapsed_ns=0, last_elapsed_ns=59, sha256="ab"
)


def counted(count: int = 60) -> Manifest:
    tally = Tally()
    tally.add(batch(count))
    found = Manifest(identity=IDENTITY, segments=[SEGMENT], health=Health(longest_stall_ms=1.25))
    found.count(tally)
    return found


# Identity


def test_identity_goes_through_a_files_metadata() -> None:
    identity = Identity(id="x", name="é", dialect=Dialect(type_path="data.e", heartbeat_type=None), subprotocol="v1")
    assert Identity.from_metadata(identity.to_metadata(), Path("x")) == identity


def test_a_file_of_another_program_says_no_session() -> None:
    with pytest.raises(SegmentDamaged):
        Identity.from_metadata({}, Path("x"))
    with pytest.raises(SessionError, match="does not say to which session") as caught:
        Identity.from_metadata({"wsrec.format_version": "1"}, Path("x"))
    assert "wsrec import" in caught.value.hint


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_a_damaged_identity_is_refused(place: int) -> None:
    metadata = IDENTITY.to_metadata()
    content = bytearray(metadata["wsrec.session"].encode())
    content[place % len(content)] ^= 1
    with pytest.raises(SegmentDamaged, match="checksum"):
        Identity.from_metadata({**metadata, "wsrec.session": content.decode()}, Path("x"))


def test_an_identity_that_breaks_its_own_rules_is_refused() -> None:
    metadata = IDENTITY.to_metadata()
    content = metadata["wsrec.session"].replace('"ts_unit":"ms"', '"ts_unit":"weeks"')
    crc32 = manifest_module._crc32(content.encode())
    with pytest.raises(SessionError, match="does not say"):
        Identity.from_metadata({**metadata, "wsrec.session": content, "wsrec.session_crc32": crc32}, Path("x"))


# Counting


def test_a_tally_counts_what_a_loop_would() -> None:
    tally = Tally()
    for first_seq in range(0, 120, 20):
        tally.add(batch(20, first_seq))
    tally.add(batch(0))
    found = events(120)
    assert tally.events == 120
    assert tally.messages == sum(one.kind is Kind.MESSAGE for one in found)
    assert tally.size_bytes == sum(len(one.payload or b"") for one in found)
    assert dict(tally.types) == {kind: sum(one.type == kind for one in found) for kind in ("T3", "T4", "T5", "T6")}
    assert tally.last_elapsed_ns == found[-1].elapsed_ns


@given(st.integers(0, 100), st.integers(0, 60))
def test_counting_goes_on_from_a_manifest(first: int, more: int) -> None:
    at_once, in_parts = Tally(), Tally()
    at_once.add(batch(first + more))
    in_parts.add(batch(first))
    between = Manifest(identity=IDENTITY)
    between.count(in_parts)
    in_parts = Tally.from_manifest(between)
    in_parts.add(batch(more, first))
    one, other = Manifest(identity=IDENTITY), Manifest(identity=IDENTITY)
    one.count(at_once)
    other.count(in_parts)
    assert one == other


def test_too_many_types_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "_MOST_TYPES", 3)
    tally = Tally()
    place = {"kind": Kind.MESSAGE, "conn": 0, "direction": Direction.IN, "elapsed_ns": 0, "received_ns": 0}
    tally.add(from_rows([Event(seq=seq, type=f"id{seq}", text="", **place) for seq in range(10)]))  # type: ignore[arg-type]
    assert sum(tally.types.values()) == 10
    assert tally.types[OTHER_TYPES] == 7


# As a file


def test_a_manifest_is_written_and_read(tmp_path: Path) -> None:
    counted().write(tmp_path)
    path = tmp_path / MANIFEST_NAME
    assert Manifest.from_json(path.read_bytes(), path) == counted()


def test_people_find_start_and_end_in_it() -> None:
    content = json.loads(counted().to_json())
    assert content["start"] == "2025-11-24T16:00:00+00:00"
    assert content["end"] == "2025-11-24T16:00:00.059000+00:00"
    assert content["identity"]["started_ns"] == STARTED_NS
    assert content["format_version"] == 1


def test_a_newer_format_is_refused_as_such() -> None:
    content = json.loads(counted().to_json())
    content = {**content, "format_version": 2, "segments": "kept elsewhere"}
    with pytest.raises(FormatTooNew, match="version 2") as caught:
        Manifest.from_json(json.dumps(content).encode(), Path("session.json"))
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b'{"format_version": 1}', b'{"format_version": true}', b"\xff"],
)
def test_what_is_no_manifest_is_refused_with_a_way_out(content: bytes) -> None:
    with pytest.raises(SessionError) as caught:
        Manifest.from_json(content, Path("session.json"))
    assert "recover" in caught.value.hint or "damaged" in caught.value.hint
    assert "\n" not in caught.value.message


def test_deep_nesting_is_refused_too() -> None:
    with pytest.raises(SessionError):
        Manifest.from_json(b'{"format_version": 1, "x": ' + b"[" * 100_000, Path("session.json"))


def test_a_bit_flip_anywhere_is_found_or_means_nothing(tmp_path: Path) -> None:
    counted().write(tmp_path)
    path = tmp_path / MANIFEST_NAME
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content)
        flip(path, place, bit=place % 7)
        try:
            found = Manifest.from_json(path.read_bytes(), path)
        except SessionError:
            continue
        assert found == counted()


def test_layout_of_the_json_does_not_matter() -> None:
    content = json.loads(counted().to_json())
    turned = json.dumps(dict(reversed(content.items()))).encode()
    assert Manifest.from_json(turned, Path("x")) == counted()


def test_a_manifest_changed_by_hand_is_told_from_a_good_one() -> None:
    changed = counted().to_json().replace(b'"rows": 60', b'"rows": 61')
    with pytest.raises(SessionError, match="not as wsrec wrote it"):
        Manifest.from_json(changed, Path("x"))


def test_unknown_entries_of_the_same_version_do_no_harm() -> None:
    content: dict[str, Any] = json.loads(counted().to_json())
    del content["crc32"]
    content["comment"] = "kept"
    content["crc32"] = manifest_module._crc32(manifest_module._canonical(content))
    assert Manifest.from_json(json.dumps(content).encode(), Path("x")) == counted()
