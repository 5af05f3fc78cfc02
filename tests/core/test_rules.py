"""Rule files: what is read of them, and what is said of those that cannot be read."""

from __future__ import annotations

import pytest

from wsrecorder.core.rules import PathCondition, parse_condition, parse_rules
from wsrecorder.errors import UsageError


@pytest.mark.parametrize(
    ("text", "payload", "does"),
    [
        ("type = subscribe", b'{"type": "subscribe"}', True),
        ('type = "subscribe"', b'{"type": "subscribe"}', True),
        ("type=subscribe", b'{"type": "unsubscribe"}', False),
        ("channels[] = ticker", b'{"channels": ["level2", "ticker"]}', True),
        ("channels[0] = ticker", b'{"channels": ["level2", "ticker"]}', False),
        ("channels[1] = ticker", b'{"channels": ["level2", "ticker"]}', True),
        ("channels[7] = ticker", b'{"channels": ["ticker"]}', False),
        ("channels[].name = ticker", b'{"channels": [{"name": "ticker"}]}', True),
        ("a[][1] = 2", b'{"a": [[1, 2]]}', True),
        ("a.b = 1", b'{"a": {"b": 1}}', True),
        ("a.b = 1", b'{"a": {"b": "1"}}', False),
        ("a.b = 1", b'{"a": {"b": true}}', False),
        ('a.b = "1"', b'{"a": {"b": "1"}}', True),
        ("a.b = null", b'{"a": {"b": null}}', True),
        ("a.b = null", b'{"a": {}}', False),
        ("a.b = 1", b'{"a": [1]}', False),
        ("a[] = 1", b'{"a": 1}', False),
        ("a = x = y", b'{"a": "x = y"}', True),
        ("a = 1", b"no JSON", False),
        ("a = 1", b"\xff", False),
    ],
)
def test_a_condition_holds_where_the_value_stands_in_its_place(text: str, payload: bytes, does: bool) -> None:
    assert parse_condition(text).holds(payload) is does


def test_what_is_nested_without_end_holds_nothing() -> None:
    assert not parse_condition("a = 1").holds(b"[" * 200_000)


@pytest.mark.parametrize(
    ("text", "says"), [("type", "no value"), ("type =", "no value"), ("= 1", "not a JSON path"), ("a..b = 1", "a..b")]
)
def test_what_is_no_condition_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_condition(text)


def test_a_file_is_read_whole() -> None:
    first, second = parse_rules(
        """
        [[rule]]
        name = "ticker"
        match = ["type = subscribe", "channels[] = ticker"]
        match_where = "text LIKE '%x%'"
        where = "type = 'ticker'"
        from = "start"
        [[rule]]
        match = "type = unsubscribe"
        stop = "ticker"
        """,
        "r.toml",
    )
    assert first.name == "ticker"
    assert first.conditions == (PathCondition("type", "subscribe"), PathCondition("channels[]", "ticker"))
    assert (first.match_where, first.where, first.from_start, first.stops) == (
        "text LIKE '%x%'",
        "type = 'ticker'",
        True,
        (),
    )
    assert (second.name, second.match_where, second.where, second.from_start, second.stops) == (
        "rule 2",
        None,
        None,
        False,
        (0,),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[rule]\n", r"r.toml is not TOML: .*line 1"),
        ("", "there is no rule, expected one"),
        ("rule = 1", "there is no rule"),
        ("rule = [1]", "there is no rule"),
        ("rules = 1", "key 'rules' is unknown, expected only"),
        ("[[rule]]\nmatch='a=1'\nwher='x'", "r.toml, rule 1: key 'wher' is unknown, expected name, match"),
        ("[[rule]]\nname='t'\nwhere='x'", r"rule 1 \(t\): it says not when"),
        ("[[rule]]\nmatch='a=1'", "it does nothing"),
        ("[[rule]]\nmatch='a'\nwhere='x'", "rule 1: match: 'a' has no value"),
        ("[[rule]]\nmatch=1\nwhere='x'", "match is 1, expected a text"),
        ("[[rule]]\nmatch=[1]\nwhere='x'", r"match is \[1\], expected a text"),
        ("[[rule]]\nmatch='a=1'\nwhere=1", "where is 1, expected an SQL"),
        ("[[rule]]\nmatch='a=1'\nwhere='x'\nfrom='then'", 'from is "then", expected "now" or "start"'),
        ("[[rule]]\nname=''\nmatch='a=1'\nwhere='x'", 'rule 1: name is ""'),
        ("[[rule]]\nname=2020-01-01\nmatch='a=1'\nwhere='x'", 'name is "2020-01-01"'),
        ("[[rule]]\nmatch='a=1'\nstop=['b']", "stop names 'b', expected a rule of this file: rule 1"),
        ("[[rule]]\nname='a'\nmatch='a=1'\nwhere='x'\n" * 2, "two rules are named 'a'"),
    ],
)
def test_what_is_no_rule_is_refused_by_file_and_key(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_rules(text, "r.toml")
