"""Engines beside wsrec, real ones, on loopback. `make test-scale` installs them and skips nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

IS_ASKED_FOR = bool(os.environ.get("WSREC_SCALE"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes an engine and minutes, unless it is asked for."""
    for item in items:
        if "scale" in item.keywords and not IS_ASKED_FOR:
            item.add_marker(pytest.mark.skip(reason='needs an engine beside wsrec: "make test-scale" runs it'))


def need(module: str, command: str | None = None) -> None:
    """Skip where an engine is not installed; when asked for all, that is a failure."""
    is_there = importlib.util.find_spec(module) is not None and (command is None or shutil.which(command) is not None)
    if not is_there:
        (pytest.fail if IS_ASKED_FOR else pytest.skip)(f'{command or module} is missing: "make scale" installs it')


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A Spark session on loopback: a driver and two executors, each a process of its own."""
    need("pyspark", "java")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    from pyspark.sql import SparkSession

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
