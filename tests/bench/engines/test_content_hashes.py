import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.engines.content_hashes import find_differences, read_content
from tests.bench.engines.sample_databases import BIG, SMALL, Database, Size, connection_environment, fill_database
from tests.support.postgres import PostgresServer

TINY = Size(accounts=2_000, lines=1_200, events=60, documents=20, measurements=240, large_objects=3, tables=5)


@pytest.fixture(scope="module", params=[BIG, SMALL], ids=lambda database: database.name)
def copied_database(postgres16: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Create the database, and a copy of it on the same server."""
    database: Database = request.param
    fill_database(postgres16, database, TINY)
    with postgres16.database("bench_copy") as name:
        archive = subprocess.run(
            [postgres16.bin / "pg_dump", "--format=custom"],
            env=connection_environment(postgres16, database.name),
            check=True,
            capture_output=True,
        ).stdout
        restore: list[str | Path] = [postgres16.bin / "pg_restore", f"--dbname={name}"]
        subprocess.run(restore, env=connection_environment(postgres16, name), check=True, input=archive)
        yield database
    postgres16.execute(f"DROP DATABASE {database.name}")


def test_a_copy_is_equal_until_it_is_changed(postgres16: PostgresServer, copied_database: Database) -> None:
    source_content = read_content(postgres16, copied_database.name)
    assert find_differences(source_content, read_content(postgres16, "bench_copy")) == []
    changes = {
        "big": {
            "UPDATE trade.orders SET comment = comment || '!' WHERE id = 7": "rows trade.orders",
            "DELETE FROM plant.measurements_03 WHERE sensor < 20": "rows plant.measurements_03",
            "DROP INDEX web.events_session_idx": "indexes",
            "ALTER TABLE trade.lines DROP CONSTRAINT lines_quantity_check": "constraints",
            "SELECT setval('office.list_9_id_seq', 999)": "sequences",
            "SELECT lo_put(100002, 0, 'x')": "large objects",
            "ALTER TABLE office.list_3 ALTER title DROP NOT NULL": "columns",
            "REFRESH MATERIALIZED VIEW trade.monthly WITH NO DATA": "rows trade.monthly",
        },
        "small": {"INSERT INTO many.table_4 (name) VALUES ('three')": "rows many.table_4"},
    }[copied_database.name]
    for statement, name in changes.items():
        postgres16.execute(statement, "bench_copy")
        assert name in find_differences(source_content, read_content(postgres16, "bench_copy"))


@pytest.mark.thorough
def test_a_database_has_the_same_content_each_time_it_is_created(postgres16: PostgresServer) -> None:
    contents = []
    for _ in range(2):
        fill_database(postgres16, BIG, TINY)
        contents.append(read_content(postgres16, BIG.name))
        postgres16.execute(f"DROP DATABASE {BIG.name}")
    assert contents[0] == contents[1]
