"""The playbacks of a replay: the shared one, one a client, one a session key; and what those that are gone came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsrecorder.core.distribution import Distribution
from wsrecorder.errors import UsageError
from wsrecorder.jobs.playback import Playback

__all__ = ["Playbacks", "Totals"]


@dataclass(slots=True)
class Totals:
    """What playbacks came to, all together.

    Attributes:
        frames_sent: Frames played.
        primed: Frames by which clients were told how things stand.
        passes: How often playback has begun somewhere.
        playing_ns: Wall time from first frames to last, pauses left out, ns.
        session_ns: Session time that was played, ns.
        lateness: Of frames that had a deadline.
    """

    frames_sent: int = 0
    primed: int = 0
    passes: int = 0
    playing_ns: int = 0
    session_ns: int = 0
    lateness: Distribution = field(default_factory=Distribution)

    def add(self, playback: Playback) -> None:
        """Add what a playback has come to."""
        stream = playback.stream
        self.frames_sent += stream.frames_sent
        self.primed += stream.usher.primed
        self.passes += playback.player.passes
        self.playing_ns += stream.pace.playing_ns
        self.session_ns += stream.pace.session_ns
        self.lateness.merge(stream.lateness)

    def copy(self) -> Totals:
        """Return the same again."""
        lateness = Distribution()
        lateness.merge(self.lateness)
        return Totals(self.frames_sent, self.primed, self.passes, self.playing_ns, self.session_ns, lateness)


class Playbacks:
    """Those that are here, by name, in the order in which they came."""

    def __init__(self) -> None:
        self._here: dict[str, Playback] = {}
        self._closing: list[Playback] = []  # something of them may still be on its way
        self._gone = Totals()

    @property
    def here(self) -> list[Playback]:
        """Those that are here."""
        return list(self._here.values())

    @property
    def furthest(self) -> Playback | None:
        """The one whose playhead stands furthest on; None while there is none."""
        return max(self._here.values(), key=Playback.position_ns, default=None)

    def add(self, playback: Playback) -> None:
        """Take a new one."""
        self._here[playback.name] = playback

    def remove(self, playback: Playback) -> None:
        """Close one."""
        del self._here[playback.name]
        self._closing.append(playback)
        playback.close()

    def forget(self, playback: Playback) -> None:
        """Remember no more of one that was removed than what it came to; nothing of it is on its way any more."""
        if playback in self._closing:
            self._closing.remove(playback)
            self._gone.add(playback)

    def get(self, name: str) -> Playback | None:
        """Return the one of this name; None if it is not here."""
        return self._here.get(name)

    def find(self, name: str | None) -> Playback:
        """Return the one of this name; without a name the shared one, or else the only one.

        Raises:
            UsageError: There is none, or it takes a name to tell which.
        """
        names = ", ".join(f'"{known}"' for known in self._here) or "none: no client has come yet"
        if name is not None:
            if name not in self._here:
                raise UsageError(f'there is no playback "{name}"', hint=f"there are {names}")
            return self._here[name]
        if "shared" in self._here:
            return self._here["shared"]
        if len(self._here) != 1:
            raise UsageError(
                f"{len(self._here)} playbacks are here, expected a name or just one", hint=f"there are {names}"
            )
        return next(iter(self._here.values()))

    def totals(self) -> Totals:
        """Return what all came to, those that are gone too."""
        totals = self._gone.copy()
        for playback in (*self._here.values(), *self._closing):
            totals.add(playback)
        return totals
