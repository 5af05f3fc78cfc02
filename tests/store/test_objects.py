from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import new_library
from tests.store.gcs_stand_in import GcsStandIn
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.store.objects import Objects, allows_http, open_objects


@pytest.fixture(params=["memory", "gs"])
def objects(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    if request.param == "memory":
        yield new_library().objects
        return
    with GcsStandIn() as server:
        monkeypatch.setenv("GOOGLE_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "test")
        yield open_objects(f"gs://desk-{server.url.rpartition(':')[2]}")


def test_what_was_put_is_got(objects: Objects) -> None:
    etag = objects.put_new("a/b", b"0123456789")

    assert objects.get("a/b") == b"0123456789"
    assert objects.get_with_etag("a/b") == (b"0123456789", etag)
    assert objects.tail("a/b", 3) == (b"789", 10)
    assert objects.tail("a/b", 99) == (b"0123456789", 10)
    assert objects.ranges("a/b", [(0, 2), (8, 10)]) == [b"01", b"89"]
    assert (head := objects.head("a/b")) is not None
    assert (head.key, head.size_bytes, head.etag) == ("a/b", 10, etag)


def test_an_object_is_made_once(objects: Objects) -> None:
    objects.put_new("a", b"first")

    with pytest.raises(FileExistsError):
        objects.put_new("a", b"second")

    assert objects.get("a") == b"first"


def test_an_object_is_replaced_only_by_who_knows_it(objects: Objects) -> None:
    first = objects.put_new("a", b"first")
    second = objects.put("a", b"second", instead_of=first)

    with pytest.raises(FileExistsError):
        objects.put("a", b"third", instead_of=first)
    assert objects.get("a") == b"second"
    objects.put("a", b"third", instead_of=second)
    objects.put("a", b"whatever was there")
    assert objects.get("a") == b"whatever was there"


def test_what_is_not_there_is_told_from_what_cannot_be_had(objects: Objects) -> None:
    for ask in (
        objects.get,
        objects.get_with_etag,
        lambda key: objects.tail(key, 1),
        lambda key: objects.ranges(key, [(0, 1)]),
    ):
        with pytest.raises(FileNotFoundError):
            ask("a")
    assert objects.head("a") is None
    objects.delete(["a", "b"])


def test_folders_are_what_keys_have_in_common(objects: Objects) -> None:
    for key in ("x/b/1", "x/a/1", "x/a/2", "x/3", "xy/4"):
        objects.put_new(key, b"")

    assert objects.folders("x") == ["x/a", "x/b"]
    assert [found.key for found in objects.below("x")] == ["x/3", "x/a/1", "x/a/2", "x/b/1"]
    assert objects.holds_any("x/a")
    assert not objects.holds_any("x/c")
    objects.delete(["x/a/1", "x/a/2"])
    assert objects.folders("x") == ["x/b"]


def test_without_an_md5_for_etag_what_was_sent_is_read_back() -> None:
    objects = new_library().objects  # its ETags are numbers
    etag = objects.put_new("a", b"sent")
    before = objects.bytes_read

    assert objects.holds("a", b"sent", etag)
    assert objects.bytes_read == before + 4
    assert not objects.holds("a", b"other", etag)
    assert not objects.holds("nothing", b"sent", "etag")
    assert objects.holds("a", b"sent", "7815696ecbf1c96e6894b779456d330e") is True  # not even looked at
    assert objects.holds("a", b"asd", "7815696ecbf1c96e6894b779456d330e") is True


def test_a_bucket_is_opened_once() -> None:
    library = new_library()

    assert library.objects is (library / "deeper").objects


def test_nothing_goes_out_unencrypted_unless_http_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert not allows_http()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://store")
    assert not allows_http()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store")
    assert allows_http()


def test_a_store_that_is_away_is_told_within_its_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-from-messages")
    open_objects.cache_clear()
    try:
        with pytest.raises(StorageError, match="cannot use s3://away/a") as told:
            open_objects("s3://away").get("a")
    finally:
        open_objects.cache_clear()
    assert "hidden-from-messages" not in str(told.value)


def test_a_wrong_setting_is_an_error_of_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(UsageError, match="az://container cannot be used"):
        open_objects("az://container")
