"""What a replay tells of itself: how it stands, and what it has measured."""

from __future__ import annotations

from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.playbacks import Playbacks
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import ReplayOptions, ReplayReport, ReplayState
from wsrecorder.net.endpoint import Endpoint

__all__ = ["ReplayFigures"]


class ReplayFigures:
    """Reads what the parts of a replay count.

    Args:
        playbacks: All of them.
        programme: What is played.
        options: How.
        endpoint: To whom.
        faults: What goes wrong on purpose.
        mishaps: What goes wrong by our mistake.
    """

    def __init__(
        self,
        playbacks: Playbacks,
        programme: Programme,
        options: ReplayOptions,
        endpoint: Endpoint,
        faults: Faults,
        mishaps: Mishaps,
    ) -> None:
        self._all = playbacks
        self._programme = programme
        self._options = options
        self._endpoint = endpoint
        self._faults = faults
        self._mishaps = mishaps

    def state(self, *, is_broken: bool) -> ReplayState:
        """Return how it stands now; of several playbacks, the one that has come furthest.

        Args:
            is_broken: Whether it cannot go on.
        """
        ahead = self._all.furthest
        report = self.report()
        position_ns = self._programme.start_ns if ahead is None else ahead.position_ns()
        end_ns = self._programme.end_ns if self._programme.stop_ns is None else self._programme.stop_ns
        return ReplayState(
            status="ended" if is_broken else "waiting" if ahead is None else ahead.status,
            position_ns=position_ns,
            start_ns=self._programme.start_ns,
            end_ns=max(end_ns, position_ns),  # a session that still grows is played past the end it had at first
            speed=self._options.speed if ahead is None else ahead.player.speed,
            achieved_speed=report.achieved_speed,
            frames_sent=report.frames_sent,
            clients=len(self._endpoint.clients),
            lateness=report.lateness,
        )

    def report(self) -> ReplayReport:
        """Return what was measured so far."""
        totals = self._all.totals()
        return ReplayReport(
            frames_sent=totals.frames_sent,
            primed=totals.primed,
            passes=totals.passes,
            playing_s=totals.playing_ns / 1e9,
            session_s=totals.session_ns / 1e9,
            speed=None if self._options.speed == float("inf") else self._options.speed,
            achieved_speed=totals.session_ns / totals.playing_ns if totals.playing_ns else None,
            lateness=totals.lateness,
            clients=self._endpoint.stats(),
            slow_closed=self._endpoint.slow_closed,
            refused=self._endpoint.turned_away.by_reason(),
            faults=self._faults.report(),
            mishaps=self._mishaps.counts,
        )
