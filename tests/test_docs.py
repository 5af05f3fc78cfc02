"""The documents hold what they say: help, pages, links, options, and output that is real."""

from __future__ import annotations

import doctest
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import wsrecorder
from docs.example import make_library
from docs.render import pages, rendered
from wsrecorder.analysis.session import Session, SessionInfo
from wsrecorder.cli.app import _COMMANDS, _load_commands, app

pytestmark = pytest.mark.docs

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [*sorted((PROJECT / "docs").glob("*.md")), *PROJECT.glob("*.md"), *PROJECT.glob("fixtures/*.md")]
NAMES = [name for commands in _COMMANDS.values() for name in commands]


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    _load_commands([])
    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_command_has_help_with_an_example(name: str, commands: dict[str, Any]) -> None:
    command = commands[name]
    assert command.help
    assert command.epilog.startswith("Example: wsrec ")
    assert list(shlex.split(command.epilog))[1:3] == ["wsrec", name]
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_has_a_place_in_the_documents(name: str) -> None:
    headings = [
        line
        for path in (PROJECT / "docs").glob("*.md")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("#")
    ]
    plain = {"import": "## Import", "export": "## Export"}.get(name)
    assert any(f"wsrec {name}" in line or line == plain for line in headings)


def example_lines(path: Path) -> Iterator[str]:
    """Yield the commands of a document's blocks of code."""
    for block in re.findall(r"^```(?:bash|console|sh)?\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.splitlines():
            if re.match(r"(\$ )?wsrec \w", line):
                yield line.removeprefix("$ ")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_use_options_that_exist(path: Path, commands: dict[str, Any]) -> None:
    for line in example_lines(path):
        words = re.split(r"[|;#]", line)[0].replace("'", '"').split('"')[::2]  # what is in quotes is a value
        name, *rest = " ".join(words).split()[1:]
        assert name in commands, line
        known = {
            option for parameter in commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert used <= known | {"--help", "-h"}, line


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        page = path.parent / file if file else path
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_output_in_the_documents_is_real(page: Path) -> None:
    assert rendered(page) == page.read_text(encoding="utf-8"), "python -m docs.render writes it anew"


def test_python_examples_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_library(tmp_path / "recordings")
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(PROJECT / "docs/python.md"), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0


def test_python_names_have_their_place() -> None:
    text = (PROJECT / "docs/python.md").read_text(encoding="utf-8")
    for name in (*wsrecorder.__all__, *(f"session.{name}" for name in vars(Session) if not name.startswith("_"))):
        if name not in ("__version__", "session.select", "session.store", "session.path"):
            assert name.rpartition(".")[2] in text, name


def test_public_names_say_what_they_are() -> None:
    for name in wsrecorder.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(wsrecorder, name)), name
    for name, member in vars(Session).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), name


def test_info_lists_every_fact_in_its_page() -> None:
    text = (PROJECT / "docs/sessions.md").read_text(encoding="utf-8")
    assert [name for name in SessionInfo.__struct_fields__ if f"`{name}`" not in text] == []
