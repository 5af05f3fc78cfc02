"""What a console shows: sessions, and the replay that plays them, if any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from wsrecorder.analysis.session import Session, State
from wsrecorder.clock import Clock
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.errors import SessionNotFound
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.replay import Replay
from wsrecorder.store.place import Place
from wsrecorder.store.session import Store

__all__ = ["Scene", "SessionFacts"]


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A session in short.

    Attributes:
        id: Unique name.
        name: A word for people.
        url: URL of the feed, credentials redacted.
        state: Whether its recording ended properly, is going on, or was cut.
        sealed: Whether it ended properly.
        messages: Frames, both directions.
        started_at: UTC of its beginning, ISO 8601.
        offset_ns: Where it begins among several that are merged: ns since the earliest began.
        length_ns: From its beginning to its last event, ns.
    """

    id: str
    name: str
    url: str
    state: State
    sealed: bool
    messages: int
    started_at: str
    offset_ns: int
    length_ns: int


class Scene:
    """Sessions, and the replay that plays them, if any; to be loaded before it is shown.

    Attributes:
        sessions: The sessions.
        replay: What plays them; None where they are only looked at.
        endpoint_url: Where clients of the replay connect.
        mishaps: The errors of our own making, those of the replay among them.
        library: The folder of sessions, to list the others; None lists none.
        clock: The time.
        began_ns: UTC of the beginning of the earliest session, ns since the epoch: where session time is counted from.
        facts: Of each session, as far as it had come at the last `refresh`.

    Args:
        stores: The sessions, one at least.
        replay: What plays them.
        library: The folder of sessions.
        clock: The time.
    """

    def __init__(self, stores: Sequence[Store], *, replay: Replay | None, library: Place | None, clock: Clock) -> None:
        self.sessions = [Session(store) for store in stores]
        self.replay = replay
        self.endpoint_url = None if replay is None else replay.url  # once it has ended it has none
        self.mishaps = Mishaps() if replay is None else replay.mishaps
        self.library = library
        self.clock = clock
        self._started_ns: list[int] = []
        self.began_ns = 0
        self.facts: list[SessionFacts] = []

    def load(self) -> Self:
        """Read the facts of the sessions, once; before that there is nothing to show.

        Raises:
            SessionError: One of them cannot be read.
        """
        if not self._started_ns:
            self._started_ns = [session.store.identity().started_ns for session in self.sessions]
            self.began_ns = min(self._started_ns)
            self.facts = [self._facts_of(index) for index in range(len(self.sessions))]
        return self

    @property
    def grows(self) -> bool:
        """Whether one of the sessions was still being recorded at the last `refresh`."""
        return any(facts.state is State.RECORDING for facts in self.facts)

    @property
    def is_playing(self) -> bool:
        """Whether frames are being sent, or about to be."""
        return self.replay is not None and any(each.status == "playing" for each in self.replay.playbacks)

    @property
    def end_ns(self) -> int:
        """How far the sessions had come at the last `refresh`, session time, ns."""
        return max(facts.offset_ns + facts.length_ns for facts in self.facts)

    @property
    def window(self) -> tuple[int, int]:
        """From where to where is played, or can be looked at, session time, ns; as far as the sessions have come."""
        if self.replay is None:
            return 0, self.end_ns
        asked = self.replay.options
        began_ns, ended_ns = self.began_ns, self.began_ns + self.end_ns
        start_ns = 0 if asked.start is None else asked.start.resolve(began_ns, ended_ns)
        stop_ns = self.end_ns if asked.end is None else asked.end.resolve(began_ns, ended_ns)
        return start_ns, min(stop_ns, self.end_ns)

    def position_ns(self) -> int:
        """Return where the playhead stands, session time, ns; the end where nothing is played."""
        playbacks = [] if self.replay is None else self.replay.playbacks
        return playbacks[0].position_ns() if playbacks else self.end_ns

    def at_playhead(self, session_id: str | None) -> tuple[Session, int]:
        """Return a session, and where in it the playhead stands, ns since it began.

        Args:
            session_id: Which; None is the one that is played there, of several the one that began last.

        Raises:
            SessionNotFound: It is none of them.
        """
        position_ns = self.position_ns()
        chosen = session_id
        if chosen is None:
            begun = [facts for facts in self.facts if facts.offset_ns <= position_ns]
            here = [facts for facts in begun if position_ns <= facts.offset_ns + facts.length_ns] or begun
            chosen = max(here or self.facts, key=lambda facts: facts.offset_ns).id
        session = self.session(chosen)
        offset_ns = next(facts.offset_ns for facts in self.facts if facts.id == chosen)
        return session, max(0, position_ns - offset_ns)

    def refresh(self) -> None:
        """Look again how far those sessions have come that are still being recorded; reads their journals."""
        self.facts = [
            self._facts_of(index) if facts.state is State.RECORDING else facts for index, facts in enumerate(self.facts)
        ]

    def session(self, session_id: str | None) -> Session:
        """Return one of the sessions by its id; None is the first.

        Raises:
            SessionNotFound: It is none of them.
        """
        if session_id is None:
            return self.sessions[0]
        for facts, session in zip(self.facts, self.sessions, strict=True):
            if facts.id == session_id:
                return session
        raise SessionNotFound(
            f"session {session_id!r} is not shown here", hint=f"give {' or '.join(facts.id for facts in self.facts)}"
        )

    def _facts_of(self, index: int) -> SessionFacts:
        session, started_ns = self.sessions[index], self._started_ns[index]
        state = session.state  # before the manifest: what was written until it ended is then counted
        manifest = session.store.manifest()
        return SessionFacts(
            id=manifest.identity.id,
            name=manifest.identity.name,
            url=manifest.identity.feed,
            state=state,
            sealed=state is State.SEALED,
            messages=manifest.messages,
            started_at=from_epoch_ns(started_ns).isoformat(),
            offset_ns=started_ns - self.began_ns,
            length_ns=manifest.last_elapsed_ns,
        )
