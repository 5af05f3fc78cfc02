"""Which cassettes a test has, and in which mode: by the command line, its markers, or the ini file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay_arguments import one_of
from wsrecorder.testing.cassettes import CassetteMode, Cassettes, cassette_name

__all__ = ["cassettes_of"]


def cassettes_of(node: pytest.Item, options: Mapping[str, Any], make_folder: Callable[[], Path]) -> Cassettes:
    """Return the cassettes of a test.

    Args:
        node: The test.
        options: What holds unless a marker says otherwise.
        make_folder: Makes a new folder for what is passed through.
    """
    merged: dict[str, Any] = {}
    for mark in node.iter_markers("wsrec_record"):
        merged = {**mark.kwargs, **merged}
    config = node.config
    marked = merged.pop("mode", None)
    word = config.getoption("--wsrec-mode") or marked or config.getini("wsrec_mode") or CassetteMode.ONCE
    try:
        mode = one_of(CassetteMode, word, "the mode of ws_record")
    except UsageError as exc:
        refusal = str(exc)
    else:
        folder = node.path.parent / config.getini("wsrec_cassettes") / node.path.stem
        rerun = f"pytest {node.nodeid!r}" if "[" in node.nodeid else f"pytest {node.nodeid}"
        return Cassettes(folder, cassette_name(_test_name(node)), mode, make_folder, {**options, **merged}, rerun)
    pytest.fail(refusal, pytrace=False)


def _test_name(node: pytest.Item) -> str:
    """Return the name of a test within its file: ``TestClass.test_method[param]``."""
    names = [each.name for each in node.iter_parents() if isinstance(each, pytest.Class)]
    return ".".join([*reversed(names), node.name])
