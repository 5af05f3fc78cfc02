"""A seeded model of the trading engine whose feed wsrec is built for.

The engine lives in cycles. In each, the prices move, then the open positions and orders follow
them (`wsrecorder.core.engine_trading`), then the state machine takes at most one step::

    idle -> scanning -> signaling -> executing -> managing -> scanning ...
               any running state -> error  -> scanning
               any running state -> killed -> idle

What a cycle does depends on the seed and on how many cycles came before, never on the time: the
time handed in only appears in the payloads. So the same seed gives the same payloads apart from
the clock, however fast or unevenly they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from wsrecorder.core import engine_payloads as payloads
from wsrecorder.core.engine_book import MOVES, EngineState, GroundTruth, Sent
from wsrecorder.core.engine_market import Market
from wsrecorder.core.engine_payloads import Pushed
from wsrecorder.core.engine_trading import Trading

__all__ = ["Engine"]

_ERROR_CHANCE, _KILL_CHANCE = 0.003, 0.0008  # a cycle; about one in 1,000 and one in 4,000 events
_ERRORS = (
    ("ExchangeTimeout", "no answer from the exchange in 10 s"),
    ("RateLimited", "too many requests \u2013 backing off"),
    ("StaleData", "last candle is older than the cycle"),
)
# States that only wait: for how many cycles, then where to and why.
_WAITS = {
    EngineState.IDLE: (0, EngineState.SCANNING, "start requested"),
    EngineState.MANAGING: (8, EngineState.SCANNING, "next scan is due"),
    EngineState.ERROR: (2, EngineState.SCANNING, "recovered"),
    EngineState.KILLED: (4, EngineState.IDLE, "kill switch released"),
}
_KILL_REASONS = ("daily loss limit reached", "operator request", "too many errors in a row")


class Engine:
    """The simulated engine: asked for its next events, it answers with ready payloads.

    Args:
        seed: The same seed gives the same payloads apart from the clock.
        nan: Share of scans and signals with a bare ``NaN`` or ``Infinity``, 0 to 1; it changes
            nothing else.
        big_scan_every: Each scan of that number covers the whole market (over 1 MiB); 0 is never.
        truth: Filled with what really happens, if given.

    Attributes:
        state: Where the engine stands.
    """

    def __init__(
        self, seed: int = 1, *, nan: float = 0.0, big_scan_every: int = 0, truth: GroundTruth | None = None
    ) -> None:
        self._rng = Random(seed)
        self._truth = truth
        self._out: list[Pushed] = []
        self._market = Market(self._rng, Random(seed + 1), nan=nan, big_scan_every=big_scan_every)
        self._trading = Trading(self._rng, self._market, truth, self._out)
        self._cycles_in_state = 0
        self.state = EngineState.IDLE

    @property
    def is_running(self) -> bool:
        """Whether the engine trades: not idle, not failed, not killed."""
        return self.state not in (EngineState.IDLE, EngineState.ERROR, EngineState.KILLED)

    def step(self, now_ms: int) -> list[Pushed]:
        """Return the events of the next cycle, all with the same ``ts``; a quiet cycle has none.

        Args:
            now_ms: UTC ms since the epoch.
        """
        self._market.move()
        self._trading.work_positions(now_ms)
        self._trading.work_orders(now_ms)
        self._cycles_in_state += 1
        fate = self._rng.random()
        if self.is_running and fate < _KILL_CHANCE:
            self._be_killed(now_ms)
        elif self.is_running and fate < _KILL_CHANCE + _ERROR_CHANCE:
            self._fail(now_ms)
        else:
            self._advance(now_ms)
        return self._taken()

    def snapshot(self, now_ms: int) -> list[Pushed]:
        """Return what a burst begins with: the state, the list of orders, the list of positions.

        It changes nothing, so the cycles that follow are the same with or without it.
        """
        self._out.append(payloads.engine_update(now_ms, self.state, running=self.is_running))
        self._out.append(self._trading.order_list(now_ms))
        self._out.append(self._trading.position_list(now_ms))
        return self._taken()

    def heartbeat(self, now_ms: int, latency_ms: float = 45) -> Pushed:
        """Return a HEARTBEAT; it belongs to a connection, so it is no part of the truth."""
        return payloads.heartbeat(now_ms, latency_ms)

    def stream(self, start_ms: int, rate: float, *, heartbeat_ms: int = 30_000) -> Iterator[Pushed]:
        """Yield events without end, as one connection would get them, as fast as they are taken.

        Args:
            start_ms: UTC ms since the epoch of the first.
            rate: Events per second of the stream's own time.
            heartbeat_ms: A heartbeat comes first, then one each that many ms.
        """
        pushed = 0
        next_heartbeat_ms = start_ms
        while True:
            now_ms = start_ms + int(pushed * 1_000 / rate)
            if now_ms >= next_heartbeat_ms:
                yield self.heartbeat(now_ms)
                pushed += 1
                next_heartbeat_ms += heartbeat_ms
            events = self.step(now_ms)
            pushed += len(events)
            yield from events

    def _taken(self) -> list[Pushed]:
        # The trading side pushes to the same list, so it is emptied, not replaced.
        events = self._out[:]
        self._out.clear()
        if self._truth is not None:
            self._truth.sent.extend(Sent(event.sent_ms, event.type, len(event.payload)) for event in events)
        return events

    def _advance(self, now_ms: int) -> None:
        match self.state:
            case EngineState.SCANNING:
                self._scan(now_ms)
            case EngineState.SIGNALING:
                self._trading.act_on_signals(now_ms)
                self._move(now_ms, EngineState.EXECUTING, "signals accepted", {"orders": len(self._trading.orders)})
            case EngineState.EXECUTING:
                if not self._trading.orders or self._cycles_in_state > 6:
                    if self._rng.random() < 0.5:
                        self._out.append(self._trading.order_list(now_ms))
                    self._move(now_ms, EngineState.MANAGING, "orders are out")
            case waiting:
                cycles, to_state, reason = _WAITS[waiting]
                nothing_to_manage = waiting is EngineState.MANAGING and not self._trading.positions
                if self._cycles_in_state > cycles or nothing_to_manage:
                    self._move(now_ms, to_state, reason)

    def _scan(self, now_ms: int) -> None:
        self._out.append(payloads.scan_result(now_ms, self._market.scan(now_ms)))
        if self._rng.random() < 0.5 and self._trading.signal(now_ms):
            self._move(now_ms, EngineState.SIGNALING, "scan \u2192 candidate")
        elif self._trading.positions:
            self._move(now_ms, EngineState.MANAGING, "nothing new, positions open")

    def _fail(self, now_ms: int) -> None:
        error_type, message = self._rng.choice(_ERRORS)
        details = {"state": self.state, "attempt": self._rng.randint(1, 3)}
        self._out.append(payloads.error(now_ms, error_type, message, details))
        self._trading.drop_signals()
        self._move(now_ms, EngineState.ERROR, error_type)

    def _be_killed(self, now_ms: int) -> None:
        reason = self._rng.choice(_KILL_REASONS)
        self._out.append(payloads.kill_switch(now_ms, reason))
        self._trading.flatten(now_ms, "kill_switch")
        self._move(now_ms, EngineState.KILLED, reason)

    def _move(self, now_ms: int, to_state: EngineState, reason: str, metadata: dict[str, Any] | None = None) -> None:
        assert to_state in MOVES[self.state], f"{self.state} -> {to_state}"
        self._out.append(payloads.fsm_transition(now_ms, self.state, to_state, reason, metadata or {}))
        self.state = to_state
        self._cycles_in_state = 0
        self._out.append(payloads.engine_update(now_ms, self.state, running=self.is_running))
