"""The program as a whole: help, version, settings, exit codes, and how it loads its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from docs.example import TUESDAY, add_session
from wsrecorder.cli import main
from wsrecorder.cli.app import _COMMANDS


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("WSREC_"):
            monkeypatch.delenv(name)
    return tmp_path / "recordings"


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "wsrecorder", *arguments], capture_output=True, text=True, check=False)


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"wsrec {version('wsrecorder')}\n"


def test_alone_it_shows_the_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: ")
    assert "\n  record  " in err
    assert "error:" not in err


def test_a_word_that_is_no_choice_is_told_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "latest", "--at-end", "foo"]) == 2
    error = capsys.readouterr().err.splitlines()[0]
    assert error == "error: Invalid value for '--at-end': 'foo' is not one of 'stay', 'close', 'exit', 'loop'."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["cat", "latest"], ["cat", "latest", "--json"], ["ls"], ["info", "latest"]])
def test_output_that_does_not_fit_is_told_in_a_line(library: Path, arguments: list[str]) -> None:
    add_session(library, messages=200)
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "wsrecorder", *arguments]
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 4
    assert process.stderr.splitlines()[0] == "error: cannot write to standard output: No space left on device"
    assert len(process.stderr.splitlines()) == 2


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in (name for commands in _COMMANDS.values() for name in commands):
        assert f"\n  {command} " in out
    assert "wsrec.toml" in out
    assert "Exit codes: 0 done" in out


def test_a_module_holds_the_commands_it_is_listed_with() -> None:
    for module, commands in _COMMANDS.items():
        script = (
            f"import wsrecorder.cli.{module}; from wsrecorder.cli.app import app;"
            "print([command.name or command.callback.__name__ for command in app.registered_commands])"
        )
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert set(commands) <= set(eval(process.stdout)), module


def test_one_command_loads_no_other() -> None:
    script = (
        "import sys; from wsrecorder.cli import main; main(['ls']);"
        "print(sorted(name for name in sys.modules if name in ('wsrecorder.cli.record', 'duckdb', 'polars')))"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["ls", "--nonsense"], ["info"]])
def test_wrong_arguments_exit_2_with_a_hint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "--help" in hint


def test_it_runs_as_a_module() -> None:
    process = program("ls")
    assert (process.returncode, process.stdout) == (0, "")
    assert program("info", "latest").returncode == 4
    assert program("nonsense").returncode == 2


def test_a_shell_can_complete_names() -> None:
    environment = {**os.environ, "_WSREC_COMPLETE": "complete_bash", "COMP_WORDS": "wsrec ver", "COMP_CWORD": "1"}
    process = subprocess.run(
        [Path(sys.executable).with_name("wsrec")], capture_output=True, text=True, check=False, env=environment
    )
    assert process.stdout.split() == ["verify"]


# ------------------------------------------------------------------------------------------------ settings


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["ls", *arguments]) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]


def test_a_flag_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("recordings", "file", "environment", "flag"):
        add_session(tmp_path / name, name, messages=20)
    assert listed(capsys) == ["20261123T191500Z-recordings"]
    Path("wsrec.toml").write_text('library = "file"\n')
    assert listed(capsys) == ["20261123T191500Z-file"]
    monkeypatch.setenv("WSREC_LIBRARY", "environment")
    assert listed(capsys) == ["20261123T191500Z-environment"]
    assert listed(capsys, "--library", "flag") == ["20261123T191500Z-flag"]


def test_options_of_a_command_are_set_by_their_long_names(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_session(library, messages=200)
    assert main(["cat", "engine", "--from", "1s", "--types", "SIGNAL,SCAN_RESULT", "--json"]) == 0
    expected = capsys.readouterr().out
    assert expected
    Path("wsrec.toml").write_text('[cat]\nfrom = "1s"\ntypes = ["SIGNAL", "SCAN_RESULT"]\njson = true\n')
    assert main(["cat", "engine"]) == 0
    assert capsys.readouterr().out == expected
    Path("wsrec.toml").unlink()
    monkeypatch.setenv("WSREC_CAT_FROM", "1s")
    monkeypatch.setenv("WSREC_CAT_TYPES", "SIGNAL\nSCAN_RESULT")
    monkeypatch.setenv("WSREC_CAT_JSON", "1")
    assert main(["cat", "engine"]) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("content", ["[cat]\nform = 1", "[dog]", "librari = 1", "not TOML"])
def test_a_wrong_settings_file_is_told(content: str, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "two", TUESDAY, 20)
    Path("wsrec.toml").write_text(content)
    assert main(["ls"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "wsrec.toml" in error
    assert hint.startswith("hint: ")
