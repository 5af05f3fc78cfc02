"""``python -m torture``: put wsrec through all of it, print what came out, exit 1 where a promise was broken."""

from __future__ import annotations

import argparse
import importlib
import math
import random
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from torture.finding import Finding, markdown
from torture.page import write_page

_PARTS: tuple[str, ...] = (
    "soak",
    "clients",
    "killed",
    "power",
    "feed",
    "disk",
    "clock",
)
"""The modules of this folder with a ``findings``, in the order in which they run."""


def main() -> int:
    """Run the parts; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="what everything is drawn from; repeat for more runs")
    parser.add_argument("--effort", type=_effort, default=1.0, help="share of the whole that is done, such as 0.05")
    parser.add_argument("--only", action="append", choices=_PARTS, help="one part; repeatable")
    parser.add_argument("--keep", type=Path, help="folder of what was found: a part that is there is not run again")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md from what came out")
    arguments = parser.parse_args()
    runs: dict[int, list[Finding]] = {}
    for seed in arguments.seed or [random.SystemRandom().randrange(1_000_000)]:
        print(f"seed {seed}", flush=True)
        runs[seed] = []
        for name in arguments.only or _PARTS:
            runs[seed] += _kept(name, seed, arguments.effort, arguments.keep)
    print(markdown(runs))
    if arguments.write:
        write_page(runs)
    broken = [finding for findings in runs.values() for finding in findings if not finding.is_kept]
    for finding in broken:
        print(f"broken: {finding.promise}: {finding.figure}: {finding.detail}", file=sys.stderr)
    return bool(broken)


def _effort(text: str) -> float:
    """Return a share of the whole; each part does something, however little is asked for, so nothing is no share."""
    share = float(text)
    if not 0 < share < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no share of the whole: give more than 0, such as 0.05")
    return share


def _kept(name: str, seed: int, effort: float, folder: Path | None) -> list[Finding]:
    """Return what a part finds; from a folder, where an earlier run has put it."""
    if folder is None:
        return _findings(name, seed, effort)
    path = folder / f"{name}-{seed}-{effort:g}.json"
    if not path.exists():
        findings = _findings(name, seed, effort)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(findings))
    return msgspec.json.decode(path.read_bytes(), type=list[Finding])


def _findings(name: str, seed: int, effort: float) -> list[Finding]:
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"wsrec-torture-{name}-") as folder:
        findings: list[Finding] = importlib.import_module(f"torture.{name}").findings(seed, effort, Path(folder))
    for finding in findings:
        print(f"  {'kept  ' if finding.is_kept else 'BROKEN'} {finding.promise}: {finding.figure}", flush=True)
    print(f"  {name} took {time.monotonic() - began_s:.0f} s", flush=True)
    return findings


if __name__ == "__main__":
    sys.exit(main())
