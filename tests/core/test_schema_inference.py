"""Inferred schemas: whatever was folded in is valid, the order makes no difference, and conclusions have reasons."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.json_value import finite
from wsrecorder.core.schema_inference import (
    DEEPEST,
    MAP_KEYS,
    MOST_KEYS,
    MOST_WORDS,
    NON_FINITE,
    SEEN_OFTEN,
    Budget,
    Evidence,
    fold,
    merge,
    schema_of,
)

TIMES = ["2026-11-23T19:15:00Z", "2024-02-29T23:59:59.123456789+05:30", "0001-01-01T00:00:00-23:59"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["buy", "sell", *TIMES, "x" * 65])
    | st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
    | st.text(max_size=3)
)
KEYS = st.sampled_from("abc") | st.text(max_size=2)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
# Many keys in one value, so that maps come up in every run.
WIDE = st.builds(
    lambda first, count, values: {f"k{first + n}": values[n % len(values)] for n in range(count)},
    st.integers(0, MOST_KEYS),
    st.integers(MAP_KEYS, MOST_KEYS + 20),
    st.lists(SCALARS, min_size=1, max_size=3),
)


def evidence(values: Iterable[Any], budget: Budget | None = None) -> Evidence:
    seen = Evidence()
    budget = budget or Budget()
    for value in values:
        fold(seen, value, budget)
    return seen


def infer(*values: Any) -> dict[str, Any]:
    return schema_of(evidence(values))


def assert_valid(schema: dict[str, Any], values: Iterable[Any]) -> None:
    validator = jsonschema_rs.Draft7Validator(schema, validate_formats=True, offline=True)
    for value in values:
        assert validator.is_valid(finite(value)), (schema, value)


@given(st.lists(VALUES | WIDE, min_size=1, max_size=30))
def test_all_that_was_folded_in_is_valid(values: list[Any]) -> None:
    assert_valid(infer(*values), values)


@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(1, 30))
def test_what_came_often_is_valid(values: list[Any], times: int) -> None:
    assert_valid(infer(*values * times), values)


@given(st.lists(VALUES | WIDE, min_size=1, max_size=10), st.integers(0, 12))
def test_beyond_the_budget_all_is_still_valid(values: list[Any], places: int) -> None:
    assert_valid(schema_of(evidence(values, Budget(places))), values)


@given(st.lists(VALUES | WIDE, min_size=1, max_size=10), st.lists(VALUES, max_size=10), st.integers(0, 12))
def test_beyond_the_budget_what_is_merged_is_valid(one: list[Any], other: list[Any], places: int) -> None:
    budget = Budget(places)
    assert_valid(schema_of(merge(evidence(one, budget), evidence(other, budget))), [*one, *other])


@given(st.lists(VALUES | WIDE, max_size=10), st.lists(VALUES | WIDE, max_size=10))
def test_merging_is_folding_it_all_in(one: list[Any], other: list[Any]) -> None:
    assert merge(evidence(one), evidence(other)) == evidence([*one, *other])


@given(st.lists(st.lists(VALUES | WIDE, max_size=5), min_size=3, max_size=3))
def test_merging_is_commutative_and_associative(parts: list[list[Any]]) -> None:
    one, two, three = map(evidence, parts)
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, Evidence()) == one


@given(st.lists(VALUES | WIDE, max_size=8), st.randoms())
def test_the_order_makes_no_difference(values: list[Any], chance: Any) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)
    assert evidence(values) == evidence(shuffled)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], {"type": "null"}),
        ([True, False], {"type": "boolean"}),
        ([1, -2], {"type": "integer"}),
        ([1, 2.0], {"type": "number"}),
        (["a", None], {"type": ["string", "null"]}),
        ([1, "a", [], {}], {"type": ["object", "array", "string", "integer"]}),
        ([[1], [None, "x"]], {"type": "array", "items": {"type": ["string", "integer", "null"]}}),
        ([[]], {"type": "array"}),
        ([{}], {"type": "object"}),
        ([float("nan")], {"type": ["number", "null"], NON_FINITE: True}),
        ([1, float("inf")], {"type": ["integer", "null"], NON_FINITE: True}),
        ([1.5, float("-inf")], {"type": ["number", "null"], NON_FINITE: True}),
    ],
)
def test_types(values: list[Any], expected: dict[str, Any]) -> None:
    assert infer(*values) == expected


def test_of_nothing_nothing_is_said() -> None:
    assert schema_of(Evidence()) == {}


def test_keys_that_every_object_has_are_required() -> None:
    schema = infer({"a": 1, "b": 1}, {"a": 2}, {"a": None, "c": 3})
    assert schema["required"] == ["a"]
    assert schema["properties"] == {
        "a": {"type": ["integer", "null"]},
        "b": {"type": "integer"},
        "c": {"type": "integer"},
    }
    assert "required" not in infer({"a": 1}, {"b": 1})


def test_objects_stay_open() -> None:
    assert "additionalProperties" not in infer({"a": 1}, {"a": 2})


def test_times_of_rfc_3339_have_a_format() -> None:
    assert infer(*TIMES) == {"type": "string", "format": "date-time"}
    assert infer(*TIMES, None)["format"] == "date-time"


@pytest.mark.parametrize(
    "other", ["2026-11-23T19:15:00", "2026-11-23 19:15:00Z", "2026-02-30T00:00:00Z", "2026-11-23T24:00:00Z", "", "5"]
)
def test_one_text_that_is_no_such_time_and_there_is_no_format(other: str) -> None:
    assert "format" not in infer(*TIMES, other)
    assert "format" not in infer(other, *TIMES)


def test_few_words_that_came_often_are_an_enum() -> None:
    assert infer(*["sell", "buy"] * SEEN_OFTEN)["enum"] == ["buy", "sell"]
    assert infer(*["sell", "buy", None] * SEEN_OFTEN)["enum"] == ["buy", "sell", None]


@pytest.mark.parametrize(
    "words",
    [
        ["buy"] * (SEEN_OFTEN - 1),
        [*["buy"] * 1_000, "sell"],
        [chr(97 + number) for number in range(MOST_WORDS + 1)] * SEEN_OFTEN,
        ["1.5"] * 100,
        ["pos-12ab"] * 100,
        ["x" * 65] * 100,
        [*["buy"] * 100, 1],
    ],
    ids=["seldom", "one of them once", "many", "numbers", "ids", "long", "not only texts"],
)
def test_without_good_reason_there_is_no_enum(words: list[Any]) -> None:
    assert "enum" not in infer(*words)


def test_as_many_words_as_allowed_are_an_enum_in_parts_too() -> None:
    words = [chr(97 + number) for number in range(MOST_WORDS)] * SEEN_OFTEN
    assert len(infer(*words)["enum"]) == MOST_WORDS
    assert schema_of(reduce(merge, (evidence([word]) for word in words)))["enum"] == words[:MOST_WORDS]


def test_more_words_than_allowed_are_none_in_parts_too() -> None:
    words = [chr(97 + number) for number in range(MOST_WORDS + 1)]
    assert reduce(merge, (evidence([word]) for word in words)).words is None
    assert evidence(words).words is None


def test_more_keys_than_an_object_has_make_a_map() -> None:
    schema = infer(*({f"k{number}": number} for number in range(MOST_KEYS + 1)), {})
    assert schema == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert infer({f"k{number}": {} for number in range(MOST_KEYS + 1)})["additionalProperties"] == {"type": "object"}
    assert "properties" in infer({f"k{number}": number for number in range(MOST_KEYS)})


def test_many_keys_that_come_seldom_with_one_kind_of_value_make_a_map() -> None:
    sparse = [{f"k{number}": [number]} for number in range(MAP_KEYS)]
    schema = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}}
    assert infer(*sparse) == schema
    assert "properties" in infer(*sparse[1:])
    assert "properties" in infer(*sparse[1:], {"k0": "text"})
    assert "properties" in infer({key: value for each in sparse for key, value in each.items()})


def test_a_map_goes_on_taking_in_values() -> None:
    wide = {f"k{number}": 1 for number in range(MOST_KEYS + 1)}
    assert infer(wide, {"new": "x"})["additionalProperties"] == {"type": ["string", "integer"]}


def test_what_lies_too_deep_may_be_anything() -> None:
    def nested(levels: int, value: Any) -> Any:
        for level in range(levels):
            value = [value] if level % 2 else {"a": value}
        return value

    values = [nested(DEEPEST, 1), nested(DEEPEST + 40, "x"), nested(DEEPEST + 41, None)]
    assert_valid(infer(*values), values)
    assert "integer" in str(infer(nested(DEEPEST, 1)))
    assert "integer" not in str(infer(nested(DEEPEST + 1, 1)))


def test_a_wide_object_costs_no_more_places_than_a_map() -> None:
    budget = Budget(3)
    seen = evidence([{f"k{number}": number for number in range(100_000)}], budget)
    assert seen.fields is None
    assert budget.places == 2


def test_beyond_the_budget_keys_are_known_and_what_they_hold_is_not() -> None:
    schema = schema_of(evidence([{"a": {"b": 1}, "c": 2}, {"a": {"b": 1}}], Budget(1)))
    assert schema["properties"] == {"a": {"type": "object", "properties": {"b": {}}, "required": ["b"]}, "c": {}}
    assert schema["required"] == ["a"]
