from __future__ import annotations

import io

import pytest

from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Event
from wsrecorder.errors import SessionError
from wsrecorder.formats import payloads as payloads_module
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.payloads import PayloadReader


def read(content: bytes, dialect: Dialect | None = None) -> tuple[list[Event], PayloadReader]:
    reader = PayloadReader(Lines(io.BytesIO(content), "file"), dialect)
    return [event for batch in reader.batches() for event in batch], reader


def test_payloads_are_placed_by_the_senders_time_stamps() -> None:
    events, reader = read(b'{"type": "A", "ts": 1000}\n\n{"type": "B", "ts": 1250, "data": NaN}\n')
    assert [(event.seq, event.type, event.elapsed_ns, event.received_ns) for event in events] == [
        (0, "A", 0, 1_000_000_000),
        (1, "B", 250_000_000, 1_250_000_000),
    ]
    assert events[1].text == '{"type": "B", "ts": 1250, "data": NaN}'
    assert reader.notes == ["the file holds no times of receipt: the sender's time stamps were taken for them"]


def test_payload_without_a_time_stamp_stands_with_its_neighbour() -> None:
    events, _ = read(b'{"hello": 1}\nplain\n{"ts": 1000}\nplain\n')
    assert [event.received_ns for event in events] == [1_000_000_000] * 4
    assert [event.text for event in events] == ['{"hello": 1}', "plain", '{"ts": 1000}', "plain"]


def test_dialect_says_where_the_time_stamp_is() -> None:
    assert read(b'{"E": 2}\n', Dialect(ts_path="E", ts_unit="s"))[0][0].received_ns == 2_000_000_000


def test_file_without_any_time_stamp_is_an_error() -> None:
    with pytest.raises(SessionError, match="line 2: no payload up to here has a time stamp at 'ts' in ms"):
        read(b"a\nb\n")


def test_search_for_the_first_time_stamp_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads_module, "_MOST_WAITING", 3)
    with pytest.raises(SessionError, match="line 3"):
        read(b"a\nb\nc\nd\n")


def test_wrong_unit_is_an_error_with_its_number() -> None:
    with pytest.raises(SessionError, match="line 1: its time stamp is outside of the years 1678 to 2262"):
        read(b'{"ts": 100000000000000}\n')


def test_other_encodings_are_an_error_with_its_number() -> None:
    with pytest.raises(SessionError, match="line 2: not UTF-8 at byte 0"):
        read(b'{"ts": 1}\n\xff\n')


def test_last_line_cut_short_is_left_out_and_said() -> None:
    events, reader = read(b'{"ts": 1}\n{"ts": 2')
    assert len(events) == 1
    assert reader.notes[0].startswith("line 2 is cut short")


def test_nothing_gives_nothing() -> None:
    assert read(b"")[0] == []
