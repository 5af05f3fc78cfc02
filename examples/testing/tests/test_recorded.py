"""Against a real server, recorded once: the cassette is in ``cassettes/`` and is kept with the tests.

``pytest --wsrec-mode rewrite`` records it anew; that needs the server, here ``python server.py``.
"""

from __future__ import annotations

import pytest
from watch import last_price

from wsrecorder.testing import Cassettes

SERVER = "ws://127.0.0.1:8765/ws/"


@pytest.fixture
def ws_record_options() -> dict[str, object]:
    """No cassette holds the account that the server names."""
    return {"redact": ["account"]}


@pytest.mark.parametrize(("product", "price"), [("ETH-USD", 2949.80), ("SOL-USD", 138.25)])
async def test_the_last_price_is_that_of_the_server(ws_record: Cassettes, product: str, price: float) -> None:
    """Nothing but the URL tells that there is no server."""
    assert await last_price(ws_record(SERVER), product) == price
