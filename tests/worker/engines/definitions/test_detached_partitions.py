"""A partition that the target does not attach stays as a table with its rows, and the report says so."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.definitions.conftest import ImportBy, find_skipped
from tests.worker.engines.file.conftest import dump

REFUSED_PARENT = """
CREATE FUNCTION refused(int) RETURNS int IMMUTABLE LEAKPROOF LANGUAGE sql AS 'SELECT $1';
CREATE TABLE parent (a int, b text) PARTITION BY RANGE (refused(a));
CREATE TABLE part_1 PARTITION OF parent FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF parent FOR VALUES FROM (10) TO (20) PARTITION BY LIST (b);
CREATE TABLE part_2x PARTITION OF part_2 FOR VALUES IN ('x');
INSERT INTO parent VALUES (1, 'a'), (11, 'x'), (12, 'x');
CREATE INDEX by_b ON parent (b);
CREATE TABLE hashed (a int) PARTITION BY HASH (refused(a));
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO hashed VALUES (1);
"""
REFUSED_BOUND = """
CREATE TABLE parent (a text) PARTITION BY RANGE (a);
CREATE TABLE part_1 PARTITION OF parent FOR VALUES FROM ('a') TO ('b');
INSERT INTO parent VALUES ('aa');
"""
INDEXES = "SELECT relname::text FROM pg_class WHERE relkind IN ('i', 'I') AND relname LIKE 'part%' ORDER BY 1"
OWN_TABLE = "public.part_1 is a table of its own in the copy, with its rows"
DETACHED = "TABLE ATTACH public.part_1"


def test_the_partitions_of_a_refused_table_keep_their_rows(
    import_by: ImportBy, file_bench: Bench, postgres16: PostgresServer
) -> None:
    with postgres16.database("detached") as name, file_bench.shadow() as shadow:
        postgres16.execute(REFUSED_PARENT, name)
        result = import_by(name)
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT (SELECT count(*) FROM part_1), count(*) FROM part_2x", shadow) == [
            (1, 2)
        ]
        attached = file_bench.target.query("SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1", shadow)
        assert attached == [("part_2x",), ("part_2x_b_idx",)]
        assert file_bench.target.query(INDEXES, shadow) == [("part_1_b_idx",), ("part_2_b_idx",), ("part_2x_b_idx",)]
    assert OWN_TABLE in find_skipped(result, DETACHED).reason
    assert find_skipped(result, "TABLE public.hashed_1").rows == 1
    assert {item.object for item in result.skipped} == {
        "FUNCTION public.refused(integer)",
        "TABLE public.parent",
        DETACHED,
        "TABLE ATTACH public.part_2",
        "INDEX public.by_b",
        "TABLE public.hashed",
        "TABLE public.hashed_1",
    }


@pytest.mark.parametrize("options", [(), ("--load-via-partition-root",)])
@pytest.mark.parametrize("path", ["custom", "plain"])
def test_rows_of_a_refused_partition_are_not_lost_in_silence(
    file_bench: Bench,
    serve_dump: Callable[[bytes], None],
    postgres16: PostgresServer,
    tmp_path: Path,
    path: str,
    options: tuple[str, ...],
) -> None:
    """The bounds of the partition are empty for the target, as those of another collation can be."""
    with postgres16.database("detached") as name:
        postgres16.execute(REFUSED_BOUND, name)
        content = dump(postgres16, name, path, tmp_path, *options)
    serve_dump(content.replace(b"TO ('b')", b"TO ('A')"))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM part_1", shadow) == [(1,)]
    assert OWN_TABLE in find_skipped(result, DETACHED).reason


@pytest.mark.parametrize("path", ["custom", "directory", "plain"])
def test_rows_that_a_dump_loads_through_a_refused_table_go_into_its_partitions(
    file_bench: Bench, serve_dump: Callable[[bytes], None], postgres16: PostgresServer, tmp_path: Path, path: str
) -> None:
    """Both partitions have the same COPY statement in the dump."""
    with postgres16.database("detached") as name:
        postgres16.execute(REFUSED_PARENT, name)
        serve_dump(dump(postgres16, name, path, tmp_path, "--load-via-partition-root"))
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT (SELECT count(*) FROM part_1), count(*) FROM part_2x", shadow) == [
            (1, 2)
        ]
    assert result.verification is not None
    assert result.verification.verified


@pytest.mark.parametrize("path", ["custom", "plain"])
def test_a_row_that_fits_no_partition_of_the_copy_is_named(
    file_bench: Bench, serve_dump: Callable[[bytes], None], postgres16: PostgresServer, tmp_path: Path, path: str
) -> None:
    """The target sorts text otherwise than the source."""
    with postgres16.database("detached") as name:
        postgres16.execute(REFUSED_BOUND, name)
        content = dump(postgres16, name, path, tmp_path)
    serve_dump(content.replace(b"FROM ('a')", b"FROM ('b')").replace(b"TO ('b')", b"TO ('z')"))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is not None
    assert "part_1" in failure.message
    assert "(aa)" in failure.message
    if path == "plain":  # pg_restore gives no SQLSTATE
        assert "--load-via-partition-root" in failure.advice
