"""What every test may ask for: the real captures, and how hard hypothesis searches."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]  # for tests/testing; pytest takes it from the topmost conftest alone

PROJECT = Path(__file__).parents[1]

# "ci" finds the same examples each time, so that a red run is the change's doing and can be had again; new ones are
# for a developer's machine ("dev") and for an idle hour (HYPOTHESIS_PROFILE=long). No deadlines: machines are shared.
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("dev", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real cryptofeed captures; they are not part of the project."""
    folder = Path(os.environ.get("WSREC_CAPTURES") or PROJECT / "../shared/captures").resolve()
    if not any(folder.glob("*.ws.*")):
        pytest.skip(f"no captures (*.ws.*) in {folder}: set WSREC_CAPTURES to the folder that holds them")
    return folder


@pytest.fixture(autouse=True)
def log_is_as_imported() -> Iterator[None]:
    """Undo what a command does to the program's log: no later test is to write to the stderr of this one."""
    yield
    for name in ("wsrecorder", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
