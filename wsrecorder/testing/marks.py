"""What ``@pytest.mark.wsrec`` says, on a test, its class and its module together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["sessions_and_options"]


def sessions_and_options(node: pytest.Item) -> tuple[tuple[str | Path, ...], dict[str, Any]]:
    """Return which sessions a test is served, and how.

    The closest marker that names sessions says which; each option is that of the closest marker that has it.
    """
    sessions: tuple[str | Path, ...] = ()
    options: dict[str, Any] = {}
    for mark in node.iter_markers("wsrec"):
        sessions = sessions or mark.args
        options = {**mark.kwargs, **options}
    if not sessions:
        pytest.fail(
            "ws_replay was asked for, and no session is named\n"
            'mark the test, its class or its module: @pytest.mark.wsrec("fixtures/x")',
            pytrace=False,
        )
    return sessions, options
