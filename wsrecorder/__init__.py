"""Record a live WebSocket feed, replay it over an identical endpoint, ask it questions in SQL.

::

    import wsrecorder

    session = await wsrecorder.record("ws://localhost:8000/ws/", duration="10s")
    session.table(types=["SIGNAL"])
    async with wsrecorder.serve("latest", speed=10) as replay:
        print(replay.url)

The names are loaded when they are first used: ``import wsrecorder`` by itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session
    from wsrecorder.analysis.session import open_session as open
    from wsrecorder.api import play, record, serve
    from wsrecorder.clock import SystemClock, VirtualClock
    from wsrecorder.core.event import Event
    from wsrecorder.core.stream_hash import StreamHash, stream_hash

    __version__: str

__all__ = [
    "Event",
    "Session",
    "StreamHash",
    "SystemClock",
    "VirtualClock",
    "__version__",
    "open",
    "play",
    "record",
    "serve",
    "stream_hash",
]

_HOMES: Final = {
    "Event": ("wsrecorder.core.event", "Event"),
    "Session": ("wsrecorder.analysis.session", "Session"),
    "StreamHash": ("wsrecorder.core.stream_hash", "StreamHash"),
    "SystemClock": ("wsrecorder.clock", "SystemClock"),
    "VirtualClock": ("wsrecorder.clock", "VirtualClock"),
    "open": ("wsrecorder.analysis.session", "open_session"),
    "play": ("wsrecorder.api", "play"),
    "record": ("wsrecorder.api", "record"),
    "serve": ("wsrecorder.api", "serve"),
    "stream_hash": ("wsrecorder.core.stream_hash", "stream_hash"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("wsrecorder")
    elif name in _HOMES:
        module, attribute = _HOMES[name]
        found = getattr(import_module(module), attribute)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found  # from now on without asking
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
