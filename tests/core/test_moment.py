"""Durations and moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.event import to_epoch_ns
from wsrecorder.core.moment import (
    Moment,
    Origin,
    format_duration,
    parse_duration,
    parse_moment,
    readable_duration,
    resolve_moment,
    resolve_window,
)
from wsrecorder.errors import UsageError

S = 1_000_000_000
START_NS = to_epoch_ns(datetime(2026, 11, 23, 19, 15, tzinfo=UTC))
END_NS = START_NS + 63 * S


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("90s", 90 * S),
        ("1m30s", 90 * S),
        ("250ms", 250_000_000),
        ("2h", 7_200 * S),
        ("1d2h3m4s5ms6us7ns", 93_784_005_006_007),
        ("90", 90 * S),
        ("0", 0),
        ("0.1", 100_000_000),
        ("1.5h", 5_400 * S),
        ("0.1s", 100_000_000),
        ("3µs", 3_000),
        ("3\N{GREEK SMALL LETTER MU}s", 3_000),
        (" 5s ", 5 * S),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_a_duration_is_read_exactly(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "ms", "-5s", "5 s", "30s1m", "1s1s", "5x", "1.s", ".5s", "1e3s", "inf", "٣s", "300000d", "5S"],
)
def test_what_is_no_duration_is_named_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_duration(text)
    assert raised.value.message == f'"{text}" is not a duration'
    assert "1m30s" in raised.value.hint


@given(st.integers(0, 2**63 - 1))
def test_a_formatted_duration_reads_back_as_itself(duration_ns: int) -> None:
    assert parse_duration(format_duration(duration_ns)) == duration_ns


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(0, "0s"), (90 * S, "1m30s"), (250_000_000, "250ms"), (-10 * S, "-10s"), (3_600 * S + 1, "1h1ns")],
)
def test_a_duration_is_formatted_as_people_write_it(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text


@pytest.mark.parametrize(
    ("duration_ns", "down", "up"),
    [
        (10_957_123_057, "10s957ms", "10s958ms"),
        (90 * S, "1m30s", "1m30s"),
        (S, "1s", "1s"),
        (S + 1, "1s", "1s1ms"),
        (123_456, "123us456ns", "123us456ns"),
        (0, "0s", "0s"),
    ],
)
def test_in_messages_a_duration_is_given_to_the_ms(duration_ns: int, down: str, up: str) -> None:
    assert readable_duration(duration_ns) == down
    assert readable_duration(duration_ns, is_up=True) == up


@given(st.integers(-(2**62), 2**62))
def test_a_duration_in_a_message_lies_on_the_side_that_was_asked_for(duration_ns: int) -> None:
    down, up = (readable_duration(duration_ns, is_up=is_up) for is_up in (False, True))
    assert _exact(down) <= duration_ns <= _exact(up)
    assert _exact(up) - _exact(down) <= 1_000_000


def _exact(text: str) -> int:
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)


@pytest.mark.parametrize(
    ("text", "elapsed_ns"),
    [
        ("40", 40 * S),
        ("40s", 40 * S),
        ("-10s", 53 * S),
        ("-0s", 63 * S),
        ("2026-11-23T19:15:40Z", 40 * S),
        ("2026-11-23T19:15:40", 40 * S),
        ("2026-11-23 19:15:40.5", 40_500_000_000),
        ("2026-11-23T20:15:40+01:00", 40 * S),
        ("2026-11-23", -(19 * 3_600 + 15 * 60) * S),
    ],
)
def test_a_moment_counts_from_start_end_or_epoch(text: str, elapsed_ns: int) -> None:
    assert parse_moment(text).resolve(START_NS, END_NS) == elapsed_ns


@pytest.mark.parametrize("text", ["", "-", "soon", "19:15", "2026-13-01", "--5s", "+5s", "-2026-11-23"])
def test_what_is_no_moment_is_named_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_moment(text)
    assert raised.value.message == f'"{text}" is not a moment'
    assert "-10s" in raised.value.hint


def test_a_moment_keeps_its_text_for_messages() -> None:
    assert parse_moment(" -1m30s ") == Moment(Origin.END, -90 * S, "-1m30s")


def test_a_time_at_the_edge_of_the_calendar_is_an_error_of_use() -> None:
    assert parse_moment("0001-01-01T00:00:00+14:00").origin is Origin.EPOCH
    with pytest.raises(UsageError):
        parse_moment("10000-01-01")


def _window(start: str | None, stop: str | None) -> tuple[int, int | None]:
    return resolve_window(
        None if start is None else parse_moment(start),
        None if stop is None else parse_moment(stop),
        start_ns=START_NS,
        end_ns=END_NS,
    )


@pytest.mark.parametrize(
    ("start", "stop", "window"),
    [
        (None, None, (0, None)),
        ("10s", None, (10 * S, None)),
        ("-10s", None, (53 * S, None)),
        (None, "-3s", (0, 60 * S)),
        ("10s", "20s", (10 * S, 20 * S)),
        ("63s", None, (63 * S, None)),
        ("10s", "2h", (10 * S, 7_200 * S)),
        ("2026-11-23T19:15:05", "2026-11-23T19:15:06", (5 * S, 6 * S)),
    ],
)
def test_a_window_is_half_open_in_session_time(
    start: str | None, stop: str | None, window: tuple[int, int | None]
) -> None:
    assert _window(start, stop) == window


@pytest.mark.parametrize(
    ("start", "words"),
    [("64s", "after it ended"), ("-64s", "before it began"), ("2026-11-23T19:14:59", "before it began")],
)
def test_a_window_that_begins_outside_of_the_session_says_how_long_it_is(start: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        _window(start, None)
    assert start in raised.value.message
    assert words in raised.value.message
    assert "it lasts 1m3s" in raised.value.message
    assert "between 0s and 1m3s" in raised.value.hint


@pytest.mark.parametrize(
    ("start", "stop", "words"),
    [
        ("20s", "10s", "the beginning at 20s"),
        ("20s", "20s", "the beginning at 20s"),
        (None, "-63s", "the session's start"),
        (None, "2020-01-01", "the session's start"),
    ],
)
def test_a_window_that_ends_before_it_begins_is_refused(start: str | None, stop: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        _window(start, stop)
    assert f"the end at {stop} is not after {words}" in raised.value.message


@given(
    st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1 < moment.year < 9999),
    st.integers(-14 * 60, 14 * 60),
)
def test_any_zone_names_the_same_moment(moment: datetime, zone_minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=zone_minutes)))
    assert parse_moment(elsewhere.isoformat()).offset_ns == to_epoch_ns(moment)


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [("0s", 0), ("-3s", 60 * S), ("63s", 63 * S), ("2026-11-23T19:15:20Z", 20 * S), ("63.0000009s", 63 * S)],
)
def test_a_place_within_a_session_is_found(text: str, at_ns: int) -> None:
    assert resolve_moment(text, start_ns=START_NS, length_ns=63 * S) == at_ns


@pytest.mark.parametrize(
    ("text", "said"), [("64s", "after it ended"), ("-64s", "before it began"), ("x", "not a moment")]
)
def test_a_place_outside_of_a_session_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_moment(text, start_ns=START_NS, length_ns=63 * S)
