"""Each answer to a threat names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_every_answer_to_a_threat_names_tests_that_exist() -> None:
    page = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
    rows = page.partition("## Threats and answers")[2].partition("\n## ")[0].split("\n|")[3:]
    assert rows
    there = {
        name
        for path in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named, f"no test is named: {row}"
        assert named <= there, f"no such test: {named - there}"
