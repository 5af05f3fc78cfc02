"""Routes that control a replay: its playbacks, its clients, its faults."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from wsrecorder.analysis.condition import Foreign
from wsrecorder.console.answers import Refusal, answer
from wsrecorder.console.scene import Scene
from wsrecorder.console.schemas import (
    Burst,
    ClientNumber,
    Clients,
    Control,
    Disconnect,
    FaultFacts,
    FaultsWanted,
    Loop,
    PlaybackFacts,
    Problem,
    Seek,
    Speed,
    Step,
)
from wsrecorder.console.state import StateReader
from wsrecorder.console.stream import StateStream
from wsrecorder.core.fault import can_be_sent, parse_faults
from wsrecorder.core.moment import parse_duration, parse_moment
from wsrecorder.core.target import AtMatch, AtNote, AtSeq, AtTime, ByDelta, Target
from wsrecorder.errors import UsageError
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.wishes import playback_name
from wsrecorder.net.client import Client

__all__ = ["ControlRoutes"]

_LONGEST_REASON: Final = 123  # bytes, in a close frame (RFC 6455, section 5.5)


class ControlRoutes:
    """Controls a replay.

    Attributes:
        verbs: The controls of a playback, by their paths.

    Args:
        scene: With the replay; without one every control is refused.
        states: How playbacks stand.
        stream: Told when something has changed.
    """

    def __init__(self, scene: Scene, states: StateReader, stream: StateStream) -> None:
        self._scene = scene
        self._states = states
        self._stream = stream
        self._closing: set[asyncio.Task[None]] = set()
        self.router = APIRouter()
        refused: dict[int | str, dict[str, Any]] = {409: {"model": Problem, "description": "Nothing is played"}}
        verbs = (self.pause, self.resume, self.restart, self.seek, self.step, self.burst, self.speed, self.loop)
        self.verbs = {f"/api/{verb.__name__}": verb for verb in verbs}
        for path, verb in self.verbs.items():
            self.router.add_api_route(
                path, verb, methods=["POST"], tags=["controls"],
                responses={200: {"model": PlaybackFacts}, **refused},
            )  # fmt: skip
        for path, route, method, model in (
            ("/api/clients", self.clients, "GET", Clients),
            ("/api/clients/{number}/disconnect", self.disconnect, "POST", ClientNumber),
            ("/api/faults", self.faults, "GET", FaultFacts),
            ("/api/faults", self.set_faults, "POST", FaultFacts),
        ):
            self.router.add_api_route(
                path, route, methods=[method], tags=["clients and faults"],
                responses={200: {"model": model}, **refused},
            )  # fmt: skip

    async def pause(self, control: Control) -> Response:
        """Stand still."""
        playback = self._playback(control)
        playback.pause()
        return self._done(playback)

    async def resume(self, control: Control) -> Response:
        """Play on."""
        playback = self._playback(control)
        playback.resume()
        return self._done(playback)

    async def restart(self, control: Control) -> Response:
        """Play again from the start, or stand there if paused."""
        playback = self._playback(control)
        playback.restart()
        return self._done(playback)

    async def seek(self, control: Seek) -> Response:
        """Play on from another place, or stand there if paused; the answer comes when it is found."""
        playback = self._playback(control)
        await playback.seek(self._target(control))
        return self._done(playback)

    async def step(self, control: Step) -> Response:
        """Stand still, and send the next events, or go back before the last ones."""
        playback = self._playback(control)
        await playback.step(control.events)
        return self._done(playback)

    async def burst(self, control: Burst) -> Response:
        """Send the next events as fast as possible, and go on from there as before."""
        playback = self._playback(control)
        playback.burst(control.events)
        if playback.status == "paused":  # else it goes on anyway, and what is answered is past at once
            await playback.settle()
        return self._done(playback)

    async def speed(self, control: Speed) -> Response:
        """Go on at another speed."""
        playback = self._playback(control)
        playback.set_speed(float("inf") if control.speed == "max" else control.speed)
        return self._done(playback)

    async def loop(self, control: Loop) -> Response:
        """Play from one moment to another again and again, or no longer."""
        playback = self._playback(control)
        if control.off:
            playback.clear_loop()
        elif control.from_ns is None or control.to_ns is None:
            raise UsageError("a loop needs from_ns and to_ns", hint='give both, or {"off": true} to end it')
        else:
            playback.set_loop(control.from_ns, control.to_ns)
        return self._done(playback)

    async def clients(self) -> Response:
        """Return the clients that are here."""
        replay = self._replay()
        now_ns = self._scene.clock.now_ns()
        return answer({"clients": [_client(replay, client, now_ns) for client in replay.endpoint.clients]})

    async def disconnect(self, number: int, wanted: Disconnect) -> Response:
        """Close a client's connection; the answer does not wait until it has closed."""
        replay = self._replay()
        found = next((client for client in replay.endpoint.clients if client.number == number), None)
        if found is None:
            raise Refusal(
                404, f"client {number} is not here", hint='"wsrec control clients" and /api/clients list those that are'
            )
        if not can_be_sent(wanted.code):
            raise UsageError(
                f"{wanted.code} cannot be a close code", hint="use 1000 to 1003, 1007 to 1014 or 3000 to 4999"
            )
        if len(wanted.reason.encode()) > _LONGEST_REASON:
            raise UsageError("the reason is too long for a close frame", hint=f"use at most {_LONGEST_REASON} bytes")
        timeout_s = replay.endpoint.options.close_timeout_s
        task = asyncio.create_task(found.close(wanted.code, wanted.reason, timeout_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._stream.poke()
        return answer({"number": number})

    async def faults(self) -> Response:
        """Return what goes wrong on purpose, and what was injected so far."""
        return answer(_faults(self._replay()))

    async def set_faults(self, wanted: FaultsWanted) -> Response:
        """Let these faults be active from now on, and no others."""
        replay = self._replay()
        replay.faults.set(parse_faults(wanted.faults))
        self._stream.poke()
        return answer(_faults(replay))

    def _replay(self) -> Replay:
        if self._scene.replay is None:
            raise Refusal(
                409, "this session is only looked at: nothing is played", hint='"wsrec replay" plays it, with this page'
            )
        return self._scene.replay

    def _playback(self, control: Control) -> Playback:
        return self._replay().playback(control.playback)

    def _done(self, playback: Playback) -> Response:
        self._stream.poke()
        return answer(self._states.playback(playback))

    def _target(self, asked: Seek) -> Target:
        fields = {"to", "by", "by_ns", "ns", "seq", "match", "note"}
        given = {name: value for name, value in asked if name in fields and value is not None}
        if len(given) != 1:
            raise UsageError(
                f"a seek leads to one place, found {len(given)}",
                hint='give one of "to", "by", "by_ns", "ns", "seq", "match" and "note"',
            )
        [(name, value)] = given.items()
        match name:
            case "to":
                began_ns = self._scene.began_ns
                return AtTime(max(0, parse_moment(value).resolve(began_ns, began_ns + self._scene.end_ns)))
            case "by":
                return ByDelta(_signed(value))
            case "by_ns":
                return ByDelta(value)
            case "ns":
                return AtTime(value)
            case "seq":
                return AtSeq(value)
            case "match":
                return AtMatch(Foreign(value))
        return AtNote(value)


def _signed(text: str) -> int:
    """Return a duration that may be back, ns."""
    bare = text.strip()
    length_ns = parse_duration(bare.lstrip("+-") if bare[:2] not in ("--", "++", "+-", "-+") else bare)
    return -length_ns if bare.startswith("-") else length_ns


def _faults(replay: Replay) -> dict[str, Any]:
    return {"faults": [fault.text for fault in replay.faults.active], "counts": replay.faults.counts}


def _client(replay: Replay, client: Client, now_ns: int) -> dict[str, Any]:
    stats = client.stats()
    return {
        "number": stats.number,
        "address": stats.address,
        "query": stats.query,
        "playback": playback_name(client.query, client.number, is_shared=replay.shared is not None),
        "frames_sent": stats.frames_sent,
        "primed": stats.primed,
        "bytes_sent": stats.bytes_sent,
        "heartbeats_sent": stats.heartbeats_sent,
        "inbound_frames": stats.inbound_frames,
        "stalls": stats.stalls,
        "stalled_ms": round(stats.stalled_ns / 1e6, 3),
        "buffered_bytes": stats.buffered_bytes,
        "latency_ms": round(stats.latency_ms, 3),
        "deflate": stats.window_bits is not None,
        "connected_s": round((now_ns - stats.connected_ns) / 1e9, 3),
    }
