"""Dumps of some schemas or tables, which lack the schemas of their objects."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump

ServeDump = Callable[[bytes], None]
SOURCE = """
CREATE SCHEMA app;
CREATE SCHEMA "Odd ""schema";
CREATE TABLE app.customer (id int PRIMARY KEY, name text);
INSERT INTO app.customer VALUES (1, 'a'), (2, 'b');
CREATE TABLE "Odd ""schema".t (id int);
INSERT INTO "Odd ""schema".t VALUES (1);
CREATE TABLE other (id int);
"""


@pytest.mark.parametrize(
    "options", [("-t", "app.customer"), ("-n", "app"), ("-t", "app.customer", "-t", '"Odd ""schema".t')]
)
@pytest.mark.parametrize("dump_format", ["custom", "directory"])
def test_a_partial_dump_gets_the_schemas_that_it_lacks(
    file_bench: Bench,
    serve_dump: ServeDump,
    postgres16: PostgresServer,
    tmp_path: Path,
    dump_format: str,
    options: tuple[str, ...],
) -> None:
    with postgres16.database("partial") as name:
        postgres16.execute(SOURCE, name)
        serve_dump(dump(postgres16, name, dump_format, tmp_path, *options))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM app.customer", shadow) == [(2,)]
        if len(options) > 2:
            assert file_bench.target.query('SELECT count(*) FROM "Odd ""schema".t', shadow) == [(1,)]
    assert result.verification is not None
    assert result.verification.verified
    if options[0] == "-t":
        assert "the dump does not create the schema app, so the import created it" in result.verification.notes
    assert result.skipped == []


@pytest.mark.parametrize("dump_format", ["custom", "directory"])
def test_a_table_that_needs_an_extension_which_the_dump_lacks_says_how_to_dump(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str
) -> None:
    with postgres16.database("partial") as name:
        postgres16.execute(
            "CREATE EXTENSION vector; CREATE TABLE items (id int, place vector(3));"
            "INSERT INTO items VALUES (1, '[1,2,3]'), (2, NULL)",
            name,
        )
        serve_dump(dump(postgres16, name, dump_format, tmp_path, "--table=items"))
    with file_bench.shadow():
        result = file_bench.run()
    assert result.ok, result.failure
    (items,) = (item for item in result.skipped if item.object == "TABLE public.items")
    assert (items.sqlstate, items.rows) == ("42704", 2)
    assert "the dump does not create extension vector: add `--extension=vector` to pg_dump" in items.reason
