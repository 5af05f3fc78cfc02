"""``python -m benchmarks``: measure, print the table, write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from benchmarks import (
    analysing,
    console,
    controlling,
    converting,
    jetstream,
    many_endpoints,
    many_sessions,
    objects,
    recording,
    replaying,
    tapping,
    ten_feeds,
)
from benchmarks.figure import Figure, markdown

_PARTS = (recording, replaying, controlling, tapping, converting, analysing, console)
_PARTS_ON_ENGINES: tuple[ModuleType, ...] = (objects, jetstream, many_endpoints, ten_feeds, many_sessions)
_PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_SCALE_PAGE = _PAGE.with_name("scale.md")
_SCALE_FIGURES = re.compile(r"(?<=^<!-- figures -->\n).*?(?=^<!-- end of figures -->$)", re.MULTILINE | re.DOTALL)

_TEXT = """# Benchmarks

Each figure stands beside its peer, measured in the same run: machines differ and are noisy, ratios last longer.
Payloads are those of the simulated engine, {mean:.0f} bytes on average. Run it yourself: `make bench`.

{table}

Measured on {machine} with {versions}.

- **record**: a raw server in a process of its own blasts ready-made frames; `wsrec record` runs as its user would run
  it, until the session is sealed. The 15-line script is in `benchmarks/peers.py`: websockets, JSON lines into a file,
  no sync.
- **memory**: resident set, ten samples a second.
- **replay**: `wsrec replay --speed max` from Parquet to raw sockets that look at nothing; from the first byte to the
  last.
- **controls**: through HTTP, as the page does it. A seek is timed from the request to the first byte at the client; it
  is paused, and told the state of the place first (`--prime last`). Runs with and without the console take turns.
- **tap**: the blast goes to a raw socket that looks at nothing, through the proxy and without it; for latency the same
  paced frame goes to two clients at once, one of them through the tap. `mitmdump` is taken from the path, or from
  `WSREC_MITMDUMP`.
- **import, export**: a session of {converted:g} M events to a file and back into a sealed session, each in a process of
  its own. The peer of an export writes the payloads and times of a part of it, that of an import parses the file and
  keeps nothing.
- **questions**: to a session of {long:g} M events of the simulated engine, 1,000 a second, in an open connection, the
  best of a few; what is timed from start to exit includes Python and its imports. Counting by type is DuckDB's own
  work, as fast as without wsrec: where the row misses its target, so does DuckDB on that machine at that moment.
- **events**: every event as a Python object, in a process of its own, decoded: into typed Structs.
- **lateness**: when a frame came, against an even pace that the most punctual frame of the run sets.
- **control page**: `wsrec open` as its user would open it, in headless Chromium, 1280 × 720; its table is scrolled from
  the first row to the last, a piece a frame, beside an empty element of the same height. Not measured where Chromium is
  missing.
"""


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in ("wsrecorder", "websockets", "picows", "uvloop", "pyarrow", "msgspec", "duckdb", "polars"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed: its figures are left out")
    return ", ".join(found)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models) or 'some'} × {models[0] if models else platform.processor()}, {platform.system()}"


def with_figures(page: str, figures: list[Figure], machine: str) -> str:
    """Return the page on scale with these figures instead of those that stand there.

    Raises:
        ValueError: The page has no place for them.
    """
    put, places = _SCALE_FIGURES.subn(lambda _: f"{markdown(figures)}\n\nMeasured on {machine}.\n", page)
    if places != 1:
        raise ValueError(f"found {places} places for figures, expected one, between <!-- figures --> and its end")
    return put


def main() -> int:
    """Measure and write; return 0 whatever came out, for a figure is no test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="print the table and leave the page alone")
    parser.add_argument("--scale", action="store_true", help="measure on object storage, JetStream and Spark instead")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="wsrec-bench-") as name:
        folder = Path(name)
        for module in _PARTS_ON_ENGINES if arguments.scale else _PARTS:
            figures += module.figures(folder)
            print(markdown(figures), flush=True)
    if arguments.dry_run:
        return 0
    if arguments.scale:
        _SCALE_PAGE.write_text(with_figures(_SCALE_PAGE.read_text(), figures, _machine()))
        return 0
    page = _TEXT.format(
        mean=recording.mean_payload_bytes(),
        long=analysing.MESSAGES / 1e6,
        converted=converting.MESSAGES / 1e6,
        table=markdown(figures),
        machine=_machine(),
        versions=_versions(),
    )
    _PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
