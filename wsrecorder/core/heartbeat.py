"""Heartbeats of the endpoint's own, in the shape of those that were recorded.

A heartbeat belongs to a connection, not to the stream: its time stamp is now, and its latency is what
this connection measured.
"""

from __future__ import annotations

import re
from typing import Final

from wsrecorder.core.dialect import Dialect, Restamper
from wsrecorder.errors import UsageError

__all__ = ["HeartbeatMaker"]

_LATENCY: Final = re.compile(rb'("latencyMs"\s*:\s*)-?[0-9.eE+-]+')


class HeartbeatMaker:
    """Makes heartbeats after a recorded one.

    Args:
        template: Payload of a recorded heartbeat.
        dialect: Of its feed.
    """

    def __init__(self, template: bytes, dialect: Dialect) -> None:
        self._template = template
        try:
            self._restamper: Restamper | None = Restamper(dialect)
        except UsageError:  # its time stamp is nested or text: it goes out as it was
            self._restamper = None

    def __call__(self, latency_ms: float, wall_ns: int) -> bytes:
        """Return a heartbeat's payload.

        Args:
            latency_ms: Round trip of the connection, ms; 0 before it was measured.
            wall_ns: UTC, ns since the epoch.
        """
        payload = self._template
        if self._restamper is not None:
            payload = self._restamper.set(payload, wall_ns)
        digits = str(round(latency_ms, 2)).removesuffix(".0")  # an integer where it is one, as on the feed
        return _LATENCY.sub(rb"\g<1>%s" % digits.encode(), payload, count=1)
