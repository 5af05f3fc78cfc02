"""What a client that goes through a tap has come to.

It moves on through these stages, and from each of them straight to the last.
"""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["Stage"]


class Stage(Enum):
    """What a connection has come to."""

    ASKED = auto()
    """The client's request is read; nothing is known of the server yet."""
    CALLING = auto()
    """The server is being connected to; the client is not read."""
    ANSWERED = auto()
    """The request was passed on; the server's answer is read, and passed on as it is."""
    OPEN = auto()
    """The answer was 101: frames go by and are recorded."""
    PLAIN = auto()
    """The answer was another, or the request no handshake: bytes go by, nothing is recorded."""
    ENDED = auto()
    """One side is gone, or the tap ends."""
