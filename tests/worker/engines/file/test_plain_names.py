"""Names in plain SQL mean what they mean in psql, wherever the file changes settings or uses words as names."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.worker.conftest import Bench
from tests.worker.engines.file.test_plain_statements import Comparison


@pytest.fixture
def comparison(file_bench: Bench, serve_dump: Callable[[bytes], None], tmp_path: Path) -> Comparison:
    return Comparison(file_bench, serve_dump, tmp_path)


def test_rows_follow_the_search_path(comparison: Comparison) -> None:
    """The rows of `b.t` must not share the fate of `a.t`, which is refused."""
    result, differences = comparison.run("""
    CREATE SCHEMA a; CREATE SCHEMA b;
    SET search_path = b; CREATE TABLE t (id int);
    SET search_path = a; CREATE TABLE t (id absent);
    INSERT INTO t VALUES (1);
    SET search_path = b;
    INSERT INTO t VALUES (2);
    """)
    assert differences == []
    assert {item.object: item.rows for item in result.skipped} == {"TABLE a.t": 1}
