"""Projects of others, with tests that use the plugin, run as their owners would run them."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SESSION = PROJECT / "fixtures" / "20261124T060000Z-parquet-v1"


# Plugins of ours that no test here is about: they take three quarters of the time until the first test.
_WITHOUT = ("-p", "no:nbmake", "-p", "no:hypothesispytest")


class Project:
    """A project with a session under ``fixtures/feed``.

    Attributes:
        folder: Its root.
    """

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self.setenv = monkeypatch.setenv
        self.folder = pytester.path
        (self.folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
        (self.folder / "fixtures").mkdir()
        (self.folder / "fixtures" / "feed").symlink_to(SESSION)

    def write(self, **files: str) -> None:
        """Write test files."""
        self._pytester.makepyfile(**files)

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run its tests in a process of their own, where every warning is an error."""
        return self._pytester.runpytest_subprocess(
            "-p", "wsrecorder.testing", "-p", "no:cacheprovider", *_WITHOUT, "-W", "error", "--strict-markers",
            *arguments,
        )  # fmt: skip

    def passes(self, passed: int, *arguments: str) -> pytest.RunResult:
        """Run its tests, all of which pass."""
        result = self.run(*arguments)
        result.assert_outcomes(passed=passed)
        return result

    def says(self, result: pytest.RunResult, *parts: str) -> None:
        """Check that all of these stand in what was printed."""
        printed = "\n".join(result.outlines)
        assert [part for part in parts if part not in printed] == [], printed
