"""What can go wrong, branched by who must act.

::

    WsrecError(message, *, hint)
      UsageError          you asked for the impossible            exit 2
      FeedError           the live server is away or wrong        exit 3
      SessionError        what is on disk cannot be used          exit 4
        SessionNotFound     no session, or more than one, goes by that name
        SegmentDamaged      a file of the session cannot be read back
        FormatTooNew        written by a newer wsrec
        StorageError        the disk refuses to take or give bytes
          StoreAway           object storage is out of reach, and may be back
          Overtaken           somebody else has written there first
      EndpointError       our own server cannot be had            exit 5
      EventsLost          done, but something was lost            exit 6
      OwnMistake          we are wrong, whatever you asked for    exit 1

Every error carries a hint, so that no message can omit what to do. Edges translate
library errors at once (``raise FeedError(...) from exc``); only ``cli`` prints and exits.
"""

from __future__ import annotations

__all__ = [
    "EndpointError",
    "EventsLost",
    "FeedError",
    "FormatTooNew",
    "Overtaken",
    "OwnMistake",
    "SegmentDamaged",
    "SessionError",
    "SessionNotFound",
    "StorageError",
    "StoreAway",
    "UsageError",
    "WsrecError",
]


class WsrecError(Exception):
    """The root of every error that wsrec raises on purpose.

    Attributes:
        message: What was found and what was expected, one line.
        hint: What to do about it, one line.
        exit_code: The exit status of a command that ends with this error.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}"


class UsageError(WsrecError):
    """You asked for the impossible."""

    exit_code = 2


class FeedError(WsrecError):
    """The live server is away, refuses, or is not what it was said to be."""

    exit_code = 3


class SessionError(WsrecError):
    """What is on disk cannot be used."""

    exit_code = 4


class SessionNotFound(SessionError):
    """No session, or more than one, goes by the given name."""


class SegmentDamaged(SessionError):
    """A file of the session is missing or cannot be read back."""


class FormatTooNew(SessionError):
    """The session was written in a format version that this wsrec does not know."""


class StorageError(SessionError):
    """The disk refuses to take or give bytes: full, read-only, or broken."""


class StoreAway(StorageError):
    """Object storage is out of reach, or fails; it may be back at any time."""


class Overtaken(StorageError):
    """Somebody else has written to that place in object storage first, and something else."""


class EndpointError(WsrecError):
    """Our own server cannot be had: the port is taken, the address is not ours."""

    exit_code = 5


class EventsLost(WsrecError):
    """The work is done, but something was lost on the way."""

    exit_code = 6


class OwnMistake(WsrecError):
    """Something ended by a mistake of wsrec; the error that was not expected is its cause.

    Args:
        what: What ended.
        error: What was raised. Its words may quote a payload, so its type alone is told.
        hint: What is left, and what to do.
    """

    def __init__(self, what: str, error: BaseException, *, hint: str) -> None:
        super().__init__(f"{what} by an unexpected {type(error).__name__}", hint=hint)
        self.__cause__ = error
