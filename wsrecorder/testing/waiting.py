"""Waiting for something that a test expects, and what is said where it does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from wsrecorder.errors import WsrecError

__all__ = ["NotInTime", "in_time", "until"]

_Found = TypeVar("_Found")

_LOOK_S: Final = 0.002


class NotInTime(WsrecError, TimeoutError):
    """What a test waited for did not come."""


async def in_time(
    work: Awaitable[_Found], timeout_s: float, expected: str, found: Callable[[], str], hint: str
) -> _Found:
    """Return what comes of some work, if it comes in time.

    Args:
        work: The work; cancelled when the time is over.
        timeout_s: How long it may take, s.
        expected: What was waited for, for the message.
        found: Says what there is instead.
        hint: What to do about it.

    Raises:
        NotInTime: It did not come.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await work
    except TimeoutError as exc:
        if isinstance(exc, NotInTime):
            raise
        raise NotInTime(f"waited {timeout_s:g} s for {expected}; found {found()}", hint=hint) from None


async def until(is_so: Callable[[], object]) -> None:
    """Return when something is so of which nothing tells."""
    while not is_so():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(_LOOK_S)
