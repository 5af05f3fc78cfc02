from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.errors import UsageError
from wsrecorder.store.place import ObjectPath, is_url, label, local, place_of

NAMES = st.from_regex(r"[a-z0-9=]{1,8}(\.[a-z]{1,4})?", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=5), NAMES)
def test_a_place_in_object_storage_is_taken_apart_as_a_path_is(parts: list[str], name: str) -> None:
    ours, theirs = ObjectPath("s3://bucket", "/".join(parts)), PurePosixPath(*parts)

    assert (ours.name, ours.suffix, ours.stem) == (theirs.name, theirs.suffix, theirs.stem)
    assert (ours / name).key == str(theirs / name)
    assert ours.with_name(name).key == str(theirs.with_name(name))
    assert ours.with_suffix(".x").key == str(theirs.with_suffix(".x"))
    assert [str(parent.key) or "." for parent in ours.parents] == list(map(str, theirs.parents))
    assert place_of(str(ours)) == ours


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bucket/a/b", ObjectPath("s3://bucket", "a/b")),
        ("s3://bucket", ObjectPath("s3://bucket")),
        ("gs://bucket//a/", ObjectPath("gs://bucket", "a")),
        ("az://container/a", ObjectPath("az://container", "a")),
        ("recordings", Path("recordings")),
        ("/data/x://y".replace("://", "/"), Path("/data/x/y")),
    ],
)
def test_a_text_names_a_folder_or_a_place_in_object_storage(text: str, place: Path | ObjectPath) -> None:
    assert place_of(text) == place
    assert is_url(text) is isinstance(place, ObjectPath)


@pytest.mark.parametrize(
    "text", ["s4://bucket/a", "https://bucket/a", "s3://", "s3:///a", "s3://a bucket/x", "s3://b\n/x", "s3://b/../x"]
)
def test_any_other_url_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="neither a folder nor a place"):
        place_of(text)


def test_a_session_is_called_by_its_id_wherever_it_is() -> None:
    assert label(Path("recordings/20251124T160000Z-test")) == "20251124T160000Z-test"
    assert (
        label(ObjectPath("s3://b", "feed=x/date=2025-11-24/session=20251124T160000Z-test")) == "20251124T160000Z-test"
    )


def test_what_needs_a_disk_says_so() -> None:
    assert local(Path("x"), "this") == Path("x")
    with pytest.raises(UsageError, match="this needs a folder on a disk, found s3://b/x"):
        local(ObjectPath("s3://b", "x"), "this")
