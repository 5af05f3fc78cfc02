"""The example project's own tests, run as its README says."""

from __future__ import annotations

import shutil

import pytest

from tests.testing.projects import PROJECT


def test_the_example_passes_its_own_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    shutil.copytree(PROJECT / "examples" / "testing", pytester.path, dirs_exist_ok=True)
    result = pytester.runpytest_subprocess(
        "-p", "wsrecorder.testing", "-p", "no:cacheprovider", "-W", "error", "--wsrec-mode", "none"
    )
    result.assert_outcomes(passed=5)
