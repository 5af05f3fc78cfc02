"""describe and check: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.example import add_session
from wsrecorder.cli import main


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where ./recordings is the library and holds a session."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    add_session(tmp_path / "recordings", messages=400)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def write(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document))
    return path.name


def test_the_document_goes_to_stdout_or_into_a_file(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "describe", "latest")[0]
    assert json.loads(printed)["asyncapi"] == "3.0.0"
    out, err = run(capsys, "describe", "latest", "-o", "a.json")
    assert (out, (library / "a.json").read_text()) == ("", printed)
    assert "messages, AsyncAPI 3.0" in err


def test_a_yaml_file_holds_json_and_that_is_said(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = run(capsys, "describe", "latest", "-o", "a.yaml")[1]
    assert "JSON, which is YAML 1.2" in err
    assert json.loads((library / "a.yaml").read_text())["asyncapi"] == "3.0.0"


def test_types_and_examples_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "describe", "latest", "--types", "SIGNAL", "--examples", "2")[0]
    [message] = json.loads(printed)["components"]["messages"].values()
    assert (message["name"], len(message["examples"])) == ("SIGNAL", 2)
    assert '"examples"' not in run(capsys, "describe", "latest", "--examples", "0")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "a.txt"], "neither .json nor .yaml"),
        (["-o", "there.json"], "is there already"),
        (["-o", "none/a.json"], "no folder"),
        (["--examples", "-1"], "examples"),
    ],
)
def test_a_place_that_it_cannot_go_to_ends_with_2(
    arguments: list[str], said: str, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(library / "there.json", 1)
    assert said in run(capsys, "describe", "latest", *arguments, code=2)[1]
    assert (library / "there.json").read_text() == "1"
    run(capsys, "describe", "latest", "-o", "there.json", "--overwrite")


def test_a_session_that_keeps_to_its_description_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "describe", "latest", "-o", "a.json")
    out, err = run(capsys, "check", "latest", "a.json", "--strict")
    assert "valid 400  broken 0  unknown type 0  not JSON 0" in out
    assert "checked as null" in err
    assert json.loads(run(capsys, "check", "latest", "a.json", "--json")[0])["valid"] == 400


def test_what_breaks_a_document_is_listed_and_ends_with_1(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"properties": {"data": {"properties": {"latencyMs": {"type": "string"}, "state": {"type": "null"}}}}}
    name = write(library / "s.json", {"HEARTBEAT": schema, "ENGINE_UPDATE": schema})
    out, err = run(capsys, "check", "latest", name, "--limit", "1", code=1)
    assert 'is not of type "' in out
    assert "1 more finding; --limit shows more" in err
    assert "of unknown type" in out
    found = json.loads(run(capsys, "check", "latest", name, "--json", code=1)[0])
    assert {(each["type"], each["path"]) for each in found["findings"]} == {
        ("HEARTBEAT", "data.latencyMs"), ("ENGINE_UPDATE", "data.state")
    }  # fmt: skip
    assert found["valid"] + found["broken"] + sum(found["unknown"].values()) == found["messages"] == 400


def test_unknown_types_end_with_1_only_if_strict(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write(library / "s.json", {"HEARTBEAT": True})
    run(capsys, "check", "latest", name)
    run(capsys, "check", "latest", name, "--strict", code=1)


def test_a_payload_as_a_whole_has_a_name(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "(payload)" in run(capsys, "check", "latest", write(library / "s.json", {"type": "array"}), code=1)[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is no JSON"), ("[]", "an array, expected an object"), ('{"type": "strng"}', "#/type: ")],
)
def test_a_wrong_document_ends_with_2(
    content: str, said: str, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (library / "s.json").write_text(content)
    err = run(capsys, "check", "latest", "s.json", code=2)[1]
    assert said in err
    assert "hint: " in err
    assert "cannot read" in run(capsys, "check", "latest", "none.json", code=2)[1]
