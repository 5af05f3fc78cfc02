"""Write real output into ``docs/object-storage.md`` and ``docs/scale.md``: run against SeaweedFS, started here.

    python -m docs.object_storage

Blocks fenced with ```` ```console stored ```` are rewritten; they differ from run to run, and no test compares them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docs.example import make_library
from docs.render import PROJECT, run_block
from tests.scale.weed import Weed, weed_program

PAGES = [PROJECT / "docs" / name for name in ("object-storage.md", "scale.md")]

_BLOCK = re.compile(r"(?<=^```console stored\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


@contextmanager
def _feed() -> Iterator[None]:
    """Run the simulated engine where the page says that a feed is."""
    feed = subprocess.Popen(
        [sys.executable, "-m", "wsrecorder", "simulate", "--port", "8400", "--rate", "500"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert feed.stderr is not None
        feed.stderr.readline()
        yield
    finally:
        feed.terminate()
        feed.communicate()


def main() -> int:
    """Render the pages."""
    program = weed_program()
    if program is None:
        sys.stderr.write('SeaweedFS ("weed") is not installed; "make scale" installs it\n')
        return 1
    for page in PAGES:
        with tempfile.TemporaryDirectory(prefix="wsrec-docs-") as name:
            page.write_text(_rendered(page, Path(name), program), encoding="utf-8")
    return 0


def _rendered(page: Path, folder: Path, program: str) -> str:
    """Return the content of a page with what its commands print now."""
    for made in ("weed", "work"):
        (folder / made).mkdir()
    make_library(folder / "work" / "recordings")
    with Weed(program, folder / "weed", bucket="market-data") as weed:
        os.environ.update(weed.environment() | {"XDG_STATE_HOME": str(folder / "state")})
        with _feed():
            content = _BLOCK.sub(lambda found: run_block(found[0], folder / "work"), page.read_text(encoding="utf-8"))
    return content.replace(str(folder / "state"), "/home/you/.local/state")


if __name__ == "__main__":
    sys.exit(main())
