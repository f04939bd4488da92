"""Plain SQL is split into statements, rows and psql commands, wherever the chunks of the file end."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.plain_sql_lexer import (
    LAST_LINE,
    CopyRows,
    Item,
    PlainSqlLexer,
    PsqlCommand,
    SqlStatement,
    find_copy_options,
)
from pgimport.worker.engines.file.statement_rules import RestoreTime, TargetFacts, judge_statement
from pgimport.worker.engines.file.statement_subject import parse_subject
from pgimport.worker.postgres.errors import ImportStopped

END = b"\n--\n" + LAST_LINE + b"\n--\n\n"
STATEMENTS = [
    b"SELECT 1;",
    b"SELECT 'a;b', E'c\\';d', \"e;\"\"f\", $$g;h$$, $x$i;$$;j$x$, 'k''l;';",
    b"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $_$SELECT 1; -- ' $_$;",
    b"CREATE FUNCTION g() RETURNS int\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;",
    b"create or  replace /* x */ function g() returns int language sql\nbegin atomic select case a when 1 then 2 end;"
    b" select 2; end;",
    b"CREATE PROCEDURE p() LANGUAGE sql BEGIN  ATOMIC INSERT INTO t VALUES (1); END;",
    b"create function f() returns int return 1;",
    b"create rule r as on insert to t do also (insert into u values (1); insert into v values (')'););",
    b'CREATE TABLE t ("end;" int, begin int);',
    b"INSERT INTO t VALUES ('--', '/*', E'\\\\');",
    b"SELECT a$1, b$$c$$ /* ; /* ; */ ; */ -- ; '\n;",
    b"SELECT U&'d\\0061t', N'x;', B'1', X'F', e'\\'';",
    b"COMMENT ON TABLE t IS '\xc3\xa9;\n-- PostgreSQL database dump complete\n';",
    b'SELECT 1 AS "$a$;";',
]


class SmallChunks:
    """Reads a few bytes at a time."""

    def __init__(self, content: bytes, seed: int) -> None:
        self._inner, self._chance = io.BytesIO(content), random.Random(seed)  # noqa: S311 (no secret)

    def read(self, count: int) -> bytes:
        return self._inner.read(min(count, self._chance.choice([1, 2, 3, 5, 8, 13, 100])))


def lex(content: bytes, seed: int | None = None) -> list[Item]:
    reader = io.BytesIO(content) if seed is None else SmallChunks(content, seed)
    return list(PlainSqlLexer(DumpStream(reader)).items())


def join_rows(items: list[Item]) -> list[bytes]:
    """Returns the text of each item. The pieces of rows of one COPY are joined."""
    texts: list[bytes] = []
    joining = False
    for item in items:
        if isinstance(item, CopyRows) and joining:
            texts[-1] += item.text
        else:
            texts.append(item.text)
        joining = isinstance(item, CopyRows) and not item.last
    return texts


def count_rows(items: list[Item]) -> int:
    return sum(item.newlines for item in items if isinstance(item, CopyRows))


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_ends_at_its_own_semicolon(statement: bytes) -> None:
    items = lex(b"SET a = 1;\n\n" + statement + b"\nSET b = 2;" + END)
    assert join_rows(items) == [b"SET a = 1;", statement, b"SET b = 2;"]


COPY = b"COPY public.t (a, b) FROM stdin;\n"


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("COPY t (a, b) FROM stdin;", []),
        ("copy t from STDIN csv header delimiter '|';", ["csv", "header", "delimiter", "|"]),
        ("COPY t FROM STDIN (FORMAT 'CSV') WHERE b;", ["(", "format", "csv", ")", "where", "b"]),
        ("COPY t FROM '/tmp/stdin';", None),
        ("COPY (SELECT * FROM stdin) TO stdout;", None),
        ("COPY stdin (a) FROM PROGRAM 'stdin';", None),
    ],
)  # fmt: skip
def test_rows_follow_a_copy_from_standard_input(statement: str, options: list[str] | None) -> None:
    assert find_copy_options(statement) == options
    if options is not None:
        items = lex(statement.encode() + b"\n1,2\n\\.\n" + END)
        assert join_rows(items) == [statement.encode(), b"1,2\n\\.\n"]


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        pytest.param(b"\\.\n", 0, id="none"),
        pytest.param(b"1\tx\n\\.\n", 1, id="one"),
        pytest.param(b"\n\\.\n", 1, id="one of an empty text"),
        pytest.param(b"\\\\.\n\\N\n\\\\.x\n\\.\n", 3, id="rows that look like the end"),
        pytest.param(b"';\n$$\n/*\n--\n\\.\n", 4, id="rows that look like SQL"),
    ],
)
def test_rows_are_counted(rows: bytes, count: int) -> None:
    for seed in range(20):
        items = lex(COPY + rows + b"\nSELECT 1;" + END, seed)
        assert join_rows(items) == [COPY.strip(), rows, b"SELECT 1;"]
        assert count_rows(items) == count


@given(
    st.lists(st.sampled_from([*STATEMENTS, COPY + b"1\t2\n3\t4\n\\.\n", COPY + b"\\.\n"]), max_size=8), st.integers()
)
def test_the_ends_of_chunks_do_not_matter(parts: list[bytes], seed: int) -> None:
    content = b"--\n-- head\n--\n\n" + b"\n\n".join(parts) + END
    unsplit = lex(content)
    split = lex(content, seed)
    assert join_rows(split) == join_rows(unsplit)
    assert count_rows(split) == count_rows(unsplit)
    lines = [item.line for item in unsplit if isinstance(item, SqlStatement)]
    assert [item.line for item in split if isinstance(item, SqlStatement)] == lines
    assert [content.split(b"\n")[line - 1][:4] for line in lines] == [
        item.text[:4] for item in unsplit if isinstance(item, SqlStatement)
    ]


def test_a_backslash_has_a_meaning_where_the_file_says_so() -> None:
    parts = [
        b"SET standard_conforming_strings = off;",
        b"SELECT 'a\\'; b';",
        b"SET standard_conforming_strings TO 'on';",
        b"SELECT 'c\\';",
    ]
    assert join_rows(lex(b"\n".join(parts) + END)) == parts


def test_a_psql_command_is_one_line() -> None:
    items = lex(b"\\restrict abc\n\nSELECT 1;\n\n--\n" + LAST_LINE + b"\n--\n\n\\unrestrict abc\n\n")
    assert [type(item) for item in items] == [PsqlCommand, SqlStatement, PsqlCommand]


@pytest.mark.parametrize(
    "content",
    [
        b"SELECT 1;\n",
        b"SELECT 1",
        b"SELECT 'a",
        b'SELECT "a',
        b"SELECT $$a",
        b"/* a",
        COPY + b"1\t2\n",
        COPY.strip(),
        b"SELECT 1;" + END + b"SELECT 2;\n",
        COPY + b"1\\.\n" + END,
    ],
)
def test_a_truncated_dump_is_refused(content: bytes) -> None:
    with pytest.raises(ImportStopped):
        lex(content)


NOW, LAST, NEVER = RestoreTime.NOW, RestoreTime.LAST, RestoreTime.NEVER


@pytest.mark.parametrize(
    ("statement", "when"),
    [
        ("CREATE TABLE public.t (owner int, grant_to text);", NOW),
        ("ALTER TABLE public.t OWNER TO alice;", NEVER),
        ('ALTER FUNCTION public."owner to"(integer) OWNER TO "Alice B";', NEVER),
        ("ALTER TABLE ONLY public.t ALTER COLUMN owner SET DEFAULT 1;", NOW),
        ("ALTER SEQUENCE public.s OWNED BY public.t.owner;", NOW),
        ("GRANT ALL ON TABLE public.t TO alice;", NEVER),
        ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", NEVER),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT ALL ON TABLES TO b;", NEVER),
        ("CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;", NEVER),
        ("COMMENT ON EXTENSION citext IS 'x';", NEVER),
        ("CREATE SCHEMA public;", NEVER),
        ("CREATE SCHEMA shop;", NOW),
        ("COMMENT ON SCHEMA public IS 'x';", NOW),
        ("SET default_tablespace = fast;", NEVER),
        ("SET LOCAL transaction_timeout = '1s';", NEVER),
        ("SET statement_timeout = 0;", NEVER),
        ("SELECT pg_catalog.set_config('default_tablespace', 'fast', false);", NEVER),
        ("SELECT pg_catalog.set_config('search_path', '', false);", NOW),
        ("ALTER INDEX public.i SET TABLESPACE fast;", NEVER),
        ("ALTER TABLE public.t ADD CONSTRAINT k PRIMARY KEY (id) USING INDEX TABLESPACE fast;", NOW),
        ("CREATE POLICY p ON public.t USING (true);", LAST),
        ("CREATE POLICY p ON public.t TO nobody USING (true);", NEVER),
        ("ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;", LAST),
        ("ALTER TABLE ONLY public.t FORCE ROW LEVEL SECURITY;", LAST),
        ("REFRESH MATERIALIZED VIEW public.m;", NEVER),
        ("REFRESH MATERIALIZED VIEW public.m WITH NO DATA;", NOW),
        ("DROP POLICY p ON public.t;", LAST),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();", NEVER),
        ("ALTER EVENT TRIGGER e DISABLE;", NEVER),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w;", NEVER),
        ("CREATE FOREIGN TABLE public.f (a int) SERVER s;", NEVER),
        ("CREATE PUBLICATION p FOR ALL TABLES;", NEVER),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS 'x';", NOW),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1';", NOW),
        ("CREATE TYPE public.m AS ENUM ('a');", NOW),
        ("SELECT pg_catalog.setval('public.s', 1, true);", NOW),
    ],
)
def test_each_statement_runs_at_its_time(statement: str, when: RestoreTime) -> None:
    target = TargetFacts(roles=frozenset({"alice"}))
    assert judge_statement(statement, parse_subject(statement), target).when is when


@pytest.mark.parametrize(
    ("statement", "title"),
    [
        ("SECURITY LABEL FOR masks ON COLUMN app.people.email IS 'MASKED';", "SECURITY LABEL app.COLUMN people.email"),
        ("SECURITY LABEL ON TABLE people IS NULL;", "SECURITY LABEL public.TABLE people"),
        ("SECURITY LABEL FOR masks ON ROLE clerk IS 'MASKED';", "SECURITY LABEL ROLE clerk"),
    ],
)
def test_a_security_label_is_listed(statement: str, title: str) -> None:
    verdict = judge_statement(statement, parse_subject(statement), TargetFacts())
    assert (verdict.when, verdict.skipped and verdict.skipped.object) == (NEVER, title)
