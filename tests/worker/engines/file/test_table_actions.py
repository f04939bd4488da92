"""ALTER TABLE with several actions is split, so that a refused action costs no other."""

from collections.abc import Callable

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.hand_written import CONSTRAINTS, as_dump, list_skipped

from pgimport.worker.engines.file.table_actions import split_actions

SPLIT = {
    "ALTER TABLE t ADD c int, OWNER TO foo;": ["ADD c int", "OWNER TO foo"],
    "ALTER TABLE t ADD CHECK (c IN (1, 2)), ADD c int[] DEFAULT ARRAY[1, 2];": [
        "ADD c int[] DEFAULT ARRAY[1, 2]",
        "ADD CHECK (c IN (1, 2))",
    ],
    "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES t (b), ADD UNIQUE (b), DROP d": [
        "DROP d",
        "ADD UNIQUE (b)",
        "ADD FOREIGN KEY (a) REFERENCES t (b)",
    ],
    "ALTER TABLE t ALTER c DROP DEFAULT, ADD d int, ALTER COLUMN c TYPE text, ALTER c SET DEFAULT 'x, y';": [
        "ALTER c DROP DEFAULT, ALTER COLUMN c TYPE text, ALTER c SET DEFAULT 'x, y'",
        "ADD d int",
    ],
    "ALTER TABLE t DROP CONSTRAINT k, ADD CONSTRAINT k CHECK (true), VALIDATE CONSTRAINT k;": [
        "DROP CONSTRAINT k, ADD CONSTRAINT k CHECK (true)",
        "VALIDATE CONSTRAINT k",
    ],
}


@pytest.mark.parametrize("statement", SPLIT)
def test_actions_get_statements_of_their_own(statement: str) -> None:
    assert split_actions(statement) == [f"ALTER TABLE t {actions};" for actions in SPLIT[statement]]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t ADD c numeric(9, 2);",
        "ALTER TABLE t SET (fillfactor = 70, autovacuum_enabled = off);",
        "ALTER TABLE t ALTER c DROP DEFAULT, ALTER c TYPE text;",
        "ALTER TABLE t ALTER c DROP DEFAULT, ALTER c TYPE text, ALTER d SET DATA TYPE text;",
        "ALTER TABLE ALL IN TABLESPACE a OWNED BY b, c SET TABLESPACE d;",
        "ALTER TYPE t ADD ATTRIBUTE a int, ADD ATTRIBUTE b int;",
        "ALTER TABLE",
    ],
)
def test_other_statements_stay_whole(statement: str) -> None:
    assert split_actions(statement) == [statement]


def test_a_refused_action_costs_no_other(
    file_bench: Bench, serve_dump: Callable[[bytes], None], postgres18: PostgresServer
) -> None:
    statements = """
    CREATE TABLE t (id int);
    ALTER TABLE t ADD COLUMN owned int, OWNER TO absent;
    ALTER TABLE ONLY t OWNER TO absent, ADD COLUMN a int, ADD COLUMN b absent, ADD c int DEFAULT 3 CHECK (absent(c));
    ALTER TABLE t ADD PRIMARY KEY (id), ADD CONSTRAINT known CHECK (absent(id)), ALTER a SET DEFAULT 4;
    ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES t, ADD FOREIGN KEY (c) REFERENCES absent;
    INSERT INTO t VALUES (1, 2, 1, 4);
    ALTER TABLE t ADD CHECK (id > 10);
    """
    serve_dump(as_dump(statements))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert postgres18.query("SELECT id, owned, a, c FROM t", shadow) == [(1, 2, 1, 4)]
        assert [row[1] for row in postgres18.query(CONSTRAINTS, shadow)] == ["t_a_fkey", "t_id_check"]
        assert postgres18.query("SELECT conname FROM pg_constraint WHERE contype = 'p'", shadow)
    assert list_skipped(result).keys() == {
        "ALTER TABLE ONLY t ADD COLUMN b absent",
        "ALTER TABLE t ADD CHECK (id > 10)",
        "CHECK CONSTRAINT public.t known",
        "CHECK CONSTRAINT public.t t_c_check",
        "FK CONSTRAINT public.t t_c_fkey",
    }


def test_a_refused_action_beside_a_drop_is_listed(file_bench: Bench, serve_dump: Callable[[bytes], None]) -> None:
    statements = """
    CREATE TABLE t (id int, feels text DEFAULT 'x');
    ALTER TABLE t DROP CONSTRAINT IF EXISTS k, ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES absent;
    ALTER TABLE t ALTER feels DROP DEFAULT, ALTER feels TYPE absent USING feels::absent;
    ALTER TABLE t DROP CONSTRAINT absent;
    ALTER TABLE t ALTER COLUMN absent DROP NOT NULL;
    """
    serve_dump(as_dump(statements))
    with file_bench.shadow():
        result = file_bench.run()
        assert result.ok, result.failure
    assert [item.object.partition(",")[0] for item in result.skipped] == [
        "ALTER TABLE t DROP CONSTRAINT IF EXISTS k",
        "ALTER TABLE t ALTER feels DROP DEFAULT",
    ]
