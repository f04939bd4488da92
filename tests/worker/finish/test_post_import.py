"""The user's SQL of spec.postImport: what it changes, which rows it sees, and how it fails."""

from collections.abc import Iterator

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult

SOURCE = """
CREATE TABLE people (id int PRIMARY KEY, email text, tenant int);
INSERT INTO people SELECT i, 'p' || i || '@example.com', i % 10 FROM generate_series(1, 100) AS i;
CREATE MATERIALIZED VIEW addresses AS SELECT email FROM people;
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


def run(bench: Bench, text: str) -> WorkerResult:
    (bench.home / "post-import").write_text(text)
    return bench.run()


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


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        pytest.param(
            "UPDATE people SET email = 'x';\nUPDATE nothing SET a = 1;",
            ["line 2", 'relation "nothing" does not exist', "42P01"],
            id="an error names its line",
        ),
        pytest.param("\\i other.sql", ["commands of psql", "42601"], id="a command of psql"),
        pytest.param("UPDATE guarded SET secret = 'x'", ["row-level security"], id="rows that a policy would hide"),
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
