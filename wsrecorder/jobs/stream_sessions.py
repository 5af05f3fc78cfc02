"""The sessions of a stream: which there are, and which one goes by a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wsrecorder.core.log_message import SESSION_TOKEN, session_of
from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.errors import SessionNotFound
from wsrecorder.net.jetstream import EventLog
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store.manifest import Identity, Manifest

__all__ = ["StreamSession", "choose", "stream_sessions"]

_ABOUT_ALL: Final = f"wsrec.*.{SESSION_TOKEN}"
_MOST_EMPTY: Final = 3


@dataclass(frozen=True, slots=True)
class StreamSession:
    """A session that a stream holds, or a part of it.

    Attributes:
        identity: What it is.
        position: Where in the stream it is said to begin.
    """

    identity: Identity
    position: int


async def stream_sessions(log: EventLog) -> list[StreamSession]:
    """Return the sessions of a stream, the oldest first.

    Raises:
        SessionNotFound: There is no such stream.
        LogAway: It does not answer.
        SessionError: What is said of a session cannot be read.
    """
    # A fetch that brings nothing may only have been slow, so it is counted.
    missing = sum((await log.subjects(_ABOUT_ALL)).values())
    found: dict[str, StreamSession] = {}
    reader, empty = LogReader(log, _ABOUT_ALL), 0
    try:
        while missing > 0 and empty < _MOST_EMPTY:
            messages = await reader.fetch(2.0)
            missing -= len(messages)
            if not messages and reader.pending == 0:  # its limits dropped some meanwhile
                empty += 1
            for message in messages:
                session = session_of(message.headers)
                identity = Manifest.from_json(message.payload, Path(message.subject)).identity
                found.setdefault(session, StreamSession(identity, message.position))
    finally:
        await reader.close()
    return sorted(found.values(), key=lambda entry: (entry.identity.started_ns, entry.position))


def choose(address: StreamAddress, sessions: list[StreamSession]) -> StreamSession:
    """Return the session that an address names: by id, a prefix of one, or a name; the newest where it names none.

    Raises:
        SessionNotFound: None does, or more than one.
    """
    wanted = address.session
    if not sessions:
        raise SessionNotFound(f"{address} holds no session", hint='record into it first: "wsrec record URL --into …"')
    if wanted in (None, "latest"):
        return sessions[-1]
    assert wanted is not None
    exact = [entry for entry in sessions if entry.identity.id == wanted]
    begun = [entry for entry in sessions if entry.identity.id.startswith(wanted)]
    named = [entry for entry in sessions if entry.identity.name == wanted]
    if exact or len(begun) == 1:
        return (exact or begun)[0]
    if named and not begun:
        return named[-1]
    ids = ", ".join(entry.identity.id for entry in (begun or sessions)[-3:])
    raise SessionNotFound(
        f"{address} names {len(begun) or 'no'} sessions, expected one", hint=f"the newest are {ids}; or leave it out"
    )
