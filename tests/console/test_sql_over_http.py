"""SQL that comes through HTTP: it sees the events of the session and nothing else, on every route that takes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.console.asked import Asker, Reply
from tests.console.test_controls import replayed

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
    folder = tmp_path / "outside"
    folder.mkdir()
    file = folder / "precious.csv"
    file.write_text("precious\n1\n")
    async with replayed(tmp_path / "library") as (asker, _):
        for expression in (*READ, *DO):
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
