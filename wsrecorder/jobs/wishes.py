"""What a client with a playback of its own asks for in its URL."""

from __future__ import annotations

from urllib.parse import parse_qs

from wsrecorder.core.moment import parse_moment
from wsrecorder.core.playhead import parse_speed
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import ReplayOptions

__all__ = ["close_reason", "playback_name", "read_wishes", "session_key"]


def session_key(query: str) -> str | None:
    """Return the key of the session of viewing that a client joins: ``?session=KEY``; None if it names none."""
    keys = parse_qs(query).get("session")
    return keys[-1] if keys else None


def playback_name(query: str, number: int, *, is_shared: bool) -> str:
    """Return the name of the playback that a client sees, whether it is there or not.

    Args:
        query: Of the client's URL.
        number: The client's.
        is_shared: Whether those that name no session share one playback.
    """
    key = session_key(query)
    if key is not None:
        return f"session {key}"
    return "shared" if is_shared else f"client {number}"


def read_wishes(
    query: str, options: ReplayOptions, programme: Programme
) -> tuple[float, int, int | None, frozenset[str] | None]:
    """Return what a client asks for in its URL: ``?speed=&from=&to=&types=``."""
    wishes = {key: values[-1] for key, values in parse_qs(query).items()}
    speed = parse_speed(wishes["speed"]) if "speed" in wishes else options.speed
    start = parse_moment(wishes["from"]) if "from" in wishes else options.start
    end = parse_moment(wishes["to"]) if "to" in wishes else options.end
    types = frozenset(wishes["types"].split(",")) if "types" in wishes else options.types
    programme.check_types(types)
    return speed, *programme.window(start, end), types


def close_reason(text: str) -> str:
    """Return as much of a text as fits into a close frame: 123 bytes (RFC 6455, section 5.5)."""
    return text.encode()[:123].decode(errors="ignore")
