"""Write real output into the pages: run the commands of their ``console`` blocks and put down what they print.

A block is fenced with ```` ```console ````; each line that begins with ``$`` is a command, and what follows it is
replaced. A page's commands run one after the other in a folder of their own, where ``./recordings`` holds the
sessions of `docs.example`. Blocks of other kinds are left alone.

Between ``<!-- views -->`` and ``<!-- end of views -->`` stands what the heads of the SQL views say, with their
examples.

A block fenced with ```` ```console live ```` shows what differs from run to run (times, ports, speeds): it is
rewritten too, but ``--check`` does not compare it.

    python -m docs.render            rewrite all pages
    python -m docs.render --check    change nothing, exit 1 if a page is not up to date
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from docs.example import make_library
from wsrecorder.analysis.views import VIEWS, View, view

PROJECT = Path(__file__).resolve().parents[1]
WIDTH = 110

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_VIEWS = re.compile(r"(?<=^<!-- views -->\n).*?(?=^<!-- end of views -->$)", re.MULTILINE | re.DOTALL)
_LIVE = re.compile(r"(?<=^```console live\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that have such blocks."""
    found = [*sorted((PROJECT / "docs").glob("*.md")), PROJECT / "README.md"]
    blocks = (_BLOCK, _LIVE)
    return [path for path in found if any(block.search(path.read_text(encoding="utf-8")) for block in blocks)]


def rendered(page: Path, *, live: bool = False) -> str:
    """Return the content of a page with what its commands print now, those of live blocks only if asked for."""
    content = page.read_text(encoding="utf-8")
    content = _VIEWS.sub(lambda _: "\n".join(_view_section(view(name)) for name in VIEWS), content)
    with tempfile.TemporaryDirectory(prefix="wsrec-docs-") as folder:
        make_library(Path(folder) / "recordings")
        for block in (_BLOCK, _LIVE) if live else (_BLOCK,):
            content = block.sub(lambda found: run_block(found[0], Path(folder)), content)
    return content


def _view_section(described: View) -> str:
    """Return a view's part of its page; what its example prints is put in with that of all others."""
    rows = "".join(f"| `{column.name}` | {column.type} | {column.meaning} |\n" for column in described.columns)
    return (
        f"### `{described.name}`\n\n{described.summary}\n\n| column | type | meaning |\n|---|---|---|\n{rows}\n"
        f'```console\n$ wsrec sql -s engine "\n>   {described.example}"\n```\n'
    )


def run_block(block: str, folder: Path) -> str:
    """Return a block with what its commands print now, run one after the other in a folder."""
    commands = re.findall(r"^\$ (.*(?:\n> .*)*)$", block, re.MULTILINE)
    return "".join(f"$ {command}\n{_run(command.replace(chr(10) + '> ', chr(10)), folder)}" for command in commands)


def _run(command: str, folder: Path) -> str:
    """Return what a command prints, as on a terminal: output and errors together."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSREC_")}
    environment |= {
        "COLUMNS": str(WIDTH),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}",
        "PYTHONPATH": str(PROJECT),
        "TZ": "UTC",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n" if done.stdout else ""


def main() -> int:
    """Render all pages."""
    parser = argparse.ArgumentParser(description="Write real output into the pages.")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if a page is not up to date")
    parser.add_argument("pages", nargs="*", type=Path, help="by default all that have console blocks")
    arguments = parser.parse_args()
    stale = []
    for page in arguments.pages or pages():
        content = rendered(page, live=not arguments.check)
        if content != page.read_text(encoding="utf-8"):
            stale.append(page.name)
            if not arguments.check:
                page.write_text(content, encoding="utf-8")
    sys.stderr.write("".join(f"{name} {'is not up to date' if arguments.check else 'rewritten'}\n" for name in stale))
    return int(arguments.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
