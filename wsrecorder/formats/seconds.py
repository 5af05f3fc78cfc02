"""Times as text: seconds since the epoch with nine digits, exact to the nanosecond."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["all_seconds", "seconds"]

_SECOND_NS: Final = 1_000_000_000


def all_seconds(times_ns: pa.Array) -> pa.StringArray:
    """Return times, ns since the epoch, each as `seconds` has it."""
    if pc.min(times_ns).as_py() < _SECOND_NS:
        return pa.array([seconds(time_ns) for time_ns in times_ns.to_pylist()], pa.string())
    return pc.binary_replace_slice(times_ns.cast(pa.string()), -9, -9, ".")


def seconds(time_ns: int) -> str:
    """Return a time, ns since the epoch; what is before 1970, which no reader of such times knows, is 1970."""
    whole, rest = divmod(max(time_ns, 0), _SECOND_NS)
    return f"{whole}.{rest:09d}"
