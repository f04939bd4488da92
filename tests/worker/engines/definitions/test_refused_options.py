"""An option of a column or index that the target refuses does not cost its table or index."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import dump

from pgimport.worker.archive.sql_tokens import split_options, split_statements

OPTIONS = """
CREATE TABLE t (id int PRIMARY KEY, note text CONSTRAINT known CHECK (note <> ''), price int DEFAULT 7);
ALTER TABLE t ALTER price SET (n_distinct = 5, n_distinct_inherited = 5), ALTER note SET STORAGE EXTERNAL;
ALTER TABLE t ALTER id SET STATISTICS 7;
CREATE INDEX by_sum ON t ((id + price));
ALTER INDEX by_sum ALTER COLUMN 1 SET STATISTICS 77;
CREATE MATERIALIZED VIEW seen AS SELECT id FROM t;
ALTER MATERIALIZED VIEW seen ALTER id SET (n_distinct = 3);
INSERT INTO t VALUES (1, 'x');
"""
KEPT = """
SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass),
  (SELECT string_agg(concat(attstorage, attstattarget), ',' ORDER BY attnum) FROM pg_attribute
   WHERE attrelid = 't'::regclass AND attnum > 0),
  (SELECT count(*) FROM pg_constraint WHERE conname = 'known'), (SELECT count(*) FROM pg_attrdef),
  (SELECT count(*) FROM seen), (SELECT count(*) FROM pg_attribute WHERE attoptions = '{n_distinct_inherited=5}')
"""


@pytest.mark.parametrize("path", ["custom", "plain"])
def test_a_refused_option_costs_nothing_else(
    file_bench: Bench, serve_dump: Callable[[bytes], None], postgres16: PostgresServer, tmp_path: Path, path: str
) -> None:
    with postgres16.database("options") as name:
        postgres16.execute(OPTIONS, name)
        content = dump(postgres16, name, path, tmp_path)
    # As if the source's server had an option and a statement that the target lacks.
    serve_dump(content.replace(b"(n_distinct=", b"(n_distanct=").replace(b"STATISTICS 77", b"STATISTICA 77"))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query(KEPT, shadow) == [(1, 2, "p7,e,p", 1, 1, 1, 1)]
    assert {item.object.replace("ONLY ", "") for item in result.skipped} == {
        "ALTER TABLE public.t ALTER COLUMN price SET (n_distanct=5)",
        "ALTER TABLE public.seen ALTER COLUMN id SET (n_distanct=3)",
        "ALTER INDEX public.by_sum ALTER COLUMN 1 SET STATISTICA 77",
    }


def test_a_definition_is_split_into_its_statements() -> None:
    text = "CREATE TABLE t (\n    a text DEFAULT ';',\n    b int\n);\nALTER TABLE t SET (x=';');\n\n\nALTER TABLE t y"
    assert split_statements(text) == [text[:53], "ALTER TABLE t SET (x=';');", "ALTER TABLE t y"]
    assert split_statements("") == []


def test_options_are_split() -> None:
    text = "ALTER TABLE t ALTER c SET (n_distinct=-0.5, \"odd, one\"='a, b');"
    assert split_options(text) == [
        "ALTER TABLE t ALTER c SET (n_distinct=-0.5);",
        "ALTER TABLE t ALTER c SET (\"odd, one\"='a, b');",
    ]
    for statement in (
        "ALTER TABLE t ALTER c SET (a=1);",
        "ALTER TABLE t SET SCHEMA s;",
        "CREATE INDEX i ON t (a, b);",
        "",
    ):
        assert split_options(statement) == [statement]
