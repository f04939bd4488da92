"""Statements that pg_dump does not write have the effect that they have in psql, or are named."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench, list_skipped
from tests.worker.engines.file.archive_bytes import build_plain_dump

from pgimport.model.result import WorkerResult
from pgimport.worker.engines.file.tablespaces import remove_tablespaces
from pgimport.worker.verify.restored_file import FileRows, Name, plan_file_counts

ServeDump = Callable[[bytes], None]


@dataclass
class Comparison:
    """Imports a file, and compares the copy with what psql makes of the same file."""

    bench: Bench
    serve_dump: ServeDump
    folder: Path

    def run(self, statements: str, for_psql: str | None = None) -> tuple[WorkerResult, list[str]]:
        """Returns the result, and the lines by which dumps of the two databases differ.

        `for_psql`: statements that psql gets instead.
        """
        server = self.bench.target
        self.serve_dump(build_plain_dump(statements))
        with self.bench.shadow() as shadow:
            result = self.bench.run()
            assert result.ok, result.failure
            copied = self._dump(server, shadow)
        with server.database("by_psql") as name:
            path = self.folder / "statements.sql"
            path.write_text(for_psql or statements)
            command = [server.bin / "psql", "--no-psqlrc", "--quiet", f"--file={path}", server.url(name)]
            subprocess.run(command, check=True, capture_output=True)
            expected = self._dump(server, name)
        return result, sorted({f"- {line}" for line in expected - copied} | {f"+ {line}" for line in copied - expected})

    @staticmethod
    def _dump(server: PostgresServer, database: str) -> set[str]:
        """Returns the statements of a dump of structure and rows."""
        command = [server.bin / "pg_dump", "--no-owner", "--no-privileges", "--inserts", server.url(database)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines = [line for line in text.splitlines() if not line.startswith(("--", "\\"))]
        return {" ".join(statement.split()) for statement in "\n".join(lines).split(";\n")}


@pytest.fixture
def comparison(file_bench: Bench, serve_dump: ServeDump, tmp_path: Path) -> Comparison:
    return Comparison(file_bench, serve_dump, tmp_path)


@pytest.mark.parametrize(
    ("definition", "wanted"),
    [
        ("CREATE TABLE t (a int, tablespace text) TABLESPACE x;", "CREATE TABLE t (a int, tablespace text);"),
        ('CREATE TABLE t (a int) WITH (fillfactor=9) TABLESPACE "A x";', "CREATE TABLE t (a int) WITH (fillfactor=9);"),
        ("CREATE TABLE t (a int UNIQUE USING INDEX TABLESPACE x, b int);", "CREATE TABLE t (a int UNIQUE, b int);"),
        ("CREATE TABLE t TABLESPACE x AS SELECT 1 AS tablespace;", "CREATE TABLE t AS SELECT 1 AS tablespace;"),
        ("CREATE TABLE s.tablespace (a int);", None),
        ("CREATE INDEX i ON tablespace USING btree (a);", None),
        ("CREATE INDEX i ON t (a) TABLESPACE x WHERE tablespace > 0;", "CREATE INDEX i ON t (a) WHERE tablespace > 0;"),
        ("ALTER TABLE t ADD PRIMARY KEY (a) USING INDEX TABLESPACE x;", "ALTER TABLE t ADD PRIMARY KEY (a);"),
        ("ALTER TABLE t ADD COLUMN a int, SET TABLESPACE x;", "ALTER TABLE t ADD COLUMN a int;"),
        ("ALTER TABLE t SET TABLESPACE x, ADD COLUMN a int;", "ALTER TABLE t ADD COLUMN a int;"),
        ("ALTER TABLE t ADD COLUMN tablespace int;", None),
    ],
)  # fmt: skip
def test_tablespaces_are_removed_from_a_definition(definition: str, wanted: str | None) -> None:
    assert " ".join(remove_tablespaces(definition).split()) == (wanted or definition)


PLACED = """
SET default_tablespace = fast;
CREATE TABLE public.t (id int NOT NULL, n text) TABLESPACE fast;
CREATE TABLE public.p (id int PRIMARY KEY USING INDEX TABLESPACE fast, n text UNIQUE USING INDEX TABLESPACE fast);
COPY public.t (id, n) FROM stdin;
7	a
\\.
ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id) USING INDEX TABLESPACE fast;
CREATE UNIQUE INDEX i ON public.t USING btree (n) TABLESPACE fast WHERE id > 5;
CREATE TABLE public.r (id int, tablespace text) PARTITION BY LIST (id) TABLESPACE fast;
CREATE TABLE public.r1 PARTITION OF public.r FOR VALUES IN (1) TABLESPACE fast;
ALTER TABLE public.t SET TABLESPACE fast, ADD COLUMN extra int;
ALTER INDEX public.i SET TABLESPACE fast;
SELECT pg_catalog.set_config('default_tablespace', 'fast', false);
"""


def test_tablespaces_cost_no_table_and_no_key(comparison: Comparison) -> None:
    placements = r"(?m)^(SET|ALTER INDEX|SELECT).*fast.*\n|SET TABLESPACE fast, |( USING INDEX)? TABLESPACE fast"
    result, differences = comparison.run(PLACED, for_psql=re.sub(placements, "", PLACED))
    assert differences == []
    assert result.skipped == []


def test_a_timeout_in_the_file_ends_no_statement(comparison: Comparison) -> None:
    statements = "SET lock_timeout = 1;\n{}CREATE TABLE public.t AS SELECT 1 AS one FROM pg_sleep(0.1);\n"
    timeouts = "SET statement_timeout = 1;\nSELECT set_config('statement_timeout', '1', false);\nRESET ALL;\n"
    result, differences = comparison.run(statements.format(timeouts), for_psql=statements.format(""))
    assert differences == []
    assert list_skipped(result) == ""


def test_rows_of_each_form_of_copy_arrive(comparison: Comparison) -> None:
    statements = """
    create table public.t (id int, note text);
    COPY public.t (id, note) FROM stdin WITH (FORMAT csv);
1,"a ""x"", b"
2,"two
lines"
\\.
    copy public.t from STDIN CSV HEADER DELIMITER ';' NULL 'nothing';
id;note
3;nothing
\\.
    COPY public.t FROM stdin WITH DELIMITER '|' NULL '';
4|
\\.
    COPY public.t (id, note) FROM STDIN WHERE id < 6;
5	a
6	b
\\.
    create table public.u (id int);
    copy public.u from stdin;
1
\\.
    create function public.f(a int) returns int language sql begin atomic select 1; select 2; end;
    """
    result, differences = comparison.run(statements)
    assert differences == []
    assert result.verification is not None
    assert (result.verification.tables, result.verification.rows) == (1, 1)
    assert any(text.startswith("rows of 1 table (public.t)") for text in result.verification.not_compared)


ROOT, LEAF, OTHER = ("s", "root"), ("s", "leaf"), ("s", "other")


@pytest.mark.parametrize(
    ("counts", "uncounted", "expected", "unknown"),
    [
        ({LEAF: 1, OTHER: 2}, set(), {LEAF: 1, OTHER: 2}, []),
        ({ROOT: 1}, set(), {ROOT: 1}, []),
        ({ROOT: 1, LEAF: 2}, set(), {ROOT: 3}, [LEAF]),
        ({ROOT: 1}, {LEAF}, {}, [LEAF, ROOT]),
        ({LEAF: 1}, {ROOT}, {}, [LEAF, ROOT]),
        ({LEAF: 1, OTHER: 2}, {LEAF}, {OTHER: 2}, [LEAF]),
    ],
)
def test_the_file_tells_the_rows_of_tables_that_only_get_counted_ones(
    counts: dict[Name, int], uncounted: set[Name], expected: dict[Name, int], unknown: list[Name]
) -> None:
    assert plan_file_counts(FileRows(counts, uncounted), {LEAF: {ROOT}}) == (expected, unknown)
