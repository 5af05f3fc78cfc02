"""Record a live WebSocket feed, replay it over an identical endpoint, ask it questions in SQL."""

from __future__ import annotations

from importlib.metadata import version

from wsrecorder.analysis.session import Session
from wsrecorder.analysis.session import open_session as open
from wsrecorder.core.event import Event

__all__ = ["Event", "Session", "__version__", "open"]

__version__ = version("wsrecorder")
