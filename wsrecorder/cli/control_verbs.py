"""What the words of ``wsrec control`` ask the console for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from wsrecorder.errors import UsageError

__all__ = ["VERBS", "Asked", "Call", "call_for"]

VERBS: Final = {
    "state": "how everything stands",
    "pause": "stand still",
    "resume": "play on",
    "seek": "MOMENT, --by, --seq, --match or --note",
    "step": "[N] events forward, then pause",
    "back": "[N] events back, then pause",
    "burst": "N events as fast as possible",
    "speed": "FACTOR or max",
    "loop": "FROM TO in the recording, or off",
    "restart": "play from the start",
    "faults": "[FAULT… or none]: what goes wrong; without any they are listed",
    "note": "TEXT [--at MOMENT]: note something, at the playhead",
    "clients": "who is connected",
    "disconnect": "NUMBER: close a client's connection",
}
"""Every verb, and what follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What stands on the command line.

    Attributes:
        verb: One of `VERBS`.
        values: What follows it.
        playback: Which playback is meant; None is the shared or only one.
        places: Other ways to say where, by their options: ``by``, ``seq``, ``match``, ``note``.
        at: Moment of a note.
    """

    verb: str
    values: list[str] = field(default_factory=list)
    playback: str | None = None
    places: dict[str, str | int] = field(default_factory=dict)
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What the console is asked.

    Attributes:
        path: Of the request.
        content: The JSON object of a POST; None asks with GET.
        shown: How the answer is shown: ``state``, ``playback``, ``faults``, ``note``, ``clients`` or ``disconnect``.
    """

    path: str
    content: dict[str, Any] | None
    shown: str


def call_for(asked: Asked, state: dict[str, Any]) -> Call:
    """Return what the console is asked.

    Args:
        asked: What stands on the command line.
        state: The console's, to which moments are tied.

    Raises:
        UsageError: That cannot be asked.
    """
    _check(asked)
    verb, values = asked.verb, asked.values
    match verb:
        case "state":
            return Call("/api/state", None, "state")
        case "clients":
            return Call("/api/clients", None, "clients")
        case "disconnect":
            return Call(f"/api/clients/{_count(_one(asked))}/disconnect", {}, "disconnect")
        case "faults":
            faults = [] if values == ["none"] else values
            return Call("/api/faults", {"faults": faults} if values else None, "faults")
        case "note":
            place = {} if asked.at is None else {"at_ns": _elapsed_ns(asked.at, state)}
            return Call("/api/notes", {"text": _one(asked), **place}, "note")
    content = {} if asked.playback is None else {"playback": asked.playback}
    path = "/api/step" if verb == "back" else f"/api/{verb}"
    return Call(path, {**content, **_control(asked, state)}, "playback")


def _control(asked: Asked, state: dict[str, Any]) -> dict[str, Any]:
    values = asked.values
    match asked.verb:
        case "seek":
            places = {**asked.places, **({"to": values[0]} if len(values) == 1 else {})}
            if len(places) != 1 or len(values) > 1:
                raise UsageError(
                    f"a seek leads to one place, found {len(places) if len(values) < 2 else len(values)}",
                    hint="give a moment such as 1m30s, or one of --by, --seq, --match and --note",
                )
            return places
        case "step":
            return {"events": _count(values[0]) if values else 1}
        case "back":
            return {"events": -_count(values[0]) if values else -1}
        case "burst":
            return {"events": _count(_one(asked))}
        case "speed":
            return {"speed": _speed(_one(asked))}
        case "loop" if values == ["off"]:
            return {"off": True}
        case "loop":
            if len(values) != 2:
                raise UsageError("a loop has two ends", hint='write "wsrec control loop 1m 1m30s", or "loop off"')
            return {"from_ns": _elapsed_ns(values[0], state), "to_ns": _elapsed_ns(values[1], state)}
    return {}


def _check(asked: Asked) -> None:
    if asked.verb not in VERBS:
        raise UsageError(f"there is no verb {asked.verb}", hint=f"use one of {', '.join(VERBS)}")
    most = {"seek": 1, "step": 1, "back": 1, "burst": 1, "speed": 1, "loop": 2, "note": 1, "disconnect": 1}
    if asked.verb != "faults" and len(asked.values) > most.get(asked.verb, 0):
        raise UsageError(
            f"{asked.verb} does not take {' '.join(asked.values)!r}",
            hint=f"{asked.verb}: {VERBS[asked.verb]}; quote what holds spaces",
        )
    stray = [name for name in asked.values if name.startswith("--")]
    if stray:
        raise UsageError(f"there is no option {stray[0]}", hint='"wsrec control --help" explains the options')
    if asked.places and asked.verb != "seek":
        raise UsageError(f"--{next(iter(asked.places))} is for seek", hint=f"{asked.verb}: {VERBS[asked.verb]}")
    if asked.at is not None and asked.verb != "note":
        raise UsageError("--at is for note", hint=f"{asked.verb}: {VERBS[asked.verb]}")


def _one(asked: Asked) -> str:
    if not asked.values:
        raise UsageError(f"{asked.verb} wants something more", hint=f"{asked.verb}: {VERBS[asked.verb]}")
    return asked.values[0]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10):
        raise UsageError(f"{text!r} is not a number of events or of a client", hint="write a whole number from 1")
    return int(text)


def _speed(text: str) -> float | str:
    if text == "max":
        return text
    try:
        return float(text.removesuffix("x").removesuffix("×"))
    except ValueError:
        raise UsageError(f"{text!r} is not a speed", hint="write 2.5, or max") from None


def _elapsed_ns(text: str, state: dict[str, Any]) -> int:
    """Return a moment of the recording, ns since it began."""
    from datetime import datetime

    from wsrecorder.core.event import to_epoch_ns
    from wsrecorder.core.moment import resolve_moment

    began_ns = to_epoch_ns(datetime.fromisoformat(state["began_at"]))
    return resolve_moment(text, start_ns=began_ns, length_ns=state["last_event"]["elapsed_ns"])
