"""CHECKs and foreign keys of plain SQL wait for the rows, in whatever form the file writes them."""

from collections.abc import Callable

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.hand_written import CONSTRAINTS, as_dump, list_skipped

ServeDump = Callable[[bytes], None]
FORMS = """
CREATE TABLE forms (
    id int PRIMARY KEY, -- the key
    price int CHECK (price > 0), -- not free
    amount int CONSTRAINT few CHECK (((amount) BETWEEN 1 AND 10)) DEFAULT 1,
    note text CHECK (note LIKE 'a%' OR (note = ')') OR note IN ('b', ('c'))) NOT NULL,
    -- of two columns
    CHECK (price < amount),
    CHECK (price > -5) NO INHERIT
);
CREATE TABLE parent (a int CHECK (a > 0), b int, CHECK (b > a) NO INHERIT);
CREATE TABLE child (c int CHECK (c > 0), CHECK (a < 100)) INHERITS (parent);
CREATE TABLE grandchild (CONSTRAINT parent_a_check CHECK (a > 0)) INHERITS (child);
CREATE TABLE parted (a int CONSTRAINT positive CHECK (a > 0), b text) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (-10) TO (10);
CREATE TABLE parted_2 (a int CONSTRAINT positive CHECK (a > 0), b text CHECK (b <> ''));
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE later (id int);
ALTER TABLE later ADD COLUMN n int CHECK (n > 0);
ALTER TABLE later ADD CHECK (id < n), ADD CONSTRAINT not_negative CHECK (id >= 0);
CREATE SCHEMA apart CREATE TABLE inside (a int CHECK (a > 0));
CREATE TABLE alike (LIKE parent INCLUDING ALL);
CREATE TABLE orders (id int REFERENCES forms ON DELETE CASCADE, boss int, FOREIGN KEY (boss) REFERENCES forms (id));
"""
VIOLATING_ROWS = """
INSERT INTO orders VALUES (4711, 1), (1, 4712);
INSERT INTO forms VALUES (4711, 0, 20, 'b'), (1, 1, 2, 'a');
INSERT INTO child VALUES (-1, 1, 1);
INSERT INTO grandchild VALUES (-2, 1, 1);
INSERT INTO parent VALUES (2, 1);
COPY parted (a, b) FROM stdin;
-1\tx
12\t
\\.
INSERT INTO later VALUES (-9, -10);
INSERT INTO apart.inside VALUES (-1);
"""
VIOLATED = {
    "apart.inside inside_a_check": "(-1)",
    "public.forms few": "(id)=(4711)",
    "public.forms forms_price_check": "(id)=(4711)",
    "public.grandchild parent_a_check": "(-2,1,1)",
    "public.later later_check": "(-9,-10)",
    "public.later later_n_check": "(-9,-10)",
    "public.later not_negative": "(-9,-10)",
    "public.orders orders_boss_fkey": "(boss)=(4712)",
    "public.parent parent_a_check": "(-1,1)",
    "public.parent parent_check": "(2,1)",
    "public.parted positive": "(-1,x)",
    "public.parted_2 parted_2_b_check": '(12,"")',
}
CHANGED_LATER = """
CREATE TABLE dropped (a int CONSTRAINT positive CHECK (a > 0), b text) PARTITION BY RANGE (a);
CREATE TABLE dropped_1 PARTITION OF dropped (CONSTRAINT own CHECK (b <> '')) FOR VALUES FROM (-10) TO (10);
INSERT INTO dropped VALUES (1, 'x');
DROP TABLE dropped;
CREATE TABLE old_name (a int CHECK (a > 0), b int CHECK (b > 0));
INSERT INTO old_name VALUES (1, 1);
ALTER TABLE old_name RENAME COLUMN a TO n;
ALTER TABLE old_name DROP COLUMN b;
ALTER TABLE old_name RENAME TO new_name;
ALTER TABLE new_name RENAME CONSTRAINT old_name_a_check TO renamed;
INSERT INTO new_name VALUES (2);
CREATE TABLE alike (LIKE new_name INCLUDING ALL);
CREATE TABLE parted (a int CHECK (a < 100)) PARTITION BY RANGE (a);
CREATE TABLE parted_1 (a int CONSTRAINT parted_a_check CHECK (a < 100));
INSERT INTO parted_1 VALUES (5);
ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES FROM (0) TO (10);
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE owned (id int REFERENCES owners ON DELETE CASCADE);
INSERT INTO owners VALUES (1), (2);
INSERT INTO owned VALUES (1), (2);
DELETE FROM owners WHERE id = 1;
"""


def read_constraints(server: PostgresServer, statements: str) -> list[tuple[object, ...]]:
    """Returns the constraints that the statements create without pgimport."""
    with server.database("without_pgimport") as name:
        server.execute(statements, name)
        return server.query(CONSTRAINTS, name)


@pytest.mark.parametrize("frame", ["{}", "BEGIN;\n{}\nCOMMIT;"], ids=["no transaction", "one transaction"])
def test_rows_that_violate_a_constraint_arrive(
    file_bench: Bench, serve_dump: ServeDump, postgres18: PostgresServer, frame: str
) -> None:
    serve_dump(as_dump(frame.format(FORMS + VIOLATING_ROWS)))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert postgres18.query(CONSTRAINTS, shadow) == read_constraints(postgres18, FORMS)
        assert postgres18.query("SELECT count(*) FROM forms", shadow) == [(2,)]
    violated = {
        f"{'FK' if name.endswith('_fkey') else 'CHECK'} CONSTRAINT {name}": key for name, key in VIOLATED.items()
    }
    skipped = list_skipped(result)
    assert all("it is NOT VALID" in item.reason for item in skipped.values())
    assert {title: item.offending_key for title, item in skipped.items()} == violated


def test_a_constraint_returns_before_its_table_changes(
    file_bench: Bench, serve_dump: ServeDump, postgres18: PostgresServer
) -> None:
    serve_dump(as_dump(CHANGED_LATER))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert postgres18.query(CONSTRAINTS, shadow) == read_constraints(postgres18, CHANGED_LATER)
        assert postgres18.query("SELECT id FROM owned", shadow) == [(2,)]
    assert list_skipped(result) == {}


def test_a_constraint_that_waits_again_is_judged_by_the_last_rows(
    file_bench: Bench, serve_dump: ServeDump, postgres18: PostgresServer
) -> None:
    """A statement between the rows needs the constraints, when rows violate them."""
    statements = """
    CREATE TABLE cured (id int CHECK (id > 0)); CREATE TABLE ill (id int CHECK (id > 0));
    INSERT INTO cured VALUES (-1); INSERT INTO ill VALUES (-4711);
    BEGIN; DELETE FROM cured; COMMIT;
    INSERT INTO cured VALUES (1); INSERT INTO ill VALUES (1);
    """
    serve_dump(as_dump(statements))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        states = postgres18.query("SELECT conname, convalidated FROM pg_constraint WHERE contype = 'c'", shadow)
    assert {name: state for name, state in states if name.endswith("_id_check")} == {
        "cured_id_check": True,
        "ill_id_check": False,
    }
    (listed,) = result.skipped
    assert (listed.object, listed.offending_key) == ("CHECK CONSTRAINT public.ill ill_id_check", "(-4711)")


def test_a_transaction_of_the_file_does_not_block_the_search_for_a_key(
    file_bench: Bench, serve_dump: ServeDump, postgres18: PostgresServer
) -> None:
    """ALTER TABLE locks the table until the file commits."""
    serve_dump(
        as_dump("CREATE TABLE t (id int CHECK (id > 0)); BEGIN; INSERT INTO t VALUES (-1); DELETE FROM t; COMMIT;")
    )
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        states = postgres18.query("SELECT convalidated FROM pg_constraint WHERE conname = 't_id_check'", shadow)
    assert states == [(False,)]
    assert list_skipped(result).keys() == {"CHECK CONSTRAINT public.t t_id_check"}


def test_a_refused_part_costs_no_table(file_bench: Bench, serve_dump: ServeDump, postgres18: PostgresServer) -> None:
    """However the file writes it; the other parts of the table stay."""
    statements = """
    CREATE TABLE people (id int PRIMARY KEY);
    CREATE TABLE orders (
        id int PRIMARY KEY,
        unknown int REFERENCES nowhere (id), -- an absent table
        price int DEFAULT absent() CHECK (absent(price)),
        buyer int REFERENCES people CHECK (buyer > 0),
        CHECK (price < buyer),
        FOREIGN KEY (price) REFERENCES nowhere,
        EXCLUDE USING absent (price WITH =)
    );
    INSERT INTO people VALUES (7);
    INSERT INTO orders VALUES (1, 2, 3, 7);
    """
    serve_dump(as_dump(statements))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert postgres18.query("SELECT * FROM orders", shadow) == [(1, 2, 3, 7)]
        names = [row[1] for row in postgres18.query(CONSTRAINTS, shadow)]
    assert names == ["orders_buyer_check", "orders_buyer_fkey", "orders_check"]
    assert list_skipped(result).keys() == {
        "CHECK CONSTRAINT public.orders orders_price_check",
        "CONSTRAINT public.orders orders_price_excl",
        "DEFAULT public.orders price",
        "FK CONSTRAINT public.orders orders_price_fkey",
        "FK CONSTRAINT public.orders orders_unknown_fkey",
    }


def test_a_second_check_of_the_same_name_is_listed(file_bench: Bench, serve_dump: ServeDump) -> None:
    """However the rows lie: without the first CHECK, which waits for them, the target would take the second."""
    statements = """
    CREATE TABLE t (a int CONSTRAINT c CHECK (a > 0), b int);
    ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0);
    CREATE TABLE u (a int CONSTRAINT d CHECK (a > 0), b int);
    INSERT INTO u VALUES (1, 1);
    ALTER TABLE u ADD CONSTRAINT d CHECK (b > 0);
    """
    serve_dump(as_dump(statements))
    with file_bench.shadow():
        result = file_bench.run()
        assert result.ok, result.failure
    reasons = "; ".join(f"{item.object}: {item.reason}" for item in result.skipped)
    assert "CHECK CONSTRAINT public.t c: " in reasons
    assert "CHECK CONSTRAINT public.u d is there already" in reasons
