"""Imports of dump files in every format and compression."""

from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench, list_skipped
from tests.worker.engines.file.conftest import FORMATS, WRAPPINGS, dump

from pgimport.model.import_choices import Provider
from pgimport.model.import_spec import Filter
from pgimport.model.reasons import Reason

ServeDump = Callable[[bytes], None]
PROVIDER_SOURCE = """
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION auth.ok(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE SEQUENCE auth.numbers;
CREATE TABLE public.todos (
    id int DEFAULT nextval('auth.numbers') PRIMARY KEY, owner int DEFAULT auth.uid() NOT NULL,
    CONSTRAINT fine CHECK (auth.ok(owner))
);
INSERT INTO public.todos VALUES (1, 1), (2, 1);
CREATE FUNCTION native() RETURNS int LANGUAGE internal AS 'pg_backend_pid';
CREATE TABLE uses_native (x int DEFAULT native(), y int DEFAULT 2);
INSERT INTO uses_native VALUES (1);
"""
COMPARED = {
    "customers": "SELECT count(*), md5(string_agg(c::text, '' ORDER BY id)) FROM customers AS c",
    "orders": "SELECT count(*), md5(string_agg(o::text, '' ORDER BY id)) FROM orders AS o",
    "guarded": "SELECT count(*), sum(id) FROM guarded",
    "parted": "SELECT tableoid::regclass::text, count(*) FROM parted GROUP BY 1 ORDER BY 1",
    "large objects": "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1",
    "sequence": "SELECT last_value, is_called FROM orders_id_seq",
    "materialised view": "SELECT n FROM totals",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1",
    "policies": "SELECT polname, relrowsecurity, relforcerowsecurity FROM pg_policy"
    " JOIN pg_class ON pg_class.oid = polrelid",
    "functions": "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    " AND proname <> 'native' ORDER BY 1",
    "triggers": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    "comment": "SELECT obj_description('orders'::regclass)",
    "view": "SELECT count(*), sum(sum) FROM spenders",
}


def list_combinations() -> Iterator[ParameterSet]:
    """Yields each format with each wrapping. `make check` tries each format bare, and each wrapping once."""
    formats = cycle(FORMATS)
    for wrapping in WRAPPINGS:
        quick_format = next(formats)
        for dump_format in FORMATS:
            is_quick = wrapping == "bare" or dump_format == quick_format
            marks = () if is_quick else (pytest.mark.thorough,)
            yield pytest.param(dump_format, wrapping, id=f"{dump_format}-{wrapping}", marks=marks)


@pytest.mark.slow
@pytest.mark.parametrize(("dump_format", "wrapping"), list(list_combinations()))
def test_everything_in_a_dump_is_restored(
    file_bench: Bench,
    serve_dump: ServeDump,
    dumps: dict[str, bytes],
    postgres16: PostgresServer,
    dump_format: str,
    wrapping: str,
) -> None:
    serve_dump(WRAPPINGS[wrapping](dumps[dump_format]))
    preflight = file_bench.preflight()
    assert preflight.ok, preflight.failure
    assert preflight.preflight is not None
    assert preflight.preflight.source is not None
    file = preflight.preflight.source.file
    assert file is not None
    assert (file.format, file.compression) == (dump_format, "none" if wrapping == "bare" else wrapping)
    assert preflight.preflight.source.server_version_num // 10000 == 16
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        for name, query in COMPARED.items():
            assert file_bench.target.query(query, shadow) == postgres16.query(query, "file_shop"), name
    verification = result.verification
    assert verification is not None
    assert (verification.verified, verification.rows, verification.large_objects) == (True, 5000 + 3000 + 10 + 150, 2)
    assert any("FUNCTION public.native" in item.object and "internal" in item.reason for item in result.skipped)
    assert any(text.startswith("values: a dump file tells nothing") for text in verification.not_compared)
    assert "meaning of definitions: only a live source can print its own" in verification.not_compared
    assert {group.kind for group in verification.compared} >= {"table", "constraint", "view", "function"}


@pytest.mark.parametrize("dump_format", ["custom", "directory"])
def test_a_filter_excludes_entries_of_an_archive(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], dump_format: str
) -> None:
    serve_dump(dumps[dump_format])
    excluded = Filter.model_validate({"excludeTables": ["customers"], "excludeTableData": ["parted_1"]})
    with file_bench.shadow() as shadow:
        result = file_bench.run(filter=excluded)
        assert result.ok, result.failure
        query = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace"
        relations = {name for (name,) in file_bench.target.query(query, shadow)}
        assert relations == {"orders", "empty", "guarded", "parted_1", "parted_2"}
        assert file_bench.target.query("SELECT count(*) FROM parted", shadow) == [(51,)]
    notes = list_skipped(result)
    assert "FK CONSTRAINT public.orders orders_customer_fkey: it needs TABLE public.customers" in notes
    assert "VIEW public.spenders: it needs TABLE public.customers" in notes


def test_a_filter_for_plain_sql_is_refused(file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]) -> None:
    serve_dump(dumps["plain"])
    result = file_bench.preflight(filter=Filter.model_validate({"excludeTables": ["customers"]}))
    assert result.failure is not None
    assert result.failure.reason is Reason.FILTER_INVALID


@pytest.mark.parametrize("dump_format", ["custom", "directory"])
def test_T5_a_table_is_copied_without_a_default_that_needs_a_providers_schema(
    file_bench: Bench, serve_dump: ServeDump, postgres16: PostgresServer, tmp_path: Path, dump_format: str
) -> None:
    with postgres16.database("provided") as name:
        postgres16.execute(PROVIDER_SOURCE, name)
        serve_dump(dump(postgres16, name, dump_format, tmp_path))
    with file_bench.shadow() as shadow:
        result = file_bench.run(provider=Provider.SUPABASE)
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT id, owner FROM todos ORDER BY id", shadow) == [(1, 1), (2, 1)]
        assert file_bench.target.query("SELECT FROM pg_constraint WHERE conname = 'fine'", shadow) == []
        native = file_bench.target.query("SELECT x, y FROM uses_native", shadow)
    assert native == [(1, 2)]
    skipped_objects = list_skipped(result)
    for skipped in (
        "DEFAULT public.todos owner: it needs FUNCTION auth.uid()",
        "DEFAULT public.todos id: it needs SEQUENCE auth.numbers",
        "CHECK CONSTRAINT public.todos fine: it needs FUNCTION auth.ok(integer)",
    ):
        assert f"{skipped}, which is skipped" in skipped_objects
    assert (
        "DEFAULT public.uses_native x: it needs FUNCTION public.native(), which the target refused: permission denied"
        " for language internal (SQLSTATE 42501)"
    ) in skipped_objects


@pytest.mark.parametrize("dump_format", ["custom", "directory"])
def test_a_filter_on_a_partitioned_table_applies_to_its_partitions(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], dump_format: str
) -> None:
    serve_dump(dumps[dump_format])
    with file_bench.shadow() as shadow:
        result = file_bench.run(filter=Filter.model_validate({"excludeTableData": ["parted"]}))
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM parted", shadow) == [(0,)]
    serve_dump(dumps[dump_format])
    file_bench.home.joinpath("scratch").rename(file_bench.home / "first")
    with file_bench.shadow() as shadow:
        result = file_bench.run(filter=Filter.model_validate({"excludeTables": ["parted"]}))
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT relname FROM pg_class WHERE relname ~ '^parted'", shadow) == []
