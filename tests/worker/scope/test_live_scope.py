"""A provider's schemas and filtered objects are skipped, together with all objects that depend on them."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench, list_skipped

from pgimport.model.import_choices import Provider
from pgimport.model.import_spec import Filter
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult

SOURCE = """
CREATE ROLE app_reader LOGIN PASSWORD 'reader';
CREATE SCHEMA auth;
CREATE SCHEMA storage;
CREATE TABLE auth.users (id int PRIMARY KEY, secret text);
INSERT INTO auth.users SELECT i, 's' FROM generate_series(1, 10) AS i;
CREATE FUNCTION auth.uid() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE public.todos (id serial PRIMARY KEY, owner int REFERENCES auth.users, note text);
INSERT INTO public.todos (owner, note) SELECT i, 'n' FROM generate_series(1, 10) AS i;
CREATE VIEW public.owners AS SELECT t.id, u.secret FROM public.todos AS t JOIN auth.users AS u ON u.id = t.owner;
CREATE VIEW public.plain AS SELECT id FROM public.todos;
ALTER TABLE public.todos ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON public.todos USING (owner = auth.uid());
CREATE POLICY every ON public.todos FOR SELECT USING (true);
CREATE FUNCTION auth.ok(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE SEQUENCE auth.numbers;
CREATE TABLE public.notes (
    id int DEFAULT nextval('auth.numbers') NOT NULL, owner int DEFAULT auth.uid() NOT NULL, note text DEFAULT 'x',
    CONSTRAINT "is ok" CHECK (auth.ok(id)), CONSTRAINT positive CHECK (id > 0)
);
INSERT INTO public.notes VALUES (1, 1, 'a'), (2, 1, 'b');
CREATE TABLE public.computed (id int, twice boolean GENERATED ALWAYS AS (auth.ok(id)) STORED);
CREATE RULE away AS ON DELETE TO public.notes DO ALSO DELETE FROM auth.users WHERE false;
CREATE SCHEMA audit;
CREATE TABLE audit.log (id int, what text);
INSERT INTO audit.log VALUES (1, 'x');
CREATE TABLE public.sessions (id int, token text);
INSERT INTO public.sessions VALUES (1, 't'), (2, 't');
CREATE TABLE public.noted (session int, log int);
ALTER TABLE public.sessions ADD PRIMARY KEY (id);
ALTER TABLE public.noted ADD CONSTRAINT to_session FOREIGN KEY (session) REFERENCES public.sessions;
GRANT USAGE ON SCHEMA public, audit TO app_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, audit TO app_reader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, audit TO app_reader;
ALTER ROLE app_reader BYPASSRLS;
"""


@pytest.fixture
def partial_bench(bench: Bench, postgres16: PostgresServer) -> Iterator[Bench]:
    """A bench whose source user may not read the provider's schemas."""
    with postgres16.database("parts") as name:
        postgres16.execute(SOURCE, name)
        bench.source_url = postgres16.url(name, "app_reader", "reader")
        yield bench
    postgres16.execute("DROP ROLE app_reader")


def read_notes(result: WorkerResult) -> str:
    assert result.ok, result.failure
    assert result.verification is not None
    assert result.verification.verified
    return "\n".join([list_skipped(result), *result.verification.notes])


def list_tables(bench: Bench, shadow: str) -> list[str]:
    rows = bench.target.query(
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
        shadow,
    )
    return [row[0] for row in rows]


def make_filter(**fields: Any) -> Filter:
    return Filter.model_validate(fields)


def test_T5_a_providers_schemas_and_objects_that_need_them_are_skipped_and_reported(partial_bench: Bench) -> None:
    preflight = partial_bench.preflight(provider=Provider.SUPABASE)
    assert preflight.ok, preflight.failure
    with partial_bench.shadow() as shadow:
        notes = read_notes(partial_bench.run(provider=Provider.SUPABASE))
        assert list_tables(partial_bench, shadow) == [
            "audit.log",
            "public.noted",
            "public.notes",
            "public.sessions",
            "public.todos",
        ]
        assert partial_bench.target.query("SELECT count(*) FROM todos", shadow) == [(10,)]
        policies = partial_bench.target.query("SELECT polname FROM pg_policy", shadow)
    assert policies == [("every",)]
    for skipped in ("FK CONSTRAINT public.todos todos_owner_fkey", "VIEW public.owners", "POLICY public.todos mine"):
        assert f"{skipped}: it needs SCHEMA auth, which is skipped" in notes
    assert "public.plain" not in notes


def test_T5_a_table_is_copied_without_a_default_that_needs_a_providers_schema(partial_bench: Bench) -> None:
    with partial_bench.shadow() as shadow:
        notes = read_notes(partial_bench.run(provider=Provider.SUPABASE))
        assert partial_bench.target.query("SELECT id, owner, note FROM notes ORDER BY id", shadow) == [
            (1, 1, "a"),
            (2, 1, "b"),
        ]
        columns = partial_bench.target.query(
            "SELECT attname, attnotnull, atthasdef FROM pg_attribute WHERE attrelid = 'notes'::regclass AND attnum > 0"
            " ORDER BY attnum",
            shadow,
        )
        checks = partial_bench.target.query(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype = 'c'", shadow
        )
    assert columns == [("id", True, False), ("owner", True, False), ("note", False, True)]
    assert checks == [("positive",)]
    for skipped in (
        "DEFAULT public.notes id",
        "DEFAULT public.notes owner",
        "CHECK CONSTRAINT public.notes is ok",
        "TABLE public.computed",
        "RULE public.notes away",
    ):
        assert f"{skipped}: it needs SCHEMA auth, which is skipped" in notes


def test_T5_without_the_provider_the_unreadable_schema_is_reported(partial_bench: Bench) -> None:
    preflight = partial_bench.preflight(provider=Provider.NONE)
    assert preflight.failure is not None
    assert preflight.failure.reason is Reason.SOURCE_PERMISSION_DENIED
    assert '"auth"' in preflight.failure.message


def test_T24_T39_tables_are_copied_without_their_rows(partial_bench: Bench) -> None:
    with partial_bench.shadow() as shadow:
        notes = read_notes(
            partial_bench.run(provider=Provider.SUPABASE, filter=make_filter(excludeTableData=["sess*", "audit.*"]))
        )
        assert partial_bench.target.query(
            "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM audit.log)", shadow
        ) == [(0, 0)]
    assert "without its rows, as spec.filter.excludeTableData says: public.sessions" in notes


@pytest.mark.parametrize(
    ("fields", "expected_tables", "note"),
    [
        pytest.param(
            {"excludeTables": ["sessions"]},
            ["audit.log", "public.noted", "public.notes", "public.todos"],
            "FK CONSTRAINT public.noted to_session: it needs TABLE public.sessions",
            id="a table",
        ),
        pytest.param(
            {"includeSchemas": ["audit"]},
            ["audit.log"],
            "",
            id="one schema",
        ),
        pytest.param(
            {"excludeSchemas": ["a*t"]},
            ["public.noted", "public.notes", "public.sessions", "public.todos"],
            "",
            id="all but a schema",
        ),
    ],
)
def test_a_filter_chooses_tables(
    partial_bench: Bench, fields: dict[str, Any], expected_tables: list[str], note: str
) -> None:
    with partial_bench.shadow() as shadow:
        notes = read_notes(partial_bench.run(provider=Provider.SUPABASE, filter=make_filter(**fields)))
        assert list_tables(partial_bench, shadow) == expected_tables
    assert note in notes


@pytest.mark.parametrize(
    "fields",
    [{"excludeTables": ["sesions"]}, {"includeSchemas": ["shop"]}, {"excludeTableData": ['"Sessions"']}],
    ids=str,
)
def test_a_pattern_that_matches_nothing_is_an_error(partial_bench: Bench, fields: dict[str, Any]) -> None:
    with partial_bench.shadow():
        result = partial_bench.run(provider=Provider.SUPABASE, filter=make_filter(**fields))
    assert result.failure is not None
    assert result.failure.reason is Reason.FILTER_INVALID
    (pattern,) = next(iter(fields.values()))
    assert pattern in result.failure.message
