"""What holds for the project as a whole: names, docstrings, sizes, the lock, the documents."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "wsrecorder"
MODULES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = {"picows": "fast", "uvloop": "fast", "pyspark": "spark"}  # the extra that brings it
LOCKS = ["requirements.lock", "requirements-mitmproxy.lock"]
VAGUE = {"utils", "helpers", "manager", "handler", "base", "common", "misc"}
# In parts, so that this file passes its own test.
REGISTRY_HOSTS = [
    ".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("deb", "debian", "org"))
]
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "fixtures").rglob("*.md")])


def in_project(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def dotted(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defined_names(tree: ast.Module) -> set[str]:
    """The public names that a module itself makes at its top level; imports are somebody else's."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign():
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, without signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    assert function.end_lineno is not None
    return function.end_lineno - body[0].lineno + 1


def project_files() -> list[Path]:
    """Every file that is, or could be, under version control."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: clone the repository to run this test")
    return [path for name in listed.decode().split("\0") if name and (path := PROJECT / name).is_file()]


def requirements() -> dict[str, list[str]]:
    """Names of what pyproject.toml asks for, by group."""
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups = {
        "dependencies": data["project"]["dependencies"],
        **data["project"]["optional-dependencies"],
        **data["dependency-groups"],
    }
    return {group: [re.split(r"[\s<>=!~;\[]", line)[0] for line in lines] for group, lines in groups.items()}


@pytest.mark.parametrize("path", MODULES, ids=in_project)
def test_public_names_are_those_in_all(path: Path) -> None:
    try:
        module = importlib.import_module(dotted(path))
    except ModuleNotFoundError as missing:
        if missing.name not in OPTIONAL:
            raise
        pytest.skip(f"{missing.name} is not installed: pip install 'wsrecorder[{OPTIONAL[missing.name]}]'")
    listed = set(getattr(module, "__all__", ()))
    assert defined_names(ast.parse(path.read_text())) - listed == set(), "public, but not in __all__"
    assert {name for name in listed if not hasattr(module, name)} == set(), "in __all__, but not there"


@pytest.mark.parametrize("path", MODULES, ids=in_project)
def test_every_module_and_public_name_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text())
    public = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if ast.get_docstring(node) is None] == []
    assert ast.get_docstring(tree), "the module does not say what it is for"


@pytest.mark.parametrize("path", MODULES, ids=in_project)
def test_modules_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 350, "one concept a module: split it"
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {node.name: lines for node in functions if (lines := body_lines(node)) > 50} == {}


@pytest.mark.parametrize("path", MODULES, ids=in_project)
def test_module_names_say_what_they_are_about(path: Path) -> None:
    assert VAGUE.isdisjoint(re.split(r"[._]", dotted(path)))


def test_every_dependency_is_locked_and_explained() -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (PROJECT / "requirements.lock").read_text(), re.MULTILINE))
    page = (PROJECT / "docs/dependencies.md").read_text()
    explained = set(re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)) - {"package"}  # the tables' heading
    wanted = {name for names in requirements().values() for name in names}
    assert wanted - locked == set(), "run make lock"
    assert wanted - explained == set(), "say in docs/dependencies.md why it is there"
    assert explained - wanted == set(), "docs/dependencies.md explains what is no longer asked for"


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_place_to_fetch_from(lock: str) -> None:
    lines = (PROJECT / lock).read_text().splitlines()
    assert [line for line in lines if "://" in line or "file:" in line or line.startswith("-")] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_hash(lock: str) -> None:
    lines = (PROJECT / lock).read_text().splitlines()
    unhashed = [line for line, after in pairwise(lines) if "==" in line and "--hash=" not in after]
    assert unhashed == []


def test_project_names_no_package_registry() -> None:
    found = []
    for path in project_files():
        content = path.read_bytes()
        found += [(in_project(path), host) for host in REGISTRY_HOSTS if host.encode() in content]
    assert found == []


@pytest.mark.docs
@pytest.mark.parametrize("path", DOCUMENTS, ids=in_project)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (path.parent / target).exists()] == []
