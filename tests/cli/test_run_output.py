"""What `pgimport run` prints about skipped objects."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import CommandLine
from tests.support.client_programs import current_clients
from tests.support.postgres import PostgresServer

from pgimport.cli.run_output import describe_skipped
from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject

PUBLICATIONS = 170


def test_each_skipped_object_is_a_line_with_rows_code_and_key() -> None:
    skipped = [
        SkippedObject(
            object="TABLE public.t", reason="it needs TYPE public.x", group=SkipGroup.REFUSED, rows=1, sqlstate="42501"
        ),
        SkippedObject(
            object="INDEX public.u",
            reason="could not create (SQLSTATE 23505)",
            group=SkipGroup.REFUSED,
            sqlstate="23505",
            offending_key="(id)=(7)",
        ),
        SkippedObject(object="PUBLICATION p", reason="no import copies publications"),
        SkippedObject(object="TABLE spec.jobs", reason="spec.filter.excludeTables leaves it out"),
    ]
    assert describe_skipped(skipped) == [
        "skipped 4 objects: the target refused 2, 2 by design",
        "  refused: TABLE public.t (1 row): it needs TYPE public.x (SQLSTATE 42501)",
        "  refused: INDEX public.u: could not create (SQLSTATE 23505); offending key: (id)=(7)",
        "  by design: PUBLICATION p: no import copies publications",
        "  by design: TABLE spec.jobs: --exclude-table leaves it out",
    ]
    assert describe_skipped([]) == []


def test_a_dry_run_lists_what_an_import_would_skip(command_line: CommandLine, postgres16: PostgresServer) -> None:
    postgres16.execute(
        "CREATE PUBLICATION news; CREATE FUNCTION native(int) RETURNS int LANGUAGE internal AS 'int4abs'", "cli_shop"
    )
    result = command_line.run("run", "--dry-run", "--template", "not_there")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("would skip 2 objects: "))
    assert lines[first + 1].startswith("  likely refused: FUNCTION in C public.native: ")  # comes first
    assert lines[first + 2].startswith("  by design: PUBLICATION news: ")
    assert lines[-1] == "nothing was changed"
    assert "warning: --template: the target server has no database not_there" in result.err


@pytest.mark.parametrize("option", ["--json", None])
def test_a_long_list_is_printed_completely(
    command_line: CommandLine, postgres16: PostgresServer, tmp_path: Path, option: str | None
) -> None:
    """The worker's termination message holds 16 of them."""
    for number in range(PUBLICATIONS):
        postgres16.execute(f"CREATE PUBLICATION news_{number}", "cli_shop")
    result = command_line.run("run", *([option] if option else []), **current_clients(tmp_path))
    assert result.code == 0, result.err
    if option is None:
        assert all(f"by design: PUBLICATION news_{number}: " in result.out for number in range(PUBLICATIONS))
        assert f"skipped {PUBLICATIONS} objects: the target refused 0, {PUBLICATIONS} by design" in result.out
        return
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert not any("report" in line for line in lines)
    summary = lines[-1]["result"]
    assert {item["object"] for item in summary["skipped"]} == {f"PUBLICATION news_{n}" for n in range(PUBLICATIONS)}
    assert summary["refused"] == 0


VIOLATED = """
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers);
SET session_replication_role = replica;
INSERT INTO orders VALUES (1, 424242);
"""
KEY = "(customer)=(424242)"


@pytest.mark.parametrize("masks", [False, True], ids=["without --post-import", "with --post-import"])
def test_a_key_that_the_sources_rows_violate_is_printed_unless_sql_masks_them(
    command_line: CommandLine, postgres16: PostgresServer, tmp_path: Path, masks: bool
) -> None:
    postgres16.execute(VIOLATED, "cli_shop")
    (tmp_path / "mask.sql").write_text("UPDATE orders SET customer = NULL;")
    options = ["--post-import", f"{tmp_path}/mask.sql"] if masks else []
    result = command_line.run("run", "--json", *options, **current_clients(tmp_path))
    assert result.code == 0, result.err
    *log, last = result.out.splitlines()
    (item,) = json.loads(last)["result"]["skipped"]
    assert item["object"] == "FK CONSTRAINT public.orders orders_customer_fkey"
    assert (item["group"], item["sqlstate"]) == ("refused", "23503")
    assert item.get("offendingKey") == (None if masks else KEY)
    assert "424242" not in "\n".join(log)
    assert ("424242" in last) is not masks


def test_a_refusal_that_ends_the_import_is_printed_with_its_key(
    command_line: CommandLine, postgres16: PostgresServer, tmp_path: Path
) -> None:
    postgres16.execute(VIOLATED, "cli_shop")
    result = command_line.run("run", "--on-object-error", "fail", **current_clients(tmp_path))
    assert result.code == 76
    assert "orders_customer_fkey" in result.err
    assert KEY in result.err


def test_long_settings_and_comments_of_the_source_are_copied(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    """Seen before: they were listed but not copied, because a termination message holds 4 KiB."""
    path = ", ".join(f"schema_{number:04}" for number in range(2000))
    postgres16.execute(f"ALTER DATABASE cli_shop SET search_path TO {path}")
    postgres16.execute(f"COMMENT ON DATABASE cli_shop IS '{'ä' * 60_000}'")
    result = command_line.run("run", "--json", **current_clients(tmp_path))
    assert result.code == 0, result.err
    summary = json.loads(result.out.splitlines()[-1])["result"]
    assert summary["skipped"] == []
    with postgres18.connect(summary["database"]) as connection:
        assert connection.execute("SHOW search_path").fetchone() == (path,)
        comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        assert connection.execute(comment).fetchone() == ("ä" * 60_000,)
