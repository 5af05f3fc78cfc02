"""The examples for operators hold: the unit, the image, the alerts, what they say of wsrec."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.programs import wsrec
from tests.numbered_feed import NumberedFeed
from wsrecorder.jobs.metrics import METRICS, MetricKind

PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / "examples/operations"
UNIT = (FOLDER / "wsrec.service").read_text()
IMAGE = (FOLDER / "Dockerfile").read_text()
ALERTS = (FOLDER / "alerts.yml").read_text()
BALANCER = (FOLDER / "haproxy.cfg").read_text()


def options_of(command: str) -> set[str]:
    """The long options of a command."""
    run = [sys.executable, "-m", "wsrecorder", command, "--help"]
    text = subprocess.run(run, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    return set(re.findall(r"--[a-z-]+", text))


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / "wsrec.service"
    copy.write_text(UNIT.replace("/opt/wsrec/bin/wsrec", "/bin/true"))  # it must be there
    found = subprocess.run([analyze, "verify", copy], capture_output=True, text=True)
    said = [line for line in found.stderr.splitlines() if "wsrec.service" in line]
    assert (found.returncode, said) == (0, [])


@pytest.mark.parametrize(
    "line",
    ["DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "Restart=always", "KillSignal=SIGINT",
     "UMask=0077", "CapabilityBoundingSet="],
)  # fmt: skip
def test_the_unit_gives_no_more_than_it_takes(line: str) -> None:
    assert line in UNIT.splitlines()


def test_the_options_that_unit_and_image_use_are_there() -> None:
    start = next(line for line in UNIT.splitlines() if line.startswith("ExecStart="))
    before = next(line for line in UNIT.splitlines() if line.startswith("ExecStartPre="))
    assert set(re.findall(r"--[a-z-]+", start)) <= options_of("record")
    assert set(re.findall(r"--[a-z-]+", before)) <= options_of("recover")
    run = IMAGE.partition(" wsrec record ")[2].partition("\n\n")[0]
    assert {"--metrics", "--metrics-host"} <= set(re.findall(r"--[a-z-]+", run)) <= options_of("record")


def test_the_image_runs_as_nobody_in_particular_and_installs_what_is_locked() -> None:
    lines = IMAGE.splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER wsrec"]
    assert lines.index("USER wsrec") < lines.index('ENTRYPOINT ["wsrec"]')
    locked, own = re.findall(r"pip install (.+)", IMAGE)
    assert "--constraint requirements.lock" in locked
    assert "--no-deps --no-build-isolation ." in own
    for names in re.findall(r"^COPY (?!--from)(.+) \S+$", IMAGE, re.MULTILINE):
        assert all((PROJECT / name).exists() for name in names.split())


async def test_the_health_check_of_the_image_tells_who_is_up_from_who_is_not(tmp_path: Path) -> None:
    command = json.loads(IMAGE.partition("    CMD ")[2].splitlines()[0])

    def check(url: str) -> int:
        code = command[2].replace("http://127.0.0.1:9464", url)
        assert url in code
        return subprocess.run([sys.executable, *command[1:2], code], capture_output=True).returncode

    with NumberedFeed(10) as feed:
        async with wsrec("record", feed.url, "--metrics", "0", cwd=tmp_path) as program:
            url = (await program.says(r"metrics at (http://\S+)/metrics"))[1]
            await program.says("recording into")
            assert check(url) == 0
        assert check(url) != 0


def test_alerts_ask_for_metrics_and_labels_that_are_there() -> None:
    metrics = {metric.name + "_bucket" * (metric.kind is MetricKind.HISTOGRAM): metric.labels for metric in METRICS}
    rules = ALERTS.split("- alert: ")[1:]
    assert len(rules) >= 8
    for rule in rules:
        expression = re.findall(r"expr: (.+)", rule)[0]
        asked = set(re.findall(r"wsrec_\w+", expression))
        assert asked <= set(metrics), rule
        assert asked or "up{" in expression, rule
        every_label = {label for name in asked for label in metrics[name]}
        picked = {label for inner in re.findall(r"\{(.*?)\}", expression) for label in re.findall(r"(\w+)[=!]", inner)}
        summed = {label for inner in re.findall(r" by \((.*?)\)", expression) for label in inner.split(", ")}
        scraped_with = {"instance", "job", "command"}
        assert picked <= every_label | scraped_with, rule
        assert summed <= every_label | scraped_with | {"le"}, rule
        shown = {*re.findall(r"\$labels\.(\w+)", rule)}
        assert all(shown <= {*metrics[name]} | scraped_with for name in asked), rule
        if summed:
            assert shown <= summed, rule
        assert ("_bucket" in expression) == ("histogram_quantile" in expression), rule
        assert "severity:" in rule
        assert "summary:" in rule


def test_a_disk_that_fills_up_is_told_before_the_log_warns_and_the_recording_ends() -> None:
    [expression] = re.findall(r"alert: WsrecDiskFillsUp\n +expr: (.+)", ALERTS)
    [times] = re.findall(r"^wsrec_free_bytes < (\d+) \* wsrec_min_free_bytes ", expression)
    assert int(times) > 2  # the log warns at twice what must be free


def test_a_gap_is_told_as_it_begins() -> None:
    [rule] = [rule for rule in ALERTS.split("- alert: ") if rule.startswith("WsrecGapOpen\n")]
    assert "expr: wsrec_connected == 0 or " in rule
    assert "for:" not in rule


def test_what_is_scraped_is_where_the_unit_serves() -> None:
    assert '"127.0.0.1:9464"' in (FOLDER / "prometheus.yml").read_text()
    assert "--metrics 9464" in UNIT


def test_both_backends_of_the_balancer_have_the_same_servers() -> None:
    alone, keyed = BALANCER.partition("\nbackend keyed\n")[::2]
    found = re.findall(r"^ +server (\w+) +(\S+)", alone, re.MULTILINE)
    assert re.findall(r"^ +server (\w+) +(\S+)", keyed, re.MULTILINE) == found
    assert re.findall(r"^ +server (\w+) .* track alone/(\w+)$", keyed, re.MULTILINE) == [
        (name, name) for name, _ in found
    ]
    assert len({address for _, address in found}) == len(found) == 4


def test_the_unit_begins_sessions_that_retention_can_remove() -> None:
    [start] = [line for line in UNIT.splitlines() if line.startswith("ExecStart=")]
    assert {"--name", "--duration", "--keep"} <= {*start.split()}
