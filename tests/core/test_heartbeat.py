"""Heartbeats of the endpoint's own: the recorded one with two numbers changed."""

from __future__ import annotations

import json

import pytest

from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.heartbeat import HeartbeatMaker

RECORDED = b'{"type": "HEARTBEAT", "ts": 1764000000123, "data": {"latencyMs": 45}}'
NOW_NS = 1_800_000_000_456_000_000


def test_time_and_latency_are_those_of_now() -> None:
    assert HeartbeatMaker(RECORDED, ENGINE)(3.14159, NOW_NS) == (
        b'{"type": "HEARTBEAT", "ts": 1800000000456, "data": {"latencyMs": 3.14}}'
    )


def test_before_the_first_ping_the_latency_is_zero() -> None:
    assert json.loads(HeartbeatMaker(RECORDED, ENGINE)(0, NOW_NS))["data"] == {"latencyMs": 0}


def test_the_shape_of_the_recorded_one_is_kept() -> None:
    odd = b'{ "data":{"latencyMs" :\t1.5e2,"more":[1,{"ts":5}]}, "ts":7 ,"type":"HEARTBEAT"}'
    expected = b'{ "data":{"latencyMs" :\t2,"more":[1,{"ts":5}]}, "ts":1800000000456 ,"type":"HEARTBEAT"}'
    assert HeartbeatMaker(odd, ENGINE)(2, NOW_NS) == expected


@pytest.mark.parametrize("latency_ms", [1e-9, 0.004, 123_456_789.0])
def test_any_latency_makes_json(latency_ms: float) -> None:
    found = json.loads(HeartbeatMaker(RECORDED, ENGINE)(latency_ms, NOW_NS))
    assert found["data"]["latencyMs"] == pytest.approx(latency_ms, abs=0.005)


def test_a_heartbeat_without_latency_gets_none() -> None:
    assert HeartbeatMaker(b'{"type": "PING", "ts": 1}', ENGINE)(5, 9_000_000) == b'{"type": "PING", "ts": 9}'


@pytest.mark.parametrize("dialect", [Dialect(ts_path="data.ts"), Dialect(ts_unit="iso")])
def test_a_time_stamp_that_cannot_be_rewritten_stays(dialect: Dialect) -> None:
    assert HeartbeatMaker(RECORDED, dialect)(1, NOW_NS) == RECORDED.replace(b"45", b"1")
