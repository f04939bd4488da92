"""Foreign keys to a table of which the copy lacks a partition."""

from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_spec import Filter

SOURCE = """
CREATE ACCESS METHOD own_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF whole FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF whole FOR VALUES IN (2){};
INSERT INTO whole VALUES (1), (2);
CREATE TABLE referring (id int CONSTRAINT to_whole REFERENCES whole);
INSERT INTO referring VALUES (1), (2);
CREATE TABLE partly (id int CONSTRAINT to_whole REFERENCES whole) PARTITION BY LIST (id);
CREATE TABLE partly_1 PARTITION OF partly DEFAULT;
INSERT INTO partly VALUES (1), (2);
"""
NEEDED = "it needs rows of TABLE public.part_2, which is skipped"
ROWLESS = "spec.filter.excludeTableData leaves out the rows of public.part_2"


@pytest.mark.parametrize(
    ("method", "changes", "cause", "group"),
    [
        (" USING own_heap", {}, NEEDED, SkipGroup.REFUSED),
        ("", {"filter": {"exclude_tables": ["part_2"]}}, NEEDED, SkipGroup.BY_DESIGN),
        ("", {"filter": {"exclude_table_data": ["part_2"]}}, ROWLESS, SkipGroup.BY_DESIGN),
    ],
    ids=["refused", "excluded", "without rows"],
)
def test_a_key_whose_rows_the_copy_lacks_does_not_blame_the_source(
    bench: Bench,
    postgres16: PostgresServer,
    method: str,
    changes: dict[str, Any],
    cause: str,
    group: SkipGroup,
) -> None:
    """Seen before: `rows of the source violate it`, about rows of a source that violate nothing."""
    with postgres16.database("partial") as name:
        postgres16.execute(SOURCE.format(method), name)
        bench.source_url = postgres16.url(name)
        filters = {key: Filter(**value) for key, value in changes.items()}
        with bench.shadow():
            result = bench.run(**filters)
    assert result.ok, result.failure
    reasons = {item.object: (item.reason, item.group) for item in result.skipped}
    for table in ("referring", "partly"):
        reason, found = reasons[f"FK CONSTRAINT public.{table} to_whole"]
        assert (reason, found) == (f"{cause}, so the foreign key is NOT VALID", group)
    # Seen before: the copy lacked the whole primary key, because a partition's part of it was skipped.
    assert "CONSTRAINT public.whole whole_pkey" not in reasons
