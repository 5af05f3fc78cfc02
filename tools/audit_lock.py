"""Asks a vulnerability database about every locked package: ``python -m tools.audit_lock``, part of ``make check``.

The database is OSV (https://osv.dev), which holds the Python Packaging Advisory Database among others: one request
tells which packages it knows something about, one more for each advisory tells what
(https://google.github.io/osv.dev/api/).
Without a network there is nothing to ask, which is said in one line and is no failure.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

__all__ = ["Advisory", "Unreachable", "ask", "locked", "main"]

_PROJECT: Final = Path(__file__).parents[1]
_LOCKS: Final = (_PROJECT / "requirements.lock", _PROJECT / "requirements-mitmproxy.lock")
_SERVICE: Final = "https://api.osv.dev"
_TIMEOUT_S: Final = 10.0
_MOST_QUERIES: Final = 1_000
"""As many as the service takes in one request."""


class Unreachable(Exception):
    """The service does not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """What is known against a package.

    Attributes:
        package: Its name.
        version: The locked version.
        id: Of the advisory.
        summary: What it says.
        fixed: Versions that mend it; empty where none does.
    """

    package: str
    version: str
    id: str
    summary: str
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a line."""
        mended = f"mended in {', '.join(self.fixed)}" if self.fixed else "not mended yet"
        return f"{self.package} {self.version}: {self.id} {self.summary} ({mended})".replace("  ", " ")


def locked(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Return names and versions of the packages in lock files, each once.

    Raises:
        ValueError: A file locks nothing.
    """
    found: dict[tuple[str, str], None] = {}
    for path in paths:
        pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.M)
        if not pins:
            raise ValueError(f"{path} locks no package")
        found.update(dict.fromkeys(pins))
    return sorted(found)


def ask(packages: Sequence[tuple[str, str]], service: str) -> list[Advisory]:
    """Return what a service knows against packages; what was withdrawn is left out.

    Args:
        packages: Names and versions.
        service: Its address.

    Raises:
        Unreachable: It does not answer, or not as it should.
    """
    advisories = []
    for start in range(0, len(packages), _MOST_QUERIES):
        part = packages[start : start + _MOST_QUERIES]
        queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in part]
        results = _request(f"{service}/v1/querybatch", {"queries": queries}).get("results")
        if not isinstance(results, list) or len(results) != len(part):
            raise Unreachable("the answer does not fit the question")
        for (name, version), result in zip(part, results, strict=True):
            for vulnerability in (result or {}).get("vulns", ()):
                told = _told(service, vulnerability["id"])
                if "withdrawn" not in told:
                    advisories.append(_advisory(name, version, told))
    return advisories


def _told(service: str, advisory: str) -> dict[str, Any]:
    try:
        return _request(f"{service}/v1/vulns/{advisory}")
    except Unreachable:
        return {"id": advisory}  # that there is one counts, whether or not it says what


def _request(url: str, question: Any = None) -> dict[str, Any]:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            answer = json.load(response)
    except urllib.error.URLError as exc:
        raise Unreachable(str(exc.reason)) from exc
    except (OSError, HTTPException, ValueError) as exc:
        raise Unreachable(str(exc) or type(exc).__name__) from exc
    if not isinstance(answer, dict):
        raise Unreachable("the answer is no object")
    return answer


def _advisory(name: str, version: str, told: dict[str, Any]) -> Advisory:
    fixed = {
        event["fixed"]
        for affected in told.get("affected", ())
        if _plain(affected.get("package", {}).get("name", "")) == _plain(name)
        for span in affected.get("ranges", ())
        if span.get("type") != "GIT"  # a commit tells nobody which version to take
        for event in span.get("events", ())
        if "fixed" in event
    }
    return Advisory(name, version, told.get("id", ""), told.get("summary", ""), tuple(sorted(fixed)))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print what came of it; return 1 if something is known against a locked package."""
    parser = argparse.ArgumentParser(prog="python -m tools.audit_lock", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("locks", nargs="*", type=Path, default=_LOCKS, help="lock files")
    parser.add_argument("--service", default=_SERVICE, help="address of the database")
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="advisory that does not count")
    options = parser.parse_args(arguments)
    packages = locked(options.locks)
    try:
        found = [each for each in ask(packages, options.service) if each.id not in options.ignore]
    except Unreachable as exc:
        print(f"audit: {options.service} cannot be asked about {len(packages)} locked packages: {exc}")
        return 0
    for advisory in found:
        print(advisory)
    print(f"audit: {len(packages)} locked packages, {len(found)} known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
