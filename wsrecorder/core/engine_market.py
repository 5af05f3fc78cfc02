"""The market of the simulated engine: a price walk for a few symbols, and what a scan sees in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any

from wsrecorder.core.engine_payloads import scan_row

__all__ = ["SYMBOLS", "Market", "Symbol"]

# A scan of the whole market: 5,200 rows of 250 bytes and more are over 1 MiB, the default limit of many clients.
_WHOLE_MARKET_ROWS = 5_200


@dataclass(frozen=True, slots=True)
class Symbol:
    """One traded pair.

    Attributes:
        name: Such as ``BTC/USDT``.
        start_price: First price, in quote currency.
        digits: Decimals of a price.
        volatility: Standard deviation of one step, as a fraction of the price.
    """

    name: str
    start_price: float
    digits: int
    volatility: float


SYMBOLS = (
    Symbol("BTC/USDT", 59_982.08, 2, 0.0008),
    Symbol("ETH/USDT", 3_021.55, 2, 0.0010),
    Symbol("SOL/USDT", 148.317, 3, 0.0014),
    Symbol("XRP/USDT", 0.52310, 5, 0.0012),
    Symbol("DOGE/USDT", 0.118420, 6, 0.0016),
)


class Market:
    """Prices that walk: each step is a small random change, with a mild pull back to the start.

    Args:
        rng: Where chance comes from.
        nan_rng: Chance of its own for broken figures, so that asking for them changes nothing else.
        nan: Share of scans with a bare ``NaN`` or ``Infinity`` in them, 0 to 1.
        big_scan_every: Each scan of that number covers the whole market (over 1 MiB); 0 is never.
    """

    def __init__(self, rng: Random, nan_rng: Random, *, nan: float, big_scan_every: int) -> None:
        self._rng = rng
        self._nan_rng = nan_rng
        self._nan = nan
        self._big_scan_every = big_scan_every
        self._scans = 0
        self._symbols = {symbol.name: symbol for symbol in SYMBOLS}
        self.prices = {symbol.name: symbol.start_price for symbol in SYMBOLS}

    def move(self) -> None:
        """Move every price by one step."""
        gauss = self._rng.gauss
        for symbol in SYMBOLS:
            price = self.prices[symbol.name]
            # Without the pull, a price would wander to 0 or to the sky over millions of steps.
            pull = 0.0005 * (1 - price / symbol.start_price)
            self.prices[symbol.name] = round(price * (1 + pull + gauss(0, symbol.volatility)), symbol.digits)

    def quote(self, name: str, price: float) -> float:
        """Return a price rounded as the exchange would quote it."""
        return round(price, self._symbols[name].digits)

    def broken(self) -> float | None:
        """Return ``NaN`` or ``Infinity`` for the share of the cases asked for, else None."""
        if self._nan_rng.random() >= self._nan:
            return None
        return math.nan if self._nan_rng.random() < 0.7 else math.inf

    def scan(self, now_ms: int) -> list[dict[str, Any]]:
        """Return the rows of a scan: the best few symbols, or now and then the whole market."""
        self._scans += 1
        rng = self._rng
        picked = rng.sample(SYMBOLS, rng.choice((1, 1, 2, 3)))
        scores = sorted((round(rng.random(), 3) for _ in picked), reverse=True)
        rows = [
            scan_row(now_ms, rank, symbol.name, self.prices[symbol.name], score, round(rng.random() * 3, 3))
            for rank, (symbol, score) in enumerate(zip(picked, scores, strict=True), start=1)
        ]
        if (broken := self.broken()) is not None:
            rows[0]["metrics"]["rel_volume"] = broken
        if self._big_scan_every and self._scans % self._big_scan_every == 0:
            rows += [
                scan_row(now_ms, rank, f"C{rank:04}/USDT", round(1 + rank / 7, 4), round(1 / rank, 6), 0.125)
                for rank in range(len(rows) + 1, _WHOLE_MARKET_ROWS + 1)
            ]
        return rows
