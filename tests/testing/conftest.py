from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testing.projects import PROJECT, Project
from tests.testing.servers import RealServer


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return Project(pytester, monkeypatch)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealServer]:
    """A server whose URL the project finds in its environment."""
    server = RealServer()
    monkeypatch.setenv("REAL_URL", server.url)
    yield server
    server.close()
