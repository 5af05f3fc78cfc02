from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats.columns import CsvReader, ParquetReader
from wsrecorder.formats.csv import write_csv
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.parquet import write_parquet
from wsrecorder.store.schema import SCHEMA, from_rows

READERS = {"csv": CsvReader, "parquet": ParquetReader}
WRITERS = {"csv": write_csv, "parquet": write_parquet}
FORMATS = pytest.mark.parametrize("form", READERS)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PAYLOADS = st.lists(st.one_of(TEXT, st.binary(max_size=30)), min_size=1, max_size=12)


def content(form: str, events: list[Event]) -> bytes:
    out = io.BytesIO()
    WRITERS[form]([from_rows(events)], out, SCHEMA)
    return out.getvalue()


def read(form: str, written: bytes, dialect: Dialect | None = None) -> list[Event]:
    reader = READERS[form](Lines(io.BytesIO(written), "x"), dialect)
    return [event for batch in reader.batches() for event in batch]


@FORMATS
@given(payloads=PAYLOADS)
def test_events_come_back_as_they_were(form: str, payloads: list[str | bytes]) -> None:
    began_ns = 1_700_000_000_123_456_789
    events = [Event(0, Kind.OPEN, 1, Direction.IN, 0, began_ns, detail='{"url": "ws://a/"}')]
    for number, payload in enumerate(payloads, 1):
        text, binary = (payload, None) if isinstance(payload, str) else (None, payload)
        direction = (Direction.IN, Direction.OUT)[number % 2]
        type_, sent_at_us = ("T", 1_700_000_000_000_001) if number % 3 else (None, None)
        events.append(
            Event(number, Kind.MESSAGE, 1, direction, number, began_ns + number, type_, sent_at_us, text, binary)
        )
    assert read(form, content(form, events)) == events


@FORMATS
def test_more_rows_than_are_held_at_once_keep_their_order(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.formats.columns._MOST_ROWS", 2)
    events = [Event(number, Kind.MESSAGE, 0, Direction.IN, number, number, text=f"{number}") for number in range(7)]
    assert read(form, content(form, events)) == events


@FORMATS
def test_type_is_read_anew_by_a_dialect(form: str) -> None:
    written = content(form, [Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, "A", None, '{"type": "A", "e": "B"}')])
    assert [event.type for event in read(form, written, Dialect(type_path="e"))] == ["B"]


def test_csv_by_hand_needs_a_payload_and_a_time() -> None:
    written = b'received_at,text\n2026-11-23T19:15:00Z,"{""type"": ""A""}"\n'
    (event,) = read("csv", written)
    assert (event.type, event.received_ns, event.text) == ("A", 1_795_461_300_000_000_000, '{"type": "A"}')


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"a,b\n1,2\n", "column 'a' is none of an event"),
        (b"received_ns,text\n1,x\nsoon,y\n", "x, row 2: Expected `int | null`"),
        (b"received_ns,text\n1,x\n2\n", "Row #3: Expected 2 columns, got 1"),
        (b"received_ns,text\n1,\n", "x, row 1: an event of kind message holds text or binary"),
        (b"text\nx\n", "x, row 1: neither received_ns nor received_at"),
        (b"received_ns,text\n1,\xe9\n", "invalid UTF8"),
        ("received_ns,text\n1,x\n".encode("utf-16"), "the file is UTF-16"),
    ],
)
def test_csv_that_cannot_be_read_is_an_error_with_its_place(written: bytes, message: str) -> None:
    with pytest.raises(SessionError) as caught:
        read("csv", written)
    assert message in caught.value.message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_parquet_that_is_cut_off_is_an_error(share: float) -> None:
    written = content("parquet", [Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, text="x")])
    with pytest.raises(SessionError, match=r"x: .*[Pp]arquet"):
        read("parquet", written[: int(len(written) * share)])


def test_parquet_of_other_columns_is_an_error() -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"price": [1.5]}), out)
    with pytest.raises(SessionError, match="column 'price' is none of an event"):
        read("parquet", out.getvalue())


def test_parquet_names_the_feed() -> None:
    out = io.BytesIO()
    write_parquet([from_rows([Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, text="x")])], out,
                  SCHEMA.with_metadata({"wsrec.session": '{"feed": "ws://a/"}'}))  # fmt: skip
    reader = ParquetReader(Lines(io.BytesIO(out.getvalue()), "x"))
    assert len(list(reader.batches())) == 1
    assert reader.feed == "ws://a/"


def test_empty_csv_has_no_events() -> None:
    assert read("csv", b"") == []
