"""Nothing in the package runs what it reads: no pickle, no eval, no shell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wsrecorder"
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "code", "codeop"}
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
CALLS = {"os.system", "os.popen", "os.spawnl", "os.spawnv", "os.execv", "os.execvp", "yaml.load", "pickle.loads"}
ALLOWS_PICKLE = {"allow_pickle", "shell"}


def dangers(source: str) -> list[str]:
    """What of a source runs, or could run, what it was handed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names if name.name.partition(".")[0] in MODULES]
            case ast.ImportFrom(module=str() as module) if module.partition(".")[0] in MODULES:
                found.append(module)
            case ast.Call(func=ast.Name(id=name)) if name in BUILTINS:
                found.append(name)
            case ast.Call(func=ast.Attribute() as called) if ast.unparse(called) in CALLS:
                found.append(ast.unparse(called))
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ALLOWS_PICKLE and not is_false:
                    found.append(f"{keyword.arg}=")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_runs_what_it_reads(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "import shelve",
        "eval('1')",
        "exec(text)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "yaml.load(text)",
        "np.load(path, allow_pickle=True)",
        "__import__(name)",
    ],
)
def test_the_test_knows_what_is_dangerous(source: str) -> None:
    assert dangers(source)
