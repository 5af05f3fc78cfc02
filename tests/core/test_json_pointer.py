"""Places in documents: written as URI fragments, followed through references, and never out of the document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.json_pointer import at, broken_reference, follow, show_place
from wsrecorder.errors import UsageError

DOCUMENT: dict[str, Any] = {
    "a/b ~%": {"list": [{"$ref": "#/target"}, {"$ref": "#/a~1b%20~0%25/list/0"}]},
    "target": 5,
    "": {"$ref": "#"},
    "$ref": 3,
}


def test_a_place_is_shown_as_a_fragment_that_leads_there() -> None:
    place = ("a/b ~%", "list", 1)
    assert show_place(place) == "#/a~1b%20~0%25/list/1"
    assert show_place(()) == "#"
    assert follow({"r": {"$ref": show_place(place)}, **DOCUMENT}, ("r",)) == (("target",), 5)


@given(st.text().filter(lambda key: key.isprintable()))
def test_every_key_can_be_referred_to(key: str) -> None:
    document = {key: {"x": 1}, f"{key}r": {"$ref": show_place((key,))}}
    assert follow(document, (f"{key}r",)) == ((key,), {"x": 1})


def test_references_are_followed_to_their_end() -> None:
    assert follow(DOCUMENT, ("a/b ~%", "list", 1)) == (("target",), 5)
    assert follow(DOCUMENT, ("",)) == ((), DOCUMENT)
    assert follow(DOCUMENT, ()) == ((), DOCUMENT)  # a $ref that is no text is none


@pytest.mark.parametrize("place", [("b",), ("target", "x"), ("a/b ~%", "list", 2), ("a/b ~%", "list", "x")])
def test_a_place_that_is_not_there_is_named(place: tuple[str | int, ...]) -> None:
    with pytest.raises(UsageError, match="nothing at #/"):
        at(DOCUMENT, place)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("#/nowhere", "leads to nothing"),
        ("#nowhere", "leads to nothing"),
        ("http://127.0.0.1:9/x.json", "nothing is fetched"),
        ("other.json#/a", "nothing is fetched"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(reference: str, said: str) -> None:
    document = {"a": {"b": [1, {"$ref": reference}]}}
    with pytest.raises(UsageError, match=said) as raised:
        follow(document, ("a", "b", 1))
    assert "#/a/b/1" in raised.value.message
    found = broken_reference(document, ())
    assert found is not None
    assert found.message == raised.value.message


def test_sound_references_are_not_found_broken() -> None:
    assert broken_reference(DOCUMENT, ()) is None


def test_a_circle_is_refused() -> None:
    with pytest.raises(UsageError, match="circle"):
        follow({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}, ("a",))
