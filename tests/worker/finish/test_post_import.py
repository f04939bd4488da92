"""The user's SQL of spec.postImport: what it changes, which rows it sees, and how it fails."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult

SOURCE = """
CREATE TABLE people (id int PRIMARY KEY, email text, tenant int);
INSERT INTO people SELECT i, 'p' || i || '@example.com', i % 10 FROM generate_series(1, 100) AS i;
CREATE MATERIALIZED VIEW addresses AS SELECT email FROM people;
CREATE MATERIALIZED VIEW inverses AS SELECT 1 / id AS value FROM people;
CREATE TABLE guarded (id int, secret text);
INSERT INTO guarded VALUES (1, 'a'), (2, 'b');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON guarded USING (id = 1);
"""


@pytest.fixture
def people(bench: Bench, postgres16: PostgresServer) -> Iterator[Bench]:
    with postgres16.database("people") as name:
        postgres16.execute(SOURCE, name)
        bench.source_url = postgres16.url(name)
        yield bench


def run(bench: Bench, text: str, **changes: Any) -> WorkerResult:
    (bench.home / "post-import").write_text(text)
    return bench.run(**changes)


def test_T38_T39_data_is_masked_before_the_swap(people: Bench) -> None:
    with people.shadow() as shadow:
        result = run(people, "UPDATE people SET email = 'masked';\nDELETE FROM people WHERE tenant = 3;\n-- done\n")
        assert result.ok, result.failure
        masked = people.target.query("SELECT count(*), count(DISTINCT email), min(email) FROM people", shadow)
        assert masked == [(90, 1, "masked")]
        # Materialised views are refreshed, so they do not keep the original values.
        assert people.target.query("SELECT count(*), max(email) FROM addresses", shadow) == [(90, "masked")]
    assert result.verification is not None
    assert result.verification.verified
    assert result.verification.rows == 102  # rows are counted before the SQL runs


def test_removed_objects_are_reported(people: Bench) -> None:
    with people.shadow():
        result = run(
            people, "DROP TABLE guarded; CREATE TABLE more (); ALTER TABLE people DROP CONSTRAINT people_pkey;"
        )
    assert result.ok, result.failure
    assert result.verification is not None
    notes = [note for note in result.verification.notes if note.startswith("changed by spec.postImport: ")]
    assert any("people_pkey" in note for note in notes)
    assert any("table public.guarded" in note for note in notes)


STATISTICS = """
CREATE TABLE sessions (
    token text COLLATE "C", address text, at timestamptz(3) CHECK (at > '2000-01-01'), PRIMARY KEY (token, at)
);
ALTER TABLE sessions ALTER COLUMN address SET STORAGE EXTERNAL;
CREATE INDEX ON sessions (lower(address));
INSERT INTO sessions SELECT 'secret' || i % 5, 'secret', now() + i * interval '1 h' FROM generate_series(1, 100) AS i;
CREATE STATISTICS sampled (mcv) ON token, address FROM sessions;
CREATE TABLE logs (day int, line text) PARTITION BY LIST (day);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1);
CREATE TABLE logs_2 PARTITION OF logs FOR VALUES IN (2);
INSERT INTO logs SELECT 1 + i % 2, 'secret' || i % 3 FROM generate_series(1, 100) AS i;
CREATE TABLE hidden (word text);
INSERT INTO hidden SELECT 'secret' || i % 3 FROM generate_series(1, 100) AS i;
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE FUNCTION inverse(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1 / $1; END';
CREATE TABLE failing (id int, word text);
INSERT INTO failing SELECT i, 'secret' || i % 3 FROM generate_series(1, 100) AS i;
CREATE STATISTICS inverse ON inverse(id) FROM failing;
"""
# What the owner of the copy can read. A superuser reads the statistics that row security hides, too.
SHOWN = """
SELECT tablename, attname, most_common_vals::text || histogram_bounds::text FROM pg_stats
WHERE concat(most_common_vals, histogram_bounds) ~ '@|secret' AND schemaname = 'public'
UNION ALL SELECT tablename, '', most_common_vals::text FROM pg_stats_ext WHERE most_common_vals::text ~ '@|secret'
"""


@pytest.mark.parametrize("major", [16, 18])
def test_statistics_show_no_value_from_before_the_sql(
    people: Bench, postgres16: PostgresServer, postgres18: PostgresServer, major: int
) -> None:
    people.target = {16: postgres16, 18: postgres18}[major]
    postgres16.execute(STATISTICS, "people")
    text = (
        "UPDATE people SET email = 'masked'; DELETE FROM sessions; TRUNCATE logs_1; DELETE FROM logs; TRUNCATE hidden;"
        "UPDATE failing SET id = 0, word = 'masked';"  # ANALYZE fails then
    )
    with people.shadow() as shadow:
        result = run(people, text, target_version_num=major * 10000 + 9)
        assert result.ok, result.failure
        assert people.target.query(SHOWN, shadow) == []
        assert people.target.query(
            "SELECT most_common_vals::text FROM pg_stats WHERE (tablename, attname) = ('people', 'email')", shadow
        ) == [("{masked}",)]
        assert people.target.query(
            "SELECT attstorage::text, pg_get_indexdef('sessions_lower_idx'::regclass) FROM pg_attribute"
            " WHERE (attrelid, attname) = ('sessions'::regclass, 'address')",
            shadow,
        ) == [("e", "CREATE INDEX sessions_lower_idx ON public.sessions USING btree (lower(address))")]
    assert result.verification is not None
    # The key of a partitioned table cannot be changed. Only PostgreSQL 18 removes its statistics without a change.
    kept = "pg_stats shows values of them: public.logs, public.logs_1, public.logs_2. Leave the rows out by"
    assert [kept in note for note in result.verification.notes] == {16: [True], 18: []}[major]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        pytest.param(
            "UPDATE people SET email = 'x';\nUPDATE nothing SET a = 1;",
            ["line 2", 'relation "nothing" does not exist', "42P01"],
            id="an error names its line",
        ),
        pytest.param(
            "UPDATE people SET id = 0 WHERE id = 1",
            ["after the SQL", "materialised view public.inverses cannot be refreshed: division by zero"],
            id="a view that fails with the new values",
        ),
        pytest.param("\n-- see the wiki\n", ["it has no statement"], id="no statement"),
        pytest.param("\\i other.sql", ["commands of psql", "42601"], id="a command of psql"),
        pytest.param("UPDATE guarded SET secret = 'x'", ["row-level security"], id="rows that a policy would hide"),
        pytest.param("SELECT 1\0; UPDATE people SET email = 'x'", ["a NUL character"], id="a NUL character"),
        pytest.param("COPY people TO STDOUT", ["COPY TO STDOUT are not possible"], id="COPY to the client"),
        pytest.param(
            "SET statement_timeout = 1; SELECT pg_sleep(9)", ["statement timeout", "57014"], id="a timeout of its own"
        ),
        pytest.param("COPY people TO PROGRAM 'cat'", ["permission denied"], id="a program on the server"),
        pytest.param("ALTER ROLE postgres NOSUPERUSER", ["permission denied"], id="another role"),
    ],
)
def test_a_failing_statement_fails_the_import(people: Bench, text: str, messages: list[str]) -> None:
    with people.shadow() as shadow:
        result = run(people, text)
        unmasked = people.target.query("SELECT count(*) FROM people WHERE email LIKE '%@%'", shadow)
    assert result.failure is not None
    assert result.failure.reason is Reason.POST_IMPORT_FAILED
    for message in messages:
        assert message in result.failure.message
    assert unmasked == [(100,)]


def test_the_sql_has_no_timeout_of_the_server(people: Bench) -> None:
    """Before, such a server cancelled it, and the message named its limit of 30 minutes."""
    with people.shadow() as shadow:
        people.target.execute(f"ALTER DATABASE {shadow} SET statement_timeout = '60s'")
        people.target.execute(f"ALTER DATABASE {shadow} SET default_transaction_read_only = on")
        result = run(
            people, "DELETE FROM people; DO $$ BEGIN ASSERT current_setting('statement_timeout') = '0'; END $$"
        )
    assert result.ok, result.failure
