"""Envelopes made for tests, and any JSON at all."""

import json
from typing import Any

from hypothesis import strategies as st

from wsrecorder.core.envelope import Envelope, read_envelope

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def envelope(message_type: str, data: Any) -> Envelope[Any]:
    found = read_envelope(json.dumps({"type": message_type, "ts": 1_790_000_000_000, "data": data}), message_type)
    assert found is not None
    return found
