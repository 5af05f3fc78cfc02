"""The page that specifies the format is held to it: its own reader reads what wsrec writes."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.store.sessions import cut, events, fill, layout, parquet_sink, seal
from wsrecorder.core.event import Kind
from wsrecorder.store.manifest import Identity, Manifest
from wsrecorder.store.schema import FORMAT_VERSION, NOT_UTF8, SCHEMA, conform, iter_events
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.session import EVENTS_FOLDER

PAGE = (Path(__file__).parents[2] / "docs/format.md").read_text()

pytestmark = pytest.mark.docs


@pytest.fixture
def batches() -> Callable[[Path], Iterator[pa.RecordBatch]]:
    """The reader of the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Callable[[Path], Iterator[pa.RecordBatch]]] = {}
    exec(compile(code, "docs/format.md", "exec"), names)
    return names["batches"]


@pytest.mark.parametrize(("segments", "journals"), [(3, 0), (1, 2), (0, 1)])
def test_its_reader_reads_what_we_write(
    tmp_path: Path, batches: Callable[[Path], Iterator[pa.RecordBatch]], segments: int, journals: int
) -> None:
    folder = layout(tmp_path, segments=segments, journals=journals)
    found = [event for rows in batches(folder) for event in iter_events(conform(rows))]
    assert found == events(40 * (segments + journals))


def test_its_reader_stops_where_a_journal_is_cut(
    tmp_path: Path, batches: Callable[[Path], Iterator[pa.RecordBatch]]
) -> None:
    folder = layout(tmp_path, segments=1, journals=1)
    cut(folder / EVENTS_FOLDER / "000001.journal", -40)
    assert [event for rows in batches(folder) for event in iter_events(rows)] == events(60)


def test_its_reader_follows_a_seal(tmp_path: Path, batches: Callable[[Path], Iterator[pa.RecordBatch]]) -> None:
    folder = layout(tmp_path, segments=1, journals=1)
    reader = batches(folder)
    found = [*iter_events(next(reader))]
    seal(folder, 1)
    found += [event for rows in reader for event in iter_events(rows)]
    assert found == events(80)


def test_it_names_every_column_with_its_type() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (yes|no) \|", PAGE, re.MULTILINE)
    types = {"dictionary<int32, string>": "dictionary<values=string, indices=int32, ordered=0>"}
    types |= {"timestamp[us, UTC]": "timestamp[us, tz=UTC]"}
    assert [(name, types.get(kind, kind), null == "yes") for name, kind, null in rows] == [
        (field.name, str(field.type), field.nullable) for field in SCHEMA
    ]
    assert all(f"`{kind}`" in PAGE for kind in Kind)
    assert f"`{NOT_UTF8}`" in PAGE
    assert f"version {FORMAT_VERSION}" in PAGE


def test_it_names_every_key_of_the_manifest() -> None:
    section = PAGE.partition("## The manifest")[2].partition("## Segments")[0]
    for keys in (Manifest.__struct_fields__, Identity.__struct_fields__, SegmentInfo.__struct_fields__):
        assert [key for key in keys if not re.search(rf"\b{key}\b", section)] == []


def test_the_checksum_of_a_manifest_is_as_it_says(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    fill(sink, 40)
    content = json.loads((sink.path / "session.json").read_bytes())
    stored = content.pop("crc32")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert stored == f"{zlib.crc32(text.encode()):08x}"
