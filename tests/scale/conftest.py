"""Engines beside wsrec, real ones, on loopback. `make test-scale` installs them and skips nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from benchmarks.balancer import haproxy_program
from tests.scale.azurite import Azurite, azurite_program
from tests.scale.nats_cluster import NatsCluster, nats_program
from tests.scale.proxy import Proxy
from tests.scale.streams import STREAM
from tests.scale.weed import Weed, weed_program

IS_ASKED_FOR = bool(os.environ.get("WSREC_SCALE"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes an engine and minutes, unless it is asked for."""
    for item in items:
        if "scale" in item.keywords and not IS_ASKED_FOR:
            item.add_marker(pytest.mark.skip(reason='needs an engine beside wsrec: "make test-scale" runs it'))


def need(module: str | None, command: str | None = None) -> None:
    """Skip where an engine is not installed; when asked for all, that is a failure."""
    has_module = module is None or importlib.util.find_spec(module) is not None
    if not has_module or (command is not None and shutil.which(command) is None):
        _missing(command or str(module))


def _missing(engine: str) -> NoReturn:
    said = f'{engine} is missing: "make scale" installs it'
    if IS_ASKED_FOR:
        pytest.fail(said)
    pytest.skip(said)


@pytest.fixture(scope="session")
def executors_proxy(weed: Weed) -> Iterator[Proxy]:
    """What Spark's executors reach SeaweedFS through, and nobody else; it counts."""
    with Proxy(weed.s3_port) as running:
        yield running


@pytest.fixture(scope="session")
def spark(weed: Weed, executors_proxy: Proxy) -> Iterator[Any]:
    """A Spark session on loopback: a driver and two executors, processes of their own that know the object store."""
    need("pyspark", "java")
    from pyspark.sql import SparkSession

    found = {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, **weed.environment(executors_proxy.url)}
    os.environ.update(found)  # executors take theirs from what starts them

    session = (
        SparkSession.builder.appName("wsrec-tests")
        .master("local-cluster[2,1,1024]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    """SeaweedFS: an object store that speaks S3, as one process."""
    need("obstore")
    program = weed_program()
    if program is None:
        _missing("weed")
    with Weed(program, tmp_path_factory.mktemp("weed")) as server:
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Azurite: an emulator of Azure Blob Storage, as one process."""
    need("obstore")
    program = azurite_program()
    if program is None:
        _missing("azurite")
    with Azurite(program, tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def library(weed: Weed) -> str:
    """URL of a library that holds nothing yet."""
    return weed.new_library()


@pytest.fixture
def proxy(weed: Weed) -> Iterator[Proxy]:
    """Something before SeaweedFS that counts, and can be switched off."""
    with Proxy(weed.s3_port) as running:
        yield running


@pytest.fixture(scope="session")
def jetstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Three nats-servers with JetStream, one cluster."""
    need("nats")
    program = nats_program()
    if program is None:
        _missing("nats-server")
    with NatsCluster(program, tmp_path_factory.mktemp("nats")) as cluster:
        yield cluster


@pytest.fixture
def address(jetstream: NatsCluster) -> Iterator[str]:
    """Where a stream can be made; it is gone afterwards."""
    yield jetstream.address(STREAM)

    async def drop(client: Any) -> None:
        for info in await client.jetstream()._jsm.streams_info():
            await client.jetstream()._jsm.delete_stream(info.config.name)

    jetstream.ask(drop)


@pytest.fixture(scope="session")
def haproxy() -> str:
    """Where HAProxy is, a load balancer."""
    program = haproxy_program()
    need(None, program or "haproxy")
    assert program is not None
    return program
