"""Faults as they are written: what is read, what is refused, and that reading undoes writing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.fault import Fault, FaultKind, check_faults, parse_fault, parse_faults
from wsrecorder.errors import UsageError

MS = 1_000_000
SECOND = 1_000 * MS


@pytest.mark.parametrize(
    ("text", "expected", "canonical"),
    [
        ("drop=1%", Fault(kind=FaultKind.DROP, share=Decimal("0.01")), "drop=1%"),
        ("corrupt=0.1%", Fault(kind=FaultKind.CORRUPT, share=Decimal("0.001")), "corrupt=0.1%"),
        (
            " Duplicate = 100.0 % @ B , A,",
            Fault(kind=FaultKind.DUPLICATE, share=Decimal(1), types=frozenset("AB")),
            "duplicate=100%@A,B",
        ),
        ("reorder=5%@A", Fault(kind=FaultKind.REORDER, share=Decimal("0.05"), types=frozenset("A")), "reorder=5%@A"),
        ("delay=50ms", Fault(kind=FaultKind.DELAY, length_ns=50 * MS), "delay=50ms"),
        ("delay=50ms±20ms", Fault(kind=FaultKind.DELAY, length_ns=50 * MS, jitter_ns=20 * MS), "delay=50ms±20ms"),
        ("delay=1s+-1s@A", parse_fault("delay=1000ms +/- 1000ms @A"), "delay=1s±1s@A"),
        ("disconnect=30s", Fault(kind=FaultKind.DISCONNECT, every_ns=30 * SECOND, code=1012), "disconnect=30s:1012"),
        ("disconnect=1m:1006", Fault(kind=FaultKind.DISCONNECT, every_ns=60 * SECOND, code=1006), "disconnect=1m:1006"),
        ("freeze=10s", Fault(kind=FaultKind.FREEZE, length_ns=10 * SECOND, every_ns=60 * SECOND), "freeze=10s/1m"),
        (
            "freeze=90s/5m",
            Fault(kind=FaultKind.FREEZE, length_ns=90 * SECOND, every_ns=300 * SECOND),
            "freeze=1m30s/5m",
        ),
        ("refuse=5", Fault(kind=FaultKind.REFUSE, length_ns=5 * SECOND), "refuse=5s"),
        ("recorded", Fault(kind=FaultKind.RECORDED), "recorded"),
    ],
)
def test_each_kind_is_read_and_written_back(text: str, expected: Fault, canonical: str) -> None:
    fault = parse_fault(text)
    assert fault == expected
    assert fault.text == canonical
    assert parse_fault(canonical) == fault


durations = st.integers(1, 10**15)
types = st.none() | st.frozensets(st.sampled_from(["A", "ORDER_UPDATE", "É"]), min_size=1)


@given(percent=st.integers(1, 100_000), types=types, kind=st.sampled_from(["drop", "corrupt", "duplicate", "reorder"]))
def test_writing_a_share_undoes_reading_it(percent: int, types: frozenset[str] | None, kind: str) -> None:
    fault = Fault(kind=FaultKind(kind), share=Decimal(percent) / 100_000, types=types)
    assert parse_fault(fault.text) == fault


@given(length_ns=durations, jitter_ns=durations, types=types)
def test_writing_a_delay_undoes_reading_it(length_ns: int, jitter_ns: int, types: frozenset[str] | None) -> None:
    fault = Fault(kind=FaultKind.DELAY, length_ns=length_ns, jitter_ns=min(jitter_ns, length_ns), types=types)
    assert parse_fault(fault.text) == fault


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", 'no kind ""', "drop=1%"),
        ("lose=1%", 'no kind "lose"', "drop=1%"),
        ("drop", "drop takes a value", "drop=1%"),
        ("drop=", "drop takes a value", "drop=1%"),
        ("drop=1", '"1" is not a percentage', "drop=1%"),
        ("corrupt=-1%", '"-1%" is not a percentage', "corrupt=1%"),
        ("drop=0%", "0% of all frames is not possible", "drop=1%"),
        ("drop=101%", "101% of all frames is not possible", "drop=1%"),
        ("drop=1%@", "no type stands after the @", "@SIGNAL"),
        ("drop=1%@ , ", "no type stands after the @", "@SIGNAL"),
        ("delay=soon", '"soon" is not a duration', "90s"),
        ("delay=0ms", "a delay of 0", "50ms"),
        ("delay=50ms±", '"" is not a duration', "90s"),
        ("delay=20ms±50ms", "cannot vary by 50ms", "20ms at most"),
        ("disconnect=30s:", '"" is not a close code', "1006"),
        ("disconnect=30s:1005", '"1005" is not a close code', "1006"),
        ("disconnect=30s:1015", '"1015" is not a close code', "1006"),
        ("disconnect=30s:0x3e8", '"0x3e8" is not a close code', "1006"),
        ("disconnect=0s", "too often", "disconnect=30s"),
        ("disconnect=30s@A", "acts on connections", "disconnect=30s"),
        ("freeze=0s", "a silence of 0s every 1m", "freeze=10s"),
        ("freeze=60s", "a silence of 60s every 1m", "freeze=90s/5m"),
        ("freeze=10s/10ms", "too often", "freeze=10s/60s"),
        ("refuse=0", "for 0 s", "refuse=5s"),
        ("recorded=1", "recorded takes no value", "recorded"),
        ("recorded=", "recorded takes no value", "recorded"),
    ],
)
def test_what_is_no_fault_is_refused_with_what_to_write(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_fault(text)
    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1014, 3000, 4999])
def test_codes_that_can_be_sent_are_taken(code: int) -> None:
    assert parse_fault(f"disconnect=30s:{code}").code == code


def test_to_refuse_without_a_disconnect_is_refused() -> None:
    with pytest.raises(UsageError, match="comes after a disconnect"):
        parse_faults(["refuse=5s", "recorded"])
    both = parse_faults(["refuse=5s", "disconnect=30s"])
    assert check_faults(both) == both
