"""Settings: defaults < wsrec.toml < environment < flags (which the command line lays over these)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wsrecorder.errors import UsageError
from wsrecorder.settings import SETTINGS_NAME, read_settings

COMMANDS = {
    "record": {"library": False, "stall": False, "max_frame": False, "subprotocol": True, "sync": False},
    "ls": {"library": False, "json": False},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / SETTINGS_NAME


def settings(path: Path, content: str = "", environment: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    if content:
        path.write_text(content)
    return read_settings(path, environment or {}, COMMANDS)


def test_without_a_file_nothing_is_set(path: Path) -> None:
    assert settings(path) == {"record": {}, "ls": {}}


def test_a_table_sets_the_options_of_its_command(path: Path) -> None:
    found = settings(path, '[record]\nstall = "60s"\nmax-frame = "1MiB"\nsubprotocol = ["a", "b"]\nsync = false\n')
    assert found == {
        "record": {"stall": "60s", "max_frame": "1MiB", "subprotocol": ["a", "b"], "sync": False},
        "ls": {},
    }


def test_a_shared_option_reaches_every_command_that_has_it(path: Path) -> None:
    assert settings(path, 'library = "x"\njson = true\n') == {
        "record": {"library": "x"},
        "ls": {"library": "x", "json": True},
    }


def test_a_table_wins_over_what_is_shared(path: Path) -> None:
    found = settings(path, 'library = "shared"\n[ls]\nlibrary = "own"\n')
    assert (found["record"]["library"], found["ls"]["library"]) == ("shared", "own")


def test_the_environment_wins_over_the_file(path: Path) -> None:
    found = settings(path, '[record]\nstall = "60s"\n', {"WSREC_RECORD_STALL": "5s", "WSREC_RECORD_MAX_FRAME": "9"})
    assert found["record"] == {"stall": "5s", "max_frame": "9"}


def test_several_values_stand_a_line_each_in_the_environment(path: Path) -> None:
    found = settings(path, environment={"WSREC_RECORD_SUBPROTOCOL": "a\nb c"})
    assert found["record"] == {"subprotocol": ["a", "b c"]}


def test_other_variables_are_nobodys_business(path: Path) -> None:
    assert settings(path, environment={"WSREC_RECORD_NONSENSE": "x", "RECORD_STALL": "5s"})["record"] == {}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[recrod]\n", "recrod"),
        ('[record]\nstal = "1s"\n', "stal"),
        ('libary = "x"\n', "libary"),
        ('stall = "x"\n[ls]\nstall = "x"\n', "stall"),
        ("= 1", "cannot read"),
        ("a = 1\na = 2\n", "cannot read"),
    ],
)
def test_what_nobody_knows_is_refused(path: Path, content: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as error:
        settings(path, content)
    assert str(path) in error.value.message


def test_a_file_that_cannot_be_read_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        settings(path)
    path.rmdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="cannot read"):
        settings(path)
