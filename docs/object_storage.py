"""Write real output into ``docs/object-storage.md``: its commands run against SeaweedFS, which is started for them.

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

PAGE = PROJECT / "docs" / "object-storage.md"

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
    """Render the page."""
    program = weed_program()
    if program is None:
        sys.stderr.write('SeaweedFS ("weed") is not installed; "make scale" installs it\n')
        return 1
    with tempfile.TemporaryDirectory(prefix="wsrec-docs-") as name:
        folder = Path(name)
        for made in ("weed", "work"):
            (folder / made).mkdir()
        make_library(folder / "work" / "recordings")
        with Weed(program, folder / "weed", bucket="market-data") as weed:
            os.environ.update(weed.environment() | {"XDG_STATE_HOME": str(folder / "state")})
            with _feed():
                content = _BLOCK.sub(
                    lambda found: run_block(found[0], folder / "work"), PAGE.read_text(encoding="utf-8")
                )
    PAGE.write_text(content.replace(str(folder / "state"), "/home/you/.local/state"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
