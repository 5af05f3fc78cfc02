"""Libraries in stores that do not speak S3: Azurite, and a stand-in for Google Cloud Storage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.example import MONDAY, add_session
from tests.cli.programs import run, wsrec
from tests.scale.azurite import Azurite
from tests.store.gcs_stand_in import GcsStandIn

pytestmark = [pytest.mark.scale, pytest.mark.timeout(180)]


@pytest.fixture(params=["az", "gs"])
def library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a library that holds nothing yet; programs can reach it."""
    monkeypatch.setenv("WSREC_SPOOL", str(tmp_path / "spool"))
    if request.param == "az":
        azurite: Azurite = request.getfixturevalue("azurite")
        for name, value in azurite.environment.items():
            monkeypatch.setenv(name, value)
        yield f"az://{azurite.container}/{tmp_path.name}"
        return
    with GcsStandIn() as server:
        monkeypatch.setenv("GOOGLE_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "test")
        yield "gs://desk/recordings"


async def test_a_recording_goes_there_and_is_sound(library: str, tmp_path: Path) -> None:
    async with wsrec("simulate", "--port", "0", "--rate", "1000", cwd=tmp_path) as feed:
        url = await feed.url()
        code, out, errors = await run(
            "record", url, "--library", library, "--name", "engine", "--duration", "4s", "--rotate", "1s", "--json",
            cwd=tmp_path,
        )  # fmt: skip
    recorded = json.loads(out)
    assert (code, recorded["error"]) == (0, None), errors

    code, out, errors = await run("verify", "latest", "--library", library, "--json", cwd=tmp_path)
    assert (code, json.loads(out)["findings"]) == (0, []), errors
    _, out, _ = await run("info", "latest", "--library", library, "--json", cwd=tmp_path)
    facts = json.loads(out)
    assert facts["events"] == recorded["events"]
    assert facts["segments"] >= 3
    assert list((tmp_path / "spool").iterdir()) == []


async def test_verbs_say_what_they_say_of_the_session_on_disk(library: str, tmp_path: Path) -> None:
    add_session(tmp_path / "recordings", "engine", MONDAY, 30)
    here = next((tmp_path / "recordings").glob("*-engine"))
    for place in (library, "copied"):
        code, _, errors = await run("trim", here, "--library", place, "--name", "engine", cwd=tmp_path)
        assert code == 0, errors
        code, _, errors = await run("note", "latest", "so", "--at", "1s", "--library", place, cwd=tmp_path)
        assert code == 0, errors

    for verb in (
        ("cat", "latest", "--json"), ("latency", "latest", "--json"), ("state", "latest"),
        ("sql", "from orders order by all"), ("sql", "select * from events order by seq"), ("verify", "latest"),
    ):  # fmt: skip
        there_said = await run(*verb, "--library", library, cwd=tmp_path)
        assert there_said == await run(*verb, "--library", "copied", cwd=tmp_path), verb

    code, out, errors = await run("prune", "--keep", "1m", "--library", library, cwd=tmp_path)
    assert (code, "removed 1 session" in out + errors) == (0, True), errors
    _, out, errors = await run("ls", "--library", library, "--json", cwd=tmp_path)
    assert out == "", errors


async def test_a_container_that_is_not_there_is_said_in_one_line(
    azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    code, _, errors = await run("sql", "from events", "--library", "az://nowhere/x", cwd=tmp_path)
    assert code == 4, errors
    assert errors.startswith("error: there is no bucket az://nowhere\n")
