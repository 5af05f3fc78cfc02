"""SQL that comes through HTTP: it sees the events of the session and nothing else, on every route that takes it."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.console.asked import Asker, Reply
from tests.console.test_controls import replayed
from torture.peak_memory import PeakMemory

ROUTES: dict[str, Callable[[Asker, str], Awaitable[Reply]]] = {
    "/api/events": lambda asker, sql: asker.get("/api/events", where=sql),
    "/api/events?at_ns=": lambda asker, sql: asker.get("/api/events", where=sql, at_ns=0),
    "/api/export": lambda asker, sql: asker.get("/api/export", where=sql),
    "/api/export?format=csv": lambda asker, sql: asker.get("/api/export", where=sql, format="csv"),
    "/api/seek": lambda asker, sql: asker.post("/api/seek", {"match": sql}),
}
PARAMETERS_OF_SQL = {"where", "match"}

READ = [
    "{} > (SELECT count(*) FROM read_csv('FILE'))",
    "text IN (SELECT content FROM read_text('FILE'))",
    "text IN (SELECT content FROM 'FILE')",
    "EXISTS (FROM glob('FOLDER/*'))",
    "EXISTS (FROM read_parquet('FOLDER/*.parquet'))",
    "EXISTS (FROM sniff_csv('FILE'))",
    "EXISTS (FROM duckdb_secrets())",
    "EXISTS (FROM read_csv('http://127.0.0.1:1/x.csv'))",
    "EXISTS (FROM 'https://127.0.0.1:1/x.parquet')",
    "getenv('HOME') <> ''",
    "EXISTS (FROM query('SELECT 1'))",
    "EXISTS (FROM query_table('events'))",
    "EXISTS (FROM pragma_version())",
]
DO = [
    "true; COPY (SELECT 1) TO 'FOLDER/bitten'",
    "true); COPY (SELECT 1) TO 'FOLDER/bitten'; --",
    "true; ATTACH 'FOLDER/bitten' AS bitten",
    "true; INSTALL httpfs",
    "true; LOAD httpfs",
    "true; SET enable_external_access = true",
    "true; RESET lock_configuration",
    "true; PRAGMA database_list",
    "true; CREATE TABLE bitten AS SELECT 1",
    "true; EXPORT DATABASE 'FOLDER/bitten'",
    "true; DROP VIEW events",
    "true; CALL pragma_version()",
    "EXISTS (INSERT INTO events VALUES (1))",
]


@pytest.mark.parametrize("route", ROUTES)
async def test_an_expression_reads_and_does_nothing_outside_of_the_session(route: str, tmp_path: Path) -> None:
    """Each attack by one route, and some by each of the others, which hand expressions on to the same place."""
    attacks = [*READ, *DO] if route == "/api/seek" else [*READ[::4], *DO[::4]]
    folder = tmp_path / "outside"
    folder.mkdir()
    file = folder / "precious.csv"
    file.write_text("precious\n1\n")
    async with replayed(tmp_path / "library") as (asker, _):
        for expression in attacks:
            sql = expression.replace("FILE", str(file)).replace("FOLDER", str(folder)).replace("{}", "seq")
            reply = await ROUTES[route](asker, sql)
            told = reply.body.replace(sql.encode(), b"").replace(quote(sql).encode(), b"")
            assert reply.status == 400, (sql, reply.body)
            assert b"\nprecious" not in told
            assert b"/root" not in told
        reply = await ROUTES[route](asker, "seq = 5")  # and it answers as before
        assert reply.status == 200, reply.body
    assert [path.name for path in folder.iterdir()] == ["precious.csv"]


async def test_no_other_route_takes_sql(tmp_path: Path) -> None:
    async with replayed(tmp_path) as (asker, _):
        description = (await asker.get("/openapi.json")).json
    schemas = description["components"]["schemas"]
    found = set()
    for path, verbs in description["paths"].items():
        for verb in verbs.values():
            names = {parameter["name"] for parameter in verb.get("parameters", ())}
            body = verb.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            names |= set(schemas.get(body.get("$ref", "").rpartition("/")[2], {}).get("properties", ()))
            if names & (PARAMETERS_OF_SQL | {"sql", "query", "expression", "filter"}):
                found.add(path)
    assert found == {route.partition("?")[0] for route in ROUTES}


HOSTILE = (
    "len(range(1000000000)) > 0",  # before any event is looked at
    "len(range(1000000000 + {})) > 0",
    "len(repeat('x' || {}, 1500000000)) > 0",
)


@pytest.fixture(scope="module")
def bounded() -> None:
    """Skip where the system does not hold a process to what it may take, as an expression would take it all there."""
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux bounds what a process holds")
    beyond = (
        "import mmap, resource; resource.setrlimit(resource.RLIMIT_DATA, (1 << 28, 1 << 28)); mmap.mmap(-1, 1 << 30, 2)"
    )
    if subprocess.run([sys.executable, "-c", beyond], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        pytest.skip("this kernel does not count what is mapped")


@pytest.mark.parametrize("expression", HOSTILE)
@pytest.mark.parametrize("route", ROUTES)
async def test_an_expression_takes_memory_within_bounds(
    route: str, expression: str, bounded: None, tmp_path: Path
) -> None:
    # All that ever ended counts, and of a new process what its parent holds at its beginning.
    who = (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
    most_before = max(resource.getrusage(each).ru_maxrss << 10 for each in who)
    async with replayed(tmp_path) as (asker, replay):

        async def ask(sql: str) -> Reply:
            reply = await ROUTES[route](asker, sql)
            while reply.status == 200 and "complete" in reply.json and not reply.json["complete"]:
                reply = await ROUTES[route](asker, sql)  # a page does not wait for all
            return reply

        assert (await asker.get("/api/events", where="seq = 5")).status == 200  # what is needed is loaded now
        with PeakMemory() as memory:
            reply = await ask(expression.replace("{}", "seq"))
        assert (reply.status, reply.json["message"]) == (400, "the expression takes more than 512 MiB of memory")
        assert memory.growth_bytes < 256 << 20
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10 < most_before + (1 << 30)
        assert replay.playbacks[0].error is None
        assert (await asker.get("/api/events", where="seq = 6")).json["total"] == 1, "all goes on"
